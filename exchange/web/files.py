"""The bytes that merchants deliver, kept in the data folder under their owner and their hash.

A file is written under a temporary name, hashed as it arrives, forced to disk, and only then named; so whatever has
its final name is whole. A file belongs to the merchant who uploaded it: knowing a hash gives nobody the bytes.
"""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from exchange.events import Refused
from exchange.web.operation import whole
from exchange.web.problem import Refusing

LARGEST_FILE: Final = 1 << 30
READ_BYTES: Final = 1 << 18
WRITE_BYTES: Final = 1 << 20
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


async def store(folder: Path, participant: str, sha256: str, chunks: AsyncIterator[bytes]) -> int:
    """Keep the bytes under the hash they really have, which must be the one announced. Gives the size."""
    home = folder / participant
    await asyncio.to_thread(home.mkdir, mode=0o700, parents=True, exist_ok=True)
    temporary = home / f".upload-{secrets.token_hex(8)}"
    try:
        size, digest = await _write(temporary, chunks)
        if digest != sha256:
            raise Refusing(Refused.file_mismatch, f"the bytes have the SHA-256 {digest}")
        await asyncio.to_thread(_name, temporary, home / sha256)
    finally:
        await asyncio.to_thread(temporary.unlink, missing_ok=True)
    return size


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
    """(size, sha256) of what arrived; it is on disk then. Disk and hash work off the event loop."""
    digest, size, waiting = hashlib.sha256(), 0, bytearray()
    file = await asyncio.to_thread(path.open, "xb")
    try:
        async for chunk in chunks:
            waiting += chunk
            size += len(chunk)
            if len(waiting) >= WRITE_BYTES:
                await asyncio.to_thread(_take, file, digest, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(_take, file, digest, bytes(waiting))
        await asyncio.to_thread(_force, file)
    finally:
        await asyncio.to_thread(file.close)
    return size, digest.hexdigest()


def _take(file: BinaryIO, digest: "hashlib._Hash", content: bytes) -> None:
    digest.update(content)
    file.write(content)


def _force(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _name(temporary: Path, final: Path) -> None:
    """Rename and force the folder, so that the name survives a power cut too."""
    temporary.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
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
