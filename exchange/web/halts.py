"""What stands still, and the operator who stops it and lets it go on."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from exchange.events import HaltTrading, Refused, ResumeTrading, TradingHalted, TradingResumed
from exchange.web.instant import text_of
from exchange.web.operation import Call, Operation


class Halting(Struct, kw_only=True, forbid_unknown_fields=True):
    """`subject`: the listing's or the board's id; empty for the market."""

    scope: Literal["listing", "board", "market"]
    subject: Annotated[str, Meta(max_length=64)] = ""
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class HaltView(Struct):
    scope: str
    subject: str
    reason: str
    by: str
    since: str


class HaltList(Struct):
    items: tuple[HaltView, ...]


class ResumeView(Struct):
    scope: str
    subject: str
    reason: str
    at: str


async def halt(call: Call, body: Halting) -> HaltView:
    command = HaltTrading(
        actor=call.participant, key=call.key, scope=body.scope, subject=body.subject, reason=body.reason
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, TradingHalted)
    return HaltView(event.scope, event.subject, event.reason, event.by, text_of(outcome.at_ns))


async def resume(call: Call, body: Halting) -> ResumeView:
    command = ResumeTrading(
        actor=call.participant, key=call.key, scope=body.scope, subject=body.subject, reason=body.reason
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, TradingResumed)
    return ResumeView(event.scope, event.subject, event.reason, text_of(outcome.at_ns))


async def halts(call: Call, asked: None) -> HaltList:
    """What is committed; empty while everything trades."""
    standing = await call.desk.engine.read(lambda state: tuple(state.halts.values()))
    return HaltList(
        tuple(HaltView(row.scope, row.subject, row.reason, row.by, text_of(row.since_ns)) for row in standing)
    )


_WHEN: Final = "2026-11-23T10:00:00Z"
_ASKED: Final = {"scope": "board", "subject": "computing", "reason": "a price source has failed"}
_HALT: Final = _ASKED | {"by": "P1", "since": _WHEN}
_REFUSED: Final = (Refused.forbidden, Refused.not_found, Refused.wrong_state)

OPERATIONS: Final = (
    Operation("POST", "/v1/halts", halt, "Halt a listing, a board or the market (operator)", "operations",
              asks=Halting, answers=HaltView, refused=_REFUSED, example=_ASKED, example_answer=_HALT),
    Operation("POST", "/v1/halts/resume", resume, "Let what was halted trade again (operator)", "operations",
              asks=Halting, answers=ResumeView, refused=_REFUSED, example=_ASKED,
              example_answer=_ASKED | {"at": _WHEN}),
    Operation("GET", "/v1/halts", halts, "What is halted, since when and why", "operations", answers=HaltList,
              signed_in=False, example_answer={"items": [_HALT]}),
)  # fmt: skip
