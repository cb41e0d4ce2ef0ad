"""Rings: held against a slow search for strong connection, and what is and is not one."""

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from credit.ring import LEAST_FEN, MOST_MEMBERS, Ring, rings, strongly_connected

CNY = 100
NAMES = "abcdefgh"

graphs = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4, unique=True), max_size=8
)


def reachable(edges: dict[str, list[str]], start: str) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        for name in edges.get(waiting.pop(), ()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen


@settings(max_examples=300)
@given(graphs)
def test_components_are_those_who_reach_one_another(edges: dict[str, list[str]]) -> None:
    reach = {name: reachable(edges, name) for name in NAMES}
    naive = {tuple(sorted(two for two in reach[one] if one in reach[two])) for one in NAMES}
    assert set(strongly_connected(edges)) == {one for one in naive if len(one) > 1}


def test_a_chain_longer_than_the_stack_is_walked() -> None:
    names = [f"P{number:05}" for number in range(20_000)]
    edges = {one: [two] for one, two in zip(names, names[1:] + names[:1], strict=True)}
    assert list(strongly_connected(edges)) == [tuple(names)]


def going_round(*members: str, fen: int = 50_000 * CNY) -> dict[tuple[str, str], int]:
    return dict.fromkeys(zip(members, members[1:] + members[:1], strict=True), fen)


def honest_market() -> dict[tuple[str, str], int]:
    """Ten merchants sell to forty buyers, and each buys a little of the next."""
    sales = {(f"B{b}", f"M{m}"): 10_000 * CNY for b, m in product(range(40), range(10))}
    return sales | going_round(*(f"M{m}" for m in range(10)), fen=30_000 * CNY)


def test_money_that_goes_round_is_a_ring() -> None:
    [ring] = rings(going_round("X", "Y", "Z"))
    assert ring == Ring(("X", "Y", "Z"), 150_000 * CNY, 10_000, 10_000)


def test_a_market_in_which_merchants_buy_from_one_another_has_none() -> None:
    assert rings(honest_market()) == []


def test_a_ring_comes_out_of_the_market_it_hides_in() -> None:
    """Its members buy and sell a little outside, both ways, so that all are in one component."""
    forged = dict.fromkeys(combinations(("X1", "X2", "X3", "X4"), 2), 20000 * CNY) | {
        (two, one): 20_000 * CNY for one, two in combinations(("X1", "X2", "X3", "X4"), 2)
    }
    cover = {("X1", "M0"): 5_000 * CNY, ("M1", "X2"): 5_000 * CNY, ("B3", "X3"): 5_000 * CNY}
    [ring] = rings(honest_market() | forged | cover)
    assert ring.members == ("X1", "X2", "X3", "X4")
    assert ring.within_bp > 9_000


def test_what_is_too_little_too_large_or_goes_one_way_is_none() -> None:
    assert rings(going_round("X", "Y", fen=LEAST_FEN // 2 - 1)) == []
    assert len(rings(going_round("X", "Y", fen=LEAST_FEN // 2))) == 1
    assert rings(going_round(*(f"P{number}" for number in range(MOST_MEMBERS + 1)))) == []
    assert rings({("X", "Y"): 90_000 * CNY, ("Y", "X"): 20_000 * CNY}) == []


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda pair: pair[0] != pair[1]),
        st.integers(1, 10**9),
        max_size=30,
    )
)
def test_nobody_is_in_two_rings_and_each_is_strongly_connected(payments: dict[tuple[str, str], int]) -> None:
    found = rings(payments)
    members = [name for ring in found for name in ring.members]
    assert len(members) == len(set(members))
    for ring in found:
        edges: dict[str, list[str]] = {}
        for one, two in payments:
            if {one, two} <= set(ring.members):
                edges.setdefault(one, []).append(two)
        assert ring.members in set(strongly_connected(edges))
        assert 0 < ring.within_bp <= 10_000
        assert 0 < ring.back_bp <= 10_000
