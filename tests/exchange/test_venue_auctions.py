"""Auctions in the pure venue: bids, openings, the hammer and all that comes in between; where every fen is afterwards."""

import hashlib
from typing import Any

import pytest

from exchange import events as e
from exchange import venue
from exchange.auction import MOST_BIDS, commitment_of, reserve_sha256
from exchange.rejudging import differences
from exchange.state import DAY_NS, decode_state, encode_state
from tests.exchange.world import (
    OPERATOR,
    World,
    boards,
    changed,
    classification,
    empty,
    kinds,
    only,
    rulebook,
    terms,
)

MINUTE_NS = 60_000_000_000
CASH = 1_000_000
DEPOSIT = 5_000
SEALED: dict[str, Any] = {"commit_days": 3, "reveal_days": 2, "deposit_fen": DEPOSIT}
ASCENDING: dict[str, Any] = {"days": 3, "start_fen": 10_000, "increment_fen": 500, "extension_minutes": 10}
NONCE = "n0nce"


class Sale:
    """A merchant's lot, and bidders with 10,000 yuan each."""

    def __init__(self, kind: str = "sealed_first", board: str = "general", **fields: Any) -> None:
        self.world = World()
        self.merchant = self.world.merchant()
        self.bidders = [self.world.buyer(CASH) for _ in range(3)]
        auction = e.AuctionTerms(kind=kind, **fields)
        self.product = self.world.product(self.merchant)
        self.listing = self.world.listing(
            self.merchant,
            self.product,
            board,
            mechanism="lawful_auction" if kind == "ascending" else "sealed_bid",
            supply="exclusive",
            auction=auction,
        )
        for bidder in self.bidders:
            self.world.agree(bidder, self.listing)

    @property
    def ends_ns(self) -> int:
        return self.world.state.auctions[self.listing].reveal_until_ns

    @property
    def bids_until_ns(self) -> int:
        return self.world.state.auctions[self.listing].bids_until_ns

    def commit(self, bidder: str, price: int, **fields: Any) -> e.PlaceBid:
        sealed = commitment_of(self.listing, bidder, 1, price, NONCE)
        return changed(e.PlaceBid(actor=bidder, listing=self.listing, commitment=sealed), **fields)

    def sealed(self, bidder: str, price_fen: int) -> str:
        return only(self.world.must(self.commit(bidder, price_fen)), e.BidPlaced).bid

    def opening(self, bidder: str, of: str, price: int, **fields: Any) -> e.RevealBid:
        asked = e.RevealBid(actor=bidder, bid=of, price_fen=price, quantity=1, nonce=NONCE)
        return changed(asked, **fields)

    def all_sealed(self, *prices: int) -> list[str]:
        return [self.sealed(bidder, price) for bidder, price in zip(self.bidders, prices, strict=False)]

    def to_opening(self) -> None:
        self.world.tick_at(self.bids_until_ns)

    def opened(self, *prices: int) -> list[str]:
        """All of them sealed, then opened."""
        bids = self.all_sealed(*prices)
        self.to_opening()
        for bidder, bid, price in zip(self.bidders, bids, prices, strict=False):
            self.world.must(self.opening(bidder, bid, price))
        return bids

    def offer(self, bidder: str, price_fen: int, **fields: Any) -> e.PlaceBid:
        return changed(e.PlaceBid(actor=bidder, listing=self.listing, price_fen=price_fen), **fields)

    def bid(self, bidder: str, price_fen: int) -> e.BidPlaced:
        return only(self.world.must(self.offer(bidder, price_fen)), e.BidPlaced)

    def hammer(self) -> venue.Outcome:
        """A nanosecond behind the end."""
        return self.world.tick_at(self.ends_ns + 1_000)

    def closed(self) -> e.AuctionClosed:
        return only(self.hammer(), e.AuctionClosed)

    def money(self) -> list[tuple[int, int]]:
        """(balance, reserved) of each bidder."""
        return [self.world.money(bidder) for bidder in self.bidders]


FREE = (CASH, 0)


# ---- sealed bids


@pytest.mark.parametrize(("kind", "pays"), [("sealed_first", 40_000), ("sealed_second", 30_000)])
def test_the_highest_sealed_bid_wins_and_the_others_are_free(kind: str, pays: int) -> None:
    sale = Sale(kind, **SEALED)
    bids = sale.opened(30_000, 40_000, 20_000)
    assert sale.money() == [(CASH, 35_000), (CASH, 45_000), (CASH, 25_000)]
    outcome = sale.hammer()
    settled = only(outcome, e.Settled)
    assert (settled.buyer, settled.price_fen, settled.amount_fen) == (sale.bidders[1], pays, pays)
    closed = only(outcome, e.AuctionClosed)
    assert (closed.outcome, closed.bid, closed.price_fen) == ("awarded", bids[1], pays)
    assert closed.trade == settled.trade
    assert sale.money() == [FREE, (CASH - pays, 0), FREE]
    state = sale.world.state
    assert (state.auctions, state.bidding) == ({}, {})
    assert state.listings[sale.listing].state == "expired"
    sale.world.check()


def test_from_the_hammer_on_a_trade_is_what_it_is_at_a_posted_price() -> None:
    """40,000 fen: 2 % are 800 for the venue, 39,200 for the merchant; all of it goes back where nothing is delivered."""
    sale = Sale(**SEALED)
    sale.opened(40_000)
    trade = sale.closed().trade
    sale.world.deliver(trade)
    sale.world.accept(trade)
    assert sale.world.money(sale.merchant) == (39_200, 0)
    assert sale.money()[0] == (CASH - 40_000, 0)
    sale.world.check()
    other = Sale(**SEALED)
    other.opened(40_000)
    trade = other.closed().trade
    only(other.world.tick_at(other.world.state.trades[trade].due_ns + 1), e.Refunded)
    assert other.money() == [FREE] * 3
    other.world.check()


def test_the_earlier_of_equal_bids_wins() -> None:
    sale = Sale(**SEALED)
    bids = sale.opened(40_000, 40_000)
    assert sale.closed().bid == bids[0]


def test_until_it_is_opened_nobody_knows_a_price() -> None:
    """Not in the journal, not in the state: only the commitment is there, and it says nothing without the nonce."""
    sale = Sale(**SEALED)
    sale.sealed(sale.bidders[0], 40_000)
    placed = [raw for raw in sale.world.entries if b"BidPlaced" in raw]
    assert len(placed) == 1
    assert sale.world.state.auctions[sale.listing].bids["J1"].price_fen is None
    assert sale.commit(sale.bidders[0], 40_000).commitment == (
        hashlib.sha256(f"{sale.listing}|{sale.bidders[0]}|1|40000|{NONCE}".encode()).hexdigest()
    )


def test_an_unopened_bid_forfeits_its_deposit_to_the_merchant() -> None:
    sale = Sale("sealed_second", **SEALED)
    bids = sale.all_sealed(40_000, 50_000)
    sale.to_opening()
    sale.world.must(sale.opening(sale.bidders[0], bids[0], 40_000))
    outcome = sale.hammer()
    ended = {event.bid: event.step for event in outcome.events if isinstance(event, e.BidEnded)}
    assert ended == {bids[0]: "struck", bids[1]: "forfeited"}
    assert only(outcome, e.Settled).price_fen == 0
    assert sale.money()[1] == (CASH - DEPOSIT, 0)
    assert sale.world.money(sale.merchant) == (DEPOSIT, 0)
    sale.world.check()


def test_nothing_opened_is_no_award() -> None:
    sale = Sale(**SEALED)
    sale.all_sealed(40_000, 50_000)
    assert sale.closed().outcome == "unrevealed"
    assert sale.world.money(sale.merchant) == (2 * DEPOSIT, 0)
    sale.world.check()


def test_an_auction_without_bids_ends() -> None:
    for sale in (Sale(**SEALED), Sale("ascending", **ASCENDING)):
        assert sale.closed().outcome == "no_bids"
        assert sale.world.state.listings[sale.listing].state == "expired"
        sale.world.check()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price_fen": 40_001}, "commitment_wrong"),
        ({"nonce": "another"}, "commitment_wrong"),
        ({"quantity": 2}, "commitment_wrong"),
        ({"bid": "J9"}, "not_found"),
    ],
)
def test_what_is_opened_is_what_was_committed_to(change: dict[str, Any], code: str) -> None:
    sale = Sale(**SEALED)
    (bid,) = sale.all_sealed(40_000)
    sale.to_opening()
    assert sale.world.code(sale.opening(sale.bidders[0], bid, 40_000, **change)) == code
    assert sale.world.code(sale.opening(sale.bidders[1], bid, 40_000)) == "not_found"
    sale.world.must(sale.opening(sale.bidders[0], bid, 40_000))
    assert sale.world.code(sale.opening(sale.bidders[0], bid, 40_000)) == "wrong_state"
    sale.world.check()


def test_somebody_elses_commitment_is_of_no_use() -> None:
    """It has its bidder and its listing in it: a copied one cannot be opened, and costs its deposit."""
    sale = Sale(**SEALED)
    sale.sealed(sale.bidders[0], 40_000)
    copied = sale.commit(sale.bidders[0], 40_000, actor=sale.bidders[1])
    bid = only(sale.world.must(copied), e.BidPlaced).bid
    sale.to_opening()
    assert sale.world.code(sale.opening(sale.bidders[1], bid, 40_000)) == "commitment_wrong"


def test_a_bid_for_more_or_less_than_the_lot_cannot_be_opened() -> None:
    sale = Sale(**SEALED)
    bidder = sale.bidders[0]
    sealed = commitment_of(sale.listing, bidder, 2, 40_000, NONCE)
    bid = only(sale.world.must(sale.commit(bidder, 0, commitment=sealed)), e.BidPlaced).bid
    sale.to_opening()
    assert sale.world.code(sale.opening(bidder, bid, 40_000, quantity=2)) == "out_of_bounds"


def test_each_phase_to_the_nanosecond() -> None:
    sale = Sale(**SEALED)
    world, bidder = sale.world, sale.bidders[0]
    bid = sale.sealed(bidder, 40_000)
    assert world.code(sale.opening(bidder, bid, 40_000)) == "wrong_state"
    world.at_ns = sale.bids_until_ns - 2_000
    sale.sealed(sale.bidders[1], 30_000)
    assert world.at_ns == sale.bids_until_ns - 1_000
    assert world.code(sale.commit(sale.bidders[2], 20_000)) == "wrong_state"
    world.must(sale.opening(bidder, bid, 40_000))
    world.at_ns = sale.ends_ns - 1_000
    assert world.code(sale.opening(sale.bidders[1], "J2", 30_000)) == "wrong_state"
    world.check()


def test_an_opened_bid_that_cannot_be_paid_is_not_opened() -> None:
    """The bidder may pay in and open it again, in time; else its deposit is gone."""
    sale = Sale(**SEALED)
    bidder = sale.bidders[0]
    bid = sale.sealed(bidder, CASH)
    sale.to_opening()
    opening = sale.opening(bidder, bid, CASH)
    assert sale.world.code(opening) == "funds_insufficient"
    sale.world.pay_in(bidder, DEPOSIT)
    sale.world.must(opening)
    assert sale.closed().price_fen == CASH
    sale.world.check()


# ---- reserves


@pytest.mark.parametrize(("reserve", "outcome"), [(40_000, "awarded"), (40_001, "reserve_not_met")])
@pytest.mark.parametrize("kind", ["sealed_first", "sealed_second"])
def test_a_bid_at_the_reserve_wins_and_one_below_does_not(kind: str, reserve: int, outcome: str) -> None:
    sale = Sale(kind, **SEALED, reserve_fen=reserve)
    sale.opened(40_000, 30_000)
    closed = sale.closed()
    assert (closed.outcome, closed.reserve_fen) == (outcome, reserve)
    assert closed.price_fen == (40_000 if outcome == "awarded" else 0)
    if outcome != "awarded":
        assert sale.money() == [FREE] * 3
    sale.world.check()


def secret(kind: str, reserve_fen: int, **fields: Any) -> Sale:
    return Sale(kind, reserve_sha256=reserve_sha256(reserve_fen, NONCE), **fields)


def open_reserve(sale: Sale, reserve_fen: int, **fields: Any) -> e.OpenReserve:
    whole = {"actor": sale.merchant, "listing": sale.listing, "nonce": NONCE, **fields}
    return e.OpenReserve(reserve_fen=reserve_fen, **whole)


def test_a_secret_reserve_counts_once_it_is_opened() -> None:
    sale = secret("sealed_second", 35_000, **SEALED)
    bids = sale.all_sealed(40_000, 30_000)
    assert sale.world.code(open_reserve(sale, 35_000)) == "wrong_state"
    sale.to_opening()
    for bidder, bid, price in zip(sale.bidders, bids, (40_000, 30_000), strict=False):
        sale.world.must(sale.opening(bidder, bid, price))
    assert sale.world.code(open_reserve(sale, 36_000)) == "commitment_wrong"
    assert sale.world.code(open_reserve(sale, 35_000, actor=sale.bidders[0])) == "not_found"
    sale.world.must(open_reserve(sale, 35_000))
    assert sale.world.code(open_reserve(sale, 35_000)) == "wrong_state"
    assert sale.closed().price_fen == 35_000
    sale.world.check()


def test_a_secret_reserve_that_is_not_opened_counts_as_none() -> None:
    sale = secret("sealed_first", 90_000, **SEALED)
    sale.opened(40_000)
    assert (sale.closed().outcome, sale.money()[0]) == ("awarded", (CASH - 40_000, 0))


@pytest.mark.parametrize(("opens", "outcome"), [(True, "reserve_not_met"), (False, "awarded")])
def test_an_ascending_auction_may_have_a_secret_reserve(opens: bool, outcome: str) -> None:
    """It is opened when no more is bid."""
    sale = secret("ascending", 90_000, **ASCENDING, reveal_days=1)
    sale.bid(sale.bidders[0], 50_000)
    assert sale.world.code(open_reserve(sale, 90_000)) == "wrong_state"
    sale.to_opening()
    assert sale.world.code(sale.offer(sale.bidders[1], 95_000)) == "wrong_state"
    if opens:
        sale.world.must(open_reserve(sale, 90_000))
    assert sale.closed().outcome == outcome
    sale.world.check()


# ---- ascending


def test_outbid_money_is_free_at_once_and_the_last_bid_wins() -> None:
    sale = Sale("ascending", **ASCENDING)
    one, other, _ = sale.bidders
    first = sale.bid(one, 10_000)
    assert (sale.money()[0], first.outbid) == ((CASH, 10_000), "")
    second = sale.bid(other, 10_500)
    assert (sale.money()[:2], second.outbid) == ([FREE, (CASH, 10_500)], first.bid)
    sale.bid(one, CASH)
    assert sale.money()[:2] == [(CASH, CASH), FREE]
    sale.world.check()
    closed = sale.closed()
    assert (closed.outcome, closed.price_fen, closed.bid) == ("awarded", CASH, "J3")
    assert sale.money() == [(0, 0), FREE, FREE]
    sale.world.check()


@pytest.mark.parametrize(("price", "code"), [(9_999, "out_of_bounds"), (CASH + 1, "funds_insufficient")])
def test_a_first_bid_is_at_least_the_start_and_paid(price: int, code: str) -> None:
    sale = Sale("ascending", **ASCENDING)
    assert sale.world.code(sale.offer(sale.bidders[0], price)) == code


def test_the_next_bid_is_an_increment_above() -> None:
    sale = Sale("ascending", **ASCENDING)
    sale.bid(sale.bidders[0], 20_000)
    refusal = sale.world.refused(sale.offer(sale.bidders[1], 20_499))
    assert "at least 20500 fen" in refusal.detail
    sale.bid(sale.bidders[1], 20_500)


def test_whoever_leads_may_raise_with_the_same_money() -> None:
    sale = Sale("ascending", **ASCENDING)
    sale.bid(sale.bidders[0], CASH - 500)
    sale.bid(sale.bidders[0], CASH)
    assert sale.money()[0] == (CASH, CASH)
    sale.world.check()


def test_a_deposit_of_an_ascending_bid_is_set_aside_as_long_as_it_leads() -> None:
    sale = Sale("ascending", **ASCENDING, deposit_fen=3_000)
    one, other, _ = sale.bidders
    assert sale.world.code(sale.offer(one, CASH)) == "funds_insufficient"
    sale.bid(one, CASH - 4_000)
    sale.bid(one, CASH - 3_000)
    assert sale.money()[0] == (CASH, CASH)
    sale.world.pay_in(other, 10_000)
    sale.bid(other, CASH)
    assert sale.money()[:2] == [FREE, (CASH + 10_000, CASH + 3_000)]
    sale.world.check()
    sale.hammer()
    assert sale.money()[:2] == [FREE, (10_000, 0)]
    sale.world.check()


def test_a_late_bid_moves_the_end_and_an_early_one_does_not() -> None:
    sale = Sale("ascending", **ASCENDING)
    end_ns = sale.ends_ns
    sale.bid(sale.bidders[0], 10_000)
    assert sale.ends_ns == end_ns
    sale.world.at_ns = end_ns - 5 * MINUTE_NS
    placed = sale.bid(sale.bidders[1], 20_000)
    assert sale.ends_ns == placed.bids_until_ns == sale.world.at_ns + 10 * MINUTE_NS
    assert "AuctionClosed" not in kinds(sale.world.tick_at(end_ns + 1_000))
    sale.bid(sale.bidders[0], 30_000)
    assert sale.closed().price_fen == 30_000
    sale.world.check()


def test_no_end_moves_behind_the_listings_own() -> None:
    sale = Sale("ascending", **{**ASCENDING, "days": 365})
    end_ns = sale.ends_ns
    assert end_ns == sale.world.state.listings[sale.listing].until_ns
    sale.world.at_ns = end_ns - MINUTE_NS
    sale.bid(sale.bidders[0], 10_000)
    assert sale.ends_ns == end_ns
    outcome = sale.hammer()
    assert only(outcome, e.AuctionClosed).outcome == "awarded"
    assert [event.state for event in outcome.events if isinstance(event, e.ListingMoved)] == ["expired"]
    sale.world.check()


# ---- who bids


def test_the_merchant_and_its_owner_do_not_bid() -> None:
    """Shill bids: its own, that of a firm it owns, of its owner, and of another firm of that owner."""
    sale = Sale("ascending", **ASCENDING)
    world = sale.world
    daughter = world.buyer(owner=sale.merchant)
    for actor in (sale.merchant, daughter):
        world.agree(actor, sale.listing)
        assert world.code(sale.offer(actor, 10_000)) == "own_case"
    owner = world.buyer()
    world.must(
        e.DecideIdentity(
            actor=world.reviewer, participant=daughter, accept=True, owner_id=owner,
            mandate_until_ns=world.at_ns + 9 * DAY_NS, evidence_sha256="ab" * 32,
        )
    )  # fmt: skip
    world.agree(daughter, sale.listing)
    sale.bid(daughter, 10_000)


def test_a_bidder_that_becomes_the_merchants_own_does_not_win() -> None:
    sale = Sale("ascending", **ASCENDING)
    bidder = sale.bidders[0]
    sale.bid(bidder, 10_000)
    sale.world.verify(bidder, owner_id=sale.merchant)
    assert sale.closed().outcome == "refused"
    assert sale.money()[0] == FREE
    sale.world.check()


def test_the_staff_does_not_bid() -> None:
    sale = Sale("ascending", **ASCENDING)
    sale.world.must(e.GrantRole(actor=OPERATOR, participant=sale.bidders[0], role="auditor"))
    assert sale.world.code(sale.offer(sale.bidders[0], 10_000)) == "own_case"


def test_one_sealed_bid_of_one_ultimate_owner() -> None:
    sale = Sale(**SEALED)
    first = sale.bidders[0]
    sale.sealed(first, 40_000)
    daughter = sale.world.buyer(owner=first)
    sale.world.agree(daughter, sale.listing)
    for bidder in (first, daughter):
        assert sale.world.code(sale.commit(bidder, 30_000)) == "already_exists"


def test_a_sealed_auction_takes_so_many_bids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.auction.MOST_BIDS", 2)
    sale = Sale(**SEALED)
    sale.all_sealed(40_000, 30_000)
    assert sale.world.code(sale.commit(sale.bidders[2], 20_000)) == "out_of_bounds"
    assert MOST_BIDS == 1_000


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"commitment": "ab"}, "malformed"),
        ({"commitment": "AB" * 32}, "malformed"),
        ({"price_fen": 5}, "malformed"),
        ({"quantity": 1}, "malformed"),
        ({"purpose": "advertising"}, "outside_terms"),
        ({"territory": "US"}, "outside_terms"),
        ({"listing": "L99"}, "not_found"),
    ],
)
def test_what_a_sealed_bid_has_to_be(fields: dict[str, Any], code: str) -> None:
    sale = Sale(**SEALED)
    assert sale.world.code(sale.commit(sale.bidders[0], 40_000, **fields)) == code


def test_a_bid_is_no_order_and_an_order_no_bid() -> None:
    sale = Sale("ascending", **ASCENDING)
    bidder = sale.bidders[0]
    assert sale.world.code(sale.offer(bidder, 10_000, commitment="ab" * 32)) == "malformed"
    assert sale.world.code(sale.offer(bidder, 10_000, quantity=2)) == "out_of_bounds"
    assert sale.world.order(bidder, sale.listing).refusal is not None
    assert (
        sale.world.code(e.PlaceOrder(actor=bidder, listing=sale.listing, quantity=1))
        == "mechanism_not_allowed"
    )
    posted = sale.world.listing(sale.merchant)
    assert sale.world.code(sale.offer(bidder, 10_000, listing=posted)) == "mechanism_not_allowed"


# ---- the law


def test_an_unlawful_bid_is_refused_at_the_door_with_its_rule_and_kept() -> None:
    """A banned bidder. The refusal is in the journal, judged again it is the same, and the same id answers the same."""
    sale = Sale("ascending", **ASCENDING)
    sale.world.ban(sale.bidders[0])
    command = sale.offer(sale.bidders[0], 10_000, key=sale.world.new_id())
    before = sale.world.state.sequence
    refusal = sale.world.refused(command)
    assert (refusal.code.name, refusal.violated) == ("unlawful", ("E03",))
    assert sale.world.state.sequence == before + 1
    assert sale.world.refused(command) == refusal
    assert judged_again(sale.world) == []
    sale.world.check()


def judged_again(world: World) -> list[tuple[str, str]]:
    """What of the stored verdicts is not given again."""
    state = empty()
    wrong: list[tuple[str, str]] = []

    def look(event: e.Event, at_ns: int) -> None:
        wrong.extend(differences(state, event, at_ns))

    for entry in world.entries:
        venue.replay(state, entry, look)
    return wrong


def test_whoever_has_not_signed_the_contract_does_not_bid() -> None:
    sale = Sale(**SEALED)
    stranger = sale.world.buyer(CASH)
    assert sale.world.code(sale.commit(stranger, 40_000)) == "unlawful"


def test_a_bidder_nobody_knows_is_told_so_first() -> None:
    sale = Sale(**SEALED)
    stranger = sale.world.person("buyer")
    assert sale.world.code(sale.commit(stranger, 40_000)) == "not_verified"


@pytest.mark.parametrize(("kind", "pays"), [("sealed_first", 30_000), ("sealed_second", 20_000)])
def test_a_bidder_banned_meanwhile_is_passed_over_for_the_next(kind: str, pays: int) -> None:
    """And neither sets the price: the refusal stands on record, with its rule."""
    sale = Sale(kind, **SEALED)
    sale.opened(40_000, 30_000, 20_000)
    sale.world.ban(sale.bidders[0])
    outcome = sale.hammer()
    refused = only(outcome, e.TradeRefused)
    assert (refused.buyer, refused.price_fen, refused.violated) == (sale.bidders[0], 40_000, ("E03",))
    assert only(outcome, e.Settled).price_fen == pays
    assert only(outcome, e.AuctionClosed).bid == "J2"
    assert sale.money() == [FREE, (CASH - pays, 0), FREE]
    assert judged_again(sale.world) == []
    sale.world.check()


def test_a_banned_bidder_sets_no_price_behind_the_winner() -> None:
    sale = Sale("sealed_second", **SEALED)
    sale.opened(40_000, 30_000, 20_000)
    sale.world.ban(sale.bidders[1])
    assert sale.closed().price_fen == 20_000


def test_an_ascending_auction_whose_winner_is_banned_ends_without_award() -> None:
    """Those who were outbid are bound no more (拍卖法第三十六条)."""
    sale = Sale("ascending", **ASCENDING)
    sale.bid(sale.bidders[0], 10_000)
    sale.bid(sale.bidders[1], 20_000)
    sale.world.ban(sale.bidders[1])
    outcome = sale.hammer()
    assert only(outcome, e.TradeRefused).buyer == sale.bidders[1]
    assert only(outcome, e.AuctionClosed).outcome == "refused"
    assert sale.money() == [FREE] * 3
    assert judged_again(sale.world) == []
    sale.world.check()


def test_a_hold_at_the_hammer_keeps_the_money_until_it_is_cured() -> None:
    sale = Sale("ascending", **ASCENDING)
    sale.bid(sale.bidders[0], 10_000)
    sale.world.record(sale.product, "objection_raised")
    outcome = sale.hammer()
    held = only(outcome, e.Held)
    assert only(outcome, e.AuctionClosed).trade == held.trade
    assert sale.money()[0] == (CASH, 10_000)
    sale.world.check()
    sale.world.record(sale.product, "objection_settled")
    assert sale.world.state.trades[held.trade].state == "settled"
    assert judged_again(sale.world) == []
    sale.world.check()


def test_another_contract_of_the_merchant_frees_nobody() -> None:
    """What a bidder has signed when it bid counts at the hammer (民法典第四百六十五条)."""
    sale = Sale("ascending", **ASCENDING)
    sale.bid(sale.bidders[0], 10_000)
    assert sale.world.offer_contract(sale.listing, method="interface").refusal is None
    assert sale.world.code(sale.offer(sale.bidders[1], 20_000)) == "unlawful"
    outcome = sale.hammer()
    assert only(outcome, e.Settled).contract.endswith("-1")
    assert judged_again(sale.world) == []
    sale.world.check()


# ---- the ceiling


PUBLIC: dict[str, Any] = {"origin": "public", "data_class": "general", "open_class": "conditional"}
CEILING_FEN = 50_000


class PublicSale(Sale):
    """Public data under a guided price of 50,000 fen, which is a ceiling for bids."""

    def __init__(self, kind: str, **fields: Any) -> None:
        self.world = World()
        self.merchant = self.world.merchant()
        self.bidders = [self.world.buyer(CASH) for _ in range(3)]
        self.product = self.world.product(self.merchant, classification=classification(**PUBLIC))
        self.listing = self.world.listing(
            self.merchant,
            self.product,
            "public_data",
            mechanism="lawful_auction" if kind == "ascending" else "sealed_bid",
            supply="exclusive",
            price_regime="gov_guided",
            price_cap_fen=CEILING_FEN,
            auction=e.AuctionTerms(kind=kind, **fields),
        )
        self.world.tick_at(self.world.state.listings[self.listing].until_ns + 1_000)
        for bidder in self.bidders:
            self.world.agree(bidder, self.listing)


def test_an_auction_of_public_data_begins_when_its_public_notice_is_over() -> None:
    sale = PublicSale("ascending", **ASCENDING)
    assert sale.bids_until_ns == sale.world.state.auctions[sale.listing].bids_until_ns
    sale.bid(sale.bidders[0], 10_000)


def test_no_bid_rises_above_the_ceiling() -> None:
    sale = PublicSale("ascending", **ASCENDING)
    sale.bid(sale.bidders[0], CEILING_FEN - 500)
    refusal = sale.world.refused(sale.offer(sale.bidders[1], CEILING_FEN + 1))
    assert (refusal.code.name, refusal.violated) == ("unlawful", ("D05",))
    sale.bid(sale.bidders[1], CEILING_FEN)
    assert sale.closed().price_fen == CEILING_FEN
    assert judged_again(sale.world) == []
    sale.world.check()


@pytest.mark.parametrize(("kind", "pays"), [("sealed_first", CEILING_FEN), ("sealed_second", 30_000)])
def test_a_sealed_bid_above_the_ceiling_neither_wins_nor_sets_the_price(kind: str, pays: int) -> None:
    sale = PublicSale(kind, **SEALED)
    sale.opened(CEILING_FEN + 1, CEILING_FEN, 30_000)
    outcome = sale.hammer()
    assert only(outcome, e.TradeRefused).violated == ("D05",)
    assert only(outcome, e.Settled).price_fen == pays
    assert judged_again(sale.world) == []
    sale.world.check()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("sealed_first", {**SEALED, "reserve_fen": CEILING_FEN + 1}),
        ("ascending", {**ASCENDING, "start_fen": CEILING_FEN + 1}),
    ],
)
def test_nothing_starts_above_the_ceiling(kind: str, fields: dict[str, Any]) -> None:
    sale = PublicSale("ascending", **ASCENDING)
    command = draft(sale.merchant, sale.product, kind, **fields)
    shape = changed(command.terms, price_cap_fen=CEILING_FEN, price_regime="gov_guided")
    assert sale.world.code(changed(command, board="public_data", terms=shape)) == "out_of_bounds"


# ---- what happens in the middle


def running() -> list[Sale]:
    """A sealed auction with an opened and an unopened bid, and an ascending one."""
    sealed, ascending = Sale(**SEALED), Sale("ascending", **ASCENDING)
    bids = sealed.all_sealed(40_000, 30_000)
    sealed.to_opening()
    sealed.world.must(sealed.opening(sealed.bidders[0], bids[0], 40_000))
    ascending.bid(ascending.bidders[0], 20_000)
    return [sealed, ascending]


@pytest.mark.parametrize("place", [0, 1])
def test_withdrawn_everything_goes_back_at_once(place: int) -> None:
    sale = running()[place]
    outcome = sale.world.move(sale.merchant, sale.listing, "withdraw")
    closed = only(outcome, e.AuctionClosed)
    assert (closed.outcome, closed.reason) == ("called_off", "withdrawn")
    assert sale.money() == [FREE] * 3
    assert sale.world.state.auctions == {}
    sale.world.check()
    sale.world.wait(10)
    sale.world.tick()
    sale.world.check()


def halted(sale: Sale) -> None:
    sale.world.must(e.HaltTrading(actor=OPERATOR, scope="board", subject="general", reason="a fault"))


def suspended(sale: Sale) -> None:
    sale.world.move(sale.world.reviewer, sale.listing, "suspend", "looked into")


def merchant_suspended(sale: Sale) -> None:
    sale.world.must(
        e.SetStatus(actor=OPERATOR, participant=sale.merchant, step="suspend", reason="looked into")
    )


@pytest.mark.parametrize(
    ("stop", "reason", "code"),
    [
        (halted, "halted", "halted"),
        (suspended, "suspended", "listing_closed"),
        (merchant_suspended, "merchant", "unlawful"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_stands_still_at_the_end_is_called_off(place: int, stop: Any, reason: str, code: str) -> None:
    """Nobody forfeits anything, and meanwhile no bid is taken."""
    sale = running()[place]
    stop(sale)
    if place:
        assert sale.world.code(sale.offer(sale.bidders[1], 30_000)) == code
    else:
        sale.world.must(sale.opening(sale.bidders[1], "J2", 30_000))
    closed = sale.closed()
    assert (closed.outcome, closed.reason) == ("called_off", reason)
    assert sale.money() == [FREE] * 3
    assert sale.world.money(sale.merchant) == (0, 0)
    sale.world.check()


@pytest.mark.parametrize("place", [0, 1])
def test_a_halt_that_ends_before_the_end_changes_nothing(place: int) -> None:
    sale = running()[place]
    halted(sale)
    sale.world.must(e.ResumeTrading(actor=OPERATOR, scope="board", subject="general", reason="mended"))
    assert sale.closed().outcome == "awarded"
    sale.world.check()


def test_a_product_revoked_in_the_middle_is_not_awarded() -> None:
    """Each bid is refused by clearing; who did not open forfeits all the same."""
    sale = running()[0]
    sale.world.record(sale.product, "registration_revoked")
    assert sale.closed().outcome == "refused"
    assert sale.money() == [FREE, (CASH - DEPOSIT, 0), FREE]
    sale.world.check()


# ---- determinism


def test_a_venue_from_a_snapshot_ends_an_auction_with_the_same_events() -> None:
    """A snapshot sorts J10 before J2."""
    sale = Sale(**SEALED)
    world = sale.world
    bidders = [world.buyer(CASH) for _ in range(11)]
    for at, bidder in enumerate(bidders):
        world.agree(bidder, sale.listing)
        sale.sealed(bidder, 40_000 + at)
    state = decode_state(encode_state(world.state), boards(), rulebook(), "CN-46")
    at_ns = sale.ends_ns + 1_000
    outcome = venue.execute(state, e.Tick(actor=e.VENUE), at_ns)
    assert outcome.entry == world.tick_at(at_ns).entry
    ended = [event.bid for event in outcome.events if isinstance(event, e.BidEnded)]
    assert ended == [f"J{number}" for number in range(1, 12)]
    assert encode_state(state) == encode_state(world.state)


# ---- terms


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("sealed_first", {**SEALED, "deposit_fen": 0}),
        ("sealed_first", {**SEALED, "commit_days": 0}),
        ("sealed_first", {**SEALED, "reveal_days": 0}),
        ("sealed_first", {**SEALED, "days": 1}),
        ("sealed_first", {**SEALED, "increment_fen": 1}),
        ("sealed_first", {**SEALED, "extension_minutes": 1}),
        ("sealed_first", {**SEALED, "commit_days": 364}),
        ("sealed_first", {**SEALED, "reserve_fen": -1}),
        ("sealed_first", {**SEALED, "reserve_sha256": "ab"}),
        ("sealed_first", {**SEALED, "reserve_sha256": "ab" * 32, "reserve_fen": 1}),
        ("ascending", {**ASCENDING, "days": 0}),
        ("ascending", {**ASCENDING, "increment_fen": 0}),
        ("ascending", {**ASCENDING, "deposit_fen": -1}),
        ("ascending", {**ASCENDING, "extension_minutes": 1_441}),
        ("ascending", {**ASCENDING, "reveal_days": 1}),
        ("ascending", {**ASCENDING, "reserve_sha256": "ab" * 32}),
        ("dutch", ASCENDING),
    ],
)
def test_terms_that_cannot_stand(kind: str, fields: dict[str, Any]) -> None:
    world = World()
    merchant = world.merchant()
    product = world.product(merchant)
    assert world.code(draft(merchant, product, kind, **fields)) == "out_of_bounds"


def draft(merchant: str, product: str, kind: str, **fields: Any) -> e.CreateListing:
    mechanism = "lawful_auction" if kind == "ascending" else "sealed_bid"
    auction = e.AuctionTerms(kind=kind, **fields)
    shape = terms(mechanism=mechanism, supply="exclusive", auction=auction)
    return e.CreateListing(actor=merchant, product=product, board="general", terms=shape)
