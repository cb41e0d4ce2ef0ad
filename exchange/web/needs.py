"""Needs over HTTP: what buyers look for, what merchants propose, how it is decided.

Who sees a proposal (`shown_to`): its merchant always. While it is sealed, and for ever where its need ended before the
opening, nobody else: neither the buyer nor any operator. What was opened is the buyer's, and that of those who look after
the venue. Of a tender that was opened all proposers see who asks what (招标投标法第三十六条: 「当众予以拆封，宣读投标人
名称、投标价格和投标文件的其他主要内容」), and of a tender or a challenge that is awarded everybody sees it
(海南行动方案第九条: 「面向社会公布评选结果」); but the words of a proposal are its parties' own.
"""

from typing import Annotated, Any, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from exchange import projector
from exchange.events import (
    AcceptProposal,
    AwardNeed,
    CounterProposal,
    MarkProposal,
    NeedMoved,
    NeedPublished,
    NeedShortlisted,
    ProposalAwarded,
    ProposalCountered,
    ProposalMade,
    ProposalMarked,
    ProposalRevised,
    ProposalWithdrawn,
    Propose,
    PublishNeed,
    Refusal,
    Refused,
    ShortlistProposals,
    Stage,
    TradeRefused,
    WithdrawNeed,
    WithdrawProposal,
)
from exchange.matching.negotiation import TURN, Criterion, Kind, Ranked
from exchange.need import standings
from exchange.projection import NeedRecord, ProposalRecord
from exchange.state import State
from exchange.venue import Outcome
from exchange.web.fills import Fill, fill_of
from exchange.web.instant import Instant, ns_of, text_of
from exchange.web.operation import Call, Id, Name, Operation, Paging
from exchange.web.problem import Refusing, Violation, refusing

ALL_SEE: Final = ("reviewer", "operator", "auditor", "regulator")
NeedState = Literal["open", "deciding", "awarded", "withdrawn", "lapsed"]

Text = Annotated[str, Meta(max_length=5_000)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Quantity = Annotated[int, Meta(ge=1, le=10**9, description="whole units")]
Price = Annotated[int, Meta(ge=0, le=10**12, description="fen per price_per_units of the proposal's listing")]
Figures = Annotated[dict[Name, Annotated[int, Meta(ge=0, le=10**12)]], Meta(max_length=10)]


# ---- bodies


class CriterionBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`price_fen` and `delivery_days` are measured of each proposal; any other is marked by the buyer, or a figure of the
    proposal's own. Weights come to 10,000."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    weight_bp: Annotated[int, Meta(ge=1, le=10_000)]
    better: Literal["lower", "higher"]


class StageBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A stage after the first one: how many proposals at most go on into it, and until when they may be improved."""

    name: Title
    shortlist: Annotated[int, Meta(ge=1, le=200)]
    until: Instant


class NeedBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`right` and `fields` (of the data dictionary) narrow what is looked for. `listing`: a quote is asked of it alone."""

    kind: Kind
    board: Id
    title: Title
    text: Text = ""
    purpose: Annotated[str, Meta(min_length=1, max_length=200)]
    territory: Annotated[str, Meta(min_length=1, max_length=200)]
    quantity: Quantity
    respond_until: Instant
    decide_until: Instant
    right: Name = ""
    fields: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    budget_fen: Annotated[int, Meta(ge=0, le=10**15, description="most for all of it; 0: none said")] = 0
    criteria: Annotated[tuple[CriterionBody, ...], Meta(max_length=10)] = ()
    stages: Annotated[tuple[StageBody, ...], Meta(max_length=5)] = ()
    awards: Annotated[int, Meta(ge=1, le=20)] = 1
    listing: Id = ""


class Reason(Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=500)] = ""


class ProposalBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`scores`: what the proposal says of itself by criterion. Within `delivery_days` is delivered, if it is awarded."""

    listing: Id
    quantity: Quantity
    price_fen: Price
    delivery_days: Annotated[int, Meta(ge=1, le=3_660)]
    text: Text = ""
    scores: Figures = {}


class CounterBody(Struct, kw_only=True, forbid_unknown_fields=True):
    price_fen: Price
    quantity: Quantity


class AcceptBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`accepts_prior`: the buyer's word on licences that others have already (rule B17)."""

    accepts_prior: bool = False


class MarksBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """The buyer's marks for one proposal. Once one is marked by a criterion, all are compared by marks."""

    proposal: Id
    scores: Figures


class ShortlistBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """Empty: the best, as many as the stage takes. Others than these are refused."""

    proposals: Annotated[tuple[Id, ...], Meta(max_length=200)] = ()


class AwardBody(Struct, kw_only=True, forbid_unknown_fields=True):
    proposal: Id
    accepts_prior: bool = False


class NeedQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    kind: Kind | None = None
    state: NeedState | None = None
    board: Annotated[str, Meta(max_length=64)] = ""
    buyer: Annotated[str, Meta(max_length=64)] = ""


# ---- answers


class StageView(Struct):
    name: str
    shortlist: int
    until: str


class OfferView(Struct):
    """What was on the table; `by` merchant or buyer."""

    by: str
    quantity: int
    price_fen: int
    at: str


class ProposalView(Struct):
    """`turn`: who answers it. `offers` and `text` are null to whoever is no party of it, nor looks after the venue.

    `score_bp` and `points_bp` (by criterion) are as things stand while it can be awarded, then as it was decided; null
    where it was never compared, and to a merchant who quotes: it would tell what others ask.
    """

    proposal: str
    need: str
    merchant: str
    listing: str
    state: str
    turn: str | None
    quantity: int
    price_fen: int
    price_per_units: int
    delivery_days: int
    text: str | None
    scores: dict[str, int]
    marks: dict[str, int]
    score_bp: int | None
    points_bp: dict[str, int] | None
    offers: tuple[OfferView, ...] | None
    trade: str | None
    violated: tuple[Violation, ...]
    made: str
    updated: str


class ProposalList(Struct):
    items: tuple[ProposalView, ...]
    next: str | None


class NeedView(Struct):
    """`count`: how many proposals were made. `reason`: of its end."""

    need: str
    kind: str
    state: str
    buyer: str
    board: str
    title: str
    text: str
    purpose: str
    territory: str
    right: str | None
    fields: tuple[str, ...]
    quantity: int
    budget_fen: int | None
    criteria: tuple[Criterion, ...]
    stages: tuple[StageView, ...]
    stage: int
    awards: int
    awarded: int
    listing: str | None
    count: int
    reason: str | None
    published: str
    respond_until: str
    decide_until: str
    updated: str


class NeedList(Struct):
    items: tuple[NeedView, ...]
    next: str | None


class WholeNeed(NeedView):
    """With the proposals that the asker may see, the best first once they were compared. `lacking`: why they cannot be
    compared yet."""

    proposals: tuple[ProposalView, ...]
    lacking: str | None


class NeedStep(Struct, omit_defaults=True):
    """`state` of the need after this request."""

    need: str
    state: str
    at: str
    kept: tuple[str, ...] = ()
    eliminated: tuple[str, ...] = ()
    until: str = ""


class ProposalStep(Struct, omit_defaults=True):
    """`state` of the proposal after this request, and whose `turn` it is."""

    proposal: str
    need: str
    state: str
    at: str
    turn: str = ""


class Award(Struct):
    """`state` awarded or held; `need_state` of a need that is over with it. The `trade` goes on like any other."""

    need: str
    proposal: str
    state: str
    need_state: str | None
    trade: str
    fill: Fill


# ---- reads


async def list_needs(call: Call, asked: NeedQuery) -> Response[bytes]:
    """Those asked of one listing alone are shown to their two parties, and to those who look after the venue."""
    visitor = call.visitor
    sees_all = bool(visitor and (await call.roles()).intersection(ALL_SEE))
    await call.tables_ready()
    page = await projector.needs_of(
        call.desk.pool,
        None if sees_all else visitor,
        (asked.kind or "", asked.state or "", asked.board, asked.buyer),
        asked.limit,
        asked.cursor or None,
    )
    return call.page([need_view(row) for row in page.items], page.next or "")


async def show(call: Call, asked: None) -> WholeNeed:
    visitor, name = call.visitor, call.path["need"]
    sees_all = bool(visitor and (await call.roles()).intersection(ALL_SEE))
    await call.tables_ready()
    row = await projector.need(call.desk.pool, name)
    if row is None or not (sees_all or not row.invited or visitor in (row.invited, row.buyer)):
        raise Refusing(Refused.not_found, f"there is no need {name}")
    rows = await projector.proposals_for(call.desk.pool, name)
    proposes = any(one.merchant == visitor for one in rows)
    seen = [one for one in rows if sees_all or _shown_to(row, one, visitor, proposes)]
    shown = [one for one in seen if one.opened_at_ns or one.merchant == visitor]
    standing = await call.read(lambda state: _standing(state, name))
    ranking = () if isinstance(standing, str) else standing
    decides = sees_all or visitor == row.buyer
    live = ranking if decides or row.kind == "tender" else ()
    views = [proposal_view(call, row, one, visitor, sees_all, live) for one in shown]
    views.sort(key=lambda view: -(view.score_bp or 0))
    lacking = standing if isinstance(standing, str) and decides else None
    return WholeNeed(**_fields(need_view(row)), proposals=tuple(views), lacking=lacking)


def _fields(view: NeedView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__struct_fields__}


def _shown_to(need: NeedRecord, proposal: ProposalRecord, visitor: str, proposes: bool) -> bool:
    """Whether a visitor without an office sees a proposal, once it is opened."""
    if visitor and visitor in (proposal.merchant, need.buyer):
        return True
    if need.kind == "quote":
        return False
    return need.state == "awarded" or (need.kind == "tender" and proposes)


def _standing(state: State, name: str) -> tuple[Ranked, ...] | str:
    """The ranking as it stands, or why there is none."""
    need = state.needs.get(name)
    if need is None or not need.criteria:
        return ()
    found = standings(state, need)
    return found.detail if isinstance(found, Refusal) else found


async def list_proposals(call: Call, asked: Paging) -> Response[bytes]:
    """Own ones, of all needs."""
    visitor = call.participant
    await call.tables_ready()
    page = await projector.proposals_of(call.desk.pool, visitor, asked.limit, asked.cursor or None)
    needs = await projector.needs_named(call.desk.pool, [row.need for row in page.items])
    items = [proposal_view(call, needs[row.need], row, visitor, False, ()) for row in page.items]
    return call.page(items, page.next or "")


async def show_proposal(call: Call, asked: None) -> ProposalView:
    visitor, name = call.participant, call.path["proposal"]
    sees_all = bool((await call.roles()).intersection(ALL_SEE))
    await call.tables_ready()
    row = await projector.proposal(call.desk.pool, name)
    hidden = row is None or (not row.opened_at_ns and row.merchant != visitor)
    if row is None or hidden or not (sees_all or visitor in (row.merchant, row.buyer)):
        raise Refusing(Refused.not_found, f"there is no proposal {name} that you are a party of")
    need = (await projector.needs_named(call.desk.pool, [row.need]))[row.need]
    return proposal_view(call, need, row, visitor, sees_all, ())


def need_view(row: NeedRecord) -> NeedView:
    return NeedView(
        row.id,
        row.kind,
        row.state,
        row.buyer,
        row.board,
        row.title,
        row.text,
        row.purpose,
        row.territory,
        row.right or None,
        row.fields,
        row.quantity,
        row.budget_fen or None,
        row.criteria,
        tuple(StageView(stage.name, stage.shortlist, text_of(stage.until_ns)) for stage in row.stages),
        row.stage,
        row.awards,
        row.awarded,
        row.listing or None,
        row.proposals,
        row.reason or None,
        text_of(row.published_at_ns),
        text_of(row.respond_until_ns),
        text_of(row.decide_until_ns),
        text_of(row.updated_at_ns),
    )


def proposal_view(
    call: Call,
    need: NeedRecord,
    row: ProposalRecord,
    visitor: str,
    sees_all: bool,
    standing: tuple[Ranked, ...],
) -> ProposalView:
    own = sees_all or visitor in (row.merchant, row.buyer)
    live = next((ranked for ranked in standing if ranked.id == row.id), None)
    points = live.points_bp if live is not None else row.points_bp
    score = live.score_bp if live is not None else row.score_bp
    told = need.kind != "quote" or sees_all or visitor == row.buyer
    compared = {one.name: at for one, at in zip(need.criteria, points if told else (), strict=False)}
    offers = tuple(OfferView(one.by, one.quantity, one.price_fen, text_of(one.at_ns)) for one in row.offers)
    return ProposalView(
        row.id,
        row.need,
        row.merchant,
        row.listing,
        row.state,
        TURN.get(row.state) if need.kind == "quote" else None,  # type: ignore[call-overload]
        row.quantity,
        row.price_fen,
        row.price_per_units,
        row.delivery_days,
        row.text if own else None,
        row.figures,
        row.marks,
        score if compared else None,
        compared or None,
        offers if own else None,
        (row.trade or None) if own else None,
        call.desk.reasons.violations(row.violated, row.updated_at_ns, ()),
        text_of(row.made_at_ns),
        text_of(row.updated_at_ns),
    )


# ---- steps of the need


async def publish(call: Call, body: NeedBody) -> NeedStep:
    command = PublishNeed(
        actor=call.participant,
        key=call.key,
        kind=body.kind,
        board=body.board,
        title=body.title,
        text=body.text,
        purpose=body.purpose,
        territory=body.territory,
        quantity=body.quantity,
        respond_until_ns=ns_of(body.respond_until, "respond_until"),
        decide_until_ns=ns_of(body.decide_until, "decide_until"),
        right=body.right,
        fields=body.fields,
        budget_fen=body.budget_fen,
        criteria=tuple(Criterion(one.name, one.weight_bp, one.better) for one in body.criteria),
        stages=tuple(
            Stage(name=one.name, shortlist=one.shortlist, until_ns=ns_of(one.until, "until"))
            for one in body.stages
        ),
        awards=body.awards,
        listing=body.listing,
    )
    outcome = await call.submit(command)
    published = outcome.events[0]
    assert isinstance(published, NeedPublished)
    until = text_of(published.respond_until_ns)
    return NeedStep(published.need, "open", text_of(outcome.at_ns), until=until)


async def withdraw(call: Call, body: Reason) -> NeedStep:
    command = WithdrawNeed(actor=call.participant, key=call.key, need=call.path["need"], reason=body.reason)
    outcome = await call.submit(command)
    moved = outcome.events[0]
    assert isinstance(moved, NeedMoved)
    return NeedStep(moved.need, moved.state, text_of(outcome.at_ns))


async def shortlist(call: Call, body: ShortlistBody) -> NeedStep:
    command = ShortlistProposals(
        actor=call.participant, key=call.key, need=call.path["need"], proposals=body.proposals
    )
    outcome = await call.submit(command)
    listed = outcome.events[0]
    assert isinstance(listed, NeedShortlisted)
    at, until = text_of(outcome.at_ns), text_of(listed.respond_until_ns)
    return NeedStep(listed.need, "open", at, listed.kept, listed.eliminated, until)


async def mark(call: Call, body: MarksBody) -> ProposalStep:
    command = MarkProposal(
        actor=call.participant,
        key=call.key,
        need=call.path["need"],
        proposal=body.proposal,
        marks=body.scores,
    )
    return _step(await call.submit(command))


async def award(call: Call, body: AwardBody) -> Award:
    command = AwardNeed(
        actor=call.participant,
        key=call.key,
        need=call.path["need"],
        proposal=body.proposal,
        accepts_prior=body.accepts_prior,
    )
    return _awarded(call, await call.submit(command))


def _awarded(call: Call, outcome: Outcome) -> Award:
    """What clearing has refused is answered as a refusal with its articles; the entry keeps it all the same."""
    said = next(event for event in outcome.events if isinstance(event, ProposalAwarded))
    refused = next((event for event in outcome.events if isinstance(event, TradeRefused)), None)
    if refused is not None:
        detail = f"the award is unlawful: {said.proposal} is over, the need goes on with the others"
        reasons = (refused.violated, refused.unknown, refused.capacities)
        raise refusing(Refusal(Refused.unlawful, detail, *reasons), outcome.at_ns)
    fills = [fill_of(event, call.desk.reasons, outcome.at_ns) for event in outcome.events]
    fill = next(one for one in fills if one is not None)
    moved = next((event.state for event in outcome.events if isinstance(event, NeedMoved)), None)
    return Award(said.need, said.proposal, said.state, moved, said.trade, fill)


# ---- steps of a proposal


async def propose(call: Call, body: ProposalBody) -> ProposalStep:
    command = Propose(
        actor=call.participant,
        key=call.key,
        need=call.path["need"],
        listing=body.listing,
        quantity=body.quantity,
        price_fen=body.price_fen,
        delivery_days=body.delivery_days,
        text=body.text,
        figures=body.scores,
    )
    return _step(await call.submit(command))


async def counter(call: Call, body: CounterBody) -> ProposalStep:
    command = CounterProposal(
        actor=call.participant,
        key=call.key,
        proposal=call.path["proposal"],
        quantity=body.quantity,
        price_fen=body.price_fen,
    )
    return _step(await call.submit(command))


async def accept(call: Call, body: AcceptBody) -> Award:
    command = AcceptProposal(
        actor=call.participant,
        key=call.key,
        proposal=call.path["proposal"],
        accepts_prior=body.accepts_prior,
    )
    return _awarded(call, await call.submit(command))


async def withdraw_proposal(call: Call, asked: None) -> ProposalStep:
    command = WithdrawProposal(actor=call.participant, key=call.key, proposal=call.path["proposal"])
    return _step(await call.submit(command))


def _step(outcome: Outcome) -> ProposalStep:
    """Told from the event, so that a repeated command is answered as it was."""
    event, at = outcome.events[0], text_of(outcome.at_ns)
    if isinstance(event, ProposalMade):
        return ProposalStep(event.proposal, event.need, "sealed" if event.sealed else "offered", at)
    if isinstance(event, ProposalWithdrawn):
        return ProposalStep(event.proposal, event.need, "withdrawn", at)
    assert isinstance(event, ProposalRevised | ProposalCountered | ProposalMarked)
    turn = TURN.get(event.state, "") if isinstance(event, ProposalCountered) else ""  # type: ignore[call-overload]
    return ProposalStep(event.proposal, event.need, event.state, at, turn)


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
_UNTIL: Final = "2026-11-30T10:00:00Z"
_DECIDE: Final = "2026-12-10T10:00:00Z"
_CRITERIA: Final = [
    {"name": "price_fen", "weight_bp": 6_000, "better": "lower"},
    {"name": "coverage", "weight_bp": 3_000, "better": "higher"},
    {"name": "delivery_days", "weight_bp": 1_000, "better": "lower"},
]
_ASKED: Final = {
    "kind": "tender", "board": "general", "title": "港口泊位时刻 Berth times", "text": "近三年，分港口、按小时",
    "purpose": "market_analysis", "territory": "CN", "quantity": 10, "criteria": _CRITERIA, "respond_until": _UNTIL,
    "decide_until": _DECIDE,
}  # fmt: skip
_NEED: Final = {
    "need": "N1", "kind": "tender", "state": "deciding", "buyer": "P4", "board": "general",
    "title": "港口泊位时刻 Berth times", "text": "近三年，分港口、按小时", "purpose": "market_analysis", "territory": "CN",
    "right": None, "fields": [], "quantity": 10, "budget_fen": None, "criteria": _CRITERIA, "stages": [], "stage": 0,
    "awards": 1, "awarded": 0, "listing": None, "count": 1, "reason": None, "published": _WHEN,
    "respond_until": _UNTIL, "decide_until": _DECIDE, "updated": _UNTIL,
}  # fmt: skip
_PROPOSAL: Final = {
    "proposal": "Q1", "need": "N1", "merchant": "P2", "listing": "L5", "state": "offered", "turn": None, "quantity": 10,
    "price_fen": 40_000, "price_per_units": 1, "delivery_days": 3, "text": "每日更新", "scores": {"coverage": 80},
    "marks": {}, "score_bp": 10_000, "points_bp": {"price_fen": 6_000, "coverage": 3_000, "delivery_days": 1_000},
    "offers": [{"by": "merchant", "quantity": 10, "price_fen": 40_000, "at": _WHEN}], "trade": None, "violated": [],
    "made": _WHEN, "updated": _UNTIL,
}  # fmt: skip
_OFFER: Final = {
    "listing": "L5", "quantity": 10, "price_fen": 40_000, "delivery_days": 3, "text": "每日更新",
    "scores": {"coverage": 80},
}  # fmt: skip
_AWARD: Final = {
    "need": "N1", "proposal": "Q1", "state": "awarded", "need_state": "awarded", "trade": "T1",
    "fill": {"trade": "T1", "state": "settled", "quantity": 10, "price_fen": 40_000, "amount_fen": 400_000,
             "fee_fen": 8_000, "entitlement": "E1", "due": "2026-12-03T10:00:00Z"},
}  # fmt: skip
_STANDING: Final = (Refused.not_verified, Refused.not_accredited, Refused.standing_denied)
_PARTY: Final = (Refused.not_found, Refused.wrong_state, Refused.out_of_bounds, Refused.outside_terms)
_ASKING: Final = (
    *_STANDING, Refused.not_found, Refused.out_of_bounds, Refused.mechanism_not_allowed, Refused.listing_closed,
)  # fmt: skip
_PROPOSING: Final = (
    *_PARTY, *_STANDING, Refused.forbidden, Refused.already_exists, Refused.mechanism_not_allowed,
    Refused.listing_closed,
)  # fmt: skip
_AWARDING: Final = (
    *_PARTY, Refused.evidence_missing, Refused.unlawful, Refused.halted, Refused.not_verified, Refused.standing_denied,
    Refused.funds_insufficient, Refused.supply_exhausted, Refused.listing_closed,
)  # fmt: skip

OPERATIONS: Final = (
    Operation("GET", "/v1/needs", list_needs, "What buyers look for", "needs", asks=NeedQuery, answers=NeedList,
              signed_in=False, example_answer={"items": [_NEED], "next": None}),
    Operation("GET", "/v1/needs/{need}", show, "A need, with the proposals that you may see and how each was scored",
              "needs", answers=WholeNeed, signed_in=False, refused=(Refused.not_found,),
              example_answer={**_NEED, "proposals": [_PROPOSAL], "lacking": None}),
    Operation("POST", "/v1/needs", publish, "Publish a need: a request for quotes, a tender or a challenge (buyer)",
              "needs", status=201, asks=NeedBody, answers=NeedStep, refused=_ASKING, example=_ASKED,
              example_answer={"need": "N1", "state": "open", "at": _WHEN, "until": _UNTIL}),
    Operation("POST", "/v1/needs/{need}/withdraw", withdraw, "Withdraw an own need that is undecided", "needs",
              asks=Reason, answers=NeedStep, refused=(Refused.not_found, Refused.wrong_state),
              example={"reason": "已另行采购"}, example_answer={"need": "N1", "state": "withdrawn", "at": _WHEN}),
    Operation("POST", "/v1/needs/{need}/proposals", propose,
              "Propose from an own listing, or anew while the kind of need lets you (merchant)", "needs", status=201,
              asks=ProposalBody, answers=ProposalStep, refused=_PROPOSING, example=_OFFER,
              example_answer={"proposal": "Q1", "need": "N1", "state": "sealed", "at": _WHEN}),
    Operation("POST", "/v1/needs/{need}/scores", mark, "Mark a proposal by the stated criteria (the need's buyer)",
              "needs", asks=MarksBody, answers=ProposalStep, refused=_PARTY,
              example={"proposal": "Q1", "scores": {"coverage": 80}},
              example_answer={"proposal": "Q1", "need": "N1", "state": "offered", "at": _WHEN}),
    Operation("POST", "/v1/needs/{need}/shortlist", shortlist,
              "Begin a challenge's next stage with the best (the need's buyer)", "needs", asks=ShortlistBody,
              answers=NeedStep, refused=(*_PARTY, Refused.evidence_missing), example={},
              example_answer={"need": "N1", "state": "open", "at": _WHEN, "kept": ["Q1"], "eliminated": ["Q2"],
                              "until": _UNTIL}),
    Operation("POST", "/v1/needs/{need}/award", award,
              "Award to the best by the stated criteria: it becomes a trade (the need's buyer)", "needs",
              asks=AwardBody, answers=Award, refused=_AWARDING, example={"proposal": "Q1"}, example_answer=_AWARD),
    Operation("GET", "/v1/proposals", list_proposals, "Own proposals", "needs", asks=Paging, answers=ProposalList,
              example_answer={"items": [_PROPOSAL], "next": None}),
    Operation("GET", "/v1/proposals/{proposal}", show_proposal, "One proposal, with what was offered in turn", "needs",
              answers=ProposalView, refused=(Refused.not_found,), example_answer=_PROPOSAL),
    Operation("POST", "/v1/proposals/{proposal}/counter", counter, "Counter, when it is your turn (quotes only)", "needs",
              asks=CounterBody, answers=ProposalStep, refused=_PARTY, example={"price_fen": 38_000, "quantity": 10},
              example_answer={"proposal": "Q1", "need": "N1", "state": "countered", "at": _WHEN, "turn": "merchant"}),
    Operation("POST", "/v1/proposals/{proposal}/accept", accept,
              "Accept what the other side has offered: it becomes a trade", "needs", asks=AcceptBody, answers=Award,
              refused=_AWARDING, example={}, example_answer=_AWARD),
    Operation("POST", "/v1/proposals/{proposal}/withdraw", withdraw_proposal, "Take an own proposal back", "needs",
              answers=ProposalStep, refused=(Refused.not_found, Refused.wrong_state),
              example_answer={"proposal": "Q1", "need": "N1", "state": "withdrawn", "at": _WHEN}),
)  # fmt: skip
