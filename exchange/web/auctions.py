"""Auctions: bids, sealed and open, their opening, and what becomes of them.

Before an auction is over nobody is told a price that was sealed, nor how many names are behind the bids; afterwards the
prices are everybody's, and the names those of the parties.
"""

from typing import Annotated, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from exchange import projector
from exchange.auction import auction_terms, lot_units
from exchange.events import (
    AuctionTerms,
    BidPlaced,
    BidRevealed,
    OpenReserve,
    PlaceBid,
    Refusal,
    Refused,
    ReserveOpened,
    RevealBid,
)
from exchange.listing import AUCTIONS, may_see
from exchange.matching.auction import least_fen
from exchange.projection import AuctionRecord, BidRecord
from exchange.state import State
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Name, Operation, Paging, Sha256
from exchange.web.participants import OFFICES
from exchange.web.problem import Refusing

MOST_PRICES: Final = 100
"""How many of an auction's prices are told, the highest first."""

Fen = Annotated[int, Meta(ge=0, le=10**12, description="fen per price_per_units units")]
Nonce = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description="what makes the commitment a secret: 16 random bytes or more",
    ),
]
BidState = Literal[
    "sealed", "opened", "leading", "outbid", "won", "refused", "lost", "forfeited", "called_off"
]
AuctionState = Literal["open", "revealing", "closed"]


class BidBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """Of a sealed auction the `commitment` alone, of an ascending one the `price_fen`.

    `commitment` is the SHA-256 of the text `listing|participant|quantity|price_fen|nonce`, such as `L7|P4|1|40000|...`.
    """

    commitment: Sha256 | None = None
    price_fen: Fen | None = None
    quantity: Annotated[int, Meta(ge=1, le=10**9, description="the lot, which is sold whole")] | None = None
    purpose: Annotated[Name, Meta(description="one of the listing's; empty: its first")] = ""
    territory: Annotated[Name, Meta(description="one of the listing's; empty: its first")] = ""
    accepts_prior: bool = False


class Opening(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the bid was committed to, to the letter."""

    price_fen: Fen
    nonce: Nonce
    quantity: Annotated[int, Meta(ge=1, le=10**9)] = 1


class ReserveBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`reserve_sha256` of the terms is the SHA-256 of the text `reserve_fen|nonce`, such as `35000|...`."""

    reserve_fen: Fen
    nonce: Nonce


class BidQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    listing: Annotated[str, Meta(max_length=20, description="bids in this auction only")] = ""


class BidView(Struct, kw_only=True):
    """`price_fen` is null while it is sealed. `reserved_fen` is set aside beside the deposit until the bid has ended."""

    bid: str
    listing: str
    state: BidState
    commitment: str | None
    price_fen: int | None
    quantity: int
    purpose: str
    territory: str
    deposit_fen: int
    reserved_fen: int
    placed_at: str
    opened_at: str | None
    ended_at: str | None


class BidList(Struct):
    items: tuple[BidView, ...]
    next: str | None


class BidStep(Struct, kw_only=True):
    """A bid that was taken. The auction takes bids until `bids_until`, and opens what is sealed until `reveal_until`."""

    bid: str
    listing: str
    state: BidState
    price_fen: int | None
    deposit_fen: int
    reserved_fen: int
    bids_until: str
    reveal_until: str
    at: str


class OpenedView(Struct):
    """A sealed bid that was opened: `reserved_fen` is set aside beside the deposit until the auction is over."""

    bid: str
    listing: str
    state: BidState
    price_fen: int
    reserved_fen: int
    at: str


class ReserveView(Struct):
    listing: str
    reserve_fen: int
    at: str


class AuctionView(Struct, kw_only=True):
    """`state`: open (bids are taken), revealing (what is sealed is opened), closed; `until` is when the present one ends.

    `price_fen` is what the winner pays, and of an ascending one that runs the leading bid's.
    `outcome` of a closed one: awarded, no_bids, unrevealed, reserve_not_met, refused, called_off (then `reason`). `prices`
    are the highest that were bid, told once it is closed, and of an ascending one at once. `reserve_fen` is null while it
    is secret. `winner` and `trade` are told to the merchant, the winner and the venue's offices; `own` are one's own bids.
    """

    listing: str
    kind: str
    state: AuctionState
    until: str
    bids_until: str
    reveal_until: str
    quantity: int
    start_fen: int
    increment_fen: int
    extension_minutes: int
    deposit_fen: int
    reserve_fen: int | None
    bids: int
    opened: int
    next_bid_fen: int | None
    outcome: str | None
    reason: str | None
    price_fen: int | None
    closed_at: str | None
    prices: tuple[int, ...] = ()
    winner: str | None = None
    trade: str | None = None
    own: tuple[BidView, ...] = ()


def bid_view(row: BidRecord) -> BidView:
    return BidView(
        bid=row.id,
        listing=row.listing,
        state=row.state,  # type: ignore[arg-type]
        commitment=row.commitment or None,
        price_fen=None if row.price_fen < 0 else row.price_fen,
        quantity=row.quantity,
        purpose=row.purpose,
        territory=row.territory,
        deposit_fen=row.deposit_fen,
        reserved_fen=row.reserved_fen,
        placed_at=text_of(row.placed_at_ns),
        opened_at=optional_text(row.opened_at_ns),
        ended_at=optional_text(row.ended_at_ns),
    )


# ---- what bidders and merchants do


async def place(call: Call, body: BidBody) -> BidStep:
    if (body.commitment is None) == (body.price_fen is None):
        detail = "a bid is a commitment (sealed) or a price_fen (ascending): one of the two"
        raise Refusing(Refused.malformed, detail)
    command = PlaceBid(
        actor=call.participant,
        key=call.key,
        listing=call.path["listing"],
        commitment=body.commitment or "",
        price_fen=body.price_fen or 0,
        quantity=body.quantity or 0,
        purpose=body.purpose,
        territory=body.territory,
        accepts_prior=body.accepts_prior,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, BidPlaced)
    return BidStep(
        bid=event.bid,
        listing=event.listing,
        state="sealed" if event.commitment else "leading",
        price_fen=None if event.commitment else event.price_fen,
        deposit_fen=event.deposit_fen,
        reserved_fen=event.reserved_fen,
        bids_until=text_of(event.bids_until_ns),
        reveal_until=text_of(event.reveal_until_ns),
        at=text_of(outcome.at_ns),
    )


async def reveal(call: Call, body: Opening) -> OpenedView:
    command = RevealBid(
        actor=call.participant,
        key=call.key,
        bid=call.path["bid"],
        price_fen=body.price_fen,
        quantity=body.quantity,
        nonce=body.nonce,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, BidRevealed)
    at = text_of(outcome.at_ns)
    return OpenedView(event.bid, event.listing, "opened", event.price_fen, event.reserved_fen, at)


async def open_reserve(call: Call, body: ReserveBody) -> ReserveView:
    command = OpenReserve(
        actor=call.participant,
        key=call.key,
        listing=call.path["listing"],
        reserve_fen=body.reserve_fen,
        nonce=body.nonce,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, ReserveOpened)
    return ReserveView(event.listing, event.reserve_fen, text_of(outcome.at_ns))


# ---- what is seen


async def bids(call: Call, asked: BidQuery) -> Response[bytes]:
    """One's own bids, also in auctions that are over."""
    await call.tables_ready()
    page = await projector.bids_of(
        call.desk.pool, call.participant, asked.listing, asked.limit, asked.cursor or None
    )
    return call.page([bid_view(row) for row in page.items], page.next or "")


async def show_bid(call: Call, asked: None) -> BidView:
    """The bidder's own: nobody else sees a bid, the operator no more than others."""
    await call.tables_ready()
    row = await projector.bid(call.desk.pool, call.path["bid"])
    if row is None or row.participant != call.participant:
        raise Refusing(Refused.not_found, f"you have no bid {call.path['bid']}")
    return bid_view(row)


async def show(call: Call, asked: None) -> AuctionView:
    identifier, visitor, now_ns = call.path["listing"], call.visitor, call.now_ns
    await call.opens_listing(identifier)

    def look(state: State) -> tuple[AuctionTerms, int] | Refusal:
        listing = state.listings.get(identifier)
        if listing is None or not may_see(state, listing, visitor, now_ns):
            return Refusal(Refused.not_found, f"there is no listing {identifier}")
        if listing.terms.mechanism not in AUCTIONS:
            return Refusal(Refused.not_found, f"{identifier} is not sold by auction")
        return auction_terms(listing), lot_units(listing)

    found = await call.read(look)
    assert not isinstance(found, Refusal), "a refusal is raised"
    await call.tables_ready()
    row = await projector.auction(call.desk.pool, identifier)
    if row is None:
        raise Refusing(Refused.not_found, f"the auction of {identifier} begins when it is published")
    return await _seen_by(call, row, *found)


async def _seen_by(call: Call, row: AuctionRecord, terms: AuctionTerms, quantity: int) -> AuctionView:
    """The auction with what this visitor is told of it."""
    pool, visitor = call.desk.pool, call.visitor
    told = row.kind == "ascending" or bool(row.outcome)
    prices = await projector.prices_of(pool, row.id, MOST_PRICES) if told else []
    own = (await projector.bids_of(pool, visitor, row.id)).items if visitor else []
    won = await projector.bid(pool, row.winner) if row.winner else None
    parties = (row.merchant, won.participant) if won is not None else (row.merchant,)
    view = _auction_view(row, terms, quantity, call.now_ns)
    view.prices, view.own = tuple(prices), tuple([bid_view(bid) for bid in own])
    if visitor in parties or (visitor and (await call.roles()).intersection(OFFICES)):
        view.winner = None if won is None else won.participant
        view.trade = row.trade or None
    return view


def _auction_view(row: AuctionRecord, terms: AuctionTerms, quantity: int, now_ns: int) -> AuctionView:
    """What everybody is told but for the prices."""
    closed, takes_bids = bool(row.outcome), not row.outcome and now_ns < row.bids_until_ns
    leading_fen = None if row.leading_fen < 0 else row.leading_fen
    ascending = row.kind == "ascending"
    return AuctionView(
        listing=row.id,
        kind=row.kind,
        state="closed" if closed else "open" if takes_bids else "revealing",
        until=text_of(row.bids_until_ns if takes_bids else row.reveal_until_ns),
        bids_until=text_of(row.bids_until_ns),
        reveal_until=text_of(row.reveal_until_ns),
        quantity=quantity,
        start_fen=terms.start_fen,
        increment_fen=terms.increment_fen,
        extension_minutes=terms.extension_minutes,
        deposit_fen=terms.deposit_fen,
        reserve_fen=None if row.reserve_fen < 0 else row.reserve_fen,
        bids=row.bids,
        opened=row.opened,
        next_bid_fen=least_fen(terms.start_fen, terms.increment_fen, leading_fen)
        if ascending and takes_bids
        else None,
        outcome=row.outcome or None,
        reason=row.reason or None,
        price_fen=row.price_fen if row.winner else None if closed else leading_fen,
        closed_at=optional_text(row.closed_at_ns),
    )


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
_BIDS_UNTIL: Final = "2026-11-26T10:00:00Z"
_REVEAL_UNTIL: Final = "2026-11-28T10:00:00Z"
_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_NONCE: Final = "5f0c3a9be1d24776a4f2c8a1b3d9e655"
_BID: Final = {
    "bid": "J1", "listing": "L7", "state": "sealed", "commitment": _SHA, "price_fen": None, "quantity": 1,
    "purpose": "market_analysis", "territory": "CN", "deposit_fen": 5_000, "reserved_fen": 0, "placed_at": _WHEN,
    "opened_at": None, "ended_at": None,
}  # fmt: skip
_AUCTION: Final = {
    "listing": "L7", "kind": "sealed_second", "state": "closed", "until": _REVEAL_UNTIL, "bids_until": _BIDS_UNTIL,
    "reveal_until": _REVEAL_UNTIL, "quantity": 1, "start_fen": 0, "increment_fen": 0, "extension_minutes": 0,
    "deposit_fen": 5_000, "reserve_fen": 0, "bids": 3, "opened": 2, "next_bid_fen": None,
    "outcome": "awarded", "reason": None, "price_fen": 30_000, "closed_at": _REVEAL_UNTIL, "prices": [40_000, 30_000],
    "winner": None, "trade": None, "own": [],
}  # fmt: skip
_BIDDING: Final = (
    Refused.not_found, Refused.mechanism_not_allowed, Refused.listing_closed, Refused.wrong_state, Refused.halted,
    Refused.out_of_bounds, Refused.outside_terms, Refused.own_case, Refused.already_exists, Refused.not_verified,
    Refused.standing_denied, Refused.unlawful, Refused.funds_insufficient,
)  # fmt: skip
_OPENING: Final = (Refused.not_found, Refused.wrong_state, Refused.commitment_wrong, Refused.out_of_bounds)

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/listings/{listing}/bids", place, "Bid in an auction: a commitment, or a price", "auctions",
        status=201, asks=BidBody, answers=BidStep, refused=_BIDDING, example={"commitment": _SHA},
        example_answer={"bid": "J1", "listing": "L7", "state": "sealed", "price_fen": None, "deposit_fen": 5_000,
                        "reserved_fen": 0, "bids_until": _BIDS_UNTIL, "reveal_until": _REVEAL_UNTIL, "at": _WHEN},
    ),
    Operation(
        "POST", "/v1/bids/{bid}/reveal", reveal, "Open an own sealed bid; its price is set aside", "auctions",
        asks=Opening, answers=OpenedView, refused=(*_OPENING, Refused.funds_insufficient),
        example={"price_fen": 40_000, "quantity": 1, "nonce": _NONCE},
        example_answer={"bid": "J1", "listing": "L7", "state": "opened", "price_fen": 40_000, "reserved_fen": 40_000,
                        "at": _BIDS_UNTIL},
    ),
    Operation(
        "POST", "/v1/listings/{listing}/auction/reserve", open_reserve,
        "Open the secret reserve of an own listing; one that is not opened counts as none", "auctions",
        asks=ReserveBody, answers=ReserveView, refused=_OPENING, example={"reserve_fen": 35_000, "nonce": _NONCE},
        example_answer={"listing": "L7", "reserve_fen": 35_000, "at": _BIDS_UNTIL},
    ),
    Operation(
        "GET", "/v1/listings/{listing}/auction", show, "An auction: its phase, its bids counted, how it ended",
        "auctions", answers=AuctionView, signed_in=False, refused=(Refused.not_signed_in, Refused.not_found),
        example_answer=_AUCTION,
    ),
    Operation(
        "GET", "/v1/bids", bids, "Own bids, also in auctions that are over; the newest first", "auctions",
        asks=BidQuery, answers=BidList, example_answer={"items": [_BID], "next": None},
    ),
    Operation(
        "GET", "/v1/bids/{bid}", show_bid, "An own bid; nobody else sees it", "auctions", answers=BidView,
        refused=(Refused.not_found,), example_answer=_BID,
    ),
)  # fmt: skip
