"""Metered plans over HTTP: subscribing, usage, packages, bills, disputes, and plans that change.

What is shown is committed: rows out of the query tables, and what is still open of a month out of the state.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct

from clearing.calendar import month_name
from exchange import projector
from exchange.events import (
    AnswerDispute,
    BillDisputed,
    BillMade,
    BillPaid,
    BuyPackage,
    DisputeAnswered,
    DisputeBill,
    PackageBought,
    PayBill,
    PlanSet,
    RecordUsage,
    Refused,
    RenewSubscription,
    SetPlan,
    Subscribe,
    Subscribed,
    UsageRecord,
    UsageTaken,
)
from exchange.matching.metering import MOST_MONTHS, MOST_UNITS, Line, Plan, amount_fault, plan_fault, quote
from exchange.projection import BillRecord, SubscriptionRecord, UsageRow
from exchange.state import State
from exchange.subscription import MOST_A_LOT, MOST_PACKAGES
from exchange.venue import Outcome
from exchange.web.fills import Fill, fill_of
from exchange.web.instant import Instant, ns_of, optional_ns, optional_text, text_of
from exchange.web.operation import Call, Operation, Paging
from exchange.web.problem import Refusing

SEE_ALL: Final = ("reviewer", "operator", "auditor", "regulator")
OVER: Final = ("void", "ended")

Months = Annotated[int, Meta(ge=0, le=1_000, description=f"months of the calendar, 1 to {MOST_MONTHS}")]
Units = Annotated[int, Meta(ge=1, le=MOST_UNITS)]
Reason = Annotated[str, Meta(max_length=500, description="read by the other side")]


class Asked(Struct, kw_only=True, forbid_unknown_fields=True):
    """Purpose and territory are the listing's first where they are left out."""

    months: Months
    purpose: Annotated[str, Meta(max_length=64)] = ""
    territory: Annotated[str, Meta(max_length=64)] = ""
    accepts_prior: bool = False


class Again(Struct, kw_only=True, forbid_unknown_fields=True):
    months: Months
    accepts_prior: bool = False


class MadeSubscription(Struct):
    """`subscription` is null where clearing refused the trade; `fill` says why, and what was paid where it did not."""

    subscription: str | None
    trade: str
    entitlement: str | None
    state: str
    fill: Fill


class OpenMonth(Struct):
    """What was told of a month that is not billed: units that are metered, and units out of packages."""

    month: str
    metered: int
    packaged: int


class LeftPackage(Struct):
    package: str
    left: int
    until: str


class SubscriptionView(Struct):
    """`state`: held, granted (not delivered yet), running, suspended (its keys open nothing), closing (its last month is to
    be billed), ended, void (its trade came to nothing). `month` is the first that is not billed. `next_plan` is the
    subscription's from `next_plan_from` on."""

    subscription: str
    listing: str
    trade: str
    entitlement: str | None
    buyer: str
    seller: str
    purpose: str
    territory: str
    months: int
    plan: Plan
    state: str
    follows: str | None
    subscribed_at: str
    since: str | None
    until: str | None
    month: str | None
    next_plan: Plan | None
    next_plan_from: str | None
    open_months: tuple[OpenMonth, ...]
    packages: tuple[LeftPackage, ...]


class SubscriptionList(Struct):
    items: tuple[SubscriptionView, ...]
    next: str | None


class ToldRecord(Struct, kw_only=True, forbid_unknown_fields=True):
    """So many units used at an instant; an `id` counts once."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    units: Units
    at: Instant


class ToldUsage(Struct, kw_only=True, forbid_unknown_fields=True):
    records: Annotated[tuple[ToldRecord, ...], Meta(min_length=1, max_length=MOST_A_LOT)]


class TakenUsage(Struct):
    """How many records were `taken`, how many `known` before; `units` of those that were taken, `packaged` of them out of
    packages."""

    subscription: str
    taken: int
    known: int
    units: int
    packaged: int
    at: str


class UsageView(Struct):
    """`month` is the one in which it counts."""

    id: str
    units: int
    at: str
    month: str
    told_at: str


class UsageList(Struct):
    items: tuple[UsageView, ...]
    next: str | None


class PackageAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1, le=MOST_PACKAGES)] = 1


class PackageView(Struct):
    package: str
    units: int
    until: str
    bill: str
    amount_fen: int


class BillView(Struct):
    """`kind`: month, or package (bought apart). `lines` add up to `total_fen`, of which `prepaid_fen` was paid with the
    subscription; `amount_fen` is what the bill asks for, less what a dispute took off it (`lowered_fen`). `units` are all
    of the month, `packaged` those out of packages.

    `base`: the base fee is due (here), paid (with the subscription) or none (`barred` says why nothing could be used).
    `state`: due, reminded, overdue (a `debt`), paid, disputed (and not paid), contested (paid, and disputed), refunded.
    """

    bill: str
    subscription: str
    kind: str
    month: str
    buyer: str
    seller: str
    units: int
    packaged: int
    base: str
    barred: tuple[str, ...]
    lines: tuple[Line, ...]
    total_fen: int
    prepaid_fen: int
    amount_fen: int
    lowered_fen: int
    refunded_fen: int
    fee_fen: int
    merchant_fen: int
    state: str
    made_at: str
    due: str | None
    paid_at: str | None
    debt: str | None
    disputed_fen: int
    dispute_reason: str | None
    dispute_until: str | None
    answer: str | None


class BillList(Struct):
    items: tuple[BillView, ...]
    next: str | None


class BillStep(Struct):
    """`state` after this request."""

    bill: str
    state: str
    at: str


class Nothing(Struct, kw_only=True, forbid_unknown_fields=True):
    """An empty object."""


class Dispute(Struct, kw_only=True, forbid_unknown_fields=True):
    """So much of the bill is not owed."""

    amount_fen: Annotated[int, Meta(ge=1, le=10**15)]
    reason: Annotated[str, Meta(min_length=1, max_length=500, description="read by the merchant")]


class DisputeAnswer(Struct, kw_only=True, forbid_unknown_fields=True):
    agree: bool
    reason: Reason = ""


class NewPlan(Struct, kw_only=True, forbid_unknown_fields=True):
    """Left out, new subscribers have the plan at once. A rise that names its day names one that is not too early."""

    plan: Plan
    effective_from: Instant | None = None


class BoundSubscription(Struct):
    """A subscription that was there before, and the first of the month from which the plan is its own."""

    subscription: str
    binds_from: str
    dearer: bool


class PlanView(Struct):
    listing: str
    plan: Plan
    effective_from: str
    price_fen: int
    bound: tuple[BoundSubscription, ...]


class QuoteAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    plan: Plan
    units: Annotated[int, Meta(ge=0, le=MOST_UNITS)]


class Quoted(Struct):
    """Without the setup fee; a package once, where the plan has one."""

    units: int
    lines: tuple[Line, ...]
    total_fen: int


# ---- reads


class _Live(Struct):
    """What of a subscription the state says."""

    suspended: bool
    months: tuple[OpenMonth, ...]
    packages: tuple[LeftPackage, ...]


_NOTHING: Final = _Live(False, (), ())


def _live(state: State, identifier: str) -> _Live:
    row = state.subscriptions.get(identifier)
    if row is None:
        return _NOTHING
    found = state.entitlements.get(row.entitlement)
    names = sorted(dict.fromkeys((*row.used, *row.packaged)))
    months = tuple(OpenMonth(name, row.used.get(name, 0), row.packaged.get(name, 0)) for name in names)
    packages = tuple(LeftPackage(one.id, one.left, text_of(one.until_ns)) for one in row.packages if one.left)
    return _Live(found is not None and found.state == "suspended", months, packages)


async def _views(call: Call, rows: Sequence[SubscriptionRecord]) -> list[SubscriptionView]:
    found = await call.read(lambda state: [_live(state, row.id) for row in rows])
    return [subscription_view(row, live) for row, live in zip(rows, found, strict=True)]


def subscription_view(row: SubscriptionRecord, live: _Live) -> SubscriptionView:
    return SubscriptionView(
        row.id,
        row.listing,
        row.trade,
        row.entitlement or None,
        row.buyer,
        row.seller,
        row.purpose,
        row.territory,
        row.months,
        row.plan,
        "suspended" if live.suspended else row.state,
        row.follows or None,
        text_of(row.subscribed_at_ns),
        optional_text(row.from_ns),
        optional_text(row.until_ns),
        month_name(row.month) if row.month else None,
        row.next_plan,
        optional_text(row.next_plan_ns),
        live.months,
        live.packages,
    )


async def _record(call: Call) -> SubscriptionRecord:
    """The subscription of the path, for its parties and those who see all."""
    await call.tables_ready()
    row = await projector.subscription(call.desk.pool, call.path["subscription"])
    if row is None or not await _sees(call, row.buyer, row.seller):
        raise Refusing(Refused.not_found, f"you have no subscription {call.path['subscription']}")
    return row


async def _sees(call: Call, *parties: str) -> bool:
    return call.participant in parties or bool((await call.roles()).intersection(SEE_ALL))


async def list_own(call: Call, asked: Paging) -> Response[bytes]:
    await call.tables_ready()
    page = await projector.subscriptions_of(
        call.desk.pool, call.participant, asked.limit, asked.cursor or None
    )
    return call.page(await _views(call, page.items), page.next or "")


async def show(call: Call, asked: None) -> SubscriptionView:
    return (await _views(call, [await _record(call)]))[0]


async def list_usage(call: Call, asked: Paging) -> Response[bytes]:
    """The last told first."""
    row = await _record(call)
    page = await projector.usage_of(call.desk.pool, row.id, asked.limit, asked.cursor or None)
    return call.page([_usage_view(one) for one in page.items], page.next or "")


def _usage_view(row: UsageRow) -> UsageView:
    return UsageView(row.id, row.units, text_of(row.used_at_ns), month_name(row.month), text_of(row.at_ns))


async def list_bills(call: Call, asked: Paging) -> Response[bytes]:
    """The oldest first."""
    row = await _record(call)
    page = await projector.bills_of(call.desk.pool, row.id, asked.limit, asked.cursor or None)
    return call.page([bill_view(one) for one in page.items], page.next or "")


async def show_bill(call: Call, asked: None) -> BillView:
    await call.tables_ready()
    row = await projector.bill(call.desk.pool, call.path["bill"])
    if row is None or not await _sees(call, row.buyer, row.seller):
        raise Refusing(Refused.not_found, f"you have no bill {call.path['bill']}")
    return bill_view(row)


def bill_view(row: BillRecord) -> BillView:
    waits = row.state in ("due", "reminded")
    return BillView(
        row.id,
        row.subscription,
        row.kind,
        month_name(row.month),
        row.buyer,
        row.seller,
        row.units + row.packaged if row.kind == "month" else row.packaged,
        row.packaged,
        row.base,
        row.barred,
        row.lines,
        sum(line.amount_fen for line in row.lines),
        row.prepaid_fen,
        row.amount_fen,
        row.lowered_fen,
        row.refunded_fen,
        row.fee_fen,
        row.merchant_fen,
        row.state,
        text_of(row.made_at_ns),
        text_of(row.due_ns) if waits else None,
        optional_text(row.paid_at_ns),
        row.debt or None,
        row.disputed_fen,
        row.dispute_reason or None,
        optional_text(row.dispute_until_ns),
        row.answer or None,
    )


# ---- steps


async def subscribe(call: Call, body: Asked) -> MadeSubscription:
    command = Subscribe(
        actor=call.participant,
        key=call.key,
        listing=call.path["listing"],
        months=body.months,
        purpose=body.purpose,
        territory=body.territory,
        accepts_prior=body.accepts_prior,
    )
    return _made(call, await call.submit(command))


async def renew(call: Call, body: Again) -> MadeSubscription:
    command = RenewSubscription(
        actor=call.participant,
        key=call.key,
        subscription=call.path["subscription"],
        months=body.months,
        accepts_prior=body.accepts_prior,
    )
    return _made(call, await call.submit(command))


def _made(call: Call, outcome: Outcome) -> MadeSubscription:
    fills = (fill_of(event, call.desk.reasons, outcome.at_ns) for event in outcome.events)
    fill = next(fill for fill in fills if fill is not None)
    made = [event for event in outcome.events if isinstance(event, Subscribed)]
    if not made:
        return MadeSubscription(None, fill.trade, None, fill.state, fill)
    return MadeSubscription(
        made[0].subscription, fill.trade, made[0].entitlement or None, made[0].state, fill
    )


async def record(call: Call, body: ToldUsage) -> TakenUsage:
    """Of a subscription that is over the engine knows nothing any more: the tables say so to its merchant."""
    identifier, participant = call.path["subscription"], call.participant
    command = RecordUsage(
        actor=participant,
        key=call.key,
        subscription=identifier,
        records=tuple(
            UsageRecord(id=one.id, units=one.units, at_ns=ns_of(one.at, "at")) for one in body.records
        ),
    )
    await call.tables_ready()
    row = await projector.subscription(call.desk.pool, identifier)
    if row is not None and row.seller == participant and row.state in OVER:
        raise Refusing(
            Refused.wrong_state, f"subscription {identifier} is {row.state}: nothing is counted any more"
        )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, UsageTaken)
    units = sum(one.units for one in event.records)
    packaged = sum(count for _, count in event.packaged)
    return TakenUsage(identifier, len(event.records), event.known, units, packaged, text_of(outcome.at_ns))


async def buy_package(call: Call, body: PackageAsked) -> PackageView:
    command = BuyPackage(
        actor=call.participant, key=call.key, subscription=call.path["subscription"], count=body.count
    )
    events = (await call.submit(command)).events
    bought = next(event for event in events if isinstance(event, PackageBought))
    bill = next(event for event in events if isinstance(event, BillMade))
    return PackageView(bought.package, bought.units, text_of(bought.until_ns), bought.bill, bill.amount_fen)


async def pay(call: Call, body: Nothing) -> BillStep:
    outcome = await call.submit(PayBill(actor=call.participant, key=call.key, bill=call.path["bill"]))
    return _step(call, outcome)


async def dispute(call: Call, body: Dispute) -> BillStep:
    command = DisputeBill(
        actor=call.participant,
        key=call.key,
        bill=call.path["bill"],
        amount_fen=body.amount_fen,
        reason=body.reason,
    )
    return _step(call, await call.submit(command))


async def answer_dispute(call: Call, body: DisputeAnswer) -> BillStep:
    command = AnswerDispute(
        actor=call.participant, key=call.key, bill=call.path["bill"], agree=body.agree, reason=body.reason
    )
    return _step(call, await call.submit(command))


def _step(call: Call, outcome: Outcome) -> BillStep:
    """The bill's state after the events of this request."""
    state = ""
    for event in outcome.events:
        if isinstance(event, BillDisputed | DisputeAnswered):
            state = event.state
        elif isinstance(event, BillPaid) and event.bill == call.path["bill"]:
            state = "paid"
    return BillStep(call.path["bill"], state, text_of(outcome.at_ns))


async def set_plan(call: Call, body: NewPlan) -> PlanView:
    command = SetPlan(
        actor=call.participant,
        key=call.key,
        listing=call.path["listing"],
        plan=body.plan,
        effective_from_ns=optional_ns(body.effective_from, "effective_from"),
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, PlanSet)
    bound = tuple(
        BoundSubscription(name, text_of(from_ns), name in event.dearer) for name, from_ns in event.binds
    )
    return PlanView(event.listing, event.plan, text_of(event.from_ns), event.price_fen, bound)


async def quoted(call: Call, body: QuoteAsked) -> Quoted:
    """Arithmetic alone: nothing is stored."""
    if fault := plan_fault(body.plan) or amount_fault(body.plan, body.units):
        raise Refusing(Refused.out_of_bounds, fault)
    billed = quote(body.plan, body.units)
    return Quoted(body.units, billed.lines, billed.total_fen)


# ---- the operations

_WHEN: Final = "2026-12-01T10:00:00Z"
_TIERS: Final = [
    {"up_to_units": 100, "price_fen": 4, "per_units": 1}, {"up_to_units": None, "price_fen": 10, "per_units": 1},
]  # fmt: skip
_PLAN: Final = {
    "setup_fen": 500, "base_fee_fen": 1_000, "tiers": _TIERS, "package": None, "monthly_cap_fen": None, "pay_days": 10,
}  # fmt: skip
_LINES: Final = [
    {"kind": "base", "units": 1, "price_fen": 1_000, "per_units": 1, "amount_fen": 1_000},
    {"kind": "tier", "units": 100, "price_fen": 4, "per_units": 1, "amount_fen": 400},
    {"kind": "tier", "units": 1, "price_fen": 10, "per_units": 1, "amount_fen": 10},
]
_MADE: Final = {
    "subscription": "S1", "trade": "T1", "entitlement": "E1", "state": "granted",
    "fill": {"trade": "T1", "state": "settled", "quantity": 1, "price_fen": 1_500, "amount_fen": 1_500, "fee_fen": 30,
             "entitlement": "E1", "due": "2026-12-04T10:00:00Z"},
}  # fmt: skip
_SUBSCRIPTION: Final = {
    "subscription": "S1", "listing": "L1", "trade": "T1", "entitlement": "E1", "buyer": "P4", "seller": "P2",
    "purpose": "market_analysis", "territory": "CN", "months": 3, "plan": _PLAN, "state": "running", "follows": None,
    "subscribed_at": _WHEN, "since": _WHEN, "until": "2027-02-28T16:00:00Z", "month": "2026-12", "next_plan": None,
    "next_plan_from": None, "open_months": [{"month": "2026-12", "metered": 101, "packaged": 0}], "packages": [],
}  # fmt: skip
_BILL: Final = {
    "bill": "I1", "subscription": "S1", "kind": "month", "month": "2027-01", "buyer": "P4", "seller": "P2", "units": 101,
    "packaged": 0, "base": "due", "barred": [], "lines": _LINES, "total_fen": 1_410, "prepaid_fen": 0, "amount_fen": 1_410,
    "lowered_fen": 0, "refunded_fen": 0, "fee_fen": 28, "merchant_fen": 1_382, "state": "paid",
    "made_at": "2027-01-31T16:00:00.5Z", "due": None, "paid_at": "2027-01-31T16:00:00.5Z", "debt": None, "disputed_fen": 0,
    "dispute_reason": None, "dispute_until": None, "answer": None,
}  # fmt: skip
_STEP: Final = {"bill": "I1", "state": "paid", "at": _WHEN}
_ORDERED: Final = (
    Refused.wrong_state, Refused.already_exists, Refused.unlawful, Refused.listing_closed, Refused.halted, Refused.in_debt,
    Refused.outside_terms, Refused.not_verified, Refused.standing_denied, Refused.supply_exhausted,
    Refused.funds_insufficient, Refused.mechanism_not_allowed,
)  # fmt: skip

OPERATIONS: Final = (
    Operation("POST", "/v1/listings/{listing}/subscriptions", subscribe,
              "Subscribe to a metered listing for so many months of the calendar", "metered", status=201, asks=Asked,
              answers=MadeSubscription, refused=_ORDERED, example={"months": 3}, example_answer=_MADE),
    Operation("POST", "/v1/listings/{listing}/plan", set_plan,
              "A new plan: at once for new subscribers; a rise binds others after notice (its merchant)", "metered",
              asks=NewPlan, answers=PlanView,
              refused=(Refused.wrong_state, Refused.mechanism_not_allowed, Refused.outside_terms, Refused.board_rule),
              example={"plan": _PLAN},
              example_answer={"listing": "L1", "plan": _PLAN, "effective_from": _WHEN, "price_fen": 1_500,
                              "bound": [{"subscription": "S1", "binds_from": "2027-02-28T16:00:00Z", "dearer": True}]}),
    Operation("GET", "/v1/subscriptions", list_own, "Own subscriptions, bought or sold", "metered", asks=Paging,
              answers=SubscriptionList, example_answer={"items": [_SUBSCRIPTION], "next": None}),
    Operation("GET", "/v1/subscriptions/{subscription}", show, "One own subscription, with its open month", "metered",
              answers=SubscriptionView, example_answer=_SUBSCRIPTION),
    Operation("POST", "/v1/subscriptions/{subscription}/renew", renew,
              "Let another follow on it, under the plan of today (its buyer)", "metered", status=201, asks=Again,
              answers=MadeSubscription, refused=_ORDERED, example={"months": 3}, example_answer=_MADE),
    Operation("POST", "/v1/subscriptions/{subscription}/usage", record,
              "What was used, by records of which each id counts once (its merchant)", "metered", asks=ToldUsage,
              answers=TakenUsage, refused=(Refused.wrong_state, Refused.unlawful),
              example={"records": [{"id": "2026-12-01T09", "units": 101, "at": "2026-12-01T09:59:59Z"}]},
              example_answer={"subscription": "S1", "taken": 1, "known": 0, "units": 101, "packaged": 0, "at": _WHEN}),
    Operation("GET", "/v1/subscriptions/{subscription}/usage", list_usage, "Records that were counted, the last told first",
              "metered", asks=Paging, answers=UsageList,
              example_answer={"items": [{"id": "2026-12-01T09", "units": 101, "at": "2026-12-01T09:59:59Z",
                                         "month": "2026-12", "told_at": _WHEN}], "next": None}),
    Operation("GET", "/v1/subscriptions/{subscription}/bills", list_bills, "Its bills, the oldest first", "metered",
              asks=Paging, answers=BillList, example_answer={"items": [_BILL], "next": None}),
    Operation("POST", "/v1/subscriptions/{subscription}/packages", buy_package,
              "Units ahead, paid at once (its buyer)", "metered", status=201, asks=PackageAsked, answers=PackageView,
              refused=(Refused.wrong_state, Refused.unlawful, Refused.funds_insufficient, Refused.standing_denied),
              example={"count": 1},
              example_answer={"package": "S1-2", "units": 1_000, "until": "2027-01-10T10:00:00Z", "bill": "I2",
                              "amount_fen": 5_000}),
    Operation("POST", "/v1/bills/quote", quoted, "What a month of so many units costs under a plan", "metered",
              asks=QuoteAsked, answers=Quoted, example={"plan": _PLAN, "units": 101},
              example_answer={"units": 101, "lines": _LINES, "total_fen": 1_410}),
    Operation("GET", "/v1/bills/{bill}", show_bill, "One own bill", "metered", answers=BillView, example_answer=_BILL),
    Operation("POST", "/v1/bills/{bill}/pay", pay, "Pay a bill that is due, before its date (its buyer)", "metered",
              asks=Nothing, answers=BillStep, refused=(Refused.wrong_state, Refused.funds_insufficient), example={},
              example_answer=_STEP),
    Operation("POST", "/v1/bills/{bill}/dispute", dispute, "Say that a part of a bill is not owed (its buyer)", "metered",
              asks=Dispute, answers=BillStep, refused=(Refused.wrong_state,),
              example={"amount_fen": 100, "reason": "our gateway counted ten calls fewer"},
              example_answer=_STEP | {"state": "contested"}),
    Operation("POST", "/v1/bills/{bill}/answer", answer_dispute,
              "Agree to a dispute, and the amount goes; or say why the bill stands (its merchant)", "metered",
              asks=DisputeAnswer, answers=BillStep, refused=(Refused.wrong_state,), example={"agree": True},
              example_answer=_STEP),
)  # fmt: skip
