"""What the venue does about each article of the policy digest, as `articles.toml` says it.

A rule is found by its citations, so this file only says what no citation can: what an article asks for, what answers
it where no rule does, and which articles ask nothing of a venue. Documents that rules cite are named as in
`rulebook/sources.toml`.
"""

import re
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Literal

import msgspec

from clearing.notrade import Citation, Rule, Text

Answer = Literal["rules", "venue", "later", "outside"]


class Article(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An article, or a run of them (`32-49`), and how the venue answers it; `where` are files of the repository."""

    no: str
    says: Text
    by: Answer
    answer: Text | None = None
    where: tuple[str, ...] = ()

    @property
    def numbers(self) -> range:
        first, _, last = self.no.partition("-")
        return range(int(first), int(last or first) + 1)


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    article: tuple[Article, ...]
    title: Text | None = None


class _Source(msgspec.Struct, frozen=True):
    title_zh: str
    en: str


class Document(msgspec.Struct, frozen=True):
    """One document of the digest; `source` is its name in `sources.toml`, or a name of its own."""

    source: str
    title: Text
    articles: tuple[Article, ...]


def load() -> list[Document]:
    """The documents in the order of the file. Raises msgspec.ValidationError where the file has another shape."""
    folder = resources.files("clearing")
    written = folder.joinpath("articles.toml").read_text(encoding="utf-8")
    sources = folder.joinpath("rulebook").joinpath("sources.toml").read_text(encoding="utf-8")
    known = msgspec.toml.decode(sources, type=dict[str, _Source])
    return [
        Document(name, one.title or Text(known[name].title_zh, known[name].en), one.article)
        for name, one in msgspec.toml.decode(written, type=dict[str, _Written]).items()
    ]


def numbers_of(citation: Citation) -> list[int]:
    """The articles that a citation names: 7(2),8 is 7 and 8. One that cites a source as a whole names none."""
    return [int(number) for number in re.findall(r"\d+", re.sub(r"\([^)]*\)", "", citation.article))]


def rules_on(document: Document, article: Article, rules: Sequence[Rule]) -> Iterator[Rule]:
    """The rules that stand on this article, or on one of this run."""
    for rule in rules:
        for citation in rule.citations:
            if citation.title_zh == document.title.zh and any(
                number in article.numbers for number in numbers_of(citation)
            ):
                yield rule
                break
