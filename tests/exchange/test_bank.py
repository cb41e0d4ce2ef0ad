"""The custody bank on the pure venue: money out, money back, statements, and every break from its opening to its end."""

from typing import Any, get_args

import pytest
from msgspec.structs import replace

from clearing.bank import (
    CHINA_NS,
    LATE_DAYS,
    REMEDIES,
    WITHDRAWAL_LIFE,
    BankEntry,
    BreakKind,
    Custody,
    WithdrawalState,
    WithdrawalStep,
)
from exchange import events as e
from exchange.bank import apply_cash, equality_of
from exchange.state import DAY_NS
from tests.exchange.world import OPERATOR, World, kinds, only

SHA = "ab" * 32


class Bank:
    """A world and what the bank says of it: numbered statements, each beginning where the last ended."""

    def __init__(self) -> None:
        self.world = World()
        self.number = 0
        self.balance = 0

    def statement(self, *entries: BankEntry, number: int | None = None, **changes: Any) -> e.BookStatement:
        self.number = self.number + 1 if number is None else number
        opening, self.balance = self.balance, self.balance + sum(entry.amount_fen for entry in entries)
        custody = self.world.state.bank.custody
        assert custody is not None
        told = e.BookStatement(
            actor=OPERATOR,
            account=custody.account,
            statement=f"S{self.number}",
            sequence=self.number,
            opening_fen=opening,
            closing_fen=self.balance,
            until_ns=self.world.at_ns + DAY_NS,
            entries=entries,
            file_sha256=SHA,
        )
        return replace(told, **changes)

    def take(self, *entries: BankEntry, **changes: Any) -> tuple[e.Event, ...]:
        return self.world.must(self.statement(*entries, **changes)).events

    def client(self, fen: int = 100_000) -> str:
        """A verified participant whose money came by the bank's statement, and who can be paid."""
        participant = self.world.buyer(cash_fen=0)
        self.world.must(e.SetPayoutAccount(actor=participant, account_sha256=SHA))
        if fen:
            self.take(BankEntry(fen, f"in {participant}", "2025-11-25", participant=participant))
        return participant

    def batch(self) -> str:
        return only(self.world.must(e.MakePayoutBatch(actor=OPERATOR)), e.PayoutBatchMade).batch

    def open(self) -> list[tuple[str, str, int]]:
        return [(row.kind, row.subject, row.amount_fen) for row in self.world.state.bank.open_breaks()]

    def close(self, kind: str, remedy: str = "none", account: str = "", **changes: Any) -> e.CloseBreak:
        [row] = [row for row in self.world.state.bank.open_breaks() if row.kind == kind]
        command = e.CloseBreak(
            actor=OPERATOR, bank_break=row.id, reason="the bank explained it", remedy=remedy, account=account
        )
        return replace(command, **changes)

    @property
    def difference(self) -> int:
        return equality_of(self.world.state).difference_fen

    def check(self) -> None:
        """Bank, ledger and open breaks agree to the fen at any moment."""
        self.world.check()
        assert self.world.state.bank.untold_fen(equality_of(self.world.state)) == 0


@pytest.fixture
def bank() -> Bank:
    return Bank()


def withdrawal(participant: str, fen: int) -> e.RequestWithdrawal:
    return e.RequestWithdrawal(actor=participant, amount_fen=fen)


def out(batch: str, participant: str, fen: int, reference: str = "out 1") -> BankEntry:
    return BankEntry(-fen, reference, "2025-11-26", f"{batch}-{participant}")


# ---- money out


def test_money_is_reserved_paid_on_the_banks_word_and_gone(bank: Bank) -> None:
    world, client = bank.world, bank.client(100_000)
    first = only(world.must(withdrawal(client, 30_000)), e.WithdrawalRequested)
    world.must(withdrawal(client, 20_000))
    assert world.money(client) == (100_000, 50_000)
    batch = bank.batch()
    payment = world.state.bank.payments[f"{batch}-{client}"]
    assert (payment.amount_fen, payment.withdrawals[0]) == (50_000, first.withdrawal)
    assert world.money(client) == (100_000, 50_000)
    assert kinds_of(bank.take(out(batch, client, 50_000))) == ["StatementTaken", "PayoutConfirmed"]
    assert world.money(client) == (50_000, 0)
    assert {row.state for row in world.state.bank.withdrawals.values()} == {"paid"}
    assert bank.difference == 0
    bank.check()


def kinds_of(events: tuple[e.Event, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_payment_that_comes_back_is_the_participants_again(bank: Bank) -> None:
    world, client = bank.world, bank.client(100_000)
    world.must(withdrawal(client, 30_000))
    batch = bank.batch()
    bank.take(out(batch, client, 30_000))
    back = BankEntry(30_000, "back 1", "2025-11-27", f"{batch}-{client}")
    assert only_of(bank.take(back), e.PayoutEnded).step == "return"
    assert world.money(client) == (100_000, 0)
    assert {row.state for row in world.state.bank.withdrawals.values()} == {"returned"}
    again = bank.take(replace(back, reference="back 2"))
    assert only_of(again, e.BreakOpened).kind == "unmatched"
    bank.check()


def only_of(events: tuple[e.Event, ...], kind: type[Any]) -> Any:
    [found] = [event for event in events if isinstance(event, kind)]
    return found


def test_a_payment_goes_out_once(bank: Bank) -> None:
    """The bank pays the same end-to-end id twice: the second is a break, not a second payment."""
    world, client = bank.world, bank.client(100_000)
    world.must(withdrawal(client, 30_000))
    batch = bank.batch()
    bank.take(out(batch, client, 30_000), out(batch, client, 30_000, "out 2"))
    assert bank.open() == [("unmatched", "out 2", -30_000)]
    assert world.money(client) == (70_000, 0)
    bank.check()


@pytest.mark.parametrize("paid", [29_999, 30_001])
def test_another_amount_is_not_the_payment(bank: Bank, paid: int) -> None:
    world, client = bank.world, bank.client(100_000)
    world.must(withdrawal(client, 30_000))
    batch = bank.batch()
    bank.take(out(batch, client, paid))
    assert bank.open() == [("unmatched", "out 1", -paid)]
    assert world.money(client) == (100_000, 30_000)
    bank.check()


def test_a_payment_the_bank_rejects_is_free_again(bank: Bank) -> None:
    world, client = bank.world, bank.client(100_000)
    world.must(withdrawal(client, 30_000))
    batch = bank.batch()
    reject = e.RejectPayout(actor=OPERATOR, batch=batch, participant=client, reason="name and account differ")
    assert world.code(replace(reject, actor=client)) == "forbidden"
    assert world.code(replace(reject, participant="P999")) == "not_found"
    assert world.code(replace(reject, reason=" ")) == "malformed"
    world.must(reject)
    assert world.money(client) == (100_000, 0)
    assert world.code(reject) == "wrong_state"
    bank.take(out(batch, client, 30_000))
    assert bank.open() == [("unmatched", "out 1", -30_000)]
    bank.check()


def test_what_may_be_asked_for(bank: Bank) -> None:
    world, client = bank.world, bank.client(1_000)
    assert world.code(withdrawal(client, 0)) == "out_of_bounds"
    assert world.code(withdrawal(client, 1_001)) == "funds_insufficient"
    assert world.code(withdrawal(world.buyer(), 1)) == "wrong_state"
    unverified = world.person("buyer")
    assert world.code(e.SetPayoutAccount(actor=unverified, account_sha256=SHA)) == "not_verified"
    asked = only(world.must(withdrawal(client, 1_000)), e.WithdrawalRequested).withdrawal
    assert world.code(withdrawal(client, 1)) == "funds_insufficient"
    assert world.code(e.CancelWithdrawal(actor=world.reviewer, withdrawal=asked)) == "not_found"
    assert world.code(e.CancelWithdrawal(actor=OPERATOR, withdrawal=asked)) == "malformed"
    world.must(e.CancelWithdrawal(actor=client, withdrawal=asked))
    assert world.code(e.CancelWithdrawal(actor=client, withdrawal=asked)) == "wrong_state"
    assert world.money(client) == (1_000, 0)
    bank.check()


def test_what_is_in_a_batch_is_not_cancelled(bank: Bank) -> None:
    world, client = bank.world, bank.client()
    asked = only(world.must(withdrawal(client, 1_000)), e.WithdrawalRequested).withdrawal
    bank.batch()
    assert world.code(e.CancelWithdrawal(actor=client, withdrawal=asked)) == "wrong_state"
    assert world.code(e.MakePayoutBatch(actor=OPERATOR)) == "wrong_state", "nobody waits any more"


def test_who_lacks_an_account_row_waits(bank: Bank) -> None:
    world, one, other = bank.world, bank.client(), bank.client()
    for client in (one, other):
        world.must(withdrawal(client, 1_000))
    made = only(world.must(e.MakePayoutBatch(actor=OPERATOR, without=(one,))), e.PayoutBatchMade)
    assert [payment.participant for payment in made.payments] == [other]
    assert world.state.bank.withdrawals["W1"].state == "requested"
    bank.check()


def test_no_payout_before_the_bank_has_said_what_it_has() -> None:
    bank = Bank()
    client = bank.client(fen=0)
    bank.world.pay_in(client, 5_000)
    refusal = bank.world.refused(e.MakePayoutBatch(actor=OPERATOR))
    assert "/v1/bank/statements" in refusal.detail
    assert bank.world.code(e.MakePayoutBatch(actor=client)) == "forbidden"


# ---- money in


def test_cash_that_names_its_participant_is_booked(bank: Bank) -> None:
    client = bank.client(100_000)
    assert bank.world.money(client) == (100_000, 0)
    assert bank.open() == []
    bank.check()


def test_cash_booked_by_hand_is_confirmed_by_the_statement(bank: Bank) -> None:
    world = bank.world
    client = world.buyer(cash_fen=0)
    world.must(e.BookCashIn(actor=OPERATOR, participant=client, amount_fen=700, bank_reference="in 1"))
    assert equality_of(world.state).ahead_fen == 700
    assert bank.difference == 0
    assert kinds_of(bank.take(BankEntry(700, "in 1", ""))) == ["StatementTaken", "CashConfirmed"]
    assert world.money(client) == (700, 0), "booked once"
    assert equality_of(world.state).ahead_fen == 0
    again = bank.take(BankEntry(700, "in 1", "", participant=client))
    assert only_of(again, e.BreakOpened).kind == "unmatched", "a bank's reference is booked once"
    bank.check()


def test_cash_of_nobody_is_a_break_until_somebody_is_found(bank: Bank) -> None:
    world, client = bank.world, bank.client()
    bank.take(BankEntry(3_000, "strange", "2025-11-26"))
    assert bank.open() == [("unmatched", "strange", 3_000)]
    assert bank.difference == 3_000
    world.must(withdrawal(client, 1_000))
    refusal = world.refused(e.MakePayoutBatch(actor=OPERATOR))
    assert refusal.code is e.Refused.wrong_state
    assert "K1" in refusal.detail
    by_hand = e.BookCashIn(actor=OPERATOR, participant=client, amount_fen=2_999, bank_reference="strange")
    assert world.code(by_hand) == "out_of_bounds"
    assert kinds(world.must(replace(by_hand, amount_fen=3_000))) == ["CashBooked", "BreakClosed"]
    assert (bank.open(), bank.difference) == ([], 0)
    assert world.money(client) == (103_000, 1_000)
    bank.batch()
    bank.check()


def test_a_break_is_booked_to_whom_it_belongs(bank: Bank) -> None:
    """Interest to the venue, a bank's charge from it; each fen has its posting."""
    world, client = bank.world, bank.client()
    bank.take(BankEntry(500, "interest", ""))
    world.must(bank.close("unmatched", "book", "own"))
    assert world.money("venue:fees") == (500, 0)
    bank.take(BankEntry(-501, "charge", ""))
    assert world.code(bank.close("unmatched", "book", "own")) == "funds_insufficient"
    assert world.code(bank.close("unmatched", "book", "P999")) == "not_found"
    assert world.code(bank.close("unmatched", "book", "public:pocket")) == "not_found"
    assert world.code(bank.close("unmatched", "book", OPERATOR)) == "own_case"
    world.must(bank.close("unmatched", "book", client))
    assert world.money(client) == (99_499, 0)
    assert (bank.open(), bank.difference) == ([], 0)
    bank.check()


def test_a_wrong_transfer_that_the_bank_takes_back_is_explained_twice(bank: Bank) -> None:
    bank.client()
    bank.take(BankEntry(9_000, "wrong", ""))
    bank.world.must(bank.close("unmatched"))
    explained = equality_of(bank.world.state)
    assert (explained.explained_fen, explained.difference_fen) == (9_000, 0)
    bank.take(BankEntry(-9_000, "taken back", ""))
    assert bank.difference == -9_000
    bank.world.must(bank.close("unmatched"))
    assert equality_of(bank.world.state).explained_fen == 0
    bank.check()


# ---- what is missing


def test_cash_that_never_came_is_taken_back(bank: Bank) -> None:
    world = bank.world
    client, poor = world.buyer(cash_fen=0), world.merchant()
    for who, fen, reference in ((client, 700, "in 1"), (poor, 800, "in 2")):
        world.must(e.BookCashIn(actor=OPERATOR, participant=who, amount_fen=fen, bank_reference=reference))
    bank.take()
    assert bank.open() == [("missing_cash", "in 1", -700), ("missing_cash", "in 2", -800)]
    assert bank.difference == 0, "what is ahead of the bank is in no sum"
    bank.take()
    assert len(bank.open()) == 2, "each is told once"
    came = bank.take(BankEntry(800, "in 2", ""))
    assert only_of(came, e.BreakClosed).by == e.VENUE
    world.must(bank.close("missing_cash", "undo"))
    assert world.money(client) == (0, 0)
    assert world.money(poor) == (800, 0)
    world.must(e.BookCashIn(actor=OPERATOR, participant=client, amount_fen=5, bank_reference="in 1"))
    bank.check()


def test_cash_that_is_spent_is_not_taken_back(bank: Bank) -> None:
    world, client = bank.world, bank.client(fen=0)
    world.must(e.BookCashIn(actor=OPERATOR, participant=client, amount_fen=700, bank_reference="in 1"))
    bank.take()
    world.must(e.PayDeposit(actor=client, amount_fen=600))
    assert world.code(bank.close("missing_cash", "undo")) == "funds_insufficient"
    assert world.code(bank.close("missing_cash", "book", client)) == "malformed"
    bank.check()


def test_a_payout_that_no_statement_shows_is_missing(bank: Bank) -> None:
    world, client = bank.world, bank.client()
    world.must(withdrawal(client, 1_000))
    batch = bank.batch()
    bank.take()
    assert bank.open() == []
    world.wait(days=3)
    bank.take()
    assert bank.open() == [("missing_payout", f"{batch}-{client}", 1_000)]
    world.must(bank.close("missing_payout", "undo"))
    assert (world.money(client), bank.open()) == ((100_000, 0), [])
    bank.check()


def test_a_payout_that_comes_late_closes_its_break(bank: Bank) -> None:
    world, client = bank.world, bank.client()
    world.must(withdrawal(client, 1_000))
    batch = bank.batch()
    world.wait(days=4)
    bank.take()
    events = bank.take(out(batch, client, 1_000))
    assert kinds_of(events) == ["StatementTaken", "PayoutConfirmed", "BreakClosed"]
    assert (bank.open(), world.money(client)) == ([], (99_000, 0))
    bank.check()


# ---- statements


def test_anothers_money_under_a_payments_name_is_not_that_payment(bank: Bank) -> None:
    """A fen that somebody pays in closes no break, and what names its payer is the payer's."""
    lost, other = bank.client(90_000), bank.client(0)
    bank.world.must(withdrawal(lost, 90_000))
    batch = bank.batch()
    bank.world.wait(days=5)
    bank.take()
    assert [kind for kind, _, _ in bank.open()] == ["missing_payout"]
    bank.take(BankEntry(1, "in 1", "2025-11-30", f"{batch}-{lost}", other))
    assert [kind for kind, _, _ in bank.open()] == ["missing_payout"]
    bank.take(out(batch, lost, 90_000))
    assert bank.open() == []
    bank.take(BankEntry(90_000, "in 2", "2025-11-30", f"{batch}-{lost}", other))
    assert [bank.world.money(who)[0] for who in (lost, other)] == [0, 90_001]
    bank.check()


def test_one_lost_payment_keeps_its_batch(bank: Bank) -> None:
    """The others of the batch ended long ago: they are forgotten with it, and can still come back until then."""
    lost, paid = bank.client(1_000), bank.client(2_000)
    for who, fen in ((lost, 1_000), (paid, 2_000)):
        bank.world.must(withdrawal(who, fen))
    batch = bank.batch()
    bank.take(out(batch, paid, 2_000))
    bank.world.wait(days=100)
    bank.world.tick()
    bank.take(BankEntry(2_000, "back", "2026-03-01", f"{batch}-{paid}"))
    assert bank.world.money(paid) == (2_000, 0)
    bank.check()


def test_another_bank_may_number_its_statements_alike(bank: Bank) -> None:
    custody = bank.world.state.bank.custody
    assert custody is not None
    bank.take()
    bank.world.must(e.SetCustody(actor=OPERATOR, custody=replace(custody, account="another account")))
    bank.number = 0
    bank.take()
    bank.check()


def test_a_statement_is_taken_once_and_in_order(bank: Bank) -> None:
    world = bank.world
    bank.client()
    told = bank.statement()
    world.must(told)
    assert world.code(told) == "already_exists"
    assert world.code(replace(told, statement="other")) == "already_exists"
    assert world.code(replace(told, statement="S9", sequence=9, actor=world.reviewer)) == "forbidden"
    assert world.code(replace(told, statement="S9", sequence=9, account="another")) == "file_mismatch"
    assert world.code(replace(told, statement="S9", sequence=9, closing_fen=1)) == "file_mismatch"
    assert world.code(replace(told, statement="S9", sequence=900)) == "out_of_bounds"
    bank.check()


def test_statements_that_are_left_out_are_told_and_may_still_come(bank: Bank) -> None:
    """1 is taken, 2 and 3 are lost, 4 begins 500 higher; they come in any order and the break ends by itself."""
    world, client = bank.world, bank.client(100_000)
    second = bank.statement(BankEntry(200, "in 2", "", participant=client))
    third = bank.statement(BankEntry(300, "in 3", "", participant=client))
    opened = only_of(bank.take(number=4), e.BreakOpened)
    assert (opened.kind, opened.subject, opened.amount_fen) == ("gap", "2-3", 500)
    assert bank.difference == 500
    bank.check()
    world.must(third)
    assert bank.open() == [("gap", "2-3", 200)]
    bank.check()
    events = world.must(second).events
    assert only_of(events, e.BreakClosed).remedy == "book"
    assert (bank.open(), bank.difference) == ([], 0)
    assert world.money(client) == (100_500, 0)
    taken = world.state.bank.taken
    assert taken is not None
    assert taken.sequence == 4
    assert world.code(replace(second, statement="S2b")) == "already_exists"
    bank.check()


def test_a_gap_that_is_explained_takes_no_more_statements(bank: Bank) -> None:
    bank.client()
    second = bank.statement(BankEntry(200, "in 2", ""))
    bank.take(number=3)
    bank.world.must(bank.close("gap"))
    assert bank.difference == 0
    assert bank.world.code(second) == "already_exists"
    bank.check()


def test_a_bank_without_numbers_is_held_to_its_balances(bank: Bank) -> None:
    bank.take(sequence=0)
    bank.take(sequence=0)
    assert bank.open() == []
    bank.balance += 77
    assert only_of(bank.take(sequence=0), e.BreakOpened).amount_fen == 77
    bank.check()


def test_a_first_statement_with_other_money_is_an_inequality(bank: Bank) -> None:
    bank.balance = 1_234
    opened = only_of(bank.take(), e.BreakOpened)
    assert (opened.kind, opened.amount_fen) == ("inequality", 1_234)
    assert bank.difference == 1_234
    bank.world.must(bank.close("inequality"))
    assert bank.difference == 0
    bank.take()
    assert bank.open() == [], "what is explained is not told again"
    bank.check()


def test_another_custody_account_begins_anew(bank: Bank) -> None:
    world, client = bank.world, bank.client()
    other = Custody("6222000000000001", "客户资金", "102641000000", "示例银行")
    change = e.SetCustody(actor=OPERATOR, custody=other)
    assert world.code(replace(change, actor=client)) == "forbidden"
    assert world.code(replace(change, custody=replace(other, name=" "))) == "malformed"
    world.must(withdrawal(client, 1_000))
    batch = bank.batch()
    assert world.code(change) == "wrong_state"
    bank.take(out(batch, client, 1_000))
    world.must(change)
    assert world.code(bank.statement(account="SHUJI-SAMPLE-CUSTODY")) == "file_mismatch"
    bank.number = 0
    bank.take(statement="new 1")
    assert (bank.open(), bank.difference) == ([], 0)
    bank.check()


# ---- the day's end


def test_each_midnight_in_beijing_compares(bank: Bank) -> None:
    world = bank.world
    assert world.state.timers == [], "nothing to compare before the first statement"
    bank.client()
    [(due_ns, kind, _)] = [timer for timer in world.state.timers if timer[1] == "bank"]
    assert (due_ns + CHINA_NS) % DAY_NS == 0
    assert kind == "bank"
    ended = only(world.tick_at(due_ns + 1), e.BankDayEnded)
    assert ended.equality.difference_fen == 0
    assert ended.equality.bank_fen == 100_000
    following = [timer for timer in world.state.timers if timer[1] == "bank"]
    assert [timer[0] for timer in following] == [due_ns + DAY_NS]
    bank.check()


def test_a_silent_bank_stops_payouts(bank: Bank) -> None:
    world, client = bank.world, bank.client()
    world.must(withdrawal(client, 1_000))
    world.wait(days=LATE_DAYS)
    world.tick()
    assert bank.open() == []
    world.wait(days=2)
    world.tick()
    assert [row[0] for row in bank.open()] == ["late"]
    world.wait(days=1)
    world.tick()
    assert len(bank.open()) == 1, "told once while it stands"
    assert world.code(e.MakePayoutBatch(actor=OPERATOR)) == "wrong_state"
    bank.check()


def test_money_that_moves_past_the_bank_is_found_at_the_days_end(bank: Bank) -> None:
    """A bug elsewhere that books cash from nowhere is an inequality the same night."""
    world, client = bank.world, bank.client()
    ghost = e.CashBooked(client, 42, "nobody's entry", e.VENUE)
    for state in (world.state, world.twin):
        apply_cash(state, ghost, world.at_ns)
    world.wait(days=1)
    opened = only(world.tick(), e.BreakOpened)
    assert (opened.kind, opened.amount_fen) == ("inequality", -42)
    assert world.code(e.MakePayoutBatch(actor=OPERATOR)) == "wrong_state"
    bank.check()


def test_finished_withdrawals_are_forgotten_after_ninety_days(bank: Bank) -> None:
    world, client = bank.world, bank.client()
    world.must(withdrawal(client, 1_000))
    batch = bank.batch()
    bank.take(out(batch, client, 1_000))
    world.must(withdrawal(client, 1))
    world.wait(days=91)
    world.tick()
    kept = world.state.bank
    assert [row.state for row in kept.withdrawals.values()] == ["requested"]
    assert (kept.batches, kept.payments) == ({}, {})
    late = BankEntry(1_000, "back", "", f"{batch}-{client}", client)
    assert only_of(bank.take(late), e.CashBooked).participant == client
    bank.check()


# ---- tables


def test_the_life_of_a_withdrawal_is_a_table() -> None:
    states, steps = get_args(WithdrawalState), get_args(WithdrawalStep)
    assert {state for state, _ in WITHDRAWAL_LIFE} < set(states)
    assert {step for _, step in WITHDRAWAL_LIFE} == set(steps)
    assert set(WITHDRAWAL_LIFE.values()) | {"requested"} == set(states)


def test_every_kind_of_break_can_be_explained() -> None:
    assert tuple(REMEDIES) == get_args(BreakKind)
    assert all("none" in remedies for remedies in REMEDIES.values())


def test_who_closes_a_break(bank: Bank) -> None:
    world = bank.world
    bank.take(BankEntry(5, "strange", ""))
    close = bank.close("unmatched")
    assert world.code(replace(close, actor=world.reviewer)) == "forbidden"
    assert world.code(replace(close, bank_break="K9")) == "not_found"
    assert world.code(replace(close, reason=" ")) == "malformed"
    assert world.code(replace(close, remedy="undo")) == "malformed"
    world.must(close)
    assert world.code(close) == "wrong_state"
    bank.check()
