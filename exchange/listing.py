"""A product on offer, and its life.

    draft ──submit──> submitted ──approve──> public_notice ──notice over──> published ──suspend──> suspended
      ^                   │                      │                             ^  │                  │
      │                   └─return─> returned <──┘ return                      └──┼────resume────────┘
      └────── revised and submitted again ──┘                                     ├──withdraw──> withdrawn
                                                                                  └──end of its days──> expired

On a board without a public notice `approve` publishes at once. A withdrawn listing cancels its orders and releases its
holds: nothing of it is sold any more. One whose days end cancels its orders; what was held before may still be cured.
Entitlements live on.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from clearing.house import Cell, Party, digest_of
from clearing.ledger import issue_owner, unit_asset
from clearing.money import Tier
from clearing.notrade import Facts, PriceFacts, TradeFacts, capacities
from exchange import allowance
from exchange.attributes import Attributes, broken, settled
from exchange.attributes import refuse as refuse_attributes
from exchange.board import CENTRAL, Board
from exchange.consequence import listing_refusal
from exchange.consequence import notice_ns as notice_of
from exchange.counters import UNCOUNTED, is_abroad
from exchange.debt import debt_refusal
from exchange.events import (
    VENUE,
    AuctionTerms,
    CreateListing,
    Event,
    HoldReleased,
    ListingCreated,
    ListingMoved,
    ListingRevised,
    MoveListing,
    Refusal,
    Refused,
    ReviseListing,
    Terms,
)
from exchange.gathering import PAIR_UNSAID, central_approved, export_of, licensed_to
from exchange.matching import posted
from exchange.matching.metering import plan_fault
from exchange.participant import board_refusal as accredited_refusal
from exchange.participant import has_role, is_host, party_of, standing_refusal
from exchange.product import RIGHTS, cell_facts, evidence_refusal, gainers, own_case_refusal
from exchange.state import DAY_NS, Listing, Product, State, closing, new_book

LIFE: Final[Mapping[tuple[str, str], str]] = {
    ("draft", "submit"): "submitted",
    ("returned", "submit"): "submitted",
    ("submitted", "approve"): "public_notice",
    ("submitted", "return"): "returned",
    ("public_notice", "return"): "returned",
    ("public_notice", "notice_over"): "published",
    ("published", "suspend"): "suspended",
    ("suspended", "resume"): "published",
    ("draft", "withdraw"): "withdrawn",
    ("returned", "withdraw"): "withdrawn",
    ("submitted", "withdraw"): "withdrawn",
    ("public_notice", "withdraw"): "withdrawn",
    ("published", "withdraw"): "withdrawn",
    ("suspended", "withdraw"): "withdrawn",
    ("published", "expire"): "expired",
    ("suspended", "expire"): "expired",
}
"""What is not in this table cannot happen."""

WHO: Final[Mapping[str, tuple[str, ...]]] = {
    "submit": ("merchant",),
    "withdraw": ("merchant",),
    "approve": ("reviewer",),
    "return": ("reviewer",),
    "suspend": ("operator", "reviewer"),
    "resume": ("operator", "reviewer"),
}
"""Who takes a step; `merchant` is the listing's own. Steps not named here are the clock's."""

VISIBLE: Final = ("published", "suspended", "withdrawn", "expired", "public_notice")
"""States in which anybody sees the listing (公示)."""

LISTABLE: Final = ("pending", "registered", "suspended")
"""States of a product in which a listing may be drafted; to be submitted it must be registered."""

SUPPLIES: Final = ("unlimited", "limited", "exclusive")
DEALS: Final = ("licence", "exclusive_licence", "transfer", "pledge")
WHOLE_DEALS: Final = ("transfer", "pledge")
"""Deals in the registered right itself, which only its holder makes; whoever buys a pledge is the pledgee (民法典 444)."""
AUCTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "sealed_bid": ("sealed_first", "sealed_second"),
    "lawful_auction": ("ascending",),
}
"""Mechanism: its kinds of auction. What is listed is one lot, sold whole to one buyer.

国发〔2011〕38号: 「不得将任何权益拆分为均等份额公开发行，不得采取集中竞价、做市商等集中交易方式进行交易」.
国办发〔2012〕37号 of the latter: 「协议转让、依法进行的拍卖不在此列」.
"""
REGIMES: Final = ("market", "gov_guided", "cost_recovery")
TARIFF_FACTS: Final = ("price.regime", "price.cap_fen")
"""Of public data these are unknown until a reviewer has held them against the tariff (发改价格〔2025〕65号)."""
READ_TERMS: Final = (
    "price_fen", "price_per_units", "term_days", "right", "deal", "mechanism", "price_regime", "supply",
)  # fmt: skip
"""What of the terms a board's rule may read (`exchange.attributes.OFFERED`)."""
MAX_PRICE_FEN: Final = 10**12
MAX_UNITS: Final = 10**9
MAX_COLLAR_BP: Final = 1_000_000
MAX_DAYS: Final = 3_660
MAX_EXTENSION_MINUTES: Final = 1_440
SHA256: Final = re.compile(r"[0-9a-f]{64}\Z").match


# ---- commands


def create(state: State, command: CreateListing, at_ns: int) -> Refusal | list[Event]:
    refusal = (
        standing_refusal(state, command.actor, "list", at_ns)
        or debt_refusal(state, command.actor)
        or listing_refusal(state, command.actor)
    )
    if refusal is not None:
        return refusal
    product = state.products.get(command.product)
    if product is None or command.actor not in (product.holder, *product.licensees):
        return Refusal(Refused.not_found, f"you have no product {command.product}")
    if product.state not in LISTABLE:
        return Refusal(Refused.wrong_state, f"the product is {product.state}: it cannot be listed")
    if command.board not in state.boards:
        return Refusal(
            Refused.not_found, f"there is no board {command.board}; boards are {', '.join(state.boards)}"
        )
    board, terms = state.boards[command.board], command.terms
    refusal = (
        accredited_refusal(state, command.actor, board.id)
        or transfer_refusal(product, command.actor, terms)
        or terms_refusal(state, command.board, terms, at_ns)
        or drafted_refusal(state, product, board, terms, command.attributes, at_ns)
    )
    if refusal is not None:
        return refusal
    said = settled(command.attributes)
    return [
        ListingCreated(state.next_id("L"), command.product, command.actor, board.id, with_plan(terms), said)
    ]


def revise(state: State, command: ReviseListing, at_ns: int) -> Refusal | list[Event]:
    listing = state.listings.get(command.listing)
    if listing is None or listing.merchant != command.actor:
        return Refusal(Refused.not_found, f"you have no listing {command.listing}")
    if listing.state not in ("draft", "returned"):
        return Refusal(Refused.wrong_state, f"a listing that is {listing.state} cannot be revised")
    product, terms = state.products[listing.product], command.terms
    said = attributes_of(listing) if command.attributes is None else command.attributes
    refusal = (
        transfer_refusal(product, listing.merchant, terms)
        or terms_refusal(state, listing.board, terms, at_ns)
        or drafted_refusal(state, product, state.boards[listing.board], terms, said, at_ns)
    )
    kept = None if command.attributes is None else settled(command.attributes)
    return refusal or [ListingRevised(command.listing, with_plan(terms), kept)]


def attributes_of(listing: Listing) -> Attributes:
    """What it says in its board's fields."""
    return {} if listing.attributes is UNSET else listing.attributes


def drafted_refusal(
    state: State, product: Product, board: Board, terms: Terms, said: Mapping[str, Any], at_ns: int
) -> Refusal | None:
    """What of a draft does not fit the board's fields, or breaks its rules whatever else may come to be known."""
    if wrong := refuse_attributes(board.fields, said):
        return Refusal(Refused.out_of_bounds, f"{wrong} (GET /v1/boards/{board.id})")
    return board_refusal(state, product, board, terms, settled(said), at_ns, unknown_too=False)


def board_refusal(
    state: State,
    product: Product,
    board: Board,
    terms: Terms,
    said: Attributes,
    at_ns: int,
    *,
    unknown_too: bool,
) -> Refusal | None:
    """The first of the board's own rules that a listing breaks, or that cannot be decided for want of a fact."""
    if not board.rules:
        return None
    facts = {
        **{f"terms.{name}": getattr(terms, name) for name in READ_TERMS},
        **{f"product.{name}": value for name, value in _product_read(state, product, board, at_ns)},
        **said,
        "now": at_ns,
    }
    found = broken(board.fields, board.rules, facts, unknown_too=unknown_too)
    return None if found is None else Refusal(Refused.board_rule, found.told)


def _product_read(state: State, product: Product, board: Board, at_ns: int) -> Iterator[tuple[str, Any]]:
    facts = cell_facts(state, product, at_ns, board).product
    return ((name, getattr(facts, name)) for name in facts.__struct_fields__)


def transfer_refusal(product: Product, merchant: str, terms: Terms) -> Refusal | None:
    """The right itself is its holder's to sell or to pledge; a licensee has no more than a licence to pass on."""
    if terms.deal in WHOLE_DEALS and merchant != product.holder:
        detail = f"only the registered holder makes a {terms.deal} of the right: offer a licence instead"
        return Refusal(Refused.forbidden, detail)
    return None


def terms_refusal(state: State, board: str, terms: Terms, at_ns: int) -> Refusal | None:
    """The first of these terms that cannot stand on this board."""
    where = state.boards[board]
    unapproved = terms.mechanism in CENTRAL and not central_approved(state, where, at_ns)
    if unapproved or terms.mechanism not in where.mechanisms:
        allowed = [one for one in where.mechanisms if not unapproved or one not in CENTRAL]
        detail = f"the {board} board offers {', '.join(allowed)}"
        if unapproved:
            detail += "; centralised trading needs approval (国发〔2011〕38号, 国办发〔2012〕37号)"
        return Refusal(Refused.mechanism_not_allowed, detail)
    of_mechanism = (
        _posted_refusal(terms) or _book_refusal(terms) or _auction_refusal(terms) or _plan_refusal(terms)
    )
    return _choice_refusal(terms) or _number_refusal(terms) or _fit_refusal(terms) or of_mechanism


def tiers_of(terms: Terms) -> tuple[Tier, ...]:
    return () if terms.tiers is UNSET else terms.tiers


def unit_price_fen(terms: Terms, quantity: int) -> int:
    """At what price, per `price_per_units`, all of an order of this quantity is sold."""
    if not terms.tiers:
        return terms.price_fen
    return posted.unit_price_fen(terms.price_fen, tiers_of(terms), quantity)


def _posted_refusal(terms: Terms) -> Refusal | None:
    """What belongs to a posted price only, and tiers that do not fall."""
    limit = allowance.limit_of(terms)
    if (terms.tiers or limit) and terms.mechanism != "posted_price":
        return Refusal(
            Refused.out_of_bounds, "terms.tiers and terms.per_buyer_units belong to a posted price only"
        )
    if not 0 <= limit <= MAX_UNITS:
        return Refusal(Refused.out_of_bounds, f"terms.per_buyer_units lies between 0 and {MAX_UNITS}")
    wrong = posted.refuse_tiers(terms.price_fen, tiers_of(terms))
    return Refusal(Refused.out_of_bounds, wrong) if wrong else None


def _book_refusal(terms: Terms) -> Refusal | None:
    """What belongs to an order book only; at its own price somebody can bid."""
    tick_fen, collar_bp = terms.tick_fen or 0, terms.collar_bp or 0
    if (tick_fen or collar_bp) and terms.mechanism != "continuous_auction":
        return Refusal(
            Refused.out_of_bounds, "terms.tick_fen and terms.collar_bp belong to continuous_auction only"
        )
    for name, value, most in (
        ("tick_fen", tick_fen, MAX_PRICE_FEN),
        ("collar_bp", collar_bp, MAX_COLLAR_BP),
    ):
        if not 0 <= value <= most:
            return Refusal(Refused.out_of_bounds, f"terms.{name} lies between 0 (none) and {most}")
    if tick_fen and terms.price_fen % tick_fen:
        return Refusal(Refused.out_of_bounds, "terms.price_fen is a multiple of terms.tick_fen")
    return None


def _choice_refusal(terms: Terms) -> Refusal | None:
    for name, value, allowed in (
        ("right", terms.right, RIGHTS),
        ("deal", terms.deal, DEALS),
        ("supply", terms.supply, SUPPLIES),
        ("price_regime", terms.price_regime, REGIMES),
    ):
        if value not in allowed:
            return Refusal(Refused.out_of_bounds, f"terms.{name} is one of {', '.join(allowed)}")
    if not terms.purposes or not terms.territories:
        return Refusal(Refused.out_of_bounds, "terms name at least one purpose and one territory")
    return None


def _number_refusal(terms: Terms) -> Refusal | None:
    for name, value, least, most in (
        ("price_fen", terms.price_fen, 0, MAX_PRICE_FEN),
        ("price_cap_fen", terms.price_cap_fen, 0, MAX_PRICE_FEN),
        ("price_per_units", terms.price_per_units, 1, MAX_UNITS),
        ("supply_units", terms.supply_units, 0, MAX_UNITS),
        ("term_days", terms.term_days, 1, MAX_DAYS),
        ("delivery_days", terms.delivery_days, 1, MAX_DAYS),
        ("acceptance_days", terms.acceptance_days, 1, MAX_DAYS),
        ("redelivery_days", terms.redelivery_days, 1, MAX_DAYS),
        ("listed_days", terms.listed_days, 1, MAX_DAYS),
    ):
        if not least <= value <= most:
            return Refusal(Refused.out_of_bounds, f"terms.{name} lies between {least} and {most}")
    return None


def _fit_refusal(terms: Terms) -> Refusal | None:
    most_units = {"limited": MAX_UNITS, "exclusive": 1}.get(terms.supply, 0)
    if terms.supply_units > most_units or (terms.supply == "limited" and not terms.supply_units):
        detail = (
            "supply_units is above zero where supply is 'limited', at most 1 where it is 'exclusive', else 0"
        )
        return Refusal(Refused.out_of_bounds, detail)
    if terms.deal != "licence" and terms.supply != "exclusive":
        return Refusal(Refused.out_of_bounds, f"deal {terms.deal} can be sold once: supply is 'exclusive'")
    if terms.mechanism == "continuous_auction":
        if terms.supply != "limited" or len(terms.purposes) != 1 or len(terms.territories) != 1:
            return Refusal(
                Refused.out_of_bounds, "an order book has limited supply, one purpose and one territory"
            )
        if terms.supply_units % terms.price_per_units:
            return Refusal(Refused.out_of_bounds, "supply_units is a multiple of price_per_units")
    return None


def _auction_refusal(terms: Terms) -> Refusal | None:
    """What of an auction's terms cannot stand; the terms of anything else have none."""
    kinds, auction = AUCTIONS.get(terms.mechanism, ()), terms.auction
    if isinstance(auction, UnsetType):
        detail = f"mechanism {terms.mechanism} says in terms.auction how: kind is one of {', '.join(kinds)}"
        return Refusal(Refused.out_of_bounds, detail) if kinds else None
    if auction.kind not in kinds:
        detail = f"terms.auction.kind of mechanism {terms.mechanism} is one of: {', '.join(kinds) or 'none'}"
        return Refusal(Refused.out_of_bounds, detail)
    if terms.supply == "unlimited":
        return Refusal(Refused.out_of_bounds, "an auction sells one lot: supply is 'exclusive' or 'limited'")
    return _auction_number_refusal(terms, auction) or _reserve_refusal(terms, auction)


def _auction_number_refusal(terms: Terms, auction: AuctionTerms) -> Refusal | None:
    """A sealed auction has a deposit, or nothing would hold a bidder; an ascending bid has its whole price set aside."""
    sealed, secret = auction.kind != "ascending", bool(auction.reserve_sha256)
    most_days, opens = terms.listed_days, sealed or secret
    for name, value, least, most in (
        ("commit_days", auction.commit_days, int(sealed), most_days if sealed else 0),
        ("days", auction.days, int(not sealed), 0 if sealed else most_days),
        ("reveal_days", auction.reveal_days, int(opens), most_days if opens else 0),
        ("start_fen", auction.start_fen, 0, terms.price_cap_fen or MAX_PRICE_FEN),
        ("increment_fen", auction.increment_fen, int(not sealed), 0 if sealed else MAX_PRICE_FEN),
        ("deposit_fen", auction.deposit_fen, int(sealed), MAX_PRICE_FEN),
        ("extension_minutes", auction.extension_minutes, 0, 0 if sealed else MAX_EXTENSION_MINUTES),
    ):
        if not least <= value <= most:
            detail = f"terms.auction.{name} of kind {auction.kind} lies between {least} and {most}"
            return Refusal(Refused.out_of_bounds, detail)
    if auction.commit_days + auction.days + auction.reveal_days > terms.listed_days:
        return Refusal(Refused.out_of_bounds, "the auction's days end within terms.listed_days")
    return None


def _reserve_refusal(terms: Terms, auction: AuctionTerms) -> Refusal | None:
    """A reserve is told or kept secret (拍卖法第二十八条: 「委托人有权确定拍卖标的的保留价并要求拍卖人保密」)."""
    if auction.reserve_fen and auction.reserve_sha256:
        detail = "the reserve is told (reserve_fen) or kept secret (reserve_sha256), not both"
        return Refusal(Refused.out_of_bounds, detail)
    if auction.reserve_sha256 and not SHA256(auction.reserve_sha256):
        detail = "terms.auction.reserve_sha256 is a SHA-256 in 64 lower-case hex digits"
        return Refusal(Refused.out_of_bounds, detail)
    if not 0 <= auction.reserve_fen <= (terms.price_cap_fen or MAX_PRICE_FEN):
        detail = "terms.auction.reserve_fen is not negative and not above the ceiling: nobody could reach it"
        return Refusal(Refused.out_of_bounds, detail)
    return None


def _plan_refusal(terms: Terms) -> Refusal | None:
    """A plan belongs to a metered licence, whose prices stand in it alone: no ceiling could be held against them."""
    if isinstance(terms.plan, UnsetType):
        lacks = terms.mechanism == "metered"
        return Refusal(Refused.out_of_bounds, "a metered listing has terms.plan") if lacks else None
    if terms.mechanism != "metered":
        return Refusal(Refused.out_of_bounds, "terms.plan belongs to a listing whose mechanism is metered")
    if (terms.deal, terms.price_regime, terms.price_per_units) != ("licence", "market", 1):
        detail = "a metered listing is a licence at a market price, and its price_per_units is 1"
        return Refusal(Refused.out_of_bounds, detail)
    fault = plan_fault(terms.plan)
    return Refusal(Refused.out_of_bounds, fault) if fault else None


def with_plan(terms: Terms) -> Terms:
    """The price of a metered listing is what a subscription costs at once."""
    return terms if isinstance(terms.plan, UnsetType) else replace(terms, price_fen=terms.plan.first_fen)


def move(state: State, command: MoveListing, at_ns: int) -> Refusal | list[Event]:
    listing = state.listings.get(command.listing)
    if listing is None or not may_see(state, listing, command.actor, at_ns):
        return Refusal(Refused.not_found, f"there is no listing {command.listing}")
    refusal = _mover_refusal(state, listing, command, at_ns)
    if refusal is not None:
        return refusal
    if (listing.state, command.step) not in LIFE:
        return Refusal(
            Refused.wrong_state, f"a listing that is {listing.state} cannot take the step {command.step}"
        )
    if command.step in ("return", "suspend") and not command.reasons:
        return Refusal(Refused.malformed, "give the reasons")
    product = state.products[listing.product]
    if (refusal := _tariff_refusal(product, command)) is not None:
        return refusal
    if command.step in ("submit", "approve", "resume"):
        refusal = accredited_refusal(state, listing.merchant, listing.board)
        if refusal is not None:
            return refusal
    if command.step in ("submit", "approve"):
        if product.state != "registered":
            return Refusal(Refused.wrong_state, f"the product is {product.state}: have it registered first")
        refusal = transfer_refusal(product, listing.merchant, listing.terms) or debt_refusal(
            state, listing.merchant
        )
        if refusal is not None:
            return refusal
        looked = replace(listing, tariff_sha256=command.tariff_sha256)
        refusal = (
            standing_refusal(state, listing.merchant, "list", at_ns)
            or listing_refusal(state, listing.merchant, 0)
            or law_refusal(state, looked, at_ns, TARIFF_FACTS if command.step == "submit" else ())
        )
        board, said = state.boards[listing.board], attributes_of(listing)
        refusal = refusal or board_refusal(
            state, product, board, listing.terms, said, at_ns, unknown_too=True
        )
        if refusal is not None:
            return refusal
    return moves(state, listing, command, at_ns)


def _is_public(product: Product) -> bool:
    return product.classification.origin == "public"


def _tariff_refusal(product: Product, command: MoveListing) -> Refusal | None:
    """Nobody but a reviewer says what the guided price of public data is, and not without the paper."""
    if command.step == "approve" and _is_public(product):
        if evidence_refusal(command.tariff_sha256) is None:
            return None
        detail = (
            "public data: tariff_sha256 is the SHA-256 of the published price list that regime and ceiling were held"
            " against, or of the decision that the use is free or not guided"
        )
        return Refusal(Refused.evidence_missing, detail)
    if command.tariff_sha256:
        return Refusal(Refused.malformed, "tariff_sha256 belongs to the approval of public data only")
    return None


def _mover_refusal(state: State, listing: Listing, command: MoveListing, at_ns: int) -> Refusal | None:
    who = WHO.get(command.step, ())
    if "merchant" in who:
        return (
            None
            if command.actor == listing.merchant
            else Refusal(Refused.forbidden, "only its merchant does this")
        )
    office = any(has_role(state, command.actor, role, at_ns) for role in who)
    if not office and not is_host(state, command.actor, listing.board, at_ns):
        return Refusal(Refused.forbidden, f"this needs the role {' or '.join(who)}, or the board's host")
    product = state.products[listing.product]
    return own_case_refusal(state, command.actor, listing.merchant, *gainers(state, product))


def may_see(state: State, listing: Listing, participant: str, at_ns: int) -> bool:
    """Published listings are everybody's; before that the merchant's, the offices' and the host's of its board."""
    if listing.state in VISIBLE or participant == listing.merchant:
        return True
    return is_host(state, participant, listing.board, at_ns) or any(
        has_role(state, participant, role, at_ns) for role in ("reviewer", "operator", "auditor", "regulator")
    )


def law_refusal(
    state: State, listing: Listing, at_ns: int, tolerated: tuple[str, ...] = ()
) -> Refusal | None:
    """The rules of the phase `listing`, for each purpose offered; the buyer cannot exist yet and waits.

    `tolerated` are facts that may still be unknown: they are looked at before anybody can order.
    """
    seller = seller_of(state, listing, listing.merchant, at_ns)
    for purpose in listing.terms.purposes:
        cell = new_cell(state, listing, purpose, listing.terms.territories[0], at_ns)
        facts = Facts(
            "listing",
            at_ns,
            cell.venue,
            cell.product,
            cell.source,
            cell.registration,
            cell.auth,
            cell.consent,
            seller.seller,
            None,
            cell.trade,
            cell.price,
            cell.xb,
        )
        verdict = state.rulebook.judge(facts)
        needed = [field for _, fields in verdict.unknown for field in fields if field not in tolerated]
        if verdict.outcome == "reject" or (verdict.outcome == "indeterminate" and needed):
            detail = "the listing breaks a rule" if verdict.outcome == "reject" else "facts are unknown"
            bound = capacities(cell.product, cell.source)
            return Refusal(
                Refused.unlawful, f"{detail} (purpose {purpose})", verdict.violated, verdict.unknown, bound
            )
    return None


def moves(state: State, listing: Listing, command: MoveListing, at_ns: int) -> list[Event]:
    """The move itself, then what follows from it: publication without a notice, orders cancelled."""
    step, reasons, by = command.step, command.reasons, command.actor
    after = LIFE[listing.state, step]
    events: list[Event] = []
    if step == "approve":
        notice_ns = notice_of(state, listing.merchant, state.boards[listing.board].public_notice_days)
        tariff = command.tariff_sha256
        events.append(ListingMoved(listing.id, step, after, reasons, by, at_ns + notice_ns, tariff))
        if not notice_ns:
            events.append(published(listing, at_ns))
    else:
        events.append(ListingMoved(listing.id, step, after, reasons, by, listing.until_ns))
    if step in ("withdraw", "expire"):
        events += [
            closing(order, "withdrawn" if step == "withdraw" else "expired")
            for order in state.orders.values()
            if order.listing == listing.id
        ]
    if step == "withdraw":
        events += [
            HoldReleased(trade.id, "withdrawn", trade.violated)
            for trade in state.holds.values()
            if trade.listing == listing.id
        ]
    return events


def published(listing: Listing, at_ns: int) -> ListingMoved:
    """The public notice is over; the listing's own days begin."""
    return ListingMoved(
        listing.id, "notice_over", "published", (), VENUE, at_ns + listing.terms.listed_days * DAY_NS
    )


def on_due(state: State, listing_id: str, due_ns: int, at_ns: int) -> list[Event]:
    """The end of a public notice or of a listing's days, unless something else has happened to it since."""
    listing = state.listings[listing_id]
    if listing.until_ns != due_ns:
        return []
    if listing.state == "public_notice":
        return [published(listing, at_ns)]
    if listing.state in ("published", "suspended"):
        return moves(state, listing, MoveListing(actor=VENUE, listing=listing.id, step="expire"), at_ns)
    return []


# ---- events


def apply_created(state: State, event: ListingCreated, at_ns: int) -> None:
    state.took_id(event.listing)
    state.listings[event.listing] = Listing(
        id=event.listing,
        product=event.product,
        merchant=event.merchant,
        board=event.board,
        terms=event.terms,
        created_at_ns=at_ns,
        attributes=event.attributes or UNSET,
    )
    product = state.products[event.product]
    product.listings = (*product.listings, event.listing)


def apply_revised(state: State, event: ListingRevised, at_ns: int) -> None:
    listing = state.listings[event.listing]
    listing.terms, listing.tariff_sha256 = event.terms, ""
    if event.attributes is not None:
        listing.attributes = event.attributes or UNSET
    state.retire_contract(listing.id)
    state.forget_product(state.products[listing.product])


def apply_moved(state: State, event: ListingMoved, at_ns: int) -> None:
    listing = state.listings[event.listing]
    listing.state, listing.reasons, listing.until_ns = event.state, event.reasons, event.until_ns
    if event.step in ("approve", "return"):
        listing.tariff_sha256 = event.tariff_sha256
        state.forget_product(state.products[listing.product])
    if event.state in ("public_notice", "published"):
        state.start_timer(event.until_ns, "listing", listing.id)
    if event.state in ("withdrawn", "expired"):
        allowance.forget(state, listing.id)
    if (
        event.step == "notice_over"
        and listing.terms.mechanism == "continuous_auction"
        and not listing.issued_units
    ):
        _issue_units(state, listing)


def _issue_units(state: State, listing: Listing) -> None:
    """The licence units come into being on publication, against the listing's contra account."""
    listing.issued_units = listing.terms.supply_units
    state.books[listing.id] = new_book(listing)
    asset = unit_asset(listing.id)
    state.ledger.transfer(
        state.ledger.account(issue_owner(listing.id), asset),
        state.ledger.account(listing.merchant, asset),
        listing.issued_units,
    )


# ---- facts


def seller_of(state: State, listing: Listing, participant: str, at_ns: int) -> Party:
    """A participant as the seller of this listing: the right's holder, or somebody whose licence is on record.

    On record are the product's licensees, and whoever resells transferable units: the venue's ledger is their chain.
    No licence makes anybody the seller of the right itself: an offer from before a transfer does not sell it again (B13).
    """
    party = party_of(state, participant, at_ns)
    product = state.products[listing.product]
    if participant == product.holder or listing.terms.deal in WHOLE_DEALS:
        return party
    resells = listing.terms.mechanism == "continuous_auction" and participant != listing.merchant
    if not resells and participant not in product.licensees:
        return party
    if party.reseller is None:
        seller = replace(party.seller, recorded_licensee=True)
        party.reseller = Party(
            seller, party.buyer, digest_of((seller, party.buyer)), {}, None, party.until_ns
        )
    return party.reseller


def cell_of(
    state: State, listing: Listing, purpose: str, territory: str, at_ns: int, resold: bool = False
) -> Cell:
    """The facts of one licence class of a listing; kept until a register of its product changes.

    `resold`: the seller is not the listing's merchant but a holder of its units (B08).
    """
    key = (listing.id, purpose, territory, resold)
    cell = state.cells.get(key)
    if cell is None or at_ns >= cell.until_ns:
        cell = state.cells[key] = new_cell(state, listing, purpose, territory, at_ns, resold)
    return cell


def new_cell(
    state: State, listing: Listing, purpose: str, territory: str, at_ns: int, resold: bool = False
) -> Cell:
    product = state.products[listing.product]
    cell = cell_facts(state, product, at_ns, state.boards[listing.board])
    terms = listing.terms
    cell.trade = TradeFacts(
        purpose=purpose,
        territory=territory,
        field_group=terms.field_group,
        right=terms.right,  # type: ignore[arg-type]
        deal=terms.deal,  # type: ignore[arg-type]
        mechanism=terms.mechanism,  # type: ignore[arg-type]
        term_ns=longest_ns(terms),
        other_exclusive_active=False,
        other_nonexclusive_active=False,
        buyer_accepts_prior=False,
        is_resale=resold or listing.merchant != product.holder,
        export_licence=licensed_to(state, product.id, territory, at_ns),
        cross_border=is_abroad(territory),
        **UNCOUNTED,
        **PAIR_UNSAID,
    )
    cell.open_trade = replace(cell.trade, **dict.fromkeys(PAIR_UNSAID, UNSET))
    cell.xb = export_of(state, product.id, purpose, territory, at_ns)
    cell.price = _price_facts(terms, bool(listing.tariff_sha256) or not _is_public(product))
    cell.digest = digest_of(
        (
            cell.venue,
            cell.product,
            cell.source,
            cell.registration,
            cell.auth,
            cell.consent,
            cell.trade,
            cell.price,
            cell.xb,
        )
    )
    return cell


def longest_ns(terms: Terms) -> int:
    """From settlement to the last instant that the licence can reach (B03).

    The term runs from delivery; after a rejection, from the redelivery. Units are handed over at once.
    """
    days = terms.term_days
    if terms.mechanism != "continuous_auction":
        days += terms.delivery_days + terms.acceptance_days + terms.redelivery_days
    return days * DAY_NS


def _price_facts(terms: Terms, known: bool) -> PriceFacts:
    """The listing's price beside its ceiling, both per `price_per_units`; regime and ceiling only where they are known."""
    return PriceFacts(
        regime=terms.price_regime if known else UNSET,  # type: ignore[arg-type]
        unit_fen=terms.price_fen,
        cap_fen=terms.price_cap_fen if known else UNSET,
        per_units=terms.price_per_units,
    )


def price_at(listed: PriceFacts, unit_fen: int) -> PriceFacts:
    """The facts of a fill at another price than the listed one."""
    return PriceFacts(listed.regime, unit_fen, listed.floor_fen, listed.cap_fen, listed.per_units)
