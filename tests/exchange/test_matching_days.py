"""Random days of 100,000 commands: what happens to each kind of order, and that it happens in both books alike.

`SHUJI_TWIN_DAYS=10` plays ten of them instead of one.
"""

import os
import subprocess
import sys

import pytest

from tests.exchange.market_day import INSTRUMENT, LABELS, Day, Law, Tally, stands
from tests.exchange.two_books import TwoBooks

COMMANDS = 100_000
DAYS = int(os.environ.get("SHUJI_TWIN_DAYS", "1"))
AT_LEAST = 100

NEVER = {
    "entered": "",
    "refused duplicate": "",
    "refused quantity": "",
    "refused conditions": "",
    "refused phase": "",
    "refused lot": "",
    "refused tick": "market",
    "refused collar": "market",
    "refused too_late": "market stop ioc fok all_or_none",
    "filled taker": "post_only",
    "filled maker": "market stop ioc fok",
    "filled called": "market stop ioc fok all_or_none",
    "barred taker": "",
    "barred maker": "market stop ioc fok",
    "refilled": "market stop ioc fok all_or_none",
    "reduced": "all_or_none",
    "came in stop": "limit market post_only",
    "came in all_or_none": "market stop ioc fok post_only iceberg minimum decrement",
    "came in crossed": "market stop ioc fok",
    "replaced keeps": "market",
    "replaced loses": "market",
    "closed cancelled": "market",
    "closed disconnected": "market",
    "closed expired": "market gtc ioc fok",
    "closed ioc": "post_only iceberg",
    "closed fok": "stop gtc gtd day ioc post_only iceberg minimum all_or_none",
    "closed minimum_quantity": "fok post_only all_or_none",
    "closed post_only": "market stop stop_limit ioc fok minimum all_or_none",
    "closed all_or_none": "market stop fok post_only iceberg minimum decrement",
    "closed self_trade": "",
}
"""What may happen to an order, and the kinds to which `docs/MATCHING.md` never lets it happen: a market order never
rests, a stop without price is ioc once it comes in, whatever it was, and an all-or-none is filled whole or not at all.
Two kinds that no order is at once (an iceberg that is ioc) exclude each other's ends."""


def play(seed: int, commands: int) -> tuple[TwoBooks, Tally]:
    """Both books answer alike, command by command, and the same orders stand in them. The law changes while orders do
    not meet; the fast book is restarted from its snapshot now and then."""
    law = Law()
    books = TwoBooks(INSTRUMENT, law.may_trade, stands)
    day, tally = Day(seed, books.twin), Tally()
    for number in range(commands):
        command = day.command()
        tally.note(command, books.execute(command))
        if number % 10 == 0:
            books.check()
        if number % 500 == 0:
            books.restart()
        if number % 50 == 0 and books.phase != "continuous":
            law.version += 1
            books.law_changed()
    return books, tally


@pytest.mark.parametrize("seed", range(1, DAYS + 1))
def test_both_books_answer_100_000_commands_alike_and_each_pair_occurs(seed: int) -> None:
    _, tally = play(seed, COMMANDS)
    seen = {happening for happening, _ in tally.counts}
    assert seen == set(NEVER)
    for happening, never in NEVER.items():
        for label in LABELS:
            count = tally.counts[happening, label]
            if label in never.split():
                assert count == 0, (happening, label)
            else:
                assert count >= AT_LEAST, (happening, label, count)
    others = ("uncrossed", "nothing crossed", "refused unknown", "refused phase")
    phases = ("closed", "pre_open", "call_auction", "continuous", "halted")
    for other in (*others, *(f"moved {phase}" for phase in phases)):
        assert tally.others[other] >= AT_LEAST, other


def test_equal_commands_give_equal_hashes_whatever_the_hash_seed() -> None:
    code = "from tests.exchange.test_matching_days import play; print(play(3, 2_000)[0].fast.sha256())"
    hashes = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("0", "1", "4711")
    ]
    assert len(set(hashes)) == 1
    assert len(hashes[0].strip()) == 64
