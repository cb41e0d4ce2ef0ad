"""The ledger as a bookkeeper reads it, and against a twin of plain dictionaries under random movements."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from clearing.ledger import CASH, CNY, ESCROW, FEES, Ledger, LedgerDump, is_contra, issue_owner, unit_asset

UNITS = unit_asset("L1")
ISSUE = issue_owner("L1")


def funded(**balances: int) -> Ledger:
    """A ledger after the cash-in of these balances, with nothing left to drain."""
    ledger = Ledger()
    for owner, amount in balances.items():
        ledger.transfer(ledger.account(CASH, CNY), ledger.account(owner, CNY), amount)
    ledger.drain()
    return ledger


def balances(ledger: Ledger) -> dict[tuple[str, str], tuple[int, int]]:
    ledger.check()
    return {(owner, asset): (balance, held) for owner, asset, balance, held in ledger.dump()["accounts"]}


def test_a_licence_from_cash_in_to_payment() -> None:
    """buyer pays 1,000 in, orders for 300; the fill costs 280 to escrow; accepted, it pays 7 fee and 273."""
    ledger = funded(buyer=1_000)
    buyer, escrow = ledger.account("buyer", CNY), ledger.account(ESCROW, CNY)
    ledger.reserve("order-1", buyer, 300)
    assert (buyer.balance, buyer.reserved, ledger.available("buyer", CNY)) == (1_000, 300, 700)
    ledger.spend("order-1", escrow, 280)
    assert ledger.release("order-1") == 20
    ledger.transfer(escrow, ledger.account(FEES, CNY), 7)
    ledger.transfer(escrow, ledger.account("merchant", CNY), 273)
    assert balances(ledger) == {
        (CASH, CNY): (-1_000, 0),
        ("buyer", CNY): (720, 0),
        (ESCROW, CNY): (0, 0),
        (FEES, CNY): (7, 0),
        ("merchant", CNY): (273, 0),
    }


def test_transferable_units_change_hands_against_payment() -> None:
    ledger = funded(buyer=500)
    ledger.transfer(ledger.account(ISSUE, UNITS), ledger.account("holder", UNITS), 10)
    ledger.reserve("sell-1", ledger.account("holder", UNITS), 4)
    ledger.reserve("buy-1", ledger.account("buyer", CNY), 400)
    ledger.spend("sell-1", ledger.account("buyer", UNITS), 4)
    ledger.spend("buy-1", ledger.account("holder", CNY), 400)
    assert ledger.reservation("sell-1") is None
    assert balances(ledger) == {
        (CASH, CNY): (-500, 0),
        ("buyer", CNY): (100, 0),
        (ISSUE, UNITS): (-10, 0),
        ("holder", UNITS): (6, 0),
        ("buyer", UNITS): (4, 0),
        ("holder", CNY): (400, 0),
    }


def test_a_reservation_shrinks_and_disappears_at_zero() -> None:
    ledger = funded(buyer=100)
    ledger.reserve("o", ledger.account("buyer", CNY), 100)
    ledger.spend("o", ledger.account("seller", CNY), 60)
    left = ledger.reservation("o")
    assert left is not None
    assert left.amount == 40
    assert ledger.release("o", 15) == 15
    ledger.spend("o", ledger.account("seller", CNY), 25)
    assert ledger.reservation("o") is None
    assert ledger.release("o") == 0
    assert balances(ledger)["buyer", CNY] == (15, 0)


def test_a_free_order_reserves_nothing_and_goes_the_same_way() -> None:
    ledger = Ledger()
    ledger.reserve("free", ledger.account("buyer", CNY), 0)
    ledger.spend("free", ledger.account(ESCROW, CNY), 0)
    ledger.spend("free", ledger.account(ESCROW, CNY), 0)
    assert ledger.release("free") == 0
    assert ledger.drain() == []
    ledger.check()


def test_what_one_order_reserved_no_other_can_use() -> None:
    ledger = funded(buyer=100)
    buyer, seller = ledger.account("buyer", CNY), ledger.account("seller", CNY)
    ledger.reserve("o", buyer, 80)
    with pytest.raises(AssertionError, match="buyer lacks 21"):
        ledger.reserve("p", buyer, 21)
    with pytest.raises(AssertionError, match="buyer lacks 21"):
        ledger.transfer(buyer, seller, 21)
    ledger.transfer(buyer, seller, 20)
    ledger.check()


MISTAKES: list[tuple[str, Callable[[Ledger], object]]] = [
    ("is not", lambda one: one.transfer(one.account("buyer", CNY), one.account("buyer", UNITS), 1)),
    ("is not", lambda one: one.spend("o", one.account("buyer", UNITS), 1)),
    ("a transfer of -1", lambda one: one.transfer(one.account("buyer", CNY), one.account("seller", CNY), -1)),
    ("seller lacks 1", lambda one: one.transfer(one.account("seller", CNY), one.account("buyer", CNY), 1)),
    ("escrow lacks 1", lambda one: one.transfer(one.account(ESCROW, CNY), one.account("buyer", CNY), 1)),
    ("buyer lacks -1", lambda one: one.reserve("p", one.account("buyer", CNY), -1)),
    ("reservation already", lambda one: one.reserve("o", one.account("buyer", CNY), 1)),
    ("reserved|under", lambda one: one.spend("o", one.account("seller", CNY), 41)),
    ("reserved|under", lambda one: one.spend("o", one.account("seller", CNY), -1)),
    ("reserved|under", lambda one: one.release("o", 41)),
    ("reserved|under", lambda one: one.release("o", -1)),
    ("nothing reserved", lambda one: one.release("nobody", 1)),
    ("nothing reserved", lambda one: one.spend("nobody", one.account("seller", CNY), 1)),
]


@pytest.mark.parametrize(("message", "mistake"), MISTAKES)
def test_a_mistake_is_caught_before_anything_moves(message: str, mistake: Callable[[Ledger], object]) -> None:
    ledger = funded(buyer=100)
    ledger.reserve("o", ledger.account("buyer", CNY), 40)
    before = balances(ledger)
    with pytest.raises(AssertionError, match=message):
        mistake(ledger)
    assert {key: value for key, value in balances(ledger).items() if value != (0, 0)} == before


@pytest.mark.parametrize(
    ("owner", "asset", "contra"),
    [
        (CASH, CNY, True),
        (CASH, UNITS, False),
        (ISSUE, UNITS, True),
        (ISSUE, CNY, False),
        (issue_owner("L2"), UNITS, False),
        (ESCROW, CNY, False),
    ],
)
def test_only_the_assets_own_contra_may_be_negative(owner: str, asset: str, contra: bool) -> None:
    assert is_contra(owner, asset) is contra


def test_a_drain_tells_each_account_once_and_net() -> None:
    ledger = funded(buyer=100)
    buyer, seller = ledger.account("buyer", CNY), ledger.account("seller", CNY)
    ledger.reserve("o", buyer, 60)
    ledger.spend("o", seller, 50)
    ledger.transfer(seller, buyer, 5)
    assert ledger.drain() == [("buyer", CNY, -45, 10), ("seller", CNY, 45, 0)]
    assert ledger.drain() == []
    ledger.release("o")
    assert ledger.drain() == [("buyer", CNY, 0, -10)]


def test_an_account_back_where_it_was_is_not_drained() -> None:
    ledger = funded(buyer=100)
    ledger.reserve("o", ledger.account("buyer", CNY), 60)
    ledger.release("o")
    assert ledger.drain() == []


def test_check_names_what_does_not_add_up() -> None:
    ledger = funded(buyer=100)
    ledger.account("buyer", CNY).balance += 1
    with pytest.raises(AssertionError, match="CNY adds up to 1"):
        ledger.check()
    ledger = funded(buyer=100)
    ledger.account("buyer", CNY).reserved += 1
    with pytest.raises(AssertionError, match="sum of reservations"):
        ledger.check()
    ledger = funded(buyer=100)
    ledger.account("buyer", CNY).balance -= 101
    ledger.account("seller", CNY).balance += 101
    with pytest.raises(AssertionError, match="is negative"):
        ledger.check()


OWNERS = ["buyer", "seller", "merchant", ESCROW, FEES]
ASSETS = [CNY, UNITS]
CONTRA = {CNY: CASH, UNITS: ISSUE}


class RandomBooks(RuleBasedStateMachine):
    """Any movements on the ledger and on plain dictionaries; `sql` is what the drained rows add up to."""

    ids: Bundle[str] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.balance: dict[tuple[str, str], int] = {}
        self.held: dict[str, tuple[str, str, int]] = {}
        self.sql: dict[tuple[str, str], tuple[int, int]] = {}
        self.placed = 0

    def move(self, source: str, target: str, asset: str, amount: int) -> None:
        self.balance[source, asset] = self.balance.get((source, asset), 0) - amount
        self.balance[target, asset] = self.balance.get((target, asset), 0) + amount

    def reserved(self, owner: str, asset: str) -> int:
        return sum(amount for name, kind, amount in self.held.values() if (name, kind) == (owner, asset))

    def free(self, owner: str, asset: str) -> int:
        return self.balance.get((owner, asset), 0) - self.reserved(owner, asset)

    @rule(owner=st.sampled_from(OWNERS), asset=st.sampled_from(ASSETS), amount=st.integers(0, 100))
    def come_in(self, owner: str, asset: str, amount: int) -> None:
        contra = self.ledger.account(CONTRA[asset], asset)
        self.ledger.transfer(contra, self.ledger.account(owner, asset), amount)
        self.move(CONTRA[asset], owner, asset, amount)

    @rule(
        source=st.sampled_from(OWNERS),
        payee=st.sampled_from(OWNERS),
        asset=st.sampled_from(ASSETS),
        amount=st.integers(0, 60),
    )
    def transfer(self, source: str, payee: str, asset: str, amount: int) -> None:
        accounts = self.ledger.account(source, asset), self.ledger.account(payee, asset)
        if amount > self.free(source, asset):
            with pytest.raises(AssertionError):
                self.ledger.transfer(*accounts, amount)
        else:
            self.ledger.transfer(*accounts, amount)
            self.move(source, payee, asset, amount)

    @rule(target=ids, owner=st.sampled_from(OWNERS), asset=st.sampled_from(ASSETS), amount=st.integers(0, 60))
    def reserve(self, owner: str, asset: str, amount: int) -> str:
        self.placed += 1
        name = f"o{self.placed}"
        if amount > self.free(owner, asset):
            with pytest.raises(AssertionError):
                self.ledger.reserve(name, self.ledger.account(owner, asset), amount)
        else:
            self.ledger.reserve(name, self.ledger.account(owner, asset), amount)
            if amount:
                self.held[name] = (owner, asset, amount)
        return name

    def shrink(self, name: str, amount: int) -> None:
        owner, asset, left = self.held.pop(name)
        if left > amount:
            self.held[name] = (owner, asset, left - amount)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), payee=st.sampled_from(OWNERS))
    def spend(self, data: st.DataObject, payee: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        owner, asset, left = self.held[name]
        amount = data.draw(st.integers(0, left))
        self.ledger.spend(name, self.ledger.account(payee, asset), amount)
        self.shrink(name, amount)
        self.move(owner, payee, asset, amount)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release_part(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        amount = data.draw(st.integers(0, self.held[name][2]))
        assert self.ledger.release(name, amount) == amount
        self.shrink(name, amount)

    @rule(name=consumes(ids))
    def release_all(self, name: str) -> None:
        expected = self.held.pop(name)[2] if name in self.held else 0
        assert self.ledger.release(name) == expected

    @rule()
    def drain(self) -> None:
        for owner, asset, balance, reserved in self.ledger.drain():
            old = self.sql.get((owner, asset), (0, 0))
            self.sql[owner, asset] = (old[0] + balance, old[1] + reserved)
        self.compare(self.sql)

    @rule()
    def restart_from_a_snapshot(self) -> None:
        self.drain()
        encoded = msgspec.msgpack.encode(self.ledger.dump())
        loaded = Ledger.load(msgspec.msgpack.decode(encoded, type=LedgerDump))
        assert loaded.dump() == self.ledger.dump()
        assert loaded.drain() == []
        self.ledger = loaded

    def compare(self, rows: dict[tuple[str, str], tuple[int, int]]) -> None:
        for owner, asset in [*self.balance, *rows]:
            expected = (self.balance.get((owner, asset), 0), self.reserved(owner, asset))
            assert rows.get((owner, asset), (0, 0)) == expected

    @invariant()
    def same_books(self) -> None:
        self.ledger.check()
        accounts = self.ledger.dump()["accounts"]
        self.compare({(owner, asset): (balance, reserved) for owner, asset, balance, reserved in accounts})
        held = self.ledger.dump()["reservations"]
        assert {name: (owner, asset, amount) for name, owner, asset, amount in held} == self.held


TestRandomBooks = RandomBooks.TestCase
TestRandomBooks.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
