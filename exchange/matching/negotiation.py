"""How a proposal goes through a negotiation, and which of several is the best by criteria that were stated before.

    sealed ──open──> offered ──counter──> countered          offered: the merchant's word, the buyer answers
      │ ^ revise       │ ^ revise  <──counter── │            countered: the buyer's word, the merchant answers
      │                │                        │
      └──withdraw──────┴──withdraw──────────────┤            award: whoever has to answer says yes, and clearing too
                       └──award, hold, refuse───┴──> awarded, held, refused
    held ──settle──> awarded, or ──release──> refused

A counter is a new offer and takes the place of the one before (民法典第四百八十八条: 「受要约人对要约的内容作出
实质性变更的，为新要约」), so that one price stands at a time and it is plain whose turn it is.

Scores are whole basis points. By a criterion of weight w the best value of those compared has all of w, any other in
proportion, rounded down once a criterion:

    lower is better     w x best // value           (价格分的低价优先法: 评标基准价 / 投标报价)
    higher is better    w x value // best

Where the best is nothing and lower is better, all others have nothing. Weights come to 10,000, so that is what the best by
every criterion has. Equal scores: the cheaper one, then the quicker one, then the earlier one; so exactly one is the best.

Knows prices, quantities, criteria; no merchant, no listing, no law.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

Kind = Literal["quote", "tender", "challenge"]
Better = Literal["lower", "higher"]
ProposalState = Literal[
    "sealed", "offered", "countered", "held", "awarded", "refused", "withdrawn", "eliminated", "closed"
]
ProposalStep = Literal[
    "open", "revise", "counter", "withdraw", "award", "hold", "refuse", "settle", "release", "eliminate", "close"
]  # fmt: skip
Side = Literal["buyer", "merchant"]

WEIGHTS: Final = 10_000
"""The weights of all criteria together, in basis points, and so the highest score."""
MOST_VALUE: Final = 10**12
"""The largest figure of a criterion that is not money; products with a weight stay exact, whatever the size."""
MOST_COUNTERS: Final = 20
"""Counter offers of both sides together, then one of them accepts or ends it: a negotiation is not a queue."""

PRICE: Final = "price_fen"
DELIVERY: Final = "delivery_days"
MEASURED: Final = (PRICE, DELIVERY)
"""Criteria whose value is the proposal's own price and days; nobody marks them."""

PROPOSAL_LIFE: Final[Mapping[tuple[ProposalState, ProposalStep], ProposalState]] = {
    ("sealed", "revise"): "sealed",
    ("sealed", "withdraw"): "withdrawn",
    ("sealed", "open"): "offered",
    ("sealed", "close"): "closed",
    ("offered", "revise"): "offered",
    ("offered", "counter"): "countered",
    ("offered", "withdraw"): "withdrawn",
    ("offered", "award"): "awarded",
    ("offered", "hold"): "held",
    ("offered", "refuse"): "refused",
    ("offered", "eliminate"): "eliminated",
    ("offered", "close"): "closed",
    ("countered", "counter"): "offered",
    ("countered", "withdraw"): "withdrawn",
    ("countered", "award"): "awarded",
    ("countered", "hold"): "held",
    ("countered", "refuse"): "refused",
    ("countered", "close"): "closed",
    ("held", "settle"): "awarded",
    ("held", "release"): "refused",
}
"""What is not in this table cannot happen."""

TURN: Final[Mapping[ProposalState, Side]] = {"offered": "buyer", "countered": "merchant"}
"""Who answers what is on the table: by a counter, or by saying yes."""

LIVE: Final[tuple[ProposalState, ...]] = ("sealed", "offered", "countered", "held")
"""States in which something may still come of it."""

STEPS: Final[Mapping[Kind, tuple[ProposalStep, ...]]] = {
    "quote": ("counter", "withdraw"),
    "tender": ("revise", "withdraw"),
    "challenge": ("revise", "withdraw"),
}
"""What the parties themselves may do before the award. A tender is not haggled over (招标投标法第四十三条: 「在确定中标人
前，招标人不得与投标人就投标价格、投标方案等实质性内容进行谈判」)."""


class Criterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By what is chosen, published before anybody proposes (招标投标法第四十条)."""

    name: str
    weight_bp: int
    better: Better


class Candidate(msgspec.Struct, frozen=True):
    """A proposal as it is compared. `number` is smaller for the earlier one; `values` has one figure a criterion."""

    id: str
    number: int
    values: Mapping[str, int]
    cost_fen: int
    delivery_days: int


class Ranked(msgspec.Struct, frozen=True, array_like=True):
    """What a proposal scored; `points_bp` by criterion, in the order of the criteria."""

    id: str
    score_bp: int
    points_bp: tuple[int, ...]


def after(state: ProposalState, step: ProposalStep) -> ProposalState | None:
    """Where a step leads; None where there is no such step."""
    return PROPOSAL_LIFE.get((state, step))


def refuse_criteria(criteria: Sequence[Criterion]) -> str | None:
    """What is wrong with criteria that are to be published; None where nothing is. None at all are in order."""
    if not criteria:
        return None
    names = [criterion.name for criterion in criteria]
    if len(dict.fromkeys(names)) < len(names):
        return "each criterion has a name of its own"
    if min(criterion.weight_bp for criterion in criteria) < 1:
        return "each weight_bp is at least 1"
    total = sum(criterion.weight_bp for criterion in criteria)
    if total != WEIGHTS:
        return f"the weights add up to {WEIGHTS} basis points, not to {total}"
    if any(criterion.name in MEASURED and criterion.better != "lower" for criterion in criteria):
        return f"{' and '.join(MEASURED)} are better when lower"
    return None


def points(criterion: Criterion, value: int, best: int) -> int:
    """What a value scores beside the best one, in basis points. Both are not negative."""
    whole = criterion.weight_bp
    if value == best:
        return whole
    return whole * best // value if criterion.better == "lower" else whole * value // best


def ranked(criteria: Sequence[Criterion], candidates: Iterable[Candidate]) -> tuple[Ranked, ...]:
    """The best first. Without criteria all score nothing, and their order is that of price, days and arrival."""
    rows = list(candidates)
    if not rows:
        return ()
    best = {row.name: _best(row, [candidate.values[row.name] for candidate in rows]) for row in criteria}
    scored = []
    for candidate in rows:
        parts = tuple(points(row, candidate.values[row.name], best[row.name]) for row in criteria)
        key = (-sum(parts), candidate.cost_fen, candidate.delivery_days, candidate.number)
        scored.append((key, Ranked(candidate.id, sum(parts), parts)))
    return tuple(row for _, row in sorted(scored, key=lambda pair: pair[0]))


def _best(criterion: Criterion, values: Sequence[int]) -> int:
    return min(values) if criterion.better == "lower" else max(values)
