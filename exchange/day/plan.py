"""The orders of a day, drawn from its seed before the first is sent, each with what must come of it.

A turn is what one participant sends at once. Every trap is walked into at least once; the rest is drawn: lawful orders,
the books' orders on both sides, more traps. Fates of deliveries follow the merchant's character.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from exchange.day.expectation import Fate, Fill, NaiveBook, Outcome, Resting
from exchange.day.stalls import BOOK_PRICE_FEN, UNITS, Character, Market, Stall, Trap

FATES: Final[dict[Character, tuple[tuple[Fate, int], ...]]] = {
    "honest": (("accepted", 80), ("silent", 20)),
    "careless": (
        ("accepted", 45),
        ("silent", 15),
        ("redelivered", 20),
        ("missed", 10),
        ("not_redelivered", 10),
    ),
    "dishonest": (("accepted", 20), ("missed", 35), ("rejected_twice", 25), ("not_redelivered", 20)),
}
"""What becomes of a delivery, by weight."""

KINDS: Final = {"posted": 46, "book": 42, "trap": 10, "cancel": 2}
"""What an ordinary buyer does next, by weight. Where listings were imported, seven posted orders of ten go there."""
IMPORTED_OF_TEN: Final = 7
CONDITIONS: Final = ("fok", "post_only", "iceberg")
"""Of orders in the books, beside plain ones that rest or take what there is."""
MOST_IN_A_TURN: Final = 100
SPREAD_FEN: Final = 25
ANY_PRICE_FEN: Final = 10**12
MOST_AMOUNT_FEN: Final = 10**7


@dataclass(frozen=True)
class Planned:
    """An order as it is sent, what must come of it, what is done with its trade, and the trap it walks into."""

    number: int
    actor: str
    stall: Stall
    body: dict[str, Any]
    outcome: Outcome
    fate: Fate
    others: tuple[str, ...] = ()
    """In a book: whom each fill is with."""
    trap: Trap | None = None


@dataclass
class Turn:
    """What one participant does at once: orders, then the numbers of own resting orders to cancel."""

    actor: str
    orders: list[Planned] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)


class Planner:
    """Draws the day. Its books and holdings are the day's own, never the venue's."""

    def __init__(
        self, seed: str, orders: int, market: Market, buyers: list[str], dealers: tuple[str, ...]
    ) -> None:
        self._random = random.Random(f"{seed} plan")
        self.orders, self.market, self.buyers, self.dealers = orders, market, buyers, dealers
        self.planned = 0
        """Orders that were drawn so far."""
        self._books = {stall.label: NaiveBook() for stall in market.books}
        self._units: dict[tuple[str, str], int] = defaultdict(int)
        for stall in market.books:
            self._units[stall.label, stall.seller] = UNITS
        self._again = [trap for trap in market.traps if not trap.once]

    def first(self) -> list[Turn]:
        """Purchases that the traps need; all are delivered and accepted."""
        return [
            Turn(buyer, [self._lawful(buyer, stall, 1, {}, "accepted")]) for buyer, stall in self.market.first
        ]

    def trading(self) -> list[Turn]:
        """All the rest of the day's orders: each trap at least once, at a drawn place among the others.

        Traps touch no book, so they may stand anywhere.
        """
        trapped, turns = list(self._each_trap_once()), []
        while self.planned < self.orders:
            turns.append(self._turn())
        for turn in trapped:
            turns.insert(self._random.randint(0, len(turns)), turn)
        return turns

    # -- traps

    def _each_trap_once(self) -> Iterator[Turn]:
        for trap in self.market.traps:
            actor = trap.by or self._random.choice(self.buyers)
            yield Turn(actor, [self._walk_into(trap, actor)])

    def _walk_into(self, trap: Trap, actor: str) -> Planned:
        quantity = self._random.randint(1, 3)
        fills: tuple[Fill, ...] = ()
        fate: Fate = "accepted"
        if trap.hold:
            quantity = 1 if trap.once else quantity
            fills = (Fill("held", quantity, trap.stall.price_fen, trap.rules),)
            fate = self._fate(trap.stall) if trap.hold == "cured" else trap.hold
        if trap.code == "refused":
            fills = (Fill("refused", quantity, trap.stall.price_fen, trap.rules),)
        outcome = Outcome("placed", fills=fills) if fills else Outcome(trap.code, trap.rules)
        return self._planned(actor, trap.stall, quantity, trap.body, outcome, fate, trap=trap)

    # -- turns

    def _turn(self) -> Turn:
        """Mostly one of the buyers, sometimes a merchant at its book or whoever has a trap of its own."""
        room = min(self.orders - self.planned, MOST_IN_A_TURN, 1 + self.orders // 100)
        wanted = self._random.randint(1, room)
        chance = self._random.random()
        if chance < 0.06:
            trap = self._random.choice([trap for trap in self._again if trap.by])
            return Turn(trap.by, [self._walk_into(trap, trap.by) for _ in range(min(wanted, 3))])
        if chance < 0.2:
            stall = self._random.choice(self.market.books)
            return Turn(stall.seller, [self._quote(stall, stall.seller) for _ in range(wanted)])
        return self._buyers_turn(self._random.choice([*self.buyers, *self.dealers]), wanted)

    def _buyers_turn(self, buyer: str, wanted: int) -> Turn:
        turn, cancels = Turn(buyer), 0
        while len(turn.orders) < wanted:
            [kind] = self._random.choices(list(KINDS), list(KINDS.values()))
            if kind == "posted":
                turn.orders.append(self._posted(buyer))
            elif kind == "book":
                turn.orders.append(self._quote(self._random.choice(self.market.books), buyer))
            elif kind == "trap":
                trap = self._random.choice([trap for trap in self._again if not trap.by])
                turn.orders.append(self._walk_into(trap, buyer))
            else:
                turn.orders.append(self._posted(buyer))
                cancels += 1
        turn.cancels = [number for _ in range(cancels) for number in self._cancel(buyer)]
        return turn

    # -- lawful orders at a posted price

    def _posted(self, buyer: str) -> Planned:
        use_imported = self.market.imported and self._random.randrange(10) < IMPORTED_OF_TEN
        stall = self._random.choice(self.market.imported if use_imported else self.market.posted)
        most = max(1, min(5 * stall.per_units, MOST_AMOUNT_FEN // max(1, stall.price_fen)))
        quantity = self._random.randint(1, most)
        limit = {"limit_fen": stall.price_fen + 1} if self._random.random() < 0.2 else {}
        return self._lawful(buyer, stall, quantity, limit, self._fate(stall))

    def _lawful(self, buyer: str, stall: Stall, quantity: int, body: dict[str, Any], fate: Fate) -> Planned:
        outcome = Outcome("placed", fills=(Fill("settled", quantity, stall.price_fen),))
        return self._planned(buyer, stall, quantity, body, outcome, fate)

    def _fate(self, stall: Stall) -> Fate:
        fates, weights = zip(*FATES[stall.character], strict=True)
        fate: Fate = self._random.choices(fates, weights)[0]
        return fate

    # -- books

    def _quote(self, stall: Stall, actor: str) -> Planned:
        """Buy or, who may, sell around the listed price; now and then at any price, or more than one has."""
        chance = self._random
        quantity, held = chance.randint(1, 20), self._units[stall.label, actor]
        sells = actor == stall.seller or (actor in self.dealers and held > 0 and chance.random() < 0.6)
        side = "sell" if sells else "buy"
        price_fen = BOOK_PRICE_FEN + chance.randint(-SPREAD_FEN, SPREAD_FEN)
        at_market = chance.random() < 0.05
        keeps = not at_market and chance.random() < 0.75
        body: dict[str, Any] = {"side": side, "time_in_force": "gtc" if keeps else "ioc"}
        body |= {} if at_market else {"limit_fen": price_fen}
        if sells and quantity > held:
            return self._planned(actor, stall, quantity, body, Outcome("units_insufficient"), "units")
        reach_fen = {"buy": ANY_PRICE_FEN, "sell": 1}[side] if at_market else price_fen
        new = Resting(self.planned + 1, actor, side, reach_fen, quantity)
        kind = "" if at_market else self._kind(stall, new)
        return self._of_kind(stall, new, body, keeps, kind) if kind else self._match(stall, new, body, keeps)

    def _kind(self, stall: Stall, new: Resting) -> str:
        """Now and then an order with a condition; of nobody who would meet its own."""
        kind = self._random.choices(["", *CONDITIONS], [76, 8, 8, 8])[0]
        own = any(one.side != new.side for one in self._books[stall.label].of(new.owner))
        return "" if own or (kind == "iceberg" and new.quantity < 2) else kind

    def _of_kind(self, stall: Stall, new: Resting, body: dict[str, Any], keeps: bool, kind: str) -> Planned:
        """Fill or kill: all at once or nothing. Post only: nothing at once or refused. Iceberg: a part is shown."""
        reach = self._books[stall.label].would_fill(new.side, new.price_fen)
        if kind == "fok":
            body = {**body, "time_in_force": "fok"}
            if reach < new.quantity:
                return self._planned(new.owner, stall, new.quantity, body, Outcome("placed"), "units")
            return self._match(stall, new, body, keeps=False)
        if kind == "post_only":
            body = {**body, "time_in_force": "gtc", "post_only": True}
            if reach:
                return self._planned(new.owner, stall, new.quantity, body, Outcome("would_cross"), "units")
            return self._match(stall, new, body, keeps=True)
        new.display = self._random.randint(1, new.quantity - 1)
        body = {**body, "time_in_force": "gtc", "display_quantity": new.display}
        return self._match(stall, new, body, keeps=True)

    def _match(self, stall: Stall, new: Resting, body: dict[str, Any], keeps: bool) -> Planned:
        """Units that are offered are set aside; what was bought can be sold at once."""
        quantity, buys = new.quantity, new.side == "buy"
        met = self._books[stall.label].take(new, keeps)
        for other, units, _ in met:
            if buys:
                self._units[stall.label, new.owner] += units
            else:
                self._units[stall.label, other] += units
                self._units[stall.label, new.owner] -= units
        rests = new.quantity if keeps else 0
        self._units[stall.label, new.owner] -= 0 if buys else rests
        fills = tuple(Fill("settled", units, price_fen) for _, units, price_fen in met)
        outcome = Outcome("placed", fills=fills, rests=rests)
        others = tuple(other for other, _, _ in met)
        return self._planned(new.owner, stall, quantity, body, outcome, "units", others=others)

    def _cancel(self, actor: str) -> Iterator[int]:
        """The oldest resting order, if there is one; its units are free again."""
        for stall in self.market.books:
            for old in self._books[stall.label].of(actor)[:1]:
                self._books[stall.label].cancel(old.order)
                self._units[stall.label, actor] += old.quantity if old.side == "sell" else 0
                yield old.order
                return

    def _planned(
        self,
        actor: str,
        stall: Stall,
        quantity: int,
        body: dict[str, Any],
        outcome: Outcome,
        fate: Fate,
        others: tuple[str, ...] = (),
        trap: Trap | None = None,
    ) -> Planned:
        self.planned += 1
        sent = {"listing": stall.listing, "quantity": quantity, "purpose": stall.purpose}
        sent |= {"territory": stall.territory, **body}
        return Planned(self.planned, actor, stall, sent, outcome, fate, others, trap)
