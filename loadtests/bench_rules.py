"""What a verdict costs: the complete rulebook on facts that are there already, in one pass, every reason named.

Nothing is kept from one verdict to the next, so this is the ceiling of what judging costs the venue. CPU time of this
process, the best of several turns; gathering the facts is not in it (`bench_pieces` has the venue's whole).
"""

from collections.abc import Iterator, Sequence
from time import process_time_ns
from typing import Final

from clearing import notrade
from clearing.notrade import Facts, Rulebook
from loadtests.bench_figure import Figure

GOAL_US: Final = 25.0
UNLAWFUL: Final = {
    "product.public_risk": "suspected",
    "auth.status": "none",
    "trade.purpose": "advertising",
    "consent.withdrawn": True,
    "product.pia_done": False,
    "seller.credit_ban": True,
}
"""Of the base `personal`: seven rules of five registers, two of them holds."""


def measure(turns: int, verdicts: int) -> Iterator[Figure]:
    """Lawful trades of each base in turn, then one that breaks seven rules; each beside every second rule."""
    rulebook = notrade.load(complete=True)
    half = Rulebook(list(rulebook.rules.values())[::2])
    lawful = [notrade.read_context(rulebook.context(base, {})) for base in rulebook.bases]
    unlawful = [notrade.read_context(rulebook.context("personal", UNLAWFUL))]
    assert [rulebook.judge(facts).outcome for facts in lawful] == ["allow"] * len(lawful)
    assert len(rulebook.judge(unlawful[0]).violated) == 7
    for name, cases in (("verdict_allow", lawful), ("verdict_seven_reasons", unlawful)):
        yield Figure(
            name=name,
            value=_us_a_verdict(rulebook, cases, turns, verdicts),
            unit="us",
            reference=_us_a_verdict(half, cases, turns, verdicts),
            compared=f"every second of the {len(rulebook.rules)} rules",
            goals=(GOAL_US,),
            better="less",
        )


def _us_a_verdict(rulebook: Rulebook, cases: Sequence[Facts], turns: int, verdicts: int) -> float:
    rounds = max(1, verdicts // len(cases))
    return min(_turn_ns(rulebook, cases, rounds) for _ in range(turns)) / (rounds * len(cases)) / 1_000


def _turn_ns(rulebook: Rulebook, cases: Sequence[Facts], rounds: int) -> int:
    started = process_time_ns()
    for _ in range(rounds):
        for facts in cases:
            rulebook.judge(facts)
    return process_time_ns() - started
