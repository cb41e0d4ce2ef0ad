"""Who keeps the venue running during a day: this process, which starts it and ends it, or somebody else."""

import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import httpx

from exchange.day.door import DayBroken

READY_S: Final = 120.0
STOP_S: Final = 60.0
CHECK_S: Final = 0.05
LATEST_KILL_S: Final = 0.3
"""A kill comes within this after its turn began: among its orders, or among the deliveries that follow."""


class Elsewhere:
    """A venue that runs already. Whoever runs it starts it again."""

    restarts = 0

    def __init__(self, url: str) -> None:
        self.url = url

    def revive(self) -> None:
        """Nothing to do here: the door asks again."""

    def turn(self, number: int) -> None:
        """Not ours to kill."""


class OwnVenue:
    """`shuji serve --simulated-clock` as a child, on a free port of this machine, which it keeps when restarted."""

    def __init__(self, data: Path) -> None:
        self.data, self.port = data, _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.restarts = 0
        self._reviving = threading.Lock()
        self._kills: dict[int, float] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises DayBroken where it does not come up, with the last line that it said."""
        self.data.mkdir(parents=True, exist_ok=True)
        serve = [sys.executable, "-m", "exchange", "serve", "--simulated-clock", "--no-sample"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*serve, "--data", str(self.data), "--port", str(self.port)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self._log.read_text(errors="replace").strip().splitlines()
                raise DayBroken(f"the venue on {self.data} does not start: {said[-1] if said else ''}")
            time.sleep(CHECK_S)

    @property
    def _log(self) -> Path:
        return self.data / "day-venue.log"

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def revive(self) -> None:
        """Also for several at once: one starts it, the others wait."""
        with self._reviving:
            if self._process is not None and self._process.poll() is not None:
                self.restarts += 1
                self.start()

    def plan_kills(self, kills: int, turns: int, seed: str) -> None:
        """So many kill -9, each at a seeded turn and a seeded moment in it."""
        chance = random.Random(f"{seed} kills")
        moments = chance.sample(range(turns), min(kills, turns))
        self._kills = {moment: chance.uniform(0, LATEST_KILL_S) for moment in moments}

    def turn(self, number: int) -> None:
        if number in self._kills and self._process is not None:
            timer = threading.Timer(self._kills.pop(number), self._process.kill)
            timer.daemon = True
            timer.start()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(STOP_S)


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])
