"""Issue, "The engine": same id, same answer; answers leave only after the commit; all of it survives kill -9.

Not here, because it cannot be seen from outside: one transaction a batch, the overlap of execution with
commit, bisection of a poisoned batch, an unknown commit resolved from the cursor (test_faults cuts
connections, but not at a chosen instant), and the replay of the golden journal.
"""

import datetime
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange.engine import QUEUE_LIMIT
from tests.acceptance.test_faults import standing_still
from tests.story import Person, Venue, command_id, done, refused, settled, shuji, unlawful


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant)


def test_same_id_and_same_body_give_the_same_answer(venue: Venue, buyer: Person, listing: str) -> None:
    before, key = buyer.account(), venue.new_id()
    first = venue.order(buyer, listing, client_order_id=key)
    again = venue.order(buyer, listing, client_order_id=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    spent = before["available"] - buyer.account()["available"]
    assert spent == done(first, 201)["trades"][0]["amount_fen"]


def test_same_id_and_other_body_conflict(venue: Venue, buyer: Person, listing: str) -> None:
    key = venue.new_id()
    done(venue.order(buyer, listing, client_order_id=key), 201)
    refused(venue.order(buyer, listing, quantity=2, client_order_id=key), 409, "id_conflict")


def test_every_post_takes_an_idempotency_key(venue: Venue) -> None:
    buyer, key = venue.buyer(cash_fen=0), venue.new_id()
    body = {"participant": buyer.participant, "amount_fen": 500, "bank_reference": f"BANK-{key}"}
    first = venue.operator.post("/v1/cash-in", body, key=key)
    again = venue.operator.post("/v1/cash-in", body, key=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert buyer.balance == 500
    refused(venue.operator.post("/v1/cash-in", {**body, "amount_fen": 501}, key=key), 409, "id_conflict")


def test_two_people_may_choose_the_same_id(venue: Venue, buyer: Person, listing: str) -> None:
    key, other = venue.new_id(), venue.buyer()
    mine = done(venue.order(buyer, listing, client_order_id=key), 201)["order"]
    theirs = done(venue.order(other, listing, client_order_id=key), 201)["order"]
    assert mine != theirs


def test_an_id_of_long_ago_is_refused(venue: Venue, buyer: Person, listing: str) -> None:
    long_ago = command_id(venue.now() - datetime.timedelta(days=4_000))
    refused(venue.order(buyer, listing, client_order_id=long_ago), 409, "id_expired")


def test_an_id_of_the_future_is_refused_where_the_clock_is_real(tmp_path: Path) -> None:
    """Ids are forgotten by when they were made: one from the future would never be."""
    real = Venue(tmp_path / "real", "--no-sample", clean=False)
    try:
        real.start()
        somebody = real.buyer(cash_fen=0).participant
        body = {"participant": somebody, "amount_fen": 5, "bank_reference": "BANK-1"}
        early, far = (command_id(real.now() + datetime.timedelta(seconds=seconds)) for seconds in (30, 300))
        problem = refused(real.operator.post("/v1/cash-in", body, key=far), 400, "malformed")
        assert "future" in problem["detail"]
        answer = real.operator.post("/v1/cash-in", body, key=early)
        assert answer.status_code == 201, answer.text
    finally:
        real.close()


@pytest.mark.parametrize("key", ["1", "not a uuid", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"])
def test_an_id_that_is_no_uuid_version_7_is_malformed(
    venue: Venue, buyer: Person, listing: str, key: str
) -> None:
    refused(venue.order(buyer, listing, client_order_id=key), 400, "malformed")
    body = {"participant": buyer.participant, "amount_fen": 1, "bank_reference": f"BANK-{key}"}
    refused(venue.operator.post("/v1/cash-in", body, key=key), 400, "malformed")


def test_a_kept_refusal_is_repeated_after_its_cause_has_gone(venue: Venue, merchant: Person) -> None:
    buyer, product = venue.buyer(), venue.product(merchant)
    listing, key = venue.listing(merchant, product), venue.new_id()
    done(venue.record(product, "risk_confirmed"))
    first = venue.order(buyer, listing, client_order_id=key)
    unlawful(first, "A03")
    done(venue.record(product, "risk_cleared"))
    again = venue.order(buyer, listing, client_order_id=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    settled(venue.order(buyer, listing))


def test_a_refusal_that_is_not_kept_stores_nothing(venue: Venue, merchant: Person, listing: str) -> None:
    poor, key = venue.participant("buyer"), venue.new_id()
    refused(venue.order(poor, listing, client_order_id=key), 403, "not_verified")
    done(venue.verify_identity(poor))
    venue.cash_in(poor, 1_000_000)
    settled(venue.order(poor, listing, client_order_id=key))


def test_what_was_answered_can_be_read_at_once(venue: Venue, buyer: Person, listing: str) -> None:
    for _ in range(10):
        placed = done(venue.order(buyer, listing), 201)
        assert done(buyer.get(f"/v1/orders/{placed['order']}"), 200)["state"] == "filled"
        assert venue.read_trade(placed["trades"][0]["trade"], buyer)["state"] == "settled"
        assert placed["order"] in {item["order"] for item in buyer.get("/v1/orders").json()["items"]}


def test_all_of_it_survives_kill_9_and_verify_is_clean(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing, key = venue.listing(merchant), venue.new_id()
    book = venue.book_listing(merchant)
    resting = done(venue.order(buyer, book, 3, limit_fen=900), 201)["order"]
    first = venue.order(buyer, listing, client_order_id=key)
    account, trades = buyer.account(), list(buyer.every("/v1/trades"))
    sequence = venue.operator.get("/v1/operations").json()["last_sequence"]
    epoch = venue.operator.get("/v1/operations").json()["epoch"]
    venue.kill()
    checked = shuji("verify", "--data", str(venue.data))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    venue.restart()
    again = venue.order(buyer, listing, client_order_id=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert buyer.account() == account
    assert list(buyer.every("/v1/trades")) == trades
    assert done(buyer.get(f"/v1/orders/{resting}"), 200)["state"] == "open"
    operations = venue.operator.get("/v1/operations").json()
    assert operations["last_sequence"] >= sequence
    assert operations["epoch"] > epoch, "a new writer takes a new epoch"


def test_the_venue_time_never_goes_back(venue: Venue) -> None:
    before = venue.now()
    venue.advance(seconds=30)
    moved = venue.now()
    assert moved >= before + datetime.timedelta(seconds=30)
    assert venue.stop() == 0
    venue.restart()
    assert venue.now() >= moved, "the simulated clock's offset is journaled"


def test_a_second_engine_on_the_same_database_is_refused(
    venue: Venue, tmp_path: Path, buyer: Person, listing: str
) -> None:
    """Unless it is told to stand by (tests/test_serving.py); the first goes on as if nothing had happened."""
    second = Venue(tmp_path / "data", dsn=venue.database)
    try:
        second.launch()
        assert second.process is not None
        assert second.process.wait(timeout=60) == 1
        assert "another engine writes this venue" in second.said()
        assert "Traceback" not in second.said()
        settled(venue.order(buyer, listing))
    finally:
        second.process = None
        second.close()


def test_the_schema_version_is_told(venue: Venue) -> None:
    assert venue.http.get("/v1/venue").json()["schema_version"] >= 1


def test_operations_show_the_engine(venue: Venue, buyer: Person) -> None:
    seen = done(venue.operator.get("/v1/operations"), 200)
    assert {"queue_depth", "commits", "commit_ms_p50", "commit_ms_p99", "last_sequence", "epoch"} <= set(seen)
    list(buyer.every("/v1/trades"))
    seen = done(venue.operator.get("/v1/operations"), 200)
    assert (seen["projection_lag"], seen["projection_connected"], seen["projection_failure"]) == (0, True, "")
    refused(buyer.get("/v1/operations"), 403, "forbidden")


def test_the_journal_is_the_auditors(venue: Venue, buyer: Person) -> None:
    auditor = venue.auditor()
    first = done(auditor.get("/v1/journal", limit=5), 200)
    assert first["items"]
    assert first["next"]
    refused(buyer.get("/v1/journal"), 403, "forbidden")


def test_a_full_queue_answers_503_with_retry_after(venue: Venue, buyer: Person, listing: str) -> None:
    """Its database stands still, so that what comes in waits; nothing more than the queue holds is taken."""
    order = {"listing": listing, "quantity": 1, "purpose": "market_analysis"}
    batch = json.dumps([order] * 1_000).encode()
    headers = {"Authorization": f"Bearer {buyer.token}"}
    [server] = venue.postgres_pids()

    def place_many(number: int) -> None:
        venue.http.post("/v1/orders/batch", content=batch, headers=headers, timeout=60)

    batches = QUEUE_LIMIT // 1_000 + 3  # one commits, one is executed, the others wait
    with ThreadPoolExecutor(batches) as pool, standing_still(server):
        flood = [pool.submit(place_many, number) for number in range(batches)]
        answer = answered_at_once(venue, buyer, order)
    # on a slow machine the database is silent for so long by then that this is what is said
    refused(answer, 503, "overloaded", "storage_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert [future.exception() for future in flood] == [None] * batches
    venue.wait_until_ready()
    settled(venue.order(venue.buyer(), listing))


def answered_at_once(venue: Venue, buyer: Person, order: dict[str, Any]) -> httpx.Response:
    """The first answer that does not wait for the database."""
    headers, deadline = {"Authorization": f"Bearer {buyer.token}"}, time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(httpx.ReadTimeout):
            return venue.http.post("/v1/orders", json=order, headers=headers, timeout=0.5)
    raise AssertionError("every order waits, however many there are")
