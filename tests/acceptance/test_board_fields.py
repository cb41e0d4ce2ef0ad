"""Boards over HTTP: what a board shows of itself, what a listing says in its fields, and how it is found by that."""

from typing import Any

import pytest

from tests.story import Person, Venue, done, refused, shuji


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def stores(venue: Venue, merchant: Person) -> dict[str, str]:
    """Three listings of storage by their tier."""
    product = venue.product(merchant)
    told: dict[str, Any] = {"kind": "storage", "latency_ms": 5}
    return {
        tier: venue.listing(
            merchant, product, "computing", attributes={**told, "storage": tier, "latency_ms": number}
        )
        for number, tier in ((5, "hot"), (50, "warm"), (500, "cold"))
    }


def found(venue: Venue, stores: dict[str, str], attributes: str, **asked: str) -> list[str]:
    rows = done(venue.http.get("/v1/catalogue", params={"attributes": attributes, "limit": 200, **asked}))[
        "items"
    ]
    return [tier for tier, listing in stores.items() if listing in {row["listing"] for row in rows}]


@pytest.mark.parametrize(
    ("attributes", "tiers"),
    [
        ("kind=storage", ["hot", "warm", "cold"]),
        ("kind=storage,storage=cold", ["cold"]),
        ("latency_ms<=50", ["hot", "warm"]),
        ("latency_ms>=50, latency_ms<=50", ["warm"]),
        ("latency_ms=500", ["cold"]),
        ("kind=super", []),
        ("nothing=storage", []),
        ("storage>=1", []),
    ],
)
def test_listings_are_found_by_what_they_say(
    venue: Venue, stores: dict[str, str], attributes: str, tiers: list[str]
) -> None:
    assert found(venue, stores, attributes) == tiers
    assert found(venue, stores, attributes, board="computing") == tiers
    assert found(venue, stores, attributes, board="general") == []


def test_texts_of_attributes_are_searched(venue: Venue, merchant: Person) -> None:
    product = venue.product(merchant)
    listing = venue.listing(merchant, product, "computing", attributes={"site": "贵安新区一号机房"})
    rows = done(venue.http.get("/v1/catalogue", params={"q": "贵安新区"}))["items"]
    assert [row["listing"] for row in rows] == [listing]
    assert rows[0]["attributes"]["site"] == "贵安新区一号机房"


@pytest.mark.parametrize("wrong", ["kind", "kind>=storage", "kind=", "=x", "Kind=x", "a=b,,c=d", "a=1;drop"])
def test_a_condition_that_is_none_is_refused(venue: Venue, wrong: str) -> None:
    answer = venue.http.get("/v1/catalogue", params={"attributes": wrong})
    if wrong == "a=1;drop":
        assert done(answer)["items"] == []
    else:
        refused(answer, 400, "malformed")


def test_a_list_is_found_by_each_of_its_entries(venue: Venue, merchant: Person) -> None:
    listing = venue.listing(merchant, venue.product(merchant), "transport")
    for one in ("run_state=lights", "run_state=faults,record_seconds>=90", "no_dangerous_goods=true"):
        rows = done(venue.http.get("/v1/catalogue", params={"attributes": one}))["items"]
        assert listing in [row["listing"] for row in rows], one


def test_a_published_board_says_what_its_fields_mean(venue: Venue) -> None:
    board = done(venue.http.get("/v1/boards/transport"))
    [state] = [field for field in board["fields"] if field["name"] == "run_state"]
    assert len(state["choices"]) == len(state["words"]) == 10
    assert state["expects"].startswith("a list of different entries, each one of vehicle_id")
    assert {rule["id"]: rule["reads"] for rule in board["rules"]}["TB-2"] == ["kind", "record_seconds"]


def test_a_rule_is_told_with_its_words_and_its_source(venue: Venue, merchant: Person) -> None:
    said = {**venue.filled_in("health"), "theme": "medical_record", "log_months": 35}
    body = {"product": venue.product(merchant), "board": "health", "terms": venue.terms(), "attributes": said}
    problem = refused(merchant.post("/v1/listings", body), 422, "board_rule")
    for word in ("HB-1", "3年以上", "three years", "深圳市卫生健康数据管理办法第二十条"):
        assert word in problem["detail"]


def test_the_catalogue_is_exported_with_what_listings_say(venue: Venue, stores: dict[str, str]) -> None:
    run = shuji("export", "catalogue", "--format", "csv", "--url", venue.url)
    header, *rows = run.stdout.splitlines()
    assert "attributes" in header.split(",")
    assert any(stores["cold"] in row and '""storage"": ""cold""' in row for row in rows), run.stdout[:2000]


def test_the_tables_say_what_the_journal_says_after_a_kill(venue: Venue, stores: dict[str, str]) -> None:
    venue.kill()
    venue.restart()
    assert found(venue, stores, "kind=storage,storage=warm") == ["warm"]
    checked = shuji("verify", "--data", str(venue.data), seconds=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr
