"""An order from entry to fill: standing, law, reservation, match, and the verdict of clearing on every fill.

The order of the questions: does the listing trade, does the order fit its terms, is the participant verified (and to
sell, accredited), may these parties trade by law (phase `order`, so that a ban is answered with its article), is there
supply, is there money. Then each fill is judged again (phase `clearing`) on the facts as they are at that instant, and
settles, is held, or is refused. Refused at clearing, the maker keeps its place and the taker goes on, for its life
past everything of that participant: one judgement a counterparty. Whoever may not trade any more has no order left.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import UNSET

from clearing.contract import DECLARED_FACTS, with_declared
from clearing.house import Cell, Hashed, Party, Signed, digest_of, facts_of, hashed
from clearing.ledger import CNY, unit_asset
from clearing.money import amount_fen, refuse_amount
from clearing.notrade import (
    ALLOW,
    ConsentFacts,
    CrossBorderFacts,
    Facts,
    PriceFacts,
    TradeFacts,
    Verdict,
    capacities,
    place_of,
)
from credit.conduct import WHOLE_BP, Conduct, history_bp
from credit.remedy import CONSEQUENCES
from exchange import allowance, revenue
from exchange.attestation import confirming
from exchange.consequence import count_sale, limits_of, order_refusal
from exchange.contract import to_sign
from exchange.counters import (
    NONE_EXPORTED,
    counts,
    exported,
    exports_of,
    note_dealing,
    note_export,
    of_fill,
    with_border,
)
from exchange.events import (
    Event,
    GradeSet,
    Held,
    OrderClosed,
    OrderPlaced,
    OrderRefused,
    PlaceOrder,
    Refusal,
    Refused,
    Settled,
    TradeRefused,
)
from exchange.gathering import of_pair, pair_until_ns, recipient_named
from exchange.halt import halted_refusal
from exchange.listing import (
    AUCTIONS,
    VISIBLE,
    WHOLE_DEALS,
    cell_of,
    new_cell,
    price_at,
    seller_of,
    unit_price_fen,
)
from exchange.matching import posted
from exchange.matching.book import Order
from exchange.matching.orders import BUY, PLAIN, SELL, Conditions
from exchange.participant import board_refusal, party_of, standing_refusal, ultimate_owner
from exchange.product import protected_kinds
from exchange.state import (
    DAY_NS,
    Entitlement,
    Exclusive,
    Listing,
    Look,
    Product,
    SettledOver,
    Signature,
    State,
    Trade,
    closing,
    is_crossed,
)

HOLD_NS: Final = 10 * DAY_NS
"""How long a hold may be cured; then it ends and both sides are released."""

MONEY_REFUSALS: Final = {
    "quantity_not_multiple": "quantity is a multiple of the listing's price_per_units",
    "quantity_too_large": "quantity is too large",
    "amount_too_large": "price times quantity is too large",
    "price_too_large": "limit_fen is too large",
}
INSTEAD: Final = {
    "off_venue": "report the trade instead (POST /v1/trade-reports)",
    "quote": "ask for a quote instead (POST /v1/needs, kind quote)",
    "tender": "put it out to tender instead (POST /v1/needs, kind tender)",
    "sealed_bid": "bid for it instead (POST /v1/listings/{listing}/bids)",
    "lawful_auction": "bid for it instead (POST /v1/listings/{listing}/bids)",
    "metered": "subscribe to it instead (POST /v1/listings/{listing}/subscriptions)",
}
"""Mechanisms whose listings take no orders: what a buyer does instead."""
EXCLUSIVE_DEALS: Final = ("exclusive_licence", *WHOLE_DEALS)
MOST_DECLARED: Final = 1_000
"""Of a licence class, how many different declarations are kept with their findings; then it begins again."""

UNCONDITIONED: Final = {"gtc": PLAIN, "ioc": Conditions("ioc")}
"""Times in force that an order's event says by themselves."""

_DECLARED: Final = tuple(fact.removeprefix("trade.") for fact in DECLARED_FACTS)


class Read(msgspec.Struct, gc=False):
    """What the rules read of an order or a fill, gathered at one instant. A party that is not known yet is None."""

    cell: Cell
    seller: Party | None
    buyer: Party | None
    trade: TradeFacts
    price: PriceFacts
    consent: ConsentFacts | None
    signed: Signed | None
    xb: CrossBorderFacts | None = None
    signature: Signature | None = None
    hashed: Hashed | None = None
    """Of a fill: what its facts' hash covers."""


class Kept(msgspec.Struct, gc=False):
    """What was read of a buyer at a posted price: good as long as both parties, the signature and the dates are those.

    Whatever else it was read from drops the cell, but for rights taken exclusively, which are looked at each time.
    """

    read: Read
    buyer: Party
    merchant: Party
    until_ns: int


MOST_KEPT: Final = 4_096
"""How many buyers are kept of a licence class; then all are read anew."""


class Deal(msgspec.Struct, gc=False):
    """One fill about to be judged: who, what, at what price, out of which orders' reservations."""

    listing: Listing
    cell: Cell
    buyer: str
    seller: str
    buy_order: str
    sell_order: str
    quantity: int
    price_fen: int
    rest_fen: int
    purpose: str
    territory: str
    accepts_prior: bool
    taker_order: str = ""
    trade: str = ""
    """The trade's id where it has one already: a hold that is judged again."""
    read: Read | None = None
    """What it is judged by at this very instant, once it was gathered: at a posted price for the order."""
    standing: bool = False
    """The buyer asked for it before: its order rested, or its trade is on hold."""
    delivery_days: int = 0
    """Within how many days the merchant has promised to deliver this time; 0: as its listing says."""
    mechanism: str = ""
    """By which it was matched; empty: by that of its listing."""


def deal_of(state: State, trade: Trade, at_ns: int) -> Deal:
    """An open trade as the fill that it was, to be judged as of now."""
    listing = state.listings[trade.listing]
    units = listing.terms.mechanism == "continuous_auction"
    return Deal(
        listing,
        cell_of(state, listing, trade.purpose, trade.territory, at_ns),
        trade.buyer,
        trade.seller,
        trade.id,
        f"{trade.id}:units" if units else "",
        trade.quantity,
        trade.price_fen,
        0,
        trade.purpose,
        trade.territory,
        trade.accepts_prior,
        "",
        trade.id,
        standing=True,
        delivery_days=_promised_days(state, trade.id),
        mechanism=trade.mechanism,
    )


def _promised_days(state: State, trade: str) -> int:
    """Of a hold that is the award of a proposal: what that promised."""
    proposal = state.proposals.get(state.awarding.get(trade, ""))
    return 0 if proposal is None else proposal.delivery_days


# ---- placing


def place(state: State, command: PlaceOrder, at_ns: int) -> Refusal | Iterator[Event]:
    """At a posted price; an order for a book goes its own way (`exchange.book_orders`)."""
    listing = state.listings.get(command.listing)
    if listing is None:
        return Refusal(Refused.not_found, f"there is no listing {command.listing}")
    if (refusal := closed_refusal(state, listing)) is not None:
        return refusal
    terms = listing.terms
    purpose = command.purpose or terms.purposes[0]
    territory = command.territory or terms.territories[0]
    refusal = _terms_refusal(listing, command, purpose, territory)
    if refusal is not None:
        return refusal
    cell = cell_of(state, listing, purpose, territory, at_ns)
    read = lawful(state, listing, cell, command, at_ns, False)
    if isinstance(read, Refusal):
        return read
    return _place_posted(state, listing, read, command, purpose, territory, at_ns)


def closed_refusal(state: State, listing: Listing) -> Refusal | None:
    """Why this listing takes no orders now, whatever they are."""
    if listing.state not in VISIBLE:
        return Refusal(Refused.not_found, f"there is no listing {listing.id}")
    if listing.state != "published":
        return Refusal(Refused.listing_closed, f"the listing is {listing.state}: it takes no orders")
    if state.halts or state.objected or state.lacking:
        return halted_refusal(state, listing)
    return None


def lawful(
    state: State, listing: Listing, cell: Cell, command: PlaceOrder, at_ns: int, in_book: bool
) -> Read | Refusal:
    """What the rules have read of an order that they let pass; or why its participant may not place it."""
    standing = standing_refusal(state, command.actor, "buy" if command.side == BUY else "list", at_ns)
    if standing is None and command.side != BUY:
        standing = board_refusal(state, command.actor, listing.board)
    if standing is not None and standing.code is not Refused.standing_denied:
        return standing
    read = read_of(state, listing, cell, command, at_ns, in_book)
    return law_refusal(state, listing, read, command, at_ns) or standing or read


def _terms_refusal(listing: Listing, command: PlaceOrder, purpose: str, territory: str) -> Refusal | None:
    """What of the order does not fit the listing's terms."""
    terms = listing.terms
    if terms.mechanism in INSTEAD or command.side != BUY:
        detail = INSTEAD.get(terms.mechanism, "this listing takes buy orders only")
        return Refusal(Refused.mechanism_not_allowed, detail)
    if command.time_in_force not in ("gtc", "ioc") or command.conditions:
        detail = "at a posted price time_in_force is gtc or ioc, and nothing else is asked"
        return Refusal(Refused.malformed, detail)
    if purpose not in terms.purposes or territory not in terms.territories:
        return Refusal(
            Refused.outside_terms,
            f"offered are purposes {', '.join(terms.purposes)} and territories {', '.join(terms.territories)}",
        )
    reason = refuse_amount(max(command.limit_fen, terms.price_fen), terms.price_per_units, command.quantity)
    if reason is not None or command.limit_fen < 0:
        return Refusal(
            Refused.out_of_bounds, MONEY_REFUSALS.get(reason or "", "quantity and price are positive")
        )
    return None


def read_of(
    state: State, listing: Listing, cell: Cell, command: PlaceOrder, at_ns: int, in_book: bool
) -> Read:
    """What the rules of the phase `order` read. In a book the counterparty is not known yet, nor what it brings."""
    actor = command.actor
    if not in_book:
        unit_fen = unit_price_fen(listing.terms, command.quantity)
        return _posted_fill(state, listing, cell, actor, unit_fen, command.accepts_prior, at_ns)
    if command.side == SELL:
        cell = _sold_by(state, listing, cell, actor, at_ns)
    price = price_at(cell.price, command.limit_fen) if command.limit_fen else cell.price
    if command.side == SELL:
        trade = _with_counters(state, listing, _open_facts(state, listing, cell), None, "", actor, at_ns)
        return Read(cell, seller_of(state, listing, actor, at_ns), None, trade, price, None, None)
    buyer, signed = party_of(state, actor, at_ns), signed_by(state, listing, cell, actor)
    trade = _trade_facts(state, listing, cell, signed, actor, command.accepts_prior, at_ns)
    trade = _with_counters(state, listing, trade, buyer, actor, "", at_ns)
    consent = _consent_facts(state, listing.product, cell, actor, at_ns)
    return Read(cell, None, buyer, trade, price, consent, signed)


def _posted_fill(
    state: State, listing: Listing, cell: Cell, buyer: str, unit_fen: int, accepts_prior: bool, at_ns: int
) -> Read:
    """A purchase at the posted price, which is also its fill: kept where the registers say nothing of this buyer alone."""
    merchant, parties, key = listing.merchant, state.parties, (buyer, unit_fen)
    kept: Kept | None = cell.of_buyers.get(key)
    if (
        kept is not None
        and at_ns < kept.until_ns
        and parties.get(buyer) is kept.buyer
        and parties.get(merchant) is kept.merchant
        and state.signed.get((listing.id, buyer)) is kept.read.signature
        and not state.products[listing.product].exclusives
    ):
        return kept.read
    price = cell.price if unit_fen == listing.terms.price_fen else price_at(cell.price, unit_fen)
    read = _fill(state, listing, cell, buyer, merchant, price, accepts_prior, at_ns)
    own = cell.trade if read.signed is None else read.signed.trade
    if read.trade is own and read.consent is None and read.xb is None:
        if len(cell.of_buyers) >= MOST_KEPT:
            cell.of_buyers.clear()
        buys, sells = parties[buyer], parties[merchant]
        cell.of_buyers[key] = Kept(read, buys, sells, min(buys.until_ns, sells.until_ns))
    return read


def _fill(
    state: State,
    listing: Listing,
    cell: Cell,
    buyer: str,
    seller: str,
    price: PriceFacts,
    accepts_prior: bool,
    at_ns: int,
    standing: bool = False,
) -> Read:
    """All that clearing reads of a fill; `standing` as in `Deal`."""
    cell = _sold_by(state, listing, cell, seller, at_ns)
    buys, sells = party_of(state, buyer, at_ns), seller_of(state, listing, seller, at_ns)
    signed = signed_by(state, listing, cell, buyer, standing)
    trade = _trade_facts(state, listing, cell, signed, buyer, accepts_prior, at_ns)
    trade = _with_counters(state, listing, trade, buys, buyer, seller, at_ns)
    consent = _consent_facts(state, listing.product, cell, buyer, at_ns)
    xb = _export_facts(state, listing, cell, trade, seller, at_ns)
    signature = signature_of(state, listing.id, buyer, standing)
    covered = hashed(cell, sells, buys, trade, consent, signed, xb)
    return Read(cell, sells, buys, trade, price, consent, signed, xb, signature, covered)


def law_refusal(
    state: State, listing: Listing, read: Read, command: PlaceOrder, at_ns: int
) -> Refusal | None:
    """Phase `order`. In a book the counterparty is not known yet and its rules wait for the fill.

    A broken rule is the orderer's own doing where it is not broken without what the orderer is and asks: judged once
    more, on refusal only. So a buyer does not answer for a merchant whose credential has run out.
    """
    cell, consent, signed = read.cell, read.consent, read.signed
    verdict = state.house.judge(
        "order", cell, read.seller, read.buyer, read.trade, read.price, at_ns, consent, signed
    )
    if verdict is ALLOW or verdict.outcome in ("allow", "hold"):
        return None
    others = _without_orderer(state, listing, read, command, at_ns)
    return Refusal(
        Refused.unlawful,
        _reason(state, listing, verdict),
        verdict.violated,
        verdict.unknown,
        capacities(cell.product, cell.source),
        tuple(rule for rule in verdict.violated if rule not in others.violated),
    )


def _without_orderer(state: State, listing: Listing, read: Read, command: PlaceOrder, at_ns: int) -> Verdict:
    """The order without what is its orderer's own."""
    cell, price, seller = read.cell, read.price, read.seller
    if command.side == SELL:
        seller = None
    if read.seller is None or read.buyer is None:
        price = msgspec.structs.replace(price, unit_fen=UNSET) if command.limit_fen else price
    trade = (
        _open_facts(state, listing, cell)
        if read.buyer is None
        else _trade_facts(state, listing, cell, read.signed, command.actor, command.accepts_prior, at_ns)
    )
    return state.house.judge("order", cell, seller, None, _undeclared(trade), price, at_ns, read.consent)


def _reason(state: State, listing: Listing, verdict: Verdict) -> str:
    if verdict.outcome == "reject":
        return "the trade is unlawful"
    unsaid = any(fact in DECLARED_FACTS for _, facts in verdict.unknown for fact in facts)
    what = f": {to_sign(state, listing.id)}" if unsaid else ""
    return f"facts that a rule needs are unknown{what}"


def _undeclared(trade: TradeFacts) -> TradeFacts:
    """What a buyer declares is its own: without it, the rules that only this breaks are not broken."""
    return msgspec.structs.replace(trade, **dict.fromkeys(_DECLARED, UNSET))


def signed_by(
    state: State, listing: Listing, cell: Cell, buyer: str, standing: bool = False
) -> Signed | None:
    """The licence class under the contract with what this buyer declared; None where it has not signed: `signature_of`."""
    signature = signature_of(state, listing.id, buyer, standing)
    if signature is None:
        return None
    agreement = state.contracts[signature.contract]
    key = signature.declared_sha256 if agreement.live else f"{agreement.id}:{signature.declared_sha256}"
    signed = cell.signed.get(key)
    if signed is None:
        if len(cell.signed) >= MOST_DECLARED:
            cell.signed.clear()
        trade = with_declared(cell.trade, agreement.security, signature.declarations)
        signed = cell.signed[key] = Signed(trade, digest_of((trade,)))
    return signed


def signature_of(state: State, listing: str, buyer: str, standing: bool) -> Signature | None:
    """What a buyer has signed: of the live contract, or where what it asked for is `standing`, of the last that it signed.

    An order that rests, and a hold, were agreed under a contract that both sides had signed; that the merchant signs
    another one with those who come after does not take that back (民法典 465:
    「依法成立的合同，仅对当事人具有法律约束力」; 543: 「当事人协商一致，可以变更合同」).
    """
    signature = state.signed.get((listing, buyer))
    return state.last_signed.get((listing, buyer)) if signature is None and standing else signature


def _trade_facts(
    state: State,
    listing: Listing,
    cell: Cell,
    signed: Signed | None,
    buyer: str,
    accepts_prior: bool,
    at_ns: int,
) -> TradeFacts:
    """The instrument's facts with what its contract and the exclusive-licence register say of this buyer."""
    product = state.products[listing.product]
    exclusive = listing.terms.deal == "exclusive_licence"
    said = state.registers.says_of(product.id, buyer)
    trade = cell.trade if signed is None else signed.trade
    if not product.exclusives and not exclusive and not said:
        return trade
    return msgspec.structs.replace(
        trade,
        **(of_pair(state, product.id, buyer, at_ns) if said else {}),
        other_exclusive_active=_other_exclusive(state, product, cell.trade, buyer, at_ns),
        other_nonexclusive_active=exclusive and _other_nonexclusive(state, product, cell.trade, buyer, at_ns),
        buyer_accepts_prior=accepts_prior,
    )


def _with_counters(
    state: State,
    listing: Listing,
    trade: TradeFacts,
    buyer: Party | None,
    bought_by: str,
    sold_by: str,
    at_ns: int,
) -> TradeFacts:
    """The trade with what was counted of its parties; whoever is not known yet is empty. The same object mostly."""
    if buyer is not None:
        trade = with_border(trade, buyer.buyer.region)
    if not counts(state, listing):
        return trade
    return msgspec.structs.replace(trade, **of_fill(state, listing, bought_by, sold_by, at_ns))


def _export_facts(
    state: State, listing: Listing, cell: Cell, trade: TradeFacts, seller: str, at_ns: int
) -> CrossBorderFacts | None:
    """What this seller has sent abroad, where this trade would send more; None where nothing leaves the country."""
    if trade.cross_border is not True:
        return None
    return exports_of(state, state.products[listing.product], cell.xb, seller, at_ns)


def _consent_facts(state: State, product: str, cell: Cell, buyer: str, at_ns: int) -> ConsentFacts | None:
    """What the register of notices says of this recipient; None where it is what the cell has."""
    if not state.registers.says_of(product, buyer) or not recipient_named(state, product, buyer, at_ns):
        return None
    return msgspec.structs.replace(cell.consent, recipient_named=True)


def _sold_by(state: State, listing: Listing, cell: Cell, seller: str, at_ns: int) -> Cell:
    """The licence class as this seller sells it: a holder of units sells them on."""
    if seller == listing.merchant:
        return cell
    return cell_of(state, listing, str(cell.trade.purpose), str(cell.trade.territory), at_ns, True)


def _open_facts(state: State, listing: Listing, cell: Cell) -> TradeFacts:
    """The instrument's facts for a buyer who is not known yet: what others hold beside that buyer waits for the fill."""
    assert cell.open_trade is not None, "a listing's cell"
    if not state.products[listing.product].exclusives:
        return cell.open_trade
    return msgspec.structs.replace(
        cell.open_trade,
        other_exclusive_active=UNSET,
        other_nonexclusive_active=UNSET,
        buyer_accepts_prior=UNSET,
    )


def _overlap(one: str, other: str) -> bool:
    """Whether two territories overlap: codes nest by prefix, CN holds CN-44, and that CN-4403 (`Citation.where`)."""
    one, other = place_of(one), place_of(other)
    return one.startswith(other) or other.startswith(one)


def _other_exclusive(state: State, product: Product, trade: TradeFacts, buyer: str, at_ns: int) -> bool:
    """A transfer or a pledge takes the right whole: neither fields nor territory keep it apart from another one."""
    whole = trade.deal in WHOLE_DEALS
    return any(
        row.buyer != buyer
        and (row.trade in state.trades or _runs(row.until_ns, at_ns))
        and (
            whole
            or not row.field_group
            or (row.field_group == trade.field_group and _overlap(str(trade.territory), row.territory))
        )
        for row in product.exclusives
    )


def _runs(until_ns: int, at_ns: int) -> bool:
    """Whether a term that ends then is not over; 0 is one that has not started yet."""
    return not until_ns or until_ns > at_ns


def _other_nonexclusive(state: State, product: Product, trade: TradeFacts, buyer: str, at_ns: int) -> bool:
    """Looks through the living entitlements and the units of this product's listings for the same fields."""
    listings = [state.listings[name] for name in product.listings]
    alike = {
        row.id: row
        for row in listings
        if row.terms.deal == "licence" and row.terms.field_group == trade.field_group
    }
    if any(_units_out(state, row, str(trade.territory), buyer, at_ns) for row in alike.values()):
        return True
    return any(
        row.buyer != buyer and _runs(row.until_ns, at_ns) and _overlap(str(trade.territory), row.territory)
        for listing in alike
        for row in state.licensed.get(listing, {}).values()
    )


def _units_out(state: State, listing: Listing, territory: str, buyer: str, at_ns: int) -> bool:
    """Whether others hold units of this book: each unit is a licence, without an entitlement of its own."""
    if not listing.issued_units or not _overlap(territory, listing.terms.territories[0]):
        return False
    if listing.state in ("expired", "withdrawn") and at_ns >= _last_unit_ends_ns(listing):
        return False
    mine = dict.fromkeys((listing.merchant, buyer))
    held = sum(state.ledger.balance(owner, unit_asset(listing.id)) for owner in mine)
    return held < listing.issued_units


def _last_unit_ends_ns(listing: Listing) -> int:
    """When the last unit's term has run out of a book that is over: it may have settled out of a hold of the last day."""
    return listing.until_ns + HOLD_NS + listing.terms.term_days * DAY_NS


# ---- posted price


def _place_posted(
    state: State, listing: Listing, read: Read, command: PlaceOrder, purpose: str, territory: str, at_ns: int
) -> Refusal | Iterator[Event]:
    price_fen = unit_price_fen(listing.terms, command.quantity)
    if command.limit_fen and command.limit_fen < price_fen:
        return Refusal(Refused.nothing_to_match, f"the posted price is {price_fen} fen: above your limit")
    refusal = supply_refusal(listing, command.quantity) or allowance.refusal(
        state, listing, command.actor, command.quantity
    )
    if refusal is not None:
        return refusal
    amount = amount_fen(price_fen, listing.terms.price_per_units, command.quantity)
    if state.ledger.available(command.actor, CNY) < amount:
        return lacking(state, command.actor, amount)
    if (refusal := order_refusal(state, command.actor, listing.merchant, amount, at_ns)) is not None:
        return refusal
    return _posted(state, listing, read, command, purpose, territory, (price_fen, amount), at_ns)


def supply_refusal(listing: Listing, quantity: int) -> Refusal | None:
    """Data is not used up: only limited and exclusive supply run out."""
    left = posted.left(listing.terms.supply, listing.terms.supply_units, listing.taken_units)
    if left is None or quantity <= left:
        return None
    return Refusal(Refused.supply_exhausted, f"{left} left of this listing")


def lacking(state: State, participant: str, amount: int) -> Refusal:
    available = state.ledger.available(participant, CNY)
    return Refusal(
        Refused.funds_insufficient, f"{amount} fen are needed, {available} are available: pay in first"
    )


def _posted(
    state: State,
    listing: Listing,
    read: Read,
    command: PlaceOrder,
    purpose: str,
    territory: str,
    costs: tuple[int, int],
    at_ns: int,
) -> Iterator[Event]:
    """`costs`: the price of the tier that applies, and the amount."""
    order, (price_fen, amount) = state.next_id("O"), costs
    yield _placed(command, order, price_fen, purpose, territory, amount)
    yield clear(
        state,
        Deal(
            listing,
            read.cell,
            command.actor,
            listing.merchant,
            order,
            "",
            command.quantity,
            price_fen,
            0,
            purpose,
            territory,
            command.accepts_prior,
            order,
            "",
            read,
        ),
        at_ns,
    )
    left = state.orders.get(order)
    if left is not None:
        yield OrderClosed(order, "refused", left.remaining)


def _placed(
    command: PlaceOrder, order: str, price_fen: int, purpose: str, territory: str, reserved: int
) -> OrderPlaced:
    return OrderPlaced(
        order,
        command.actor,
        command.listing,
        command.side,
        command.quantity,
        price_fen,
        command.time_in_force,
        purpose,
        territory,
        command.accepts_prior,
        reserved,
        command.key,
    )


# ---- a trade agreed elsewhere


def strike(
    state: State,
    listing: Listing,
    buyer: str,
    quantity: int,
    price_fen: int,
    purpose: str,
    territory: str,
    accepts_prior: bool,
    at_ns: int,
    delivery_days: int = 0,
) -> Iterator[Event]:
    """Buyer and merchant are agreed on a price: an award, a hammer, a report. Cleared like any fill of this instant.

    What was bid for in an auction was asked for before: the contract that the bidder had signed then counts still.

    The caller has asked for supply and for `amount_fen` of the buyer's money; an order of this kind never rests. Its last
    event says what came of it: `Settled`, `Held`, or `TradeRefused` and the closing of the order.
    """
    order, where = state.next_id("O"), (purpose, territory)
    amount = amount_fen(price_fen, listing.terms.price_per_units, quantity)
    yield OrderPlaced(
        order, buyer, listing.id, BUY, quantity, price_fen, "ioc", *where, accepts_prior, amount, ""
    )
    parties = (buyer, listing.merchant)
    cell = cell_of(state, listing, *where, at_ns)
    deal = Deal(listing, cell, *parties, order, "", quantity, price_fen, 0, *where, accepts_prior, order)
    deal.delivery_days = delivery_days
    deal.standing = listing.terms.mechanism in AUCTIONS
    yield clear(state, deal, at_ns)
    if order in state.orders:
        yield OrderClosed(order, "refused", quantity)


# ---- clearing a fill


def clear(state: State, deal: Deal, at_ns: int) -> Settled | Held | TradeRefused:
    """Judge one fill on the facts as they are now and settle, hold or refuse it."""
    verdict, facts_sha256 = judge_clearing(state, deal, at_ns)
    if verdict is ALLOW or verdict.outcome == "allow":
        return settlement(state, deal, facts_sha256, at_ns)
    if verdict.outcome == "hold":
        return _holding(state, deal, verdict, facts_sha256, at_ns)
    return _refusal_of(state, deal, verdict, facts_sha256)


def judge_clearing(state: State, deal: Deal, at_ns: int) -> tuple[Verdict, bytes]:
    """The verdict of the phase `clearing` and the hash of the facts it read."""
    verdict, digest = judge_uncured(state, deal, at_ns)
    return (verdict, digest) if verdict.outcome != "hold" else _cured(state, deal, verdict, digest, at_ns)


def judge_uncured(state: State, deal: Deal, at_ns: int) -> tuple[Verdict, bytes]:
    """What the rules alone say of a fill, and the hash of what they read."""
    read = deal.read = deal.read or _fill_of(state, deal, at_ns)
    assert read.hashed is not None, "a fill has both parties"
    seller, buyer, trade, price = read.seller, read.buyer, read.trade, read.price
    verdict = state.house.judge(
        "clearing", read.cell, seller, buyer, trade, price, at_ns, read.consent, read.signed, read.xb
    )
    return verdict, read.hashed.sha256(deal.price_fen, at_ns)


def _fill_of(state: State, deal: Deal, at_ns: int) -> Read:
    listing, cell = deal.listing, deal.cell
    listed = deal.price_fen == listing.terms.price_fen
    price = cell.price if listed else price_at(cell.price, deal.price_fen)
    parties = (deal.buyer, deal.seller)
    return _fill(state, listing, cell, *parties, price, deal.accepts_prior, at_ns, deal.standing)


def _cured(
    state: State, deal: Deal, verdict: Verdict, facts_sha256: bytes, at_ns: int
) -> tuple[Verdict, bytes]:
    """A hold without the rules whose evidence has been confirmed; what confirms them is part of what was read."""
    if not (cures := cures_of(state, deal, verdict, at_ns)):
        return verdict, facts_sha256
    left = tuple(rule for rule in verdict.violated if rule not in cures)
    held = any(state.rulebook.rules[rule].kind == "hold" for rule in left)
    read = hashlib.sha256(facts_sha256 + repr(sorted(cures.items())).encode()).digest()
    return Verdict("hold" if held else "allow", left, ()), read


def cures_of(state: State, deal: Deal, verdict: Verdict, at_ns: int) -> dict[str, str]:
    """What cures the rules that this verdict names, by rule."""
    return {
        rule: cure
        for rule in verdict.violated
        if (cure := cure_of(state, deal, rule, at_ns)) and state.rulebook.rules[rule].kind == "hold"
    }


def cure_of(state: State, deal: Deal, rule: str, at_ns: int) -> str:
    """What cures this rule of this trade: an attestation's id, or `hold` where its own evidence was accepted."""
    if rule in state.cured.get(deal.trade, ()):
        return "hold"
    found = confirming(state, deal.listing.product, deal.buyer, rule, at_ns)
    return next((attestation.id for attestation in found), "")


def clearing_facts(state: State, deal: Deal, at_ns: int) -> Facts:
    """All that clearing reads of a fill, in one: what `judge_clearing` asks for in parts."""
    read = _fill_of(state, deal, at_ns)
    assert read.seller is not None, "a fill has a seller"
    assert read.buyer is not None, "a fill has a buyer"
    parties = (read.seller, read.buyer)
    return facts_of("clearing", read.cell, *parties, read.trade, read.price, at_ns, read.consent, read.xb)


def would(
    state: State, listing: Listing, buyer: str, quantity: int, purpose: str, territory: str, at_ns: int
) -> tuple[Verdict, bytes, tuple[str, ...]]:
    """What clearing would say of this buyer's purchase from the listing's merchant at its price; changes nothing.

    The verdict, the hash of the facts, the capacities in which the parties would act. The licence class is made for it
    and not kept: a purpose that nobody offers leaves nothing behind.
    """
    terms, cell = listing.terms, new_cell(state, listing, purpose, territory, at_ns)
    deal = Deal(
        listing=listing,
        cell=cell,
        buyer=buyer,
        seller=listing.merchant,
        buy_order="",
        sell_order="",
        quantity=quantity,
        price_fen=unit_price_fen(terms, quantity),
        rest_fen=0,
        purpose=purpose,
        territory=territory,
        accepts_prior=False,
    )
    return *judge_clearing(state, deal, at_ns), capacities(cell.product, cell.source)


def settlement(state: State, deal: Deal, facts_sha256: bytes, at_ns: int) -> Settled:
    listing, read = deal.listing, deal.read
    assert read is not None, "it was judged"
    terms = listing.terms
    amount = amount_fen(deal.price_fen, terms.price_per_units, deal.quantity)
    fee, merchant, payments, roles, public = _distribution(state, deal, amount)
    units = bool(deal.sell_order)
    signature = read.signature
    leaves = read.trade.cross_border is True
    return Settled(
        deal.trade or state.next_id("T"),
        listing.id,
        deal.buyer,
        deal.seller,
        deal.buy_order,
        deal.sell_order,
        deal.quantity,
        deal.price_fen,
        amount,
        fee,
        merchant,
        deal.rest_fen,
        "" if units else state.next_id("E"),
        0 if units else at_ns + (deal.delivery_days or terms.delivery_days) * DAY_NS,
        facts_sha256,
        deal.mechanism or terms.mechanism,
        deal.purpose,
        deal.territory,
        payments,
        "" if signature is None else signature.contract,
        "" if signature is None else signature.id,
        roles,
        public,
        counts(state, listing),
        *(exported(state, state.products[listing.product], at_ns) if leaves else NONE_EXPORTED),
        () if units else protected_kinds(state.products[listing.product]),
        history_bp(amount, fee) if units else WHOLE_BP,
    )


MOST_SPLIT: Final = 256
"""How many amounts are kept of a licence class with their distribution."""


def _distribution(state: State, deal: Deal, amount: int) -> revenue.Distribution:
    """Kept with the cell: what a product shares never changes, and what it is made of drops the cell."""
    if deal.seller != deal.listing.merchant:
        return revenue.distribution(state, deal.listing, amount, deal.seller)
    kept, key = deal.cell.of_amounts, (amount, limits_of(state, deal.seller).fee_bp)
    found: revenue.Distribution | None = kept.get(key)
    if found is None:
        if len(kept) >= MOST_SPLIT:
            kept.clear()
        found = kept[key] = revenue.distribution(state, deal.listing, amount)
    return found


def _holding(state: State, deal: Deal, verdict: Verdict, facts_sha256: bytes, at_ns: int) -> Held:
    terms = deal.listing.terms
    return Held(
        state.next_id("T"),
        deal.listing.id,
        deal.buyer,
        deal.seller,
        deal.buy_order,
        deal.sell_order,
        deal.quantity,
        deal.price_fen,
        amount_fen(deal.price_fen, terms.price_per_units, deal.quantity),
        deal.rest_fen,
        at_ns + HOLD_NS,
        verdict.violated,
        facts_sha256,
        deal.mechanism or terms.mechanism,
        deal.purpose,
        deal.territory,
        deal.accepts_prior,
        capacities(deal.cell.product, deal.cell.source),
        next_look_ns(state, deal, at_ns + HOLD_NS, at_ns),
    )


def next_look_ns(state: State, deal: Deal, until_ns: int, at_ns: int) -> int:
    """When an entry about what is dealt in or its parties begins or ends to be good; 0 where none does before the end."""
    next_ns = min(
        deal.cell.until_ns,
        party_of(state, deal.seller, at_ns).until_ns,
        party_of(state, deal.buyer, at_ns).until_ns,
        pair_until_ns(state, at_ns, deal.listing.product, deal.buyer),
    )
    return next_ns if next_ns < until_ns else 0


def plan_look(state: State, trade: str, look: Look) -> None:
    if look == Look():
        state.looks.pop(trade, None)
        return
    state.looks[trade] = look
    if look.next_ns:
        state.start_timer(look.next_ns, "hold", trade)


def _refusal_of(state: State, deal: Deal, verdict: Verdict, facts_sha256: bytes) -> TradeRefused:
    return TradeRefused(
        state.next_id("T"),
        deal.listing.id,
        deal.buyer,
        deal.seller,
        deal.buy_order,
        deal.sell_order,
        deal.quantity,
        deal.price_fen,
        verdict.outcome,
        verdict.violated,
        verdict.unknown,
        facts_sha256,
        deal.taker_order,
        capacities(deal.cell.product, deal.cell.source),
    )


# ---- cancelling


def close_without_standing(state: State, participant: str, at_ns: int) -> list[Event]:
    """The open orders of a participant that it could not place any more: nobody meets them in vain."""
    standing, frozen = state.bureau.standing(participant, at_ns), participant in state.frozen
    if (standing.may_buy and standing.may_list and not frozen) or not _reserves(state, participant):
        return []
    return [
        closing(order, "standing")
        for order in state.orders.values()
        if order.participant == participant
        and (frozen or not (standing.may_buy if order.side == BUY else standing.may_list))
    ]


def after_graded(state: State, event: GradeSet, at_ns: int) -> list[Event]:
    """A grade that suspends closes the open orders of its participant: nobody meets them in vain."""
    if not CONSEQUENCES[event.grade].suspended or not _reserves(state, event.participant):
        return []
    return [
        closing(order, "standing")
        for order in state.orders.values()
        if order.participant == event.participant
    ]


def _reserves(state: State, participant: str) -> bool:
    """Whether anything of a participant is set aside, as each resting order has it, or one waits for its stop without a
    limit: spares a look at all orders where many mandates end on one day."""
    ledger = state.ledger
    assets = (CNY, *map(unit_asset, state.books))
    if any(ledger.available(participant, asset) != ledger.balance(participant, asset) for asset in assets):
        return True
    return any(order.participant == participant for book in state.books.values() for order in book.parked())


# ---- events


def apply_placed(state: State, event: OrderPlaced, at_ns: int) -> None:
    state.took_id(event.order)
    rest(state)
    participant = event.participant
    order = Order(
        event.order,
        event.side,  # type: ignore[arg-type]
        event.limit_fen,
        event.quantity,
        owner_of(state, participant),
        participant,
        event.listing,
        event.quantity,
        at_ns,
        (),
        event.client_order_id,
        event.purpose,
        event.territory,
        event.accepts_prior,
        event.conditions or UNCONDITIONED.get(event.time_in_force, PLAIN),
    )
    asset = CNY if event.side == BUY else unit_asset(event.listing)
    ledger = state.ledger
    ledger.reserve(event.order, ledger.account(participant, asset), event.reserved)
    state.orders[event.order] = order
    if order.conditions.expires_ns:
        state.start_timer(order.conditions.expires_ns, "order", order.id)
    if order.conditions.stop_fen:
        state.books[event.listing].park(order)
    else:
        state.incoming = order


def owner_of(state: State, participant: str) -> str:
    """The ultimate owner behind a participant."""
    people = state.bureau.participants
    owner = people[participant].owner_id or participant
    return ultimate_owner(people, participant) if owner != participant and owner in people else owner


def rest(state: State) -> None:
    """At the end of an entry, or when another order comes in: what is left of the one that came in rests in its book."""
    order = state.incoming
    if order is None:
        return
    state.incoming = None
    if order.listing in state.books:
        book = state.books[order.listing]
        if order.place:
            book.show_anew(order)
        elif order.conditions.stop_fen:
            book.park(order)
        else:
            book.add(order)
        if is_crossed(book):
            state.crossed[order.listing] = None


def apply_closed(state: State, event: OrderClosed, at_ns: int) -> None:
    state.ledger.release(event.order)
    _forget(state, state.orders[event.order])


def apply_refused(state: State, event: OrderRefused, at_ns: int) -> None:
    """An order that breaks a rule by its participant's own doing is conduct; lack of money or supply is not."""
    if event.own:
        state.bureau.record(Conduct("refused_unlawful_order", event.participant, "", 0, at_ns, event.listing))


def take(state: State, order_id: str, listing: str, quantity: int, whole: bool = False) -> None:
    """Part of an order is filled, held, or given to a reported trade; of one that rests, a part that it shows.

    `whole`: hidden parts too, as in a call auction, and of an order that stands in the book while it takes.
    """
    order = state.orders.get(order_id)
    if order is None:
        return
    if order.place:
        book = state.books[listing]
        if whole or order is state.incoming:
            book.allot(order_id, quantity)
        else:
            book.reduce(order_id, quantity)
    else:
        order.remaining -= quantity
    if not order.remaining:
        _forget(state, order)


def _forget(state: State, order: Order) -> None:
    """Nothing is left of it, or what was left is gone."""
    del state.orders[order.id]
    order.remaining = 0
    if order is state.incoming:
        state.incoming = None
    book = state.books.get(order.listing)
    if book is not None and order.id in book:
        book.remove(order.id)


def take_supply(state: State, listing: Listing, buyer: str, quantity: int) -> None:
    """What a trade takes of a listing that has no book; `exchange.trade` gives it back where it comes to nothing."""
    listing.taken_units += quantity
    allowance.take(state, listing, buyer, quantity)


def apply_settled(state: State, event: Settled, at_ns: int) -> None:
    listing = state.listings[event.listing]
    if event.counted:
        note_dealing(state, event, at_ns)
    if event.exported_year:
        note_export(state, event)
    if (signing := state.signing.get((event.contract, event.buyer))) is not None:
        signing.cited = True
    if state.holds.pop(event.trade, None) is None:
        state.took_id(event.trade)
        if not event.sell_order:
            take_supply(state, listing, event.buyer, event.quantity)
    else:
        del state.trades[event.trade]
        if event.sell_order:
            state.repriced.append(event.listing)
        cured = state.cured.pop(event.trade, None)
        if cured and not event.sell_order:
            state.settled_over[event.trade] = SettledOver(cured, at_ns)
        state.looks.pop(event.trade, None)
    revenue.settle(state, event, at_ns)
    house = state.house
    if event.sell_order:
        house.exchange_units(
            event.buy_order,
            event.sell_order,
            event.buyer,
            event.seller,
            event.listing,
            event.quantity,
            event.fee_fen,
            event.merchant_fen,
            event.shares,
            event.reserved_rest,
        )
        listing.last_fen = state.books[event.listing].last_fen = event.price_fen
        record_completion(state, event, event.trade, event.history_bp, at_ns)
    else:
        house.escrow(event.buy_order, event.amount_fen, event.reserved_rest)
        _open_trade(state, event, listing)
        count_sale(state, event.seller, event.amount_fen, at_ns)
    whole = event.mechanism == "call_auction"
    take(state, event.buy_order, event.listing, event.quantity, whole)
    if event.buy_order not in state.orders:
        state.ledger.release(event.buy_order)
    if event.sell_order:
        take(state, event.sell_order, event.listing, event.quantity, whole)


def record_completion(state: State, made: Settled | Trade, trade: str, part_bp: int, at_ns: int) -> None:
    """A trade went well: good conduct of both sides, whose score follows."""
    buyer, seller, amount = made.buyer, made.seller, made.amount_fen
    state.bureau.record(Conduct("completed_sale", seller, buyer, amount, at_ns, trade, part_bp))
    state.bureau.record(Conduct("completed_purchase", buyer, seller, amount, at_ns, trade, part_bp))


def _open_trade(state: State, event: Settled, listing: Listing) -> None:
    """Escrow is posted, the entitlement granted; the merchant has until `due_ns` to deliver."""
    state.trades[event.trade] = Trade(
        event.trade,
        event.listing,
        event.buyer,
        event.seller,
        event.quantity,
        event.price_fen,
        event.amount_fen,
        event.mechanism,
        event.purpose,
        event.territory,
        "settled",
        event.due_ns,
        event.fee_fen,
        event.merchant_fen,
        event.shares,
        event.entitlement,
    )
    state.took_id(event.entitlement)
    state.take_entitlement(
        Entitlement(event.entitlement, event.trade, event.listing, event.buyer, event.seller, event.territory)
    )
    if event.protected:
        state.protected[event.trade] = event.protected
    state.start_timer(event.due_ns, "trade", event.trade)
    note_exclusive(state, listing, event.trade, event.buyer, event.territory)


def note_exclusive(state: State, listing: Listing, trade: str, buyer: str, territory: str) -> None:
    """An exclusive right counts as taken from settlement or hold on (江西 30; exclusive-licence register)."""
    terms = listing.terms
    if terms.deal not in EXCLUSIVE_DEALS:
        return
    whole = terms.deal in WHOLE_DEALS
    row = Exclusive(trade, buyer, "" if whole else terms.field_group, "" if whole else territory)
    product = state.products[listing.product]
    product.exclusives = (*(other for other in product.exclusives if other.trade != trade), row)


def end_exclusive(product: Product, trade: str) -> None:
    """What this trade had taken is free again, or its buyer is the holder now, or the pledgee on record."""
    if product.exclusives:
        product.exclusives = tuple(row for row in product.exclusives if row.trade != trade)


def prolong_exclusive(product: Product, trade: str, until_ns: int) -> None:
    """The exclusive licence of this trade lasts as long as its entitlement; 0 is without an end."""
    if product.exclusives:
        product.exclusives = tuple(
            msgspec.structs.replace(row, until_ns=until_ns) if row.trade == trade and row.field_group else row
            for row in product.exclusives
        )


def apply_held(state: State, event: Held, at_ns: int) -> None:
    """The quantity leaves the market; money and units stay reserved, now under the trade's id."""
    state.took_id(event.trade)
    listing = state.listings[event.listing]
    house = state.house
    house.hold(event.buy_order, event.trade, event.buyer, CNY, event.amount_fen, event.reserved_rest)
    if event.sell_order:
        asset = unit_asset(event.listing)
        house.hold(event.sell_order, f"{event.trade}:units", event.seller, asset, event.quantity, 0)
    else:
        take_supply(state, listing, event.buyer, event.quantity)
    state.trades[event.trade] = state.holds[event.trade] = Trade(
        id=event.trade,
        listing=event.listing,
        buyer=event.buyer,
        seller=event.seller,
        quantity=event.quantity,
        price_fen=event.price_fen,
        amount_fen=event.amount_fen,
        mechanism=event.mechanism,
        purpose=event.purpose,
        territory=event.territory,
        state="held",
        due_ns=event.until_ns,
        accepts_prior=event.accepts_prior,
        violated=event.violated,
    )
    state.start_timer(event.until_ns, "trade", event.trade)
    plan_look(state, event.trade, Look(next_ns=event.look_ns))
    note_exclusive(state, listing, event.trade, event.buyer, event.territory)
    whole = event.mechanism == "call_auction"
    take(state, event.buy_order, event.listing, event.quantity, whole)
    take(state, event.sell_order, event.listing, event.quantity, whole)


def apply_trade_refused(state: State, event: TradeRefused, at_ns: int) -> None:
    """Nothing moves; the maker keeps its place and its participant is barred for the taker's life."""
    state.took_id(event.trade)
    order = state.orders.get(event.taker_order)
    if order is not None and event.sell_order:
        maker = event.seller if event.taker_order == event.buy_order else event.buyer
        order.barred = (*order.barred, maker)
