"""Order entry by WebSocket over a real engine: what is bounded, what is told in which order, who is cut off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from credit.score import RANK
from exchange.app import Venue
from exchange.events import AdvanceClock, EndSessions, SetAddresses
from exchange.web import entry, rates
from exchange.web import watch as watch_module
from exchange.web.scopes import READ, TRADE
from tests.exchange.conversation import Conversation, market, trade
from tests.exchange.small_venue import Small, held_cursor, nothing_comes, soon, until, until_a_commit_waits
from tests.exchange.world import OPERATOR


@pytest.fixture
async def open_market(tmp_path: Path, database_dsn: str) -> AsyncIterator[tuple[Venue, Small]]:
    async with market(tmp_path, database_dsn) as opened:
        yield opened


def line(venue: Venue, participant: str) -> Conversation:
    """A connection of whoever it is."""
    token = venue.desk.tokens.issue(participant, 0, venue.engine.now_ns())[0]
    return Conversation(venue, "/v1/orders/ws", kind="websocket", token=token)


def answers(one: Conversation) -> list[dict[str, Any]]:
    return [message for message in one.messages if message["type"] == "answer"]


def placing(small: Small, request: int, **changes: Any) -> dict[str, Any]:
    order = {"listing": small.posted, "quantity": 1, "purpose": "market_analysis", **changes}
    return {"op": "place", "request": request, "order": order}


def resting(small: Small, request: int) -> dict[str, Any]:
    return placing(small, request, listing=small.book, limit_fen=1)


async def test_nothing_is_answered_before_its_commit(open_market: tuple[Venue, Small]) -> None:
    venue, small = open_market
    one = line(venue, small.buyer)
    async with held_cursor(venue.dsn):
        one.say(**placing(small, 1))
        one.say(op="shout", request=2)
        await until_a_commit_waits(venue.dsn)
        assert await nothing_comes(asyncio.ensure_future(one.hear("answer")))
    await one.hear("answer", 2)
    assert [(told["request"], told["status"]) for told in one.messages] == [(1, 201), (2, 400)]
    await one.leave()


async def test_what_is_under_way_is_bounded_and_so_are_the_refusals(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "MOST_UNDER_WAY", 10)
    monkeypatch.setattr(entry, "MOST_REFUSED", 5)
    venue, small = open_market
    one = line(venue, small.buyer)
    async with held_cursor(venue.dsn):
        for request in range(40):
            one.say(**placing(small, request))
        await until_a_commit_waits(venue.dsn)
        await until(lambda: one._said.qsize() == 25, "no more is read than may be under way")
    await one.hear("answer", 40)
    told = answers(one)
    assert [answer["request"] for answer in told] == list(range(40))
    assert [answer["status"] for answer in told[:15]] == [201] * 10 + [503] * 5
    assert "10 may be" in told[10]["problem"]["detail"]
    one.say(**placing(small, 99))
    await one.hear("answer", 41)
    assert answers(one)[-1]["status"] == 201
    await one.leave()


async def test_word_of_own_orders_leaves_behind_the_open_ones(open_market: tuple[Venue, Small]) -> None:
    """Nothing between the open orders and what is told of them is missing, whatever commits meanwhile."""
    venue, small = open_market
    first, second = line(venue, small.buyer), line(venue, small.buyer)
    for request in range(30):
        first.say(**resting(small, request))
        if request == 7:
            second.say(op="watch", request=1)
        if request == 15:
            first.say(op="watch", request=100)
        await asyncio.sleep(0)
    await first.hear("answer", 31)
    mine = {told["order"]["order"] for told in answers(first) if "order" in told}
    for one in (first, second):
        await until(lambda one=one: len(known(one)) >= 30, "all orders are known")  # type: ignore[misc]
        assert known(one) == sorted(mine)
        kinds = [message["type"] for message in one.messages]
        opened = next(at for at, message in enumerate(one.messages) if "orders" in message)
        assert "placed" not in kinds[:opened]
        await one.leave()


def known(one: Conversation) -> list[str]:
    """Every order that was told, as often as it was told."""
    found = [order["order"] for message in one.messages for order in message.get("orders", ())]
    return sorted(found + [message["order"] for message in one.messages if message["type"] == "placed"])


async def test_one_encoding_for_all_connections_of_a_participant(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    venue, small = open_market
    lines = [line(venue, small.buyer) for _ in range(5)] + [line(venue, small.merchant)]
    for one in lines:
        one.say(op="watch", request=1)
        await one.hear("answer")
    encoded: list[str] = []
    encode = watch_module._ENCODE

    def counted(view: Any) -> bytes:
        encoded.append(type(view).__name__)
        return encode(view)

    monkeypatch.setattr(watch_module, "_ENCODE", counted)
    await trade(venue, small)
    for one in lines:
        await one.hear("trade")
    assert sorted(encoded) == ["PlacedView", "TradedView", "TradedView"]
    assert lines[0].messages[1:] == lines[4].messages[1:]
    for one in lines:
        await one.leave()
    await trade(venue, small)
    assert len(encoded) == 3, "nobody watches any more"


async def test_a_connection_does_what_its_tokens_scopes_say(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    venue, small = open_market
    tokens = venue.desk.tokens
    trading = tokens.issue(small.buyer, 0, venue.engine.now_ns(), TRADE)[0]
    reading = tokens.issue(small.buyer, 0, venue.engine.now_ns(), READ)[0]
    one = Conversation(venue, "/v1/orders/ws", kind="websocket", token=reading)
    one.say(**placing(small, 1))
    one.say(op="cancel", request=2, order="O1")
    one.say(op="watch", request=3)
    one.say(op="sign_in", request=4, token=trading)
    one.say(**placing(small, 5))
    one.say(op="watch", request=6)
    await one.hear("answer", 6)
    told = {answer["request"]: answer for answer in answers(one)}
    assert {number: answer["status"] for number, answer in told.items()} == {
        1: 403, 2: 403, 3: 200, 4: 200, 5: 201, 6: 403,
    }  # fmt: skip
    assert "the scope trade" in told[1]["problem"]["detail"]
    assert "the scope read" in told[6]["problem"]["detail"]
    monkeypatch.setattr(rates, "ORDERS_A_MINUTE", dict.fromkeys(RANK, 1))
    await soon(venue.engine.submit(AdvanceClock(actor=OPERATOR, seconds=61)))
    for request in (7, 8):
        one.say(**placing(small, request))
    one.say(op="batch", request=9, orders=[placing(small, 0)["order"]])
    await one.hear("answer", 9)
    assert [answer["status"] for answer in answers(one)[6:]] == [201, 429, 429]
    assert answers(one)[-1]["problem"]["retry_after_s"] > 0
    await one.leave()


async def test_a_session_that_is_ended_closes_its_connection(open_market: tuple[Venue, Small]) -> None:
    venue, small = open_market
    token, seat = venue.desk.tokens.issue(small.buyer, 0, venue.engine.now_ns())
    one = Conversation(venue, "/v1/orders/ws", kind="websocket", token=token)
    one.say(**placing(small, 1))
    await one.hear("answer")
    ended = EndSessions(actor=small.buyer, session=seat.session, until_ns=seat.until_ns)
    await soon(venue.engine.submit(ended))
    await until(lambda: bool(one.ended[1:]), "the connection is closed")
    assert (one.ended[-1]["type"], one.ended[-1]["code"]) == ("websocket.close", entry.POLICY)
    await one.leave()


async def test_networks_bind_connections_too(open_market: tuple[Venue, Small]) -> None:
    """This one comes from no address at all."""
    venue, small = open_market
    one = line(venue, small.buyer)
    one.say(**placing(small, 1))
    await one.hear("answer")
    networks = SetAddresses(actor=small.buyer, participant=small.buyer, allow=("203.0.113.0/24",))
    await soon(venue.engine.submit(networks))
    one.say(**placing(small, 2))
    await one.hear("answer", 2)
    assert "not on your list" in answers(one)[-1]["problem"]["detail"]
    await until(lambda: one.ended[-1]["type"] == "websocket.close", "the connection is closed")
    late = line(venue, small.buyer)
    await until(lambda: bool(late.ended), "the handshake is refused")
    assert late.ended[0]["status"] == 403
    for talk in (one, late):
        await talk.leave()


async def test_who_does_not_read_is_cut_off(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "MOST_UNREAD_BYTES", 5_000)
    monkeypatch.setattr(entry, "LOOK_S", 0.1)
    venue, small = open_market
    slow, quick = line(venue, small.buyer), line(venue, small.buyer)
    for one in (slow, quick):
        one.say(op="watch", request=1)
        await one.hear("answer")
    slow.hold()
    for number in range(1, 40):
        await trade(venue, small)
        await quick.hear("trade", number)
    await soon(slow.task, "the slow one is cut off")
    one = line(venue, small.buyer)
    one.say(op="watch", request=1)
    await one.hear("answer")
    await one.leave()
    await quick.leave()


async def test_who_takes_no_answer_is_cut_off(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "STUCK_S", 0.2)
    monkeypatch.setattr(entry, "LOOK_S", 0.05)
    venue, small = open_market
    one = line(venue, small.buyer)
    one.say(**placing(small, 1))
    await one.hear("answer")
    one.hold()
    one.say(**placing(small, 2))
    one.say(**placing(small, 3))
    await soon(one.task, "whoever reads nothing is cut off")


async def test_nobody_may_take_all_connections(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "MOST_EACH", 2)
    monkeypatch.setattr(entry, "MOST_UNSIGNED", 3)
    monkeypatch.setattr(entry, "SIGN_IN_S", 1.0)
    monkeypatch.setattr(entry, "LOOK_S", 0.1)
    venue, small = open_market
    mine = [line(venue, small.buyer) for _ in range(2)]
    for one in mine:
        one.say(op="cancel", request=1, order="O9")
        await one.hear("answer")
    third = line(venue, small.buyer)
    await soon(third.task)
    assert third.ended[0]["status"] == 503
    silent = [Conversation(venue, "/v1/orders/ws", kind="websocket") for _ in range(3)]
    await until(lambda: all(one.ended for one in silent), "they are let in")
    late = Conversation(venue, "/v1/orders/ws", kind="websocket")
    await soon(late.task)
    assert late.ended[0]["status"] == 503
    known = line(venue, small.merchant)
    known.say(op="cancel", request=1, order="O9")
    await known.hear("answer")
    await known.leave()
    for one in silent:
        await soon(one.task, "who does not sign in goes")
        assert one.messages[-1]["problem"]["code"] == "not_signed_in"
    await mine[0].leave()
    again = line(venue, small.buyer)
    again.say(op="cancel", request=1, order="O9")
    await again.hear("answer")
    await again.leave()
    await mine[1].leave()


async def test_too_many_open_orders_are_not_watched(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "MOST_OPEN", 3)
    venue, small = open_market
    one = line(venue, small.buyer)
    for request in range(4):
        one.say(**resting(small, request))
    await one.hear("answer", 4)
    one.say(op="watch", request=9)
    await one.hear("answer", 5)
    assert answers(one)[-1]["problem"]["code"] == "out_of_bounds"
    one.say(op="cancel", request=10, order=answers(one)[0]["order"]["order"])
    await one.hear("answer", 6)
    one.say(op="watch", request=11)
    await one.hear("answer", 7)
    assert len(answers(one)[-1]["orders"]) == 3
    one.say(op="watch", request=12)
    await one.hear("answer", 8)
    assert answers(one)[-1]["problem"]["code"] == "wrong_state"
    await one.leave()


async def test_when_the_blotter_is_lost_watchers_come_again(
    open_market: tuple[Venue, Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake here never touches trading, and is not hidden from those who watch."""
    venue, small = open_market
    one = line(venue, small.buyer)
    one.say(op="watch", request=1)
    await one.hear("answer")

    def broken(*_: Any) -> None:
        raise AssertionError("a mistake")

    monkeypatch.setattr(watch_module, "fill_of", broken)
    await trade(venue, small)
    await soon(one.task, "the connection ends")
    monkeypatch.undo()
    again = line(venue, small.buyer)
    again.say(op="watch", request=1)
    await again.hear("answer")
    await trade(venue, small)
    await again.hear("trade")
    await again.leave()
