"""The database's shape, step by step: `exchange/schema/NNNN_name.sql`, each applied once, in order.

A step and its row in table `migration` are one transaction, so a step is there whole or not at all. What was
applied is never edited: the row keeps the file's SHA-256, and a changed file is refused, as is a database
that a newer Shuji has moved on. There is no way back down; a wrong step is mended by the next.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import asyncpg

LOCK_KEY = 0x5368756A69_01  # "Shuji", 1: no two migrate at once
NAME = re.compile(r"[0-9]{4}_[a-z0-9_]+\.sql")
TABLE = """
CREATE TABLE IF NOT EXISTS migration (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class MigrationRefused(Exception):
    """The database and this code do not belong together. The text says which step and what to do."""


@dataclass(frozen=True)
class Step:
    """One file: its SQL may hold several statements, but none that ends a transaction."""

    name: str
    sql: str
    sha256: str


def steps(folder: Traversable | None = None) -> list[Step]:
    """The steps of this code, in order. Raises MigrationRefused for a wrong name or a number given twice."""
    folder = folder if folder is not None else files("exchange") / "schema"
    found: list[Step] = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            if not NAME.fullmatch(file.name):
                raise MigrationRefused(f"{file.name} is not named like 0001_journal.sql.")
            if found and found[-1].name[:4] == file.name[:4]:
                raise MigrationRefused(f"{found[-1].name} and {file.name} have the same number.")
            content = file.read_bytes()
            found.append(Step(file.name, content.decode(), hashlib.sha256(content).hexdigest()))
    return found


def pending(known: list[Step], applied: dict[str, str]) -> list[Step]:
    """The steps still to apply, given name -> SHA-256 of those applied. Raises MigrationRefused."""
    newer = sorted(set(applied) - {step.name for step in known})
    if newer:
        raise MigrationRefused(
            f"The database has step {newer[-1]}, which this Shuji does not know: it was made by a newer one. "
            "Start that one, or name another data folder or database."
        )
    for step in known:
        if step.name in applied and applied[step.name] != step.sha256:
            raise MigrationRefused(
                f"{step.name} was applied with other content (SHA-256 {applied[step.name][:12]}, now "
                f"{step.sha256[:12]}). Restore the file and put the change into a new step."
            )
    waiting = [step for step in known if step.name not in applied]
    if waiting and applied and waiting[0].name < max(applied):
        raise MigrationRefused(
            f"{waiting[0].name} comes before {max(applied)}, which is applied already: renumber it."
        )
    return waiting


async def migrate(dsn: str, folder: Traversable | None = None) -> list[str]:
    """Brings the database up to this code; returns the names applied now, none if it was up to date.

    Two at once wait for each other. A step that fails leaves the steps before it in place and raises
    PostgreSQL's error.
    """
    known = steps(folder)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        await connection.execute(TABLE)
        rows = await connection.fetch("SELECT name, sha256 FROM migration")
        waiting = pending(known, {row["name"]: row["sha256"] for row in rows})
        for step in waiting:
            await _apply(connection, step)
        return [step.name for step in waiting]
    finally:
        await connection.close()


async def _apply(connection: Any, step: Step) -> None:
    async with connection.transaction():
        await connection.execute(step.sql)
        if not connection.is_in_transaction():
            raise MigrationRefused(f"{step.name} ends the transaction it is applied in: take its COMMIT out.")
        await connection.execute(
            "INSERT INTO migration (name, sha256) VALUES ($1, $2)", step.name, step.sha256
        )
