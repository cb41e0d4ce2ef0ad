"""First market surveillance: alerts that an operator looks into, read from committed entries.

An alert accuses nobody. It names parties, listing and the ids of what was seen, so that a person can judge. Everything
here is a fold over entries: the same entries give the same alerts with the same ids. What is remembered is bounded; after
a restart it is what the journal's end gives again (`exchange.monitor.TAIL_ENTRIES`), so an alert whose first half lies
before that is not raised again.

    kind            what is seen                                        threshold, and why that
    related_parties a trade between parties of one owner or group       any: the law asks for more than price here
    wash_flow       A sold to B and bought back, on one listing         2 trades each way in 24 h, at least half the
                                                                        quantity back: once is a changed mind
    price_off_tape  a trade far from the median of the last 20 prints   30 %, from 5 prints on: fewer make no tape; thin
                                                                        markets move by 10 to 20 % honestly
    cancel_ratio    a participant cancels nearly all it rests in books  90 % of at least 50 orders in 1 h: below 50 it
                                                                        is a buyer who looks for a price
    directive_overdue  the venue did what a directive ordered          any: nobody had done it by the deadline
    refusal_burst   a participant is refused again and again            20 in 5 min: a program that probes the rules, or
                                                                        one that is broken

Instants are the venue's. Posted prices are the merchant's own: only books and bilateral trades are held against the tape.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from exchange.events import VENUE, DirectiveExecuted, Event, OrderClosed, OrderPlaced, OrderRefused, Settled

T = TypeVar("T")

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS

WASH_NS: Final = 24 * HOUR_NS
WASH_TRADES: Final = 2
WASH_BACK_PERCENT: Final = 50
TAPE_PRINTS: Final = 20
TAPE_LEAST: Final = 5
OFF_TAPE_PERCENT: Final = 30
CANCEL_NS: Final = HOUR_NS
CANCEL_ORDERS: Final = 50
CANCEL_PERCENT: Final = 90
BURST_NS: Final = 5 * MINUTE_NS
BURST_REFUSALS: Final = 20

MUTED_NS: Final = HOUR_NS
"""The same finding on the same parties is the same alert for so long; it only counts on."""
SUBJECTS: Final = 5_000
"""Pairs, listings, participants of each kind that are remembered; the longest unseen is forgotten first."""
RESTING: Final = 50_000
"""Resting orders whose participant is remembered."""
ALERTS: Final = 500
EVIDENCE: Final = 20
"""Ids that an alert names, the newest ones."""
OBSERVED: Final = 200
"""What is remembered of one subject at most."""

KINDS: Final = (
    "related_parties",
    "wash_flow",
    "price_off_tape",
    "cancel_ratio",
    "refusal_burst",
    "directive_overdue",
)


class Alert(Struct):
    """`id` is the journal's place of what raised it and the kind. `times`: how often the same was seen since.

    `measures` are the figures that crossed the threshold; `evidence` are ids of trades and orders, or journal places.
    """

    id: str
    kind: str
    at_ns: int
    last_ns: int
    listing: str
    parties: tuple[str, ...]
    measures: dict[str, int]
    evidence: tuple[str, ...]
    times: int = 1


class _Flow(Struct, gc=False):
    at_ns: int
    forth: bool
    quantity: int
    trade: str


class _Flows:
    """Trades of two parties on one listing. What both ways come to is kept, not counted anew for every trade."""

    __slots__ = ("rows", "trades", "units")

    def __init__(self) -> None:
        self.rows: deque[_Flow] = deque()
        self.trades = [0, 0]
        self.units = [0, 0]

    def add(self, flow: _Flow) -> None:
        while self.rows and (self.rows[0].at_ns < flow.at_ns - WASH_NS or len(self.rows) >= OBSERVED):
            self._count(self.rows.popleft(), -1)
        self.rows.append(flow)
        self._count(flow, 1)

    def _count(self, flow: _Flow, sign: int) -> None:
        self.trades[flow.forth] += sign
        self.units[flow.forth] += sign * flow.quantity

    def __len__(self) -> int:
        return len(self.rows)


class _Rested(Struct, gc=False):
    """An order that came to rest in a book. `seen`: it is among those that its participant is judged by."""

    at_ns: int
    order: str
    listing: str
    participant: str
    cancelled: bool = False
    seen: bool = True


class _Orders:
    """Orders of one participant that came to rest, and how many of them were cancelled."""

    __slots__ = ("cancelled", "rows")

    def __init__(self) -> None:
        self.rows: deque[_Rested] = deque()
        self.cancelled = 0

    def add(self, row: _Rested) -> None:
        if len(self.rows) >= OBSERVED:
            self._drop()
        self.rows.append(row)

    def cancel(self, row: _Rested, at_ns: int) -> None:
        """`row` was cancelled at this instant; rows of too long ago are seen no more.

        A row of before these (its participant was forgotten meanwhile) is none of them.
        """
        row.cancelled = True
        self.cancelled += row.seen and bool(self.rows) and row.at_ns >= self.rows[0].at_ns
        while self.rows and self.rows[0].at_ns < at_ns - CANCEL_NS:
            self._drop()

    def _drop(self) -> None:
        row = self.rows.popleft()
        row.seen = False
        self.cancelled -= row.cancelled

    def __len__(self) -> int:
        return len(self.rows)


class _Turned(Struct, gc=False):
    at_ns: int
    place: str
    code: str
    listing: str


class Bounded(Generic[T]):
    """A row for each subject, made when it is first asked for; the one longest not asked for is forgotten."""

    __slots__ = ("_make", "_most", "_rows")

    def __init__(self, make: Callable[[], T], most: int = SUBJECTS) -> None:
        self._make = make
        self._most = most
        self._rows: OrderedDict[Any, T] = OrderedDict()

    def of(self, subject: Any) -> T:
        row = self._rows.get(subject)
        if row is None:
            row = self._rows[subject] = self._make()
            if len(self._rows) > self._most:
                self._rows.popitem(last=False)
        else:
            self._rows.move_to_end(subject)
        return row

    def __len__(self) -> int:
        return len(self._rows)


def _observed() -> deque[Any]:
    return deque(maxlen=OBSERVED)


def _prints() -> deque[int]:
    return deque(maxlen=TAPE_PRINTS)


def _drop_before(rows: deque[Any], from_ns: int) -> None:
    while rows and rows[0].at_ns < from_ns:
        rows.popleft()


class Surveillance:
    """The fold. `related` says whether two participants are under one owner or in one group."""

    def __init__(self, related: Callable[[str, str], bool]) -> None:
        self._related = related
        self._alerts: OrderedDict[tuple[str, str, tuple[str, ...]], Alert] = OrderedDict()
        self._flows: Bounded[_Flows] = Bounded(_Flows)
        self._tapes: Bounded[deque[int]] = Bounded(_prints)
        self._rested: Bounded[_Orders] = Bounded(_Orders)
        self._turned: Bounded[deque[_Turned]] = Bounded(_observed)
        self._resting: OrderedDict[str, _Rested] = OrderedDict()
        self._at = (0, 0)
        """Journal row and instant of the entry that is folded."""
        self.raised: dict[str, int] = {}
        """Kind: how many alerts since the fold began."""

    @property
    def alerts(self) -> list[Alert]:
        """The newest first."""
        return sorted(self._alerts.values(), key=lambda alert: alert.last_ns, reverse=True)

    @property
    def remembered(self) -> int:
        """Rows in memory, for those who watch that they are bounded."""
        of_subjects = len(self._flows) + len(self._tapes) + len(self._rested) + len(self._turned)
        return of_subjects + len(self._resting) + len(self._alerts)

    def fold(self, sequence: int, at_ns: int, events: Iterable[Event]) -> None:
        """Follow one entry. `sequence` is its journal row; the instant tells entries of one row apart."""
        self._at = (sequence, at_ns)
        incoming: OrderPlaced | None = None
        left = 0
        for event in events:
            kind = type(event)
            if kind is OrderPlaced:
                assert isinstance(event, OrderPlaced)
                incoming, left = event, event.quantity
            elif kind is Settled:
                assert isinstance(event, Settled)
                if incoming is not None and incoming.order in (event.buy_order, event.sell_order):
                    left -= event.quantity
                self._settled(event, at_ns)
            elif kind is OrderRefused:
                assert isinstance(event, OrderRefused)
                self._refused(event, at_ns)
            elif kind is DirectiveExecuted:
                assert isinstance(event, DirectiveExecuted)
                self._directed(event, at_ns)
            elif kind is OrderClosed:
                assert isinstance(event, OrderClosed)
                if incoming is not None and event.order == incoming.order:
                    incoming = None
                else:
                    self._left(event, at_ns)
        if incoming is not None and left > 0:
            self._rests(incoming, at_ns)

    @property
    def _place(self) -> str:
        return f"{self._at[0]}.{self._at[1]}"

    # --- trades

    def _settled(self, event: Settled, at_ns: int) -> None:
        if self._related(event.buyer, event.seller):
            parties = (event.buyer, event.seller)
            self._raise(
                "related_parties", at_ns, event.listing, parties, {"quantity": event.quantity}, [event.trade]
            )
        if event.mechanism == "posted_price":
            return
        self._flowed(event, at_ns)
        self._printed(event, at_ns)

    def _flowed(self, event: Settled, at_ns: int) -> None:
        """Both ways between two parties: as much as the lesser way came back."""
        parties = tuple(sorted((event.buyer, event.seller)))
        flows = self._flows.of((event.listing, parties))
        flows.add(_Flow(at_ns, event.seller == parties[0], event.quantity, event.trade))
        if min(flows.trades) < WASH_TRADES:
            return
        less, more = sorted(flows.units)
        if less * 100 >= more * WASH_BACK_PERCENT:
            measures = {"trades": len(flows), "quantity_forth": more, "quantity_back": less}
            trades = [flow.trade for flow in flows.rows]
            self._raise("wash_flow", at_ns, event.listing, parties, measures, trades)

    def _printed(self, event: Settled, at_ns: int) -> None:
        tape = self._tapes.of(event.listing)
        if len(tape) >= TAPE_LEAST:
            median = sorted(tape)[len(tape) // 2]
            off = abs(event.price_fen - median) * 100 // max(median, 1)
            if off >= OFF_TAPE_PERCENT:
                measures = {"price_fen": event.price_fen, "median_fen": median, "percent_off": off}
                parties = (event.buyer, event.seller)
                self._raise("price_off_tape", at_ns, event.listing, parties, measures, [event.trade])
        tape.append(event.price_fen)

    # --- orders

    def _rests(self, event: OrderPlaced, at_ns: int) -> None:
        row = _Rested(at_ns, event.order, event.listing, event.participant)
        self._rested.of(event.participant).add(row)
        self._resting[event.order] = row
        if len(self._resting) > RESTING:
            self._resting.popitem(last=False)

    def _left(self, event: OrderClosed, at_ns: int) -> None:
        """An order left its book. What filled, or rests still, counts as not cancelled."""
        row = self._resting.pop(event.order, None)
        if row is None or event.reason != "cancelled":
            return
        rested = self._rested.of(row.participant)
        rested.cancel(row, at_ns)
        if len(rested) < CANCEL_ORDERS:
            return
        percent = rested.cancelled * 100 // len(rested)
        if percent >= CANCEL_PERCENT:
            cancelled = [one.order for one in rested.rows if one.cancelled]
            measures = {"orders": len(rested), "cancelled": len(cancelled), "percent": percent}
            self._raise("cancel_ratio", at_ns, "", (row.participant,), measures, cancelled, row.listing)

    def _refused(self, event: OrderRefused, at_ns: int) -> None:
        turned = self._turned.of(event.participant)
        _drop_before(turned, at_ns - BURST_NS)
        turned.append(_Turned(at_ns, self._place, event.code, event.listing))
        if len(turned) >= BURST_REFUSALS:
            unlawful = sum(row.code == "unlawful" for row in turned)
            measures = {"refusals": len(turned), "unlawful": unlawful}
            places = [row.place for row in turned]
            self._raise("refusal_burst", at_ns, "", (event.participant,), measures, places, event.listing)

    def _directed(self, event: DirectiveExecuted, at_ns: int) -> None:
        if event.by == VENUE:
            subject, named = event.subject, [event.directive, event.number]
            parties = (subject,) if event.kind == "freeze" else ()
            listing = subject if event.kind == "delist" else ""
            self._raise("directive_overdue", at_ns, event.directive, parties, {}, named, listing)

    # --- alerts

    def _raise(
        self,
        kind: str,
        at_ns: int,
        subject: str,
        parties: tuple[str, ...],
        measures: dict[str, int],
        evidence: list[str],
        listing: str = "",
    ) -> None:
        """A new alert, or one time more of the same. `listing` is the last one seen where the subject is a party."""
        key = (kind, subject, parties)
        known = self._alerts.get(key)
        newest = tuple(evidence[-EVIDENCE:])
        if known is not None and at_ns - known.last_ns <= MUTED_NS:
            known.times += 1
            known.last_ns, known.measures = at_ns, measures
            known.evidence = tuple(dict.fromkeys((*known.evidence, *newest)))[-EVIDENCE:]
            return
        self._alerts.pop(key, None)
        self._alerts[key] = Alert(
            f"{self._place}-{kind}", kind, at_ns, at_ns, subject or listing, parties, measures, newest
        )
        self.raised[kind] = self.raised.get(kind, 0) + 1
        if len(self._alerts) > ALERTS:
            self._alerts.popitem(last=False)
