"""Cases (信用案件): what a reviewer determines, what its participant says against it, how it is put right.

    opened ──notice over──> in_force ──correct──> corrected ──repair──> repaired
       │                        │                     │
       └───────uphold───────────┴──────uphold─────────┤        any of them, corrected if it must be, fades at its end
                                                      └──────> upheld

Any fault that the venue itself has on record becomes a case when its participant objects to it. While an objection waits,
the view of the bureau that restricts leaves the fault out, and the one that rewards keeps it (`credit.bureau.Remedy`).
Who has decided once decides nothing more in the same case, nor does anybody of that house (海南22: 异议处理). What is not
decided by its date is decided for the participant: the venue's delay is not theirs. Repair costs nothing (《信用修复管理
办法》: 信用修复不收取任何费用).
"""

from collections.abc import Iterator
from typing import Final

from credit.bureau import Remedy
from credit.conduct import KINDS, Conduct
from credit.remedy import (
    CASE_LIFE,
    DETERMINED,
    GRADE_NOTICE_DAYS,
    OBJECTION_DAYS,
    OVER,
    OVERRIDE_DAYS,
    REPAIR_DAYS,
    CaseState,
    end_days,
    is_worse,
    minimum_days,
    notice_days,
    published_days,
)
from credit.score import RANK
from exchange.consequence import UNGRADED, grade_of, look
from exchange.debt import debts_of
from exchange.events import (
    VENUE,
    AskRepair,
    CaseMoved,
    CaseOpened,
    CorrectCase,
    CorrectConduct,
    DecideObjection,
    DecideRepair,
    Event,
    GradeNoticed,
    GradeSet,
    ObjectToCase,
    ObjectToConduct,
    OpenCase,
    OverrideConfirmed,
    OverrideEnded,
    OverrideGrade,
    OverrideProposed,
    Refusal,
    Refused,
)
from exchange.participant import SILENT, least_busy, role_refusal, same_house, unverified_refusal
from exchange.product import evidence_refusal
from exchange.state import DAY_NS, Case, Override, State

MOST_OPEN: Final = 100
"""Cases of one participant whose objection may wait at a time."""
PROPOSAL_NS: Final = 7 * DAY_NS


# ---- opening


def open_case(state: State, command: OpenCase, at_ns: int) -> Refusal | Iterator[Event]:
    """By a reviewer of another house, with evidence. Its effect begins when the notice is over."""
    refusal = role_refusal(state, command.actor, at_ns, "reviewer") or unverified_refusal(
        state, command.actor, at_ns
    )
    if refusal is not None:
        return refusal
    if command.participant not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {command.participant}")
    if same_house(state, command.actor, command.participant):
        return _own_case()
    if command.kind not in DETERMINED:
        return Refusal(Refused.out_of_bounds, f"kind is one of {', '.join(DETERMINED)}")
    if not command.text.strip():
        return Refusal(Refused.malformed, "say what was done: who is found at fault reads it")
    return evidence_refusal(command.evidence_sha256) or _opened(state, command, at_ns)


def _own_case() -> Refusal:
    return Refusal(Refused.own_case, "nobody decides about their own house: ask another reviewer")


def _opened(state: State, command: OpenCase, at_ns: int) -> Iterator[Event]:
    identifier, kind = state.next_id("F"), command.kind
    effective_ns = at_ns + notice_days(kind) * DAY_NS
    public_days = published_days(kind)
    yield CaseOpened(
        identifier,
        command.participant,
        kind,
        command.reference,
        identifier,
        effective_ns,
        effective_ns,
        effective_ns + end_days(kind) * DAY_NS,
        effective_ns + public_days * DAY_NS if public_days else 0,
        command.text,
        command.evidence_sha256,
        command.actor,
        "noticed",
    )
    yield from _noticed(state, command.participant, identifier, effective_ns)


def _noticed(state: State, participant: str, cause: str, effective_ns: int) -> Iterator[Event]:
    """The grade that is to follow is noticed with the case, for the same date."""
    row = state.graded.get(participant, UNGRADED)
    computed = state.bureau.rating(participant, effective_ns).grade
    if is_worse(computed, row.grade) and not any(
        from_ns <= effective_ns and not is_worse(computed, noticed) for noticed, from_ns in row.notices
    ):
        yield GradeNoticed(participant, computed, row.grade, effective_ns, cause)


def on_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """The notice is over, or the time of the case."""
    case = state.cases.get(identifier)
    if case is None:
        return
    if case.state == "noticed" and due_ns == case.effective_ns:
        yield _moved(case, "take_effect", VENUE)
        yield from look(state, case.participant, at_ns)
    elif due_ns == case.ends_ns and _may_fade(case):
        yield _moved(case, "fade", VENUE)


def _may_fade(case: Case) -> bool:
    """What must be corrected does not fade before it is; what waits for a decision waits."""
    if case.decide_ns or case.repair_ns:
        return False
    return bool(case.corrected_ns) or not KINDS[case.kind].must_correct


def _moved(
    case: Case, step: str, by: str, text: str = "", sha256: str = "", until_ns: int = 0, decider: str = ""
) -> CaseMoved:
    after: CaseState = CASE_LIFE.get((case.state, step), case.state)  # type: ignore[arg-type]
    return CaseMoved(case.id, case.participant, step, after, by, text, sha256, until_ns, decider)


# ---- objections


def object_to_case(state: State, command: ObjectToCase, at_ns: int) -> Refusal | Iterator[Event]:
    case = state.cases.get(command.case)
    if case is None or case.participant != command.actor:
        return _no_case(command.case)
    refusal = _objection_refusal(state, command.actor, command.text, command.evidence_sha256)
    if refusal is not None:
        return refusal
    if case.objected_ns:
        return Refusal(Refused.already_exists, f"one objection a case: that to {case.id} was made before")
    return _repair_refusal(case) or _objected(state, case, command.text, command.evidence_sha256, at_ns)


def object_to_conduct(state: State, command: ObjectToConduct, at_ns: int) -> Refusal | Iterator[Event]:
    """To the newest fault of this kind and reference that nobody has objected to."""
    refusal = _objection_refusal(state, command.actor, command.text, command.evidence_sha256)
    if refusal is not None:
        return refusal
    fault = _own_fault(state, command)
    if isinstance(fault, Refusal):
        return fault
    known = next((row for row in state.cases.values() if _is_about(row, fault)), None)
    if known is not None:
        return _repair_refusal(known) or _objected(state, known, command.text, command.evidence_sha256, at_ns)
    return _objected_anew(state, command, fault, at_ns)


def _objected_anew(state: State, command: ObjectToConduct, fault: Conduct, at_ns: int) -> Iterator[Event]:
    opened = _of_conduct(state, fault, command.first)
    yield opened
    yield from _objected(state, state.cases[opened.case], command.text, command.evidence_sha256, at_ns)


def _own_fault(state: State, command: ObjectToConduct | CorrectConduct) -> Conduct | Refusal:
    """The newest of this kind and reference about which nothing was done."""
    if KINDS[command.kind].effect in ("good", "correction", "note"):
        return Refusal(Refused.out_of_bounds, "kind is that of a fault: nothing else is held against anybody")
    faults = _faults(state, command)
    if not faults:
        detail = "you have no such fault on record: GET /v1/credit/me/outlook names yours"
        return Refusal(Refused.not_found, detail)
    fault = next((one for one in faults if state.bureau.remedy_of(command.actor, one) is None), None)
    if fault is None:
        return Refusal(Refused.already_exists, "one objection an event: that to this one was made before")
    return fault


def _faults(state: State, command: ObjectToConduct | CorrectConduct) -> list[Conduct]:
    """The newest first."""
    faults = reversed(state.bureau.faults_of(command.actor))
    return [one for one in faults if (one.reference, one.kind) == (command.reference, command.kind)]


def _is_about(case: Case, fault: Conduct) -> bool:
    return (case.participant, case.kind, case.fault, case.fault_at_ns) == (
        fault.participant,
        fault.kind,
        fault.reference,
        fault.at_ns,
    )


def _of_conduct(state: State, fault: Conduct, first: str) -> CaseOpened:
    """What the venue saw for itself has had its effect from its own instant on."""
    kind, public_days = fault.kind, published_days(fault.kind)
    return CaseOpened(
        state.next_id("F"),
        fault.participant,
        kind,
        fault.reference,
        fault.reference,
        fault.at_ns,
        fault.at_ns,
        fault.at_ns + end_days(kind) * DAY_NS,
        fault.at_ns + public_days * DAY_NS if public_days else 0,
        "",
        "",
        first or VENUE,
        "in_force",
    )


def _repair_refusal(case: Case) -> Refusal | None:
    """One decision at a time: a repair that is granted ends the case, and an objection in it would never be decided."""
    if not case.repair_ns:
        return None
    return Refusal(Refused.wrong_state, "a decision about its repair waits: object once that is made")


def _no_case(identifier: str) -> Refusal:
    return Refusal(Refused.not_found, f"you have no case {identifier} of which something may still come")


def _objection_refusal(state: State, actor: str, text: str, evidence_sha256: str) -> Refusal | None:
    if not text.strip():
        return Refusal(Refused.malformed, "say what is wrong with it: the decider reads it")
    if evidence_sha256 and (refusal := evidence_refusal(evidence_sha256)) is not None:
        return refusal
    waiting = sum(row.participant == actor and bool(row.decide_ns) for row in state.cases.values())
    if waiting >= MOST_OPEN:
        return Refusal(
            Refused.out_of_bounds, f"{waiting} objections of yours wait: let them be decided first"
        )
    return None


def _objected(state: State, case: Case, text: str, evidence_sha256: str, at_ns: int) -> Iterator[Event]:
    """At once is the grade better only by what is contested: what is better without it has to last all the same."""
    until_ns, decider = at_ns + OBJECTION_DAYS * DAY_NS, named(state, case, at_ns)
    before = state.bureau.grade(case.participant, at_ns)
    yield _moved(case, "object", case.participant, text, evidence_sha256, until_ns, decider)
    better = is_worse(before, state.bureau.grade(case.participant, at_ns))
    yield from look(state, case.participant, at_ns, at_once="contested" if better else "")


def named(state: State, case: Case, at_ns: int) -> str:
    """The reviewer who is named for it: of those who may decide the one with the fewest that wait; empty where none is."""
    may = [
        row.id
        for row in state.bureau.participants.values()
        if "reviewer" in row.roles and _decider_refusal(state, case, row.id, at_ns) is None
    ]
    return least_busy(may, [row.decider for row in state.cases.values() if row.decide_ns or row.repair_ns])


def _decider_refusal(state: State, case: Case, actor: str, at_ns: int) -> Refusal | None:
    """Who has decided once in a case decides nothing more in it, nor does anybody of that house, nor the party's."""
    refusal = role_refusal(state, actor, at_ns, "reviewer") or unverified_refusal(state, actor, at_ns)
    if refusal is not None:
        return refusal
    if same_house(state, actor, case.participant):
        return _own_case()
    before = [one for one in (case.by, *case.deciders) if one in state.bureau.participants]
    if any(same_house(state, actor, one) for one in before):
        detail = "nobody decides twice in the same case, nor does their house: another reviewer does"
        return Refusal(Refused.own_case, detail)
    return None


def decide_objection(state: State, command: DecideObjection, at_ns: int) -> Refusal | Iterator[Event]:
    refusal = role_refusal(state, command.actor, at_ns, "reviewer")
    if refusal is not None:
        return refusal
    case = state.cases.get(command.case)
    if case is None:
        return Refusal(Refused.not_found, f"no case {command.case} is open")
    if not case.decide_ns:
        return Refusal(Refused.wrong_state, f"no objection to {case.id} waits for a decision")
    if (refusal := _decider_refusal(state, case, command.actor, at_ns)) is not None:
        return refusal
    if not command.text.strip():
        return Refusal(Refused.malformed, "a decision says why: the participant reads it")
    return _decided(state, case, command.uphold, command.actor, command.text, at_ns)


def _decided(state: State, case: Case, uphold: bool, by: str, text: str, at_ns: int) -> Iterator[Event]:
    """Upheld, it is as if it had never been, and the grade of before is in force at once."""
    yield _moved(case, "uphold" if uphold else "reject", by, text)
    yield from look(state, case.participant, at_ns, at_once="upheld" if uphold else "")
    yield from _faded(case, at_ns)


def on_decision_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """Nobody has decided by the date."""
    case = state.cases.get(identifier)
    if case is None:
        return
    if case.decide_ns == due_ns:
        yield from _decided(state, case, True, VENUE, SILENT, at_ns)
    elif case.repair_ns == due_ns:
        yield from _repaired(state, case, VENUE, SILENT, at_ns)


# ---- correction and repair


def correct(state: State, command: CorrectCase, at_ns: int) -> Refusal | Iterator[Event]:
    case = state.cases.get(command.case)
    if case is None or case.participant != command.actor:
        return _no_case(command.case)
    if case.state != "in_force":
        detail = f"a case that is {case.state} cannot be corrected: correct it once it is in force, and once"
        return Refusal(Refused.wrong_state, detail)
    refusal = _owed_refusal(state, case.participant, case.fault) or evidence_refusal(command.evidence_sha256)
    return refusal or _corrected(state, case, command, at_ns)


def correct_conduct(state: State, command: CorrectConduct, at_ns: int) -> Refusal | Iterator[Event]:
    """What a program found is put right like what a reviewer found. Slips fade by themselves and are not repaired."""
    fault = _own_fault(state, command)
    if isinstance(fault, Refusal):
        return fault
    if KINDS[fault.kind].effect == "performance":
        return Refusal(Refused.out_of_bounds, "a slip fades by itself: object to it, or let it fade")
    if any(_is_about(row, fault) for row in state.cases.values()):
        return Refusal(
            Refused.already_exists, "this is a case already (GET /v1/credit/cases): correct it there"
        )
    refusal = _owed_refusal(state, fault.participant, fault.reference)
    return (
        refusal or evidence_refusal(command.evidence_sha256) or _corrected_anew(state, command, fault, at_ns)
    )


def _owed_refusal(state: State, participant: str, reference: str) -> Refusal | None:
    """What is still owed is not put right by a paper that says so: a duty that is broken, a debt that is open."""
    duty = state.duties.get(reference)
    if duty is not None and duty.participant == participant:
        detail = f"the duty {reference} is still owed (GET /v1/duties): prove it, and the fault is put right"
        return Refusal(Refused.wrong_state, detail)
    if any(debt.trade == reference for debt in debts_of(state, participant)):
        detail = f"{reference} is not paid (GET /v1/debts): pay in what it lacks, and the fault is put right"
        return Refusal(Refused.wrong_state, detail)
    return None


def _corrected_anew(state: State, command: CorrectConduct, fault: Conduct, at_ns: int) -> Iterator[Event]:
    opened = _of_conduct(state, fault, command.first)
    yield opened
    yield from _corrected(state, state.cases[opened.case], command, at_ns)


def _corrected(
    state: State, case: Case, command: CorrectCase | CorrectConduct, at_ns: int
) -> Iterator[Event]:
    yield _moved(case, "correct", command.actor, "", command.evidence_sha256)
    yield from look(state, case.participant, at_ns)
    yield from _faded(case, at_ns)


def ask_repair(state: State, command: AskRepair, at_ns: int) -> Refusal | list[Event]:
    """After correction and the minimum period; free, and as often as it is refused."""
    case = state.cases.get(command.case)
    if case is None or case.participant != command.actor:
        return _no_case(command.case)
    if case.state != "corrected":
        return Refusal(Refused.wrong_state, f"a case that is {case.state} is not repaired: correct it first")
    if case.repair_ns or case.decide_ns:
        return Refusal(Refused.wrong_state, "a decision in this case waits: let it be made first")
    earliest_ns = case.effective_ns + minimum_days(case.kind) * DAY_NS
    if at_ns < earliest_ns:
        days = -(-(earliest_ns - at_ns) // DAY_NS)
        detail = f"the minimum period ({minimum_days(case.kind)} days) is over in {days} days: ask then"
        return Refusal(Refused.wrong_state, detail)
    refusal = evidence_refusal(command.commitment_sha256)
    if refusal is not None:
        return Refusal(refusal.code, refusal.detail.replace("evidence_sha256", "commitment_sha256"))
    until_ns = at_ns + REPAIR_DAYS * DAY_NS
    decider = named(state, case, at_ns)
    return [_moved(case, "ask_repair", command.actor, "", command.commitment_sha256, until_ns, decider)]


def decide_repair(state: State, command: DecideRepair, at_ns: int) -> Refusal | Iterator[Event]:
    refusal = role_refusal(state, command.actor, at_ns, "reviewer")
    if refusal is not None:
        return refusal
    case = state.cases.get(command.case)
    if case is None:
        return Refusal(Refused.not_found, f"no case {command.case} is open")
    if not case.repair_ns:
        return Refusal(Refused.wrong_state, f"no repair of {case.id} is asked for")
    if (refusal := _decider_refusal(state, case, command.actor, at_ns)) is not None:
        return refusal
    if not command.text.strip():
        return Refusal(Refused.malformed, "a decision says why: the participant reads it")
    if command.grant:
        return _repaired(state, case, command.actor, command.text, at_ns)
    return _repair_refused(case, command, at_ns)


def _repair_refused(case: Case, command: DecideRepair, at_ns: int) -> Iterator[Event]:
    yield _moved(case, "refuse_repair", command.actor, command.text)
    yield from _faded(case, at_ns)


def _faded(case: Case, at_ns: int) -> Iterator[Event]:
    """The date at which it fades may have passed while a decision or a correction was waited for."""
    if case.state in ("in_force", "corrected") and at_ns >= case.ends_ns and _may_fade(case):
        yield _moved(case, "fade", VENUE)


def _repaired(state: State, case: Case, by: str, text: str, at_ns: int) -> Iterator[Event]:
    """It weighs nothing from now on; a better grade has to last like any other."""
    yield _moved(case, "repair", by, text)
    yield from look(state, case.participant, at_ns)


# ---- overrides


def override(state: State, command: OverrideGrade, at_ns: int) -> Refusal | Iterator[Event]:
    """One operator proposes, a second of another house says the same (四眼原则). It is counted, and ends by itself."""
    refusal = role_refusal(state, command.actor, at_ns, "operator") or unverified_refusal(
        state, command.actor, at_ns
    )
    if refusal is not None:
        return refusal
    if command.participant not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {command.participant}")
    if same_house(state, command.actor, command.participant):
        return _own_case()
    if command.grade not in RANK or not command.reason.strip():
        return Refusal(Refused.malformed, f"grade is one of {', '.join(RANK)}, and needs a reason")
    if not at_ns < command.until_ns <= at_ns + OVERRIDE_DAYS * DAY_NS:
        return Refusal(Refused.out_of_bounds, f"until lies ahead, within {OVERRIDE_DAYS} days")
    return _overridden(state, command, at_ns)


def _overridden(state: State, command: OverrideGrade, at_ns: int) -> Refusal | Iterator[Event]:
    known = state.overrides.get(command.participant)
    said = (command.grade, command.until_ns)
    if known is None or (not known.confirmed_by and (known.grade, known.until_ns) != said):
        return iter(
            [
                OverrideProposed(
                    command.participant, command.grade, command.until_ns, command.reason, command.actor
                )
            ]
        )
    if known.confirmed_by:
        return Refusal(Refused.already_exists, "an override is in force: it ends by itself at its date")
    if same_house(state, command.actor, known.by):
        return Refusal(Refused.own_case, "the second operator is of another house than the first (四眼原则)")
    return _confirmed(state, command, at_ns)


def _confirmed(state: State, command: OverrideGrade, at_ns: int) -> Iterator[Event]:
    before = grade_of(state, command.participant)
    worse = is_worse(command.grade, before)
    from_ns = at_ns + GRADE_NOTICE_DAYS * DAY_NS if worse else at_ns
    yield OverrideConfirmed(command.participant, command.grade, from_ns, command.actor)
    if worse:
        yield GradeNoticed(command.participant, command.grade, before, from_ns, "override")
    elif command.grade != before:
        yield GradeSet(command.participant, command.grade, before, "override")


def on_override_due(state: State, participant: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """It begins when its notice is over, and ends at its date; then what is computed counts again."""
    row = state.overrides.get(participant)
    if row is None:
        return
    if row.until_ns <= due_ns or (not row.confirmed_by and row.from_ns <= due_ns):
        confirmed = bool(row.confirmed_by)
        yield OverrideEnded(participant)
        if confirmed:
            yield from look(state, participant, at_ns, at_once="override_ended")
    elif row.confirmed_by and row.from_ns == due_ns:
        before = grade_of(state, participant)
        if row.grade != before:
            yield GradeSet(participant, row.grade, before, "override")


# ---- events


def apply_opened(state: State, event: CaseOpened, at_ns: int) -> None:
    state.took_id(event.case)
    state.cases[event.case] = Case(
        id=event.case,
        participant=event.participant,
        kind=event.kind,
        fault=event.fault,
        fault_at_ns=event.fault_at_ns,
        effective_ns=event.effective_ns,
        ends_ns=event.ends_ns,
        by=event.by,
        state=event.state,
    )
    if event.state == "noticed":
        state.bureau.record(Conduct(event.kind, event.participant, "", 0, event.fault_at_ns, event.fault))
        state.start_timer(event.effective_ns, "case", event.case)
    state.start_timer(event.ends_ns, "case", event.case)


def apply_moved(state: State, event: CaseMoved, at_ns: int) -> None:
    case = state.cases[event.case]
    _STEPS[event.step](state, case, event, at_ns)
    case.state = event.state
    if case.state in OVER:
        del state.cases[event.case]


def _remedy(state: State, case: Case) -> Remedy:
    fault = Conduct(case.kind, case.participant, "", 0, case.fault_at_ns, case.fault)
    known = state.bureau.remedy_of(case.participant, fault)
    return known or Remedy(kind=case.kind, reference=case.fault, at_ns=case.fault_at_ns)


def _apply_objected(state: State, case: Case, event: CaseMoved, at_ns: int) -> None:
    case.objected_ns, case.decide_ns, case.decider = at_ns, event.until_ns, event.decider
    state.start_timer(event.until_ns, "case_decision", case.id)
    remedy = _remedy(state, case)
    remedy.contested_ns = at_ns
    state.bureau.set_remedy(case.participant, remedy)


def _apply_decided(state: State, case: Case, event: CaseMoved, at_ns: int) -> None:
    case.decide_ns = 0
    case.deciders = (*case.deciders, event.by)
    remedy = _remedy(state, case)
    remedy.decided_ns, remedy.upheld = at_ns, event.step == "uphold"
    state.bureau.set_remedy(case.participant, remedy)


def _apply_corrected(state: State, case: Case, event: CaseMoved, at_ns: int) -> None:
    case.corrected_ns = at_ns
    state.bureau.record(Conduct("corrected", case.participant, "", 0, at_ns, case.fault))


def _apply_asked(state: State, case: Case, event: CaseMoved, at_ns: int) -> None:
    case.repair_ns, case.decider = event.until_ns, event.decider
    state.start_timer(event.until_ns, "case_decision", case.id)


def _apply_repaired(state: State, case: Case, event: CaseMoved, at_ns: int) -> None:
    """What has a reference of its own is repaired by name; of several faults with one, this one alone."""
    case.repair_ns = 0
    if case.fault == case.id:
        state.bureau.record(Conduct("repaired", case.participant, "", 0, at_ns, case.fault))
        return
    remedy = _remedy(state, case)
    remedy.repaired_ns = at_ns
    state.bureau.set_remedy(case.participant, remedy)


def _apply_refused(state: State, case: Case, event: CaseMoved, at_ns: int) -> None:
    """Another reviewer looks at the next commitment."""
    case.repair_ns = 0
    case.deciders = (*case.deciders, event.by)


def _apply_nothing(state: State, case: Case, event: CaseMoved, at_ns: int) -> None:
    """The state alone changes."""


_STEPS: Final = {
    "take_effect": _apply_nothing,
    "object": _apply_objected,
    "uphold": _apply_decided,
    "reject": _apply_decided,
    "correct": _apply_corrected,
    "ask_repair": _apply_asked,
    "repair": _apply_repaired,
    "refuse_repair": _apply_refused,
    "fade": _apply_nothing,
}
"""Step: what of the case it changes, and of the bureau."""


def apply_proposed(state: State, event: OverrideProposed, at_ns: int) -> None:
    state.overrides[event.participant] = Override(
        grade=event.grade,
        until_ns=event.until_ns,
        reason=event.reason,
        by=event.by,
        from_ns=at_ns + PROPOSAL_NS,
    )
    state.start_timer(at_ns + PROPOSAL_NS, "override", event.participant)


def apply_confirmed(state: State, event: OverrideConfirmed, at_ns: int) -> None:
    row = state.overrides[event.participant]
    row.confirmed_by, row.from_ns = event.by, event.from_ns
    state.start_timer(event.from_ns, "override", event.participant)
    state.start_timer(row.until_ns, "override", event.participant)


def apply_override_ended(state: State, event: OverrideEnded, at_ns: int) -> None:
    del state.overrides[event.participant]
