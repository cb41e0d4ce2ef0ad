"""Users of a venue, for locust: buyers, merchants and an operator, each at its own steady pace.

    SHUJI_LOAD_KEYS=keys locust -f loadtests/locustfile.py --host URL --headless -u 32 -r 32 -t 60s --stop-timeout 10

`make load` does all of it on a venue of its own. Against any other venue, what is needed and what may be set:

    SHUJI_LOAD_KEYS      folder of key files (`shuji key`): buyer*.key of verified buyers with money, merchant*.key of
                         merchants with published listings, operator*.key (may be missing: no operator then)
    SHUJI_LOAD_LISTINGS  ids with commas between them; without it what the merchants above have published
    SHUJI_LOAD_RATE      requests a second of all users together (50)
    SHUJI_LOAD_USERS     how many users make that rate (32); give it as -u too, a shape uses it by itself
    SHUJI_LOAD_SHAPE     open, noon or close: users come and go as on a trading day (`loadtests/shapes.py`)
    SHUJI_LOAD_SECONDS   how long a shape takes (60)
    SHUJI_LOAD_MODE      which objectives count: steady, step or overload (`loadtests/objectives.py`)
    SHUJI_LOAD_REPORT    folder for what was seen and for verdict.json (load-report)
    SHUJI_LOAD_HALTED    a listing that the operator may halt and resume meanwhile; without it nothing is halted
    SHUJI_LOAD_FLOOD     in overload: how many users of -u send 1,000 orders at once each (60)

Orders are real orders: they cost the buyers money. Every wait counts from the instant at which the request was due, in
locust's tables and pages too. At the end everything acknowledged is asked for again; the exit status is 1 where an
objective is broken, 3 where the generator was too slow for the run to count.
"""

import itertools
import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import gevent  # type: ignore[import-untyped]
import msgspec
from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from msgspec import Struct

from loadtests import examination, shapes
from loadtests.client import Person, Site
from loadtests.feed_reader import FeedReader
from loadtests.objectives import Mode, Run, judged
from loadtests.schedule import SPAWN_S, Schedule
from loadtests.tally import ENDING, KEPT_ANSWERS, Sent, Series, Tally
from loadtests.trader import BATCH_SIZE, ORDERS, new_id

KEYS: Final = Path(os.environ.get("SHUJI_LOAD_KEYS", "keys"))
LISTINGS: Final = tuple(filter(None, os.environ.get("SHUJI_LOAD_LISTINGS", "").split(",")))
RATE: Final = float(os.environ.get("SHUJI_LOAD_RATE", "50"))
USERS: Final = int(os.environ.get("SHUJI_LOAD_USERS", "32"))
SHAPE: Final = os.environ.get("SHUJI_LOAD_SHAPE", "")
SECONDS: Final = float(os.environ.get("SHUJI_LOAD_SECONDS", str(shapes.SECONDS)))
MODE: Final = cast(Mode, os.environ.get("SHUJI_LOAD_MODE", "steady"))
REPORT: Final = Path(os.environ.get("SHUJI_LOAD_REPORT", "load-report"))
HALTED: Final = os.environ.get("SHUJI_LOAD_HALTED", "")
FLOOD_USERS: Final = int(os.environ.get("SHUJI_LOAD_FLOOD", "60"))

OPERATOR_RATE: Final = min(2.0, RATE / 10)
TOKEN_S: Final = 20 * 60
"""Tokens live half an hour; a new one is taken before."""
MOST_RESTING: Final = 1_000
"""Orders that a user leaves in the market, of which it cancels the oldest."""
BUSY_TRIES: Final = 60
"""How often an order is sent again to a venue that is busy."""
FLOOD_SIZE: Final = 1_000
"""Orders that each user of the flood sends, all of them at once: the queue holds 20,000."""
WAVES: Final = 2
WAVE_S: Final = 5.0
"""Between two waves; the second comes where the venue took the first as it came."""
FAR_BELOW_FEN: Final = 1
LAST_WORDS_S: Final = 3.0
"""How long the feed may take to tell the last trades."""
POSTED: Final = "posted_price"
BOOK: Final = "continuous_auction"

logging.getLogger("httpx").setLevel(logging.WARNING)

if SHAPE:
    TradingDay = shapes.named(SHAPE, USERS, SECONDS)


class Offer(Struct):
    """What is needed of a published listing."""

    listing: str
    merchant: str
    state: str
    mechanism: str
    price_fen: int
    price_per_units: int
    purposes: list[str]


class Placed(Struct):
    """What is needed of the answer to an order."""

    order: str = ""
    remaining: int = 0
    trades: list[dict[str, Any]] = []


class BatchPlaced(Struct):
    status: int
    order: Placed = msgspec.field(default_factory=Placed)
    problem: dict[str, Any] = {}


class BatchAnswer(Struct):
    results: list[BatchPlaced]


class Refusal(Struct):
    code: str = ""


class Names(Struct):
    """What is needed of a list of trades."""

    items: list[dict[str, Any]]


_PLACED: Final = msgspec.json.Decoder(Placed)
_BATCH: Final = msgspec.json.Decoder(BatchAnswer)
_REFUSAL: Final = msgspec.json.Decoder(Refusal)
_NAMES: Final = msgspec.json.Decoder(Names)
_encode: Final = msgspec.json.Encoder().encode


class Answer(Struct):
    """`status` is 0 where none came; `code` is that of a refusal; `ended_s` is on the clock of schedules."""

    status: int
    code: str
    content: bytes
    ended_s: float
    retry_after_s: float = 0.0

    @property
    def is_done(self) -> bool:
        return 200 <= self.status < 300


class Generator:
    """What all users of this process share: who they are, what they trade, and what has been seen."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.opening_s = self.stopped_s = 0.0
        self.posted: list[Offer] = []
        self.books: list[Offer] = []
        self.flood: list[tuple[list[Sent], bytes]] = []
        self.reader: FeedReader | None = None
        self._site: Site | None = None
        self._people: dict[str, tuple[Person, float]] = {}
        self._turns: dict[str, Iterator[Path]] = {}
        self._monitor: Any = None
        self._epoch_s = time.time() - time.perf_counter()

    # --- life

    def prepare(self, host: str) -> None:
        """Before the run's time begins: everybody signed in, what is traded found, its contracts signed by the buyers."""
        self._site = Site(host)
        self._people, self._turns = {}, {}
        for key_file in KEYS.glob("*.key"):
            self.person(key_file)
        offers = list(self._offers())
        self.posted = [offer for offer in offers if offer.mechanism == POSTED]
        self.books = [offer for offer in offers if offer.mechanism == BOOK]
        if not offers:
            raise SystemExit(f"nothing is published by the merchants of {KEYS}; or name SHUJI_LOAD_LISTINGS")
        for key_file in KEYS.glob("buyer*.key"):
            for offer in offers:
                self._site.agree(self.person(key_file), offer.listing)
        if MODE == "overload":
            self.flood = [self._part_of_flood() for _ in range(FLOOD_USERS * WAVES)]

    def _part_of_flood(self) -> tuple[list[Sent], bytes]:
        """Orders that rest far from the market, and their body: made before, so that they all come at once."""
        order = {"quantity": 1, "limit_fen": FAR_BELOW_FEN}
        batch = [order_of(random.choice(self.books), dict(order)) for _ in range(FLOOD_SIZE)]
        return batch, _body_of(batch)

    def start(self, host: str) -> None:
        if self._site is None or self._site.url != host:
            self.prepare(host)
        self.tally = Tally()
        listings = [offer.listing for offer in (*self.posted, *self.books)]
        self.reader = FeedReader(host, listings, self.tally, self.wall_s)
        self.reader.start()
        self.opening_s, self.stopped_s = time.perf_counter() + SPAWN_S, 0.0
        self.tally.begun_s = self.wall_s(self.opening_s)
        self._monitor = gevent.spawn(self._watch)

    def stop(self) -> None:
        """Nobody asks for anything any more: keep what was seen."""
        if self.reader is not None:
            self.reader.finish(LAST_WORDS_S)
        if self._monitor is not None:
            self._monitor.kill()
        self.tally.ended_s = self.wall_s(self.stopped_s or time.perf_counter())
        self.tally.keep(REPORT)

    def wall_s(self, clock_s: float) -> float:
        return clock_s + self._epoch_s

    def _watch(self) -> None:
        """CPU of this process, second by second."""
        gevent.sleep(SPAWN_S)
        began_s, spent_s = time.perf_counter(), time.process_time()
        while True:
            gevent.sleep(1.0)
            now_s, cpu_s = time.perf_counter(), time.process_time()
            self.tally.cpu.append((cpu_s - spent_s) / (now_s - began_s))
            began_s, spent_s = now_s, cpu_s

    # --- people and what they trade

    def next_key(self, kind: str) -> Path:
        """Users of a kind share its key files in turn."""
        if kind not in self._turns:
            files = sorted(KEYS.glob(f"{kind}*.key"))
            if not files:
                raise SystemExit(f"{KEYS} has no {kind}*.key; SHUJI_LOAD_KEYS names the folder of key files")
            self._turns[kind] = itertools.cycle(files)
        return next(self._turns[kind])

    def person(self, key_file: Path) -> Person:
        """Signed in, with a token that is good for a while."""
        assert self._site is not None
        person, signed_in_s = self._people.get(key_file.name, (None, 0.0))
        now_s = time.perf_counter()
        if person is None or now_s - signed_in_s > TOKEN_S:
            person = self._site.person(key_file)
            assert person.token, "whoever holds a key file can sign in"
            self._people[key_file.name] = person, now_s
        return person

    def _offers(self) -> Iterator[Offer]:
        """What the merchants have published, or what is named; never what is to be halted."""
        for key_file in sorted(KEYS.glob("merchant*.key")):
            for row in self.person(key_file).every("/v1/listings", limit=200):
                offer = msgspec.convert(row, Offer)
                wanted = not LISTINGS or offer.listing in LISTINGS
                if wanted and offer.state == "published" and offer.listing != HALTED:
                    yield offer


GENERATOR: Final = Generator()


class Participant(FastHttpUser):
    """Whoever is signed in and asks for something when it is due."""

    abstract = True
    kind = ""
    throughput = (RATE - OPERATOR_RATE) / max(1, USERS - 1)
    at_once = False
    """Whether all users of this kind begin in the same instant."""
    network_timeout = 30.0
    connection_timeout = 10.0

    def on_start(self) -> None:
        self.key_file = GENERATOR.next_key(self.kind)
        self.sign_in()
        self.tally = GENERATOR.tally
        self.resting: deque[str] = deque()
        begin_s = max(GENERATOR.opening_s, time.perf_counter())
        self.schedule = Schedule(self.throughput, begin_s, 0.0 if self.at_once else random.random())
        gevent.sleep(self.schedule.pause_s(time.perf_counter()))

    def on_stop(self) -> None:
        now_s = time.perf_counter()
        self.tally.missed += self.schedule.missed(min(now_s, GENERATOR.stopped_s or now_s))

    def wait_time(self) -> float:
        return self.schedule.pause_s(time.perf_counter())

    def sign_in(self) -> None:
        self.signed_in_s = time.perf_counter()
        person = GENERATOR.person(self.key_file)
        self.participant = person.participant
        self.headers = {
            "Authorization": f"Bearer {person.token}",
            "Content-Type": "application/json",
        }

    def due(self) -> float:
        """What was due begins: when it was due. Waking late is noted, where nothing else was in the way."""
        now_s, due_s = time.perf_counter(), self.schedule.begin()
        if self.schedule.was_free:
            self.tally.lag_ms.append((now_s - due_s) * 1e3)
        if now_s - self.signed_in_s > TOKEN_S:
            self.sign_in()
        return due_s

    def ask(
        self, kind: str, due_s: float, method: str, path: str, body: bytes | None = None, *excused: str, key: str = ""
    ) -> Answer:  # fmt: skip
        """Ask, and count the wait from when it was due. A refusal with one of these codes is as good as an answer."""
        headers = {**self.headers, "Idempotency-Key": key} if key else self.headers
        with self.client.request(
            method, path, name=kind, data=cast(Any, body), headers=headers, catch_response=True
        ) as response:  # fmt: skip
            answer = _answer(response)
            response.request_meta["response_time"] = (answer.ended_s - due_s) * 1e3
            if self._note(kind, due_s, answer, excused):
                response.success()
            else:
                response.failure(f"{answer.status} {answer.code or response.error}")
        return answer

    def _note(self, kind: str, due_s: float, answer: Answer, excused: tuple[str, ...]) -> bool:
        """Whether the answer is good."""
        tally = self.tally
        series = tally.answers.get(kind) or tally.answers.setdefault(kind, Series())
        series.add(GENERATOR.wall_s(answer.ended_s), (answer.ended_s - due_s) * 1e3)
        status = f"{answer.status} {answer.code}".rstrip()
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if answer.is_done or answer.code in excused:
            return True
        if not answer.status:
            tally.silent += 1
        elif answer.status == 503 and answer.retry_after_s:
            tally.busy += 1
            return MODE == "overload"
        elif answer.status >= 500:
            tally.broken += 1
        else:
            tally.unexpected += 1
        tally.surprise(f"{self.key_file.name}: {kind}: {status} {answer.content[:300]!r}")
        return False

    def ask_patiently(
        self, kind: str, due_s: float, path: str, body: bytes, *excused: str, key: str = ""
    ) -> Answer:
        """A busy venue is asked again after the time it names, with the same id."""
        for _ in range(BUSY_TRIES):
            answer = self.ask(kind, due_s, "POST", path, body, *excused, key=key)
            if answer.status != 503 or not answer.retry_after_s:
                break
            gevent.sleep(answer.retry_after_s * random.uniform(1, 1.5))
            due_s = time.perf_counter()
        return answer

    # --- orders

    def place(self, kind: str, offer: Offer, order: dict[str, Any]) -> None:
        due_s = self.due()
        sent = self._remember(order_of(offer, order))
        answer = self.ask_patiently(kind, due_s, ORDERS, sent.body)
        sent.status = answer.status
        if answer.status == 201:
            self._placed(sent, _PLACED.decode(answer.content), answer.content, due_s, answer.ended_s)

    def place_batch(self, kind: str, due_s: float, batch: list[Sent], body: bytes = b"") -> None:
        """Each order of a batch is one of its own, and can be sent again singly. `body`: of these, made before."""
        for sent in batch:
            self._remember(sent)
        answer = self.ask_patiently(kind, due_s, f"{ORDERS}/batch", body or _body_of(batch))
        if not answer.is_done:
            return
        for sent, result in zip(batch, _BATCH.decode(answer.content).results, strict=True):
            sent.status = result.status
            if result.status == 201:
                self._placed(sent, result.order, b"", due_s, answer.ended_s)
            else:
                self._refused_in_batch(kind, result)

    def _refused_in_batch(self, kind: str, result: BatchPlaced) -> None:
        """A venue that is busy says so of the whole batch, in its status."""
        if result.status >= 500:
            self.tally.broken += 1
        else:
            self.tally.unexpected += 1
        self.tally.surprise(f"{self.key_file.name}: {kind}: {result.problem}")

    def _remember(self, sent: Sent) -> Sent:
        self.tally.sent.setdefault(self.key_file.name, []).append(sent)
        return sent

    def _placed(self, sent: Sent, placed: Placed, content: bytes, due_s: float, ended_s: float) -> None:
        tally, sent.order = self.tally, placed.order
        tally.orders += 1
        if tally.orders % KEPT_ANSWERS == 0:
            sent.answer = content
        if placed.remaining:
            self.resting.append(placed.order)
        if placed.trades:
            told = tally.to_trade.get("answer") or tally.to_trade.setdefault("answer", Series())
            told.add(GENERATOR.wall_s(ended_s), (ended_s - due_s) * 1e3)
            assert GENERATOR.reader is not None
            for trade in placed.trades:
                if trade["state"] == "settled":
                    GENERATOR.reader.expect(trade["trade"], due_s)

    def cancel(self) -> None:
        """The oldest order; one that was filled meanwhile is none to cancel. Without one, look at what is there."""
        if not self.resting:
            self.ask("own orders", self.due(), "GET", f"{ORDERS}?state=open&limit=20")
            return
        due_s, order = self.due(), self.resting.popleft()
        if self.ask("cancel", due_s, "DELETE", f"{ORDERS}/{order}", None, "wrong_state").status in (200, 409):
            self.tally.cancels.setdefault(self.key_file.name, []).append(order)

    def rest_or_cancel(self, kind: str, offer: Offer, order: dict[str, Any]) -> None:
        """Nobody fills the book for ever."""
        if len(self.resting) >= MOST_RESTING:
            self.cancel()
        else:
            self.place(kind, offer, order)

    def rest_many_or_cancel(self, kind: str, draw: Callable[[], tuple[Offer, dict[str, Any]]]) -> None:
        if len(self.resting) >= MOST_RESTING:
            self.cancel()
        else:
            due_s = self.due()
            self.place_batch(kind, due_s, [order_of(*draw()) for _ in range(BATCH_SIZE)])

    # --- trades

    def finish_one(self, kind: str, state: str, step: str, body: dict[str, Any]) -> None:
        """Look for trades in this state and take the step with one of them."""
        answer = self.ask("own trades", self.due(), "GET", f"/v1/trades?state={state}&limit=5")
        found = _NAMES.decode(answer.content).items if answer.is_done else []
        if found:
            trade = random.choice(found)["trade"]
            sent = Sent(f"/v1/trades/{trade}/{step}", new_id(), _encode(body), subject=trade)
            self._remember(sent)
            done = self.ask_patiently(
                kind, time.perf_counter(), sent.path, sent.body, "wrong_state", key=sent.key
            )
            sent.status = done.status


def order_of(offer: Offer, order: dict[str, Any]) -> Sent:
    """Not sent yet. The quantity is told in what the price is for."""
    key = new_id()
    order = {"listing": offer.listing, "purpose": offer.purposes[0], **order, "client_order_id": key}
    order["quantity"] *= offer.price_per_units
    return Sent(ORDERS, key, _encode(order))


def _body_of(batch: list[Sent]) -> bytes:
    return b"[" + b",".join([sent.body for sent in batch]) + b"]"


def _answer(response: ResponseContextManager) -> Answer:
    content = response.content or b""
    ended_s = time.perf_counter()
    status = int(response.status_code or 0)
    if status < 400:
        return Answer(status, "", content, ended_s)
    try:
        code = _REFUSAL.decode(content).code
    except msgspec.MsgspecError:
        code = "no problem document"
    retry_after = response.headers.get("retry-after") if response.headers else None
    return Answer(status, code, content, ended_s, float(str(retry_after or 0)))


# ---- who there is


class Buyer(Participant):
    """Buys at posted prices, bids in books, looks around, accepts what was delivered."""

    kind = "buyer"
    weight = 7

    @task(45)
    def buy(self) -> None:
        if GENERATOR.posted:
            self.place(
                "order at a posted price",
                random.choice(GENERATOR.posted),
                {"quantity": random.randint(1, 3)},
            )
        else:
            self.bid()

    def _bid(self) -> tuple[Offer, dict[str, Any]]:
        offer = random.choice(GENERATOR.books)
        limit_fen = max(1, round(offer.price_fen * random.uniform(0.96, 1.02)))
        return offer, {"quantity": random.randint(1, 5), "limit_fen": limit_fen}

    @task(22)
    def bid(self) -> None:
        if GENERATOR.books:
            self.rest_or_cancel("bid", *self._bid())
        else:
            self.look_at_account()

    @task(10)
    def bid_many(self) -> None:
        if GENERATOR.books:
            self.rest_many_or_cancel("batch of bids", self._bid)
        else:
            self.look_at_account()

    @task(6)
    def cancel_one(self) -> None:
        self.cancel()

    @task(8)
    def look_at_market(self) -> None:
        offer = random.choice(GENERATOR.books or GENERATOR.posted)
        self.ask("market", self.due(), "GET", f"/v1/listings/{offer.listing}/market")

    @task(3)
    def search(self) -> None:
        self.ask("catalogue", self.due(), "GET", "/v1/catalogue?q=throughput&limit=20")

    @task(2)
    def look_at_orders(self) -> None:
        self.ask("own orders", self.due(), "GET", f"{ORDERS}?limit=20")

    @task(2)
    def look_at_account(self) -> None:
        self.ask("account", self.due(), "GET", "/v1/accounts/me")

    @task(4)
    def accept(self) -> None:
        self.finish_one("acceptance", "delivered", "acceptance", {})


class Merchant(Participant):
    """Offers units in its books, singly and in batches, delivers what was sold, looks at its credit."""

    kind = "merchant"
    weight = 3

    def on_start(self) -> None:
        super().on_start()
        self.books = [offer for offer in GENERATOR.books if offer.merchant == self.participant]

    def _offer(self) -> tuple[Offer, dict[str, Any]]:
        offer = random.choice(self.books)
        limit_fen = max(1, round(offer.price_fen * random.uniform(0.98, 1.04)))
        return offer, {"side": "sell", "quantity": random.randint(1, 5), "limit_fen": limit_fen}

    @task(40)
    def sell(self) -> None:
        if self.books:
            self.rest_or_cancel("offer", *self._offer())
        else:
            self.look_at_credit()

    @task(18)
    def sell_many(self) -> None:
        if self.books:
            self.rest_many_or_cancel("batch of offers", self._offer)
        else:
            self.look_at_credit()

    @task(10)
    def cancel_one(self) -> None:
        self.cancel()

    @task(14)
    def deliver(self) -> None:
        body = {"kind": "address", "url": "https://merchant.example/data"}
        self.finish_one("delivery", "settled", "delivery", body)

    @task(4)
    def look_at_trades(self) -> None:
        self.ask("own trades", self.due(), "GET", "/v1/trades?limit=5")

    @task(4)
    def look_at_credit(self) -> None:
        self.ask("credit", self.due(), "GET", "/v1/credit/me")


if list(KEYS.glob("operator*.key")):

    class Operator(Participant):
        """Watches the venue; halts a listing now and then and lets it go on."""

        kind = "operator"
        fixed_count = 1
        throughput = OPERATOR_RATE
        is_halted = False

        @task(5)
        def look_at_operations(self) -> None:
            self.ask("operations", self.due(), "GET", "/v1/operations")

        @task(2)
        def look_at_halts(self) -> None:
            self.ask("halts", self.due(), "GET", "/v1/halts")

        @task(2)
        def look_at_listings(self) -> None:
            self.ask("all listings", self.due(), "GET", "/v1/listings?limit=20")

        @task(1)
        def halt_or_resume(self) -> None:
            if not HALTED:
                self.look_at_halts()
                return
            path = "/v1/halts/resume" if self.is_halted else "/v1/halts"
            body = _encode({"scope": "listing", "subject": HALTED, "reason": "a load test"})
            if self.ask_patiently("halt", self.due(), path, body, "wrong_state").is_done:
                self.is_halted = not self.is_halted


if MODE == "overload":

    class Flooder(Participant):
        """Sends more orders at once than the venue can hold, and does as it is told: again after `Retry-After`."""

        kind = "buyer"
        fixed_count = FLOOD_USERS
        throughput = 1 / WAVE_S
        at_once = True

        def on_start(self) -> None:
            super().on_start()
            self.waves = WAVES

        @task
        def flood(self) -> None:
            """The next wave, where the venue has not been too busy for one yet."""
            due_s = self.due()
            if self.waves and GENERATOR.flood and not self.tally.busy:
                self.waves -= 1
                self.place_batch("flood of 1,000 orders", due_s, *GENERATOR.flood.pop())


# ---- what locust tells us


@events.init.add_listener  # type: ignore[untyped-decorator]
def _ready(environment: Environment, **_: Any) -> None:
    if environment.host and not isinstance(environment.runner, MasterRunner):
        GENERATOR.prepare(environment.host)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _started(environment: Environment, **_: Any) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        for old in REPORT.glob(f"*{ENDING}"):
            old.unlink()
    if not isinstance(environment.runner, MasterRunner):
        assert environment.host, "give the venue's address: --host URL"
        GENERATOR.start(environment.host)


@events.test_stopping.add_listener  # type: ignore[untyped-decorator]
def _stopping(environment: Environment, **_: Any) -> None:
    GENERATOR.stopped_s = time.perf_counter()


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def _stopped(environment: Environment, **_: Any) -> None:
    if not isinstance(environment.runner, MasterRunner):
        GENERATOR.stop()


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _judge(environment: Environment, **_: Any) -> None:
    """The verdict on all processes of the run, and with it the exit status."""
    if isinstance(environment.runner, WorkerRunner) or not environment.host:
        return
    run = Run(MODE, Tally.read(REPORT))
    run.violations = examination.examine(Site(environment.host), KEYS, run.tally)
    verdict = judged(run)
    (REPORT / "verdict.json").write_bytes(
        msgspec.json.format(msgspec.json.encode({"verdict": verdict, "violations": run.violations[:100]}))
    )
    for line in [*verdict.objectives, *verdict.generator, verdict.word, *run.violations[:10]]:
        print(line)
    environment.process_exit_code = verdict.status
