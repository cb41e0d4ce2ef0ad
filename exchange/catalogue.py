"""Search of what is on offer: by text in Chinese and English, and by facets.

Text. Every word of the query (what white space divides) must occur somewhere in the listing's id, title,
summary, tags or merchant's name, as a piece of text: 气象 finds 气象观测, `gdp` finds ＧＤＰ and `GDP-2023`. No
stemming, no ranking: a venue does not favour a seller (the newest publication comes first).

Two ways lead to a page, and which is shorter depends on how much fits: from the newest publication backwards until the
page is full (much fits), or by index over all that fits, then sorted (little fits). So the newest few are looked at
first, and how many of them fit decides. Neither way grows with what does not fit.

Indexes. One GIN index over `listing_search.grams` answers text and facets together: `grams @> $1` with
the rarest pairs of neighbouring characters of every word (`exchange.grams`; a word of one character is itself a
gram; PostgreSQL knows which are rare), and `board=...`, `origin=...`, `grade=...`, `mechanism=...`. The pairs of
a word may stand apart in a text, so each text found is then looked through for the words themselves; nothing
that contains them is missed. A price range has a b-tree, and the newest come off the index of publication. Only
what a page needs is read: grams are long, and lie apart from the row.
"""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from exchange.grams import attribute_gram, facet, grams_of_query, words
from exchange.projector import CursorInvalid, Page, Pool

MAX_FEN: Final = 2**63 - 1
NEWEST: Final = 512
"""How many are looked at to learn which way is shorter. 0.3 ms: walking costs half a microsecond each."""
FURTHER: Final = 16 * NEWEST
"""Where more than a few of the newest fit, so many are walked over before the index is asked: what was imported together
stands together, and behind it there may be nothing."""
FEW: Final = 8
"""So many of them or fewer: by index, which costs two microseconds for each that fits. Of 100,000 listings 1,600 fit then
where a walk over 3,200 fills the page; a few may be there by chance, so the index has the benefit of the doubt."""


FRESH_S: Final = 300.0
_UNKNOWN: Final[Mapping[str, float]] = MappingProxyType({})


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
    attributes: tuple[tuple[str, str, str], ...] = ()
    """(name, operator, value), all of which fit; the operator is `=`, `>=` or `<=`."""

    def facets(self) -> dict[str, str]:
        asked = {
            "board": self.board,
            "origin": self.origin,
            "grade": self.grade,
            "mechanism": self.mechanism,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def grams(self, share: Mapping[str, float]) -> list[str]:
        """What to look up by index (`grams_of_query`)."""
        facets = [facet(name, value) for name, value in self.facets().items()]
        facets += [attribute_gram(name, value) for name, sign, value in self.attributes if sign == "="]
        return list(grams_of_query(self.text, share, facets))


class Found(Struct, frozen=True):
    """A published listing's place in the catalogue."""

    id: str
    number: int
    published_at_ns: int


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
    attributes: tuple[tuple[str, str, str], ...] = (),
) -> Page[Found]:
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
        attributes=attributes,
    )
    before = _before(cursor)
    if not all(_is_storable(text) for text in (query.text, *query.facets().values(), *_said(query))):
        return Page([], None)
    rows = await _shorter_way(pool, query, before, limit + 1)
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], f"{last.published_at_ns}.{last.number}")


async def _shorter_way(pool: Pool, query: Query, before: tuple[int, int], limit: int) -> list[Found]:
    if not _conditions(query, [])[0]:
        return await _rows(pool, *walked(query, before, limit))
    newest = await _rows(pool, *walked(query, before, limit, NEWEST))
    if len(newest) == limit:
        return newest
    if len(newest) > FEW:
        further = await _rows(pool, *walked(query, before, limit, FURTHER))
        if len(further) == limit:
            return further
    return await _rows(pool, *indexed(query, before, limit, await _SHARES.now(pool)))


_STATISTICS: Final = (
    "SELECT most_common_elems::text::text[], most_common_elem_freqs FROM pg_stats"
    " WHERE schemaname = 'public' AND tablename = 'listing_search' AND attname = 'grams'"
)


class _Shares:
    """The part of listings that have each of the commonest grams, as PostgreSQL counts it for itself (ANALYZE).

    Kept for the process: what is old or another database's makes a search slower and nothing else.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._known: dict[str, float] = {}

    async def now(self, pool: Pool) -> dict[str, float]:
        if time.monotonic() >= self._until:
            row = await pool.fetchrow(_STATISTICS)
            self._known = {} if row is None or row[0] is None else dict(zip(row[0], row[1], strict=False))
            self._until = time.monotonic() + FRESH_S
        return self._known


_SHARES: Final = _Shares()


async def _rows(pool: Pool, statement: str, arguments: list[Any]) -> list[Found]:
    return [Found(*record) for record in await pool.fetch(statement, *arguments)]


_COLUMNS: Final = "id, number, published_at_ns"
_READ: Final = f"{_COLUMNS}, search_text, price_fen, board, origin, grade, mechanism, attributes"
_PUBLISHED: Final = "FROM listing_search WHERE state = 'published' AND (published_at_ns, number) < ($1, $2)"
_NEWEST_FIRST: Final = "ORDER BY published_at_ns DESC, number DESC"

Statement = tuple[str, list[Any]]


def walked(query: Query, before: tuple[int, int], limit: int, most: int = 0) -> Statement:
    """From the newest publication backwards until the page is full, or over this many at most."""
    conditions, arguments = _conditions(query, [*before, limit])
    source = f"{_PUBLISHED} AND "
    if most:
        source = f"FROM (SELECT {_READ} {_PUBLISHED} {_NEWEST_FIRST} LIMIT {most}) AS newest WHERE "
    return (
        f"SELECT {_COLUMNS} {source}{' AND '.join(conditions) or 'true'} {_NEWEST_FIRST} LIMIT $3",
        arguments,
    )


def indexed(
    query: Query, before: tuple[int, int], limit: int, share: Mapping[str, float] = _UNKNOWN
) -> Statement:
    """All that fits, by its index, then sorted: `+ 0` keeps the planner from walking."""
    conditions, arguments = _conditions(query, [*before, limit])
    if grams := query.grams(share):
        arguments.append(grams)
        conditions.append(f"grams @> ${len(arguments)}::text[]")
    return (
        f"SELECT {_COLUMNS} {_PUBLISHED} AND {' AND '.join(conditions) or 'true'}"
        " ORDER BY published_at_ns + 0 DESC, number DESC LIMIT $3",
        arguments,
    )


def _conditions(query: Query, arguments: list[Any]) -> tuple[list[str], list[Any]]:
    """What is asked for, and only that, so that the planner sees which index fits."""
    conditions = []
    wanted: list[tuple[str, Any]] = [(f"{name} = ${{}}", value) for name, value in query.facets().items()]
    wanted += [("strpos(search_text, ${}) > 0", word) for word in words(query.text)]
    wanted += [
        (f"price_fen {sign} ${{}}", _bounded(price_fen))
        for sign, price_fen in ((">=", query.price_min), ("<=", query.price_max))
        if price_fen is not None
    ]
    for condition, value in wanted:
        arguments.append(value)
        conditions.append(condition.format(len(arguments)))
    for name, sign, value in query.attributes:
        arguments += (name, value)
        conditions.append(_ATTRIBUTE[sign].format(name=len(arguments) - 1, value=len(arguments)))
    return conditions, arguments


_NUMBER: Final = (
    "CASE WHEN jsonb_typeof(attributes -> ${{name}}::text) = 'number'"
    " THEN (attributes ->> ${{name}}::text)::numeric {sign} ${{value}}::text::numeric ELSE false END"
)
_ATTRIBUTE: Final = {
    "=": "(attributes ->> ${name}::text = ${value}::text OR attributes -> ${name}::text ? ${value}::text)",
    ">=": _NUMBER.format(sign=">="),
    "<=": _NUMBER.format(sign="<="),
}
"""A list holds its entries as keys for `?`; what is no number lies in no range."""


def _said(query: Query) -> list[str]:
    return [text for name, _, value in query.attributes for text in (name, value)]


def _bounded(price_fen: int) -> int:
    return max(-MAX_FEN, min(price_fen, MAX_FEN))


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
