"""Issue 5, "How it is proved" and "Speed": the proofs are there under names that say so, and run from the command line.

Where they stand is their builder's choice: any `test_*.py` outside this folder. What is asked of a name is a word or two.
How fast the book is, is nobody's assertion here; that each figure is measured in `make bench` is.
"""

import ast
import re
import subprocess
import sys
from functools import cache

import pytest

from loadtests.bench_book import FULL
from tests.story import ROOT
from tests.test_bench import NAMES as FIGURES

KNOWN_BUGS = {
    "trade at the taker's price": r"takers?_price|makers?_price",
    "stale best price after a cancel": r"stale_best|best_price_after",
    "a modify that does not match again": r"(modify|replace).*match",
    "a filled maker left in the id index": r"filled_maker|maker.*(index|id)",
    "lost queue order after an interior cancel": r"interior_cancel|queue.*cancel|cancel.*queue",
    "duplicate live id": r"duplicate.*id|live_id|id.*twice",
    "zero-quantity trades": r"zero_quantity|zero.*trade",
}
"""Of `measurements.md`, that an outside benchmark found in 247 engines: what the test of each is called."""
PROOFS = {
    "a naive twin and the fast book give equal events for days of 100k commands": r"100_?000|hundred_thousand",
    "each pair of order type and event occurs at least 100 times": r"(every|each|all).*pair",
    "hypothesis state machines shrink what differs": r"TestCase",
    "auctions: brute force over all prices agrees": r"brute|all_prices|every_price",
    "determinism across restarts and Python hash seeds": r"hash_seed|hashseed",
}
ABOUT = re.compile(r"book|matching|market|auction|twin|determinis")
"""Files whose tests are about ways of matching, by their names."""
IN_FULL = (
    *(f"book_us_resting_{size}" for size in FULL.sizes),
    *(f"book_us_books_{books}" for books in FULL.books),
)
"""The ends of the curves, which the whole bench measures and the quick one of the tests does not."""
MEASURED = {
    "the venue's own book on a deep stream": r"book.*deep",
    "the venue's own book on a thin stream": r"book.*thin",
    "a bare book in the same run": r"^book_(deep|thin)$",
    "its slowest in a hundred": r"book.*p99|p99.*book_(deep|thin)",
    "cost per operation with 1k resting orders": r"resting.*1_?000$|1_?000_resting",
    "cost per operation with 1M resting orders": r"resting.*1_?000_?000|1_?000_?000_resting",
    "cost per operation with 1 book": r"books_1$|(^|_)1_books?",
    "cost per operation with 10k books": r"books_10_?000|10_?000_books",
    "10,000 barred makers ahead of one lawful maker": r"barred",
    "the naive twin beside it": r"twin|naive",
    "what the package index offers": r"lightmatchingengine",
}

BUILT: tuple[str, ...] = (
    "a naive twin and the fast book give equal events for days of 100k commands",
    "each pair of order type and event occurs at least 100 times",
    "hypothesis state machines shrink what differs",
    "auctions: brute force over all prices agrees",
    "determinism across restarts and Python hash seeds",
    *MEASURED,
)
"""Of `PROOFS` and `MEASURED`: what is there by now. Whoever builds one adds its line here."""


def each_of(name: str, table: dict[str, str], line: str) -> pytest.MarkDecorator:
    """Each line of a table by itself; what is not built yet is expected to fail."""
    missing = pytest.mark.xfail(strict=True, reason=f"issue 5: {line}")
    return pytest.mark.parametrize(
        name, [pytest.param(said, marks=[] if said in BUILT else [missing]) for said in table]
    )


@cache
def names() -> dict[str, str]:
    """Every test of matching outside this folder: its name, and the file it is in."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.parent.name != "acceptance" and ABOUT.search(path.stem.replace("rulebook", "")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    found[node.name] = path.relative_to(ROOT).as_posix()
                elif isinstance(node, ast.Assign):
                    found |= {ast.unparse(node): path.relative_to(ROOT).as_posix()} if _machine(node) else {}
    return found


def _machine(node: ast.Assign) -> bool:
    """`TestBook = Machine.TestCase`, as hypothesis has it."""
    return isinstance(node.value, ast.Attribute) and node.value.attr == "TestCase"


def called(pattern: str) -> dict[str, str]:
    return {name: file for name, file in names().items() if re.search(pattern, name)}


@pytest.mark.parametrize("bug", KNOWN_BUGS)
def test_each_known_bug_has_a_test_that_names_it(bug: str) -> None:
    assert called(KNOWN_BUGS[bug]), f"no test is called like {KNOWN_BUGS[bug]}"


@each_of("proof", PROOFS, "how it is proved")
def test_each_proof_is_a_test(proof: str) -> None:
    assert called(PROOFS[proof]), f"no test is called like {PROOFS[proof]}"


def test_the_known_bugs_are_not_there() -> None:
    """The tests run from the command line, each by its name."""
    chosen = {name: file for pattern in KNOWN_BUGS.values() for name, file in called(pattern).items()}
    arguments = ["-q", "-n0", "-p", "no:cacheprovider", *(f"{file}::{name}" for name, file in chosen.items())]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]


def test_check_is_itself_proved() -> None:
    """`check()` proves each invariant: levels sorted, totals equal, index complete, no zero quantity, no crossing pair."""
    assert called(r"check_(sees|refuses|finds|proves)")


def test_the_twin_shares_only_commands_and_events() -> None:
    twins = [path for path in (ROOT / "tests").rglob("naive*.py") if "market" in path.stem]
    assert twins
    ours: set[str] = set()
    for path in twins:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                ours |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                ours |= {alias.name for alias in node.names}
    ours = {name for name in ours if name.partition(".")[0] in ("exchange", "clearing", "credit")}
    assert not any("book" in name or "auction" in name for name in ours), ours


@each_of("figure", MEASURED, "speed, in make bench")
def test_the_bench_measures_it(figure: str) -> None:
    """`tests/test_bench.py` holds the bench to writing every figure that it names."""
    assert [name for name in (*FIGURES, *IN_FULL) if re.search(MEASURED[figure], name)]


def test_it_is_said_where_the_time_goes() -> None:
    pages = [page.read_text(encoding="utf-8").lower() for page in (ROOT / "docs").rglob("*.md")]
    assert any("where the time goes" in page and "lightmatchingengine" in page for page in pages)
