"""Uploaded files that no delivery names yet: who may have them, how many bytes, for how long.

Which files a delivery names is asked of the query tables, caught up first; the bytes are counted on the disk, which
several uploads of one merchant fill at the same time.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from exchange.events import Refused
from exchange.participant import merchant_credential
from exchange.projector import ProjectorStopped
from exchange.web import files
from exchange.web.desk import Desk
from exchange.web.operation import Call
from exchange.web.problem import Refusing

log = logging.getLogger("shuji.web")

MOST_WAITING: Final = 2 << 30
"""Bytes of one merchant that may wait for their delivery."""
KEPT_SECONDS: Final = 7 * 86_400
"""How long they may wait before a start of the venue removes them."""


async def room_of(call: Call, participant: str) -> int:
    """Bytes that the merchant's folder may hold in all. Refuses whoever has nothing to deliver, and may get nothing."""
    accredited = await call.read(
        lambda state: merchant_credential(state.bureau.participants[participant]) == "accredited"
    )
    if not accredited and not await _sells(call, participant):
        raise Refusing(
            Refused.not_accredited,
            "uploads are for accredited merchants, and for others with a sale to deliver",
        )
    await call.tables_ready()
    named = await _named(call.desk, participant)
    held = await asyncio.to_thread(files.held, call.desk.files / participant)
    return MOST_WAITING + sum(size for name, size in held.items() if name in named)


async def _sells(call: Call, participant: str) -> bool:
    await call.tables_ready()
    return bool(
        await call.desk.pool.fetchval(
            "SELECT EXISTS (SELECT FROM trade WHERE seller = $1 AND state IN ('held', 'settled', 'rejected'))",
            participant,
        )
    )


async def _named(desk: Desk, participant: str) -> frozenset[str]:
    """SHA-256 of the merchant's files that trades name, also of those that are over, its successors' among them."""
    holders = await desk.engine.read(
        lambda state: [one for one, names in state.predecessors.items() if participant in names]
    )
    rows = await desk.pool.fetch(
        "SELECT DISTINCT delivery ->> 'sha256' AS sha256 FROM trade"
        " WHERE seller = ANY($1) AND delivery ->> 'kind' = 'file'",
        [participant, *holders],
    )
    return frozenset(row["sha256"] for row in rows)


async def sweep(desk: Desk) -> None:
    """Remove what waited too long. Called before the doors open, so that nobody delivers it meanwhile."""
    before = time.time() - KEPT_SECONDS
    old = await asyncio.to_thread(files.older_than, desk.files, before)
    if not old:
        return
    try:
        await desk.projector.caught_up(desk.engine.sequence)
    except (TimeoutError, ProjectorStopped) as error:
        log.warning("uploads that nobody delivered are kept: the query tables are behind (%r)", error)
        return
    for participant, paths in old.items():
        await _remove(desk, participant, paths)


async def _remove(desk: Desk, participant: str, paths: list[Path]) -> None:
    named = await _named(desk, participant)
    for path in paths:
        if path.name not in named:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            log.info("removed %s of %s: uploaded and in a week not delivered", path.name, participant)
