"""Issue 6, "Roles complete": regulator, board host, trustee of data subjects; and who saw and did what.

What the checks expect; more members are welcome:

    POST /v1/participants/{participant}/roles {role: regulator | board_host | trustee, board}   (board: of a board host)
    Shuji-Purpose: text             with every read of a regulator or auditor; without it 400 or 422 that names the header
    GET  /v1/audit-log?who=&subject=    auditor, regulator, operator: items {at, who, subjects, method, path, purpose,
                                    until}; subjects: one answer may be about many
    GET  /v1/audit-log/me           who read or did something to oneself: the same items
    GET  /v1/trades/{trade}/inspection  regulator: {package: {contract, facts, verdict, postings, proofs}, sha256}
         sha256 of the package as canonical JSON (RFC 8785)
    POST /v1/directives {number, kind: freeze | delist | lift, subject, deadline, text, document_sha256} -> directive
         subject: a participant, a listing, or (lift) the number of the directive that is lifted
    POST /v1/directives/{directive}/execute   operator; at its deadline the venue does it itself, and an alert says so
    GET  /v1/directives/{directive} state (ordered, executed, lifted)
    POST /v1/listings/{listing}/objections {reason} -> objection   trustee; .../objections/{objection}/decision
         {decision: uphold | reject, text} by a reviewer
"""

import hashlib
import json
from typing import Any

import httpx
import pytest

from tests.story import Person, Venue, done, instant, parsed, refused, sha256_of

PURPOSE = "Inspection JX-2026-7: settled trades of the second half-year"
PERSONAL: dict[str, Any] = {
    "classification": {"origin": "personal", "pi_state": "identifiable"},
    "consent": {"basis": "separate_consent", "purposes": ["market_analysis"]},
}


def granted(venue: Venue, role: str, **more: str) -> Person:
    """Somebody of a house of its own, with this office."""
    person = venue.participant(owner_id="", group_id="")
    done(venue.operator.post(f"/v1/participants/{person.participant}/roles", {"role": role, **more}))
    return person


@pytest.fixture(scope="module")
def regulator(venue: Venue) -> Person:
    return granted(venue, "regulator")


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def read(person: Person, path: str, purpose: str = PURPOSE, **asked: Any) -> httpx.Response:
    return person.ask("GET", path, params=asked, headers={"Shuji-Purpose": purpose})


def log(person: Person, path: str = "/v1/audit-log", **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = done(read(person, path, "who looked", **asked), 200)["items"]
    return found


# -- reads with a purpose, and their log


def test_a_regulator_reads_with_a_stated_purpose_and_it_is_logged(
    venue: Venue, regulator: Person, merchant: Person, buyer: Person
) -> None:
    """Line: "regulator (reads with a stated purpose, logged ...)": whom it concerns sees it as well."""
    trade = venue.trade(buyer, venue.listing(merchant))
    path = f"/v1/trades/{trade}"
    without = regulator.get(path)
    assert without.status_code in (400, 422)
    assert "Shuji-Purpose" in refused(without, without.status_code)["detail"]
    assert done(read(regulator, path), 200)["trade"] == trade
    for reader, asked in ((venue.auditor(), "/v1/audit-log"), (buyer, "/v1/audit-log/me")):
        [row] = [one for one in log(reader, asked) if one["path"] == path and one["purpose"] == PURPOSE]
        assert row["who"] == regulator.participant
        assert parsed(row["at"]) <= venue.now()
    refused(buyer.get("/v1/audit-log"), 403, "forbidden")


def test_what_offices_see_and_do_is_in_the_log(venue: Venue, buyer: Person) -> None:
    """Line: "audit log of who saw and did what": an office's read of somebody's private row, and what it did to it."""
    path = f"/v1/participants/{buyer.participant}"
    done(venue.desk.get(path), 200)
    done(venue.operator.post(f"{path}/status", {"step": "suspend", "reason": "key stolen"}))
    done(venue.operator.post(f"{path}/status", {"step": "resume", "reason": "found"}))
    done(buyer.get("/v1/participants/me"), 200)
    seen = {(one["who"], one["method"], one["path"]) for one in log(buyer, "/v1/audit-log/me")}
    assert (venue.desk.participant, "GET", path) in seen
    assert (venue.operator.participant, "POST", f"{path}/status") in seen
    assert not [one for one in seen if one[0] == buyer.participant]
    by_subject = log(venue.operator, subject=buyer.participant, who=venue.desk.participant)
    assert by_subject
    assert all(buyer.participant in one["subjects"] for one in by_subject)


def test_an_inspection_package_can_be_checked_offline(
    venue: Venue, regulator: Person, merchant: Person, buyer: Person
) -> None:
    """Line: "an inspection package of a trade: contract, facts, verdict, postings, proofs"; nobody else gets it."""
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.complete(merchant, buyer, trade)
    path = f"/v1/trades/{trade}/inspection"
    found = done(read(regulator, path), 200)
    package = found["package"]
    assert set(package) >= {"contract", "facts", "verdict", "postings", "proofs"}
    assert all(package[part] for part in ("contract", "facts", "verdict", "postings", "proofs"))
    text = json.dumps(package, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == found["sha256"]
    told = venue.read_trade(trade, buyer)
    assert package["verdict"]["facts_sha256"] == told["verdict"]["facts_sha256"]
    assert told["contract"]["contract"] in json.dumps(package["contract"])
    assert regulator.get(path).status_code in (400, 422)
    for nobody in (buyer, venue.operator):
        refused(read(nobody, path), 403)


# -- directives


def directive(venue: Venue, by: Person, kind: str, subject: str, **changes: Any) -> httpx.Response:
    body = {
        "number": f"赣数监 [2026] {venue.new_id()}",
        "kind": kind,
        "subject": subject,
        "deadline": venue.in_days(1),
        "text": "依法采取措施",
        "document_sha256": sha256_of("directive"),
        **changes,
    }
    return by.post("/v1/directives", body)


def execute(by: Person, number: str) -> httpx.Response:
    return by.post(f"/v1/directives/{number}/execute", {})


def test_a_freeze_is_numbered_executed_and_lifted(
    venue: Venue, regulator: Person, merchant: Person, buyer: Person
) -> None:
    """Line: "numbered directives to freeze ... with their deadline": money stays where it is, until another number."""
    listing = venue.listing(merchant)
    venue.trade(buyer, listing)
    refused(directive(venue, venue.operator, "freeze", buyer.participant), 403, "forbidden")
    number = "赣数监 [2026] 1"
    ordered = done(directive(venue, regulator, "freeze", buyer.participant, number=number), 201)
    refused(directive(venue, regulator, "delist", listing, number=number), 409, "already_exists")
    refused(execute(venue.desk, ordered["directive"]), 403, "forbidden")
    done(execute(venue.operator, ordered["directive"]))
    before = buyer.account()
    answer = venue.order(buyer, listing)
    assert answer.status_code in (403, 409), answer.text
    assert number in refused(answer, answer.status_code)["detail"]
    buyer.name_payout_account()
    assert buyer.withdraw(100).status_code in (403, 409)
    assert buyer.account() == before
    lifted = done(directive(venue, regulator, "lift", number), 201)
    done(execute(venue.operator, lifted["directive"]))
    assert done(read(regulator, f"/v1/directives/{ordered['directive']}"), 200)["state"] == "lifted"
    venue.trade(buyer, listing)


def test_at_its_deadline_the_venue_delists_by_itself(
    venue: Venue, regulator: Person, merchant: Person, buyer: Person
) -> None:
    """Line: "numbered directives to ... delist with their deadline": what nobody executed is done then, and alerted."""
    listing = venue.listing(merchant)
    ordered = done(directive(venue, regulator, "delist", listing), 201)["directive"]
    venue.trade(buyer, listing)
    venue.advance(days=1, seconds=60)
    assert venue.order(buyer, listing).status_code in (403, 404, 409)
    assert venue.state_of(listing) not in ("published", "submitted", "draft")
    assert done(read(regulator, f"/v1/directives/{ordered}"), 200)["state"] == "executed"
    told = [row for row in venue.operator.every("/v1/alerts") if ordered in json.dumps(row)]
    assert told


# -- board host


def test_a_board_host_sees_reviews_and_halts_its_board_alone(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "Roles complete: ... board host"."""
    host = granted(venue, "board_host", board="transport")
    own, other = venue.draft(merchant, board="transport"), venue.draft(merchant)
    for listing in (own, other):
        done(venue.move(listing, "submit", merchant))
    assert venue.state_of(own, host) == "submitted"
    assert host.get(f"/v1/listings/{other}").status_code in (403, 404)
    refused(venue.move(other, "approve", host), 404, "not_found")
    assert done(venue.move(own, "approve", host))["state"] == "published"
    done(venue.offer_contract(merchant, own), 201)
    trade = venue.trade(buyer, own)
    assert venue.read_trade(trade, host)["trade"] == trade
    elsewhere = venue.trade(buyer, venue.listing(merchant))
    assert host.get(f"/v1/trades/{elsewhere}").status_code in (403, 404)
    halt = {"scope": "board", "subject": "transport", "reason": "数据源异常"}
    refused(host.post("/v1/halts", {**halt, "subject": "general"}), 403)
    refused(host.post("/v1/halts", {**halt, "scope": "market", "subject": ""}), 403)
    done(host.post("/v1/halts", halt))
    refused(venue.order(buyer, own), 409, "halted")
    done(host.post("/v1/halts/resume", halt))
    venue.trade(buyer, own)


# -- trustee of data subjects


def test_a_trustee_holds_a_listing_of_personal_information(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "Roles complete: ... trustee of data subjects": sees the consent, objects with a reason, a reviewer decides."""
    trustee = granted(venue, "trustee")
    product = venue.product(merchant, **PERSONAL)
    personal, harmless = venue.listing(merchant, product), venue.listing(merchant)
    assert done(trustee.get(f"/v1/products/{product}"), 200)["consent"]["basis"] == "separate_consent"
    body = {"reason": "同意书未列明接收方 the consent names no recipient"}
    assert trustee.post(f"/v1/listings/{harmless}/objections", body).status_code in (403, 409, 422)
    path = f"/v1/listings/{personal}/objections"
    refused(buyer.post(path, body), 403)
    venue.trade(buyer, personal)
    objection = done(trustee.post(path, body), 201)["objection"]
    held = venue.order(buyer, personal)
    states = [] if held.is_error else [trade["state"] for trade in held.json()["trades"]]
    assert held.is_error or states == ["held"], held.text
    decision = {"decision": "reject", "text": "接收方已逐一告知"}
    refused(trustee.post(f"{path}/{objection}/decision", decision), 403)
    done(venue.desk.post(f"{path}/{objection}/decision", decision))
    venue.trade(venue.buyer(), personal)


# -- how long it is kept; this comes last: it moves far


def test_the_log_is_kept_as_long_as_the_rules_say(venue: Venue) -> None:
    """Line: "audit log ..., kept as long as the rules say": every entry says until when, and then it is gone."""
    buyer = venue.buyer(cash_fen=0)
    done(venue.desk.get(f"/v1/participants/{buyer.participant}"), 200)
    kept = log(buyer, "/v1/audit-log/me")
    assert kept
    until = max(parsed(one["until"]) for one in kept)
    assert (until - venue.now()).days >= 180
    venue.advance(seconds=int((until - venue.now()).total_seconds()) - 60)
    assert [one for one in log(buyer, "/v1/audit-log/me") if instant(parsed(one["until"])) == instant(until)]
    venue.advance(days=2)
    assert not [one for one in log(buyer, "/v1/audit-log/me") if parsed(one["until"]) <= until]
