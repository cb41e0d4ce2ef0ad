"""Scopes, named keys, networks and sessions over a real venue's web."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange.web.access import named_key_text
from exchange.web.routes import OPERATIONS
from exchange.web.scopes import SCOPES
from tests.exchange.test_web_api import path_of
from tests.exchange.web_venue import Doors, Person, doors

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def registered(web: Doors) -> Person:
    person = Person(web.http)
    answer = await person.register()
    assert answer.status_code == 201, answer.text
    return person


async def sign_in(person: Person, *scopes: str, by: Person | None = None, http: Any = None) -> httpx.Response:
    """As the participant, by its own key or by a named one."""
    http, signer = http or person.http, by or person
    who = {"participant": person.participant} if by is None else {"public_key": by.public_key}
    challenge = (await http.post("/v1/login/challenge", json=who)).json()["challenge"]
    body = {**who, "challenge": challenge, "signature": signer.sign(challenge), "scopes": scopes}
    answer: httpx.Response = await http.post("/v1/login", json=body)
    return answer


async def opened(person: Person, *scopes: str, by: Person | None = None) -> Person:
    """Somebody who has signed in for these scopes."""
    answer = await sign_in(person, *scopes, by=by)
    assert answer.status_code == 200, answer.text
    visitor = Person(person.http, participant=person.participant)
    visitor.key, visitor.token = person.key, answer.json()["token"]
    return visitor


async def add_key(owner: Person, name: str, *scopes: str) -> Person:
    other = Person(owner.http)
    answer = await post_key(owner, other, name, scopes)
    assert answer.status_code == 201, answer.text
    other.participant = answer.json()["key"]
    return other


async def post_key(
    owner: Person, other: Person, name: str, signed_for: tuple[str, ...], **changes: Any
) -> httpx.Response:
    text = named_key_text(owner.participant, name, other.public_key, signed_for)
    body = {"name": name, "public_key": other.public_key, "scopes": signed_for}
    signed = {"signature": owner.sign(text), "proof": other.sign(text)}
    return await owner.ask("POST", "/v1/participants/me/keys", json={**body, **signed, **changes})


def says(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return str(answer.json()["detail"])


def from_afar(web: Doors, address: str) -> httpx.AsyncClient:
    application: Any = web.venue.app
    transport = httpx.ASGITransport(app=application, client=(address, 5555))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


# ---- scopes


async def test_every_operation_refuses_a_token_that_is_for_all_the_rest(web: Doors) -> None:
    narrow = {}
    for scope in SCOPES:
        narrow[scope] = await opened(web.operator, *(other for other in SCOPES if other != scope))
    for operation in (one for one in OPERATIONS if one.signed_in):
        answer = await narrow[operation.scope].ask(operation.method, path_of(operation))
        where = f"{operation.method} {operation.path}"
        assert f"the scope {operation.scope}" in says(answer, 403, "forbidden"), where


async def test_a_login_for_some_scopes_says_so_and_opens_no_more(web: Doors) -> None:
    person = await registered(web)
    answer = (await sign_in(person, "read", "trade")).json()
    assert (answer["scopes"], answer["named_key"]) == (["read", "trade"], None)
    assert (await sign_in(person)).json()["scopes"] == list(SCOPES)
    reader = await opened(person, "read")
    assert (await reader.ask("GET", "/v1/participants/me")).status_code == 200
    for method, path in (("POST", "/v1/orders"), ("DELETE", "/v1/orders/O1"), ("POST", "/v1/orders/batch")):
        assert "the scope trade" in says(await reader.ask(method, path), 403, "forbidden")
    trader = await opened(person, "trade")
    assert "the scope read" in says(await trader.ask("GET", "/v1/orders"), 403, "forbidden")
    public = await trader.ask("GET", f"/v1/participants/{person.participant}")
    assert "the scope read" in says(public, 403, "forbidden"), "what a visitor sees as itself is read"
    assert says(await sign_in(person, "everything"), 400, "malformed")


async def test_an_office_acts_by_its_own_scope_where_others_may_act_too(web: Doors) -> None:
    reviewer, merchant = await web.official("reviewer"), await registered(web)
    path = "/v1/listings/L99/approve"
    lister = await opened(reviewer, "list", "read")
    assert "the scope office" in says(await lister.ask("POST", path), 403, "forbidden")
    assert says(await (await opened(reviewer, "list", "office")).ask("POST", path, json={}), 404, "not_found")
    assert says(await (await opened(merchant, "list")).ask("POST", path, json={}), 404, "not_found")


# ---- named keys


async def test_a_named_key_signs_in_for_its_scopes_and_no_more(web: Doors) -> None:
    owner = await registered(web)
    trader = await add_key(owner, "trader Li", "read", "trade")
    answer = (await sign_in(owner, by=trader)).json()
    assert (answer["participant"], answer["named_key"], answer["scopes"]) == (
        owner.participant,
        trader.participant,
        ["read", "trade"],
    )
    assert "for read, trade only" in says(await sign_in(owner, "money", by=trader), 403, "forbidden")
    visitor = await opened(owner, "trade", by=trader)
    assert says(
        await visitor.ask("POST", "/v1/orders", json={"listing": "L99", "quantity": 1}), 404, "not_found"
    )
    robot = Person(web.http)
    visitor = await opened(owner, by=trader)
    visitor.key = owner.key
    refused = await post_key(visitor, robot, "robot", ("read",))
    assert "the scope account" in says(refused, 403, "forbidden"), "a named key makes no keys"
    listed = (await visitor.ask("GET", "/v1/participants/me/keys")).json()["items"]
    assert [(row["key"], row["name"], row["scopes"]) for row in listed] == [
        (trader.participant, "trader Li", ["read", "trade"])
    ]


async def test_a_key_is_added_with_both_signatures_only(web: Doors) -> None:
    owner, new, thief = await registered(web), Person(web.http), Person(web.http)
    scopes = ("read",)
    text = named_key_text(owner.participant, "robot", new.public_key, scopes)
    for changes in (
        {"signature": thief.sign(text)},
        {"proof": owner.sign(text)},
        {"scopes": ["read", "money"]},
    ):
        says(await post_key(owner, new, "robot", scopes, **changes), 401, "signature_wrong")
    assert (await post_key(owner, new, "robot", scopes)).status_code == 201
    says(await post_key(owner, new, "robot", scopes), 409, "already_exists")
    says(await new.register(), 409, "already_exists")


async def test_a_named_key_ends_with_its_tokens(web: Doors) -> None:
    owner = await registered(web)
    trader, robot = await add_key(owner, "trader", "read"), await add_key(owner, "robot", "read")
    visitor, other = await opened(owner, by=trader), await opened(owner, by=robot)
    ended = await owner.ask("DELETE", f"/v1/participants/me/keys/{trader.participant}")
    assert ended.status_code == 204
    says(await visitor.ask("GET", "/v1/participants/me"), 401, "not_signed_in")
    says(await sign_in(owner, by=trader), 401, "signature_wrong")
    assert (await other.ask("GET", "/v1/participants/me")).status_code == 200
    again = await owner.ask("DELETE", f"/v1/participants/me/keys/{trader.participant}")
    says(again, 404, "not_found")


# ---- networks


async def test_logins_and_calls_from_elsewhere_are_refused(web: Doors) -> None:
    owner = await registered(web)
    token = await owner.sign_in()
    headers = {"Authorization": f"Bearer {token}"}
    body = {"allow": ["203.0.113.0/24"]}
    set_to = await owner.ask("POST", "/v1/participants/me/addresses", json=body)
    assert set_to.json() == {"participant": owner.participant, **body}
    async with from_afar(web, "203.0.113.9") as near, from_afar(web, "198.51.100.9") as far:
        for path in ("/v1/participants/me", "/v1/orders"):
            assert (await near.get(path, headers=headers)).status_code == 200
            assert "not on your list" in says(await far.get(path, headers=headers), 403, "forbidden")
        order = {"listing": "L99", "quantity": 1}
        says(await near.post("/v1/orders", json=order, headers=headers), 404, "not_found")
        assert "not on your list" in says(
            await far.post("/v1/orders", json=order, headers=headers), 403, "forbidden"
        )
        assert (await sign_in(owner, http=near)).status_code == 200
        assert "not on your list" in says(await sign_in(owner, http=far), 403, "forbidden")
        says(await sign_in(owner, by=Person(web.http), http=far), 401, "signature_wrong")
        lift = f"/v1/participants/{owner.participant}/addresses"
        says(await web.operator.ask("POST", lift, json={"reason": ""}), 400, "malformed")
        lifted = await web.operator.ask("POST", lift, json={"reason": "moved, called back"})
        assert lifted.json()["allow"] == []
        assert (await far.get("/v1/participants/me", headers=headers)).status_code == 200


# ---- sessions


async def sessions(person: Person) -> list[dict[str, Any]]:
    answer = await person.ask("GET", "/v1/sessions")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_sessions_are_listed_and_ended_one_by_one(web: Doors) -> None:
    owner = await registered(web)
    here, there = await opened(owner), await opened(owner, "read")
    listed = await sessions(here)
    assert [(row["scopes"], row["current"]) for row in listed] == [(["read"], False), (list(SCOPES), True)]
    assert {row["address"] for row in listed} == {"127.0.0.1"}
    stranger = await registered(web)
    ending = f"/v1/sessions/{listed[0]['session']}"
    says(await stranger.ask("DELETE", ending), 404, "not_found")
    assert (await here.ask("DELETE", ending)).status_code == 204
    says(await there.ask("GET", "/v1/participants/me"), 401, "not_signed_in")
    assert [row["current"] for row in await sessions(here)] == [True]
    says(await here.ask("DELETE", ending), 404, "not_found")


async def test_all_sessions_end_at_once(web: Doors) -> None:
    owner = await registered(web)
    visitors = [await opened(owner) for _ in range(3)]
    assert (await visitors[0].ask("DELETE", "/v1/sessions")).status_code == 204
    for visitor in visitors:
        says(await visitor.ask("GET", "/v1/participants/me"), 401, "not_signed_in")
    assert len(await sessions(await opened(owner))) == 1


async def test_a_named_key_sees_and_ends_its_own_sessions_only(web: Doors) -> None:
    owner = await registered(web)
    robot = await add_key(owner, "robot", "read")
    own, visitor = await opened(owner), await opened(owner, by=robot)
    assert [row["named_key"] for row in await sessions(visitor)] == [robot.participant]
    mine = next(row["session"] for row in await sessions(own) if row["current"])
    says(await visitor.ask("DELETE", f"/v1/sessions/{mine}"), 404, "not_found")
    assert "the scope account" in says(await visitor.ask("DELETE", "/v1/sessions"), 403, "forbidden")
    assert len(await sessions(own)) == 3, "that in which the key was added, and these two"


async def test_a_list_of_sessions_has_pages(web: Doors) -> None:
    owner = await registered(web)
    visitor = [await opened(owner) for _ in range(5)][-1]
    found, cursor = [], ""
    while True:
        page = (await visitor.ask("GET", f"/v1/sessions?limit=2{cursor}")).json()
        found += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert len({row["session"] for row in found}) == len(found) == 5
    says(await visitor.ask("GET", "/v1/sessions?cursor=x"), 400, "malformed")


async def test_rows_of_sessions_leave_with_their_tokens(web: Doors) -> None:
    owner = await registered(web)
    await opened(owner)
    await web.operator.ask("POST", "/v1/clock/advance", json={"seconds": 1_801})
    web.operator.token = ""
    fresh = await opened(owner)
    assert len(await sessions(fresh)) == 1
    count = await web.venue.desk.pool.fetchval(
        "SELECT count(*) FROM login_session WHERE until_ns <= $1", web.venue.engine.now_ns()
    )
    assert count == 0


async def test_a_login_that_cannot_be_listed_is_refused_and_may_be_sent_again(web: Doors) -> None:
    """Its connection to PostgreSQL is cut while it waits for the table."""
    owner = await registered(web)
    who = {"participant": owner.participant}
    challenge = (await web.http.post("/v1/login/challenge", json=who)).json()["challenge"]
    body = {**who, "challenge": challenge, "signature": owner.sign(challenge)}
    async with web.venue.desk.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE login_session IN ACCESS EXCLUSIVE MODE")
        waiting = asyncio.ensure_future(web.http.post("/v1/login", json=body))
        blocked = (
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%login_session%'"
        )
        while (pid := await connection.fetchval(blocked)) is None:
            await asyncio.sleep(0.01)
        await connection.execute("SELECT pg_terminate_backend($1)", pid)
        says(await waiting, 503, "storage_unavailable")
    assert (await web.http.post("/v1/login", json=body)).status_code == 200


async def test_what_was_ended_stays_ended_over_a_restart(tmp_path: Path, database_dsn: str) -> None:
    async with doors(tmp_path, database_dsn) as web:
        owner = await registered(web)
        robot = await add_key(owner, "robot", "read", "trade")
        first, second, third = [await opened(owner) for _ in range(3)]
        visitor = await opened(owner, by=robot)
        listed = await sessions(first)
        doomed = next(row["session"] for row in await sessions(second) if row["current"])
        assert (await first.ask("DELETE", f"/v1/sessions/{doomed}")).status_code == 204
    async with doors(tmp_path, database_dsn) as web:
        for person in (first, second, third, visitor):
            person.http = web.http
        says(await second.ask("GET", "/v1/participants/me"), 401, "not_signed_in")
        assert (await visitor.ask("GET", "/v1/participants/me")).status_code == 200
        assert [row["session"] for row in await sessions(first)] == [
            row["session"] for row in listed if row["session"] != doomed
        ]
        assert (await third.ask("DELETE", "/v1/sessions")).status_code == 204
    async with doors(tmp_path, database_dsn) as web:
        for person in (first, third, visitor):
            person.http = web.http
            says(await person.ask("GET", "/v1/participants/me"), 401, "not_signed_in")
