"""Rings (循环交易): groups of participants among whom money goes round, found so that a reviewer can look at them.

    payments     buyer -> seller, fen of completed trades in a window
    edges        those that are at least a share of what the buyer bought and of what the seller sold; shares are tried
                 from 0 to 20 %, so that a group comes out of the market it is hidden in
    components   strongly connected ones: from each member, money reaches each other one (Tarjan 1972)
    a ring       2 to 50 members, 10,000 CNY or more among them, of all that its members turn over at least half within,
                 and at least half of that comes back: the sum of min(bought, sold) over the sum of max(bought, sold)

An honest market is one great component: whoever resells is in it. But what goes round there is a small part of what its
members sell to those who only buy. A ring accuses nobody; points are taken from it only when somebody has decided that it
is forged (`credit.bureau`).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

BASIS_POINTS: Final = 10_000
SHARES_BP: Final = (0, 200, 500, 1_000, 2_000)
MOST_MEMBERS: Final = 50
LEAST_FEN: Final = 1_000_000
WITHIN_BP: Final = 5_000
BACK_BP: Final = 5_000

Payments = Mapping[tuple[str, str], int]
"""(buyer, seller) -> fen, positive."""


class Ring(Struct, frozen=True):
    """`within_bp`: of all that the members bought and sold, what they did with one another; `back_bp`: of that, what comes
    back to where it came from."""

    members: tuple[str, ...]
    amount_fen: int
    within_bp: int
    back_bp: int


def rings(payments: Payments) -> list[Ring]:
    """All rings, each participant in at most one, by their smallest member; a few us a pair."""
    bought, sold = _totals(payments)
    found: dict[tuple[str, ...], Ring] = {}
    taken: set[str] = set()
    for share_bp in SHARES_BP:
        edges = _edges(payments, bought, sold, share_bp, taken)
        for members in strongly_connected(edges):
            ring = _measured(members, payments, bought, sold)
            if ring is not None:
                found[ring.members] = ring
                taken.update(members)
    return [found[members] for members in sorted(found)]


def _totals(payments: Payments) -> tuple[dict[str, int], dict[str, int]]:
    """(what each bought, what each sold)."""
    bought: dict[str, int] = {}
    sold: dict[str, int] = {}
    for (buyer, seller), fen in payments.items():
        bought[buyer] = bought.get(buyer, 0) + fen
        sold[seller] = sold.get(seller, 0) + fen
    return bought, sold


def _edges(
    payments: Payments, bought: Mapping[str, int], sold: Mapping[str, int], share_bp: int, taken: set[str]
) -> dict[str, list[str]]:
    """Buyer: the sellers whom it pays at least this share of its purchases, being that share of their sales."""
    edges: dict[str, list[str]] = {}
    for (buyer, seller), fen in sorted(payments.items()):
        least = share_bp * max(bought[buyer], sold[seller])
        if buyer != seller and fen * BASIS_POINTS >= least and not taken & {buyer, seller}:
            edges.setdefault(buyer, []).append(seller)
    return edges


def _measured(
    members: tuple[str, ...], payments: Payments, bought: Mapping[str, int], sold: Mapping[str, int]
) -> Ring | None:
    """The ring that a component is, or None."""
    if not 2 <= len(members) <= MOST_MEMBERS:
        return None
    inside = {(one, two): payments.get((one, two), 0) for one in members for two in members if one != two}
    amount_fen = sum(inside.values())
    spent, earned = _totals(inside)
    whole_fen = sum(bought.get(one, 0) + sold.get(one, 0) for one in members)
    within_bp = 2 * amount_fen * BASIS_POINTS // whole_fen
    less = sum(min(spent[one], earned[one]) for one in members)
    more = sum(max(spent[one], earned[one]) for one in members)
    back_bp = less * BASIS_POINTS // more
    if amount_fen < LEAST_FEN or within_bp < WITHIN_BP or back_bp < BACK_BP:
        return None
    return Ring(members, amount_fen, within_bp, back_bp)


class _Search:
    """Tarjan's walk, with a stack of its own, since a chain of traders may be longer than Python's."""

    def __init__(self, edges: Mapping[str, list[str]]) -> None:
        self.edges = edges
        self.index: dict[str, int] = {}
        self.low: dict[str, int] = {}
        self.open: dict[str, None] = {}

    def components_from(self, root: str) -> Iterator[tuple[str, ...]]:
        path = [(root, self._enter(root))]
        while path:
            node, following = path[-1]
            nearer = next(following, None)
            if nearer is None:
                path.pop()
                if path:
                    above = path[-1][0]
                    self.low[above] = min(self.low[above], self.low[node])
                if self.low[node] == self.index[node]:
                    yield self._close(node)
            elif nearer not in self.index:
                path.append((nearer, self._enter(nearer)))
            elif nearer in self.open:
                self.low[node] = min(self.low[node], self.index[nearer])

    def _enter(self, node: str) -> Iterator[str]:
        self.index[node] = self.low[node] = len(self.index)
        self.open[node] = None
        return iter(self.edges.get(node, ()))

    def _close(self, root: str) -> tuple[str, ...]:
        members = []
        while True:
            node, _ = self.open.popitem()
            members.append(node)
            if node == root:
                return tuple(sorted(members))


def strongly_connected(edges: Mapping[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Components of two or more, each sorted. `edges`: node -> those it leads to. Linear in edges (Tarjan 1972)."""
    search = _Search(edges)
    for root in sorted(edges):
        if root not in search.index:
            for members in search.components_from(root):
                if len(members) > 1:
                    yield members
