"""Alerts for operators and auditors: what surveillance has noticed (`exchange.surveillance`), and a key that is too old."""

from typing import Annotated, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from credit.credential import method_of
from exchange.events import Refused
from exchange.issuing import KEY_DAYS, aged_key
from exchange.state import DAY_NS
from exchange.surveillance import Alert
from exchange.web.instant import text_of
from exchange.web.operation import Call, Operation, Paging
from exchange.web.problem import Refusing

WORDS: Final = {
    "related_parties": ("关联方成交", "A trade between related parties"),
    "wash_flow": ("疑似对敲：来回成交", "Wash-like flow: sold and bought back"),
    "price_off_tape": ("成交价偏离行情", "Price far off the tape"),
    "cancel_ratio": ("撤单率过高", "High cancel ratio"),
    "refusal_burst": ("短时间内多次被拒绝", "Burst of refusals"),
    "directive_overdue": (
        "监管指令到期未执行，系统已代为执行",
        "A directive that nobody had executed by its deadline",
    ),
    "key_age": ("签名密钥使用过久，请更换", "The key that signs is too old: replace it (POST /v1/venue-key)"),
}
"""Kind: (Chinese, English)."""


class AlertQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    kind: Annotated[
        Literal[
            "",
            "related_parties",
            "wash_flow",
            "price_off_tape",
            "cancel_ratio",
            "refusal_burst",
            "directive_overdue",
            "key_age",
        ],
        Meta(description="one kind; all without it"),
    ] = ""


class AlertView(Struct):
    """Something to look into; it accuses nobody. `times`: how often the same was seen up to `last_at`.

    `measures` are the figures that crossed the threshold. `evidence` names trades (T), orders (O), or the journal's places
    of refusals (sequence.instant).
    """

    alert: str
    kind: str
    title_zh: str
    title_en: str
    at: str
    last_at: str
    times: int
    listing: str | None
    parties: tuple[str, ...]
    measures: dict[str, int]
    evidence: tuple[str, ...]


class AlertList(Struct):
    items: tuple[AlertView, ...]
    next: str | None


def alert_view(alert: Alert) -> AlertView:
    return AlertView(
        alert.id,
        alert.kind,
        *WORDS[alert.kind],
        text_of(alert.at_ns),
        text_of(alert.last_ns),
        alert.times,
        alert.listing or None,
        alert.parties,
        alert.measures,
        alert.evidence,
    )


async def alerts(call: Call, asked: AlertQuery) -> Response[bytes]:
    """The newest first. A cursor is a place in the list as it is now: what is seen again moves to its front."""
    await call.need_role("operator", "auditor", "regulator")
    known = [*await _aged_key(call), *call.desk.monitor.surveillance.alerts]
    found = [one for one in known if asked.kind in ("", one.kind)]
    begin = _place(asked.cursor)
    end = begin + asked.limit
    return call.page([alert_view(one) for one in found[begin:end]], str(end) if end < len(found) else "")


async def _aged_key(call: Call) -> list[Alert]:
    """It is there until another key signs, and comes first."""
    now_ns = call.now_ns
    key = await call.read(lambda state: aged_key(state, now_ns))
    if key is None:
        return []
    due_ns, method = key.since_ns + KEY_DAYS * DAY_NS, method_of(call.desk.sealer.place.did, key.public_key)
    days = (now_ns - key.since_ns) // DAY_NS
    return [Alert(f"key_age-{key.since_ns}", "key_age", due_ns, now_ns, "", (), {"days": days}, (method,))]


def _place(cursor: str) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 7):
        raise Refusing(Refused.malformed, "cursor is the `next` of the page before")
    return int(cursor)


_WHEN: Final = "2026-11-23T10:00:00Z"

OPERATIONS: Final = (
    Operation("GET", "/v1/alerts", alerts, "What market surveillance has noticed (operator, auditor)", "operations",
              asks=AlertQuery, answers=AlertList, refused=(Refused.forbidden,),
              example_answer={"items": [{
                  "alert": "812.1795427200000000000-wash_flow", "kind": "wash_flow",
                  "title_zh": WORDS["wash_flow"][0], "title_en": WORDS["wash_flow"][1], "at": _WHEN, "last_at": _WHEN,
                  "times": 1, "listing": "L3", "parties": ["P7", "P9"],
                  "measures": {"trades": 4, "quantity_forth": 10, "quantity_back": 10},
                  "evidence": ["T4", "T5", "T6", "T7"]}], "next": None}),
)  # fmt: skip
