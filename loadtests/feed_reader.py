"""The public feed, followed while a load test runs: when was each trade told?

Under locust this runs in a greenlet of its own; sockets give way to others there.
"""

import http.client
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from loadtests.tally import Series, Tally

MOST_UNASKED: Final = 20_000
"""Trades told that nobody here has an answer about yet."""
MOST_LISTINGS: Final = 200
TIMEOUT_S: Final = 60.0


class _Print(Struct):
    trade: str


class _Change(Struct):
    trades: list[_Print] = []


_CHANGE: Final = msgspec.json.Decoder(_Change)


class FeedReader(threading.Thread):
    """Pairs the trades of answers with those of the feed, whichever comes first."""

    def __init__(
        self, host: str, listings: Sequence[str], tally: Tally, wall_s: Callable[[float], float]
    ) -> None:
        super().__init__(daemon=True, name="feed reader")
        self._host = host
        self._path = "/v1/feed/events?listings=" + ",".join(listings[:MOST_LISTINGS])
        self._tally = tally
        self._wall_s = wall_s
        self._told: OrderedDict[str, float] = OrderedDict()
        self._expected: dict[str, float] = {}
        self._ending = False

    def expect(self, trade: str, due_s: float) -> None:
        """An answer has told this trade of an order that was due then."""
        told_s = self._told.pop(trade, None)
        if told_s is None:
            self._expected[trade] = due_s
        else:
            self._note(due_s, told_s)

    def hear(self, data: bytes, now_s: float) -> None:
        """One message of the feed."""
        for one in _CHANGE.decode(data).trades:
            due_s = self._expected.pop(one.trade, None)
            if due_s is not None:
                self._note(due_s, now_s)
            else:
                self._told[one.trade] = now_s
                if len(self._told) > MOST_UNASKED:
                    self._told.popitem(last=False)

    def _note(self, due_s: float, told_s: float) -> None:
        series = self._tally.to_trade.setdefault("feed", Series())
        series.add(self._wall_s(told_s), (told_s - due_s) * 1e3)

    def run(self) -> None:
        try:
            self._follow()
        except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
            if not self._ending:
                self._tally.surprise(f"the feed broke: {error!r}")

    def _follow(self) -> None:
        address = urlsplit(self._host)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        connection = kind(address.netloc, timeout=TIMEOUT_S)
        connection.request("GET", address.path.rstrip("/") + self._path)
        answer = connection.getresponse()
        if answer.status != 200:
            self._tally.surprise(f"the feed answers {answer.status}: {answer.read(300)!r}")
            return
        while not self._ending and (line := answer.readline()):
            if line.startswith(b"data:"):
                self.hear(line[5:], time.perf_counter())

    def finish(self, patience_s: float) -> None:
        """Wait for the last trades to be told, then listen no more."""
        deadline_s = time.monotonic() + patience_s
        while self._expected and self.is_alive() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        self._ending = True
        self._tally.untold = len(self._expected)
