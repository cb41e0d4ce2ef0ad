"""The bytes that merchants deliver, kept in the data folder under their owner and their hash.

A file is written under a temporary name, hashed as it arrives, forced to disk, and only then named; so whatever has
its final name is whole. A file belongs to the merchant who uploaded it: knowing a hash gives nobody the bytes.
"""

import asyncio
import hashlib
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from exchange.events import Refused
from exchange.web.pattern import whole
from exchange.web.problem import Refusing

LARGEST_FILE: Final = 1 << 30
READ_BYTES: Final = 1 << 18
WRITE_BYTES: Final = 1 << 20
LEAST_WEIGHT: Final = 1 << 16
"""Bytes that the smallest file counts as, so that nobody fills the disk with names."""
COUNT_BYTES: Final = 16 << 20
"""After so many bytes of an upload its folder is counted again."""
BYTES: Final = "application/octet-stream"
MEDIA_TYPE: Final = whole("[a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+")

_IS_MEDIA_TYPE: Final = re.compile(MEDIA_TYPE).match


def place_of(folder: Path, participant: str, sha256: str) -> Path:
    return folder / participant / sha256


def stored_size(folder: Path, participant: str, sha256: str) -> int | None:
    """Size in bytes, or None where this participant has no such file."""
    try:
        return place_of(folder, participant, sha256).stat().st_size
    except OSError:
        return None


def remove_unfinished(folder: Path) -> None:
    """Uploads that a stop cut off; called at start."""
    for leftover in folder.glob("*/.upload-*"):
        leftover.unlink(missing_ok=True)


def held(home: Path) -> dict[str, int]:
    """What every file of a merchant's folder weighs, by its name; uploads under way included."""
    try:
        with os.scandir(home) as entries:
            return {entry.name: size for entry in entries if (size := _weight(entry)) is not None}
    except FileNotFoundError:
        return {}


def _weight(entry: "os.DirEntry[str]") -> int | None:
    """None for what has gone meanwhile: an upload that was named, or given up."""
    try:
        return max(entry.stat().st_size, LEAST_WEIGHT)
    except FileNotFoundError:
        return None


def older_than(folder: Path, seconds: float) -> dict[str, list[Path]]:
    """Participant: their files last written before this instant (of the machine, since the epoch)."""
    found: dict[str, list[Path]] = {}
    for path in folder.glob("*/*"):
        if path.stat().st_mtime < seconds:
            found.setdefault(path.parent.name, []).append(path)
    return found


async def store(
    folder: Path, participant: str, sha256: str, chunks: AsyncIterator[bytes], room: int = sys.maxsize
) -> int:
    """Keep the bytes under the hash they really have, which must be the one announced. Gives the size.

    `room`: what the participant's folder may weigh in all, this upload included.
    """
    home = folder / participant
    await asyncio.to_thread(_make, home)
    temporary = home / f".upload-{secrets.token_hex(8)}"
    try:
        size, digest = await _write(temporary, chunks, room)
        if digest != sha256:
            raise Refusing(Refused.file_mismatch, f"the bytes have the SHA-256 {digest}")
        await asyncio.to_thread(_name, temporary, home / sha256)
    finally:
        await asyncio.to_thread(temporary.unlink, missing_ok=True)
    return size


def _make(home: Path) -> None:
    """The merchant's folder; a new one is forced into the folder above, or a power cut takes it with all in it."""
    try:
        home.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return
    _force_folder(home.parent)


async def _write(path: Path, chunks: AsyncIterator[bytes], room: int) -> tuple[int, str]:
    """(size, sha256) of what arrived; it is on disk then. Disk and hash work off the event loop."""
    digest, size, waiting, counted = hashlib.sha256(), 0, bytearray(), 0
    file = await asyncio.to_thread(path.open, "xb")
    try:
        async for chunk in chunks:
            waiting += chunk
            size += len(chunk)
            if len(waiting) >= WRITE_BYTES:
                await asyncio.to_thread(_take, file, digest, bytes(waiting))
                waiting.clear()
            if size - counted >= COUNT_BYTES:
                counted = size
                await asyncio.to_thread(_check_room, path.parent, room)
        await asyncio.to_thread(_take, file, digest, bytes(waiting))
        await asyncio.to_thread(_force, file)
        await asyncio.to_thread(_check_room, path.parent, room)
    finally:
        await asyncio.to_thread(file.close)
    return size, digest.hexdigest()


def _check_room(home: Path, room: int) -> None:
    if sum(held(home).values()) > room:
        raise Refusing(
            Refused.too_large,
            "too much of yours waits for its delivery: deliver it, or wait until the venue removes what is a week old",
        )


def _take(file: BinaryIO, digest: "hashlib._Hash", content: bytes) -> None:
    digest.update(content)
    file.write(content)


def _force(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _name(temporary: Path, final: Path) -> None:
    """Rename and force the folder, so that the name survives a power cut too."""
    temporary.replace(final)
    _force_folder(final.parent)


def _force_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def media_type(declared: str) -> str:
    """As a header may have it, whatever was stored: what is no media type is bytes."""
    return declared if _IS_MEDIA_TYPE(declared) else BYTES


def disposition(name: str) -> str:
    """Content-Disposition (RFC 6266, RFC 8187): only ASCII letters, digits and `%` of the name are left."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


async def read(path: Path) -> AsyncIterator[bytes]:
    """The bytes of a stored file, a quarter of a MiB at a time."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, READ_BYTES):
            yield chunk
    finally:
        file.close()
