"""`shuji restore`: a venue as it was at an instant, in a new data folder; the old one and the backup stay as they are.

    base backup at or before TIME ─> checked, copied ─> PostgreSQL replays the log up to TIME ─> its own password ─> named

All of it happens in a folder beside the new one, which gets its name at the very end. The restored venue has no key of
its own: who was signed in at the old one is not signed in here, and the old one's password opens no database here.
"""

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from exchange import archive
from exchange.archive import BackupRefused, Mark, Reached, read_kept
from exchange.backup import Base, bases
from exchange.postgres import (
    DatabaseUnavailable,
    Supervisor,
    lay_cluster,
    open_database,
    prepared_server,
)

SEGMENT: Final = re.compile("[0-9A-F]{24}")
SEGMENTS_A_LOG: Final = 256
"""Of 16 MB each: the last eight digits of a segment's name count up to here."""

SETTINGS: Final = "postgresql.auto.conf"

_SHORT: Final = "recovery ended before configured recovery target was reached"
_LAST: Final = re.compile(r"last completed transaction was at log time (\S+ \S+)")

_LOOKS: Final = 10
"""How often the log may change its names while it is copied."""


class Restored(msgspec.Struct, frozen=True):
    """What is in the new folder: everything committed up to `to`, or up to the archive's end.

    `last_at` is the last commit of the journal, by the venue's clock.
    """

    data: str
    base: str
    to: datetime | None
    sequence: int
    last_at: datetime | None


class _File(msgspec.Struct):
    path: str = msgspec.field(name="Path", default="")
    checksum: str = msgspec.field(name="Checksum", default="")
    encoded: str = msgspec.field(name="Encoded-Path", default="")


class _Manifest(msgspec.Struct):
    """What pg_basebackup says of every file."""

    files: list[_File] = msgspec.field(name="Files")


def choose(folder: Path, to: datetime | None) -> Base:
    """The newest base backup that is old enough. Raises BackupRefused with the instants that are possible."""
    if read_kept(folder / "archive.json", Mark) is None:
        raise BackupRefused(f"{folder} holds no backups of `shuji backup`")
    found = bases(folder)
    if not found:
        raise BackupRefused(f"{folder} has no base backup that is whole")
    fitting = [base for base in found if to is None or base.taken_at <= to]
    if not fitting:
        raise BackupRefused(
            f"{text_of(to)} lies before the oldest base backup: the first instant that can be restored is "
            f"{text_of(found[0].taken_at + timedelta(milliseconds=1))}"
        )
    return fitting[-1]


def text_of(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def segments(folder: Path, base: Base) -> list[Path]:
    """The log behind a base backup, whole segments and the last, partial one. Raises BackupRefused at a gap.

    The partial one is looked for first: it has its whole name in the second look where it was renamed between.
    """
    wal = folder / "wal" / base.generation
    partial = {path.stem: path for path in wal.glob("*.partial")}
    whole = {
        path.name: path
        for path in wal.iterdir()
        if SEGMENT.fullmatch(path.name) and path.name[8:] >= base.first_segment[8:]
    }
    found = partial | whole
    for earlier, later in pairwise(sorted(found)):
        if number_of(later) != number_of(earlier) + 1:
            raise BackupRefused(f"the log has a gap between {earlier} and {later} in {wal}")
    return [found[name] for name in sorted(found)]


def number_of(segment: str) -> int:
    return int(segment[8:16], 16) * SEGMENTS_A_LOG + int(segment[16:], 16)


def place_of(lsn: str) -> int:
    """A place in the log as PostgreSQL writes it, `0/3000148`, in bytes; 0 for none."""
    high, low = (lsn or "0/0").split("/")
    return (int(high, 16) << 32) + int(low, 16)


async def restore(folder: Path, to: datetime | None, data: Path, tell: Callable[[str], None]) -> Restored:
    """Raises BackupRefused where there is no such instant in the folder; then nothing is left of the attempt."""
    _check_new(data)
    if to is not None and to > datetime.now(UTC):
        raise BackupRefused(f"{text_of(to)} is still to come")
    base = choose(folder, to)
    segments(folder, base)
    tell(f"base backup {base.name}: checking it")
    check_base(folder, base)
    data.parent.mkdir(parents=True, exist_ok=True)
    scratch = data.with_name(f".{data.name}.restoring-{secrets.token_hex(4)}")
    scratch.mkdir(mode=0o700)
    try:
        restored = await _build(folder, base, to, scratch, tell)
        scratch.rename(data)
    except BaseException:
        _remove(scratch)
        raise
    archive.force_folder(data.parent)
    return msgspec.structs.replace(restored, data=str(data))


def _check_new(data: Path) -> None:
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BackupRefused(f"{data} is there already and not empty; name a new folder")


def _remove(scratch: Path) -> None:
    """With its cluster, where that lies elsewhere."""
    pointer = scratch / "postgres.location"
    if pointer.exists():
        shutil.rmtree(Path(json.loads(pointer.read_text())["cluster"]).parent, ignore_errors=True)
    shutil.rmtree(scratch, ignore_errors=True)


def check_base(folder: Path, base: Base) -> None:
    """Every file against the checksums taken with it (the wheel's pg_verifybackup crashes). Raises BackupRefused."""
    cluster = folder / "base" / base.name / "cluster"
    manifest = msgspec.json.decode((cluster / "backup_manifest").read_bytes(), type=_Manifest)
    for file in manifest.files:
        if file.encoded:
            continue  # a name that is not UTF-8: none of PostgreSQL's own
        try:
            with (cluster / file.path).open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise BackupRefused(
                f"the base backup {base.name} lacks {file.path} ({error.strerror})"
            ) from error
        if found != file.checksum:
            raise BackupRefused(
                f"the base backup {base.name} is damaged: {file.path} does not have its checksum"
            )


async def _build(
    folder: Path, base: Base, to: datetime | None, scratch: Path, tell: Callable[[str], None]
) -> Restored:
    home = folder / "base" / base.name / "cluster"
    tell("copying it, and the log behind it")
    # Noted before the log is copied: a running venue's goes on, and the copy has at least this much.
    reached = read_kept(folder / "wal" / base.generation / "reached.json", Reached)
    lay_cluster(scratch, lambda cluster: _fill(cluster, folder, base, to))
    with prepared_server(scratch) as supervisor:
        tell("replaying the log")
        _replay(supervisor, home, base, to, reached)
        supervisor.stop()
        shutil.copyfile(home / SETTINGS, supervisor.cluster / SETTINGS)
        supervisor.set_password()
    archive.copy_files(folder / "files", scratch / "files", {})
    async with open_database(scratch) as database:
        sequence, last_at = await _stands(database.dsn)
    return Restored("", base.name, to, sequence, last_at)


def _fill(cluster: Path, folder: Path, base: Base, to: datetime | None) -> None:
    """The base backup, the log where PostgreSQL looks for it, and until when to replay."""
    home = folder / "base" / base.name / "cluster"
    shutil.copytree(home, cluster, symlinks=True)
    _lay_log(folder, base, cluster / "pg_wal")
    _set_target(cluster, (home / SETTINGS).read_text(), to)
    (cluster / "recovery.signal").touch(mode=0o600)


def _lay_log(folder: Path, base: Base, target: Path) -> None:
    """A running venue's partial segment may get its whole name between the look and the copy: then another look."""
    laid: set[str] = set()
    for _ in range(_LOOKS):
        try:
            for path in segments(folder, base):
                if path.name not in laid:
                    _lay_segment(path, target / path.name.removesuffix(".partial"))
                    laid.add(path.name)
        except FileNotFoundError:
            continue
        return
    raise BackupRefused(f"the log in {folder} is being removed: is a `shuji backup --keep` under way?")


def _lay_segment(path: Path, target: Path) -> None:
    """Over the base backup's own of that name, which ends earlier."""
    shutil.copyfile(path, target)
    target.chmod(0o600)


def _set_target(cluster: Path, settings: str, to: datetime | None) -> None:
    """PostgreSQL wants a command that fetches the log; it finds all of it in place, so the command finds nothing.

    A hot standby would say that it is ready while it still replays.
    """
    lines = ["restore_command = 'false'", "recovery_target_timeline = 'current'", "hot_standby = off"]
    if to is not None:
        lines += [
            f"recovery_target_time = '{to.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'",
            "recovery_target_action = 'promote'",
        ]
    path = cluster / SETTINGS
    path.write_text("\n".join([settings, *lines, ""]))


def _replay(
    supervisor: Supervisor, home: Path, base: Base, to: datetime | None, reached: Reached | None
) -> None:
    """Up to `to`. Where the log ends before it, that is good only if nothing was committed between the two."""
    try:
        supervisor.start()
    except DatabaseUnavailable:
        if to is None or _SHORT not in _said(supervisor):
            raise
        _set_target(supervisor.cluster, (home / SETTINGS).read_text(), None)
        supervisor.start()
    else:
        if to is not None:
            return  # it met a commit behind `to`: nothing before that is missing
    _check_end(supervisor, base, to, reached)


def _check_end(supervisor: Supervisor, base: Base, to: datetime | None, reached: Reached | None) -> None:
    """PostgreSQL takes whatever it cannot read for the log's end. Raises BackupRefused where it was not the end."""
    commits = [datetime.fromisoformat(at) for at in _LAST.findall(_said(supervisor))]
    end, stands = max([base.taken_at, *commits]), _ended_at(supervisor.cluster)
    if reached is None or place_of(stands) >= place_of(reached.lsn):
        end = max(end, reached.at) if reached else end
        if to is not None and to > end:
            raise BackupRefused(
                f"{text_of(to)} lies behind the archive's end: the last instant that can be restored is "
                f"{end.astimezone(UTC).isoformat()}; without --to it is restored up to its end"
            )
    elif to is None or to > end:
        raise BackupRefused(
            f"the log is damaged, or a part of it is missing: it can be read up to {stands}, and the folder had it up to "
            f"{reached.lsn} ({text_of(reached.at)}). Bring back what is missing, or restore what was committed before "
            f"the damage: --to {end.astimezone(UTC).isoformat()}"
        )


def _said(supervisor: Supervisor) -> str:
    return (supervisor.data_dir / "postgres.log").read_text(errors="replace")


def _ended_at(cluster: Path) -> str:
    """Where recovery left the log for a line of its own: the end of the last record it could read."""
    history = max((cluster / "pg_wal").glob("*.history"))
    return history.read_text().splitlines()[-1].split("\t")[1]


async def _stands(dsn: str) -> tuple[int, datetime | None]:
    """The journal's last sequence and its instant; (0, None) where nothing was ever journaled."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        if await connection.fetchval("select to_regclass('journal')") is None:
            return 0, None
        row = await connection.fetchrow("select sequence, at_ns from journal order by sequence desc limit 1")
    finally:
        await connection.close()
    if row is None:
        return 0, None
    return row["sequence"], datetime.fromtimestamp(row["at_ns"] / 1e9, UTC)
