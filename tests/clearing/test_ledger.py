"""The ledger as a bookkeeper reads it. Against its model under random movements: test_ledger_machine.py."""

from collections.abc import Callable

import pytest

from clearing.ledger import (
    CASH,
    CNY,
    DEBT,
    ESCROW,
    FEES,
    Lack,
    Ledger,
    Leg,
    debtor_owner,
    deposit_owner,
    is_contra,
    issue_owner,
    unit_asset,
)

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
        (debtor_owner("merchant"), DEBT, True),
        (debtor_owner("merchant"), CNY, False),
        ("merchant", DEBT, False),
        (deposit_owner("merchant"), CNY, False),
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


def test_linked_movements_are_all_made_or_none() -> None:
    """The merchant gives 60 back, of which it has 50: nobody gets anything, not even what the venue could pay."""
    ledger = funded(merchant=50, venue=9)
    legs = [Leg("venue", "buyer", CNY, 9), Leg("merchant", "buyer", CNY, 60)]
    before = balances(ledger)
    assert ledger.lacking(legs) == Lack("merchant", CNY, 10)
    with pytest.raises(AssertionError, match="merchant lacks 10"):
        ledger.move(legs)
    assert balances(ledger) == before
    ledger.move([legs[0], Leg("merchant", "buyer", CNY, 50)])
    assert balances(ledger)["buyer", CNY] == (59, 0)


def test_a_linked_movement_may_spend_what_the_one_before_it_brought() -> None:
    ledger = funded(buyer=10)
    legs = [Leg("buyer", "broker", CNY, 10), Leg("broker", "merchant", CNY, 10)]
    assert ledger.lacking(legs) is None
    assert ledger.lacking(legs[::-1]) == Lack("broker", CNY, 10)
    ledger.move(legs)
    assert ledger.balance("merchant", CNY) == 10


def test_linked_movements_leave_alone_what_is_reserved() -> None:
    ledger = funded(buyer=10)
    ledger.reserve("o", ledger.account("buyer", CNY), 4)
    assert ledger.lacking([Leg("buyer", "merchant", CNY, 6)]) is None
    assert ledger.lacking([Leg("buyer", "merchant", CNY, 7)]) == Lack("buyer", CNY, 1)
    with pytest.raises(AssertionError, match="less than nothing"):
        ledger.move([Leg("merchant", "buyer", CNY, -1)])


def test_a_debt_is_held_by_its_creditor_and_adds_up_to_nothing() -> None:
    """The merchant owes 30; 20 of it are set off when money comes: cash one way, the claim the other."""
    ledger = funded(merchant=20)
    debtor = debtor_owner("merchant")
    ledger.move([Leg(debtor, "buyer", DEBT, 30)])
    assert balances(ledger)[debtor, DEBT] == (-30, 0)
    ledger.move([Leg("merchant", "buyer", CNY, 20), Leg("buyer", debtor, DEBT, 20)])
    assert balances(ledger)["buyer", DEBT] == (10, 0)
    assert balances(ledger)[debtor, DEBT] == (-10, 0)


def test_a_watched_account_is_told_of_each_movement_and_drained_like_others() -> None:
    ledger = funded(buyer=100)
    buyer, seller = ledger.account("buyer", CNY), ledger.account("seller", CNY)
    ledger.transfer(buyer, seller, 10)
    assert ledger.stirred == []
    ledger.watch(seller)
    ledger.stirred.clear()
    ledger.transfer(buyer, seller, 1)
    ledger.reserve("s", seller, 5)
    ledger.release("s")
    assert ledger.stirred == [seller] * 3
    ledger.unwatch(seller)
    ledger.stirred.clear()
    ledger.transfer(buyer, seller, 2)
    assert ledger.stirred == []
    assert ledger.drain() == [("buyer", CNY, -13, 0), ("seller", CNY, 13, 0)]
