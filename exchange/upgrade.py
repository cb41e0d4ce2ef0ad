"""`shuji upgrade-postgresql`: the venue's own cluster under the newest major version, by pg_upgrade, in a copy.

    old cluster ended cleanly ─> postgres.upgrading made, filled, verified ─> old: postgres.16, new: postgres

The old one is not touched but for its name. Killed before the names change, the next call begins anew; between the two
names a start is refused, and the next call finishes.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
import msgspec

from clearing import notrade
from exchange import board
from exchange.archive import force_folder
from exchange.migration import migrate
from exchange.postgres import (
    UPGRADING,
    DatabaseUnavailable,
    Supervisor,
    newest_binaries,
    owned_cluster,
)
from exchange.state import State
from exchange.verification import verify


class Upgraded(msgspec.Struct, frozen=True):
    """The major version now, and where the old cluster lies; empty where there was nothing to do."""

    major: int
    kept: str


async def upgrade(data: Path, jurisdiction: str, tell: Callable[[str], None]) -> Upgraded:
    """Raises DatabaseBusy where the venue runs, DatabaseUnavailable where the copy is not what the old cluster is."""
    with owned_cluster(data) as cluster:
        fresh = cluster.with_name(UPGRADING)
        newest = newest_binaries().major
        if not cluster.exists() and fresh.exists():
            fresh.rename(cluster)
            return Upgraded(_major(cluster), _kept(cluster, newest))
        major = _major(cluster)
        if major >= newest:
            return Upgraded(major, "")
        shutil.rmtree(fresh, ignore_errors=True)
        tell(f"from PostgreSQL {major} to {newest}: a copy is made")
        supervisor = _filled(data, cluster, fresh, newest)
        tell("the copy is verified")
        await _verify(supervisor, jurisdiction, tell)
        old = cluster.with_name(f"postgres.{major}")
        shutil.rmtree(old, ignore_errors=True)
        cluster.rename(old)
        fresh.rename(cluster)
        force_folder(cluster.parent)
    return Upgraded(newest, str(old))


def _major(cluster: Path) -> int:
    return int((cluster / "PG_VERSION").read_text())


def _kept(cluster: Path, newest: int) -> str:
    """Of an upgrade that was cut off between the two names."""
    found = [cluster.with_name(f"postgres.{major}") for major in range(newest - 1, 0, -1)]
    return next((str(path) for path in found if path.exists()), "")


def _filled(data: Path, cluster: Path, fresh: Path, newest: int) -> Supervisor:
    """The new cluster, with all that is in the old one."""
    old = Supervisor(data, cluster)
    try:
        old.start()  # after a kill -9 it recovers first: pg_upgrade wants a clean end
    finally:
        old.stop()
    new = Supervisor(data, fresh, like=old, major=newest)
    new.make()
    old.upgrade_into(new)
    return new


async def _verify(supervisor: Supervisor, jurisdiction: str, tell: Callable[[str], None]) -> None:
    """Against the journal, from its beginning. Raises DatabaseUnavailable with the first difference."""
    boards = board.load()
    rulebook = notrade.load(boards=boards)
    try:
        supervisor.start()
        await migrate(supervisor.dsn)
        connection = await asyncpg.connect(supervisor.dsn)
        try:
            await connection.execute("ANALYZE")
        finally:
            await connection.close()
        findings = await verify(
            supervisor.dsn, supervisor.data_dir, lambda: State(boards, rulebook, jurisdiction), tell
        )
    finally:
        supervisor.stop()
    if findings:
        raise DatabaseUnavailable(
            f"The copy does not verify, the old cluster stays in use; first difference: {findings[0]}"
        )
