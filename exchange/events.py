"""Every command, event and refusal of the venue.

A *command* is what somebody asks for; it is never stored. An *event* is what happened; events are the only
thing that is stored, and `venue.apply` rebuilds everything from them. A *refusal* is the answer to a command
that may not happen.

Events carry outcomes (maker, quantity, verdict, amounts), so that later rules and later code replay the past
unchanged. They are encoded as MessagePack arrays: a new field goes to the end and has a default; a field is
never removed, reordered or given another meaning. `tests/golden` keeps a journal of each schema version.
"""

import enum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from clearing.bank import BankEntry, Custody, Equality, Payment
from clearing.contract import Declarations, Offer, Security
from clearing.money import Tier
from clearing.registers import AnyFacts
from credit.conduct import ConductKind
from credit.credential import Claims, CredentialState
from credit.remedy import CaseState
from credit.score import Grade
from exchange.attributes import Attributes
from exchange.matching.metering import Line, Plan
from exchange.matching.negotiation import Criterion, Ranked
from exchange.matching.orders import Conditions

SCHEMA_VERSION = 1
"""Version of the event layout. Stored on every batch; see `journal.DECODERS`."""

VENUE = "venue"
"""The actor of commands that the venue gives itself (ticks, first start)."""


# ---------------------------------------------------------------------------------------------- refusals


class Refused(enum.Enum):
    """Why a command may not happen, ordered by descending precedence; numbers are never reused.

    Each value is (number, HTTP status, kept). A *kept* refusal is journaled and repeated for the same command
    id, because it answered a well-formed request at an instant; the others store nothing.
    """

    malformed = (1, 400, False)
    not_signed_in = (2, 401, False)
    signature_wrong = (3, 401, False)
    forbidden = (4, 403, False)
    own_case = (5, 403, False)
    not_found = (6, 404, False)
    id_conflict = (7, 409, False)
    id_expired = (8, 409, False)
    already_exists = (9, 409, False)
    wrong_state = (10, 409, False)
    out_of_bounds = (11, 422, False)
    evidence_missing = (12, 422, False)
    identity_invalid = (13, 422, False)
    outside_terms = (14, 422, False)
    mechanism_not_allowed = (15, 422, False)
    not_verified = (16, 403, False)
    not_accredited = (17, 403, False)
    standing_denied = (18, 403, False)
    listing_closed = (19, 409, False)
    unlawful = (20, 422, True)
    supply_exhausted = (21, 409, True)
    funds_insufficient = (22, 409, True)
    units_insufficient = (23, 409, True)
    nothing_to_match = (24, 409, True)
    quarantined = (25, 500, True)
    overloaded = (26, 503, False)
    storage_unavailable = (27, 503, False)
    too_large = (28, 413, False)
    file_mismatch = (29, 422, False)
    clock_is_real = (30, 409, False)
    halted = (31, 409, False)
    in_debt = (32, 409, False)
    commitment_wrong = (33, 422, False)
    board_rule = (34, 422, False)
    session = (40, 409, False)
    too_late = (41, 409, False)
    tick = (42, 422, False)
    lot = (43, 422, False)
    collar = (44, 422, False)
    would_cross = (45, 409, False)
    rate_limited = (60, 429, False)

    @property
    def number(self) -> int:
        return self.value[0]

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return self.value[1]

    @property
    def kept(self) -> bool:
        return self.value[2]


class Refusal(Struct, frozen=True):
    """`detail` says what to do about it. The rest is set for what is unlawful only.

    `capacities` are those in which the parties acted: whom a source must address to bind them. `own` are the violated
    rules that are the doing of whoever placed the order.
    """

    code: Refused
    detail: str
    violated: tuple[str, ...] = ()
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    capacities: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------- parts of commands


class Further(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What else the data is. A field that is left out is unknown to the rules that ask for it.

    `persons` is how many persons the data is about, `sensitive_persons` of how many it holds sensitive information
    (促进和规范数据跨境流动规定 7, 8).
    """

    sensitive_pi: bool | UnsetType = UNSET
    under14: bool | UnsetType = UNSET
    directly_identifying: bool | UnsetType = UNSET
    human_genetic: bool | UnsetType = UNSET
    export_controlled: bool | UnsetType = UNSET
    emergency_collected: bool | UnsetType = UNSET
    raw_leaves_domain: bool | UnsetType = UNSET
    redeveloped: bool | UnsetType = UNSET
    licence_required: bool | UnsetType = UNSET
    required_security_level: Annotated[int, msgspec.Meta(ge=0, le=5)] | UnsetType = UNSET
    storage_region: str | UnsetType = UNSET
    sm_crypto: bool | UnsetType = UNSET
    medical_records: bool | UnsetType = UNSET
    face_plate_video: bool | UnsetType = UNSET
    persons: Annotated[int, msgspec.Meta(ge=0, le=10**10)] | UnsetType = UNSET
    sensitive_persons: Annotated[int, msgspec.Meta(ge=0, le=10**10)] | UnsetType = UNSET


class Classification(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the data is. Values are those of `clearing.notrade.ProductFacts`; clause 江西 7, 北京 21."""

    origin: str
    data_class: str
    secret_kind: str
    public_risk: str = "none"
    pi_state: str
    open_class: str = "not_applicable"
    declassified: bool = False
    derived: bool = False
    right_holders_agree: bool = False
    further: Further | UnsetType = UNSET


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the data comes from (数据安全法 33). `operation_until_ns`: end of an authorised operation of public data."""

    channel: str
    statement: str
    bypassed_controls: bool | UnsetType = UNSET
    sharing_provider_consent: bool | UnsetType = UNSET
    operation_until_ns: int | UnsetType = UNSET


class Authorisation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the lawful right-holder allows; instants in UTC ns."""

    purposes: tuple[str, ...]
    territories: tuple[str, ...]
    field_groups: tuple[str, ...]
    deals: tuple[str, ...]
    valid_from_ns: int
    valid_until_ns: int
    sublicensable: bool | UnsetType = UNSET
    blanket: bool | UnsetType = UNSET


class Consent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Basis on which personal information is processed (个人信息保护法 13, 23, 29)."""

    basis: str
    purposes: tuple[str, ...] = ()
    obtained_by: str | UnsetType = UNSET
    coverage_pct: Annotated[int, msgspec.Meta(ge=0, le=100)] | UnsetType = UNSET
    guardian: bool | UnsetType = UNSET
    valid_until_ns: int | UnsetType = UNSET
    cross_border_separate: bool | UnsetType = UNSET


class Field(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column of the data dictionary."""

    name: str
    type: str
    group: str = "core"
    description: str = ""


class Description(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a buyer reads before an order. `sample` holds a few rows as JSON texts."""

    title: str
    summary: str
    fields: tuple[Field, ...]
    update_frequency: str
    quality_statement: str
    sample: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class AuctionTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the lot of a listing is auctioned; prices are fen per the listing's `price_per_units`, days run from publication.

    `kind`: sealed_first, sealed_second or ascending. Sealed: `commit_days` for bids, then `reveal_days` to open them, and a
    `deposit_fen` that an unopened one forfeits. Ascending: `days` for bids, each at least `increment_fen` above the last;
    one within `extension_minutes` of the end moves it. No bid is below `start_fen`. The reserve is told (`reserve_fen`) or
    kept secret: `reserve_sha256` is the SHA-256 of "reserve_fen|nonce", which the merchant opens in the `reveal_days`.
    """

    kind: str
    commit_days: int = 0
    reveal_days: int = 0
    days: int = 0
    start_fen: int = 0
    increment_fen: int = 0
    reserve_fen: int = 0
    reserve_sha256: str = ""
    deposit_fen: int = 0
    extension_minutes: int = 0


class Terms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a listing offers and at what price.

    `price_fen` is per `price_per_units` units (0.035 CNY a call: 3,500 fen per 1,000 calls); for an order book
    it is the reference price. `term_days` is the term of the licence from delivery (of units: from settlement).

    Of a posted price only: `tiers` (see `exchange.matching.posted`), and `per_buyer_units`, the most that one ultimate
    owner may buy of the listing in all its life; none, or 0, is without limit.
    """

    right: str
    deal: str
    purposes: tuple[str, ...]
    territories: tuple[str, ...]
    field_group: str
    term_days: int
    mechanism: str
    supply: str
    supply_units: int = 0
    price_regime: str = "market"
    price_fen: int
    price_per_units: int = 1
    price_cap_fen: int = 0
    delivery_days: int = 3
    acceptance_days: int = 3
    redelivery_days: int = 3
    listed_days: int = 365
    tiers: tuple[Tier, ...] | UnsetType = UNSET
    per_buyer_units: int | UnsetType = UNSET
    auction: AuctionTerms | UnsetType = UNSET
    """Of an auction only; `price_fen` is then what the catalogue shows, and binds nobody."""
    tick_fen: int | UnsetType = UNSET
    """Of a book: a price is a multiple of it; left out, of one fen."""
    collar_bp: int | UnsetType = UNSET
    """Of a book: how far from the last price (first: `price_fen`) a price may be, in basis points of it; left out, any."""
    plan: Plan | UnsetType = UNSET
    """Of a metered listing; its `price_fen` is then what a subscription costs at once (setup and first base fee)."""


class Delivery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the merchant hands over: a stored file (`sha256`, `size`) or an address (`url`)."""

    kind: str
    sha256: str = ""
    size: int = 0
    name: str = ""
    media_type: str = "application/octet-stream"
    url: str = ""


# ---------------------------------------------------------------------------------------------- commands


class Command(Struct, frozen=True, kw_only=True, tag=True):
    """`actor` is the participant that the token named; roles are checked against the state, not the token."""

    actor: str
    key: str = ""
    """Command id (UUID version 7) of the caller, or empty: then nothing is remembered."""


class OpenVenue(Command, frozen=True, kw_only=True):
    """First start: the operator whose key lies in the data folder, and which clock this venue lives by."""

    public_key: str
    simulated: bool = False


class AdoptRulebook(Command, frozen=True, kw_only=True):
    sha256: str


class AdoptVenueKey(Command, frozen=True, kw_only=True):
    """The Ed25519 key (base64 of 32 bytes) by which the venue signs checkpoints and credentials from now on.

    What the key before has signed verifies for `overlap_days` more.
    """

    public_key: str
    reason: str = ""
    overlap_days: int = 90


class Tick(Command, frozen=True, kw_only=True):
    """Let the timers that are due act."""


class AdvanceClock(Command, frozen=True, kw_only=True):
    """Move a simulated clock forward; refused on a real one (checked by the engine)."""

    seconds: int


class RegisterParticipant(Command, frozen=True, kw_only=True):
    legal_name: str
    public_key: str
    roles: tuple[str, ...] = ()
    uscc: str = ""
    owner_id: str = ""
    group_id: str = ""
    region: str = "CN"
    personal_sha256: str = ""


class GrantRole(Command, frozen=True, kw_only=True):
    """`board` is that of a board host; empty for any other role."""

    participant: str
    role: str
    board: str = ""


class RevokeRole(Command, frozen=True, kw_only=True):
    participant: str
    role: str
    reason: str


class SetStatus(Command, frozen=True, kw_only=True):
    """`step` of `credit.merchant.STATUS`: suspend, resume, close."""

    participant: str
    step: str
    reason: str


class ReplaceKey(Command, frozen=True, kw_only=True):
    """By the participant itself, who signed with `replaced`, or by an operator who gives the reason."""

    participant: str
    public_key: str
    replaced: str = ""
    reason: str = ""


class ResubmitIdentity(Command, frozen=True, kw_only=True):
    """What a refused participant says of itself instead, with the evidence for it."""

    legal_name: str
    uscc: str
    evidence_sha256: str
    owner_id: str = ""
    group_id: str = ""
    region: str = "CN"


class DecideIdentity(Command, frozen=True, kw_only=True):
    participant: str
    accept: bool
    owner_id: str = ""
    group_id: str = ""
    mandate_until_ns: int = 0
    evidence_sha256: str = ""
    reasons: tuple[str, ...] = ()


class ApplyForAccreditation(Command, frozen=True, kw_only=True):
    """For `classes` of `credit.merchant.CLASSES`, on `boards`; none: on all."""

    evidence_sha256: str
    classes: tuple[str, ...] = ("merchant",)
    boards: tuple[str, ...] = ()


class DecideAccreditation(Command, frozen=True, kw_only=True):
    """`step` of `exchange.accreditation.STEPS`; suspend and revoke are proposed, confirm and withdraw answer that.

    `classes` and `boards`: what is given, or left of it; none: as applied for, or as it is. `documents`: what is asked for.
    """

    participant: str
    step: str
    valid_until_ns: int = 0
    evidence_sha256: str = ""
    reasons: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()
    number: str = ""
    documents: tuple[str, ...] = ()


class SetBan(Command, frozen=True, kw_only=True):
    """Credit trading ban until an instant; 0 lifts it (海南 22; 广州 26)."""

    participant: str
    until_ns: int
    reason: str


class SubmitProduct(Command, frozen=True, kw_only=True):
    description: Description
    classification: Classification
    source: Source
    authorisation: Authorisation
    consent: Consent
    shares: tuple[tuple[str, int], ...] = ()
    """Contributors and their basis points of what remains after the venue fee."""
    share_roles: tuple[str, ...] = ()
    """What each of them gave (`clearing.revenue.ROLES`), in the order of the shares; empty: nobody said."""
    evidence: dict[str, str]
    """Hash of the evidence by fact group: classification, source, authorisation, consent."""


class DecideProduct(Command, frozen=True, kw_only=True):
    """`decision`: register, return, refuse. `confirmed` names the fact groups held against their evidence.

    `revision` is the product's that the reviewer looked at; needed to register.
    """

    product: str
    decision: str
    revision: int = 0
    confirmed: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    valid_until_ns: int = 0
    reasons: tuple[str, ...] = ()


class RenewCertificate(Command, frozen=True, kw_only=True):
    """By a reviewer, before the certificate expires: `valid_until_ns` is its new end."""

    product: str
    valid_until_ns: int
    evidence_sha256: str
    reason: str


class AmendFacts(Command, frozen=True, kw_only=True):
    """The holder declares one group of facts anew; it stays unknown until a reviewer confirms it."""

    product: str
    evidence_sha256: str
    classification: Classification | None = None
    source: Source | None = None
    authorisation: Authorisation | None = None
    consent: Consent | None = None


class ConfirmFacts(Command, frozen=True, kw_only=True):
    product: str
    revision: int
    """The product's revision that the reviewer looked at; it must still be the one that stands."""
    groups: tuple[str, ...]
    evidence: dict[str, str]
    """The hash that the reviewer saw, by group; it must be the declared one."""


class RecordFact(Command, frozen=True, kw_only=True):
    """A reviewer's entry in one of the venue's registers, or the holder's against itself.

    `entry` is one of `product.REGISTER_ENTRIES`: authorisation_withdrawn, authorisation_disputed,
    authorisation_restored, consent_withdrawn, consent_removed, registration_suspended, registration_resumed,
    registration_revoked, registration_cancelled, objection_raised, objection_settled, risk_suspected,
    risk_confirmed, risk_cleared, licensee_recorded, licensee_removed.
    """

    product: str
    entry: str
    evidence_sha256: str
    reason: str
    participant: str = ""


class EnterRecord(Command, frozen=True, kw_only=True):
    """An entry in a register of `clearing.registers`; `valid_from_ns` 0 is now, `valid_until_ns` 0 has no end."""

    facts: AnyFacts
    product: str = ""
    participant: str = ""
    evidence_sha256: str
    valid_from_ns: int = 0
    valid_until_ns: int = 0
    reason: str
    corrects: str = ""
    void: bool = False


class DraftRulebook(Command, frozen=True, kw_only=True):
    """Files that are to replace those of their name in the rulebook in force, from an instant on.

    `base_sha256` is the `text_sha256` of the rulebook that they were written over; empty for the one in force.
    """

    files: dict[str, str]
    effective_from_ns: int
    reason: str
    base_sha256: str = ""


class ApproveDraft(Command, frozen=True, kw_only=True):
    draft: str


class NarrowRule(Command, frozen=True, kw_only=True):
    """In an emergency: what else a rule is violated by, in force at once. Nothing here can make a rule wider."""

    rule: str
    also_violated_when: str
    reason: str


class CreateListing(Command, frozen=True, kw_only=True):
    """`attributes` are what it says in the board's fields, as they came: not looked at yet."""

    product: str
    board: str
    terms: Terms
    attributes: dict[str, Any] = {}


class ReviseListing(Command, frozen=True, kw_only=True):
    """`attributes` that are not there stay as they are."""

    listing: str
    terms: Terms
    attributes: dict[str, Any] | None = None


class MoveListing(Command, frozen=True, kw_only=True):
    """`step` of `listing.LIFE`: submit, approve, return, suspend, resume, withdraw.

    `tariff_sha256` comes with `approve` of public data: the published price list that the reviewer held regime and
    ceiling against, or the decision that the use is free or not guided.
    """

    listing: str
    step: str
    reasons: tuple[str, ...] = ()
    tariff_sha256: str = ""


class BookCashIn(Command, frozen=True, kw_only=True):
    """Money that arrived at the custody bank; `bank_reference` is booked once only."""

    participant: str
    amount_fen: int
    bank_reference: str


class RecordCeiling(Command, frozen=True, kw_only=True):
    """By a reviewer: the highest revenue of a public-data operator in a year, out of an authority's decision
    (发改价格〔2025〕65号). One recorded again replaces the one before."""

    operator: str
    year: int
    ceiling_fen: int
    decision_sha256: str


class SetCustody(Command, frozen=True, kw_only=True):
    """The account at the custody bank that `bank:cash` mirrors; by an operator, before anything is paid out."""

    custody: Custody


class SetPayoutAccount(Command, frozen=True, kw_only=True):
    """Where a participant is paid to: the salted SHA-256 of an erasable row. The door has seen `signer` sign."""

    account_sha256: str
    signer: str = ""


class RequestWithdrawal(Command, frozen=True, kw_only=True):
    """The door has seen the signature of `signer` over amount and command id."""

    amount_fen: int
    signer: str = ""


class CancelWithdrawal(Command, frozen=True, kw_only=True):
    """By its participant, or by an operator with a reason."""

    withdrawal: str
    reason: str = ""


class MakePayoutBatch(Command, frozen=True, kw_only=True):
    """Everything that is asked for, one payment a participant; `without` are those whose account row was erased."""

    without: tuple[str, ...] = ()


class RejectPayout(Command, frozen=True, kw_only=True):
    """The bank did not take this payment of a batch (pain.002, or by word): its money is free again."""

    batch: str
    participant: str
    reason: str


class BookStatement(Command, frozen=True, kw_only=True):
    """A statement of the custody account (camt.053), read at the door; `file_sha256` names its erasable row.

    `until_ns` is the end of the day of its closing balance.
    """

    account: str
    statement: str
    sequence: int
    opening_fen: int
    closing_fen: int
    until_ns: int
    entries: tuple[BankEntry, ...]
    file_sha256: str


class CloseBreak(Command, frozen=True, kw_only=True):
    """`remedy` is one of `clearing.bank.REMEDIES` of its kind; `account` is who is booked: a participant, `own` for the
    venue's fees, or a board's public-data account."""

    bank_break: str
    reason: str
    remedy: str = "none"
    account: str = ""


Legs = tuple[tuple[str, str, str, int], ...]
"""Movements of the ledger, one after the other: source, target, asset, amount (`clearing.ledger.Leg`)."""


class PayDeposit(Command, frozen=True, kw_only=True):
    """From the merchant's own cash into its deposit."""

    amount_fen: int


class TakeDeposit(Command, frozen=True, kw_only=True):
    """Back out of the deposit, as much as no open sale and no offered refund needs."""

    amount_fen: int


class OfferRefund(Command, frozen=True, kw_only=True):
    """One party of a trade offers that so much of its price goes back; the other sends the same amount to agree.

    `price_fen` (what the trade cost), `entitlement` and `quantity` are what the query tables say of the trade; the door
    adds them. They never change once a trade has settled, so that a repeated command is the same command.
    """

    trade: str
    amount_fen: int
    reason: str
    price_fen: int = 0
    entitlement: str = ""
    quantity: int = 0


class ReverseTransaction(Command, frozen=True, kw_only=True):
    """An operator's proposal to reverse a transaction, and with the same content another operator's consent.

    `transaction` is a trade's id, or `bank:` and the bank's reference of a booking. `legs` are its postings in their
    order, `refunded_fen` what of the trade's price has gone back, and `listing`, `seller` and `amount_fen` are the trade's,
    as the query tables say: the door adds them.
    """

    transaction: str
    reason: str
    legs: Legs = ()
    entitlement: str = ""
    refunded_fen: int = 0
    listing: str = ""
    seller: str = ""
    amount_fen: int = 0


class HaltTrading(Command, frozen=True, kw_only=True):
    """`scope` is one of `halt.SCOPES`; `subject` the listing's or the board's id, empty for the market."""

    scope: str
    subject: str = ""
    reason: str


class ResumeTrading(Command, frozen=True, kw_only=True):
    """Ends the halt of exactly this scope and subject; wider and narrower ones stand."""

    scope: str
    subject: str = ""
    reason: str


class IssueDirective(Command, frozen=True, kw_only=True):
    """`kind` is one of `directive.KINDS`; `subject` a participant, a listing, or the number of the directive it lifts."""

    number: str
    kind: str
    subject: str
    deadline_ns: int
    text: str
    document_sha256: str


class ExecuteDirective(Command, frozen=True, kw_only=True):
    directive: str


class ObjectToListing(Command, frozen=True, kw_only=True):
    """Of a trustee of data subjects: held until a reviewer decides (`exchange.objection`)."""

    listing: str
    reason: str


class DecideTrusteeObjection(Command, frozen=True, kw_only=True):
    """`decision` is one of `objection.DECISIONS`."""

    listing: str
    objection: str
    decision: str
    text: str


class PlaceOrder(Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """The hot command; not derived from `Command` so that it stays free of the cyclic collector.

    `limit_fen` is per the listing's `price_per_units`; 0 means at market. `time_in_force`: gtc, ioc.
    """

    actor: str
    key: str = ""
    listing: str
    side: str = "buy"
    quantity: int
    limit_fen: int = 0
    time_in_force: str = "gtc"
    purpose: str = ""
    territory: str = ""
    accepts_prior: bool = False
    conditions: Conditions | None = None
    """Of a book, where the order asks more than a side, a price and how long: None for most."""
    broker: str = ""
    """Who places it for `actor`, under a `mandate`: empty for most, who place their own."""
    mandate: str = ""


class CancelOrder(Struct, frozen=True, kw_only=True, tag=True, gc=False):
    actor: str
    key: str = ""
    order: str


class ReplaceOrder(Command, frozen=True, kw_only=True):
    """`quantity` is all of the order, what was filled of it included; see `exchange.matching.orders.Replace`."""

    order: str
    quantity: int
    limit_fen: int = 0
    stop_fen: int = 0
    display: int = 0


class CancelMany(Command, frozen=True, kw_only=True):
    """All own orders: of a listing or (empty) of all, of one side or (empty) of both."""

    listing: str = ""
    side: str = ""


class EndConnection(Command, frozen=True, kw_only=True):
    """The venue's own: a connection is gone, and with it the orders that were to end with it. Empty: all connections,
    because the venue has started anew."""

    session: str = ""


class MoveSession(Command, frozen=True, kw_only=True):
    """An operator moves a board into another phase (`exchange.session.PHASES`)."""

    board: str
    phase: str
    reason: str


class FollowTimetables(Command, frozen=True, kw_only=True):
    """The venue's own at its start: from now on each board's phases are those of its timetable."""


class QueueRing(Command, frozen=True, kw_only=True):
    """A reviewer's, or the venue's own: what a search over completed trades found (`credit.ring.Ring`), to be looked at.

    `members` are sorted; `since_ns` is where the trades begin that were searched.
    """

    members: tuple[str, ...]
    amount_fen: int
    within_bp: int
    back_bp: int
    since_ns: int


class DecideRing(Command, frozen=True, kw_only=True):
    """A reviewer's word on a ring: genuine, or forged."""

    ring: str
    decision: str
    reason: str


class ObjectToRing(Command, frozen=True, kw_only=True):
    """A member's objection to the finding that a ring is forged; one a ring."""

    ring: str
    text: str


class ReportTrade(Command, frozen=True, kw_only=True):
    """One side's report of a bilateral trade; it is judged when the other side reports the same terms."""

    listing: str
    side: str
    counterparty: str
    quantity: int
    price_fen: int
    purpose: str
    territory: str
    contract_sha256: str
    accepts_prior: bool = False


class WithdrawReport(Command, frozen=True, kw_only=True):
    report: str


class DeclineReport(Command, frozen=True, kw_only=True):
    """By the other side of it, who knows no such trade or not on these terms."""

    report: str
    reason: str


class Deliver(Command, frozen=True, kw_only=True):
    trade: str
    delivery: Delivery


class AcceptDelivery(Command, frozen=True, kw_only=True):
    trade: str


class RejectDelivery(Command, frozen=True, kw_only=True):
    trade: str
    reason: str


class IssueKey(Command, frozen=True, kw_only=True):
    """A new key for an entitlement; only its hash enters the venue."""

    entitlement: str
    key_sha256: str


class SuspendEntitlement(Command, frozen=True, kw_only=True):
    """By the merchant who sold it; its keys open nothing until it is resumed, and its term stands still."""

    entitlement: str
    reason: str
    evidence_sha256: str


class ResumeEntitlement(Command, frozen=True, kw_only=True):
    """By that merchant, or with evidence by a reviewer or an operator: then there was no ground for the suspension."""

    entitlement: str
    reason: str
    evidence_sha256: str = ""


class RenewEntitlement(Command, frozen=True, kw_only=True):
    """A new trade of the same listing and territory by the entitlement's buyer, as `PlaceOrder` would make it."""

    entitlement: str
    quantity: int = 1
    purpose: str = ""
    accepts_prior: bool = False


class RevokeEntitlement(Command, frozen=True, kw_only=True):
    """By a reviewer or an operator who is no party to it."""

    entitlement: str
    reason: str
    evidence_sha256: str


class ProveDuty(Command, frozen=True, kw_only=True):
    duty: str
    evidence_sha256: str


class DecideDuty(Command, frozen=True, kw_only=True):
    """`step` is accept or refuse (a proof), or waive (the duty itself, with the evidence for that)."""

    duty: str
    step: str
    reason: str = ""
    evidence_sha256: str = ""


class FindBreach(Command, frozen=True, kw_only=True):
    """What a reviewer found of a trade; `rule` is P04 (with the `observed` purpose) or P02 (with the `kept_years`).

    The trade itself as the query tables have it: the web layer reads them, no caller states them.
    """

    rule: str
    trade: str
    listing: str
    buyer: str
    seller: str
    purpose: str
    territory: str
    entitlement: str
    evidence_sha256: str
    reason: str
    observed: str = ""
    kept_years: int = 3


class PublishYear(Command, frozen=True, kw_only=True):
    """The State Council's notice for a year: ISO dates of the weekdays that are off and of the weekend days that are
    worked.
    """

    year: int
    off: tuple[str, ...]
    worked: tuple[str, ...]
    evidence_sha256: str


class RecountDuties(Command, frozen=True, kw_only=True):
    """The venue's own at its start, where its calendar now moves dates of open duties."""


class CureHold(Command, frozen=True, kw_only=True):
    """Bring the evidence that a hold names (`clearing.notrade.Cure`).

    A reviewer's cure changes registers: `revision` is the product's that it looked at.
    """

    trade: str
    rule: str
    evidence_sha256: str = ""
    revision: int = 0


class OfferContract(Command, frozen=True, kw_only=True):
    """The merchant signs its listing's contract, which opens it to buyers. The web door has checked the signature."""

    listing: str
    security: Security
    sha256: str
    public_key: str
    signature: str


class SignContract(Command, frozen=True, kw_only=True):
    """A buyer signs the listing's contract with its declarations. The web door has checked the signature."""

    listing: str
    declarations: Declarations
    sha256: str
    public_key: str
    signature: str


class AccreditProvider(Command, frozen=True, kw_only=True):
    """An operator accredits a participant to attest; `kinds` of `attestation.KINDS`."""

    participant: str
    kinds: tuple[str, ...]
    valid_until_ns: int
    evidence_sha256: str


class RevokeProvider(Command, frozen=True, kw_only=True):
    participant: str
    reason: str


class Attest(Command, frozen=True, kw_only=True):
    """An accredited provider confirms the evidence of `rules`, for a product and a buyer (empty: any).

    `text` is what it signed; the web door has checked the signature.
    """

    kind: str
    product: str
    buyer: str
    rules: tuple[str, ...]
    valid_until_ns: int
    evidence_sha256: str
    public_key: str
    text: str
    signature: str


class RevokeAttestation(Command, frozen=True, kw_only=True):
    attestation: str
    reason: str


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A further stage of a challenge: how many proposals at most go on into it, and until when they may be improved."""

    name: str
    shortlist: int
    until_ns: int


class PublishNeed(Command, frozen=True, kw_only=True):
    """What a buyer looks for. `kind` is quote, tender or challenge; `right` and `fields` narrow it where they are not
    empty. `budget_fen` is the most that all of `quantity` may cost, 0 where none is said. `listing`: asked of it alone.
    """

    kind: str
    board: str
    title: str
    text: str
    purpose: str
    territory: str
    quantity: int
    respond_until_ns: int
    decide_until_ns: int
    right: str = ""
    fields: tuple[str, ...] = ()
    budget_fen: int = 0
    criteria: tuple[Criterion, ...] = ()
    stages: tuple[Stage, ...] = ()
    awards: int = 1
    listing: str = ""


class WithdrawNeed(Command, frozen=True, kw_only=True):
    need: str
    reason: str = ""


class Propose(Command, frozen=True, kw_only=True):
    """A merchant's proposal, or its new version where the need's kind lets it be revised. `figures`: what the proposal
    says of itself by criterion, where the buyer does not mark."""

    need: str
    listing: str
    quantity: int
    price_fen: int
    delivery_days: int
    text: str = ""
    figures: dict[str, int] = {}


class CounterProposal(Command, frozen=True, kw_only=True):
    """By whose turn it is."""

    proposal: str
    quantity: int
    price_fen: int


class AcceptProposal(Command, frozen=True, kw_only=True):
    """By whose turn it is; `accepts_prior` is the buyer's word on licences that others have (rule B17)."""

    proposal: str
    accepts_prior: bool = False


class WithdrawProposal(Command, frozen=True, kw_only=True):
    proposal: str


class MarkProposal(Command, frozen=True, kw_only=True):
    """The buyer's marks by criterion; a later mark takes the place of an earlier one."""

    need: str
    proposal: str
    marks: dict[str, int]


class ShortlistProposals(Command, frozen=True, kw_only=True):
    """The best go on into the next stage; `proposals` may name them, and are refused where they are not the best."""

    need: str
    proposals: tuple[str, ...] = ()


class AwardNeed(Command, frozen=True, kw_only=True):
    need: str
    proposal: str
    accepts_prior: bool = False


class PlaceBid(Command, frozen=True, kw_only=True):
    """A bid for the lot of an auction: sealed by its `commitment` (`auction.commitment_of`), or at a `price_fen`.

    `quantity` 0, and a purpose or territory that is left out: what the listing has.
    """

    listing: str
    commitment: str = ""
    price_fen: int = 0
    quantity: int = 0
    purpose: str = ""
    territory: str = ""
    accepts_prior: bool = False


class RevealBid(Command, frozen=True, kw_only=True):
    """What a sealed bid was committed to."""

    bid: str
    price_fen: int
    quantity: int
    nonce: str


class OpenReserve(Command, frozen=True, kw_only=True):
    """The reserve that the merchant committed to in its listing's terms."""

    listing: str
    reserve_fen: int
    nonce: str


class UsageRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many units used at an instant; `id` is the merchant's own, counted once for a subscription."""

    id: str
    units: int
    at_ns: int


class Subscribe(Command, frozen=True, kw_only=True):
    """To a metered listing, for so many months of the calendar (Beijing time)."""

    listing: str
    months: int
    purpose: str = ""
    territory: str = ""
    accepts_prior: bool = False


class RenewSubscription(Command, frozen=True, kw_only=True):
    """By its buyer: another one follows on it, under the plan that the listing has then."""

    subscription: str
    months: int
    accepts_prior: bool = False


class RecordUsage(Command, frozen=True, kw_only=True):
    """By the merchant who sold it."""

    subscription: str
    records: tuple[UsageRecord, ...]


class BuyPackage(Command, frozen=True, kw_only=True):
    """So many of the plan's packages ahead, paid at once."""

    subscription: str
    count: int = 1


class SetPlan(Command, frozen=True, kw_only=True):
    """By the merchant of a published metered listing; `effective_from_ns` 0 is now."""

    listing: str
    plan: Plan
    effective_from_ns: int = 0


class PayBill(Command, frozen=True, kw_only=True):
    bill: str


class DisputeBill(Command, frozen=True, kw_only=True):
    """By its buyer: `amount_fen` of it is not owed."""

    bill: str
    amount_fen: int
    reason: str


class AnswerDispute(Command, frozen=True, kw_only=True):
    """By the merchant: the amount goes, or the bill stands."""

    bill: str
    agree: bool
    reason: str


class Depart(Command, frozen=True, kw_only=True):
    """`kind` of `exchange.departure.KINDS`; `successor` takes over what is passed on, and is needed for a merger.

    Sent again before the successor has accepted, it takes the place of what was said.
    """

    kind: str
    reason: str
    successor: str = ""


class AcceptDeparture(Command, frozen=True, kw_only=True):
    """By the successor: all that can pass is its own from now on."""

    participant: str


class GiveMandate(Command, frozen=True, kw_only=True):
    """The web door has checked the principal's signature of `text`. `side`: buy, sell or both; no listings, boards: any."""

    broker: str
    side: str
    listings: tuple[str, ...]
    boards: tuple[str, ...]
    most_fen: int
    valid_until_ns: int
    public_key: str
    text: str
    signature: str


class EndMandate(Command, frozen=True, kw_only=True):
    """Taken back by the principal, or given up by the broker."""

    mandate: str


class AnswerDocuments(Command, frozen=True, kw_only=True):
    """By an applicant whom a reviewer has asked: (name, SHA-256) of what it hands in."""

    documents: tuple[tuple[str, str], ...]


class FollowGrades(Command, frozen=True, kw_only=True):
    """The venue's own at its start: from now on grades are looked at once a day."""


class OpenCase(Command, frozen=True, kw_only=True):
    """By a reviewer: what somebody has done (认定). `reference` is what it is about, a trade or a listing."""

    participant: str
    kind: ConductKind
    reference: str
    text: str
    evidence_sha256: str


class ObjectToCase(Command, frozen=True, kw_only=True):
    """By the one whom it is about, once."""

    case: str
    text: str
    evidence_sha256: str = ""


class ObjectToConduct(Command, frozen=True, kw_only=True):
    """To a fault of one's own that the venue has on record; it becomes a case. `first` is who found it, as the tables say;
    empty where the venue did."""

    kind: ConductKind
    reference: str
    text: str
    evidence_sha256: str = ""
    first: str = ""


class CorrectConduct(Command, frozen=True, kw_only=True):
    """Of a fault of one's own that the venue has on record: it is put right; it becomes a case, to be repaired. `first` as
    in `ObjectToConduct`."""

    kind: ConductKind
    reference: str
    evidence_sha256: str
    first: str = ""


class DecideObjection(Command, frozen=True, kw_only=True):
    """By another reviewer than the first decider, of another house."""

    case: str
    uphold: bool
    text: str


class CorrectCase(Command, frozen=True, kw_only=True):
    """By the one whom it is about: what was wrong is put right (纠正)."""

    case: str
    evidence_sha256: str


class AskRepair(Command, frozen=True, kw_only=True):
    """By the one whom it is about, after the minimum period: a public commitment (信用承诺). It costs nothing."""

    case: str
    commitment_sha256: str


class DecideRepair(Command, frozen=True, kw_only=True):
    case: str
    grant: bool
    text: str


class OverrideGrade(Command, frozen=True, kw_only=True):
    """By an operator; a second one, of another house, says the same and it counts."""

    participant: str
    grade: Grade
    until_ns: int
    reason: str


class AddKey(Command, frozen=True, kw_only=True):
    """A further key of one's own, by name; it opens no more than `scopes`. The door has seen both signatures: that of the
    new key and that of `signer`, the own one."""

    name: str
    public_key: str
    scopes: tuple[str, ...]
    signer: str = ""


class EndKey(Command, frozen=True, kw_only=True):
    """A named key opens nothing any more, and neither do its tokens."""

    named_key: str


class SetAddresses(Command, frozen=True, kw_only=True):
    """Networks (CIDR) from which a participant may be entered; none: from everywhere. An operator may only lift them."""

    participant: str
    allow: tuple[str, ...] = ()
    reason: str = ""


class SetSecret(Command, frozen=True, kw_only=True):
    """A password or a second factor counts from now on (`kind`): the salted hash of its erasable row. Empty: none does.
    `signer` is the own key behind it."""

    kind: str
    sha256: str = ""
    signer: str = ""


class EndSessions(Command, frozen=True, kw_only=True):
    """One session, whose tokens end by themselves at `until_ns`; an empty one: all that there are now."""

    session: str = ""
    until_ns: int = 0


class FollowCredentials(Command, frozen=True, kw_only=True):
    """By the venue at its start: what is older than credentials gets its own, some hundreds in one entry."""


# ------------------------------------------------------------------------------------------------ events


class Event(Struct, frozen=True, array_like=True, tag=True):
    """Base of all events, encoded as an array that starts with the class name."""


class VenueOpened(Event, frozen=True):
    operator: str
    public_key: str
    simulated: bool = False


class RulebookAdopted(Event, frozen=True):
    """`draft`: the approved draft that comes into force; empty where the venue starts with another rulebook."""

    sha256: str
    draft: str = ""
    texts: dict[str, str] = {}
    """All its files as they came into force with the draft, by name: a later release has others. Empty without one."""


class VenueKeyAdopted(Event, frozen=True):
    """`old_until_ns`: until then the key before still verifies. `by` is empty in journals older than credentials."""

    public_key: str
    old_until_ns: int = 0
    reason: str = ""
    by: str = ""


class Ticked(Event, frozen=True):
    """Timers up to this instant have acted; what they did follows as events of the same entry."""

    until_ns: int


class ClockAdvanced(Event, frozen=True):
    to_ns: int
    """The simulated clock stands at this instant from then on."""


class ParticipantRegistered(Event, frozen=True):
    participant: str
    legal_name: str
    public_key: str
    roles: tuple[str, ...]
    uscc: str
    owner_id: str
    group_id: str
    region: str
    personal_sha256: str


class RoleGranted(Event, frozen=True):
    participant: str
    role: str
    by: str
    board: str = ""


class RoleRevoked(Event, frozen=True):
    participant: str
    role: str
    reason: str
    by: str


class StatusSet(Event, frozen=True):
    """`status` is what the step led to."""

    participant: str
    step: str
    status: str
    reason: str
    by: str


class KeyReplaced(Event, frozen=True):
    participant: str
    public_key: str
    reason: str
    by: str


class IdentityResubmitted(Event, frozen=True):
    participant: str
    legal_name: str
    uscc: str
    owner_id: str
    group_id: str
    region: str
    evidence_sha256: str


class IdentityDecided(Event, frozen=True):
    participant: str
    accept: bool
    owner_id: str
    group_id: str
    mandate_until_ns: int
    evidence_sha256: str
    reasons: tuple[str, ...]
    by: str


class AccreditationApplied(Event, frozen=True):
    """Without classes: of before there were any, as merchant on all boards."""

    participant: str
    evidence_sha256: str
    classes: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()


class AccreditationDecided(Event, frozen=True):
    """`step`: accredit, renew, refuse, restrict, unrestrict, suspend, restore, revoke; by the venue, expire and leave.

    `classes` and `boards` (none: all): what was given or is left; only of accredit, renew, restrict and unrestrict.
    `state` is what it led to. `proposed_by`: who proposed what `by` confirmed. Older journals have none of these fields.
    """

    participant: str
    step: str
    credential_number: str
    valid_until_ns: int
    evidence_sha256: str
    reasons: tuple[str, ...]
    by: str
    classes: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()
    state: str = ""
    proposed_by: str = ""


class BanSet(Event, frozen=True):
    participant: str
    until_ns: int
    reason: str
    by: str


class ProductSubmitted(Event, frozen=True):
    product: str
    merchant: str
    description: Description
    classification: Classification
    source: Source
    authorisation: Authorisation
    consent: Consent
    shares: tuple[tuple[str, int], ...]
    evidence: dict[str, str]
    share_roles: tuple[str, ...] = ()


class ProductDecided(Event, frozen=True):
    product: str
    decision: str
    confirmed: tuple[str, ...]
    rights: tuple[str, ...]
    certificate: str
    valid_until_ns: int
    reasons: tuple[str, ...]
    by: str
    state: str
    """What the product is from then on."""
    remind_ns: int = 0
    """Its holder is reminded of the certificate's end then; 0 without one, and in journals older than reminders."""


class FactsAmended(Event, frozen=True):
    product: str
    evidence_sha256: str
    classification: Classification | None
    source: Source | None
    authorisation: Authorisation | None
    consent: Consent | None
    revision: int = 0
    """The product's revision from now on."""


class FactsConfirmed(Event, frozen=True):
    product: str
    groups: tuple[str, ...]
    by: str


class FactRecorded(Event, frozen=True):
    """`state` is what the product is from then on, empty where the entry leaves that as it is."""

    product: str
    entry: str
    evidence_sha256: str
    reason: str
    participant: str
    by: str
    state: str = ""
    certificate: str = ""
    """The product's certificate, where the entry changes what it is worth; empty in journals older than this."""


class ListingCreated(Event, frozen=True):
    listing: str
    product: str
    merchant: str
    board: str
    terms: Terms
    attributes: Attributes = {}


class ListingRevised(Event, frozen=True):
    """`attributes` None: they are as they were."""

    listing: str
    terms: Terms
    attributes: Attributes | None = None


class ListingMoved(Event, frozen=True):
    """`until_ns`: the end of the public notice or of the listing, where the new state has one."""

    listing: str
    step: str
    state: str
    reasons: tuple[str, ...]
    by: str
    until_ns: int = 0
    tariff_sha256: str = ""
    """What confirmed the price of public data; set by `approve` only."""


class CashBooked(Event, frozen=True):
    participant: str
    amount_fen: int
    bank_reference: str
    by: str


class OrderPlaced(Event, frozen=True, gc=False):
    """An order that was accepted. Money or units are reserved: `reserved` fen (buy) or units (sell)."""

    order: str
    participant: str
    listing: str
    side: str
    quantity: int
    limit_fen: int
    time_in_force: str
    purpose: str
    territory: str
    accepts_prior: bool
    reserved: int
    client_order_id: str
    conditions: Conditions | None = None


class OrderClosed(Event, frozen=True, gc=False):
    """What was left of an order is gone. `reason`: cancelled, ioc, self_trade, withdrawn, expired, disconnected, fok,
    minimum_quantity, post_only, all_or_none (`docs/MATCHING.md`), funds (a stop without a price came in and its buyer had
    not enough), refused, standing (its participant may not place it any more), in_debt (it owes: the money goes to its
    creditor).

    `listing`, `side` and `price_fen` say where it rested; empty where it never did, and in journals older than them.
    """

    order: str
    reason: str
    remaining: int
    listing: str = ""
    side: str = ""
    price_fen: int = 0
    hidden: int = 0
    """Of `remaining`, what an iceberg did not show."""


class OrderRefused(Event, frozen=True):
    """A refusal that is kept (`Refused.kept`), with every rule that an unlawful order breaks.

    `own` are the broken rules that are the participant's own doing; only they are conduct. What was asked for follows,
    as it was asked (empty: as the listing has it), with quantity 0 in journals older than this.
    """

    participant: str
    listing: str
    code: str
    detail: str
    violated: tuple[str, ...] = ()
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    capacities: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    side: str = ""
    quantity: int = 0
    limit_fen: int = 0
    purpose: str = ""
    territory: str = ""
    accepts_prior: bool = False


class Settled(Event, frozen=True, gc=False):
    """Verdict allow: the price is in escrow (or, for transferable units, paid) and the entitlement granted.

    `fee_fen`, `merchant_fen` and `shares` are fixed here and paid on acceptance; `reserved_rest` is what of the
    buyer's reservation for this quantity goes back because the fill was cheaper than the limit.
    `due_ns` is 0 for units, which change hands at once.
    """

    trade: str
    listing: str
    buyer: str
    seller: str
    buy_order: str
    sell_order: str
    quantity: int
    price_fen: int
    amount_fen: int
    fee_fen: int
    merchant_fen: int
    reserved_rest: int
    entitlement: str
    due_ns: int
    facts_sha256: bytes
    mechanism: str
    purpose: str
    territory: str
    shares: tuple[tuple[str, int], ...] = ()
    contract: str = ""
    """The contract that this trade is made under; the listing's merchant signed it with the contract itself."""
    buyer_signature: str = ""
    share_roles: tuple[str, ...] = ()
    """In which role each payment of `shares` is made; empty: all contributors."""
    public_fen: int = 0
    """What the trade will count to the revenue of an operator of public data: its price, where it is such a sale."""
    counted: bool = False
    """It counts for what 国发〔2011〕38号 counts: `exchange.counters`."""
    exported_year: int = 0
    exported_persons: int = 0
    exported_sensitive: int = 0
    """Persons whose data it takes abroad, counted for its seller in that year; 0 where none."""
    protected: tuple[str, ...] = ()
    """Of what licensed data holds, as a reviewer confirmed it, what the law protects: personal, important."""
    history_bp: int = 10_000
    """Of units: the part of the amount that is history of both sides (`credit.conduct.history_bp`)."""


class Held(Event, frozen=True):
    """Verdict hold: the quantity left the market, money and units stay reserved until `until_ns`."""

    trade: str
    listing: str
    buyer: str
    seller: str
    buy_order: str
    sell_order: str
    quantity: int
    price_fen: int
    amount_fen: int
    reserved_rest: int
    until_ns: int
    violated: tuple[str, ...]
    facts_sha256: bytes
    mechanism: str
    purpose: str
    territory: str
    accepts_prior: bool
    capacities: tuple[str, ...] = ()
    look_ns: int = 0
    """When an entry about its product or its parties begins or ends to be good: it is looked at again then. 0: never."""


class TradeRefused(Event, frozen=True):
    """Verdict reject or indeterminate at clearing: nothing moved, and the taker meets this maker no more."""

    trade: str
    listing: str
    buyer: str
    seller: str
    buy_order: str
    sell_order: str
    quantity: int
    price_fen: int
    outcome: str
    violated: tuple[str, ...]
    unknown: tuple[tuple[str, tuple[str, ...]], ...]
    facts_sha256: bytes
    taker_order: str = ""
    capacities: tuple[str, ...] = ()


class HoldCured(Event, frozen=True):
    """Evidence for a rule of a hold was brought; whether it settles is said by the event that follows."""

    trade: str
    rule: str
    evidence_sha256: str
    by: str
    attestation: str = ""
    """The attestation that confirms it; empty where a reviewer does, or a party gives its word."""


class CureOvertaken(Event, frozen=True):
    """What these rules read of a product has changed since their evidence was confirmed: it cures nothing any more.

    Of an attestation, for everybody or for one `buyer`; or of a hold (`trade`), whose own cure it was.
    """

    rules: tuple[str, ...]
    attestation: str = ""
    buyer: str = ""
    trade: str = ""


class HoldChanged(Event, frozen=True):
    """A second look found a hold still, by other rules or with other facts unknown; its date stays.

    `outcome` is hold or indeterminate. `violated` are all rules that it names from now on, those among them whose evidence
    has been confirmed since included. `look_ns` as in `Held`.
    """

    trade: str
    outcome: str
    violated: tuple[str, ...]
    unknown: tuple[tuple[str, tuple[str, ...]], ...]
    facts_sha256: bytes
    capacities: tuple[str, ...]
    look_ns: int = 0


class HoldReleased(Event, frozen=True):
    """A hold ended without settlement. `reason`: expired, refused, withdrawn.

    `blamed` are the parties who let the date pass without the evidence that was theirs to bring.
    """

    trade: str
    reason: str
    violated: tuple[str, ...] = ()
    capacities: tuple[str, ...] = ()
    blamed: tuple[str, ...] = ()


class TradeReported(Event, frozen=True):
    """The first side's report of a bilateral trade; the second side's settles it."""

    report: str
    listing: str
    side: str
    participant: str
    counterparty: str
    quantity: int
    price_fen: int
    purpose: str
    territory: str
    contract_sha256: str
    accepts_prior: bool
    matches: str = ""
    """The other side's earlier report of the same terms, which this one answers."""
    until_ns: int = 0
    """Unanswered until then, the report ends."""
    trade: str = ""
    """The trade that both reports make; empty in the first one, and in journals older than this."""


class ReportEnded(Event, frozen=True):
    """Nobody answered a report, or the other side denies it. `reason`: expired, withdrawn, declined."""

    report: str
    reason: str
    detail: str = ""
    """What the other side says of it, where it declines."""


class Delivered(Event, frozen=True):
    """`step` is deliver or redeliver; `due_ns`: silence until then accepts.

    `entitlement_until_ns`: the term of the licence runs from this delivery until then.
    """

    trade: str
    step: str
    delivery: Delivery
    due_ns: int
    entitlement_until_ns: int
    remind_ns: int = 0
    """The buyer is reminded of the end then; 0 in journals older than reminders."""


class DeliveryRejected(Event, frozen=True):
    """`due_ns`: redelivery is due then. What was rejected may not be used: the entitlement waits for it."""

    trade: str
    reason: str
    due_ns: int


class Completed(Event, frozen=True):
    """Accepted (`step` accept), silence (silence) or agreed at a lower price (settle).

    Escrow pays merchant, contributors and fee. `history_bp` is the part of the amount that is history of both sides
    (`credit.conduct.history_bp`).
    """

    trade: str
    step: str
    history_bp: int = 10_000


class Refunded(Event, frozen=True):
    """`step`: miss (nothing delivered by its date), reject_again, agree (both parties agreed to give all back), or stop (a
    rule forbids that what was sold passes on, and the last date to wait for is over).
    """

    trade: str
    step: str


class KeyIssued(Event, frozen=True):
    entitlement: str
    key_sha256: str


class EntitlementEnded(Event, frozen=True):
    """`step` is one of `clearing.delivery.ENTITLEMENT_ENDS`; who revokes says why and on what evidence."""

    entitlement: str
    step: str
    reason: str = ""
    evidence_sha256: str = ""
    by: str = ""
    trade: str = ""
    """The trade that granted it, where it is revoked; empty in journals older than this."""


class Quarantined(Event, frozen=True):
    """A command that raised or that SQL refused; isolated by bisection, with what it was and why."""

    command: str
    sha256: str
    reason: str


class TradingHalted(Event, frozen=True):
    scope: str
    subject: str
    reason: str
    by: str


class TradingResumed(Event, frozen=True):
    scope: str
    subject: str
    reason: str
    by: str


class DirectiveIssued(Event, frozen=True):
    directive: str
    number: str
    kind: str
    subject: str
    deadline_ns: int
    text: str
    document_sha256: str
    by: str


class DirectiveExecuted(Event, frozen=True):
    """`lifts` is the directive that this one lifts; empty for any other. `by` is the venue where nobody had done it."""

    directive: str
    kind: str
    subject: str
    number: str
    lifts: str
    by: str


class ListingObjected(Event, frozen=True):
    objection: str
    listing: str
    reason: str
    by: str


class TrusteeObjectionDecided(Event, frozen=True):
    objection: str
    listing: str
    decision: str
    text: str
    by: str


class RecordEntered(Event, frozen=True):
    """An entry in a register; see `clearing.registers.Entry`."""

    entry: str
    facts: AnyFacts
    product: str
    participant: str
    evidence_sha256: str
    valid_from_ns: int
    valid_until_ns: int
    reason: str
    by: str
    corrects: str = ""
    void: bool = False


class EntitlementMoved(Event, frozen=True):
    """`step` is suspend, resume or lapse; `state` is what it led to.

    `left_ns`: what a suspension leaves of the term, which stands still; 0 in journals in which it ran on. `until_ns`: when
    a resumed term ends now, `remind_ns`: when its buyer is reminded of that. `unfounded`: a reviewer or an operator found
    no ground for the suspension.
    """

    entitlement: str
    step: str
    state: str
    reason: str
    by: str
    evidence_sha256: str = ""
    left_ns: int = 0
    until_ns: int = 0
    remind_ns: int = 0
    unfounded: bool = False


class EntitlementReminded(Event, frozen=True):
    """Its term ends at `until_ns`: whoever wants it longer renews it."""

    entitlement: str
    buyer: str
    seller: str
    until_ns: int


class EntitlementRenewed(Event, frozen=True):
    """`trade` was made to follow on this entitlement; `successor` is the one it granted, empty while it is held."""

    entitlement: str
    trade: str
    successor: str


class ContractOffered(Event, frozen=True):
    """A merchant's signature on its listing's contract. `version` counts the listing's contracts from 1."""

    contract: str
    listing: str
    version: int
    merchant: str
    standard_terms: str
    sha256: str
    offer: Offer
    security: Security
    public_key: str
    signature: str


class ContractSigned(Event, frozen=True):
    """A buyer's signature; `signature_id` counts that buyer's under this contract."""

    signature_id: str
    contract: str
    participant: str
    declarations: Declarations
    declared_sha256: str
    public_key: str
    signature: str
    today: int = 0
    """How many of this buyer's under this contract on that day of Beijing time, with this one; 0: not counted then."""
    dropped: str = ""
    """The signature before it, which no trade cites and nobody needs any more."""


class ProviderAccredited(Event, frozen=True):
    participant: str
    kinds: tuple[str, ...]
    valid_until_ns: int
    evidence_sha256: str
    by: str


class ProviderRevoked(Event, frozen=True):
    participant: str
    reason: str
    by: str


class Attested(Event, frozen=True):
    attestation: str
    kind: str
    provider: str
    product: str
    buyer: str
    rules: tuple[str, ...]
    valid_until_ns: int
    evidence_sha256: str
    public_key: str
    text: str
    signature: str


class AttestationRevoked(Event, frozen=True):
    attestation: str
    reason: str
    by: str


class DutyOpened(Event, frozen=True):
    """Something is owed from now on. `kind` is one of `clearing.duties.KINDS`, `participant` the debtor.

    `cause`: completed, expired, revoked, refunded, consent_withdrawn, found. `purpose` is empty where it does not matter.
    `provisional`: the date counts days of a year whose notice was not out. `reviewed`: a reviewer accepts the proof.
    """

    duty: str
    kind: str
    rule: str
    participant: str
    trade: str
    listing: str
    entitlement: str
    buyer: str
    seller: str
    purpose: str
    territory: str
    cause: str
    due_ns: int
    remind_ns: int
    provisional: bool
    reviewed: bool


class DutyMoved(Event, frozen=True):
    """`step` of `clearing.duties.DUTY_LIFE`, and the state that it led to. Reminders are steps too."""

    duty: str
    kind: str
    trade: str
    entitlement: str
    participant: str
    step: str
    state: str
    evidence_sha256: str
    reason: str
    by: str


class DutyBroken(Event, frozen=True):
    """Verdict breach: its date passed (`step` miss), or a reviewer found it (`find`). `conduct` goes to the bureau."""

    duty: str
    kind: str
    trade: str
    participant: str
    step: str
    violated: tuple[str, ...]
    capacities: tuple[str, ...]
    facts_sha256: bytes
    conduct: str
    evidence_sha256: str
    reason: str
    by: str


class DutyRescheduled(Event, frozen=True):
    """Another calendar gives it another date."""

    duty: str
    due_ns: int
    remind_ns: int
    provisional: bool


class YearPublished(Event, frozen=True):
    year: int
    off: tuple[str, ...]
    worked: tuple[str, ...]
    evidence_sha256: str
    by: str


class CeilingRecorded(Event, frozen=True):
    operator: str
    year: int
    ceiling_fen: int
    decision_sha256: str
    by: str


class CustodySet(Event, frozen=True):
    custody: Custody
    by: str


class PayoutAccountSet(Event, frozen=True):
    participant: str
    account_sha256: str


class WithdrawalRequested(Event, frozen=True):
    """The money is reserved under the withdrawal's id."""

    withdrawal: str
    participant: str
    amount_fen: int


class WithdrawalCancelled(Event, frozen=True):
    """The money is free again. `by` and `reason` are there where it was not its participant."""

    withdrawal: str
    reason: str = ""
    by: str = ""


class PayoutBatchMade(Event, frozen=True):
    batch: str
    payments: tuple[Payment, ...]
    by: str


class StatementTaken(Event, frozen=True):
    """What its entries did follows as events of the same entry."""

    statement: str
    sequence: int
    opening_fen: int
    closing_fen: int
    until_ns: int
    entries: int
    file_sha256: str
    by: str


class PayoutConfirmed(Event, frozen=True):
    """The bank's statement shows the payment: the reserved money has left."""

    batch: str
    participant: str
    amount_fen: int
    bank_reference: str


class PayoutEnded(Event, frozen=True):
    """`step`: reject (never paid, the money is free again) or return (it came back, and is the participant's again)."""

    batch: str
    participant: str
    step: str
    amount_fen: int
    bank_reference: str
    by: str


class CashConfirmed(Event, frozen=True):
    """Cash that was booked by hand is in a statement."""

    bank_reference: str


class BreakOpened(Event, frozen=True):
    """`first` and `last` are the numbers of the statements that a gap left out, 0 where the bank gives none."""

    bank_break: str
    kind: str
    subject: str
    amount_fen: int
    day: str
    participant: str
    statement: str
    first: int = 0
    last: int = 0


class BreakClosed(Event, frozen=True):
    """`amount_fen` is what was booked: positive from the bank to `account`, negative from it to the bank; 0: nothing."""

    bank_break: str
    reason: str
    remedy: str
    account: str
    amount_fen: int
    bank_reference: str
    by: str


class BankDayEnded(Event, frozen=True):
    """Ledger and bank were compared at the end of a day in Beijing."""

    equality: Equality


class RulebookDrafted(Event, frozen=True):
    """`sha256` is that of the rulebook that these files make of the one in force, `base_sha256` the latter's text hash."""

    draft: str
    files: dict[str, str]
    sha256: str
    effective_from_ns: int
    reason: str
    by: str
    base_sha256: str = ""


class DraftApproved(Event, frozen=True):
    draft: str
    by: str


class DraftLapsed(Event, frozen=True):
    """It never comes into force: it is not over the rulebook in force any more, or cannot be one."""

    draft: str
    reason: str


class RuleNarrowed(Event, frozen=True):
    """`sha256` is that of the rulebook in force from now on."""

    rule: str
    also_violated_when: str
    sha256: str
    reason: str
    by: str
    texts: dict[str, str] = {}
    """All its files, as in `RulebookAdopted`; empty in journals older than this."""


class DepositPaid(Event, frozen=True):
    participant: str
    amount_fen: int


class DepositTaken(Event, frozen=True):
    participant: str
    amount_fen: int


class RefundOffered(Event, frozen=True):
    """Waits for the other party until `until_ns`; a new one takes the place of the same party's earlier one."""

    trade: str
    by: str
    amount_fen: int
    reason: str
    until_ns: int


class RefundOfferEnded(Event, frozen=True):
    """The other party did not agree. `reason`: expired."""

    trade: str
    by: str
    reason: str


class PriceLowered(Event, frozen=True):
    """Agreed before acceptance: `amount_fen` goes back out of escrow; fee, merchant and shares are what is left to pay.

    Where all of it goes back the trade is `Refunded` instead.
    """

    trade: str
    amount_fen: int
    fee_fen: int
    merchant_fen: int
    shares: tuple[tuple[str, int], ...] = ()


class RefundPaid(Event, frozen=True):
    """Agreed after acceptance: out of the seller's deposit, then out of its cash; what lacks is a debt (`debt` its id).

    `public_fen` of it was revenue of public data: it counts no more (0 in journals older than that). `units` of
    `listing`: with all of the price the whole quantity has gone back, and its buyer may buy as much again (0 where only a
    part has).
    """

    trade: str
    buyer: str
    seller: str
    deposit_fen: int
    cash_fen: int
    debt_fen: int = 0
    debt: str = ""
    public_fen: int = 0
    listing: str = ""
    units: int = 0


class DebtSetOff(Event, frozen=True):
    """Money that came to a debtor goes to its creditor; the claim shrinks by as much."""

    debt: str
    debtor: str
    creditor: str
    amount_fen: int


class ReversalProposed(Event, frozen=True):
    """One operator has asked for it; another has to agree until `until_ns`."""

    reversal: str
    transaction: str
    reason: str
    legs: Legs
    by: str
    until_ns: int


class ReversalEnded(Event, frozen=True):
    """No other operator agreed. `reason`: expired."""

    reversal: str
    transaction: str
    reason: str


class Reversed(Event, frozen=True):
    """The opposite of a transaction: its `legs` backwards, the last one first. The transaction itself stands.

    `trade`: it is a trade, else an entry of the bank. `public_fen` of it was revenue of public data that `operator` had
    earned: it counts no more (0 in journals older than that).
    """

    reversal: str
    transaction: str
    legs: Legs
    by: str
    trade: bool
    public_fen: int = 0
    operator: str = ""


class MovementRefused(Event, frozen=True):
    """A movement of money that was asked for under an id and refused: the id stays refused, whatever comes in later."""

    participant: str
    movement: str
    code: str
    detail: str


class CertificateRenewed(Event, frozen=True):
    """The certificate keeps its number and is good until `valid_until_ns`."""

    product: str
    certificate: str
    valid_until_ns: int
    evidence_sha256: str
    reason: str
    by: str
    remind_ns: int = 0


class CertificateReminded(Event, frozen=True):
    """A certificate is good until `valid_until_ns`: afterwards it cannot be renewed any more."""

    product: str
    certificate: str
    holder: str
    valid_until_ns: int


class CompletionPostponed(Event, frozen=True):
    """The buyer was silent until the acceptance date while these rules forbid that the right passes (`violated`).

    The next date is `due_ns`; when it has passed `until_ns`, the price goes back.
    """

    trade: str
    due_ns: int
    until_ns: int
    violated: tuple[str, ...]


class NeedPublished(Event, frozen=True):
    """`invited` is the merchant of `listing`, where the need is asked of that alone."""

    need: str
    buyer: str
    kind: str
    board: str
    title: str
    text: str
    purpose: str
    territory: str
    right: str
    fields: tuple[str, ...]
    quantity: int
    budget_fen: int
    criteria: tuple[Criterion, ...]
    respond_until_ns: int
    decide_until_ns: int
    stages: tuple[Stage, ...]
    awards: int
    listing: str
    invited: str


class NeedMoved(Event, frozen=True):
    """`step` of `need.LIFE` and the state that it led to. `opened`: proposals that are sealed no more; `closed`: those that
    end with the need, without an award."""

    need: str
    step: str
    state: str
    reason: str
    by: str
    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


class NeedShortlisted(Event, frozen=True):
    """`stage` begins, for the proposals `kept`; they may be improved until `respond_until_ns`. `ranking` is how they and
    the `eliminated` were scored."""

    need: str
    stage: int
    kept: tuple[str, ...]
    eliminated: tuple[str, ...]
    ranking: tuple[Ranked, ...]
    respond_until_ns: int


class ProposalMade(Event, frozen=True):
    """`sealed`: nobody but its merchant is shown what it says until the need is opened."""

    proposal: str
    need: str
    buyer: str
    merchant: str
    listing: str
    quantity: int
    price_fen: int
    price_per_units: int
    delivery_days: int
    text: str
    figures: dict[str, int]
    sealed: bool


class ProposalRevised(Event, frozen=True):
    proposal: str
    need: str
    listing: str
    quantity: int
    price_fen: int
    price_per_units: int
    delivery_days: int
    text: str
    figures: dict[str, int]
    state: str


class ProposalCountered(Event, frozen=True):
    """`state` offered: by the merchant, countered: by the buyer."""

    proposal: str
    need: str
    state: str
    quantity: int
    price_fen: int


class ProposalWithdrawn(Event, frozen=True):
    proposal: str
    need: str


class ProposalMarked(Event, frozen=True):
    proposal: str
    need: str
    marks: dict[str, int]
    state: str


class ProposalAwarded(Event, frozen=True):
    """What came of an award. `step` of `negotiation.PROPOSAL_LIFE`: award, hold or refuse (clearing's verdict), settle or
    release (the end of that hold). `ranking` is how those were scored among whom it was chosen."""

    proposal: str
    need: str
    step: str
    state: str
    trade: str
    violated: tuple[str, ...] = ()
    ranking: tuple[Ranked, ...] = ()


class AuctionOpened(Event, frozen=True):
    """The listing is published: bids are taken before `bids_until_ns`, and what is sealed is opened before
    `reveal_until_ns`, which is the same where nothing is. `reserve_fen` is -1 where it is secret."""

    listing: str
    kind: str
    bids_until_ns: int
    reveal_until_ns: int
    reserve_fen: int


class BidPlaced(Event, frozen=True):
    """A bid was taken. A sealed one sets its deposit aside, an ascending one its whole price (`reserved_fen`).

    `outbid` is the one that led before: its money is free again. The auction ends at `bids_until_ns` (and what is sealed is
    opened before `reveal_until_ns`), which an ascending bid may have moved.
    """

    bid: str
    listing: str
    participant: str
    commitment: str
    price_fen: int
    quantity: int
    purpose: str
    territory: str
    accepts_prior: bool
    deposit_fen: int
    reserved_fen: int
    outbid: str
    bids_until_ns: int
    reveal_until_ns: int


class BidRevealed(Event, frozen=True):
    """A sealed bid was opened: its price is set aside too (`reserved_fen`) until the auction is over."""

    bid: str
    listing: str
    participant: str
    price_fen: int
    quantity: int
    nonce: str
    reserved_fen: int


class ReserveOpened(Event, frozen=True):
    listing: str
    reserve_fen: int
    nonce: str


class BidEnded(Event, frozen=True):
    """What a bid had set aside is free again, but for a forfeited deposit, which `paid_to` has now.

    `step`: struck (its order follows), lost, forfeited (it was not opened), called_off.
    """

    bid: str
    listing: str
    participant: str
    step: str
    deposit_fen: int
    paid_to: str = ""


class AuctionClosed(Event, frozen=True):
    """`outcome`: awarded, no_bids, unrevealed, reserve_not_met, refused (no bid may stand by law), called_off.

    `bid` won at `price_fen`, and `trade` came of it. `reserve_fen` counted, where one did. `reason`: why it was called off:
    withdrawn, expired, suspended, halted, merchant.
    """

    listing: str
    outcome: str
    bid: str
    price_fen: int
    trade: str
    reserve_fen: int
    reason: str = ""


class OrderCameIn(Event, frozen=True, gc=False):
    """An order of a book that waited comes in: `cause` is stop, all_or_none or crossed (`docs/MATCHING.md`).

    It leaves the `left_quantity` that it showed at `left_fen` (0 and 0: its stop was not reached yet). What is left of it
    at the end rests at `limit_fen`, showing `display` of it (0: all). `reserved` fen are set aside for it now.
    """

    order: str
    cause: str
    listing: str
    side: str
    left_fen: int
    left_quantity: int
    limit_fen: int
    remaining: int
    display: int = 0
    reserved: int = 0


class OrderReplaced(Event, frozen=True, gc=False):
    """An order of a book is another from now on: `quantity` the whole of it, `remaining` what is not filled.

    It showed `left_quantity` at `left_fen`. Where it keeps its place it shows `shown` there; else it comes in again.
    `reserved` is all that is set aside for it from now on.
    """

    order: str
    listing: str
    side: str
    left_fen: int
    left_quantity: int
    limit_fen: int
    quantity: int
    remaining: int
    stop_fen: int
    display: int
    shown: int
    reserved: int
    keeps_place: bool


class OrderRefilled(Event, frozen=True, gc=False):
    """An iceberg shows its next part, behind all others of its price."""

    order: str
    listing: str
    side: str
    price_fen: int
    shown: int


class OrderReduced(Event, frozen=True, gc=False):
    """Self-trade prevention took `quantity` of an order away; of what it showed at its price, `less_shown` is gone."""

    order: str
    listing: str
    side: str
    price_fen: int
    quantity: int
    less_shown: int


class SessionMoved(Event, frozen=True):
    """A board is in this phase; its timetable looks at it again at `next_ns` (0: it has none)."""

    board: str
    phase: str
    reason: str
    by: str
    next_ns: int = 0


class RingQueued(Event, frozen=True):
    """Money goes round among these; it waits for a reviewer."""

    ring: str
    members: tuple[str, ...]
    amount_fen: int
    within_bp: int
    back_bp: int
    since_ns: int
    by: str


class RingDecided(Event, frozen=True):
    """Of a forged ring nothing that its members did with one another earns credit, whenever it was."""

    ring: str
    members: tuple[str, ...]
    decision: str
    reason: str
    by: str


class RingObjected(Event, frozen=True):
    """The finding is looked at again by `decider` until `decide_ns`; at its date, not decided, it is taken back."""

    ring: str
    participant: str
    text: str
    decider: str
    decide_ns: int


class ConductInherited(Event, frozen=True):
    """What was held against the predecessor is held against the participant too, with what was done about it: it took over
    what was owed, or is the same legal person in a new account."""

    participant: str
    predecessor: str


class CallAuctionHeld(Event, frozen=True):
    """A call auction over a book is over: its fills stand before this event.

    `quantity` is what the price would trade, `traded` what was matched (pairs that may not trade make it less), `surplus`
    what was left of the longer side. `levels`: side, price and by how much what is shown there went up or down.
    """

    listing: str
    price_fen: int
    quantity: int
    surplus: int
    reference_fen: int
    traded: int
    levels: tuple[tuple[str, int, int], ...] = ()
    icebergs: tuple[str, ...] | None = None
    """Those that were filled in part and show their next part where they stand; None in journals older than this."""


class Subscribed(Event, frozen=True):
    """A subscription's trade was struck. `state` is granted, or held while the trade is on hold; then there is no
    entitlement yet. `follows` is the subscription that it renews."""

    subscription: str
    listing: str
    trade: str
    entitlement: str
    buyer: str
    seller: str
    purpose: str
    territory: str
    months: int
    plan: Plan
    state: str
    follows: str = ""


class SubscriptionMoved(Event, frozen=True):
    """`step` of `subscription.LIFE` and what it led to.

    settle: its `entitlement` is there. deliver: it is metered from `from_ns` on, until `until_ns`. stop: its entitlement
    ended at `until_ns` (`reason`: how), and the month in which it did is the last that is billed. end, void: it is over.
    """

    subscription: str
    step: str
    state: str
    entitlement: str = ""
    from_ns: int = 0
    until_ns: int = 0
    reason: str = ""


class UsageTaken(Event, frozen=True):
    """`records` are those that were not known; `months` says in which month (`clearing.calendar.month_of`) each counts.

    `metered`: units that no package covers, by month; `packaged`: units out of packages, by month; `taken`: by package.
    """

    subscription: str
    records: tuple[UsageRecord, ...]
    months: tuple[int, ...]
    metered: tuple[tuple[int, int], ...]
    packaged: tuple[tuple[int, int], ...]
    taken: tuple[tuple[str, int], ...]
    known: int
    """How many of those that were sent had been counted before."""


class PackageBought(Event, frozen=True):
    """Paid by `bill`, good until `until_ns`."""

    subscription: str
    package: str
    bill: str
    units: int
    until_ns: int


class PlanSet(Event, frozen=True):
    """A listing's new plan, for whoever subscribes from `from_ns` on; `waits`: that is still to come.

    `binds`: whoever has subscribed already, and the first of the month from which the plan is theirs. `dearer`: it waits
    for the notice there. `price_fen` is what a subscription costs at once.
    """

    listing: str
    plan: Plan
    from_ns: int
    waits: bool
    price_fen: int
    binds: tuple[tuple[str, int], ...]
    dearer: tuple[str, ...]
    by: str


class PlanBegun(Event, frozen=True):
    """The plan that waited is the listing's now."""

    listing: str
    plan: Plan
    price_fen: int


class BillMade(Event, frozen=True):
    """A month of a subscription (`kind` month), or packages that it bought (package).

    `month` counts as `clearing.calendar.month_of`; `base` says what of the base fee is in it: due, paid (with the
    subscription), none. `barred`: the rules that forbade the use at the month's end, or `suspended`, for which no base fee
    is asked. `lines` add up to the amount and `prepaid_fen`, which was paid with the subscription. `public_fen` as in
    `Settled`.
    """

    bill: str
    subscription: str
    kind: str
    listing: str
    trade: str
    entitlement: str
    buyer: str
    seller: str
    month: int
    units: int
    packaged: int
    base: str
    lines: tuple[Line, ...]
    amount_fen: int
    fee_fen: int
    merchant_fen: int
    shares: tuple[tuple[str, int], ...]
    share_roles: tuple[str, ...]
    public_fen: int
    barred: tuple[str, ...]
    remind_ns: int
    due_ns: int
    prepaid_fen: int = 0


class BillPaid(Event, frozen=True):
    """Out of the buyer's money; `by_debt`: out of what was set off against its debt."""

    bill: str
    by_debt: bool = False


class BillReminded(Event, frozen=True):
    bill: str


class BillDefaulted(Event, frozen=True):
    """Its date passed without the money: it is a `debt` of its buyer. `suspends`: its keys open nothing meanwhile."""

    bill: str
    debt: str
    suspends: bool


class BillDisputed(Event, frozen=True):
    """The merchant answers until `until_ns`; meanwhile a bill that is not paid falls due on no day."""

    bill: str
    state: str
    amount_fen: int
    reason: str
    until_ns: int


class DisputeAnswered(Event, frozen=True):
    """`step`: refuse (the bill stands), expire (nobody answered, and it stands) or agree. `state` is the bill's then.

    Agreed, `BillLowered` or `BillRefunded` has come before.
    """

    bill: str
    step: str
    state: str
    reason: str
    remind_ns: int
    due_ns: int


class BillLowered(Event, frozen=True):
    """Agreed before it was paid: the rest is asked for, in proportion."""

    bill: str
    amount_fen: int
    fee_fen: int
    merchant_fen: int
    shares: tuple[tuple[str, int], ...]
    public_fen: int


class BillRefunded(Event, frozen=True):
    """Agreed after it was paid: out of the seller's deposit, then its cash; what lacks is a debt."""

    bill: str
    buyer: str
    seller: str
    deposit_fen: int
    cash_fen: int
    debt_fen: int
    debt: str
    public_fen: int


class BillFiled(Event, frozen=True):
    """Paid, and its time for disputes is over: it is in the tables only."""

    bill: str


class DocumentsRequested(Event, frozen=True):
    """The application waits for these; what was handed in before counts no more."""

    participant: str
    documents: tuple[str, ...]
    reasons: tuple[str, ...]
    by: str


class DocumentsAnswered(Event, frozen=True):
    """(name, SHA-256) of each."""

    participant: str
    documents: tuple[tuple[str, str], ...]


class AccreditationProposed(Event, frozen=True):
    """`step` is suspend or revoke, and takes effect when somebody of another house confirms it before `until_ns`.

    `state` is the credential's, which stays as it is.
    """

    participant: str
    step: str
    reasons: tuple[str, ...]
    evidence_sha256: str
    by: str
    until_ns: int
    state: str


class AccreditationProposalEnded(Event, frozen=True):
    """`how`: withdrawn, or expired (then by the venue). What is confirmed is an `AccreditationDecided`."""

    participant: str
    step: str
    how: str
    reasons: tuple[str, ...]
    by: str
    state: str


class GradesLooked(Event, frozen=True):
    """Grades were looked at up to so many participants with conduct; the next look is at `next_ns`."""

    after: int
    next_ns: int


class GradeNoticed(Event, frozen=True):
    """A lower grade than the one `in_force` is to be in force from `from_ns` on. `cause`: `computed`, or a case."""

    participant: str
    grade: Grade
    in_force: Grade
    from_ns: int
    cause: str


class GradeNoticeLapsed(Event, frozen=True):
    """What was noticed does not come: the grade computed is no lower than the one in force any more."""

    participant: str


class GradeSet(Event, frozen=True):
    """Another grade is in force from now on. `cause`: notice, upgrade, contested, upheld, override or
    override_ended."""

    participant: str
    grade: Grade
    before: Grade
    cause: str


class LargestOrderSet(Event, frozen=True):
    """What a ceiling on orders follows."""

    participant: str
    largest_fen: int


class CaseOpened(Event, frozen=True):
    """A reviewer's determination, of which the participant is given notice; or a fault on record that it objects to.

    `fault` and `fault_at_ns`: reference and instant of the conduct; a determination is conduct from `effective_ns` on, its
    reference is the case. `by` is the first decider, the venue where it saw for itself.
    """

    case: str
    participant: str
    kind: ConductKind
    reference: str
    fault: str
    fault_at_ns: int
    effective_ns: int
    ends_ns: int
    published_until_ns: int
    text: str
    evidence_sha256: str
    by: str
    state: CaseState


class CaseMoved(Event, frozen=True):
    """`step`: take_effect, object, uphold, reject, correct, ask_repair, repair, refuse_repair, fade.

    `until_ns`: by when what was asked for is decided, and `decider` who is named for it.
    """

    case: str
    participant: str
    step: str
    state: CaseState
    by: str
    text: str = ""
    sha256: str = ""
    until_ns: int = 0
    decider: str = ""


class OverrideProposed(Event, frozen=True):
    participant: str
    grade: Grade
    until_ns: int
    reason: str
    by: str


class OverrideConfirmed(Event, frozen=True):
    """`from_ns`: where it restricts, it is noticed first."""

    participant: str
    grade: Grade
    from_ns: int
    by: str


class OverrideEnded(Event, frozen=True):
    participant: str


class KeyAdded(Event, frozen=True):
    participant: str
    named_key: str
    name: str
    public_key: str
    scopes: tuple[str, ...]


class NamedKeyEnded(Event, frozen=True):
    participant: str
    named_key: str


class AddressesSet(Event, frozen=True):
    participant: str
    allow: tuple[str, ...]
    reason: str
    by: str


class SecretSet(Event, frozen=True):
    participant: str
    kind: str
    sha256: str


class SessionEnded(Event, frozen=True):
    participant: str
    session: str
    until_ns: int


class SessionsEnded(Event, frozen=True):
    """All that were open; `generation` counts how often that was done."""

    participant: str
    generation: int


class DepartureBegun(Event, frozen=True):
    """Nothing new begins; what there is is wound up or, where there is a `successor`, passed on once it accepts."""

    participant: str
    kind: str
    successor: str
    reason: str


class DepartureAccepted(Event, frozen=True):
    participant: str
    successor: str


class PassedOn(Event, frozen=True):
    """What was the participant's is its successor's: `ids` of one `kind` (`exchange.departure.PASSING`)."""

    participant: str
    successor: str
    kind: str
    ids: tuple[str, ...]


class MoneyPassedOn(Event, frozen=True):
    """Cash, deposit and units of books; by `Legs`."""

    participant: str
    successor: str
    legs: Legs


class DepartureDone(Event, frozen=True):
    """Nothing is left; credential and account have ended in the same entry."""

    participant: str


class CredentialIssued(Event, frozen=True):
    """`about` is what it certifies: a participant's accreditation (P2), a product's certificate (D3), an entitlement (E4),
    which `trade` granted. It takes the place of `replaces`, which said something else.
    """

    credential: str
    about: str
    claims: Claims
    valid_from_ns: int
    valid_until_ns: int
    trade: str = ""
    replaces: str = ""


class CredentialMoved(Event, frozen=True):
    """`step` of `credit.credential.LIFE`, and the state that it led to; renewed, it ends at `valid_until_ns`."""

    credential: str
    step: str
    state: CredentialState
    reason: str
    valid_until_ns: int = 0


class MandateGiven(Event, frozen=True):
    """`broker` may order for `principal` within this scope until the date; `text` is what that signed."""

    mandate: str
    principal: str
    broker: str
    side: str
    listings: tuple[str, ...]
    boards: tuple[str, ...]
    most_fen: int
    valid_until_ns: int
    public_key: str
    text: str
    signature: str


class MandateEnded(Event, frozen=True):
    """`how`: revoked (by the principal), given_up (by the broker), expired, left (one of them leaves)."""

    mandate: str
    how: str
    by: str


class MandateUsed(Event, frozen=True):
    """The order that came just before was placed by this broker; so much of `most_fen` has been ordered by it."""

    mandate: str
    order: str
    broker: str
    amount_fen: int


AnyEvent = (
    VenueOpened
    | RulebookAdopted
    | Ticked
    | ClockAdvanced
    | ParticipantRegistered
    | RoleGranted
    | RoleRevoked
    | StatusSet
    | KeyReplaced
    | IdentityResubmitted
    | IdentityDecided
    | AccreditationApplied
    | AccreditationDecided
    | BanSet
    | ProductSubmitted
    | ProductDecided
    | FactsAmended
    | FactsConfirmed
    | FactRecorded
    | ListingCreated
    | ListingRevised
    | ListingMoved
    | CashBooked
    | OrderPlaced
    | OrderClosed
    | OrderRefused
    | Settled
    | Held
    | TradeRefused
    | HoldCured
    | HoldReleased
    | TradeReported
    | ReportEnded
    | Delivered
    | DeliveryRejected
    | Completed
    | Refunded
    | KeyIssued
    | EntitlementEnded
    | Quarantined
    | TradingHalted
    | TradingResumed
    | RecordEntered
    | EntitlementMoved
    | EntitlementReminded
    | EntitlementRenewed
    | ContractOffered
    | ContractSigned
    | ProviderAccredited
    | ProviderRevoked
    | Attested
    | AttestationRevoked
    | DutyOpened
    | DutyMoved
    | DutyBroken
    | DutyRescheduled
    | YearPublished
    | CeilingRecorded
    | CustodySet
    | PayoutAccountSet
    | WithdrawalRequested
    | WithdrawalCancelled
    | PayoutBatchMade
    | StatementTaken
    | PayoutConfirmed
    | PayoutEnded
    | CashConfirmed
    | BreakOpened
    | BreakClosed
    | BankDayEnded
    | VenueKeyAdopted
    | RulebookDrafted
    | DraftApproved
    | RuleNarrowed
    | DepositPaid
    | DepositTaken
    | RefundOffered
    | RefundOfferEnded
    | PriceLowered
    | RefundPaid
    | DebtSetOff
    | ReversalProposed
    | ReversalEnded
    | Reversed
    | MovementRefused
    | CertificateRenewed
    | CertificateReminded
    | DraftLapsed
    | CureOvertaken
    | HoldChanged
    | CompletionPostponed
    | NeedPublished
    | NeedMoved
    | NeedShortlisted
    | ProposalMade
    | ProposalRevised
    | ProposalCountered
    | ProposalWithdrawn
    | ProposalMarked
    | ProposalAwarded
    | AuctionOpened
    | BidPlaced
    | BidRevealed
    | ReserveOpened
    | BidEnded
    | AuctionClosed
    | OrderCameIn
    | OrderReplaced
    | OrderRefilled
    | OrderReduced
    | SessionMoved
    | CallAuctionHeld
    | Subscribed
    | SubscriptionMoved
    | UsageTaken
    | PackageBought
    | PlanSet
    | PlanBegun
    | BillMade
    | BillPaid
    | BillReminded
    | BillDefaulted
    | BillDisputed
    | DisputeAnswered
    | BillLowered
    | BillRefunded
    | BillFiled
    | DocumentsRequested
    | DocumentsAnswered
    | AccreditationProposed
    | AccreditationProposalEnded
    | KeyAdded
    | NamedKeyEnded
    | AddressesSet
    | SessionEnded
    | SessionsEnded
    | DepartureBegun
    | DepartureAccepted
    | PassedOn
    | MoneyPassedOn
    | DepartureDone
    | CredentialIssued
    | CredentialMoved
    | GradesLooked
    | GradeNoticed
    | GradeNoticeLapsed
    | GradeSet
    | LargestOrderSet
    | CaseOpened
    | CaseMoved
    | OverrideProposed
    | OverrideConfirmed
    | OverrideEnded
    | SecretSet
    | MandateGiven
    | MandateEnded
    | MandateUsed
    | DirectiveIssued
    | DirectiveExecuted
    | ListingObjected
    | TrusteeObjectionDecided
    | RingQueued
    | RingDecided
    | ConductInherited
    | RingObjected
)


class Entry(Struct, frozen=True, array_like=True):
    """One command's outcome in the journal. `digest` identifies the body that `key` came with."""

    at_ns: int
    actor: str
    key: str
    digest: bytes
    events: tuple[AnyEvent, ...]


class Batch(Struct, frozen=True, array_like=True):
    """One row of the journal: entries still encoded, so that an answer can be repeated byte for byte."""

    schema: int
    entries: tuple[msgspec.Raw, ...]
