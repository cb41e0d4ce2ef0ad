"""What a token may be for, and which operation needs what: one table for the whole API.

    read     see what its participant may see          list     products, listings, contracts of one's own
    trade    orders, bids, needs, deliveries           money    pay in, pay out, deposits, bills
    office   decide as a reviewer, operator, auditor   account  keys, networks, sessions, the participant's own facts

An operation's scope follows from its method and its tag (`OF_TAG`), unless it stands in `EXPLICIT`. A tag that is not
here needs `account`, the widest of all: nothing is open to a narrow token by having been forgotten. An operation in
`SHARED` is a merchant's or buyer's business that an office may see to as well: for whoever holds an office it needs
`office`. A named key never has `account`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

SCOPES: Final = ("read", "trade", "list", "money", "office", "account")
EVERYTHING: Final = (1 << len(SCOPES)) - 1
BITS: Final[Mapping[str, int]] = {scope: 1 << place for place, scope in enumerate(SCOPES)}
READ: Final = BITS["read"]
TRADE: Final = BITS["trade"]

OF_TAG: Final[Mapping[str, str]] = {
    "venue": "account",
    "operations": "office",
    "identity": "account",
    "products": "list",
    "registers": "office",
    "rules": "office",
    "listings": "list",
    "auctions": "trade",
    "attestations": "list",
    "market": "trade",
    "orders": "trade",
    "trades": "trade",
    "needs": "trade",
    "metered": "trade",
    "duties": "trade",
    "money": "money",
    "bank": "money",
    "ledger": "office",
    "credit": "office",
    "evidence": "office",
    "credentials": "office",
    "oversight": "office",
}
"""Of whatever changes something. What only reads needs `read`."""

EXPLICIT: Final[Mapping[str, str]] = {
    "POST /v1/participants/{participant}/roles": "office",
    "POST /v1/participants/{participant}/role-revocations": "office",
    "POST /v1/participants/{participant}/status": "office",
    "POST /v1/participants/{participant}/key": "office",
    "POST /v1/participants/{participant}/identity": "office",
    "POST /v1/participants/{participant}/accreditation": "office",
    "POST /v1/participants/{participant}/ban": "office",
    "POST /v1/participants/{participant}/addresses": "office",
    "POST /v1/participants/me/accreditation": "list",
    "POST /v1/participants/me/accreditation/documents": "list",
    "POST /v1/products/{product}/decision": "office",
    "POST /v1/products/{product}/renewals": "office",
    "POST /v1/products/{product}/confirmations": "office",
    "POST /v1/rulebook/verdicts": "read",
    "POST /v1/listings/{listing}/auction/reserve": "list",
    "POST /v1/listings/{listing}/contract/signatures": "trade",
    "POST /v1/providers": "office",
    "POST /v1/providers/{participant}/revocation": "office",
    "POST /v1/listings/{listing}/plan": "list",
    "POST /v1/entitlements/check": "read",
    "POST /v1/entitlements/{entitlement}/revoke": "office",
    "POST /v1/bills/quote": "read",
    "POST /v1/bills/{bill}/pay": "money",
    "POST /v1/duties/{duty}/decisions": "office",
    "POST /v1/trades/{trade}/findings": "office",
    "POST /v1/calendar/years": "office",
    "POST /v1/cash-in": "office",
    "POST /v1/revenue/ceilings": "office",
    "POST /v1/bank/custody": "office",
    "POST /v1/bank/payout-batches": "office",
    "POST /v1/bank/payout-batches/{batch}/rejections": "office",
    "POST /v1/bank/statements": "office",
    "POST /v1/bank/breaks/{bank_break}/closing": "office",
    "GET /v1/bank/payout-batches/{batch}/pain.001": "office",
    "POST /v1/credit/objections": "account",
    "POST /v1/credit/cases/{case}/objection": "account",
    "POST /v1/credit/cases/{case}/correction": "account",
    "POST /v1/credit/cases/{case}/repair": "account",
    "DELETE /v1/sessions/{session}": "read",
}
"""Method and path: its scope, where it is not its tag's. Ending a session opens nothing, so any reader may end one."""

SHARED: Final = (
    "POST /v1/listings/{listing}/{step}",
    "POST /v1/products/{product}/records",
    "POST /v1/attestations/{attestation}/revocation",
    "POST /v1/entitlements/{entitlement}/resume",
    "POST /v1/withdrawals/{withdrawal}/cancellation",
    "POST /v1/holds/{trade}/cure",
    "DELETE /v1/participants/{participant}/personal",
)


def scope_of(method: str, path: str, tag: str) -> str:
    """What a token must be for to call this operation."""
    explicit = EXPLICIT.get(f"{method} {path}")
    if explicit is not None:
        return explicit
    return "read" if method == "GET" else OF_TAG.get(tag, "account")


def bits_of(scopes: Iterable[str]) -> int:
    """Raises KeyError for a scope that there is none of."""
    return sum({BITS[scope] for scope in scopes})


def names_of(bits: int) -> tuple[str, ...]:
    """In the order of `SCOPES`."""
    return tuple(scope for scope in SCOPES if bits & BITS[scope])
