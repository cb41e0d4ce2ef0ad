"""`shuji serve`: the database, the engine, the projector and the web in one process on one event loop.

    port taken ─> database up, durable, migrated ─> engine recovered ─> sample where empty ─> answering
    SIGTERM or SIGINT ─> requests under way are answered ─> queue committed ─> database stopped

A second signal does not wait for the requests under way. What is waited for is said each second (`exchange.parting`).
"""

import asyncio
import logging
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from exchange import sample
from exchange.app import Venue, open_venue
from exchange.parting import Parting, Wait, notify, parting
from exchange.settings import DEFAULT_PORT, Settings
from exchange.web.trace import Traced

BACKLOG: Final = 2048
SOCKET_ASK_BYTES: Final = 256 << 10
"""What may be said over a WebSocket at once: a batch of 1,000 orders."""
GRACE_S: Final = 10
"""How long requests under way may take once the venue is told to stop."""

log = logging.getLogger("shuji")


class _Server(uvicorn.Server):
    """Says when it answers. Signals are ours: uvicorn would raise them again at its end, before the database
    is stopped.
    """

    def __init__(self, config: uvicorn.Config, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Socket(WebSocketsSansIOProtocol):
    """A peer that answers no ping is cut off: closing waits for it to read what it is owed, which it may never do.

    Messages are not compressed: that would be done anew for every reader, and costs more than all the rest.
    """

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()


async def serve(settings: Settings, say: Callable[[str], None], report: Callable[[Any], None] | None) -> int:
    """Runs until told to stop; the exit status. `report`, if any, gets a plain value once the venue answers.

    Raises OSError where the port is taken, and what `open_venue` raises.
    """
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    door = _bind(settings)
    try:
        async with parting(say) as leave, _signalled() as stop, AsyncExitStack() as stack:
            venue = await _opened(settings, stack, stop)
            if venue is None:
                return 0
            is_sample = await _bring_sample(settings, venue)
            tell = partial(_tell, settings, is_sample, say, report)
            app = Traced(venue.app) if settings.log == "json" else venue.app
            return await _answer(app, venue, door, stop, tell, leave)
    finally:
        door.close()


def _bind(settings: Settings) -> socket.socket:
    """The port, taken before anything costly starts; nobody is answered yet."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM
    )[0]
    door = socket.socket(family, kind, protocol)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(address)
    except OSError as error:
        door.close()
        raise OSError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}); choose another --port"
        ) from error
    return door


@asynccontextmanager
async def _signalled() -> AsyncIterator[asyncio.Queue[None]]:
    """A queue that gets an item for each SIGTERM or SIGINT."""
    told: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, told.put_nowait, None)
    try:
        yield told
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _opened(settings: Settings, stack: AsyncExitStack, stop: asyncio.Queue[None]) -> Venue | None:
    """The venue, started; None where it was told to stop before (a standby may wait for days)."""
    opening = asyncio.create_task(stack.enter_async_context(open_venue(settings)))
    told = asyncio.create_task(stop.get())
    await asyncio.wait({opening, told}, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        await asyncio.wait([opening])
        return None
    if told.done():
        stop.put_nowait(None)
    told.cancel()
    return opening.result()


async def _bring_sample(settings: Settings, venue: Venue) -> bool:
    """Whether the venue shows the sample. One that does not fit is reported and keeps nobody from trading."""
    if not settings.sample:
        return False
    try:
        return await sample.load(venue.engine, settings.data)
    except sample.SampleError as error:
        log.error("the sample catalogue is incomplete: %s", error)
        return False


async def _answer(
    app: Any,
    venue: Venue,
    door: socket.socket,
    stop: asyncio.Queue[None],
    tell: Callable[[], None],
    leave: Parting,
) -> int:
    """Answer until the first signal, or until the engine gives up: then with status 1."""
    server = _Server(configuration(app), tell)
    serving = asyncio.create_task(server.serve(sockets=[door]))
    told = asyncio.create_task(stop.get())
    ended = asyncio.create_task(venue.engine.stopped.wait())
    try:
        await asyncio.wait({serving, told, ended}, return_when=asyncio.FIRST_COMPLETED)
        leave.begin(_waits(server, venue))
        server.should_exit = True
        hurrying = asyncio.create_task(_hurry(server, stop))
        await venue.desk.feed.close()
        await serving
        hurrying.cancel()
    finally:
        told.cancel()
        ended.cancel()
    return 1 if venue.engine.failure else 0


def _waits(server: uvicorn.Server, venue: Venue) -> list[Wait]:
    """In the order in which they end."""
    engine, supervisor = venue.engine, venue.database.supervisor
    return [
        ("未答完的请求 requests under way", lambda: len(server.server_state.tasks)),
        ("行情连接 feed connections", lambda: venue.desk.feed.connections),
        ("连接 connections", lambda: len(server.server_state.connections)),
        ("查询表进程 projector", lambda: int(venue.projector.connected)),
        ("排队的命令 commands queued", lambda: int(engine.status()["queue_depth"])),
        ("未提交的批次 batches not yet committed", lambda: engine.uncommitted),
        ("PostgreSQL", lambda: int(supervisor is not None and supervisor.pid is not None)),
        ("备份的日志 log of the backup", lambda: int(venue.archiver.is_receiving)),
    ]


def configuration(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws=_Socket,
        ws_max_size=SOCKET_ASK_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
    )


async def _hurry(server: uvicorn.Server, stop: asyncio.Queue[None]) -> None:
    """A second signal: whoever is still waiting for an answer is cut off; nothing committed is lost."""
    await stop.get()
    server.force_exit = True


# ---- what to do next


def _tell(
    settings: Settings,
    is_sample: bool,
    say: Callable[[str], None],
    report: Callable[[Any], None] | None,
) -> None:
    say("\n".join(next_steps(settings, is_sample)))
    notify(f"READY=1\nSTATUS=answers at {settings.url}")
    if report is not None:
        report(
            {
                "url": settings.url,
                "data": str(settings.data),
                "operator_key": str(settings.operator_key),
                "sample": is_sample,
                "process": os.getpid(),
            }
        )


def next_steps(settings: Settings, is_sample: bool) -> Iterator[str]:
    """What a person reads once the venue answers, in Chinese and English, with commands to copy."""
    command = command_prefix()
    url = "" if settings.port == DEFAULT_PORT else f" --url {settings.url}"
    operator = shlex.quote(str(settings.operator_key))
    yield ""
    yield f"数集 Shuji  {settings.url}  （Ctrl-C 停止 · Ctrl-C stops it）"
    yield f"  运营方密钥（谁持有谁就是运营方） the operator's key (whoever has it is the operator): {operator}"
    yield "  另开一个终端试试 in another terminal, try:"
    if is_sample:
        yield from (f"    {command} {line}{url}" for line in _sample_steps(settings))
    else:
        yield f"    {command} call GET /v1/venue{url}"
        yield f"    {command} call GET /v1/operations --key {operator}{url}"
    yield f"  接着看 next: {settings.url}/  {settings.url}/docs  README.zh.md  README.md"


def _sample_steps(settings: Settings) -> Iterator[str]:
    """One order that settles, one that is refused; the numbers are those of a venue the sample opened."""
    buyer = shlex.quote(str(sample.key_path(settings.data, "buyer")))
    yield "call GET '/v1/catalogue?q=冷链'"
    yield f"""call POST /v1/orders '{{"listing":"L1","quantity":1}}' --key {buyer}"""
    advertising = '{"listing":"L3","quantity":1000,"purpose":"advertising"}'
    yield f"call POST /v1/orders '{advertising}' --key {buyer}"


def command_prefix() -> str:
    """How `shuji` is called from here: by its name, or by where it was installed."""
    if shutil.which("shuji"):
        return "shuji"
    installed = Path(sys.executable).parent / "shuji"
    if not installed.exists():
        return f"{shlex.quote(sys.executable)} -m exchange"
    inside = installed.is_relative_to(Path.cwd())
    return shlex.quote(str(installed.relative_to(Path.cwd()) if inside else installed))
