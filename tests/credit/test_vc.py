"""Verifiable credentials: the published vector, byte for byte, and everything that must close a verification."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from credit import credential, vc
from credit.credential import Issued, Merchant, Place, VenueKey
from credit.vc import Document

# ---- W3C: Data Integrity EdDSA Cryptosuites 1.0, B.1 and B.2 (the key is the published test key)

SECRET = "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq"
METHOD = "https://vc.example/issuers/5678#z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
ALUMNI: Document = {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"},
}
OPTIONS: Document = {
    "type": "DataIntegrityProof",
    "cryptosuite": "eddsa-jcs-2022",
    "created": "2023-02-24T23:36:38Z",
    "verificationMethod": METHOD,
    "proofPurpose": "assertionMethod",
}
PROOF_VALUE = "z63t83Y53KfzJ5ZosfKTnqfMcKB2dmTrfjSaQjeNNjAD5srBowQfmWqeRb8rRjmeEuCBEsddF9LsVogtuTsijJKh4"


def test_the_published_vector_is_reproduced_byte_for_byte() -> None:
    seed = vc.from_base58(SECRET[1:])[2:]
    signed = vc.proved(ALUMNI, OPTIONS, Ed25519PrivateKey.from_private_bytes(seed).sign)
    expected = {**OPTIONS, "@context": ALUMNI["@context"], "proofValue": PROOF_VALUE}
    assert signed == {**ALUMNI, "proof": expected}
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert vc.multikey(public) == METHOD.partition("#")[2]
    did = {"id": ALUMNI["issuer"], "assertionMethod": [METHOD], "verificationMethod": [_row(METHOD, public)]}
    assert vc.verify(json.dumps(signed), [did], [], vc.instant("2024-01-01T00:00:00Z")) == []


def _row(method: str, public: bytes) -> Document:
    return {
        "id": method,
        "type": "Multikey",
        "controller": method.partition("#")[0],
        "publicKeyMultibase": vc.multikey(public),
    }


# ---- a venue of this test

DAY_NS = 86_400_000_000_000
NOW_NS = vc.instant("2026-11-23T10:00:00Z")
PLACE = Place("did:web:venue.example", "https://venue.example")
CLAIMS = Merchant(
    participant="P2",
    legal_name="海南数商有限公司",
    uscc="91110000600037341L",
    number="DM-000002",
    region="CN-46",
    key=base64.b64encode(bytes(range(32))).decode(),
    classes=("merchant",),
)


class Signer:
    """A venue's key, and what it signs."""

    def __init__(self, seed: bytes, did: str = PLACE.did) -> None:
        self.seed, self.did = seed, did
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = base64.b64encode(self.private.public_key().public_bytes_raw()).decode()
        self.method = credential.method_of(did, self.public)

    def sign(self, document: Document, **options: Any) -> str:
        said = {**vc.options_of(self.method, NOW_NS), **options}
        return json.dumps(vc.proved(document, said, self.private.sign))

    def did_document(self, until_ns: int = 0) -> Document:
        return credential.did_document(self.did, [VenueKey(self.public, NOW_NS - DAY_NS, until_ns)], NOW_NS)


VENUE = Signer(bytes(32))
OTHER = Signer(bytes([1] * 32))


def document(number: int = 7) -> Document:
    until_ns = NOW_NS + 365 * DAY_NS
    return credential.document_of(
        Issued(number=number, claims=CLAIMS, from_ns=NOW_NS, until_ns=until_ns), PLACE
    )


def listed(purpose: str, *numbers: int, **changes: Any) -> str:
    found = credential.status_document(purpose, 1, list(numbers), PLACE, NOW_NS, NOW_NS + DAY_NS)
    return VENUE.sign({**found, **changes})


class Shown:
    """What a verifier holds in its hands; the good ones unless a test puts another in their place."""

    def __init__(self) -> None:
        self.content = VENUE.sign(document())
        self.dids = [VENUE.did_document()]
        self.lists = [listed("revocation"), listed("suspension")]
        self.at_ns = NOW_NS + 3_600_000_000_000

    def reasons(self) -> list[str]:
        faults = vc.verify(self.content, self.dids, list(self.lists), self.at_ns)
        assert all(fault.detail for fault in faults)
        return [fault.reason for fault in faults]


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_a_good_credential_has_no_fault_in_either_form(shown: Shown) -> None:
    assert shown.reasons() == []
    shown.content = vc.as_jwt(json.loads(shown.content), VENUE.method, VENUE.seed)
    assert shown.reasons() == []
    shown.lists = [vc.as_jwt(json.loads(content), VENUE.method, VENUE.seed) for content in shown.lists]
    assert shown.reasons() == []


def _changed(**changes: Any) -> Callable[[Shown], None]:
    def change(shown: Shown) -> None:
        shown.content = json.dumps({**json.loads(shown.content), **changes})

    return change


def _proof(**changes: Any) -> Callable[[Shown], None]:
    def change(shown: Shown) -> None:
        whole = json.loads(shown.content)
        whole["proof"] |= changes
        shown.content = json.dumps(whole)

    return change


def _signed(**changes: Any) -> Callable[[Shown], None]:
    """The venue itself has signed something odd."""
    return lambda shown: setattr(shown, "content", VENUE.sign({**document(), **changes}))


def _lists(*contents: Callable[[], str]) -> Callable[[Shown], None]:
    return lambda shown: setattr(shown, "lists", [make() for make in contents])


def _did(**changes: Any) -> Callable[[Shown], None]:
    def change(shown: Shown) -> None:
        [method] = shown.dids[0]["verificationMethod"]
        shown.dids = [{**shown.dids[0], "verificationMethod": [{**method, **changes}]}]

    return change


def _subject(**changes: Any) -> Callable[[], str]:
    """A revocation list with something odd in its subject."""
    good = json.loads(listed("revocation"))["credentialSubject"]
    return lambda: listed("revocation", credentialSubject={**good, **changes})


def _entry(**changes: Any) -> Callable[[Shown], None]:
    entries = document()["credentialStatus"]
    return _signed(credentialStatus=[{**entries[0], **changes}, entries[1]])


def suspension() -> str:
    return listed("suspension")


TOO_SHORT = "u" + vc.unpadded(gzip.compress(bytes(1024)))
BOMB = "u" + vc.unpadded(gzip.compress(bytes(vc.MOST_LIST_BYTES + 1)))

DOUBTS: dict[str, tuple[Callable[[Shown], None], list[str]]] = {
    "its end moved": (_changed(validUntil="2099-01-01T00:00:00Z"), ["tampered"]),
    "its subject": (_changed(credentialSubject={"id": "did:example:me"}), ["tampered"]),
    "its status left out": (_changed(credentialStatus=[]), ["tampered"]),
    "a member more": (_changed(more=1), ["tampered"]),
    "another instant of signing": (_proof(created="2026-11-24T10:00:00Z"), ["tampered"]),
    "the proof bound to less": (_proof(**{"@context": [vc.CONTEXT]}), ["tampered"]),
    "a context more": (_changed(**{"@context": [*document()["@context"], "https://x.example/terms"]}), ["tampered"]),
    "half a letter": (_changed(**{"\ud800": 1}), ["malformed"]),
    "an end behind all years": (_signed(validUntil="9999-12-31T23:59:59-23:59"), ["malformed"]),
    "the proof bound to nothing": (_proof(**{"@context": []}), ["tampered"]),
    "no proof": (_changed(proof=None), ["malformed"]),
    "two proofs": (_changed(proof=[{}, {}]), ["malformed"]),
    "another suite": (_proof(cryptosuite="eddsa-rdfc-2022"), ["malformed"]),
    "another purpose": (_proof(proofPurpose="authentication"), ["malformed"]),
    "a proof in another base": (_proof(proofValue="uAAAA"), ["malformed"]),
    "an empty signature": (_proof(proofValue="z"), ["tampered"]),
    "no instant of signing": (_proof(created="yesterday"), ["malformed"]),
    "no credential of version 2": (_signed(**{"@context": ["https://www.w3.org/2018/credentials/v1"]}),
                                   ["malformed"]),
    "no type": (_signed(type=["DataMerchantCredential"]), ["malformed"]),
    "no subject": (_signed(credentialSubject={}), ["malformed"]),
    "an end that is none": (_signed(validUntil="2026-13-01T00:00:00Z"), ["malformed"]),
    "over": (lambda shown: setattr(shown, "at_ns", NOW_NS + 365 * DAY_NS),
             ["DID document stale", "expired", "status list stale", "status list stale"]),
    "a DID document of last week": (lambda shown: setattr(shown, "dids", [
        {**shown.dids[0], "validUntil": "2026-11-23T11:00:00Z"}]),
        ["DID document stale"] + ["status list not verified"] * 2),
    "before its time": (lambda shown: setattr(shown, "at_ns", NOW_NS - 2 * vc.LEEWAY_NS),
                        ["not yet valid", "status list not verified", "status list not verified"]),
    "a proof that has ended": (lambda shown: setattr(shown, "content", VENUE.sign(
        document(), expires="2026-11-23T10:30:00Z")), ["expired"]),
    "nobody known": (lambda shown: setattr(shown, "dids", []),
                     ["wrong issuer", "status list not verified", "status list not verified"]),
    "somebody else known": (lambda shown: setattr(shown, "dids", [Signer(bytes(32), "did:web:x").did_document()]),
                            ["wrong issuer", "status list not verified", "status list not verified"]),
    "a stranger's key": (lambda shown: setattr(shown, "content", OTHER.sign(document())), ["wrong issuer"]),
    "a stranger under its own name": (lambda shown: setattr(shown, "content", Signer(
        bytes([1] * 32), "did:web:x").sign(document())), ["wrong issuer"]),
    "a key of another house": (_did(controller="did:web:x"), ["wrong issuer"] + ["status list not verified"] * 2),
    "a key of another kind": (_did(type="Ed25519VerificationKey2020"),
                              ["wrong issuer"] + ["status list not verified"] * 2),
    "a key that may not assert": (lambda shown: shown.dids[0].update(assertionMethod=[]),
                                  ["wrong issuer"] + ["status list not verified"] * 2),
    "a key that has ended": (_did(expires="2026-11-23T11:00:00Z"), ["key ended"] + ["status list not verified"] * 2),
    "a key that was stolen": (_did(revoked="2026-11-23T10:00:01Z"), ["key ended"] + ["status list not verified"] * 2),
    "revoked": (_lists(lambda: listed("revocation", 7), suspension), ["revoked"]),
    "suspended": (_lists(lambda: listed("revocation"), lambda: listed("suspension", 7)), ["suspended"]),
    "both": (_lists(lambda: listed("revocation", 7), lambda: listed("suspension", 7)), ["revoked", "suspended"]),
    "no lists": (_lists(), ["status list missing", "status list missing"]),
    "one list": (_lists(suspension), ["status list missing"]),
    "a list that is no list": (_lists(lambda: "{", suspension), ["status list missing"]),
    "a list of yesterday": (lambda shown: setattr(shown, "at_ns", NOW_NS + DAY_NS), ["status list stale"] * 2),
    "a list without an end": (_lists(lambda: VENUE.sign({name: value for name, value in json.loads(
        listed("revocation")).items() if name not in ("validUntil", "proof")}), suspension), ["status list stale"]),
    "a list of tomorrow": (_lists(lambda: listed("revocation", validFrom="2026-11-24T10:00:00Z"), suspension),
                           ["status list not verified"]),
    "a list that was emptied": (_lists(lambda: json.dumps({**json.loads(listed("revocation", 7)),
        "credentialSubject": json.loads(listed("revocation"))["credentialSubject"]}), suspension),
        ["status list not verified"]),
    "a stranger's list": (_lists(lambda: OTHER.sign(json.loads(listed("revocation"))), suspension),
                          ["status list not verified"]),
    "a list of another venue": (_lists(lambda: listed("revocation", issuer="did:web:x"), suspension),
                                ["status list not verified"]),
    "a list of another type": (_lists(lambda: listed("revocation", type=["VerifiableCredential"]), suspension),
                               ["status list not verified"]),
    "a list for another purpose": (_lists(_subject(statusPurpose="suspension"), suspension),
                                   ["status list not verified"]),
    "a list of another kind": (_lists(_subject(type="StatusList2021"), suspension), ["status list not verified"]),
    "a list that is too short": (_lists(_subject(encodedList=TOO_SHORT), suspension), ["status list not verified"]),
    "a list that is a bomb": (_lists(_subject(encodedList=BOMB), suspension), ["status list not verified"]),
    "a list that is no gzip": (_lists(_subject(encodedList="uAAAA"), suspension), ["status list not verified"]),
    "a list in another base": (_lists(_subject(encodedList="zAAAA"), suspension), ["status list not verified"]),
    "a status behind the end": (_entry(statusListIndex=str(vc.LIST_BITS)), ["status list not verified"]),
    "a status that is no number": (_entry(statusListIndex="-1"), ["status list not verified"]),
    "a status of two bits": (_entry(statusSize=2), ["status list not verified"]),
    "a status of another purpose": (_entry(statusPurpose="message"), ["status list not verified"]),
    "a status of another kind": (_entry(type="StatusList2021Entry"), ["status list not verified"]),
    "a status of a list without a name": (_entry(statusListCredential=None), ["status list not verified"]),
    "a status that is none": (_signed(credentialStatus=["revocation"]), ["status list not verified"]),
}  # fmt: skip


@pytest.mark.parametrize("doubt", DOUBTS)
def test_any_doubt_closes_and_is_named(shown: Shown, doubt: str) -> None:
    change, reasons = DOUBTS[doubt]
    assert shown.reasons() == []
    change(shown)
    assert shown.reasons() == reasons


def test_a_bit_is_that_of_the_credential_alone(shown: Shown) -> None:
    shown.lists = [listed("revocation", 6, 8), listed("suspension", 1, 131_072)]
    assert shown.reasons() == []


def test_credentials_behind_the_first_list_are_in_the_next() -> None:
    entry = document(vc.LIST_BITS + 1)["credentialStatus"][0]
    assert entry["statusListCredential"].endswith("/v1/credential-status/revocation?list=2")
    assert entry["statusListIndex"] == "0"
    assert document(vc.LIST_BITS)["credentialStatus"][0]["statusListIndex"] == str(vc.LIST_BITS - 1)


JWT_DOUBTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no algorithm": ({"alg": "none"}, {}, "malformed"),
    "a shared secret": ({"alg": "HS256"}, {}, "malformed"),
    "another type": ({"typ": "JWT"}, {}, "malformed"),
    "something critical": ({"crit": ["exp"]}, {}, "malformed"),
    "no key": ({"kid": None}, {}, "malformed"),
    "a stranger's key": ({"kid": OTHER.method}, {}, "wrong issuer"),
    "another end": ({}, {"validUntil": "2099-01-01T00:00:00Z"}, "tampered"),
    "a credential inside": ({}, {"vc": {}}, "malformed"),
}


@pytest.mark.parametrize("doubt", JWT_DOUBTS)
def test_a_jwt_closes_as_well(shown: Shown, doubt: str) -> None:
    token = vc.as_jwt(json.loads(shown.content), VENUE.method, VENUE.seed)
    head, body, signature = token.split(".")
    header, payload, reason = JWT_DOUBTS[doubt]
    shown.content = f"{_with(head, header)}.{_with(body, payload)}.{signature}"
    assert shown.reasons()[0] == reason
    shown.content = f"{head}.{body}."
    assert shown.reasons() == ["tampered"]


def _with(part: str, changes: dict[str, Any]) -> str:
    said = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return vc.unpadded(json.dumps({**said, **changes}, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "not a credential",
        "a.b.c",
        '{"proof": {}, "proof": {}}',
        '{"a": NaN}',
        '{"a":' * 2_000 + "1" + "}" * 2_000,
        b"\xff\xfe",
        "." * (vc.MOST_BYTES + 9),
        " {" + " " * vc.MOST_BYTES + "}",
    ],
)
def test_what_is_no_credential_is_malformed_and_raises_nothing(content: str | bytes) -> None:
    assert [fault.reason for fault in vc.verify(content, [], [], NOW_NS)] == ["malformed"]


def test_a_name_that_comes_twice_is_refused_even_where_the_last_one_is_signed(shown: Shown) -> None:
    shown.content = shown.content.replace('"issuer":', '"validUntil": "2099-01-01T00:00:00Z", "issuer":', 1)
    assert shown.reasons() == ["malformed"]


@given(st.binary(min_size=0, max_size=64))
def test_base58_gives_back_what_it_was_given(raw: bytes) -> None:
    assert vc.from_base58(vc.base58(raw)) == raw


@settings(max_examples=20)
@given(st.lists(st.integers(0, vc.LIST_BITS - 1), max_size=30))
def test_a_list_has_the_bits_that_were_set_from_the_left(indexes: list[int]) -> None:
    bits = vc.decoded_list(vc.encoded_list(indexes))
    assert len(bits) * 8 == vc.LIST_BITS
    assert [at for at in range(vc.LIST_BITS) if bits[at // 8] >> (7 - at % 8) & 1] == sorted(set(indexes))


@given(st.text(max_size=200), st.binary(max_size=64))
def test_no_noise_gets_through(text: str, raw: bytes) -> None:
    assert vc.verify(text, [VENUE.did_document()], [], NOW_NS)
    token = f"{vc.unpadded(raw)}.{vc.unpadded(text.encode('utf-8', 'replace'))}.{vc.unpadded(raw)}"
    assert vc.verify(token, [VENUE.did_document()], [], NOW_NS)


@given(st.integers(0, 2), st.integers(0, 10**6), st.characters(min_codepoint=32, max_codepoint=126))
def test_one_other_character_anywhere_closes(which: int, place: int, letter: str) -> None:
    """In the credential or in one of its lists: unless it is the same JSON, it does not verify any more."""
    shown = Shown()
    held = [shown.content, *shown.lists]
    at = place % len(held[which])
    changed = held[which][:at] + letter + held[which][at + 1 :]
    same = _parsed(changed) == _parsed(held[which])
    held[which] = changed
    shown.content, shown.lists = held[0], held[1:]
    assert (shown.reasons() == []) == same


@given(st.integers(0, 10**6), st.characters(min_codepoint=33, max_codepoint=126))
def test_one_other_character_of_a_token_closes(place: int, letter: str) -> None:
    shown = Shown()
    token = vc.as_jwt(json.loads(shown.content), VENUE.method, VENUE.seed)
    at = place % len(token)
    shown.content = token[:at] + letter + token[at + 1 :]
    assert (shown.reasons() == []) == (letter == token[at])


def test_a_signature_has_one_spelling(shown: Shown) -> None:
    """86 digits hold four bits more than its 64 bytes: another last digit would be the same signature."""
    token = vc.as_jwt(json.loads(shown.content), VENUE.method, VENUE.seed)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    passing = []
    for letter in alphabet:
        shown.content = token[:-1] + letter
        passing += [letter] if shown.reasons() == [] else []
    assert passing == [token[-1]]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T08:00:00+08:00", 0),
        ("1970-01-01T00:00:00.5Z", 500_000_000),
    ],
)
def test_instants_are_those_of_xml_schema(text: str, at_ns: int) -> None:
    assert vc.instant(text) == at_ns


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00", "1970-01-01", "1970-02-30T00:00:00Z", "", None, 5])
def test_what_has_no_zone_or_no_day_is_no_instant(text: Any) -> None:
    with pytest.raises(vc.Malformed):
        vc.instant(text)


def test_a_document_says_who_and_what_and_leaves_out_what_is_empty() -> None:
    subject = document()["credentialSubject"]
    assert subject["unifiedSocialCreditCode"] == CLAIMS.uscc
    assert subject["classes"] == ["merchant"]
    assert "boards" not in subject
    assert vc.public_of(subject["id"].removeprefix("did:key:")) == bytes(range(32))


def test_the_list_is_the_same_bytes_each_time() -> None:
    said = vc.encoded_list([3, 5])
    assert hashlib.sha256(said.encode()).digest() == hashlib.sha256(vc.encoded_list([5, 3]).encode()).digest()
