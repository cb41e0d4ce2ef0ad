"""The words of the trading floor: what stories of issue 5 say of a book, over HTTP.

What the checks expect of an order that was placed, read or replaced; more members are welcome:

    {order, state: open | filled | closed, filled, remaining, closed_reason}, and once it was placed its trades at once:
    [{trade, price_fen, quantity, state}]

A stop that has not been triggered is `open` and not in the book that everybody sees.
"""

from typing import Any

import httpx

from tests.story import Person, Venue, done, refused, shuji

Placed = dict[str, Any]


def not_taken(answer: httpx.Response, *codes: str) -> Placed:
    """The problem of an order that was not taken, by its code: whether 409 or 422 is its builder's choice."""
    return refused(answer, answer.status_code if answer.status_code in (409, 422) else 409, *codes)


def sell(venue: Venue, seller: Person, book: str, quantity: int, limit_fen: int, **how: Any) -> Placed:
    placed: Placed = done(venue.order(seller, book, quantity, side="sell", limit_fen=limit_fen, **how), 201)
    return placed


def buy(venue: Venue, buyer: Person, book: str, quantity: int, limit_fen: int, **how: Any) -> Placed:
    placed: Placed = done(venue.order(buyer, book, quantity, limit_fen=limit_fen, **how), 201)
    return placed


def deal(venue: Venue, seller: Person, buyer: Person, book: str, price_fen: int, quantity: int = 1) -> str:
    """A trade at this price, which settles; gives its id."""
    sell(venue, seller, book, quantity, price_fen)
    [trade] = buy(venue, buyer, book, quantity, price_fen)["trades"]
    assert (trade["price_fen"], trade["state"]) == (price_fen, "settled"), trade
    return str(trade["trade"])


def look(person: Person, order: Placed | str) -> Placed:
    """The order as it is now, to its owner."""
    name = order if isinstance(order, str) else order["order"]
    found: Placed = done(person.get(f"/v1/orders/{name}"), 200)
    return found


def replace(person: Person, order: Placed, quantity: int, limit_fen: int, **how: Any) -> httpx.Response:
    return person.post(
        f"/v1/orders/{order['order']}/replace", {"quantity": quantity, "limit_fen": limit_fen, **how}
    )


def depth(venue: Venue, book: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bids and asks, best first: (price_fen, quantity)."""
    shown = done(venue.http.get(f"/v1/listings/{book}/book"), 200)
    bids, asks = ([(row["price_fen"], row["quantity"]) for row in shown[side]] for side in ("bids", "asks"))
    return bids, asks


def prices(placed: Placed) -> list[tuple[int, int]]:
    """What an order got: (price_fen, quantity) of each fill."""
    return [(trade["price_fen"], trade["quantity"]) for trade in placed["trades"]]


def fills(person: Person, order: Placed) -> list[tuple[int, int]]:
    """What an order has got by now: (price_fen, quantity) of each fill that was not refused, the lowest price first."""
    trades = [row for row in person.every("/v1/trades", limit=200) if order["order"] in _orders(row)]
    return sorted((row["price_fen"], row["quantity"]) for row in trades if row["state"] != "refused")


def _orders(trade: dict[str, Any]) -> tuple[str, str]:
    return trade["buy_order"], trade["sell_order"]


def closed(placed: Placed) -> tuple[str, int]:
    """Why it was closed and how much of it had been filled; asserts that it was closed."""
    assert placed["state"] == "closed", placed
    return str(placed["closed_reason"]), int(placed["filled"])


def holder(venue: Venue, merchant: Person, book: str, units: int = 20, **identity: Any) -> Person:
    """Somebody else who may sell in this book: accredited, with money, and units bought from its merchant."""
    person = venue.merchant("buyer", **identity)
    venue.cash_in(person, 100_000_000)
    deal(venue, merchant, person, book, 1_000, units)
    return person


def session(venue: Venue, board: str, phase: str) -> httpx.Response:
    body = {"phase": phase, "reason": "验收 acceptance"}
    return venue.operator.post(f"/v1/boards/{board}/session", body)


# -- what every mechanism comes to


def struck(listing: str, *people: Person) -> list[str]:
    """The trades of these people at a listing, as they are read by them."""
    return [
        row["trade"]
        for person in people
        for row in person.every("/v1/trades", limit=200)
        if row["listing"] == listing
    ]


def killed(venue: Venue) -> None:
    """kill -9, and started again on what it left."""
    venue.kill()
    venue.restart()


def verified(venue: Venue) -> None:
    ran = shuji("verify", "--data", str(venue.data), seconds=120)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]


def paid(venue: Venue, merchant: Person, buyer: Person, trade: str, *, kill: bool = False) -> None:
    """Delivered, accepted, paid: what a posted price comes to as well."""
    if kill:
        killed(venue)
    assert venue.read_trade(trade, buyer)["state"] == "settled"
    before = merchant.balance
    venue.hand_over(merchant, trade)
    if kill:
        killed(venue)
    venue.accept(buyer, trade)
    if kill:
        killed(venue)
    told = venue.read_trade(trade, buyer)
    assert (told["state"], merchant.balance - before) == ("completed", told["merchant_fen"])


def refunded(venue: Venue, buyer: Person, trade: str, balance: int) -> None:
    """Nothing is delivered by the date: the buyer has all its money back."""
    venue.advance(days=4)
    assert venue.read_trade(trade, buyer)["state"] == "refunded"
    assert buyer.balance == balance
