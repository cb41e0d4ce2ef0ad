"""The rule language: parsed, type-checked against the fact structs, compiled once.

A rule speaks a small subset of CEL, in the notation of the rulebook draft: `==`, `!=`, `<`, `<=`, `>`, `>=`,
`in`, `not in`, `and`, `or`, `not`, lists of literals, dotted facts (`product.origin`), numbers, strings,
`True`, `False` and `now`. Nothing else parses: no call, no arithmetic, no index, no chained comparison.

Every condition is three-valued (Kleene): true, false, or unknown when a fact that matters is missing or is a
value outside its list. Instead of a third value, each expression is compiled twice, into the Python condition
that holds when it is *certainly true* and the one that holds when it is *certainly false*; unknown is when
neither does. Both are plain `and`/`or` over comparisons, so an evaluated rule costs about 0.1 us and a
missing fact can never raise. The source text given to `compile` is written from the checked tree only, never
from the rule's own text.

Time moves by itself: `moments` lists the comparisons of a condition whose answer a clock can change, and
`emit_nearest` writes the code that finds the first instant at which one does.
"""

import ast
import operator as operators
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

KindName = Literal["truth", "number", "time", "text", "choice", "set"]


class ExpressionError(ValueError):
    """A condition that does not parse or does not type-check; the message starts with `file:line`."""


class Kind(msgspec.Struct, frozen=True):
    """What a fact is.

    `domain` is the unit of a number or the code list of a text (`fen`, `purpose`, `participant`): two facts
    compare only within one domain. `values` is the closed list of a choice; a set has those of its elements.
    """

    name: KindName
    domain: str = ""
    values: tuple[str, ...] = ()


Vocabulary = Mapping[str, Kind]

TRUTH = Kind("truth")
TIME = Kind("time")


class Fact(msgspec.Struct, frozen=True):
    """A dotted fact, or the clock: `now` is the fact of that name."""

    path: str
    kind: Kind

    @property
    def local(self) -> str:
        """The Python variable that holds it in compiled code."""
        return self.path.replace(".", "_")


class Constant(msgspec.Struct, frozen=True):
    """A number or a string written in the rule."""

    value: int | str


class Always(msgspec.Struct, frozen=True):
    """`True` or `False` written in the rule."""

    value: bool


class Holds(msgspec.Struct, frozen=True):
    """A yes-or-no fact standing for itself."""

    fact: Fact


class Comparison(msgspec.Struct, frozen=True):
    """Two terms of one kind; `operator` is one of `==`, `<`, `<=`, `>`, `>=`."""

    operator: str
    left: Fact | Constant
    right: Fact | Constant
    kind: Kind


class OneOf(msgspec.Struct, frozen=True):
    """A fact against a list of literals."""

    item: Fact
    values: tuple[int | str, ...]


class Within(msgspec.Struct, frozen=True):
    """A term against a fact that is a set."""

    item: Fact | Constant
    collection: Fact


class Not(msgspec.Struct, frozen=True):
    """The opposite; unknown stays unknown."""

    inner: "Node"


class Both(msgspec.Struct, frozen=True):
    """All of its parts."""

    parts: tuple["Node", ...]


class Either(msgspec.Struct, frozen=True):
    """At least one of its parts."""

    parts: tuple["Node", ...]


Node = Always | Holds | Comparison | OneOf | Within | Not | Both | Either
Term = Fact | Constant


# ---- the vocabulary, read from the fact structs ---------------------------------------------------------


def vocabulary(facts: type[msgspec.Struct]) -> dict[str, Kind]:
    """Every dotted fact of `facts`, whose fields are fact structs or None; `now` is the venue's clock.

    A field's type says its kind: `bool`, `Literal[...]`, an `Annotated` with a Kind, or a tuple of these.
    """
    found = {"now": TIME}
    for section, struct in sections(facts).items():
        for field, hint in typing.get_type_hints(struct, include_extras=True).items():
            found[f"{section}.{field}"] = _kind_of(hint, f"{section}.{field}")
    return found


def sections(facts: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """The fact structs of `facts` by the name a rule gives them."""
    found: dict[str, type[msgspec.Struct]] = {}
    for name, hint in typing.get_type_hints(facts).items():
        for part in get_args(hint):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                found[name] = part
    return found


def _kind_of(hint: Any, path: str) -> Kind:
    for part in _alternatives(hint):
        if part is bool:
            return TRUTH
        if get_origin(part) is Literal:
            return Kind("choice", values=get_args(part))
        if get_origin(part) is tuple:
            element = _kind_of(get_args(part)[0], path)
            return Kind("set", element.domain, element.values)
        for extra in getattr(part, "__metadata__", ()):
            if isinstance(extra, Kind):
                return extra
    raise ExpressionError(f"{path}: the rule language has no kind for the type {hint}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    is_union = get_origin(hint) in (typing.Union, types.UnionType)
    return get_args(hint) if is_union else (hint,)


# ---- parsing and type-checking --------------------------------------------------------------------------

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_ORDERED = ("number", "time")


def parse(text: str, known: Vocabulary, where: str) -> Node:
    """The checked tree of a condition.

    `where` is `file:line`, for the message. Raises ExpressionError for anything outside the language: an
    unknown fact, a value not in a fact's list, a time compared with a number, a purpose with a region.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"{where}: {text!r} does not parse: {error}") from error
    return _Checker(text, known, where).condition(tree)


class _Checker:
    def __init__(self, text: str, known: Vocabulary, where: str) -> None:
        self.text = text
        self.known = known
        self.where = where

    def wrong(self, why: str) -> ExpressionError:
        return ExpressionError(f"{self.where}: {why} in {self.text!r}")

    def condition(self, tree: ast.expr) -> Node:
        match tree:
            case ast.Constant(value=bool() as value):
                return Always(value)
            case ast.BoolOp(op=ast.And(), values=values):
                return Both(tuple(self.condition(value) for value in values))
            case ast.BoolOp(op=ast.Or(), values=values):
                return Either(tuple(self.condition(value) for value in values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self.condition(operand))
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self.comparison(left, _COMPARISONS.get(type(operator), ""), right)
            case ast.Attribute() | ast.Name():
                return self.yes_or_no(tree)
        raise self.wrong(f"{ast.unparse(tree)!r} is not a condition of the rule language")

    def yes_or_no(self, tree: ast.expr) -> Holds:
        fact = self.fact(tree)
        if fact.kind.name != "truth":
            raise self.wrong(f"{fact.path} is a {fact.kind.name}, not a yes or no,")
        return Holds(fact)

    def fact(self, tree: ast.expr) -> Fact:
        path = ast.unparse(tree)
        if path not in self.known:
            raise self.wrong(f"unknown fact {path!r}")
        return Fact(path, self.known[path])

    def term(self, tree: ast.expr) -> Term:
        match tree:
            case ast.Constant(value=bool()):
                raise self.wrong("a yes or no stands for itself: drop the comparison")
            case ast.Constant(value=int() | str() as value):
                return Constant(value)
            case ast.Attribute() | ast.Name():
                return self.fact(tree)
        raise self.wrong(f"{ast.unparse(tree)!r} is not a fact, a number or a string")

    def comparison(self, left: ast.expr, operator: str, right: ast.expr) -> Node:
        if operator in ("in", "not in"):
            member = self.membership(left, right)
            return Not(member) if operator == "not in" else member
        if not operator:
            raise self.wrong("only == != < <= > >= in and not in compare")
        return self.ordering(self.term(left), operator, self.term(right))

    def ordering(self, left: Term, operator: str, right: Term) -> Node:
        kind = self.shared_kind(left, right)
        if operator in ("==", "!="):
            equal = Comparison("==", left, right, kind)
            return Not(equal) if operator == "!=" else equal
        if kind.name not in _ORDERED:
            raise self.wrong(f"a {kind.name} has no order for {operator}")
        return Comparison(operator, left, right, kind)

    def shared_kind(self, left: Term, right: Term) -> Kind:
        match left, right:
            case Fact(kind=kind), Fact(kind=other) if kind == other and kind.name not in ("truth", "set"):
                return kind
            case Fact(kind=kind), Constant(value=value):
                return self.literal_fits(kind, value)
            case Constant(value=value), Fact(kind=kind):
                return self.literal_fits(kind, value)
        raise self.wrong(f"{_named(left)} cannot be compared with {_named(right)}")

    def literal_fits(self, kind: Kind, value: int | str) -> Kind:
        expected = int if kind.name == "number" else str
        if kind.name not in ("number", "text", "choice") or type(value) is not expected:
            raise self.wrong(f"{value!r} cannot be compared with a {kind.name}")
        if kind.name == "choice" and value not in kind.values:
            raise self.wrong(f"{value!r} is not one of {', '.join(kind.values)}")
        return kind

    def membership(self, left: ast.expr, right: ast.expr) -> OneOf | Within:
        item = self.term(left)
        if isinstance(right, ast.List):
            return self.one_of(item, right)
        collection = self.fact(right)
        if collection.kind.name != "set":
            raise self.wrong(f"{collection.path} is a {collection.kind.name}, not a set,")
        element = Kind("choice" if collection.kind.values else "text", *_domain_and_values(collection))
        if isinstance(item, Constant):
            self.literal_fits(element, item.value)
        elif item.kind != element:
            raise self.wrong(f"{item.path} can never be in {collection.path}: other code lists,")
        return Within(item, collection)

    def one_of(self, item: Term, right: ast.List) -> OneOf:
        if isinstance(item, Constant) or not right.elts:
            raise self.wrong("a list needs a fact before it and a value inside it")
        values = [self.term(element) for element in right.elts]
        for value in values:
            if isinstance(value, Fact):
                raise self.wrong(f"a list holds literals only, not {value.path}")
            self.literal_fits(item.kind, value.value)
        return OneOf(item, tuple(value.value for value in values if isinstance(value, Constant)))


def _domain_and_values(fact: Fact) -> tuple[str, tuple[str, ...]]:
    return fact.kind.domain, fact.kind.values


def _named(term: Term) -> str:
    if isinstance(term, Constant):
        return repr(term.value)
    return f"{term.path} ({term.kind.name} {term.kind.domain})".replace(" )", ")")


# ---- reading a tree -------------------------------------------------------------------------------------


def facts_of(node: Node) -> list[Fact]:
    """Every fact that the condition reads, `now` included, sorted by path, each once."""
    return [fact for _, fact in sorted({fact.path: fact for fact in _walk(node)}.items())]


def _walk(node: Node) -> Iterator[Fact]:
    match node:
        case Holds(fact=fact):
            yield fact
        case Comparison(left=left, right=right):
            yield from (term for term in (left, right) if isinstance(term, Fact))
        case OneOf(item=item):
            yield item
        case Within(item=item, collection=collection):
            yield from (term for term in (item, collection) if isinstance(term, Fact))
        case Not(inner=inner):
            yield from _walk(inner)
        case Both(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from _walk(part)


def orders(node: Node) -> bool:
    """Whether it asks for more, less, earlier or later anywhere: only then it has an edge."""
    match node:
        case Comparison(operator=operator):
            return operator != "=="
        case Not(inner=inner):
            return orders(inner)
        case Both(parts=parts) | Either(parts=parts):
            return any(orders(part) for part in parts)
    return False


# ---- one answer, for conditions that are asked too seldom to be compiled


def truth(node: Node, facts: Mapping[str, Any]) -> bool | None:
    """Whether the condition holds for facts by their paths, `now` among them; None where that is unknown.

    It says what the compiled pair of `emit` says, at some ten times its cost.
    """
    match node:
        case Always(value=value):
            return value
        case Holds(fact=fact):
            said = facts.get(fact.path)
            return said if isinstance(said, bool) else None
        case Not(inner=inner):
            inside = truth(inner, facts)
            return None if inside is None else not inside
        case Both(parts=parts):
            return _all([truth(part, facts) for part in parts])
        case Either(parts=parts):
            none_of = _all([truth(Not(part), facts) for part in parts])
            return None if none_of is None else not none_of
        case Comparison(operator=operator, left=left, right=right):
            return _compared(operator, _value(left, facts), _value(right, facts))
        case OneOf(item=item, values=values):
            found = _value(item, facts)
            return None if found is None else found in values
        case Within(item=item, collection=collection):
            found, within = _value(item, facts), _value(collection, facts)
            return None if found is None or within is None else found in within
    raise AssertionError(node)


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _compared(operator: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    return bool(_OPERATORS[operator](left, right))


_OPERATORS = {
    "==": operators.eq,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


def _value(term: Fact | Constant, facts: Mapping[str, Any]) -> Any:
    """A known value of the fact's kind; None for anything else."""
    if isinstance(term, Constant):
        return term.value
    value, kind = facts.get(term.path), term.kind
    match kind.name:
        case "number" | "time":
            return value if type(value) is int else None
        case "text":
            return value if isinstance(value, str) and value else None
        case "choice":
            return value if isinstance(value, str) and value in kind.values else None
    if not isinstance(value, tuple | frozenset):
        return None
    return value if not kind.values or set(value) <= set(kind.values) else None


# ---- compiling: two conditions for each expression ------------------------------------------------------

_OPPOSITE = {"==": "!=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def emit(node: Node, certainly: bool) -> str:
    """Python source that is true exactly when `node` is certainly `certainly`.

    The names in it are the facts' locals (`Fact.local`) and, for a set of listed values, `<local>_values`.
    """
    match node:
        case Always(value=value):
            return str(value is certainly)
        case Holds(fact=fact):
            return f"{fact.local} is {certainly}"
        case Not(inner=inner):
            return emit(inner, not certainly)
        case Both(parts=parts):
            return _join([emit(part, certainly) for part in parts], "and" if certainly else "or")
        case Either(parts=parts):
            return _join([emit(part, certainly) for part in parts], "or" if certainly else "and")
        case Comparison():
            return _emit_comparison(node, certainly)
        case OneOf(item=item, values=values):
            return _emit_listed(item, values, certainly)
        case Within():
            return _emit_within(node, certainly)
    raise AssertionError(node)


def _join(parts: list[str], glue: str) -> str:
    absorbing, neutral = ("False", "True") if glue == "and" else ("True", "False")
    if absorbing in parts:
        return absorbing
    kept = [part for part in parts if part != neutral]
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else "(" + f" {glue} ".join(kept) + ")"


def _emit_comparison(node: Comparison, certainly: bool) -> str:
    left, right, kind = node.left, node.right, node.kind
    if kind.name in _ORDERED:
        operator = node.operator if certainly else _OPPOSITE[node.operator]
        known = [f"{term.local}.__class__ is int" for term in (left, right) if isinstance(term, Fact)]
        return _join([*known, f"{_source(left)} {operator} {_source(right)}"], "and")
    match left, right:
        case Fact(), Constant(value=value):
            return _emit_listed(left, (value,), certainly)
        case Constant(value=value), Fact():
            return _emit_listed(right, (value,), certainly)
        case Fact(), Fact():
            operator = "==" if certainly else "!="
            return _join([_known(left), _known(right), f"{left.local} {operator} {right.local}"], "and")
    raise AssertionError(node)


def _emit_listed(item: Fact, values: tuple[int | str, ...], certainly: bool) -> str:
    if item.kind.name == "choice":
        chosen = tuple(value for value in item.kind.values if (value in values) is certainly)
        return _among(item.local, chosen)
    if certainly:
        return _join([_known(item), _among(item.local, values)], "and")
    return _join([_known(item), f"not {_among(item.local, values)}"], "and")


def _among(local: str, values: tuple[int | str, ...]) -> str:
    if not values:
        return "False"
    return f"{local} == {values[0]!r}" if len(values) == 1 else f"{local} in {values!r}"


def _emit_within(node: Within, certainly: bool) -> str:
    item, collection = node.item, node.collection
    parts = [f"({collection.local}.__class__ is tuple or {collection.local}.__class__ is frozenset)"]
    if isinstance(item, Fact):
        parts.append(_known(item))
    parts.append(f"{_source(item)} {'in' if certainly else 'not in'} {collection.local}")
    if collection.kind.values:
        parts.append(f"{collection.local}_values.issuperset({collection.local})")
    return _join(parts, "and")


def _known(fact: Fact) -> str:
    """Python source that is true when the fact has a value of its kind; an empty code says nothing."""
    local = fact.local
    match fact.kind.name:
        case "truth":
            return f"({local} is True or {local} is False)"
        case "number" | "time":
            return f"{local}.__class__ is int"
        case "text":
            return f"{local}.__class__ is str and {local} != ''"
        case "choice":
            return _among(local, fact.kind.values)
    listed = f" and {local}_values.issuperset({local})" if fact.kind.values else ""
    return f"(({local}.__class__ is tuple or {local}.__class__ is frozenset){listed})"


def _source(term: Term) -> str:
    return term.local if isinstance(term, Fact) else repr(term.value)


def constants(facts: list[Fact]) -> dict[str, frozenset[str]]:
    """The names beside the facts that emitted source needs: the value lists of sets."""
    return {
        f"{fact.local}_values": frozenset(fact.kind.values)
        for fact in facts
        if fact.kind.name == "set" and fact.kind.values
    }


# ---- time -----------------------------------------------------------------------------------------------

FAR = 2**63
_MIRROR = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Moment(msgspec.Struct, frozen=True, order=True):
    """A comparison that the clock can change.

    Once the moving side stands `lag_ns` past the fixed side the answer is another one. `moving` is `now`, or
    a date that runs ahead of `now` by a fixed term, such as the end of a licence that starts when it is sold.
    """

    moving: str
    fixed: str
    lag_ns: int


def moments(node: Node, terms: Mapping[str, str]) -> list[Moment]:
    """The moments of a condition, sorted; `terms` maps each date that may run with the clock to its term."""
    return sorted({moment for comparison in _times(node) for moment in _moments(comparison, terms)})


def _times(node: Node) -> Iterator[Comparison]:
    match node:
        case Comparison(kind=Kind(name="time")):
            yield node
        case Not(inner=inner):
            yield from _times(inner)
        case Both(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from _times(part)


def _moments(node: Comparison, terms: Mapping[str, str]) -> Iterator[Moment]:
    assert isinstance(node.left, Fact)
    assert isinstance(node.right, Fact)
    left, right = node.left.path, node.right.path
    for moving, fixed, operator in ((left, right, node.operator), (right, left, _MIRROR[node.operator])):
        if fixed != "now" and (moving == "now" or moving in terms):
            for lag_ns in {">": (1,), ">=": (0,), "<": (0,), "<=": (1,), "==": (0, 1)}[operator]:
                yield Moment(moving, fixed, lag_ns)


def emit_nearest(found: list[Moment], terms: Mapping[str, str]) -> list[str]:
    """Lines of Python that leave in `nearest` the first instant after `now` when a moment passes, or FAR."""
    lines = [f"nearest = {FAR}"]
    for moment in found:
        lines += _emit_moment(moment, terms)
    return lines


def _emit_moment(moment: Moment, terms: Mapping[str, str]) -> list[str]:
    moving, fixed = (path.replace(".", "_") for path in (moment.moving, moment.fixed))
    conditions = ["now.__class__ is int", f"{moving}.__class__ is int", f"{fixed}.__class__ is int"]
    if moment.moving in terms:
        conditions.append(f"{terms[moment.moving].replace('.', '_')}.__class__ is int")
    if moment.fixed in terms:
        conditions.append(f"{terms[moment.fixed].replace('.', '_')}.__class__ is not int")
    return [
        f"if {' and '.join(conditions)}:",
        f"    at = now + {fixed} - {moving} + {moment.lag_ns}",
        "    if now < at < nearest:",
        "        nearest = at",
    ]
