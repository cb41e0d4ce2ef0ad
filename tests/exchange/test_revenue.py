"""Revenue on the pure venue: roles kept, the board's public-data share paid on acceptance, ceilings by year."""

import pytest
from msgspec.structs import replace

from clearing.ledger import CNY
from exchange import events as e
from exchange.state import DAY_NS
from tests.exchange.world import EVIDENCE, OPERATOR, World, boards, changed, classification, only

TREASURY = "public:treasury"
OPEN = classification(origin="public", open_class="unconditional")
PUBLIC_TERMS = {"price_regime": "gov_guided", "price_cap_fen": 20_000}


def with_public_share(world: World, share_bp: int) -> None:
    """The board sets its share; a board is no part of the journal, so the twin needs none."""
    board = replace(boards()["public_data"], public_data_share_bp=share_bp, public_data_account=TREASURY)
    world.state.boards = {**boards(), "public_data": board}


def public_listing(world: World, shop: str, **parts: object) -> str:
    product = world.product(shop, classification=OPEN, **parts)
    listing = world.listing(shop, product, board="public_data", price_fen=10_001, **PUBLIC_TERMS)
    world.wait(days=5, ns=1)
    world.tick()
    return listing


def complete(world: World, buyer: str, listing: str) -> str:
    trade = world.buy(buyer, listing)
    world.deliver(trade)
    world.accept(trade)
    return trade


def ceiling(operator: str, fen: int, year: int = 2025, **changes: object) -> e.RecordCeiling:
    return replace(
        e.RecordCeiling(actor="P2", operator=operator, year=year, ceiling_fen=fen, decision_sha256=EVIDENCE),
        **changes,
    )


def test_the_public_data_share_is_paid_on_acceptance() -> None:
    """100.01 less 1 % fee leaves 99.01; a tenth is the public's 9.90, 30 % of the 89.11 left the processor's 26.73."""
    world = World()
    with_public_share(world, 1_000)
    shop, processor, buyer = world.merchant(), world.buyer(cash_fen=0), world.buyer()
    listing = public_listing(world, shop, shares=((processor, 3_000),), share_roles=("processor",))
    trade = world.buy(buyer, listing)
    settled = world.state.trades[trade]
    assert settled.shares == ((processor, 2_673), (TREASURY, 990))
    assert world.money(TREASURY) == (0, 0)
    world.deliver(trade)
    world.accept(trade)
    assert (world.money(TREASURY), world.money(processor)) == ((990, 0), (2_673, 0))
    assert world.money(shop) == (10_001 - 100 - 990 - 2_673, 0)
    world.check()


def test_a_settled_trade_keeps_the_share_of_its_day() -> None:
    world = World()
    with_public_share(world, 1_000)
    shop, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, public_listing(world, shop))
    with_public_share(world, 5_000)
    world.deliver(trade)
    world.accept(trade)
    assert world.money(TREASURY) == (990, 0)
    world.check()


def test_enterprise_data_pays_no_public_share_and_counts_to_no_ceiling() -> None:
    world = World()
    world.state.boards = {
        **boards(),
        "general": replace(boards()["general"], public_data_share_bp=1_000, public_data_account=TREASURY),
    }
    shop, buyer = world.merchant(), world.buyer()
    complete(world, buyer, world.listing(shop))
    assert world.money(TREASURY) == (0, 0)
    assert not world.state.revenue.says_something()
    world.check()


def test_roles_are_in_the_settlement() -> None:
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    holder, broker = world.buyer(cash_fen=0), world.buyer(cash_fen=0)
    shares, roles = ((holder, 2_000), (broker, 500)), ("resource_holder", "broker")
    listing = world.listing(shop, world.product(shop, shares=shares, share_roles=roles))
    settled = only(world.order(buyer, listing), e.Settled)
    assert settled.share_roles == roles
    assert [name for name, _ in settled.shares] == [holder, broker]
    world.check()


def test_unknown_roles_are_refused() -> None:
    world = World()
    shop, other = world.merchant(), world.buyer()
    for roles in (("landlord",), ("processor", "broker")):
        refusal = world.refused(world.submission(shop, shares=((other, 100),), share_roles=roles))
        assert refusal.code is e.Refused.out_of_bounds
        assert "resource_holder" in refusal.detail


def test_a_ceiling_counts_what_completed_in_the_year_of_beijing() -> None:
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    listing = public_listing(world, shop)
    world.must(ceiling(shop, 15_000))
    world.must(ceiling(shop, 15_000, year=2026))
    complete(world, buyer, listing)
    complete(world, buyer, listing)
    world.wait(days=40)
    complete(world, buyer, listing)
    refunded = world.buy(buyer, listing)
    world.wait(days=4)
    world.tick()
    assert refunded not in world.state.trades
    kept = world.state.revenue
    assert kept.earned_fen == {shop: {"2025": 20_002, "2026": 10_001}}
    assert kept.open_fen == {}
    first, second = kept.years(shop)
    assert (first.over_fen, second.carried_fen, second.allowed_fen) == (5_002, 5_002, 9_998)
    assert second.over_fen == 3
    world.check()


def test_amending_the_origin_away_takes_no_revenue_back() -> None:
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    listing = public_listing(world, shop)
    trade = world.buy(buyer, listing)
    world.deliver(trade)
    product = world.state.listings[listing].product
    amend = e.AmendFacts(
        actor=shop, product=product, evidence_sha256=EVIDENCE, classification=classification()
    )
    world.must(amend)
    world.accept(trade)
    assert world.state.revenue.earned_fen[shop] == {"2025": 10_001}
    world.check()


def test_who_records_a_ceiling() -> None:
    world = World()
    shop = world.merchant()
    mine = world.person("merchant", "buyer", owner=world.reviewer)
    cases = [
        (ceiling(shop, 1, actor=OPERATOR), "forbidden"),
        (ceiling("P999", 1), "not_found"),
        (ceiling(mine, 1), "own_case"),
        (ceiling(shop, 1, year=1999), "out_of_bounds"),
        (ceiling(shop, -1), "out_of_bounds"),
        (ceiling(shop, 1, decision_sha256="no"), "evidence_missing"),
    ]
    for command, code in cases:
        assert world.code(command) == code, command
    world.must(ceiling(shop, 5))
    world.must(ceiling(shop, 7, decision_sha256="cd" * 32))
    assert world.state.revenue.ceilings[shop]["2025"].ceiling_fen == 7
    assert world.at_ns < world.state.revenue.ceilings[shop]["2025"].at_ns + DAY_NS
    world.check()


def test_the_treasury_holds_yuan_like_anybody() -> None:
    world = World()
    with_public_share(world, 10_000)
    shop, buyer = world.merchant(), world.buyer()
    complete(world, buyer, public_listing(world, shop))
    assert world.state.ledger.available(TREASURY, CNY) == 9_901
    assert world.money(shop) == (0, 0)
    world.check()


@pytest.mark.parametrize("days", [0, 60])
def test_what_goes_back_after_acceptance_is_no_revenue_of_that_year(days: int) -> None:
    """The year in which it goes back has so much less; one that is over keeps what it had."""
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop, classification=OPEN)
    listing = world.listing(shop, product, "public_data", price_fen=10_001, term_days=200, **PUBLIC_TERMS)
    world.wait(days=5, ns=1)
    world.tick()
    trade = world.buy(buyer, listing)
    world.deliver(trade)
    world.accept(trade)
    [row] = world.state.entitlements.values()
    world.wait(days=days)
    for actor in (buyer, shop):
        world.must(
            e.OfferRefund(
                actor=actor, trade=trade, amount_fen=4_000, reason="rows are missing", price_fen=10_001,
                entitlement=row.id,
            )
        )  # fmt: skip
    years = {"2025": 6_001} if not days else {"2025": 10_001, "2026": -4_000}
    assert world.state.revenue.earned_fen[shop] == years
    world.check()


def test_a_reversed_sale_is_no_revenue() -> None:
    world = World()
    shop, buyer, second = world.merchant(), world.buyer(), world.official("operator")
    world.verify(OPERATOR)
    listing = public_listing(world, shop)
    complete(world, buyer, listing)
    earned = world.state.revenue.earned_fen[shop]["2025"]
    [row] = world.state.entitlements.values()
    command = e.ReverseTransaction(
        actor=OPERATOR, transaction=row.trade, reason="a test", legs=((buyer, shop, CNY, 1),), entitlement=row.id,
        listing=listing, seller=shop, amount_fen=earned,
    )  # fmt: skip
    world.must(command)
    world.must(changed(command, actor=second))
    assert world.state.revenue.earned_fen[shop] == {"2025": 0}
    world.check()


def test_what_goes_back_of_other_data_counts_nowhere() -> None:
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(shop))
    world.deliver(trade)
    world.accept(trade)
    [row] = world.state.entitlements.values()
    for actor in (buyer, shop):
        world.must(
            e.OfferRefund(
                actor=actor, trade=trade, amount_fen=1, reason="a fen", price_fen=500, entitlement=row.id
            )
        )
    assert not world.state.revenue.earned_fen
    world.check()
