"""Which tests tell the story of which rule: over HTTP, broken alone, and with a lawful twin.

A story is a row of a table that a test is parametrized with (`Row`), or a test that has the rule's id in its name and in
whose source that rule alone refuses, holds or is breached, and something passes. Nothing is listed here.
"""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

BREAKS: Final = ("unlawful", "held", "fell")
"""Calls that assert by exactly which rules something was refused or held."""
PASSES: Final = ("settled", "trade", "done")
"""Calls that assert that an order was settled, or an answer a success."""
PARAM: Final = type(pytest.param())
RULE: Final = re.compile(r"[A-Z]\d\d")

Test = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """A story in a table: the test that plays it breaks exactly this rule, and then plays the lawful twin."""

    rule: str


def modules() -> Iterator[ModuleType]:
    """All modules of acceptance tests."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        yield importlib.import_module(f"tests.acceptance.{path.stem}")


def tests_in(found: Iterable[ModuleType]) -> Iterator[Test]:
    for module in found:
        for name, value in vars(module).items():
            if name.startswith("test_") and inspect.isfunction(value) and value.__module__ == module.__name__:
                yield value


def told_by(test: Test) -> set[str]:
    """The rules whose stories this test tells."""
    rows = {row.rule for values in _parameters(test).values() for row in values if isinstance(row, Row)}
    return rows | (set(RULE.findall(test.__name__)) & _broken_alone(test))


def _parameters(test: Test) -> dict[str, list[Any]]:
    """Parameter: the values that the test is run with."""
    found: dict[str, list[Any]] = {}
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            names, values = mark.args[:2]
            single = isinstance(names, str)
            for number, name in enumerate([names] if single else names):
                found[name] = [_given(value, single)[number] for value in values]
    return found


def _given(value: Any, single: bool) -> Sequence[Any]:
    """One set of values: as `pytest.param` has it, or as it is written."""
    if isinstance(value, PARAM):
        return value.values
    return (value,) if single else tuple(value)


def _broken_alone(test: Test) -> set[str]:
    """Rules that some call of the source breaks alone; none where nothing passes."""
    calls = [node for node in ast.walk(_tree(test)) if isinstance(node, ast.Call)]
    if not any(_name(call) in PASSES for call in calls):
        return set()
    values = _parameters(test)
    found: set[str] = set()
    for call in calls:
        named = [each for each in (_rules_in(one, values) for one in call.args) if each]
        if _name(call) in BREAKS and len(named) == 1:
            found |= named[0]
    return found


def _tree(test: Test) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(test)))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _rules_in(argument: ast.expr, values: dict[str, list[Any]]) -> set[str]:
    """The rules that an argument may be: one that is written, or those that its parameter is run with."""
    said: list[Any] = []
    if isinstance(argument, ast.Constant):
        said = [argument.value]
    elif isinstance(argument, ast.Name):
        said = values.get(argument.id, [])
    return {one for one in said if isinstance(one, str) and RULE.fullmatch(one)}
