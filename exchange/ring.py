"""Rings (循环交易) at the venue: what a search over completed trades found, and the reviewer who judges it.

    queued ──> genuine     nothing happens; the same members are not queued again for half a year
       └─────> forged      what they did with one another earns no credit, whenever it was (`Bureau.mark_ring`)

`credit.ring` says what a ring is. The search reads the query tables outside the writer, so the event keeps its figures.
Who decides is a reviewer who has no house in it (海南22: 数据交易失信行为认定).
"""

from collections.abc import Mapping
from typing import Final

from credit.ring import LEAST_FEN, MOST_MEMBERS
from exchange.events import VENUE, DecideRing, Event, QueueRing, Refusal, Refused, RingDecided, RingQueued
from exchange.participant import role_refusal, same_house
from exchange.state import DAY_NS, FoundRing, State

AGAIN_NS: Final = 180 * DAY_NS
"""How long a genuine ring is left alone."""
MOST_QUEUED: Final = 1_000
LIFE: Final[Mapping[tuple[str, str], str]] = {
    ("queued", "genuine"): "genuine",
    ("queued", "forged"): "forged",
}
"""(state, decision) -> state."""
DECISIONS: Final = tuple(decision for _, decision in LIFE)


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


def decide(state: State, command: DecideRing, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "reviewer")) is not None:
        return refusal
    row = state.rings.get(command.ring)
    if row is None:
        return Refusal(Refused.not_found, f"there is no ring {command.ring}")
    if any(same_house(state, command.actor, member) for member in row.members):
        return Refusal(Refused.own_case, "nobody decides about their own house: let somebody else decide")
    if command.decision not in DECISIONS or not command.reason.strip():
        return Refusal(Refused.malformed, f"decision is {' or '.join(DECISIONS)}, and reason says why")
    if (row.state, command.decision) not in LIFE:
        return Refusal(Refused.wrong_state, f"the ring was found {row.state} already")
    return [RingDecided(row.id, row.members, command.decision, command.reason, command.actor)]


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


def apply_decided(state: State, event: RingDecided, at_ns: int) -> None:
    row = state.rings[event.ring]
    row.state = LIFE[row.state, event.decision]
    row.by, row.reason, row.decided_ns = event.by, event.reason, at_ns
    if event.decision == "forged":
        state.bureau.mark_ring(event.ring, event.members)
