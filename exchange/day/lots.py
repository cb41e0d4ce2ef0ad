"""What happens once a day: a lot of each mechanism that is more than an order, through the hours and the days behind them.

A lot is a story: it does what is to be done, yields the seconds after the opening at which it goes on, and in the end
notes the deal that must have come of it. What it must come to is reckoned in `prices`, of what the seed drew.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from exchange.day import prices
from exchange.day.door import DayRefused, Person
from exchange.day.expectation import Deal, Expectation, Fate
from exchange.day.people import DAY_S, HONEST, Town, sha256_of
from exchange.day.stalls import BOOK_PRICE_FEN, Builder, Stall

HOUR_S: Final = 3600
BEHIND_S: Final = 15 * DAY_S
"""Behind everything else: what comes with the months has dates of its own."""
SELLERS: Final = ("lot-seller-1", "lot-seller-2", "lot-seller-3")
BIDDERS: Final = ("bidder-1", "bidder-2", "bidder-3", "bidder-4")
FATES: Final[tuple[Fate, ...]] = ("accepted", "accepted", "silent", "redelivered", "missed")
BEIJING: Final = ZoneInfo("Asia/Shanghai")
DEPOSIT_FEN: Final = 5_000
TIERS: Final = ((1, 500), (10, 400), (100, 300))
METERED: Final = ((100, 4), (None, 10))
SETUP_FEN: Final = 500
BASE_FEN: Final = 1_000
EXTENSION_MINUTES: Final = 10

IN_BOOKS: Final = ("call_auction", "continuous_auction")

Story = Iterator[int]
Follow = Callable[[str, Deal], None]


class Lots:
    """All lots of a day. `follow` is told of trades that are to be delivered."""

    def __init__(self, town: Town, builder: Builder, book: Expectation, seed: str, follow: Follow) -> None:
        self.town, self.builder, self.book, self._follow = town, builder, book, follow
        self.chance = random.Random(f"{seed} lots")
        self._opened = town.now
        self._waiting: list[tuple[int, int, Story]] = []
        self._deals = 0

    # -- the day's clock

    def come(self) -> None:
        """Whoever takes part is there before balances are looked at."""
        for label in SELLERS:
            self.builder.merchant(label, "honest")
        for label in BIDDERS:
            self.town.buyer(label)

    def open(self) -> None:
        self._opened = self.town.now
        for number, story in enumerate(STORIES):
            self._go(0, number, story(self))

    def go_on(self) -> None:
        """Every story whose time has come."""
        now_s = self.now_s()
        while self._waiting and self._waiting[0][0] <= now_s:
            _, number, story = heapq.heappop(self._waiting)
            self._go(now_s, number, story)

    def _go(self, now_s: int, number: int, story: Story) -> None:
        """A story that is refused what it needs ends there, and the day says so."""
        try:
            due_s = next(story, None)
        except DayRefused as refused:
            self.book.step(f"lot of {STORIES[number].__name__}", "goes on", str(refused))
            return
        if due_s is not None:
            heapq.heappush(self._waiting, (max(due_s, now_s), number, story))

    def now_s(self) -> int:
        return int((self.town.now - self._opened).total_seconds())

    def evening(self, until_s: int, deliver: Callable[[], None]) -> None:
        """Moves the clock from one story's date to the next, up to this one."""
        while self._waiting and self._waiting[0][0] < until_s:
            left_s = self._waiting[0][0] - self.now_s()
            if left_s > 0:
                self.town.advance(seconds=left_s + 1)
            self.go_on()
            deliver()

    # -- words of the stories

    def seller(self, number: int = 0) -> Person:
        return self.town.people[SELLERS[number]]

    def bidder(self, number: int = 0) -> Person:
        return self.town.people[BIDDERS[number]]

    def offer(self, mechanism: str, board: str, number: int = 0, **terms: Any) -> Stall:
        label = f"{mechanism} of {SELLERS[number]}"
        return self.builder.offer(
            label, SELLERS[number], board=board, terms={"mechanism": mechanism, **terms}
        )

    def note(self, trade: str, mechanism: str, stall: Stall, buyer: Person, amount_fen: int) -> None:
        """A deal that must be there, and what becomes of it; a merchant of the day's orders is let down by no lot."""
        fate: Fate = "units" if mechanism in IN_BOOKS else self.chance.choice(FATES)
        fate = "accepted" if mechanism == "metered" or stall.seller not in SELLERS else fate
        self._deals += 1
        deal = Deal(
            self._deals,
            buyer.label,
            stall.seller,
            stall.board,
            amount_fen,
            fate,
            mechanism=mechanism,
            grade_bp=self.grade_bp(stall),
        )
        self.book.deals[trade] = deal
        if fate != "units":
            self._follow(trade, deal)

    def grade_bp(self, stall: Stall) -> int:
        """What the published list adds to the fee of this seller, whose grade may have changed since the day began."""
        seller = self.town.people[stall.seller]
        listed = seller.get("/v1/credit/consequences")["items"]
        grade = seller.get(f"/v1/credit/{seller.participant}")["grade"]
        return int(next(row["fee_bp"] for row in listed if row["grade"] == grade))

    def refusal(self, what: str, planned: str, person: Person, path: str, body: dict[str, Any]) -> None:
        """Something that must not be taken."""
        answer = person.ask("POST", path, body)
        self.book.step(what, planned, "taken" if answer.done else answer.body["code"])

    def agree(self, person: Person, stall: Stall) -> None:
        self.town.agree(person, stall.listing)

    def at(self, days: int = 0) -> str:
        return self.town.in_days(days)


# ---- a posted price with tiers and a limit


def tiered_price(lots: Lots) -> Story:
    tiers = [{"from_units": begins, "price_fen": price_fen} for begins, price_fen in TIERS]
    most = lots.chance.randint(60, 150)
    stall = lots.offer("posted_price", "general", price_fen=TIERS[0][1], tiers=tiers, per_buyer_units=most)
    buyer, quantity = lots.bidder(), lots.chance.randint(2, most - 1)
    lots.agree(buyer, stall)
    yield 2 * HOUR_S
    order = {"listing": stall.listing, "purpose": stall.purpose, "territory": stall.territory}
    placed = buyer.post("/v1/orders", {**order, "quantity": quantity})
    price_fen = prices.tier_price(TIERS, quantity)
    [trade] = placed["trades"]
    lots.book.step("price of a tier", (price_fen, quantity), (trade["price_fen"], trade["quantity"]))
    lots.note(trade["trade"], "posted_price", stall, buyer, price_fen * quantity)
    over = {**order, "quantity": most - quantity + 1}
    lots.refusal("more than a buyer's limit", "supply_exhausted", buyer, "/v1/orders", over)


# ---- public data, and a book, whoever else comes


def public_price(lots: Lots) -> Story:
    """Public data at its posted price, behind its notice."""
    stall = next(one for one in lots.builder.market.posted if one.board == "public_data" and one.price_fen)
    buyer, quantity = lots.bidder(2), lots.chance.randint(1, 4)
    lots.agree(buyer, stall)
    yield 3 * HOUR_S
    body = {
        "listing": stall.listing,
        "quantity": quantity,
        "purpose": stall.purpose,
        "territory": stall.territory,
    }
    [trade] = buyer.post("/v1/orders", body)["trades"]
    lots.note(trade["trade"], "posted_price", stall, buyer, stall.price_fen * quantity)


def book(lots: Lots) -> Story:
    """An iceberg beside a plain order at one price: its next part waits behind the plain one."""
    stall = lots.offer("continuous_auction", "computing", 1, **_UNITS)
    part, plain, price_fen = lots.chance.randint(2, 6), lots.chance.randint(2, 6), _near(lots, 0)
    yield 2 * HOUR_S
    _gather(stall, lots.seller(1), "sell", price_fen, 3 * part, display_quantity=part)
    _gather(stall, lots.seller(1), "sell", price_fen, plain)
    lots.agree(lots.bidder(3), stall)
    planned = [part, plain, part, 1]
    taken = _gather(stall, lots.bidder(3), "buy", price_fen, sum(planned), time_in_force="fok")
    seen = [trade["quantity"] for trade in taken["trades"]]
    lots.book.step("an iceberg and an order beside it", planned, seen)
    for trade in taken["trades"]:
        amount_fen = price_fen * trade["quantity"]
        lots.note(trade["trade"], "continuous_auction", stall, lots.bidder(3), amount_fen)


# ---- a report by both sides


def off_venue_report(lots: Lots) -> Story:
    stall, buyer, seller = lots.offer("off_venue", "open_research"), lots.bidder(1), lots.seller()
    price_fen, quantity = lots.chance.randint(10_000, 90_000), lots.chance.randint(1, 5)
    lots.agree(buyer, stall)
    yield HOUR_S
    body = {
        "listing": stall.listing, "quantity": quantity, "price_fen": price_fen, "purpose": stall.purpose,
        "territory": stall.territory, "contract_sha256": sha256_of("contract made elsewhere"),
    }  # fmt: skip
    sold = {**body, "side": "sell", "counterparty": buyer.participant}
    first = seller.post("/v1/trade-reports", sold)
    lots.book.step("a report of one side", "awaiting_counterparty", first["state"])
    yield 4 * HOUR_S
    bought = {**body, "side": "buy", "counterparty": seller.participant}
    second = buyer.post("/v1/trade-reports", bought)
    lots.book.step("a report of both sides", "settled", second["state"])
    lots.note(second["trade"], "off_venue", stall, buyer, price_fen * quantity)


# ---- sealed bids


def sealed_bid(lots: Lots) -> Story:
    """Three bids are opened, one is not and forfeits its deposit."""
    kind = lots.chance.choice(("sealed_first", "sealed_second"))
    reserve_fen = lots.chance.randint(30_000, 40_000)
    offers = [lots.chance.randint(40_000, 90_000) for _ in BIDDERS]
    terms = {"kind": kind, "deposit_fen": DEPOSIT_FEN, "commit_days": 1, "reveal_days": 1}
    terms |= {"reserve_fen": reserve_fen}
    stall = lots.offer("sealed_bid", "data_ip", supply="limited", supply_units=1, auction=terms)
    bids = [_committed(lots, stall, number, price_fen) for number, price_fen in enumerate(offers)]
    yield DAY_S + HOUR_S
    for number, price_fen in enumerate(offers[:-1]):
        opening = {"price_fen": price_fen, "quantity": 1, "nonce": _nonce(price_fen)}
        lots.bidder(number).post(f"/v1/bids/{bids[number]}/reveal", opening)
    yield 2 * DAY_S + HOUR_S
    lots.book.moves.append((BIDDERS[-1], stall.seller, DEPOSIT_FEN))
    won = prices.sealed_winner(kind, reserve_fen, offers[:-1])
    assert won is not None
    _hammer(lots, stall, *won)


def _nonce(price_fen: int) -> str:
    return sha256_of(f"the nonce of {price_fen}")


def _committed(lots: Lots, stall: Stall, number: int, price_fen: int) -> str:
    bidder = lots.bidder(number)
    lots.agree(bidder, stall)
    said = f"{stall.listing}|{bidder.participant}|1|{price_fen}|{_nonce(price_fen)}"
    bid = bidder.post(f"/v1/listings/{stall.listing}/bids", {"commitment": sha256_of(said)})
    return str(bid["bid"])


def _hammer(lots: Lots, stall: Stall, winner: int, price_fen: int) -> None:
    """The auction is over and this bidder has the lot at this price."""
    bidder = lots.bidder(winner)
    shown = bidder.get(f"/v1/listings/{stall.listing}/auction")
    seen = (shown["state"], shown["outcome"], shown["winner"], shown["price_fen"])
    planned = ("closed", "awarded", bidder.participant, price_fen)
    mechanism = "lawful_auction" if shown["kind"] == "ascending" else "sealed_bid"
    lots.book.step(f"{mechanism}: who has the lot", planned, seen)
    if shown["trade"]:
        lots.note(shown["trade"], mechanism, stall, bidder, price_fen)


# ---- an ascending auction


def ascending(lots: Lots) -> Story:
    """Bids by the hour, one too low; the last ones come late, and each moves the end."""
    start_fen, step_fen = lots.chance.randint(10_000, 20_000), lots.chance.randint(500, 1_500)
    terms = {"kind": "ascending", "start_fen": start_fen, "increment_fen": step_fen, "reserve_fen": 0}
    terms |= {"deposit_fen": 0, "days": 1, "extension_minutes": EXTENSION_MINUTES}
    stall = lots.offer("lawful_auction", "data_ip", 1, supply="limited", supply_units=1, auction=terms)
    opened_s = lots.now_s()
    best_fen = start_fen + lots.chance.randint(0, 2_000)
    _bid(lots, stall, 0, best_fen)
    yield 3 * HOUR_S
    low = {"price_fen": best_fen + step_fen - 1}
    lots.agree(lots.bidder(1), stall)
    lots.refusal("a bid below the step", "out_of_bounds", lots.bidder(1), _bids(stall), low)
    best_fen += step_fen + lots.chance.randint(0, 2_000)
    _bid(lots, stall, 1, best_fen)
    for minutes in (-4, 3):
        yield opened_s + DAY_S + minutes * 60
        best_fen += step_fen + lots.chance.randint(0, 2_000)
        winner = 2 if minutes < 0 else lots.chance.choice((0, 1))
        _bid(lots, stall, winner, best_fen)
    yield opened_s + DAY_S + HOUR_S
    _hammer(lots, stall, winner, best_fen)


def _bids(stall: Stall) -> str:
    return f"/v1/listings/{stall.listing}/bids"


def _bid(lots: Lots, stall: Stall, number: int, price_fen: int) -> None:
    lots.agree(lots.bidder(number), stall)
    lots.bidder(number).post(_bids(stall), {"price_fen": price_fen})


# ---- needs: quote, tender, challenge


def _need(lots: Lots, buyer: Person, kind: str, board: str, purpose: str, **more: Any) -> str:
    body = {
        "kind": kind, "board": board, "title": f"{kind} 交易日演练", "text": "近三年月度数据。Three years by month.",
        "purpose": purpose, "territory": "CN", "quantity": 1, "respond_until": lots.at(1), "decide_until": lots.at(4),
    }  # fmt: skip
    return str(buyer.post("/v1/needs", {**body, **more})["need"])


def _propose(lots: Lots, need: str, stall: Stall, price_fen: int, days: int = 3) -> str:
    body = {"listing": stall.listing, "quantity": 1, "price_fen": price_fen, "delivery_days": days}
    seller = lots.town.people[stall.seller]
    return str(seller.post(f"/v1/needs/{need}/proposals", {**body, "text": "方案 offer"})["proposal"])


def _awarded(
    lots: Lots, made: dict[str, Any], mechanism: str, stall: Stall, buyer: Person, price_fen: int
) -> None:
    lots.book.step(f"{mechanism}: what was awarded", "awarded", made["state"])
    lots.note(made["trade"], mechanism, stall, buyer, price_fen)


def quote(lots: Lots) -> Story:
    """Health resources: the buyer's security was evaluated and its entrustment is signed. Asked, countered, agreed."""
    buyer, purpose = lots.bidder(2), "health_service"
    stall = lots.builder.offer(
        "health resources",
        SELLERS[0],
        board="health",
        declared={"authorisation": {"purposes": [purpose]}},
        terms={"mechanism": "quote", "purposes": [purpose]},
    )
    evaluated = {"product": stall.product, "participant": buyer.participant}
    lots.town.enter("security_evaluations", {"result": "passed"}, **evaluated)
    entrusted = replace(HONEST, entrustment_sha256=sha256_of("entrustment agreement"))
    lots.town.agree(buyer, stall.listing, entrusted)
    need = _need(lots, buyer, "quote", "health", purpose)
    asked_fen = lots.chance.randint(40_000, 80_000)
    quoted = _propose(lots, need, stall, asked_fen)
    yield 2 * HOUR_S
    counter = f"/v1/proposals/{quoted}/counter"
    buyer.post(counter, {"price_fen": asked_fen // 2, "quantity": 1})
    yield 4 * HOUR_S
    agreed_fen = lots.chance.randint(asked_fen // 2, asked_fen)
    lots.seller().post(counter, {"price_fen": agreed_fen, "quantity": 1})
    yield 5 * HOUR_S
    made = buyer.post(f"/v1/proposals/{quoted}/accept", {})
    _awarded(lots, made, "quote", stall, buyer, agreed_fen)


def tender(lots: Lots) -> Story:
    """Three sealed proposals; another than the best is not awarded."""
    buyer, weights = lots.bidder(3), (7_000, 3_000, 0)
    criteria = _criteria(("price_fen", "delivery_days"), weights)
    need = _need(lots, buyer, "tender", "transport", "market_analysis", criteria=criteria)
    stalls = [lots.offer("tender", "transport", number) for number in range(len(SELLERS))]
    drawn = [
        prices.Proposal(lots.chance.randint(30_000, 60_000), lots.chance.randint(1, 3), 0) for _ in stalls
    ]
    sent = [
        _propose(lots, need, stall, one.price_fen, one.days) for stall, one in zip(stalls, drawn, strict=True)
    ]
    yield DAY_S + HOUR_S
    best, second, _ = prices.best_first(drawn, weights)
    for number in (best, second):
        lots.agree(buyer, stalls[number])
    award = f"/v1/needs/{need}/award"
    lots.refusal("an award to the second best", "outside_terms", buyer, award, {"proposal": sent[second]})
    made = buyer.post(award, {"proposal": sent[best]})
    _awarded(lots, made, "tender", stalls[best], buyer, drawn[best].price_fen)


def _criteria(names: tuple[str, ...], weights: tuple[int, ...]) -> list[dict[str, Any]]:
    lower = ("price_fen", "delivery_days")
    return [
        {"name": name, "weight_bp": weight, "better": "lower" if name in lower else "higher"}
        for name, weight in zip(names, weights, strict=False)
    ]


def challenge(lots: Lots) -> Story:
    """Three proposals, two of them on the shortlist, one awarded when the stage is over."""
    buyer, weights = lots.bidder(), (3_000, 0, 7_000)
    criteria = _criteria(("price_fen", "solution"), (3_000, 7_000))
    stages = [{"name": "原型 prototype", "shortlist": 2, "until": lots.at(2)}]
    need = _need(lots, buyer, "challenge", "general", "market_analysis", criteria=criteria, stages=stages)
    stalls = [lots.offer("quote", "general", number) for number in range(len(SELLERS))]
    drawn = [
        prices.Proposal(lots.chance.randint(30_000, 60_000), 3, lots.chance.randint(10, 100)) for _ in stalls
    ]
    sent = [_propose(lots, need, stall, one.price_fen) for stall, one in zip(stalls, drawn, strict=True)]
    yield DAY_S + HOUR_S
    for proposal, one in zip(sent, drawn, strict=True):
        marks = {"proposal": proposal, "scores": {"solution": one.mark}}
        buyer.post(f"/v1/needs/{need}/scores", marks)
    best, second, third = prices.best_first(drawn, weights)
    shortlist = f"/v1/needs/{need}/shortlist"
    others = {"proposals": [sent[best], sent[third]]}
    lots.refusal("a shortlist of others than the best", "outside_terms", buyer, shortlist, others)
    buyer.post(shortlist, {"proposals": [sent[best], sent[second]]})
    yield 2 * DAY_S + HOUR_S
    lots.agree(buyer, stalls[best])
    # those on the shortlist have improved nothing: they are compared as they were, without the third
    left = [drawn[best], drawn[second]]
    first = (best, second)[prices.best_first(left, weights)[0]]
    lots.agree(buyer, stalls[first])
    made = buyer.post(f"/v1/needs/{need}/award", {"proposal": sent[first]})
    _awarded(lots, made, "challenge", stalls[first], buyer, drawn[first].price_fen)


# ---- a call auction


def call_auction(lots: Lots) -> Story:
    """Orders gather before the books of the board go on; then all trade at one price."""
    stall = lots.offer("continuous_auction", "computing", 2, **_UNITS)
    buys = [(_near(lots, 5), lots.chance.randint(1, 20)) for _ in BIDDERS]
    sells = [(_near(lots, -5), lots.chance.randint(5, 20)) for _ in range(3)]
    yield 3 * HOUR_S
    _session(lots, "pre_open")
    for limit_fen, units in sells:
        _gather(stall, lots.seller(2), "sell", limit_fen, units)
    for number, (limit_fen, units) in enumerate(buys):
        lots.agree(lots.bidder(number), stall)
        _gather(stall, lots.bidder(number), "buy", limit_fen, units)
    _session(lots, "call_auction")
    _session(lots, "continuous")
    price_fen = prices.call_price(BOOK_PRICE_FEN, buys, sells)
    for number, units in enumerate(prices.call_units(price_fen, buys, sells)):
        _called(lots, stall, lots.bidder(number), price_fen, units)


def _near(lots: Lots, shift_fen: int) -> int:
    return BOOK_PRICE_FEN + shift_fen + lots.chance.randint(-10, 10)


def _session(lots: Lots, phase: str) -> None:
    body = {"phase": phase, "reason": "交易日演练 a trading day"}
    lots.town.operator.post("/v1/boards/computing/session", body)


_UNITS: Final[dict[str, Any]] = {"supply": "limited", "supply_units": 1_000, "price_fen": BOOK_PRICE_FEN}


def _gather(
    stall: Stall, person: Person, side: str, limit_fen: int, units: int, **how: Any
) -> dict[str, Any]:
    body = {
        "listing": stall.listing, "side": side, "limit_fen": limit_fen, "quantity": units, "time_in_force": "gtc",
        "purpose": stall.purpose, "territory": stall.territory,
    }  # fmt: skip
    placed: dict[str, Any] = person.post("/v1/orders", {**body, **how})
    return placed


def _called(lots: Lots, stall: Stall, bidder: Person, price_fen: int, units: int) -> None:
    """What this bidder got, which may be in several trades."""
    rows = [row for row in bidder.every("/v1/trades") if row["listing"] == stall.listing]
    rows.sort(key=lambda row: int(row["trade"][1:]))
    lots.book.step(f"call auction: units of {bidder.label}", units, sum(row["quantity"] for row in rows))
    for row in rows:
        lots.book.step("call auction: price", price_fen, row["price_fen"])
        lots.note(row["trade"], "call_auction", stall, bidder, price_fen * row["quantity"])


# ---- a metered plan


def metered(lots: Lots) -> Story:
    """Subscribed on the first of a month, used, billed at the month's end; behind the grades, which stay the day's."""
    tiers = [{"up_to_units": ends, "price_fen": price_fen, "per_units": 1} for ends, price_fen in METERED]
    plan = {"setup_fen": SETUP_FEN, "base_fee_fen": BASE_FEN, "tiers": tiers, "pay_days": 10}
    stall, buyer = lots.offer("metered", "general", 1, term_days=400, plan=plan), lots.bidder(1)
    lots.agree(buyer, stall)
    yield BEHIND_S
    yield _next_first_s(lots)
    asked = {"months": 3, "purpose": stall.purpose, "territory": stall.territory}
    made = buyer.post(f"/v1/listings/{stall.listing}/subscriptions", asked)
    lots.note(made["trade"], "metered", stall, buyer, SETUP_FEN + BASE_FEN)
    yield lots.now_s() + 60
    place, units = f"/v1/subscriptions/{made['subscription']}", lots.chance.randint(50, 400)
    record = {"id": "calls-1", "units": units, "at": lots.at()}
    for _ in range(2):  # told twice, it counts once
        lots.seller(1).post(f"{place}/usage", {"records": [record]})
    yield _next_first_s(lots)
    _billed(lots, stall, buyer, place, prices.metered_fen(METERED, units))


def _billed(lots: Lots, stall: Stall, buyer: Person, place: str, used_fen: int) -> None:
    [bill] = buyer.get(f"{place}/bills")["items"]
    planned = (SETUP_FEN + BASE_FEN + used_fen, used_fen, "paid")
    lots.book.step("a month's bill", planned, (bill["total_fen"], bill["amount_fen"], bill["state"]))
    lots.book.paid.append((buyer.label, stall.seller, stall.board, lots.grade_bp(stall), used_fen))


def _next_first_s(lots: Lots) -> int:
    """Seconds after the opening of one minute past midnight, in Beijing, of the next first of a month."""
    now = lots.town.now.astimezone(BEIJING)
    year, month = now.year + now.month // 12, now.month % 12 + 1
    first = now.replace(year=year, month=month, day=1, hour=0, minute=1, second=0, microsecond=0)
    return lots.now_s() + int((first - now).total_seconds())


STORIES: Final[tuple[Callable[[Lots], Story], ...]] = (
    tiered_price,
    public_price,
    book,
    off_venue_report,
    sealed_bid,
    ascending,
    quote,
    tender,
    challenge,
    call_auction,
    metered,
)
