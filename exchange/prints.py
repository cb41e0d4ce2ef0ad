"""Prints and bars out of the query tables: what has settled on a listing, without its parties.

Every question is a range of one index, in the order in which trades settled (`schema/0003_prints.sql`). Bars are counted
when they are asked for; a page of them spans a bounded time, so that its cost is what settled in it. `newest` is the
same fold as the tape's (`exchange.tape`), up to an instant: whoever follows the journal from there has both.
"""

from typing import Any, Final, TypeAlias

import asyncpg

from exchange.projector import BEYOND, CursorInvalid
from exchange.tape import CHINA_NS, INTERVALS, Bar, Print, start_of

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_COLUMNS: Final = "id, settled_at_ns, price_fen, quantity, amount_fen"
_LAST: Final = (
    f"SELECT {_COLUMNS} FROM trade WHERE listing = $1 AND settled_at_ns > 0 AND settled_at_ns <= $2"  # noqa: S608
    " ORDER BY settled_at_ns DESC, number DESC LIMIT 1"
)
_PAGE: Final = (
    f"SELECT {_COLUMNS}, number FROM trade WHERE listing = $1 AND settled_at_ns > 0"  # noqa: S608
    " AND (settled_at_ns, number) < ($2, $3) ORDER BY settled_at_ns DESC, number DESC LIMIT $4"
)
_FIRST: Final = (
    "SELECT settled_at_ns FROM trade WHERE listing = $1 AND settled_at_ns > 0 AND settled_at_ns >= $2"
    " ORDER BY settled_at_ns, number LIMIT 1"
)
_BARS: Final = """
SELECT settled_at_ns - (settled_at_ns + $5) % $4 AS start_ns,
    (array_agg(price_fen ORDER BY settled_at_ns, number))[1] AS open_fen,
    max(price_fen) AS high_fen, min(price_fen) AS low_fen,
    (array_agg(price_fen ORDER BY settled_at_ns DESC, number DESC))[1] AS close_fen,
    sum(quantity)::bigint AS quantity, sum(amount_fen)::bigint AS amount_fen, count(*) AS trades
FROM trade WHERE listing = $1 AND settled_at_ns > 0 AND settled_at_ns >= $2 AND settled_at_ns < $3
GROUP BY 1 ORDER BY 1
"""


def _print(row: Any) -> Print:
    return Print(row["id"], row["settled_at_ns"], row["price_fen"], row["quantity"], row["amount_fen"])


async def last(pool: Pool, listing: str, until_ns: int) -> Print | None:
    """The newest print up to an instant, that instant included."""
    row = await pool.fetchrow(_LAST, listing, until_ns)
    return None if row is None else _print(row)


async def page(pool: Pool, listing: str, limit: int, cursor: str) -> tuple[list[Print], str]:
    """Prints, the newest first, and the cursor of the page after. Raises CursorInvalid."""
    before = _before(cursor) if cursor else (BEYOND, 0)
    rows = await pool.fetch(_PAGE, listing, *before, limit + 1)
    following = rows[limit - 1] if len(rows) > limit else None
    at = "" if following is None else f"{following['settled_at_ns']}.{following['number']}"
    return [_print(row) for row in rows[:limit]], at


def _before(cursor: str) -> tuple[int, int]:
    at_ns, _, number = cursor.partition(".")
    return instant_of(at_ns), instant_of(number)


def instant_of(text: str) -> int:
    """A number of a cursor. Raises CursorInvalid for what no page ever gave."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= BEYOND):
        raise CursorInvalid(f"{text[:40]!r} is not a cursor of this list")
    return int(text)


async def bars(pool: Pool, listing: str, interval: str, since_ns: int, most: int) -> tuple[list[Bar], int]:
    """Bars from that instant on, oldest first, and where to go on (0: that is all).

    The page begins with the first print and spans at most `most` intervals; an interval without a print has no bar.
    """
    length = INTERVALS[interval]
    first = await pool.fetchval(_FIRST, listing, since_ns)
    if first is None:
        return [], 0
    begin = max(since_ns, start_of(interval, first))
    end = start_of(interval, begin) + most * length
    found = await _bars(pool, listing, interval, begin, end)
    more = await pool.fetchval(_FIRST, listing, end)
    return found, 0 if more is None else start_of(interval, more)


async def _bars(pool: Pool, listing: str, interval: str, begin_ns: int, end_ns: int) -> list[Bar]:
    rows = await pool.fetch(_BARS, listing, begin_ns, end_ns, INTERVALS[interval], CHINA_NS)
    return [Bar(*row.values()) for row in rows]


async def newest(pool: Pool, listing: str, until_ns: int) -> tuple[Print | None, dict[str, Bar], int]:
    """The last print up to an instant, the bars that it is in, and the last price before its day (0: none).

    Costs what settled on that day.
    """
    latest = await last(pool, listing, until_ns)
    if latest is None:
        return None, {}, 0
    found: dict[str, Bar] = {}
    for interval in INTERVALS:
        start = start_of(interval, latest.at_ns)
        [found[interval]] = await _bars(pool, listing, interval, start, until_ns + 1)
    before = await last(pool, listing, found["1d"].start_ns - 1)
    return latest, found, 0 if before is None else before.price_fen
