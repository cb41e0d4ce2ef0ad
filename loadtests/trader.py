"""Clients that go on trading while the venue dies under them, and remember every answer and every silence.

A request is an `Attempt` with an id of its own (UUID version 7), so that it can be sent again. No answer, or a 503,
means that nobody knows whether it happened: `settle_doubt` sends such an attempt twice and both answers must be one.
What was answered must be true for ever after: the `check_` functions ask the venue and give violations in words.
"""

import datetime
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from loadtests.client import Person, command_id

BATCH_SIZE: Final = 8
PAUSE_S: Final = 0.02
"""Before the next attempt where nobody answered."""
REPEATED: Final = 100
"""Answered orders of a round that are sent again, to see the same answer."""
ASKED_BY_ID: Final = 400
"""Answered orders of a round that are asked for one by one; the list has every one of them."""
ORDERS: Final = "/v1/orders"


@dataclass
class Attempt:
    """A request that may be sent again. `status` is 0 as long as no answer came."""

    path: str
    body: dict[str, Any]
    key: str
    status: int = 0
    answer: Any = None

    @property
    def in_doubt(self) -> bool:
        return self.status in (0, 503)

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300

    def take(self, status: int, answer: Any) -> None:
        self.status, self.answer = status, answer


@dataclass
class Memory:
    """What one participant did in all rounds: orders by their ids, trades it delivered or accepted, its cancels."""

    person: Person
    orders: dict[str, Attempt] = field(default_factory=dict)
    steps: dict[str, Attempt] = field(default_factory=dict)
    cancels: dict[str, bool] = field(default_factory=dict)
    """Order: whether the cancel was answered."""

    def attempts(self) -> Iterator[Attempt]:
        yield from self.orders.values()
        yield from self.steps.values()

    @property
    def acknowledged(self) -> int:
        return sum(attempt.done for attempt in self.attempts()) + sum(self.cancels.values())

    @property
    def in_doubt(self) -> int:
        return (
            sum(attempt.in_doubt for attempt in self.attempts())
            + len(self.cancels)
            - sum(self.cancels.values())
        )


def new_id() -> str:
    return command_id(datetime.datetime.now(datetime.UTC))


class Trader(threading.Thread):
    """One participant at work, until told to stop. `did` is only this round's."""

    def __init__(self, person: Person, posted: str, book: str, seed: str) -> None:
        super().__init__(daemon=True, name=person.participant)
        self.person, self.posted, self.book = person, posted, book
        self.random = random.Random(seed)
        self.did = Memory(person)
        self.resting: list[str] = []
        self.answered = 0
        self.surprises: list[str] = []
        self.ending = threading.Event()
        self.http = httpx.Client(
            base_url=person.venue.url,
            headers={"Authorization": f"Bearer {person.token}"},
            timeout=20,
            trust_env=False,
        )

    def run(self) -> None:
        """Silence is remembered by the attempt; whatever else goes wrong is a surprise, and ends the work."""
        with self.http:
            while not self.ending.is_set():
                try:
                    self.act()
                except httpx.TransportError:
                    self.ending.wait(PAUSE_S)
                except Exception as error:
                    self.surprises.append(f"{self.name}: {error!r}")
                    return

    def act(self) -> None:
        """One thing this participant does."""
        raise AssertionError("a trader buys or sells")

    def place(self, **order: Any) -> None:
        attempt = self._order(order)
        self.take(attempt, self.http.post(ORDERS, json=attempt.body))

    def place_batch(self, orders: list[dict[str, Any]]) -> None:
        """Each order of a batch is an attempt of its own, and can be sent again singly."""
        attempts = [self._order(order) for order in orders]
        answer = self.http.post("/v1/orders/batch", json=[attempt.body for attempt in attempts])
        if answer.status_code != 200:
            self._count(answer.status_code, answer.text)
            return
        for attempt, result in zip(attempts, answer.json()["results"], strict=True):
            attempt.take(result["status"], result.get("order", result.get("problem")))
            self._count(attempt.status, str(attempt.answer))

    def _order(self, order: dict[str, Any]) -> Attempt:
        key = new_id()
        attempt = Attempt(ORDERS, {"purpose": "market_analysis", **order, "client_order_id": key}, key)
        self.did.orders[key] = attempt
        return attempt

    def step(self, trade: str, path: str, body: dict[str, Any]) -> None:
        """Deliver or accept, once in a round for each trade."""
        if trade in self.did.steps:
            return
        attempt = self.did.steps[trade] = Attempt(path, body, new_id())
        self.take(attempt, self.http.post(path, json=body, headers={"Idempotency-Key": attempt.key}))

    def cancel_one(self) -> None:
        if self.resting:
            order = self.resting.pop(self.random.randrange(len(self.resting)))
            self.did.cancels[order] = False
            answer = self.http.delete(f"{ORDERS}/{order}")
            filled = answer.status_code == 409  # its counterparty came first
            self.did.cancels[order] = filled or answer.status_code == 200
            self._count(200 if filled else answer.status_code, answer.text)

    def take(self, attempt: Attempt, answer: httpx.Response) -> None:
        attempt.take(answer.status_code, answer.json())
        self._count(answer.status_code, answer.text)
        if attempt.path == ORDERS and attempt.done and attempt.answer["remaining"]:
            self.resting.append(attempt.answer["order"])

    def _count(self, status: int, text: str) -> None:
        if status in (200, 201):
            self.answered += 1
        elif status == 503:
            self.ending.wait(PAUSE_S)
        else:
            self.surprises.append(f"{self.name}: {status} {text[:300]}")

    def trades(self, state: str) -> list[dict[str, Any]]:
        answer = self.http.get("/v1/trades", params={"state": state, "limit": 20})
        self._count(answer.status_code, answer.text)
        return list(answer.json()["items"]) if answer.status_code == 200 else []


class Buyer(Trader):
    """Buys at the posted price, bids in the book, cancels, accepts what was delivered."""

    def act(self) -> None:
        chance = self.random.random()
        if chance < 0.45:
            self.place(listing=self.posted, quantity=self.random.randint(1, 3))
        elif chance < 0.70:
            self.place(**self._bid())
        elif chance < 0.80:
            self.place_batch([self._bid() for _ in range(BATCH_SIZE)])
        elif chance < 0.92:
            self.cancel_one()
        else:
            for trade in self.trades("delivered"):
                self.step(trade["trade"], f"/v1/trades/{trade['trade']}/acceptance", {})

    def _bid(self) -> dict[str, Any]:
        limit = self.random.randint(960, 1_020)
        return {"listing": self.book, "quantity": self.random.randint(1, 5), "limit_fen": limit}


class Seller(Trader):
    """The merchant: offers units in the book, cancels, delivers what was sold."""

    def act(self) -> None:
        chance = self.random.random()
        if chance < 0.55:
            self.place(**self._offer())
        elif chance < 0.70:
            self.place_batch([self._offer() for _ in range(BATCH_SIZE)])
        elif chance < 0.80:
            self.cancel_one()
        else:
            body = {"kind": "address", "url": "https://merchant.example/data"}
            for trade in self.trades("settled"):
                self.step(trade["trade"], f"/v1/trades/{trade['trade']}/delivery", body)

    def _offer(self) -> dict[str, Any]:
        limit = self.random.randint(980, 1_040)
        quantity = self.random.randint(1, 5)
        return {"listing": self.book, "side": "sell", "quantity": quantity, "limit_fen": limit}


# ---- after the fault


def settle_doubt(did: Memory) -> Iterator[str]:
    """Send what nobody answered again, twice: one answer, and from then on it counts as answered."""
    for attempt in did.attempts():
        if not attempt.in_doubt:
            continue
        attempt.take(*_send(did.person, attempt))
        if _send(did.person, attempt) != (attempt.status, attempt.answer):
            yield f"{attempt.key} was answered in two ways: {attempt.status} {attempt.answer}"
        if not attempt.done:
            yield f"{attempt.path} {attempt.key}, sent again: {attempt.status} {attempt.answer}"
    for order, answered in did.cancels.items():
        if not answered and (again := did.person.delete(f"{ORDERS}/{order}")).status_code not in (200, 409):
            yield f"{order}, cancelled again: {again.status_code} {again.text[:300]}"


def _send(person: Person, attempt: Attempt) -> tuple[int, Any]:
    key = "" if attempt.path == ORDERS else attempt.key
    deadline = time.monotonic() + 20
    while (answer := person.post(attempt.path, attempt.body, key)).status_code == 503:
        assert time.monotonic() < deadline, f"still not available: {answer.text}"
        time.sleep(PAUSE_S)
    return answer.status_code, answer.json()


def check_repeated(did: Memory, chosen: random.Random) -> Iterator[str]:
    """The same id and body give the answer of then, also after a restart."""
    answered = [attempt for attempt in did.orders.values() if attempt.done]
    for attempt in chosen.sample(answered, min(REPEATED, len(answered))):
        if (found := _send(did.person, attempt)) != (attempt.status, attempt.answer):
            yield f"{attempt.key} is now answered {found}, was {attempt.status} {attempt.answer}"


def check_by_id(did: Memory, chosen: random.Random) -> Iterator[str]:
    """What was acknowledged is there as it was sent."""
    answered = [attempt for attempt in did.orders.values() if attempt.done]
    for attempt in chosen.sample(answered, min(ASKED_BY_ID, len(answered))):
        found = did.person.get(f"{ORDERS}/{attempt.answer['order']}")
        if found.status_code != 200:
            yield f"acknowledged order {attempt.answer['order']} is gone: {found.status_code}"
        else:
            yield from _differing(attempt, found.json())


def _differing(attempt: Attempt, order: dict[str, Any]) -> Iterator[str]:
    for name in ("client_order_id", "listing", "quantity", "limit_fen"):
        if name in attempt.body and order[name] != attempt.body[name]:
            yield f"{order['order']}: {name} is {order[name]}, was sent as {attempt.body[name]}"


def check_listed_once(memory: Memory) -> Iterator[str]:
    """Of all rounds: every acknowledged order once, and none that nobody sent."""
    listed = Counter(item["client_order_id"] for item in memory.person.every(ORDERS, limit=200))
    yield from counted_wrong(listed, memory.orders)


def counted_wrong(listed: Counter[str], sent: dict[str, Attempt]) -> Iterator[str]:
    """What a list of ids lacks, has twice, or has without anybody having sent it."""
    for key, attempt in sent.items():
        if attempt.done and listed[key] != 1:
            yield f"acknowledged order {key} is listed {listed[key]} times"
    for key, times in listed.items():
        if key not in sent:
            yield f"an order {key} is listed that nobody sent"
        elif times > 1:
            yield f"order {key} is listed {times} times"


def check_cancels(did: Memory) -> Iterator[str]:
    """Every cancel was answered in the end: nothing of the order is left in the market."""
    for order in did.cancels:
        found = did.person.get(f"{ORDERS}/{order}").json()
        if found["state"] in ("open", "partly_filled"):
            yield f"{order} was cancelled and is {found['state']}"


def check_steps(did: Memory) -> Iterator[str]:
    """A delivery or acceptance that was acknowledged has happened to its trade."""
    for trade, attempt in did.steps.items():
        if attempt.done:
            state = did.person.get(f"/v1/trades/{trade}").json()["state"]
            reached = ("completed",) if attempt.path.endswith("acceptance") else ("delivered", "completed")
            if state not in reached:
                yield f"{attempt.path} was acknowledged, the trade is {state}"
