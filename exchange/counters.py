"""Counters that rules read: days since the opposite trade, holders of split rights, persons whose data went abroad.

They count settled trades only, and each trade says itself what of it counts (`Settled.counted`, `Settled.exported_year`):
a journal older than a counter leaves it alone.

「除依法设立的证券交易所或国务院批准的从事金融产品交易的交易场所外，任何交易场所均不得将任何权益拆分为均等份额公开发行，
不得采取集中竞价、做市商等集中交易方式进行交易；不得将权益按照标准化交易单位持续挂牌交易，任何投资者买入后卖出或卖出后
买入同一交易品种的时间间隔不得少于5个交易日；除法律、行政法规另有规定外，权益持有人累计不得超过200人。」(国发〔2011〕38号)
One exception stands before all of it: a board that has it says so (`Board.excepted_from_38`), and nothing is counted
there. Where units of a right are traded without it, both are.
"""

from functools import cache
from typing import Any, Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from clearing.calendar import day_of
from clearing.notrade import CrossBorderFacts, TradeFacts, place_of
from exchange.events import Settled
from exchange.state import Dealing, Exported, Listing, Product, State

NEVER_DAYS: Final = 999
"""Trading days since an opposite trade where there was none: more than any rule asks for."""

OUTSIDE: Final = ("CN-HK", "CN-MO", "CN-TW", "CN-91", "CN-92", "CN-71", "CN-81", "CN-82")
"""Codes under CN that are abroad where data leaves the country (境外): Hong Kong, Macao, Taiwan."""

UNCOUNTED: Final[dict[str, Any]] = {
    "trading_days_since_opposite": NEVER_DAYS,
    "split_rights": False,
    "holder_count_after": 0,
}
"""Facts of a trade in what is no unit of a split right, or on a board that the paper excepts."""


# ---- 国发〔2011〕38号


def counts(state: State, listing: Listing) -> bool:
    """Whether trades of this listing are in equal units that go on changing hands, on a board that is not excepted."""
    return (
        listing.terms.mechanism == "continuous_auction" and not state.boards[listing.board].excepted_from_38
    )


def of_fill(state: State, listing: Listing, buyer: str, seller: str, at_ns: int) -> dict[str, Any]:
    """Facts of a fill that counts; a party that is not known yet is empty and has traded nothing.

    Holders are all who ever held units, as 累计 says (国办发〔2012〕37号: 任何权益在其存续期间，无论在发行还是转让环节);
    the merchant, out of whose right they were split, is none of them.
    """
    days = min(
        _days_since(state, _dealing(state, listing.id, buyer).sold_ns, at_ns),
        _days_since(state, _dealing(state, listing.id, seller).bought_ns, at_ns),
    )
    new = bool(buyer) and buyer != listing.merchant and not _dealing(state, listing.id, buyer).bought_ns
    return {
        "trading_days_since_opposite": days,
        "split_rights": True,
        "holder_count_after": state.holders.get(listing.id, 0) + new,
    }


_NONE: Final = Dealing(listing="", participant="")


def _dealing(state: State, listing: str, participant: str) -> Dealing:
    return state.dealings.get((listing, participant), _NONE)


def _days_since(state: State, then_ns: int, at_ns: int) -> int:
    if not then_ns:
        return NEVER_DAYS
    return state.calendar.working_days_between(day_of(then_ns), day_of(at_ns))


def note_dealing(state: State, event: Settled, at_ns: int) -> None:
    """Both sides have traded; a buyer that had never held is one holder more."""
    bought = _noted(state, event.listing, event.buyer)
    if not bought.bought_ns and event.buyer != state.listings[event.listing].merchant:
        state.holders[event.listing] = state.holders.get(event.listing, 0) + 1
    bought.bought_ns = at_ns
    _noted(state, event.listing, event.seller).sold_ns = at_ns


def _noted(state: State, listing: str, participant: str) -> Dealing:
    found = state.dealings.get((listing, participant))
    if found is None:
        found = state.dealings[listing, participant] = Dealing(listing=listing, participant=participant)
    return found


# ---- data that leaves the country


@cache
def is_abroad(place: str) -> bool:
    """Hong Kong, Macao and Taiwan are outside for data export (数据出境), whatever a code begins with."""
    code = place_of(place)
    return not code.startswith("CN") or code.startswith(OUTSIDE)


def with_border(trade: TradeFacts, region: str | UnsetType) -> TradeFacts:
    """A buyer from abroad takes the data abroad, whatever territory it asks for."""
    if trade.cross_border is True or region is UNSET or not is_abroad(str(region)):
        return trade
    return replace(trade, cross_border=True)


def exports_of(
    state: State, product: Product, xb: CrossBorderFacts, seller: str, at_ns: int
) -> CrossBorderFacts:
    """How many persons' data this seller has sent abroad this year, this product's among them.

    「自当年1月1日起累计向境外提供」(促进和规范数据跨境流动规定第七条、第八条): persons count once a product and year,
    however many buyers it has; that two products are about the same persons nobody can know. What has been sent stays
    sent: a product counts the most persons that it was declared to hold in that year, whatever its next edition holds.
    """
    persons, sensitive = _persons_of(product)
    if isinstance(persons, UnsetType) or isinstance(sensitive, UnsetType):
        return xb
    rows = state.exports.get((seller, day_of(at_ns).year), {})
    before = rows.get(product.id)
    if before is not None:
        persons, sensitive = max(persons, before.persons), max(sensitive, before.sensitive_persons)
    others = [row for row in rows.values() if row.product != product.id]
    return replace(
        xb,
        ytd_pi=persons + sum(row.persons for row in others),
        ytd_sensitive=sensitive + sum(row.sensitive_persons for row in others),
    )


def _persons_of(product: Product) -> tuple[int | UnsetType, int | UnsetType]:
    """Of what holds no personal information none; else as declared, once a reviewer has confirmed it."""
    declared = product.classification
    if declared.pi_state not in ("identifiable", "deidentified"):
        return 0, 0
    if isinstance(declared.further, UnsetType) or "classification" not in product.confirmed:
        return UNSET, UNSET
    return declared.further.persons, declared.further.sensitive_persons


NONE_EXPORTED: Final = (0, 0, 0)


def exported(state: State, product: Product, at_ns: int) -> tuple[int, int, int]:
    """Year, persons and persons with sensitive information that a trade counts for whose data goes abroad; zeros where
    it is about nobody."""
    persons, sensitive = _persons_of(product)
    if isinstance(persons, UnsetType) or isinstance(sensitive, UnsetType) or not persons:
        return NONE_EXPORTED
    return day_of(at_ns).year, persons, sensitive


def note_export(state: State, event: Settled) -> None:
    """The most persons of each sending count; the year before is not asked for any more."""
    seller, year = event.seller, event.exported_year
    state.exports.pop((seller, year - 1), None)
    product = state.listings[event.listing].product
    rows = state.exports.setdefault((seller, year), {})
    before = rows.get(product)
    rows[product] = Exported(
        seller=seller,
        year=year,
        product=product,
        persons=max(event.exported_persons, 0 if before is None else before.persons),
        sensitive_persons=max(event.exported_sensitive, 0 if before is None else before.sensitive_persons),
    )
