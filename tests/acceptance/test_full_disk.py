"""Issue, "Bad input and faults": a full disk. Nothing acknowledged is lost, and with room the venue goes on by itself.

The venue's data folder is a file system of its own, a small one in memory; it takes root to mount it. A ballast file
fills it under load. Where only tables need room, PostgreSQL refuses statements; where its write-ahead log does, it
ends itself, and does not come up again before there is room.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from tests.acceptance.test_faults import Loader, check_every_order_once, clean, under_load, wait_for
from tests.story import Venue, done, refused, sha256_of

DISK_BYTES = 224 << 20
FULL_SECONDS = 7
"""Longer than the engine asks its callers to be patient."""


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """A file system of its own in this folder, which PostgreSQL's user can enter."""
    options = f"size={size},mode=0711"
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "shuji-test", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {tried.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def disk(reachable_folder: Path) -> Iterator[Path]:
    folder = reachable_folder / f"disk {time.monotonic_ns()}"
    folder.mkdir()
    with mounted(folder, DISK_BYTES):
        yield folder
    folder.rmdir()


@pytest.fixture
def venue(disk: Path) -> Iterator[Venue]:
    running = Venue(disk)
    try:
        yield running.start()
    finally:
        running.close()


def fill(disk: Path) -> Path:
    """A file that takes all the room there is, while others take it too."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 20)):
                pass
        except OSError:
            return ballast
    raise AssertionError("the disk has no end")


def wait_until(what: str, is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@contextmanager
def full(disk: Path, venue: Venue, loaders: list[Loader]) -> Iterator[None]:
    """The disk is full, and orders have been answered with 503 for a while."""
    ballast = fill(disk)
    try:
        wait_until("a venue that says so", lambda: not venue.is_ready())
        before = [len(loader.uncertain) for loader in loaders]
        wait_until(
            "the answers to what was under way",
            lambda: all(len(loader.uncertain) > known for loader, known in zip(loaders, before, strict=True)),
        )
        acknowledged = sum(len(loader.acknowledged) for loader in loaders)
        ends = time.monotonic() + FULL_SECONDS
        yield
        time.sleep(max(0.0, ends - time.monotonic()))
        assert sum(len(loader.acknowledged) for loader in loaders) == acknowledged, "answered without room"
        assert all(loader.uncertain for loader in loaders)
    finally:
        ballast.unlink()


def test_tables_without_room(venue: Venue, disk: Path) -> None:
    listing, process = venue.listing(venue.merchant(), price_fen=10), venue.pid
    with under_load(venue, listing) as loaders:
        wait_for(loaders, 20)
        with full(disk, venue, loaders):
            assert venue.http.get("/readyz").json()["database"] == "not answering"
        wait_for(loaders, 20)
    assert venue.pid == process
    venue.wait_until_ready()
    check_every_order_once(venue, loaders)
    clean(venue)


async def use_up_the_log(venue: Venue) -> None:
    """Go on to segments of the write-ahead log that are not there yet, until PostgreSQL ends over it."""
    connection = await asyncpg.connect(venue.database)
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        while True:
            await connection.execute("SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()")
    connection.terminate()


async def test_a_log_without_room(venue: Venue, disk: Path) -> None:
    listing, process, servers = (
        venue.listing(venue.merchant(), price_fen=10),
        venue.pid,
        venue.postgres_pids(),
    )
    with under_load(venue, listing) as loaders:
        wait_for(loaders, 20)
        with full(disk, venue, loaders):
            await use_up_the_log(venue)
            wait_until("a start without room", lambda: "PostgreSQL did not start" in venue.said())
        wait_for(loaders, 20)
    assert "No space left on device" in (disk / "postgres.log").read_text()
    assert venue.pid == process
    venue.wait_until_ready()
    assert venue.postgres_pids() != servers
    check_every_order_once(venue, loaders)
    clean(venue)


def test_an_upload_without_room(venue: Venue) -> None:
    """Only the files have no room: the database is not to blame, and nothing is left of the upload."""
    merchant, content = venue.merchant(), bytes(4 << 20)
    folder = venue.data / "files"
    with mounted(folder, 1 << 20):
        problem = refused(venue.upload(merchant, content, sha256_of(content)), 503, "storage_unavailable")
        assert problem["detail"].startswith("the disk is full: nothing was stored")
        assert list((folder / merchant.participant).iterdir()) == []
        done(venue.upload(merchant, content[:1000], sha256_of(content[:1000])), 201)
