"""The blotter against the query tables' own fold and the books, over random days."""

import random

import pytest

from exchange import events as e
from exchange.blotter import Blotter, Own
from exchange.projection import OrderRecord, View, fold
from exchange.state import DAY_NS
from tests.exchange.test_tape import decoded, trading
from tests.exchange.world import World


def projected(entries: list[e.Entry]) -> dict[str, OrderRecord]:
    view = View("")
    for sequence, entry in enumerate(entries, 1):
        view.begin(sequence)
        for event in entry.events:
            fold(view, event, entry.at_ns)
    return dict(view.orders.rows)


def told(blotter: Blotter, entries: list[e.Entry]) -> list[tuple[str, str, str, int, int]]:
    """(participant, side, order, filled, remaining) of each line, as they are told."""
    return [
        (who, side, own.order if own else "", own.filled if own else 0, own.remaining if own else 0)
        for entry in entries
        for who, side, own, _ in blotter.fold(entry.events)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_open_orders_are_those_of_the_tables(seed: int) -> None:
    world = trading(seed)
    entries = decoded(world)
    people = sorted({order.participant for order in projected(entries).values()})
    blotter = Blotter()
    for participant in people[1:]:
        blotter.follow(participant, [])
    told(blotter, entries)
    rows = projected(entries)
    for participant in people[1:]:
        mine = [
            (row.id, row.quantity, row.filled, row.held, row.remaining)
            for row in rows.values()
            if row.participant == participant and row.state in ("open", "partly_filled")
        ]
        found = blotter.orders(participant)
        assert [(own.order, own.quantity, own.filled, own.held, own.remaining) for own in found] == mine
        resting = [order for order in world.state.orders.values() if order.participant == participant]
        assert [(own.order, own.remaining) for own in found] == [(one.id, one.remaining) for one in resting]
    assert any(blotter.orders(participant) for participant in people[1:])
    assert people[0] not in blotter


@pytest.mark.parametrize("seed", range(4))
def test_whoever_begins_later_is_told_the_same_from_there(seed: int) -> None:
    """From the tables as of some entry on: neither a line more nor one less."""
    entries = decoded(trading(seed))
    begin = random.Random(seed).randrange(len(entries) // 2, len(entries) - 50)
    begin, person = next(
        (at, row.participant)
        for at in range(begin, len(entries) - 20)
        for row in projected(entries[:at]).values()
        if row.state == "partly_filled" and row.participant
    )
    rows = projected(entries[:begin])
    whole, late = Blotter(), Blotter()
    whole.follow(person, [])
    told(whole, entries[:begin])
    late.follow(
        person,
        [
            Own(row.id, person, row.listing, row.side, row.quantity, row.filled, row.held, row.remaining,
                row.limit_fen, row.client_order_id)
            for row in rows.values() if row.participant == person and row.state in ("open", "partly_filled")
        ],
    )  # fmt: skip
    assert told(late, entries[begin:]) == told(whole, entries[begin:])
    assert late.orders(person) == whole.orders(person)


def test_each_line_names_its_own_side_and_nobody_else_costs() -> None:
    entries = decoded(trading(3))
    everybody = Blotter()
    people = {
        event.participant for entry in entries for event in entry.events if type(event) is e.OrderPlaced
    }
    for participant in people:
        everybody.follow(participant, [])
    lines = told(everybody, entries)
    trades = [
        event
        for entry in entries
        for event in entry.events
        if isinstance(event, e.Settled | e.Held | e.TradeRefused)
    ]
    expected = sum((event.buyer in people) + (event.seller in people) for event in trades)
    closed = sum(type(event) is e.OrderClosed for entry in entries for event in entry.events)
    placed = sum(type(event) is e.OrderPlaced for entry in entries for event in entry.events)
    assert len(lines) == expected + closed + placed
    assert told(Blotter(), entries) == []
    person = sorted(people)[0]
    alone = Blotter()
    alone.follow(person, [])
    assert told(alone, entries) == [line for line in lines if line[0] == person]


def test_one_may_be_brought_up_alone_and_then_leave() -> None:
    entries = decoded(trading(2, 120))
    people = sorted(
        {event.participant for entry in entries for event in entry.events if type(event) is e.OrderPlaced}
    )
    one, other = people[0], people[1]
    blotter = Blotter()
    blotter.follow(other, [])
    before = told(blotter, entries)
    blotter.follow(one, [])
    lines = [line[0] for entry in entries for line in blotter.fold(entry.events, one)]
    assert set(lines) == {one}
    alone = Blotter()
    alone.follow(one, [])
    told(alone, entries)
    assert blotter.orders(one) == alone.orders(one)
    blotter.leave(one)
    blotter.leave(one)
    assert one not in blotter
    again = Blotter()
    again.follow(other, [])
    assert told(again, entries) == before
    assert blotter.orders(other) == again.orders(other)


def test_the_end_of_a_certificate_is_told_to_its_holder() -> None:
    world = World()
    shop, other = world.merchant(), world.merchant()
    product = world.product(shop)
    blotter = Blotter()
    for participant in (shop, other):
        blotter.follow(participant, [])
    reminded = world.tick_at(world.state.products[product].valid_until_ns - DAY_NS)
    assert [(who, type(event)) for who, _, _, event in blotter.fold(reminded.events)] == [
        (shop, e.CertificateReminded)
    ]


def test_what_is_owed_after_a_trade_and_ends_soon_is_told_to_those_it_concerns() -> None:
    """A reminder of the end to both parties, the duty that follows to its debtor alone."""
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(shop))
    world.deliver(trade)
    world.accept(trade)
    (row,) = world.state.entitlements.values()
    blotter = Blotter()
    for participant in (shop, buyer):
        blotter.follow(participant, [])
    reminded = world.tick_at(row.until_ns - 6 * DAY_NS)
    assert [(who, side, type(event)) for who, side, _, event in blotter.fold(reminded.events)] == [
        (buyer, "buy", e.EntitlementReminded),
        (shop, "sell", e.EntitlementReminded),
    ]
    ended = world.tick_at(row.until_ns + 1)
    assert [(who, type(event)) for who, _, _, event in blotter.fold(ended.events)] == [(buyer, e.DutyOpened)]
    (duty,) = world.state.duties
    proven = world.must(e.ProveDuty(actor=buyer, duty=duty, evidence_sha256="ab" * 32))
    assert [(who, type(event)) for who, _, _, event in blotter.fold(proven.events)] == [
        (buyer, e.DutyMoved),
        (buyer, e.DutyMoved),
    ]
