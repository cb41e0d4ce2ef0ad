"""Refund by agreement (协商退款): both parties of a trade agree that all or a part of its price goes back.

    before acceptance   out of escrow; a part lowers the price and everybody's share of it, all of it ends the trade.
                        With the delivery in hand, a part is acceptance at the lower price: the rest is paid
    after acceptance    out of the seller's deposit, then its cash; what lacks is a debt (`exchange.debt`)

「当事人协商一致，可以变更合同。」(民法典第五百四十三条) and, for all of it, 「当事人协商一致，可以解除合同。」
(第五百六十二条第一款). Whoever has less to pay for what was delivered keeps it (减少价款, 第五百八十二条).

Either party offers an amount, the other sends the same one to agree; another amount is an offer of its own, and both
stand. An offer is of the trade as it stands: it ends with the next step of the trade, be it delivery, rejection or
acceptance, and after ten days that nobody answers. It can be agreed to while the licence lasts; afterwards, and for
units, which change hands at once, there is nothing to take back but by an operator's reversal.

After acceptance it is between the two: fee and shares stay where they are, the seller bears the refund alone.
"""

from collections.abc import Iterator
from typing import Final

from clearing.delivery import TRADE_LIFE
from clearing.ledger import CNY, Leg, deposit_owner
from clearing.revenue import Payments
from exchange import allowance, passing, revenue
from exchange.debt import freed, owe
from exchange.deposit import deposited
from exchange.events import (
    EntitlementEnded,
    Event,
    OfferRefund,
    PriceLowered,
    Refunded,
    RefundOffered,
    RefundOfferEnded,
    RefundPaid,
    Refusal,
    Refused,
)
from exchange.state import DAY_NS, Debt, Entitlement, RefundOffer, State, Trade, offer_key
from exchange.trade import completed

OFFER_NS: Final = 10 * DAY_NS
"""How long an offer waits for the other party."""


def offer(state: State, command: OfferRefund, at_ns: int) -> Refusal | list[Event] | Iterator[Event]:
    """An offer, or the agreement where the other party has offered the same amount."""
    trade, entitlement = state.trades.get(command.trade), state.entitlements.get(command.entitlement)
    if entitlement is not None and entitlement.trade != command.trade:
        entitlement = None
    concerned = trade or entitlement
    if concerned is None or command.actor not in (concerned.buyer, concerned.seller):
        return Refusal(Refused.not_found, f"you have no trade {command.trade} whose price can still go back")
    refusal = _amount_refusal(state, command, trade)
    if refusal is not None:
        return refusal
    other = concerned.seller if command.actor == concerned.buyer else concerned.buyer
    if not _agrees(state.claims.offers.get(offer_key(command.trade, other)), command, at_ns):
        until_ns = at_ns + OFFER_NS
        return [RefundOffered(command.trade, command.actor, command.amount_fen, command.reason, until_ns)]
    if trade is not None:
        return _stopped(state, trade, command, at_ns) or _out_of_escrow(
            state, trade, command.amount_fen, at_ns
        )
    assert entitlement is not None
    return _after_payout(state, entitlement, command)


def _agrees(standing: RefundOffer | None, command: OfferRefund, at_ns: int) -> bool:
    """Whether the other party's standing offer is just this, and not too old."""
    return standing is not None and standing.until_ns >= at_ns and standing.amount_fen == command.amount_fen


def _amount_refusal(state: State, command: OfferRefund, trade: Trade | None) -> Refusal | None:
    if not command.reason.strip():
        return Refusal(Refused.malformed, "say the reason: both parties and the auditor read it")
    if trade is not None and trade.state == "held":
        return Refusal(Refused.wrong_state, "the trade is on hold: nothing has been paid yet")
    left_fen = trade.amount_fen if trade is not None else _left_of_price(state, command)
    if not 0 < command.amount_fen <= left_fen:
        return Refusal(
            Refused.out_of_bounds, f"amount_fen lies between 1 and {left_fen}, what is left of the price"
        )
    if trade is None and command.amount_fen == left_fen and _is_transfer(state, command.entitlement):
        return Refusal(
            Refused.wrong_state,
            "the right has passed on: it goes back by a transfer, only a part of the price can go back",
        )
    return None


def _left_of_price(state: State, command: OfferRefund) -> int:
    return command.price_fen - state.claims.refunded_fen.get(command.trade, 0)


def _is_transfer(state: State, entitlement: str) -> bool:
    return state.listings[state.entitlements[entitlement].listing].terms.deal == "transfer"


def _stopped(state: State, trade: Trade, command: OfferRefund, at_ns: int) -> Refusal | None:
    """A part that goes back completes a trade with its delivery in hand: not while the law forbids that it passes."""
    completes = command.amount_fen < trade.amount_fen and (trade.state, "settle") in TRADE_LIFE
    return passing.refusal(state, trade, at_ns) if completes else None


def _out_of_escrow(state: State, trade: Trade, amount_fen: int, at_ns: int) -> list[Event]:
    if amount_fen == trade.amount_fen:
        return [Refunded(trade.id, "agree")]
    events: list[Event] = [PriceLowered(trade.id, amount_fen, *lowered(trade, amount_fen))]
    if (trade.state, "settle") in TRADE_LIFE:
        events += completed(state, trade, "settle", at_ns)
    return events


def lowered(trade: Trade, amount_fen: int) -> tuple[int, int, Payments]:
    """(fee, merchant, shares) of what is left of a price."""
    return lowered_parts(trade.amount_fen, amount_fen, trade.fee_fen, trade.shares)


def lowered_parts(whole_fen: int, gone_fen: int, fee_fen: int, shares: Payments) -> tuple[int, int, Payments]:
    """What is left of each part of a price: in proportion, rounded down, and the merchant keeps the rest."""
    left_fen = whole_fen - gone_fen
    fee_fen = fee_fen * left_fen // whole_fen
    shares = tuple((name, fen * left_fen // whole_fen) for name, fen in shares)
    return fee_fen, left_fen - fee_fen - sum(fen for _, fen in shares), shares


def _after_payout(state: State, entitlement: Entitlement, command: OfferRefund) -> Iterator[Event]:
    """Where all of the price has gone back, so does the licence."""
    amount_fen, seller = command.amount_fen, entitlement.seller
    whole = amount_fen == _left_of_price(state, command)
    deposit_fen = min(amount_fen, deposited(state, seller))
    cash_fen = min(amount_fen - deposit_fen, state.ledger.available(seller, CNY))
    debt_fen = amount_fen - deposit_fen - cash_fen
    debt = state.next_id("Q") if debt_fen else ""
    public_fen = amount_fen if revenue.is_public(state, entitlement.listing) else 0
    units = command.quantity if whole else 0
    yield RefundPaid(
        command.trade,
        entitlement.buyer,
        seller,
        deposit_fen,
        cash_fen,
        debt_fen,
        debt,
        public_fen,
        entitlement.listing,
        units,
    )
    if debt:
        yield from freed(state, seller)
    if whole:
        yield EntitlementEnded(entitlement.id, "revoke", command.reason, "", command.actor, command.trade)


def on_offer_due(state: State, key: str, due_ns: int, at_ns: int) -> list[Event]:
    """Ten days without an answer, unless the party has offered anew since."""
    standing = state.claims.offers.get(key)
    if standing is None or standing.until_ns != due_ns:
        return []
    return [RefundOfferEnded(standing.trade, standing.by, "expired")]


# ---- events


def apply_offered(state: State, event: RefundOffered, at_ns: int) -> None:
    key = offer_key(event.trade, event.by)
    state.claims.offers[key] = RefundOffer(
        event.trade, event.by, event.amount_fen, event.reason, event.until_ns
    )
    state.start_timer(event.until_ns, "refund_offer", key)


def apply_offer_ended(state: State, event: RefundOfferEnded, at_ns: int) -> None:
    del state.claims.offers[offer_key(event.trade, event.by)]


def apply_lowered(state: State, event: PriceLowered, at_ns: int) -> None:
    trade = state.trades[event.trade]
    state.house.refund(trade.buyer, event.amount_fen)
    revenue.lower(state, trade.id, event.amount_fen)
    trade.amount_fen -= event.amount_fen
    trade.fee_fen, trade.merchant_fen, trade.shares = event.fee_fen, event.merchant_fen, event.shares
    _agreed(state, trade, event.amount_fen)


def apply_paid(state: State, event: RefundPaid, at_ns: int) -> None:
    state.ledger.move(
        [
            Leg(deposit_owner(event.seller), event.buyer, CNY, event.deposit_fen),
            Leg(event.seller, event.buyer, CNY, event.cash_fen),
        ]
    )
    revenue.give_back(state, event.seller, event.public_fen, at_ns)
    allowance.give_back(state, event.listing, event.buyer, event.units)
    _agreed(state, event, event.deposit_fen + event.cash_fen + event.debt_fen)
    if event.debt:
        state.took_id(event.debt)
        fen = event.debt_fen
        owe(
            state,
            Debt(
                id=event.debt, debtor=event.seller, creditor=event.buyer, trade=event.trade,
                amount_fen=fen, left_fen=fen, since_ns=at_ns,
            ),
        )  # fmt: skip


def _agreed(state: State, of: Trade | RefundPaid, amount_fen: int) -> None:
    """Both offers are settled by it."""
    trade = of.id if isinstance(of, Trade) else of.trade
    state.claims.forget_offers(trade, of.buyer, of.seller)
    state.claims.refunded_fen[trade] = state.claims.refunded_fen.get(trade, 0) + amount_fen
