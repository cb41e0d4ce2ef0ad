"""Issue 5, "Ascending auction with extension": the highest bid at the end buys, and nobody wins by waiting.

What the checks expect; more members are welcome:

    terms.auction = {kind: ascending, start_fen, increment_fen, reserve_fen, deposit_fen, days, extension_minutes}
    POST /v1/listings/{listing}/bids {price_fen}  -> {bid}      (a price for the whole lot)
    GET  /v1/listings/{listing}/auction           -> {state: open | closed, bids, price_fen: the best so far, until}
"""

import datetime
from typing import Any

import httpx
import pytest

from tests.acceptance.floor import killed, not_taken, paid, refunded, struck, verified
from tests.story import Person, Venue, done, parsed, refused, unlawful

MONEY = 1_000_000


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def anna(venue: Venue) -> Person:
    return venue.buyer(cash_fen=MONEY)


@pytest.fixture
def bert(venue: Venue) -> Person:
    return venue.buyer(cash_fen=MONEY)


def on_sale(venue: Venue, merchant: Person, **auction: Any) -> str:
    """One licence from 10,000 fen, in steps of 1,000, for two days, and ten minutes from each late bid on."""
    terms = {
        "kind": "ascending",
        "start_fen": 10_000,
        "increment_fen": 1_000,
        "reserve_fen": 0,
        "deposit_fen": 0,
        "days": 2,
        "extension_minutes": 10,
        **auction,
    }
    return venue.listing(
        merchant, mechanism="lawful_auction", supply="limited", supply_units=1, auction=terms
    )


def bid(venue: Venue, person: Person, listing: str, price_fen: int) -> httpx.Response:
    venue.agree(person, listing)
    return person.post(f"/v1/listings/{listing}/bids", {"price_fen": price_fen})


def auction(venue: Venue, listing: str) -> dict[str, Any]:
    shown: dict[str, Any] = done(venue.http.get(f"/v1/listings/{listing}/auction"), 200)
    return shown


def to_the_last_minutes(venue: Venue, listing: str, minutes: int) -> datetime.datetime:
    """Moves the clock until so many minutes are left; gives the end."""
    until = parsed(auction(venue, listing)["until"])
    left = until - venue.now() - datetime.timedelta(minutes=minutes)
    venue.advance(seconds=int(left.total_seconds()))
    return until


def ended(venue: Venue, listing: str) -> None:
    venue.advance(days=2, seconds=60)
    assert auction(venue, listing)["state"] == "closed"


def test_the_highest_bid_buys(venue: Venue, merchant: Person, anna: Person, bert: Person) -> None:
    listing = on_sale(venue, merchant)
    for person, price in ((anna, 10_000), (bert, 11_000), (anna, 15_000)):
        done(bid(venue, person, listing, price), 201)
    told = auction(venue, listing)
    assert (told["state"], told["bids"], told["price_fen"]) == ("open", 3, 15_000)
    assert anna.participant not in str(told)
    ended(venue, listing)
    [trade] = struck(listing, anna)
    assert venue.read_trade(trade, anna)["amount_fen"] == 15_000
    assert struck(listing, bert) == []
    assert (anna.balance, bert.balance) == (MONEY - 15_000, MONEY)


def test_only_the_best_bid_keeps_its_money_reserved(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listing = on_sale(venue, merchant)
    done(bid(venue, anna, listing, 20_000), 201)
    assert anna.account()["reserved"] == 20_000
    done(bid(venue, bert, listing, 30_000), 201)
    assert (anna.account()["reserved"], bert.account()["reserved"]) == (0, 30_000)
    done(bid(venue, bert, listing, 40_000), 201)
    assert bert.account()["reserved"] == 40_000
    poor = venue.buyer(cash_fen=40_999)
    refused(bid(venue, poor, listing, 41_000), 409, "funds_insufficient")


def test_a_bid_is_at_least_the_start_and_then_a_step_higher(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listing = on_sale(venue, merchant)
    not_taken(bid(venue, anna, listing, 9_999))
    done(bid(venue, anna, listing, 10_000), 201)
    not_taken(bid(venue, bert, listing, 10_999))
    assert bert.account()["reserved"] == 0
    done(bid(venue, bert, listing, 11_000), 201)


def test_a_late_bid_moves_the_end(venue: Venue, merchant: Person, anna: Person, bert: Person) -> None:
    listing = on_sale(venue, merchant)
    done(bid(venue, anna, listing, 10_000), 201)
    until = to_the_last_minutes(venue, listing, 2)
    done(bid(venue, bert, listing, 12_000), 201)
    moved = parsed(auction(venue, listing)["until"])
    assert datetime.timedelta(minutes=7) < moved - until <= datetime.timedelta(minutes=10)
    venue.advance(seconds=5 * 60)
    assert auction(venue, listing)["state"] == "open", "three minutes after it would have ended"
    done(bid(venue, anna, listing, 13_000), 201)
    venue.advance(seconds=25 * 60)
    assert auction(venue, listing)["state"] == "closed"
    assert len(struck(listing, anna)) == 1


def test_an_early_bid_leaves_the_end_where_it_is(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant)
    until = to_the_last_minutes(venue, listing, 15)
    done(bid(venue, anna, listing, 10_000), 201)
    assert parsed(auction(venue, listing)["until"]) == until


def test_below_the_reserve_nothing_is_sold(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant, reserve_fen=50_000)
    done(bid(venue, anna, listing, 49_000), 201)
    ended(venue, listing)
    assert struck(listing, anna) == []
    assert (anna.balance, anna.account()["reserved"]) == (MONEY, 0)


def test_the_deposit_comes_back(venue: Venue, merchant: Person, anna: Person, bert: Person) -> None:
    listing = on_sale(venue, merchant, deposit_fen=3_000)
    done(bid(venue, anna, listing, 10_000), 201)
    assert anna.account()["reserved"] >= 10_000
    done(bid(venue, bert, listing, 11_000), 201)
    ended(venue, listing)
    assert (anna.balance, anna.account()["reserved"]) == (MONEY, 0)
    assert (bert.balance, bert.account()["reserved"]) == (MONEY - 11_000, 0)


def test_after_the_end_it_is_over(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant)
    ended(venue, listing)
    not_taken(bid(venue, anna, listing, 10_000))


def test_the_law_at_the_bid_and_at_the_hammer(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listed = {"list": "export_control", "version": "2026-11", "state": "listed"}
    venue.enter("restricted_lists", listed, participant=bert.participant)
    listing = on_sale(venue, merchant)
    unlawful(bid(venue, bert, listing, 10_000), "E04")
    done(bid(venue, anna, listing, 10_000), 201)
    venue.enter("restricted_lists", listed, participant=anna.participant)
    ended(venue, listing)
    states = [venue.read_trade(trade, venue.operator)["state"] for trade in struck(listing, venue.operator)]
    assert "settled" not in states
    assert (anna.balance, anna.account()["reserved"]) == (MONEY, 0)


def test_an_auction_to_its_payment_through_kill_9(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listing = on_sale(venue, merchant)
    for person, price in ((anna, 10_000), (bert, 11_000), (anna, 12_000)):
        done(bid(venue, person, listing, price), 201)
        killed(venue)
    ended(venue, listing)
    [trade] = struck(listing, anna)
    paid(venue, merchant, anna, trade, kill=True)
    assert (anna.balance, bert.balance) == (MONEY - 12_000, MONEY)
    verified(venue)


def test_an_auction_to_its_refund(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant)
    done(bid(venue, anna, listing, 10_000), 201)
    ended(venue, listing)
    [trade] = struck(listing, anna)
    refunded(venue, anna, trade, MONEY)
