"""The embedded server, killed and started again in every way that is known to go wrong."""

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from exchange import postgres
from exchange.postgres import (
    DatabaseBusy,
    DatabaseRefused,
    DatabaseUnavailable,
    Supervisor,
    check_durable,
    choose_binaries,
    embedded_server,
    open_database,
    running_dsn,
)

ROOT = Path(postgres.__file__).parent.parent
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")

OWNER = """
import sys, time
from pathlib import Path
from exchange.postgres import embedded_server
with embedded_server(Path(sys.argv[1])) as supervisor:
    print(supervisor.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def data_dir(reachable_folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A data folder with spaces in its path, which root's server user can enter."""
    folder = reachable_folder / f"data of {request.node.name}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@contextmanager
def other_owner(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that keeps the server of `data_dir`, and the server's process id."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, data_dir], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        try:
            yield owner, int(owner.stdout.readline())
        finally:
            owner.kill()


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def processes_of(cluster: Path) -> list[str]:
    """The command lines that name this cluster: servers and backends alike."""
    name = postgres.cluster_name(cluster)
    return [" ".join(words) for _, _, words in postgres._process_table() if name in " ".join(words)]


def wait_until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


async def test_a_new_folder_becomes_a_durable_database(data_dir: Path) -> None:
    async with open_database(data_dir) as database:
        assert database.embedded
        assert database.version.startswith("18")
        assert await ask(database.dsn, "SHOW data_checksums") == "on"
        assert await ask(database.dsn, "SHOW server_encoding") == "UTF8"
        assert await ask(database.dsn, "SHOW listen_addresses") == ""
        assert await ask(database.dsn, "SELECT '数集' > 'a'") is True
        assert database.dsn not in repr(database)
        await ask(database.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    assert processes_of(data_dir / "postgres") == []
    async with open_database(data_dir) as database:
        assert await ask(database.dsn, "SELECT n FROM kept") == 7


async def test_nobody_else_can_log_in(data_dir: Path) -> None:
    """The socket's folder is private, and whoever is in it still needs the password."""
    async with open_database(data_dir) as database:
        supervisor = database.supervisor
        assert supervisor is not None
        assert supervisor.socket_dir is not None
        assert stat.S_IMODE(supervisor.socket_dir.stat().st_mode) == 0o700
        for name in ("postgres.password", "postgres.json", "postgres.log"):
            assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(f"postgresql://shuji:guess@/postgres?host={supervisor.socket_dir}", "SELECT 1")


async def test_a_killed_server_is_started_again_with_what_was_committed(data_dir: Path) -> None:
    async with open_database(data_dir) as database:
        assert database.supervisor is not None
        await ask(database.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        told: list[str] = []
        watch = asyncio.create_task(database.watch(told.append))
        for _ in range(2):
            killed = database.supervisor.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            async with asyncio.timeout(20):
                while database.supervisor.pid in (None, killed) or not told[-1:][0].startswith(
                    "PostgreSQL runs"
                ):
                    await asyncio.sleep(0.01)
            assert await ask(database.dsn, "SELECT n FROM kept") == 7
            told.append("")
        assert [line.split("(")[0].strip() for line in told if line] == [
            "PostgreSQL has ended",
            "PostgreSQL runs again",
        ] * 2
        assert not await database.supervisor.ensure_running()
        watch.cancel()


def test_a_killed_server_leaves_no_backend_that_writes(data_dir: Path) -> None:
    """Backends of a killed server share its memory: the next server waits until the last is gone."""
    with embedded_server(data_dir) as supervisor:
        assert supervisor.pid is not None
        stopped = [pid for pid, is_server in supervisor._leftovers().items() if not is_server]
        assert stopped
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)  # cannot notice the server's death
        os.kill(supervisor.pid, signal.SIGKILL)
        wait_until(lambda: supervisor.pid is None)
        assert supervisor._leftovers().keys() == set(stopped)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        supervisor.start()
        assert not supervisor._leftovers().keys() & set(stopped)


async def test_a_killed_owner_leaves_no_server(data_dir: Path) -> None:
    with other_owner(data_dir) as (owner, _):
        await ask(running_dsn(data_dir) or "", "CREATE TABLE kept AS SELECT 7 AS n")
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        wait_until(lambda: processes_of(data_dir / "postgres") == [])
    socket_dir = Path(json.loads((data_dir / "postgres.json").read_text())["socket_dir"])
    assert socket_dir.is_dir()
    async with open_database(data_dir) as database:
        assert await ask(database.dsn, "SELECT n FROM kept") == 7
    assert not socket_dir.exists()


async def test_the_next_owner_waits_for_the_last_ones_server(data_dir: Path) -> None:
    """The owner is gone and its server is still there: it is not taken over, nor run beside."""
    with other_owner(data_dir) as (owner, server):
        os.kill(server, signal.SIGSTOP)  # it cannot act on the death signal yet
        owner.kill()
        owner.wait()
        assert processes_of(data_dir / "postgres")
        timer = asyncio.get_running_loop().call_later(0.5, os.kill, server, signal.SIGCONT)
        begun = time.monotonic()
        async with open_database(data_dir) as database:
            assert time.monotonic() - begun > 0.4
            assert database.supervisor is not None
            assert database.supervisor.pid != server
        timer.cancel()


async def test_a_stale_process_id_file_harms_nobody(data_dir: Path) -> None:
    """`postmaster.pid` names a process that lives and is not PostgreSQL: this one."""
    async with open_database(data_dir):
        written = (data_dir / "postgres" / "postmaster.pid").read_text()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        lines = [str(bystander.pid), *written.splitlines()[1:]]
        (data_dir / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
        async with open_database(data_dir) as database:
            assert await ask(database.dsn, "SELECT 1") == 1
        assert bystander.poll() is None
        bystander.kill()


async def test_two_owners_of_one_folder(data_dir: Path) -> None:
    with other_owner(data_dir) as (_, server):
        with pytest.raises(DatabaseBusy, match="Another Shuji works on"):
            async with open_database(data_dir):
                pass
        async with open_database(data_dir, attach=True) as database:
            assert not database.embedded
            assert await ask(database.dsn, "SELECT 1") == 1
        assert running_dsn(data_dir) == database.dsn
        os.kill(server, 0)
    wait_until(lambda: running_dsn(data_dir) is None)
    async with open_database(data_dir, attach=True) as database:
        assert database.embedded


def test_a_cluster_made_by_halves_is_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres.new").mkdir()
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    with embedded_server(data_dir) as supervisor:
        assert supervisor.pid is not None
    assert not (data_dir / "postgres.new").exists()


async def test_data_of_an_older_version_keeps_its_version(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = [binaries for binaries in postgres._wheel_binaries() if binaries.major == 16]
    if not older:
        pytest.skip("the wheel of this platform carries no PostgreSQL 16")
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "_wheel_binaries", lambda: iter(older))
        async with open_database(data_dir):
            pass
    async with open_database(data_dir) as database:
        assert database.version.startswith("16")


def test_data_of_an_unknown_version_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("11\n")
    with pytest.raises(DatabaseUnavailable, match="PostgreSQL 11, which wrote"):
        choose_binaries(tmp_path)


def test_without_any_postgresql_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_wheel_binaries", lambda: iter(()))
    monkeypatch.setattr(postgres, "_system_binaries", lambda: iter(()))
    with pytest.raises(DatabaseUnavailable, match="SHUJI_DSN"):
        choose_binaries(tmp_path)


async def test_an_installed_postgresql_serves_without_the_wheel(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not any(binaries.major >= postgres.OLDEST_MAJOR for binaries in postgres._system_binaries()):
        pytest.skip("no PostgreSQL is installed here")
    monkeypatch.setattr(postgres, "_wheel_binaries", lambda: iter(()))
    async with open_database(data_dir) as database:
        assert await ask(database.dsn, "SHOW full_page_writes") == "on"


# --- root -------------------------------------------------------------------------------------------------


@as_root
async def test_root_under_a_private_parent_puts_the_cluster_elsewhere(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    data_dir = private / "data"
    async with open_database(data_dir) as database:
        assert database.supervisor is not None
        cluster = database.supervisor.cluster
        await ask(database.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        uid = Path(f"/proc/{database.supervisor.pid}").stat().st_uid
    assert uid != 0
    assert not cluster.is_relative_to(tmp_path)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    moved = data_dir.rename(private / "moved")
    async with open_database(moved) as database:
        assert await ask(database.dsn, "SELECT n FROM kept") == 7
    copied = shutil.copytree(moved, private / "copied")
    with pytest.raises(DatabaseUnavailable, match="is a copy of"):
        async with open_database(copied):
            pass
    shutil.rmtree(moved)
    async with open_database(moved) as database:  # a folder begun anew has nothing of the removed one
        assert await ask(database.dsn, "SELECT to_regclass('kept')") is None


@as_root
def test_root_with_binaries_out_of_reach_copies_them(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = postgres._wheel_folder()
    if wheel is None:
        pytest.skip("the wheel is not for this platform")
    private = tmp_path / "site-packages"
    private.mkdir(mode=0o700)
    for folder in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(
            folder, private / folder.name, symlinks=True, ignore=shutil.ignore_patterns("pginstall")
        )
    monkeypatch.setattr(postgres, "_wheel_folder", lambda: private / wheel.name)
    for _ in range(2):
        with embedded_server(data_dir) as supervisor:
            assert supervisor.binaries.folder.is_relative_to(os.environ["SHUJI_STATE"])
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


# --- durability -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value"),
    [("synchronous_commit", "off"), ("synchronous_commit", "local")],
)
async def test_a_session_that_may_lose_a_commit_is_refused(
    empty_database_dsn: str, setting: str, value: str
) -> None:
    connection = await asyncpg.connect(empty_database_dsn)
    await check_durable(connection)
    await connection.execute(f"SET {setting} = {value}")
    with pytest.raises(DatabaseRefused, match=f"{setting} is {value}: an acknowledged trade could be lost"):
        await check_durable(connection)
    await connection.close()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_may_lose_a_commit_is_refused(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setitem(postgres.SETTINGS, setting, "off")
    with pytest.raises(DatabaseRefused, match=f"{setting} is off"):
        async with open_database(data_dir):
            pass
    assert processes_of(data_dir / "postgres") == []


async def test_an_outside_server_is_used_and_left_alone(empty_database_dsn: str, tmp_path: Path) -> None:
    async with open_database(tmp_path / "unused", empty_database_dsn) as database:
        assert not database.embedded
    assert not (tmp_path / "unused").exists()
    assert await ask(empty_database_dsn, "SELECT 1") == 1


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://shuji:Geheim@127.0.0.1:1/shuji", "nonsense", "postgresql://shuji:Geheim@/x?host=/nowhere"],
)
async def test_an_outside_server_out_of_reach_is_told_without_its_password(tmp_path: Path, dsn: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="No connection to PostgreSQL") as told:
        async with open_database(tmp_path, dsn):
            pass
    assert "Geheim" not in str(told.value)


def test_start_is_fast(data_dir: Path) -> None:
    """Well under the 0.2 s it takes on an idle machine; the limit is for a busy one."""
    with embedded_server(data_dir):
        pass
    begun = time.monotonic()
    with embedded_server(data_dir) as supervisor:
        assert isinstance(supervisor, Supervisor)
        assert time.monotonic() - begun < 2.0
