"""What a bookkeeper asks of the books: reports out of the query tables and the table of accounts.

Everything here is read-only and committed; who may see what is the caller's question. Instants are UTC ns: `from` is in,
`until` is out. A balance as of an instant is the sum of the account's postings up to it, so a report of the past is the
same whenever it is asked for. Sums over a busy account read all of its postings: about a second for ten million.
"""

from typing import Any, Final, TypeAlias

import asyncpg
from msgspec import Struct

from clearing.ledger import CASH, CNY, FEES
from exchange.events import Legs
from exchange.projection import PostingRecord, TradeRecord
from exchange.projector import BEYOND, POSTINGS, TRADES, CursorInvalid

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Balance(Struct):
    """Of one account: fen or whole units; negative on contra accounts."""

    owner: str
    asset: str
    balance: int


_NOW: Final = """
SELECT owner, asset, balance FROM account WHERE shard = 0 AND (
    balance <> 0
    OR EXISTS (SELECT FROM posting WHERE target = account.owner AND posting.asset = account.asset)
    OR EXISTS (SELECT FROM posting WHERE source = account.owner AND posting.asset = account.asset)
)
"""
"""The second and the third are asked of empty accounts only. What came and went within one batch has no row."""
_THEN: Final = """
SELECT owner, asset, sum(amount)::bigint AS balance FROM (
    SELECT target AS owner, asset, amount FROM posting WHERE at_ns <= $1
    UNION ALL SELECT source, asset, -amount FROM posting WHERE at_ns <= $1
) AS moved GROUP BY owner, asset
"""


async def trial_balance(
    pool: Pool, at_ns: int | None, owner: str, asset: str, limit: int
) -> tuple[list[Balance], bool]:
    """Accounts that hold or ever held something, behind (owner, asset), and whether there are more.

    `at_ns` None: as committed now.
    """
    source, arguments = (_NOW, ()) if at_ns is None else (_THEN, (at_ns,))
    rows = await pool.fetch(
        f"SELECT * FROM ({source}) AS b WHERE (owner, asset) > ($%d, $%d) ORDER BY owner, asset LIMIT $%d"  # noqa: S608
        % tuple(len(arguments) + place for place in (1, 2, 3)),
        *arguments,
        owner,
        asset,
        limit + 1,
    )
    return [Balance(*row) for row in rows[:limit]], len(rows) > limit


async def totals(pool: Pool, at_ns: int | None) -> list[tuple[str, int, int]]:
    """(asset, debit, credit) over all accounts: the two are equal in every asset."""
    source, arguments = (_NOW, ()) if at_ns is None else (_THEN, (at_ns,))
    rows = await pool.fetch(
        "SELECT asset, -coalesce(sum(balance) FILTER (WHERE balance < 0), 0)::bigint,"  # noqa: S608
        " coalesce(sum(balance) FILTER (WHERE balance > 0), 0)::bigint"
        f" FROM ({source}) AS b GROUP BY asset ORDER BY asset",
        *arguments,
    )
    return [tuple(row) for row in rows]


# ---- statements

_OF_ACCOUNT: Final = "(source = $1 OR target = $1) AND source <> target AND asset = $2"
_SUM: Final = (
    "SELECT coalesce(sum(CASE WHEN target = $1 THEN amount ELSE -amount END), 0)::bigint"  # noqa: S608
    f" FROM posting WHERE {_OF_ACCOUNT}"
)
_PAGE: Final = POSTINGS.select(
    f"WHERE {_OF_ACCOUNT} AND at_ns >= $3 AND at_ns < $4 AND (sequence, position) > ($5, $6)"
    " ORDER BY sequence, position LIMIT $7"
)


class Statement(Struct):
    """`opening` at its beginning, `before` what was there before the first of `items`, `closing` at its end."""

    opening: int
    before: int
    closing: int
    items: list[PostingRecord]
    next: str


def _behind(cursor: str) -> tuple[int, int]:
    """(sequence, position) of a cursor; nothing lies before the first page."""
    parts = cursor.split(".")
    if not cursor:
        return 0, 0
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise CursorInvalid(f"{cursor[:40]!r} is not a cursor of this list")
    return int(parts[0]), int(parts[1])


async def statement(
    pool: Pool, owner: str, asset: str, from_ns: int, until_ns: int, limit: int, cursor: str
) -> Statement:
    """The account's postings in their order, between two instants. Raises CursorInvalid."""
    behind = _behind(cursor)
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        opening = await connection.fetchval(f"{_SUM} AND at_ns < $3", owner, asset, from_ns)
        closing = await connection.fetchval(f"{_SUM} AND at_ns < $3", owner, asset, until_ns)
        before = await connection.fetchval(
            f"{_SUM} AND (at_ns < $3 OR (sequence, position) <= ($4, $5))", owner, asset, from_ns, *behind
        )
        found = await connection.fetch(_PAGE, owner, asset, from_ns, until_ns, *behind, limit + 1)
    items = [POSTINGS.row_of(row) for row in found[:limit]]
    following = f"{items[-1].sequence}.{items[-1].position}" if len(found) > limit else ""
    return Statement(opening, before, closing, items, following)


# ---- reservations


class ReservationRow(Struct):
    """What was set aside under an id. `amount` in all, `posted` to trades, `moved` to a hold's own reservation, `left`
    still set aside; the rest has gone back. `state`: open, posted (in full or in part), voided, expired. `until_ns` 0: it
    has no end.
    """

    reservation: str
    account: str
    asset: str
    amount: int
    posted: int
    moved: int
    left: int
    state: str
    at_ns: int
    until_ns: int
    number: int


_OPEN: Final = "o.state IN ('open', 'partly_filled')"
_ORDER_STATES: Final = {
    "open": _OPEN,
    "posted": "o.state IN ('filled', 'closed') AND o.posted > 0",
    "expired": "o.state = 'closed' AND o.posted = 0 AND o.moved = 0 AND o.closed_reason = 'expired'",
    "voided": "o.state = 'closed' AND o.posted = 0 AND o.moved = 0 AND o.closed_reason <> 'expired'",
}
"""State of an order's reservation: which orders. What has moved to a hold is told there."""
_HOLD_STATES: Final = {
    "open": "t.state = 'held'",
    "posted": "t.settled_at_ns > 0",
    "expired": "t.state = 'refused' AND t.closed_reason = 'expired'",
    "voided": "t.state = 'refused' AND t.closed_reason <> 'expired'",
}
_ORDERS: Final = """
SELECT o.id AS reservation, o.participant AS account,
    CASE o.side WHEN 'buy' THEN 'CNY' ELSE 'unit:' || o.listing END AS asset,
    o.reserved AS amount, o.posted, o.moved,
    CASE WHEN o.state NOT IN ('open', 'partly_filled') THEN 0 WHEN o.side = 'sell' THEN o.remaining
        ELSE (o.limit_fen::numeric * o.remaining / l.price_per_units)::bigint END AS "left",
    o.placed_at_ns AS at_ns, 0::bigint AS until_ns, o.number
FROM order_record AS o JOIN listing_search AS l ON l.number = substr(o.listing, 2)::bigint
WHERE o.reserved > 0 AND o.number < $2 AND {state} AND {mine} ORDER BY o.number DESC LIMIT $1
"""
_HOLDS: Final = """
SELECT * FROM (
    SELECT t.id || side.suffix AS reservation, side.account, side.asset, side.amount,
        CASE WHEN t.settled_at_ns > 0 THEN side.amount ELSE 0 END AS posted, 0::bigint AS moved,
        CASE WHEN t.state = 'held' THEN side.amount ELSE 0 END AS "left",
        t.made_at_ns AS at_ns, t.held_until_ns AS until_ns, 2 * t.number + side.second AS number
    FROM trade AS t, LATERAL (VALUES
        (0, '', t.buyer, 'CNY', t.amount_fen),
        (1, CASE WHEN t.mechanism IN ('continuous_auction', 'call_auction') THEN ':units' END, t.seller,
         'unit:' || t.listing, t.quantity)
    ) AS side (second, suffix, account, asset, amount)
    WHERE t.held_until_ns > 0 AND {state} AND side.suffix IS NOT NULL AND side.amount > 0
) AS h WHERE number < $2 AND {mine} ORDER BY number DESC LIMIT $1
"""
_BID_STATES: Final = {
    "open": "b.ended_at_ns = 0",
    "posted": "b.state = 'forfeited'",
    "expired": "false",
    "voided": "b.ended_at_ns > 0 AND b.state <> 'forfeited'",
}
"""What a bid that was struck had set aside goes back, and its order sets the price aside anew: told there."""
_BIDS: Final = """
SELECT * FROM (
    SELECT b.id || side.suffix AS reservation, b.participant AS account, 'CNY' AS asset, side.amount,
        CASE WHEN b.state = 'forfeited' THEN side.amount ELSE 0 END AS posted, 0::bigint AS moved,
        CASE WHEN b.ended_at_ns = 0 THEN side.amount ELSE 0 END AS "left",
        b.placed_at_ns AS at_ns, a.reveal_until_ns AS until_ns, 2 * b.number + side.second AS number
    FROM bid AS b JOIN auction AS a ON a.id = b.listing,
        LATERAL (VALUES (0, '', b.deposit_fen), (1, ':price', b.reserved_fen)) AS side (second, suffix, amount)
    WHERE {state} AND side.amount > 0
) AS s WHERE number < $2 AND {mine} ORDER BY number DESC LIMIT $1
"""
_RESERVATION_STATES: Final = tuple(_ORDER_STATES)


async def reservations(
    pool: Pool, owner: str, state: str, limit: int, cursor: str
) -> tuple[list[ReservationRow], str]:
    """In this state, the newest first, of one owner or (empty) of all. Raises CursorInvalid.

    Orders, holds and bids are three lists, merged: the cursor says where each of them goes on. Each falls by number, and so
    has the merged one to, where two rows are of one instant: a page may end between them.
    """
    assert state in _RESERVATION_STATES, f"no reservation is {state}"
    bounds = _behind_each(cursor)
    account = "account = $3" if owner else "true"
    orders = _ORDERS.format(state=_ORDER_STATES[state], mine="o.participant = $3" if owner else "true")
    holds = _HOLDS.format(state=_HOLD_STATES[state], mine=account)
    bids = _BIDS.format(state=_BID_STATES[state], mine=account)
    mine = (owner,) if owner else ()
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        found = [
            [_reservation(row, state) for row in await connection.fetch(query, limit + 1, bound, *mine)]
            for query, bound in zip((orders, holds, bids), bounds, strict=True)
        ]
    merged = sorted(
        [row for rows in found for row in rows], key=lambda row: (-row.at_ns, -row.number, row.reservation)
    )
    page = merged[:limit]
    if len(merged) <= limit:
        return page, ""
    ends = [
        min([row.number for row in rows if row in page], default=bound)
        for rows, bound in zip(found, bounds, strict=True)
    ]
    return page, ".".join([str(end) for end in ends])


def _behind_each(cursor: str) -> list[int]:
    """Where each of the three lists goes on; a cursor of before there were bids has two."""
    if not cursor:
        return [BEYOND] * 3
    parts = cursor.split(".")
    if len(parts) not in (2, 3) or not all(
        part.isascii() and part.isdigit() and len(part) < 20 for part in parts
    ):
        raise CursorInvalid(f"{cursor[:40]!r} is not a cursor of this list")
    return [int(part) for part in parts] + [BEYOND] * (3 - len(parts))


def _reservation(row: Any, state: str) -> ReservationRow:
    return ReservationRow(
        row["reservation"], row["account"], row["asset"], row["amount"], row["posted"], row["moved"], row["left"],
        state, row["at_ns"], row["until_ns"], row["number"],
    )  # fmt: skip


# ---- escrow, fees, shares, refusals

_ESCROW: Final = TRADES.select(
    "WHERE state IN ('settled', 'delivered', 'rejected', 'redelivered') AND amount_fen > refunded_fen AND number > $1"
    " ORDER BY number LIMIT $2"
)
_AGES: Final = """
SELECT width_bucket($1 - settled_at_ns, $2::bigint[]) AS bucket, sum(amount_fen - refunded_fen)::bigint AS fen, count(*)
FROM trade WHERE state IN ('settled', 'delivered', 'rejected', 'redelivered') AND amount_fen > refunded_fen
GROUP BY 1 ORDER BY 1
"""
DAY_NS: Final = 86_400_000_000_000
AGES_DAYS: Final = (3, 7, 30, 90)
"""Escrow is told by these ages: below 3 days, from 3 to below 7, and so on."""


async def escrow(pool: Pool, after: int, limit: int) -> tuple[list[TradeRecord], bool]:
    """Trades whose price lies in escrow, the oldest first; whether there are more."""
    found = await pool.fetch(_ESCROW, after, limit + 1)
    return [TRADES.row_of(row) for row in found[:limit]], len(found) > limit


async def escrow_ages(pool: Pool, now_ns: int) -> list[tuple[int, int]]:
    """(fen, trades) for each age: one more than `AGES_DAYS`."""
    rows = await pool.fetch(_AGES, now_ns, [days * DAY_NS for days in AGES_DAYS])
    found = {row["bucket"]: (row["fen"], row["count"]) for row in rows}
    return [found.get(bucket, (0, 0)) for bucket in range(len(AGES_DAYS) + 1)]


_FEES: Final = POSTINGS.select(
    "WHERE (target = $1 OR source = $1) AND kind IN ('fee', 'reversal') AND at_ns >= $2 AND at_ns < $3"
    " AND (sequence, position) > ($4, $5) ORDER BY sequence, position LIMIT $6"
)
_FEES_SUM: Final = (
    "SELECT coalesce(sum(CASE WHEN target = $1 THEN amount ELSE -amount END), 0)::bigint FROM posting"
    " WHERE (target = $1 OR source = $1) AND kind IN ('fee', 'reversal') AND at_ns >= $2 AND at_ns < $3"
)


async def fees(
    pool: Pool, from_ns: int, until_ns: int, limit: int, cursor: str
) -> tuple[int, list[PostingRecord], str]:
    """(what was earned in all, fees and their reversals in order, cursor of the next page). Raises CursorInvalid."""
    total = await pool.fetchval(_FEES_SUM, FEES, from_ns, until_ns)
    rows = await pool.fetch(_FEES, FEES, from_ns, until_ns, *_behind(cursor), limit + 1)
    return total, *_posted(rows, limit)


def _posted(rows: list[Any], limit: int) -> tuple[list[PostingRecord], str]:
    items = [POSTINGS.row_of(row) for row in rows[:limit]]
    return items, f"{items[-1].sequence}.{items[-1].position}" if len(rows) > limit else ""


_SHARES: Final = POSTINGS.select(
    "WHERE ((kind = 'share' AND ($1 = '' OR target = $1)) OR (kind = 'reversal' AND ($1 = '' OR source = $1) AND EXISTS ("
    "SELECT FROM posting AS paid WHERE paid.target = posting.source AND paid.trade = posting.trade AND paid.kind = 'share')"
    ")) AND at_ns >= $2 AND at_ns < $3 AND (sequence, position) > ($4, $5) ORDER BY sequence, position LIMIT $6"
)


async def shares(
    pool: Pool, participant: str, from_ns: int, until_ns: int, limit: int, cursor: str
) -> tuple[list[PostingRecord], str]:
    """Shares paid to one participant or (empty) to all, and what reversals took back, in order. Raises CursorInvalid."""
    rows = await pool.fetch(_SHARES, participant, from_ns, until_ns, *_behind(cursor), limit + 1)
    return _posted(rows, limit)


async def trades(pool: Pool, identifiers: list[str]) -> dict[str, TradeRecord]:
    """The trades of these ids."""
    numbers = [int(identifier[1:]) for identifier in identifiers]
    found = await pool.fetch(TRADES.select("WHERE number = ANY($1)"), numbers)
    return {row.id: row for row in map(TRADES.row_of, found)}


_BY_RULE: Final = """
SELECT rule, count(*)::bigint AS count, count(*) FILTER (WHERE kind = 'order')::bigint AS orders,
    count(*) FILTER (WHERE kind = 'trade')::bigint AS trades, count(*) FILTER (WHERE kind = 'hold')::bigint AS holds
FROM refusal, unnest(violated) AS rule WHERE at_ns >= $1 AND at_ns < $2 GROUP BY rule ORDER BY count(*) DESC, rule
"""
_BY_CODE: Final = """
SELECT kind, code, count(*)::bigint FROM refusal WHERE at_ns >= $1 AND at_ns < $2
GROUP BY kind, code ORDER BY count(*) DESC, kind, code
"""


async def refusals_by_rule(pool: Pool, from_ns: int, until_ns: int) -> list[tuple[str, int, int, int, int]]:
    """(rule, how often, of orders, of trades, of holds), the most frequent first. A refusal counts once for each rule."""
    return [tuple(row) for row in await pool.fetch(_BY_RULE, from_ns, until_ns)]


async def refusals_by_code(pool: Pool, from_ns: int, until_ns: int) -> list[tuple[str, str, int]]:
    """(kind, code, how often), the most frequent first."""
    return [tuple(row) for row in await pool.fetch(_BY_CODE, from_ns, until_ns)]


# ---- what a reversal takes back

_LEGS: Final = "SELECT source, target, asset, amount FROM posting WHERE {} ORDER BY {}"
_OF_TRADE: Final = (
    "(trade = $1 AND kind <> 'reversal' AND reference NOT LIKE 'I%') OR (kind = 'set_off'"
    " AND reference IN (SELECT reference FROM posting WHERE trade = $1 AND kind = 'debt'))"
)
"""What it moved itself, and what paid the debts out of its refunds. A subscription's bills are apart."""


async def legs_of_trade(pool: Pool, trade: str) -> Legs:
    """A trade's movements in their order, those that set its debts off with them.

    Reads the whole table of postings: for a command that is rare.
    """
    rows = await pool.fetch(_LEGS.format(_OF_TRADE, "sequence, position"), trade)
    return tuple((row[0], row[1], row[2], row[3]) for row in rows)


async def legs_of_booking(pool: Pool, reference: str) -> Legs:
    """What an entry of the bank brought; where it was reversed and booked anew, the last time."""
    condition = "source = $1 AND kind = 'cash_in' AND asset = $2 AND reference = $3"
    rows = await pool.fetch(_LEGS.format(condition, "sequence DESC LIMIT 1"), CASH, CNY, reference)
    return tuple((row[0], row[1], row[2], row[3]) for row in rows)
