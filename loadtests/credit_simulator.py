"""A market whose merchants have a known probability of failing, and what a score is compared with.

Written and committed before the model was tuned (issue "Credit", "How it is proved"), and not changed since: what a
model is measured with must not be fitted to it. Everything follows from the seed. Seeds below `FRESH` are for tuning,
those from it on for the table in docs/CREDIT.md.

A market runs `HISTORY_DAYS`. Its merchants:

    honest     fails seldom (2 % of orders on average); a third of them once change for better or worse
    careless   fails often (10 %); changes likewise
    newcomer   the same people (one in five careless), here for two months at most
    fraud      sells well and without a fault until a day of its own, then fails in six of ten large orders
    ring       fails often (17 %), and hides it behind clean orders with bought identities that it shares with two others

What is foreseen: whether a merchant fails at least once in its next `NEXT_ORDERS` orders with genuine buyers. The
oracle knows the probability of that; nobody can rank better on average.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from math import exp, log
from random import Random
from typing import Final, Literal

from msgspec import Struct

from credit.bureau import Bureau
from credit.conduct import WHOLE_BP, Conduct, ConductKind
from credit.merchant import Participant
from credit.score import DAY_NS, Grade

Character = Literal["honest", "careless", "newcomer", "fraud", "ring"]

FRESH: Final = 1_000
"""The first seed that no model was tuned on."""
START_NS: Final = 20_000 * DAY_NS
HISTORY_DAYS: Final = 540
AS_OF_NS: Final = START_NS + HISTORY_DAYS * DAY_NS
OUTCOME_DAYS: Final = 90
NEXT_ORDERS: Final = 10
MERCHANTS: Final = 700
BUYERS: Final = 400
SHARES: Final[tuple[tuple[Character, float], ...]] = (
    ("honest", 0.62),
    ("careless", 0.18),
    ("newcomer", 0.14),
    ("fraud", 0.03),
    ("ring", 0.03),
)
FAILURES: Final[tuple[tuple[ConductKind, float], ...]] = (
    ("delivered_late", 0.40),
    ("rejected_delivery", 0.25),
    ("cancelled_sale", 0.12),
    ("not_delivered", 0.15),
    ("dispute_lost", 0.08),
)
"""How an order fails, whoever fails: the kind says nothing of who is careless."""
RING_MERCHANTS: Final = 3
RING_IDENTITIES: Final = 12
FRAUD_FAILS: Final = 0.6
CUSTOMARY_FEN: Final = 1_200_000
"""The median order, 12,000 CNY."""


class Merchant(Struct):
    """One who is rated. `fails` is the probability that one of its next orders fails; `bad` what then happened."""

    name: str
    character: Character
    fails: float
    orders: int = 0
    failed: int = 0
    bad: bool = False

    @property
    def will_be_bad(self) -> float:
        return 1.0 - (1.0 - self.fails) ** NEXT_ORDERS


class Market(Struct):
    seed: int
    bureau: Bureau
    merchants: list[Merchant]
    buyers: list[str]


class _Life(Struct):
    """How a merchant behaves day by day, before anything has happened."""

    entry_day: int
    orders_a_day: float
    fails: float
    customers: list[str]
    customary_fen: float
    turns_day: int = 1 << 30
    turned: float = 0.0
    breaches_a_year: float = 0.1

    def fails_on(self, day: float) -> float:
        return self.turned if day >= self.turns_day else self.fails


def market(seed: int) -> Market:
    """All merchants, their logs as of `AS_OF_NS`, and what came after it. About 3 s."""
    chance = Random(seed)
    bureau = Bureau()
    buyers = [f"buyer-{number}" for number in range(BUYERS)]
    activity = [chance.lognormvariate(0, 1) for _ in buyers]
    for name in buyers:
        since_day = -chance.randrange(400) if chance.random() < 0.8 else chance.randrange(HISTORY_DAYS)
        bureau.admit(identity(name, max(0, since_day), "buyer"))
    merchants = [
        _merchant(chance, bureau, character, number, buyers, activity)
        for character, share in SHARES
        for number in range(round(share * MERCHANTS))
    ]
    _fake_orders(chance, bureau, [row for row in merchants if row.character == "ring"])
    for row in merchants:
        row.bad = chance.random() < row.will_be_bad
    return Market(seed, bureau, merchants, buyers)


def identity(name: str, day: int, *roles: Literal["buyer", "merchant"]) -> Participant:
    """A participant verified on a day of the market."""
    at_ns = START_NS + day * DAY_NS
    return Participant(
        id=name,
        legal_name=name,
        roles=roles,
        identity="verified",
        identity_log=((at_ns, "verified"),),
        mandate_until_ns=START_NS + 100_000 * DAY_NS,
        registered_at_ns=at_ns,
    )


def settle(
    bureau: Bureau, seller: str, buyer: str, amount_fen: int, at_ns: int, trade: str, part_bp: int = WHOLE_BP
) -> None:
    """A completed order, told of both sides as the venue does; it is history whole where nothing is said."""
    bureau.record(Conduct("completed_sale", seller, buyer, amount_fen, at_ns, trade, part_bp))
    bureau.record(Conduct("completed_purchase", buyer, seller, amount_fen, at_ns, trade, part_bp))


def _merchant(
    chance: Random,
    bureau: Bureau,
    character: Character,
    number: int,
    buyers: Sequence[str],
    activity: Sequence[float],
) -> Merchant:
    life = _life(chance, character, _customers(chance, buyers, activity))
    name = f"{character}-{number}"
    bureau.admit(identity(name, life.entry_day, "buyer", "merchant"))
    row = Merchant(name, character, life.fails_on(HISTORY_DAYS + OUTCOME_DAYS))
    day = life.entry_day + chance.expovariate(life.orders_a_day)
    while day < HISTORY_DAYS:
        _order(chance, bureau, row, life, day)
        day += chance.expovariate(life.orders_a_day)
    _breaches(chance, bureau, name, life)
    return row


def _life(chance: Random, character: Character, customers: list[str]) -> _Life:
    life = _Life(
        entry_day=chance.randrange(HISTORY_DAYS - 40),
        orders_a_day=min(1.0, chance.lognormvariate(log(0.16), 0.8)),
        fails=chance.betavariate(1.2, 58.8),
        customers=customers,
        customary_fen=CUSTOMARY_FEN * chance.lognormvariate(0, 0.7),
    )
    careless = character == "careless" or (character == "newcomer" and chance.random() < 0.2)
    if careless:
        life.fails = chance.betavariate(4, 36)
        life.breaches_a_year = 0.5
    if character in ("honest", "careless") and chance.random() < 0.33:
        _drift(chance, life)
    if character == "newcomer":
        life.entry_day = HISTORY_DAYS - 5 - chance.randrange(55)
    if character == "fraud":
        life.fails, life.turned = 0.005, FRAUD_FAILS
        life.turns_day = HISTORY_DAYS - 30 + chance.randrange(30 + 2 * OUTCOME_DAYS)
    if character == "ring":
        life.fails, life.orders_a_day = chance.betavariate(4, 20), life.orders_a_day / 3
        life.breaches_a_year = 0.5
    return life


def _drift(chance: Random, life: _Life) -> None:
    """Other people run it from some day on: it fails twice as often, half as often, or anything about that."""
    life.turns_day = life.entry_day + chance.randrange(HISTORY_DAYS - life.entry_day)
    life.turned = min(0.5, life.fails * chance.lognormvariate(0, 0.8))


def _customers(chance: Random, buyers: Sequence[str], activity: Sequence[float]) -> list[str]:
    """Those who buy from a merchant, each as often as it stands in the list: a few often, many seldom."""
    drawn = dict.fromkeys(chance.choices(buyers, activity, k=3 + int(chance.expovariate(1 / 14))))
    return [name for name in drawn for _ in range(1 + int(chance.expovariate(0.7)))]


def _order(chance: Random, bureau: Bureau, row: Merchant, life: _Life, day: float) -> None:
    """One order with a genuine buyer, and how it went; what was late or delivered anew is completed all the same."""
    row.orders += 1
    trade, buyer = f"{row.name}-{row.orders}", chance.choice(life.customers)
    amount_fen = int(life.customary_fen * chance.lognormvariate(0, 0.7))
    large = row.character == "fraud" and day >= life.turns_day
    amount_fen = max(10_000, amount_fen * (8 if large else 1))
    at_ns = START_NS + int(day * DAY_NS)
    kind: ConductKind | None = None
    if chance.random() < life.fails_on(day):
        row.failed += 1
        kind = chance.choices([one for one, _ in FAILURES], [share for _, share in FAILURES])[0]
        bureau.record(Conduct(kind, row.name, buyer, amount_fen, at_ns, trade))
    if kind in (None, "delivered_late", "rejected_delivery"):
        settle(bureau, row.name, buyer, amount_fen, at_ns, trade)


def _breaches(chance: Random, bureau: Bureau, name: str, life: _Life) -> None:
    """Orders that a rule refused, and now and then a duty missed, most often mended within weeks."""
    day = life.entry_day + chance.expovariate(life.breaches_a_year / 365)
    while day < HISTORY_DAYS:
        at_ns, reference = START_NS + int(day * DAY_NS), f"{name}-breach-{day:.3f}"
        grave = chance.random() < 0.3
        bureau.record(
            Conduct("duty_missed" if grave else "refused_unlawful_order", name, "", 0, at_ns, reference)
        )
        if grave and chance.random() < 0.8:
            mended_ns = at_ns + chance.randrange(1, 30) * DAY_NS
            bureau.record(Conduct("corrected", name, "", 0, mended_ns, reference))
        day += chance.expovariate(life.breaches_a_year / 365)


def _fake_orders(chance: Random, bureau: Bureau, rings: Sequence[Merchant]) -> None:
    """Clean orders inside each ring, also between its bought identities, spread over its last 300 days."""
    for first in range(0, len(rings), RING_MERCHANTS):
        members = rings[first : first + RING_MERCHANTS]
        bought = [f"bought-{first}-{number}" for number in range(RING_IDENTITIES)]
        for name in bought:
            bureau.admit(identity(name, HISTORY_DAYS - 320, "buyer", "merchant"))
        for row in members:
            for number in range(chance.randrange(40, 150)):
                _fake_order(chance, bureau, row.name, chance.choice(bought), f"{row.name}-fake-{number}")
                row.orders += 1
        for number in range(150):
            seller, buyer = chance.sample(bought, 2)
            _fake_order(chance, bureau, seller, buyer, f"ring-{first}-{number}")


def _fake_order(chance: Random, bureau: Bureau, seller: str, buyer: str, trade: str) -> None:
    at_ns = START_NS + int((HISTORY_DAYS - chance.random() * 300) * DAY_NS)
    settle(bureau, seller, buyer, int(500_000 + 2_500_000 * chance.random()), at_ns, trade)


# --- what a score is compared with: the higher, the better the merchant is thought to be ---


def scores(found: Market) -> list[float]:
    """The venue's own, as of the end of the history."""
    return [float(found.bureau.rating(row.name, AS_OF_NS).score) for row in found.merchants]


def grades(found: Market) -> list[Grade]:
    return [found.bureau.grade(row.name, AS_OF_NS) for row in found.merchants]


def raw_mean(found: Market) -> list[float]:
    """The part of orders that did not fail; without an order, that of all merchants together."""
    orders, failed = sum(row.orders for row in found.merchants), sum(row.failed for row in found.merchants)
    return [-(row.failed / row.orders if row.orders else failed / orders) for row in found.merchants]


def posterior_mean(found: Market) -> list[float]:
    """Two failures in forty orders are assumed beforehand, as the model of the start assumes them."""
    return [-(2 + row.failed) / (40 + row.orders) for row in found.merchants]


def fitted_posterior_mean(found: Market) -> list[float]:
    """The same with the beta distribution that has the mean and variance of the true probabilities: more than a
    venue could know."""
    truth = [row.fails for row in found.merchants]
    mean = sum(truth) / len(truth)
    variance = sum((one - mean) ** 2 for one in truth) / len(truth)
    strength = mean * (1 - mean) / variance - 1
    return [-(mean * strength + row.failed) / (strength + row.orders) for row in found.merchants]


def oracle(found: Market) -> list[float]:
    return [-row.fails for row in found.merchants]


PREDICTORS: Final[dict[str, Callable[[Market], list[float]]]] = {
    "model": scores,
    "raw mean": raw_mean,
    "posterior mean": posterior_mean,
    "posterior mean, fitted prior": fitted_posterior_mean,
    "oracle": oracle,
}


def bads(found: Market) -> list[bool]:
    return [row.bad for row in found.merchants]


def auc(predicted: Sequence[float], bad: Sequence[bool]) -> float:
    """How often a good merchant stands above a bad one, ties counted half: the area under the ROC curve."""
    good = sorted(value for value, is_bad in zip(predicted, bad, strict=True) if not is_bad)
    above = 0.0
    count = 0
    for value, is_bad in zip(predicted, bad, strict=True):
        if is_bad:
            count += 1
            low, high = bisect_left(good, value), bisect_right(good, value)
            above += len(good) - high + (high - low) / 2
    return above / (count * len(good))


T_19: Final = 2.093
"""Student's t with 19 degrees of freedom, 97.5 %: the ends of the 95 % interval of a mean of 20."""


def interval(values: Iterable[float], t: float = T_19) -> tuple[float, float, float]:
    """(lower bound, mean, upper bound) of the mean with 95 % confidence; `t` belongs to 20 values."""
    seen = list(values)
    mean = sum(seen) / len(seen)
    deviation = (sum((one - mean) ** 2 for one in seen) / (len(seen) - 1)) ** 0.5
    half = t * deviation / len(seen) ** 0.5
    return mean - half, mean, mean + half


# --- honest newcomers in a market that is there ---

ESTABLISHED_FEN: Final = 60_000_000
"""A counterparty has independent settled history from 600,000 CNY of purchases from others on,"""
ESTABLISHED_SOURCES: Final = 3
"""from at least three merchants."""


def established(found: Market) -> list[str]:
    """Genuine buyers with independent settled history."""
    spent: dict[str, int] = {}
    sources: dict[str, dict[str, None]] = {}
    for row in found.merchants:
        if row.character != "ring":
            log_of = found.bureau.conduct.get(row.name)
            for (buyer, kind, _day), (_, _, amount_fen, _) in (log_of.good if log_of else {}).items():
                if kind == "completed_sale":
                    spent[buyer] = spent.get(buyer, 0) + amount_fen
                    sources.setdefault(buyer, {})[row.name] = None
    return [
        name
        for name in found.buyers
        if spent.get(name, 0) >= ESTABLISHED_FEN and len(sources[name]) >= ESTABLISHED_SOURCES
    ]


class Arrival(Struct):
    """How an honest newcomer fared: orders and days until the grade was first reached, None where it was not."""

    orders: int | None
    days: int | None


def newcomer(found: Market, customers: Sequence[str], chance: Random, name: str, most: int = 120) -> Arrival:
    """Clean orders every second day on average, each of the customers in turn, until the grade is B or better."""
    typical_fen = CUSTOMARY_FEN * exp(chance.gauss(0, 0.7))
    found.bureau.admit(identity(name, HISTORY_DAYS, "buyer", "merchant"))
    day = float(HISTORY_DAYS)
    for number in range(most):
        day += chance.expovariate(0.5)
        at_ns = START_NS + int(day * DAY_NS)
        amount_fen = max(10_000, int(typical_fen * chance.lognormvariate(0, 0.7)))
        settle(
            found.bureau,
            name,
            customers[number % len(customers)],
            amount_fen,
            at_ns,
            f"{name}-order-{number}",
        )
        midnight_ns = (at_ns // DAY_NS + 1) * DAY_NS
        if found.bureau.grade(name, midnight_ns) in ("A", "B"):
            return Arrival(number + 1, int(day) + 1 - HISTORY_DAYS)
    return Arrival(None, None)
