"""Trades after their verdict: what they are, delivery, acceptance, holds, refusals, and reports from outside."""

from typing import Annotated, Any, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from exchange import passing, projector
from exchange.contract import merchants_signature
from exchange.events import (
    AcceptDelivery,
    CureHold,
    DeclineReport,
    Deliver,
    Delivered,
    Delivery,
    DeliveryRejected,
    Refused,
    RejectDelivery,
    ReportEnded,
    ReportTrade,
    TradeReported,
    WithdrawReport,
)
from exchange.evidence import refused_order_id
from exchange.projection import RefusalRecord, ReportRecord, TradeRecord
from exchange.state import State
from exchange.venue import Outcome
from exchange.web import files
from exchange.web.fills import Fill, fill_of, hold_state
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Id, Name, Operation, Paging, RevisionSeen, Sha256
from exchange.web.pattern import whole
from exchange.web.problem import Reasons, Refusing, Unknown, Violation, unknown_rules

ALL_SEE: Final = ("operator", "auditor", "regulator")
TradeState = Literal[
    "held", "settled", "delivered", "rejected", "redelivered", "completed", "refunded", "refused"
]


# ---- bodies


class DeliveryBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A file that was uploaded before (`sha256`), or an address (`url`) that answers to the entitlement's key."""

    kind: Literal["file", "address"]
    sha256: Sha256 | None = None
    name: Annotated[str, Meta(max_length=200, pattern=whole("[^\\u0000-\\u001f]*"))] = ""
    media_type: Annotated[str, Meta(max_length=100, pattern=files.MEDIA_TYPE)] = files.BYTES
    url: Annotated[str, Meta(max_length=2_000)] = ""


class Rejection(Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=1_000, description="what the delivery lacks")]


class Nothing(Struct, kw_only=True, forbid_unknown_fields=True):
    """An empty object."""


class Cure(Struct, kw_only=True, forbid_unknown_fields=True):
    """A reviewer's cure needs evidence and the revision of the product that it looked at; the buyer's neither."""

    rule: Annotated[
        str, Meta(max_length=10, description="a rule of the hold, as GET /v1/holds names it: B17")
    ]
    evidence_sha256: Sha256 | None = None
    revision: RevisionSeen | None = None


class TradeReportBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """One side's report of a bilateral trade; the other side's with the same terms has it judged and settled."""

    listing: Id
    side: Literal["buy", "sell"]
    counterparty: Id
    quantity: Annotated[int, Meta(ge=1, le=10**9, description="whole units")]
    price_fen: Annotated[int, Meta(ge=0, le=10**12, description="agreed fen per price_per_units units")]
    purpose: Annotated[Name, Meta(description="one of the listing's purposes")]
    territory: Annotated[Name, Meta(description="one of the listing's territories")]
    contract_sha256: Sha256
    accepts_prior: bool = False


class TradeQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Literal["", TradeState] = ""


# ---- answers


class Verdict(Struct):
    """What clearing found, on which facts and under which rulebook."""

    outcome: str
    rulebook_sha256: str
    facts_sha256: str
    at: str | None
    violated: tuple[Violation, ...]
    unknown: tuple[Unknown, ...]


class Dates(Struct):
    """The next date is the one that belongs to the state; those that have not been set are null."""

    made: str | None
    held_until: str | None
    settled: str | None
    delivery_due: str | None
    delivered: str | None
    acceptance_due: str | None
    rejected: str | None
    redelivery_due: str | None
    closed: str | None


class DeliveryView(Struct, omit_defaults=True):
    kind: str
    sha256: str = ""
    size: int = 0
    name: str = ""
    media_type: str = ""
    url: str = ""


class CureOf(Struct):
    """What cures a rule of a hold, who must bring it, until when, and who holds it against the file.

    `by` is who decides: the one of `brings` whose word is enough, or the first of `confirms` (reviewer, or the kind of
    attestation that an accredited provider gives). `cured` once that has been done, and until what the rule reads of the
    product changes: what was confirmed before counts no more, and is confirmed anew.
    """

    rule: str
    by: str
    evidence_zh: str
    evidence_en: str
    brings: tuple[str, ...]
    confirms: tuple[str, ...]
    until: str | None
    cured: bool


class ContractCited(Struct):
    """The contract that the trade was made under, and both sides' signatures on it: GET /v1/contracts/{contract}."""

    contract: str
    merchant_signature: str
    buyer_signature: str


class Stopped(Struct):
    """Rules that forbid as things are now that what was sold passes to its buyer; each says what has to be recorded.

    `until`: silence is put off until then at most, and then the price goes back; null while no acceptance date has passed.
    """

    violated: tuple[Violation, ...]
    until: str | None


class TradeView(Struct, kw_only=True):
    trade: str
    state: str
    listing: str
    product: str
    buyer: str
    seller: str
    buy_order: str | None
    sell_order: str | None
    quantity: int
    price_fen: int
    amount_fen: int
    fee_fen: int
    merchant_fen: int
    shares: tuple[tuple[str, int], ...]
    entitlement: str | None
    delivery: DeliveryView | None
    rejection_reason: str | None
    closed_reason: str | None
    mechanism: str
    purpose: str
    territory: str
    dates: Dates
    verdict: Verdict
    contract: ContractCited | None
    cures: tuple[CureOf, ...]
    """Of a trade on hold: what cures each rule, who must bring it, until when."""
    refunded_fen: int = 0
    stopped: Stopped | None = None
    """Of one trade that is looked at by itself: what stands against its delivery or acceptance now."""


class TradeList(Struct):
    items: tuple[TradeView, ...]
    next: str | None


class TradeStep(Struct, omit_defaults=True):
    """What a step led to. `due` is the date by which the next step is due."""

    trade: str
    state: str
    due: str | None = None
    delivery: DeliveryView | None = None
    reason: str = ""


class CureView(Struct):
    """The trade after the cure: settled, refused on a second look, or held still by another rule."""

    trade: str
    state: str
    rule: str
    fill: Fill | None


class HoldView(Struct):
    trade: str
    listing: str
    buyer: str
    seller: str
    quantity: int
    amount_fen: int
    until: str | None
    rules: tuple[CureOf, ...]
    violated: tuple[Violation, ...]


class HoldList(Struct):
    items: tuple[HoldView, ...]
    next: str | None


class RefusalView(Struct, kw_only=True):
    """A refused order, trade or hold; `code` is the refusal's name, the verdict, or how the hold ended.

    `evidence` is the id of its leaf: `GET /v1/evidence/leaves/{evidence}`.
    """

    kind: str
    at: str
    participant: str
    counterparty: str | None
    listing: str | None
    trade: str | None
    code: str
    detail: str
    violated: tuple[Violation, ...]
    unknown: tuple[Unknown, ...]
    evidence: str


class RefusalList(Struct):
    items: tuple[RefusalView, ...]
    next: str | None


class ReportView(Struct, omit_defaults=True):
    """`state` awaiting_counterparty until a date, withdrawn, declined, or that of the trade that both reports made."""

    report: str
    state: str
    until: str | None = None
    trade: str = ""
    fill: Fill | None = None


class ReportQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Literal["", "waiting", "matched", "expired", "withdrawn", "declined"] = ""


class Denial(Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=1_000, description="what is wrong with the report")]


class ReportedTrade(Struct):
    """A report by or about the asker. `awaits`: whose answer is awaited; `matches`: the other side's report of the same."""

    report: str
    state: str
    listing: str
    side: str
    participant: str
    counterparty: str
    quantity: int
    price_fen: int
    purpose: str
    territory: str
    contract_sha256: str
    awaits: str | None
    matches: str | None
    trade: str | None
    reason: str | None
    reported: str
    until: str | None


class ReportList(Struct):
    items: tuple[ReportedTrade, ...]
    next: str | None


def delivery_view(delivery: Delivery | None) -> DeliveryView | None:
    if delivery is None:
        return None
    if delivery.kind == "address":
        return DeliveryView("address", url=delivery.url)
    return DeliveryView("file", delivery.sha256, delivery.size, delivery.name, delivery.media_type)


def trade_view(row: TradeRecord, reasons: Reasons) -> TradeView:
    return TradeView(
        trade=row.id,
        state=row.state,
        listing=row.listing,
        product=row.product,
        buyer=row.buyer,
        seller=row.seller,
        buy_order=_order_or_none(row.buy_order),
        sell_order=_order_or_none(row.sell_order),
        quantity=row.quantity,
        price_fen=row.price_fen,
        amount_fen=row.amount_fen,
        fee_fen=row.fee_fen,
        merchant_fen=row.merchant_fen,
        shares=row.shares,
        entitlement=row.entitlement or None,
        delivery=delivery_view(row.delivery),
        rejection_reason=row.rejection_reason or None,
        closed_reason=row.closed_reason or None,
        mechanism=row.mechanism,
        purpose=row.purpose,
        territory=row.territory,
        dates=_dates(row),
        verdict=_verdict(row, reasons),
        contract=_cited(row),
        cures=cures_of(row, reasons) if row.state == "held" else (),
        refunded_fen=row.refunded_fen,
    )


def _cited(row: TradeRecord) -> ContractCited | None:
    if not row.contract:
        return None
    merchant = merchants_signature(row.contract)
    return ContractCited(row.contract, merchant, row.buyer_signature)


def _order_or_none(identifier: str) -> str | None:
    return identifier if identifier.startswith("O") else None


def _dates(row: TradeRecord) -> Dates:
    return Dates(
        optional_text(row.made_at_ns),
        optional_text(row.held_until_ns),
        optional_text(row.settled_at_ns),
        optional_text(row.delivery_due_ns),
        optional_text(row.delivered_at_ns),
        optional_text(row.acceptance_due_ns),
        optional_text(row.rejected_at_ns),
        optional_text(row.redelivery_due_ns),
        optional_text(row.closed_at_ns),
    )


def _verdict(row: TradeRecord, reasons: Reasons) -> Verdict:
    return Verdict(
        row.outcome,
        row.rulebook_sha256,
        row.facts_sha256.hex(),
        optional_text(row.verdict_at_ns),
        reasons.violations(row.violated, row.verdict_at_ns, row.capacities),
        unknown_rules(row.unknown),
    )


def hold_view(row: TradeRecord, reasons: Reasons) -> HoldView:
    return HoldView(
        row.id,
        row.listing,
        row.buyer,
        row.seller,
        row.quantity,
        row.amount_fen,
        optional_text(row.held_until_ns),
        cures_of(row, reasons),
        reasons.violations(row.violated, row.verdict_at_ns, row.capacities),
    )


def cures_of(row: TradeRecord, reasons: Reasons) -> tuple[CureOf, ...]:
    """For each rule that holds the trade, by the rulebook in force."""
    return tuple(
        CureOf(
            rule,
            (cure.confirms or cure.brings)[0],
            evidence.zh,
            evidence.en,
            cure.brings,
            cure.confirms,
            optional_text(row.held_until_ns),
            rule in row.cured,
        )
        for rule, cure, evidence in reasons.cures(row.violated)
    )


def refusal_view(row: RefusalRecord, reasons: Reasons) -> RefusalView:
    return RefusalView(
        kind=row.kind,
        at=text_of(row.at_ns),
        participant=row.participant,
        counterparty=row.counterparty or None,
        listing=row.listing or None,
        trade=row.trade or None,
        code=row.code,
        detail=row.detail,
        violated=reasons.violations(row.violated, row.at_ns, row.capacities),
        unknown=unknown_rules(row.unknown),
        evidence=row.trade or refused_order_id(row.at_ns),
    )


# ---- reading


async def list_trades(call: Call, asked: TradeQuery) -> Response[bytes]:
    everybody = (await call.roles()).intersection(ALL_SEE)
    await call.tables_ready()
    page = await projector.trades_of(
        call.desk.pool,
        None if everybody else call.participant,
        asked.state or None,
        asked.limit,
        asked.cursor or None,
    )
    return call.page([trade_view(row, call.desk.reasons) for row in page.items], page.next or "")


async def show(call: Call, asked: None) -> TradeView:
    view = trade_view(await seen_trade(call, call.path["trade"]), call.desk.reasons)
    view.stopped = await _stopped(call, view.trade)
    return view


async def _stopped(call: Call, identifier: str) -> Stopped | None:
    reasons, now_ns = call.desk.reasons, call.now_ns

    def look(state: State) -> Stopped | None:
        trade = state.trades.get(identifier)
        refused = None if trade is None or trade.state == "held" else passing.refusal(state, trade, now_ns)
        if refused is None:
            return None
        violated = reasons.violations(refused.violated, now_ns, refused.capacities)
        return Stopped(violated, optional_text(state.postponed.get(identifier, 0)))

    return await call.read(look)


async def seen_trade(call: Call, identifier: str, *offices: str) -> TradeRecord:
    """A trade that the caller is party to, or may see by office; any other is not found."""
    await call.tables_ready()
    row = await projector.trade(call.desk.pool, identifier)
    if row is not None and call.participant in (row.buyer, row.seller):
        return row
    if row is None or not await _opens(call, row, offices or ALL_SEE):
        raise Refusing(Refused.not_found, f"there is no trade {identifier}")
    return row


async def _opens(call: Call, row: TradeRecord, offices: tuple[str, ...]) -> bool:
    """By an office, or to whoever hosts the board."""
    if (await call.roles()).intersection(offices):
        return True
    return await call.hosts(await call.read(lambda state: state.listings[row.listing].board))


async def list_holds(call: Call, asked: Paging) -> Response[bytes]:
    everybody = (await call.roles()).intersection(("reviewer", "operator"))
    await call.tables_ready()
    page = await projector.trades_of(
        call.desk.pool, None if everybody else call.participant, "held", asked.limit, asked.cursor or None
    )
    return call.page([hold_view(row, call.desk.reasons) for row in page.items], page.next or "")


async def list_refusals(call: Call, asked: Paging) -> Response[bytes]:
    everybody = (await call.roles()).intersection(ALL_SEE)
    await call.tables_ready()
    page = await projector.refusals(
        call.desk.pool, None if everybody else call.participant, asked.limit, asked.cursor or None
    )
    return call.page([refusal_view(row, call.desk.reasons) for row in page.items], page.next or "")


# ---- steps


async def _step(call: Call, command: Any, side: str) -> Outcome:
    """The outcome of a step on a trade. Where the venue knows no such open trade, say why not.

    Finished trades have left the engine's memory, and it does not tell one side's business to the other; the tables
    know both, so that a party hears 403 for the other side's step and 409 for a step that came too late.
    """
    try:
        return await call.submit(command)
    except Refusing as error:
        if error.refusal.code is not Refused.not_found:
            raise
        row = await seen_trade(call, call.path["trade"], "reviewer")
        if side and call.participant != getattr(row, side):
            raise Refusing(Refused.forbidden, f"only the {side} does this") from error
        raise Refusing(Refused.wrong_state, f"the trade is {row.state}") from error


async def deliver(call: Call, body: DeliveryBody) -> TradeStep:
    delivery = _address(body) if body.kind == "address" else await _file(call, body)
    command = Deliver(actor=call.participant, key=call.key, trade=call.path["trade"], delivery=delivery)
    event = (await _step(call, command, "seller")).events[0]
    assert isinstance(event, Delivered)
    state = "redelivered" if event.step == "redeliver" else "delivered"
    return TradeStep(event.trade, state, optional_text(event.due_ns), delivery_view(event.delivery))


def _address(body: DeliveryBody) -> Delivery:
    if not body.url.startswith(("https://", "http://")) or body.sha256 is not None:
        raise Refusing(Refused.malformed, "an address has a url that begins with https:// or http://")
    return Delivery(kind="address", url=body.url)


async def _file(call: Call, body: DeliveryBody) -> Delivery:
    """The seller's own upload of this hash; whoever is not the seller hears that first."""
    if body.sha256 is None or body.url:
        raise Refusing(Refused.malformed, "a file is named by its sha256 and has no url")
    size = files.stored_size(call.desk.files, call.participant, body.sha256)
    if size is None:
        row = await seen_trade(call, call.path["trade"])
        if row.seller != call.participant:
            raise Refusing(Refused.forbidden, "only the seller does this")
        raise Refusing(Refused.file_mismatch, "upload the file first: PUT /v1/files?sha256=...")
    return Delivery(kind="file", sha256=body.sha256, size=size, name=body.name, media_type=body.media_type)


async def accept(call: Call, body: Nothing) -> TradeStep:
    command = AcceptDelivery(actor=call.participant, key=call.key, trade=call.path["trade"])
    await _step(call, command, "buyer")
    return TradeStep(call.path["trade"], "completed")


async def reject(call: Call, body: Rejection) -> TradeStep:
    command = RejectDelivery(
        actor=call.participant, key=call.key, trade=call.path["trade"], reason=body.reason
    )
    event = (await _step(call, command, "buyer")).events[0]
    if isinstance(event, DeliveryRejected):
        return TradeStep(event.trade, "rejected", optional_text(event.due_ns), reason=event.reason)
    return TradeStep(call.path["trade"], "refunded", reason=body.reason)


async def cure(call: Call, body: Cure) -> CureView:
    trade = call.path["trade"]
    command = CureHold(
        actor=call.participant,
        key=call.key,
        trade=trade,
        rule=body.rule,
        evidence_sha256=body.evidence_sha256 or "",
        revision=body.revision or 0,
    )
    outcome = await _step(call, command, "")
    own = [event for event in outcome.events if getattr(event, "trade", "") == trade]
    fills = [fill_of(event, call.desk.reasons, outcome.at_ns) for event in own]
    return CureView(trade, hold_state(own, trade), body.rule, next((fill for fill in fills if fill), None))


async def report(call: Call, body: TradeReportBody) -> ReportView:
    command = ReportTrade(
        actor=call.participant,
        key=call.key,
        listing=body.listing,
        side=body.side,
        counterparty=body.counterparty,
        quantity=body.quantity,
        price_fen=body.price_fen,
        purpose=body.purpose,
        territory=body.territory,
        contract_sha256=body.contract_sha256,
        accepts_prior=body.accepts_prior,
    )
    outcome = await call.submit(command)
    reported = outcome.events[0]
    assert isinstance(reported, TradeReported)
    fills = [fill_of(event, call.desk.reasons, outcome.at_ns) for event in outcome.events]
    fill = next((one for one in fills if one is not None), None)
    if fill is None:
        return ReportView(reported.report, "awaiting_counterparty", optional_text(reported.until_ns))
    return ReportView(reported.report, fill.state, None, fill.trade, fill)


async def withdraw_report(call: Call, asked: None) -> ReportView:
    command = WithdrawReport(actor=call.participant, key=call.key, report=call.path["report"])
    ended = (await call.submit(command)).events[0]
    assert isinstance(ended, ReportEnded)
    return ReportView(ended.report, ended.reason)


async def decline_report(call: Call, body: Denial) -> ReportView:
    command = DeclineReport(
        actor=call.participant, key=call.key, report=call.path["report"], reason=body.reason
    )
    ended = (await call.submit(command)).events[0]
    assert isinstance(ended, ReportEnded)
    return ReportView(ended.report, ended.reason)


async def list_reports(call: Call, asked: ReportQuery) -> Response[bytes]:
    """Those by and about oneself: what awaits one's answer is found here. Operators and auditors see all."""
    participant, roles = call.participant, await call.roles()
    await call.tables_ready()
    page = await projector.reports_of(
        call.desk.pool,
        None if roles.intersection(ALL_SEE) else participant,
        asked.state,
        asked.limit,
        asked.cursor or None,
    )
    return call.page([reported_trade(row) for row in page.items], page.next or "")


async def show_report(call: Call, asked: None) -> ReportedTrade:
    participant, roles, name = call.participant, await call.roles(), call.path["report"]
    await call.tables_ready()
    row = await projector.report(call.desk.pool, name)
    sees = row is not None and (
        participant in (row.participant, row.counterparty) or roles.intersection(ALL_SEE)
    )
    if row is None or not sees:
        raise Refusing(Refused.not_found, f"there is no report {name} by or about you")
    return reported_trade(row)


def reported_trade(row: ReportRecord) -> ReportedTrade:
    waits = row.state == "waiting"
    return ReportedTrade(
        row.id,
        row.state,
        row.listing,
        row.side,
        row.participant,
        row.counterparty,
        row.quantity,
        row.price_fen,
        row.purpose,
        row.territory,
        row.contract_sha256,
        row.counterparty if waits else None,
        row.matches or None,
        row.trade or None,
        row.detail or None,
        text_of(row.reported_at_ns),
        text_of(row.until_ns) if waits else None,
    )


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-11-23T10:00:00Z"
_DUE: Final = "2026-11-26T10:00:00Z"
_FILL: Final = {
    "trade": "T1", "state": "settled", "quantity": 1, "price_fen": 50_000, "amount_fen": 50_000, "fee_fen": 1_000,
    "entitlement": "E1", "due": _DUE,
}  # fmt: skip
_TRADE: Final[dict[str, Any]] = {
    "trade": "T1", "state": "settled", "listing": "L1", "product": "D1", "buyer": "P4", "seller": "P2",
    "buy_order": "O1", "sell_order": None, "quantity": 1, "price_fen": 50_000, "amount_fen": 50_000, "fee_fen": 1_000,
    "merchant_fen": 49_000, "shares": [], "entitlement": "E1", "delivery": None, "rejection_reason": None,
    "closed_reason": None, "mechanism": "posted_price", "purpose": "market_analysis", "territory": "CN",
    "dates": {"made": _WHEN, "held_until": None, "settled": _WHEN, "delivery_due": _DUE, "delivered": None,
              "acceptance_due": None, "rejected": None, "redelivery_due": None, "closed": None},
    "verdict": {"outcome": "allow", "rulebook_sha256": _SHA, "facts_sha256": _SHA, "at": _WHEN, "violated": [],
                "unknown": []},
    "contract": {"contract": "L1-1", "merchant_signature": "L1-1-merchant", "buyer_signature": "L1-1-P4-1"},
    "cures": [],
    "refunded_fen": 0,
    "stopped": None,
}  # fmt: skip
_BROKEN: Final = {
    "rule": "B17", "message_zh": "独占许可须经买方确认在先许可。", "message_en": "The buyer must accept prior licences.",
    "citations": [{"zh": "江西省数据应用条例27(2)", "en": "Jiangxi Data Application Regulation 27(2)",
                   "authority": "local_regulation", "binding": False}],
}  # fmt: skip
_CURE: Final = {
    "rule": "B17", "by": "buyer", "evidence_zh": "买方确认知悉在先非独占许可",
    "evidence_en": "the buyer's confirmation that prior non-exclusive licences were disclosed", "brings": ["buyer"],
    "confirms": [], "until": _DUE, "cured": False,
}  # fmt: skip
_REPORT: Final = {
    "report": "R1", "state": "waiting", "listing": "L4", "side": "buy", "participant": "P4", "counterparty": "P2",
    "quantity": 1, "price_fen": 30_000, "purpose": "market_analysis", "territory": "CN", "contract_sha256": _SHA,
    "awaits": "P2", "matches": None, "trade": None, "reason": None, "reported": _WHEN, "until": _DUE,
}  # fmt: skip
_PARTY: Final = (Refused.forbidden, Refused.not_found, Refused.wrong_state)
_PASSING: Final = (*_PARTY, Refused.unlawful)

_KEPT_REFUSALS: Final = """
Kept are the refusals that judged a well-formed command at an instant:
kind order  unlawful, supply_exhausted, funds_insufficient, units_insufficient, nothing_to_match: the order was not taken
kind trade  two orders met and the law refused them at the fill; code is the verdict
kind movement  money that was not there for a deposit, a return or a reversal, asked for under an Idempotency-Key
kind hold   a trade on hold ended without being cured; code is how it ended (hold_expired, hold_refused)
The others (malformed, not_verified, outside_terms, listing_closed, halted, ...) are told in the answer once and stored
nowhere: the same command may succeed later. You see those in which you are a side; operators and auditors see all.
"""

OPERATIONS: Final = (
    Operation("GET", "/v1/trades", list_trades, "Own trades as buyer or seller; operators and auditors see all",
              "trades", asks=TradeQuery, answers=TradeList, example_answer={"items": [_TRADE], "next": None}),
    Operation("GET", "/v1/trades/{trade}", show, "A trade with its verdict and its dates", "trades",
              answers=TradeView, example_answer=_TRADE),
    Operation("POST", "/v1/trades/{trade}/delivery", deliver, "Deliver or redeliver a file or an address (seller)",
              "trades", asks=DeliveryBody, answers=TradeStep, refused=(*_PASSING, Refused.file_mismatch),
              example={"kind": "address", "url": "https://api.shuji.example/teu"},
              example_answer={"trade": "T1", "state": "delivered", "due": _DUE,
                              "delivery": {"kind": "address", "url": "https://api.shuji.example/teu"}}),
    Operation("POST", "/v1/trades/{trade}/acceptance", accept, "Accept the delivery: merchant and contributors are paid",
              "trades", asks=Nothing, answers=TradeStep, refused=_PASSING, example={},
              example_answer={"trade": "T1", "state": "completed"}),
    Operation("POST", "/v1/trades/{trade}/rejection", reject, "Reject the delivery: one redelivery, then a refund",
              "trades", asks=Rejection, answers=TradeStep, refused=_PARTY, example={"reason": "缺少三月数据"},
              example_answer={"trade": "T1", "state": "rejected", "due": _DUE, "reason": "缺少三月数据"}),
    Operation("GET", "/v1/holds", list_holds, "Trades on hold, and what cures them", "trades", asks=Paging,
              answers=HoldList,
              example_answer={"items": [{"trade": "T2", "listing": "L2", "buyer": "P4", "seller": "P2", "quantity": 1,
                                         "amount_fen": 50_000, "until": _DUE, "violated": [_BROKEN],
                                         "rules": [_CURE]}], "next": None}),
    Operation("POST", "/v1/holds/{trade}/cure", cure, "Bring the evidence that a hold names", "trades", asks=Cure,
              answers=CureView, refused=(*_PARTY, Refused.own_case, Refused.evidence_missing), example={"rule": "B17"},
              example_answer={"trade": "T2", "state": "settled", "rule": "B17", "fill": {**_FILL, "trade": "T2"}}),
    Operation("GET", "/v1/refusals", list_refusals, "Own refused orders, trades and holds, with the rules broken",
              "trades", asks=Paging, answers=RefusalList, about=_KEPT_REFUSALS,
              example_answer={"items": [{"kind": "order", "at": _WHEN, "participant": "P4", "counterparty": None,
                                         "listing": "L2", "trade": None, "code": "unlawful",
                                         "detail": "the trade is unlawful", "violated": [_BROKEN], "unknown": [],
                                         "evidence": "R1795428000000000000"}],
                              "next": None}),
    Operation("POST", "/v1/trade-reports", report, "Report one side of a trade made outside the venue", "orders",
              status=201, asks=TradeReportBody, answers=ReportView,
              refused=(Refused.not_found, Refused.mechanism_not_allowed, Refused.outside_terms, Refused.not_verified,
                       Refused.not_accredited, Refused.standing_denied, Refused.evidence_missing,
                       Refused.already_exists, Refused.supply_exhausted, Refused.funds_insufficient, Refused.unlawful,
                       Refused.out_of_bounds),
              example={"listing": "L4", "side": "buy", "counterparty": "P2", "quantity": 1, "price_fen": 30_000,
                       "purpose": "market_analysis", "territory": "CN", "contract_sha256": _SHA},
              example_answer={"report": "R1", "state": "awaiting_counterparty", "until": _DUE}),
    Operation("GET", "/v1/trade-reports", list_reports,
              "Reports by and about oneself; operators and auditors see all", "orders", asks=ReportQuery,
              answers=ReportList, example_answer={"items": [_REPORT], "next": None}),
    Operation("GET", "/v1/trade-reports/{report}", show_report, "One report, and the trade that two made", "orders",
              answers=ReportedTrade, refused=(Refused.not_found,), example_answer=_REPORT),
    Operation("POST", "/v1/trade-reports/{report}/decline", decline_report,
              "Say that there is no such trade, or not on these terms (the other side)", "orders", asks=Denial,
              answers=ReportView, refused=(Refused.not_found,), example={"reason": "价格不是约定的价格"},
              example_answer={"report": "R1", "state": "declined"}),
    Operation("DELETE", "/v1/trade-reports/{report}", withdraw_report,
              "Withdraw an own report that the other side has not answered", "orders", answers=ReportView,
              refused=(Refused.not_found, Refused.id_conflict),
              example_answer={"report": "R1", "state": "withdrawn"}),
)  # fmt: skip
