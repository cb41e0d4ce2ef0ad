"""Tokens and challenges: what opens the door, how long, and how often."""

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from credit.merchant import Participant
from exchange.events import Refused
from exchange.state import Entrance, NamedKey
from exchange.web import access
from exchange.web.access import (
    CHALLENGE_NS,
    TOKEN_NS,
    Challenges,
    Tokens,
    bearer,
    load_key,
    registration_text,
    signed_by,
)
from exchange.web.problem import Refusing
from exchange.web.scopes import BITS, EVERYTHING, SCOPES, names_of

NOW = 1_795_428_000_000_000_000
KEY = bytes(range(32))
PEOPLE = {f"P{number}": Participant(id=f"P{number}", legal_name="name") for number in range(1, 11)}


def holder(tokens: Tokens, token: str, now_ns: int = NOW, people: Any = PEOPLE, **entrances: Entrance) -> Any:
    """Whose token it is, None where it opens nothing."""
    seat = tokens.seat(token, now_ns, people, entrances)
    return seat and seat.participant


class Holder:
    """Somebody with an Ed25519 key."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.public_key = base64.b64encode(self.private.public_key().public_bytes_raw()).decode()

    def sign(self, text: str) -> str:
        return base64.b64encode(self.private.sign(text.encode())).decode()


# ---- tokens


def test_a_token_names_its_holder_until_it_ends() -> None:
    tokens = Tokens(KEY)
    token, seat = tokens.issue("P7", 0, NOW)
    until_ns = seat.until_ns
    assert until_ns == NOW + TOKEN_NS
    assert holder(tokens, token, NOW, PEOPLE) == "P7"
    assert holder(tokens, token, until_ns - 1, PEOPLE) == "P7"
    assert holder(tokens, token, until_ns, PEOPLE) is None


def test_a_token_serves_after_a_restart_with_the_same_key() -> None:
    token, _ = Tokens(KEY).issue("P7", 0, NOW)
    assert holder(Tokens(KEY), token, NOW, PEOPLE) == "P7"
    assert holder(Tokens(b"x" * 32), token, NOW, PEOPLE) is None


@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_changed_token_is_forged(place: int) -> None:
    tokens = Tokens(KEY)
    token, _ = tokens.issue("P7", 0, NOW)
    changed = list(token)
    changed[place] = "A" if changed[place] != "A" else "B"
    assert holder(tokens, "".join(changed), NOW, PEOPLE) is None


def test_nobody_moves_the_end_of_a_token() -> None:
    tokens = Tokens(KEY)
    token, seat = tokens.issue("P7", 0, NOW)
    until_ns = seat.until_ns
    later = token.replace(str(until_ns), str(until_ns + TOKEN_NS))
    assert holder(tokens, later, until_ns + 1, PEOPLE) is None


def test_a_token_opens_nothing_once_the_key_is_replaced_or_the_account_is_not_active() -> None:
    tokens, row = Tokens(KEY), Participant(id="P7", legal_name="name")
    people = {"P7": row}
    token, _ = tokens.issue("P7", 0, NOW)
    assert holder(tokens, token, NOW, {}) is None
    assert holder(tokens, token, NOW, people) == "P7"
    for status in ("suspended", "closed"):
        row.status = status
        assert holder(tokens, token, NOW, people) is None
    row.status, row.key_number = "active", 1
    assert holder(tokens, token, NOW, people) is None
    assert holder(tokens, tokens.issue("P7", 1, NOW)[0], NOW, people) == "P7"


def test_a_session_that_was_ended_opens_nothing_and_the_others_go_on() -> None:
    tokens = Tokens(KEY)
    first, ended = tokens.issue("P7", 0, NOW)
    second, _ = tokens.issue("P7", 0, NOW)
    entrance = Entrance(ended={ended.session: ended.until_ns})
    assert holder(tokens, first) == "P7"
    assert holder(tokens, first, P7=entrance) is None
    assert holder(tokens, second, P7=entrance) == "P7"
    assert holder(tokens, second, P7=Entrance(generation=1)) is None
    third, _ = tokens.issue("P7", 0, NOW, generation=1)
    assert holder(tokens, third, P7=Entrance(generation=1)) == "P7"


def test_a_named_key_opens_while_it_is_there() -> None:
    tokens = Tokens(KEY)
    key = NamedKey(id="Y1", name="robot", public_key="k", scopes=("read",), added_at_ns=NOW)
    token, seat = tokens.issue("P7", 0, NOW, BITS["read"], "Y1")
    assert (seat.named_key, names_of(seat.scopes)) == ("Y1", ("read",))
    assert holder(tokens, token, P7=Entrance(keys={"Y1": key})) == "P7"
    assert holder(tokens, token, P7=Entrance()) is None
    assert Tokens(KEY).seat(token, NOW, PEOPLE, {"P7": Entrance(keys={"Y1": key})}) == seat


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_that_is_lacking_is_named(scope: str) -> None:
    tokens = Tokens(KEY)
    narrow, _ = tokens.issue("P7", 0, NOW, EVERYTHING & ~BITS[scope])
    whole, _ = tokens.issue("P7", 0, NOW)
    with pytest.raises(Refusing, match=f"the scope {scope}") as caught:
        access.enter(tokens, narrow, NOW, (PEOPLE, {}), "", BITS[scope])
    assert caught.value.refusal.code is Refused.forbidden
    assert access.enter(tokens, whole, NOW, (PEOPLE, {}), "", BITS[scope]).participant == "P7"


def test_nobody_widens_the_scopes_of_a_token() -> None:
    tokens = Tokens(KEY)
    token, _ = tokens.issue("P7", 0, NOW, BITS["read"])
    assert token.split(".")[4] == "1"
    assert holder(tokens, ".".join([*token.split(".")[:4], "63", *token.split(".")[5:]])) is None


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("203.0.113.7", True),
        ("203.0.114.7", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::ffff:203.0.113.7", True),
        ("::ffff:203.0.114.7", False),
        ("", False),
        ("testclient", False),
    ],
)
def test_a_list_of_networks_admits_whoever_comes_from_one(address: str, inside: bool) -> None:
    tokens = Tokens(KEY)
    token, _ = tokens.issue("P7", 0, NOW)
    entrances = {"P7": Entrance(addresses=("203.0.113.0/24", "2001:db8::/32"))}
    for _ in range(2):
        assert tokens.admits("P7", address, entrances) is inside
    if inside:
        assert access.enter(tokens, token, NOW, (PEOPLE, entrances), address).participant == "P7"
    else:
        with pytest.raises(Refusing, match="not on your list"):
            access.enter(tokens, token, NOW, (PEOPLE, entrances), address)
    assert tokens.admits("P8", address, entrances)


@given(st.text(max_size=300))
def test_any_text_is_simply_no_token(text: str) -> None:
    assert holder(Tokens(KEY), text, NOW, PEOPLE) is None


def test_the_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "REMEMBERED_TOKENS", 3)
    tokens = Tokens(KEY)
    issued = [tokens.issue(f"P{number}", 0, NOW)[0] for number in range(1, 11)]
    for _ in range(2):
        assert [holder(tokens, token, NOW, PEOPLE) for token in issued] == [
            f"P{number}" for number in range(1, 11)
        ]
    assert len(tokens._verified) <= 3


def test_a_secret_repeats_and_is_its_purposes_own() -> None:
    tokens = Tokens(KEY)
    assert tokens.secret("key", "E1") == Tokens(KEY).secret("key", "E1")
    assert tokens.secret("key", "E1") != tokens.secret("key", "E2")
    assert tokens.secret("key", "E1") != tokens.secret("other", "E1")


def test_a_passing_secret_repeats_while_the_process_lives() -> None:
    tokens = Tokens(KEY)
    assert tokens.passing_secret(b"agent") == tokens.passing_secret(b"agent")
    assert tokens.passing_secret(b"agent") != tokens.passing_secret(b"other")
    assert tokens.passing_secret(b"agent") != Tokens(KEY).passing_secret(b"agent")


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer abc", "abc"),
        (b"bearer  abc ", "abc"),
        (b"Basic abc", ""),
        (b"Bearer", ""),
        (b"", ""),
        (b"Bearer \xff", "\xff"),
    ],
)
def test_the_token_of_a_header(header: bytes, token: str) -> None:
    assert bearer([(b"host", b"x"), (b"authorization", header)]) == token
    assert bearer([(b"host", b"x")]) == ""


# ---- the key file


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    assert len(key) == 32
    assert load_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "token.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["token.key"]


def test_a_key_file_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "token.key").write_bytes(b"short")
    with pytest.raises(ValueError, match="delete it"):
        load_key(tmp_path)


# ---- challenges


def test_a_challenge_is_answered_once() -> None:
    holder, challenges = Holder(), Challenges()
    text, until_ns = challenges.issue("participant P7", NOW)
    assert until_ns == NOW + CHALLENGE_NS
    signature = holder.sign(text)
    assert challenges.accepts("participant P7", holder.public_key, text, signature, NOW)
    assert not challenges.accepts("participant P7", holder.public_key, text, signature, NOW)


def test_a_challenge_that_is_given_back_is_answered_again() -> None:
    holder, challenges = Holder(), Challenges()
    text, _ = challenges.issue("participant P7", NOW)
    signature = holder.sign(text)
    assert challenges.accepts("participant P7", holder.public_key, text, signature, NOW)
    challenges.give_back(text)
    assert challenges.accepts("participant P7", holder.public_key, text, signature, NOW)
    assert not challenges.accepts("participant P7", holder.public_key, text, signature, NOW)


def test_a_challenge_ends() -> None:
    holder, challenges = Holder(), Challenges()
    text, until_ns = challenges.issue("participant P7", NOW)
    assert not challenges.accepts("participant P7", holder.public_key, text, holder.sign(text), until_ns)


def test_a_challenge_is_its_claims_own() -> None:
    holder, challenges = Holder(), Challenges()
    text, _ = challenges.issue("participant P7", NOW)
    assert not challenges.accepts("participant P8", holder.public_key, text, holder.sign(text), NOW)


def test_a_challenge_that_was_not_given_out_is_none() -> None:
    holder, challenges = Holder(), Challenges()
    foreign, _ = Challenges().issue("participant P7", NOW)
    for text in (foreign, "", "a.b.c", "shuji-login.1.x.y", "\ud800"):
        signature = holder.sign(text.encode("utf-8", "replace").decode())
        assert not challenges.accepts("participant P7", holder.public_key, text, signature, NOW)


def test_a_wrong_signature_or_an_unknown_holder_uses_nothing_up() -> None:
    holder, challenges = Holder(), Challenges()
    text, _ = challenges.issue("participant P7", NOW)
    assert not challenges.accepts("participant P7", holder.public_key, text, Holder().sign(text), NOW)
    assert not challenges.accepts("participant P7", None, text, holder.sign(text), NOW)
    assert challenges.accepts("participant P7", holder.public_key, text, holder.sign(text), NOW)


def test_asking_for_challenges_stores_nothing_and_used_ones_are_forgotten() -> None:
    holder, challenges = Holder(), Challenges()
    for number in range(100):
        challenges.issue(f"participant P{number}", NOW)
    assert challenges._used == {}
    for number in range(5):
        at_ns = NOW + number * CHALLENGE_NS
        text, _ = challenges.issue("participant P7", at_ns)
        assert challenges.accepts("participant P7", holder.public_key, text, holder.sign(text), at_ns)
    assert len(challenges._used) <= 2


# ---- signatures


def test_possession_is_proved_for_this_key_and_this_code() -> None:
    holder = Holder()
    text = registration_text(holder.public_key, "91460000MA5SHUJI1X")
    assert text == f"shuji-register:{holder.public_key}:91460000MA5SHUJI1X"
    assert signed_by(holder.public_key, text, holder.sign(text))
    assert not signed_by(holder.public_key, registration_text(holder.public_key, ""), holder.sign(text))
    assert not signed_by(Holder().public_key, text, holder.sign(text))


@pytest.mark.parametrize("nonsense", ["", "!!", "AAAA", "é", "\ud800", "A" * 1_000])
def test_nonsense_signs_nothing(nonsense: str) -> None:
    holder = Holder()
    assert not signed_by(nonsense, "text", holder.sign("text"))
    assert not signed_by(holder.public_key, "text", nonsense)
    assert not signed_by(access._NOBODY, "text", holder.sign("text"))
