"""The restore drill: trade, back up, trade on, kill -9, restore to the minute before, verify, trade again."""

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from exchange.archive import BackupRefused, _may_cut_a_record
from exchange.backup import Base, bases
from exchange.postgres import running_dsn
from exchange.restore import _lay_log, number_of, segments
from exchange.upkeep import read_instant
from tests.story import ROOT, Person, Venue, done, shuji


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    running = Venue(tmp_path / "venue")
    yield running.start()
    running.close()


def text_of(at: datetime) -> str:
    return at.isoformat()


def trades_of(buyer: Person) -> list[str]:
    return sorted(trade["trade"] for trade in buyer.every("/v1/trades"))


def at(venue: Venue, person: Person) -> Person:
    """The same person at another venue: it signs in there."""
    return Person(venue, person.key, person.participant)


def reached(folder: Path) -> datetime | None:
    """Up to when the folder says it has everything."""
    marks = sorted((folder / "wal").glob("*/reached.json"))
    return datetime.fromisoformat(json.loads(marks[-1].read_text())["at"]) if marks else None


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_until_reached(folder: Path, at: datetime) -> None:
    wait_for(lambda: (reached(folder) or datetime.min.replace(tzinfo=UTC)) >= at)


def restored(folder: Path, data: Path, to: datetime | None) -> Venue:
    """Restored, verified, and running again with the operator's key brought back."""
    when = ("--to", text_of(to)) if to else ()
    run = shuji("restore", "--from", str(folder), *when, "--data", str(data), "--json")
    assert run.returncode == 0, run.stderr
    checked = shuji("verify", "--data", str(data), "--json")
    assert json.loads(checked.stdout) == {"clean": True, "findings": []}, checked.stderr
    return Venue(data)


def serving_again(again: Venue, operator_key: bytes) -> Venue:
    """The venue's person brings the key from where it was kept."""
    key = again.data / "operator.key"
    key.write_bytes(operator_key)
    key.chmod(0o600)
    return again.start()


def test_restored_to_the_minute_before(venue: Venue, tmp_path: Path) -> None:
    folder = tmp_path / "kept elsewhere"
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant, price_fen=10)
    before = [venue.trade(buyer, listing) for _ in range(3)]
    taken = shuji("backup", "--data", str(venue.data), "--to", str(folder), "--json")
    assert taken.returncode == 0, taken.stderr
    assert 0 <= done(venue.operator.get("/v1/operations"), 200)["backup_age_seconds"] < 30
    before += [venue.trade(buyer, listing) for _ in range(3)]
    venue.hand_over(merchant, before[0])
    noted = datetime.now(UTC)
    after = [venue.trade(buyer, listing) for _ in range(3)]
    wait_until_reached(folder, datetime.now(UTC))
    token, operator_key = buyer.token, (venue.data / "operator.key").read_bytes()
    venue.kill()

    again = restored(folder, tmp_path / "new", noted)
    assert not list(again.data.glob("*.key*"))
    serving_again(again, operator_key)
    try:
        old_token = again.http.get("/v1/trades", headers={"Authorization": f"Bearer {token}"})
        assert old_token.status_code == 401
        there = at(again, buyer)
        assert trades_of(there) == sorted(before)
        assert again.trade(there, listing) == after[0], "numbers are given again, as the runbook says"
        assert again.stop() == 0
    finally:
        again.close()

    whole = restored(folder, tmp_path / "whole", None)
    serving_again(whole, operator_key)
    try:
        assert trades_of(at(whole, buyer)) == sorted(before + after)
    finally:
        whole.close()


def test_what_cannot_be_restored_is_refused_with_what_can(venue: Venue, tmp_path: Path) -> None:
    folder, new = tmp_path / "backups", tmp_path / "new"
    early = datetime.now(UTC)
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    assert venue.stop() == 0

    def refusal(*to: str) -> str:
        run = shuji("restore", "--from", str(folder), *to, "--data", str(new))
        assert run.returncode in (1, 2), run.stdout
        assert "Traceback" not in run.stderr
        assert list(tmp_path.glob("*new*")) == [], "nothing is left of the attempt"
        return run.stderr

    first = json.loads(next((folder / "base").glob("*/backup.json")).read_text())["taken_at"]
    assert first[:19] in refusal("--to", text_of(early)), "the first instant that is possible"
    late = datetime.now(UTC)
    end = reached(folder)
    assert end is not None
    told = re.search(r"the last instant that can be restored is (\S+);", refusal("--to", text_of(late)))
    assert told is not None
    # A commit of the stop itself may lie behind the archive's note; milliseconds are told.
    assert end - timedelta(milliseconds=1) <= datetime.fromisoformat(told[1]) < late
    assert "still to come" in refusal("--to", text_of(late + timedelta(days=1)))
    assert "zone" in refusal("--to", "2026-11-25T13:05:00")
    between = restored(folder, new, end)
    assert between.data.is_dir()


def test_a_quiet_stopped_venue_is_backed_up_and_its_archive_goes_on(venue: Venue, tmp_path: Path) -> None:
    folder, other = tmp_path / "backups", tmp_path / "other"
    buyer, listing = venue.buyer(), venue.listing(venue.merchant(), price_fen=10)
    assert venue.stop() == 0
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    venue.restart()
    trade = venue.trade(buyer, listing)
    assert venue.stop() == 0
    ended = datetime.now(UTC)
    again = shuji("backup", "--data", str(venue.data), "--to", str(folder), "--keep", "1", "--json")
    assert again.returncode == 0, again.stderr
    only = bases(folder)
    assert [base.name for base in only] == [json.loads(again.stdout)["name"]]
    assert only[0].taken_at > ended
    assert len(list((folder / "wal").iterdir())) == 1, "the log went on without a gap"
    assert min(path.name[:24] for path in segments(folder, only[0])) >= only[0].first_segment
    new = restored(folder, tmp_path / "new", None)
    refused = shuji("backup", "--data", str(new.data), "--to", str(folder))
    assert refused.returncode == 1
    assert "name another folder" in refused.stderr
    assert shuji("backup", "--data", str(new.data), "--to", str(other)).returncode == 0
    operator_key = (venue.data / "operator.key").read_bytes()
    serving_again(new, operator_key)
    try:
        assert trades_of(at(new, buyer)) == [trade]
    finally:
        new.close()


def test_only_its_owner_reads_a_backup_and_no_key_is_in_it(venue: Venue, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    venue.complete(
        merchant := venue.merchant(), buyer := venue.buyer(), venue.trade(buyer, venue.listing(merchant))
    )
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    wait_until_reached(folder, datetime.now(UTC))
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
    assert list((folder / "files").glob("*/*")) != []
    secret = json.loads((venue.data / "operator.key").read_text())["private_key"].encode()
    password = (venue.data / "postgres.password").read_bytes().strip()
    token_key = (venue.data / "token.key").read_bytes()
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert [held for held in (secret, password, token_key) if held in content] == [], path


def test_a_folder_that_is_away_hinders_nobody_and_catches_up(venue: Venue, tmp_path: Path) -> None:
    folder, away = tmp_path / "backups", tmp_path / "away"
    buyer, listing = venue.buyer(), venue.listing(venue.merchant(), price_fen=10)
    assert done(venue.operator.get("/v1/operations"), 200)["backup_age_seconds"] is None
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    folder.rename(away)
    wait_for(lambda: "falls behind" in venue.said())
    missed = datetime.now(UTC)
    trade = venue.trade(buyer, listing)
    away.rename(folder)
    wait_until_reached(folder, missed + timedelta(milliseconds=1))
    assert "has all again" in venue.said()
    venue.kill()
    new = serving_again(restored(folder, tmp_path / "new", None), (venue.data / "operator.key").read_bytes())
    try:
        assert trades_of(at(new, buyer)) == [trade]
    finally:
        new.close()


def test_a_disk_that_hangs_hinders_nobody(venue: Venue, tmp_path: Path) -> None:
    folder, aside = tmp_path / "backups", tmp_path / "archive.json"
    buyer, listing = venue.buyer(), venue.listing(venue.merchant(), price_fen=10)
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    mark = folder / "archive.json"
    mark.rename(aside)
    os.mkfifo(mark)  # whoever reads it hangs
    wait_for(lambda: "does not answer" in venue.said())
    missed = datetime.now(UTC)
    venue.trade(buyer, listing)
    assert done(venue.operator.get("/v1/operations"), 200)["backup_age_seconds"] >= 5
    content = aside.read_bytes()
    with mark.open("wb") as hung:
        aside.replace(mark)
        hung.write(content)
    wait_until_reached(folder, missed + timedelta(milliseconds=1))
    wait_for(lambda: "has all again" in venue.said())


def test_a_hung_disk_does_not_hold_up_a_stop(venue: Venue, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    (folder / "archive.json").unlink()
    os.mkfifo(folder / "archive.json")
    wait_for(lambda: "does not answer" in venue.said())
    assert venue.stop() == 0


def test_a_killed_backup_leaves_nothing_that_looks_whole(venue: Venue, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    command = [sys.executable, "-m", "exchange", "backup", "--data", str(venue.data), "--to", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as killed:
        wait_for(lambda: bool(list(folder.glob("base/.unfinished-*/cluster"))))
        killed.kill()
    assert bases(folder) == []
    refused = shuji("restore", "--from", str(folder), "--data", str(tmp_path / "new"))
    assert refused.returncode == 1
    assert "no base backup that is whole" in refused.stderr
    again = shuji("backup", "--data", str(venue.data), "--to", str(folder))
    assert again.returncode == 0, again.stderr
    assert len(bases(folder)) == 1
    assert list(folder.glob("base/.unfinished-*")) == []


def test_another_folder_ends_the_first_and_says_so(venue: Venue, tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"

    def backup(folder: Path) -> "subprocess.CompletedProcess[str]":
        return shuji("backup", "--data", str(venue.data), "--to", str(folder))

    assert "from now on" not in backup(first).stderr
    run = backup(other)
    assert run.returncode == 0, run.stderr
    assert f"from now on the log goes to {other}; {first} ends at 20" in run.stderr
    for inside in (venue.data / "backups", first / "backups"):
        refused = backup(inside)
        assert refused.returncode == 1
        assert "lies inside" in refused.stderr
        assert not inside.exists()


def test_a_damaged_base_backup_is_refused(venue: Venue, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    largest = max(
        (path for path in folder.glob("base/*/cluster/base/*/*")), key=lambda path: path.stat().st_size
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    refused = shuji("restore", "--from", str(folder), "--data", str(tmp_path / "new"))
    assert refused.returncode == 1
    assert largest.name in refused.stderr
    assert not (tmp_path / "new").exists()


def test_a_gap_in_the_log_is_refused(tmp_path: Path) -> None:
    wal = tmp_path / "wal" / "g"
    wal.mkdir(parents=True)
    for name in ("0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"):
        (wal / name).touch()
    now = datetime.now(UTC)
    base = Base("b", "g", 18, "0000000100000000000000FF", now, now, 0)
    assert [path.name[-2:] for path in segments(tmp_path, base)] == ["FF", "00"]
    (wal / "000000010000000100000001.partial").touch()
    assert [path.name[22:] for path in segments(tmp_path, base)] == ["FF", "00", "01.partial"]
    (wal / "000000010000000100000000").rename(tmp_path / "lost")
    with pytest.raises(BackupRefused, match="gap"):
        segments(tmp_path, base)
    (tmp_path / "lost").rename(wal / "000000010000000100000000")
    (wal / "000000010000000100000003").touch()
    with pytest.raises(BackupRefused, match="gap"):
        segments(tmp_path, base)


def test_a_segment_that_gets_its_name_during_the_copy_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal, target = tmp_path / "wal" / "g", tmp_path / "new"
    wal.mkdir(parents=True)
    target.mkdir()
    (wal / "000000010000000000000001").write_text("whole")
    (wal / "000000010000000000000002.partial").write_text("half")
    now = datetime.now(UTC)
    base = Base("b", "g", 18, "000000010000000000000001", now, now, 0)
    copy = shutil.copyfile

    def copy_while_the_log_goes_on(source: Path, into: Path) -> None:
        if source.suffix and source.exists():
            source.unlink()
            source.with_suffix("").write_text("whole too")
        copy(source, into)

    monkeypatch.setattr(shutil, "copyfile", copy_while_the_log_goes_on)
    _lay_log(tmp_path, base, target)
    assert sorted((path.name[-1], path.read_text()) for path in target.iterdir()) == [
        ("1", "whole"),
        ("2", "whole too"),
    ]


async def next_segment(data: Path) -> None:
    connection = await asyncpg.connect(running_dsn(data))
    await connection.execute("select pg_switch_wal()")
    await connection.close()


@pytest.mark.parametrize(
    ("lsn", "behind", "cuts"),
    [
        ("0/5003408", 900, False),
        ("0/5002000", 24, False),
        ("0/5002000", 32, True),
        ("0/5000000", 40, False),
        ("0/5000000", 48, True),
        ("1F/5000000", 0, False),
    ],
)
def test_a_flush_to_the_end_of_a_page_may_cut_a_record(lsn: str, behind: int, cuts: bool) -> None:
    """Behind a page that is full the next record goes behind the header of the next one."""
    assert _may_cut_a_record(lsn, behind) == cuts


def test_a_venue_that_stands_still_behind_a_whole_segment_does_not_fall_behind(
    venue: Venue, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    asyncio.run(next_segment(venue.data))
    wait_until_reached(folder, datetime.now(UTC))


def test_a_log_that_is_damaged_or_short_is_refused(venue: Venue, tmp_path: Path) -> None:
    folder, new = tmp_path / "backups", tmp_path / "new"
    buyer, listing = venue.buyer(), venue.listing(venue.merchant(), price_fen=10)
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    first = venue.trade(buyer, listing)
    asyncio.run(next_segment(venue.data))
    second = venue.trade(buyer, listing)
    asyncio.run(next_segment(venue.data))
    third = venue.trade(buyer, listing)
    noted = datetime.now(UTC)
    wait_until_reached(folder, noted)
    venue.kill()
    *_, middle, last, partial = segments(folder, bases(folder)[0])
    assert partial.suffix == ".partial"

    def refusal(*to: str) -> str:
        run = shuji("restore", "--from", str(folder), *to, "--data", str(new))
        assert (run.returncode, run.stdout) == (1, "")
        assert list(tmp_path.glob("*new*")) == [], "nothing is left of the attempt"
        return run.stderr

    whole = last.read_bytes()
    last.write_bytes(
        whole[:64] + bytes(8128) + whole[8192:]
    )  # records begin behind the header of the first page
    refusal()
    told = re.search(r"--to (\S+)$", refusal("--to", text_of(noted)).strip())
    assert told is not None, "it says what can be had"
    there = serving_again(
        restored(folder, tmp_path / "before", datetime.fromisoformat(told[1])),
        (venue.data / "operator.key").read_bytes(),
    )
    try:
        found = trades_of(at(there, buyer))
        assert first in found
        assert third not in found
    finally:
        there.close()
    last.unlink()
    assert "gap" in refusal()
    partial.unlink()
    assert "missing" in refusal()
    assert "missing" in refusal("--to", text_of(noted))
    for missing, content in ((last, whole), (middle, middle.read_bytes())):
        missing.write_bytes(content)
    assert "missing" in refusal(), "without the partial one"
    assert second


def test_a_quiet_venue_is_restored_to_an_instant(venue: Venue, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    assert venue.stop() == 0
    assert shuji("backup", "--data", str(venue.data), "--to", str(folder)).returncode == 0
    between = bases(folder)[0].taken_at + timedelta(milliseconds=1)
    end = reached(folder)
    assert end is not None
    assert between <= end
    assert restored(folder, tmp_path / "new", between).data.is_dir()


def test_instants_and_segments_are_read() -> None:
    assert read_instant("2026-11-25T21:05:00+08:00") == datetime(2026, 11, 25, 13, 5, tzinfo=UTC)
    assert number_of("000000020000000100000002") == 258
