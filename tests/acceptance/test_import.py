"""Import, review and export, from the command line against a venue."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story import SHARED, Person, Venue, done, shuji

APIS = SHARED / "data" / "priced_api_listings.jsonl"
OPEN_DATA = SHARED / "data" / "open_data_registry.jsonl"
needs_shared = pytest.mark.skipif(not APIS.exists(), reason="a clone without ../shared")

API_ROW = {
    "name": "Tide tables",
    "description": "High and low water by port",
    "url": "${BASE_URL}/tides",
    "price_usdc": "0.005",
    "tags": ["ports"],
}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with_name = Venue(tmp_path_factory.mktemp("import") / "venue").start()
    yield with_name
    with_name.close()


@pytest.fixture(scope="module")
def reviewer(venue: Venue) -> Path:
    return venue.key_file(venue.reviewer())


@pytest.fixture
def merchant(venue: Venue) -> Person:
    """A new one for each test, so that nothing is known of its rows."""
    return venue.merchant()


def profile(folder: Path, name: str = "priced_api") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(shuji("import", "--example-profile", name).stdout)
    return path


def rows_file(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def imported(venue: Venue, merchant: Person, file: Path, *more: str, status: int = 0) -> dict[str, Any]:
    """What an import says of itself."""
    place = ("--board", "general", "--merchant", str(venue.key_file(merchant)), "--url", venue.url)
    ran = shuji("import", str(file), *place, "--rate", "USDC=7.10", *more, "--json", seconds=120)
    assert ran.returncode == status, ran.stdout + ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def listings(merchant: Person) -> list[dict[str, Any]]:
    return list(merchant.every("/v1/listings", limit=200))


@needs_shared
def test_98_priced_rows_are_listed_at_their_price(
    venue: Venue, merchant: Person, reviewer: Path, tmp_path: Path
) -> None:
    facts = ("--profile", str(profile(tmp_path)), "--reviewer", str(reviewer))
    said = imported(venue, merchant, APIS, "--base-url", "https://api.merchant.example", *facts)
    assert (said["rows"], said["imported"], said["rejected"]) == (98, 98, [])
    found = listings(merchant)
    assert {row["state"] for row in found} == {"published"}
    prices = sorted((row["price_fen"], row["price_per_units"]) for row in found)
    # 45 rows at 0.005 USDC: 3.55 fen a call; 0.01 USDC is 7.1 fen, and none of the file's prices is a whole fen.
    assert prices.count((3_550, 1_000)) == 45
    assert prices.count((710, 1_000)) == 25
    assert len(prices) == 98


@needs_shared
def test_531_open_rows_are_listed_at_zero_and_once(
    venue: Venue, merchant: Person, reviewer: Path, tmp_path: Path
) -> None:
    facts = ("--profile", str(profile(tmp_path, "open_data")), "--reviewer", str(reviewer))
    said = imported(venue, merchant, OPEN_DATA, *facts)
    assert (said["rows"], said["imported"], said["rejected"]) == (531, 531, [])
    before = listings(merchant)
    assert len(before) == 531
    assert {(row["price_fen"], row["state"]) for row in before} == {(0, "published")}
    again = imported(venue, merchant, OPEN_DATA, *facts)
    assert (again["imported"], again["unchanged"]) == (0, 531)
    assert listings(merchant) == before


def test_a_placeholder_address_needs_a_base_url(venue: Venue, merchant: Person, tmp_path: Path) -> None:
    said = imported(venue, merchant, rows_file(tmp_path, API_ROW), status=1)
    [rejected] = said["rejected"]
    assert rejected["line"] == 1
    assert "--base-url" in rejected["reason"]
    assert not listings(merchant)


def test_a_bad_row_is_told_with_its_line_and_nothing_of_it_is_stored(
    venue: Venue, merchant: Person, tmp_path: Path
) -> None:
    good = {**API_ROW, "url": "https://api.merchant.example/tides"}
    bad: list[Any] = [
        "{",
        {**good, "name": ""},
        {**good, "name": "x" * 201},
        {**good, "price_usdc": "much"},
        {**good, "price_usdc": "-1"},
        {**good, "price_usdc": "0.0000001"},
        {**good, "url": "ftp://elsewhere"},
        {"what": "is this"},
    ]
    said = imported(venue, merchant, rows_file(tmp_path, *bad, good), status=1)
    assert [one["line"] for one in said["rejected"]] == list(range(1, len(bad) + 1))
    for one, word in zip(
        said["rejected"], ("JSON", "name", "title", "price", "price", "fen", "http", "form"), strict=True
    ):
        assert word in one["reason"], one
    assert said["imported"] == 1
    assert [row["title"] for row in listings(merchant)] == ["Tide tables"]


def test_without_a_profile_rows_are_drafts_that_a_profile_completes(
    venue: Venue, merchant: Person, reviewer: Path, tmp_path: Path
) -> None:
    file = rows_file(tmp_path, {**API_ROW, "url": "https://api.merchant.example/tides"})
    assert imported(venue, merchant, file)["states"] == {"draft": 1}
    [draft] = listings(merchant)
    product = done(merchant.get(f"/v1/products/{draft['product']}"), 200)
    assert (product["state"], product["classification"]["origin"]) == ("pending", "unknown")
    decision = {
        "decision": "register",
        "revision": 1,
        "confirmed": ["classification", "source", "authorisation", "consent"],
        "rights": ["product_operation"],
        "valid_until": venue.in_days(300),
    }
    answer = venue.desk.post(f"/v1/products/{draft['product']}/decision", decision)
    assert answer.status_code == 422, "unknown facts are not registered, whoever confirms them"
    facts = ("--profile", str(profile(tmp_path)), "--reviewer", str(reviewer))
    assert imported(venue, merchant, file, *facts)["states"] == {"published": 1}
    [published] = listings(merchant)
    assert (published["listing"], published["purposes"]) == (draft["listing"], ["market_analysis"])


def test_a_reviewer_decides_in_bulk_and_is_named(
    venue: Venue, merchant: Person, reviewer: Path, tmp_path: Path
) -> None:
    rows = [{**API_ROW, "url": f"https://api.merchant.example/tides/{number}"} for number in range(12)]
    file, facts = rows_file(tmp_path, *rows), ("--profile", str(profile(tmp_path)))
    assert imported(venue, merchant, file, *facts)["states"] == {"draft": 12}
    review = ("--reviewer", str(reviewer), "--merchant", merchant.participant, "--url", venue.url, "--json")
    assert json.loads(shuji("review", *review, "--decision", "approve").stdout)["products"] == 12
    assert imported(venue, merchant, file, *facts)["states"] == {"submitted": 12}
    assert json.loads(shuji("review", *review, "--decision", "approve").stdout)["listings"] == 12
    assert imported(venue, merchant, file, *facts)["states"] == {"published": 12}
    product = done(merchant.get(f"/v1/products/{listings(merchant)[0]['product']}"), 200)
    named = json.loads(reviewer.read_text())["participant"]
    assert product["decided_by"] == named


def test_a_decision_against_needs_its_reason(venue: Venue, reviewer: Path) -> None:
    ran = shuji("review", "--reviewer", str(reviewer), "--decision", "refuse", "--url", venue.url)
    assert (ran.returncode, "--reason" in ran.stderr) == (2, True)


def test_the_template_goes_in_as_it_is_printed(venue: Venue, merchant: Person, tmp_path: Path) -> None:
    file = tmp_path / "template.csv"
    file.write_text(shuji("import", "--template").stdout)
    said = imported(venue, merchant, file)
    assert (said["rows"], said["imported"], said["rejected"]) == (1, 1, [])
    [row] = listings(merchant)
    assert (row["price_fen"], row["price_per_units"]) == (3_500, 1_000)


def test_whoever_is_no_merchant_does_not_import(venue: Venue, tmp_path: Path) -> None:
    buyer = venue.key_file(venue.buyer())
    file = rows_file(tmp_path, {**API_ROW, "url": "https://api.merchant.example"})
    place = ("--board", "general", "--merchant", str(buyer), "--url", venue.url, "--rate", "USDC=7")
    ran = shuji("import", str(file), *place)
    assert (ran.returncode, "accredited" in ran.stderr) == (2, True)


@pytest.mark.parametrize("named", ["attested_by", "channel", "terms"])
def test_a_profile_that_lacks_something_is_refused_by_name(
    venue: Venue, merchant: Person, tmp_path: Path, named: str
) -> None:
    path = profile(tmp_path)
    path.write_text(path.read_text().replace(named, "strange"))
    file = rows_file(tmp_path, {**API_ROW, "url": "https://api.merchant.example"})
    place = ("--board", "general", "--merchant", str(venue.key_file(merchant)), "--url", venue.url)
    ran = shuji("import", str(file), *place, "--rate", "USDC=7", "--profile", str(path))
    assert ran.returncode == 2, ran.stdout
    assert str(path) in ran.stderr
    assert "strange" in ran.stderr or named in ran.stderr
    assert not listings(merchant)


# ---- export


def test_the_catalogue_goes_out_as_lines_and_as_csv(venue: Venue, merchant: Person, tmp_path: Path) -> None:
    listing = venue.draft(
        merchant, venue.product(merchant, description={"title": "=1+1", "tags": ["a", "b"]})
    )
    done(venue.move(listing, "submit", merchant))
    done(venue.move(listing, "approve", venue.desk))
    lines = shuji("export", "catalogue", "--url", venue.url).stdout.splitlines()
    found = {row["listing"]: row for row in map(json.loads, lines)}
    assert found[listing]["title"] == "=1+1"
    out = tmp_path / "catalogue.csv"
    assert (
        shuji("export", "catalogue", "--format", "csv", "--out", str(out), "--url", venue.url).returncode == 0
    )
    rows = {row["listing"]: row for row in csv.DictReader(io.StringIO(out.read_text()))}
    assert rows.keys() == found.keys()
    assert (rows[listing]["title"], rows[listing]["tags"]) == ("'=1+1", "a;b"), "no formula for a spreadsheet"
    assert list(tmp_path.iterdir()) == [out]


def test_trades_and_statements_are_their_owners(venue: Venue, merchant: Person) -> None:
    buyer = venue.buyer()
    listing = venue.draft(merchant, venue.product(merchant))
    done(venue.move(listing, "submit", merchant))
    done(venue.move(listing, "approve", venue.desk))
    placed = done(venue.order(buyer, listing), 201)
    key = str(venue.key_file(buyer))
    [trade] = map(json.loads, shuji("export", "trades", "--key", key, "--url", venue.url).stdout.splitlines())
    assert trade["trade"] == placed["trades"][0]["trade"]
    table = shuji("export", "statements", "--format", "csv", "--key", key, "--url", venue.url).stdout
    rows = list(csv.DictReader(io.StringIO(table)))
    assert sum(int(row["amount"]) for row in rows if row["asset"] == "CNY") == 100_000_000 - 50_000
    table = shuji("export", "trades", "--format", "csv", "--key", key, "--url", venue.url).stdout
    [row] = csv.DictReader(io.StringIO(table))
    assert (row["trade"], row["dates.settled"] != "") == (trade["trade"], True)
    ran = shuji("export", "trades", "--url", venue.url)
    assert (ran.returncode, "--key" in ran.stderr) == (2, True)
