"""Entries in the venue's registers: who may make one, and what follows.

What a register holds is said in `clearing.registers`. A decider is none of those that gain from the entry; what is
wholly against a product's holder, or against a participant, they may enter themselves, but never in the place of what
somebody else has entered against them, nor with another pledgee than is on record: the next entry could then let go
what only others may. The venue itself enters a pledge that was traded here, and lets it go where that trade is taken
back; its pledgee consents to trades and releases it:
「质权自办理出质登记时设立」「出质后，不得转让或者许可他人使用，但是出质人与质权人协商同意的除外」(民法典第四百四十四条).
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from clearing.registers import (
    REGISTERS,
    CentralApproval,
    Entry,
    Pledge,
    is_against,
    is_partly_against,
    number_of,
    on_record,
    refuse,
)
from exchange.events import (
    VENUE,
    Completed,
    EnterRecord,
    EntitlementEnded,
    Event,
    RecordEntered,
    Refusal,
    Refused,
    Reversed,
)
from exchange.participant import role_refusal
from exchange.product import evidence_refusal, gainers, own_case_refusal
from exchange.state import State, Trade


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
        or _own_pledge_refusal(state, entry)
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
    if isinstance(entry.facts, CentralApproval) and not _is_approved(state, entry.facts.board):
        return Refusal(Refused.not_found, f"no board {entry.facts.board} has an approval in its file")
    pledgee = _pledgee_in(entry)
    if pledgee and pledgee not in state.bureau.participants:
        return Refusal(Refused.not_found, f"pledgee: there is no participant {pledgee}")
    return None


def _is_approved(state: State, board: str) -> bool:
    return board in state.boards and state.boards[board].central_trading_approved


def _own_pledge_refusal(state: State, entry: Entry) -> Refusal | None:
    """A pledgee who becomes the holder may still release; nobody holds a right against itself."""
    facts = entry.facts
    if (
        not isinstance(facts, Pledge)
        or facts.state != "pledged"
        or facts.pledgee != _subject_of(state, entry)
    ):
        return None
    return Refusal(Refused.own_case, "pledgee: nobody is the pledgee of its own right, name who is")


def _decider_refusal(state: State, entry: Entry, at_ns: int) -> Refusal | None:
    known = on_record(state.registers, entry, at_ns)
    pledgees = list(dict.fromkeys(_pledgee_in(row) for row in known))
    keeps = all(one == _pledgee_in(entry) for one in pledgees)
    against_itself = is_against(entry) and entry.by == _subject_of(state, entry)
    if keeps and against_itself and not any(row.by != entry.by and is_partly_against(row) for row in known):
        return None
    if keeps and pledgees == [entry.by] and not entry.corrects:
        return None
    refusal = role_refusal(state, entry.by, at_ns, *REGISTERS[entry.register].deciders)
    if refusal is not None and known and against_itself:
        number = f"{entry.register} {number_of(entry.facts)}".rstrip()
        detail = f"{number} is on record already, by somebody else or for another pledgee: a reviewer decides"
        return Refusal(Refused.forbidden, detail)
    pledged_to = [one for one in (*pledgees, _pledgee_in(entry)) if one]
    return refusal or own_case_refusal(state, entry.by, *_parties(state, entry), *pledged_to)


def _pledgee_in(entry: Entry) -> str:
    """Whom an entry names as pledgee; empty where it names nobody, or is about something else."""
    return str(entry.facts.pledgee or "") if isinstance(entry.facts, Pledge) else ""


def _subject_of(state: State, entry: Entry) -> str:
    return state.products[entry.product].holder if entry.product else entry.participant


def _parties(state: State, entry: Entry) -> list[str]:
    gain = gainers(state, state.products[entry.product]) if entry.product else []
    return [*gain, entry.participant] if entry.participant else gain


def after_completed(state: State, event: Completed, at_ns: int) -> Iterable[RecordEntered]:
    """A pledge that was paid for is on record: from now on nothing is sold of the right without the pledgee (B15)."""
    trade = state.trades[event.trade]
    if state.listings[trade.listing].terms.deal != "pledge":
        return ()
    return (_pledged(state, trade, at_ns),)


def _pledged(state: State, trade: Trade, at_ns: int) -> RecordEntered:
    """The paper is the contract that the pledgee has signed. It has no end: a pledge lasts until it is released."""
    signed = state.last_signed.get((trade.listing, trade.buyer))
    return RecordEntered(
        state.next_id("G"),
        Pledge(number=trade.id, state="pledged", pledgee=trade.buyer),
        state.listings[trade.listing].product,
        "",
        "" if signed is None else state.contracts[signed.contract].sha256,
        at_ns,
        0,
        f"成交 {trade.id} 完成，权利出质 / trade {trade.id} is completed: the right is pledged",
        VENUE,
    )


def taken_back(state: State, event: Event) -> str:
    """The trade that is taken back with this event: reversed, refunded whole, its entitlement revoked; empty: none."""
    if isinstance(event, Reversed):
        return event.transaction if event.trade else ""
    if isinstance(event, EntitlementEnded) and event.step == "revoke":
        return state.entitlements[event.entitlement].trade
    return ""


def release_pledge(state: State, trade: str, at_ns: int) -> Iterator[RecordEntered]:
    """The pledge ends with the trade that made it, where nobody has released it before. Looks at every pledge."""
    made = [
        row
        for row in state.registers.of.get("pledges", ())
        if isinstance(row.facts, Pledge) and row.facts.number == trade and row.by == VENUE
    ]
    for entry in made:
        for row in state.registers.standing("pledges", entry.product, "", at_ns):
            if row.facts.number == trade and row.facts.state == "pledged":  # type: ignore[union-attr]
                yield _released(state, row, at_ns)


def _released(state: State, row: Entry, at_ns: int) -> RecordEntered:
    assert isinstance(row.facts, Pledge)
    number = row.facts.number
    return RecordEntered(
        state.next_id("G"),
        replace(row.facts, state="released", consented=False),
        row.product,
        "",
        row.evidence_sha256,
        at_ns,
        0,
        f"成交 {number} 已撤销，质权消灭 / trade {number} was taken back: the pledge ends",
        VENUE,
    )


def apply_entered(state: State, event: RecordEntered, at_ns: int) -> None:
    state.took_id(event.entry)
    state.registers.enter(_entry_of(event, at_ns))
    if event.product:
        state.forget_product(state.products[event.product])
    if event.participant:
        state.forget_participant(event.participant)
    if not event.product and not event.participant:
        state.cells.clear()


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
