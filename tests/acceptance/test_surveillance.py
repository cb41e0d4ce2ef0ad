"""Issue 3, surveillance, metrics, dashboard and alert rules: what is noticed, and that the files in docs are usable."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # of locust's and schemathesis' own needs

from tests.story import ROOT, Person, Venue, done, has_chinese, refused

DASHBOARD = ROOT / "docs" / "grafana" / "shuji.json"
RULES = ROOT / "docs" / "prometheus" / "alerts.yml"
BOTH = ["market_analysis", "advertising"]  # the second was never authorised: B04
PLENTY = 60  # of anything that is to be noticed


def alerts(venue: Venue, kind: str) -> list[dict[str, Any]]:
    return [row for row in venue.operator.every("/v1/alerts", limit=100) if row["kind"] == kind]


def sold(venue: Venue, seller: Person, buyer: Person, listing: str, limit_fen: int) -> None:
    done(venue.order(seller, listing, side="sell", limit_fen=limit_fen), 201)
    done(venue.order(buyer, listing, limit_fen=limit_fen), 201)


def cancels(venue: Venue) -> Person:
    """Somebody who bids and takes it back, and buys nothing."""
    listing, nervous = venue.book_listing(venue.merchant(), price_per_units=1), venue.buyer()
    for _ in range(PLENTY):
        order = done(venue.order(nervous, listing, limit_fen=1), 201)["order"]
        done(nervous.delete(f"/v1/orders/{order}"))
    return nervous


def refusals(venue: Venue) -> Person:
    listing, prober = venue.listing(venue.merchant(), purposes=BOTH), venue.buyer()
    for _ in range(PLENTY):
        refused(venue.order(prober, listing, purpose="advertising"), 422, "unlawful")
    return prober


def to_and_fro(venue: Venue) -> Person:
    """The same unit between two parties, again and again."""
    dealer, one, other = (venue.merchant("buyer") for _ in range(3))
    for person in (one, other):
        venue.cash_in(person, 1_000_000)
    listing = venue.book_listing(dealer, price_per_units=1)
    sold(venue, dealer, one, listing, 1_000)
    for _ in range(6):
        sold(venue, one, other, listing, 1_000)
        sold(venue, other, one, listing, 1_000)
    return one


def off_the_tape(venue: Venue) -> Person:
    """After many trades at 1,000 fen, one at ten times that."""
    dealer, one, other = venue.merchant(), venue.buyer(), venue.buyer()
    listing = venue.book_listing(dealer, price_per_units=1)
    for _ in range(12):
        sold(venue, dealer, one, listing, 1_000)
    sold(venue, dealer, other, listing, 10_000)
    return other


@pytest.mark.parametrize(
    ("kind", "conduct"),
    [
        ("cancel_ratio", cancels),
        ("refusal_burst", refusals),
        ("wash_flow", to_and_fro),
        ("price_off_tape", off_the_tape),
    ],
)
def test_conduct_is_noticed_with_its_evidence(
    venue: Venue, kind: str, conduct: Callable[[Venue], Person]
) -> None:
    person = conduct(venue)
    found = [row for row in alerts(venue, kind) if person.participant in row["parties"]]
    assert found, done(venue.operator.get("/v1/alerts"), 200)
    for alert in found:
        assert has_chinese(alert["title_zh"]), alert
        assert alert["title_en"], alert
        assert not has_chinese(alert["title_en"]), alert
        assert alert["evidence"], "an operator can look at what it is about"
    assert len(found) < PLENTY / 4, "not an alert for each order"


def test_ordinary_trade_raises_nothing(venue: Venue) -> None:
    before = done(venue.operator.get("/v1/alerts"), 200)["items"]
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    for _ in range(8):
        venue.complete(merchant, buyer, venue.trade(buyer, listing))
    new = [row for row in done(venue.operator.get("/v1/alerts"), 200)["items"] if row not in before]
    assert [row for row in new if {merchant.participant, buyer.participant} & set(row["parties"])] == []


def test_alerts_are_for_operators_and_auditors(venue: Venue) -> None:
    done(venue.auditor().get("/v1/alerts"), 200)
    for person in (venue.merchant(), venue.buyer()):
        refused(person.get("/v1/alerts"), 403, "forbidden")
    assert venue.http.get("/v1/alerts").status_code == 401


# ---- metrics


def figure(venue: Venue, name: str, labels: str = "") -> float:
    found = re.findall(rf"^{name}{re.escape(labels)} (\S+)$", venue.http.get("/metrics").text, re.MULTILINE)
    return sum(map(float, found))


def test_metrics_count_what_happened(venue: Venue) -> None:
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant, price_fen=777, purposes=BOTH)
    names = ("shuji_settled_fen_total", "shuji_fills_total", "shuji_commit_seconds_count")
    before = {name: figure(venue, name) for name in names}
    broken = figure(venue, "shuji_rule_violations_total", '{rule="B04"}')
    venue.trade(buyer, listing)
    refused(venue.order(buyer, listing, purpose="advertising"), 422, "unlawful")
    assert figure(venue, "shuji_settled_fen_total") == before["shuji_settled_fen_total"] + 777
    assert figure(venue, "shuji_fills_total") == before["shuji_fills_total"] + 1
    assert figure(venue, "shuji_commit_seconds_count") > before["shuji_commit_seconds_count"]
    assert figure(venue, "shuji_rule_violations_total", '{rule="B04"}') == broken + 1
    done(venue.operator.post("/v1/halts", {"scope": "listing", "subject": listing, "reason": "drill"}))
    try:
        assert figure(venue, "shuji_halts", '{scope="listing"}') == 1
    finally:
        done(
            venue.operator.post(
                "/v1/halts/resume", {"scope": "listing", "subject": listing, "reason": "over"}
            )
        )


def test_metrics_are_what_a_scraper_reads(venue: Venue) -> None:
    answer = venue.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "version=" in answer.headers["content-type"]
    for line in answer.text.splitlines():
        assert line.startswith("#") or re.fullmatch(
            r"[a-z_:][a-z0-9_:]*(\{[^}]*\})? [-+0-9.eEinfNa]+", line
        ), line
    assert "P1" not in re.findall(r'"([^"]*)"', answer.text), "no participant is a label"


# ---- the files of docs


def expressions() -> dict[str, str]:
    """PromQL by where it stands."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            found[f"panel {panel['title']} {target.get('refId')}"] = target["expr"]
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            found[f"rule {rule.get('alert') or rule.get('record')}"] = rule["expr"]
    return found


def test_each_expression_names_only_what_is_served(venue: Venue) -> None:
    text = venue.http.get("/metrics").text
    served = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    for histogram in re.findall(r"^# TYPE (\S+) histogram", text, re.MULTILINE):
        served |= {f"{histogram}_{part}" for part in ("bucket", "count", "sum")}
    for where, expression in expressions().items():
        named = set(re.findall(r"\b(?:shuji|process)_[a-z_]+\b", expression))
        assert named or "up" in expression, (where, expression)
        assert named <= served, (where, named - served)
        assert expression.count("(") == expression.count(")"), (where, expression)


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert board["title"]
    assert board["schemaVersion"] >= 30
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in board["panels"]:
        assert panel["title"], panel
        assert set(panel["gridPos"]) == {"h", "w", "x", "y"}, panel["title"]
    sources = re.findall(r'"uid": *"([^"]*)"', DASHBOARD.read_text())
    assert all("$" in uid or uid in (board.get("uid"), "-- Grafana --") for uid in sources), (
        "nobody's own source"
    )


def test_the_dashboard_shows_what_the_issue_names() -> None:
    text = " ".join(expressions().values())
    for name in (
        "orders",
        "fills",
        "settled",
        "held",
        "violations",
        "overdue",
        "queue_depth",
        "commit_seconds_bucket",
    ):
        assert f"shuji_{name}" in text or re.search(rf"shuji_\w*{name}", text), name
    assert re.search(r"engine_cpu_seconds_total.*/.*orders", text), "CPU per order"
    assert "0.99" in text
    assert "0.5" in text


def test_alert_rules_are_ones_that_prometheus_loads() -> None:
    names = []
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        assert group["name"]
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations", "keep_firing_for"}, rule
            assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0s")), rule
            assert rule["labels"]["severity"], rule
            assert rule["annotations"]["summary"], rule
            names.append(rule["alert"])
    assert len(set(names)) == len(names) >= 5


def test_metrics_from_elsewhere_need_a_token(venue: Venue) -> None:
    """A forwarded request is not from this machine; one with an operator's token may read."""
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    assert venue.http.get("/metrics", headers=forwarded).status_code in (401, 403)
    assert venue.operator.ask("GET", "/metrics", headers=forwarded).status_code == 200
