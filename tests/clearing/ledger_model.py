"""What a ledger must do, in plain dictionaries and as slow as it likes: the twin that tests hold the fast one against.

Everything is looked up anew, nothing is kept that could be added up. Every request comes under an id:

    an id that was answered gets the same answer for the same content, and "conflict" for any other;
    a refused id stays refused, whatever comes in later (it is burned);
    nothing that was refused has moved anything.

Answers: "done", "lacks" (the money is not there), "nothing" (no such reservation is open, or not as much),
"conflict", "reversed" (it was reversed before), "unknown" (there is no such transaction).
"""

from collections.abc import Callable

Key = tuple[str, str]
"""Owner and asset."""
Move = tuple[str, str, str, int]
"""Source, target, asset, amount."""


class LedgerModel:
    def __init__(self, contra: tuple[Key, ...]) -> None:
        self.contra = contra
        """Accounts that mirror the outside world: they may be negative."""
        self.balances: dict[Key, int] = {}
        self.reservations: dict[str, tuple[str, str, int]] = {}
        """Open ones: id to owner, asset and what is left."""
        self.ends: dict[str, int] = {}
        """When a reservation that has an end expires."""
        self.fate: dict[str, str] = {}
        """What became of a reservation that is no longer open: posted, voided, expired."""
        self.transactions: dict[str, tuple[Move, ...]] = {}
        self.reversals: dict[str, str] = {}
        """Transaction to the one that reversed it."""
        self.answers: dict[str, tuple[object, str]] = {}

    # --- reading

    def balance(self, owner: str, asset: str) -> int:
        return self.balances.get((owner, asset), 0)

    def reserved(self, owner: str, asset: str) -> int:
        return sum(left for name, kind, left in self.reservations.values() if (name, kind) == (owner, asset))

    def available(self, owner: str, asset: str) -> int:
        return self.balance(owner, asset) - self.reserved(owner, asset)

    def totals(self) -> dict[str, int]:
        """Every asset over all accounts: nothing but zeros, always."""
        found: dict[str, int] = {}
        for (_, asset), amount in self.balances.items():
            found[asset] = found.get(asset, 0) + amount
        return found

    # --- requests

    def transfer(self, name: str, *moves: Move) -> str:
        """Linked: all of them, one after the other, or none."""
        return self._once(name, ("transfer", moves), lambda: self._transact(name, moves))

    def reserve(self, name: str, owner: str, asset: str, amount: int, until: int = 0) -> str:
        return self._once(
            name,
            ("reserve", owner, asset, amount, until),
            lambda: self._set_aside(name, owner, asset, amount, until),
        )

    def post(self, name: str, reservation: str, target: str, amount: int) -> str:
        """In full or in part."""
        return self._once(
            name, ("post", reservation, target, amount), lambda: self._post(reservation, target, amount)
        )

    def void(self, name: str, reservation: str) -> str:
        return self._once(name, ("void", reservation), lambda: self._close(reservation, "voided"))

    def expire(self, now: int) -> tuple[str, ...]:
        """Everything whose end has passed is free again. Nobody asks for it, so it has no id."""
        due = tuple(name for name, until in self.ends.items() if until < now and name in self.reservations)
        for name in due:
            self._close(name, "expired")
        return due

    def reverse(self, name: str, transaction: str) -> str:
        """A new transaction, linked to the old one and its opposite. The old one stays as it is."""
        return self._once(name, ("reverse", transaction), lambda: self._reverse(name, transaction))

    # --- what they come to

    def _once(self, name: str, content: object, decide: Callable[[], str]) -> str:
        if name not in self.answers:
            self.answers[name] = (content, decide())
            return self.answers[name][1]
        known, answer = self.answers[name]
        return answer if known == content else "conflict"

    def _transact(self, name: str, moves: tuple[Move, ...]) -> str:
        before = dict(self.balances)
        for source, target, asset, amount in moves:
            if amount > self.available(source, asset) and (source, asset) not in self.contra:
                self.balances = before
                return "lacks"
            self._move(source, target, asset, amount)
        self.transactions[name] = moves
        return "done"

    def _move(self, source: str, target: str, asset: str, amount: int) -> None:
        self.balances[source, asset] = self.balance(source, asset) - amount
        self.balances[target, asset] = self.balance(target, asset) + amount

    def _set_aside(self, name: str, owner: str, asset: str, amount: int, until: int) -> str:
        if amount > self.available(owner, asset):
            return "lacks"
        if amount:
            self.reservations[name] = (owner, asset, amount)
            if until:
                self.ends[name] = until
        return "done"

    def _post(self, reservation: str, target: str, amount: int) -> str:
        if reservation not in self.reservations or amount > self.reservations[reservation][2]:
            return "nothing"
        owner, asset, left = self.reservations[reservation]
        self._move(owner, target, asset, amount)
        self.reservations[reservation] = (owner, asset, left - amount)
        if left == amount:
            self._close(reservation, "posted")
        return "done"

    def _close(self, reservation: str, fate: str) -> str:
        if reservation not in self.reservations:
            return "nothing"
        del self.reservations[reservation]
        self.fate[reservation] = fate
        return "done"

    def _reverse(self, name: str, transaction: str) -> str:
        if transaction not in self.transactions:
            return "unknown"
        if transaction in self.reversals:
            return "reversed"
        back = tuple(
            (target, source, asset, amount)
            for source, target, asset, amount in self.transactions[transaction]
        )
        answer = self._transact(name, back[::-1])
        if answer == "done":
            self.reversals[transaction] = name
        return answer
