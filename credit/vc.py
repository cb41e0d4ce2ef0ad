"""W3C Verifiable Credentials 2.0: signed, and verified closed on any doubt. Pure: documents, keys and lists are given.

    Data Integrity      eddsa-jcs-2022: RFC 8785 and SHA-256 of proof options and document, Ed25519 over both
    vc+jwt              the same document as a JSON Web Signature, EdDSA
    Bitstring Status    one bit a credential, the first from the left; gzip, base64url without padding, prefix u
    keys                Multikey: z, base58btc of 0xed01 and the 32 raw bytes; named by the issuer's DID document

`verify` gives every reason against a credential, and none where there is none. Of what it is not told it assumes the
worst: a list that is missing, old or badly signed is no list, and a list that is verified says nothing yet: the bit is
looked at.

Sources: VC Data Model 2.0; VC Data Integrity 1.0; Data Integrity EdDSA Cryptosuites 1.0, 3.3; Securing VCs using JOSE and
COSE, 3.1; Bitstring Status List 1.0; Controlled Identifiers 1.0.
"""

import base64
import binascii
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt import PyJWS
from msgspec import Struct

Document = dict[str, Any]
Reason = Literal[
    "malformed",
    "wrong issuer",
    "DID document stale",
    "key ended",
    "tampered",
    "not yet valid",
    "expired",
    "revoked",
    "suspended",
    "status list missing",
    "status list stale",
    "status list not verified",
]

CONTEXT: Final = "https://www.w3.org/ns/credentials/v2"
SUITE: Final = "eddsa-jcs-2022"
JWT_TYPE: Final = "vc+jwt"
ALGORITHMS: Final = ("EdDSA", "Ed25519")
LIST_TYPE: Final = "BitstringStatusListCredential"
LIST_BITS: Final = 131_072
"""Bits of a list, 16 KiB: fewer would tell who asks about whom (Bitstring Status List 1.0, 6.1)."""
MOST_LIST_BYTES: Final = 1 << 24
"""A list that unpacks to more is taken for a bomb."""
MOST_BYTES: Final = 1 << 22
"""Of a credential, a list or a DID document as it comes."""
LEEWAY_NS: Final = 60_000_000_000
"""How far an issuer's clock may be ahead of the verifier's. Nobody's may be behind: what has ended has ended."""
SETS: Final[Mapping[str, Reason]] = {"revocation": "revoked", "suspension": "suspended"}
"""Status purpose: what a bit that is set says. A purpose that is not here is not understood, which closes."""

_MULTICODEC: Final = b"\xed\x01"
_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_JWS: Final = PyJWS(algorithms=list(ALGORITHMS[:1]))


class Fault(Struct, frozen=True):
    """One reason why a credential does not count, and what of it."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class Malformed(ValueError):
    """What came is no document of this kind. The text says what is wrong."""


class Refuted(Exception):
    """Why a document does not count."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.fault = Fault(reason, detail)


# ---- multibase


def base58(raw: bytes) -> str:
    """Base58btc without its multibase prefix."""
    number, digits = int.from_bytes(raw), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits


def from_base58(text: str) -> bytes:
    """Raises Malformed. Quadratic: for keys and signatures, which are short."""
    if len(text) > 128 or any(letter not in _ALPHABET for letter in text):
        raise Malformed("not base58btc of a key or a signature")
    number = 0
    for letter in text:
        number = number * 58 + _ALPHABET.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)


def multikey(public: bytes) -> str:
    """The Multikey of 32 raw Ed25519 bytes: z6Mk..."""
    return "z" + base58(_MULTICODEC + public)


def public_of(text: Any) -> bytes:
    """The 32 raw bytes of a Multikey. Raises Malformed, also for a key that is not Ed25519."""
    raw = from_base58(text[1:]) if isinstance(text, str) and text.startswith("z") else b""
    if len(raw) != 34 or not raw.startswith(_MULTICODEC):
        raise Malformed("publicKeyMultibase is no Ed25519 Multikey (z6Mk...)")
    return raw[2:]


def unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _from_unpadded(text: str) -> bytes:
    """In the one spelling that there is of these bytes: bits that are left over are zero."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Malformed("not base64url without padding") from error
    if unpadded(raw) != text:
        raise Malformed("not base64url without padding")
    return raw


# ---- instants


def instant(text: Any) -> int:
    """UTC nanoseconds of an XML Schema dateTimeStamp; finer digits than microseconds are cut. Raises Malformed."""
    if not isinstance(text, str) or _INSTANT.fullmatch(text) is None:
        raise Malformed(f"{text!r} is no instant like 2026-11-23T10:00:00Z")
    try:
        at = datetime.fromisoformat(text)
        whole = at.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:  # the latter within a day of the first and the last year
        raise Malformed(f"{text!r} is no instant") from error
    return int(whole.timestamp()) * 1_000_000_000 + at.microsecond * 1_000


def instant_text(at_ns: int) -> str:
    """Whole seconds, as credentials carry them; what is finer is cut."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- signing


def hash_data(document: Document, options: Document) -> bytes:
    """What eddsa-jcs-2022 signs: SHA-256 of the proof options, then of the document without its proof, each in RFC 8785.

    Raises Malformed for numbers that JSON does not carry exactly.
    """
    try:
        canonical = rfc8785.dumps(options), rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise Malformed(f"cannot be canonicalised: {error}") from error
    return b"".join([hashlib.sha256(part).digest() for part in canonical])


def proved(document: Document, options: Document, sign: Callable[[bytes], bytes]) -> Document:
    """The document with its proof. `options` are type, cryptosuite, created, verificationMethod and proofPurpose."""
    bound = {**options, "@context": document["@context"]}
    signature = sign(hash_data(document, bound))
    return {**document, "proof": {**bound, "proofValue": "z" + base58(signature)}}


def options_of(method: str, created_ns: int) -> Document:
    """Proof options of a key, as the venue signs."""
    return {
        "type": "DataIntegrityProof",
        "cryptosuite": SUITE,
        "created": instant_text(created_ns),
        "verificationMethod": method,
        "proofPurpose": "assertionMethod",
    }


def as_jwt(document: Document, method: str, seed: bytes) -> str:
    """A compact JWS whose payload is the document itself, without a Data Integrity proof."""
    payload = json.dumps(unsecured(document), ensure_ascii=False, separators=(",", ":")).encode()
    header = {"typ": JWT_TYPE, "cty": "vc", "kid": method}
    return _JWS.encode(payload, Ed25519PrivateKey.from_private_bytes(seed), ALGORITHMS[0], header)


def unsecured(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "proof"}


# ---- status lists


def encoded_list(indexes: Iterable[int], bits: int = LIST_BITS) -> str:
    """`encodedList` with these bits set."""
    raw = bytearray(bits // 8)
    for index in indexes:
        raw[index >> 3] |= 0x80 >> (index & 7)
    return "u" + unpadded(gzip.compress(bytes(raw), mtime=0))


def decoded_list(text: Any) -> bytes:
    """The bits of an `encodedList`. Raises Malformed, also for one that is too short or unpacks to too much."""
    if not isinstance(text, str) or not text.startswith("u"):
        raise Malformed("encodedList is multibase base64url: it begins with u")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        raw = unpacker.decompress(_from_unpadded(text[1:]), MOST_LIST_BYTES)
    except zlib.error as error:
        raise Malformed(f"encodedList is not gzip: {error}") from error
    if not unpacker.eof or len(raw) * 8 < LIST_BITS:
        raise Malformed(f"encodedList has {LIST_BITS} bits or more, and {MOST_LIST_BYTES} bytes at most")
    return raw


def is_set(bits: bytes, index: int) -> bool:
    return bool(bits[index >> 3] & (0x80 >> (index & 7)))


# ---- reading


def read_json(text: str | bytes) -> Document:
    """An object in which no name comes twice: two readers could take one for another. Raises Malformed.

    Half a surrogate pair is no text either (RFC 7493, 2.1), and nothing canonical is made of it.
    """
    if len(text) > MOST_BYTES:
        raise Malformed(f"longer than {MOST_BYTES} bytes")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Malformed("not a JSON object")
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice in an object")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


class Secured(Struct, frozen=True):
    """A document with what secures it: the method that it names, and whether a key has signed it."""

    document: Document
    method: str
    signed_by: Callable[[bytes], bool]
    ends: tuple[Any, ...] = ()
    """Instants behind which the securing itself does not count: `expires` of the proof; empty where there is none."""


def read(content: str | bytes) -> Secured:
    """A credential with a Data Integrity proof, or a compact `vc+jwt`. Raises Malformed."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    text = text.strip()
    if text.startswith("{"):
        return _read_proved(read_json(text))
    return _read_jwt(text)


def _read_proved(whole: Document) -> Secured:
    proof = whole.get("proof")
    if not isinstance(proof, dict):
        raise Malformed("there is no single proof")
    wanted = {"type": "DataIntegrityProof", "cryptosuite": SUITE, "proofPurpose": "assertionMethod"}
    for name, value in wanted.items():
        if proof.get(name) != value:
            raise Malformed(f"proof.{name} is {proof.get(name)!r}, not {value}")
    method, signed = proof.get("verificationMethod"), proof.get("proofValue")
    if not isinstance(method, str) or not isinstance(signed, str) or not signed.startswith("z"):
        raise Malformed("the proof has no verificationMethod or no proofValue in base58btc")
    instant(proof.get("created"))
    document, options = unsecured(whole), {name: said for name, said in proof.items() if name != "proofValue"}
    # The suite (3.3.2) goes by the proof's context where the document's only begins with it; who is told `valid` of a
    # whole file must not find terms in it that nobody signed, so here the document's own counts.
    data, signature = hash_data(document, options), from_base58(signed[1:])
    ends = (proof["expires"],) if "expires" in proof else ()
    return Secured(document, method, lambda public: _is_signed(public, signature, data), ends)


def _is_signed(public: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _read_jwt(token: str) -> Secured:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MOST_BYTES:
        raise Malformed("neither a JSON object nor a compact JWT")
    header, document = read_json(_from_unpadded(parts[0])), read_json(_from_unpadded(parts[1]))
    if header.get("typ") != JWT_TYPE or header.get("alg") not in ALGORITHMS or "crit" in header:
        raise Malformed(f"the JWT's header is not typ {JWT_TYPE} and alg {ALGORITHMS[0]}")
    if not isinstance(header.get("kid"), str):
        raise Malformed("the JWT's header names no key: kid")
    if any(name in document for name in ("vc", "proof", "exp", "nbf")):
        raise Malformed("the JWT's payload is the credential itself, without vc, proof, exp and nbf")
    data, signature = f"{parts[0]}.{parts[1]}".encode(), _from_unpadded(parts[2])
    return Secured(document, header["kid"], lambda public: _is_signed(public, signature, data))


# ---- verifying


def verify(
    content: str | bytes, dids: Sequence[Document], lists: Sequence[str | bytes], at_ns: int
) -> list[Fault]:
    """Every reason against a credential at an instant; an empty list is a valid one.

    `dids` are DID documents that the caller trusts, `lists` status list credentials as they came.
    """
    try:
        secured = read(content)
        faults = list(_faults(secured, dids, at_ns))
    except Malformed as error:
        return [Fault("malformed", str(error))]
    return [*faults, *_status_faults(secured.document, dids, lists, at_ns)]


def _faults(secured: Secured, dids: Sequence[Document], at_ns: int) -> Iterator[Fault]:
    """Shape, issuer, key, signature and dates; not its status."""
    document = secured.document
    check_shape(document)
    try:
        public = _key(issuer_of(document), secured.method, dids, at_ns)
    except Refuted as error:
        yield error.fault
    else:
        if not secured.signed_by(public):
            yield Fault("tampered", "the signature is not that of this content")
    yield from _date_faults(document, secured.ends, at_ns)


def check_shape(document: Document) -> None:
    """What every credential of the data model has. Raises Malformed."""
    if _listed(document.get("@context"))[:1] != [CONTEXT]:
        raise Malformed(f"@context begins with {CONTEXT}")
    if "VerifiableCredential" not in _listed(document.get("type")):
        raise Malformed("type has no VerifiableCredential")
    if not issuer_of(document):
        raise Malformed("there is no issuer")
    if not document.get("credentialSubject"):
        raise Malformed("there is no credentialSubject")


def issuer_of(document: Document) -> str:
    """The issuer's id; empty where there is none."""
    issuer = document.get("issuer")
    named = issuer.get("id") if isinstance(issuer, dict) else issuer
    return named if isinstance(named, str) else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _date_faults(document: Document, ends: tuple[Any, ...], at_ns: int) -> Iterator[Fault]:
    begins, until = document.get("validFrom"), document.get("validUntil")
    if begins is not None and instant(begins) > at_ns + LEEWAY_NS:
        yield Fault("not yet valid", f"it begins at {begins}")
    for end in (*(() if until is None else (until,)), *ends):
        if instant(end) <= at_ns:
            yield Fault("expired", f"it ended at {end}")


def _key(issuer: str, method: str, dids: Sequence[Document], at_ns: int) -> bytes:
    """The key of the issuer that this method names, if it signs assertions and has not ended. Raises Refuted."""
    did = next((one for one in dids if one.get("id") == issuer), None)
    if did is None:
        known = ", ".join(str(one.get("id")) for one in dids) or "none"
        raise Refuted("wrong issuer", f"it says {issuer}; the DID documents at hand are of: {known}")
    if (until := did.get("validUntil")) is not None and instant(until) <= at_ns:
        raise Refuted("DID document stale", f"that of {issuer} counted until {until}: fetch it again")
    found = [row for row in _methods(did) if row.get("id") == method]
    if len(found) != 1 or found[0].get("controller") != issuer or found[0].get("type") != "Multikey":
        raise Refuted("wrong issuer", f"{issuer} has no key {method}")
    for name in ("expires", "revoked"):
        if (ended := found[0].get(name)) is not None and instant(ended) <= at_ns:
            raise Refuted("key ended", f"{method} signs nothing since {ended}: ask for it under the new key")
    return public_of(found[0].get("publicKeyMultibase"))


def _methods(did: Document) -> Iterator[Document]:
    """Keys that the document's owner lets sign assertions."""
    asserting = _listed(did.get("assertionMethod", []))
    for row in _listed(did.get("verificationMethod", [])):
        if isinstance(row, dict) and row.get("id") in asserting:
            yield row
    yield from (row for row in asserting if isinstance(row, dict))


# ---- status


def _status_faults(
    document: Document, dids: Sequence[Document], lists: Sequence[str | bytes], at_ns: int
) -> Iterator[Fault]:
    for entry in _listed(document.get("credentialStatus", [])):
        try:
            purpose, bits = _looked_up(entry, issuer_of(document), dids, lists, at_ns)
            if is_set(bits, _index(entry, bits)):
                yield Fault(SETS[purpose], f"bit {entry['statusListIndex']} of its {purpose} list is set")
        except Refuted as error:
            yield error.fault
        except Malformed as error:
            yield Fault("status list not verified", str(error))


def _looked_up(
    entry: Any, issuer: str, dids: Sequence[Document], lists: Sequence[str | bytes], at_ns: int
) -> tuple[str, bytes]:
    """The purpose of a status entry and the bits of its list. Raises Refuted where the list is not good now."""
    purpose = str(entry.get("statusPurpose")) if isinstance(entry, dict) else ""
    if purpose not in SETS or entry.get("type") != "BitstringStatusListEntry":
        raise Malformed(f"a status of purpose {purpose!r} is not understood")
    if entry.get("statusSize", 1) != 1:
        raise Malformed("a status of more than one bit is not understood")
    wanted = entry.get("statusListCredential")
    if not isinstance(wanted, str):
        raise Malformed("statusListCredential names no list")
    secured = next((one for one in _readable(lists) if one.document.get("id") == wanted), None)
    if secured is None:
        raise Refuted("status list missing", f"{wanted} is not at hand: fetch it")
    _check_list(secured, issuer, dids, at_ns)
    subject = secured.document["credentialSubject"]
    if purpose not in _listed(subject.get("statusPurpose")):
        raise Malformed(f"{wanted} is not a list for {purpose}")
    return purpose, decoded_list(subject.get("encodedList"))


def _readable(lists: Sequence[str | bytes]) -> Iterator[Secured]:
    for content in lists:
        try:
            yield read(content)
        except Malformed:
            continue


def _check_list(secured: Secured, issuer: str, dids: Sequence[Document], at_ns: int) -> None:
    """A list of the same issuer, signed, and fresh: one without an end could be of any age."""
    document = secured.document
    named = document.get("id")
    if LIST_TYPE not in _listed(document.get("type")) or issuer_of(document) != issuer:
        raise Malformed(f"{named} is no status list of {issuer}")
    if not isinstance(document.get("credentialSubject"), dict) or "credentialStatus" in document:
        raise Malformed(f"{named} has not the shape of a status list")
    if document["credentialSubject"].get("type") != "BitstringStatusList":
        raise Malformed(f"{named} is no BitstringStatusList")
    if "validUntil" not in document:
        raise Refuted("status list stale", f"{named} does not say until when it counts")
    faults = {fault.reason: fault for fault in _faults(secured, dids, at_ns)}
    if "expired" in faults:
        raise Refuted("status list stale", f"{named}: {faults['expired'].detail}; fetch it again")
    for fault in faults.values():
        raise Refuted("status list not verified", f"{named}: {fault}")


def _index(entry: Document, bits: bytes) -> int:
    said = entry.get("statusListIndex")
    if not (isinstance(said, str | int) and re.fullmatch(r"[0-9]{1,12}", str(said))):
        raise Malformed("statusListIndex is no number")
    if int(said) >= len(bits) * 8:
        raise Malformed(f"statusListIndex {said} lies behind the list's end")
    return int(said)
