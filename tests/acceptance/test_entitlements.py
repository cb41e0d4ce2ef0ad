"""Issue 4, the life of an entitlement over HTTP: suspended, resumed, renewed, revoked, and what its key then opens."""

import datetime
from typing import Any

import httpx
import pytest

from tests.story import Person, Venue, done, parsed, refused, sha256_of


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


class Bought:
    """A file that was bought, delivered and paid, with the key to it."""

    def __init__(self, venue: Venue, merchant: Person, buyer: Person, **terms: Any) -> None:
        self.venue, self.merchant, self.buyer = venue, merchant, buyer
        self.listing = venue.listing(merchant, **terms)
        self.trade = venue.trade(buyer, self.listing)
        venue.complete(merchant, buyer, self.trade)
        self.id = venue.read_trade(self.trade, buyer)["entitlement"]
        self.key = done(buyer.post(f"/v1/entitlements/{self.id}/key", {}))["key"]

    def move(self, by: Person, step: str, **body: object) -> httpx.Response:
        return by.post(f"/v1/entitlements/{self.id}/{step}", body)

    def read(self) -> dict[str, object]:
        found: dict[str, object] = done(self.buyer.get(f"/v1/entitlements/{self.id}"))
        return found

    def download(self) -> httpx.Response:
        return self.venue.http.get(
            f"/v1/entitlements/{self.id}/content", headers={"X-Entitlement-Key": self.key}
        )

    def is_active(self) -> bool:
        return bool(done(self.merchant.post("/v1/entitlements/check", {"key": self.key}))["active"])


@pytest.fixture
def bought(venue: Venue, merchant: Person, buyer: Person) -> Bought:
    return Bought(venue, merchant, buyer)


def test_a_suspended_key_opens_nothing_until_it_is_resumed(bought: Bought) -> None:
    assert bought.download().status_code == 200
    assert bought.is_active()
    paper = {"evidence_sha256": sha256_of("query log")}
    refused(bought.move(bought.merchant, "suspend", reason="just so"), 400)
    told = done(bought.move(bought.merchant, "suspend", reason="查询量异常，待核实", **paper))
    assert (told["state"], told["reason"]) == ("suspended", "查询量异常，待核实")
    refused(bought.download(), 403, "forbidden")
    assert not bought.is_active()
    seen = bought.read()
    assert (seen["state"], seen["reason"]) == ("suspended", "查询量异常，待核实")
    refused(bought.move(bought.buyer, "resume", reason="please"), 404, "not_found")
    done(bought.move(bought.merchant, "resume", reason="已核实"))
    assert bought.download().status_code == 200
    assert bought.is_active()


def test_a_reviewer_opens_again_what_was_shut_without_ground(venue: Venue, bought: Bought) -> None:
    """It stands against the merchant, and the buyer loses no day."""
    until = bought.read()["until"]
    paper = {"evidence_sha256": sha256_of("correspondence")}
    done(bought.move(bought.merchant, "suspend", reason="just so", **paper))
    assert bought.read()["until"] is None
    venue.advance(days=3)
    reviewer = venue.reviewer()
    refused(bought.move(reviewer, "resume", reason="nothing is wrong"), 422, "evidence_missing")
    done(bought.move(reviewer, "resume", reason="nothing is wrong", **paper))
    assert bought.download().status_code == 200
    assert parsed(str(bought.read()["until"])) >= parsed(str(until)) + datetime.timedelta(days=3)


def test_a_revoked_key_opens_nothing_ever(venue: Venue, bought: Bought) -> None:
    body = {"reason": "法院裁定停止使用", "evidence_sha256": sha256_of("ruling")}
    refused(bought.move(bought.merchant, "revoke", **body), 403, "forbidden")
    assert done(bought.move(venue.reviewer(), "revoke", **body))["state"] == "revoked"
    refused(bought.download(), 403, "forbidden")
    assert not bought.is_active()
    assert bought.read()["reason"] == "法院裁定停止使用"
    again = {"reason": "again", "evidence_sha256": sha256_of("again")}
    refused(bought.move(bought.merchant, "suspend", **again), 404, "not_found")


def test_a_renewal_is_a_new_trade_that_is_paid_and_delivered(venue: Venue, bought: Bought) -> None:
    before = bought.buyer.balance
    told = done(bought.move(bought.buyer, "renew"), 201)
    fill = told["fill"]
    assert fill["state"] == "settled"
    assert bought.buyer.balance == before - fill["amount_fen"]
    assert bought.read()["renewed_by"] == fill["trade"]
    refused(bought.move(bought.buyer, "renew"), 409, "already_exists")
    venue.complete(bought.merchant, bought.buyer, fill["trade"])
    seen = done(bought.buyer.get(f"/v1/entitlements/{fill['entitlement']}"))
    assert seen["state"] == "active"


def test_a_renewal_at_its_end_and_one_that_nobody_renews(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    kept, left = (Bought(venue, merchant, buyer, term_days=10) for _ in range(2))
    venue.advance(days=9)
    fill = done(kept.move(buyer, "renew"), 201)["fill"]
    venue.advance(days=1, seconds=60)
    assert kept.read()["state"] == "renewed"
    assert left.read()["state"] == "expired"
    refused(left.move(buyer, "renew"), 404, "not_found")
    refused(kept.download(), 403, "forbidden")
    venue.advance(days=4)
    assert venue.read_trade(fill["trade"], buyer)["state"] == "refunded"
    assert kept.read()["state"] == "expired"


def test_reviewers_see_what_they_decide_on(venue: Venue, bought: Bought) -> None:
    assert done(venue.reviewer().get(f"/v1/entitlements/{bought.id}"))["entitlement"] == bought.id
    refused(venue.buyer(cash_fen=0).get(f"/v1/entitlements/{bought.id}"), 404, "not_found")
