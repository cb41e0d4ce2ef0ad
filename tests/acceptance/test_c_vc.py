"""Issue 6, "Credentials": W3C Verifiable Credentials 2.0 that anybody verifies, without asking the venue.

The checks compute the proof themselves (VC Data Integrity, eddsa-jcs-2022; RFC 7515 for the JWT; Bitstring Status List).
What they expect; more members are welcome:

    GET  /.well-known/did.json              open: id (did:web:...), verificationMethod: [{id, type: Multikey, controller,
         publicKeyMultibase}], assertionMethod: the keys that still verify
    GET  /v1/credential-status/revocation   and .../suspension, open: a signed BitstringStatusListCredential, validUntil
    GET  /v1/credentials?subject=P2         own; offices: anybody's. items: credential (C1), kind (merchant, registration,
         entitlement), subject, state (issued, suspended, revoked, expired)
    GET  /v1/credentials/{credential}       application/vc; with `Accept: application/vc+jwt` a compact JWT
    POST /v1/venue-key {reason}             a new key (operator), or `shuji credential rotate-key --data DIR` at rest
    `shuji credential verify FILE --did FILE --status FILE FILE --at ISO`: status 0 and "valid", else 1 and each reason
"""

import base64
import gzip
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.story import ROOT, SHARED, Person, Venue, done, instant, parsed, shuji

Document = dict[str, Any]

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LEAST_BITS = 131_072
STATUS_PURPOSES = ("revocation", "suspension")


# -- the outsider's arithmetic


def base58(text: str) -> bytes:
    """The bytes of a multibase text in base58btc."""
    assert text[0] == "z", text
    number = 0
    for letter in text[1:]:
        number = number * 58 + ALPHABET.index(letter)
    zeros = len(text) - 1 - len(text[1:].lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)


def canonical(document: Any) -> bytes:
    """RFC 8785, of documents whose keys are ASCII and that have no fractions."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def ed25519(multikey: str) -> Ed25519PublicKey:
    raw = base58(multikey)
    assert raw[:2] == b"\xed\x01", "Multikey of an Ed25519 key"
    return Ed25519PublicKey.from_public_bytes(raw[2:])


def assert_proved(document: Document, key: Ed25519PublicKey) -> None:
    """VC Data Integrity EdDSA Cryptosuites 1.0, 3.3: raises where the proof is not of this document."""
    body = {name: value for name, value in document.items() if name != "proof"}
    options = {name: value for name, value in document["proof"].items() if name != "proofValue"}
    options["@context"] = document["@context"]
    assert (options["type"], options["cryptosuite"]) == ("DataIntegrityProof", "eddsa-jcs-2022")
    assert options["proofPurpose"] == "assertionMethod"
    digest = hashlib.sha256(canonical(options)).digest() + hashlib.sha256(canonical(body)).digest()
    key.verify(base58(document["proof"]["proofValue"]), digest)


def unpadded(text: str) -> bytes:
    """base64url without its padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def bits(status_list: Document) -> bytes:
    encoded = status_list["credentialSubject"]["encodedList"]
    assert encoded[0] == "u", "multibase base64url"
    return gzip.decompress(unpadded(encoded[1:]))


def is_set(status_list: Document, credential: Document) -> bool:
    """Bit `statusListIndex` of the list, from the left (Bitstring Status List 1.0, 3.2)."""
    purpose = status_list["credentialSubject"]["statusPurpose"]
    [entry] = [one for one in credential["credentialStatus"] if one["statusPurpose"] == purpose]
    index = int(entry["statusListIndex"])
    return bool(bits(status_list)[index // 8] >> (7 - index % 8) & 1)


def vector() -> Document:
    found: Document = json.loads((SHARED / "data" / "w3c-vc-di-eddsa" / "vectors.json").read_text())
    proof = {
        **found["eddsa-jcs-2022"]["proofOptions"],
        "proofValue": found["eddsa-jcs-2022"]["proofValue"],
    }
    return {**found["document"], "proof": proof}


# -- the venue


def did_document(venue: Venue) -> Document:
    found: Document = done(venue.http.get("/.well-known/did.json"), 200)
    return found


def key_of(did: Document, method: str) -> Ed25519PublicKey:
    """The key that a proof names; it must be one of those that assert."""
    assert method in did["assertionMethod"], method
    [found] = [one for one in did["verificationMethod"] if one["id"] == method]
    assert (found["type"], found["controller"]) == ("Multikey", did["id"])
    return ed25519(found["publicKeyMultibase"])


def assert_signed_by_the_venue(venue: Venue, document: Document) -> None:
    did = did_document(venue)
    issuer = document["issuer"]
    assert (issuer if isinstance(issuer, str) else issuer["id"]) == did["id"]
    assert_proved(document, key_of(did, document["proof"]["verificationMethod"]))


def credentials(asked_by: Person, subject: Person, kind: str) -> list[Document]:
    found = asked_by.every("/v1/credentials", subject=subject.participant)
    return [row for row in found if row["kind"] == kind]


def credential(person: Person, kind: str = "merchant") -> Document:
    """The row of the only credential of its kind."""
    [row] = credentials(person, person, kind)
    return row


def document(person: Person, kind: str = "merchant") -> Document:
    answer = person.get(f"/v1/credentials/{credential(person, kind)['credential']}")
    assert answer.headers["content-type"].startswith("application/vc"), answer.headers["content-type"]
    found: Document = done(answer, 200)
    return found


def token(person: Person, kind: str = "merchant") -> str:
    path = f"/v1/credentials/{credential(person, kind)['credential']}"
    answer = person.ask("GET", path, headers={"Accept": "application/vc+jwt"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/vc+jwt")
    return answer.text.strip()


def status_list(venue: Venue, purpose: str) -> Document:
    found: Document = done(venue.http.get(f"/v1/credential-status/{purpose}"), 200)
    return found


def confirmed(venue: Venue, person: Person, step: str) -> None:
    """A step that two verified reviewers of two houses take together; where one is enough, one."""
    alone = step not in ("suspend", "revoke")
    done(venue.accreditation(person, step) if alone else venue.discipline(person, step))


class Files:
    """What somebody carries to another venue: credential, DID document, status lists."""

    def __init__(self, folder: Path, venue: Venue, credential: Document | str) -> None:
        self.credential, self.did = credential, did_document(venue)
        self.status = {purpose: status_list(venue, purpose) for purpose in STATUS_PURPOSES}
        self.folder, self.at = folder, instant(venue.now())

    def verified(self) -> subprocess.CompletedProcess[str]:
        """By the command, offline."""
        text = self.credential if isinstance(self.credential, str) else json.dumps(self.credential)
        file, did = self.folder / "credential", self.folder / "did.json"
        file.write_text(text)
        did.write_text(json.dumps(self.did))
        lists = []
        for purpose, content in self.status.items():
            lists.append(str(self.folder / f"{purpose}.json"))
            Path(lists[-1]).write_text(json.dumps(content))
        options = ["--did", str(did), "--at", self.at, *(["--status", *lists] if lists else [])]
        return shuji("credential", "verify", str(file), *options)

    def valid(self) -> bool:
        run = self.verified()
        assert "Traceback" not in run.stderr, run.stderr
        assert (run.returncode == 0) == run.stdout.strip().lower().startswith("valid"), run.stdout
        return run.returncode == 0


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def files(venue: Venue, merchant: Person, tmp_path: Path) -> Files:
    return Files(tmp_path, venue, document(merchant))


def test_the_outsiders_arithmetic_is_that_of_the_recommendation() -> None:
    """Line: "The published eddsa-jcs-2022 vector": it is proved, and nothing else is."""
    published = vector()
    key = ed25519(published["proof"]["verificationMethod"].partition("#")[2])
    assert_proved(published, key)
    with pytest.raises(InvalidSignature):
        assert_proved({**published, "name": "another"}, key)


# -- what the venue issues


def test_an_accreditation_is_a_credential_of_the_venue(venue: Venue, merchant: Person) -> None:
    """Line: "W3C Verifiable Credentials 2.0: `eddsa-jcs-2022` Data Integrity stored, ... did:web document"."""
    found = document(merchant)
    assert found["@context"][0] == "https://www.w3.org/ns/credentials/v2"
    assert "VerifiableCredential" in found["type"]
    assert did_document(venue)["id"].startswith("did:web:")
    assert parsed(found["validFrom"]) <= venue.now() < parsed(found["validUntil"])
    assert merchant.uscc in json.dumps(found["credentialSubject"], ensure_ascii=False)
    assert {one["statusPurpose"] for one in found["credentialStatus"]} == set(STATUS_PURPOSES)
    assert all(one["type"] == "BitstringStatusListEntry" for one in found["credentialStatus"])
    assert_signed_by_the_venue(venue, found)
    assert credential(merchant)["state"] == "issued"
    neighbour = venue.buyer(cash_fen=0)
    seen = neighbour.get("/v1/credentials", subject=merchant.participant)
    assert seen.status_code in (403, 404) or not seen.json()["items"]
    assert credentials(venue.desk, merchant, "merchant")


def test_the_same_credential_as_a_jwt(venue: Venue, merchant: Person, tmp_path: Path) -> None:
    """Line: "`vc+jwt` on request"; `shuji credential verify` takes it as well."""
    compact = token(merchant)
    head, body, signature = compact.split(".")
    header = json.loads(unpadded(head))
    assert (header["alg"], header["typ"]) == ("EdDSA", "vc+jwt")
    key = key_of(did_document(venue), header["kid"])
    key.verify(unpadded(signature), f"{head}.{body}".encode())
    said, stored = json.loads(unpadded(body)), document(merchant)
    assert said["id"] == stored["id"]
    assert said["credentialSubject"] == stored["credentialSubject"]
    assert Files(tmp_path, venue, compact).valid()
    other = base64.urlsafe_b64encode(canonical({**said, "validUntil": "2099-01-01T00:00:00Z"})).decode()
    assert not Files(tmp_path, venue, f"{head}.{other.rstrip('=')}.{signature}").valid()


def test_two_status_lists_are_credentials_too(venue: Venue, merchant: Person) -> None:
    """Line: "Bitstring Status List for revocation and suspension (two lists, at least 131,072 bits)"."""
    entries = {one["statusPurpose"]: one for one in document(merchant)["credentialStatus"]}
    for purpose in STATUS_PURPOSES:
        found = status_list(venue, purpose)
        assert "BitstringStatusListCredential" in found["type"]
        assert found["credentialSubject"]["type"] == "BitstringStatusList"
        assert found["credentialSubject"]["statusPurpose"] == purpose
        assert len(bits(found)) * 8 >= LEAST_BITS
        assert venue.now() < parsed(found["validUntil"])
        assert entries[purpose]["statusListCredential"] == found["id"]
        assert_signed_by_the_venue(venue, found)


def test_certificates_and_entitlements_are_issued_the_same_way(venue: Venue, merchant: Person) -> None:
    """Line: "Registration certificates (M8) and entitlements are issued the same way"; each follows what it certifies."""
    owner, buyer = venue.merchant(), venue.buyer()
    product = venue.product(owner)
    certificate = done(owner.get(f"/v1/products/{product}"), 200)["certificate"]
    assert certificate in json.dumps(document(owner, "registration"))
    trade = venue.trade(buyer, venue.listing(owner, product))
    venue.complete(owner, buyer, trade)
    entitlement = venue.read_trade(trade, buyer)["entitlement"]
    sold = document(buyer, "entitlement")
    assert entitlement in json.dumps(sold)
    for found in (document(owner, "registration"), sold):
        assert_signed_by_the_venue(venue, found)
    suspension = {"reason": "misuse is looked into", "evidence_sha256": "0" * 64}
    done(owner.post(f"/v1/entitlements/{entitlement}/suspend", suspension))
    assert is_set(status_list(venue, "suspension"), sold)
    assert not is_set(status_list(venue, "revocation"), sold)


def test_a_credential_is_the_same_after_kill_9(venue: Venue, merchant: Person) -> None:
    """Line: "`eddsa-jcs-2022` Data Integrity stored": what was issued is answered to the byte, by the same key."""
    stored, did = document(merchant), did_document(venue)
    venue.kill()
    venue.restart()
    assert document(merchant) == stored
    assert did_document(venue) == did


# -- whoever verifies


def test_the_published_vector_verifies(tmp_path: Path) -> None:
    """Line: "The published eddsa-jcs-2022 vector ... is reproduced byte for byte": to the command it is a credential."""
    published = vector()
    method = published["proof"]["verificationMethod"]
    issuer, _, multikey = method.partition("#")
    key = {"id": method, "type": "Multikey", "controller": issuer, "publicKeyMultibase": multikey}
    did = {"id": issuer, "verificationMethod": [key], "assertionMethod": [method]}
    (tmp_path / "did.json").write_text(json.dumps(did))
    outcomes = []
    for changed in ({}, {"name": "another"}):
        (tmp_path / "vc.json").write_text(json.dumps({**published, **changed}))
        files = str(tmp_path / "vc.json"), "--did", str(tmp_path / "did.json")
        run = shuji("credential", "verify", *files, "--at", "2026-11-01T00:00:00Z")
        outcomes.append((run.returncode, "tampered" in run.stdout.lower()))
    assert outcomes == [(0, False), (1, True)]


def _renamed(did: Document) -> Document:
    """The same keys under another venue's name."""
    return dict(json.loads(json.dumps(did).replace(did["id"], "did:web:other.example")))


def _emptied(files: Files) -> None:
    """A list that says of nobody anything, with the proof of the real one."""
    nothing = base64.urlsafe_b64encode(gzip.compress(bytes(LEAST_BITS // 8))).decode().rstrip("=")
    files.status["revocation"]["credentialSubject"]["encodedList"] = "u" + nothing
    files.status["revocation"]["validUntil"] = "2099-01-01T00:00:00Z"


def _tampered(files: Files) -> None:
    assert isinstance(files.credential, dict)
    files.credential["validUntil"] = "2099-01-01T00:00:00Z"


DOUBTS: dict[str, Callable[[Files], None]] = {
    "tampered": _tampered,
    "expired": lambda files: setattr(files, "at", "2035-01-01T00:00:00Z"),
    "not yet valid": lambda files: setattr(files, "at", "2001-01-01T00:00:00Z"),
    "wrong issuer": lambda files: setattr(files, "did", _renamed(files.did)),
    "missing": lambda files: files.status.clear(),
    "not verified": _emptied,
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_good_credential_passes_and_any_doubt_closes(files: Files, doubt: str) -> None:
    """Line: "good passes; tampered, expired, ... wrong issuer, status list unreachable each fail, closed"."""
    assert files.valid()
    DOUBTS[doubt](files)
    assert not files.valid()
    assert doubt in files.verified().stdout.lower()


def test_a_stale_status_list_closes(venue: Venue, files: Files) -> None:
    """Line: "with DID document and status list as files (closed when they are stale)"."""
    assert files.valid()
    assert isinstance(files.credential, dict)
    until = max(parsed(content["validUntil"]) for content in files.status.values())
    assert until < parsed(files.credential["validUntil"]), "a list is fresh for less time than a credential"
    files.at = instant(until + (until - venue.now()))
    assert not files.valid()
    assert "stale" in files.verified().stdout.lower()


def test_a_verified_list_is_not_an_unrevoked_status(venue: Venue, tmp_path: Path) -> None:
    """Line: "revoked, suspended ... fail", restored passes: "a verified status *list* is not an unrevoked *status*"."""
    merchant = venue.merchant()
    mine = document(merchant)
    seen = []
    for step in ("suspend", "restore", "revoke"):
        confirmed(venue, merchant, step)
        files = Files(tmp_path, venue, mine)
        for content in files.status.values():
            assert_signed_by_the_venue(venue, content)
        seen.append([is_set(files.status[purpose], mine) for purpose in STATUS_PURPOSES])
        said = files.verified()
        assert (said.returncode == 0) == (step == "restore"), said.stdout
        assert step == "restore" or {"suspend": "suspended", "revoke": "revoked"}[step] in said.stdout.lower()
    assert seen[:2] == [[False, True], [False, False]]
    assert seen[2][0]
    assert credential(merchant)["state"] == "revoked"


def test_an_independent_verifier_is_locked_and_ci_installs_what_runs_it() -> None:
    """Line: "an independent JavaScript verifier (`@digitalbazaar/vc` ...; `jose` ...) run by a test (`.ci/run` installs
    Node; in CI a skip is a failure)". The run itself is that test's affair."""
    folder = ROOT / "tests" / "javascript"
    package = json.loads((folder / "package.json").read_text())
    wanted = {**package.get("dependencies", {}), **package.get("devDependencies", {})}
    assert {"@digitalbazaar/vc", "@digitalbazaar/eddsa-jcs-2022-cryptosuite", "jose"} <= set(wanted)
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert all(row.get("integrity") for name, row in locked.items() if name)
    assert not [name for name, row in locked.items() if "resolved" in row]
    assert "node" in (ROOT / ".ci" / "run").read_text().lower()


# -- the venue's key; these come last: they change it, and move the clock far


def rotate(venue: Venue) -> None:
    answer = venue.operator.post("/v1/venue-key", {"reason": "a key a year"})
    if answer.status_code not in (404, 405):
        done(answer)
        return
    venue.stop()
    run = shuji("credential", "rotate-key", "--data", str(venue.data))
    venue.restart()
    assert run.returncode == 0, run.stderr


def test_a_new_key_signs_and_the_old_one_still_verifies(
    venue: Venue, merchant: Person, tmp_path: Path
) -> None:
    """Line: "key rotation with overlap"; what was signed before is what it was."""
    mine, before = document(merchant), did_document(venue)
    rotate(venue)
    after = did_document(venue)
    assert len(after["assertionMethod"]) == len(before["assertionMethod"]) + 1
    assert_signed_by_the_venue(venue, mine)
    assert Files(tmp_path, venue, mine).valid()
    fresh = document(venue.merchant())
    assert_signed_by_the_venue(venue, fresh)
    method = fresh["proof"]["verificationMethod"]
    assert method not in [one["id"] for one in before["verificationMethod"]]
    assert mine["proof"]["verificationMethod"] != method


def test_a_key_that_is_too_old_is_an_alert(venue: Venue) -> None:
    """Line: "an alarm on key age"; a new key ends it for the new one. (The last check: it moves far.)"""

    def aged() -> list[Document]:
        return [row for row in venue.operator.every("/v1/alerts") if "key" in row["kind"]]

    rotate(venue)
    assert not aged()
    venue.advance(days=1_100)
    assert aged()
