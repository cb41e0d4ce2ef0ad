"""Judge stored trades again, under two rulebooks: what would a change of the rules have meant?

The journal is replayed from its first row. Before an event that clearing decided is applied, the facts are gathered
from the registers as they were at that instant, and both rulebooks judge them whole. Nothing is written. A hold that was
cured by an attestation settled all the same: the rules alone still say hold of it, and it is named as not recorded so.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from clearing.notrade import Facts, Rulebook, Verdict
from exchange import journal, venue
from exchange.events import Event, Held, Settled, TradeRefused
from exchange.listing import cell_of
from exchange.order import Deal, clearing_facts
from exchange.state import State

JUDGED: Final = (Settled, Held, TradeRefused)
RECORDED: Final[dict[type, str]] = {Settled: "allow", Held: "hold"}


class Turned(Struct):
    """A trade that one rulebook judges otherwise than the other, neither of them from allow to reject or back."""

    trade: str
    old: str
    new: str


class Comparison(Struct):
    """By rule, the trades that turn. `not_as_recorded`: the old rulebook says something else than was decided then."""

    trades: int = 0
    allow_to_reject: dict[str, list[str]] = {}
    reject_to_allow: dict[str, list[str]] = {}
    otherwise: list[Turned] = []
    not_as_recorded: list[str] = []


async def rejudge(dsn: str, empty: Callable[[], State], old: Rulebook, new: Rulebook) -> Comparison:
    """Every trade of the journal under both. Raises JournalBroken, and what asyncpg raises."""
    connection = await journal.connect(dsn)
    found, state = Comparison(), empty()

    def look(event: Event, at_ns: int) -> None:
        if isinstance(event, JUDGED):
            _compare(found, event, facts_of(state, event, at_ns), old, new)

    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async for row in journal.rows(connection, 0):
                for raw in journal.entries_of(row):
                    venue.replay(state, raw, look)
    finally:
        await connection.close()
    return found


def facts_of(state: State, event: Settled | Held | TradeRefused, at_ns: int) -> Facts:
    """What clearing read for this trade: the state is that of the instant before it was decided."""
    listing = state.listings[event.listing]
    deal = Deal(
        listing=listing,
        cell=cell_of(state, listing, _purpose(event, state), _territory(event, state), at_ns),
        buyer=event.buyer,
        seller=event.seller,
        buy_order=event.buy_order,
        sell_order=event.sell_order,
        quantity=event.quantity,
        price_fen=event.price_fen,
        rest_fen=0,
        purpose=_purpose(event, state),
        territory=_territory(event, state),
        accepts_prior=_accepts_prior(event, state),
        trade=event.trade,
    )
    return clearing_facts(state, deal, at_ns)


def _order_of(event: Any, state: State) -> Any:
    """What the buyer asked for: the order, or the trade that was on hold."""
    held = state.trades.get(event.trade)
    if held is not None:
        return held
    order = state.orders.get(event.buy_order)
    return order if order is not None else state.incoming


def _purpose(event: Any, state: State) -> str:
    return str(getattr(event, "purpose", "") or getattr(_order_of(event, state), "purpose", ""))


def _territory(event: Any, state: State) -> str:
    return str(getattr(event, "territory", "") or getattr(_order_of(event, state), "territory", ""))


def _accepts_prior(event: Any, state: State) -> bool:
    said = getattr(event, "accepts_prior", None)
    return bool(said if said is not None else getattr(_order_of(event, state), "accepts_prior", False))


def _compare(found: Comparison, event: Any, facts: Facts, old: Rulebook, new: Rulebook) -> None:
    found.trades += 1
    before, after = old.judge(facts), new.judge(facts)
    if before.outcome != RECORDED.get(type(event), getattr(event, "outcome", "")):
        found.not_as_recorded.append(event.trade)
    if before.outcome == after.outcome:
        return
    if (before.outcome, after.outcome) == ("allow", "reject"):
        _file(found.allow_to_reject, after, event.trade)
    elif (before.outcome, after.outcome) == ("reject", "allow"):
        _file(found.reject_to_allow, before, event.trade)
    else:
        found.otherwise.append(Turned(event.trade, before.outcome, after.outcome))


def _file(by_rule: dict[str, list[str]], verdict: Verdict, trade: str) -> None:
    for rule in verdict.violated:
        by_rule.setdefault(rule, []).append(trade)


def comparison_json(found: Comparison) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(found)
    return said
