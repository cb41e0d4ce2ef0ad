"""`/metrics` for Prometheus: counters since this process started, gauges as they are at the scrape.

Nothing is kept for it on the way of an order: a scrape reads what `exchange.monitor` counts anyway. It may be read from
this machine, and from elsewhere with the token of an operator or auditor: it names no participant, but how a venue is
doing is not everybody's. Behind a proxy on this machine everybody would come from this machine, so a request that was
forwarded needs the token. Names follow Prometheus' conventions: base units, `_total` for what only rises.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

from litestar import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from exchange.monitor import BUCKETS_MS, Counts, Monitor, Sight
from exchange.surveillance import KINDS
from exchange.web.operation import Call, Operation

Metric = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

COUNTERS: Final[Mapping[str, tuple[str, str, str]]] = {
    "orders": ("shuji_orders", "side", "Orders accepted."),
    "closed": ("shuji_orders_closed", "reason", "Orders that ended unfilled or in part."),
    "refused": ("shuji_orders_refused", "code", "Orders refused with a kept refusal, by its code."),
    "fills": ("shuji_fills", "", "Fills, settled or held."),
    "settled": ("shuji_trades_settled", "mechanism", "Trades settled."),
    "settled_fen": ("shuji_settled_fen", "", "What was settled, in fen."),
    "held": ("shuji_trades_held", "", "Trades held for evidence."),
    "released": ("shuji_holds_released", "reason", "Holds that ended without settlement."),
    "trades_refused": ("shuji_trades_refused", "outcome", "Fills that clearing refused."),
    "rule": ("shuji_rule_violations", "rule", "Refusals in which a rule was violated."),
    "undecided": ("shuji_rule_undecided", "rule", "Refusals in which a rule lacked a fact."),
    "holding_rule": ("shuji_rule_holds", "rule", "Holds that a rule asked for."),
    "delivered": ("shuji_deliveries", "step", "Deliveries."),
    "delivery_rejected": ("shuji_deliveries_rejected", "", "Deliveries that the buyer rejected."),
    "completed": ("shuji_trades_completed", "step", "Trades completed."),
    "refunded": ("shuji_trades_refunded", "step", "Trades refunded; step miss: nothing came in time."),
    "quarantined": ("shuji_commands_quarantined", "", "Commands set aside."),
}
"""What is counted: name, label, help."""


def _counters(counts: Counts) -> Iterator[Metric]:
    for what, (name, label, told) in COUNTERS.items():
        metric = CounterMetricFamily(name, told, labels=[label] if label else None)
        found = {which: count for (kind, which), count in counts.items() if kind == what}
        for which, count in (found or ({} if label else {"": 0})).items():
            metric.add_metric([which] if label else [], count)
        yield metric


def _gauges(sight: Sight) -> Iterator[Metric]:
    status, server, dues = sight.status, sight.server, sight.dues
    values = {
        "shuji_ready": ("1 where the venue takes commands.", status["ready"]),
        "shuji_queue_depth": ("Commands that wait for the engine.", status["queue_depth"]),
        "shuji_journal_sequence": ("The journal's last row.", status["sequence"]),
        "shuji_projection_lag_rows": ("Journal rows that the query tables do not show yet.", sight.lag_rows),
        "shuji_projection_up": ("1 where the query tables follow.", sight.projector == "following"),
        "shuji_orders_open": ("Orders that rest in books.", sight.standing.orders),
        "shuji_holds_open": ("Trades that wait for evidence.", sight.standing.holds),
        "shuji_trades_open": ("Trades that are not finished.", sight.standing.trades),
        "shuji_dates_stopped": ("1 where what falls due cannot be done.", status["dates_stopped"]),
        "shuji_clock_alarm_seconds": (
            "How far the wall clock has jumped ahead.",
            status["clock_alarm_seconds"],
        ),
        "shuji_database_up": ("1 where PostgreSQL answers.", not server.failure),
    }
    if not server.failure:
        values |= {
            "shuji_database_connections": ("Connections to PostgreSQL.", server.connections),
            "shuji_database_max_connections": ("How many it allows.", server.most_connections),
            "shuji_database_size_bytes": ("The database on disk.", server.database_bytes),
            "shuji_database_answer_seconds": ("How long it took to answer.", server.answer_ms / 1000),
        }
    if dues.known:
        values |= {
            "shuji_deliveries_overdue": ("Deliveries whose date has passed.", dues.overdue),
            "shuji_deliveries_due_soon": ("Deliveries due within a day.", dues.due_soon),
        }
    for name, (told, value) in values.items():
        yield GaugeMetricFamily(name, told, value=float(value))
    halts = GaugeMetricFamily("shuji_halts", "What stands still, by scope.", labels=["scope"])
    for scope in ("listing", "board", "market"):
        halts.add_metric([scope], sum(halt.scope == scope for halt in sight.standing.halts))
    yield halts


def _latency(monitor: Monitor) -> HistogramMetricFamily:
    """Commits of the journal, cumulative as Prometheus has it."""
    buckets, total = [], 0
    for bound, count in zip((*BUCKETS_MS, float("inf")), monitor.commits, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound / 1000), total))
    metric = HistogramMetricFamily("shuji_commit_seconds", "Commits of the journal: how long each took.")
    metric.add_metric([], buckets, monitor.commit_ms_sum / 1000)
    return metric


class _Scrape(Collector):
    """What one scrape shows."""

    def __init__(
        self,
        monitor: Monitor,
        sight: Sight,
        engine_cpu_s: float,
        told: Mapping[str, int],
        age_s: float | None,
        key_age_s: float,
    ) -> None:
        self._monitor = monitor
        self._sight = sight
        self._engine_cpu_s = engine_cpu_s
        self._told = told
        self._backup_age_s = age_s
        self._key_age_s = key_age_s

    def collect(self) -> Iterator[Metric]:
        yield from _counters(self._monitor.fresh())
        yield from _gauges(self._sight)
        yield _latency(self._monitor)
        yield CounterMetricFamily(
            "shuji_engine_cpu_seconds", "CPU of deciding and encoding.", value=self._engine_cpu_s
        )
        told = CounterMetricFamily(
            "shuji_http_refusals", "Refusals answered over HTTP, by code.", labels=["code"]
        )
        for code, count in self._told.items():
            told.add_metric([code], count)
        yield told
        age = GaugeMetricFamily("shuji_backup_age_seconds", "How far the backup folder is behind.", labels=[])
        if self._backup_age_s is not None:
            age.add_metric([], self._backup_age_s)
        yield age
        yield GaugeMetricFamily(
            "shuji_venue_key_age_seconds", "How long the venue's key has signed.", value=self._key_age_s
        )
        alerts = CounterMetricFamily("shuji_alerts", "Surveillance alerts raised.", labels=["kind"])
        for kind in KINDS:
            alerts.add_metric([kind], self._monitor.surveillance.raised.get(kind, 0))
        yield alerts


_PROCESS: Final = CollectorRegistry()
ProcessCollector(registry=_PROCESS)
PlatformCollector(registry=_PROCESS)
GCCollector(registry=_PROCESS)


def is_near(scope: Any) -> bool:
    """Whether the request comes from this machine itself, and was not forwarded by something on it."""
    forwarded = {b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"}
    if any(name in forwarded for name, _ in scope["headers"]):
        return False
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


async def metrics(call: Call, asked: None) -> Response[bytes]:
    if not is_near(call.scope):
        await call.need_role("operator", "auditor", "regulator")
    desk = call.desk
    registry = CollectorRegistry()
    sight = await desk.monitor.sight()
    since_ns = await call.read(lambda state: state.venue_keys[state.venue_key].since_ns)
    ages = desk.backup_age_s(), (call.now_ns - since_ns) / 1e9
    registry.register(_Scrape(desk.monitor, sight, desk.engine.cpu_s, desk.reasons.told, *ages))
    body = generate_latest(registry) + generate_latest(_PROCESS)
    kind = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")  # Litestar says it
    return Response(body, media_type=kind, headers={"cache-control": "no-store"})


OPERATIONS: Final = (
    Operation("GET", "/metrics", metrics, "Figures for Prometheus (from this machine; else operator, auditor)",
              "operations", signed_in=False, bytes_out=True),
)  # fmt: skip
