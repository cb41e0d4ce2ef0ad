"""Revenue: how the price of a sale is distributed, and the yearly ceilings of those who operate public data.

Shares and roles are declared with the product, the public-data share is the board's. What comes of them is in the event
`Settled`, so that a later board or product changes no trade of before. Revenue of public data counts when the trade
completes (`clearing.revenue.Revenue`).
"""

from itertools import compress
from typing import Final

from clearing.money import FEN_LIMIT
from clearing.revenue import PUBLIC_DATA, UNSAID, Ceiling, Payments, split, split_public
from exchange.consequence import fee_bp
from exchange.events import CeilingRecorded, Event, RecordCeiling, Refusal, Refused, Settled
from exchange.participant import role_refusal
from exchange.product import evidence_refusal, own_case_refusal
from exchange.state import Listing, Product, State

FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2199

Distribution = tuple[int, int, Payments, tuple[str, ...], int]
"""Fee, what the merchant gets, the payments, their roles, and what counts to a ceiling; amounts in fen."""


def distribution(state: State, listing: Listing, amount_fen: int, holder: str = "") -> Distribution:
    """A `holder` who sells units on shares with nobody; the first sale of public data shares with the public too.

    The fee is the board's, with what the seller's grade in force adds or takes off.
    """
    board = state.boards[listing.board]
    taken_bp = fee_bp(state, board.fee_bp, holder or listing.merchant)
    if holder:
        fee_fen, payments, merchant_fen = split(amount_fen, taken_bp, ())
        return fee_fen, merchant_fen, payments, (), 0
    product = state.products[listing.product]
    shares, roles = _shares(state, product)
    if product.classification.origin != "public":
        fee_fen, payments, merchant_fen = split(amount_fen, taken_bp, shares)
        return fee_fen, merchant_fen, payments, roles, 0
    if not board.public_data_share_bp:
        fee_fen, payments, merchant_fen = split(amount_fen, taken_bp, shares)
        return fee_fen, merchant_fen, payments, roles, amount_fen
    fee_fen, public_fen, payments, merchant_fen = split_public(
        amount_fen, taken_bp, board.public_data_share_bp, shares
    )
    roles = (*(roles or (UNSAID,) * len(payments)), PUBLIC_DATA)
    return fee_fen, merchant_fen, (*payments, (board.public_data_account, public_fen)), roles, amount_fen


def _shares(state: State, product: Product) -> tuple[Payments, tuple[str, ...]]:
    """Shares and their roles. Nothing goes where nobody can draw it: that of a closed account stays with the merchant."""
    people, roles = state.bureau.participants, state.revenue.roles.get(product.id, ())
    open_ones = [people[name].status != "closed" for name, _ in product.shares]
    if all(open_ones):
        return product.shares, roles
    return tuple(compress(product.shares, open_ones)), tuple(compress(roles, open_ones))


def record_ceiling(state: State, command: RecordCeiling, at_ns: int) -> Refusal | list[Event]:
    """By a reviewer who is not of the operator's house, against the decision of the price authority."""
    if (refusal := role_refusal(state, command.actor, at_ns, "reviewer")) is not None:
        return refusal
    if command.operator not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {command.operator}")
    if (refusal := own_case_refusal(state, command.actor, command.operator)) is not None:
        return refusal
    if not FIRST_YEAR <= command.year <= LAST_YEAR:
        return Refusal(Refused.out_of_bounds, f"year lies between {FIRST_YEAR} and {LAST_YEAR}")
    if not 0 <= command.ceiling_fen < FEN_LIMIT:
        return Refusal(Refused.out_of_bounds, f"ceiling_fen lies between 0 and {FEN_LIMIT - 1}")
    if (refusal := evidence_refusal(command.decision_sha256)) is not None:
        return Refusal(refusal.code, refusal.detail.replace("evidence_sha256", "decision_sha256"))
    return [
        CeilingRecorded(
            command.operator, command.year, command.ceiling_fen, command.decision_sha256, command.actor
        )
    ]


def apply_ceiling(state: State, event: CeilingRecorded, at_ns: int) -> None:
    row = Ceiling(event.operator, event.year, event.ceiling_fen, event.decision_sha256, event.by, at_ns)
    state.revenue.ceilings.setdefault(event.operator, {})[str(event.year)] = row


def settle(state: State, event: Settled, at_ns: int) -> None:
    """Units that change hands at once have earned at once; everything else waits for its acceptance."""
    if not event.public_fen:
        return
    if event.due_ns:
        state.revenue.open_fen[event.trade] = event.public_fen
    else:
        state.revenue.earn(event.seller, event.public_fen, at_ns)


def complete(state: State, trade: str, seller: str, at_ns: int) -> None:
    if amount_fen := state.revenue.open_fen.pop(trade, 0):
        state.revenue.earn(seller, amount_fen, at_ns)


def lower(state: State, trade: str, amount_fen: int) -> None:
    """So much of the price has gone back before acceptance: it will not be earned."""
    if trade in state.revenue.open_fen:
        state.revenue.open_fen[trade] -= amount_fen


def is_public(state: State, listing: str) -> bool:
    return state.products[state.listings[listing].product].classification.origin == "public"


def give_back(state: State, operator: str, amount_fen: int, at_ns: int) -> None:
    """Agreed after acceptance: it lessens the revenue of the year in which it goes back, not one that is closed."""
    if amount_fen:
        state.revenue.earn(operator, -amount_fen, at_ns)


def forget(state: State, trade: str) -> None:
    """A refunded trade has earned nothing."""
    state.revenue.open_fen.pop(trade, None)
