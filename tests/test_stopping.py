"""A venue that is told to stop: it answers what is under way, says what it waits for, and hurries when told twice."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from exchange.parting import notify
from tests.story import Person, Venue, sha256_of

CONTENT = b"month,teu\n2026-01,1200\n"


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    running = Venue(tmp_path / "venue")
    yield running.start()
    running.close()


class Upload(threading.Thread):
    """A request whose second half comes when it is let go on."""

    def __init__(self, merchant: Person) -> None:
        super().__init__(daemon=True)
        self.half, self.go_on = threading.Event(), threading.Event()
        self.status = 0
        self.url = f"{merchant.venue.url}/v1/files"
        self.headers = {"Authorization": f"Bearer {merchant.token}"}

    def run(self) -> None:
        parameters = {"sha256": sha256_of(CONTENT), "name": "teu.csv"}
        try:
            self.status = httpx.put(
                self.url,
                params=parameters,
                headers=self.headers,
                content=self.halves(),
                timeout=30,
                trust_env=False,
            ).status_code
        except httpx.TransportError:
            self.status = -1

    def halves(self) -> Iterator[bytes]:
        yield CONTENT[:10]
        self.half.set()
        self.go_on.wait(30)
        yield CONTENT[10:]


def under_way(venue: Venue) -> Upload:
    """An upload that the venue has begun to take."""
    upload = Upload(venue.merchant())
    upload.start()
    assert upload.half.wait(10)
    wait_until(lambda: bool(list((venue.data / "files").glob("*/.upload-*"))))
    return upload


def wait_until(holds: object) -> None:
    assert callable(holds)
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_under_way_is_answered_and_said_each_second(venue: Venue) -> None:
    upload = under_way(venue)
    assert venue.process is not None
    venue.process.send_signal(signal.SIGTERM)
    wait_until(lambda: venue.said().count("requests under way 1") >= 2)
    assert "正在停止" in venue.said()
    upload.go_on.set()
    upload.join(20)
    assert upload.status == 201
    assert venue.process.wait(20) == 0
    assert "Stopped after" in venue.said()
    assert "Traceback" not in venue.said()


def test_a_second_signal_hurries(venue: Venue) -> None:
    upload = under_way(venue)
    assert venue.process is not None
    venue.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "waiting for: " in venue.said())
    begun = time.monotonic()
    venue.process.send_signal(signal.SIGINT)
    assert venue.process.wait(20) == 0
    assert time.monotonic() - begun < 5, "ten seconds are given to requests under way"
    upload.go_on.set()
    upload.join(20)
    assert upload.status != 201


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        venue = Venue(tmp_path / "venue").launch()
        try:
            told.append(ear.recv(1000).decode())
            assert told[0].startswith("READY=1\nSTATUS=answers at http")
            assert venue.is_ready()
            assert venue.stop() == 0
            assert ear.recv(1000).decode().startswith("STOPPING=1")
        finally:
            venue.close()


def test_where_nobody_listens_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "")
    notify("READY=1")
