"""What the query tables say, as a pure function of the journal.

`fold` takes one event and changes rows in a `View`. The projector gives it a view of the few rows that a
chunk of the journal is about and writes back what changed; `shuji verify` gives it an empty view and the
whole journal, and compares. One function for both, so the two differ only where a table was altered.

Rows record outcomes that events carry; nothing is decided here. Money is told as postings, each from one
owner to another:

    CashBooked                  bank:cash ──────────> participant            cash_in
    PayoutConfirmed             participant ────────> bank:cash              payout
    PayoutEnded, came back      bank:cash ──────────> participant            payout_returned
    BreakClosed, booked         bank:cash <─────────> account                bank_entry
    Settled, delivery due       buyer ──────────────> venue:escrow           escrow
      Completed                 venue:escrow ───────> fees, seller, shares   fee, merchant, share
      Refunded                  venue:escrow ───────> buyer                  refund
    Settled, units at once      buyer ──────────────> fees, seller, shares   fee, merchant, share
                                seller ─────────────> buyer                  units
    published with a book       issue:<listing> ────> merchant               issue
    PriceLowered                venue:escrow ───────> buyer                  refund
    RefundPaid                  deposit, seller ────> buyer                  refund
      what lacks, of debt:CNY   debtor:<seller> ────> buyer                  debt
    DebtSetOff                  debtor ─────────────> creditor               set_off
      of debt:CNY               creditor ───────────> debtor:<debtor>        set_off
    DepositPaid, DepositTaken   participant <───────> deposit:<participant>  deposit, deposit_return
    BillPaid                    buyer ──────────────> fees, seller, shares   fee, merchant, share
      out of a debt             venue:bills ────────> fees, seller, shares   fee, merchant, share
    BillDefaulted, of debt:CNY  debtor:<buyer> ─────> venue:bills            debt
    BillRefunded                deposit, seller ────> buyer                  refund
      what lacks, of debt:CNY   debtor:<seller> ────> buyer                  debt
    Reversed                    the transaction's postings, the last first, the other way   reversal
    BidEnded, forfeited         bidder ─────────────> merchant               forfeit
    MoneyPassedOn               participant ────────> successor              succession
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from msgspec import Struct

from clearing.calendar import day_of, month_begins, month_of
from clearing.delivery import ENTITLEMENT_ENDS
from clearing.ledger import (
    BILLS,
    CASH,
    CNY,
    DEBT,
    ESCROW,
    FEES,
    debtor_owner,
    deposit_owner,
    issue_owner,
    unit_asset,
)
from credit.credential import Claims
from credit.credential import kind_of as credential_kind_of
from exchange.attributes import Attributes, Value
from exchange.auction import BID_LIFE
from exchange.events import (
    AccreditationApplied,
    AccreditationDecided,
    AccreditationProposalEnded,
    AccreditationProposed,
    AnyEvent,
    AuctionClosed,
    AuctionOpened,
    BidEnded,
    BidPlaced,
    BidRevealed,
    BillDefaulted,
    BillDisputed,
    BillLowered,
    BillMade,
    BillPaid,
    BillRefunded,
    BillReminded,
    BreakClosed,
    CallAuctionHeld,
    CaseMoved,
    CaseOpened,
    CashBooked,
    Completed,
    CompletionPostponed,
    CredentialIssued,
    CredentialMoved,
    CureOvertaken,
    DebtSetOff,
    Delivered,
    Delivery,
    DeliveryRejected,
    DepartureAccepted,
    DepartureBegun,
    DepartureDone,
    DepositPaid,
    DepositTaken,
    DisputeAnswered,
    DocumentsAnswered,
    DocumentsRequested,
    DutyBroken,
    DutyMoved,
    DutyOpened,
    DutyRescheduled,
    EntitlementEnded,
    EntitlementMoved,
    EntitlementReminded,
    EntitlementRenewed,
    FactsAmended,
    GradeNoticed,
    GradeNoticeLapsed,
    GradeSet,
    Held,
    HoldChanged,
    HoldCured,
    HoldReleased,
    IdentityResubmitted,
    KeyIssued,
    ListingCreated,
    ListingMoved,
    ListingRevised,
    MandateEnded,
    MandateGiven,
    MandateUsed,
    MoneyPassedOn,
    MovementRefused,
    NeedMoved,
    NeedPublished,
    NeedShortlisted,
    OrderCameIn,
    OrderClosed,
    OrderPlaced,
    OrderReduced,
    OrderRefused,
    OrderReplaced,
    ParticipantRegistered,
    PassedOn,
    PayoutConfirmed,
    PayoutEnded,
    PlanBegun,
    PlanSet,
    PriceLowered,
    ProductSubmitted,
    ProposalAwarded,
    ProposalCountered,
    ProposalMade,
    ProposalMarked,
    ProposalRevised,
    ProposalWithdrawn,
    Refunded,
    RefundPaid,
    ReportEnded,
    ReserveOpened,
    Reversed,
    RulebookAdopted,
    RuleNarrowed,
    Settled,
    Stage,
    Subscribed,
    SubscriptionMoved,
    Terms,
    TradeRefused,
    TradeReported,
    UsageTaken,
)
from exchange.evidence import Kind, edition_at, id_of, kind_of
from exchange.grams import attribute_grams, grams_of, normalise
from exchange.matching.metering import Line, Plan
from exchange.matching.negotiation import Criterion, Ranked
from exchange.matching.orders import Conditions

Shares = tuple[tuple[str, int], ...]
Unknown = tuple[tuple[str, tuple[str, ...]], ...]


# ---------------------------------------------------------------------------------------------------- rows
# A row's fields are the columns of its table in `schema/`, in the same order; later files add columns at the end.


class ParticipantName(Struct, kw_only=True):
    number: int
    id: str
    legal_name: str


class ProductRecord(Struct, kw_only=True):
    """What listings of the product are found by."""

    number: int
    id: str
    merchant: str
    title: str
    summary: str
    tags: tuple[str, ...]
    updates: str
    origin: str
    grade: str


class ListingRecord(Struct, kw_only=True):
    """`published_at_ns` is the first publication, 0 before; `search_text` and `grams` follow
    `exchange.grams`.
    """

    number: int
    id: str
    product: str
    board: str
    merchant: str
    merchant_name: str
    title: str
    summary: str
    tags: tuple[str, ...]
    updates: str
    origin: str
    grade: str
    mechanism: str
    right: str
    deal: str
    purposes: tuple[str, ...]
    territories: tuple[str, ...]
    price_fen: int
    price_per_units: int
    supply: str
    supply_units: int
    issued_units: int = 0
    state: str = "draft"
    created_at_ns: int
    published_at_ns: int = 0
    search_text: str = ""
    grams: tuple[str, ...] = ()
    attributes: Attributes = {}


class OrderRecord(Struct, kw_only=True, gc=False):
    """`filled` is settled, `held` is matched and on hold; both have left the market, `remaining` has not.

    `state`: open, partly_filled, filled, closed. Closed has a `closed_reason`: that of `OrderClosed`, or
    `held` while the last of it is on hold, or `hold_` and the reason why that hold ended, or
    `hold_released` where the rest was filled after an earlier hold had ended.

    `reserved` is what the order set aside (fen for a buy, units for a sale); of it `posted` went into settled trades and
    `moved` to holds, which keep it under the trade's id. The rest is set aside while the order is open, and has gone
    back once it is not.
    """

    number: int
    id: str
    participant: str
    listing: str
    side: str
    quantity: int
    filled: int = 0
    held: int = 0
    remaining: int
    limit_fen: int
    time_in_force: str
    purpose: str
    territory: str
    accepts_prior: bool
    state: str = "open"
    closed_reason: str = ""
    client_order_id: str
    placed_at_ns: int
    updated_at_ns: int
    reserved: int = 0
    posted: int = 0
    moved: int = 0
    stop_fen: int = 0
    waits: bool = False
    """Its stop has not been reached yet."""
    display: int = 0
    conditions: tuple[str, ...] = ()
    """What else it asked: minimum=N, all_or_none, post_only, self_trade=..., expires=NS, disconnects."""
    reduced: int = 0
    """What self-trade prevention took away of it."""
    broker: str = ""
    mandate: str = ""
    """Who has placed it for its participant, and under which mandate; empty for most."""


class CallAuctionRecord(Struct, gc=False):
    """A call auction that was held: what its price would trade, what was matched at it, what was left of the longer side.

    `position` counts those of one journal row.
    """

    sequence: int
    position: int
    at_ns: int
    listing: str
    price_fen: int
    quantity: int
    traded: int
    surplus: int
    reference_fen: int


class TradeRecord(Struct, kw_only=True, gc=False):
    """A trade from its verdict to its end. Instants that have not come are 0.

    `outcome`, `violated`, `unknown`, `capacities` (in which the parties acted, where a rule is broken), both
    hashes and `verdict_at_ns` are the last verdict;
    `rulebook_sha256` is the rulebook in force then. `closed_reason` is the step that ended it: accept,
    silence, hand_over, miss, reject_again, or why a hold was released. A trade refused at once has no
    amount: nothing was to be paid. `share_roles` go with `shares`; empty: all contributors.
    amount: nothing was to be paid. `refunded_fen` is what of the amount has gone back by agreement; before acceptance
    fee, merchant and shares are lowered with it.
    """

    number: int
    id: str
    listing: str
    product: str
    buyer: str
    seller: str
    buy_order: str
    sell_order: str
    quantity: int
    price_fen: int
    amount_fen: int = 0
    fee_fen: int = 0
    merchant_fen: int = 0
    shares: Shares = ()
    state: str
    outcome: str
    violated: tuple[str, ...] = ()
    unknown: Unknown = ()
    capacities: tuple[str, ...] = ()
    cured: tuple[str, ...] = ()
    facts_sha256: bytes
    rulebook_sha256: str
    verdict_at_ns: int
    entitlement: str = ""
    delivery: Delivery | None = None
    rejection_reason: str = ""
    closed_reason: str = ""
    mechanism: str
    purpose: str
    territory: str
    made_at_ns: int
    held_until_ns: int = 0
    settled_at_ns: int = 0
    delivery_due_ns: int = 0
    delivered_at_ns: int = 0
    acceptance_due_ns: int = 0
    rejected_at_ns: int = 0
    redelivery_due_ns: int = 0
    closed_at_ns: int = 0
    updated_at_ns: int
    contract: str = ""
    buyer_signature: str = ""
    share_roles: tuple[str, ...] = ()
    refunded_fen: int = 0


class ListingDayRecord(Struct, kw_only=True, gc=False):
    """What settled of a listing on a day in Beijing (`day` is its ordinal), whatever became of it afterwards.

    `before_quantity` and `before_fen` are those of the last day before on which something did; 0 on the first.
    """

    number: int
    id: str
    day: int
    listing: str
    board: str
    trades: int = 0
    quantity: int = 0
    amount_fen: int = 0
    before_quantity: int = 0
    before_fen: int = 0


class EntitlementRecord(Struct, kw_only=True, gc=False):
    """`state` is one of `clearing.delivery.EntitlementState`. `until_ns` is 0 while nothing that was accepted or may be is
    there.

    `key_sha256` is empty before a key is issued. `reason` is that of the last suspension, resumption or revocation;
    `renewed_by` the trade that was made to follow on it. `reminded_at_ns` is 0 before its buyer was reminded of its end.
    `unfounded_by` found a suspension without ground.
    """

    number: int
    id: str
    trade: str
    listing: str
    buyer: str
    seller: str
    state: str = "granted"
    granted_at_ns: int
    until_ns: int
    key_sha256: str = ""
    updated_at_ns: int
    reason: str = ""
    renewed_by: str = ""
    reminded_at_ns: int = 0
    unfounded_by: str = ""


class DutyRecord(Struct, kw_only=True, gc=False):
    """A duty after a trade, done ones too. `state` is one of `clearing.duties.DutyState`.

    `evidence_sha256` is the last that was brought for it or found against it, `decided_by` who accepted, refused, waived or
    found, with the `reason`; `found_by` the last of these. `violated` and `capacities` are of a breach.
    """

    number: int
    id: str
    kind: str
    rule: str
    participant: str
    trade: str
    listing: str
    entitlement: str
    buyer: str
    seller: str
    cause: str
    state: str = "scheduled"
    opened_at_ns: int
    due_ns: int
    provisional: bool
    reviewed: bool
    reminded_at_ns: int = 0
    evidence_sha256: str = ""
    decided_by: str = ""
    found_by: str = ""
    reason: str = ""
    violated: tuple[str, ...] = ()
    capacities: tuple[str, ...] = ()
    broken_at_ns: int = 0
    updated_at_ns: int


class ReportRecord(Struct, kw_only=True, gc=False):
    """One side's report of a bilateral trade. `state`: waiting, matched, expired, withdrawn or declined (why: `detail`).

    Two that match name each other (`matches`) and their `trade`, which is empty in journals older than that.
    """

    number: int
    id: str
    listing: str
    side: str
    participant: str
    counterparty: str
    quantity: int
    price_fen: int
    purpose: str
    territory: str
    contract_sha256: str
    state: str
    matches: str
    trade: str
    detail: str = ""
    reported_at_ns: int
    until_ns: int
    updated_at_ns: int


class GradeRecord(Struct, gc=False):
    """What happened to a grade in force: `noticed` (to be in force from `from_ns`), `lapsed` or `set`."""

    sequence: int
    position: int
    at_ns: int
    participant: str
    step: str
    grade: str
    before: str
    from_ns: int
    cause: str


class CaseRecord(Struct, kw_only=True, gc=False):
    """A case, over or not. `state` is one of `credit.remedy.CaseState`; instants are 0 where nothing happened.

    `fault` and `fault_at_ns`: reference and instant of the conduct. `objection`: empty, waits, upheld or rejected;
    `repair`: empty, waits, refused or granted. `decide_by_ns` and `decider`: of what waits, or who decided last.
    """

    number: int
    id: str
    participant: str
    kind: str
    reference: str
    fault: str
    fault_at_ns: int
    text: str
    evidence_sha256: str
    opened_by: str
    state: str
    opened_at_ns: int
    effective_ns: int
    ends_ns: int
    published_until_ns: int
    corrected_at_ns: int = 0
    correction_sha256: str = ""
    objection: str = ""
    objection_text: str = ""
    objection_sha256: str = ""
    objected_at_ns: int = 0
    objection_decided_by: str = ""
    objection_decision: str = ""
    objection_decided_at_ns: int = 0
    repair: str = ""
    commitment_sha256: str = ""
    repair_asked_at_ns: int = 0
    repair_decided_by: str = ""
    repair_decision: str = ""
    repair_decided_at_ns: int = 0
    decider: str = ""
    decide_by_ns: int = 0
    updated_at_ns: int


class NeedRecord(Struct, kw_only=True, gc=False):
    """What a buyer looks for, decided ones too. `state` is one of `exchange.need.LIFE`; `reason` is that of its end.

    `invited` is the merchant of `listing`, where it is asked of that alone. `proposals` counts all that were ever made,
    `awarded` the awards that stand.
    """

    number: int
    id: str
    kind: str
    buyer: str
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
    stages: tuple[Stage, ...]
    awards: int
    listing: str
    invited: str
    state: str = "open"
    stage: int = 0
    awarded: int = 0
    proposals: int = 0
    reason: str = ""
    published_at_ns: int
    respond_until_ns: int
    decide_until_ns: int
    updated_at_ns: int


class Offer(Struct, frozen=True, gc=False):
    """What was on the table in a negotiation; `by` merchant or buyer."""

    by: str
    quantity: int
    price_fen: int
    at_ns: int


class ProposalRecord(Struct, kw_only=True, gc=False):
    """A merchant's proposal, from its first word to its end. `state` is one of `negotiation.ProposalState`.

    Quantity and price are those of the last offer, `offers` all of them. `score_bp` and `points_bp` (by criterion) are
    of the last decision that it took part in; the state says what came of that. `opened_at_ns` is 0 while it is sealed, and
    for ever where it ended so: then nobody but its merchant is shown it. `figures` are its own, `marks` the buyer's.
    """

    number: int
    id: str
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
    marks: dict[str, int] = {}
    offers: tuple[Offer, ...]
    state: str
    score_bp: int = 0
    points_bp: tuple[int, ...] = ()
    trade: str = ""
    violated: tuple[str, ...] = ()
    made_at_ns: int
    opened_at_ns: int
    updated_at_ns: int


class AuctionRecord(Struct, kw_only=True, gc=False):
    """The auction of a listing, whose id it has. `outcome` is empty until it is over (`AuctionClosed`).

    `bids`, `opened`: how many. `leading_fen` is of an ascending one, -1 before its first bid. `reserve_fen` is the
    merchant's, -1 while it is secret.
    """

    number: int
    id: str
    kind: str
    merchant: str
    opened_at_ns: int
    bids_until_ns: int
    reveal_until_ns: int
    bids: int = 0
    opened: int = 0
    leading_fen: int = -1
    reserve_fen: int
    outcome: str = ""
    reason: str = ""
    winner: str = ""
    price_fen: int = 0
    trade: str = ""
    closed_at_ns: int = 0


class BidRecord(Struct, kw_only=True, gc=False):
    """A bid. `state`: sealed, opened, leading, outbid; then won, refused (by clearing), lost, forfeited, called_off.

    `price_fen` is -1 while it is sealed.
    """

    number: int
    id: str
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
    state: str
    placed_at_ns: int
    opened_at_ns: int = 0
    ended_at_ns: int = 0


class SubscriptionRecord(Struct, kw_only=True, gc=False):
    """A subscription, ended ones too. `state` is one of `exchange.subscription.LIFE`; `month` the first that is not billed,
    0 before delivery. `next_plan` is the plan that was announced, the subscription's from `next_plan_ns` on.
    """

    number: int
    id: str
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
    follows: str
    from_ns: int = 0
    until_ns: int = 0
    month: int = 0
    next_plan: Plan | None = None
    next_plan_ns: int = 0
    subscribed_at_ns: int
    updated_at_ns: int


class BillRecord(Struct, kw_only=True, gc=False):
    """A bill as it was made and what became of it; `state` is one of `exchange.subscription.BILL_LIFE`.

    `lines` add up to what it was made over; of that `prepaid_fen` was paid with the subscription.
    `amount_fen` is what it asks for now, `lowered_fen` what a dispute took off before the payment, `refunded_fen` after it.
    `answer` is the merchant's reason. Instants that have not come are 0.
    """

    number: int
    id: str
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
    prepaid_fen: int
    amount_fen: int
    fee_fen: int
    merchant_fen: int
    shares: Shares
    share_roles: tuple[str, ...]
    barred: tuple[str, ...]
    state: str = "due"
    made_at_ns: int
    due_ns: int
    reminded_at_ns: int = 0
    paid_at_ns: int = 0
    debt: str = ""
    disputed_fen: int = 0
    dispute_reason: str = ""
    dispute_until_ns: int = 0
    answer: str = ""
    lowered_fen: int = 0
    refunded_fen: int = 0
    updated_at_ns: int


class UsageRow(Struct, gc=False):
    """A record of use that was counted, in `month`; `sequence` and `position` say where the journal tells it."""

    sequence: int
    position: int
    at_ns: int
    subscription: str
    id: str
    units: int
    used_at_ns: int
    month: int


class AccreditationRow(Struct, gc=False, kw_only=True):
    """A step in the life of a participant's credential, in the order in which they came (`exchange.accreditation`).

    `step`: apply, request_documents, answer_documents, a decision, expire; of a proposal propose_suspend,
    suspend_withdrawn, suspend_expired, and so of revoke. `state` is what the credential is afterwards. `documents`: what
    was asked for, or the names of what came, whose `hashes` stand beside.
    """

    sequence: int
    position: int
    at_ns: int
    participant: str
    step: str
    state: str
    by: str
    proposed_by: str = ""
    classes: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    evidence_sha256: str = ""
    credential_number: str = ""
    valid_until_ns: int = 0


class DepartureRecord(Struct, kw_only=True, gc=False):
    """A participant that leaves or has left (`exchange.departure`), by its id. Instants that have not come are 0."""

    number: int
    id: str
    kind: str
    successor: str
    reason: str
    begun_at_ns: int
    accepted_at_ns: int = 0
    done_at_ns: int = 0


class CredentialRecord(Struct, kw_only=True, gc=False):
    """A credential of any state; `state` of `credit.credential.LIFE`. `reason` is that of its last step."""

    number: int
    id: str
    kind: str
    subject: str
    about: str
    state: str
    issued_at_ns: int
    valid_until_ns: int
    updated_at_ns: int
    reason: str = ""
    replaces: str = ""
    claims: Claims


class MandateRecord(Struct, kw_only=True, gc=False):
    """A mandate for a broker; `state` is running until it is revoked, given_up, expired or left. `used_fen`: ordered."""

    number: int
    id: str
    principal: str
    broker: str
    side: str
    listings: tuple[str, ...]
    boards: tuple[str, ...]
    most_fen: int
    used_fen: int = 0
    valid_until_ns: int
    given_at_ns: int
    public_key: str
    text: str
    signature: str
    state: str = "running"
    ended_at_ns: int = 0
    ended_by: str = ""


class PostingRecord(Struct, gc=False):
    """One movement: `amount` (fen, or units of `asset`) left `source` and reached `target`. Never zero.

    `sequence` is that of the journal row, `position` counts the postings in it. `reference` is the bank's
    for money paid in, the reversal's id for what it moved, the debt's for what is owed and set off, the bill's for what it
    paid and what went back of it, else empty.
    """

    sequence: int
    position: int
    at_ns: int
    kind: str
    source: str
    target: str
    asset: str
    amount: int
    trade: str
    reference: str


class RefusalRecord(Struct, gc=False):
    """`kind` is order, trade, hold or movement; of an order and a movement, `code` is its `Refused` name, of a trade
    its verdict, of a hold `hold_` and why it ended; a movement (of money) has no listing. `participant` placed the order
    or is the buyer; `counterparty` is the seller of a trade.
    """

    sequence: int
    position: int
    at_ns: int
    kind: str
    participant: str
    counterparty: str
    listing: str
    trade: str
    code: str
    detail: str
    violated: tuple[str, ...] = ()
    unknown: Unknown = ()
    capacities: tuple[str, ...] = ()


class LeafRecord(Struct, gc=False):
    """Where in the journal a leaf of evidence comes from; `position` counts the leaves of that row from 0."""

    id: str
    sequence: int
    position: int
    kind: str


class Identified(Protocol):
    id: str


Row = TypeVar("Row", bound=Identified)


class Kept(Generic[Row]):
    """Rows of one table by id, and which of them the table does not have yet or has otherwise."""

    __slots__ = ("added", "changed", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.added: dict[str, Row] = {}
        self.changed: dict[str, Row] = {}

    def know(self, row: Row) -> None:
        """A row as the table has it."""
        self.rows[row.id] = row

    def add(self, row: Row) -> None:
        assert row.id not in self.rows, f"{row.id} comes twice"
        self.rows[row.id] = self.added[row.id] = row

    def change(self, identifier: str) -> Row:
        """The row, to be changed by the caller."""
        row = self.rows[identifier]
        if identifier not in self.added:
            self.changed[identifier] = row
        return row


class View:
    """The rows that the fold may see and change. `sequence` is the journal row that is being folded."""

    def __init__(
        self,
        rulebook_sha256: str = "",
        leaves_from: int | None = None,
        editions: Sequence[tuple[int, int]] = (),
    ) -> None:
        """`leaves_from`: the first journal row whose leaves are in the log of evidence; None where there is no log.

        `editions` of that log, and the rows from which they count (`exchange.evidence.edition_at`).
        """
        self.participants: Kept[ParticipantName] = Kept()
        self.products: Kept[ProductRecord] = Kept()
        self.listings: Kept[ListingRecord] = Kept()
        self.orders: Kept[OrderRecord] = Kept()
        self.trades: Kept[TradeRecord] = Kept()
        self.entitlements: Kept[EntitlementRecord] = Kept()
        self.duties: Kept[DutyRecord] = Kept()
        self.auctions: Kept[AuctionRecord] = Kept()
        self.bids: Kept[BidRecord] = Kept()
        self.reports: Kept[ReportRecord] = Kept()
        self.days: Kept[ListingDayRecord] = Kept()
        self.last_day: dict[str, str] = {}
        self.needs: Kept[NeedRecord] = Kept()
        self.proposals: Kept[ProposalRecord] = Kept()
        self.subscriptions: Kept[SubscriptionRecord] = Kept()
        self.bills: Kept[BillRecord] = Kept()
        self.departures: Kept[DepartureRecord] = Kept()
        self.credentials: Kept[CredentialRecord] = Kept()
        self.mandates: Kept[MandateRecord] = Kept()
        self.usage: list[UsageRow] = []
        self.accreditations: list[AccreditationRow] = []
        self.postings: list[PostingRecord] = []
        self.refusals: list[RefusalRecord] = []
        self.call_auctions: list[CallAuctionRecord] = []
        self.grades: list[GradeRecord] = []
        self.cases: Kept[CaseRecord] = Kept()
        self.leaves: list[LeafRecord] = []
        self.leaves_from = leaves_from
        self.editions = editions
        self.edition = 1
        self.rulebook_sha256 = rulebook_sha256
        self.sequence = 0
        self.posted = 0
        self.refused = 0
        self.proved = 0
        self.used = 0
        self.auctioned = 0
        self.accredited = 0
        self.graded = 0

    def begin(self, sequence: int) -> None:
        """What follows is in this journal row."""
        self.sequence = sequence
        self.edition = edition_at(self.editions, sequence)
        self.used = self.posted = self.refused = self.proved = self.auctioned = self.accredited = 0
        self.graded = 0

    def post(
        self,
        at_ns: int,
        kind: str,
        source: str,
        target: str,
        amount: int,
        asset: str = CNY,
        trade: str = "",
        reference: str = "",
    ) -> None:
        """A movement; one of nothing is none."""
        if amount:
            self.posted += 1
            self.postings.append(
                PostingRecord(
                    self.sequence, self.posted, at_ns, kind, source, target, asset, amount, trade, reference
                )
            )

    def refuse(
        self, at_ns: int, kind: str, of: "OrderRefused | TradeRecord", code: str, detail: str = ""
    ) -> None:
        self.refused += 1
        if isinstance(of, OrderRefused):
            participant, counterparty, trade = of.participant, "", ""
        else:
            participant, counterparty, trade = of.buyer, of.seller, of.id
        parties = (participant, counterparty, of.listing, trade)
        place = (self.sequence, self.refused, at_ns, kind)
        reasons = (of.violated, of.unknown, of.capacities)
        self.refusals.append(RefusalRecord(*place, *parties, code, detail, *reasons))

    def prove(self, kind: Kind, event: AnyEvent, at_ns: int) -> None:
        """The event gives a leaf, in a journal row that the log has."""
        if self.leaves_from is not None and self.sequence >= self.leaves_from:
            identifier = id_of(kind, event, at_ns)
            self.leaves.append(LeafRecord(identifier, self.sequence, self.proved, kind.kind))
            self.proved += 1


def number_of(identifier: str) -> int:
    """The counter in an id: 12 of "T12". Raises ValueError for what is no id."""
    return int(identifier[1:])


def fold(view: View, event: AnyEvent, at_ns: int) -> None:
    """Change the view as the event says. KeyError where the view lacks a row that the event is about."""
    handler = HANDLERS.get(type(event))
    if handler is not None:
        handler(view, event, at_ns)
    kind = kind_of(event, view.edition)
    if kind is not None:
        view.prove(kind, event, at_ns)


# ---------------------------------------------------------------------------------------- what is on offer


def _participant(view: View, event: ParticipantRegistered, at_ns: int) -> None:
    number = number_of(event.participant)
    view.participants.add(ParticipantName(number=number, id=event.participant, legal_name=event.legal_name))


def _renamed(view: View, event: IdentityResubmitted, at_ns: int) -> None:
    """Listings made from now on show the new name."""
    view.participants.change(event.participant).legal_name = event.legal_name


def _rulebook(view: View, event: RulebookAdopted | RuleNarrowed, at_ns: int) -> None:
    view.rulebook_sha256 = event.sha256


def _product(view: View, event: ProductSubmitted, at_ns: int) -> None:
    view.products.add(
        ProductRecord(
            number=number_of(event.product),
            id=event.product,
            merchant=event.merchant,
            title=event.description.title,
            summary=event.description.summary,
            tags=event.description.tags,
            updates=event.description.update_frequency,
            origin=event.classification.origin,
            grade=event.classification.data_class,
        )
    )


def _amended(view: View, event: FactsAmended, at_ns: int) -> None:
    """A new classification is shown at once, confirmed or not: what is offered must not look milder."""
    if event.classification is None:
        return
    product = view.products.change(event.product)
    product.origin, product.grade = event.classification.origin, event.classification.data_class
    for listing in [row for row in view.listings.rows.values() if row.product == product.id]:
        view.listings.change(listing.id)
        listing.origin, listing.grade = product.origin, product.grade
        _index(listing)


def _listing(view: View, event: ListingCreated, at_ns: int) -> None:
    product = view.products.rows[event.product]
    terms = event.terms
    listing = ListingRecord(
        number=number_of(event.listing),
        id=event.listing,
        product=product.id,
        board=event.board,
        merchant=event.merchant,
        merchant_name=view.participants.rows[event.merchant].legal_name,
        title=product.title,
        summary=product.summary,
        tags=product.tags,
        updates=product.updates,
        origin=product.origin,
        grade=product.grade,
        mechanism=terms.mechanism,
        right=terms.right,
        deal=terms.deal,
        purposes=terms.purposes,
        territories=terms.territories,
        price_fen=terms.price_fen,
        price_per_units=terms.price_per_units,
        supply=terms.supply,
        supply_units=terms.supply_units,
        created_at_ns=at_ns,
        attributes=event.attributes,
    )
    view.listings.add(listing)
    _index(listing)


def _revised(view: View, event: ListingRevised, at_ns: int) -> None:
    listing = view.listings.change(event.listing)
    _take_terms(listing, event.terms)
    if event.attributes is not None:
        listing.attributes = event.attributes
    _index(listing)


def _take_terms(listing: ListingRecord, terms: Terms) -> None:
    listing.mechanism, listing.right, listing.deal = terms.mechanism, terms.right, terms.deal
    listing.purposes, listing.territories = terms.purposes, terms.territories
    listing.price_fen, listing.price_per_units = terms.price_fen, terms.price_per_units
    listing.supply, listing.supply_units = terms.supply, terms.supply_units


def _index(listing: ListingRecord) -> None:
    """Text and facets that a search finds the listing by, from its columns as they are now."""
    texts = (listing.id, listing.title, listing.summary, *listing.tags, listing.merchant_name)
    facets = {
        "board": listing.board,
        "origin": listing.origin,
        "grade": listing.grade,
        "mechanism": listing.mechanism,
    }
    attributes = sorted(listing.attributes.items())  # jsonb gives them back in an order of its own
    texts += tuple(text for _, value in attributes for text in _texts(value))
    listing.search_text = "\n".join([normalise(text) for text in texts])
    listing.grams = grams_of(texts, facets, attribute_grams(listing.attributes))


def _texts(value: Value) -> tuple[str, ...]:
    """What of an attribute can be found as text: numbers and yes or no are looked up by their names only."""
    return (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()


def _moved(view: View, event: ListingMoved, at_ns: int) -> None:
    listing = view.listings.change(event.listing)
    listing.state = event.state
    if event.state != "published":
        return
    listing.published_at_ns = listing.published_at_ns or at_ns
    if listing.mechanism == "continuous_auction" and not listing.issued_units:
        listing.issued_units = listing.supply_units
        source, asset = issue_owner(listing.id), unit_asset(listing.id)
        view.post(at_ns, "issue", source, listing.merchant, listing.issued_units, asset)


def _cash(view: View, event: CashBooked, at_ns: int) -> None:
    view.post(at_ns, "cash_in", CASH, event.participant, event.amount_fen, reference=event.bank_reference)


def _payout(view: View, event: PayoutConfirmed, at_ns: int) -> None:
    view.post(at_ns, "payout", event.participant, CASH, event.amount_fen, reference=event.bank_reference)


def _payout_ended(view: View, event: PayoutEnded, at_ns: int) -> None:
    """A rejected payment has never left."""
    if event.step == "return":
        who, reference = event.participant, event.bank_reference
        view.post(at_ns, "payout_returned", CASH, who, event.amount_fen, reference=reference)


def _break_closed(view: View, event: BreakClosed, at_ns: int) -> None:
    ends = (CASH, event.account) if event.amount_fen > 0 else (event.account, CASH)
    view.post(at_ns, "bank_entry", *ends, abs(event.amount_fen), reference=event.bank_reference)


# -------------------------------------------------------------------------------------------------- orders


def _placed(view: View, event: OrderPlaced, at_ns: int) -> None:
    view.orders.add(
        OrderRecord(
            number=number_of(event.order),
            id=event.order,
            participant=event.participant,
            listing=event.listing,
            side=event.side,
            quantity=event.quantity,
            remaining=event.quantity,
            limit_fen=event.limit_fen,
            time_in_force=event.time_in_force,
            purpose=event.purpose,
            territory=event.territory,
            accepts_prior=event.accepts_prior,
            client_order_id=event.client_order_id,
            placed_at_ns=at_ns,
            updated_at_ns=at_ns,
            reserved=event.reserved,
            **_asked(event.conditions),
        )
    )


def _asked(asks: Conditions | None) -> dict[str, Any]:
    if asks is None:
        return {}
    said = (
        (f"minimum={asks.minimum}", asks.minimum),
        ("all_or_none", asks.all_or_none),
        ("post_only", asks.post_only),
        (f"self_trade={asks.self_trade}", asks.self_trade != "cancel_newest"),
        (f"expires={asks.expires_ns}", asks.expires_ns),
        ("disconnects", asks.session),
    )
    return {
        "stop_fen": asks.stop_fen,
        "waits": bool(asks.stop_fen),
        "display": asks.display,
        "conditions": tuple(word for word, says in said if says),
    }


def _came_in(view: View, event: OrderCameIn, at_ns: int) -> None:
    order = view.orders.change(event.order)
    order.waits, order.updated_at_ns = False, at_ns
    order.reserved += event.reserved


def _replaced(view: View, event: OrderReplaced, at_ns: int) -> None:
    """What is set aside from now on, and what of it has gone already."""
    order = view.orders.change(event.order)
    order.quantity, order.remaining, order.limit_fen = event.quantity, event.remaining, event.limit_fen
    order.stop_fen, order.display, order.updated_at_ns = event.stop_fen, event.display, at_ns
    order.reserved = order.posted + order.moved + event.reserved
    if order.remaining and order.state == "open" and (order.filled or order.held):
        order.state = "partly_filled"


def _reduced(view: View, event: OrderReduced, at_ns: int) -> None:
    order = view.orders.change(event.order)
    order.reduced += event.quantity
    order.remaining -= event.quantity
    order.updated_at_ns = at_ns


def is_order(identifier: str) -> bool:
    """Whether a side of a trade is an order; a cured hold pays out of the hold's own reservation instead."""
    return identifier.startswith("O")


def _match(view: View, identifier: str, filled: int, held: int, at_ns: int) -> None:
    """What of an order is settled or held changes by these quantities; what is neither any more has ended."""
    if not is_order(identifier):
        return
    order = view.orders.change(identifier)
    order.filled += filled
    order.held += held
    order.updated_at_ns = at_ns


def _take(view: View, identifier: str, quantity: int, posted: int = 0, moved: int = 0) -> None:
    """A fill or a hold takes this quantity of an order, and fen or units out of its reservation."""
    if is_order(identifier):
        order = view.orders.change(identifier)
        order.remaining -= quantity
        order.posted += posted
        order.moved += moved


def _restate(view: View, trade: TradeRecord, after_hold: str = "hold_released") -> None:
    """The state of a trade's orders from their quantities."""
    for identifier in (trade.buy_order, trade.sell_order):
        if not is_order(identifier):
            continue
        order = view.orders.change(identifier)
        if order.remaining:
            order.state = "partly_filled" if order.filled or order.held else "open"
        elif order.state != "closed" or order.closed_reason == "held":
            _exhausted(order, after_hold)


def _exhausted(order: OrderRecord, after_hold: str) -> None:
    """Nothing of the order is left in the market, by matching alone."""
    if order.filled + order.reduced == order.quantity:
        order.state, order.closed_reason = "filled", ""
    else:
        order.state, order.closed_reason = "closed", "held" if order.held else after_hold


def _closed(view: View, event: OrderClosed, at_ns: int) -> None:
    order = view.orders.change(event.order)
    order.state, order.closed_reason, order.remaining = "closed", event.reason, 0
    order.updated_at_ns = at_ns


def _auctioned(view: View, event: CallAuctionHeld, at_ns: int) -> None:
    view.auctioned += 1
    view.call_auctions.append(
        CallAuctionRecord(
            view.sequence,
            view.auctioned,
            at_ns,
            event.listing,
            event.price_fen,
            event.quantity,
            event.traded,
            event.surplus,
            event.reference_fen,
        )
    )


def _order_refused(view: View, event: OrderRefused, at_ns: int) -> None:
    view.refuse(at_ns, "order", event, event.code, event.detail)


# -------------------------------------------------------------------------------------------------- trades


def _settled(view: View, event: Settled, at_ns: int) -> None:
    trade = view.trades.rows.get(event.trade)
    if trade is None:
        trade = _new_trade(
            view, event, at_ns, "settled", "allow", event.mechanism, event.purpose, event.territory
        )
        held = 0
        _take(view, trade.buy_order, event.quantity, event.amount_fen)
        _take(view, trade.sell_order, event.quantity, event.quantity)
    else:
        trade, held = view.trades.change(event.trade), -event.quantity
        _judged(view, trade, "allow", event.facts_sha256, at_ns)
    trade.state, trade.settled_at_ns, trade.updated_at_ns = "settled", at_ns, at_ns
    trade.amount_fen, trade.fee_fen, trade.merchant_fen = event.amount_fen, event.fee_fen, event.merchant_fen
    trade.shares, trade.entitlement, trade.delivery_due_ns = event.shares, event.entitlement, event.due_ns
    trade.contract, trade.buyer_signature = event.contract, event.buyer_signature
    trade.share_roles = event.share_roles
    for order in (trade.buy_order, trade.sell_order):
        _match(view, order, event.quantity, held, at_ns)
    _restate(view, trade)
    _count_day(view, event, at_ns)
    if event.due_ns:
        view.post(at_ns, "escrow", event.buyer, ESCROW, event.amount_fen, trade=event.trade)
        _grant(view, event, at_ns)
    else:
        _hand_over(view, trade, at_ns)


DAY_STEP: Final = 10**12
"""More than there will be listings: a day and a listing make one number."""


def day_id(listing: str, at_ns: int) -> str:
    """The id of what settles of a listing on the Beijing day of an instant."""
    return f"G{day_of(at_ns).toordinal() * DAY_STEP + number_of(listing)}"


def _count_day(view: View, event: Settled, at_ns: int) -> None:
    identifier = day_id(event.listing, at_ns)
    if identifier not in view.days.rows:
        before = view.days.rows.get(view.last_day.get(event.listing, ""))
        view.days.add(
            ListingDayRecord(
                number=number_of(identifier),
                id=identifier,
                day=number_of(identifier) // DAY_STEP,
                listing=event.listing,
                board=view.listings.rows[event.listing].board,
                before_quantity=0 if before is None else before.quantity,
                before_fen=0 if before is None else before.amount_fen,
            )
        )
        view.last_day[event.listing] = identifier
    day = view.days.change(identifier)
    day.trades += 1
    day.quantity += event.quantity
    day.amount_fen += event.amount_fen


def _new_trade(
    view: View,
    event: Settled | Held | TradeRefused,
    at_ns: int,
    state: str,
    outcome: str,
    mechanism: str,
    purpose: str,
    territory: str,
) -> TradeRecord:
    trade = TradeRecord(
        number=number_of(event.trade),
        id=event.trade,
        listing=event.listing,
        product=view.listings.rows[event.listing].product,
        buyer=event.buyer,
        seller=event.seller,
        buy_order=event.buy_order,
        sell_order=event.sell_order,
        quantity=event.quantity,
        price_fen=event.price_fen,
        state=state,
        outcome=outcome,
        facts_sha256=event.facts_sha256,
        rulebook_sha256=view.rulebook_sha256,
        verdict_at_ns=at_ns,
        mechanism=mechanism,
        purpose=purpose,
        territory=territory,
        made_at_ns=at_ns,
        updated_at_ns=at_ns,
    )
    view.trades.add(trade)
    return trade


def _judged(view: View, trade: TradeRecord, outcome: str, facts_sha256: bytes, at_ns: int) -> None:
    """A second verdict on a trade that was on hold."""
    trade.outcome, trade.violated, trade.unknown, trade.capacities = outcome, (), (), ()
    trade.facts_sha256, trade.rulebook_sha256, trade.verdict_at_ns = facts_sha256, view.rulebook_sha256, at_ns


def _grant(view: View, event: Settled, at_ns: int) -> None:
    if event.entitlement:
        view.entitlements.add(
            EntitlementRecord(
                number=number_of(event.entitlement),
                id=event.entitlement,
                trade=event.trade,
                listing=event.listing,
                buyer=event.buyer,
                seller=event.seller,
                granted_at_ns=at_ns,
                until_ns=0,
                updated_at_ns=at_ns,
            )
        )


def _hand_over(view: View, trade: TradeRecord, at_ns: int) -> None:
    """Existing units against payment in the same instant."""
    trade.state, trade.closed_reason, trade.closed_at_ns = "completed", "hand_over", at_ns
    _pay(view, trade, trade.buyer, at_ns)
    view.post(at_ns, "units", trade.seller, trade.buyer, trade.quantity, unit_asset(trade.listing), trade.id)


def _pay(view: View, trade: TradeRecord, source: str, at_ns: int) -> None:
    """Fee, merchant and contributors, as they were fixed at settlement (广州 12-14, 按贡献分配)."""
    view.post(at_ns, "fee", source, FEES, trade.fee_fen, trade=trade.id)
    view.post(at_ns, "merchant", source, trade.seller, trade.merchant_fen, trade=trade.id)
    for participant, share_fen in trade.shares:
        view.post(at_ns, "share", source, participant, share_fen, trade=trade.id)


def _held(view: View, event: Held, at_ns: int) -> None:
    trade = _new_trade(view, event, at_ns, "held", "hold", event.mechanism, event.purpose, event.territory)
    trade.amount_fen, trade.violated, trade.held_until_ns = event.amount_fen, event.violated, event.until_ns
    trade.capacities = event.capacities
    for order, moved in ((event.buy_order, event.amount_fen), (event.sell_order, event.quantity)):
        _take(view, order, event.quantity, moved=moved)
        _match(view, order, 0, event.quantity, at_ns)
    _restate(view, trade)


def _trade_refused(view: View, event: TradeRefused, at_ns: int) -> None:
    """Nothing moved. Terms of use come from the orders: the event carries none."""
    listing = view.listings.rows[event.listing]
    orders = [view.orders.rows[side] for side in (event.buy_order, event.sell_order) if is_order(side)]
    purpose, territory = (orders[0].purpose, orders[0].territory) if orders else ("", "")
    trade = _new_trade(view, event, at_ns, "refused", event.outcome, listing.mechanism, purpose, territory)
    trade.violated, trade.unknown, trade.closed_at_ns = event.violated, event.unknown, at_ns
    trade.capacities = event.capacities
    view.refuse(at_ns, "trade", trade, event.outcome)


def _cured(view: View, event: HoldCured, at_ns: int) -> None:
    trade = view.trades.change(event.trade)
    trade.cured, trade.updated_at_ns = (*trade.cured, event.rule), at_ns


def _overtaken(view: View, event: CureOvertaken, at_ns: int) -> None:
    """An attestation is in no query table; the holds that stood on it are told by events of their own."""
    if event.trade:
        trade = view.trades.change(event.trade)
        trade.cured = tuple(rule for rule in trade.cured if rule not in event.rules)
        trade.updated_at_ns = at_ns


def _hold_changed(view: View, event: HoldChanged, at_ns: int) -> None:
    """A second look that holds still is a verdict of its own."""
    trade = view.trades.change(event.trade)
    _judged(view, trade, event.outcome, event.facts_sha256, at_ns)
    trade.violated, trade.unknown, trade.capacities = event.violated, event.unknown, event.capacities
    trade.updated_at_ns = at_ns


def _released(view: View, event: HoldReleased, at_ns: int) -> None:
    """A second look that refuses is a verdict of its own; a date that passes is not."""
    trade = view.trades.change(event.trade)
    if event.reason == "refused":
        _judged(view, trade, "reject", trade.facts_sha256, at_ns)
    trade.violated = event.violated or trade.violated
    trade.capacities = event.capacities or trade.capacities
    trade.state, trade.closed_reason = "refused", event.reason
    trade.closed_at_ns = trade.updated_at_ns = at_ns
    for order in (trade.buy_order, trade.sell_order):
        _match(view, order, 0, -trade.quantity, at_ns)
    _restate(view, trade, f"hold_{event.reason}")
    view.refuse(at_ns, "hold", trade, f"hold_{event.reason}")


def _delivered(view: View, event: Delivered, at_ns: int) -> None:
    trade = view.trades.change(event.trade)
    trade.state = "redelivered" if event.step == "redeliver" else "delivered"
    trade.delivery, trade.acceptance_due_ns = event.delivery, event.due_ns
    trade.delivered_at_ns = trade.updated_at_ns = at_ns
    _entitlement_state(view, trade.entitlement, "active", at_ns)
    entitlement = view.entitlements.change(trade.entitlement)
    entitlement.until_ns, entitlement.reminded_at_ns = event.entitlement_until_ns, 0


def _delivery_rejected(view: View, event: DeliveryRejected, at_ns: int) -> None:
    trade = view.trades.change(event.trade)
    trade.state, trade.rejection_reason, trade.redelivery_due_ns = "rejected", event.reason, event.due_ns
    trade.rejected_at_ns = trade.updated_at_ns = at_ns
    _entitlement_state(view, trade.entitlement, "granted", at_ns)
    view.entitlements.change(trade.entitlement).until_ns = 0


def _postponed(view: View, event: CompletionPostponed, at_ns: int) -> None:
    trade = view.trades.change(event.trade)
    trade.acceptance_due_ns, trade.updated_at_ns = event.due_ns, at_ns


def _completed(view: View, event: Completed, at_ns: int) -> None:
    trade = _ended(view, event.trade, "completed", event.step, at_ns)
    _pay(view, trade, ESCROW, at_ns)


def _refunded(view: View, event: Refunded, at_ns: int) -> None:
    trade = _ended(view, event.trade, "refunded", event.step, at_ns)
    view.post(at_ns, "refund", ESCROW, trade.buyer, trade.amount_fen - trade.refunded_fen, trade=trade.id)
    _entitlement_state(view, trade.entitlement, "revoked", at_ns)


def _lowered(view: View, event: PriceLowered, at_ns: int) -> None:
    trade = view.trades.change(event.trade)
    trade.refunded_fen += event.amount_fen
    trade.fee_fen, trade.merchant_fen, trade.shares = event.fee_fen, event.merchant_fen, event.shares
    trade.updated_at_ns = at_ns
    view.post(at_ns, "refund", ESCROW, trade.buyer, event.amount_fen, trade=trade.id)


def _refund_paid(view: View, event: RefundPaid, at_ns: int) -> None:
    trade = view.trades.change(event.trade)
    trade.refunded_fen += event.deposit_fen + event.cash_fen + event.debt_fen
    trade.updated_at_ns = at_ns
    for source, amount_fen in (
        (deposit_owner(event.seller), event.deposit_fen),
        (event.seller, event.cash_fen),
    ):
        view.post(at_ns, "refund", source, event.buyer, amount_fen, trade=event.trade)
    debtor = debtor_owner(event.seller)
    view.post(at_ns, "debt", debtor, event.buyer, event.debt_fen, DEBT, event.trade, event.debt)


def _ended(view: View, identifier: str, state: str, reason: str, at_ns: int) -> TradeRecord:
    trade = view.trades.change(identifier)
    trade.state, trade.closed_reason = state, reason
    trade.closed_at_ns = trade.updated_at_ns = at_ns
    return trade


# ------------------------------------------------------------------------------------------------- ledger


def _set_off(view: View, event: DebtSetOff, at_ns: int) -> None:
    debtor, creditor, amount_fen = event.debtor, event.creditor, event.amount_fen
    view.post(at_ns, "set_off", debtor, creditor, amount_fen, reference=event.debt)
    view.post(at_ns, "set_off", creditor, debtor_owner(debtor), amount_fen, DEBT, reference=event.debt)


def _deposit_paid(view: View, event: DepositPaid, at_ns: int) -> None:
    view.post(at_ns, "deposit", event.participant, deposit_owner(event.participant), event.amount_fen)


def _deposit_taken(view: View, event: DepositTaken, at_ns: int) -> None:
    view.post(at_ns, "deposit_return", deposit_owner(event.participant), event.participant, event.amount_fen)


def _reversed(view: View, event: Reversed, at_ns: int) -> None:
    """The trade stays what it was; its postings of the other direction carry its id and the reversal's."""
    trade = event.transaction if event.trade else ""
    for source, target, asset, amount in reversed(event.legs):
        view.post(at_ns, "reversal", target, source, amount, asset, trade, event.reversal)
    if trade:
        row = view.trades.change(trade)
        row.closed_reason, row.updated_at_ns = "reversed", at_ns


def _movement_refused(view: View, event: MovementRefused, at_ns: int) -> None:
    view.refused += 1
    detail = f"{event.movement}: {event.detail}"
    place = (view.sequence, view.refused, at_ns, "movement")
    view.refusals.append(RefusalRecord(*place, event.participant, "", "", "", event.code, detail))


# -------------------------------------------------------------------------------------------- entitlements


def _entitlement_state(view: View, identifier: str, state: str, at_ns: int) -> None:
    if identifier:
        entitlement = view.entitlements.change(identifier)
        entitlement.state, entitlement.updated_at_ns = state, at_ns


def _key(view: View, event: KeyIssued, at_ns: int) -> None:
    entitlement = view.entitlements.change(event.entitlement)
    entitlement.key_sha256, entitlement.updated_at_ns = event.key_sha256, at_ns


def _entitlement_ended(view: View, event: EntitlementEnded, at_ns: int) -> None:
    _entitlement_state(view, event.entitlement, ENTITLEMENT_ENDS[event.step], at_ns)
    if event.reason:
        view.entitlements.change(event.entitlement).reason = event.reason


def _entitlement_moved(view: View, event: EntitlementMoved, at_ns: int) -> None:
    _entitlement_state(view, event.entitlement, event.state, at_ns)
    entitlement = view.entitlements.change(event.entitlement)
    entitlement.reason = event.reason
    if event.unfounded:
        entitlement.unfounded_by = event.by
    if event.left_ns or event.until_ns:
        entitlement.until_ns, entitlement.reminded_at_ns = event.until_ns, 0


def _entitlement_reminded(view: View, event: EntitlementReminded, at_ns: int) -> None:
    entitlement = view.entitlements.change(event.entitlement)
    entitlement.reminded_at_ns = entitlement.updated_at_ns = at_ns


def _entitlement_renewed(view: View, event: EntitlementRenewed, at_ns: int) -> None:
    entitlement = view.entitlements.change(event.entitlement)
    entitlement.renewed_by, entitlement.updated_at_ns = event.trade, at_ns


# ------------------------------------------------------------------------------------------------ duties


def _duty_opened(view: View, event: DutyOpened, at_ns: int) -> None:
    view.duties.add(
        DutyRecord(
            number=number_of(event.duty),
            id=event.duty,
            kind=event.kind,
            rule=event.rule,
            participant=event.participant,
            trade=event.trade,
            listing=event.listing,
            entitlement=event.entitlement,
            buyer=event.buyer,
            seller=event.seller,
            cause=event.cause,
            opened_at_ns=at_ns,
            due_ns=event.due_ns,
            provisional=event.provisional,
            reviewed=event.reviewed,
            updated_at_ns=at_ns,
        )
    )


def _duty_moved(view: View, event: DutyMoved, at_ns: int) -> None:
    """What was deleted and proven is told of the entitlement too."""
    duty = view.duties.change(event.duty)
    duty.state, duty.updated_at_ns = event.state, at_ns
    if event.step == "remind":
        duty.reminded_at_ns = at_ns
    elif event.step == "prove":
        duty.evidence_sha256 = event.evidence_sha256
    else:
        duty.decided_by, duty.reason = event.by, event.reason
        duty.evidence_sha256 = event.evidence_sha256 or duty.evidence_sha256
    if event.kind == "deletion" and event.step == "accept":
        _entitlement_state(view, event.entitlement, "deleted", at_ns)


def _duty_broken(view: View, event: DutyBroken, at_ns: int) -> None:
    duty = view.duties.change(event.duty)
    duty.state, duty.violated, duty.capacities = "broken", event.violated, event.capacities
    duty.broken_at_ns = duty.updated_at_ns = at_ns
    duty.decided_by, duty.found_by, duty.reason = event.by, event.by, event.reason
    duty.evidence_sha256 = event.evidence_sha256 or duty.evidence_sha256


def _duty_rescheduled(view: View, event: DutyRescheduled, at_ns: int) -> None:
    duty = view.duties.change(event.duty)
    duty.due_ns, duty.provisional, duty.updated_at_ns = event.due_ns, event.provisional, at_ns


# ----------------------------------------------------------------------------------------- accreditations

LED_TO: Final = {
    "accredit": "accredited",
    "renew": "accredited",
    "refuse": "none",
    "suspend": "suspended",
    "restore": "accredited",
    "revoke": "revoked",
}
"""What a decision led to in journals of before it said so."""


def _accreditation(
    view: View, at_ns: int, participant: str, step: str, state: str, by: str, **said: Any
) -> None:
    view.accredited += 1
    view.accreditations.append(
        AccreditationRow(
            sequence=view.sequence,
            position=view.accredited,
            at_ns=at_ns,
            participant=participant,
            step=step,
            state=state,
            by=by,
            **said,
        )
    )


def _accreditation_applied(view: View, event: AccreditationApplied, at_ns: int) -> None:
    said = {
        "classes": event.classes or ("merchant",),
        "boards": event.boards,
        "evidence_sha256": event.evidence_sha256,
    }
    _accreditation(view, at_ns, event.participant, "apply", "applied", event.participant, **said)


def _accreditation_decided(view: View, event: AccreditationDecided, at_ns: int) -> None:
    _accreditation(
        view,
        at_ns,
        event.participant,
        event.step,
        event.state or LED_TO[event.step],
        event.by,
        proposed_by=event.proposed_by,
        classes=event.classes,
        boards=event.boards,
        reasons=event.reasons,
        evidence_sha256=event.evidence_sha256,
        credential_number=event.credential_number,
        valid_until_ns=event.valid_until_ns,
    )


def _documents_requested(view: View, event: DocumentsRequested, at_ns: int) -> None:
    said = {"documents": event.documents, "reasons": event.reasons}
    _accreditation(view, at_ns, event.participant, "request_documents", "under_review", event.by, **said)


def _documents_answered(view: View, event: DocumentsAnswered, at_ns: int) -> None:
    said = {
        "documents": tuple(name for name, _ in event.documents),
        "hashes": tuple(sha256 for _, sha256 in event.documents),
    }
    who = event.participant
    _accreditation(view, at_ns, who, "answer_documents", "under_review", who, **said)


def _accreditation_proposed(view: View, event: AccreditationProposed, at_ns: int) -> None:
    said = {"reasons": event.reasons, "evidence_sha256": event.evidence_sha256}
    _accreditation(view, at_ns, event.participant, f"propose_{event.step}", event.state, event.by, **said)


def _accreditation_proposal_ended(view: View, event: AccreditationProposalEnded, at_ns: int) -> None:
    step = f"{event.step}_{event.how}"
    _accreditation(view, at_ns, event.participant, step, event.state, event.by, reasons=event.reasons)


# --------------------------------------------------------------------------------------------- departures


def _departure_begun(view: View, event: DepartureBegun, at_ns: int) -> None:
    """Said again, it takes the place of what was said."""
    if event.participant in view.departures.rows:
        known = view.departures.change(event.participant)
        known.kind, known.successor, known.reason = event.kind, event.successor, event.reason
        return
    view.departures.add(
        DepartureRecord(
            number=number_of(event.participant),
            id=event.participant,
            kind=event.kind,
            successor=event.successor,
            reason=event.reason,
            begun_at_ns=at_ns,
        )
    )


def _departure_accepted(view: View, event: DepartureAccepted, at_ns: int) -> None:
    view.departures.change(event.participant).accepted_at_ns = at_ns


def _departure_done(view: View, event: DepartureDone, at_ns: int) -> None:
    view.departures.change(event.participant).done_at_ns = at_ns


def _passed_on(view: View, event: PassedOn, at_ns: int) -> None:
    """Every row that named the one names the other."""
    kept: dict[str, Kept[Any]] = {
        "product": view.products,
        "listing": view.listings,
        "trade": view.trades,
        "entitlement": view.entitlements,
        "subscription": view.subscriptions,
        "bill": view.bills,
        "duty": view.duties,
    }
    for name in event.ids:
        row = kept[event.kind].change(name)
        for field in ("merchant", "buyer", "seller", "participant"):
            if getattr(row, field, "") == event.participant:
                setattr(row, field, event.successor)
        if event.kind == "listing":
            _listing_passed(view, row, event.successor)


def _listing_passed(view: View, listing: ListingRecord, successor: str) -> None:
    listing.merchant_name = view.participants.rows[successor].legal_name
    _index(listing)
    if listing.id in view.auctions.rows:
        view.auctions.change(listing.id).merchant = successor


def _money_passed_on(view: View, event: MoneyPassedOn, at_ns: int) -> None:
    for source, target, asset, amount in event.legs:
        view.post(at_ns, "succession", source, target, amount, asset)


# ---------------------------------------------------------------------------------------------- mandates


def _mandate_given(view: View, event: MandateGiven, at_ns: int) -> None:
    view.mandates.add(
        MandateRecord(
            number=number_of(event.mandate),
            id=event.mandate,
            principal=event.principal,
            broker=event.broker,
            side=event.side,
            listings=event.listings,
            boards=event.boards,
            most_fen=event.most_fen,
            valid_until_ns=event.valid_until_ns,
            given_at_ns=at_ns,
            public_key=event.public_key,
            text=event.text,
            signature=event.signature,
        )
    )


def _mandate_ended(view: View, event: MandateEnded, at_ns: int) -> None:
    row = view.mandates.change(event.mandate)
    row.state, row.ended_at_ns, row.ended_by = event.how, at_ns, event.by


def _mandate_used(view: View, event: MandateUsed, at_ns: int) -> None:
    view.mandates.change(event.mandate).used_fen += event.amount_fen
    order = view.orders.change(event.order)
    order.broker, order.mandate = event.broker, event.mandate


# ----------------------------------------------------------------------------------------------- reports


def _reported(view: View, event: TradeReported, at_ns: int) -> None:
    """The second of two reports ends the waiting of the first."""
    if event.matches:
        first = view.reports.change(event.matches)
        first.state, first.matches, first.trade, first.updated_at_ns = (
            "matched",
            event.report,
            event.trade,
            at_ns,
        )
    view.reports.add(
        ReportRecord(
            number=number_of(event.report),
            id=event.report,
            listing=event.listing,
            side=event.side,
            participant=event.participant,
            counterparty=event.counterparty,
            quantity=event.quantity,
            price_fen=event.price_fen,
            purpose=event.purpose,
            territory=event.territory,
            contract_sha256=event.contract_sha256,
            state="matched" if event.matches else "waiting",
            matches=event.matches,
            trade=event.trade,
            reported_at_ns=at_ns,
            until_ns=event.until_ns,
            updated_at_ns=at_ns,
        )
    )


def _report_ended(view: View, event: ReportEnded, at_ns: int) -> None:
    report = view.reports.change(event.report)
    report.state, report.detail, report.updated_at_ns = event.reason, event.detail, at_ns


# ------------------------------------------------------------------------------------------------- needs


def _need_published(view: View, event: NeedPublished, at_ns: int) -> None:
    view.needs.add(
        NeedRecord(
            number=number_of(event.need),
            id=event.need,
            kind=event.kind,
            buyer=event.buyer,
            board=event.board,
            title=event.title,
            text=event.text,
            purpose=event.purpose,
            territory=event.territory,
            right=event.right,
            fields=event.fields,
            quantity=event.quantity,
            budget_fen=event.budget_fen,
            criteria=event.criteria,
            stages=event.stages,
            awards=event.awards,
            listing=event.listing,
            invited=event.invited,
            published_at_ns=at_ns,
            respond_until_ns=event.respond_until_ns,
            decide_until_ns=event.decide_until_ns,
            updated_at_ns=at_ns,
        )
    )


def _need_moved(view: View, event: NeedMoved, at_ns: int) -> None:
    need = view.needs.change(event.need)
    need.state, need.reason, need.updated_at_ns = event.state, event.reason, at_ns
    for proposal in event.opened:
        _proposal_state(view, proposal, "offered", at_ns)
        view.proposals.change(proposal).opened_at_ns = at_ns
    for proposal in event.closed:
        _proposal_state(view, proposal, "closed", at_ns)


def _need_shortlisted(view: View, event: NeedShortlisted, at_ns: int) -> None:
    need = view.needs.change(event.need)
    need.state, need.stage, need.updated_at_ns = "open", event.stage, at_ns
    need.respond_until_ns = event.respond_until_ns
    _scored(view, event.ranking)
    for proposal in event.eliminated:
        _proposal_state(view, proposal, "eliminated", at_ns)


def _proposal_state(view: View, proposal: str, state: str, at_ns: int) -> None:
    row = view.proposals.change(proposal)
    row.state, row.updated_at_ns = state, at_ns


def _scored(view: View, ranking: tuple[Ranked, ...]) -> None:
    for ranked in ranking:
        row = view.proposals.change(ranked.id)
        row.score_bp, row.points_bp = ranked.score_bp, ranked.points_bp


def _proposal_made(view: View, event: ProposalMade, at_ns: int) -> None:
    need = view.needs.change(event.need)
    need.proposals, need.updated_at_ns = need.proposals + 1, at_ns
    view.proposals.add(
        ProposalRecord(
            number=number_of(event.proposal),
            id=event.proposal,
            need=event.need,
            buyer=event.buyer,
            merchant=event.merchant,
            listing=event.listing,
            quantity=event.quantity,
            price_fen=event.price_fen,
            price_per_units=event.price_per_units,
            delivery_days=event.delivery_days,
            text=event.text,
            figures=event.figures,
            offers=(Offer("merchant", event.quantity, event.price_fen, at_ns),),
            state="sealed" if event.sealed else "offered",
            made_at_ns=at_ns,
            opened_at_ns=0 if event.sealed else at_ns,
            updated_at_ns=at_ns,
        )
    )


def _proposal_revised(view: View, event: ProposalRevised, at_ns: int) -> None:
    """Scores and marks were of what it said before."""
    row = view.proposals.change(event.proposal)
    row.listing, row.quantity, row.price_fen = event.listing, event.quantity, event.price_fen
    row.price_per_units, row.delivery_days = event.price_per_units, event.delivery_days
    row.text, row.figures, row.marks, row.score_bp, row.points_bp = event.text, event.figures, {}, 0, ()
    row.offers = (*row.offers, Offer("merchant", event.quantity, event.price_fen, at_ns))
    row.updated_at_ns = at_ns


def _proposal_countered(view: View, event: ProposalCountered, at_ns: int) -> None:
    _proposal_state(view, event.proposal, event.state, at_ns)
    row = view.proposals.change(event.proposal)
    row.quantity, row.price_fen = event.quantity, event.price_fen
    by = "merchant" if event.state == "offered" else "buyer"
    row.offers = (*row.offers, Offer(by, event.quantity, event.price_fen, at_ns))


def _proposal_withdrawn(view: View, event: ProposalWithdrawn, at_ns: int) -> None:
    _proposal_state(view, event.proposal, "withdrawn", at_ns)


def _proposal_marked(view: View, event: ProposalMarked, at_ns: int) -> None:
    row = view.proposals.change(event.proposal)
    row.marks, row.updated_at_ns = {**row.marks, **event.marks}, at_ns


def _proposal_awarded(view: View, event: ProposalAwarded, at_ns: int) -> None:
    _proposal_state(view, event.proposal, event.state, at_ns)
    row = view.proposals.change(event.proposal)
    row.trade, row.violated = event.trade, event.violated
    _scored(view, event.ranking)
    if event.state == "awarded":
        view.needs.change(event.need).awarded += 1


# ---------------------------------------------------------------------------------------------- auctions


def _auction_opened(view: View, event: AuctionOpened, at_ns: int) -> None:
    listing = view.listings.rows[event.listing]
    view.auctions.add(
        AuctionRecord(
            number=listing.number,
            id=listing.id,
            kind=event.kind,
            merchant=listing.merchant,
            opened_at_ns=at_ns,
            bids_until_ns=event.bids_until_ns,
            reveal_until_ns=event.reveal_until_ns,
            reserve_fen=event.reserve_fen,
        )
    )


def _bid_placed(view: View, event: BidPlaced, at_ns: int) -> None:
    auction = view.auctions.change(event.listing)
    auction.bids += 1
    auction.bids_until_ns, auction.reveal_until_ns = event.bids_until_ns, event.reveal_until_ns
    if not event.commitment:
        auction.leading_fen = event.price_fen
    if event.outbid:
        _bid_takes(view, event.outbid, "outbid", at_ns)
    view.bids.add(
        BidRecord(
            number=number_of(event.bid),
            id=event.bid,
            listing=event.listing,
            participant=event.participant,
            commitment=event.commitment,
            price_fen=-1 if event.commitment else event.price_fen,
            quantity=event.quantity,
            purpose=event.purpose,
            territory=event.territory,
            accepts_prior=event.accepts_prior,
            deposit_fen=event.deposit_fen,
            reserved_fen=event.reserved_fen,
            state="sealed" if event.commitment else "leading",
            placed_at_ns=at_ns,
        )
    )


def _bid_takes(view: View, identifier: str, step: str, at_ns: int) -> None:
    """A step that ends the bid."""
    bid = view.bids.change(identifier)
    bid.state, bid.ended_at_ns = BID_LIFE[bid.state, step], at_ns


def _bid_revealed(view: View, event: BidRevealed, at_ns: int) -> None:
    view.auctions.change(event.listing).opened += 1
    bid = view.bids.change(event.bid)
    bid.state, bid.opened_at_ns = BID_LIFE[bid.state, "open"], at_ns
    bid.price_fen, bid.reserved_fen = event.price_fen, event.reserved_fen


def _reserve_opened(view: View, event: ReserveOpened, at_ns: int) -> None:
    view.auctions.change(event.listing).reserve_fen = event.reserve_fen


def _bid_ended(view: View, event: BidEnded, at_ns: int) -> None:
    _bid_takes(view, event.bid, event.step, at_ns)
    if event.paid_to:
        view.post(at_ns, "forfeit", event.participant, event.paid_to, event.deposit_fen, reference=event.bid)


def _auction_closed(view: View, event: AuctionClosed, at_ns: int) -> None:
    auction = view.auctions.change(event.listing)
    auction.outcome, auction.reason, auction.closed_at_ns = event.outcome, event.reason, at_ns
    auction.winner, auction.price_fen, auction.trade = event.bid, event.price_fen, event.trade
    if event.bid:
        _bid_takes(view, event.bid, "win", at_ns)


# ------------------------------------------------------------------------------------------- subscriptions


def _subscribed(view: View, event: Subscribed, at_ns: int) -> None:
    view.subscriptions.add(
        SubscriptionRecord(
            number=number_of(event.subscription),
            id=event.subscription,
            listing=event.listing,
            trade=event.trade,
            entitlement=event.entitlement,
            buyer=event.buyer,
            seller=event.seller,
            purpose=event.purpose,
            territory=event.territory,
            months=event.months,
            plan=event.plan,
            state=event.state,
            follows=event.follows,
            subscribed_at_ns=at_ns,
            updated_at_ns=at_ns,
        )
    )


def _subscription_moved(view: View, event: SubscriptionMoved, at_ns: int) -> None:
    row = view.subscriptions.change(event.subscription)
    row.state, row.updated_at_ns = event.state, at_ns
    row.entitlement = event.entitlement or row.entitlement
    if event.step == "deliver":
        row.from_ns, row.until_ns, row.month = event.from_ns, event.until_ns, month_of(event.from_ns)
    elif event.step == "reject":
        row.from_ns = row.until_ns = row.month = 0
    elif event.step == "stop":
        row.until_ns = event.until_ns


def _usage(view: View, event: UsageTaken, at_ns: int) -> None:
    for one, month in zip(event.records, event.months, strict=True):
        view.used += 1
        place = (view.sequence, view.used, at_ns)
        view.usage.append(UsageRow(*place, event.subscription, one.id, one.units, one.at_ns, month))


def _plan_set(view: View, event: PlanSet, at_ns: int) -> None:
    if not event.waits:
        view.listings.change(event.listing).price_fen = event.price_fen
    for subscription, from_ns in event.binds:
        row = view.subscriptions.change(subscription)
        row.next_plan, row.next_plan_ns, row.updated_at_ns = event.plan, from_ns, at_ns


def _plan_begun(view: View, event: PlanBegun, at_ns: int) -> None:
    view.listings.change(event.listing).price_fen = event.price_fen


def _bill_made(view: View, event: BillMade, at_ns: int) -> None:
    view.bills.add(
        BillRecord(
            number=number_of(event.bill),
            id=event.bill,
            subscription=event.subscription,
            kind=event.kind,
            listing=event.listing,
            trade=event.trade,
            entitlement=event.entitlement,
            buyer=event.buyer,
            seller=event.seller,
            month=event.month,
            units=event.units,
            packaged=event.packaged,
            base=event.base,
            lines=event.lines,
            prepaid_fen=event.prepaid_fen,
            amount_fen=event.amount_fen,
            fee_fen=event.fee_fen,
            merchant_fen=event.merchant_fen,
            shares=event.shares,
            share_roles=event.share_roles,
            barred=event.barred,
            made_at_ns=at_ns,
            due_ns=event.due_ns,
            updated_at_ns=at_ns,
        )
    )
    if event.kind == "month":
        _month_billed(view.subscriptions.change(event.subscription), event.month + 1, at_ns)


def _month_billed(row: SubscriptionRecord, month: int, at_ns: int) -> None:
    row.month, row.updated_at_ns = month, at_ns
    if row.next_plan is not None and row.next_plan_ns <= month_begins(month):
        row.plan, row.next_plan, row.next_plan_ns = row.next_plan, None, 0


def _bill(view: View, identifier: str, state: str, at_ns: int) -> BillRecord:
    row = view.bills.change(identifier)
    row.state, row.updated_at_ns = state, at_ns
    return row


def _bill_paid(view: View, event: BillPaid, at_ns: int) -> None:
    row = _bill(view, event.bill, "paid", at_ns)
    row.paid_at_ns = at_ns
    source = BILLS if event.by_debt else row.buyer
    view.post(at_ns, "fee", source, FEES, row.fee_fen, trade=row.trade, reference=row.id)
    view.post(at_ns, "merchant", source, row.seller, row.merchant_fen, trade=row.trade, reference=row.id)
    for participant, share_fen in row.shares:
        view.post(at_ns, "share", source, participant, share_fen, trade=row.trade, reference=row.id)


def _bill_reminded(view: View, event: BillReminded, at_ns: int) -> None:
    _bill(view, event.bill, "reminded", at_ns).reminded_at_ns = at_ns


def _bill_defaulted(view: View, event: BillDefaulted, at_ns: int) -> None:
    row = _bill(view, event.bill, "overdue", at_ns)
    row.debt = event.debt
    view.post(at_ns, "debt", debtor_owner(row.buyer), BILLS, row.amount_fen, DEBT, reference=event.debt)


def _bill_disputed(view: View, event: BillDisputed, at_ns: int) -> None:
    row = _bill(view, event.bill, event.state, at_ns)
    row.disputed_fen, row.dispute_reason, row.dispute_until_ns = (
        event.amount_fen,
        event.reason,
        event.until_ns,
    )


def _dispute_answered(view: View, event: DisputeAnswered, at_ns: int) -> None:
    row = _bill(view, event.bill, event.state, at_ns)
    row.answer, row.dispute_until_ns = event.reason, 0
    row.due_ns = event.due_ns or row.due_ns


def _bill_lowered(view: View, event: BillLowered, at_ns: int) -> None:
    row = view.bills.change(event.bill)
    row.amount_fen -= event.amount_fen
    row.lowered_fen += event.amount_fen
    row.fee_fen, row.merchant_fen, row.shares = event.fee_fen, event.merchant_fen, event.shares
    row.updated_at_ns = at_ns


def _bill_refunded(view: View, event: BillRefunded, at_ns: int) -> None:
    row = view.bills.change(event.bill)
    row.refunded_fen += event.deposit_fen + event.cash_fen + event.debt_fen
    row.updated_at_ns = at_ns
    for source, fen in ((deposit_owner(event.seller), event.deposit_fen), (event.seller, event.cash_fen)):
        view.post(at_ns, "refund", source, event.buyer, fen, trade=row.trade, reference=row.id)
    debtor = debtor_owner(event.seller)
    view.post(at_ns, "debt", debtor, event.buyer, event.debt_fen, DEBT, reference=event.debt)


def _credential_issued(view: View, event: CredentialIssued, at_ns: int) -> None:
    view.credentials.add(
        CredentialRecord(
            number=number_of(event.credential),
            id=event.credential,
            kind=credential_kind_of(event.claims),
            subject=event.claims.participant,
            about=event.about,
            state="issued",
            issued_at_ns=event.valid_from_ns,
            valid_until_ns=event.valid_until_ns,
            updated_at_ns=at_ns,
            replaces=event.replaces,
            claims=event.claims,
        )
    )


def _credential_moved(view: View, event: CredentialMoved, at_ns: int) -> None:
    row = view.credentials.change(event.credential)
    row.state, row.reason, row.updated_at_ns = event.state, event.reason, at_ns
    row.valid_until_ns = event.valid_until_ns or row.valid_until_ns


# ----------------------------------------------------------------------------------------------- grades


def _grade(
    view: View, at_ns: int, participant: str, step: str, grade: str, before: str, from_ns: int, cause: str
) -> None:
    view.graded += 1
    view.grades.append(
        GradeRecord(view.sequence, view.graded, at_ns, participant, step, grade, before, from_ns, cause)
    )


def _grade_noticed(view: View, event: GradeNoticed, at_ns: int) -> None:
    _grade(view, at_ns, event.participant, "noticed", event.grade, event.in_force, event.from_ns, event.cause)


def _grade_lapsed(view: View, event: GradeNoticeLapsed, at_ns: int) -> None:
    _grade(view, at_ns, event.participant, "lapsed", "", "", 0, "")


def _grade_set(view: View, event: GradeSet, at_ns: int) -> None:
    _grade(view, at_ns, event.participant, "set", event.grade, event.before, at_ns, event.cause)


# ------------------------------------------------------------------------------------------------ cases


def _case_opened(view: View, event: CaseOpened, at_ns: int) -> None:
    view.cases.add(
        CaseRecord(
            number=number_of(event.case),
            id=event.case,
            participant=event.participant,
            kind=event.kind,
            reference=event.reference,
            fault=event.fault,
            fault_at_ns=event.fault_at_ns,
            text=event.text,
            evidence_sha256=event.evidence_sha256,
            opened_by=event.by,
            state=event.state,
            opened_at_ns=at_ns,
            effective_ns=event.effective_ns,
            ends_ns=event.ends_ns,
            published_until_ns=event.published_until_ns,
            updated_at_ns=at_ns,
        )
    )


def _case_moved(view: View, event: CaseMoved, at_ns: int) -> None:
    row = view.cases.change(event.case)
    row.state, row.updated_at_ns = event.state, at_ns
    match event.step:
        case "object":
            row.objection, row.objection_text, row.objection_sha256 = "waits", event.text, event.sha256
            row.objected_at_ns, row.decide_by_ns, row.decider = at_ns, event.until_ns, event.decider
        case "uphold" | "reject":
            row.objection = "upheld" if event.step == "uphold" else "rejected"
            row.objection_decided_by = row.decider = event.by
            row.objection_decision, row.objection_decided_at_ns, row.decide_by_ns = event.text, at_ns, 0
        case "correct":
            row.corrected_at_ns, row.correction_sha256 = at_ns, event.sha256
        case "ask_repair":
            row.repair, row.commitment_sha256, row.repair_asked_at_ns = "waits", event.sha256, at_ns
            row.decide_by_ns, row.decider = event.until_ns, event.decider
        case "repair" | "refuse_repair":
            row.repair = "granted" if event.step == "repair" else "refused"
            row.repair_decided_by = row.decider = event.by
            row.repair_decision, row.repair_decided_at_ns, row.decide_by_ns = event.text, at_ns, 0


HANDLERS: Final[dict[type, Callable[[View, Any, int], None]]] = {
    ParticipantRegistered: _participant,
    IdentityResubmitted: _renamed,
    RulebookAdopted: _rulebook,
    RuleNarrowed: _rulebook,
    ProductSubmitted: _product,
    FactsAmended: _amended,
    ListingCreated: _listing,
    ListingRevised: _revised,
    ListingMoved: _moved,
    CashBooked: _cash,
    PayoutConfirmed: _payout,
    PayoutEnded: _payout_ended,
    BreakClosed: _break_closed,
    OrderPlaced: _placed,
    OrderClosed: _closed,
    OrderCameIn: _came_in,
    OrderReplaced: _replaced,
    OrderReduced: _reduced,
    CallAuctionHeld: _auctioned,
    OrderRefused: _order_refused,
    Settled: _settled,
    Held: _held,
    TradeRefused: _trade_refused,
    HoldCured: _cured,
    CureOvertaken: _overtaken,
    HoldChanged: _hold_changed,
    HoldReleased: _released,
    Delivered: _delivered,
    DeliveryRejected: _delivery_rejected,
    Completed: _completed,
    CompletionPostponed: _postponed,
    Refunded: _refunded,
    KeyIssued: _key,
    EntitlementEnded: _entitlement_ended,
    EntitlementMoved: _entitlement_moved,
    EntitlementReminded: _entitlement_reminded,
    EntitlementRenewed: _entitlement_renewed,
    DutyOpened: _duty_opened,
    DutyMoved: _duty_moved,
    DutyBroken: _duty_broken,
    DutyRescheduled: _duty_rescheduled,
    PriceLowered: _lowered,
    RefundPaid: _refund_paid,
    DebtSetOff: _set_off,
    DepositPaid: _deposit_paid,
    DepositTaken: _deposit_taken,
    Reversed: _reversed,
    MovementRefused: _movement_refused,
    TradeReported: _reported,
    ReportEnded: _report_ended,
    NeedPublished: _need_published,
    NeedMoved: _need_moved,
    NeedShortlisted: _need_shortlisted,
    ProposalMade: _proposal_made,
    ProposalRevised: _proposal_revised,
    ProposalCountered: _proposal_countered,
    ProposalWithdrawn: _proposal_withdrawn,
    ProposalMarked: _proposal_marked,
    ProposalAwarded: _proposal_awarded,
    AuctionOpened: _auction_opened,
    BidPlaced: _bid_placed,
    BidRevealed: _bid_revealed,
    ReserveOpened: _reserve_opened,
    BidEnded: _bid_ended,
    AuctionClosed: _auction_closed,
    Subscribed: _subscribed,
    SubscriptionMoved: _subscription_moved,
    UsageTaken: _usage,
    PlanSet: _plan_set,
    PlanBegun: _plan_begun,
    BillMade: _bill_made,
    BillPaid: _bill_paid,
    BillReminded: _bill_reminded,
    BillDefaulted: _bill_defaulted,
    BillDisputed: _bill_disputed,
    DisputeAnswered: _dispute_answered,
    BillLowered: _bill_lowered,
    BillRefunded: _bill_refunded,
    AccreditationApplied: _accreditation_applied,
    AccreditationDecided: _accreditation_decided,
    DocumentsRequested: _documents_requested,
    DocumentsAnswered: _documents_answered,
    AccreditationProposed: _accreditation_proposed,
    AccreditationProposalEnded: _accreditation_proposal_ended,
    DepartureBegun: _departure_begun,
    DepartureAccepted: _departure_accepted,
    DepartureDone: _departure_done,
    PassedOn: _passed_on,
    MoneyPassedOn: _money_passed_on,
    CredentialIssued: _credential_issued,
    CredentialMoved: _credential_moved,
    GradeNoticed: _grade_noticed,
    GradeNoticeLapsed: _grade_lapsed,
    GradeSet: _grade_set,
    CaseOpened: _case_opened,
    CaseMoved: _case_moved,
    MandateGiven: _mandate_given,
    MandateEnded: _mandate_ended,
    MandateUsed: _mandate_used,
}
"""Events that the query tables do not tell of are not in it."""
