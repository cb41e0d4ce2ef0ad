"""The doors of the feed: server-sent events and a WebSocket. Nobody need sign in: it is public market data.

    GET /v1/feed/events?listings=L1,L2&from=812.3    text/event-stream; `Last-Event-ID` goes before `from`
    GET /v1/feed (WebSocket)                         {"op": "subscribe", "listings": ["L1"], "from": "812.3"}

Both tell the same messages (`exchange.web.feed`): `snapshot`, then `change` after `change`, `current` where everything up
to a sequence has been told, and `gap` before the snapshot of a listing whose changes the reader was too slow for. The id of
an event is its place, from which a reader goes on: over WebSocket it is `sequence.listing number`.
"""

import asyncio
import time
from contextlib import suppress
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import ASGIRouteHandler, WebsocketRouteHandler
from msgspec import Meta, Struct

from exchange.events import Refused
from exchange.web import problem
from exchange.web.desk import Desk
from exchange.web.feed import (
    MOST_LISTINGS,
    ChangeView,
    CurrentView,
    Feed,
    GapView,
    Place,
    Reader,
    SnapshotView,
    place_of,
)
from exchange.web.operation import DATABASE_ERRORS, Call, Id, Operation, query_decoder
from exchange.web.orders import refuse
from exchange.web.problem import Reasons, Refusing

STUCK_S: Final = 60.0
"""A connection that takes nothing for so long is given up: nobody keeps a reader's place by not reading."""

HEARTBEAT_S: Final = 15.0
"""A comment line is sent when nothing has happened for so long, so that proxies keep the connection."""

IDLE_S: Final = 10.0
"""A WebSocket that follows nothing for so long is closed: places are for those who read."""

FAREWELL_S: Final = 1.0
"""A close waits for the peer to read what it was sent before, but not longer."""

POLICY: Final = 1008
TRY_AGAIN: Final = 1013
GOING_AWAY: Final = 1001

Socket: TypeAlias = WebSocket[Any, Any, Any]
PlaceText = Annotated[str, Meta(max_length=40, description="a place in the feed, as the id of an event")]


class FeedQuery(Struct, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """`listings` are ids with commas between them."""

    listings: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=20 * MOST_LISTINGS,
            description=f"ids with commas between them, at most {MOST_LISTINGS}: L1,L2",
        ),
    ]
    since: PlaceText = ""


class Ask(Struct, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """What a reader says over its WebSocket."""

    op: Literal["subscribe", "unsubscribe"]
    listings: Annotated[list[Id], Meta(min_length=1, max_length=MOST_LISTINGS)]
    since: PlaceText = ""


Told: TypeAlias = SnapshotView | ChangeView | GapView | CurrentView

_QUERY: Final = query_decoder(FeedQuery)
_ASK: Final = msgspec.json.Decoder(Ask)
_STREAM: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


def _place(text: str) -> Place | None:
    if not text:
        return None
    try:
        return place_of(text)
    except ValueError as error:
        raise Refusing(Refused.malformed, f"{error}: `from` is the id of an event, as in 812.3") from error


def _unavailable() -> Refusing:
    return Refusing(Refused.storage_unavailable, "the database is not answering: try again in a second")


async def _next(feed: Feed, reader: Reader) -> list[Any]:
    """What the reader is told now; empty after a quiet while. A feed that began anew says what it still has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(HEARTBEAT_S):
            await reader.ready()
    return reader.take() if reader.closed else feed.take(reader)


# ---- server-sent events


async def _opened(desk: Desk, call: Call) -> Reader:
    """A reader of what was asked for. Raises Refusing."""
    asked = call.query(_QUERY)
    since = _place(call.header("last-event-id") or asked.since)
    reader = desk.feed.join()
    try:
        await desk.feed.subscribe(reader, asked.listings.split(","), since)
    except BaseException:
        desk.feed.part(reader)
        raise
    return reader


async def _gone(receive: Any) -> None:
    """Until the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(feed: Feed, reader: Reader, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(_STREAM)})
    gone = asyncio.ensure_future(_gone(receive))
    told = asyncio.ensure_future(_tell_events(feed, reader, send))
    try:
        await asyncio.wait({gone, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        told.cancel()
        ended = await asyncio.gather(gone, told, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception) and not isinstance(error, TimeoutError | OSError):
            raise error


async def _tell_events(feed: Feed, reader: Reader, send: Any) -> None:
    while True:
        events = [message.event for message in await _next(feed, reader)]
        body = b"".join(events) or b": nothing new\n\n"
        async with asyncio.timeout(STUCK_S):
            await send({"type": "http.response.body", "body": body, "more_body": not reader.closed})
        if reader.closed:
            return
        await asyncio.sleep(feed.pause_s)


# ---- WebSocket


async def _hear(socket: Socket, desk: Desk, reader: Reader) -> None:
    """Do what the reader asks; what cannot be done is answered with its problem, and the connection goes on."""
    while True:
        text = await socket.receive_text()
        try:
            await _obey(desk.feed, reader, text)
        except Refusing as error:
            await _say_problem(socket, desk.reasons, error)
        except DATABASE_ERRORS:
            await _say_problem(socket, desk.reasons, _unavailable())


async def _obey(feed: Feed, reader: Reader, text: str) -> None:
    try:
        asked = _ASK.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise problem.malformed(error) from error
    if asked.op == "unsubscribe":
        feed.unsubscribe(reader, asked.listings)
        return
    await feed.subscribe(reader, asked.listings, _place(asked.since))
    await reader.emptied()


async def _say_problem(socket: Socket, reasons: Reasons, error: Refusing) -> None:
    said = msgspec.to_builtins(reasons.problem(error))
    line = msgspec.json.encode({**said, "type": "problem", "about": said["type"]}).decode()
    async with asyncio.timeout(STUCK_S):
        await socket.send_text(line)


async def _tell_lines(socket: Socket, feed: Feed, reader: Reader) -> None:
    while not reader.closed:
        lines = await _next(feed, reader)
        async with asyncio.timeout(STUCK_S):
            for message in lines:
                await socket.send_text(message.line)
        await asyncio.sleep(feed.pause_s)


async def _idle(reader: Reader) -> None:
    """Until the reader has followed nothing for too long."""
    left_s = IDLE_S
    while left_s > 0:
        await asyncio.sleep(left_s)
        since = time.monotonic() if reader.idle_since is None else reader.idle_since
        left_s = since + IDLE_S - time.monotonic()


async def _converse(socket: Socket, desk: Desk, reader: Reader) -> None:
    """Until the reader goes, follows nothing, or the feed ends."""
    hearing = asyncio.ensure_future(_hear(socket, desk, reader))
    telling = asyncio.ensure_future(_tell_lines(socket, desk.feed, reader))
    idling = asyncio.ensure_future(_idle(reader))
    tasks = {hearing, telling, idling}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        error = task.exception()
        if error is not None and not isinstance(error, WebSocketDisconnect | TimeoutError | OSError):
            raise error
    if telling in done:
        await _farewell(socket, GOING_AWAY, "the feed ends: come again and subscribe from where you are")
    elif idling in done:
        await _farewell(socket, POLICY, f"you follow nothing: subscribe within {IDLE_S:.0f} s")


async def _farewell(socket: Socket, code: int, reason: str) -> None:
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError, OSError):
        async with asyncio.timeout(FAREWELL_S):
            await socket.close(code, reason)


# ---- the routes


def stream_routes(desk: Desk) -> list[ASGIRouteHandler | WebsocketRouteHandler]:
    feed = desk.feed

    async def events(scope: Any, receive: Any, send: Any) -> None:
        try:
            if scope["method"] != "GET":
                raise Refusing(Refused.malformed, "GET this address; it answers with a stream of events")
            reader = await _opened(desk, Call(desk, scope, receive, {}))
        except Refusing as error:
            await refuse(desk.reasons, error, send)
            return
        except DATABASE_ERRORS:
            await refuse(desk.reasons, _unavailable(), send)
            return
        try:
            async with feed.connection():
                await _stream(feed, reader, receive, send)
        finally:
            feed.part(reader)

    @websocket("/v1/feed")
    async def conversation(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        try:
            reader = feed.join()
        except Refusing as error:
            await _say_problem(socket, desk.reasons, error)
            await socket.close(TRY_AGAIN, "try again in a second")
            return
        try:
            async with feed.connection():
                await _converse(socket, desk, reader)
        finally:
            feed.part(reader)

    return [ASGIRouteHandler("/v1/feed/events", name="feed events", copy_scope=False)(events), conversation]


async def _has_its_own_route(call: Call, asked: Any) -> None:
    raise AssertionError("the feed has routes of its own")


async def _takes_a_socket(call: Call, asked: None) -> None:
    raise Refusing(
        Refused.malformed,
        "this address takes a WebSocket (see /docs); without one: GET /v1/feed/events?listings=L1",
    )


_ABOUT: Final = """
A WebSocket, open to all. Every message is a JSON text. `sequence` is the journal's; levels are [price_fen, quantity] and
quantity 0 says that the level is gone; a change is everything that one commit did to one listing.

say   {"op":"subscribe","listings":["L1","L2"]}
told  {"type":"snapshot","sequence":810,"listing":"L1","state":"published","bids":[[790,4]],"asks":[],...}
told  {"type":"current","sequence":812}                              everything up to 812 has been told
told  {"type":"change","sequence":813,"listing":"L1","bids":[[790,0]],"trades":[...],"bars":{...}}
told  {"type":"change","sequence":814,"listing":"L1","halted":["market"]}
say   {"op":"subscribe","listings":["L1"],"from":"813.1"}             go on behind the change of L1 in commit 813
say   {"op":"unsubscribe","listings":["L1"]}
told  {"type":"gap","listing":"L1","after":820}                      too slow or too late: a snapshot follows
told  {"type":"problem","code":"not_found",...}                      what you said was refused; the connection goes on

A connection that follows nothing for ten seconds is closed.
To go on after a lost connection subscribe with `from`: nothing is told twice and nothing left out. `current`'s place is
its `sequence`, a change's is `sequence.number of the listing`.
"""

_EVENTS: Final = """
Server-sent events: `data` is one JSON text, a snapshot of each listing first and its changes from then on, as /v1/feed
tells them; `id` is the place to go on from after a lost connection (`Last-Event-ID` or `from`).

curl -N 'http://127.0.0.1:8000/v1/feed/events?listings=L1,L2'
"""

OPERATIONS: Final = (
    Operation(
        "GET", "/v1/feed/events", _has_its_own_route,
        "Changes of listings as server-sent events; the same over WebSocket at /v1/feed", "market",
        asks=FeedQuery, signed_in=False, refused=(Refused.not_found, Refused.out_of_bounds), bytes_out=True, hot=True,
        media="text/event-stream", about=_EVENTS,
        headers=(("Last-Event-ID", "go on from here; goes before `from`"),),
    ),
    Operation(
        "GET", "/v1/feed", _takes_a_socket, "Changes of listings over a WebSocket", "market", status=101,
        signed_in=False, about=_ABOUT, says=Ask, told=Told,
    ),
)  # fmt: skip
