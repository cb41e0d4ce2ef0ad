"""A broker's mandate: scope and dates, whose the order is, and what ends it."""

from typing import Any

import pytest

from exchange import events as e
from exchange.state import DAY_NS
from tests.exchange.world import EVIDENCE, OPERATOR, World, changed, kinds, only

MOST_FEN = 10_000


class Brokered:
    """A merchant with a posted price of 500 and a book, a principal with money, its broker."""

    def __init__(self, **terms: Any) -> None:
        self.world = world = World()
        self.shop, self.principal = world.merchant(), world.buyer(cash_fen=100_000)
        self.broker = broker_of(world)
        self.goods = world.product(self.shop)
        self.posted = world.listing(self.shop, self.goods, **{"price_fen": 500, **terms})
        self.book = world.book(self.shop, self.goods)

    def giving(self, **fields: Any) -> e.GiveMandate:
        whole: dict[str, Any] = {
            "actor": self.principal,
            "broker": self.broker,
            "side": "buy",
            "listings": (),
            "boards": (),
            "most_fen": MOST_FEN,
            "valid_until_ns": self.world.at_ns + 10 * DAY_NS,
            "text": "what was signed",
            "signature": "principal's",
            **fields,
        }
        whole.setdefault("public_key", self.world.key_of(whole["actor"]))
        return e.GiveMandate(**whole)

    def mandate(self, **fields: Any) -> str:
        return only(self.world.must(self.giving(**fields)), e.MandateGiven).mandate

    def order(self, mandate: str, listing: str = "", quantity: int = 1, **fields: Any) -> e.PlaceOrder:
        listing = listing or self.posted
        self.world.agree(self.principal, listing)
        whole: dict[str, Any] = {"actor": self.principal, "broker": self.broker, "mandate": mandate, **fields}
        return e.PlaceOrder(listing=listing, quantity=quantity, **whole)


def broker_of(world: World) -> str:
    broker = world.person("buyer")
    world.verify(broker)
    world.must(e.ApplyForAccreditation(actor=broker, evidence_sha256=EVIDENCE, classes=("broker",)))
    world.must(
        e.DecideAccreditation(
            actor=world.reviewer,
            participant=broker,
            step="accredit",
            valid_until_ns=world.at_ns + 100 * DAY_NS,
            evidence_sha256=EVIDENCE,
        )
    )
    return broker


def test_an_order_under_a_mandate_is_the_principals() -> None:
    """Money, entitlement and the conduct of what is unlawful (E05) are the principal's; the broker is noted."""
    stage = Brokered()
    world, mandate = stage.world, stage.mandate()
    outcome = world.must(stage.order(mandate, quantity=2))
    assert kinds(outcome)[:3] == ["OrderPlaced", "MandateUsed", "Settled"]
    used = only(outcome, e.MandateUsed)
    assert (used.broker, used.amount_fen) == (stage.broker, 1_000)
    settled = only(outcome, e.Settled)
    assert (settled.buyer, world.money(stage.principal)[0], world.money(stage.broker)) == (
        stage.principal,
        99_000,
        (0, 0),
    )
    world.verify(stage.principal, owner_id=stage.shop)
    refusal = world.do(stage.order(mandate)).refusal
    assert refusal is not None
    assert "E05" in refusal.violated
    assert world.state.mandates[mandate].used_fen == 1_000, "what was refused counts for nothing"
    world.check()


@pytest.mark.parametrize(
    ("scope", "order", "word"),
    [
        ({"side": "sell", "boards": ()}, {}, "it is to sell, not to buy"),
        ({"boards": ("computing",)}, {}, "not for general"),
        ({"most_fen": 499}, {}, "most_fen is 499, of which 0 are ordered; this order is 500"),
        ({}, {"quantity": 21}, "this order is 10500"),
    ],
)
def test_outside_its_scope_an_order_is_refused_naming_what(
    scope: dict[str, Any], order: dict[str, Any], word: str
) -> None:
    stage = Brokered()
    if scope.get("side") == "sell":
        stage.principal = stage.world.merchant(cash_fen=10_000)
    refusal = stage.world.refused(stage.order(stage.mandate(**scope), **order))
    assert (refusal.code.name, word in refusal.detail) == ("outside_terms", True), refusal.detail


def test_a_mandate_for_some_listings_is_for_no_other() -> None:
    stage = Brokered()
    mandate = stage.mandate(listings=(stage.book,))
    refusal = stage.world.refused(stage.order(mandate))
    assert f"for the listings {stage.book}, not for {stage.posted}" in refusal.detail
    assert "have a limit_fen" in stage.world.refused(stage.order(mandate, stage.book)).detail
    assert stage.world.code(stage.order(mandate, "L99")) == "not_found"
    stage.world.must(stage.order(mandate, stage.book, 5, limit_fen=90))
    stage.world.check()


def test_what_was_ordered_adds_up() -> None:
    """Filled or not: what is cancelled does not come back."""
    stage = Brokered()
    world, mandate = stage.world, stage.mandate(most_fen=1_000)
    order = only(world.must(stage.order(mandate, stage.book, 6, limit_fen=90)), e.OrderPlaced).order
    assert world.code(e.CancelOrder(actor=stage.shop, order=order)) == "not_found"
    world.must(e.CancelOrder(actor=stage.broker, order=order))
    assert world.code(stage.order(mandate)) == "outside_terms"
    world.must(stage.order(mandate, stage.book, 5, limit_fen=92))
    assert world.state.mandates[mandate].used_fen == 1_000
    assert list(world.state.brokered) == list(world.state.orders)
    world.check()


def test_the_principal_cancels_what_its_broker_ordered() -> None:
    stage = Brokered()
    order = only(
        stage.world.must(stage.order(stage.mandate(), stage.book, 5, limit_fen=90)), e.OrderPlaced
    ).order
    stage.world.must(e.CancelOrder(actor=stage.principal, order=order))
    stage.world.check()


@pytest.mark.parametrize("how", ["date", "revoked", "given_up", "principal", "broker"])
def test_a_mandate_ends(how: str) -> None:
    stage = Brokered()
    world, mandate = stage.world, stage.mandate()
    rests = only(world.must(stage.order(mandate, stage.book, 5, limit_fen=90)), e.OrderPlaced).order
    stranger = world.buyer()
    assert world.code(e.EndMandate(actor=stranger, mandate=mandate)) == "not_found"
    if how == "date":
        until = world.state.mandates[mandate].valid_until_ns
        assert world.do(stage.order(mandate)).refusal is None
        world.at_ns = until
        refusal = world.refused(stage.order(mandate))
        assert (refusal.code.name, mandate in refusal.detail) == ("forbidden", True)
        ended = only(world.tick_at(until + 1), e.MandateEnded)
    elif how in ("principal", "broker"):
        leaving = stage.principal if how == "principal" else stage.broker
        ended = only(world.must(e.Depart(actor=leaving, kind="exit", reason="enough")), e.MandateEnded)
    else:
        actor = stage.principal if how == "revoked" else stage.broker
        ended = only(world.must(e.EndMandate(actor=actor, mandate=mandate)), e.MandateEnded)
    expected = {"date": "expired", "principal": "left", "broker": "left"}.get(how, how)
    assert (ended.how, world.state.mandates, world.state.brokered) == (expected, {}, {})
    assert (rests in world.state.orders) == (how != "principal"), "what rests is the principal's"
    refusal = world.refused(stage.order(mandate))
    assert (refusal.code.name, mandate in refusal.detail) == ("forbidden", True)
    assert world.code(e.CancelOrder(actor=stage.broker, order=rests)) == "not_found"
    world.check()


@pytest.mark.parametrize("other", ["broker", "principal"])
def test_a_mandate_is_between_two(other: str) -> None:
    stage = Brokered()
    mandate = stage.mandate()
    somebody = broker_of(stage.world) if other == "broker" else stage.world.buyer()
    order = stage.order(mandate)
    named = changed(order, broker=somebody) if other == "broker" else changed(order, actor=somebody)
    refusal = stage.world.refused(named)
    assert (refusal.code.name, mandate in refusal.detail) == ("forbidden", True)


@pytest.mark.parametrize("how", ["suspended", "restricted", "over", "account", "banned"])
def test_a_broker_is_accredited_at_each_order(how: str) -> None:
    stage = Brokered()
    world, mandate = stage.world, stage.mandate(valid_until_ns=stage.world.at_ns + 300 * DAY_NS)
    if how == "suspended":
        world.discipline(stage.broker, "suspend")
    elif how == "restricted":
        stage.broker = notary_too(stage)
        mandate = stage.mandate()
        world.must(
            e.DecideAccreditation(
                actor=world.reviewer,
                participant=stage.broker,
                step="restrict",
                classes=("notary",),
                reasons=("because",),
            )
        )
    elif how == "over":
        world.wait(days=101)
    elif how == "account":
        world.must(e.SetStatus(actor=OPERATOR, participant=stage.broker, step="suspend", reason="stolen"))
    else:
        world.ban(stage.broker)
    assert world.code(stage.order(mandate)) == "not_accredited"


def notary_too(stage: Brokered) -> str:
    world, both = stage.world, stage.world.person("buyer")
    world.verify(both)
    classes = ("broker", "notary")
    world.must(e.ApplyForAccreditation(actor=both, evidence_sha256=EVIDENCE, classes=classes))
    until_ns = world.at_ns + 100 * DAY_NS
    accredit = e.DecideAccreditation(
        actor=world.reviewer, participant=both, step="accredit", valid_until_ns=until_ns
    )
    world.must(accredit)
    return both


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"broker": "P99"}, "not_found"),
        ({"broker": "P3"}, "not_accredited"),
        ({"broker": "P4"}, "malformed"),
        ({"side": "hold"}, "malformed"),
        ({"side": "sell"}, "not_accredited"),
        ({"most_fen": 0}, "out_of_bounds"),
        ({"valid_until_ns": 1}, "out_of_bounds"),
        ({"listings": ("L99",)}, "not_found"),
        ({"boards": ("moon",)}, "not_found"),
        ({"public_key": "another"}, "signature_wrong"),
    ],
)
def test_a_mandate_is_refused(fields: dict[str, Any], code: str) -> None:
    stage = Brokered()
    assert (stage.shop, stage.principal) == ("P3", "P4")
    assert stage.world.code(stage.giving(**fields)) == code
