"""Every rule's own examples, the draft's examples, and the proof that they would notice a changed rule."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clearing import expression, notrade
from clearing.expression import Both, Comparison, Constant, Either, Fact, Holds, Node, Not, OneOf, Within
from clearing.notrade import Example, Rule, Rulebook, Verdict

RULEBOOK = notrade.load(complete=True)
OWN = [
    pytest.param(rule.id, example, id=f"{rule.id}-{number}-{example.kind}")
    for rule in RULEBOOK.rules.values()
    for number, example in enumerate(rule.examples)
]
EXAMPLES = "rulebook-examples.json"
DRAFT = "rulebook-draft.json"
DIGEST = "policy-digest-2023-49.txt"


def judge(rulebook: Rulebook, example: Example) -> Verdict:
    return rulebook.judge(notrade.read_context(RULEBOOK.context(example.base, example.set)))


def passes(rulebook: Rulebook, example: Example) -> bool:
    verdict = judge(rulebook, example)
    return (verdict.outcome, verdict.violated) == (example.verdict, example.rules)


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
    ordered = [node for node in comparisons(parse(rule.violated_when)) if node.operator != "=="]
    assert "boundary" in kinds or not (clocks or ordered)


@pytest.mark.parametrize("phase", ["match", "clearing", "post_trade"])
@pytest.mark.parametrize("base", list(RULEBOOK.bases))
def test_a_base_is_lawful_under_every_rule(base: str, phase: str) -> None:
    case = RULEBOOK.context(base, {"phase": phase})
    assert RULEBOOK.judge(notrade.read_context(case)) is notrade.ALLOW


# ---- mutations: a rule that is changed anywhere fails one of its own examples -----------------------------


def parse(text: str) -> Node:
    return expression.parse(text, notrade.VOCABULARY, "test:1")


def comparisons(node: Node) -> Iterator[Comparison]:
    match node:
        case Comparison():
            yield node
        case Not(inner=inner):
            yield from comparisons(inner)
        case Both(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from comparisons(part)


def mutants(node: Node) -> Iterator[Node]:
    """The node with one place changed: turned round, a branch dropped, `and` for `or`, an edge moved, one of a
    choice's values let in or left out.
    """
    yield Not(node)
    match node:
        case Comparison(operator=operator) if operator in ("<", ">", "<=", ">="):
            moved = operator[0] if operator.endswith("=") else operator + "="
            yield msgspec.structs.replace(node, operator=moved)
        case Comparison(operator="==", left=Fact() as fact, right=Constant(value=value)):
            for other in fact.kind.values:
                if other != value:
                    yield OneOf(fact, (value, other))
        case OneOf(item=item, values=values):
            for value in values if len(values) > 1 else ():
                yield OneOf(item, tuple(kept for kept in values if kept != value))
            for value in item.kind.values:
                if value not in values:
                    yield OneOf(item, (*values, value))
        case Not(inner=inner):
            yield from (Not(mutant) for mutant in mutants(inner))
        case Both(parts=parts) | Either(parts=parts):
            yield Either(parts) if isinstance(node, Both) else Both(parts)
            for number, part in enumerate(parts):
                others = parts[:number], parts[number + 1 :]
                yield type(node)((*others[0], *others[1]))
                yield from (type(node)((*others[0], mutant, *others[1])) for mutant in mutants(part))


def written(node: Node) -> str:
    """The node in the rule language again."""
    match node:
        case Holds(fact=fact):
            return fact.path
        case Not(inner=inner):
            return f"(not {written(inner)})"
        case Both(parts=parts) | Either(parts=parts):
            glue = " and " if isinstance(node, Both) else " or "
            return "(" + glue.join(written(part) for part in parts) + ")"
        case Comparison(operator=operator, left=left, right=right):
            return f"({term(left)} {operator} {term(right)})"
        case OneOf(item=item, values=values):
            return f"({item.path} in {list(values)!r})"
        case Within(item=item, collection=collection):
            return f"({term(item)} in {collection.path})"
    return repr(getattr(node, "value", None))


def term(part: expression.Term) -> str:
    return part.path if isinstance(part, expression.Fact) else repr(part.value)


_PERSONAL = "(product.pi_state in ['identifiable', 'deidentified'])"
_EXEMPT = "(not (consent.basis == 'statutory'))", "(not (consent.basis == 'none'))"
SAME = (
    f"({_PERSONAL} and (not (consent.basis in ['statutory', 'none'])) and {_EXEMPT[1]})",
    f"({_PERSONAL} and {_EXEMPT[0]} and (not (consent.basis in ['none', 'statutory'])))",
)
"""C07 with a basis excluded twice: another text that says the same."""


def with_rule(changed: Rule) -> Rulebook:
    return Rulebook([changed if rule.id == changed.id else rule for rule in RULEBOOK.rules.values()])


@pytest.mark.parametrize("rule", RULEBOOK.rules.values(), ids=list(RULEBOOK.rules))
def test_dropping_the_rule_fails_an_example_of_its_own(rule: Rule) -> None:
    without = Rulebook([other for other in RULEBOOK.rules.values() if other.id != rule.id])
    assert not all(passes(without, example) for example in rule.examples)


@pytest.mark.parametrize("rule", RULEBOOK.rules.values(), ids=list(RULEBOOK.rules))
def test_flipping_the_rule_fails_an_example_of_its_own(rule: Rule) -> None:
    flipped = with_rule(msgspec.structs.replace(rule, violated_when=f"not ({rule.violated_when})"))
    assert not all(passes(flipped, example) for example in rule.examples)


@pytest.mark.parametrize("rule", RULEBOOK.rules.values(), ids=list(RULEBOOK.rules))
def test_changing_any_part_of_the_rule_fails_an_example_of_its_own(rule: Rule) -> None:
    survivors = []
    for key in ("applies_when", "violated_when"):
        for mutant in mutants(parse(getattr(rule, key))):
            if written(mutant) in SAME:
                continue
            changed = with_rule(msgspec.structs.replace(rule, **{key: written(mutant)}))
            if all(passes(changed, example) for example in rule.examples):
                survivors.append(f"{key}: {written(mutant)}")
    assert survivors == []


@pytest.mark.parametrize("rule", RULEBOOK.rules.values(), ids=list(RULEBOOK.rules))
def test_changing_the_class_of_the_rule_fails_an_example_of_its_own(rule: Rule) -> None:
    other = "hold" if rule.kind == "reject" else "reject"
    changed = with_rule(msgspec.structs.replace(rule, kind=other))
    assert not all(passes(changed, example) for example in rule.examples)


# ---- phases -----------------------------------------------------------------------------------------------

ASKED = {
    ("registration", "listing", "order", "match", "clearing"): (
        "A01 A02 A03 A04 A05 A06 A08 B01 B09 B13 B14 B18 B19 B20 B22 B23 C01 C02 C03 C04 C09 C10 C12 C13 "
        "D01 D02 D03 D04 D05 D06 D08 E01 E08 E09 E10 G07 T01"
    ),
    ("order", "match", "clearing"): (
        "B02 B03 B04 B05 B06 B07 B08 B10 B11 B12 B15 B16 B17 B21 C05 C06 C07 C08 C11 C14 C15 C16 D07 "
        "E02 E03 E04 E05 E06 E07 F01 F03 F04 H01 H02 H05"
    ),
    ("order", "match"): "F02",
    ("match", "clearing"): "A07 A09 G01 G02 G03 G04 G05 G06 H03 H04",
    ("post_trade",): "P01 P02 P03 P04 P05",
}
"""What the product is, is asked from registration on; what a trade is, from its order; how, until the match."""


def asked_in(rule_id: str) -> tuple[str, ...]:
    return next(phases for phases, rules in ASKED.items() if rule_id in rules.split())


@pytest.mark.parametrize("phase", notrade.PHASES)
@pytest.mark.parametrize("rule_id", RULEBOOK.rules)
def test_a_rule_is_asked_in_its_phases_and_in_no_other(rule_id: str, phase: notrade.Phase) -> None:
    """The certificate is only being made at registration, so rules about it wait there."""
    example = next(one for one in RULEBOOK.rules[rule_id].examples if one.kind == "violated")
    case = RULEBOOK.context(example.base, {**example.set, "phase": phase})
    facts = notrade.read_context(case)
    parts = [RULEBOOK.part(phase, register) for register in notrade.REGISTERS]
    assert any(rule_id in part.rules for part in parts) is (phase in asked_in(rule_id))
    found = [part.find(facts) for part in parts]
    waits = rule_id in ("B13", "B14") and phase == "registration"
    violated = any(rule_id in finding.violated for finding in found)
    assert violated is (phase in asked_in(rule_id) and not waits)
    assert not any(rule_id in dict(finding.unknown) for finding in found)


# ---- the draft's own cases ------------------------------------------------------------------------------


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def expected_here(case: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """What a case of the draft must give with the rules that are loaded.

    Of the rules it names, those loaded must be named, and no other. Where all are loaded, its verdict stands
    as it is, but for one that is indeterminate over a fact that no loaded rule reads. Where some are not, the
    verdict is that of those left: reject, hold, or allow.
    """
    named = tuple(rule for rule in case["expect"]["rules"] if rule in RULEBOOK.rules)
    verdict = case["expect"]["verdict"]
    facts_read = {fact for rule in RULEBOOK.rules.values() for fact in rule.facts}
    if verdict == "indeterminate" and not facts_read & set(case["set"]):
        return "allow", ()
    if named == tuple(case["expect"]["rules"]):
        return verdict, named
    kinds = {RULEBOOK.rules[rule].kind for rule in named}
    return "reject" if "reject" in kinds else "hold" if "hold" in kinds else "allow", named


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return Rulebook([], {"base": base}).context("base", changes)


def test_the_drafts_cases_come_out_as_they_say(shared_folder: Path) -> None:
    draft = read(shared_folder, EXAMPLES)
    contexts = [
        {**merged(draft["bases"][case["base"]], case["set"]), "id": case["id"]} for case in draft["cases"]
    ]
    lines = [json.dumps(context).encode() for context in contexts]
    answers = [json.loads(line) for line in notrade.judge_lines(RULEBOOK, lines)]
    assert [answer["id"] for answer in answers] == [case["id"] for case in draft["cases"]]
    for case, answer in zip(draft["cases"], answers, strict=True):
        verdict, rules = expected_here(case)
        cited = dict(zip(case["expect"]["rules"], case["expect"]["citations"], strict=True))
        assert (answer["verdict"], tuple(answer["rules"])) == (verdict, rules), case["id"]
        assert answer["citations"] == [cited[rule] for rule in rules], case["id"]


def test_most_of_the_drafts_cases_need_no_rule_beyond_those_loaded(shared_folder: Path) -> None:
    cases = read(shared_folder, EXAMPLES)["cases"]
    whole = [case for case in cases if set(case["expect"]["rules"]) <= set(RULEBOOK.rules)]
    assert len(cases) == 76
    assert len(whole) >= 54
    violating = {rule for case in whole for rule in case["expect"]["rules"]}
    assert len(violating) >= 20


def test_rules_keep_the_drafts_logic_class_phases_and_citations(shared_folder: Path) -> None:
    draft = {rule["id"]: rule for rule in read(shared_folder, DRAFT)["rules"]}
    for rule in RULEBOOK.rules.values():
        theirs = draft[rule.id]
        assert parse(rule.applies_when) == parse(theirs["applies_when"])
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
