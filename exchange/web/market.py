"""Market data of one listing, as it is now: best prices and depth, statistics of the day, bars, prints.

Nobody need sign in. The market comes from the listing's sheet (`exchange.web.feed`), which is followed for a while from
the first question on; prints and bars come from the query tables. To go on without asking again: the feed
(`exchange.web.stream`), from this answer's `sequence`.
"""

from typing import Final, Literal

from litestar import Response
from msgspec import Struct

from exchange import prints
from exchange.board import GATHERING
from exchange.events import Refusal, Refused
from exchange.listing import VISIBLE
from exchange.matching.call_auction import auction_price
from exchange.state import State
from exchange.tape import INTERVALS, start_of
from exchange.web.feed import BarView, PrintView, bar_view, print_view
from exchange.web.instant import Instant, ns_of
from exchange.web.operation import Call, Operation, Paging

LEVELS: Final = 10


class Level(Struct, frozen=True):
    price_fen: int
    quantity: int


class Market(Struct):
    """`bids` and `asks` are the ten best levels, best first. `last` is the newest print, `day` today's bar, null before:
    open, high, low, close, volume (`quantity`), turnover (`amount_fen`). `previous_close_fen` is the last price before
    today. `halted` are the scopes of the halts that stand (market, board, listing): `GET /v1/halts` says why.

    `phase` of the session: closed, pre_open, call_auction, continuous, or halted; before a call auction `indicative` is the
    price that it would make now and how much that would trade. Orders that the law keeps apart may rest at crossing prices.
    """

    listing: str
    state: str
    sequence: int
    best_bid: Level | None
    best_ask: Level | None
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    last: PrintView | None
    day: BarView | None
    previous_close_fen: int | None
    halted: list[str]
    phase: str
    indicative: Level | None


class BarQuery(Paging, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """Bars from this instant on; without it the newest ones, as many intervals back as the limit."""

    interval: Literal["1m", "1h", "1d"] = "1m"
    since: Instant | None = None


class BarList(Struct):
    items: tuple[BarView, ...]
    next: str | None


class PrintList(Struct):
    items: tuple[PrintView, ...]
    next: str | None


async def market(call: Call, asked: None) -> Market:
    identifier, now_ns = call.path["listing"], call.now_ns
    feed = call.desk.feed
    await feed.follow((identifier,))
    sheet, sequence = feed.sheet(identifier), feed.sequence
    bids, asks = (tuple(Level(*level) for level in side[:LEVELS]) for side in sheet.depth())
    day = sheet.bars.get("1d")
    traded = day is not None and day.start_ns == start_of("1d", now_ns)
    before = sheet.last.price_fen if sheet.last is not None else 0
    known = call.desk.indicative
    phase, indicative = await call.desk.engine.read(lambda state: _session(state, identifier, known))
    return Market(
        listing=identifier,
        state=sheet.state,
        sequence=sequence,
        best_bid=bids[0] if bids else None,
        best_ask=asks[0] if asks else None,
        bids=bids,
        asks=asks,
        last=print_view(sheet.last) if sheet.last is not None else None,
        day=bar_view(day) if traded and day is not None else None,
        previous_close_fen=(sheet.previous_fen if traded else before) or None,
        halted=sheet.halted,
        phase="halted" if sheet.halted else phase,
        indicative=indicative,
    )


def _session(state: State, listing: str, known: dict[str, tuple[int, int, int]]) -> tuple[str, Level | None]:
    """The phase of a listing's board, and before a call auction what it would make of the book.

    That costs as much as the book is deep, so readers between two entries get what the first of them was told.
    """
    phase, book = state.phase_of(state.listings[listing].board), state.books.get(listing)
    if book is None or phase not in GATHERING:
        known.pop(listing, None)
        return phase, None
    told = known.get(listing)
    if told is None or told[0] != state.sequence:
        found = auction_price(book)
        told = known[listing] = (state.sequence, found.price_fen, found.quantity)
    return phase, Level(*told[1:]) if told[2] else None


async def _public(call: Call) -> str:
    """The listing, once its tables are ready. Refuses what is not public."""
    identifier = call.path["listing"]

    def look(state: State) -> bool | Refusal:
        listing = state.listings.get(identifier)
        if listing is None or listing.state not in VISIBLE:
            return Refusal(Refused.not_found, f"there is no public listing {identifier}")
        return True

    await call.read(look)
    await call.tables_ready()
    return identifier


async def bars(call: Call, asked: BarQuery) -> Response[bytes]:
    identifier = await _public(call)
    length = INTERVALS[asked.interval]
    if asked.cursor:
        since_ns = prints.instant_of(asked.cursor)
    elif asked.since is not None:
        since_ns = ns_of(asked.since, "from")
    else:
        since_ns = start_of(asked.interval, call.now_ns) - (asked.limit - 1) * length
    found, following = await prints.bars(
        call.desk.pool, identifier, asked.interval, max(0, since_ns), asked.limit
    )
    return call.page([bar_view(bar) for bar in found], str(following) if following else "")


async def trades(call: Call, asked: Paging) -> Response[bytes]:
    identifier = await _public(call)
    found, following = await prints.page(call.desk.pool, identifier, asked.limit, asked.cursor)
    return call.page([print_view(one) for one in found], following)


# ---- the operations

_AT: Final = "2026-11-23T10:00:00Z"
PRINT_EXAMPLE: Final = {"trade": "T9", "at": _AT, "price_fen": 800, "quantity": 2, "amount_fen": 1_600}
BAR_EXAMPLE: Final = {
    "start": "2026-11-22T16:00:00Z", "open_fen": 790, "high_fen": 800, "low_fen": 790, "close_fen": 800,
    "quantity": 5, "amount_fen": 3_970, "trades": 2,
}  # fmt: skip
_BID: Final = {"price_fen": 790, "quantity": 4}
_PUBLIC: Final = (Refused.not_found,)

OPERATIONS: Final = (
    Operation(
        "GET", "/v1/listings/{listing}/market", market, "Best prices, depth, last print and the day so far", "market",
        answers=Market, signed_in=False, refused=_PUBLIC,
        example_answer={"listing": "L3", "state": "published", "sequence": 812,
                        "best_bid": _BID, "best_ask": None, "bids": [_BID], "asks": [], "last": PRINT_EXAMPLE,
                        "day": BAR_EXAMPLE, "previous_close_fen": 785, "halted": [],
                        "phase": "continuous", "indicative": None},
    ),
    Operation(
        "GET", "/v1/listings/{listing}/bars", bars, "Bars of a minute, an hour or a day, the oldest first", "market",
        asks=BarQuery, answers=BarList, signed_in=False, refused=(*_PUBLIC, Refused.out_of_bounds),
        example_answer={"items": [BAR_EXAMPLE], "next": None},
    ),
    Operation(
        "GET", "/v1/listings/{listing}/trades", trades, "Prints: what has settled, without the parties", "market",
        asks=Paging, answers=PrintList, signed_in=False, refused=_PUBLIC,
        example_answer={"items": [PRINT_EXAMPLE], "next": None},
    ),
)  # fmt: skip
