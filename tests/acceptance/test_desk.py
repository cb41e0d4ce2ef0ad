"""Issue 3, the desk: what it shows, halts of each scope, hostile text, a phone, who stays outside; and the logs.

Words of the page are looked for, not places: how it is laid out is its own affair.
"""

import contextlib
import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.story import Venue, done, free_port, refused, shuji

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = '<script>document.title="taken"</script>'
PHONE_PX = 360


@pytest.fixture(scope="module")
def listing(venue: Venue) -> str:
    """Of a hostile title; once settled, once refused by B04."""
    merchant, buyer = venue.merchant(), venue.buyer()
    product = venue.product(merchant, description={"title": f"{HOSTILE} 吞吐量"})
    made = venue.listing(merchant, product, purposes=["market_analysis", "advertising"])
    venue.trade(buyer, made)
    refused(venue.order(buyer, made, purpose="advertising"), 422, "unlawful")
    return made


def link(venue: Venue) -> str:
    ran = shuji("desk", "--key", str(venue.data / "operator.key"), "--url", venue.url)
    assert ran.returncode == 0, ran.stderr
    found = re.search(rf"{re.escape(venue.url)}/desk/enter\?ticket=\S+", ran.stdout)
    assert found, ran.stdout
    return found[0]


@pytest.fixture(scope="module")
def browser(venue: Venue) -> Iterator[httpx.Client]:
    """Somebody who has opened the link."""
    with httpx.Client(base_url=venue.url, follow_redirects=True, trust_env=False, timeout=30) as client:
        done_page(client.get(link(venue)))
        yield client


def done_page(answer: httpx.Response) -> str:
    assert answer.status_code == 200, f"{answer.request.url}: {answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"].startswith("text/html"), answer.headers
    return answer.text


def page_of_halts(browser: httpx.Client, language: str = "en") -> tuple[str, str]:
    """(address, text) of the page on which one halts: the desk, or one that it leads to."""
    desk = done_page(browser.get("/desk", params={"lang": language}))
    leads = dict.fromkeys(["/desk", *re.findall(r'href="(/desk[^"#?.]*)"', desk)])
    pages = ((address, browser.get(address, params={"lang": language}).text) for address in leads)
    return next((address, text) for address, text in pages if 'name="scope"' in text)


def submitted(browser: httpx.Client, venue: Venue, does: str, **values: str) -> httpx.Response:
    """The form of halts, filled in as a person would, on the page as it is now."""
    _, page = page_of_halts(browser)
    [form] = [one for one in re.findall(r"<form\b.*?</form>", page, re.DOTALL) if 'name="scope"' in one]
    kept = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        value = re.search(r'value="([^"]*)"', tag)
        kept[re.findall(r'name="([^"]+)"', tag)[0]] = html.unescape(value[1]) if value else ""
    button = re.findall(rf'<button\b[^>]*name="([^"]+)"[^>]*value="{does}"', form)
    [action] = re.findall(r'<form\b[^>]*action="([^"]+)"', form)
    own = {"Origin": venue.url, "Sec-Fetch-Site": "same-origin"}
    pressed = {button[0]: does} if button else {}
    return browser.post(html.unescape(action), data={**kept, **values, **pressed}, headers=own)


def halts(venue: Venue) -> list[tuple[str, str]]:
    return [(row["scope"], row["subject"]) for row in done(venue.http.get("/v1/halts"), 200)["items"]]


# ---- what it shows


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", "订单 成交 结算 暂缓 拒绝 逾期 队列 p50 p99 CPU PostgreSQL 预警|警报|监察 停"),
        (
            "en",
            "orders fills settle held|holds refus overdue queue p50 p99 CPU PostgreSQL alerts halt resume",
        ),
    ],
)
def test_it_shows_what_the_issue_names(
    browser: httpx.Client, listing: str, language: str, words: str
) -> None:
    page = done_page(browser.get("/desk", params={"lang": language}))
    visible = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    for word in words.split():
        assert re.search(word, visible, re.IGNORECASE), word


def test_each_language_leads_to_the_other(browser: httpx.Client) -> None:
    for language, other in (("zh", "en"), ("en", "zh")):
        page = done_page(browser.get("/desk", params={"lang": language}))
        assert re.search(rf'href="[^"]*lang={other}', page), language


def test_hostile_text_is_text(browser: httpx.Client, listing: str) -> None:
    """On the desk and on each page of it that a link leads to."""
    page = done_page(browser.get("/desk", params={"lang": "en"}))
    links = {html.unescape(one) for one in re.findall(r'<a\b[^>]*href="(/desk[^"#]*)"', page)}
    seen = [page, *(done_page(browser.get(one)) for one in sorted(links))]
    assert not any(HOSTILE in text for text in seen)
    assert any(HOSTILE in html.unescape(text) for text in seen), "it stands somewhere, as text"


def test_a_refusal_is_explained_down_to_facts_and_clause(browser: httpx.Client, listing: str) -> None:
    """By links from the desk: the rule's refusals, the refusal, what was asked for and what is authorised."""
    page = done_page(browser.get("/desk", params={"lang": "zh"}))
    [of_rule, *_] = [html.unescape(one) for one in re.findall(r'href="(/desk[^"]*B04[^"]*)"', page)]
    refusals = done_page(browser.get(of_rule))
    links = [html.unescape(one) for one in re.findall(r'<a\b[^>]*href="(/desk/[^"#]+)"', refusals)]
    told = [done_page(browser.get(one)) for one in dict.fromkeys(links)]
    article = re.compile("《?个人信息保护法》?(第二十三条|23)")
    [explained, *_] = [text for text in told if article.search(text) and "advertising" in text]
    for fact in (listing, "advertising", "market_analysis", "B04"):
        assert fact in explained, fact


def test_a_halted_listing_stands_on_it_with_its_reason(
    browser: httpx.Client, venue: Venue, listing: str
) -> None:
    body = {"scope": "listing", "subject": listing, "reason": "价格来源异常"}
    done(venue.operator.post("/v1/halts", body))
    try:
        _, page = page_of_halts(browser, "zh")
        assert listing in page
        assert "价格来源异常" in page
    finally:
        done(venue.operator.post("/v1/halts/resume", body))


def test_the_stream_tells_of_a_refusal(browser: httpx.Client, venue: Venue, listing: str) -> None:
    """What happens is on the page without a reload: the events carry it."""
    buyer = venue.buyer()
    with browser.stream("GET", "/desk/events", params={"lang": "en"}, timeout=20) as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = events.iter_lines()
        next(line for line in lines if line.startswith("data:"))
        refused(venue.order(buyer, listing, purpose="advertising"), 422, "unlawful")
        heard = ""
        while "B04" not in heard:  # ends by the timeout of the stream, or of the check
            heard += next(lines)


# ---- what it does


@pytest.mark.parametrize("scope", ["listing", "board", "market"])
def test_halted_and_resumed_from_the_desk(
    browser: httpx.Client, venue: Venue, listing: str, scope: str
) -> None:
    subject = {"listing": listing, "board": "general", "market": ""}[scope]
    buyer = venue.buyer()
    done_page(submitted(browser, venue, "halt", scope=scope, subject=subject, reason="drill"))
    try:
        assert halts(venue) == [(scope, subject)]
        refused(venue.order(buyer, listing), 409, "halted")
        journal = json.dumps(list(venue.auditor().every("/v1/journal", limit=200)))
        assert "drill" in journal, "journaled like any command"
        done_page(submitted(browser, venue, "resume", scope=scope, subject=subject, reason="over"))
        assert halts(venue) == []
        venue.trade(buyer, listing)
    finally:
        if halts(venue):
            done(venue.operator.post("/v1/halts/resume", {"scope": scope, "subject": subject, "reason": "x"}))


def test_a_halt_that_cannot_be_says_why_on_the_page(browser: httpx.Client, venue: Venue) -> None:
    answer = submitted(browser, venue, "halt", scope="listing", subject="L999999", reason="drill")
    assert answer.status_code in (200, 404, 422)
    assert answer.headers["content-type"].startswith("text/html")
    assert "L999999" in answer.text
    assert halts(venue) == []


# ---- who stays outside


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "https://elsewhere.example/page"},
    ],
)
def test_a_form_of_another_site_is_refused(
    browser: httpx.Client, venue: Venue, headers: dict[str, str]
) -> None:
    """With the cookie, as a browser that sends it along would; without what only the page knows."""
    address, _ = page_of_halts(browser)
    body = {"scope": "market", "subject": "", "reason": "from elsewhere", "does": "halt"}
    assert browser.post(address, data=body, headers=headers).status_code == 403
    assert halts(venue) == []


def test_a_whole_form_from_another_site_is_refused_too(browser: httpx.Client, venue: Venue) -> None:
    """Also one that got hold of all that the page holds."""
    address, page = page_of_halts(browser)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    body = {**hidden, "scope": "market", "subject": "", "reason": "from elsewhere", "does": "halt"}
    headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert browser.post(address, data=body, headers=headers).status_code == 403
    assert halts(venue) == []


def test_without_a_session_there_is_nothing_to_see_or_do(
    browser: httpx.Client, venue: Venue, listing: str
) -> None:
    address, _ = page_of_halts(browser)
    own = {"Origin": venue.url, "Sec-Fetch-Site": "same-origin"}
    body = {"scope": "market", "subject": "", "reason": "nobody", "does": "halt"}
    with httpx.Client(base_url=venue.url, trust_env=False) as client:
        for path in ("/desk", address, "/desk/enter?ticket=invented"):
            answer = client.get(path)
            assert answer.status_code in (401, 403, 410), path
            assert "B04" not in answer.text
            assert "shuji desk" in answer.text, "how to get in"
        events = client.get("/desk/events", timeout=10)
        assert events.status_code in (401, 403) or "ended" in events.text, (
            "the page is told, and nothing else"
        )
        assert "B04" not in events.text
        assert client.post(address, data=body, headers=own).status_code in (401, 403)
        for name in browser.cookies:
            client.cookies.set(name, "P1.0.1.9999999999.invented.0000")
        assert client.get("/desk").status_code in (401, 403)
    assert halts(venue) == []


def test_a_link_opens_the_desk_once(venue: Venue) -> None:
    address = link(venue)
    with httpx.Client(follow_redirects=True, trust_env=False) as first:
        done_page(first.get(address))
        done_page(first.get(f"{venue.url}/desk"))
    with httpx.Client(follow_redirects=True, trust_env=False) as second:
        again = second.get(address)
        assert again.status_code in (401, 403, 410)
        assert "shuji desk" in again.text, "how to get another"
        assert second.get(f"{venue.url}/desk").status_code in (401, 403)


def test_the_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(venue: Venue) -> None:
    with httpx.Client(trust_env=False) as client:
        answer = client.get(link(venue))
    assert answer.status_code in (302, 303)
    assert urlsplit(answer.headers["location"]).path == "/desk"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_only_an_operator_gets_a_link(venue: Venue) -> None:
    for person in (venue.merchant(), venue.buyer(), venue.desk):
        ran = shuji("desk", "--key", str(venue.key_file(person)), "--url", venue.url)
        assert ran.returncode == 1
        assert "ticket=" not in ran.stdout + ran.stderr
        assert "operator" in ran.stderr


def test_whoever_is_no_operator_any_more_sees_nothing_more(venue: Venue) -> None:
    second = venue.official("operator")
    ran = shuji("desk", "--key", str(venue.key_file(second)), "--url", venue.url)
    with httpx.Client(base_url=venue.url, follow_redirects=True, trust_env=False) as client:
        done_page(client.get(re.findall(r"http\S+ticket=\S+", ran.stdout)[0]))
        path = f"/v1/participants/{second.participant}/role-revocations"
        done(venue.operator.post(path, {"role": "operator", "reason": "left the office"}))
        assert client.get("/desk").status_code in (401, 403)


def test_links_and_sessions_are_in_no_log_and_no_other_site_frames_it(venue: Venue) -> None:
    address = link(venue)
    [ticket] = parse_qs(urlsplit(address).query)["ticket"]
    with httpx.Client(base_url=venue.url, follow_redirects=True, trust_env=False) as client:
        answer = client.get(address)
        done_page(answer)
        assert ticket not in str(answer.url), "not in the browser's history"
        assert ticket not in answer.text
        assert client.cookies
        for value in client.cookies.values():
            assert value not in venue.said()
    assert ticket not in venue.said()
    policy = answer.headers.get("content-security-policy", "")
    assert "frame-ancestors 'none'" in policy or answer.headers.get("x-frame-options") == "DENY"
    assert "no-store" in answer.headers.get("cache-control", "")


# ---- on a phone


class Phone:
    """Chromium with a phone's width, by its debugging protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.number = socket, 0

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            heard = json.loads(self.socket.recv(timeout=20))
            if heard.get("id") == self.number:
                result: dict[str, Any] = heard["result"]
                return result

    def open(self, address: str) -> None:
        self.ask("Page.enable")
        size = {"width": PHONE_PX, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.socket.send(json.dumps({"id": 0, "method": "Page.navigate", "params": {"url": address}}))
        while json.loads(self.socket.recv(timeout=20)).get("method") != "Page.domContentEventFired":
            pass

    def value(self, expression: str) -> Any:
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")


@contextlib.contextmanager
def phone(folder: Path) -> Iterator[Phone]:
    port = free_port()
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    with subprocess.Popen(
        [*command, f"--remote-debugging-port={port}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        try:
            transport = httpx.HTTPTransport(retries=8)  # with growing pauses until the door is open
            with httpx.Client(transport=transport, trust_env=False, timeout=20) as client:
                pages = client.get(f"http://127.0.0.1:{port}/json/list").json()
            address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
            with connect(address, max_size=None) as socket:
                yield Phone(socket)
        finally:
            running.terminate()


@pytest.mark.skipif(CHROMIUM is None, reason="no browser on this machine")
@pytest.mark.parametrize("language", ["zh", "en"])
def test_it_fits_a_phone(venue: Venue, listing: str, tmp_path: Path, language: str) -> None:
    """Nothing is wider than the screen, letters can be read, and no script has failed."""
    with phone(tmp_path / "chromium") as shown:
        shown.open(link(venue))
        shown.open(f"{venue.url}/desk?lang={language}")
        assert shown.value("location.pathname") == "/desk"
        assert shown.value("document.documentElement.scrollWidth") <= PHONE_PX
        assert shown.value("window.innerWidth") == PHONE_PX, "not laid out wider and shrunk"
        assert shown.value("parseFloat(getComputedStyle(document.body).fontSize)") >= 12
        assert shown.value("document.title") not in ("", "taken")


# ---- logs


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    running = Venue(tmp_path_factory.mktemp("logs") / "venue", "--log", "json")
    try:
        yield running.start()
    finally:
        running.close()


def records(venue: Venue) -> list[dict[str, Any]]:
    return [json.loads(line) for line in venue.said().splitlines() if line.startswith("{")]


def test_a_request_is_found_by_its_id_and_its_command_by_its(logged: Venue) -> None:
    merchant, buyer = logged.merchant(), logged.buyer()
    listing = logged.listing(merchant)
    key = logged.new_id()
    body = {"listing": listing, "quantity": 1, "purpose": "market_analysis", "client_order_id": key}
    logged.agree_for(buyer, body)
    answer = buyer.ask("POST", "/v1/orders", json=body, headers={"X-Request-Id": "acceptance-42"})
    done(answer, 201)
    assert answer.headers["x-request-id"] == "acceptance-42"
    logged.http.get("/readyz")
    mine = [record for record in records(logged) if "acceptance-42" in record.values()]
    assert mine, "the request's line"
    assert any(key in record.values() for record in mine), "the command's id beside the request's"


def test_a_request_without_an_id_gets_one_and_a_hostile_one_is_not_taken(logged: Venue) -> None:
    given = logged.http.get("/v1/venue").headers["x-request-id"]
    assert given != logged.http.get("/v1/venue").headers["x-request-id"]
    hostile = "x" * 5_000
    assert logged.http.get("/v1/venue", headers={"X-Request-Id": hostile}).headers["x-request-id"] != hostile


def test_no_secret_is_in_the_log(logged: Venue) -> None:
    """Neither tokens nor challenges nor names of people."""
    person = logged.buyer()
    token = person.token
    done(person.get("/v1/accounts/me"), 200)
    assert records(logged)
    for secret in (token, person.name, "zhangsan@shuji.example"):
        assert secret not in logged.said()
