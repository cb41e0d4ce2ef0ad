"""A rulebook with one thing wrong is found out by the rules' own examples, or by the draft's cases."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clearing import notrade
from clearing.notrade import Rule
from tests.clearing import mutation
from tests.clearing.mutation import OPERATORS, Trial, cases, jury, mutants, parse, trial, written

RULEBOOK = notrade.load()


@pytest.fixture(scope="module")
def found(shared_folder: Path) -> Trial:
    return trial(RULEBOOK, shared_folder)


def test_the_rulebook_itself_passes_every_case(shared_folder: Path) -> None:
    """And what the cases say of a verdict is what the rulebook judges."""
    everything = cases(RULEBOOK, shared_folder)
    assert jury(RULEBOOK, everything).dissenters() == []
    for case in everything:
        verdict = RULEBOOK.judge(case.facts)
        if case.verdict is not None:
            assert (verdict.outcome, verdict.violated) == (case.verdict, case.rules)


def test_at_least_95_of_100_mutants_are_killed(found: Trial) -> None:
    assert found.made.total() == found.killed.total() + len(found.survivors)
    assert found.share_killed >= 0.95, mutation.table(found)


def test_every_operator_makes_mutants(found: Trial) -> None:
    assert set(found.made) == set(OPERATORS)
    assert found.made["drop rule"] == len(RULEBOOK.rules)


def test_survivors_are_named_with_their_reason(found: Trial) -> None:
    assert [one.name for one in found.survivors if one.name not in mutation.EQUIVALENT] == []
    assert sorted(one.name for one in found.survivors) == sorted(mutation.EQUIVALENT)


def test_every_rule_is_dropped_flipped_and_classed_otherwise(found: Trial) -> None:
    """Each of these is killed, whatever the share: such a mutant says another thing of every trade."""
    alive = [one for one in found.survivors if one.operator in ("drop rule", "change class", "drop phase")]
    assert [one.id for one in alive] == list(mutation.WAITS_AT_REGISTRATION)


# ---- the harness finds what it should ---------------------------------------------------------------------


def small(**changes: object) -> Rule:
    return msgspec.structs.replace(RULEBOOK.rules["E07"], **changes)


def texts(condition: str) -> Iterator[str]:
    for operator, changed in mutation.changes(parse(condition)):
        yield f"{operator}: {written(changed)}"


def test_the_changes_of_a_condition_are_these_and_no_others() -> None:
    assert list(texts("price.unit_fen > 5 and not venue.central_trading_approved")) == [
        "negate: (not ((price.unit_fen > 5) and (not venue.central_trading_approved)))",
        "and for or: ((price.unit_fen > 5) or (not venue.central_trading_approved))",
        "drop conjunct: ((not venue.central_trading_approved))",
        "negate: ((not (price.unit_fen > 5)) and (not venue.central_trading_approved))",
        "other fact: ((price.floor_fen > 5) and (not venue.central_trading_approved))",
        "other fact: ((price.cap_fen > 5) and (not venue.central_trading_approved))",
        "move edge: ((price.unit_fen >= 5) and (not venue.central_trading_approved))",
        "move number: ((price.unit_fen > 4) and (not venue.central_trading_approved))",
        "move number: ((price.unit_fen > 6) and (not venue.central_trading_approved))",
        "drop conjunct: ((price.unit_fen > 5))",
        "negate: ((price.unit_fen > 5) and venue.central_trading_approved)",
    ]


def test_the_changes_of_a_list_are_these_and_no_others() -> None:
    assert list(texts("product.data_class in ['core', 'general']")) == [
        "negate: (not (product.data_class in ['core', 'general']))",
        "drop member: (product.data_class in ['general'])",
        "drop member: (product.data_class in ['core'])",
        "add member: (product.data_class in ['core', 'general', 'important'])",
    ]
    assert "add member: (product.data_class in ['core', 'general'])" in texts("product.data_class == 'core'")


def test_what_is_written_again_says_the_same() -> None:
    for rule in RULEBOOK.rules.values():
        for text in (rule.applies_when, rule.violated_when):
            assert written(parse(written(parse(text)))) == written(parse(text))


def test_a_rule_without_its_near_miss_lets_a_mutant_live() -> None:
    """The harness tells killed from alive: with fewer examples more mutants survive."""
    rule = RULEBOOK.rules["E07"]
    bare = small(examples=tuple(one for one in rule.examples if one.kind != "boundary"))
    weak = notrade.Rulebook([bare], RULEBOOK.bases)
    whole = notrade.Rulebook([rule], RULEBOOK.bases)
    moved = [one for one in mutants(rule) if one.operator == "move edge"]
    assert [jury(whole, cases(whole, Path())).killer(one) is None for one in moved] == [False]
    assert [jury(weak, cases(weak, Path())).killer(one) is None for one in moved] == [True]
