"""Orders of a book in the venue: with money, units, law and clearing around the rules of `docs/MATCHING.md`.

A venue and a bare market get the same random commands and must tell the same; the tape, which knows only events, must
show what the book shows.
"""

import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec.structs import replace

from clearing.registers import Pledge
from exchange import book_orders, session, tape, venue
from exchange import events as e
from exchange.board import Step
from exchange.matching import orders as m
from exchange.matching.market import Market as Bare
from exchange.state import State, decode_state, encode_state
from exchange.verification import invariants
from tests.exchange.world import EVIDENCE, OPERATOR, World, boards, kinds, only, rulebook

CASH = 10**12
UNITS = 100_000
PHASES = {"closed": ("pre_open", "continuous"), "pre_open": ("call_auction", "closed"),
          "call_auction": ("continuous", "closed"), "continuous": ("call_auction", "closed")}  # fmt: skip


class Floor:
    """A book in the venue, six dealers of four owners with money and units, and a sheet that follows the tape."""

    def __init__(self, world: World, **terms: Any) -> None:
        self.world = world
        self.shop = world.merchant(cash_fen=CASH)
        self.book = world.book(self.shop, supply_units=10 * UNITS, price_fen=100, **terms)
        owners = ("", "", "", "one house", "one house", "one house")
        self.dealers = [world.merchant(cash_fen=CASH, owner=owner) for owner in owners]
        for dealer in self.dealers:
            world.agree(dealer, self.book)
            world.ask(self.shop, self.book, UNITS, 100)
            only(world.bid(dealer, self.book, UNITS, 100), e.Settled)
        self.sheet = tape.Sheet(self.book, "published", 0, 0)

    @property
    def board(self) -> str:
        return self.world.state.listings[self.book].board

    def do(self, command: Any) -> Any:
        outcome = self.world.do(command)
        moves = tape.moves([(outcome.at_ns, outcome.events)], {self.book})
        if self.book in moves:
            self.sheet.fold(1, outcome.at_ns, moves[self.book])
        bids, asks = self.sheet.depth()
        book = self.world.state.books[self.book]
        assert bids == [(price, shown) for price, shown, _ in book.depth("buy", 99)]
        assert asks == [(price, shown) for price, shown, _ in book.depth("sell", 99)]
        return outcome

    def must(self, command: Any) -> Any:
        outcome = self.do(command)
        assert outcome.refusal is None, outcome.refusal
        return outcome

    def order(self, who: str, side: str, quantity: int, limit_fen: int = 0, **asks: Any) -> Any:
        force = asks.pop("time_in_force", "gtc")
        conditions = m.Conditions(force, **asks) if asks or force not in ("gtc", "ioc") else None
        return self.do(
            e.PlaceOrder(
                actor=who,
                listing=self.book,
                side=side,
                quantity=quantity,
                limit_fen=limit_fen,
                time_in_force=force,
                conditions=conditions,
            )
        )

    def move(self, *phases: str) -> Any:
        for phase in phases:
            outcome = self.must(e.MoveSession(actor=OPERATOR, board=self.board, phase=phase, reason="a test"))
        return outcome

    def shown(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        buys, sells = self.world.depth(self.book)
        return [row[:2] for row in buys], [row[:2] for row in sells]


@pytest.fixture
def floor() -> Floor:
    return Floor(World())


def fills(outcome: Any) -> list[tuple[int, int]]:
    return [(row.price_fen, row.quantity) for row in outcome.events if isinstance(row, e.Settled)]


def why(outcome: Any) -> list[str]:
    return [row.reason for row in outcome.events if isinstance(row, e.OrderClosed)]


# ---- the venue and a bare market


class Both:
    """The same commands to both; ids of orders are the venue's."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.floor = Floor(World())
        self.bare = Bare(m.Instrument(1, 1, 0, 100), lambda buyer, seller: True, lambda fill: True)
        self.bare.execute(m.Move("continuous"))
        self.bare.book.last_fen = 100
        self.phase = "continuous"
        self.owners = {who: who if at < 3 else "one house" for at, who in enumerate(self.floor.dealers)}
        self.ids: list[str] = []
        self.told: dict[str, int] = {}

    def step(self) -> None:
        moves = 2 if self.phase == "continuous" else 12
        act = self.random.choices((self.place, self.cancel, self.replace, self.move), (70, 12, 12, moves))[0]
        said, expected = act()
        assert said == expected, (act.__name__, said, expected)
        for kind, *_ in said:
            self.told[kind] = self.told.get(kind, 0) + 1

    def conditions(self, quantity: int) -> m.Conditions:
        pick = self.random.random
        force = self.random.choice(("gtc",) * 6 + ("ioc", "fok"))
        return m.Conditions(
            force,  # type: ignore[arg-type]
            self.random.randint(95, 105) if pick() < 0.15 else 0,
            self.random.randint(1, quantity) if pick() < 0.2 and force == "gtc" else 0,
            self.random.randint(1, quantity) if pick() < 0.1 and force == "gtc" else 0,
            pick() < 0.15 and force == "gtc",
            False,
            self.random.choice(("cancel_newest", "cancel_oldest", "cancel_both", "decrement")),
        )

    def place(self) -> tuple[list[Any], list[Any]]:
        who, side = self.random.choice(self.floor.dealers), self.random.choice(("buy", "sell"))
        quantity, price = self.random.randint(1, 12), self.random.randint(95, 105)
        asks = self.conditions(quantity) if self.random.random() < 0.7 else m.PLAIN
        if asks.time_in_force in ("ioc", "fok") and self.random.random() < 0.4:
            price = 0
        outcome = self.floor.do(
            e.PlaceOrder(
                actor=who,
                listing=self.floor.book,
                side=side,
                quantity=quantity,
                limit_fen=price,
                time_in_force=asks.time_in_force,
                conditions=None if asks == m.PLAIN else asks,
            )
        )
        name = f"O{self.floor.world.state.counters['O'] + (outcome.refusal is not None)}"
        told = self.bare.execute(m.Enter(name, side, price, quantity, self.owners[who], who, asks))  # type: ignore[arg-type]
        if outcome.refusal is None:
            self.ids.append(name)
        return venue_said(outcome, name), bare_said(told)

    def one(self) -> str:
        return self.random.choice(self.ids[-60:]) if self.ids else "O0"

    def cancel(self) -> tuple[list[Any], list[Any]]:
        name = self.one()
        order = self.floor.world.state.orders.get(name)
        outcome = self.floor.do(
            e.CancelOrder(actor=order.participant if order else self.floor.dealers[0], order=name)
        )
        told = self.bare.execute(m.Cancel(name))
        if order is None:
            return [], []
        return venue_said(outcome, name), bare_said(told)

    def replace(self) -> tuple[list[Any], list[Any]]:
        name = self.one()
        order = self.floor.world.state.orders.get(name)
        quantity = self.random.randint(1, 14)
        price = self.random.choice((order.price_fen if order else 100, self.random.randint(95, 105)))
        stop = self.random.randint(95, 105) if order and order.conditions.stop_fen else 0
        display = order.conditions.display if order and self.random.random() < 0.7 else 0
        outcome = self.floor.do(
            e.ReplaceOrder(
                actor=order.participant if order else self.floor.dealers[0],
                order=name,
                quantity=quantity,
                limit_fen=price,
                stop_fen=stop,
                display=display,
            )
        )
        told = self.bare.execute(m.Replace(name, quantity, price, stop, display))
        if order is None:
            return [], []
        return venue_said(outcome, name), bare_said(told)

    def move(self) -> tuple[list[Any], list[Any]]:
        self.phase = self.random.choice(PHASES[self.phase])
        outcome = self.floor.move(self.phase)
        return venue_said(outcome, ""), bare_said(self.bare.execute(m.Move(self.phase)))  # type: ignore[arg-type]

    def check(self) -> None:
        self.floor.world.check()
        mine = [(row.id, row.remaining, row.shown) for row in self.bare.book.orders()]
        book = self.floor.world.state.books[self.floor.book]
        assert [(row.id, row.remaining, row.shown) for row in book.orders()] == mine


CODES = {
    "session": "phase", "malformed": "conditions", "lot": "lot", "tick": "tick", "collar": "collar",
    "too_late": "too_late", "out_of_bounds": "quantity",
}  # fmt: skip


def venue_said(outcome: Any, name: str) -> list[Any]:
    """In the words of a bare market."""
    if outcome.refusal is not None:
        return [("refused", CODES[outcome.refusal.code.name])]
    said: list[Any] = []
    for row in outcome.events:
        match row:
            case e.OrderPlaced():
                said.append(("entered", row.order))
            case e.Settled():
                said.append(("filled", row.buy_order, row.sell_order, row.price_fen, row.quantity))
            case e.OrderClosed():
                said.append(("closed", row.order, row.reason, row.remaining))
            case e.OrderRefilled():
                said.append(("refilled", row.order, row.shown))
            case e.OrderReduced():
                said.append(("reduced", row.order, row.quantity))
            case e.OrderCameIn():
                said.append(("came in", row.order, row.cause))
            case e.OrderReplaced():
                said.append(("replaced", row.order, row.limit_fen, row.remaining, row.keeps_place))
    return said


def bare_said(told: list[m.Event]) -> list[Any]:
    """Without what a venue tells otherwise: phases, and the icebergs of a call auction."""
    said: list[Any] = []
    auction = any(isinstance(row, m.Uncrossed) for row in told)
    for row in told:
        match row:
            case m.Entered():
                said.append(("entered", row.order))
            case m.Refused():
                said.append(("refused", row.code))
            case m.Filled():
                said.append(("filled", row.buy, row.sell, row.price_fen, row.quantity))
            case m.Closed():
                said.append(("closed", row.order, row.reason, row.remaining))
            case m.Refilled() if not auction:
                said.append(("refilled", row.order, row.shown))
            case m.Reduced():
                said.append(("reduced", row.order, row.quantity))
            case m.CameIn():
                said.append(("came in", row.order, row.cause))
            case m.Replaced():
                said.append(("replaced", row.order, row.price_fen, row.remaining, row.keeps_place))
    return said


@pytest.mark.parametrize("seed", range(4))
def test_a_venue_tells_what_a_bare_market_tells(seed: int) -> None:
    both = Both(seed)
    for turn in range(700):
        both.step()
        if turn % 50 == 0:
            both.check()
    both.check()
    wanted = {"entered", "filled", "closed", "refilled", "reduced", "came in", "replaced", "refused"}
    assert wanted <= both.told.keys(), both.told


# ---- money and units


def test_a_stop_without_a_limit_pays_when_it_comes_in_or_is_closed(floor: Floor) -> None:
    one, two, three = floor.dealers[:3]
    poor = floor.world.buyer(cash_fen=250)
    floor.world.agree(poor, floor.book)
    floor.order(poor, "buy", 5, stop_fen=110)
    assert floor.world.money(poor) == (250, 0), "nothing is set aside while it waits"
    floor.order(one, "sell", 9, 120)
    floor.order(two, "sell", 1, 110)
    outcome = floor.order(three, "buy", 1, 110)
    assert fills(outcome) == [(110, 1), (120, 2)], "what the money pays"
    assert why(outcome) == ["funds"]
    assert floor.world.money(poor) == (10, 0)
    floor.world.check()


def test_a_replacement_costs_what_it_is_now(floor: Floor) -> None:
    buyer = floor.world.buyer(cash_fen=1_000)
    floor.world.agree(buyer, floor.book)
    order = only(floor.order(buyer, "buy", 5, 100), e.OrderPlaced).order
    for quantity, limit, reserved in ((3, 100, 300), (10, 100, 1_000), (10, 99, 990)):
        floor.must(e.ReplaceOrder(actor=buyer, order=order, quantity=quantity, limit_fen=limit))
        assert floor.world.money(buyer) == (1_000, reserved)
    refused = floor.do(e.ReplaceOrder(actor=buyer, order=order, quantity=11, limit_fen=100)).refusal
    assert refused is not None
    assert (refused.code.name, refused.detail) == (
        "funds_insufficient",
        "100 fen more are needed than are available",
    )
    floor.world.check()


def test_decrement_gives_back_what_was_set_aside(floor: Floor) -> None:
    one, two = floor.dealers[3:5]
    floor.order(one, "sell", 5, 100)
    outcome = floor.order(two, "buy", 3, 104, self_trade="decrement")
    assert kinds(outcome) == ["OrderPlaced", "OrderReduced", "OrderReduced", "OrderClosed"]
    assert (floor.shown(), floor.world.money(two)[1]) == (([], [(100, 2)]), 0)
    floor.world.check()


# ---- what ends orders


def test_gtd_and_day_end_by_the_clock(floor: Floor) -> None:
    one = floor.dealers[0]
    world = floor.world
    hour = 3_600 * 10**9
    floor.order(one, "buy", 1, 90, time_in_force="gtd", expires_ns=world.at_ns + hour)
    floor.order(one, "buy", 1, 91, time_in_force="day")
    floor.order(one, "buy", 1, 92)
    world.wait(ns=hour)
    assert why(floor.must(e.Tick(actor=e.VENUE))) == ["expired"]
    world.wait(days=1)
    assert why(floor.must(e.Tick(actor=e.VENUE))) == ["day"]
    assert floor.shown() == ([(92, 1)], [])
    world.check()


def test_orders_end_with_their_connection_or_when_the_venue_starts_anew(floor: Floor) -> None:
    one = floor.dealers[0]
    for connection in ("a", "b", ""):
        floor.order(one, "buy", 1, 90, session=connection)
    assert why(floor.must(e.EndConnection(actor=e.VENUE, session="a"))) == ["disconnected"]
    assert why(floor.must(e.EndConnection(actor=e.VENUE))) == ["disconnected"]
    assert floor.shown() == ([(90, 1)], [])
    floor.world.check()


# ---- the law


def test_what_has_to_be_whole_counts_only_whom_the_law_allows(floor: Floor) -> None:
    """An owner that is found out while an order rests (E05): its units do not count, and it keeps its place."""
    world, (one, two, three) = floor.world, floor.dealers[:3]
    floor.order(one, "sell", 5, 100)
    floor.order(two, "sell", 5, 101)
    world.verify(one, owner_id=three)
    assert why(floor.order(three, "buy", 6, 101, time_in_force="fok")) == ["fok"]
    assert why(floor.order(three, "buy", 8, 101, minimum=6)) == ["minimum_quantity"]
    outcome = floor.order(three, "buy", 5, 101, time_in_force="fok")
    assert kinds(outcome) == ["OrderPlaced", "Settled"], "passed over without a refused trade"
    assert (fills(outcome), floor.shown()) == ([(101, 5)], ([], [(100, 5)]))
    world.check()


def test_a_pair_that_clearing_refuses_keeps_its_places_and_both_see_why(floor: Floor) -> None:
    world, (one, two) = floor.world, floor.dealers[:2]
    resting = only(floor.order(one, "sell", 5, 100), e.OrderPlaced).order
    world.verify(one, owner_id=two)
    outcome = floor.order(two, "buy", 5, 101)
    assert only(outcome, e.TradeRefused).violated == ("E05",)
    bid = only(outcome, e.OrderPlaced).order
    assert floor.shown() == ([(101, 5)], [(100, 5)])
    for mine, other, price in ((bid, resting, 100), (resting, bid, 101)):
        apart = list(book_orders.apart(world.state, mine, world.at_ns, 9))
        assert apart == [(other, price, 5, ("E05",), "rules")]
    world.check()


def test_an_order_is_refused_at_a_few_doors_and_passes_over_the_rest(floor: Floor) -> None:
    """Each refused trade is an event; thousands of counterparties that the law forbids must not be thousands of them."""
    world, buyer = floor.world, floor.dealers[0]
    sellers = [world.merchant(cash_fen=CASH) for _ in range(12)]
    for seller in sellers:
        world.agree(seller, floor.book)
        floor.order(floor.shop, "sell", 5, 100)
        floor.order(seller, "buy", 5, 100)
    for seller in sellers:
        floor.order(seller, "sell", 5, 100)
    floor.order(floor.dealers[1], "sell", 5, 100)
    for seller in sellers:
        world.verify(seller, owner_id=buyer)
    outcome = floor.order(buyer, "buy", 5, 100)
    assert kinds(outcome) == ["OrderPlaced"] + ["TradeRefused"] * book_orders.MOST_REFUSED + ["Settled"]
    assert floor.shown() == ([], [(100, 60)])
    world.check()


def test_post_only_is_refused_where_it_would_trade(floor: Floor) -> None:
    one, two = floor.dealers[:2]
    floor.order(one, "sell", 5, 100)
    refused = floor.order(two, "buy", 1, 100, post_only=True).refusal
    assert refused is not None
    assert refused.code.name == "would_cross"
    assert kinds(floor.order(two, "buy", 1, 99, post_only=True)) == ["OrderPlaced"]


# ---- sessions


def test_a_call_auction_has_one_price_and_says_what_it_was(floor: Floor) -> None:
    one, two, three = floor.dealers[:3]
    floor.move("closed", "pre_open")
    for who, side, quantity, limit in (
        (one, "buy", 10, 103), (two, "buy", 5, 101), (three, "sell", 8, 99), (one, "sell", 4, 102),
    ):  # fmt: skip
        assert kinds(floor.order(who, side, quantity, limit)) == ["OrderPlaced"]
    floor.move("call_auction")
    assert floor.do(e.CancelOrder(actor=two, order="O9")).refusal is not None
    outcome = floor.move("continuous")
    held = only(outcome, e.CallAuctionHeld)
    assert (held.price_fen, held.quantity, held.traded, held.surplus, held.reference_fen) == (
        102,
        10,
        8,
        2,
        100,
    )
    assert fills(outcome) == [(102, 8)], "one's own four are passed over: nobody trades with oneself"
    assert floor.world.state.listings[floor.book].last_fen == 102
    floor.world.check()


def test_a_halt_loses_no_order_and_a_board_waits_for_its_end(floor: Floor) -> None:
    one, two = floor.dealers[:2]
    floor.order(one, "sell", 5, 100)
    for scope, subject in (("market", ""), ("board", floor.board), ("listing", floor.book)):
        floor.must(e.HaltTrading(actor=OPERATOR, scope=scope, subject=subject, reason="looked into"))
        assert floor.order(two, "buy", 1, 100).refusal is not None
        if scope == "market":
            moved = floor.do(
                e.MoveSession(actor=OPERATOR, board=floor.board, phase="closed", reason="a test")
            )
            assert moved.refusal is not None
        floor.must(e.ResumeTrading(actor=OPERATOR, scope=scope, subject=subject, reason="looked into"))
    assert fills(floor.order(two, "buy", 1, 100)) == [(100, 1)]


def test_a_listing_that_was_halted_in_its_auction_has_it_when_it_goes_on(floor: Floor) -> None:
    one, two = floor.dealers[:2]
    floor.move("closed", "pre_open")
    floor.order(one, "sell", 5, 100)
    floor.order(two, "buy", 5, 101)
    floor.move("call_auction")
    floor.must(e.HaltTrading(actor=OPERATOR, scope="listing", subject=floor.book, reason="looked into"))
    assert fills(floor.move("continuous")) == []
    resumed = floor.must(
        e.ResumeTrading(actor=OPERATOR, scope="listing", subject=floor.book, reason="looked into")
    )
    assert fills(resumed) == [(100, 5)]
    floor.world.check()


def test_only_icebergs_that_an_auction_has_filled_show_their_part_anew(floor: Floor) -> None:
    """One that showed less before, and got nothing, goes on showing that."""
    one, two, three = floor.dealers[:3]
    floor.order(one, "sell", 10, 110, display=5)
    floor.order(two, "buy", 3, 110)
    assert floor.shown() == ([], [(110, 2)])
    floor.move("pre_open")
    floor.order(one, "sell", 9, 100, display=4)
    floor.order(two, "buy", 7, 100)
    outcome = floor.move("continuous")
    assert len(only(outcome, e.CallAuctionHeld).icebergs or ()) == 1
    assert floor.shown() == ([], [(100, 2), (110, 2)])
    assert fills(floor.order(three, "buy", 9, 110)) == [(100, 2), (110, 2), (110, 5)]
    floor.world.check()


def test_before_an_auction_the_session_keeps_apart_what_crosses(floor: Floor) -> None:
    one, two = floor.dealers[:2]
    floor.move("pre_open")
    bid = only(floor.order(one, "buy", 5, 100), e.OrderPlaced).order
    offer = only(floor.order(two, "sell", 5, 100), e.OrderPlaced).order
    state = floor.world.state
    assert list(book_orders.apart(state, bid, floor.world.at_ns, 9)) == [(offer, 100, 5, (), "session")]


# ---- timetables


DAY = (
    Step(at="09:15", phase="pre_open"), Step(at="09:25", phase="call_auction"),
    Step(at="09:30", phase="continuous"), Step(at="15:00", phase="closed"),
)  # fmt: skip


def test_a_timetable_moves_its_board_on_trading_days(floor: Floor) -> None:
    """Friday 28 to Monday 1 December 2025, Beijing time; nothing on the weekend."""
    world = floor.world
    keep_hours(floor)
    seen: list[tuple[str, str]] = []
    world.at_ns = ns_of("2025-11-28T09:20:00+08:00")
    floor.must(e.FollowTimetables(actor=e.VENUE))
    while len(seen) < 7:
        now = world.state.sessions[floor.board]
        seen.append((now.phase, day_text(now.next_ns)))
        world.at_ns = now.next_ns
        floor.must(e.Tick(actor=e.VENUE))
    assert seen == [
        ("pre_open", "11-28 09:25"), ("call_auction", "11-28 09:30"), ("continuous", "11-28 15:00"),
        ("closed", "12-01 09:15"), ("pre_open", "12-01 09:25"), ("call_auction", "12-01 09:30"),
        ("continuous", "12-01 15:00"),
    ]  # fmt: skip
    world.check()


def test_a_venue_that_was_down_catches_up_through_the_phases_between(floor: Floor) -> None:
    world = floor.world
    keep_hours(floor)
    world.at_ns = ns_of("2025-11-28T15:30:00+08:00")
    floor.must(e.FollowTimetables(actor=e.VENUE))
    assert not session.is_behind(world.state, world.at_ns)
    world.at_ns = ns_of("2025-12-01T09:26:00+08:00")
    moved = [row.phase for row in floor.must(e.Tick(actor=e.VENUE)).events if isinstance(row, e.SessionMoved)]
    assert moved == ["pre_open", "call_auction"]


def test_a_board_without_its_timetable_trades_at_any_hour_again(floor: Floor) -> None:
    world = floor.world
    keep_hours(floor)
    world.at_ns = ns_of("2025-11-28T15:30:00+08:00")
    floor.must(e.FollowTimetables(actor=e.VENUE))
    assert world.state.phase_of(floor.board) == "closed"
    keep_hours(floor, ())
    assert session.is_behind(world.state, world.at_ns)
    floor.must(e.FollowTimetables(actor=e.VENUE))
    assert world.state.phase_of(floor.board) == "continuous"
    assert not session.is_behind(world.state, world.at_ns)
    world.check()


def keep_hours(floor: Floor, rows: tuple[Step, ...] = DAY) -> None:
    """This venue's board has a timetable; the boards of other tests are others."""
    state = floor.world.state
    state.boards = state.boards | {floor.board: replace(state.boards[floor.board], sessions=rows)}


def ns_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def day_text(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 10**9, timezone(timedelta(hours=8))).strftime("%m-%d %H:%M")


# ---- the pages


PAGES = Path(__file__).parents[2] / "docs/mechanisms"


def rows_of(page: str, columns: int) -> list[list[int]]:
    """The rows of numbers below "An example"."""
    text = (PAGES / page).read_text(encoding="utf-8").split("## An example")[1].split("##")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [list(map(int, row[:columns])) for row in rows if row[0].isdigit()]


def test_the_example_of_the_order_book(floor: Floor) -> None:
    one, two, three = floor.dealers[:3]
    floor.order(one, "sell", 5, 800)
    floor.order(two, "sell", 10, 800, display=4)
    floor.order(two, "sell", 3, 810)
    before = floor.world.money(three)[0]
    outcome = floor.order(three, "buy", 12, 805)
    assert [list(fill) for fill in fills(outcome)] == [row[1:] for row in rows_of("continuous_auction.md", 3)]
    assert (before - floor.world.money(three)[0], floor.world.money(three)[1]) == (9_600, 0)
    assert sum(row.reserved_rest for row in outcome.events if isinstance(row, e.Settled)) == 60
    assert floor.shown() == ([], [(800, 1), (810, 3)])
    assert [order.remaining for order in floor.world.state.books[floor.book].orders()] == [3, 3]


def test_the_example_of_the_call_auction(floor: Floor) -> None:
    one, two = floor.dealers[:2]
    floor.order(floor.shop, "sell", 1, 1_000)
    floor.order(one, "buy", 1, 1_000)
    floor.move("pre_open")
    sells, buys = ((10, 700), (5, 850)), ((12, 850), (3, 700))
    for who, side, rows in ((one, "sell", sells), (two, "buy", buys)):
        for quantity, price in rows:
            floor.order(who, side, quantity, price)
    for price, bought, sold, volume, surplus in rows_of("call_auction.md", 5):
        assert bought == sum(quantity for quantity, limit in buys if limit >= price)
        assert sold == sum(quantity for quantity, limit in sells if limit <= price)
        assert (volume, surplus) == (min(bought, sold), abs(bought - sold))
    outcome = floor.move("continuous")
    held = only(outcome, e.CallAuctionHeld)
    assert (held.reference_fen, held.price_fen, held.traded, held.surplus) == (1_000, 850, 12, 3)
    assert sum(row.amount_fen for row in outcome.events if isinstance(row, e.Settled)) == 10_200


# ---- what a review of the book found


def copy_of(world: World) -> State:
    """The venue as it starts anew from a snapshot."""
    return decode_state(encode_state(world.state), boards(), rulebook(), "CN-46")


def pledge(floor: Floor, said: Literal["pledged", "released"]) -> Any:
    """While the product is pledged without the pledgee's word, its trades are held (B15)."""
    return floor.must(
        e.EnterRecord(
            actor=floor.world.reviewer,
            facts=Pledge(number="ZY-1", state=said),
            product=floor.world.state.listings[floor.book].product,
            evidence_sha256=EVIDENCE,
            reason="as the papers say",
        )
    )


def test_books_are_gone_through_in_one_order_also_from_a_snapshot() -> None:
    """L10 before L2 was the order of a snapshot's keys, and no longer that in which the books were opened."""
    world = World()
    shop, buyer = world.merchant(cash_fen=CASH), world.buyer()
    books = [world.book(shop) for _ in range(11)]
    board = world.state.listings[books[0]].board
    world.must(e.MoveSession(actor=OPERATOR, board=board, phase="pre_open", reason="a test"))
    for book in books:
        world.bid(buyer, book, 1, 100)
        world.ask(shop, book, 1, 100)
    command = e.MoveSession(actor=OPERATOR, board=board, phase="continuous", reason="a test")
    anew = venue.execute(copy_of(world), command, world.at_ns + 1_000)
    outcome = world.must(command)
    assert anew.entry == outcome.entry
    assert [row.listing for row in outcome.events if isinstance(row, e.CallAuctionHeld)] == books


def test_whoever_may_not_buy_any_more_has_no_stop_waiting(floor: Floor) -> None:
    """A stop without a limit has nothing set aside."""
    buyer = floor.world.buyer(cash_fen=1_000)
    floor.world.agree(buyer, floor.book)
    floor.order(buyer, "buy", 5, stop_fen=110)
    floor.world.ban(buyer)
    assert not floor.world.state.orders


def test_a_market_order_that_has_to_be_whole_sets_aside_what_those_cost_whom_it_may_meet(
    floor: Floor,
) -> None:
    """Otherwise it was filled in part: the cheapest seller is the buyer's own owner by now."""
    world, (one, two) = floor.world, floor.dealers[:2]
    floor.order(one, "sell", 5, 100)
    floor.order(two, "sell", 5, 200)
    rich, poor = world.buyer(cash_fen=1_000), world.buyer(cash_fen=999)
    for buyer, expected in ((poor, []), (rich, [(200, 5)])):
        world.agree(buyer, floor.book)
        world.verify(one, owner_id=buyer)
        assert fills(floor.order(buyer, "buy", 5, time_in_force="fok")) == expected
    world.check()


def test_an_order_that_is_sold_whole_is_not_sold_in_part_for_want_of_money(floor: Floor) -> None:
    one, two, three = floor.dealers[:3]
    poor = floor.world.buyer(cash_fen=250)
    floor.world.agree(poor, floor.book)
    floor.order(poor, "buy", 5, stop_fen=110)
    floor.order(one, "sell", 1, 110)
    floor.order(three, "sell", 5, 115, all_or_none=True)
    outcome = floor.order(two, "buy", 1, 110)
    assert (fills(outcome), why(outcome)) == ([(110, 1)], ["funds"])
    assert floor.shown() == ([], [(115, 5)])
    floor.world.check()


def test_a_stop_whose_money_does_not_pay_its_minimum_buys_nothing(floor: Floor) -> None:
    one, two = floor.dealers[:2]
    poor = floor.world.buyer(cash_fen=250)
    floor.world.agree(poor, floor.book)
    floor.order(poor, "buy", 5, stop_fen=110, minimum=3)
    floor.order(one, "sell", 1, 110)
    floor.order(one, "sell", 5, 115)
    outcome = floor.order(two, "buy", 1, 110)
    assert (fills(outcome), why(outcome)) == ([(110, 1)], ["funds"])
    floor.world.check()


def test_a_market_order_that_is_refused_at_one_door_goes_on_with_its_money(floor: Floor) -> None:
    world, (one, two, three) = floor.world, floor.dealers[:3]
    poor = world.buyer(cash_fen=250)
    world.agree(poor, floor.book)
    floor.order(poor, "buy", 5, stop_fen=110)
    for who, quantity, limit in ((one, 1, 110), (one, 5, 115), (three, 5, 120)):
        floor.order(who, "sell", quantity, limit)
    world.verify(one, owner_id=poor)
    outcome = floor.order(two, "buy", 1, 110)
    assert only(outcome, e.TradeRefused).seller == one
    assert (fills(outcome), why(outcome)) == ([(110, 1), (120, 2)], ["funds"])
    world.check()


def test_an_all_or_none_order_that_cannot_be_filled_says_nothing_by_the_clock(floor: Floor) -> None:
    one, two = floor.dealers[:2]
    floor.order(one, "sell", 5, 100)
    floor.order(two, "buy", 10, 101, all_or_none=True)
    floor.must(e.Tick(actor=e.VENUE))
    assert kinds(floor.must(e.Tick(actor=e.VENUE))) == []


def test_a_hold_before_the_first_trade_elects_no_stop() -> None:
    world = World()
    shop, buyer = world.merchant(cash_fen=CASH), world.buyer()
    book = world.book(shop)
    entry = {"product": world.state.listings[book].product, "evidence_sha256": EVIDENCE, "reason": "papers"}
    world.must(
        e.EnterRecord(actor=world.reviewer, facts=Pledge(number="ZY-1", state="pledged"), **entry)  # type: ignore[arg-type]
    )
    world.ask(shop, book, 5, 100)
    world.ask(shop, book, 5, 10, conditions=m.Conditions("gtc", stop_fen=10))
    assert kinds(world.bid(buyer, book, 2, 100)) == ["OrderPlaced", "Held"]
    world.check()


def test_a_stop_that_was_reached_in_a_halt_comes_in_when_it_ends(floor: Floor) -> None:
    one, two, three = floor.dealers[:3]
    pledge(floor, "pledged")
    floor.order(one, "sell", 10, 103)
    floor.order(two, "buy", 3, 103)
    floor.order(three, "buy", 3, stop_fen=103)
    scope: dict[str, str] = {"scope": "listing", "subject": floor.book, "reason": "looked into"}
    floor.must(e.HaltTrading(actor=OPERATOR, **scope))
    assert kinds(pledge(floor, "released")) == ["RecordEntered", "Settled"]
    outcome = floor.must(e.ResumeTrading(actor=OPERATOR, **scope))
    assert kinds(outcome) == ["TradingResumed", "OrderCameIn", "Settled"]
    floor.world.check()


def test_a_listing_that_was_suspended_in_its_auction_has_it_when_it_goes_on(floor: Floor) -> None:
    one, two = floor.dealers[:2]
    floor.move("pre_open")
    floor.order(one, "sell", 5, 99)
    floor.order(two, "buy", 5, 103)
    step: dict[str, Any] = {"listing": floor.book, "reasons": ("looked into",)}
    floor.must(e.MoveListing(actor=OPERATOR, step="suspend", **step))
    floor.move("continuous")
    floor.world.check()
    assert not [row for row in invariants(floor.world.state) if row[0] == "book"], "it may cross meanwhile"
    outcome = floor.must(e.MoveListing(actor=OPERATOR, step="resume", **step))
    assert kinds(outcome) == ["ListingMoved", "Settled", "CallAuctionHeld"]
    floor.world.check()


def test_only_what_stood_still_goes_on(floor: Floor) -> None:
    """Another listing's halt ends: this book has no auction for that."""
    world, (one, two) = floor.world, floor.dealers[:2]
    other = world.book(floor.shop)
    floor.order(one, "sell", 5, 100)
    world.verify(one, owner_id=two)
    floor.order(two, "buy", 5, 101)
    scope: dict[str, str] = {"scope": "listing", "subject": other, "reason": "looked into"}
    floor.must(e.HaltTrading(actor=OPERATOR, **scope))
    assert kinds(floor.must(e.ResumeTrading(actor=OPERATOR, **scope))) == ["TradingResumed"]


def test_a_stop_that_came_in_rests_in_the_replay_too_where_an_auction_ends_in_the_same_tick(
    floor: Floor,
) -> None:
    """Friday: the board goes into continuous at 09:30, an auction's hammer falls at 09:31, the clock is looked at later."""
    world, one = floor.world, floor.dealers[0]
    keep_hours(floor, (Step(at="09:30", phase="continuous"), Step(at="15:00", phase="closed")))
    world.at_ns = ns_of("2025-11-25T09:31:00+08:00")
    floor.must(e.FollowTimetables(actor=e.VENUE))
    terms = e.AuctionTerms(
        kind="ascending", days=3, start_fen=10_000, increment_fen=500, extension_minutes=10
    )
    lot = world.listing(floor.shop, mechanism="lawful_auction", supply="exclusive", auction=terms)
    world.agree(one, lot)
    world.must(e.PlaceBid(actor=one, listing=lot, quantity=1, price_fen=10_000))
    world.at_ns = ns_of("2025-11-27T16:00:00+08:00")
    world.tick_all()
    world.at_ns = ns_of("2025-11-28T09:20:00+08:00")
    floor.move("pre_open")
    floor.order(one, "buy", 3, 90, stop_fen=100)
    world.at_ns = ns_of("2025-11-28T09:40:00+08:00")
    said = kinds(floor.must(e.Tick(actor=e.VENUE)))
    assert said.index("OrderCameIn") < said.index("OrderPlaced"), said
    assert floor.shown() == ([(90, 3)], [])
    world.check()


def test_an_order_that_is_sent_again_over_another_connection_is_the_same(floor: Floor) -> None:
    one, world = floor.dealers[0], floor.world
    key = world.new_id()
    placed = []
    for connection in ("a", "b"):
        asks = m.Conditions("gtc", session=connection)
        command = e.PlaceOrder(
            actor=one, key=key, listing=floor.book, side="buy", quantity=1, limit_fen=90, conditions=asks
        )
        placed.append(world.must(command))
        world.must(e.EndConnection(actor=e.VENUE, session=connection))
    assert (placed[1].repeated, placed[1].events) == (True, placed[0].events)
    other = replace(command, conditions=None)
    assert world.code(other) == "id_conflict", "without the condition it is another order"


def test_an_operators_move_out_of_a_halt_lasts_to_the_next_row(floor: Floor) -> None:
    """Not to the next minute, at which a halted board is looked at again."""
    world = floor.world
    keep_hours(floor)
    world.at_ns = ns_of("2025-11-28T09:20:00+08:00")
    floor.must(e.FollowTimetables(actor=e.VENUE))
    floor.move("halted")
    world.at_ns = ns_of("2025-11-28T09:25:00+08:00")
    floor.must(e.Tick(actor=e.VENUE))
    assert day_text(world.state.sessions[floor.board].next_ns) == "11-28 09:26"
    floor.move("continuous")
    assert day_text(world.state.sessions[floor.board].next_ns) == "11-28 09:30"
