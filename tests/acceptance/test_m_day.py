"""Issue 5, "Done means": `shuji day` plays every mechanism, and is the same day every time.

What the checks expect of `shuji day --json`; more members are welcome: mechanisms: {name: how many trades it came to}.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_m_docs import MECHANISMS
from tests.story import shuji

ORDERS = 30


def day(data: Path, **environment: str) -> dict[str, Any]:
    asked = ("--seed", "5", "--orders", str(ORDERS), "--data", str(data), "--json")
    ran = shuji("day", *asked, seconds=300, **environment)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("day") / "venue"


@pytest.fixture(scope="module")
def told(data: Path) -> dict[str, Any]:
    return day(data, PYTHONHASHSEED="1")


def test_a_day_plays_every_mechanism(told: dict[str, Any]) -> None:
    played = told["mechanisms"]
    assert [name for name in MECHANISMS if not played.get(name)] == []
    assert told["differences"] == []


def test_a_day_plays_every_board(told: dict[str, Any]) -> None:
    """`boards`: {name: how many trades}."""
    assert len([board for board, trades in told["boards"].items() if trades]) >= 7


def test_what_it_leaves_is_what_the_journal_says(told: dict[str, Any], data: Path) -> None:
    assert shuji("verify", "--data", str(data), seconds=120).returncode == 0


def test_the_same_day_under_another_hash_seed(told: dict[str, Any], tmp_path: Path) -> None:
    """Determinism: nothing depends on the order of sets or on the process."""
    assert day(tmp_path / "venue", PYTHONHASHSEED="2")["digest"] == told["digest"]
