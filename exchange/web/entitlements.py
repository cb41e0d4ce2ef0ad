"""Entitlements: the keys to what was bought, and the bytes behind them.

A key is shown once; the venue keeps its hash. With a command id the key is derived from the venue's own secret, so
that a request sent again gets the same answer; without one it is random.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Annotated, Any, Final

from litestar import Response
from litestar.response import Stream
from msgspec import Meta, Struct

from exchange import projector
from exchange.departure import kept_under
from exchange.events import (
    Delivery,
    EntitlementMoved,
    IssueKey,
    Refused,
    RenewEntitlement,
    ResumeEntitlement,
    RevokeEntitlement,
    SuspendEntitlement,
)
from exchange.projection import EntitlementRecord
from exchange.state import State
from exchange.web import files, uploads
from exchange.web.fills import Fill, fill_of
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Operation, Paging, Sha256, answer
from exchange.web.pattern import whole
from exchange.web.problem import Refusing

KEY_HEADER: Final = "X-Entitlement-Key"
SEE_ALL: Final = ("reviewer", "operator", "auditor", "regulator")


class EntitlementView(Struct):
    """What a buyer may use. `until`: null until a delivery starts the term, and while it stands still, suspended.

    `has_key`: nobody can read it again. `reason`: why it was last suspended, resumed or revoked. `renewed_by`: the trade
    that was made to follow on it. `reminded_at`: when its buyer was reminded of this term's end; null before.
    """

    entitlement: str
    trade: str
    listing: str
    buyer: str
    seller: str
    state: str
    granted_at: str
    until: str | None
    has_key: bool
    reason: str | None
    renewed_by: str | None
    reminded_at: str | None


class Reasoned(Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=500, description="read by the other side")]


class Suspension(Reasoned, kw_only=True, forbid_unknown_fields=True):
    evidence_sha256: Sha256


class Resumption(Reasoned, kw_only=True, forbid_unknown_fields=True):
    """A reviewer and an operator bring evidence that the suspension had no ground; its merchant need not."""

    evidence_sha256: Sha256 | None = None


class Revocation(Reasoned, kw_only=True, forbid_unknown_fields=True):
    evidence_sha256: Sha256


class Renewing(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the new order asks for; left out, what the trade before had. Listing and territory stay."""

    quantity: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    purpose: Annotated[str, Meta(max_length=64)] = ""
    accepts_prior: bool = False


class MovedView(Struct):
    entitlement: str
    state: str
    reason: str
    at: str


class RenewedView(Struct):
    """`fill` is the new trade, judged and paid (or held, or refused with its reasons) at the price of today."""

    entitlement: str
    fill: Fill


class EntitlementList(Struct):
    items: tuple[EntitlementView, ...]
    next: str | None


class IssuedKey(Struct):
    entitlement: str
    key: str


class KeyCheck(Struct, kw_only=True, forbid_unknown_fields=True):
    key: Annotated[str, Meta(min_length=1, max_length=200)]


class CheckedKey(Struct):
    """`active` false with nulls: no such key for an own product."""

    entitlement: str | None
    active: bool
    until: str | None
    trade: str | None


class Nothing(Struct, kw_only=True, forbid_unknown_fields=True):
    """An empty object."""


class FileQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    sha256: Annotated[
        str, Meta(pattern=whole("[0-9a-f]{64}"), description="SHA-256 of the bytes, which is recomputed")
    ]
    name: Annotated[str, Meta(max_length=200)] = ""


class StoredFile(Struct):
    sha256: str
    size: int


def entitlement_view(row: EntitlementRecord) -> EntitlementView:
    return EntitlementView(
        row.id,
        row.trade,
        row.listing,
        row.buyer,
        row.seller,
        row.state,
        text_of(row.granted_at_ns),
        optional_text(row.until_ns),
        bool(row.key_sha256),
        row.reason or None,
        row.renewed_by or None,
        optional_text(row.reminded_at_ns),
    )


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


async def list_own(call: Call, asked: Paging) -> Response[bytes]:
    await call.tables_ready()
    page = await projector.entitlements_of(
        call.desk.pool, call.participant, asked.limit, asked.cursor or None
    )
    return call.page([entitlement_view(row) for row in page.items], page.next or "")


async def _record(call: Call) -> EntitlementRecord:
    """The entitlement of the path as the tables have it now."""
    await call.tables_ready()
    row = await projector.entitlement(call.desk.pool, call.path["entitlement"])
    if row is None:
        raise Refusing(Refused.not_found, f"there is no entitlement {call.path['entitlement']}")
    return row


async def show(call: Call, asked: None) -> EntitlementView:
    """Its parties see it, and those who decide on it or audit."""
    row = await _record(call)
    if call.participant not in (row.buyer, row.seller) and not (await call.roles()).intersection(SEE_ALL):
        raise Refusing(Refused.not_found, f"there is no entitlement {row.id}")
    return entitlement_view(row)


async def issue_key(call: Call, body: Nothing) -> IssuedKey:
    entitlement, participant, command = call.path["entitlement"], call.participant, call.key
    made = call.desk.tokens.secret("entitlement key", f"{entitlement}\n{participant}\n{command}")
    key = base64.urlsafe_b64encode(made if command else secrets.token_bytes(32)).rstrip(b"=").decode()
    await call.submit(
        IssueKey(actor=participant, key=command, entitlement=entitlement, key_sha256=key_hash(key))
    )
    return IssuedKey(entitlement, key)


async def check_key(call: Call, body: KeyCheck) -> CheckedKey:
    """A merchant's service asks whether a key is good. Of keys to other merchants' products it learns nothing."""
    wanted, seller, now_ns = key_hash(body.key), call.participant, call.now_ns

    def look(state: State) -> CheckedKey:
        entitlement = state.entitlements.get(state.keys.get(wanted, ""))
        if entitlement is None or entitlement.seller != seller:
            return CheckedKey(None, False, None, None)
        active = entitlement.state == "active" and now_ns < entitlement.until_ns
        return CheckedKey(entitlement.id, active, optional_text(entitlement.until_ns), entitlement.trade)

    return await call.read(look)


# ---- what becomes of it


async def suspend(call: Call, body: Suspension) -> MovedView:
    command = SuspendEntitlement(
        actor=call.participant,
        key=call.key,
        entitlement=call.path["entitlement"],
        reason=body.reason,
        evidence_sha256=body.evidence_sha256,
    )
    return await _moved(call, command)


async def resume(call: Call, body: Resumption) -> MovedView:
    command = ResumeEntitlement(
        actor=call.participant,
        key=call.key,
        entitlement=call.path["entitlement"],
        reason=body.reason,
        evidence_sha256=body.evidence_sha256 or "",
    )
    return await _moved(call, command)


async def _moved(call: Call, command: SuspendEntitlement | ResumeEntitlement) -> MovedView:
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, EntitlementMoved)
    return MovedView(event.entitlement, event.state, event.reason, text_of(outcome.at_ns))


async def revoke(call: Call, body: Revocation) -> MovedView:
    command = RevokeEntitlement(
        actor=call.participant,
        key=call.key,
        entitlement=call.path["entitlement"],
        reason=body.reason,
        evidence_sha256=body.evidence_sha256,
    )
    outcome = await call.submit(command)
    return MovedView(command.entitlement, "revoked", body.reason, text_of(outcome.at_ns))


async def renew(call: Call, body: Renewing) -> RenewedView:
    """The trade before says what is asked for where the body does not."""
    row = await _record(call)
    if call.participant != row.buyer:
        raise Refusing(Refused.not_found, f"you have no entitlement {row.id}")
    before = await projector.trade(call.desk.pool, row.trade)
    assert before is not None, "an entitlement has its trade"
    command = RenewEntitlement(
        actor=call.participant,
        key=call.key,
        entitlement=row.id,
        quantity=body.quantity or before.quantity,
        purpose=body.purpose or before.purpose,
        accepts_prior=body.accepts_prior,
    )
    outcome = await call.submit(command)
    fills = (fill_of(event, call.desk.reasons, outcome.at_ns) for event in outcome.events)
    return RenewedView(row.id, next(fill for fill in fills if fill is not None))


# ---- bytes in and out


async def upload(call: Call, asked: FileQuery) -> Response[bytes]:
    participant = call.participant
    await call.need_role("merchant")
    room = await uploads.room_of(call, participant)
    size = await files.store(
        call.desk.files, participant, asked.sha256, call.chunks(files.LARGEST_FILE), room
    )
    return answer(StoredFile(asked.sha256, size), 201)


class _Opened(Struct):
    """`sellers`: under whose names what was delivered may lie (`exchange.departure.kept_under`)."""

    state: str
    sellers: tuple[str, ...]
    key_sha256: str
    until_ns: int
    delivery: Delivery | None


async def content(call: Call, asked: None) -> Response[Any]:
    """The delivered bytes, for whoever holds the entitlement's key, until it ends."""
    identifier, key = call.path["entitlement"], call.header(KEY_HEADER.lower())

    def look(state: State) -> _Opened | None:
        row = state.entitlements.get(identifier)
        return (
            None
            if row is None
            else _Opened(row.state, kept_under(state, row.seller), row.key_sha256, row.until_ns, row.delivery)
        )

    opened = await call.read(look)
    if opened is None:
        return await _ended(call, key)
    _check_key(key, opened.key_sha256)
    if opened.state == "suspended":
        raise Refusing(Refused.forbidden, "its merchant has suspended the entitlement: it says why")
    if opened.delivery is None or opened.delivery.kind != "file":
        raise Refusing(Refused.wrong_state, "no file that stands was delivered for this entitlement")
    if call.now_ns >= opened.until_ns:
        raise Refusing(Refused.forbidden, "the entitlement has expired")
    return _streamed(call, opened.sellers, opened.delivery)


def _check_key(key: str, key_sha256: str) -> None:
    if not key_sha256 or not hmac.compare_digest(key_hash(key), key_sha256):
        raise Refusing(Refused.not_signed_in, f"send the entitlement's key in {KEY_HEADER}")


async def _ended(call: Call, key: str) -> Response[Any]:
    """An entitlement that has left memory is over; only who had its key hears so."""
    row = await _record(call)
    _check_key(key, row.key_sha256)
    raise Refusing(Refused.forbidden, f"the entitlement is {row.state}")


def _streamed(call: Call, sellers: tuple[str, ...], delivery: Delivery) -> Response[Any]:
    sizes = {seller: files.stored_size(call.desk.files, seller, delivery.sha256) for seller in sellers}
    seller = next((one for one, size in sizes.items() if size == delivery.size), "")
    if not seller:
        raise Refusing(Refused.storage_unavailable, "the file cannot be read now: tell the operator")
    digest = base64.b64encode(bytes.fromhex(delivery.sha256)).decode()
    headers = {
        "content-length": str(delivery.size),
        "etag": f'"{delivery.sha256}"',
        "digest": f"sha-256={digest}",
        "repr-digest": f"sha-256=:{digest}:",
        "content-disposition": files.disposition(delivery.name or delivery.sha256),
        "x-content-type-options": "nosniff",
    }
    place = files.place_of(call.desk.files, seller, delivery.sha256)
    return Stream(files.read(place), headers=headers, media_type=files.media_type(delivery.media_type))


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_VIEW: Final = {
    "entitlement": "E1", "trade": "T1", "listing": "L1", "buyer": "P4", "seller": "P2", "state": "active",
    "granted_at": "2026-11-23T10:00:00Z", "until": "2027-02-21T10:00:00Z", "has_key": True,
    "reason": None, "renewed_by": None, "reminded_at": None,
}  # fmt: skip

_REASON: Final = {"reason": "the address is under maintenance"}
_MOVED: Final = {"entitlement": "E1", "state": "suspended", **_REASON, "at": "2026-12-01T10:00:00Z"}
_REVOKED: Final = {"reason": "a court has forbidden the use"}
_ORDERED: Final = (
    Refused.wrong_state, Refused.already_exists, Refused.unlawful, Refused.listing_closed, Refused.halted,
    Refused.outside_terms, Refused.not_verified, Refused.standing_denied, Refused.supply_exhausted,
    Refused.funds_insufficient, Refused.mechanism_not_allowed,
)  # fmt: skip

OPERATIONS: Final = (
    Operation("PUT", "/v1/files", upload, "Upload bytes to deliver; the venue recomputes the hash (merchant)", "trades",
              status=201, asks=FileQuery, answers=StoredFile, bytes_in=True,
              refused=(Refused.forbidden, Refused.not_accredited, Refused.file_mismatch, Refused.too_large),
              example_answer={"sha256": _SHA, "size": 4}),
    Operation("GET", "/v1/entitlements", list_own, "Own entitlements, bought or sold", "trades", asks=Paging,
              answers=EntitlementList, example_answer={"items": [_VIEW], "next": None}),
    Operation("POST", "/v1/entitlements/check", check_key, "Is this key good for an own product? (the seller's service)",
              "trades", asks=KeyCheck, answers=CheckedKey, example={"key": "J1q3…"},
              example_answer={"entitlement": "E1", "active": True, "until": "2027-02-21T10:00:00Z", "trade": "T1"}),
    Operation("GET", "/v1/entitlements/{entitlement}", show, "One own entitlement", "trades", answers=EntitlementView,
              example_answer=_VIEW),
    Operation("POST", "/v1/entitlements/{entitlement}/key", issue_key, "A new key, shown once; the old one ends (buyer)",
              "trades", status=201, asks=Nothing, answers=IssuedKey, refused=(Refused.wrong_state,), example={},
              example_answer={"entitlement": "E1", "key": "J1q3…"}),
    Operation("POST", "/v1/entitlements/{entitlement}/suspend", suspend,
              "Let its keys open nothing, on evidence; its term stands still meanwhile (its merchant)", "trades",
              asks=Suspension, answers=MovedView, refused=(Refused.wrong_state,),
              example=_REASON | {"evidence_sha256": _SHA}, example_answer=_MOVED),
    Operation("POST", "/v1/entitlements/{entitlement}/resume", resume,
              "End a suspension; with evidence that it had no ground, which counts against the merchant's credit "
              "(its merchant; reviewer, operator)", "trades", asks=Resumption, answers=MovedView,
              refused=(Refused.wrong_state, Refused.own_case, Refused.evidence_missing), example=_REASON,
              example_answer=_MOVED | {"state": "active"}),
    Operation("POST", "/v1/entitlements/{entitlement}/renew", renew,
              "Buy the same again before it ends, at the rules and the price of today (its buyer)", "trades", status=201,
              asks=Renewing, answers=RenewedView, refused=_ORDERED, example={},
              example_answer={"entitlement": "E1", "fill": {"trade": "T7", "state": "settled", "quantity": 1,
                              "price_fen": 50_000, "amount_fen": 50_000, "fee_fen": 1_000, "entitlement": "E7",
                              "due": "2027-02-17T10:00:00Z"}}),
    Operation("POST", "/v1/entitlements/{entitlement}/revoke", revoke,
              "End it before its time, with the evidence for that (reviewer, operator)", "trades", asks=Revocation,
              answers=MovedView,
              refused=(Refused.forbidden, Refused.own_case, Refused.wrong_state, Refused.evidence_missing),
              example=_REVOKED | {"evidence_sha256": _SHA}, example_answer=_MOVED | _REVOKED | {"state": "revoked"}),
    Operation("GET", "/v1/entitlements/{entitlement}/content", content, "The delivered bytes, by the entitlement's key",
              "trades", bytes_out=True, signed_in=False, headers=((KEY_HEADER, "the entitlement's key"),),
              refused=(Refused.not_signed_in, Refused.forbidden, Refused.wrong_state)),
)  # fmt: skip
