"""Small stories whose events are worked out by hand from `docs/MATCHING.md`; the twin and the fast book tell both."""

import pytest
from msgspec.structs import replace

from exchange.matching.orders import (
    BUY,
    SELL,
    Barred,
    CameIn,
    Cancel,
    Closed,
    Command,
    Disconnect,
    Enter,
    Entered,
    Event,
    Expire,
    Filled,
    MassCancel,
    Move,
    Moved,
    Reduced,
    Refilled,
    Refused,
    Replace,
    Replaced,
    Uncrossed,
)
from tests.exchange.market_story import CONTINUOUS, Story, buy, sell


def test_the_better_price_comes_first_and_then_the_older() -> None:
    story = Story().opened(sell("s1", 3, 102), sell("s2", 3, 101), sell("s3", 3, 101))
    assert story.after(buy("b", 8, 105)) == [
        Entered("b"),
        Filled("b", "s2", "s2", 101, 3),
        Filled("b", "s3", "s3", 101, 3),
        Filled("b", "s1", "s1", 102, 2),
    ]
    assert story.rests() == [("s1", 1)]


def test_what_is_left_of_a_limit_rests_and_of_a_market_is_closed() -> None:
    story = Story().opened(sell("s", 3, 100))
    assert story.after(buy("b", 5, 100)) == [Entered("b"), Filled("b", "s", "s", 100, 3)]
    assert story.rests() == [("b", 2)]
    assert story.after(sell("m", 9, 0, time_in_force="ioc")) == [
        Entered("m"),
        Filled("b", "m", "b", 100, 2),
        Closed("m", "ioc", 7),
    ]


@pytest.mark.parametrize(
    ("entered", "code"),
    [
        (buy("old", 1, 1), "duplicate"),
        (buy("n", 0, 100), "quantity"),
        (buy("n", 10, -10), "quantity"),
        (buy("n", 10, 100, display=-10), "quantity"),
        (buy("n", 10, 0), "conditions"),
        (buy("n", 10, 0, time_in_force="gtd", expires_ns=5), "conditions"),
        (buy("n", 10, 0, time_in_force="ioc", display=10), "conditions"),
        (buy("n", 10, 0, time_in_force="gtc", stop_fen=100, post_only=True), "conditions"),
        (buy("n", 10, 100, time_in_force="ioc", post_only=True), "conditions"),
        (buy("n", 10, 100, time_in_force="fok", display=10), "conditions"),
        (buy("n", 10, 100, time_in_force="fok", minimum=10), "conditions"),
        (buy("n", 10, 100, time_in_force="fok", all_or_none=True), "conditions"),
        (buy("n", 10, 100, all_or_none=True, display=10), "conditions"),
        (buy("n", 10, 100, all_or_none=True, minimum=10), "conditions"),
        (buy("n", 10, 100, all_or_none=True, self_trade="decrement"), "conditions"),
        (buy("n", 10, 100, post_only=True, minimum=10), "conditions"),
        (buy("n", 10, 100, post_only=True, all_or_none=True), "conditions"),
        (buy("n", 10, 100, post_only=True, stop_fen=100), "conditions"),
        (buy("n", 10, 100, display=20), "conditions"),
        (buy("n", 10, 100, minimum=20), "conditions"),
        (buy("n", 10, 100, time_in_force="day"), "conditions"),
        (buy("n", 10, 100, expires_ns=5), "conditions"),
        (buy("n", 15, 100), "lot"),
        (buy("n", 20, 100, display=15), "lot"),
        (buy("n", 20, 100, minimum=15), "lot"),
        (buy("n", 10, 101), "tick"),
        (buy("n", 10, 100, stop_fen=101), "tick"),
        (buy("n", 10, 115), "collar"),
        (sell("n", 10, 85), "collar"),
        (buy("n", 10, 0, time_in_force="ioc", stop_fen=115), "collar"),
        (buy("n", 10, 110), ""),
        (sell("n", 10, 90), ""),
        (buy("n", 10, 0, time_in_force="day", expires_ns=5, stop_fen=110, minimum=10), ""),
    ],
)
def test_the_first_question_that_fails_refuses(entered: Enter, code: str) -> None:
    story = Story(lot=10, tick_fen=5, collar_bp=1_400, reference_fen=100).opened(buy("old", 10, 90))
    assert story.after(entered)[0] == (Refused(entered.order, code) if code else Entered("n"))


@pytest.mark.parametrize(
    ("entered", "taken"),
    [
        (buy("b", 1, 100), True),
        (buy("b", 1, 100, time_in_force="gtd", expires_ns=9), True),
        (buy("b", 1, 100, time_in_force="ioc"), False),
        (buy("b", 1, 0, time_in_force="ioc"), False),
        (buy("b", 1, 100, post_only=True), False),
        (buy("b", 1, 100, minimum=1), False),
        (buy("b", 1, 100, all_or_none=True), False),
        (buy("b", 1, 100, all_or_none=True, stop_fen=100), True),
        (buy("b", 1, 0, time_in_force="ioc", stop_fen=100), True),
    ],
)
def test_before_the_opening_only_what_lasts_is_taken(entered: Enter, taken: bool) -> None:
    story = Story()
    assert story.after(entered) == [Refused("b", "phase")]  # a book begins closed
    expected: Event = Entered("b") if taken else Refused("b", "phase")
    assert story.after(Move("pre_open"), entered) == [expected]
    assert story.after(Cancel("b"), Move("call_auction"), entered) == [expected]
    assert story.after(Move("halted"), replace(entered, order="c")) == [Refused("c", "phase")]


def test_forbidden_pairs_are_passed_over_and_keep_their_places() -> None:
    story = Story(apart=(("b", "s1"),)).opened(sell("s1", 2, 100), sell("s2", 2, 100))
    assert story.after(buy("b", 3, 100)) == [Entered("b"), Filled("b", "s2", "s2", 100, 2)]
    assert story.after(buy("c", 1, 100)) == [Entered("c"), Filled("c", "s1", "s1", 100, 1)]
    assert story.rests() == [("b", 1), ("s1", 1)]


def test_what_clearing_refuses_stays_barred_and_the_taker_goes_on() -> None:
    story = Story(("b", "s1")).opened(sell("s1", 2, 100), sell("s2", 2, 101))
    assert story.after(buy("b", 3, 101)) == [
        Entered("b"),
        Barred("b", "s1"),
        Filled("b", "s2", "s2", 101, 2),
    ]
    assert story.after(Replace("b", 9, 101)) == [Replaced("b", 101, 7, False)]  # not asked again
    assert story.after(Cancel("b"), buy("b", 1, 100)) == [Entered("b"), Barred("b", "s1")]  # another order


@pytest.mark.parametrize(
    ("mode", "events", "left"),
    [
        ("cancel_newest", [Closed("n", "self_trade", 5)], [("old", 3), ("s", 9)]),
        ("cancel_oldest", [Closed("old", "self_trade", 3), Filled("n", "s", "s", 100, 5)], [("s", 4)]),
        ("cancel_both", [Closed("old", "self_trade", 3), Closed("n", "self_trade", 5)], [("s", 9)]),
        (
            "decrement",
            [
                Reduced("old", 3),
                Reduced("n", 3),
                Closed("old", "self_trade", 0),
                Filled("n", "s", "s", 100, 2),
            ],
            [("s", 7)],
        ),
    ],
)
def test_one_owner_does_not_trade_with_itself(
    mode: str, events: list[Event], left: list[tuple[str, int]]
) -> None:
    story = Story().opened(sell("old", 3, 100, "house"), sell("s", 9, 100))
    assert story.after(buy("n", 5, 100, "house", self_trade=mode)) == [Entered("n"), *events]
    assert story.rests() == left


def test_decrement_counts_hidden_parts_and_takes_them_first() -> None:
    story = Story().opened(sell("ice", 12, 100, "house", display=4))
    assert story.after(buy("n", 5, 100, "house", self_trade="decrement")) == [
        Entered("n"),
        Reduced("ice", 5),
        Reduced("n", 5),
        Closed("n", "self_trade", 0),
    ]
    assert story.book.resting() == [("ice", SELL, 100, 7, 4)]
    story = Story().opened(sell("aon", 5, 100, "house", all_or_none=True))
    assert story.after(buy("n", 5, 100, "house", self_trade="decrement")) == [
        Entered("n"),
        Closed("aon", "self_trade", 5),
    ]


def test_post_only_never_takes() -> None:
    story = Story(apart=(("p", "s"),)).opened(sell("s", 1, 100))
    assert story.after(buy("p", 1, 100, post_only=True)) == [Entered("p")]  # kept apart from what it crosses
    assert story.after(buy("q", 1, 100, post_only=True)) == [Entered("q"), Closed("q", "post_only", 1)]
    assert story.after(buy("r", 1, 99, post_only=True)) == [Entered("r")]
    assert story.after(sell("o", 1, 99, "r", post_only=True)) == [Entered("o"), Closed("o", "post_only", 1)]


def test_whole_or_not_counts_lawful_counterparties_only() -> None:
    story = Story(apart=(("f", "s1"), ("m", "s1"), ("a", "s1"))).opened(
        sell("s1", 5, 100), sell("s2", 5, 100)
    )
    assert story.after(buy("f", 6, 100, time_in_force="fok")) == [Entered("f"), Closed("f", "fok", 6)]
    assert story.after(buy("m", 9, 100, minimum=6)) == [Entered("m"), Closed("m", "minimum_quantity", 9)]
    whole = buy("a", 6, 100, all_or_none=True)
    now = buy("a", 6, 100, all_or_none=True, time_in_force="ioc")
    assert story.after(now) == [Entered("a"), Closed("a", "all_or_none", 6)]
    assert story.after(whole) == [Entered("a")]
    assert story.after(buy("m", 9, 100, minimum=5)) == [Entered("m"), Filled("m", "s2", "s2", 100, 5)]
    assert story.rests() == [("a", 6), ("m", 4), ("s1", 5)]


def test_the_count_acts_as_self_trade_prevention_would() -> None:
    makers = (sell("s1", 2, 100), sell("own", 2, 100, "house"), sell("s2", 4, 100))
    for mode, filled in (("cancel_newest", 2), ("cancel_oldest", 6), ("cancel_both", 2), ("decrement", 4)):
        for wanted in range(1, 8):
            story = Story().opened(*makers)
            asked = {"time_in_force": "fok", "self_trade": mode}
            closed = Closed("f", "fok", wanted) in story.after(buy("f", wanted, 100, "house", **asked))
            assert closed == (wanted > (2 if mode == "decrement" else filled)), (mode, wanted)
            story = Story().opened(*makers)
            events = story.after(buy("m", 6, 100, "house", minimum=wanted, self_trade=mode))[1:]
            if wanted <= 6:
                assert (Closed("m", "minimum_quantity", 6) in events) == (wanted > filled), (mode, wanted)


def test_an_iceberg_shows_its_next_part_behind_the_others() -> None:
    story = Story().opened(sell("ice", 7, 100, display=3), sell("s", 2, 100))
    assert story.after(buy("b", 9, 100)) == [
        Entered("b"),
        Filled("b", "ice", "ice", 100, 3),
        Refilled("ice", 3),
        Filled("b", "s", "s", 100, 2),
        Filled("b", "ice", "ice", 100, 3),
        Refilled("ice", 1),
        Filled("b", "ice", "ice", 100, 1),
    ]


def test_an_all_or_none_waits_until_it_is_filled_whole() -> None:
    story = Story().opened(buy("a", 8, 100, all_or_none=True), buy("b", 2, 99))
    assert story.after(sell("s1", 5, 100)) == [Entered("s1")]  # the all-or-none is larger: passed over
    assert story.after(sell("s2", 4, 98)) == [
        Entered("s2"),
        Filled("b", "s2", "b", 99, 2),
    ]  # 5 + 2 are not 8
    assert story.after(sell("s3", 1, 100)) == [
        Entered("s3"),
        CameIn("a", "all_or_none"),
        Filled("a", "s2", "s2", 98, 2),
        Filled("a", "s1", "s1", 100, 5),
        Filled("a", "s3", "s3", 100, 1),
    ]


def test_an_all_or_none_that_becomes_smaller_is_tried_by_itself() -> None:
    story = Story().opened(buy("a", 8, 100, all_or_none=True), sell("s", 5, 100))
    assert story.after(Replace("a", 5, 100)) == [
        Replaced("a", 100, 5, True),
        CameIn("a", "all_or_none"),
        Filled("a", "s", "s", 100, 5),
    ]


def test_an_all_or_none_is_tried_by_itself_only_where_it_becomes_smaller() -> None:
    story = Story().opened(
        sell("own", 2, 100, "house"), sell("s", 5, 100), buy("a", 5, 100, "house", all_or_none=True)
    )
    assert story.after(Cancel("own"), Replace("a", 5, 100)) == [Replaced("a", 100, 5, True)]
    assert story.after(Replace("a", 4, 100)) == [
        Replaced("a", 100, 4, True),
        CameIn("a", "all_or_none"),
        Filled("a", "s", "s", 100, 4),
    ]


def test_clearing_may_break_what_was_counted_whole() -> None:
    story = Story(("f", "s2"), ("a", "s2")).opened(sell("s1", 2, 100), sell("s2", 2, 100))
    assert story.after(buy("f", 4, 100, time_in_force="fok")) == [
        Entered("f"),
        Filled("f", "s1", "s1", 100, 2),
        Barred("f", "s2"),
        Closed("f", "fok", 2),
    ]
    assert story.after(sell("s3", 2, 99), buy("a", 4, 100, all_or_none=True)) == [
        Entered("a"),
        Filled("a", "s3", "s3", 99, 2),
        Barred("a", "s2"),
        Closed("a", "all_or_none", 2),
    ]


def test_stops_queue_and_each_is_done_before_the_next() -> None:
    story = Story().opened(
        buy("t1", 1, 0, time_in_force="gtc", stop_fen=101),
        buy("t2", 1, 103, stop_fen=100),
        sell("t3", 1, 0, time_in_force="ioc", stop_fen=100),
        sell("s1", 1, 100),
        sell("s2", 1, 101),
        sell("s3", 2, 102),
        buy("d", 1, 90),
    )
    assert story.book.waiting() == [("t2", BUY, 103, 100, 1), ("t1", BUY, 0, 101, 1), ("t3", SELL, 0, 100, 1)]
    assert story.after(buy("b", 1, 100)) == [
        Entered("b"),
        Filled("b", "s1", "s1", 100, 1),
        CameIn("t2", "stop"),  # elected with t3; its fill elects t1, behind t3
        Filled("t2", "s2", "s2", 101, 1),
        CameIn("t3", "stop"),
        Filled("d", "t3", "d", 90, 1),
        CameIn("t1", "stop"),
        Filled("t1", "s3", "s3", 102, 1),
    ]


def test_a_stop_that_is_reached_comes_in_at_once() -> None:
    story = Story(reference_fen=100).opened(sell("early", 1, 90, stop_fen=100))
    assert story.book.waiting()  # before the first trade no stop is reached
    story = Story().opened(sell("s", 2, 100), buy("b", 1, 100))
    assert story.after(buy("t", 3, 0, time_in_force="day", expires_ns=5, stop_fen=100, minimum=2)) == [
        Entered("t"),
        CameIn("t", "stop"),
        Closed("t", "minimum_quantity", 3),
    ]
    assert story.after(buy("t", 3, 0, time_in_force="fok", stop_fen=99)) == [
        Entered("t"),
        CameIn("t", "stop"),
        Filled("t", "s", "s", 100, 1),
        Closed("t", "ioc", 2),
    ]


def test_replace_keeps_the_place_of_a_smaller_quantity_only() -> None:
    story = Story().opened(buy("b1", 5, 100), buy("b2", 5, 100), sell("s", 2, 100))
    assert story.after(Replace("b1", 5, 100)) == [Replaced("b1", 100, 3, True)]
    assert story.after(Replace("b1", 4, 100)) == [Replaced("b1", 100, 2, True)]
    assert story.rests() == [("b1", 2), ("b2", 5)]
    assert story.after(Replace("b1", 2, 100)) == [Refused("b1", "too_late")]
    assert story.after(Replace("b1", 5, 100)) == [Replaced("b1", 100, 3, False)]
    assert story.rests() == [("b2", 5), ("b1", 3)]
    assert story.after(sell("s2", 1, 102), Replace("b2", 3, 103)) == [
        Replaced("b2", 103, 3, False),
        Filled("b2", "s2", "s2", 102, 1),
    ]
    assert story.after(Replace("b3", 1, 1)) == [Refused("b3", "unknown")]
    assert story.after(Replace("b1", 1, 0)) == [Refused("b1", "conditions")]


def test_an_iceberg_is_replaced_at_its_place_with_the_display_it_had() -> None:
    story = Story().opened(buy("ice", 12, 100, display=5), buy("b", 1, 100), sell("s", 2, 100))
    assert story.after(Replace("ice", 11, 100, display=5)) == [Replaced("ice", 100, 9, True)]
    assert story.book.resting()[0] == ("ice", BUY, 100, 9, 3)
    assert story.after(Replace("ice", 4, 100, display=5)) == [Replaced("ice", 100, 2, True)]
    assert story.book.resting()[0] == ("ice", BUY, 100, 2, 2)
    assert story.after(Replace("ice", 4, 100, display=4)) == [Replaced("ice", 100, 2, False)]


def test_a_waiting_stop_is_replaced_and_may_come_in() -> None:
    story = Story().opened(sell("s", 3, 100), buy("b", 1, 100))
    story.taken(buy("t", 2, 0, time_in_force="gtc", stop_fen=105))
    assert story.after(Replace("t", 2, 100)) == [Refused("t", "conditions")]  # it has no price and gets none
    assert story.after(Replace("t", 1, 0)) == [Replaced("t", 0, 1, True)]
    assert story.after(Replace("t", 1, 0, stop_fen=104)) == [Replaced("t", 0, 1, False)]
    assert story.after(Replace("t", 2, 0, stop_fen=100)) == [
        Replaced("t", 0, 2, False),
        CameIn("t", "stop"),
        Filled("t", "s", "s", 100, 2),
    ]


def test_many_are_closed_in_the_order_in_which_they_were_entered() -> None:
    story = Story().opened(
        buy("b1", 1, 100, "p", session="x"),
        sell("s1", 1, 110, "p", time_in_force="gtd", expires_ns=9),
        buy("b2", 1, 90, "p", session="x"),
        buy("t", 1, 100, "p", stop_fen=120, time_in_force="day", expires_ns=7),
        buy("q", 1, 100, "q", time_in_force="gtd", expires_ns=9, session="y"),
    )
    story.after(Replace("b1", 2, 100))
    assert story.after(Expire(8)) == [Closed("t", "expired", 1)]
    assert story.after(MassCancel("p", SELL)) == [Closed("s1", "cancelled", 1)]
    assert story.after(MassCancel("p", SELL)) == []
    assert story.after(Move("halted"), Disconnect("x")) == [
        Closed("b1", "disconnected", 2),
        Closed("b2", "disconnected", 1),
    ]
    assert story.after(Disconnect("")) == []
    assert story.after(Expire(9)) == [Closed("q", "expired", 1)]


def test_in_a_call_auction_nothing_is_withdrawn() -> None:
    story = Story()
    story.after(Move("pre_open"), buy("b", 1, 100, session="x"), Move("call_auction"))
    assert story.after(Cancel("b")) == story.after(Replace("b", 1, 90)) == [Refused("b", "phase")]
    assert story.after(MassCancel("b")) == [Refused("", "phase")]
    assert story.after(Disconnect("x")) == [Closed("b", "disconnected", 1)]


def test_a_halt_goes_back_to_where_it_began() -> None:
    story = Story().opened()
    assert story.after(Move("pre_open")) == [Refused("", "phase")]
    assert story.after(Move("continuous")) == [Refused("", "phase")]
    assert story.after(Move("resume")) == [Refused("", "phase")]
    assert story.after(buy("b", 1, 1), Move("halted")) == [Moved("halted")]
    assert story.after(Move("halted")) == story.after(Move("closed")) == [Refused("", "phase")]
    assert story.after(Cancel("b")) == [Closed("b", "cancelled", 1)]
    assert story.after(Move("resume")) == [Moved("continuous")]
    story.after(Move("call_auction"), sell("s", 1, 100), buy("c", 1, 100), Move("halted"))
    assert story.after(Move("resume")) == [Moved("call_auction")]  # nothing was uncrossed
    assert story.after(Move("closed")) == [
        Moved("closed"),
        Uncrossed(100, 1, 0),
        Filled("c", "s", "", 100, 1),
    ]


def called(
    *commands: Command, apart: tuple[tuple[str, str], ...] = (), reference_fen: int = 0
) -> list[Event]:
    """What the auction over `commands` brings about."""
    story = Story(apart=apart, reference_fen=reference_fen)
    return story.after(Move("pre_open"), *commands, Move("call_auction"), Move("closed"))[1:]


def test_the_auction_price_at_its_ties() -> None:
    assert called(buy("b", 1, 99), sell("s", 1, 100)) == [Uncrossed(0, 0, 0)]
    # 1. most quantity: 101 trades 7, 100 trades 5, 102 trades 4
    most = (buy("b1", 4, 102), buy("b2", 3, 101), sell("s1", 5, 100), sell("s2", 4, 101))
    assert called(*most)[0] == Uncrossed(101, 7, 2)
    # 2. least surplus: 5 trade anywhere from 100 to 102, at 100 there is demand for 6
    surplus = (buy("b1", 5, 102), buy("b2", 1, 100), sell("s1", 5, 100), sell("s2", 9, 103))
    assert called(*surplus, reference_fen=100)[0] == Uncrossed(101, 5, 0)
    # 3. nearest the reference, 4. of two equally near the lower
    flat = (buy("b", 5, 104), sell("s", 5, 100))
    for reference_fen, price_fen in ((0, 100), (101, 101), (104, 104), (200, 104)):
        assert called(*flat, reference_fen=reference_fen)[0] == Uncrossed(price_fen, 5, 0)
    # at 100 and 104 there are 5 and a surplus of 1, between them only 5 bought for 6 sold less one
    ends = (buy("b1", 5, 104), buy("b2", 1, 100), sell("s1", 5, 100), sell("s2", 1, 101))
    assert called(*ends, reference_fen=103)[0] == Uncrossed(103, 5, 1)


def test_of_two_prices_equally_near_the_reference_the_lower() -> None:
    # 2 trade everywhere; the surplus is 1 at 100 and 102, and 2 at 101
    orders = (buy("b1", 2, 102), buy("b2", 1, 100), sell("s1", 2, 100), sell("s2", 2, 101))
    assert called(*orders, reference_fen=101)[0] == Uncrossed(100, 2, 1)
    orders = (buy("b1", 2, 102), buy("b2", 2, 101), sell("s1", 2, 100), sell("s2", 1, 102))
    events = called(*orders, reference_fen=101)
    assert events[0] == Uncrossed(102, 2, 1)


def test_the_auction_passes_forbidden_pairs_over_and_its_price_stands() -> None:
    assert called(
        buy("b1", 5, 101),
        buy("b2", 5, 101, "house"),
        sell("s1", 5, 100),
        sell("s2", 5, 100, "house"),
        apart=(("b1", "s1"),),
        reference_fen=101,
    ) == [
        Uncrossed(101, 10, 0),
        Filled("b1", "s2", "", 101, 5),
        Filled("b2", "s1", "", 101, 5),
    ]
    assert called(buy("b", 1, 100, "house"), sell("s", 1, 100, "house")) == [Uncrossed(100, 1, 0)]


def test_after_the_auction_icebergs_show_anew_and_stops_come_in_at_last() -> None:
    story = Story(("b", "s2"))
    story.after(
        Move("pre_open"),
        sell("s1", 2, 98),
        sell("s2", 1, 99),
        sell("ice", 9, 100, display=2),
        buy("b", 5, 100),
        buy("t", 1, 0, time_in_force="ioc", stop_fen=100),
        Move("call_auction"),
    )
    assert story.after(Move("continuous")) == [
        Moved("continuous"),
        Uncrossed(100, 5, 7),
        Filled("b", "s1", "", 100, 2),
        Barred("b", "s2"),
        Filled("b", "ice", "", 100, 3),
        Refilled("ice", 2),
        CameIn("t", "stop"),
        Filled("t", "s2", "s2", 99, 1),
    ]


def test_into_continuous_what_crosses_comes_in_by_its_time() -> None:
    story = Story(apart=(("b1", "s"),))
    story.after(Move("pre_open"), buy("b1", 2, 101), sell("s", 3, 100), buy("b2", 2, 100), Move("closed"))
    assert story.after(CONTINUOUS) == [
        Moved("continuous"),
        CameIn("s", "crossed"),
        Filled("b2", "s", "b2", 100, 2),
    ]
    assert story.rests() == [("b1", 2), ("s", 1)]


def test_a_market_order_takes_within_the_collar_that_was_when_it_came_in() -> None:
    story = Story(collar_bp=1_000, reference_fen=100).opened(
        sell("far", 1, 110), sell("s", 1, 95), buy("b", 1, 95)
    )
    story.taken(sell("near", 1, 104))  # 95 and a tenth, rounded down: 104
    assert story.after(buy("m", 9, 0, time_in_force="ioc")) == [
        Entered("m"),
        Filled("m", "near", "near", 104, 1),  # from here the collar would reach 114
        Closed("m", "ioc", 8),
    ]
    assert story.rests() == [("far", 1)]
