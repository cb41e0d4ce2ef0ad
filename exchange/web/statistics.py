"""Statistics for everybody: what settled a day, the price index, and who contributed how much. Nobody is named."""

from datetime import date
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from clearing.calendar import day_of
from exchange import statistics
from exchange.events import Refused
from exchange.listing import attributes_of
from exchange.state import State
from exchange.web.operation import Call, Operation
from exchange.web.problem import Refusing

MOST_DAYS: Final = 3_660
USUAL_DAYS: Final = 30
BoardName = Annotated[str, Meta(max_length=40, description="a board's id; empty for the whole market")]


class DailyQuery(Struct, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """Days in Beijing, both included; the last thirty where nothing is said."""

    board: BoardName = ""
    since: date | None = None
    until: date | None = None


class IndexQuery(DailyQuery, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """All days since the base where `from` is not said."""


class ContributionQuery(Struct, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    by: Literal["region", "sector", "board"]
    since: date | None = None
    until: date | None = None


class DayView(Struct):
    """`date` is a day in Beijing, `board` empty for the market. Days on which nothing settled are not there."""

    date: str
    board: str
    trades: int
    quantity: int
    amount_fen: int


class DayList(Struct):
    items: tuple[DayView, ...]
    next: str | None = None


class IndexValue(Struct):
    """`value` in hundredths of a point: 100000 on the base day, the first on which anything settled."""

    date: str
    value: int


class IndexList(Struct):
    board: str
    items: tuple[IndexValue, ...]
    next: str | None = None


class Contribution(Struct, omit_defaults=True):
    """One of `region`, `sector` and `board`, as was asked; shares add up to 10000."""

    amount_fen: int
    share_bp: int
    region: str | None = None
    sector: str | None = None
    board: str | None = None


class ContributionList(Struct):
    items: tuple[Contribution, ...]
    next: str | None = None


def range_of(call: Call, since: date | None, until: date | None, usual_days: int) -> tuple[int, int]:
    """(first, last) as ordinals. Refuses a range that ends before it begins or is too long."""
    last = (until or day_of(call.now_ns)).toordinal()
    first = last - usual_days + 1 if since is None else since.toordinal()
    if first > last or last - first >= MOST_DAYS:
        raise Refusing(Refused.out_of_bounds, f"from lies before until, at most {MOST_DAYS} days before")
    return first, last


def check_board(call: Call, board: str) -> None:
    if board and board not in call.desk.boards:
        raise Refusing(Refused.not_found, f"boards are {', '.join(call.desk.boards)}")


def _text(day: int) -> str:
    return date.fromordinal(day).isoformat()


async def daily(call: Call, asked: DailyQuery) -> DayList:
    check_board(call, asked.board)
    first, last = range_of(call, asked.since, asked.until, USUAL_DAYS)
    await call.tables_ready()
    rows = await statistics.daily(call.desk.pool, asked.board, first, last)
    return DayList(
        tuple(DayView(_text(row.day), asked.board, row.trades, row.quantity, row.amount_fen) for row in rows)
    )


async def index(call: Call, asked: IndexQuery) -> IndexList:
    check_board(call, asked.board)
    first, last = range_of(call, asked.since, asked.until, MOST_DAYS)
    await call.tables_ready()
    rows = await statistics.index(call.desk.pool, asked.board)
    shown = tuple(IndexValue(_text(day), value) for day, value in rows if first <= day <= last)
    return IndexList(asked.board, shown)


async def contribution(call: Call, asked: ContributionQuery) -> ContributionList:
    first, last = range_of(call, asked.since, asked.until, USUAL_DAYS)
    await call.tables_ready()
    found = await statistics.parts(call.desk.pool, first, last)

    def look(state: State) -> dict[str, int]:
        amounts: dict[str, int] = {}
        for part in found:
            name = _name(state, part, asked.by)
            amounts[name] = amounts.get(name, 0) + part.amount_fen
        return amounts

    amounts = await call.read(look)
    shares = statistics.shares_bp(amounts)
    rows = sorted(amounts.items(), key=lambda row: (-row[1], row[0]))
    return ContributionList(tuple(_contribution(asked.by, name, fen, shares[name]) for name, fen in rows))


def _contribution(by: str, name: str, amount_fen: int, share_bp: int) -> Contribution:
    named: dict[str, Any] = {by: name}
    return Contribution(amount_fen=amount_fen, share_bp=share_bp, **named)


def _name(state: State, part: statistics.Part, by: str) -> str:
    """The merchant's region, the sector that the listing names (else its board), or the board."""
    if by == "board":
        return part.board
    listing = state.listings[part.listing]
    if by == "region":
        return state.bureau.participants[listing.merchant].region
    return str(attributes_of(listing).get("sector", part.board))


OPERATIONS: Final = (
    Operation(
        "GET", "/v1/statistics/daily", daily, "What settled each day, of a board or of the market", "market",
        asks=DailyQuery, answers=DayList, signed_in=False, refused=(Refused.not_found, Refused.out_of_bounds),
        example_answer={"items": [{"date": "2026-11-30", "board": "computing", "trades": 2, "quantity": 5,
                                   "amount_fen": 5_200}], "next": None},
    ),
    Operation(
        "GET", "/v1/index", index, "The price index of a board or of the market", "market",
        asks=IndexQuery, answers=IndexList, signed_in=False, refused=(Refused.not_found, Refused.out_of_bounds),
        example_answer={"board": "computing", "items": [{"date": "2026-11-30", "value": 104_210}], "next": None},
    ),
    Operation(
        "GET", "/v1/statistics/contribution", contribution, "What settled by region, sector or board", "market",
        asks=ContributionQuery, answers=ContributionList, signed_in=False, refused=(Refused.out_of_bounds,),
        example_answer={"items": [{"amount_fen": 30_000, "share_bp": 7_500, "board": "computing"},
                                  {"amount_fen": 10_000, "share_bp": 2_500, "board": "general"}], "next": None},
    ),
)  # fmt: skip
