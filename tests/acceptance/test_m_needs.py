"""Issue 5, "Request for quote, tender and challenge track" (M22): a need, proposals to it, an award that is a trade.

What the checks expect; more members are welcome:

    POST /v1/needs                    -> {need}, a need that names a `listing` asks that listing alone for a quote
    GET  /v1/needs/{need}             -> {state: open | ... | awarded | withdrawn, count: how many proposals,
                                          proposals: those that the asker may see: [{proposal, price_fen, score_bp, ...}]}
    POST /v1/needs/{need}/proposals   -> {proposal}
    POST /v1/needs/{need}/scores      {proposal, scores: {criterion: 0 .. 100}}
    POST /v1/needs/{need}/shortlist   {proposals: [...]}: the best, as many as the stage takes; it lasts until its date

The criteria `price_fen` and `delivery_days` are read from the proposals; any other is what the buyer marks.
"""

from typing import Any

import httpx
import pytest

from tests.acceptance.floor import killed, not_taken, paid, refunded, struck, verified
from tests.story import Person, Venue, done, refused, unlawful

MONEY = 1_000_000
CHEAP = [{"name": "price_fen", "weight_bp": 10_000, "better": "lower"}]
CHEAP_AND_GOOD = [
    {"name": "price_fen", "weight_bp": 4_000, "better": "lower"},
    {"name": "quality", "weight_bp": 6_000, "better": "higher"},
]


@pytest.fixture
def merchant(venue: Venue) -> Person:
    """One a test: what another test does to it would lower its grade."""
    return venue.merchant()


@pytest.fixture
def rival(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer(cash_fen=MONEY)


def asked(venue: Venue, buyer: Person, kind: str, **changes: Any) -> httpx.Response:
    body = {
        "kind": kind,
        "board": "general",
        "title": "港口吞吐量数据需求 Port throughput wanted",
        "text": "近三年分航线月度数据。Three years by route and month.",
        "purpose": "market_analysis",
        "territory": "CN",
        "quantity": 1,
        "criteria": CHEAP,
        "respond_until": venue.in_days(3),
        "decide_until": venue.in_days(10),
        **changes,
    }
    return buyer.post("/v1/needs", body)


def need(venue: Venue, buyer: Person, kind: str, **changes: Any) -> str:
    return str(done(asked(venue, buyer, kind, **changes), 201)["need"])


def offer(person: Person, wanted: str, listing: str, price_fen: int, **changes: Any) -> httpx.Response:
    body = {
        "listing": listing,
        "quantity": 1,
        "price_fen": price_fen,
        "delivery_days": 3,
        "text": "方案 offer",
    }
    return person.post(f"/v1/needs/{wanted}/proposals", {**body, **changes})


def offered(person: Person, wanted: str, listing: str, price_fen: int, **changes: Any) -> str:
    return str(done(offer(person, wanted, listing, price_fen, **changes), 201)["proposal"])


def counter(person: Person, proposal: str, price_fen: int) -> httpx.Response:
    return person.post(f"/v1/proposals/{proposal}/counter", {"price_fen": price_fen, "quantity": 1})


def accept(venue: Venue, person: Person, proposal: str, buyer: Person, listing: str) -> httpx.Response:
    venue.agree(buyer, listing)
    return person.post(f"/v1/proposals/{proposal}/accept", {})


def award(venue: Venue, buyer: Person, wanted: str, proposal: str, listing: str) -> httpx.Response:
    venue.agree(buyer, listing)
    return buyer.post(f"/v1/needs/{wanted}/award", {"proposal": proposal})


def seen(person: Person, wanted: str) -> dict[str, Any]:
    shown: dict[str, Any] = done(person.get(f"/v1/needs/{wanted}"), 200)
    return shown


def bought_for(venue: Venue, buyer: Person, listing: str) -> int:
    [trade] = struck(listing, buyer)
    told = venue.read_trade(trade, buyer)
    assert told["state"] == "settled", told
    return int(told["amount_fen"])


# -- needs


def test_a_need_is_published_and_withdrawn(venue: Venue, merchant: Person, buyer: Person) -> None:
    wanted = need(venue, buyer, "quote")
    assert wanted in {row["need"] for row in merchant.every("/v1/needs")}
    assert seen(merchant, wanted)["state"] == "open"
    refused(merchant.post(f"/v1/needs/{wanted}/withdraw", {}), 404, "not_found")
    done(buyer.post(f"/v1/needs/{wanted}/withdraw", {}))
    assert seen(merchant, wanted)["state"] == "withdrawn"
    not_taken(offer(merchant, wanted, venue.listing(merchant, mechanism="quote"), 40_000))


def test_criteria_weigh_ten_thousand_together(venue: Venue, buyer: Person) -> None:
    half = [{"name": "price_fen", "weight_bp": 5_000, "better": "lower"}]
    not_taken(asked(venue, buyer, "tender", criteria=half))
    not_taken(asked(venue, buyer, "tender", decide_until=venue.in_days(2)))
    need(venue, buyer, "tender")


def test_who_proposes_what_and_when(venue: Venue, merchant: Person, rival: Person, buyer: Person) -> None:
    wanted = need(venue, buyer, "quote")
    own, posted = venue.listing(merchant, mechanism="quote"), venue.listing(merchant)
    not_taken(offer(merchant, wanted, posted, 40_000))
    answer = offer(rival, wanted, own, 40_000)
    assert answer.status_code in (403, 404), answer.text
    not_taken(offer(merchant, need(venue, buyer, "quote", purpose="advertising"), own, 40_000))
    offered(merchant, wanted, own, 40_000)
    venue.advance(days=3, seconds=60)
    not_taken(offer(rival, wanted, venue.listing(rival, mechanism="quote"), 30_000))


def test_a_listing_without_a_price_is_not_simply_ordered(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    not_taken(venue.order(buyer, venue.listing(merchant, mechanism="quote")))


# -- request for quote


def test_a_quote_is_countered_until_it_is_accepted(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing, wanted = venue.listing(merchant, mechanism="quote"), need(venue, buyer, "quote")
    quote = offered(merchant, wanted, listing, 50_000)
    done(counter(buyer, quote, 30_000))
    done(counter(merchant, quote, 42_000))
    done(accept(venue, buyer, quote, buyer, listing))
    assert bought_for(venue, buyer, listing) == 42_000
    assert buyer.balance == MONEY - 42_000
    assert seen(buyer, wanted)["state"] == "awarded"


def test_nobody_counters_or_accepts_their_own_last_word(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    listing, wanted = venue.listing(merchant, mechanism="quote"), need(venue, buyer, "quote")
    quote = offered(merchant, wanted, listing, 50_000)
    not_taken(counter(merchant, quote, 45_000))
    not_taken(accept(venue, merchant, quote, buyer, listing))
    done(counter(buyer, quote, 30_000))
    not_taken(accept(venue, buyer, quote, buyer, listing))
    done(accept(venue, merchant, quote, buyer, listing))
    assert bought_for(venue, buyer, listing) == 30_000
    not_taken(counter(buyer, quote, 20_000))


def test_rivals_see_no_quote(venue: Venue, merchant: Person, rival: Person, buyer: Person) -> None:
    listing, wanted = venue.listing(merchant, mechanism="quote"), need(venue, buyer, "quote")
    quote = offered(merchant, wanted, listing, 487_654)
    assert "487654" in str(seen(buyer, wanted))
    assert "487654" in str(seen(merchant, wanted))
    assert "487654" not in str(seen(rival, wanted))
    refused(counter(rival, quote, 1), 404, "not_found")
    done(merchant.post(f"/v1/proposals/{quote}/withdraw", {}))
    not_taken(accept(venue, buyer, quote, buyer, listing))


def test_a_request_to_one_listing(venue: Venue, merchant: Person, rival: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, mechanism="quote")
    wanted = need(venue, buyer, "quote", listing=listing)
    refused(rival.get(f"/v1/needs/{wanted}"), 404, "not_found")
    refused(offer(rival, wanted, venue.listing(rival, mechanism="quote"), 10_000), 404, "not_found")
    done(accept(venue, buyer, offered(merchant, wanted, listing, 20_000), buyer, listing))
    assert bought_for(venue, buyer, listing) == 20_000


def test_an_award_needs_its_money_and_the_law(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing, poor = venue.listing(merchant, mechanism="quote"), venue.buyer(cash_fen=9_999)
    quote = offered(merchant, need(venue, poor, "quote"), listing, 10_000)
    refused(accept(venue, poor, quote, poor, listing), 409, "funds_insufficient")
    venue.cash_in(poor, 1)
    done(accept(venue, poor, quote, poor, listing))
    quote = offered(merchant, need(venue, buyer, "quote"), listing, 10_000)
    facts = {"list": "export_control", "version": "2026-11", "state": "listed"}
    venue.agree(buyer, listing)
    venue.enter("restricted_lists", facts, participant=buyer.participant)
    unlawful(accept(venue, buyer, quote, buyer, listing), "E04")
    assert buyer.account()["reserved"] == 0


# -- tender


def test_tenders_are_sealed_until_they_are_opened(
    venue: Venue, merchant: Person, rival: Person, buyer: Person
) -> None:
    wanted = need(venue, buyer, "tender")
    offered(merchant, wanted, venue.listing(merchant, mechanism="tender"), 487_654)
    for person in (buyer, rival, venue.operator):
        assert "487654" not in person.get(f"/v1/needs/{wanted}").text
    assert seen(buyer, wanted)["count"] == 1
    venue.advance(days=3, seconds=60)
    assert "487654" in str(seen(buyer, wanted))


def test_the_best_by_the_stated_criteria_and_nobody_else(
    venue: Venue, merchant: Person, rival: Person, buyer: Person
) -> None:
    wanted = need(venue, buyer, "tender")
    dear, cheap = (venue.listing(person, mechanism="tender") for person in (merchant, rival))
    first = offered(merchant, wanted, dear, 50_000)
    best = offered(rival, wanted, cheap, 40_000)
    not_taken(award(venue, buyer, wanted, best, cheap))  # before it is opened
    venue.advance(days=3, seconds=60)
    scores = {row["proposal"]: row["score_bp"] for row in seen(buyer, wanted)["proposals"]}
    assert scores[best] > scores[first]
    not_taken(award(venue, buyer, wanted, first, dear))
    done(award(venue, buyer, wanted, best, cheap))
    assert bought_for(venue, buyer, cheap) == 40_000
    assert struck(dear, buyer) == []


def test_marks_weigh_as_was_stated(venue: Venue, merchant: Person, rival: Person, buyer: Person) -> None:
    wanted = need(venue, buyer, "tender", criteria=CHEAP_AND_GOOD)
    good, cheap = (venue.listing(person, mechanism="tender") for person in (merchant, rival))
    fine, plain = offered(merchant, wanted, good, 50_000), offered(rival, wanted, cheap, 40_000)
    venue.advance(days=3, seconds=60)
    not_taken(award(venue, buyer, wanted, fine, good))  # without marks
    refused(merchant.post(f"/v1/needs/{wanted}/scores", {"proposal": fine, "scores": {"quality": 100}}), 404)
    for proposal, mark in ((fine, 95), (plain, 20)):
        body = {"proposal": proposal, "scores": {"quality": mark}}
        done(buyer.post(f"/v1/needs/{wanted}/scores", body))
    not_taken(buyer.post(f"/v1/needs/{wanted}/scores", {"proposal": fine, "scores": {"beauty": 1}}))
    done(award(venue, buyer, wanted, fine, good))
    assert bought_for(venue, buyer, good) == 50_000


def test_a_tender_is_not_haggled_and_ends(venue: Venue, merchant: Person, buyer: Person) -> None:
    wanted, listing = need(venue, buyer, "tender"), venue.listing(merchant, mechanism="tender")
    tender = offered(merchant, wanted, listing, 50_000)
    venue.advance(days=3, seconds=60)
    not_taken(counter(buyer, tender, 40_000))
    venue.advance(days=7)
    not_taken(award(venue, buyer, wanted, tender, listing))
    assert seen(buyer, wanted)["state"] not in ("open", "awarded")


# -- challenge


def test_a_challenge_by_stages(venue: Venue, merchant: Person, rival: Person, buyer: Person) -> None:
    stages = [{"name": "原型 prototype", "shortlist": 2, "until": venue.in_days(6)}]
    wanted = need(venue, buyer, "challenge", criteria=CHEAP_AND_GOOD, stages=stages, awards=2)
    third = venue.merchant()
    people = (merchant, rival, third)
    listings = [venue.listing(person, mechanism="tender") for person in people]
    quotes = [offered(person, wanted, one, 20_000) for person, one in zip(people, listings, strict=True)]
    venue.advance(days=3, seconds=60)
    for quote, mark in zip(quotes, (90, 80, 10), strict=True):
        done(buyer.post(f"/v1/needs/{wanted}/scores", {"proposal": quote, "scores": {"quality": mark}}))
    refused(rival.post(f"/v1/needs/{wanted}/shortlist", {"proposals": quotes[1:2]}), 404)
    not_taken(buyer.post(f"/v1/needs/{wanted}/shortlist", {"proposals": quotes[1:]}))
    done(buyer.post(f"/v1/needs/{wanted}/shortlist", {"proposals": quotes[:2]}))
    not_taken(award(venue, buyer, wanted, quotes[0], listings[0]))  # the stage lasts: they may still improve
    not_taken(award(venue, buyer, wanted, quotes[2], listings[2]))
    venue.advance(days=3)
    for quote, one in zip(quotes[:2], listings[:2], strict=True):
        done(award(venue, buyer, wanted, quote, one))
        assert bought_for(venue, buyer, one) == 20_000
    assert seen(buyer, wanted)["state"] == "awarded"


# -- the whole way


def test_a_quote_to_its_payment_through_kill_9(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing, wanted = venue.listing(merchant, mechanism="quote"), need(venue, buyer, "quote")
    killed(venue)
    quote = offered(merchant, wanted, listing, 50_000)
    killed(venue)
    done(counter(buyer, quote, 40_000))
    killed(venue)
    done(accept(venue, merchant, quote, buyer, listing))
    [trade] = struck(listing, buyer)
    paid(venue, merchant, buyer, trade, kill=True)
    verified(venue)


def test_a_tender_to_its_payment_through_kill_9(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing, wanted = venue.listing(merchant, mechanism="tender"), need(venue, buyer, "tender")
    tender = offered(merchant, wanted, listing, 50_000)
    killed(venue)
    venue.advance(days=3, seconds=60)
    killed(venue)
    done(award(venue, buyer, wanted, tender, listing))
    [trade] = struck(listing, buyer)
    paid(venue, merchant, buyer, trade, kill=True)
    verified(venue)


@pytest.mark.parametrize("kind", ["quote", "tender"])
def test_a_need_to_its_refund(venue: Venue, merchant: Person, buyer: Person, kind: str) -> None:
    listing, wanted = venue.listing(merchant, mechanism=kind), need(venue, buyer, kind)
    proposal = offered(merchant, wanted, listing, 50_000)
    venue.advance(days=3, seconds=60)
    if kind == "quote":
        done(accept(venue, buyer, proposal, buyer, listing))
    else:
        done(award(venue, buyer, wanted, proposal, listing))
    [trade] = struck(listing, buyer)
    refunded(venue, buyer, trade, MONEY)
