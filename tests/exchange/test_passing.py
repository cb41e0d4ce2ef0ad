"""What comes between settlement and completion: a freeze, a pledge, a list, a right that is lost."""

from typing import Any

import pytest
from msgspec.structs import replace

from clearing.registers import Freeze, Pledge, Restricted
from exchange import events as e
from exchange.passing import LAST_NS, POSTPONE_NS
from exchange.state import DAY_NS
from tests.exchange.world import EVIDENCE, World, kinds, only

FROZEN = Freeze(number="2025-17", authority="a court", state="frozen")
PLEDGED = Pledge(number="ZY-1", state="pledged")
LISTED = Restricted(list="export_control", version="2025-11", state="listed")


class Sale:
    """A trade that is settled, its price in escrow."""

    def __init__(self, deal: str = "transfer", **fields: Any) -> None:
        self.world = World()
        self.seller, self.buyer = self.world.merchant(), self.world.buyer()
        self.product = self.world.product(self.seller)
        supply = "unlimited" if deal == "licence" else "exclusive"
        self.listing = self.world.listing(self.seller, self.product, deal=deal, supply=supply, **fields)
        self.trade = self.world.buy(self.buyer, self.listing)

    @property
    def due_ns(self) -> int:
        return self.world.state.trades[self.trade].due_ns

    def enter(self, facts: Any, **fields: Any) -> str:
        listed = isinstance(facts, Restricted)
        about: dict[str, Any] = {"participant": self.buyer} if listed else {"product": self.product}
        command = e.EnterRecord(
            actor=self.world.reviewer,
            facts=facts,
            evidence_sha256=EVIDENCE,
            reason="an order",
            **about,
            **fields,
        )
        return only(self.world.must(command), e.RecordEntered).entry

    def delivering(self) -> e.Deliver:
        delivery = e.Delivery(kind="file", sha256="cd" * 32, size=7, name="rows.csv")
        return e.Deliver(actor=self.seller, trade=self.trade, delivery=delivery)

    def accepting(self) -> e.AcceptDelivery:
        return e.AcceptDelivery(actor=self.buyer, trade=self.trade)

    def faults(self, participant: str) -> list[str]:
        """The kinds of what counts against somebody, or is noted."""
        known = self.world.state.bureau.conduct.get(participant)
        return [] if known is None else [row.kind for row in known.faults.values()]


@pytest.fixture
def sale() -> Sale:
    return Sale()


def ends(sale: Sale, facts: Any) -> None:
    """The entry that takes back what `facts` said."""
    over = {"frozen": "lifted", "pledged": "released", "listed": "removed"}
    sale.enter(replace(facts, state=over[facts.state]))


ENTRIES = pytest.mark.parametrize(
    ("facts", "rule"), [(FROZEN, "B21"), (PLEDGED, "B15"), (LISTED, "E04")], ids=["freeze", "pledge", "list"]
)


# ---- the two steps


@ENTRIES
def test_nothing_is_delivered_while_the_law_forbids_it(sale: Sale, facts: Any, rule: str) -> None:
    world = sale.world
    sale.enter(facts)
    refusal = world.refused(sale.delivering())
    assert (refusal.code, refusal.violated) == (e.Refused.unlawful, (rule,))
    assert world.state.rulebook.rules[rule].evidence.en in refusal.detail
    ends(sale, facts)
    assert kinds(world.must(sale.delivering()))[0] == "Delivered"
    world.check()


@ENTRIES
def test_nothing_passes_by_acceptance_while_the_law_forbids_it(sale: Sale, facts: Any, rule: str) -> None:
    """The review's finding 19: the right went to the buyer, and the price to the seller, while it was frozen."""
    world = sale.world
    world.deliver(sale.trade)
    paid = world.money(sale.seller)
    sale.enter(facts)
    refusal = world.refused(sale.accepting())
    assert (refusal.code, refusal.violated) == (e.Refused.unlawful, (rule,))
    assert world.state.products[sale.product].holder == sale.seller
    assert world.money(sale.seller) == paid
    ends(sale, facts)
    assert "Completed" in kinds(world.must(sale.accepting()))
    assert world.state.products[sale.product].holder == sale.buyer
    world.check()


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("authorisation_withdrawn", "B01"),
        ("authorisation_disputed", "B01"),
        ("registration_revoked", "B10"),
        ("registration_cancelled", "B10"),
        ("registration_suspended", "B11"),
        ("objection_raised", "B11"),
    ],
)
def test_a_right_that_is_lost_does_not_pass(sale: Sale, entry: str, rule: str) -> None:
    sale.world.record(sale.product, entry)
    assert sale.world.refused(sale.delivering()).violated == (rule,)


def test_a_licensee_that_is_struck_off_delivers_nothing_more() -> None:
    world = World()
    holder, licensee, buyer = world.merchant(), world.merchant(), world.buyer()
    product = world.product(holder)
    world.record(product, "licensee_recorded", participant=licensee)
    trade = world.buy(buyer, world.listing(licensee, product))
    world.record(product, "licensee_removed", participant=licensee)
    delivery = e.Delivery(kind="file", sha256="cd" * 32, size=7, name="rows.csv")
    command = e.Deliver(actor=licensee, trade=trade, delivery=delivery)
    assert world.refused(command).violated == ("B13",)


def test_a_licence_that_was_sold_before_the_right_passed_on_is_delivered() -> None:
    """The next holder takes the right with the licences in it."""
    sale = Sale("licence")
    world = sale.world
    transfer = world.listing(sale.seller, sale.product, deal="transfer", supply="exclusive")
    passed = world.buy(world.buyer(), transfer)
    world.deliver(passed)
    world.accept(passed)
    assert world.state.products[sale.product].holder != sale.seller
    assert kinds(world.must(sale.delivering()))[0] == "Delivered"
    assert "Completed" in kinds(world.must(sale.accepting()))


def test_what_only_became_unknown_stops_nothing(sale: Sale) -> None:
    """An amended fact waits for its reviewer: that is no finding against anybody."""
    world = sale.world
    given = replace(world.state.products[sale.product].authorisation, sublicensable=True)
    amend = e.AmendFacts(
        actor=sale.seller, product=sale.product, evidence_sha256=EVIDENCE, authorisation=given
    )
    world.must(amend)
    assert kinds(world.must(sale.delivering()))[0] == "Delivered"
    assert "Completed" in kinds(world.must(sale.accepting()))


def test_what_ends_by_its_date_stops_nothing() -> None:
    """Both knew when the certificate would end: B12 forbids new trades only."""
    world = World()
    seller, buyer = world.merchant(), world.buyer()
    product = world.submitted(seller)
    world.must(world.decision(product, valid_until_ns=world.at_ns + DAY_NS))
    listing = world.listing(seller, product)
    trade = world.buy(buyer, listing)
    world.wait(days=2)
    assert world.refused(e.PlaceOrder(actor=buyer, listing=listing, quantity=1)).violated == ("B12",)
    assert kinds(world.deliver(trade))[0] == "Delivered"
    assert "Completed" in kinds(world.accept(trade))


def test_an_agreed_price_completes_nothing_that_may_not_pass(sale: Sale) -> None:
    world = sale.world
    world.deliver(sale.trade)
    sale.enter(FROZEN)
    offer = e.OfferRefund(
        actor=sale.seller, trade=sale.trade, amount_fen=100, reason="agreed", price_fen=500, entitlement=""
    )
    world.must(offer)
    assert world.refused(replace(offer, actor=sale.buyer)).violated == ("B21",)
    whole = replace(offer, amount_fen=500)
    world.must(whole)
    assert kinds(world.must(replace(whole, actor=sale.buyer)))[0] == "Refunded"
    world.check()


# ---- a hold that was cured


def cured_sale() -> Sale:
    """Held by a pledge, cured by a reviewer with the pledgee's letter, settled."""
    sale = Sale("licence")
    world = sale.world
    sale.enter(PLEDGED)
    sale.trade = only(world.order(sale.buyer, sale.listing), e.Held).trade
    cure = e.CureHold(
        actor=world.reviewer, trade=sale.trade, rule="B15", evidence_sha256=EVIDENCE,
        revision=world.state.products[sale.product].revision,
    )  # fmt: skip
    only(world.must(cure), e.Settled)
    world.check()
    return sale


def test_what_was_cured_before_settlement_stays_cured() -> None:
    sale = cured_sale()
    world = sale.world
    world.must(sale.delivering())
    world.check()
    assert "Completed" in kinds(world.must(sale.accepting()))
    assert not world.state.settled_over
    world.check()


def test_a_pledge_that_came_after_the_cure_is_not_cured() -> None:
    sale = cured_sale()
    sale.enter(replace(PLEDGED, number="ZY-2"))
    assert sale.world.refused(sale.delivering()).violated == ("B15",)


# ---- dates that pass


@ENTRIES
def test_silence_does_not_accept_what_may_not_pass(sale: Sale, facts: Any, rule: str) -> None:
    world = sale.world
    world.deliver(sale.trade)
    sale.enter(facts)
    due_ns = sale.due_ns
    outcome = world.tick_at(due_ns + 1)
    moved = only(outcome, e.CompletionPostponed)
    assert moved == e.CompletionPostponed(sale.trade, due_ns + 1 + POSTPONE_NS, due_ns + LAST_NS, (rule,))
    assert sale.due_ns == moved.due_ns
    world.check()
    ends(sale, facts)
    assert "Completed" in kinds(world.tick_at(sale.due_ns + 1))
    assert not world.state.postponed
    world.check()


def test_at_the_last_date_the_price_goes_back(sale: Sale) -> None:
    """Nobody is at fault in it here: whoever froze the right says why."""
    world = sale.world
    cash = world.money(sale.buyer)[0]
    world.deliver(sale.trade)
    sale.enter(FROZEN)
    last_ns = sale.due_ns + LAST_NS
    steps = []
    while sale.trade in world.state.trades:
        world.at_ns = sale.due_ns
        steps += kinds(world.tick())
    assert steps.count("CompletionPostponed") == -(-LAST_NS // POSTPONE_NS)
    assert last_ns < world.at_ns <= last_ns + 2_000
    assert world.money(sale.buyer)[0] == cash + 500
    assert world.state.products[sale.product].holder == sale.seller
    assert sale.faults(sale.seller) == []
    assert "DutyOpened" in steps, "what was delivered is deleted"
    assert not world.state.postponed
    world.check()


def test_the_buyer_may_reject_meanwhile(sale: Sale) -> None:
    world = sale.world
    world.deliver(sale.trade)
    sale.enter(FROZEN)
    world.tick_at(sale.due_ns + 1)
    world.reject(sale.trade)
    assert not world.state.postponed
    world.check()


def test_a_seller_whose_right_fails_has_not_delivered(sale: Sale) -> None:
    """「出卖人就交付的标的物，负有保证第三人对该标的物不享有任何权利的义务」(民法典第六百一十二条)."""
    sale.enter(FROZEN)
    assert only(sale.world.tick_at(sale.due_ns + 1), e.Refunded).step == "miss"
    assert sale.faults(sale.seller) == ["not_delivered"]


def test_a_seller_that_may_not_deliver_to_this_buyer_is_not_at_fault(sale: Sale) -> None:
    sale.enter(LISTED)
    assert only(sale.world.tick_at(sale.due_ns + 1), e.Refunded).step == "stop"
    assert sale.faults(sale.seller) == []
    sale.world.check()


def test_a_late_tick_counts_from_its_own_instant(sale: Sale) -> None:
    """A venue that was down for a month does not run through the dates that it has missed."""
    world = sale.world
    world.deliver(sale.trade)
    sale.enter(FROZEN)
    first_ns = sale.due_ns
    moved = only(world.tick_at(first_ns + 30 * DAY_NS), e.CompletionPostponed)
    assert moved.due_ns == first_ns + 30 * DAY_NS + POSTPONE_NS
    assert moved.until_ns == first_ns + LAST_NS
    moved = only(world.tick_at(first_ns + 85 * DAY_NS), e.CompletionPostponed)
    assert moved.due_ns == first_ns + LAST_NS
