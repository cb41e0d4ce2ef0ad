"""Participants: registration, login, keys, and the decisions on identity, bans, offices and accounts.

Personal data (the agent's name, contact and id number) goes into an erasable row only; the command carries its
salted hash. A row that was erased leaves the hash, from which nobody finds the person again, because the salt went
with the row.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from litestar import Response
from msgspec import Meta, Struct

from credit.merchant import Participant
from exchange.events import (
    BanSet,
    DecideIdentity,
    GrantRole,
    IdentityDecided,
    IdentityResubmitted,
    KeyReplaced,
    ParticipantRegistered,
    Refusal,
    Refused,
    RegisterParticipant,
    ReplaceKey,
    ResubmitIdentity,
    RevokeRole,
    RoleGranted,
    RoleRevoked,
    SetBan,
    SetStatus,
    StatusSet,
)
from exchange.state import State
from exchange.web.access import key_text, registration_text, signed_by
from exchange.web.desk import Desk
from exchange.web.instant import Instant, ns_of, optional_ns, optional_text, text_of
from exchange.web.logins import account_of, open_session
from exchange.web.operation import CURSOR_INVALID, DATABASE_ERRORS, Call, Id, Name, Operation, Paging, Sha256
from exchange.web.problem import Refusing
from exchange.web.scopes import SCOPES, names_of

OFFICES: Final = ("reviewer", "operator", "auditor", "regulator")
"""Roles that see a participant's whole row."""

SALT_BYTES: Final = 16
MOST_LOOKED: Final = 5_000
"""Ids that one page of a list looks at: about two milliseconds."""

T = TypeVar("T")

PublicKey = Annotated[str, Meta(max_length=64, description="base64 of the 32 raw bytes of an Ed25519 key")]
Signature = Annotated[str, Meta(max_length=128, description="base64 Ed25519 signature")]
Region = Annotated[str, Meta(max_length=10, description="ISO 3166, a country or a part of it: CN, CN-46")]
LegalName = Annotated[str, Meta(min_length=1, max_length=200, description="as on the business licence")]
Uscc = Annotated[
    Id,
    Meta(
        description="unified social credit code (统一社会信用代码), 18 characters; whoever trades needs one"
    ),
]
Owner = Annotated[
    Id,
    Meta(
        description="the ultimate owner (实际控制人): a participant's id or any stable text; empty: nobody stands above"
    ),
]
Group = Annotated[Id, Meta(description="the group of companies it belongs to; any stable text")]
Reason = Annotated[str, Meta(min_length=1, max_length=1_000)]
Scope = Literal["read", "trade", "list", "money", "office", "account"]
Reasons = tuple[Annotated[str, Meta(max_length=1_000)], ...]


# ---- bodies


class Agent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The person who acts for a participant (经办人). Kept in an erasable row."""

    name: Name
    contact: Name
    id_number: Annotated[str, Meta(max_length=40)] = ""


class Registration(Struct, kw_only=True, forbid_unknown_fields=True):
    """`signature` is over the ASCII text `shuji-register:<public_key>:<uscc>`.

    `owner_id` names the ultimate owner (实际控制人): a participant's id where the owner has one, else any stable text;
    empty says that nobody stands above.
    """

    legal_name: LegalName
    public_key: PublicKey
    roles: Annotated[
        tuple[Id, ...], Meta(description="buyer, merchant or both; none for who does not trade (a reviewer)")
    ] = ()
    uscc: Uscc = ""
    owner_id: Owner = ""
    group_id: Group = ""
    region: Region = "CN"
    agent: Annotated[Agent | None, Meta(description="the person who acts for the participant (经办人)")] = (
        None
    )
    signature: Signature


class Claim(Struct, kw_only=True, forbid_unknown_fields=True):
    """Who wants to sign in: by participant or by key."""

    participant: Annotated[Id, Meta(description="your id, P2; or give public_key")] = ""
    public_key: PublicKey = ""


class Login(Claim, kw_only=True, forbid_unknown_fields=True):
    """`signature` is over the challenge. A named key signs in by `public_key`."""

    challenge: Annotated[str, Meta(max_length=200, description="as POST /v1/login/challenge gave it")]
    signature: Annotated[
        str, Meta(max_length=128, description="base64 Ed25519 signature over the challenge's text")
    ]
    scopes: Annotated[
        tuple[Scope, ...],
        Meta(max_length=len(SCOPES), description="what the token is for; none given: all that the key may"),
    ] = ()


class Role(Struct, kw_only=True, forbid_unknown_fields=True):
    role: Annotated[
        str, Meta(max_length=20, description="reviewer, operator, auditor, regulator, board_host or trustee")
    ]


class RoleGrant(Role, kw_only=True, forbid_unknown_fields=True):
    board: Annotated[str, Meta(max_length=40, description="that of a board_host; empty for other roles")] = ""


class RoleRevocation(Role, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class StatusStep(Struct, kw_only=True, forbid_unknown_fields=True):
    step: Annotated[str, Meta(max_length=20, description="suspend, resume or close")]
    reason: Reason


class OwnKey(Struct, kw_only=True, forbid_unknown_fields=True):
    """Both signatures are over the ASCII text `shuji-key:<participant>:<public_key>`: `signature` by the new key,
    `old_signature` by the one that it replaces."""

    public_key: PublicKey
    signature: Signature
    old_signature: Signature


class OtherKey(Struct, kw_only=True, forbid_unknown_fields=True):
    """`signature` by the new key, over the ASCII text `shuji-key:<participant>:<public_key>`."""

    public_key: PublicKey
    signature: Signature
    reason: Reason


class Resubmission(Struct, kw_only=True, forbid_unknown_fields=True):
    legal_name: Annotated[str, Meta(min_length=1, max_length=200)]
    uscc: Id
    owner_id: Id = ""
    group_id: Id = ""
    region: Region = "CN"
    evidence_sha256: Sha256


class IdentityDecision(Struct, kw_only=True, forbid_unknown_fields=True):
    """Accepting confirms the owner: the one given here, else the declared one, else that nobody stands above.

    Buyer and seller of the same ultimate owner do not trade (E05); an owner that is itself a participant is followed
    up to its own owner.
    """

    accept: bool
    owner_id: Id = ""
    group_id: Id = ""
    mandate_until: Instant | None = None
    evidence_sha256: Sha256 | None = None
    reasons: Reasons = ()


class Ban(Struct, kw_only=True, forbid_unknown_fields=True):
    """`until` null lifts the ban."""

    until: Instant | None
    reason: Reason


class ParticipantQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    identity: Annotated[str, Meta(max_length=20)] = ""
    credential: Annotated[str, Meta(max_length=20)] = ""


# ---- answers


class ChallengeView(Struct):
    challenge: str
    expires_at: str


class Session(Struct):
    """`scopes`: what the token opens; `session` names this login; `named_key` the key, null for the participant's own."""

    token: str
    participant: str
    roles: tuple[str, ...]
    expires_at: str
    scopes: tuple[str, ...] = ()
    session: str = ""
    named_key: str | None = None


class Registered(Struct, kw_only=True):
    participant: str
    legal_name: str
    public_key: str
    roles: tuple[str, ...]
    uscc: str
    owner_id: str
    group_id: str
    region: str
    identity: str
    credential: str
    registered_at: str


class ParticipantView(Struct, kw_only=True, omit_defaults=True):
    """Public facts; from `public_key` on for the participant itself, reviewers, operators and auditors only."""

    participant: str
    legal_name: str
    roles: tuple[str, ...]
    uscc: str
    region: str
    status: str
    identity: str
    credential: str
    credential_number: str | None
    credential_until: str | None
    registered_at: str | None
    public_key: str | None = None
    owner_id: str | None = None
    group_id: str | None = None
    identity_reasons: tuple[str, ...] = ()
    identity_evidence_sha256: str = ""
    status_reason: str = ""
    credential_reasons: tuple[str, ...] = ()
    mandate_until: str | None = None
    ban_until: str | None = None
    ban_reason: str = ""
    verified_by: str = ""
    accredited_by: str = ""
    personal_sha256: str = ""
    agent: Agent | None = None


class ParticipantList(Struct):
    items: tuple[ParticipantView, ...]
    next: str | None


class RoleView(Struct):
    participant: str
    role: str


class StatusView(Struct):
    participant: str
    status: str
    reason: str


class KeyView(Struct):
    """Tokens of the key before open nothing any more: sign in with this one."""

    participant: str
    public_key: str


class ResubmissionView(Struct):
    participant: str
    legal_name: str
    uscc: str
    owner_id: str
    group_id: str
    region: str
    evidence_sha256: str
    identity: str


class IdentityView(Struct):
    participant: str
    identity: str
    owner_id: str
    group_id: str
    mandate_until: str | None
    reasons: tuple[str, ...]


class BanView(Struct):
    participant: str
    ban_until: str | None
    reason: str


def participant_view(row: Participant, whole: bool) -> ParticipantView:
    view = ParticipantView(
        participant=row.id,
        legal_name=row.legal_name,
        roles=row.roles,
        uscc=row.uscc,
        region=row.region,
        status=row.status,
        identity=row.identity,
        credential=row.credential,
        credential_number=row.credential_number or None,
        credential_until=optional_text(row.credential_until_ns),
        registered_at=optional_text(row.registered_at_ns),
    )
    if whole:
        _add_whole(view, row)
    return view


def _add_whole(view: ParticipantView, row: Participant) -> None:
    view.public_key = row.public_key
    view.owner_id = row.owner_id
    view.group_id = row.group_id
    view.identity_reasons = row.identity_reasons
    view.identity_evidence_sha256 = row.identity_evidence
    view.status_reason = row.status_reason
    view.credential_reasons = row.credential_reasons
    view.mandate_until = optional_text(row.mandate_until_ns)
    view.ban_until = optional_text(row.ban_until_ns)
    view.ban_reason = row.ban_reason
    view.verified_by = row.verified_by
    view.accredited_by = row.accredited_by
    view.personal_sha256 = row.personal_sha256


# ---- registration and login


async def register(call: Call, body: Registration) -> Registered:
    """The signature proves that whoever registers holds the key."""
    if not signed_by(body.public_key, registration_text(body.public_key, body.uscc), body.signature):
        raise Refusing(
            Refused.signature_wrong, "sign the text shuji-register:<public_key>:<uscc> with this key"
        )
    personal = await _personal_row(call.desk, body)
    command = RegisterParticipant(
        actor="",
        key=call.key,
        legal_name=body.legal_name,
        public_key=body.public_key,
        roles=body.roles,
        uscc=body.uscc,
        owner_id=body.owner_id,
        group_id=body.group_id,
        region=body.region,
        personal_sha256=hashlib.sha256(b"".join(personal)).hexdigest() if personal else "",
    )
    outcome = await call.submit(command, personal=personal)
    event = outcome.events[0]
    assert isinstance(event, ParticipantRegistered)
    return Registered(
        participant=event.participant,
        legal_name=event.legal_name,
        public_key=event.public_key,
        roles=event.roles,
        uscc=event.uscc,
        owner_id=event.owner_id,
        group_id=event.group_id,
        region=event.region,
        identity="unverified",
        credential="none",
        registered_at=text_of(outcome.at_ns),
    )


async def _personal_row(desk: Desk, body: Registration) -> tuple[bytes, bytes] | None:
    """(salt, body) of the row. A registration that is sent again has the salt of the first time, so its id fits.

    Later it is found in the row. At the same time it is made again, out of a secret of this process: one that lived
    on would lead from the hash that stays in the journal to an erased person.
    """
    if body.agent is None:
        return None
    content = msgspec.json.encode(body.agent)
    known = await desk.engine.read(lambda state: state.bureau.by_key.get(body.public_key, ""))
    kept = (
        await desk.pool.fetchrow("SELECT salt, body FROM personal WHERE participant = $1", known)
        if known
        else None
    )
    if kept is not None and kept["body"] == content:
        return kept["salt"], content
    salt = desk.tokens.passing_secret(f"{body.public_key}\n".encode() + content)
    return salt[:SALT_BYTES], content


async def read_agent(desk: Desk, participant: str) -> Agent | None:
    """The agent's personal data, None once it was erased."""
    body = await desk.pool.fetchval("SELECT body FROM personal WHERE participant = $1", participant)
    return None if body is None else msgspec.json.decode(body, type=Agent)


async def erase_personal(call: Call, asked: None) -> Response[None]:
    """The participant itself or an operator erases the row and the bank account; the hashes that stay tell nothing."""
    participant = call.path["participant"]
    if participant != call.participant:
        await call.need_role("operator")
    if not await call.read(lambda state: participant in state.bureau.participants):
        raise Refusing(Refused.not_found, f"there is no participant {participant}")
    await call.desk.pool.execute("DELETE FROM personal WHERE participant = $1", participant)
    await call.desk.pool.execute("DELETE FROM bank_row WHERE kind = 'account' AND owner = $1", participant)
    return Response(None, status_code=204)


def _claim_text(claim: Claim) -> str:
    if bool(claim.participant) == bool(claim.public_key):
        raise Refusing(Refused.malformed, "name either participant or public_key")
    return f"participant {claim.participant}" if claim.participant else f"key {claim.public_key}"


async def challenge(call: Call, body: Claim) -> ChallengeView:
    """Given to anybody: it says nothing about whether the participant exists."""
    text, until_ns = call.desk.challenges.issue(_claim_text(body), call.now_ns)
    return ChallengeView(text, text_of(until_ns))


async def login(call: Call, body: Login) -> Session:
    """An unknown participant is answered like a wrong signature; only the key's holder hears of a closed account."""
    claim, now_ns = _claim_text(body), call.now_ns
    account = await call.read(lambda state: account_of(state, body.participant, body.public_key))
    public_key = account and account.public_key
    good = call.desk.challenges.accepts(claim, public_key, body.challenge, body.signature, now_ns)
    if account is None or not good:
        raise Refusing(Refused.signature_wrong, "ask for a new challenge and sign it with the registered key")
    try:
        token, seat = await open_session(call, account, body.scopes)
    except DATABASE_ERRORS:
        call.desk.challenges.give_back(body.challenge)
        raise
    return Session(
        token,
        account.participant,
        account.roles,
        text_of(seat.until_ns),
        names_of(seat.scopes),
        seat.session,
        seat.named_key or None,
    )


# ---- reading


async def me(call: Call, asked: None) -> ParticipantView:
    return await _show(call, call.participant, True)


async def show(call: Call, asked: None) -> ParticipantView:
    participant = call.path["participant"]
    whole = participant == call.visitor or bool((await call.visitor_roles()).intersection(OFFICES))
    return await _show(call, participant, whole)


async def _show(call: Call, participant: str, whole: bool) -> ParticipantView:
    def look(state: State) -> ParticipantView | Refusal:
        row = state.bureau.participants.get(participant)
        if row is None:
            return Refusal(Refused.not_found, f"there is no participant {participant}")
        return participant_view(row, whole)

    view = await call.read(look)
    assert isinstance(view, ParticipantView)
    if whole:
        view.agent = await read_agent(call.desk, participant)
    return view


async def list_all(call: Call, asked: ParticipantQuery) -> Response[bytes]:
    await call.need_role(*OFFICES)

    def look(state: State) -> tuple[list[ParticipantView], str]:
        rows, following = page_of(
            state.bureau.participants,
            "P",
            state.counters.get("P", 0),
            asked,
            lambda row: asked.identity in ("", row.identity) and asked.credential in ("", row.credential),
        )
        return [participant_view(row, True) for row in rows], following

    return call.page(*await call.read(look))


def page_of(
    rows: Mapping[str, T], kind: str, last: int, asked: Paging, wanted: Callable[[T], bool]
) -> tuple[list[T], str]:
    """Those wanted, in the order of their ids (`P1` to `P` and `last`), and the cursor of the page that follows.

    This runs on the writer's loop, so a page looks at so many ids and no more: one that is short, even empty, may have
    a page behind it.
    """
    found: dict[int, T] = {}
    begin = _number(asked.cursor) + 1
    end = min(last, begin + MOST_LOOKED - 1)
    for number in range(begin, end + 1):
        row = rows.get(f"{kind}{number}")
        if row is None or not wanted(row):
            continue
        if len(found) == asked.limit:
            return list(found.values()), f"{kind}{max(found)}"
        found[number] = row
    return list(found.values()), f"{kind}{end}" if end < last else ""


def _number(cursor: str) -> int:
    number = cursor[1:]
    if cursor and not (number.isascii() and number.isdigit() and len(number) < 19):
        raise Refusing(Refused.malformed, CURSOR_INVALID)
    return int(number) if cursor else 0


# ---- decisions


async def grant_role(call: Call, body: RoleGrant) -> RoleView:
    command = GrantRole(
        actor=call.participant,
        key=call.key,
        participant=call.path["participant"],
        role=body.role,
        board=body.board,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, RoleGranted)
    return RoleView(event.participant, event.role)


async def revoke_role(call: Call, body: RoleRevocation) -> RoleView:
    command = RevokeRole(
        actor=call.participant,
        key=call.key,
        participant=call.path["participant"],
        role=body.role,
        reason=body.reason,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, RoleRevoked)
    return RoleView(event.participant, event.role)


async def set_status(call: Call, body: StatusStep) -> StatusView:
    command = SetStatus(
        actor=call.participant,
        key=call.key,
        participant=call.path["participant"],
        step=body.step,
        reason=body.reason,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, StatusSet)
    return StatusView(event.participant, event.status, event.reason)


async def replace_own_key(call: Call, body: OwnKey) -> KeyView:
    """A token alone replaces no key: the key that it came from signs too."""
    participant = call.participant
    replaced = await call.read(lambda state: state.bureau.participants[participant].public_key)
    text = key_text(participant, body.public_key)
    signed = signed_by(body.public_key, text, body.signature) and signed_by(
        replaced, text, body.old_signature
    )
    if not signed:
        raise Refusing(Refused.signature_wrong, f"sign the text {text} with the new key and with the old one")
    return await _replace_key(call, participant, body.public_key, replaced, "")


async def replace_key(call: Call, body: OtherKey) -> KeyView:
    """The old key is lost or stolen: an operator who knows whose the new one is replaces it."""
    participant = call.path["participant"]
    text = key_text(participant, body.public_key)
    if not signed_by(body.public_key, text, body.signature):
        raise Refusing(Refused.signature_wrong, f"the new key's holder signs the text {text}")
    return await _replace_key(call, participant, body.public_key, "", body.reason)


async def _replace_key(call: Call, participant: str, public_key: str, replaced: str, reason: str) -> KeyView:
    command = ReplaceKey(
        actor=call.participant,
        key=call.key,
        participant=participant,
        public_key=public_key,
        replaced=replaced,
        reason=reason,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, KeyReplaced)
    return KeyView(event.participant, event.public_key)


async def resubmit_identity(call: Call, body: Resubmission) -> ResubmissionView:
    command = ResubmitIdentity(
        actor=call.participant,
        key=call.key,
        legal_name=body.legal_name,
        uscc=body.uscc,
        owner_id=body.owner_id,
        group_id=body.group_id,
        region=body.region,
        evidence_sha256=body.evidence_sha256,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, IdentityResubmitted)
    return ResubmissionView(
        event.participant,
        event.legal_name,
        event.uscc,
        event.owner_id,
        event.group_id,
        event.region,
        event.evidence_sha256,
        "unverified",
    )


async def decide_identity(call: Call, body: IdentityDecision) -> IdentityView:
    command = DecideIdentity(
        actor=call.participant,
        key=call.key,
        participant=call.path["participant"],
        accept=body.accept,
        owner_id=body.owner_id,
        group_id=body.group_id,
        mandate_until_ns=optional_ns(body.mandate_until, "mandate_until"),
        evidence_sha256=body.evidence_sha256 or "",
        reasons=body.reasons,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, IdentityDecided)
    return IdentityView(
        event.participant,
        "verified" if event.accept else "refused",
        event.owner_id,
        event.group_id,
        optional_text(event.mandate_until_ns),
        event.reasons,
    )


async def set_ban(call: Call, body: Ban) -> BanView:
    until_ns = ns_of(body.until, "until") if body.until is not None else 0
    command = SetBan(
        actor=call.participant,
        key=call.key,
        participant=call.path["participant"],
        until_ns=until_ns,
        reason=body.reason,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, BanSet)
    return BanView(event.participant, optional_text(event.until_ns), event.reason)


# ---- the operations

_KEY: Final = "v0wcYQ0Jb9Vb0l9yZr1gk1s2bqP0b1xw3T0pQm5o0yI="
_SIGNATURE: Final = (
    "c2lnbmF0dXJlIG9mIHRoZSB0ZXh0LCA2NCByYXcgYnl0ZXMgaW4gYmFzZTY0LCBhcyBFZDI1NTE5IGdpdmVzIGl0Lg=="
)
EXAMPLE_USCC: Final = "91460000000000013H"
"""Invented, with a check digit that fits (GB 32100-2015)."""
_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-11-23T10:00:00Z"
_LATER: Final = "2028-11-23T10:00:00Z"
_PUBLIC: Final = {
    "participant": "P2",
    "legal_name": "海南示例数据有限公司",
    "roles": ["merchant"],
    "uscc": EXAMPLE_USCC,
    "region": "CN-46",
    "status": "active",
    "identity": "verified",
    "credential": "accredited",
    "credential_number": "DM-000002",
    "credential_until": _LATER,
    "registered_at": _WHEN,
}

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/participants", register, "Register a participant by proving possession of its key", "identity",
        status=201, asks=Registration, answers=Registered, signed_in=False,
        refused=(Refused.signature_wrong, Refused.already_exists, Refused.identity_invalid),
        example={
            "legal_name": "海南示例数据有限公司", "public_key": _KEY, "roles": ["merchant"], "uscc": EXAMPLE_USCC,
            "region": "CN-46", "agent": {"name": "张三", "contact": "agent@shuji.example"}, "signature": _SIGNATURE,
        },
        example_answer={
            "participant": "P2", "legal_name": "海南示例数据有限公司", "public_key": _KEY, "roles": ["merchant"],
            "uscc": EXAMPLE_USCC, "owner_id": "", "group_id": "", "region": "CN-46", "identity": "unverified",
            "credential": "none", "registered_at": _WHEN,
        },
    ),
    Operation(
        "GET", "/v1/participants", list_all, "All participants, for reviewers, operators and auditors", "identity",
        asks=ParticipantQuery, answers=ParticipantList, refused=(Refused.forbidden,),
        example_answer={"items": [_PUBLIC], "next": None},
    ),
    Operation(
        "POST", "/v1/login/challenge", challenge, "Ask for a challenge to sign, good for 60 s and once", "identity",
        asks=Claim, answers=ChallengeView, signed_in=False, example={"participant": "P2"},
        example_answer={"challenge": "shuji-login.1795428060000000000.4uS0.mac", "expires_at": _WHEN},
    ),
    Operation(
        "POST", "/v1/login", login, "Give the signed challenge, get a token for 30 minutes", "identity",
        asks=Login, answers=Session, signed_in=False,
        refused=(Refused.signature_wrong, Refused.standing_denied, Refused.forbidden),
        example={"participant": "P2", "challenge": "shuji-login.1795428060000000000.4uS0.mac", "signature": _SIGNATURE},
        example_answer={"token": "P2.0.-.0.63.1795429800000000000.r4nd.mac", "participant": "P2", "roles": ["merchant"],
                        "expires_at": _WHEN, "session": "b7XvQ2_k9LmN0aZc", "named_key": None,
                        "scopes": ["read", "trade", "list", "money", "office", "account"]},
    ),
    Operation(
        "GET", "/v1/participants/me", me, "The participant of the token, with all that is kept of it", "identity",
        answers=ParticipantView, refused=(Refused.not_found,), example_answer=_PUBLIC,
    ),
    Operation(
        "POST", "/v1/participants/me/identity", resubmit_identity, "Mend a refused identity, with new evidence",
        "identity", status=201, asks=Resubmission, answers=ResubmissionView,
        refused=(Refused.already_exists, Refused.wrong_state, Refused.identity_invalid, Refused.not_found),
        example={"legal_name": "海南示例数据有限公司", "uscc": EXAMPLE_USCC, "region": "CN-46", "evidence_sha256": _SHA},
        example_answer={"participant": "P2", "legal_name": "海南示例数据有限公司", "uscc": EXAMPLE_USCC, "owner_id": "",
                        "group_id": "", "region": "CN-46", "evidence_sha256": _SHA, "identity": "unverified"},
    ),
    Operation(
        "POST", "/v1/participants/me/key", replace_own_key, "Replace the own key, signing with the old one too",
        "identity", asks=OwnKey, answers=KeyView,
        refused=(Refused.signature_wrong, Refused.already_exists, Refused.identity_invalid, Refused.not_found),
        example={"public_key": _KEY, "signature": _SIGNATURE, "old_signature": _SIGNATURE},
        example_answer={"participant": "P2", "public_key": _KEY},
    ),
    Operation(
        "GET", "/v1/participants/{participant}", show, "Public facts of a participant", "identity",
        answers=ParticipantView, signed_in=False, refused=(Refused.not_signed_in, Refused.not_found),
        example_answer=_PUBLIC,
    ),
    Operation(
        "POST", "/v1/participants/{participant}/roles", grant_role, "Give somebody an office (operator)", "identity",
        status=201, asks=RoleGrant, answers=RoleView, example={"role": "reviewer"},
        refused=(Refused.forbidden, Refused.not_found, Refused.already_exists),
        example_answer={"participant": "P3", "role": "reviewer"},
    ),
    Operation(
        "POST", "/v1/participants/{participant}/role-revocations", revoke_role, "Take an office away (operator)",
        "identity", status=201, asks=RoleRevocation, answers=RoleView,
        refused=(Refused.forbidden, Refused.not_found, Refused.wrong_state),
        example={"role": "reviewer", "reason": "已离职"}, example_answer={"participant": "P3", "role": "reviewer"},
    ),
    Operation(
        "POST", "/v1/participants/{participant}/status", set_status,
        "Suspend, resume or close an account (operator)", "identity", asks=StatusStep, answers=StatusView,
        refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state, Refused.standing_denied),
        example={"step": "suspend", "reason": "密钥失窃"},
        example_answer={"participant": "P2", "status": "suspended", "reason": "密钥失窃"},
    ),
    Operation(
        "POST", "/v1/participants/{participant}/key", replace_key,
        "Replace a key that is lost or stolen (operator)", "identity", asks=OtherKey, answers=KeyView,
        refused=(Refused.signature_wrong, Refused.forbidden, Refused.own_case, Refused.not_found,
                 Refused.already_exists, Refused.identity_invalid, Refused.standing_denied),
        example={"public_key": _KEY, "signature": _SIGNATURE, "reason": "密钥失窃"},
        example_answer={"participant": "P2", "public_key": _KEY},
    ),
    Operation(
        "POST", "/v1/participants/{participant}/identity", decide_identity, "Verify or refuse an identity (reviewer)",
        "identity", asks=IdentityDecision, answers=IdentityView,
        refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state, Refused.already_exists,
                 Refused.out_of_bounds, Refused.evidence_missing),
        example={"accept": True, "owner_id": "owner-7", "group_id": "group-7", "mandate_until": _LATER,
                 "evidence_sha256": _SHA, "reasons": []},
        example_answer={"participant": "P2", "identity": "verified", "owner_id": "owner-7", "group_id": "group-7",
                        "mandate_until": _LATER, "reasons": []},
    ),
    Operation(
        "POST", "/v1/participants/{participant}/ban", set_ban, "Ban from trading until an instant, or lift (operator)",
        "identity", asks=Ban, answers=BanView,
        refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state, Refused.out_of_bounds),
        example={"until": _LATER, "reason": "失信惩戒"},
        example_answer={"participant": "P2", "ban_until": _LATER, "reason": "失信惩戒"},
    ),
    Operation(
        "DELETE", "/v1/participants/{participant}/personal", erase_personal,
        "Erase the personal row: the participant itself or an operator", "identity", status=204,
        refused=(Refused.forbidden, Refused.not_found),
    ),
)  # fmt: skip
