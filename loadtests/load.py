"""`make load`: users of all kinds on a venue of its own for a minute. `python -m loadtests.load [--rate N] [--seconds S]`.

    python -m loadtests.load                  at half the capacity asked for, which is half the bench's orders a second
    python -m loadtests.load --rate 800       at that many requests a second
    python -m loadtests.load --shape open     users come and go as at the opening (also noon, close)
    python -m loadtests.load --capacity       step by step up to what the venue holds, then a run at half of it
    python -m loadtests.load --overload       more orders at once than the venue can hold: 503 with Retry-After

A venue is started on loopback with merchants, buyers and listings, locust runs `loadtests/locustfile.py` against it, and
afterwards everything that was acknowledged is asked for again and `shuji verify` must be clean. Prints waits, a plot and
what became of each objective; locust's page and the raw figures lie in `--report`. Exit status: 1 where an objective is
broken, 3 where the generator was too slow for the run to count.

Generator and venue share this machine, so figures are those of both together. From another machine:
`locust -f loadtests/locustfile.py --host URL`.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from loadtests.bench_client import ID_PLACE, Plan, Report
from loadtests.chaos import Violation, verify
from loadtests.client import ROOT, Person, Venue
from loadtests.cores import watched
from loadtests.objectives import BROKEN, GOOD, VOID, Mode, Verdict
from loadtests.plot import over_time, plot
from loadtests.schedule import SPAWN_S
from loadtests.tally import Series, Tally

MERCHANTS: Final = 4
BUYERS: Final = 12
CASH_FEN: Final = 10**12
UNITS: Final = 10_000_000
POSTED_FEN: Final = 10
BENCH_SECONDS: Final = 5.0
BENCH_CONNECTIONS: Final = 16
OF_THE_BENCH: Final = 0.5
"""The capacity that is asked for: of the orders a second that the bench reaches."""
ORDERS_A_REQUEST: Final = 1.5
"""About so many orders come with a request of the users: some send batches."""
STEP: Final = 1.25
MOST_STEPS: Final = 12
FLOOD_USERS: Final = 60
USUAL_S: Final = 60
OVERLOAD_S: Final = 20
OVERLOAD_RATE: Final = 100.0
"""Of those who ask as always while the flood comes."""
PATIENCE_S: Final = 120.0
CURVES: Final = ("open", "noon", "close")


class Market(Struct):
    """A venue with people and listings, ready for orders."""

    venue: Venue
    keys: Path
    posted: list[str]
    buyers: list[Person]
    halted: str


class Plans(Struct):
    """What was asked for at the command line."""

    rate: float
    seconds: int
    users: int
    shape: str
    report: Path


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is stopped
    seconds = arguments.seconds or (OVERLOAD_S if arguments.overload else USUAL_S)
    plans = Plans(arguments.rate, seconds, arguments.users, arguments.shape, arguments.report)
    try:
        with market() as found:
            if arguments.capacity:
                status = capacity(found, plans)
            elif arguments.overload:
                plans.rate = plans.rate or OVERLOAD_RATE
                status = run(found, plans, "overload", plans.report).status
            else:
                plans.rate = plans.rate or bench(found) * OF_THE_BENCH / 2 / ORDERS_A_REQUEST
                status = run(found, plans, "steady", plans.report).status
            _checked(found.venue)
    except Violation as violation:
        say(f"VIOLATION: {violation}")
        return BROKEN
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rate", type=_rate, default=0.0, help="requests a second")
    parser.add_argument("--seconds", type=_number, default=0, help="of load, each time (60; overload 20)")
    parser.add_argument("--users", type=_number, default=200, help="who make that rate together")
    parser.add_argument("--report", type=Path, default=Path("load-report"), help="default load-report")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--shape", choices=CURVES, default="")
    kind.add_argument("--capacity", action="store_true", help="find the highest rate that is held")
    kind.add_argument("--overload", action="store_true", help="show what happens above it")
    return parser


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < 1e6:
        raise argparse.ArgumentTypeError(f"a rate is more than 0 requests a second, not {text}")
    return rate


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {text}")
    return number


def say(text: str) -> None:
    print(text, flush=True)


# ---- the market


@contextmanager
def market() -> Iterator[Market]:
    """A venue in a temporary folder, with everybody's key files; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="shuji-load-"))
    folder.chmod(0o711)  # PostgreSQL's own user must get through when this runs as root
    venue = Venue(folder / "data", "--no-sample", "--rates", "off", clean=False)
    try:
        venue.start()
        yield open_market(venue, folder / "keys")
    finally:
        venue.close()
        shutil.rmtree(folder)


def open_market(venue: Venue, keys: Path) -> Market:
    """Each merchant has a listing at a posted price and one in a book; the last listing is for halting."""
    keys.mkdir(mode=0o700)
    merchants = [venue.merchant() for _ in range(MERCHANTS)]
    buyers = [venue.buyer(cash_fen=CASH_FEN) for _ in range(BUYERS)]
    posted, books = [], []
    for merchant in merchants:
        product = venue.product(merchant)
        posted.append(venue.listing(merchant, product, price_fen=POSTED_FEN))
        books.append(venue.book_listing(merchant, supply_units=UNITS))
    halted = venue.listing(merchants[0], venue.product(merchants[0]))
    for listing in (*posted, *books):
        for buyer in buyers:
            venue.agree(buyer, listing)
    for kind, people in (("merchant", merchants), ("buyer", buyers), ("operator", [venue.operator])):
        for number, person in enumerate(people, 1):
            person.keep(keys / f"{kind}-{number:02}.key")
    return Market(venue, keys, posted, buyers, halted)


def _checked(venue: Venue) -> None:
    """The journal agrees with every table, and the venue ends as it is told. Raises Violation."""
    say(f"shuji verify: clean in {verify(venue):.1f} s")
    status = venue.stop()
    if status:
        raise Violation(f"told to stop, the venue ended with status {status}:\n{venue.said()[-2000:]}")


def bench(found: Market) -> float:
    """Orders a second that the bench's own load process reaches on this venue, as `make bench` measures them."""
    bodies = [f'{{"listing":"{one}","quantity":1,"client_order_id":"{ID_PLACE}"}}' for one in found.posted]
    tokens = [buyer.token for buyer in found.buyers]
    plan = Plan(found.venue.port, "/v1/orders", bodies, tokens, BENCH_CONNECTIONS, BENCH_SECONDS, 0.0)
    said = subprocess.run(
        [sys.executable, "-m", "loadtests.bench_client"],
        cwd=ROOT,
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
    )
    report = msgspec.json.decode(said.stdout, type=Report)
    if not report.answered or report.refused:
        raise Violation(f"the bench: {report.answered} answered, {report.refused} refused")
    settle(found)
    reached = report.answered / report.seconds
    say(f"the bench reaches {reached:,.0f} orders/s on this venue")
    return reached


def settle(found: Market) -> None:
    """Wait until the query tables hold what went before: a run is no overload's aftermath."""
    deadline = time.monotonic() + PATIENCE_S
    while found.buyers[0].get("/v1/orders", limit=1).status_code != 200:
        if time.monotonic() > deadline:
            raise Violation(f"the query tables do not catch up within {PATIENCE_S:.0f} s")


# ---- runs


def run(found: Market, plans: Plans, mode: Mode, report: Path) -> Verdict:
    """One run of locust; what it found is printed. Raises Violation where it got to no verdict, or something is lost."""
    if report.exists():
        for old in (*report.glob("*.tally"), *report.glob("*.json"), *report.glob("locust.*")):
            old.unlink()
    report.mkdir(parents=True, exist_ok=True)
    say(f"{mode}: {plans.rate:,.0f} requests/s of {plans.users} users for {plans.seconds} s")
    with (report / "locust.log").open("wb") as log, watched(found.venue.pid) as cores:
        ended = subprocess.run(
            _locust(found, plans, mode, report),
            cwd=ROOT,
            env={**os.environ, **_environment(found, plans, mode, report)},
            stdout=log,
            stderr=log,
            check=False,
        )
    told = report / "verdict.json"
    if not told.exists():
        said = (report / "locust.log").read_text(errors="replace")
        raise Violation(f"locust ended with status {ended.returncode} and no verdict:\n{said[-3000:]}")
    answer = json.loads(told.read_text())
    verdict, tally = msgspec.convert(answer["verdict"], Verdict), Tally.read(report)
    say("\n".join(summary(verdict, tally, answer["violations"])))
    say(f"  cores in use: {cores.between(tally.begun_s, tally.ended_s)}")
    if answer["violations"]:
        raise Violation(answer["violations"][0])
    settle(found)
    return verdict


def _locust(found: Market, plans: Plans, mode: Mode, report: Path) -> list[str]:
    users = plans.users + (FLOOD_USERS if mode == "overload" else 0)
    words = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--host", found.venue.url]
    words += ["--headless", "--only-summary", "--stop-timeout", "20", "--html", str(report / "locust.html")]
    seconds = plans.seconds + SPAWN_S
    return words if plans.shape else [*words, "-u", f"{users}", "-r", f"{users}", "-t", f"{seconds:.0f}s"]


def _environment(found: Market, plans: Plans, mode: Mode, report: Path) -> dict[str, str]:
    return {
        "SHUJI_LOAD_KEYS": str(found.keys),
        "SHUJI_LOAD_RATE": str(plans.rate),
        "SHUJI_LOAD_USERS": str(plans.users),
        "SHUJI_LOAD_SHAPE": plans.shape,
        "SHUJI_LOAD_SECONDS": str(plans.seconds),
        "SHUJI_LOAD_MODE": mode,
        "SHUJI_LOAD_REPORT": str(report.resolve()),
        "SHUJI_LOAD_HALTED": found.halted,
        "SHUJI_LOAD_FLOOD": str(FLOOD_USERS),
    }


# ---- the capacity


class Capacity(Struct):
    """The highest step that was held, and why the next was not: BROKEN or VOID."""

    rate: float = 0.0
    orders: float = 0.0
    ended_by: int = BROKEN

    def beside(self, bench: float) -> str:
        """In words, with what the bench reaches."""
        lower = "at least " if self.ended_by == VOID else ""
        why = "; above it the generator cannot keep up" if lower else ""
        part = self.orders / bench
        return (
            f"capacity: {lower}{self.orders:,.0f} orders/s in {self.rate:,.0f} requests/s,"
            f" {part:.2f} of the bench's {bench:,.0f} orders/s (at least {OF_THE_BENCH:g}){why}"
        )


def capacity(found: Market, plans: Plans) -> int:
    """Step by step up to what is held, then a steady run at half of it."""
    reached = bench(found)
    held = climb(found, plans, reached * OF_THE_BENCH / ORDERS_A_REQUEST)
    say(held.beside(reached))
    if held.orders < reached * OF_THE_BENCH:
        return held.ended_by
    plans.rate = held.rate / 2
    return run(found, plans, "steady", plans.report / "half").status


def climb(found: Market, plans: Plans, first: float) -> Capacity:
    """Up from where a step is held until one is not; down first, where the first is not."""
    rate, held, is_falling = plans.rate or first, Capacity(), False
    for number in range(1, MOST_STEPS + 1):
        plans.rate = rate
        verdict = run(found, plans, "step", plans.report / f"step-{number:02}")
        if verdict.status == GOOD:
            held.rate, held.orders = rate, verdict.figures["orders_a_second"]
        else:
            held.ended_by = verdict.status
        if held.rate and (verdict.status != GOOD or is_falling):
            break
        is_falling = verdict.status != GOOD
        rate = rate / STEP if is_falling else rate * STEP
    return held


# ---- what is printed


def summary(verdict: Verdict, tally: Tally, violations: list[str]) -> Iterator[str]:
    """Waits by what was asked for, a plot of all of them, and what became of each objective."""
    asked = tally.asked / tally.seconds
    yield f"  {tally.asked:,} requests in {tally.seconds:.1f} s, {asked:,.0f}/s; {tally.orders:,} orders answered"
    yield "  " + ", ".join(f"{status}: {times:,}" for status, times in sorted(tally.statuses.items()))
    yield _row("ms from when it was due", "number", "p50", "p99", "worst")
    for name, series in sorted(tally.answers.items()):
        yield _waits(name, series)
    for teller, series in sorted(tally.to_trade.items()):
        yield _waits(f"order to trade, told by the {teller}", series)
    if tally.untold:
        yield f"  {tally.untold:,} trades were not told by the feed (a slow reader gets a snapshot instead)"
    rates, waits = over_time(tally.every_wait(), tally.begun_s, tally.ended_s)
    yield plot("requests a second", rates, tally.seconds)
    yield plot("99 of 100 answered within so many ms", waits, tally.seconds)
    yield from (f"  {line}" for line in (*verdict.objectives, *verdict.generator))
    yield from (f"  {text}" for text in (*violations[:5], *tally.surprises[:5]))
    yield f"{verdict.mode}: {verdict.word}"


def _waits(name: str, series: Series) -> str:
    worst = max(series.ms, default=0.0)
    figures = (series.percentile_ms(0.5), series.percentile_ms(0.99), worst)
    return _row(name, f"{len(series.ms):,}", *(f"{ms:,.1f}" for ms in figures))


def _row(name: str, *cells: str) -> str:
    return f"  {name:<36}" + "".join(f"{cell:>10}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
