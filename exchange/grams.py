"""Search terms of a text in Chinese and English, without a database extension.

A text is normalised (Unicode NFKC, then case folding: ＧＤＰ, GDP and gdp are one) and cut at white space. Of
every piece each single character and each pair of neighbouring characters is a gram, whatever the script,
so Chinese needs no dictionary of words. A word without white space that occurs in the text has all its
pairs among the text's grams: looking up the word's grams misses nothing. It may find too much (`abc` in `ab
bc`), so the word itself is then looked for in the few texts found.

A facet (`board=general`) is a gram of its own kind beside them: it has at least three characters, so it can
never be mistaken for one of the text's. One index answers text and facets together.
"""

import unicodedata
from collections.abc import Iterable, Mapping

FACETS = ("board", "origin", "grade", "mechanism")
"""What a listing can be looked up by, beside its text."""
MOST_PAIRS = 3
EVERYWHERE = 0.5


def normalise(text: str) -> str:
    """NFKC and case folding, once more NFKC (folding may undo it: Unicode 15, section 3.13, D147)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def words(text: str) -> list[str]:
    """The pieces between white space of the normalised text, each once, in order."""
    return list(dict.fromkeys(normalise(text).split()))


def pairs(word: str) -> list[str]:
    """Each two neighbouring characters; of a single character, itself."""
    return [word] if len(word) == 1 else [word[at : at + 2] for at in range(len(word) - 1)]


def grams_of(texts: Iterable[str], facets: dict[str, str], others: Iterable[str] = ()) -> tuple[str, ...]:
    """All that the texts can be found by, sorted: characters, pairs, facets, and other grams that are none of these."""
    found: set[str] = {facet(name, value) for name, value in facets.items()}
    found.update(others)
    for text in texts:
        for word in words(text):
            found.update(word)
            found.update(pairs(word))
    return tuple(sorted(found))


def facet(name: str, value: str) -> str:
    """The gram that stands for `name` being `value`."""
    assert name in FACETS, f"{name} is no facet"
    return f"{name}={value}"


def attribute_gram(name: str, value: str) -> str:
    """The gram that stands for a board's field saying this, as it is written in a query."""
    return f"{name}:={value}"


def attribute_grams(attributes: Mapping[str, str | int | bool | tuple[str, ...]]) -> list[str]:
    """One for each thing that is said; a list says each of its entries."""
    found = []
    for name, value in attributes.items():
        said = value if isinstance(value, tuple) else (written(value),)
        found += [attribute_gram(name, one) for one in said]
    return found


def written(value: str | int | bool) -> str:
    """A value as a query names it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def grams_of_query(query: str, share: Mapping[str, float], facets: Iterable[str] = ()) -> tuple[str, ...]:
    """What to look up, and every text that contains the query's words and facets has among its grams.

    `share` is the part of texts that have a gram, where that is known: of each word the three rarest pairs are enough,
    and what half of all texts have leads nowhere. Empty for an empty query.
    """

    def rare(gram: str) -> tuple[float, str]:
        return share.get(gram, 0.0), gram

    found = {gram for word in words(query) for gram in sorted(set(pairs(word)), key=rare)[:MOST_PAIRS]}
    found.update(facets)
    some = [gram for gram in found if share.get(gram, 0.0) < EVERYWHERE]
    return tuple(sorted(some or sorted(found, key=rare)[:1]))
