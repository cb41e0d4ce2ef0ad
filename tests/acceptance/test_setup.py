"""Issue, "Set-up" and the documents of "Done means": what a stranger finds in the clone.

Not here: `make install` itself in an empty environment. It lays packages for minutes; `make fresh` does it, and
`.ci/run` calls that.
"""

import os
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.story import ROOT, RULES, Venue, has_chinese

LOCKS = ("requirements.txt", "requirements-dev.txt")
PACKAGES = ("litestar", "msgspec", "asyncpg", "sortedcontainers")
DEVELOPMENT = ("pytest-asyncio", "locust")


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize(
    "target", ["run", "test", "install", "check", "bench", "chaos", "real", "fresh", "lock"]
)
def test_make_has_the_target(target: str) -> None:
    planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.strip()


@pytest.mark.parametrize(
    ("environment", "arguments", "flags"),
    [
        ({}, [], []),
        ({"HOST": "0.0.0.0", "PORT": "1", "DATA": "/elsewhere"}, [], []),  # noqa: S104  # what a shell exports
        ({"HOST": "workstation"}, ["PORT=9000"], ["--port", "9000"]),
        ({}, ["DATA=my data", "HOST=::1"], ["--data", "my data", "--host", "::1"]),
    ],
)
def test_make_run_listens_where_it_is_told_on_its_own_line(
    environment: dict[str, str], arguments: list[str], flags: list[str]
) -> None:
    planned = subprocess.run(
        ["make", "-n", "run", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [line for line in planned.stdout.splitlines() if "exchange serve" in line]
    assert shlex.split(line)[4:] == flags


@pytest.mark.parametrize("failing", ["", "check", "test", "fresh"])
def test_ci_run_makes_everything_and_ends_with_what_failed(tmp_path: Path, failing: str) -> None:
    """Run with a `make` that only writes down what it is called for, and fails for one target."""
    called = tmp_path / "called"
    stand_in = tmp_path / "make"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> "{called}"\n[ "$1" != "{failing}" ]\n')
    stand_in.chmod(0o755)
    (tmp_path / "npm").write_text("#!/bin/sh\n")
    (tmp_path / "npm").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run = subprocess.run([ROOT / ".ci/run"], cwd=tmp_path, env=environment, check=False)
    assert called.read_text().splitlines() == ["check", "test", "fresh"]
    assert run.returncode == bool(failing)


def test_make_check_runs_style_types_imports_and_house_rules() -> None:
    planned = subprocess.run(
        ["make", "-n", "check"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for tool in ("ruff", "mypy", "lint-imports", "house_rules"):
        assert tool in planned


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_has_hashes_and_no_addresses(lock: str) -> None:
    content = text_of(lock)
    assert {"hatchling", "editables"} <= pinned(lock).keys()
    assert [name for name, (_, hashes) in pinned(lock).items() if not hashes] == []
    assert "://" not in content
    assert not re.search(r"index-url|find-links|trusted-host", content)


def pinned(lock: str) -> dict[str, tuple[Version, list[str]]]:
    """Package: (its version, its hashes); each line of the lock belongs to one block."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", text_of(lock), flags=re.MULTILINE)
    assert blocks[0] == "" or blocks[0].startswith("#")
    found: dict[str, tuple[Version, list[str]]] = {}
    for block in blocks[1:]:
        requirement = Requirement(block.partition("\\")[0])
        [exact] = requirement.specifier
        assert exact.operator == "==", block
        found[canonicalize_name(requirement.name)] = (
            Version(exact.version),
            re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block),
        )
    return found


@pytest.mark.parametrize(
    ("lock", "groups"), [("requirements.txt", ["build"]), ("requirements-dev.txt", ["build", "dev"])]
)
def test_the_lock_pins_what_the_project_asks_for(lock: str, groups: list[str]) -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    asked = [
        *project["dependencies"],
        *(one for group in groups for one in project["optional-dependencies"][group]),
    ]
    versions = pinned(lock)
    assert len(asked) > 10
    for requirement in map(Requirement, asked):
        version, _ = versions[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, f"{requirement}: {lock} has {version}"


def test_the_lock_holds_the_packages_that_the_issue_names() -> None:
    for package in PACKAGES:
        assert re.search(rf"^{package}==", text_of("requirements.txt"), re.MULTILINE), package
    for package in PACKAGES + DEVELOPMENT:
        assert re.search(rf"^{package}==", text_of("requirements-dev.txt"), re.MULTILINE), package


def test_no_lock_with_index_addresses_is_committed() -> None:
    committed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {Path(line).name for line in committed.stdout.splitlines()}
    assert not names & {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock"}


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in text_of("LICENSE")
    assert "Version 2.0, January 2004" in text_of("LICENSE")
    assert tomllib.loads(text_of("pyproject.toml"))["project"]["license"] == "Apache-2.0"


def test_the_package_asks_for_python_3_11_and_offers_the_command() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert "shuji" in project["scripts"]


def test_the_readmes_say_in_their_first_screen_what_to_type() -> None:
    for name in ("README.md", "README.zh.md"):
        first_screen = "\n".join(text_of(name).splitlines()[:40])
        assert "make run" in first_screen, name
        assert "make test" in first_screen, name
    assert has_chinese(text_of("README.zh.md")[:400])


@pytest.mark.parametrize("name", ["docs/ARCHITECTURE.md", "docs/ONE_ORDER.md", "docs/RULES.md"])
def test_the_document_is_there(name: str) -> None:
    assert len(text_of(name)) > 1_000


def test_the_page_of_rules_names_each_first_rule() -> None:
    page = text_of("docs/RULES.md")
    assert [rule for rule in RULES if rule not in page] == []
    assert has_chinese(page)


def test_decisions_are_recorded_in_five_headings() -> None:
    records = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert records
    for record in records:
        content = record.read_text().lower()
        for heading in ("context", "decision", "consequences", "alternatives", "references"):
            assert re.search(rf"^#+ .*{heading}", content, re.MULTILINE), f"{record.name}: {heading}"


def test_a_golden_journal_is_kept() -> None:
    assert any((ROOT / "tests/golden").iterdir())


@pytest.mark.parametrize(
    ("script", "option"), [("chaos", "--rounds"), ("bench", "--quick"), ("real_listings", "--data")]
)
def test_there_is_a_script_for_chaos_speed_and_real_input(script: str, option: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", f"loadtests.{script}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert option in told.stdout


def test_a_start_prints_what_to_do_next(venue: Venue) -> None:
    assert venue.url in venue.said()
    assert "shuji" in venue.said()


def test_a_first_start_says_that_it_made_an_operator_key(venue: Venue) -> None:
    assert "operator.key" in venue.said()
    assert stat.S_IMODE((venue.data / "operator.key").stat().st_mode) == 0o600


def test_the_mode_of_the_parent_is_left_alone(venue: Venue) -> None:
    assert stat.S_IMODE(venue.data.parent.stat().st_mode) == 0o700


def test_a_second_start_works_from_a_path_with_a_space_under_0700(venue: Venue) -> None:
    key = (venue.data / "operator.key").read_bytes()
    assert venue.stop() == 0
    venue.restart()
    assert (venue.data / "operator.key").read_bytes() == key
    assert " " in str(venue.data)


def test_the_sample_catalogue_is_loaded_once_into_an_empty_venue(tmp_path: Path) -> None:
    sampled = Venue(tmp_path / "sampled", clean=False)
    try:
        sampled.start()
        first = sampled.http.get("/v1/catalogue", params={"limit": 100}).json()["items"]
        assert len(first) >= 3
        assert {item["board"] for item in first} >= {"general", "computing"}
        for name in ("sample-merchant.key", "sample-buyer.key", "sample-reviewer.key"):
            assert stat.S_IMODE((sampled.data / name).stat().st_mode) == 0o600
        assert sampled.stop() == 0
        sampled.restart()
        again = sampled.http.get("/v1/catalogue", params={"limit": 100}).json()["items"]
        assert [item["listing"] for item in again] == [item["listing"] for item in first]
    finally:
        sampled.close()
