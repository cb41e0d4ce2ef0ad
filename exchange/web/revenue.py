"""Revenue: ceilings of those who operate public data, and who was paid what of each completed trade."""

from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct

from clearing.ledger import FEES
from clearing.money import FEN_LIMIT
from clearing.revenue import Part, YearOfRevenue, parts_of
from exchange import projector
from exchange.events import CeilingRecorded, RecordCeiling, Refused
from exchange.projection import TradeRecord
from exchange.revenue import FIRST_YEAR, LAST_YEAR
from exchange.state import State
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Id, Operation, Paging, Sha256
from exchange.web.participants import OFFICES

Year = Annotated[int, Meta(ge=FIRST_YEAR, le=LAST_YEAR, description="calendar year in Beijing time")]


class CeilingBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """The highest revenue (最高准许收入) of an operator of public data in a year, as an authority decided it."""

    operator: Id
    year: Year
    ceiling_fen: Annotated[int, Meta(ge=0, lt=FEN_LIMIT)]
    decision_sha256: Sha256


class CeilingQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    operator: Id = ""


class DistributionQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    product: Annotated[Id, Meta(description="only trades in this product")] = ""


class CeilingView(Struct):
    operator: str
    year: int
    ceiling_fen: int
    decision_sha256: str
    recorded_by: str
    recorded_at: str


class YearView(Struct):
    """`carried_fen` of earlier excess is taken off the ceiling and leaves `allowed_fen`; `over_fen` goes on to the next
    year with a ceiling. `earned_fen` are the whole prices of what completed in the year. Null: nobody has recorded one.
    """

    operator: str
    year: int
    ceiling_fen: int | None
    carried_fen: int
    allowed_fen: int | None
    earned_fen: int
    over_fen: int
    decision_sha256: str | None
    recorded_by: str | None
    recorded_at: str | None


class YearList(Struct):
    items: tuple[YearView, ...]


class PartView(Struct):
    """`role`: fee, merchant, public_data, or that of a share: resource_holder, processor, operator, contributor, broker."""

    role: str
    account: str
    amount_fen: int


class DistributionView(Struct):
    """`parts` add up to `amount_fen`."""

    trade: str
    product: str
    listing: str
    completed_at: str
    amount_fen: int
    parts: tuple[PartView, ...]


class DistributionList(Struct):
    items: tuple[DistributionView, ...]
    next: str | None


async def record(call: Call, body: CeilingBody) -> CeilingView:
    command = RecordCeiling(
        actor=call.participant,
        key=call.key,
        operator=body.operator,
        year=body.year,
        ceiling_fen=body.ceiling_fen,
        decision_sha256=body.decision_sha256,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, CeilingRecorded)
    return CeilingView(
        event.operator, event.year, event.ceiling_fen, event.decision_sha256, event.by, text_of(outcome.at_ns)
    )


def _year_view(operator: str, row: YearOfRevenue) -> YearView:
    found = row.ceiling
    return YearView(
        operator=operator,
        year=row.year,
        ceiling_fen=None if found is None else found.ceiling_fen,
        carried_fen=row.carried_fen,
        allowed_fen=None if found is None else row.allowed_fen,
        earned_fen=row.earned_fen,
        over_fen=row.over_fen,
        decision_sha256=None if found is None else found.decision_sha256,
        recorded_by=None if found is None else found.by,
        recorded_at=None if found is None else optional_text(found.at_ns),
    )


async def ceilings(call: Call, asked: CeilingQuery) -> YearList:
    """An operator sees its own; reviewers, operators of the venue and auditors see all."""
    participant, official = call.participant, bool((await call.roles()).intersection(OFFICES))

    def look(state: State) -> tuple[YearView, ...]:
        kept = state.revenue
        everybody = sorted({**kept.ceilings, **kept.earned_fen})
        return tuple(
            _year_view(operator, row)
            for operator in everybody
            if (official or operator == participant) and asked.operator in ("", operator)
            for row in kept.years(operator)
        )

    return YearList(await call.read(look))


def _distribution(row: TradeRecord) -> DistributionView:
    parts = parts_of(FEES, row.fee_fen, row.seller, row.merchant_fen, row.shares, row.share_roles)
    return DistributionView(
        row.id, row.product, row.listing, text_of(row.closed_at_ns), row.amount_fen, tuple(map(_part, parts))
    )


def _part(part: Part) -> PartView:
    return PartView(part.role, part.account, part.amount_fen)


async def distributions(call: Call, asked: DistributionQuery) -> Response[bytes]:
    """A participant sees the trades that paid it; reviewers, operators and auditors see all."""
    official = bool((await call.roles()).intersection(OFFICES))
    await call.tables_ready()
    page = await projector.distributions_of(
        call.desk.pool,
        None if official else call.participant,
        asked.product,
        asked.limit,
        asked.cursor or None,
    )
    return call.page([_distribution(row) for row in page.items], page.next or "")


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_ASKED: Final = {"operator": "P4", "year": 2026, "ceiling_fen": 500_000_000, "decision_sha256": _SHA}
_RECORDED: Final = {"recorded_by": "P2", "recorded_at": _WHEN}
_PARTS: Final = [
    {"role": "fee", "account": "venue:fees", "amount_fen": 500},
    {"role": "merchant", "account": "P4", "amount_fen": 39_600},
    {"role": "processor", "account": "P5", "amount_fen": 4_950},
    {"role": "public_data", "account": "public:treasury", "amount_fen": 4_950},
]

OPERATIONS: Final = (
    Operation("POST", "/v1/revenue/ceilings", record,
              "Record the yearly revenue ceiling of a public-data operator (reviewer)", "money", status=201,
              asks=CeilingBody, answers=CeilingView,
              refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.out_of_bounds,
                       Refused.evidence_missing),
              example=_ASKED, example_answer=_ASKED | _RECORDED),
    Operation("GET", "/v1/revenue/ceilings", ceilings,
              "Ceilings, revenue and excess of public-data operators by year; one's own, or all for officials", "money",
              asks=CeilingQuery, answers=YearList,
              example_answer={"items": [_ASKED | _RECORDED | {
                  "carried_fen": 0, "allowed_fen": 500_000_000, "earned_fen": 120_000, "over_fen": 0}]}),
    Operation("GET", "/v1/revenue/distributions", distributions,
              "Who was paid what of each completed trade, and in which role; the newest first", "money",
              asks=DistributionQuery, answers=DistributionList,
              example_answer={"items": [{"trade": "T1", "product": "D1", "listing": "L1", "completed_at": _WHEN,
                                         "amount_fen": 50_000, "parts": _PARTS}], "next": None}),
)  # fmt: skip
