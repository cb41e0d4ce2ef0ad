"""The same command id: the same answer for the same body, a conflict for another, a refusal once it is too old."""

from typing import Any

import msgspec
import pytest

from exchange import events as e
from exchange import venue
from exchange.state import decode_state, encode_state
from exchange.venue import AHEAD_MS
from tests.exchange.world import OPERATOR, START_NS, World, changed, command_id, kinds, public_key


@pytest.fixture
def world() -> World:
    return World()


def cash_in(world: World, **fields: Any) -> e.BookCashIn:
    whole: dict[str, Any] = {
        "key": command_id(world.at_ns, 1),
        "participant": world.reviewer,
        "amount_fen": 100,
        "bank_reference": "B-1",
        **fields,
    }
    return e.BookCashIn(actor=OPERATOR, **whole)


def test_the_same_id_and_body_is_the_same_answer(world: World) -> None:
    command = cash_in(world)
    first = world.must(command)
    before = encode_state(world.state)
    world.wait(days=1)
    second = world.do(command)
    assert second.repeated
    assert (second.events, second.entry, second.at_ns) == (first.events, first.entry, first.at_ns)
    assert encode_state(world.state) == before
    world.check()


def test_the_same_id_and_another_body_is_a_conflict(world: World) -> None:
    command = cash_in(world)
    world.must(command)
    assert world.code(changed(command, amount_fen=101)) == "id_conflict"
    listing, buyer = world.listing(world.merchant()), world.buyer()
    world.agree(buyer, listing)
    order = e.PlaceOrder(actor=OPERATOR, key=command.key, listing=listing, quantity=1)
    assert world.code(order) == "id_conflict", "another kind of command is another body"
    assert world.do(changed(order, actor=buyer)).refusal is None, "ids are each participant's own"


def test_without_an_id_nothing_is_remembered(world: World) -> None:
    world.must(cash_in(world, key=""))
    assert world.state.remembered == {}
    assert world.code(cash_in(world, key="")) == "already_exists"


def test_a_refusal_that_is_kept_is_repeated_also_when_the_reason_is_gone(world: World) -> None:
    listing, buyer = world.listing(world.merchant()), world.buyer(cash_fen=0)
    world.agree(buyer, listing)
    order = e.PlaceOrder(actor=buyer, key=world.new_id(), listing=listing, quantity=1)
    assert world.code(order) == "funds_insufficient"
    world.pay_in(buyer, 500)
    again = world.do(order)
    assert again.repeated
    assert again.refusal is not None
    assert again.refusal.code is e.Refused.funds_insufficient
    assert kinds(world.do(changed(order, key=world.new_id()))) == ["OrderPlaced", "Settled"]
    world.check()


def test_an_unlawful_order_repeats_every_rule(world: World) -> None:
    shop = world.merchant(cash_fen=1_000)
    order = e.PlaceOrder(actor=shop, key=world.new_id(), listing=world.listing(shop), quantity=1)
    first, again = world.do(order), world.do(order)
    assert first.refusal == again.refusal
    assert again.refusal is not None
    assert again.refusal.violated == ("E05",)


def test_a_refusal_that_is_not_kept_frees_its_id(world: World) -> None:
    command = cash_in(world)
    assert world.code(changed(command, amount_fen=0)) == "out_of_bounds"
    assert not world.must(command).repeated


@pytest.mark.parametrize(
    "key",
    [
        "1",
        "0190a7c2-5e3a-4b1f-8a2b-9c3d4e5f6071",
        "0190a7c2-5e3a-7b1f-ca2b-9c3d4e5f6071",
        "0190A7C2-5E3A-7B1F-8A2B-9C3D4E5F6071",
        "0190a7c25e3a7b1f8a2b9c3d4e5f6071",
        "{0190a7c2-5e3a-7b1f-8a2b-9c3d4e5f6071}",
        "0190a7c2-5e3a-7b1f-8a2b-9c3d4e5f6071\n",
        "x" * 10_000,
        "数",
    ],
)
def test_an_id_is_a_uuid_of_version_7(world: World, key: str) -> None:
    assert world.code(cash_in(world, key=key)) == "malformed"


def test_an_id_from_the_future_is_refused_up_to_the_millisecond(world: World) -> None:
    last_ms = (world.at_ns + 1_000) // 1_000_000 + AHEAD_MS
    early = cash_in(world, key=command_id((last_ms + 1) * 1_000_000, 1))
    assert world.code(early) == "malformed"
    world.at_ns -= 1_000
    world.must(cash_in(world, key=command_id(last_ms * 1_000_000, 1)))


def test_under_a_simulated_clock_ids_may_be_made_later() -> None:
    """The callers' clocks run on while the venue's stands still."""
    world = World(simulated=True)
    world.must(cash_in(world, key=command_id(world.at_ns + 10**18, 1)))


def test_an_id_older_than_the_remembered_ones_has_expired(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgetting must never turn a repetition into a second booking."""
    monkeypatch.setattr(venue, "REMEMBERED", 3)
    commands = [
        cash_in(world, key=command_id(START_NS + number * 1_000_000, number), bank_reference=f"B-{number}")
        for number in range(5)
    ]
    for command in commands:
        world.must(command)
    assert len(world.state.remembered) == 3
    for forgotten in commands[:2]:
        assert world.code(forgotten) == "id_expired"
    for known in commands[2:]:
        assert world.do(known).repeated
    unused = cash_in(world, key=command_id(START_NS, 77), bank_reference="B-77")
    assert world.code(unused) == "id_expired", "it may have been there and been forgotten"
    world.check()


def test_an_old_id_that_arrives_late_does_not_shorten_the_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids are forgotten in the order they came; the bound is its own newest of those forgotten."""
    monkeypatch.setattr(venue, "REMEMBERED", 2)
    made = [START_NS + ms * 1_000_000 for ms in (50, 10, 60, 70)]
    commands = [
        cash_in(world, key=command_id(at_ns, number), bank_reference=f"B-{number}")
        for number, at_ns in enumerate(made)
    ]
    for command in commands[:3]:
        world.must(command)
    assert world.state.forgotten_ms[OPERATOR] == made[0] // 1_000_000
    assert world.do(commands[1]).repeated, "it is still remembered, whatever its age"
    world.must(commands[3])
    assert world.code(commands[1]) == "id_expired"
    world.check()


@pytest.mark.parametrize("simulated", [False, True])
def test_nobody_makes_the_ids_of_others_expire(monkeypatch: pytest.MonkeyPatch, simulated: bool) -> None:
    """Ids dated ahead cost nothing, for refusals are kept; they bind whoever made them and nobody else."""
    monkeypatch.setattr(venue, "REMEMBERED", 5)
    world = World(simulated)
    listing, poor = world.listing(world.merchant()), world.buyer(cash_fen=0)
    world.agree(poor, listing)
    ahead_ns = 10**18 if simulated else (AHEAD_MS - 20) * 1_000_000
    dated = [command_id(world.at_ns + ahead_ns + number * 1_000_000, number) for number in range(20)]
    orders = [e.PlaceOrder(actor=poor, key=key, listing=listing, quantity=1) for key in dated]
    for number, order in enumerate(orders):
        world.wait(ns=1_000_000)
        assert world.code(order) == "funds_insufficient"
        honest = cash_in(world, key=world.new_id(), bank_reference=f"now {number}")
        assert not world.must(honest).repeated
        assert world.do(honest).repeated
    assert len(world.state.remembered) == 5
    assert list(world.state.forgotten_ms) == [poor, OPERATOR]
    assert world.code(orders[0]) == "id_expired", "a forgotten id, however far ahead, is never taken twice"
    world.check()


def test_ids_of_registrations_never_expire_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations come from nobody yet; the public key keeps each from happening twice."""
    monkeypatch.setattr(venue, "REMEMBERED", 2)
    world = World()
    ahead_ns = world.at_ns + AHEAD_MS * 1_000_000
    registrations = [
        e.RegisterParticipant(
            actor="",
            key=command_id(ahead_ns, number),
            legal_name="name",
            public_key=public_key(f"many {number}"),
        )
        for number in range(5)
    ]
    for registration in registrations:
        world.must(registration)
    assert world.code(registrations[0]) == "already_exists"
    world.must(changed(registrations[0], key=world.new_id(), public_key=public_key("honest")))
    assert world.state.forgotten_ms == {}
    world.check()


def test_a_quarantined_command_keeps_its_answer(world: World) -> None:
    command = cash_in(world)
    outcome = venue.quarantine(world.state, command, "RuntimeError: a bug", world.at_ns + 1)
    again = world.do(command)
    assert again.repeated
    assert again.refusal == outcome.refusal
    assert again.refusal is not None
    assert again.refusal.code is e.Refused.quarantined
    assert world.code(changed(command, amount_fen=7)) == "id_conflict"
    assert world.money(world.reviewer) == (0, 0)


def test_an_answer_is_read_back_from_its_entry_alone(world: World) -> None:
    listing, buyer = world.listing(world.merchant()), world.buyer()
    world.agree(buyer, listing)
    order = e.PlaceOrder(actor=buyer, key=world.new_id(), listing=listing, quantity=2)
    outcome = world.must(order)
    entry = msgspec.msgpack.decode(outcome.entry, type=e.Entry)
    assert (entry.actor, entry.key, entry.events) == (order.actor, order.key, outcome.events)
    assert venue.answer_of(outcome.entry).events == outcome.events


def test_a_snapshot_forgets_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys are sorted, by participant: what is forgotten first must be the oldest all the same."""
    monkeypatch.setattr(venue, "REMEMBERED", 6)
    world = World()
    buyer = world.buyer()
    listing = world.listing(world.merchant())
    world.agree(buyer, listing)

    def both(number: int) -> None:
        """The buyer's id is the older one, and the operator's sorts before it."""
        world.wait(ns=1_000_000)
        world.must(e.PlaceOrder(actor=buyer, key=world.new_id(), listing=listing, quantity=1))
        world.must(cash_in(world, key=world.new_id(), bank_reference=f"B-{number}"))

    for number in range(3):
        both(number)
    restarted = decode_state(encode_state(world.state), world.state.boards, world.state.rulebook, "CN-46")
    known = len(world.entries)
    for number in range(3, 5):
        both(number)
    for entry in world.entries[known:]:
        venue.replay(restarted, entry)
    assert list(restarted.remembered) == list(world.state.remembered)
    assert encode_state(restarted) == encode_state(world.state)
    world.check()
