"""The public register of merchants as data (登记), and what each of them contributes."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct, field

from credit.conduct import KINDS
from credit.merchant import Participant, left
from exchange import appraisal, projector
from exchange.appraisal import Appraisal
from exchange.consequence import grade_of
from exchange.events import Refusal, Refused
from exchange.participant import same_house
from exchange.projection import CaseRecord
from exchange.state import DAY_NS, State
from exchange.web.instant import Instant, ns_of, optional_text, text_of
from exchange.web.operation import CURSOR_INVALID, Call, Operation, Paging
from exchange.web.participants import EXAMPLE_USCC, page_of
from exchange.web.problem import Refusing

MOST_SHOWN: Final = 100
USUAL_NS: Final = 365 * DAY_NS


class Punishment(Struct):
    """A case that everybody may see until an instant: what was determined, and the clause that it breaks."""

    case: str
    kind: str
    text_zh: str
    text_en: str
    clause: str
    until: str


class MerchantView(Struct):
    """What anybody may know of a merchant. `classes` and `boards` (empty: all) are those that its credential
    is good for; `since` is when it was first verified; `contribution` is its weighted sum of
    GET /v1/credit/contribution over the year that ended at the last midnight (UTC)."""

    participant: str
    legal_name: str
    uscc: str
    region: str
    status: str
    credential: str
    credential_number: str | None
    credential_until: str | None
    classes: tuple[str, ...]
    boards: tuple[str, ...]
    since: str | None
    grade: str
    contribution: int
    punishments: tuple[Punishment, ...]


class MerchantList(Struct):
    items: tuple[MerchantView, ...]
    next: str | None


class ContributionQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    since: Annotated[Instant | None, Meta(description="the first instant; usually a year before the end")] = (
        field(default=None, name="from")
    )
    until: Annotated[Instant | None, Meta(description="the instant at which it ends; usually now")] = None


class ContributionView(Struct):
    """`parts` is what each measure is worth of 10,000; `contribution` their sum by the weights, rounded down."""

    participant: str
    legal_name: str
    contribution: int
    parts: Mapping[str, int]
    turnover_fen: int
    buyers: int
    products: int
    passed_on_fen: int
    completed: int
    refunded: int


class Contributions(Struct):
    since: str = field(name="from")
    until: str
    weights_bp: Mapping[str, int]
    items: tuple[ContributionView, ...]
    next: str | None


# ---- the register


async def merchants(call: Call, asked: Paging) -> Response[bytes]:
    contributed = await _of_the_year(call)

    def look(state: State) -> tuple[list[MerchantView], str]:
        people, last = state.bureau.participants, state.counters.get("P", 0)
        rows, following = page_of(people, "P", last, asked, _is_merchant)
        return [_merchant(state, row, contributed) for row in rows], following

    await call.tables_ready()
    shown, following = await call.read(look)
    return call.page([await _with_punishments(call, one) for one in shown], following)


async def merchant(call: Call, asked: None) -> MerchantView:
    contributed, name = await _of_the_year(call), call.path["participant"]

    def look(state: State) -> MerchantView | Refusal:
        row = state.bureau.participants.get(name)
        if row is None or not _is_merchant(row):
            return Refusal(Refused.not_found, f"there is no merchant {name}")
        return _merchant(state, row, contributed)

    found = await call.read(look)
    assert isinstance(found, MerchantView)
    await call.tables_ready()
    return await _with_punishments(call, found)


async def _with_punishments(call: Call, shown: MerchantView) -> MerchantView:
    """With the cases in force, not minor ones, in their period of publication; a repaired one is out of it."""
    rows = await projector.public_cases_of(call.desk.pool, shown.participant, call.now_ns, MOST_SHOWN)
    shown.punishments = tuple(_punishment(row) for row in rows)
    return shown


def _punishment(row: CaseRecord) -> Punishment:
    kind = KINDS[row.kind]  # type: ignore[index]  # a conduct kind, kept as text
    return Punishment(row.id, row.kind, kind.zh, kind.en, kind.clause_zh, text_of(row.published_until_ns))


def _is_merchant(row: Participant) -> bool:
    return "merchant" in row.roles and row.identity == "verified"


def _merchant(state: State, row: Participant, contributed: Mapping[str, int]) -> MerchantView:
    """Public facts and the grade; nothing of a score, and no reason."""
    scope = left(row)
    return MerchantView(
        row.id,
        row.legal_name,
        row.uscc,
        row.region,
        row.status,
        row.credential,
        row.credential_number or None,
        optional_text(row.credential_until_ns),
        scope.classes,
        scope.boards,
        optional_text(min((at_ns for at_ns, known in row.identity_log if known == "verified"), default=0)),
        grade_of(state, row.id),
        contributed.get(row.id, 0),
        (),
    )


# ---- contributions


async def contribution(call: Call, asked: ContributionQuery) -> Contributions:
    until_ns = call.now_ns if asked.until is None else ns_of(asked.until, "until")
    since_ns = until_ns - USUAL_NS if asked.since is None else ns_of(asked.since, "from")
    if since_ns >= until_ns:
        raise Refusing(Refused.out_of_bounds, "from lies before until")
    rows = await _appraised(call, since_ns, until_ns)
    if asked.cursor and not (asked.cursor.isascii() and asked.cursor.isdigit() and len(asked.cursor) < 10):
        raise Refusing(Refused.malformed, CURSOR_INVALID)
    begin = int(asked.cursor or 0)
    shown = rows[begin : begin + asked.limit]
    following = str(begin + asked.limit) if begin + asked.limit < len(rows) else None
    names = await call.read(lambda state: _names(state, shown))
    items = tuple(_contribution(row, names[row.participant]) for row in shown)
    return Contributions(text_of(since_ns), text_of(until_ns), appraisal.WEIGHTS_BP, items, following)


def _names(state: State, rows: Iterable[Appraisal]) -> dict[str, str]:
    return {row.participant: state.bureau.participants[row.participant].legal_name for row in rows}


def _contribution(row: Appraisal, name: str) -> ContributionView:
    return ContributionView(
        row.participant,
        name,
        row.contribution,
        row.parts,
        row.turnover_fen,
        row.buyers,
        row.products,
        row.passed_on_fen,
        row.completed,
        row.refunded,
    )


async def _appraised(call: Call, since_ns: int, until_ns: int) -> list[Appraisal]:
    await call.tables_ready()
    found = await appraisal.pairs(call.desk.pool, since_ns, until_ns)
    pairs = {(pair.seller, pair.buyer) for pair in found}
    own = await call.read(lambda state: {pair for pair in pairs if _is_one_hand(state, *pair)})
    return appraisal.appraised(found, lambda seller, buyer: (seller, buyer) in own)


def _is_one_hand(state: State, one: str, other: str) -> bool:
    return same_house(state, one, other) or state.bureau.is_forged(one, other)


async def _of_the_year(call: Call) -> Mapping[str, int]:
    """Anybody may look at the register, so this is added up once a day of the venue's clock."""
    today, kept = call.now_ns // DAY_NS, call.desk.contributed
    if today not in kept:
        rows = await _appraised(call, today * DAY_NS - USUAL_NS, today * DAY_NS)
        kept.clear()
        kept[today] = {row.participant: row.contribution for row in rows}
    return kept[today]


_WHEN: Final = "2026-11-23T10:00:00Z"
_MERCHANT: Final = {
    "participant": "P2", "legal_name": "海南数据有限公司", "uscc": EXAMPLE_USCC, "region": "CN-46",
    "status": "active",
    "credential": "accredited", "credential_number": "SJ-0001", "credential_until": _WHEN,
    "classes": ["merchant"], "boards": [], "since": _WHEN, "grade": "M",
    "contribution": 8_250, "punishments": [],
}  # fmt: skip
_PARTS: Final = {
    "turnover": 10_000, "buyers": 10_000, "products": 5_000, "passed_on": 0, "reliability": 10_000,
}  # fmt: skip

OPERATIONS: Final = (
    Operation("GET", "/v1/merchants", merchants, "The public register of merchants", "credit",
              asks=Paging, answers=MerchantList, signed_in=False, example_answer={"items": [_MERCHANT], "next": None}),
    Operation("GET", "/v1/merchants/{participant}", merchant, "A merchant's public page as data", "credit",
              answers=MerchantView, signed_in=False, refused=(Refused.not_found,), example_answer=_MERCHANT),
    Operation("GET", "/v1/credit/contribution", contribution, "What each merchant contributes, by stated weights", "credit",
              asks=ContributionQuery, answers=Contributions, signed_in=False, refused=(Refused.out_of_bounds,),
              example_answer={"from": _WHEN, "until": _WHEN, "weights_bp": dict(appraisal.WEIGHTS_BP), "items": [{
                  "participant": "P2", "legal_name": "海南数据有限公司", "contribution": 8_250, "parts": _PARTS,
                  "turnover_fen": 900_000, "buyers": 3, "products": 1, "passed_on_fen": 0, "completed": 4,
                  "refunded": 0}], "next": None}),
)  # fmt: skip
