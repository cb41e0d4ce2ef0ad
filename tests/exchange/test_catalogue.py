"""The catalogue finds by Chinese and English text and by facets, never too little, and by its indexes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from exchange import catalogue
from exchange.events import AnyEvent, ListingRevised
from exchange.grams import grams_of, grams_of_query, normalise, words
from exchange.projector import LISTINGS, CursorInvalid, Projector
from tests.exchange.journal_writing import (
    append,
    classified,
    entry,
    listing,
    product,
    published,
    registered,
    suspended,
    terms,
)

# Published in this order, L1 first; L7 stays a draft.
OFFERED: tuple[AnyEvent, ...] = (
    registered("M1", "海南气象数据有限公司"),
    registered("M2", "Harbour Analytics Ltd."),
    product("D1", "M1", "海口气象观测", "每小时气温、降水与风速", ("气象", "weather")),
    product("D2", "M2", "ＧＤＰ-2023 by county", "Quarterly GDP, C++ samples", ("economy",)),
    product("D3", "M2", "港口吞吐量", "Containers per berth", ("port",), classified("public", "important")),
    listing("L1", "D1", "M1", "general", terms(price_fen=100)),
    listing("L2", "D1", "M1", "public_data", terms(price_fen=200)),
    listing("L3", "D2", "M2", "general", terms(price_fen=300)),
    listing("L4", "D3", "M2", "public_data", terms(price_fen=400)),
    listing("L5", "D3", "M2", "computing", terms("continuous_auction", price_fen=500, units=10)),
    listing("L6", "D2", "M2", "general", terms(price_fen=600)),
    listing("L7", "D1", "M1", "general", terms(price_fen=700)),
    *[published(f"L{number}") for number in range(1, 7)],
)
ALL = ["L6", "L5", "L4", "L3", "L2", "L1"]


@pytest_asyncio.fixture
async def pool(database_dsn: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(database_dsn, min_size=1, max_size=2) as opened:
        await project(opened, *OFFERED)
        yield opened


async def project(pool: Any, *events: AnyEvent) -> None:
    """These events, one journal row each, in the tables."""
    async with pool.acquire() as connection:
        last = await connection.fetchval("SELECT coalesce(max(sequence), 0) FROM journal")
        for sequence, event in enumerate(events, last + 1):
            await append(connection, sequence, entry(sequence, event))
    follower = Projector(pool)
    task = asyncio.create_task(follower.run())
    await follower.caught_up(sequence)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def found(pool: Any, q: str = "", **conditions: Any) -> list[str]:
    page = await catalogue.search(pool, q, **conditions)
    assert page.next is None
    return [row.id for row in page.items]


TEXT = [
    ("", ALL),
    ("  ", ALL),
    ("气象", ["L2", "L1"]),
    ("象观", ["L2", "L1"]),
    ("气象 降水", ["L2", "L1"]),
    ("气象 吞吐", []),
    ("象气", []),
    ("海", ["L2", "L1"]),
    ("海南气象数据有限公司", ["L2", "L1"]),
    ("gdp", ["L6", "L3"]),
    ("ＧＤＰ", ["L6", "L3"]),
    ("GDP-2023", ["L6", "L3"]),
    ("c++", ["L6", "L3"]),
    ("+", ["L6", "L3"]),
    ("COUNTY quarterly", ["L6", "L3"]),
    ("ount", ["L6", "L3"]),
    ("harbour", ["L6", "L5", "L4", "L3"]),
    ("L4", ["L4"]),
    ("100%", []),
    ("'; DROP TABLE trade; --", []),
    ("board=general", []),
    ("\0", []),
    ("\ud800", []),
]


async def test_text(pool: Any) -> None:
    for query, expected in TEXT:
        assert await found(pool, query) == expected, f"searching {query!r}"


async def test_words_whose_pairs_stand_apart_are_not_found(pool: Any) -> None:
    """Every pair of `perth` is in `per berth`; the word itself is not."""
    assert set(grams_of_query("perth", {})) <= set(grams_of(["per berth"], {}))
    assert await found(pool, "perth") == []
    assert await found(pool, "per berth") == ["L5", "L4"]


FACETS: list[tuple[dict[str, Any], list[str]]] = [
    ({"board": "general"}, ["L6", "L3", "L1"]),
    ({"board": "nowhere"}, []),
    ({"origin": "public"}, ["L5", "L4"]),
    ({"grade": "important", "board": "public_data"}, ["L4"]),
    ({"mechanism": "continuous_auction"}, ["L5"]),
    ({"price_min": 300, "price_max": 500}, ["L5", "L4", "L3"]),
    ({"price_max": 10**30}, ALL),
    ({"price_min": 10**30}, []),
    ({"board": "general", "price_min": 300, "q": "gdp"}, ["L6", "L3"]),
    ({"board": "public_data", "q": "气象"}, ["L2"]),
    ({"board": "\0"}, []),
]


async def test_facets_and_prices(pool: Any) -> None:
    for conditions, expected in FACETS:
        assert await found(pool, **conditions) == expected, f"searching {conditions}"


async def test_both_ways_lead_to_the_same_page(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Walked, by index, or decided by the newest: page by page the same."""
    asked: list[dict[str, Any]] = [
        {"text": text} for text, _ in TEXT if text.strip() and text not in ("\0", "\ud800")
    ]
    asked += [{"text" if name == "q" else name: value for name, value in conditions.items()}
              for conditions, _ in FACETS if conditions != {"board": "\0"}]  # fmt: skip
    for conditions in asked:
        query = catalogue.Query(**conditions)
        for before in ((2**62, 0), (await published_at(pool, "L4"), 4)):
            ways = [
                [row["id"] for row in await pool.fetch(*_unpacked(way(query, before, 3)))]
                for way in (catalogue.walked, catalogue.indexed)
            ]
            assert ways[0] == ways[1], conditions
            monkeypatch.setattr(catalogue, "NEWEST", 2)
            for few, further in ((0, 2), (0, 3), (0, 99), (9, 99)):
                monkeypatch.setattr(catalogue, "FEW", few)
                monkeypatch.setattr(catalogue, "FURTHER", further)
                rows = await catalogue._shorter_way(pool, query, before, 3)
                assert [row.id for row in rows] == ways[0], conditions


def _unpacked(statement: catalogue.Statement) -> tuple[Any, ...]:
    return (statement[0], *statement[1])


async def published_at(pool: Any, listing: str) -> int:
    at_ns: int = await pool.fetchval("SELECT published_at_ns FROM listing_search WHERE id = $1", listing)
    return at_ns


async def test_what_is_not_published_is_not_found(pool: Any) -> None:
    assert "L7" not in await found(pool)
    await project(pool, suspended("L2"), published("L7"))
    assert await found(pool, "气象") == ["L7", "L1"]
    await project(pool, published("L2"))
    assert await found(pool, "气象") == ["L7", "L2", "L1"], "resumed, it keeps its first place"


async def test_revised_terms_are_found(pool: Any) -> None:
    await project(pool, ListingRevised("L7", terms("off_venue", price_fen=50)), published("L7"))
    assert await found(pool, mechanism="off_venue", price_max=60) == ["L7"]


async def test_pages_follow_each_other(pool: Any) -> None:
    rows, cursor = [], None
    for _ in range(3):
        page = await catalogue.search(pool, limit=2, cursor=cursor)
        rows += [row.id for row in page.items]
        cursor = page.next
    assert rows == ALL
    assert cursor is None


@pytest.mark.parametrize("cursor", ["", "1", "1.", ".1", "1.x", "-1.2", "1.²", "9" * 19 + ".1", "1.2.3"])
async def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await catalogue.search(None, cursor=cursor)


INDEXES: list[tuple[dict[str, Any], str]] = [
    ({"text": "气象"}, "listing_by_grams"),
    ({"text": "海"}, "listing_by_grams"),
    ({"board": "board-7", "origin": "public"}, "listing_by_grams"),
    ({"price_min": 1_000_000}, "listing_by_price"),
    ({}, "listing_by_publication"),
]


async def test_each_condition_has_its_index(pool: Any) -> None:
    """Among 20,000 other listings the planner chooses the index by itself."""
    own = ("number", "grams", "published_at_ns")
    columns = ", ".join(f'"{field}"' for field in LISTINGS.fields if field not in own)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            f"INSERT INTO listing_search ({columns}, number, grams, published_at_ns) SELECT {columns}, 1000 + n,"
            " ARRAY['ab', 'cd', 'board=board-' || n % 50, 'origin=' || n], n"
            " FROM listing_search, generate_series(1, 20000) AS n WHERE number = 3"
        )
        await connection.execute("ANALYZE listing_search")
        for conditions, index in INDEXES:
            query = catalogue.Query(**conditions)
            way = catalogue.indexed if conditions else catalogue.walked
            statement, arguments = way(query, (2**62, 0), 50)
            lines = await connection.fetch(f"EXPLAIN {statement}", *arguments)
            plan = "\n".join([line[0] for line in lines])
            assert index in plan, plan


TEXTS = st.text(st.sampled_from("气象数据 abC＋ßﬀİ\u3000-"), max_size=12)


@given(st.lists(TEXTS, max_size=3), st.data())
def test_a_piece_of_a_text_is_always_found(texts: list[str], data: st.DataObject) -> None:
    whole = "\n".join(normalise(text) for text in texts)
    start = data.draw(st.integers(0, len(whole)))
    piece = whole[start : data.draw(st.integers(start, len(whole)))]
    own = grams_of(texts, {"board": "general"})
    share = dict.fromkeys(data.draw(st.lists(st.sampled_from(own))), data.draw(st.floats(0, 1)))
    asked = grams_of_query(piece, share, ["board=general"])
    assert set(asked) <= set(own)
    assert asked, "something is always looked up"


def test_the_rarest_pairs_are_looked_up_and_nothing_that_is_everywhere() -> None:
    share = {"hy": 0.06, "gy": 0.12, "og": 0.13, "20": 1.0, "23": 0.1, "board=general": 0.9}
    assert grams_of_query("hydrology 2023", {"hy": 1.0} | dict.fromkeys(["ro", "yd"], 0.3)) == (
        "02", "20", "23", "dr", "gy", "lo",
    )  # fmt: skip
    assert grams_of_query("20", share, ["board=general"]) == ("board=general",)
    assert grams_of_query("23", share, ["board=general"]) == ("23",)


@given(st.text(max_size=20))
def test_normal_text_stays_as_it_is(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert words(once) == words(text)
