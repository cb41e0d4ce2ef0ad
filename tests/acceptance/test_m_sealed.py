"""Issue 5, "Sealed bid": first and second price, reserve, commit and reveal, a deposit that is forfeited.

What the checks expect; more members are welcome:

    terms.auction = {kind: sealed_first | sealed_second, deposit_fen, commit_days, reveal_days,
                     reserve_fen | reserve_sha256}
    commitment    = sha256 of "listing|participant|quantity|price_fen|nonce"; reserve_sha256 = sha256 of "reserve_fen|nonce"
    GET /v1/listings/{listing}/auction -> {state: open | revealing | closed, bids, price_fen: null | what the winner pays}
"""

from typing import Any

import httpx
import pytest

from tests.acceptance.floor import killed, not_taken, paid, refunded, struck, verified
from tests.story import Person, Venue, done, refused, sha256_of, unlawful

DEPOSIT = 5_000


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def anna(venue: Venue) -> Person:
    return venue.buyer(cash_fen=1_000_000)


@pytest.fixture
def bert(venue: Venue) -> Person:
    return venue.buyer(cash_fen=1_000_000)


def on_sale(venue: Venue, merchant: Person, kind: str = "sealed_first", **auction: Any) -> str:
    """One licence, three days to commit, two to reveal."""
    terms = {"kind": kind, "deposit_fen": DEPOSIT, "commit_days": 3, "reveal_days": 2, "reserve_fen": 0}
    if "reserve_sha256" in auction:
        del terms["reserve_fen"]
    return venue.listing(
        merchant, mechanism="sealed_bid", supply="limited", supply_units=1, auction={**terms, **auction}
    )


def commit(venue: Venue, person: Person, listing: str, price_fen: int) -> httpx.Response:
    """The nonce is the price in words that nobody guesses."""
    venue.agree(person, listing)
    said = f"{listing}|{person.participant}|1|{price_fen}|nonce-{price_fen}"
    return person.post(f"/v1/listings/{listing}/bids", {"commitment": sha256_of(said)})


def committed(venue: Venue, person: Person, listing: str, price_fen: int) -> str:
    return str(done(commit(venue, person, listing, price_fen), 201)["bid"])


def reveal(person: Person, bid: str, price_fen: int, **changes: Any) -> httpx.Response:
    body = {"price_fen": price_fen, "quantity": 1, "nonce": f"nonce-{price_fen}", **changes}
    return person.post(f"/v1/bids/{bid}/reveal", body)


def auction(venue: Venue, listing: str) -> dict[str, Any]:
    shown: dict[str, Any] = done(venue.http.get(f"/v1/listings/{listing}/auction"), 200)
    return shown


def held(venue: Venue, listing: str, *bids: tuple[Person, int]) -> None:
    """The whole auction: all commit, all reveal, the end passes."""
    made = [(person, committed(venue, person, listing, price), price) for person, price in bids]
    venue.advance(days=3, seconds=60)
    for person, bid, price in made:
        done(reveal(person, bid, price))
    venue.advance(days=2, seconds=60)
    assert auction(venue, listing)["state"] == "closed"


def sold_for(venue: Venue, listing: str, person: Person) -> int:
    [trade] = struck(listing, person)
    told = venue.read_trade(trade, person)
    assert told["state"] == "settled", told
    return int(told["amount_fen"])


def test_first_price(venue: Venue, merchant: Person, anna: Person, bert: Person) -> None:
    listing, before = on_sale(venue, merchant), bert.account()
    held(venue, listing, (anna, 60_000), (bert, 40_000))
    assert sold_for(venue, listing, anna) == 60_000
    assert struck(listing, bert) == []
    assert bert.account() == before, "who loses has its deposit back"
    assert (anna.balance, anna.account()["reserved"]) == (940_000, 0)


def test_second_price(venue: Venue, merchant: Person, anna: Person, bert: Person) -> None:
    listing = on_sale(venue, merchant, "sealed_second")
    held(venue, listing, (anna, 60_000), (bert, 40_000))
    assert sold_for(venue, listing, anna) == 40_000
    assert anna.account() == {"asset": "CNY", "balance": 960_000, "reserved": 0, "available": 960_000}


def test_second_price_of_one_bidder(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant, "sealed_second", reserve_fen=30_000)
    held(venue, listing, (anna, 60_000))
    assert sold_for(venue, listing, anna) == 30_000


def test_a_tie_goes_to_the_earlier(venue: Venue, merchant: Person, anna: Person, bert: Person) -> None:
    listing = on_sale(venue, merchant)
    held(venue, listing, (bert, 50_000), (anna, 50_000))
    assert sold_for(venue, listing, bert) == 50_000
    assert struck(listing, anna) == []


def test_nothing_is_sold_below_the_reserve(venue: Venue, merchant: Person, anna: Person) -> None:
    listing, before = on_sale(venue, merchant, reserve_fen=70_000), anna.account()
    held(venue, listing, (anna, 60_000))
    assert struck(listing, anna) == []
    assert anna.account() == before


def test_a_secret_reserve_is_opened_as_it_was_sealed(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant, reserve_sha256=sha256_of("55137|salt"))
    assert "55137" not in venue.http.get(f"/v1/listings/{listing}").text
    bid = committed(venue, anna, listing, 60_000)
    venue.advance(days=3, seconds=60)
    path = f"/v1/listings/{listing}/auction/reserve"
    not_taken(merchant.post(path, {"reserve_fen": 65_000, "nonce": "salt"}))
    done(merchant.post(path, {"reserve_fen": 55_137, "nonce": "salt"}))
    done(reveal(anna, bid, 60_000))
    venue.advance(days=2, seconds=60)
    assert sold_for(venue, listing, anna) == 60_000


def test_nobody_sees_a_bid_before_it_is_revealed(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant)
    committed(venue, anna, listing, 613_572_468)
    auditor = venue.auditor()
    seen = [
        person.get(path).text
        for person in (venue.operator, auditor, merchant)
        for path in (f"/v1/listings/{listing}/auction", f"/v1/listings/{listing}", "/v1/trades", "/v1/orders")
    ]
    seen += [str(entry) for entry in auditor.every("/v1/journal", limit=200)]
    assert not any("613572468" in text or "613_572_468" in text for text in seen)
    told = auction(venue, listing)
    assert (told["state"], told["bids"], told["price_fen"]) == ("open", 1, None)
    assert anna.participant not in str(told)


def test_a_bid_reserves_its_deposit_and_no_more(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant)
    bid = committed(venue, anna, listing, 60_000)
    assert anna.account()["reserved"] == DEPOSIT
    venue.advance(days=3, seconds=60)
    done(reveal(anna, bid, 60_000))
    assert anna.account()["reserved"] >= 60_000
    poor = venue.buyer(cash_fen=DEPOSIT - 1)
    refused(commit(venue, poor, on_sale(venue, merchant), 1), 409, "funds_insufficient")


def test_who_does_not_reveal_forfeits_the_deposit(venue: Venue, anna: Person, bert: Person) -> None:
    """A merchant of its own: deposits of other checks' auctions are forfeited as time goes on."""
    merchant = venue.merchant()
    listing = on_sale(venue, merchant)
    committed(venue, bert, listing, 90_000)
    before = merchant.balance
    held(venue, listing, (anna, 60_000))
    assert sold_for(venue, listing, anna) == 60_000
    assert (bert.balance, bert.account()["reserved"]) == (1_000_000 - DEPOSIT, 0)
    assert merchant.balance == before + DEPOSIT


def test_what_was_not_committed_is_not_revealed(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listing = on_sale(venue, merchant)
    bid = committed(venue, anna, listing, 60_000)
    not_taken(reveal(anna, bid, 60_000))  # too early
    venue.advance(days=3, seconds=60)
    not_taken(commit(venue, bert, listing, 90_000))  # too late
    not_taken(reveal(anna, bid, 60_001, nonce="nonce-60000"))
    not_taken(reveal(anna, bid, 60_000, nonce="other"))
    refused(reveal(bert, bid, 60_000), 404, "not_found")
    done(reveal(anna, bid, 60_000))
    not_taken(reveal(anna, bid, 60_000))


def test_a_bidder_that_the_law_keeps_out(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant)
    facts = {"list": "export_control", "version": "2026-11", "state": "listed"}
    venue.enter("restricted_lists", facts, participant=anna.participant)
    unlawful(commit(venue, anna, listing, 60_000), "E04")
    answer = merchant.post(f"/v1/listings/{listing}/bids", {"commitment": sha256_of("own")})
    assert answer.status_code in (403, 409, 422), answer.text


def test_a_sealed_bid_to_its_payment_through_kill_9(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listing = on_sale(venue, merchant, "sealed_second", reserve_fen=30_000)
    bids = [(anna, committed(venue, anna, listing, 60_000), 60_000)]
    killed(venue)
    bids.append((bert, committed(venue, bert, listing, 40_000), 40_000))
    venue.advance(days=3, seconds=60)
    for person, bid, price in bids:
        done(reveal(person, bid, price))
        killed(venue)
    venue.advance(days=2, seconds=60)
    [trade] = struck(listing, anna)
    paid(venue, merchant, anna, trade, kill=True)
    assert (anna.balance, bert.balance) == (960_000, 1_000_000)
    verified(venue)


def test_a_sealed_bid_to_its_refund(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = on_sale(venue, merchant)
    held(venue, listing, (anna, 60_000))
    [trade] = struck(listing, anna)
    refunded(venue, anna, trade, 1_000_000)
