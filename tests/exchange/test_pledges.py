"""A pledge is a trade: who may offer one, what it leaves in the register, and who lets the right go again."""

from typing import Any, Literal

import msgspec
import pytest

from clearing.ledger import CNY, ESCROW, FEES
from clearing.registers import Pledge
from exchange import events as e
from exchange.product import cell_facts
from exchange.state import DAY_NS
from exchange.venue import Outcome
from tests.exchange.world import EVIDENCE, OPERATOR, World, authorisation, changed, kinds, only

SHAPE: dict[str, Any] = {"deal": "pledge", "supply": "exclusive"}


class Pledged:
    """A product with an ordinary listing and a completed pledge; nobody but its parties has traded."""

    def __init__(self) -> None:
        self.world = world = World()
        self.shop, self.pledgee, self.buyer = world.merchant(), world.buyer(), world.buyer()
        deals = ("licence", "exclusive_licence", "transfer", "pledge")
        allowed = authorisation(world.at_ns, deals=deals)
        self.product = world.product(self.shop, authorisation=allowed)
        self.ordinary = world.listing(self.shop, self.product)
        self.trade = world.buy(self.pledgee, world.listing(self.shop, self.product, **SHAPE))
        self.contract = next(
            row.sha256
            for row in world.state.contracts.values()
            if any(one.participant == self.pledgee for one in world.state.signatures[row.id].values())
        )
        world.deliver(self.trade)
        self.completed = world.accept(self.trade)

    def entry(
        self, actor: str, said: Literal["pledged", "released"] = "pledged", **fields: Any
    ) -> e.EnterRecord:
        """An entry about this pledge, by somebody."""
        facts: dict[str, Any] = {"number": self.trade, "pledgee": self.pledgee}
        facts |= {name: fields.pop(name) for name in ("number", "pledgee", "consented") if name in fields}
        return e.EnterRecord(
            actor=actor, facts=Pledge(state=said, **facts), product=self.product, evidence_sha256=EVIDENCE,
            reason="agreed in writing", **fields,
        )  # fmt: skip

    def facts(self) -> tuple[Any, Any]:
        said = cell_facts(self.world.state, self.world.state.products[self.product], self.world.at_ns)
        assert said.registration is not None
        return said.registration.pledged, said.registration.pledgee_consent


@pytest.fixture
def pledged() -> Pledged:
    return Pledged()


def test_a_completed_pledge_is_an_entry_of_the_venue(pledged: Pledged) -> None:
    """In the entry that completes the trade, with the contract that the pledgee signed; the holder stays the holder."""
    entered = only(pledged.completed, e.RecordEntered)
    facts = Pledge(number=pledged.trade, state="pledged", pledgee=pledged.pledgee)
    assert (entered.facts, entered.product, entered.by) == (facts, pledged.product, e.VENUE)
    assert (entered.evidence_sha256, entered.valid_until_ns) == (pledged.contract, 0)
    row = pledged.world.state.products[pledged.product]
    assert (row.holder, row.exclusives) == (pledged.shop, ())
    assert pledged.facts() == (True, False)
    pledged.world.check()


def test_what_is_held_for_a_pledge_settles_when_the_pledgee_agrees(pledged: Pledged) -> None:
    world = pledged.world
    held = only(world.order(pledged.buyer, pledged.ordinary), e.Held)
    assert held.violated == ("B15",)
    settled = only(world.must(pledged.entry(pledged.pledgee, consented=True)), e.Settled)
    assert settled.trade == held.trade
    world.buy(pledged.buyer, pledged.ordinary)
    world.must(pledged.entry(pledged.pledgee))
    assert only(world.order(pledged.buyer, pledged.ordinary), e.Held).violated == ("B15",)
    world.check()


def test_a_released_right_is_free(pledged: Pledged) -> None:
    world = pledged.world
    until_ns = world.at_ns + DAY_NS
    world.must(pledged.entry(pledged.pledgee, consented=True, valid_until_ns=until_ns))
    assert pledged.facts() == (True, True)
    world.wait(days=2)
    assert pledged.facts() == (True, False)
    world.must(pledged.entry(pledged.pledgee, "released"))
    assert pledged.facts() == (False, True)
    world.buy(pledged.buyer, pledged.ordinary)
    world.check()


def test_only_the_pledgee_or_a_reviewer_lets_go(pledged: Pledged) -> None:
    """Nor does anybody put another pledgee in its place first; what the holder adds is one more pledge."""
    world, shop, pledgee = pledged.world, pledged.shop, pledged.pledgee
    tries: tuple[tuple[str, Literal["pledged", "released"], dict[str, Any]], ...] = (
        (shop, "released", {}),
        (shop, "pledged", {"consented": True}),
        (shop, "pledged", {"pledgee": pledged.buyer}),
        (pledged.buyer, "pledged", {"consented": True}),
        (pledgee, "pledged", {"pledgee": pledged.buyer}),
        (pledgee, "released", {"number": "ZY-1"}),
        (pledgee, "released", {"corrects": "G1"}),
    )
    for actor, said, fields in tries:
        assert world.code(pledged.entry(actor, said, **fields)) == "forbidden"
    assert world.code(pledged.entry(world.reviewer, pledgee="P99")) == "not_found"
    world.must(e.GrantRole(actor="P1", participant=pledgee, role="reviewer"))
    assert world.code(pledged.entry(pledgee, "released", corrects="G1")) == "own_case"
    world.must(pledged.entry(shop, number="ZY-1"))
    world.must(pledged.entry(pledgee, consented=True))
    assert pledged.facts() == (True, False)
    world.must(pledged.entry(world.reviewer, consented=True, number="ZY-1"))
    assert pledged.facts() == (True, True)
    world.check()


def test_a_pledge_takes_the_right_whole_until_it_is_paid(pledged: Pledged) -> None:
    """Before it is on record nobody else gets the right or a licence (B16); refunded, it is as if it had not been."""
    world = pledged.world
    world.must(pledged.entry(pledged.pledgee, "released"))
    second = world.listing(pledged.shop, pledged.product, **SHAPE)
    transfer = world.listing(pledged.shop, pledged.product, deal="transfer", supply="exclusive")
    trade = world.buy(pledged.pledgee, second)
    for listing in (pledged.ordinary, transfer):
        refusal = world.order(pledged.buyer, listing).refusal
        assert refusal is not None
        assert refusal.violated == ("B16",)
    for _ in range(2):
        world.deliver(trade)
        ended = world.reject(trade)
    only(ended, e.Refunded)
    assert pledged.facts() == (False, True)
    world.buy(pledged.buyer, transfer)
    world.check()


def test_a_second_pledge_needs_the_first_pledgee(pledged: Pledged) -> None:
    world = pledged.world
    other = world.listing(pledged.shop, pledged.product, **SHAPE)
    assert only(world.order(pledged.buyer, other), e.Held).violated == ("B15",)
    world.must(pledged.entry(pledged.pledgee, consented=True))
    trade = next(row.id for row in world.state.trades.values() if row.listing == other)
    world.deliver(trade)
    entered = only(world.accept(trade), e.RecordEntered)
    assert entered.facts == Pledge(number=trade, state="pledged", pledgee=pledged.buyer)
    assert pledged.facts() == (True, False)
    world.check()


def test_only_the_holder_pledges_and_only_once_at_a_time() -> None:
    world = World()
    shop, licensee = world.merchant(), world.merchant()
    product = world.product(shop, authorisation=authorisation(world.at_ns, deals=("pledge",)))
    world.record(product, "licensee_recorded", participant=licensee)
    listing = world.draft(shop, product, **SHAPE)
    row = world.state.listings[listing]
    offer = e.CreateListing(actor=licensee, product=product, board=row.board, terms=row.terms)
    assert "pledge" in world.refused(offer).detail
    assert world.code(offer) == "forbidden"
    for supply in ("unlimited", "limited"):
        with pytest.raises(AssertionError, match="can be sold once"):
            world.draft(shop, product, deal="pledge", supply=supply, supply_units=int(supply == "limited"))
    world.check()


def test_an_offer_from_before_a_transfer_pledges_nothing(pledged: Pledged) -> None:
    """The new holder's right is not the old one's to pledge (B13)."""
    world = pledged.world
    world.must(pledged.entry(pledged.pledgee, "released"))
    old = world.listing(pledged.shop, pledged.product, **SHAPE)
    heir = world.buyer()
    transfer = world.listing(pledged.shop, pledged.product, deal="transfer", supply="exclusive")
    trade = world.buy(heir, transfer)
    world.deliver(trade)
    world.accept(trade)
    refusal = world.order(pledged.buyer, old).refusal
    assert refusal is not None
    assert "B13" in refusal.violated
    world.check()


def test_a_holder_never_names_itself_and_lets_go() -> None:
    """Of a bank outside the venue the register has no participant: only a reviewer lets its pledge go."""
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop)
    listing = world.listing(shop, product)

    def entry(actor: str, said: Literal["pledged", "released"], **facts: Any) -> e.EnterRecord:
        return e.EnterRecord(
            actor=actor, facts=Pledge(number="ZY-1", state=said, **facts), product=product,
            evidence_sha256=EVIDENCE, reason="agreed in writing",
        )  # fmt: skip

    world.must(entry(world.reviewer, "pledged"))
    assert world.code(entry(shop, "pledged", pledgee=shop)) == "own_case"
    assert world.code(entry(world.reviewer, "pledged", pledgee=shop)) == "own_case"
    assert "a reviewer decides" in world.refused(entry(shop, "pledged", pledgee=world.buyer())).detail
    assert world.code(entry(shop, "pledged")) == "forbidden"
    assert world.code(entry(shop, "released", pledgee=shop)) == "forbidden"
    assert only(world.order(buyer, listing), e.Held).violated == ("B15",)
    only(world.must(entry(world.reviewer, "released")), e.Settled)
    world.check()


def test_a_pledge_that_begins_later_is_not_shadowed_before() -> None:
    world = World()
    shop, buyer, friend, bank = world.merchant(), world.buyer(), world.buyer(), world.buyer()
    product = world.product(shop)
    listing = world.listing(shop, product)

    def entry(actor: str, said: Literal["pledged", "released"], pledgee: str, **fields: Any) -> e.EnterRecord:
        return e.EnterRecord(
            actor=actor, facts=Pledge(number="ZY-1", state=said, pledgee=pledgee), product=product,
            evidence_sha256=EVIDENCE, reason="agreed in writing", **fields,
        )  # fmt: skip

    begins_ns = world.at_ns + DAY_NS
    world.must(entry(world.reviewer, "pledged", bank, valid_from_ns=begins_ns))
    for actor, said, pledgee in (
        (shop, "pledged", friend), (shop, "pledged", bank), (friend, "released", friend), (shop, "released", bank),
    ):  # fmt: skip
        assert world.code(entry(actor, said, pledgee)) == "forbidden"  # type: ignore[arg-type]
    world.buy(buyer, listing)
    world.wait(days=2)
    assert only(world.order(buyer, listing), e.Held).violated == ("B15",)
    only(world.must(entry(bank, "released", bank)), e.Settled)
    world.check()


def test_what_the_holder_has_pledged_itself_stays_its_pledgees() -> None:
    """It may say again what it said; another pledgee, or a release, is a reviewer's to enter."""
    world = World()
    shop, friend, bank = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop)

    def entry(actor: str, said: Literal["pledged", "released"], **facts: Any) -> e.EnterRecord:
        return e.EnterRecord(
            actor=actor, facts=Pledge(number="ZY-1", state=said, **facts), product=product,
            evidence_sha256=EVIDENCE, reason="agreed in writing",
        )  # fmt: skip

    for _ in range(2):
        world.must(entry(shop, "pledged", pledgee=bank))
    for facts in ({"pledgee": friend}, {}):
        assert world.code(entry(shop, "pledged", **facts)) == "forbidden"
    assert world.code(entry(friend, "released", pledgee=friend)) == "forbidden"
    world.must(entry(world.reviewer, "pledged", pledgee=friend))
    for pledgee in (friend, bank):
        assert world.code(entry(pledgee, "released", pledgee=pledgee)) == "forbidden"
    world.check()


@pytest.mark.parametrize("how", ["reversed", "refunded", "revoked"])
def test_a_pledge_ends_with_its_trade(pledged: Pledged, how: str) -> None:
    """And a sale that waited for the pledgee settles in the same entry."""
    world = pledged.world
    held = only(world.order(pledged.buyer, pledged.ordinary), e.Held)
    assert "B15" in held.violated
    [entitlement] = [row.id for row in world.state.entitlements.values() if row.trade == pledged.trade]
    taken = {"reversed": reverse, "refunded": refund, "revoked": revoke}[how](pledged, entitlement)
    [entered] = [event for event in taken.events if isinstance(event, e.RecordEntered)]
    assert entered.facts == Pledge(number=pledged.trade, state="released", pledgee=pledged.pledgee)
    assert entered.by == e.VENUE
    assert only(taken, e.Settled).trade == held.trade
    assert pledged.facts()[0] is False
    world.check()


def test_a_pledge_that_was_released_is_not_released_again(pledged: Pledged) -> None:
    pledged.world.must(pledged.entry(pledged.pledgee, "released"))
    [entitlement] = pledged.world.state.entitlements
    assert "RecordEntered" not in kinds(revoke(pledged, entitlement))


def revoke(pledged: Pledged, entitlement: str) -> Outcome:
    ended = {"reason": "a court said so", "evidence_sha256": EVIDENCE}
    return pledged.world.must(
        e.RevokeEntitlement(actor=pledged.world.reviewer, entitlement=entitlement, **ended)
    )


def refund(pledged: Pledged, entitlement: str) -> Outcome:
    """All of the price, by both; the shop has it still."""
    price: dict[str, Any] = {"price_fen": 500, "amount_fen": 500, "entitlement": entitlement}
    offer = e.OfferRefund(actor=pledged.shop, trade=pledged.trade, reason="paid off", **price)
    pledged.world.must(offer)
    return pledged.world.must(changed(offer, actor=pledged.pledgee))


def reverse(pledged: Pledged, entitlement: str) -> Outcome:
    world, trade = pledged.world, pledged.trade
    second = world.official("operator")
    world.verify(OPERATOR)
    settled = next(
        event
        for raw in world.entries
        for event in msgspec.msgpack.decode(raw, type=e.Entry).events
        if isinstance(event, e.Settled) and event.trade == trade
    )
    legs = (
        (pledged.pledgee, ESCROW, CNY, 500),
        (ESCROW, pledged.shop, CNY, settled.merchant_fen),
        (ESCROW, FEES, CNY, settled.fee_fen),
    )
    command = e.ReverseTransaction(
        actor=OPERATOR, transaction=trade, reason="twice", legs=legs, entitlement=entitlement
    )
    world.must(command)
    return world.must(changed(command, actor=second))
