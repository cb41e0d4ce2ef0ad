"""The load process: keep-alive connections that send orders and time the answers. `python -m loadtests.bench_client`.

It reads a plan as JSON from standard input and writes a `Report` to standard output. Raw asyncio protocols and as
little Python as can be, so that this process on its core costs less than the venue on the other: an answer is known
by its status and its `content-length`.

    no rate   each connection sends as soon as its last answer is in
    a rate    requests are due at even instants, sent in slots of a millisecond over whatever connection is free; the
              wait counts from the instant a request was due, so a stall is not hidden by what it holds up
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import msgspec
from msgspec import Struct

from loadtests.bench_market import CommandIds

ID_PLACE = "{id}"
"""Where each order's own id goes in a body."""
SLOT_SECONDS = 0.001
PATIENCE_SECONDS = 20.0


class Plan(Struct):
    """`bodies` and `tokens` are used in turn. `orders_each` orders are in one body. `rate` is requests a second."""

    port: int
    path: str
    bodies: list[str]
    tokens: list[str]
    connections: int
    seconds: float
    rate: float = 0.0


class Report(Struct):
    """Statuses other than the expected two hundreds are in `refused`. Waits are in ms, of all requests."""

    answered: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float


class _Source:
    """The bytes of the next request."""

    def __init__(self, plan: Plan) -> None:
        self._bodies = [body.split(ID_PLACE) for body in plan.bodies]
        self._heads = [
            f"POST {plan.path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n"
            f"content-type: application/json\r\ncontent-length: "
            for token in plan.tokens
        ]
        self._ids = CommandIds(time.time_ns() // 1_000_000, time.time_ns() // 1_000 % 4_096)
        self._turn = 0

    def next(self) -> bytes:
        self._turn += 1
        parts = self._bodies[self._turn % len(self._bodies)]
        body = parts[0]
        for part in parts[1:]:
            body += self._ids.next() + part
        return f"{self._heads[self._turn % len(self._heads)]}{len(body)}\r\n\r\n{body}".encode()


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, answered: Callable[["_Connection", bool], None]) -> None:
        self._answered = answered
        self._received = b""
        self.transport: asyncio.Transport | None = None
        self.due = 0.0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True

    def send(self, request: bytes, due: float) -> None:
        assert self.transport is not None
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data if self._received else data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        at = received.find(b"content-length: ") + 16
        if len(received) < head_end + 4 + int(received[at : received.index(b"\r", at)]):
            return
        self._received = b""
        self._answered(self, received[9:10] == b"2")


class _Load:
    """All connections and what they have seen."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._source = _Source(plan)
        self._connections: list[_Connection] = []
        self._free: deque[_Connection] = deque()
        self._late: deque[float] = deque()
        self._until = 0.0
        self._under_way = 0
        self._refused = 0
        self._waits: list[float] = []
        self._idle = asyncio.Event()

    async def run(self) -> Report:
        loop = asyncio.get_running_loop()
        for _ in range(self._plan.connections):
            _, connection = await loop.create_connection(
                lambda: _Connection(self._answered), "127.0.0.1", self._plan.port
            )
            self._connections.append(connection)
        started, cpu_started = time.perf_counter(), time.process_time()
        self._until = started + self._plan.seconds
        if self._plan.rate:
            await self._pace(started)
        else:
            for connection in self._connections:
                self._send(connection, time.perf_counter())
        await asyncio.wait_for(self._idle.wait(), self._plan.seconds + PATIENCE_SECONDS)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        for connection in self._connections:
            assert connection.transport is not None
            connection.transport.close()
        return self._report(took, cpu)

    def _report(self, took: float, cpu: float) -> Report:
        ordered = sorted(self._waits)
        count = len(ordered)
        return Report(
            count - self._refused,
            self._refused,
            took,
            ordered[count // 2] * 1e3,
            ordered[min(count - 1, count * 99 // 100)] * 1e3,
            cpu,
        )

    async def _pace(self, started: float) -> None:
        self._free.extend(self._connections)
        due, gap = started, 1.0 / self._plan.rate
        self._under_way = 1  # the pacing itself, so that it does not look idle between two requests
        while (now := time.perf_counter()) < self._until:
            while due <= now:
                if self._free:
                    self._send(self._free.popleft(), due)
                else:
                    self._late.append(due)
                due += gap
            await asyncio.sleep(SLOT_SECONDS)
        self._under_way -= 1
        if not self._under_way and not self._late:
            self._idle.set()

    def _send(self, connection: _Connection, due: float) -> None:
        self._under_way += 1
        connection.send(self._source.next(), due)

    def _answered(self, connection: _Connection, good: bool) -> None:
        now = time.perf_counter()
        self._waits.append(now - connection.due)
        self._refused += not good
        self._under_way -= 1
        if self._plan.rate:
            if self._late:
                self._send(connection, self._late.popleft())
            else:
                self._free.append(connection)
        elif now < self._until:
            self._send(connection, now)
        if not self._under_way:
            self._idle.set()


async def _main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    report = await _Load(plan).run()
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
