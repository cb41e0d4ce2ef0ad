"""A request's id, and what it asked the engine for: for logs, where somebody asks for them (`serve --log json`).

    Traced(app) ──Trace──> context of the request ──note(command)──> one line when it is answered

The id is the caller's `X-Request-Id` where that is sane, else made here, and goes back in the answer's header. It is not
in problem documents: a command that is sent again gets its first answer, byte for byte. Without `Traced` there is no
trace, and an order pays for one look at a context variable.
"""

import logging
import re
import time
import uuid
from contextvars import ContextVar
from typing import Any, Final

from msgspec import Struct

LOG: Final = logging.getLogger("shuji.request")
MOST_COMMANDS: Final = 20
"""Command ids of a batch that its line names; `commands_more` says how many it does not."""

_SANE: Final = re.compile(rb"[A-Za-z0-9._:+/=-]{1,100}")


class Trace(Struct):
    """One request on its way. `commands` are the ids of the commands that it brought."""

    request_id: str
    participant: str = ""
    commands: list[str] = []
    more: int = 0
    status: int = 0


TRACE: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)


def note(command: Any) -> None:
    """The request asks the engine for this."""
    trace = TRACE.get()
    if trace is not None:
        trace.participant = command.actor
        if command.key and len(trace.commands) < MOST_COMMANDS:
            trace.commands.append(command.key)
        elif command.key:
            trace.more += 1


def request_id_of(headers: list[tuple[bytes, bytes]]) -> str:
    """The caller's, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _SANE.fullmatch(value):
            return value.decode()
    return str(uuid.uuid4())


class Traced:
    """An ASGI application whose requests have an id and are logged, without what is in their queries or bodies."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = Trace(request_id_of(scope["headers"]))
        token = TRACE.set(trace)
        header = (b"x-request-id", trace.request_id.encode())
        started = time.perf_counter()
        asked = {"method": scope["method"], "path": scope["path"]}  # routing may change the scope

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            LOG.info("request", extra=asked | _line(scope, trace, time.perf_counter() - started))
            TRACE.reset(token)


def _line(scope: Any, trace: Trace, took_s: float) -> dict[str, Any]:
    line = {
        "status": trace.status,
        "ms": round(took_s * 1000, 3),
        "client": (scope.get("client") or ("",))[0],
    }
    if trace.participant:
        line["participant"] = trace.participant
    if len(trace.commands) == 1:
        line["command"] = trace.commands[0]
    elif trace.commands:
        line["commands"] = trace.commands
    if trace.more:
        line["commands_more"] = trace.more
    return line
