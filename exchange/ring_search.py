"""The search for rings over the query table `trade`: once a day, and when a reviewer asks for it.

It runs beside the writer: the database adds up, a thread searches, and what is found goes in as commands (`exchange.ring`),
which refuse what is known already.
"""

import asyncio
import logging
from typing import Final, Protocol, TypeAlias

import asyncpg
from msgspec import Struct

from credit.ring import Ring, rings
from exchange.engine import Engine
from exchange.events import VENUE, QueueRing, RingQueued
from exchange.ring import is_known
from exchange.state import DAY_NS

log = logging.getLogger("shuji.rings")

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

USUAL_DAYS: Final = 365
EVERY_S: Final = 3_600.0
MOST_TRADES: Final = 100
MOST_PAIRS: Final = 500_000
"""The largest flows are searched where there are more: a ring that forges credit is among them."""

_PAYMENTS: Final = """
SELECT buyer, seller, sum(amount_fen)::bigint AS fen FROM trade
WHERE state = 'completed' AND closed_at_ns >= $1 AND buyer <> seller
GROUP BY buyer, seller HAVING sum(amount_fen) > 0 ORDER BY fen DESC, buyer, seller LIMIT $2
"""
_TRADES: Final = """
SELECT id FROM trade WHERE state = 'completed' AND seller = ANY($1) AND buyer = ANY($1) AND closed_at_ns >= $2
ORDER BY number DESC LIMIT $3
"""
_FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class Progress(Protocol):
    """Whoever writes the query tables."""

    async def caught_up(self, sequence: int) -> None: ...


class Searched(Struct, frozen=True):
    """How many rings there are, and the ids of those that were queued anew."""

    found: int
    queued: tuple[str, ...]


class RingSearch:
    """One a venue, in the engine's process: searches at most once a day of the venue's clock, unless it is asked to."""

    def __init__(self, engine: Engine, projector: Progress, pool: Pool) -> None:
        self._engine, self._projector, self._pool = engine, projector, pool
        self._searched = -1
        self._lock = asyncio.Lock()

    async def up_to_date(self) -> None:
        """A search of this day (UTC) is behind us. Raises what the database does."""
        async with self._lock:
            today = self._engine.now_ns() // DAY_NS
            if today > self._searched:
                await self.search(USUAL_DAYS)
                self._searched = today

    async def search(self, days: int, actor: str = VENUE) -> Searched:
        """Over all that is committed and was completed in the last so many days. Raises what the database does."""
        await self._projector.caught_up(self._engine.sequence)
        since_ns = self._engine.now_ns() - days * DAY_NS
        rows = await self._pool.fetch(_PAYMENTS, since_ns, MOST_PAIRS)
        payments = {(row["buyer"], row["seller"]): row["fen"] for row in rows}
        found = await asyncio.to_thread(rings, payments)
        queued = [await self._queued(ring, since_ns, actor) for ring in found]
        return Searched(len(found), tuple(name for name in queued if name))

    async def _queued(self, ring: Ring, since_ns: int, actor: str) -> str:
        """The id of a ring that was not known yet; empty for one that was, or that another search queued first."""
        if await self._engine.read(lambda state: is_known(state, ring.members, state.now_ns)):
            return ""
        outcome = await self._engine.submit(
            QueueRing(
                actor=actor,
                members=ring.members,
                amount_fen=ring.amount_fen,
                within_bp=ring.within_bp,
                back_bp=ring.back_bp,
                since_ns=since_ns,
            )
        )
        return next((event.ring for event in outcome.events if isinstance(event, RingQueued)), "")

    async def trades(self, members: tuple[str, ...], since_ns: int) -> tuple[str, ...]:
        """The newest trades that were completed among these, for whoever looks into it."""
        rows = await self._pool.fetch(_TRADES, list(members), since_ns, MOST_TRADES)
        return tuple(row["id"] for row in rows)

    async def run(self) -> None:
        """Until cancelled; a database that does not answer is asked again at the next look."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.up_to_date()
            except _FAILURES as error:
                log.warning("rings were not searched for: %r", error)
