"""What must come of the day, kept outside the venue: planted outcomes, a market of its own, everybody's money.

Nothing here asks the venue's rules, its matching or its ledger: what is planted was decided when the day was laid
out. `Expectation.differences` says in words where the venue does otherwise.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Fate = Literal[
    "accepted",
    "silent",
    "redelivered",
    "rejected_twice",
    "not_redelivered",
    "missed",
    "units",
    "lapsed",
    "revoked",
]
FINAL_STATE: Final[dict[Fate, str]] = {
    "accepted": "completed",
    "silent": "completed",
    "redelivered": "completed",
    "rejected_twice": "refunded",
    "not_redelivered": "refunded",
    "missed": "refunded",
    "units": "completed",
    "lapsed": "refused",
    "revoked": "refused",
}
"""What is done with a trade -> what it must be when the day is over. Units change hands at once; of the last two the
hold runs out, or the registration is revoked under it.
"""

FEE_BP: Final = {
    "general": 200,
    "public_data": 100,
    "computing": 50,
    "health": 200,
    "transport": 200,
    "data_ip": 100,
    "open_research": 0,
}
"""Of the boards, in hundredths of a percent, as their merchants were told."""


@dataclass(frozen=True)
class Fill:
    """One trade of an order as it must be, or was: state at once, units, price, rules broken."""

    state: str
    quantity: int
    price_fen: int
    rules: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((f"{self.quantity} at {self.price_fen} {self.state}", *self.rules))


@dataclass(frozen=True)
class Outcome:
    """Of an order: `code` is `placed` or the refusal's name; `rests` are units that wait in a book."""

    code: str
    rules: tuple[str, ...] = ()
    fills: tuple[Fill, ...] = ()
    rests: int = 0

    def __str__(self) -> str:
        fills = f"[{', '.join(map(str, self.fills))}]" if self.fills else ""
        rests = f"{self.rests} rest" if self.rests else ""
        return " ".join(part for part in (self.code, *self.rules, fills, rests) if part)


@dataclass
class Line:
    """A planted order beside what the venue made of it."""

    actor: str
    stall: str
    planted: Outcome
    seen: Outcome


@dataclass
class Deal:
    """A trade that came of a planted order, what it moves, and what shall be done with it."""

    order: int
    buyer: str
    seller: str
    board: str
    amount_fen: int
    fate: Fate
    shares: tuple[tuple[str, int], ...] = ()
    """(contributor, basis points of what remains after the fee)"""
    mechanism: str = "posted_price"
    grade_bp: int = 0
    """What the seller's grade in force adds to the board's fee, or takes off."""

    @property
    def name(self) -> str:
        """For people: the order that it came of, or the lot."""
        plain = self.mechanism in ORDERED
        return f"order {self.order}" if plain else f"lot {self.order}, {self.mechanism}"


@dataclass
class Expectation:
    """The day's book: lines in the order in which they were sent, deals by the venue's trade ids."""

    lines: list[Line] = field(default_factory=list)
    deals: dict[str, Deal] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    """Trade: the state in which the day left it."""
    doors: list[Line] = field(default_factory=list)
    """Offers that must not get as far as an order."""
    moves: list[tuple[str, str, int]] = field(default_factory=list)
    """(from, to, fen): what no deal moves, such as a deposit that is forfeited."""
    paid: list[tuple[str, str, str, int, int]] = field(default_factory=list)
    """(buyer, seller, board, what the seller's grade adds to the fee in basis points, fen): bills."""
    odd: list[str] = field(default_factory=list)
    """Steps and closing balances that differ."""

    def step(self, what: str, planted: object, seen: object) -> None:
        if planted != seen:
            self.odd.append(f"{what}: planted {planted}, the venue says {seen}")

    def moved_fen(self) -> dict[str, int]:
        """Who -> by what the balance must have changed, once every deal has ended."""
        moved: dict[str, int] = defaultdict(int)
        for deal in self.deals.values():
            if FINAL_STATE[deal.fate] == "completed":
                moved[deal.buyer] -= deal.amount_fen
                remains = deal.amount_fen - fee_fen(deal.board, deal.grade_bp, deal.amount_fen)
                for who, part_bp in deal.shares:
                    moved[who] += remains * part_bp // 10_000
                moved[deal.seller] += remains - sum(remains * part // 10_000 for _, part in deal.shares)
        for buyer, seller, board, grade_bp, fen in self.paid:
            moved[buyer] -= fen
            moved[seller] += fen - fee_fen(board, grade_bp, fen)
        for loser, winner, fen in self.moves:
            moved[loser] -= fen
            moved[winner] += fen
        return moved

    def differences(self) -> Iterator[str]:
        for number, line in enumerate(self.lines, 1):
            if line.planted != line.seen:
                yield (
                    f"order {number} of {line.actor} at {line.stall}: planted {line.planted}; "
                    f"the venue says {line.seen}"
                )
        for line in self.doors:
            if line.planted != line.seen:
                yield f"offer {line.stall}: planted {line.planted}; the venue says {line.seen}"
        for trade, deal in self.deals.items():
            planted, seen = FINAL_STATE[deal.fate], self.ends.get(trade, "gone")
            if planted != seen:
                yield f"trade of {deal.name} ({deal.fate}): planted {planted}, the venue says {seen}"
        yield from sorted(self.odd)

    def summary(self) -> dict[str, Any]:
        """Counts for people; a refusal counts for each rule that it names."""
        fills = Counter(fill.state for line in self.lines for fill in line.seen.fills)
        ends = Counter(self.ends.get(trade, "gone") for trade in self.deals)
        codes = Counter(line.seen.code for line in (*self.lines, *self.doors))
        return {
            "orders": len(self.lines),
            "settled": fills["settled"],
            "held": fills["held"],
            "resting": sum(line.seen.rests > 0 for line in self.lines),
            "refused": {code: codes[code] for code in sorted(codes) if code != "placed"},
            "refused_by_rule": _counted(self._rules("refused")),
            "held_by_rule": _counted(self._rules("held")),
            "delivered": sum(deal.fate not in NEVER_DELIVERED for deal in self.deals.values()),
            "completed": ends["completed"],
            "refunded": ends["refunded"],
            "released": ends["refused"],
            "mechanisms": _counted(deal.mechanism for deal in self.deals.values()),
            "boards": _counted(deal.board for deal in self.deals.values()),
        }

    def _rules(self, state: str) -> Iterator[str]:
        for line in (*self.lines, *self.doors):
            if state == "refused":
                yield from line.seen.rules
            for fill in line.seen.fills:
                yield from fill.rules if fill.state == state else ()

    def digest(self, grades: dict[str, str]) -> str:
        """Of everything that came of the day, by labels: equal for two runs of a seed, on whatever venue."""
        told = [
            [[line.actor, line.stall, str(line.seen)] for line in (*self.lines, *self.doors)],
            [
                [deal.mechanism, deal.order, deal.amount_fen, self.ends.get(trade)]
                for trade, deal in self.deals.items()
            ],
            sorted(self.odd),
            sorted(grades.items()),
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def fee_fen(board: str, grade_bp: int, amount_fen: int) -> int:
    """The fee of a sale; a board that asks for none asks nobody (docs/CREDIT.md)."""
    return amount_fen * max(0, FEE_BP[board] + grade_bp) // 10_000 if FEE_BP[board] else 0


ORDERED: Final = ("posted_price", "continuous_auction")
NEVER_DELIVERED: Final = ("missed", "units", "lapsed", "revoked")


def _counted(names: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


# ---- a market of one's own


@dataclass
class Resting:
    """An order that waits in the naive book."""

    order: int
    owner: str
    side: str
    price_fen: int
    quantity: int
    display: int = 0
    """Of an iceberg: how much is shown at a time."""
    shown: int = 0


@dataclass
class NaiveBook:
    """Price, then time, by looking through everything: slow, short, and not the venue's.

    Nobody trades with itself: whoever meets an order of its own stops there, and nothing of what is left rests.
    """

    resting: list[Resting] = field(default_factory=list)

    def take(self, new: Resting, keeps: bool) -> list[tuple[str, int, int]]:
        """(other side, units, price) of each fill; what is left of the new order rests if it `keeps`."""
        sign = 1 if new.side == "buy" else -1
        fills = []
        while new.quantity:
            met = [
                one
                for one in self.resting
                if one.side != new.side and sign * (new.price_fen - one.price_fen) >= 0
            ]
            if not met:
                break
            best = min(met, key=lambda one: sign * one.price_fen)
            if best.owner == new.owner:
                new.quantity = 0
                break
            units = min(new.quantity, best.shown if best.display else best.quantity)
            fills.append((best.owner, units, best.price_fen))
            new.quantity -= units
            self._less(best, units)
        if new.quantity and keeps:
            new.shown = min(new.display, new.quantity)
            self.resting.append(new)
        return fills

    def _less(self, one: Resting, units: int) -> None:
        """An iceberg whose part is used up shows the next one, behind all the others."""
        one.quantity -= units
        one.shown -= units if one.display else 0
        if not one.quantity or (one.display and not one.shown):
            self.resting.remove(one)
            if one.quantity:
                one.shown = min(one.display, one.quantity)
                self.resting.append(one)

    def would_fill(self, side: str, price_fen: int) -> int:
        """Units that an order at this price would meet, hidden ones included."""
        sign = 1 if side == "buy" else -1
        return sum(
            one.quantity
            for one in self.resting
            if one.side != side and sign * (price_fen - one.price_fen) >= 0
        )

    def cancel(self, order: int) -> None:
        self.resting = [one for one in self.resting if one.order != order]

    def of(self, owner: str) -> list[Resting]:
        return [one for one in self.resting if one.owner == owner]
