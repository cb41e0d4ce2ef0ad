"""The desk's overview: what its parts show, rendered on the server in both tongues, and the parts that changed.

`Overview` renders at most once a second and tongue, however many look. A part is HTML; readers are sent those that are
not what they were sent before.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from exchange.events import OrderRefused, TradeRefused
from exchange.monitor import Latest, Monitor, Sight
from exchange.web import alerts
from exchange.web.desk import Desk
from exchange.web.phrases import Tongue, said, speaker, state_words
from exchange.web.problem import TITLES

PARTS: Final = (
    "state",
    "tiles",
    "curve",
    "rules",
    "latest",
    "halts",
    "alerts",
    "deliveries",
    "engine",
    "server",
)
FRESH_S: Final = 0.9
RULES: Final = 10
CODES: Final = 6
ALERTS: Final = 4
CURVE_HEIGHT: Final = 92
BEIJING: Final = timezone(timedelta(hours=8))

ENVIRONMENT: Final = Environment(
    loader=PackageLoader("exchange.web", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


# ---- how values are read


def _local(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).astimezone(BEIJING)


def when(at_ns: int) -> str:
    """Beijing time, to the second."""
    return _local(at_ns).strftime("%Y-%m-%d %H:%M:%S") if at_ns else "–"


def minute(at_ns: int) -> str:
    """Beijing time without the year, to the minute."""
    return _local(at_ns).strftime("%m-%d %H:%M")


def clock(at_ns: int) -> str:
    return _local(at_ns).strftime("%H:%M:%S")


def thousands(value: int) -> str:
    return f"{value:,}"


def yuan(fen: int) -> str:
    return f"¥{fen // 100:,}.{fen % 100:02}"


def size(count: int) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 10_000:
            return f"{count:,} {unit}"
        count //= 1_000
    return f"{count:,} TB"


def words_of(tongue: Tongue) -> dict[str, Any]:
    """What every template may call."""
    return {
        "tongue": tongue,
        "t": speaker(tongue),
        "when": when,
        "clock": clock,
        "minute": minute,
        "n": thousands,
        "yuan": yuan,
        "size": size,
        "state": lambda state: state_words(tongue, state),
    }


# ---- what the parts show


def _state(sight: Sight, tongue: Tongue) -> dict[str, Any]:
    """One line on how the venue is, and what is wrong with it."""
    t, status, halts = speaker(tongue), sight.status, sight.standing.halts
    bad = [
        t(name)
        for name, is_so in (
            ("not_ready", not status["ready"]),
            ("database_down", bool(sight.server.failure) or status["database_stuck"]),
            ("tables_down", sight.projector not in ("following", "starting")),
            ("dates_down", status["dates_stopped"]),
            ("rules_misfit", bool(status["rulebook_misfits"])),
            ("clock_down", status["clock_alarm_seconds"] > 0),
            ("quarantined", status["quarantined"] > 0),
        )
        if is_so
    ]
    market = any(halt.scope == "market" for halt in halts)
    headline = "market_halted" if market else "some_halted" if halts else "troubled" if bad else "all_well"
    mood = "bad" if bad or market else "warn" if halts else ""
    return {"headline": headline, "troubles": bad, "mood": mood}


def _tile(name: str, figure: str, note: str, bad: bool = False) -> dict[str, Any]:
    return {"name": name, "figure": figure, "note": note, "bad": bad}


def _tiles(desk: Desk, sight: Sight, tongue: Tongue) -> list[dict[str, Any]]:
    """Today's figures, and all that were counted where these differ. A simulated clock leaps over days, so that there all
    that were counted come first.
    """
    t, tally, dues = speaker(tongue), desk.monitor.tally, sight.dues
    leaps = desk.engine.simulated

    def shown(name: str, today: int, whole: int, rest: str) -> dict[str, Any]:
        if today == whole:
            return _tile(name, thousands(today), rest)
        if leaps:
            return _tile(name, thousands(whole), f"{t('today')} {thousands(today)}")
        return _tile(name, thousands(today), f"{t('ever')} {thousands(whole)}")

    def counted(what: str, rest: str) -> dict[str, Any]:
        return shown(what, tally.today(what), tally.ever(what), rest)

    unlawful = tally.ever("refused", "unlawful") + tally.ever("trades_refused")
    refused = tally.today("refused") + tally.today("trades_refused")
    refused_ever = tally.ever("refused") + tally.ever("trades_refused")
    overdue = thousands(dues.overdue) if dues.known else "–"
    soon = f"{t('due_soon')} {thousands(dues.due_soon)}" if dues.known else t("not_known")
    return [
        counted("orders", f"{t('open_orders')} {thousands(sight.standing.orders)}"),
        counted("fills", f"{t('open_trades')} {thousands(sight.standing.trades)}"),
        counted("settled", yuan(tally.ever("settled_fen"))),
        _tile("held", thousands(sight.standing.holds), f"{t('held_today')} {thousands(tally.today('held'))}"),
        shown("refused", refused, refused_ever, f"{t('of_them_unlawful')} {thousands(unlawful)}"),
        _tile("overdue", overdue, soon, bad=dues.overdue > 0),
    ]


def _curve(rates: list[float]) -> dict[str, Any]:
    """The points of a line and of the area under it, in a box of `width` by 100."""
    peak = max(rates, default=0.0)
    width = max(len(rates) - 1, 1)
    heights = [100 - CURVE_HEIGHT * rate / peak if peak else 99 for rate in rates] or [99, 99]
    points = " L".join(f"{place} {height:.1f}" for place, height in enumerate(heights))
    return {
        "width": width,
        "line": f"M{points}",
        "area": f"M0 100 L{points} L{width} 100 Z",
        "now": f"{rates[-1] if rates else 0:,.1f}",
        "peak": f"{peak:,.1f}",
    }


def _rules(desk: Desk, tongue: Tongue) -> list[dict[str, Any]]:
    """Rules by how often they refused today, then ever; a hold and a want of facts are said to be that."""
    tally, known = desk.monitor.tally, desk.reasons.rulebook.rules
    rows: list[dict[str, Any]] = []
    for what, how in (("rule", ""), ("undecided", "undecided"), ("holding_rule", "holding")):
        for rule, ever in tally.kinds(what).items():
            message = said(tongue, (known[rule].message.zh, known[rule].message.en)) if rule in known else ""
            rows.append(
                {"id": rule, "how": how, "message": message, "today": tally.today(what, rule), "ever": ever}
            )
    rows.sort(key=lambda row: (-row["today"], -row["ever"], row["id"]))
    shared = "today" if any(row["today"] for row in rows) else "ever"
    most = max([row[shared] for row in rows], default=0)
    for row in rows:
        row["share"] = round(100 * row[shared] / most) if most else 0
    return rows[:RULES]


def code_words(tongue: Tongue, code: str) -> str:
    """A refusal's code, a trade's verdict, or how a hold ended."""
    return said(tongue, TITLES[code]) if code in TITLES else state_words(tongue, code)


def _codes(monitor: Monitor, tongue: Tongue) -> list[dict[str, Any]]:
    tally = monitor.tally
    return [
        {"id": code, "message": code_words(tongue, code), "today": tally.today("refused", code), "ever": ever}
        for code, ever in tally.kinds("refused").items()
        if code != "unlawful"
    ][:CODES]


def rules_of(event: OrderRefused | TradeRefused) -> tuple[str, ...]:
    return (*event.violated, *(rule for rule, _ in event.unknown))


def _latest(desk: Desk, one: Latest, tongue: Tongue) -> dict[str, Any]:
    event, known = one.event, desk.reasons.rulebook.rules
    if isinstance(event, OrderRefused):
        what, who, detail = code_words(tongue, event.code), event.participant, event.detail
    else:
        what, who, detail = f"{event.trade} {code_words(tongue, event.outcome)}", event.buyer, ""
    told = [
        f"{rule} {said(tongue, (known[rule].message.zh, known[rule].message.en))}"
        for rule in rules_of(event)
        if rule in known
    ]
    return {
        "place": f"{one.sequence}.{one.at_ns}",
        "at_ns": one.at_ns,
        "what": what,
        "who": who,
        "listing": event.listing,
        "why": "；".join(told) or detail,
    }


def alert_row(alert: Any, tongue: Tongue) -> dict[str, Any]:
    return {
        "id": alert.id,
        "title": said(tongue, alerts.WORDS[alert.kind]),
        "at_ns": alert.at_ns,
        "last_ns": alert.last_ns,
        "times": alert.times,
        "listing": alert.listing,
        "parties": alert.parties,
        "measures": alert.measures,
        "evidence": alert.evidence,
    }


def _projector(sight: Sight, tongue: Tongue) -> str:
    t = speaker(tongue)
    return t(sight.projector) if sight.projector in ("following", "starting") else t("standing_still")


def content(desk: Desk, sight: Sight, tongue: Tongue) -> dict[str, Any]:
    """What the templates of all parts read."""
    monitor = desk.monitor
    return {
        **words_of(tongue),
        **_state(sight, tongue),
        "sight": sight,
        "server": sight.server,
        "dues": sight.dues,
        "now_ns": sight.standing.now_ns,
        "simulated": desk.engine.simulated,
        "since_ns": monitor.tally.since_ns,
        "counted_whole": monitor.tally.since_ns <= monitor.tally.day_ns,
        "tiles": _tiles(desk, sight, tongue),
        "curve": _curve(monitor.rates()),
        "rules": _rules(desk, tongue),
        "codes": _codes(monitor, tongue),
        "latest": [_latest(desk, one, tongue) for one in monitor.latest],
        "halts": sight.standing.halts,
        "alerts": [alert_row(one, tongue) for one in monitor.surveillance.alerts[:ALERTS]],
        "projector": _projector(sight, tongue),
        "delivered_today": monitor.tally.today("delivered"),
        "missed_today": monitor.tally.today("refunded", "miss"),
    }


class Overview:
    """The parts as they were rendered last, by tongue."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = asyncio.Lock()
        self._rendered: dict[Tongue, tuple[float, Mapping[str, str]]] = {}
        self._templates = {name: ENVIRONMENT.get_template(f"parts/{name}.html") for name in PARTS}

    async def content(self, tongue: Tongue) -> dict[str, Any]:
        return content(self._desk, await self._desk.monitor.sight(), tongue)

    async def parts(self, tongue: Tongue) -> Mapping[str, str]:
        """One rendering at a time: whoever comes meanwhile waits for it and shares it."""
        async with self._lock:
            at_s, parts = self._rendered.get(tongue, (float("-inf"), {}))
            if time.monotonic() - at_s < FRESH_S:
                return parts
            shown = await self.content(tongue)
            rendered = {name: template.render(shown) for name, template in self._templates.items()}
            self._rendered[tongue] = (time.monotonic(), rendered)
            return rendered
