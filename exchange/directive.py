"""Directives of a regulator (监管指令): numbered, executed by an operator or, at the deadline, by the venue.

    ordered ──execute (operator)──> executed ──lifted by another directive──> lifted
       │ └────deadline (venue)────────^                                          ^
       └──────────────lifted before it was executed──────────────────────────────┘

A freeze (冻结) holds what a participant has where it is: no order, bid, subscription or signature of it is taken, its
orders are closed, its trades on hold stay on hold, nothing is paid out. What it has agreed to goes on: deliveries, refunds,
bills, bids in auctions that have begun. Delisting (摘牌) withdraws a listing for good. A number is taken once, and a
directive is lifted by another one only.

数据安全法第六条、第四十四条：主管部门履行数据安全监管职责；网络数据安全管理条例第四十七条以下。程序为本所规则。
"""

from collections.abc import Iterator
from typing import Final

from exchange.events import (
    VENUE,
    DirectiveExecuted,
    DirectiveIssued,
    Event,
    ExecuteDirective,
    IssueDirective,
    MoveListing,
    Refusal,
    Refused,
)
from exchange.listing import LIFE as LISTING_LIFE
from exchange.listing import moves
from exchange.participant import role_refusal, same_house
from exchange.state import DAY_NS, Directive, State

KINDS: Final = ("freeze", "delist", "lift")
LONGEST_DAYS: Final = 366
LIFE: Final = {
    ("ordered", "execute"): "executed",
    ("ordered", "lift"): "lifted",
    ("executed", "lift"): "lifted",
}
"""What is not in this table cannot happen."""


def issue(state: State, command: IssueDirective, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "regulator")) is not None:
        return refusal
    if command.kind not in KINDS or not command.number.strip() or not command.text.strip():
        return Refusal(
            Refused.malformed, f"kind is one of {', '.join(KINDS)}; number and text say which and what"
        )
    if (taken := numbered(state, command.number)) is not None:
        detail = f"the number {command.number} is that of {taken.id}: a number is taken once"
        return Refusal(Refused.already_exists, detail)
    if not at_ns < command.deadline_ns <= at_ns + LONGEST_DAYS * DAY_NS:
        return Refusal(Refused.out_of_bounds, f"deadline lies ahead, by {LONGEST_DAYS} days at most")
    if (refusal := _subject_refusal(state, command)) is not None:
        return refusal
    said = command.number, command.kind, command.subject, command.deadline_ns, command.text
    return [DirectiveIssued(state.next_id("Z"), *said, command.document_sha256, command.actor)]


def numbered(state: State, number: str) -> Directive | None:
    """The directive of this number (文号)."""
    return next((row for row in state.directives.values() if row.number == number), None)


def _subject_refusal(state: State, command: IssueDirective) -> Refusal | None:
    """A freeze is of a participant, a delisting of a listing that is offered or may be, a lift of another directive."""
    subject = command.subject
    if command.kind == "lift":
        row = numbered(state, subject)
        if row is None:
            return Refusal(
                Refused.not_found, f"there is no directive of the number {subject}: subject names it"
            )
        return None if _may(row, "lift") else Refusal(Refused.wrong_state, f"{row.id} is {row.state} already")
    known = state.bureau.participants if command.kind == "freeze" else state.listings
    if subject not in known:
        what = "participant" if command.kind == "freeze" else "listing"
        return Refusal(Refused.not_found, f"there is no {what} {subject}: subject names one")
    if command.kind == "delist" and not _is_offered(state, subject):
        return Refusal(Refused.wrong_state, f"{subject} is {state.listings[subject].state} already")
    return _own_refusal(state, command.actor, _owner(state, command.kind, subject))


def _may(row: Directive, step: str) -> bool:
    return row.kind != "lift" and (row.state, step) in LIFE


def _is_offered(state: State, listing: str) -> bool:
    return (state.listings[listing].state, "withdraw") in LISTING_LIFE


def _owner(state: State, kind: str, subject: str) -> str:
    """Whose money or listing it is."""
    return subject if kind == "freeze" else state.listings[subject].merchant


def _own_refusal(state: State, actor: str, owner: str) -> Refusal | None:
    if not same_house(state, actor, owner):
        return None
    return Refusal(
        Refused.own_case, "任何人不得办理自己的事项。Nobody decides on their own house: let somebody else"
    )


def execute(state: State, command: ExecuteDirective, at_ns: int) -> Refusal | Iterator[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    row = state.directives.get(command.directive)
    if row is None:
        return Refusal(
            Refused.not_found, f"there is no directive {command.directive}: GET /v1/directives names them"
        )
    if (row.state, "execute") not in LIFE:
        return Refusal(Refused.wrong_state, f"{row.id} is {row.state} already")
    about = target(state, row)
    refusal = _own_refusal(state, command.actor, _owner(state, about.kind, about.subject))
    return refusal if refusal is not None else _executed(state, row, command.actor, at_ns)


def target(state: State, row: Directive) -> Directive:
    """The directive that a lift is about; any other is about itself."""
    if row.kind != "lift":
        return row
    found = numbered(state, row.subject)
    assert found is not None, "what is lifted was there when the lift was ordered"
    return found


def on_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """Nobody has executed it in time: the venue does."""
    row = state.directives[identifier]
    if (row.state, "execute") in LIFE:
        yield from _executed(state, row, VENUE, at_ns)


def _executed(state: State, row: Directive, by: str, at_ns: int) -> Iterator[Event]:
    lifted = target(state, row).id if row.kind == "lift" else ""
    yield DirectiveExecuted(row.id, row.kind, row.subject, row.number, lifted, by)
    if row.kind == "delist" and _is_offered(state, row.subject):
        step = MoveListing(
            actor=by, listing=row.subject, step="withdraw", reasons=(f"监管指令 {row.number}",)
        )
        yield from moves(state, state.listings[row.subject], step, at_ns)


def participant_of(state: State, row: Directive) -> str:
    """Whose standing an execution of it changes; empty where it is a listing's."""
    about = target(state, row)
    return about.subject if about.kind == "freeze" else ""


# ---- events


def apply_issued(state: State, event: DirectiveIssued, at_ns: int) -> None:
    state.took_id(event.directive)
    state.directives[event.directive] = Directive(
        id=event.directive,
        number=event.number,
        kind=event.kind,
        subject=event.subject,
        deadline_ns=event.deadline_ns,
        text=event.text,
        document_sha256=event.document_sha256,
        by=event.by,
        at_ns=at_ns,
    )
    state.start_timer(event.deadline_ns, "directive", event.directive)


def apply_executed(state: State, event: DirectiveExecuted, at_ns: int) -> None:
    row = state.directives[event.directive]
    row.state, row.executed_ns, row.executed_by = "executed", at_ns, event.by
    if event.lifts:
        lifted = state.directives[event.lifts]
        lifted.state, lifted.lifted_by = "lifted", event.directive
        _thaw(state, lifted)
    elif event.kind == "freeze":
        state.frozen[event.subject] = (*state.frozen.get(event.subject, ()), event.directive)


def _thaw(state: State, lifted: Directive) -> None:
    """Other freezes of the same participant stand."""
    left = tuple(name for name in state.frozen.get(lifted.subject, ()) if name != lifted.id)
    if left:
        state.frozen[lifted.subject] = left
    else:
        state.frozen.pop(lifted.subject, None)
