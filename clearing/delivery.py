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

An entitlement lives on when its trade is over. Its merchant may suspend it, on evidence, and resume it; meanwhile its term
stands still. A reviewer or an operator resumes what was suspended without ground, and revokes with evidence. Bought anew at
the rules and the price of that day it is `renewed` at its end: another entitlement has taken its place, and what was
delivered may stay. One whose buyer has not paid a bill is suspended, runs on and ends at its date. Otherwise what was
delivered is deleted and that is proven (深圳市卫生健康数据管理办法第二十五条, 个人信息保护法第四十七条;
`clearing.duties`). A renewal whose trade comes to nothing `lapse`s, and the deletion is due then.

    granted ──deliver,redeliver──> active <──resume── suspended       expired, revoked ──delete──> deleted
       ^                           │ │ │ └──suspend──> │                ^        ^
       └──────────reject───────────┘ │ └──expire────────────────────────┤        │
                                     └──renew───> renewed ──lapse───────┘   revoke, from each of the three

Until it is completed both parties may also agree that all of the price goes back (`agree`): refunded, at nobody's fault.
With a delivery in hand they may agree that a part does (`settle`): the buyer keeps it at the lower price.

While a rule about the right, a freeze, a pledge or a listed buyer forbids that what was sold passes on, nothing is
delivered or accepted; silence is put off (`postpone`) until a last date, and then the price goes back (`stop`, from each of
the four states whose price is in escrow; `exchange.passing`).

What is not in a table cannot happen. A date is the last instant at which the act is in time: the tick that
makes it late comes at any later instant. Days are 24 hours, whole nanoseconds of UTC.
"""

from typing import Final, Literal

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
    "agree",
    "settle",
    "postpone",
    "stop",
]
EntitlementState = Literal["granted", "active", "suspended", "renewed", "expired", "revoked", "deleted"]
EntitlementStep = Literal[
    "deliver", "reject", "redeliver", "suspend", "resume", "renew", "lapse", "expire", "revoke", "delete"
]

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
    ("settled", "agree"): "refunded",
    ("delivered", "agree"): "refunded",
    ("rejected", "agree"): "refunded",
    ("redelivered", "agree"): "refunded",
    ("delivered", "settle"): "completed",
    ("redelivered", "settle"): "completed",
    ("delivered", "postpone"): "delivered",
    ("redelivered", "postpone"): "redelivered",
    ("settled", "stop"): "refunded",
    ("delivered", "stop"): "refunded",
    ("rejected", "stop"): "refunded",
    ("redelivered", "stop"): "refunded",
}

ENTITLEMENT_LIFE: Final[dict[tuple[EntitlementState, EntitlementStep], EntitlementState]] = {
    ("granted", "deliver"): "active",
    ("granted", "redeliver"): "active",
    ("granted", "revoke"): "revoked",
    ("active", "reject"): "granted",
    ("active", "suspend"): "suspended",
    ("active", "expire"): "expired",
    ("active", "renew"): "renewed",
    ("active", "revoke"): "revoked",
    ("suspended", "resume"): "active",
    ("suspended", "expire"): "expired",
    ("suspended", "renew"): "renewed",
    ("suspended", "revoke"): "revoked",
    ("renewed", "lapse"): "expired",
    ("expired", "delete"): "deleted",
    ("revoked", "delete"): "deleted",
}

ENTITLEMENT_ENDS: Final[dict[str, EntitlementState]] = {
    "expire": "expired",
    "renew": "renewed",
    "revoke": "revoked",
}
"""Step that ends an entitlement -> what it is then, whatever it was before."""

WHEN_LATE: Final[dict[TradeState, TradeStep]] = {
    "held": "expire",
    "settled": "miss",
    "delivered": "silence",
    "rejected": "miss",
    "redelivered": "silence",
}
"""State that waits for somebody until a date -> the step the venue takes when the date has passed."""
