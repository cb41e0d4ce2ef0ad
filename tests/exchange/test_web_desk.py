"""The operator's desk: who gets in, what ends it, its forms, its pages in both tongues, its live parts."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from html import unescape
from http.cookies import SimpleCookie
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from jinja2 import meta

from exchange import audit, keys, monitor, sample
from exchange.client import uuid7
from exchange.events import BookCashIn
from exchange.monitor import Sight
from exchange.web import console, sessions
from exchange.web.overview import ENVIRONMENT, PARTS, Overview
from exchange.web.phrases import PHRASES
from tests.exchange.small_venue import frozen, session, until
from tests.exchange.web_venue import Doors, Person, doors

UNLAWFUL = {"listing": "L3", "quantity": 1000, "purpose": "advertising"}
"""What README's buyer is refused: the authorisation does not cover the purpose."""
CASH = BookCashIn(actor="P1", participant="P3", amount_fen=100, bank_reference="B1")


@pytest.fixture
async def web(tmp_path: Path, database_dsn: str) -> AsyncIterator[Doors]:
    async with doors(tmp_path / "data", database_dsn) as opened:
        await sample.load(opened.venue.engine, tmp_path / "data")
        yield opened


@pytest.fixture
def buyer(web: Doors, tmp_path: Path) -> Person:
    key = keys.read(sample.key_path(tmp_path / "data", "buyer"))
    return Person(web.http, key.private_key, key.participant)


async def ticket(web: Doors, person: Person | None = None) -> str:
    answer = await (person or web.operator).ask("POST", "/v1/desk/tickets")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["path"])


class Browser:
    """Keeps cookies as a browser does, for the paths they are for."""

    def __init__(self, web: Doors, tongue: str = "en") -> None:
        self.web = web
        self.tongue = tongue
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return self._kept(await self.web.http.get(path, headers=self._headers(headers)))

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        return self._kept(await self.web.http.post(path, data=form, headers=self._headers(headers)))

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {name.replace("_", "-"): value for name, value in more.items()}
        return {"cookie": cookie, "accept-language": self.tongue, **given}

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        self.web.http.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    async def text(self, path: str) -> str:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def form(self, path: str = "/desk/trading") -> dict[str, str]:
        """The hidden fields of a page's form."""
        page = await self.text(path)
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))


async def seated(web: Doors, tongue: str = "en") -> Browser:
    browser = Browser(web, tongue)
    answer = await browser.get(await ticket(web))
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk")
    return browser


@pytest.fixture
async def browser(web: Doors) -> Browser:
    return await seated(web)


def words(page: str) -> str:
    """What a person reads."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition("<main")[2])).split())


# ---- who gets in


@pytest.mark.parametrize(
    ("tongue", "said"), [("zh", "请用链接进入运营台"), ("en", "The desk opens by a link")]
)
async def test_without_a_session_a_page_says_how_to_enter(web: Doors, tongue: str, said: str) -> None:
    for path in ("/desk", "/desk/refusals", "/desk/trading", "/desk/find?q=T1", "/desk/trades/T1"):
        answer = await Browser(web, tongue).get(path)
        assert answer.status_code == 401
        assert said in answer.text
        assert "shuji desk --key" in answer.text


async def test_a_link_opens_the_desk_once(web: Doors) -> None:
    link = await ticket(web)
    browser = Browser(web)
    answer = await browser.get(link)
    [cookie] = SimpleCookie(answer.headers["set-cookie"]).values()
    assert cookie["httponly"]
    assert (cookie["samesite"].lower(), cookie["path"]) == ("strict", "/desk")
    assert 0 < int(cookie["max-age"]) <= sessions.SESSION_S
    assert "Trading as usual" in await browser.text("/desk")
    again = await Browser(web).get(link)
    assert again.status_code == 410
    assert "good once" in again.text
    assert "shuji desk --key" in again.text
    assert (await Browser(web).get("/desk")).status_code == 401


async def test_a_browser_that_looks_ahead_does_not_use_a_link_up(web: Doors) -> None:
    link = await ticket(web)
    assert (await Browser(web).get(link, sec_purpose="prefetch;prerender")).status_code == 403
    assert (await Browser(web).get(link)).status_code == 303


async def test_a_link_ends_after_five_minutes(web: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    link = await ticket(web)
    later = time.time() + sessions.TICKET_S
    monkeypatch.setattr(time, "time", lambda: later)
    assert (await Browser(web).get(link)).status_code == 410


async def test_only_operators_get_a_link(web: Doors, buyer: Person) -> None:
    for person in (buyer, await web.official("auditor")):
        answer = await person.ask("POST", "/v1/desk/tickets")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "operator" in answer.json()["detail"]
    assert (await web.http.post("/v1/desk/tickets")).status_code == 401


async def test_a_made_up_cookie_opens_nothing(web: Doors) -> None:
    made_up = ("", "x", "a.b.c.d.e.f", "P1.0.1.99999999999.x.", "P1.0.1.99999999999.x." + "0" * 64, "ü")
    for cookie in made_up:
        answer = await web.http.get("/desk", headers=[(b"cookie", f"{sessions.COOKIE}={cookie}".encode())])
        assert answer.status_code == 401


# ---- what ends a sitting


async def second_operator(web: Doors) -> Person:
    return await web.official("operator")


async def test_it_ends_with_account_office_and_key(web: Doors) -> None:
    other = await second_operator(web)
    path = f"/v1/participants/{other.participant}"
    browser = Browser(web)
    await browser.get(await ticket(web, other))
    assert (await browser.get("/desk")).status_code == 200
    done = await web.operator.ask("POST", f"{path}/status", json={"step": "suspend", "reason": "looked into"})
    assert done.status_code < 300, done.text
    assert (await browser.get("/desk")).status_code == 401
    await web.operator.ask("POST", f"{path}/status", json={"step": "resume", "reason": "found in order"})
    assert (await browser.get("/desk")).status_code == 200
    revocation = {"role": "operator", "reason": "moved on"}
    taken = await web.operator.ask("POST", f"{path}/role-revocations", json=revocation)
    assert taken.status_code < 300, taken.text
    assert (await browser.get("/desk")).status_code == 401


async def test_it_ends_with_the_key(web: Doors) -> None:
    browser = await seated(web)
    people = web.venue.desk.people()
    row = people[web.operator.participant]
    row.key_number += 1
    assert (await browser.get("/desk")).status_code == 401
    row.key_number -= 1
    assert (await browser.get("/desk")).status_code == 200


async def test_signing_out_ends_it_for_good(web: Doors, browser: Browser) -> None:
    old = dict(browser.cookies)
    form = await browser.form()
    assert (await browser.post("/desk/leave", {"token": form["token"]})).status_code == 200
    assert sessions.COOKIE not in browser.cookies
    browser.cookies = old
    assert (await browser.get("/desk")).status_code == 401


async def test_use_renews_it_up_to_its_longest(
    web: Doors, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, now = time.time(), time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    while now < begun + sessions.LONGEST_S - sessions.SESSION_S:
        now += sessions.SESSION_S - 60
        assert (await browser.get("/desk")).status_code == 200
    now = begun + sessions.LONGEST_S + 1
    assert (await browser.get("/desk")).status_code == 401


async def test_idle_for_an_hour_it_ends(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + sessions.SESSION_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert (await browser.get("/desk")).status_code == 401


async def test_a_sitting_outlives_a_restart_and_a_link_does_not(tmp_path: Path, database_dsn: str) -> None:
    async with doors(tmp_path / "data", database_dsn) as before:
        browser, unused = await seated(before), await ticket(before)
    async with doors(tmp_path / "data", database_dsn) as after:
        browser.web = after
        assert (await browser.get("/desk")).status_code == 200
        assert (await Browser(after).get(unused)).status_code == 410


# ---- forms


def halting(form: dict[str, str], **changes: str) -> dict[str, str]:
    return {
        **form,
        "does": "halt",
        "scope": "listing",
        "subject": "L1",
        "reason": "a price source failed",
        **changes,
    }


async def halted(web: Doors) -> list[str]:
    items = (await web.http.get("/v1/halts")).json()["items"]
    return [f"{item['scope']} {item['subject']}".strip() for item in items]


@pytest.mark.parametrize(("scope", "subject"), [("listing", "L1"), ("board", "general"), ("market", "")])
async def test_halt_and_resume(web: Doors, browser: Browser, buyer: Person, scope: str, subject: str) -> None:
    form = halting(await browser.form(), scope=scope, subject=subject)
    answer = await browser.post("/desk/trading", form)
    assert answer.status_code == 303, words(answer.text)
    assert await halted(web) == [f"{scope} {subject}".strip()]
    assert "Halted." in await browser.text(answer.headers["location"])
    order = await buyer.ask("POST", "/v1/orders", json={"listing": "L1", "quantity": 1})
    assert order.json()["code"] == "halted"
    assert "a price source failed" in words(await browser.text("/desk"))
    form = {**await browser.form(), "does": "resume", "scope": scope, "subject": subject, "reason": "mended"}
    assert (await browser.post("/desk/trading", form)).status_code == 303
    assert await halted(web) == []


async def test_a_form_that_is_sent_twice_is_done_once(web: Doors, browser: Browser) -> None:
    form = halting(await browser.form())
    for _ in range(2):
        assert (await browser.post("/desk/trading", form)).status_code == 303
    other = await browser.post("/desk/trading", {**form, "id": uuid7()})
    assert other.status_code == 409
    assert "halted already" in other.text


async def test_a_form_that_cannot_be_done_comes_back_filled_in(web: Doors, browser: Browser) -> None:
    wrong: list[tuple[str, str, int]] = [
        ("reason", " ", 400),
        ("subject", "L999", 404),
        ("scope", "moon", 400),
        ("does", "sell", 400),
        ("id", "x", 400),
    ]
    for field, value, status in wrong:
        answer = await browser.post("/desk/trading", halting(await browser.form(), **{field: value}))
        assert answer.status_code == status
        assert 'role="alert"' in answer.text
        assert ("a price source failed" in answer.text) == (field != "reason")
    assert await halted(web) == []


async def test_no_other_site_can_send_a_form(web: Doors, browser: Browser) -> None:
    good = halting(await browser.form())
    own = {"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:8000"}
    foreign: list[tuple[dict[str, str], dict[str, str]]] = [
        ({**good, "token": ""}, own),
        ({**good, "token": "0" * 64}, own),
        ({**good, "token": "ü"}, own),
        (good, {**own, "sec_fetch_site": "cross-site"}),
        (good, {**own, "sec_fetch_site": "same-site"}),
        (good, {**own, "origin": "https://elsewhere.example"}),
        (good, {**own, "origin": "null"}),
    ]
    for form, headers in foreign:
        assert (await browser.post("/desk/trading", form, **headers)).status_code == 403
        assert (await browser.post("/desk/leave", form, **headers)).status_code == 403
    assert await halted(web) == []
    assert (await browser.post("/desk/trading", good, **own)).status_code == 303


async def test_the_token_of_one_sitting_is_not_another_s(web: Doors, browser: Browser) -> None:
    form = halting(await (await seated(web)).form())
    assert (await browser.post("/desk/trading", form)).status_code == 403


async def test_what_a_person_wrote_is_text(web: Doors, browser: Browser) -> None:
    form = halting(await browser.form(), reason="<script>alert(1)</script>")
    await browser.post("/desk/trading", form)
    for path in ("/desk", "/desk/trading", "/desk/trading?subject=%22%3E%3Cb%3E"):
        page = await browser.text(path)
        assert "<script>alert" not in page
        assert '"><b>' not in page


# ---- pages

PAGES = [
    "/desk", "/desk/refusals", "/desk/refusals?rule=C02", "/desk/refusals?participant=P3&listing=L3&code=unlawful",
    "/desk/trades", "/desk/trades?state=held", "/desk/alerts", "/desk/trading",
]  # fmt: skip


@pytest.mark.parametrize("tongue", ["zh", "en"])
async def test_pages_are_whole_in_both_tongues(web: Doors, buyer: Person, tongue: str) -> None:
    await buyer.ask("POST", "/v1/orders", json={"listing": "L1", "quantity": 1})
    await buyer.ask("POST", "/v1/orders", json=UNLAWFUL)
    browser = await seated(web, tongue)
    for path in PAGES:
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        page = answer.text
        assert f'<html lang="{tongue}">' in page
        assert page.count("<h1>") == page.count("<main") == 1
        levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels)), path
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://", page), path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_tongue_that_was_chosen_stays(browser: Browser) -> None:
    assert "Overview" in await browser.text("/desk")
    assert "总览" in await browser.text("/desk?lang=zh")
    assert "总览" in await browser.text("/desk")
    assert 'href="?rule=B01&amp;lang=en"' in await browser.text("/desk/refusals?rule=B01")


async def test_why_it_was_refused_down_to_the_fact_and_the_clause(
    web: Doors, buyer: Person, browser: Browser
) -> None:
    key = uuid7()
    refused = await buyer.ask("POST", "/v1/orders", json={**UNLAWFUL, "client_order_id": key})
    violated = refused.json()["violated"]
    rule, cited = violated[0]["rule"], violated[0]["citations"][0]
    overview = await browser.text("/desk")
    assert f'href="/desk/refusals?rule={rule}"' in overview
    assert violated[0]["message_en"] in words(overview)
    listed = await browser.text(f"/desk/refusals?rule={rule}")
    [place] = re.findall(r'href="(/desk/entries/[\d.]+)"', listed)
    page = words(await browser.text(place))
    assert buyer.participant in page
    assert "L3" in page
    assert "advertising" in page
    assert key in page
    assert cited["en"] in page
    assert ("binding here" if cited["binding"] else "not binding") in page
    facts = web.venue.desk.reasons.rulebook.rules[rule].facts
    assert [fact for fact in facts if fact not in page] == []
    assert "by these, still violated" in page
    found = await browser.get(f"/desk/find?q={key}")
    assert found.headers["location"] == place


async def test_a_day_that_is_over_is_still_counted(web: Doors, buyer: Person, browser: Browser) -> None:
    """A simulated clock leaps over days: what was counted before stays the figure, today's stands beside it."""
    for _ in range(2):
        await buyer.ask("POST", "/v1/orders", json={"listing": "L1", "quantity": 1})
    await web.operator.ask("POST", "/v1/clock/advance", json={"seconds": 86_400})
    buyer.token = web.operator.token = ""
    await buyer.ask("POST", "/v1/orders", json={"listing": "L1", "quantity": 1})
    whole = web.venue.desk.monitor.tally.ever("orders")
    assert whole >= 3
    assert f"Orders {whole} Today 1" in words(await browser.text("/desk"))


async def test_a_refusal_that_is_no_rule_s_says_so(buyer: Person, browser: Browser) -> None:
    refused = await buyer.ask("POST", "/v1/orders", json={"listing": "L1", "quantity": 500})
    assert refused.json()["code"] == "funds_insufficient", refused.text
    listed = await browser.text("/desk/refusals?code=funds_insufficient")
    [place] = re.findall(r'href="(/desk/entries/[\d.]+)"', listed)
    assert "pay in first" in words(await browser.text(place))


async def test_orders_and_trades_are_found(buyer: Person, browser: Browser) -> None:
    key = uuid7()
    placed = await buyer.ask(
        "POST", "/v1/orders", json={"listing": "L1", "quantity": 1, "client_order_id": key}
    )
    order, trade = placed.json()["order"], placed.json()["trades"][0]["trade"]
    for asked, path in (
        (order, f"/desk/orders/{order}"),
        (trade.lower(), f"/desk/trades/{trade}"),
        (key, f"/desk/orders/{order}"),
        (" L1 ", "/desk/refusals?listing=L1"),
        (buyer.participant, f"/desk/refusals?participant={buyer.participant}"),
        ("b01", "/desk/refusals?rule=B01"),
    ):
        assert (await browser.get(f"/desk/find?q={asked.replace(' ', '+')}")).headers["location"] == path
    assert trade in words(await browser.text(f"/desk/orders/{order}"))
    page = words(await browser.text(f"/desk/trades/{trade}"))
    assert buyer.participant in page
    assert "settled" in page


async def test_what_is_not_there_is_said(browser: Browser) -> None:
    for path in (
        "trades/T999", "trades/%00", "orders/O999", "entries/1.1", "entries/x", "refusals?cursor=x", "find?q=",
        "find?q=x%00", "find?q=019ab0d2-3c40-7a52-9d1e-0d5f3a9c1b77", "entries/999999999999999.9999999999999999999",
    ):  # fmt: skip
        answer = await browser.get(f"/desk/{path}")
        assert answer.status_code == 404, path
        assert "There is no such thing" in answer.text


async def test_many_refusals_are_paged(web: Doors, buyer: Person, browser: Browser) -> None:
    for _ in range(6):
        await buyer.ask("POST", "/v1/orders/batch", json=[UNLAWFUL] * 10)
    first = await browser.text("/desk/refusals")
    [following] = re.findall(r'href="([^"]+)" rel="next"', first)
    rest = await browser.text("/desk/refusals" + unescape(following))
    places = re.findall(r'href="(/desk/entries/[\d.]+)"', first + rest)
    assert len(places) == len(set(places)) == 60


async def test_stylesheet_and_script_are_ours_and_kept(web: Doors, browser: Browser) -> None:
    page = await browser.text("/desk")
    for path in re.findall(r'(?:src|href)="(/desk/desk\.[^"]+)"', page):
        answer = await web.http.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert "eval(" not in (await web.http.get("/desk/desk.js")).text


def test_every_phrase_is_said_twice_and_asked_for_exists() -> None:
    assert [key for key, pair in PHRASES.items() if not all(pair)] == []
    folder = Path(console.__file__).parent / "templates"
    asked = set()
    for template in folder.rglob("*.html"):
        text = template.read_text()
        asked |= set(re.findall(r't\("(\w+)"\)', text))
        assert meta.find_undeclared_variables(ENVIRONMENT.parse(text)) is not None
    assert asked - set(PHRASES) == set()


async def test_a_database_that_does_not_answer_keeps_nobody_waiting(
    web: Doors, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "PATIENCE_S", 0.2)
    monkeypatch.setattr(monitor, "LOOK_S", 0.2)
    monkeypatch.setattr(monitor, "SERVER_S", 0.0)
    monkeypatch.setattr(console, "PAGE_S", 0.5)
    monkeypatch.setattr(audit, "PATIENCE_S", 0.5)
    async with Stream(web, browser.cookies) as stream:
        assert "Trading as usual" in (await stream.parts())["state"]
        async with frozen(web.venue.dsn):
            order = asyncio.ensure_future(web.venue.engine.submit(CASH))
            shown = words(await browser.text("/desk"))
            assert "Something is wrong with the venue" in shown
            assert "PostgreSQL does not answer" in shown
            assert "PostgreSQL does not answer" in (await stream.parts())["state"]
        assert (await order).refusal is None
    await until(lambda: not web.venue.desk.monitor._asking.is_open, "the server is heard again")
    async with session(web.venue.dsn) as connection, connection.transaction():
        await connection.execute("LOCK TABLE trade")
        assert "Trading as usual" in await browser.text("/desk")
        for path in ("/desk/trades", "/desk/trades/T1"):
            answer = await browser.get(path)
            assert (answer.status_code, "The database does not answer" in answer.text) == (503, True)


# ---- live


class Stream:
    """An open /desk/events, read event by event."""

    def __init__(self, web: Doors, cookies: dict[str, str], query: str = "lang=en") -> None:
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/desk/events", "raw_path": b"/desk/events", "query_string": query.encode(), "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8000"), (b"cookie", cookie.encode())], "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000), "state": {},
        }  # fmt: skip
        self.web = web
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def _receive(self) -> Any:
        await self.closed.wait()
        return {"type": "http.disconnect"}

    async def __aenter__(self) -> "Stream":
        application: Any = self.web.venue.app
        self.task = asyncio.ensure_future(application(self.scope, self._receive, self.sent.put))
        self.start = await asyncio.wait_for(self.sent.get(), 10)
        return self

    async def __aexit__(self, *failure: object) -> None:
        self.closed.set()
        await asyncio.wait_for(self.task, 10)

    async def body(self) -> str:
        message = await asyncio.wait_for(self.sent.get(), 10)
        return str(message["body"].decode())

    async def parts(self) -> dict[str, str]:
        text = await self.body()
        found = re.search(r"^event: parts\ndata: (.*)$", text, re.MULTILINE)
        assert found is not None, text
        return dict(json.loads(found[1]))


async def test_live_parts_are_those_that_changed(web: Doors, browser: Browser, buyer: Person) -> None:
    async with Stream(web, browser.cookies) as stream:
        headers = dict(stream.start["headers"])
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert sessions.COOKIE.encode() in headers[b"set-cookie"]
        first = await stream.parts()
        assert set(first) == set(PARTS)
        await buyer.ask("POST", "/v1/orders", json=UNLAWFUL)
        seen: dict[str, str] = {}
        while "rules" not in seen:
            seen |= await stream.parts()
        assert seen["rules"] != first["rules"]
        assert "/desk/refusals?rule=" in seen["rules"]
        assert "halts" not in seen


async def glances(web: Doors, method: str, path: str) -> list[tuple[str, ...]]:
    """Whom requests of this kind named, by the audit log, the oldest first."""
    found = await web.venue.desk.audit.page("P1", "", 0, 2**62, 2**62, web.venue.engine.now_ns(), 200)
    seen = [row.seen for row in reversed(found)]
    return [
        one.subjects for one in seen if (one.method, one.path, one.roles) == (method, path, ("operator",))
    ]


async def test_whom_the_live_parts_name_is_in_the_audit_log_once(
    web: Doors, browser: Browser, buyer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PAUSE_S", 0.05)
    async with Stream(web, browser.cookies) as stream:
        await stream.parts()
        await browser.text("/desk/trading")
        for _ in range(3):
            await buyer.ask("POST", "/v1/orders", json=UNLAWFUL)
            while "latest" not in await stream.parts():
                pass
    assert await glances(web, "GET", "/desk/events") == [(buyer.participant,)]
    assert await glances(web, "GET", "/desk/trading") == [], (
        "nobody is on that page, the form that finds them apart"
    )


async def test_a_step_at_the_desk_is_in_the_audit_log(web: Doors, browser: Browser) -> None:
    form = halting(await browser.form())
    assert (await browser.post("/desk/trading", {**form, "reason": ""})).status_code == 400
    assert await glances(web, "POST", "/desk/trading") == []
    assert (await browser.post("/desk/trading", form)).status_code == 303
    assert await glances(web, "POST", "/desk/trading") == [()]


async def test_many_who_look_share_one_rendering(web: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, looked = Overview(web.venue.desk), []
    sight = web.venue.desk.monitor.sight

    async def counted() -> Sight:
        looked.append(1)
        return await sight()

    monkeypatch.setattr(web.venue.desk.monitor, "sight", counted)
    first, *others = await asyncio.gather(*(shown.parts("en") for _ in range(20)))
    assert len(looked) == 1
    assert all(one is first for one in others)


async def test_the_kind_of_an_answer_is_said_once(web: Doors, browser: Browser) -> None:
    for path in ("/desk", "/desk/desk.css", "/desk/desk.js", "/metrics", "/docs", "/"):
        kind = (await browser.get(path)).headers["content-type"]
        assert kind.count("charset=utf-8") == 1, (path, kind)


async def test_a_stream_ends_with_the_sitting(web: Doors, browser: Browser) -> None:
    async with Stream(web, browser.cookies) as stream:
        await stream.parts()
        form = await browser.form()
        await browser.post("/desk/leave", {"token": form["token"]})
        text = ""
        while "event: ended" not in text:
            text = await stream.body()
    async with Stream(web, {}) as stream:
        assert "event: ended" in await stream.body()


async def test_a_stream_ends_with_the_venue(web: Doors, browser: Browser) -> None:
    async with Stream(web, browser.cookies) as stream:
        await stream.parts()
        begun = time.monotonic()
        await web.venue.desk.feed.close()
        await asyncio.wait_for(stream.task, 5)
        assert time.monotonic() - begun < 2
