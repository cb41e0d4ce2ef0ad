"""Faults that ledgers of others had, put to this one with a real engine and a real PostgreSQL.

A balance checked without its reservations, a refused movement made later and a reservation given back twice are in
`test_venue_ledger.py`: they need no database.
"""

import pytest

from clearing.ledger import CNY, deposit_owner
from exchange import engine
from exchange.events import CancelOrder, OrderPlaced, PayDeposit, PlaceOrder
from tests.exchange.small_venue import (
    Small,
    answers,
    engine_on,
    execute,
    is_sound,
    lay,
    new_key,
    soon,
    stored,
    until,
    value,
    wire_to,
)
from tests.exchange.world import only

CONFLICTS = """
CREATE SEQUENCE tried;
CREATE FUNCTION conflicts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('tried') <= {times} THEN
        RAISE EXCEPTION 'could not serialize access due to concurrent update' USING ERRCODE = '40001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER conflicts BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION conflicts();
"""
"""So many times PostgreSQL gives the answer that it gives to transactions that got into each other's way."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 60.0)


@pytest.fixture
async def small(database_dsn: str) -> Small:
    return await lay(database_dsn)


def deposit(small: Small, amount_fen: int, number: int = 1) -> PayDeposit:
    return PayDeposit(actor=small.buyer, amount_fen=amount_fen, key=new_key(number))


@pytest.mark.parametrize("times", [1, 3])
async def test_a_failed_serialisation_is_not_lack_of_money(
    database_dsn: str, small: Small, times: int
) -> None:
    """The money is there: it is tried again, and moved once."""
    await execute(database_dsn, CONFLICTS.format(times=times))
    async with engine_on(database_dsn) as writer:
        held = writer.state.ledger.available(small.buyer, CNY)
        command = deposit(small, held)
        assert await answers([writer.submit(command)]) == ["done"]
        assert await value(database_dsn, "SELECT last_value FROM tried") > times, "it really conflicted"
        assert await stored(database_dsn) == ["DepositPaid"]
        assert writer.state.ledger.balance(deposit_owner(small.buyer), CNY) == held
        assert (await soon(writer.submit(command))).repeated
        assert await is_sound(database_dsn, writer)


async def test_a_database_that_is_away_is_not_lack_of_money(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 0.3)
    async with wire_to(database_dsn) as wire, engine_on(wire.dsn) as writer:
        held = writer.state.ledger.available(small.buyer, CNY)
        command = deposit(small, held)
        wire.close()
        assert await answers([writer.submit(command)]) == ["storage_unavailable"]
        await wire.open()
        await until(lambda: bool(writer.status()["ready"]), "the engine is ready again")
        assert await answers([writer.submit(command)]) == ["done"], "the same id may be sent again"
        assert await stored(database_dsn) == ["DepositPaid"]
        assert await is_sound(database_dsn, writer)


async def test_movements_that_race_for_the_same_money_move_it_once(database_dsn: str, small: Small) -> None:
    """Forty callers at once want a tenth of it each: ten have it, thirty are told that it is not there."""
    async with engine_on(database_dsn) as writer:
        tenth, rest = divmod(writer.state.ledger.available(small.buyer, CNY), 10)
        futures = [writer.submit(deposit(small, tenth, number)) for number in range(40)]
        told = await answers(futures)
        assert sorted(told) == ["done"] * 10 + ["funds_insufficient"] * 30
        assert writer.state.ledger.available(small.buyer, CNY) == rest
        assert await is_sound(database_dsn, writer)


async def test_parallel_fills_of_one_reservation_post_no_more_than_it_has(
    database_dsn: str, small: Small
) -> None:
    """Twenty sales of 7 units and ten cancels of the bid race for a bid of 100: what is posted and what goes back is it."""
    async with engine_on(database_dsn) as writer:
        before = writer.state.ledger.available(small.buyer, CNY)
        bid = PlaceOrder(actor=small.buyer, listing=small.book, quantity=100, limit_fen=90)
        order = only(await soon(writer.submit(bid)), OrderPlaced).order
        sale = PlaceOrder(
            actor=small.merchant,
            listing=small.book,
            side="sell",
            quantity=7,
            limit_fen=90,
            time_in_force="ioc",
        )
        sales = [writer.submit(sale) for _ in range(12)]
        cancels = [writer.submit(CancelOrder(actor=small.buyer, order=order)) for _ in range(10)]
        sales += [writer.submit(sale) for _ in range(8)]
        await answers(sales)
        assert sorted(await answers(cancels)) == ["done"] + ["not_found"] * 9
        units = writer.state.ledger.balance(small.buyer, f"unit:{small.book}")
        assert units == 84
        ledger = writer.state.ledger
        assert (ledger.available(small.buyer, CNY), ledger.reservation(order)) == (before - units * 90, None)
        assert await is_sound(database_dsn, writer)


async def test_a_refused_id_is_burned_across_a_restart(database_dsn: str, small: Small) -> None:
    """Refused for lack of money, killed, started again, money comes: the id stays refused."""
    async with engine_on(database_dsn) as writer:
        held = writer.state.ledger.available(small.buyer, CNY)
        command = deposit(small, held + 100)
        assert await answers([writer.submit(command)]) == ["funds_insufficient"]
        assert await stored(database_dsn) == ["MovementRefused"]
    async with engine_on(database_dsn) as writer:
        await soon(writer.submit(small.cash("late", 100)))
        again = await soon(writer.submit(command))
        assert again.repeated
        assert again.refusal is not None
        assert again.refusal.code.name == "funds_insufficient"
        other = PayDeposit(actor=small.buyer, amount_fen=1, key=command.key)
        assert await answers([writer.submit(other)]) == ["id_conflict"]
        assert await answers([writer.submit(deposit(small, held + 100, 2))]) == ["done"]
        assert await is_sound(database_dsn, writer)
