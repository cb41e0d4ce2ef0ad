"""Searching the catalogue as it grows, and what a listing costs in memory.

Listings are made up of regions, trades and kinds of data, in Chinese and English, each with a number of its own. The
questions are those that people ask and those that hurt: a page without a condition, a word of one listing, a word of a
few, a word of most, two words, facets with and without text, a range of prices, pairs of characters that are everywhere
while the word is nowhere.
"""

import gc
import random
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any, Final

import asyncpg
from msgspec import Struct

from exchange import catalogue
from exchange.grams import grams_of, normalise
from exchange.projection import ListingRecord
from exchange.projector import LISTINGS
from exchange.state import encode_state
from loadtests.bench_engine import fresh_database
from loadtests.bench_figure import percentile
from loadtests.bench_market import _Founding, found

REGIONS: Final = [
    "海南",
    "北京",
    "上海",
    "广东",
    "江苏",
    "浙江",
    "四川",
    "湖北",
    "贵州",
    "山东",
    "福建",
    "重庆",
    "天津",
    "河南",
    "湖南",
    "陕西",
]
TRADES: Final = {
    "气象": "weather", "港口": "harbour", "物流": "logistics", "电力": "power", "医疗": "health", "农业": "farming",
    "金融": "finance", "交通": "traffic", "旅游": "tourism", "零售": "retail", "水文": "hydrology", "航运": "shipping",
    "冷链": "cold chain", "能源": "energy", "保险": "insurance", "制造": "manufacturing",
}  # fmt: skip
KINDS: Final = [
    "观测记录",
    "统计年报",
    "遥感影像",
    "价格指数",
    "流量明细",
    "风险评分",
    "训练语料",
    "设备日志",
    "客流热力",
    "信用画像",
]
BOARDS: Final = ("general", "public_data", "computing")
ORIGINS: Final = ("enterprise", "public", "personal")
GRADES: Final = ("general", "important")
MECHANISMS: Final = ("posted_price", "bilateral", "continuous_auction")
AT_NS: Final = 1_790_000_000_000_000_000

QUESTIONS: Final[dict[str, dict[str, Any]]] = {
    "everything": {},
    "one": {"q": "批次000777"},
    "english": {"q": "hydrology 2023"},
    "few": {"q": "贵州冷链训练语料"},
    "common": {"q": "数据"},
    "two words": {"q": "海南 气象"},
    "facet": {"board": "computing", "origin": "public"},
    "facet and text": {"q": "港口", "board": "public_data", "mechanism": "posted_price"},
    "price": {"price_min": 5_000, "price_max": 6_000},
    "price and text": {"q": "电力", "price_max": 20_000},
    "nowhere": {"q": "录观数据集据数"},
    "apart": {"q": "南气海象"},
}
"""Name: what is asked for."""


def row(number: int, chance: random.Random) -> ListingRecord:
    region, (trade, english), kind = (
        chance.choice(REGIONS),
        chance.choice([*TRADES.items()]),
        chance.choice(KINDS),
    )
    year = chance.randint(2015, 2026)
    title = f"{region}{trade}{kind}数据 批次{number:06d}"
    summary = (
        f"{region}省{trade}行业{kind}，覆盖{year}年，按日更新。{english.capitalize()} data of {year}, daily."
    )
    facets = {
        "board": chance.choice(BOARDS),
        "origin": chance.choice(ORIGINS),
        "grade": chance.choice(GRADES),
        "mechanism": chance.choice(MECHANISMS),
    }
    merchant = f"{chance.choice(REGIONS)}{chance.choice([*TRADES])}数据有限公司"
    tags = (trade, english, str(year))
    texts = (f"L{number}", title, summary, *tags, merchant)
    return ListingRecord(
        number=number, id=f"L{number}", product=f"D{number}", merchant="P3", merchant_name=merchant, title=title,
        summary=summary, tags=tags, updates="daily", board=facets["board"], origin=facets["origin"], grade=facets["grade"],
        mechanism=facets["mechanism"], right="product_operation", deal="licence",
        purposes=("market_analysis",), territories=("CN",), price_fen=chance.randint(100, 10**6), price_per_units=1,
        supply="unlimited", supply_units=0, state="published", created_at_ns=AT_NS + number,
        published_at_ns=AT_NS + number, search_text="\n".join([normalise(text) for text in texts]),
        grams=grams_of(texts, facets),
    )  # fmt: skip


def rows(first: int, last: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(first)
    return (LISTINGS.values(row(number, chance)) for number in range(first, last + 1))


class Searched(Struct):
    """Median ms of a question at one size: of all questions together, and of each."""

    listings: int
    p50_ms: float
    each_ms: dict[str, float]


async def search_speed(server_dsn: str, sizes: tuple[int, ...], turns: int) -> list[Searched]:
    """The same catalogue, grown from size to size. Each question is asked so many times, in turn."""
    async with fresh_database(server_dsn) as dsn, asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        reached, found = 0, []
        for size in sizes:
            await _grow(pool, reached, size)
            reached = size
            found.append(await _ask(pool, size, turns))
    return found


async def _grow(pool: Any, reached: int, size: int) -> None:
    """Rows in steps, as the projector writes them, and what autovacuum does of itself after a while."""
    for first in range(reached + 1, size + 1, 5_000):
        records = list(rows(first, min(first + 4_999, size)))
        await pool.copy_records_to_table("listing_search", records=records, columns=LISTINGS.fields)
    await pool.execute("VACUUM ANALYZE listing_search")


async def _ask(pool: Any, size: int, turns: int) -> Searched:
    took: dict[str, list[float]] = {name: [] for name in QUESTIONS}
    for turn in range(turns + 1):
        for name, question in QUESTIONS.items():
            started = time.perf_counter()
            await catalogue.search(pool, **question)
            if turn:
                took[name].append((time.perf_counter() - started) * 1e3)
    everything = [one for each in took.values() for one in each]
    return Searched(
        size, percentile(everything, 0.5), {name: percentile(each, 0.5) for name, each in took.items()}
    )


# ---- memory


class ListingBytes(Struct):
    """Bytes a listing: in memory, and written down in a snapshot."""

    memory: float
    written: float


def listing_bytes(listings: int) -> ListingBytes:
    """What a venue grows by for each published listing of a product of its own; memory counted by `tracemalloc`."""
    market = found(AT_NS)
    founding = _Founding(market.state.now_ns)
    founding.state = market.state
    contributor, merchant = market.buyers[0], market.sellers[0]
    written = len(encode_state(market.state))
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(listings):
        founding.listing(merchant, founding.product(merchant, contributor), "general")
        founding.entries.clear()
    gc.collect()
    memory = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return ListingBytes(memory / listings, (len(encode_state(market.state)) - written) / listings)
