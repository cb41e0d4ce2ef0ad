"""What was bought and may be used: keys, suspension, renewal, the end of a term, revocation.

The life is `clearing.delivery.ENTITLEMENT_LIFE`. An entitlement whose trade is still open takes only that trade's steps:
delivered, rejected, refunded. What is over leaves the state and stays in the query tables.

A renewal is a trade of its own, judged and paid at the rules and the price of its day, and delivered anew: the licence it
grants has a term of its own. The old one runs to its end meanwhile.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from clearing.delivery import ENTITLEMENT_LIFE
from credit.conduct import Conduct
from exchange.events import (
    VENUE,
    EntitlementEnded,
    EntitlementMoved,
    EntitlementReminded,
    EntitlementRenewed,
    Event,
    Held,
    HoldReleased,
    IssueKey,
    KeyIssued,
    PlaceOrder,
    Refunded,
    Refusal,
    Refused,
    RenewEntitlement,
    ResumeEntitlement,
    RevokeEntitlement,
    Settled,
    SuspendEntitlement,
)
from exchange.matching.metering import term_end
from exchange.order import end_exclusive, place, prolong_exclusive
from exchange.participant import role_refusal
from exchange.product import evidence_refusal, own_case_refusal
from exchange.state import DAY_NS, Entitlement, Renewal, State, Subscription, Trade

REMIND_DAYS: Final = 7
"""Days before its end on which a buyer is reminded; of a short term when half of it is over."""

WHO: Final = {
    "suspend": "the merchant who sold it",
    "resume": "the merchant who sold it; a reviewer or an operator, none of whose house is a party",
    "renew": "its buyer",
    "revoke": "a reviewer or an operator, none of whose house is a party",
}
"""Who takes a step; the others are the trade's and the clock's."""


# ---- commands


def issue_key(state: State, command: IssueKey, at_ns: int) -> Refusal | list[Event]:
    entitlement = state.entitlements.get(command.entitlement)
    if entitlement is None or entitlement.buyer != command.actor:
        return Refusal(Refused.not_found, f"you have no entitlement {command.entitlement}")
    if 0 < entitlement.until_ns <= at_ns:
        return Refusal(Refused.wrong_state, "the entitlement has expired")
    return [KeyIssued(entitlement.id, command.key_sha256)]


def suspend(state: State, command: SuspendEntitlement, at_ns: int) -> Refusal | list[Event]:
    """By its merchant, on evidence; what is left of the term is kept for the buyer."""
    entitlement = state.entitlements.get(command.entitlement)
    if entitlement is None or entitlement.seller != command.actor:
        return _not_sold(command)
    refusal = _move_refusal(state, entitlement, command, "suspend") or evidence_refusal(
        command.evidence_sha256
    )
    if refusal is not None:
        return refusal
    if entitlement.until_ns <= at_ns:
        return Refusal(Refused.wrong_state, "the entitlement has expired")
    moved = _moved(entitlement, command, "suspend")
    return [replace(moved, left_ns=entitlement.until_ns - at_ns)]


def resume(state: State, command: ResumeEntitlement, at_ns: int) -> Refusal | list[Event]:
    """By its merchant; or by a reviewer or an operator, against the merchant.

    「当事人一方不履行合同义务或者履行合同义务不符合约定的，应当承担继续履行、采取补救措施或者赔偿损失等违约责任。」
    (民法典第五百七十七条)
    """
    entitlement = state.entitlements.get(command.entitlement)
    own = entitlement is not None and entitlement.seller == command.actor
    if entitlement is None or not (
        own or role_refusal(state, command.actor, at_ns, "reviewer", "operator") is None
    ):
        return _not_sold(command)
    refusal = _move_refusal(state, entitlement, command, "resume")
    if refusal is None and (bill := unpaid_bill(state, entitlement.id)):
        return Refusal(Refused.wrong_state, f"bill {bill} is overdue: it resumes by itself when that is paid")
    if not own:
        refusal = (
            own_case_refusal(state, command.actor, entitlement.buyer, entitlement.seller)
            or refusal
            or evidence_refusal(command.evidence_sha256)
        )
    return refusal or [_resumed(state, entitlement, command, not own, at_ns)]


def _resumed(
    state: State, entitlement: Entitlement, command: ResumeEntitlement, unfounded: bool, at_ns: int
) -> EntitlementMoved:
    """A suspension from before terms stood still has used the term up meanwhile."""
    until_ns = at_ns + state.suspended.get(entitlement.id, max(entitlement.until_ns - at_ns, 0))
    return replace(
        _moved(entitlement, command, "resume"),
        until_ns=until_ns,
        remind_ns=remind_ns(at_ns, until_ns),
        unfounded=unfounded,
    )


def _not_sold(command: SuspendEntitlement | ResumeEntitlement) -> Refusal:
    return Refusal(Refused.not_found, f"you have sold no entitlement {command.entitlement} that runs")


def _move_refusal(
    state: State, entitlement: Entitlement, command: SuspendEntitlement | ResumeEntitlement, step: str
) -> Refusal | None:
    if not command.reason.strip():
        return Refusal(Refused.malformed, f"to {step} an entitlement needs its reason: both parties read it")
    return _step_refusal(state, entitlement, step)


def _moved(
    entitlement: Entitlement, command: SuspendEntitlement | ResumeEntitlement, step: str
) -> EntitlementMoved:
    after = ENTITLEMENT_LIFE[entitlement.state, step]  # type: ignore[index]
    return EntitlementMoved(
        entitlement.id, step, after, command.reason, command.actor, command.evidence_sha256
    )


def _step_refusal(state: State, entitlement: Entitlement, step: str) -> Refusal | None:
    if entitlement.trade in state.trades:
        detail = f"trade {entitlement.trade} is still open: it is accepted, rejected or refunded first"
        return Refusal(Refused.wrong_state, detail)
    if (entitlement.state, step) not in ENTITLEMENT_LIFE:
        detail = f"an entitlement that is {entitlement.state} cannot take the step {step}"
        return Refusal(Refused.wrong_state, detail)
    return None


def revoke(state: State, command: RevokeEntitlement, at_ns: int) -> Refusal | list[Event]:
    """What a court, an authority or a finding has ended before its time."""
    entitlement = state.entitlements.get(command.entitlement)
    refusal = role_refusal(state, command.actor, at_ns, "reviewer", "operator")
    if refusal is not None:
        return refusal
    if entitlement is None:
        return Refusal(Refused.not_found, f"no entitlement {command.entitlement} runs")
    refusal = (
        own_case_refusal(state, command.actor, entitlement.buyer, entitlement.seller)
        or evidence_refusal(command.evidence_sha256)
        or _step_refusal(state, entitlement, "revoke")
    )
    if refusal is not None:
        return refusal
    if not command.reason.strip():
        return Refusal(Refused.malformed, "to revoke an entitlement needs its reason: both parties read it")
    return [
        EntitlementEnded(
            entitlement.id,
            "revoke",
            command.reason,
            command.evidence_sha256,
            command.actor,
            entitlement.trade,
        )
    ]


# ---- renewal


def renew(state: State, command: RenewEntitlement, at_ns: int) -> Refusal | Iterable[Event]:
    """An order like any other, at what the listing asks today; refused like any other."""
    entitlement = state.entitlements.get(command.entitlement)
    if entitlement is None or entitlement.buyer != command.actor:
        return Refusal(Refused.not_found, f"you have no entitlement {command.entitlement} that runs")
    refusal = _step_refusal(state, entitlement, "renew")
    if refusal is not None:
        return refusal
    if entitlement.until_ns <= at_ns:
        return Refusal(Refused.wrong_state, "the entitlement has expired: order it anew")
    if (known := state.renewals.get(entitlement.id)) is not None:
        return Refusal(Refused.already_exists, f"trade {known.trade} renews it already")
    order = PlaceOrder(
        actor=command.actor,
        listing=entitlement.listing,
        quantity=command.quantity,
        purpose=command.purpose,
        territory=entitlement.territory,
        accepts_prior=command.accepts_prior,
    )
    placed = place(state, order, at_ns)
    return placed if isinstance(placed, Refusal) else _renewed(entitlement.id, placed)


def _renewed(entitlement: str, placed: Iterable[Event]) -> Iterator[Event]:
    for event in placed:
        yield event
        if isinstance(event, Settled):
            yield EntitlementRenewed(entitlement, event.trade, event.entitlement)
        elif isinstance(event, Held):
            yield EntitlementRenewed(entitlement, event.trade, "")


def after_settled(state: State, event: Settled, at_ns: int) -> Iterable[Event]:
    """A renewal that was held is settled now."""
    if not state.renewing or event.trade not in state.renewing:
        return ()
    return (EntitlementRenewed(state.renewing[event.trade], event.trade, event.entitlement),)


def after_undone(state: State, event: Refunded | HoldReleased, at_ns: int) -> Iterable[Event]:
    """A renewal came to nothing, and what it was to follow on has ended meanwhile."""
    renewal = state.renewals.get(state.renewing.get(event.trade, ""))
    if renewal is None or not renewal.over:
        return ()
    after = ENTITLEMENT_LIFE["renewed", "lapse"]
    reason = f"trade {event.trade}, which renewed it, came to nothing"
    return (EntitlementMoved(renewal.entitlement, "lapse", after, reason, VENUE),)


# ---- dates that pass


def until_of(state: State, trade: Trade, at_ns: int) -> int:
    """When the term ends that a delivery of this instant starts: of a subscription with a month of the calendar."""
    longest_ns = at_ns + state.listings[trade.listing].terms.term_days * DAY_NS
    found = state.subscriptions.get(state.subscription_of.get(trade.id, ""))
    if found is None:
        return longest_ns
    return min(longest_ns, term_end(metered_from(state, found, at_ns), found.months))


def metered_from(state: State, subscription: Subscription, at_ns: int) -> int:
    """From when on a subscription that is delivered now is metered: one that renews another, where that ends."""
    before = state.subscriptions.get(subscription.follows)
    running = None if before is None else state.entitlements.get(before.entitlement)
    return at_ns if running is None else max(at_ns, running.until_ns)


def unpaid_bill(state: State, entitlement: str) -> str:
    """A bill for whose sake an entitlement is suspended, or would be; empty where none is overdue. O(bills)."""
    overdue = (
        row.id for row in state.bills.values() if row.entitlement == entitlement and row.state == "overdue"
    )
    return next(overdue, "")


def remind_ns(from_ns: int, until_ns: int) -> int:
    """When the buyer of a term is reminded of its end."""
    return until_ns - min(REMIND_DAYS * DAY_NS, (until_ns - from_ns) // 2)


def ending(state: State, entitlement: str) -> str:
    """How an entitlement whose term is over ends: `renew` where another one follows on it, else `expire`."""
    renewal = state.renewals.get(entitlement)
    if renewal is None:
        return "expire"
    follows = renewal.trade in state.trades or renewal.successor in state.entitlements
    return "renew" if follows else "expire"


def on_due(state: State, entitlement_id: str, due_ns: int, at_ns: int) -> list[Event]:
    """A term has run out; while its trade is open a redelivery may start it anew, so it ends with the trade."""
    entitlement = state.entitlements.get(entitlement_id)
    if entitlement is None or entitlement.until_ns != due_ns or entitlement.trade in state.trades:
        return []
    step = ending(state, entitlement_id)
    if (entitlement.state, step) not in ENTITLEMENT_LIFE:
        return []
    return [EntitlementEnded(entitlement_id, step)]


def on_reminder_due(state: State, entitlement_id: str, due_ns: int, at_ns: int) -> list[Event]:
    """Nothing is said of one that is renewed or over, nor where a redelivery has started the term anew."""
    row = state.entitlements.get(entitlement_id)
    if row is None or row.until_ns <= at_ns or row.until_ns - due_ns > REMIND_DAYS * DAY_NS:
        return []
    if row.state != "active" or entitlement_id in state.renewals:
        return []
    return [EntitlementReminded(row.id, row.buyer, row.seller, row.until_ns)]


# ---- events


def apply_key(state: State, event: KeyIssued, at_ns: int) -> None:
    forget_key(state, event.entitlement)
    state.entitlements[event.entitlement].key_sha256 = event.key_sha256
    state.keys[event.key_sha256] = event.entitlement


def forget_key(state: State, entitlement: str) -> None:
    row = state.entitlements.get(entitlement)
    if row is not None and row.key_sha256:
        state.keys.pop(row.key_sha256, None)


def apply_ended(state: State, event: EntitlementEnded, at_ns: int) -> None:
    forget_key(state, event.entitlement)
    entitlement = state.entitlements[event.entitlement]
    state.drop_entitlement(entitlement.id)
    state.suspended.pop(event.entitlement, None)
    state.claims.refunded_fen.pop(entitlement.trade, None)
    end_exclusive(state.products[state.listings[entitlement.listing].product], entitlement.trade)
    renewal = state.renewals.get(event.entitlement)
    if renewal is None:
        state.protected.pop(entitlement.trade, None)
        return
    if event.step == "renew" and renewal.trade in state.trades:
        renewal.over, renewal.origin = True, entitlement.trade
        return
    state.protected.pop(entitlement.trade, None)
    del state.renewals[event.entitlement]
    state.renewing.pop(renewal.trade, None)


def apply_moved(state: State, event: EntitlementMoved, at_ns: int) -> None:
    """One that lapses has left the state before."""
    entitlement = state.entitlements.get(event.entitlement)
    if entitlement is None:
        return
    entitlement.state = event.state
    if event.left_ns:
        state.suspended[entitlement.id] = event.left_ns
        _end_at(state, entitlement, 0)
    if event.until_ns:
        state.suspended.pop(entitlement.id, None)
        _end_at(state, entitlement, event.until_ns)
        state.start_timer(event.until_ns, "entitlement", entitlement.id)
        state.start_timer(event.remind_ns, "entitlement_reminder", entitlement.id)
    if event.unfounded:
        _conduct(state, entitlement, at_ns)


def _end_at(state: State, entitlement: Entitlement, until_ns: int) -> None:
    """The exclusive right in it, too, lasts as long."""
    entitlement.until_ns = until_ns
    product = state.products[state.listings[entitlement.listing].product]
    prolong_exclusive(product, entitlement.trade, until_ns)


def _conduct(state: State, entitlement: Entitlement, at_ns: int) -> None:
    """A suspension without ground is a dispute decided against the merchant; it weighs one ordinary order at least."""
    seller, buyer = entitlement.seller, entitlement.buyer
    state.bureau.record(Conduct("dispute_lost", seller, buyer, 0, at_ns, entitlement.trade))


def apply_renewed(state: State, event: EntitlementRenewed, at_ns: int) -> None:
    known = state.renewals.get(event.entitlement)
    if known is not None:
        known.successor = event.successor
        return
    state.renewals[event.entitlement] = Renewal(
        entitlement=event.entitlement, trade=event.trade, successor=event.successor
    )
    state.renewing[event.trade] = event.entitlement


def settle_renewal(state: State, trade: str) -> None:
    """The trade is completed: nothing can undo the renewal any more."""
    entitlement = state.renewing.pop(trade, "") if state.renewing else ""
    if entitlement and state.renewals[entitlement].over:
        state.protected.pop(state.renewals[entitlement].origin, None)
        del state.renewals[entitlement]


def drop_renewal(state: State, trade: str) -> None:
    """The trade came to nothing: the entitlement it was to follow on may be renewed by another."""
    entitlement = state.renewing.pop(trade, "") if state.renewing else ""
    if entitlement:
        state.protected.pop(state.renewals[entitlement].origin, None)
        del state.renewals[entitlement]
