"""Issue 5, "Done means": every mechanism has its page: what it is, when the law allows it, an example, its refusals."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.story import ROOT, has_chinese

FOLDER = ROOT / "docs" / "mechanisms"
MECHANISMS = (
    "posted_price",
    "off_venue",
    "continuous_auction",
    "call_auction",
    "sealed_bid",
    "lawful_auction",
    "quote",
    "tender",
    "challenge",
    "metered",
)
"""The values of a listing's `mechanism`, and the two ways that come with one: a book's call, a need's challenge."""
CITED = re.compile(r"〔\d{4}〕|第.{1,8}条|《.+?》")
CODE = re.compile(r"`[a-z]+(_[a-z]+)*`")

of_each = pytest.mark.parametrize("name", MECHANISMS)


@cache
def page(name: str) -> str:
    return Path(FOLDER / f"{name}.md").read_text(encoding="utf-8")


def section(name: str, *words: str) -> str:
    """The part of the page below the heading that has one of these words."""
    for part in re.split(r"^## ", page(name), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        if any(word in heading.lower() for word in words):
            return text
    raise AssertionError(f"{name}.md has no heading with one of {words}")


@of_each
def test_each_mechanism_has_a_page(name: str) -> None:
    text = page(name)
    assert text.startswith("# ")
    assert has_chinese(text.partition("\n")[0]), "its Chinese name beside the English one"
    assert name in text, "as the API calls it"


@of_each
def test_each_page_says_when_the_law_allows_it(name: str) -> None:
    assert CITED.search(section(name, "law"))


@of_each
def test_each_page_has_an_example_with_numbers(name: str) -> None:
    assert len(re.findall(r"\d[\d,]*", section(name, "example"))) >= 5


@of_each
def test_each_page_names_its_refusals(name: str) -> None:
    assert len(set(CODE.findall(section(name, "refus")))) >= 1


def test_the_refill_rule_of_an_iceberg_is_stated() -> None:
    told = [text for text in page("continuous_auction").split("\n\n") if "refill" in text.lower()]
    assert any("place" in text or "queue" in text for text in told)


def test_the_ties_of_a_call_auction_are_written_down() -> None:
    text = page("call_auction").lower()
    assert [word for word in ("volume", "surplus", "reference", "tie") if word not in text] == []


def test_the_pages_can_be_found() -> None:
    linked = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("ARCHITECTURE.md",))
    assert "mechanisms/" in linked + (ROOT / "README.md").read_text(encoding="utf-8")
