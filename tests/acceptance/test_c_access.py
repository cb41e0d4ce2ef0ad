"""Issue 6, "Authentication hardened": scopes, named keys, addresses, sessions, and people at a console.

What the checks expect; more members are welcome:

    POST /v1/login {..., scopes: [read, trade, list, money, office]}   a call outside is `forbidden`, naming the scope
    POST /v1/participants/me/keys {name, public_key, scopes, signature, proof} -> key;  DELETE .../keys/{key}
         signed by the own key, and by the new one (proof: nobody adds a key that is somebody else's), over
         `shuji-add-key:<participant>:<public_key>:<scopes, joined by commas>:<name>`
    POST /v1/participants/me/addresses {allow: [CIDR]};  POST /v1/participants/{participant}/addresses {reason} lifts them
    GET  /v1/sessions               items: session, since, until, address, scopes;  DELETE /v1/sessions[/{session}]
    POST /v1/participants/me/password {password, signature}   over `shuji-password:<participant>:<sha256 of the password>`
    POST /v1/participants/me/totp -> {secret} (base32);  POST /v1/participants/me/totp/confirm {code}
    POST /v1/console/login {participant, password, code} -> token
"""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.story import ROOT, Person, Venue, done, refused, sha256_of, shuji

PASSWORD = "correct horse battery staple 数集"
BUSY = (429, 503)


def signed_in(venue: Venue, person: Person, by: Person | None = None, *scopes: str) -> httpx.Response:
    """Signed in as a participant, by the key of somebody (its own where nobody is named).

    A named key says which it is: to try them all would let a stranger's wrong signature cost fifty checks.
    """
    claim: dict[str, Any] = {"public_key": by.public_key} if by else {"participant": person.participant}
    challenge = done(venue.http.post("/v1/login/challenge", json=claim))["challenge"]
    body = {**claim, "challenge": challenge, "signature": (by or person).sign(challenge)}
    return venue.http.post("/v1/login", json={**body, "scopes": list(scopes)} if scopes else body)


def token_of(venue: Venue, person: Person, by: Person | None = None, *scopes: str) -> str:
    return str(done(signed_in(venue, person, by, *scopes))["token"])


def call(venue: Venue, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
    return venue.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, json=body)


@pytest.fixture
def person(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def listing(venue: Venue) -> str:
    return venue.listing(venue.merchant())


def an_order(venue: Venue, person: Person, listing: str) -> dict[str, Any]:
    """The body of an order whose contract is signed."""
    venue.agree(person, listing)
    return {"listing": listing, "quantity": 1, "purpose": "market_analysis"}


# -- scopes and named keys


def test_a_token_does_what_its_scopes_say(venue: Venue, person: Person, listing: str) -> None:
    """Line: "scopes": a call outside is forbidden and names the one that lacks; without any a token has all it may."""
    order = an_order(venue, person, listing)
    reader = token_of(venue, person, None, "read")
    done(call(venue, reader, "GET", "/v1/participants/me"), 200)
    assert "trade" in refused(call(venue, reader, "POST", "/v1/orders", order), 403, "forbidden")["detail"]
    trader = token_of(venue, person, None, "read", "trade")
    done(call(venue, trader, "POST", "/v1/orders", order), 201)
    deposit = call(venue, trader, "POST", "/v1/deposits", {"amount_fen": 100})
    assert "money" in refused(deposit, 403, "forbidden")["detail"]
    done(call(venue, token_of(venue, person), "POST", "/v1/deposits", {"amount_fen": 100}), 201)
    assert signed_in(venue, person, None, "everything").status_code in (400, 422)


def add_key(person: Person, fresh: Person, *scopes: str, signer: Person | None = None) -> httpx.Response:
    text = f"shuji-add-key:{person.participant}:{fresh.public_key}:{','.join(scopes)}:trader"
    body = {
        "name": "trader",
        "public_key": fresh.public_key,
        "scopes": list(scopes),
        "proof": fresh.sign(text),
    }
    return person.post("/v1/participants/me/keys", {**body, "signature": (signer or person).sign(text)})


def test_an_owner_gives_a_trader_a_key_and_takes_it_back(venue: Venue, person: Person, listing: str) -> None:
    """Line: "Roles complete: merchant owner and trader": the trader trades and reads; it moves no money and no keys."""
    trader, other = venue.stranger(), venue.stranger()
    refused(add_key(person, trader, "trade", "read", signer=trader), 401, "signature_wrong")
    key = done(add_key(person, trader, "trade", "read"), 201)["key"]
    order = an_order(venue, person, listing)
    token = token_of(venue, person, trader)
    done(call(venue, token, "POST", "/v1/orders", order), 201)
    refused(call(venue, token, "POST", "/v1/deposits", {"amount_fen": 100}), 403, "forbidden")
    body = {"name": "x", "public_key": other.public_key, "scopes": ["money"]}
    body |= {"signature": trader.sign("x"), "proof": other.sign("x")}
    assert call(venue, token, "POST", "/v1/participants/me/keys", body).status_code in (401, 403)
    assert signed_in(venue, person, trader, "money").status_code in (401, 403)
    done(person.delete(f"/v1/participants/me/keys/{key}"))
    refused(call(venue, token, "GET", "/v1/participants/me"), 401, "not_signed_in")
    refused(signed_in(venue, person, trader), 401)
    done(person.get("/v1/participants/me"), 200)


# -- addresses and sessions


def test_calls_from_elsewhere_are_refused(venue: Venue, person: Person) -> None:
    """Line: "IP allow list": also for tokens of before; who locked itself out is let in again by an operator."""
    path = "/v1/participants/me/addresses"
    assert person.post(path, {"allow": ["not an address"]}).status_code in (400, 422)
    done(person.post(path, {"allow": ["127.0.0.0/8", "::1/128"]}))
    done(person.get("/v1/participants/me"), 200)
    done(person.post(path, {"allow": ["203.0.113.0/24"]}))
    refused(person.get("/v1/participants/me"), 403, "forbidden")
    refused(signed_in(venue, person), 403)
    cleared = f"/v1/participants/{person.participant}/addresses"
    refused(venue.desk.post(cleared, {"reason": "moved"}), 403, "forbidden")
    refused(venue.operator.post(cleared, {}), 400, "malformed")
    done(venue.operator.post(cleared, {"reason": "moved"}))
    done(signed_in(venue, person))


def test_sessions_are_listed_and_ended(venue: Venue, person: Person) -> None:
    """Line: "sessions listed and ended": one, or all; nobody else's."""
    first, second = token_of(venue, person, None, "read"), token_of(venue, person, None, "read", "trade")
    listed = done(call(venue, second, "GET", "/v1/sessions"), 200)["items"]
    [reading] = [row for row in listed if row["scopes"] == ["read"]]
    assert reading["address"] == "127.0.0.1"
    assert venue.buyer(cash_fen=0).delete(f"/v1/sessions/{reading['session']}").status_code in (403, 404)
    done(call(venue, second, "GET", "/v1/participants/me"), 200)
    owner = token_of(venue, person)
    done(call(venue, owner, "DELETE", f"/v1/sessions/{reading['session']}"))
    refused(call(venue, first, "GET", "/v1/participants/me"), 401, "not_signed_in")
    done(call(venue, second, "GET", "/v1/participants/me"), 200)
    done(call(venue, owner, "DELETE", "/v1/sessions"))
    refused(call(venue, second, "GET", "/v1/participants/me"), 401, "not_signed_in")
    done(signed_in(venue, person))


# -- a console: password and one-time code


def code_at(secret: str, seconds: float) -> str:
    """RFC 6238 as everybody's telephone has it: SHA-1, 30 s, six digits."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(seconds) // 30), hashlib.sha1).digest()
    place = digest[-1] & 15
    number = int.from_bytes(digest[place : place + 4]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def test_the_one_time_codes_are_those_of_the_rfc() -> None:
    """RFC 6238, appendix B, cut to six digits."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert [code_at(secret, at) for at in (59, 1111111109, 20000000000)] == ["287082", "081804", "353130"]


def set_password(person: Person, password: str = PASSWORD, signer: Person | None = None) -> httpx.Response:
    text = f"shuji-password:{person.participant}:{sha256_of(password)}"
    body = {"password": password, "signature": (signer or person).sign(text)}
    return person.post("/v1/participants/me/password", body)


def enrolled(venue: Venue, person: Person) -> str:
    """With a password and a second factor; gives its secret. The next code is of a later half-minute."""
    done(set_password(person))
    secret = str(done(person.post("/v1/participants/me/totp"))["secret"])
    code = code_at(secret, venue.now().timestamp())
    done(person.post("/v1/participants/me/totp/confirm", {"code": code}))
    venue.advance(seconds=31)
    return secret


def console(venue: Venue, person: Person, password: str, code: str) -> httpx.Response:
    body = {"participant": person.participant, "password": password, "code": code}
    return venue.http.post("/v1/console/login", json=body)


def test_a_console_is_entered_with_password_and_a_code_once(venue: Venue, person: Person) -> None:
    """Line: "console login with argon2id ... and TOTP": both, and a code serves once."""
    refused(set_password(person, signer=venue.stranger()), 401, "signature_wrong")
    secret = enrolled(venue, person)
    code = code_at(secret, venue.now().timestamp())
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    refused(console(venue, person, "another password", code), 401)
    refused(console(venue, person, PASSWORD, wrong), 401)
    venue.advance(seconds=31)
    code = code_at(secret, venue.now().timestamp())
    token = done(console(venue, person, PASSWORD, code))["token"]
    assert done(call(venue, token, "GET", "/v1/participants/me"), 200)["participant"] == person.participant
    refused(console(venue, person, PASSWORD, code), 401)
    nobody = venue.stranger()
    nobody.participant = "P999999"
    refused(console(venue, nobody, PASSWORD, code), 401)
    journal = json.dumps(list(venue.auditor().every("/v1/journal", limit=200)), ensure_ascii=False)
    assert PASSWORD not in journal
    assert secret not in journal


def test_wrong_tries_lock_for_a_time_and_never_for_good(venue: Venue, person: Person) -> None:
    """Line: "Authentication hardened": guessing slows down; the lock ends by itself and shuts no other door."""
    secret = enrolled(venue, person)
    answers = [console(venue, person, f"guess {number}", "000000") for number in range(20)]
    locked = next(answer for answer in answers if answer.status_code != 401)
    assert locked.status_code in BUSY
    wait = int(locked.headers["retry-after"])
    assert 0 < wait <= 86_400
    right = console(venue, person, PASSWORD, code_at(secret, venue.now().timestamp()))
    assert right.status_code in BUSY, "the lock is on the account"
    done(signed_in(venue, person))
    venue.advance(seconds=int(right.headers["retry-after"]) + 31)
    done(console(venue, person, PASSWORD, code_at(secret, venue.now().timestamp())))


def test_many_at_the_console_do_not_stop_the_venue(venue: Venue, person: Person, listing: str) -> None:
    """Line: "argon2id (bounded: two at once)": whoever has to wait is told so, and orders go on meanwhile."""
    people = [venue.buyer(cash_fen=0) for _ in range(6)]
    secrets = [enrolled(venue, one) for one in people]
    order = an_order(venue, person, listing)
    at = venue.now().timestamp()
    assert person.token
    with concurrent.futures.ThreadPoolExecutor(len(people)) as pool:
        waiting = [
            pool.submit(console, venue, one, PASSWORD, code_at(secret, at))
            for one, secret in zip(people, secrets, strict=True)
        ]
        done(person.post("/v1/orders", order), 201)
        answers = [one.result() for one in waiting]
    assert {answer.status_code for answer in answers} <= {200, 201, *BUSY}
    assert any(answer.is_success for answer in answers)
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.is_error)


# -- what stands when the venue was killed


def test_what_was_set_and_ended_outlives_a_kill(folder: Path, venue: Venue) -> None:
    """Survives kill -9 and a second start with `shuji verify` clean: keys, sessions, networks, codes that served."""
    owner, trader, away = venue.buyer(), venue.stranger(), venue.buyer()
    secret = enrolled(venue, owner)
    code = code_at(secret, venue.now().timestamp())
    by_password = str(done(console(venue, owner, PASSWORD, code))["token"])
    done(add_key(owner, trader, "read"), 201)
    kept, ended = token_of(venue, owner, trader), token_of(venue, owner)
    [doomed] = [
        row for row in done(call(venue, ended, "GET", "/v1/sessions"), 200)["items"] if row["current"]
    ]
    done(call(venue, kept, "GET", "/v1/participants/me"), 200)
    done(owner.delete(f"/v1/sessions/{doomed['session']}"))
    done(away.post("/v1/participants/me/addresses", {"allow": ["203.0.113.0/24"]}))
    venue.kill()
    venue.restart()
    refused(call(venue, ended, "GET", "/v1/participants/me"), 401, "not_signed_in")
    refused(console(venue, owner, PASSWORD, code), 401)
    refused(signed_in(venue, away), 403)
    for token in (kept, by_password):
        done(call(venue, token, "GET", "/v1/participants/me"), 200)
    assert venue.stop() == 0
    verified = shuji("verify", "--data", str(folder))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    venue.restart()


def test_a_password_is_set_from_the_command_line(folder: Path, venue: Venue, person: Person) -> None:
    """`shuji password` asks, shows the authenticator's secret, and asks for a code of it."""
    path = folder.parent / "console.key"
    person.keep(path)
    command = [sys.executable, "-m", "exchange", "password", "--key", str(path), "--url", venue.url, "--json"]
    running = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdin is not None
    assert running.stderr is not None
    print(PASSWORD, file=running.stdin, flush=True)
    said = ""
    while (found := re.search(r"\b[A-Z2-7]{32}\b", said)) is None:
        line = running.stderr.readline()
        assert line, said
        said += line
    print(code_at(found[0], venue.now().timestamp()), file=running.stdin, flush=True)
    told, _ = running.communicate(timeout=60)
    assert json.loads(told) == {"participant": person.participant, "password": True, "totp": True}
    venue.advance(seconds=31)
    done(console(venue, person, PASSWORD, code_at(found[0], venue.now().timestamp())))
