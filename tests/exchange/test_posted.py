"""A posted price: tiers, limits for each buyer, supply; the rule alone, in the venue, and as its page tells it."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.contract import Particulars, particulars
from clearing.money import Tier, amount_fen
from exchange import events as e
from exchange import venue
from exchange.contract import drawn_up, newest_terms
from exchange.matching import posted
from exchange.order import clearing_facts, deal_of
from exchange.state import decode_state, encode_state
from tests.exchange.world import World, boards, changed, consent_of, only, personal, rulebook

PAGE = Path(__file__).parents[2] / "docs/mechanisms/posted_price.md"


def tiers(*pairs: tuple[int, int]) -> tuple[Tier, ...]:
    return tuple(Tier(from_units=units, price_fen=price) for units, price in pairs)


TIERS = tiers((1, 500), (10, 450), (100, 400))


# ---- the rule alone


@st.composite
def scales(draw: st.DrawFn) -> tuple[int, tuple[Tier, ...]]:
    """A listed price and lawful tiers below it."""
    units = sorted(draw(st.sets(st.integers(2, 60), max_size=5)))
    prices = sorted(
        draw(st.sets(st.integers(0, 999), min_size=len(units), max_size=len(units))), reverse=True
    )
    listed = draw(st.integers(1_000, 2_000))
    return listed, tiers((1, listed), *zip(units, prices, strict=True)) if units else ()


@given(scales(), st.integers(1, 80))
def test_the_last_tier_reached_says_the_price(scale: tuple[int, tuple[Tier, ...]], quantity: int) -> None:
    listed, rows = scale
    assert posted.refuse_tiers(listed, rows) == ""
    reached = [row.price_fen for row in rows if row.from_units <= quantity]
    assert posted.unit_price_fen(listed, rows, quantity) == min([listed, *reached])


@given(scales(), st.integers(1, 40), st.integers(1, 40), st.integers(1, 7))
def test_nobody_pays_less_by_splitting_an_order(
    scale: tuple[int, tuple[Tier, ...]], one: int, other: int, per_units: int
) -> None:
    def cost(quantity: int) -> int:
        return amount_fen(posted.unit_price_fen(*scale, quantity), per_units, quantity)

    assert cost(one + other) <= cost(one) + cost(other)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (((1, 450),), "from_units 1, price_fen 500"),
        (((2, 500),), "from_units 1, price_fen 500"),
        (((1, 500), (1, 450)), "lies above 1"),
        (((1, 500), (10, 450), (10, 400)), "lies above 10"),
        (((1, 500), (10, 500)), "below 500"),
        (((1, 500), (10, 450), (20, 450)), "below 450"),
        (((1, 500), (10, 450), (20, -1)), "below 450"),
        (((1, 500), (2**53, 450)), "lies above 1"),
        (tuple((units, 501 - units) for units in range(1, 22)), "at most 20"),
    ],
)
def test_tiers_that_do_not_fall_are_refused(rows: tuple[tuple[int, int], ...], says: str) -> None:
    assert says in posted.refuse_tiers(500, tiers(*rows))


@given(st.sampled_from(["unlimited", "limited", "exclusive"]), st.integers(1, 9), st.integers(0, 12))
def test_what_is_left_is_what_was_never_taken(supply: str, units: int, taken: int) -> None:
    there = {"unlimited": None, "limited": list(range(units)), "exclusive": [0]}[supply]
    assert posted.left(supply, units, taken) == (None if there is None else len(there[taken:]))


# ---- in the venue


@pytest.fixture
def world() -> World:
    return World()


def tiered(world: World, merchant: str = "", **terms: Any) -> str:
    given: dict[str, Any] = {"price_fen": 500, "tiers": TIERS, **terms}
    return world.listing(merchant or world.merchant(), **given)


@pytest.mark.parametrize(("quantity", "price"), [(9, 500), (10, 450), (99, 450), (100, 400), (1_000, 400)])
def test_the_whole_order_is_at_its_tiers_price(world: World, quantity: int, price: int) -> None:
    listing, buyer = tiered(world), world.buyer()
    settled = only(world.order(buyer, listing, quantity), e.Settled)
    assert (settled.price_fen, settled.amount_fen) == (price, price * quantity)
    placed = only(world.order(buyer, listing, quantity, limit_fen=price), e.OrderPlaced)
    assert placed.limit_fen == price
    below = world.refused(e.PlaceOrder(actor=buyer, listing=listing, quantity=quantity, limit_fen=price - 1))
    assert (below.code.name, str(price) in below.detail) == ("nothing_to_match", True)
    world.check()


def test_the_law_reads_the_price_of_the_tier_beside_the_ceiling(world: World) -> None:
    merchant = world.merchant()
    product = world.product(merchant, classification=personal(), consent=consent_of())
    listing = tiered(world, merchant, product=product, price_regime="gov_guided", price_cap_fen=500)
    buyer = world.buyer()
    for quantity, price in ((1, 500), (10, 450), (100, 400), (10, 450)):
        trade = world.state.trades[world.buy(buyer, listing, quantity)]
        read = clearing_facts(world.state, deal_of(world.state, trade, world.at_ns), world.at_ns).price
        assert read is not None
        assert (read.unit_fen, read.cap_fen, read.per_units) == (price, 500, 1)
    world.check()


def test_no_listed_price_above_the_ceiling_hides_behind_its_tiers(world: World) -> None:
    """The listed price is the highest there is: D05 refuses it before publication, whatever the tiers are."""
    merchant = world.merchant()
    listing = world.draft(
        merchant, price_fen=501, price_regime="gov_guided", price_cap_fen=500, tiers=tiers((1, 501), (2, 400))
    )
    refusal = world.refused(e.MoveListing(actor=merchant, listing=listing, step="submit"))
    assert refusal.violated == ("D05",)


def test_a_verdict_asked_for_is_that_of_the_tier(world: World) -> None:
    """What `shuji verify` gives again is what was read: the stored hash covers the tier's price."""
    listing, buyer = tiered(world), world.buyer()
    hashes = [only(world.order(buyer, listing, units), e.Settled).facts_sha256 for units in (1, 10)]
    assert hashes[0] != hashes[1]
    world.check()


def test_the_contract_says_tiers_and_limit_and_the_trade_its_own_price(world: World) -> None:
    listing, buyer = tiered(world, per_buyer_units=150), world.buyer()
    settled = only(world.order(buyer, listing, 10), e.Settled)
    agreement = world.state.contracts[settled.contract]
    drawn = drawn_up(agreement)
    assert "1 个单位起 5.00 元、10 个单位起 4.50 元、100 个单位起 4.00 元" in drawn.zh
    assert "from 10 unit(s) on 4.50 CNY, from 100 unit(s) on 4.00 CNY" in drawn.en
    assert "至多购买 150 个单位" in drawn.zh
    own = particulars(
        newest_terms(),
        Particulars(
            trade=settled.trade, contract=drawn.id, contract_sha256=drawn.sha256, buyer=buyer, seller=settled.seller,
            quantity=10, price_fen=settled.price_fen, price_per_units=1, amount_fen=settled.amount_fen,
            purpose=settled.purpose, territory=settled.territory, buyer_signature=settled.buyer_signature,
            merchant_signature="",
        ),
    )  # fmt: skip
    assert "4.50 元，价款 45.00 元" in own.zh


def test_a_contract_without_tiers_says_nothing_of_them(world: World) -> None:
    listing, buyer = world.listing(world.merchant()), world.buyer()
    agreement = world.state.contracts[only(world.order(buyer, listing), e.Settled).contract]
    assert b"tiers" not in drawn_up(agreement).form
    assert "阶梯" not in drawn_up(agreement).zh


# ---- limits


def left_of(world: World, buyer: str, listing: str) -> int:
    """How much this buyer may still have, found out by asking for ever less."""
    world.agree(buyer, listing)
    refusal = world.refused(e.PlaceOrder(actor=buyer, listing=listing, quantity=1_000_000))
    assert refusal.code.name == "supply_exhausted"
    found = re.search(r"(\d+) are left for you", refusal.detail)
    assert found is not None, refusal.detail
    return int(found[1])


def test_one_owner_has_one_limit_under_however_many_names(world: World) -> None:
    listing = world.listing(world.merchant(), per_buyer_units=10)
    one, other = world.buyer(owner="house"), world.buyer(owner="house")
    child = world.buyer(owner=one)
    stranger = world.buyer()
    world.buy(one, listing, 4)
    world.buy(child, listing, 3)
    assert [left_of(world, who, listing) for who in (one, other, child, stranger)] == [3, 3, 3, 10]
    world.buy(other, listing, 3)
    assert [left_of(world, who, listing) for who in (one, stranger)] == [0, 10]
    assert world.order(other, listing).refusal is not None
    world.check()


def test_houses_that_join_have_what_both_have_had_and_part_again(world: World) -> None:
    """Who stands above whom is asked as of now: the register says so, and the count is added up anew."""
    listing = world.listing(world.merchant(), per_buyer_units=10)
    parent, child = world.buyer(owner="U1"), world.buyer(owner="U2")
    grandchild = world.buyer(owner=child)
    world.buy(parent, listing, 6)
    world.buy(grandchild, listing, 3)
    assert [left_of(world, who, listing) for who in (parent, child, grandchild)] == [4, 7, 7]
    world.verify(child, owner_id=parent)
    assert [left_of(world, who, listing) for who in (parent, child, grandchild)] == [1, 1, 1]
    world.verify(child, owner_id="U3")
    assert [left_of(world, who, listing) for who in (parent, child, grandchild)] == [4, 7, 7]
    world.check()


def test_the_limit_survives_a_restart(world: World) -> None:
    """Out of the snapshot, and out of the journal alone."""
    listing, buyer = world.listing(world.merchant(), per_buyer_units=10), world.buyer()
    world.buy(buyer, listing, 7)
    loaded = decode_state(encode_state(world.state), boards(), rulebook(), "CN-46")
    for state in (loaded, world.replayed()):
        asked = e.PlaceOrder(actor=buyer, listing=listing, quantity=4)
        refusal = venue.execute(state, asked, world.at_ns + 1).refusal
        assert refusal is not None
        assert "3 are left" in refusal.detail
    world.check()


def undone(world: World, way: str, trade: str) -> None:
    """The trade comes to nothing in this way."""
    row = world.state.trades[trade]
    merchant, buyer, price = row.seller, row.buyer, row.amount_fen
    if way == "miss":
        assert only(world.tick_at(row.due_ns + 1), e.Refunded).step == "miss"
    elif way == "reject_again":
        for _ in range(2):
            world.deliver(trade)
            world.reject(trade)
    elif way == "released":
        assert only(world.tick_at(row.due_ns + 1), e.HoldReleased).reason == "expired"
    else:
        if way == "after_acceptance":
            world.deliver(trade)
            world.accept(trade)
        offer = e.OfferRefund(
            actor=buyer, trade=trade, amount_fen=price, reason="both want it", price_fen=price,
            entitlement=row.entitlement, quantity=row.quantity,
        )  # fmt: skip
        world.must(offer)
        world.must(changed(offer, actor=merchant))


@pytest.mark.parametrize("way", ["miss", "reject_again", "agree", "after_acceptance", "released"])
def test_what_comes_to_nothing_is_given_back(world: World, way: str) -> None:
    merchant = world.merchant(cash_fen=10**7)
    product = world.product(merchant)
    listing = world.listing(merchant, product, per_buyer_units=10)
    buyer, friend = world.buyer(owner="house"), world.buyer(owner="house")
    kept = world.buy(friend, listing, 1)
    world.deliver(kept)
    world.accept(kept)
    if way == "released":
        world.record(product, "objection_raised")
        trade = only(world.order(buyer, listing, 6), e.Held).trade
    else:
        trade = world.buy(buyer, listing, 6)
    assert [left_of(world, who, listing) for who in (buyer, friend)] == [3, 3]
    undone(world, way, trade)
    assert [left_of(world, who, listing) for who in (buyer, friend)] == [9, 9]
    assert world.state.bought == {listing: {friend: 1}}
    world.check()


def test_a_part_that_goes_back_gives_nothing_back(world: World) -> None:
    merchant = world.merchant(cash_fen=10**7)
    listing, buyer = world.listing(merchant, per_buyer_units=10), world.buyer()
    trade = world.buy(buyer, listing, 6)
    entitlement = world.state.trades[trade].entitlement
    world.deliver(trade)
    world.accept(trade)
    for amount, left in ((1_000, 4), (2_000, 10)):
        offer = e.OfferRefund(
            actor=buyer, trade=trade, amount_fen=amount, reason="both want it", price_fen=3_000,
            entitlement=entitlement, quantity=6,
        )  # fmt: skip
        world.must(offer)
        assert only(world.must(changed(offer, actor=merchant)), e.RefundPaid).units == (left - 4)
        assert left_of(world, buyer, listing) == left
    world.check()


def test_supply_and_limit_both_bind(world: World) -> None:
    listing = world.listing(world.merchant(), supply="limited", supply_units=12, per_buyer_units=10)
    one, other = world.buyer(), world.buyer()
    world.buy(one, listing, 10)
    world.agree(other, listing)
    assert world.refused(e.PlaceOrder(actor=one, listing=listing, quantity=1)).detail.endswith(
        "0 are left for you"
    )
    assert (
        world.refused(e.PlaceOrder(actor=other, listing=listing, quantity=3)).detail
        == "2 left of this listing"
    )
    world.buy(other, listing, 2)
    world.check()


def test_nothing_is_counted_of_a_listing_that_is_over(world: World) -> None:
    merchant = world.merchant()
    listing, buyer = world.listing(merchant, per_buyer_units=10), world.buyer()
    trade = world.buy(buyer, listing, 6)
    assert world.state.bought == {listing: {buyer: 6}}
    world.move(merchant, listing, "withdraw")
    assert world.state.bought == {}
    undone(world, "agree", trade)
    assert (world.state.bought, world.state.listings[listing].taken_units) == ({}, 0)
    world.check()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tiers": tiers((1, 450))}, "from_units"),
        ({"tiers": tiers((1, 500), (2, 600))}, "below 500"),
        ({"per_buyer_units": -1}, "per_buyer_units"),
        ({"per_buyer_units": 10**9 + 1}, "per_buyer_units"),
        ({"per_buyer_units": 1, "mechanism": "off_venue"}, "posted price only"),
        ({"tiers": TIERS, "mechanism": "off_venue"}, "posted price only"),
    ],
)
def test_terms_that_do_not_fit_are_refused(world: World, fields: dict[str, Any], says: str) -> None:
    merchant = world.merchant()
    listing = world.listing(merchant)
    terms = changed(world.state.listings[listing].terms, **fields)
    command = e.CreateListing(actor=merchant, product=world.product(merchant), board="general", terms=terms)
    refusal = world.refused(command)
    assert (refusal.code.name, says in refusal.detail) == ("out_of_bounds", True), refusal.detail


# ---- the page


def test_the_numbers_of_the_page_are_the_venues(world: World) -> None:
    page = PAGE.read_text(encoding="utf-8")
    said = re.search(r"`price_fen` (\d+) for `price_per_units` (\d+)", page)
    assert said is not None
    rows = re.findall(r'{"from_units": (\d+), "price_fen": (\d+)}', page)
    limit = re.search(r"`per_buyer_units` (\d+):", page)
    assert limit is not None
    listing = world.listing(
        world.merchant(), price_fen=int(said[1]), price_per_units=int(said[2]),
        tiers=tiers(*((int(units), int(price)) for units, price in rows)), per_buyer_units=int(limit[1]),
    )  # fmt: skip
    told = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert len(told) == 6
    for units, price, amount in told:
        settled = only(world.order(world.buyer(), listing, int(units)), e.Settled)
        assert (settled.price_fen, settled.amount_fen) == (int(price), int(amount))
    left = re.search(r"who has had (\d+) is told at an order of (\d+) that (\d+) are left", page)
    assert left is not None
    buyer = world.buyer()
    world.buy(buyer, listing, int(left[1]))
    refusal = world.refused(e.PlaceOrder(actor=buyer, listing=listing, quantity=int(left[2])))
    assert refusal.detail.endswith(f"{left[3]} are left for you")
