"""The runbook and the unit are true: every command in them is there and parses, and systemd takes the unit."""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange import __main__
from exchange.web.routes import OPERATIONS

ROOT = Path(__file__).parent.parent
RUNBOOK = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
UNIT = ROOT / "docs" / "shuji.service"


def commands_of(text: str) -> Iterator[list[str]]:
    """The words after `shuji` of each command in a block or in backticks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(
        r"`(shuji [a-z][^`\n]*)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    )
    for line in [*"".join(blocks).splitlines(), *inline]:
        words = shlex.split(line, comments=True)
        for number, word in enumerate(words):
            if (word == "shuji" and number == 0) or word.endswith("/bin/shuji"):
                yield words[number + 1 :]
                break


def subcommands() -> dict[str, argparse.ArgumentParser]:
    actions = __main__._parser()._actions
    return next(dict(one.choices) for one in actions if isinstance(one, argparse._SubParsersAction))


COMMANDS = list(commands_of(RUNBOOK))
OUR_OWN = [
    "backup",
    "call",
    "key",
    "login",
    "migrate",
    "recover-operator",
    "restore",
    "serve",
    "sign",
    "verify",
]


def test_the_runbook_is_read() -> None:
    assert sorted({words[0] for words in COMMANDS} & set(OUR_OWN)) == OUR_OWN


@pytest.mark.parametrize("words", [words for words in COMMANDS if len(words) > 1], ids=" ".join)
def test_every_command_parses(words: list[str]) -> None:
    arguments = __main__._parse(words)
    assert callable(arguments.run)


def test_every_command_named_is_there() -> None:
    assert {words[0] for words in COMMANDS} - subcommands().keys() == set()


def names(template: str, path: str) -> bool:
    """Whether a path is one of the template's."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[:1] == ["call"]], ids=" ".join)
def test_every_call_is_an_operation(words: list[str]) -> None:
    arguments = __main__._parse(words)
    of_method = [one for one in OPERATIONS if one.method == arguments.method]
    literally = [one for one in of_method if one.path == arguments.path]
    (operation,) = literally or [one for one in of_method if names(one.path, arguments.path)]
    if arguments.body:
        assert isinstance(json.loads(arguments.body), dict)
    assert operation.asks is not None or not arguments.body


def unit_setting(name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1, name
    return str(found[0])


def test_the_unit_starts_the_venue() -> None:
    words = shlex.split(unit_setting("ExecStart"))
    assert words[0].endswith("/bin/shuji")
    assert __main__._parse(words[1:]).run is __main__.run_serve
    assert unit_setting("Type") == "notify"
    assert unit_setting("KillMode") == "mixed"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    here = tmp_path / "shuji.service"
    text = UNIT.read_text(encoding="utf-8")
    here.write_text(text.replace("/opt/shuji/.venv/bin/shuji", str(Path(sys.executable).parent / "shuji")))
    said = subprocess.run(
        ["systemd-analyze", "verify", here], capture_output=True, text=True, check=False, env={**os.environ}
    )
    ours = [line for line in said.stderr.splitlines() if "shuji" in line]
    assert (said.returncode, ours) == (0, [])
