"""kill -9 at random moments under load: `python -m loadtests.chaos --rounds N [--seed S]`, `make chaos ROUNDS=N`.

A round: clients trade against a real venue process; at a random moment the venue, its PostgreSQL, or both are killed;
the venue is started again on the same data (a PostgreSQL alone is started again by the venue itself). Then

    every acknowledged order is there, once, as it was sent; and none that nobody sent
    what nobody answered is sent again with the same id, twice, and has one answer
    acknowledged cancels, deliveries and acceptances have happened
    `shuji verify` is clean: of a dead venue straight after the kill, and of the living one at the end

Prints a line a round and a summary. Exit status 1 on the first violation; the data folder is kept then.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtests import trader
from loadtests.client import Person, Venue, shuji
from loadtests.trader import Buyer, Memory, Seller, Trader

FAULTS: Final = ("venue", "postgresql", "both")
"""Whom a round kills, in turn."""
FIRST_ANSWERS: Final = 10
"""Answers that each client must have before a kill, and again after one that the venue survives."""
LONGEST_WAIT_S: Final = 1.5
"""A kill comes at a random moment within this, once the load is on."""
PATIENCE_S: Final = 60
CASH_FEN: Final = 10**12
UNITS: Final = 10_000_000


class Violation(Exception):
    """Something that must never be; the message names it."""


@dataclass
class Market:
    """The venue under test, what is traded, and what everybody remembers of all rounds."""

    venue: Venue
    posted: str
    book: str
    memories: list[Memory]
    """The merchant's first."""


@dataclass
class Round:
    """What a line of the report says."""

    number: int
    fault: str
    acknowledged: int = 0
    in_doubt: int = 0
    ready_s: float = 0.0
    verified_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"round {self.number:>3}  killed {self.fault:<10}  {self.acknowledged:>6} acknowledged"
            f"  {self.in_doubt:>3} in doubt  ready after {self.ready_s:4.1f} s"
            f"  verify clean in {' and '.join(f'{seconds:.1f}' for seconds in self.verified_s)} s"
        )


def main(argv: list[str] | None = None) -> int:
    """The exit status: 0, or 1 on the first violation."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.chaos", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--clients", type=int, default=4, help="buyers, beside one merchant")
    arguments = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="shuji-chaos-"))
    folder.chmod(0o711)  # PostgreSQL's own user must get through when this runs as root
    venue = Venue(folder / "data", "--no-sample", "--rates", "off", clean=False)
    say(f"seed {arguments.seed}, {arguments.clients} buyers and a merchant, data in {folder}")
    try:
        run(venue, arguments.rounds, arguments.seed, arguments.clients)
    except (Violation, AssertionError) as error:
        say(f"VIOLATION: {error}\nthe data is kept in {folder}; repeat with --seed {arguments.seed}")
        return 1
    finally:
        venue.close()
    shutil.rmtree(folder)
    return 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(venue: Venue, rounds: int, seed: int, clients: int) -> None:
    """All rounds. Raises Violation; AssertionError where the venue does not even start or answer."""
    begun = time.monotonic()
    venue.start()
    market = open_market(venue, clients)
    moments = random.Random(seed)
    done = []
    for number, fault in zip(range(1, rounds + 1), itertools.cycle(FAULTS), strict=False):
        done.append(run_round(market, Round(number, fault), moments))
        say(str(done[-1]))
    status = venue.stop()
    if status != 0:
        raise Violation(f"told to stop, the venue ended with status {status}:\n{venue.said()[-2000:]}")
    say(summary(done, time.monotonic() - begun))


def summary(done: list[Round], seconds: float) -> str:
    kills = Counter(one.fault for one in done)
    return (
        f"{len(done)} rounds in {seconds:.0f} s, no violation: "
        f"{sum(one.acknowledged for one in done)} acknowledged requests are all there, once; "
        f"{sum(one.in_doubt for one in done)} in doubt had one answer; killed "
        + ", ".join(f"{fault} {times} times" for fault, times in kills.items())
        + f"; slowest restart {max((one.ready_s for one in done), default=0.0):.1f} s"
    )


def open_market(venue: Venue, clients: int) -> Market:
    """A merchant with a listing at a posted price and one in a book, and rich buyers."""
    merchant = venue.merchant()
    product = venue.product(merchant)
    posted = venue.listing(merchant, product, price_fen=10)
    book = venue.book_listing(merchant, supply_units=UNITS)
    buyers = [venue.buyer(cash_fen=CASH_FEN) for _ in range(clients)]
    for buyer in buyers:
        venue.agree(buyer, posted)
        venue.agree(buyer, book)
    return Market(venue, posted, book, [Memory(person) for person in (merchant, *buyers)])


def run_round(market: Market, line: Round, moments: random.Random) -> Round:
    """Load, fault, examination."""
    traders = [_trader(market, memory.person, moments) for memory in market.memories]
    for one in traders:
        one.start()
    try:
        wait_for_answers(traders)
        time.sleep(moments.uniform(0, LONGEST_WAIT_S))
        strike(market.venue, line, traders)
    finally:
        stop(traders)
    if market.venue.process is None:
        line.verified_s.append(verify(market.venue))
        line.ready_s = timed(market.venue.restart)
    market.venue.wait_until_ready()
    line.acknowledged = sum(one.did.acknowledged for one in traders)
    line.in_doubt = sum(one.did.in_doubt for one in traders)
    examine(market, traders, moments)
    line.verified_s.append(verify(market.venue))
    return line


def _trader(market: Market, person: Person, moments: random.Random) -> Trader:
    kind = Seller if person is market.memories[0].person else Buyer
    return kind(person, market.posted, market.book, f"{moments.random()}")


def wait_for_answers(traders: list[Trader]) -> None:
    goal = [one.answered + FIRST_ANSWERS for one in traders]
    deadline = time.monotonic() + PATIENCE_S
    while any(one.answered < needed for one, needed in zip(traders, goal, strict=True)):
        if time.monotonic() > deadline:
            raise Violation(f"requests are no longer answered: {[one.answered for one in traders]}")
        time.sleep(0.005)


def stop(traders: list[Trader]) -> None:
    for one in traders:
        one.ending.set()
    for one in traders:
        one.join(timeout=PATIENCE_S)
        if one.is_alive():
            raise Violation(f"a request of {one.name} was never answered")


# ---- faults


def strike(venue: Venue, line: Round, traders: list[Trader]) -> None:
    """kill -9. A PostgreSQL that dies alone comes back while the clients go on."""
    if line.fault in ("postgresql", "both"):
        os.kill(postgres_pid(venue), signal.SIGKILL)
    if line.fault in ("venue", "both"):
        venue.kill()
    else:
        line.ready_s = timed(lambda: wait_for_answers(traders))


def postgres_pid(venue: Venue) -> int:
    """Of the embedded server, from the note that it leaves in the data folder."""
    return int(json.loads((venue.data / "postgres.json").read_text())["server_pid"])


def timed(deed: Callable[[], Any]) -> float:
    begun = time.monotonic()
    deed()
    return time.monotonic() - begun


# ---- examination


def verify(venue: Venue) -> float:
    """Seconds that `shuji verify` took. Raises Violation with the first difference."""
    begun = time.monotonic()
    checked = shuji("verify", "--data", str(venue.data), seconds=600)
    if checked.returncode != 0:
        raise Violation(f"verify: {checked.stdout.strip() or checked.stderr.strip()}")
    return time.monotonic() - begun


def examine(market: Market, traders: list[Trader], moments: random.Random) -> None:
    """Ask for everything that was answered, each client for its own. Raises the first violation."""
    seeds = [moments.random() for _ in traders]
    with ThreadPoolExecutor(len(traders)) as pool:
        found = list(pool.map(_violations, market.memories, traders, seeds))
    wrong = [violation for violations in found for violation in violations]
    if wrong:
        raise Violation(f"{wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""))


def _violations(memory: Memory, one: Trader, seed: float) -> list[str]:
    memory.orders.update(one.did.orders)
    return [*one.surprises, *_examined(memory, one.did, random.Random(seed))]


def _examined(memory: Memory, did: Memory, chosen: random.Random) -> Iterator[str]:
    yield from trader.settle_doubt(did)
    yield from trader.check_repeated(did, chosen)
    yield from trader.check_by_id(did, chosen)
    yield from trader.check_listed_once(memory)
    yield from trader.check_cancels(did)
    yield from trader.check_steps(did)


if __name__ == "__main__":
    sys.exit(main())
