"""The monitor: what it counts, from when on, what it sees; `/metrics`, and that the dashboard asks for what is served."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from exchange import monitor
from exchange.engine import Engine
from exchange.events import HaltTrading, OrderPlaced, OrderRefused, PlaceOrder
from exchange.monitor import Monitor, Tally
from exchange.projecting import ProjectorProcess
from exchange.state import DAY_NS
from exchange.tape import start_of
from tests.document import ROOT
from tests.exchange.small_venue import Small, engine_on, frozen, lay, session, soon, until
from tests.exchange.web_venue import Doors, Person, doors
from tests.exchange.world import OPERATOR


def placed(number: int) -> OrderPlaced:
    return OrderPlaced(f"O{number}", "P1", "L1", "buy", 1, 5, "gtc", "", "", False, 5, "")


@asynccontextmanager
async def watched(dsn: str, engine: Engine) -> AsyncIterator[Monitor]:
    """A monitor whose projector does not run: nothing here asks the query tables for what is new."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        one = Monitor(engine, ProjectorProcess(dsn), pool)
        await one.rebuild()
        yield one


async def trade(engine: Engine, small: Small) -> None:
    """Two orders that settle, one that is refused for want of money, one that rests."""
    too_many = PlaceOrder(actor=small.buyer, listing=small.posted, quantity=10**7)
    for command in (small.order(), small.order(), too_many, small.bid()):
        await engine.submit(command)
    await asyncio.sleep(0)


def counted(one: Monitor) -> dict[str, int]:
    return {what: one.tally.ever(what) for what in ("orders", "fills", "settled", "refused")}


async def test_it_counts_what_is_committed(database_dsn: str) -> None:
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine, watched(database_dsn, engine) as one:
        before = counted(one)
        await trade(engine, small)
        gained = {what: count - before[what] for what, count in counted(one).items()}
        assert gained == {"orders": 3, "fills": 2, "settled": 2, "refused": 1}
        assert one.tally.kinds("refused")["funds_insufficient"] >= 1
        latest = one.latest[0].event
        assert isinstance(latest, OrderRefused)
        assert (latest.quantity, latest.side) == (10**7, "buy")
        assert sum(one.commits) == len(engine.commit_ms)
        assert engine.cpu_s > 0


async def test_a_restart_counts_the_day_again_and_machines_begin_at_zero(database_dsn: str) -> None:
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine, watched(database_dsn, engine) as one:
        await trade(engine, small)
        known = counted(one)
    async with engine_on(database_dsn) as engine, watched(database_dsn, engine) as one:
        assert counted(one) == known
        assert set(one.fresh().values()) == {0}
        assert one.tally.since_ns == one.tally.day_ns
        await trade(engine, small)
        assert one.fresh()["orders", "buy"] == 3


async def test_what_is_too_far_back_is_said_to_be_missing(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = await lay(database_dsn)
    monkeypatch.setattr(monitor, "TAIL_ENTRIES", 2)
    async with engine_on(database_dsn) as engine:
        await trade(engine, small)
    async with engine_on(database_dsn) as engine, watched(database_dsn, engine) as one:
        assert counted(one) == {"orders": 1, "fills": 0, "settled": 0, "refused": 1}
        assert one.tally.since_ns > one.tally.day_ns


async def test_commits_during_the_rebuilding_count_once(database_dsn: str) -> None:
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine, asyncpg.create_pool(database_dsn) as pool:
        await trade(engine, small)
        one = Monitor(engine, ProjectorProcess(database_dsn), pool)
        await engine.submit(small.order())
        rebuilding = asyncio.ensure_future(one.rebuild())
        await engine.submit(small.order())
        await rebuilding
        await engine.submit(small.order())
        await asyncio.sleep(0)
        assert one.tally.ever("settled") == 5
        assert one.fresh()["orders", "buy"] == 3


def test_a_day_ends_at_midnight_in_china() -> None:
    tally = Tally()
    midnight = start_of("1d", 1_764_000_000_000_000_000) + DAY_NS
    tally.fold(midnight - 1, [placed(1)])
    assert tally.today("orders") == 1
    tally.fold(midnight, [placed(2), placed(3)])
    assert (tally.today("orders"), tally.ever("orders")) == (2, 3)


async def test_the_sight_of_what_stands_and_of_the_server(database_dsn: str) -> None:
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine, watched(database_dsn, engine) as one:
        one.sample()
        await trade(engine, small)
        await engine.submit(
            HaltTrading(actor=OPERATOR, scope="listing", subject=small.posted, reason="looked into")
        )
        one.sample()
        sight = await one.sight()
        assert [halt.subject for halt in sight.standing.halts] == [small.posted]
        assert sight.standing.orders == 1
        assert sight.commit_ms_p50 <= sight.commit_ms_p99
        assert sight.commits_seen == len(engine.commit_ms)
        assert sight.engine_us_per_order is not None
        assert sight.process_us_per_order is not None
        assert 0 < sight.engine_us_per_order < sight.process_us_per_order
        assert sight.server.failure == ""
        assert sight.server.connections >= 2
        assert sight.server.database_bytes > 10**6


async def test_a_server_that_does_not_answer_is_said(database_dsn: str) -> None:
    await lay(database_dsn)
    async with engine_on(database_dsn) as engine:
        async with asyncpg.create_pool(database_dsn, min_size=1, max_size=1) as pool:
            one = Monitor(engine, ProjectorProcess(database_dsn), pool)
        assert "closed" in (await one.sight()).server.failure


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "PATIENCE_S", 0.3)
    monkeypatch.setattr(monitor, "LOOK_S", 0.2)
    monkeypatch.setattr(monitor, "SERVER_S", 0.0)


@pytest.mark.usefixtures("impatient")
async def test_a_frozen_server_under_traffic_keeps_nobody_waiting(database_dsn: str) -> None:
    """Its answer is asked for once; whoever looks meanwhile is told that there is none, and how it stood before."""
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine, watched(database_dsn, engine) as one:
        before = (await one.sight()).standing
        async with frozen(database_dsn):
            order = engine.submit(small.bid())
            for _ in range(3):
                sight = await asyncio.wait_for(one.sight(), 1.0)
                assert "no answer" in sight.server.failure
                assert (sight.standing.orders, sight.standing.now_ns) == (before.orders, before.now_ns)
        assert (await soon(order)).refusal is None
        await until(lambda: not one._asking.is_open, "the question is answered")
        sight = await one.sight()
        assert (sight.server.failure, sight.standing.orders) == ("", before.orders + 1)


@pytest.mark.usefixtures("impatient")
async def test_an_engine_that_has_stopped_leaves_the_rest_to_be_seen(database_dsn: str) -> None:
    await lay(database_dsn)
    async with engine_on(database_dsn) as engine, watched(database_dsn, engine) as one:
        before = (await one.sight()).standing
        engine.stopped.set()
        engine._executed_sequence += 1
        sight = await one.sight()
        engine._executed_sequence -= 1
        assert (sight.standing, sight.server.failure) == (before, "")


@pytest.mark.usefixtures("impatient")
async def test_slow_tables_are_not_the_server_s_failure(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What falls due is told as it was found last, for a while."""
    await lay(database_dsn)
    async with engine_on(database_dsn) as engine, watched(database_dsn, engine) as one:
        assert (await one.sight()).dues.known
        async with session(database_dsn) as connection, connection.transaction():
            await connection.execute("LOCK TABLE trade")
            sight = await one.sight()
            assert (sight.server.failure, sight.dues.known) == ("", True)
            monkeypatch.setattr(monitor, "DUES_OLD_S", 0.0)
            sight = await one.sight()
            assert (sight.server.failure, sight.dues.known) == ("", False)
        monkeypatch.setattr(monitor, "DUES_OLD_S", 60.0)
        await until(lambda: not one._asking_dues.is_open, "the question is answered")
        assert (await one.sight()).dues.known


# ---- /metrics


@pytest.fixture
async def web(tmp_path: Path, database_dsn: str) -> AsyncIterator[Doors]:
    async with doors(tmp_path / "data", database_dsn) as opened:
        yield opened


def from_afar(web: Doors, client: str = "203.0.113.9") -> httpx.AsyncClient:
    application: Any = web.venue.app
    transport = httpx.ASGITransport(app=application, client=(client, 5555))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


async def test_metrics_are_for_this_machine_and_for_operators(web: Doors) -> None:
    near = await web.http.get("/metrics")
    assert near.status_code == 200
    assert near.headers["content-type"].startswith("text/plain")
    assert (await web.http.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})).status_code == 401
    async with from_afar(web) as afar:
        assert (await afar.get("/metrics")).status_code == 401
        key = web.operator
        far_operator = Person(afar, "", key.participant)
        far_operator.key = key.key
        assert (await far_operator.ask("GET", "/metrics")).status_code == 200
        buyer = Person(afar)
        await buyer.register()
        assert (await buyer.ask("GET", "/metrics")).status_code == 403


def names_in(text: str) -> set[str]:
    """Names of the series that are served, with their endings."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    names = set(types)
    for name, kind in types.items():
        if kind == "histogram":
            names |= {f"{name}_{end}" for end in ("bucket", "sum", "count")}
    return names


def asked_by(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:shuji|process|python)_[a-z_]+\b", expression))


def expressions() -> dict[str, str]:
    """What the dashboard and the alert rules ask for, by where it stands."""
    board = json.loads((ROOT / "docs" / "grafana" / "shuji.json").read_text())
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", ())
    }
    rules = (ROOT / "docs" / "prometheus" / "alerts.yml").read_text()
    found |= {f"alert {name}": expr for name, expr in re.findall(r"- alert: (\w+)\n\s+expr: (.+)\n", rules)}
    return found


async def test_dashboard_and_alert_rules_ask_for_what_is_served(web: Doors) -> None:
    served = names_in((await web.http.get("/metrics")).text)
    found = expressions()
    assert len(found) >= 20
    missing = {place: asked_by(text) - served for place, text in found.items() if asked_by(text) - served}
    assert missing == {}
    assert [place for place, text in found.items() if not asked_by(text)] == []


async def test_refusals_of_the_doors_are_counted_too(web: Doors) -> None:
    await web.http.get("/v1/orders")
    text = (await web.http.get("/metrics")).text
    assert re.search(r'^shuji_http_refusals_total\{code="not_signed_in"\} \d', text, re.MULTILINE)


@pytest.mark.usefixtures("impatient")
async def test_a_frozen_database_can_be_seen_by_its_alert(web: Doors) -> None:
    assert "shuji_database_up 1.0" in (await web.http.get("/metrics")).text
    async with frozen(web.venue.dsn):
        text = (await soon(web.http.get("/metrics"))).text
        assert "shuji_database_up 0.0" in text
        assert "shuji_orders_open 0.0" in text
