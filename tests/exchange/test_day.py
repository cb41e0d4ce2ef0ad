"""A trading day: what it plants is its own, differences are found, and a seed gives one day, also through kill -9."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from clearing import notrade
from exchange.__main__ import main
from exchange.day import stalls
from exchange.day.expectation import Deal, Expectation, Fill, Line, NaiveBook, Outcome, Resting
from tests.story import ROOT, Venue, shuji

ORDERS = "400"


# ---- what is planted, without a venue


def book_of(*rows: tuple[int, str, str, int, int]) -> NaiveBook:
    return NaiveBook([Resting(*row) for row in rows])


def test_the_naive_book_takes_the_best_price_then_the_oldest() -> None:
    book = book_of((1, "a", "sell", 101, 5), (2, "b", "sell", 100, 5), (3, "c", "sell", 100, 5))
    assert book.take(Resting(4, "x", "buy", 101, 12), keeps=True) == [
        ("b", 5, 100),
        ("c", 5, 100),
        ("a", 2, 101),
    ]
    assert [(one.order, one.quantity) for one in book.resting] == [(1, 3)]


def test_the_naive_book_keeps_what_is_left_or_drops_it() -> None:
    book = book_of((1, "a", "buy", 99, 5))
    assert book.take(Resting(2, "x", "sell", 100, 3), keeps=False) == []
    assert book.take(Resting(3, "x", "sell", 99, 7), keeps=True) == [("a", 5, 99)]
    assert [(one.order, one.side, one.quantity) for one in book.resting] == [(3, "sell", 2)]
    book.cancel(3)
    assert book.resting == []


def test_nobody_meets_an_order_of_its_own_in_the_naive_book() -> None:
    book = book_of((1, "x", "sell", 100, 5), (2, "a", "sell", 99, 1))
    assert book.take(Resting(3, "x", "buy", 100, 9), keeps=True) == [("a", 1, 99)]
    assert [one.order for one in book.resting] == [1]


SETTLED = Outcome("placed", fills=(Fill("settled", 1, 100),))


@pytest.mark.parametrize(
    "seen",
    [
        Outcome("unlawful", ("A01",)),
        Outcome("placed", fills=(Fill("settled", 2, 100),)),
        Outcome("placed", fills=(Fill("settled", 1, 101),)),
        Outcome("placed", fills=(Fill("held", 1, 100, ("B11",)),)),
        Outcome("placed", fills=(Fill("settled", 1, 100),), rests=1),
        Outcome("placed"),
    ],
)
def test_another_outcome_is_a_difference(seen: Outcome) -> None:
    assert list(Expectation([Line("b", "s", SETTLED, SETTLED)]).differences()) == []
    [said] = Expectation([Line("b", "s", SETTLED, seen)]).differences()
    assert str(SETTLED) in said
    assert str(seen) in said


def test_the_wrong_rule_is_a_difference() -> None:
    lines = [Line("b", "s", Outcome("unlawful", ("A01",)), Outcome("unlawful", ("A01", "B01")))]
    assert len(list(Expectation(lines).differences())) == 1


def test_a_trade_that_ends_otherwise_is_a_difference() -> None:
    deal = Deal(1, "b", "m", "general", 1_000, "missed")
    day = Expectation(deals={"T1": deal}, ends={"T1": "refunded"})
    assert list(day.differences()) == []
    day.ends["T1"] = "completed"
    assert len(list(day.differences())) == 1
    del day.ends["T1"]
    assert len(list(day.differences())) == 1


def test_money_is_reckoned_with_fee_and_shares_rounded_down() -> None:
    """1,001 fen, fee of 2 % 20, remain 981, a third (33.33 %) of it 326; a refund moves nothing."""
    paid = Deal(1, "b", "m", "general", 1_001, "accepted", (("c", 3_333),))
    back = Deal(2, "b", "m", "general", 500, "rejected_twice")
    assert Expectation(deals={"T1": paid, "T2": back}).moved_fen() == {"b": -1_001, "m": 655, "c": 326}


def test_the_digest_follows_what_was_seen_and_the_grades() -> None:
    day = Expectation([Line("b", "s", SETTLED, SETTLED)])
    first = day.digest({"m": "M"})
    assert first == Expectation([Line("b", "s", SETTLED, SETTLED)]).digest({"m": "M"})
    assert first != day.digest({"m": "C"})
    assert first != Expectation([Line("b", "s", SETTLED, Outcome("placed"))]).digest({"m": "M"})


# ---- a day at a venue


def day(*arguments: str) -> dict[str, Any]:
    done = shuji("day", "--json", *arguments, seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def quiet() -> dict[str, Any]:
    return day("--seed", "spring", "--orders", ORDERS)


def test_a_day_comes_out_as_planted(quiet: dict[str, Any]) -> None:
    assert quiet["differences"] == []
    assert quiet["orders"] == int(ORDERS)
    assert min(quiet[name] for name in ("settled", "held", "delivered", "refunded", "released")) > 0
    assert quiet["grades"]["dishonest-1"] in ("C", "D")
    assert quiet["grades"]["honest-1"] in ("A", "B", "M")


def test_every_loaded_rule_is_met_or_has_a_guard(quiet: dict[str, Any]) -> None:
    named = {*quiet["refused_by_rule"], *quiet["held_by_rule"]}
    at_an_order = {rule.id for rule in notrade.load().rules.values() if rule.phases != ("post_trade",)}
    assert named | set(stalls.GUARDED) == at_an_order - set(stalls.UNPLANTED)
    assert quiet["unplanted"] == list(stalls.UNPLANTED)
    assert named & set(stalls.GUARDED) == set()
    assert quiet["guarded"].keys() == stalls.GUARDED.keys()
    assert min(quiet["guarded"].values()) > 0


def test_the_same_seed_is_the_same_day_through_kills(quiet: dict[str, Any]) -> None:
    killed = day("--seed", "spring", "--orders", ORDERS, "--kill", "2")
    assert killed["restarts"] >= 1
    assert killed["digest"] == quiet["digest"]


def test_two_days_in_one_venue_that_is_elsewhere(quiet: dict[str, Any], reachable_folder: Path) -> None:
    venue = Venue(reachable_folder / "two days").start()
    try:
        where = ("--url", venue.url, "--operator", str(venue.data / "operator.key"))
        first = day("--seed", "spring", "--orders", "120", *where)
        again = day("--seed", "spring", "--orders", "120", *where)
        assert [one["orders"] for one in (first, again)] == [120, 120]
        assert first["digest"] != quiet["digest"], "fewer orders are another day"
    finally:
        venue.close()
    assert shuji("verify", "--data", str(venue.data), seconds=120).returncode == 0


ROWS = [
    {"name": f"Tides of port {number}", "description": "High and low water", "url": "https://api.merchant.example",
     "price_usdc": price, "tags": ["ports"]}
    for number, price in enumerate(("0.005", "0.01", "2", "0.1"))
]  # fmt: skip


def imported_venue(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A data folder whose venue has these rows published, with the merchant's key in it."""
    venue = Venue(folder / "venue").start()
    try:
        venue.merchant()  # participants have other numbers than in the day's own order
        reviewer, merchant = venue.key_file(venue.reviewer()), venue.key_file(venue.merchant())
        merchant = merchant.rename(merchant.with_name("importer.key"))
        profile, file = folder / "profile.toml", folder / "rows.jsonl"
        profile.write_text(shuji("import", "--example-profile", "priced_api").stdout)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        place = (
            "--board",
            "general",
            "--merchant",
            str(merchant),
            "--reviewer",
            str(reviewer),
            "--url",
            venue.url,
        )
        done = shuji("import", str(file), *place, "--rate", "USDC=7.10", "--profile", str(profile), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        venue.close()
    return venue.data


def test_imported_listings_are_ordered_alike_however_they_are_numbered(reachable_folder: Path) -> None:
    told = []
    for name, rows in (("forth", ROWS), ("back", ROWS[::-1])):
        folder = reachable_folder / name
        folder.mkdir(mode=0o711)
        told.append(day("--seed", "tide", "--orders", "200", "--data", str(imported_venue(folder, rows))))
    assert [one["imported_listings"] for one in told] == [len(ROWS)] * 2
    assert told[0]["grades"].keys() > {"importer.key"}
    assert told[0]["digest"] == told[1]["digest"]


def test_a_day_that_is_told_to_stop_stops_its_venue(reachable_folder: Path) -> None:
    data = reachable_folder / "stopped"
    command = [
        sys.executable,
        "-m",
        "exchange",
        "day",
        "--seed",
        "1",
        "--orders",
        "5000",
        "--data",
        str(data),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while not (data / "operator.key").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert shuji("verify", "--data", str(data), seconds=120).returncode == 0


def test_live_data_is_refused(reachable_folder: Path) -> None:
    """Neither a venue elsewhere on the real clock, nor a folder whose venue has lived on it."""
    venue = Venue(reachable_folder / "live", "--no-sample", clean=False).start()
    try:
        where = ("--url", venue.url, "--operator", str(venue.data / "operator.key"))
        done = shuji("day", "--seed", "1", "--orders", "100", *where)
    finally:
        venue.close()
    assert done.returncode == 1
    assert "real clock" in done.stderr
    assert "真实时钟" in done.stderr
    done = shuji("day", "--seed", "1", "--orders", "100", "--data", str(venue.data))
    assert done.returncode == 1
    assert "simulated" in done.stderr


def test_a_wrongly_planted_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The venue runs in its own process, so that only the expectation is wrong."""
    changes: dict[str, dict[str, Any]] = {
        "state secret": {"rules": ("A02",)},
        "objection, never settled": {"hold": ""},
    }
    wrong = [dataclasses.replace(one, **changes.get(one.label, {})) for one in stalls.DEFECTS]
    monkeypatch.setattr(stalls, "DEFECTS", tuple(wrong))
    assert main(["day", "--seed", "1", "--orders", "80"]) == 1
    said = capsys.readouterr().out
    assert "planted unlawful A02; the venue says unlawful A01" in said
    assert "planted unlawful B11; the venue says placed [" in said
    assert "(accepted): planted completed, the venue says refused" in said, "nobody cured that hold"
    assert "与预设不符 differences: " in said


@pytest.mark.parametrize(
    "wrong",
    [
        ("--orders", "0"),
        ("--url", "http://127.0.0.1:1"),
        ("--url", "http://127.0.0.1:1", "--operator", "x.key", "--kill", "1"),
    ],
)
def test_what_cannot_be_is_said_at_once(wrong: tuple[str, ...]) -> None:
    assert main(["day", "--seed", "1", *wrong]) == 2
