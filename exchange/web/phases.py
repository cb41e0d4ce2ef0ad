"""The phases of a board's books, the operator who moves them, and the call auctions that were held."""

from typing import Annotated, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from exchange import projector
from exchange.events import MoveSession, Refusal, Refused
from exchange.listing import VISIBLE
from exchange.session import next_of
from exchange.state import State
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Operation, Paging


class Moving(Struct, kw_only=True, forbid_unknown_fields=True):
    """The board goes there through the phases between; `halted` is a halt of it, which any other phase ends."""

    phase: Literal["closed", "pre_open", "call_auction", "continuous", "halted"]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Row(Struct, frozen=True):
    """On trading days, from this Beijing time on."""

    at: str
    phase: str


class PhaseView(Struct, frozen=True):
    """`phase`: closed, pre_open, call_auction, continuous, or halted while a halt of the board or the market stands; then
    `goes_on_as` is the phase in which it goes on. `since` is null where the board has never been moved. `timetable` empty:
    it trades at any hour. `next`: when the timetable moves it."""

    board: str
    phase: str
    goes_on_as: str | None
    since: str | None
    next: str | None
    timetable: tuple[Row, ...]


class CallAuction(Struct, frozen=True):
    """One price for all: `volume` is what it would trade, `traded` what was matched (pairs that may not trade with each
    other make it less), `surplus` what was left of the longer side, `reference_fen` the last price before."""

    at: str
    price_fen: int
    volume: int
    traded: int
    surplus: int
    reference_fen: int


class CallAuctionList(Struct, frozen=True):
    items: tuple[CallAuction, ...]
    next: str | None


def _view(state: State, board_id: str, now_ns: int) -> PhaseView | Refusal:
    board = state.boards.get(board_id)
    if board is None:
        return Refusal(Refused.not_found, f"there is no board {board_id}")
    phase, session = state.phase_of(board_id), state.sessions.get(board_id)
    halted = "market:" in state.halts or f"board:{board_id}" in state.halts
    return PhaseView(
        board_id,
        "halted" if halted else phase,
        phase if halted else None,
        optional_text(session.since_ns) if session is not None else None,
        text_of(next_of(state, board, now_ns)) if board.sessions else None,
        tuple(Row(step.at, step.phase) for step in board.sessions),
    )


async def _seen(call: Call, board: str, now_ns: int) -> PhaseView:
    def look(state: State) -> PhaseView | Refusal:
        return _view(state, board, now_ns)

    seen = await call.read(look)
    assert isinstance(seen, PhaseView), "a refusal was raised"
    return seen


async def phase(call: Call, asked: None) -> PhaseView:
    board, now_ns = call.path["board"], call.now_ns
    return await _seen(call, board, now_ns)


async def move(call: Call, body: Moving) -> PhaseView:
    board, now_ns = call.path["board"], call.now_ns
    await call.submit(
        MoveSession(actor=call.participant, key=call.key, board=board, phase=body.phase, reason=body.reason)
    )
    return await _seen(call, board, now_ns)


async def auctions(call: Call, asked: Paging) -> Response[bytes]:
    identifier = call.path["listing"]

    def look(state: State) -> bool | Refusal:
        listing = state.listings.get(identifier)
        if listing is None or listing.state not in VISIBLE:
            return Refusal(Refused.not_found, f"there is no public listing {identifier}")
        return True

    await call.read(look)
    await call.tables_ready()
    page = await projector.call_auctions_of(call.desk.pool, identifier, asked.limit, asked.cursor or None)
    items = [
        CallAuction(
            text_of(row.at_ns), row.price_fen, row.quantity, row.traded, row.surplus, row.reference_fen
        )
        for row in page.items
    ]
    return call.page(items, page.next or "")


_WHEN: Final = "2026-11-23T01:30:00Z"
_PHASE: Final = {
    "board": "computing", "phase": "continuous", "goes_on_as": None, "since": _WHEN, "next": "2026-11-23T07:00:00Z",
    "timetable": [{"at": "09:15", "phase": "pre_open"}, {"at": "09:25", "phase": "call_auction"},
                  {"at": "09:30", "phase": "continuous"}, {"at": "15:00", "phase": "closed"}],
}  # fmt: skip
_AUCTION: Final = {
    "at": _WHEN, "price_fen": 800, "volume": 40, "traded": 40, "surplus": 5, "reference_fen": 790,
}  # fmt: skip

OPERATIONS: Final = (
    Operation("GET", "/v1/boards/{board}/session", phase, "The phase that a board's books are in", "market",
              answers=PhaseView, signed_in=False, refused=(Refused.not_found,), example_answer=_PHASE),
    Operation("POST", "/v1/boards/{board}/session", move, "Move a board's books to another phase (operator)",
              "operations", asks=Moving, answers=PhaseView,
              refused=(Refused.forbidden, Refused.not_found, Refused.wrong_state, Refused.mechanism_not_allowed,
                       Refused.halted),
              example={"phase": "pre_open", "reason": "the day begins"},
              example_answer=_PHASE | {"phase": "pre_open"}),
    Operation("GET", "/v1/listings/{listing}/auctions", auctions, "Call auctions that were held over a book", "market",
              asks=Paging, answers=CallAuctionList, signed_in=False, refused=(Refused.not_found,),
              example_answer={"items": [_AUCTION], "next": None}),
)  # fmt: skip
