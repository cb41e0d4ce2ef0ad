"""Snapshots from a second process while the engine lives: a shortcut to the same state, never another one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from exchange import engine, journal, snapshot
from exchange.engine import Engine
from exchange.events import SCHEMA_VERSION
from exchange.journal import JournalBroken
from exchange.snapshot import Snapshots
from exchange.state import decode_state, encode_state, state_hash
from tests.exchange.small_venue import (
    Small,
    answers,
    codes,
    engine_on,
    execute,
    held_cursor,
    is_sound,
    lay,
    numbered,
    replayed,
    session,
    soon,
    until,
    until_a_commit_waits,
    until_sql,
)
from tests.exchange.world import boards, empty, rulebook

FLIP = "update snapshot set body = set_byte(body, 99, get_byte(body, 99) # 1)"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an engine stops sooner."""
    monkeypatch.setattr(engine, "TICK_SECONDS", 0.02)


@pytest.fixture
async def small(database_dsn: str) -> Small:
    return await lay(database_dsn)


async def process(dsn: str) -> tuple[int, str]:
    """`python -m exchange.snapshot`: its exit status, and what it says on the error stream."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "exchange.snapshot",
        env={**os.environ, "SHUJI_DSN": dsn},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await soon(started.communicate(), "the snapshot process ends")
    assert started.returncode is not None
    return started.returncode, said.decode()


async def snapshots(dsn: str) -> list[Any]:
    async with session(dsn) as connection:
        rows: list[Any] = await connection.fetch("select * from snapshot order by sequence")
        return rows


async def take(dsn: str) -> int:
    """The same in this process, where the process itself is not the point."""
    async with session(dsn) as connection:
        return await snapshot.take(connection, empty)


async def trade(writer: Engine, small: Small, word: str, count: int = 20) -> None:
    """One batch."""
    commands: list[Any] = [*map(small.cash, numbered(count - 2, word)), small.order(), small.bid()]
    assert codes(await soon(writer.submit_many(commands))) == ["done"] * count


# ---- the second process


async def test_it_writes_the_state_of_a_living_engine_under_its_hash(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        await trade(writer, small, "a")
        assert await process(database_dsn) == (0, "2\n")
        [row] = await snapshots(database_dsn)
        assert (row["shard"], row["sequence"], row["schema"]) == (0, 2, SCHEMA_VERSION)
        assert row["body"] == encode_state(writer.state)
        assert row["state_sha256"] == state_hash(row["body"])
        assert encode_state(decode_state(row["body"], boards(), rulebook(), "CN-46")) == row["body"]
        assert await answers([writer.submit(small.cash("after"))]) == ["done"], "the engine is not fenced"
        assert await is_sound(database_dsn, writer)


async def test_it_does_not_wait_for_a_commit_and_sees_nothing_of_it(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        await trade(writer, small, "a")
        state = encode_state(writer.state)
        async with held_cursor(database_dsn):
            future = writer.submit(small.cash("b"))
            await until_a_commit_waits(database_dsn)
            assert await take(database_dsn) == 2
        await soon(future)
    [row] = await snapshots(database_dsn)
    assert row["body"] == state


async def test_an_engine_recovers_from_it_and_replays_only_the_rest(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        await trade(writer, small, "a", 20)
        assert writer.recovered_entries == small.entries
        assert (await process(database_dsn))[0] == 0
        await trade(writer, small, "b", 30)
        state = encode_state(writer.state)
    async with engine_on(database_dsn) as writer:
        assert writer.recovered_entries == 30
        assert encode_state(writer.state) == state
        await trade(writer, small, "c")
        assert await is_sound(database_dsn, writer)


async def test_the_rows_before_it_are_not_read_any_more(database_dsn: str, small: Small) -> None:
    """A row that is broken behind a snapshot is the business of `verify`; the engine starts."""
    async with engine_on(database_dsn) as writer:
        await trade(writer, small, "a")
        await trade(writer, small, "b")
        state = encode_state(writer.state)
    await take(database_dsn)
    await execute(database_dsn, "update journal set body = 'x' where sequence = 2")
    async with engine_on(database_dsn) as writer:
        assert encode_state(writer.state) == state


async def test_the_next_one_is_made_of_the_last_and_the_journal_behind_it(
    database_dsn: str, small: Small
) -> None:
    async with engine_on(database_dsn) as writer:
        await trade(writer, small, "a")
        await take(database_dsn)
        await execute(database_dsn, "update journal set body = 'x' where sequence = 1")
        await trade(writer, small, "b")
        assert await take(database_dsn) == 3
        assert (await snapshots(database_dsn))[-1]["body"] == encode_state(writer.state)


async def test_two_are_kept(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        for number, word in enumerate("abcd", 2):
            await trade(writer, small, word)
            assert await take(database_dsn) == number
            kept = [row["sequence"] for row in await snapshots(database_dsn)]
            assert kept == [sequence for sequence in (number - 1, number) if sequence > 1]


async def test_where_nothing_has_happened_nothing_is_written(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer:
        await trade(writer, small, "a")
        assert await process(database_dsn) == (0, "2\n")
        before = await snapshots(database_dsn)
        assert await process(database_dsn) == (0, "2\n")
        assert await snapshots(database_dsn) == before, "not even at another instant"


async def test_of_an_empty_venue_there_is_none(database_dsn: str) -> None:
    assert await process(database_dsn) == (0, "0\n")
    assert await snapshots(database_dsn) == []


# ---- what it refuses


@pytest.mark.parametrize(
    "statement",
    [
        "update account set balance = balance + 1 where owner = 'P4' and asset = 'CNY'",
        "update account set reserved = reserved + 1 where owner = 'P4' and asset = 'CNY'",
        "delete from account where owner = 'P4' and asset = 'CNY'",
    ],
)
async def test_where_the_account_table_differs_it_refuses(
    database_dsn: str, small: Small, statement: str
) -> None:
    await execute(database_dsn, statement)
    with pytest.raises(
        JournalBroken, match=r"account P4 CNY: the table differs from the journal; run verify"
    ):
        await take(database_dsn)
    assert await snapshots(database_dsn) == []


async def test_a_refusal_is_the_status_and_the_last_line_of_the_process(
    database_dsn: str, small: Small
) -> None:
    await execute(database_dsn, "update account set balance = balance + 1 where owner = 'P4'")
    status, said = await process(database_dsn)
    assert status == 1
    assert said.rstrip().endswith("account P4 CNY: the table differs from the journal; run verify")
    assert await snapshots(database_dsn) == []


async def test_an_account_that_moves_meanwhile_is_no_difference(
    database_dsn: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Journal and accounts are read as of one instant, though the engine commits between the two."""
    recover = journal.recover
    async with engine_on(database_dsn) as writer:

        async def recover_slowly(connection: Any, fresh: Any) -> Any:
            recovered = await recover(connection, fresh)
            await trade(writer, small, "meanwhile")
            return recovered

        monkeypatch.setattr(journal, "recover", recover_slowly)
        assert await take(database_dsn) == 1
        monkeypatch.setattr(journal, "recover", recover)
        assert await take(database_dsn) == 2


async def take_and(dsn: str, statement: str) -> None:
    await take(dsn)
    await execute(dsn, statement)


async def test_a_snapshot_that_was_tampered_with_is_refused_by_name(database_dsn: str, small: Small) -> None:
    await take_and(database_dsn, FLIP)
    words = "snapshot 1: the body does not hash to its name; delete this row"
    writer = Engine(database_dsn, empty)
    with pytest.raises(JournalBroken, match=words):
        await writer.start()
    await writer.stop()
    status, said = await process(database_dsn)
    assert status == 1
    assert words in said
    await execute(database_dsn, "delete from snapshot")
    async with engine_on(database_dsn) as writer:
        assert writer.recovered_entries == small.entries, "the advice helps"


async def test_a_snapshot_of_another_schema_is_passed_over(database_dsn: str, small: Small) -> None:
    await take_and(database_dsn, f"update snapshot set schema = {SCHEMA_VERSION + 1}, body = 'x'")
    async with engine_on(database_dsn) as writer:
        assert writer.recovered_entries == small.entries


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("update journal set body = body || 'x' where sequence = 3", "journal 3: the checksum does not fit"),
        ("update journal set checksum = '' where sequence = 2", "journal 3: the checksum does not fit"),
        ("delete from journal where sequence = 3", "journal 3 is missing"),
        ("update journal set schema = 99 where sequence = 4", "journal 4: schema 99 is newer"),
    ],
)
async def test_a_journal_that_does_not_follow_the_snapshot_is_refused(
    database_dsn: str, small: Small, statement: str, words: str
) -> None:
    async with engine_on(database_dsn) as writer:
        await trade(writer, small, "a")
        await take(database_dsn)
        await trade(writer, small, "b")
        await trade(writer, small, "c")
    await execute(database_dsn, statement)
    with pytest.raises(JournalBroken, match=words):
        await replayed(database_dsn)
    assert len(await snapshots(database_dsn)) == 1


# ---- when it is started


@asynccontextmanager
async def snapshots_every(entries: int, writer: Engine) -> AsyncIterator[None]:
    running = asyncio.create_task(Snapshots(writer, "CN-46", entries).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


SNAPSHOT_WAITS = """select exists (select from pg_stat_activity where datname = current_database()
    and wait_event_type = 'Lock' and query like '%from snapshot%' and pid <> pg_backend_pid())"""
LATEST = "select coalesce(max(sequence), 0) from snapshot"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that were started so far; each really is."""
    started: list[subprocess.Popen[bytes]] = []
    start = snapshot._started

    def noted(environment: dict[str, str]) -> subprocess.Popen[bytes]:
        started.append(start(environment))
        return started[-1]

    monkeypatch.setattr(snapshot, "_started", noted)
    return started


async def test_the_process_is_started_each_time_so_many_entries_have_come(
    database_dsn: str, small: Small, started: list[subprocess.Popen[bytes]]
) -> None:
    """What was replayed at the start counts too."""
    async with engine_on(database_dsn) as writer, snapshots_every(30, writer):
        await trade(writer, small, "a", 29 - small.entries)
        await trade(writer, small, "b", 2)
        await until_sql(database_dsn, f"select ({LATEST}) = 3", "the first is taken")
        await trade(writer, small, "c", 29)
        await until(lambda: started[0].returncode == 0, "the process has ended")
        await asyncio.sleep(0.05)
        assert len(started) == 1, "one entry is lacking"
        await trade(writer, small, "d", 2)
        await until_sql(database_dsn, f"select ({LATEST}) = 5", "the second is taken")
        assert len(started) == 2
        assert await is_sound(database_dsn, writer)


async def test_after_a_long_replay_one_is_taken_at_once(database_dsn: str, small: Small) -> None:
    async with engine_on(database_dsn) as writer, snapshots_every(small.entries, writer):
        await until_sql(database_dsn, f"select ({LATEST}) = 1", "one is taken")


async def test_a_process_that_fails_is_logged_and_tried_again(
    database_dsn: str, small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    async with engine_on(database_dsn) as writer, snapshots_every(40, writer):
        await take_and(database_dsn, FLIP)
        await trade(writer, small, "a", 40)
        await until(lambda: "delete this row" in caplog.text, "the failure is logged")
        await execute(database_dsn, "delete from snapshot")
        await trade(writer, small, "b", 40)
        await until_sql(database_dsn, f"select ({LATEST}) = 3", "the next one is taken")


async def test_an_end_does_not_leave_the_process_behind(
    database_dsn: str, small: Small, started: list[subprocess.Popen[bytes]]
) -> None:
    """It is in the midst of its work: it waits for a lock."""
    async with engine_on(database_dsn) as writer, session(database_dsn) as other, other.transaction():
        await other.execute("lock table snapshot")
        async with snapshots_every(1, writer):
            await until_sql(database_dsn, SNAPSHOT_WAITS, "the process waits")
            assert started[0].returncode is None
        assert started[0].returncode == -signal.SIGKILL
