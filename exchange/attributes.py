"""What a board asks of a listing beside its terms: typed fields, and rules over them in the rule language.

A field has a type, bounds or choices, and words in Chinese and English; what a listing says in its fields are its
attributes. A rule says when (`when`) a listing is refused: a condition over the fields by their names, over the terms
(`terms.deal`), the product's facts as the rulebook reads them (`product.pi_state`, unknown until confirmed) and `now`.
Three-valued as all rules are (`clearing.expression`): what cannot be decided because a fact is missing is not allowed.

Both are data in the board's file (`exchange/boards/`), checked when it is loaded: every field has an example of what it
takes, every rule one that breaks it and one that passes. A date is a day in Beijing, and in a rule its first instant.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import UNSET, Struct

from clearing import expression
from clearing.calendar import start_of_day
from clearing.expression import ExpressionError, Kind, Vocabulary
from clearing.notrade import VOCABULARY

Type = Literal["text", "integer", "boolean", "choice", "date", "list"]
Value = str | int | bool | tuple[str, ...]
Attributes = dict[str, Value]

MISSING: Final = "__missing__"
"""In an example of a rule: nobody has said this."""
MOST_TEXT: Final = 200
MOST_ENTRIES: Final = 50
MOST_INTEGER: Final = 10**15
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)

OFFERED: Final[Mapping[str, Kind]] = {
    **{
        f"terms.{name}": Kind("number", unit)
        for name, unit in (("price_fen", "fen"), ("price_per_units", "units"), ("term_days", "days"))
    },
    "terms.right": VOCABULARY["trade.right"],
    "terms.deal": VOCABULARY["trade.deal"],
    "terms.mechanism": VOCABULARY["trade.mechanism"],
    "terms.price_regime": VOCABULARY["price.regime"],
    "terms.supply": Kind("choice", values=("unlimited", "limited", "exclusive")),
    **{path: kind for path, kind in VOCABULARY.items() if path.startswith("product.")},
    "now": expression.TIME,
}
"""What a board's rule may read beside the board's own fields."""

EXAMPLE: Final[Mapping[str, Any]] = {
    "terms.price_fen": 50_000,
    "terms.price_per_units": 1,
    "terms.term_days": 90,
    "terms.right": "product_operation",
    "terms.deal": "licence",
    "terms.mechanism": "posted_price",
    "terms.price_regime": "market",
    "terms.supply": "unlimited",
    "product.origin": "enterprise",
    "product.data_class": "general",
    "product.pi_state": "none",
    "product.sensitive_pi": False,
    "product.human_genetic": False,
    "product.ip_registered": True,
    "product.open_class": "not_applicable",
    "now": "2026-11-30",
}
"""The listing that every example is of, but for what it says otherwise."""


class Choice(Struct, frozen=True, forbid_unknown_fields=True):
    value: str
    zh: str
    en: str


class Field(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`least` and `most` bound an integer; of a list they bound how many entries it has. `unit` is of an integer."""

    name: str
    type: Type
    zh: str
    en: str
    example: Value
    required: bool = True
    unit: str = ""
    choices: tuple[Choice, ...] = ()
    least: int | None = None
    most: int | None = None

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(choice.value for choice in self.choices)

    @property
    def kind(self) -> Kind:
        """What the rule language makes of it."""
        match self.type:
            case "integer":
                return Kind("number", self.unit or self.name)
            case "boolean":
                return expression.TRUTH
            case "date":
                return expression.TIME
            case "list":
                return Kind("set", self.name, self.values)
            case "choice":
                return Kind("choice", self.name, self.values)
        return Kind("text", self.name)


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A listing for which `when` holds is refused. `source` is the clause that it stands on, in Chinese.

    `breaks` and `passes` are what an example listing says otherwise than every field's own example and `EXAMPLE`.
    """

    id: str
    when: str
    source: str
    zh: str
    en: str
    breaks: dict[str, Value]
    passes: dict[str, Value]


class Broken(Struct, frozen=True):
    """A rule that a listing breaks, or that cannot be decided for want of `unknown`."""

    rule: Rule
    unknown: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        said = f"{self.rule.id}: {self.rule.zh} {self.rule.en} ({self.rule.source})"
        return f"{said}; not known: {', '.join(self.unknown)}" if self.unknown else said


# ---- values


def refuse_value(field: Field, value: Any) -> str:
    """What is wrong with a value of a field, naming it and what it takes; empty where nothing is."""
    if _CHECKS[field.type](field, value):
        return ""
    return f"attributes.{field.name} ({field.zh} {field.en}) is {expected(field)}"


def expected(field: Field) -> str:
    """What a field takes, as in `an integer from 90 s on`."""
    bounds = _bounds(field)
    one_of = f"one of {', '.join(field.values)}"
    match field.type:
        case "integer":
            return f"an integer{bounds} {field.unit}".rstrip()
        case "boolean":
            return "true or false"
        case "date":
            return "a date such as 2026-11-30"
        case "choice":
            return one_of
        case "list":
            entries = f"each {one_of}" if field.choices else f"each a text of at most {MOST_TEXT} characters"
            return f"a list of different entries{bounds}, {entries}"
    return f"a text of 1 to {MOST_TEXT} characters"


def _bounds(field: Field) -> str:
    least = "" if field.least is None else f" of at least {field.least}"
    most = "" if field.most is None else f" of at most {field.most}"
    return " and".join(part for part in (least, most) if part)


def _within(field: Field, number: int) -> bool:
    least = -MOST_INTEGER if field.least is None else field.least
    most = MOST_INTEGER if field.most is None else field.most
    return least <= number <= most


def _is_text(field: Field, value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= MOST_TEXT


def _is_list(field: Field, value: Any) -> bool:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MOST_ENTRIES:
        return False
    if not all(_is_text(field, entry) for entry in value) or len(dict.fromkeys(value)) != len(value):
        return False
    return _within(field, len(value)) and (not field.choices or all(entry in field.values for entry in value))


_CHECKS: Final[Mapping[Type, Any]] = {
    "text": _is_text,
    "integer": lambda field, value: type(value) is int and _within(field, value),
    "boolean": lambda field, value: isinstance(value, bool),
    "choice": lambda field, value: isinstance(value, str) and value in field.values,
    "date": lambda field, value: isinstance(value, str) and _instant(value) is not None,
    "list": _is_list,
}


def _instant(day: str) -> int | None:
    return start_of_day(day) if _DATE.match(day) else None


def refuse(fields: Sequence[Field], attributes: Mapping[str, Any]) -> str:
    """The first thing that is wrong with what a listing says in a board's fields; empty where nothing is."""
    known = {field.name: field for field in fields}
    for name in attributes:
        if name not in known:
            return f"attributes.{name}: this board asks for {', '.join(known) or 'nothing'}"
    for field in fields:
        if field.name in attributes:
            if wrong := refuse_value(field, attributes[field.name]):
                return wrong
        elif field.required:
            return f"attributes.{field.name} ({field.zh} {field.en}) is missing: it is {expected(field)}"
    return ""


def settled(attributes: Mapping[str, Any]) -> Attributes:
    """Attributes that were not refused, as they are kept: sorted by name, lists as tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in sorted(attributes.items())
    }


# ---- rules


def vocabulary(fields: Iterable[Field]) -> Vocabulary:
    return {**OFFERED, **{field.name: field.kind for field in fields}}


def reads(fields: Iterable[Field], rule: Rule) -> tuple[str, ...]:
    """The fields and facts that a rule looks at, sorted."""
    node = expression.parse(rule.when, vocabulary(fields), rule.id)
    return tuple(fact.path for fact in expression.facts_of(node))


def facts(fields: Iterable[Field], said: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the rule language compares them: a date is its first instant; what is not said is unknown."""
    dates = {"now", *(field.name for field in fields if field.type == "date")}
    return {
        path: _instant(value) if path in dates and isinstance(value, str) else value
        for path, value in said.items()
        if value is not UNSET
    }


def broken(
    fields: Sequence[Field], rules: Iterable[Rule], said: Mapping[str, Any], *, unknown_too: bool
) -> Broken | None:
    """The first rule that a listing breaks; with `unknown_too`, or that cannot be decided."""
    known = vocabulary(fields)
    given = facts(fields, said)
    for rule in rules:
        node = expression.parse(rule.when, known, rule.id)
        holds = expression.truth(node, given)
        if holds:
            return Broken(rule)
        if holds is None and unknown_too:
            lacking = (fact.path for fact in expression.facts_of(node) if given.get(fact.path) is None)
            return Broken(rule, tuple(lacking))
    return None


# ---- a board's file


def faults(fields: Sequence[Field], rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    """(name of the field or id of the rule, what is wrong with it) of a board's file."""
    yield from _field_faults(fields)
    names = [rule.id for rule in rules]
    for rule in rules:
        if names.count(rule.id) > 1:
            yield rule.id, "is there twice"
        yield from ((rule.id, wrong) for wrong in _rule_faults(fields, rule))


def _field_faults(fields: Sequence[Field]) -> Iterator[tuple[str, str]]:
    names = [field.name for field in fields]
    for field in fields:
        if not _NAME.match(field.name) or field.name == "now":
            yield field.name, "a field's name is lower-case letters, digits and _, and not `now`"
        if names.count(field.name) > 1:
            yield field.name, "is there twice"
        if field.type == "choice" and not field.choices:
            yield field.name, "a choice needs its choices"
        if field.choices and field.type not in ("choice", "list"):
            yield field.name, f"{field.type} has no choices"
        if wrong := refuse_value(field, field.example):
            yield field.name, f"its example does not fit: {wrong}"


def _rule_faults(fields: Sequence[Field], rule: Rule) -> Iterator[str]:
    known = vocabulary(fields)
    try:
        node = expression.parse(rule.when, known, "when")
    except ExpressionError as error:
        yield str(error)
        return
    for what, changes, wanted in (("breaks", rule.breaks, True), ("passes", rule.passes, False)):
        if strange := [path for path in changes if path not in known]:
            yield f"{what} names no field or fact: {', '.join(strange)}"
            continue
        said = example_of(fields, changes)
        wrong = [refuse_value(field, said[field.name]) for field in fields if field.name in said]
        wrong = [text for text in wrong if text]
        answer = expression.truth(node, facts(fields, said))
        if wrong:
            yield f"{what}: {wrong[0]}"
        elif answer is not wanted and not (answer is None and wanted and MISSING in changes.values()):
            yield f"the example of `{what}` {'does not break' if wanted else 'does not pass'} it"


def example_of(fields: Iterable[Field], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What an example says: every field's own example but for the changes, of which MISSING says nothing."""
    said = {**EXAMPLE, **{field.name: field.example for field in fields}, **changes}
    return {
        path: tuple(value) if isinstance(value, list) else value
        for path, value in said.items()
        if value != MISSING
    }
