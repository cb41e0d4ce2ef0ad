"""Issue 3, the desk: the operator halts and resumes a listing, a board, the market."""

from typing import Any

import pytest

from tests.story import Person, Venue, done, refused


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def asked(scope: str, subject: str = "") -> dict[str, Any]:
    return {"scope": scope, "subject": subject, "reason": "价格来源异常"}


@pytest.mark.parametrize("scope", ["listing", "board", "market"])
def test_halted_and_resumed(venue: Venue, merchant: Person, buyer: Person, scope: str) -> None:
    listing = venue.listing(merchant)
    body = asked(scope, {"listing": listing, "board": "general", "market": ""}[scope])
    done(venue.operator.post("/v1/halts", body))
    try:
        problem = refused(venue.order(buyer, listing), 409, "halted")
        assert "价格来源异常" in str(problem)
        named = done(venue.http.get("/v1/halts"), 200)["items"]
        assert [(row["scope"], row["subject"]) for row in named] == [(scope, body["subject"])]
        refused(venue.operator.post("/v1/halts", body), 409, "wrong_state")
    finally:
        done(venue.operator.post("/v1/halts/resume", body))
    assert done(venue.http.get("/v1/halts"), 200)["items"] == []
    venue.trade(buyer, listing)


def test_only_an_operator_halts(venue: Venue, merchant: Person) -> None:
    for person in (merchant, venue.desk):
        refused(person.post("/v1/halts", asked("market")), 403, "forbidden")
    refused(venue.operator.post("/v1/halts", asked("listing", "L999999")), 404, "not_found")
    refused(venue.operator.post("/v1/halts/resume", asked("market")), 409, "wrong_state")


@pytest.mark.parametrize("scope", ["listing", "board"])
def test_a_halt_of_nothing_says_what_is_missing(venue: Venue, scope: str) -> None:
    told = refused(venue.operator.post("/v1/halts", {"scope": scope, "reason": "x"}), 400, "malformed")
    assert told["detail"] == f"say in subject which {scope}"
