"""`shuji serve` as a process: it comes up, says what to do next, survives being killed, and ends cleanly."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parent.parent
START_SECONDS = 60
Start = Callable[..., "Process"]


class Process:
    """One `shuji serve` on a data folder; what it says is kept."""

    def __init__(self, data: Path, port: int, *options: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.out, self.err = data.parent / f"{port}.out", data.parent / f"{port}.err"
        command = [
            sys.executable,
            "-m",
            "exchange",
            "serve",
            "--data",
            str(data),
            "--port",
            str(port),
            *options,
        ]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.child = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err, env=buffered)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not holds():
            assert self.child.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.err.read_text()
            time.sleep(0.02)

    def is_told(self) -> bool:
        return "http" in self.err.read_text() and bool(self.out.read_text())

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path, timeout=10, trust_env=False).json()

    def end(self, number: signal.Signals) -> int:
        self.child.send_signal(number)
        return self.child.wait(30)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data of a venue"


@pytest.fixture
def start(data: Path) -> Iterator[Start]:
    started: list[Process] = []

    def begin(*options: str) -> Process:
        started.append(Process(data, free_port(), "--json", *options))
        return started[-1]

    yield begin
    for process in started:
        process.child.kill()
        process.child.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def shuji(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exchange", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def processes_of(data: Path) -> list[str]:
    """Command lines of the PostgreSQL servers that run on this folder's cluster."""
    pointer = data / "postgres.location"
    cluster = json.loads(pointer.read_text())["cluster"] if pointer.exists() else str(data / "postgres")
    return [line for line in command_lines() if cluster in line]


def command_lines() -> list[str]:
    """Of all processes; without `ps` where the system has /proc, because small images lack it."""
    if not Path("/proc/self/cmdline").exists():
        return subprocess.run(
            ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_to_do_next_and_ends_when_told(start: Start, data: Path, number: signal.Signals) -> None:
    venue = start("--no-sample")
    venue.wait_until(venue.is_told)
    told = json.loads(venue.out.read_text())
    assert told["url"] == venue.url
    assert told["operator_key"] == str(data / "operator.key")
    assert (data / "operator.key").stat().st_mode & 0o777 == 0o600
    said = venue.err.read_text()
    assert str(data / "operator.key") in said
    assert "call GET /v1/venue" in said
    assert processes_of(data) != []
    assert venue.end(number) == 0
    assert processes_of(data) == []
    assert "Traceback" not in venue.err.read_text()


def test_killed_while_the_sample_comes_in_it_is_whole_after_the_next_start(start: Start, data: Path) -> None:
    first = start()
    first.wait_until((data / "sample-buyer.key").exists)
    first.end(signal.SIGKILL)
    second = start()
    second.wait_until(second.is_told)
    assert json.loads(second.out.read_text())["sample"] is True
    second.end(signal.SIGKILL)
    third = start()
    third.wait_until(third.is_told)
    items = third.get("/v1/catalogue?limit=100")["items"]
    assert len(items) == len({item["title"] for item in items}) == 6
    checked = shuji("verify", "--data", str(data), "--json")
    assert json.loads(checked.stdout) == {"clean": True, "findings": []}
    assert third.end(signal.SIGTERM) == 0


def test_what_it_tells_people_to_type_works(start: Start, data: Path) -> None:
    venue = start()
    venue.wait_until(venue.is_told)
    order = ("call", "POST", "/v1/orders", "--url", venue.url, "--key", str(data / "sample-buyer.key"))
    settled = shuji(*order, '{"listing":"L1","quantity":1}', "--pick", "trades.0.state")
    assert settled.stdout == "settled\n", settled.stderr
    refused = shuji(*order, '{"listing":"L3","quantity":1000,"purpose":"advertising"}')
    assert refused.returncode == 1
    assert "B04" in refused.stderr
    assert all(line in venue.err.read_text() for line in ('"listing":"L1"', '"purpose":"advertising"'))


def test_json_logs_are_json_in_every_line(start: Start) -> None:
    venue = start("--log", "json", "--json")
    venue.wait_until(lambda: bool(venue.out.read_text()))
    venue.get("/v1/venue?q=1")
    assert venue.end(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in venue.err.read_text().splitlines()]
    asked = [line for line in lines if line.get("path") == "/v1/venue"]
    assert [(line["status"], bool(line["request_id"])) for line in asked] == [(200, True)]


def test_a_taken_port_is_one_line_and_touches_nothing(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = shuji("serve", "--data", str(data), "--port", port)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "--port" in run.stderr
    assert not data.exists()


def test_a_second_venue_on_the_same_folder_is_one_line(start: Start, data: Path) -> None:
    venue = start("--no-sample")
    venue.wait_until(venue.is_told)
    run = shuji("serve", "--data", str(data), "--port", str(free_port()))
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert venue.child.poll() is None
    migrated = shuji("migrate", "--data", str(data), "--json")
    assert json.loads(migrated.stdout) == {"applied": []}


def test_a_standby_takes_over_when_the_writer_is_killed(start: Start, data: Path, database_dsn: str) -> None:
    writer = start("--no-sample", "--dsn", database_dsn)
    writer.wait_until(writer.is_told)
    refused = shuji("serve", "--data", str(data), "--port", str(free_port()), "--dsn", database_dsn)
    assert refused.returncode == 1
    assert "--standby" in refused.stderr
    standby = start("--no-sample", "--dsn", database_dsn, "--standby")
    standby.wait_until(lambda: "standing by" in standby.err.read_text())
    assert not standby.is_told()
    writer.end(signal.SIGKILL)
    standby.wait_until(standby.is_told)
    assert standby.get("/readyz")["status"] == "ready"


def test_a_standby_that_is_told_to_stop_stops(start: Start, database_dsn: str) -> None:
    writer = start("--no-sample", "--dsn", database_dsn)
    writer.wait_until(writer.is_told)
    standby = start("--no-sample", "--dsn", database_dsn, "--standby")
    standby.wait_until(lambda: "standing by" in standby.err.read_text())
    assert standby.end(signal.SIGTERM) == 0
    assert writer.get("/readyz")["status"] == "ready"
