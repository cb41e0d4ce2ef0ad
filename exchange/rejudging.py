"""Judge again what was judged: stored trades under two rulebooks, and for `shuji verify` under the one of their instant.

The journal is replayed from its first row. Before an event that clearing decided is applied, the facts are gathered
from the registers as they were at that instant, and both rulebooks judge them whole. Nothing is written. A hold that was
cured by an attestation settled all the same: the rules alone still say hold of it, and it is named as not recorded so.

`differences` gives a verdict again as it was given, cures included: outcome, rules, unknown facts, and the hash of what
was read have to be those that are stored.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from clearing.house import digest_of
from clearing.notrade import Facts, Rulebook, Verdict
from exchange import auction, book_orders, duty, journal, venue
from exchange.events import (
    CertificateRenewed,
    DutyBroken,
    Event,
    Held,
    HoldChanged,
    HoldReleased,
    OrderRefused,
    PlaceOrder,
    ProductDecided,
    Refusal,
    Refused,
    Settled,
    TradeRefused,
)
from exchange.listing import AUCTIONS, cell_of
from exchange.order import Deal, clearing_facts, cures_of, deal_of, judge_clearing, judge_uncured
from exchange.product import judge_registration
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
    return clearing_facts(state, _deal_of(state, event, at_ns), at_ns)


def reading(
    state: State, event: Settled | Held | TradeRefused, at_ns: int
) -> tuple[Deal, dict[str, str], bytes]:
    """What was read for this trade, what cured its rules, and the hash over both; the state as for `facts_of`."""
    deal = _deal_of(state, event, at_ns)
    alone, _ = judge_uncured(state, deal, at_ns)
    cures = cures_of(state, deal, alone, at_ns) if alone.outcome == "hold" else {}
    return deal, cures, judge_clearing(state, deal, at_ns)[1]


def _deal_of(state: State, event: Settled | Held | TradeRefused, at_ns: int) -> Deal:
    listing = state.listings[event.listing]
    return Deal(
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
        standing=_stood(event, state),
    )


def _stood(event: Any, state: State) -> bool:
    """Whether the buyer had asked for it before: a hold, a bid, or an order that is older than this entry."""
    if event.trade in state.holds or state.listings[event.listing].terms.mechanism in AUCTIONS:
        return True
    order = state.orders.get(event.buy_order)
    return order is not None and order.placed_at_ns <= state.now_ns


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


# ---- as it was given


def can_judge(state: State) -> bool:
    """Whether the rulebook in force is one that this version has: one that came with an older version is not."""
    return state.rulebook_sha256 == state.rulebook.sha256


def differences(state: State, event: Event, at_ns: int) -> Iterator[tuple[str, str]]:
    """What is judged (a trade, a duty, a product, who ordered) and what of its stored verdict is not what the same
    rulebook says again; the state is that of the instant before. Events that hold no verdict give nothing.
    """
    again = AGAIN.get(type(event))
    if again is not None:
        yield from again(state, event, at_ns)


Differences = Iterator[tuple[str, str]]


def _fill(state: State, event: Any, at_ns: int) -> Differences:
    verdict, facts_sha256 = judge_clearing(state, _deal_of(state, event, at_ns), at_ns)
    stored = RECORDED.get(type(event), getattr(event, "outcome", ""))
    rules, unknown = getattr(event, "violated", ()), getattr(event, "unknown", verdict.unknown)
    if verdict.outcome != stored or (
        stored != "allow" and (verdict.violated, verdict.unknown) != (rules, unknown)
    ):
        yield event.trade, _otherwise(verdict, stored, rules)
    elif facts_sha256 != event.facts_sha256:
        yield event.trade, _read_otherwise(facts_sha256, event.facts_sha256)


def _changed(state: State, event: HoldChanged, at_ns: int) -> Differences:
    """A hold that a second look left on hold. It names what was cured since as well, so its rules are not compared."""
    deal = deal_of(state, state.holds[event.trade], at_ns)
    verdict, facts_sha256 = judge_clearing(state, deal, at_ns)
    if (verdict.outcome, verdict.unknown) != (event.outcome, event.unknown):
        yield event.trade, _otherwise(verdict, event.outcome, event.violated)
    elif facts_sha256 != event.facts_sha256:
        yield event.trade, _read_otherwise(facts_sha256, event.facts_sha256)


def _released(state: State, event: HoldReleased, at_ns: int) -> Differences:
    """A hold that a second look refused."""
    if event.reason == "refused":
        verdict, _ = judge_clearing(state, deal_of(state, state.holds[event.trade], at_ns), at_ns)
        if (verdict.outcome, verdict.violated) != ("reject", event.violated):
            yield event.trade, _otherwise(verdict, "reject", event.violated)


def _order(state: State, event: OrderRefused, at_ns: int) -> Differences:
    """An order that broke a rule; journals older than its terms do not say what was asked for."""
    if event.code != Refused.unlawful.name or not event.quantity:
        return
    placed = _placed_again(state, event, at_ns)
    if not isinstance(placed, Refusal):
        yield (
            event.participant,
            f"its order in {event.listing} was refused as unlawful; judged again it is not",
        )
    elif (placed.violated, placed.unknown) != (event.violated, event.unknown):
        wrong = f"broke {_rules(event.violated)}; judged again it breaks {_rules(placed.violated)}"
        yield event.participant, f"its order in {event.listing} {wrong}"


def _placed_again(state: State, event: OrderRefused, at_ns: int) -> Any:
    """What the order, or the bid in an auction, would lead to."""
    asked = PlaceOrder(
        actor=event.participant,
        listing=event.listing,
        quantity=event.quantity,
        side=event.side,
        limit_fen=event.limit_fen,
        purpose=event.purpose,
        territory=event.territory,
        accepts_prior=event.accepts_prior,
    )
    if state.listings[event.listing].terms.mechanism in AUCTIONS:
        return auction.place_again(state, asked, at_ns)
    return book_orders.place(state, asked, at_ns)


def _registered(state: State, event: ProductDecided, at_ns: int) -> Differences:
    if event.certificate:
        looked = msgspec.structs.replace(
            state.products[event.product],
            confirmed=dict.fromkeys(event.confirmed, event.by),
            rights=event.rights,
        )
        yield from _certified(event.product, judge_registration(state, looked, at_ns))


def _renewed(state: State, event: CertificateRenewed, at_ns: int) -> Differences:
    yield from _certified(event.product, judge_registration(state, state.products[event.product], at_ns))


def _certified(product: str, verdict: Verdict) -> Differences:
    if verdict.outcome in ("reject", "indeterminate"):
        yield product, _otherwise(verdict, "allow", ())


def _broken(state: State, event: DutyBroken, at_ns: int) -> Differences:
    """A duty whose date passed; what a reviewer found rests on what that one saw, which is not stored."""
    if event.step != "miss":
        return
    verdict, facts = duty.judge(state, state.duties[event.duty], at_ns)
    if not set(event.violated) <= set(verdict.violated):
        yield event.duty, _otherwise(verdict, "breach", event.violated)
    elif (read := digest_of((facts,))) != event.facts_sha256:
        yield event.duty, _read_otherwise(read, event.facts_sha256)


def _otherwise(verdict: Verdict, stored: str, rules: tuple[str, ...]) -> str:
    again = f"{verdict.outcome} ({_rules(verdict.violated or tuple(rule for rule, _ in verdict.unknown))})"
    return f"the stored verdict is {stored} ({_rules(rules)}), judged again it is {again}"


def _read_otherwise(read: bytes, stored: bytes) -> str:
    return f"the facts that it read hash to {read.hex()[:16]}, stored is {stored.hex()[:16]}"


def _rules(rules: tuple[str, ...]) -> str:
    return ", ".join(rules) or "no rule"


AGAIN: Final[dict[type, Callable[[State, Any, int], Differences]]] = {
    Settled: _fill,
    Held: _fill,
    TradeRefused: _fill,
    HoldChanged: _changed,
    HoldReleased: _released,
    OrderRefused: _order,
    ProductDecided: _registered,
    CertificateRenewed: _renewed,
    DutyBroken: _broken,
}
"""Event: how the verdict behind it is given again."""
