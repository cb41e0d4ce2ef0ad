"""`shuji day`: a whole trading day played over HTTP, compared with what was planted; status 1 on any difference."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exchange import keys
from exchange.settings import venue_url
from exchange.terminal import Arguments, UsageError, command, print_json, say

SHOWN_DIFFERENCES = 50
WORDS = (
    ("orders", "订单", "orders"),
    ("settled", "成交", "settled"),
    ("held", "暂缓", "held"),
    ("resting", "挂单", "resting at once"),
    ("delivered", "交付", "delivered"),
    ("completed", "完成", "completed"),
    ("refunded", "退款", "refunded"),
    ("released", "暂缓到期或被撤销", "held and released"),
)


def add(commands: Any) -> None:
    said = "play a trading day over HTTP and compare it with what was planted; status 1 on any difference"
    parser = command(commands, "day", run_day, said)
    parser.add_argument("--seed", required=True, help="any text; the same seed gives the same day")
    parser.add_argument("--orders", metavar="N", type=int, default=1_000, help="how many (default 1000)")
    parser.add_argument(
        "--url",
        help="a venue on a simulated clock, which the day moves on by one to three months; default: one of its own",
    )
    parser.add_argument("--operator", metavar="KEYFILE", help="the operator's key of the venue at --url")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="data folder of the own venue; published listings of merchants whose *.key lie here are ordered too",
    )
    parser.add_argument(
        "--kill", metavar="K", type=int, default=0, help="kill -9 the own venue at K seeded moments"
    )


def run_day(arguments: Arguments) -> int:
    from exchange.day.people import merchants_in, operator_key

    if arguments.orders < 1 or arguments.kill < 0:
        raise UsageError("--orders is at least 1, --kill at least 0")
    if arguments.url and (arguments.kill or not arguments.operator):
        raise UsageError("with --url name the operator's key (--operator); a venue elsewhere is not killed")
    began = time.monotonic()
    with _folder(arguments.data) as data, _venue(arguments, data) as keeper:
        operator = operator_key(Path(arguments.operator or data / "operator.key"))
        report = _play(
            arguments, keeper, operator, lambda door: tuple(_guests(merchants_in(door, data), operator))
        )
    report |= {"seconds": round(time.monotonic() - began, 1)}
    if arguments.json:
        print_json(report)
    else:
        print("\n".join(table(report)))
    return 1 if report["differences"] else 0


def _guests(merchants: Iterator[Any], operator: keys.Key) -> Iterator[Any]:
    return (one for one in merchants if one.participant != operator.participant)


@contextmanager
def _folder(chosen: str | None) -> Iterator[Path]:
    """The data folder; a passing one is removed in the end."""
    if chosen:
        yield Path(chosen)
        return
    with tempfile.TemporaryDirectory(prefix="shuji-day-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL's own user must get through when this runs as root
        yield Path(folder) / "data"


@contextmanager
def _venue(arguments: Arguments, data: Path) -> Iterator[Any]:
    from exchange.day.keeper import Elsewhere, OwnVenue

    if arguments.url:
        yield Elsewhere(venue_url(os.environ, arguments.url))
        return
    venue = OwnVenue(data)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        venue.start()
        yield venue
    finally:
        venue.stop()
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: Any) -> None:
    """Told to stop: through the `finally` of everybody, so that the own venue is stopped too."""
    raise KeyboardInterrupt


def _play(arguments: Arguments, keeper: Any, operator: keys.Key, guests: Any) -> dict[str, Any]:
    """The day from opening to close, with a progress bar on a terminal."""
    from tqdm import tqdm

    from exchange.day.door import Door
    from exchange.day.people import Town
    from exchange.day.play import Day, check_clock

    door = Door(keeper.url, keeper)
    try:
        check_clock(door)
        day = Day(Town(door, operator), keeper, arguments.seed, arguments.orders, guests(door))
        planner = day.open()
        turns = planner.trading()
        if arguments.kill:
            keeper.plan_kills(arguments.kill, len(turns), arguments.seed)
        began = time.monotonic()
        orders = sum(len(turn.orders) for turn in turns)
        if planner.planned > arguments.orders:
            say(f"a day that meets every rule has {planner.planned} orders")
        with tqdm(total=orders, unit="order", disable=True if arguments.json else None) as bar:
            day.trade(turns, bar.update)
        traded_s = time.monotonic() - began
        return _report(arguments, day, keeper, traded_s)
    finally:
        door.close()


def _report(arguments: Arguments, day: Any, keeper: Any, traded_s: float) -> dict[str, Any]:
    from exchange.day.stalls import UNPLANTED

    grades = day.close()
    day.check_rules()
    report: dict[str, Any] = {"seed": arguments.seed, **day.book.summary()}
    report["guarded"] = day.guards_met()
    report["unplanted"] = list(UNPLANTED)
    report["grades"] = grades
    report["imported_listings"] = len(day.market.imported)
    report["restarts"] = keeper.restarts
    report["traded_seconds"] = round(traded_s, 1)
    report["digest"] = day.book.digest(grades)
    report["differences"] = list(day.book.differences())
    return report


# ---- for people


def table(report: dict[str, Any]) -> Iterator[str]:
    """The day in both languages."""
    from exchange.day.stalls import GUARDED, UNPLANTED

    yield f"交易日 trading day  seed {report['seed']}  {report['seconds']} s"
    if report["imported_listings"]:
        yield f"  {report['imported_listings']:>8}  参与的已导入挂牌 imported listings that took part"
    yield from (f"  {report[name]:>8}  {zh} {en}" for name, zh, en in WORDS)
    yield "按规则拒绝 refused by rule"
    yield from _columns(report["refused_by_rule"])
    yield "按规则暂缓 held by rule"
    yield from _columns(report["held_by_rule"])
    yield "其他拒绝 refused otherwise"
    others = {code: times for code, times in report["refused"].items() if code != "unlawful"}
    yield from (f"  {times:>8}  {code}" for code, times in others.items())
    yield "前置把关、无法经接口触及的规则 rules that a guard stands before"
    yield from (f"  {times:>8}  {rule}: {GUARDED[rule]}" for rule, times in report["guarded"].items())
    yield "当日未设陷阱的规则 rules that a day breaks nowhere"
    yield from (f"            {rule}: {why}" for rule, why in UNPLANTED.items())
    yield "各交易方式成交 trades by mechanism"
    yield from _columns(report["mechanisms"])
    yield "各板块成交 trades by board"
    yield from _columns(report["boards"])
    yield "数据商信用等级 merchants' grades"
    yield from (f"  {grade:>8}  {label}" for label, grade in report["grades"].items())
    if report["restarts"]:
        yield f"场所中途被杀后重启 the venue was started again after a kill: {report['restarts']}"
    differences = report["differences"]
    yield f"与预设不符 differences: {len(differences)}"
    yield from (f"  {text}" for text in differences[:SHOWN_DIFFERENCES])
    if len(differences) > SHOWN_DIFFERENCES:
        yield "  --json has them all"
    yield f"digest {report['digest']}"


def _columns(counts: dict[str, int]) -> Iterator[str]:
    pairs = [f"{rule} {times:>5}" for rule, times in counts.items()]
    for start in range(0, len(pairs), 6):
        yield "  " + "   ".join(pairs[start : start + 6])
