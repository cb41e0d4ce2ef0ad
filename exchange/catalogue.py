"""Search of what is on offer: by text in Chinese and English, and by facets.

Text. Every word of the query (what white space divides) must occur somewhere in the listing's id, title,
summary, tags or merchant's name, as a piece of text: 气象 finds 气象观测, `gdp` finds ＧＤＰ and `GDP-2023`. No
stemming, no ranking: a venue does not favour a seller (the newest publication comes first).

Indexes. One GIN index over `listing_search.grams` answers text and facets together: `grams @> $1` with
every pair of neighbouring characters of every word (`exchange.grams`; a word of one character is itself a
gram), and `board=...`, `origin=...`, `grade=...`, `mechanism=...`. The pairs of a word may stand apart in a
text, so each text found is then looked through for the words themselves; nothing that contains them is
missed. A price range has a b-tree, and without any condition the page is read off the index of publication.
"""

from typing import Any, Final

from msgspec import Struct

from exchange.grams import facet, grams_of_query, words
from exchange.projection import ListingRecord
from exchange.projector import LISTINGS, CursorInvalid, Page, Pool

MAX_FEN: Final = 2**63 - 1


class Query(Struct, frozen=True, kw_only=True):
    """What to look for; None is no condition. Prices are the listing's own `price_fen`, whatever units it
    is for.
    """

    text: str = ""
    board: str | None = None
    origin: str | None = None
    grade: str | None = None
    mechanism: str | None = None
    price_min: int | None = None
    price_max: int | None = None

    def grams(self) -> list[str]:
        facets = {
            "board": self.board,
            "origin": self.origin,
            "grade": self.grade,
            "mechanism": self.mechanism,
        }
        found = [facet(name, value) for name, value in facets.items() if value is not None]
        return [*found, *grams_of_query(self.text)]


async def search(
    pool: Pool,
    q: str = "",
    board: str | None = None,
    origin: str | None = None,
    grade: str | None = None,
    price_min: int | None = None,
    price_max: int | None = None,
    mechanism: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ListingRecord]:
    """Published listings that meet every condition, the newest publication first.

    Raises CursorInvalid for a cursor that is not this list's. Text that PostgreSQL cannot hold (NUL, half a
    surrogate pair) is in no listing: the page is empty.
    """
    assert limit > 0, "a page has at least one row"
    query = Query(
        text=q,
        board=board,
        origin=origin,
        grade=grade,
        mechanism=mechanism,
        price_min=price_min,
        price_max=price_max,
    )
    grams, before = query.grams(), _before(cursor)
    if not all(_is_storable(gram) for gram in grams):
        return Page([], None)
    statement, arguments = _statement(query, grams, before)
    records = await pool.fetch(LISTINGS.select(statement), *arguments, limit + 1)
    rows = [LISTINGS.row_of(record) for record in records]
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], f"{last.published_at_ns}.{last.number}")


def _statement(query: Query, grams: list[str], before: tuple[int, int]) -> tuple[str, list[Any]]:
    """Conditions that are asked for, and only those, so that the planner sees which index fits."""
    conditions = ["state = 'published'", "(published_at_ns, number) < ($1, $2)"]
    arguments: list[Any] = [*before]
    for condition, value in (
        ("grams @> ${}::text[]", grams or None),
        (
            "(SELECT bool_and(strpos(search_text, word) > 0) FROM unnest(${}::text[]) AS word)",
            words(query.text) or None,
        ),
        ("price_fen >= ${}", _bounded(query.price_min)),
        ("price_fen <= ${}", _bounded(query.price_max)),
    ):
        if value is not None:
            arguments.append(value)
            conditions.append(condition.format(len(arguments)))
    order = f"ORDER BY published_at_ns DESC, number DESC LIMIT ${len(arguments) + 1}"
    return f"WHERE {' AND '.join(conditions)} {order}", arguments


def _bounded(price_fen: int | None) -> int | None:
    return None if price_fen is None else max(-MAX_FEN, min(price_fen, MAX_FEN))


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _before(cursor: str | None) -> tuple[int, int]:
    """(published_at_ns, number) that the page's listings lie below."""
    if cursor is None:
        return MAX_FEN, 0
    at_ns, _, number = cursor.partition(".")
    if not all(part.isascii() and part.isdigit() and len(part) <= 19 for part in (at_ns, number)):
        raise CursorInvalid(f"{cursor[:40]!r} is not a cursor of the catalogue")
    if max(int(at_ns), int(number)) > MAX_FEN:
        raise CursorInvalid(f"{cursor[:40]!r} is not a cursor of the catalogue")
    return int(at_ns), int(number)
