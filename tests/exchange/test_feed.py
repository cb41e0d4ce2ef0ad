"""The feed over a real engine and database: slow readers, places to go on from, one encoding, many readers, hostile ones.

Readers are ASGI conversations with the venue's own application. What they are told is folded here, naively, from the text
of the messages alone, and compared with the books and with the tables.
"""

import gc
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exchange import tape
from exchange.app import Venue
from exchange.events import CancelOrder, HaltTrading, OrderPlaced, PlaceOrder, ResumeTrading
from exchange.web import feed as feed_module
from exchange.web import stream
from tests.exchange.conversation import Conversation, Message, market, trade
from tests.exchange.small_venue import Small, found, soon, until
from tests.exchange.world import OPERATOR


@pytest.fixture
async def open_market(tmp_path: Path, database_dsn: str) -> AsyncIterator[tuple[Venue, Small]]:
    async with market(tmp_path, database_dsn) as opened:
        yield opened


async def deal(venue: Venue, small: Small, chance: random.Random, steps: int) -> None:
    """A lively book: offers and bids that rest, meet and are cancelled, in commits of some."""
    resting: list[tuple[str, str]] = []
    for _ in range(steps):
        if resting and chance.random() < 0.25:
            actor, order = resting.pop(chance.randrange(len(resting)))
            await soon(venue.engine.submit(CancelOrder(actor=actor, order=order)))
            continue
        side = chance.choice(("buy", "sell"))
        actor = small.buyer if side == "buy" else small.merchant
        commands = [
            PlaceOrder(
                actor=actor, listing=small.book, side=side, quantity=chance.randint(1, 9),
                limit_fen=chance.randint(95, 105),
            )
            for _ in range(chance.randint(1, 4))
        ]  # fmt: skip
        for outcome in await soon(venue.engine.submit_many(commands)):
            placed = outcome.events[0]
            if isinstance(placed, OrderPlaced):
                resting.append((actor, placed.order))


# ---- readers


def events(venue: Venue, listings: str, since: str = "") -> Conversation:
    query = f"listings={listings}" + (f"&from={since}" if since else "")
    return Conversation(venue, "/v1/feed/events", query)


def socket(venue: Venue) -> Conversation:
    return Conversation(venue, "/v1/feed", kind="websocket")


class Fold:
    """What a reader knows: levels, prints and the last bars, by applying message after message."""

    def __init__(self, messages: list[Message]) -> None:
        self.levels: dict[str, dict[tuple[str, int], int]] = {}
        self.prints: dict[str, list[str]] = {}
        self.bars: dict[str, Message] = {}
        for message in messages:
            getattr(self, f"_{message['type']}")(message)

    def _snapshot(self, message: Message) -> None:
        listing = message["listing"]
        self.levels[listing] = {}
        self.bars[listing] = message["bars"]
        self._set(message)

    def _change(self, message: Message) -> None:
        listing = message["listing"]
        self._set(message)
        self.prints.setdefault(listing, []).extend(one["trade"] for one in message.get("trades", ()))
        self.bars[listing] = self.bars.get(listing, {}) | message.get("bars", {})

    def _set(self, message: Message) -> None:
        levels = self.levels.setdefault(message["listing"], {})
        for side in ("bids", "asks"):
            for price, quantity in message.get(side, ()):
                levels[side, price] = quantity
                if not quantity:
                    del levels[side, price]

    def _gap(self, message: Message) -> None:
        pass

    def _current(self, message: Message) -> None:
        pass


def book_levels(venue: Venue, listing: str) -> dict[tuple[str, int], int]:
    """The engine's own book, once all is committed."""
    book = venue.engine.state.books[listing]
    sides = (("bids", book.depth("buy", 10**6)), ("asks", book.depth("sell", 10**6)))
    return {(name, price): quantity for name, levels in sides for price, quantity, _ in levels}


async def printed(venue: Venue, listing: str) -> list[str]:
    """Settled trades of the listing in the tables, in the order in which they settled."""
    await venue.projector.caught_up(venue.engine.sequence)
    rows = await venue.desk.pool.fetch(
        "SELECT id FROM trade WHERE listing = $1 AND settled_at_ns > 0 ORDER BY settled_at_ns, number",
        listing,
    )
    return [row["id"] for row in rows]


# ---- what readers are told


async def test_a_lively_book_is_told_as_it_is(open_market: tuple[Venue, Small]) -> None:
    venue, small = open_market
    reader, other = events(venue, small.book), socket(venue)
    other.say(op="subscribe", listings=[small.book])
    await reader.hear("current")
    await other.hear("current")
    await deal(venue, small, random.Random(1), 120)
    await reader.told(venue.engine.sequence)
    await other.told(venue.engine.sequence)
    for one in (reader, other):
        known = Fold(one.messages)
        assert known.levels[small.book] == book_levels(venue, small.book)
        assert known.prints[small.book] == await printed(venue, small.book)
        assert len(known.prints[small.book]) > 20
        await one.leave()
    assert [one for one in reader.messages if one["type"] == "change"] == [
        one for one in other.messages if one["type"] == "change"
    ]


async def test_a_slow_reader_is_behind_bounded_and_then_up_to_date(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is bounded; then it is told of each listing how far it knew, and how it is now."""
    monkeypatch.setattr(feed_module, "MOST_WAITING", 20)
    venue, small = open_market
    listings = f"{small.book},{small.posted}"
    slow, quick = events(venue, listings), events(venue, listings)
    await slow.hear("current")
    await quick.hear("current")
    slow.hold()
    most = 0
    for seed in range(12):
        await deal(venue, small, random.Random(seed), 12)
        await trade(venue, small, 3)
        most = max(most, *(len(reader._waiting) for reader in venue.desk.feed._readers))
    assert most <= 20
    await quick.told(venue.engine.sequence)
    assert [reader.behind for reader in venue.desk.feed._readers if reader.behind]
    slow.let_go()
    await slow.hear("gap", 2)
    await slow.told(venue.engine.sequence)
    known = Fold(slow.messages)
    assert known.levels[small.book] == book_levels(venue, small.book)
    assert known.bars == Fold(quick.messages).bars
    for gap in (one for one in slow.messages if one["type"] == "gap"):
        before = slow.messages[: slow.messages.index(gap)]
        seen = [one["sequence"] for one in before if one.get("listing") == gap["listing"]]
        assert gap["after"] >= max(seen), "what is told of a listing before its gap lies before it"
    await trade(venue, small)
    await slow.told(venue.engine.sequence)
    assert slow.messages[-1] == quick.messages[-1] or slow.messages[-1]["type"] == "change"
    changes = [one for one in slow.messages if one["type"] == "change"]
    places = [(one["sequence"], int(one["listing"][1:])) for one in changes]
    assert places == sorted(set(places)), "nothing twice, nothing out of order"
    for one in (slow, quick):
        await one.leave()


async def test_from_every_place_the_same_is_told_again(open_market: tuple[Venue, Small]) -> None:
    venue, small = open_market
    listings = f"{small.book},{small.posted}"
    whole = events(venue, listings)
    await whole.hear("current")
    for seed in range(4):
        await deal(venue, small, random.Random(seed), 6)
        await trade(venue, small, 2)
    await whole.told(venue.engine.sequence)
    changes = [raw for raw in whole.raw if raw.startswith("event: change")]
    assert len(changes) > 20
    for at, raw in enumerate(changes):
        place = raw.partition("id: ")[2].partition("\n")[0]
        late = events(venue, listings, place)
        await late.hear("current")
        assert late.raw[:-1] == changes[at + 1 :]
        await late.leave()
    await whole.leave()


async def test_the_place_of_a_whole_commit_goes_on_behind_it(open_market: tuple[Venue, Small]) -> None:
    venue, small = open_market
    reader = events(venue, small.posted)
    await reader.hear("current")
    await trade(venue, small)
    await reader.hear("change")
    sequence = reader.messages[-1]["sequence"]
    await trade(venue, small)
    await reader.hear("change", 2)
    for since, count in ((sequence - 1, 2), (sequence, 1), (sequence + 1, 0)):
        late = events(venue, small.posted, str(since))
        await late.hear("current")
        assert [one["type"] for one in late.messages].count("change") == count
        await late.leave()
    await reader.leave()


async def test_a_ring_that_does_not_reach_back_gives_a_snapshot(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "KEPT_MESSAGES", 5)
    venue, small = open_market
    await venue.desk.feed.follow([small.posted])
    begun = venue.engine.sequence
    for _ in range(9):
        await trade(venue, small)
    late = events(venue, small.posted, str(begun))
    await late.hear("current")
    assert [one["type"] for one in late.messages] == ["gap", "snapshot", "current"]
    near = events(venue, small.posted, str(venue.engine.sequence - 3))
    await near.hear("current")
    assert [one["type"] for one in near.messages] == ["change"] * 3 + ["current"]
    for one in (late, near):
        await one.leave()


async def test_whoever_is_cut_off_while_it_catches_up_loses_nothing(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot has no place to go on from, so it comes before the changes that have one."""
    venue, small = open_market
    await venue.desk.feed.follow([small.posted, small.book])
    begun = venue.engine.sequence
    followed = venue.desk.feed._followed[small.book]
    followed.ring = type(followed.ring)(maxlen=2)
    monkeypatch.setattr(feed_module, "KEPT_MESSAGES", 2)
    for _ in range(6):
        await soon(venue.engine.submit(small.bid()))
    monkeypatch.setattr(feed_module, "KEPT_MESSAGES", 500)
    await trade(venue, small)
    late = events(venue, f"{small.posted},{small.book}", str(begun))
    await late.hear("current")
    assert [one["type"] for one in late.messages] == ["gap", "snapshot", "change", "current"]
    await late.leave()


async def test_halts_are_told_and_stand_in_the_snapshot(open_market: tuple[Venue, Small]) -> None:
    venue, small = open_market
    reader = events(venue, f"{small.posted},{small.book}")
    await reader.hear("current")
    halt = {"actor": OPERATOR, "scope": "market", "subject": "", "reason": "a check"}
    await soon(venue.engine.submit(HaltTrading(**halt)))
    await soon(venue.engine.submit(HaltTrading(**halt | {"scope": "listing", "subject": small.book})))
    await reader.hear("change", 3)
    late = events(venue, small.book)
    await late.hear("current")
    assert late.messages[0]["halted"] == ["market", "listing"]
    await soon(venue.engine.submit(ResumeTrading(**halt)))
    await reader.hear("change", 5)
    told = [(one["listing"], one["halted"]) for one in reader.messages if one["type"] == "change"]
    assert told == [
        (small.posted, ["market"]),
        (small.book, ["market"]),
        (small.book, ["market", "listing"]),
        (small.posted, []),
        (small.book, ["listing"]),
    ]
    for since in range(1, venue.engine.sequence + 1):
        again = events(venue, small.book, str(since))
        await again.hear("current")
        changes = [one for one in reader.messages if one["type"] == "change" and one["listing"] == small.book]
        assert again.messages[:-1] == [one for one in changes if one["sequence"] > since]
        await again.leave()
    for one in (reader, late):
        await one.leave()


# ---- cost


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of messages that are encoded from now on, one for each encoding."""
    encoded: list[str] = []
    encode = feed_module._ENCODE

    def counted(view: Any) -> bytes:
        encoded.append(type(view).__name__)
        return encode(view)

    monkeypatch.setattr(feed_module, "_ENCODE", counted)
    return encoded


async def test_a_change_is_encoded_once_for_two_hundred_readers(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    venue, small = open_market
    readers = [events(venue, small.posted) for _ in range(150)]
    sockets = [socket(venue) for _ in range(50)]
    for one in sockets:
        one.say(op="subscribe", listings=[small.posted])
    for one in (*readers, *sockets):
        await one.hear("current")
    encoded = counting(monkeypatch)
    for _ in range(10):
        await trade(venue, small)
    for one in (*readers, *sockets):
        await one.hear("change", 10)
    assert encoded == ["ChangeView"] * 10
    changes = [raw for raw in readers[0].raw if raw.startswith("event: change")]
    for one in readers:
        assert [raw for raw in one.raw if raw.startswith("event: change")] == changes
    lines = [raw.partition("data: ")[2] for raw in changes]
    for one in sockets:
        assert [raw for raw in one.raw if '"type":"change"' in raw] == lines
    for one in (*readers, *sockets):
        await one.leave()
    assert not venue.desk.feed._readers


async def test_many_who_ask_for_a_snapshot_share_its_encoding(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    venue, small = open_market
    await venue.desk.feed.follow([small.posted])
    encoded = counting(monkeypatch)
    readers = [events(venue, small.posted) for _ in range(30)]
    for one in readers:
        await one.hear("current")
        await one.leave()
    assert encoded.count("SnapshotView") == 1


async def test_a_listing_that_nobody_reads_costs_nothing_and_is_left(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LINGER_S", 0.05)
    venue, small = open_market
    reader = events(venue, small.posted)
    await reader.hear("current")
    await reader.leave()
    await until(lambda: not venue.desk.feed._followed, "a listing without readers is left")
    await trade(venue, small)
    assert not venue.desk.feed._waiting


# ---- those who mean no good


async def test_one_who_never_reads_leaves_the_others_alone_and_goes(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that takes nothing for long is given up, so that nobody can take all places by not reading."""
    monkeypatch.setattr(stream, "STUCK_S", 0.3)
    venue, small = open_market
    dead = [events(venue, small.posted), socket(venue)]
    dead[1].say(op="subscribe", listings=[small.posted])
    quick = events(venue, small.posted)
    for one in (*dead, quick):
        await one.hear("current")
    for one in dead:
        one.hold()
    for _ in range(30):
        await trade(venue, small)
    await quick.hear("change", 30)
    for one in dead:
        await soon(one.task, "a reader that is stuck is given up")
    assert len(venue.desk.feed._readers) == 1
    await quick.leave()


async def test_garbage_is_answered_and_bounded(open_market: tuple[Venue, Small]) -> None:
    venue, small = open_market
    reader = socket(venue)
    bad: list[Any] = [
        "", "{", "null", "[" * 50_000, '{"op":"subscribe"}', '{"op":"subscribe","listings":[]}',
        '{"op":"subscribe","listings":["L1"],"from":"' + "9" * 39 + '"}', '{"op":"subscribe","listings":[7]}',
        json.dumps({"op": "subscribe", "listings": ["L1"] * 201}), '{"op":"subscribe","listings":["L\\u0000"]}',
        json.dumps({"op": "subscribe", "listings": ["X1", "", "L", "L-1", "L999999999999999999999"]}),
    ]  # fmt: skip
    for text in bad:
        reader._said.put_nowait({"type": "websocket.receive", "text": text})
    reader._said.put_nowait({"type": "websocket.receive", "bytes": b"\xff\xfe"})
    await reader.hear("problem", len(bad) + 1)
    reader.say(op="unsubscribe", listings=["L77"])
    reader.say(op="subscribe", listings=[small.posted, small.posted])
    reader.say(op="subscribe", listings=[small.posted])
    await reader.hear("current", 2)
    await trade(venue, small)
    await reader.hear("change")
    assert [one["type"] for one in reader.messages].count("snapshot") == 1
    await reader.leave()


async def test_readers_beyond_the_most_are_refused_and_places_come_back(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MOST_READERS", 10)
    venue, small = open_market
    readers = [events(venue, small.posted) for _ in range(8)] + [socket(venue) for _ in range(2)]
    for one in readers[:8]:
        await one.hear("current")
    await until(lambda: len(venue.desk.feed._readers) == 10, "all places are taken")
    late, refused = events(venue, small.posted), socket(venue)
    await soon(late.task)
    assert late.ended[0]["status"] == 503
    await soon(refused.task)
    assert refused.messages[0]["code"] == "overloaded"
    for one in readers:
        await one.leave()
    again = events(venue, small.posted)
    await again.hear("current")
    await again.leave()
    assert not venue.desk.feed._readers


async def test_who_follows_nothing_gives_its_place_up(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "IDLE_S", 0.5)
    venue, small = open_market
    feed = venue.desk.feed
    silent, fickle, reader = socket(venue), socket(venue), socket(venue)
    for one in (fickle, reader):
        one.say(op="subscribe", listings=[small.posted])
        await one.hear("current")
    assert feed.pause_s == 2 * feed_module.SHARE_S
    fickle.say(op="unsubscribe", listings=[small.posted])
    for one in (silent, fickle):
        await soon(one.task, "who follows nothing goes")
        assert one.ended[-1]["code"] == stream.POLICY
    assert feed.pause_s == feed_module.SHARE_S
    await trade(venue, small)
    await reader.hear("change")
    await reader.leave()
    assert (feed.pause_s, len(feed._readers)) == (0, 0)


async def test_room_is_made_by_what_was_not_asked_for(
    tmp_path: Path, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MOST_FOLLOWED", 2)
    small = found(simulated=True)
    third = small.world.listing(small.merchant)
    async with market(tmp_path, database_dsn, small) as (venue, _):
        await venue.desk.feed.follow([small.posted, small.book])
        reader = events(venue, f"{small.posted},{third}")
        await reader.hear("current")
        assert set(venue.desk.feed._followed) == {small.posted, third}
        await reader.leave()
        many = events(venue, f"{small.posted},{small.book},{third}")
        await soon(many.task)
        assert many.ended[0]["status"] == 503


async def test_all_rings_together_are_bounded(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "KEPT_BYTES", 20_000)
    venue, small = open_market
    feed = venue.desk.feed
    await feed.follow([small.book])
    await feed.follow([small.posted])
    begun = venue.engine.sequence
    await soon(venue.engine.submit(small.bid()))
    rested = venue.engine.sequence
    for _ in range(60):
        await trade(venue, small)
        assert feed._kept_bytes == sum(one.kept_bytes for one in feed._followed.values()) <= 20_000
    for followed in feed._followed.values():
        assert followed.kept_bytes == sum(message.kept_bytes for message in followed.ring)
    assert 0 < len(feed._followed[small.posted].ring) < 60
    assert [message.place[0] for message in feed._followed[small.book].ring if message.place][-1] == rested
    late = events(venue, small.posted, str(begun))
    await late.hear("current")
    assert [one["type"] for one in late.messages] == ["gap", "snapshot", "current"]
    near = events(venue, small.posted, str(venue.engine.sequence - 3))
    await near.hear("current")
    assert [one["type"] for one in near.messages] == ["change"] * 3 + ["current"]
    for one in (late, near):
        await one.leave()


async def test_thousands_who_come_and_go_leave_nothing_behind(open_market: tuple[Venue, Small]) -> None:
    venue, small = open_market
    for turn in range(20):
        comers = [events(venue, small.posted) for _ in range(50)] + [socket(venue) for _ in range(50)]
        for at, one in enumerate(comers):
            if at % 2:
                one._said.put_nowait({"type": "websocket.receive", "text": "{" * turn})
        for one in comers:
            await one.leave()
    assert not venue.desk.feed._readers
    assert not venue.desk.feed._connections
    gc.collect()
    left = [one for one in gc.get_objects() if type(one) is feed_module.Reader]
    assert len(left) <= 2
    reader = events(venue, small.posted)
    await reader.hear("current")
    await reader.leave()


async def test_when_the_feed_is_lost_readers_come_again_and_find_the_market(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of the feed's own never touches trading, and is not hidden from its readers."""
    venue, small = open_market
    reader = events(venue, small.posted)
    await reader.hear("current")

    def broken(*_: Any) -> None:
        raise AssertionError("a mistake")

    monkeypatch.setattr(tape, "moves", broken)
    await trade(venue, small)
    await soon(reader.task, "the stream ends")
    monkeypatch.undo()
    again = events(venue, small.posted)
    await again.hear("current")
    await trade(venue, small)
    await again.hear("change")
    await again.leave()
