"""Issue, "Bad input and faults", first half: each mistake is a clear 4xx, and nothing is stored."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.story import ROOT, Person, Venue, done, refused


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant)


@pytest.fixture
def nothing_stored(venue: Venue, buyer: Person) -> Any:
    """Whatever the check does, the buyer's orders and money are as before it, and the venue goes on."""
    before = (buyer.account(), list(buyer.every("/v1/orders", limit=100)))
    yield
    assert (buyer.account(), list(buyer.every("/v1/orders", limit=100))) == before
    assert venue.is_ready()


def raw(buyer: Person, path: str, content: bytes, **headers: str) -> Any:
    return buyer.ask("POST", path, content=content, headers={"Content-Type": "application/json", **headers})


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "path", ["/v1/orders", "/v1/orders/batch", "/v1/products", "/v1/listings", "/v1/cash-in"]
)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"nonsense",
        b"null",
        b"[]" * 2,
        b'"text"',
        b"\xff\xfe\x00",
        b'{"listing": "\xed\xa0\x80"}',
        b"[" * 50_000,
        b'{"quantity": 1e400}',
        b"NaN",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_malformed_json(buyer: Person, path: str, content: bytes) -> None:
    refused(raw(buyer, path, content), 400, "malformed")


ABSURD: list[dict[str, Any]] = [
    {"quantity": 0},
    {"quantity": -1},
    {"quantity": 1.5},
    {"quantity": "1"},
    {"quantity": None},
    {"quantity": True},
    {"quantity": 2**53},
    {"quantity": 2**63},
    {"quantity": 10**40},
    {"limit_fen": -1},
    {"limit_fen": 2**53 + 1},
    {"limit_fen": 0.5},
    {"side": "gift"},
    {"side": "sell"},
    {"time_in_force": "forever"},
    {"purpose": ""},
    {"purpose": "x" * 100_000},
    {"purpose": "a\x00b"},
    {"territory": "\ud800"},
    {"listing": ""},
    {"listing": 7},
    {"listing": "L1'; DROP TABLE journal; --"},
    {"accepts_prior": "yes"},
    {"client_order_id": "x"},
    {"surprise": 1},
]


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("change", ABSURD, ids=lambda change: str(change)[:40])
def test_absurd_orders(buyer: Person, listing: str, change: dict[str, Any]) -> None:
    body = {"listing": listing, "quantity": 1, "purpose": "market_analysis", **change}
    answer = raw(buyer, "/v1/orders", json.dumps(body).encode())
    assert 400 <= answer.status_code < 500, answer.text
    refused(answer, answer.status_code)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("amount_fen", [0, -1, 0.5, "100", None, 2**53 + 1, 10**30])
def test_absurd_money(venue: Venue, buyer: Person, amount_fen: Any) -> None:
    body = {"participant": buyer.participant, "amount_fen": amount_fen, "bank_reference": f"B{amount_fen}"}
    answer = venue.operator.post("/v1/cash-in", body)
    assert answer.status_code in (400, 422), answer.text
    refused(answer, answer.status_code)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders/batch", "/v1/products", "/v1/participants"])
def test_oversize_bodies(buyer: Person, path: str) -> None:
    content = b'{"x": "' + b"a" * 3_000_000 + b'"}'
    refused(raw(buyer, path, content), 413, "too_large")


UNKNOWN: list[tuple[str, str]] = [
    ("GET", "/v1/listings/{}"),
    ("GET", "/v1/listings/{}/book"),
    ("GET", "/v1/products/{}"),
    ("GET", "/v1/products/{}/sample"),
    ("GET", "/v1/orders/{}"),
    ("DELETE", "/v1/orders/{}"),
    ("GET", "/v1/trades/{}"),
    ("POST", "/v1/trades/{}/acceptance"),
    ("GET", "/v1/entitlements/{}"),
    ("POST", "/v1/entitlements/{}/key"),
    ("GET", "/v1/participants/{}"),
    ("GET", "/v1/credit/{}"),
    ("GET", "/v1/boards/{}"),
    ("GET", "/v1/rules/{}"),
]


@pytest.mark.parametrize("name", ["X999999", "..%2F..%2Fetc", "%00", "数据", "a" * 500, "%ED%A0%80"])
@pytest.mark.parametrize(("method", "path"), UNKNOWN)
def test_unknown_ids(buyer: Person, method: str, path: str, name: str) -> None:
    answer = buyer.ask(method, path.format(name), **({"json": {}} if method == "POST" else {}))
    assert answer.status_code in (400, 404), answer.text
    refused(answer, answer.status_code)


def test_a_clock_that_is_not_simulated_cannot_be_moved(tmp_path: Path) -> None:
    real = Venue(tmp_path / "real", "--no-sample", clean=False)
    try:
        real.start()
        refused(real.operator.post("/v1/clock/advance", {"seconds": 10}), 409, "clock_is_real")
        assert done(real.http.get("/v1/venue"), 200)["clock"]["simulated"] is False
    finally:
        real.close()


@pytest.mark.parametrize("seconds", [0, -1, 0.5, "10", 10**18])
def test_the_clock_only_goes_forward(venue: Venue, seconds: Any) -> None:
    before = venue.now()
    answer = venue.operator.post("/v1/clock/advance", {"seconds": seconds})
    assert answer.status_code in (400, 422), answer.text
    assert (venue.now() - before).total_seconds() < 30
    refused(venue.desk.post("/v1/clock/advance", {"seconds": 1}), 403, "forbidden")


@pytest.mark.parametrize(
    "change",
    [
        {"description": {"title": ""}},
        {"description": {"title": "x" * 100_000}},
        {"description": {"fields": []}},
        {"classification": {"data_class": "extraordinary"}},
        {"classification": {"pi_state": None}},
        {"authorisation": {"valid_from": "2026-01-01T00:00:00"}},
        {"authorisation": {"valid_from": "soon"}},
        {"authorisation": {"valid_until": "2001-01-01T00:00:00Z", "valid_from": "2002-01-01T00:00:00Z"}},
        {"authorisation": {"purposes": "market_analysis"}},
        {"consent": {"basis": "wishful"}},
        {"shares": [["P1", -5]]},
        {"shares": "all"},
        {"evidence": {"source": "xyz"}},
    ],
    ids=str,
)
def test_absurd_products(venue: Venue, merchant: Person, change: dict[str, Any]) -> None:
    before = len(list(merchant.every("/v1/products", limit=100)))
    answer = venue.submit_product(merchant, **change)
    assert answer.status_code in (400, 404, 422), answer.text
    refused(answer, answer.status_code)
    assert len(list(merchant.every("/v1/products", limit=100))) == before


@pytest.mark.parametrize(
    ("sample", "taken"),
    [
        (["{}"] * 20, True),
        (["{}"] * 21, False),
        (["x" * 8_192] * 8, True),
        (["x" * 8_192] * 8 + ["x"], False),
        (["数" * 8_192] * 2 + ["x" * 8_192] * 2, True),
        (["数" * 8_192] * 2 + ["x" * 8_192] * 2 + ["x"], False),
    ],
    ids=["20 rows", "21 rows", "64 KiB", "more", "64 KiB of UTF-8", "more of it"],
)
def test_a_sample_stays_a_sample(venue: Venue, merchant: Person, sample: list[str], taken: bool) -> None:
    answer = venue.submit_product(merchant, description={"sample": sample})
    if taken:
        assert done(answer, 201)["state"] == "pending"
    else:
        assert "sample" in refused(answer, 422, "out_of_bounds")["detail"]


def test_a_strange_header_is_no_server_error(venue: Venue, buyer: Person, listing: str) -> None:
    for value in ("Bearer", "Basic eDp5", "Bearer \u00e9", "x" * 8_000):
        headers = {b"Authorization": value.encode("latin-1")}
        answer = venue.http.get("/v1/accounts/me", headers=headers)
        assert 400 <= answer.status_code < 500, (value[:20], answer.status_code)


def test_a_body_of_another_kind_is_refused(venue: Venue, buyer: Person) -> None:
    answer = raw(buyer, "/v1/products", b"a=1&b=2", **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code in (400, 415), answer.text


def test_schemathesis_finds_no_server_error_and_no_undocumented_status(venue: Venue, tmp_path: Path) -> None:
    """Short here; tests/exchange/test_web_openapi.py runs it longer, and with every role."""
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{venue.url}/openapi.json",
            "--checks=not_a_server_error,status_code_conformance",
            "--phases=examples,fuzzing",
            "--exclude-path=/v1/clock/advance",
            "--max-examples=4",
            "--seed=20261123",
            "--suppress-health-check=all",
            "--header",
            f"Authorization: Bearer {venue.operator.token}",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert venue.is_ready()
