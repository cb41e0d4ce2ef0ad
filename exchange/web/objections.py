"""Objections of trustees of data subjects to listings, and a board host's trades."""

from typing import Annotated, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from exchange import projector
from exchange.events import DecideTrusteeObjection, ListingObjected, ObjectToListing, Refused
from exchange.state import State, TrusteeObjection
from exchange.web.instant import text_of
from exchange.web.operation import PATH_PATTERNS, Call, Operation, Paging
from exchange.web.problem import Refusing
from exchange.web.trades import ALL_SEE, TradeList, trade_view

SEE_ALL: Final = ("trustee", "reviewer", "operator", "auditor", "regulator")
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]
ObjectionId = Annotated[str, Meta(pattern=PATH_PATTERNS["objection"])]


class Objecting(Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Text


class Deciding(Struct, kw_only=True, forbid_unknown_fields=True):
    """`uphold` suspends the listing, `reject` lets it go on."""

    decision: Literal["uphold", "reject"]
    text: Text


class ObjectionView(Struct):
    objection: str
    listing: str
    reason: str
    by: str
    since: str


class ObjectionList(Struct):
    items: tuple[ObjectionView, ...]


class DecisionView(Struct):
    """`state` is the listing's after the decision."""

    objection: str
    listing: str
    decision: str
    text: str
    state: str


def _view(row: TrusteeObjection) -> ObjectionView:
    return ObjectionView(row.id, row.listing, row.reason, row.by, text_of(row.at_ns))


async def object_to(call: Call, body: Objecting) -> ObjectionView:
    command = ObjectToListing(
        actor=call.participant, key=call.key, listing=call.path["listing"], reason=body.reason
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, ListingObjected)
    return ObjectionView(event.objection, event.listing, event.reason, event.by, text_of(outcome.at_ns))


async def decide(call: Call, body: Deciding) -> DecisionView:
    listing, objection = call.path["listing"], call.path["objection"]
    command = DecideTrusteeObjection(
        actor=call.participant,
        key=call.key,
        listing=listing,
        objection=objection,
        decision=body.decision,
        text=body.text,
    )
    await call.submit(command)
    state = await call.read(lambda known: known.listings[listing].state)
    return DecisionView(objection, listing, body.decision, body.text, state)


async def of_listing(call: Call, asked: None) -> ObjectionList:
    """The one that is open; what was decided stands in the journal, and in the listing's reasons."""
    name, visitor = call.path["listing"], call.participant

    def look(state: State) -> tuple[TrusteeObjection | None, str]:
        listing = state.listings.get(name)
        return state.objected.get(name), "" if listing is None else listing.merchant

    row, merchant = await call.read(look)
    if merchant != visitor:
        await call.need_role(*SEE_ALL)
    if not merchant:
        raise Refusing(Refused.not_found, f"there is no listing {name}")
    return ObjectionList(() if row is None else (_view(row),))


async def board_trades(call: Call, asked: Paging) -> Response[bytes]:
    """All trades of a board's listings, newest first: to its host, and to those who see all."""
    board, visitor = call.path["board"], call.participant

    def look(state: State) -> tuple[bool, list[str]]:
        listings = [row.id for row in state.listings.values() if row.board == board]
        return board in state.boards, listings

    known, listings = await call.read(look)
    roles = await call.roles()
    if not roles.intersection(ALL_SEE) and not ("board_host" in roles and await call.hosts(board)):
        raise Refusing(
            Refused.forbidden, f"this is for the host of the board {board}, and for {', '.join(ALL_SEE)}"
        )
    if not known:
        raise Refusing(Refused.not_found, f"boards are {', '.join(call.desk.boards)}")
    assert visitor, "roles are somebody's"
    await call.tables_ready()
    page = await projector.trades_of_listings(call.desk.pool, listings, asked.limit, asked.cursor or None)
    return call.page([trade_view(row, call.desk.reasons) for row in page.items], page.next or "")


_WHEN: Final = "2026-11-23T10:00:00Z"
_ASKED: Final = {"reason": "同意书未列明接收方 the consent names no recipient"}
_OBJECTION: Final = _ASKED | {"objection": "H1", "listing": "L1", "by": "P9", "since": _WHEN}
_DECISION: Final = {"decision": "reject", "text": "接收方已逐一告知 each recipient was told"}

OPERATIONS: Final = (
    Operation("POST", "/v1/listings/{listing}/objections", object_to,
              "Hold a listing of personal information until a reviewer has decided (trustee of data subjects)",
              "oversight", status=201, asks=Objecting, answers=ObjectionView, example=_ASKED, example_answer=_OBJECTION,
              refused=(Refused.forbidden, Refused.not_found, Refused.wrong_state, Refused.already_exists)),
    Operation("GET", "/v1/listings/{listing}/objections", of_listing,
              "The open objection to a listing (its merchant, trustees, offices)", "oversight", answers=ObjectionList,
              refused=(Refused.forbidden, Refused.not_found), example_answer={"items": [_OBJECTION]}),
    Operation("POST", "/v1/listings/{listing}/objections/{objection}/decision", decide,
              "Uphold an objection, which suspends the listing, or reject it (reviewer of another house)", "oversight",
              asks=Deciding, answers=DecisionView, example=_DECISION,
              example_answer=_DECISION | {"objection": "H1", "listing": "L1", "state": "published"},
              refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state)),
    Operation("GET", "/v1/boards/{board}/trades", board_trades,
              "Trades of a board's listings, newest first (its host, operator, auditor, regulator)", "oversight",
              asks=Paging, answers=TradeList, refused=(Refused.forbidden, Refused.not_found),
              example_answer={"items": [], "next": None}),
)  # fmt: skip
