"""A backup folder and what a running venue lays into it, second by second.

    FOLDER/archive.json             whose it is: one data folder's, for ever
    FOLDER/base/TIME/               a base backup: `backup.json`, written last, and `cluster/`
    FOLDER/wal/GENERATION/          PostgreSQL's log without a gap, by the wheel's `pg_receivewal`; a segment has its
                                    name once it is whole and on disk, the last one is `.partial` until then
    FOLDER/wal/GENERATION/reached.json   everything committed up to `at` is in this folder, delivered files too
    FOLDER/files/MERCHANT/SHA256    what merchants delivered; nothing is ever taken out
    DATA/backup.json                which folder and generation this venue writes to

Not in it: `operator.key` and other people's keys, `token.key`, the database's password. So a backup opens neither this
venue nor a restored one; see docs/decisions/0021-backup.md. Folders have mode 0700, files 0600.

`pg_receivewal` runs as the venue's user and reads through a replication slot, so the server keeps what has not arrived
yet (at most 16 GB). It lives as long as the server: a killed venue's server hands over its last bytes before it ends.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import msgspec

from exchange.postgres import DatabaseUnavailable, binaries_of

SLOT: Final = "shuji_backup"
LOOK_S: Final = 1.0
"""How often the folder is brought up to the venue; what a lost machine may cost."""
LONGEST_PAUSE_S: Final = 30.0
PARTING_S: Final = 10.0
TOUCH_S: Final = 10.0
"""How long the folder's disk may take for one thing before the folder falls behind."""
WHOLE_S: Final = 2.0
"""How long the flush of a record that was cut is waited for in a round."""
SETTLED_NS: Final = 1_000_000_000
"""A folder that changed just now may change again within the same tick of its clock."""
PAGE_BYTES: Final = 8192
HEADER_BYTES: Final = 24
SEGMENT_BYTES: Final = 1 << 24
SEGMENT_HEADER_BYTES: Final = 40
"""Of PostgreSQL's log: its pages, each with a header, a longer one where a segment begins."""
_STANDS: Final = """
select clock_timestamp(), pg_current_wal_flush_lsn()::text, pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn()
"""
LOG_BYTES: Final = 1_000_000

_HINDRANCES: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    DatabaseUnavailable,
)
"""What keeps a folder from being brought up for a while; BackupRefused beside them."""

_T = TypeVar("_T")
_Kept = TypeVar("_Kept", "Note", "Mark", "Reached")


class BackupRefused(Exception):
    """There is nothing to back up to, or to restore from. The text says what is possible."""


class Note(msgspec.Struct, frozen=True):
    """In the data folder: where its backups go. Without a generation the first one is still under way."""

    folder: str
    venue: str
    generation: str

    @property
    def place(self) -> Path:
        return Path(self.folder)

    @property
    def wal(self) -> Path:
        return self.place / "wal" / self.generation


class Mark(msgspec.Struct, frozen=True):
    """In the backup folder: whose it is."""

    venue: str
    data: str


class Reached(msgspec.Struct, frozen=True):
    """Everything committed before this instant of the machine's clock is in the folder."""

    at: datetime
    lsn: str = ""
    """The log up to here is in the folder, and a record ends here; empty in notes of before."""


# ---- files that appear whole


def write_kept(path: Path, content: msgspec.Struct) -> None:
    """Replaces a file in one step; mode 0600, on disk afterwards."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    force_folder(path.parent)


def read_kept(path: Path, shape: type[_Kept]) -> _Kept | None:
    """None where there is no such file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise BackupRefused(f"{path} is not what `shuji backup` writes: {error}") from error


def force_folder(folder: Path) -> None:
    """Names in it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def note_of(data: Path) -> Note | None:
    return read_kept(data / "backup.json", Note)


def libpq_environment(dsn: str) -> dict[str, str]:
    """How PostgreSQL's own tools reach the embedded server; a command line would show the password to everybody."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {
        "LC_ALL": "C",
        "PGHOST": query["host"][0],
        "PGPORT": query["port"][0],
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGAPPNAME": SLOT,
    }


# ---- a disk that may hang


class Hand:
    """What touches the backup folder, on a thread of its own: a hung disk holds up neither trading nor a stop."""

    def __init__(self) -> None:
        self._under_way: Future[Any] | None = None

    async def touch(self, work: Callable[..., _T], *given: Any) -> _T:
        """One thing at a time. Raises TimeoutError where the disk does not answer; the thread goes on then."""
        if self._under_way is not None and not self._under_way.done():
            raise TimeoutError("the backup folder's disk does not answer, or is slow")
        done: Future[_T] = Future()
        done.set_running_or_notify_cancel()
        self._under_way = done
        threading.Thread(target=_fulfil, args=(done, work, given), daemon=True).start()
        try:
            async with asyncio.timeout(TOUCH_S):
                return await asyncio.wrap_future(done)
        except TimeoutError as error:
            raise TimeoutError("the backup folder's disk does not answer, or is slow") from error


def _fulfil(done: Future[_T], work: Callable[..., _T], given: tuple[Any, ...]) -> None:
    try:
        done.set_result(work(*given))
    except Exception as error:
        done.set_exception(error)


# ---- the venue's part


class Archiver:
    """Keeps the backup folder of a data folder up to its database, for as long as `run` runs."""

    def __init__(self, data: Path, report: Callable[[str], None]) -> None:
        self._data = data
        self._report = report
        self._hand = Hand()
        self._child: subprocess.Popen[bytes] | None = None
        self._seen: dict[str, int] = {}
        self._note: Note | None = None
        self._reached: datetime | None = None
        self._lsn = ""
        self.failure = ""
        """Why the folder falls behind; empty while it does not."""

    def age_s(self) -> float | None:
        """How far the folder is behind; None where this venue has no backup folder."""
        return None if self._reached is None else (datetime.now(UTC) - self._reached).total_seconds()

    async def run(self, dsn: str) -> None:
        """Until cancelled. The child is left to the server's end; `close` waits for it."""
        pause_s = LOOK_S
        while True:
            try:
                note = note_of(self._data)
                if note is not None and note.generation:
                    self._reached = self._reached or await self._first_reached(note)
                    await self._follow(dsn, note)
                pause_s = LOOK_S
            except (BackupRefused, *_HINDRANCES) as error:
                pause_s = self._fall_behind(error, pause_s)
            await asyncio.sleep(pause_s)

    async def _first_reached(self, note: Note) -> datetime:
        """Where the folder stood at the start; now, where it cannot be asked."""
        with suppress(OSError, BackupRefused):
            found = await self._hand.touch(_kept_reached, note)
            if found is not None:
                return found.at
        return datetime.now(UTC)

    def _fall_behind(self, error: Exception, pause_s: float) -> float:
        """Said once; tried again ever later."""
        said = f"the backup folder falls behind: {str(error) or type(error).__name__}"
        if said != self.failure:
            self._report(said)
        self.failure = said
        return min(pause_s * 2, LONGEST_PAUSE_S)

    async def _follow(self, dsn: str, note: Note) -> None:
        """Until the data folder names another backup folder. Raises what keeps the folder from being brought up."""
        await self._hand.touch(check_mark, note)
        connection = await asyncpg.connect(dsn, timeout=5, command_timeout=30)
        try:
            major = connection.get_server_version().major
            await self._start(dsn, note, major)
            while note_of(self._data) == note:
                await self._look(connection, note)
                await asyncio.sleep(LOOK_S)
        finally:
            with suppress(*_HINDRANCES):
                await connection.close(timeout=5)
        await self._end_child()

    async def _start(self, dsn: str, note: Note, major: int) -> None:
        """The receiver, once no other writes to the folder: that of a killed venue may still have some bytes to go."""
        if self.is_receiving:
            await self._end_child()
        lock = os.open(self._data / "backup.lock", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            async with asyncio.timeout(PARTING_S):
                while not _locked(lock):  # noqa: ASYNC110  # another process holds it
                    await asyncio.sleep(0.05)
            await self._hand.touch(_lay_wal, note)
            self._child = _receiver(dsn, note, major, self._data / "backup.log", lock)
        finally:
            os.close(lock)
        self._note, self._seen, self._lsn = note, {}, ""

    async def _look(self, connection: Any, note: Note) -> None:
        """One round: files, then the log as far as it was when the round began."""
        at, end, cuts = await _stands_at(connection)
        await self._hand.touch(check_mark, note)
        await self._hand.touch(copy_files, self._data / "files", note.place / "files", self._seen)
        begun = time.monotonic()
        while not await self._has_arrived(connection, end):
            if time.monotonic() - begun > TOUCH_S:
                self._fall_behind(
                    TimeoutError(f"the log arrives slowly, or not at all, in {note.wal}"), LOOK_S
                )
            await asyncio.sleep(0.1)
        if cuts:
            return  # the note would claim an instant whose place in the log it cannot name: the next round does
        self._lsn = end
        await self._hand.touch(_force_reached, note.wal, Reached(at, self._lsn))
        self._reached = at
        if self.failure:
            self._report("the backup folder has all again")
            self.failure = ""

    async def _has_arrived(self, connection: Any, end: str) -> bool:
        assert self._child is not None
        if self._child.poll() is not None:
            raise BackupRefused(f"pg_receivewal has ended: {_last_words(self._data / 'backup.log')}")
        return bool(
            await connection.fetchval(
                "select count(*) from pg_stat_replication"
                " where application_name = $1 and state = 'streaming' and write_lsn >= $2::text::pg_lsn",
                SLOT,
                end,
            )
        )

    @property
    def is_receiving(self) -> bool:
        return self._child is not None and self._child.poll() is None

    async def part(self) -> None:
        """While the server goes on: the receiver is told to stop."""
        await self._end_child()

    async def close(self) -> None:
        """After the server has stopped: it has handed over everything, and the receiver ends by itself."""
        child, note, at = self._child, self._note, datetime.now(UTC)
        if child is None or note is None or child.poll() is not None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING_S):
                while child.poll() is None:  # noqa: ASYNC110  # another process
                    await asyncio.sleep(0.01)
        if child.poll() is None:
            await self._end_child()
            return
        with suppress(OSError, BackupRefused):
            await self._hand.touch(check_mark, note)
            await self._hand.touch(copy_files, self._data / "files", note.place / "files", self._seen)
            if not self.failure:
                await self._hand.touch(_force_reached, note.wal, Reached(at, self._lsn))

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for end in (signal.SIGINT, signal.SIGKILL):
            child.send_signal(end)
            for _ in range(100):
                if child.poll() is not None:
                    return
                await asyncio.sleep(0.05)
        # A hung disk holds it, whatever is sent; it keeps its lock, so no other one starts meanwhile.


def _kept_reached(note: Note) -> Reached | None:
    return read_kept(note.wal / "reached.json", Reached)


async def _stands_at(connection: Any) -> tuple[datetime, str, bool]:
    """Now, up to where the log is flushed, and whether that may lie within a record: PostgreSQL flushes up to the end of a
    record, or up to that of a page, wherever the record ends. What is behind a page that is full is flushed in a moment."""
    deadline = time.monotonic() + WHOLE_S
    while True:
        at, end, behind = await connection.fetchrow(_STANDS)
        cuts = _may_cut_a_record(end, behind)
        if not cuts or time.monotonic() > deadline:
            return at, end, cuts
        await asyncio.sleep(0.05)


def _may_cut_a_record(lsn: str, behind: int) -> bool:
    """`behind`: bytes from there to where the next record goes. On a page that is empty yet it goes behind the header."""
    place = int(lsn.split("/")[1], 16)
    header = SEGMENT_HEADER_BYTES if place % SEGMENT_BYTES == 0 else HEADER_BYTES
    return place % PAGE_BYTES == 0 and behind > header


def check_mark(note: Note) -> None:
    """Raises BackupRefused where the folder is not there, or is another's: an empty mount point, say."""
    mark = read_kept(note.place / "archive.json", Mark)
    if mark is None:
        raise BackupRefused(f"{note.folder} is not there; bring it back, or name another with `shuji backup`")
    if mark.venue != note.venue:
        raise BackupRefused(f"{note.folder} holds the backups of {mark.data}, not of this venue")


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lay_wal(note: Note) -> None:
    for folder in (note.wal.parent, note.wal):
        folder.mkdir(mode=0o700, exist_ok=True)


def _receiver(dsn: str, note: Note, major: int, log: Path, lock: int) -> "subprocess.Popen[bytes]":
    """It inherits the lock, and keeps it as long as it lives."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name("backup.log.1"))
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as said:
        return subprocess.Popen(
            [
                str(binaries_of(major).folder / "pg_receivewal"),
                f"--directory={note.wal}",
                f"--slot={SLOT}",
                "--no-loop",
                "--no-password",
                "--status-interval=1",
            ],
            env=libpq_environment(dsn),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            umask=0o077,
            start_new_session=True,
            pass_fds=(lock,),
        )


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"


def _force_reached(wal: Path, reached: Reached) -> None:
    """The segment under way is forced here; a whole one was by `pg_receivewal`."""
    for path in wal.glob("*.partial"):
        with suppress(FileNotFoundError):  # it has its name by now
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    write_kept(wal / "reached.json", reached)


def copy_files(source: Path, target: Path, seen: dict[str, int]) -> None:
    """Delivered files that the target lacks. `seen` has the change of each merchant's folder that was looked through."""
    if not source.is_dir():
        return
    target.mkdir(mode=0o700, exist_ok=True)
    for home in sorted(source.iterdir()):
        changed = home.stat().st_mtime_ns
        if seen.get(home.name) == changed or not home.is_dir():
            continue
        _copy_home(home, target / home.name)
        if time.time_ns() - changed > SETTLED_NS:
            seen[home.name] = changed


def _copy_home(home: Path, target: Path) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    have = {path.name for path in target.iterdir()}
    for path in sorted(home.iterdir()):
        if not path.name.startswith(".") and path.name not in have:
            with suppress(FileNotFoundError):  # nobody wanted it, and the venue removed it
                _copy_whole(path, target / path.name)
    force_folder(target)


def _copy_whole(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}")
    with source.open("rb") as read, os.fdopen(_created(draft), "wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())
    shutil.copystat(source, draft)
    draft.chmod(0o600)
    draft.replace(target)


def _created(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
