"""The web over a real venue: what every operation has in common, and the doors that the stories do not try."""

import asyncio
import hashlib
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exchange.settings import Settings
from exchange.web import files, participants
from exchange.web.access import load_key
from exchange.web.openapi import refused_codes
from exchange.web.operation import Operation
from exchange.web.problem import TITLES
from exchange.web.routes import OPERATIONS
from tests.exchange.web_venue import Doors, Person, doors
from tests.story import command_id, parsed

NEW_ID = "019ab0d2-3c40-7a52-9d1e-0d5f3a9c1b77"
EXAMPLES = {"participant": "P99", "product": "D99", "listing": "L99", "order": "O99", "trade": "T99"}
EXAMPLES |= {
    "entitlement": "E99",
    "subscription": "S99",
    "bill": "I99",
    "report": "R99",
    "directive": "Z99",
    "objection": "H99",
    "board": "moonshine",
    "rule": "Z99",
    "code": "nothing",
    "step": "submit",
    "draft": "K99",
    "contract": "L99-1",
    "attestation": "A99",
    "credential": "C99",
    "purpose": "revocation",
    "duty": "U99",
    "need": "N99",
    "proposal": "Q99",
    "bid": "J99",
    "case": "F99",
    "mandate": "M99",
    "withdrawal": "W99",
    "batch": "B99",
    "bank_break": "K99",
    "ring": "G99",
    "evidence": "verdict:T99",
    "named_key": "Y99",
    "session": "abcdefghijklmnop",
}


pytestmark = pytest.mark.asyncio(loop_scope="module")


def path_of(operation: Operation) -> str:
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", EXAMPLES[name])
    return path


async def test_every_operation_is_routed_and_asks_for_a_token_where_it_says_so(web: Doors) -> None:
    for operation in OPERATIONS:
        answer = await web.http.request(operation.method, path_of(operation))
        where = f"{operation.method} {operation.path}: {answer.status_code} {answer.text[:300]}"
        assert (answer.status_code == 401) == operation.signed_in or operation.bytes_out, where
        assert answer.status_code != 405, where
        if answer.is_error:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json", where
            assert problem["type"] == f"/problems/{problem['code']}", where
            assert problem["code"] in {code.name for code in refused_codes(operation)}, where
            assert answer.status_code != 401 or answer.headers["www-authenticate"].startswith("Bearer"), where


async def test_what_is_not_there_is_not_found_for_the_operator_too(web: Doors) -> None:
    """Both status lists are always there."""
    for operation in OPERATIONS:
        if operation.parameters not in ([], ["purpose"]) and operation.method in ("GET", "DELETE"):
            answer = await web.operator.ask(operation.method, path_of(operation))
            assert answer.status_code == 404, f"{operation.method} {operation.path}: {answer.text}"


@pytest.mark.parametrize(
    "identifier", ["", "X1", "T0", "T01", "T1x", "T" + "9" * 30, "T1%00", "%F0%9F%98%80", "T1%0A"]
)
async def test_a_path_that_names_nothing_is_not_found(web: Doors, identifier: str) -> None:
    answer = await web.operator.ask(
        "GET", f"/v1/trades/{identifier}x" if not identifier else f"/v1/trades/{identifier}"
    )
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1e999",
        b'{"challenge":1}',
        b'{"participant":"P1","more":1}',
        b'{"participant":"P\\u0000"}',
        b'{"participant":"\\ud800"}',
        b'{"participant":"\xff"}',
        b'{"participant":"' + b"x" * 20_000 + b'"}',
        b"[" * 100_000,
        b'{"participant":{"a":' * 200 + b"1" + b"}}" * 200,
        b'{"participant":123456789012345678901234567890}',
    ],
)
async def test_a_body_that_cannot_be_read_is_malformed(web: Doors, body: bytes) -> None:
    answer = await web.http.post("/v1/login/challenge", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "malformed"


async def test_a_fault_names_its_place(web: Doors) -> None:
    auditor = await web.official("auditor")
    answer = await auditor.ask("POST", "/v1/trade-reports", json={"listing": 7})
    assert answer.json()["errors"] == [{"path": "$.listing", "message": "Expected `str`, got `int`"}]


async def test_an_oversize_body_is_refused_before_it_is_read(web: Doors) -> None:
    answer = await web.http.post("/v1/login", content=b" " * ((1 << 20) + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * (1 << 16)

    answer = await web.http.post("/v1/login", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    answer = await web.operator.ask("POST", "/v1/orders", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1&more=2",
        "cursor=zzz",
        "cursor=%C2%B2",
        "cursor=%00",
        "cursor=" + "9" * 300,
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/v1/orders", "/v1/trades", "/v1/statement", "/v1/refusals", "/v1/catalogue", "/v1/credit/contribution"],
)
async def test_a_query_that_cannot_be_read_is_malformed(web: Doors, path: str, query: str) -> None:
    answer = await web.operator.ask("GET", f"{path}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/orders?state=open%0A", None),
        ("GET", "/v1/trades?state=held%0A", None),
        ("PUT", f"/v1/files?sha256={'0' * 64}%0A", None),
        ("POST", "/v1/orders", {"listing": "L1", "quantity": 1, "side": "buy\n"}),
        ("POST", "/v1/orders", {"listing": "L1", "quantity": 1, "time_in_force": "gtc\n"}),
        ("POST", "/v1/trades/T1/delivery", {"kind": "file\n"}),
        ("POST", "/v1/trades/T1/delivery", {"kind": "file", "media_type": "text/html\n"}),
        ("POST", "/v1/trades/T1/delivery", {"kind": "file", "name": "a\n"}),
        ("POST", "/v1/trades/T1/delivery", {"kind": "file", "sha256": "0" * 64 + "\n"}),
    ],
)
async def test_a_line_break_at_the_end_is_malformed(web: Doors, method: str, path: str, body: object) -> None:
    answer = await web.operator.ask(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.text


async def test_what_was_stored_cannot_break_a_header() -> None:
    """Whatever an event holds: uvicorn refuses to send a header with a control character, and the download is lost."""
    assert files.media_type("text/csv") == "text/csv"
    for declared in ("text/html\n", "text/html\r\nset-cookie: a", "", "text/数据"):
        assert files.media_type(declared) == "application/octet-stream"
    for name in ("a\r\nb", '"; x="', "数据.csv", "\ud800"):
        said = files.disposition(name).removeprefix("attachment; filename*=UTF-8''")
        assert re.fullmatch("[A-Za-z0-9%._~-]+", said), said


@pytest.mark.parametrize("key", ["1", "nonsense", "019ab0d2-3c40-4a52-9d1e-0d5f3a9c1b77", NEW_ID + "0"])
async def test_a_command_id_is_a_uuid_of_version_7(web: Doors, key: str) -> None:
    body = {"participant": web.operator.participant, "amount_fen": 1, "bank_reference": "B1"}
    answer = await web.operator.ask("POST", "/v1/cash-in", json=body, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_other_methods_are_refused_with_what_is_offered(web: Doors) -> None:
    for path, allowed in (("/v1/orders", "GET, POST"), ("/v1/orders/batch", "POST"), ("/v1/trades", "GET")):
        answer = await web.operator.ask("PUT", path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert set(allowed.split(", ")) <= set(answer.headers["allow"].split(", "))


async def test_a_read_is_answered_to_head(web: Doors) -> None:
    """And nothing that HEAD asks for is done: a link to the desk is good once."""
    for path in ("/", "/docs", "/openapi.json", "/healthz", "/v1/catalogue", "/desk", "/desk/desk.css"):
        head, got = await web.http.head(path), await web.http.get(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-length"] == str(len(got.content)), path
    assert (await web.operator.ask("HEAD", "/v1/trades")).status_code == 200
    assert (await web.http.head("/v1/trades")).status_code == 401
    for path in ("/desk/enter", "/v1/entitlements/E1/content", "/v1/orders/batch"):
        assert (await web.http.head(path)).status_code == 405, path


async def test_a_batch_names_the_element_and_places_nothing(web: Doors) -> None:
    good = {"listing": "L1", "quantity": 1}
    for body, index in (
        ([good, {"listing": "L1"}], 1),
        ([good, good, {**good, "quantity": -1}], 2),
        ([{**good, "client_order_id": "x"}, good], 0),
        ([good, {**good, "invented": 1}], 1),
    ):
        answer = await web.operator.ask("POST", "/v1/orders/batch", json=body)
        assert (answer.status_code, answer.json()["index"]) == (400, index), answer.text
    answer = await web.operator.ask("POST", "/v1/orders/batch", json=[good] * 1_001)
    assert answer.status_code == 400
    answer = await web.operator.ask("POST", "/v1/orders/batch", json=[])
    assert answer.json() == {"results": []}
    answer = await web.operator.ask("POST", "/v1/orders/batch", json=[good, good])
    assert [(one["status"], one["problem"]["index"]) for one in answer.json()["results"]] == [
        (404, 0),
        (404, 1),
    ]


async def test_pages_follow_each_other_by_link(web: Doors) -> None:
    people = [Person(web.http) for _ in range(5)]
    for person in people:
        await person.register()
    seen: list[str] = []
    path = "/v1/participants?limit=2&identity=unverified"
    while path:
        answer = await web.operator.ask("GET", path)
        seen += [item["participant"] for item in answer.json()["items"]]
        assert bool(answer.json()["next"]) == ("next" in answer.links)
        path = answer.links.get("next", {}).get("url", "")
    assert seen[-5:] == [person.participant for person in people]
    assert len(seen) == len(set(seen))


async def test_a_registration_sent_again_has_the_same_answer(web: Doors) -> None:
    person, now = Person(web.http), (await web.http.get("/v1/venue")).json()["clock"]["now"]
    command = command_id(parsed(now))
    agent = {"name": "张三", "contact": "zhangsan@shuji.example"}
    first = await person.register(agent=agent, key=command)
    again = await person.register(agent=agent, key=command)
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    other = await person.register(agent={**agent, "name": "李四"}, key=command)
    assert (other.status_code, other.json()["code"]) == (409, "id_conflict")


async def test_a_registration_sent_twice_at_once_is_one(web: Doors) -> None:
    person, now = Person(web.http), (await web.http.get("/v1/venue")).json()["clock"]["now"]
    command = command_id(parsed(now))
    agent = {"name": "张三", "contact": "zhangsan@shuji.example"}
    answers = await asyncio.gather(*[person.register(agent=agent, key=command) for _ in range(3)])
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.text for answer in answers}) == 1


async def test_two_attempts_before_either_is_committed_have_one_salt(web: Doors) -> None:
    person, other = Person(web.http), Person(web.http)
    agent = participants.Agent(name="张三", contact="zhangsan@shuji.example")

    async def salt_of(who: Person) -> bytes:
        body = participants.Registration(
            legal_name="示例", public_key=who.public_key, agent=agent, signature=""
        )
        row = await participants._personal_row(web.venue.desk, body)
        assert row is not None
        return row[0]

    assert await salt_of(person) == await salt_of(person)
    assert await salt_of(person) != await salt_of(other)


async def test_personal_data_is_salted_erasable_and_nobody_elses(web: Doors) -> None:
    person, neighbour = Person(web.http), Person(web.http)
    await person.register(agent={"name": "张三", "contact": "zhangsan@shuji.example"})
    await neighbour.register()
    path = f"/v1/participants/{person.participant}"
    assert (await person.ask("GET", "/v1/participants/me")).json()["agent"]["name"] == "张三"
    assert "张三" not in (await neighbour.ask("GET", path)).text
    assert "张三" not in (await web.http.get(path)).text
    row = await web.venue.desk.pool.fetchrow(
        "SELECT salt, body FROM personal WHERE participant = $1", person.participant
    )
    told = (await person.ask("GET", path)).json()["personal_sha256"]
    assert told == hashlib.sha256(row["salt"] + row["body"]).hexdigest()
    assert (await neighbour.ask("DELETE", f"{path}/personal")).status_code == 403
    assert (await person.ask("DELETE", f"{path}/personal")).status_code == 204
    assert "张三" not in (await person.ask("GET", path)).text


async def test_a_role_counts_from_when_it_is_granted(web: Doors) -> None:
    person = Person(web.http)
    await person.register()
    assert (await person.ask("GET", "/v1/journal")).status_code == 403
    await web.operator.ask("POST", f"/v1/participants/{person.participant}/roles", json={"role": "auditor"})
    person.purpose = "a role was granted"
    assert (await person.ask("GET", "/v1/journal")).status_code == 200


async def test_the_journal_is_paged_entry_by_entry(web: Doors) -> None:
    auditor = await web.official("auditor")
    seen, path = [], "/v1/journal?limit=1"
    while path:
        answer = await auditor.ask("GET", path)
        assert len(answer.json()["items"]) == 1
        seen += answer.json()["items"]
        path = answer.links.get("next", {}).get("url", "")
    assert [(item["sequence"], item["index"]) for item in seen] == sorted(
        (item["sequence"], item["index"]) for item in seen
    )
    assert [item["events"][0][0] for item in seen][-2:] == ["ParticipantRegistered", "RoleGranted"]
    later = (await auditor.ask("GET", f"/v1/journal?from={seen[-1]['sequence']}")).json()["items"]
    assert later == seen[-1:]


async def test_only_an_accredited_merchant_uploads(web: Doors) -> None:
    answer = await web.operator.ask("PUT", f"/v1/files?sha256={'0' * 64}", content=b"bytes")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    answer = await web.operator.ask("PUT", "/v1/files?sha256=nonsense", content=b"bytes")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB,en;q=0.9,zh;q=0.3", "en"), ("", "zh"), ("fr,de;q=x", "zh")],
)
async def test_the_first_page_speaks_the_readers_language(web: Doors, accepted: str, language: str) -> None:
    answer = await web.http.get("/", headers={"Accept": "text/html", "Accept-Language": accepted})
    assert answer.headers["content-type"].startswith("text/html")
    assert f"<html lang={language}>" in answer.text
    assert "shuji call GET /v1/catalogue" in answer.text
    assert "<script" not in answer.text
    assert "viewport" in answer.text


async def test_a_refusal_names_the_field_and_what_it_may_be(web: Doors) -> None:
    order = {"listing": "L1", "quantity": 1}
    for path, body, field in (
        ("/v1/orders", {**order, "client_order_id": "abc"}, "client_order_id"),
        ("/v1/orders/batch", [{**order, "client_order_id": "abc"}], "client_order_id"),
        ("/v1/orders", {**order, "side": "short"}, "buy, sell"),
        ("/v1/orders/batch", [order, {**order, "side": "short"}], "buy, sell"),
    ):
        answer = await web.operator.ask("POST", path, json=body)
        assert answer.status_code == 400
        assert field in answer.json()["detail"], answer.text
        place = "$[" if isinstance(body, list) else "$."
        assert answer.json()["errors"][0]["path"].startswith(place), answer.text
    answer = await web.http.get("/v1/listings/L1/bars?interval=hour")
    assert "1d, 1h, 1m" in answer.json()["detail"], answer.text
    answer = await web.operator.ask("POST", "/v1/cash-in", headers={"Idempotency-Key": "abc"}, json={})
    assert answer.status_code == 400


async def test_the_first_page_speaks_json_where_asked(web: Doors) -> None:
    answer = await web.http.get("/", headers={"Accept": "application/json"})
    assert answer.json()["published_listings"] == 0
    assert any(step["command"].startswith("shuji ") for step in answer.json()["next"])


async def test_each_problem_has_its_page_and_the_api_has_one(web: Doors) -> None:
    for code in TITLES:
        answer = await web.http.get(f"/problems/{code}")
        assert answer.status_code == 200, code
        assert TITLES[code][0] in answer.text
    page = (await web.http.get("/docs")).text
    assert all(f"{one.method} {one.path}" in page for one in OPERATIONS)
    assert "<script" not in page


async def test_tokens_outlive_a_restart(tmp_path: Path, database_dsn: str) -> None:
    async with doors(tmp_path / "data", database_dsn) as web:
        assert (await web.operator.ask("GET", "/v1/participants/me")).status_code == 200
        token = web.operator.token
    async with doors(tmp_path / "data", database_dsn) as web:
        answer = await web.http.get("/v1/participants/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["roles"] == ["operator"]
    settings = Settings(data=tmp_path / "data")
    assert len(load_key(settings.data)) == 32
    assert stat.S_IMODE(settings.operator_key.stat().st_mode) == 0o600
