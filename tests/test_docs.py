"""What README, docs and the decision records name is there: files, functions, commands, links, headings."""

import argparse
import ast
import contextlib
import io
import itertools
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from exchange.__main__ import _parser
from tests.document import ROOT, blocks, documents, headings, links, prose, quoted

ARCHITECTURE = ROOT / "docs" / "ARCHITECTURE.md"
RECORDS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
RECORD_HEADINGS = ["Context", "Decision", "Consequences", "Alternatives", "References"]
TOP = ("exchange", "clearing", "credit", "tests", "loadtests", "docs")
ENDINGS = (".py", ".md", ".sql", ".toml", ".txt", ".json")
NAMED_PATH = re.compile(rf"(?:{'|'.join(TOP)})/[\w./-]*")
COMMAND = re.compile(r"shuji (serve|migrate|verify|judge|key|sign|login|register|call)\b.*")
STATES = re.compile(r"`([a-z]+/\w+\.py):(\w+)`[^|\n]*\| ([a-z_, ]+) \|")

pages = pytest.mark.parametrize("page", documents(), ids=lambda page: page.relative_to(ROOT).as_posix())


@cache
def names_in(file: Path) -> frozenset[str]:
    """Top-level names of a module, and `Class.method`."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner}" for inner in _members(node)}
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(found)


def _members(node: ast.ClassDef) -> Iterator[str]:
    return (inner.name for inner in node.body if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef))


def named_paths(page: Path) -> Iterator[str]:
    """What the prose and the sketches name as a path of this checkout."""
    text = page.read_text(encoding="utf-8")
    for word in quoted(text):
        path = word.partition(":")[0]
        if path.startswith(tuple(f"{folder}/" for folder in TOP)) and " " not in path:
            yield path.rstrip("/")
    for block in blocks(text):
        if not block.language:
            yield from (path for path in NAMED_PATH.findall(block.text) if path.endswith(ENDINGS))


@pages
def test_every_path_is_there(page: Path) -> None:
    assert [path for path in named_paths(page) if not (ROOT / path).exists()] == []


@pages
def test_every_function_is_there(page: Path) -> None:
    missing = []
    for word in quoted(page.read_text(encoding="utf-8")):
        path, colon, name = word.partition(":")
        if colon and path.endswith(".py") and (ROOT / path).is_file() and name not in names_in(ROOT / path):
            missing.append(word)
    assert missing == []


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    inside = [link for link in links(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def commands(page: Path) -> Iterator[str]:
    """Lines of shell blocks that begin with `shuji`, continued lines joined."""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language in ("sh", "bash", "console"):
            for line in block.text.replace("\\\n", " ").splitlines():
                if (found := COMMAND.search(line)) is not None:
                    yield found[0]


def refused(command: str) -> str:
    """Why the parser does not take a command; empty where it does."""
    lexer = shlex.shlex(re.sub(r"<([\w ]+)>", r"\1", command), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words = list(itertools.takewhile(lambda word: not word or not set(word) <= set("();<>|&"), lexer))
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            _parser().parse_args(words[1:])
        except SystemExit:
            return f"{command}: {said.getvalue()}"
    return ""


@pages
def test_every_command_parses(page: Path) -> None:
    assert [why for command in commands(page) if (why := refused(command))] == []


def test_every_command_is_told() -> None:
    """The room of the command line lists the subcommands there are."""
    subcommands = next(
        action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
    ).choices
    room = next(
        line for line in prose(ARCHITECTURE.read_text(encoding="utf-8")).splitlines() if "__main__" in line
    )
    assert [command for command in subcommands if f"`{command}`" not in room] == []


@pages
def test_every_make_target_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = [block.text for block in blocks(text) if block.language in ("", "sh")] + quoted(text)
    named = [found for piece in told for found in re.findall(r"^make ([a-z]+)\b", piece, re.MULTILINE)]
    assert [target for target in named if target not in targets] == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_has_its_five_headings(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert headings(text, 2) == RECORD_HEADINGS
    number = int(record.name[:4])
    assert re.match(rf"# 0*{number}\b", text), "the title begins with the record's number"
    assert "**" in text.partition("## Decision")[2].partition("## ")[0], "the line to quote is bold"


def test_records_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_each_record_is_a_heading_of_the_architecture() -> None:
    """One heading a decision, and each ends at its record."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    linked = [link for link in links(text) if link.startswith("decisions/")]
    assert linked == [f"decisions/{record.name}" for record in RECORDS]
    decisions = text.partition("\n## Decisions\n")[2].partition("\n## ")[0]
    told = re.split(r"^### .*$", decisions, flags=re.MULTILINE)[1:]
    assert [piece for piece in told if len(links(piece)) != 1 or piece.count("**") != 2] == []


def test_each_life_has_the_states_that_are_told() -> None:
    """The states in the table of lives are those of the tables in the code."""
    told = STATES.findall(prose(ARCHITECTURE.read_text(encoding="utf-8")))
    assert len(told) >= 7
    for path, name, states in told:
        assert states_of(path, name) == {state.strip() for state in states.split(",")}, f"{path}:{name}"


def states_of(path: str, name: str) -> set[str]:
    """Every state a life's table begins or ends a step in."""
    module = __import__(path.removesuffix(".py").replace("/", "."), fromlist=[name])
    life = getattr(module, name)
    opening = getattr(module, name.replace("LIFE", "OPENING"), {}) if name.endswith("_LIFE") else {}
    return {state for state, _ in life} | set(life.values()) | set(opening.values())


def test_every_module_has_its_room() -> None:
    """Each module and package of the exchange, clearing and credit is in the table of rooms."""
    rooms = set(named_paths(ARCHITECTURE))
    modules = [
        path.relative_to(ROOT)
        for package in ("exchange", "clearing", "credit")
        for path in sorted((ROOT / package).glob("*.py"))
        if path.name not in ("__init__.py",)
    ]
    assert [module.as_posix() for module in modules if module.as_posix() not in rooms] == []
