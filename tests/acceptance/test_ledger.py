"""Issue 4, "The ledger", and the ledger's part of "How it is proved", over HTTP.

What the checks expect; more members are welcome, and `items` come in pages as everywhere:

    GET  /v1/ledger/trial-balance?at=            operator, auditor
         items: account, asset, shard, balance (sums to zero in each asset)
    GET  /v1/ledger/statement?account=&asset=&from=&until=    its owner; operator and auditor any
         account, asset, opening, closing, items: transaction, at, kind, amount, balance, reverses (null or a transaction)
    GET  /v1/ledger/reservations?state=open|posted|voided|expired    own; operator and auditor all
         items: reservation, account, asset, amount, posted, state
    GET  /v1/ledger/escrow            items: trade, amount_fen, since, age_seconds
    GET  /v1/ledger/fees              items: trade, amount_fen
    GET  /v1/ledger/revenue-shares    items: trade, participant, role, amount_fen
    GET  /v1/ledger/refusals          items: rule, count
    POST /v1/ledger/reversals         {transaction, reason} -> 201 {transaction, reverses, state}    operators:
         where `state` is proposed, another operator sends the same to make it
    POST /v1/ledger/reversals         {transaction, reason} -> 201 {transaction, reverses, state: proposed | made}
                                      two different operators, as it moves client money
    POST /v1/trades/{trade}/refund-agreements    {amount_fen, reason} -> {state: offered | agreed}
    POST /v1/deposits                 {amount_fen} -> 201;  GET /v1/deposits    items: participant, balance_fen
    GET  /v1/debts                    items: debtor, creditor, trade, amount_fen, outstanding_fen
"""

import threading
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.story import Person, Venue, done, instant, parsed, refused, shuji

PRICE_FEN = 50_000
EXCLUSIVE: dict[str, Any] = {"deal": "exclusive_licence", "supply": "exclusive", "supply_units": 1}


@pytest.fixture(scope="module", autouse=True)
def operator(venue: Venue) -> Person:
    """Its own identity is verified: else it reverses nothing."""
    done(venue.verify_identity(venue.operator))
    return venue.operator


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant)


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer(cash_fen=1_000_000)


Balances = dict[tuple[str, str, int], int]


def trial_balance(venue: Venue, **asked: str) -> Balances:
    """Balance by account, asset and shard; an account that stands there twice is an error."""
    rows = list(venue.operator.every("/v1/ledger/trial-balance", **asked))
    found = {(row["account"], row["asset"], row["shard"]): row["balance"] for row in rows}
    assert len(found) == len(rows), rows
    assert found, "a venue with money has accounts"
    return found


def assert_sums_to_zero(balances: Balances) -> None:
    sums: Counter[str] = Counter()
    for (_, asset, _), balance in balances.items():
        sums[asset] += balance
    assert set(sums.values()) == {0}, sums


def statement(asked_by: Person, account: str, asset: str = "CNY", **asked: str) -> dict[str, Any]:
    """A statement with all its pages in `items`."""
    path, about = "/v1/ledger/statement", {"account": account, "asset": asset, **asked}
    head: dict[str, Any] = done(asked_by.get(path, **about), 200)
    assert (head["account"], head["asset"]) == (account, asset)
    return {**head, "items": list(asked_by.every(path, **about))}


def movement(venue: Venue, account: str, amount: int) -> dict[str, Any]:
    """The one movement of that amount in an account's statement."""
    rows = statement(venue.operator, account)["items"]
    [found] = [row for row in rows if row["amount"] == amount]
    return dict(found)


def reservations(asked_by: Person, state: str) -> list[dict[str, Any]]:
    rows = list(asked_by.every("/v1/ledger/reservations", state=state))
    assert all(row["state"] == state for row in rows), rows
    return rows


def bid(venue: Venue, buyer: Person, book: str, quantity: int = 10) -> str:
    """A resting bid at 1,000 fen; gives the order's id."""
    placed = done(venue.order(buyer, book, quantity, side="buy", limit_fen=1_000), 201)
    assert placed["trades"] == []
    return str(placed["order"])


def held_trade(venue: Venue, merchant: Person, buyer: Person) -> str:
    """An exclusive licence over earlier ones: held until the buyer confirms (B17)."""
    product, first = venue.product(merchant), venue.buyer()
    trade = venue.trade(first, venue.listing(merchant, product, term_days=365))
    venue.complete(merchant, first, trade)
    return venue.held(buyer, venue.listing(merchant, product, **EXCLUSIVE), "B17")


def reverse(venue: Venue, transaction: str) -> httpx.Response:
    """By one operator, or by two where the venue wants a second pair of eyes; gives the last answer."""
    body = {"transaction": transaction, "reason": "记账对象有误"}
    answer = venue.operator.post("/v1/ledger/reversals", body)
    if answer.is_success and answer.json().get("state") == "proposed":
        return venue.verified_official("operator").post("/v1/ledger/reversals", body)
    return answer


def agree(person: Person, trade: str, amount_fen: int) -> httpx.Response:
    body = {"amount_fen": amount_fen, "reason": "双方协商一致"}
    return person.post(f"/v1/trades/{trade}/refund-agreements", body)


def debts_of(debtor: Person, asked_by: Person) -> list[dict[str, Any]]:
    """Debts that are not paid off."""
    rows = [row for row in asked_by.every("/v1/debts") if row["debtor"] == debtor.participant]
    return [row for row in rows if row["outstanding_fen"]]


# -- accounts and postings


def test_postings_sum_to_zero_in_every_asset(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    """Line: "Accounts per participant, asset and shard ...; postings that sum to zero" and "conservation"."""
    venue.trade(buyer, listing)
    venue.complete(merchant, buyer, venue.trade(buyer, listing))
    book = venue.book_listing(merchant)
    bid(venue, buyer, book)
    done(venue.order(merchant, book, 4, side="sell", limit_fen=1_000), 201)
    balances = trial_balance(venue)
    assert_sums_to_zero(balances)
    assert balances[buyer.participant, "CNY", 0] == buyer.balance
    assert balances[merchant.participant, "CNY", 0] == merchant.balance
    assert balances[buyer.participant, f"unit:{book}", 0] == 4


def test_deposits_fees_and_escrow_are_accounts(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    """Line: "Accounts per participant, asset and shard (money, licence units, deposits, fees, escrow, debts)"."""
    done(buyer.post("/v1/deposits", {"amount_fen": 7_000}), 201)
    venue.trade(buyer, listing)
    venue.complete(merchant, buyer, venue.trade(buyer, listing))
    names = [f"{account} {asset}" for account, asset, _ in trial_balance(venue)]
    for kind in ("deposit", "fee", "escrow"):
        assert any(kind in name for name in names), f"{kind} in {names}"


def test_an_emptied_account_stays_in_the_trial_balance(venue: Venue) -> None:
    """Line: "Reports: trial balance ... as of any time": now and then with 0, before its first posting not at all."""
    venue.buyer(cash_fen=1)
    venue.advance(seconds=5)
    before = instant(venue.now())
    venue.advance(seconds=5)
    somebody, stranger = venue.buyer(cash_fen=7_000), venue.buyer(cash_fen=0)
    done(somebody.post("/v1/deposits", {"amount_fen": 7_000}), 201)
    venue.advance(seconds=5)
    for balances in (trial_balance(venue), trial_balance(venue, at=instant(venue.now()))):
        assert balances[somebody.participant, "CNY", 0] == 0
        assert (stranger.participant, "CNY", 0) not in balances
        assert_sums_to_zero(balances)
    assert (somebody.participant, "CNY", 0) not in trial_balance(venue, at=before)


def test_a_trial_balance_of_a_past_instant_repeats(venue: Venue, buyer: Person, listing: str) -> None:
    """Line: "Reports: trial balance, ... as of any time"."""
    venue.advance(seconds=5)
    then, at = trial_balance(venue), instant(venue.now())
    venue.advance(seconds=60)
    venue.trade(buyer, listing)
    assert trial_balance(venue, at=at) == then
    assert trial_balance(venue) != then


def test_the_legs_of_a_payment_are_one_transaction(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "linked transfers succeed or fail together": price, fee and shares leave escrow as one transaction."""
    contributor = venue.buyer(cash_fen=0)
    product = venue.product(merchant, shares=[[contributor.participant, 1_000]])
    trade = venue.trade(buyer, venue.listing(merchant, product, price_fen=123_457))
    venue.complete(merchant, buyer, trade)
    paid = movement(venue, merchant.participant, venue.read_trade(trade, merchant)["merchant_fen"])
    shared = movement(venue, contributor.participant, contributor.balance)
    assert paid["transaction"] == shared["transaction"]


# -- reservations


def test_a_reservation_posts_in_part_and_then_in_full(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "reservations that post in full or in part"; a bid of ten is filled by four and then by six."""
    book = venue.book_listing(merchant)
    bid(venue, buyer, book)
    [row] = reservations(buyer, "open")
    assert (row["account"], row["asset"], row["amount"], row["posted"]) == (
        buyer.participant,
        "CNY",
        10_000,
        0,
    )
    done(venue.order(merchant, book, 4, side="sell", limit_fen=1_000), 201)
    [part] = reservations(buyer, "open")
    assert (part["reservation"], part["amount"], part["posted"]) == (row["reservation"], 10_000, 4_000)
    assert buyer.account()["reserved"] == 6_000
    done(venue.order(merchant, book, 6, side="sell", limit_fen=1_000), 201)
    assert reservations(buyer, "open") == []
    [whole] = [found for found in reservations(buyer, "posted") if found["reservation"] == row["reservation"]]
    assert whole["posted"] == 10_000
    assert buyer.account()["reserved"] == 0


def test_a_reservation_is_voided_once(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "reservations that ... void", and of the bug list "voided twice": the money comes back once."""
    order = bid(venue, buyer, venue.book_listing(merchant))
    done(buyer.delete(f"/v1/orders/{order}"))
    [row] = reservations(buyer, "voided")
    assert (row["amount"], row["posted"]) == (10_000, 0)
    after = buyer.account()
    refused(buyer.delete(f"/v1/orders/{order}"), 409, "wrong_state")
    assert buyer.account() == after == {**after, "balance": 1_000_000, "reserved": 0, "available": 1_000_000}
    assert len(reservations(buyer, "voided")) == 1
    assert reservations(buyer, "open") == []


def test_a_reservation_expires_with_its_hold(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "reservations that ... expire": a hold that nobody cures gives the money back at its date."""
    trade = held_trade(venue, merchant, buyer)
    [row] = reservations(buyer, "open")
    assert row["amount"] - row["posted"] == PRICE_FEN
    until = parsed(venue.read_trade(trade, buyer)["dates"]["held_until"])
    venue.advance(seconds=int((until - venue.now()).total_seconds()) + 60)
    assert reservations(buyer, "open") == []
    assert row["reservation"] in [found["reservation"] for found in reservations(buyer, "expired")]
    assert buyer.account()["available"] == 1_000_000


def test_reservations_are_seen_by_their_owner_and_by_officials(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "Reports: ... open and expired reservations", each with its role."""
    bid(venue, buyer, venue.book_listing(merchant))
    [row] = reservations(buyer, "open")
    assert reservations(venue.buyer(cash_fen=0), "open") == []
    for official in (venue.operator, venue.auditor()):
        assert row["reservation"] in [found["reservation"] for found in reservations(official, "open")]
    assert buyer.get("/v1/ledger/reservations", state="nonsense").status_code in (400, 422)


def test_available_counts_reservations(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "available balance counts reservations": what is reserved cannot become a deposit."""
    bid(venue, buyer, venue.book_listing(merchant), 900)
    refused(buyer.post("/v1/deposits", {"amount_fen": 100_001}), 409, "funds_insufficient")
    done(buyer.post("/v1/deposits", {"amount_fen": 100_000}), 201)
    assert buyer.account()["available"] == 0


def test_a_balance_and_its_reservations_are_read_together(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "a balance and its reservations are read together", while orders come and go."""
    book, stop = venue.book_listing(merchant), threading.Event()
    token = {"Authorization": f"Bearer {buyer.token}"}
    seen: list[dict[str, Any]] = []

    def read() -> None:
        with httpx.Client(base_url=venue.url, headers=token, trust_env=False) as client:
            while not stop.is_set():
                items = done(client.get("/v1/accounts/me"), 200)["items"]
                seen.extend(item for item in items if item["asset"] == "CNY")

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20):
        order = bid(venue, buyer, book, 1 + number)
        if number % 2:
            done(buyer.delete(f"/v1/orders/{order}"))
    stop.set()
    reader.join(timeout=30)
    assert len(seen) > 5
    assert all(row["available"] == row["balance"] - row["reserved"] >= 0 for row in seen)
    still_open = sum(row["amount"] - row["posted"] for row in reservations(buyer, "open"))
    assert buyer.account()["reserved"] == still_open == 1_000 * sum(range(1, 21, 2))


# -- ids


def test_a_refused_id_stays_burned(venue: Venue) -> None:
    """Line: "refused ids stay burned", and of the bug list "refused reservation committed later"."""
    person, key = venue.buyer(cash_fen=1_000), venue.new_id()
    body = {"amount_fen": 2_000}
    refused(person.post("/v1/deposits", body, key), 409, "funds_insufficient")
    venue.cash_in(person, 5_000)
    refused(person.post("/v1/deposits", body, key), 409, "funds_insufficient")
    assert person.account()["available"] == 6_000
    done(person.post("/v1/deposits", body, venue.new_id()), 201)
    assert person.account()["available"] == 4_000


def test_the_same_id_with_other_content_is_a_conflict(venue: Venue, buyer: Person) -> None:
    """Line: "same id with other content is a conflict"; with the same content it happens once."""
    key, body = venue.new_id(), {"amount_fen": 2_000}
    first = done(buyer.post("/v1/deposits", body, key), 201)
    assert done(buyer.post("/v1/deposits", body, key)) == first
    refused(buyer.post("/v1/deposits", {"amount_fen": 2_001}, key), 409, "id_conflict")
    assert buyer.account()["available"] == 998_000


# -- reversal


def test_a_reversal_is_a_new_linked_opposite_transaction(venue: Venue) -> None:
    """Line: "Reversal only by a new, linked, opposite transaction": money booked to the wrong participant."""
    person = venue.buyer(cash_fen=30_000)
    wrong = movement(venue, person.participant, 30_000)
    body = {"transaction": wrong["transaction"], "reason": "记账对象有误"}
    refused(person.post("/v1/ledger/reversals", body), 403, "forbidden")
    unverified = venue.official("operator")
    refused(unverified.post("/v1/ledger/reversals", body), 403, "not_verified")
    proposed = done(venue.operator.post("/v1/ledger/reversals", body), 201)
    assert (proposed["state"], person.balance) == ("proposed", 30_000), "one operator moves no client money"
    refused(venue.operator.post("/v1/ledger/reversals", body), 403, "own_case")
    refused(unverified.post("/v1/ledger/reversals", body), 403, "not_verified")
    made = done(venue.verified_official("operator").post("/v1/ledger/reversals", body), 201)
    assert made["state"] == "made"
    assert made["reverses"] == wrong["transaction"] != made["transaction"]
    assert person.balance == 0
    back = movement(venue, person.participant, -30_000)
    assert (back["transaction"], back["reverses"]) == (made["transaction"], wrong["transaction"])
    assert movement(venue, person.participant, 30_000) == wrong, "what happened stays as it was"
    assert_sums_to_zero(trial_balance(venue))
    assert reverse(venue, wrong["transaction"]).status_code == 409


def test_a_reversal_needs_the_money_a_reason_and_its_transaction(
    venue: Venue, merchant: Person, listing: str
) -> None:
    """Line: "Reversal only by a new, linked, opposite transaction": refused where the money is spent already."""
    person = venue.buyer(cash_fen=PRICE_FEN)
    booked = movement(venue, person.participant, PRICE_FEN)
    venue.trade(person, listing)
    refused(reverse(venue, booked["transaction"]), 409, "funds_insufficient")
    body = {"transaction": booked["transaction"], "reason": "记账对象有误"}
    nothing = {**body, "transaction": "no such transaction"}
    assert venue.operator.post("/v1/ledger/reversals", nothing).status_code in (400, 404)
    assert venue.operator.post("/v1/ledger/reversals", {**body, "reason": ""}).status_code in (400, 422)


# -- statements and reports


def test_a_statement_adds_up_and_repeats(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    """Line: "Reports: ... statement per account as of any time"."""
    start = instant(venue.now())
    venue.advance(seconds=5)
    venue.trade(buyer, listing)
    venue.advance(seconds=5)
    middle = instant(venue.now())
    early = statement(buyer, buyer.participant, until=middle)
    assert early["closing"] == buyer.balance
    venue.advance(seconds=60)
    venue.trade(buyer, listing)
    assert statement(buyer, buyer.participant, until=middle)["closing"] == early["closing"]
    whole = statement(buyer, buyer.participant)
    assert whole["opening"] == 0
    assert (
        whole["opening"] + sum(row["amount"] for row in whole["items"]) == whole["closing"] == buyer.balance
    )
    late = statement(buyer, buyer.participant, **{"from": middle})
    assert late["opening"] == early["closing"]
    assert [row["amount"] for row in late["items"]] == [-PRICE_FEN]
    assert late["items"][0]["balance"] == late["closing"] == whole["closing"]
    assert all(parsed(row["at"]) >= parsed(start) for row in late["items"])


def test_a_statement_is_its_owners(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Every register, report and duty is reachable over the API with its role": an owner's own, officials' any."""
    asked = {"account": buyer.participant, "asset": "CNY"}
    assert merchant.get("/v1/ledger/statement", **asked).status_code in (403, 404)
    for reader in (buyer, venue.operator, venue.auditor()):
        assert statement(reader, buyer.participant)["closing"] == 1_000_000


def test_escrow_by_age(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Reports: ... escrow by age"; the whole of it is what lies in escrow."""
    trade = venue.trade(buyer, venue.listing(merchant, delivery_days=30))
    venue.advance(days=2)
    rows = list(venue.operator.every("/v1/ledger/escrow"))
    [row] = [row for row in rows if row["trade"] == trade]
    assert row["amount_fen"] == PRICE_FEN
    assert 2 * 86_400 <= row["age_seconds"] < 2 * 86_400 + 600
    assert abs((venue.now() - parsed(row["since"])).total_seconds() - row["age_seconds"]) < 600
    lying = sum(balance for (account, _, _), balance in trial_balance(venue).items() if "escrow" in account)
    assert sum(row["amount_fen"] for row in rows) == lying
    venue.complete(merchant, buyer, trade)
    assert trade not in [row["trade"] for row in venue.operator.every("/v1/ledger/escrow")]


def test_fees_and_revenue_shares(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Reports: ... fees, revenue shares"."""
    contributor = venue.buyer(cash_fen=0)
    product = venue.product(merchant, shares=[[contributor.participant, 2_500]])
    trade = venue.trade(buyer, venue.listing(merchant, product))
    venue.complete(merchant, buyer, trade)
    seen = venue.read_trade(trade, merchant)
    [fee] = [row for row in venue.operator.every("/v1/ledger/fees") if row["trade"] == trade]
    assert fee["amount_fen"] == seen["fee_fen"] > 0
    rows = [row for row in venue.operator.every("/v1/ledger/revenue-shares") if row["trade"] == trade]
    paid = {row["participant"]: row["amount_fen"] for row in rows}
    assert paid[contributor.participant] == contributor.balance > 0
    assert all(row["role"] for row in rows)


def test_a_reversal_takes_back_shares_and_what_its_debt_was_set_off_with(venue: Venue) -> None:
    """Line: "Reversal only by a new, linked, opposite transaction": all that the trade moved, and no more."""
    seller, contributor = venue.merchant("buyer"), venue.buyer(cash_fen=0)
    buyer = venue.buyer(cash_fen=PRICE_FEN)
    product = venue.product(seller, shares=[[contributor.participant, 2_500]])
    trade = venue.trade(buyer, venue.listing(seller, product))
    venue.complete(seller, buyer, trade)
    venue.trade(seller, venue.listing(venue.merchant(), price_fen=seller.balance))
    for party in (buyer, seller):
        done(agree(party, trade, 10_000))
    assert (buyer.balance, seller.balance) == (0, 0), "a debt of 10,000 fen"
    venue.cash_in(seller, 10_000)
    assert buyer.balance == 10_000
    earned = venue.read_trade(trade, seller)["merchant_fen"]
    venue.cash_in(seller, earned)
    done(reverse(venue, trade), 201)
    assert (buyer.balance, contributor.balance) == (PRICE_FEN, 0)
    assert seller.balance == 10_000, "what it had paid of its debt"
    rows = [row for row in venue.operator.every("/v1/ledger/revenue-shares") if row["trade"] == trade]
    assert sum(row["amount_fen"] for row in rows) == 0 < len(rows)
    assert_sums_to_zero(trial_balance(venue))


def test_refusals_by_rule(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Reports: ... refusals by rule"."""
    product = venue.product(merchant)
    narrow = venue.listing(merchant, product)

    def counted() -> int:
        rows = {row["rule"]: row["count"] for row in venue.operator.every("/v1/ledger/refusals")}
        return int(rows.get("B04", 0))

    before = counted()
    venue.amend(merchant, product, "authorisation", purposes=["risk_control"])
    for _ in range(2):
        refused(venue.order(buyer, narrow), 422, "unlawful")
    assert counted() == before + 2


@pytest.mark.parametrize("report", ["trial-balance", "escrow", "fees", "revenue-shares", "refusals"])
def test_reports_of_the_whole_venue_are_for_officials(venue: Venue, merchant: Person, report: str) -> None:
    """Line: "Every register, report and duty is reachable over the API with its role"."""
    path = f"/v1/ledger/{report}"
    assert venue.http.get(path).status_code == 401
    for official in (venue.operator, venue.auditor()):
        done(official.get(path), 200)
    if report in ("trial-balance", "escrow"):
        refused(merchant.get(path), 403, "forbidden")


# -- refund by agreement, deposits, debts


def test_a_refund_by_agreement_out_of_escrow(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Refund by agreement without a dispute": one side offers, the other sends the same amount."""
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.hand_over(merchant, trade)
    assert done(agree(buyer, trade, PRICE_FEN))["state"] == "offered"
    assert done(agree(merchant, trade, PRICE_FEN - 1))["state"] == "offered", (
        "another amount agrees to nothing"
    )
    assert buyer.balance == 1_000_000 - PRICE_FEN
    earned = merchant.balance
    assert done(agree(merchant, trade, PRICE_FEN))["state"] == "agreed"
    assert venue.read_trade(trade, buyer)["state"] == "refunded"
    assert (buyer.account()["available"], merchant.balance) == (1_000_000, earned)
    assert_sums_to_zero(trial_balance(venue))
    refused(agree(buyer, trade, PRICE_FEN), 409, "wrong_state")


def test_a_refund_in_part_pays_the_rest(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Refund by agreement without a dispute": of a part; not one fen comes or goes besides."""
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.hand_over(merchant, trade)
    before = trial_balance(venue)
    done(agree(merchant, trade, 20_000))
    assert done(agree(buyer, trade, 20_000))["state"] == "agreed"
    after = trial_balance(venue)
    assert_sums_to_zero(after)
    gained = {place: after[place] - before.get(place, 0) for place in after}
    assert gained[buyer.participant, "CNY", 0] == 20_000
    assert 0 < gained[merchant.participant, "CNY", 0] <= 30_000


def test_only_the_two_sides_agree_on_a_refund(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Refund by agreement": nobody else's business, and nobody agrees with himself or beyond the price."""
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.hand_over(merchant, trade)
    refused(agree(venue.buyer(cash_fen=0), trade, 1), 404, "not_found")
    assert agree(buyer, trade, PRICE_FEN + 1).status_code in (400, 409, 422)
    for _ in range(2):
        assert done(agree(buyer, trade, 1_000))["state"] == "offered"
    assert venue.read_trade(trade, buyer)["state"] == "delivered"


def test_a_refund_after_payout_comes_from_the_deposit_and_the_rest_is_a_debt(venue: Venue) -> None:
    """Line: "after payout from the deposit, a shortfall is a debt that bites": the next money that comes in pays it."""
    seller, other, buyer = venue.merchant("buyer"), venue.merchant(), venue.buyer(cash_fen=PRICE_FEN)
    venue.cash_in(seller, 30_000)
    done(seller.post("/v1/deposits", {"amount_fen": 30_000}), 201)
    [row] = [row for row in seller.every("/v1/deposits") if row["participant"] == seller.participant]
    assert (row["balance_fen"], seller.balance) == (30_000, 0)
    trade = venue.trade(buyer, venue.listing(seller))
    venue.complete(seller, buyer, trade)
    venue.trade(seller, venue.listing(other, price_fen=seller.balance))
    assert seller.account()["available"] == 0, "what it earned is spent"
    done(agree(buyer, trade, PRICE_FEN))
    assert done(agree(seller, trade, PRICE_FEN))["state"] == "agreed"
    assert buyer.balance == 30_000
    [debt] = debts_of(seller, venue.operator)
    assert (debt["creditor"], debt["trade"]) == (buyer.participant, trade)
    assert (debt["amount_fen"], debt["outstanding_fen"]) == (20_000, 20_000)
    assert debts_of(seller, seller) == debts_of(seller, buyer) == [debt]
    assert_sums_to_zero(trial_balance(venue))
    venue.cash_in(seller, 15_000)
    assert (seller.account()["available"], buyer.balance) == (0, 45_000)
    venue.cash_in(seller, 15_000)
    assert (seller.account()["available"], buyer.balance) == (10_000, PRICE_FEN)
    assert debts_of(seller, venue.operator) == []
    assert_sums_to_zero(trial_balance(venue))


# -- races and crashes


def test_parallel_orders_never_spend_the_same_money(venue: Venue, merchant: Person, listing: str) -> None:
    """Line, of the bug list: "parallel partial posts racing": money for three, twelve orders at once, three trades."""
    buyer = venue.buyer(cash_fen=4 * PRICE_FEN)
    venue.trade(buyer, listing)
    headers = {"Authorization": f"Bearer {buyer.token}"}
    body = {"listing": listing, "quantity": 1, "purpose": "market_analysis"}
    answers: list[httpx.Response] = []

    def place() -> None:
        with httpx.Client(base_url=venue.url, headers=headers, trust_env=False, timeout=30) as client:
            answers.append(client.post("/v1/orders", json=body))

    threads = [threading.Thread(target=place) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert Counter(answer.status_code for answer in answers) == {201: 3, 409: 9}
    for answer in answers:
        if answer.status_code == 409:
            refused(answer, 409, "funds_insufficient")
    assert (buyer.account()["balance"], buyer.account()["reserved"]) == (0, 0)
    assert_sums_to_zero(trial_balance(venue))


def test_kill_9_in_the_middle_of_settlement_is_exactly_once(
    venue: Venue, merchant: Person, listing: str
) -> None:
    """Line: "Crash: kill -9 loop over settlement, exactly once, `verify` clean"."""
    buyer = venue.buyer(cash_fen=100 * PRICE_FEN)
    venue.trade(buyer, listing)
    settled = 1
    for orders_before_the_kill in (1, 3, 6):
        keys = [venue.new_id() for _ in range(10)]
        answered = _orders_until_the_kill(venue, buyer, listing, keys, orders_before_the_kill)
        assert answered >= orders_before_the_kill
        venue.restart()
        for key in keys:
            placed = done(venue.order(buyer, listing, client_order_id=key), 200, 201)
            assert [trade["state"] for trade in placed["trades"]] == ["settled"], placed
        settled += len(keys)
        assert len(list(buyer.every("/v1/trades", state="settled"))) == settled
        assert buyer.balance == 100 * PRICE_FEN - settled * PRICE_FEN
        assert_sums_to_zero(trial_balance(venue))
    run = shuji("verify", "--data", str(venue.data))
    assert run.returncode == 0, run.stdout


def _orders_until_the_kill(venue: Venue, buyer: Person, listing: str, keys: list[str], wanted: int) -> int:
    """Send these orders one after the other and kill the venue after that many answers; gives how many came."""
    enough = threading.Event()
    answers: list[int] = []
    headers = {"Authorization": f"Bearer {buyer.token}"}

    def send() -> None:
        with httpx.Client(base_url=venue.url, headers=headers, trust_env=False, timeout=30) as client:
            for key in keys:
                body = {
                    "listing": listing,
                    "quantity": 1,
                    "purpose": "market_analysis",
                    "client_order_id": key,
                }
                try:
                    answers.append(client.post("/v1/orders", json=body).status_code)
                except httpx.TransportError:
                    return
                if len(answers) == wanted:
                    enough.set()

    sender = threading.Thread(target=send)
    sender.start()
    assert enough.wait(timeout=60)
    venue.kill()
    sender.join(timeout=60)
    assert set(answers) == {201}, answers
    return len(answers)
