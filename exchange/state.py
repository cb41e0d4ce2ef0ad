"""Everything the venue knows at one instant, as rows in dictionaries.

Rows are changed by `apply` functions only, from events only. Closed orders, finished trades and ended
entitlements leave these dictionaries: they are in the query tables. What starts with `cells` or `parties` is a
cache of facts and findings: it can be dropped at any time and is not part of the state's hash.
"""

import hashlib
from collections import deque
from collections.abc import Iterable
from heapq import heapify, heappush
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from clearing.bank import Bank
from clearing.calendar import PACKAGE, Calendar, year_of
from clearing.contract import Declarations, Offer, Security
from clearing.duties import DutyKind, DutyState
from clearing.house import Cell, House, Party
from clearing.ledger import CNY, Ledger, LedgerDump
from clearing.notrade import Fitted, Rulebook, fitted
from clearing.registers import Entry, Registers, dumped, loaded
from clearing.revenue import Revenue
from credit.bureau import Bureau
from credit.conduct import ConductKind
from credit.credential import CredentialState, VenueKey
from credit.remedy import CaseState
from credit.score import Grade
from exchange.attributes import Attributes
from exchange.board import Board
from exchange.events import (
    Authorisation,
    Classification,
    Consent,
    Delivery,
    Description,
    Legs,
    OrderClosed,
    Source,
    Stage,
    Terms,
)
from exchange.matching.book import Book, Order
from exchange.matching.metering import Bought, Plan
from exchange.matching.negotiation import Criterion, Kind, ProposalState
from exchange.matching.orders import PLAIN, Conditions, Instrument, Side

DAY_NS: Final = 86_400_000_000_000
REMEMBERED: Final = 200_000
"""How many answered command ids are remembered, of all participants together."""


LATER: Final = (
    "providers", "attestations", "cured", "overtaken", "looks", "reminded", "protected", "draft_bases", "lapses",
    "postponed", "settled_over", "suspended", "bought", "needs", "proposals", "auctions", "sessions",
    "subscriptions", "bills", "plans", "entrances", "departures", "predecessors", "credentials", "venue_keys",
    "graded", "cases", "overrides",
    "mandates", "brokered",
    "directives", "frozen", "objected", "hosts", "rings", "ring_objections", "pace",
)  # fmt: skip
"""Dictionaries of the state that are dumped only when they say something: kept journals keep their hashes."""


class Edition(Struct, frozen=True):
    """What the rulebook in force has that the packaged one has not: files by name, and narrowings of rules."""

    files: dict[str, str] = {}
    narrowings: tuple[tuple[str, str], ...] = ()
    since_ns: int = 0


class Draft(Struct, kw_only=True):
    """Files of a rulebook to come. `over` is how many narrowings there were that it takes the place of."""

    id: str
    files: dict[str, str]
    sha256: str
    effective_from_ns: int
    reason: str
    by: str
    over: int = 0
    approvals: tuple[str, ...] = ()
    state: str = "draft"


class Exclusive(Struct, frozen=True, gc=False):
    """A right that nobody else may have beside its buyer.

    `field_group` and `territory` are empty for a transfer or a pledge: the right goes whole. `until_ns` is 0 until
    delivery has started the term, and for those two.
    """

    trade: str
    buyer: str
    field_group: str
    territory: str
    until_ns: int = 0


def closing(order: Order, reason: str) -> OrderClosed:
    """What is left of an order in a book goes. The event says where it rested and what of it nobody saw: a tape keeps
    levels, not orders. One that waits for its stop shows nothing."""
    hidden = order.remaining - order.shown
    return OrderClosed(order.id, reason, order.remaining, order.listing, order.side, order.price_fen, hidden)


class PlainRow(Struct):
    """A resting order in a snapshot, which asks nothing. Its place is that of its queue."""

    id: str
    side: Side
    price_fen: int
    remaining: int
    owner: str
    participant: str
    listing: str
    quantity: int
    placed_at_ns: int
    barred: tuple[str, ...]
    client_order_id: str
    purpose: str
    territory: str
    accepts_prior: bool


class OrderRow(PlainRow):
    """A resting or waiting order in a snapshot."""

    conditions: Conditions | UnsetType = UNSET
    shown: int | UnsetType = UNSET


_first_of: Final = attrgetter(*PlainRow.__struct_fields__)


def order_row(order: Order) -> PlainRow:
    """Most orders ask nothing, and are written down as they were before there was anything to ask."""
    if order.conditions == PLAIN:
        return PlainRow(*_first_of(order))
    row = OrderRow(*_first_of(order))
    row.conditions, row.shown = order.conditions, order.shown
    return row


def order_of_row(row: OrderRow) -> Order:
    """As it is put into its book again."""
    order = Order(*_first_of(row))
    order.place = 1
    if isinstance(row.conditions, Conditions):
        order.conditions = row.conditions
    order.shown = row.shown if isinstance(row.shown, int) else row.remaining
    return order


class Product(Struct, kw_only=True):
    """A data product and its registration certificate (登记凭证). It proves registration here, not ownership.

    `confirmed` maps a fact group to the reviewer who held it against its evidence; facts of a group that is not
    in it are unknown to the rules, but for those the merchant declares against itself.
    """

    id: str
    merchant: str
    description: Description
    classification: Classification
    source: Source
    authorisation: Authorisation
    consent: Consent
    shares: tuple[tuple[str, int], ...]
    evidence: dict[str, str]
    submitted_at_ns: int
    revision: int = 1
    """1 as submitted, one more with each amendment. A confirmation names the one it looked at."""
    state: str = "pending"
    confirmed: dict[str, str] = {}
    rights: tuple[str, ...] = ()
    certificate: str = ""
    valid_until_ns: int = 0
    reasons: tuple[str, ...] = ()
    decided_by: str = ""
    authorisation_status: str = "granted"
    consent_withdrawn: bool = False
    consent_removed: bool = False
    objection: bool = False
    risk: str = ""
    """The risk register: empty, suspected or confirmed. The rules read the worse of it and the declaration."""
    licensees: tuple[str, ...] = ()
    listings: tuple[str, ...] = ()
    holder: str = ""
    """Who holds the registered right now: the merchant, until a transfer is completed."""
    exclusives: tuple[Exclusive, ...] = ()
    """Exclusive licences, transfers and pledges, from settlement or hold until trade and licence are over."""


class Listing(Struct, kw_only=True):
    id: str
    product: str
    merchant: str
    board: str
    terms: Terms
    created_at_ns: int
    state: str = "draft"
    reasons: tuple[str, ...] = ()
    until_ns: int = 0
    taken_units: int = 0
    issued_units: int = 0
    last_fen: int = 0
    tariff_sha256: str = ""
    """The tariff that a reviewer held public data's price regime and ceiling against; empty: they are unknown."""
    attributes: Attributes | UnsetType = UNSET
    """What it says in its board's fields; not there where it says nothing."""


def is_crossed(book: Book) -> bool:
    best_buy, best_sell = book.best_price("buy"), book.best_price("sell")
    return best_buy is not None and best_sell is not None and best_buy >= best_sell


def new_book(listing: Listing) -> Book:
    """An empty book for the units of a listing, after what was traded of them."""
    terms = listing.terms
    instrument = Instrument(terms.tick_fen or 1, terms.price_per_units, terms.collar_bp or 0, terms.price_fen)
    return Book(instrument, listing.last_fen)


class Trade(Struct, gc=False):
    """A trade that is not finished: held, settled, delivered, rejected or redelivered."""

    id: str
    listing: str
    buyer: str
    seller: str
    quantity: int
    price_fen: int
    amount_fen: int
    mechanism: str
    purpose: str
    territory: str
    state: str
    due_ns: int
    fee_fen: int = 0
    merchant_fen: int = 0
    shares: tuple[tuple[str, int], ...] = ()
    entitlement: str = ""
    accepts_prior: bool = False
    violated: tuple[str, ...] = ()
    delivery: Delivery | None = None


class Look(Struct, frozen=True):
    """What the last look at a hold found unknown, and when it is looked at next; 0 where no date is known."""

    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    next_ns: int = 0


class SettledOver(Struct, frozen=True):
    """The rules of a hold that were cured before it settled, and when that was."""

    rules: tuple[str, ...]
    at_ns: int


class Entitlement(Struct, gc=False):
    id: str
    trade: str
    listing: str
    buyer: str
    seller: str
    territory: str
    until_ns: int = 0
    """End of the term (exclusive); 0 while nothing is delivered, what was is rejected, or the term stands still."""
    state: str = "granted"
    key_sha256: str = ""
    delivery: Delivery | None = None


class Subscription(Struct, kw_only=True):
    """To a metered listing; `state` of `exchange.subscription.LIFE`. What is over is in the tables only.

    `from_ns`: metered from then on, 0 before delivery. `month` is the first that is not billed. `used` and `packaged`:
    units of months that are not billed, by their names. `seen`: by month, of each record in it twelve bytes, sorted (see
    `exchange.subscription.mark_of`). `stopped_ns`: when its entitlement ended, 0 while that lives, and `stopped` how.
    `base_paid`: the fee that came with its price is not used up yet; `base_left`: how many are still to be asked for.
    `paid_base_fen`: what that fee was, once `plan` is another than it was paid under.
    """

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
    follows: str = ""
    from_ns: int = 0
    until_ns: int = 0
    month: int = 0
    used: dict[str, int] = {}
    packaged: dict[str, int] = {}
    seen: dict[str, bytes] = {}
    packages: list[Bought] = []
    bought: int = 0
    base_paid: bool = True
    base_left: int = 0
    stopped_ns: int = 0
    stopped: str = ""
    next_plan: Plan | None = None
    next_plan_ns: int = 0
    paid_base_fen: int | UnsetType = UNSET


class Bill(Struct, kw_only=True, gc=False):
    """A bill that is not paid, or could still be disputed; `state` of `exchange.subscription.BILL_LIFE`.

    `remind_ns` and `due_ns`: the dates while it waits for its money; `file_ns`: until when a paid one may be disputed.
    """

    id: str
    subscription: str
    listing: str
    entitlement: str
    buyer: str
    seller: str
    amount_fen: int
    fee_fen: int
    merchant_fen: int
    shares: tuple[tuple[str, int], ...]
    public_fen: int
    remind_ns: int
    due_ns: int
    pay_ns: int
    """How long it waits for its money."""
    file_ns: int
    state: str = "due"
    debt: str = ""
    suspends: bool = False
    disputed_fen: int = 0
    dispute_ns: int = 0
    """Until when a dispute waits for its answer; 0 before there was one."""
    refunded_fen: int = 0


class WaitingPlan(Struct, frozen=True):
    """A listing's plan that is for whoever subscribes from an instant on."""

    plan: Plan
    from_ns: int


class Graded(Struct, kw_only=True):
    """The grade in force of somebody whose grade is not M, or about to be another one.

    `notices`: lower grades, and from when each may be in force. `held`: the best grade before it fell, to which it returns
    at once when an objection is upheld or a repair granted. `largest_fen`: what the ceiling of its orders follows.
    """

    grade: Grade = "M"
    since_ns: int = 0
    held: Grade | Literal[""] = ""
    notices: tuple[tuple[Grade, int], ...] = ()
    largest_fen: int = 0


class Case(Struct, kw_only=True):
    """A case of which something may still come; its words are in the query tables.

    `fault` and `fault_at_ns` are reference and instant of the conduct. `objected_ns` is 0 before there was an objection,
    `decide_ns` until when one waits, 0 where none does; `repair_ns` the same of a commitment. `decider` is named for what
    waits, `deciders` have decided.
    """

    id: str
    participant: str
    kind: ConductKind
    fault: str
    fault_at_ns: int
    effective_ns: int
    ends_ns: int
    by: str
    state: CaseState
    corrected_ns: int = 0
    objected_ns: int = 0
    decide_ns: int = 0
    repair_ns: int = 0
    decider: str = ""
    deciders: tuple[str, ...] = ()


class Override(Struct, kw_only=True):
    """A grade that two operators have set by hand, until an instant; `confirmed_by` is empty before the second has."""

    grade: Grade
    until_ns: int
    reason: str
    by: str
    confirmed_by: str = ""
    from_ns: int = 0


class Looking(Struct, kw_only=True):
    """How far grades were looked at, and when the next look is."""

    after: int = 0
    next_ns: int = 0


class Renewal(Struct, kw_only=True, gc=False):
    """A trade that was made to follow on an entitlement; kept until that trade is finished and the entitlement over.

    `successor` is empty while the trade is held. `over`: the entitlement has ended already.
    """

    entitlement: str
    trade: str
    successor: str = ""
    over: bool = False
    origin: str = ""
    """The trade of an entitlement that is over."""


class Duty(Struct, kw_only=True, gc=False):
    """Something owed after a trade (`clearing.duties`), until it is done, redressed or waived."""

    id: str
    kind: DutyKind
    rule: str
    participant: str
    trade: str
    listing: str
    entitlement: str
    buyer: str
    seller: str
    purpose: str
    territory: str
    from_ns: int
    due_ns: int
    remind_ns: int
    provisional: bool
    reviewed: bool
    state: DutyState = "scheduled"


class Dealing(Struct, kw_only=True, gc=False):
    """When a participant last bought and sold units of a listing; 0 is never. Kept where that is counted."""

    listing: str
    participant: str
    bought_ns: int = 0
    sold_ns: int = 0


class Exported(Struct, kw_only=True, frozen=True, gc=False):
    """Persons in a product that a seller has sent abroad in a year (Beijing time): the most declared at any such trade."""

    seller: str
    year: int
    product: str
    persons: int
    sensitive_persons: int


ReportedTerms = tuple[str, str, str, int, int, str, str, str]
"""Listing, seller, buyer, quantity, price, purpose, territory, contract."""


class Report(Struct, kw_only=True):
    """One side's report of a bilateral trade, waiting for the other's."""

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
    accepts_prior: bool
    until_ns: int

    @property
    def terms(self) -> ReportedTerms:
        """What both sides have to say alike: seller first."""
        parties = (
            (self.participant, self.counterparty)
            if self.side == "sell"
            else (self.counterparty, self.participant)
        )
        return (
            self.listing,
            *parties,
            self.quantity,
            self.price_fen,
            self.purpose,
            self.territory,
            self.contract_sha256,
        )


NeedState = Literal["open", "deciding", "awarded", "withdrawn", "lapsed"]


class Need(Struct, kw_only=True):
    """What a buyer looks for, until it is decided; its words are in the query tables.

    `stage` counts the stages of a challenge that have begun after the first, `awarded` the awards that stand. `proposals`
    are those of which something may still come.
    """

    id: str
    kind: Kind
    buyer: str
    board: str
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
    state: NeedState = "open"
    stage: int = 0
    awarded: int = 0
    proposals: tuple[str, ...] = ()


class Proposal(Struct, kw_only=True):
    """What stands between a merchant and a buyer for a need, of which something may still come.

    Quantity and price are those of the last offer, by the merchant or, `countered`, by the buyer. `trade` is on hold.
    """

    id: str
    need: str
    merchant: str
    listing: str
    quantity: int
    price_fen: int
    delivery_days: int
    figures: dict[str, int]
    state: ProposalState
    marks: dict[str, int] = {}
    counters: int = 0
    trade: str = ""


class StandingBid(Struct, kw_only=True, gc=False):
    """A bid whose auction is not over. `price_fen` is None while it is sealed."""

    id: str
    listing: str
    participant: str
    commitment: str
    quantity: int
    purpose: str
    territory: str
    accepts_prior: bool
    deposit_fen: int
    reserved_fen: int
    placed_at_ns: int
    price_fen: int | None = None


class Departure(Struct, kw_only=True):
    """A participant on its way out, until nothing of it is left. `look_ns`: when that is looked at next, or was last."""

    participant: str
    kind: str
    successor: str
    reason: str
    since_ns: int
    accepted: bool = False
    look_ns: int = 0


class Mandate(Struct, kw_only=True):
    """A broker's, until its date or until it is taken back. `used_fen`: what has been ordered under it, filled or not."""

    id: str
    principal: str
    broker: str
    side: str
    listings: tuple[str, ...]
    boards: tuple[str, ...]
    most_fen: int
    valid_until_ns: int
    used_fen: int = 0


class Auction(Struct, kw_only=True):
    """An auction that is not over. Of an ascending one only the leading bid stands; `taken` counts all.

    `reserve_fen` is the merchant's, and None while it is kept secret.
    """

    listing: str
    kind: str
    bids_until_ns: int
    reveal_until_ns: int
    reserve_fen: int | None
    taken: int = 0
    bids: dict[str, StandingBid] = {}


class Halt(Struct, frozen=True):
    """Trading stands still in a listing, a board or the whole market."""

    scope: str
    subject: str
    reason: str
    by: str
    since_ns: int


class Directive(Struct, kw_only=True):
    """What a regulator ordered (`exchange.directive`). All of them stay: a number is taken once, and they are few.

    `state`: ordered, executed, lifted. `lifted_by` is the directive that lifted it.
    """

    id: str
    number: str
    kind: str
    subject: str
    deadline_ns: int
    text: str
    document_sha256: str
    by: str
    at_ns: int
    state: str = "ordered"
    executed_ns: int = 0
    executed_by: str = ""
    lifted_by: str = ""


class TrusteeObjection(Struct, frozen=True):
    """An open one: its listing takes nothing until it is decided."""

    id: str
    listing: str
    reason: str
    by: str
    at_ns: int


class FoundRing(Struct, kw_only=True):
    """A group among whom money goes round. `state`: queued, genuine or forged; `decided_ns` 0 while it waits."""

    id: str
    members: tuple[str, ...]
    amount_fen: int
    within_bp: int
    back_bp: int
    since_ns: int
    found_ns: int
    state: str = "queued"
    by: str = ""
    reason: str = ""
    decided_ns: int = 0


class RingObjection(Struct, kw_only=True):
    """A member's word against the finding that a ring is forged; `decide_ns` is 0 once it is decided."""

    participant: str
    text: str
    decider: str
    at_ns: int
    decide_ns: int


class Session(Struct, frozen=True):
    """The phase of a board's books since an instant; its timetable looks at it again at `next_ns` (0: never)."""

    phase: str
    since_ns: int
    next_ns: int = 0


class Agreement(Struct, kw_only=True):
    """The contract of one version of a listing, as its merchant signed it; `clearing.contract` makes the text again.

    `live` until the listing's terms are revised or the merchant signs another one. Trades cite it for ever.
    """

    id: str
    listing: str
    standard_terms: str
    sha256: str
    offer: Offer
    security: Security
    public_key: str
    signature: str
    signed_at_ns: int
    live: bool = True


class Signature(Struct, frozen=True, kw_only=True):
    """A buyer's signature on a contract, with what it declared. The newest of a buyer counts; trades cite theirs."""

    id: str
    contract: str
    participant: str
    declarations: Declarations
    declared_sha256: str
    public_key: str
    signature: str
    signed_at_ns: int


class Signing(Struct, kw_only=True):
    """How often a buyer has signed a live contract on the last `day` it did (Beijing time, its ordinal), and whether a
    trade cites the newest signature."""

    contract: str
    participant: str
    day: int
    today: int
    cited: bool = False


class Provider(Struct, kw_only=True):
    """A participant whom an operator has accredited to attest; `revoked` is why it no longer is, empty while it is."""

    participant: str
    kinds: tuple[str, ...]
    valid_until_ns: int
    evidence_sha256: str
    by: str
    since_ns: int
    revoked: str = ""
    classes: tuple[str, ...] | UnsetType = UNSET
    """Where its credential is for these classes: it attests while that is in force. Else an operator has appointed it."""


class Attestation(Struct, kw_only=True):
    """What a provider has signed: the evidence of these rules is good, for this product and this buyer (empty: any)."""

    id: str
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
    given_at_ns: int
    revoked_at_ns: int = 0
    revoked_reason: str = ""


class Debt(Struct, kw_only=True):
    """What a participant owes another out of a refund that its deposit and its cash did not cover."""

    id: str
    debtor: str
    creditor: str
    trade: str
    amount_fen: int
    left_fen: int
    since_ns: int


class RefundOffer(Struct, frozen=True):
    """One party's word, waiting for the other's."""

    trade: str
    by: str
    amount_fen: int
    reason: str
    until_ns: int


class Reversal(Struct, kw_only=True):
    """Of one transaction, by two operators. `legs` are the transaction's; `at_ns` is 0 until it is made."""

    id: str
    transaction: str
    reason: str
    legs: Legs
    proposed_by: str
    until_ns: int
    approved_by: str = ""
    at_ns: int = 0


class NamedKey(Struct, frozen=True, kw_only=True):
    """A key beside a participant's own: of a person or a program of it. It opens no more than `scopes`."""

    id: str
    name: str
    public_key: str
    scopes: tuple[str, ...]
    added_at_ns: int


class Entrance(Struct, kw_only=True):
    """How a participant may be entered, beside by its own key.

    `keys` by id. `generation` counts how often all sessions were ended: those opened before it open nothing. `ended`:
    sessions that were ended one by one, and when their tokens end by themselves; then they leave. `addresses` are
    networks, none: everywhere. `secrets`: the salted hash of the row of its password and of its second factor, by kind.
    """

    keys: dict[str, NamedKey] = {}
    generation: int = 0
    ended: dict[str, int] = {}
    addresses: tuple[str, ...] = ()
    secrets: dict[str, str] | UnsetType = UNSET

    def secret(self, kind: str) -> str:
        """Empty where there is none."""
        return self.secrets.get(kind, "") if isinstance(self.secrets, dict) else ""

    def set_secret(self, kind: str, sha256: str) -> None:
        """An empty one takes it away."""
        kept = dict(self.secrets) if isinstance(self.secrets, dict) else {}
        kept.pop(kind, None)
        if sha256:
            kept[kind] = sha256
        self.secrets = kept or UNSET


def offer_key(trade: str, party: str) -> str:
    """Where a party's offer stands in `Claims.offers`: each has one of its own."""
    return f"{trade}:{party}"


class Claims(Struct):
    """What is owed, offered and taken back, beside what the ledger's accounts hold.

    `debts`: debtor, then the debt's id. `refunded_fen`: what of a price has gone back by agreement, while the licence
    lasts. `proposals` and `reversals` by the transaction that they are about. `offers`: see `offer_key`.
    """

    debts: dict[str, dict[str, Debt]] = {}
    offers: dict[str, RefundOffer] = {}
    refunded_fen: dict[str, int] = {}
    proposals: dict[str, Reversal] = {}
    reversals: dict[str, Reversal] = {}

    def forget_offers(self, trade: str, *parties: str) -> None:
        for party in parties:
            self.offers.pop(offer_key(trade, party), None)

    def says_something(self) -> bool:
        return bool(self.debts or self.offers or self.refunded_fen or self.proposals or self.reversals)


class Certified(Struct, kw_only=True, gc=False):
    """A credential that is issued or suspended. `about` is what it certifies, `subject` whom it is given to.

    `digest` is of what it claims, which is in the tables; `purpose` of an entitlement's, which its trade knew.
    """

    id: str
    about: str
    subject: str
    until_ns: int
    digest: bytes
    purpose: str = ""
    state: CredentialState = "issued"


class Remembered(Struct, array_like=True, gc=False):
    """The answer to a command id: digest of the body, the encoded journal entry."""

    digest: bytes
    entry: bytes


class State:
    """The whole venue. `sequence` counts journal entries; `counters` hold the last number of each kind of id.

    Command ids made up to `ids_from_ms` are refused as expired, and of a participant in `forgotten_ms` those made
    up to its newest forgotten one. `aging` has the keys of `remembered`, the oldest first: to look for the first key of a
    dictionary that keeps losing it takes ever longer, and an OrderedDict of this size stops everything for 30 ms when it
    grows. `reported` finds a waiting report by its terms. `renewals` are by the entitlement they follow on,
    `renewing` finds that by a trade under way.
    `licensed` are the entitlements by listing.
    `contract_of` finds a listing's live contract, `versions` its newest version, `signed` the signature that counts by
    listing and buyer, `last_signed` the newest of these, live or not, `newest` that by contract and buyer, `attested` the
    attestations of a product. `cured` are rules of a hold whose evidence a reviewer has accepted, or a party given
    its word for; `overtaken` by attestation the rules that it confirms no longer, each with the buyer for whom, or with
    an empty one for all. `looks` are by hold.
    `years` are the notices that came after the packages: days off and days worked; `calendar` follows from both.
    `protected`: trade, and the kinds of data that the law protects (personal, important) that it was made for: they bind
    those who have it, whatever the product is said to hold later. Of trades made before this was written down, nothing.
    `reminded`: product, and when its holder was reminded of the present end of its certificate.
    `postponed`: open trade, and the last date to which its completion may be put off; `settled_over` by open trade too.
    `suspended`: entitlement, and what is left of its term (ns) while it stands still.
    `bought`: listing with a limit for each buyer, then participant, and how many units it has had and not given back;
    `owned` are the same added up by ultimate owner, a cache.
    `awarding`: trade on hold, and the proposal that it is the award of.
    `auctions` are by listing; `bidding` finds a standing bid's listing.
    `pace`: seller whose grade limits it, the last day (UTC) on which it sold large orders, and how many.
    `rings` are those found that wait for a reviewer or were decided, `ring_objections` what their members say, by ring.
    `sessions`: board, where it has a timetable or was moved; the others trade at any hour.
    `graded`: whose grade in force is not M, or about to be another one; the others are M.
    """

    def __init__(self, boards: dict[str, Board], rulebook: Rulebook, jurisdiction: str) -> None:
        self.boards = boards
        self.jurisdiction = jurisdiction
        self.bureau = Bureau()
        self.ledger = Ledger()
        self.house = House(rulebook, self.ledger)
        self.products: dict[str, Product] = {}
        self.listings: dict[str, Listing] = {}
        self.books: dict[str, Book] = {}
        self.orders: dict[str, Order] = {}
        self.trades: dict[str, Trade] = {}
        self.holds: dict[str, Trade] = {}
        self.entitlements: dict[str, Entitlement] = {}
        self.licensed: dict[str, dict[str, Entitlement]] = {}
        self.keys: dict[str, str] = {}
        self.reports: dict[str, Report] = {}
        self.reported: dict[ReportedTerms, str] = {}
        self.cash_references: dict[str, str] = {}
        self._begin_oversight()
        self.renewals: dict[str, Renewal] = {}
        self.renewing: dict[str, str] = {}
        self.contracts: dict[str, Agreement] = {}
        self.contract_of: dict[str, Agreement] = {}
        self.signatures: dict[str, dict[str, Signature]] = {}
        self.signed: dict[tuple[str, str], Signature] = {}
        self.last_signed: dict[tuple[str, str], Signature] = {}
        self.newest: dict[tuple[str, str], Signature] = {}
        self.signing: dict[tuple[str, str], Signing] = {}
        self.versions: dict[str, int] = {}
        self.providers: dict[str, Provider] = {}
        self.attestations: dict[str, Attestation] = {}
        self.attested: dict[str, list[str]] = {}
        self.cured: dict[str, tuple[str, ...]] = {}
        self.overtaken: dict[str, tuple[tuple[str, str], ...]] = {}
        self.looks: dict[str, Look] = {}
        self.duties: dict[str, Duty] = {}
        self.years: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self.calendar: Calendar = PACKAGE
        self.revenue = Revenue()
        self.bank = Bank()
        self.stopped: dict[str, tuple[str, str]] = {}
        """Withdrawals that their participant did not cancel itself: who did, and why."""
        self.dealings: dict[tuple[str, str], Dealing] = {}
        self.holders: dict[str, int] = {}
        self.exports: dict[tuple[str, int], dict[str, Exported]] = {}
        self.claims = Claims()
        self.auctions: dict[str, Auction] = {}
        self.bidding: dict[str, str] = {}
        self._nothing_stands_still()
        self.protected: dict[str, tuple[str, ...]] = {}
        self.needs: dict[str, Need] = {}
        self.proposals: dict[str, Proposal] = {}
        self.awarding: dict[str, str] = {}
        self.counters: dict[str, int] = {}
        self.timers: list[tuple[int, str, str]] = []
        self.remembered: dict[str, Remembered] = {}
        self.aging: deque[str] = deque()
        self.ids_from_ms = 0
        self.forgotten_ms: dict[str, int] = {}
        self.now_ns = 0
        self.clock_floor_ns = 0
        self.simulated = False
        self.sequence = 0
        self.rulebook_sha256 = ""
        self.venue_key = ""
        self.incoming: Order | None = None
        self.cells: dict[tuple[str, str, str, bool], Cell] = {}
        self.parties: dict[str, Party] = {}
        self.registers = Registers()
        self._begin_by(rulebook)

    def _begin_by(self, rulebook: Rulebook) -> None:
        """By the packaged rulebook, which no draft has changed yet."""
        self.packaged = rulebook
        self.edition = Edition()
        self.edition_texts: dict[str, str] = {}
        self.misfits: tuple[str, ...] = ()
        self.lacking = False
        self.drafts: dict[str, Draft] = {}
        self.draft_bases: dict[str, str] = {}
        """Draft: text hash of the rulebook that it is over. One that is not here is older than this register."""
        self.lapses: dict[str, str] = {}
        """Draft: why it never comes into force."""

    def _nobody_has_entered(self) -> None:
        self.entrances: dict[str, Entrance] = {}
        self.named_keys: dict[str, tuple[str, str]] = {}
        """Public key: whose it is, and its id; follows from `entrances`."""

    def _nobody_is_graded(self) -> None:
        self.graded: dict[str, Graded] = {}
        self.cases: dict[str, Case] = {}
        self.overrides: dict[str, Override] = {}
        self.looking = Looking()

    def _nothing_is_metered(self) -> None:
        self._nobody_has_entered()
        self._nobody_is_graded()
        self.subscriptions: dict[str, Subscription] = {}
        self.bills: dict[str, Bill] = {}
        self.plans: dict[str, WaitingPlan] = {}
        self.subscription_of: dict[str, str] = {}
        """The subscription that was bought by a trade, or uses an entitlement; follows from `subscriptions`."""

    def take_subscription(self, row: Subscription) -> None:
        self.subscriptions[row.id] = row
        self.subscription_of[row.trade] = row.id
        if row.entitlement:
            self.subscription_of[row.entitlement] = row.id

    def drop_subscription(self, identifier: str) -> None:
        row = self.subscriptions.pop(identifier)
        for known in (row.trade, row.entitlement):
            self.subscription_of.pop(known, None)

    def _nothing_is_certified(self) -> None:
        self.credentials: dict[str, Certified] = {}
        self.credential_of: dict[str, str] = {}
        """By what it certifies; follows from `credentials`, as does the next."""
        self.credentials_held: dict[str, dict[str, None]] = {}
        """Subject: what its credentials certify."""
        self.venue_keys: dict[str, VenueKey] = {}
        self.certified: dict[str, None] = {}
        """What the events of this entry are about, whose credentials may be others now (`exchange.issuing`)."""

    def take_credential(self, row: Certified) -> None:
        self.credentials[row.id] = row
        self.credential_of[row.about] = row.id
        self.credentials_held.setdefault(row.subject, {})[row.about] = None

    def drop_credential(self, identifier: str) -> None:
        row = self.credentials.pop(identifier)
        del self.credential_of[row.about]
        held = self.credentials_held[row.subject]
        del held[row.about]
        if not held:
            del self.credentials_held[row.subject]

    def _nothing_stands_still(self) -> None:
        self._nothing_is_metered()
        self.mandates: dict[str, Mandate] = {}
        self.brokered: dict[str, str] = {}
        """Open order, and the mandate under which a broker has placed it."""
        self.departures: dict[str, Departure] = {}
        self.predecessors: dict[str, tuple[str, ...]] = {}
        """Successor, and all whose duties have passed on to it: what they delivered lies under their names."""
        self.rings: dict[str, FoundRing] = {}
        self.ring_objections: dict[str, RingObjection] = {}
        self.pace: dict[str, tuple[int, int]] = {}
        self._nothing_is_certified()
        self.reminded: dict[str, int] = {}
        self.postponed: dict[str, int] = {}
        self.settled_over: dict[str, SettledOver] = {}
        self.suspended: dict[str, int] = {}
        self.bought: dict[str, dict[str, int]] = {}
        self.owned: dict[str, dict[str, int]] = {}
        self.sessions: dict[str, Session] = {}
        self.law_version = 0
        """Counts changes of what the rules read: whom the law kept apart may be allowed to trade then. Not dumped."""
        self.crossed: dict[str, None] = {}
        """Books in which orders were left that price would match; they may have parted since. Follows from the books."""
        self.repriced: list[str] = []
        """Books whose last price a hold has moved that settled in this entry: it may have reached stops."""

    def phase_of(self, board: str) -> str:
        """Of the board's books; a halt is none (`exchange.halt`)."""
        session = self.sessions.get(board)
        return "continuous" if session is None else session.phase

    @property
    def rulebook(self) -> Rulebook:
        return self.house.rulebook

    def use_edition(self, edition: Edition, texts: dict[str, str]) -> None:
        """Judge by another rulebook from now on; every finding that was kept is of the old one.

        `texts` are all its files as they came into force. An edition that does not fit this release's rules goes on by
        them, and `misfits` says so; where they are not kept or cannot be read, it is `lacking` (`fitted`).
        """
        self.edition, self.edition_texts = edition, texts
        plain = not edition.files and not edition.narrowings
        found = (
            Fitted(self.packaged)
            if plain
            else fitted(self.packaged, edition.files, edition.narrowings, texts)
        )
        self.house = House(found.rulebook, self.ledger)
        self.misfits, self.lacking = found.misfits, found.lacking
        self.cells.clear()
        self.parties.clear()
        self.law_version += 1

    def next_id(self, kind: str) -> str:
        """The id that the next object of this kind gets; the event that names it advances the counter."""
        return f"{kind}{self.counters.get(kind, 0) + 1}"

    def took_id(self, identifier: str) -> None:
        """Advance the counter of the id's kind."""
        kind = identifier[0]
        self.counters[kind] = self.counters.get(kind, 0) + 1

    def start_timer(self, due_ns: int, kind: str, identifier: str) -> None:
        """Let a tick look at this object once the instant has come; a timer that has lost its point does nothing."""
        heappush(self.timers, (due_ns, kind, identifier))

    def forget_product(self, product: Product) -> None:
        """Drop what was derived from a product's registers, because one of them changed."""
        self.law_version += 1
        for key in [key for key in self.cells if key[0] in product.listings]:
            del self.cells[key]

    def take_entitlement(self, entitlement: Entitlement) -> None:
        self.entitlements[entitlement.id] = entitlement
        self.licensed.setdefault(entitlement.listing, {})[entitlement.id] = entitlement

    def drop_entitlement(self, identifier: str) -> None:
        """It is over; one that has ended before is not there any more."""
        entitlement = self.entitlements.pop(identifier, None)
        if entitlement is None:
            return
        rows = self.licensed[entitlement.listing]
        del rows[identifier]
        if not rows:
            del self.licensed[entitlement.listing]

    def _queues(self) -> dict[str, list[str]]:
        """Books whose orders do not stand in the order in which they were placed: their ids, by place."""
        queues = {}
        for key, book in self.books.items():
            placed = by_place(book.orders())
            if placed != by_time(placed):
                queues[key] = [order.id for order in placed]
        return queues

    def take_contract(self, agreement: Agreement) -> None:
        """A contract is there; a live one is its listing's."""
        self.contracts[agreement.id] = agreement
        self.signatures[agreement.id] = {}
        self.versions[agreement.listing] = max(
            self.versions.get(agreement.listing, 0), agreement.offer.version
        )
        if agreement.live:
            self.contract_of[agreement.listing] = agreement

    def take_signature(self, signature: Signature) -> None:
        """A buyer has signed; under the live contract it counts from now on."""
        self.law_version += 1
        self.signatures[signature.contract][signature.id] = signature
        self.newest[signature.contract, signature.participant] = signature
        agreement = self.contracts[signature.contract]
        self.last_signed[agreement.listing, signature.participant] = signature
        if agreement.live:
            self.signed[agreement.listing, signature.participant] = signature

    def retire_contract(self, listing: str) -> None:
        """The listing's terms or contract are others now: nobody has signed these yet."""
        agreement = self.contract_of.pop(listing, None)
        if agreement is not None:
            agreement.live = False
            for signature in self.signatures[agreement.id].values():
                self.signed.pop((listing, signature.participant), None)
                self.signing.pop((agreement.id, signature.participant), None)

    def take_attestation(self, attestation: Attestation) -> None:
        self.attestations[attestation.id] = attestation
        self.attested.setdefault(attestation.product, []).append(attestation.id)

    def forget_participant(self, participant: str) -> None:
        self.law_version += 1
        self.parties.pop(participant, None)

    def _begin_oversight(self) -> None:
        self.halts: dict[str, Halt] = {}
        self.directives: dict[str, Directive] = {}
        self.objected: dict[str, TrusteeObjection] = {}
        self.hosts: dict[str, tuple[str, ...]] = {}
        """Board host: its boards."""
        self.frozen: dict[str, tuple[str, ...]] = {}
        """Participant: the directives that freeze what it has."""

    def entrance_of(self, participant: str) -> Entrance:
        """To be changed: made where there was nothing to say yet."""
        return self.entrances.setdefault(participant, Entrance())

    def dump(self) -> dict[str, Any]:
        """Lossless plain data, for snapshots and for the state hash.

        What came after the first layout is there only when it says something: kept journals keep their hashes.
        """
        later: dict[str, Any] = {"halts": self.halts} if self.halts else {}
        if self.registers.entries:
            later["registers"] = dumped(self.registers)
        if self.drafts or self.edition != Edition():
            later["edition"], later["drafts"] = self.edition, list(self.drafts.values())
        if self.edition_texts:
            later["edition_texts"] = self.edition_texts
        if self.renewals:
            later["renewals"] = list(self.renewals.values())
        if self.contracts:
            later["contracts"] = list(self.contracts.values())
            later["signatures"] = [row for rows in self.signatures.values() for row in rows.values()]
        if self.signing:
            later["signing"] = list(self.signing.values())
        for name in LATER:
            if getattr(self, name):
                later[name] = getattr(self, name)
        if self.looking.next_ns:
            later["looking"] = self.looking
        if self.duties:
            later["duties"] = list(self.duties.values())
        if self.years:
            later["years"] = sorted(self.years.items())
        if self.revenue.says_something():
            later["revenue"] = self.revenue
        if self.bank.says_something():
            later["bank"] = self.bank
        if self.stopped:
            later["stopped"] = self.stopped
        if self.venue_key:
            later["venue_key"] = self.venue_key
        if self.dealings:
            later["dealings"] = list(self.dealings.values())
        if queues := self._queues():
            later["queues"] = queues
        if self.exports:
            later["exports"] = [row for rows in self.exports.values() for row in rows.values()]
        if self.claims.says_something():
            later["claims"] = self.claims
        return later | {
            "bureau": self.bureau.dump(),
            "ledger": self.ledger.dump(),
            "products": list(self.products.values()),
            "listings": list(self.listings.values()),
            "books": {key: [order.id for order in book.orders()] for key, book in self.books.items()},
            "orders": [order_row(order) for order in self.orders.values()],
            "trades": list(self.trades.values()),
            "entitlements": list(self.entitlements.values()),
            "keys": self.keys,
            "reports": list(self.reports.values()),
            "cash_references": self.cash_references,
            "counters": self.counters,
            "timers": sorted(self.timers),
            "remembered": self.remembered,
            "ids_from_ms": self.ids_from_ms,
            "forgotten_ms": self.forgotten_ms,
            "now_ns": self.now_ns,
            "clock_floor_ns": self.clock_floor_ns,
            "simulated": self.simulated,
            "sequence": self.sequence,
            "rulebook_sha256": self.rulebook_sha256,
        }


def by_place(orders: Iterable[Order]) -> list[Order]:
    return sorted(orders, key=lambda order: order.place)


def by_time(orders: Iterable[Order]) -> list[Order]:
    """In the order in which they were placed: mostly that of their places."""
    return sorted(orders, key=lambda order: order.placed_at_ns)


class _Dumped(Struct):
    """Shape of `State.dump` after decoding."""

    bureau: dict[str, Any]
    ledger: LedgerDump
    products: list[Product]
    listings: list[Listing]
    books: dict[str, list[str]]
    orders: list[OrderRow]
    trades: list[Trade]
    entitlements: list[Entitlement]
    keys: dict[str, str]
    reports: list[Report]
    cash_references: dict[str, str]
    counters: dict[str, int]
    timers: list[tuple[int, str, str]]
    remembered: dict[str, Remembered]
    ids_from_ms: int
    forgotten_ms: dict[str, int]
    now_ns: int
    clock_floor_ns: int
    simulated: bool
    sequence: int
    rulebook_sha256: str
    halts: dict[str, Halt] = {}
    registers: list[Entry] = []
    edition: Edition = Edition()
    edition_texts: dict[str, str] = {}
    drafts: list[Draft] = []
    renewals: list[Renewal] = []
    contracts: list[Agreement] = []
    signatures: list[Signature] = []
    signing: list[Signing] = []
    providers: dict[str, Provider] = {}
    attestations: dict[str, Attestation] = {}
    cured: dict[str, tuple[str, ...]] = {}
    overtaken: dict[str, tuple[tuple[str, str], ...]] = {}
    looks: dict[str, Look] = {}
    duties: list[Duty] = []
    years: list[tuple[int, tuple[tuple[str, ...], tuple[str, ...]]]] = []
    revenue: Revenue = msgspec.field(default_factory=Revenue)
    bank: Bank = msgspec.field(default_factory=Bank)
    stopped: dict[str, tuple[str, str]] = {}
    venue_key: str = ""
    dealings: list[Dealing] = []
    exports: list[Exported] = []
    claims: Claims = msgspec.field(default_factory=Claims)
    reminded: dict[str, int] = {}
    protected: dict[str, tuple[str, ...]] = {}
    draft_bases: dict[str, str] = {}
    lapses: dict[str, str] = {}
    postponed: dict[str, int] = {}
    settled_over: dict[str, SettledOver] = {}
    suspended: dict[str, int] = {}
    bought: dict[str, dict[str, int]] = {}
    needs: dict[str, Need] = {}
    proposals: dict[str, Proposal] = {}
    auctions: dict[str, Auction] = {}
    sessions: dict[str, Session] = {}
    queues: dict[str, list[str]] = {}
    subscriptions: dict[str, Subscription] = {}
    bills: dict[str, Bill] = {}
    plans: dict[str, WaitingPlan] = {}
    entrances: dict[str, Entrance] = {}
    departures: dict[str, Departure] = {}
    predecessors: dict[str, tuple[str, ...]] = {}
    credentials: dict[str, Certified] = {}
    venue_keys: dict[str, VenueKey] = {}
    graded: dict[str, Graded] = {}
    cases: dict[str, Case] = {}
    overrides: dict[str, Override] = {}
    looking: Looking = msgspec.field(default_factory=Looking)
    mandates: dict[str, Mandate] = {}
    brokered: dict[str, str] = {}
    directives: dict[str, Directive] = {}
    frozen: dict[str, tuple[str, ...]] = {}
    objected: dict[str, TrusteeObjection] = {}
    hosts: dict[str, tuple[str, ...]] = {}
    rings: dict[str, FoundRing] = {}
    ring_objections: dict[str, RingObjection] = {}
    pace: dict[str, tuple[int, int]] = {}


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder(_Dumped)


def encode_state(state: State) -> bytes:
    """Snapshot body: MessagePack with sorted keys, so that equal states give equal bytes."""
    return _ENCODER.encode(state.dump())


def state_hash(body: bytes) -> bytes:
    """SHA-256 of a snapshot body."""
    return hashlib.sha256(body).digest()


def decode_state(body: bytes, boards: dict[str, Board], rulebook: Rulebook, jurisdiction: str) -> State:
    """The state that was encoded. Raises msgspec.ValidationError where the body is not of this shape."""
    dumped = _DECODER.decode(body)
    state = State(boards, rulebook, jurisdiction)
    state.bureau = Bureau.load(dumped.bureau)
    state.ledger = Ledger.load(dumped.ledger)
    state.house = House(rulebook, state.ledger)
    state.drafts = {row.id: row for row in dumped.drafts}
    state.use_edition(dumped.edition, dumped.edition_texts)
    state.products = {row.id: row for row in dumped.products}
    state.listings = {row.id: row for row in dumped.listings}
    state.orders = {row.id: order_of_row(row) for row in dumped.orders}
    for key, ids in dumped.books.items():
        queue = dumped.queues.get(key)
        orders = [state.orders[one] for one in queue or ids]
        state.books[key] = _book(state.listings[key], orders if queue else by_time(orders))
        if is_crossed(state.books[key]):
            state.crossed[key] = None
    state.trades = {row.id: row for row in dumped.trades}
    state.holds = {row.id: row for row in dumped.trades if row.state == "held"}
    for entitlement in dumped.entitlements:
        state.take_entitlement(entitlement)
    state.reports = {row.id: row for row in dumped.reports}
    state.reported = {row.terms: row.id for row in dumped.reports}
    state.registers = loaded(dumped.registers)
    state.renewals = {row.entitlement: row for row in dumped.renewals}
    state.renewing = {row.trade: row.entitlement for row in dumped.renewals if row.trade in state.trades}
    for agreement in dumped.contracts:
        state.take_contract(agreement)
    for signature in dumped.signatures:
        state.take_signature(signature)
    state.signing = {(row.contract, row.participant): row for row in dumped.signing}
    for attestation in sorted(dumped.attestations.values(), key=lambda row: row.given_at_ns):
        state.take_attestation(attestation)
    state.duties = {row.id: row for row in dumped.duties}
    for subscription in dumped.subscriptions.values():
        state.take_subscription(subscription)
    for credential in dumped.credentials.values():
        state.take_credential(credential)
    state.years = dict(dumped.years)
    for year, (off, worked) in dumped.years:
        state.calendar = state.calendar.with_year(year_of(year, off, worked))
    _count(state, dumped)
    state.timers = dumped.timers
    heapify(state.timers)
    state.remembered = _oldest_first(dumped.remembered)
    state.aging = deque(state.remembered)
    _copy_plain(state, dumped)
    state.named_keys = {
        key.public_key: (name, key.id) for name, row in state.entrances.items() for key in row.keys.values()
    }
    state.awarding = {row.trade: row.id for row in dumped.proposals.values() if row.trade}
    state.bidding = {bid: row.listing for row in state.auctions.values() for bid in row.bids}
    state.ledger.watch_quietly([(debtor, CNY) for debtor in state.claims.debts])
    return state


def _count(state: State, dumped: _Dumped) -> None:
    """`State.holders` counts whoever ever bought, but for the merchant itself."""
    for dealing in dumped.dealings:
        state.dealings[dealing.listing, dealing.participant] = dealing
        if dealing.bought_ns and dealing.participant != state.listings[dealing.listing].merchant:
            state.holders[dealing.listing] = state.holders.get(dealing.listing, 0) + 1
    for row in dumped.exports:
        state.exports.setdefault((row.seller, row.year), {})[row.product] = row


class _Aged(Struct, array_like=True, gc=False):
    """What of a journal entry says how old it is."""

    at_ns: int


_AGE = msgspec.msgpack.Decoder(_Aged)


def _oldest_first(remembered: dict[str, Remembered]) -> dict[str, Remembered]:
    """A snapshot sorts its keys; no two entries are of one instant."""
    return dict(sorted(remembered.items(), key=lambda item: _AGE.decode(item[1].entry).at_ns))


def _copy_plain(state: State, dumped: _Dumped) -> None:
    for name in (
        "keys",
        "cash_references",
        "counters",
        "ids_from_ms",
        "forgotten_ms",
        "now_ns",
        "clock_floor_ns",
        "simulated",
        "sequence",
        "rulebook_sha256",
        "halts",
        "providers",
        "cured",
        "overtaken",
        "looks",
        "revenue",
        "bank",
        "stopped",
        "venue_key",
        "claims",
        "reminded",
        "protected",
        "draft_bases",
        "lapses",
        "postponed",
        "settled_over",
        "suspended",
        "bought",
        "needs",
        "proposals",
        "auctions",
        "sessions",
        "bills",
        "plans",
        "entrances",
        "departures",
        "predecessors",
        "venue_keys",
        "graded",
        "cases",
        "overrides",
        "looking",
        "mandates",
        "brokered",
        "directives",
        "frozen",
        "objected",
        "hosts",
        "rings",
        "ring_objections",
        "pace",
    ):
        setattr(state, name, getattr(dumped, name))


def _book(listing: Listing, orders: list[Order]) -> Book:
    """Orders in the order of their places."""
    book = new_book(listing)
    for order in orders:
        book.restore(order)
    return book
