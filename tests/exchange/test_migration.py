"""The database's shape: each step once, in order, whole or not at all; what does not fit is refused."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from exchange.migration import MigrationRefused, migrate, pending, steps


def write(folder: Path, **files: str) -> Path:
    """write(folder, s0001_one="SQL"): the leading letter only makes the number a Python name."""
    folder.mkdir(exist_ok=True)
    for name, sql in files.items():
        (folder / f"{name[1:]}.sql").write_text(sql)
    return folder


async def ask(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_steps_are_applied_once_and_in_order(empty_database_dsn: str, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "sql", s0002_two="INSERT INTO one VALUES (2)", s0001_one="CREATE TABLE one (n int)"
    )
    assert await migrate(empty_database_dsn, folder) == ["0001_one.sql", "0002_two.sql"]
    assert await migrate(empty_database_dsn, folder) == []
    write(folder, s0003_three="INSERT INTO one VALUES (3); INSERT INTO one VALUES (4)")
    assert await migrate(empty_database_dsn, folder) == ["0003_three.sql"]
    assert await ask(empty_database_dsn, "SELECT array_agg(n ORDER BY n) FROM one") == [2, 3, 4]


async def test_a_step_that_fails_leaves_nothing_of_itself(empty_database_dsn: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "sql", s0001_one="CREATE TABLE one (n int)")
    write(folder, s0002_two="INSERT INTO one VALUES (1); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_database_dsn, folder)
    assert await ask(empty_database_dsn, "SELECT count(*) FROM one") == 0
    assert await ask(empty_database_dsn, "SELECT string_agg(name, ' ') FROM migration") == "0001_one.sql"
    write(folder, s0002_two="INSERT INTO one VALUES (1)")
    assert await migrate(empty_database_dsn, folder) == ["0002_two.sql"]


async def test_a_step_may_not_end_its_transaction(empty_database_dsn: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "sql", s0001_one="CREATE TABLE one (n int); COMMIT")
    with pytest.raises(MigrationRefused, match="take its COMMIT out"):
        await migrate(empty_database_dsn, folder)


async def test_an_edited_step_is_refused(empty_database_dsn: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "sql", s0001_one="CREATE TABLE one (n int)")
    await migrate(empty_database_dsn, folder)
    write(folder, s0001_one="CREATE TABLE one (n bigint)")
    with pytest.raises(MigrationRefused, match=r"0001_one\.sql was applied with other content"):
        await migrate(empty_database_dsn, folder)


async def test_a_database_of_a_newer_shuji_is_refused(empty_database_dsn: str, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "sql", s0001_one="CREATE TABLE one (n int)", s0002_two="CREATE TABLE two (n int)"
    )
    await migrate(empty_database_dsn, folder)
    (folder / "0002_two.sql").unlink()
    with pytest.raises(MigrationRefused, match=r"0002_two\.sql, which this Shuji does not know"):
        await migrate(empty_database_dsn, folder)


async def test_two_at_once_apply_each_step_once(empty_database_dsn: str, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "sql", s0001_one="CREATE TABLE one (n int)", s0002_two="INSERT INTO one VALUES (1)"
    )
    applied = await asyncio.gather(*(migrate(empty_database_dsn, folder) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, 2]
    assert await ask(empty_database_dsn, "SELECT count(*) FROM one") == 1


def test_a_step_before_an_applied_one_is_refused(tmp_path: Path) -> None:
    known = steps(write(tmp_path / "sql", s0001_one="SELECT 1", s0002_two="SELECT 2"))
    with pytest.raises(MigrationRefused, match="renumber it"):
        pending(known, {known[1].name: known[1].sha256})


@pytest.mark.parametrize("second", ["s0001_other", "s2_two", "s0002_Two"])
def test_wrong_names_and_equal_numbers_are_refused(tmp_path: Path, second: str) -> None:
    with pytest.raises(MigrationRefused):
        steps(write(tmp_path / "sql", s0001_one="SELECT 1", **{second: "SELECT 2"}))


async def test_the_projects_own_steps_apply(database_dsn: str) -> None:
    names = await ask(database_dsn, "SELECT array_agg(name ORDER BY name) FROM migration")
    assert (names or []) == [step.name for step in steps()]
    assert await migrate(database_dsn) == []
