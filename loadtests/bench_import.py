"""Rows a second of `shuji import`, and how soon a venue is there again.

Import is the whole command as a merchant runs it, with the reviewer's key: read, declare, register, list, submit, approve,
publish. Beside it the same venue's answers to one small command after the other over one connection.
"""

import json
import time
from pathlib import Path

from msgspec import Struct

from loadtests.client import Person, Venue, done, shuji

COMMANDS_A_ROW = 5
SINGLES = 200


class Imported(Struct):
    """Rows a second of the import, and commands a second one by one."""

    rows: float
    singles: float


def measure(folder: Path, rows: int) -> Imported:
    """Of so many invented rows, on an empty venue of its own."""
    venue = Venue(folder).start()
    try:
        merchant, reviewer = venue.merchant(), venue.reviewer()
        singles = _singles(venue, merchant.participant)
        file, profile = folder / "rows.jsonl", folder / "profile.toml"
        file.write_text("".join(json.dumps(_row(number)) + "\n" for number in range(rows)))
        profile.write_text(shuji("import", "--example-profile", "priced_api").stdout)
        took = _import(venue, file, profile, merchant, reviewer)
    finally:
        venue.close()
    return Imported(rows / took, singles)


def _row(number: int) -> dict[str, object]:
    return {
        "name": f"Berth occupancy {number}",
        "description": "Ships at each berth, by the hour. 各泊位每小时在泊船舶。",
        "url": f"https://api.merchant.example/berths/{number}",
        "price_usdc": "0.005",
        "tags": ["port", "bench"],
    }


def _import(venue: Venue, file: Path, profile: Path, merchant: Person, reviewer: Person) -> float:
    """Seconds of the whole command."""
    started = time.perf_counter()
    ran = shuji(
        *("import", str(file), "--board", "general", "--rate", "USDC=7.10", "--url", venue.url, "--json"),
        *("--merchant", str(venue.key_file(merchant)), "--reviewer", str(venue.key_file(reviewer))),
        *("--profile", str(profile)),
        seconds=600,
    )
    took = time.perf_counter() - started
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return took


def _singles(venue: Venue, participant: str) -> float:
    """Commands a second that wait for each other: money booked in, a fen at a time."""
    operator, moment = venue.operator, time.time_ns()
    started = time.perf_counter()
    for number in range(SINGLES):
        body = {"participant": participant, "amount_fen": 1, "bank_reference": f"{moment}-{number}"}
        done(operator.post("/v1/cash-in", body), 201)
    return SINGLES / (time.perf_counter() - started)
