"""The grade in force: noticed before it bites, lasting before it rises; and what bites."""

from collections.abc import Iterator

import pytest

from credit.remedy import CONSEQUENCES, LISTED, Consequences
from exchange import consequence
from exchange import events as e
from exchange.state import DAY_NS
from tests.exchange.world import World, only, terms

FAILS = 1
"""Deliveries that a newcomer has to miss to be graded C."""


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    found.must(e.FollowGrades(actor=e.VENUE))
    yield found
    found.check()


def fail(world: World, shop: str, times: int = FAILS) -> None:
    """Sales that are not delivered by their date."""
    listing = world.listing(shop, delivery_days=1, price_fen=1_000_000, listed_days=1000)
    for _ in range(times):
        world.buy(world.buyer(), listing)
    world.until(world.at_ns + DAY_NS + 1)


def next_day(world: World) -> list[object]:
    return world.until((world.at_ns // DAY_NS + 1) * DAY_NS)


def grade(world: World, participant: str) -> str:
    return consequence.grade_of(world.state, participant)


def lowered(world: World) -> str:
    """A merchant whose grade C is in force."""
    shop = world.merchant(cash_fen=10**8)
    fail(world, shop)
    world.until(world.at_ns + 9 * DAY_NS)
    assert grade(world, shop) == "C"
    return shop


def put(world: World, participant: str, to: str) -> None:
    """A grade in force without the years that lead there; the twin sees it too."""
    before = consequence.grade_of(world.state, participant)
    for state in (world.state, world.twin):
        consequence.apply_set(state, e.GradeSet(participant, to, before, "override"), world.at_ns)  # type: ignore[arg-type]


def test_a_lower_grade_is_noticed_a_week_before_it_is_in_force(world: World) -> None:
    shop = world.merchant()
    fail(world, shop)
    assert grade(world, shop) == "M"
    noticed = [event for event in next_day(world) if isinstance(event, e.GradeNoticed)]
    assert [(row.participant, row.grade, row.in_force) for row in noticed] == [(shop, "C", "M")]
    assert noticed[0].from_ns == pytest.approx(world.at_ns + 7 * DAY_NS, abs=10**9)
    assert consequence.coming(world.state, shop, world.at_ns) == ("C", noticed[0].from_ns)
    world.until(noticed[0].from_ns - 10_000)
    assert grade(world, shop) == "M"
    world.until(noticed[0].from_ns)
    assert grade(world, shop) == "C"
    assert consequence.coming(world.state, shop, world.at_ns) is None


def test_nobody_is_noticed_twice_of_the_same(world: World) -> None:
    shop = world.merchant()
    fail(world, shop)
    events = [*next_day(world), *next_day(world), *next_day(world)]
    assert len([event for event in events if isinstance(event, e.GradeNoticed)]) == 1


def test_a_better_grade_has_to_be_computed_for_two_weeks(world: World) -> None:
    shop = lowered(world)
    long = world.at_ns + 400 * DAY_NS
    while world.state.bureau.grade(shop, world.at_ns) == "C" and world.at_ns < long:
        next_day(world)
    better_ns = world.at_ns
    while grade(world, shop) == "C" and world.at_ns < long:
        next_day(world)
    assert grade(world, shop) == "M"
    assert 13 * DAY_NS <= world.at_ns - better_ns <= 15 * DAY_NS
    assert shop not in world.state.graded, "whoever is what everybody is needs no row"


def test_only_the_venue_begins_to_look(world: World) -> None:
    assert world.code(e.FollowGrades(actor=world.buyer())) == "forbidden"
    assert not world.must(e.FollowGrades(actor=e.VENUE)).events, "once is enough"


def test_the_fee_is_more_for_c_and_less_for_a(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    listing = world.listing(shop, price_fen=5_000_000)
    fees = {}
    for name in ("M", "A", "B", "C", "M"):
        put(world, shop, name)
        fees[name] = only(world.order(buyer, listing, limit_fen=0), e.Settled).fee_fen
    assert fees == {"M": 100_000, "A": 75_000, "B": 90_000, "C": 125_000}


def test_a_board_without_a_fee_asks_nobody(world: World) -> None:
    shop = world.merchant()
    put(world, shop, "C")
    assert consequence.fee_bp(world.state, 0, shop) == 0
    put(world, shop, "A")
    assert consequence.fee_bp(world.state, 20, shop) == 0, "never below nothing"


def test_c_lists_with_a_deposit_few_and_after_a_notice(world: World) -> None:
    shop = world.merchant(cash_fen=10**8)
    product = world.product(shop)
    assert world.state.listings[world.listing(shop, product)].state == "published"
    put(world, shop, "C")
    refusal = world.refused(e.CreateListing(actor=shop, product=product, board="general", terms=terms()))
    assert refusal.code is e.Refused.standing_denied
    assert "POST /v1/deposit" in refusal.detail
    assert "outlook" in refusal.detail
    world.must(e.PayDeposit(actor=shop, amount_fen=1_000_000))
    listing = world.listing(shop, product)
    assert world.state.listings[listing].state == "public_notice"
    assert world.code(e.TakeDeposit(actor=shop, amount_fen=1)) == "standing_denied"
    for _ in range(3):
        world.draft(shop, product)
    refusal = world.refused(e.CreateListing(actor=shop, product=product, board="general", terms=terms()))
    assert "withdraw one" in refusal.detail
    world.until(world.at_ns + 7 * DAY_NS + 1)
    assert world.state.listings[listing].state == "published"
    put(world, shop, "M")
    world.draft(shop, product)
    world.must(e.TakeDeposit(actor=shop, amount_fen=1_000_000))


def test_an_order_has_a_ceiling_on_either_side(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    listing = world.listing(shop, price_fen=6_000_000)
    world.buy(buyer, listing)
    put(world, buyer, "C")
    assert "5000000 fen" in world.refused(_order(buyer, listing)).detail
    put(world, buyer, "M")
    put(world, shop, "C")
    refusal = world.refused(_order(buyer, listing))
    assert refusal.code is e.Refused.standing_denied
    assert "5000000" not in refusal.detail, "what the merchant has settled is its own"
    put(world, shop, "M")
    world.buy(buyer, listing)


def _order(buyer: str, listing: str) -> e.PlaceOrder:
    return e.PlaceOrder(actor=buyer, listing=listing, quantity=1)


def test_a_newcomer_has_a_ceiling_of_ten_million(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer(cash_fen=10**10)
    listing = world.listing(shop, price_fen=1_000_000_001)
    world.agree(buyer, listing)
    assert world.code(_order(buyer, listing)) == "standing_denied"
    put(world, buyer, "B")
    assert world.code(_order(buyer, listing)) == "standing_denied", "the merchant is new too"
    put(world, shop, "B")
    world.buy(buyer, listing)


def test_a_newcomer_sells_so_many_large_orders_a_day(world: World) -> None:
    """Small ones and those of the next day are not among them; a better grade has no such limit."""
    world.must(e.FollowGrades(actor=e.VENUE))
    shop, buyer = world.merchant(), world.buyer(cash_fen=10**9)
    large, small = world.listing(shop, price_fen=1_000_000), world.listing(shop, price_fen=999_999)
    for _ in range(CONSEQUENCES["M"].velocity):
        world.buy(buyer, large)
    refusal = world.refused(_order(buyer, large))
    assert refusal.code is e.Refused.standing_denied
    assert "velocity" in refusal.detail
    world.buy(buyer, small)
    world.wait(days=1)
    world.buy(buyer, large)
    put(world, shop, "B")
    for _ in range(CONSEQUENCES["M"].velocity):
        world.buy(buyer, large)
    world.check()


def test_the_ceiling_grows_with_what_is_settled(world: World) -> None:
    shop, other = lowered(world), world.merchant()
    assert consequence.ceiling_of(world.state, shop) == CONSEQUENCES["C"].largest_order_fen
    trade = world.buy(shop, world.listing(other, price_fen=4_000_000))
    world.deliver(trade)
    world.accept(trade)
    next_day(world)
    assert consequence.ceiling_of(world.state, shop) == 12_000_000
    assert consequence.ceiling_of(world.state, other) == CONSEQUENCES["M"].largest_order_fen


def test_d_begins_nothing_and_carries_out_what_has_begun(world: World) -> None:
    shop, buyer = world.merchant(cash_fen=10**8), world.buyer()
    listing = world.listing(shop, price_fen=1_000_000)
    trade = world.buy(buyer, listing)
    put(world, shop, "D")
    assert "merchant" in world.refused(_order(buyer, listing)).detail
    assert world.code(world.submission(shop)) == "standing_denied"
    world.deliver(trade)
    world.accept(trade)
    put(world, shop, "M")
    put(world, buyer, "D")
    refusal = world.refused(_order(buyer, listing))
    assert refusal.code is e.Refused.standing_denied
    assert "outlook" in refusal.detail
    put(world, buyer, "M")
    world.buy(buyer, listing)


def test_each_consequence_is_on_the_list() -> None:
    assert [row.field for row in LISTED] == list(Consequences.__struct_fields__)
    for row in LISTED:
        assert len({getattr(each, row.field) for each in CONSEQUENCES.values()}) > 1, "it tells grades apart"
    worst_first = [CONSEQUENCES[name] for name in ("D", "C", "M", "B", "A")]
    fees = [row.fee_bp for row in worst_first]
    assert fees == sorted(fees, reverse=True)
    assert CONSEQUENCES["M"] == Consequences(
        orders_per_minute=12_000, largest_order_fen=1_000_000_000, velocity=40
    )


def test_a_snapshot_keeps_notices_and_the_next_look(world: World) -> None:
    shop = world.merchant()
    fail(world, shop)
    next_day(world)
    assert world.state.graded[shop].notices
    world.check()
    for row in (world.replayed(), world.twin):
        assert row.graded == world.state.graded
        assert row.looking == world.state.looking
