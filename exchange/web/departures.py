"""Leaving in order: said, accepted by whoever takes over, and what is left to be wound up."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from exchange import projector
from exchange.departure import left
from exchange.events import AcceptDeparture, Depart, Refused
from exchange.projection import DepartureRecord
from exchange.state import State
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Id, Operation
from exchange.web.problem import Refusing

OFFICES: Final = ("reviewer", "operator", "auditor", "regulator")


class DepartureBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`successor` takes over what passes on; a merger has one. Sent again before it accepts, it replaces what was said."""

    kind: Literal["exit", "merger", "dissolution"]
    reason: Annotated[str, Meta(min_length=1, max_length=1_000)]
    successor: Annotated[Id, Meta(description="a participant's id; empty: nobody takes over")] = ""


class LeftView(Struct):
    """Something that is left; of cash and deposit, `id` is how many fen."""

    kind: str
    id: str


class DepartureView(Struct, kw_only=True):
    """`state`: leaving or done. `left`: what is wound up or passed on before the account closes, at most a thousand."""

    participant: str
    kind: str
    successor: str | None
    reason: str
    state: str
    begun: str
    accepted: str | None
    done: str | None
    left: tuple[LeftView, ...]


async def depart(call: Call, body: DepartureBody) -> DepartureView:
    command = Depart(
        actor=call.participant, key=call.key, kind=body.kind, reason=body.reason, successor=body.successor
    )
    await call.submit(command)
    return await _view(call, call.participant)


async def accept(call: Call, asked: None) -> DepartureView:
    participant = call.path["participant"]
    await call.submit(AcceptDeparture(actor=call.participant, key=call.key, participant=participant))
    return await _view(call, participant)


async def show(call: Call, asked: None) -> DepartureView:
    """Its own, its successor's, and for those who look after it."""
    participant = call.path["participant"]
    await call.tables_ready()
    row = await projector.departure(call.desk.pool, participant)
    concerned = row is not None and call.participant in (participant, row.successor)
    if not concerned and call.participant != participant and not (await call.roles()).intersection(OFFICES):
        raise Refusing(Refused.forbidden, "who leaves sees what is left, its successor and the offices do")
    return await _view(call, participant)


async def _view(call: Call, participant: str) -> DepartureView:
    await call.tables_ready()
    row = await projector.departure(call.desk.pool, participant)
    if row is None:
        raise Refusing(Refused.not_found, f"{participant} is not leaving: POST /v1/participants/me/departure")
    return await call.read(lambda state: _seen(state, row))


def _seen(state: State, row: DepartureRecord) -> DepartureView:
    rest = [] if row.done_at_ns else left(state, row.id)
    return DepartureView(
        participant=row.id,
        kind=row.kind,
        successor=row.successor or None,
        reason=row.reason,
        state="done" if row.done_at_ns else "leaving",
        begun=text_of(row.begun_at_ns),
        accepted=optional_text(row.accepted_at_ns),
        done=optional_text(row.done_at_ns),
        left=tuple(LeftView(kind, name) for kind, name in rest[:1_000]),
    )


_VIEW: Final = {
    "participant": "P2", "kind": "merger", "successor": "P7", "reason": "吸收合并", "state": "leaving",
    "begun": "2026-11-23T10:00:00Z", "accepted": None, "done": None,
    "left": [{"kind": "trade", "id": "T1"}, {"kind": "cash", "id": "50000"}],
}  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/participants/me/departure", depart, "Leave: by exit, merger or dissolution", "identity", status=201,
        asks=DepartureBody, answers=DepartureView,
        refused=(Refused.not_found, Refused.wrong_state, Refused.standing_denied, Refused.not_accredited),
        example={"kind": "merger", "successor": "P7", "reason": "吸收合并"}, example_answer=_VIEW,
    ),
    Operation(
        "POST", "/v1/participants/{participant}/departure/accept", accept,
        "Take over what passes on (the successor that was named)", "identity", answers=DepartureView,
        refused=(Refused.forbidden, Refused.not_found, Refused.wrong_state, Refused.standing_denied,
                 Refused.not_accredited),
        example_answer=_VIEW | {"accepted": "2026-11-23T10:00:00Z", "left": []},
    ),
    Operation(
        "GET", "/v1/participants/{participant}/departure", show, "What is left before an account closes", "identity",
        answers=DepartureView, refused=(Refused.forbidden, Refused.not_found), example_answer=_VIEW,
    ),
)  # fmt: skip
