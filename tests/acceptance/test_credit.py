"""Issue, "The path of a trade", step 8: conduct reaches the bureau; score, grade, reasons are readable."""

from typing import Any

import pytest

from tests.story import Person, Venue, done, has_chinese, instant, refused, settled

BANDS = ("A", "B", "C", "D", "M")


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant, price_fen=2_000_000)


def rating(person: Person, **parameters: str) -> dict[str, Any]:
    seen: dict[str, Any] = done(person.get("/v1/credit/me", **parameters), 200)
    return seen


def test_a_newcomer_starts_at_631_with_a_thin_file(venue: Venue) -> None:
    seen = rating(venue.merchant())
    assert (seen["score"], seen["grade"]) == (631, "M")


def test_every_point_has_its_reason_and_the_reasons_sum_to_the_score(venue: Venue, merchant: Person) -> None:
    seen = rating(merchant)
    assert sum(reason["points"] for reason in seen["reasons"]) == seen["score"]
    assert 0 <= seen["score"] <= 1_000
    assert seen["grade"] in BANDS
    for reason in seen["reasons"]:
        assert reason["dimension"]
        assert has_chinese(reason["text_zh"])
        assert reason["text_en"]
        assert {"events", "clause", "fades_at"} <= set(reason)


def test_a_completed_sale_is_conduct_and_never_lowers(venue: Venue, merchant: Person, listing: str) -> None:
    before = rating(merchant)
    for _ in range(2):
        buyer = venue.buyer()
        venue.complete(merchant, buyer, venue.trade(buyer, listing))
    assert rating(merchant)["score"] == before["score"], "good conduct counts from the next midnight (UTC)"
    venue.advance(days=1)
    after = rating(merchant)
    assert after["score"] > before["score"]


def test_a_failed_delivery_costs_points_and_says_why(venue: Venue) -> None:
    careless, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(careless, delivery_days=1)
    trade = venue.trade(buyer, listing)
    before = rating(careless)
    venue.advance(days=1, seconds=60)
    assert venue.read_trade(trade, buyer)["state"] == "refunded"
    after = rating(careless)
    assert after["score"] < before["score"]
    named = [reason for reason in after["reasons"] if trade in str(reason["events"])]
    assert named, "the reason names the trade"
    assert all(reason["clause"] for reason in named)


def test_a_score_of_a_past_instant_repeats_exactly(venue: Venue, merchant: Person, listing: str) -> None:
    venue.advance(seconds=5)
    as_of = instant(venue.now())
    first = rating(merchant, as_of=as_of)
    venue.advance(seconds=60)
    buyer = venue.buyer()
    venue.complete(merchant, buyer, settled(venue.order(buyer, listing)))
    assert rating(merchant, as_of=as_of) == first


def test_others_see_the_grade_only(venue: Venue, merchant: Person) -> None:
    seen = done(venue.buyer(cash_fen=0).get(f"/v1/credit/{merchant.participant}"), 200)
    assert seen == {"participant": merchant.participant, "grade": rating(merchant)["grade"]}


def test_a_nonsense_instant_is_a_clear_error(merchant: Person) -> None:
    for as_of in ("yesterday", "2026-13-40T00:00:00Z", "2026-01-01T00:00:00"):
        refused(merchant.get("/v1/credit/me", as_of=as_of), 400)


def test_credit_is_for_those_signed_in(venue: Venue) -> None:
    assert venue.http.get("/v1/credit/me").status_code == 401
