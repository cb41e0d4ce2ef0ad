"""The whole venue's money against the reference model, under random commands, ticks and crashes.

The machine says what each command must do to the books, in the words of `ledger_model`: who pays whom, what is set aside,
what goes back. After every step all accounts and all reservations are the model's, every asset adds up to zero, and the
state is what its journal replays to. Every command comes under an id, and some are sent again later, with the same content
or with other.
"""

from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clearing.ledger import (
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
from exchange import events as e
from exchange.state import DAY_NS, decode_state, encode_state
from exchange.venue import Outcome
from exchange.verification import invariants
from tests.clearing.ledger_model import LedgerModel, Move
from tests.exchange.world import OPERATOR, World, boards, changed, only, rulebook

AMOUNTS = st.integers(1, 12_000)
PRICE_FEN, FEE_FEN = 10_000, 200
"""Of the posted listing: 2 % go to the venue."""


class Sale(msgspec.Struct):
    """A licence trade as its parties know it."""

    trade: str
    buyer: str
    entitlement: str
    price: int = PRICE_FEN
    fee: int = FEE_FEN
    refunded: int = 0
    state: str = "settled"


class LedgerStory(RuleBasedStateMachine):
    """A seller of licences and of units in a book, and two who buy both and may sell units on."""

    @initialize()
    def open(self) -> None:
        self.world = World()
        self.seller = self.world.merchant()
        self.buyers = [self.world.merchant() for _ in range(2)]
        self.second = self.world.official("operator")
        self.world.verify(OPERATOR)
        terms: dict[str, Any] = {"delivery_days": 60, "acceptance_days": 60, "redelivery_days": 60}
        self.posted = self.world.listing(self.seller, price_fen=PRICE_FEN, **terms)
        self.book = self.world.book(self.seller)
        for buyer in self.buyers:
            self.world.agree(buyer, self.posted)
            self.world.agree(buyer, self.book)
        self.units = unit_asset(self.book)
        contra = ((CASH, CNY), (issue_owner(self.book), self.units), (debtor_owner(self.seller), DEBT))
        self.model = LedgerModel(contra)
        self.model.transfer("issue", (issue_owner(self.book), self.seller, self.units, 1_000_000))
        self.sales: dict[str, Sale] = {}
        self.debts: list[list[Any]] = []
        self.sent: list[tuple[Any, Outcome]] = []
        self.bookings: dict[str, Move] = {}
        self.moves = 0

    # --- doing, and saying what it must come to

    def send(self, command: Any) -> Outcome:
        command = changed(command, key=self.world.new_id())
        outcome = self.world.do(command)
        self.sent.append((command, outcome))
        return outcome

    def must(self, outcome: Outcome, *moves: Move) -> None:
        """It was done, and this is what it moved."""
        assert outcome.refusal is None, outcome.refusal
        self.moves += 1
        assert self.model.transfer(f"m{self.moves}", *moves) == "done"
        self.set_off()

    def lacks(self, outcome: Outcome, code: str = "funds_insufficient") -> None:
        assert outcome.refusal is not None, outcome.events
        assert outcome.refusal.code.name == code

    def set_off(self) -> None:
        """What came to the seller goes to whom it owes, the oldest debt first."""
        for debt in self.debts:
            creditor, left = debt
            amount = min(left, self.model.available(self.seller, CNY))
            if amount:
                self.moves += 1
                claim = (creditor, debtor_owner(self.seller), DEBT, amount)
                assert (
                    self.model.transfer(f"m{self.moves}", (self.seller, creditor, CNY, amount), claim)
                    == "done"
                )
                debt[1] -= amount
        self.debts = [debt for debt in self.debts if debt[1]]

    def someone(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from([self.seller, *self.buyers]))

    # --- money in, deposits

    @rule(data=st.data(), amount=AMOUNTS)
    def cash_in(self, data: st.DataObject, amount: int) -> None:
        who, reference = self.someone(data), f"bank {self.moves}.{len(self.sent)}"
        booked = e.BookCashIn(actor=OPERATOR, participant=who, amount_fen=amount, bank_reference=reference)
        self.bookings[reference] = (CASH, who, CNY, amount)
        self.must(self.send(booked), (CASH, who, CNY, amount))

    @rule(data=st.data(), amount=AMOUNTS)
    def pay_deposit(self, data: st.DataObject, amount: int) -> None:
        who = self.someone(data)
        enough = self.model.available(who, CNY) >= amount
        outcome = self.send(e.PayDeposit(actor=who, amount_fen=amount))
        if enough:
            self.must(outcome, (who, deposit_owner(who), CNY, amount))
        else:
            self.lacks(outcome)

    @rule(data=st.data(), amount=AMOUNTS)
    def take_deposit(self, data: st.DataObject, amount: int) -> None:
        """No refund is offered between two steps, so open sales alone keep a deposit in."""
        who = self.someone(data)
        open_sales = sum(one.price for one in self.sales.values() if one.state in ("settled", "delivered"))
        free = self.model.balance(deposit_owner(who), CNY) - (open_sales if who == self.seller else 0)
        outcome = self.send(e.TakeDeposit(actor=who, amount_fen=amount))
        if amount <= free:
            self.must(outcome, (deposit_owner(who), who, CNY, amount))
        else:
            self.lacks(outcome)

    # --- licences: escrow, payout, refunds

    @rule(data=st.data())
    def buy_a_licence(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(self.buyers))
        enough = self.model.available(who, CNY) >= PRICE_FEN
        outcome = self.send(e.PlaceOrder(actor=who, listing=self.posted, quantity=1))
        if not enough:
            self.lacks(outcome)
            return
        settled = only(outcome, e.Settled)
        self.must(outcome, (who, ESCROW, CNY, PRICE_FEN))
        self.sales[settled.trade] = Sale(settled.trade, who, settled.entitlement)

    def a_sale(self, data: st.DataObject, *states: str) -> Sale:
        return data.draw(st.sampled_from([one for one in self.sales.values() if one.state in states]))

    def has_sale(self, *states: str) -> bool:
        return any(one.state in states for one in self.sales.values())

    @precondition(lambda self: self.has_sale("settled"))
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        sale = self.a_sale(data, "settled")
        self.world.deliver(sale.trade)
        sale.state = "delivered"

    @precondition(lambda self: self.has_sale("delivered"))
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        sale = self.a_sale(data, "delivered")
        outcome = self.send(e.AcceptDelivery(actor=sale.buyer, trade=sale.trade))
        self.paid(outcome, sale)

    def paid(self, outcome: Outcome, sale: Sale, *before: Move) -> None:
        merchant = sale.price - sale.fee
        self.must(outcome, *before, (ESCROW, FEES, CNY, sale.fee), (ESCROW, self.seller, CNY, merchant))
        sale.state = "completed"

    @precondition(lambda self: self.has_sale("settled", "delivered"))
    @rule(data=st.data(), part=st.integers(1, 100))
    def agree_on_a_refund_out_of_escrow(self, data: st.DataObject, part: int) -> None:
        """Some hundredths of the price, or all of it."""
        sale = self.a_sale(data, "settled", "delivered")
        amount = max(1, sale.price * part // 100)
        outcome = self.agreed(sale, amount)
        back = (ESCROW, sale.buyer, CNY, amount)
        if amount == sale.price:
            sale.state = "refunded"
            self.must(outcome, back)
            return
        sale.fee = sale.fee * (sale.price - amount) // sale.price
        sale.price, sale.refunded = sale.price - amount, sale.refunded + amount
        if sale.state == "delivered":
            self.paid(outcome, sale, back)
        else:
            self.must(outcome, back)

    def agreed(self, sale: Sale, amount: int) -> Outcome:
        offer = e.OfferRefund(
            actor=sale.buyer, trade=sale.trade, amount_fen=amount, reason="agreed", price_fen=PRICE_FEN,
            entitlement=sale.entitlement,
        )  # fmt: skip
        assert self.send(offer).refusal is None
        return self.send(changed(offer, actor=self.seller))

    @precondition(lambda self: self.has_sale("completed"))
    @rule(data=st.data(), part=st.integers(1, 100))
    def agree_on_a_refund_after_payout(self, data: st.DataObject, part: int) -> None:
        """Deposit, cash, debt."""
        sale = self.a_sale(data, "completed")
        amount = max(1, (PRICE_FEN - sale.refunded) * part // 100)
        outcome = self.agreed(sale, amount)
        deposit = min(amount, self.model.balance(deposit_owner(self.seller), CNY))
        cash = min(amount - deposit, self.model.available(self.seller, CNY))
        debt = amount - deposit - cash
        self.debts.append([sale.buyer, debt])
        self.must(
            outcome,
            (deposit_owner(self.seller), sale.buyer, CNY, deposit),
            (self.seller, sale.buyer, CNY, cash),
            (debtor_owner(self.seller), sale.buyer, DEBT, debt),
        )
        sale.refunded += amount
        if sale.refunded == PRICE_FEN:
            sale.state = "refunded"

    # --- a book: reservations that post in part, are given back, and race

    @rule(data=st.data(), quantity=st.integers(1, 20), limit=st.integers(80, 120))
    def bid(self, data: st.DataObject, quantity: int, limit: int) -> None:
        who = data.draw(st.sampled_from(self.buyers))
        enough = self.model.available(who, CNY) >= quantity * limit
        order = e.PlaceOrder(actor=who, listing=self.book, quantity=quantity, limit_fen=limit)
        self.placed(self.send(order), who, CNY, quantity * limit, enough, "funds_insufficient")

    @rule(data=st.data(), quantity=st.integers(1, 20), limit=st.integers(80, 120))
    def ask(self, data: st.DataObject, quantity: int, limit: int) -> None:
        who = self.someone(data)
        enough = self.model.available(who, self.units) >= quantity
        order = e.PlaceOrder(actor=who, listing=self.book, side="sell", quantity=quantity, limit_fen=limit)
        self.placed(self.send(order), who, self.units, quantity, enough, "units_insufficient")

    def placed(self, outcome: Outcome, who: str, asset: str, amount: int, enough: bool, lack: str) -> None:
        """The order sets aside what it can cost; each fill posts out of both sides, and what was cheaper goes back."""
        if not enough:
            self.lacks(outcome, lack)
            return
        order = only(outcome, e.OrderPlaced).order
        assert self.model.reserve(order, who, asset, amount) == "done"
        for event in outcome.events:
            if isinstance(event, e.Settled):
                self.filled(event)
            elif isinstance(event, e.OrderClosed):
                self.model.void(f"void {event.order}", event.order)
        self.set_off()

    def filled(self, fill: e.Settled) -> None:
        cost = fill.quantity * fill.price_fen
        fee = cost * 100 * boards()["computing"].fee_bp // 1_000_000
        shares = ((fill.sell_order, fill.buyer, fill.quantity), (fill.buy_order, FEES, fee),
                  (fill.buy_order, fill.seller, cost - fee), (fill.buy_order, fill.buyer, fill.reserved_rest))  # fmt: skip
        for number, (reservation, target, amount) in enumerate(shares):
            if amount:
                assert self.model.post(f"{fill.trade}.{number}", reservation, target, amount) == "done"

    @precondition(lambda self: self.world.state.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Once; the second time there is nothing."""
        order = data.draw(st.sampled_from(sorted(self.world.state.orders)))
        command = e.CancelOrder(actor=self.world.state.orders[order].participant, order=order)
        assert self.model.void(f"void {order}", order) == "done"
        self.must(self.send(command))
        self.lacks(self.send(command), "not_found")

    # --- reversals

    @precondition(lambda self: self.bookings)
    @rule(data=st.data())
    def reverse_a_booking(self, data: st.DataObject) -> None:
        reference = data.draw(st.sampled_from(sorted(self.bookings)))
        move = self.bookings[reference]
        source, who, asset, amount = move
        command = e.ReverseTransaction(
            actor=OPERATOR, transaction=f"bank:{reference}", reason="a wrong account", legs=(move,)
        )
        enough = self.model.available(who, asset) >= amount
        outcome = self.send(command)
        if not enough:
            self.lacks(outcome)
            return
        self.must(outcome)
        self.must(self.send(changed(command, actor=self.second)), (who, source, asset, amount))
        self.lacks(self.send(command), "already_exists")
        del self.bookings[reference]

    # --- ids and crashes

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """Kept answers are the same for ever, others may change; nothing of it moves anything."""
        command, first = data.draw(st.sampled_from(self.sent))
        if not first.entry:
            return
        again = self.world.do(command)
        assert again.repeated
        assert (again.events, again.refusal) == (first.events, first.refusal)
        field = {"reason": "another"} if hasattr(command, "reason") else {"actor": command.actor}
        for name in ("amount_fen", "quantity"):
            if hasattr(command, name):
                field = {name: getattr(command, name) + 1}
        if "actor" not in field:
            self.lacks(self.world.do(changed(command, **field)), "id_conflict")

    @rule(days=st.integers(1, 5))
    def time_passes(self, days: int) -> None:
        """Offers and proposals that nobody answered end; no date of a trade is so near."""
        if self.world.at_ns < 1_764_000_000_000_000_000 + 25 * DAY_NS:
            self.world.wait(days=days)
            self.must(self.world.tick())

    @rule()
    def crash(self) -> None:
        """Memory is gone: the snapshot or the journal brings it back, and either goes on alike."""
        body = encode_state(self.world.state)
        self.world.state = decode_state(body, boards(), rulebook(), "CN-46")
        assert encode_state(self.world.replayed()) == body

    # --- after every step

    @invariant()
    def same_books(self) -> None:
        dumped = self.world.state.ledger.dump()
        accounts = {(owner, asset): balance for owner, asset, balance, _ in dumped["accounts"] if balance}
        assert accounts == {key: balance for key, balance in self.model.balances.items() if balance}
        held = {name: (owner, asset, amount) for name, owner, asset, amount in dumped["reservations"]}
        assert held == self.model.reservations

    @invariant()
    def conservation(self) -> None:
        assert not any(self.model.totals().values())
        assert list(invariants(self.world.state)) == []
        assert encode_state(self.world.twin) == encode_state(self.world.state)


TestLedgerStory = LedgerStory.TestCase
TestLedgerStory.settings = settings(
    max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
