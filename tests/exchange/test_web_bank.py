"""The custody bank over the web and a real PostgreSQL: signatures, erasable rows, files, roles, and what `verify` finds."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from lxml import etree

from clearing.bank import reference_of
from exchange import events
from exchange.client import uuid7
from exchange.state import DAY_NS
from exchange.verification import verify
from exchange.web.iso20022 import PAIN
from tests.exchange.test_iso20022 import camt, details, entry
from tests.exchange.web_venue import Doors, Person, doors
from tests.exchange.world import EVIDENCE, credit_code

ACCOUNT = "6222021001116245702"
BANK = "102641000017"
CUSTODY = {
    "account": "6222000000000001",
    "name": "客户资金存管",
    "bank_code": BANK,
    "bank_name": "示例银行",
}


@pytest.fixture
async def opened(tmp_path: Path, empty_database_dsn: str) -> AsyncIterator[Doors]:
    async with doors(tmp_path / "data", empty_database_dsn) as found:
        answer = await found.operator.ask("POST", "/v1/bank/custody", json=CUSTODY)
        assert answer.status_code == 200, answer.text
        yield found


@pytest.fixture
async def client(opened: Doors) -> Person:
    """A verified participant."""
    reviewer = await opened.official("reviewer")
    person, code = Person(opened.http), credit_code(7)
    signature = person.sign(f"shuji-register:{person.public_key}:{code}")
    await person.register(legal_name="示例有限公司", uscc=code, roles=["buyer"], signature=signature)
    command = events.DecideIdentity(
        actor=reviewer.participant,
        participant=person.participant,
        accept=True,
        mandate_until_ns=opened.venue.engine.now_ns() + 300 * DAY_NS,
        evidence_sha256=EVIDENCE,
    )
    assert (await opened.venue.engine.submit(command)).refusal is None
    return person


async def name_account(person: Person, account: str = ACCOUNT, text: str = "") -> httpx.Response:
    signed = person.sign(text or f"shuji-payout-account:{person.participant}:{BANK}:{account}")
    body = {"account": account, "bank_code": BANK, "signature": signed}
    return await person.ask("POST", "/v1/bank/payout-account", json=body)


async def withdraw(person: Person, fen: int, key: str = "", text: str = "") -> httpx.Response:
    key = key or uuid7()
    body = {
        "amount_fen": fen,
        "signature": person.sign(text or f"shuji-withdraw:{person.participant}:{fen}:{key}"),
    }
    return await person.ask("POST", "/v1/withdrawals", json=body, headers={"Idempotency-Key": key})


async def post(doors: Doors, content: bytes) -> httpx.Response:
    return await doors.operator.ask("POST", "/v1/bank/statements", content=content)


def statement(number: int, before: str, after: str, *entries: str) -> bytes:
    """The custody account's, from one balance to the next."""
    told = camt("".join(entries), closing=after, number=f"<ElctrncSeqNb>{number}</ElctrncSeqNb>")
    told = told.replace(b'CNY">1000.00', f'CNY">{before}'.encode(), 1)
    return told.replace(b"2025-330", f"2025-{number}".encode())


async def funded(opened: Doors, client: Person) -> None:
    """300.00 come in by the participant's reference."""
    assert (await name_account(client)).status_code == 200
    text = f"<RmtInf><Ustrd>{reference_of(client.participant)} 张三</Ustrd></RmtInf>"
    answer = await post(opened, statement(1, "0.00", "300.00", entry("300.00", more=details(text))))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["matched"], answer.json()["breaks"]) == (1, [])


async def everything_stored(dsn: str) -> bytes:
    """All bytes of the journal, and all texts of the tables."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select body from journal")
        tables = [
            await connection.fetchval(f"select coalesce(string_agg(row::text, ' '), '') from {table} row")
            for table in ("account", "posting", "trade", "participant_name")
        ]
        return b"".join(row["body"] for row in rows) + "".join(tables).encode()
    finally:
        await connection.close()


async def test_paid_in_by_reference_and_paid_out_as_a_file(opened: Doors, client: Person) -> None:
    told = (await client.ask("GET", "/v1/bank/instructions")).json()
    assert told["custody"] == CUSTODY
    assert (told["reference"], told["payout_account_set"]) == (reference_of(client.participant), False)
    await funded(opened, client)
    asked = await withdraw(client, 20_000)
    assert asked.status_code == 201, asked.text
    made = await opened.operator.ask("POST", "/v1/bank/payout-batches", json={})
    assert made.status_code == 201, made.text
    batch = made.json()["batch"]
    path = f"/v1/bank/payout-batches/{batch}/pain.001"
    assert (await client.ask("GET", path)).status_code == 403
    file = await opened.operator.ask("GET", path)
    assert file.headers["content-type"].startswith("application/xml")
    root, names = etree.fromstring(file.content), {"p": PAIN}
    assert root.findtext(".//p:CdtrAcct/p:Id/p:Othr/p:Id", namespaces=names) == ACCOUNT
    assert root.findtext(".//p:Cdtr/p:Nm", namespaces=names) == "示例有限公司"
    assert (await opened.operator.ask("GET", path)).content == file.content
    end = root.findtext(".//p:EndToEndId", namespaces=names)
    refs = details(f"<Refs><EndToEndId>{end}</EndToEndId></Refs>")
    assert (await post(opened, statement(2, "300.00", "100.00", entry("200.00", "DBIT", more=refs)))).json()[
        "breaks"
    ] == []
    [row] = (await client.ask("GET", "/v1/withdrawals")).json()["items"]
    assert (row["state"], row["batch"], row["participant"]) == ("paid", batch, client.participant)
    assert (await opened.operator.ask("GET", path)).status_code == 409, "nothing of it is under way"
    postings = (await client.ask("GET", "/v1/statement")).json()["items"]
    assert [(one["kind"], one["amount"]) for one in postings] == [("payout", -20_000), ("cash_in", 30_000)]
    equal = (await opened.operator.ask("GET", "/v1/bank/equality")).json()
    assert (equal["equal"], equal["bank_fen"], equal["client_fen"]) == (True, 10_000, 10_000)


async def test_nothing_personal_is_in_the_journal_and_erased_is_gone(
    opened: Doors, client: Person, empty_database_dsn: str
) -> None:
    await funded(opened, client)
    stored = await everything_stored(empty_database_dsn)
    for secret in (ACCOUNT, "张三"):
        assert secret.encode() not in stored
    assert (await withdraw(client, 100)).status_code == 201
    gone = await client.ask("DELETE", f"/v1/participants/{client.participant}/personal")
    assert gone.status_code == 204
    pool = opened.venue.desk.pool
    assert await pool.fetchval("SELECT count(*) FROM bank_row WHERE kind = 'account'") == 0
    nobody = await opened.operator.ask("POST", "/v1/bank/payout-batches", json={})
    assert nobody.status_code == 409, "who has no account is not in a batch"
    assert (await name_account(client, "6222021001116245703")).status_code == 200
    made = await opened.operator.ask("POST", "/v1/bank/payout-batches", json={})
    assert (made.status_code, made.json()["without"]) == (201, [])
    assert (await client.ask("DELETE", f"/v1/participants/{client.participant}/personal")).status_code == 204
    batch = made.json()["batch"]
    lost = await opened.operator.ask("GET", f"/v1/bank/payout-batches/{batch}/pain.001")
    assert (lost.status_code, "erased" in lost.json()["detail"]) == (409, True)
    body = {"participant": client.participant, "reason": "the account was erased"}
    freed = await opened.operator.ask("POST", f"/v1/bank/payout-batches/{batch}/rejections", json=body)
    assert freed.json()["payments"][0]["state"] == "returned"
    [row] = (await client.ask("GET", "/v1/accounts/me")).json()["items"]
    assert (row["balance"], row["reserved"]) == (30_000, 0)


async def test_a_signature_is_good_for_one_withdrawal(opened: Doors, client: Person) -> None:
    await funded(opened, client)
    key = uuid7()
    first = await withdraw(client, 100, key)
    assert first.status_code == 201
    assert (await withdraw(client, 100, key)).json() == first.json(), "sent again it is the same one"
    text = f"shuji-withdraw:{client.participant}:100:{key}"
    for refused in (
        await withdraw(client, 100, uuid7(), text),
        await withdraw(client, 200, key, text),
        await name_account(client, "6222021001116245703", text),
    ):
        assert (refused.status_code, refused.json()["code"]) == (401, "signature_wrong")
    body = {"amount_fen": 100, "signature": client.sign(f"shuji-withdraw:{client.participant}:100:")}
    assert (await client.ask("POST", "/v1/withdrawals", json=body)).json()["code"] == "malformed"
    withdrawal = first.json()["withdrawal"]
    taken_back = await client.ask("POST", f"/v1/withdrawals/{withdrawal}/cancellation", json={})
    assert taken_back.json()["state"] == "cancelled"
    every = (await opened.operator.ask("GET", "/v1/withdrawals?state=cancelled")).json()["items"]
    assert [row["withdrawal"] for row in every] == [withdrawal]
    assert (await opened.operator.ask("GET", "/v1/withdrawals?state=paid")).json()["items"] == []


async def test_a_stolen_account_is_stopped(opened: Doors, client: Person) -> None:
    """Suspended, what it asked for is in no batch and no file, and an operator takes it back with a reason it reads."""
    await funded(opened, client)
    assert (await withdraw(client, 100)).status_code == 201
    batch = (await opened.operator.ask("POST", "/v1/bank/payout-batches", json={})).json()["batch"]
    withdrawal = (await withdraw(client, 200)).json()["withdrawal"]
    path = f"/v1/participants/{client.participant}/status"
    for step in ("suspend", "resume"):
        body = {"step": step, "reason": "key stolen"}
        assert (await opened.operator.ask("POST", path, json=body)).status_code in (200, 201)
        if step == "resume":
            break
        nobody = await opened.operator.ask("POST", "/v1/bank/payout-batches", json={})
        assert (nobody.status_code, nobody.json()["code"]) == (409, "wrong_state")
        file = await opened.operator.ask("GET", f"/v1/bank/payout-batches/{batch}/pain.001")
        assert (file.status_code, file.json()["code"]) == (409, "wrong_state")
        assert f"{batch}-{client.participant}" in file.json()["detail"]
        path_back = f"/v1/withdrawals/{withdrawal}/cancellation"
        silent = await opened.operator.ask("POST", path_back, json={})
        assert (silent.status_code, silent.json()["code"]) == (400, "malformed")
        stopped = await opened.operator.ask("POST", path_back, json={"reason": "key stolen"})
        assert stopped.json()["state"] == "cancelled"
    [row] = (await client.ask("GET", "/v1/withdrawals?state=cancelled")).json()["items"]
    assert (row["cancelled_by"], row["reason"]) == ("P1", "key stolen")


async def test_a_new_account_takes_the_old_rows_place(opened: Doors, client: Person) -> None:
    first = (await name_account(client)).json()["account_sha256"]
    assert (await name_account(client)).json()["account_sha256"] == first, "the same account, the same row"
    second = (await name_account(client, "6222021001116245703")).json()["account_sha256"]
    rows = await opened.venue.desk.pool.fetch("SELECT sha256 FROM bank_row WHERE kind = 'account'")
    assert [row["sha256"] for row in rows] == [second]


async def test_who_is_not_verified_leaves_no_row(opened: Doors) -> None:
    person = Person(opened.http)
    await person.register()
    assert (await name_account(person)).json()["code"] == "not_verified"
    assert await opened.venue.desk.pool.fetchval("SELECT count(*) FROM bank_row") == 0


async def test_a_strangers_money_is_a_break_with_its_age(opened: Doors, client: Person) -> None:
    await funded(opened, client)
    answer = await post(opened, statement(2, "300.00", "342.00", entry("42.00").replace("REF1", "REF2")))
    [identifier] = answer.json()["breaks"]
    assert (await withdraw(client, 1)).status_code == 201
    stopped = await opened.operator.ask("POST", "/v1/bank/payout-batches", json={})
    assert (stopped.status_code, identifier in stopped.json()["detail"]) == (409, True)
    seconds = 2 * 86_400 + 60
    await opened.operator.ask("POST", "/v1/clock/advance", json={"seconds": seconds})
    opened.operator.token = client.token = ""
    row, late = (await opened.operator.ask("GET", "/v1/bank/breaks")).json()["items"]
    assert (late["kind"], late["amount_fen"]) == ("late", 0), "its statements are of 2025"
    assert (row["reference"], row["amount_fen"], row["age_days"]) == ("REF2", 4_200, 2)
    assert row["booking_day"] == "2025-11-25"
    equal = (await opened.operator.ask("GET", "/v1/bank/equality")).json()
    assert (equal["equal"], equal["difference_fen"], equal["open_breaks"]) == (False, 4_200, 2)
    assert (await client.ask("GET", "/v1/bank/breaks")).status_code == 403
    path = f"/v1/bank/breaks/{identifier}/closing"
    closing = {"reason": "利息", "remedy": "book", "account": "own"}
    assert (await client.ask("POST", path, json=closing)).status_code == 403
    closed = (await opened.operator.ask("POST", path, json=closing)).json()
    assert (closed["state"], closed["account"], closed["reason"]) == ("closed", "venue:fees", "利息")
    equal = (await opened.operator.ask("GET", "/v1/bank/equality")).json()
    assert (equal["equal"], equal["own_fen"]) == (True, 4_200)
    explained = {"reason": "对账单将补发"}
    await opened.operator.ask("POST", f"/v1/bank/breaks/{late['bank_break']}/closing", json=explained)
    assert (await opened.operator.ask("POST", "/v1/bank/payout-batches", json={})).status_code == 201
    every = (await opened.operator.ask("GET", "/v1/bank/breaks?state=closed")).json()["items"]
    assert [one["bank_break"] for one in every] == [identifier, late["bank_break"]]


async def test_statements_are_whole_bounded_and_the_custody_accounts(opened: Doors) -> None:
    cases: list[tuple[bytes, int, str]] = [
        (b"", 400, "malformed"),
        (b"x" * ((8 << 20) + 1), 413, "too_large"),
        (statement(1, "0.00", "1.00"), 422, "file_mismatch"),
        (statement(1, "0.00", "0.00").replace(b"6222000000000001", b"1"), 422, "file_mismatch"),
    ]
    for content, status, code in cases:
        answer = await post(opened, content)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await opened.venue.desk.pool.fetchval("SELECT count(*) FROM bank_row") == 0, "no row of a refusal"
    good = statement(1, "0.00", "0.00")
    assert (await post(opened, good)).status_code == 201
    assert (await post(opened, good)).json()["code"] == "already_exists"
    kept = await opened.venue.desk.pool.fetchval("SELECT body FROM bank_row WHERE kind = 'statement'")
    assert kept == good


async def test_verify_names_an_altered_row(opened: Doors, client: Person, empty_database_dsn: str) -> None:
    await funded(opened, client)
    await opened.venue.projector.caught_up(opened.venue.engine.sequence)
    assert await differences(opened, empty_database_dsn) == []
    pool = opened.venue.desk.pool
    await pool.execute("UPDATE bank_row SET body = body || 'x' WHERE kind = 'account'")
    [found] = await differences(opened, empty_database_dsn)
    assert found.table == "bank_row"
    await pool.execute("DELETE FROM bank_row")
    assert await differences(opened, empty_database_dsn) == [], "an erased row is lawful"


async def differences(opened: Doors, dsn: str) -> list[Any]:
    state = opened.venue.engine.state

    def empty() -> Any:
        return type(state)(state.boards, state.rulebook, state.jurisdiction)

    return list(await verify(dsn, None, empty, lambda text: None))
