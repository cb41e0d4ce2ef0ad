"""Rings that were found, the search for them, and the reviewer's word."""

from typing import Annotated, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from exchange.events import DecideRing, ObjectToRing, Refused, RingDecided, RingObjected
from exchange.ring_search import USUAL_DAYS
from exchange.state import FoundRing, RingObjection, State
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Operation, Paging
from exchange.web.participants import page_of

OFFICES: Final = ("reviewer", "operator", "auditor")


class RingQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Literal["", "queued", "genuine", "forged"] = ""


class Search(Struct, kw_only=True, forbid_unknown_fields=True):
    days: Annotated[int, Meta(ge=1, le=3_650, description="how far back completed trades are read")] = (
        USUAL_DAYS
    )


class SearchView(Struct):
    """`found` counts all rings, those that were known too; `queued` are the new ones."""

    found: int
    queued: tuple[str, ...]


class RingDecision(Struct, kw_only=True, forbid_unknown_fields=True):
    decision: Literal["genuine", "forged"]
    reason: Annotated[str, Meta(min_length=1, max_length=2_000)]


class RingObjectionBody(Struct, kw_only=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=5_000, description="what the orders were for")]


class RingObjectionView(Struct):
    """`decide_by` is null once it is decided."""

    participant: str
    text: str
    decider: str
    at: str
    decide_by: str | None


class RingView(Struct):
    """`within_bp`: of all that the members bought and sold, what they did with one another; `back_bp`: of that, what came
    back to where it came from (basis points)."""

    ring: str
    state: str
    members: tuple[str, ...]
    amount_fen: int
    within_bp: int
    back_bp: int
    since: str
    found_at: str
    decided_at: str | None
    by: str
    reason: str
    trades: tuple[str, ...]
    objection: RingObjectionView | None


class RingList(Struct):
    items: tuple[RingView, ...]
    next: str | None


def ring_view(row: FoundRing, trades: tuple[str, ...], objection: RingObjection | None) -> RingView:
    return RingView(
        row.id,
        row.state,
        row.members,
        row.amount_fen,
        row.within_bp,
        row.back_bp,
        text_of(row.since_ns),
        text_of(row.found_ns),
        optional_text(row.decided_ns),
        row.by,
        row.reason,
        trades,
        None if objection is None else _objection_view(objection),
    )


def _objection_view(row: RingObjection) -> RingObjectionView:
    return RingObjectionView(
        row.participant, row.text, row.decider, text_of(row.at_ns), optional_text(row.decide_ns)
    )


async def rings(call: Call, asked: RingQuery) -> Response[bytes]:
    """What was found up to this day of the venue's clock."""
    await call.need_role(*OFFICES)
    await call.desk.rings.up_to_date()

    def look(state: State) -> tuple[list[FoundRing], str]:
        last = state.counters.get("G", 0)
        return page_of(state.rings, "G", last, asked, lambda row: asked.state in ("", row.state))

    rows, following = await call.read(look)
    return call.page([await _shown(call, row) for row in rows], following)


async def _shown(call: Call, row: FoundRing) -> RingView:
    objection = await call.read(lambda state: state.ring_objections.get(row.id))
    return ring_view(row, await call.desk.rings.trades(row.members, row.since_ns), objection)


async def own_rings(call: Call, asked: Paging) -> Response[bytes]:
    """Which orders of others are in it is theirs: only the offices are shown the trades."""
    participant = call.participant

    def look(state: State) -> tuple[list[RingView], str]:
        last = state.counters.get("G", 0)
        rows, following = page_of(
            state.rings, "G", last, asked, lambda row: _concerns(state, row, participant)
        )
        return [ring_view(row, (), state.ring_objections.get(row.id)) for row in rows], following

    return call.page(*await call.read(look))


def _concerns(state: State, row: FoundRing, participant: str) -> bool:
    """Who is only suspected is not told; who was found forged, or has objected, is."""
    return participant in row.members and (row.state == "forged" or row.id in state.ring_objections)


async def object_to_ring(call: Call, body: RingObjectionBody) -> RingView:
    command = ObjectToRing(actor=call.participant, key=call.key, ring=call.path["ring"], text=body.text)
    event = (await call.submit(command)).events[0]
    assert isinstance(event, RingObjected)
    return await call.read(
        lambda state: ring_view(state.rings[event.ring], (), state.ring_objections[event.ring])
    )


async def search_rings(call: Call, body: Search) -> SearchView:
    await call.need_role("reviewer")
    found = await call.desk.rings.search(body.days, call.participant)
    return SearchView(found.found, found.queued)


async def decide_ring(call: Call, body: RingDecision) -> RingView:
    command = DecideRing(
        actor=call.participant,
        key=call.key,
        ring=call.path["ring"],
        decision=body.decision,
        reason=body.reason,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, RingDecided)
    return await _shown(call, await call.read(lambda state: state.rings[event.ring]))


_WHEN: Final = "2026-11-23T10:00:00Z"
_RING: Final = {
    "ring": "G1", "state": "queued", "members": ["P4", "P7", "P9"], "amount_fen": 15_000_000, "within_bp": 9_400,
    "back_bp": 9_900, "since": _WHEN, "found_at": _WHEN, "decided_at": None, "by": "", "reason": "",
    "trades": ["T9", "T8", "T7"], "objection": None,
}  # fmt: skip
_FORGED: Final = _RING | {
    "state": "forged",
    "by": "P3",
    "decided_at": _WHEN,
    "reason": "the same file went round three times",
    "trades": [],
}
_OBJECTION: Final = {"text": "three versions of a map, each made from the one before"}
_OBJECTED: Final = {
    "participant": "P4",
    **_OBJECTION,
    "decider": "P8",
    "at": _WHEN,
    "decide_by": "2026-11-30T10:00:00Z",
}
_DECIDED: Final = {"decision": "forged", "reason": "the same file went round three times"}

OPERATIONS: Final = (
    Operation("GET", "/v1/credit/rings", rings, "Groups among whom money goes round, found for a reviewer", "credit",
              asks=RingQuery, answers=RingList, refused=(Refused.forbidden,),
              example_answer={"items": [_RING], "next": None}),
    Operation("GET", "/v1/credit/rings/me", own_rings, "Rings found forged that one is in oneself, and one's objection",
              "credit", asks=Paging, answers=RingList, example_answer={"items": [_FORGED], "next": None}),
    Operation("POST", "/v1/credit/rings/{ring}/objection", object_to_ring,
              "Object to the finding that a ring is forged (a member, once a ring)", "credit", asks=RingObjectionBody,
              answers=RingView, refused=(Refused.not_found, Refused.already_exists, Refused.wrong_state),
              example=_OBJECTION,
              example_answer=_FORGED | {"objection": _OBJECTED}),
    Operation("POST", "/v1/credit/rings/search", search_rings, "Search completed trades for rings now (reviewer)",
              "credit", asks=Search, answers=SearchView, refused=(Refused.forbidden,), example={"days": 365},
              example_answer={"found": 1, "queued": ["G1"]}),
    Operation("POST", "/v1/credit/rings/{ring}/decision", decide_ring, "Say whether a ring is genuine or forged (reviewer)",
              "credit", asks=RingDecision, answers=RingView, example=_DECIDED,
              refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state),
              example_answer=_RING | {"state": "forged", "by": "P3", "decided_at": _WHEN, "reason": _DECIDED["reason"]}),
)  # fmt: skip
