"""The whole of it once: `make drill`, `python -m loadtests.drill [--orders N] [--seed S]`.

    twice: an empty venue, both files of the shared data imported (98 paid APIs, 531 open data sets), then a trading day
    over them and over its own, with kill -9 in the middle; `verify` clean; both days must be the same day
    and of the first: a backup from before the day on, restored to a minute within it, `verify` clean there, its journal
    the beginning of the one that went on

Prints what happened; status 1 on the first difference. About ten minutes with 20,000 orders.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from exchange.postgres import open_database
from loadtests.client import SHARED, Person, Venue, shuji

FILES: Final = {
    "priced_api": ("priced_api_listings.jsonl", 98),
    "open_data": ("open_data_registry.jsonl", 531),
}
"""Profile: (file, rows)."""
LONG_S: Final = 3_600


class Failed(Exception):
    """The text says what is not as it must be."""


@dataclass
class Played:
    """A day on a venue of its own, and what became of it."""

    data: Path
    told: dict[str, Any]
    minute: datetime
    """An instant within the trading, by this machine's clock."""


def run(*arguments: str) -> str:
    """A command that must succeed; what it printed."""
    ran = shuji(*arguments, seconds=LONG_S)
    if ran.returncode:
        raise Failed(f"shuji {arguments[0]}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return ran.stdout


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}  {text}", flush=True)


# ---- import


def import_everything(data: Path) -> None:
    """Both files, each by a merchant of its own whose key stays in the folder: the day trades over them."""
    venue = Venue(data).start()
    try:
        reviewer = venue.key_file(venue.reviewer())
        for profile, (file, rows) in FILES.items():
            merchant = venue.merchant()
            began = time.monotonic()
            told = _import(venue, merchant, reviewer, profile, SHARED / "data" / file)
            if (told["imported"], told["states"]) != (rows, {"published": rows}):
                raise Failed(f"{file}: {told}")
            say(f"{rows} rows of {file} in {time.monotonic() - began:.1f} s")
        reviewer.unlink()
    finally:
        venue.close()


def _import(venue: Venue, merchant: Person, reviewer: Path, profile: str, file: Path) -> dict[str, Any]:
    facts = venue.data / f"{profile}.toml"
    facts.write_text(run("import", "--example-profile", profile))
    people = ("--merchant", str(venue.key_file(merchant)), "--reviewer", str(reviewer))
    prices = ("--rate", "USDC=7.10", "--base-url", "https://api.merchant.example")
    place = ("--board", "general", "--profile", str(facts), "--url", venue.url, "--json")
    told: dict[str, Any] = json.loads(run("import", str(file), *people, *prices, *place))
    return told


# ---- the day


def play(data: Path, seed: str, orders: int) -> Played:
    """With kill -9 at up to three seeded moments; notes an instant while it is under way."""
    minute: list[datetime] = []
    over = threading.Event()
    watcher = threading.Thread(target=_note_minute, args=(data, minute, over))
    watcher.start()
    try:
        told = json.loads(
            run("day", "--seed", seed, "--orders", str(orders), "--data", str(data), "--kill", "3", "--json")
        )
    finally:
        over.set()
        watcher.join()
    if told["differences"] or not told["restarts"] or told["imported_listings"] != 629:
        raise Failed(
            f"the day: {told['differences'][:3]}, {told['restarts']} restarts, {told['imported_listings']}"
        )
    run("verify", "--data", str(data))
    return Played(data, told, minute[0])


def _note_minute(data: Path, minute: list[datetime], over: threading.Event) -> None:
    """The first instant at which the day has traded."""
    while not over.wait(0.5):
        dsn = _running_dsn(data)
        if dsn and not minute and asyncio.run(_trades(dsn)) > 50:
            minute.append(datetime.now(UTC))
            return
    minute.append(datetime.now(UTC))


def _running_dsn(data: Path) -> str:
    try:
        return str(json.loads((data / "postgres.json").read_text())["dsn"])
    except (FileNotFoundError, json.JSONDecodeError):
        return ""


async def _trades(dsn: str) -> int:
    """0 where the server is not there now."""
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return 0
    try:
        return int(await connection.fetchval("SELECT count(*) FROM trade"))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return 0
    finally:
        await connection.close()


# ---- restore


def restore(played: Played, backups: Path, to: Path) -> None:
    """To the minute: verify is clean, and the journal is the beginning of the one that went on."""
    run("restore", "--from", str(backups), "--to", played.minute.isoformat(), "--data", str(to))
    run("verify", "--data", str(to))
    ends = [asyncio.run(_end(folder)) for folder in (to, played.data)]
    (sequence, checksum), (last, _) = ends
    if not 0 < sequence < last or asyncio.run(_checksum(played.data, sequence)) != checksum:
        raise Failed(f"restored to journal {sequence} of {last}, which is not its beginning")
    say(f"restored to {played.minute:%H:%M:%S}: journal {sequence} of {last}, verify clean")


async def _end(data: Path) -> tuple[int, bytes]:
    async with open_database(data) as database:
        connection = await asyncpg.connect(database.dsn)
        row = await connection.fetchrow(
            "SELECT sequence, checksum FROM journal ORDER BY sequence DESC LIMIT 1"
        )
        await connection.close()
    return row["sequence"], row["checksum"]


async def _checksum(data: Path, sequence: int) -> bytes:
    async with open_database(data) as database:
        connection = await asyncpg.connect(database.dsn)
        found: bytes = await connection.fetchval("SELECT checksum FROM journal WHERE sequence = $1", sequence)
        await connection.close()
    return found


# ---- the whole


def drill(folder: Path, seed: str, orders: int) -> None:
    played = []
    backups = folder / "backups"
    for name in ("first", "second"):
        data = folder / name
        import_everything(data)
        if name == "first":
            run("backup", "--data", str(data), "--to", str(backups))
        played.append(play(data, seed, orders))
        told = played[-1].told
        say(
            f"{name} day: {told['orders']} orders, {told['settled']} settled, {told['held']} held, "
            f"{sum(told['refused_by_rule'].values())} refused by {len(told['refused_by_rule'])} rules, "
            f"{told['delivered']} delivered, {told['refunded']} refunded in {told['traded_seconds']} s; "
            f"killed {told['restarts']} times; verify clean; digest {told['digest'][:16]}"
        )
    if played[0].told["digest"] != played[1].told["digest"]:
        raise Failed("the two days differ")
    say("both days are the same day")
    restore(played[0], backups, folder / "restored")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--seed", default="2026")
    wanted = parser.parse_args()
    if not (SHARED / "data").is_dir():
        print("drill: there is no shared data here; name its folder with SHUJI_SHARED", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="shuji-drill-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL may run as another user
        try:
            drill(folder, wanted.seed, wanted.orders)
        except Failed as failure:
            say(f"FAILED  {failure}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
