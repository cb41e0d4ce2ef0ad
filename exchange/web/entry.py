"""Order entry over a WebSocket: many orders under way on one connection, and word of one's own orders.

    GET /v1/orders/ws     `Authorization: Bearer TOKEN` in the handshake, or `sign_in` as the first message

What a message asks for is done by the same door as `POST /v1/orders` (`exchange.web.orders.EntryDoor`), with the same
validation, refusals and command ids. Messages are handed to the engine in the order in which they came and are answered
in that order, each with its `request` number, after the commit. The token is looked at for every message and every
second: with it ends the connection.

What can go wrong, and what is done:

    too much under way        refused (`overloaded`); where refusals wait to be read, nothing is read until there is room
    own orders told too fast  the connection is closed: sign in and watch again
    nobody signs in           the connection is closed after ten seconds
    the venue stops           nothing more is taken; what is under way is answered, then the connection is closed
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from litestar.handlers import ASGIRouteHandler
from msgspec import Meta, Struct

from exchange.events import VENUE, CancelOrder, EndConnection, OrderClosed, Refused
from exchange.venue import Outcome
from exchange.web import problem
from exchange.web.access import Seat, address_of, bearer, lacking
from exchange.web.desk import Desk
from exchange.web.fills import PlacedOrder, placed_order
from exchange.web.operation import DATABASE_ERRORS, Call, Operation, command_id
from exchange.web.orders import Batch, BatchResult, EntryDoor, Order, entry_door, refuse
from exchange.web.problem import Problem, Refusing, refusing
from exchange.web.scopes import READ, TRADE
from exchange.web.watch import (
    CertificateTold,
    ChangedView,
    ClosedView,
    DutyTold,
    OpenOrder,
    PlacedView,
    ReminderTold,
    TradedView,
    Watchers,
)

MOST_UNDER_WAY: Final = 2_000
"""Orders and other requests of one connection that are not answered yet; one more is refused."""
MOST_REFUSED: Final = 200
"""So many such refusals may wait to be read; then nothing is read from the connection any more."""
MOST_UNREAD_BYTES: Final = 1 << 20
"""Word of own orders that may wait for one connection."""
MOST_CONVERSATIONS: Final = 1_000
MOST_UNSIGNED: Final = 200
MOST_EACH: Final = 16
"""Connections in all, before they sign in, and of one participant."""
SIGN_IN_S: Final = 10.0
LOOK_S: Final = 1.0
"""How often the token is looked at while nothing happens."""
STUCK_S: Final = 30.0
"""A connection that takes nothing of what there is for it for so long is closed."""
TURN: Final = 64
"""Messages of one connection before the others have their turn."""

POLICY: Final = 1008
TRY_AGAIN: Final = 1013
GOING_AWAY: Final = 1001

Number = Annotated[int, Meta(ge=0, le=2**53 - 1, description="comes back with the answer")]


# ---- what is said


class SignIn(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="sign_in"):
    """A token from POST /v1/login. Sent again with a fresh token of the same participant it goes on without a break."""

    request: Number
    token: Annotated[str, Meta(max_length=200)]


class Place(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="place"):
    request: Number
    order: Order


class PlaceMany(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="batch"):
    """Each order is answered on its own; a malformed one refuses them all."""

    request: Number
    orders: Batch


class Cancel(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="cancel"):
    """`command_id`, a UUID version 7, makes it safe to send again, as `Idempotency-Key` does over HTTP."""

    request: Number
    order: Annotated[str, Meta(max_length=20)]
    command_id: Annotated[str, Meta(max_length=36)] | None = None


class Watch(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="watch"):
    """From its answer on, which has the open orders, own orders are told: `placed`, `trade`, `closed`."""

    request: Number


Ask: TypeAlias = SignIn | Place | PlaceMany | Cancel | Watch


class _Numbered(Struct):
    request: Number | None = None


_ASK: Final = msgspec.json.Decoder(Ask)
_NUMBERED: Final = msgspec.json.Decoder(_Numbered)


# ---- what is answered


class Cancelled(Struct, frozen=True, gc=False):
    """`quantity` is what was left of the order."""

    order: str
    quantity: int
    reason: str = "cancelled"


class Answer(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="answer"):
    """The status as HTTP would have it, and what belongs to the request; `problem` where it is refused.

    `request` is null where the message had none that could be read.
    """

    request: int | None
    status: int
    order: PlacedOrder | None = None
    results: tuple[BatchResult, ...] | None = None
    cancelled: Cancelled | None = None
    participant: str | None = None
    orders: list[OpenOrder] | None = None
    problem: Problem | None = None


Told: TypeAlias = (
    Answer | PlacedView | ChangedView | TradedView | ClosedView | DutyTold | ReminderTold | CertificateTold
)

_ENCODE: Final = msgspec.json.Encoder().encode


class _UnderWay(Struct, gc=False):
    """A request that waits for its answer. `weight` orders are in it."""

    request: int | None
    weight: int
    future: "asyncio.Future[Any] | None"
    finish: Callable[[int, Any], Answer] | None
    answer: Answer | None = None

    @property
    def is_done(self) -> bool:
        return self.future is None or self.future.done()


_Said: TypeAlias = tuple[str, int]
"""A line to send, and the weight that its sending takes off."""


# ---- a conversation


class Conversation:
    """One connection: what it asks, in order, and what it is told."""

    def __init__(
        self, desk: Desk, door: EntryDoor, watchers: Watchers, rooms: "_Rooms", address: str
    ) -> None:
        self.participant = ""
        self.name = secrets.token_hex(8)
        """Which connection this is, to the orders that are to end with it."""
        self._is_frail = False
        """Whether there may be such orders. What the venue does not live to end it ends when it starts again."""
        self.ending: tuple[int, str] | None = None
        """Code and reason of the close; nothing more is taken."""
        self._desk = desk
        self._door = door
        self._watchers = watchers
        self._rooms = rooms
        self._token = ""
        self._address = address
        self._under_way: deque[_UnderWay] = deque()
        self._out: deque[_Said] = deque()
        self._weight = 0
        self._unread_bytes = 0
        self._watching: asyncio.Future[None] | None = None
        self._early: list[str] | None = None
        """Word of own orders while the answer that says which are open has not left yet."""
        self.sent = 0
        self.is_cut = asyncio.Event()
        self._woken = asyncio.Event()
        self._room = asyncio.Event()

    # --- hearing

    def hear(self, text: str) -> None:
        """Hand to the engine what is asked for. Never waits: the order of messages is the order of commands."""
        request: int | None = None
        try:
            asked = _asked(text)
            request = asked.request
            self._do(asked)
        except Refusing as error:
            if request is None:
                request = _number_of(text)
            self._refuse(request, error)

    async def room(self) -> None:
        """Until more may be heard."""
        while self._weight >= MOST_UNDER_WAY + MOST_REFUSED:
            self._room.clear()
            await self._room.wait()

    def _do(self, asked: Ask) -> None:
        if isinstance(asked, SignIn):
            self.sign_in(asked.token)
            self._add(_UnderWay(asked.request, 1, None, None, self._signed_in(asked.request)))
            return
        participant = self._holder(READ if isinstance(asked, Watch) else TRADE)
        if isinstance(asked, Place):
            self._take(1)
            self._is_frail |= asked.order.cancel_on_disconnect
            self._await(
                asked.request, 1, self._door.submit(asked.order, participant, "", self.name), self._placed
            )
        elif isinstance(asked, PlaceMany):
            weight = max(1, len(asked.orders))
            self._take(weight)
            self._is_frail |= any(order.cancel_on_disconnect for order in asked.orders)
            self._await(
                asked.request,
                weight,
                self._door.submit_many(asked.orders, participant, "", self.name),
                self._placed_many,
            )
        elif isinstance(asked, Cancel):
            self._take(1)
            command = CancelOrder(
                actor=participant, key=command_id(asked.command_id or "", "command_id"), order=asked.order
            )
            self._await(asked.request, 1, self._desk.engine.submit(command), self._cancelled)
        else:
            self._watch(asked.request, participant)

    def _take(self, weight: int) -> None:
        if self._weight + weight > MOST_UNDER_WAY:
            raise Refusing(
                Refused.overloaded,
                f"{self._weight} orders of this connection are under way and {MOST_UNDER_WAY} may be: "
                "read answers, then send this again",
            )

    def _await(
        self, request: int, weight: int, awaited: Awaitable[Any], finish: Callable[[int, Any], Answer]
    ) -> None:
        future = asyncio.ensure_future(awaited)
        self._add(_UnderWay(request, weight, future, finish))
        future.add_done_callback(self._settle)

    def _add(self, one: _UnderWay) -> None:
        self._weight += one.weight
        self._under_way.append(one)
        self._settle(None)

    def _refuse(self, request: int | None, error: Refusing) -> None:
        said = self._desk.reasons.problem(error)
        self._add(_UnderWay(request, 1, None, None, Answer(request, said.status, problem=said)))

    # --- who

    def enter(self, token: str) -> None:
        """Take a room. With the handshake's token it is one of its participant's, which strangers cannot fill."""
        holder = self._door.enter(token, self._address).participant if token else ""
        self._rooms.enter(holder)
        self.participant, self._token = holder, token

    def sign_in(self, token: str) -> None:
        """By a message. Refuses a token that opens nothing."""
        holder = self._seated(token).participant
        if self.participant not in ("", holder):
            raise Refusing(
                Refused.forbidden, "this connection is another participant's: open one of your own"
            )
        if not self.participant:
            self._rooms.sign_in(holder)
        self.participant, self._token = holder, token

    def _seated(self, token: str) -> Seat:
        """What this token opens; one that opens nothing, or not from here, ends the connection."""
        try:
            return self._door.enter(token, self._address)
        except Refusing:
            self.end(POLICY, "sign in again")
            raise

    def _signed_in(self, request: int) -> Answer:
        return Answer(request, 200, participant=self.participant)

    def _holder(self, scope: int = 0) -> str:
        if not self.participant:
            raise Refusing(Refused.not_signed_in, 'sign in first: {"op":"sign_in","request":1,"token":"..."}')
        if scope & ~self._seated(self._token).scopes:
            raise lacking(scope)
        return self.participant

    def look(self, open_s: float) -> None:
        """Whether whoever is here may still be; after so many seconds somebody has to be."""
        if self.ending is not None:
            return
        if not self.participant and open_s < SIGN_IN_S:
            return
        try:
            self._holder()
        except Refusing as error:
            self._refuse(None, error)
            self.end(POLICY, "sign in again")

    def end(self, code: int, reason: str) -> None:
        """Nothing more is taken; what is under way is still answered."""
        if self.ending is None:
            self.ending = (code, reason)
        self._woken.set()

    # --- answering

    def _settle(self, _: Any) -> None:
        """Answers that are there, up to the first that is not: they leave in the order of the requests."""
        under_way = self._under_way
        while under_way and under_way[0].is_done:
            one = under_way.popleft()
            self._out.append((_ENCODE(self._answer(one)).decode(), one.weight))
            self._woken.set()
            if one.finish == self._watched and self._early is not None:
                self._out.extend((line, 0) for line in self._early)
                self._early = None

    def _answer(self, one: _UnderWay) -> Answer:
        if one.answer is not None:
            return one.answer
        assert one.future is not None and one.finish is not None and one.request is not None  # noqa: PT018
        try:
            return one.finish(one.request, one.future.result())
        except Refusing as error:
            said = self._desk.reasons.problem(error)
        except DATABASE_ERRORS:
            said = self._desk.reasons.problem(
                Refusing(Refused.storage_unavailable, "the database is not answering: try again in a second")
            )
        return Answer(one.request, said.status, problem=said)

    def _placed(self, request: int, outcome: Outcome) -> Answer:
        _raise(outcome)
        return Answer(request, 201, placed_order(outcome.events, self._desk.reasons, outcome.at_ns))

    def _placed_many(self, request: int, outcomes: list[Outcome]) -> Answer:
        return Answer(request, 200, results=self._door.results(outcomes))

    def _cancelled(self, request: int, outcome: Outcome) -> Answer:
        _raise(outcome)
        closed = outcome.events[0]
        assert isinstance(closed, OrderClosed), "a cancel closes its order"
        return Answer(request, 200, cancelled=Cancelled(closed.order, closed.remaining, closed.reason))

    # --- own orders

    def _watch(self, request: int, participant: str) -> None:
        if self._watching is not None:
            raise Refusing(Refused.wrong_state, "this connection watches already")
        self._take(1)
        self._early = []
        found: asyncio.Future[list[OpenOrder]] = asyncio.get_running_loop().create_future()
        self._watching = asyncio.ensure_future(self._begin(participant, found))
        self._await(request, 1, found, self._watched)

    async def _begin(self, participant: str, found: "asyncio.Future[list[OpenOrder]]") -> None:
        try:
            await self._watchers.begin(self, participant, found.set_result)
        except (Refusing, *DATABASE_ERRORS) as error:
            self._watching = self._early = None
            found.set_exception(error)

    def _watched(self, request: int, orders: list[OpenOrder]) -> Answer:
        return Answer(request, 200, orders=orders)

    def tell(self, line: str) -> None:
        """Word of an own order; it leaves behind the answer that has the open orders."""
        self._unread_bytes += len(line)
        if self._unread_bytes > MOST_UNREAD_BYTES:
            self.cut("you read too slowly: connect, sign in and watch again")
        elif self._early is not None:
            self._early.append(line)
        else:
            self._out.append((line, 0))
            self._woken.set()

    def cut(self, reason: str) -> None:
        """End at once: whoever does not read is told nothing more."""
        self.ending = (TRY_AGAIN, reason)
        self.is_cut.set()

    # --- the connection

    async def say(self, send: Any) -> None:
        """Send what there is to say, until the conversation ends and everything has been answered."""
        while True:
            while self._out:
                line, weight = self._out.popleft()
                await send({"type": "websocket.send", "text": line})
                self.sent += 1
                if weight:
                    self._weight -= weight
                    self._room.set()
                else:
                    self._unread_bytes -= len(line)
            if self.ending is not None and not self._under_way:
                return
            self._woken.clear()
            await self._woken.wait()

    @property
    def is_stuck(self) -> bool:
        """Whether something waits to be read."""
        return bool(self._out)

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
            self._watchers.end(self, self.participant)
        self._rooms.leave(self.participant)
        if self._is_frail:
            with suppress(*DATABASE_ERRORS):
                await self._desk.engine.submit(EndConnection(actor=VENUE, session=self.name))


async def _hear(conversation: Conversation, receive: Any) -> None:
    """Until the client has closed the connection."""
    heard = 0
    while (message := await receive())["type"] != "websocket.disconnect":
        if conversation.ending is None:
            conversation.hear(message.get("text") or message.get("bytes") or "")
        await conversation.room()
        heard += 1
        if heard % TURN == 0:
            await asyncio.sleep(0)


async def _converse(conversation: Conversation, closing: asyncio.Event, receive: Any, send: Any) -> None:
    """Until the client goes, the token ends, or the venue stops."""
    hearing = asyncio.ensure_future(_hear(conversation, receive))
    saying = asyncio.ensure_future(conversation.say(send))
    cut = asyncio.ensure_future(conversation.is_cut.wait())
    stopping = asyncio.ensure_future(closing.wait())
    stopping.add_done_callback(lambda _: conversation.end(GOING_AWAY, "the venue stops: connect again"))
    tasks = (hearing, saying, cut, stopping)
    try:
        await _until_over(conversation, {hearing, saying, cut})
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if not hearing.cancelled():
        return
    assert conversation.ending is not None, "it ended by itself, or the client went"
    code, reason = conversation.ending
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await send({"type": "websocket.close", "code": code, "reason": reason})


async def _until_over(conversation: Conversation, tasks: "set[asyncio.Future[Any]]") -> None:
    """Looks every second whether who is here may still be, and reads what it is told."""
    opened = moved = time.monotonic()
    sent = 0
    while True:
        done, _ = await asyncio.wait(tasks, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        now = time.monotonic()
        if conversation.sent != sent or not conversation.is_stuck:
            moved, sent = now, conversation.sent
        if now - moved > STUCK_S:
            conversation.cut("you read nothing: connect again")
        if done:
            break
        conversation.look(now - opened)
    for task in done:
        error = task.exception()
        if error is not None and not isinstance(error, OSError):
            raise error


# ---- helpers of the door


def _asked(text: str | bytes) -> Ask:
    try:
        asked: Ask = _ASK.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise problem.malformed(error) from error
    return asked


def _number_of(text: str | bytes) -> int | None:
    """The request's number in a message that is otherwise not understood."""
    try:
        return _NUMBERED.decode(text).request
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _raise(outcome: Outcome) -> None:
    if outcome.refusal is not None:
        raise refusing(outcome.refusal, outcome.at_ns)


class _Rooms:
    """How many connections there are. Nobody can take all of them, and nobody without a token many."""

    def __init__(self) -> None:
        self._unsigned = 0
        self._signed: dict[str, int] = {}

    def enter(self, participant: str) -> None:
        """Of a participant, or of somebody who has not signed in yet (empty)."""
        if participant:
            self._seat(participant)
        elif self._unsigned >= MOST_UNSIGNED:
            raise Refusing(
                Refused.overloaded,
                "too many connections have not signed in: send `Authorization: Bearer TOKEN` in the handshake,"
                " or try again in a second",
            )
        else:
            self._unsigned += 1

    def sign_in(self, participant: str) -> None:
        """Of somebody who entered without a token."""
        self._seat(participant)
        self._unsigned -= 1

    def _seat(self, participant: str) -> None:
        mine = self._signed.get(participant, 0)
        if mine >= MOST_EACH:
            raise Refusing(Refused.overloaded, f"you have {mine} connections: close one, then sign in again")
        if sum(self._signed.values()) >= MOST_CONVERSATIONS:
            raise Refusing(Refused.overloaded, "too many connections: try again in a second")
        self._signed[participant] = mine + 1

    def leave(self, participant: str) -> None:
        if not participant:
            self._unsigned -= 1
        elif self._signed[participant] == 1:
            del self._signed[participant]
        else:
            self._signed[participant] -= 1


# ---- the route


def entry_socket_routes(desk: Desk) -> list[ASGIRouteHandler]:
    door, rooms = entry_door(desk), _Rooms()
    watchers = Watchers(desk.engine, desk.projector, desk.pool, desk.reasons)

    async def conversation(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await _refuse(
                desk, Refusing(Refused.malformed, "this address takes a WebSocket: see /docs"), send, ""
            )
            return
        await receive()
        one = Conversation(desk, door, watchers, rooms, address_of(scope))
        try:
            if desk.feed.closing.is_set():
                raise Refusing(Refused.overloaded, "the venue stops: try again in a second")
            one.enter(bearer(scope["headers"]))
        except Refusing as error:
            await _refuse(desk, error, send, "websocket.")
            return
        try:
            await send({"type": "websocket.accept"})
            async with desk.feed.connection():
                await _converse(one, desk.feed.closing, receive, send)
        finally:
            await one.close()

    return [ASGIRouteHandler("/v1/orders/ws", name="orders by WebSocket", copy_scope=False)(conversation)]


async def _refuse(desk: Desk, error: Refusing, send: Any, kind: str) -> None:
    """As HTTP does, also where the handshake of a WebSocket asked (ASGI: `websocket.http.response`)."""

    async def sent(message: Any) -> None:
        await send({**message, "type": f"{kind}{message['type']}"})

    await refuse(desk.reasons, error, sent)


async def _has_its_own_route(call: Call, asked: Any) -> None:
    raise AssertionError("order entry over WebSocket has a route of its own")


_ABOUT: Final = """
A WebSocket. Sign in with `Authorization: Bearer TOKEN` in the handshake, or by the first message. Every message is a JSON
text with an `op` and your own `request` number; answers come in the order of the requests, after the commit, and carry
that number and the status, body or problem that HTTP would have given. Send on without waiting: up to 2,000 orders of one
connection may be under way. Repeat after a lost connection with the same `client_order_id`: nothing is done twice.

say   {"op":"sign_in","request":1,"token":"TOKEN"}
told  {"type":"answer","request":1,"status":200,"participant":"P7"}
say   {"op":"place","request":2,"order":{"listing":"L1","quantity":1,"purpose":"market_analysis"}}
told  {"type":"answer","request":2,"status":201,"order":{"order":"O1","state":"filled","trades":[...],...}}
say   {"op":"batch","request":3,"orders":[{...},{...}]}
told  {"type":"answer","request":3,"status":200,"results":[{"status":201,"order":{...}},{"status":422,"problem":{...}}]}
say   {"op":"cancel","request":4,"order":"O9"}
told  {"type":"answer","request":4,"status":200,"cancelled":{"order":"O9","quantity":3,"reason":"cancelled"}}
say   {"op":"watch","request":5}
told  {"type":"answer","request":5,"status":200,"orders":[...open orders...]}
told  {"type":"placed",...}  {"type":"changed",...}  {"type":"trade",...}  {"type":"closed",...}    own orders, from then on
told  {"type":"duty",...}  {"type":"entitlement_reminder",...}    what one owes after a trade, and terms that end soon
told  {"type":"certificate_reminder",...}    own certificates that end soon

The connection ends with its token (sign in again on it before) and with the venue. Whoever does not read what it is told
about its orders is cut off, and watches again.
"""

OPERATIONS: Final = (
    Operation(
        "GET", "/v1/orders/ws", _has_its_own_route, "Orders over a WebSocket, and word of one's own orders", "orders",
        status=101, signed_in=False, refused=(Refused.not_signed_in,), hot=True, about=_ABOUT, says=Ask, told=Told,
    ),
)  # fmt: skip
