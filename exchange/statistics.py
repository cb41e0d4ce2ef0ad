"""Daily statistics, the price index and contributions, out of the query table `listing_day`.

A row of it is what settled of one listing on one day in Beijing, with what settled of it on the last day before on which
anything did (`exchange.projection.ListingDayRecord`). Everything here is a sum over rows of a range of days; the method is
in docs/STATISTICS.md, whose example a test computes again.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

import asyncpg
from msgspec import Struct

from clearing.money import BASIS_POINTS

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

BASE: Final = 100_000
"""The index on the first day on which anything settled: 1,000 points, in hundredths."""

_DAILY: Final = """
SELECT day, sum(trades)::bigint AS trades, sum(quantity)::bigint AS quantity, sum(amount_fen)::bigint AS amount_fen
FROM listing_day WHERE ($1 = '' OR board = $1) AND day BETWEEN $2 AND $3 GROUP BY day ORDER BY day
"""
_LINKS: Final = """
SELECT day, coalesce(sum(amount_fen) FILTER (WHERE matched), 0)::bigint AS now_fen,
    coalesce(sum(div(before_fen::numeric * quantity, greatest(before_quantity, 1))) FILTER (WHERE matched), 0)::bigint
        AS then_fen
FROM (SELECT *, before_fen > 0 AND amount_fen > 0 AS matched FROM listing_day WHERE $1 = '' OR board = $1) AS found
GROUP BY day ORDER BY day
"""
_OF_LISTINGS: Final = """
SELECT listing, board, sum(amount_fen)::bigint AS amount_fen
FROM listing_day WHERE day BETWEEN $1 AND $2 GROUP BY listing, board ORDER BY listing
"""


class Day(Struct, frozen=True):
    """What settled on a day, by its ordinal. `quantity` adds up units of whatever was sold."""

    day: int
    trades: int
    quantity: int
    amount_fen: int


class Part(Struct, frozen=True):
    """What settled of one listing in a range of days."""

    listing: str
    board: str
    amount_fen: int


async def daily(pool: Pool, board: str, first: int, last: int) -> list[Day]:
    """The days on which something settled, oldest first. An empty board is the market."""
    return [Day(*row) for row in await pool.fetch(_DAILY, board, first, last)]


async def index(pool: Pool, board: str) -> list[tuple[int, int]]:
    """(day, index in hundredths of a point) of each day on which something settled, oldest first.

    Costs the whole history of the board: one row a day and listing is read.
    """
    return chained((row["day"], row["now_fen"], row["then_fen"]) for row in await pool.fetch(_LINKS, board))


def chained(links: Iterable[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The index out of its links (day, cost of what was matched, cost of the same at the prices before).

    Each value is the one before times the link, rounded half up once a day; a day without a match leaves it.
    """
    found: list[tuple[int, int]] = []
    value = BASE
    for day, now_fen, then_fen in links:
        if now_fen > 0 and then_fen > 0:
            value = (2 * value * now_fen + then_fen) // (2 * then_fen)
        found.append((day, value))
    return found


async def parts(pool: Pool, first: int, last: int) -> list[Part]:
    return [Part(*row) for row in await pool.fetch(_OF_LISTINGS, first, last)]


def shares_bp(amounts: dict[str, int]) -> dict[str, int]:
    """Each amount's share in basis points, together exactly 10,000.

    What rounding down leaves goes to the largest remainders, and among equal ones to the first name.
    """
    total = sum(amounts.values())
    if not total:
        return dict.fromkeys(amounts, 0)
    shares = {name: amount * BASIS_POINTS // total for name, amount in amounts.items()}
    left = BASIS_POINTS - sum(shares.values())
    by_remainder = sorted(amounts, key=lambda name: (-(amounts[name] * BASIS_POINTS % total), name))
    for name in by_remainder[:left]:
        shares[name] += 1
    return shares
