"""Issue 5, "Supply": exclusivity over all listings of a product, and holders who resell in the same book."""

from typing import Any

import pytest

from tests.acceptance.floor import buy, depth, fills, holder, look, sell, session
from tests.acceptance.test_orders import report
from tests.story import Person, Venue, done, refused, rules_named, settled, unlawful

SOLE: dict[str, Any] = {"deal": "exclusive_licence", "supply": "exclusive", "supply_units": 1}


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def taken(venue: Venue, merchant: Person) -> str:
    """A product whose core fields are licensed to somebody alone, in China, for 90 days."""
    product = venue.product(merchant)
    venue.trade(venue.buyer(), venue.listing(merchant, product, **SOLE))
    return product


@pytest.mark.parametrize("more", [{}, SOLE])
def test_what_is_exclusive_is_sold_through_no_other_listing(
    venue: Venue, merchant: Person, buyer: Person, taken: str, more: dict[str, Any]
) -> None:
    unlawful(venue.order(buyer, venue.listing(merchant, taken, **more)), "B16")


def test_what_is_exclusive_is_not_dealt_off_the_venue_either(
    venue: Venue, merchant: Person, buyer: Person, taken: str
) -> None:
    listing = venue.listing(merchant, taken, mechanism="off_venue")
    report(venue, merchant, buyer, listing, "sell")
    made = report(venue, buyer, merchant, listing, "buy")
    verdict = venue.read_trade(made["trade"], buyer)["verdict"]
    assert (made["state"], rules_named(verdict["violated"])) == ("refused", {"B16"})


def test_other_fields_and_other_places_are_free(
    venue: Venue, merchant: Person, buyer: Person, taken: str
) -> None:
    venue.trade(buyer, venue.listing(merchant, taken, field_group="extended"))
    venue.trade(buyer, venue.listing(merchant, taken, territories=["HK"]), territory="HK")


def test_a_listing_for_several_places_overlaps_where_one_is_taken(
    venue: Venue, merchant: Person, buyer: Person, taken: str
) -> None:
    both = venue.listing(merchant, taken, territories=["CN", "HK"])
    unlawful(venue.order(buyer, both, territory="CN"), "B16")
    venue.trade(buyer, both, territory="HK")


def test_when_its_term_is_over_it_is_free(venue: Venue, merchant: Person, buyer: Person, taken: str) -> None:
    listing = venue.listing(merchant, taken)
    unlawful(venue.order(buyer, listing), "B16")
    venue.advance(days=91)
    venue.trade(buyer, listing)


def test_two_exclusive_listings_of_one_product_sell_once(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    product = venue.product(merchant)
    one, other = (venue.listing(merchant, product, **SOLE) for _ in range(2))
    settled(venue.order(buyer, one))
    unlawful(venue.order(venue.buyer(), other), "B16")


def test_an_auction_does_not_sell_what_is_exclusive(
    venue: Venue, merchant: Person, buyer: Person, taken: str
) -> None:
    auction = {"kind": "ascending", "start_fen": 1, "increment_fen": 1, "days": 1, "extension_minutes": 1}
    terms: dict[str, Any] = {
        "mechanism": "lawful_auction",
        "supply": "limited",
        "supply_units": 1,
        "auction": auction,
    }
    listing = venue.listing(merchant, taken, **terms)
    venue.agree(buyer, listing)
    unlawful(buyer.post(f"/v1/listings/{listing}/bids", {"price_fen": 100}), "B16")


# -- resale


def test_holders_resell_in_the_same_book_as_their_merchant(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    book = venue.book_listing(merchant)
    reseller = holder(venue, merchant, book, 5)
    mine = sell(venue, reseller, book, 3, 900)
    sell(venue, merchant, book, 3, 950)
    assert depth(venue, book)[1] == [(900, 3), (950, 3)]
    placed = buy(venue, buyer, book, 4, 950)
    assert fills(buyer, placed) == [(900, 3), (950, 1)]
    assert look(reseller, mine)["state"] == "filled"
    units = {person.participant: person.account(f"unit:{book}")["balance"] for person in (reseller, buyer)}
    assert units == {reseller.participant: 2, buyer.participant: 4}


def test_nobody_resells_what_was_sold_already(venue: Venue, merchant: Person) -> None:
    book = venue.book_listing(merchant)
    reseller = holder(venue, merchant, book, 5)
    sell(venue, reseller, book, 5, 900)
    refused(venue.order(reseller, book, 1, side="sell", limit_fen=900), 409, "units_insufficient")


def test_holders_resell_in_a_call_auction(venue: Venue, merchant: Person, buyer: Person) -> None:
    book = venue.book_listing(merchant)
    reseller = holder(venue, merchant, book, 5)
    done(session(venue, "computing", "call_auction"))
    try:
        mine = sell(venue, reseller, book, 5, 900)
        buy(venue, buyer, book, 5, 900)
    finally:
        done(session(venue, "computing", "continuous"))
    assert look(reseller, mine)["state"] == "filled"
