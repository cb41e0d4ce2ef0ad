"""Snapshots from a second process: `python -m exchange.snapshot`, so that the engine never pauses for one.

It reads the latest snapshot, replays the journal behind it, checks the ledger's invariants and the account table as
of that position, and writes the next snapshot under its state hash. `verify` replays from the very beginning and
compares every snapshot's hash.
"""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

from clearing import notrade
from exchange import board, journal
from exchange.engine import Engine
from exchange.events import SCHEMA_VERSION
from exchange.state import State, encode_state, state_hash

log = logging.getLogger("shuji.snapshot")

EVERY: Final = 200_000
"""Entries between two snapshots: about two seconds of recovery."""

NICENESS: Final = 10
KEPT: Final = 2
"""Older snapshots are deleted: the journal behind them is whole, so they are only a shortcut."""


async def take(connection: Any, empty: Callable[[], State]) -> int:
    """Write a snapshot as of the journal's end; its sequence. Nothing is written where nothing has happened since."""
    async with connection.transaction(isolation="repeatable_read"):
        recovered = await journal.recover(connection, empty)
        recovered.state.ledger.check()
        await _compare_accounts(connection, recovered.state)
    body = encode_state(recovered.state)
    if not recovered.replayed:
        return recovered.sequence
    async with connection.transaction():
        await connection.execute(
            "insert into snapshot (shard, sequence, schema, state_sha256, body) values ($1, $2, $3, $4, $5)"
            " on conflict do nothing",
            journal.SHARD,
            recovered.sequence,
            SCHEMA_VERSION,
            state_hash(body),
            body,
        )
        await connection.execute(
            "delete from snapshot where shard = $1 and sequence not in"
            " (select sequence from snapshot where shard = $1 order by sequence desc limit $2)",
            journal.SHARD,
            KEPT,
        )
    return recovered.sequence


async def _compare_accounts(connection: Any, state: State) -> None:
    stored = {
        (row["owner"], row["asset"]): (row["balance"], row["reserved"])
        for row in await connection.fetch(
            "select owner, asset, balance, reserved from account where shard = $1", 0
        )
    }
    for owner, asset, balance, reserved in state.ledger.dump()["accounts"]:
        if stored.pop((owner, asset), (0, 0)) != (balance, reserved):
            raise journal.JournalBroken(
                f"account {owner} {asset}: the table differs from the journal; run verify"
            )
    for owner, asset in stored:
        raise journal.JournalBroken(f"account {owner} {asset}: the journal knows nothing of it; run verify")


class Snapshots:
    """Starts the second process each time the journal has grown by `every` entries since the last snapshot."""

    def __init__(self, engine: Engine, jurisdiction: str, every: int = EVERY) -> None:
        self._engine = engine
        self._every = every
        self._environment = {**os.environ, "SHUJI_DSN": engine.dsn, "SHUJI_JURISDICTION": jurisdiction}
        self._last = engine.entries_committed - engine.recovered_entries
        self._wake = asyncio.Event()
        engine.on_commit.append(self._look)

    def _look(self, sequence: int) -> None:
        if self._engine.entries_committed - self._last >= self._every:
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled. A snapshot that fails is logged and tried again after the next `every` entries."""
        self._look(0)
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._last = self._engine.entries_committed
            process = _started(self._environment)
            try:
                _, said = await asyncio.to_thread(process.communicate)
            except asyncio.CancelledError:
                _end(process)
                raise
            if process.returncode:
                log.error("the snapshot failed: %s", said.decode(errors="replace")[-500:])


def _started(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Not by the event loop, and nothing is run between fork and exec: uvloop, and Python where there is something to run,
    copy the page tables first, which stops the engine for 55 ms a GB. This takes 0.5 ms.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "exchange.snapshot"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


async def _main(dsn: str, jurisdiction: str) -> int:
    boards = board.load()
    rulebook = notrade.load(boards=boards)
    connection = await journal.connect(dsn)
    try:
        return await take(connection, lambda: State(boards, rulebook, jurisdiction))
    finally:
        await connection.close()


if __name__ == "__main__":
    os.nice(NICENESS)  # the engine goes first
    print(
        asyncio.run(_main(os.environ["SHUJI_DSN"], os.environ.get("SHUJI_JURISDICTION", "CN-46"))),
        file=sys.stderr,
    )
