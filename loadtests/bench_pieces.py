"""Where the CPU of a trade goes, without HTTP and PostgreSQL: the same stream once bare and once with timers.

The timed run wraps the functions that make up a piece. Time is counted for the innermost piece only, and the cost of
the wrapper itself, measured on an empty function, is taken off both from the piece and from the one around it. The
shares of the timed run are then laid on the CPU time of the bare run, so the pieces add up to it exactly.

    decode       the JSON body to a command, as at the door (not part of `venue.execute`; counted on top)
    evidence     the leaves of what happened, salted and hashed in batches of 1,000 (on top as well)
    standing     may this participant trade
    rules        facts, findings and verdicts of the phases `order` and `clearing`, and the hash of the facts
    contract     what both sides have signed
    shares       the split of the price: fee, merchant, contributors, public
    reservation  setting money or units aside, and giving them back
    book         resting, reducing, removing, walking the makers
    ledger       money and units changing hands
    entitlement  the licence that a settled trade grants, and its dates
    duties       what is owed after the trade
    events       making events and applying them, but for what is named above
    encode       the journal entry
    flow         what is left of `venue.execute`: listing, terms, supply, ids, generators
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import msgspec
from msgspec import Struct

from clearing.house import House
from clearing.ledger import Ledger
from exchange import order, revenue, venue
from exchange.events import CancelOrder, PlaceOrder
from exchange.evidence import Log, leaves_of
from exchange.matching.book import Book
from exchange.venue import Outcome
from exchange.web.orders import command_of, decode_order
from loadtests.bench_engine import NewFlow
from loadtests.bench_evidence import SECRET
from loadtests.bench_market import Market, found, settled

PIECES: Final = (
    "decode", "standing", "reservation", "book", "rules", "contract", "shares", "ledger", "entitlement", "duties",
    "events", "encode", "evidence", "flow",
)  # fmt: skip
PROVED: Final = 1_000
"""Orders whose leaves are measured."""
WARM_UP: Final = 2_000
STEP_NS: Final = 20_000
CALIBRATION: Final = 50_000

_METHODS: Final[tuple[tuple[Any, str, str], ...]] = (
    (order, "standing_refusal", "standing"),
    (order, "read_of", "rules"),
    (order, "law_refusal", "rules"),
    (order, "judge_clearing", "rules"),
    (order, "cell_of", "rules"),
    (House, "judge", "rules"),
    (order, "signed_by", "contract"),
    (revenue, "distribution", "shares"),
    (revenue, "settle", "shares"),
    (order, "_open_trade", "entitlement"),
    (Ledger, "reserve", "reservation"),
    (Ledger, "release", "reservation"),
    (Ledger, "available", "reservation"),
    (Ledger, "spend", "ledger"),
    (Ledger, "transfer", "ledger"),
    (Book, "add", "book"),
    (Book, "reduce", "book"),
    (Book, "remove", "book"),
    (order, "settlement", "events"),
    (order, "_placed", "events"),
    (venue, "_close_entry", "events"),
)
"""(where it is looked up, its name, its piece)"""


class Spent(Struct):
    """CPU us a settled trade: in all, by piece."""

    total: float
    pieces: dict[str, float]
    trades: int


class _Timers:
    """Exclusive time by piece, in ns, the wrappers' own cost taken off."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(PIECES, 0.0)
        self._open: list[float] = []
        self._within = self._around = 0.0
        self._calibrate()

    def _calibrate(self) -> None:
        """What an empty function seems to take inside the wrapper, and what it takes beyond that outside."""
        clock = time.perf_counter_ns
        wrapped = self.timed("flow", lambda: None)
        outer = clock()
        for _ in range(CALIBRATION):
            wrapped()
        whole = (clock() - outer) / CALIBRATION
        self._within = self.spent["flow"] / CALIBRATION
        self._around = whole - self._within
        self.spent["flow"] = 0.0

    def timed(self, piece: str, function: Callable[..., Any]) -> Callable[..., Any]:
        clock = time.perf_counter_ns
        inner_times, spent = self._open, self.spent

        def measured(*given: Any, **named: Any) -> Any:
            inner_times.append(0.0)
            started = clock()
            try:
                return function(*given, **named)
            finally:
                took = clock() - started
                spent[piece] += took - inner_times.pop() - self._within
                if inner_times:
                    inner_times[-1] += took + self._around

        return measured

    def walked(self, piece: str, walk: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
        """A walk whose own steps count alone, not what is done with what it yields: the book's makers, say."""

        def walked(*given: Any) -> Iterator[Any]:
            step = self.timed(piece, iter(walk(*given)).__next__)
            while True:
                try:
                    found_one = step()
                except StopIteration:
                    return
                yield found_one

        return walked


class _TimedEncoder:
    """Stands in for a msgspec encoder."""

    def __init__(self, encoder: Any, timers: _Timers) -> None:
        self.encode = timers.timed("encode", encoder.encode)


@contextmanager
def _replaced(place: Any, name: str, stand_in: Any) -> Iterator[None]:
    kept = getattr(place, name)
    setattr(place, name, stand_in)
    try:
        yield
    finally:
        setattr(place, name, kept)


@contextmanager
def _wrapped(timers: _Timers) -> Iterator[None]:
    """Timers around everything in `_METHODS`, the events' functions, the book's walk, the encoder and the whole."""
    applying = {kind: timers.timed("events", apply) for kind, apply in venue.APPLY.items()}
    following = {kind: timers.walked("duties", follow) for kind, follow in venue.FOLLOWING.items()}
    with ExitStack() as stack:
        for place, name, piece in _METHODS:
            stack.enter_context(_replaced(place, name, timers.timed(piece, getattr(place, name))))
        stack.enter_context(_replaced(Book, "makers", timers.walked("book", Book.makers)))
        stack.enter_context(_replaced(venue, "FOLLOWING", following))
        stack.enter_context(_replaced(venue, "APPLY", applying))
        stack.enter_context(_replaced(venue, "_ENCODER", _TimedEncoder(venue._ENCODER, timers)))
        stack.enter_context(_replaced(venue, "execute", timers.timed("flow", venue.execute)))
        yield


class _Stream:
    """One flow on a market, an instant further each time."""

    def __init__(self, new_flow: NewFlow) -> None:
        self.market: Market = found(1_790_000_000_000_000_000)
        self.flow = new_flow(self.market, random.Random(5).randrange(1_000), None)
        self.at_ns = self.market.state.now_ns
        self.commands: list[PlaceOrder | CancelOrder] = []

    def run(self, orders: int, outcomes: list[Outcome] | None = None) -> int:
        """Trades settled; `outcomes` takes what happened."""
        trades = 0
        for _ in range(orders):
            command = self.flow.command()
            self.commands.append(command)
            self.at_ns += STEP_NS
            outcome = venue.execute(self.market.state, command, self.at_ns)
            self.flow.note(outcome)
            if outcomes is not None:
                outcomes.append(outcome)
            trades += settled(outcome)
        return trades


def _bare(new_flow: NewFlow, orders: int) -> tuple[float, int, _Stream]:
    """CPU seconds of `venue.execute` on this stream; making the commands is measured apart and taken off."""
    stream = _Stream(new_flow)
    stream.run(WARM_UP)
    stream.commands.clear()
    started = time.process_time()
    trades = stream.run(orders)
    spent = time.process_time() - started
    spare = new_flow(stream.market, 1, None)
    started = time.process_time()
    for _ in range(orders):
        spare.command()
    return spent - (time.process_time() - started), trades, stream


def _decoding(stream: _Stream) -> float:
    """CPU seconds to decode the stream's bodies into commands."""
    bodies = [msgspec.json.encode(_body(command)) for command in stream.commands]
    started = time.process_time()
    for body in bodies:
        command_of(decode_order(body), "P5")
    return time.process_time() - started


def _proving(stream: _Stream) -> float:
    """CPU seconds a trade that leaves cost, over the next orders of the stream."""
    outcomes: list[Outcome] = []
    trades = stream.run(PROVED, outcomes)
    log, started = Log(SECRET), time.process_time()
    log.take([leaf for outcome in outcomes for leaf in leaves_of(outcome.at_ns, outcome.events)])
    return (time.process_time() - started) / trades


def _body(command: PlaceOrder | CancelOrder) -> dict[str, Any]:
    """What the client sent. A cancel has no body but is counted as an order: its path is decoded as well."""
    if isinstance(command, CancelOrder):
        return {"listing": "L1", "quantity": 1}
    body = {"listing": command.listing, "side": command.side, "quantity": command.quantity}
    if command.limit_fen:
        body |= {"limit_fen": command.limit_fen, "time_in_force": command.time_in_force}
    return body


def measure(new_flow: NewFlow, orders: int) -> Spent:
    """The breakdown of one stream."""
    seconds, trades, stream = _bare(new_flow, orders)
    decoding, proving = _decoding(stream), _proving(stream)
    timers = _Timers()
    timed_stream = _Stream(new_flow)
    timed_stream.run(WARM_UP)
    with _wrapped(timers):
        timed_stream.run(orders)
    whole = sum(timers.spent.values())
    pieces = {piece: spent / whole * seconds / trades * 1e6 for piece, spent in timers.spent.items()}
    pieces["decode"] = decoding / trades * 1e6
    pieces["evidence"] = proving * 1e6
    return Spent((seconds + decoding) / trades * 1e6 + pieces["evidence"], pieces, trades)
