"""Issue 3, run it for years: a restore to an instant between two trades, keys in turn, a stop that drains."""

import datetime
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.story import Person, Venue, done, parsed, sha256_of, shuji


@pytest.fixture(scope="module")
def venue(folder: Path) -> Iterator[Venue]:
    """On the machine's clock, by which `restore --to` goes."""
    running = Venue(folder, "--no-sample", clean=False)
    try:
        yield running.start()
    finally:
        running.close()


def trades_of(venue: Venue) -> set[str]:
    return {str(row["trade"]) for row in venue.operator.every("/v1/trades", limit=200)}


def verified(data: Path) -> subprocess.CompletedProcess[str]:
    return shuji("verify", "--data", str(data), seconds=120)


def reached(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("reached.json"))


# ---- restore


@pytest.fixture(scope="module")
def story(venue: Venue, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A backup; then a trade, an instant, another trade; then the venue is killed and its folder gone."""
    folder = tmp_path_factory.mktemp("backup") / "folder"
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    first = venue.trade(buyer, listing)
    ran = shuji("backup", "--data", str(venue.data), "--to", str(folder), seconds=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    second = venue.trade(buyer, listing)
    balance = buyer.balance
    between = datetime.datetime.now(datetime.UTC) + datetime.timedelta(milliseconds=50)
    while datetime.datetime.now(datetime.UTC) < between + datetime.timedelta(milliseconds=50):
        pass
    third = venue.trade(buyer, listing)
    before = {first, second}
    archived = time.monotonic() + 60
    while not any(
        parsed(found) > between + datetime.timedelta(seconds=2)
        for found in re.findall(r"20\d\d-\d\d-\d\dT[^\"]+", reached(folder))
    ):
        assert time.monotonic() < archived, reached(folder)
        time.sleep(0.1)
    return {
        "folder": folder,
        "between": between.isoformat(),
        "before": before,
        "third": third,
        "buyer": buyer,
        "balance": balance,
        "venue": venue,
    }


@contextmanager
def restored(story: dict[str, Any], to: Path, *when: str) -> Iterator[Venue]:
    ran = shuji("restore", "--from", str(story["folder"]), *when, "--data", str(to), seconds=180)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    clean = verified(to)
    assert clean.returncode == 0, clean.stdout
    (to / "operator.key").write_bytes((story["venue"].data / "operator.key").read_bytes())
    again = Venue(to, "--no-sample", clean=False)
    try:
        yield again.start()
    finally:
        again.close()


def test_restored_to_an_instant_between_two_trades(story: dict[str, Any], tmp_path: Path) -> None:
    """What was before is there with its money, what was after never happened, and trading goes on."""
    with restored(story, tmp_path / "restored", "--to", story["between"]) as again:
        assert trades_of(again) == story["before"]
        buyer = Person(again, story["buyer"].key, participant=story["buyer"].participant)
        assert buyer.balance == story["balance"]
        listing = again.read_trade(next(iter(story["before"])), buyer)["listing"]
        assert again.trade(buyer, listing) not in story["before"]
        again.stop()
        assert verified(again.data).returncode == 0


def test_restored_to_the_end_after_kill_9_has_all(story: dict[str, Any], tmp_path: Path) -> None:
    story["venue"].kill()
    try:
        with restored(story, tmp_path / "restored") as again:
            assert trades_of(again) == {*story["before"], story["third"]}
    finally:
        story["venue"].restart()


def test_a_restore_leaves_backup_and_old_folder_as_they_are(story: dict[str, Any], tmp_path: Path) -> None:
    taken = trades_of(story["venue"])
    for name in ("one", "two"):
        to = ("--to", story["between"], "--data", str(tmp_path / name))
        ran = shuji("restore", "--from", str(story["folder"]), *to, seconds=180)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert trades_of(story["venue"]) == taken


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "2026-11-25T13:05:00"])
def test_an_instant_that_is_none_or_has_no_zone_is_refused(
    story: dict[str, Any], tmp_path: Path, text: str
) -> None:
    to = ("--to", text, "--data", str(tmp_path / "new"))
    ran = shuji("restore", "--from", str(story["folder"]), *to)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "--to" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_without_a_backup_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = shuji("restore", "--from", str(tmp_path / "empty"), "--data", str(tmp_path / "new"))
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
    assert str(tmp_path / "empty") in ran.stderr
    assert not (tmp_path / "new").exists()


def test_keys_are_not_in_the_backup(story: dict[str, Any]) -> None:
    secret = json.loads((story["venue"].data / "operator.key").read_text())["private_key"].encode()
    names = {path.name for path in story["folder"].rglob("*")}
    assert not names & {"operator.key", "token.key"}
    plain = [
        path for path in story["folder"].rglob("*") if path.is_file() and path.stat().st_size < 1_000_000
    ]
    assert not any(secret in path.read_bytes() for path in plain)


# ---- keys in turn


def test_the_operator_takes_a_new_key_and_the_old_one_opens_nothing(venue: Venue) -> None:
    old, fresh = venue.holder_of("operator.key"), venue.stranger()
    text = f"shuji-key:{old.participant}:{fresh.public_key}"
    body = {"public_key": fresh.public_key, "signature": fresh.sign(text), "old_signature": old.sign(text)}
    token = old.token
    done(old.post("/v1/participants/me/key", body), 200)
    bearer = {"Authorization": f"Bearer {token}"}
    assert venue.http.get("/v1/operations", headers=bearer).status_code == 401
    fresh.participant = old.participant
    done(fresh.get("/v1/operations"), 200)
    fresh.keep(venue.data / "operator.key")
    venue.stop()
    venue._operator = None
    venue.restart()
    done(venue.operator.get("/v1/operations"), 200)
    with pytest.raises(AssertionError, match="401"):
        Person(venue, old.key, participant=old.participant).sign_in()


# ---- a stop that drains


@pytest.fixture
def stopping(tmp_path: Path) -> Iterator[Venue]:
    """A venue for the test that stops it."""
    running = Venue(tmp_path / "venue").start()
    try:
        yield running
    finally:
        running.close()


def begun_upload(venue: Venue, merchant: Person, content: bytes) -> socket.socket:
    """A file of which the last byte is still to come."""
    door = socket.create_connection(("127.0.0.1", venue.port), timeout=30)
    head = (
        f"PUT /v1/files?sha256={sha256_of(content)}&name=teu.csv HTTP/1.1",
        f"Host: 127.0.0.1:{venue.port}",
        f"Authorization: Bearer {merchant.token}",
        f"Content-Length: {len(content)}",
        "Connection: close",
    )
    door.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + content[:-1])
    return door


def test_a_stop_says_what_it_waits_for_and_lets_it_end(stopping: Venue) -> None:
    venue = stopping
    content = b"month,teu\n2026-01,1200\n"
    with begun_upload(venue, venue.merchant(), content) as door:
        venue.http.get("/readyz")
        known = len(venue.said())
        assert venue.process is not None
        venue.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 15
        while not re.search(r"wait|等", venue.said()[known:]):
            assert time.monotonic() < deadline, venue.said()[known:]
            assert venue.process.poll() is None, "it went without what it should have waited for"
            time.sleep(0.02)
        door.sendall(content[-1:])
        assert door.recv(4096).startswith(b"HTTP/1.1 201"), "what was begun is answered"
    assert venue.process.wait(30) == 0
    venue.process = None
    venue.restart()
    assert verified(venue.data).returncode == 0


def test_whoever_comes_while_it_stops_is_sent_away(stopping: Venue) -> None:
    venue = stopping
    """Refused at the door or with 503, never answered as done and then lost."""
    listing, buyer = venue.listing(venue.merchant()), venue.buyer()
    buyer.token  # noqa: B018 - signed in before the stop
    content = b"month,teu\n2026-02,1300\n"
    with begun_upload(venue, venue.merchant(), content):
        assert venue.process is not None
        answered: list[str] = []
        venue.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while venue.process.poll() is None and time.monotonic() < deadline:
            try:
                answer = venue.order(buyer, listing)
            except httpx.TransportError:  # the door is closed
                break
            if answer.status_code == 503:
                break
            answered.append(done(answer, 201)["order"])
    assert venue.process.wait(60) == 0
    venue.process = None
    venue.restart()
    kept = {row["order"] for row in buyer.every("/v1/orders", limit=200)}
    assert set(answered) <= kept


# ---- PostgreSQL's major version


def test_data_of_this_version_have_nothing_to_upgrade(stopping: Venue) -> None:
    listing = stopping.listing(stopping.merchant())
    stopping.stop()
    ran = shuji("upgrade-postgresql", "--data", str(stopping.data), seconds=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "18" in ran.stdout + ran.stderr
    stopping.restart()
    assert stopping.state_of(listing) == "published"


def test_a_running_venue_is_not_upgraded_under_its_feet(venue: Venue) -> None:
    ran = shuji("upgrade-postgresql", "--data", str(venue.data))
    assert ran.returncode not in (0, 2), ran.stdout
    assert "stop" in ran.stderr.lower()
    assert venue.is_ready()


@pytest.mark.parametrize(
    "command",
    ["recover-operator", "backup", "upgrade-postgresql"],
)
def test_no_venue_is_told_as_such(tmp_path: Path, command: str) -> None:
    nothing = tmp_path / "nothing here"
    more = ("--to", str(tmp_path / "folder")) if command == "backup" else ()
    ran = shuji(command, "--data", str(nothing), *more)
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
    assert str(nothing) in ran.stderr
    assert not nothing.exists(), "looking at it makes none"
