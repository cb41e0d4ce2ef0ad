"""Other people's libraries verify what the venue signs, and close where it is not good: @digitalbazaar/vc and jose."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from credit import vc
from tests import verifier
from tests.credit.test_vc import ALUMNI, METHOD, NOW_NS, OPTIONS, OTHER, SECRET, VENUE, document, listed

NOW = "2026-11-23T11:00:00Z"


class Shown:
    """What is shown to the verifier; good unless a test puts something else in its place."""

    def __init__(self) -> None:
        self.credential: Any = json.loads(VENUE.sign(document()))
        self.did: Any = VENUE.did_document()
        self.lists: list[Any] = [json.loads(listed("revocation")), json.loads(listed("suspension"))]
        self.now = NOW

    def reasons(self) -> str:
        return " | ".join(verifier.reasons(self.credential, self.did, self.lists, self.now))


@pytest.fixture
def shown() -> Shown:
    verifier.need()
    return Shown()


def test_a_good_credential_passes_in_both_forms(shown: Shown) -> None:
    assert shown.reasons() == ""
    shown.credential = vc.as_jwt(shown.credential, VENUE.method, VENUE.seed)
    assert shown.reasons() == ""


def _list(at: int, purpose: str, *numbers: int, **changes: Any) -> Callable[[Shown], None]:
    def put(shown: Shown) -> None:
        shown.lists[at] = json.loads(listed(purpose, *numbers, **changes))

    return put


def _emptied(shown: Shown) -> None:
    """The bits of a list in which nobody is revoked, under the proof of one in which it is."""
    nothing = shown.lists[0]["credentialSubject"]
    shown.lists[0] = {**json.loads(listed("revocation", 7)), "credentialSubject": nothing}


def _renamed(shown: Shown) -> None:
    shown.did = json.loads(json.dumps(shown.did).replace(shown.did["id"], "did:web:other.example"))


DOUBTS: dict[str, tuple[Callable[[Shown], None], str]] = {
    "tampered": (lambda shown: shown.credential.update(validUntil="2099-01-01T00:00:00Z"), "Invalid signature"),
    "expired": (lambda shown: setattr(shown, "now", "2035-01-01T00:00:00Z"), 'after "validUntil"'),
    "not yet valid": (lambda shown: setattr(shown, "now", "2020-01-01T00:00:00Z"), 'before "validFrom"'),
    "revoked": (_list(0, "revocation", 7), "revoked"),
    "suspended": (_list(1, "suspension", 7), "suspended"),
    "wrong issuer": (_renamed, "no key"),
    "signed by a stranger": (lambda shown: setattr(shown, "credential", json.loads(OTHER.sign(document()))), "no key"),
    "a key that may not assert": (lambda shown: shown.did.update(assertionMethod=[]), "not authorized"),
    "a key that has ended": (
        lambda shown: setattr(shown, "did", VENUE.did_document(NOW_NS + 60_000_000_000)), "has ended"),
    "a DID document of last week": (lambda shown: shown.did.update(validUntil=NOW), "DID document is stale"),
    "a list that cannot be reached": (lambda shown: shown.lists.pop(), "status list missing"),
    "no list at all": (lambda shown: shown.lists.clear(), "status list missing"),
    "a list that is stale": (lambda shown: setattr(shown, "now", "2026-11-25T11:00:00Z"), "status list not verified"),
    "a list that was emptied": (_emptied, "status list not verified"),
    "a list for another purpose": (_list(0, "suspension", id="https://venue.example/v1/credential-status/revocation"),
                                   "status not known"),
}  # fmt: skip


@pytest.mark.parametrize("doubt", DOUBTS)
def test_any_doubt_closes_a_document(shown: Shown, doubt: str) -> None:
    change, said = DOUBTS[doubt]
    change(shown)
    assert said in shown.reasons()


def _later(shown: Shown) -> None:
    """By a DID document of then."""
    shown.now = "2035-01-01T00:00:00Z"
    shown.did["validUntil"] = "2035-01-02T00:00:00Z"


JWT_DOUBTS: dict[str, tuple[Callable[[Shown], None], str]] = {
    "tampered": (lambda shown: setattr(shown, "credential", _with_another_body(shown.credential)),
                 "signature verification failed"),
    "expired": (_later, "expired"),
    "revoked": (_list(0, "revocation", 7), "revoked"),
    "suspended": (_list(1, "suspension", 7), "suspended"),
    "wrong issuer": (_renamed, "no key"),
    "a list that cannot be reached": (lambda shown: shown.lists.clear(), "status list missing"),
}  # fmt: skip


def _with_another_body(token: str) -> str:
    head, _, signature = token.split(".")
    other = vc.unpadded(json.dumps({**document(), "validUntil": "2099-01-01T00:00:00Z"}).encode())
    return f"{head}.{other}.{signature}"


@pytest.mark.parametrize("doubt", JWT_DOUBTS)
def test_any_doubt_closes_a_jwt(shown: Shown, doubt: str) -> None:
    change, said = JWT_DOUBTS[doubt]
    shown.credential = vc.as_jwt(shown.credential, VENUE.method, VENUE.seed)
    change(shown)
    assert said in shown.reasons()


def test_both_verifiers_take_the_published_vector(shown: Shown) -> None:
    """The context of its examples is not at hand there: it is left out here, and the rest signed by the same key."""
    sign = Ed25519PrivateKey.from_private_bytes(vc.from_base58(SECRET[1:])[2:]).sign
    said = {**ALUMNI, "@context": [vc.CONTEXT]}
    shown.credential = vc.proved(said, OPTIONS, sign)
    issuer, _, multikey = METHOD.partition("#")
    row = {"id": METHOD, "type": "Multikey", "controller": issuer, "publicKeyMultibase": multikey}
    shown.did = {"@context": ["https://www.w3.org/ns/did/v1"], "id": issuer, "assertionMethod": [METHOD],
                 "verificationMethod": [row]}  # fmt: skip
    assert shown.reasons() == ""
    shown.credential["name"] = "another"
    assert "Invalid signature" in shown.reasons()


def test_in_ci_a_skip_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("SHUJI_CI", "1")
    with pytest.raises(pytest.fail.Exception, match="in CI"):
        verifier.need()
    monkeypatch.delenv("SHUJI_CI")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        verifier.need()
