"""Credentials of the venue: what each certifies, its life, and the document that is signed (`credit.vc`).

    kind            certifies                                   subject
    merchant        an accreditation (数据商资质)                 the merchant
    registration    a registration certificate (登记凭证)         its holder
    entitlement     a licence that was bought (使用许可)          the buyer

    issued ──suspend──> suspended ──restore──> issued
      ├──────────renew────────┤   the same, valid for longer
      ├──────────revoke───────┴──> revoked
      └──────────expire───────┴──> expired

A credential follows what it certifies. One that says something else now is revoked, and another is issued: a signed
document cannot be changed where others keep it. Its number is its place in the status lists.

The subject is named by the key it has registered (did:key), so that it can show elsewhere that the credential is its
own; personal data is in none (docs/decisions/0013-personal-data.md).
"""

import base64
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

from msgspec import Struct, to_builtins

from credit.vc import (
    CONTEXT,
    LIST_BITS,
    LIST_TYPE,
    Document,
    Malformed,
    encoded_list,
    instant_text,
    multikey,
    public_of,
    read,
)

Kind = Literal["merchant", "registration", "entitlement"]
CredentialState = Literal["issued", "suspended", "revoked", "expired"]

LIFE: Final[Mapping[tuple[str, str], CredentialState]] = {
    ("issued", "suspend"): "suspended",
    ("suspended", "restore"): "issued",
    ("issued", "renew"): "issued",
    ("suspended", "renew"): "suspended",
    ("issued", "revoke"): "revoked",
    ("suspended", "revoke"): "revoked",
    ("issued", "expire"): "expired",
    ("suspended", "expire"): "expired",
}
"""What is not in this table cannot happen."""

PURPOSES: Final[Mapping[str, CredentialState]] = {"revocation": "revoked", "suspension": "suspended"}
"""Status list: the state whose credentials have their bit set in it."""

TERMS: Final = "https://www.w3.org/ns/credentials/undefined-terms/v2"
"""The context of W3C for terms that no other context defines."""

DAY_NS: Final = 86_400_000_000_000
DID_LIVES_DAYS: Final = 7
LIST_LIVES_NS: Final = DAY_NS
"""A status list counts for a day: longer, and a revocation would stay unknown; shorter, and a verifier offline would
have to fetch it all the time."""


class Merchant(Struct, frozen=True, kw_only=True, tag="merchant"):
    """`classes` and `boards` are those that the accreditation names; no boards: all."""

    participant: str
    legal_name: str
    uscc: str
    number: str
    region: str
    key: str
    classes: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()


class Registration(Struct, frozen=True, kw_only=True, tag="registration"):
    participant: str
    legal_name: str
    uscc: str
    certificate: str
    product: str
    title: str
    rights: tuple[str, ...]
    key: str


class Entitlement(Struct, frozen=True, kw_only=True, tag="entitlement"):
    participant: str
    legal_name: str
    uscc: str
    entitlement: str
    trade: str
    listing: str
    product: str
    seller: str
    purpose: str
    territory: str
    key: str


Claims = Merchant | Registration | Entitlement

KINDS: Final[Mapping[type, Kind]] = {
    Merchant: "merchant",
    Registration: "registration",
    Entitlement: "entitlement",
}
TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "merchant": ("DataMerchantCredential", "数据商资质证书 Data merchant credential"),
    "registration": ("DataRegistrationCredential", "数据登记凭证 Data registration certificate"),
    "entitlement": ("DataEntitlementCredential", "数据使用许可证书 Data entitlement"),
}
"""Kind: type and name of the document."""

_TERM: Final[Mapping[str, str]] = {
    "legal_name": "legalName",
    "uscc": "unifiedSocialCreditCode",
    "number": "credentialNumber",
    "certificate": "registrationCertificate",
}
"""Claim: its name in a document, where that is another."""


class Place(Struct, frozen=True):
    """Where documents say that they come from: the venue's DID, and the address that its paths follow."""

    did: str
    url: str


class Issued(Struct, frozen=True, kw_only=True):
    """What a document is made of. `number` is that of the credential (C7: 7)."""

    number: int
    claims: Claims
    from_ns: int
    until_ns: int


def kind_of(claims: Claims) -> Kind:
    return KINDS[type(claims)]


def list_of(number: int) -> int:
    """Which status list, counted from 1, a credential is in."""
    return (number - 1) // LIST_BITS + 1


def index_of(number: int) -> int:
    """Its bit in that list."""
    return (number - 1) % LIST_BITS


def list_path(purpose: str, which: int) -> str:
    """The path of a status list; the first has the plain one."""
    return f"/v1/credential-status/{purpose}" + (f"?list={which}" if which > 1 else "")


def document_of(issued: Issued, place: Place) -> Document:
    """The credential as a document, not signed yet. The same is made of the same."""
    type_name, name = TYPES[kind_of(issued.claims)]
    return {
        "@context": [CONTEXT, TERMS],
        "id": f"{place.url}/v1/credentials/C{issued.number}",
        "type": ["VerifiableCredential", type_name],
        "name": name,
        "issuer": place.did,
        "validFrom": instant_text(issued.from_ns),
        "validUntil": instant_text(issued.until_ns),
        "credentialSubject": _subject(issued.claims),
        "credentialStatus": [_entry(issued.number, purpose, place) for purpose in PURPOSES],
    }


def _subject(claims: Claims) -> Document:
    """What is claimed, under the names of a document; what is empty is left out."""
    said: dict[str, Any] = to_builtins(claims)
    key, _ = said.pop("key"), said.pop("type")
    terms = {_TERM.get(name, name): value for name, value in said.items() if value}
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in terms.items()}
    return {"id": f"did:key:{multikey(base64.b64decode(key))}", **listed}


def _entry(number: int, purpose: str, place: Place) -> Document:
    address = place.url + list_path(purpose, list_of(number))
    return {
        "id": f"{address}#{index_of(number)}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": purpose,
        "statusListIndex": str(index_of(number)),
        "statusListCredential": address,
    }


def status_document(
    purpose: str, which: int, numbers: list[int], place: Place, at_ns: int, until_ns: int
) -> Document:
    """A status list of this instant, not signed yet; `numbers` are those of credentials whose bit is set."""
    address = place.url + list_path(purpose, which)
    return {
        "@context": [CONTEXT],
        "id": address,
        "type": ["VerifiableCredential", LIST_TYPE],
        "issuer": place.did,
        "validFrom": instant_text(at_ns),
        "validUntil": instant_text(until_ns),
        "credentialSubject": {
            "id": f"{address}#list",
            "type": "BitstringStatusList",
            "statusPurpose": purpose,
            "encodedList": encoded_list([index_of(number) for number in numbers]),
        },
    }


def kept_fault(body: str, issued: Issued, method: str, keys: Collection[str]) -> str:
    """What is wrong with a signed document that is kept: empty where one of the venue's keys signed just this credential.

    `keys` are base64 of those that the venue has ever had.
    """
    try:
        secured = read(body)
    except Malformed as error:
        return str(error)
    public = public_of(method.partition("#")[2])
    if base64.b64encode(public).decode() not in keys:
        return "it is signed by a key that the venue never had"
    url = str(secured.document.get("id")).removesuffix(f"/v1/credentials/C{issued.number}")
    if secured.document != document_of(issued, Place(method.partition("#")[0], url)):
        return "it does not say what the journal says"
    if secured.method != method or not secured.signed_by(public):
        return "the signature is not that of its content"
    return ""


# ---- the venue's name and keys


class VenueKey(Struct, frozen=True):
    """A key that signs, or still verifies: base64 of the 32 raw bytes; `until_ns` is 0 while no newer one is there."""

    public_key: str
    since_ns: int
    until_ns: int = 0


def method_of(did: str, public_key: str) -> str:
    """The id of a key in the venue's DID document."""
    return f"{did}#{multikey(base64.b64decode(public_key))}"


def did_document(did: str, keys: list[VenueKey], at_ns: int) -> Document:
    """The venue as others know it: its keys with their dates (did:web, Controlled Identifiers 1.0).

    Kept as a file it counts for a week, to the end of a day of UTC: an older one may hold a key that was stolen since.
    """
    methods = [_method(did, key) for key in keys]
    until_ns = (at_ns // DAY_NS + DID_LIVES_DAYS + 1) * DAY_NS
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1", _DATES],
        "id": did,
        "validUntil": instant_text(until_ns),
        "verificationMethod": methods,
        "assertionMethod": [row["id"] for row in methods],
    }


_DATE: Final = "http://www.w3.org/2001/XMLSchema#dateTime"
_DATES: Final = {
    "created": {"@id": "http://purl.org/dc/terms/created", "@type": _DATE},
    "validUntil": {"@id": "https://www.w3.org/2018/credentials#validUntil", "@type": _DATE},
}


def _method(did: str, key: VenueKey) -> Document:
    method = method_of(did, key.public_key)
    row = {
        "id": method,
        "type": "Multikey",
        "controller": did,
        "publicKeyMultibase": method.partition("#")[2],
        "created": instant_text(key.since_ns),
    }
    return row | ({"expires": instant_text(key.until_ns)} if key.until_ns else {})
