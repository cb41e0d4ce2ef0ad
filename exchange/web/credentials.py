"""Verifiable credentials over HTTP: the venue's keys and status lists are open, a credential is its subject's."""

import asyncio
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response
from msgspec import Meta, Struct

from credit.credential import did_document
from credit.vc import JWT_TYPE
from exchange.events import AdoptVenueKey, Refused
from exchange.issuing import MOST_OVERLAP_DAYS, OVERLAP_DAYS, keys_at
from exchange.projection import CredentialRecord
from exchange.projector import credential as credential_row
from exchange.projector import credentials_of
from exchange.sealing import bit_of
from exchange.state import DAY_NS
from exchange.web.instant import text_of
from exchange.web.operation import Call, Id, Operation, Paging
from exchange.web.problem import Refusing

VC: Final = "application/vc"
VC_JWT: Final = f"application/{JWT_TYPE}"
DID: Final = "application/did+json"
OFFICES: Final = ("operator", "reviewer", "auditor", "regulator")


class CredentialView(Struct, kw_only=True):
    """`about` is what it certifies: a participant (its accreditation), a product (its certificate) or an entitlement.

    `list` and `index` are its place in both status lists. `reason` is that of its last step, `replaces` the credential that
    said something else of the same.
    """

    credential: str
    kind: str
    subject: str
    about: str
    state: str
    valid_from: str
    valid_until: str
    updated_at: str
    reason: str
    replaces: str | None
    list: int
    index: int


class CredentialList(Struct):
    items: tuple[CredentialView, ...]
    next: str | None


class CredentialQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    subject: Annotated[Id, Meta(description="whose; without it one's own, and of all for an office")] = ""
    kind: Literal["", "merchant", "registration", "entitlement"] = ""
    state: Literal["", "issued", "suspended", "revoked", "expired"] = ""


class StatusQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    list: Annotated[int, Meta(ge=1, le=10**9, description="which of the lists, as the credential says")] = 1


class KeyChange(Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]
    overlap_days: Annotated[
        int,
        Meta(
            ge=0, le=MOST_OVERLAP_DAYS, description="how long the key before still verifies; 0: it was stolen"
        ),
    ] = OVERLAP_DAYS


class KeyView(Struct):
    public_key: str
    since: str
    method: str
    old_until: str


async def did(call: Call, asked: None) -> Response[bytes]:
    """All keys that verify now, each with its dates."""
    now_ns = call.now_ns
    rows = await call.read(lambda state: keys_at(state, now_ns))
    document = did_document(call.desk.sealer.place.did, rows, now_ns)
    return Response(msgspec.json.encode(document), media_type=DID)


async def status_list(call: Call, asked: StatusQuery) -> Response[bytes]:
    await _settle(call)
    await call.tables_ready()
    body = await call.desk.sealer.status_list(call.path["purpose"], asked.list, call.now_ns)
    if body is None:
        raise Refusing(Refused.not_found, f"there is no list {asked.list} yet")
    return _document(call, body)


async def _settle(call: Call) -> None:
    """The key that signs is the one that the journal names."""
    call.desk.sealer.ring.settle(await call.read(lambda state: state.venue_key))


def _document(call: Call, body: str) -> Response[bytes]:
    """With its Data Integrity proof, or as a JWT where that is asked for."""
    if VC_JWT in call.header("accept"):
        return Response(call.desk.sealer.jwt(body).encode(), media_type=VC_JWT, headers={"vary": "Accept"})
    return Response(body.encode(), media_type=VC, headers={"vary": "Accept"})


async def credentials(call: Call, asked: CredentialQuery) -> Response[bytes]:
    """The newest first."""
    office = bool((await call.roles()).intersection(OFFICES))
    subject: str | None = asked.subject or call.participant
    if office and not asked.subject:
        subject = None
    elif not office and subject != call.participant:
        raise Refusing(
            Refused.forbidden, f"others' credentials are seen by {', '.join(OFFICES)}: ask for your own"
        )
    await call.tables_ready()
    page = await credentials_of(
        call.desk.pool, subject, asked.kind, asked.state, asked.limit, asked.cursor or None
    )
    return call.page([_view(row) for row in page.items], page.next or "")


async def credential(call: Call, asked: None) -> Response[bytes]:
    """The same bytes each time, until it is renewed or the venue's key changes; also of one that has ended."""
    await _settle(call)
    await call.tables_ready()
    row = await credential_row(call.desk.pool, call.path["credential"])
    if row is None or not await _may_see(call, row):
        raise Refusing(Refused.not_found, f"you have no credential {call.path['credential']}")
    return _document(call, await call.desk.sealer.credential(row, call.now_ns))


async def _may_see(call: Call, row: CredentialRecord) -> bool:
    return row.subject == call.participant or bool((await call.roles()).intersection(OFFICES))


def _view(row: CredentialRecord) -> CredentialView:
    which, index = bit_of(row)
    return CredentialView(
        credential=row.id,
        kind=row.kind,
        subject=row.subject,
        about=row.about,
        state=row.state,
        valid_from=text_of(row.issued_at_ns),
        valid_until=text_of(row.valid_until_ns),
        updated_at=text_of(row.updated_at_ns),
        reason=row.reason,
        replaces=row.replaces or None,
        list=which,
        index=index,
    )


async def change_key(call: Call, asked: KeyChange) -> KeyView:
    """The draft lies in its file before the journal names it, and takes the old one's place after that."""
    await call.need_role("operator")
    ring = call.desk.sealer.ring
    async with ring.changing:
        await _settle(call)
        drafted = await asyncio.to_thread(ring.draft)
        outcome = await call.submit(
            AdoptVenueKey(
                actor=call.participant,
                key=call.key,
                public_key=drafted.public_key,
                reason=asked.reason,
                overlap_days=asked.overlap_days,
            )
        )
        await _settle(call)
    until_ns = outcome.at_ns + asked.overlap_days * DAY_NS
    return KeyView(drafted.public_key, text_of(outcome.at_ns), call.desk.sealer.method, text_of(until_ns))


_WHEN: Final = "2026-11-23T10:00:00Z"
_NEXT_YEAR: Final = "2027-11-23T10:00:00Z"
_DID: Final = "did:web:venue.example"
_KEY: Final = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"

OPERATIONS: Final = (
    Operation("GET", "/.well-known/did.json", did, "The venue's name and keys: did:web (open)", "credentials",
              signed_in=False, bytes_out=True, media=DID),
    Operation("GET", "/v1/credential-status/{purpose}", status_list,
              "Which credentials are revoked or suspended: a signed Bitstring Status List (open); `vc+jwt` on request",
              "credentials", asks=StatusQuery, signed_in=False, bytes_out=True, media=VC, refused=(Refused.not_found,)),
    Operation("GET", "/v1/credentials", credentials, "One's own credentials, newest first (offices: anybody's)",
              "credentials", asks=CredentialQuery, answers=CredentialList, refused=(Refused.forbidden,),
              example_answer={"items": [{
                  "credential": "C1", "kind": "merchant", "subject": "P2", "about": "P2", "state": "issued",
                  "valid_from": _WHEN, "valid_until": _NEXT_YEAR, "updated_at": _WHEN, "reason": "", "replaces": None,
                  "list": 1, "index": 0}], "next": None}),
    Operation("GET", "/v1/credentials/{credential}", credential,
              "A credential, signed: eddsa-jcs-2022; with `Accept: application/vc+jwt` a JWT (its subject, offices)",
              "credentials", bytes_out=True, media=VC, refused=(Refused.not_found,)),
    Operation("POST", "/v1/venue-key", change_key,
              "Another key signs from now on; the one before still verifies for its overlap (operator)", "credentials",
              asks=KeyChange, answers=KeyView, refused=(Refused.forbidden,),
              example={"reason": "一年一换", "overlap_days": 90},
              example_answer={"public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "since": _WHEN,
                              "method": f"{_DID}#{_KEY}", "old_until": "2027-02-21T10:00:00Z"}),
)  # fmt: skip
