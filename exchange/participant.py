"""Participants at the venue's door: the commands about them, and what of them the rules may read.

The register itself and its tables of lives are the bureau's (`credit.merchant`). Every buyer is verified by a
reviewer, every merchant accredited (数据安全法 33: 审核交易双方的身份, 并留存审核、交易记录; 海南 12); the unverified may
browse only. Nobody decides their own case. Accepting an identity confirms the declared owner with it: none declared
means that nobody stands above the participant (rule E05 and self-trade prevention read that).
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from clearing.duties import KINDS
from clearing.house import NEVER_NS, Party, digest_of
from clearing.notrade import BuyerFacts, SellerFacts
from credit.merchant import (
    STATUS,
    WORDS,
    Participant,
    check_public_key,
    check_region,
    check_uscc,
    holds,
    left,
    same_controller,
)
from exchange.consequence import suspended_refusal
from exchange.events import (
    VENUE,
    BanSet,
    ConductInherited,
    DecideIdentity,
    Event,
    GrantRole,
    IdentityDecided,
    IdentityResubmitted,
    KeyReplaced,
    OpenVenue,
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
    VenueOpened,
)
from exchange.gathering import of_buyer, of_seller, until_ns
from exchange.state import State

SILENT: Final = "not decided by its date 逾期未决定，按有利于当事人处理"
"""The reason of what was decided by nobody."""
OWN_ROLES: Final = ("buyer", "merchant")
"""Roles a participant takes at registration; the others are granted by an operator."""

DAY_MS: Final = 86_400_000
"""Command ids made more than a day before the venue opened are refused as expired."""

GRANTED_ROLES: Final = ("auditor", "board_host", "operator", "regulator", "reviewer", "trustee")

STATUS_STEPS: Final = ("suspend", "resume", "close")
"""Steps of `credit.merchant.STATUS` that have a command of their own; a ban leaves the status as it is."""

_CODES: Final = {
    "unknown_participant": Refused.not_found,
    "step_impossible": Refused.wrong_state,
    "not_due": Refused.wrong_state,
    "documents_missing": Refused.wrong_state,
    "not_legal_person": Refused.identity_invalid,
    "decider_required": Refused.forbidden,
    "decider_not_entitled": Refused.forbidden,
    "own_case": Refused.own_case,
    "identity_not_verified": Refused.not_verified,
    "mandate_expired": Refused.not_verified,
    "duplicate_id": Refused.already_exists,
    "duplicate_key": Refused.already_exists,
    "duplicate_uscc": Refused.already_exists,
}
"""The bureau's codes in the venue's words; what is not here is `standing_denied`."""

_CREDENTIAL_FACT: Final[dict[str, Any]] = {
    "applied": "registered",
    "under_review": "registered",
    "restricted": "accredited",
    "expired": "accredited",
}
"""Credential state as `seller.credential` where the names differ: one that has expired has its date for that."""


def has_role(state: State, participant: str, role: str, at_ns: int) -> bool:
    """Whether a participant may act in a role now; see `credit.merchant.holds`."""
    row = state.bureau.participants.get(participant)
    return row is not None and holds(row, role, at_ns)  # type: ignore[arg-type]


def role_refusal(state: State, participant: str, at_ns: int, *roles: str) -> Refusal | None:
    """None when the participant may act in one of the roles now."""
    if any(has_role(state, participant, role, at_ns) for role in roles):
        return None
    return Refusal(Refused.forbidden, f"this needs the role {' or '.join(roles)}")


def ultimate_owner(people: Mapping[str, Participant], participant: str) -> str:
    """Who stands at the top: `owner_id` is followed up while it names a participant; in a ring, its smallest id.

    Without an owner nobody stands above: the participant is its own. That an owner is true, or that there is none, is
    what a reviewer accepts with the identity.
    """
    chain = [participant]
    owner = people[participant].owner_id
    while owner in people and owner not in chain:
        chain.append(owner)
        owner = people[owner].owner_id
    if owner in chain[:-1]:
        return min(chain[chain.index(owner) :])
    return owner or chain[-1]


def same_house(state: State, one: str, other: str) -> bool:
    """Whether two participants are one hand: the same one, under one controller, in one group."""
    people = state.bureau.participants
    if same_controller(people[one], people[other]):
        return True
    return ultimate_owner(people, one) == ultimate_owner(people, other)


def standing_refusal(state: State, participant: str, deed: str, at_ns: int) -> Refusal | None:
    """Why a participant may not buy or list now, in the bureau's words; or that it is frozen, or suspended by its grade."""
    if (frozen := frozen_refusal(state, participant)) is not None:
        return frozen
    if deed == "buy" and state.bureau.may_buy(participant, at_ns):
        return suspended_refusal(state, participant) if participant in state.graded else None
    standing = state.bureau.standing(participant, at_ns)
    if standing.may_buy if deed == "buy" else standing.may_list:
        return suspended_refusal(state, participant)
    hindered = [reason for reason in standing.reasons if deed in reason.bars]
    first = hindered[0].code
    unverified = "identity" in first or first == "mandate_expired"
    code = Refused.not_verified if unverified else Refused.standing_denied
    if deed == "list" and first.startswith(("credential", "not_merchant")):
        code = Refused.not_accredited
    return Refusal(code, " ".join(f"{reason.en} {reason.zh}" for reason in hindered))


def board_refusal(state: State, participant: str, board: str) -> Refusal | None:
    """Why a merchant's credential is not for this board; that there is one in force is `standing_refusal`'s."""
    boards = left(state.bureau.participants[participant]).boards
    if not boards or board in boards:
        return None
    detail = (
        f"资质只适用于板块 {'、'.join(boards)}，不含 {board}。"
        f"The accreditation is for the boards {', '.join(boards)}, not for {board}: have it widened (renew)."
    )
    return Refusal(Refused.not_accredited, detail)


def merchant_credential(row: Participant) -> Any:
    """The state of a participant's credential as a data merchant, as the rules read it."""
    fact = _CREDENTIAL_FACT.get(row.credential, row.credential)
    return fact if "merchant" in left(row).classes or fact == "none" else "none"


def frozen_refusal(state: State, participant: str) -> Refusal | None:
    """None unless a regulator's directive holds what it has where it is (`exchange.directive`)."""
    names = state.frozen.get(participant)
    if not names:
        return None
    numbers = ", ".join(state.directives[name].number for name in names)
    detail = f"账户依监管指令冻结：{numbers}。The account is frozen by the directive {numbers}: it ends when that is lifted"
    return Refusal(Refused.standing_denied, detail)


def is_active(state: State, participant: str) -> bool:
    """Neither suspended nor closed."""
    return state.bureau.participants[participant].status == "active"


def account_refusal(state: State, participant: str) -> Refusal | None:
    """Why nothing leaves a participant's account now."""
    if is_active(state, participant):
        return None
    status = state.bureau.participants[participant].status
    return bureau_refusal("participant_closed" if status == "closed" else "participant_suspended")


def least_busy(may: list[str], waits: list[str]) -> str:
    """Of those who may decide the one for whom the fewest wait, the oldest of them; empty where nobody may."""
    return min(may, key=lambda one: (waits.count(one), int(one[1:])), default="")


def signer_refusal(state: State, participant: str, signer: str) -> Refusal | None:
    """None while the own key whose signature the door has seen is the one that stands: a key that was stolen must not
    leave anything behind itself that was under way when it was replaced. Empty where no door asked for a signature."""
    if signer in ("", state.bureau.participants[participant].public_key):
        return None
    return Refusal(Refused.signature_wrong, "your key was replaced: sign with the one that stands now")


def bureau_refusal(code: Any) -> Refusal:
    """The bureau's refusal in the venue's words."""
    zh, en = WORDS[code]
    return Refusal(_CODES.get(code, Refused.standing_denied), f"{en} {zh}")


# ---- commands


def open_venue(state: State, command: OpenVenue, at_ns: int) -> Refusal | list[Event]:
    if state.bureau.participants:
        return Refusal(Refused.wrong_state, "the venue is open already")
    return [VenueOpened(state.next_id("P"), command.public_key, command.simulated)]


def register(state: State, command: RegisterParticipant, at_ns: int) -> Refusal | list[Event]:
    roles = tuple(sorted(dict.fromkeys(command.roles)))
    if any(role not in OWN_ROLES for role in roles):
        return Refusal(
            Refused.malformed, "roles are merchant and buyer; the others are granted by an operator"
        )
    if (wrong := check_public_key(command.public_key)) is not None:
        return Refusal(Refused.identity_invalid, f"public_key: {wrong}")
    if (refusal := _said_refusal(command, bool(roles))) is not None:
        return refusal
    participant = state.next_id("P")
    row = Participant(
        id=participant, legal_name=command.legal_name, uscc=command.uscc, public_key=command.public_key
    )
    if (code := state.bureau.admission_refusal(row)) is not None:
        return bureau_refusal(code)
    if is_taken(state, command.public_key):
        return bureau_refusal("duplicate_key")
    return [
        ParticipantRegistered(
            participant,
            command.legal_name,
            command.public_key,
            roles,
            command.uscc,
            command.owner_id,
            command.group_id,
            command.region,
            command.personal_sha256,
        )
    ]


def _said_refusal(said: RegisterParticipant | ResubmitIdentity, trades: bool) -> Refusal | None:
    """What of a registration cannot be so, whoever it is. People of the venue itself need no credit code."""
    if (trades or said.uscc) and (wrong := check_uscc(said.uscc)) is not None:
        return Refusal(Refused.identity_invalid, f"uscc: {wrong}")
    if (wrong := check_region(said.region)) is not None:
        return Refusal(Refused.identity_invalid, f"region: {wrong}")
    return None


def resubmit_identity(state: State, command: ResubmitIdentity, at_ns: int) -> Refusal | list[Event]:
    """A refused identity is mended and waits for a reviewer again. Before a decision nothing changes under its eyes."""
    code = state.bureau.refusal(command.actor, "resubmit", command.actor, at_ns, {"uscc": command.uscc})
    if code is not None:
        return bureau_refusal(code)
    row = state.bureau.participants[command.actor]
    if (refusal := _said_refusal(command, bool(row.roles))) is not None:
        return refusal
    if not command.evidence_sha256:
        return Refusal(Refused.evidence_missing, "evidence_sha256: the hash of the new evidence is needed")
    return [
        IdentityResubmitted(
            command.actor,
            command.legal_name,
            command.uscc,
            command.owner_id,
            command.group_id,
            command.region,
            command.evidence_sha256,
        )
    ]


def grant_role(state: State, command: GrantRole, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    row = state.bureau.participants.get(command.participant)
    if row is None:
        return Refusal(Refused.not_found, f"there is no participant {command.participant}")
    if command.role not in GRANTED_ROLES:
        return Refusal(Refused.malformed, f"role is one of {', '.join(GRANTED_ROLES)}")
    if (refusal := _board_refusal(state, command)) is not None:
        return refusal
    if command.role in row.roles and (not command.board or command.board in state.hosts.get(row.id, ())):
        return Refusal(Refused.already_exists, f"{command.participant} has the role {command.role} already")
    return [RoleGranted(command.participant, command.role, command.actor, command.board)]


def _board_refusal(state: State, command: GrantRole) -> Refusal | None:
    """A board host (板块承办单位) is that of a board; another role is of none."""
    if command.role != "board_host":
        return (
            Refusal(Refused.malformed, "board is that of a board_host: leave it empty")
            if command.board
            else None
        )
    known = ", ".join(state.boards)
    return (
        None if command.board in state.boards else Refusal(Refused.not_found, f"board names one of {known}")
    )


def is_host(state: State, participant: str, board: str, at_ns: int) -> bool:
    """Whether a participant hosts this board now."""
    return board in state.hosts.get(participant, ()) and has_role(state, participant, "board_host", at_ns)


def revoke_role(state: State, command: RevokeRole, at_ns: int) -> Refusal | list[Event]:
    """An office is taken away. An operator may give up its own, but not the last one that works."""
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    row = state.bureau.participants.get(command.participant)
    if row is None:
        return Refusal(Refused.not_found, f"there is no participant {command.participant}")
    if command.role not in GRANTED_ROLES or not command.reason.strip():
        return Refusal(Refused.malformed, f"role is one of {', '.join(GRANTED_ROLES)}, and needs a reason")
    if command.role not in row.roles:
        return Refusal(Refused.wrong_state, f"{command.participant} does not have the role {command.role}")
    if command.role == "operator" and not _other_operator(state, row, at_ns):
        return Refusal(
            Refused.wrong_state, "this is the last operator: grant the role to somebody else first"
        )
    return [RoleRevoked(command.participant, command.role, command.reason, command.actor)]


def _other_operator(state: State, besides: Participant, at_ns: int) -> bool:
    return any(
        row is not besides and holds(row, "operator", at_ns) for row in state.bureau.participants.values()
    )


def set_status(state: State, command: SetStatus, at_ns: int) -> Refusal | list[Event]:
    """An account is suspended, resumed or closed (海南 22), by an operator and never one's own."""
    if command.step not in STATUS_STEPS or not command.reason.strip():
        return Refusal(Refused.malformed, f"step is one of {', '.join(STATUS_STEPS)}, and needs a reason")
    code = state.bureau.refusal(command.participant, command.step, command.actor, at_ns)  # type: ignore[arg-type]
    if code is not None:
        return bureau_refusal(code)
    if command.step == "close" and (refusal := _closing_refusal(state, command.participant)) is not None:
        return refusal
    row = state.bureau.participants[command.participant]
    status = STATUS[row.status, command.step]  # type: ignore[index]
    return [StatusSet(command.participant, command.step, status, command.reason, command.actor)]


def _closing_refusal(state: State, participant: str) -> Refusal | None:
    """Why an account cannot be closed yet: what it has begun, owes or waits for nobody could end afterwards."""
    if trades := _unfinished(state, participant):
        detail = f"{trades} trades of it are not finished: suspend the account until they are"
        return Refusal(Refused.wrong_state, detail)
    if duties := owed(state, participant):
        detail = (
            f"it owes {', '.join(duties)} after its trades (GET /v1/duties): it proves them first, or a reviewer waives"
            " what is not broken yet; suspend the account until then"
        )
        return Refusal(Refused.wrong_state, detail)
    if waiting := state.bank.open_withdrawals(participant):
        detail = f"withdrawals of it are open ({', '.join(row.id for row in waiting[:9])})"
        return Refusal(Refused.wrong_state, f"{detail}: let them be paid, or cancel them with a reason")
    return None


def _unfinished(state: State, participant: str) -> int:
    """Trades whose price lies in escrow."""
    return sum(
        participant in (trade.buyer, trade.seller) and trade.state != "held"
        for trade in state.trades.values()
    )


def owed(state: State, participant: str) -> list[str]:
    """Duties that it has to prove and, once closed, could not. Records are kept for years, by a closed house too."""
    return [
        duty.id
        for duty in state.duties.values()
        if duty.participant == participant
        and (KINDS[duty.kind].working_days or duty.state in ("broken", "late"))
    ]


def is_taken(state: State, public_key: str) -> bool:
    """Whether it is somebody's key already, their own or a named one."""
    return public_key in state.bureau.by_key or public_key in state.named_keys


def replace_key(state: State, command: ReplaceKey, at_ns: int) -> Refusal | list[Event]:
    """A new key for a participant: by itself with the old one, or by an operator where that is lost or stolen.

    An operator's own lost key is replaced by whoever owns the data folder (`exchange.recovery`): the actor is the venue.
    The door has seen the signatures; what may have changed since is looked at here.
    """
    row = state.bureau.participants.get(command.participant)
    if row is None:
        return Refusal(Refused.not_found, f"there is no participant {command.participant}")
    if (refusal := _replacer_refusal(state, command, row, at_ns)) is not None:
        return refusal
    if row.status == "closed":
        return bureau_refusal("participant_closed")
    if (wrong := check_public_key(command.public_key)) is not None:
        return Refusal(Refused.identity_invalid, f"public_key: {wrong}")
    if is_taken(state, command.public_key):
        return bureau_refusal("duplicate_key")
    return [KeyReplaced(command.participant, command.public_key, command.reason, command.actor)]


def _replacer_refusal(state: State, command: ReplaceKey, row: Participant, at_ns: int) -> Refusal | None:
    if command.actor == VENUE:
        if "operator" in row.roles and command.reason.strip():
            return None
        return Refusal(
            Refused.forbidden, "the venue replaces an operator's key, with a reason, and nobody else's"
        )
    if command.actor == row.id:
        if command.replaced == row.public_key:
            return None
        return Refusal(
            Refused.signature_wrong,
            "one's own key is replaced with a signature of the key that is registered now",
        )
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    if same_house(state, row.id, command.actor):
        return bureau_refusal("own_case")
    return None if command.reason.strip() else Refusal(Refused.malformed, "give the reason")


def decide_identity(state: State, command: DecideIdentity, at_ns: int) -> Refusal | list[Event]:
    """Whoever comes back in a new account has the faults of the old one."""
    step = "verify" if command.accept else "refuse_identity"
    code = state.bureau.refusal(command.participant, step, command.actor, at_ns)  # type: ignore[arg-type]
    if code is not None:
        return bureau_refusal(code)
    if command.accept and command.mandate_until_ns <= at_ns:
        return Refusal(Refused.out_of_bounds, "mandate_until, the end of the agent's mandate, must lie ahead")
    if command.accept and not command.evidence_sha256:
        return Refusal(
            Refused.evidence_missing, "evidence_sha256: the hash of the verification file is needed"
        )
    if not command.accept and not command.reasons:
        return Refusal(Refused.malformed, "give the reasons of the refusal")
    row = state.bureau.participants[command.participant]
    before = state.bureau.before(row.id) if command.accept else ()
    return [
        IdentityDecided(
            command.participant,
            command.accept,
            command.owner_id or row.owner_id or row.id,
            command.group_id or row.group_id,
            command.mandate_until_ns,
            command.evidence_sha256,
            command.reasons,
            command.actor,
        ),
        *(ConductInherited(row.id, one) for one in before if state.bureau.inherits(row.id, one)),
    ]


def set_ban(state: State, command: SetBan, at_ns: int) -> Refusal | list[Event]:
    step = "ban" if command.until_ns else "lift_ban"
    code = state.bureau.refusal(command.participant, step, command.actor, at_ns)  # type: ignore[arg-type]
    if code is not None:
        return bureau_refusal(code)
    if command.until_ns and command.until_ns <= at_ns:
        return Refusal(Refused.out_of_bounds, "until must lie ahead; null lifts the ban")
    return [BanSet(command.participant, command.until_ns, command.reason, command.actor)]


# ---- events


def apply_opened(state: State, event: VenueOpened, at_ns: int) -> None:
    state.took_id(event.operator)
    state.simulated = event.simulated
    state.ids_from_ms = at_ns // 1_000_000 - DAY_MS
    state.bureau.admit(
        Participant(
            id=event.operator,
            legal_name="operator",
            public_key=event.public_key,
            roles=("operator",),
            registered_at_ns=at_ns,
        )
    )


def apply_registered(state: State, event: ParticipantRegistered, at_ns: int) -> None:
    state.took_id(event.participant)
    state.bureau.admit(
        Participant(
            id=event.participant,
            legal_name=event.legal_name,
            uscc=event.uscc,
            public_key=event.public_key,
            roles=event.roles,  # type: ignore[arg-type]
            owner_id=event.owner_id,
            group_id=event.group_id,
            region=event.region,
            registered_at_ns=at_ns,
            personal_sha256=event.personal_sha256,
        )
    )
    _owner_changed(state, event.participant, event.participant)


def _owner_changed(state: State, participant: str, before: str) -> None:
    """Whoever it owns has another ultimate owner too: what was kept of anybody is made anew."""
    if ultimate_owner(state.bureau.participants, participant) != before:
        state.parties.clear()
        state.owned.clear()


def apply_role(state: State, event: RoleGranted, at_ns: int) -> None:
    row = state.bureau.participants[event.participant]
    row.roles = tuple(sorted({*row.roles, event.role}))  # type: ignore[arg-type]
    if event.board:
        state.hosts[event.participant] = (*state.hosts.get(event.participant, ()), event.board)
    state.forget_participant(event.participant)


def apply_role_revoked(state: State, event: RoleRevoked, at_ns: int) -> None:
    row = state.bureau.participants[event.participant]
    row.roles = tuple(role for role in row.roles if role != event.role)
    if event.role == "board_host":
        state.hosts.pop(event.participant, None)
    state.forget_participant(event.participant)


def apply_status(state: State, event: StatusSet, at_ns: int) -> None:
    reasons = (event.reason,)
    state.bureau.step(event.participant, event.step, at_ns, event.by, reasons=reasons)  # type: ignore[arg-type]
    state.forget_participant(event.participant)
    if event.status == "closed":
        _forget_shares(state, event.participant)


def _forget_shares(state: State, participant: str) -> None:
    """What its shares were of is distributed otherwise from now on."""
    for product in state.products.values():
        if participant in dict(product.shares):
            state.forget_product(product)


def apply_key(state: State, event: KeyReplaced, at_ns: int) -> None:
    """What the key before has opened or set ends with it: whoever stole it may have added keys of its own."""
    state.bureau.replace_key(event.participant, event.public_key)
    entrance = state.entrances.get(event.participant)
    if entrance is not None:
        for key in entrance.keys.values():
            del state.named_keys[key.public_key]
        entrance.keys.clear()
        entrance.secrets = UNSET
        if event.by == VENUE:  # an operator who lost its key may have lost its way in with it
            entrance.addresses = ()


def apply_resubmitted(state: State, event: IdentityResubmitted, at_ns: int) -> None:
    changes = {
        "legal_name": event.legal_name,
        "uscc": event.uscc,
        "owner_id": event.owner_id,
        "group_id": event.group_id,
        "region": event.region,
        "identity_evidence": event.evidence_sha256,
    }
    owner = ultimate_owner(state.bureau.participants, event.participant)
    state.bureau.step(event.participant, "resubmit", at_ns, event.participant, changes=changes)
    state.forget_participant(event.participant)
    _owner_changed(state, event.participant, owner)


def apply_identity(state: State, event: IdentityDecided, at_ns: int) -> None:
    owner = ultimate_owner(state.bureau.participants, event.participant)
    state.bureau.step(
        event.participant,
        "verify" if event.accept else "refuse_identity",
        at_ns,
        event.by,
        until_ns=event.mandate_until_ns,
        reasons=event.reasons,
        changes={"owner_id": event.owner_id, "group_id": event.group_id},
    )
    state.forget_participant(event.participant)
    _owner_changed(state, event.participant, owner)
    if event.accept:
        state.start_timer(event.mandate_until_ns, "standing", event.participant)


def apply_inherited(state: State, event: ConductInherited, at_ns: int) -> None:
    state.bureau.inherit(event.participant, event.predecessor)
    state.forget_participant(event.participant)


def apply_ban(state: State, event: BanSet, at_ns: int) -> None:
    state.bureau.step(
        event.participant,
        "ban" if event.until_ns else "lift_ban",
        at_ns,
        event.by,
        until_ns=event.until_ns,
        reasons=(event.reason,),
    )
    state.forget_participant(event.participant)


def unverified_refusal(state: State, participant: str, at_ns: int) -> Refusal | None:
    """None when a reviewer has verified who this is (身份核验), and the agent's mandate still runs.

    Two keys are two people only where somebody has looked: without it four eyes may be one pair.
    """
    if party_of(state, participant, at_ns).buyer.identity_verified is True:
        return None
    detail = (
        "本事项须由身份已核验的人办理：请先由审核员核验身份。"
        "This is done under four eyes by people whose identity is verified: let a reviewer verify yours first."
    )
    return Refusal(Refused.not_verified, detail)


# ---- facts


def party_of(state: State, participant: str, at_ns: int) -> Party:
    """A participant as the rules see it: kept until the register changes, its ban ends or its agent's mandate does."""
    party = state.parties.get(participant)
    if party is None or at_ns >= party.until_ns:
        party = state.parties[participant] = _new_party(state, participant, at_ns)
    return party


def _new_party(state: State, participant: str, at_ns: int) -> Party:
    """Verified is who was verified and whose agent's mandate still runs (数据安全法 33: 审核交易双方的身份)."""
    row = state.bureau.participants[participant]
    dates = [row.ban_until_ns, row.mandate_until_ns if row.identity == "verified" else 0]
    owner = ultimate_owner(state.bureau.participants, participant)
    group = row.group_id or row.id
    seller = SellerFacts(
        id=row.id,
        ubo_id=owner,
        group_id=group,
        status=row.status,
        credential=merchant_credential(row),
        credential_until=row.credential_until_ns,
        credit_ban=dates[0] > at_ns,
        recorded_licensee=False,
        **of_seller(state, participant, at_ns),
    )
    buyer = BuyerFacts(
        id=row.id,
        ubo_id=owner,
        group_id=group,
        status=row.status,
        identity_verified=dates[1] > at_ns,
        credit_ban=dates[0] > at_ns,
        region=row.region,
        **of_buyer(state, participant, at_ns),
    )
    dates.append(until_ns(state, at_ns, "", participant))
    ends_ns = min((date for date in dates if date > at_ns), default=NEVER_NS)
    return Party(seller, buyer, digest_of((seller, buyer)), {}, None, ends_ns)
