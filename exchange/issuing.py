"""Credentials follow what they certify: an accreditation, a registration certificate, a licence that was bought.

Every event in `ABOUT` says whose credential may be another one now. Once all events of an entry are applied, `follow`
compares what each such thing is with the credential there is of it, and yields the difference. So whatever leads to a
state leads to its credential, and a new step of any of these lives needs no line here, unless it has a state of its own.

What is signed, and by which key, is not decided here: the journal holds what a credential says, and documents are made of
that (`credit.credential`, `exchange.sealing`).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from credit.credential import LIFE, Claims, CredentialState, Entitlement, Merchant, Registration, VenueKey
from credit.merchant import Participant, check_public_key, left
from exchange import events as happened
from exchange.events import (
    VENUE,
    AdoptVenueKey,
    CredentialIssued,
    CredentialMoved,
    Event,
    FollowCredentials,
    Refusal,
    Refused,
    VenueKeyAdopted,
)
from exchange.participant import role_refusal
from exchange.state import DAY_NS, Certified, Product, State

OVERLAP_DAYS: Final = 90
"""How long a key still verifies once another one signs, unless it is said otherwise: time to fetch everything anew."""
MOST_OVERLAP_DAYS: Final = 400
KEY_DAYS: Final = 365
"""A key that has signed for longer is an alert: it is to be replaced."""
ISSUED_AT_ONCE: Final = 500
"""Credentials of what is older than they are, in one entry."""

ALL: Final = "all:"
"""Before a participant's id: every credential that it is the subject of, because each says who it is."""

ACCREDITED: Final[Mapping[str, CredentialState]] = {
    "accredited": "issued",
    "restricted": "issued",
    "suspended": "suspended",
    "revoked": "revoked",
    "expired": "expired",
}
"""State of an accreditation: that of its credential. In another one it opens nothing."""

REGISTERED: Final[Mapping[str, CredentialState]] = {
    "registered": "issued",
    "suspended": "suspended",
    "revoked": "revoked",
    "cancelled": "revoked",
}
"""State of a product: that of its certificate's credential."""

ENTITLED: Final[Mapping[str, CredentialState]] = {
    "active": "issued",
    "granted": "suspended",
    "suspended": "suspended",
}
"""State of an entitlement: that of its credential, once there is one; what was rejected may not be used."""

STEPS: Final[Mapping[CredentialState, str]] = {
    "issued": "restore",
    "suspended": "suspend",
    "revoked": "revoke",
    "expired": "expire",
}
"""The step that leads to a state."""


class Wanted(Struct, frozen=True):
    """What the credential of a thing should be. Without claims there is nothing to issue."""

    state: CredentialState
    reason: str
    until_ns: int = 0
    claims: Claims | None = None


# ---- which


def _of_trade(state: State, event: Any) -> Iterable[str]:
    trade = state.trades.get(event.trade)
    return () if trade is None else (trade.entitlement, state.listings[trade.listing].product)


def _of_participant(state: State, event: Any) -> Iterable[str]:
    return (event.participant,)


def _of_person(state: State, event: Any) -> Iterable[str]:
    return (event.participant, ALL + event.participant)


def _of_product(state: State, event: Any) -> Iterable[str]:
    return (event.product,)


def _of_entitlement(state: State, event: Any) -> Iterable[str]:
    return (event.entitlement,)


def _of_passing(state: State, event: Any) -> Iterable[str]:
    return event.ids if event.kind in ("product", "entitlement") else ()


ABOUT: Final[Mapping[type, Callable[[State, Any], Iterable[str]]]] = {
    happened.AccreditationDecided: _of_participant,
    happened.StatusSet: _of_participant,
    happened.IdentityResubmitted: _of_person,
    happened.IdentityDecided: _of_person,
    happened.KeyReplaced: _of_person,
    happened.ProductDecided: _of_product,
    happened.CertificateRenewed: _of_product,
    happened.FactRecorded: _of_product,
    happened.Delivered: _of_trade,
    happened.DeliveryRejected: _of_trade,
    happened.Completed: _of_trade,
    happened.Refunded: _of_trade,
    happened.EntitlementMoved: _of_entitlement,
    happened.EntitlementEnded: _of_entitlement,
    happened.PassedOn: _of_passing,
}
"""Event: whose credential may be another one once it is applied. Asked before, it may look at what the event ends."""


def noting(apply: Mapping[type, Callable[[State, Any, int], None]]) -> dict[type, Any]:
    """The same table, whose events in `ABOUT` note what they are about."""
    return {kind: _noted(ABOUT[kind], change) if kind in ABOUT else change for kind, change in apply.items()}


def _noted(
    about: Callable[[State, Any], Iterable[str]], change: Callable[[State, Any, int], None]
) -> Callable[[State, Any, int], None]:
    def noted(state: State, event: Any, at_ns: int) -> None:
        state.certified.update(dict.fromkeys(about(state, event)))
        change(state, event, at_ns)

    return noted


# ---- what it should be


def wanted(state: State, about: str, at_ns: int) -> Wanted | None:
    """What the credential of this thing should be now; None where nothing says anything of one.

    What ends before the date that was signed is revoked, whatever it is called: else it would go on verifying.
    """
    found = _OF[about[0]](state, about, at_ns)
    if found is None:
        return None
    if found.state in ("issued", "suspended") and 0 < found.until_ns <= at_ns:
        found = Wanted("expired", "its date has come")
    row = state.credentials.get(state.credential_of.get(about, ""))
    if found.state == "expired" and row is not None and row.until_ns > at_ns:
        return Wanted("revoked", found.reason)
    return found


def _of_merchant(state: State, about: str, at_ns: int) -> Wanted | None:
    row = state.bureau.participants[about]
    found = ACCREDITED.get(row.credential)
    if row.status == "closed":
        return Wanted("revoked", "the account is closed")
    if found is None:
        return None if row.credential == "none" else Wanted("revoked", f"accreditation {row.credential}")
    reason = f"accreditation {row.credential}"
    if found == "issued" and row.identity != "verified":
        found, reason = "suspended", f"identity {row.identity}"
    if found == "issued" and row.status != "active":
        found, reason = "suspended", f"account {row.status}"
    return Wanted(found, reason, row.credential_until_ns, _merchant(row))


def _merchant(row: Participant) -> Merchant:
    """With the classes and boards that are left of it where it is restricted."""
    scope = left(row)
    return Merchant(
        participant=row.id,
        legal_name=row.legal_name,
        uscc=row.uscc,
        number=row.credential_number,
        region=row.region,
        key=row.public_key,
        classes=tuple(sorted(scope.classes)),
        boards=tuple(sorted(scope.boards)),
    )


def _of_registration(state: State, about: str, at_ns: int) -> Wanted | None:
    product = state.products[about]
    found = REGISTERED.get(product.state)
    if found is None:
        return None
    holder = state.bureau.participants[product.holder]
    return Wanted(
        found, f"registration {product.state}", product.valid_until_ns, _registration(product, holder)
    )


def _registration(product: Product, holder: Participant) -> Registration:
    return Registration(
        participant=holder.id,
        legal_name=holder.legal_name,
        uscc=holder.uscc,
        certificate=product.certificate,
        product=product.id,
        title=product.description.title,
        rights=product.rights,
        key=holder.public_key,
    )


def _of_licence(state: State, about: str, at_ns: int) -> Wanted | None:
    """One that has left the state is over."""
    row = state.entitlements.get(about)
    known = state.credentials.get(state.credential_of.get(about, ""))
    if row is None:
        return Wanted("expired", "entitlement ended")
    found = ENTITLED.get(row.state)
    if found is None or (known is None and found != "issued"):
        return None
    trade = state.trades.get(row.trade)
    purpose = trade.purpose if trade is not None else known.purpose if known is not None else ""
    buyer, listing = state.bureau.participants[row.buyer], state.listings[row.listing]
    claims = Entitlement(
        participant=buyer.id,
        legal_name=buyer.legal_name,
        uscc=buyer.uscc,
        entitlement=row.id,
        trade=row.trade,
        listing=row.listing,
        product=listing.product,
        seller=row.seller,
        purpose=purpose,
        territory=row.territory,
        key=buyer.public_key,
    )
    return Wanted(found, f"entitlement {row.state}", row.until_ns, claims)


_OF: Final[Mapping[str, Callable[[State, str, int], Wanted | None]]] = {
    "P": _of_merchant,
    "D": _of_registration,
    "E": _of_licence,
}
"""First letter of a thing's id: what its credential should be."""


# ---- following


def follow(state: State, at_ns: int) -> Iterator[Event]:
    """What the entry's events change about credentials; each is applied before the next is asked for."""
    for about in _expanded(state, state.certified):
        yield from _follow(state, about, at_ns)


def _expanded(state: State, noted: Iterable[str]) -> list[str]:
    named: dict[str, None] = {}
    for about in noted:
        if about.startswith(ALL):
            named.update(state.credentials_held.get(about[len(ALL) :], {}))
        elif about:
            named[about] = None
    return list(named)


def _follow(state: State, about: str, at_ns: int) -> Iterator[Event]:
    now = wanted(state, about, at_ns)
    row = state.credentials.get(state.credential_of.get(about, ""))
    if now is None:
        return
    if row is None:
        if now.claims is not None and now.state in ("issued", "suspended"):
            yield from _issued(state, about, now, at_ns)
        return
    if now.claims is not None and _is_another(row, now):
        yield CredentialMoved(row.id, "revoke", "revoked", "it says something else now", 0)
        yield from _issued(state, about, now, at_ns, row.id)
        return
    if now.state in ("issued", "suspended") and now.until_ns > row.until_ns:
        yield CredentialMoved(row.id, "renew", LIFE[row.state, "renew"], now.reason, now.until_ns)
    if now.state != row.state:
        step = STEPS[now.state]
        yield CredentialMoved(row.id, step, LIFE[row.state, step], now.reason, 0)


def _issued(state: State, about: str, now: Wanted, at_ns: int, replaces: str = "") -> Iterator[Event]:
    assert now.claims is not None, about
    trade = now.claims.trade if isinstance(now.claims, Entitlement) else ""
    issued = CredentialIssued(state.next_id("C"), about, now.claims, at_ns, now.until_ns, trade, replaces)
    yield issued
    if now.state == "suspended":
        yield CredentialMoved(issued.credential, "suspend", "suspended", now.reason, 0)


def _is_another(row: Certified, now: Wanted) -> bool:
    """It says something else, or ends earlier: what is signed stays signed, so it is revoked."""
    if now.state not in ("issued", "suspended"):
        return False
    return digest_of(now.claims) != row.digest or 0 < now.until_ns < row.until_ns


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")


def digest_of(claims: Claims | None) -> bytes:
    return hashlib.blake2b(_ENCODER.encode(claims), digest_size=16).digest()


def on_due(state: State, credential: str, due_ns: int, at_ns: int) -> list[Event]:
    """Its date has come, unless it was renewed, or the term stands still and may go on."""
    row = state.credentials.get(credential)
    if row is None or row.until_ns != due_ns:
        return []
    if row.about.startswith("E") and row.state == "suspended" and row.about in state.entitlements:
        return []
    return [CredentialMoved(row.id, "expire", LIFE[row.state, "expire"], "its date has come", 0)]


# ---- what is older than its credential


def lacking(state: State, at_ns: int, most: int = ISSUED_AT_ONCE) -> list[str]:
    """Things without the credential that they should have: they come from before there were any."""
    found = []
    for about in (*state.bureau.participants, *state.products, *state.entitlements):
        if about not in state.credential_of:
            now = wanted(state, about, at_ns)
            if now is not None and now.claims is not None and now.state in ("issued", "suspended"):
                found.append(about)
                if len(found) >= most:
                    break
    return found


def follow_all(state: State, command: FollowCredentials, at_ns: int) -> Refusal | list[Event]:
    """What is noted is followed with the rest of the entry."""
    if command.actor != VENUE:
        return Refusal(Refused.forbidden, "the venue's own command")
    state.certified.update(dict.fromkeys(lacking(state, at_ns)))
    return []


# ---- keys


def adopt_key(state: State, command: AdoptVenueKey, at_ns: int) -> Refusal | list[Event]:
    """By the venue at its start, or by an operator: the key before still verifies until the overlap ends."""
    if command.actor != VENUE:
        refusal = role_refusal(state, command.actor, at_ns, "operator") or _key_refusal(state, command)
        if refusal is not None:
            return refusal
    until_ns = at_ns + command.overlap_days * DAY_NS
    return [VenueKeyAdopted(command.public_key, until_ns, command.reason, command.actor)]


def _key_refusal(state: State, command: AdoptVenueKey) -> Refusal | None:
    if not command.reason.strip():
        return Refusal(Refused.malformed, "reason says why there is a new key")
    if not 0 <= command.overlap_days <= MOST_OVERLAP_DAYS:
        return Refusal(Refused.out_of_bounds, f"overlap_days lies between 0 and {MOST_OVERLAP_DAYS}")
    if (wrong := check_public_key(command.public_key)) is not None:
        return Refusal(Refused.identity_invalid, f"public_key: {wrong}")
    if command.public_key in state.venue_keys:
        return Refusal(Refused.already_exists, "this key signs already, or has: make a new one")
    return None


def keys_at(state: State, at_ns: int) -> list[VenueKey]:
    """The keys that verify at an instant, the newest first."""
    rows = [row for row in state.venue_keys.values() if row.until_ns == 0 or at_ns < row.until_ns]
    return sorted(rows, key=lambda row: -row.since_ns)


def aged_key(state: State, at_ns: int) -> VenueKey | None:
    """The key that signs, where it has for too long."""
    row = state.venue_keys.get(state.venue_key)
    return row if row is not None and at_ns >= row.since_ns + KEY_DAYS * DAY_NS else None


# ---- events


def apply_issued(state: State, event: CredentialIssued, at_ns: int) -> None:
    state.took_id(event.credential)
    claims = event.claims
    row = Certified(
        id=event.credential,
        about=event.about,
        subject=claims.participant,
        until_ns=event.valid_until_ns,
        digest=digest_of(claims),
        purpose=claims.purpose if isinstance(claims, Entitlement) else "",
    )
    state.take_credential(row)
    state.start_timer(event.valid_until_ns, "credential", event.credential)


def apply_moved(state: State, event: CredentialMoved, at_ns: int) -> None:
    """What is over leaves the state; the tables and the status lists keep it."""
    row = state.credentials[event.credential]
    row.state = event.state
    if event.valid_until_ns:
        row.until_ns = event.valid_until_ns
        state.start_timer(event.valid_until_ns, "credential", event.credential)
    if event.state in ("revoked", "expired"):
        state.drop_credential(event.credential)


def apply_key(state: State, event: VenueKeyAdopted, at_ns: int) -> None:
    """In journals of before there were credentials, `by` is empty: when a key began is not known of those.

    No key before outlasts the one that ends now: where that is at once, it may be an earlier one that was stolen.
    """
    state.venue_key = event.public_key
    if not event.by:
        return
    ends_ns = event.old_until_ns
    kept = {
        row.public_key: VenueKey(row.public_key, row.since_ns, min(row.until_ns or ends_ns, ends_ns))
        for row in keys_at(state, at_ns)
    }
    state.venue_keys = kept | {event.public_key: VenueKey(event.public_key, at_ns)}
