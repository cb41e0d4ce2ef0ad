"""Import, review and export, from the command line against a venue."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story import ROOT, SHARED, Person, Venue, done, has_chinese, shuji

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


@needs_shared
def test_98_priced_rows_need_a_base_url_each(venue: Venue, merchant: Person) -> None:
    said = imported(venue, merchant, APIS, status=1)
    assert (said["rows"], said["imported"]) == (98, 0)
    assert [one["line"] for one in said["rejected"]] == list(range(1, 99))
    assert all("--base-url" in one["reason"] for one in said["rejected"])
    assert not listings(merchant)


def test_a_foreign_currency_needs_its_rate(venue: Venue, merchant: Person, tmp_path: Path) -> None:
    file = rows_file(tmp_path, {**API_ROW, "url": "https://api.merchant.example/tides"})
    place = ("--board", "general", "--merchant", str(venue.key_file(merchant)), "--url", venue.url)
    ran = shuji("import", str(file), *place)
    assert ran.returncode in (1, 2), ran.stdout + ran.stderr
    assert "--rate" in ran.stdout + ran.stderr
    assert "USDC" in ran.stdout + ran.stderr
    assert not listings(merchant)


def products(merchant: Person) -> list[dict[str, Any]]:
    return list(merchant.every("/v1/products", limit=200))


def template_rows(*changes: dict[str, str]) -> str:
    """The printed template with its example row once for each of these changes."""
    printed = shuji("import", "--template").stdout
    explained = "".join(line for line in printed.splitlines(keepends=True) if line.startswith("#"))
    [example] = csv.DictReader(line for line in printed.splitlines() if not line.startswith("#"))
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(example), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**example, **change} for change in changes)
    return explained + table.getvalue()


def test_the_template_explains_each_column_in_both_languages() -> None:
    lines = shuji("import", "--template").stdout.splitlines()
    [header, *_] = [line for line in lines if not line.startswith("#")]
    for column in header.split(","):
        [explained] = [line for line in lines if re.match(rf"# *{column}\b", line)]
        assert has_chinese(explained), explained
        assert re.search("[a-z]{2,} [a-z]+", explained), explained


@pytest.mark.parametrize(
    ("price", "fen", "units"),
    [("0.0035", 350, 1_000), ("0.005", 500, 1_000), ("0.01", 1, 1), ("12.50", 1_250, 1), ("0", 0, 1)],
)
def test_below_one_fen_a_call_is_fen_for_a_thousand(
    venue: Venue, merchant: Person, tmp_path: Path, price: str, fen: int, units: int
) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(template_rows({"price": price}))
    assert imported(venue, merchant, file)["imported"] == 1
    [row] = listings(merchant)
    assert row["price_fen"] * units == fen * row["price_per_units"], "the same price"
    assert (row["price_fen"], row["price_per_units"]) == (fen, units) or fen == 0


def test_csv_as_a_spreadsheet_saves_it_and_twice(venue: Venue, merchant: Person, tmp_path: Path) -> None:
    """With a byte order mark and CRLF, as the same rows without."""
    text = template_rows({"title": "甲, 一"}, {"title": 'second "quoted"'})
    file, saved = tmp_path / "rows.csv", tmp_path / "saved.csv"
    file.write_text(text)
    saved.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert imported(venue, merchant, saved)["imported"] == 2
    before = listings(merchant)
    assert {row["title"] for row in before} == {"甲, 一", 'second "quoted"'}
    for again in (saved, file):
        said = imported(venue, merchant, again)
        assert (said["imported"], said["unchanged"], said["rejected"]) == (0, 2, [])
    assert listings(merchant) == before


def test_a_bad_csv_row_is_told_with_its_line_in_the_file(
    venue: Venue, merchant: Person, reviewer: Path, tmp_path: Path
) -> None:
    """The line that an editor shows; the good rows beside it go in and nothing of the bad one does."""
    text = template_rows({"title": "good"}, {"title": "bad", "price": "dear"}, {"title": "also good"})
    file = tmp_path / "rows.csv"
    file.write_text(text)
    [line] = [number for number, row in enumerate(text.splitlines(), 1) if row.startswith("bad")]
    facts = ("--profile", str(profile(tmp_path)), "--reviewer", str(reviewer))
    said = imported(venue, merchant, file, *facts, status=1)
    assert [(one["line"], "price" in one["reason"]) for one in said["rejected"]] == [(line, True)]
    assert sorted(row["title"] for row in listings(merchant)) == ["also good", "good"]
    assert len(products(merchant)) == 2, "no product without its listing"


def test_an_import_that_was_killed_is_finished_by_the_next(
    venue: Venue, merchant: Person, tmp_path: Path
) -> None:
    """Nothing is there twice, whenever it was killed."""
    rows = [{**API_ROW, "name": f"Tide {n}", "url": f"https://api.merchant.example/{n}"} for n in range(150)]
    file = rows_file(tmp_path, *rows)
    place = ("--board", "general", "--merchant", str(venue.key_file(merchant)), "--url", venue.url)
    command = [sys.executable, "-m", "exchange", "import", str(file), *place, "--rate", "USDC=7.10"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None and not products(merchant):
            pass
        running.kill()
    assert 0 < len(products(merchant)) < 150, "it was killed on its way"
    said = imported(venue, merchant, file)
    assert said["rejected"] == []
    assert sorted(row["title"] for row in listings(merchant)) == sorted(str(row["name"]) for row in rows)
    assert len(products(merchant)) == 150
    assert imported(venue, merchant, file)["unchanged"] == 150


def test_a_bar_shows_how_far_it_is_at_a_terminal_alone(
    venue: Venue, merchant: Person, tmp_path: Path
) -> None:
    file = rows_file(tmp_path, *({**API_ROW, "url": f"https://api.merchant.example/{n}"} for n in range(20)))
    place = ("--board", "general", "--merchant", str(venue.key_file(merchant)), "--url", venue.url)
    command = [sys.executable, "-m", "exchange", "import", str(file), *place, "--rate", "USDC=7.10"]
    shown_by, shown_to = pty.openpty()
    termios.tcsetwinsize(shown_to, (24, 80))  # rows, columns
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=shown_to) as running:
        os.close(shown_to)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
            while part := os.read(shown_by, 4096):
                shown += part
        assert running.wait(60) == 0
    os.close(shown_by)
    assert re.search(r"\d+%|\b\d+/20\b", shown.decode(errors="replace")), shown
    assert b"\r" in shown, "one line that is written over"
    piped = shuji("import", str(file), *place, "--rate", "USDC=7.10")
    assert "%|" not in piped.stdout + piped.stderr, "not into a file"


def test_only_a_reviewer_confirms(venue: Venue, merchant: Person, tmp_path: Path) -> None:
    """Not the merchant itself, under whatever name."""
    file = rows_file(tmp_path, {**API_ROW, "url": "https://api.merchant.example/tides"})
    place = ("--board", "general", "--merchant", str(venue.key_file(merchant)), "--url", venue.url)
    facts = ("--profile", str(profile(tmp_path)), "--reviewer", str(venue.key_file(merchant)))
    ran = shuji("import", str(file), *place, "--rate", "USDC=7.10", *facts)
    assert ran.returncode != 0
    assert "reviewer" in ran.stdout + ran.stderr
    assert "published" not in {row["state"] for row in listings(merchant)}
    assert "registered" not in {row["state"] for row in products(merchant)}


def test_a_board_that_there_is_not_is_told_before_anything_is_stored(
    venue: Venue, merchant: Person, tmp_path: Path
) -> None:
    file = rows_file(tmp_path, {**API_ROW, "url": "https://api.merchant.example/tides"})
    place = ("--board", "nowhere", "--merchant", str(venue.key_file(merchant)), "--url", venue.url)
    ran = shuji("import", str(file), *place, "--rate", "USDC=7.10")
    assert ran.returncode in (1, 2)
    assert "nowhere" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert not listings(merchant)
    assert not products(merchant), "no product without its listing"


def test_a_bulk_refusal_is_told_to_the_merchant(
    venue: Venue, merchant: Person, reviewer: Path, tmp_path: Path
) -> None:
    rows = [{**API_ROW, "url": f"https://api.merchant.example/tides/{number}"} for number in range(3)]
    facts = ("--profile", str(profile(tmp_path)))
    imported(venue, merchant, rows_file(tmp_path, *rows), *facts)
    review = ("--reviewer", str(reviewer), "--merchant", merchant.participant, "--url", venue.url)
    ran = shuji("review", *review, "--decision", "refuse", "--reason", "无法核实来源", "--json")
    assert ran.returncode == 0, ran.stderr
    found = [done(merchant.get(f"/v1/products/{row['product']}"), 200) for row in products(merchant)]
    assert len(found) == 3
    for product in found:
        assert product["state"] == "refused"
        assert "无法核实来源" in json.dumps(product, ensure_ascii=False)
    assert "published" not in {row["state"] for row in listings(merchant)}


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


def test_the_whole_catalogue_goes_out_whatever_its_length(venue: Venue) -> None:
    """Page by page behind the command's back: every published listing once."""
    published = {row["listing"] for row in venue.operator.every("/v1/catalogue", limit=200)}
    assert published
    lines = shuji("export", "catalogue", "--format", "jsonl", "--url", venue.url).stdout.splitlines()
    told = [json.loads(line)["listing"] for line in lines]
    assert sorted(told) == sorted(published)


def test_a_statement_as_lines_sums_to_the_balance(venue: Venue) -> None:
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    venue.complete(merchant, buyer, venue.trade(buyer, listing))
    for person in (merchant, buyer):
        key = str(venue.key_file(person))
        ran = shuji("export", "statements", "--format", "jsonl", "--key", key, "--url", venue.url)
        rows = [json.loads(line) for line in ran.stdout.splitlines()]
        assert sum(row["amount"] for row in rows if row["asset"] == "CNY") == person.balance != 0
