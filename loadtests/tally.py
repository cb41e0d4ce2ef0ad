"""What one process of the load generator saw: every wait, every answer, every order it sent; kept in a file.

Instants are seconds since the epoch, waits are milliseconds. The processes of one run write into one folder, and
`read` puts them together.
"""

import os
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct, field

from loadtests.bench_figure import percentile

KEPT_ANSWERS: Final = 50
"""Of so many orders one keeps its whole answer, to be compared with what a repetition says."""
MOST_SURPRISES: Final = 50
ENDING: Final = ".tally"


class Series(Struct):
    """Waits, and when each ended."""

    at_s: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    def add(self, at_s: float, ms: float) -> None:
        self.at_s.append(at_s)
        self.ms.append(ms)

    def percentile_ms(self, part: float) -> float:
        return percentile(self.ms, part) if self.ms else 0.0


class Sent(Struct):
    """An order, a delivery or an acceptance. `status` is 0 as long as no answer came; `subject` is the trade of a step.

    `answer` is there for one in `KEPT_ANSWERS`.
    """

    path: str
    key: str
    body: bytes
    status: int = 0
    order: str = ""
    subject: str = ""
    answer: bytes = b""


class Tally(Struct):
    """Of one process, or of all of a run put together."""

    begun_s: float = 0.0
    ended_s: float = 0.0
    answers: dict[str, Series] = field(default_factory=dict)
    """By what was asked; from the instant at which it was due."""
    statuses: dict[str, int] = field(default_factory=dict)
    """By status and code of the refusal: `409 wrong_state`."""
    to_trade: dict[str, Series] = field(default_factory=dict)
    """From an order's scheduled instant until its trade was told, by who told it: `answer`, `feed`."""
    untold: int = 0
    """Trades that an answer told and the feed did not, by the end."""
    orders: int = 0
    """Answered with 201; those of batches too."""
    broken: int = 0
    """Answers of 5xx but for those that say `Retry-After`."""
    busy: int = 0
    """Answers of 503 with `Retry-After`."""
    silent: int = 0
    """Requests that nobody answered."""
    unexpected: int = 0
    """Refusals for which there was no reason."""
    surprises: list[str] = field(default_factory=list)
    missed: int = 0
    """What was due and had not been asked for when the run ended."""
    lag_ms: list[float] = field(default_factory=list)
    """How late users woke who had nothing else to do: the generator's fault, not the venue's."""
    cpu: list[float] = field(default_factory=list)
    """Of this process, each second: parts of one core."""
    sent: dict[str, list[Sent]] = field(default_factory=dict)
    """By key file."""
    cancels: dict[str, list[str]] = field(default_factory=dict)
    """Orders whose cancel was answered, by key file."""

    @property
    def seconds(self) -> float:
        return self.ended_s - self.begun_s

    @property
    def asked(self) -> int:
        return sum(len(series.ms) for series in self.answers.values())

    def every_wait(self) -> Series:
        """All answers, of whatever was asked for."""
        whole = Series()
        for series in self.answers.values():
            whole.at_s += series.at_s
            whole.ms += series.ms
        return whole

    def surprise(self, text: str) -> None:
        if len(self.surprises) < MOST_SURPRISES:
            self.surprises.append(text)

    def keep(self, folder: Path) -> None:
        """Into a file of this process; appears whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}{ENDING}"
        draft = path.with_suffix(".draft")
        draft.write_bytes(msgspec.msgpack.encode(self))
        draft.replace(path)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What all processes of the run have kept in this folder."""
        files = sorted(folder.glob(f"*{ENDING}"))
        return cls.merged(msgspec.msgpack.decode(path.read_bytes(), type=cls) for path in files)

    @classmethod
    def merged(cls, tallies: Iterable[Self]) -> Self:
        """One of many. CPU is that of the busiest process, second by second."""
        whole = cls()
        for one in tallies:
            whole.begun_s = min(whole.begun_s or one.begun_s, one.begun_s)
            whole.ended_s = max(whole.ended_s, one.ended_s)
            for name in ("untold", "orders", "broken", "busy", "silent", "unexpected", "missed"):
                setattr(whole, name, getattr(whole, name) + getattr(one, name))
            for status, times in one.statuses.items():
                whole.statuses[status] = whole.statuses.get(status, 0) + times
            _extend(whole.answers, one.answers)
            _extend(whole.to_trade, one.to_trade)
            for holder, sent in one.sent.items():
                whole.sent.setdefault(holder, []).extend(sent)
            for holder, cancels in one.cancels.items():
                whole.cancels.setdefault(holder, []).extend(cancels)
            whole.lag_ms += one.lag_ms
            whole.surprises += one.surprises
            whole.cpu = _busiest(whole.cpu, one.cpu)
        return whole


def _extend(whole: dict[str, Series], part: dict[str, Series]) -> None:
    for name, series in part.items():
        mine = whole.setdefault(name, Series())
        mine.at_s += series.at_s
        mine.ms += series.ms


def _busiest(some: list[float], others: list[float]) -> list[float]:
    return [max(pair) for pair in zip_longest(some, others, fillvalue=0.0)]
