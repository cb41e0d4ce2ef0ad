"""A password and a one-time code: how they are hashed, tried, kept and forgotten, and what they open."""

import asyncio
import re
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from exchange.keys import password_text
from exchange.web import hashing
from exchange.web.hashing import STEP_S, Hashing, fits, hashed, password_fault, step_of
from exchange.web.passwords import FREE_TRIES, LONGEST_WAIT_S, SHORTEST_WAIT_S, wait_s
from exchange.web.problem import Refusing
from exchange.web.scopes import SCOPES
from tests.exchange.test_web_entrances import from_afar, opened, registered, says, sessions
from tests.exchange.web_venue import Doors, Person, doors
from tests.story import has_chinese

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct horse battery staple 数集"
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""RFC 6238, appendix B: base32 of 12345678901234567890."""


# ---- computations


async def test_a_password_is_argon2id_and_found_again() -> None:
    kept = hashed(PASSWORD)
    assert kept.startswith(b"$argon2id$v=19$m=65536,t=3,p=1$")
    assert hashed(PASSWORD) != kept, "salted"
    assert fits(PASSWORD, kept)
    assert not fits(PASSWORD + " ", kept)
    assert not fits(PASSWORD, None)
    assert not fits(PASSWORD, b"no hash at all")
    assert fits("ﬁve dozen liquor jugs", hashed("five dozen liquor jugs")), "NFKC: a ligature is its letters"


@pytest.mark.parametrize("password", ["", "short", "x" * 201, "aaaaaaaaaaaaaaaa", "ababababababab"])
async def test_a_password_that_is_too_weak_says_why(password: str) -> None:
    assert password_fault(password)
    assert password_fault(PASSWORD) is None


@pytest.mark.parametrize(
    ("at_s", "code"), [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
)
async def test_codes_are_those_of_the_rfc(at_s: int, code: str) -> None:
    step = at_s // STEP_S
    wide = code.translate({ord(digit): ord(digit) - 48 + 0xFF10 for digit in "0123456789"})
    assert step_of(RFC_SECRET, wide, at_s * 1_000_000_000) == step, "as a Chinese keyboard may write it"
    for early in (-1, 0, 1):
        assert step_of(RFC_SECRET, code, (step + early) * STEP_S * 1_000_000_000) == step
    for early in (-2, 2):
        assert step_of(RFC_SECRET, code, (step + early) * STEP_S * 1_000_000_000) is None


@pytest.mark.parametrize("code", ["", "28708", "2870822", "28708a", "-87082"])
async def test_what_is_no_code(code: str) -> None:
    assert step_of(RFC_SECRET, code, 59_000_000_000) is None


async def test_waits_double_and_end() -> None:
    waits = [wait_s(failures) for failures in range(1, 40)]
    assert waits[: FREE_TRIES - 1] == [0] * (FREE_TRIES - 1)
    assert waits[FREE_TRIES - 1 : FREE_TRIES + 2] == [
        SHORTEST_WAIT_S,
        2 * SHORTEST_WAIT_S,
        4 * SHORTEST_WAIT_S,
    ]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S


async def test_two_are_hashed_at_once_and_a_thread_holds_its_place_to_its_end() -> None:
    hashes, inside, release = Hashing(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(inside.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

    async def one() -> None:
        async with hashes.place() as place:
            await place.run(work)

    first, second = asyncio.create_task(one()), asyncio.create_task(one())
    await inside.wait()
    with pytest.raises(Refusing, match="try again in a second"):
        await one()
    first.cancel()
    await asyncio.wait([first])
    with pytest.raises(Refusing, match="try again in a second"):
        await one()
    release.set()
    await second
    await one()


# ---- setting


async def set_password(
    person: Person, password: str = PASSWORD, signer: Person | None = None
) -> httpx.Response:
    signature = (signer or person).sign(password_text(person.participant, password))
    body = {"password": password, "signature": signature}
    return await person.ask("POST", "/v1/participants/me/password", json=body)


def code_of(web: Doors, secret: str) -> str:
    return pyotp.TOTP(secret).at(web.venue.engine.now_ns() // 1_000_000_000)


async def later(web: Doors, seconds: int = STEP_S) -> None:
    """So that the next code is another one."""
    moved = await web.operator.ask("POST", "/v1/clock/advance", json={"seconds": seconds})
    if moved.status_code == 401:
        web.operator.token = ""
        moved = await web.operator.ask("POST", "/v1/clock/advance", json={"seconds": seconds})
    assert moved.status_code == 200, moved.text


async def confirm(person: Person, code: str) -> httpx.Response:
    return await person.ask("POST", "/v1/participants/me/totp/confirm", json={"code": code})


async def enrolled(web: Doors, person: Person) -> str:
    """With a password and a second factor; gives its secret."""
    assert (await set_password(person)).status_code == 200
    shown = await person.ask("POST", "/v1/participants/me/totp")
    assert shown.status_code == 201, shown.text
    secret = str(shown.json()["secret"])
    assert shown.json()["uri"].startswith("otpauth://totp/")
    counts = await confirm(person, code_of(web, secret))
    assert counts.json() == {"participant": person.participant, "password": True, "totp": True}, counts.text
    await later(web)
    return secret


async def enter(
    web: Doors, person: Person, code: str, password: str = PASSWORD, http: Any = None
) -> httpx.Response:
    body = {"participant": person.participant, "password": password, "code": code}
    answer: httpx.Response = await (http or web.http).post("/v1/console/login", json=body)
    return answer


async def test_a_password_is_signed_for_by_the_own_key(web: Doors) -> None:
    person, thief = await registered(web), Person(web.http)
    says(await set_password(person, signer=thief), 401, "signature_wrong")
    says(await set_password(person, "too short"), 422, "out_of_bounds")
    narrow = await opened(person, *(scope for scope in SCOPES if scope != "account"))
    assert "the scope account" in says(await set_password(narrow), 403, "forbidden")
    assert (await set_password(person)).json() == {
        "participant": person.participant,
        "password": True,
        "totp": False,
    }


async def test_a_secret_counts_once_it_is_confirmed(web: Doors) -> None:
    person = await registered(web)
    says(await confirm(person, "000000"), 409, "wrong_state")
    secret = await enrolled(web, person)
    second = str((await person.ask("POST", "/v1/participants/me/totp")).json()["secret"])
    assert (await enter(web, person, code_of(web, secret))).status_code == 200, "the first one counts still"
    await later(web)
    wrong = code_of(web, secret)
    says(await confirm(person, wrong), 401, "signature_wrong")
    assert (await confirm(person, code_of(web, second))).status_code == 200
    await later(web)
    says(await enter(web, person, code_of(web, secret)), 401, "signature_wrong")
    assert (await enter(web, person, code_of(web, second))).status_code == 200
    rows = await web.venue.desk.pool.fetchval(
        "SELECT count(*) FROM console_secret WHERE participant = $1", person.participant
    )
    assert rows == 2, "what counts no more is gone"


# ---- entering


async def test_password_and_code_open_all_but_the_account_and_a_code_serves_once(web: Doors) -> None:
    person = await registered(web)
    code = code_of(web, await enrolled(web, person))
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for answer in (
        await enter(web, person, wrong),
        await enter(web, person, code, "another password"),
        await enter(web, Person(web.http, participant="P99999"), code),
        await enter(web, await registered(web), code),
        await enter(web, person, ""),
    ):
        says(answer, 401, "signature_wrong")
    answer = await enter(web, person, code)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["named_key"], answer.json()["scopes"]) == ("console", list(SCOPES[:-1]))
    visitor = Person(web.http, participant=person.participant)
    visitor.token = answer.json()["token"]
    assert (await visitor.ask("GET", "/v1/participants/me")).json()["participant"] == person.participant
    keys = await visitor.ask("POST", "/v1/participants/me/addresses", json={"allow": []})
    assert "the scope account" in says(keys, 403, "forbidden")
    assert [row["named_key"] for row in await sessions(visitor)] == ["console"]
    says(await enter(web, person, code), 401, "signature_wrong")


async def test_another_password_ends_what_the_one_before_has_opened(web: Doors) -> None:
    person = await registered(web)
    secret = await enrolled(web, person)
    visitor = Person(web.http, participant=person.participant)
    visitor.token = (await enter(web, person, code_of(web, secret))).json()["token"]
    assert (await set_password(person, PASSWORD[::-1])).status_code == 200
    says(await visitor.ask("GET", "/v1/participants/me"), 401, "not_signed_in")
    await later(web)
    says(await enter(web, person, code_of(web, secret)), 401, "signature_wrong")
    assert (await enter(web, person, code_of(web, secret), PASSWORD[::-1])).status_code == 200
    assert (await person.ask("DELETE", "/v1/participants/me/password")).status_code == 204
    says(await person.ask("DELETE", "/v1/participants/me/password"), 404, "not_found")
    await later(web)
    says(await enter(web, person, code_of(web, secret), PASSWORD[::-1]), 401, "signature_wrong")
    kept = await web.venue.desk.pool.fetchval(
        "SELECT count(*) FROM console_secret WHERE participant = $1", person.participant
    )
    assert kept == 0


async def test_wrong_tries_wait_and_the_key_never_does(web: Doors) -> None:
    person = await registered(web)
    secret = await enrolled(web, person)
    for _ in range(FREE_TRIES):
        says(await enter(web, person, "000000", "guess and guess again"), 401, "signature_wrong")
    waits = await enter(web, person, code_of(web, secret))
    says(waits, 429, "rate_limited")
    assert 0 < int(waits.headers["retry-after"]) <= SHORTEST_WAIT_S
    assert await person.sign_in()
    await later(web, SHORTEST_WAIT_S)
    says(await enter(web, person, "000000", "guess and guess again"), 401, "signature_wrong")
    longer = await enter(web, person, code_of(web, secret))
    assert SHORTEST_WAIT_S < int(longer.headers["retry-after"]) <= 2 * SHORTEST_WAIT_S
    await later(web, 2 * SHORTEST_WAIT_S)
    assert (await enter(web, person, code_of(web, secret))).status_code == 200
    await later(web)
    says(await enter(web, person, "000000"), 401, "signature_wrong")
    assert (await enter(web, person, code_of(web, secret))).status_code == 200, (
        "a right one is forgiven all before"
    )


async def test_a_try_that_was_not_looked_at_is_not_counted(
    web: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await registered(web)
    secret = await enrolled(web, person)
    with monkeypatch.context() as patched:
        patched.setattr(hashing, "AT_ONCE", 0)
        for _ in range(FREE_TRIES + 1):
            busy = await enter(web, person, code_of(web, secret))
            says(busy, 503, "overloaded")
            assert int(busy.headers["retry-after"]) > 0
    assert (await enter(web, person, code_of(web, secret))).status_code == 200


async def test_networks_bind_who_enters_by_password_too(web: Doors) -> None:
    person = await registered(web)
    secret = await enrolled(web, person)
    await person.ask("POST", "/v1/participants/me/addresses", json={"allow": ["203.0.113.0/24"]})
    async with from_afar(web, "203.0.113.9") as near:
        says(await enter(web, person, code_of(web, secret)), 403, "forbidden")
        await later(web)
        assert (await enter(web, person, code_of(web, secret), http=near)).status_code == 200


async def test_an_altered_row_opens_nothing(web: Doors) -> None:
    person = await registered(web)
    secret = await enrolled(web, person)
    await web.venue.desk.pool.execute(
        "UPDATE console_secret SET body = $2 WHERE participant = $1 AND kind = 'password'",
        person.participant,
        hashed("what the thief of the database knows"),
    )
    stolen = await enter(web, person, code_of(web, secret), "what the thief of the database knows")
    says(stolen, 401, "signature_wrong")


async def test_neither_is_in_the_journal_and_both_outlive_a_restart(
    tmp_path: Path, database_dsn: str
) -> None:
    async with doors(tmp_path, database_dsn) as web:
        person = await registered(web)
        secret = await enrolled(web, person)
        code = code_of(web, secret)
        assert (await enter(web, person, code)).status_code == 200
        bodies = await web.venue.desk.pool.fetch("SELECT body FROM journal")
        told = b"".join(row["body"] for row in bodies)
        assert b"SecretSet" in told
        assert b"argon2" not in told
        assert PASSWORD.encode() not in told
        assert secret.encode() not in told
    async with doors(tmp_path, database_dsn) as web:
        person.http, person.token = web.http, ""
        says(await enter(web, person, code), 401, "signature_wrong")
        await later(web)
        assert (await enter(web, person, code_of(web, secret))).status_code == 200
        for _ in range(FREE_TRIES):
            await enter(web, person, "000000", "guess and guess again")
    async with doors(tmp_path, database_dsn) as web:
        says(await enter(web, person, code_of(web, secret)), 429, "rate_limited")


# ---- the page


async def post(web: Doors, form: dict[str, str], **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await web.http.post("/desk/login", data=form, headers=given)
    web.http.cookies.clear()
    return answer


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition("<main")[2])).split())


async def test_the_page_of_the_desk_is_in_both_tongues(web: Doors) -> None:
    for tongue, title in (("zh", "登录"), ("en", "Sign in")):
        page = await web.http.get("/desk/login", headers={"accept-language": tongue})
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert f"<h1>{title}</h1>" in page.text
        assert has_chinese(words(page.text)) == (tongue == "zh")
        assert 'type="password"' in page.text
    closed = await web.http.get("/desk", headers={"accept-language": "en"})
    assert (closed.status_code, 'href="/desk/login"' in closed.text) == (401, True)


async def test_an_operator_enters_the_desk_by_password_and_code(web: Doors) -> None:
    operator = web.operator
    secret = await enrolled(web, operator)
    form = {"participant": operator.participant, "password": PASSWORD, "code": code_of(web, secret)}
    foreign = await post(web, form, sec_fetch_site="cross-site")
    assert (foreign.status_code, "set-cookie" in foreign.headers) == (403, False)
    wrong = await post(web, {**form, "password": "another password"}, accept_language="en")
    assert (wrong.status_code, "Not signed in" in words(wrong.text)) == (401, True)
    assert PASSWORD not in wrong.text
    answer = await post(web, form, sec_fetch_site="same-origin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert (await web.http.get("/desk/trading", headers={"cookie": cookie})).status_code == 200
    web.http.cookies.clear()
    assert (await post(web, form)).status_code == 401, "a code serves once"
    assert (await operator.ask("DELETE", "/v1/sessions")).status_code == 204
    operator.token = ""
    assert (await web.http.get("/desk/trading", headers={"cookie": cookie})).status_code == 401
    web.http.cookies.clear()


async def test_who_is_no_operator_does_not_sit_at_the_desk(web: Doors) -> None:
    person = await registered(web)
    secret = await enrolled(web, person)
    form = {"participant": person.participant, "password": PASSWORD, "code": code_of(web, secret)}
    answer = await post(web, form, accept_language="en")
    assert (answer.status_code, "no operator's account" in words(answer.text)) == (403, True)
    assert "shuji_desk=" not in answer.headers.get("set-cookie", "")
