"""The door through which orders come, alone: what it reads, what it asks of the venue, what it answers."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from clearing import notrade
from credit.merchant import Participant
from exchange.events import (
    Held,
    OrderClosed,
    OrderPlaced,
    PlaceOrder,
    Refusal,
    Refused,
    Settled,
    TradeRefused,
)
from exchange.venue import Outcome
from exchange.web.access import Tokens
from exchange.web.fills import hold_state, order_state, placed_order
from exchange.web.instant import text_of
from exchange.web.orders import EntryDoor, Order, command_of, decode_order, read_body
from exchange.web.problem import Reasons, Refusing
from exchange.web.rates import Rates

NOW = 1_795_428_000_000_000_000
RULEBOOK = notrade.load()
REASONS = Reasons(lambda: RULEBOOK, "CN-46")
TOKENS = Tokens(b"k" * 32)
ANYBODY = ("everyone", "venue")
PEOPLE = {"P4": Participant(id="P4", legal_name="name")}
ID = "019ab0d2-3c40-7a52-9d1e-0d5f3a9c1b77"


def placed(quantity: int = 10) -> OrderPlaced:
    return OrderPlaced(
        "O1", "P4", "L1", "buy", quantity, 900, "gtc", "market_analysis", "CN", False, 9_000, ""
    )


def settled(quantity: int = 4) -> Settled:
    return Settled(
        "T1", "L1", "P4", "P2", "O1", "", quantity, 800, 3_200, 64, 3_136, 400, "E1", NOW, b"f" * 32,
        "posted_price", "market_analysis", "CN",
    )  # fmt: skip


def held(quantity: int = 4) -> Held:
    return Held(
        "T2", "L1", "P4", "P2", "O1", "", quantity, 800, 3_200, 400, NOW, ("B17",), b"f" * 32, "posted_price",
        "market_analysis", "CN", False,
    )  # fmt: skip


def refused(quantity: int = 4) -> TradeRefused:
    return TradeRefused(
        "T3", "L1", "P4", "P2", "O1", "", quantity, 800, "reject", ("A01",), (), b"f" * 32, "O1", ANYBODY
    )


class Asked:
    """A venue that answers every command with the same events, and remembers what it was asked."""

    def __init__(self, *events: Any, refusal: Refusal | None = None) -> None:
        self.outcome = Outcome(events, refusal, NOW)
        self.commands: list[PlaceOrder] = []

    async def submit(self, command: PlaceOrder) -> Outcome:
        self.commands.append(command)
        return self.outcome

    async def submit_many(self, commands: Sequence[PlaceOrder]) -> list[Outcome]:
        self.commands.extend(commands)
        return [self.outcome] * len(commands)


async def post(
    asked: Asked, body: Any, batch: bool = False, token: str | None = None
) -> tuple[int, Any, dict[str, str]]:
    """Status, content and headers of the answer; bytes are sent as they are, all else as JSON."""
    rates = Rates(lambda _: "M", lambda: NOW)
    door = EntryDoor(
        TOKENS, lambda: NOW, REASONS, asked.submit, asked.submit_many, lambda: (PEOPLE, {}), rates
    )
    given = TOKENS.issue("P4", 0, NOW)[0] if token is None else token
    scope = {
        "headers": [(b"authorization", f"Bearer {given}".encode())],
        "path": "/v1/orders",
        "method": "POST",
    }
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await (door.place_batch if batch else door.place)(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert int(headers["content-length"]) == len(sent[1]["body"])
    return sent[0]["status"], json.loads(sent[1]["body"]), headers


async def test_an_order_is_placed_for_the_tokens_holder() -> None:
    asked = Asked(placed(4), settled(4))
    status, told, headers = await post(asked, {"listing": "L1", "quantity": 4, "client_order_id": ID.upper()})
    assert (status, headers["content-type"]) == (201, "application/json")
    assert (told["order"], told["state"], told["filled"], told["remaining"]) == ("O1", "filled", 4, 0)
    assert told["trades"] == [
        {"trade": "T1", "state": "settled", "quantity": 4, "price_fen": 800, "amount_fen": 3_200, "fee_fen": 64,
         "entitlement": "E1", "due": text_of(NOW)}
    ]  # fmt: skip
    [command] = asked.commands
    assert (command.actor, command.key, command.side, command.limit_fen) == ("P4", ID, "buy", 0)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([placed()], ("open", 0, 10, None)),
        ([placed(), settled()], ("partly_filled", 4, 6, None)),
        ([placed(4), settled(4)], ("filled", 4, 0, None)),
        ([placed(), settled(), OrderClosed("O1", "ioc", 6)], ("closed", 4, 0, "ioc")),
        ([placed(), OrderClosed("O9", "cancelled", 6)], ("open", 0, 10, None)),
        ([placed(), held()], ("partly_filled", 0, 6, None)),
        ([placed(4), held(4)], ("closed", 0, 0, "held")),
        ([placed(), refused()], ("open", 0, 10, None)),
        ([placed(4), refused(4), OrderClosed("O1", "refused", 4)], ("closed", 0, 0, "refused")),
    ],
)
def test_what_became_of_an_order_is_told_from_its_events(
    events: list[Any], expected: tuple[Any, ...]
) -> None:
    told = placed_order(events, REASONS, NOW)
    reason = None if told.closed_reason is msgspec.UNSET else told.closed_reason
    assert (told.state, told.filled, told.remaining, reason) == expected


def test_a_refused_trade_names_its_articles_in_both_languages() -> None:
    [fill] = placed_order([placed(), refused()], REASONS, NOW).trades
    assert fill.state == "refused"
    assert not isinstance(fill.violated, msgspec.UnsetType)
    assert fill.violated[0].rule == "A01"
    assert any("保守国家秘密法" in cited.zh and cited.binding for cited in fill.violated[0].citations)
    assert fill.violated[0].message_en.isascii()


def test_a_rule_on_personal_information_binds_whoever_handles_it() -> None:
    """个人信息保护法 binds the handler (个人信息处理者): whoever trades such data, whichever rule is broken."""
    handler = (*ANYBODY, "personal_information_handler")
    c05, b04 = REASONS.violations(["C05", "B04"], NOW, handler)
    assert [(cited.authority, cited.binding) for cited in c05.citations] == [("law", True)]
    assert [(cited.zh, cited.binding) for cited in b04.citations] == [("个人信息保护法23", True)]
    b04, b14 = REASONS.violations(["B04", "B14"], NOW, ANYBODY)
    assert not any(cited.binding for cited in b04.citations), "nobody handles personal information"
    assert not any(cited.binding for cited in b14.citations), "a policy paper binds no trader"
    [gone] = REASONS.violations(["Z99"], NOW, ANYBODY)
    assert gone.citations == ()


async def test_a_refusal_is_a_problem_with_every_rule() -> None:
    refusal = Refusal(
        Refused.unlawful, "the trade is unlawful", ("A01", "B01"), (("C01", ("consent.basis",)),)
    )
    status, told, headers = await post(Asked(refusal=refusal), {"listing": "L1", "quantity": 1})
    assert (status, headers["content-type"]) == (422, "application/problem+json")
    assert [broken["rule"] for broken in told["violated"]] == ["A01", "B01"]
    assert told["unknown"] == [{"rule": "C01", "fields": ["consent.basis"]}]


async def test_a_busy_venue_says_when_to_come_again() -> None:
    busy = Asked(refusal=Refusal(Refused.overloaded, "the venue is busy"))
    status, told, headers = await post(busy, {"listing": "L1", "quantity": 1})
    assert (status, told["code"], headers["retry-after"]) == (503, "overloaded", "1")


@pytest.mark.parametrize("token", ["", "x", "P4.1.r.m"])
async def test_nobody_orders_without_a_token(token: str) -> None:
    asked = Asked(placed())
    status, told, headers = await post(asked, {"listing": "L1", "quantity": 1}, token=token)
    assert (status, told["code"], asked.commands) == (401, "not_signed_in", [])
    assert headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"listing":"L1"}',
        b'{"listing":"L1","quantity":1.5}',
        b'{"listing":"L1","quantity":"1"}',
        b'{"listing":"L1","quantity":0}',
        b'{"listing":"L1","quantity":-1}',
        b'{"listing":"L1","quantity":99999999999999999999999}',
        b'{"listing":"L1","quantity":1,"limit_fen":0}',
        b'{"listing":"L1","quantity":1,"limit_fen":9007199254740993}',
        b'{"listing":"L1","quantity":1,"side":"short"}',
        b'{"listing":"L1","quantity":1,"purpose":""}',
        b'{"listing":"L1","quantity":1,"purpose":"a\\u0000b"}',
        b'{"listing":"L1","quantity":1,"purpose":"\\ud800"}',
        b'{"listing":"L1","quantity":1,"client_order_id":"1"}',
        b'{"listing":"L1","quantity":1,"invented":1}',
        b'{"listing":"' + b"L" * 100 + b'","quantity":1}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_order_asks_nothing_of_the_venue(body: bytes) -> None:
    asked = Asked(placed())
    status, told, _ = await post(asked, body)
    assert (status, told["code"], asked.commands) == (400, "malformed", [])


async def test_a_batch_answers_each_order_on_its_own() -> None:
    good = {"listing": "L1", "quantity": 10}
    status, told, _ = await post(Asked(placed()), [good, good], batch=True)
    assert (status, [one["status"] for one in told["results"]]) == (200, [201, 201])
    refusal = Refusal(Refused.funds_insufficient, "pay in first")
    _, told, _ = await post(Asked(refusal=refusal), [good, good], batch=True)
    assert [(one["status"], one["problem"]["index"]) for one in told["results"]] == [(409, 0), (409, 1)]


@pytest.mark.parametrize("code", [Refused.overloaded, Refused.storage_unavailable])
async def test_a_batch_that_a_busy_venue_does_not_take_is_refused_as_a_whole(code: Refused) -> None:
    good = {"listing": "L1", "quantity": 10}
    busy = Asked(refusal=Refusal(code, "come again"))
    status, told, headers = await post(busy, [good, good], batch=True)
    assert (status, told["code"], headers["retry-after"]) == (503, code.name, "1")


async def test_a_body_may_come_in_pieces_but_not_without_end() -> None:
    pieces = [b'{"listing":"L1",', b'"quantity":1}']

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    assert decode_order(await read_body(receive, 100)) == Order(listing="L1", quantity=1)

    async def endless() -> Any:
        return {"type": "http.request", "body": b" " * 60, "more_body": True}

    with pytest.raises(Refusing, match="100 bytes"):
        await read_body(endless, 100)


async def test_a_client_that_went_away_sends_no_order() -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    with pytest.raises(Refusing, match="closed"):
        await read_body(receive, 100)


def test_the_command_says_what_the_order_said() -> None:
    order = Order(listing="L1", quantity=5, side="sell", limit_fen=7, time_in_force="ioc", accepts_prior=True)
    command = command_of(order, "P2")
    assert command == PlaceOrder(
        actor="P2",
        listing="L1",
        side="sell",
        quantity=5,
        limit_fen=7,
        time_in_force="ioc",
        accepts_prior=True,
    )


def test_states_of_orders_and_holds() -> None:
    assert [
        order_state(2, *counted) for counted in ((2, 0, False), (1, 0, False), (0, 0, False), (0, 1, True))
    ] == [
        "filled",
        "partly_filled",
        "open",
        "closed",
    ]
    assert hold_state([], "T1") == "held"
    assert hold_state([settled()], "T1") == "settled"
