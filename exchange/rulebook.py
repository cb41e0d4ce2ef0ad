"""The life of the rulebook: drafted, approved by two others, in force from its date; narrowed in an emergency.

    draft ──approve──approve──> approved ──its date──> in_force ──the next one──> replaced

A draft is a few files in the place of those of the same name. What it makes is compiled, type-checked and held against
its own examples before it is taken. An emergency may only add to what a rule is violated by (`RuleNarrowed`): at once,
by one operator. A narrowing stands until a draft that was written after it comes into force.

Who writes the rules is not who approves them, and no one person changes what may be traded (四眼原则); the source
document asks that rules of trading be public and stable (国发〔2011〕38号: 交易规则).
"""

from typing import Final

from clearing.notrade import RulebookError
from exchange.events import (
    AdoptRulebook,
    ApproveDraft,
    DraftApproved,
    DraftRulebook,
    Event,
    NarrowRule,
    Refusal,
    Refused,
    RulebookAdopted,
    RulebookDrafted,
    RuleNarrowed,
)
from exchange.participant import role_refusal
from exchange.state import Draft, Edition, State

APPROVALS: Final = 2
"""How many other people a draft needs."""


def draft(state: State, command: DraftRulebook, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "reviewer")) is not None:
        return refusal
    if not command.files or not command.reason.strip():
        return Refusal(Refused.malformed, "files name at least one file of the rulebook, and reason says why")
    if command.effective_from_ns < at_ns:
        return Refusal(Refused.out_of_bounds, "effective_from lies ahead")
    try:
        made = state.packaged.edited({**state.edition.files, **command.files})
    except RulebookError as error:
        return Refusal(Refused.out_of_bounds, str(error))
    return [
        RulebookDrafted(
            state.next_id("K"),
            command.files,
            made.sha256,
            command.effective_from_ns,
            command.reason,
            command.actor,
        )
    ]


def approve(state: State, command: ApproveDraft, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "reviewer")) is not None:
        return refusal
    found = state.drafts.get(command.draft)
    if found is None:
        return Refusal(Refused.not_found, f"there is no draft {command.draft}")
    if command.actor in (found.by, *found.approvals):
        return Refusal(
            Refused.own_case, "its author and its two approvers are three people: ask another reviewer"
        )
    if found.state != "draft":
        return Refusal(Refused.wrong_state, f"the draft is {found.state}")
    events: list[Event] = [DraftApproved(found.id, command.actor)]
    if len(found.approvals) + 1 >= APPROVALS and found.effective_from_ns <= at_ns:
        events.append(_adopted(state, found))
    return events


def narrow(state: State, command: NarrowRule, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    if not command.reason.strip():
        return Refusal(Refused.malformed, "reason says what the emergency is")
    if command.rule not in state.rulebook.rules:
        return Refusal(Refused.not_found, f"there is no rule {command.rule} in the rulebook in force")
    added = (*state.edition.narrowings, (command.rule, command.also_violated_when))
    try:
        made = state.packaged.edited(state.edition.files, added)
    except RulebookError as error:
        return Refusal(Refused.out_of_bounds, str(error))
    said = (command.rule, command.also_violated_when)
    return [RuleNarrowed(*said, made.sha256, command.reason, command.actor)]


def on_due(state: State, identifier: str, due_ns: int, at_ns: int) -> list[Event]:
    """The date of a draft has come: approved, it is in force; else nothing happens."""
    found = state.drafts[identifier]
    return [_adopted(state, found)] if found.state == "approved" else []


def _adopted(state: State, found: Draft) -> RulebookAdopted:
    edition = _edition_with(state, found, 0)
    return RulebookAdopted(state.packaged.edited(edition.files, edition.narrowings).sha256, found.id)


def _edition_with(state: State, found: Draft, at_ns: int) -> Edition:
    """The edition in force with the draft's files; narrowings that came after it was written stay."""
    return Edition({**state.edition.files, **found.files}, state.edition.narrowings[found.over :], at_ns)


def adopt(state: State, command: AdoptRulebook, at_ns: int) -> Refusal | list[Event]:
    return [RulebookAdopted(command.sha256)]


# ---- events


def apply_drafted(state: State, event: RulebookDrafted, at_ns: int) -> None:
    state.took_id(event.draft)
    state.drafts[event.draft] = Draft(
        id=event.draft,
        files=event.files,
        sha256=event.sha256,
        effective_from_ns=event.effective_from_ns,
        reason=event.reason,
        by=event.by,
        over=len(state.edition.narrowings),
    )
    state.start_timer(event.effective_from_ns, "rulebook", event.draft)


def apply_approved(state: State, event: DraftApproved, at_ns: int) -> None:
    found = state.drafts[event.draft]
    found.approvals = (*found.approvals, event.by)
    if len(found.approvals) >= APPROVALS:
        found.state = "approved"


def apply_adopted(state: State, event: RulebookAdopted, at_ns: int) -> None:
    state.rulebook_sha256 = event.sha256
    if not event.draft:
        return
    for row in state.drafts.values():
        row.state = "replaced" if row.state == "in_force" else row.state
    found = state.drafts[event.draft]
    edition = _edition_with(state, found, at_ns)
    for row in state.drafts.values():
        row.over = max(0, row.over - found.over)
    found.state = "in_force"
    state.use_edition(edition)


def apply_narrowed(state: State, event: RuleNarrowed, at_ns: int) -> None:
    narrowings = (*state.edition.narrowings, (event.rule, event.also_violated_when))
    state.use_edition(Edition(state.edition.files, narrowings, at_ns))
    state.rulebook_sha256 = event.sha256
