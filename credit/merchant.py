"""The register of participants (参与方登记): who they are, what they may act as, who has checked it.

A participant has three lives that run side by side, each written below as a table. What is not in a table
cannot happen.

    identity     unverified -> verified | refused      is this the legal person it says, with a mandated agent
    credential   none -> applied -> accredited ...     for which classes (数据商, 经纪 ...) and on which boards
    status       active <-> suspended -> closed        is the account open at all

A ban is not a state but a date: it ends by itself and leaves the three lives as they are.

A credit code names one verified participant. Registration is open to everybody, so neither an unverified row nor
a refused one keeps the code from the company it belongs to: the reviewer's acceptance decides.

Three rules run through all of it. Nobody decides their own case: a decision on a participant is taken by
somebody who is neither that participant nor under the same controller. A credential is suspended or revoked by
two people (`PROPOSED`). And no personal data lives here: the agent's name, contact and id number are in an
erasable row elsewhere, and this register keeps only its salted hash.

Sources: 海南 12 (建立数据商登记、审核、认定等资质认证服务), 海南 22 (失信行为认定、失信惩戒、信用修复、
异议处理), 江西 31 (数据集成、数据经纪、合规认证、安全审计、数据公证、数据保险、数据托管、资产评估、争议仲裁).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from stdnum.cn import uscc as uscc_standard
from stdnum.exceptions import InvalidChecksum, InvalidFormat, InvalidLength, ValidationError

Role = Literal["merchant", "buyer", "reviewer", "operator", "auditor", "regulator", "board_host", "trustee"]
Identity = Literal["unverified", "verified", "refused"]
Credential = Literal[
    "none", "applied", "under_review", "accredited", "restricted", "suspended", "revoked", "expired"
]
Status = Literal["active", "suspended", "closed"]
Step = Literal[
    "verify",
    "refuse_identity",
    "resubmit",
    "apply",
    "request_documents",
    "answer_documents",
    "refuse_credential",
    "accredit",
    "renew",
    "renew_restricted",
    "restrict",
    "unrestrict",
    "suspend_credential",
    "restore_credential",
    "restore_restricted",
    "revoke",
    "expire",
    "leave",
    "suspend",
    "resume",
    "close",
    "ban",
    "lift_ban",
]
Code = Literal[
    "unknown_participant",
    "participant_closed",
    "step_impossible",
    "decider_required",
    "decider_not_entitled",
    "own_case",
    "participant_banned",
    "participant_suspended",
    "identity_not_verified",
    "mandate_expired",
    "not_merchant",
    "not_legal_person",
    "documents_missing",
    "duplicate_id",
    "duplicate_key",
    "duplicate_uscc",
]

IDENTITY: Final[Mapping[tuple[Identity, Step], Identity]] = {
    ("unverified", "verify"): "verified",
    ("unverified", "refuse_identity"): "refused",
    ("refused", "resubmit"): "unverified",
    ("verified", "verify"): "verified",  # a new mandate for the agent
    ("verified", "refuse_identity"): "refused",  # found wrong later
}

CREDENTIAL: Final[Mapping[tuple[Credential, Step], Credential]] = {
    ("none", "apply"): "applied",
    ("applied", "request_documents"): "under_review",
    ("under_review", "request_documents"): "under_review",
    ("under_review", "answer_documents"): "under_review",
    ("applied", "refuse_credential"): "none",
    ("under_review", "refuse_credential"): "none",
    ("applied", "accredit"): "accredited",
    ("under_review", "accredit"): "accredited",
    ("accredited", "renew"): "accredited",
    ("restricted", "renew"): "restricted",
    ("expired", "renew"): "accredited",
    ("expired", "renew_restricted"): "restricted",  # its restriction outlives the date
    ("accredited", "restrict"): "restricted",
    ("restricted", "restrict"): "restricted",
    ("restricted", "unrestrict"): "accredited",
    ("accredited", "suspend_credential"): "suspended",
    ("restricted", "suspend_credential"): "suspended",
    ("suspended", "restore_credential"): "accredited",
    ("suspended", "restore_restricted"): "restricted",  # so does it a suspension
    ("accredited", "revoke"): "revoked",
    ("restricted", "revoke"): "revoked",
    ("suspended", "revoke"): "revoked",
    ("expired", "revoke"): "revoked",
    ("accredited", "expire"): "expired",
    ("restricted", "expire"): "expired",
    ("applied", "leave"): "none",
    ("under_review", "leave"): "none",
    ("accredited", "leave"): "expired",
    ("restricted", "leave"): "expired",
    ("suspended", "leave"): "expired",
    ("expired", "apply"): "applied",
    ("revoked", "apply"): "applied",  # one that was to last carries a ban, and may() waits for its end
}

IN_FORCE: Final[tuple[Credential, ...]] = ("accredited", "restricted")
"""States in which a credential opens something, until its date."""

PROPOSED: Final[tuple[Step, ...]] = ("suspend_credential", "revoke")
"""Steps that one proposes and another, of another house, confirms."""

Class = Literal[
    "merchant",
    "broker",
    "data_integration",
    "compliance_certification",
    "security_audit",
    "notary",
    "insurance",
    "custody",
    "valuation",
    "arbitration",
    "ethics_review",
]
CLASSES: Final[Mapping[Class, tuple[str, str]]] = {
    "merchant": ("数据商", "data merchant"),
    "broker": ("数据经纪", "data broker"),
    "data_integration": ("数据集成", "data integration"),
    "compliance_certification": ("合规认证", "compliance certification"),
    "security_audit": ("安全审计", "security audit"),
    "notary": ("数据公证", "notary"),
    "insurance": ("数据保险", "insurance"),
    "custody": ("数据托管", "custody"),
    "valuation": ("资产评估", "asset valuation"),
    "arbitration": ("争议仲裁", "arbitration"),
    "ethics_review": ("伦理审查", "ethics review"),
}
"""What a credential may be for: 数据商 (海南 12), 数据经纪 and the services of 江西 31; 伦理审查 by the venue's rule."""

STATUS: Final[Mapping[tuple[Status, Step], Status]] = {
    ("active", "suspend"): "suspended",
    ("active", "close"): "closed",
    ("active", "ban"): "active",
    ("active", "lift_ban"): "active",
    ("suspended", "resume"): "active",
    ("suspended", "close"): "closed",
    ("suspended", "ban"): "suspended",
    ("suspended", "lift_ban"): "suspended",
}

OWN_STEPS: Final[tuple[Step, ...]] = ("resubmit", "apply", "answer_documents")
"""Steps the participant takes for itself."""

CLOCK_STEPS: Final[tuple[Step, ...]] = ("expire", "leave")
"""Steps that nobody takes: a date does, or the end of a departure."""

DECIDING_ROLES: Final[Mapping[Step, tuple[Role, ...]]] = {
    "verify": ("reviewer",),
    "refuse_identity": ("reviewer",),
    "request_documents": ("reviewer",),
    "refuse_credential": ("reviewer",),
    "accredit": ("reviewer",),
    "renew": ("reviewer",),
    "renew_restricted": ("reviewer",),
    "restrict": ("reviewer",),
    "unrestrict": ("reviewer",),
    "suspend_credential": ("reviewer", "operator"),
    "restore_credential": ("reviewer", "operator"),
    "restore_restricted": ("reviewer", "operator"),
    "revoke": ("reviewer", "operator"),
    "suspend": ("operator",),
    "resume": ("operator",),
    "close": ("operator",),
    "ban": ("operator",),
    "lift_ban": ("operator",),
}

WORDS: Final[Mapping[Code, tuple[str, str]]] = {
    "unknown_participant": ("查无此参与方。", "There is no such participant."),
    "participant_closed": (
        "账户已注销，不能再办理。",
        "The account is closed; nothing more can be done with it.",
    ),
    "step_impossible": ("当前状态下不能进行此步骤。", "This step does not follow from the present state."),
    "decider_required": ("此步骤须由有权人员决定。", "This step needs a named decider."),
    "decider_not_entitled": ("决定人无此权限。", "The decider does not hold a role that may decide this."),
    "own_case": (
        "任何人不得决定自己或同一控制人的事项，请由他人办理。",
        "Nobody decides their own case, nor that of the same controller: let somebody else decide.",
    ),
    "participant_banned": ("禁入期未满。", "The ban has not ended yet."),
    "participant_suspended": ("账户已暂停。", "The account is suspended."),
    "identity_not_verified": (
        "身份尚未核验，请先完成身份核验。",
        "The identity is not verified: have it verified first.",
    ),
    "mandate_expired": (
        "经办人授权已到期，请提交新的授权。",
        "The agent's mandate has run out: submit a new one.",
    ),
    "not_merchant": ("未以数据商身份登记。", "The participant is not registered as a merchant."),
    "not_legal_person": (
        "该类资质只授予法人：请先登记统一社会信用代码。",
        "This class is for legal persons: register with a unified social credit code first.",
    ),
    "documents_missing": (
        "要求补充的材料尚未提交。",
        "Documents were asked for and are not there: wait for the answer, or refuse.",
    ),
    "duplicate_id": ("该编号已被使用。", "The id is taken."),
    "duplicate_key": ("该公钥已被登记。", "The public key is registered already."),
    "duplicate_uscc": (
        "该统一社会信用代码已有通过核验的参与方；如属冒用，请联系审核员。",
        "A verified participant has this unified social credit code: if it is yours, tell a reviewer.",
    ),
}


class Paper(msgspec.Struct, frozen=True):
    """A document that was handed in: what it is, and its hash."""

    name: str
    sha256: str


class Restriction(msgspec.Struct, frozen=True):
    """What of a credential is left for now; empty: as it was given."""

    classes: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()


class Proposal(msgspec.Struct, frozen=True):
    """A step of `PROPOSED` that one decider has asked for; `step` is the API's name of it."""

    step: str
    reasons: tuple[str, ...]
    evidence_sha256: str
    by: str
    until_ns: int


class Accreditation(msgspec.Struct, kw_only=True):
    """What a credential is applied for or given for (`boards` empty: on all), and what is going on about it.

    `asked` are the documents that a reviewer wants, `answered` those that came; both are of this application.
    """

    classes: tuple[str, ...]
    boards: tuple[str, ...] = ()
    restricted: Restriction | None = None
    asked: tuple[str, ...] = ()
    answered: tuple[Paper, ...] = ()
    proposal: Proposal | None = None


class Participant(msgspec.Struct, kw_only=True):
    """One row of the register.

    `uscc` is empty for people of the venue itself (operator, reviewer, auditor). `public_key` is base64 of
    the 32 raw bytes of an Ed25519 key (RFC 8032); `key_number` counts those that it has replaced. `owner_id`
    names the ultimate beneficial owner and `group_id` the group of companies, both empty when not known; they
    feed the related-party rules and are checked with the identity. `identity_log` holds (at_ns, state) of each
    change, so that a rating as of an earlier instant sees the identity of then; `identity_evidence` is the hash
    of what came with a resubmission. Dates are UTC ns; 0 means none.
    """

    id: str
    legal_name: str
    uscc: str = ""
    public_key: str = ""
    key_number: int = 0
    roles: tuple[Role, ...] = ()
    owner_id: str = ""
    group_id: str = ""
    region: str = ""
    status: Status = "active"
    status_reason: str = ""
    identity: Identity = "unverified"
    identity_reasons: tuple[str, ...] = ()
    identity_log: tuple[tuple[int, Identity], ...] = ()
    identity_evidence: str = ""
    mandate_until_ns: int = 0
    credential: Credential = "none"
    credential_until_ns: int = 0
    credential_number: str = ""
    credential_reasons: tuple[str, ...] = ()
    ban_until_ns: int = 0
    ban_reason: str = ""
    registered_at_ns: int = 0
    personal_sha256: str = ""
    verified_by: str = ""
    accredited_by: str = ""
    leaving: bool | UnsetType = UNSET
    """It winds up what it has here (`exchange.departure`)."""
    accreditation: Accreditation | UnsetType = UNSET
    """Not there before an application, and of credentials of before there were classes: as merchant, on all boards."""


AMENDABLE: Final[tuple[str, ...]] = (
    "legal_name",
    "uscc",
    "owner_id",
    "group_id",
    "region",
    "identity_evidence",
)
"""Fields that go with a step of the identity: what a reviewer holds against the evidence, or finds in it."""

_USCC_WORDS: Final[Mapping[type[ValidationError], str]] = {
    InvalidLength: "a unified social credit code has 18 characters: copy it from the business licence",
    InvalidFormat: "write 8 digits, then 10 digits or capitals other than I, O, S, V, Z",
    InvalidChecksum: "the check digit does not fit: compare each character with the licence",
}


def check_uscc(text: str) -> str | None:
    """What is wrong with a unified social credit code (统一社会信用代码) and what to do, or None when it is
    sound.

    GB 32100-2015: 18 characters, the last a check digit. Stored form only: no blanks, no small letters.
    """
    if text != uscc_standard.compact(text):
        return "write the code in capital letters and digits, without blanks or hyphens"
    try:
        uscc_standard.validate(text)
    except ValidationError as error:
        return _USCC_WORDS.get(type(error), _USCC_WORDS[InvalidFormat])
    return None


_HIGH_BIT: Final = 1 << 255
_SMALL_ORDER: Final = frozenset(
    int.from_bytes(bytes.fromhex(text), "little")
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""Points of order 1 to 8, in every encoding, without the sign: one signature by such a key fits every text
(RFC 8032, 5.1; Brendel et al., The Provable Security of Ed25519, 2020)."""


def check_public_key(text: str) -> str | None:
    """What is wrong with a public key, or None: base64 of 32 raw Ed25519 bytes, in the one spelling that there is of
    them, so that one key is one text; and no key that signs everything at once."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "the key is not base64: send the 32 raw Ed25519 bytes in standard base64"
    if len(raw) != 32:
        return f"the key has {len(raw)} bytes: send the 32 raw Ed25519 bytes"
    if base64.b64encode(raw).decode() != text:
        return "the key is not in canonical base64: bits that are left over are zero"
    if int.from_bytes(raw, "little") % _HIGH_BIT in _SMALL_ORDER:
        return "the key is of small order, so that its signature says nothing: make a new one"
    return None


def check_region(text: str) -> str | None:
    """What is wrong with a region, or None: the shape of ISO 3166, a country or a part of it; the code itself
    is not looked up."""
    if re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", text):
        return None
    return "write the region as ISO 3166, for example CN, or CN-46 for Hainan"


def same_controller(one: Participant, other: Participant) -> bool:
    """Whether two participants are one hand: the same one, the same owner or group, or one owns the other.

    The law knows wider notions of control; this is what the register records and a reviewer has checked.
    """
    if one.id == other.id or (one.group_id != "" and one.group_id == other.group_id):
        return True
    owners = (one.owner_id or one.id, other.owner_id or other.id)
    return owners[0] == owners[1] or one.id == other.owner_id or other.id == one.owner_id


def holds(participant: Participant, role: Role, at_ns: int) -> bool:
    """Whether a participant may act in a role now: whoever is suspended, closed or banned acts in none."""
    return role in participant.roles and participant.status == "active" and at_ns >= participant.ban_until_ns


def file_of(participant: Participant) -> Accreditation:
    """The accreditation's file, made where there is none yet."""
    if isinstance(participant.accreditation, UnsetType):
        participant.accreditation = Accreditation(classes=("merchant",))
    return participant.accreditation


def given(participant: Participant) -> Restriction:
    """Classes and boards (empty: all) of a credential, whatever is restricted of it."""
    file = participant.accreditation
    return (
        Restriction(("merchant",)) if isinstance(file, UnsetType) else Restriction(file.classes, file.boards)
    )


def left(participant: Participant) -> Restriction:
    """Classes and boards (empty: all) that a credential is good for while it is in force."""
    whole, file = given(participant), participant.accreditation
    if isinstance(file, UnsetType) or file.restricted is None:
        return whole
    return Restriction(file.restricted.classes or whole.classes, file.restricted.boards or whole.boards)


def accredited_for(participant: Participant, wanted: Class, at_ns: int) -> bool:
    """Whether a credential in force is for this class now."""
    in_force = participant.credential in IN_FORCE and at_ns < participant.credential_until_ns
    return in_force and wanted in left(participant).classes


def identity_as_of(participant: Participant, as_of_ns: int) -> Identity:
    """The identity state at an instant; before the first change it is unverified."""
    state: Identity = "unverified"
    for at_ns, changed in participant.identity_log:
        if at_ns > as_of_ns:
            break
        state = changed
    return state


def verified_since_ns(participant: Participant, as_of_ns: int) -> int | None:
    """When a participant was first verified, if it is verified at that instant; else None."""
    if identity_as_of(participant, as_of_ns) != "verified":
        return None
    return min(at_ns for at_ns, state in participant.identity_log if state == "verified")


def may(
    participant: Participant,
    step: Step,
    decider: Participant | None,
    at_ns: int,
    classes: tuple[str, ...] = ("merchant",),
) -> Code | None:
    """Why a step is not allowed now, or None. Codes in order: state, decider, then the step's own
    conditions. `classes` are those that are applied for."""
    if participant.status == "closed":
        return "participant_closed"
    if not _in_a_table(participant, step):
        return "step_impossible"
    refusal = _decider_refusal(participant, step, decider, at_ns)
    if refusal is not None or step not in ADVANCING:
        return refusal
    wanted = classes if step == "apply" else given(participant).classes
    if step == "accredit" and _lacks_documents(participant):
        return "documents_missing"
    return _credential_refusal(participant, wanted, at_ns)


ADVANCING: Final[tuple[Step, ...]] = (
    "apply", "accredit", "renew", "renew_restricted", "restore_credential", "restore_restricted",
)  # fmt: skip
"""Steps by which a credential moves forward."""


def _lacks_documents(participant: Participant) -> bool:
    file = participant.accreditation
    return not isinstance(file, UnsetType) and bool(file.asked) and not file.answered


def step(
    participant: Participant,
    taken: Step,
    at_ns: int,
    decider_id: str = "",
    *,
    until_ns: int = 0,
    number: str = "",
    reasons: tuple[str, ...] = (),
    changes: Mapping[str, str] | None = None,
    scope: Restriction | None = None,
) -> None:
    """Take a step that may() allowed, on the row itself.

    `until_ns` is the mandate's end for verify, the credential's end for accredit and renew, the ban's end
    for ban. `number` is the credential's number. `changes` are `AMENDABLE` fields. `scope` are the classes and
    boards that are applied for, given, or left. A step outside the tables is a bug.
    """
    assert participant.status != "closed", (participant.id, taken)
    assert _in_a_table(participant, taken), (participant.id, taken)
    if (participant.identity, taken) in IDENTITY:
        _step_identity(participant, taken, at_ns, decider_id, until_ns, reasons, changes or {})
    elif (participant.credential, taken) in CREDENTIAL:
        _step_credential(participant, taken, decider_id, until_ns, number, reasons)
        _step_file(participant, taken, scope)
    else:
        _step_status(participant, taken, until_ns, reasons)


def _in_a_table(participant: Participant, taken: Step) -> bool:
    return (
        (participant.identity, taken) in IDENTITY
        or (participant.credential, taken) in CREDENTIAL
        or (participant.status, taken) in STATUS
    )


def _decider_refusal(
    participant: Participant, taken: Step, decider: Participant | None, at_ns: int
) -> Code | None:
    if decider is None:
        return "decider_required"
    if taken in OWN_STEPS and decider.id == participant.id:
        return None
    if not any(holds(decider, role, at_ns) for role in DECIDING_ROLES.get(taken, ())):
        return "decider_not_entitled"
    return "own_case" if same_controller(participant, decider) else None


def _credential_refusal(participant: Participant, classes: tuple[str, ...], at_ns: int) -> Code | None:
    """What it must be before its credential moves forward (海南 12: 登记、审核、认定)."""
    if "merchant" in classes and "merchant" not in participant.roles:
        return "not_merchant"
    if not participant.uscc and classes != ("merchant",):
        return "not_legal_person"
    if at_ns < participant.ban_until_ns:
        return "participant_banned"
    if participant.status != "active":
        return "participant_suspended"
    if participant.identity != "verified":
        return "identity_not_verified"
    return "mandate_expired" if participant.mandate_until_ns <= at_ns else None


def _step_identity(
    participant: Participant,
    taken: Step,
    at_ns: int,
    decider_id: str,
    until_ns: int,
    reasons: tuple[str, ...],
    changes: Mapping[str, str],
) -> None:
    participant.identity = IDENTITY[participant.identity, taken]
    participant.identity_reasons = reasons
    participant.identity_log = (*participant.identity_log, (at_ns, participant.identity))
    if taken == "verify":
        participant.verified_by, participant.mandate_until_ns = decider_id, until_ns
    for field, value in changes.items():
        assert field in AMENDABLE, field
        setattr(participant, field, value)


def _step_credential(
    participant: Participant,
    taken: Step,
    decider_id: str,
    until_ns: int,
    number: str,
    reasons: tuple[str, ...],
) -> None:
    participant.credential = CREDENTIAL[participant.credential, taken]
    participant.credential_reasons = reasons
    if taken in ("accredit", "renew", "renew_restricted"):
        participant.accredited_by, participant.credential_until_ns = decider_id, until_ns
        participant.credential_number = number or participant.credential_number


def _step_file(participant: Participant, taken: Step, scope: Restriction | None) -> None:
    """Of credentials of before there were classes nothing is written down."""
    if taken == "apply":
        participant.accreditation = UNSET
    if scope is None:
        return
    file = file_of(participant)
    if taken == "restrict":
        file.restricted = scope
    else:
        file.classes, file.boards = scope.classes, scope.boards
    if taken == "unrestrict":
        file.restricted = None


def variant(participant: Participant, taken: Step) -> Step:
    """The step as it is for whoever was restricted before: a suspension or a date takes no restriction away."""
    file = participant.accreditation
    if isinstance(file, UnsetType) or file.restricted is None:
        return taken
    if taken == "renew" and participant.credential == "expired":
        return "renew_restricted"
    return "restore_restricted" if taken == "restore_credential" else taken


def _step_status(participant: Participant, taken: Step, until_ns: int, reasons: tuple[str, ...]) -> None:
    participant.status = STATUS[participant.status, taken]
    if taken in ("ban", "lift_ban"):
        participant.ban_until_ns = until_ns if taken == "ban" else 0
        participant.ban_reason = "; ".join(reasons) if taken == "ban" else ""
    else:
        participant.status_reason = "; ".join(reasons)
