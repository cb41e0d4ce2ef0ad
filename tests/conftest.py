"""What every test may ask for: a real PostgreSQL, one server a test process, and a database of its own.

`database_dsn`        a fresh database with all migrations applied, dropped after the test
`empty_database_dsn`  a fresh database with nothing in it
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import asyncpg
import hypothesis
import pytest
import pytest_asyncio

from exchange.migration import migrate
from exchange.postgres import embedded_server

NUMBERS = count(1)

hypothesis.settings.register_profile("shuji", deadline=None)  # a slow machine is no failure
hypothesis.settings.load_profile("shuji")


@pytest.fixture(scope="session")
def reachable_folder() -> Iterator[Path]:
    """A folder that the server's user can enter even when the tests run as root (pytest's own are 0700)."""
    folder = Path(tempfile.mkdtemp(prefix="shuji tests "))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session", autouse=True)
def state_folder(reachable_folder: Path) -> Iterator[None]:
    """As root, clusters of unreachable data folders and copied binaries go here and not under /var/lib."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHUJI_STATE", str(reachable_folder / "state"))
        for name in [name for name in os.environ if name.startswith("PG") or name == "SHUJI_DSN"]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def server_dsn(reachable_folder: Path, state_folder: None) -> Iterator[str]:
    """The server's own database `postgres`: for making databases, not for working in."""
    with embedded_server(reachable_folder / "server") as supervisor:
        yield supervisor.dsn


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(server_dsn: str) -> str:
    """The name of a migrated database that nobody is connected to."""
    connection = await asyncpg.connect(server_dsn)
    await connection.execute("CREATE DATABASE migrated")
    await connection.close()
    await migrate(_named(server_dsn, "migrated"))
    return "migrated"


def _named(dsn: str, database: str) -> str:
    return dsn.replace("/postgres?", f"/{database}?")


@asynccontextmanager
async def _fresh(server_dsn: str, template: str) -> AsyncIterator[str]:
    name = f"test_{next(NUMBERS)}"
    connection = await asyncpg.connect(server_dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield _named(server_dsn, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def database_dsn(server_dsn: str, template: str) -> AsyncIterator[str]:
    async with _fresh(server_dsn, template) as dsn:
        yield dsn


@pytest_asyncio.fixture
async def empty_database_dsn(server_dsn: str) -> AsyncIterator[str]:
    async with _fresh(server_dsn, "template1") as dsn:
        yield dsn
