"""Credentials of a running venue: other libraries verify them; kill -9, a key that changes half-way, altered rows."""

import base64
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests import verifier
from tests.story import Person, Venue, done, instant, shuji


def credential_of(person: Person, kind: str = "merchant") -> str:
    """The id of the newest one of its kind that is in force."""
    found = list(person.every("/v1/credentials", kind=kind, state="issued"))
    return str(found[0]["credential"])


def document(person: Person, identifier: str) -> Any:
    return done(person.get(f"/v1/credentials/{identifier}"), 200)


def did(venue: Venue) -> Any:
    return done(venue.http.get("/.well-known/did.json"), 200)


def lists(venue: Venue) -> list[Any]:
    purposes = ("revocation", "suspension")
    return [done(venue.http.get(f"/v1/credential-status/{purpose}"), 200) for purpose in purposes]


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


def test_other_peoples_libraries_verify_what_this_venue_issues(venue: Venue, merchant: Person) -> None:
    """The same credential in both forms; then its bit is set, and the same lists of other venues' verifiers say so."""
    verifier.need()
    identifier = credential_of(merchant)
    mine, now = document(merchant, identifier), instant(venue.now())
    headers = {"Accept": "application/vc+jwt"}
    token = merchant.ask("GET", f"/v1/credentials/{identifier}", headers=headers).text
    for form in (mine, token):
        assert verifier.reasons(form, did(venue), lists(venue), now) == []
    done(venue.discipline(merchant, "suspend"))
    for form in (mine, token):
        assert verifier.reasons(form, did(venue), lists(venue), now) == ["suspended"]
    done(venue.accreditation(merchant, "restore"))
    assert verifier.reasons(mine, did(venue), lists(venue), now) == []


def test_a_status_list_as_jwt(venue: Venue, merchant: Person, tmp_path: Path) -> None:
    """Whoever takes tokens takes lists as tokens."""
    (tmp_path / "did.json").write_text(json.dumps(did(venue)))
    (tmp_path / "vc.json").write_text(json.dumps(document(merchant, credential_of(merchant))))
    files = []
    for purpose in ("revocation", "suspension"):
        answer = venue.http.get(f"/v1/credential-status/{purpose}", headers={"Accept": "application/vc+jwt"})
        assert answer.headers["content-type"].startswith("application/vc+jwt")
        files.append(str(tmp_path / f"{purpose}.jwt"))
        Path(files[-1]).write_text(answer.text)
    asked = ("credential", "verify", str(tmp_path / "vc.json"), "--did", str(tmp_path / "did.json"))
    run = shuji(*asked, "--status", *files, "--at", instant(venue.now()), "--json")
    assert json.loads(run.stdout) == {"valid": True, "faults": []}, run.stderr


def test_who_sees_what(venue: Venue, merchant: Person) -> None:
    identifier = credential_of(merchant)
    stranger = venue.buyer(cash_fen=0)
    assert stranger.get(f"/v1/credentials/{identifier}").status_code == 404
    assert stranger.get("/v1/credentials", subject=merchant.participant).status_code == 403
    assert done(stranger.get("/v1/credentials"), 200)["items"] == []
    assert done(venue.operator.get("/v1/credentials"), 200)["items"]
    assert document(venue.operator, identifier) == document(merchant, identifier)
    assert venue.http.get("/v1/credential-status/revocation", params={"list": 2}).status_code == 404
    assert venue.http.get("/v1/credential-status/message").status_code == 404
    assert merchant.post("/v1/venue-key", {"reason": "mine"}).status_code == 403


def test_a_key_that_was_adopted_and_not_moved_yet_is_found_at_the_start(
    venue: Venue, merchant: Person
) -> None:
    """Killed between the journal's word and the file's move: the draft beside the old key is the one that signs."""
    file, drafted = venue.data / "venue.key", venue.data / "venue.key.next"
    old, identifier = file.read_bytes(), credential_of(merchant)
    done(venue.operator.post("/v1/venue-key", {"reason": "a key a year", "overlap_days": 30}))
    signed, keys = document(merchant, identifier), did(venue)
    assert len(keys["verificationMethod"]) == 2
    assert [("expires" in row) for row in keys["verificationMethod"]] == [False, True]
    venue.kill()
    drafted.write_bytes(file.read_bytes())
    file.write_bytes(old)
    drafted.chmod(0o600)
    venue.restart()
    assert not drafted.exists()
    assert did(venue) == keys
    assert document(merchant, identifier) == signed
    checkpoint = done(venue.http.get("/v1/evidence/checkpoint"), 200)
    raw = json.loads(file.read_bytes())["public_key"]
    assert checkpoint["public_key"] == raw
    assert len(base64.b64decode(raw)) == 32


def test_a_draft_that_was_not_adopted_is_nothing(venue: Venue, merchant: Person) -> None:
    """Killed before the journal's word: the old key goes on."""
    before = did(venue)
    venue.kill()
    other = shuji("key", "--out", str(venue.data / "venue.key.next"))
    assert other.returncode == 0, other.stderr
    venue.restart()
    assert did(venue) == before
    run = shuji(
        "credential", "rotate-key", "--data", str(venue.data), "--url", venue.url, "--overlap-days", "0"
    )
    assert run.returncode == 0, run.stderr
    [row] = [one for one in did(venue)["verificationMethod"] if "expires" not in one]
    assert row["id"] in run.stdout
    stolen = before["assertionMethod"][0]
    assert stolen not in did(venue)["assertionMethod"]


async def test_verify_names_a_document_that_was_altered(venue: Venue, merchant: Person) -> None:
    """What is kept is held against the journal: another word, another key, another's signature."""
    identifier = credential_of(merchant)
    document(merchant, identifier)

    def verified() -> tuple[int, str]:
        run = shuji("verify", "--data", str(venue.data), seconds=120)
        return run.returncode, run.stdout

    assert verified()[0] == 0
    connection = await asyncpg.connect(venue.database)
    try:
        was = await connection.fetch("SELECT * FROM credential_document WHERE credential = $1", identifier)
        body = was[0]["body"]
        for wrong in (body.replace('"validUntil":"2', '"validUntil":"3', 1), body.replace("z", "y", 1), "{}"):
            await connection.execute("UPDATE credential_document SET body = $1 WHERE body = $2", wrong, body)
            status, said = verified()
            await connection.execute("UPDATE credential_document SET body = $1 WHERE body = $2", body, wrong)
            assert status == 1
            assert f"credential_document, {identifier}" in said
    finally:
        await connection.close()
    assert verified()[0] == 0
