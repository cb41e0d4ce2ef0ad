"""Stored verdicts are given again: the venue's own all the same, an altered one named."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from exchange import events as e
from exchange import venue
from exchange.rejudging import AGAIN, can_judge, differences
from tests import golden_journal
from tests.exchange.world import World, empty

DECODE = msgspec.msgpack.Decoder(e.Entry).decode
ENCODE = msgspec.msgpack.Encoder().encode


@pytest.fixture(scope="module")
def day() -> list[bytes]:
    """A day with every kind of event in it."""
    return golden_journal.day().entries


def found_in(entries: list[bytes], judged: dict[type, int] | None = None) -> list[tuple[str, str]]:
    state = empty()
    found: list[tuple[str, str]] = []

    def look(event: e.Event, at_ns: int) -> None:
        if type(event) in AGAIN:
            assert can_judge(state)
            found.extend(differences(state, event, at_ns))
            if judged is not None:
                judged[type(event)] = judged.get(type(event), 0) + 1

    for entry in entries:
        venue.replay(state, entry, look)
    return found


def with_event(entries: list[bytes], kind: type, change: Callable[[Any], Any]) -> list[bytes]:
    """The entries up to the first event of this kind, which is changed."""
    for number, raw in enumerate(entries):
        entry = DECODE(raw)
        changed = tuple(change(event) if type(event) is kind else event for event in entry.events)
        if changed != entry.events:
            return [*entries[:number], ENCODE(replace(entry, events=changed))]
    raise AssertionError(f"there is no {kind.__name__} that this changes")


def test_every_verdict_of_a_day_is_given_again(day: list[bytes]) -> None:
    judged: dict[type, int] = {}
    assert found_in(day, judged) == []
    assert set(AGAIN) == set(judged), "and each kind of event that holds one was there"


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (e.Settled, lambda event: replace(event, facts_sha256=bytes(32)), "hash to"),
        (e.Settled, lambda event: replace(event, price_fen=event.price_fen + 1), "hash to"),
        (e.Held, lambda event: replace(event, violated=("B10",)), "judged again it is hold"),
        (e.TradeRefused, lambda event: replace(event, violated=()), "judged again it is"),
        (e.HoldReleased, lambda event: replace(event, reason="refused"), "stored verdict is reject"),
        (e.ProductDecided, lambda event: replace(event, confirmed=()), "judged again it is indeterminate"),
    ],
)
def test_an_altered_verdict_is_named(
    day: list[bytes], kind: type, change: Callable[[Any], Any], words: str
) -> None:
    [(_, wrong)] = found_in(with_event(day, kind, change))
    assert words in wrong


@pytest.fixture
def world() -> World:
    return World()


def test_an_altered_refusal_of_an_order_is_named(world: World) -> None:
    """Another rule than the one that it broke, and then the one that it broke where it broke none."""
    reader, listing = world.buyer(), world.listing(world.merchant())
    world.ban(reader)
    refusal = world.order(reader, listing).refusal
    assert refusal is not None
    assert found_in(world.entries) == []
    other = with_event(world.entries, e.OrderRefused, lambda event: replace(event, violated=("C01",)))
    broken = ", ".join(refusal.violated)
    wrong = f"its order in {listing} broke C01; judged again it breaks {broken}"
    assert found_in(other) == [(reader, wrong)]
    unbanned = [raw for raw in world.entries if not any(type(one) is e.BanSet for one in DECODE(raw).events)]
    [(who, wrong)] = found_in(unbanned)
    assert (who, "judged again it is not" in wrong) == (reader, True)


def test_an_altered_breach_of_a_duty_is_named(world: World) -> None:
    trade = world.buy(world.buyer(), world.listing(world.merchant(), term_days=10))
    world.deliver(trade)
    world.accept(trade)
    world.wait(days=60)
    while not world.state.duties or all(row.state != "broken" for row in world.state.duties.values()):
        world.tick()
        world.wait(days=5)
    assert found_in(world.entries) == []
    [duty] = world.state.duties
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"facts_sha256": bytes(32)}, "hash to"),
        ({"violated": ("P05",)}, "the stored verdict is breach (P05), judged again it is breach (P03)"),
    )
    for change, words in changes:
        altered = with_event(world.entries, e.DutyBroken, partial(replace, **change))
        [(who, wrong)] = found_in(altered)
        assert (who, words in wrong) == (duty, True)


def test_a_sale_that_the_rules_refuse_is_named(world: World) -> None:
    """Settled all the same after the authorisation was withdrawn: judged again it names the rule."""
    reader, shop = world.buyer(), world.merchant()
    product = world.product(shop)
    trade = world.buy(reader, world.listing(shop, product))
    assert found_in(world.entries) == []
    record = e.FactRecorded(product, "authorisation_withdrawn", "ab" * 32, "", "", world.reviewer, "")
    sale = DECODE(world.entries[-1])
    smuggled = ENCODE(replace(sale, events=(record, *sale.events)))
    [(judged, wrong)] = found_in([*world.entries[:-1], smuggled])
    assert judged == trade
    assert "the stored verdict is allow (no rule), judged again it is reject (B01" in wrong


def test_a_rulebook_that_this_version_has_not_is_not_judged_by(world: World) -> None:
    assert can_judge(world.state)
    world.must(e.AdoptRulebook(actor=e.VENUE, sha256="00" * 32))
    assert not can_judge(world.state)
