"""What holds for every log, of the whole bureau: counterparties have logs too, and what they settled counts.

The same properties of the model alone, with ties that are given, are in test_score.py.
"""

from collections.abc import Iterable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from credit.bureau import Bureau, Remedy
from credit.conduct import KINDS, Conduct, ConductKind
from credit.score import DAY_NS, RANK, WEIGHTS, Rating
from tests.credit.register import START_NS, bureau_of, fact, verified

BUYERS = tuple(f"buyer-{number}" for number in range(12))
OTHERS = ("shop", "mill")
KIN = ("sister", "boss")
BAD: tuple[ConductKind, ...] = tuple(
    kind for kind, row in KINDS.items() if row.effect not in ("good", "correction")
)
FAULTY: tuple[ConductKind, ...] = tuple(
    kind for kind in BAD if KINDS[kind].effect != "note" and not KINDS[kind].once_a_day
)
DAYS = st.integers(0, 1_500)


def market(facts: Iterable[Conduct]) -> Bureau:
    bureau = bureau_of(
        verified("merchant", owner_id="boss"),
        verified("boss"),
        verified("sister", owner_id="boss"),
        *(verified(name) for name in (*BUYERS, *OTHERS)),
    )
    for conduct in facts:
        bureau.record(conduct)
    return bureau


def rated(facts: Iterable[Conduct], day: int) -> Rating:
    """As of the end of a day; the grade alone agrees with the rating."""
    bureau, as_of_ns = market(facts), START_NS + day * DAY_NS
    rating = bureau.rating("merchant", as_of_ns)
    assert bureau.grade("merchant", as_of_ns) == rating.grade
    return rating


def order(seller: str, buyer: str, day: int, amount_fen: int) -> list[Conduct]:
    reference = f"{seller}-{buyer}-{day}-{amount_fen}"
    return [
        fact("completed_sale", buyer, day, amount_fen, reference, participant=seller),
        fact("completed_purchase", seller, day, amount_fen, reference, participant=buyer),
    ]


def orders(sellers: Iterable[str], buyers: Iterable[str]) -> st.SearchStrategy[list[Conduct]]:
    amounts = st.one_of(st.integers(0, 3_000_000), st.integers(0, 2 * 10**8))
    return st.builds(order, st.sampled_from(list(sellers)), st.sampled_from(list(buyers)), DAYS, amounts)


def faults(kinds: Iterable[ConductKind]) -> st.SearchStrategy[list[Conduct]]:
    one = st.builds(
        fact,
        st.sampled_from(list(kinds)),
        st.sampled_from([*BUYERS, ""]),
        DAYS,
        st.integers(0, 10**8),
        st.sampled_from([f"trade-{number}" for number in range(5)]),
    )
    return st.lists(one, min_size=1, max_size=1)


def logs(*kinds_of_facts: st.SearchStrategy[list[Conduct]]) -> st.SearchStrategy[list[Conduct]]:
    return st.lists(st.one_of(*kinds_of_facts), max_size=60).map(
        lambda rows: [one for row in rows for one in row]
    )


SALES = orders(["merchant"], BUYERS)
HISTORY = orders(OTHERS, BUYERS)
MENDING = faults(["corrected", "repaired"])
ONE_WAY = logs(SALES, SALES, HISTORY, faults(BAD), MENDING)
ANY = logs(SALES, HISTORY, orders(BUYERS, ["merchant"]), orders(["merchant"], KIN), faults(BAD), MENDING)


def never_lower(after: Rating, before: Rating) -> None:
    assert after.score >= before.score
    assert RANK[after.grade] >= RANK[before.grade]


@given(ONE_WAY, SALES, DAYS)
def test_a_completed_sale_never_lowers(facts: list[Conduct], sale: list[Conduct], day: int) -> None:
    never_lower(rated([*facts, *sale], day), rated(facts, day))


@given(ONE_WAY, HISTORY, DAYS)
def test_what_a_customer_settles_with_others_never_lowers(
    facts: list[Conduct], history: list[Conduct], day: int
) -> None:
    never_lower(rated([*facts, *history], day), rated(facts, day))


@given(ANY, faults(BAD), DAYS)
def test_bad_conduct_never_raises(facts: list[Conduct], fault: list[Conduct], day: int) -> None:
    never_lower(rated(facts, day), rated([*facts, *fault], day))


@given(ANY, MENDING, DAYS)
def test_correction_and_repair_never_lower(facts: list[Conduct], mending: list[Conduct], day: int) -> None:
    never_lower(rated([*facts, *mending], day), rated(facts, day))


@given(ANY, DAYS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_irrelevant(facts: list[Conduct], day: int, shuffler: Random) -> None:
    shuffled = list(facts)
    shuffler.shuffle(shuffled)
    assert rated(shuffled, day) == rated(facts, day)


@given(logs(SALES, HISTORY, faults(BAD), MENDING), logs(orders(["merchant"], KIN)), DAYS)
def test_self_dealing_earns_nothing(facts: list[Conduct], own: list[Conduct], day: int) -> None:
    with_own, without = rated([*facts, *own], day), rated(facts, day)
    assert (with_own.score, with_own.grade) == (without.score, without.grade)


def upheld(fault: Conduct) -> Remedy:
    return Remedy(
        kind=fault.kind, reference=fault.reference, at_ns=fault.at_ns, contested_ns=fault.at_ns, upheld=True
    )


@given(ANY, faults(FAULTY), DAYS, st.booleans())
def test_an_objection_upheld_equals_absence(
    facts: list[Conduct], fault: list[Conduct], day: int, first: bool
) -> None:
    """For good, as a case does it (`Remedy.upheld`), or left out of one view; wherever in the log the fault stood."""
    [contested] = fault
    kept = [one for one in facts if (one.kind, one.reference) != (contested.kind, contested.reference)]
    bureau = market([*fault, *kept] if first else [*kept, *fault])
    as_of_ns, absent = START_NS + day * DAY_NS, rated(kept, day)
    view = bureau.rating("merchant", as_of_ns, [(contested.kind, contested.reference)])
    assert view.score == absent.score
    if KINDS[contested.kind].severity != "severe" or contested.at_ns > as_of_ns:
        assert view == absent
    else:
        assert RANK[view.grade] == min(RANK["C"], RANK[absent.grade]), (
            "contested severe events stay capped at C"
        )
    bureau.set_remedy("merchant", upheld(contested))
    assert bureau.rating("merchant", as_of_ns) == absent
    assert bureau.grade("merchant", as_of_ns) == absent.grade


@given(ANY, st.sampled_from(FAULTY), DAYS)
def test_the_view_that_restricts_is_never_below_the_one_that_rewards(
    facts: list[Conduct], kind: ConductKind, day: int
) -> None:
    bureau, as_of_ns = market(facts), START_NS + day * DAY_NS
    contested = [(kind, f"trade-{number}") for number in range(5)]
    never_lower(bureau.rating("merchant", as_of_ns, contested), bureau.rating("merchant", as_of_ns))


@given(ANY, DAYS)
def test_reasons_sum_to_the_score_within_bounds_and_say_where_from(facts: list[Conduct], day: int) -> None:
    rating = rated(facts, day)
    assert sum(reason.points for reason in rating.reasons) == rating.score
    assert 0 <= rating.score <= sum(WEIGHTS.values())
    assert all(reason.zh and reason.en and reason.clause_zh and reason.clause_en for reason in rating.reasons)
    for reason in rating.reasons:
        if reason.points < 0 and reason.dimension != "gate":
            assert reason.references
            assert reason.weight_micro > 0
            assert reason.fades_at_ns > rating.as_of_ns or "尚未纠正" in reason.zh


@given(ANY, logs(SALES, HISTORY, faults(BAD), MENDING), DAYS)
def test_a_rating_as_of_an_instant_repeats_exactly(
    facts: list[Conduct], more: list[Conduct], day: int
) -> None:
    """Asked before and after what came later, by the same bureau and by one that heard all at once."""
    as_of_ns = START_NS + day * DAY_NS
    later = [one for one in more if one.at_ns > as_of_ns]
    bureau = market(facts)
    first = bureau.rating("merchant", as_of_ns)
    for conduct in later:
        bureau.record(conduct)
    assert bureau.rating("merchant", as_of_ns) == first == rated([*facts, *later], day)


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(0, 3), st.integers(0, 30))
def test_a_ring_found_forged_earns_nothing(times: int, between: int, day: int) -> None:
    """However often money went round in it, and whatever its members settled with each other."""
    ring = BUYERS[:4]
    facts = [one for turn in range(times) for one in order("merchant", ring[turn % 4], day, 10**7)]
    for turn in range(between):
        facts += order(ring[turn], ring[turn + 1], day, 10**8)
    bureau, as_of_ns = market(facts), START_NS + 100 * DAY_NS
    assert bureau.rating("merchant", as_of_ns).score > 631
    bureau.mark_ring("R1", ("merchant", *ring))
    assert bureau.rating("merchant", as_of_ns).score == 631
