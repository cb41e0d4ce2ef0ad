"""Entries in the venue's registers: who may make one, and what follows.

What a register holds is said in `clearing.registers`. A decider is none of those that gain from the entry; what is
wholly against a product's holder, or against a participant, they may enter themselves.
"""

from clearing.registers import REGISTERS, Entry, is_against, refuse
from exchange.events import EnterRecord, Event, RecordEntered, Refusal, Refused
from exchange.participant import role_refusal
from exchange.product import evidence_refusal, gainers, own_case_refusal
from exchange.state import State


def enter(state: State, command: EnterRecord, at_ns: int) -> Refusal | list[Event]:
    event = RecordEntered(
        state.next_id("G"),
        command.facts,
        command.product,
        command.participant,
        command.evidence_sha256,
        command.valid_from_ns or at_ns,
        command.valid_until_ns,
        command.reason,
        command.actor,
        command.corrects,
        command.void,
    )
    entry = _entry_of(event, at_ns)
    refusal = (
        _subject_refusal(state, entry)
        or _decider_refusal(state, entry, at_ns)
        or evidence_refusal(command.evidence_sha256)
    )
    if refusal is not None:
        return refusal
    wrong = refuse(state.registers, entry) or _unsaid(command)
    return [event] if wrong is None else Refusal(Refused.malformed, wrong)


def _unsaid(command: EnterRecord) -> str | None:
    return None if command.reason.strip() else "reason says why this is entered"


def _subject_refusal(state: State, entry: Entry) -> Refusal | None:
    if entry.product and entry.product not in state.products:
        return Refusal(Refused.not_found, f"there is no product {entry.product}")
    if entry.participant and entry.participant not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {entry.participant}")
    return None


def _decider_refusal(state: State, entry: Entry, at_ns: int) -> Refusal | None:
    if is_against(entry) and entry.by == _subject_of(state, entry):
        return None
    refusal = role_refusal(state, entry.by, at_ns, *REGISTERS[entry.register].deciders)
    return refusal or own_case_refusal(state, entry.by, *_parties(state, entry))


def _subject_of(state: State, entry: Entry) -> str:
    return state.products[entry.product].holder if entry.product else entry.participant


def _parties(state: State, entry: Entry) -> list[str]:
    gain = gainers(state, state.products[entry.product]) if entry.product else []
    return [*gain, entry.participant] if entry.participant else gain


def apply_entered(state: State, event: RecordEntered, at_ns: int) -> None:
    state.took_id(event.entry)
    state.registers.enter(_entry_of(event, at_ns))
    if event.product:
        state.forget_product(state.products[event.product])
    if event.participant:
        state.forget_participant(event.participant)


def _entry_of(event: RecordEntered, at_ns: int) -> Entry:
    return Entry(
        id=event.entry,
        facts=event.facts,
        product=event.product,
        participant=event.participant,
        evidence_sha256=event.evidence_sha256,
        valid_from_ns=event.valid_from_ns,
        valid_until_ns=event.valid_until_ns,
        reason=event.reason,
        by=event.by,
        at_ns=at_ns,
        corrects=event.corrects,
        void=event.void,
    )
