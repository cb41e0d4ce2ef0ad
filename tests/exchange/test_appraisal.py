"""The merchants' contributions: an example reckoned by hand, and what counts for nothing."""

from exchange.appraisal import WEIGHTS_BP, Pair, appraised


def nobody(one: str, two: str) -> bool:
    return False


BIG = (
    Pair("P1", "P7", 9, 1, 900_000, 90_000, ("D1",)),
    Pair("P1", "P8", 10, 0, 100_000, 10_000, ("D1", "D2")),
)
SMALL = (Pair("P2", "P7", 5, 0, 500_000, 0, ("D3",)),)


def test_weights_are_a_whole() -> None:
    assert sum(WEIGHTS_BP.values()) == 10_000


def test_an_example_by_hand() -> None:
    first, second = appraised([*SMALL, *BIG], nobody)
    assert (first.participant, first.turnover_fen, first.buyers, first.products) == ("P1", 1_000_000, 2, 2)
    assert first.parts == {
        "turnover": 10_000, "buyers": 10_000, "products": 10_000, "passed_on": 10_000, "reliability": 9_500,
    }  # fmt: skip
    assert first.contribution == 9_925
    assert second.parts == {
        "turnover": 5_000, "buyers": 5_000, "products": 5_000, "passed_on": 0, "reliability": 10_000,
    }  # fmt: skip
    assert second.contribution == 2_000 + 1_000 + 750 + 0 + 1_500


def test_what_one_hand_does_with_itself_counts_for_nothing() -> None:
    [only] = appraised([*SMALL, *BIG], lambda one, two: one == "P1")
    assert only.participant == "P2"
    assert only.parts["turnover"] == 10_000


def test_who_only_failed_is_worth_nothing() -> None:
    [only] = appraised([Pair("P1", "P7", 0, 3, 0, 0, ())], nobody)
    assert only.contribution == 0
    assert (only.buyers, only.refunded) == (0, 3)
