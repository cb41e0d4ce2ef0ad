"""Listings: drafts, review, publication, and the depth of their books."""

from typing import Annotated, Any, Final

from litestar import Response
from msgspec import Meta, Struct, UnsetType

from clearing.money import Tier
from exchange.allowance import limit_of
from exchange.attributes import Attributes
from exchange.events import (
    AuctionTerms,
    CreateListing,
    ListingCreated,
    ListingMoved,
    ListingRevised,
    MoveListing,
    Refusal,
    Refused,
    ReviseListing,
    Terms,
)
from exchange.listing import attributes_of, may_see, tiers_of
from exchange.matching import posted
from exchange.matching.metering import Plan
from exchange.participant import is_host
from exchange.state import Listing, State
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Id, Operation, Paging, Sha256
from exchange.web.participants import OFFICES, Reasons, page_of

DEPTH_LEVELS: Final = 50


Said = Annotated[
    dict[str, Any],
    Meta(
        description="what the board's fields ask (GET /v1/boards/{board}): a text, an integer, true or false, a date, or a"
        " list of texts each"
    ),
]


class Draft(Struct, kw_only=True, forbid_unknown_fields=True):
    product: Id
    board: Id
    terms: Terms
    attributes: Said = {}


class Revision(Struct, kw_only=True, forbid_unknown_fields=True):
    """`attributes` that are not there stay as they are; those that are there take the place of all."""

    terms: Terms
    attributes: Said | None = None


class Move(Struct, kw_only=True, forbid_unknown_fields=True):
    """`tariff_sha256` comes with `approve` of public data: the price list its regime and ceiling were held against."""

    reasons: Reasons = ()
    tariff_sha256: Sha256 | None = None


class ListingQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Annotated[str, Meta(max_length=20)] = ""


class ListingStep(Struct):
    listing: str
    state: str
    reasons: tuple[str, ...]
    until: str | None


class ListingView(Struct, kw_only=True):
    """A listing with what it offers. `available` is null where the supply is unlimited.

    `tiers`: from so many units on, the whole order at that price; none: all at `price_fen`. `per_buyer_units`: the most
    that one owner may buy in all, 0 without limit. `tick_fen` and `collar_bp` are those of a book; a collar of 0 is none.

    `tariff_sha256` is what a reviewer held the price of public data against; null before, and for other data.
    """

    listing: str
    state: str
    product: str
    board: str
    merchant: str
    merchant_name: str
    title: str
    summary: str
    tags: tuple[str, ...]
    grade: str
    origin: str
    right: str
    deal: str
    purposes: tuple[str, ...]
    territories: tuple[str, ...]
    field_group: str
    term_days: int
    mechanism: str
    supply: str
    supply_units: int
    available: int | None
    price_regime: str
    price_fen: int
    price_per_units: int
    price_cap_fen: int
    tariff_sha256: str | None
    delivery_days: int
    acceptance_days: int
    redelivery_days: int
    listed_days: int
    updates: str
    created_at: str
    until: str | None
    last_fen: int | None
    reasons: tuple[str, ...]
    tiers: tuple[Tier, ...]
    per_buyer_units: int
    attributes: Attributes
    auction: AuctionTerms | None = None
    plan: Plan | None = None
    tick_fen: int = 1
    collar_bp: int = 0


class ListingList(Struct):
    items: tuple[ListingView, ...]
    next: str | None


class DepthLevel(Struct):
    price_fen: int
    quantity: int
    orders: int


class Depth(Struct):
    """The book's best levels, best first; both sides empty where there is no book."""

    listing: str
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]
    last_fen: int | None


def available_units(listing: Listing) -> int | None:
    """What can still be bought at the posted price; None without limit."""
    terms = listing.terms
    return posted.left(terms.supply, terms.supply_units, listing.taken_units)


def listing_view(state: State, listing: Listing) -> ListingView:
    product, terms = state.products[listing.product], listing.terms
    return ListingView(
        listing=listing.id,
        state=listing.state,
        product=listing.product,
        board=listing.board,
        merchant=listing.merchant,
        merchant_name=state.bureau.participants[listing.merchant].legal_name,
        title=product.description.title,
        summary=product.description.summary,
        tags=product.description.tags,
        grade=product.classification.data_class,
        origin=product.classification.origin,
        right=terms.right,
        deal=terms.deal,
        purposes=terms.purposes,
        territories=terms.territories,
        field_group=terms.field_group,
        term_days=terms.term_days,
        mechanism=terms.mechanism,
        supply=terms.supply,
        supply_units=terms.supply_units,
        available=available_units(listing),
        price_regime=terms.price_regime,
        price_fen=terms.price_fen,
        price_per_units=terms.price_per_units,
        price_cap_fen=terms.price_cap_fen,
        tariff_sha256=listing.tariff_sha256 or None,
        delivery_days=terms.delivery_days,
        acceptance_days=terms.acceptance_days,
        redelivery_days=terms.redelivery_days,
        listed_days=terms.listed_days,
        updates=product.description.update_frequency,
        created_at=text_of(listing.created_at_ns),
        until=optional_text(listing.until_ns),
        last_fen=listing.last_fen or None,
        reasons=listing.reasons,
        tiers=tiers_of(terms),
        per_buyer_units=limit_of(terms),
        attributes=attributes_of(listing),
        auction=None if isinstance(terms.auction, UnsetType) else terms.auction,
        plan=terms.plan or None,
        tick_fen=terms.tick_fen or 1,
        collar_bp=terms.collar_bp or 0,
    )


async def create(call: Call, body: Draft) -> ListingStep:
    command = CreateListing(
        actor=call.participant,
        key=call.key,
        product=body.product,
        board=body.board,
        terms=body.terms,
        attributes=body.attributes,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, ListingCreated)
    return ListingStep(event.listing, "draft", (), None)


async def revise(call: Call, body: Revision) -> ListingView:
    identifier = call.path["listing"]
    command = ReviseListing(
        actor=call.participant,
        key=call.key,
        listing=identifier,
        terms=body.terms,
        attributes=body.attributes,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, ListingRevised)
    return await call.read(lambda state: listing_view(state, state.listings[identifier]))


async def move(call: Call, body: Move) -> ListingStep:
    command = MoveListing(
        actor=call.participant,
        key=call.key,
        listing=call.path["listing"],
        step=call.path["step"],
        reasons=body.reasons,
        tariff_sha256=body.tariff_sha256 or "",
    )
    outcome = await call.submit(command)
    moves = [event for event in outcome.events if isinstance(event, ListingMoved)]
    last = moves[-1]
    return ListingStep(last.listing, last.state, moves[0].reasons, optional_text(last.until_ns))


async def list_own(call: Call, asked: ListingQuery) -> Response[bytes]:
    """A reviewer's list holds everybody's listings, a board host's those of its board; anybody else's their own."""
    now_ns = call.now_ns
    participant, whole = call.participant, bool((await call.roles()).intersection(OFFICES))

    def look(state: State) -> tuple[list[ListingView], str]:
        rows, following = page_of(
            state.listings,
            "L",
            state.counters.get("L", 0),
            asked,
            lambda row: (
                (whole or row.merchant == participant or is_host(state, participant, row.board, now_ns))
                and asked.state in ("", row.state)
            ),
        )
        return [listing_view(state, row) for row in rows], following

    return call.page(*await call.read(look))


async def show(call: Call, asked: None) -> ListingView:
    identifier, visitor, now_ns = call.path["listing"], call.visitor, call.now_ns
    await call.opens_listing(identifier)

    def look(state: State) -> ListingView | Refusal:
        listing = state.listings.get(identifier)
        if listing is None or not may_see(state, listing, visitor, now_ns):
            return Refusal(Refused.not_found, f"there is no listing {identifier}")
        return listing_view(state, listing)

    view = await call.read(look)
    assert isinstance(view, ListingView)
    return view


async def depth(call: Call, asked: None) -> Depth:
    identifier, visitor, now_ns = call.path["listing"], call.visitor, call.now_ns
    await call.opens_listing(identifier)

    def look(state: State) -> Depth | Refusal:
        listing = state.listings.get(identifier)
        if listing is None or not may_see(state, listing, visitor, now_ns):
            return Refusal(Refused.not_found, f"there is no listing {identifier}")
        return _depth(state, listing)

    view = await call.read(look)
    assert isinstance(view, Depth)
    return view


def _depth(state: State, listing: Listing) -> Depth:
    book = state.books.get(listing.id)
    if book is None:
        return Depth(listing.id, (), (), listing.last_fen or None)
    bids = tuple(DepthLevel(*level) for level in book.depth("buy", DEPTH_LEVELS))
    asks = tuple(DepthLevel(*level) for level in book.depth("sell", DEPTH_LEVELS))
    return Depth(listing.id, bids, asks, listing.last_fen or None)


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
TERMS_EXAMPLE: Final = {
    "right": "product_operation", "deal": "licence", "purposes": ["market_analysis"], "territories": ["CN"],
    "field_group": "core", "term_days": 90, "mechanism": "posted_price", "supply": "unlimited", "price_fen": 50_000,
    "price_per_units": 1, "delivery_days": 3, "acceptance_days": 3, "redelivery_days": 3, "listed_days": 365,
}  # fmt: skip
LISTING_EXAMPLE: Final = {
    "listing": "L1", "state": "published", "product": "D1", "board": "general", "merchant": "P2",
    "merchant_name": "海南示例数据有限公司", "title": "港口集装箱吞吐量月度统计",
    "summary": "分港区、分航线的集装箱吞吐量。", "tags": ["港口"], "grade": "general", "origin": "enterprise",
    **TERMS_EXAMPLE, "supply_units": 0, "available": None,
    "price_regime": "market", "price_cap_fen": 0, "tariff_sha256": None, "updates": "monthly", "created_at": _WHEN,
    "until": "2027-11-23T10:00:00Z", "last_fen": None, "reasons": [],
    "tiers": [{"from_units": 1, "price_fen": 50_000}, {"from_units": 10, "price_fen": 45_000}], "per_buyer_units": 100,
    "attributes": {"sector": "transport", "update_hours": 720},
    "auction": None,
    "plan": None,
    "tick_fen": 1,
    "collar_bp": 0,
}  # fmt: skip
_LISTED: Final = (
    Refused.not_verified, Refused.not_accredited, Refused.standing_denied, Refused.not_found, Refused.out_of_bounds,
    Refused.mechanism_not_allowed, Refused.forbidden, Refused.board_rule,
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/listings", create, "Draft a listing of an own product (accredited merchant)", "listings",
        status=201, asks=Draft, answers=ListingStep, refused=_LISTED,
        example={"product": "D1", "board": "general", "terms": TERMS_EXAMPLE, "attributes": {"sector": "transport"}},
        example_answer={"listing": "L1", "state": "draft", "reasons": [], "until": None},
    ),
    Operation(
        "GET", "/v1/listings", list_own, "Own listings; reviewers, operators and auditors see all", "listings",
        asks=ListingQuery, answers=ListingList, example_answer={"items": [LISTING_EXAMPLE], "next": None},
    ),
    Operation(
        "GET", "/v1/listings/{listing}", show, "A listing; drafts for their merchant and the offices only", "listings",
        answers=ListingView, signed_in=False, refused=(Refused.not_signed_in, Refused.not_found),
        example_answer=LISTING_EXAMPLE,
    ),
    Operation(
        "PUT", "/v1/listings/{listing}", revise, "Revise the terms of a draft or returned listing", "listings",
        asks=Revision, answers=ListingView, refused=(*_LISTED, Refused.wrong_state), example={"terms": TERMS_EXAMPLE},
        example_answer=LISTING_EXAMPLE,
    ),
    Operation(
        "GET", "/v1/listings/{listing}/book", depth, "Depth of the listing's order book", "listings",
        answers=Depth, signed_in=False, refused=(Refused.not_signed_in, Refused.not_found),
        example_answer={"listing": "L3", "bids": [{"price_fen": 800, "quantity": 2, "orders": 1}], "asks": [],
                        "last_fen": 800},
    ),
    Operation(
        "POST", "/v1/listings/{listing}/{step}", move, "submit, approve, return, suspend, resume or withdraw",
        "listings", asks=Move, answers=ListingStep,
        refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state, Refused.unlawful,
                 Refused.not_accredited, Refused.not_verified, Refused.standing_denied, Refused.evidence_missing,
                 Refused.board_rule),
        example={"reasons": ["价格依据不足"]},
        example_answer={"listing": "L1", "state": "returned", "reasons": ["价格依据不足"], "until": None},
    ),
)  # fmt: skip
