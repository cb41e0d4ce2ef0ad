"""Issue 5, "Market data": daily statistics and a price index per board and for the market; M24, contribution.

What the checks expect; more members are welcome. Days are Beijing's; only what settled counts.

    GET /v1/statistics/daily?board=&from=&until=  -> [{date: "2026-12-01", board, trades, quantity, amount_fen}]
    GET /v1/index?board=&from=                    -> [{date, value}], whole numbers; board empty: the market
    GET /v1/statistics/contribution?by=region|sector|board&from=&until= -> [{region | sector | board, amount_fen, share_bp}]
"""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.acceptance.floor import buy, deal, sell
from tests.story import ROOT, Person, Venue, done, refused

BEIJING = ZoneInfo("Asia/Shanghai")
DOCS = ROOT / "docs"


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def today(venue: Venue) -> str:
    return venue.now().astimezone(BEIJING).date().isoformat()


def items(venue: Venue, path: str, **asked: str) -> list[dict[str, Any]]:
    """As everybody reads them: statistics are public. `since` is `from`, which Python keeps for itself."""
    query = {"from" if name == "since" else name: value for name, value in asked.items()}
    found: list[dict[str, Any]] = done(venue.http.get(path, params=query), 200)["items"]
    return found


def day_of(venue: Venue, board: str) -> tuple[int, int, int]:
    """Trades, quantity, amount of a board's day until now; zeros where nothing was dealt."""
    rows = items(venue, "/v1/statistics/daily", board=board, since=today(venue), until=today(venue))
    rows = [row for row in rows if row["board"] == board]
    return (rows[0]["trades"], rows[0]["quantity"], rows[0]["amount_fen"]) if rows else (0, 0, 0)


def test_a_day_of_a_board(venue: Venue, merchant: Person, buyer: Person) -> None:
    venue.advance(days=1)
    book = venue.book_listing(merchant)
    deal(venue, merchant, buyer, book, 1_000, 3)
    deal(venue, merchant, buyer, book, 1_100, 2)
    venue.trade(buyer, venue.listing(merchant, price_fen=777))
    assert day_of(venue, "computing") == (2, 5, 5_200)
    assert day_of(venue, "general") == (1, 1, 777)


def test_what_is_held_or_another_days_does_not_count(venue: Venue, merchant: Person, buyer: Person) -> None:
    venue.advance(days=1)
    product = venue.product(merchant)
    listing = venue.listing(merchant, product)
    done(venue.record(product, "objection_raised"))
    done(venue.order(buyer, listing), 201)
    assert day_of(venue, "general") == (0, 0, 0)
    venue.advance(days=1)
    done(venue.record(product, "objection_settled"))
    assert day_of(venue, "general") == (1, 1, 50_000)


def test_the_market_is_the_sum_of_its_boards(venue: Venue, merchant: Person, buyer: Person) -> None:
    deal(venue, merchant, buyer, venue.book_listing(merchant), 1_000)
    boards = [row["board"] for row in done(venue.http.get("/v1/boards"), 200)["items"]]
    parts = [day_of(venue, board) for board in boards]
    assert day_of(venue, "") == tuple(map(sum, zip(*parts, strict=True)))


@pytest.mark.parametrize("board", ["computing", ""])
def test_an_index_follows_prices(venue: Venue, merchant: Person, buyer: Person, board: str) -> None:
    """What is dealt on the second day costs a tenth more; what is not dealt may weigh too, as the method says."""
    books = [venue.book_listing(merchant) for _ in range(2)]
    venue.advance(days=1)
    first = today(venue)
    for book in books:
        deal(venue, merchant, buyer, book, 1_000, 5)
    venue.advance(days=1)
    for book in books:
        deal(venue, merchant, buyer, book, 1_100, 5)
    values = {row["date"]: row["value"] for row in items(venue, "/v1/index", board=board, since=first)}
    assert values[first] < values[today(venue)]
    assert values[today(venue)] * 100 <= values[first] * 110 + 100, "a tenth, rounded"


def test_an_index_is_no_average_of_whatever_is_sold(venue: Venue, merchant: Person, buyer: Person) -> None:
    cheap, dear = venue.book_listing(merchant), venue.book_listing(merchant)
    venue.advance(days=1)
    first = today(venue)
    deal(venue, merchant, buyer, cheap, 1_000, 5)
    venue.advance(days=1)
    deal(venue, merchant, buyer, cheap, 1_000, 1)
    deal(venue, merchant, buyer, dear, 90_000, 5)
    values = {row["date"]: row["value"] for row in items(venue, "/v1/index", board="computing", since=first)}
    assert values[today(venue)] == values[first] > 0


def test_the_method_is_in_the_docs() -> None:
    pages = [page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")]
    told = [text for text in pages if "price index" in text.lower() and "/v1/index" in text]
    assert any("example" in text.lower() for text in told)


@pytest.mark.parametrize("by", ["region", "sector", "board"])
def test_contribution_adds_up(venue: Venue, merchant: Person, buyer: Person, by: str) -> None:
    venue.advance(days=1)
    day = today(venue)
    venue.trade(buyer, venue.listing(merchant, price_fen=10_000))
    deal(venue, merchant, buyer, venue.book_listing(merchant), 1_000, 30)
    rows = items(venue, "/v1/statistics/contribution", by=by, since=day, until=day)
    assert sum(row["amount_fen"] for row in rows) == 40_000
    assert sum(row["share_bp"] for row in rows) == 10_000
    shares = {row[by]: row["share_bp"] for row in rows}
    if by == "region":
        assert shares == {"CN-46": 10_000}
    if by == "board":
        assert {board: share for board, share in shares.items() if share} == {
            "general": 2_500,
            "computing": 7_500,
        }


def test_what_may_be_asked(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.book_listing(merchant)
    sell(venue, merchant, listing, 1, 900)
    buy(venue, buyer, listing, 1, 900)
    for path, query in (
        ("/v1/statistics/daily", {"from": "yesterday"}),
        ("/v1/statistics/contribution", {"by": "merchant"}),
    ):
        refused(venue.http.get(path, params=query), 400, "malformed")
    refused(venue.http.get("/v1/index", params={"board": "moonshine"}), 404, "not_found")
    told = venue.http.get("/v1/statistics/daily", params={"board": "computing"}).text
    assert merchant.participant not in told
    assert buyer.participant not in told
