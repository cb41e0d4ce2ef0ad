"""What a board asks of a listing: fields and what they take, rules over them, and a file that says what is wrong in it."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clearing import expression
from clearing.calendar import start_of_day
from clearing.notrade import VOCABULARY
from exchange import board
from exchange import events as e
from exchange.attributes import EXAMPLE, MISSING, OFFERED, Choice, Field, example_of, expected, refuse_value
from exchange.board import BoardError
from exchange.listing import READ_TERMS
from tests.exchange.test_board import LAWFUL
from tests.exchange.world import World, boards, classification, consent_of, only, rulebook, said, terms

BOARDS = tuple(boards())
SPECIAL = tuple(name for name in BOARDS if name != "general")


def field(**changes: Any) -> Field:
    whole: dict[str, Any] = {
        "name": "depth",
        "type": "integer",
        "zh": "水深",
        "en": "Depth",
        "example": 1,
        **changes,
    }
    return Field(**whole)


# ---- values

CHOICES = (Choice("hot", "热", "hot"), Choice("cold", "冷", "cold"))


@pytest.mark.parametrize(
    ("of", "good", "bad"),
    [
        (field(least=90, most=100), (90, 100), (89, 101, "90", 90.0, True, None, [90], {"an": "object"})),
        (field(), (0, -5, 10**15), (10**15 + 1, "0", False)),
        (field(type="boolean"), (True, False), (0, 1, "true", None)),
        (field(type="text"), ("x", "x" * 200), ("", " ", "x" * 201, 5, ["x"])),
        (field(type="date"), ("2026-11-30", "2024-02-29"), ("2026-02-29", "30.11.2026", "2026-11-30T00:00", 20261130)),
        (field(type="choice", choices=CHOICES), ("hot", "cold"), ("warm", "", 1, ["hot"])),
        (field(type="list", choices=CHOICES), (["hot"], ["cold", "hot"]), ([], ["warm"], ["hot", "hot"], "hot", [1])),
        (field(type="list", least=2, most=3), (["a", "b"],), (["a"], ["a", "b", "c", "d"])),
    ],
    ids=lambda value: value.type if isinstance(value, Field) else "",
)  # fmt: skip
def test_a_field_takes_what_it_says(of: Field, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    assert [refuse_value(of, value) for value in good] == [""] * len(good)
    for value in bad:
        wrong = refuse_value(of, value)
        assert "attributes.depth (水深 Depth)" in wrong, value
        assert expected(of) in wrong


# ---- the language


def values_of(kind: expression.Kind, chance: random.Random) -> Any:
    """A value that a fact may be found with: of its kind, outside its list, of another type, or not there."""
    of_kind: dict[str, Any] = {
        "truth": [True, False],
        "number": [0, 1, 6, 36, 89, 90, 10**6],
        "time": [0, 10**18, 2 * 10**18],
        "text": ["CN", "x", "market_analysis"],
        "choice": list(kind.values),
        "set": [tuple(chance.sample(kind.values or ("CN", "x"), 1)), kind.values, ()],
    }
    return chance.choice([*of_kind[kind.name], None, "", "strange", 7, True, ("strange",)])


def conditions() -> Iterator[tuple[expression.Node, expression.Vocabulary]]:
    for rule in rulebook().rules.values():
        for text in (rule.applies_when, rule.violated_when):
            yield expression.parse(text, VOCABULARY, rule.id), VOCABULARY
    for one in boards().values():
        known = {**OFFERED, **{field.name: field.kind for field in one.fields}}
        for own in one.rules:
            yield expression.parse(own.when, known, own.id), known


def test_one_answer_is_that_of_the_compiled_pair() -> None:
    """Every condition of the rulebook and of the boards, on facts of all kinds, strange ones too."""
    chance, answers = random.Random(5), {True: 0, False: 0, None: 0}
    for node, known in conditions():
        facts = expression.facts_of(node)
        pair = [compile(expression.emit(node, certainly), "rule", "eval") for certainly in (True, False)]
        for _ in range(60):
            found = {fact.path: values_of(known[fact.path], chance) for fact in facts}
            names = {fact.local: found[fact.path] for fact in facts} | expression.constants(facts)
            holds, fails = (bool(eval(code, {}, names)) for code in pair)  # noqa: S307 - written by `emit`
            answer = expression.truth(node, found)
            assert answer is (True if holds else False if fails else None), (node, found)
            answers[answer] += 1
    assert min(answers.values()) > 500, answers


# ---- in the venue


@pytest.fixture
def world() -> World:
    return World()


def drafted(world: World, name: str, **changes: Any) -> e.CreateListing:
    """A draft that says what the board's examples say, but for the changes; MISSING says nothing."""
    whole = {**said(name), **{key: value for key, value in changes.items() if "." not in key}}
    own = {key.removeprefix("terms."): value for key, value in changes.items() if key.startswith("terms.")}
    if own.get("deal", "licence") != "licence":
        own["supply"] = "exclusive"
    product = {
        key.removeprefix("product."): value for key, value in changes.items() if key.startswith("product.")
    }
    merchant, parts = world.merchant(), {}
    if product.get("pi_state", "none") != "none":
        product["origin"] = "personal"
        parts = {"consent": consent_of()}
    return e.CreateListing(
        actor=merchant,
        product=world.product(merchant, classification=classification(**product), **parts),
        board=name,
        terms=terms(**own),
        attributes={key: value for key, value in whole.items() if value != MISSING},
    )


@pytest.mark.parametrize("name", BOARDS)
def test_what_the_examples_say_is_published(world: World, name: str) -> None:
    listing = world.listing(world.merchant(), board=name)
    row = world.state.listings[listing]
    assert row.attributes == {
        field.name: field.example for field in sorted(boards()[name].fields, key=_by_name)
    }
    world.check()


def _by_name(of: Field) -> str:
    return of.name


RULES = [(name, rule) for name in BOARDS for rule in boards()[name].rules]


@pytest.mark.parametrize(("name", "rule"), RULES, ids=[rule.id for _, rule in RULES])
def test_each_rule_is_refused_where_it_breaks_and_not_where_it_passes(
    world: World, name: str, rule: Any
) -> None:
    """As drafted, or where it cannot be decided yet as submitted: refused by its id, with its words and its source."""
    world.at_ns = start_of_day(EXAMPLE["now"]) or 0
    command = drafted(world, name, **rule.passes)
    listing = only(world.must(command), e.ListingCreated).listing
    world.must(e.MoveListing(actor=command.actor, listing=listing, step="submit"))
    outcome = world.do(drafted(world, name, **rule.breaks))
    if outcome.refusal is None:
        created = only(outcome, e.ListingCreated)
        step = e.MoveListing(actor=created.merchant, listing=created.listing, step="submit")
        outcome = world.do(step)
    assert outcome.refusal is not None
    assert outcome.refusal.code.name == "board_rule"
    for word in (rule.id, rule.zh, rule.en, rule.source):
        assert word in outcome.refusal.detail


def test_an_embargo_ends_with_the_day_before_its_date(world: World) -> None:
    """The date is a day in Beijing, and from its first instant on it is over."""
    command = drafted(world, "open_research", embargo_until="2025-12-25")
    ends_ns = 1_766_592_000_000_000_000
    for at_ns, refused in ((ends_ns - 1, True), (ends_ns, False)):
        world.at_ns = at_ns - 1_000
        outcome = world.do(command)
        assert (outcome.refusal is not None) is refused
        assert not refused or outcome.refusal.detail.startswith("OR-1: ")  # type: ignore[union-attr]
    world.check()


def test_what_cannot_be_decided_is_a_draft_and_no_more(world: World) -> None:
    """Automated driving without its record: a merchant may still say it, but nothing is published."""
    command = drafted(world, "transport", record_seconds=MISSING)
    listing = only(world.must(command), e.ListingCreated).listing
    step = e.MoveListing(actor=command.actor, listing=listing, step="submit")
    refusal = world.refused(step)
    assert (refusal.code.name, refusal.detail.startswith("TB-2: ")) == ("board_rule", True)
    assert refusal.detail.endswith("not known: record_seconds")
    whole = {**command.attributes, "record_seconds": 120}
    world.must(e.ReviseListing(actor=command.actor, listing=listing, terms=command.terms, attributes=whole))
    world.must(step)
    assert world.state.listings[listing].attributes["record_seconds"] == 120  # type: ignore[index]
    world.check()


def test_a_revision_keeps_what_it_does_not_say_anew(world: World) -> None:
    command = drafted(world, "computing", storage="cold")
    listing = only(world.must(command), e.ListingCreated).listing
    world.must(e.ReviseListing(actor=command.actor, listing=listing, terms=terms(price_fen=9)))
    row = world.state.listings[listing]
    assert (row.terms.price_fen, row.attributes["storage"]) == (9, "cold")  # type: ignore[index]
    wrong = e.ReviseListing(
        actor=command.actor, listing=listing, terms=terms(), attributes={"kind": "quantum"}
    )
    refusal = world.refused(wrong)
    assert "attributes.kind" in refusal.detail
    assert "general, intelligent, super, edge, storage" in refusal.detail
    world.check()


@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_asked_for_is_needed_and_nothing_else_is_taken(world: World, name: str) -> None:
    for one in boards()[name].fields:
        if one.required:
            refusal = world.refused(drafted(world, name, **{one.name: MISSING}))
            assert (refusal.code.name, f"attributes.{one.name} " in refusal.detail) == ("out_of_bounds", True)
    refusal = world.refused(drafted(world, name, nobody_asked=1))
    assert "attributes.nobody_asked: this board asks for" in refusal.detail


def test_a_product_fact_that_is_not_confirmed_allows_nothing(world: World) -> None:
    """PD-1 reads the product as the rulebook does: amended and not confirmed yet, it is unknown."""
    merchant = world.merchant()
    product = world.product(merchant)
    listing = world.draft(merchant, product, "public_data", attributes={"form": "dataset"})
    amended = classification(sm_crypto=False)
    world.must(
        e.AmendFacts(actor=merchant, product=product, evidence_sha256="cd" * 32, classification=amended)
    )
    refusal = world.refused(e.MoveListing(actor=merchant, listing=listing, step="submit"))
    assert refusal.code.name in ("board_rule", "unlawful")


# ---- files


def test_every_fact_that_a_rule_may_read_is_given() -> None:
    """`EXAMPLE` is a listing; the terms are those that the venue hands over."""
    assert set(EXAMPLE) <= set(OFFERED)
    assert {path for path in OFFERED if path.startswith("terms.")} == {f"terms.{name}" for name in READ_TERMS}


def test_an_example_says_nothing_where_it_says_missing() -> None:
    assert "depth" not in example_of([field()], {"depth": MISSING})


FIELD = """
[[fields]]
name = "depth"
type = "integer"
zh = "水深"
en = "Depth"
example = 5
"""
RULE = """
[[rules]]
id = "S-1"
when = "depth < 2"
source = "本所规则"
zh = "过浅"
en = "too shallow"
breaks = { depth = 1 }
passes = { depth = 2 }
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("example = 5", 'example = "deep"', "salt.toml:12: depth: its example does not fit"),
        ('type = "integer"', 'type = "float"', "salt.toml:13: Invalid enum value"),
        ('type = "integer"', 'type = "choice"', "salt.toml:12: depth: a choice needs its choices"),
        ('type = "integer"', 'type = "integer"\nleast = "1"', "salt.toml:14: Expected"),
        ('name = "depth"', 'name = "Depth"', "salt.toml:12: Depth: a field's name"),
        ('when = "depth < 2"', 'when = "depth < "', "salt.toml:19: S-1: when: 'depth < ' does not parse"),
        ('when = "depth < 2"', "when = \"depth < 'two'\"", "salt.toml:19: S-1: when: 'two' cannot be compared"),
        ('when = "depth < 2"', 'when = "width < 2"', "salt.toml:19: S-1: when: unknown fact 'width'"),
        ("breaks = { depth = 1 }", "breaks = { depth = 2 }", "salt.toml:19: S-1: the example of `breaks` does not break"),
        ("passes = { depth = 2 }", "passes = { depth = 1 }", "salt.toml:19: S-1: the example of `passes` does not pass"),
        ("passes = { depth = 2 }", "passes = { width = 2 }", "salt.toml:19: S-1: passes names no field"),
        ('source = "本所规则"', "", "salt.toml:18: Object missing required field `source`"),
        ('en = "too shallow"', "en = ", "salt.toml:23: Invalid value"),
    ],
)  # fmt: skip
def test_a_wrong_file_names_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = LAWFUL + FIELD + RULE
    assert old in text
    (tmp_path / "salt.toml").write_text(text, encoding="utf-8")
    [found] = board.load(tmp_path).values()
    assert (len(found.fields), len(found.rules)) == (1, 1)
    (tmp_path / "salt.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(BoardError) as raised:
        board.load(tmp_path)
    assert str(raised.value).startswith(says), raised.value


def test_a_field_or_rule_that_is_there_twice_is_named(tmp_path: Path) -> None:
    for twice in (FIELD + FIELD, FIELD + RULE + RULE):
        (tmp_path / "salt.toml").write_text(LAWFUL + twice, encoding="utf-8")
        with pytest.raises(BoardError, match="is there twice"):
            board.load(tmp_path)
