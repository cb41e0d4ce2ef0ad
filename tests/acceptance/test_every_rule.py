"""Issue 4: "each of the 88 by a story over HTTP ..., with a lawful twin that passes": none is left out."""

from collections.abc import Iterable
from typing import Any

import pytest

from clearing import notrade
from tests.acceptance import storybook, test_counters, test_rule_stories, test_rules
from tests.acceptance.storybook import Row, Test, told_by
from tests.acceptance.test_rule_stories import STORIES
from tests.story import settled, unlawful

RULES = list(notrade.load().rules)
TESTS = list(storybook.tests_in(storybook.modules()))


def untold(rules: Iterable[str], tests: Iterable[Test]) -> list[str]:
    told = {rule for test in tests for rule in told_by(test)}
    return [rule for rule in rules if rule not in told]


def test_every_rule_of_the_rulebook_has_its_story() -> None:
    assert len(RULES) == 88
    assert untold(RULES, TESTS) == []


def test_a_rule_that_is_added_without_a_story_is_missed() -> None:
    assert untold([*RULES, "Z01"], TESTS) == ["Z01"]


def test_a_story_that_is_dropped_is_missed() -> None:
    """One that is a test of its own, and one that is a row."""
    assert untold(RULES, [one for one in TESTS if one is not test_rules.test_B10_registration_gone]) == [
        "B10"
    ]
    played = test_rule_stories.test_exactly_this_rule_and_its_lawful_twin

    @pytest.mark.parametrize("story", [story for story in STORIES if story.rule != "A06"])
    def without_a_row(story: Row) -> None: ...

    assert untold(RULES, [*(one for one in TESTS if one is not played), without_a_row]) == ["A06"]


def test_the_twin_of_a_story_is_another_one() -> None:
    for story in (*STORIES, *test_rule_stories.SHENZHEN, *test_counters.ABROAD):
        assert story.wrong != story.right, story


# ---- what counts as a story


def examples() -> dict[str, Test]:
    def test_Z01_is_told(answer: Any) -> None:
        unlawful(answer, "Z01")
        settled(answer)

    def test_Z02_has_no_twin(answer: Any) -> None:
        unlawful(answer, "Z02")

    def test_Z03_is_not_broken_alone(answer: Any) -> None:
        unlawful(answer, "Z03", "Z04")
        settled(answer)

    def test_of_nobody_knows_which_rule(answer: Any) -> None:
        unlawful(answer, "Z05")
        settled(answer)

    def test_Z06_breaks_another(answer: Any) -> None:
        unlawful(answer, "Z07")
        settled(answer)

    @pytest.mark.parametrize(("rule", "answer"), [("Z08", 1), ("Z09", 2)])
    def test_Z08_Z09_by_parameter(rule: str, answer: Any) -> None:
        unlawful(answer, rule)
        settled(answer)

    @pytest.mark.parametrize("row", [Row("Z10"), Row("Z11")])
    def test_rows_of_a_table(row: Row) -> None: ...

    return {name: value for name, value in locals().items() if name.startswith("test_")}


def test_a_story_breaks_its_rule_alone_and_has_a_twin() -> None:
    assert {name: sorted(told_by(test)) for name, test in examples().items()} == {
        "test_Z01_is_told": ["Z01"],
        "test_Z02_has_no_twin": [],
        "test_Z03_is_not_broken_alone": [],
        "test_of_nobody_knows_which_rule": [],
        "test_Z06_breaks_another": [],
        "test_Z08_Z09_by_parameter": ["Z08", "Z09"],
        "test_rows_of_a_table": ["Z10", "Z11"],
    }
