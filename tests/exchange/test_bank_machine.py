"""Banks, clients and operators in any order: the sums hold after every step, and everybody has what a naive count says."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from clearing.bank import DIFFERENCES, BankEntry
from clearing.ledger import FEES
from exchange import events as e
from tests.exchange.test_bank import Bank, withdrawal
from tests.exchange.world import OPERATOR

amounts = st.integers(1, 5_000)


class Custody(RuleBasedStateMachine):
    """`has` is the naive count: what came in for a client, less what the bank has paid out for it and kept.

    `unseen` is what was booked by hand and no statement has shown: (client, fen) by reference.
    """

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.bank = Bank()
        self.world = self.bank.world
        self.has: dict[str, int] = {}
        self.unseen: dict[str, tuple[str, int]] = {}
        self.lost: list[e.BookStatement] = []
        self.entries = 0

    def entry(self, fen: int, end_to_end: str = "", participant: str = "") -> BankEntry:
        self.entries += 1
        return BankEntry(fen, f"ref {self.entries}", "2025-11-25", end_to_end, participant)

    def under_way(self) -> list[str]:
        return list(self.world.state.bank.under_way)

    def ahead(self, client: str) -> int:
        return sum(fen for who, fen in self.unseen.values() if who == client)

    def free(self, client: str) -> int:
        return self.world.state.ledger.available(client, "CNY")

    def uncovered(self) -> int:
        """Hand-booked money that its client has no more, and what closed breaks took, beyond the venue's own."""
        kept = self.world.state.bank
        spent = 0
        for client in self.has:
            leaving = sum(
                kept.payments[end].amount_fen for end in self.under_way() if end.endswith(f"-{client}")
            )
            spent += max(0, self.ahead(client) - self.has[client] + leaving)
        closed = [row for row in kept.breaks.values() if row.remedy == "none" and row.kind in DIFFERENCES]
        lost = -sum(row.amount_fen for row in closed)
        return max(0, spent + max(0, lost) - self.has.get(FEES, 0))

    @initialize(target=clients)
    def begin(self) -> object:
        people = [self.bank.client(fen=0) for _ in range(3)]
        self.has = dict.fromkeys(people, 0)
        self.bank.take()
        return multiple(*people)

    @rule(client=clients, fen=amounts)
    def pay_in(self, client: str, fen: int) -> None:
        self.bank.take(self.entry(fen, participant=client))
        self.has[client] += fen

    @rule(client=clients, fen=amounts, shown=st.booleans())
    def book_by_hand(self, client: str, fen: int, shown: bool) -> None:
        """What no statement shows is missing at the next one, and taken back where it is still there."""
        entry = self.entry(fen)
        book = e.BookCashIn(
            actor=OPERATOR, participant=client, amount_fen=fen, bank_reference=entry.reference
        )
        self.world.must(book)
        self.has[client] += fen
        if shown:
            self.bank.take(entry)
        else:
            self.unseen[entry.reference] = (client, fen)

    @rule(fen=st.integers(-5_000, 5_000).filter(bool))
    def stranger(self, fen: int) -> None:
        self.bank.take(self.entry(fen))

    @rule(client=clients, fen=amounts)
    def ask(self, client: str, fen: int) -> None:
        outcome = self.world.do(withdrawal(client, fen))
        free = self.free(client) + (0 if outcome.refusal else fen)
        assert (outcome.refusal is None) == (fen <= free - self.ahead(client))

    @rule(client=clients, percent=st.integers(1, 100))
    def payday(self, client: str, percent: int) -> None:
        """Everything is explained, the venue stands for what is lost, somebody asks for a part, and the batch is made."""
        self.explain_all()
        if fen := self.uncovered():
            self.bank.take(self.entry(fen))
            self.explain_all("own")
        fen = max(0, self.free(client) - self.ahead(client)) * percent // 100
        if fen:
            self.world.must(withdrawal(client, fen))
        self.make_batch()

    def explain_all(self, account: str = "") -> None:
        """What came in is booked to the account, where one is named."""
        for row in self.world.state.bank.open_breaks():
            booked = account if row.kind == "unmatched" and row.amount_fen > 0 else ""
            self.closed(
                e.CloseBreak(
                    actor=OPERATOR, bank_break=row.id, reason="looked into", account=booked,
                    remedy="book" if booked else "none",
                )
            )  # fmt: skip

    @rule()
    def make_batch(self) -> None:
        """Never while a break is open, and never with the others' money."""
        asked = [row for row in self.world.state.bank.withdrawals.values() if row.state == "requested"]
        waiting = any(self.ahead(row.participant) <= self.free(row.participant) for row in asked)
        made = self.world.do(e.MakePayoutBatch(actor=OPERATOR)).refusal is None
        assert made == (waiting and not self.bank.open() and not self.uncovered())

    @precondition(lambda self: self.under_way())
    @rule(place=st.integers(0, 9), error=st.sampled_from([0, 0, 0, 1, -1]), twice=st.booleans())
    def bank_pays(self, place: int, error: int, twice: bool) -> None:
        ends = self.under_way()
        end = ends[place % len(ends)]
        payment = self.world.state.bank.payments[end]
        fen = max(1, payment.amount_fen + error)
        self.bank.take(*(self.entry(-fen, end) for _ in range(2 if twice else 1)))
        if fen == payment.amount_fen:
            self.has[payment.participant] -= fen

    @precondition(lambda self: self.under_way())
    @rule(twice=st.booleans())
    def bank_pays_all(self, twice: bool) -> None:
        kept = self.world.state.bank
        due = [(end, kept.payments[end]) for end in self.under_way()]
        entries = [self.entry(-row.amount_fen, end) for end, row in due for _ in range(2 if twice else 1)]
        self.bank.take(*entries)
        for _, row in due:
            self.has[row.participant] -= row.amount_fen

    def paid(self) -> list[str]:
        kept = self.world.state.bank
        return [end for end, payment in kept.payments.items() if kept.state_of(payment) == "paid"]

    @precondition(lambda self: self.paid())
    @rule(place=st.integers(0, 9))
    def comes_back(self, place: int) -> None:
        ends = self.paid()
        end = ends[place % len(ends)]
        payment = self.world.state.bank.payments[end]
        self.bank.take(self.entry(payment.amount_fen, end))
        self.has[payment.participant] += payment.amount_fen

    @precondition(lambda self: self.under_way())
    @rule(place=st.integers(0, 9))
    def bank_rejects(self, place: int) -> None:
        ends = self.under_way()
        batch, participant = ends[place % len(ends)].split("-")
        self.world.must(
            e.RejectPayout(actor=OPERATOR, batch=batch, participant=participant, reason="no such account")
        )

    @rule(client=clients, fen=amounts)
    def statement_is_lost(self, client: str, fen: int) -> None:
        self.lost.append(self.bank.statement(self.entry(fen, participant=client)))

    @rule()
    def next_statement(self) -> None:
        self.bank.take()

    @precondition(lambda self: self.lost)
    @rule(place=st.integers(0, 9))
    def lost_one_comes(self, place: int) -> None:
        """Only while its gap is open: one that an operator explained is closed for good."""
        told = self.lost.pop(place % len(self.lost))
        kept = self.world.state.bank
        late = kept.taken is not None and told.sequence <= kept.taken.sequence
        outcome = self.world.do(told)
        if outcome.refusal is None:
            [entry] = told.entries
            self.has[entry.participant] += entry.amount_fen
        else:
            assert late
            assert outcome.refusal.code is e.Refused.already_exists

    @precondition(lambda self: self.bank.open())
    @rule(place=st.integers(0, 9), undo=st.booleans(), client=clients)
    def close(self, place: int, undo: bool, client: str) -> None:
        found = self.world.state.bank.open_breaks()
        row = found[place % len(found)]
        remedy, account = "none", ""
        if undo and row.kind.startswith("missing"):
            own = row.kind == "missing_cash" and row.amount_fen % 2
            remedy, account = ("book", "own") if own else ("undo", "")
        elif undo and row.kind == "unmatched":
            remedy, account = "book", client
        self.closed(
            e.CloseBreak(
                actor=OPERATOR, bank_break=row.id, reason="looked into", remedy=remedy, account=account
            )
        )

    def closed(self, command: e.CloseBreak) -> None:
        outcome = self.world.do(command)
        if outcome.refusal is not None:
            assert outcome.refusal.code in (e.Refused.funds_insufficient, e.Refused.already_exists)
            return
        for event in outcome.events:
            if isinstance(event, e.BreakClosed) and event.amount_fen:
                self.has[event.account] = self.has.get(event.account, 0) + event.amount_fen
                self.unseen.pop(event.bank_reference, None)

    @rule(days=st.integers(1, 4))
    def midnights(self, days: int) -> None:
        self.world.wait(days=days)
        self.world.tick()

    @invariant()
    def everything_adds_up(self) -> None:
        self.bank.check()
        for client, fen in self.has.items():
            assert self.world.money(client)[0] == fen
        held = -self.world.money("bank:cash")[0]
        assert held == sum(self.has.values())


TestCustody = Custody.TestCase
TestCustody.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
