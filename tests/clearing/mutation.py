"""Mutants of the rulebook, and who kills them: `python -m tests.clearing.mutation` prints the table.

A mutant is the rulebook with one thing wrong in one rule. It is killed by the first case that no longer comes out
as it is written: an example of the rules themselves, one of the draft's 76, or a violated example moved to a
phase in which the rule must be asked, or must not be (`asked_in`). What the others say of a case does not change, so
a mutant costs one rule compiled in memory and the cases judged by that rule alone.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from clearing import expression, notrade
from clearing.expression import (
    Always,
    Both,
    Comparison,
    Constant,
    Either,
    Fact,
    Holds,
    Node,
    Not,
    OneOf,
    Within,
)
from clearing.notrade import Example, Facts, Phase, Rule, Rulebook, RuleClass

SHARED = Path(os.environ.get("SHUJI_SHARED", Path(__file__).parents[3] / "shared"))

OPERATORS = {
    "drop rule": "the rule is not there",
    "apply always": "applies_when is True",
    "drop conjunct": "a condition of several is not asked",
    "drop disjunct": "one of the ways to violate, or of the exceptions, is lost",
    "and for or": "`and` turned into `or`, or back",
    "other fact": "a fact of the same register and kind is read in its place",
    "negate": "a condition is turned round",
    "drop member": "a list loses a value",
    "add member": "a list, or a comparison with one value, takes in another of its kind",
    "move edge": "< for <=, > for >=, and back",
    "move number": "a number written in the rule is one more, or one less",
    "change class": "reject, hold and duty taken for one another",
    "drop phase": "the rule is not asked in one of its phases",
    "add phase": "the rule is asked in a phase too many",
}


class Mutant(msgspec.Struct, frozen=True):
    """One wrong rulebook: `rule` is what stands for the right one, None where it is dropped."""

    id: str
    operator: str
    change: str
    rule: Rule | None

    @property
    def name(self) -> str:
        return f"{self.id} {self.operator}: {self.change}"


# ---- conditions with one place changed --------------------------------------------------------------------

Change = tuple[str, Node]


def changes(node: Node) -> Iterator[Change]:
    """Every condition that differs from this one in one place, with the operator that made it."""
    if not isinstance(node, Always):
        yield "negate", node.inner if isinstance(node, Not) else Not(node)
    yield from (("other fact", changed) for changed in _misread(node))
    match node:
        case Comparison():
            yield from _compared(node)
        case OneOf(item=item, values=values):
            yield from _listed(item, values)
        case Not(inner=inner):
            yield from (
                (operator, Not(changed)) for operator, changed in changes(inner) if operator != "negate"
            )
        case Both(parts=parts) | Either(parts=parts):
            yield from _joined(node, parts)


def _misread(node: Node) -> Iterator[Node]:
    """The condition about another fact of the same register and kind."""
    replace = msgspec.structs.replace
    match node:
        case Holds(fact=fact):
            yield from (Holds(other) for other in _beside(fact))
        case Comparison(left=left, right=right):
            yield from (replace(node, left=other) for other in _beside(left) if other != right)
            yield from (replace(node, right=other) for other in _beside(right) if other != left)
        case OneOf(item=item, values=values):
            yield from (OneOf(other, values) for other in _beside(item))
        case Within(item=item, collection=collection):
            yield from (Within(other, collection) for other in _beside(item))
            yield from (Within(item, other) for other in _beside(collection))


def _beside(term: expression.Term) -> Iterator[Fact]:
    if isinstance(term, Fact):
        section = term.path.rpartition(".")[0]
        for path, kind in notrade.VOCABULARY.items():
            if kind == term.kind and path != term.path and path.rpartition(".")[0] == section != "":
                yield Fact(path, kind)


def _compared(node: Comparison) -> Iterator[Change]:
    if node.operator != "==":
        moved = node.operator[0] if node.operator.endswith("=") else node.operator + "="
        yield "move edge", msgspec.structs.replace(node, operator=moved)
    match node:
        case Comparison(operator="==", left=Fact() as fact, right=Constant(value=value)):
            for other in fact.kind.values:
                if other != value:
                    yield "add member", OneOf(fact, (value, other))
        case Comparison(right=Constant(value=int() as number)):
            for near in (number - 1, number + 1) if number else (1,):
                yield "move number", msgspec.structs.replace(node, right=Constant(near))


def _listed(item: Fact, values: tuple[int | str, ...]) -> Iterator[Change]:
    for value in values if len(values) > 1 else ():
        yield "drop member", OneOf(item, tuple(kept for kept in values if kept != value))
    for value in item.kind.values:
        if value not in values:
            yield "add member", OneOf(item, (*values, value))


def _joined(node: Both | Either, parts: tuple[Node, ...]) -> Iterator[Change]:
    yield "and for or", Either(parts) if isinstance(node, Both) else Both(parts)
    for number, part in enumerate(parts):
        before, behind = parts[:number], parts[number + 1 :]
        yield "drop conjunct" if isinstance(node, Both) else "drop disjunct", type(node)((*before, *behind))
        for operator, changed in changes(part):
            yield operator, type(node)((*before, changed, *behind))


def written(node: Node) -> str:
    """The condition in the rule language again."""
    match node:
        case Holds(fact=fact):
            return fact.path
        case Not(inner=inner):
            return f"(not {written(inner)})"
        case Both(parts=parts) | Either(parts=parts):
            glue = " and " if isinstance(node, Both) else " or "
            return "(" + glue.join(written(part) for part in parts) + ")"
        case Comparison(operator=operator, left=left, right=right):
            return f"({_term(left)} {operator} {_term(right)})"
        case OneOf(item=item, values=values):
            return f"({item.path} in {list(values)!r})"
        case Within(item=item, collection=collection):
            return f"({_term(item)} in {collection.path})"
    return repr(node.value)


def _term(part: expression.Term) -> str:
    return part.path if isinstance(part, Fact) else repr(part.value)


def parse(text: str) -> Node:
    return expression.parse(text, notrade.VOCABULARY, "mutation:1")


# ---- mutants ----------------------------------------------------------------------------------------------


def mutants(rule: Rule) -> Iterator[Mutant]:
    """All mutants of one rule, each once."""
    replace = msgspec.structs.replace
    yield Mutant(rule.id, "drop rule", "", None)
    if rule.applies_when != "True":
        yield Mutant(rule.id, "apply always", "", replace(rule, applies_when="True"))
    for key in ("applies_when", "violated_when"):
        seen = {written(parse(getattr(rule, key)))}
        for operator, changed in changes(parse(getattr(rule, key))):
            text = written(changed)
            if text not in seen:
                seen.add(text)
                yield Mutant(rule.id, operator, f"{key} = {text}", replace(rule, **{key: text}))
    for kind in ("reject", "hold", "post_trade_obligation"):
        if kind != rule.kind:
            yield Mutant(rule.id, "change class", kind, replace(rule, kind=kind))
    for phase in notrade.PHASES:
        yield _with_other_phases(rule, phase)


def _with_other_phases(rule: Rule, phase: Phase) -> Mutant:
    if phase in rule.phases:
        left = tuple(one for one in rule.phases if one != phase)
        return Mutant(rule.id, "drop phase", phase, msgspec.structs.replace(rule, phases=left))
    return Mutant(rule.id, "add phase", phase, msgspec.structs.replace(rule, phases=(*rule.phases, phase)))


# ---- phases -----------------------------------------------------------------------------------------------

ASKED: dict[tuple[Phase, ...], str] = {
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
"""What the product is, is asked from registration on; what a trade is, from its order; how it is traded, until the
match; how it is handed over and where to, from the match on."""
WAITS_AT_REGISTRATION = ("B13", "B14")
"""The certificate is only being made at registration, so rules about it wait there."""


def asked_in(rule_id: str) -> tuple[Phase, ...]:
    """The phases in which a rule is asked, read apart from the rules' own files."""
    return next(phases for phases, rules in ASKED.items() if rule_id in rules.split())


# ---- cases ------------------------------------------------------------------------------------------------


class Case(msgspec.Struct, frozen=True):
    """What a set of facts must give.

    With `verdict`, the verdict and all violated rules. Without, only whether `of` is among the violated, and
    so not left unknown. `by` says who wrote the case. `unknown` must be left undecided.
    """

    by: str
    facts: Facts
    of: str = ""
    verdict: str | None = None
    rules: tuple[str, ...] = ()
    is_violated: bool = False
    unknown: str = ""


def cases(rulebook: Rulebook, shared: Path = SHARED) -> list[Case]:
    """All cases; the draft's only where its folder is there."""
    own = [_own(rulebook, rule, example) for rule in rulebook.rules.values() for example in rule.examples]
    moved = [case for rule in rulebook.rules.values() for case in _moved(rulebook, rule)]
    return [*own, *moved, *(case for case in drafted(shared) if set(case.rules) <= set(rulebook.rules))]


def _own(rulebook: Rulebook, rule: Rule, example: Example) -> Case:
    facts = notrade.read_context(rulebook.context(example.base, example.set))
    unknown = rule.id if example.kind == "unknown" else ""
    return Case("example", facts, rule.id, example.verdict, example.rules, unknown=unknown)


def _moved(rulebook: Rulebook, rule: Rule) -> Iterator[Case]:
    example = next(one for one in rule.examples if one.kind == "violated")
    for phase in notrade.PHASES:
        facts = notrade.read_context(rulebook.context(example.base, {**example.set, "phase": phase}))
        waits = phase == "registration" and rule.id in WAITS_AT_REGISTRATION
        yield Case("phase", facts, rule.id, is_violated=phase in asked_in(rule.id) and not waits)


def drafted(shared: Path = SHARED) -> list[Case]:
    """The draft's own cases, each with the verdict and the rules that it expects."""
    file = shared / "rulebook-examples.json"
    if not file.is_file():
        return []
    draft = json.loads(file.read_text(encoding="utf-8"))
    contexts = Rulebook([], draft["bases"])
    return [
        Case(
            "draft",
            notrade.read_context(contexts.context(case["base"], case["set"])),
            verdict=case["expect"]["verdict"],
            rules=tuple(case["expect"]["rules"]),
        )
        for case in draft["cases"]
    ]


# ---- judging ----------------------------------------------------------------------------------------------


class Alone:
    """One rule, or none, as a rulebook of its own, compiled for a phase when a case of that phase comes."""

    def __init__(self, rule: Rule | None) -> None:
        self._rule = rule
        self._phases: dict[str, Rulebook] = {}

    def says(self, facts: Facts) -> tuple[frozenset[str], frozenset[str]]:
        """The rule's id among the violated, or among the unknown, or in neither."""
        if self._rule is None or facts.phase not in self._rule.phases:
            return frozenset(), frozenset()
        if facts.phase not in self._phases:
            just_here = msgspec.structs.replace(self._rule, phases=(facts.phase,))
            self._phases[facts.phase] = Rulebook([just_here])
        verdict = self._phases[facts.phase].judge(facts)
        return frozenset(verdict.violated), frozenset(rule for rule, _ in verdict.unknown)


class Jury(msgspec.Struct, frozen=True):
    """The cases, and what each rule but the mutant says of each."""

    cases: tuple[Case, ...]
    kinds: Mapping[str, RuleClass]
    violated: tuple[frozenset[str], ...]  # a case each
    unknown: tuple[frozenset[str], ...]

    def dissenters(self) -> list[Case]:
        """The cases that the rulebook itself gets wrong; there are none, or they would kill every mutant."""
        rows = zip(self.cases, self.violated, self.unknown, strict=True)
        return [case for case, violated, unknown in rows if not _agrees(case, self.kinds, violated, unknown)]

    def killer(self, mutant: Mutant) -> Case | None:
        """The first case that the mutant gets wrong; those of its own rule are asked first."""
        alone = Alone(mutant.rule)
        kinds = {**self.kinds, mutant.id: mutant.rule.kind} if mutant.rule else self.kinds
        order = sorted(range(len(self.cases)), key=lambda number: self.cases[number].of != mutant.id)
        for number in order:
            case = self.cases[number]
            violated, unknown = alone.says(case.facts)
            others = self.violated[number] - {mutant.id}, self.unknown[number] - {mutant.id}
            if not _agrees(case, kinds, others[0] | violated, others[1] | unknown):
                return case
        return None


def jury(rulebook: Rulebook, found: Sequence[Case]) -> Jury:
    """Judges each case by each rule alone, once."""
    alone = [Alone(rule) for rule in rulebook.rules.values()]
    said = [[one.says(case.facts) for one in alone] for case in found]
    return Jury(
        tuple(found),
        {rule.id: rule.kind for rule in rulebook.rules.values()},
        tuple(frozenset().union(*(violated for violated, _ in row)) for row in said),
        tuple(frozenset().union(*(unknown for _, unknown in row)) for row in said),
    )


def _agrees(
    case: Case, kinds: Mapping[str, RuleClass], violated: frozenset[str], unknown: frozenset[str]
) -> bool:
    if case.verdict is None:
        return (case.of in violated) is case.is_violated and case.of not in unknown
    outcome = weigh({kinds[rule] for rule in violated}, bool(unknown), case.facts.phase)
    is_left_open = not case.unknown or case.unknown in unknown
    return (outcome, tuple(sorted(violated))) == (case.verdict, case.rules) and is_left_open


def weigh(kinds: set[RuleClass], is_open: bool, phase: str) -> str:
    """The order of verdicts at the head of the draft, once more and apart from the rulebook's own code."""
    if "reject" in kinds:
        return "reject"
    if is_open or phase not in notrade.PHASES:
        return "indeterminate"
    if "hold" in kinds:
        return "hold"
    return "breach" if "post_trade_obligation" in kinds and phase == "post_trade" else "allow"


# ---- the table --------------------------------------------------------------------------------------------

_WAITS = "the certificate is only being made at registration: asked there, the rule waits and says nothing"
_TWICE = "a basis that is excluded twice: another text that says the same"
_PERSONAL = "(product.pi_state in ['identifiable', 'deidentified'])"
_EXEMPT = "(not (consent.basis == 'statutory'))", "(not (consent.basis == 'none'))"
_SEPARATE = (
    "a basis that applies_when lets out, or that violated_when lets in: another text that says the same"
)
_SENSITIVE = "product.sensitive_pi and (product.pi_state in ['identifiable', 'deidentified'])"
_SEPARATELY = "(not (consent.basis in ['separate_consent', 'written_separate', 'statutory']))"
EQUIVALENT: dict[str, str] = {
    "B10 add phase: registration": _WAITS,
    "B11 add phase: registration": _WAITS,
    "B12 add phase: registration": _WAITS,
    "B13 drop phase: registration": _WAITS,
    "B14 drop phase: registration": _WAITS,
    "B15 add phase: registration": _WAITS,
    **{
        f"C03 add member: applies_when = ({_SENSITIVE} and (not (consent.basis in ['none', '{basis}'])))": _SEPARATE
        for basis in ("statutory", "written_separate")
    },
    "C03 add member: violated_when = "
    "((not (consent.basis in ['separate_consent', 'written_separate', 'statutory', 'none'])) or "
    "(product.human_genetic and (consent.basis == 'separate_consent')))": _SEPARATE,
    **{
        f"C03 add member: violated_when = ({_SEPARATELY} or "
        f"(product.human_genetic and (consent.basis in ['separate_consent', '{basis}'])))": _SEPARATE
        for basis in ("general_consent", "none")
    },
    **{
        f"{rule} add member: applies_when = ({_PERSONAL} and {twice})": _TWICE
        for rule in ("C07", "C08", "C11")
        for twice in (
            f"(not (consent.basis in ['statutory', 'none'])) and {_EXEMPT[1]}",
            f"{_EXEMPT[0]} and (not (consent.basis in ['none', 'statutory']))",
        )
    },
}
"""Mutants that say the same as the rule, by name, with the reason: no case can tell them apart."""


class Trial(msgspec.Struct, frozen=True):
    """What became of all mutants: by operator how many were made, and by whom they were killed."""

    made: Counter[str]
    killed: Counter[tuple[str, str]]  # (operator, who wrote the case)
    survivors: tuple[Mutant, ...]
    seconds: float

    @property
    def share_killed(self) -> float:
        return 1 - len(self.survivors) / self.made.total()


def trial(rulebook: Rulebook, shared: Path = SHARED) -> Trial:
    """Tries every mutant of every rule; about 10 s of CPU."""
    started = time.perf_counter()
    made: Counter[str] = Counter()
    killed: Counter[tuple[str, str]] = Counter()
    survivors = []
    judges = jury(rulebook, cases(rulebook, shared))
    assert judges.dissenters() == []
    for rule in rulebook.rules.values():
        for mutant in mutants(rule):
            made[mutant.operator] += 1
            case = judges.killer(mutant)
            if case is None:
                survivors.append(mutant)
            else:
                killed[mutant.operator, case.by] += 1
    return Trial(made, killed, tuple(survivors), time.perf_counter() - started)


def table(found: Trial) -> str:
    """The figures as they are printed."""
    lines = [
        f"{'operator':<14} {'made':>6} {'killed':>7} {'example':>8} {'phase':>6} {'draft':>6}  what is wrong"
    ]
    for operator, meaning in OPERATORS.items():
        by = [found.killed[operator, who] for who in ("example", "phase", "draft")]
        row = f"{found.made[operator]:>6} {sum(by):>7} {by[0]:>8} {by[1]:>6} {by[2]:>6}"
        lines.append(f"{operator:<14} {row}  {meaning}")
    total, dead = found.made.total(), found.killed.total()
    lines += ["", f"{total} mutants, {dead} killed ({found.share_killed:.2%}) in {found.seconds:.1f} s"]
    for one in found.survivors:
        lines.append(f"survives: {one.name} ({EQUIVALENT.get(one.name, 'not equivalent: write an example')})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table(trial(notrade.load())) + "\n")
