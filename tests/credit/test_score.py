"""The credit model: known figures, and the properties that hold for every log."""

from collections.abc import Iterable
from math import log10
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit.conduct import KINDS, Conduct, ConductKind, order_weight_micro
from credit.score import DAY_NS, HISTORY_FEN, RANK, WEIGHTS, Log, Rating, Subject, Tie, fold, score
from tests.credit.register import START_NS, fact

SUBJECT = Subject("merchant", verified=True)
SETTLED = Tie("verified", HISTORY_FEN, HISTORY_FEN)
TIES = {"sister": Tie("same_controller"), "buyer": SETTLED, "young": Tie("verified")}
COUNTERPARTIES = ("buyer", "young", "stranger", "sister", "", *(f"buyer-{number}" for number in range(30)))
ALL_TIES = TIES | dict.fromkeys(COUNTERPARTIES[5:], SETTLED)
BAD = tuple(kind for kind, row in KINDS.items() if row.effect not in ("good", "correction"))


def log_of(facts: Iterable[Conduct]) -> Log:
    log = Log()
    for conduct in facts:
        fold(log, conduct)
    return log


def rate(facts: Iterable[Conduct], day: float = 200) -> Rating:
    return score(log_of(facts), SUBJECT, ALL_TIES, START_NS + int(day * DAY_NS))


def facts_of(
    kinds: Iterable[ConductKind], counterparties: Iterable[str] = COUNTERPARTIES
) -> st.SearchStrategy[Conduct]:
    return st.builds(
        Conduct,
        kind=st.sampled_from(list(kinds)),
        participant=st.just("merchant"),
        counterparty=st.sampled_from(list(counterparties)),
        amount_fen=st.one_of(st.integers(0, 3_000_000), st.integers(0, 10**12)),
        at_ns=st.integers(0, 1_500 * DAY_NS).map(lambda after_ns: START_NS + after_ns),
        reference=st.sampled_from(["trade-1", "trade-2", "trade-3", "trade-4"]),
    )


LOGS = st.lists(facts_of(get_args(ConductKind)), max_size=40)
ONE_WAY_LOGS = st.lists(facts_of([kind for kind in KINDS if kind != "completed_purchase"]), max_size=40)
DAYS = st.floats(0, 2_000, allow_nan=False)


# --- known figures ---


def test_a_newcomer_stands_at_631_with_m() -> None:
    rating = rate([])
    assert (rating.score, rating.grade) == (631, "M")
    by_dimension = [
        (reason.dimension, reason.points) for reason in rating.reasons if reason.dimension != "gate"
    ]
    assert by_dimension == [
        ("fulfilment", 129),
        ("settlement", 88),
        ("quality", 82),
        ("disputes", 52),
        ("compliance", 160),
        ("identity", 120),
        ("tenure", 0),
    ]


def test_the_unverified_lack_the_identity_points_and_nothing_else() -> None:
    rating = score(Log(), Subject("merchant", verified=False), {}, START_NS)
    assert (rating.score, rating.grade) == (511, "M")


def test_weights_of_orders() -> None:
    assert [order_weight_micro(fen) for fen in (-1, 0, 1, 500_000, 1_000_000)] == [
        0,
        0,
        1,
        500_000,
        1_000_000,
    ]
    assert order_weight_micro(10_000_000) == 2_000_000
    assert order_weight_micro(100_000_000) == order_weight_micro(10**15) == 3_000_000
    assert order_weight_micro(99_999_999) <= 3_000_000


@given(st.integers(1_000_001, 99_999_999))
def test_the_weight_of_a_large_order_is_its_logarithm_to_the_millionth(amount_fen: int) -> None:
    weight = order_weight_micro(amount_fen)
    assert abs(weight - (1_000_000 + 1_000_000 * log10(amount_fen / 1_000_000))) < 1
    assert order_weight_micro(amount_fen - 1) <= weight <= order_weight_micro(amount_fen + 1)


def test_weights_are_the_same_on_every_machine() -> None:
    """They are part of the state, whose hash a replay elsewhere must find again."""
    amounts = (1_000_001, 1_234_567, 2_097_152, 5_000_000, 31_415_926, 99_999_999)
    assert [order_weight_micro(fen) for fen in amounts] == [
        1_000_000, 1_091_515, 1_321_630, 1_698_970, 2_497_150, 3_000_000,
    ]  # fmt: skip


@given(st.integers(0, 2 * 10**8), st.integers(0, 10**6))
def test_a_larger_order_never_weighs_less(amount_fen: int, more_fen: int) -> None:
    assert order_weight_micro(amount_fen) <= order_weight_micro(amount_fen + more_fen)


def test_the_weights_are_a_thousand_points() -> None:
    assert sum(WEIGHTS.values()) == 1000


def test_good_conduct_counts_from_the_next_midnight_and_faults_at_once() -> None:
    sale, late = fact("completed_sale", day=10.5), fact("delivered_late", day=10.5)
    assert rate([sale], 10.9).score == 631
    assert rate([sale], 11).score > 631
    assert rate([late], 10.4).score == 631
    assert rate([late], 10.5).score < 631


def test_every_fault_is_a_reason_with_event_clause_and_end() -> None:
    for kind in BAD:
        reason = next(
            line for line in rate([fact(kind)], 1).reasons if line.references and line.dimension != "gate"
        )
        assert (reason.references, reason.zh.startswith(KINDS[kind].zh)) == (("trade-1",), True)
        assert reason.clause_zh
        assert reason.clause_en
        assert (reason.fades_at_ns == 0) == KINDS[kind].must_correct
        assert reason.points < 0 or KINDS[kind].effect == "note"


def test_a_fault_is_gone_at_the_instant_its_reason_names() -> None:
    for kind in BAD:
        facts = [fact(kind), fact("corrected", day=1)]
        ends_ns = next(line for line in rate(facts, 2).reasons if line.references).fades_at_ns
        before = score(log_of(facts), SUBJECT, TIES, ends_ns - 1)
        after = score(log_of(facts), SUBJECT, TIES, ends_ns)
        assert any(line.references for line in before.reasons)
        assert not any(line.references for line in after.reasons)
        assert after.score == 631


@pytest.mark.parametrize(("repeats", "taken"), [(1, 8), (2, 20), (3, 38), (4, 62), (5, 86)])
def test_minor_breaches_cost_more_when_repeated(repeats: int, taken: int) -> None:
    facts = [
        fact("refused_unlawful_order", day=number, reference=f"order-{number}") for number in range(repeats)
    ]
    first_days = [
        score(log_of(facts[: count + 1]), SUBJECT, {}, facts[count].at_ns) for count in range(repeats)
    ]
    newest = [[line for line in rating.reasons if line.references][-1].points for rating in first_days]
    assert -sum(newest) == taken


def test_a_program_that_repeats_one_slip_in_a_day_makes_one_slip() -> None:
    storm = [
        fact("refused_unlawful_order", day=1 + number / 1000, reference=f"o{number}") for number in range(900)
    ]
    assert rate(storm, 2).score == rate(storm[:1], 2).score
    assert len(log_of(storm).faults) == 1


def test_an_uncorrected_fault_does_not_fade_and_a_later_one_needs_its_own_correction() -> None:
    default = fact("payment_default")
    assert rate([default], 1_900).score == rate([default], 1).score
    assert rate([default, fact("corrected", day=3)], 400).score == 631
    again = fact("payment_default", day=5)
    assert rate([default, fact("corrected", day=3), again], 1_900).score < 631


def grown(counterparties: int, orders: int, days: int) -> list[Conduct]:
    return [
        fact("completed_sale", f"buyer-{number}", day=day)
        for number in range(counterparties)
        for day in range(0, days, max(1, days // orders))
    ]


def test_grades_ask_for_counterparties_and_time_beside_points() -> None:
    assert rate(grown(30, 20, 200), 201).grade == "A"
    assert rate(grown(20, 20, 200), 201).grade == "B"
    assert rate(grown(30, 20, 40), 41).grade == "B"
    assert rate(grown(7, 20, 200), 201).grade == "M"
    thin = rate(grown(7, 20, 200), 201)
    assert thin.score >= 680
    assert "7 over 201" in thin.reasons[-1].en


def test_one_late_delivery_is_not_dishonesty() -> None:
    assert rate([fact("delivered_late")], 1).grade == "M"
    assert rate([fact("not_delivered")], 1).grade == "C"


@pytest.mark.parametrize(
    ("faults", "grade"),
    [
        ([fact("data_misuse", day=199)], "D"),
        ([fact("listed_dishonest", day=199)], "D"),
        ([fact("payment_default", day=199)], "C"),
        ([fact("duty_missed", day=150 + number, reference=f"d{number}") for number in range(3)], "C"),
    ],
)
def test_gates_hold_whatever_the_score(faults: list[Conduct], grade: str) -> None:
    good = grown(30, 60, 190)
    assert rate(good).grade == "A"
    rating = rate([*good, *faults])
    assert rating.grade == grade
    if rating.score >= 520:
        assert rating.reasons[-1].dimension == "gate"
        assert rating.reasons[-1].references == tuple(fault.reference for fault in faults)


def test_two_way_flow_earns_nothing() -> None:
    to_and_fro = [fact("completed_sale", day=1), fact("completed_purchase", day=1)]
    assert rate(to_and_fro, 2).score == 631
    assert rate(to_and_fro[:1], 2).score > 631


def test_relations_are_worth_what_they_prove() -> None:
    def earned(counterparty: str) -> int:
        facts = [fact("completed_sale", counterparty, day=number) for number in range(60)]
        return rate(facts, 60).score

    assert earned("sister") == 631 < earned("stranger") < earned("young") < earned("buyer")


def test_growing_with_the_same_few_customers_does_not_sink_a_score() -> None:
    """cm-0.1 let good conduct saturate and bad not: at one slip in fifty, more trade was worse."""

    def trade(times: int) -> list[Conduct]:
        sales = [
            fact("completed_sale", "buyer", number % 50, reference=f"s{number}")
            for number in range(49 * times)
        ]
        slips = [fact("cancelled_sale", "buyer", number, reference=f"c{number}") for number in range(times)]
        return sales + slips

    assert rate(trade(10), 60).score >= rate(trade(1), 60).score


# --- properties that hold for every log ---


@given(LOGS, DAYS, st.randoms(use_true_random=False))
def test_arrival_order_is_irrelevant(facts: list[Conduct], day: float, shuffler: Random) -> None:
    shuffled = list(facts)
    shuffler.shuffle(shuffled)
    assert log_of(shuffled) == log_of(facts)
    assert rate(shuffled, day) == rate(facts, day)


@given(LOGS, DAYS)
def test_reasons_sum_to_the_score_within_bounds(facts: list[Conduct], day: float) -> None:
    rating = rate(facts, day)
    assert sum(reason.points for reason in rating.reasons) == rating.score
    assert 0 <= rating.score <= 1000
    for dimension, weight in WEIGHTS.items():
        points = sum(reason.points for reason in rating.reasons if reason.dimension == dimension)
        assert -1 <= points <= weight + 1


@given(ONE_WAY_LOGS, facts_of(["completed_sale"]), DAYS)
def test_good_never_lowers(facts: list[Conduct], good: Conduct, day: float) -> None:
    before, after = rate(facts, day), rate([*facts, good], day)
    assert after.score >= before.score
    assert RANK[after.grade] >= RANK[before.grade]


@given(LOGS, facts_of(BAD), DAYS)
def test_bad_never_raises(facts: list[Conduct], bad: Conduct, day: float) -> None:
    before, after = rate(facts, day), rate([*facts, bad], day)
    assert after.score <= before.score
    assert RANK[after.grade] <= RANK[before.grade]


@given(LOGS, facts_of(["corrected"]), DAYS)
def test_repair_never_lowers(facts: list[Conduct], repair: Conduct, day: float) -> None:
    before, after = rate(facts, day), rate([*facts, repair], day)
    assert after.score >= before.score
    assert RANK[after.grade] >= RANK[before.grade]


def test_slips_weigh_the_same_whatever_was_dealt_with_oneself() -> None:
    slips = [fact("rejected_delivery", "sister", day=1, reference=f"slip-{number}") for number in range(9)]
    orders = [fact("completed_sale", "sister", day=1, reference=f"order-{number}") for number in range(40)]
    assert rate([*slips, *orders], 9).score == rate(slips, 9).score


@given(
    LOGS,
    st.lists(facts_of(["completed_sale", "completed_purchase"], ["sister", "merchant"]), max_size=9),
    DAYS,
)
def test_self_dealing_earns_nothing(facts: list[Conduct], own: list[Conduct], day: float) -> None:
    ties = ALL_TIES | {"merchant": Tie("same_controller")}
    as_of_ns = START_NS + int(day * DAY_NS)
    before = score(log_of(facts), SUBJECT, ties, as_of_ns)
    after = score(log_of([*facts, *own]), SUBJECT, ties, as_of_ns)
    assert after.score <= before.score
    assert RANK[after.grade] <= RANK[before.grade]
    if not any(slip.counterparty in ("sister", "merchant") for slip in facts):
        assert after.score == before.score


@given(LOGS, LOGS, DAYS)
def test_a_rating_as_of_an_instant_does_not_change_later(
    facts: list[Conduct], more: list[Conduct], day: float
) -> None:
    as_of_ns = START_NS + int(day * DAY_NS)
    later = [conduct for conduct in more if conduct.at_ns > as_of_ns]
    assert rate([*facts, *later], day) == rate(facts, day)


@given(LOGS, DAYS)
def test_between_two_midnights_only_faults_move_a_rating(facts: list[Conduct], day: float) -> None:
    good = [conduct for conduct in facts if KINDS[conduct.kind].effect == "good"]
    whole = rate(good, int(day))
    assert (whole.score, whole.reasons) == (
        rate(good, int(day) + 0.99).score,
        rate(good, int(day) + 0.99).reasons,
    )


def test_a_small_failed_delivery_is_still_a_whole_fault() -> None:
    small, whole = fact("not_delivered", amount_fen=100), fact("not_delivered")
    assert rate([small], 1).score == rate([whole], 1).score < 631


def test_three_general_breaches_bind_for_ninety_days_only() -> None:
    facts = [fact("duty_missed", day=100 + number, reference=f"d{number}") for number in range(3)]
    repaired = [fact("corrected", day=110, reference=f"d{number}") for number in range(3)]
    rating_within = rate([*grown(30, 100, 180), *facts, *repaired], 185)
    rating_past = rate([*grown(30, 100, 180), *facts, *repaired], 200)
    assert rating_within.reasons[-1].en.startswith("3 general breaches")
    assert not any(reason.en.startswith("3 general") for reason in rating_past.reasons)


def test_a_breach_is_a_repeat_within_a_year_only() -> None:
    first = fact("refused_unlawful_order", day=0, reference="o0")
    newest = [
        rate([first, fact("refused_unlawful_order", day=day, reference="o1")], day) for day in (364, 365)
    ]
    assert [[line.points for line in rating.reasons if line.references][-1] for rating in newest] == [-12, -8]
