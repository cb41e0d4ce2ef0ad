"""Subscriptions to metered listings: usage, packages, bills, and what becomes of a bill that is not paid.

    plan listed -> subscribed -> delivered -> accepted -> usage told -> month ends -> bill -> paid -> renewed or ended
                       │                                                              │
               a trade like any other,                            out of the buyer's money at once, else by its date;
               at setup + first base fee (+ package)              then a debt, and the keys open nothing until it is paid

Months are those of the calendar in Beijing time; nothing is prorated. `exchange.matching.metering` has the arithmetic. The
venue's own rules (本所规则) about what is told and billed:

- **A record counts once**, by its id. Told again as it was, it is known; told otherwise, the whole lot is refused. Ids are
  remembered as long as a record of their month could still count.
- **Late**: a record of a month that is billed counts to the first month that is not, up to LATE_NS after its instant; then
  it is refused. **Ahead**: one of an instant that is more than AHEAD_NS to come is refused, and one of before the delivery.
- **A month that could not be used has no base fee**: at its end a rule forbids this buyer the use (consent withdrawn, the
  registration suspended), or the merchant has suspended the entitlement, or it was revoked. The units that were told in it
  are billed: while a rule forbids the use, none are taken. Nobody pays more base fees than the months subscribed to.
- **Who does not pay** is suspended, its term runs on, and its base fees with it: 「当事人一方不履行合同义务或者履行合同义务
  不符合约定的，应当承担继续履行、采取补救措施或者赔偿损失等违约责任。」(民法典第五百七十七条)
- **A dearer plan** binds whoever had subscribed from the first of a month, at least ninety days after the notice, or with a
  renewal, whichever is sooner; one that nobody pays more under, from the next first of a month.
  「当事人协商一致，可以变更合同。」(民法典第五百四十三条): who stays with the notice in hand agrees.

A bill is distributed like the price of a sale: fee, shares, merchant (`exchange.revenue`).
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from clearing.calendar import DAY_NS, month_begins, month_name, month_of
from clearing.ledger import BILLS, CNY, FEES, Leg, deposit_owner
from clearing.notrade import capacities
from credit.conduct import Conduct
from exchange import revenue
from exchange.consequence import order_refusal
from exchange.debt import debt_refusal, freed, owe
from exchange.deposit import deposited
from exchange.entitlement import metered_from, remind_ns, unpaid_bill
from exchange.events import (
    VENUE,
    AnswerDispute,
    BillDefaulted,
    BillDisputed,
    BillFiled,
    BillLowered,
    BillMade,
    BillPaid,
    BillRefunded,
    BillReminded,
    BuyPackage,
    Completed,
    DebtSetOff,
    Delivered,
    DeliveryRejected,
    DisputeAnswered,
    DisputeBill,
    EntitlementEnded,
    EntitlementMoved,
    EntitlementRenewed,
    Event,
    Held,
    HoldReleased,
    PackageBought,
    PayBill,
    PlaceOrder,
    PlanBegun,
    PlanSet,
    RecordUsage,
    Refunded,
    Refusal,
    Refused,
    RenewSubscription,
    SetPlan,
    Settled,
    Subscribe,
    Subscribed,
    SubscriptionMoved,
    UsageRecord,
    UsageTaken,
)
from exchange.halt import halted_refusal
from exchange.listing import VISIBLE, attributes_of, board_refusal, cell_of
from exchange.matching.metering import (
    MOST_MONTHS,
    MOST_UNITS,
    NOTICE_NS,
    Base,
    Billed,
    Bought,
    Line,
    Plan,
    amount_fault,
    bill,
    first_of_month,
    is_dearer,
    opening,
    package_line,
    plan_fault,
    rise_binds_ns,
    take,
)
from exchange.order import Deal, clearing_facts, law_refusal, read_of, strike, supply_refusal
from exchange.participant import frozen_refusal, standing_refusal
from exchange.refund import lowered_parts
from exchange.state import Bill, Debt, Entitlement, Listing, State, Subscription, WaitingPlan
from exchange.trade import RECORDED

LIFE: Final = {
    ("held", "settle"): "granted",
    ("held", "void"): "void",
    ("granted", "deliver"): "running",
    ("granted", "void"): "void",
    ("running", "reject"): "granted",
    ("running", "void"): "void",
    ("running", "stop"): "closing",
    ("closing", "end"): "ended",
}
"""Of a subscription. It is void where its trade came to nothing, and closing until the month of its end is billed."""

BILL_LIFE: Final = {
    ("due", "pay"): "paid",
    ("due", "remind"): "reminded",
    ("due", "miss"): "overdue",
    ("due", "dispute"): "disputed",
    ("reminded", "pay"): "paid",
    ("reminded", "miss"): "overdue",
    ("reminded", "dispute"): "disputed",
    ("overdue", "pay"): "paid",
    ("disputed", "agree"): "due",
    ("disputed", "refuse"): "due",
    ("disputed", "expire"): "due",
    ("paid", "dispute"): "contested",
    ("contested", "agree"): "paid",
    ("contested", "give_back"): "refunded",
    ("contested", "refuse"): "paid",
    ("contested", "expire"): "paid",
}
"""Of a bill. What is disputed before it is paid waits; afterwards it can go back, a part or (give_back) all of it."""

LATE_NS: Final = 3 * DAY_NS
AHEAD_NS: Final = 60_000_000_000
"""How far a merchant's clock may be off: ahead of the venue's, and behind a delivery and the purchase of a package."""
DISPUTE_NS: Final = 30 * DAY_NS
"""How long after it was made a bill can be disputed."""
ANSWER_NS: Final = 10 * DAY_NS
"""How long a dispute waits for the merchant; then the bill stands."""
MOST_A_LOT: Final = 1_000
"""Records told at a time."""
MOST_A_MONTH: Final = 10_000
"""Records of a subscription that count in a month: whoever has more adds them up by the minute."""
MOST_PACKAGES: Final = 100
"""Packages of a subscription that have something left."""
MOST_AHEAD_DAYS: Final = 366
DAYS_A_MONTH: Final = 30
"""By so many days of the listing's term_days a month of the calendar is covered."""
UNPAID: Final = "账单 {bill} 逾期未付 bill {bill} is overdue"
PAID: Final = "账单 {bill} 已付 bill {bill} is paid"


# ---- subscribing


def subscribe(state: State, command: Subscribe, at_ns: int) -> Refusal | Iterator[Event]:
    """A trade of one licence at setup fee and first base fee, judged and paid like any other."""
    listing = state.listings.get(command.listing)
    if listing is None or listing.state not in VISIBLE:
        return Refusal(Refused.not_found, f"there is no listing {command.listing}")
    plan = listing.terms.plan
    if isinstance(plan, UnsetType):
        detail = f"listing {listing.id} is no metered plan: its mechanism is {listing.terms.mechanism}"
        return Refusal(Refused.mechanism_not_allowed, detail)
    asked = as_order(command)
    order = replace(
        asked,
        purpose=asked.purpose or listing.terms.purposes[0],
        territory=asked.territory or listing.terms.territories[0],
    )
    refusal = _months_refusal(listing, command.months) or _strike_refusal(
        state, listing, order, plan.first_fen, at_ns
    )
    return refusal or _subscribed(state, listing, order, command.months, plan, plan.first_fen, "", at_ns)


def as_order(command: Subscribe) -> PlaceOrder:
    """The order that a subscription is to the law, and in the record of what was refused."""
    return PlaceOrder(
        actor=command.actor,
        key=command.key,
        listing=command.listing,
        quantity=1,
        purpose=command.purpose,
        territory=command.territory,
        accepts_prior=command.accepts_prior,
    )


def renew(state: State, command: RenewSubscription, at_ns: int) -> Refusal | Iterator[Event]:
    """Under the plan that the listing has now; it is metered from the end of the one it follows on."""
    row = state.subscriptions.get(command.subscription)
    if row is None or row.buyer != command.actor:
        return _not_yours(command.subscription)
    if row.entitlement not in state.entitlements or row.trade in state.trades:
        detail = "only a subscription that runs and was accepted is renewed: subscribe anew"
        return Refusal(Refused.wrong_state, detail)
    if (known := state.renewals.get(row.entitlement)) is not None:
        return Refusal(Refused.already_exists, f"trade {known.trade} renews it already")
    listing = state.listings[row.listing]
    plan = _plan_of(listing)
    order = PlaceOrder(
        actor=row.buyer,
        listing=row.listing,
        quantity=1,
        purpose=row.purpose,
        territory=row.territory,
        accepts_prior=command.accepts_prior,
    )
    refusal = _months_refusal(listing, command.months) or _strike_refusal(
        state, listing, order, plan.again_fen, at_ns
    )
    return refusal or _subscribed(state, listing, order, command.months, plan, plan.again_fen, row.id, at_ns)


def _plan_of(listing: Listing) -> Plan:
    plan = listing.terms.plan
    assert not isinstance(plan, UnsetType), "a metered listing has a plan"
    return plan


def _not_yours(subscription: str) -> Refusal:
    return Refusal(Refused.not_found, f"you have no subscription {subscription} that runs")


def _months_refusal(listing: Listing, months: int) -> Refusal | None:
    most = min(MOST_MONTHS, listing.terms.term_days // DAYS_A_MONTH)
    if 1 <= months <= most:
        return None
    detail = f"months lies between 1 and {most}: the listing's term is {listing.terms.term_days} days"
    return Refusal(Refused.outside_terms, detail)


def _strike_refusal(
    state: State, listing: Listing, order: PlaceOrder, price_fen: int, at_ns: int
) -> Refusal | None:
    """As for an order at a posted price: does it trade, do the terms have it, who asks, the law, supply, money."""
    if listing.state != "published":
        detail = f"the listing is {listing.state}: it takes no subscriptions"
        return Refusal(Refused.listing_closed, detail)
    terms = listing.terms
    if order.purpose not in terms.purposes or order.territory not in terms.territories:
        offered = f"purposes {', '.join(terms.purposes)} and territories {', '.join(terms.territories)}"
        return Refusal(Refused.outside_terms, f"offered are {offered}")
    halted = halted_refusal(state, listing) if state.halts or state.objected or state.lacking else None
    standing = standing_refusal(state, order.actor, "buy", at_ns)
    if halted is not None or (standing is not None and standing.code is not Refused.standing_denied):
        return halted or standing
    cell = cell_of(state, listing, order.purpose, order.territory, at_ns)
    read = read_of(state, listing, cell, order, at_ns, False)
    return (
        law_refusal(state, listing, read, order, at_ns)
        or standing
        or debt_refusal(state, order.actor)
        or supply_refusal(listing, 1)
        or _funds_refusal(state, order.actor, price_fen)
        or order_refusal(state, order.actor, listing.merchant, price_fen, at_ns)
    )


def _funds_refusal(state: State, buyer: str, amount_fen: int) -> Refusal | None:
    available = state.ledger.available(buyer, CNY)
    if available >= amount_fen:
        return None
    detail = f"{amount_fen} fen are needed, {available} are available: pay in first"
    return Refusal(Refused.funds_insufficient, detail)


def _subscribed(
    state: State,
    listing: Listing,
    order: PlaceOrder,
    months: int,
    plan: Plan,
    price_fen: int,
    follows: str,
    at_ns: int,
) -> Iterator[Event]:
    """Where clearing refuses, there is no subscription; where it holds, it waits with the trade."""
    where = (order.purpose, order.territory, order.accepts_prior)
    for event in strike(state, listing, order.actor, 1, price_fen, *where, at_ns):
        yield event
        if not isinstance(event, Settled | Held):
            continue
        entitlement = event.entitlement if isinstance(event, Settled) else ""
        before = state.subscriptions.get(follows)
        if before is not None:
            yield EntitlementRenewed(before.entitlement, event.trade, entitlement)
        yield Subscribed(
            state.next_id("S"),
            listing.id,
            event.trade,
            entitlement,
            event.buyer,
            event.seller,
            event.purpose,
            event.territory,
            months,
            plan,
            "granted" if entitlement else "held",
            follows,
        )


# ---- what the trade and the entitlement do to it


def _of(state: State, identifier: str) -> Subscription | None:
    """The subscription that a trade has bought, or that uses an entitlement. Asked for every trade: it costs a look-up."""
    found = state.subscription_of.get(identifier)
    return None if found is None else state.subscriptions[found]


def _step(row: Subscription, step: str, **fields: object) -> SubscriptionMoved:
    return SubscriptionMoved(row.id, step, LIFE[row.state, step], **fields)  # type: ignore[arg-type]


def after_settled(state: State, event: Settled, at_ns: int) -> Iterable[Event]:
    """A hold was cured."""
    row = _of(state, event.trade)
    return () if row is None else (_step(row, "settle", entitlement=event.entitlement),)


def after_delivered(state: State, event: Delivered, at_ns: int) -> Iterable[Event]:
    row = _of(state, event.trade)
    if row is None:
        return ()
    from_ns = metered_from(state, row, at_ns)
    return (_step(row, "deliver", from_ns=from_ns, until_ns=event.entitlement_until_ns),)


def after_rejected(state: State, event: DeliveryRejected, at_ns: int) -> Iterable[Event]:
    row = _of(state, event.trade)
    return () if row is None else (_step(row, "reject"),)


def after_undone(state: State, event: Refunded | HoldReleased, at_ns: int) -> Iterable[Event]:
    row = _of(state, event.trade)
    return () if row is None else (_step(row, "void"),)


def after_completed(state: State, event: Completed, at_ns: int) -> Iterator[Event]:
    """Months that ended while the buyer could still reject are billed now."""
    row = _of(state, event.trade)
    if row is not None:
        yield from _bills(state, row, at_ns)


def after_ended(state: State, event: EntitlementEnded, at_ns: int) -> Iterable[Event]:
    """The month in which it ended is the last that is billed: its natural end is the last instant before `until_ns`."""
    row = _of(state, event.entitlement)
    if row is None or row.state != "running":
        return ()
    until_ns = state.entitlements[event.entitlement].until_ns if event.step != "revoke" else 0
    return _stopped(state, row, min(at_ns, until_ns or at_ns), event.step)


def _stopped(state: State, row: Subscription, at_ns: int, how: str) -> Iterator[Event]:
    yield _step(row, "stop", until_ns=at_ns, reason=how)
    yield from _end(state, row)


def _end(state: State, row: Subscription) -> Iterator[Event]:
    """Once the month of its end is billed it is over."""
    if row.stopped_ns and month_of(row.stopped_ns - 1) < row.month:
        yield _step(row, "end")


# ---- usage


def record(state: State, command: RecordUsage, at_ns: int) -> Refusal | Iterable[Event]:
    """All of the records, or none. See the rules at the top."""
    row = state.subscriptions.get(command.subscription)
    if row is None or row.seller != command.actor:
        detail = f"you have sold no subscription {command.subscription} that runs"
        return Refusal(Refused.not_found, detail)
    if row.state not in ("running", "closing"):
        return Refusal(
            Refused.wrong_state, "nothing is used before it is delivered, and nothing that was rejected"
        )
    if not 1 <= len(command.records) <= MOST_A_LOT:
        return Refusal(Refused.out_of_bounds, f"tell 1 to {MOST_A_LOT} records at a time")
    faults = (_record_fault(row, one, at_ns) for one in command.records)
    if (fault := next((fault for fault in faults if fault), "")) != "":
        return Refusal(Refused.out_of_bounds, fault)
    found = state.entitlements.get(row.entitlement)
    if found is not None and found.state == "suspended":
        detail = "its keys open nothing: what was used before is told when it has resumed"
        return Refusal(Refused.wrong_state, detail)
    if (refusal := _barred_refusal(state, row, at_ns)) is not None:
        return refusal
    return _taken(row, command.records)


def _record_fault(row: Subscription, one: UsageRecord, at_ns: int) -> str:
    if not (1 <= len(one.id) <= 64 and 1 <= one.units <= MOST_UNITS):
        return (
            f"record {one.id[:64]!r}: its id has 1 to 64 characters, its units lie between 1 and {MOST_UNITS}"
        )
    if one.at_ns > at_ns + AHEAD_NS:
        return f"record {one.id}: that is ahead of the venue's clock; tell what was used when it was used"
    if one.at_ns < row.from_ns - AHEAD_NS or (row.stopped_ns and one.at_ns >= row.stopped_ns):
        return f"record {one.id}: the subscription did not run then"
    if month_of(one.at_ns) < row.month and one.at_ns < at_ns - LATE_NS:
        return f"record {one.id}: its month is billed, and it is older than three days: it is too late"
    return ""


def _taken(row: Subscription, records: tuple[UsageRecord, ...]) -> Refusal | list[Event]:
    """The records that are new, in the order in which they were told: packages give what they have left."""
    told: dict[bytes, bytes] = {}
    fresh: list[UsageRecord] = []
    for one in records:
        key, content = mark_of(one)
        known = told.get(key) or _content(row, key)
        if known is not None and known != content:
            detail = (
                f"record {one.id} was told before with other units or another instant: it counts as it was"
            )
            return Refusal(Refused.id_conflict, detail)
        told[key] = content
        if known is None:
            fresh.append(one)
    event = _counted(row, fresh, len(records) - len(fresh))
    return _total_refusal(row, event) or [event]


def _counted(row: Subscription, fresh: list[UsageRecord], known: int) -> UsageTaken:
    packages = [replace(one) for one in row.packages]
    metered: dict[int, int] = {}
    packaged: dict[int, int] = {}
    out_of: dict[str, int] = {}
    months = tuple(max(row.month, month_of(one.at_ns)) for one in fresh)
    for one, month in zip(fresh, months, strict=True):
        taken, rest = take(packages, one.units, max(one.at_ns, row.from_ns))
        _draw(packages, taken)
        for package, units in taken:
            out_of[package] = out_of.get(package, 0) + units
        metered[month] = metered.get(month, 0) + rest
        packaged[month] = packaged.get(month, 0) + one.units - rest
    parts = (tuple(metered.items()), tuple(packaged.items()), tuple(out_of.items()))
    return UsageTaken(row.id, tuple(fresh), months, *parts, known)


def _draw(packages: list[Bought], taken: Iterable[tuple[str, int]]) -> None:
    given = dict(taken)
    for one in packages:
        one.left -= given.get(one.id, 0)


def _total_refusal(row: Subscription, event: UsageTaken) -> Refusal | None:
    """What no bill could hold, and more records than the venue remembers."""
    for month, units in event.metered:
        total = row.used.get(month_name(month), 0) + units
        if (
            fault := amount_fault(plan_in(row, month), total)
            if total <= MOST_UNITS
            else "so many units make no bill"
        ):
            return Refusal(Refused.out_of_bounds, fault)
        count = len(row.seen.get(month_name(month), b"")) // MARK_BYTES + event.months.count(month)
        if count > MOST_A_MONTH:
            detail = (
                f"at most {MOST_A_MONTH} records count in a month: add them up, by the minute or the hour"
            )
            return Refusal(Refused.out_of_bounds, detail)
    return None


KEY_BYTES: Final = 8
MARK_BYTES: Final = 12


def mark_of(one: UsageRecord) -> tuple[bytes, bytes]:
    """What is remembered of a record: eight bytes of its id's hash, four of its content's."""
    key = hashlib.blake2b(one.id.encode(), digest_size=KEY_BYTES).digest()
    content = hashlib.blake2b(
        f"{one.units} {one.at_ns}".encode(), digest_size=MARK_BYTES - KEY_BYTES
    ).digest()
    return key, content


def _content(row: Subscription, key: bytes) -> bytes | None:
    """What was remembered of the content under this id; None where the id is new."""
    for seen in row.seen.values():
        place = _place_of(seen, key)
        if seen[place : place + KEY_BYTES] == key:
            return seen[place + KEY_BYTES : place + MARK_BYTES]
    return None


def _place_of(seen: bytes, key: bytes) -> int:
    """Where the mark of this id stands, or would."""
    marks = range(0, len(seen), MARK_BYTES)
    return bisect_left(marks, key, key=lambda at: seen[at : at + KEY_BYTES]) * MARK_BYTES


def with_marks(seen: bytes, records: Iterable[UsageRecord]) -> bytes:
    """The marks with those of these records, sorted."""
    marks = [seen[at : at + MARK_BYTES] for at in range(0, len(seen), MARK_BYTES)]
    return b"".join(sorted([*marks, *(key + content for key, content in map(mark_of, records))]))


# ---- whether the law still lets it be used


def forbidding(state: State, row: Subscription, at_ns: int) -> tuple[str, ...]:
    """The rules of clearing that this buyer's use breaks now, but for those that speak of dates, which both sides knew.

    A fact that is merely unknown forbids nothing that was allowed, nor does a hold whose cure was of the trade alone.
    """
    listing = state.listings[row.listing]
    where = (row.purpose, row.territory)
    deal = Deal(
        listing,
        cell_of(state, listing, *where, at_ns),
        row.buyer,
        row.seller,
        "",
        "",
        1,
        listing.terms.price_fen,
        0,
        *where,
        True,
        standing=True,
    )
    broken = state.rulebook.judge(clearing_facts(state, deal, at_ns)).violated
    rules = (state.rulebook.rules[name] for name in broken)
    return tuple(
        rule.id
        for rule in rules
        if "now" not in rule.facts and (rule.kind == "reject" or rule.id in RECORDED)
    )


def _barred_refusal(state: State, row: Subscription, at_ns: int) -> Refusal | None:
    rules = forbidding(state, row, at_ns)
    if not rules:
        return None
    listing = state.listings[row.listing]
    cell = cell_of(state, listing, row.purpose, row.territory, at_ns)
    detail = "as things are this may not be used: stop serving it, and nothing of it is counted or billed"
    return Refusal(Refused.unlawful, detail, rules, (), capacities(cell.product, cell.source))


def _barred(state: State, row: Subscription, at_ns: int) -> tuple[str, ...]:
    """Why the month that ends has no base fee: the rules that forbid the use, `suspended` or `revoked`; empty: it has."""
    if row.stopped == "revoke":
        return ("revoked",)
    found = state.entitlements.get(row.entitlement)
    if found is not None and found.state == "suspended" and not _for_unpaid(state, found):
        return ("suspended",)
    return forbidding(state, row, at_ns)


def _for_unpaid(state: State, entitlement: Entitlement) -> bool:
    """Whether it is suspended because a bill is overdue, and not by its merchant."""
    return any(
        row.suspends and row.state == "overdue" and row.entitlement == entitlement.id
        for row in state.bills.values()
    )


# ---- packages


def buy_package(state: State, command: BuyPackage, at_ns: int) -> Refusal | Iterator[Event]:
    """Billed and paid at once: what is bought ahead is not owed."""
    row = state.subscriptions.get(command.subscription)
    if row is None or row.buyer != command.actor:
        return _not_yours(command.subscription)
    month = month_of(at_ns)
    package = plan_in(row, month).package
    if package is None:
        return Refusal(Refused.out_of_bounds, "the plan of this subscription has no package")
    refusal = (
        frozen_refusal(state, row.buyer)
        or _package_refusal(state, row, command.count, at_ns)
        or _funds_refusal(state, row.buyer, package.price_fen * command.count)
    )
    if refusal is not None:
        return refusal
    line = package_line(package, command.count)
    return _package_bought(state, row, line, month, at_ns + package.valid_days * DAY_NS, at_ns)


def _package_refusal(state: State, row: Subscription, count: int, at_ns: int) -> Refusal | None:
    found = state.entitlements.get(row.entitlement)
    if row.state != "running" or row.trade in state.trades or found is None or found.state != "active":
        detail = "packages are bought by whoever has accepted a subscription and may use it now"
        return Refusal(Refused.wrong_state, detail)
    if not 1 <= count <= MOST_PACKAGES:
        return Refusal(Refused.out_of_bounds, f"count lies between 1 and {MOST_PACKAGES}")
    if len([one for one in row.packages if one.left and one.until_ns > at_ns]) >= MOST_PACKAGES:
        return Refusal(
            Refused.out_of_bounds, f"{MOST_PACKAGES} packages have something left: use them up first"
        )
    return _barred_refusal(state, row, at_ns)


def _package_bought(
    state: State, row: Subscription, line: Line, month: int, until_ns: int, at_ns: int
) -> Iterator[Event]:
    billed = Billed((line,), line.amount_fen)
    identifier = state.next_id("I")
    yield from _made(state, row, "package", month, billed, (0, line.units), "none", (), at_ns)
    yield PackageBought(row.id, f"{row.id}-{row.bought + 1}", identifier, line.units, until_ns)


# ---- plans


def plan_in(row: Subscription, month: int) -> Plan:
    """The plan that a month of a subscription is billed under."""
    if row.next_plan is not None and row.next_plan_ns <= month_begins(month):
        return row.next_plan
    return row.plan


def set_plan(state: State, command: SetPlan, at_ns: int) -> Refusal | list[Event]:
    """For whoever subscribes from then on; for the others see the rules at the top. A later one replaces an earlier."""
    listing = state.listings.get(command.listing)
    if listing is None or listing.merchant != command.actor:
        return Refusal(Refused.not_found, f"you have no listing {command.listing}")
    if isinstance(listing.terms.plan, UnsetType):
        return Refusal(Refused.mechanism_not_allowed, "only a metered listing has a plan")
    if listing.state not in ("published", "suspended"):
        detail = f"the listing is {listing.state}: revise its terms before it is published, and no plan after its end"
        return Refusal(Refused.wrong_state, detail)
    if (refusal := standing_refusal(state, command.actor, "list", at_ns)) is not None:
        return refusal
    from_ns = command.effective_from_ns or at_ns
    if not at_ns <= from_ns <= at_ns + MOST_AHEAD_DAYS * DAY_NS:
        detail = f"effective_from is not past, and at most {MOST_AHEAD_DAYS} days ahead"
        return Refusal(Refused.out_of_bounds, detail)
    if fault := plan_fault(command.plan):
        return Refusal(Refused.out_of_bounds, fault)
    if (refusal := _review_refusal(state, listing, command.plan, at_ns)) is not None:
        return refusal
    told = _plan_set(state, listing, command, from_ns, at_ns)
    earliest_ns = rise_binds_ns(at_ns)
    if command.effective_from_ns and told.dearer and from_ns < earliest_ns:
        detail = (
            f"whoever has subscribed pays more from {month_name(month_of(earliest_ns))}-01 (Beijing time) at the earliest:"
            " name that day or a later one, or none, and new subscribers have the plan at once"
        )
        return Refusal(Refused.outside_terms, detail)
    return [told]


def _review_refusal(state: State, listing: Listing, plan: Plan, at_ns: int) -> Refusal | None:
    """What was reviewed before the listing was published holds of a later plan as well: the board's own rules, and of
    public data that no price rises above those that a reviewer held against the tariff (发改价格〔2025〕65号)."""
    product, board, old = state.products[listing.product], state.boards[listing.board], _plan_of(listing)
    terms = replace(listing.terms, plan=plan, price_fen=plan.first_fen)
    refusal = board_refusal(state, product, board, terms, attributes_of(listing), at_ns, unknown_too=False)
    if refusal is None and listing.tariff_sha256 and (plan.first_fen > old.first_fen or is_dearer(old, plan)):
        detail = "public data is approved with its tariff (发改价格〔2025〕65号): a dearer plan is a listing of its own"
        return Refusal(Refused.outside_terms, detail)
    return refusal


def _plan_set(state: State, listing: Listing, command: SetPlan, from_ns: int, at_ns: int) -> PlanSet:
    bound = [row for row in state.subscriptions.values() if row.listing == listing.id]
    dearer = tuple(row.id for row in bound if is_dearer(row.plan, command.plan))
    binds = tuple(
        (row.id, first_of_month(max(from_ns, at_ns + NOTICE_NS if row.id in dearer else at_ns)))
        for row in bound
    )
    price_fen = command.plan.first_fen
    waits = from_ns > at_ns
    return PlanSet(listing.id, command.plan, from_ns, waits, price_fen, binds, dearer, command.actor)


def on_plan_due(state: State, listing: str, due_ns: int, at_ns: int) -> list[Event]:
    waiting = state.plans.get(listing)
    if waiting is None or waiting.from_ns != due_ns:
        return []
    return [PlanBegun(listing, waiting.plan, waiting.plan.first_fen)]


# ---- bills


def on_month_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """A month has ended. While the buyer may still reject the delivery nothing is billed: `after_completed` does it."""
    row = state.subscriptions.get(identifier)
    if row is not None and row.state in ("running", "closing") and row.trade not in state.trades:
        yield from _bills(state, row, at_ns)


def _bills(state: State, row: Subscription, at_ns: int) -> Iterator[Event]:
    """A bill for each month that is over."""
    while row.id in state.subscriptions and month_begins(row.month + 1) <= at_ns:
        yield from _month_bill(state, row, at_ns)
        yield from _end(state, row)


def _month_bill(state: State, row: Subscription, at_ns: int) -> Iterator[Event]:
    barred = _barred(state, row, at_ns)
    name = month_name(row.month)
    units, packaged = row.used.get(name, 0), row.packaged.get(name, 0)
    base = _base(row, barred)
    plan = plan_in(row, row.month)
    first = opening(row.plan, bool(row.follows)) if row.month == month_of(row.from_ns) else ()
    billed = bill(plan, units, packaged, base, first, _paid_base_fen(row))
    return _made(state, row, "month", row.month, billed, (units, packaged), base, barred, at_ns)


def _base(row: Subscription, barred: tuple[str, ...]) -> Base:
    """The first fee came with the price of the subscription, and goes to the first month that could be used."""
    if barred:
        return "none"
    if row.base_paid:
        return "paid"
    return "due" if row.base_left else "none"


def _paid_base_fen(row: Subscription) -> int:
    """The base fee that came with the price: of the plan under which it was paid, whatever the plan is by now."""
    return row.plan.base_fee_fen if isinstance(row.paid_base_fen, UnsetType) else row.paid_base_fen


def _made(
    state: State,
    row: Subscription,
    kind: str,
    month: int,
    billed: Billed,
    units: tuple[int, int],
    base: Base,
    barred: tuple[str, ...],
    at_ns: int,
) -> Iterator[Event]:
    """The bill, and its payment where the money is there."""
    listing, amount_fen = state.listings[row.listing], billed.asked_fen
    fee_fen, merchant_fen, payments, roles, public_fen = revenue.distribution(state, listing, amount_fen)
    due_ns = at_ns + plan_in(row, month).pay_days * DAY_NS
    identifier = state.next_id("I")
    yield BillMade(
        identifier,
        row.id,
        kind,
        listing.id,
        row.trade,
        row.entitlement,
        row.buyer,
        row.seller,
        month,
        *units,
        base,
        billed.lines,
        amount_fen,
        fee_fen,
        merchant_fen,
        payments,
        roles,
        public_fen,
        barred,
        remind_ns(at_ns, due_ns),
        due_ns,
        billed.prepaid_fen,
    )
    yield from _paid_where_it_can(state, state.bills[identifier], at_ns)


def _paid_where_it_can(state: State, row: Bill, at_ns: int) -> Iterator[Event]:
    if state.ledger.available(row.buyer, CNY) >= row.amount_fen:
        yield BillPaid(row.id)
        yield from _filed(row, at_ns)


def _filed(row: Bill, at_ns: int) -> Iterator[Event]:
    """A settled bill whose time for disputes is over leaves memory."""
    if row.state == "refunded" or (row.state == "paid" and at_ns >= row.file_ns):
        yield BillFiled(row.id)


def pay(state: State, command: PayBill, at_ns: int) -> Refusal | Iterator[Event]:
    """By its buyer, before its date. An overdue one is set off as money comes in."""
    row = state.bills.get(command.bill)
    if row is None or row.buyer != command.actor:
        return _no_bill(command.bill)
    if row.state not in ("due", "reminded"):
        detail = f"the bill is {row.state}: a due one is paid, an overdue one is set off against whatever is paid in"
        return Refusal(Refused.wrong_state, detail)
    return _funds_refusal(state, row.buyer, row.amount_fen) or _paid_where_it_can(state, row, at_ns)


def _no_bill(identifier: str) -> Refusal:
    return Refusal(Refused.not_found, f"you have no open bill {identifier}: what was filed stands")


def on_bill_reminder_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    row = state.bills.get(identifier)
    if row is None or row.state != "due" or row.remind_ns != due_ns:
        return
    yield from _paid_where_it_can(state, row, at_ns)
    if row.state == "due":
        yield BillReminded(identifier)


def on_bill_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """The last date: paid now, or a debt, and the keys open nothing any more."""
    row = state.bills.get(identifier)
    if row is None or row.state not in ("due", "reminded") or row.due_ns != due_ns:
        return
    yield from _paid_where_it_can(state, row, at_ns)
    if row.state == "paid":
        return
    found = state.entitlements.get(row.entitlement)
    suspends = found is not None and found.state == "active"
    yield BillDefaulted(row.id, state.next_id("Q"), suspends)
    yield from freed(state, row.buyer)
    if suspends:
        reason = UNPAID.format(bill=row.id)
        yield EntitlementMoved(row.entitlement, "suspend", "suspended", reason, VENUE)


def after_set_off(state: State, event: DebtSetOff, at_ns: int) -> Iterator[Event]:
    """A bill whose whole debt was set off is paid, and the entitlement resumes. Asked after the event was applied."""
    if event.creditor != BILLS or event.debt in state.claims.debts.get(event.debtor, {}):
        return
    row = next(row for row in state.bills.values() if row.debt == event.debt)
    yield BillPaid(row.id, True)
    found = state.entitlements.get(row.entitlement)
    if row.suspends and found is not None and not unpaid_bill(state, found.id):
        reason = PAID.format(bill=row.id)
        yield EntitlementMoved(row.entitlement, "resume", "active", reason, VENUE)
    yield from _filed(row, at_ns)


def on_file_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    row = state.bills.get(identifier)
    if row is not None:
        yield from _filed(row, at_ns)


# ---- disputes


def dispute(state: State, command: DisputeBill, at_ns: int) -> Refusal | list[Event]:
    """Once a bill, by its buyer, until it is filed."""
    row = state.bills.get(command.bill)
    if row is None or row.buyer != command.actor:
        return _no_bill(command.bill)
    if (row.state, "dispute") not in BILL_LIFE or row.dispute_ns or at_ns > row.file_ns:
        detail = f"the bill is {row.state}: one that is due or paid can be disputed once, for thirty days"
        return Refusal(Refused.wrong_state, detail)
    if not 0 < command.amount_fen <= row.amount_fen:
        return Refusal(
            Refused.out_of_bounds, f"amount_fen lies between 1 and {row.amount_fen}, what the bill asks for"
        )
    if not command.reason.strip():
        return Refusal(Refused.malformed, "say the reason: the merchant reads it")
    after = BILL_LIFE[row.state, "dispute"]
    return [BillDisputed(row.id, after, command.amount_fen, command.reason, at_ns + ANSWER_NS)]


def answer(state: State, command: AnswerDispute, at_ns: int) -> Refusal | Iterator[Event]:
    """By the merchant: a part of the bill goes, by agreement, or it stands."""
    row = state.bills.get(command.bill)
    if row is None or row.seller != command.actor:
        return _no_bill(command.bill)
    if row.state not in ("disputed", "contested"):
        return Refusal(Refused.wrong_state, f"the bill is {row.state}: nobody disputes it")
    if not command.agree and not command.reason.strip():
        return Refusal(Refused.malformed, "say why the bill stands: its buyer reads it")
    return (
        _agreed(state, row, command.reason, at_ns)
        if command.agree
        else _stands(state, row, "refuse", command.reason, at_ns)
    )


def _stands(state: State, row: Bill, step: str, reason: str, at_ns: int) -> Iterator[Event]:
    """The end of a dispute: one that is not paid is due anew."""
    due_ns = at_ns + row.pay_ns
    dates = (remind_ns(at_ns, due_ns), due_ns) if row.state == "disputed" else (0, 0)
    yield DisputeAnswered(row.id, step, BILL_LIFE[row.state, step], reason, *dates)
    if row.state == "due":
        yield from _paid_where_it_can(state, row, at_ns)
    else:
        yield from _filed(row, at_ns)


def _agreed(state: State, row: Bill, reason: str, at_ns: int) -> Iterator[Event]:
    if row.state == "disputed":
        yield _lowered(row)
        yield from _stands(state, row, "agree", reason, at_ns)
        return
    whole = row.disputed_fen == row.amount_fen
    yield (given := _given_back(state, row))
    if given.debt:
        yield from freed(state, row.seller)
    yield from _stands(state, row, "give_back" if whole else "agree", reason, at_ns)


def _lowered(row: Bill) -> BillLowered:
    parts = lowered_parts(row.amount_fen, row.disputed_fen, row.fee_fen, row.shares)
    left_fen = row.amount_fen - row.disputed_fen
    return BillLowered(row.id, row.disputed_fen, *parts, left_fen if row.public_fen else 0)


def _given_back(state: State, row: Bill) -> BillRefunded:
    """As a refund after payout: fee and shares stay where they are, the seller bears it alone."""
    amount_fen, seller = row.disputed_fen, row.seller
    deposit_fen = min(amount_fen, deposited(state, seller))
    cash_fen = min(amount_fen - deposit_fen, state.ledger.available(seller, CNY))
    debt_fen = amount_fen - deposit_fen - cash_fen
    debt = state.next_id("Q") if debt_fen else ""
    public_fen = amount_fen if row.public_fen else 0
    return BillRefunded(row.id, row.buyer, seller, deposit_fen, cash_fen, debt_fen, debt, public_fen)


def on_dispute_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    row = state.bills.get(identifier)
    if row is not None and row.state in ("disputed", "contested") and row.dispute_ns == due_ns:
        yield from _stands(state, row, "expire", "", at_ns)


# ---- events


def apply_subscribed(state: State, event: Subscribed, at_ns: int) -> None:
    state.took_id(event.subscription)
    state.take_subscription(
        Subscription(
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
            base_left=event.months - 1,
        )
    )


def apply_moved(state: State, event: SubscriptionMoved, at_ns: int) -> None:
    row = state.subscriptions[event.subscription]
    row.state = event.state
    if event.step == "settle":
        row.entitlement = event.entitlement
        state.subscription_of[event.entitlement] = row.id
    elif event.step == "deliver":
        row.from_ns, row.until_ns, row.month = event.from_ns, event.until_ns, month_of(event.from_ns)
        _first_package(row)
        state.start_timer(month_begins(row.month + 1), "subscription", row.id)
    elif event.step == "reject":
        row.from_ns = row.until_ns = row.month = 0
        row.used, row.packaged, row.seen, row.packages = {}, {}, {}, []
    elif event.step == "stop":
        row.stopped_ns, row.stopped = event.until_ns, event.reason
    else:
        state.drop_subscription(row.id)


def _first_package(row: Subscription) -> None:
    """The one that came with the subscription is good from the day on which it can be used."""
    package = row.plan.package
    if package is not None:
        until_ns = row.from_ns + package.valid_days * DAY_NS
        row.bought = 1
        row.packages = [Bought(id=f"{row.id}-1", left=package.units, from_ns=row.from_ns, until_ns=until_ns)]


def apply_usage(state: State, event: UsageTaken, at_ns: int) -> None:
    row = state.subscriptions[event.subscription]
    for kept, told in ((row.used, event.metered), (row.packaged, event.packaged)):
        for month, units in told:
            name = month_name(month)
            kept[name] = kept.get(name, 0) + units
    _draw(row.packages, event.taken)
    for month in dict.fromkeys(event.months):
        lot = [one for one, of in zip(event.records, event.months, strict=True) if of == month]
        row.seen[month_name(month)] = with_marks(row.seen.get(month_name(month), b""), lot)


def apply_package(state: State, event: PackageBought, at_ns: int) -> None:
    """A merchant's clock that is behind the venue's tells of use before the purchase."""
    row = state.subscriptions[event.subscription]
    row.bought += 1
    from_ns = at_ns - AHEAD_NS
    row.packages.append(Bought(id=event.package, left=event.units, from_ns=from_ns, until_ns=event.until_ns))


def apply_plan(state: State, event: PlanSet, at_ns: int) -> None:
    if event.waits:
        state.plans[event.listing] = WaitingPlan(event.plan, event.from_ns)
        state.start_timer(event.from_ns, "plan", event.listing)
    else:
        _begin_plan(state, event)
    for subscription, from_ns in event.binds:
        row = state.subscriptions[subscription]
        row.next_plan, row.next_plan_ns = event.plan, from_ns


def apply_plan_begun(state: State, event: PlanBegun, at_ns: int) -> None:
    _begin_plan(state, event)


def _begin_plan(state: State, event: PlanSet | PlanBegun) -> None:
    """Other terms: the merchant signs their contract, and whoever subscribes under them."""
    listing = state.listings[event.listing]
    state.plans.pop(listing.id, None)
    listing.terms = replace(listing.terms, plan=event.plan, price_fen=event.price_fen)
    state.retire_contract(listing.id)
    state.forget_product(state.products[listing.product])


def apply_made(state: State, event: BillMade, at_ns: int) -> None:
    state.took_id(event.bill)
    state.bills[event.bill] = Bill(
        id=event.bill,
        subscription=event.subscription,
        listing=event.listing,
        entitlement=event.entitlement,
        buyer=event.buyer,
        seller=event.seller,
        amount_fen=event.amount_fen,
        fee_fen=event.fee_fen,
        merchant_fen=event.merchant_fen,
        shares=event.shares,
        public_fen=event.public_fen,
        remind_ns=event.remind_ns,
        due_ns=event.due_ns,
        pay_ns=event.due_ns - at_ns,
        file_ns=at_ns + DISPUTE_NS,
    )
    _start_dates(state, state.bills[event.bill])
    state.start_timer(at_ns + DISPUTE_NS, "bill_file", event.bill)
    if event.kind == "month":
        _close_month(state, state.subscriptions[event.subscription], event, at_ns)


def _start_dates(state: State, row: Bill) -> None:
    state.start_timer(row.remind_ns, "bill_reminder", row.id)
    state.start_timer(row.due_ns, "bill", row.id)


def _close_month(state: State, row: Subscription, event: BillMade, at_ns: int) -> None:
    """The next month begins. Ids of the closed one are remembered with it: a record of it may still come, late."""
    name = month_name(event.month)
    row.used.pop(name, None)
    row.packaged.pop(name, None)
    row.seen = {month: seen for month, seen in row.seen.items() if month >= name}
    row.packages = [one for one in row.packages if one.left and one.until_ns > at_ns - LATE_NS]
    row.base_paid = row.base_paid and event.base != "paid"
    row.base_left -= event.base == "due"
    row.month = event.month + 1
    if row.next_plan is not None and row.next_plan_ns <= month_begins(row.month):
        _take_next_plan(row, row.next_plan)
    state.start_timer(month_begins(row.month + 1), "subscription", row.id)


def _take_next_plan(row: Subscription, plan: Plan) -> None:
    row.paid_base_fen = _paid_base_fen(row) if row.base_paid else UNSET
    row.plan, row.next_plan, row.next_plan_ns = plan, None, 0


def apply_paid(state: State, event: BillPaid, at_ns: int) -> None:
    row = state.bills[event.bill]
    row.state = "paid"
    source = BILLS if event.by_debt else row.buyer
    parts = ((FEES, row.fee_fen), (row.seller, row.merchant_fen), *row.shares)
    state.ledger.move([Leg(source, account, CNY, amount_fen) for account, amount_fen in parts])
    if row.public_fen:
        state.revenue.earn(row.seller, row.public_fen, at_ns)
    if event.by_debt:
        state.bureau.record(Conduct("corrected", row.buyer, row.seller, row.amount_fen, at_ns, row.id))


def apply_reminded(state: State, event: BillReminded, at_ns: int) -> None:
    state.bills[event.bill].state = "reminded"


def apply_defaulted(state: State, event: BillDefaulted, at_ns: int) -> None:
    row = state.bills[event.bill]
    row.state, row.debt, row.suspends = "overdue", event.debt, event.suspends
    state.took_id(event.debt)
    owe(state, _debt(event.debt, row.buyer, BILLS, row.id, row.amount_fen, at_ns))
    state.bureau.record(Conduct("payment_default", row.buyer, row.seller, row.amount_fen, at_ns, row.id))


def _debt(identifier: str, debtor: str, creditor: str, of: str, fen: int, at_ns: int) -> Debt:
    return Debt(
        id=identifier,
        debtor=debtor,
        creditor=creditor,
        trade=of,
        amount_fen=fen,
        left_fen=fen,
        since_ns=at_ns,
    )


def apply_disputed(state: State, event: BillDisputed, at_ns: int) -> None:
    row = state.bills[event.bill]
    row.state, row.disputed_fen, row.dispute_ns = event.state, event.amount_fen, event.until_ns
    state.start_timer(event.until_ns, "bill_dispute", row.id)


def apply_answered(state: State, event: DisputeAnswered, at_ns: int) -> None:
    row = state.bills[event.bill]
    row.state = event.state
    if event.due_ns:
        row.remind_ns, row.due_ns = event.remind_ns, event.due_ns
        _start_dates(state, row)


def apply_lowered(state: State, event: BillLowered, at_ns: int) -> None:
    row = state.bills[event.bill]
    row.amount_fen -= event.amount_fen
    row.fee_fen, row.merchant_fen, row.shares = event.fee_fen, event.merchant_fen, event.shares
    row.public_fen = event.public_fen


def apply_refunded(state: State, event: BillRefunded, at_ns: int) -> None:
    row = state.bills[event.bill]
    row.refunded_fen += event.deposit_fen + event.cash_fen + event.debt_fen
    state.ledger.move(
        [
            Leg(deposit_owner(event.seller), event.buyer, CNY, event.deposit_fen),
            Leg(event.seller, event.buyer, CNY, event.cash_fen),
        ]
    )
    revenue.give_back(state, event.seller, event.public_fen, at_ns)
    if event.debt:
        state.took_id(event.debt)
        owe(state, _debt(event.debt, event.seller, event.buyer, row.id, event.debt_fen, at_ns))


def apply_filed(state: State, event: BillFiled, at_ns: int) -> None:
    del state.bills[event.bill]
