"""Whether what was sold may still pass to its buyer: asked when it is delivered, and when the trade is completed.

A trade is judged when it settles. Until it is completed a court may freeze the right, a pledge be entered, an authorisation
be withdrawn, the buyer be put on a list; and a right that is pledged, for one, passes to nobody:
「知识产权中的财产权出质后，出质人不得转让或者许可他人使用，但是出质人与质权人协商同意的除外。」(民法典第四百四十四条第二款)

So the rules of clearing are asked again, those among them that read one of `FACTS`. While one of them is broken nothing is
delivered or accepted, and the buyer's silence accepts nothing: its date moves on, until a last one at which the price goes
back. 「买受人有确切证据证明第三人对标的物享有权利的，可以中止支付相应的价款」(民法典第六百一十四条).

    settled, rejected        no delivery; at its date refunded. The seller's fault, but for what concerns the buyer alone
    delivered, redelivered   no acceptance; silence moves on by POSTPONE_NS, for LAST_NS at most, then refunded

A fact that is merely unknown stops nothing, nor does a date that both sides knew when they traded. How long is waited is
the venue's own rule (本所规则).
"""

from typing import Final

from clearing.notrade import Rule, capacities
from clearing.registers import REGISTERS
from exchange.attestation import confirming
from exchange.events import CompletionPostponed, Event, Refunded, Refusal, Refused
from exchange.order import Deal, clearing_facts, deal_of
from exchange.state import DAY_NS, State, Trade

FACTS: Final = (
    "auth.status",
    "registration.status",
    "registration.objection_pending",
    "registration.holder_id",
    "registration.pledged",
    "product.judicial_freeze",
    "buyer.restricted_list",
)
"""The right, what lies on it, and whom nobody may deal with: a rule that reads one of these is asked again."""

OF_THE_BUYER: Final = ("buyer.restricted_list",)
"""What no seller answers for."""

HOLDER: Final = ("registration.holder_id",)

POSTPONE_NS: Final = 10 * DAY_NS
"""How far silence moves on at a time."""

LAST_NS: Final = 90 * DAY_NS
"""How long after the first acceptance date it is waited at most."""


# ---- what stands against it


def stopping(state: State, trade: Trade, at_ns: int) -> tuple[str, ...]:
    """The rules, in their order, that what was sold breaks now if it passes on. Empty where it may."""
    deal = deal_of(state, trade, at_ns)
    broken = state.rulebook.judge(clearing_facts(state, deal, at_ns)).violated
    rules = [rule for name in broken if _asked(rule := state.rulebook.rules[name])]
    return tuple(rule.id for rule in rules if not _set_aside(state, deal, rule, at_ns))


def _asked(rule: Rule) -> bool:
    """A rule that reads the clock speaks of a date that was agreed to."""
    return rule.kind in ("reject", "hold") and _reads(rule, FACTS) and "now" not in rule.facts


def _reads(rule: Rule, facts: tuple[str, ...]) -> bool:
    return any(fact in rule.facts for fact in facts)


def _set_aside(state: State, deal: Deal, rule: Rule, at_ns: int) -> bool:
    if _reads(rule, HOLDER) and _has_sold(state, deal):
        return True
    if rule.kind == "reject":
        return False
    return _settled_over(state, deal, rule) or any(
        confirming(state, deal.listing.product, deal.buyer, rule.id, at_ns)
    )


def _has_sold(state: State, deal: Deal) -> bool:
    """Whether the seller has sold the right itself since: its next holder has it with the licences that are on it.

    A thing is sold with the lease on it (「不影响租赁合同的效力」, 民法典第七百二十五条): for data the venue's own rule.
    """
    others = (state.listings[name] for name in state.products[deal.listing.product].listings)
    return any(
        row.terms.deal == "transfer" and row.merchant == deal.seller and row.taken_units
        for row in others
        if row is not deal.listing
    )


def _settled_over(state: State, deal: Deal, rule: Rule) -> bool:
    """Whether this hold of this trade was cured before it settled, and nothing that the rule reads was entered since."""
    known = state.settled_over.get(deal.trade)
    if known is None or rule.id not in known.rules:
        return False
    product = deal.listing.product
    feeding = (name for name, row in REGISTERS.items() if any(fact in rule.facts for fact in row.feeds))
    return not any(row.at_ns > known.at_ns for name in feeding for row in state.registers.at(name, product))


def refusal(state: State, trade: Trade, at_ns: int) -> Refusal | None:
    """Why a step that passes the right on cannot be taken now, and what has to be recorded first."""
    rules = stopping(state, trade, at_ns)
    if not rules:
        return None
    cell = deal_of(state, trade, at_ns).cell
    wanted = "; ".join(f"{name}: {state.rulebook.rules[name].evidence.en}" for name in rules)
    detail = (
        f"as things are this may not pass to the buyer; have it recorded first that they changed ({wanted})"
    )
    return Refusal(Refused.unlawful, detail, rules, (), capacities(cell.product, cell.source))


# ---- dates that pass


def late(state: State, trade: Trade, step: str, rules: tuple[str, ...], at_ns: int) -> Event:
    """What the passed date of a trade does that these rules stop; `step` is what it would have done."""
    if step != "silence":
        own = any(not _reads(state.rulebook.rules[name], OF_THE_BUYER) for name in rules)
        return Refunded(trade.id, step if own else "stop")
    until_ns = state.postponed.get(trade.id) or trade.due_ns + LAST_NS
    if at_ns > until_ns:
        return Refunded(trade.id, "stop")
    return CompletionPostponed(trade.id, min(at_ns + POSTPONE_NS, until_ns), until_ns, rules)


# ---- events


def apply_postponed(state: State, event: CompletionPostponed, at_ns: int) -> None:
    trade = state.trades[event.trade]
    trade.due_ns = event.due_ns
    state.postponed[event.trade] = event.until_ns
    state.start_timer(event.due_ns, "trade", event.trade)


def forget(state: State, trade: str) -> None:
    """The trade is over."""
    state.postponed.pop(trade, None)
    state.settled_over.pop(trade, None)
