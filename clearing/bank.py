"""The custody bank: what it holds for the participants, what is paid out, and what it says that nobody here expected.

The venue never owns client money (第三方存管): it lies in one account at a bank, and the ledger mirrors that account.
Every fen that enters or leaves the ledger is a line of the bank's statement. What does not fit is a *break*.

    held        minus the balance of bank:cash: what the ledger says that the bank has
    ahead       booked by hand on the bank's word, in no statement yet
    explained   what the bank has and the ledger has not (or the other way) by breaks that an operator closed unbooked

    closing balance of the bank = held - ahead + explained + what open breaks are about

What is ahead is nobody's to take out, and where it was spent the venue's own money stands for it
(`exchange.bank.uncovered_fen`), or nothing is paid out.

While a break is open no payout file is made. An operator closes it and says why: it is only explained (`none`), the entry
is booked (`book`), or what the bank never had is undone here (`undo`).

Pure: days and sums only. Reading and writing XML is `exchange.web.iso20022`.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec
from stdnum import iso11649
from stdnum.iso7064 import mod_97_10

DAY_NS: Final = 86_400_000_000_000
CHINA_NS: Final = 8 * 3_600_000_000_000
"""Beijing is ahead of UTC; the bank's day ends at its midnight."""

LATE_DAYS: Final = 10
"""A statement older than this is a break: no holiday in China is longer than nine days."""
PAYOUT_DAYS: Final = 3
"""A payment that no statement shows this long after its batch is missing."""
MOST_NUMBERS: Final = 400
"""Statements that may be left out at once: a year and more."""
KEPT_DAYS: Final = 90
"""How long finished withdrawals are remembered, so that a returned payment finds its own; the ledger has them for ever."""

WithdrawalState = Literal["requested", "batched", "paid", "returned", "cancelled"]
WithdrawalStep = Literal["cancel", "batch", "confirm", "reject", "return"]

WITHDRAWAL_LIFE: Final[dict[tuple[WithdrawalState, WithdrawalStep], WithdrawalState]] = {
    ("requested", "cancel"): "cancelled",
    ("requested", "batch"): "batched",
    ("batched", "confirm"): "paid",
    ("batched", "reject"): "returned",
    ("paid", "return"): "returned",
}
"""A withdrawal is reserved until the bank's statement shows it; returned is available again."""

OPEN_STATES: Final = ("requested", "batched")
"""States in which the money is reserved."""

BreakKind = Literal["unmatched", "missing_cash", "missing_payout", "inequality", "gap", "late"]
"""In a statement and nowhere here; here and in no statement (cash booked by hand, a payout); the sums differ; statements
left out; none for too long."""

Remedy = Literal["none", "book", "undo"]

REMEDIES: Final[dict[BreakKind, tuple[Remedy, ...]]] = {
    "unmatched": ("none", "book"),
    "missing_cash": ("none", "book", "undo"),
    "missing_payout": ("none", "undo"),
    "inequality": ("none",),
    "gap": ("none",),
    "late": ("none",),
}
"""How a break of each kind may be closed. Missing cash is booked to the venue's own money alone."""


DIFFERENCES: Final = ("unmatched", "inequality", "gap")
"""Kinds by which bank and ledger differ. What is missing is in neither sum, or in `ahead`."""


class Custody(msgspec.Struct, frozen=True):
    """The account in which the bank keeps the participants' money. `bank_code` is its CNAPS number (12 digits)."""

    account: str
    name: str
    bank_code: str
    bank_name: str


class BankEntry(msgspec.Struct, frozen=True):
    """One line of a statement: positive came in, negative went out. No name, no account number, no free text.

    `participant` is whom a valid payment reference names, empty where there is none. `day` is the booking date.
    """

    amount_fen: int
    reference: str
    day: str
    end_to_end: str = ""
    participant: str = ""


class Withdrawal(msgspec.Struct):
    """What a participant asked for; the same id names its reservation."""

    id: str
    participant: str
    amount_fen: int
    at_ns: int
    state: WithdrawalState = "requested"
    batch: str = ""
    ended_ns: int = 0


class Payment(msgspec.Struct, frozen=True, array_like=True):
    """One participant's part of a batch, netted: the sum of its withdrawals. `account_sha256` names the erasable row."""

    participant: str
    amount_fen: int
    account_sha256: str
    withdrawals: tuple[str, ...]


class Batch(msgspec.Struct, frozen=True):
    """Payments that go to the bank as one file; each is `end_to_end_of` batch and participant."""

    id: str
    by: str
    at_ns: int
    participants: tuple[str, ...]


class Ahead(msgspec.Struct, frozen=True):
    """Cash booked by hand that no statement has shown."""

    participant: str
    amount_fen: int
    at_ns: int


class Taken(msgspec.Struct, frozen=True):
    """The last statement: its number (0: the bank gives none), its closing balance, and the end of its last day."""

    id: str
    sequence: int
    closing_fen: int
    until_ns: int


class Break(msgspec.Struct):
    """`amount_fen` is what the bank has more than the ledger by it (less: negative); of what is missing, what should have
    come (or, negative, gone); 0 for gaps and late statements.

    `subject` is the bank's reference, an end-to-end id or a statement; `participant` whom it is about, where that is known.
    """

    id: str
    kind: BreakKind
    subject: str
    amount_fen: int
    since_ns: int
    day: str = ""
    participant: str = ""
    statement: str = ""
    closed_ns: int = 0
    closed_by: str = ""
    reason: str = ""
    remedy: str = ""
    account: str = ""

    @property
    def is_open(self) -> bool:
        return not self.closed_ns

    @property
    def is_explained(self) -> bool:
        """Closed without a booking: the bank and the ledger go on differing by it."""
        return self.kind in DIFFERENCES and self.remedy == "none"


class Equality(msgspec.Struct, frozen=True):
    """Whether the bank has what the ledger says; in fen. `bank_fen` is the last closing balance.

    `held_fen` = `client_fen` + `own_fen`: own are the venue's fees, which lie apart in the ledger. `difference_fen` is
    what nobody has explained; 0 is equal.
    """

    bank_fen: int
    held_fen: int
    client_fen: int
    own_fen: int
    ahead_fen: int
    explained_fen: int
    difference_fen: int


class Bank(msgspec.Struct):
    """What the venue keeps of its custody bank."""

    custody: Custody | None = None
    accounts: dict[str, str] = {}
    """Participant: SHA-256 of the erasable row with its bank account."""
    withdrawals: dict[str, Withdrawal] = {}
    batches: dict[str, Batch] = {}
    payments: dict[str, Payment] = {}
    """By end-to-end id (`B1-P4`)."""
    under_way: dict[str, int] = {}
    """End-to-end ids that no statement has shown, and when their batch was made."""
    ahead: dict[str, Ahead] = {}
    statements: dict[str, str] = {}
    """Ids of statements taken, and the SHA-256 of each erasable file; of an earlier account behind its name."""
    taken: Taken | None = None
    breaks: dict[str, Break] = {}
    standing: dict[str, str] = {}
    """Open breaks by kind and subject (`late:S7`)."""
    lacking: dict[str, str] = {}
    """Numbers of statements that were left out, and the break that tells it."""
    opening_fen: int = 0
    """What the ledger held when this custody account was named: what its first statement begins with."""

    def says_something(self) -> bool:
        return self.custody is not None or bool(self.accounts or self.withdrawals)

    def open_withdrawals(self, participant: str) -> list[Withdrawal]:
        """Those whose money is reserved. O(withdrawals of ninety days)."""
        rows = self.withdrawals.values()
        return [row for row in rows if row.participant == participant and row.state in OPEN_STATES]

    def open_breaks(self) -> list[Break]:
        return [row for row in self.breaks.values() if row.is_open]

    def open_break(self, kind: BreakKind, subject: str) -> Break | None:
        found = self.standing.get(f"{kind}:{subject}")
        return None if found is None else self.breaks[found]

    def state_of(self, payment: Payment) -> WithdrawalState:
        """All withdrawals of a payment go the same way, and are forgotten at once."""
        return self.withdrawals[payment.withdrawals[0]].state

    def ahead_by(self) -> dict[str, int]:
        """What was booked by hand and no statement has shown, by participant. O(such bookings)."""
        found: dict[str, int] = {}
        for row in self.ahead.values():
            found[row.participant] = found.get(row.participant, 0) + row.amount_fen
        return found

    def leaving_by(self) -> dict[str, int]:
        """What is in a batch and in no statement yet, by participant. O(such payments)."""
        found: dict[str, int] = {}
        for payment in map(self.payments.__getitem__, self.under_way):
            found[payment.participant] = found.get(payment.participant, 0) + payment.amount_fen
        return found

    def explained_fen(self) -> int:
        """What the bank has more than the ledger (less: negative) by closed breaks. O(breaks)."""
        return sum(row.amount_fen for row in self.breaks.values() if row.is_explained)

    def equality(self, held_fen: int, own_fen: int) -> Equality:
        """Before the first statement the bank is taken to have what was held when its account was named. O(breaks)."""
        bank_fen = self.opening_fen if self.taken is None else self.taken.closing_fen
        ahead = sum(row.amount_fen for row in self.ahead.values())
        explained = self.explained_fen()
        difference = bank_fen - (held_fen - ahead + explained)
        return Equality(bank_fen, held_fen, held_fen - own_fen, own_fen, ahead, explained, difference)

    def untold_fen(self, equality: Equality) -> int:
        """What of the difference no open break tells yet."""
        told = [row.amount_fen for row in self.open_breaks() if row.kind in DIFFERENCES]
        return equality.difference_fen - sum(told)

    def forget_before(self, at_ns: int) -> None:
        """Withdrawals that ended before an instant, and batches of which all have: a batch is forgotten at once."""
        rows = self.withdrawals.values()
        living = {row.batch: None for row in rows if row.batch and not 0 < row.ended_ns < at_ns}
        for row in [row for row in rows if 0 < row.ended_ns < at_ns and row.batch not in living]:
            del self.withdrawals[row.id]
        for batch in [batch for batch in self.batches.values() if batch.id not in living]:
            del self.batches[batch.id]
            for participant in batch.participants:
                del self.payments[end_to_end_of(batch.id, participant)]


def end_to_end_of(batch: str, participant: str) -> str:
    """What a payment is called on its whole way, there and back: B1-P4. At most 35 characters."""
    return f"{batch}-{participant}"


def adds_up(opening_fen: int, entries: Iterable[BankEntry], closing_fen: int) -> bool:
    """Whether a statement is whole in itself."""
    return opening_fen + sum(entry.amount_fen for entry in entries) == closing_fen


def next_day_end(at_ns: int) -> int:
    """The next midnight in Beijing after an instant."""
    return ((at_ns + CHINA_NS) // DAY_NS + 1) * DAY_NS - CHINA_NS


# ---- payment references

_REFERENCE: Final = re.compile(r"RF\d\dP[1-9]\d{0,17}(?!\d)", re.ASCII)


def reference_of(participant: str) -> str:
    """What a participant writes on money that it pays in: a creditor reference (ISO 11649) that holds its id."""
    return f"RF{mod_97_10.calc_check_digits(f'{participant}RF')}{participant}"


def participant_of(texts: Iterable[str]) -> str:
    """Whom a remittance text names by a reference with good check digits; empty where none or several are named."""
    found = {
        match[4:]: None
        for text in texts
        for match in _REFERENCE.findall(text.upper())
        if iso11649.is_valid(match)
    }
    return next(iter(found)) if len(found) == 1 else ""
