"""Credit: score, grade and reasons for oneself; the grade alone for others."""

from msgspec import Struct

from exchange.events import Refusal, Refused
from exchange.state import State
from exchange.web.instant import Instant, ns_of, optional_text, text_of
from exchange.web.operation import Call, Operation


class CreditQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    as_of: Instant | None = None


class CreditReason(Struct):
    """Why the score is what it is: points of one dimension. All points sum to the score."""

    dimension: str
    points: int
    text_zh: str
    text_en: str
    events: tuple[str, ...]
    clause: str
    fades_at: str | None


class CreditView(Struct):
    participant: str
    score: int
    grade: str
    reasons: tuple[CreditReason, ...]
    as_of: str


class GradeView(Struct):
    participant: str
    grade: str


def _rating(state: State, participant: str, as_of_ns: int) -> CreditView | Refusal:
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
        )
        for one in rating.reasons
    )
    return CreditView(participant, rating.score, rating.grade, reasons, text_of(as_of_ns))


async def own(call: Call, asked: CreditQuery) -> CreditView:
    participant = call.participant
    as_of_ns = call.now_ns if asked.as_of is None else ns_of(asked.as_of, "as_of")
    view = await call.read(lambda state: _rating(state, participant, as_of_ns))
    assert isinstance(view, CreditView)
    return view


async def of_other(call: Call, asked: None) -> GradeView:
    """The grade; reviewers, operators and auditors use the participant's own page for more."""
    participant, now_ns = call.path["participant"], call.now_ns

    def look(state: State) -> GradeView | Refusal:
        if participant not in state.bureau.participants:
            return Refusal(Refused.not_found, f"there is no participant {participant}")
        return GradeView(participant, state.bureau.grade(participant, now_ns))

    view = await call.read(look)
    assert isinstance(view, GradeView)
    return view


OPERATIONS = (
    Operation(
        "GET", "/v1/credit/me", own, "Own score, grade and every reason, now or as of an instant", "credit",
        asks=CreditQuery, answers=CreditView, refused=(Refused.not_found, Refused.out_of_bounds),
        example_answer={
            "participant": "P2", "score": 631, "grade": "M", "as_of": "2026-11-23T10:00:00Z",
            "reasons": [{"dimension": "identity", "points": 120, "text_zh": "身份已核验", "text_en": "identity verified",
                         "events": [], "clause": "", "fades_at": None}],
        },
    ),
    Operation(
        "GET", "/v1/credit/{participant}", of_other, "The grade of any participant", "credit",
        answers=GradeView, signed_in=False, refused=(Refused.not_found,),
        example_answer={"participant": "P2", "grade": "M"},
    ),
)  # fmt: skip
