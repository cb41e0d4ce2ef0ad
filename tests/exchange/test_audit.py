"""The audit log: rows that only grow, chained, pruned when their time is over; what of an office's requests is in it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from exchange import audit
from exchange.audit import AuditLog, Seen, broken, kept_until_ns
from tests.exchange.small_venue import frozen
from tests.exchange.web_venue import Doors, Person

DAY_NS = 86_400_000_000_000
AT_NS = 1_795_428_000_000_000_000
YEARS_DAYS = 3 * 365

pytestmark = pytest.mark.asyncio(loop_scope="module")


def seen(reader: str, *subjects: str, at_ns: int = AT_NS) -> Seen:
    return Seen(at_ns, reader, ("auditor",), "年度审计", "GET", "/v1/trades/T1", "", subjects)


@pytest_asyncio.fixture(loop_scope="module")
async def log(web: Doors) -> AsyncIterator[AuditLog]:
    """Of a venue whose log is empty."""
    pool = web.venue.desk.pool
    await pool.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
    await pool.execute("DELETE FROM audit_log")
    await pool.execute("ALTER TABLE audit_log ENABLE TRIGGER USER")
    yield AuditLog(pool)
    web.venue.desk.audit._last = None


async def rows(log: AuditLog) -> list[Any]:
    return list(await log.pool.fetch("SELECT * FROM audit_log ORDER BY number"))


async def first_broken(log: AuditLog) -> int | None:
    async def each() -> AsyncIterator[Any]:
        for row in await rows(log):
            yield row

    return await broken(each())


async def test_many_at_once_are_numbered_and_chained(log: AuditLog) -> None:
    other = AuditLog(log.pool)
    writes = [log.write(seen(f"P{number}", "P2")) for number in range(1, 41)]
    await asyncio.gather(*writes)
    await other.write(seen("P50", "P2", "P3"))
    await log.write(seen("P51", "P2"))
    assert [row["number"] for row in await rows(log)] == list(range(1, 43))
    assert await first_broken(log) is None
    page = await log.page("", "P3", 0, 2**62, 2**62, AT_NS, 10)
    assert [(kept.number, kept.seen.reader) for kept in page] == [(41, "P50")]


async def test_a_database_that_stands_still_answers_nothing_and_the_row_follows(
    log: AuditLog, web: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PATIENCE_S", 0.2)
    await log.write(seen("P1", "P2"))
    async with frozen(web.venue.dsn):
        with pytest.raises(TimeoutError):
            await log.write(seen("P3", "P2"))
        monkeypatch.setattr(audit, "MOST_WAITING", 0)
        with pytest.raises(TimeoutError):
            await log.write(seen("P4", "P2"))
    await log.close()
    assert [row["reader"] for row in await rows(log)] == ["P1", "P3"]


async def test_the_database_takes_no_change_and_verify_names_what_was_forced(log: AuditLog) -> None:
    for number in range(1, 6):
        await log.write(seen(f"P{number}", "P2"))
    for statement in (
        "UPDATE audit_log SET purpose = 'none' WHERE number = 3",
        "DELETE FROM audit_log WHERE number = 3",
        "TRUNCATE audit_log",
    ):
        with pytest.raises(asyncpg.RaiseError, match="only added to"):
            await log.pool.execute(statement)
    assert await first_broken(log) is None
    await log.pool.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
    await log.pool.execute("UPDATE audit_log SET subjects = '{}' WHERE number = 3")
    assert await first_broken(log) == 3
    await log.pool.execute("DELETE FROM audit_log WHERE number = 3")
    assert await first_broken(log) == 4
    await log.pool.execute("ALTER TABLE audit_log ENABLE TRIGGER USER")


async def test_what_is_over_is_pruned_and_no_more_than_that(log: AuditLog) -> None:
    until_ns = kept_until_ns(AT_NS)
    assert YEARS_DAYS <= (until_ns - AT_NS) // DAY_NS <= YEARS_DAYS + 1
    for reader, later_days in (("P1", 0), ("P2", 0), ("P3", 2), ("P4", 4)):
        await log.write(seen(reader, at_ns=AT_NS + later_days * DAY_NS))
    assert await log.prune(until_ns - 1) == 0
    assert await log.prune(until_ns) == 2
    assert await log.prune(until_ns + 9 * DAY_NS) == 1, "the newest stays, so that the numbers go on"
    assert await log.page("", "", 0, 2**62, 2**62, until_ns + 9 * DAY_NS, 10) == [], (
        "though nobody is shown it"
    )
    await log.write(seen("P5", at_ns=until_ns))
    assert [row["number"] for row in await rows(log)] == [4, 5]
    assert await first_broken(log) is None


# -- over the doors


async def test_an_inspection_without_a_purpose_opens_nothing(web: Doors) -> None:
    person = Person(web.http)
    await person.register()
    path = f"/v1/participants/{person.participant}"
    for role in ("regulator", "auditor"):
        office = await web.official(role)
        office.purpose = ""
        for asked in (path, "/v1/trades", "/v1/journal", "/v1/accounts", "/v1/audit-log"):
            refused = await office.ask("GET", asked)
            assert refused.status_code == 400, (role, asked, refused.text)
            assert "Shuji-Purpose" in refused.json()["detail"]
        for wrong in ("", "   ", "x" * 501, "%FF", "line%0Abreak"):
            assert (await office.ask("GET", path, headers={"Shuji-Purpose": wrong})).status_code == 400
        assert (await office.ask("GET", "/v1/participants/me")).status_code == 200, "one's own row"
        assert (
            await office.ask("GET", path, headers={"Shuji-Purpose": "%E6%A3%80%E6%9F%A5"})
        ).status_code == 200
        [row] = await read(person, "/v1/audit-log/me", office)
        assert (row["purpose"], row["path"], row["method"], row["roles"]) == ("检查", path, "GET", [role])
        assert row["subjects"] == [person.participant]


async def read(reader: Person, path: str, office: Person) -> list[dict[str, Any]]:
    answer = await reader.ask("GET", path)
    assert answer.status_code == 200, answer.text
    return [row for row in answer.json()["items"] if row["who"] == office.participant]


async def test_reads_and_steps_of_offices_are_in_the_log_and_nobody_elses(web: Doors) -> None:
    person, neighbour = Person(web.http), Person(web.http)
    await person.register()
    await neighbour.register()
    reviewer = await web.official("reviewer")
    path = f"/v1/participants/{person.participant}"
    assert (await neighbour.ask("GET", path)).status_code == 200
    assert (await person.ask("GET", path)).status_code == 200
    assert await read(person, "/v1/audit-log/me", neighbour) == []
    assert (await reviewer.ask("GET", path)).status_code == 200
    assert (await reviewer.ask("GET", "/v1/catalogue")).status_code == 200
    body = {"accept": False, "reasons": ["证件不清"]}
    assert (await reviewer.ask("POST", f"{path}/identity", json=body)).status_code == 200
    told = [(row["method"], row["path"]) for row in await read(person, "/v1/audit-log/me", reviewer)]
    assert told == [("POST", f"{path}/identity"), ("GET", path)]
    assert (await person.ask("GET", "/v1/audit-log")).status_code == 403
    asked = f"/v1/audit-log?who={reviewer.participant}&subject={person.participant}&limit=1"
    page = (await web.operator.ask("GET", asked)).json()
    assert [row["method"] for row in page["items"]] == ["POST"]
    following = (await web.operator.ask("GET", f"{asked}&cursor={page['next']}")).json()
    assert [row["method"] for row in following["items"]] == ["GET"]
    assert following["next"] is None


async def test_a_log_that_cannot_be_written_answers_nothing(web: Doors) -> None:
    person = Person(web.http)
    await person.register()
    pool = web.venue.desk.pool
    await pool.execute("ALTER TABLE audit_log RENAME TO audit_log_away")
    try:
        answer = await web.operator.ask("GET", f"/v1/participants/{person.participant}")
        assert answer.status_code >= 500
        assert person.public_key not in answer.text
    finally:
        await pool.execute("ALTER TABLE audit_log_away RENAME TO audit_log")
    assert (await web.operator.ask("GET", f"/v1/participants/{person.participant}")).status_code == 200
