"""The rule language against a naive reading of it, and everything that it must refuse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing import expression
from clearing.expression import (
    Always,
    Both,
    Comparison,
    Constant,
    Either,
    ExpressionError,
    Fact,
    Holds,
    Kind,
    Node,
    Not,
    OneOf,
    Within,
)

COLOURS = ("red", "green", "blue")
KNOWN = {
    "now": Kind("time"),
    "lot.sold": Kind("truth"),
    "lot.fresh": Kind("truth"),
    "lot.colour": Kind("choice", values=COLOURS),
    "lot.colours": Kind("set", values=COLOURS),
    "lot.price_fen": Kind("number", "fen"),
    "lot.cap_fen": Kind("number", "fen"),
    "lot.weight_kg": Kind("number", "kg"),
    "lot.until": Kind("time"),
    "lot.purpose": Kind("text", "purpose"),
    "lot.region": Kind("text", "region"),
    "lot.purposes": Kind("set", "purpose"),
    "lot.owner": Kind("text", "participant"),
    "bid.owner": Kind("text", "participant"),
}
ABSENT = object()
VALUES: dict[str, list[Any]] = {
    "truth": [True, False, ABSENT, None, 1, "yes"],
    "number": [0, 1, 2, ABSENT, None, True, 1.0, "1"],
    "time": [0, 1, 2, ABSENT, None, "2026-01-01"],
    "text": ["a", "b", "", ABSENT, None, 7],
    "choice": [*COLOURS, "grey", "", ABSENT, None, 7],
    "set": [
        (),
        ("a",),
        ("red",),
        ("red", "blue"),
        frozenset(["a", "b"]),
        ("red", "grey"),
        ["red"],
        ABSENT,
        "red",
    ],
}
TEXTS = [
    "lot.sold",
    "not lot.fresh",
    "lot.colour == 'red'",
    "lot.colour != 'red'",
    "lot.colour in ['red', 'blue']",
    "lot.colour not in ['red', 'green', 'blue']",
    "lot.colour in lot.colours",
    "lot.colour not in lot.colours",
    "'red' in lot.colours",
    "lot.price_fen > lot.cap_fen",
    "lot.price_fen <= 1",
    "1 == lot.price_fen",
    "lot.price_fen in [0, 2]",
    "lot.price_fen not in [0, 2]",
    "lot.until < now",
    "now <= lot.until",
    "lot.until == now",
    "lot.purpose == 'a'",
    "lot.purpose not in ['a', 'c']",
    "lot.purpose in lot.purposes",
    "lot.purpose not in lot.purposes",
    "lot.owner == bid.owner",
    "lot.owner != bid.owner",
    "True",
    "False",
]


def naive(node: Node, facts: dict[str, Any]) -> bool | None:
    """Kleene's logic spelled out: None is unknown."""
    match node:
        case Always(value=written):
            return written
        case Holds(fact=fact):
            held: bool | None = known(fact, facts)
            return held
        case Not(inner=inner):
            inside = naive(inner, facts)
            return None if inside is None else not inside
        case Both(parts=parts):
            values = [naive(part, facts) for part in parts]
            return False if False in values else None if None in values else True
        case Either(parts=parts):
            values = [naive(part, facts) for part in parts]
            return True if True in values else None if None in values else False
        case Comparison(operator=operator, left=left, right=right):
            return compare(operator, known(left, facts), known(right, facts))
        case OneOf(item=item, values=listed):
            value = known(item, facts)
            return None if value is None else value in listed
        case Within(item=item, collection=collection):
            value, found = known(item, facts), known(collection, facts)
            return None if value is None or found is None else value in found
    raise AssertionError(node)


def compare(operator: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    results: dict[str, bool] = {"==": left == right}
    if operator != "==":
        results |= {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return results[operator]


def known(term: Fact | Constant, facts: dict[str, Any]) -> Any:
    """The value, or None where it is missing, of the wrong type, outside its list, or an empty code."""
    if isinstance(term, Constant):
        return term.value
    value, kind = facts[term.path], term.kind
    fits = (
        {
            "truth": type(value) is bool,
            "number": type(value) is int,
            "time": type(value) is int,
            "text": type(value) is str and value != "",
            "choice": type(value) is str and value in kind.values,
            "set": type(value) in (tuple, frozenset)
            and all(
                not kind.values or element in kind.values
                for element in (value if value is not ABSENT else ())
            ),
        }[kind.name]
        if value is not ABSENT
        else False
    )
    return value if fits else None


def holds(node: Node, facts: dict[str, Any], certainly: bool) -> bool:
    names: dict[str, Any] = {path.replace(".", "_"): value for path, value in facts.items()}
    names |= expression.constants(expression.facts_of(node))
    return bool(eval(expression.emit(node, certainly), names))  # noqa: S307


FACTS = st.fixed_dictionaries({path: st.sampled_from(VALUES[kind.name]) for path, kind in KNOWN.items()})
CONDITIONS = st.recursive(
    st.sampled_from(TEXTS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} and {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})"),
        inner.map(lambda one: f"(not ({one}))"),
    ),
    max_leaves=6,
)


@given(text=CONDITIONS, facts=FACTS)
def test_compiled_conditions_are_kleenes_logic(text: str, facts: dict[str, Any]) -> None:
    node = expression.parse(text, KNOWN, "here:1")
    expected = naive(node, facts)
    assert holds(node, facts, True) is (expected is True)
    assert holds(node, facts, False) is (expected is False)


@pytest.mark.parametrize("text", TEXTS)
def test_every_form_can_be_true_and_false_where_it_should(text: str) -> None:
    node = expression.parse(text, KNOWN, "here:1")
    facts = dict.fromkeys(KNOWN, ABSENT)
    constant = text in ("True", "False")
    assert holds(node, facts, True) is (text == "True")
    assert holds(node, facts, False) is (constant and text == "False")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lot.colour ==", "does not parse"),
        ("lot.color == 'red'", "unknown fact 'lot.color'"),
        ("lot.colour == 'rad'", "'rad' is not one of red, green, blue"),
        ("lot.colour in ['red', 'rad']", "'rad' is not one of"),
        ("lot.colour < 'red'", "has no order"),
        ("lot.until < lot.price_fen", "cannot be compared"),
        ("lot.until < 3", "3 cannot be compared with a time"),
        ("lot.price_fen > lot.weight_kg", "cannot be compared"),
        ("lot.price_fen == '3'", "'3' cannot be compared with a number"),
        ("lot.purpose == 3", "3 cannot be compared with a text"),
        ("lot.purpose == lot.region", "cannot be compared"),
        ("lot.region in lot.purposes", "can never be in"),
        ("'rad' in lot.colours", "'rad' is not one of"),
        ("lot.price_fen", "not a yes or no"),
        ("lot.sold == True", "stands for itself"),
        ("lot.purposes == lot.purposes", "cannot be compared"),
        ("lot.purpose in lot.region", "not a set"),
        ("lot.purpose in []", "needs a fact before it and a value inside it"),
        ("'a' in ['a']", "needs a fact before it"),
        ("lot.purpose in [lot.region]", "literals only"),
        ("0 < lot.price_fen < 2", "not a condition"),
        ("lot.price_fen + 1 > 2", "not a fact, a number or a string"),
        ("-1 < lot.price_fen", "not a fact"),
        ("lot.price_fen > 1.5", "not a fact"),
        ("len(lot.purposes) > 1", "not a fact"),
        ("lot.sold is True", "only =="),
        ("__import__('os')", "not a condition"),
        ("lot.purposes[0] == 'a'", "not a fact"),
        ("[lot.sold]", "not a condition"),
        ("lot.sold if lot.fresh else lot.sold", "not a condition"),
        ("(lambda: lot.sold)()", "not a condition"),
        ("1 == 1", "cannot be compared"),
        ("", "does not parse"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=r"^rights\.toml:12: ") as raised:
        expression.parse(text, KNOWN, "rights.toml:12")
    assert why in str(raised.value)


def test_the_facts_of_a_condition_are_listed_once_and_sorted() -> None:
    node = expression.parse("lot.until < now and not lot.sold or lot.until > now", KNOWN, "here:1")
    assert [fact.path for fact in expression.facts_of(node)] == ["lot.sold", "lot.until", "now"]


def test_a_time_moves_only_against_another_clock() -> None:
    moving = expression.parse("lot.until < now and lot.price_fen > 1", KNOWN, "here:1")
    assert expression.moments(moving, {}) == [expression.Moment("now", "lot.until", 1)]
    still = expression.parse("lot.price_fen > lot.cap_fen", KNOWN, "here:1")
    assert expression.moments(still, {}) == []
