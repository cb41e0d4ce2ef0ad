"""Orders over HTTP: a real `serve` process, a load process on the other core, and the echo beside them.

The venue of these runs is founded through its journal before it starts, and its buyers have signed in, so that
nothing but orders is measured. Every order carries an id of its own, as a careful client's does. Venue and echo
take turns, so that both feel the same neighbours; the middle of the turns counts.
"""

import asyncio
import base64
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import httpx
import msgspec
from msgspec import Struct

from exchange.migration import migrate
from exchange.postgres import open_database
from loadtests.bench_client import ID_PLACE, Plan, Report
from loadtests.bench_engine import lay_foundation
from loadtests.bench_market import Market, private_key

START_SECONDS = 30.0
PATIENCE_SECONDS = 120.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
BATCH_SIZE = 100


class Door(Struct):
    """A process that answers orders."""

    process: asyncio.subprocess.Process
    port: int
    tokens: list[str]
    market: Market | None = None

    def cpu_seconds(self) -> float:
        """User and system time of the process so far (Linux; elsewhere 0)."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def _answers(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until the process listens and takes a connection."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.returncode is None, "the server ended at its start"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise TimeoutError("the server does not answer")


@asynccontextmanager
async def _process(*words: str, port: int, tokens: list[str], market: Market | None) -> AsyncIterator[Door]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _answers(port, process)
        yield Door(process, port, tokens, market)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


@asynccontextmanager
async def venue_door(data: Path) -> AsyncIterator[Door]:
    """`shuji serve` on a founded market in this folder."""
    async with open_database(data) as database:
        await migrate(database.dsn)
        market = await lay_foundation(database.dsn)
    port = free_port()
    words = ("exchange", "serve", "--data", str(data), "--port", str(port), "--no-sample", "--rates", "off")
    async with _process(*words, port=port, tokens=[], market=market) as door:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1") as client:
            door.tokens = [await _signed_in(client, buyer, market.numbers[buyer]) for buyer in market.buyers]
        yield door


async def _signed_in(client: httpx.AsyncClient, participant: str, number: int) -> str:
    """A token, got as every user gets one."""
    asked = await client.post("/login/challenge", json={"participant": participant})
    challenge = asked.raise_for_status().json()["challenge"]
    signature = base64.b64encode(private_key(number).sign(challenge.encode())).decode()
    answer = {"participant": participant, "challenge": challenge, "signature": signature}
    token: str = (await client.post("/login", json=answer)).raise_for_status().json()["token"]
    return token


@asynccontextmanager
async def echo_door() -> AsyncIterator[Door]:
    port = free_port()
    async with _process("loadtests.bench_echo", str(port), port=port, tokens=["none"], market=None) as door:
        yield door


# ---- what is sent


def posted_body(market: Market) -> str:
    return f'{{"listing":"{market.posted}","quantity":1,"client_order_id":"{ID_PLACE}"}}'


async def load(
    door: Door, bodies: Sequence[str], path: str, connections: int, seconds: float, rate: float = 0.0
) -> Report:
    """Run the load process against a door. Its answer says what was reached."""
    plan = Plan(door.port, path, list(bodies), door.tokens, connections, seconds, rate)
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "loadtests.bench_client",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await client.communicate(msgspec.json.encode(plan))
    assert client.returncode == 0, "the load process failed"
    report = msgspec.json.decode(answer, type=Report)
    assert report.answered, "nothing was answered"
    assert not report.refused, f"{report.refused} requests were refused"
    return report


# ---- the runs


class Singles(Struct):
    """Requests a second with so many connections: orders and echo, and the server's CPU us an order."""

    orders: float
    echo: float
    cpu_us: float


class Answers(Struct):
    """Everything measured over HTTP. `batch` figures are orders a second; waits are ms at half of the load of 16."""

    singles: dict[int, Singles]
    batch_orders: float
    batch_echo: float
    paced_rate: float
    p99_ms: float
    echo_p99_ms: float


async def _turns(venue: Door, echo: Door, body: str, connections: int, seconds: float, turns: int) -> Singles:
    orders, echoes = [], []
    cpu, answered = venue.cpu_seconds(), 0
    for _ in range(turns):
        report = await load(echo, [body], "/v1/orders", connections, seconds / turns)
        echoes.append(report.answered / report.seconds)
        report = await load(venue, [body], "/v1/orders", connections, seconds / turns)
        orders.append(report.answered / report.seconds)
        answered += report.answered
    spent = venue.cpu_seconds() - cpu
    return Singles(median(orders), median(echoes), spent / answered * 1e6)


async def _batches(door: Door, body: str, seconds: float) -> float:
    whole = f"[{','.join([body] * BATCH_SIZE)}]"
    report = await load(door, [whole], "/v1/orders/batch", 8, seconds)
    return report.answered * BATCH_SIZE / report.seconds


async def caught_up(door: Door) -> None:
    """Wait until the query tables hold what the runs before have left: half load is no overload's aftermath."""
    headers = {"authorization": f"Bearer {door.tokens[0]}"}
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{door.port}/v1", timeout=30) as client:
        while (await client.get("/orders?limit=1", headers=headers)).status_code != httpx.codes.OK:
            assert time.monotonic() < deadline, "the query tables do not catch up"


async def measure(data: Path, seconds: float, turns: int) -> Answers:
    """About six times `seconds`, and the start of the processes."""
    async with venue_door(data) as venue, echo_door() as echo:
        assert venue.market is not None
        body = posted_body(venue.market)
        await load(venue, [body], "/v1/orders", 16, seconds / 8)
        singles = {many: await _turns(venue, echo, body, many, seconds, turns) for many in (16, 64)}
        rate = singles[16].orders / 2
        await caught_up(venue)
        paced = await load(venue, [body], "/v1/orders", 64, seconds, rate)
        echoed = await load(echo, [body], "/v1/orders", 64, seconds / 2, rate)
        batch_echo = await _batches(echo, body, seconds / 2)
        batch_orders = await _batches(venue, body, seconds)
    return Answers(singles, batch_orders, batch_echo, rate, paced.p99_ms, echoed.p99_ms)
