"""The phases of a board's books: closed, pre_open, call_auction, continuous; what a timetable or an operator moves.

    closed ──> pre_open ──> call_auction ──uncross──> continuous ──> closed
      └──────────────────────────────────────────────────^  └──> call_auction ──uncross──> closed

A board without a timetable trades at any hour, until an operator moves it. Halts (`exchange.halt`) are no phase: a board
that is halted is in the phase in which the halt began, nothing is taken, and a move waits until it goes on.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from clearing.calendar import day_of, end_of
from exchange import book_orders
from exchange.board import GATHERING, TIMETABLE_MOVES, Board
from exchange.events import (
    VENUE,
    Event,
    FollowTimetables,
    MoveSession,
    Refusal,
    Refused,
    SessionMoved,
    TradingHalted,
    TradingResumed,
)
from exchange.participant import role_refusal
from exchange.state import DAY_NS, Session, State

PHASES: Final = ("closed", "pre_open", "call_auction", "continuous")
MINUTE_NS: Final = 60_000_000_000


def move(state: State, command: MoveSession, at_ns: int) -> Refusal | Iterable[Event]:
    """An operator's own move, through the phases between; the timetable goes on from there at its next row.

    `halted` is a halt of the board, and another phase ends it.
    """
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    board = state.boards.get(command.board)
    if board is None:
        return Refusal(Refused.not_found, f"there is no board {command.board}")
    if command.phase not in (*PHASES, "halted") or not command.reason.strip():
        return Refusal(
            Refused.malformed, f"phase is one of {', '.join(PHASES)} or halted, and reason says why"
        )
    halted = f"board:{board.id}" in state.halts
    before = "halted" if halted else state.phase_of(board.id)
    if command.phase == before:
        return Refusal(Refused.wrong_state, f"the board is {before} already")
    if command.phase == "halted":
        return [TradingHalted("board", board.id, command.reason, command.actor)]
    if "market:" in state.halts:
        return Refusal(Refused.halted, "the market is halted: let it go on first (GET /v1/halts)")
    if command.phase != "continuous" and "continuous_auction" not in board.mechanisms:
        detail = (
            f"the {board.id} board has no order books that could be {command.phase}: halt it (POST /v1/halts)"
        )
        return Refusal(Refused.mechanism_not_allowed, detail)
    if command.phase in GATHERING and "call_auction" not in board.mechanisms:
        return Refusal(Refused.mechanism_not_allowed, f"the {board.id} board runs no call auction")
    return _set(state, board, command, halted, at_ns)


def _set(state: State, board: Board, command: MoveSession, halted: bool, at_ns: int) -> Iterator[Event]:
    if halted:
        stood = book_orders.stand_still(state)
        yield TradingResumed("board", board.id, command.reason, command.actor)
        yield from book_orders.go_on(state, stood, at_ns)
    before = state.phase_of(board.id)
    if command.phase != before:
        next_ns = state.sessions[board.id].next_ns if board.id in state.sessions else 0
        if next_ns and board.sessions:  # not the minute at which a halted board is looked at again
            next_ns = next_of(state, board, at_ns)
        through = way(before, command.phase)
        yield from _moved(state, board, through, command.reason, command.actor, next_ns, at_ns)


def follow(state: State, command: FollowTimetables, at_ns: int) -> Refusal | Iterator[Event]:
    if command.actor != VENUE:
        return Refusal(Refused.forbidden, "the venue's own command")
    return _follow_all(state, at_ns)


def _follow_all(state: State, at_ns: int) -> Iterator[Event]:
    for board in state.boards.values():
        if board.sessions:
            yield from _follow(state, board, at_ns)
        elif _has_lost_its_timetable(state, board):
            through = way(state.phase_of(board.id), "continuous")
            yield from _moved(state, board, through, "no timetable any more", VENUE, 0, at_ns)


def _has_lost_its_timetable(state: State, board: Board) -> bool:
    """It would stay in the phase in which its timetable left it, and trades at any hour instead."""
    session = state.sessions.get(board.id)
    waits = session is not None and session.next_ns != 0
    return waits and not board.sessions and not _is_halted(state, board.id)


def is_behind(state: State, at_ns: int) -> bool:
    """Whether a board has a timetable that it does not follow yet, or follows one that it does not have any more."""
    return any(
        state.sessions[board.id].next_ns != next_of(state, board, at_ns)
        if board.sessions and board.id in state.sessions
        else bool(board.sessions) or _has_lost_its_timetable(state, board)
        for board in state.boards.values()
    )


def on_due(state: State, board_id: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """A row of a board's timetable has come, unless it has been moved on since."""
    session, board = state.sessions.get(board_id), state.boards.get(board_id)
    if session is not None and session.next_ns == due_ns and board is not None and board.sessions:
        yield from _follow(state, board, at_ns)


def _follow(state: State, board: Board, at_ns: int) -> Iterator[Event]:
    """Where the timetable says the board is; a board that is halted waits, and is looked at every minute."""
    now, wanted = state.phase_of(board.id), phase_at(state, board, at_ns)
    next_ns = next_of(state, board, at_ns)
    if _is_halted(state, board.id) and now != wanted:
        yield SessionMoved(board.id, now, "halted", VENUE, at_ns + MINUTE_NS)
    else:
        yield from _moved(state, board, way(now, wanted), "timetable", VENUE, next_ns, at_ns)


def _is_halted(state: State, board: str) -> bool:
    return "market:" in state.halts or f"board:{board}" in state.halts


def way(before: str, after: str) -> tuple[str, ...]:
    """The phases to go through, the last one with them; that one alone where nothing has to be gone through."""
    if before == after:
        return (after,)
    ways: dict[str, tuple[str, ...]] = {before: ()}
    while after not in ways:
        for known, following in TIMETABLE_MOVES:
            if known in ways and following not in ways:
                ways[following] = (*ways[known], following)
    return ways[after]


def _moved(
    state: State, board: Board, phases: tuple[str, ...], reason: str, by: str, next_ns: int, at_ns: int
) -> Iterator[Event]:
    for phase in phases:
        before = state.phase_of(board.id)
        yield SessionMoved(board.id, phase, reason, by, next_ns)
        if before == "call_auction" and phase != before:
            yield from book_orders.uncross_board(state, board.id, at_ns)
        if phase == "continuous" and phase != before:
            yield from book_orders.begin_continuous(state, board.id, at_ns)


# ---- the timetable


def phase_at(state: State, board: Board, at_ns: int) -> str:
    """On a day off, and before the first row of a day, a board is closed."""
    day = day_of(at_ns)
    if not state.calendar.is_working_day(day):
        return "closed"
    minute = (at_ns - _start_of(at_ns)) // MINUTE_NS
    passed = [step.phase for step in board.sessions if step.minute <= minute]
    return passed[-1] if passed else "closed"


def next_of(state: State, board: Board, at_ns: int) -> int:
    """When the next row comes: later on this trading day, or the first one of the next."""
    start_ns = _start_of(at_ns)
    if state.calendar.is_working_day(day_of(at_ns)):
        for step in board.sessions:
            if start_ns + step.minute * MINUTE_NS > at_ns:
                return start_ns + step.minute * MINUTE_NS
    day, _ = state.calendar.add_working_days(day_of(at_ns), 1)
    return end_of(day) + 1 - DAY_NS + board.sessions[0].minute * MINUTE_NS


def _start_of(at_ns: int) -> int:
    """Midnight in Beijing before this instant."""
    return end_of(day_of(at_ns)) + 1 - DAY_NS


# ---- events


def apply_moved(state: State, event: SessionMoved, at_ns: int) -> None:
    state.sessions[event.board] = Session(event.phase, at_ns, event.next_ns)
    if event.next_ns:
        state.start_timer(event.next_ns, "session", event.board)
