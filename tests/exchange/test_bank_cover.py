"""Nobody is paid with the others' money: what is booked by hand, and what the bank lacks, against payouts.

Each test begins as somebody would begin who wants money that the bank never had.
"""

import pytest
from msgspec.structs import replace

from clearing.bank import BankEntry
from clearing.ledger import CASH, CNY
from exchange import events as e
from exchange.bank import uncovered_fen
from tests.exchange.test_bank import SHA, Bank, only_of, withdrawal
from tests.exchange.world import OPERATOR, changed


@pytest.fixture
def bank() -> Bank:
    return Bank()


def by_hand(participant: str, fen: int, reference: str = "X1") -> e.BookCashIn:
    return e.BookCashIn(actor=OPERATOR, participant=participant, amount_fen=fen, bank_reference=reference)


def without_cash(bank: Bank) -> str:
    """A verified participant who can be paid and has nothing."""
    return bank.client(fen=0)


def sold(bank: Bank, seller: str, buyer: str, price_fen: int) -> None:
    """A trade from order to acceptance: the price is the seller's, less the fee."""
    listing = bank.world.listing(seller, price_fen=price_fen)
    trade = bank.world.buy(buyer, listing)
    bank.world.deliver(trade)
    bank.world.accept(trade)


def shop(bank: Bank) -> str:
    merchant = bank.world.merchant()
    bank.world.must(e.SetPayoutAccount(actor=merchant, account_sha256=SHA))
    return merchant


# ---- booked by hand


def test_what_is_booked_by_hand_is_not_paid_out_before_a_statement_shows_it(bank: Bank) -> None:
    world, thief = bank.world, without_cash(bank)
    bank.client(1_000_000)
    world.must(by_hand(thief, 900_000))
    refusal = world.refused(withdrawal(thief, 1))
    assert refusal.code is e.Refused.funds_insufficient
    assert "900000 fen were booked by hand" in refusal.detail
    assert world.code(e.MakePayoutBatch(actor=OPERATOR)) == "wrong_state", "nobody waits"
    bank.take(BankEntry(900_000, "X1", ""))
    world.must(withdrawal(thief, 900_000))
    bank.batch()
    bank.check()


def test_what_a_statement_has_shown_is_paid_beside_what_none_has(bank: Bank) -> None:
    world, client = bank.world, bank.client(1_000)
    world.must(by_hand(client, 500))
    assert world.code(withdrawal(client, 1_001)) == "funds_insufficient"
    world.must(withdrawal(client, 1_000))
    bank.batch()
    bank.check()


def test_who_spends_what_was_booked_by_hand_is_left_out_of_batches(bank: Bank) -> None:
    """Shown money is asked for first, then money by hand comes and pays a deposit: the request waits for the statement."""
    world, client, other = bank.world, bank.client(1_000), bank.client(50)
    world.must(withdrawal(client, 1_000))
    world.must(by_hand(client, 500))
    world.must(e.PayDeposit(actor=client, amount_fen=500))
    world.must(withdrawal(other, 50))
    made = only_of(world.must(e.MakePayoutBatch(actor=OPERATOR)).events, e.PayoutBatchMade)
    assert [payment.participant for payment in made.payments] == [other]
    bank.take(BankEntry(500, "X1", ""))
    made = only_of(world.must(e.MakePayoutBatch(actor=OPERATOR)).events, e.PayoutBatchMade)
    assert [payment.participant for payment in made.payments] == [client]
    bank.check()


def test_an_accomplice_is_not_paid_with_what_was_booked_by_hand(bank: Bank) -> None:
    """The thief buys "data" of the accomplice, who asks for money that nobody booked to it by hand."""
    world, thief, accomplice = bank.world, without_cash(bank), shop(bank)
    bank.client(1_000_000)
    world.must(by_hand(thief, 900_000))
    sold(bank, accomplice, thief, 900_000)
    fees = world.money("venue:fees")[0]
    assert uncovered_fen(world.state) == 900_000 - fees
    world.must(withdrawal(accomplice, 800_000))
    refusal = world.refused(e.MakePayoutBatch(actor=OPERATOR))
    assert f"{900_000 - fees} fen" in refusal.detail
    bank.take(BankEntry(900_000, "X1", ""))
    assert uncovered_fen(world.state) == 0
    bank.batch()
    bank.check()


def test_the_venues_own_money_covers_what_was_spent_too_early(bank: Bank) -> None:
    """Otherwise one booking by hand would hold up everybody until the next statement."""
    world, buyer, seller = bank.world, without_cash(bank), shop(bank)
    bank.take(BankEntry(1_000, "own money", ""))
    world.must(bank.close("unmatched", "book", "own"))
    world.must(by_hand(buyer, 1_000))
    sold(bank, seller, buyer, 1_000)
    assert uncovered_fen(world.state) == 0
    world.must(withdrawal(seller, 980))
    bank.batch()
    bank.check()


def test_nobody_books_money_by_hand_to_their_own_house(bank: Bank) -> None:
    world = bank.world
    owned, stranger = world.buyer(cash_fen=0, owner=OPERATOR), world.buyer(cash_fen=0)
    for one in (OPERATOR, owned):
        assert world.code(by_hand(one, 900_000)) == "own_case"
    bank.take(BankEntry(5, "strange", ""))
    assert world.code(by_hand(owned, 5, "strange")) == "own_case", "what a statement has shown neither"
    second = world.person()
    world.must(e.GrantRole(actor=OPERATOR, participant=second, role="operator"))
    world.must(changed(by_hand(owned, 700), actor=second))
    world.must(by_hand(stranger, 700, "X2"))
    bank.check()


def test_nobody_frees_a_payment_of_their_own_house(bank: Bank) -> None:
    """The bank has paid, the operator says that it did not, and has the money twice until a statement tells."""
    world = bank.world
    owned = world.buyer(cash_fen=0, owner=OPERATOR)
    world.must(e.SetPayoutAccount(actor=owned, account_sha256=SHA))
    bank.take(BankEntry(1_000, "in 1", "", participant=owned))
    world.must(withdrawal(owned, 1_000))
    batch = bank.batch()
    reject = e.RejectPayout(actor=OPERATOR, batch=batch, participant=owned, reason="names differ")
    assert world.code(reject) == "own_case"
    world.wait(days=4)
    bank.take()
    undo = bank.close("missing_payout", "undo")
    assert world.code(undo) == "own_case"
    second = world.person()
    world.must(e.GrantRole(actor=OPERATOR, participant=second, role="operator"))
    world.must(replace(undo, actor=second))
    assert world.money(owned) == (1_000, 0)
    bank.check()


# ---- what stays missing


def test_a_booking_that_is_missing_again_is_told_again(bank: Bank) -> None:
    """Undone, its reference is free, and the same reference is booked once more: no statement has it either."""
    world, thief = bank.world, without_cash(bank)
    world.must(by_hand(thief, 500, "R1"))
    bank.take()
    world.must(bank.close("missing_cash", "undo"))
    world.must(by_hand(thief, 700_000, "R1"))
    bank.take()
    assert bank.open() == [("missing_cash", "R1", -700_000)]
    bank.check()


def test_a_missing_booking_that_was_reversed_is_told_when_it_comes_again(bank: Bank) -> None:
    world, thief, second = bank.world, without_cash(bank), bank.world.official("operator")
    world.verify(OPERATOR)
    world.must(by_hand(thief, 500, "R1"))
    bank.take()
    world.must(bank.close("missing_cash"))
    reverse = e.ReverseTransaction(
        actor=OPERATOR, transaction="bank:R1", reason="never came", legs=((CASH, thief, CNY, 500),)
    )
    world.must(reverse)
    world.must(replace(reverse, actor=second))
    world.must(by_hand(thief, 700, "R1"))
    bank.take()
    assert bank.open() == [("missing_cash", "R1", -700)]
    bank.check()


def test_a_missing_booking_that_is_only_explained_is_told_with_each_statement(bank: Bank) -> None:
    """`none` says why it may come late. It makes no money: nobody is paid with it, and the next statement asks again."""
    world, thief, seller, honest = bank.world, without_cash(bank), shop(bank), bank.client(1_000_000)
    world.must(by_hand(thief, 700_000, "R1"))
    sold(bank, seller, thief, 600_000)
    fees = world.money("venue:fees")[0]
    world.must(withdrawal(honest, 1))
    bank.take()
    for _ in range(3):
        assert bank.open() == [("missing_cash", "R1", -700_000)]
        world.must(bank.close("missing_cash"))
        assert uncovered_fen(world.state) == 600_000 - fees
        assert world.code(withdrawal(thief, 1)) == "funds_insufficient"
        assert world.code(e.MakePayoutBatch(actor=OPERATOR)) == "wrong_state"
        world.wait(days=5)
        bank.take()
    bank.take(BankEntry(700_000, "R1", ""))
    assert (bank.open(), uncovered_fen(world.state)) == ([], 0)
    bank.batch()
    bank.check()


def test_the_venues_own_money_takes_the_place_of_what_never_came(bank: Bank) -> None:
    """What was spent cannot be undone: the venue bears it, and the ledger says so."""
    world, buyer, seller = bank.world, without_cash(bank), shop(bank)
    world.must(by_hand(buyer, 1_000, "R1"))
    sold(bank, seller, buyer, 1_000)
    bank.take()
    assert world.code(bank.close("missing_cash", "undo")) == "funds_insufficient"
    assert world.code(bank.close("missing_cash", "book", "own")) == "funds_insufficient", "fees are 20 fen"
    assert world.code(bank.close("missing_cash", "book", seller)) == "malformed"
    bank.take(BankEntry(1_000, "own money", ""))
    world.must(bank.close("unmatched", "book", "own"))
    world.must(bank.close("missing_cash", "book", "own"))
    assert (world.money("venue:fees"), uncovered_fen(world.state), bank.difference) == ((20, 0), 0, 0)
    bank.take()
    assert bank.open() == []
    world.must(withdrawal(seller, 980))
    bank.batch()
    bank.check()


def test_nobody_makes_good_what_their_own_house_had(bank: Bank) -> None:
    """The house was bought after the booking."""
    world, second = bank.world, bank.world.person()
    world.must(e.GrantRole(actor=OPERATOR, participant=second, role="operator"))
    owned = world.buyer(cash_fen=0, owner=second)
    world.must(by_hand(owned, 1_000, "R1"))
    bank.take(BankEntry(1_000, "own money", ""))
    world.must(bank.close("unmatched", "book", "own"))
    close = bank.close("missing_cash", "book", "own")
    assert world.code(replace(close, actor=second)) == "own_case"
    world.must(close)
    bank.check()


def test_what_a_closed_break_took_is_covered_or_nothing_is_paid(bank: Bank) -> None:
    """Money leaves the custody account, one operator finds a reason, and the others' money is not paid out for it."""
    world, client = bank.world, bank.client(1_000)
    bank.take(BankEntry(-400, "gone", ""))
    world.must(bank.close("unmatched"))
    assert (uncovered_fen(world.state), bank.difference) == (400, 0)
    world.must(withdrawal(client, 1_000))
    assert world.code(e.MakePayoutBatch(actor=OPERATOR)) == "wrong_state"
    bank.take(BankEntry(400, "own money", ""))
    world.must(bank.close("unmatched", "book", "own"))
    assert uncovered_fen(world.state) == 0
    bank.batch()
    bank.check()


def test_a_payment_that_is_only_explained_is_missing_again(bank: Bank) -> None:
    world, client = bank.world, bank.client()
    world.must(withdrawal(client, 1_000))
    batch = bank.batch()
    world.wait(days=4)
    for _ in range(2):
        bank.take()
        assert bank.open() == [("missing_payout", f"{batch}-{client}", 1_000)]
        world.must(bank.close("missing_payout"))
    bank.check()


# ---- accounts that somebody stopped


def status(participant: str, step: str) -> e.SetStatus:
    return e.SetStatus(actor=OPERATOR, participant=participant, step=step, reason="key stolen")


def test_a_stolen_account_is_not_paid_out(bank: Bank) -> None:
    world, client, other = bank.world, bank.client(90_000), bank.client(10)
    world.must(withdrawal(client, 80_000))
    world.must(withdrawal(other, 10))
    world.must(status(client, "suspend"))
    for command in (withdrawal(client, 1), e.SetPayoutAccount(actor=client, account_sha256="cd" * 32)):
        assert world.code(command) == "standing_denied"
    made = only_of(world.must(e.MakePayoutBatch(actor=OPERATOR)).events, e.PayoutBatchMade)
    assert [payment.participant for payment in made.payments] == [other]
    world.must(status(client, "resume"))
    made = only_of(world.must(e.MakePayoutBatch(actor=OPERATOR)).events, e.PayoutBatchMade)
    assert [payment.amount_fen for payment in made.payments] == [80_000]
    bank.check()


def test_an_operator_takes_a_withdrawal_back_with_a_reason(bank: Bank) -> None:
    world, client = bank.world, bank.client(90_000)
    asked = only_of(world.must(withdrawal(client, 90_000)).events, e.WithdrawalRequested).withdrawal
    world.must(status(client, "suspend"))
    stop = e.CancelWithdrawal(actor=OPERATOR, withdrawal=asked, reason="key stolen")
    assert world.code(replace(stop, reason=" ")) == "malformed"
    assert world.code(replace(stop, actor=world.reviewer)) == "not_found"
    world.must(stop)
    assert world.money(client) == (90_000, 0)
    assert world.state.stopped == {asked: (OPERATOR, "key stolen")}
    assert world.code(stop) == "wrong_state"
    bank.check()
    world.wait(days=91)
    world.tick()
    assert world.state.stopped == {}, "forgotten with its withdrawal"
    bank.check()


def test_what_is_in_a_batch_is_rejected_not_cancelled(bank: Bank) -> None:
    world, client = bank.world, bank.client(90_000)
    asked = only_of(world.must(withdrawal(client, 90_000)).events, e.WithdrawalRequested).withdrawal
    bank.batch()
    stop = e.CancelWithdrawal(actor=OPERATOR, withdrawal=asked, reason="key stolen")
    assert world.code(stop) == "wrong_state"


def test_an_account_with_an_open_withdrawal_is_not_closed(bank: Bank) -> None:
    """It would never be paid out, and nobody could take it back."""
    world, client = bank.world, bank.client(90_000)
    asked = only_of(world.must(withdrawal(client, 90_000)).events, e.WithdrawalRequested).withdrawal
    refusal = world.refused(status(client, "close"))
    assert refusal.code is e.Refused.wrong_state
    assert asked in refusal.detail
    world.must(e.CancelWithdrawal(actor=OPERATOR, withdrawal=asked, reason="the account is closed"))
    world.must(status(client, "close"))
    assert world.code(withdrawal(client, 1)) == "standing_denied"
    bank.check()
