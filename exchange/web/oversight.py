"""The audit log: what offices saw and did, for those who oversee and for those whom it concerns."""

from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct

from exchange.audit import Kept
from exchange.events import Refused
from exchange.web.instant import Instant, ns_of, text_of
from exchange.web.operation import CURSOR_INVALID, PATH_PATTERNS, Call, Operation, Paging
from exchange.web.problem import Refusing

OVERSEES: Final = ("auditor", "regulator", "operator")
LAST: Final = 2**62
Person = Annotated[str, Meta(pattern=PATH_PATTERNS["participant"], description="a participant's id")]
Rename: Final = {"since": "from"}


class ReadQuery(Paging, kw_only=True, forbid_unknown_fields=True, rename=Rename):
    """Reads at `from` or later, and before `until`."""

    since: Instant | None = None
    until: Instant | None = None


class LogQuery(ReadQuery, kw_only=True, forbid_unknown_fields=True, rename=Rename):
    """`who` looked, and whose data, `subject`, was looked at."""

    who: Person | None = None
    subject: Person | None = None


class ReadView(Struct):
    """`subjects` are the participants whom the answer named; it stays in the log until `until`."""

    number: int
    at: str
    who: str
    roles: tuple[str, ...]
    purpose: str
    method: str
    path: str
    query: str
    subjects: tuple[str, ...]
    until: str


class ReadList(Struct):
    items: tuple[ReadView, ...]
    next: str | None


def _view(kept: Kept, subjects: tuple[str, ...]) -> ReadView:
    seen = kept.seen
    asked = seen.method, seen.path, seen.query
    return ReadView(
        kept.number,
        text_of(seen.at_ns),
        seen.reader,
        seen.roles,
        seen.purpose,
        *asked,
        subjects,
        text_of(kept.until_ns),
    )


async def audit_log(call: Call, asked: LogQuery) -> Response[bytes]:
    """Newest first. This read, too, is in the log before its answer goes out."""
    await call.need_role(*OVERSEES)
    found = await _found(call, asked, asked.who or "", asked.subject or "")
    return _page(call, asked, found, [_view(kept, kept.seen.subjects) for kept in found])


async def own_log(call: Call, asked: ReadQuery) -> Response[bytes]:
    """Who saw one's own data, or did something to one; whose else was in the same answer is not told."""
    found = await _found(call, asked, "", call.participant)
    return _page(call, asked, found, [_view(kept, (call.participant,)) for kept in found])


async def _found(call: Call, asked: ReadQuery, who: str, subject: str) -> list[Kept]:
    before = LAST
    if asked.cursor:
        if not (asked.cursor.isascii() and asked.cursor.isdecimal() and len(asked.cursor) < 19):
            raise Refusing(Refused.malformed, CURSOR_INVALID)
        before = int(asked.cursor)
    since_ns = ns_of(asked.since, "from") if asked.since is not None else 0
    until_ns = ns_of(asked.until, "until") if asked.until is not None else LAST
    return await call.desk.audit.page(who, subject, since_ns, until_ns, before, call.now_ns, asked.limit + 1)


def _page(call: Call, asked: ReadQuery, found: list[Kept], views: list[ReadView]) -> Response[bytes]:
    more = len(found) > asked.limit
    return call.page(views[: asked.limit], str(found[asked.limit - 1].number) if more else "")


_READ: Final = {
    "number": 17, "at": "2026-11-23T10:00:00Z", "who": "P8", "roles": ["regulator"],
    "purpose": "琼数监检〔2026〕12号", "method": "GET", "path": "/v1/trades/T1",
    "query": "", "subjects": ["P2", "P4"], "until": "2029-11-23T15:59:59.999999999Z",
}  # fmt: skip

OPERATIONS: Final = (
    Operation("GET", "/v1/audit-log", audit_log, "What offices saw and did, newest first (auditor, regulator, operator)",
              "oversight", asks=LogQuery, answers=ReadList, refused=(Refused.forbidden,),
              example_answer={"items": [_READ], "next": None}),
    Operation("GET", "/v1/audit-log/me", own_log, "What offices saw of oneself and did to one, newest first", "oversight",
              asks=ReadQuery, answers=ReadList, example_answer={"items": [_READ | {"subjects": ["P2"]}], "next": None}),
)  # fmt: skip
