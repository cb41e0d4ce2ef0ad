"""Halts: an operator, or a board's host, stops trading in a listing, a board or the market, and lets it go on.

While it stands still no order is taken and no bilateral trade is reported. What was agreed before goes its way: cancels,
deliveries, acceptances, refunds, holds that are cured. Orders that rest keep their place.
"""

from typing import Final

from exchange.events import (
    Event,
    HaltTrading,
    Refusal,
    Refused,
    ResumeTrading,
    TradingHalted,
    TradingResumed,
)
from exchange.participant import is_host, role_refusal
from exchange.state import Halt, Listing, State

SCOPES: Final = ("listing", "board", "market")
LACKS: Final = "nothing is taken until a draft that says it anew is in force (POST /v1/rulebook/drafts)"


def halt(state: State, command: HaltTrading, at_ns: int) -> Refusal | list[Event]:
    if (refusal := _refusal(state, command, at_ns)) is not None:
        return refusal
    if key_of(command.scope, command.subject) in state.halts:
        return Refusal(Refused.wrong_state, "this is halted already: GET /v1/halts says since when and why")
    return [TradingHalted(command.scope, command.subject, command.reason, command.actor)]


def resume(state: State, command: ResumeTrading, at_ns: int) -> Refusal | list[Event]:
    if (refusal := _refusal(state, command, at_ns)) is not None:
        return refusal
    if key_of(command.scope, command.subject) not in state.halts:
        return Refusal(Refused.wrong_state, "this is not halted: GET /v1/halts names what is")
    return [TradingResumed(command.scope, command.subject, command.reason, command.actor)]


def _refusal(state: State, command: HaltTrading | ResumeTrading, at_ns: int) -> Refusal | None:
    refusal = None if _hosts(state, command, at_ns) else role_refusal(state, command.actor, at_ns, "operator")
    if refusal is not None:
        return refusal
    if command.scope not in SCOPES or not command.reason.strip():
        return Refusal(Refused.malformed, f"scope is one of {', '.join(SCOPES)}, and reason says why")
    return _subject_refusal(state, command.scope, command.subject)


def _hosts(state: State, command: HaltTrading | ResumeTrading, at_ns: int) -> bool:
    """A board's host stops and resumes it, and each of its listings."""
    listing = state.listings.get(command.subject) if command.scope == "listing" else None
    board = command.subject if command.scope == "board" else listing.board if listing is not None else ""
    return is_host(state, command.actor, board, at_ns)


def _subject_refusal(state: State, scope: str, subject: str) -> Refusal | None:
    if scope == "market":
        return Refusal(Refused.malformed, "the market is one: leave subject empty") if subject else None
    if not subject:
        return Refusal(Refused.malformed, f"say in subject which {scope}")
    known = state.listings if scope == "listing" else state.boards
    return None if subject in known else Refusal(Refused.not_found, f"there is no {scope} {subject}")


def key_of(scope: str, subject: str) -> str:
    """Where a halt stands in `State.halts`."""
    return f"{scope}:{subject}"


def halted_refusal(state: State, listing: Listing) -> Refusal | None:
    """Why this listing takes nothing now; the widest halt answers. Free where nothing is halted."""
    if state.lacking:
        return Refusal(
            Refused.halted, f"the rulebook lacks what was decided: {'; '.join(state.misfits)}; {LACKS}"
        )
    if (objected := state.objected.get(listing.id)) is not None:
        return Refusal(
            Refused.halted,
            f"受托者已提出异议（{objected.id}）：{objected.reason}。A trustee of data subjects has objected: nothing is"
            f" taken until a reviewer has decided {objected.id}",
        )
    halts = state.halts
    if not halts:
        return None
    found = halts.get("market:") or halts.get(f"board:{listing.board}") or halts.get(f"listing:{listing.id}")
    if found is None:
        return None
    what = f"{found.scope} {found.subject}" if found.subject else "whole market"
    return Refusal(
        Refused.halted,
        f"trading in the {what} is halted ({found.reason}): nothing is taken until GET /v1/halts does not name it",
    )


def apply_halted(state: State, event: TradingHalted, at_ns: int) -> None:
    stands = Halt(event.scope, event.subject, event.reason, event.by, at_ns)
    state.halts[key_of(event.scope, event.subject)] = stands


def apply_resumed(state: State, event: TradingResumed, at_ns: int) -> None:
    del state.halts[key_of(event.scope, event.subject)]
