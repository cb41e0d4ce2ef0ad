"""Halts of a listing, a board and the market: what stands still and what goes on."""

import pytest

from exchange import events as e
from exchange.halt import SCOPES
from exchange.state import decode_state, encode_state
from tests.exchange.world import OPERATOR, World, boards, only, rulebook


@pytest.fixture
def world() -> World:
    return World()


def subject_of(world: World, scope: str, listing: str) -> str:
    return {"listing": listing, "board": world.state.listings[listing].board, "market": ""}[scope]


def halting(
    scope: str, subject: str = "", actor: str = OPERATOR, reason: str = "looked into"
) -> e.HaltTrading:
    return e.HaltTrading(actor=actor, scope=scope, subject=subject, reason=reason)


def resuming(scope: str, subject: str = "") -> e.ResumeTrading:
    return e.ResumeTrading(actor=OPERATOR, scope=scope, subject=subject, reason="found to be in order")


@pytest.mark.parametrize("scope", SCOPES)
def test_no_order_is_taken_until_it_is_resumed(world: World, scope: str) -> None:
    buyer, listing = world.buyer(), world.listing(world.merchant())
    subject = subject_of(world, scope, listing)
    event = only(world.must(halting(scope, subject)), e.TradingHalted)
    assert (event.scope, event.subject, event.by) == (scope, subject, OPERATOR)
    refusal = world.order(buyer, listing).refusal
    assert refusal is not None
    assert refusal.code is e.Refused.halted
    assert "looked into" in refusal.detail
    assert "/v1/halts" in refusal.detail
    world.must(resuming(scope, subject))
    only(world.order(buyer, listing), e.Settled)
    world.check()


def test_what_was_agreed_before_goes_on(world: World) -> None:
    """A resting order can be cancelled, a settled trade is delivered and accepted."""
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop)
    sold = world.buy(buyer, world.listing(shop, product))
    book = world.book(shop, product)
    resting = only(world.ask(shop, book, 5, 100), e.OrderPlaced).order
    world.must(halting("market"))
    world.deliver(sold)
    world.accept(sold)
    world.must(e.CancelOrder(actor=shop, order=resting))
    world.check()


def test_a_resting_order_keeps_its_place(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    book = world.book(shop, world.product(shop))
    world.ask(shop, book, 5, 100)
    world.must(halting("listing", book))
    refusal = world.bid(buyer, book, 5, 100).refusal
    assert refusal is not None
    assert refusal.code is e.Refused.halted
    world.must(resuming("listing", book))
    only(world.bid(buyer, book, 5, 100), e.Settled)
    world.check()


def test_other_listings_and_boards_trade_on(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    halted, other = world.listing(shop), world.listing(shop)
    world.must(halting("listing", halted))
    world.must(halting("board", next(name for name in boards() if name != world.state.listings[other].board)))
    only(world.order(buyer, other), e.Settled)


def test_a_bilateral_trade_is_not_reported(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    listing = world.listing(shop, mechanism="off_venue")
    world.must(halting("market"))
    report = e.ReportTrade(
        actor=buyer, listing=listing, side="buy", counterparty=shop, quantity=1, price_fen=450,
        purpose="market_analysis", territory="CN", contract_sha256="ab" * 32,
    )  # fmt: skip
    assert world.code(report) == "halted"


def test_each_halt_is_ended_by_itself(world: World) -> None:
    buyer, listing = world.buyer(), world.listing(world.merchant())
    world.must(halting("listing", listing))
    world.must(halting("market"))
    world.must(resuming("market"))
    refusal = world.order(buyer, listing).refusal
    assert refusal is not None
    assert listing in refusal.detail


def test_bad_halts_change_nothing(world: World) -> None:
    listing = world.listing(world.merchant())
    for command, code in (
        (halting("listing", "L999"), "not_found"),
        (halting("board", "nowhere"), "not_found"),
        (halting("market", listing), "malformed"),
        (halting("venue"), "malformed"),
        (halting("market", reason=" "), "malformed"),
        (halting("market", actor=world.reviewer), "forbidden"),
        (resuming("market"), "wrong_state"),
    ):
        assert world.code(command) == code
    world.must(halting("market"))
    assert world.code(halting("market")) == "wrong_state"


def test_a_snapshot_keeps_halts(world: World) -> None:
    world.must(halting("board", "general"))
    body = encode_state(world.state)
    again = decode_state(body, boards(), rulebook(), "CN-46")
    assert again.halts == world.state.halts
    assert encode_state(again) == body
