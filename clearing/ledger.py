"""Double entry in memory for one shard: accounts, and the reservations on them.

An account belongs to an owner and holds one asset. Every movement takes from one account what it gives to
another of the same asset, so each asset adds up to zero over all accounts. What came from outside stands as a
negative balance on the asset's contra account: `bank:cash` for yuan (it mirrors the custody bank),
`issue:<listing>` for the units of a listing, `debtor:<participant>` for what it owes. No other account can be negative.

    bank:cash   CNY  -1,000.00      cash-in moves bank:cash -> buyer
    buyer       CNY     700.00      of which reserved 120.00 for an order
    venue:escrow CNY    300.00      spent out of a reservation, paid on when the buyer accepts

A reservation sets a part of a balance aside under an id (that of the order): it can be spent to another
account or released, and nothing else can use it. `available` is what no reservation holds (prefunded delivery
against payment, model 1 of the BIS report on delivery versus payment, 1992: each trade by itself, out of what
is there).

A deposit is an account of its own, `deposit:<participant>`: what lies there pays no order. A debt is an asset of its own:
the creditor holds it, the debtor's contra account is minus as much. `docs/LEDGER.md` has the chart of accounts.

Movements that belong together are `legs`: `lacking` says what of them cannot be, `move` makes them all. An account that
is `watch`ed (its owner is in debt) is in `stirred` after each movement, so that what came in can be taken at once; the
others pay nothing for it.

Assertions here state bugs of the caller: it asks `available` first and refuses the customer by itself. An id is given
out once by the venue's counters, so an id that is spent or released stays so.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypedDict

import msgspec

CNY: Final = "CNY"
FEES: Final = "venue:fees"
ESCROW: Final = "venue:escrow"
BILLS: Final = "venue:bills"
"""What was set off against debts out of bills that are not paid in full yet: it is distributed when they are."""
CASH: Final = "bank:cash"
ISSUE_PREFIX: Final = "issue:"
UNIT_PREFIX: Final = "unit:"
DEBT: Final = "debt:CNY"
"""What somebody is owed, in fen."""
DEBTOR_PREFIX: Final = "debtor:"
DEPOSIT_PREFIX: Final = "deposit:"


class Leg(NamedTuple):
    """One movement: what leaves `source` for `target`, fen or whole units of the asset."""

    source: str
    target: str
    asset: str
    amount: int


class Lack(NamedTuple):
    """What an account misses for its movement."""

    owner: str
    asset: str
    missing: int


def deposit_owner(participant: str) -> str:
    """The owner of the account in which a participant's deposit lies."""
    return DEPOSIT_PREFIX + participant


def debtor_owner(participant: str) -> str:
    """The contra account's owner for what a participant owes."""
    return DEBTOR_PREFIX + participant


def unit_asset(listing_id: str) -> str:
    """The asset that the transferable units of a listing are."""
    return UNIT_PREFIX + listing_id


def issue_owner(listing_id: str) -> str:
    """The contra account's owner for the units of a listing: minus what has been issued."""
    return ISSUE_PREFIX + listing_id


def is_contra(owner: str, asset: str) -> bool:
    """Whether this account mirrors the outside world for its asset and may be negative."""
    if asset == CNY:
        return owner == CASH
    if asset == DEBT:
        return owner.startswith(DEBTOR_PREFIX)
    return asset.startswith(UNIT_PREFIX) and owner == ISSUE_PREFIX + asset[len(UNIT_PREFIX) :]


class Account(msgspec.Struct, gc=False, eq=False):
    """One owner's holding of one asset: fen of CNY, or whole units.

    The ledger alone changes it. `drained_balance` and `drained_reserved` are what the last `drain` reported. A watched
    account is never `touched`, so that each of its movements goes through `Ledger._touch`.
    """

    owner: str
    asset: str
    contra: bool
    balance: int = 0
    reserved: int = 0
    touched: bool = False
    drained_balance: int = 0
    drained_reserved: int = 0
    watched: bool = False


class Reservation(msgspec.Struct, gc=False, eq=False):
    """What is still set aside under this id."""

    id: str
    account: Account
    amount: int


class LedgerDump(TypedDict):
    """The whole ledger as plain data, each list in the order of opening."""

    accounts: list[tuple[str, str, int, int]]
    """(owner, asset, balance, reserved)"""
    reservations: list[tuple[str, str, str, int]]
    """(id, owner, asset, amount)"""


class Ledger:
    """The accounts of one shard. Movements cost O(1) and allocate nothing but a new reservation."""

    __slots__ = ("_accounts", "_reservations", "_touched", "stirred")

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], Account] = {}
        self._reservations: dict[str, Reservation] = {}
        self._touched: list[Account] = []
        self.stirred: list[Account] = []
        """Watched accounts that have moved since whoever looks at them emptied this."""

    def account(self, owner: str, asset: str) -> Account:
        """The account, opened at zero when there is none. It stays the same object: keep it on a hot path."""
        account = self._accounts.get((owner, asset))
        if account is None:
            account = Account(owner, asset, is_contra(owner, asset))
            self._accounts[owner, asset] = account
        return account

    def available(self, owner: str, asset: str) -> int:
        """What no reservation holds; zero where there is no account. Opens none."""
        account = self._accounts.get((owner, asset))
        return 0 if account is None else account.balance - account.reserved

    def balance(self, owner: str, asset: str) -> int:
        """What is there, reserved or not; zero where there is no account. Opens none."""
        account = self._accounts.get((owner, asset))
        return 0 if account is None else account.balance

    def reservation(self, reservation_id: str) -> Reservation | None:
        """What is still set aside under the id; None when nothing is."""
        return self._reservations.get(reservation_id)

    def holders(self, asset: str) -> list[str]:
        """Who has some of an asset, in the order in which the accounts were opened. Looks at every account."""
        return [row.owner for row in self._accounts.values() if row.asset == asset and row.balance > 0]

    def transfer(self, source: Account, target: Account, amount: int) -> None:
        """Move an amount that no reservation holds."""
        assert source.asset == target.asset, f"{source.asset} is not {target.asset}"
        assert amount >= 0, f"a transfer of {amount}"
        assert amount <= source.balance - source.reserved or source.contra, f"{source.owner} lacks {amount}"
        source.balance -= amount
        target.balance += amount
        if not source.touched:
            self._touch(source)
        if not target.touched:
            self._touch(target)

    def reserve(self, reservation_id: str, account: Account, amount: int) -> None:
        """Set an available amount aside. A free order reserves zero: nothing is kept under its id then."""
        assert reservation_id not in self._reservations, f"{reservation_id} has a reservation already"
        assert 0 <= amount <= account.balance - account.reserved, f"{account.owner} lacks {amount}"
        if amount == 0:
            return
        account.reserved += amount
        self._reservations[reservation_id] = Reservation(reservation_id, account, amount)
        if not account.touched:
            self._touch(account)

    def release(self, reservation_id: str, amount: int | None = None) -> int:
        """Give a part back to its owner (None: what is left, maybe nothing), and say how much that was."""
        reservation = self._reservations.get(reservation_id)
        if reservation is None:
            assert not amount, f"{reservation_id} has nothing reserved"
            return 0
        if amount is None:
            amount = reservation.amount
        account = reservation.account
        self._take(reservation, amount)
        account.reserved -= amount
        if not account.touched:
            self._touch(account)
        return amount

    def spend(self, reservation_id: str, target: Account, amount: int) -> None:
        """Move a part of what is reserved, or all, to another account."""
        reservation = self._reservations.get(reservation_id)
        if reservation is None:
            assert amount == 0, f"{reservation_id} has nothing reserved"
            return
        source = reservation.account
        assert source.asset == target.asset, f"{source.asset} is not {target.asset}"
        self._take(reservation, amount)
        source.reserved -= amount
        source.balance -= amount
        target.balance += amount
        if not source.touched:
            self._touch(source)
        if not target.touched:
            self._touch(target)

    def lacking(self, legs: Sequence[Leg]) -> Lack | None:
        """The first of these movements, made one after the other, that its source cannot pay; None when all can be.

        Opens no account.
        """
        moved: dict[tuple[str, str], int] = {}
        for leg in legs:
            source, target = (leg.source, leg.asset), (leg.target, leg.asset)
            left = self.available(*source) + moved.get(source, 0) - leg.amount
            if left < 0 and not is_contra(*source):
                return Lack(leg.source, leg.asset, -left)
            moved[source] = moved.get(source, 0) - leg.amount
            moved[target] = moved.get(target, 0) + leg.amount
        return None

    def move(self, legs: Sequence[Leg]) -> None:
        """All of these movements, or none where one of them cannot be."""
        assert all(leg.amount >= 0 for leg in legs), "a movement of less than nothing"
        lack = self.lacking(legs)
        assert lack is None, f"{lack.owner} lacks {lack.missing}: linked movements are all made or none"
        for source, target, asset, amount in legs:
            self.transfer(self.account(source, asset), self.account(target, asset), amount)

    def watch(self, account: Account) -> None:
        """From now on each movement of this account is in `stirred`; it is at once, for what it has already."""
        account.watched, account.touched = True, False
        self._touch(account)

    def watch_quietly(self, keys: Sequence[tuple[str, str]]) -> None:
        """Watch these accounts of a loaded ledger, in which nothing has moved."""
        for owner, asset in keys:
            self.account(owner, asset).watched = True

    def unwatch(self, account: Account) -> None:
        account.watched = False

    def _take(self, reservation: Reservation, amount: int) -> None:
        left = reservation.amount - amount
        assert 0 <= left <= reservation.amount, f"{amount} of {reservation.amount} under {reservation.id}"
        if left:
            reservation.amount = left
        else:
            del self._reservations[reservation.id]

    def _touch(self, account: Account) -> None:
        self._touched.append(account)
        if account.watched:
            self.stirred.append(account)
        else:
            account.touched = True

    def drain(self) -> list[tuple[str, str, int, int]]:
        """(owner, asset, balance change, reserved change) of every account moved since the last drain.

        One row per account, in the order of its first movement; an account that is back where it was is left
        out. Applied to the balances of the last drain they give today's: this is the batch's one SQL update.
        """
        rows = []
        for account in self._touched:
            account.touched = False
            balance_delta = account.balance - account.drained_balance
            reserved_delta = account.reserved - account.drained_reserved
            account.drained_balance, account.drained_reserved = account.balance, account.reserved
            if balance_delta or reserved_delta:
                rows.append((account.owner, account.asset, balance_delta, reserved_delta))
        self._touched.clear()
        return rows

    def check(self) -> None:
        """Assert that every asset adds up to zero and every balance and reservation can stand. O(all)."""
        totals: dict[str, int] = {}
        reserved: dict[tuple[str, str], int] = {}
        for reservation in self._reservations.values():
            account = reservation.account
            assert reservation.amount > 0, f"an empty reservation {reservation.id}"
            assert self._accounts.get((account.owner, account.asset)) is account, (
                "a reservation on no account"
            )
            key = (account.owner, account.asset)
            reserved[key] = reserved.get(key, 0) + reservation.amount
        for key, account in self._accounts.items():
            totals[account.asset] = totals.get(account.asset, 0) + account.balance
            assert account.reserved == reserved.get(key, 0), f"{key}: reserved is not the sum of reservations"
            assert account.contra or account.balance >= account.reserved, f"{key} is negative"
        for asset, total in totals.items():
            assert total == 0, f"{asset} adds up to {total}, not to zero"

    def dump(self) -> LedgerDump:
        """Everything as plain data in a stable order: accounts and reservations as they were opened.

        Changes not yet drained are in the balances; a loaded ledger has nothing to drain.
        """
        return {
            "accounts": [
                (one.owner, one.asset, one.balance, one.reserved) for one in self._accounts.values()
            ],
            "reservations": [
                (one.id, one.account.owner, one.account.asset, one.amount)
                for one in self._reservations.values()
            ],
        }

    @classmethod
    def load(cls, dumped: LedgerDump) -> "Ledger":
        """The ledger that was dumped, also where an encoder made lists of the rows."""
        ledger = cls()
        for owner, asset, balance, reserved in dumped["accounts"]:
            account = ledger.account(owner, asset)
            account.balance = account.drained_balance = balance
            account.reserved = account.drained_reserved = reserved
        for reservation_id, holder, held, amount in dumped["reservations"]:
            account = ledger.account(holder, held)
            ledger._reservations[reservation_id] = Reservation(reservation_id, account, amount)
        return ledger
