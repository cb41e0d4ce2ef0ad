"""Every rule's own examples, the draft's examples, and the proof that they would notice a changed rule."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clearing import expression, notrade
from clearing.notrade import Example, Rule, Rulebook, Verdict
from tests.clearing.mutation import WAITS_AT_REGISTRATION, asked_in, parse

RULEBOOK = notrade.load()
OWN = [
    pytest.param(rule.id, example, id=f"{rule.id}-{number}-{example.kind}")
    for rule in RULEBOOK.rules.values()
    for number, example in enumerate(rule.examples)
]
EXAMPLES = "rulebook-examples.json"
DRAFT = "rulebook-draft.json"
CHECKOUT = Path(__file__).parents[2]
DIGEST = "policy-digest-2023-49.txt"


def judge(rulebook: Rulebook, example: Example) -> Verdict:
    return rulebook.judge(notrade.read_context(RULEBOOK.context(example.base, example.set)))


@pytest.mark.parametrize(("rule_id", "example"), OWN)
def test_the_example_comes_out_as_the_rule_says(rule_id: str, example: Example) -> None:
    verdict = judge(RULEBOOK, example)
    assert (verdict.outcome, verdict.violated) == (example.verdict, example.rules)
    if example.kind == "violated":
        assert rule_id in verdict.violated
    if example.kind == "unknown":
        assert rule_id in dict(verdict.unknown)
    if example.kind in ("near_miss", "boundary", "waits"):
        assert rule_id not in verdict.violated
        assert rule_id not in dict(verdict.unknown)


@pytest.mark.parametrize("rule", RULEBOOK.rules.values(), ids=list(RULEBOOK.rules))
def test_every_rule_has_an_example_of_each_kind_that_it_needs(rule: Rule) -> None:
    kinds = {example.kind for example in rule.examples}
    assert {"violated", "near_miss", "unknown"} <= kinds
    clocks = expression.moments(parse(rule.violated_when), notrade.TERMS)
    assert "boundary" in kinds or not (clocks or expression.orders(parse(rule.violated_when)))


@pytest.mark.parametrize("phase", ["match", "clearing", "post_trade"])
@pytest.mark.parametrize("base", list(RULEBOOK.bases))
def test_a_base_is_lawful_under_every_rule(base: str, phase: str) -> None:
    case = RULEBOOK.context(base, {"phase": phase})
    assert RULEBOOK.judge(notrade.read_context(case)) is notrade.ALLOW


# ---- phases -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", notrade.PHASES)
@pytest.mark.parametrize("rule_id", RULEBOOK.rules)
def test_a_rule_is_asked_in_its_phases_and_in_no_other(rule_id: str, phase: notrade.Phase) -> None:
    example = next(one for one in RULEBOOK.rules[rule_id].examples if one.kind == "violated")
    case = RULEBOOK.context(example.base, {**example.set, "phase": phase})
    facts = notrade.read_context(case)
    parts = [RULEBOOK.part(phase, register) for register in notrade.REGISTERS]
    assert any(rule_id in part.rules for part in parts) is (phase in asked_in(rule_id))
    found = [part.find(facts) for part in parts]
    waits = rule_id in WAITS_AT_REGISTRATION and phase == "registration"
    violated = any(rule_id in finding.violated for finding in found)
    assert violated is (phase in asked_in(rule_id) and not waits)
    assert not any(rule_id in dict(finding.unknown) for finding in found)


# ---- the draft's own cases ------------------------------------------------------------------------------


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return Rulebook([], {"base": base}).context("base", changes)


def drafts_contexts(draft: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**merged(draft["bases"][case["base"]], case["set"]), "id": case["id"]} for case in draft["cases"]
    ]


def test_shuji_judge_gives_each_of_the_drafts_cases_its_verdict_and_its_rules(
    shared_folder: Path, tmp_path: Path
) -> None:
    draft = read(shared_folder, EXAMPLES)
    file = tmp_path / "cases.jsonl"
    file.write_text(
        "".join(json.dumps(context) + "\n" for context in drafts_contexts(draft)), encoding="utf-8"
    )
    command = [sys.executable, "-m", "exchange", "judge", str(file)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=CHECKOUT)
    answers = {answer["id"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert len(draft["cases"]) == len(answers) == 76
    for case in draft["cases"]:
        answer = answers[case["id"]]
        assert {name: answer[name] for name in case["expect"]} == case["expect"], case["id"]


def test_every_rule_that_the_drafts_cases_name_is_in_an_own_example_of_the_same_verdict(
    shared_folder: Path,
) -> None:
    """Without the shared folder the package still proves what the draft's cases prove."""
    own = {(example.verdict, example.rules) for rule in RULEBOOK.rules.values() for example in rule.examples}
    cases = read(shared_folder, EXAMPLES)["cases"]
    wanted = {(case["expect"]["verdict"], tuple(case["expect"]["rules"])) for case in cases}
    assert sorted(wanted - own) == []


def test_every_rule_of_the_draft_is_in_the_rulebook(shared_folder: Path) -> None:
    draft = [rule["id"] for rule in read(shared_folder, DRAFT)["rules"]]
    assert len(draft) == 88
    assert list(RULEBOOK.rules) == sorted(draft)


MENDED = {
    "C03": "个人信息保护法29 asks for writing where another law does, and the draft for separate consent only",
    "D03": "江西16(3) knows no consent that lifts its ban, so in Jiangxi the draft's exception does not hold",
}
"""Rules that say another thing than the draft, and why."""


def test_rules_keep_the_drafts_logic_class_phases_and_citations(shared_folder: Path) -> None:
    draft = {rule["id"]: rule for rule in read(shared_folder, DRAFT)["rules"]}
    for rule in RULEBOOK.rules.values():
        theirs = draft[rule.id]
        applies_when = theirs["applies_when"].replace(
            "'shenzhen'", "'CN-4403'"
        )  # C04: the place by its number
        assert parse(rule.applies_when) == parse(applies_when)
        if rule.id not in MENDED:
            assert parse(rule.violated_when) == parse(theirs["violated_when"])
        assert (rule.kind, list(rule.phases)) == (theirs["class"], theirs["phases"])
        assert rule.citation_zh == theirs["citation_zh"]


def test_quotes_are_in_the_digest(shared_folder: Path) -> None:
    digest = plain((shared_folder / DIGEST).read_text(encoding="utf-8"))
    quotes = {cited.quote for rule in RULEBOOK.rules.values() for cited in rule.citations if cited.quote}
    assert len(quotes) > 15
    assert [quote for quote in sorted(quotes) if plain(quote) not in digest] == []


def test_a_source_in_the_digest_is_quoted_wherever_it_is_cited() -> None:
    for rule in RULEBOOK.rules.values():
        for cited in rule.citations:
            assert bool(cited.quote) == cited.confidence.startswith("digest"), (rule.id, cited.zh)


def plain(text: str) -> str:
    """Without spaces and with one kind of comma: the digest is set in lines and mixes both kinds."""
    return "".join(text.split()).replace(",", "，")
