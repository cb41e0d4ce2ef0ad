"""Named keys, networks and ended sessions, as the pure venue decides them."""

from typing import Any

import pytest
from msgspec.structs import replace

from exchange import entrance
from exchange import events as e
from exchange.state import DAY_NS
from tests.exchange.world import OPERATOR, World, only, public_key


@pytest.fixture
def world() -> World:
    return World()


def add(participant: str, name: str = "trader", **changes: Any) -> e.AddKey:
    plain = e.AddKey(actor=participant, name=name, public_key=public_key(name), scopes=("trade", "read"))
    return replace(plain, **changes)


def networks(participant: str, *allow: str, actor: str = "", reason: str = "") -> e.SetAddresses:
    return e.SetAddresses(actor=actor or participant, participant=participant, allow=allow, reason=reason)


def test_a_named_key_is_added_once_and_ends(world: World) -> None:
    buyer = world.buyer()
    added = only(world.must(add(buyer)), e.KeyAdded)
    assert (added.named_key, added.scopes) == ("Y1", ("read", "trade")), "in the order of the table"
    assert world.state.named_keys == {public_key("trader"): (buyer, "Y1")}
    assert world.code(add(buyer, public_key=public_key("another"))) == "already_exists", "one name, one key"
    assert world.code(add(buyer, "second", public_key=public_key("trader"))) == "already_exists"
    assert world.code(e.EndKey(actor=world.buyer(), named_key="Y1")) == "not_found"
    world.must(e.EndKey(actor=buyer, named_key="Y1"))
    assert world.state.named_keys == {}
    assert world.code(e.EndKey(actor=buyer, named_key="Y1")) == "not_found"
    assert only(world.must(add(buyer)), e.KeyAdded).named_key == "Y2"
    world.check()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "  "}, "malformed"),
        ({"name": "x" * 41}, "malformed"),
        ({"scopes": ()}, "malformed"),
        ({"scopes": ("read", "account")}, "malformed"),
        ({"scopes": ("everything",)}, "malformed"),
        ({"public_key": "?"}, "identity_invalid"),
    ],
)
def test_a_named_key_that_cannot_be(world: World, changes: dict[str, Any], code: str) -> None:
    assert world.code(add(world.buyer(), **changes)) == code


def test_a_key_is_one_persons_whether_own_or_named(world: World) -> None:
    buyer, other = world.buyer(), world.buyer()
    own = world.state.bureau.participants[other].public_key
    assert world.code(add(buyer, public_key=own)) == "already_exists"
    world.must(add(buyer))
    taken = public_key("trader")
    register = e.RegisterParticipant(actor="", legal_name="Late", public_key=taken)
    assert world.code(register) == "already_exists"
    stolen = e.ReplaceKey(actor=OPERATOR, participant=other, public_key=taken, reason="stolen")
    assert world.code(stolen) == "already_exists"


def test_a_new_own_key_ends_the_named_ones(world: World) -> None:
    buyer = world.buyer()
    world.must(add(buyer))
    world.must(e.ReplaceKey(actor=OPERATOR, participant=buyer, public_key=public_key("x"), reason="stolen"))
    assert world.state.entrances[buyer].keys == {}
    assert world.state.named_keys == {}
    world.must(add(buyer))
    world.check()


def test_there_are_so_many_named_keys_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "MOST_KEYS", 2)
    buyer = world.buyer()
    for name in ("one", "two"):
        world.must(add(buyer, name))
    assert world.code(add(buyer, "three")) == "out_of_bounds"


def test_a_suspended_account_adds_no_key(world: World) -> None:
    buyer = world.buyer()
    world.must(e.SetStatus(actor=OPERATOR, participant=buyer, step="suspend", reason="looked into"))
    assert world.code(add(buyer)) == "standing_denied"


def test_networks_are_ones_own_and_an_operator_only_lifts_them(world: World) -> None:
    buyer = world.buyer()
    set_to = only(
        world.must(networks(buyer, "203.0.113.0/24", "203.0.113.0/24", "2001:DB8::/32")), e.AddressesSet
    )
    assert set_to.allow == ("203.0.113.0/24", "2001:db8::/32")
    assert world.state.entrances[buyer].addresses == set_to.allow
    lift = networks(buyer, actor=OPERATOR, reason="has moved")
    assert world.code(replace(lift, actor=world.reviewer)) == "forbidden"
    assert world.code(replace(lift, reason=" ")) == "malformed"
    assert world.code(replace(lift, allow=("0.0.0.0/0",))) == "malformed"
    assert world.code(replace(lift, participant="P99")) == "not_found"
    world.must(lift)
    assert world.state.entrances[buyer].addresses == ()
    world.check()


@pytest.mark.parametrize("text", ["", "everywhere", "203.0.113.7/24", "203.0.113.0/33", "1.2.3", "::/129"])
def test_what_is_no_network(world: World, text: str) -> None:
    assert world.code(networks(world.buyer(), text)) == "malformed"


def test_whoever_recovers_a_lost_operator_lifts_its_list(world: World) -> None:
    for actor in (OPERATOR, world.buyer()):
        world.must(networks(actor, "203.0.113.0/24"))
    for participant, by in ((OPERATOR, e.VENUE), ("P3", OPERATOR)):
        key = public_key(f"new {participant}")
        world.must(e.ReplaceKey(actor=by, participant=participant, public_key=key, reason="lost"))
    assert world.state.entrances[OPERATOR].addresses == ()
    assert world.state.entrances["P3"].addresses == ("203.0.113.0/24",), "an operator lifts it by name"
    world.check()


def test_a_password_and_a_second_factor_come_and_go(world: World) -> None:
    buyer = world.buyer()
    for kind in ("password", "totp"):
        world.must(e.SetSecret(actor=buyer, kind=kind, sha256=kind))
    row = world.state.entrances[buyer]
    assert (row.secret("password"), row.secret("totp")) == ("password", "totp")
    assert world.code(e.SetSecret(actor=buyer, kind="pin", sha256="1")) == "malformed"
    gone = world.must(e.SetSecret(actor=buyer, kind="password"))
    assert [(event.kind, event.sha256) for event in gone.events if isinstance(event, e.SecretSet)] == [
        ("password", ""),
        ("totp", ""),
    ]
    assert world.code(e.SetSecret(actor=buyer, kind="totp")) == "not_found"
    world.must(e.SetSecret(actor=buyer, kind="password", sha256="again"))
    world.must(e.ReplaceKey(actor=OPERATOR, participant=buyer, public_key=public_key("x"), reason="stolen"))
    assert row.secret("password") == "", "it goes with the key that signed for it"
    world.check()


def test_sessions_are_ended_one_by_one_up_to_a_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is kept until its token ends, and looked at with every further one."""
    monkeypatch.setattr(entrance, "MOST_ENDED", 2)
    buyer = world.buyer()
    one, two, three = (
        e.EndSessions(actor=buyer, session=name, until_ns=world.at_ns + DAY_NS)
        for name in ("one", "two", "three")
    )
    world.must(one)
    world.must(two)
    assert world.code(three) == "out_of_bounds"
    world.must(e.EndSessions(actor=buyer))
    world.must(three)
    world.check()


def test_what_the_key_before_signed_leaves_nothing_behind(world: World) -> None:
    """A stolen key whose owner replaces it has requests under way: they are seen with it and decided behind it."""
    buyer = world.buyer()
    stolen, good = world.key_of(buyer), public_key("good")
    world.must(e.ReplaceKey(actor=buyer, participant=buyer, public_key=good, replaced=stolen))
    late = (
        add(buyer, signer=stolen),
        e.SetSecret(actor=buyer, kind="password", sha256="1", signer=stolen),
        e.SetPayoutAccount(actor=buyer, account_sha256="ab" * 32, signer=stolen),
        e.RequestWithdrawal(actor=buyer, amount_fen=1, signer=stolen),
    )
    for command in late:
        assert world.code(command) == "signature_wrong"
        again = world.do(replace(command, signer=good)).refusal
        assert again is None or again.code.name == "funds_insufficient"
    world.check()


def test_an_operator_lifts_nothing_in_its_own_house(world: World) -> None:
    buyer = world.person("buyer", owner=OPERATOR)
    world.must(networks(buyer, "203.0.113.0/24"))
    assert world.code(networks(buyer, actor=OPERATOR, reason="mine")) == "own_case"


def test_ended_sessions_are_forgotten_once_their_tokens_have_ended(world: World) -> None:
    buyer = world.buyer()
    world.must(e.EndSessions(actor=buyer, session="one", until_ns=world.at_ns + DAY_NS))
    world.wait(days=0.5)
    world.must(e.EndSessions(actor=buyer, session="two", until_ns=world.at_ns + DAY_NS))
    assert list(world.state.entrances[buyer].ended) == ["one", "two"]
    world.wait(days=1)
    world.must(e.EndSessions(actor=buyer, session="three", until_ns=world.at_ns + DAY_NS))
    assert list(world.state.entrances[buyer].ended) == ["three"]
    world.must(e.EndSessions(actor=buyer))
    assert world.state.entrances[buyer].ended == {}
    assert only(world.must(e.EndSessions(actor=buyer)), e.SessionsEnded).generation == 2
    world.check()
