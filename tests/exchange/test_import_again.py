"""Files that are imported again after something has happened at the venue: what stands is never written over."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from exchange.client import Client
from exchange.importing import journey
from tests.story import Person, Venue, done, sha256_of, shuji

ROW = {
    "name": "Tide tables",
    "description": "High and low water by port",
    "url": "https://api.merchant.example/tides",
    "price_usdc": 0.005,
    "tags": ["ports"],
}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with_name = Venue(tmp_path_factory.mktemp("again") / "venue").start()
    yield with_name
    with_name.close()


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def reviewer(venue: Venue) -> str:
    return str(venue.key_file(venue.reviewer()))


class Desk:
    """One merchant's file and profile, and the command over them."""

    def __init__(self, venue: Venue, merchant: Person, folder: Path) -> None:
        self.venue, self.merchant = venue, merchant
        self.file, self.profile = folder / "rows.jsonl", folder / "profile.toml"
        self.file.write_text(json.dumps(ROW))
        self.profile.write_text(shuji("import", "--example-profile", "priced_api").stdout)

    def run(self, *more: str, rate: str = "7.10", status: int = 0) -> dict[str, Any]:
        key = str(self.venue.key_file(self.merchant))
        place = ("--board", "general", "--merchant", key, "--url", self.venue.url)
        ran = shuji("import", str(self.file), *place, "--rate", f"USDC={rate}", *more, "--json", seconds=60)
        assert ran.returncode == status, ran.stdout + ran.stderr
        said: dict[str, Any] = json.loads(ran.stdout)
        return said

    def facts(self, reviewer: str = "") -> tuple[str, ...]:
        return ("--profile", str(self.profile), *(("--reviewer", reviewer) if reviewer else ()))

    def listings(self) -> list[dict[str, Any]]:
        return list(self.merchant.every("/v1/listings"))

    def products(self) -> list[dict[str, Any]]:
        return list(self.merchant.every("/v1/products"))


@pytest.fixture
def desk(venue: Venue, merchant: Person, tmp_path: Path) -> Desk:
    return Desk(venue, merchant, tmp_path)


def test_another_rate_is_told_and_changes_nothing(desk: Desk, reviewer: str) -> None:
    desk.run(*desk.facts(reviewer))
    before = desk.listings()
    said = desk.run(*desk.facts(reviewer), rate="7.20")
    assert (said["imported"], said["unchanged"], said["differing"]) == (0, 1, 1)
    assert desk.listings() == before
    done(desk.venue.move(before[0]["listing"], "withdraw", desk.merchant))
    assert desk.run(*desk.facts(reviewer), rate="7.20")["imported"] == 1
    assert desk.run(*desk.facts(reviewer), rate="7.20")["differing"] == 0
    assert [(row["state"], row["price_fen"]) for row in desk.listings()] == [
        ("withdrawn", 3_550),
        ("published", 3_600),
    ]
    assert len(desk.products()) == 1


def test_another_profile_does_not_write_over_what_was_stated(desk: Desk, reviewer: str) -> None:
    desk.run(*desk.facts())
    before = desk.products()
    desk.profile.write_text(desk.profile.read_text() + "# another file\n")
    said = desk.run(*desk.facts())
    assert (said["unchanged"], said["differing"]) == (1, 1)
    assert desk.products() == before


def test_an_amended_product_is_still_the_rows(desk: Desk, reviewer: str) -> None:
    """Its source has other evidence now; the row's is gone."""
    desk.run(*desk.facts(reviewer))
    [product] = desk.products()
    source = {"channel": "self_generated", "statement": "said anew"}
    body = {"evidence_sha256": sha256_of("a new paper"), "source": source}
    done(desk.merchant.post(f"/v1/products/{product['product']}/facts", body))
    said = desk.run(*desk.facts(reviewer))
    assert (said["imported"], said["unchanged"], said["differing"]) == (0, 1, 1)
    assert len(desk.products()) == len(desk.listings()) == 1


def test_what_was_refused_is_not_declared_again_as_it_was(desk: Desk, reviewer: str) -> None:
    desk.run(*desk.facts())
    review = ("--reviewer", reviewer, "--merchant", desk.merchant.participant, "--url", desk.venue.url)
    assert shuji("review", *review, "--decision", "refuse", "--reason", "来源不明").returncode == 0
    for _ in range(2):
        [rejected] = desk.run(*desk.facts(reviewer), status=1)["rejected"]
        assert "refused 来源不明" in rejected["reason"]
        assert [row["state"] for row in desk.products()] == ["refused"]
    desk.profile.write_text(desk.profile.read_text().replace("用户协议第 4 条", "用户协议第 5 条"))
    assert desk.run(*desk.facts(reviewer))["states"] == {"published": 1}
    assert [row["state"] for row in desk.products()] == ["refused", "registered"]


def test_a_suspended_product_is_not_declared_beside_itself(desk: Desk, reviewer: str) -> None:
    desk.run(*desk.facts(reviewer))
    [product] = desk.products()
    done(desk.venue.record(product["product"], "registration_suspended"))
    said = desk.run(*desk.facts(reviewer))
    assert (said["imported"], said["unchanged"]) == (0, 1)
    assert [row["state"] for row in desk.products()] == ["suspended"]
    assert len(desk.listings()) == 1


def test_what_the_law_refuses_says_what_stays(desk: Desk, reviewer: str) -> None:
    """Public data that is not open: declared truly, and never registered."""
    closed = 'origin = "public"\nopen_class = "not_open"'
    text = desk.profile.read_text().replace('open_class = "not_applicable"\n', "")
    desk.profile.write_text(text.replace('origin = "enterprise"', closed))
    [rejected] = desk.run(*desk.facts(reviewer), status=1)["rejected"]
    [product] = desk.products()
    assert "D01" in rejected["reason"]
    assert f"({product['product']} stays pending)" in rejected["reason"]
    assert desk.listings() == []


def test_a_bulk_decision_keeps_to_its_profile(
    venue: Venue, merchant: Person, reviewer: str, tmp_path: Path
) -> None:
    """Products and listings of another profile wait on."""
    one, other = (tmp_path / name for name in ("one", "other"))
    desks = []
    for number, folder in enumerate((one, other)):
        folder.mkdir()
        desk = Desk(venue, merchant, folder)
        desk.file.write_text(json.dumps({**ROW, "name": f"Tides {number}"}))
        desk.profile.write_text(desk.profile.read_text() + f"# {number}\n")
        desk.run(*desk.facts())
        desks.append(desk)
    review = ("--reviewer", reviewer, "--merchant", merchant.participant, "--url", venue.url, "--json")
    assert json.loads(shuji("review", *review, "--decision", "approve").stdout)["products"] == 2
    for desk in desks:
        desk.run(*desk.facts())
    ran = shuji("review", *review, "--decision", "approve", "--profile", str(desks[0].profile))
    assert json.loads(ran.stdout)["listings"] == 1
    states = {row["title"]: row["state"] for row in desks[0].listings()}
    assert states == {"Tides 0": "published", "Tides 1": "submitted"}


class _Busy(BaseHTTPRequestHandler):
    """Too busy for the first two askings."""

    keys: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.keys.append(self.headers["Idempotency-Key"])
        self.rfile.read(int(self.headers["Content-Length"]))
        content = b"{}"
        self.send_response(503 if len(self.keys) < 3 else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *said: object) -> None:
        pass


def test_a_busy_venue_is_asked_again_under_the_same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey, "PAUSE_S", 0.01)
    server = HTTPServer(("127.0.0.1", 0), _Busy)
    Thread(target=server.serve_forever, daemon=True).start()
    with Client(f"http://127.0.0.1:{server.server_port}") as client:
        assert journey.ask(client, "POST", "/v1/products", {"a": 1}) == {}
    server.shutdown()
    server.server_close()
    assert len(_Busy.keys) == 3
    assert len(set(_Busy.keys)) == 1
