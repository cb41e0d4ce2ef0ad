"""The projector as a process of its own: it follows, is started again when it dies, says why it gives up."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from exchange.projecting import ProjectorProcess, until_over
from exchange.projector import ProjectorStopped, compare
from tests.exchange.journal_writing import append, entry, registered

PATIENCE_S = 30


@asynccontextmanager
async def running(dsn: str) -> AsyncIterator[ProjectorProcess]:
    process = ProjectorProcess(dsn)
    task = asyncio.create_task(process.run())
    try:
        yield process
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest_asyncio.fixture
async def connection(database_dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()


async def write(connection: Any, number: int) -> None:
    """One more participant, in a journal row of its own."""
    await append(connection, number, entry(number, registered(f"P{number}")))


async def names(connection: Any) -> list[str]:
    return [row["id"] for row in await connection.fetch("SELECT id FROM participant_name ORDER BY number")]


def child_of(process: ProjectorProcess) -> int:
    assert process._child is not None
    return process._child.pid


async def test_it_follows_what_it_is_told_of(database_dsn: str, connection: Any) -> None:
    await write(connection, 1)
    async with running(database_dsn) as process:
        await process.caught_up(1, PATIENCE_S)
        for number in range(2, 30):
            await write(connection, number)
            process.wake(number)
        await process.caught_up(29, PATIENCE_S)
        assert process.sequence == 29
        assert process.connected
        assert await names(connection) == [f"P{number}" for number in range(1, 30)]
    assert await compare(connection) is None


async def test_without_a_reader_in_a_hurry_it_follows_as_well(database_dsn: str, connection: Any) -> None:
    async with running(database_dsn) as process:
        await write(connection, 1)
        process.wake(1)
        async with asyncio.timeout(PATIENCE_S):
            while process.sequence < 1:
                await asyncio.sleep(0.01)


async def test_killed_it_is_started_again_and_misses_nothing(database_dsn: str, connection: Any) -> None:
    async with running(database_dsn) as process:
        await write(connection, 1)
        await process.caught_up(1, PATIENCE_S)
        first = child_of(process)
        os.kill(first, signal.SIGKILL)
        await write(connection, 2)
        process.wake(2)
        await process.caught_up(2, PATIENCE_S)
        assert child_of(process) != first
        assert await names(connection) == ["P1", "P2"]


async def test_what_it_cannot_project_stops_it_and_is_said(database_dsn: str, connection: Any) -> None:
    await write(connection, 1)
    await connection.execute("UPDATE journal SET body = '\\xc1'")
    process = ProjectorProcess(database_dsn)
    task = asyncio.create_task(process.run())
    with pytest.raises(ProjectorStopped, match="body cannot be read"):
        await process.caught_up(1, PATIENCE_S)
    await task
    assert "journal 1" in process.failure
    with pytest.raises(ProjectorStopped):
        await process.caught_up(1)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the child in /proc")
async def test_it_ends_with_its_parent(database_dsn: str) -> None:
    async with running(database_dsn) as process:
        await process.caught_up(0, PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while not process.connected:
                await asyncio.sleep(0.01)
        child = child_of(process)
    assert not Path(f"/proc/{child}").exists()


async def test_a_cancellation_that_got_lost_is_said_again() -> None:
    """A connection that breaks while its task is cancelled raises its own error instead, and the task goes on."""
    lost = 2

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if not lost:
                    raise
                lost -= 1

    work = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        await until_over(work)
    assert work.cancelled()
