"""The load process of order entry over WebSocket: `python -m loadtests.bench_socket`, plan in, report out.

As `loadtests.bench_client`, and as little Python: frames are written and read by hand, with a mask of zeros (RFC 6455, 5.3
asks for a mask, not for a good one). Each connection keeps `window` orders under way and counts the wait of each.
"""

import asyncio
import sys
import time
from collections import deque
from typing import cast

import msgspec
from msgspec import Struct

from loadtests.bench_client import ID_PLACE, PATIENCE_SECONDS, Report
from loadtests.bench_market import CommandIds

_MASK = b"\0\0\0\0"
_GOOD = b'"status":201'


class SocketPlan(Struct):
    """`body` is an order; `tokens` are used in turn, one a connection."""

    port: int
    body: str
    tokens: list[str]
    connections: int
    window: int
    seconds: float


def frame(text: str) -> bytes:
    """One masked text frame."""
    content = text.encode()
    size = len(content)
    head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
    return head + _MASK + content


def frames(received: bytes) -> tuple[list[bytes], bytes]:
    """Whole frames of a server, without their heads, and what is left."""
    found, at = [], 0
    while len(received) >= at + 2:
        size, head = received[at + 1] & 0x7F, 2
        if size == 126:
            size, head = int.from_bytes(received[at + 2 : at + 4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(received[at + 2 : at + 10], "big"), 10
        if len(received) < at + head + size:
            break
        found.append(received[at + head : at + head + size])
        at += head + size
    return found, received[at:]


class _Line(asyncio.Protocol):
    """A connection that keeps its window full."""

    def __init__(self, load: "_Load", token: str) -> None:
        self._load = load
        self._token = token
        self._received = b""
        self._is_open = False
        self._sent_at: deque[float] = deque()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(
            "GET /v1/orders/ws HTTP/1.1\r\nhost: bench\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            f"authorization: Bearer {self._token}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_open:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._is_open, self._received = True, rest
            self._send(self._load.plan.window)
            return
        found_frames, self._received = frames(self._received)
        answers = [one for one in found_frames if one.startswith(b'{"type":"answer"')]
        if answers:
            self._answered(answers)

    def _answered(self, answers: list[bytes]) -> None:
        now = time.perf_counter()
        for answer in answers:
            self._load.waits.append(now - self._sent_at.popleft())
            self._load.refused += _GOOD not in answer
        if now < self._load.until:
            self._send(len(answers))
        elif not self._sent_at:
            self._load.done()

    def _send(self, count: int) -> None:
        assert self.transport is not None
        now = time.perf_counter()
        self._sent_at.extend([now] * count)
        self.transport.write(b"".join([frame(self._load.next()) for _ in range(count)]))


class _Load:
    def __init__(self, plan: SocketPlan) -> None:
        self.plan = plan
        self.until = 0.0
        self.waits: list[float] = []
        self.refused = 0
        self._parts = plan.body.split(ID_PLACE)
        self._ids = CommandIds(time.time_ns() // 1_000_000, time.time_ns() // 1_000 % 4_096)
        self._left = plan.connections
        self._idle = asyncio.Event()

    def next(self) -> str:
        head, tail = self._parts
        return f'{{"op":"place","request":1,"order":{head}{self._ids.next()}{tail}}}'

    def done(self) -> None:
        self._left -= 1
        if not self._left:
            self._idle.set()

    async def run(self) -> Report:
        loop = asyncio.get_running_loop()
        started, cpu_started = time.perf_counter(), time.process_time()
        self.until = started + self.plan.seconds
        tokens = self.plan.tokens
        lines = []
        for number in range(self.plan.connections):
            token = tokens[number % len(tokens)]
            _, line = await loop.create_connection(
                lambda token=token: _Line(self, token),  # type: ignore[misc]
                "127.0.0.1",
                self.plan.port,
            )
            lines.append(line)
        await asyncio.wait_for(self._idle.wait(), self.plan.seconds + PATIENCE_SECONDS)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        for line in lines:
            assert line.transport is not None
            line.transport.close()
        ordered = sorted(self.waits)
        count = len(ordered)
        p50, p99 = ordered[count // 2] * 1e3, ordered[min(count - 1, count * 99 // 100)] * 1e3
        return Report(count - self.refused, self.refused, took, p50, p99, cpu)


async def _main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=SocketPlan)
    sys.stdout.buffer.write(msgspec.json.encode(await _Load(plan).run()))


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
