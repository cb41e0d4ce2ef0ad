"""Issue, "Bad input and faults", second half: kill -9 under load; every acknowledged order is there, once.

Not here: a full disk (test_full_disk.py), and a connection cut exactly before and exactly after COMMIT (here it is cut
at random moments).
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.story import Person, Venue, command_id, done, refused, shuji

LOADERS = 3


@pytest.fixture(scope="module")
def listing(venue: Venue) -> str:
    return venue.listing(venue.merchant(), price_fen=10)


class Loader(threading.Thread):
    """Places orders one after the other as a buyer of its own, until told to stop; remembers every answer."""

    def __init__(self, venue: Venue, buyer: Person, listing: str) -> None:
        super().__init__(daemon=True)
        self.url, self.listing, self.buyer = venue.url, listing, buyer
        self.headers = {"Authorization": f"Bearer {buyer.token}"}
        self.started_at = venue.now()
        self.acknowledged: dict[str, str] = {}
        self.uncertain: dict[str, dict[str, object]] = {}
        self.surprises: list[str] = []
        self.ending = threading.Event()

    def body(self) -> dict[str, object]:
        key = command_id(self.started_at)
        return {"listing": self.listing, "quantity": 1, "purpose": "market_analysis", "client_order_id": key}

    def run(self) -> None:
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=20, trust_env=False) as client:
            while not self.ending.is_set():
                self.place(client, self.body())

    def place(self, client: httpx.Client, body: dict[str, object]) -> None:
        key = str(body["client_order_id"])
        try:
            answer = client.post("/v1/orders", json=body)
        except httpx.TransportError:
            self.uncertain[key] = body
            self.ending.wait(0.02)
            return
        if answer.status_code == 201:
            self.acknowledged[key] = answer.json()["order"]
        elif answer.status_code == 503:
            self.uncertain[key] = body
            self.ending.wait(0.02)
        else:
            self.surprises.append(f"{answer.status_code} {answer.text[:300]}")


@contextmanager
def under_load(venue: Venue, listing: str) -> Iterator[list[Loader]]:
    buyers = [venue.buyer() for _ in range(LOADERS)]
    for buyer in buyers:
        venue.agree(buyer, listing)
    loaders = [Loader(venue, buyer, listing) for buyer in buyers]
    for loader in loaders:
        loader.start()
    try:
        yield loaders
    finally:
        for loader in loaders:
            loader.ending.set()
        for loader in loaders:
            loader.join(timeout=30)


def wait_for(loaders: list[Loader], more: int) -> None:
    """Until every loader has had that many more orders acknowledged."""
    goal = [len(loader.acknowledged) + more for loader in loaders]
    deadline = time.monotonic() + 30
    while any(len(loader.acknowledged) < needed for loader, needed in zip(loaders, goal, strict=True)):
        assert time.monotonic() < deadline, "orders are no longer acknowledged"
        time.sleep(0.01)


def check_every_order_once(venue: Venue, loaders: list[Loader]) -> None:
    """Acknowledged orders are there, once; an uncertain one is there once or, asked again, becomes so."""
    for loader in loaders:
        buyer = loader.buyer
        assert loader.surprises == []
        there = [item["order"] for item in buyer.every("/v1/orders", limit=200)]
        assert len(there) == len(set(there)), "an order is listed twice"
        assert set(loader.acknowledged.values()) <= set(there), "an acknowledged order is gone"
        assert len(set(there)) <= len(loader.acknowledged) + len(loader.uncertain)
        again = [done(buyer.post("/v1/orders", body), 201)["order"] for body in loader.uncertain.values()]
        after = [item["order"] for item in buyer.every("/v1/orders", limit=200)]
        assert sorted(after) == sorted({*loader.acknowledged.values(), *again})
        assert len(after) == len(loader.acknowledged) + len(loader.uncertain)
        assert buyer.balance == 100_000_000 - 10 * len(after)


def kill_postgres(venue: Venue) -> None:
    [pid] = venue.postgres_pids()
    os.kill(pid, signal.SIGKILL)


def clean(venue: Venue) -> None:
    checked = shuji("verify", "--data", str(venue.data))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("round_", range(2))
def test_kill_9_of_the_venue(venue: Venue, listing: str, round_: int) -> None:
    moments = random.Random(round_)
    with under_load(venue, listing) as loaders:
        wait_for(loaders, 20)
        time.sleep(moments.uniform(0, 0.5))
        venue.kill()
    clean(venue)
    venue.restart()
    check_every_order_once(venue, loaders)
    clean(venue)


@pytest.mark.parametrize("round_", range(2))
def test_kill_9_of_postgresql(venue: Venue, listing: str, round_: int) -> None:
    moments = random.Random(round_)
    with under_load(venue, listing) as loaders:
        wait_for(loaders, 20)
        time.sleep(moments.uniform(0, 0.5))
        kill_postgres(venue)
        wait_for(loaders, 20)
    venue.wait_until_ready()
    check_every_order_once(venue, loaders)
    clean(venue)


async def cut_connections(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return int(await connection.fetchval(f"{cut} WHERE {others}"))
    finally:
        await connection.close()


async def test_connections_cut_under_load(venue: Venue, listing: str) -> None:
    moments = random.Random(7)
    with under_load(venue, listing) as loaders:
        for _ in range(4):
            wait_for(loaders, 15)
            time.sleep(moments.uniform(0, 0.1))
            assert await cut_connections(venue.database) > 0
        wait_for(loaders, 15)
    check_every_order_once(venue, loaders)
    clean(venue)


def test_kill_9_of_both(venue: Venue, listing: str) -> None:
    with under_load(venue, listing) as loaders:
        wait_for(loaders, 20)
        kill_postgres(venue)
        venue.kill()
    venue.restart()
    check_every_order_once(venue, loaders)
    clean(venue)


def test_verify_straight_after_a_kill_needs_nothing_running(venue: Venue) -> None:
    venue.kill()
    clean(venue)
    venue.restart()


def processes_below(pid: int) -> list[int]:
    """A process and those it has made: PostgreSQL's backends are children of its server."""
    found = [pid]
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(folder.name))
    return found


@contextmanager
def standing_still(server: int) -> Iterator[None]:
    stopped = processes_below(server)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_readiness_says_that_the_database_does_not_answer(venue: Venue, listing: str) -> None:
    """Its server neither answers nor goes away; when it goes on, so does the venue, with what it had in hand."""
    [server] = venue.postgres_pids()
    with under_load(venue, listing) as loaders:
        wait_for(loaders, 5)
        with standing_still(server):
            deadline = time.monotonic() + 30
            while (ready := venue.http.get("/readyz")).status_code == 200:
                assert time.monotonic() < deadline, "ready without a database"
                time.sleep(0.1)
            assert ready.status_code == 503
            assert (ready.json()["status"], ready.json()["database"]) == ("not_ready", "not answering")
            assert venue.http.get("/healthz").status_code == 200
        wait_for(loaders, 5)
    venue.wait_until_ready()
    assert venue.http.get("/readyz").json()["database"] == "answering"
    assert venue.postgres_pids() == [server]
    check_every_order_once(venue, loaders)
    clean(venue)


async def test_tables_that_stand_still_for_good_are_told(venue: Venue, listing: str) -> None:
    """Orders go on, lists do not: nobody may take such a venue for a sound one. A start that can, catches up."""
    buyer = venue.buyer()
    connection = await asyncpg.connect(venue.database)
    await connection.execute("ALTER TABLE order_record ADD CONSTRAINT broken CHECK (false) NOT VALID")
    placed = done(venue.order(buyer, listing), 201)["order"]
    refused(buyer.get("/v1/orders"), 503, "storage_unavailable")
    answer = venue.http.get("/readyz")
    assert (answer.status_code, answer.json()["tables"]) == (503, "standing still")
    assert (answer.json()["engine"], answer.json()["database"]) == ("writing", "answering")
    seen = done(venue.operator.get("/v1/operations"), 200)
    assert seen["projection_lag"] > 0
    assert "broken" in seen["projection_failure"]
    await connection.execute("ALTER TABLE order_record DROP CONSTRAINT broken")
    await connection.close()
    assert venue.stop() == 0
    venue.restart()
    assert placed in {item["order"] for item in buyer.every("/v1/orders")}
    clean(venue)
