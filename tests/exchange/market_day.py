"""Seeded days of a small, crowded book: every kind of order, few prices, few owners, forbidden pairs and refusals.

A day looks at the naive twin to name orders that live; what it says next depends on nothing but its seed and the twin.
"""

from collections import Counter
from random import Random
from zlib import crc32

from msgspec.structs import replace

from exchange.matching.orders import (
    BUY,
    PLAIN,
    SELL,
    Barred,
    CameIn,
    Cancel,
    Closed,
    Command,
    Conditions,
    Disconnect,
    Enter,
    Entered,
    Event,
    Expire,
    Filled,
    Instrument,
    MassCancel,
    Move,
    Moved,
    Reduced,
    Refilled,
    Refused,
    Replace,
    Replaced,
    SelfTrade,
    Side,
    TimeInForce,
    Uncrossed,
)
from tests.exchange.naive_market import NaiveMarket, Order

PARTICIPANTS = tuple(f"p{number}" for number in range(16))
FEATURES = (
    "",
    "display",
    "minimum",
    "minimum",
    "both",
    "both",
    "all_or_none",
    "all_or_none",
    "post_only",
    "post_only",
    "post_display",
)
SESSIONS = ("", "x", "y", "z")
SIDES: tuple[tuple[Side, Side], ...] = ((BUY, SELL), (SELL, BUY))
LASTING: tuple[TimeInForce, ...] = ("gtc", "gtd", "day")
AT_ONCE: tuple[TimeInForce, ...] = ("ioc", "fok")
MODES: tuple[SelfTrade, ...] = ("cancel_newest", "cancel_oldest", "cancel_both", "decrement")
TICK, LOT = 5, 2
LOWEST, HIGHEST = 480, 520
INSTRUMENT = Instrument(tick_fen=TICK, lot=LOT, collar_bp=700, reference_fen=500)


def owner(participant: str) -> str:
    """o0 owns six participants, o1 five, the others one each."""
    number = int(participant[1:])
    return "o0" if number < 6 else "o1" if number < 11 else f"o{number}"


def share(*words: object) -> int:
    """0 to 99, by the words alone: the same in every process."""
    return crc32("|".join(map(str, words)).encode()) % 100


class Law:
    """Who may trade with whom. It may change."""

    def __init__(self) -> None:
        self.version = 0

    def may_trade(self, buyer: str, seller: str) -> bool:
        return share("law", self.version, buyer, seller) >= 12


def stands(fill: Filled) -> bool:
    return share("clearing", fill.buy, fill.sell) >= 35


class Day:
    """`command()` gives the next one. `twin` has to execute it before the next is asked for."""

    def __init__(self, seed: int, twin: NaiveMarket) -> None:
        self.random = Random(seed)
        self.twin = twin
        self.number = 0
        self.clock = 0
        self.ahead: list[Command] = []

    def chance(self, percent: float) -> bool:
        return self.random.random() * 100 < percent

    def living(self) -> list[Order]:
        return self.twin.rests + self.twin.waits

    def command(self) -> Command:
        self.clock += 1
        if self.ahead:
            return self.ahead.pop(0)
        living = self.living()
        draw = self.random.random() * 100
        if self.twin.phase in ("closed", "halted") and self.chance(40):
            return self.move()
        if self.twin.phase in ("pre_open", "call_auction") and self.chance(5):
            return self.move()
        if draw < 2:
            return self.move()
        if draw > 91 and self.twin.phase == "continuous":
            self.ahead = self.scene()
            return self.ahead.pop(0)
        if draw < 5:
            return Expire(self.clock)
        if draw < 6.3:
            return Disconnect(self.random.choice(SESSIONS))
        if draw < 6.9:
            return MassCancel(self.random.choice(PARTICIPANTS), self.random.choice(("", BUY, SELL)))
        if living and draw < 6.9 + len(living) / 3:
            return Cancel(self.name(living))
        if living and draw < 30:
            return self.replacement(living)
        return self.entry(living)

    def name(self, living: list[Order]) -> str:
        return "nobody" if self.chance(2) else self.random.choice(living).order

    def move(self) -> Move:
        if self.chance(3):
            return Move(self.random.choice(("closed", "pre_open", "call_auction", "halted", "resume")))
        onward: dict[str, tuple[str, ...]] = {
            "closed": ("pre_open", "continuous"),
            "pre_open": ("call_auction", "closed", "halted"),
            "call_auction": ("continuous", "continuous", "continuous", "closed", "halted"),
            "continuous": ("call_auction", "call_auction", "call_auction", "closed", "closed", "halted"),
            "halted": ("resume",),
        }
        return Move(self.random.choice(onward[self.twin.phase]))  # type: ignore[arg-type]

    # ---- orders

    def price(self, side: str = "") -> int:
        """Of a side: more often one that rests."""
        if self.chance(6.5):
            far = 10 * TICK
            return self.random.choice(
                (-TICK, LOWEST + 1, HIGHEST - 3, HIGHEST - 2, LOWEST - far, HIGHEST + far)
            )
        drawn = [self.random.randrange(LOWEST, HIGHEST + 1, TICK) for _ in range(3)]
        return min(drawn) if side == BUY else max(drawn) if side == SELL else drawn[0]

    def near(self) -> int:
        """A price that no collar refuses, and that leads the collar nowhere else."""
        near = (self.twin.last_fen or INSTRUMENT.reference_fen) + TICK * self.random.randint(-2, 2)
        return min(max(near, LOWEST), HIGHEST)

    def quantity(self, most: int = 12) -> int:
        if self.chance(9):
            return self.random.choice((0, -LOT, LOT + 1, LOT + 1))
        return LOT * self.random.randint(1, most)

    def new_name(self) -> str:
        self.number += 1
        return f"a{self.number}"

    def whole_scene(self) -> list[Command]:
        """An all-or-none and orders that make up its quantity, before it or behind it."""
        side, other = self.random.choice(SIDES)
        price_fen, stop_fen = self.near(), self.random.choice((0, self.twin.last_fen))
        behind = self.chance(55)
        parts = [LOT * self.random.randint(1, 4) for _ in range(2 if behind else 3)]
        whole = Conditions(
            time_in_force=self.random.choice(LASTING) if behind or self.chance(20) else "ioc",
            stop_fen=stop_fen,
            all_or_none=True,
            self_trade=self.random.choice(MODES[:3]),
        )
        if whole.time_in_force in ("gtd", "day"):
            whole = replace(whole, expires_ns=self.clock + self.random.randint(3, 200))
        all_of_it = self.plain(side, price_fen, sum(parts), whole)
        makers = [self.plain(other, price_fen, part, PLAIN) for part in parts]
        return [all_of_it, *makers] if behind else [*makers, all_of_it]

    def scene(self) -> list[Command]:
        """What chance alone would bring about too seldom."""
        scenes = (self.whole_scene, self.interrupted_scene, self.own_scene)
        return self.random.choices(scenes, (9, 6, 3))[0]()

    def own_scene(self) -> list[Command]:
        """What fills a fok whole, and behind it an order of its own owner, which it meets if clearing refuses the fill."""
        side, other = self.random.choice(SIDES)
        price_fen, quantity = self.near(), self.quantity()
        modes = (Conditions(self_trade=mode, post_only=self.chance(50)) for mode in MODES)
        fok = Conditions(time_in_force="fok", self_trade="decrement")
        commands = [
            self.plain(other, price_fen, quantity, PLAIN),
            self.plain(other, price_fen, quantity, self.random.choice(list(modes))),
            self.plain(side, price_fen, quantity, fok),
        ]
        return [commands[0], *(replace(each, owner="o0", participant="p1") for each in commands[1:])]

    def interrupted_scene(self) -> list[Command]:
        """An order rests, and what would meet it comes while orders do not meet."""
        side, other = self.random.choices(SIDES, (7, 3))[
            0
        ]  # of two orders barred in an auction the buy is the taker
        price_fen, quantity = self.price(side), LOT * self.random.randint(4, 12)
        kind = self.random.choice(("post_only", "post_only", "minimum", "minimum", "stop_limit"))
        called = self.chance(65)
        asked = {
            "post_only": Conditions(post_only=True),
            "minimum": Conditions(minimum=LOT, self_trade="cancel_oldest"),
            "stop_limit": Conditions(stop_fen=self.twin.last_fen),
        }[kind]
        resting: list[Command] = [self.plain(side, price_fen, quantity, asked)]
        if kind == "minimum":
            resting.insert(0, self.plain(other, price_fen, LOT, PLAIN))
        meanwhile = [self.plain(other, price_fen, LOT * self.random.randint(1, 4), PLAIN) for _ in range(4)]
        if called:
            return [*resting, Move("call_auction"), *meanwhile, Move("continuous")]
        return [*resting, Move("closed"), Move("pre_open"), *meanwhile, Move("closed"), Move("continuous")]

    def plain(self, side: Side, price_fen: int, quantity: int, asked: Conditions) -> Enter:
        participant = self.random.choice(PARTICIPANTS)
        return Enter(self.new_name(), side, price_fen, quantity, owner(participant), participant, asked)

    def entry(self, living: list[Order]) -> Enter:
        name = self.new_name()
        if living and self.chance(3):
            name = self.random.choice(living).order
        elif self.number > 50 and self.chance(5):
            name = f"a{self.number - self.random.randint(1, 50)}"
        participant = self.random.choice(PARTICIPANTS)
        quantity = self.quantity()
        side, other = self.random.choice(SIDES)
        stop_fen = self.price(other) if self.chance(30) else 0
        market = self.chance(40 if stop_fen else 15)
        asked = self.conditions(quantity, market, stop_fen)
        whole = asked.all_or_none or asked.minimum or asked.time_in_force == "fok"
        eager = whole or self.twin.phase != "continuous"
        price_fen = 0 if market else self.price(other if eager else side)
        return Enter(name, side, price_fen, quantity, owner(participant), participant, asked)

    def conditions(self, quantity: int, market: bool, stop_fen: int) -> Conditions:
        random = self.random
        feature = random.choice(FEATURES)
        time_in_force = random.choice((*LASTING, *AT_ONCE))
        if (market and not stop_fen) or (stop_fen and self.chance(30)):
            time_in_force = random.choice(AT_ONCE)
        elif feature in ("minimum", "all_or_none") and self.chance(70):
            time_in_force = random.choice(LASTING)
        elif self.twin.phase != "continuous" and self.chance(60):
            time_in_force, feature = random.choice(LASTING), random.choice(("", "display"))
        if self.chance(95):  # what does not contradict itself
            if time_in_force not in LASTING or market:
                feature = {"display": "", "both": "minimum", "post_only": "", "post_display": "display"}.get(
                    feature, feature
                )
                feature = "" if feature == "display" or (market and feature == "all_or_none") else feature
            if time_in_force == "fok" or (stop_fen and feature.startswith("post")):
                feature = ""
        self_trade = random.choice(MODES)
        if feature == "all_or_none" and self_trade == "decrement" and self.chance(95):
            self_trade = "cancel_oldest"
        expires = self.clock + random.randint(1, 200) if time_in_force in ("gtd", "day") else 0
        return Conditions(
            time_in_force=time_in_force,
            stop_fen=stop_fen,
            display=self.part(quantity) if feature in ("display", "both", "post_display") else 0,
            minimum=self.part(quantity, 3) if feature in ("minimum", "both") else 0,
            all_or_none=feature == "all_or_none",
            post_only=feature in ("post_only", "post_display"),
            self_trade=self_trade,
            expires_ns=expires,
            session=random.choice(SESSIONS),
        )

    def part(self, quantity: int, of: int = 1) -> int:
        """At most the `of`-th part of it."""
        if self.chance(2):
            return self.random.choice((quantity + LOT, 1, -LOT))
        return LOT * self.random.randint(1, max(quantity // LOT // of, 1))

    def replacement(self, living: list[Order]) -> Replace:
        filled = [order for order in living if order.filled]
        draw = self.random.random() * 100
        order = self.random.choice(filled if filled and 50 <= draw < 61 else living)
        whole = order.filled + order.remaining
        quantity, price_fen, stop_fen, display = whole, order.price_fen, order.stop_fen, order.display
        if draw < 40:
            quantity = max(LOT, whole - LOT * self.random.randint(0, 3))
        elif draw < 50:
            quantity = self.quantity(20)
        elif draw < 61:
            quantity = order.filled
        elif draw < 85 and (price_fen or self.chance(5)):
            price_fen = self.price(order.side)
        elif draw < 92:
            stop_fen = self.price()
        elif not order.all_or_none or self.chance(10):
            display = self.part(quantity)
        if self.chance(1):
            price_fen = 0
        return Replace(self.name([order]), quantity, price_fen, stop_fen, display)


LABELS = (
    *("limit", "market", "stop", "stop_limit", "gtc", "gtd", "day", "ioc", "fok"),
    *("post_only", "iceberg", "minimum", "all_or_none"),
    *("cancel_newest", "cancel_oldest", "cancel_both", "decrement"),
)


def labels(command: Enter) -> tuple[str, ...]:
    """What an order is. A stop without price is a `stop`."""
    asked = command.conditions
    kinds = {
        (False, False): "market",
        (True, False): "limit",
        (False, True): "stop",
        (True, True): "stop_limit",
    }
    features = {
        "post_only": asked.post_only,
        "iceberg": asked.display,
        "minimum": asked.minimum,
        "all_or_none": asked.all_or_none,
    }
    kind = kinds[command.price_fen != 0, asked.stop_fen != 0]
    return (kind, asked.time_in_force, *(name for name, has in features.items() if has), asked.self_trade)


class Tally:
    """How often each thing happened to each kind of order: counts[happening, label]."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.others: Counter[str] = Counter()
        self.entered: dict[str, tuple[str, ...]] = {}

    def note(self, command: Command, events: list[Event]) -> None:
        for event in events:
            if isinstance(command, Enter) and isinstance(event, Refused):
                self.add(f"refused {event.code}", labels(command))
                continue
            if isinstance(command, Enter) and isinstance(event, Entered):
                self.entered[command.order] = labels(command)
            for happening, order in happenings(event):
                if order in self.entered:
                    self.add(happening, self.entered[order])
                else:
                    self.others[happening] += 1

    def add(self, happening: str, kinds: tuple[str, ...]) -> None:
        self.counts.update((happening, label) for label in kinds)


def happenings(event: Event) -> list[tuple[str, str]]:
    """(what happened, to which order)."""
    match event:
        case Filled(maker=""):
            return [("filled called", event.buy), ("filled called", event.sell)]
        case Filled():
            taker = event.sell if event.maker == event.buy else event.buy
            return [("filled taker", taker), ("filled maker", event.maker)]
        case Barred():
            return [("barred taker", event.taker), ("barred maker", event.maker)]
        case Closed():
            return [(f"closed {event.reason}", event.order)]
        case CameIn():
            return [(f"came in {event.cause}", event.order)]
        case Replaced():
            return [(f"replaced {'keeps' if event.keeps_place else 'loses'}", event.order)]
        case Refused():
            return [(f"refused {event.code}", event.order)]
        case Moved():
            return [(f"moved {event.phase}", "")]
        case Uncrossed():
            return [("uncrossed" if event.quantity else "nothing crossed", "")]
        case Entered() | Refilled() | Reduced():
            return [(type(event).__name__.lower(), event.order)]
