"""Exclusivity over all listings of a product: what the venue says of each possible fill, and what a plain list says.

The twin keeps every licence in one list, reads the events only, and looks through all of it each time: who has what, for
which field group, where, and until when.
"""

import random
from typing import Any

import msgspec
import pytest

from exchange import events as e
from exchange.listing import new_cell
from exchange.order import Deal, clearing_facts
from exchange.state import DAY_NS
from tests.exchange.world import World, authorisation

PLACES = ("CN", "CN-44", "CN-4403", "CN-46")
GROUPS = ("core", "extra")
WITHIN = {
    "CN": ("CN", "CN-44", "CN-4403", "CN-46"),
    "CN-44": ("CN-44", "CN-4403"),
    "CN-4403": ("CN-4403",),
    "CN-46": ("CN-46",),
}
"""Place: what lies within it."""
HOLD_DAYS = 10


class Licence(msgspec.Struct):
    """What somebody has. `until_ns` is None while nothing is delivered; `open`: the trade is not finished."""

    trade: str
    buyer: str
    group: str
    place: str
    exclusive: bool
    held: bool
    open: bool = True
    until_ns: int | None = None

    def runs(self, at_ns: int) -> bool:
        return self.until_ns is None or self.until_ns > at_ns


class Twin:
    """All licences of one product, and who holds how many units of its book."""

    def __init__(self, world: World, merchant: str, book: str) -> None:
        self.world, self.merchant, self.book = world, merchant, book
        self.licences: list[Licence] = []
        self.units: dict[str, int] = {merchant: 1_000}

    def hear(self, events: Any) -> None:
        for event in events:
            trade = getattr(event, "trade", "")
            mine = [row for row in self.licences if row.trade == trade]
            match event:
                case e.Settled(sell_order=sold) if sold:
                    self.units[event.seller] -= event.quantity
                    self.units[event.buyer] = self.units.get(event.buyer, 0) + event.quantity
                case e.Settled() | e.Held():
                    self.forget(mine)
                    self.licences.append(self.licence(event))
                case e.Delivered():
                    mine[0].until_ns = event.entitlement_until_ns
                case e.DeliveryRejected():
                    mine[0].until_ns = None
                case e.Completed():
                    mine[0].open = False
                case e.Refunded() | e.HoldReleased() | e.EntitlementEnded():
                    self.forget(mine)

    def licence(self, event: e.Settled | e.Held) -> Licence:
        terms = self.world.state.listings[event.listing].terms
        exclusive = terms.deal == "exclusive_licence"
        held = isinstance(event, e.Held)
        return Licence(event.trade, event.buyer, terms.field_group, event.territory, exclusive, held)

    def forget(self, rows: list[Licence]) -> None:
        self.licences = [row for row in self.licences if row not in rows]

    def other_exclusive(self, buyer: str, group: str, place: str) -> bool:
        at_ns = self.world.at_ns
        return any(
            row.exclusive and row.buyer != buyer and row.group == group and overlap(row.place, place)
            and (row.open or row.runs(at_ns))
            for row in self.licences
        )  # fmt: skip

    def other_nonexclusive(self, buyer: str, group: str, place: str) -> bool:
        at_ns = self.world.at_ns
        licensed = any(
            not row.exclusive and not row.held and row.buyer != buyer and row.group == group
            and overlap(row.place, place) and row.runs(at_ns)
            for row in self.licences
        )  # fmt: skip
        return licensed or self.units_out(buyer, group, place)

    def units_out(self, buyer: str, group: str, place: str) -> bool:
        """Each unit is a licence from its settlement on; the last may settle when a hold of the last day is cured."""
        listing = self.world.state.listings[self.book]
        if listing.terms.field_group != group or not overlap(listing.terms.territories[0], place):
            return False
        over = listing.state in ("expired", "withdrawn")
        last_ns = listing.until_ns + (HOLD_DAYS + listing.terms.term_days) * DAY_NS
        others = sum(units for who, units in self.units.items() if who not in (self.merchant, buyer))
        return others > 0 and not (over and last_ns <= self.world.at_ns)


def overlap(one: str, other: str) -> bool:
    return bool(set(WITHIN[one]) & set(WITHIN[other]))


class Day:
    """A product with licences, exclusive licences and a book on offer at once, and what buyers do with it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        world = self.world = World()
        self.merchant = world.merchant(cash_fen=10**9)
        allowed = authorisation(world.at_ns, territories=PLACES, field_groups=GROUPS)
        self.product = world.product(self.merchant, authorisation=allowed)
        self.listings = [self.offer(exclusive) for exclusive in (False, False, True, True, True)]
        place, group = self.random.choice(PLACES), self.random.choice(GROUPS)
        self.book = world.book(
            self.merchant, self.product, territories=(place,), field_group=group, supply_units=1_000,
            listed_days=self.random.choice((20, 365)), term_days=self.random.choice((5, 30)),
        )  # fmt: skip
        self.buyers = [world.merchant(cash_fen=10**7) for _ in range(3)]
        for buyer in self.buyers:
            for listing in (*self.listings, self.book):
                world.agree(buyer, listing)
        self.twin = Twin(world, self.merchant, self.book)

    def offer(self, exclusive: bool) -> str:
        chance = self.random
        terms: dict[str, Any] = {
            "territories": tuple(chance.sample(PLACES, chance.choice((1, 2, 3)))),
            "field_group": chance.choice(GROUPS),
            "term_days": chance.choice((1, 5, 20)),
        }
        if exclusive:
            terms |= {"deal": "exclusive_licence", "supply": "exclusive"}
        return self.world.listing(self.merchant, self.product, **terms)

    def step(self) -> str:
        """One thing happens; gives its name."""
        name = self.random.choice(
            ("buy", "buy", "buy", "units", "deliver", "accept", "reject", "refund", "wait")
        )
        outcome = getattr(self, f"_{name}")()
        if outcome is not None:
            self.twin.hear(outcome.events)
        self.compare()
        return name

    def _buy(self) -> Any:
        listing, buyer = self.random.choice(self.listings), self.random.choice(self.buyers)
        place = self.random.choice(self.world.state.listings[listing].terms.territories)
        accepts = self.random.random() < 0.3
        return self.world.order(buyer, listing, signed=False, territory=place, accepts_prior=accepts)

    def _units(self) -> Any:
        """Sold on by whoever has some, to whoever bids."""
        seller, buyer = self.random.sample((self.merchant, *self.buyers), 2)
        self.twin.hear(self.world.ask(seller, self.book, 3, 100).events)
        return self.world.bid(
            buyer, self.book, self.random.choice((2, 3)), 100, signed=False, time_in_force="ioc"
        )

    def _open(self, *states: str) -> str:
        found = [row.id for row in self.world.state.trades.values() if row.state in states]
        return self.random.choice(found) if found else ""

    def _deliver(self) -> Any:
        trade = self._open("settled", "rejected")
        return self.world.deliver(trade) if trade else None

    def _accept(self) -> Any:
        trade = self._open("delivered", "redelivered")
        return self.world.accept(trade) if trade else None

    def _reject(self) -> Any:
        trade = self._open("delivered", "redelivered")
        return self.world.reject(trade) if trade else None

    def _refund(self) -> Any:
        """Of a trade under way both agree that all of its price goes back."""
        trade = self.world.state.trades.get(self._open("settled", "delivered"))
        if trade is None:
            return None
        for who in (trade.buyer, trade.seller):
            offer = e.OfferRefund(
                actor=who, trade=trade.id, amount_fen=trade.amount_fen, reason="both want it"
            )
            outcome = self.world.must(offer)
        return outcome

    def _wait(self) -> Any:
        self.world.wait(days=self.random.choice((0.5, 2, 6, 30)))
        return self.world.tick()

    def compare(self) -> None:
        world, twin = self.world, self.twin
        for name in (*self.listings, self.book):
            for place in world.state.listings[name].terms.territories:
                for buyer in self.buyers:
                    self.compare_one(name, place, buyer, twin)

    def compare_one(self, name: str, place: str, buyer: str, twin: Twin) -> None:
        state, at_ns = self.world.state, self.world.at_ns
        listing = state.listings[name]
        terms = listing.terms
        deal = Deal(
            listing=listing, cell=new_cell(state, listing, terms.purposes[0], place, at_ns), buyer=buyer,
            seller=self.merchant, buy_order="", sell_order="", quantity=1, price_fen=terms.price_fen, rest_fen=0,
            purpose=terms.purposes[0], territory=place, accepts_prior=False,
        )  # fmt: skip
        said = clearing_facts(state, deal, at_ns).trade
        assert said is not None
        where = (buyer, terms.field_group, place)
        assert said.other_exclusive_active is twin.other_exclusive(*where), (name, where, twin.licences)
        if terms.deal == "exclusive_licence":
            assert said.other_nonexclusive_active is twin.other_nonexclusive(*where), (
                name,
                where,
                twin.licences,
            )


@pytest.mark.parametrize("first", range(0, 12, 4))
def test_the_venue_says_what_a_plain_list_says(first: int) -> None:
    seen: dict[str, int] = {}
    for seed in range(first, first + 4):
        day = Day(seed)
        for _ in range(45):
            name = day.step()
            seen[name] = seen.get(name, 0) + 1
        day.world.check()
    assert len(seen) == 7, "every kind of step"


@pytest.mark.parametrize("early_ns", [1, 0])
def test_units_whose_terms_are_over_are_nobodys_licence_any_more(early_ns: int) -> None:
    """B17: the book closed, a hold of its last day could be cured until ten days later, and then the term ran out."""
    world = World()
    merchant, holder, buyer = world.merchant(), world.buyer(), world.buyer()
    product = world.product(merchant)
    book = world.book(merchant, product, listed_days=20, term_days=30)
    exclusive = world.listing(merchant, product, deal="exclusive_licence", supply="exclusive")
    world.agree(buyer, exclusive)
    world.ask(merchant, book, 5, 100)
    world.bid(holder, book, 5, 100)
    ends_ns = world.state.listings[book].until_ns
    world.tick_at(ends_ns + 1)
    assert world.state.listings[book].state == "expired"
    world.at_ns = ends_ns + (HOLD_DAYS + 30) * DAY_NS - early_ns - 1_000
    held = [event for event in world.order(buyer, exclusive).events if isinstance(event, e.Held)]
    assert [row.violated for row in held] == [("B17",)] * early_ns
    world.check()
