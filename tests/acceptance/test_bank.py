"""Issue 4, "The ledger", on the custody bank: money in and out, reconciled; the venue never owns client money.

What the checks expect; more members are welcome:

    POST /v1/withdrawals    {amount_fen, signature}, `Idempotency-Key` needed -> 201 {withdrawal, amount_fen, state}
         `signature`: the participant's Ed25519 over shuji-withdraw:<participant>:<amount_fen>:<Idempotency-Key>
    GET  /v1/withdrawals    items: withdrawal, participant, amount_fen, state (requested, batched, paid)
    POST /v1/bank/payout-batches             operator -> 201 {batch}; 409 where a break stops payouts
    GET  /v1/bank/payout-batches/{batch}     batch, payments: participant, amount_fen (one a participant)
    GET  /v1/bank/payout-batches/{batch}/pain.001    ISO 20022 pain.001.001.xx, XML
    POST /v1/bank/statements                 camt.053.001.xx as XML, operator. An entry is known by its AcctSvcrRef, which
         is a cash-in's bank_reference, or by its EndToEndId, which is a payment's of a pain.001
    GET  /v1/bank/breaks    items: reference, amount_fen, since, age_days; those that stand
    GET  /v1/bank/equality  operator, auditor: account (of the venue at the custody bank), bank_fen, client_fen, own_fen,
         difference_fen, equal
"""

import dataclasses
import itertools
import xml.etree.ElementTree as ElementTree
from typing import Any

import httpx
import pytest

from tests.story import Person, Venue, done, instant, refused, sha256_of

CAMT = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
PAIN = "urn:iso:std:iso:20022:tech:xsd:pain.001.001."

_numbers = itertools.count(1)


def yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


@dataclasses.dataclass
class Bank:
    """The custody bank of a story: what it has seen come and go on the venue's custody account."""

    venue: Venue
    account: str = ""
    balance_fen: int = 0

    def statement(self, *entries: str) -> str:
        """camt.053 of these entries, from the balance before them to that after them."""
        before = self.balance_fen
        for entry in entries:
            sign = 1 if "<CdtDbtInd>CRDT" in entry else -1
            amount = ElementTree.fromstring(entry).findtext("Amt")  # noqa: S314 - our own
            assert amount is not None
            self.balance_fen += sign * int(amount.replace(".", ""))
        number, at = next(_numbers), instant(self.venue.now())
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="{CAMT}"><BkToCstmrStmt>'
            f"<GrpHdr><MsgId>MSG-{number}</MsgId><CreDtTm>{at}</CreDtTm></GrpHdr>"
            f"<Stmt><Id>STMT-{number}</Id><CreDtTm>{at}</CreDtTm>"
            f"<Acct><Id><Othr><Id>{self.account}</Id></Othr></Id><Ccy>CNY</Ccy></Acct>"
            f"{_balance('OPBD', before, at)}{_balance('CLBD', self.balance_fen, at)}{''.join(entries)}"
            "</Stmt></BkToCstmrStmt></Document>"
        )

    def send(self, *entries: str) -> httpx.Response:
        return post_xml(self.venue.operator, self.statement(*entries))

    def funded(self, amount_fen: int) -> Person:
        """A participant whose money has arrived, by the bank's statement as by the venue's books."""
        person, reference = self.venue.buyer(cash_fen=0), new_reference()
        done(person.name_payout_account(), 200)
        book(self.venue, person, amount_fen, reference)
        done(self.send(entry("CRDT", amount_fen, reference)))
        return person

    def pay(self, batch: str) -> None:
        """The bank carries out a payout batch and says so."""
        root = payments_of(self.venue, batch)
        amounts = [int(amount.replace(".", "")) for amount in texts(root, "InstdAmt")]
        ends = texts(root, "EndToEndId")
        outs = [
            entry("DBIT", amount, new_reference(), end) for amount, end in zip(amounts, ends, strict=True)
        ]
        done(self.send(*outs))


def _balance(code: str, amount_fen: int, at: str) -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">{yuan(amount_fen)}</Amt>'
        f"<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{at[:10]}</Dt></Dt></Bal>"
    )


def entry(kind: str, amount_fen: int, reference: str, end_to_end: str = "NOTPROVIDED") -> str:
    """An `Ntry`; kind CRDT (money in) or DBIT (money out)."""
    return (
        f'<Ntry><NtryRef>{reference}</NtryRef><Amt Ccy="CNY">{yuan(amount_fen)}</Amt><CdtDbtInd>{kind}</CdtDbtInd>'
        f"<Sts><Cd>BOOK</Cd></Sts><AcctSvcrRef>{reference}</AcctSvcrRef>"
        "<BkTxCd><Prtry><Cd>TRF</Cd></Prtry></BkTxCd>"
        f"<NtryDtls><TxDtls><Refs><AcctSvcrRef>{reference}</AcctSvcrRef><EndToEndId>{end_to_end}</EndToEndId></Refs>"
        f'<Amt Ccy="CNY">{yuan(amount_fen)}</Amt><CdtDbtInd>{kind}</CdtDbtInd></TxDtls></NtryDtls></Ntry>'
    )


def post_xml(person: Person, text: str) -> httpx.Response:
    headers = {"content-type": "application/xml"}
    return person.ask("POST", "/v1/bank/statements", content=text.encode(), headers=headers)


def new_reference() -> str:
    return f"ICBC-{next(_numbers):06d}"


def book(venue: Venue, person: Person, amount_fen: int, reference: str) -> None:
    body = {"participant": person.participant, "amount_fen": amount_fen, "bank_reference": reference}
    done(venue.operator.post("/v1/cash-in", body), 201)


def equality(venue: Venue, asked_by: Person | None = None) -> dict[str, Any]:
    seen: dict[str, Any] = done((asked_by or venue.operator).get("/v1/bank/equality"), 200)
    return seen


def breaks(venue: Venue) -> dict[str, dict[str, Any]]:
    return {row["reference"]: row for row in venue.operator.every("/v1/bank/breaks")}


def new_batch(venue: Venue) -> str:
    return str(done(venue.operator.post("/v1/bank/payout-batches", {}), 201)["batch"])


def payments_of(venue: Venue, batch: str) -> ElementTree.Element:
    """The root of the batch's pain.001."""
    answer = venue.operator.get(f"/v1/bank/payout-batches/{batch}/pain.001")
    assert answer.status_code == 200, answer.text
    assert "xml" in answer.headers["content-type"]
    return ElementTree.fromstring(answer.text)  # noqa: S314 - the venue under test made it


def texts(root: ElementTree.Element, tag: str) -> list[str]:
    """What stands in every element of that local name."""
    found = [node for node in root.iter() if node.tag.rpartition("}")[2] == tag]
    return ["".join(node.itertext()).strip() for node in found]


def states_of(person: Person) -> list[str]:
    """How far the withdrawals are that a participant sees, which are its own."""
    rows = list(person.every("/v1/withdrawals"))
    assert {row["participant"] for row in rows} <= {person.participant}
    return sorted(row["state"] for row in rows)


@pytest.fixture(scope="module")
def bank(venue: Venue) -> Bank:
    return Bank(venue, equality(venue)["account"])


# -- money out


def test_a_withdrawal_is_signed_each_time(venue: Venue, bank: Bank) -> None:
    """Line: "Cash in and out", and of the design "withdrawals and credential changes are signed each time"."""
    person, thief = bank.funded(5_000), venue.stranger()
    refused(person.withdraw(1_000, signer=thief), 401, "signature_wrong")
    unsigned = person.post("/v1/withdrawals", {"amount_fen": 1_000}, venue.new_id())
    assert unsigned.status_code in (400, 401, 422), unsigned.text
    key = venue.new_id()
    first = done(person.withdraw(1_000, key), 201)
    assert done(person.withdraw(1_000, key)) == first, "sent again it is the same withdrawal"
    assert person.account()["available"] == 4_000
    text = f"shuji-withdraw:{person.participant}:1000:{key}"
    replayed = {"amount_fen": 1_000, "signature": person.sign(text)}
    refused(person.post("/v1/withdrawals", replayed, venue.new_id()), 401, "signature_wrong")
    assert person.account()["available"] == 4_000
    assert states_of(venue.buyer(cash_fen=0)) == []
    bank.pay(new_batch(venue))
    assert states_of(person) == ["paid"]


def test_only_available_money_leaves(venue: Venue, bank: Bank) -> None:
    """Line: "available balance counts reservations": an order's money does not leave by the bank."""
    merchant, person = venue.merchant(), bank.funded(10_000)
    placed = venue.order(person, venue.book_listing(merchant), 6, side="buy", limit_fen=1_000)
    assert done(placed, 201)["trades"] == []
    refused(person.withdraw(4_001), 409, "funds_insufficient")
    assert person.withdraw(0).status_code in (400, 422)
    done(person.withdraw(4_000), 201)
    assert person.account()["available"] == 0
    bank.pay(new_batch(venue))
    assert (person.account()["balance"], person.account()["reserved"]) == (6_000, 6_000)


def test_a_payout_batch_is_netted_per_participant_as_pain_001(venue: Venue, bank: Bank) -> None:
    """Line: "payout batches netted per participant as an ISO 20022 pain.001 file"."""
    first, second = bank.funded(100_000), bank.funded(100_000)
    for person, amount_fen in ((first, 10_001), (first, 20_000), (second, 7)):
        done(person.withdraw(amount_fen), 201)
    batch = new_batch(venue)
    seen = done(venue.operator.get(f"/v1/bank/payout-batches/{batch}"), 200)
    netted = {row["participant"]: row["amount_fen"] for row in seen["payments"]}
    assert netted == {first.participant: 30_001, second.participant: 7}
    root = payments_of(venue, batch)
    assert root.tag.startswith("{" + PAIN), root.tag
    assert root.tag.endswith("}Document")
    assert set(texts(root, "NbOfTxs")) == {"2"}
    assert set(texts(root, "CtrlSum")) == {"300.08"}
    assert sorted(texts(root, "InstdAmt")) == ["0.07", "300.01"]
    amounts = [node for node in root.iter() if node.tag.endswith("}InstdAmt")]
    assert {node.get("Ccy") for node in amounts} == {"CNY"}
    assert bank.account in texts(root, "DbtrAcct")[0]
    ends = texts(root, "EndToEndId")
    assert len(set(ends)) == 2
    assert all(0 < len(end) <= 35 for end in ends), "Max35Text"
    assert states_of(first) == ["batched", "batched"]
    bank.pay(batch)
    assert states_of(first) == ["paid", "paid"]
    assert first.account() == {**first.account(), "balance": 69_999, "reserved": 0, "available": 69_999}


def test_a_withdrawal_is_in_one_batch_only(venue: Venue, bank: Bank) -> None:
    """Line: "payout batches": whoever makes the next batch does not pay twice."""
    person = bank.funded(5_000)
    done(person.withdraw(5_000), 201)
    batch = new_batch(venue)
    again = venue.operator.post("/v1/bank/payout-batches", {})
    if again.status_code == 201:
        path = f"/v1/bank/payout-batches/{again.json()['batch']}"
        assert done(venue.operator.get(path), 200)["payments"] == []
    else:
        assert again.status_code in (404, 409), again.text
    bank.pay(batch)
    assert states_of(person) == ["paid"]


def test_what_is_booked_by_hand_leaves_after_a_statement_has_shown_it(venue: Venue, bank: Bank) -> None:
    """Line: "The venue never owns client money": nobody is paid with what the bank holds for others."""
    person, other, reference = venue.buyer(cash_fen=0), bank.funded(1_000), new_reference()
    done(person.name_payout_account(), 200)
    book(venue, person, 2_000, reference)
    refused(person.withdraw(1), 409, "funds_insufficient")
    merchant = venue.merchant()
    done(merchant.name_payout_account(), 200)
    bought = venue.trade(person, venue.listing(merchant, price_fen=2_000))
    venue.complete(merchant, person, bought)
    done(merchant.withdraw(1_000), 201)
    done(other.withdraw(1_000), 201)
    seen = equality(venue)
    assert seen["equal"] is True
    if uncovered := max(0, 2_000 - seen["own_fen"]):
        assert seen["uncovered_fen"] == uncovered
        refused(venue.operator.post("/v1/bank/payout-batches", {}), 409, "wrong_state")
    done(bank.send(entry("CRDT", 2_000, reference)))
    assert equality(venue)["uncovered_fen"] == 0
    bank.pay(new_batch(venue))
    assert (states_of(merchant), states_of(other)) == (["paid"], ["paid"])
    owned = venue.buyer(cash_fen=0, owner_id=venue.operator.participant)
    own = {"participant": owned.participant, "amount_fen": 1_000, "bank_reference": new_reference()}
    refused(venue.operator.post("/v1/cash-in", own), 403, "own_case")


# -- statements, breaks, equality


def test_client_money_equals_the_banks_and_own_funds_are_apart(venue: Venue, bank: Bank) -> None:
    """Line: "cash accounts mirror a custody bank's (第三方存管), own funds apart, equality checked daily"."""
    before, merchant, person = equality(venue), venue.merchant(), bank.funded(50_000)
    assert before["equal"] is True
    trade = venue.trade(person, venue.listing(merchant))
    venue.complete(merchant, person, trade)
    fee_fen = venue.read_trade(trade, merchant)["fee_fen"]
    venue.advance(days=1)
    seen = equality(venue)
    assert (seen["equal"], seen["difference_fen"]) == (True, 0)
    assert seen["bank_fen"] == bank.balance_fen == before["bank_fen"] + 50_000
    assert seen["own_fen"] == before["own_fen"] + fee_fen
    assert equality(venue, venue.auditor())["equal"] is True
    refused(person.get("/v1/bank/equality"), 403, "forbidden")


def test_a_break_shows_its_age_and_stops_payouts(venue: Venue, bank: Bank) -> None:
    """Line: "a break stops payouts" and "breaks shown with their age": money at the bank that the ledger does not know."""
    person = venue.buyer(cash_fen=0)
    done(person.name_payout_account(), 200)
    book(venue, person, 9_000, known := new_reference())
    strange = new_reference()
    done(bank.send(entry("CRDT", 9_000, known), entry("CRDT", 3_000, strange)))
    done(person.withdraw(1_000), 201)
    assert set(breaks(venue)) == {strange}
    row = breaks(venue)[strange]
    assert (abs(row["amount_fen"]), row["age_days"]) == (3_000, 0)
    seen = equality(venue)
    assert (seen["equal"], abs(seen["difference_fen"])) == (False, 3_000)
    assert refused(venue.operator.post("/v1/bank/payout-batches", {}), 409)["detail"]
    venue.advance(days=3, seconds=60)
    assert breaks(venue)[strange]["age_days"] == 3
    book(venue, person, 3_000, strange)
    assert breaks(venue) == {}
    assert equality(venue)["equal"] is True
    bank.pay(new_batch(venue))
    assert states_of(person) == ["paid"]


def test_the_same_statement_counts_once(venue: Venue, bank: Bank) -> None:
    """Line: "bank statements read back as camt.053 and reconciled": sent twice it moves nothing twice."""
    person = venue.buyer(cash_fen=0)
    book(venue, person, 4_000, reference := new_reference())
    text = bank.statement(entry("CRDT", 4_000, reference))
    done(post_xml(venue.operator, text))
    seen = equality(venue)
    assert post_xml(venue.operator, text).status_code in (200, 201, 409)
    assert equality(venue)["bank_fen"] == seen["bank_fen"]
    assert (breaks(venue), person.balance) == ({}, 4_000)


@pytest.mark.parametrize("wrong", ["", "<Document>", "<Document/>", "{}", "entity"])
def test_what_is_no_statement_is_a_clear_error(venue: Venue, bank: Bank, wrong: str) -> None:
    """Line: "bank statements read back as camt.053": XML of strangers is refused, entities are not resolved."""
    text = wrong
    if wrong == "entity":
        doctype = '<!DOCTYPE Document [<!ENTITY a "aaaaaaaaaa">]>'
        text = Bank(venue, bank.account, bank.balance_fen).statement().replace("?>", "?>" + doctype)
    before = equality(venue)
    answer = post_xml(venue.operator, text)
    assert answer.status_code in (400, 415, 422), answer.text
    assert equality(venue)["bank_fen"] == before["bank_fen"]


def test_the_bank_is_the_operators_business(venue: Venue, bank: Bank) -> None:
    """Line: "Every register, report and duty is reachable over the API with its role"."""
    person = venue.buyer(cash_fen=0)
    refused(person.post("/v1/bank/payout-batches", {}), 403, "forbidden")
    refused(post_xml(person, Bank(venue, bank.account, bank.balance_fen).statement()), 403, "forbidden")
    refused(person.get("/v1/bank/breaks"), 403, "forbidden")
    missing = venue.operator.get(f"/v1/bank/payout-batches/{sha256_of('none')[:8]}")
    refused(missing, 404, "not_found")
    refused(venue.merchant().get("/v1/bank/payout-batches/1/pain.001"), 403, "forbidden")


def test_a_wrong_amount_is_a_break(venue: Venue, bank: Bank) -> None:
    """Line: "reconciled": the same reference with another amount is no match. (The last check: its break stands.)"""
    person, other, reference = venue.buyer(cash_fen=0), bank.funded(1_000), new_reference()
    done(person.name_payout_account(), 200)
    book(venue, person, 8_000, reference)
    done(bank.send(entry("CRDT", 7_000, reference)))
    assert reference in breaks(venue)
    refused(person.withdraw(1_000), 409, "funds_insufficient")
    done(other.withdraw(1_000), 201)
    refused(venue.operator.post("/v1/bank/payout-batches", {}), 409)
    assert states_of(other) == ["requested"]
