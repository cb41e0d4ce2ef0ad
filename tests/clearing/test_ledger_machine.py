"""The ledger against its model: any movements, and money and units are never more nor less than what came in.

The ledger keeps no ids of what is over (the venue's counters give each id once, its command ids remember answers), so the
machine asks the model first and lets the ledger do what was allowed, and nothing else.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clearing.ledger import (
    CASH,
    CNY,
    ESCROW,
    FEES,
    Ledger,
    LedgerDump,
    Leg,
    deposit_owner,
    issue_owner,
    unit_asset,
)
from tests.clearing.ledger_model import LedgerModel, Move

UNITS = unit_asset("L1")
ISSUE = issue_owner("L1")
CONTRA = {CNY: CASH, UNITS: ISSUE}
OWNERS = st.sampled_from(["buyer", "seller", "merchant", ESCROW, FEES, deposit_owner("merchant")])
ASSETS = st.sampled_from([CNY, UNITS])
AMOUNTS = st.integers(0, 60)
MOVES = st.lists(st.tuples(OWNERS, OWNERS, ASSETS, AMOUNTS), min_size=1, max_size=4).map(tuple)


def rows_of(
    balance: dict[tuple[str, str], int], model: LedgerModel
) -> dict[tuple[str, str], tuple[int, int]]:
    return {key: (amount, model.reserved(*key)) for key, amount in balance.items()}


class LedgerMachine(RuleBasedStateMachine):
    """`sql` is what the drained rows add up to: the table of accounts."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.model = LedgerModel(tuple((owner, asset) for asset, owner in CONTRA.items()))
        self.sql: dict[tuple[str, str], tuple[int, int]] = {}
        self.asked = 0
        self.now = 0

    @initialize(amounts=st.lists(st.tuples(OWNERS, ASSETS, st.integers(1, 200)), max_size=6))
    def open(self, amounts: list[tuple[str, str, int]]) -> None:
        for owner, asset, amount in amounts:
            self.come_in(owner, asset, amount)

    def name(self) -> str:
        self.asked += 1
        return f"x{self.asked}"

    def movement(self, moves: tuple[Move, ...]) -> str:
        return self.model.transfer(self.name(), *moves)

    @rule(owner=OWNERS, asset=ASSETS, amount=st.integers(0, 100))
    def come_in(self, owner: str, asset: str, amount: int) -> None:
        assert self.movement(((CONTRA[asset], owner, asset, amount),)) == "done"
        self.ledger.transfer(
            self.ledger.account(CONTRA[asset], asset), self.ledger.account(owner, asset), amount
        )

    @rule(move=st.tuples(OWNERS, OWNERS, ASSETS, AMOUNTS))
    def transfer(self, move: Move) -> None:
        source, target, asset, amount = move
        accounts = self.ledger.account(source, asset), self.ledger.account(target, asset)
        if self.movement((move,)) == "done":
            self.ledger.transfer(*accounts, amount)
        else:
            with pytest.raises(AssertionError, match="lacks"):
                self.ledger.transfer(*accounts, amount)

    @rule(moves=MOVES)
    def transfer_linked(self, moves: tuple[Move, ...]) -> None:
        legs = [Leg(*move) for move in moves]
        if self.movement(moves) == "done":
            assert self.ledger.lacking(legs) is None
            self.ledger.move(legs)
        else:
            assert self.ledger.lacking(legs) is not None
            with pytest.raises(AssertionError, match="all made or none"):
                self.ledger.move(legs)

    @precondition(lambda self: self.model.transactions)
    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        """Whatever has happened since: in full, or not at all, and never twice."""
        old = data.draw(st.sampled_from(sorted(self.model.transactions)))
        name = self.name()
        answer = self.model.reverse(name, old)
        legs = [
            Leg(target, source, asset, amount)
            for source, target, asset, amount in self.model.transactions[old]
        ]
        if answer == "done":
            self.ledger.move(legs[::-1])
        elif answer == "lacks":
            assert self.ledger.lacking(legs[::-1]) is not None
        else:
            assert answer == "reversed"

    @rule(owner=OWNERS, asset=ASSETS, amount=AMOUNTS, ends=st.booleans())
    def reserve(self, owner: str, asset: str, amount: int, ends: bool) -> None:
        name, account = self.name(), self.ledger.account(owner, asset)
        if self.model.reserve(name, owner, asset, amount, self.now + 3 if ends else 0) == "done":
            self.ledger.reserve(name, account, amount)
        else:
            with pytest.raises(AssertionError, match="lacks"):
                self.ledger.reserve(name, account, amount)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), payee=OWNERS, amount=st.integers(1, 60))
    def post(self, data: st.DataObject, payee: str, amount: int) -> None:
        """In part, in full, too much, and out of what is over or never was."""
        name = self.a_name(data)
        held = self.model.reservations.get(name)
        asset = held[1] if held else CNY
        if self.model.post(self.name(), name, payee, amount) == "done":
            self.ledger.spend(name, self.ledger.account(payee, asset), amount)
        else:
            with pytest.raises(AssertionError):
                self.ledger.spend(name, self.ledger.account(payee, asset), amount)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        """The second time gives nothing back."""
        name = self.a_name(data)
        held = self.model.reservations.get(name)
        answer = self.model.void(self.name(), name)
        assert self.ledger.release(name) == (held[2] if held else 0)
        assert answer == ("done" if held else "nothing")

    @precondition(lambda self: self.model.reservations)
    @rule(data=st.data())
    def give_a_part_back(self, data: st.DataObject) -> None:
        """A fill that was cheaper than its limit."""
        name = data.draw(st.sampled_from(sorted(self.model.reservations)))
        owner, _, left = self.model.reservations[name]
        amount = data.draw(st.integers(0, left))
        assert self.ledger.release(name, amount) == amount
        self.model.post(self.name(), name, owner, amount)

    @rule(later=st.integers(1, 5))
    def time_passes(self, later: int) -> None:
        self.now += later
        for name in self.model.expire(self.now):
            assert self.ledger.release(name) > 0
            assert self.model.fate[name] == "expired"

    def a_name(self, data: st.DataObject) -> str:
        """Of an open reservation more often than not."""
        known = sorted(self.model.reservations) or ["x1"]
        return data.draw(
            st.one_of(st.sampled_from(known), st.integers(1, self.asked).map(lambda number: f"x{number}"))
        )

    @precondition(lambda self: self.model.answers)
    @rule(data=st.data(), amount=st.integers(61, 99))
    def ask_again(self, data: st.DataObject, amount: int) -> None:
        """The same id with the same content has the same answer, with other content is a conflict; nothing moves."""
        name = data.draw(st.sampled_from(sorted(self.model.answers)))
        content, answer = self.model.answers[name]
        assert isinstance(content, tuple)
        before = dict(self.model.balances), dict(self.model.reservations)
        again: dict[str, Any] = {
            "transfer": lambda moves: self.model.transfer(name, *moves),
            "reserve": lambda *rest: self.model.reserve(name, *rest),
            "post": lambda *rest: self.model.post(name, *rest),
            "void": lambda *rest: self.model.void(name, *rest),
            "reverse": lambda *rest: self.model.reverse(name, *rest),
        }
        assert again[content[0]](*content[1:]) == answer
        assert self.model.transfer(name, ("buyer", "seller", CNY, amount)) == "conflict"
        assert (self.model.balances, self.model.reservations) == before

    @rule()
    def drain(self) -> None:
        for owner, asset, balance, reserved in self.ledger.drain():
            old = self.sql.get((owner, asset), (0, 0))
            self.sql[owner, asset] = (old[0] + balance, old[1] + reserved)
        self.same(self.sql)

    @rule()
    def crash(self) -> None:
        """What the last drain told is in the table; the ledger comes back out of its dump."""
        self.drain()
        encoded = msgspec.msgpack.encode(self.ledger.dump())
        loaded = Ledger.load(msgspec.msgpack.decode(encoded, type=LedgerDump))
        assert loaded.dump() == self.ledger.dump()
        assert loaded.drain() == []
        self.ledger = loaded

    def same(self, rows: dict[tuple[str, str], tuple[int, int]]) -> None:
        expected = rows_of(self.model.balances, self.model)
        assert {key: row for key, row in rows.items() if any(row)} == {
            key: row for key, row in expected.items() if any(row)
        }

    @invariant()
    def same_books(self) -> None:
        self.ledger.check()
        dumped = self.ledger.dump()
        self.same({(owner, asset): (balance, held) for owner, asset, balance, held in dumped["accounts"]})
        held = {name: (owner, asset, amount) for name, owner, asset, amount in dumped["reservations"]}
        assert held == self.model.reservations
        for owner, asset in self.model.balances:
            assert self.ledger.available(owner, asset) == self.model.available(owner, asset)

    @invariant()
    def conservation(self) -> None:
        assert not any(self.model.totals().values())


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
