"""Request ids and the lines of answered requests; what they may not hold."""

import json
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange import keys, logs, sample
from exchange.client import uuid7
from exchange.web.trace import LOG, MOST_COMMANDS, TRACE, Traced
from tests.exchange.web_venue import Doors, Person, doors


@pytest.fixture
async def web(tmp_path: Path, database_dsn: str) -> AsyncIterator[Doors]:
    """The venue's web with a trace on each request."""
    async with doors(tmp_path / "data", database_dsn) as opened:
        await sample.load(opened.venue.engine, tmp_path / "data")
        application: Any = Traced(opened.venue.app)
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            yield Doors(opened.venue, http, opened.operator)


@pytest.fixture
def buyer(web: Doors, tmp_path: Path) -> Person:
    key = keys.read(sample.key_path(tmp_path / "data", "buyer"))
    return Person(web.http, key.private_key, key.participant)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.json_formatter())
        self.addFilter(logs.OfItsRequest())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def of(self, path: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.texts) if line.get("path") == path]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    yield handler
    LOG.setLevel(logging.NOTSET)
    LOG.removeHandler(handler)


async def test_a_sane_id_is_taken_and_echoed(web: Doors, lines: Lines) -> None:
    answer = await web.http.get("/healthz", headers={"X-Request-Id": "proxy-7/a:b"})
    assert answer.headers["x-request-id"] == "proxy-7/a:b"
    assert [line["request_id"] for line in lines.of("/healthz")] == ["proxy-7/a:b"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 101, 'a"b', "a\u00ff"])
async def test_another_is_made_anew(web: Doors, given: str) -> None:
    answer = await web.http.get("/healthz", headers=[(b"x-request-id", given.encode("latin-1"))])
    assert uuid.UUID(answer.headers["x-request-id"]).version == 4


async def test_an_order_s_line_names_who_and_its_command(web: Doors, buyer: Person, lines: Lines) -> None:
    key = uuid7()
    order = {"listing": "L1", "quantity": 1, "client_order_id": key}
    answer = await buyer.ask("POST", "/v1/orders", json=order)
    [line] = lines.of("/v1/orders")
    assert (line["status"], line["method"]) == (201, "POST")
    assert (line["participant"], line["command"]) == (buyer.participant, key)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["ms"] > 0
    assert line["at"].endswith("Z")
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "shuji.request", "request")


async def test_other_commands_are_named_by_their_key(web: Doors, lines: Lines) -> None:
    operator = Person(web.http, "", web.operator.participant)
    operator.key = web.operator.key
    key = uuid7()
    body = {"scope": "market", "reason": "looked into"}
    await operator.ask("POST", "/v1/halts", json=body, headers={"Idempotency-Key": key})
    assert lines.of("/v1/halts")[0]["command"] == key


async def test_a_batch_names_its_first_commands(web: Doors, buyer: Person, lines: Lines) -> None:
    orders = [{"listing": "L1", "quantity": 1, "client_order_id": uuid7()} for _ in range(MOST_COMMANDS + 5)]
    await buyer.ask("POST", "/v1/orders/batch", json=orders)
    [line] = lines.of("/v1/orders/batch")
    assert line["commands"] == [order["client_order_id"] for order in orders[:MOST_COMMANDS]]
    assert line["commands_more"] == 5


async def test_no_line_holds_a_secret(web: Doors, buyer: Person, lines: Lines) -> None:
    await web.http.get("/desk/enter?ticket=very-secret")
    await buyer.ask("GET", "/v1/orders")
    text = "".join(lines.texts)
    assert "very-secret" not in text
    assert buyer.token not in text
    assert lines.of("/desk/enter")[0]["status"] == 410


async def test_an_answer_is_the_same_the_second_time(web: Doors, buyer: Person) -> None:
    """So the id stands in the header, not in the body."""
    order = {"listing": "L3", "quantity": 1000, "purpose": "advertising", "client_order_id": uuid7()}
    first, second = [await buyer.ask("POST", "/v1/orders", json=order) for _ in range(2)]
    assert first.status_code == 422
    assert first.content == second.content
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_without_it_there_is_no_trace(tmp_path: Path, database_dsn: str) -> None:
    async with doors(tmp_path / "data", database_dsn) as bare:
        answer = await bare.http.get("/healthz", headers={"X-Request-Id": "proxy-7"})
        assert "x-request-id" not in answer.headers
        assert TRACE.get() is None
