"""The life of a trade after its verdict, and of the entitlement it grants, as tables.

A fill that clearing allows is `settled`: the price rests in escrow, the entitlement is granted, nobody is
paid yet. The merchant delivers by the delivery date or the buyer has the price back. The buyer then accepts,
or is silent until the acceptance date, which counts as acceptance:

「当事人约定检验期限的，买受人应当在检验期限内将标的物的数量或者质量不符合约定的情形通知出卖人。
买受人怠于通知的，视为标的物的数量或者质量符合约定。」(民法典第六百二十一条第一款, for sales of things;
the venue's rules take the same course for data, as 第六百四十六条 does for other contracts for value.)

or rejects with a reason. The merchant may deliver once more by the redelivery date; a second rejection, or
none delivered, refunds. Only `completed` pays merchant, contributors and fee. A fill on hold is outside all
this until it is cured; expired or refused on a second look it ends with both sides released, and never queues
again. Existing transferable units need no delivery: they are handed over as the trade settles.

The term of a licence runs from delivery, so that nobody pays for days in which there was nothing to use. What is
rejected may not be used, and a redelivery starts the term anew. A term never ends while its trade is open.

                     ┌── miss ──────────────────────────────────────────┐
    held ─cure─> settled ─deliver─> delivered ─reject─> rejected ─miss─>│
      │              │                  │                   │           v
      │expire     hand_over       accept│silence        redeliver    refunded
      │refuse        v                  v                   v           ^
      └─> refused    completed <────────┴──accept,silence─ redelivered ─┘ reject_again

What is not in a table cannot happen. A date is the last instant at which the act is in time: the tick that
makes it late comes at any later instant. Days are 24 hours, whole nanoseconds of UTC.
"""

from typing import Final, Literal

import msgspec

DAY_NS: Final = 86_400_000_000_000

TradeState = Literal[
    "held", "settled", "delivered", "rejected", "redelivered", "completed", "refunded", "refused"
]
TradeStep = Literal[
    "cure",
    "expire",
    "refuse",
    "deliver",
    "hand_over",
    "accept",
    "silence",
    "reject",
    "redeliver",
    "miss",
    "reject_again",
]
EntitlementState = Literal["granted", "active", "expired", "revoked"]
EntitlementStep = Literal["deliver", "reject", "redeliver", "expire", "revoke"]

TRADE_OPENING: Final[dict[str, TradeState]] = {
    "allow": "settled",
    "hold": "held",
    "reject": "refused",
    "indeterminate": "refused",
}
"""Verdict of clearing -> the state a trade begins in. An unknown fact never allows."""

TRADE_LIFE: Final[dict[tuple[TradeState, TradeStep], TradeState]] = {
    ("held", "cure"): "settled",
    ("held", "expire"): "refused",
    ("held", "refuse"): "refused",
    ("settled", "deliver"): "delivered",
    ("settled", "hand_over"): "completed",
    ("settled", "miss"): "refunded",
    ("delivered", "accept"): "completed",
    ("delivered", "silence"): "completed",
    ("delivered", "reject"): "rejected",
    ("rejected", "redeliver"): "redelivered",
    ("rejected", "miss"): "refunded",
    ("redelivered", "accept"): "completed",
    ("redelivered", "silence"): "completed",
    ("redelivered", "reject_again"): "refunded",
}

ENTITLEMENT_LIFE: Final[dict[tuple[EntitlementState, EntitlementStep], EntitlementState]] = {
    ("granted", "deliver"): "active",
    ("granted", "redeliver"): "active",
    ("granted", "revoke"): "revoked",
    ("active", "reject"): "granted",
    ("active", "expire"): "expired",
    ("active", "revoke"): "revoked",
}

ENTITLEMENT_FOLLOWS: Final[dict[TradeStep, EntitlementStep]] = {
    "deliver": "deliver",
    "reject": "reject",
    "redeliver": "redeliver",
    "miss": "revoke",
    "reject_again": "revoke",
}
"""Step of the trade -> the step its entitlement takes with it; other steps leave the entitlement as it is."""

WHEN_LATE: Final[dict[TradeState, TradeStep]] = {
    "held": "expire",
    "settled": "miss",
    "delivered": "silence",
    "rejected": "miss",
    "redelivered": "silence",
}
"""State that waits for somebody until a date -> the step the venue takes when the date has passed."""


def next_trade_state(state: TradeState, step: TradeStep) -> TradeState | None:
    """The state after the step; None when the step cannot happen in this state."""
    return TRADE_LIFE.get((state, step))


def next_entitlement_state(state: EntitlementState, step: EntitlementStep) -> EntitlementState | None:
    """The state after the step; None when the step cannot happen in this state."""
    return ENTITLEMENT_LIFE.get((state, step))


def is_final(state: TradeState) -> bool:
    """Whether nothing more happens to the trade: it may leave memory."""
    return state not in WHEN_LATE


class Terms(msgspec.Struct, frozen=True, gc=False):
    """How long each side has, from the listing, in days of 24 hours; at least one each."""

    delivery_days: int
    acceptance_days: int
    redelivery_days: int


def delivery_due_ns(terms: Terms, settled_at_ns: int) -> int:
    """The last instant for the first delivery."""
    return settled_at_ns + terms.delivery_days * DAY_NS


def acceptance_due_ns(terms: Terms, delivered_at_ns: int) -> int:
    """The last instant to reject this delivery, the first or the second; silence beyond it accepts."""
    return delivered_at_ns + terms.acceptance_days * DAY_NS


def redelivery_due_ns(terms: Terms, rejected_at_ns: int) -> int:
    """The last instant for the one redelivery."""
    return rejected_at_ns + terms.redelivery_days * DAY_NS


def due_ns(terms: Terms, state: TradeState, since_ns: int) -> int | None:
    """The date of a trade that entered the state at `since_ns`; None where the terms set none.

    A hold's date comes with its verdict, and a final state waits for nobody.
    """
    if state == "settled":
        return delivery_due_ns(terms, since_ns)
    if state in ("delivered", "redelivered"):
        return acceptance_due_ns(terms, since_ns)
    if state == "rejected":
        return redelivery_due_ns(terms, since_ns)
    return None


def late_step(state: TradeState, due_at_ns: int, at_ns: int) -> TradeStep | None:
    """The step the venue takes by itself at this instant; None while the date has not passed."""
    return WHEN_LATE.get(state) if at_ns > due_at_ns else None


class FileDelivery(msgspec.Struct, frozen=True, gc=False, tag="file", tag_field="kind"):
    """Bytes kept by the venue. `sha256` is the venue's own, recomputed at upload, in lower-case hex."""

    sha256: str
    size_bytes: int
    media_type: str
    name: str


class AddressDelivery(msgspec.Struct, frozen=True, gc=False, tag="address", tag_field="kind"):
    """An address that answers to the entitlement's key. The key itself is never here."""

    url: str


Delivery = FileDelivery | AddressDelivery


class Entitlement(msgspec.Struct, gc=False):
    """What a buyer may use, from delivery until `until_ns` (exclusive; 0 is without end).

    `key_sha256` is the digest of the key that opens it: the journal holds no key.
    """

    id: str
    trade: str
    listing: str
    holder: str
    state: EntitlementState = "granted"
    granted_at_ns: int = 0
    until_ns: int = 0
    key_sha256: str = ""

    def opens(self, at_ns: int) -> bool:
        """Whether its key opens the delivery at this instant."""
        return self.state == "active" and (self.until_ns == 0 or at_ns < self.until_ns)
