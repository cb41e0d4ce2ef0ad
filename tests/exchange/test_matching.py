"""Each rule of `docs/MATCHING.md` as a small story on the venue's own book.

A story is told in commands of one word: `buy("b1", 100, 5)` enters, and what happened is compared as events. The book is
checked after every command. The naive twin (`test_matching_twin.py`) tells the same rules on its own; both are compared in
`test_matching_days.py`.
"""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exchange.matching import meeting, views
from exchange.matching.book import Order
from exchange.matching.market import Market, Snapshot
from exchange.matching.orders import (
    BUY,
    PLAIN,
    SELL,
    Barred,
    CameIn,
    Cancel,
    Closed,
    Command,
    Conditions,
    Disconnect,
    Enter,
    Entered,
    Event,
    Expire,
    Filled,
    Instrument,
    MassCancel,
    Move,
    Moved,
    Reduced,
    Refilled,
    Refused,
    Replace,
    Replaced,
    Side,
    Uncrossed,
)

ROOT: Final = Path(__file__).parent.parent.parent


class Story:
    """A market in continuous trading. `apart` are pairs (buyer, seller) that the law keeps apart, `refused` pairs of orders
    (buy, sell) that clearing refuses. Each order is of its own participant and owner, unless said."""

    def __init__(self, phase: Any = "continuous", **instrument: int) -> None:
        self.apart: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()
        self.asked = 0
        self.market = Market(Instrument(**instrument), self.may_trade, self.stands)
        if phase != "closed":
            self.market.execute(Move("continuous" if phase == "continuous" else "pre_open"))
        if phase == "call_auction":
            self.market.execute(Move("call_auction"))

    def may_trade(self, buyer: str, seller: str) -> bool:
        self.asked += 1
        return (buyer, seller) not in self.apart

    def stands(self, fill: Filled) -> bool:
        return (fill.buy, fill.sell) not in self.refused

    def say(self, command: Command) -> list[Event]:
        told = self.market.execute(command)
        open_now = self.market.phase == "continuous"
        self.market.book.check(self.may_trade if open_now else None, crossing=not open_now)
        return told

    def enter(
        self, side: Side, order: str, price: int, quantity: int, owner: str = "", **asks: Any
    ) -> list[Event]:
        conditions = Conditions(**asks) if asks else PLAIN
        told = self.say(Enter(order, side, price, quantity, owner or order, owner or order, conditions))
        return told[1:] if told[0] == Entered(order) else told

    def buy(self, order: str, price: int, quantity: int, owner: str = "", **asks: Any) -> list[Event]:
        return self.enter(BUY, order, price, quantity, owner, **asks)

    def sell(self, order: str, price: int, quantity: int, owner: str = "", **asks: Any) -> list[Event]:
        return self.enter(SELL, order, price, quantity, owner, **asks)

    def depth(self, side: Side) -> list[tuple[int, int, int]]:
        return self.market.book.depth(side, 10)

    def queue(self, side: Side) -> list[str]:
        return [order.id for order in self.market.book.orders() if order.side == side]


def filled(buy: str, sell: str, maker: str, price: int, quantity: int) -> Filled:
    return Filled(buy, sell, maker, price, quantity)


# ---- priority


def test_the_better_price_first_then_the_older() -> None:
    story = Story()
    story.sell("s1", 101, 1)
    story.sell("s2", 100, 1)
    story.sell("s3", 100, 1)
    told = story.buy("b1", 101, 3)
    assert [event.sell for event in told if isinstance(event, Filled)] == ["s2", "s3", "s1"]


def test_bug_trade_at_the_takers_price() -> None:
    story = Story()
    story.sell("s1", 100, 5)
    assert story.buy("b1", 130, 5) == [filled("b1", "s1", "s1", 100, 5)]


def test_bug_stale_best_price_after_a_cancel() -> None:
    story = Story()
    story.sell("s1", 100, 5)
    story.sell("s2", 102, 5)
    assert story.say(Cancel("s1")) == [Closed("s1", "cancelled", 5)]
    assert story.market.book.best_price(SELL) == 102
    assert story.buy("b1", 101, 5) == []
    assert story.buy("b2", 102, 1) == [filled("b2", "s2", "s2", 102, 1)]


def test_bug_a_modify_that_does_not_match_again() -> None:
    story = Story()
    story.sell("s1", 100, 5)
    story.buy("b1", 99, 5)
    assert story.say(Replace("b1", 5, 100)) == [
        Replaced("b1", 100, 5, False),
        filled("b1", "s1", "s1", 100, 5),
    ]


def test_bug_a_filled_maker_left_in_the_id_index() -> None:
    story = Story()
    story.sell("s1", 100, 5)
    story.buy("b1", 100, 5)
    assert story.say(Cancel("s1")) == [Refused("s1", "unknown")]
    assert story.say(Replace("s1", 9, 100)) == [Refused("s1", "unknown")]
    assert story.sell("s1", 100, 1) == []


def test_bug_lost_queue_order_after_an_interior_cancel() -> None:
    story = Story()
    for name in ("s1", "s2", "s3", "s4"):
        story.sell(name, 100, 1)
    story.say(Cancel("s2"))
    story.sell("s5", 100, 1)
    assert [event.sell for event in story.buy("b1", 100, 4) if isinstance(event, Filled)] == [
        "s1",
        "s3",
        "s4",
        "s5",
    ]


def test_bug_duplicate_live_id() -> None:
    story = Story()
    story.sell("s1", 100, 5)
    assert story.sell("s1", 101, 5) == [Refused("s1", "duplicate")]
    story.buy("b1", 120, 5, stop_fen=120)
    assert story.sell("b1", 101, 5) == [Refused("b1", "duplicate")]


@pytest.mark.parametrize("quantity", [0, -5])
def test_bug_zero_quantity_trades(quantity: int) -> None:
    story = Story()
    story.sell("s1", 100, 5)
    assert story.buy("b1", 100, quantity) == [Refused("b1", "quantity")]
    assert story.depth(SELL) == [(100, 5, 1)]


def test_a_fill_costs_no_place_and_a_smaller_quantity_neither() -> None:
    story = Story()
    story.sell("s1", 100, 5)
    story.sell("s2", 100, 5)
    story.buy("b1", 100, 1)
    assert story.say(Replace("s1", 4, 100)) == [Replaced("s1", 100, 3, True)]
    assert story.queue(SELL) == ["s1", "s2"]
    assert story.say(Replace("s1", 5, 100)) == [Replaced("s1", 100, 4, False)]
    assert story.queue(SELL) == ["s2", "s1"]


# ---- an order comes in


@pytest.mark.parametrize(
    ("price", "asks"),
    [
        (0, {}),
        (0, {"time_in_force": "day", "expires_ns": 9}),
        (0, {"time_in_force": "ioc", "all_or_none": True}),
        (0, {"stop_fen": 90, "display": 2}),
        (100, {"time_in_force": "ioc", "post_only": True}),
        (100, {"time_in_force": "fok", "display": 2}),
        (100, {"all_or_none": True, "display": 2}),
        (100, {"all_or_none": True, "minimum": 2}),
        (100, {"all_or_none": True, "self_trade": "decrement"}),
        (100, {"time_in_force": "fok", "minimum": 2}),
        (100, {"time_in_force": "fok", "all_or_none": True}),
        (100, {"post_only": True, "minimum": 2}),
        (100, {"post_only": True, "all_or_none": True}),
        (100, {"post_only": True, "stop_fen": 90}),
        (100, {"display": 11}),
        (100, {"minimum": 11}),
        (100, {"time_in_force": "gtd"}),
        (100, {"time_in_force": "day"}),
        (100, {"expires_ns": 9}),
    ],
)
def test_conditions_that_contradict_each_other(price: int, asks: dict[str, Any]) -> None:
    assert Story().buy("b1", price, 10, **asks) == [Refused("b1", "conditions")]


def test_what_fails_first_is_said() -> None:
    story = Story(phase="closed", tick_fen=10, lot=5, collar_bp=1_000, reference_fen=100)
    assert story.buy("b1", 101, 0) == [Refused("b1", "quantity")]
    assert story.buy("b1", 101, 3, display=4) == [Refused("b1", "conditions")]
    assert story.buy("b1", 101, 3) == [Refused("b1", "phase")]
    story.say(Move("continuous"))
    assert story.buy("b1", 151, 3) == [Refused("b1", "lot")]
    assert story.buy("b1", 151, 5) == [Refused("b1", "tick")]
    assert story.buy("b1", 150, 5) == [Refused("b1", "collar")]
    assert story.buy("b1", 110, 5) == []


def test_the_collar_lies_around_the_last_price() -> None:
    story = Story(collar_bp=500, reference_fen=1_000)
    story.sell("s1", 1_050, 10)
    story.buy("b1", 1_050, 1)
    assert story.sell("s2", 1_103, 1) == [Refused("s2", "collar")]
    assert story.sell("s2", 1_102, 1) == []
    assert story.sell("s3", 1_050, 1, stop_fen=997) == [Refused("s3", "collar")]


def test_a_market_orders_collar_is_that_of_its_entry() -> None:
    story = Story(collar_bp=100, reference_fen=1_000)
    traded_at(story, 1_005)
    story.sell("s1", 1_005, 1)
    story.sell("s2", 1_015, 1)
    traded_at(story, 1_000)
    told = story.buy("b1", 0, 2, time_in_force="ioc")
    assert told == [filled("b1", "s1", "s1", 1_005, 1), Closed("b1", "ioc", 1)], "1,010 is the highest"


def test_in_pre_open_only_what_rests_or_waits() -> None:
    story = Story(phase="pre_open")
    unasked: list[dict[str, Any]] = [
        {"time_in_force": "ioc"},
        {"post_only": True},
        {"minimum": 1},
        {"all_or_none": True},
    ]
    for number, asks in enumerate(unasked):
        assert story.buy(f"b{number}", 100, 5, **asks) == [Refused(f"b{number}", "phase")]
    assert story.buy("b4", 100, 5) == []
    assert story.sell("s4", 90, 5) == []
    assert story.buy("b5", 0, 5, stop_fen=120, time_in_force="ioc") == []
    assert story.market.book.depth(BUY, 5) == [(100, 5, 1)]


# ---- the meeting


def test_an_unlawful_pair_is_passed_over_without_loss_of_place() -> None:
    story = Story()
    story.apart.add(("b1", "s1"))
    story.sell("s1", 100, 5)
    story.sell("s2", 100, 5)
    assert story.buy("b1", 100, 5) == [filled("b1", "s2", "s2", 100, 5)]
    assert story.buy("b2", 100, 1) == [filled("b2", "s1", "s1", 100, 1)]


def test_what_is_left_rests_though_it_crosses_whom_it_may_not_meet() -> None:
    story = Story()
    story.apart.add(("b1", "s1"))
    story.sell("s1", 100, 5)
    assert story.buy("b1", 101, 5) == []
    assert (story.depth(BUY), story.depth(SELL)) == ([(101, 5, 1)], [(100, 5, 1)])
    assert story.sell("s2", 100, 5) == [filled("b1", "s2", "b1", 101, 5)]


def test_a_refusal_at_clearing_bars_the_pair_and_the_taker_goes_on() -> None:
    story = Story()
    story.refused.add(("b1", "s1"))
    story.sell("s1", 100, 5)
    story.sell("s2", 101, 5)
    assert story.buy("b1", 101, 8) == [Barred("b1", "s1"), filled("b1", "s2", "s2", 101, 5)]
    story.refused.clear()
    assert story.say(Replace("b1", 9, 101)) == [Replaced("b1", 101, 4, False)], "they do not meet again"
    assert story.buy("b2", 100, 5) == [filled("b2", "s1", "s1", 100, 5)], "s1 kept its place"
    assert story.market.book.apart == {}, "and the bar ended with it"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("cancel_newest", [Closed("b1", "self_trade", 8)]),
        ("cancel_oldest", [Closed("s1", "self_trade", 5), filled("b1", "s2", "s2", 101, 5)]),
        ("cancel_both", [Closed("s1", "self_trade", 5), Closed("b1", "self_trade", 8)]),
        (
            "decrement",
            [
                Reduced("s1", 5),
                Reduced("b1", 5),
                Closed("s1", "self_trade", 0),
                filled("b1", "s2", "s2", 101, 3),
            ],
        ),
    ],
)
def test_self_trade_prevention(policy: str, expected: list[Event]) -> None:
    story = Story()
    story.sell("s1", 100, 5, owner="house")
    story.sell("s2", 101, 5)
    assert story.buy("b1", 101, 8, owner="house", self_trade=policy) == expected
    own = [order for order in story.market.book.orders() if order.owner == "house"]
    assert len(own) < 2, "nothing of one owner crosses"


def test_a_decrement_takes_hidden_parts_first() -> None:
    story = Story()
    story.sell("s1", 100, 10, owner="house", display=3)
    assert story.buy("b1", 100, 4, owner="house", self_trade="decrement") == [
        Reduced("s1", 4),
        Reduced("b1", 4),
        Closed("b1", "self_trade", 0),
    ]
    assert story.depth(SELL) == [(100, 3, 1)]
    assert story.say(Replace("s1", 6, 100, display=3)) == [Replaced("s1", 100, 6, True)], "none was filled"


def test_an_all_or_none_maker_is_closed_instead_of_decremented() -> None:
    story = Story()
    story.sell("s1", 100, 5, owner="house", all_or_none=True)
    assert story.buy("b1", 100, 8, owner="house", self_trade="decrement") == [Closed("s1", "self_trade", 5)]


def test_post_only_rests_or_is_closed() -> None:
    story = Story()
    story.apart.add(("b1", "s1"))
    story.sell("s1", 100, 5)
    assert story.buy("b1", 100, 5, post_only=True) == []
    assert story.buy("b2", 100, 5, post_only=True) == [Closed("b2", "post_only", 5)]
    assert story.buy("b3", 100, 5, owner="s1", post_only=True) == [Closed("b3", "post_only", 5)]


def test_fok_counts_lawful_makers_only() -> None:
    story = Story()
    story.apart.add(("b1", "s1"))
    story.sell("s1", 100, 5)
    story.sell("s2", 101, 5)
    assert story.buy("b1", 101, 6, time_in_force="fok") == [Closed("b1", "fok", 6)]
    assert story.buy("b2", 101, 6, time_in_force="fok") == [
        filled("b2", "s1", "s1", 100, 5),
        filled("b2", "s2", "s2", 101, 1),
    ]


def test_fok_that_clearing_stops_is_closed_with_what_is_left() -> None:
    story = Story()
    story.refused.add(("b1", "s2"))
    story.sell("s1", 100, 5)
    story.sell("s2", 100, 5)
    told = story.buy("b1", 100, 8, time_in_force="fok")
    assert told == [filled("b1", "s1", "s1", 100, 5), Barred("b1", "s2"), Closed("b1", "fok", 3)]


def test_minimum_quantity_is_asked_once() -> None:
    story = Story()
    story.sell("s1", 100, 3)
    assert story.buy("b1", 100, 9, minimum=4) == [Closed("b1", "minimum_quantity", 9)]
    assert story.buy("b2", 100, 9, minimum=3) == [filled("b2", "s1", "s1", 100, 3)]
    assert story.say(Replace("b2", 10, 101)) == [Replaced("b2", 101, 7, False)], "it rests again"


def test_fok_counts_the_hidden_parts_of_an_iceberg() -> None:
    story = Story()
    story.sell("s1", 100, 9, display=2)
    assert [event.quantity for event in story.buy("b1", 100, 9, time_in_force="fok") if isinstance(event, Filled)] == [
        2, 2, 2, 2, 1,
    ]  # fmt: skip


def test_an_iceberg_shows_its_next_part_behind_the_others() -> None:
    story = Story()
    story.sell("s1", 100, 6, display=4)
    story.sell("s2", 100, 4)
    assert story.depth(SELL) == [(100, 8, 2)]
    assert story.buy("b1", 100, 9) == [
        filled("b1", "s1", "s1", 100, 4),
        Refilled("s1", 2),
        filled("b1", "s2", "s2", 100, 4),
        filled("b1", "s1", "s1", 100, 1),
    ]
    assert story.depth(SELL) == [(100, 1, 1)]


def test_all_or_none_waits_until_it_can_be_filled_whole() -> None:
    story = Story()
    assert story.buy("b1", 100, 8, all_or_none=True) == []
    assert story.sell("s1", 100, 5) == [], "b1 is too large, and s1 not enough"
    assert story.sell("s2", 100, 5) == [
        CameIn("b1", "all_or_none"),
        filled("b1", "s1", "s1", 100, 5),
        filled("b1", "s2", "s2", 100, 3),
    ]


def test_an_all_or_none_maker_larger_than_the_taker_is_passed_over() -> None:
    story = Story()
    story.sell("s1", 100, 8, all_or_none=True)
    story.sell("s2", 101, 8)
    assert story.buy("b1", 101, 5) == [filled("b1", "s2", "s2", 101, 5)]
    assert story.buy("b2", 101, 9) == [filled("b2", "s1", "s1", 100, 8), filled("b2", "s2", "s2", 101, 1)]


def test_an_all_or_none_that_becomes_smaller_is_tried() -> None:
    story = Story()
    story.buy("b1", 100, 8, all_or_none=True)
    story.sell("s1", 100, 5)
    assert story.say(Replace("b1", 5, 100)) == [
        Replaced("b1", 100, 5, True),
        CameIn("b1", "all_or_none"),
        filled("b1", "s1", "s1", 100, 5),
    ]


def test_all_or_none_with_ioc_is_closed() -> None:
    story = Story()
    story.sell("s1", 100, 5)
    told = story.buy("b1", 100, 6, all_or_none=True, time_in_force="ioc")
    assert told == [Closed("b1", "all_or_none", 6)]


def test_what_is_left_of_ioc_and_market_is_closed() -> None:
    story = Story()
    story.sell("s1", 100, 5)
    assert story.buy("b1", 100, 6, time_in_force="ioc") == [
        filled("b1", "s1", "s1", 100, 5),
        Closed("b1", "ioc", 1),
    ]
    story.sell("s2", 170, 5)
    assert story.buy("b2", 0, 6, time_in_force="ioc") == [
        filled("b2", "s2", "s2", 170, 5),
        Closed("b2", "ioc", 1),
    ]


# ---- stops


def traded_at(story: Story, price: int) -> list[Event]:
    story.sell("x1", price, 1)
    return story.buy("x2", price, 1)


def test_a_fill_elects_stops_in_their_order() -> None:
    story = Story()
    for name, stop in (("b1", 105), ("b2", 103), ("b3", 105), ("b4", 106)):
        story.buy(name, 90, 1, stop_fen=stop)
    for name, stop in (("s1", 105), ("s2", 110), ("s3", 104)):
        story.sell(name, 200, 1, stop_fen=stop)
    came = [event.order for event in traded_at(story, 105) if isinstance(event, CameIn)]
    assert came == ["b2", "b1", "b3", "s2", "s1"]


def test_a_stop_that_is_reached_comes_in_at_once() -> None:
    story = Story()
    traded_at(story, 100)
    assert story.sell("s1", 99, 1, stop_fen=100) == [CameIn("s1", "stop")]
    assert story.depth(SELL) == [(99, 1, 1)]


def test_a_stop_without_price_is_a_market_order_then() -> None:
    story = Story()
    story.buy("b1", 0, 5, stop_fen=105)
    story.sell("s1", 150, 2)
    told = traded_at(story, 105)
    assert told[1:] == [CameIn("b1", "stop"), filled("b1", "s1", "s1", 150, 2), Closed("b1", "ioc", 3)]


def test_a_cascade_of_ten_thousand_stops_is_no_recursion() -> None:
    story = Story()
    market = story.market
    for number in range(10_000):
        market.execute(Enter(f"s{number}", SELL, 1_000 + number + 1, 1, f"s{number}", "s"))
        conditions = Conditions(stop_fen=1_000 + number)
        market.execute(Enter(f"b{number}", BUY, 0, 1, f"b{number}", "b", conditions))
    market.execute(Enter("s", SELL, 1_000, 1, "s", "s"))
    told = market.execute(Enter("b", BUY, 1_000, 1, "b", "b"))
    assert sum(isinstance(event, Filled) for event in told) == 10_001
    market.book.check()


# ---- cancel, replace, ends


def test_a_waiting_stop_is_replaced_and_comes_in_where_the_new_stop_is_reached() -> None:
    story = Story()
    traded_at(story, 100)
    story.buy("b1", 110, 5, stop_fen=105)
    assert story.say(Replace("b1", 4, 110)) == [Replaced("b1", 110, 4, True)], "stop 0: as it is"
    assert story.say(Replace("b1", 4, 110, stop_fen=103)) == [Replaced("b1", 110, 4, False)]
    assert story.say(Replace("b1", 4, 110, stop_fen=99)) == [
        Replaced("b1", 110, 4, False),
        CameIn("b1", "stop"),
    ]
    assert story.depth(BUY) == [(110, 4, 1)]


def test_replace_is_refused_in_order() -> None:
    story = Story(tick_fen=5, lot=2)
    story.buy("b1", 100, 10)
    story.sell("s1", 100, 4)
    assert story.say(Replace("b9", 0, 1)) == [Refused("b9", "unknown")]
    assert story.say(Replace("b1", 0, 1)) == [Refused("b1", "quantity")]
    assert story.say(Replace("b1", 3, 0)) == [Refused("b1", "conditions")]
    assert story.say(Replace("b1", 3, 101)) == [Refused("b1", "lot")]
    assert story.say(Replace("b1", 4, 101)) == [Refused("b1", "tick")]
    assert story.say(Replace("b1", 4, 100)) == [Refused("b1", "too_late")]
    assert story.say(Replace("b1", 6, 100)) == [Replaced("b1", 100, 2, True)]


def test_mass_cancel_disconnect_and_expiry_go_by_time_of_entry() -> None:
    story = Story()
    story.buy("b1", 100, 1, owner="a", session="wire")
    story.sell("s1", 200, 1, owner="a", time_in_force="gtd", expires_ns=70)
    story.buy("b2", 120, 1, owner="a", stop_fen=130)
    story.sell("s2", 210, 1, owner="c", time_in_force="day", expires_ns=60)
    assert story.say(Disconnect("")) == []
    assert story.say(Expire(65)) == [Closed("s2", "expired", 1)]
    story.say(Replace("b1", 2, 99))
    assert story.say(MassCancel("a", BUY)) == [Closed("b1", "cancelled", 2), Closed("b2", "cancelled", 1)]
    story.buy("b3", 100, 1, session="wire")
    assert story.say(Disconnect("wire")) == [Closed("b3", "disconnected", 1)]
    assert story.say(Expire(70)) == [Closed("s1", "expired", 1)]


# ---- phases and the call auction


def test_a_call_auction_from_the_orders_of_pre_open() -> None:
    story = Story(phase="pre_open", reference_fen=100)
    story.buy("b1", 103, 10)
    story.buy("b2", 101, 10, display=4)
    story.sell("s1", 99, 8)
    story.sell("s2", 101, 8)
    story.say(Move("call_auction"))
    assert story.say(Cancel("b1")) == [Refused("b1", "phase")]
    assert story.say(MassCancel("b1")) == [Refused("", "phase")]
    assert story.say(Move("continuous")) == [
        Moved("continuous"),
        Uncrossed(101, 16, 4),
        filled("b1", "s1", "", 101, 8),
        filled("b1", "s2", "", 101, 2),
        filled("b2", "s2", "", 101, 6),
        Refilled("b2", 4),
    ]


def test_a_call_auction_passes_pairs_over_and_its_price_stands() -> None:
    story = Story(phase="pre_open", reference_fen=100)
    story.apart.add(("b1", "s1"))
    story.refused.add(("b2", "s1"))
    story.buy("b1", 100, 5)
    story.buy("b2", 100, 5)
    story.buy("b3", 100, 5, owner="s1")
    story.sell("s1", 100, 5)
    story.say(Move("call_auction"))
    assert story.say(Move("continuous")) == [
        Moved("continuous"),
        Uncrossed(100, 5, 10),
        Barred("b2", "s1"),
        CameIn("b3", "crossed"),
        Closed("b3", "self_trade", 5),
    ]


def test_a_halt_never_loses_an_order() -> None:
    story = Story()
    story.buy("b1", 100, 5)
    story.buy("b2", 120, 5, stop_fen=120)
    story.sell("s1", 110, 5, display=2)
    before = story.market.snapshot().orders
    assert story.say(Move("halted")) == [Moved("halted")]
    assert story.buy("b3", 100, 5) == [Refused("b3", "phase")]
    assert story.say(Replace("b1", 4, 100)) == [Refused("b1", "phase")]
    assert story.say(Move("resume")) == [Moved("continuous")]
    assert story.market.snapshot().orders == before


def test_a_halt_in_the_auction_does_not_uncross() -> None:
    story = Story(phase="call_auction")
    story.buy("b1", 100, 5)
    story.sell("s1", 100, 5)
    assert story.say(Move("halted")) == [Moved("halted")]
    assert story.say(Move("resume")) == [Moved("call_auction")]
    assert story.say(Move("closed"))[:2] == [Moved("closed"), Uncrossed(100, 5, 0)]


@pytest.mark.parametrize(
    ("phase", "to"),
    [
        ("closed", "call_auction"),
        ("pre_open", "continuous"),
        ("continuous", "pre_open"),
        ("continuous", "resume"),
    ],
)
def test_another_move_is_refused(phase: str, to: Any) -> None:
    assert Story(phase=phase).say(Move(to)) == [Refused("", "phase")]


def test_into_continuous_what_the_law_keeps_apart_no_more_meets() -> None:
    story = Story()
    story.apart.add(("b1", "s1"))
    story.sell("s1", 100, 5)
    story.buy("b1", 100, 5)
    story.say(Move("halted"))
    story.apart.clear()
    story.market.law_changed()
    assert story.say(Move("resume")) == [
        Moved("continuous"),
        CameIn("s1", "crossed"),
        filled("b1", "s1", "b1", 100, 5),
    ]


# ---- skipping


def test_those_that_are_passed_over_are_asked_about_once() -> None:
    """10,000 makers of 10,000 participants stand before the one that this buyer may meet, a thousand times."""
    story = Story()
    market = story.market
    for number in range(2_000):
        story.apart.add(("b", f"s{number}"))
        market.execute(Enter(f"s{number}", SELL, 100 + number % 7, 1, f"s{number}", f"s{number}"))
    market.execute(Enter("lawful", SELL, 110, 1_000, "lawful", "lawful"))
    story.asked = 0
    for number in range(500):
        told = market.execute(Enter(f"b{number}", BUY, 110, 1, "b", "b"))
        assert told[1:] == [filled(f"b{number}", "lawful", "lawful", 110, 1)]
    assert story.asked < 2_000 + 500 + views.PATIENCE + 10
    market.book.check(story.may_trade)


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_views_change_nothing(monkeypatch: pytest.MonkeyPatch, patience: int) -> None:
    """A day with views from the first that is passed over is the day without them."""
    expected = [played(random.Random(seed), 400) for seed in range(6)]
    monkeypatch.setattr(views, "PATIENCE", patience)
    assert [played(random.Random(seed), 400) for seed in range(6)] == expected


def test_views_end_when_the_law_changes() -> None:
    story = Story()
    story.apart |= {("b", f"s{number}") for number in range(100)}
    for number in range(100):
        story.sell(f"s{number}", 100, 1)
    story.buy("b1", 100, 1, owner="b")
    assert len(story.market.book.side(SELL).views) == 1
    story.apart.clear()
    story.market.law_changed()
    told = story.market.execute(Enter("b2", BUY, 100, 1, "b", "b"))
    assert told == [Entered("b2"), filled("b2", "s0", "s0", 100, 1)]


# ---- any day


NAMES: Final = "abcdefg"


def any_command(choose: random.Random, market: Market, number: int) -> Command:
    """Mostly orders, of every kind; the rest is what may happen to them."""
    drawn = choose.random()
    live = sorted(market.book.index)
    trading = market.phase == "continuous"
    if drawn < (0.72 if trading else 0.5):
        return any_order(choose, number)
    if drawn < 0.79 and live:
        return Cancel(choose.choice(live))
    if drawn < 0.92 and live:
        order = market.book.get(choose.choice(live))
        assert order is not None
        price = choose.choice((order.price_fen, order.price_fen and choose.randint(95, 105)))
        stop = choose.choice((0, order.conditions.stop_fen, choose.randint(95, 105)))
        display = choose.choice((order.conditions.display, choose.randint(0, 4)))
        return Replace(order.id, max(1, order.quantity + choose.randint(-4, 2)), price, stop, display)
    if drawn < 0.94 or (trading and drawn < 0.98):
        return choose.choice(
            (MassCancel("a"), MassCancel("c", SELL), Disconnect("wire"), Expire(choose.randint(1, 50)))
        )
    phases: dict[str, tuple[Any, ...]] = {
        "continuous": ("call_auction", "halted", "closed"),
        "call_auction": ("continuous", "closed", "halted"),
        "pre_open": ("call_auction",),
        "closed": ("continuous", "pre_open"),
        "halted": ("resume",),
    }
    return Move(choose.choice(phases[market.phase]))


def any_order(choose: random.Random, number: int) -> Enter:
    in_force = choose.choice(("gtc", "gtc", "gtc", "gtd", "ioc", "fok"))
    asks: dict[str, Any] = {"time_in_force": in_force}
    if in_force == "gtd":
        asks["expires_ns"] = choose.randint(1, 400)
    extra = choose.choice(("", "", "stop_fen", "display", "minimum", "all_or_none", "post_only", "session"))
    quantity = choose.randint(1, 12)
    values = {
        "stop_fen": choose.randint(95, 105),
        "display": choose.randint(1, quantity),
        "minimum": 1,
        "session": "wire",
    }
    if extra:
        asks[extra] = values.get(extra, True)
    asks["self_trade"] = choose.choice(("cancel_newest", "cancel_oldest", "cancel_both", "decrement"))
    name = choose.choice(NAMES)
    price = choose.choice((0, *[choose.randint(95, 105)] * 8))
    conditions = PLAIN if choose.random() < 0.4 else Conditions(**asks)
    side: Side = choose.choice((BUY, SELL))
    return Enter(f"o{number}", side, price, quantity, "a" if name == "b" else name, name, conditions)


def lawful(buyer: str, seller: str) -> bool:
    return (ord(buyer) * 3 + ord(seller)) % 4 != 0


def cleared(fill: Filled) -> bool:
    return (int(fill.buy[1:]) + int(fill.sell[1:]) + fill.quantity) % 6 != 0


def played(choose: random.Random, commands: int) -> list[Event]:
    """A day of any commands; what happened."""
    market = Market(Instrument(reference_fen=100), lawful, cleared)
    told = market.execute(Move("continuous"))
    for number in range(commands):
        told += market.execute(any_command(choose, market, number))
    return told


class AnyDay(RuleBasedStateMachine):
    """Any commands in any order: every invariant holds after each, and the book that is written down goes on the same."""

    def __init__(self) -> None:
        super().__init__()
        self.market = Market(Instrument(reference_fen=100), lawful, cleared)
        self.market.execute(Move("continuous"))
        self.number = 0
        self.filled: dict[str, int] = {}

    @rule(seed=st.integers(0, 2**32))
    def command(self, seed: int) -> None:
        self.number += 1
        command = any_command(random.Random(seed), self.market, self.number)
        told = self.market.execute(command)
        assert told or not isinstance(command, Enter | Cancel | Replace | Move)
        assert all(event.quantity > 0 for event in told if isinstance(event, Filled | Reduced))

    @rule(seed=st.integers(0, 2**32))
    @precondition(lambda self: self.number % 3 == 2)
    def written_down(self, seed: int) -> None:
        """A market restored from what was written answers the next command with the same events, and the same hash."""
        encoded = msgspec.msgpack.encode(self.market.snapshot())
        again = Market(Instrument(reference_fen=100), lawful, cleared)
        again.restore(msgspec.msgpack.decode(encoded, type=Snapshot))
        assert again.sha256() == self.market.sha256()
        self.number += 1
        command = any_command(random.Random(seed), self.market, self.number)
        assert again.execute(command) == self.market.execute(command)
        assert again.sha256() == self.market.sha256()

    @invariant()
    def sound(self) -> None:
        open_now = self.market.phase == "continuous"
        self.market.book.check(lawful if open_now else None, crossing=not open_now)


TestAnyDay = AnyDay.TestCase
TestAnyDay.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_those_that_left_the_front_of_a_queue_are_skipped_once() -> None:
    book = Story().market.book
    for number in range(10_000):
        book.add(Order(f"s{number}", SELL, 100, 1, "s", quantity=1))
    for number in range(4_000):
        book.remove(f"s{number}")
    level = book.side(SELL).best
    assert level is not None
    for number in range(4_000, 4_100):
        first = next(book.makers(BUY, None))
        assert (first.id, level.head) == (f"s{number}", number)
        book.reduce(first.id, 1)


def test_the_same_commands_give_the_same_hash_under_any_hash_seed() -> None:
    said = (
        "import random\n"
        "from exchange.matching.market import Market\n"
        "from exchange.matching.orders import Instrument, Move\n"
        "from tests.exchange.test_matching import any_command, cleared, lawful\n"
        "market, choose = Market(Instrument(reference_fen=100), lawful, cleared), random.Random(20231208)\n"
        "market.execute(Move('continuous'))\n"
        "told, hashes = 0, []\n"
        "for number in range(2_000):\n"
        "    told += len(market.execute(any_command(choose, market, number)))\n"
        "    if number % 50 == 0:\n"
        "        hashes.append(market.sha256())\n"
        "print(*hashes, told)\n"
    )
    seeds = ("0", "1", "4711")
    found = [
        subprocess.run(
            [sys.executable, "-c", said],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in seeds
    ]
    assert len(set(found)) == 1
    assert len(set(found[0].split())) > 30, "many states were hashed"


def test_a_decider_changes_nothing() -> None:
    """What is to happen is said; until it is made so, the book is as it was."""
    story = Story()
    story.sell("s1", 100, 5)
    before = story.market.sha256()
    order = Order("b1", BUY, 100, 5, "b1", "b1", quantity=5)
    steps = meeting.come_in(story.market.book, story.may_trade, order, meeting.Elected(story.market.book))
    assert next(steps) == filled("b1", "s1", "s1", 100, 5)
    assert story.market.sha256() == before
