"""Issue 3, load: what `make load` and `python -m loadtests.load` tell a person, and when they fail."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.story import ROOT

BROKEN = 1
VOID = 3
"""The exit where generator or machine were too slow for the run to count: not a pass, and no fault of the venue."""


def load(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtests.load", *arguments, "--report", str(folder / "report")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("load")
    return folder, load(folder, "--rate", "40", "--seconds", "6")


Short = tuple[Path, subprocess.CompletedProcess[str]]


def test_a_small_rate_passes_or_waits_are_the_machines(short: Short) -> None:
    """On a machine that does other things too waits may be broken or void; what is counted may not."""
    _, ran = short
    assert ran.returncode in (0, BROKEN, VOID), ran.stdout + ran.stderr
    broken = [line for line in ran.stdout.splitlines() if line.lstrip().startswith("BROKEN")]
    assert bool(broken) == (ran.returncode != 0), ran.stdout
    assert all(re.search("99 of 100|in time|CPU", line) for line in broken), ran.stdout


@pytest.mark.parametrize(
    "words",
    [
        "p99",
        "5xx.*: 0 ",
        "order to trade",
        "acknowledged and not there once: 0 ",
        "verify: clean",
        "order at a posted price",  # buyers
        "offer|delivery",  # merchants
        "halt|operations",  # operators
        "from when .* due",
    ],
)
def test_its_summary_speaks_of(short: Short, words: str) -> None:
    _, ran = short
    assert re.search(words, ran.stdout), ran.stdout


def test_it_draws_a_plot_and_leaves_a_page(short: Short) -> None:
    folder, ran = short
    drawn = [line for line in ran.stdout.splitlines() if re.search(r"[█▇▆▅▄▃▂▁⠁-⣿]|(\*|#|o) *\1", line)]
    assert len(drawn) >= 3, ran.stdout
    assert "<html" in next((folder / "report").glob("*.html")).read_text()


def test_a_rate_that_nothing_holds_does_not_pass(tmp_path: Path) -> None:
    """Broken or void, each with its reason, never 0."""
    ran = load(tmp_path, "--rate", "20000", "--seconds", "4")
    assert ran.returncode in (1, VOID), ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert re.search("BROKEN|VOID", ran.stdout), ran.stdout


def test_above_capacity_it_is_503_with_retry_after_and_stays_correct(tmp_path: Path) -> None:
    ran = load(tmp_path, "--overload", "--seconds", "6")
    assert ran.returncode in (0, VOID), ran.stdout + ran.stderr
    assert re.search(r"503", ran.stdout), ran.stdout
    assert "Retry-After" in ran.stdout, ran.stdout
    assert re.search("verify.*clean|clean", ran.stdout), ran.stdout


def test_make_load_takes_rate_and_seconds() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "load", "RATE=30", "SECONDS=3", "SHAPE=noon"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for given in ('--rate "30"', '--seconds "3"', '--shape "noon"'):
        assert given in told, told


@pytest.mark.parametrize("wrong", [("--rate", "many"), ("--shape", "midnight"), ("--seconds", "long")])
def test_nonsense_is_a_usage_error_at_once(tmp_path: Path, wrong: tuple[str, str]) -> None:
    ran = load(tmp_path, *wrong)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert wrong[0] in ran.stderr


def test_users_are_merchants_and_buyers_that_locust_finds() -> None:
    """A locust of any machine can be pointed at a venue: the file explains itself to it."""
    told = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = told.stdout + told.stderr
    for user in ("Merchant", "Buyer"):
        assert re.search(rf"^\s+{user}", listed, re.MULTILINE), listed
