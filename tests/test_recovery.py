"""An operator's lost key, a participant's own, the venue's token key: replaced, and what was before opens nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.story import Person, Venue, done, refused, shuji


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    running = Venue(tmp_path / "venue")
    yield running.start()
    running.close()


def holder(venue: Venue) -> Person:
    """Of the key that lies in the data folder now."""
    return venue.holder_of("operator.key")


def status_with(venue: Venue, token: str) -> int:
    return venue.http.get("/v1/operations", headers={"Authorization": f"Bearer {token}"}).status_code


def sign_in_refused(venue: Venue, person: Person) -> None:
    challenge = done(venue.http.post("/v1/login/challenge", json={"participant": person.participant}))[
        "challenge"
    ]
    body = {"participant": person.participant, "challenge": challenge, "signature": person.sign(challenge)}
    assert venue.http.post("/v1/login", json=body).status_code in (401, 403)


def test_a_lost_operator_key_is_recovered_by_whoever_owns_the_folder(venue: Venue) -> None:
    old, old_token = holder(venue), holder(venue).token
    running = shuji("recover-operator", "--data", str(venue.data))
    assert running.returncode == 1
    assert "stop it first" in running.stderr
    assert venue.stop() == 0
    (venue.data / "operator.key").unlink()
    run = shuji("recover-operator", "--data", str(venue.data), "--json")
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["participant"] == old.participant
    assert (venue.data / "operator.key").stat().st_mode & 0o777 == 0o600
    venue.restart()
    assert status_with(venue, old_token) == 401
    sign_in_refused(venue, old)
    new = holder(venue)
    assert (new.participant, new.public_key) == (old.participant, answer["public_key"])
    assert new.get("/v1/operations").status_code == 200
    checked = shuji("verify", "--data", str(venue.data), "--json")
    assert json.loads(checked.stdout)["clean"]


def test_killed_between_journal_and_file_it_goes_on(venue: Venue) -> None:
    """As it is then: the draft's key is journaled, operator.key is still the old one."""
    assert venue.stop() == 0
    assert shuji("recover-operator", "--data", str(venue.data)).returncode == 0
    key, old, draft = (venue.data / name for name in ("operator.key", "operator.key.old", "operator.key.new"))
    expected = key.read_bytes()
    key.replace(draft)
    old.replace(key)
    assert shuji("recover-operator", "--data", str(venue.data)).returncode == 0
    assert key.read_bytes() == expected
    assert not draft.exists()
    venue.restart()
    assert holder(venue).get("/v1/operations").status_code == 200


def test_nobody_but_an_operator_is_recovered(venue: Venue) -> None:
    buyer = venue.buyer()
    assert venue.stop() == 0
    run = shuji("recover-operator", "--data", str(venue.data), "--participant", buyer.participant)
    assert run.returncode == 1
    assert "nobody else" in run.stderr
    assert shuji("recover-operator", "--data", str(venue.data), "--participant", "P99").returncode == 1
    venue.restart()
    assert buyer.get("/v1/accounts/me").status_code == 200
    assert holder(venue).get("/v1/operations").status_code == 200


def test_a_participant_rotates_its_own_key(venue: Venue) -> None:
    buyer = venue.buyer()
    old_token, new = buyer.token, venue.stranger()
    text = f"shuji-key:{buyer.participant}:{new.public_key}"
    body = {"public_key": new.public_key, "signature": new.sign(text), "old_signature": buyer.sign(text)}
    refused(buyer.post("/v1/participants/me/key", body | {"old_signature": new.sign(text)}), 401)
    done(buyer.post("/v1/participants/me/key", body))
    assert (
        venue.http.get("/v1/accounts/me", headers={"Authorization": f"Bearer {old_token}"}).status_code == 401
    )
    sign_in_refused(venue, buyer)
    assert Person(venue, new.key, buyer.participant).get("/v1/accounts/me").status_code == 200


def test_the_operator_rotates_its_key_as_the_runbook_says(venue: Venue) -> None:
    old, new = str(venue.data / "operator.key"), str(venue.data.parent / "new.key")
    public = shuji("key", "--out", new).stdout.strip()
    text = f"shuji-key:P1:{public}"
    signature, old_signature = (shuji("sign", text, "--key", key).stdout.strip() for key in (new, old))
    body = json.dumps({"public_key": public, "signature": signature, "old_signature": old_signature})
    changed = shuji("call", "POST", "/v1/participants/me/key", body, "--key", old, "--url", venue.url)
    assert changed.returncode == 0, changed.stderr
    Path(new).replace(old)
    assert shuji("login", "--key", old, "--participant", "P1", "--url", venue.url).returncode == 0
    asked = shuji("call", "GET", "/v1/operations", "--key", old, "--url", venue.url)
    assert asked.returncode == 0, asked.stderr


def test_a_new_token_key_ends_every_session(venue: Venue) -> None:
    """As the runbook says: stop, remove token.key, start."""
    token = holder(venue).token
    assert venue.stop() == 0
    (venue.data / "token.key").unlink()
    venue.restart()
    assert status_with(venue, token) == 401
    assert (venue.data / "token.key").stat().st_mode & 0o777 == 0o600
    assert holder(venue).get("/v1/operations").status_code == 200
