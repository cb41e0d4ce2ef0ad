"""Orders: the hot path, singly and in batches, and what became of them.

`POST /v1/orders` and `POST /v1/orders/batch` have a bare ASGI route each (`EntryDoor`): no request object, no
signature model, no middleware. The way of one order: token from a dictionary, body into a struct by a decoder built
once, one command, one await, one struct to bytes. Anything that can go wrong leaves as the same problem documents as
everywhere else.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Request, Response
from litestar.handlers import ASGIRouteHandler
from msgspec import Meta, Struct

from exchange import book_orders, projector
from exchange.events import (
    CancelMany,
    CancelOrder,
    OrderClosed,
    PlaceOrder,
    Refusal,
    Refused,
    ReplaceOrder,
)
from exchange.matching.orders import Conditions
from exchange.projection import OrderRecord
from exchange.venue import Outcome
from exchange.web import problem
from exchange.web.access import Register, Seat, Tokens, address_of, bearer, enter
from exchange.web.desk import Desk
from exchange.web.fills import PlacedOrder, placed_order
from exchange.web.instant import Instant, optional_ns, optional_text
from exchange.web.operation import Call, Operation, Paging, body_chunks, command_id, performer
from exchange.web.pattern import whole
from exchange.web.problem import Problem, Reasons, Refusing, refusing
from exchange.web.rates import Rates
from exchange.web.scopes import TRADE
from exchange.web.trace import TRACE, note

BATCH_LIMIT: Final = 2 << 20
SINGLE_LIMIT: Final = 1 << 20
MOST_IN_A_BATCH: Final = 1_000
MOST_FILLS: Final = 1_000
MOST_APART: Final = 200

_NO_NUL: Final = whole("[^\\u0000]*")
Word = Annotated[str, Meta(min_length=1, max_length=100, pattern=_NO_NUL)]
Quantity = Annotated[
    int,
    Meta(
        ge=1,
        le=10**9,
        description="whole units. At a posted price any number: the order's amount, price_fen x quantity / "
        "price_per_units, is rounded up to whole fen once. In an order book a multiple of price_per_units",
    ),
]
Price = Annotated[
    int,
    Meta(
        ge=1,
        le=10**12,
        description="the most (buy) or least (sell), in fen per price_per_units units. Absent: at the posted price, "
        "in an order book at market",
    ),
]
Purpose = Annotated[
    Word, Meta(description="what the data is for, one of the listing's purposes; absent: the first of them")
]
Territory = Annotated[
    Word, Meta(description="where it is used, one of the listing's territories; absent: the first of them")
]
Principal = Annotated[
    str, Meta(max_length=20, pattern=_NO_NUL, description="of a broker: whose order it is, P3")
]
MandateId = Annotated[
    str, Meta(max_length=20, pattern=_NO_NUL, description="of a broker: under which mandate, M1")
]
OrderId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=36,
        description="a new UUID version 7 of your own: the same id with the same order gets the same answer again",
    ),
]

_TRY_AGAIN: Final = (Refused.overloaded, Refused.storage_unavailable)
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", problem.MEDIA_TYPE.encode())


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An order. `client_order_id`, a UUID version 7, makes it safe to send again."""

    listing: Annotated[str, Meta(max_length=20, pattern=_NO_NUL, description="the listing's id: L1")]
    side: Annotated[
        Literal["buy", "sell"], Meta(description="at a posted price buy only; in an order book either")
    ] = "buy"
    quantity: Quantity
    limit_fen: Price | None = None
    time_in_force: Annotated[
        Literal["gtc", "gtd", "day", "ioc", "fok"],
        Meta(
            description="of an order book: gtc rests until cancelled, gtd until expires_at, day until midnight in "
            "China; of ioc what is not filled at once is closed, of fok everything where not all of it is"
        ),
    ] = "gtc"
    order_type: Annotated[
        Literal["", "limit", "market", "stop", "stop_limit"],
        Meta(description="need not be said: it follows from limit_fen and stop_fen, and has to fit them"),
    ] = ""
    stop_fen: Annotated[
        Price | None,
        Meta(description="of an order book: waits until the last settled price reaches it"),
    ] = None
    expires_at: Annotated[Instant | None, Meta(description="of gtd")] = None
    display_quantity: Annotated[
        Quantity | None, Meta(description="an iceberg: what of the order the book shows at a time")
    ] = None
    minimum_quantity: Annotated[
        Quantity | None, Meta(description="as much is filled when the order comes in, or it is closed")
    ] = None
    all_or_none: Annotated[bool, Meta(description="is filled whole or not at all, whenever that is")] = False
    post_only: Annotated[bool, Meta(description="is closed where it would meet an order at once")] = False
    self_trade: Annotated[
        Literal["cancel_newest", "cancel_oldest", "cancel_both", "decrement"],
        Meta(description="what happens where it meets an order of the same ultimate owner"),
    ] = "cancel_newest"
    cancel_on_disconnect: Annotated[
        bool, Meta(description="over /v1/orders/ws only: it ends with the connection that it came by")
    ] = False
    purpose: Purpose | None = None
    territory: Territory | None = None
    accepts_prior: Annotated[
        bool,
        Meta(description="of an exclusive licence: the buyer knows of earlier licences and accepts them"),
    ] = False
    client_order_id: OrderId | None = None
    principal: Principal | None = msgspec.field(default=None, name="for")
    mandate: MandateId | None = None


class BatchResult(Struct, frozen=True, omit_defaults=True, gc=False):
    """One order's answer within a batch, as its own request would have had it."""

    status: int
    order: PlacedOrder | None = None
    problem: Problem | None = None


class BatchAnswer(Struct, frozen=True):
    results: tuple[BatchResult, ...]


ORDER_DECODER: Final = msgspec.json.Decoder(Order)
Batch = Annotated[list[Order], Meta(max_length=MOST_IN_A_BATCH)]
BATCH_DECODER: Final = msgspec.json.Decoder(Batch)
_ENCODE: Final = msgspec.json.Encoder().encode

Submit = Callable[[PlaceOrder], Awaitable[Outcome]]
SubmitMany = Callable[[Sequence[PlaceOrder]], Awaitable[Sequence[Outcome]]]


TYPES: Final = {
    "limit": (True, False),
    "market": (False, False),
    "stop": (False, True),
    "stop_limit": (True, True),
}
"""Whether an order of this type has a limit_fen and a stop_fen."""


def _conditions(order: Order, connection: str) -> Conditions | None:
    """What the order asks beside a side, a price and how long; None for most."""
    if order.order_type and TYPES[order.order_type] != (
        order.limit_fen is not None,
        order.stop_fen is not None,
    ):
        has = ", ".join(f"{kind}: {_has(*fields)}" for kind, fields in TYPES.items())
        raise Refusing(
            Refused.malformed, f"order_type does not fit limit_fen and stop_fen ({has}): leave it out"
        )
    if order.cancel_on_disconnect and not connection:
        raise Refusing(Refused.malformed, "cancel_on_disconnect: send this order over /v1/orders/ws")
    asks = Conditions(
        order.time_in_force,
        order.stop_fen or 0,
        order.display_quantity or 0,
        order.minimum_quantity or 0,
        order.all_or_none,
        order.post_only,
        order.self_trade,
        optional_ns(order.expires_at, "expires_at"),
        connection if order.cancel_on_disconnect else "",
    )
    return None if asks == _PLAIN.get(order.time_in_force) else asks


def _has(limit: bool, stop: bool) -> str:
    return " and ".join(name for name, has in (("limit_fen", limit), ("stop_fen", stop)) if has) or "neither"


_PLAIN: Final = {"gtc": Conditions("gtc"), "ioc": Conditions("ioc")}


def command_of(order: Order, participant: str, key: str = "", connection: str = "") -> PlaceOrder:
    """`key` is the request's `Idempotency-Key`: the order's id where it has none of its own; `connection` the WebSocket
    that it came by."""
    named = order.client_order_id
    if (order.principal is None) != (order.mandate is None):
        raise Refusing(Refused.malformed, "a broker names both: `for`, whose order it is, and its `mandate`")
    return PlaceOrder(
        actor=order.principal or participant,
        key=command_id(named, "client_order_id") if named else key,
        listing=order.listing,
        side=order.side,
        quantity=order.quantity,
        limit_fen=order.limit_fen or 0,
        time_in_force=order.time_in_force,
        purpose=order.purpose or "",
        territory=order.territory or "",
        accepts_prior=order.accepts_prior,
        conditions=_conditions(order, connection),
        broker=participant if order.principal else "",
        mandate=order.mandate or "",
    )


def request_key(headers: "list[tuple[bytes, bytes]]") -> str:
    """The command id of `Idempotency-Key`; empty where there is none."""
    for name, value in headers:
        if name == b"idempotency-key":
            return command_id(value.decode("latin-1"))
    return ""


def _check_same(order: Order, key: str) -> None:
    if key and order.client_order_id and command_id(order.client_order_id, "client_order_id") != key:
        detail = (
            "Idempotency-Key and client_order_id name this order differently: send one of them, or the same"
        )
        raise Refusing(Refused.malformed, detail)


def element_key(key: str, index: int) -> str:
    """The id of a batch's element: the request's own, counted on in its last 62 bits (RFC 9562, 5.7: rand_b)."""
    number = int(key.replace("-", ""), 16)
    low = (number + index) & (1 << 62) - 1
    text = f"{number >> 62 << 62 | low:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def decode_order(body: bytes) -> Order:
    try:
        return ORDER_DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise problem.malformed(error, Order) from error


def decode_batch(body: bytes) -> list[Order]:
    try:
        return BATCH_DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise problem.malformed(error, Batch, batch=True) from error


class EntryDoor:
    """Where orders come in. What it needs of the venue is passed in, so that a bench can measure the door alone."""

    def __init__(
        self,
        tokens: Tokens,
        now_ns: Callable[[], int],
        reasons: Reasons,
        submit: Submit,
        submit_many: SubmitMany,
        register: Callable[[], Register],
        rates: Rates,
    ) -> None:
        self._tokens = tokens
        self._now_ns = now_ns
        self._reasons = reasons
        self._submit = submit
        self._submit_many = submit_many
        self._register = register
        self._rates = rates

    def enter(self, token: str, address: str, scope: int = 0) -> Seat:
        """What this token opens now, from there; refuses one that opens nothing (any more), or not this."""
        return enter(self._tokens, token, self._now_ns(), self._register(), address, scope)

    def _participant(self, scope: Any) -> str:
        return self.enter(bearer(scope["headers"]), address_of(scope), TRADE).participant

    def submit(
        self, order: Order, participant: str, key: str = "", connection: str = ""
    ) -> Awaitable[Outcome]:
        _check_same(order, key)
        self._rates.take(participant)
        command = command_of(order, participant, key, connection)
        note(command)
        return self._submit(command)

    def submit_many(
        self, orders: Sequence[Order], participant: str, key: str = "", connection: str = ""
    ) -> Awaitable[Sequence[Outcome]]:
        commands = commands_of(orders, participant, key, connection)
        self._rates.take(participant, len(commands))
        if TRACE.get() is not None:
            for command in commands:
                note(command)
        return self._submit_many(commands)

    async def place(self, scope: Any, receive: Any, send: Any) -> None:
        """POST /v1/orders."""
        try:
            participant = self._participant(scope)
            key = request_key(scope["headers"])
            order = decode_order(await read_body(receive, SINGLE_LIMIT))
            outcome = await self.submit(order, participant, key)
            if outcome.refusal is not None:
                raise refusing(outcome.refusal, outcome.at_ns)
            body = _ENCODE(placed_order(outcome.events, self._reasons, outcome.at_ns))
        except Refusing as error:
            await self._refuse(error, send)
        else:
            await respond(send, 201, body, _JSON)

    async def place_batch(self, scope: Any, receive: Any, send: Any) -> None:
        """POST /v1/orders/batch: a malformed element refuses the whole batch and places nothing.

        So does a busy venue: 503 for the whole, with `Retry-After`, which costs it no thousand problems to write.
        """
        try:
            participant = self._participant(scope)
            key = request_key(scope["headers"])
            orders = decode_batch(await read_body(receive, BATCH_LIMIT))
            outcomes = await self.submit_many(orders, participant, key) if orders else ()
            if (refusal := _not_taken(outcomes)) is not None:
                raise refusing(refusal, 0)
            body = _ENCODE(BatchAnswer(self.results(outcomes)))
        except Refusing as error:
            await self._refuse(error, send)
        else:
            await respond(send, 200, body, _JSON)

    def results(self, outcomes: Sequence[Outcome]) -> tuple[BatchResult, ...]:
        return tuple(map(self.result, range(len(outcomes)), outcomes))

    def result(self, index: int, outcome: Outcome) -> BatchResult:
        if outcome.refusal is None:
            return BatchResult(201, placed_order(outcome.events, self._reasons, outcome.at_ns))
        error = refusing(outcome.refusal, outcome.at_ns)
        error.index = index
        return BatchResult(outcome.refusal.code.status, problem=self._reasons.problem(error))

    async def _refuse(self, error: Refusing, send: Any) -> None:
        await refuse(self._reasons, error, send)


def _not_taken(outcomes: Sequence[Outcome]) -> Refusal | None:
    """Why the engine took nothing of a batch (it is busy, or its database silent); None where it was decided."""
    first = outcomes[0] if outcomes else None
    if first is None or first.refusal is None or first.refusal.code not in _TRY_AGAIN:
        return None
    return first.refusal if all(one is first for one in outcomes) else None


def commands_of(
    orders: Sequence[Order], participant: str, key: str = "", connection: str = ""
) -> list[PlaceOrder]:
    """The commands of a batch; a command id that is none is refused with the element's index.

    Elements without an id of their own get one of the request's `key` and their place.
    """
    commands = []
    for index, order in enumerate(orders):
        try:
            named = element_key(key, index) if key else ""
            commands.append(command_of(order, participant, named, connection))
        except Refusing as error:
            error.index = index
            error.errors = tuple(
                problem.FieldError(f"$[{index}]{one.path[1:]}", one.message) for one in error.errors
            )
            raise
    return commands


async def read_body(receive: Any, limit: int) -> bytes:
    """The request body, most often one message. Refuses one that grows beyond the limit."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) <= limit:
            return body
        raise _too_large(limit)
    parts = [message.get("body", b"")]
    total = len(parts[0])
    if message["type"] == "http.request":
        async for chunk in body_chunks(receive):
            parts.append(chunk)
            total += len(chunk)
            if total > limit:
                raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> Refusing:
    return Refusing(Refused.too_large, f"the body may have {limit} bytes")


async def respond(send: Any, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def refuse(reasons: Reasons, error: Refusing, send: Any) -> None:
    """The answer of a bare route that refuses."""
    said = reasons.problem(error)
    extra = [(name.encode(), value.encode()) for name, value in problem.headers_of(said).items()]
    await respond(send, said.status, problem.encode(said), _PROBLEM, *extra)


# ---- what became of orders


class OrderView(Struct, kw_only=True):
    """An order as it is now. One that `waits` has a stop that was not reached yet: it is in no book. `conditions` are
    what else it asked: minimum, all_or_none, post_only, self_trade, expires (UTC ns), disconnects."""

    order: str
    state: str
    listing: str
    side: str
    quantity: int
    filled: int
    remaining: int
    limit_fen: int | None
    time_in_force: str = "gtc"
    placed_at: str | None
    closed_reason: str | None = None
    client_order_id: str | None = None
    stop_fen: int | None = None
    waits: bool = False
    display_quantity: int | None = None
    conditions: tuple[str, ...] = ()
    broker: str | None = None
    """Who placed it for its participant, under which `mandate`."""
    mandate: str | None = None


class Traded(Struct, frozen=True):
    """A trade of an order."""

    trade: str
    state: str
    quantity: int
    price_fen: int
    amount_fen: int


class OrderAlone(OrderView, kw_only=True):
    """One order with its trades as they are now, the oldest first: up to 1,000."""

    trades: tuple[Traded, ...] = ()


class Replacement(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the order is from now on. `quantity` is all of it, with what was filled. What is left out of the rest: none.

    A smaller quantity at the same price keeps the place in the queue, anything else loses it.
    """

    quantity: Quantity
    limit_fen: Price | None = None
    stop_fen: Price | None = None
    display_quantity: Quantity | None = None


class Many(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which own orders: of a listing, of a side; without either, all of them."""

    listing: Annotated[str, Meta(max_length=20)] = ""
    side: Literal["", "buy", "sell"] = ""


class ManyCancelled(Struct):
    """What was cancelled, and how many that were."""

    orders: tuple[str, ...]
    count: int


class Apart(Struct, frozen=True):
    """An order on the other side, in a place where price would match, and what keeps the two apart: the `rules` that a
    trade between their participants would break now or that lack a fact, `refused_before` where clearing refused it,
    `same_owner` where one owner is behind both, `whole` where one is all-or-none and the other smaller, `session` where
    nothing meets now (before a call auction, or halted)."""

    order: str
    price_fen: int
    quantity: int
    rules: tuple[str, ...]
    why: str


class ApartList(Struct, frozen=True):
    """Best price first, up to 200."""

    items: tuple[Apart, ...]


class OrderList(Struct):
    items: tuple[OrderView, ...]
    next: str | None


class OrderQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Annotated[Literal["", "open", "closed"], Meta(description="open or closed; both without it")] = ""


def order_view(row: OrderRecord) -> OrderView:
    return OrderView(
        order=row.id,
        state=row.state,
        listing=row.listing,
        side=row.side,
        quantity=row.quantity,
        filled=row.filled,
        remaining=row.remaining,
        limit_fen=row.limit_fen or None,
        time_in_force=row.time_in_force,
        placed_at=optional_text(row.placed_at_ns),
        closed_reason=row.closed_reason or None,
        client_order_id=row.client_order_id or None,
        stop_fen=row.stop_fen or None,
        waits=row.waits and row.state in ("open", "partly_filled"),
        display_quantity=row.display or None,
        conditions=row.conditions,
        broker=row.broker or None,
        mandate=row.mandate or None,
    )


async def own_order(desk: Desk, participant: str, identifier: str) -> OrderRecord:
    """The participant's order as the tables have it now, or one that it has placed as a broker; others are not found."""
    await desk.projector.caught_up(desk.engine.sequence)
    row = await projector.order(desk.pool, identifier)
    if row is None or participant not in (row.participant, row.broker or row.participant):
        raise Refusing(Refused.not_found, f"you have no order {identifier}")
    return row


async def show(call: Call, asked: None) -> OrderAlone:
    return await _alone(call)


async def _alone(call: Call) -> OrderAlone:
    row = await own_order(call.desk, call.participant, call.path["order"])
    fills = await projector.fills_of(call.desk.pool, row.id, MOST_FILLS)
    trades = tuple(
        Traded(fill.id, fill.state, fill.quantity, fill.price_fen, fill.amount_fen) for fill in fills
    )
    return OrderAlone(**msgspec.structs.asdict(order_view(row)), trades=trades)


async def replace(call: Call, body: Replacement) -> OrderAlone:
    identifier = call.path["order"]
    call.desk.rates.take(call.participant)
    command = ReplaceOrder(
        actor=call.participant,
        key=call.key,
        order=identifier,
        quantity=body.quantity,
        limit_fen=body.limit_fen or 0,
        stop_fen=body.stop_fen or 0,
        display=body.display_quantity or 0,
    )
    try:
        await call.submit(command)
    except Refusing as error:
        if error.refusal.code is not Refused.not_found:
            raise
        row = await own_order(call.desk, call.participant, identifier)
        raise Refusing(Refused.too_late, f"the order is {row.state}: place another one") from error
    return await _alone(call)


async def cancel_many(call: Call, body: Many) -> ManyCancelled:
    command = CancelMany(actor=call.participant, key=call.key, listing=body.listing, side=body.side)
    outcome = await call.submit(command)
    orders = tuple(event.order for event in outcome.events if isinstance(event, OrderClosed))
    return ManyCancelled(orders, len(orders))


async def kept_apart(call: Call, asked: None) -> ApartList:
    """Why a resting order does not meet what its price would match; no names."""
    identifier, now_ns = call.path["order"], call.now_ns
    row = await own_order(call.desk, call.participant, identifier)
    found = await call.read(lambda state: tuple(book_orders.apart(state, identifier, now_ns, MOST_APART)))
    if not found and row.state not in ("open", "partly_filled"):
        raise Refusing(Refused.wrong_state, f"the order is {row.state}: nothing keeps it apart any more")
    return ApartList(tuple(Apart(*one) for one in found))


async def list_own(call: Call, asked: OrderQuery) -> Response[bytes]:
    await call.tables_ready()
    page = await projector.orders_of(
        call.desk.pool, call.participant, asked.state or None, asked.limit, asked.cursor or None
    )
    return call.page([order_view(row) for row in page.items], page.next or "")


async def cancel(call: Call, asked: None) -> OrderView:
    identifier = call.path["order"]
    command = CancelOrder(actor=call.participant, key=call.key, order=identifier)
    try:
        await call.submit(command)
    except Refusing as error:
        if error.refusal.code is not Refused.not_found:
            raise
        raise await not_cancelled(call.desk, call.participant, identifier) from error
    return order_view(await own_order(call.desk, call.participant, identifier))


async def not_cancelled(desk: Desk, participant: str, identifier: str) -> Refusing:
    """Why an order that the engine does not have cannot be cancelled. Raises where it never was the participant's."""
    row = await own_order(desk, participant, identifier)
    return Refusing(Refused.wrong_state, f"the order is {row.state}: nothing is left to cancel")


# ---- the operations


async def _has_its_own_route(call: Call, asked: Any) -> None:
    raise AssertionError("orders come in by EntryDoor")


def entry_door(desk: Desk) -> EntryDoor:
    engine = desk.engine
    return EntryDoor(
        desk.tokens, engine.now_ns, desk.reasons, engine.submit, engine.submit_many, desk.register, desk.rates
    )


def entry_routes(desk: Desk) -> list[ASGIRouteHandler]:
    """The bare routes of orders. A bare route takes every method, so the list of orders goes through it too."""
    door = entry_door(desk)
    listing = next(one for one in OPERATIONS if (one.method, one.path) == ("GET", "/v1/orders"))
    perform = performer(listing)

    async def single(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await door.place(scope, receive, send)
        elif scope["method"] == "GET":
            response = await perform(Call(desk, scope, receive, {}))
            await response.to_asgi_response(None, Request(scope))(scope, receive, send)
        else:
            await _refuse_method(scope, send, b"GET, POST")

    async def batch(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await door.place_batch(scope, receive, send)
        else:
            await _refuse_method(scope, send, b"POST")

    return [
        ASGIRouteHandler("/v1/orders", name="orders", copy_scope=False)(single),
        ASGIRouteHandler("/v1/orders/batch", name="order batch", copy_scope=False)(batch),
    ]


async def _refuse_method(scope: Any, send: Any, allowed: bytes) -> None:
    said = problem.framework_problem(405, f"{scope['path']} offers {allowed.decode()}")
    await respond(send, 405, problem.encode(said), _PROBLEM, (b"allow", allowed))


_WHEN: Final = "2026-11-23T10:00:00Z"
_ID: Final = "019ab0d2-3c40-7a52-9d1e-0d5f3a9c1b77"
_ORDER: Final = {"listing": "L1", "quantity": 1, "purpose": "market_analysis"}
_PLACED: Final = {
    "order": "O1", "state": "filled", "listing": "L1", "side": "buy", "quantity": 1, "filled": 1, "remaining": 0,
    "trades": [{"trade": "T1", "state": "settled", "quantity": 1, "price_fen": 50_000, "amount_fen": 50_000,
                "fee_fen": 1_000, "entitlement": "E1", "due": "2026-11-26T10:00:00Z"}],
}  # fmt: skip
_VIEW: Final = {
    "order": "O1", "state": "filled", "listing": "L1", "side": "buy", "quantity": 1, "filled": 1, "remaining": 0,
    "limit_fen": None, "time_in_force": "gtc", "placed_at": _WHEN, "closed_reason": None, "client_order_id": _ID,
}  # fmt: skip
_ALONE: Final = _VIEW | {
    "stop_fen": None, "waits": False, "display_quantity": None, "conditions": [],
    "trades": [{"trade": "T1", "state": "settled", "quantity": 1, "price_fen": 50_000, "amount_fen": 50_000}],
}  # fmt: skip
BOOK_REFUSALS: Final = (
    Refused.wrong_state, Refused.tick, Refused.lot, Refused.collar, Refused.session, Refused.too_late, Refused.halted,
)  # fmt: skip
PARTY_REFUSALS: Final = (
    Refused.not_verified, Refused.not_accredited, Refused.standing_denied, Refused.unlawful, Refused.funds_insufficient,
    Refused.units_insufficient, Refused.id_conflict,
)  # fmt: skip
ORDER_REFUSALS: Final = (
    *BOOK_REFUSALS[1:5], Refused.would_cross,
    Refused.not_found, Refused.outside_terms, Refused.mechanism_not_allowed, Refused.not_verified,
    Refused.not_accredited, Refused.standing_denied, Refused.listing_closed, Refused.halted, Refused.unlawful,
    Refused.supply_exhausted, Refused.funds_insufficient, Refused.units_insufficient, Refused.nothing_to_match,
    Refused.rate_limited, Refused.forbidden,
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/orders", _has_its_own_route, "Place an order; it is matched, judged and settled at once", "orders",
        status=201, asks=Order, answers=PlacedOrder, example=_ORDER, example_answer=_PLACED, refused=ORDER_REFUSALS,
        hot=True,
    ),
    Operation(
        "POST", "/v1/orders/batch", _has_its_own_route, "Place up to 1,000 orders, each answered on its own", "orders",
        asks=Batch, answers=BatchAnswer, example=[_ORDER], hot=True, limit=BATCH_LIMIT,
        refused=(Refused.not_found, Refused.rate_limited),
        example_answer={"results": [{"status": 201, "order": _PLACED}]},
    ),
    Operation(
        "GET", "/v1/orders", list_own, "Own orders, the newest first", "orders", asks=OrderQuery, answers=OrderList,
        example_answer={"items": [_VIEW], "next": None}, hot=True,
    ),
    Operation(
        "GET", "/v1/orders/{order}", show, "One own order with its trades", "orders", answers=OrderAlone,
        example_answer=_ALONE,
    ),
    Operation(
        "POST", "/v1/orders/{order}/replace", replace, "Change an own order in a book", "orders", asks=Replacement,
        answers=OrderAlone, refused=(*BOOK_REFUSALS, *PARTY_REFUSALS, Refused.listing_closed, Refused.rate_limited),
        example={"quantity": 2, "limit_fen": 790}, example_answer=_ALONE,
    ),
    Operation(
        "POST", "/v1/orders/mass-cancel", cancel_many, "Cancel all own orders, of a listing or a side", "orders",
        asks=Many, answers=ManyCancelled, refused=(Refused.id_conflict, Refused.not_found, Refused.session),
        example={"listing": "L3", "side": "sell"},
        example_answer={"orders": ["O9", "O12"], "count": 2},
    ),
    Operation(
        "GET", "/v1/orders/{order}/apart", kept_apart, "What price would match an order with, and why it does not",
        "orders", answers=ApartList, refused=(Refused.wrong_state,),
        example_answer={"items": [{"order": "O7", "price_fen": 800, "quantity": 3, "rules": ["A04"], "why": "rules"}]},
    ),
    Operation(
        "DELETE", "/v1/orders/{order}", cancel, "Cancel what is left of an own order", "orders", answers=OrderView,
        refused=(Refused.wrong_state, Refused.id_conflict),
        example_answer={**_VIEW, "state": "closed", "filled": 0, "closed_reason": "cancelled"},
    ),
)  # fmt: skip
