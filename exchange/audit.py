"""Who saw and did what: the audit log of reads that an office opened and of its steps, written before the answers go out.

What was decided is in the journal; here it stands beside what was looked at. Rows are in PostgreSQL, are only added to, and
each has a checksum over the one before it, so that `shuji verify` names a row that was changed or taken out. Requests that
wait at the same time are one transaction: a read pays one commit, many reads hardly more.

数据安全法第三十三条：「从事数据交易中介服务的机构……应当……留存审核、交易记录」；how long is the rulebook's: the term of
records (网络数据安全管理条例第十二条, three years), `clearing.duties.KINDS`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final

import asyncpg
import msgspec

from clearing.calendar import day_of, end_of, years_on
from clearing.duties import KINDS

MOST_AT_ONCE: Final = 1_000
MOST_WAITING: Final = 10_000
PATIENCE_S: Final = 5.0
PRUNE_S: Final = 3_600.0
_LAST: Final = "SELECT number, checksum FROM audit_log ORDER BY number DESC LIMIT 1"
_INSERT: Final = "INSERT INTO audit_log VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
_PRUNE: Final = """
DELETE FROM audit_log WHERE kept_until_ns <= $1 AND number < (SELECT max(number) FROM audit_log)
    AND number < coalesce((SELECT min(number) FROM audit_log WHERE kept_until_ns > $1), 9223372036854775807)
"""
_PAGE: Final = """
SELECT * FROM audit_log
WHERE ($1 = '' OR reader = $1) AND ($2 = '' OR subjects @> ARRAY[$2]) AND at_ns >= $3 AND at_ns < $4 AND number < $5
    AND kept_until_ns > $6
ORDER BY number DESC LIMIT $7
"""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """A request: who, in which offices, why, what was asked for, and whom the answer named (participants' ids)."""

    at_ns: int
    reader: str
    roles: tuple[str, ...]
    purpose: str
    method: str
    path: str
    query: str
    subjects: tuple[str, ...]


class Kept(msgspec.Struct, frozen=True):
    """A request with its number in the log, and until when it stays there."""

    number: int
    until_ns: int
    seen: Seen


def kept_until_ns(at_ns: int) -> int:
    """The last instant at which a read of then has to be there still."""
    return end_of(years_on(day_of(at_ns), KINDS["records"].years))


def chained(before: bytes, number: int, seen: Seen, until_ns: int) -> bytes:
    """The checksum of a row behind the one with that checksum."""
    return hashlib.sha256(before + msgspec.msgpack.encode((number, seen, until_ns))).digest()


def _seen(row: Any) -> Seen:
    said = {field: row[field] for field in Seen.__struct_fields__}
    return Seen(**said | {"roles": tuple(row["roles"]), "subjects": tuple(row["subjects"])})


class AuditLog:
    """One writer of the log; `write` comes back once the row is committed."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self._waiting: list[tuple[Seen, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._last: tuple[int, bytes] | None = None

    async def write(self, seen: Seen) -> None:
        """Raises what the database raises, and TimeoutError where it does not answer in `PATIENCE_S`; then nothing may be
        answered. What was not answered in time is written all the same, once the database answers.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise TimeoutError
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((seen, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        async with asyncio.timeout(PATIENCE_S):
            await future

    async def close(self) -> None:
        """What waits is written first, where the database answers in `PATIENCE_S`."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=PATIENCE_S)
            if self._writing is not None:
                self._writing.cancel()

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                failure = await self._written([seen for seen, _ in batch])
                for _, future in batch:
                    if not future.done():
                        future.set_result(None) if failure is None else future.set_exception(failure)
        finally:
            self._writing = None

    async def _written(self, seen: list[Seen]) -> Exception | None:
        """None once all of it is committed. Another writer's rows, of a venue that takes over, are gone on from."""
        for last_try in (False, True):
            try:
                await self._append(seen)
                return None
            except Exception as error:
                self._last = None
                if last_try or not isinstance(error, asyncpg.UniqueViolationError):
                    return error
        return None

    async def _append(self, seen: list[Seen]) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            if self._last is None:
                row = await connection.fetchrow(_LAST)
                self._last = (0, b"") if row is None else (row["number"], row["checksum"])
            number, checksum = self._last
            rows = []
            for one in seen:
                number, until_ns = number + 1, kept_until_ns(one.at_ns)
                checksum = chained(checksum, number, one, until_ns)
                rows.append((number, *msgspec.structs.astuple(one), until_ns, checksum))
            await connection.executemany(_INSERT, rows)
        self._last = number, checksum

    async def page(
        self, reader: str, subject: str, from_ns: int, until_ns: int, before: int, now_ns: int, limit: int
    ) -> list[Kept]:
        """The newest first, before a number; empty texts take everybody. What is over by now is not shown."""
        rows = await self.pool.fetch(_PAGE, reader, subject, from_ns, until_ns, before, now_ns, limit)
        return [Kept(row["number"], row["kept_until_ns"], _seen(row)) for row in rows]

    async def prune(self, now_ns: int) -> int:
        """How many rows went whose time is over; the newest stays, so that numbers and checksums go on from it."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT set_config('shuji.prune_until_ns', $1, true)", str(now_ns))
            done: str = await connection.execute(_PRUNE, now_ns)
        return int(done.rpartition(" ")[2])

    async def run(self, now_ns: Callable[[], int]) -> None:
        """Prunes for as long as the venue runs; a database that is away is tried again."""
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await self.prune(now_ns())
            await asyncio.sleep(PRUNE_S)


async def broken(rows: AsyncIterator[Any]) -> int | None:
    """The number of the first row that does not follow from the one before it; None where the chain holds.

    `rows` in the order of their numbers. What was pruned before the first is not there to be held against it.
    """
    before = 0, b""
    async for row in rows:
        number, checksum = row["number"], bytes(row["checksum"])
        pruned = before[0] == 0 and number > 1
        fits = pruned or chained(before[1], number, _seen(row), row["kept_until_ns"]) == checksum
        if not fits or (not pruned and number != before[0] + 1):
            return int(number)
        before = number, checksum
    return None
