"""Market data and order entry on open connections: 200 readers of the feed, and orders over WebSocket.

The readers are a process of their own (`python -m loadtests.bench_feed PORT LISTING READERS`) that counts what it is told
and knows nothing else. Runs without readers, with them, and over WebSocket take turns on one venue, so that all feel the
same neighbours; the middle of the turns counts.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import cast

import msgspec
from msgspec import Struct

from loadtests.bench_client import Report
from loadtests.bench_http import Door, caught_up, load, posted_body, venue_door
from loadtests.bench_socket import SocketPlan

READERS = 200
CONNECTIONS = 16
WINDOW = 64
PIPELINED = 4
"""Connections that keep `WINDOW` orders under way each."""
_CHANGE = b"event: change\n"
_GAP = b"event: gap\n"


class Told(Struct):
    """Of one run: messages that came to all readers together, how many changes one reader was told, gaps in all."""

    messages: int = 0
    changes: int = 0
    gaps: int = 0
    seconds: float = 0.0


class Feeding(Struct):
    """Orders a second without readers, with them, over WebSocket one at a time and pipelined; changes told a second.

    CPU is the venue's, for each order, of runs over HTTP without and with readers and of the pipelined one.
    """

    alone: float
    with_readers: float
    changes: float
    messages: float
    socket: float
    socket_pipelined: float
    cpu_us: float
    cpu_with_readers_us: float
    cpu_pipelined_us: float
    gaps: int


async def measure(data: Path, seconds: float, turns: int) -> Feeding:
    """About four times `seconds`."""
    async with venue_door(data) as venue:
        assert venue.market is not None
        body = posted_body(venue.market)
        await load(venue, [body], "/v1/orders", CONNECTIONS, seconds / 8)
        runs: dict[str, list[_Run]] = {"alone": [], "fed": [], "single": [], "pipelined": []}
        told = []
        for _ in range(turns):
            runs["alone"].append(await _http(venue, body, seconds / turns))
            async with readers(venue.port, venue.market.posted) as heard:
                runs["fed"].append(await _http(venue, body, seconds / turns))
            told.append(heard)
            runs["single"].append(await _socket(venue, body, CONNECTIONS, 1, seconds / turns))
            runs["pipelined"].append(await _socket(venue, body, PIPELINED, WINDOW, seconds / turns))
            await caught_up(venue)
    speed = {name: median([one.orders for one in found]) for name, found in runs.items()}
    cpu = {name: median([one.cpu_us for one in found]) for name, found in runs.items()}
    return Feeding(
        speed["alone"],
        speed["fed"],
        median([one.changes / one.seconds for one in told]),
        median([one.messages / one.seconds for one in told]),
        speed["single"],
        speed["pipelined"],
        cpu["alone"],
        cpu["fed"],
        cpu["pipelined"],
        sum(one.gaps for one in told),
    )


class _Run(Struct):
    """Orders a second, and the venue's CPU for each."""

    orders: float
    cpu_us: float


async def _http(venue: Door, body: str, seconds: float) -> _Run:
    before = venue.cpu_seconds()
    report = await load(venue, [body], "/v1/orders", CONNECTIONS, seconds)
    cpu_us = (venue.cpu_seconds() - before) / report.answered * 1e6
    return _Run(report.answered / report.seconds, cpu_us)


async def _socket(venue: Door, body: str, connections: int, window: int, seconds: float) -> _Run:
    plan = SocketPlan(venue.port, body, venue.tokens, connections, window, seconds)
    before = venue.cpu_seconds()
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.bench_socket", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )  # fmt: skip
    answer, _ = await client.communicate(msgspec.json.encode(plan))
    assert client.returncode == 0, "the load process failed"
    report = msgspec.json.decode(answer, type=Report)
    assert report.answered, "nothing was answered"
    assert not report.refused, f"{report.refused} orders were refused"
    cpu_us = (venue.cpu_seconds() - before) / report.answered * 1e6
    return _Run(report.answered / report.seconds, cpu_us)


# ---- readers


@asynccontextmanager
async def readers(port: int, listing: str) -> AsyncIterator[Told]:
    """So many of one listing, until the block ends; then what they were told is in the result."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.bench_feed", str(port), listing, str(READERS),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    told = Told()
    try:
        assert await process.stdout.readline() == b"all are there\n"
        yield told
    finally:
        process.stdin.close()
        answer = await process.stdout.read()
        await process.wait()
    found = msgspec.json.decode(answer, type=Told)
    told.messages, told.changes, told.gaps, told.seconds = (
        found.messages,
        found.changes,
        found.gaps,
        found.seconds,
    )


class _Reader(asyncio.Protocol):
    """A stream of events of which only the kinds are looked at."""

    def __init__(self, request: bytes, began: asyncio.Semaphore) -> None:
        self._request = request
        self._began = began
        self._open = False
        self._rest = b""
        self.changes = 0
        self.gaps = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        whole = self._rest + data
        self.changes += whole.count(_CHANGE)
        self.gaps += whole.count(_GAP)
        self._rest = whole[-len(_CHANGE) + 1 :]
        if not self._open and b"event: current" in whole:
            self._open = True
            self._began.release()


async def _read(port: int, listing: str, count: int) -> None:
    request = f"GET /v1/feed/events?listings={listing} HTTP/1.1\r\nhost: bench\r\n\r\n".encode()
    loop, began = asyncio.get_running_loop(), asyncio.Semaphore(0)
    reading = [
        (await loop.create_connection(lambda: _Reader(request, began), "127.0.0.1", port))[1]
        for _ in range(count)
    ]
    for _ in reading:
        await began.acquire()
    print("all are there", flush=True)
    started = time.perf_counter()
    await loop.run_in_executor(None, sys.stdin.read)
    changes = [one.changes for one in reading]
    gaps = sum(one.gaps for one in reading)
    told = Told(sum(changes), max(changes), gaps, time.perf_counter() - started)
    sys.stdout.buffer.write(msgspec.json.encode(told))


if __name__ == "__main__":
    import uvloop

    uvloop.run(_read(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
