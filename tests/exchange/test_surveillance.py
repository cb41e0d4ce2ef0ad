"""Surveillance: each alert at its threshold and not one below it, the same twice, and bounded."""

import random
from collections.abc import Iterable

import pytest

from exchange import surveillance
from exchange.events import Event, OrderClosed, OrderPlaced, OrderRefused, Settled
from exchange.surveillance import (
    BURST_NS,
    BURST_REFUSALS,
    CANCEL_NS,
    CANCEL_ORDERS,
    MUTED_NS,
    TAPE_LEAST,
    WASH_NS,
    Alert,
    Surveillance,
)

SECOND = 1_000_000_000


def unrelated(one: str, other: str) -> bool:
    return False


class Tape:
    """Entries, a second apart, folded as they come; kept, so that they can be folded again."""

    def __init__(self, related: bool = False) -> None:
        self.watch = Surveillance((lambda one, other: True) if related else unrelated)
        self.entries: list[tuple[int, int, tuple[Event, ...]]] = []
        self.at_ns = 1_764_000_000 * SECOND

    def entry(self, *events: Event) -> None:
        self.at_ns += SECOND
        self.entries.append((len(self.entries) + 1, self.at_ns, events))
        self.watch.fold(*self.entries[-1])

    def trade(
        self, seller: str, buyer: str, quantity: int = 1, price: int = 100, mechanism: str = "off_venue"
    ) -> None:
        name = f"T{len(self.entries) + 1}"
        self.entry(
            Settled(
                name,
                "L1",
                buyer,
                seller,
                "",
                "",
                quantity,
                price,
                price,
                0,
                price,
                0,
                "",
                0,
                b"",
                mechanism,
                "",
                "",
            )
        )

    def refuse(self, who: str = "P7", code: str = "unlawful") -> None:
        self.entry(OrderRefused(who, "L1", code, ""))

    def rest(self, order: str, who: str = "P7") -> None:
        self.entry(OrderPlaced(order, who, "L1", "buy", 1, 5, "gtc", "", "", False, 5, ""))

    def close(self, order: str, reason: str = "cancelled") -> None:
        self.entry(OrderClosed(order, reason, 1, "L1", "buy", 5))

    def kinds(self) -> list[str]:
        return [alert.kind for alert in self.watch.alerts]

    def only(self) -> Alert:
        [alert] = self.watch.alerts
        return alert


def test_two_trades_each_way_are_wash_like() -> None:
    tape = Tape()
    for seller, buyer in (("P1", "P2"), ("P2", "P1"), ("P1", "P2")):
        tape.trade(seller, buyer)
    assert tape.kinds() == []
    tape.trade("P2", "P1")
    alert = tape.only()
    assert (alert.kind, alert.listing, alert.parties) == ("wash_flow", "L1", ("P1", "P2"))
    assert alert.evidence == ("T1", "T2", "T3", "T4")
    assert alert.measures == {"trades": 4, "quantity_forth": 2, "quantity_back": 2}


def test_little_that_comes_back_is_no_wash() -> None:
    tape = Tape()
    for _ in range(2):
        tape.trade("P1", "P2", quantity=100)
        tape.trade("P2", "P1", quantity=49)
    assert tape.kinds() == []
    tape.trade("P2", "P1", quantity=2)
    assert tape.kinds() == ["wash_flow"]


def test_what_came_back_a_day_later_is_no_wash() -> None:
    tape = Tape()
    tape.trade("P1", "P2")
    tape.trade("P1", "P2")
    tape.at_ns += WASH_NS
    tape.trade("P2", "P1")
    tape.trade("P2", "P1")
    assert tape.kinds() == []


def test_related_parties_are_named_at_once() -> None:
    tape = Tape(related=True)
    tape.trade("P1", "P2", mechanism="posted_price")
    assert (tape.only().kind, tape.only().evidence) == ("related_parties", ("T1",))


@pytest.mark.parametrize(("price", "is_off"), [(129, False), (130, True), (71, False), (70, True)])
def test_a_price_is_held_against_the_median(price: int, is_off: bool) -> None:
    tape = Tape()
    for number in range(TAPE_LEAST):
        tape.trade(f"P{number}", "P99")
    tape.trade("P50", "P99", price=price)
    assert tape.kinds() == (["price_off_tape"] if is_off else [])
    if is_off:
        assert tape.only().measures == {"price_fen": price, "median_fen": 100, "percent_off": 30}


def test_few_prints_make_no_tape_and_posted_prices_none_at_all() -> None:
    tape = Tape()
    for number in range(TAPE_LEAST - 1):
        tape.trade(f"P{number}", "P99")
    tape.trade("P50", "P99", price=1_000)
    for number in range(20):
        tape.trade("P1", "P99", price=10 ** (number % 5), mechanism="posted_price")
    assert tape.kinds() == []


def test_nearly_all_cancelled_is_seen() -> None:
    tape = Tape()
    for number in range(CANCEL_ORDERS):
        tape.rest(f"O{number}")
    for number in range(CANCEL_ORDERS * 9 // 10 - 1):
        tape.close(f"O{number}")
    assert tape.kinds() == []
    tape.close(f"O{CANCEL_ORDERS - 1}")
    alert = tape.only()
    assert (alert.kind, alert.parties, alert.listing) == ("cancel_ratio", ("P7",), "L1")
    assert alert.measures == {"orders": 50, "cancelled": 45, "percent": 90}


def test_orders_that_rest_or_end_otherwise_are_no_cancels() -> None:
    tape = Tape()
    for number in range(CANCEL_ORDERS * 2):
        tape.rest(f"O{number}")
        if number % 2:
            tape.close(f"O{number}", "expired")
    assert tape.kinds() == []


def test_cancels_of_long_ago_do_not_count() -> None:
    tape = Tape()
    for number in range(CANCEL_ORDERS):
        tape.rest(f"O{number}")
    tape.at_ns += CANCEL_NS
    for number in range(CANCEL_ORDERS):
        tape.close(f"O{number}")
    assert tape.kinds() == []


def test_a_burst_of_refusals() -> None:
    tape = Tape()
    for _ in range(BURST_REFUSALS - 1):
        tape.refuse()
    tape.refuse("P8")
    assert tape.kinds() == []
    tape.refuse(code="funds_insufficient")
    alert = tape.only()
    assert alert.measures == {"refusals": BURST_REFUSALS, "unlawful": BURST_REFUSALS - 1}
    assert alert.parties == ("P7",)
    assert alert.evidence[0] == f"1.{tape.entries[0][1]}"


def test_refusals_far_apart_are_no_burst() -> None:
    tape = Tape()
    for _ in range(BURST_REFUSALS * 2):
        tape.refuse()
        tape.at_ns += BURST_NS // BURST_REFUSALS
    assert tape.kinds() == []


def test_the_same_again_counts_on_and_is_new_after_a_while() -> None:
    tape = Tape()
    for _ in range(BURST_REFUSALS + 5):
        tape.refuse()
    first = tape.only()
    assert first.times == 6
    assert tape.watch.raised == {"refusal_burst": 1}
    tape.at_ns += MUTED_NS
    for _ in range(BURST_REFUSALS):
        tape.refuse()
    assert tape.only().id != first.id
    assert tape.watch.raised == {"refusal_burst": 2}


def folded(entries: Iterable[tuple[int, int, tuple[Event, ...]]]) -> Surveillance:
    watch = Surveillance(unrelated)
    for entry in entries:
        watch.fold(*entry)
    return watch


def test_the_same_entries_give_the_same_alerts() -> None:
    tape = Tape()
    for number in range(300):
        tape.trade(f"P{number % 3}", f"P{(number + 1) % 4}", price=100 + number % 90)
        tape.refuse(f"P{number % 2}")
    assert tape.watch.alerts
    assert folded(tape.entries).alerts == tape.watch.alerts


def test_what_is_counted_is_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept sums against sums made anew, while rows age, fall out of a full window, and participants are forgotten."""
    monkeypatch.setattr(surveillance, "OBSERVED", 12)
    chance, tape = random.Random(5), Tape()
    monkeypatch.setattr(tape.watch._rested, "_most", 3)
    resting: list[str] = []
    for number in range(3_000):
        tape.at_ns += chance.choice((1, 1, 1, surveillance.CANCEL_NS // 4))
        if chance.random() < 0.3 and resting:
            tape.close(resting.pop(chance.randrange(len(resting))))
        elif chance.random() < 0.5:
            seller, buyer = chance.sample(("P1", "P2", "P3"), 2)
            tape.trade(seller, buyer, quantity=chance.randrange(1, 9))
        else:
            tape.rest(f"O{number}", f"P{chance.randrange(5)}")
            resting.append(f"O{number}")
        for orders in tape.watch._rested._rows.values():
            assert orders.cancelled == sum(row.cancelled for row in orders.rows)
        for flows in tape.watch._flows._rows.values():
            assert flows.trades == [sum(row.forth is way for row in flows.rows) for way in (False, True)]
            assert flows.units == [
                sum(row.quantity for row in flows.rows if row.forth is way) for way in (False, True)
            ]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RESTING", 50), ("ALERTS", 10)):
        monkeypatch.setattr(surveillance, name, value)
    tape = Tape(related=True)
    for rows in (tape.watch._flows, tape.watch._tapes, tape.watch._rested, tape.watch._turned):
        monkeypatch.setattr(rows, "_most", 30)
    for number in range(1_000):
        tape.trade(f"P{number}", f"P{number + 1}")
        tape.rest(f"O{number}", f"P{number}")
        tape.refuse(f"P{number}")
    assert tape.watch.remembered <= 4 * 30 + 50 + 10
    assert len(tape.watch.alerts) == 10
