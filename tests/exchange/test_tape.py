"""The tape against a naive reading of the whole journal, and against the books themselves.

`Naive` keeps every order and every trade and counts anew for every question; it shares nothing with the tape but the
events. Both follow the same random days: books with makers that meet, cancel, are barred and held, a posted listing.
"""

import random
from collections.abc import Iterator
from datetime import datetime

import msgspec
import pytest

from exchange import events as e
from exchange import tape
from exchange.halt import key_of
from exchange.tape import Bar, Print, Sheet
from tests import golden_journal
from tests.exchange.world import OPERATOR, START_NS, World, consent_of, only, personal

DECODE = msgspec.msgpack.Decoder(e.Entry).decode
DAY_S = 86_400


class Naive:
    """All orders and all prints of a journal, each question a walk over all of them."""

    def __init__(self, entries: list[e.Entry]) -> None:
        self.orders: dict[str, dict[str, object]] = {}
        self.prints: list[tuple[str, Print]] = []
        for entry in entries:
            for event in entry.events:
                self._note(event, entry.at_ns)

    def _note(self, event: object, at_ns: int) -> None:
        if isinstance(event, e.OrderPlaced):
            self.orders[event.order] = {"placed": event, "left": event.quantity}
        elif isinstance(event, e.OrderClosed):
            self.orders[event.order]["left"] = 0
        elif isinstance(event, e.Settled | e.Held):
            for order in (event.buy_order, event.sell_order):
                if order in self.orders:
                    self.orders[order]["left"] = int(str(self.orders[order]["left"])) - event.quantity
            if isinstance(event, e.Settled):
                one = Print(event.trade, at_ns, event.price_fen, event.quantity, event.amount_fen)
                self.prints.append((event.listing, one))

    def previous_fen(self, listing: str) -> int:
        """The last price before the day of the last print, days counted from midnight in China."""
        own = [(one.at_ns // 10**9 + 8 * 3_600) // DAY_S for name, one in self.prints if name == listing]
        prices = [one.price_fen for name, one in self.prints if name == listing]
        before = [price for price, day in zip(prices, own, strict=True) if day < own[-1]]
        return before[-1] if before else 0

    def levels(self, listing: str, side: str) -> dict[int, int]:
        found: dict[int, int] = {}
        for row in self.orders.values():
            placed, left = row["placed"], int(str(row["left"]))
            assert isinstance(placed, e.OrderPlaced)
            if placed.listing == listing and placed.side == side and left:
                found[placed.limit_fen] = found.get(placed.limit_fen, 0) + left
        return found

    def bar(self, listing: str, seconds: int) -> Bar | None:
        """The newest bar: whole seconds counted from midnight in China."""
        own = [one for name, one in self.prints if name == listing]
        if not own:
            return None
        place = [(one.at_ns // 10**9 + 8 * 3_600) // seconds for one in own]
        last = [one for one, where in zip(own, place, strict=True) if where == place[-1]]
        prices = [one.price_fen for one in last]
        return Bar(
            (place[-1] * seconds - 8 * 3_600) * 10**9,
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(one.quantity for one in last),
            sum(one.amount_fen for one in last),
            len(last),
        )


def decoded(world: World) -> list[e.Entry]:
    return [DECODE(raw) for raw in world.entries]


def told(entries: list[e.Entry]) -> list[tape.Entry]:
    return [(entry.at_ns, entry.events) for entry in entries]


def commits(entries: list[e.Entry], chance: random.Random) -> Iterator[list[e.Entry]]:
    """The entries cut into commits of one to nine."""
    at = 0
    while at < len(entries):
        size = chance.randint(1, 9)
        yield entries[at : at + size]
        at += size


def followed(entries: list[e.Entry], chance: random.Random) -> tuple[dict[str, Sheet], list[tape.Change]]:
    """Sheets of all listings from the first entry on, and every change they told."""
    listings = {
        event.listing for entry in entries for event in entry.events if isinstance(event, e.ListingCreated)
    }
    sheets = {listing: Sheet(listing, "draft", 0, 0) for listing in listings}
    changes = []
    for sequence, commit in enumerate(commits(entries, chance), 1):
        for listing, move in tape.moves(told(commit), listings).items():
            changes.append(sheets[listing].fold(sequence, commit[-1].at_ns, move))
    return sheets, changes


def trading(seed: int, steps: int = 400) -> World:
    """A book and a posted listing, five people, an owner of two of them, a product with a hold, and time that passes."""
    chance = random.Random(seed)
    world = World()
    shop = world.merchant(cash_fen=10**8)
    people = [shop, world.merchant(cash_fen=10**8, owner="U1"), world.merchant(cash_fen=10**8, owner="U1")]
    people += [world.buyer(), world.buyer()]
    listings = [world.book(shop), world.book(shop), world.listing(shop, price_fen=700)]
    held = world.product(
        shop,
        classification=personal(),
        consent=consent_of(basis="separate_consent", purposes=("market_analysis",)),
    )
    listings.append(world.book(shop, held))
    for step in range(steps):
        if step == steps // 3:
            world.record(held, "objection_raised")
        if step == 2 * steps // 3:
            world.record(held, "objection_settled")
            world.ban(people[1])
        act(world, chance, people, listings)
    world.move(shop, listings[1], "withdraw")
    world.check()
    return world


def act(world: World, chance: random.Random, people: list[str], listings: list[str]) -> None:
    world.wait(ns=chance.choice((0, 0, 10**9, 50 * 10**9, 3_000 * 10**9)))
    if chance.random() < 0.2 and world.state.orders:
        order = chance.choice(sorted(world.state.orders))
        world.must(e.CancelOrder(actor=world.state.orders[order].participant, order=order))
        return
    side = "sell" if chance.random() < 0.5 else "buy"
    limit = chance.choice((0, *range(95, 106)))
    force = "ioc" if chance.random() < 0.1 else "gtc"
    listing = chance.choice(listings)
    if listing == listings[2]:
        side, limit = "buy", 0
    world.order(
        chance.choice(people),
        listing,
        chance.randint(1, 30),
        side=side,
        limit_fen=limit,
        time_in_force=force,
    )


@pytest.mark.parametrize("seed", range(6))
def test_sheets_equal_a_naive_reading_and_the_books(seed: int) -> None:
    world = trading(seed)
    entries = decoded(world)
    naive = Naive(entries)
    sheets, changes = followed(entries, random.Random(seed))
    assert len(naive.prints) > 30
    for listing, sheet in sheets.items():
        assert sheet.bids == naive.levels(listing, "buy")
        assert sheet.asks == naive.levels(listing, "sell")
        assert sheet.state == world.state.listings[listing].state
        own = [one for name, one in naive.prints if name == listing]
        assert sheet.last == (own[-1] if own else None)
        for interval, seconds in (("1m", 60), ("1h", 3_600), ("1d", DAY_S)):
            assert sheet.bars.get(interval) == naive.bar(listing, seconds)
        assert sheet.previous_fen == naive.previous_fen(listing)
        book = world.state.books.get(listing)
        if book is not None:
            bids, asks = sheet.depth()
            assert bids == [(price, quantity) for price, quantity, _ in book.depth("buy", 10**6)]
            assert asks == [(price, quantity) for price, quantity, _ in book.depth("sell", 10**6)]
    told_prints = [(change.listing, one) for change in changes for one in change.prints]
    assert sorted(told_prints, key=str) == sorted(naive.prints, key=str)


@pytest.mark.parametrize("seed", range(3))
def test_whoever_applies_changes_has_the_same_levels(seed: int) -> None:
    """A reader knows a change as absolute quantities, and sets them."""
    entries = decoded(trading(seed, 200))
    sheets, changes = followed(entries, random.Random(seed))
    seen: dict[tuple[str, str], dict[int, int]] = {}
    for change in changes:
        for side, levels in (("buy", change.bids), ("sell", change.asks)):
            mine = seen.setdefault((change.listing, side), {})
            mine.update(levels)
    for listing, sheet in sheets.items():
        for side, whole in (("buy", sheet.bids), ("sell", sheet.asks)):
            mine = seen.get((listing, side), {})
            assert {price: quantity for price, quantity in mine.items() if quantity} == whole


@pytest.mark.parametrize("seed", range(4))
def test_a_sheet_that_is_rewound_tells_the_same_again(seed: int) -> None:
    """The newest levels, taken back over any part of the journal, then followed again: the same changes."""
    entries = decoded(trading(seed, 200))
    newest, changes = followed(entries, random.Random(seed))
    rows = list(commits(entries, random.Random(seed)))
    for begin in (0, len(rows) // 3, len(rows) - 2):
        tail = rows[begin:]
        for listing, sheet in newest.items():
            again = Sheet(listing, "", begin, 0)
            again.bids, again.asks = dict(sheet.bids), dict(sheet.asks)
            whole = tape.moves(told([entry for row in tail for entry in row]), (listing,))
            if listing in whole:
                again.rewound(whole[listing])
            retold = []
            for sequence, row in enumerate(tail, begin + 1):
                for move in tape.moves(told(row), (listing,)).values():
                    retold.append(again.fold(sequence, row[-1].at_ns, move))
            before = [one for one in changes if one.listing == listing and one.sequence > begin]
            assert [(one.sequence, one.bids, one.asks, one.prints) for one in retold] == [
                (one.sequence, one.bids, one.asks, one.prints) for one in before
            ]
            assert (again.bids, again.asks) == (sheet.bids, sheet.asks)


# ---- halts


def halting(seed: int) -> tuple[World, dict[str, str]]:
    """Halts of everything, begun and ended at random; listings and their boards."""
    chance = random.Random(seed)
    world = World()
    shop = world.merchant()
    listings = {name: world.state.listings[name].board for name in (world.listing(shop), world.book(shop))}
    first = next(iter(listings))
    things = [("market", ""), *(("board", board) for board in listings.values())]
    things += [("listing", listing) for listing in listings]
    for _ in range(40):
        scope, subject = chance.choice(things)
        command = e.ResumeTrading if key_of(scope, subject) in world.state.halts else e.HaltTrading
        world.must(command(actor=OPERATOR, scope=scope, subject=subject, reason="a check"))
        if not world.state.halts:
            world.buy(world.buyer(), first)
    return world, listings


def halted_now(world: World, listing: str, board: str) -> list[str]:
    """The widest first."""
    subjects = (("market", ""), ("board", board), ("listing", listing))
    return [scope for scope, subject in subjects if key_of(scope, subject) in world.state.halts]


@pytest.mark.parametrize("seed", range(5))
def test_halts_of_all_scopes_are_told_to_the_listings_they_reach(seed: int) -> None:
    world, boards = halting(seed)
    rows = list(commits(decoded(world), random.Random(seed)))
    sheets = {listing: Sheet(listing, "published", 0, 0, board) for listing, board in boards.items()}
    changes = [
        sheets[listing].fold(sequence, row[-1].at_ns, move)
        for sequence, row in enumerate(rows, 1)
        for listing, move in tape.moves(told(row), sheets, boards).items()
    ]
    for listing, board in boards.items():
        assert sheets[listing].halted == halted_now(world, listing, board)
        heard = [
            change.halted for change in changes if change.listing == listing and change.halted is not None
        ]
        assert heard[-1] == halted_now(world, listing, board)
        assert len(heard) > 5


@pytest.mark.parametrize("seed", range(5))
def test_halts_are_rewound_and_told_the_same_again(seed: int) -> None:
    world, boards = halting(seed)
    rows = list(commits(decoded(world), random.Random(seed)))
    for begin in (0, len(rows) // 2, len(rows) - 1):
        whole = {listing: Sheet(listing, "", 0, 0, board) for listing, board in boards.items()}
        late = {}
        for listing, board in boards.items():
            late[listing] = sheet = Sheet(listing, "", begin, 0, board)
            sheet.standing = dict.fromkeys(halted_now(world, listing, board), True)
        tail = told([entry for row in rows[begin:] for entry in row])
        for listing, move in tape.moves(tail, late, boards).items():
            move.levels.clear()
            late[listing].rewound(move)
        said: dict[str, list[tuple[int, list[str] | None]]] = {"whole": [], "late": []}
        for sequence, row in enumerate(rows, 1):
            for name, sheets in (("whole", whole), ("late", late)):
                if name == "late" and sequence <= begin:
                    continue
                for listing, move in tape.moves(told(row), sheets, boards).items():
                    move.levels.clear()
                    change = sheets[listing].fold(sequence, 0, move)
                    if sequence > begin:
                        said[name].append((sequence, change.halted))
        assert said["whole"] == said["late"]


def test_a_held_trade_is_no_print_until_it_settles() -> None:
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(
        shop,
        classification=personal(),
        consent=consent_of(basis="general_consent", purposes=("market_analysis",)),
    )
    listing = world.listing(shop, product)
    held = only(world.order(buyer, listing), e.Held)
    assert tape.moves([(world.at_ns, (held,))], (listing,)) == {}
    cure = e.CureHold(
        actor=world.reviewer, trade=held.trade, rule="C02", evidence_sha256="ab" * 32,
        revision=world.state.products[product].revision,
    )  # fmt: skip
    outcome = world.must(cure)
    [move] = tape.moves([(outcome.at_ns, outcome.events)], (listing,)).values()
    assert [one.trade for one in move.prints] == [held.trade]
    assert move.levels == {}


def test_listings_that_nobody_asked_for_are_left_out() -> None:
    world = trading(1, 60)
    entries = told(decoded(world))
    assert tape.moves(entries, ()) == {}
    everything = tape.moves(entries, set(world.state.listings))
    for listing in everything:
        assert tape.moves(entries, (listing,)) == {listing: everything[listing]}


@pytest.mark.parametrize(
    ("interval", "at", "start"),
    [
        ("1d", "2025-11-24T15:59:59Z", "2025-11-23T16:00:00Z"),
        ("1d", "2025-11-24T16:00:00Z", "2025-11-24T16:00:00Z"),
        ("1h", "2025-11-24T15:59:59Z", "2025-11-24T15:00:00Z"),
        ("1m", "2025-11-24T15:59:59Z", "2025-11-24T15:59:00Z"),
    ],
)
def test_a_day_begins_at_midnight_in_china(interval: str, at: str, start: str) -> None:
    def ns(text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp()) * 10**9

    assert tape.start_of(interval, ns(at) + 999_999_999) == ns(start)


def test_a_journal_of_an_earlier_version_is_known_for_it() -> None:
    placed = next(
        event for entry in decoded(trading(2, 30)) for event in entry.events if type(event) is e.OrderPlaced
    )
    assert tape.is_told([(START_NS, (placed, e.OrderClosed(placed.order, "ioc", 1)))])
    assert not tape.is_told([(START_NS, (e.OrderClosed("O1", "cancelled", 1),))])
    assert tape.is_told([(START_NS, (e.OrderClosed("O1", "cancelled", 1, "L1", "buy", 5),))])


def test_every_closing_of_a_golden_day_is_told() -> None:
    assert all(tape.is_told([one]) for one in told(decoded(golden_journal.day())))
