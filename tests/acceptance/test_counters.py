"""Issue 4, rules that count: the opposite trade (F01), holders of split rights (F03), persons whose data goes abroad."""

from typing import Any

import pytest

from tests.acceptance.test_rule_stories import ASSESSED as IMPACT_ASSESSED
from tests.acceptance.test_rule_stories import NAMED, Entry, Side, Story, tell
from tests.story import Person, Venue, done, rules_named, settled, unlawful


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


def units(venue: Venue, merchant: Person, offered: int) -> str:
    """A book on the data IP board, which 国发〔2011〕38号 binds, with the merchant's offer in it."""
    listing = venue.listing(
        merchant,
        "",
        "data_ip",
        mechanism="continuous_auction",
        supply="limited",
        supply_units=10_000,
        price_fen=100,
    )
    done(venue.order(merchant, listing, offered, side="sell", limit_fen=100), 201)
    return listing


def test_F01_five_trading_days_between_buying_and_selling(venue: Venue, merchant: Person) -> None:
    dealer = venue.merchant("buyer")
    venue.cash_in(dealer, 1_000_000)
    listing = units(venue, merchant, 10)
    settled(venue.order(dealer, listing, 5, limit_fen=100))
    unlawful(venue.order(dealer, listing, 5, side="sell", limit_fen=120), "F01")
    venue.advance(days=8)
    done(venue.order(dealer, listing, 5, side="sell", limit_fen=120), 201)


def test_F03_two_hundred_holders_and_not_one_more(venue: Venue, merchant: Person) -> None:
    listing = units(venue, merchant, 300)
    people = [venue.buyer(cash_fen=1_000) for _ in range(201)]
    for buyer in people[:200]:
        settled(venue.order(buyer, listing, 1, limit_fen=100))
    unlawful(venue.order(people[200], listing, 1, limit_fen=100), "F03")
    settled(venue.order(people[0], listing, 1, limit_fen=100))


def route(kind: str, *purposes: str) -> Side:
    """A route in the register of export routes, to Singapore."""
    facts = {"route": kind, "purposes": list(purposes or ("market_analysis",)), "territories": ["SG"]}
    return Side(entries=(Entry("export_routes", "d", facts),))


def abroad(*entries: Entry, separate: bool = True, **classification: Any) -> Side:
    """Data on offer to Singapore, and ordered there."""
    groups: dict[str, Any] = {
        "authorisation": {"territories": ["CN", "SG"]},
        "classification": classification,
    }
    if classification.get("origin") == "personal":
        groups["consent"] = {
            "basis": "separate_consent", "purposes": ["market_analysis", "risk_control"],
            "cross_border_separate": separate,
        }  # fmt: skip
        entries = (*entries, IMPACT_ASSESSED, NAMED)
    where = {"territories": ["CN", "SG"]}
    return Side(declared=groups, terms=where, ordered={"territory": "SG"}, entries=entries)


def persons(number: int, sensitive: int = 0) -> dict[str, Any]:
    return {
        "origin": "personal", "pi_state": "identifiable", "persons": number, "sensitive_persons": sensitive,
    }  # fmt: skip


CIIO = Entry("critical_infrastructures", "m", {"designated": True})
ASSESSED = Entry("assessments", "d", {"kind": "risk_assessment", "result": "passed"})
ABROAD = (
    Story("G01", "important data without a passed security assessment", Side(), route("security_assessment"),
          abroad(ASSESSED, data_class="important")),
    Story("G02", "an operator of critical infrastructure by a standard contract", route("standard_contract"),
          route("security_assessment"), abroad(CIIO, **persons(10))),
    Story("G03", "a million persons by certification", route("certification"), route("security_assessment"),
          abroad(**persons(1_000_000)), held=True),
    Story("G04", "a hundred thousand persons by no route", Side(), route("standard_contract"),
          abroad(**persons(100_000)), held=True),
    Story("G05", "no separate consent to leave the country", abroad(separate=False, **persons(10)),
          abroad(**persons(10)), abroad(**persons(10))),
    Story("G06", "a security assessment for another purpose", route("security_assessment", "risk_control"),
          route("security_assessment"), abroad(**persons(10))),
)  # fmt: skip


@pytest.mark.parametrize("story", ABROAD, ids=lambda story: f"{story.rule} {story.told}")
def test_data_that_leaves_the_country_and_its_lawful_twin(venue: Venue, story: Story) -> None:
    tell(venue, story)


def test_two_products_reach_a_threshold_together(venue: Venue) -> None:
    merchant, buyer = venue.merchant(), venue.buyer()
    whole = abroad(**persons(60_000))
    listings = []
    for _ in range(2):
        product = venue.product(merchant, **whole.declared)
        listings.append(venue.listing(merchant, product, **whole.terms))
    settled(venue.order(buyer, listings[0], territory="SG"))
    (held,) = done(venue.order(buyer, listings[1], territory="SG"), 201)["trades"]
    assert rules_named(held["violated"]) == {"G04"}
    settled(venue.order(venue.buyer(), listings[1], territory="CN"))
