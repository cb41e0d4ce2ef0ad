"""Conversations with the application of a venue in this process: event streams and WebSockets, over ASGI.

`market` is a venue with a posted listing and a book. A conversation keeps what it was told, and `hold` keeps it from
taking what it is sent.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from exchange.app import Venue, open_venue
from exchange.settings import Settings
from exchange.venue import Outcome
from tests.exchange.small_venue import Small, found, lay, soon, until

Message = dict[str, Any]


@asynccontextmanager
async def market(folder: Path, dsn: str, small: Small | None = None) -> AsyncIterator[tuple[Venue, Small]]:
    """A venue with a posted listing and a book in which two merchants deal with the buyer."""
    laid = await lay(dsn, small or found(simulated=True))
    async with open_venue(Settings(data=folder, dsn=dsn, simulated_clock=True, sample=False)) as venue:
        yield venue, laid


async def trade(venue: Venue, small: Small, count: int = 1) -> list[Outcome]:
    outcomes = await soon(venue.engine.submit_many([small.order() for _ in range(count)]))
    assert not [outcome.refusal for outcome in outcomes if outcome.refusal]
    return list(outcomes)


class Conversation:
    """A WebSocket or an event stream of the application. `hold` keeps it from taking what it is sent."""

    def __init__(self, venue: Venue, path: str, query: str = "", kind: str = "http", token: str = "") -> None:
        self.raw: list[str] = []
        self.messages: list[Message] = []
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._free = asyncio.Event()
        self._free.set()
        self.ended: list[Message] = []
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        scope: dict[str, Any] = {
            "type": kind, "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": headers, "root_path": "", "scheme": "http", "http_version": "1.1", "client": None, "server": None,
            "extensions": {"websocket.http.response": {}}, "subprotocols": [], "state": {}, "asgi": {"version": "3.0"},
        }  # fmt: skip
        if kind == "websocket":
            del scope["method"]
            self._said.put_nowait({"type": "websocket.connect"})
        application: Any = venue.app
        self.task = asyncio.ensure_future(application(scope, self._said.get, self._take))

    async def _take(self, message: Message) -> None:
        await self._free.wait()
        if message["type"] == "websocket.send":
            self._note(message["text"], json.loads(message["text"]))
        elif message["type"] == "http.response.body":
            for event in message["body"].decode().split("\n\n"):
                if event.startswith("event: "):
                    self._note(event, json.loads(event.partition("data: ")[2]))
        else:
            self.ended.append(message)

    def _note(self, raw: str, message: Message) -> None:
        self.raw.append(raw)
        self.messages.append(message)

    def hold(self) -> None:
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def say(self, **message: Any) -> None:
        self._said.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    async def hear(self, kind: str, count: int = 1) -> None:
        await until(
            lambda: [one["type"] for one in self.messages].count(kind) >= count, f"{count} {kind} are heard"
        )

    async def told(self, sequence: int) -> None:
        """Until everything up to this commit has been told: by a change of it, or by `current`."""
        await until(
            lambda: any(one.get("sequence", 0) >= sequence for one in self.messages),
            f"commit {sequence} is told",
        )

    async def leave(self) -> None:
        self.let_go()
        self._said.put_nowait({"type": "http.disconnect"})
        self._said.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await soon(self.task, "a conversation ends")
