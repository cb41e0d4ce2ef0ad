"""The tables of a trade's and an entitlement's life, read as a lawyer would: who is late, who is paid."""

from typing import get_args

import pytest

from clearing.delivery import (
    ENTITLEMENT_LIFE,
    TRADE_LIFE,
    TRADE_OPENING,
    WHEN_LATE,
    EntitlementState,
    EntitlementStep,
    TradeState,
    TradeStep,
)


def walk(verdict: str, steps: str) -> str | None:
    """The state a trade of this verdict ends in after the steps; None where one of them cannot happen."""
    state: TradeState | None = TRADE_OPENING[verdict]
    for step in steps.split():
        assert state is not None, "a step after one that could not happen"
        state = TRADE_LIFE.get((state, step))  # type: ignore[arg-type]
    return state


@pytest.mark.parametrize(
    ("verdict", "steps", "ends"),
    [
        ("allow", "", "settled"),
        ("allow", "deliver accept", "completed"),
        ("allow", "deliver silence", "completed"),
        ("allow", "miss", "refunded"),
        ("allow", "deliver reject redeliver accept", "completed"),
        ("allow", "deliver reject redeliver silence", "completed"),
        ("allow", "deliver reject redeliver reject_again", "refunded"),
        ("allow", "deliver reject miss", "refunded"),
        ("allow", "hand_over", "completed"),
        ("hold", "cure deliver accept", "completed"),
        ("hold", "expire", "refused"),
        ("hold", "refuse", "refused"),
        ("allow", "agree", "refunded"),
        ("allow", "deliver agree", "refunded"),
        ("allow", "deliver reject agree", "refunded"),
        ("allow", "deliver settle", "completed"),
        ("allow", "deliver reject redeliver settle", "completed"),
        ("allow", "stop", "refunded"),
        ("allow", "deliver postpone postpone accept", "completed"),
        ("allow", "deliver postpone stop", "refunded"),
        ("allow", "deliver reject stop", "refunded"),
        ("allow", "deliver reject redeliver postpone silence", "completed"),
        ("reject", "", "refused"),
        ("indeterminate", "", "refused"),
        # what cannot happen
        ("hold", "deliver", None),
        ("allow", "accept", None),
        ("allow", "settle", None),
        ("hold", "agree", None),
        ("hold", "stop", None),
        ("allow", "postpone", None),
        ("allow", "deliver accept agree", None),
        ("allow", "deliver deliver", None),
        ("allow", "deliver miss", None),
        ("allow", "deliver reject accept", None),
        ("allow", "deliver reject redeliver reject", None),
        ("allow", "deliver accept reject", None),
        ("allow", "miss deliver", None),
        ("reject", "cure", None),
        ("indeterminate", "cure", None),
    ],
)
def test_the_life_of_a_trade(verdict: str, steps: str, ends: str | None) -> None:
    assert walk(verdict, steps) == ends


def test_money_in_escrow_leaves_it_only_to_one_side() -> None:
    """From settled on, a life ends completed (merchant paid) or refunded (buyer paid)."""
    reached: dict[str, None] = {"settled": None}
    for _ in TRADE_LIFE:
        for (state, _), following in TRADE_LIFE.items():
            if state in reached:
                reached[following] = None
    assert sorted(state for state in reached if state not in WHEN_LATE) == ["completed", "refunded"]


def test_nothing_leaves_a_final_state_and_every_other_waits_until_a_date() -> None:
    for state in get_args(TradeState):
        leaves = [step for (before, step) in TRADE_LIFE if before == state]
        assert (state not in WHEN_LATE) == (not leaves)
        if leaves:
            assert (state, WHEN_LATE[state]) in TRADE_LIFE


def test_every_state_and_step_is_in_its_table() -> None:
    assert sorted(dict.fromkeys(step for _, step in TRADE_LIFE)) == sorted(get_args(TradeStep))
    named = [*TRADE_OPENING.values(), *TRADE_LIFE.values()]
    assert sorted(dict.fromkeys(named)) == sorted(get_args(TradeState))
    assert sorted(dict.fromkeys(step for _, step in ENTITLEMENT_LIFE)) == sorted(get_args(EntitlementStep))
    rights = ["granted", *ENTITLEMENT_LIFE.values()]
    assert sorted(dict.fromkeys(rights)) == sorted(get_args(EntitlementState))
