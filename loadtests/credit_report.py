"""Measures the credit model and writes the tables of docs/CREDIT.md.

    python -m loadtests.credit_report --seeds 20

Fresh markets (loadtests/credit_simulator.py), one for each seed from 1000 on, which nothing was tuned on; the search for
the cheapest forgery (loadtests/credit_forgery.py); the published information value. Everything follows from the seeds:
run again, it writes the same page. About ten minutes on one core.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from credit.population import Share, bad_rates, information_value, kolmogorov_smirnov
from credit.score import MODEL, RANK, Grade
from loadtests import credit_before
from loadtests import credit_forgery as forgery
from loadtests import credit_simulator as simulator
from loadtests.credit_simulator import AS_OF_NS, FRESH, Arrival, Character, Market, auc, interval

PAGE: Final = Path(__file__).parent.parent / "docs" / "CREDIT.md"
BEGIN: Final = "<!-- python -m loadtests.credit_report: from here -->"
END: Final = "<!-- python -m loadtests.credit_report: to here -->"
GERMAN_GOOD: Final = (139, 164, 49, 348)
GERMAN_BAD: Final = (135, 105, 14, 46)
"""German credit data, status of the existing checking account, A11 to A14."""
STUDENT: Final = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262, 20: 2.093, 30: 2.045}
"""97.5 % of Student's t by the number of markets."""
GROUPS: Final[dict[str, tuple[Character, ...]]] = {
    "all": ("honest", "careless", "newcomer", "fraud", "ring"),
    "without rings": ("honest", "careless", "newcomer", "fraud"),
    "honest and careless only": ("honest", "careless"),
    "newcomers only": ("newcomer",),
}
CUSTOMERS: Final = ("8 with history", "8 of all buyers", "15 of all buyers")
TERMS: Final = {
    "one merchant": forgery.PLAIN,
    "history sold at half its fees": forgery.Terms(seasoned_bp=5_000),
    "three merchants at once, each": forgery.Terms(merchants=3),
    "on a board that keeps 0.5 %": forgery.Terms(fee_bp=50),
}


class Measured(Struct):
    """What one market gave."""

    areas: dict[tuple[str, str], float]
    gaps: dict[str, float]
    outcomes: list[tuple[Grade, bool]]
    before: list[tuple[Grade, bool]]
    arrivals: dict[str, list[Arrival]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the page; what is done is said on standard error."""
    asked = _asked(arguments)
    markets = []
    for seed in range(FRESH, FRESH + asked.seeds):
        markets.append(measured(seed, asked.newcomers))
        print(f"market {seed}: {markets[-1].areas['model', 'all']:.4f}", file=sys.stderr)
    lines = [*_ranking(markets), *_grades(markets), *_newcomers(markets)]
    lines += _forgeries(asked.starts, asked.tries)
    lines += _information()
    _write(asked.page, "\n".join(lines))


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.credit_report", description=__doc__)
    parser.add_argument("--seeds", type=int, choices=sorted(STUDENT), default=20, help="fresh markets")
    parser.add_argument("--starts", type=int, default=4, help="searches for each forgery")
    parser.add_argument("--tries", type=int, default=1_200, help="plans tried in each search")
    parser.add_argument("--newcomers", type=int, default=20, help="newcomers of each kind in a market")
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose tables are written")
    return parser.parse_args(arguments)


# --- measuring ---


def measured(seed: int, newcomers: int) -> Measured:
    found = simulator.market(seed)
    bad = simulator.bads(found)
    before = [credit_before.rated(found.bureau, row.name, AS_OF_NS) for row in found.merchants]
    predictions = {"cm-0.2": [float(score) for score, _ in before]}
    predictions |= {name: predict(found) for name, predict in simulator.PREDICTORS.items()}
    areas = {
        (name, group): _area(found, values, characters)
        for name, values in predictions.items()
        for group, characters in GROUPS.items()
    }
    gaps = {
        name: kolmogorov_smirnov(
            [value for value, is_bad in zip(values, bad, strict=True) if not is_bad],
            [value for value, is_bad in zip(values, bad, strict=True) if is_bad],
        )
        for name, values in predictions.items()
    }
    outcomes = list(zip(simulator.grades(found), bad, strict=True))
    grades_before = [(grade, is_bad) for (_, grade), is_bad in zip(before, bad, strict=True)]
    return Measured(areas, gaps, outcomes, grades_before, _arrivals(found, newcomers))


def _area(found: Market, values: Sequence[float], characters: Sequence[Character]) -> float:
    chosen = [
        (value, row.bad)
        for value, row in zip(values, found.merchants, strict=True)
        if row.character in characters
    ]
    return auc([value for value, _ in chosen], [is_bad for _, is_bad in chosen])


def _arrivals(found: Market, newcomers: int) -> dict[str, list[Arrival]]:
    """Honest newcomers with customers of three kinds."""
    chance = Random(found.seed)
    known = simulator.established(found)
    choices: tuple[Callable[[], list[str]], ...] = (
        lambda: chance.sample(known, 8),
        lambda: chance.sample(found.buyers, 8),
        lambda: chance.sample(found.buyers, 15),
    )
    return {
        name: [
            simulator.newcomer(found, choose(), chance, f"{name}, newcomer {number}")
            for number in range(newcomers)
        ]
        for name, choose in zip(CUSTOMERS, choices, strict=True)
    }


# --- the tables ---


def _ranking(markets: Sequence[Measured]) -> list[str]:
    names = ("oracle", "model", "posterior mean, fitted prior", "posterior mean", "raw mean", "cm-0.2")
    lines = [
        f"### Ranking: {len(markets)} fresh markets, 95 % intervals of the mean",
        "",
        "| | AUC, all | AUC less the posterior mean's | KS | " + " | ".join(list(GROUPS)[1:]) + " |",
        "|---|---|---|---|" + "---|" * (len(GROUPS) - 1),
    ]
    for name in names:
        less = [one.areas[name, "all"] - one.areas["posterior mean", "all"] for one in markets]
        cells = [
            MODEL if name == "model" else name,
            _range([one.areas[name, "all"] for one in markets]),
            "" if name == "posterior mean" else _range(less, sign=True),
            _range([one.gaps[name] for one in markets]),
            *(f"{_mean(one.areas[name, group] for one in markets):.3f}" for group in list(GROUPS)[1:]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _range(values: Sequence[float], *, sign: bool = False) -> str:
    low, mean, high = interval(values, STUDENT[len(values)])
    shown = "+.4f" if sign else ".3f"
    return f"{mean:{shown}} ({low:{shown}} to {high:{shown}})"


def _mean(values: Iterable[float]) -> float:
    seen = list(values)
    return sum(seen) / len(seen)


def _grades(markets: Sequence[Measured]) -> list[str]:
    now = bad_rates(row for one in markets for row in one.outcomes)
    before = bad_rates(row for one in markets for row in one.before)
    lines = [
        "### Who failed at least once in its next ten orders, by grade",
        "",
        f"| grade | {MODEL}: merchants | bad, 95 % interval | cm-0.2: merchants | bad, 95 % interval |",
        "|---|---|---|---|---|",
    ]
    for grade in sorted(RANK, key=lambda one: -RANK[one]):
        cells = [grade, *_share(now.get(grade)), *_share(before.get(grade))]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _share(share: Share | None) -> tuple[str, str]:
    """(merchants, bad in per cent with Wilson's interval)."""
    if share is None:
        return "0", ""
    z2 = 1.96**2
    middle = (share.part + z2 / 2) / (share.whole + z2)
    half = 1.96 * (share.ratio * (1 - share.ratio) / share.whole + z2 / (4 * share.whole**2)) ** 0.5
    half /= 1 + z2 / share.whole
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return str(share.whole), f"{100 * share.ratio:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _newcomers(markets: Sequence[Measured]) -> list[str]:
    lines = [
        "### Honest newcomers: clean orders until B, one every second day on average",
        "",
        "| customers | newcomers | reached B within 30 orders | orders: median, 95 of 100 | days: median, 95 of 100 |",
        "|---|---|---|---|---|",
    ]
    for name in CUSTOMERS:
        seen = [arrival for one in markets for arrival in one.arrivals[name]]
        orders = sorted(one.orders for one in seen if one.orders is not None)
        days = sorted(one.days for one in seen if one.days is not None)
        within = sum(count <= 30 for count in orders)
        cells = [name, str(len(seen)), f"{100 * within / len(seen):.1f} %", _middle(orders), _middle(days)]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _middle(values: Sequence[int]) -> str:
    if not values:
        return "never"
    return f"{values[len(values) // 2]}, {values[min(len(values) - 1, len(values) * 95 // 100)]}"


def _forgeries(starts: int, tries: int) -> list[str]:
    lines = [
        f"### The cheapest forgery that {starts} searches of {tries} plans found",
        "",
        "| grade | terms | CNY | plan |",
        "|---|---|---|---|",
    ]
    wanted: tuple[Grade, ...] = ("B", "A")
    for grade in wanted:
        for name, terms in TERMS.items():
            found = [forgery.cheapest(grade, FRESH + seed, tries, terms) for seed in range(starts)]
            best = min((one for one in found if one), key=lambda one: one.cost_fen, default=None)
            print(f"{grade}, {name}: {best and best.cost_fen // 100}", file=sys.stderr)
            cost = "none found" if best is None else f"{best.cost_fen // 100:,}"
            lines.append(f"| {grade} | {name} | {cost} | {_plan(best.plan) if best else ''} |")
    return [*lines, ""]


def _plan(plan: forgery.Plan) -> str:
    seasoned, prepared = min(plan.seasoned, plan.identities), plan.prepared
    ways = [f"{seasoned} bought with {plan.history_fen // 100:,} CNY of history"] if seasoned else []
    if prepared:
        ways.append(f"{prepared} given {plan.history_fen // 100:,} CNY each ({plan.history})")
    days = plan.wait_days + plan.span_days + plan.rest_days
    return (
        f"{plan.identities} identities, {'; '.join(ways) or 'no history'}; {plan.orders} orders of "
        f"{plan.amount_fen // 100:,} CNY with each; {days} days"
    )


def _information() -> list[str]:
    value = information_value(GERMAN_GOOD, GERMAN_BAD)
    return [
        f"Information value of the German credit data's checking-account status: {value:.4f} (published: 0.6660).",
        "",
    ]


def _write(page: Path, tables: str) -> None:
    """Puts the tables between their two marks, and leaves the rest of the page alone."""
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{page} needs one line {BEGIN} and one line {END}: the tables go between them")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head}{BEGIN}\n\n{tables}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
