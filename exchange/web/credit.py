"""Credit: score, grade and reasons for oneself; the grade in force for others; what follows from each grade."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from credit.remedy import CEILING_TIMES, CONSEQUENCES, GRADE_NOTICE_DAYS, LISTED, UPGRADE_DAYS
from exchange import projector
from exchange.consequence import ceiling_of, coming, grade_of
from exchange.events import Refusal, Refused
from exchange.state import State
from exchange.web.instant import Instant, ns_of, optional_text, text_of
from exchange.web.operation import Call, Operation


class CreditQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    as_of: Instant | None = None


class CreditReason(Struct):
    """Why the score is what it is: points of one dimension. All points sum to the score. `weight_micro` is what the
    orders or the fault count for as of now, in millionths of an order (of a point for compliance)."""

    dimension: str
    points: int
    text_zh: str
    text_en: str
    events: tuple[str, ...]
    clause: str
    fades_at: str | None
    weight_micro: int
    counterparty: str


class NextGrade(Struct, rename={"since": "from"}):
    """A lower grade that is noticed, in force then where its grounds still stand; or a better one, where it lasts."""

    grade: str
    since: str


class CreditView(Struct):
    """`grade` is the one in force, `computed_grade` that of the score; a lower one of these is noticed first (`next`), a
    better one has to last. `largest_order_fen`: the ceiling of one order now, null where there is none."""

    participant: str
    score: int
    grade: str
    computed_grade: str
    next: NextGrade | None
    largest_order_fen: int | None
    reasons: tuple[CreditReason, ...]
    as_of: str


class GradeView(Struct):
    participant: str
    grade: str


class ConsequenceRow(Struct):
    """What follows from one grade, and nothing else does. Null of a limit is none.

    `fee_bp` is added to the board's fee. An order may be `order_times` the largest settled one, and at least
    `largest_order_fen`. `velocity`: orders of 10,000 CNY or more that it may sell a day (UTC), of what is to be delivered.
    """

    grade: str
    fee_bp: int
    deposit_fen: int
    most_listings: int | None
    orders_per_minute: int | None
    largest_order_fen: int | None
    order_times: int
    velocity: int | None
    pre_review: int
    suspended: bool


class ConsequenceWords(Struct):
    consequence: str
    text_zh: str
    text_en: str
    undone_zh: str
    undone_en: str


class ConsequenceList(Struct):
    """`notice_days`: before a lower grade is in force. `upgrade_days`: for how long a better one must be computed."""

    items: tuple[ConsequenceRow, ...]
    meanings: tuple[ConsequenceWords, ...]
    notice_days: int
    upgrade_days: int
    next: str | None = None


def _rating(state: State, participant: str, as_of_ns: int) -> CreditView | Refusal:
    """As of now, or of an instant: then without what is in force, which the tables say."""
    if participant not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {participant}")
    rating = state.bureau.rating(participant, as_of_ns)
    reasons = tuple(
        CreditReason(
            one.dimension,
            one.points,
            one.zh,
            one.en,
            tuple(one.references),
            one.clause_zh,
            optional_text(one.fades_at_ns),
            one.weight_micro,
            one.counterparty,
        )
        for one in rating.reasons
    )
    noticed = coming(state, participant, as_of_ns)
    return CreditView(
        participant,
        rating.score,
        grade_of(state, participant),
        rating.grade,
        None if noticed is None else NextGrade(noticed[0], text_of(noticed[1])),
        ceiling_of(state, participant) or None,
        reasons,
        text_of(as_of_ns),
    )


async def own(call: Call, asked: CreditQuery) -> CreditView:
    participant = call.participant
    as_of_ns = call.now_ns if asked.as_of is None else ns_of(asked.as_of, "as_of")
    view = await call.read(lambda state: _rating(state, participant, as_of_ns))
    assert isinstance(view, CreditView)
    if asked.as_of is None:
        return view
    await call.tables_ready()
    grade = await projector.grade_at(call.desk.pool, participant, as_of_ns)
    return replace(view, grade=grade, next=None, largest_order_fen=None)


async def of_other(call: Call, asked: None) -> GradeView:
    """The grade in force; reviewers, operators and auditors use the participant's own page for more."""
    participant = call.path["participant"]

    def look(state: State) -> GradeView | Refusal:
        if participant not in state.bureau.participants:
            return Refusal(Refused.not_found, f"there is no participant {participant}")
        return GradeView(participant, grade_of(state, participant))

    view = await call.read(look)
    assert isinstance(view, GradeView)
    return view


async def consequences(call: Call, asked: None) -> ConsequenceList:
    return PUBLISHED


PUBLISHED: Final = ConsequenceList(
    tuple(
        ConsequenceRow(
            grade,
            row.fee_bp,
            row.deposit_fen,
            row.most_listings or None,
            row.orders_per_minute or None,
            row.largest_order_fen or None,
            CEILING_TIMES,
            row.velocity or None,
            row.pre_review,
            row.suspended,
        )
        for grade, row in CONSEQUENCES.items()
    ),
    tuple(ConsequenceWords(row.field, row.zh, row.en, row.undone_zh, row.undone_en) for row in LISTED),
    GRADE_NOTICE_DAYS,
    UPGRADE_DAYS,
)


OPERATIONS = (
    Operation(
        "GET", "/v1/credit/me", own, "Own score, grade and every reason, now or as of an instant", "credit",
        asks=CreditQuery, answers=CreditView, refused=(Refused.not_found, Refused.out_of_bounds),
        example_answer={
            "participant": "P2", "score": 631, "grade": "M", "computed_grade": "M", "next": None,
            "largest_order_fen": 1_000_000_000, "as_of": "2026-11-23T10:00:00Z",
            "reasons": [{"dimension": "identity", "points": 120, "text_zh": "身份已核验", "text_en": "identity verified",
                         "events": [], "clause": "", "fades_at": None, "weight_micro": 0, "counterparty": ""}],
        },
    ),
    Operation(
        "GET", "/v1/credit/consequences", consequences, "What follows from each grade: the published list, and only that",
        "credit", answers=ConsequenceList, signed_in=False,
        example_answer={
            "items": [{"grade": "C", "fee_bp": 50, "deposit_fen": 1_000_000, "most_listings": 5, "orders_per_minute": 30,
                       "largest_order_fen": 5_000_000, "order_times": 3, "velocity": 20, "pre_review": 7,
                       "suspended": False}],
            "meanings": [{"consequence": "fee_bp", "text_zh": "交易服务费加收或减免（基点）",
                          "text_en": "added to the board's fee, or taken off (basis points)",
                          "undone_zh": "等级回升", "undone_en": "ends when a better grade is in force"}],
            "notice_days": 7, "upgrade_days": 14, "next": None,
        },
    ),
    Operation(
        "GET", "/v1/credit/{participant}", of_other, "The grade in force of any participant", "credit",
        answers=GradeView, signed_in=False, refused=(Refused.not_found,),
        example_answer={"participant": "P2", "grade": "M"},
    ),
)  # fmt: skip
