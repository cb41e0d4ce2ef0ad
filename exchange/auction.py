"""Auctions of a listing: sealed bids by commitment and opening, and the ascending auction. One lot, one buyer.

    sealed      bid (commitment, deposit) ──> revealed (price set aside) ──> struck ──> its trade
                   └─ not opened: forfeited, to the merchant      └─ lost
    ascending   bid (price set aside) ──> struck ──> its trade
                   └─ outbid

Who wins at what price is said in `exchange.matching.auction`. The rules here:

- The merchant and whoever has its ultimate owner do not bid, nor does the venue's staff (拍卖法第二十二条、第三十条), and
  of one ultimate owner one sealed bid is taken. No bid is withdrawn (拍卖法第三十六条).
- Each bid is judged when it is made, and the winning one again at the hammer, by clearing. A sealed bid that may not
  stand is passed over for the next lawful one, which has its price set aside still. An ascending one has nobody behind
  it: whoever was outbid is bound no more (拍卖法第三十六条), so the auction ends without an award.
- Nobody lacks the money at the hammer: it was set aside with the bid, or with its opening.
- A secret reserve that the merchant does not open in time counts as none.
- Where the listing does not trade at the end (withdrawn, expired, suspended, halted, or its merchant may not sell), the
  auction is called off and all money goes back, deposits of bids that were not opened as well.
- When it is over the listing is, too: what was not sold is listed anew.
"""

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Final

from msgspec import UnsetType

from clearing.ledger import CNY
from clearing.money import amount_fen, refuse_amount
from clearing.notrade import capacities
from exchange.consequence import order_refusal
from exchange.events import (
    VENUE,
    AuctionClosed,
    AuctionOpened,
    AuctionTerms,
    BidEnded,
    BidPlaced,
    BidRevealed,
    Event,
    Held,
    ListingMoved,
    OpenReserve,
    PlaceBid,
    PlaceOrder,
    Refusal,
    Refused,
    ReserveOpened,
    RevealBid,
    Settled,
)
from exchange.halt import halted_refusal
from exchange.listing import AUCTIONS, LIFE, MAX_PRICE_FEN, SHA256, VISIBLE, cell_of
from exchange.matching.auction import MINUTE_NS, Bid, Kind, award, end_after_ns, least_fen, ranked
from exchange.order import Deal, judge_clearing, law_refusal, strike
from exchange.participant import has_role, standing_refusal, ultimate_owner
from exchange.state import DAY_NS, Auction, Listing, StandingBid, State

BID_LIFE: Final[Mapping[tuple[str, str], str]] = {
    ("sealed", "open"): "opened",
    ("sealed", "forfeited"): "forfeited",
    ("sealed", "called_off"): "called_off",
    ("opened", "struck"): "refused",
    ("opened", "lost"): "lost",
    ("opened", "called_off"): "called_off",
    ("leading", "outbid"): "outbid",
    ("leading", "struck"): "refused",
    ("leading", "lost"): "lost",
    ("leading", "called_off"): "called_off",
    ("refused", "win"): "won",
}
"""What is not in this table cannot happen. A bid that is struck was refused, unless the same entry says that it won."""

MOST_BIDS: Final = 1_000
"""Sealed bids of one auction: all of them end in one entry of the journal."""

STAFF: Final = ("operator", "reviewer", "auditor", "regulator")
"""拍卖法第二十二条: 「拍卖人及其工作人员不得以竞买人的身份参与自己组织的拍卖活动，并不得委托他人代为竞买」."""


def commitment_of(listing: str, participant: str, quantity: int, price_fen: int, nonce: str) -> str:
    """What a sealed bid is known by until it is opened: SHA-256, hex. Nobody else can use it, or use it twice."""
    return _sha256(f"{listing}|{participant}|{quantity}|{price_fen}|{nonce}")


def reserve_sha256(reserve_fen: int, nonce: str) -> str:
    """What a secret reserve is known by until it is opened."""
    return _sha256(f"{reserve_fen}|{nonce}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def auction_terms(listing: Listing) -> AuctionTerms:
    auction = listing.terms.auction
    assert not isinstance(auction, UnsetType), "an auction's listing"
    return auction


def lot_units(listing: Listing) -> int:
    """What is sold, whole, to one buyer."""
    return 1 if listing.terms.supply == "exclusive" else listing.terms.supply_units


def price_of_lot(listing: Listing, price_fen: int) -> int:
    """What the lot costs at this price per `price_per_units`."""
    return amount_fen(price_fen, listing.terms.price_per_units, lot_units(listing))


# ---- bidding


def place(state: State, command: PlaceBid, at_ns: int) -> Refusal | list[Event]:
    listing = state.listings.get(command.listing)
    if listing is None or listing.state not in VISIBLE:
        return Refusal(Refused.not_found, f"there is no listing {command.listing}")
    if listing.terms.mechanism not in AUCTIONS:
        return Refusal(Refused.mechanism_not_allowed, "this listing is not sold by auction: POST /v1/orders")
    if listing.state != "published":
        return Refusal(Refused.listing_closed, f"the listing is {listing.state}: it takes no bids")
    auction = state.auctions.get(listing.id)
    if auction is None or at_ns >= auction.bids_until_ns:
        return Refusal(Refused.wrong_state, "the time for bids is over")
    refusal = (
        halted_refusal(state, listing)
        or _shape_refusal(listing, command)
        or _bidder_refusal(state, listing, auction, command.actor, at_ns)
        or _place_refusal(auction, listing, command)
        or _law_refusal(state, listing, command, at_ns)
        or _money_refusal(state, listing, auction, command)
        or order_refusal(state, command.actor, listing.merchant, _said_fen(listing, command), at_ns)
    )
    return refusal or [_placed(state, listing, auction, command, at_ns)]


def _shape_refusal(listing: Listing, command: PlaceBid) -> Refusal | None:
    """Whether the bid is of the auction's kind, and fits what is offered."""
    terms, lot = listing.terms, lot_units(listing)
    sealed = auction_terms(listing).kind != "ascending"
    if sealed and (not SHA256(command.commitment) or command.price_fen or command.quantity):
        detail = "a sealed bid is its commitment and nothing else: 64 lower-case hex digits of SHA-256"
        return Refusal(Refused.malformed, detail)
    if not sealed and command.commitment:
        return Refusal(Refused.malformed, "bids of this auction are open: send price_fen")
    if command.quantity not in (0, lot):
        return Refusal(Refused.out_of_bounds, f"the lot is sold whole: quantity is {lot}")
    if (command.purpose or terms.purposes[0]) not in terms.purposes or (
        command.territory or terms.territories[0]
    ) not in terms.territories:
        offered = f"{', '.join(terms.purposes)} and territories {', '.join(terms.territories)}"
        return Refusal(Refused.outside_terms, f"offered are purposes {offered}")
    if (reason := refuse_amount(command.price_fen, terms.price_per_units, lot)) is not None:
        return Refusal(Refused.out_of_bounds, f"this price makes no amount: {reason}")
    return None


def _bidder_refusal(
    state: State, listing: Listing, auction: Auction, bidder: str, at_ns: int
) -> Refusal | None:
    if any(has_role(state, bidder, role, at_ns) for role in STAFF):
        return Refusal(Refused.own_case, "the venue's staff does not bid (拍卖法第二十二条)")
    if _is_merchants(state, listing, bidder):
        detail = "the merchant, and whoever has its ultimate owner, does not bid (拍卖法第三十条): let others"
        return Refusal(Refused.own_case, detail)
    people = state.bureau.participants
    owner = ultimate_owner(people, bidder)
    if auction.kind == "ascending":
        return None
    mine = [row.id for row in standing_bids(auction) if ultimate_owner(people, row.participant) == owner]
    if mine:
        detail = f"{mine[0]} is the one sealed bid of its ultimate owner: no bid is withdrawn or changed"
        return Refusal(Refused.already_exists, detail)
    if len(auction.bids) >= MOST_BIDS:
        return Refusal(Refused.out_of_bounds, f"this auction has its {MOST_BIDS} bids")
    return None


def _is_merchants(state: State, listing: Listing, bidder: str) -> bool:
    """拍卖法第三十条: 「委托人不得参与竞买，也不得委托他人代为竞买」."""
    people = state.bureau.participants
    return ultimate_owner(people, bidder) == ultimate_owner(people, listing.merchant)


def _place_refusal(auction: Auction, listing: Listing, command: PlaceBid) -> Refusal | None:
    if auction.kind != "ascending":
        return None
    least = next_bid_fen(auction, listing)
    if command.price_fen >= least:
        return None
    return Refusal(Refused.out_of_bounds, f"the next bid is at least {least} fen")


def next_bid_fen(auction: Auction, listing: Listing) -> int:
    """What the next bid of an ascending auction has to offer."""
    terms, leading = auction_terms(listing), leading_bid(auction)
    return least_fen(terms.start_fen, terms.increment_fen, None if leading is None else leading.price_fen)


def standing_bids(auction: Auction) -> list[StandingBid]:
    """In the order in which they came, also after a start from a snapshot, which sorts by id."""
    return sorted(auction.bids.values(), key=lambda bid: bid.placed_at_ns)


def leading_bid(auction: Auction) -> StandingBid | None:
    """Of an ascending auction the bid that stands."""
    return next(iter(auction.bids.values()), None)


def _law_refusal(state: State, listing: Listing, command: PlaceBid, at_ns: int) -> Refusal | None:
    """What an order at this price would be told, and clearing if it were the hammer; a sealed bid is judged at the listed
    price. A hold may be cured once it is struck."""
    standing = standing_refusal(state, command.actor, "buy", at_ns)
    if standing is not None and standing.code is not Refused.standing_denied:
        return standing
    price_fen = command.price_fen if not command.commitment else listing.terms.price_fen
    deal = _deal(state, listing, _bid_of(listing, command, at_ns), price_fen, at_ns)
    deal.standing = False
    verdict, _ = judge_clearing(state, deal, at_ns)
    assert deal.read is not None, "it was judged"
    refusal = law_refusal(state, listing, deal.read, as_order(state, command), at_ns) or standing
    if refusal is not None or verdict.outcome in ("allow", "hold"):
        return refusal
    bound = capacities(deal.cell.product, deal.cell.source)
    return Refusal(
        Refused.unlawful, "no trade could come of this bid", verdict.violated, verdict.unknown, bound
    )


def as_order(state: State, command: PlaceBid) -> PlaceOrder:
    """The order that a bid would be; a sealed one says no price."""
    return PlaceOrder(
        actor=command.actor,
        listing=command.listing,
        quantity=lot_units(state.listings[command.listing]),
        limit_fen=command.price_fen,
        purpose=command.purpose,
        territory=command.territory,
        accepts_prior=command.accepts_prior,
    )


def place_again(state: State, order: PlaceOrder, at_ns: int) -> Refusal | list[Event]:
    """What a bid that was stored as an order would lead to; of a sealed one neither price nor commitment is told."""
    sealed = auction_terms(state.listings[order.listing]).kind != "ascending"
    bid = PlaceBid(
        actor=order.actor,
        listing=order.listing,
        commitment=_sha256("") if sealed else "",
        price_fen=order.limit_fen,
        purpose=order.purpose,
        territory=order.territory,
        accepts_prior=order.accepts_prior,
    )
    return place(state, bid, at_ns)


def _bid_of(listing: Listing, command: PlaceBid, at_ns: int, bid: str = "") -> StandingBid:
    """The bid that a command asks for, with what it leaves out."""
    terms, auction = listing.terms, auction_terms(listing)
    sealed = bool(command.commitment)
    return StandingBid(
        id=bid,
        listing=listing.id,
        participant=command.actor,
        commitment=command.commitment,
        quantity=lot_units(listing),
        purpose=command.purpose or terms.purposes[0],
        territory=command.territory or terms.territories[0],
        accepts_prior=command.accepts_prior,
        deposit_fen=auction.deposit_fen,
        reserved_fen=0 if sealed else price_of_lot(listing, command.price_fen),
        placed_at_ns=at_ns,
        price_fen=None if sealed else command.price_fen,
    )


def _deal(state: State, listing: Listing, bid: StandingBid, price_fen: int, at_ns: int) -> Deal:
    """The fill that this bid would be, as `strike` makes it."""
    where = (bid.purpose, bid.territory)
    cell = cell_of(state, listing, *where, at_ns)
    parties = (bid.participant, listing.merchant)
    return Deal(
        listing, cell, *parties, "", "", bid.quantity, price_fen, 0, *where, bid.accepts_prior, standing=True
    )


def _money_refusal(state: State, listing: Listing, auction: Auction, command: PlaceBid) -> Refusal | None:
    """The deposit of a sealed bid, the whole price of an open one; a bidder who leads has the leading bid's money too."""
    bid = _bid_of(listing, command, 0)
    leading = leading_bid(auction) if auction.kind == "ascending" else None
    mine = leading is not None and leading.participant == command.actor
    freed = leading.deposit_fen + leading.reserved_fen if leading is not None and mine else 0
    return _lacking(state, command.actor, bid.deposit_fen + bid.reserved_fen, freed)


def _said_fen(listing: Listing, command: PlaceBid) -> int:
    """What the lot would cost at this bid; a sealed one does not say."""
    return 0 if command.commitment else price_of_lot(listing, command.price_fen)


def _lacking(state: State, bidder: str, needed_fen: int, freed_fen: int = 0) -> Refusal | None:
    available = state.ledger.available(bidder, CNY) + freed_fen
    if available >= needed_fen:
        return None
    detail = f"{needed_fen} fen are needed, {available} are available: pay in first"
    return Refusal(Refused.funds_insufficient, detail)


def _placed(state: State, listing: Listing, auction: Auction, command: PlaceBid, at_ns: int) -> BidPlaced:
    bid = _bid_of(listing, command, at_ns, state.next_id("J"))
    bids_until_ns, outbid = auction.bids_until_ns, None
    if auction.kind == "ascending":
        outbid = leading_bid(auction)
        terms = auction_terms(listing)
        extension_ns, last_ns = (
            terms.extension_minutes * MINUTE_NS,
            listing.until_ns - terms.reveal_days * DAY_NS,
        )
        bids_until_ns = end_after_ns(at_ns, bids_until_ns, extension_ns, last_ns)
    return BidPlaced(
        bid.id,
        listing.id,
        bid.participant,
        bid.commitment,
        bid.price_fen or 0,
        bid.quantity,
        bid.purpose,
        bid.territory,
        bid.accepts_prior,
        bid.deposit_fen,
        bid.reserved_fen,
        "" if outbid is None else outbid.id,
        bids_until_ns,
        auction.reveal_until_ns + bids_until_ns - auction.bids_until_ns,
    )


# ---- opening


def reveal(state: State, command: RevealBid, at_ns: int) -> Refusal | list[Event]:
    """Also while trading is halted: an unopened bid forfeits its deposit."""
    auction = state.auctions.get(state.bidding.get(command.bid, ""))
    bid = None if auction is None else auction.bids[command.bid]
    if auction is None or bid is None or bid.participant != command.actor:
        return Refusal(Refused.not_found, f"you have no standing bid {command.bid}")
    if not bid.commitment or bid.price_fen is not None:
        return Refusal(Refused.wrong_state, "this bid is open already")
    if (refusal := _window_refusal(auction, at_ns)) is not None:
        return refusal
    listing = state.listings[auction.listing]
    return _opened_refusal(state, listing, bid, command) or [
        BidRevealed(
            bid.id,
            listing.id,
            bid.participant,
            command.price_fen,
            command.quantity,
            command.nonce,
            price_of_lot(listing, command.price_fen),
        )
    ]


def _window_refusal(auction: Auction, at_ns: int) -> Refusal | None:
    if at_ns < auction.bids_until_ns:
        return Refusal(
            Refused.wrong_state, "bids are still taken: what is sealed is opened when they are not"
        )
    if at_ns >= auction.reveal_until_ns:
        return Refusal(Refused.wrong_state, "the time to open what is sealed is over")
    return None


def _opened_refusal(state: State, listing: Listing, bid: StandingBid, command: RevealBid) -> Refusal | None:
    """A price that clearing may refuse is opened all the same: the auction is not decided by what nobody can see."""
    opened = (listing.id, bid.participant, command.quantity, command.price_fen, command.nonce)
    if commitment_of(*opened) != bid.commitment:
        detail = (
            "SHA-256 of listing|participant|quantity|price_fen|nonce is not what the bid was committed to"
        )
        return Refusal(Refused.commitment_wrong, detail)
    if command.quantity != bid.quantity:
        return Refusal(Refused.out_of_bounds, f"the lot is sold whole: a bid for {bid.quantity} was needed")
    if (reason := refuse_amount(command.price_fen, listing.terms.price_per_units, bid.quantity)) is not None:
        return Refusal(Refused.out_of_bounds, f"this price makes no amount: {reason}")
    return _lacking(state, bid.participant, price_of_lot(listing, command.price_fen))


def open_reserve(state: State, command: OpenReserve, at_ns: int) -> Refusal | list[Event]:
    listing = state.listings.get(command.listing)
    auction = state.auctions.get(command.listing)
    if listing is None or listing.merchant != command.actor or auction is None:
        return Refusal(Refused.not_found, f"you have no auction of {command.listing} that runs")
    if auction.reserve_fen is not None:
        return Refusal(Refused.wrong_state, "the reserve is known already")
    if (refusal := _window_refusal(auction, at_ns)) is not None:
        return refusal
    if not 0 <= command.reserve_fen <= MAX_PRICE_FEN:
        return Refusal(Refused.out_of_bounds, f"reserve_fen lies between 0 and {MAX_PRICE_FEN}")
    if reserve_sha256(command.reserve_fen, command.nonce) != auction_terms(listing).reserve_sha256:
        detail = "SHA-256 of reserve_fen|nonce is not the reserve_sha256 of the listing's terms"
        return Refusal(Refused.commitment_wrong, detail)
    return [ReserveOpened(listing.id, command.reserve_fen, command.nonce)]


# ---- the end


def after_moved(state: State, event: ListingMoved, at_ns: int) -> Iterator[Event]:
    """Published, the auction of a listing begins; withdrawn or expired, it is called off."""
    listing = state.listings[event.listing]
    if event.step == "notice_over" and listing.terms.mechanism in AUCTIONS:
        yield _opened(listing, at_ns)
    elif event.state in ("withdrawn", "expired") and listing.id in state.auctions:
        yield from _called_off(state, state.auctions[listing.id], event.state)


def _opened(listing: Listing, at_ns: int) -> AuctionOpened:
    terms = auction_terms(listing)
    bids_until_ns = at_ns + (terms.commit_days + terms.days) * DAY_NS
    reveal_until_ns = bids_until_ns + terms.reveal_days * DAY_NS
    reserve_fen = -1 if terms.reserve_sha256 else terms.reserve_fen
    return AuctionOpened(listing.id, terms.kind, bids_until_ns, reveal_until_ns, reserve_fen)


def on_due(state: State, listing_id: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """The auction's end, unless a bid has moved it."""
    auction = state.auctions.get(listing_id)
    if auction is None or auction.reveal_until_ns != due_ns:
        return
    listing = state.listings[listing_id]
    reason = _stopped(state, listing, at_ns)
    if reason:
        yield from _called_off(state, auction, reason)
    else:
        yield from _hammer(state, listing, auction, at_ns)
    after = LIFE[listing.state, "expire"]
    yield ListingMoved(listing.id, "expire", after, (), VENUE, listing.until_ns)


def _stopped(state: State, listing: Listing, at_ns: int) -> str:
    """Why nothing can be awarded now; empty where it can."""
    if listing.state != "published":
        return listing.state
    if halted_refusal(state, listing) is not None:
        return "halted"
    return "" if state.bureau.standing(listing.merchant, at_ns).may_list else "merchant"


def _called_off(state: State, auction: Auction, reason: str) -> Iterator[Event]:
    for bid in standing_bids(auction):
        yield _ended(bid, "called_off")
    yield AuctionClosed(auction.listing, "called_off", "", 0, "", auction.reserve_fen or 0, reason)


def _ended(bid: StandingBid, step: str, paid_to: str = "") -> BidEnded:
    return BidEnded(bid.id, bid.listing, bid.participant, step, bid.deposit_fen, paid_to)


def _hammer(state: State, listing: Listing, auction: Auction, at_ns: int) -> Iterator[Event]:
    """The award, what becomes of the other bids, and the auction's end (拍卖法第五十一条: 落槌成交)."""
    opened = [bid for bid in standing_bids(auction) if bid.price_fen is not None]
    floor_fen = max(auction_terms(listing).start_fen, auction.reserve_fen or 0)
    outcome = _without_award(auction, opened, floor_fen)
    won = yield from _struck_down(state, listing, auction, floor_fen, at_ns)
    for bid in standing_bids(auction):
        if bid.price_fen is None:
            yield _ended(bid, "forfeited", listing.merchant)
        else:
            yield _ended(bid, "lost")
    reserve_fen = auction.reserve_fen or 0
    if won is None:
        yield AuctionClosed(listing.id, outcome, "", 0, "", reserve_fen)
    else:
        bid_id, price_fen, trade = won
        yield AuctionClosed(listing.id, "awarded", bid_id, price_fen, trade, reserve_fen)


def _without_award(auction: Auction, opened: list[StandingBid], floor_fen: int) -> str:
    """How it ends if nothing is struck."""
    if not auction.taken:
        return "no_bids"
    if not opened:
        return "unrevealed"
    return "refused" if ranked(_prices(opened), floor_fen) else "reserve_not_met"


def _prices(bids: Iterable[StandingBid]) -> list[Bid]:
    return [Bid(bid.id, bid.price_fen or 0, bid.placed_at_ns) for bid in bids if bid.price_fen is not None]


Won = tuple[str, int, str]
"""Bid, price in fen, trade."""


def _struck_down(
    state: State, listing: Listing, auction: Auction, floor_fen: int, at_ns: int
) -> Generator[Event, None, Won | None]:
    """Bids are struck from the highest down until one becomes a trade; what may not stand is on record as refused."""
    kind: Kind = auction.kind  # type: ignore[assignment]

    def lawful(bid: Bid) -> bool:
        deal = _deal(state, listing, auction.bids[bid.id], bid.price_fen, at_ns)
        return judge_clearing(state, deal, at_ns)[0].outcome in ("allow", "hold")

    while True:
        bids = _prices(
            bid for bid in auction.bids.values() if not _is_merchants(state, listing, bid.participant)
        )
        found = award(kind, bids, floor_fen, lawful)
        if found is None:
            tried = [(bid, bid.price_fen) for bid in ranked(bids, floor_fen)]
        else:
            tried = [(bid, bid.price_fen) for bid in found.passed_over] + [(found.bid, found.price_fen)]
        for bid, price_fen in tried:
            trade = yield from _struck(state, listing, auction.bids[bid.id], price_fen, at_ns)
            if trade:
                return bid.id, price_fen, trade
        if found is None:
            return None


def _struck(
    state: State, listing: Listing, bid: StandingBid, price_fen: int, at_ns: int
) -> Generator[Event, None, str]:
    """The trade that the bid becomes, settled or held; empty where clearing refuses it."""
    yield _ended(bid, "struck")
    terms = (bid.participant, bid.quantity, price_fen, bid.purpose, bid.territory, bid.accepts_prior)
    for event in strike(state, listing, *terms, at_ns):
        yield event
        if isinstance(event, Settled | Held):
            return event.trade
    return ""


# ---- events


def apply_opened(state: State, event: AuctionOpened, at_ns: int) -> None:
    state.auctions[event.listing] = Auction(
        listing=event.listing,
        kind=event.kind,
        bids_until_ns=event.bids_until_ns,
        reveal_until_ns=event.reveal_until_ns,
        reserve_fen=None if event.reserve_fen < 0 else event.reserve_fen,
    )
    state.start_timer(event.reveal_until_ns, "auction", event.listing)


def price_id(bid: str) -> str:
    """Under which the price of a bid is set aside; its deposit is under the bid's own id."""
    return f"{bid}:price"


def apply_placed(state: State, event: BidPlaced, at_ns: int) -> None:
    state.took_id(event.bid)
    auction = state.auctions[event.listing]
    if event.outbid:
        _drop(state, auction, event.outbid)
    auction.taken += 1
    auction.bids[event.bid] = StandingBid(
        id=event.bid,
        listing=event.listing,
        participant=event.participant,
        commitment=event.commitment,
        quantity=event.quantity,
        purpose=event.purpose,
        territory=event.territory,
        accepts_prior=event.accepts_prior,
        deposit_fen=event.deposit_fen,
        reserved_fen=event.reserved_fen,
        placed_at_ns=at_ns,
        price_fen=None if event.commitment else event.price_fen,
    )
    state.bidding[event.bid] = event.listing
    account = state.ledger.account(event.participant, CNY)
    state.ledger.reserve(event.bid, account, event.deposit_fen)
    state.ledger.reserve(price_id(event.bid), account, event.reserved_fen)
    if event.reveal_until_ns != auction.reveal_until_ns:
        auction.bids_until_ns, auction.reveal_until_ns = event.bids_until_ns, event.reveal_until_ns
        state.start_timer(event.reveal_until_ns, "auction", event.listing)


def _drop(state: State, auction: Auction, bid: str) -> None:
    """The bid stands no more and what it had set aside is free."""
    del auction.bids[bid], state.bidding[bid]
    state.ledger.release(bid)
    state.ledger.release(price_id(bid))


def apply_revealed(state: State, event: BidRevealed, at_ns: int) -> None:
    bid = state.auctions[event.listing].bids[event.bid]
    bid.price_fen, bid.reserved_fen = event.price_fen, event.reserved_fen
    account = state.ledger.account(event.participant, CNY)
    state.ledger.reserve(price_id(event.bid), account, event.reserved_fen)


def apply_reserve(state: State, event: ReserveOpened, at_ns: int) -> None:
    state.auctions[event.listing].reserve_fen = event.reserve_fen


def apply_ended(state: State, event: BidEnded, at_ns: int) -> None:
    if event.paid_to:
        state.ledger.spend(event.bid, state.ledger.account(event.paid_to, CNY), event.deposit_fen)
    _drop(state, state.auctions[event.listing], event.bid)


def apply_closed(state: State, event: AuctionClosed, at_ns: int) -> None:
    del state.auctions[event.listing]
