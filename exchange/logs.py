"""What the venue says of itself while it runs: lines for people, or JSON for machines (`serve --log json`).

A JSON line has `at`, `level`, `logger`, `message`, the id of the request that it belongs to where there is one, and for
each answered request its method, path, status, duration and command ids (`exchange.web.trace`).
"""

import logging
import sys
import time
from typing import Final, Literal

from pythonjsonlogger.msgspec import MsgspecFormatter

from exchange.web.trace import TRACE

Kind = Literal["text", "json"]
KINDS: Final[tuple[Kind, ...]] = ("text", "json")


class OfItsRequest(logging.Filter):
    """Adds the request id that a record belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        trace = TRACE.get()
        if trace is not None:
            record.request_id = trace.request_id
        return True


class _Json(MsgspecFormatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """RFC 3339 in UTC, to the microsecond."""
        seconds, micros = divmod(int(record.created * 1_000_000), 1_000_000)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06}Z"


def json_formatter() -> logging.Formatter:
    names = {"asctime": "at", "levelname": "level", "name": "logger"}
    return _Json("{asctime}{levelname}{name}{message}", style="{", rename_fields=names)


def begin(kind: Kind) -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    if kind == "json":
        handler.addFilter(OfItsRequest())
        handler.setFormatter(json_formatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("asyncpg.pool").setLevel(
        logging.ERROR
    )  # its warnings are tracebacks of what the venue says in words


def say(text: str) -> None:
    """What a person at the terminal would be told, as a line of the log."""
    logging.getLogger("shuji").info("%s", text.strip())
