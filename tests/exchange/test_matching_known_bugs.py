"""Faults that an outside benchmark found in 247 matching engines, each by its name. Both books are asked."""

from exchange.matching.orders import (
    BUY,
    Cancel,
    Closed,
    Entered,
    Filled,
    Move,
    Moved,
    Refused,
    Replace,
    Replaced,
    Uncrossed,
)
from tests.exchange.market_story import Story, buy, sell


def test_trade_at_the_takers_price() -> None:
    story = Story().opened(sell("s", 1, 100))
    assert story.after(buy("b", 1, 105)) == [Entered("b"), Filled("b", "s", "s", 100, 1)]
    story = Story().opened(buy("b", 1, 105))
    assert story.after(sell("s", 1, 100)) == [Entered("s"), Filled("b", "s", "b", 105, 1)]


def test_stale_best_price_after_a_cancel() -> None:
    story = Story().opened(sell("best", 1, 99), sell("next", 1, 101))
    assert story.after(Cancel("best"), buy("low", 1, 100)) == [Entered("low")]
    assert story.after(Cancel("low"), sell("s", 1, 100), buy("b", 2, 101)) == [
        Entered("b"),
        Filled("b", "s", "s", 100, 1),
        Filled("b", "next", "next", 101, 1),
    ]


def test_a_modify_that_does_not_match_again() -> None:
    story = Story().opened(sell("s", 2, 100), buy("b", 1, 98))
    assert story.after(Replace("b", 3, 100)) == [Replaced("b", 100, 3, False), Filled("b", "s", "s", 100, 2)]
    assert story.rests() == [("b", 1)]


def test_a_filled_maker_left_in_the_id_index() -> None:
    story = Story().opened(sell("s", 1, 100), buy("b", 1, 100))
    assert story.after(Cancel("s")) == [Refused("s", "unknown")]
    assert story.after(Replace("s", 5, 100)) == [Refused("s", "unknown")]
    assert story.after(Cancel("b")) == [Refused("b", "unknown")]
    assert story.after(sell("s", 2, 101)) == [Entered("s")]  # the name is free again
    story = Story()
    story.taken(Move("pre_open"), sell("s", 1, 100), buy("b", 1, 100), Move("call_auction"))
    assert story.after(Move("closed")) == [
        Moved("closed"),
        Uncrossed(100, 1, 0),
        Filled("b", "s", "", 100, 1),
    ]
    assert story.after(Cancel("s")) == [Refused("s", "unknown")]


def test_lost_queue_order_after_an_interior_cancel() -> None:
    story = Story().opened(*(sell(f"s{number}", 1, 100) for number in range(5)))
    story.taken(Cancel("s2"), Cancel("s0"), sell("s5", 1, 100), Cancel("s4"))
    assert story.after(buy("b", 9, 100)) == [
        Entered("b"),
        *(Filled("b", name, name, 100, 1) for name in ("s1", "s3", "s5")),
    ]


def test_duplicate_live_id() -> None:
    story = Story().opened(buy("b", 1, 100), buy("t", 1, 100, stop_fen=110))
    assert story.after(buy("b", 1, 99)) == [Refused("b", "duplicate")]
    assert story.after(sell("b", 1, 99)) == [Refused("b", "duplicate")]
    assert story.after(sell("t", 1, 99)) == [Refused("t", "duplicate")]
    assert story.book.resting() == [("b", BUY, 100, 1, 1)]
    assert story.after(Cancel("b")) == [Closed("b", "cancelled", 1)]
    assert story.after(Cancel("b")) == [Refused("b", "unknown")]


def test_zero_quantity_trades() -> None:
    story = Story().opened(sell("ice", 4, 100, display=2), sell("own", 3, 100, "house"), sell("s", 1, 100))
    assert story.after(buy("none", 0, 100)) == [Refused("none", "quantity")]
    assert story.after(buy("less", -1, 100)) == [Refused("less", "quantity")]
    for entered in (buy("b", 5, 100, "house", self_trade="decrement"), buy("c", 9, 100)):
        fills = [event for event in story.after(entered) if isinstance(event, Filled)]
        assert fills
        assert all(fill.quantity > 0 for fill in fills)
    assert story.after(Replace("c", 3, 100)) == [Refused("c", "too_late")]
