"""One operation of the API, said once: its route, its decoding, its refusals and its page in the OpenAPI document.

A module per noun lists its operations as data. `handlers` turns them into Litestar routes and `exchange.web.openapi`
into the document, so that what is documented is what happens. A request goes:

    read (bounded) -> decode into a struct -> bounds of every value -> handler -> struct -> bytes

Handlers return structs or whole responses, and raise `Refusing`; nothing else leaves them. Bodies are decoded by
msgspec decoders built once, not by Litestar's signature model, which names no element of a batch and costs a second
validation.
"""

import errno
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

import asyncpg
import msgspec
from litestar import HttpMethod, Request, Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from credit.merchant import holds
from exchange.audit import Seen
from exchange.events import Refusal, Refused
from exchange.listing import VISIBLE
from exchange.participant import GRANTED_ROLES, is_host
from exchange.projector import CursorInvalid, ProjectorStopped
from exchange.state import State
from exchange.venue import Outcome
from exchange.web import problem
from exchange.web.access import Seat, address_of, bearer, enter
from exchange.web.desk import Desk
from exchange.web.pattern import whole
from exchange.web.problem import Refusing, refusing
from exchange.web.scopes import BITS, READ, SHARED, scope_of
from exchange.web.trace import note

T = TypeVar("T")
log = logging.getLogger("shuji.web")

DATABASE_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ProjectorStopped,
)
"""What a database that goes away raises; the answer is 503 and the request may be sent again."""

CURSOR_INVALID: Final = "cursor is the `next` of the page before"

OFFICES: Final = GRANTED_ROLES
"""Roles that open what is somebody else's; what they opened is in the audit log."""
READS: Final = ("GET", "HEAD")
INSPECTING: Final = ("auditor", "regulator")
"""Offices that see everything and decide nothing here; they say why they look."""
PURPOSE: Final = "shuji-purpose"
LONGEST_PURPOSE: Final = 500
LONGEST_QUERY: Final = 2_000
PURPOSE_NEEDED: Final = (
    "查阅须写明用途：请加请求头。Say why you look: send the header `Shuji-Purpose: the inspection's number, or a reason`, "
    f"in UTF-8 or percent-encoded, {LONGEST_PURPOSE} characters at most; it is kept in the audit log with what you see"
)

BODY_LIMIT: Final = 1 << 20
MOST_INTEGER: Final = 2**53 - 1
LONGEST_TEXT: Final = 10_000
LONGEST_LIST: Final = 1_000
DEEPEST: Final = 20
MOST_PER_PAGE: Final = 200

Sha256 = Annotated[str, Meta(pattern=whole("[0-9a-f]{64}"), description="SHA-256, 64 lower-case hex digits")]
RevisionSeen = Annotated[int, Meta(ge=1, le=10**9, description="the product's revision that was looked at")]
Name = Annotated[str, Meta(max_length=200)]
Id = Annotated[str, Meta(max_length=64)]
Limit = Annotated[int, Meta(ge=1, le=MOST_PER_PAGE, description="items on a page")]
Cursor = Annotated[str, Meta(max_length=400, description="`next` of the page before")]

PATH_PATTERNS: Final = {
    "participant": whole("P[1-9][0-9]{0,17}"),
    "product": whole("D[1-9][0-9]{0,17}"),
    "listing": whole("L[1-9][0-9]{0,17}"),
    "contract": whole("L[1-9][0-9]{0,17}-[1-9][0-9]{0,8}"),
    "attestation": whole("A[1-9][0-9]{0,17}"),
    "order": whole("O[1-9][0-9]{0,17}"),
    "trade": whole("T[1-9][0-9]{0,17}"),
    "subscription": whole("S[1-9][0-9]{0,17}"),
    "bill": whole("I[1-9][0-9]{0,17}"),
    "entitlement": whole("E[1-9][0-9]{0,17}"),
    "report": whole("R[1-9][0-9]{0,17}"),
    "duty": whole("U[1-9][0-9]{0,17}"),
    "need": whole("N[1-9][0-9]{0,17}"),
    "proposal": whole("Q[1-9][0-9]{0,17}"),
    "withdrawal": whole("W[1-9][0-9]{0,17}"),
    "batch": whole("[A-Za-z0-9]{1,19}"),
    "bank_break": whole("K[1-9][0-9]{0,17}"),
    "evidence": whole("[A-Za-z0-9.:-]{1,100}"),
    "board": whole("[a-z][a-z0-9_]{0,39}"),
    "rule": whole("[A-Z][0-9]{2}"),
    "code": whole("[a-z_]{1,40}"),
    "bid": whole("J[1-9][0-9]{0,17}"),
    "case": whole("F[1-9][0-9]{0,17}"),
    "objection": whole("H[1-9][0-9]{0,17}"),
    "directive": whole("Z[1-9][0-9]{0,17}"),
    "ring": whole("G[1-9][0-9]{0,17}"),
    "draft": whole("K[1-9][0-9]{0,17}"),
    "named_key": whole("Y[1-9][0-9]{0,17}"),
    "session": whole("[A-Za-z0-9_-]{16}"),
    "credential": whole("C[1-9][0-9]{0,17}"),
    "purpose": whole("revocation|suspension"),
    "mandate": whole("M[1-9][0-9]{0,17}"),
    "step": whole("submit|approve|return|suspend|resume|withdraw"),
}
"""What each path parameter looks like; anything else is 404 before a handler sees it."""

_PATH_MATCHES: Final = {name: re.compile(pattern).match for name, pattern in PATH_PATTERNS.items()}
_COMMAND_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
COMMAND_ID_PATTERN: Final = whole(
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)


class Paging(Struct, kw_only=True, forbid_unknown_fields=True):
    """The parameters that every list takes."""

    limit: Limit = 50
    cursor: Cursor = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """`asks` is the struct of the body, or of the query for GET; `answers` that of the success.

    `refused` names the codes beside those that every operation has. `bytes_in` and `bytes_out` say that the body or
    the answer is raw bytes (of the type `media`), `page_too` that it is an HTML page unless `Accept` asks for JSON.
    `hot` operations have a route of their own (`exchange.web.orders`). A WebSocket has `says` and `told`, what its client
    says and is told; `about` is a longer text for the pages.
    """

    method: str
    path: str
    handler: "Callable[[Call, Any], Awaitable[Any]]"
    summary: str
    tag: str
    status: int = 200
    asks: Any = None
    answers: Any = None
    example: Any = None
    example_answer: Any = None
    signed_in: bool = True
    refused: tuple[Refused, ...] = ()
    bytes_in: bool = False
    bytes_out: bool = False
    page_too: bool = False
    also: tuple[int, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    hot: bool = False
    limit: int = BODY_LIMIT
    longest_text: int = LONGEST_TEXT
    about: str = ""
    media: str = "*/*"
    says: Any = None
    told: Any = None

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def scope(self) -> str:
        """What a token must be for (`exchange.web.scopes`)."""
        return scope_of(self.method, self.path, self.tag)

    @property
    def is_shared(self) -> bool:
        """Whether it is an office's business too."""
        return f"{self.method} {self.path}" in SHARED

    @property
    def asks_in_query(self) -> bool:
        return self.method == "GET" or self.bytes_in


class Call:
    """One request: what was asked, by whom, and the ways to answer it."""

    __slots__ = ("desk", "offices", "path", "reader", "receive", "scope")

    def __init__(self, desk: Desk, scope: Any, receive: Any, path: dict[str, str]) -> None:
        self.offices: tuple[str, ...] = ()
        """In which the reader was shown what it asked for; empty where no office opened it."""
        self.reader = ""
        """Who has shown a good token; it may have ended since, as after the clock was moved."""
        self.desk = desk
        self.scope = scope
        self.receive = receive
        self.path = path

    @property
    def now_ns(self) -> int:
        """The venue's clock, which may be a simulated one."""
        return self.desk.engine.now_ns()

    def header(self, name: str) -> str:
        """The first header of this (lower-case) name; empty where there is none."""
        wanted = name.encode()
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == wanted), "")

    @property
    def visitor(self) -> str:
        """The participant that the token names; empty without a token. A bad token is refused all the same."""
        return self.enter(READ).participant if self.header("authorization") else ""

    @property
    def participant(self) -> str:
        """The participant that the token names."""
        return self.enter().participant

    def enter(self, scope: int = 0) -> Seat:
        """Refuses whoever has no good token, comes from elsewhere than it may, or asks for what the token is not for."""
        desk, token = self.desk, bearer(self.scope["headers"])
        seat = enter(desk.tokens, token, self.now_ns, desk.register(), address_of(self.scope), scope)
        self.reader = seat.participant
        return seat

    def sign_in(self, operation: Operation) -> None:
        """To an operation: an office's business, for whoever holds one, needs its scope."""
        seat = self.enter(BITS[operation.scope])
        if operation.is_shared and not set(OFFICES).isdisjoint(self.desk.people()[seat.participant].roles):
            self.enter(BITS["office"])

    @property
    def key(self) -> str:
        """The command id of `Idempotency-Key`; empty where there is none."""
        return command_id(self.header("idempotency-key"))

    async def submit(self, command: Any, **extra: Any) -> Outcome:
        """The outcome of a command that was not refused; it is committed."""
        note(command)
        outcome = await self.desk.engine.submit(command, **extra)
        if outcome.refusal is not None:
            raise refusing(outcome.refusal, outcome.at_ns)
        return outcome

    async def read(self, look: Callable[[State], T]) -> T:
        """Committed state; a refusal that `look` returns is raised."""
        found = await self.desk.engine.read(look)
        if isinstance(found, Refusal):
            raise refusing(found, self.now_ns)
        return found

    async def tables_ready(self) -> None:
        """Wait until the query tables show everything that is committed now."""
        await self.desk.projector.caught_up(self.desk.engine.sequence)

    async def roles(self) -> frozenset[str]:
        """Roles of the signed-in participant as they are now, not as they were at login; asked for to open something."""
        found = await self._roles()
        self._open(found)
        return found

    async def visitor_roles(self) -> frozenset[str]:
        """As `roles`; none for who has not signed in."""
        return await self.roles() if self.visitor else frozenset()

    async def need_role(self, *roles: str) -> None:
        found = await self._roles()
        if not found.intersection(roles):
            raise Refusing(Refused.forbidden, f"this needs the role {' or '.join(roles)}")
        self._open(found)

    async def opens_listing(self, listing: str) -> None:
        """A listing that is not everybody's yet is opened to its merchant, or by an office."""
        visitor = self.visitor

        def merchant_of_hidden(state: State) -> str:
            row = state.listings.get(listing)
            return "" if row is None or row.state in VISIBLE else row.merchant

        if visitor and await self.read(merchant_of_hidden) not in ("", visitor):
            await self.roles()

    async def hosts(self, board: str) -> bool:
        """Whether the signed-in participant is a host of this board, whose trades and listings it sees."""
        participant, now_ns = self.participant, self.now_ns
        return await self.read(lambda state: is_host(state, participant, board, now_ns))

    async def _roles(self) -> frozenset[str]:
        participant, now_ns = self.participant, self.now_ns
        return await self.read(lambda state: roles_of(state, participant, now_ns))

    def _open(self, roles: frozenset[str]) -> None:
        """What is read from here on is opened by an office: who only inspects says why."""
        if self.scope.get("method") not in READS:
            return
        if roles.intersection(INSPECTING) and not self.purpose:
            raise Refusing(Refused.malformed, PURPOSE_NEEDED)
        self.offices = tuple(role for role in OFFICES if role in roles)

    @property
    def purpose(self) -> str:
        """Why an office looks, as it says; empty where it does not, or in more characters than are kept."""
        try:
            text = unquote_to_bytes(self.header(PURPOSE).encode("latin-1")).decode().strip()
        except UnicodeDecodeError:
            return ""
        return text if len(text) <= LONGEST_PURPOSE and text.isprintable() else ""

    def page(self, items: Sequence[Any], following: str) -> Response[bytes]:
        """A page of a list, with `Link: rel="next"` (RFC 8288) where there is more."""
        return answer({"items": items, "next": following or None}, 200, self.link(following))

    def link(self, following: str | None) -> dict[str, str]:
        """The header that leads on to the next page; none where there is none."""
        if not following:
            return {}
        query = [(key, value) for key, value in self._query() if key != "cursor"]
        return {"link": f'<{self.scope["path"]}?{urlencode([*query, ("cursor", following)])}>; rel="next"'}

    def _query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)

    def query(self, decode: Callable[[dict[str, str]], T]) -> T:
        return decode(dict(self._query()))

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it arrives; refuses one that grows beyond the limit."""
        announced = self.header("content-length")
        if announced.isascii() and announced.isdigit() and int(announced) > limit:
            raise Refusing(Refused.too_large, f"the body may have {limit} bytes")
        total = 0
        async for chunk in body_chunks(self.receive):
            total += len(chunk)
            if total > limit:
                raise Refusing(Refused.too_large, f"the body may have {limit} bytes")
            yield chunk

    async def body(self, limit: int) -> bytes:
        return b"".join([chunk async for chunk in self.chunks(limit)])


async def body_chunks(receive: Any) -> AsyncIterator[bytes]:
    """The chunks of an ASGI request body. A client that went away is a body that cannot be read."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusing(Refused.malformed, "the connection was closed before the body's end")
        chunk = message.get("body", b"")
        if chunk:
            yield chunk
        more = message.get("more_body", False)


def command_id(text: str, field: str = "") -> str:
    """The command id in lower case; empty stays empty. Anything but a UUID version 7 (RFC 9562, 5.7) is refused.

    `field` is the body's that it came in; empty: the header `Idempotency-Key`.
    """
    if not text:
        return ""
    lower = text.lower()
    if _COMMAND_ID.match(lower) is None:
        detail = (
            f"{field or 'Idempotency-Key'} is a new UUID version 7; `shuji call` makes the header's by itself"
        )
        errors = (problem.FieldError(f"$.{field}", "not a UUID version 7"),) if field else ()
        raise Refusing(Refused.malformed, detail, errors=errors)
    return lower


def roles_of(state: State, participant: str, at_ns: int) -> frozenset[str]:
    """The roles that a participant may act in now."""
    row = state.bureau.participants.get(participant)
    return frozenset() if row is None else frozenset(role for role in row.roles if holds(row, role, at_ns))


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A struct as a JSON response."""
    body = msgspec.json.encode(content)
    return Response(body, status_code=status, headers=headers or {}, media_type="application/json")


def problem_response(desk: Desk, error: Refusing) -> Response[bytes]:
    said = desk.reasons.problem(error)
    return Response(
        problem.encode(said),
        status_code=said.status,
        headers=problem.headers_of(said),
        media_type=problem.MEDIA_TYPE,
    )


# ---- the audit log

_NAMED: Final = re.compile(rb"(?<![A-Za-z0-9_])P[1-9][0-9]{0,17}(?![A-Za-z0-9_])")
"""A participant's id, wherever it stands in an answer: one too many is better noted than one too few."""


def named_in(content: bytes) -> set[bytes]:
    """The participants whom an answer names."""
    return set(_NAMED.findall(content))


def offices_of(call: Call) -> tuple[str, ...]:
    """The offices that opened a read, or in which a step was taken; empty where there was none."""
    if call.scope["method"] in READS:
        return call.offices
    row = call.desk.people().get(call.reader)
    held = () if row is None else row.roles
    return tuple(role for role in OFFICES if role in held)


async def noted(call: Call, response: Response[Any]) -> Response[Any]:
    """What an office reads or does is in the audit log before the answer goes out. A read that names nobody is there
    only where it is an inspection."""
    offices, reader = offices_of(call), call.reader
    if not offices:
        return response
    content = (
        response.content if isinstance(response.content, bytes) else str(response.content or "").encode()
    )
    method, query = call.scope["method"], call.scope["query_string"]
    path = call.scope["path"].replace("\0", "\ufffd")  # which PostgreSQL cannot hold
    found = named_in(b" ".join([content, path.encode(), query])) - {reader.encode()}
    subjects = tuple(sorted(one.decode() for one in found))
    if subjects or method not in READS or set(INSPECTING).intersection(offices):
        asked = method, path, query.decode("latin-1")[:LONGEST_QUERY]
        await call.desk.audit.write(Seen(call.now_ns, reader, offices, call.purpose, *asked, subjects))
    return response


# ---- decoding


def bounds_fault(
    value: Any, path: str = "$", depth: int = 0, longest: int = LONGEST_TEXT
) -> problem.FieldError | None:
    """The first value that no field of the API can hold: NUL, absurd lengths, integers beyond 2**53."""
    if isinstance(value, str):
        return _text_fault(value, path, longest)
    if isinstance(value, int | float):
        out = not -MOST_INTEGER <= value <= MOST_INTEGER
        return problem.FieldError(path, "beyond 2**53, where JSON numbers are not exact") if out else None
    if not isinstance(value, dict | list):
        return None
    if depth > DEEPEST or len(value) > LONGEST_LIST:
        return problem.FieldError(path, f"at most {LONGEST_LIST} entries and {DEEPEST} levels")
    faults = (bounds_fault(part, where, depth + 1, longest) for part, where in _parts(value, path))
    return next((fault for fault in faults if fault is not None), None)


def _text_fault(text: str, path: str, longest: int) -> problem.FieldError | None:
    if "\0" in text:
        return problem.FieldError(path, "holds a NUL character")
    if len(text) > longest:
        return problem.FieldError(path, f"longer than {longest} characters")
    return None


def _parts(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Members and elements, and the keys themselves."""
    if isinstance(value, list):
        yield from ((part, f"{path}[{index}]") for index, part in enumerate(value))
        return
    for key, part in value.items():
        yield key, path
        yield part, f"{path}.{key}"


def check_bounds(tree: Any, longest: int = LONGEST_TEXT) -> None:
    fault = bounds_fault(tree, longest=longest)
    if fault is not None:
        raise Refusing(Refused.malformed, f"{fault.message} at {fault.path}", errors=(fault,))


def body_decoder(asks: Any, longest: int = LONGEST_TEXT) -> Callable[[bytes], Any]:
    """Bytes to the struct; an empty body is an empty object."""
    decoder = msgspec.json.Decoder(asks)

    def decode(body: bytes) -> Any:
        content = body or b"{}"
        try:
            check_bounds(msgspec.json.decode(content), longest)
            return decoder.decode(content)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise problem.malformed(error, asks) from error

    return decode


def query_decoder(asks: Any) -> Callable[[dict[str, str]], Any]:
    def decode(query: dict[str, str]) -> Any:
        check_bounds(query)
        try:
            return msgspec.convert(query, asks, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            raise problem.malformed(error, asks) from error

    return decode


# ---- routes


def handlers(operations: Sequence[Operation], desk: Desk) -> list[HTTPRouteHandler]:
    """A Litestar route for each operation; those with a route of their own are left out."""
    return [_handler(operation, desk) for operation in operations if not operation.hot]


def methods(method: str, heads: bool) -> list[HttpMethod]:
    """A read is answered to HEAD too (the server leaves the body out), but for those that do something or stream."""
    return [HttpMethod.GET, HttpMethod.HEAD] if method == "GET" and heads else [HttpMethod(method)]


def _handler(operation: Operation, desk: Desk) -> HTTPRouteHandler:
    perform = performer(operation)
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", f"{{{name}:str}}")

    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        return await perform(Call(desk, request.scope, request.receive, dict(request.path_params)))

    return HTTPRouteHandler(
        path,
        http_method=methods(operation.method, not operation.bytes_out),
        status_code=200,  # the response brings its own
        include_in_schema=False,
        name=f"{operation.method} {operation.path}",
    )(handle)


def performer(operation: Operation) -> "Callable[[Call], Awaitable[Response[Any]]]":
    """The whole of an operation: decoded, handled, and answered also where it is refused."""
    in_query = operation.asks is not None and operation.asks_in_query
    from_query = query_decoder(operation.asks) if in_query else None
    from_body = (
        body_decoder(operation.asks, operation.longest_text)
        if operation.asks is not None and not in_query
        else None
    )

    async def handled(call: Call) -> Response[Any]:
        _check_path(call.path)
        if operation.signed_in:
            call.sign_in(operation)
        asked: Any = None
        if from_query is not None:
            asked = call.query(from_query)
        elif from_body is not None:
            asked = from_body(await call.body(operation.limit))
        given = await operation.handler(call, asked)
        if not isinstance(given, Response):
            given = answer(given, operation.status, call.link(getattr(given, "next", None)))
        return await noted(call, given) if call.reader else given

    async def perform(call: Call) -> Response[Any]:
        try:
            return await handled(call)
        except Refusing as error:
            return problem_response(call.desk, error)
        except CursorInvalid:
            return problem_response(call.desk, Refusing(Refused.malformed, CURSOR_INVALID))
        except DATABASE_ERRORS as error:
            log.warning("%s: the storage is not available: %r", call.scope["path"], error)
            return problem_response(call.desk, Refusing(Refused.storage_unavailable, _storage_detail(error)))

    return perform


def _storage_detail(error: Exception) -> str:
    """Of an operation that failed before it was handed to the engine, or only reads: nothing of it is stored."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: nothing was stored; tell the operator"
    return "the database is not answering: try again with the same id"


def _check_path(path: dict[str, str]) -> None:
    for name, value in path.items():
        if _PATH_MATCHES[name](value) is None:
            raise Refusing(Refused.not_found, f"there is no {name} {value[:40]!r}")
