"""Issue 3, a trading day over what is there: a running venue, imported listings, kill -9, a venue that deviates."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.story import Venue, done, shuji

SEED, ORDERS = "acceptance", 80


def day(*more: str, status: int = 0, orders: int = ORDERS) -> dict[str, Any]:
    ran = shuji("day", "--seed", SEED, "--orders", str(orders), *more, "--json", seconds=240)
    assert ran.returncode == status, ran.stdout[-3000:] + ran.stderr[-3000:]
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def place(venue: Venue) -> tuple[str, ...]:
    return ("--url", venue.url, "--operator", str(venue.data / "operator.key"))


@pytest.fixture(scope="module")
def told(venue: Venue) -> dict[str, Any]:
    """What a day over a running venue says of itself."""
    answer = day(*place(venue))
    venue.clock_moves += 1
    return answer


def test_what_it_says_is_what_the_venue_says(venue: Venue, told: dict[str, Any]) -> None:
    assert told["differences"] == []
    trades = list(venue.operator.every("/v1/trades", limit=200))
    states = Counter(trade["state"] for trade in trades)
    assert states["refunded"] == told["refunded"]
    assert states["completed"] == told["completed"] > 0
    assert states["held"] == 0 or told["held"] > 0
    refused = {
        entry["rule"]
        for row in venue.operator.every("/v1/refusals", limit=200)
        for entry in row.get("violated", [])
    }
    assert len(refused) >= 10, "lawful in the main, and unlawful in many ways"
    assert refused <= set(told["refused_by_rule"]) | set(told["held_by_rule"])


def test_several_boards_and_merchants_of_several_grades(venue: Venue, told: dict[str, Any]) -> None:
    boards = {row["board"] for row in venue.operator.every("/v1/listings", limit=200)}
    assert len(boards) >= 3, boards
    assert len(set(told["grades"].values())) >= 2, "who is dishonest ends lower"
    for kind in ("honest", "careless", "dishonest"):
        assert any(name.startswith(kind) for name in told["grades"]), told["grades"]


def test_the_clock_was_moved_by_journaled_commands(venue: Venue, told: dict[str, Any]) -> None:
    auditor = venue.auditor()
    kinds = {json.dumps(entry) for entry in auditor.every("/v1/journal", limit=200)}
    assert any("Advance" in kind or "advance" in kind for kind in kinds)
    assert shuji("verify", "--data", str(venue.data), seconds=120).returncode == 0


def test_the_same_day_through_kill_9_in_the_middle(told: dict[str, Any], tmp_path: Path) -> None:
    """On a venue of its own, killed twice: the same as on a running one that was not."""
    data = tmp_path / "venue"
    killed = day("--data", str(data), "--kill", "2")
    assert killed["differences"] == []
    assert killed["digest"] == told["digest"]
    for count in ("settled", "held", "refused_by_rule", "delivered", "refunded", "grades"):
        assert killed[count] == told[count], count
    assert shuji("verify", "--data", str(data), seconds=120).returncode == 0


def test_a_venue_that_deviates_is_told_and_the_exit_is_1(tmp_path: Path) -> None:
    """A halted market settles nothing that was planted to settle."""
    venue = Venue(tmp_path / "venue").start()
    try:
        halt = {"scope": "market", "subject": "", "reason": "演练"}
        done(venue.operator.post("/v1/halts", halt))
        told = day(*place(venue), status=1, orders=20)
        assert told["differences"], told
        assert "halted" in json.dumps(told["differences"])
        venue.clock_moves += 1
        assert list(venue.operator.every("/v1/trades", limit=200)) == []
    finally:
        venue.close()


def test_a_running_venue_needs_its_operator(venue: Venue) -> None:
    ran = shuji("day", "--seed", SEED, "--orders", "5", "--url", venue.url)
    assert ran.returncode == 2
    assert "--operator" in ran.stderr


def test_a_day_over_imported_listings_trades_them(tmp_path: Path) -> None:
    data = tmp_path / "venue"
    venue = Venue(data).start()
    try:
        merchant, reviewer = venue.merchant(), venue.reviewer()
        profile, rows = tmp_path / "profile.toml", tmp_path / "rows.jsonl"
        profile.write_text(shuji("import", "--example-profile", "priced_api").stdout)
        rows.write_text(
            "".join(
                json.dumps(
                    {
                        "name": f"Tide tables {number}",
                        "description": "High and low water by port",
                        "url": f"https://api.merchant.example/{number}",
                        "price_usdc": "0.005",
                        "tags": ["ports"],
                    }
                )
                + "\n"
                for number in range(8)
            )
        )
        keys = ("--merchant", str(venue.key_file(merchant)), "--reviewer", str(venue.key_file(reviewer)))
        facts = ("--board", "general", "--profile", str(profile), "--rate", "USDC=7.10", "--url", venue.url)
        ran = shuji("import", str(rows), *keys, *facts)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        imported = {row["listing"] for row in merchant.every("/v1/listings", limit=200)}
        venue.stop()
        told = day("--data", str(data), orders=2 * ORDERS)
        assert told["differences"] == []
        venue.restart()
        traded = {trade["listing"] for trade in venue.operator.every("/v1/trades", limit=200)}
        assert imported & traded
        assert shuji("verify", "--data", str(data), seconds=120).returncode == 0
    finally:
        venue.close()
