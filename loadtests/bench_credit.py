"""What credit costs: a fact recorded and the score that follows, and everybody's rating anew after a restart.

CPU time of this process, the best of several turns. `credit_update` is the dear case, a fault, which moves the score at
once; a settled order moves it at midnight, and its own cost is beside it. `credit_recompute` is 10,000 merchants with a
million facts in all: folded, and each rated with every reason, with nothing kept beforehand.
"""

from collections.abc import Iterator
from random import Random
from time import process_time_ns
from typing import Final

from credit.bureau import Bureau
from credit.conduct import Conduct
from credit.score import DAY_NS
from loadtests.bench_figure import Figure
from loadtests.credit_simulator import START_NS, identity, settle

UPDATE_GOAL_US: Final = 20.0
RECOMPUTE_GOAL_SECONDS: Final = 30.0
COUNTERPARTIES: Final = 30
ORDERS: Final = 100
FAULTS: Final = 3
MOST_BUREAUS: Final = 300
MERCHANTS: Final = 10_000
FACTS: Final = 1_000_000
DAYS: Final = 400
TODAY_NS: Final = START_NS + DAYS * DAY_NS


def measure(turns: int, updates: int, merchants: int = MERCHANTS, facts: int = FACTS) -> Iterator[Figure]:
    """`updates` facts a turn; everybody is rated once."""
    yield Figure(
        name="credit_update",
        value=min(_faults_us(updates) for _ in range(turns)),
        unit="us",
        reference=min(_orders_us(updates) for _ in range(turns)),
        compared="a settled order, told of both sides, and both grades",
        goals=(UPDATE_GOAL_US,),
        better="less",
    )
    folding, rating = _everybody(merchants, facts)
    yield Figure(
        name="credit_recompute",
        value=folding + rating,
        unit="s",
        reference=folding,
        compared=f"folding the facts alone; {merchants:,} merchants, {facts:,} facts",
        goals=(RECOMPUTE_GOAL_SECONDS,),
        better="less",
    )


def _merchant() -> Bureau:
    """One merchant of long standing, its customers with history of their own, and a few faults."""
    bureau = Bureau()
    for name in ("merchant", "shop", *(f"buyer-{number}" for number in range(COUNTERPARTIES))):
        bureau.admit(identity(name, 0, "buyer", "merchant"))
    for number in range(ORDERS):
        buyer, at_ns = f"buyer-{number % COUNTERPARTIES}", START_NS + number * 3 * DAY_NS
        settle(bureau, "shop", buyer, 50_000_000, at_ns, f"shop-{number}")
        settle(bureau, "merchant", buyer, 2_000_000, at_ns, f"order-{number}")
    for number in range(FAULTS):
        bureau.record(_late(number, START_NS + (100 * number + 50) * DAY_NS))
    return bureau


def _late(number: int, at_ns: int) -> Conduct:
    return Conduct("delivered_late", "merchant", f"buyer-{number}", 2_000_000, at_ns, f"late-{number}")


def _faults_us(updates: int) -> float:
    """A fault of each of so many merchants comes in, and its grade follows."""
    bureaus = [_merchant() for _ in range(min(updates, MOST_BUREAUS))]
    for bureau in bureaus:
        bureau.grade("merchant", TODAY_NS)
    begun_ns = process_time_ns()
    for number, bureau in enumerate(bureaus):
        bureau.record(_late(number % COUNTERPARTIES, TODAY_NS + number))
        bureau.grade("merchant", TODAY_NS + number)
    return (process_time_ns() - begun_ns) / len(bureaus) / 1_000


def _orders_us(updates: int) -> float:
    bureau = _merchant()
    for name in ("merchant", "buyer-0"):
        bureau.grade(name, TODAY_NS)
    begun_ns = process_time_ns()
    for number in range(updates):
        settle(bureau, "merchant", "buyer-0", 2_000_000, TODAY_NS + number, "order")
        bureau.grade("merchant", TODAY_NS + number)
        bureau.grade("buyer-0", TODAY_NS + number)
    return (process_time_ns() - begun_ns) / updates / 1_000


def _everybody(merchants: int, facts: int) -> tuple[float, float]:
    """(seconds to fold, seconds to rate) of merchants who sell to each other; one order in fifty is late."""
    chance, bureau = Random(1), Bureau()
    names = [f"P{number}" for number in range(merchants)]
    for name in names:
        bureau.admit(identity(name, 0, "buyer", "merchant"))
    circles = [chance.sample(names, min(merchants, 12)) for _ in names]
    begun_ns = process_time_ns()
    for number in range(facts // 2):
        seller = number % merchants
        buyer = circles[seller][number // merchants % len(circles[seller])]
        at_ns = START_NS + int(chance.random() * DAYS) * DAY_NS
        if number % 50 == 0:
            bureau.record(Conduct("delivered_late", names[seller], buyer, 2_000_000, at_ns, f"T{number}"))
        settle(bureau, names[seller], buyer, 2_000_000, at_ns, f"T{number}")
    folded_ns = process_time_ns()
    for name in names:
        bureau.rating(name, TODAY_NS)
    return (folded_ns - begun_ns) / 1e9, (process_time_ns() - folded_ns) / 1e9
