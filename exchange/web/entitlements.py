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
from exchange.events import Delivery, IssueKey, Refused
from exchange.projection import EntitlementRecord
from exchange.state import State
from exchange.web import files, uploads
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Operation, Paging, answer
from exchange.web.pattern import whole
from exchange.web.problem import Refusing

KEY_HEADER: Final = "X-Entitlement-Key"


class EntitlementView(Struct):
    """What a buyer may use. `until`: null until a delivery starts the term. `has_key`: nobody can read it again."""

    entitlement: str
    trade: str
    listing: str
    buyer: str
    seller: str
    state: str
    granted_at: str
    until: str | None
    has_key: bool


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
    row = await _record(call)
    if call.participant not in (row.buyer, row.seller):
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
    seller: str
    key_sha256: str
    until_ns: int
    delivery: Delivery | None


async def content(call: Call, asked: None) -> Response[Any]:
    """The delivered bytes, for whoever holds the entitlement's key, until it ends."""
    identifier, key = call.path["entitlement"], call.header(KEY_HEADER.lower())

    def look(state: State) -> _Opened | None:
        row = state.entitlements.get(identifier)
        return None if row is None else _Opened(row.seller, row.key_sha256, row.until_ns, row.delivery)

    opened = await call.read(look)
    if opened is None:
        return await _ended(call, key)
    _check_key(key, opened.key_sha256)
    if opened.delivery is None or opened.delivery.kind != "file":
        raise Refusing(Refused.wrong_state, "no file that stands was delivered for this entitlement")
    if call.now_ns >= opened.until_ns:
        raise Refusing(Refused.forbidden, "the entitlement has expired")
    return _streamed(call, opened.seller, opened.delivery)


def _check_key(key: str, key_sha256: str) -> None:
    if not key_sha256 or not hmac.compare_digest(key_hash(key), key_sha256):
        raise Refusing(Refused.not_signed_in, f"send the entitlement's key in {KEY_HEADER}")


async def _ended(call: Call, key: str) -> Response[Any]:
    """An entitlement that has left memory is over; only who had its key hears so."""
    row = await _record(call)
    _check_key(key, row.key_sha256)
    raise Refusing(Refused.forbidden, f"the entitlement is {row.state}")


def _streamed(call: Call, seller: str, delivery: Delivery) -> Response[Any]:
    size = files.stored_size(call.desk.files, seller, delivery.sha256)
    if size != delivery.size:
        raise Refusing(Refused.storage_unavailable, "the file cannot be read now: tell the operator")
    digest = base64.b64encode(bytes.fromhex(delivery.sha256)).decode()
    headers = {
        "content-length": str(size),
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
}  # fmt: skip

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
    Operation("GET", "/v1/entitlements/{entitlement}/content", content, "The delivered bytes, by the entitlement's key",
              "trades", bytes_out=True, signed_in=False, headers=((KEY_HEADER, "the entitlement's key"),),
              refused=(Refused.not_signed_in, Refused.forbidden, Refused.wrong_state)),
)  # fmt: skip
