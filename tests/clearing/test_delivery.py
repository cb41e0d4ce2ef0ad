"""The tables of a trade's and an entitlement's life, read as a lawyer would: who is late, who is paid."""

from typing import get_args

import msgspec
import pytest

from clearing.delivery import (
    DAY_NS,
    ENTITLEMENT_FOLLOWS,
    ENTITLEMENT_LIFE,
    TRADE_LIFE,
    TRADE_OPENING,
    WHEN_LATE,
    AddressDelivery,
    Delivery,
    Entitlement,
    EntitlementState,
    EntitlementStep,
    FileDelivery,
    Terms,
    TradeState,
    TradeStep,
    due_ns,
    is_final,
    late_step,
    next_entitlement_state,
    next_trade_state,
)

TERMS = Terms(delivery_days=3, acceptance_days=7, redelivery_days=2)
AT = 1_700_000_000_000_000_000


def walk(verdict: str, steps: str) -> str | None:
    """The state a trade of this verdict ends in after the steps; None where one of them cannot happen."""
    state: TradeState | None = TRADE_OPENING[verdict]
    for step in steps.split():
        assert state is not None, "a step after one that could not happen"
        state = next_trade_state(state, step)  # type: ignore[arg-type]
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
        ("reject", "", "refused"),
        ("indeterminate", "", "refused"),
        # what cannot happen
        ("hold", "deliver", None),
        ("allow", "accept", None),
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
    assert sorted(state for state in reached if is_final(state)) == ["completed", "refunded"]  # type: ignore[arg-type]


def test_nothing_leaves_a_final_state_and_every_other_waits_until_a_date() -> None:
    for state in get_args(TradeState):
        leaves = [step for (before, step) in TRADE_LIFE if before == state]
        assert is_final(state) == (not leaves)
        if leaves:
            assert (state, WHEN_LATE[state]) in TRADE_LIFE


def test_every_state_and_step_is_in_its_table() -> None:
    assert sorted(dict.fromkeys(step for _, step in TRADE_LIFE)) == sorted(get_args(TradeStep))
    named = [*TRADE_OPENING.values(), *TRADE_LIFE.values()]
    assert sorted(dict.fromkeys(named)) == sorted(get_args(TradeState))
    assert sorted(dict.fromkeys(step for _, step in ENTITLEMENT_LIFE)) == sorted(get_args(EntitlementStep))
    rights = ["granted", *ENTITLEMENT_LIFE.values()]
    assert sorted(dict.fromkeys(rights)) == sorted(get_args(EntitlementState))


def test_no_refund_leaves_a_right_behind() -> None:
    """Along every life of a trade its entitlement can follow, and a refunded trade's is revoked."""
    seen: dict[tuple[TradeState, EntitlementState], None] = {}
    waiting: list[tuple[TradeState, EntitlementState]] = [("settled", "granted")]
    while waiting:
        trade, right = waiting.pop()
        if (trade, right) in seen:
            continue
        seen[trade, right] = None
        for (state, step), following in TRADE_LIFE.items():
            if state == trade:
                change = ENTITLEMENT_FOLLOWS.get(step)
                after = right if change is None else next_entitlement_state(right, change)
                assert after is not None, (trade, step, right)
                waiting.append((following, after))
    ends = sorted((trade, right) for trade, right in seen if is_final(trade))
    assert ends == [("completed", "active"), ("completed", "granted"), ("refunded", "revoked")]


@pytest.mark.parametrize(
    ("state", "days"),
    [("settled", 3), ("delivered", 7), ("rejected", 2), ("redelivered", 7)],
)
def test_the_dates_come_from_the_listings_terms(state: TradeState, days: int) -> None:
    assert due_ns(TERMS, state, AT) == AT + days * DAY_NS


@pytest.mark.parametrize("state", ["held", "completed", "refunded", "refused"])
def test_other_states_have_no_date_of_the_terms(state: TradeState) -> None:
    assert due_ns(TERMS, state, AT) is None


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("held", "expire"),
        ("settled", "miss"),
        ("delivered", "silence"),
        ("rejected", "miss"),
        ("completed", None),
    ],
)
def test_the_date_itself_is_in_time_and_the_next_instant_is_late(state: TradeState, step: str | None) -> None:
    assert late_step(state, AT, AT) is None
    assert late_step(state, AT, AT + 1) == step


def test_an_entitlement_opens_only_while_active_and_before_its_end() -> None:
    right = Entitlement("e1", "t1", "l1", "buyer", state="active", until_ns=AT)
    assert right.opens(AT - 1)
    assert not right.opens(AT)
    right.until_ns = 0
    assert right.opens(AT)
    for state in ("granted", "expired", "revoked"):
        right.state = state
        assert not right.opens(AT)


@pytest.mark.parametrize(
    "delivery",
    [
        FileDelivery("0" * 64, 12, "text/csv", "停车场.csv"),
        AddressDelivery("https://api.example.cn/v1/parking"),
    ],
)
def test_both_kinds_of_delivery_survive_the_journal(delivery: Delivery) -> None:
    encoded = msgspec.json.encode(delivery)
    assert msgspec.json.decode(encoded, type=Delivery) == delivery
    assert msgspec.json.decode(encoded)["kind"] in ("file", "address")
