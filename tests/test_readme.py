"""The README is true: its own commands lead from an empty venue to one settled and one refused trade.

Every `sh` block is run as it stands, the first one in the background (it is the venue), the others one after the
other in one shell. The one command that must fail is the unlawful order, and what the README says it prints, it
prints.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

ROOT = Path(__file__).parent.parent
START_SECONDS = 60
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks_of(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return [content for kind, content in BLOCK.findall(text) if kind == language]


class Walk(NamedTuple):
    """A walk that has been done. `said` holds (standard output, standard error) of each block after the first."""

    folder: Path
    environment: dict[str, str]
    blocks: list[str]
    said: list[tuple[str, str]]
    failed: list[int]

    def block(self, part: str) -> int:
        """The number of the one block that holds this text."""
        (number,) = [number for number, block in enumerate(self.blocks) if part in block]
        return number

    def shuji(self, *arguments: str) -> str:
        return subprocess.run(
            ["shuji", *arguments],
            cwd=self.folder / ".shuji/walk",
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("a reader's folder")
    environment = environment_of(folder)
    first, *blocks = blocks_of("README.md", "sh")
    venue = start(first, folder, environment)
    try:
        yield follow(blocks, folder, environment)
        venue.send_signal(signal.SIGTERM)
        assert venue.wait(30) == 0, said_by(folder)
    finally:
        venue.kill()
        venue.wait()


def environment_of(folder: Path) -> dict[str, str]:
    """The reader's: `shuji` on the path, and a port that is free here."""
    door = folder / "bin"
    door.mkdir()
    command = door / "shuji"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m exchange "$@"\n')
    command.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    kept = {
        name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "TMPDIR", "SHUJI_STATE")
    }
    path = f"{door}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "PYTHONPATH": str(ROOT), "SHUJI_PORT": port}


def start(block: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """The venue, once it answers."""
    assert block.startswith("shuji serve ")
    assert block.count("\n") == 1
    with (folder / "venue.log").open("wb") as log:
        venue = subprocess.Popen(
            ["bash", "-c", f"exec {block}"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(environment["SHUJI_PORT"]):
        if venue.poll() is not None or time.monotonic() > deadline:
            venue.kill()
            pytest.fail(f"the venue did not start:\n{said_by(folder)}")
        time.sleep(0.05)
    return venue


def is_ready(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def said_by(folder: Path) -> str:
    return (folder / "venue.log").read_text(errors="replace")


def follow(blocks: list[str], folder: Path, environment: dict[str, str]) -> Walk:
    """Type the blocks into one shell; the shell itself notes in which of them a command ended other than with 0."""
    failed = folder / "failed"
    failed.touch()
    lines = ["set -u", f"FAILED={shlex.quote(str(failed))}", """trap 'echo "$BLOCK" >> "$FAILED"' ERR"""]
    for number, block in enumerate(blocks):
        out, err = (shlex.quote(str(folder / f"{number}.{kind}")) for kind in ("out", "err"))
        lines += [f"BLOCK={number}", "{", block, f"}} > {out} 2> {err}"]
    script = folder / "walk.sh"
    script.write_text("\n".join(lines))
    subprocess.run(["bash", str(script)], cwd=folder, env=environment, timeout=240, check=False)
    said = [
        ((folder / f"{number}.out").read_text(), (folder / f"{number}.err").read_text())
        for number in range(len(blocks))
    ]
    return Walk(folder, environment, blocks, said, [int(line) for line in failed.read_text().split()])


def test_only_the_unlawful_order_is_refused(walk: Walk) -> None:
    refused = walk.block('"purpose": "advertising"}\nEND')
    told = "\n".join(f"{number}: {walk.said[number][1]}" for number in walk.failed)
    assert walk.failed == [refused], told


def test_the_first_trade_settled_and_was_paid(walk: Walk) -> None:
    trade = ("call", "GET", "/v1/trades/T1", "--key", "buyer.key", "--pick")
    assert walk.shuji(*trade, "state") == "completed"
    assert walk.shuji(*trade, "amount_fen") == "100000"
    assert walk.shuji(*trade, "verdict.outcome") == "allow"
    accounts = ("call", "GET", "/v1/accounts/me", "--pick", "items.0.balance", "--key")
    assert walk.shuji(*accounts, "merchant.key") == "98000"
    assert walk.shuji(*accounts, "buyer.key") == "400000"
    folder = walk.folder / ".shuji/walk"
    assert (folder / "bought.csv").read_bytes() == (folder / "footfall.csv").read_bytes()


def test_the_second_was_refused_with_its_article(walk: Walk) -> None:
    said = walk.said[walk.block('"purpose": "advertising"}\nEND')][1]
    assert "422 unlawful" in said
    assert "B04" in said
    assert "依据 under 个人信息保护法23 " in said
    assert "依据 under 个人信息保护法6,14,23" in said
    kept = ("call", "GET", "/v1/refusals", "--key", "buyer.key", "--pick")
    assert "B04" in walk.shuji(*kept, "items.0")


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_what_the_page_says_is_printed_is_printed(walk: Walk, name: str) -> None:
    said = walk.said[walk.block('"purpose": "advertising"}\nEND')][1]
    shown = [block for block in blocks_of(name, "") if block.startswith("shuji: ")]
    assert shown == [said]


def test_verify_finds_the_venue_clean(walk: Walk) -> None:
    assert walk.said[walk.block("shuji verify")][0].splitlines()[-1].startswith("clean")


def test_both_languages_type_the_same_commands() -> None:
    assert blocks_of("README.md", "sh") == blocks_of("README.zh.md", "sh")


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_first_screen_has_the_two_commands(name: str) -> None:
    first_screen = (ROOT / name).read_text(encoding="utf-8").splitlines()[:24]
    assert any(line.startswith("make run") for line in first_screen)
    assert any(line.startswith("make test") for line in first_screen)


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_what_the_page_points_to_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [target for target in targets if not (ROOT / target).exists()] == []
