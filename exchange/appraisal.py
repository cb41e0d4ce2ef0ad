"""What each merchant contributes to the venue (场内数据资源贡献评价, 海南12), out of the query table `trade`.

    measure          of what was completed in the range of days                                       weight
    turnover         fen sold                                                                          40 %
    buyers           buyers of other houses, each once                                                 20 %
    products         products sold, each once                                                          15 %
    passed_on        fen paid to contributors (谁投入、谁贡献、谁受益)                                    10 %
    reliability      completed trades of all that ended, refunded ones with them                       15 %

The first four are held against the merchant that has most of it, which has 10,000; reliability is its share itself. A
merchant's value is the weighted sum, in basis points. What passes within one house or a forged ring counts for nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import asyncpg
from msgspec import Struct

from clearing.money import BASIS_POINTS

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

WEIGHTS_BP: Final[Mapping[str, int]] = {
    "turnover": 4_000,
    "buyers": 2_000,
    "products": 1_500,
    "passed_on": 1_000,
    "reliability": 1_500,
}

_PAIRS: Final = """
SELECT seller, buyer, count(*) FILTER (WHERE state = 'completed') AS completed,
    count(*) FILTER (WHERE state = 'refunded') AS refunded,
    coalesce(sum(amount_fen) FILTER (WHERE state = 'completed'), 0)::bigint AS amount_fen,
    coalesce(sum(amount_fen - fee_fen - merchant_fen) FILTER (WHERE state = 'completed'), 0)::bigint AS passed_fen,
    coalesce(array_agg(DISTINCT product) FILTER (WHERE state = 'completed'), '{}') AS products
FROM trade WHERE state IN ('completed', 'refunded') AND closed_at_ns >= $1 AND closed_at_ns < $2
GROUP BY seller, buyer ORDER BY seller, buyer
"""


class Pair(Struct, frozen=True):
    """What ended between a seller and a buyer."""

    seller: str
    buyer: str
    completed: int
    refunded: int
    amount_fen: int
    passed_fen: int
    products: tuple[str, ...]


class Appraisal(Struct, frozen=True):
    """A merchant's measures, what each is worth of 10,000, and their weighted sum."""

    participant: str
    turnover_fen: int
    buyers: int
    products: int
    passed_on_fen: int
    completed: int
    refunded: int
    parts: Mapping[str, int]
    contribution: int


async def pairs(pool: Pool, since_ns: int, until_ns: int) -> list[Pair]:
    """Of all that ended from the first instant to before the second."""
    rows = await pool.fetch(_PAIRS, since_ns, until_ns)
    return [Pair(*row.values()) for row in rows]


def appraised(found: Iterable[Pair], is_one_hand: Callable[[str, str], bool]) -> list[Appraisal]:
    """Those who contributed most first; equals by name."""
    by_seller: dict[str, list[Pair]] = {}
    for pair in found:
        if not is_one_hand(pair.seller, pair.buyer):
            by_seller.setdefault(pair.seller, []).append(pair)
    sums = {seller: _sums(rows) for seller, rows in by_seller.items()}
    most = {name: max((row[name] for row in sums.values()), default=0) for name in WEIGHTS_BP}
    rows = [_appraisal(seller, row, most) for seller, row in sums.items()]
    return sorted(rows, key=lambda row: (-row.contribution, row.participant))


def _sums(rows: list[Pair]) -> dict[str, int]:
    completed, refunded = sum(row.completed for row in rows), sum(row.refunded for row in rows)
    return {
        "turnover": sum(row.amount_fen for row in rows),
        "buyers": sum(row.completed > 0 for row in rows),
        "products": len({product for row in rows for product in row.products}),
        "passed_on": sum(row.passed_fen for row in rows),
        "reliability": completed * BASIS_POINTS // (completed + refunded),
        "completed": completed,
        "refunded": refunded,
    }


def _appraisal(seller: str, sums: Mapping[str, int], most: Mapping[str, int]) -> Appraisal:
    worth = {
        name: sums[name] if name == "reliability" else sums[name] * BASIS_POINTS // max(1, most[name])
        for name in WEIGHTS_BP
    }
    contribution = sum(WEIGHTS_BP[name] * bp for name, bp in worth.items()) // BASIS_POINTS
    return Appraisal(
        seller,
        sums["turnover"],
        sums["buyers"],
        sums["products"],
        sums["passed_on"],
        sums["completed"],
        sums["refunded"],
        worth,
        contribution,
    )
