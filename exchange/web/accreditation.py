"""Accreditations: applied for, looked at, given, restricted, suspended and revoked; what has happened to one so far."""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, UnsetType

from credit.merchant import Participant, given, left
from exchange import projector
from exchange.events import (
    AccreditationApplied,
    AccreditationDecided,
    AccreditationProposalEnded,
    AccreditationProposed,
    AnswerDocuments,
    ApplyForAccreditation,
    DecideAccreditation,
    DocumentsAnswered,
    DocumentsRequested,
    Event,
    Refusal,
    Refused,
)
from exchange.projection import AccreditationRow
from exchange.state import State
from exchange.venue import Outcome
from exchange.web.instant import Instant, optional_ns, optional_text, text_of
from exchange.web.operation import Call, Id, Name, Operation, Paging, Sha256
from exchange.web.problem import Refusing

OFFICES: Final = ("reviewer", "operator", "auditor", "regulator")
"""Roles that see anybody's accreditation whole."""

Class = Literal[
    "merchant", "broker", "data_integration", "compliance_certification", "security_audit", "notary", "insurance",
    "custody", "valuation", "arbitration", "ethics_review",
]  # fmt: skip
Boards = Annotated[
    tuple[Id, ...], Meta(max_length=100, description="ids of boards; none: all, or as they are")
]
Reasons = Annotated[tuple[Annotated[str, Meta(max_length=1_000)], ...], Meta(max_length=20)]
Wanted = Annotated[str, Meta(min_length=1, max_length=500)]


# ---- bodies


class Application(Struct, kw_only=True, forbid_unknown_fields=True):
    """For `classes`, on `boards`; no boards: on all."""

    evidence_sha256: Sha256
    classes: Annotated[tuple[Class, ...], Meta(min_length=1, max_length=11)] = ("merchant",)
    boards: Boards = ()


class Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[Name, Meta(min_length=1)]
    sha256: Sha256


class DocumentsBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """What was asked for, each document by name and hash; sent again it takes the place of what came before."""

    documents: Annotated[tuple[Document, ...], Meta(min_length=1, max_length=20)]


class AccreditationDecision(Struct, kw_only=True, forbid_unknown_fields=True):
    """`step` suspend or revoke proposes; somebody of another house confirms it, or it is withdrawn, or it ends by itself.

    `classes` and `boards`: what is given (accredit, renew) or what is left (restrict); none named: as applied for, or as it
    is. `documents` are those that request_documents asks for. `number` is the credential's, else the venue makes one.
    """

    step: Annotated[
        str,
        Meta(
            max_length=20,
            description="request_documents, accredit, refuse, renew, restrict, unrestrict, suspend, restore, revoke,"
            " confirm or withdraw",
        ),
    ]
    valid_until: Instant | None = None
    evidence_sha256: Sha256 | None = None
    reasons: Reasons = ()
    classes: Annotated[tuple[Class, ...], Meta(max_length=11)] = ()
    boards: Boards = ()
    number: Annotated[
        Id, Meta(description="a number that the credential has elsewhere; empty: the venue's own")
    ] = ""
    documents: Annotated[tuple[Wanted, ...], Meta(max_length=20)] = ()


# ---- answers


class Proposed(Struct):
    """What one decider has proposed; until when another may confirm it."""

    step: str
    by: str
    reasons: tuple[str, ...]
    until: str


class AccreditationView(Struct, kw_only=True):
    """What a step led to. `credential` is the state afterwards; `proposed` is what waits for a second decider."""

    participant: str
    step: str
    credential: str
    credential_number: str | None
    valid_until: str | None
    reasons: tuple[str, ...]
    classes: tuple[str, ...]
    boards: tuple[str, ...]
    asked: tuple[str, ...] = ()
    answered: tuple[Document, ...] = ()
    proposed: Proposed | None = None


class AccreditationStep(Struct, kw_only=True):
    """One step of the life; `state` afterwards. `documents` are what was asked for, or the names of what came."""

    at: str
    step: str
    state: str
    by: str
    proposed_by: str | None
    classes: tuple[str, ...]
    boards: tuple[str, ...]
    documents: tuple[Document, ...]
    asked: tuple[str, ...]
    reasons: tuple[str, ...]
    evidence_sha256: str | None
    valid_until: str | None


class AccreditationFile(Struct, kw_only=True):
    """`classes` and `boards` are what it is good for now (no boards: all), `given` before any restriction.

    `asked` and `answered` are of the present application. `history` is the oldest first, `next` leads to younger steps.
    """

    participant: str
    state: str
    credential_number: str | None
    valid_until: str | None
    accredited_by: str | None
    reasons: tuple[str, ...]
    classes: tuple[str, ...]
    boards: tuple[str, ...]
    given_classes: tuple[str, ...]
    given_boards: tuple[str, ...]
    asked: tuple[str, ...]
    answered: tuple[Document, ...]
    proposed: Proposed | None
    history: tuple[AccreditationStep, ...]
    next: str | None


# ---- the applicant


async def apply(call: Call, body: Application) -> AccreditationView:
    command = ApplyForAccreditation(
        actor=call.participant,
        key=call.key,
        evidence_sha256=body.evidence_sha256,
        classes=body.classes,
        boards=body.boards,
    )
    return _after(await call.submit(command))


async def answer(call: Call, body: DocumentsBody) -> AccreditationView:
    documents = tuple((one.name, one.sha256) for one in body.documents)
    return _after(
        await call.submit(AnswerDocuments(actor=call.participant, key=call.key, documents=documents))
    )


# ---- the deciders


async def decide(call: Call, body: AccreditationDecision) -> AccreditationView:
    command = DecideAccreditation(
        actor=call.participant,
        key=call.key,
        participant=call.path["participant"],
        step=body.step,
        valid_until_ns=optional_ns(body.valid_until, "valid_until"),
        evidence_sha256=body.evidence_sha256 or "",
        reasons=body.reasons,
        classes=body.classes,
        boards=body.boards,
        number=body.number,
        documents=body.documents,
    )
    return _after(await call.submit(command))


def _after(outcome: Outcome) -> AccreditationView:
    """Of the first event, and of the date that has passed meanwhile where that is the last."""
    first = outcome.events[0]
    view = _view(first)
    ends = [event for event in outcome.events[1:] if isinstance(event, AccreditationDecided)]
    if ends:
        view.credential = ends[-1].state
    return view


def _view(event: Event) -> AccreditationView:
    said: dict[str, Any] = {
        "step": "",
        "credential": "under_review",
        "credential_number": None,
        "valid_until": None,
        "reasons": getattr(event, "reasons", ()),
        "classes": getattr(event, "classes", ()),
        "boards": getattr(event, "boards", ()),
    }
    match event:
        case AccreditationApplied(participant=participant):
            said |= {"step": "apply", "credential": "applied"}
        case DocumentsRequested(participant=participant):
            said |= {"step": "request_documents", "asked": event.documents}
        case DocumentsAnswered(participant=participant):
            answered = tuple(Document(name=name, sha256=sha256) for name, sha256 in event.documents)
            said |= {"step": "answer_documents", "answered": answered}
        case AccreditationProposed(participant=participant):
            waits = Proposed(event.step, event.by, event.reasons, text_of(event.until_ns))
            said |= {"step": event.step, "credential": event.state, "proposed": waits}
        case AccreditationProposalEnded(participant=participant):
            said |= {"step": "withdraw", "credential": event.state}
        case AccreditationDecided(participant=participant):
            said |= {
                "step": event.step,
                "credential": event.state,
                "credential_number": event.credential_number or None,
                "valid_until": optional_text(event.valid_until_ns),
            }
        case _:
            raise AssertionError(f"{event} is no step of an accreditation")
    return AccreditationView(participant=participant, **said)


# ---- reading


async def show(call: Call, asked: Paging) -> AccreditationFile:
    """Its own, and for those who look after it."""
    participant = call.path["participant"]
    if participant != call.participant and not (await call.roles()).intersection(OFFICES):
        raise Refusing(
            Refused.forbidden, "one sees one's own accreditation; others see what it is for, not why"
        )
    return await _show(call, participant, asked)


async def show_own(call: Call, asked: Paging) -> AccreditationFile:
    return await _show(call, call.participant, asked)


async def _show(call: Call, participant: str, asked: Paging) -> AccreditationFile:
    def look(state: State) -> AccreditationFile | Refusal:
        row = state.bureau.participants.get(participant)
        return (
            Refusal(Refused.not_found, f"there is no participant {participant}")
            if row is None
            else file_view(row)
        )

    await call.tables_ready()
    view = await call.read(look)
    assert isinstance(view, AccreditationFile)
    page = await projector.accreditation_of(call.desk.pool, participant, asked.limit, asked.cursor or None)
    view.history, view.next = tuple(_step(row) for row in page.items), page.next
    return view


def file_view(row: Participant) -> AccreditationFile:
    file, now, whole = row.accreditation, left(row), given(row)
    none = isinstance(file, UnsetType)
    never = none and row.credential == "none"
    waits = None if isinstance(file, UnsetType) else file.proposal
    return AccreditationFile(
        participant=row.id,
        state=row.credential,
        credential_number=row.credential_number or None,
        valid_until=optional_text(row.credential_until_ns),
        accredited_by=row.accredited_by or None,
        reasons=row.credential_reasons,
        classes=() if never else now.classes,
        boards=now.boards,
        given_classes=() if never else whole.classes,
        given_boards=whole.boards,
        asked=() if isinstance(file, UnsetType) else file.asked,
        answered=()
        if isinstance(file, UnsetType)
        else tuple(Document(name=one.name, sha256=one.sha256) for one in file.answered),
        proposed=None
        if waits is None
        else Proposed(waits.step, waits.by, waits.reasons, text_of(waits.until_ns)),
        history=(),
        next=None,
    )


def _step(row: AccreditationRow) -> AccreditationStep:
    came = row.step == "answer_documents"
    return AccreditationStep(
        at=text_of(row.at_ns),
        step=row.step,
        state=row.state,
        by=row.by,
        proposed_by=row.proposed_by or None,
        classes=row.classes,
        boards=row.boards,
        documents=tuple(
            Document(name=name, sha256=sha256) for name, sha256 in zip(row.documents, row.hashes, strict=True)
        )
        if came
        else (),
        asked=() if came else row.documents,
        reasons=row.reasons,
        evidence_sha256=row.evidence_sha256 or None,
        valid_until=optional_text(row.valid_until_ns),
    )


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-11-23T10:00:00Z"
_LATER: Final = "2028-11-23T10:00:00Z"
_VIEW: Final[dict[str, Any]] = {
    "participant": "P2", "step": "apply", "credential": "applied", "credential_number": None, "valid_until": None,
    "reasons": [], "classes": ["merchant", "broker"], "boards": [], "asked": [], "answered": [], "proposed": None,
}  # fmt: skip
_DOCUMENT: Final = {"name": "审计报告 2025", "sha256": _SHA}
_GIVEN: Final = {
    "step": "accredit", "credential": "accredited", "credential_number": "DM-000002", "valid_until": _LATER,
    "boards": ["general"],
}  # fmt: skip
_FILE: Final[dict[str, Any]] = {
    "participant": "P2", "state": "accredited", "credential_number": "DM-000002", "valid_until": _LATER,
    "accredited_by": "P3", "reasons": [], "classes": ["merchant", "broker"],
    "boards": ["general"], "given_classes": ["merchant", "broker"],
    "given_boards": ["general"], "asked": ["审计报告"], "answered": [_DOCUMENT], "proposed": None,
    "history": [{"at": _WHEN, "step": "accredit", "state": "accredited", "by": "P3", "proposed_by": None,
                 "classes": ["merchant", "broker"], "boards": ["general"], "documents": [], "asked": [], "reasons": [],
                 "evidence_sha256": _SHA, "valid_until": _LATER}],
    "next": None,
}  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/participants/me/accreditation", apply, "Apply to be accredited, for classes and boards", "identity",
        status=201, asks=Application, answers=AccreditationView,
        refused=(Refused.not_found, Refused.wrong_state, Refused.not_verified, Refused.identity_invalid,
                 Refused.standing_denied),
        example={"evidence_sha256": _SHA, "classes": ["merchant", "broker"], "boards": []}, example_answer=_VIEW,
    ),
    Operation(
        "POST", "/v1/participants/me/accreditation/documents", answer, "Hand in the documents that a reviewer asked for",
        "identity", status=201, asks=DocumentsBody, answers=AccreditationView,
        refused=(Refused.not_found, Refused.wrong_state),
        example={"documents": [_DOCUMENT]},
        example_answer=_VIEW | {"step": "answer_documents", "credential": "under_review", "answered": [_DOCUMENT],
                                "classes": []},
    ),
    Operation(
        "GET", "/v1/participants/me/accreditation", show_own, "One's own accreditation and its life so far", "identity",
        asks=Paging, answers=AccreditationFile, refused=(Refused.not_found,), example_answer=_FILE,
    ),
    Operation(
        "POST", "/v1/participants/{participant}/accreditation", decide,
        "Decide on an accreditation (reviewer; suspend and revoke: two of them, or operators)", "identity",
        asks=AccreditationDecision, answers=AccreditationView,
        refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state, Refused.out_of_bounds,
                 Refused.not_verified, Refused.identity_invalid, Refused.standing_denied),
        example={"step": "accredit", "valid_until": _LATER, "evidence_sha256": _SHA, "reasons": [], "boards": ["general"]},
        example_answer=_VIEW | _GIVEN,
    ),
    Operation(
        "GET", "/v1/participants/{participant}/accreditation", show,
        "An accreditation and its life so far: its holder's, and for those who look after it", "identity", asks=Paging,
        answers=AccreditationFile, refused=(Refused.forbidden, Refused.not_found), example_answer=_FILE,
    ),
)  # fmt: skip
