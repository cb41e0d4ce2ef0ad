"""Directives of a regulator: what they freeze and withdraw, by whom, until when; the numbers are taken once."""

from typing import Any

import pytest

from clearing.ledger import CNY
from exchange import events as e
from exchange.attestation import rules_of
from exchange.state import DAY_NS
from tests.exchange.test_consequences import put
from tests.exchange.test_subscriptions import PACKED
from tests.exchange.world import EVIDENCE, OPERATOR, World, only

NUMBER = "琼数监〔2026〕12号"


class Site:
    def __init__(self) -> None:
        self.world = World()
        self.regulator = self.world.person()
        self.world.must(e.GrantRole(actor=OPERATOR, participant=self.regulator, role="regulator"))
        self.shop, self.buyer = self.world.merchant(), self.world.buyer()
        self.listing = self.world.listing(self.shop, price_fen=500)

    def ordered(self, kind: str, subject: str, **fields: Any) -> e.IssueDirective:
        said: dict[str, Any] = {
            "actor": self.regulator, "number": NUMBER, "deadline_ns": self.world.at_ns + DAY_NS, "text": "依法",
            "document_sha256": EVIDENCE,
        }  # fmt: skip
        return e.IssueDirective(kind=kind, subject=subject, **said | fields)

    def given(self, kind: str, subject: str, **fields: Any) -> str:
        outcome = self.world.must(self.ordered(kind, subject, **fields))
        return only(outcome, e.DirectiveIssued).directive

    def execute(self, directive: str) -> list[Any]:
        return list(self.world.must(e.ExecuteDirective(actor=OPERATOR, directive=directive)).events)

    def frozen(self) -> str:
        directive = self.given("freeze", self.buyer)
        self.execute(directive)
        return directive

    def is_frozen(self) -> bool:
        return self.buyer in self.world.state.frozen


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_freeze_takes_no_order_and_pays_nothing_out(site: Site) -> None:
    world, state = site.world, site.world.state
    before = state.ledger.balance(site.buyer, CNY)
    world.agree(site.buyer, site.listing)
    site.frozen()
    refusal = world.order(site.buyer, site.listing, signed=False).refusal
    assert refusal is not None
    assert refusal.code.name == "standing_denied"
    assert NUMBER in refusal.detail
    withdrawal = e.RequestWithdrawal(actor=site.buyer, amount_fen=1)
    assert NUMBER in world.refused(withdrawal).detail
    assert state.ledger.balance(site.buyer, CNY) == before
    world.check()


def test_what_rests_is_closed_and_its_money_is_there_again(site: Site) -> None:
    world, ledger = site.world, site.world.state.ledger
    book = world.book(world.merchant())
    world.agree(site.buyer, book)
    before = ledger.available(site.buyer, CNY)
    resting = only(world.order(site.buyer, book, limit_fen=1), e.OrderPlaced).order
    assert ledger.available(site.buyer, CNY) < before
    events = site.execute(site.given("freeze", site.buyer))
    assert [one.order for one in events if isinstance(one, e.OrderClosed)] == [resting]
    assert ledger.available(site.buyer, CNY) == before
    world.check()


def test_what_is_held_waits_for_the_end_of_the_freeze(site: Site) -> None:
    """Its evidence may come meanwhile; it settles when the freeze is lifted, in the same entry."""
    world = site.world
    product = world.product(site.shop)
    world.buy(world.buyer(), world.listing(site.shop, product))
    exclusive = world.listing(
        site.shop, product, deal="exclusive_licence", supply="exclusive", supply_units=1
    )
    trade = only(world.order(site.buyer, exclusive), e.Held).trade
    site.frozen()
    cure = e.CureHold(actor=site.buyer, trade=trade, rule="B17")
    assert not any(isinstance(one, e.Settled) for one in world.must(cure).events)
    assert trade in world.state.holds
    events = site.execute(site.given("lift", NUMBER, number="2"))
    assert [one.trade for one in events if isinstance(one, e.Settled)] == [trade]
    world.check()


def test_a_freeze_ends_with_its_last_directive(site: Site) -> None:
    world = site.world
    site.frozen()
    second = site.given("freeze", site.buyer, number="2")
    site.execute(second)
    site.execute(site.given("lift", NUMBER, number="3"))
    assert site.is_frozen(), "the second stands"
    site.execute(site.given("lift", "2", number="4"))
    assert not site.is_frozen()
    assert world.buy(site.buyer, site.listing)
    assert world.code(site.ordered("lift", "2", number="5")) == "wrong_state"
    world.check()


def test_one_that_was_not_executed_can_be_lifted_and_then_nothing_comes_of_it(site: Site) -> None:
    world = site.world
    directive = site.given("freeze", site.buyer)
    site.execute(site.given("lift", NUMBER, number="2"))
    assert world.code(e.ExecuteDirective(actor=OPERATOR, directive=directive)) == "wrong_state"
    world.wait(days=2)
    world.tick_all()
    assert not site.is_frozen()
    assert world.state.directives[directive].state == "lifted"
    world.check()


def test_at_the_deadline_the_venue_does_it(site: Site) -> None:
    """To the nanosecond, and an instant before nothing has happened."""
    world, state = site.world, site.world.state
    delisting = site.given("delist", site.listing)
    freeze = site.given("freeze", site.buyer, number="2", deadline_ns=state.directives[delisting].deadline_ns)
    due_ns = state.directives[delisting].deadline_ns
    world.tick_at(due_ns)
    assert state.directives[delisting].state == "ordered", "the last instant that is in time"
    world.tick_at(due_ns + 1)
    assert state.directives[delisting].state == "executed"
    assert state.directives[freeze].executed_by == e.VENUE
    assert state.listings[site.listing].state == "withdrawn"
    assert site.is_frozen()
    world.check()


def test_a_number_is_taken_once_and_only_a_regulator_gives_one(site: Site) -> None:
    world = site.world
    site.frozen()
    assert world.code(site.ordered("delist", site.listing)) == "already_exists"
    again: dict[str, Any] = {"number": "2"}
    assert world.code(site.ordered("freeze", site.buyer, actor=OPERATOR, **again)) == "forbidden"
    assert world.code(site.ordered("freeze", site.regulator, **again)) == "own_case"
    assert world.code(site.ordered("freeze", "P999", **again)) == "not_found"
    assert world.code(site.ordered("delist", "L999", **again)) == "not_found"
    assert world.code(site.ordered("lift", "none", **again)) == "not_found"
    assert world.code(site.ordered("punish", site.buyer, **again)) == "malformed"
    assert world.code(site.ordered("freeze", site.buyer, deadline_ns=world.at_ns, **again)) == "out_of_bounds"
    directive = site.given("delist", site.listing, **again)
    assert world.code(e.ExecuteDirective(actor=site.regulator, directive=directive)) == "forbidden"
    assert world.code(e.ExecuteDirective(actor=OPERATOR, directive="Z99")) == "not_found"


@pytest.mark.parametrize("held_back", ["freeze", "grade"])
def test_a_report_that_waits_does_not_settle_meanwhile(site: Site, held_back: str) -> None:
    world = site.world
    bilateral = world.listing(site.shop, mechanism="off_venue", price_fen=500)
    world.agree(site.buyer, bilateral)
    bought, sold = (
        e.ReportTrade(
            actor=actor, side=side, counterparty=other, listing=bilateral, quantity=1, price_fen=500,
            purpose="market_analysis", territory="CN", contract_sha256=EVIDENCE,
        )
        for actor, side, other in ((site.buyer, "buy", site.shop), (site.shop, "sell", site.buyer))
    )  # fmt: skip
    world.must(bought)
    if held_back == "freeze":
        frozen = site.frozen()
    else:
        put(world, site.buyer, "D")
    assert world.code(sold) == "standing_denied"
    if held_back == "freeze":
        site.execute(site.given("lift", NUMBER, number="琼数监〔2026〕13号"))
        assert frozen not in world.state.frozen.get(site.buyer, ())
    else:
        put(world, site.buyer, "M")
    assert only(world.must(sold), e.Settled).amount_fen == 500
    world.check()


def test_a_merger_carries_nothing_out_of_a_freeze(site: Site) -> None:
    """Neither one that begins under it, nor one that waits for its successor when it comes."""
    world, state = site.world, site.world.state
    successor, before = world.buyer(), state.ledger.balance(site.buyer, CNY)
    leave = e.Depart(actor=site.buyer, kind="merger", reason="absorbed", successor=successor)
    accept = e.AcceptDeparture(actor=successor, participant=site.buyer)
    site.frozen()
    assert NUMBER in world.refused(leave).detail
    site.execute(site.given("lift", NUMBER, number="2"))
    world.must(leave)
    site.execute(site.given("freeze", site.buyer, number="3"))
    assert world.code(accept) == "standing_denied"
    assert state.ledger.balance(site.buyer, CNY) == before
    site.execute(site.given("lift", "3", number="4"))
    world.must(accept)
    assert state.ledger.balance(site.buyer, CNY) == 0
    world.check()


def test_who_is_frozen_attests_nothing(site: Site) -> None:
    world = site.world
    provider = world.provider("compliance")
    rule = rules_of(world.state.rulebook.rules.values(), "compliance")[0]
    attestation = world.attestation(provider, world.product(site.shop), rule)
    site.execute(site.given("freeze", provider))
    assert NUMBER in world.refused(attestation).detail
    site.execute(site.given("lift", NUMBER, number="2"))
    world.must(attestation)
    world.check()


def test_who_is_frozen_buys_no_package(site: Site) -> None:
    """What is owed goes on being paid; this is not owed."""
    world = site.world
    listing = world.metered(site.shop, PACKED)
    bought = e.BuyPackage(actor=site.buyer, subscription=world.subscribed(site.buyer, listing, 3))
    site.frozen()
    assert NUMBER in world.refused(bought).detail
    site.execute(site.given("lift", NUMBER, number="2"))
    world.must(bought)
    world.check()
