"""What a verdict costs: the complete rulebook on facts that are there already, in one pass, every reason named.

There nothing is kept from one verdict to the next, so this is the ceiling of what judging costs the venue. Beside it the
verdict as clearing asks for it, out of findings kept with the registers they read: in one licence class, and in 10,000 of
them in turn. CPU time of this process, the best of several turns; gathering the facts is not in it (`bench_pieces` has
the venue's whole).
"""

from collections.abc import Iterator, Sequence
from time import process_time_ns
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from clearing import notrade
from clearing.house import Cell, House, Party, Signed
from clearing.notrade import ALLOW, Facts, Rulebook, Verdict
from exchange.listing import cell_of, seller_of
from exchange.order import signed_by
from exchange.participant import party_of
from loadtests.bench_figure import Figure
from loadtests.bench_market import Market, found

GOAL_US: Final = 25.0
KEPT_GOAL_US: Final = 5.0
CLASSES: Final = 10_000
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
    rulebook = notrade.load()
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
    yield from _in_rules(rulebook, lawful, turns, verdicts)
    yield from _kept(turns, verdicts)


def _in_rules(rulebook: Rulebook, cases: Sequence[Facts], turns: int, verdicts: int) -> Iterator[Figure]:
    """A quarter and half of the rules beside all, in the same turns: what a rule adds."""
    rules = list(rulebook.rules.values())
    books = {"quarter": Rulebook(rules[::4]), "half": Rulebook(rules[::2]), "all": rulebook}
    rounds = max(1, verdicts // len(cases))
    best = dict.fromkeys(books, 1 << 62)
    for _ in range(turns):
        for name, book in books.items():
            best[name] = min(best[name], _turn_ns(book, cases, rounds))
    us = {name: ns / (rounds * len(cases)) / 1_000 for name, ns in best.items()}
    for name in ("quarter", "half"):
        yield Figure(
            name=f"verdict_{name}_of_rules",
            value=us[name],
            unit="us",
            reference=us["all"],
            compared=f"all {len(rules)} rules; these are {len(books[name].rules)}",
            better="less",
        )


class _Fill(Struct):
    """What clearing has at hand of a fill in a licence class."""

    cell: Cell
    seller: Party
    buyer: Party
    signed: Signed

    def judge(self, house: House, at_ns: int) -> Verdict:
        cell, signed = self.cell, self.signed
        return house.judge(
            "clearing", cell, self.seller, self.buyer, signed.trade, cell.price, at_ns, None, signed
        )

    def facts(self, at_ns: int) -> Facts:
        cell, trade = self.cell, self.signed.trade
        assert isinstance(trade.term_ns, int)
        return Facts(
            phase="clearing",
            now=at_ns,
            venue=cell.venue,
            product=cell.product,
            source=cell.source,
            registration=cell.registration,
            auth=cell.auth,
            consent=cell.consent,
            seller=self.seller.seller,
            buyer=self.buyer.buyer,
            trade=replace(trade, term_until=at_ns + trade.term_ns),
            price=cell.price,
            xb=cell.xb,
        )


def _fill_of(market: Market) -> _Fill:
    state, listing = market.state, market.state.listings[market.posted]
    at_ns, buyer = state.now_ns, market.buyers[0]
    cell = cell_of(state, listing, listing.terms.purposes[0], listing.terms.territories[0], at_ns)
    signed = signed_by(state, listing, cell, buyer)
    assert signed is not None, "the market's buyers have signed"
    return _Fill(
        cell, seller_of(state, listing, listing.merchant, at_ns), party_of(state, buyer, at_ns), signed
    )


def _another(fill: _Fill) -> _Fill:
    """The same facts in a licence class of its own, with nothing kept yet."""
    trade = replace(fill.signed.trade)
    cell = replace(
        fill.cell, trade=replace(fill.cell.trade), kept={}, of_trade={}, of_open_trade={}, signed={}
    )
    return _Fill(cell, fill.seller, fill.buyer, Signed(trade, fill.signed.digest, {}))


def _kept(turns: int, verdicts: int) -> Iterator[Figure]:
    """The venue's own rulebook on one fill: kept beside whole, then kept in many classes beside kept in one."""
    market = found(1_790_000_000_000_000_000)
    house, at_ns, fill = market.state.house, market.state.now_ns, _fill_of(market)
    facts = fill.facts(at_ns)
    assert fill.judge(house, at_ns) == house.rulebook.judge(facts) == ALLOW
    kept = _us_kept(house, [fill], turns, verdicts, at_ns)
    yield Figure(
        name="verdict_kept",
        value=kept,
        unit="us",
        reference=_us_a_verdict(house.rulebook, [facts], turns, verdicts),
        compared=f"whole: the {len(house.rulebook.rules)} rules on the same facts",
        goals=(KEPT_GOAL_US,),
        better="less",
    )
    yield Figure(
        name=f"verdict_kept_{CLASSES}_classes",
        value=_us_kept(house, [_another(fill) for _ in range(CLASSES)], turns, max(verdicts, CLASSES), at_ns),
        unit="us",
        reference=kept,
        compared="one licence class over and over",
        goals=(KEPT_GOAL_US,),
        better="less",
    )


def _us_kept(house: House, fills: Sequence[_Fill], turns: int, verdicts: int, at_ns: int) -> float:
    """Each has been judged before, as a listing that trades has."""
    for fill in fills:
        fill.judge(house, at_ns)
    rounds = max(1, verdicts // len(fills))
    return (
        min(_kept_turn_ns(house, fills, rounds, at_ns) for _ in range(turns)) / (rounds * len(fills)) / 1_000
    )


def _kept_turn_ns(house: House, fills: Sequence[_Fill], rounds: int, at_ns: int) -> int:
    started = process_time_ns()
    for _ in range(rounds):
        for fill in fills:
            fill.judge(house, at_ns)
    return process_time_ns() - started


def _us_a_verdict(rulebook: Rulebook, cases: Sequence[Facts], turns: int, verdicts: int) -> float:
    rounds = max(1, verdicts // len(cases))
    return min(_turn_ns(rulebook, cases, rounds) for _ in range(turns)) / (rounds * len(cases)) / 1_000


def _turn_ns(rulebook: Rulebook, cases: Sequence[Facts], rounds: int) -> int:
    started = process_time_ns()
    for _ in range(rounds):
        for facts in cases:
            rulebook.judge(facts)
    return process_time_ns() - started
