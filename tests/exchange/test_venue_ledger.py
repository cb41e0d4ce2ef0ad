"""Deposits, refunds by agreement, debts that bite, reversals under four eyes: the pure venue."""

from typing import Any

import pytest

from clearing.bank import BankEntry
from clearing.ledger import CASH, CNY, DEBT, FEES, debtor_owner, deposit_owner
from clearing.registers import Pledge
from exchange import events as e
from exchange.debt import debts_of
from exchange.matching.orders import Conditions
from exchange.state import DAY_NS
from exchange.verification import invariants
from tests.exchange.world import EVIDENCE, OPERATOR, World, changed, kinds, only


class Shop:
    """One listing at 10,000 fen of which one contributor has 30 % after the fee of 2 %; a buyer with 100,000 fen."""

    def __init__(self, **terms: Any) -> None:
        self.world = World()
        self.merchant = self.world.merchant()
        self.friend = self.world.person()
        self.product = self.world.product(self.merchant, shares=((self.friend, 3_000),))
        self.listing = self.world.listing(self.merchant, self.product, **{"price_fen": 10_000, **terms})
        self.buyer = self.world.buyer(cash_fen=100_000)
        self.prices: dict[str, tuple[int, str]] = {}
        self.second = self.world.official("operator")
        self.world.verify(OPERATOR)

    def sell(self, done: bool = False) -> str:
        trade = self.world.buy(self.buyer, self.listing)
        row = self.world.state.trades[trade]
        self.prices[trade] = (row.amount_fen, row.entitlement)
        if done:
            self.world.deliver(trade)
            self.world.accept(trade)
        return trade

    def cash(self, participant: str, amount_fen: int, reference: str) -> e.BookCashIn:
        return e.BookCashIn(
            actor=OPERATOR, participant=participant, amount_fen=amount_fen, bank_reference=reference
        )

    def statement(self, *entries: BankEntry) -> e.BookStatement:
        """The custody bank's first, of a day before anything was booked by hand."""
        custody = self.world.state.bank.custody
        assert custody is not None
        return e.BookStatement(
            actor=OPERATOR, account=custody.account, statement="S1", sequence=1, opening_fen=0,
            closing_fen=sum(entry.amount_fen for entry in entries), until_ns=0, entries=entries,
            file_sha256="ab" * 32,
        )  # fmt: skip

    def offer(self, actor: str, trade: str, amount_fen: int, **fields: Any) -> e.OfferRefund:
        """With what the tables say of the trade."""
        price_fen, entitlement = self.prices.get(trade, (0, ""))
        command = e.OfferRefund(
            actor=actor,
            trade=trade,
            amount_fen=amount_fen,
            reason="三月数据缺失",
            price_fen=price_fen,
            entitlement=entitlement,
        )
        return changed(command, **fields)

    def agree(self, trade: str, amount_fen: int) -> Any:
        only(self.world.must(self.offer(self.buyer, trade, amount_fen)), e.RefundOffered)
        return self.world.must(self.offer(self.merchant, trade, amount_fen))

    def reversal(self, trade: str, actor: str = OPERATOR, **fields: Any) -> e.ReverseTransaction:
        """Of a sale that was paid, with its postings as the tables tell them."""
        fee, friend, merchant = (FEES, 200), (self.friend, 2_940), (self.merchant, 6_860)
        legs = (
            (self.buyer, "venue:escrow", CNY, 10_000),
            *(("venue:escrow", owner, CNY, amount) for owner, amount in (fee, merchant, friend)),
        )
        command = e.ReverseTransaction(
            actor=actor, transaction=trade, reason="a test order was taken for a real one", legs=legs,
            entitlement=self.prices.get(trade, (0, ""))[1],
        )  # fmt: skip
        return changed(command, **fields)

    def money(self, *owners: str) -> list[int]:
        return [self.world.money(owner)[0] for owner in owners]

    def check(self) -> None:
        self.world.check()
        assert list(invariants(self.world.state)) == []


@pytest.fixture
def shop() -> Shop:
    return Shop()


# ---- deposits


def test_a_deposit_is_the_merchants_own_money_set_apart(shop: Shop) -> None:
    world, merchant = shop.world, shop.merchant
    world.must(shop.cash(merchant, 5_000, "in"))
    world.must(e.PayDeposit(actor=merchant, amount_fen=4_000))
    assert shop.money(merchant, deposit_owner(merchant)) == [1_000, 4_000]
    world.must(e.TakeDeposit(actor=merchant, amount_fen=3_999))
    assert shop.money(merchant, deposit_owner(merchant)) == [4_999, 1]
    shop.check()


def test_a_deposit_of_more_than_there_is_or_of_nothing(shop: Shop) -> None:
    world, merchant = shop.world, shop.merchant
    world.must(shop.cash(merchant, 100, "in"))
    pay = e.PayDeposit(actor=merchant, amount_fen=101)
    assert world.code(pay) == "funds_insufficient"
    assert world.code(changed(pay, amount_fen=0)) == "out_of_bounds"
    assert world.code(changed(pay, amount_fen=-1)) == "out_of_bounds"
    assert world.code(e.TakeDeposit(actor=merchant, amount_fen=1)) == "funds_insufficient"
    world.must(changed(pay, amount_fen=100))
    assert world.code(e.TakeDeposit(actor=merchant, amount_fen=101)) == "funds_insufficient"
    shop.check()


def test_what_an_open_sale_needs_stays_in_the_deposit(shop: Shop) -> None:
    """A sale of 10,000 under way and 15,000 deposited: 5,000 are free, and all once the sale is over."""
    world, merchant = shop.world, shop.merchant
    world.must(shop.cash(merchant, 15_000, "in"))
    world.must(e.PayDeposit(actor=merchant, amount_fen=15_000))
    trade = shop.sell()
    take = e.TakeDeposit(actor=merchant, amount_fen=5_001)
    assert world.code(take) == "funds_insufficient"
    world.must(changed(take, amount_fen=5_000))
    world.deliver(trade)
    world.accept(trade)
    world.must(shop.offer(merchant, trade, 4_000))
    assert world.code(changed(take, amount_fen=6_001)) == "funds_insufficient", "4,000 are offered back"
    world.must(changed(take, amount_fen=6_000))
    shop.check()


# ---- refund by agreement before acceptance


@pytest.mark.parametrize("steps", ["", "d", "dr", "drd"])
def test_all_of_a_price_goes_back_out_of_escrow_at_nobodys_fault(shop: Shop, steps: str) -> None:
    world, trade = shop.world, shop.sell()
    for step in steps:
        (world.deliver if step == "d" else world.reject)(trade)
    before = dict(world.state.bureau.conduct[shop.merchant].faults) if "r" in steps else {}
    assert only(shop.agree(trade, 10_000), e.Refunded).step == "agree"
    assert shop.money(shop.buyer, "venue:escrow") == [100_000, 0]
    assert world.state.entitlements == {}
    assert world.state.listings[shop.listing].taken_units == 0
    conduct = world.state.bureau.conduct.get(shop.merchant)
    assert dict(conduct.faults if conduct else {}) == before, "what both agree to is no fault"
    assert not world.state.claims.says_something()
    shop.check()


def test_a_part_that_goes_back_lowers_everybodys_share_in_proportion(shop: Shop) -> None:
    """3,333 of 10,000 go back; of 200 fee, 2,940 share and 6,860 are left 133, 1,960 and the rest of 6,667."""
    world, trade = shop.world, shop.sell()
    lowered = only(shop.agree(trade, 3_333), e.PriceLowered)
    assert (lowered.fee_fen, lowered.shares, lowered.merchant_fen) == (133, ((shop.friend, 1_960),), 4_574)
    assert shop.money(shop.buyer, "venue:escrow") == [93_333, 6_667]
    world.deliver(trade)
    world.accept(trade)
    assert shop.money(FEES, shop.friend, shop.merchant, "venue:escrow") == [133, 1_960, 4_574, 0]
    shop.check()


def test_parts_add_up_to_the_price_and_no_further(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    shop.agree(trade, 4_000)
    assert world.code(shop.offer(shop.buyer, trade, 6_001)) == "out_of_bounds"
    assert only(shop.agree(trade, 6_000), e.Refunded).step == "agree"
    assert shop.money(shop.buyer, "venue:escrow") == [100_000, 0]
    shop.check()


def test_the_buyer_may_still_reject_what_it_has_a_part_back_of(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    assert kinds(shop.agree(trade, 1)) == ["PriceLowered"]
    world.deliver(trade)
    world.reject(trade)
    world.deliver(trade)
    assert only(world.reject(trade), e.Refunded).step == "reject_again"
    assert shop.money(shop.buyer, "venue:escrow") == [100_000, 0]
    shop.check()


@pytest.mark.parametrize("steps", ["d", "drd"])
def test_a_part_agreed_to_with_the_delivery_in_hand_accepts_it(shop: Shop, steps: str) -> None:
    """减少价款: whoever has a part back keeps what was delivered, and the rest is paid at once."""
    world, trade = shop.world, shop.sell()
    for step in steps:
        (world.deliver if step == "d" else world.reject)(trade)
    outcome = shop.agree(trade, 5_000)
    assert kinds(outcome) == ["PriceLowered", "Completed"]
    assert shop.money(shop.buyer, shop.merchant, shop.friend, FEES) == [95_000, 3_430, 1_470, 100]
    assert shop.prices[trade][1] in world.state.entitlements
    shop.check()


def test_nobody_agrees_with_itself_and_another_amount_is_another_offer(shop: Shop) -> None:
    """Both offers stand, each until it is replaced or agreed to."""
    world, trade = shop.world, shop.sell()
    for actor, amount in (
        (shop.buyer, 5_000),
        (shop.buyer, 5_000),
        (shop.merchant, 4_000),
        (shop.buyer, 4_500),
    ):
        only(world.must(shop.offer(actor, trade, amount)), e.RefundOffered)
    offers = world.state.claims.offers
    assert {key: row.amount_fen for key, row in offers.items()} == {
        f"{trade}:{shop.buyer}": 4_500,
        f"{trade}:{shop.merchant}": 4_000,
    }
    lowered = only(world.must(shop.offer(shop.buyer, trade, 4_000)), e.PriceLowered)
    assert (lowered.amount_fen, offers) == (4_000, {})
    shop.check()


def test_what_cannot_be_offered(shop: Shop) -> None:
    world, trade = shop.world, shop.sell()
    offer = shop.offer(shop.buyer, trade, 1)
    assert world.code(changed(offer, actor=world.buyer())) == "not_found"
    assert world.code(changed(offer, actor=OPERATOR)) == "not_found"
    assert world.code(changed(offer, trade="T99")) == "not_found"
    assert world.code(changed(offer, reason=" ")) == "malformed"
    assert world.code(changed(offer, amount_fen=0)) == "out_of_bounds"
    assert world.code(changed(offer, amount_fen=10_001)) == "out_of_bounds"
    other = shop.sell(done=True)
    assert world.code(changed(offer, trade="T99", entitlement=shop.prices[other][1])) == "not_found"


@pytest.mark.parametrize("step", ["deliver", "reject", "accept"])
def test_an_offer_is_of_the_trade_as_it_stands(shop: Shop, step: str) -> None:
    """What was offered before a delivery is not agreed to with it in hand, nor what was before acceptance after it."""
    world, trade = shop.world, shop.sell()
    if step != "deliver":
        world.deliver(trade)
    amount_fen = shop.prices[trade][0] if step == "accept" else 1_000
    world.must(shop.offer(shop.merchant, trade, amount_fen))
    getattr(world, step)(trade)
    outcome = world.must(shop.offer(shop.buyer, trade, amount_fen))
    assert kinds(outcome) == ["RefundOffered"], "an offer of its own, and no agreement"
    shop.check()


def test_an_offer_ends_after_ten_days_and_not_before(shop: Shop) -> None:
    world, trade = shop.world, shop.sell(done=True)
    only(world.must(shop.offer(shop.buyer, trade, 100)), e.RefundOffered)
    world.at_ns += 10 * DAY_NS - 1_000
    due_ns = world.state.claims.offers[f"{trade}:{shop.buyer}"].until_ns
    assert "RefundOfferEnded" not in kinds(world.tick_at(due_ns))
    world.at_ns = due_ns + 1 - 1_000
    only(world.must(shop.offer(shop.merchant, trade, 100)), e.RefundOffered)
    ended = only(world.tick(), e.RefundOfferEnded)
    assert (ended.trade, ended.by, ended.reason) == (trade, shop.buyer, "expired"), "too late to agree to"
    (later,) = world.state.claims.offers.values()
    assert only(world.tick_at(later.until_ns + 1), e.RefundOfferEnded).by == shop.merchant
    assert world.state.claims.offers == {}
    shop.check()


# ---- after acceptance: deposit, cash, debt


def paid(shop: Shop, deposit_fen: int, cash_fen: int) -> str:
    """A sale that was accepted, whose seller has just so much in its deposit and at hand."""
    world, trade = shop.world, shop.sell(done=True)
    if deposit_fen:
        world.must(e.PayDeposit(actor=shop.merchant, amount_fen=deposit_fen))
    left = shop.money(shop.merchant)[0] - cash_fen
    assert left >= 0
    if left:
        other = world.listing(world.merchant(), price_fen=left)
        world.buy(shop.merchant, other)
    return trade


@pytest.mark.parametrize(
    ("deposit", "cash", "amount", "debt"),
    [
        (6_860, 0, 5_000, 0),
        (3_000, 2_000, 5_000, 0),
        (3_000, 2_000, 5_001, 1),
        (0, 0, 5_000, 5_000),
        (0, 6_860, 6_860, 0),
    ],
)
def test_after_payout_the_deposit_pays_then_the_cash_and_the_rest_is_owed(
    shop: Shop, deposit: int, cash: int, amount: int, debt: int
) -> None:
    world = shop.world
    trade = paid(shop, deposit, cash)
    before = shop.money(shop.buyer)[0]
    outcome = shop.agree(trade, amount)
    refund = only(outcome, e.RefundPaid)
    assert refund.deposit_fen + refund.cash_fen + refund.debt_fen == amount
    assert (refund.deposit_fen, refund.debt_fen) == (min(deposit, amount), debt)
    assert shop.money(shop.buyer)[0] - before == amount - debt
    assert world.money(shop.buyer, DEBT)[0] == debt
    assert shop.money(FEES, shop.friend)[1] == 2_940, "fee and shares stay: it is between the two"
    assert [row.left_fen for row in debts_of(world.state, shop.merchant)] == ([debt] if debt else [])
    shop.check()


def test_all_of_it_back_ends_the_licence_a_part_does_not(shop: Shop) -> None:
    world, trade = shop.world, shop.sell(done=True)
    entitlement = shop.prices[trade][1]
    shop.agree(trade, 4_000)
    assert entitlement in world.state.entitlements
    assert world.code(shop.offer(shop.buyer, trade, 6_001)) == "out_of_bounds"
    ended = only(shop.agree(trade, 6_000), e.EntitlementEnded)
    assert (ended.entitlement, ended.step) == (entitlement, "revoke")
    assert world.code(shop.offer(shop.buyer, trade, 1)) == "not_found"
    shop.check()


def test_a_debt_bites_until_incoming_money_has_set_it_off(shop: Shop) -> None:
    """7,000 are owed: the merchant lists nothing, its money comes and goes to the buyer, then all is as before."""
    world, merchant = shop.world, shop.merchant
    draft = world.draft(merchant, shop.product, price_fen=1)
    trade = paid(shop, 0, 0)
    shop.agree(trade, 7_000)
    new = e.CreateListing(
        actor=merchant, product=shop.product, board="general", terms=world.state.listings[draft].terms
    )
    submit = e.MoveListing(actor=merchant, listing=draft, step="submit")
    assert (world.code(new), world.code(submit)) == ("in_debt", "in_debt")
    before = shop.money(shop.buyer)[0]
    entry = world.must(shop.cash(merchant, 3_000, "first"))
    assert kinds(entry) == ["CashBooked", "DebtSetOff"]
    assert shop.money(merchant, shop.buyer) == [0, before + 3_000]
    assert world.code(new) == "in_debt"
    assert kinds(world.must(shop.cash(merchant, 5_000, "second"))) == ["CashBooked", "DebtSetOff"]
    assert shop.money(merchant, shop.buyer) == [1_000, before + 7_000]
    assert world.money(shop.buyer, DEBT)[0] == 0
    world.must(new)
    world.must(submit)
    assert kinds(world.must(shop.cash(merchant, 5_000, "third"))) == ["CashBooked"], "nobody watches any more"
    shop.check()


def test_the_proceeds_of_the_next_sale_set_a_debt_off_too(shop: Shop) -> None:
    world, trade = shop.world, paid(shop, 0, 0)
    shop.agree(trade, 3_000)
    again = shop.sell()
    world.deliver(again)
    before = shop.money(shop.buyer)[0]
    assert kinds(world.accept(again)) == ["Completed", "DebtSetOff"]
    assert shop.money(shop.merchant, shop.buyer) == [3_860, before + 3_000]
    shop.check()


def test_money_that_an_order_gives_back_sets_a_debt_off(shop: Shop) -> None:
    """What was reserved before the debt is freed with it and goes to the creditor at once."""
    world, merchant = shop.world, shop.merchant
    trade = shop.sell(done=True)
    dealer = world.merchant()
    book = world.book(dealer)
    world.bid(merchant, book, 68, 100)
    assert world.money(merchant) == (6_860, 6_800)
    outcome = shop.agree(trade, 5_000)
    refund = only(outcome, e.RefundPaid)
    assert (refund.cash_fen, refund.debt_fen) == (60, 4_940)
    assert kinds(outcome) == ["RefundPaid", "OrderClosed", "DebtSetOff"]
    assert world.money(merchant) == (1_860, 0)
    shop.check()


def test_two_debts_are_set_off_the_oldest_first(shop: Shop) -> None:
    world = shop.world
    first, second = shop.sell(done=True), shop.sell(done=True)
    other = world.listing(world.merchant(), price_fen=2 * 6_860)
    world.buy(shop.merchant, other)
    for trade in (first, second):
        shop.agree(trade, 100)
    one, two = debts_of(world.state, shop.merchant)
    assert (one.trade, two.trade) == (first, second)
    world.must(shop.cash(shop.merchant, 150, "in"))
    assert [(row.id, row.left_fen) for row in debts_of(world.state, shop.merchant)] == [(two.id, 50)]
    shop.check()


def test_whoever_is_paid_a_debt_pays_its_own_with_it(shop: Shop) -> None:
    """The merchant owes the buyer, the buyer owes somebody for its own sale: one booking settles both."""
    world = shop.world
    trader = world.merchant(cash_fen=20_000)
    sale = world.listing(trader, price_fen=10_000)
    shop.buyer = trader
    trade = paid(shop, 0, 0)
    customer = world.buyer(cash_fen=10_000)
    sold = world.buy(customer, sale)
    entitlement = world.state.trades[sold].entitlement
    world.deliver(sold)
    world.accept(sold)
    rest = world.listing(world.merchant(), price_fen=shop.money(trader)[0])
    world.buy(trader, rest)
    shop.agree(trade, 5_000)
    for actor in (customer, trader):
        offer = e.OfferRefund(
            actor=actor,
            trade=sold,
            amount_fen=4_000,
            reason="agreed",
            price_fen=10_000,
            entitlement=entitlement,
        )
        world.must(offer)
    outcome = world.must(shop.cash(shop.merchant, 4_500, "in"))
    assert kinds(outcome) == ["CashBooked", "DebtSetOff", "DebtSetOff"]
    assert shop.money(shop.merchant, trader, customer) == [0, 500, 4_000]
    shop.check()


# ---- reversal


def test_two_operators_reverse_a_sale_and_every_account_is_as_it_was(shop: Shop) -> None:
    world, trade = shop.world, shop.sell(done=True)
    proposed = only(world.must(shop.reversal(trade)), e.ReversalProposed)
    assert shop.money(shop.merchant) == [6_860], "one operator moves nothing"
    assert world.code(shop.reversal(trade)) == "own_case"
    outcome = world.must(shop.reversal(trade, actor=shop.second))
    assert kinds(outcome)[:2] == ["Reversed", "EntitlementEnded"]
    owners = (shop.buyer, shop.merchant, shop.friend, FEES, "venue:escrow")
    assert shop.money(*owners) == [100_000, 0, 0, 0, 0]
    row = world.state.claims.reversals[trade]
    assert (row.id, row.proposed_by, row.approved_by) == (proposed.reversal, OPERATOR, shop.second)
    assert world.code(shop.reversal(trade)) == "already_exists"
    shop.check()


def test_nobody_reverses_with_a_key_of_its_own_making(shop: Shop) -> None:
    """An operator grants the office to a key that it has registered itself: that proposes and approves nothing."""
    world, trade = shop.world, shop.sell(done=True)
    puppet = world.person()
    world.must(e.GrantRole(actor=OPERATOR, participant=puppet, role="operator"))
    assert world.code(shop.reversal(trade, actor=puppet)) == "not_verified"
    world.must(shop.reversal(trade))
    assert world.code(shop.reversal(trade, actor=puppet)) == "not_verified"
    assert shop.money(shop.merchant) == [6_860]
    shop.check()


def test_proposer_and_approver_are_of_two_houses(shop: Shop) -> None:
    world, trade = shop.world, shop.sell(done=True)
    one, other = (world.official("operator", owner="Sun") for _ in range(2))
    world.must(shop.reversal(trade, actor=one))
    assert world.code(shop.reversal(trade, actor=other)) == "own_case"
    only(world.must(shop.reversal(trade, actor=shop.second)), e.Reversed)
    shop.check()


@pytest.mark.parametrize("party", ["buyer", "merchant", "friend"])
def test_nobody_reverses_what_their_own_house_paid_or_received(shop: Shop, party: str) -> None:
    """As proposer or as the second: `close_break` refuses the same."""
    world, trade = shop.world, shop.sell(done=True)
    related = world.official("operator", owner=getattr(shop, party))
    assert world.code(shop.reversal(trade, actor=related)) == "own_case"
    world.must(shop.reversal(trade))
    assert world.code(shop.reversal(trade, actor=related)) == "own_case"
    legs = (("bank:cash", deposit_owner(getattr(shop, party)), CNY, 1),)
    of_deposit = shop.reversal("bank:1", actor=related, legs=legs)
    assert world.code(of_deposit) == "own_case"
    only(world.must(shop.reversal(trade, actor=shop.second)), e.Reversed)
    shop.check()


def test_a_booking_of_cash_is_reversed_by_the_banks_reference(shop: Shop) -> None:
    world = shop.world
    world.must(shop.cash(shop.buyer, 777, "wrong account"))
    command = e.ReverseTransaction(
        actor=OPERATOR, transaction="bank:wrong account", reason="another company's money",
        legs=((CASH, shop.buyer, CNY, 777),),
    )  # fmt: skip
    world.must(command)
    only(world.must(changed(command, actor=shop.second)), e.Reversed)
    assert shop.money(shop.buyer, CASH) == [100_000, -100_000]
    assert "wrong account" not in world.state.bank.ahead
    world.must(shop.cash(shop.merchant, 777, "wrong account"))
    assert shop.money(shop.merchant) == [777], "its reference is free for whom it belongs to"
    shop.check()


def test_a_reversal_is_made_in_full_or_not_at_all(shop: Shop) -> None:
    """The merchant has spent a fen of it: nobody gets anything, and the answer says who lacks what."""
    world = shop.world
    trade = shop.sell(done=True)
    world.must(shop.reversal(trade))
    world.buy(shop.merchant, world.listing(world.merchant(), price_fen=1))
    before = world.state.ledger.dump()
    refusal = world.refused(shop.reversal(trade, actor=shop.second))
    assert refusal.code is e.Refused.funds_insufficient
    assert f"{shop.merchant} lacks 1 CNY" in refusal.detail
    assert world.state.ledger.dump() == before
    world.must(shop.cash(shop.merchant, 1, "in"))
    only(world.must(shop.reversal(trade, actor=shop.second)), e.Reversed)
    shop.check()


def test_units_go_back_where_they_came_from_or_nothing_does(shop: Shop) -> None:
    world = shop.world
    dealer, holder = world.merchant(), world.merchant(cash_fen=100_000)
    book = world.book(dealer)
    unit = f"unit:{book}"
    world.ask(dealer, book, 10, 100)
    settled = only(world.bid(holder, book, 10, 100), e.Settled)
    legs = (
        (holder, FEES, CNY, settled.fee_fen),
        (holder, dealer, CNY, settled.merchant_fen),
        (dealer, holder, unit, 10),
    )
    command = shop.reversal(settled.trade, legs=legs)
    world.must(command)
    placed = only(world.ask(holder, book, 1, 500), e.OrderPlaced)
    assert world.code(changed(command, actor=shop.second)) == "units_insufficient"
    world.must(e.CancelOrder(actor=holder, order=placed.order))
    world.must(changed(command, actor=shop.second))
    assert world.money(holder, unit)[0] == 0
    assert shop.money(holder, dealer, FEES) == [100_000, 0, 0]
    shop.check()


def test_what_cannot_be_reversed(shop: Shop) -> None:
    world = shop.world
    trade = shop.sell()
    assert world.code(shop.reversal(trade)) == "wrong_state", "it is open"
    world.deliver(trade)
    world.accept(trade)
    assert world.code(shop.reversal(trade, actor=shop.merchant)) == "forbidden"
    assert world.code(shop.reversal(trade, legs=())) == "not_found"
    assert world.code(shop.reversal(trade, reason="")) == "malformed"
    world.must(shop.reversal(trade))
    shop.agree(trade, 100)
    assert world.code(shop.reversal(trade, actor=shop.second)) == "wrong_state", "its postings are others now"
    legs = (*shop.reversal(trade).legs, (shop.merchant, shop.buyer, CNY, 100))
    moved = shop.reversal(trade, actor=shop.second, legs=legs, refunded_fen=100)
    assert world.code(moved) == "wrong_state", "what was proposed is something else"
    shop.check()


def test_a_proposal_ends_after_ten_days(shop: Shop) -> None:
    world, trade = shop.world, shop.sell(done=True)
    only(world.must(shop.reversal(trade)), e.ReversalProposed)
    world.at_ns = world.state.claims.proposals[trade].until_ns + 1 - 1_000
    outcome = world.must(shop.reversal(trade, actor=shop.second))
    assert kinds(outcome) == ["ReversalEnded", "ReversalProposed"], "too late to agree: it is a proposal anew"
    ended = only(world.tick_at(world.state.claims.proposals[trade].until_ns + 1), e.ReversalEnded)
    assert (ended.transaction, ended.reason) == (trade, "expired")
    assert not world.state.claims.proposals
    shop.check()


def test_a_trade_in_debt_is_not_reversed(shop: Shop) -> None:
    world, trade = shop.world, paid(shop, 0, 0)
    shop.agree(trade, 100)
    assert world.code(shop.reversal(trade, refunded_fen=100)) == "wrong_state"
    shop.check()


def test_a_trade_whose_debt_was_set_off_goes_back_with_it_or_not_at_all(shop: Shop) -> None:
    """Another debtor's debt to the same buyer is no money for it."""
    world, trade = shop.world, paid(shop, 0, 0)
    shop.agree(trade, 100)
    world.must(shop.cash(shop.merchant, 100, "in"))
    other = world.merchant()
    sold = world.buy(shop.buyer, world.listing(other, price_fen=10_000))
    shop.prices[sold] = (10_000, world.state.trades[sold].entitlement)
    world.deliver(sold)
    world.accept(sold)
    world.buy(other, world.listing(world.merchant(), price_fen=shop.money(other)[0]))
    for actor in (shop.buyer, other):
        world.must(shop.offer(actor, sold, 3_000))
    shop.check()
    debtor = debtor_owner(shop.merchant)
    of_trade = shop.reversal(trade).legs
    owed = (*of_trade, (debtor, shop.buyer, DEBT, 100))
    assert world.code(shop.reversal(trade, refunded_fen=100, legs=owed)) == "wrong_state"
    whole = (*owed, (shop.merchant, shop.buyer, CNY, 100), (shop.buyer, debtor, DEBT, 100))
    world.must(shop.cash(shop.merchant, 6_760, "merchant"))
    before = shop.money(shop.buyer)
    world.must(shop.reversal(trade, refunded_fen=100, legs=whole))
    world.must(shop.reversal(trade, actor=shop.second, refunded_fen=100, legs=whole))
    assert shop.money(shop.buyer) == [before[0] + 9_900], "what it paid, less what it has back"
    shop.check()
    world.must(shop.cash(other, 3_000, "later"))
    assert shop.money(shop.buyer) == [before[0] + 12_900]
    shop.check()


def test_a_booking_that_was_reversed_and_booked_anew_can_be_reversed_again(shop: Shop) -> None:
    world = shop.world
    for owner in (shop.buyer, shop.merchant):
        world.must(shop.cash(owner, 777, "R1"))
        command = e.ReverseTransaction(
            actor=OPERATOR, transaction="bank:R1", reason="wrong account", legs=((CASH, owner, CNY, 777),)
        )
        world.must(command)
        only(world.must(changed(command, actor=shop.second)), e.Reversed)
        assert world.code(command) == "already_exists"
    assert len(world.state.claims.reversals) == 2, "both are told"
    shop.check()


# ---- what others got wrong


def test_a_reservation_counts_in_every_check_of_a_balance(shop: Shop) -> None:
    """100,000 fen of which 99,000 are set aside: deposit, order and reversal see 1,000."""
    world = shop.world
    dealer = world.merchant(cash_fen=100_000)
    book = world.book(world.merchant())
    world.bid(dealer, book, 990, 100)
    assert world.money(dealer) == (100_000, 99_000)
    assert world.code(e.PayDeposit(actor=dealer, amount_fen=1_001)) == "funds_insufficient"
    assert (
        world.code(e.PlaceOrder(actor=dealer, listing=book, quantity=11, limit_fen=100))
        == "funds_insufficient"
    )
    world.agree(dealer, shop.listing)
    assert world.code(e.PlaceOrder(actor=dealer, listing=shop.listing, quantity=1)) == "funds_insufficient"
    world.must(shop.cash(world.buyer(), 1, "x"))
    booking = e.ReverseTransaction(
        actor=OPERATOR, transaction="bank:x", reason="wrong", legs=((CASH, dealer, CNY, 1_001),)
    )
    assert world.code(booking) == "funds_insufficient"
    world.must(e.PayDeposit(actor=dealer, amount_fen=1_000))
    shop.check()


@pytest.mark.parametrize("kind", ["order", "deposit", "reversal"])
def test_a_refused_movement_is_not_made_later_under_its_id(shop: Shop, kind: str) -> None:
    """The money comes after the refusal; the same id stays refused, a new one goes through."""
    world = shop.world
    poor = world.merchant()
    world.agree(poor, shop.listing)
    world.must(shop.cash(world.buyer(), 1, "x"))
    commands: dict[str, Any] = {
        "order": e.PlaceOrder(actor=poor, listing=shop.listing, quantity=1),
        "deposit": e.PayDeposit(actor=poor, amount_fen=10_000),
        "reversal": e.ReverseTransaction(
            actor=shop.second, transaction="bank:x", reason="wrong", legs=((CASH, poor, CNY, 10_000),)
        ),
    }
    command = commands[kind]
    burned = changed(command, key=world.new_id())
    first = world.do(burned)
    assert first.refusal is not None
    assert first.refusal.code is e.Refused.funds_insufficient
    world.must(shop.cash(poor, 10_000, "late"))
    again = world.do(burned)
    assert (again.refusal, again.repeated) == (first.refusal, True)
    assert world.money(poor) == (10_000, 0)
    if kind != "reversal":
        conflict = world.do(changed(burned, **({"quantity": 2} if kind == "order" else {"amount_fen": 1})))
        assert conflict.refusal is not None
        assert conflict.refusal.code is e.Refused.id_conflict
    assert world.do(changed(command, key=world.new_id())).refusal is None
    shop.check()


def test_a_reservation_is_voided_once(shop: Shop) -> None:
    world = shop.world
    book = world.book(world.merchant())
    order = only(world.bid(shop.buyer, book, 10, 100), e.OrderPlaced).order
    world.must(e.CancelOrder(actor=shop.buyer, order=order))
    assert world.code(e.CancelOrder(actor=shop.buyer, order=order)) == "not_found"
    assert world.money(shop.buyer) == (100_000, 0)
    shop.check()


def test_partial_posts_of_one_reservation_take_no_more_than_it_has(shop: Shop) -> None:
    """Three sellers fill one bid at once: 10 units are paid for, whoever comes last finds the rest."""
    world = shop.world
    maker = world.merchant()
    book = world.book(maker)
    holders = [world.merchant(cash_fen=10_000) for _ in range(3)]
    world.ask(maker, book, 30, 100)
    for holder in holders:
        world.bid(holder, book, 10, 100)
    world.bid(shop.buyer, book, 10, 101)
    sold = [only(world.ask(holder, book, 4, 101), e.OrderPlaced).order for holder in holders]
    assert [order in world.state.orders for order in sold] == [False, False, True]
    assert world.money(shop.buyer) == (100_000 - 1_010, 0)
    assert world.state.orders[sold[-1]].remaining == 2
    shop.check()


# ---- beside the custody bank


def withdraws(shop: Shop, amount_fen: int) -> str:
    """The seller asks for that much to be paid out."""
    asked = shop.world.must(e.RequestWithdrawal(actor=shop.merchant, amount_fen=amount_fen))
    return only(asked, e.WithdrawalRequested).withdrawal


def test_whoever_owes_cannot_withdraw_and_what_it_asked_for_is_set_off(shop: Shop) -> None:
    """A seller asks for all that it has, then agrees to a refund: its buyer does not wait for ever."""
    world = shop.world
    trade = paid(shop, 0, 0)
    world.must(e.SetPayoutAccount(actor=shop.merchant, account_sha256="ab" * 32))
    world.must(shop.statement(BankEntry(100, "in", "", participant=shop.merchant)))
    asked = withdraws(shop, 100)
    outcome = shop.agree(trade, 5_000)
    assert kinds(outcome) == ["RefundPaid", "WithdrawalCancelled", "DebtSetOff"]
    assert world.state.bank.withdrawals[asked].state == "cancelled"
    assert world.state.stopped[asked][0] == e.VENUE
    assert shop.money(shop.merchant) == [0], "what it had asked for is set off"
    assert [row.left_fen for row in debts_of(world.state, shop.merchant)] == [4_900]
    assert world.code(e.RequestWithdrawal(actor=shop.merchant, amount_fen=1)) == "in_debt"
    shop.check()


def test_what_a_debtor_has_in_a_batch_is_set_off_when_it_comes_back(shop: Shop) -> None:
    world = shop.world
    trade = paid(shop, 0, 0)
    world.must(e.SetPayoutAccount(actor=shop.merchant, account_sha256="ab" * 32))
    own = BankEntry(1_000_000, "own money", "")
    world.must(shop.statement(BankEntry(100, "in", "", participant=shop.merchant), own))
    [row] = world.state.bank.open_breaks()
    world.must(e.CloseBreak(actor=OPERATOR, bank_break=row.id, reason="own", remedy="book", account="own"))
    withdraws(shop, 100)
    batch = only(world.must(e.MakePayoutBatch(actor=OPERATOR)), e.PayoutBatchMade).batch
    assert kinds(shop.agree(trade, 5_000)) == ["RefundPaid"]
    back = e.RejectPayout(actor=OPERATOR, batch=batch, participant=shop.merchant, reason="no such account")
    assert only(world.must(back), e.DebtSetOff).amount_fen == 100
    shop.check()


def test_a_debtors_bids_are_closed_as_far_as_its_debts_go(shop: Shop) -> None:
    """The newest first; its asks and the bids of others stay."""
    world = shop.world
    trade = paid(shop, 0, 0)
    book, own_book = world.book(world.merchant()), world.book(shop.merchant)
    world.must(shop.cash(shop.merchant, 6_000, "in"))
    bids = [only(world.bid(shop.merchant, book, 20, 100), e.OrderPlaced).order for _ in range(3)]
    stay = [
        only(world.bid(shop.buyer, book, 10, 90), e.OrderPlaced).order,
        only(world.ask(shop.merchant, own_book, 5, 100), e.OrderPlaced).order,
    ]
    outcome = shop.agree(trade, 3_000)
    assert kinds(outcome) == ["RefundPaid", "OrderClosed", "OrderClosed", "DebtSetOff"]
    closed = [event for event in outcome.events if isinstance(event, e.OrderClosed)]
    assert [(event.order, event.reason) for event in closed] == [(bids[2], "in_debt"), (bids[1], "in_debt")]
    assert list(world.state.orders) == [bids[0], *stay]
    assert debts_of(world.state, shop.merchant) == []
    assert world.money(shop.merchant) == (3_000, 2_000)
    shop.check()


def test_what_a_statement_has_shown_is_an_open_break_after_its_reversal(shop: Shop) -> None:
    """The bank has the money whoever it belongs to: nothing is paid out until it is booked to somebody."""
    world = shop.world
    world.must(shop.cash(shop.buyer, 777, "seen"))
    del world.state.bank.ahead["seen"]
    del world.twin.bank.ahead["seen"]
    command = e.ReverseTransaction(
        actor=OPERATOR, transaction="bank:seen", reason="another's", legs=((CASH, shop.buyer, CNY, 777),)
    )
    world.must(command)
    outcome = world.must(changed(command, actor=shop.second))
    found = only(outcome, e.BreakOpened)
    assert (found.kind, found.subject, found.amount_fen) == ("unmatched", "seen", 777)
    close = e.CloseBreak(
        actor=OPERATOR,
        bank_break=found.bank_break,
        remedy="book",
        account=shop.merchant,
        reason="the payer says so",
    )
    world.must(close)
    assert shop.money(shop.merchant, shop.buyer) == [777, 100_000]
    assert list(invariants(world.state)) == []


def test_what_a_debtor_sells_to_a_stop_that_a_settled_hold_reached_is_set_off_too(shop: Shop) -> None:
    """In the same entry: nothing of it stays with the debtor."""
    world = shop.world
    trade = paid(shop, 0, 0)
    book = world.book(shop.merchant)
    entry: dict[str, Any] = {
        "product": world.state.listings[book].product,
        "evidence_sha256": EVIDENCE,
        "reason": "papers",
    }
    pledged, released = (
        e.EnterRecord(actor=world.reviewer, facts=Pledge(number="ZY-1", state=said), **entry)
        for said in ("pledged", "released")
    )
    world.must(pledged)
    world.ask(shop.merchant, book, 6, 103)
    only(world.bid(world.buyer(), book, 3, 103), e.Held)
    world.order(world.buyer(), book, 3, time_in_force="gtc", conditions=Conditions("gtc", stop_fen=103))
    shop.agree(trade, 7_000)
    outcome = world.must(released)
    assert kinds(outcome) == ["RecordEntered", "Settled", "OrderCameIn", "Settled", "DebtSetOff"]
    assert world.money(shop.merchant)[0] == 0
    world.check()
