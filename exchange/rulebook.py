"""The life of the rulebook: drafted, approved by two others, in force from its date; narrowed in an emergency.

    draft ──approve──approve──> approved ──its date──> in_force ──the next one──> replaced
      └───────────┴───────────────┴──── the rulebook in force is another now ────> lapsed

A draft is a few files in the place of those of the same name. What it makes is compiled, type-checked and held against
its own examples before it is taken. An emergency may only add to what a rule is violated by (`RuleNarrowed`): at once,
by one operator. A narrowing stands until a draft that was written after it comes into force.

A draft is over one rulebook: the one in force when it was written, to the byte. What approvers have seen is what it makes
of that one, so it comes into force over no other: once another is in force it lapses, and is drafted anew. Nothing here
raises at a date: dates of other things come in the same tick.

A release has other packaged rules, and what was drafted or narrowed goes on over them. Where it does not fit them (a rule
has another id), the venue judges by the whole text that came into force with it, which is journaled, until it is drafted
anew. What cannot be read either way leaves out what does not fit, says so, and takes no orders until another draft is in
force: a rulebook that forbids less than was decided lets nothing pass.

Who writes the rules is not who approves them, and no one person changes what may be traded (四眼原则): all three are
people whose identity a reviewer has verified, of three houses. The source document asks that rules of trading be public
and stable (国发〔2011〕38号: 交易规则).
"""

from collections.abc import Sequence
from typing import Final

from clearing.notrade import Narrowing, Rulebook, RulebookError, prove
from exchange.events import (
    AdoptRulebook,
    ApproveDraft,
    DraftApproved,
    DraftLapsed,
    DraftRulebook,
    Event,
    NarrowRule,
    Refusal,
    Refused,
    RulebookAdopted,
    RulebookDrafted,
    RuleNarrowed,
)
from exchange.participant import role_refusal, same_house, unverified_refusal
from exchange.state import Draft, Edition, State

APPROVALS: Final = 2
"""How many other people a draft needs."""
OPEN: Final = ("draft", "approved")
"""States of a draft that may still come into force."""
NEW_BASE: Final = (
    "生效中的规则已不是本稿所依据的规则，请在现行规则上重新起草。"
    "The rulebook in force is no longer the one that this was written over: draft it anew over that one."
)
OTHER_RESULT: Final = (
    "本稿现在得出的规则与审批人所见不同，请重新起草。"
    "It now makes another rulebook than the one its approvers saw: draft it anew."
)


def draft(state: State, command: DraftRulebook, at_ns: int) -> Refusal | list[Event]:
    if (refusal := _writer_refusal(state, command.actor, at_ns)) is not None:
        return refusal
    if not command.files or not command.reason.strip():
        return Refusal(Refused.malformed, "files name at least one file of the rulebook, and reason says why")
    if command.effective_from_ns < at_ns:
        return Refusal(Refused.out_of_bounds, "effective_from lies ahead")
    base_sha256 = state.rulebook.text_sha256
    if command.base_sha256 not in ("", base_sha256):
        return Refusal(Refused.wrong_state, f"{NEW_BASE} Its text_sha256 is {base_sha256}.")
    try:
        made = _over(state, command.files)
    except RulebookError as error:
        return Refusal(Refused.out_of_bounds, str(error))
    if made.text_sha256 == base_sha256:
        return Refusal(Refused.out_of_bounds, "these files say what is in force already: change something")
    return [
        RulebookDrafted(
            state.next_id("K"),
            command.files,
            made.sha256,
            command.effective_from_ns,
            command.reason,
            command.actor,
            base_sha256,
        )
    ]


def _writer_refusal(state: State, actor: str, at_ns: int) -> Refusal | None:
    """Why somebody writes and approves no rules."""
    refusal = role_refusal(state, actor, at_ns, "reviewer")
    return refusal or unverified_refusal(state, actor, at_ns)


def approve(state: State, command: ApproveDraft, at_ns: int) -> Refusal | list[Event]:
    if (refusal := _writer_refusal(state, command.actor, at_ns)) is not None:
        return refusal
    found = state.drafts.get(command.draft)
    if found is None:
        return Refusal(Refused.not_found, f"there is no draft {command.draft}")
    if any(same_house(state, command.actor, other) for other in (found.by, *found.approvals)):
        detail = "its author and its two approvers are three people of three houses: ask another reviewer"
        return Refusal(Refused.own_case, detail)
    if found.state != "draft":
        detail = f"the draft is {found.state}. {state.lapses.get(found.id, '')}".rstrip()
        return Refusal(Refused.wrong_state, detail)
    made = _made(state, found)
    if isinstance(made, str):
        return [DraftLapsed(found.id, made)]
    due = len(found.approvals) + 1 >= APPROVALS and found.effective_from_ns <= at_ns
    return [DraftApproved(found.id, command.actor), *(_adopting(state, found, made) if due else ())]


def narrow(state: State, command: NarrowRule, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    if not command.reason.strip():
        return Refusal(Refused.malformed, "reason says what the emergency is")
    if command.rule not in state.rulebook.rules:
        return Refusal(Refused.not_found, f"there is no rule {command.rule} in the rulebook in force")
    said = (command.rule, command.also_violated_when)
    try:
        made = state.rulebook.edited({}, (*state.rulebook.narrowings, said))
    except RulebookError as error:
        return Refusal(Refused.out_of_bounds, str(error))
    narrowed = RuleNarrowed(*said, made.sha256, command.reason, command.actor, made.texts)
    return [narrowed, *_lapsing(state, made)]


def on_due(state: State, identifier: str, due_ns: int, at_ns: int) -> list[Event]:
    """The date of a draft has come: approved, it is in force; else nothing happens."""
    found = state.drafts[identifier]
    if found.state != "approved":
        return []
    made = _made(state, found)
    return [DraftLapsed(found.id, made)] if isinstance(made, str) else _adopting(state, found, made)


def _adopting(state: State, found: Draft, made: Rulebook) -> list[Event]:
    """It comes into force, and drafts over the rulebook before it lapse."""
    return [RulebookAdopted(made.sha256, found.id, made.texts), *_lapsing(state, made, found.id)]


def _made(state: State, found: Draft) -> Rulebook | str:
    """The rulebook that its approvers saw, compiled and proven (half a second), or why it is none any more."""
    if state.draft_bases.get(found.id) != state.rulebook.text_sha256:
        return NEW_BASE
    edition = _edition_with(state, found, 0)
    try:
        made = _over(state, found.files, edition.narrowings)
        prove(made)
    except RulebookError as error:
        return str(error)
    return made if made.sha256 == found.sha256 else OTHER_RESULT


def _over(state: State, files: dict[str, str], narrowings: Sequence[Narrowing] = ()) -> Rulebook:
    """The edition in force with these files, and these narrowings alone. Raises RulebookError.

    Where that edition does not fit this release's rules, the files are over what is in force instead.
    """
    try:
        return state.packaged.edited({**state.edition.files, **files}, narrowings)
    except RulebookError:
        if not state.misfits:
            raise
        return state.rulebook.edited(files, narrowings)


def _lapsing(state: State, made: Rulebook, besides: str = "") -> list[Event]:
    """Drafts that are not over the rulebook that comes into force now."""
    return [
        DraftLapsed(row.id, NEW_BASE)
        for row in state.drafts.values()
        if row.state in OPEN and row.id != besides and state.draft_bases.get(row.id) != made.text_sha256
    ]


def _edition_with(state: State, found: Draft, at_ns: int) -> Edition:
    """The edition in force with the draft's files.

    Narrowings that came after it was written stay: in journals from before a draft was over one rulebook.
    """
    return Edition({**state.edition.files, **found.files}, state.edition.narrowings[found.over :], at_ns)


def adopt(state: State, command: AdoptRulebook, at_ns: int) -> Refusal | list[Event]:
    return [RulebookAdopted(command.sha256), *_lapsing(state, state.rulebook)]


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
    if event.base_sha256:
        state.draft_bases[event.draft] = event.base_sha256
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
    state.use_edition(edition, event.texts)


def apply_lapsed(state: State, event: DraftLapsed, at_ns: int) -> None:
    state.drafts[event.draft].state = "lapsed"
    state.lapses[event.draft] = event.reason


def apply_narrowed(state: State, event: RuleNarrowed, at_ns: int) -> None:
    narrowings = (*state.edition.narrowings, (event.rule, event.also_violated_when))
    state.use_edition(Edition(state.edition.files, narrowings, at_ns), event.texts)
    state.rulebook_sha256 = event.sha256
