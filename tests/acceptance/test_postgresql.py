"""Issue, "PostgreSQL": embedded by default, an outside one on request, durable or not at all."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.story import Venue, free_port, shuji


def other_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@pytest.fixture
async def connection(venue: Venue) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(venue.database)
    try:
        yield opened
    finally:
        await opened.close()


async def made(connection: asyncpg.Connection, name: str) -> str:
    """A new empty database on the venue's own server, as the "outside" one; gives its name."""
    await connection.execute(f"CREATE DATABASE {name}")
    return name


def test_the_venue_brings_its_own_postgresql(venue: Venue) -> None:
    assert len(venue.postgres_pids()) == 1
    assert venue.http.get("/readyz").json()["database"]


def test_only_the_owner_can_read_how_to_connect(venue: Venue) -> None:
    assert stat.S_IMODE((venue.data / "postgres.json").stat().st_mode) == 0o600


async def test_its_settings_are_durable(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SHOW fsync") == "on"
    assert await connection.fetchval("SHOW full_page_writes") == "on"
    assert await connection.fetchval("SHOW synchronous_commit") != "off"
    assert await connection.fetchval("SHOW data_checksums") == "on"
    assert int(await connection.fetchval("SHOW server_version_num")) >= 150_000


async def test_it_listens_to_no_network(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SHOW listen_addresses") == ""


def test_a_second_venue_on_the_same_folder_is_told_clearly(venue: Venue) -> None:
    second = shuji("serve", "--data", str(venue.data), "--port", str(free_port()))
    assert second.returncode != 0
    assert "Traceback" not in second.stderr
    assert second.stderr.strip()
    assert venue.is_ready()


async def test_an_outside_database_by_option(
    venue: Venue, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    name = await made(connection, "outside_by_option")
    outside = Venue(tmp_path / "data", dsn=other_database(venue.database, name))
    try:
        outside.start()
        assert outside.postgres_pids() == []
        outside.participant("buyer")
        assert outside.stop() == 0
    finally:
        outside.close()


async def test_migrations_are_applied_once_also_by_environment(
    venue: Venue, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    dsn = other_database(venue.database, await made(connection, "outside_by_environment"))
    for _ in range(2):
        applied = shuji("migrate", "--data", str(tmp_path / "data"), SHUJI_DSN=dsn)
        assert applied.returncode == 0, applied.stderr
    inside = await asyncpg.connect(dsn)
    try:
        assert await inside.fetchval(
            "SELECT count(*) FROM information_schema.tables WHERE table_name = 'journal'"
        )
        repeated = "SELECT count(*) - count(DISTINCT name) FROM migration"
        assert await inside.fetchval(repeated) == 0
    finally:
        await inside.close()


async def test_a_changed_migration_is_refused(
    venue: Venue, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    dsn = other_database(venue.database, await made(connection, "outside_changed"))
    assert shuji("migrate", "--data", str(tmp_path / "data"), "--dsn", dsn).returncode == 0
    inside = await asyncpg.connect(dsn)
    try:
        kind = await inside.fetchval(
            "SELECT data_type FROM information_schema.columns"
            " WHERE table_name = 'migration' AND column_name = 'sha256'"
        )
        other = "'\\x00'::bytea" if kind == "bytea" else "repeat('0', 64)"
        await inside.execute(f"UPDATE migration SET sha256 = {other}")
    finally:
        await inside.close()
    refused = shuji("migrate", "--data", str(tmp_path / "data"), "--dsn", dsn)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("setting", ["synchronous_commit"])
async def test_a_database_that_may_lose_commits_is_refused(
    venue: Venue, connection: asyncpg.Connection, tmp_path: Path, setting: str
) -> None:
    """Of the three settings only this one can be weakened for one database of a running server."""
    name = await made(connection, "outside_weak")
    await connection.execute(f"ALTER DATABASE {name} SET {setting} = off")
    dsn = other_database(venue.database, name)
    refused = shuji("serve", "--data", str(tmp_path / "data"), "--dsn", dsn, "--port", str(free_port()))
    assert refused.returncode != 0
    assert setting in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_unreachable_database_is_one_clear_error(tmp_path: Path) -> None:
    dsn = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    refused = shuji("serve", "--data", str(tmp_path / "data"), "--dsn", dsn, "--port", str(free_port()))
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert refused.stderr.strip()


def test_the_dsn_of_the_folder_is_json(venue: Venue) -> None:
    assert set(json.loads((venue.data / "postgres.json").read_text())) >= {"dsn"}


def test_no_server_is_left_behind(tmp_path: Path) -> None:
    short = Venue(tmp_path / "short")
    try:
        short.start()
        [pid] = short.postgres_pids()
        assert short.stop() == 0
        assert not Path(f"/proc/{pid}").exists()
    finally:
        short.close()
