"""The operator's desk at `/desk`: its doors, its pages, its forms.

    shuji desk ──POST /v1/desk/tickets──> link ──GET /desk/enter──> cookie ──> pages, /desk/events, POST /desk/trading

Pages are rendered here from templates of this package; the only script is our own and only puts rendered parts in place.
A form is taken where its token fits the sitting, its cookie is this site's (SameSite=Strict), and the browser does not say
that it comes from another site. Everybody but an operator at an open desk gets a page that says how to enter.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from litestar import Request, Response
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from msgspec import Struct

from exchange.client import uuid7
from exchange.events import EndSessions, HaltTrading, Refused, ResumeTrading
from exchange.halt import SCOPES
from exchange.projector import CursorInvalid
from exchange.web import dossier
from exchange.web.access import address_of, away
from exchange.web.desk import Desk
from exchange.web.factors import prove
from exchange.web.hashing import LONGEST
from exchange.web.instant import text_of
from exchange.web.operation import DATABASE_ERRORS, Call, Operation, command_id, methods, named_in, noted
from exchange.web.orders import respond
from exchange.web.overview import ENVIRONMENT, Overview, alert_row, code_words, words_of
from exchange.web.pages import language
from exchange.web.phrases import Tongue, speaker
from exchange.web.problem import Refusing
from exchange.web.sessions import COOKIE, LANGUAGE_COOKIE, LONGEST_S, SESSION_S, TICKET_S, Session

FORM_LIMIT: Final = 16 << 10
STREAM_S: Final = 15 * 60
"""A stream ends after that, and the browser comes again: its cookie is renewed, its sitting looked at."""
PAUSE_S: Final = 1.0
HEARTBEAT_S: Final = 15.0
MOST_STREAMS: Final = 50
PAGE_S: Final = 8.0
OVERVIEW: Final = "/desk"
"""What a page may wait for the database; behind that it says so. What waits is not called off (see Monitor.server)."""
MOST_LEFT: Final = 20
"""Pages that still wait behind that; while there are so many nothing more is asked."""
YEAR_S: Final = 365 * 86_400

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_STREAM: Final = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"))
_ASSETS: Final = {
    name: (resources.files("exchange.web") / "static" / name).read_bytes() for name in ("desk.css", "desk.js")
}
_STAMP: Final = hashlib.sha256(b"".join(_ASSETS.values())).hexdigest()[:12]
_KINDS: Final = {"desk.css": "text/css", "desk.js": "text/javascript"}

Page = Callable[["Visit"], Awaitable[Response[Any]]]


class Visit:
    """One request to the desk: who sits there, in which tongue, and the ways to answer."""

    def __init__(self, call: Call, session: Session | None) -> None:
        self.call = call
        self.desk = call.desk
        self._session = session
        self.query = dict(parse_qsl(call.scope["query_string"].decode("latin-1")))
        self.path: Mapping[str, str] = call.path

    @property
    def session(self) -> Session:
        """Of a page that is shown to whoever sits at the desk only."""
        assert self._session is not None
        return self._session

    @property
    def tongue(self) -> Tongue:
        """As asked for, else as chosen before, else as the browser prefers."""
        asked = self.query.get("lang") or cookies_of(self.call).get(LANGUAGE_COOKIE, "")
        if asked in ("zh", "en"):
            return "zh" if asked == "zh" else "en"
        return "en" if language(self.call.header("accept-language")) == "en" else "zh"

    def html(self, template: str, title: str, status: int = 200, **shown: Any) -> Response[Any]:
        tongue, session = self.tongue, self._session
        other = {**self.query, "lang": "en" if tongue == "zh" else "zh"}
        for once in ("ticket", "done"):
            other.pop(once, None)
        page = ENVIRONMENT.get_template(template).render(
            **{"here": "", **words_of(tongue), **shown},
            title=title,
            session=session,
            form_token=self.desk.sessions.form_token(session) if session is not None else "",
            other_query=urlencode(other),
            assets=_STAMP,
        )
        return self.dressed(Response(page, status_code=status, media_type="text/html"))

    def go(self, path: str) -> Response[Any]:
        return self.dressed(Response(b"", status_code=303, headers={"location": path}))

    def dressed(self, response: Response[Any]) -> Response[Any]:
        """With the headers of every answer, the cookie renewed, and the tongue kept that was asked for."""
        response.headers.update(_HEADERS)
        if self._session is not None:
            _set_cookie(response, self.call, self._session)
        if self.query.get("lang") in ("zh", "en"):
            response.set_cookie(
                LANGUAGE_COOKIE,
                self.query["lang"],
                max_age=YEAR_S,
                path="/desk",
                samesite="strict",
                httponly=True,
            )
        return response

    def message(self, title: str, why: str, status: int, *, how: bool = False) -> Response[Any]:
        t = speaker(self.tongue)
        shown = {"why": t(why), "how": t("closed_how") if how else "", "order": order_of(self.call)}
        return self.html("message.html", t(title), status, **shown)


def order_of(call: Call) -> str:
    """What to type to get in."""
    host = call.header("host") or "127.0.0.1:8000"
    at = "" if host == "127.0.0.1:8000" else f" --url {call.scope.get('scheme', 'http')}://{host}"
    return f"shuji desk --key .shuji/operator.key{at}"


def _set_cookie(response: Response[Any], call: Call, session: Session) -> None:
    sessions = call.desk.sessions
    renewed = sessions.renewed(session, time.time())
    response.set_cookie(
        COOKIE,
        sessions.cookie(renewed),
        max_age=renewed.until_s - int(time.time()),
        path="/desk",
        secure=call.scope.get("scheme") == "https",
        httponly=True,
        samesite="strict",
    )


def cookies_of(call: Call) -> dict[str, str]:
    """What the browser sends; of a header that cannot be read, nothing."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(call.header("cookie")).items()}
    except CookieError:
        return {}


def session_of(call: Call) -> Session | None:
    desk, cookie = call.desk, cookies_of(call).get(COOKIE, "")
    if not cookie:
        return None
    session = desk.sessions.session(cookie, desk.register(), time.time(), call.now_ns)
    return session if session is not None and is_near(call, session) else None


def is_near(call: Call, session: Session) -> bool:
    """Whether who sits there may be entered from where this request comes."""
    desk = call.desk
    return desk.tokens.admits(session.participant, address_of(call.scope), desk.register()[1])


# ---- tickets


class TicketView(Struct):
    """`path` opens the desk in a browser: once, and until then. A path, because the venue does not know its own address."""

    path: str
    expires_at: str


async def make_ticket(call: Call, asked: None) -> TicketView:
    await call.need_role("operator")
    now_s = time.time()
    ticket = call.desk.sessions.ticket(call.enter(), now_s)
    return TicketView(f"/desk/enter?ticket={ticket}", text_of(int(now_s + TICKET_S) * 1_000_000_000))


async def enter(visit: Visit) -> Response[Any]:
    """Uses the ticket up. A browser that only fetches ahead does not."""
    call = visit.call
    if "prefetch" in call.header("sec-purpose") or "prefetch" in call.header("purpose"):
        return visit.message("closed", "closed_why", 403, how=True)
    desk = visit.desk
    session = desk.sessions.enter(visit.query.get("ticket", ""), desk.register(), time.time(), call.now_ns)
    if session is None or not is_near(call, session):
        return visit.message("ticket_used", "ticket_why", 410, how=True)
    return Visit(call, session).go("/desk")


async def leave(visit: Visit) -> Response[Any]:
    form = await form_of(visit)
    if not is_own(visit, form):
        return visit.message("refused_form", "form_foreign", 403)
    session = visit.session
    visit.desk.sessions.end(session)
    until_ns = visit.call.now_ns + LONGEST_S * 1_000_000_000
    await visit.call.submit(EndSessions(actor=session.participant, session=session.mark, until_ns=until_ns))
    response = Visit(visit.call, None).message("closed", "closed_why", 200, how=True)
    response.set_cookie(COOKIE, "", max_age=0, path="/desk", httponly=True, samesite="strict")
    return response


# ---- by password


async def login_page(visit: Visit) -> Response[Any]:
    return _login(visit, "", "", 200)


def _login(visit: Visit, participant: str, refusal: str, status: int) -> Response[Any]:
    shown = {"participant": participant, "refusal": refusal, "order": order_of(visit.call)}
    return visit.html("login.html", speaker(visit.tongue)("login"), status, **shown)


async def sign_in(visit: Visit) -> Response[Any]:
    """Password and code open the desk to an operator. No other site's form does: its cookie would be somebody else's."""
    call, form = visit.call, await form_of(visit)
    if not is_own_site(call):
        return visit.message("refused_form", "form_foreign", 403)
    participant = form.get("participant", "").strip()[:20]
    try:
        account = await prove(
            call, participant, form.get("password", "")[:LONGEST], form.get("code", "")[:10]
        )
    except Refusing as error:
        told = f"{code_words(visit.tongue, error.refusal.code.name)}: {error.refusal.detail}"
        return _login(visit, participant, told, error.refusal.code.status)
    desk, who = call.desk, (account.participant, account.key_number, account.generation, account.named_key)
    session = desk.sessions.opened(*who, desk.register(), time.time(), call.now_ns)
    if session is None:
        return _login(visit, participant, speaker(visit.tongue)("login_office"), 403)
    if not is_near(call, session):
        return _login(visit, participant, away(address_of(call.scope)).refusal.detail, 403)
    return Visit(call, session).go("/desk")


# ---- forms


async def form_of(visit: Visit) -> dict[str, str]:
    """Fields of a form. One that cannot be read has none, and so no token either."""
    body = await visit.call.body(FORM_LIMIT)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        return {}


def is_own(visit: Visit, form: Mapping[str, str]) -> bool:
    """Whether this form was filled in at this desk, in this sitting."""
    return is_own_site(visit.call) and visit.desk.sessions.is_form_token(visit.session, form.get("token", ""))


def is_own_site(call: Call) -> bool:
    """Whether the browser does not say that another site sends this form."""
    if call.header("sec-fetch-site") not in ("", "same-origin"):
        return False
    origin = call.header("origin")
    return not origin or urlsplit(origin).netloc == call.header("host")


async def trading(visit: Visit) -> Response[Any]:
    """The form, filled in with what the link names, and what stands still."""
    scope, subject = visit.query.get("scope", "listing"), visit.query.get("subject", "")
    done = {"halt": "done_halt", "resume": "done_resume"}.get(visit.query.get("done", ""), "")
    return await _trading(visit, scope if scope in SCOPES else "listing", subject[:64], "", "", done, 200)


async def _trading(
    visit: Visit, scope: str, subject: str, reason: str, refusal: str, done: str, status: int
) -> Response[Any]:
    halts = await visit.call.read(lambda state: tuple(state.halts.values()))
    shown = {
        "scope": scope,
        "subject": subject,
        "reason": reason,
        "refusal": refusal,
        "done": done,
        "halts": halts,
    }
    return visit.html(
        "trading.html",
        speaker(visit.tongue)("trading"),
        status,
        here="halts",
        boards=visit.desk.boards.values(),
        command_id=uuid7(),
        **shown,
    )


async def halt_or_resume(visit: Visit) -> Response[Any]:
    """The command's id was made with the form: sent twice, it is done once."""
    form = await form_of(visit)
    if not is_own(visit, form):
        return visit.message("refused_form", "form_foreign", 403)
    does, scope = form.get("does", ""), form.get("scope", "")
    subject, reason = (
        ("" if scope == "market" else form.get("subject", "").strip()),
        form.get("reason", "").strip(),
    )
    kind = {"halt": HaltTrading, "resume": ResumeTrading}.get(does)
    try:
        if kind is None or not 0 < len(reason) <= 500 or len(subject) > 64 or "\0" in reason + subject:
            raise Refusing(Refused.malformed, "say what stands still, and why")
        await visit.call.submit(
            kind(
                actor=visit.session.participant,
                key=command_id(form.get("id", "")),
                scope=scope,
                subject=subject,
                reason=reason,
            )
        )
    except Refusing as error:
        refusal = error.refusal
        told = f"{code_words(visit.tongue, refusal.code.name)}: {refusal.detail}"
        return await _trading(visit, scope, subject, reason, told, "", refusal.code.status)
    return visit.go(f"/desk/trading?done={does}")


# ---- pages


async def overview(visit: Visit, shown: Overview) -> Response[Any]:
    title = speaker(visit.tongue)("overview")
    return visit.html("overview.html", title, **{**await shown.content(visit.tongue), "here": "overview"})


async def refusals(visit: Visit) -> Response[Any]:
    return visit.html(
        "refusals.html",
        speaker(visit.tongue)("refusals"),
        **await dossier.refusals(visit.desk, visit.query, visit.tongue),
    )


async def entry(visit: Visit) -> Response[Any]:
    return _dossier(visit, await dossier.entry(visit.desk, visit.path["place"], visit.tongue))


async def trade(visit: Visit) -> Response[Any]:
    return _dossier(visit, await dossier.trade(visit.desk, visit.path["trade"], visit.tongue))


async def order(visit: Visit) -> Response[Any]:
    return _dossier(visit, await dossier.order(visit.desk, visit.path["order"], visit.tongue))


def _dossier(visit: Visit, found: Mapping[str, Any] | None) -> Response[Any]:
    if found is None:
        return visit.message("no_such", "no_such_why", 404)
    return visit.html("refusal.html", found["title"], **{key: found[key] for key in ("cases", "here")})


async def trades(visit: Visit) -> Response[Any]:
    shown = await dossier.trades(visit.desk, visit.query)
    return visit.html("trades.html", speaker(visit.tongue)("trades"), here="trades", **shown)


async def alerts(visit: Visit) -> Response[Any]:
    found = [alert_row(one, visit.tongue) for one in visit.desk.monitor.surveillance.alerts]
    return visit.html("alerts.html", speaker(visit.tongue)("alerts"), alerts=found, here="alerts")


async def find(visit: Visit) -> Response[Any]:
    """To the page of what the id names."""
    path = await dossier.find(visit.desk, visit.query.get("q", "").strip())
    return visit.go(path) if path else visit.message("no_such", "no_such_why", 404)


# ---- the live stream


async def _stream(
    desk: Desk, overview: Overview, call: Call, receive: Any, send: Any, streams: list[object]
) -> None:
    session = session_of(call)
    if session is None or len(streams) >= MOST_STREAMS:
        body = b"event: ended\ndata: {}\n\n"
        await respond(send, 200 if session is None else 503, body, *_STREAM, *_plain_headers())
        return
    visit = Visit(call, session)
    call.offices, call.reader = ("operator",), session.participant
    dressed = visit.dressed(Response(b""))
    cookies = [(b"set-cookie", one.to_header(header="").encode()) for one in dressed.cookies]
    headers = [*_STREAM, *_plain_headers(), *cookies]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    telling = asyncio.ensure_future(_tell(desk, overview, call, visit.tongue, send))
    gone = asyncio.ensure_future(_gone(receive))
    streams.append(telling)
    try:
        async with desk.feed.connection():
            await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
            telling.cancel()
            gone.cancel()
            await asyncio.wait({telling, gone})
    finally:
        streams.remove(telling)


def _plain_headers() -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _tell(desk: Desk, overview: Overview, call: Call, tongue: Tongue, send: Any) -> None:
    """The parts that changed, once a second, until the sitting or the venue ends. Whom they name that was not named
    before is in the audit log first."""
    told: dict[str, str] = {}
    named: set[bytes] = set()
    ends_s = time.monotonic() + STREAM_S
    quiet_s = time.monotonic()
    body = b"retry: 2000\n\n"
    while time.monotonic() < ends_s and not desk.feed.closing.is_set():
        if session_of(call) is None:
            body += b"event: ended\ndata: {}\n\n"
            break
        try:
            parts = await overview.parts(tongue)
        except DATABASE_ERRORS:
            parts = {}
        changed = {name: html for name, html in parts.items() if told.get(name) != html}
        changed = await _note_new(call, changed, named)
        told.update(changed)
        if changed:
            body += b"event: parts\ndata: " + msgspec.json.encode(changed) + b"\n\n"
        elif time.monotonic() - quiet_s > HEARTBEAT_S:
            body += b": nothing new\n\n"
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            body, quiet_s = b"", time.monotonic()
        await _pause(desk)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _note_new(call: Call, changed: dict[str, str], named: set[bytes]) -> dict[str, str]:
    """What of it may be shown: where the log cannot be written, nothing that names somebody new. A row for each glance
    would be one a second: one that shows nobody new is none."""
    content = msgspec.json.encode(changed)
    found = named_in(content)
    if found <= named:
        return changed
    try:
        await noted(call, Response(content))
    except DATABASE_ERRORS:
        return {name: html for name, html in changed.items() if named_in(html.encode()) <= named}
    named |= found
    return changed


async def _pause(desk: Desk) -> None:
    """Until the next second, or the end of the venue."""
    try:
        async with asyncio.timeout(PAUSE_S):
            await desk.feed.closing.wait()
    except TimeoutError:
        return


# ---- the routes


def console_routes(desk: Desk) -> list[Any]:
    shown = Overview(desk)
    streams: list[object] = []
    left: dict[object, None] = {}

    async def events(scope: Any, receive: Any, send: Any) -> None:
        await _stream(desk, shown, Call(desk, scope, receive, {}), receive, send, streams)

    async def show_overview(visit: Visit) -> Response[Any]:
        return await overview(visit, shown)

    pages: list[tuple[str, str, Page, bool]] = [
        ("GET", OVERVIEW, show_overview, True),
        ("GET", "/desk/refusals", refusals, True),
        ("GET", "/desk/entries/{place:str}", entry, True),
        ("GET", "/desk/trades", trades, True),
        ("GET", "/desk/trades/{trade:str}", trade, True),
        ("GET", "/desk/orders/{order:str}", order, True),
        ("GET", "/desk/alerts", alerts, True),
        ("GET", "/desk/trading", trading, True),
        ("POST", "/desk/trading", halt_or_resume, True),
        ("GET", "/desk/find", find, True),
        ("GET", "/desk/enter", enter, False),
        ("POST", "/desk/leave", leave, True),
        ("GET", "/desk/login", login_page, False),
        ("POST", "/desk/login", sign_in, False),
    ]
    assets = [_asset(name) for name in _ASSETS]
    stream = ASGIRouteHandler("/desk/events", name="desk events", copy_scope=False)(events)
    return [*(_handler(desk, left, *page) for page in pages), *assets, stream]


def _handler(
    desk: Desk, left: dict[object, None], method: str, path: str, page: Page, signed_in: bool
) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        call = Call(desk, request.scope, request.receive, dict(request.path_params))
        visit = Visit(call, session_of(call))
        if signed_in and visit._session is None:
            return visit.message("closed", "closed_why", 401, how=True)
        try:
            shown = await _in_time(page(visit), left)
            return await _noted(visit, shown, path) if signed_in and _counts(method, shown) else shown
        except CursorInvalid:
            return visit.message("no_such", "no_such_why", 404)
        except Refusing as error:
            return visit.html("message.html", code_words(visit.tongue, error.refusal.code.name),
                              error.refusal.code.status, why=error.refusal.detail, how="", order="")  # fmt: skip
        except DATABASE_ERRORS:
            return visit.message("busy", "busy_why", 503)

    return HTTPRouteHandler(
        path,
        http_method=methods(method, page is not enter),
        status_code=200,  # the response brings its own
        include_in_schema=False,
        name=f"desk {method} {path}",
    )(handle)


def _counts(method: str, shown: Response[Any]) -> bool:
    """What was looked at, and a step that was taken: its form leads on to another page, a refused one is shown again."""
    return method == "GET" or shown.status_code == 303


async def _noted(visit: Visit, shown: Response[Any], path: str) -> Response[Any]:
    """The desk is an operator's office: whom a page names is in the audit log before it is shown. The overview is shown
    also where the log cannot be written, for it says that the database does not answer."""
    visit.call.offices, visit.call.reader = ("operator",), visit.session.participant
    try:
        return await noted(visit.call, shown)
    except DATABASE_ERRORS:
        if path != OVERVIEW:
            raise
        return shown


async def _in_time(page: Awaitable[Response[Any]], left: dict[object, None]) -> Response[Any]:
    """Raises TimeoutError where a page takes too long; it goes on by itself, and counts among those `left`."""
    work = asyncio.ensure_future(page)
    if len(left) >= MOST_LEFT:
        work.cancel()
        raise TimeoutError
    await asyncio.wait({work}, timeout=PAGE_S)
    if not work.done():
        left[work] = None
        work.add_done_callback(lambda done: (left.pop(done, None), done.cancelled() or done.exception()))
        raise TimeoutError
    return work.result()


def _asset(name: str) -> HTTPRouteHandler:
    """The stylesheet and the script. Their address changes with them, so they may be kept."""

    async def handle() -> Response[bytes]:
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
        }
        return Response(_ASSETS[name], media_type=_KINDS[name], headers=headers)

    return HTTPRouteHandler(
        f"/desk/{name}",
        http_method=methods("GET", True),
        status_code=200,
        include_in_schema=False,
        name=f"desk {name}",
    )(handle)


OPERATIONS: Final = (
    Operation("POST", "/v1/desk/tickets", make_ticket, "A link that opens the desk in a browser, once (operator)",
              "operations", status=201, answers=TicketView, refused=(Refused.forbidden,),
              example_answer={"path": "/desk/enter?ticket=b7Xv", "expires_at": "2026-11-23T10:05:00Z"}),
)  # fmt: skip
assert SESSION_S > STREAM_S, "a stream renews the cookie before it ends"
