"""After the verdict: delivery, acceptance, silence, rejection, refund, who is paid what, keys, reports from outside."""

from typing import Any

import pytest

from exchange import events as e
from exchange import venue
from exchange.state import DAY_NS, Entitlement
from exchange.trade import MOST_REPORTS
from tests.exchange.world import EVIDENCE, OPERATOR, World, authorisation, changed, kinds, only

ADDRESS = e.Delivery(kind="address", url="https://data.example/berths")
FILE = e.Delivery(kind="file", sha256="cd" * 32, size=7, name="rows.csv")


class Shop:
    """A shop with one listing at 10,000 fen and a buyer; dates are 3 days each, the licence lasts 30."""

    def __init__(self) -> None:
        self.world = World()
        self.merchant = self.world.merchant()
        self.friends = [self.world.person() for _ in range(2)]
        shares = ((self.friends[0], 3_000), (self.friends[1], 1))
        self.product = self.world.product(self.merchant, shares=shares)
        self.listing = self.world.listing(self.merchant, self.product, price_fen=10_000)
        self.buyer = self.world.buyer(cash_fen=100_000)

    def sell(self) -> str:
        return self.world.buy(self.buyer, self.listing)

    def due_ns(self, trade: str) -> int:
        return self.world.state.trades[trade].due_ns

    def paid(self) -> tuple[int, ...]:
        """What the merchant, both contributors and the venue hold."""
        return tuple(
            self.world.money(owner)[0]
            for owner in (self.merchant, *self.friends, "venue:fees", "venue:escrow")
        )


@pytest.fixture
def shop() -> Shop:
    return Shop()


def deliver(shop: Shop, trade: str, **fields: Any) -> e.Deliver:
    return changed(e.Deliver(actor=shop.merchant, trade=trade, delivery=FILE), **fields)


def reject(shop: Shop, trade: str, **fields: Any) -> e.RejectDelivery:
    return changed(e.RejectDelivery(actor=shop.buyer, trade=trade, reason="rows are missing"), **fields)


# ---- the straight way


def test_only_acceptance_pays_everybody_to_the_fen(shop: Shop) -> None:
    """10,000 fen: 2 % fee is 200; of 9,800 one has 30 % = 2,940, one 0.01 % = 0.98, rounded down to 0."""
    world, trade = shop.world, shop.sell()
    assert shop.paid() == (0, 0, 0, 0, 10_000)
    world.deliver(trade)
    assert shop.paid() == (0, 0, 0, 0, 10_000)
    assert only(world.accept(trade), e.Completed).step == "accept"
    assert shop.paid() == (6_860, 2_940, 0, 200, 0)
    assert trade not in world.state.trades
    world.check()


def test_acceptance_is_good_conduct_of_both(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    world.deliver(trade)
    world.accept(trade)
    conduct = world.state.bureau.conduct
    assert [kind for _, kind, _ in conduct[shop.merchant].good] == ["completed_sale"]
    assert [kind for _, kind, _ in conduct[shop.buyer].good] == ["completed_purchase"]


def test_an_order_is_history_by_the_fee_on_it(shop: Shop) -> None:
    """`general` keeps 2 %, `computing` half a per cent of what its books trade."""
    world, trade = shop.world, shop.sell()
    world.deliver(trade)
    assert only(world.accept(trade), e.Completed).history_bp == 10_000
    seller, buyer = world.merchant(cash_fen=10**9), world.merchant(cash_fen=10**9)
    book = world.book(seller)
    world.agree(buyer, book)
    world.ask(seller, book, 10, 20_000)
    assert only(world.bid(buyer, book, 10, 20_000), e.Settled).history_bp == 2_500
    logs = world.state.bureau.conduct
    amounts = {name: [row[2:] for row in logs[name].good.values()] for name in (shop.buyer, seller, buyer)}
    assert amounts == {
        shop.buyer: [[10_000, 10_000]],
        seller: [[200_000, 50_000]],
        buyer: [[200_000, 50_000]],
    }


@pytest.mark.parametrize("delivery", [ADDRESS, FILE])
def test_a_delivery_activates_the_entitlement(shop: Shop, delivery: e.Delivery) -> None:
    world, trade = shop.world, shop.sell()
    entitlement = world.state.entitlements[world.state.trades[trade].entitlement]
    assert (entitlement.state, entitlement.delivery) == ("granted", None)
    outcome = world.must(deliver(shop, trade, delivery=delivery))
    delivered = only(outcome, e.Delivered)
    assert (delivered.step, delivered.due_ns) == ("deliver", world.at_ns + 3 * DAY_NS)
    assert (entitlement.state, entitlement.delivery) == ("active", delivery)
    world.check()


@pytest.mark.parametrize(
    "delivery",
    [
        e.Delivery(kind="file"),
        e.Delivery(kind="address"),
        e.Delivery(kind="pigeon"),
        e.Delivery(kind="pigeon", url="https://data.example"),
        e.Delivery(kind="file", url="https://data.example"),
        e.Delivery(kind="address", sha256="cd" * 32, url="https://data.example"),
    ],
)
def test_a_delivery_is_a_file_or_an_address(shop: Shop, delivery: e.Delivery) -> None:
    assert shop.world.code(deliver(shop, shop.sell(), delivery=delivery)) == "malformed"


# ---- silence, rejection, redelivery, refund


def test_silence_accepts_a_nanosecond_after_its_date(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    world.deliver(trade)
    due_ns = shop.due_ns(trade)
    world.tick_at(due_ns)
    assert world.state.trades[trade].state == "delivered"
    assert only(world.tick_at(due_ns + 1_000), e.Completed).step == "silence"
    assert shop.paid() == (6_860, 2_940, 0, 200, 0)
    world.check()


def test_nothing_delivered_by_its_date_refunds(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    due_ns = shop.due_ns(trade)
    world.tick_at(due_ns)
    assert world.state.trades[trade].state == "settled"
    assert only(world.tick_at(due_ns + 1_000), e.Refunded).step == "miss"
    assert world.money(shop.buyer) == (100_000, 0)
    assert world.state.entitlements == {}
    faults = world.state.bureau.conduct[shop.merchant].faults
    assert [fault.kind for fault in faults.values()] == ["not_delivered"]
    world.check()


def test_a_rejected_delivery_may_be_mended_once(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    world.deliver(trade)
    rejected = only(world.reject(trade), e.DeliveryRejected)
    assert rejected.due_ns == world.at_ns + 3 * DAY_NS
    again = only(world.deliver(trade), e.Delivered)
    assert again.step == "redeliver"
    world.accept(trade)
    assert shop.paid() == (6_860, 2_940, 0, 200, 0)
    faults = world.state.bureau.conduct[shop.merchant].faults
    assert [fault.kind for fault in faults.values()] == ["rejected_delivery", "redelivered"]
    world.check()


def test_a_second_rejection_refunds(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    world.deliver(trade)
    world.reject(trade)
    world.deliver(trade)
    assert only(world.reject(trade), e.Refunded).step == "reject_again"
    assert world.money(shop.buyer) == (100_000, 0)
    assert shop.paid() == (0, 0, 0, 0, 0)
    assert world.state.entitlements == {}
    world.check()


def test_a_redelivery_that_does_not_come_refunds(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    world.deliver(trade)
    world.reject(trade)
    due_ns = shop.due_ns(trade)
    world.tick_at(due_ns)
    assert trade in world.state.trades
    assert only(world.tick_at(due_ns + 1), e.Refunded).step == "miss"
    world.check()


def test_silence_accepts_a_redelivery_too(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    world.deliver(trade)
    world.reject(trade)
    world.deliver(trade)
    assert only(world.tick_at(shop.due_ns(trade) + 1), e.Completed).step == "silence"
    world.check()


@pytest.mark.parametrize("state", ["settled", "delivered", "rejected", "redelivered"])
@pytest.mark.parametrize("step", ["deliver", "accept", "reject"])
def test_every_step_and_no_other(shop: Shop, state: str, step: str) -> None:
    world, trade = shop.world, shop.sell()
    for taken in {"delivered": "d", "rejected": "dr", "redelivered": "drd"}.get(state, ""):
        if taken == "d":
            world.deliver(trade)
        else:
            world.reject(trade)
    assert world.state.trades[trade].state == state
    command = {
        "deliver": deliver(shop, trade),
        "accept": e.AcceptDelivery(actor=shop.buyer, trade=trade),
        "reject": reject(shop, trade),
    }[step]
    possible = {"settled": "deliver", "rejected": "deliver"}.get(state, "accept reject")
    if step in possible:
        world.must(command)
    else:
        assert world.code(command) == "wrong_state"
    world.check()


@pytest.mark.parametrize("state", ["settled", "delivered", "rejected", "redelivered"])
def test_a_step_is_in_time_at_its_date_and_late_a_nanosecond_after(shop: Shop, state: str) -> None:
    """The tick may come later: the date alone decides."""
    for late_ns in (0, 1):
        world, trade = shop.world, shop.sell()
        for taken in {"delivered": "d", "rejected": "dr", "redelivered": "drd"}.get(state, ""):
            if taken == "d":
                world.deliver(trade)
            else:
                world.reject(trade)
        world.at_ns = shop.due_ns(trade) + late_ns - 1_000
        command: Any = deliver(shop, trade)
        if state in ("delivered", "redelivered"):
            command = e.AcceptDelivery(actor=shop.buyer, trade=trade)
        if late_ns:
            assert world.code(command) == "wrong_state"
        else:
            world.must(command)
    world.check()


def test_only_the_parties_act(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    assert world.code(deliver(shop, trade, actor=shop.buyer)) == "not_found"
    assert world.code(deliver(shop, "T99")) == "not_found"
    world.deliver(trade)
    assert world.code(e.AcceptDelivery(actor=shop.merchant, trade=trade)) == "not_found"
    assert world.code(e.AcceptDelivery(actor=world.buyer(), trade=trade)) == "not_found"
    assert world.code(reject(shop, trade, actor=shop.merchant)) == "not_found"
    assert world.code(reject(shop, trade, reason="  ")) == "malformed"
    world.accept(trade)
    assert world.code(e.AcceptDelivery(actor=shop.buyer, trade=trade)) == "not_found"


@pytest.mark.parametrize("amount", [1, 2, 3, 49, 50, 51, 99, 101, 4_999, 5_000, 5_001, 999_983])
@pytest.mark.parametrize("shares_bp", [(), (1,), (3_333, 3_333, 3_334), (5_000, 5_000), (9_999,)])
def test_rounding_never_loses_a_fen(amount: int, shares_bp: tuple[int, ...]) -> None:
    world = World()
    merchant = world.merchant()
    friends = [world.person() for _ in shares_bp]
    product = world.product(merchant, shares=tuple(zip(friends, shares_bp, strict=True)))
    trade = world.buy(world.buyer(), world.listing(merchant, product, price_fen=amount))
    world.deliver(trade)
    world.accept(trade)
    assert sum(world.money(owner)[0] for owner in (merchant, *friends, "venue:fees")) == amount
    world.check()


def test_many_dates_pass_in_bounded_ticks(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One tick lets so many timers act and no more; those of one instant stay together."""
    world = shop.world
    world.tick()
    monkeypatch.setattr(venue, "TIMERS_A_TICK", 3)
    trades = [shop.sell() for _ in range(7)]
    world.wait(days=4)
    counts = []
    while world.state.trades:
        counts.append(kinds(world.tick()).count("Refunded"))
    assert counts == [3, 3, 1]
    assert len(trades) == 7
    world.check()


# ---- entitlements and their keys


def test_a_key_opens_its_entitlement_and_a_new_one_replaces_it(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    entitlement = world.state.trades[trade].entitlement
    issue = e.IssueKey(actor=shop.buyer, entitlement=entitlement, key_sha256="01" * 32)
    assert world.code(changed(issue, actor=shop.merchant)) == "not_found"
    assert world.code(changed(issue, entitlement="E99")) == "not_found"
    world.must(issue)
    world.must(changed(issue, key_sha256="02" * 32))
    assert world.state.keys == {"02" * 32: entitlement}
    world.check()


def test_an_entitlement_ends_with_its_term_and_its_key_with_it(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    world.deliver(trade)
    world.accept(trade)
    (entitlement,) = world.state.entitlements.values()
    issue = e.IssueKey(actor=shop.buyer, entitlement=entitlement.id, key_sha256="01" * 32)
    world.must(issue)
    world.tick_at(entitlement.until_ns)
    assert entitlement.id in world.state.entitlements
    assert world.code(changed(issue, actor=shop.buyer)) == "wrong_state", "the end is exclusive"
    ended = only(world.tick_at(entitlement.until_ns + 2_000), e.EntitlementEnded)
    assert (ended.entitlement, ended.step) == (entitlement.id, "expire")
    assert world.state.entitlements == {}
    assert world.state.keys == {}
    world.check()


def test_a_refund_takes_the_key_away(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    entitlement = world.state.trades[trade].entitlement
    world.must(e.IssueKey(actor=shop.buyer, entitlement=entitlement, key_sha256="01" * 32))
    world.tick_at(shop.due_ns(trade) + 1)
    assert world.state.keys == {}
    world.check()


def entitlement_of(world: World, trade: str) -> Entitlement:
    return world.state.entitlements[world.state.trades[trade].entitlement]


def test_the_term_runs_from_delivery(shop: Shop) -> None:
    """Before it there is nothing to use, and no day of the term is lost."""
    world, trade = shop.world, shop.sell()
    right = entitlement_of(world, trade)
    assert (right.state, right.until_ns) == ("granted", 0)
    world.wait(days=2)
    delivered = only(world.deliver(trade), e.Delivered)
    assert delivered.entitlement_until_ns == right.until_ns == world.at_ns + 30 * DAY_NS
    world.check()


def test_a_rejected_delivery_may_not_be_used_and_a_redelivery_starts_the_term_anew() -> None:
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(merchant, term_days=3))
    world.wait(days=2)
    world.deliver(trade)
    first = entitlement_of(world, trade).until_ns
    world.at_ns = first - 1_000
    world.reject(trade)
    right = entitlement_of(world, trade)
    assert (right.state, right.until_ns, right.delivery) == ("granted", 0, None)
    world.check()
    world.tick_at(first + DAY_NS)
    world.deliver(trade)
    assert (right.state, right.until_ns) == ("active", world.at_ns + 3 * DAY_NS)
    world.accept(trade)
    world.check()
    assert "EntitlementEnded" not in kinds(world.tick_at(right.until_ns))
    assert "EntitlementEnded" in kinds(world.tick_at(right.until_ns + 1))
    world.check()


@pytest.mark.parametrize("way", ["accept", "silence"])
def test_a_term_shorter_than_the_acceptance_ends_with_the_trade(way: str) -> None:
    """Nothing is taken from a buyer who may still reject; the key is good until the term's end only."""
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(merchant, term_days=1, acceptance_days=30))
    world.deliver(trade)
    right = entitlement_of(world, trade)
    assert kinds(world.tick_at(right.until_ns + 2_000)) == ["Ticked", "CredentialMoved"]
    assert world.code(e.IssueKey(actor=buyer, entitlement=right.id, key_sha256="01" * 32)) == "wrong_state"
    due_ns = world.state.trades[trade].due_ns
    outcome = world.accept(trade) if way == "accept" else world.tick_at(due_ns + 1)
    assert kinds(outcome)[-3:] == ["Completed", "EntitlementEnded", "DutyOpened"]
    assert world.state.entitlements == {}
    world.check()


def test_a_licence_never_outlives_its_authorisation() -> None:
    """B03 looks at the last end that delivery, rejection and redelivery can give the term: 30 + 3 + 3 + 3 days."""
    world = World()
    merchant, buyer = world.merchant(), world.buyer()
    until_ns = world.at_ns + 40 * DAY_NS
    product = world.product(merchant, authorisation=authorisation(world.at_ns, valid_until_ns=until_ns))
    listing = world.listing(merchant, product)
    world.at_ns = until_ns - 39 * DAY_NS
    refusal = world.order(buyer, listing).refusal
    assert refusal is not None
    assert refusal.violated == ("B03",)
    world.at_ns = until_ns - 39 * DAY_NS - 1_000
    trade = world.buy(buyer, listing)
    world.at_ns = world.state.trades[trade].due_ns - 1_000
    world.deliver(trade)
    world.at_ns = world.state.trades[trade].due_ns - 1_000
    world.reject(trade)
    world.at_ns = world.state.trades[trade].due_ns - 1_000
    world.deliver(trade)
    assert entitlement_of(world, trade).until_ns == until_ns
    world.check()


# ---- trades from outside


class Bilateral:
    """An off-venue listing, its merchant and a buyer who tell of their trade."""

    def __init__(self, **terms: Any) -> None:
        self.world = World()
        self.merchant = self.world.merchant()
        self.product = self.world.product(self.merchant)
        whole = {"mechanism": "off_venue", "price_fen": 1_000, **terms}
        self.listing = self.world.listing(self.merchant, self.product, **whole)
        self.buyer = self.world.buyer(cash_fen=100_000)
        self.world.agree(self.buyer, self.listing)

    def report(self, side: str, **fields: Any) -> e.ReportTrade:
        actor, other = (self.merchant, self.buyer) if side == "sell" else (self.buyer, self.merchant)
        whole: dict[str, Any] = {
            "actor": actor,
            "counterparty": other,
            "listing": self.listing,
            "quantity": 3,
            "price_fen": 900,
            "purpose": "market_analysis",
            "territory": "CN",
            "contract_sha256": EVIDENCE,
            **fields,
        }
        return e.ReportTrade(side=side, **whole)


@pytest.fixture
def pair() -> Bilateral:
    return Bilateral()


@pytest.mark.parametrize("first", ["buy", "sell"])
def test_a_trade_reported_by_both_sides_settles_at_their_price(pair: Bilateral, first: str) -> None:
    world = pair.world
    second = "sell" if first == "buy" else "buy"
    assert kinds(world.must(pair.report(first))) == ["TradeReported"]
    world.check()
    outcome = world.must(pair.report(second))
    assert kinds(outcome) == ["TradeReported", "OrderPlaced", "Settled"]
    assert only(outcome, e.TradeReported).matches == "R1"
    settled = only(outcome, e.Settled)
    assert (settled.buyer, settled.seller, settled.amount_fen) == (pair.buyer, pair.merchant, 2_700)
    assert world.state.reports == {}
    assert world.state.orders == {}
    world.deliver(settled.trade)
    world.accept(settled.trade)
    assert world.money(pair.merchant) == (2_646, 0)
    world.check()


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": 4},
        {"price_fen": 901},
        {"contract_sha256": "cd" * 32},
    ],
)
def test_reports_of_other_terms_wait_side_by_side(pair: Bilateral, fields: dict[str, Any]) -> None:
    pair.world.must(pair.report("buy"))
    assert kinds(pair.world.must(pair.report("sell", **fields))) == ["TradeReported"]
    assert len(pair.world.state.reports) == 2
    pair.world.check()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"side": "both"}, "malformed"),
        ({"listing": "L99"}, "not_found"),
        ({"counterparty": "P99"}, "mechanism_not_allowed"),
        ({"purpose": "advertising"}, "outside_terms"),
        ({"territory": "US"}, "outside_terms"),
        ({"quantity": 0}, "out_of_bounds"),
        ({"price_fen": -1}, "out_of_bounds"),
        ({"contract_sha256": "paper"}, "evidence_missing"),
    ],
)
def test_a_report_is_refused(pair: Bilateral, fields: dict[str, Any], code: str) -> None:
    assert pair.world.code(changed(pair.report("buy"), **fields)) == code


def test_a_seller_names_a_participant(pair: Bilateral) -> None:
    assert pair.world.code(pair.report("sell", counterparty="P99")) == "not_found"


def test_only_off_venue_listings_take_reports_and_they_no_orders(pair: Bilateral) -> None:
    world = pair.world
    posted = world.listing(pair.merchant)
    assert world.code(pair.report("buy", listing=posted)) == "mechanism_not_allowed"
    refusal = world.order(pair.buyer, pair.listing).refusal
    assert refusal is not None
    assert refusal.code is e.Refused.mechanism_not_allowed


def test_an_unanswered_report_ends_after_its_days(pair: Bilateral) -> None:
    """A buyer who told of a trade long ago is not debited by surprise."""
    world = pair.world
    told = only(world.must(pair.report("buy")), e.TradeReported)
    assert told.until_ns == world.at_ns + 10 * DAY_NS
    world.tick_at(told.until_ns)
    assert list(world.state.reports) == ["R1"]
    ended = only(world.tick_at(told.until_ns + 1_000), e.ReportEnded)
    assert (ended.report, ended.reason) == ("R1", "expired")
    assert kinds(world.must(pair.report("sell"))) == ["TradeReported"]
    assert world.money(pair.buyer) == (100_000, 0)
    world.check()


def test_an_answer_after_the_date_is_a_report_of_its_own(pair: Bilateral) -> None:
    """Also where no tick has come yet."""
    world = pair.world
    until_ns = only(world.must(pair.report("buy")), e.TradeReported).until_ns
    world.at_ns = until_ns
    assert kinds(world.must(pair.report("sell"))) == ["ReportEnded", "TradeReported"]
    assert list(world.state.reports) == ["R2"]
    world.tick()
    assert list(world.state.reports) == ["R2"]
    world.check()


def test_a_report_is_withdrawn_by_who_made_it(pair: Bilateral) -> None:
    world = pair.world
    world.must(pair.report("buy"))
    withdraw = e.WithdrawReport(actor=pair.buyer, report="R1")
    assert world.code(changed(withdraw, actor=pair.merchant)) == "not_found"
    assert only(world.must(withdraw), e.ReportEnded).reason == "withdrawn"
    assert world.code(withdraw) == "not_found"
    assert kinds(world.must(pair.report("sell"))) == ["TradeReported"]
    world.check()


def test_a_report_is_declined_by_the_other_side(pair: Bilateral) -> None:
    """A trade that one of them denies is none; the words are kept, and both may report anew."""
    world = pair.world
    world.must(pair.report("buy"))
    decline = e.DeclineReport(actor=pair.merchant, report="R1", reason="we agreed on 950")
    assert world.code(changed(decline, actor=pair.buyer)) == "not_found"
    assert world.code(changed(decline, reason=" ")) == "malformed"
    ended = only(world.must(decline), e.ReportEnded)
    assert (ended.reason, ended.detail) == ("declined", "we agreed on 950")
    assert world.code(decline) == "not_found"
    assert kinds(world.must(pair.report("sell"))) == ["TradeReported"], "it answers nothing any more"
    assert "Settled" in kinds(world.must(pair.report("buy")))
    world.check()


def test_so_many_reports_wait_at_most(pair: Bilateral) -> None:
    for number in range(MOST_REPORTS):
        pair.world.must(pair.report("buy", price_fen=number))
    assert pair.world.code(pair.report("buy", price_fen=900)) == "out_of_bounds"
    pair.world.must(pair.report("sell", price_fen=900))
    outcome = pair.world.must(pair.report("buy", price_fen=900))
    assert only(outcome, e.TradeReported).trade == only(outcome, e.Settled).trade


def test_the_same_report_is_not_made_twice(pair: Bilateral) -> None:
    world = pair.world
    world.must(pair.report("sell"))
    refusal = world.refused(pair.report("sell"))
    assert refusal.code.name == "already_exists"
    assert "R1" in refusal.detail
    world.must(e.WithdrawReport(actor=pair.merchant, report="R1"))
    world.must(pair.report("sell"))
    assert "Settled" in kinds(world.must(pair.report("buy")))
    world.check()


def test_a_reported_trade_is_judged_as_any_other(pair: Bilateral) -> None:
    """Everything reserved for it is free again when clearing refuses it."""
    world = pair.world
    world.must(pair.report("buy"))
    world.record(pair.product, "authorisation_withdrawn")
    outcome = world.must(pair.report("sell"))
    assert kinds(outcome) == ["TradeReported", "OrderPlaced", "TradeRefused", "OrderClosed"]
    assert only(outcome, e.TradeRefused).violated == ("B01",)
    assert world.money(pair.buyer) == (100_000, 0)
    world.check()


def test_a_reported_trade_may_be_held(pair: Bilateral) -> None:
    world = pair.world
    world.must(pair.report("buy"))
    world.record(pair.product, "objection_raised")
    assert only(world.must(pair.report("sell")), e.Held).violated == ("B11",)
    world.check()
    assert kinds(world.record(pair.product, "objection_settled")) == ["FactRecorded", "Settled"]
    world.check()


def test_a_reported_trade_needs_the_buyers_money_and_the_supply() -> None:
    pair = Bilateral(supply="limited", supply_units=5)
    pair.world.must(pair.report("sell", price_fen=50_000))
    assert pair.world.code(pair.report("buy", price_fen=50_000)) == "funds_insufficient"
    pair.world.must(pair.report("sell", quantity=6))
    assert pair.world.code(pair.report("buy", quantity=6)) == "supply_exhausted"
    pair.world.check()


def test_nobody_trades_with_themselves_outside_either(pair: Bilateral) -> None:
    world = pair.world
    world.pay_in(pair.merchant, 10_000)
    world.must(pair.report("sell", counterparty=pair.merchant))
    outcome = world.must(pair.report("buy", actor=pair.merchant))
    assert "E05" in only(outcome, e.TradeRefused).violated
    world.check()


# ---- holds follow what the register says of their parties


@pytest.mark.parametrize("party", ["buyer", "seller"])
def test_a_hold_ends_when_a_party_is_banned(party: str) -> None:
    world = World()
    merchant, buyer = world.merchant(), world.buyer(cash_fen=500)
    product = world.product(merchant)
    listing = world.listing(merchant, product)
    world.record(product, "objection_raised")
    held = only(world.order(buyer, listing), e.Held)
    who = buyer if party == "buyer" else merchant
    outcome = world.must(
        e.SetBan(actor=OPERATOR, participant=who, until_ns=world.at_ns + DAY_NS, reason="cheated")
    )
    released = only(outcome, e.HoldReleased)
    assert (released.trade, released.reason) == (held.trade, "refused")
    assert "E03" in released.violated
    assert world.money(buyer) == (500, 0)
    world.check()


def test_a_hold_ends_when_the_merchant_loses_its_credential() -> None:
    world = World()
    merchant, buyer = world.merchant(), world.buyer(cash_fen=500)
    product = world.product(merchant)
    listing = world.listing(merchant, product)
    world.record(product, "objection_raised")
    world.order(buyer, listing)
    assert "E01" in only(world.discipline(merchant, "revoke"), e.HoldReleased).violated
    world.check()
