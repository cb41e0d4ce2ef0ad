"""The single writer on a real PostgreSQL: answers after the commit, each command once, whatever breaks.

`small.cash("x")` books money under the bank's reference x, so that the journal can be asked what became of it:
`stored` lists what happened behind the foundation. `is_sound` holds memory, journal and tables against each other.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import pytest

from exchange import cash, engine, journal, snapshot, venue
from exchange.board import BoardError
from exchange.engine import BATCH_LIMIT, QUEUE_LIMIT, QUEUE_RESERVE, Engine, Simulated
from exchange.events import (
    VENUE,
    AdvanceClock,
    BookCashIn,
    CancelOrder,
    MoveListing,
    OrderPlaced,
    ParticipantRegistered,
    Quarantined,
    RegisterParticipant,
)
from exchange.journal import Fenced, JournalBroken, Record
from exchange.state import DAY_NS, State, encode_state
from tests.exchange.small_venue import (
    Small,
    answers,
    batches,
    codes,
    commit_under_way,
    cut_engine_off,
    engine_on,
    execute,
    found,
    held_cursor,
    is_sound,
    lay,
    new_key,
    nothing_comes,
    numbered,
    session,
    sizes,
    soon,
    stored,
    until,
    until_a_commit_waits,
    until_sql,
    value,
    wire_to,
)
from tests.exchange.world import OPERATOR, changed, empty, kinds, only, public_key

TOO_MUCH_FEN = 10**12
"""More than SQL lets the buyer own, after `a_limit_in_sql`."""
MINUTE_NS = 60_000_000_000


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no silent database. Many looks at the clock, so that an engine also stops sooner."""
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(engine, "TICK_SECONDS", 0.02)


@pytest.fixture
async def small(database_dsn: str) -> Small:
    """A venue that opened an hour ago, in this test's database."""
    return await lay(database_dsn)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> str:
    """A bank's reference on which the handler raises."""

    def book_in(state: State, command: BookCashIn, at_ns: int) -> venue.Decision:
        if command.bank_reference == "poison":
            raise RuntimeError("a bug in a handler")
        return cash.book_in(state, command, at_ns)

    monkeypatch.setitem(venue.HANDLERS, BookCashIn, book_in)
    return "poison"


async def a_limit_in_sql(dsn: str, small: Small) -> None:
    """SQL refuses what memory allows."""
    await execute(
        dsn,
        f"alter table account add constraint enough check (owner <> '{small.buyer}' or balance < {TOO_MUCH_FEN})",
    )


def references(state: State) -> list[str]:
    """The bookings that a state knows."""
    return list(state.cash_references)


def submitted(writer: Engine, small: Small, names: Iterator[str]) -> "list[asyncio.Future[venue.Outcome]]":
    return [writer.submit(small.cash(name)) for name in names]


# ---- answers leave after the commit


async def test_an_order_is_answered_after_its_commit(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.order()) as order:
            assert writer.state.trades, "it has been executed"
            assert not order.done()
        assert kinds(await soon(order)) == ["OrderPlaced", "Settled"]
        assert await stored(database_dsn) == ["OrderPlaced", "Settled"]
        assert await is_sound(database_dsn, writer)


async def test_a_read_waits_for_what_it_saw(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("a")):
            reading = asyncio.ensure_future(writer.read(references))
            await until(lambda: not writer.status()["queue_depth"], "the look is taken up")
            assert await nothing_comes(reading)
        assert "a" in await soon(reading)
        assert await stored(database_dsn) == ["a"]


async def test_a_read_waits_also_for_the_batch_that_is_being_filled(database_dsn: str, small: Small) -> None:
    """While one batch commits, the next is in memory. Somebody looks at the very moment the first is answered."""
    async with engine_on(database_dsn) as writer, commits_one_by_one() as let_one_through:
        first = writer.submit(small.cash("a"))
        await until(lambda: "a" in writer.state.cash_references, "the first is executed")
        second = writer.submit(small.cash("b"))
        await until(lambda: "b" in writer.state.cash_references, "the second is executed")

        async def look_then() -> list[str]:
            await first
            return await writer.read(references)

        reading = asyncio.ensure_future(look_then())
        let_one_through()
        await soon(first)
        assert await nothing_comes(reading, second)
        assert await stored(database_dsn) == ["a"]
        let_one_through()
        assert "b" in await soon(reading)
        assert await stored(database_dsn) == ["a", "b"]


@asynccontextmanager
async def commits_one_by_one() -> AsyncIterator[Callable[[], None]]:
    """Inside, an append begins only when it is let through; it is the real one then."""
    turns = asyncio.Semaphore(0)
    append = journal.append

    async def wait(connection: Any, epoch: int, record: Record) -> None:
        await turns.acquire()
        await append(connection, epoch, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "append", wait)
        yield turns.release
    turns.release()


async def test_a_read_of_a_venue_at_rest_does_not_wait(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer, held_cursor(database_dsn):
        assert await soon(writer.read(lambda state: state.sequence)) == small.entries


async def test_reads_run_in_sequence_with_the_commands(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        before = len(writer.state.cash_references)
        work: list[Any] = []
        for name in numbered(50):
            work.append(writer.submit(small.cash(name)))
            work.append(asyncio.ensure_future(writer.read(lambda state: len(state.cash_references))))
            await asyncio.sleep(0)
        seen = (await soon(asyncio.gather(*work)))[1::2]
        assert seen == [before + number for number in range(1, 51)]


async def test_a_look_that_raises_raises_to_its_caller_only(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        with pytest.raises(KeyError):
            await writer.read(lambda state: state.trades["T404"])
        async with commit_under_way(database_dsn, writer, small.cash("a")) as first:
            failing = asyncio.ensure_future(writer.read(lambda state: state.trades["T404"]))
            looking = asyncio.ensure_future(writer.read(references))
            await asyncio.sleep(0)
            second = writer.submit(small.cash("b"))
        with pytest.raises(KeyError):
            await soon(failing)
        assert await answers([first, second]) == ["done", "done"]
        assert "a" in await soon(looking)
        assert not writer.failure


# ---- batches


async def test_the_next_batch_is_executed_while_the_last_one_commits(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("a")) as first:
            second = writer.submit(small.cash("b"))
            await until(lambda: "b" in writer.state.cash_references, "the second is executed")
            assert not first.done()
            assert not second.done()
        assert await answers([first, second]) == ["done", "done"]
        assert await sizes(database_dsn) == [1, 1]


async def test_who_waits_shares_a_commit(database_dsn: str, small: Small) -> None:
    """They come one after the other, as requests do; still they land in one row."""
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("first")) as first:
            futures = [first]
            for name in numbered(1_000):
                futures.append(writer.submit(small.cash(name)))
                await asyncio.sleep(0)
        assert await answers(futures) == ["done"] * 1_001
        assert await sizes(database_dsn) == [1, 1_000]
        assert await stored(database_dsn) == ["first", *numbered(1_000)]
        assert await is_sound(database_dsn, writer)


async def test_a_batch_has_at_most_a_thousand_commands(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.order()) as first:
            futures = [first, *(writer.submit(small.order()) for _ in range(2 * BATCH_LIMIT + 500))]
        assert await answers(futures) == ["done"] * (2 * BATCH_LIMIT + 501)
        assert await sizes(database_dsn) == [1, BATCH_LIMIT, BATCH_LIMIT, 500]
        assert await is_sound(database_dsn, writer)


async def test_a_submission_that_does_not_fit_any_more_waits_whole(database_dsn: str, small: Small) -> None:
    """And what comes after it does not overtake it, though it would fit."""
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("first")) as first:
            whole = []
            for word in "ab":
                whole.append(writer.submit_many([small.cash(name) for name in numbered(600, word)]))
                await asyncio.sleep(0.01)
            last = writer.submit(small.cash("last"))
        for outcomes in await soon(asyncio.gather(*whole)):
            assert codes(outcomes) == ["done"] * 600
        assert await answers([first, last]) == ["done", "done"]
        assert await sizes(database_dsn) == [1, 600, 601]
        expected = ["first", *numbered(600, "a"), *numbered(600, "b"), "last"]
        assert await stored(database_dsn) == expected


async def test_a_submission_larger_than_a_batch_is_a_batch_of_its_own(
    database_dsn: str, small: Small
) -> None:
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("first")):
            writer.submit(small.cash("second"))
            large = writer.submit_many([small.cash(name) for name in numbered(BATCH_LIMIT + 1)])
        assert codes(await soon(large)) == ["done"] * (BATCH_LIMIT + 1)
        assert await sizes(database_dsn) == [1, 1, BATCH_LIMIT + 1]


async def test_a_refusal_that_is_not_kept_writes_nothing(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        assert await answers([writer.submit(small.cash("x", amount_fen=0))]) == ["out_of_bounds"]
        assert codes(await soon(writer.submit_many([]))) == []
        assert await sizes(database_dsn) == []


async def test_those_who_listen_hear_of_each_commit_before_it_is_answered(
    database_dsn: str, small: Small
) -> None:
    heard: list[int] = []
    async with engine_on(database_dsn) as writer:
        writer.on_commit.append(heard.append)
        for number, name in enumerate(numbered(3), 2):
            await soon(writer.submit(small.cash(name)))
            assert heard == list(range(2, number + 1))


# ---- one transaction


def a_record(small: Small, owner: str, delta_fen: int, personal: str = "") -> Record:
    """A batch after the foundation that moves one account."""
    body = journal.encode_batch([small.world.entries[-1]])
    rows = [(personal, b"salt", b"body")] if personal else []
    return Record(2, 0, 1, body, b"checksum", [], [(owner, "CNY", delta_fen, 0)], rows)


async def everything(connection: Any) -> list[Any]:
    """All rows of the tables that a batch changes."""
    tables = ("journal", "cursor", "account", "personal")
    return [await connection.fetch(f"select * from {table} order by 1, 2") for table in tables]


async def test_a_batch_is_stored_whole_or_not_at_all(database_dsn: str, small: Small) -> None:
    """The journal row, the cursor, the accounts and the personal rows are one transaction."""
    async with session(database_dsn) as connection:
        before = await everything(connection)
        with pytest.raises(asyncpg.CheckViolationError):
            await journal.append(connection, 1, a_record(small, small.buyer, -(10**10), "P9"))
        assert await everything(connection) == before
        await connection.execute("insert into personal values ('P9', '', '')")
        before = await everything(connection)
        with pytest.raises(asyncpg.UniqueViolationError):
            await journal.append(connection, 1, a_record(small, small.buyer, 1, "P9"))
        assert await everything(connection) == before


@pytest.mark.parametrize(("epoch", "sequence"), [(0, 2), (2, 2), (1, 1), (1, 3)])
async def test_a_batch_of_another_epoch_or_place_writes_nothing(
    database_dsn: str, small: Small, epoch: int, sequence: int
) -> None:
    record = a_record(small, small.buyer, 1, "P9")
    record.sequence = sequence
    async with session(database_dsn) as connection:
        before = await everything(connection)
        with pytest.raises(Fenced):
            await journal.append(connection, epoch, record)
        assert await everything(connection) == before


async def test_a_movement_on_an_account_that_is_not_there_is_noticed(database_dsn: str, small: Small) -> None:
    async with session(database_dsn) as connection:
        with pytest.raises(JournalBroken, match="moved 0 accounts of 1"):
            await journal.append(connection, 1, a_record(small, "nobody", 1))


def registration(personal_sha256: str, key: str = "") -> RegisterParticipant:
    return RegisterParticipant(
        actor="",
        key=key,
        legal_name="somebody",
        public_key=public_key("somebody"),
        personal_sha256=personal_sha256,
    )


async def test_a_personal_row_is_there_when_its_registration_is_answered(
    database_dsn: str, small: Small
) -> None:
    salt, body = b"salt", b'{"name":"x"}'
    command = registration(hashlib.sha256(salt + body).hexdigest(), new_key())
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("a")):
            first = writer.submit(command, (salt, body))
            await until(lambda: "P5" in writer.state.bureau.participants, "it is executed")
            assert await value(database_dsn, "select count(*) from personal") == 0
        person = only(await soon(first), ParticipantRegistered).participant
        async with session(database_dsn) as connection:
            rows = await connection.fetch("select * from personal")
        assert [tuple(row) for row in rows] == [(person, salt, body)]
        async with commit_under_way(database_dsn, writer, small.cash("b")):
            again = writer.submit(command, (b"other", b"other"))
            beside = writer.submit(small.cash("c"))
        assert (await soon(again)).repeated
        assert codes([await soon(beside)]) == ["done"]
        assert await value(database_dsn, "select salt from personal") == salt, "a repetition stores nothing"
        assert writer.recovered_entries == small.entries, "and no batch had to be healed"
        assert await is_sound(database_dsn, writer)


async def test_without_its_personal_row_nobody_is_registered(database_dsn: str, small: Small) -> None:
    await execute(database_dsn, "alter table personal add constraint nobody check (participant is null)")
    async with engine_on(database_dsn) as writer:
        outcome = await soon(writer.submit(registration("ab" * 32), (b"salt", b"body")))
        assert codes([outcome]) == ["quarantined"]
        assert await stored(database_dsn) == ["Quarantined"]
        assert "P5" not in writer.state.bureau.participants
        assert await is_sound(database_dsn, writer)


# ---- one writer


async def test_an_engine_whose_epoch_is_raised_stops_and_writes_nothing(
    database_dsn: str, small: Small
) -> None:
    async with engine_on(database_dsn) as writer:
        await execute(database_dsn, "update cursor set epoch = epoch + 1")
        assert await answers([writer.submit(small.cash("a"))]) == ["storage_unavailable"]
        await soon(writer.stopped.wait())
        assert writer.failure.startswith("Fenced")
        assert not writer.status()["ready"]
        assert writer.submit(small.cash("b")).done(), "whoever comes later is told at once"
        assert await sizes(database_dsn) == []


async def test_a_commit_that_waits_when_the_epoch_is_raised_writes_nothing(
    database_dsn: str, small: Small
) -> None:
    async with engine_on(database_dsn) as writer:
        async with session(database_dsn) as other, other.transaction():
            await other.execute("update cursor set epoch = epoch + 1")
            future = writer.submit(small.cash("a"))
            await until_a_commit_waits(database_dsn)
        assert await answers([future]) == ["storage_unavailable"]
        await soon(writer.stopped.wait())
        assert await sizes(database_dsn) == []


async def test_a_fence_answers_also_the_batch_that_is_being_filled(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        async with session(database_dsn) as other, other.transaction():
            await other.execute("update cursor set epoch = epoch + 1")
            first = writer.submit(small.cash("a"))
            await until_a_commit_waits(database_dsn)
            second = writer.submit(small.cash("b"))
            await until(lambda: "b" in writer.state.cash_references, "the second is executed")
            third = writer.submit_many([small.order()] * BATCH_LIMIT)
        assert await answers([first, second]) == ["storage_unavailable"] * 2
        assert codes(await soon(third)) == ["storage_unavailable"] * BATCH_LIMIT
        assert await sizes(database_dsn) == []


async def test_a_read_of_a_fenced_engine_raises(database_dsn: str, small: Small) -> None:
    """What it holds was never committed."""
    async with engine_on(database_dsn) as writer:
        await execute(database_dsn, "update cursor set epoch = epoch + 1")
        future = writer.submit(small.cash("a"))
        reading = asyncio.ensure_future(writer.read(references))
        assert await answers([future]) == ["storage_unavailable"]
        await soon(writer.stopped.wait())
        for late in (reading, writer.read(references)):
            with pytest.raises(ConnectionError):
                await soon(late)


async def test_an_engine_that_lost_its_session_finds_its_successor(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as first:
        await cut_engine_off(database_dsn)
        async with engine_on(database_dsn) as second:
            assert second.epoch == first.epoch + 1
            assert await answers([first.submit(small.cash("first"))]) == ["storage_unavailable"]
            await soon(first.stopped.wait())
            assert first.failure.startswith("Fenced")
            assert await answers([second.submit(small.cash("second"))]) == ["done"]
            assert await stored(database_dsn) == ["second"]
            assert await is_sound(database_dsn, second)


async def test_a_second_engine_is_refused_while_the_first_lives(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as first:
        with pytest.raises(Fenced, match="stop it first"):
            await Engine(database_dsn, empty).start()
        assert await answers([first.submit(small.cash("a"))]) == ["done"], "the first is not disturbed"


async def test_a_second_engine_stands_by_until_the_first_stops(database_dsn: str, small: Small) -> None:
    second = Engine(database_dsn, empty)
    async with engine_on(database_dsn) as first:
        starting = asyncio.create_task(second.start(standby_seconds=60))
        await until_sql(
            database_dsn,
            "select count(*) = 2 from pg_stat_activity"
            " where datname = current_database() and application_name = 'shuji'",
            "both are connected",
        )
        assert await answers([first.submit(small.cash("first"))]) == ["done"]
        assert not starting.done()
    await soon(starting, "the second takes over")
    try:
        assert second.epoch == first.epoch + 1
        assert "first" in second.state.cash_references
        assert await answers([second.submit(small.cash("second"))]) == ["done"]
        assert await stored(database_dsn) == ["first", "second"]
    finally:
        await second.stop()


# ---- the queue


async def test_the_queue_is_bounded_with_room_for_cancels_and_halts(database_dsn: str, small: Small) -> None:
    assert (QUEUE_LIMIT, QUEUE_RESERVE) == (20_000, 2_000)
    halt = MoveListing(actor="P2", listing=small.posted, step="suspend", reasons=("halt",))
    async with engine_on(database_dsn) as writer:
        resting = only(await soon(writer.submit(small.bid())), OrderPlaced).order
        cancel = CancelOrder(actor=small.buyer, order=resting)
        async with commit_under_way(database_dsn, writer, small.cash("first")):
            await fill_the_queue(writer, small)
            refused = [writer.submit(small.order(key=new_key())), writer.submit(small.cash("late"))]
            many = writer.submit_many([small.cash("late too")] * 2)
            assert many.done()
            assert [future.done() for future in refused] == [True, True], "they are told at once"
            others = [writer.submit(changed(halt, step=step)) for step in ("resume", "withdraw")]
            let_in: list[asyncio.Future[venue.Outcome]] = [writer.submit(cancel), writer.submit(halt)]
            let_in += [writer.submit(cancel) for _ in range(QUEUE_RESERVE - 2)]
            one_too_many = [writer.submit(cancel), writer.submit(halt)]
        assert await answers([*refused, *one_too_many, *others]) == ["overloaded"] * 6
        assert codes(await many) == ["overloaded"] * 2
        assert (await answers(let_in))[:3] == ["done", "done", "not_found"]
        assert writer.state.listings[small.posted].state == "suspended"
        happened = await stored(database_dsn)
        assert happened[1:] == ["first", *whole_queue(), "OrderClosed", "ListingMoved"]
        assert await answers([writer.submit(small.cash("late"))]) == ["done"], "there is room again"


def whole_queue() -> Iterator[str]:
    return numbered(BATCH_LIMIT + QUEUE_LIMIT)


async def fill_the_queue(writer: Engine, small: Small) -> None:
    """A batch that is executed and waits for the last commit, and behind it as many commands as may wait."""
    names = [small.cash(name) for name in whole_queue()]
    writer.submit_many(names[:BATCH_LIMIT])
    await until(lambda: not writer.status()["queue_depth"], "the next batch is taken up")
    for start in range(BATCH_LIMIT, len(names), 500):
        assert not writer.submit_many(names[start : start + 500]).done()
    assert writer.status()["queue_depth"] == QUEUE_LIMIT


# ---- a commit whose outcome is unknown


async def test_a_commit_whose_answer_is_lost_is_looked_up_and_not_sent_again(
    database_dsn: str, small: Small
) -> None:
    async with wire_to(database_dsn) as wire, engine_on(wire.dsn) as writer:
        await soon(writer.submit(small.cash("before")))
        wire.swallows = True
        future = writer.submit(small.cash("a"))
        await until_sql(database_dsn, "select max(sequence) = 3 from journal", "it is committed")
        assert not future.done()
        with sent_batches() as sent:
            wire.cut()
            assert await answers([future]) == ["done"]
        assert sent == []
        assert await answers([writer.submit(small.cash("after"))]) == ["done"]
        assert await stored(database_dsn) == ["before", "a", "after"]
        assert await is_sound(database_dsn, writer)


@contextmanager
def sent_batches() -> Iterator[list[int]]:
    """The sequence of each batch that is sent inside the block; each really is."""
    sent: list[int] = []
    append = journal.append

    async def noted(connection: Any, epoch: int, record: Record) -> None:
        sent.append(record.sequence)
        await append(connection, epoch, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "append", noted)
        yield sent


async def test_a_connection_cut_before_the_commit_sends_the_batch_again(
    database_dsn: str, small: Small
) -> None:
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("a")) as future:
            second = writer.submit(small.cash("b"))
            await cut_engine_off(database_dsn)
            await until_a_commit_waits(database_dsn)
            assert not future.done()
        assert await answers([future, second]) == ["done", "done"]
        assert await stored(database_dsn) == ["a", "b"]
        assert await is_sound(database_dsn, writer)


async def test_a_connection_lost_at_rest_is_made_anew(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        for name in numbered(3):
            await cut_engine_off(database_dsn)
            assert await answers([writer.submit(small.cash(name))]) == ["done"]
        assert await stored(database_dsn) == list(numbered(3))
        assert await is_sound(database_dsn, writer)


async def test_a_lost_session_that_still_commits_is_waited_for(database_dsn: str, small: Small) -> None:
    """The server has not noticed that we are gone: asked too early, the cursor would say that nothing was stored."""
    async with wire_to(database_dsn) as wire, engine_on(wire.dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("a")) as future:
            wire.cut(hidden=True)
            await until(lambda: len(wire.lines) > 3, "the engine is back and has asked a few times")
        await until_sql(database_dsn, "select max(sequence) = 2 from journal", "the lost session commits")
        assert not future.done()
        wire.tell_server()
        assert await answers([future]) == ["done"]
        assert await stored(database_dsn) == ["a"]
        assert await is_sound(database_dsn, writer)


# ---- quarantine


def crowd(small: Small, bad: BookCashIn, count: int = 101) -> list[Any]:
    """Many commands with a bad one among them, one of them an order, one that opens an account."""
    commands: list[Any] = [
        small.cash(name, key=new_key(number)) for number, name in enumerate(numbered(count))
    ]
    commands[3] = small.order(new_key(10_003))
    commands[count // 2] = bad
    commands[-2] = changed(commands[-2], participant="P2")
    return commands


def expected(commands: list[Any], bad: BookCashIn) -> list[str]:
    """What the journal holds of such a crowd: each once, in the order in which they came."""
    happened: list[str] = []
    for command in commands:
        if command is bad:
            happened.append("Quarantined")
        else:
            booked = isinstance(command, BookCashIn)
            happened += [command.bank_reference] if booked else ["OrderPlaced", "Settled"]
    return happened


async def quarantined_alone(dsn: str, writer: Engine, commands: list[Any], bad: BookCashIn) -> None:
    """The bad one is journaled by its hash, all others happened, each once."""
    assert await stored(dsn) == expected(commands, bad)
    [event] = [
        event
        for batch in await batches(dsn)
        for entry in batch
        for event in entry.events
        if isinstance(event, Quarantined)
    ]
    assert event.command == "BookCashIn"
    assert writer.quarantined == 1
    assert not writer.failure
    assert bad.bank_reference not in writer.state.cash_references
    assert await is_sound(dsn, writer)


async def test_a_command_that_raises_is_set_aside_and_the_others_go_on(
    database_dsn: str, small: Small, poison: str
) -> None:
    bad = small.cash(poison, key=new_key(99_999))
    commands = crowd(small, bad)
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.order()) as before:
            futures = [writer.submit(command) for command in commands]
        assert codes([await soon(before)]) == ["done"]
        wanted = ["quarantined" if command is bad else "done" for command in commands]
        assert await answers(futures) == wanted
        assert writer.quarantined == 1
        after = await answers([writer.submit(small.cash("after"))])
        assert after == ["done"]
        happened = await stored(database_dsn)
        assert happened[2:-1] == expected(commands, bad)
        assert await is_sound(database_dsn, writer)


async def test_a_command_that_sql_refuses_is_set_aside_and_the_others_go_on(
    database_dsn: str, small: Small
) -> None:
    await a_limit_in_sql(database_dsn, small)
    bad = small.cash("too much", TOO_MUCH_FEN, new_key(99_999))
    commands = crowd(small, bad)
    async with engine_on(database_dsn) as writer:
        futures = [writer.submit(command) for command in commands]
        wanted = ["quarantined" if command is bad else "done" for command in commands]
        assert await answers(futures) == wanted
        await quarantined_alone(database_dsn, writer, commands, bad)


async def test_what_was_executed_on_a_refused_batch_is_executed_anew(database_dsn: str, small: Small) -> None:
    """The next batch was decided on memory that SQL refused: it is decided again, with its looks."""
    await a_limit_in_sql(database_dsn, small)
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("too much", TOO_MUCH_FEN)) as bad:
            good = writer.submit(small.cash("good"))
            look = asyncio.ensure_future(writer.read(references))
            await until(lambda: "good" in writer.state.cash_references, "the next batch is executed")
        assert await answers([bad, good]) == ["quarantined", "done"]
        assert (await soon(look))[-1] == "good"
        assert "too much" not in await soon(look)
        assert await stored(database_dsn) == ["Quarantined", "good"]
        assert await is_sound(database_dsn, writer)


@pytest.mark.parametrize("why", ["raises", "sql"])
async def test_one_bad_command_inside_a_submission_is_set_aside_alone(
    database_dsn: str, small: Small, poison: str, why: str
) -> None:
    await a_limit_in_sql(database_dsn, small)
    bad = small.cash(poison) if why == "raises" else small.cash("too much", TOO_MUCH_FEN)
    commands = crowd(small, bad, 21)
    async with engine_on(database_dsn) as writer:
        whole = writer.submit_many(commands)
        beside = [small.cash(name) for name in numbered(5, "beside")]
        after = writer.submit_many(beside)
        wanted = ["quarantined" if command is bad else "done" for command in commands]
        assert codes(await soon(whole)) == wanted
        assert codes(await soon(after)) == ["done"] * 5
        await quarantined_alone(database_dsn, writer, commands + beside, bad)


async def test_several_bad_commands_are_each_set_aside(database_dsn: str, small: Small, poison: str) -> None:
    await a_limit_in_sql(database_dsn, small)
    commands = [small.cash(name) for name in numbered(30)]
    for place in (0, 7, 29):
        commands[place] = small.cash(poison)
    for place in (8, 20):
        commands[place] = small.cash("too much", TOO_MUCH_FEN)
    async with engine_on(database_dsn) as writer:
        futures = [writer.submit(command) for command in commands]
        bad = (0, 7, 8, 20, 29)
        assert await answers(futures) == ["quarantined" if at in bad else "done" for at in range(30)]
        assert writer.quarantined == 5
        assert len(await stored(database_dsn)) == 30
        assert await is_sound(database_dsn, writer)


async def test_a_command_that_raises_when_the_connection_is_lost_is_set_aside_too(
    database_dsn: str, small: Small, poison: str
) -> None:
    async with engine_on(database_dsn) as writer:
        await cut_engine_off(database_dsn)
        futures = [writer.submit(small.cash(name)) for name in ("a", poison, "b")]
        assert await answers(futures) == ["done", "quarantined", "done"]
        assert await stored(database_dsn) == ["a", "Quarantined", "b"]
        assert await is_sound(database_dsn, writer)


async def test_a_number_that_postgresql_cannot_hold_is_set_aside(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused by the driver, before SQL sees it."""
    monkeypatch.setattr(cash, "MAX_CASH_FEN", 2**70)
    async with engine_on(database_dsn) as writer:
        futures = [
            writer.submit(small.cash(name, amount_fen))
            for name, amount_fen in (("a", 1), ("b", 2**63), ("c", 1))
        ]
        assert await answers(futures) == ["done", "quarantined", "done"]
        assert await stored(database_dsn) == ["a", "Quarantined", "c"]
        assert await is_sound(database_dsn, writer)


async def test_a_quarantined_id_keeps_its_answer(
    database_dsn: str, small: Small, poison: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a restart with the bug mended: nobody may be told first this and then that."""
    command = small.cash(poison, key=new_key())
    async with engine_on(database_dsn) as writer:
        first = await soon(writer.submit(command))
        again = await soon(writer.submit(command))
        assert codes([first, again]) == ["quarantined"] * 2
        assert again.repeated
        assert await answers([writer.submit(changed(command, amount_fen=1))]) == ["id_conflict"]
    monkeypatch.setitem(venue.HANDLERS, BookCashIn, cash.book_in)
    async with engine_on(database_dsn) as writer:
        assert await answers([writer.submit(command)]) == ["quarantined"]
        assert await answers([writer.submit(changed(command, key=new_key(2)))]) == ["done"]
        assert await stored(database_dsn) == ["Quarantined", poison]


async def test_a_quarantine_says_why_in_the_journal_only(
    database_dsn: str, small: Small, poison: str
) -> None:
    async with engine_on(database_dsn) as writer:
        outcome = await soon(writer.submit(small.cash(poison)))
        [[entry]] = await batches(database_dsn)
        [event] = entry.events
        assert isinstance(event, Quarantined)
        assert event.reason == "RuntimeError: a bug in a handler"
        assert outcome.refusal is not None
        assert "a bug" not in outcome.refusal.detail


# ---- the database is down, or has no room


async def test_while_the_database_is_down_callers_are_told_and_nothing_executed_is_lost(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 1.2)
    command = small.cash("committing", key=new_key())
    async with wire_to(database_dsn) as wire, engine_on(wire.dsn) as writer:
        wire.close()
        first = writer.submit(command)
        await until(lambda: bool(writer.status()["database_stuck"]), "the engine notices")
        executed = writer.submit_many([small.cash(name) for name in numbered(900)])
        reading = asyncio.ensure_future(writer.read(references))
        await until(lambda: "bank no 899" in writer.state.cash_references, "the next batch is executed")
        waiting = writer.submit_many([small.cash(name) for name in numbered(101, "too many")])
        assert await answers([first]) == ["storage_unavailable"]
        assert codes(await soon(executed)) == ["storage_unavailable"] * 900
        assert codes(await soon(waiting)) == ["storage_unavailable"] * 101
        with pytest.raises(ConnectionError):
            await soon(reading)
        assert not writer.status()["ready"]
        late = writer.submit(small.cash("late"))
        assert late.done(), "whoever comes now is told at once"
        assert codes([late.result()]) == ["storage_unavailable"]
        await wire.open()
        await until(lambda: bool(writer.status()["ready"]), "the engine is ready again")
        again = await soon(writer.submit(command))
        assert again.repeated
        assert codes([again]) == ["done"]
        assert await stored(database_dsn) == ["committing", *numbered(900)]
        assert await is_sound(database_dsn, writer)


async def test_a_short_outage_is_not_noticed_by_callers(database_dsn: str, small: Small) -> None:
    async with wire_to(database_dsn) as wire, engine_on(wire.dsn) as writer:
        wire.close()
        futures = submitted(writer, small, numbered(100))
        await until(lambda: bool(writer.status()["database_stuck"]), "the engine notices")
        await wire.open()
        assert await answers(futures) == ["done"] * 100
        assert await stored(database_dsn) == list(numbered(100))
        assert writer.status()["ready"]


async def test_a_silent_database_keeps_nobody_waiting_for_ever(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the batch and says nothing. Callers are told; once it speaks, everything is there once."""
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 0.3)
    async with wire_to(database_dsn) as wire, engine_on(wire.dsn) as writer:
        wire.swallows = True
        futures = submitted(writer, small, numbered(3))
        assert await answers(futures) == ["storage_unavailable"] * 3
        assert not writer.status()["ready"]
        wire.swallows = False
        await until(lambda: bool(writer.status()["ready"]), "the engine is ready again")
        assert await stored(database_dsn) == list(numbered(3))
        assert await is_sound(database_dsn, writer)


async def test_a_commit_that_hangs_on_a_lock_keeps_nobody_waiting_for_ever(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 0.3)
    async with engine_on(database_dsn) as writer:
        async with held_cursor(database_dsn):
            assert await answers([writer.submit(small.cash("a"))]) == ["storage_unavailable"]
        await until(lambda: bool(writer.status()["ready"]), "the engine is ready again")
        assert await stored(database_dsn) == ["a"]


async def test_stopping_does_not_wait_for_a_dead_database_for_ever(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 0.3)
    async with wire_to(database_dsn) as wire, engine_on(wire.dsn) as writer:
        wire.close()
        future = writer.submit(small.cash("a"))
        await soon(writer.stop(), "the engine stops")
        assert await answers([future]) == ["storage_unavailable"]
        assert "the database does not answer" in writer.failure
    async with engine_on(database_dsn) as writer:
        assert await stored(database_dsn) == []


async def a_full_disk(dsn: str) -> None:
    """Every new journal row meets SQLSTATE 53100, disk_full."""
    await execute(
        dsn,
        """create function no_room() returns trigger language plpgsql as
           $$ begin raise exception 'No space left on device' using errcode = '53100'; end $$""",
    )
    await execute(
        dsn, "create trigger full_disk before insert on journal for each row execute function no_room()"
    )


async def test_on_a_full_disk_the_batch_is_kept_and_sent_again(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_full_disk(database_dsn)
    async with engine_on(database_dsn) as writer:
        futures = submitted(writer, small, numbered(3))
        await until(lambda: bool(writer.status()["database_stuck"]), "the engine notices")
        assert not futures[0].done()
        assert await sizes(database_dsn) == []
        await execute(database_dsn, "drop trigger full_disk on journal")
        assert await answers(futures) == ["done"] * 3
        assert await stored(database_dsn) == list(numbered(3))
        assert writer.quarantined == 0
        assert await is_sound(database_dsn, writer)


async def test_on_a_full_disk_callers_are_told_after_a_while(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 0.2)
    await a_full_disk(database_dsn)
    async with engine_on(database_dsn) as writer:
        try:
            assert await answers([writer.submit(small.cash("a"))]) == ["storage_unavailable"]
        finally:
            await execute(database_dsn, "drop trigger full_disk on journal")
        await until(lambda: bool(writer.status()["ready"]), "the engine is ready again")
        assert await stored(database_dsn) == ["a"]


# ---- time


async def test_a_due_date_acts_by_a_journaled_tick(database_dsn: str) -> None:
    """A delivery is a hundred days late; nobody sends a command."""
    small = found(ago_ns=100 * DAY_NS)
    trade = small.world.buy(small.buyer, small.posted)
    await lay(database_dsn, small)
    async with engine_on(database_dsn) as writer:
        await until(lambda: trade not in writer.state.trades, "the trade is refunded")
        await until(lambda: writer.sequence > 1, "it is committed")
        [entry] = [entry for batch in await batches(database_dsn) for entry in batch]
        assert entry.actor == VENUE
        assert [type(event).__name__ for event in entry.events][:1] == ["Ticked"]
        assert "Refunded" in await stored(database_dsn)
        assert await is_sound(database_dsn, writer)


async def test_a_date_whose_deed_raises_is_set_aside_once_and_dates_stop(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trading goes on; after a start with the bug mended the deed is done."""
    small = found(ago_ns=100 * DAY_NS)
    trade = small.world.buy(small.buyer, small.posted)
    await lay(database_dsn, small)
    deed = venue.ON_DUE["trade"]

    def raises(*_: Any) -> Any:
        raise RuntimeError("a bug in a date")

    monkeypatch.setitem(venue.ON_DUE, "trade", raises)
    async with engine_on(database_dsn) as writer:
        await until(lambda: bool(writer.status()["dates_stopped"]), "dates stop")
        await looks_at_the_clock(writer, 3)
        assert await answers([writer.submit(small.cash("a"))]) == ["done"]
        assert await stored(database_dsn) == ["Quarantined", "a"]
        assert await is_sound(database_dsn, writer)
    monkeypatch.setitem(venue.ON_DUE, "trade", deed)
    async with engine_on(database_dsn) as writer:
        await until(lambda: trade not in writer.state.trades, "the trade is refunded")
        assert not writer.status()["dates_stopped"]


async def test_without_a_due_date_nothing_is_written(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        await looks_at_the_clock(writer, 3)
        assert await sizes(database_dsn) == []


async def looks_at_the_clock(writer: Engine, count: int) -> None:
    """Wait until the engine has looked at its clock that often, and one time more has begun."""
    looks: list[None] = []
    with pytest.MonkeyPatch.context() as patch:
        watch = writer.clock.watch
        patch.setattr(writer.clock, "watch", lambda: looks.append(watch()))
        await until(lambda: len(looks) > count, f"{count} looks at the clock")


async def test_nothing_expires_while_the_wall_clock_is_in_doubt(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It jumps ten minutes ahead, then the date of a delivery comes. An operator accepts the jump; then it counts."""
    small = found(ago_ns=100 * DAY_NS)
    trade = small.world.buy(small.buyer, small.posted)
    due_ns = small.world.state.trades[trade].due_ns
    await lay(database_dsn, small)
    writer = Engine(database_dsn, empty)
    times = {"wall": due_ns - MINUTE_NS, "steady": 0}
    monkeypatch.setattr(writer.clock, "_wall", lambda: times["wall"])
    monkeypatch.setattr(writer.clock, "_steady", lambda: times["steady"])
    writer.clock.accept()
    await writer.start()
    try:
        times["wall"] += 10 * MINUTE_NS
        await until(lambda: writer.clock.alarm_ns > 0, "the jump is noticed")
        assert writer.status()["clock_alarm_seconds"] == 600
        times["wall"] += 2 * MINUTE_NS
        times["steady"] += 2 * MINUTE_NS
        await looks_at_the_clock(writer, 3)
        assert await answers([writer.submit(small.cash("a"))]) == ["done"], "trading goes on"
        assert writer.state.now_ns > due_ns
        assert trade in writer.state.trades
        writer.clock.accept()
        await until(lambda: trade not in writer.state.trades, "the trade is refunded")
        assert writer.state.now_ns > due_ns + 10 * MINUTE_NS
    finally:
        await writer.stop()


async def test_what_falls_due_by_an_advance_happens_before_anything_else(database_dsn: str) -> None:
    """On a simulated clock, in the same batch, each date at its turn."""
    small = found(simulated=True)
    trade = small.world.buy(small.buyer, small.posted)
    await lay(database_dsn, small)
    async with engine_on(database_dsn, simulated=True) as writer:
        advance = AdvanceClock(actor=OPERATOR, seconds=400 * 86_400)
        outcomes = await soon(writer.submit_many([advance, small.cash("after")]))
        assert codes(outcomes) == ["done", "done"]
        [batch] = await batches(database_dsn)
        first, *middle, last = [type(entry.events[0]).__name__ for entry in batch]
        assert (first, last) == ("ClockAdvanced", "CashBooked")
        assert set(middle) == {"Ticked"}
        assert trade not in writer.state.trades
        assert [entry.at_ns for entry in batch] == sorted({entry.at_ns for entry in batch})
        assert await is_sound(database_dsn, writer)


@pytest.mark.parametrize("simulated", [True, False])
async def test_a_venue_never_changes_its_clock(database_dsn: str, simulated: bool) -> None:
    await lay(database_dsn, found(simulated=simulated))
    other = Engine(database_dsn, empty, not simulated)
    with pytest.raises(Simulated, match="with --simulated" if simulated else "without --simulated"):
        await other.start()
    async with engine_on(database_dsn, simulated) as writer:
        assert writer.simulated == simulated, "it can be started as before"


async def test_what_is_listed_keeps_its_board(database_dsn: str) -> None:
    small = found()
    await lay(database_dsn, small)

    def without() -> State:
        state = empty()
        state.boards = {name: board for name, board in state.boards.items() if name != "general"}
        return state

    with pytest.raises(BoardError, match=r"put general\.toml back"):
        await Engine(database_dsn, without, False).start()


async def test_what_cannot_be_recovered_leaves_no_connection(database_dsn: str, small: Small) -> None:
    """A journal that is broken is refused, and while nobody has thrown that engine away another one may write."""
    broken = Engine(database_dsn, empty)
    async with session(database_dsn) as connection:
        await connection.execute("update journal set checksum = sha256(checksum)")
        with pytest.raises(JournalBroken):
            await broken.start()
        connected = (
            "select count(*) = 0 from pg_stat_activity"
            " where datname = current_database() and application_name = 'shuji' and pid <> pg_backend_pid()"
        )
        await until_sql(database_dsn, connected, "the connection is gone")
        whole = await connection.fetchval("select body from journal")
        await connection.execute("update journal set checksum = $1", journal.checksum_of(b"", whole))
    async with engine_on(database_dsn) as writer:
        assert writer.epoch > broken.epoch


async def test_instants_grow_from_entry_to_entry_also_over_a_restart(database_dsn: str, small: Small) -> None:
    for word in "ab":
        async with engine_on(database_dsn) as writer:
            await soon(writer.submit_many([small.cash(name) for name in numbered(500, word)]))
    instants = [entry.at_ns for batch in await batches(database_dsn, 0) for entry in batch]
    assert instants == sorted(set(instants))


# ---- command ids


async def test_an_id_is_executed_once_inside_a_batch_across_batches_and_a_restart(
    database_dsn: str, small: Small
) -> None:
    order = small.order(new_key())
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("first")):
            together = [writer.submit(order) for _ in range(3)]
            many = writer.submit_many([order, order])
        outcomes = [*await soon(asyncio.gather(*together)), *await soon(many)]
        assert [outcome.repeated for outcome in outcomes] == [False, True, True, True, True]
        outcomes.append(await soon(writer.submit(order)))
    async with engine_on(database_dsn) as writer:
        outcomes.append(await soon(writer.submit(order)))
        assert await answers([writer.submit(changed(order, quantity=2))]) == ["id_conflict"]
        assert await is_sound(database_dsn, writer)
    assert len({(outcome.events, outcome.entry, outcome.at_ns) for outcome in outcomes}) == 1
    assert await stored(database_dsn) == ["first", "OrderPlaced", "Settled"]


async def test_a_repetition_is_not_answered_before_the_first_is_committed(
    database_dsn: str, small: Small
) -> None:
    """It stores nothing itself, but what it tells is not true before the commit."""
    order = small.order(new_key())
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, order) as first:
            again = writer.submit(order)
            await until(lambda: not writer.status()["queue_depth"], "it is taken up")
            assert await nothing_comes(again)
        assert (await soon(again)).events == (await soon(first)).events


# ---- start and stop


async def test_a_new_venue_adopts_its_rulebook_once(database_dsn: str) -> None:
    for _ in range(2):
        async with engine_on(database_dsn) as writer:
            assert writer.state.rulebook_sha256 == writer.state.rulebook.sha256
    assert await stored(database_dsn, 0) == ["RulebookAdopted", "GradesLooked"]


async def test_recovery_by_snapshot_and_by_journal_alone_gives_the_same_bytes(
    database_dsn: str, small: Small
) -> None:
    async with engine_on(database_dsn) as writer, session(database_dsn) as connection:
        await live_a_little(writer, small, "a")
        taken = await snapshot.take(connection, empty)
        await live_a_little(writer, small, "b")
        state = encode_state(writer.state)
        both = await journal.recover(connection, empty)
        await connection.execute("delete from snapshot")
        alone = await journal.recover(connection, empty)
    assert encode_state(both.state) == encode_state(alone.state) == state
    assert (both.sequence, both.checksum) == (alone.sequence, alone.checksum)
    assert both.replayed < alone.replayed
    assert 1 < taken < both.sequence


async def live_a_little(writer: Engine, small: Small, word: str) -> None:
    """Orders that settle and rest, a cancel, a kept refusal, ids."""
    resting = only(await soon(writer.submit(small.bid(3))), OrderPlaced).order
    await soon(writer.submit(CancelOrder(actor=small.buyer, order=resting)))
    keys = [new_key(number) for number in range(5)]
    commands = [small.bid(2), *(small.order(key) for key in keys), *map(small.cash, numbered(5, word))]
    assert codes(await soon(writer.submit_many(commands))) == ["done"] * 11
    unlawful = changed(small.order(new_key(77)), actor=small.merchant)
    assert (await answers([writer.submit(unlawful)]))[0] != "done"


async def test_a_restart_goes_on_where_the_journal_ends(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        await live_a_little(writer, small, "a")
        state = encode_state(writer.state)
    async with engine_on(database_dsn) as writer:
        assert encode_state(writer.state) == state
        await live_a_little(writer, small, "b")
        assert await is_sound(database_dsn, writer)


async def test_stopping_drains_the_queue(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("first")) as first:
            futures = submitted(writer, small, numbered(2 * BATCH_LIMIT))
            stopping = asyncio.create_task(writer.stop())
            await until(lambda: writer.submit(small.cash("late")).done(), "latecomers are refused")
            assert not stopping.done()
        await soon(stopping, "the engine stops")
        assert writer.stopped.is_set()
        assert await answers([first, *futures]) == ["done"] * (2 * BATCH_LIMIT + 1)
        assert await answers([writer.submit(small.cash("later"))]) == ["storage_unavailable"]
        happened = await stored(database_dsn)
        assert [name for name in happened if name != "late"] == ["first", *numbered(2 * BATCH_LIMIT)]
        assert not writer.failure


async def test_a_stopped_engine_leaves_the_shard_to_others(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as first:
        pass
    async with engine_on(database_dsn) as second:
        assert second.epoch == first.epoch + 1


async def test_the_status_counts_what_was_committed(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        assert writer.recovered_entries == small.entries
        await soon(writer.submit_many([small.cash(name) for name in numbered(7)]))
        status = writer.status()
        assert (status["entries"], status["sequence"], status["commits"]) == (7, 2, 1)
        assert status["ready"]
        assert status["commit_ms_p99"] >= status["commit_ms_p50"] > 0


# --- what a review found


async def test_a_read_that_comes_while_the_engine_stops_is_answered(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        async with commit_under_way(database_dsn, writer, small.cash("a")):
            stopping = asyncio.create_task(writer.stop())
            await asyncio.sleep(0)
            reading = asyncio.ensure_future(writer.read(lambda state: list(state.cash_references)))
            await asyncio.sleep(0)
        await soon(stopping)
        assert "a" in await soon(reading)


async def test_a_cancel_in_front_opens_the_reserve_to_nothing_behind_it(
    database_dsn: str, small: Small
) -> None:
    async with engine_on(database_dsn) as writer, commit_under_way(database_dsn, writer, small.cash("first")):
        await fill_the_queue(writer, small)
        cancel = CancelOrder(actor=small.buyer, order="O1")
        mixed = writer.submit_many([cancel, *map(small.cash, numbered(500, "z"))])
        assert mixed.done()
        assert {outcome.refusal and outcome.refusal.code.name for outcome in mixed.result()} == {"overloaded"}
        assert not writer.submit_many([cancel] * 500).done()


async def test_a_session_that_dies_in_the_midst_of_a_recovery_is_replaced(
    database_dsn: str, small: Small, poison: str
) -> None:
    waits = (
        "select exists (select from pg_stat_activity where datname = current_database()"
        " and application_name = 'shuji' and wait_event_type = 'Lock')"
    )
    async with engine_on(database_dsn) as writer:
        async with session(database_dsn) as other, other.transaction():
            await other.execute("lock table snapshot")
            future = writer.submit(small.cash(poison))
            await until_sql(database_dsn, waits, "the recovery waits")
            await cut_engine_off(database_dsn)
        assert codes([await soon(future)]) == ["quarantined"]
        assert writer.failure == ""


async def test_nobody_reads_memory_that_is_being_healed(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQL refuses a batch; done again, one of its commands raises; somebody reads while memory is recovered again."""
    await a_limit_in_sql(database_dsn, small)
    decided: list[int] = []
    reads: list[asyncio.Future[list[str]]] = []
    recover = journal.recover

    def raises_the_second_time(state: State, command: BookCashIn, at_ns: int) -> venue.Decision:
        if command.bank_reference == "second":
            decided.append(1)
            if len(decided) == 2:
                raise RuntimeError("a bug")
        return cash.book_in(state, command, at_ns)

    monkeypatch.setitem(venue.HANDLERS, BookCashIn, raises_the_second_time)
    async with engine_on(database_dsn) as writer:

        async def read_meanwhile(connection: Any, fresh: Any) -> Any:
            if len(decided) == 2 and not reads:
                look = writer.read(lambda state: list(state.cash_references))
                reads.append(asyncio.ensure_future(look))
                assert await nothing_comes(reads[0])
            return await recover(connection, fresh)

        monkeypatch.setattr(journal, "recover", read_meanwhile)
        names = [("first", 1), ("second", 1), ("big", TOO_MUCH_FEN)]
        await answers([writer.submit(small.cash(*name)) for name in names])
        assert "first" in await soon(reads[0])
        assert "big" not in await reads[0]
