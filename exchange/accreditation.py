"""Accreditation (数据商资质认定): for which classes and boards somebody may act here, and who says so.

    apply ──> [documents asked <──> answered] ──> accredit ──> renew, restrict, unrestrict ──> its date, or renew
                        │                            │
                        └─ refuse                    └─ suspend, revoke: by two people of two houses

The life is `credit.merchant.CREDENTIAL`, who may take which step `credit.merchant.DECIDING_ROLES`; nobody decides on
their own house. A listing is taken only from whoever is accredited as a merchant, and only on a board that the credential
names. Where a restriction takes a board away, published listings on it are suspended, those on their way returned, and
orders closed.

A class of services (江西 31) makes its holder a provider of attestations (`ATTESTS`), as long as the credential is in
force; its revocation ends what it attested.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import UNSET

from credit.merchant import (
    CLASSES,
    CLOCK_STEPS,
    CREDENTIAL,
    IN_FORCE,
    PROPOSED,
    Paper,
    Participant,
    Proposal,
    Restriction,
    Step,
    file_of,
    given,
    left,
    variant,
)
from exchange.events import (
    VENUE,
    AccreditationApplied,
    AccreditationDecided,
    AccreditationProposalEnded,
    AccreditationProposed,
    AnswerDocuments,
    ApplyForAccreditation,
    AttestationRevoked,
    DecideAccreditation,
    DocumentsAnswered,
    DocumentsRequested,
    Event,
    ListingMoved,
    Refusal,
    Refused,
)
from exchange.listing import LIFE
from exchange.matching.orders import BUY
from exchange.participant import bureau_refusal, same_house, unverified_refusal
from exchange.state import DAY_NS, Provider, State, closing

STEPS: Final[Mapping[str, Step]] = {
    "request_documents": "request_documents",
    "accredit": "accredit",
    "renew": "renew",
    "refuse": "refuse_credential",
    "restrict": "restrict",
    "unrestrict": "unrestrict",
    "suspend": "suspend_credential",
    "restore": "restore_credential",
    "revoke": "revoke",
}
"""Step of the API: step of `credit.merchant.CREDENTIAL`."""

ANSWERS: Final = ("confirm", "withdraw")
"""Steps of the API about a proposal that waits."""

ATTESTS: Final[Mapping[str, str]] = {
    "compliance_certification": "compliance",
    "security_audit": "security",
    "notary": "notary",
    "valuation": "valuation",
    "ethics_review": "ethics",
}
"""Class: the kind of attestation (`exchange.attestation.KINDS`) that it may give. The others attest nothing to a rule."""

PROPOSAL_NS: Final = 10 * DAY_NS
"""How long a proposal waits for somebody else."""

MOST_DOCUMENTS: Final = 20
LISTED: Final[Mapping[str, str]] = {"published": "suspend", "submitted": "return", "public_notice": "return"}
"""What a restriction does to a listing on a board that it takes away, by the listing's state."""

Decision = Refusal | list[Event] | Iterator[Event]


# ---- the applicant


def apply(state: State, command: ApplyForAccreditation, at_ns: int) -> Refusal | list[Event]:
    if (refusal := _scope_refusal(state, command.classes, command.boards)) is not None:
        return refusal
    classes, boards = _once(command.classes), _once(command.boards)
    if not classes:
        return Refusal(Refused.malformed, f"classes are one or more of {', '.join(CLASSES)}")
    code = state.bureau.refusal(command.actor, "apply", command.actor, at_ns, classes=classes)
    if code is not None:
        return bureau_refusal(code)
    return [AccreditationApplied(command.actor, command.evidence_sha256, classes, boards)]


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _scope_refusal(state: State, classes: tuple[str, ...], boards: tuple[str, ...]) -> Refusal | None:
    """Classes and boards that there are not."""
    if any(name not in CLASSES for name in classes):
        return Refusal(Refused.malformed, f"classes are one or more of {', '.join(CLASSES)}")
    if any(name not in state.boards for name in boards):
        return Refusal(Refused.not_found, f"boards are {', '.join(state.boards)}; none named is all")
    return None


def answer(state: State, command: AnswerDocuments, at_ns: int) -> Refusal | list[Event]:
    """What a reviewer has asked for; handed in again it takes the place of what came before."""
    code = state.bureau.refusal(command.actor, "answer_documents", command.actor, at_ns)
    if code is not None:
        return bureau_refusal(code)
    if not 0 < len(command.documents) <= MOST_DOCUMENTS:
        return Refusal(
            Refused.malformed, f"documents are 1 to {MOST_DOCUMENTS}, each with its name and SHA-256"
        )
    return [DocumentsAnswered(command.actor, command.documents)]


# ---- the deciders


def decide(state: State, command: DecideAccreditation, at_ns: int) -> Decision:
    if command.step in ANSWERS:
        return _answer_proposal(state, command, at_ns)
    if command.step not in STEPS:
        return Refusal(Refused.malformed, f"step is one of {', '.join((*STEPS, *ANSWERS))}")
    if (
        refusal := _decider_refusal(state, command.participant, command.step, command.actor, at_ns)
    ) is not None:
        return refusal
    if (refusal := _content_refusal(state, command, at_ns)) is not None:
        return refusal
    if command.step == "request_documents":
        return [DocumentsRequested(command.participant, command.documents, command.reasons, command.actor)]
    if STEPS[command.step] in PROPOSED:
        return _propose(state, command, at_ns)
    return _decided(state, command, at_ns)


def _row(state: State, participant: str) -> Participant:
    return state.bureau.participants[participant]


def _decider_refusal(state: State, participant: str, step: str, actor: str, at_ns: int) -> Refusal | None:
    """Why the step cannot be taken, or not by this decider: nobody decides on their own house."""
    row = state.bureau.participants.get(participant)
    taken = STEPS[step] if row is None else variant(row, STEPS[step])
    code = state.bureau.refusal(participant, taken, actor, at_ns)
    if code is not None:
        return bureau_refusal(code)
    return bureau_refusal("own_case") if same_house(state, participant, actor) else None


def _content_refusal(state: State, command: DecideAccreditation, at_ns: int) -> Refusal | None:
    """What lacks in a decision, or goes beyond what was applied for."""
    if command.step in ("accredit", "renew"):
        if command.valid_until_ns <= at_ns:
            return Refusal(Refused.out_of_bounds, "valid_until, the end of the credential, must lie ahead")
    elif command.step not in ("restore", "unrestrict", "request_documents") and not command.reasons:
        return Refusal(Refused.malformed, "give the reasons of the decision")
    if command.step == "request_documents" and not 0 < len(command.documents) <= MOST_DOCUMENTS:
        return Refusal(Refused.malformed, f"documents: say which, 1 to {MOST_DOCUMENTS}")
    if command.step == "restrict" and not (command.classes or command.boards):
        return Refusal(Refused.malformed, "say the classes or the boards that are left")
    return _scope_refusal(state, command.classes, command.boards) or _beyond_refusal(state, command)


def _beyond_refusal(state: State, command: DecideAccreditation) -> Refusal | None:
    """Nobody is accredited for what it has not applied for; a renewal may take a class away, and widen boards."""
    whole = given(_row(state, command.participant))
    if any(name not in whole.classes for name in command.classes):
        detail = f"it has applied for {', '.join(whole.classes)}: it applies for another class anew"
        return Refusal(Refused.out_of_bounds, detail)
    if command.step == "renew":
        return _restricted_refusal(state, command)
    if not whole.boards:
        return None
    if any(name not in whole.boards for name in command.boards):
        return Refusal(Refused.out_of_bounds, f"it has applied for the boards {', '.join(whole.boards)}")
    return None


def _restricted_refusal(state: State, command: DecideAccreditation) -> Refusal | None:
    """A renewal gives other classes or boards only where nothing is restricted of them."""
    row = _row(state, command.participant)
    if left(row) == given(row) or not (command.classes or command.boards):
        return None
    return Refusal(Refused.wrong_state, "it is restricted: unrestrict it first, or renew it as it is")


def _decided(state: State, command: DecideAccreditation, at_ns: int) -> Iterator[Event]:
    """The decision, what follows from it, and the credential's end where its date has passed meanwhile."""
    row = _row(state, command.participant)
    boards = left(row).boards
    yield _decision(row, command, command.step, command.actor)
    if command.step == "restrict":
        yield from _leave_boards(state, row, command, boards)
    if command.step == "restore":
        yield from expire(state, row.id, at_ns)


def _decision(row: Participant, command: DecideAccreditation, step: str, by: str) -> AccreditationDecided:
    scope = _scope(row, command, step)
    return AccreditationDecided(
        row.id,
        step,
        command.number or row.credential_number or f"DM-{row.id[1:].zfill(6)}",
        command.valid_until_ns,
        command.evidence_sha256,
        command.reasons,
        by,
        scope.classes,
        scope.boards,
        CREDENTIAL[row.credential, variant(row, STEPS[step])],
    )


def _scope(row: Participant, command: DecideAccreditation, step: str) -> Restriction:
    """What the credential is for after a step that says so: where nothing is named, as it was given, or left."""
    if step not in ("accredit", "renew", "restrict", "unrestrict"):
        return Restriction()
    known = left(row) if step == "restrict" else given(row)
    if step == "unrestrict":
        return known
    return Restriction(_once(command.classes) or known.classes, _once(command.boards) or known.boards)


def _leave_boards(
    state: State, row: Participant, command: DecideAccreditation, before: tuple[str, ...]
) -> Iterator[Event]:
    """Its listings and orders on boards that are taken from it, once it is so."""
    after = left(row).boards
    gone = [board for board in before or tuple(state.boards) if after and board not in after]
    listed = {name: one for name, one in state.listings.items() if one.board in gone}
    for order in [one for one in state.orders.values() if one.listing in listed]:
        if order.participant == row.id and order.side != BUY:
            yield closing(order, "standing")
    for name, listing in listed.items():
        step = LISTED.get(listing.state, "")
        if listing.merchant == row.id and step:
            after_step = LIFE[listing.state, step]
            yield ListingMoved(name, step, after_step, command.reasons, command.actor, listing.until_ns)


# ---- four eyes


def _propose(state: State, command: DecideAccreditation, at_ns: int) -> Refusal | list[Event]:
    """Two keys are two people only where somebody has looked at both."""
    if (refusal := unverified_refusal(state, command.actor, at_ns)) is not None:
        return refusal
    row = _row(state, command.participant)
    waiting = _waiting(row)
    if waiting is not None:
        detail = f"{waiting.by} has proposed to {waiting.step}: confirm that, or withdraw it first"
        return Refusal(Refused.wrong_state, detail)
    return [
        AccreditationProposed(
            row.id,
            command.step,
            command.reasons,
            command.evidence_sha256,
            command.actor,
            at_ns + PROPOSAL_NS,
            row.credential,
        )
    ]


def _waiting(row: Participant) -> Proposal | None:
    return None if row.accreditation is UNSET else file_of(row).proposal


def _answer_proposal(state: State, command: DecideAccreditation, at_ns: int) -> Decision:
    row = state.bureau.participants.get(command.participant)
    if row is None:
        return bureau_refusal("unknown_participant")
    waiting = _waiting(row)
    if waiting is None:
        return Refusal(
            Refused.wrong_state, "nothing is proposed: propose suspend or revoke, with its reasons"
        )
    refusal = _decider_refusal(state, row.id, waiting.step, command.actor, at_ns)
    if refusal is not None:
        return refusal
    if command.step == "withdraw":
        return [_ended(row, waiting, "withdrawn", command.reasons, command.actor)]
    if (refusal := unverified_refusal(state, command.actor, at_ns)) is not None:
        return refusal
    if same_house(state, waiting.by, command.actor):
        detail = "you, or somebody of your house, have proposed this: somebody of another house confirms it"
        return Refusal(Refused.own_case, detail)
    return _confirmed(state, row, waiting, command)


def _confirmed(
    state: State, row: Participant, waiting: Proposal, command: DecideAccreditation
) -> Iterator[Event]:
    yield AccreditationDecided(
        row.id,
        waiting.step,
        row.credential_number,
        0,
        waiting.evidence_sha256,
        waiting.reasons,
        command.actor,
        state=CREDENTIAL[row.credential, STEPS[waiting.step]],
        proposed_by=waiting.by,
    )
    provider = state.providers.get(row.id)
    if waiting.step == "revoke" and provider is not None and provider.classes is not UNSET:
        for found in [one for one in state.attestations.values() if one.provider == row.id]:
            if not found.revoked_at_ns:
                yield AttestationRevoked(found.id, "; ".join(waiting.reasons), command.actor)


def _ended(
    row: Participant, waiting: Proposal, how: str, reasons: tuple[str, ...], by: str
) -> AccreditationProposalEnded:
    return AccreditationProposalEnded(row.id, waiting.step, how, reasons, by, row.credential)


# ---- dates


def expire(state: State, participant: str, at_ns: int) -> Iterator[Event]:
    """The credential's date has passed, unless it was renewed since."""
    row = _row(state, participant)
    if row.credential not in IN_FORCE or at_ns < row.credential_until_ns or row.status == "closed":
        return
    after = CREDENTIAL[row.credential, "expire"]
    number, until_ns = row.credential_number, row.credential_until_ns
    yield AccreditationDecided(row.id, "expire", number, until_ns, "", (), VENUE, state=after)


def on_proposal_due(state: State, participant: str, due_ns: int, at_ns: int) -> list[Event]:
    row = _row(state, participant)
    waiting = _waiting(row)
    if waiting is None or waiting.until_ns != due_ns:
        return []
    return [_ended(row, waiting, "expired", (), VENUE)]


# ---- events


def apply_applied(state: State, event: AccreditationApplied, at_ns: int) -> None:
    scope = Restriction(event.classes, event.boards) if event.classes else None
    state.bureau.step(event.participant, "apply", at_ns, event.participant, scope=scope)
    state.forget_participant(event.participant)


def apply_requested(state: State, event: DocumentsRequested, at_ns: int) -> None:
    state.bureau.step(event.participant, "request_documents", at_ns, event.by, reasons=event.reasons)
    file = file_of(_row(state, event.participant))
    file.asked, file.answered = event.documents, ()
    state.forget_participant(event.participant)


def apply_answered(state: State, event: DocumentsAnswered, at_ns: int) -> None:
    row = _row(state, event.participant)
    state.bureau.step(
        event.participant, "answer_documents", at_ns, event.participant, reasons=row.credential_reasons
    )
    file_of(row).answered = tuple(Paper(name, sha256) for name, sha256 in event.documents)


def apply_decided(state: State, event: AccreditationDecided, at_ns: int) -> None:
    row = _row(state, event.participant)
    taken: Any = event.step if event.step in CLOCK_STEPS else variant(row, STEPS[event.step])
    scope = Restriction(event.classes, event.boards) if event.classes else None
    state.bureau.step(
        event.participant,
        taken,
        at_ns,
        event.by,
        until_ns=event.valid_until_ns,
        number=event.credential_number,
        reasons=event.reasons,
        scope=scope,
    )
    if event.proposed_by:
        file_of(row).proposal = None
    _as_provider(state, row, event, at_ns)
    state.forget_participant(event.participant)
    if event.step in ("accredit", "renew"):
        state.start_timer(event.valid_until_ns, "standing", event.participant)


def _as_provider(state: State, row: Participant, event: AccreditationDecided, at_ns: int) -> None:
    """Whoever is accredited for a class of services stands in the directory of providers with it."""
    known = state.providers.get(row.id)
    if event.step == "revoke" and known is not None and known.classes is not UNSET:
        known.revoked = "; ".join(event.reasons)
    services = tuple(name for name in left(row).classes if name not in ("merchant", "broker"))
    if not event.classes or not (services or (known is not None and known.classes is not UNSET)):
        return
    state.providers[row.id] = Provider(
        participant=row.id,
        kinds=tuple(sorted(ATTESTS[name] for name in services if name in ATTESTS)),
        valid_until_ns=row.credential_until_ns,
        evidence_sha256=event.evidence_sha256 or ("" if known is None else known.evidence_sha256),
        by=event.by,
        since_ns=at_ns,
        classes=services,
    )


def apply_proposed(state: State, event: AccreditationProposed, at_ns: int) -> None:
    file_of(_row(state, event.participant)).proposal = Proposal(
        event.step, event.reasons, event.evidence_sha256, event.by, event.until_ns
    )
    state.start_timer(event.until_ns, "accreditation_proposal", event.participant)


def apply_proposal_ended(state: State, event: AccreditationProposalEnded, at_ns: int) -> None:
    file_of(_row(state, event.participant)).proposal = None
