"""Issue, "API and command line", second half: the `shuji` command.

`judge` answers the shared examples; `verify` finds each alteration; `key`, `login`, `sign`, `call` do what a
person at a terminal needs.
"""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.story import ROOT, SHARED, Person, Venue, done, has_chinese, sha256_of, shuji

# -- judge


def context_of(bases: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = json.loads(json.dumps(bases[case["base"]]))
    for path, value in case["set"].items():
        group, _, name = path.rpartition(".")
        target = context[group] if group else context
        if value == "__missing__":
            del target[name]
        else:
            target[name] = value
    return {"id": case["id"], **context}


def examples() -> dict[str, Any]:
    path = SHARED / "rulebook-examples.json"
    if not path.exists():
        return {"bases": {}, "cases": []}
    read: dict[str, Any] = json.loads(path.read_text())
    return read


EXAMPLES = examples()


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    """A lawful context at clearing."""
    if not EXAMPLES["cases"]:
        assert os.environ.get("CI") != "true", f"the shared examples are missing in {SHARED}"
        pytest.skip(f"no examples in {SHARED}")
    lawful: dict[str, Any] = EXAMPLES["bases"]["enterprise_no_pi"]
    return lawful


@pytest.fixture(scope="module")
def judged(base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The answer to each example by its id, all from one run of the command."""
    file = tmp_path_factory.mktemp("judge") / "contexts.jsonl"
    contexts = (context_of(EXAMPLES["bases"], case) for case in EXAMPLES["cases"])
    file.write_text("".join(json.dumps(context, ensure_ascii=False) + "\n" for context in contexts))
    run = shuji("judge", str(file))
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [case["id"] for case in EXAMPLES["cases"]]
    return {answer["id"]: answer for answer in answers}


@pytest.mark.parametrize("case", EXAMPLES["cases"] or [{"id": "missing"}], ids=lambda case: case["id"])
def test_judge_answers_the_shared_example(case: dict[str, Any], judged: dict[str, dict[str, Any]]) -> None:
    answer = judged[case["id"]]
    assert set(answer["rules"]) == set(case["expect"]["rules"])
    assert answer["verdict"] == case["expect"]["verdict"]
    assert set(answer) >= {"id", "verdict", "rules", "citations"}
    assert len(answer["citations"]) == len(answer["rules"])
    assert all(has_chinese(citation) for citation in answer["citations"])


BEHIND_A_GUARD: dict[str, dict[str, Any]] = {
    "B13": {"registration": {"holder_id": "S-9"}},
    "E02": {"buyer": {"identity_verified": False}},
    "F02": {"phase": "match", "trade": {"mechanism": "continuous_auction"}},
}


@pytest.mark.parametrize("rule", BEHIND_A_GUARD)
def test_judge_shows_the_rules_that_stand_behind_a_guard(base: dict[str, Any], rule: str) -> None:
    context = json.loads(json.dumps(base))
    for group, change in BEHIND_A_GUARD[rule].items():
        context[group] = {**context[group], **change} if isinstance(change, dict) else change
    run = shuji("judge", "-", stdin=f"{json.dumps(base)}\n{json.dumps(context)}\n")
    lawful, broken = [json.loads(line) for line in run.stdout.splitlines()]
    assert (lawful["verdict"], lawful["rules"]) == ("allow", [])
    assert (broken["verdict"], broken["rules"]) == ("reject", [rule])


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("product", "data_class", None),
        ("product", "data_class", "brand_new_class"),
        ("auth", "status", None),
        ("registration", "status", None),
        ("buyer", "identity_verified", None),
        ("buyer", "identity_verified", "yes"),
        ("trade", "purpose", None),
        ("price", "regime", None),
    ],
)
def test_judge_never_allows_the_unknown(base: dict[str, Any], group: str, name: str, value: Any) -> None:
    context = json.loads(json.dumps(base))
    if value is None:
        del context[group][name]
    else:
        context[group][name] = value
    run = shuji("judge", "-", stdin=json.dumps(context) + "\n")
    answer = json.loads(run.stdout)
    assert (answer["verdict"], answer["rules"]) == ("indeterminate", [])


def test_judge_reports_a_bad_line_and_goes_on(base: dict[str, Any]) -> None:
    run = shuji("judge", "-", stdin="{not json\n" + json.dumps({"id": "good", **base}) + "\n")
    bad, good = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 1
    assert "error" in bad
    assert (good["id"], good["verdict"]) == ("good", "allow")


def test_judge_of_no_file_is_one_clear_line(tmp_path: Path) -> None:
    run = shuji("judge", str(tmp_path / "none.jsonl"))
    assert run.returncode != 0
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


# -- verify


@pytest.fixture(scope="module")
def traded(venue: Venue) -> tuple[Person, Person]:
    """A venue that has something to verify in each table: orders of every kind, personal rows, a snapshot."""
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    venue.complete(merchant, buyer, venue.trade(buyer, listing))
    venue.trade(buyer, listing)
    venue.advance(days=4)
    done(venue.order(buyer, venue.book_listing(merchant), 5, limit_fen=900), 201)
    list(buyer.every("/v1/trades"))
    subprocess.run(
        [sys.executable, "-m", "exchange.snapshot"],
        cwd=ROOT,
        env={**os.environ, "SHUJI_DSN": venue.database},
        check=True,
    )
    return merchant, buyer


@pytest.fixture
def frozen(venue: Venue, traded: tuple[Person, Person]) -> Iterator[Venue]:
    """The venue's process stands still (its PostgreSQL does not): nobody but the test changes a row."""
    os.kill(venue.pid, signal.SIGSTOP)
    try:
        yield venue
    finally:
        os.kill(venue.pid, signal.SIGCONT)


@pytest.fixture
async def connection(frozen: Venue) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(frozen.database)
    try:
        yield opened
    finally:
        await opened.close()


def verify(venue: Venue) -> tuple[int, list[dict[str, str]]]:
    """(exit status, what differs: table, key and difference of each)."""
    run = shuji("verify", "--data", str(venue.data), "--json")
    answer = json.loads(run.stdout)
    assert answer["clean"] == (run.returncode == 0) == (not answer["findings"]), run.stderr
    return run.returncode, answer["findings"]


ALTERED = {
    "bytea": "set_byte({column}, length({column}) - 1, get_byte({column}, length({column}) - 1) # 1)",
    "bigint": "{column} + 1",
    "integer": "{column} + 1",
    "smallint": "{column} + 1",
    "text": "reverse({column}) || 'x'",
    "jsonb": "jsonb_build_object('altered', {column})",
    "character varying": "reverse({column}) || 'x'",
}


async def columns_of(connection: asyncpg.Connection, table: str) -> dict[str, str]:
    rows = await connection.fetch(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = $1 AND table_schema = 'public' ORDER BY ordinal_position",
        table,
    )
    return {row["column_name"]: row["data_type"] for row in rows}


async def alter(connection: asyncpg.Connection, table: str, wanted: tuple[str, ...]) -> tuple[str, str, Any]:
    """Change one row behind the venue's back; gives (column, row, old value).

    The first wanted column that there is, else the last that can be altered: what a table calls its content
    is its own affair.
    """
    columns = await columns_of(connection, table)
    assert columns, f"no table {table}"
    alterable = [name for name, kind in columns.items() if kind in ALTERED]
    column = next((name for name in wanted if name in alterable), alterable[-1])
    await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    row = await connection.fetchrow(
        f"SELECT ctid::text AS place, {column} AS old FROM {table} WHERE {column} IS NOT NULL"
        f" ORDER BY {column} DESC LIMIT 1"
    )
    assert row is not None, f"{table} has no row to alter"
    changed = ALTERED[columns[column]].format(column=column)
    where = f"WHERE ctid = '{row['place']}'::tid RETURNING ctid::text"
    place = await connection.fetchval(f"UPDATE {table} SET {column} = {changed} {where}")
    return column, str(place), row["old"]


async def restore(connection: asyncpg.Connection, table: str, column: str, place: str, old: Any) -> None:
    await connection.execute(f"UPDATE {table} SET {column} = $1 WHERE ctid = '{place}'::tid", old)
    await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_verify_of_an_untouched_venue_is_clean(frozen: Venue) -> None:
    assert verify(frozen) == (0, [])


async def test_verify_tells_people_the_first_difference(
    frozen: Venue, connection: asyncpg.Connection
) -> None:
    column, place, old = await alter(connection, "account", ("balance",))
    try:
        run = shuji("verify", "--data", str(frozen.data))
    finally:
        await restore(connection, "account", column, place, old)
    assert run.returncode == 1
    assert run.stdout.startswith("table account, "), run.stdout


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("journal", ("body",)),
        ("journal", ("checksum",)),
        ("journal", ("at_ns",)),
        ("journal", ("entries",)),
        ("cursor", ("state_hash", "seq", "sequence")),
        ("account", ("balance",)),
        ("account", ("reserved",)),
        ("snapshot", ("body", "state", "content")),
        ("personal", ("sealed", "body", "content", "data", "details", "row")),
    ],
)
async def test_verify_names_an_altered_row(
    frozen: Venue, connection: asyncpg.Connection, table: str, columns: tuple[str, ...]
) -> None:
    column, place, old = await alter(connection, table, columns)
    try:
        status, findings = verify(frozen)
    finally:
        await restore(connection, table, column, place, old)
    assert status == 1
    assert findings[0]["table"] == table, findings
    assert verify(frozen) == (0, []), "restored, it is clean again"


async def test_verify_names_a_missing_journal_row(frozen: Venue, connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE journal DISABLE TRIGGER USER")
    row = await connection.fetchrow("DELETE FROM journal WHERE sequence = 2 RETURNING *")
    assert row is not None
    places = ", ".join(f"${number + 1}" for number in range(len(row)))
    try:
        status, findings = verify(frozen)
    finally:
        await connection.execute(f"INSERT INTO journal VALUES ({places})", *row.values())
        await connection.execute("ALTER TABLE journal ENABLE TRIGGER USER")
    assert status == 1
    assert (findings[0]["table"], findings[0]["key"]) == ("journal", "2"), findings


async def test_verify_names_an_altered_query_row(frozen: Venue, connection: asyncpg.Connection) -> None:
    column, place, old = await alter(connection, "trade", ("amount_fen",))
    try:
        status, findings = verify(frozen)
    finally:
        await restore(connection, "trade", column, place, old)
    assert status == 1
    assert findings[0]["table"] == "trade", findings


def test_verify_of_no_venue_is_one_clear_line(tmp_path: Path) -> None:
    run = shuji("verify", "--data", str(tmp_path / "nothing here"))
    assert run.returncode != 0
    assert "Traceback" not in run.stderr


# -- key, login, sign, call


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "my key.json"
    run = shuji("key", "--out", str(file))
    assert run.returncode == 0, run.stderr
    assert json.loads(file.read_text())["public_key"] in run.stdout
    return file


def test_key_makes_a_key_for_its_owner_alone(key_file: Path) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert set(json.loads(key_file.read_text())) >= {"public_key", "private_key", "participant"}


def test_key_never_overwrites_a_key(key_file: Path) -> None:
    before = key_file.read_bytes()
    assert shuji("key", "--out", str(key_file)).returncode != 0
    assert key_file.read_bytes() == before


def test_all_can_be_tried_from_a_terminal(venue: Venue, key_file: Path) -> None:
    key = json.loads(key_file.read_text())
    person = venue.stranger()
    text = f"shuji-register:{key['public_key']}:{person.uscc}"
    signature = shuji("sign", text, "--key", str(key_file)).stdout.strip()
    body = {
        "legal_name": person.name,
        "public_key": key["public_key"],
        "roles": ["buyer"],
        "uscc": person.uscc,
        "owner_id": "owner-terminal",
        "group_id": "group-terminal",
        "region": "CN-46",
        "agent": {"name": "李四", "contact": "lisi@shuji.example"},
        "signature": signature,
    }
    made = shuji("call", "POST", "/v1/participants", json.dumps(body), "--url", venue.url, "--json")
    assert made.returncode == 0, made.stderr
    participant = json.loads(made.stdout)["participant"]
    login = shuji("login", "--key", str(key_file), "--participant", participant, "--url", venue.url)
    assert login.returncode == 0, login.stderr
    me = shuji("call", "GET", "/v1/participants/me", "--key", str(key_file), "--url", venue.url, "--json")
    assert json.loads(me.stdout)["participant"] == participant


def test_the_operators_key_file_works_as_it_is(venue: Venue) -> None:
    key = str(venue.data / "operator.key")
    login = shuji("login", "--key", key, "--url", venue.url)
    assert login.returncode == 0, login.stderr
    seen = shuji("call", "GET", "/v1/operations", "--key", key, "--url", venue.url, "--json")
    assert "last_sequence" in json.loads(seen.stdout)


def test_call_takes_its_body_from_a_file_or_standard_input(venue: Venue, tmp_path: Path) -> None:
    key, buyer = str(venue.data / "operator.key"), venue.buyer(cash_fen=0)
    assert shuji("login", "--key", key, "--url", venue.url).returncode == 0
    for number, source in enumerate(("file", "stdin")):
        body = {"participant": buyer.participant, "amount_fen": 10, "bank_reference": sha256_of(f"{number}")}
        file = tmp_path / "body.json"
        file.write_text(json.dumps(body))
        given = f"@{file}" if source == "file" else "-"
        stdin = json.dumps(body) if source == "stdin" else None
        run = shuji("call", "POST", "/v1/cash-in", given, "--key", key, "--url", venue.url, stdin=stdin)
        assert run.returncode == 0, run.stderr
    assert buyer.balance == 20


def test_a_refusal_is_an_exit_status_and_says_why(venue: Venue) -> None:
    run = shuji("call", "GET", "/v1/listings/L999999", "--url", venue.url, "--json")
    assert run.returncode == 1
    assert run.stderr.strip()
    if run.stdout.strip():
        assert json.loads(run.stdout)["code"] == "not_found"


def test_a_venue_that_does_not_run_is_one_clear_line() -> None:
    run = shuji("call", "GET", "/v1/venue", "--url", "http://127.0.0.1:9")
    assert run.returncode != 0
    assert "Traceback" not in run.stderr
    assert run.stderr.strip()


@pytest.mark.parametrize("command", ["serve", "migrate", "verify", "judge", "key", "login", "call"])
def test_each_command_explains_itself(command: str) -> None:
    run = shuji(command, "--help")
    assert run.returncode == 0
    assert command in run.stdout


def test_nonsense_is_a_usage_error() -> None:
    assert shuji("frobnicate").returncode == 2
    assert shuji("judge").returncode == 2
