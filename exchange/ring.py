"""Rings (循环交易) at the venue: what a search over completed trades found, and the reviewer who judges it.

    queued ──> genuine     nothing happens; the same members are not queued again for half a year
       └─────> forged      what they did with one another earns no credit, whenever it was (`Bureau.mark_ring`)
                 └─> genuine     a member objected, and another reviewer found so, or nobody decided by the date

`credit.ring` says what a ring is. The search reads the query tables outside the writer, so the event keeps its figures.
Who decides is a reviewer who has no house in it (海南22: 数据交易失信行为认定、异议处理); about an objection, one of
another house than the first. The finding stands meanwhile: a lower grade is noticed a week before it is in force, and no
objection takes longer.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from credit.remedy import GRADE_NOTICE_DAYS
from credit.ring import LEAST_FEN, MOST_MEMBERS
from exchange.consequence import look
from exchange.events import (
    VENUE,
    DecideRing,
    Event,
    ObjectToRing,
    QueueRing,
    Refusal,
    Refused,
    RingDecided,
    RingObjected,
    RingQueued,
)
from exchange.participant import SILENT, least_busy, role_refusal, same_house, unverified_refusal
from exchange.state import DAY_NS, FoundRing, RingObjection, State

AGAIN_NS: Final = 180 * DAY_NS
"""How long a genuine ring is left alone."""
MOST_QUEUED: Final = 1_000
LIFE: Final[Mapping[tuple[str, str], str]] = {
    ("queued", "genuine"): "genuine",
    ("queued", "forged"): "forged",
    ("forged", "genuine"): "genuine",
    ("forged", "forged"): "forged",
}
"""(state, decision) -> state; a forged one is decided about again where a member objects."""
DECISIONS: Final = ("genuine", "forged")


def queue(state: State, command: QueueRing, at_ns: int) -> Refusal | list[Event]:
    if (
        command.actor != VENUE
        and (refusal := role_refusal(state, command.actor, at_ns, "reviewer")) is not None
    ):
        return refusal
    members = command.members
    if not 2 <= len(members) <= MOST_MEMBERS or tuple(sorted(set(members))) != members:
        return Refusal(Refused.malformed, f"members are 2 to {MOST_MEMBERS}, sorted, each once")
    if not all(member in state.bureau.participants for member in members):
        return Refusal(Refused.not_found, "a member is no participant")
    if command.amount_fen < LEAST_FEN:
        return Refusal(Refused.out_of_bounds, f"a ring is {LEAST_FEN} fen or more")
    if is_known(state, members, at_ns):
        return Refusal(Refused.already_exists, "the same members wait for a reviewer, or were judged")
    if sum(row.state == "queued" for row in state.rings.values()) >= MOST_QUEUED:
        return Refusal(Refused.out_of_bounds, f"{MOST_QUEUED} rings wait already: decide them first")
    return [
        RingQueued(
            state.next_id("G"),
            members,
            command.amount_fen,
            command.within_bp,
            command.back_bp,
            command.since_ns,
            command.actor,
        )
    ]


def is_known(state: State, members: tuple[str, ...], at_ns: int) -> bool:
    """Whether these wait for a reviewer, or are within a forged ring, or were found genuine less than half a year ago."""
    for row in state.rings.values():
        same = row.members == members and (row.state != "genuine" or at_ns < row.decided_ns + AGAIN_NS)
        if same or (row.state == "forged" and set(members) <= set(row.members)):
            return True
    return False


def decide(state: State, command: DecideRing, at_ns: int) -> Refusal | Iterator[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "reviewer")) is not None:
        return refusal
    row = state.rings.get(command.ring)
    if row is None:
        return Refusal(Refused.not_found, f"there is no ring {command.ring}")
    if command.decision not in DECISIONS or not command.reason.strip():
        return Refusal(Refused.malformed, f"decision is {' or '.join(DECISIONS)}, and reason says why")
    if row.state != "queued" and not _waits(state, row):
        return Refusal(Refused.wrong_state, f"the ring was found {row.state} already")
    refusal = _decider_refusal(state, row, command.actor, at_ns)
    return refusal or _decided(state, row, command.decision, command.reason, command.actor, at_ns)


def _waits(state: State, row: FoundRing) -> bool:
    """Whether an objection to it is not decided."""
    objection = state.ring_objections.get(row.id)
    return objection is not None and objection.decide_ns > 0


def _decider_refusal(state: State, row: FoundRing, actor: str, at_ns: int) -> Refusal | None:
    """Nobody decides about their own house, nor twice about the same ring, nor does anybody of that house."""
    if any(same_house(state, actor, member) for member in row.members):
        return Refusal(Refused.own_case, "nobody decides about their own house: let somebody else decide")
    if row.state == "queued":
        return None
    if same_house(state, actor, row.by):
        return Refusal(Refused.own_case, "whoever found it forged does not decide again, nor does that house")
    return unverified_refusal(state, actor, at_ns)


def _decided(
    state: State, row: FoundRing, decision: str, reason: str, by: str, at_ns: int
) -> Iterator[Event]:
    """Taken back, the grades of before are in force at once."""
    was_forged = row.state == "forged"
    yield RingDecided(row.id, row.members, decision, reason, by)
    if was_forged and decision == "genuine":
        for member in row.members:
            yield from look(state, member, at_ns, at_once="upheld")


def object_to(state: State, command: ObjectToRing, at_ns: int) -> Refusal | list[Event]:
    row = state.rings.get(command.ring)
    if row is None or command.actor not in row.members or row.state == "queued":
        return Refusal(Refused.not_found, f"you are in no ring {command.ring} that was judged")
    if command.ring in state.ring_objections:
        return Refusal(Refused.already_exists, f"one objection a ring: that to {row.id} was made before")
    if row.state != "forged":
        return Refusal(Refused.wrong_state, f"the ring was found {row.state}: there is nothing to object to")
    if not command.text.strip():
        return Refusal(Refused.malformed, "say what the orders were for: another reviewer reads it")
    decide_ns = at_ns + GRADE_NOTICE_DAYS * DAY_NS
    return [RingObjected(row.id, command.actor, command.text, _named(state, row, at_ns), decide_ns)]


def _named(state: State, row: FoundRing, at_ns: int) -> str:
    """The reviewer who is named for it: of those who may decide the one with the fewest that wait; empty where none is."""
    may = [
        one.id
        for one in state.bureau.participants.values()
        if role_refusal(state, one.id, at_ns, "reviewer") is None
        and _decider_refusal(state, row, one.id, at_ns) is None
    ]
    return least_busy(may, [one.decider for one in state.ring_objections.values() if one.decide_ns])


def on_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """Nobody has decided by the date."""
    objection = state.ring_objections.get(identifier)
    if objection is not None and objection.decide_ns == due_ns:
        yield from _decided(state, state.rings[identifier], "genuine", SILENT, VENUE, at_ns)


def apply_queued(state: State, event: RingQueued, at_ns: int) -> None:
    state.took_id(event.ring)
    state.rings[event.ring] = FoundRing(
        id=event.ring,
        members=event.members,
        amount_fen=event.amount_fen,
        within_bp=event.within_bp,
        back_bp=event.back_bp,
        since_ns=event.since_ns,
        found_ns=at_ns,
    )


def apply_objected(state: State, event: RingObjected, at_ns: int) -> None:
    state.ring_objections[event.ring] = RingObjection(
        participant=event.participant,
        text=event.text,
        decider=event.decider,
        at_ns=at_ns,
        decide_ns=event.decide_ns,
    )
    state.start_timer(event.decide_ns, "ring_objection", event.ring)


def apply_decided(state: State, event: RingDecided, at_ns: int) -> None:
    row, objection = state.rings[event.ring], state.ring_objections.get(event.ring)
    if objection is not None:
        objection.decide_ns = 0
    if row.state == "forged" and event.decision == "genuine":
        state.bureau.mark_ring(event.ring, ())
    row.state = LIFE[row.state, event.decision]
    row.by, row.reason, row.decided_ns = event.by, event.reason, at_ns
    if event.decision == "forged" and objection is None:
        state.bureau.mark_ring(event.ring, event.members)
