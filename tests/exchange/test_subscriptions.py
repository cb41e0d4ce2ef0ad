"""A metered plan from its listing to its last bill, in the pure venue: what is counted, billed, owed, disputed, renewed."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from clearing.calendar import month_begins, month_name, month_of
from clearing.ledger import BILLS, CNY, FEES
from exchange import events as e
from exchange.attributes import Rule
from exchange.matching.metering import Base, Package, Plan, UsageTier, rise_binds_ns
from exchange.matching.metering import bill as bill_of
from exchange.state import DAY_NS
from exchange.subscription import BILL_LIFE, DISPUTE_NS, LATE_NS, LIFE, MOST_A_LOT
from exchange.verification import invariants
from tests.exchange.test_metering import BAIDU, SNOWFLAKE, THREE_SCALE
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    START_NS,
    World,
    classification,
    consent_of,
    kinds,
    only,
    personal,
)
from tests.exchange.world import terms as terms_of

PLAN = Plan(
    setup_fen=500,
    base_fee_fen=1_000,
    tiers=(UsageTier(up_to_units=100, price_fen=4), UsageTier(price_fen=10)),
    pay_days=10,
)
"""Setup 5.00, a month 10.00; a hundred units at 0.04, further ones at 0.10."""
PACKED = replace(PLAN, package=Package(units=50, price_fen=150, valid_days=20))
"""The same, and fifty units ahead for 1.50."""
NOVEMBER = month_of(START_NS)
DECEMBER = NOVEMBER + 1


class Shop:
    """A metered listing with one subscriber."""

    def __init__(self, plan: Plan = PLAN, months: int = 3, cash_fen: int = 10**6, **product: Any) -> None:
        self.world = World()
        self.merchant = self.world.merchant()
        self.product = self.world.product(self.merchant, **product)
        self.listing = self.world.metered(self.merchant, plan, self.product)
        self.buyer = self.world.buyer(cash_fen)
        self.subscription = self.world.subscribed(self.buyer, self.listing, months)

    @property
    def row(self) -> Any:
        return self.world.state.subscriptions[self.subscription]

    def month_end(self) -> list[Any]:
        """To just behind the end of the month that is not billed yet."""
        return self.world.until(month_begins(self.row.month + 1))

    def bill(self, *units: int) -> e.BillMade:
        """The bill of the month in which these units were used."""
        for count in units:
            assert self.world.use(self.subscription, count).refusal is None
        made: e.BillMade = one(self.month_end(), e.BillMade)
        return made

    def spend(self) -> None:
        """All that the buyer has goes into an order that rests."""
        shop = self.world.merchant()
        available = self.world.state.ledger.available(self.buyer, CNY)
        self.world.bid(self.buyer, self.world.book(shop), available, 1)
        assert self.world.state.ledger.available(self.buyer, CNY) == 0

    def check(self) -> None:
        self.world.check()
        assert list(invariants(self.world.state)) == []


def one(events: list[Any], kind: type[Any]) -> Any:
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, events
    return found[0]


def every(events: list[Any], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# ---- the whole way


def test_from_listing_to_the_last_bill() -> None:
    """Setup and the first month are the price; December and January have a base fee of their own; then it is over."""
    shop = Shop(months=3)
    world, row = shop.world, shop.row
    trade = world.state.ledger.balance(shop.merchant, CNY)
    assert trade == 1_470, "1,500 less the board's two per cent"
    assert (row.from_ns < world.at_ns, row.until_ns) == (True, month_begins(NOVEMBER + 3))
    first = shop.bill(100, 1)
    assert (first.month, first.units, first.base, first.amount_fen) == (NOVEMBER, 101, "paid", 410)
    second = shop.bill(100)
    assert (second.base, second.amount_fen) == ("due", 1_400)
    assert [(line.kind, line.amount_fen) for line in second.lines] == [("base", 1_000), ("tier", 400)]
    events = shop.month_end()
    assert one(events, e.BillMade).amount_fen == 1_000
    assert one(events, e.EntitlementEnded).step == "expire"
    assert [moved.step for moved in every(events, e.SubscriptionMoved)] == ["stop", "end"]
    assert world.state.subscriptions == {}
    paid_fen = 1_500 + 410 + 1_400 + 1_000
    assert world.money(shop.buyer)[0] == 10**6 - paid_fen
    assert world.money(FEES)[0] == sum(fen * 2 // 100 for fen in (1_500, 410, 1_400, 1_000))
    assert world.money(shop.merchant)[0] + world.money(FEES)[0] == paid_fen
    world.until(world.at_ns + DISPUTE_NS)
    assert world.state.bills == {}
    shop.check()


def test_a_bill_is_shared_like_the_price_of_any_sale() -> None:
    world = World()
    merchant, friend, buyer = world.merchant(), world.buyer(0), world.buyer()
    product = world.product(merchant, shares=((friend, 1_000),))
    listing = world.metered(merchant, PLAN, product)
    subscription = world.subscribed(buyer, listing, 2)
    before = world.money(friend)[0]
    world.use(subscription, 101)
    bill = one(world.until(month_begins(DECEMBER)), e.BillMade)
    assert (bill.fee_fen, bill.shares, bill.merchant_fen) == (8, ((friend, 40),), 362)
    assert world.money(friend)[0] == before + 40
    world.check()


def test_a_month_begun_is_a_month_and_nothing_is_prorated() -> None:
    """Delivered on 30 November: the term of one month ends with that day, and the whole base fee was paid."""
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    listing = world.metered(merchant, PLAN)
    made = only(world.subscribe(buyer, listing), e.Subscribed)
    world.wait(days=2.5)
    world.deliver(made.trade)
    assert world.state.subscriptions[made.subscription].until_ns == month_begins(DECEMBER)
    world.accept(made.trade)
    world.until(month_begins(DECEMBER))
    assert world.state.subscriptions == {}
    world.check()


def test_what_ends_while_the_buyer_may_still_reject_is_billed_when_it_is_accepted() -> None:
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    listing = world.metered(merchant, PLAN, acceptance_days=30)
    made = only(world.subscribe(buyer, listing, 2), e.Subscribed)
    world.deliver(made.trade)
    world.use(made.subscription, 10)
    assert every(world.until(month_begins(DECEMBER) + DAY_NS), e.BillMade) == []
    world.use(made.subscription, 7)
    bill = only(world.accept(made.trade), e.BillMade)
    assert (bill.month, bill.units) == (NOVEMBER, 10)
    assert one(world.until(month_begins(DECEMBER + 1)), e.BillMade).units == 7
    world.check()


def test_what_is_rejected_is_not_metered_and_a_refund_ends_it() -> None:
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    listing = world.metered(merchant, PLAN)
    made = only(world.subscribe(buyer, listing), e.Subscribed)
    world.deliver(made.trade)
    world.use(made.subscription, 10)
    world.reject(made.trade)
    assert world.state.subscriptions[made.subscription].used == {}
    assert world.code(_told(merchant, made.subscription, 1, world.at_ns)) == "wrong_state"
    world.deliver(made.trade)
    world.reject(made.trade)
    assert world.state.subscriptions == {} == world.state.subscription_of
    assert world.money(buyer)[0] == 10**9
    world.until(month_begins(DECEMBER + 2))
    world.check()


def test_a_subscription_waits_with_its_trade_on_hold() -> None:
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    product = world.product(merchant, classification=personal(), consent=consent_of(basis="general_consent"))
    listing = world.metered(merchant, PLAN, product)
    made = only(world.subscribe(buyer, listing), e.Subscribed)
    assert (made.state, made.entitlement) == ("held", "")
    cure = e.CureHold(
        actor=world.reviewer,
        trade=made.trade,
        rule="C02",
        evidence_sha256=EVIDENCE,
        revision=world.state.products[product].revision,
    )
    outcome = world.must(cure)
    moved = only(outcome, e.SubscriptionMoved)
    assert (moved.step, moved.entitlement) == ("settle", only(outcome, e.Settled).entitlement)
    world.deliver(made.trade)
    assert world.state.subscriptions[made.subscription].state == "running"
    other = only(world.subscribe(world.buyer(), listing), e.Subscribed)
    assert other.state == "granted"
    world.check()


def test_a_hold_that_expires_leaves_no_subscription() -> None:
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    product = world.product(merchant, classification=personal(), consent=consent_of(basis="general_consent"))
    only(world.subscribe(buyer, world.metered(merchant, PLAN, product)), e.Subscribed)
    events = world.until(world.at_ns + 11 * DAY_NS)
    assert one(events, e.SubscriptionMoved).state == "void"
    assert world.state.subscriptions == {}
    world.check()


# ---- refusals


def test_who_may_not_subscribe_is_told_why() -> None:
    world = World()
    merchant, buyer, poor = world.merchant(), world.buyer(), world.buyer(1_499)
    listing, other = world.metered(merchant, PLAN, term_days=89), world.listing(merchant)
    for person in (buyer, poor):
        world.agree(person, listing)
    asked = e.Subscribe(actor=buyer, listing=listing, months=1)
    assert world.code(replace(asked, listing="L99")) == "not_found"
    assert world.code(replace(asked, listing=other)) == "mechanism_not_allowed"
    assert world.code(replace(asked, months=0)) == "outside_terms"
    assert "between 1 and 2" in world.refused(replace(asked, months=3)).detail
    assert world.code(replace(asked, purpose="research")) == "outside_terms"
    assert world.code(replace(asked, actor=poor)) == "funds_insufficient"
    assert world.code(replace(asked, actor=world.person("buyer"))) == "not_verified"
    assert world.code(e.PlaceOrder(actor=buyer, listing=listing, quantity=1)) == "mechanism_not_allowed"
    world.move(OPERATOR, listing, "suspend", "looked into")
    assert world.code(asked) == "listing_closed"
    world.check()


def test_an_unlawful_subscription_is_refused_with_its_rules_and_kept() -> None:
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    listing = world.metered(merchant, PLAN)
    world.agree(buyer, listing)
    world.ban(buyer)
    outcome = world.do(e.Subscribe(actor=buyer, listing=listing, months=1))
    assert outcome.refusal is not None
    assert outcome.refusal.code.name == "unlawful"
    assert outcome.refusal.violated
    assert kinds(outcome) == ["OrderRefused"]
    world.check()


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"plan": None}, "has terms.plan"),
        ({"mechanism": "posted_price"}, "whose mechanism is metered"),
        ({"price_per_units": 10}, "price_per_units is 1"),
        ({"price_regime": "gov_guided"}, "market price"),
        ({"plan": replace(PLAN, tiers=())}, "tiers"),
    ],
)
def test_terms_that_are_no_metered_listing(terms: dict[str, Any], said: str) -> None:
    world = World()
    merchant = world.merchant()
    product = world.product(merchant)
    shape: dict[str, Any] = {"mechanism": "metered", "plan": PLAN, **terms}
    if shape["plan"] is None:
        del shape["plan"]
    command = e.CreateListing(actor=merchant, product=product, board="general", terms=terms_of(**shape))
    refusal = world.refused(command)
    assert (refusal.code.name, said in refusal.detail) == ("out_of_bounds", True), refusal


# ---- usage


def _told(merchant: str, subscription: str, units: int, at_ns: int, identifier: str = "r") -> e.RecordUsage:
    record = e.UsageRecord(id=identifier, units=units, at_ns=at_ns)
    return e.RecordUsage(actor=merchant, subscription=subscription, records=(record,))


def test_a_record_counts_once_however_often_it_is_told() -> None:
    shop = Shop()
    world, at_ns = shop.world, shop.world.at_ns
    told = _told(shop.merchant, shop.subscription, 5, at_ns)
    assert only(world.must(told), e.UsageTaken).known == 0
    again = only(world.must(told), e.UsageTaken)
    assert (again.known, again.records, again.metered) == (1, (), ())
    twice = replace(told, records=(*told.records, *told.records, replace(told.records[0], id="s")))
    both = only(world.must(twice), e.UsageTaken)
    assert (both.known, [one.id for one in both.records]) == (2, ["s"])
    assert shop.row.used == {month_name(NOVEMBER): 10}
    assert world.code(_told(shop.merchant, shop.subscription, 6, at_ns)) == "id_conflict"
    assert world.code(_told(shop.merchant, shop.subscription, 5, at_ns - 1)) == "id_conflict"
    shop.check()


def test_only_the_merchant_who_sold_it_tells_usage_and_only_within_bounds() -> None:
    shop = Shop()
    world, at_ns = shop.world, shop.world.at_ns
    other = world.merchant()
    for actor in (other, shop.buyer, OPERATOR):
        assert world.code(_told(actor, shop.subscription, 1, at_ns)) == "not_found"
    for wrong in (
        _told(shop.merchant, shop.subscription, 0, at_ns),
        _told(shop.merchant, shop.subscription, 10**12 + 1, at_ns),
        _told(shop.merchant, shop.subscription, 1, at_ns, "x" * 65),
        _told(shop.merchant, shop.subscription, 1, at_ns, ""),
        _told(shop.merchant, shop.subscription, 1, shop.row.from_ns - 60 * 10**9 - 1),
        _told(shop.merchant, shop.subscription, 1, at_ns + 61 * 10**9),
        e.RecordUsage(actor=shop.merchant, subscription=shop.subscription, records=()),
    ):
        assert world.code(wrong) == "out_of_bounds", wrong
    assert world.do(_told(shop.merchant, shop.subscription, 1, at_ns + 59 * 10**9)).refusal is None


def test_a_late_record_counts_to_the_month_that_is_open_for_three_days() -> None:
    shop = Shop()
    world = shop.world
    used_ns = month_begins(DECEMBER) - 1
    shop.month_end()
    early, late = (_told(shop.merchant, shop.subscription, 3, used_ns, name) for name in ("one", "two"))
    taken = only(world.must(early), e.UsageTaken)
    assert taken.months == (DECEMBER,)
    world.at_ns = used_ns + LATE_NS - 1_000
    world.must(replace(late, records=(replace(late.records[0], id="three"),)))
    assert world.code(late) == "out_of_bounds"
    assert shop.bill().units == 6
    shop.check()


def test_a_record_told_again_after_its_month_was_billed_is_still_known() -> None:
    shop = Shop()
    used_ns = month_begins(DECEMBER) - DAY_NS
    shop.world.at_ns = used_ns
    told = _told(shop.merchant, shop.subscription, 3, used_ns)
    shop.world.must(told)
    assert one(shop.month_end(), e.BillMade).units == 3
    assert only(shop.world.must(told), e.UsageTaken).known == 1
    assert shop.bill().units == 0


def test_ids_of_months_that_are_over_leave_memory() -> None:
    shop = Shop(months=4)
    for month in range(3):
        shop.world.use(shop.subscription, 1)
        shop.month_end()
        assert list(shop.row.seen) == [month_name(NOVEMBER + month)]
        assert shop.row.used == {}


def test_more_records_than_are_remembered_are_refused() -> None:
    shop = Shop()
    world, at_ns = shop.world, shop.world.at_ns
    for lot in range(10):
        records = tuple(e.UsageRecord(id=f"{lot}-{at}", units=1, at_ns=at_ns) for at in range(MOST_A_LOT))
        world.must(e.RecordUsage(actor=shop.merchant, subscription=shop.subscription, records=records))
    refusal = world.refused(_told(shop.merchant, shop.subscription, 1, at_ns))
    assert "add them up" in refusal.detail
    assert len(shop.row.seen[month_name(NOVEMBER)]) == 12 * 10_000
    assert shop.bill().units == 10_000


# ---- packages


def test_packages_give_first_and_what_is_left_of_them_ends_with_their_days() -> None:
    """One came with the subscription, one was bought: sixty units are theirs, and twenty days later nothing is left."""
    shop = Shop(PACKED)
    world = shop.world
    outcome = world.must(e.BuyPackage(actor=shop.buyer, subscription=shop.subscription))
    assert kinds(outcome) == ["BillMade", "BillPaid", "PackageBought"]
    world.use(shop.subscription, 60)
    assert [(package.id, package.left) for package in shop.row.packages] == [("S1-1", 0), ("S1-2", 40)]
    assert shop.row.used == {month_name(NOVEMBER): 0}
    bill = one(shop.month_end(), e.BillMade)
    assert (bill.units, bill.packaged, bill.amount_fen, bill.prepaid_fen) == (0, 60, 0, 1_650)
    world.wait(days=20)
    world.use(shop.subscription, 10)
    assert shop.row.used == {month_name(DECEMBER): 10}
    shop.month_end()
    assert shop.row.packages == []
    assert world.money(shop.buyer)[0] == 10**6 - 1_650 - 150 - 1_040
    shop.check()


def test_a_package_covers_what_a_slow_clock_tells_as_used_before_it() -> None:
    shop = Shop(PACKED)
    world = shop.world
    world.use(shop.subscription, 50)
    world.wait(days=1)
    world.must(e.BuyPackage(actor=shop.buyer, subscription=shop.subscription))
    for early_ns, left in ((61 * 10**9, 50), (59 * 10**9, 40)):
        world.use(shop.subscription, 10, at_ns=world.at_ns - early_ns)
        assert [package.left for package in shop.row.packages] == [0, left]
    shop.check()


def test_a_package_is_paid_at_once_or_not_bought() -> None:
    shop = Shop(PACKED, cash_fen=1_650 + 149)
    bought = e.BuyPackage(actor=shop.buyer, subscription=shop.subscription)
    assert shop.world.code(bought) == "funds_insufficient"
    assert shop.world.code(replace(bought, count=0)) == "out_of_bounds"
    assert shop.world.code(replace(bought, actor=shop.merchant)) == "not_found"
    without = Shop()
    bought = e.BuyPackage(actor=without.buyer, subscription=without.subscription)
    assert without.world.code(bought) == "out_of_bounds"


# ---- money that lacks


def test_a_bill_waits_is_reminded_becomes_a_debt_and_is_set_off() -> None:
    """Due 10 days on, reminded after five; then the keys open nothing, until what comes in covers all of it."""
    shop = Shop(cash_fen=1_500)
    world = shop.world
    entitlement = shop.row.entitlement
    bill = shop.bill(100)
    row = world.state.bills[bill.bill]
    assert (row.state, bill.due_ns - world.at_ns <= 10 * DAY_NS) == ("due", True)
    assert one(world.until(bill.remind_ns), e.BillReminded).bill == bill.bill
    events = world.until(bill.due_ns)
    assert one(events, e.BillDefaulted).suspends
    assert world.state.entitlements[entitlement].state == "suspended"
    assert world.state.entitlements[entitlement].until_ns == shop.row.until_ns, "its term runs on"
    shop.check()
    world.pay_in(shop.buyer, 399)
    assert (world.money(BILLS)[0], world.money(shop.buyer)[0]) == (399, 0)
    assert row.state == "overdue"
    shop.check()
    earned = world.money(shop.merchant)[0]
    world.pay_in(shop.buyer, 11)
    assert (row.state, world.money(BILLS)[0], world.money(shop.buyer)[0]) == ("paid", 0, 10)
    assert world.money(shop.merchant)[0] == earned + 392
    assert world.state.entitlements[entitlement].state == "active"
    shop.check()


def test_money_that_comes_before_the_date_pays_by_itself_or_when_the_buyer_says() -> None:
    shop = Shop(cash_fen=1_500)
    world = shop.world
    bill = shop.bill(100)
    assert world.code(e.PayBill(actor=shop.buyer, bill=bill.bill)) == "funds_insufficient"
    world.pay_in(shop.buyer, 10_000)
    assert kinds(world.must(e.PayBill(actor=shop.buyer, bill=bill.bill))) == ["BillPaid"]
    assert world.code(e.PayBill(actor=shop.buyer, bill=bill.bill)) == "wrong_state"
    assert world.code(e.PayBill(actor=shop.merchant, bill=bill.bill)) == "not_found"
    shop.spend()
    second = shop.bill(10)
    world.pay_in(shop.buyer, 10_000)
    assert every(world.until(second.remind_ns), e.BillReminded) == []
    assert world.state.bills[second.bill].state == "paid"
    shop.check()


def test_a_default_frees_what_the_debtor_had_set_aside() -> None:
    shop = Shop()
    world = shop.world
    shop.spend()
    bill = shop.bill(100)
    events = world.until(bill.due_ns)
    assert one(events, e.OrderClosed).reason == "in_debt"
    assert world.state.bills[bill.bill].state == "paid"
    assert world.state.entitlements[shop.row.entitlement].state == "active"
    shop.check()


def test_nobody_lifts_a_suspension_for_an_unpaid_bill_but_its_payment() -> None:
    shop = Shop(cash_fen=1_500)
    world = shop.world
    bill = shop.bill(100)
    world.until(bill.due_ns)
    for actor in (shop.merchant, world.reviewer):
        resume = e.ResumeEntitlement(
            actor=actor, entitlement=shop.row.entitlement, reason="please", evidence_sha256=EVIDENCE
        )
        assert bill.bill in world.refused(resume).detail
    asked = e.Subscribe(actor=shop.buyer, listing=shop.listing, months=1)
    assert world.code(asked) == "in_debt"
    told = _told(shop.merchant, shop.subscription, 1, world.at_ns)
    assert world.code(told) == "wrong_state"


def test_a_suspended_debtors_term_ends_at_its_date_and_the_bills_with_it() -> None:
    """Base fees go on: it is the buyer's own doing."""
    shop = Shop(cash_fen=1_500, months=2)
    world = shop.world
    shop.bill(100)
    events = shop.month_end()
    assert one(events, e.BillMade).base == "due"
    assert one(events, e.EntitlementEnded).step == "expire"
    assert world.state.subscriptions == {}
    world.until(world.at_ns + 11 * DAY_NS)
    assert [row.state for row in world.state.bills.values()] == ["overdue", "overdue"]
    shop.check()
    world.pay_in(shop.buyer, 10**4)
    assert [row.state for row in world.state.bills.values()] == ["paid"], (
        "the older may not be disputed any more"
    )
    world.until(world.at_ns + DISPUTE_NS)
    assert world.state.bills == {}
    shop.check()


# ---- months that could not be used


def test_a_month_in_which_the_law_forbids_the_use_has_no_base_fee_and_no_new_units() -> None:
    shop = Shop(PACKED, classification=personal(), consent=consent_of())
    world = shop.world
    shop.bill()
    world.wait(days=20)
    world.use(shop.subscription, 10)
    world.record(shop.product, "consent_withdrawn")
    refusal = world.refused(_told(shop.merchant, shop.subscription, 5, world.at_ns))
    assert (refusal.code.name, refusal.violated) == ("unlawful", ("C05",))
    bill = shop.bill()
    assert (bill.base, bill.barred, bill.units, bill.amount_fen) == ("none", ("C05",), 10, 40)
    assert shop.world.code(e.BuyPackage(actor=shop.buyer, subscription=shop.subscription)) == "unlawful"
    world.record(shop.product, "consent_removed")
    assert world.use(shop.subscription, 1).refusal is None
    assert (shop.bill().base, world.state.subscriptions) == ("due", {})
    shop.check()


def test_a_month_of_a_suspended_licence_has_no_base_fee() -> None:
    """By its merchant: the term stands still, and the fees of the months subscribed to are asked for in later months."""
    shop = Shop(months=2)
    world = shop.world
    shop.bill()
    proof: dict[str, Any] = {
        "entitlement": shop.row.entitlement,
        "reason": "moving",
        "evidence_sha256": EVIDENCE,
    }
    world.must(e.SuspendEntitlement(actor=shop.merchant, **proof))
    bill = shop.bill()
    assert (bill.base, bill.barred) == ("none", ("suspended",))
    world.must(e.ResumeEntitlement(actor=shop.merchant, **proof))
    assert shop.bill().base == "due"
    assert world.state.subscriptions == {}
    shop.check()


def test_a_suspended_registration_forbids_and_a_revoked_licence_is_billed_for_what_was_used() -> None:
    shop = Shop()
    world = shop.world
    shop.bill()
    world.use(shop.subscription, 5)
    world.record(shop.product, "registration_suspended")
    assert world.refused(_told(shop.merchant, shop.subscription, 5, world.at_ns)).violated == ("B11",)
    world.record(shop.product, "registration_resumed")
    revoke = e.RevokeEntitlement(
        actor=world.reviewer, entitlement=shop.row.entitlement, reason="a court", evidence_sha256=EVIDENCE
    )
    used_ns = world.at_ns
    world.must(revoke)
    assert shop.row.state == "closing"
    world.must(_told(shop.merchant, shop.subscription, 2, used_ns, "before its end"))
    assert world.code(_told(shop.merchant, shop.subscription, 2, world.at_ns, "after it")) == "out_of_bounds"
    bill = shop.bill()
    assert (bill.units, bill.base, bill.barred, bill.amount_fen) == (7, "none", ("revoked",), 28)
    assert world.state.subscriptions == {}
    shop.check()


# ---- plans that change


def test_a_rise_that_names_its_day_names_none_that_comes_too_early() -> None:
    shop = Shop()
    dear = replace(PLAN, base_fee_fen=2_000)
    early = e.SetPlan(
        actor=shop.merchant,
        listing=shop.listing,
        plan=dear,
        effective_from_ns=month_begins(NOVEMBER + 4) - 1,
    )
    refusal = shop.world.refused(early)
    assert (refusal.code.name, "2026-03-01" in refusal.detail) == ("outside_terms", True)
    told = plan_set(shop, dear, effective_from_ns=month_begins(NOVEMBER + 4))
    assert told.binds == ((shop.subscription, month_begins(NOVEMBER + 4)),)


def plan_set(shop: Shop, plan: Plan, **fields: Any) -> e.PlanSet:
    outcome = shop.world.must(e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=plan, **fields))
    return only(outcome, e.PlanSet)


def test_a_decrease_is_at_once_for_new_subscribers_and_for_others_from_the_next_month() -> None:
    shop = Shop()
    world = shop.world
    cheap = replace(PLAN, setup_fen=0, base_fee_fen=900)
    told = plan_set(shop, cheap)
    assert (told.dearer, told.binds) == ((), ((shop.subscription, month_begins(DECEMBER)),))
    newcomer = world.buyer()
    before = world.money(newcomer)[0]
    made = only(world.subscribe(newcomer, shop.listing), e.Subscribed)
    assert (made.plan, before - world.money(newcomer)[0]) == (cheap, 900)
    shop.month_end()
    assert shop.row.plan == cheap
    assert shop.bill().amount_fen == 900
    shop.check()


def test_an_increase_binds_subscribers_from_the_first_of_a_month_ninety_days_on() -> None:
    """Told on 25 November: ninety days later is 23 February, so the first of March; until then all is as it was."""
    shop = Shop(months=6)
    dear = replace(PLAN, base_fee_fen=2_000)
    told = plan_set(shop, dear)
    march = month_begins(NOVEMBER + 4)
    assert month_name(NOVEMBER + 4) == "2026-03"
    assert (told.dearer, told.binds) == ((shop.subscription,), ((shop.subscription, march),))
    amounts = [shop.bill().amount_fen for _ in range(6)]
    assert amounts == [0, 1_000, 1_000, 1_000, 2_000, 2_000]
    shop.check()


def test_an_increase_binds_at_renewal_where_that_is_sooner() -> None:
    shop = Shop(months=1)
    world = shop.world
    plan_set(shop, replace(PLAN, base_fee_fen=2_000))
    world.agree(shop.buyer, shop.listing)
    before = world.money(shop.buyer)[0]
    outcome = world.must(e.RenewSubscription(actor=shop.buyer, subscription=shop.subscription, months=1))
    made = only(outcome, e.Subscribed)
    assert (made.follows, made.plan.base_fee_fen) == (shop.subscription, 2_000)
    assert before - world.money(shop.buyer)[0] == 2_000, "no second setup fee"
    assert only(outcome, e.EntitlementRenewed).entitlement == shop.row.entitlement
    again = e.RenewSubscription(actor=shop.buyer, subscription=shop.subscription, months=1)
    assert world.code(again) == "already_exists"
    world.deliver(made.trade)
    world.accept(made.trade)
    following = world.state.subscriptions[made.subscription]
    assert (following.from_ns, following.until_ns) == (month_begins(DECEMBER), month_begins(DECEMBER + 1))
    assert world.code(_told(shop.merchant, made.subscription, 1, world.at_ns)) == "out_of_bounds", "not yet"
    events = shop.month_end()
    assert one(events, e.EntitlementEnded).step == "renew"
    assert list(world.state.subscriptions) == [made.subscription]
    world.use(made.subscription, 3)
    assert one(world.until(month_begins(DECEMBER + 1)), e.BillMade).amount_fen == 12
    assert world.state.subscriptions == {}
    shop.check()


def test_a_plan_can_wait_for_its_day() -> None:
    shop = Shop()
    world = shop.world
    day_ns = world.at_ns + 40 * DAY_NS
    cheap = replace(PLAN, setup_fen=0)
    told = plan_set(shop, cheap, effective_from_ns=day_ns)
    assert (told.waits, told.binds) == (True, ((shop.subscription, month_begins(NOVEMBER + 3)),))
    assert world.state.listings[shop.listing].terms.plan == PLAN
    shop.check()
    assert one(world.until(day_ns), e.PlanBegun).price_fen == 1_000
    assert world.state.listings[shop.listing].terms.plan == cheap
    assert world.state.plans == {}
    for wrong in (world.at_ns - 1, world.at_ns + 367 * DAY_NS):
        command = e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=PLAN, effective_from_ns=wrong)
        assert world.code(command) == "out_of_bounds"
    command = e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=PLAN)
    assert world.code(replace(command, actor=shop.buyer)) == "not_found"
    assert world.code(replace(command, plan=replace(PLAN, tiers=()))) == "out_of_bounds"
    assert world.code(replace(command, listing=world.listing(shop.merchant))) == "mechanism_not_allowed"
    draft = world.draft(shop.merchant, shop.product, mechanism="metered", plan=PLAN)
    assert world.code(replace(command, listing=draft)) == "wrong_state"
    shop.check()


def test_who_may_not_list_announces_no_plan() -> None:
    shop = Shop()
    ban = e.SetBan(
        actor=OPERATOR, participant=shop.merchant, until_ns=shop.world.at_ns + DAY_NS, reason="it cheated"
    )
    shop.world.must(ban)
    command = e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=PLAN)
    assert shop.world.code(command) == "standing_denied"


# ---- disputes


def disputed(shop: Shop, bill: str, fen: int) -> e.BillDisputed:
    command = e.DisputeBill(actor=shop.buyer, bill=bill, amount_fen=fen, reason="we did not call")
    return only(shop.world.must(command), e.BillDisputed)


def test_a_paid_bill_is_given_back_in_part_by_agreement() -> None:
    shop = Shop()
    world = shop.world
    bill = shop.bill(100).bill
    before, earned = world.money(shop.buyer)[0], world.money(shop.merchant)[0]
    assert disputed(shop, bill, 100).state == "contested"
    outcome = world.must(e.AnswerDispute(actor=shop.merchant, bill=bill, agree=True, reason=""))
    assert kinds(outcome) == ["BillRefunded", "DisputeAnswered"]
    assert (world.money(shop.buyer)[0], world.money(shop.merchant)[0]) == (before + 100, earned - 100)
    again = e.DisputeBill(actor=shop.buyer, bill=bill, amount_fen=1, reason="more")
    assert world.code(again) == "wrong_state"
    shop.check()


def test_a_merchant_without_money_owes_what_it_agreed_to_give_back() -> None:
    shop = Shop()
    world = shop.world
    bill = shop.bill(100).bill
    disputed(shop, bill, 400)
    world.bid(shop.merchant, world.book(world.merchant()), world.money(shop.merchant)[0], 1)
    outcome = world.must(e.AnswerDispute(actor=shop.merchant, bill=bill, agree=True, reason=""))
    assert only(outcome, e.BillRefunded).debt_fen == 400
    assert only(outcome, e.DisputeAnswered).state == "refunded"
    assert only(outcome, e.DebtSetOff).amount_fen == 400, "its order was closed for it"
    assert bill not in world.state.bills
    shop.check()


def test_an_unpaid_bill_is_lowered_and_the_rest_due_anew() -> None:
    shop = Shop(cash_fen=1_500)
    world = shop.world
    made = shop.bill(100)
    told = disputed(shop, made.bill, 300)
    world.until(made.due_ns - DAY_NS)
    assert world.state.bills[made.bill].state == "disputed"
    assert told.until_ns > made.due_ns - DAY_NS
    world.pay_in(shop.buyer, 99)
    outcome = world.must(e.AnswerDispute(actor=shop.merchant, bill=made.bill, agree=True, reason="true"))
    lowered = only(outcome, e.BillLowered)
    assert (lowered.fee_fen, lowered.merchant_fen) == (2, 98)
    row = world.state.bills[made.bill]
    assert (row.state, row.amount_fen, row.due_ns > made.due_ns) == ("due", 100, True)
    world.pay_in(shop.buyer, 1)
    assert every(world.until(row.remind_ns), e.BillPaid) != []
    shop.check()


@pytest.mark.parametrize("cash_fen", [1_500, 10**6])
def test_a_dispute_that_is_refused_or_not_answered_leaves_the_bill_as_it_was(cash_fen: int) -> None:
    shop = Shop(cash_fen=cash_fen)
    world = shop.world
    first = shop.bill(100)
    told = disputed(shop, first.bill, 400)
    refused = e.AnswerDispute(actor=shop.merchant, bill=first.bill, agree=False, reason="our logs say so")
    assert world.code(replace(refused, reason=" ")) == "malformed"
    assert world.code(replace(refused, actor=shop.buyer)) == "not_found"
    after = "due" if cash_fen == 1_500 else "paid"
    assert only(world.must(refused), e.DisputeAnswered).state == after
    assert world.code(refused) == "wrong_state"
    world.pay_in(shop.buyer, 10**6)
    second = shop.bill(100)
    told = disputed(shop, second.bill, 400)
    ended = one(world.until(told.until_ns), e.DisputeAnswered)
    assert (ended.step, world.state.bills[second.bill].state) == ("expire", "paid")
    shop.check()


def test_a_dispute_has_a_reason_an_amount_and_thirty_days() -> None:
    shop = Shop()
    world = shop.world
    bill = shop.bill(100).bill
    command = e.DisputeBill(actor=shop.buyer, bill=bill, amount_fen=400, reason="no")
    assert world.code(replace(command, amount_fen=401)) == "out_of_bounds"
    assert world.code(replace(command, amount_fen=0)) == "out_of_bounds"
    assert world.code(replace(command, reason=" ")) == "malformed"
    assert world.code(replace(command, actor=shop.merchant)) == "not_found"
    world.until(world.at_ns + DISPUTE_NS + DAY_NS)
    assert world.code(command) == "not_found"


# ---- the tables


def test_lives_lead_on_and_to_an_end() -> None:
    for life, ends in ((LIFE, {"void", "ended"}), (BILL_LIFE, {"refunded"})):
        states = {state for state, _ in life} | set(life.values())
        assert {state for state in states if not any(one == state for one, _ in life)} == ends


def test_the_journal_alone_gives_the_same_state() -> None:
    shop = Shop()
    shop.bill(3)
    plan_set(shop, replace(PLAN, base_fee_fen=1))
    shop.bill(2)
    shop.check()
    assert shop.world.replayed().subscriptions.keys() == shop.world.state.subscriptions.keys()


# ---- the page


PAGE = (Path(__file__).parents[2] / "docs/mechanisms/metered.md").read_text(encoding="utf-8")


def rows_of(first: str) -> list[list[str]]:
    """The cells of the table whose header begins so."""
    lines = PAGE[PAGE.index(first) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_example_of_the_page_is_what_the_venue_bills() -> None:
    shop = Shop(months=3)
    assert rows_of("| | lines of the bill")[0][-1] == str(PLAN.first_fen)
    for told, units in zip(rows_of("| | lines of the bill")[1:], ((100, 1), (100,), ()), strict=True):
        bill = shop.bill(*units)
        total_fen = sum(line.amount_fen for line in bill.lines)
        assert told[2:] == [str(total_fen), str(bill.prepaid_fen), str(bill.amount_fen)]
        said = [int(part.split(" ")[-1]) for part in told[1].split(", ")]
        assert said == [line.amount_fen for line in bill.lines], told
    assert {kind.name for kind in e.Refused} >= {row[0].strip("`") for row in rows_of("| code | when |")}


def test_the_published_bills_of_the_page_are_those_of_the_arithmetic() -> None:
    plans = [BAIDU, BAIDU, THREE_SCALE, THREE_SCALE, SNOWFLAKE, SNOWFLAKE]
    for (_, units, told), plan in zip(rows_of("| plan | units | bill |"), plans, strict=True):
        base: Base = "none" if plan is THREE_SCALE else "due"
        assert bill_of(plan, int(units), base=base).total_fen == int(told)


def test_the_notice_of_the_page_is_counted_so() -> None:
    assert "A rise that is told on 25 November 2025 binds this subscriber from 1 March 2026." in PAGE
    assert rise_binds_ns(START_NS) == month_begins(2026 * 12 + 2)


# ---- a base fee that was paid before its plan changed


@pytest.mark.parametrize("base_fen", [400, 3_000])
def test_a_base_fee_that_was_paid_stays_what_it_was(base_fen: int) -> None:
    """Renewed under one plan, metered from a later month on: the bill asks for no difference."""
    shop = Shop(months=6)
    world = shop.world
    renewed = only(world.must(_again(shop)), e.Subscribed).subscription
    paid_fen = PLAN.base_fee_fen
    world.deliver(world.state.subscriptions[renewed].trade)
    world.accept(world.state.subscriptions[renewed].trade)
    other = replace(PLAN, base_fee_fen=base_fen)
    world.must(e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=other))
    first = world.state.subscriptions[renewed].month
    events = world.until(month_begins(first + 2))
    made = [bill for bill in every(events, e.BillMade) if bill.subscription == renewed]
    assert [(bill.base, bill.lines[0].amount_fen, bill.prepaid_fen, bill.amount_fen) for bill in made] == [
        ("paid", paid_fen, paid_fen, 0),
        ("due", base_fen, 0, base_fen),
    ]
    shop.check()


def test_a_paid_base_fee_outlives_months_that_could_not_be_used() -> None:
    """November and December pass under the merchant's own suspension; the plan has changed when the fee is used up."""
    shop = Shop(months=6)
    world = shop.world
    moved = {"actor": shop.merchant, "entitlement": shop.row.entitlement, "reason": "an audit"}
    world.must(e.SuspendEntitlement(**moved, evidence_sha256=EVIDENCE))
    world.must(e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=replace(PLAN, base_fee_fen=400)))
    assert [shop.bill().base, shop.bill().base] == ["none", "none"]
    world.must(e.ResumeEntitlement(**moved, evidence_sha256=EVIDENCE))
    january, february = shop.bill(), shop.bill()
    assert (january.base, january.prepaid_fen, january.amount_fen) == ("paid", 1_000, 0)
    assert (february.base, february.amount_fen) == ("due", 400)
    shop.check()


def test_a_paid_base_fee_above_a_later_cap_leaves_nothing_to_ask_for() -> None:
    capped = replace(PLAN, base_fee_fen=400, monthly_cap_fen=800)
    billed = bill_of(capped, 50, 0, "paid", (), 1_000)
    assert (billed.total_fen, billed.prepaid_fen, billed.asked_fen) == (1_000, 1_000, 0)


def test_a_plan_that_is_announced_again_waits_for_its_day() -> None:
    """The very plan that is in force: whether it is the same object is nothing that a replay knows."""
    shop = Shop(months=9)
    later = shop.world.at_ns + 130 * DAY_NS
    shop.world.must(
        e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=shop.row.plan, effective_from_ns=later)
    )
    shop.bill()
    assert shop.row.next_plan == PLAN
    shop.check()


def _again(shop: Shop) -> e.RenewSubscription:
    return e.RenewSubscription(actor=shop.buyer, subscription=shop.subscription, months=3)


def test_a_plan_of_public_data_does_not_rise_above_what_was_approved() -> None:
    """What the reviewer held against the tariff was this plan; a cheaper one needs nobody."""
    shop = Shop(classification=classification(origin="public", open_class="unconditional"))
    ask = e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=PLAN)
    for dearer in (replace(PLAN, setup_fen=501), replace(PLAN, tiers=(UsageTier(price_fen=11),))):
        assert shop.world.code(replace(ask, plan=dearer)) == "outside_terms"
    shop.world.must(replace(ask, plan=replace(PLAN, base_fee_fen=900)))
    shop.check()


def test_a_plan_keeps_its_boards_rules() -> None:
    """A board that lets nothing cost more than 50 yuan at once."""
    shop = Shop()
    state = shop.world.state
    rule = Rule(
        id="CHEAP",
        when="terms.price_fen > 5000",
        source="x",
        zh="价格过高",
        en="too dear",
        breaks={},
        passes={},
    )
    state.boards = {**state.boards, "general": replace(state.boards["general"], rules=(rule,))}
    ask = e.SetPlan(actor=shop.merchant, listing=shop.listing, plan=replace(PLAN, setup_fen=5_000))
    assert shop.world.code(ask) == "board_rule"
    shop.world.must(replace(ask, plan=PLAN))
