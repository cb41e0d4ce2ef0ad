"""What every request may need, put together once by `exchange.app`."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from credit.merchant import Participant
from exchange.audit import AuditLog
from exchange.board import Board
from exchange.engine import Engine
from exchange.monitor import Monitor
from exchange.projector import Progress
from exchange.proofs import Prover
from exchange.ring_search import RingSearch
from exchange.sealing import Sealer
from exchange.web.access import Challenges, Register, Tokens
from exchange.web.feed import Feed
from exchange.web.hashing import Hashing
from exchange.web.problem import Reasons
from exchange.web.rates import Rates
from exchange.web.sessions import Sessions

VENUE_NAME = "数集 Shuji"


def _never() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Desk:
    """`files` is the folder of uploaded data; `pool` reads the query tables and the erasable rows."""

    engine: Engine
    projector: Progress
    pool: "asyncpg.Pool[asyncpg.Record]"
    tokens: Tokens
    challenges: Challenges
    reasons: Reasons
    boards: Mapping[str, Board]
    files: Path
    feed: Feed
    monitor: Monitor
    sessions: Sessions
    prover: Prover
    rates: Rates
    audit: AuditLog
    sealer: Sealer
    hashing: Hashing
    rings: RingSearch
    name: str = VENUE_NAME
    indicative: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Listing before a call auction: as of which journal entry, the price that it would make, and how much at it."""
    inspecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One inspection at a time: each replays the journal."""
    contributed: dict[int, dict[str, int]] = field(default_factory=dict)
    """The day (UTC) that was asked about last: what each merchant contributed in the year before it."""
    monitored: dict[int, Any] = field(default_factory=dict)
    """The same for `exchange.web.monitoring.Monitoring`."""
    backup_age_s: Callable[[], float | None] = _never
    """How far the backup folder is behind; None where there is none."""

    def register(self) -> Register:
        """Who there is, and how they may be entered: what a token is held against."""
        state = self.engine.state
        return state.bureau.participants, state.entrances

    def people(self) -> Mapping[str, Participant]:
        """The register as the engine decides on it, which replaces its state where it recovers."""
        return self.engine.state.bureau.participants
