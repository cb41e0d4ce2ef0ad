"""What clearing read of a trade, as it was at that instant: `python -m exchange.inspection TRADE`, beside the venue.

The journal has the hash of the facts, not the facts. They are had again by replaying it, from the newest snapshot before
the trade, up to the verdict. What comes out says how the hash is made of it, so that an outsider holds one against the
other: SHA-256 over the SHA-256 of each of the three registers, then "price;instant" and what the fill brought; and, where
evidence has cured a rule, SHA-256 over that and the cures.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from clearing import notrade
from clearing.house import Cell, Party, Signed
from exchange import board, journal, venue
from exchange.events import SCHEMA_VERSION, Event
from exchange.order import clearing_facts
from exchange.rejudging import JUDGED, reading
from exchange.state import State, decode_state

NICENESS: Final = 10
LONGEST_S: Final = 600
MOST_EXACT: Final = 1 << 53
_WHERE: Final = "SELECT min(sequence) AS first, max(sequence) AS last FROM evidence_leaf WHERE id = $1"
_SNAPSHOT: Final = (
    "SELECT sequence, body FROM snapshot WHERE shard = $1 AND schema = $2 AND sequence < $3"
    " ORDER BY sequence DESC LIMIT 1"
)


class Read(msgspec.Struct, kw_only=True):
    """What the last verdict on a trade was given on. `registers` are hashed as they stand: licence class, seller, buyer.

    `declared` is what the buyer signed, where `brought` has its hash; `cures` are (rule, what cures it).
    """

    at_ns: str
    price_fen: int
    registers: tuple[str, ...]
    brought: str
    declared: str
    cures: tuple[tuple[str, str], ...]
    facts: Any
    facts_sha256: str


class Lacking(Exception):
    """Nothing was judged under this id, or not to be had again; the text says which."""


def _text(facts: Any) -> str:
    """As `clearing.house.digest_of` hashes it."""
    return msgspec.json.encode(facts, order="deterministic").decode()


def _registers(cell: Cell, seller: Party, buyer: Party) -> tuple[str, ...]:
    listed = (cell.venue, cell.product, cell.source, cell.registration, cell.auth, cell.consent)
    of_cell = (*listed, cell.trade, cell.price, cell.xb)
    return _text(of_cell), _text((seller.seller, seller.buyer)), _text((buyer.seller, buyer.buyer))


def _declared(signed: Signed | None, brought: str) -> str:
    """Empty where the trade's facts are written out in `brought`, as they are where others than the buyer add to them."""
    hashed = signed is not None and brought.startswith(f";{signed.digest.hex()}")
    return _text((signed.trade,)) if signed is not None and hashed else ""


def plain(value: Any) -> Any:
    """As JSON that every reader reads alike: what no double holds exactly, and fractions, as texts."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    large = isinstance(value, int) and abs(value) >= MOST_EXACT
    return str(value) if large or isinstance(value, float) else value


def read_of(state: State, event: Any, at_ns: int) -> Read:
    """Of an event that clearing decided; the state is that of the instant before."""
    deal, cures, facts_sha256 = reading(state, event, at_ns)
    read = deal.read
    assert read is not None, "a verdict has read something"
    assert read.hashed is not None, "a fill has both parties"
    assert read.seller is not None, "a fill has a seller"
    assert read.buyer is not None, "a fill has a buyer"
    whole = clearing_facts(state, deal, at_ns)
    return Read(
        at_ns=str(at_ns),
        price_fen=deal.price_fen,
        registers=_registers(read.cell, read.seller, read.buyer),
        brought=read.hashed.brought,
        declared=_declared(read.signed, read.hashed.brought),
        cures=tuple(sorted(cures.items())),
        facts=plain(msgspec.json.decode(msgspec.json.encode(whole))),
        facts_sha256=facts_sha256.hex(),
    )


async def read_again(connection: Any, trade: str, empty: State) -> Read:
    """Raises Lacking."""
    first, last = await connection.fetchrow(_WHERE, trade)
    if first is None:
        raise Lacking(f"no verdict on {trade} is in the log of evidence: it is older than the log")
    state, sequence = empty, 0
    row = await connection.fetchrow(_SNAPSHOT, journal.SHARD, SCHEMA_VERSION, first)
    if row is not None:
        state = decode_state(row["body"], empty.boards, empty.rulebook, empty.jurisdiction)
        sequence = row["sequence"]
    found: list[Read] = []

    def look(event: Event, at_ns: int) -> None:
        if isinstance(event, JUDGED) and event.trade == trade:
            found.append(read_of(state, event, at_ns))

    async for entries in journal.rows(connection, sequence, last):
        for raw in journal.entries_of(entries):
            venue.replay(state, raw, look)
    if not found:
        raise Lacking(f"nothing was judged as {trade}")
    return found[-1]


def read_beside(environment: Mapping[str, str], dsn: str, jurisdiction: str, trade: str) -> Read:
    """In a process of its own, as long as the replay takes. Raises Lacking, and TimeoutError where that is too long."""
    own = {**environment, "SHUJI_DSN": dsn, "SHUJI_JURISDICTION": jurisdiction}
    command = [sys.executable, "-m", "exchange.inspection", trade]
    try:
        done = subprocess.run(
            command, env=own, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"the journal behind {trade} was not read again within {LONGEST_S} s") from error
    if done.returncode:
        raise Lacking(done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:500])
    return msgspec.json.decode(done.stdout, type=Read)


async def _main(dsn: str, jurisdiction: str, trade: str) -> int:
    boards = board.load()
    connection = await journal.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = await read_again(
                connection, trade, State(boards, notrade.load(boards=boards), jurisdiction)
            )
    except Lacking as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        await connection.close()
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    os.nice(NICENESS)  # the engine goes first
    asked = os.environ["SHUJI_DSN"], os.environ.get("SHUJI_JURISDICTION", "CN-46"), sys.argv[1]
    sys.exit(asyncio.run(_main(*asked)))
