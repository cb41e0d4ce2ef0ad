"""Issue 4, "Entitlement life as a table": granted, active, suspended, renewed, expired, revoked, deleted with proof.

`test_entitlements` has what suspending, resuming and revoking do to a key; here are the terms' ends.

What the checks expect; more members are welcome:

    GET  /v1/entitlements/{entitlement}            entitlement, trade, state, until, reason, reminded_at, renewed_by
    POST /v1/entitlements/{entitlement}/suspend    {reason, evidence_sha256}    the merchant that sold it: suspended
    POST /v1/entitlements/{entitlement}/resume     {reason}     the same; with evidence_sha256 a reviewer or an operator
    POST /v1/entitlements/{entitlement}/renew      {}           its buyer -> {fill: {trade, state, ...}}, a new trade
    POST /v1/entitlements/{entitlement}/revoke     {reason, evidence_sha256}    reviewer or operator -> {state: revoked}
    POST /v1/entitlements/{entitlement}/deletion-proof    {evidence_sha256}     its buyer; then it is deleted
"""

import datetime
from typing import Any

import httpx
import pytest

from tests.story import Person, Venue, done, parsed, refused, sha256_of

NOT_THEIRS = (403, 404)
OVER = (404, 409)
"""What it may be called when a step is another's, or when there is nothing left that can take it."""


def move(person: Person, entitlement: str, step: str, **body: Any) -> httpx.Response:
    if step in ("suspend", "resume", "revoke"):
        body = {"reason": "测试", **body}
    if step in ("suspend", "revoke", "deletion-proof"):
        body = {"evidence_sha256": sha256_of(step), **body}
    return person.post(f"/v1/entitlements/{entitlement}/{step}", body)


def seen(person: Person, entitlement: str) -> dict[str, Any]:
    found: dict[str, Any] = done(person.get(f"/v1/entitlements/{entitlement}"), 200)
    return found


def download(venue: Venue, entitlement: str, key: str) -> int:
    path = f"/v1/entitlements/{entitlement}/content"
    return venue.http.get(path, headers={"X-Entitlement-Key": key}).status_code


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def bought(venue: Venue, merchant: Person, buyer: Person, listing: str) -> tuple[str, str]:
    """An accepted delivery's entitlement, and its key."""
    trade = venue.trade(buyer, listing)
    entitlement = str(venue.read_trade(trade, buyer)["entitlement"])
    assert seen(buyer, entitlement)["state"] == "granted"
    venue.complete(merchant, buyer, trade)
    assert seen(buyer, entitlement)["state"] == "active"
    return entitlement, str(done(buyer.post(f"/v1/entitlements/{entitlement}/key", {}))["key"])


def test_a_renewal_pays_the_price_of_that_day(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "renewed (rules and price of that day)": a new trade with a verdict of its own; before the end the old key
    opens still."""
    listing = venue.listing(merchant, term_days=30)
    entitlement, key = bought(venue, merchant, buyer, listing)
    paid = buyer.balance
    venue.advance(days=25)
    price_fen = done(buyer.get(f"/v1/listings/{listing}"), 200)["price_fen"]
    fill = done(move(buyer, entitlement, "renew"))["fill"]
    assert fill["state"] == "settled", fill
    trade = venue.read_trade(fill["trade"], buyer)
    assert (trade["amount_fen"], trade["verdict"]["outcome"]) == (price_fen, "allow")
    assert parsed(trade["verdict"]["at"]) > venue.now() - datetime.timedelta(minutes=10), "judged anew"
    assert paid - buyer.balance == price_fen
    assert trade["entitlement"] != entitlement
    assert seen(buyer, entitlement)["renewed_by"] == fill["trade"]
    assert download(venue, entitlement, key) == 200
    venue.complete(merchant, buyer, fill["trade"])
    venue.advance(days=6)
    assert seen(buyer, entitlement)["state"] == "renewed"
    assert seen(buyer, trade["entitlement"])["state"] == "active"


def test_a_renewal_is_judged_by_the_rules_of_that_day(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "renewed (rules and price of that day)": what has become unlawful is not renewed, and costs nothing."""
    product = venue.product(merchant)
    entitlement, _ = bought(venue, merchant, buyer, venue.listing(merchant, product))
    paid = buyer.balance
    venue.amend(merchant, product, "authorisation", purposes=["risk_control"])
    answer = move(buyer, entitlement, "renew")
    if answer.status_code == 422:
        broken = refused(answer, 422, "unlawful")["violated"]
    else:
        fill = done(answer)["fill"]
        assert fill["state"] == "refused", fill
        broken = fill["violated"]
    assert [entry["rule"] for entry in broken] == ["B04"]
    assert (buyer.balance, buyer.account()["reserved"]) == (paid, 0)
    assert seen(buyer, entitlement)["state"] == "active", "what it bought it keeps"
    assert move(merchant, entitlement, "renew").status_code in NOT_THEIRS


def test_expired_it_is_deleted_with_proof(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "expired, ..., deleted with proof": only at the end, only by its buyer, only with evidence, once."""
    entitlement, key = bought(venue, merchant, buyer, venue.listing(merchant, term_days=10))
    assert move(buyer, entitlement, "deletion-proof").status_code in OVER, "it runs"
    venue.advance(days=10, seconds=60)
    assert seen(buyer, entitlement)["state"] == "expired"
    assert download(venue, entitlement, key) == 403
    assert move(merchant, entitlement, "deletion-proof").status_code in NOT_THEIRS
    assert move(buyer, entitlement, "deletion-proof", evidence_sha256="x").status_code in (400, 422)
    done(move(buyer, entitlement, "deletion-proof"))
    for reader in (buyer, merchant, venue.auditor()):
        assert seen(reader, entitlement)["state"] == "deleted"
    for step in ("deletion-proof", "renew"):
        assert move(buyer, entitlement, step).status_code in OVER


def test_its_buyer_is_reminded_before_the_end(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "reminders before each": of the end of the term, once, and before it comes."""
    entitlement, _ = bought(venue, merchant, buyer, venue.listing(merchant, term_days=60))
    assert seen(buyer, entitlement)["reminded_at"] is None
    until = parsed(seen(buyer, entitlement)["until"])
    venue.advance(seconds=int((until - venue.now()).total_seconds()) - 3_600)
    reminded = seen(buyer, entitlement)["reminded_at"]
    assert reminded is not None
    assert parsed(reminded) < until
    venue.advance(seconds=1_800)
    assert seen(buyer, entitlement)["reminded_at"] == reminded
    assert seen(buyer, entitlement)["state"] == "active"


def test_suspended_the_term_stands_still(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Entitlement life as a table": a suspended one does not expire; resumed, it has what was left of its term."""
    entitlement, _ = bought(venue, merchant, buyer, venue.listing(merchant, term_days=10))
    done(move(merchant, entitlement, "suspend"))
    venue.advance(days=10, seconds=60)
    assert seen(buyer, entitlement)["state"] == "suspended"
    done(move(merchant, entitlement, "resume"))
    assert parsed(seen(buyer, entitlement)["until"]) > venue.now() + datetime.timedelta(days=9)
    venue.advance(days=10, seconds=60)
    assert seen(buyer, entitlement)["state"] == "expired"
    assert move(merchant, entitlement, "resume").status_code in OVER
