"""`shuji backup`: a base backup of a venue that runs or stands still, and from then on all that it commits.

    lock the folder ─> slot, generation, notes ─> pg_basebackup ─> wait until the log behind it has arrived

A base backup has its name once it is whole and on disk; what a killed one left is removed by the next. The venue goes
on trading meanwhile.
"""

import asyncio
import fcntl
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from exchange.archive import (
    SLOT,
    Archiver,
    BackupRefused,
    Mark,
    Note,
    Reached,
    force_folder,
    libpq_environment,
    note_of,
    read_kept,
    write_kept,
)
from exchange.postgres import Database, binaries_of, die_with_owner, open_database

LEFT_S: Final = 30.0
ARRIVAL_S: Final = 120.0
"""How long nothing may arrive before `shuji backup` says so."""

_LABEL: Final = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)$", re.MULTILINE)


class Base(msgspec.Struct, frozen=True):
    """A base backup: good for any instant from `taken_at` on, with the log of its generation."""

    name: str
    generation: str
    major: int
    first_segment: str
    begun_at: datetime
    taken_at: datetime
    sequence: int
    """The journal's, at `taken_at` or later."""


def bases(folder: Path) -> list[Base]:
    """The whole ones, the oldest first."""
    found = [read_base(path) for path in (folder / "base").glob("[0-9]*/backup.json")]
    return sorted(found, key=lambda base: base.taken_at)


def read_base(path: Path) -> Base:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Base)
    except msgspec.MsgspecError as error:
        raise BackupRefused(f"{path} is not what `shuji backup` writes: {error}") from error


async def take(data: Path, folder: Path, keep: int, tell: Callable[[str], None]) -> Base:
    """A base backup of the venue in `data`, and its archive going to `folder` from now on.

    `keep`: how many base backups stay, with the log behind the oldest of them; 0: all.
    """
    _check_place(data, folder)
    before = note_of(data)
    with _locked_folder(data, folder) as mark:
        async with open_database(data, attach=True) as database, _archiving(data, database, tell):
            connection = await asyncpg.connect(database.dsn, timeout=10)
            try:
                base = await _take(connection, database.dsn, Note(str(folder), mark.venue, ""), data, tell)
            finally:
                await connection.close()
            await _until_arrived(folder, base, tell)
        _tell_of_change(before, folder, tell)
        prune(folder, keep)
    return base


def _check_place(data: Path, folder: Path) -> None:
    """A backup is lost with what it lies in. Raises BackupRefused."""
    if data in (folder, *folder.parents):
        raise BackupRefused(f"{folder} lies inside the data folder {data}; name a folder elsewhere")
    for outer in folder.parents:
        if (outer / "archive.json").exists():
            raise BackupRefused(f"{folder} lies inside the backup folder {outer}; name a folder elsewhere")


def _tell_of_change(before: Note | None, folder: Path, tell: Callable[[str], None]) -> None:
    """A venue has one backup folder: the one before gets nothing any more."""
    if before is None or not before.generation or before.place == folder:
        return
    last = None
    with suppress(OSError, BackupRefused):
        last = read_kept(before.wal / "reached.json", Reached)
    ends = f"ends at {last.at.isoformat()}" if last else "gets nothing any more"
    tell(f"from now on the log goes to {folder}; {before.folder} {ends}")


@contextmanager
def _locked_folder(data: Path, folder: Path) -> Iterator[Mark]:
    """The folder is this venue's, and only one backup works in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known, mark = note_of(data), read_kept(folder / "archive.json", Mark)
    if mark is None and any(folder.iterdir()):
        raise BackupRefused(f"{folder} is not empty and holds no backups; name a folder of its own")
    if mark is not None and (known is None or known.venue != mark.venue):
        raise BackupRefused(
            f"{folder} holds the backups of {mark.data}, and {data} is not that folder, or was restored: "
            "two lines of one venue are not mixed; name another folder"
        )
    if mark is None:
        mark = Mark(known.venue if known else secrets.token_hex(8), str(data))
        folder.chmod(0o700)
        write_kept(folder / "archive.json", mark)
        if known is None:
            write_kept(data / "backup.json", Note(str(folder), mark.venue, ""))
    with os.fdopen(os.open(folder / "backup.lock", os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupRefused(f"another backup into {folder} is under way") from None
        yield mark


@asynccontextmanager
async def _archiving(data: Path, database: Database, tell: Callable[[str], None]) -> AsyncIterator[None]:
    """Of a venue that stands still this process is the archiver; one that runs has its own."""
    if not database.embedded:
        yield
        return
    archiver = Archiver(data, tell)
    task = asyncio.create_task(archiver.run(database.dsn))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await archiver.part()


def _remove_unfinished(home: Path) -> None:
    """What a killed backup left. Its `pg_basebackup` may go on writing for a moment."""
    deadline = time.monotonic() + LEFT_S
    while left := list(home.glob(".unfinished-*")):
        try:
            shutil.rmtree(left[0])
        except OSError as error:
            if time.monotonic() > deadline:
                raise BackupRefused(f"{left[0]} is still written to by a killed backup: {error}") from error
            time.sleep(0.1)


async def _take(connection: Any, dsn: str, wanted: Note, data: Path, tell: Callable[[str], None]) -> Base:
    note = await _open_generation(connection, wanted, data)
    begun_at = datetime.now(UTC)
    name = begun_at.strftime("%Y%m%dT%H%M%S.%fZ")
    home = note.place / "base"
    home.mkdir(mode=0o700, exist_ok=True)
    await asyncio.to_thread(_remove_unfinished, home)
    scratch = home / f".unfinished-{name}"
    scratch.mkdir(mode=0o700)
    tell("the base backup is being taken")
    major = connection.get_server_version().major
    await asyncio.to_thread(_run_basebackup, major, dsn, scratch / "cluster")
    label = _LABEL.search((scratch / "cluster" / "backup_label").read_text())
    assert label is not None, "pg_basebackup wrote no backup_label"
    taken_at = await connection.fetchval("select clock_timestamp()")
    base = Base(name, note.generation, major, label[1], begun_at, taken_at, await _sequence(connection))
    write_kept(scratch / "backup.json", base)
    scratch.rename(home / name)
    force_folder(home)
    return base


async def _sequence(connection: Any) -> int:
    """Of the journal; 0 where this database never was a venue's."""
    if await connection.fetchval("select to_regclass('cursor')") is None:
        return 0
    return await connection.fetchval("select max(sequence) from cursor") or 0


async def _open_generation(connection: Any, wanted: Note, data: Path) -> Note:
    """The same as before where nothing was missed since, else a new one: the log of one has no gap."""
    known = note_of(data)
    status = await connection.fetchval(
        "select coalesce(wal_status, 'lost') from pg_replication_slots where slot_name = $1", SLOT
    )
    if status is not None and status != "lost" and known is not None and known.generation:
        if known.folder == wanted.folder:
            return known
    elif status == "lost":
        await connection.execute("select pg_drop_replication_slot($1)", SLOT)
        status = None
    if status is None:
        await connection.execute("select pg_create_physical_replication_slot($1, true)", SLOT)
    note = msgspec.structs.replace(
        wanted, generation=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    )
    write_kept(data / "backup.json", note)
    return note


def _run_basebackup(major: int, dsn: str, target: Path) -> None:
    done = subprocess.run(
        [
            str(binaries_of(major).folder / "pg_basebackup"),
            f"--pgdata={target}",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--manifest-checksums=SHA256",
            "--no-password",
        ],
        env=libpq_environment(dsn) | {"PGAPPNAME": "shuji_base_backup"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        umask=0o077,
        preexec_fn=die_with_owner(signal.SIGKILL),
    )
    if done.returncode != 0:
        raise BackupRefused(f"pg_basebackup failed: {done.stderr.strip()}")


async def _until_arrived(folder: Path, base: Base, tell: Callable[[str], None]) -> None:
    """Until the archive holds all that was committed when the base backup was whole."""
    wal = folder / "wal" / base.generation
    quiet_since, seen = datetime.now(UTC), ""
    tell("waiting for the log behind it")
    while (reached := read_kept(wal / "reached.json", Reached)) is None or reached.at < base.taken_at:
        now, last = datetime.now(UTC), max((path.name for path in wal.glob("0*")), default="")
        if last != seen:
            quiet_since, seen = now, last
        if (now - quiet_since).total_seconds() > ARRIVAL_S:
            raise BackupRefused(
                f"the base backup {base.name} is whole, but the log behind it does not arrive in {wal}: "
                "see backup.log in the data folder, and what the venue says"
            )
        await asyncio.sleep(0.1)


def prune(folder: Path, keep: int) -> None:
    """Base backups but the newest, and the log that only they needed. Delivered files stay."""
    found = bases(folder)
    if keep < 1 or len(found) <= keep:
        return
    kept = found[-keep:]
    for base in found[:-keep]:
        dying = folder / "base" / f".unfinished-{base.name}"
        (folder / "base" / base.name).rename(dying)
        shutil.rmtree(dying)
    needed = {
        generation: min(base.first_segment for base in kept if base.generation == generation)
        for generation in {base.generation: None for base in kept}
    }
    for wal in (folder / "wal").iterdir():
        if wal.name not in needed:
            shutil.rmtree(wal)
            continue
        for path in wal.glob("[0-9A-F]*"):
            if re.fullmatch("[0-9A-F]{24}", path.name) and path.name < needed[wal.name]:
                with suppress(FileNotFoundError):
                    path.unlink()
