"""Who uses this machine's cores while a load test runs: the venue, its children, the generator, everybody."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psutil  # type: ignore[import-untyped]

EVERY_S: Final = 0.5
MOST_OTHERS: Final = 0.2
"""Cores that others may have before the figures are no longer the venue's."""
MACHINE: Final = "machine"


class Cores(threading.Thread):
    """CPU seconds of all of them, twice a second."""

    def __init__(self, venue: int) -> None:
        super().__init__(daemon=True, name="cores")
        self._venue = psutil.Process(venue)
        self._samples: list[tuple[float, dict[str, float]]] = []
        self.ending = threading.Event()

    def run(self) -> None:
        while not self.ending.wait(EVERY_S):
            with suppress(psutil.Error):
                self._samples.append((time.time(), self._spent()))

    def _spent(self) -> dict[str, float]:
        found = {"venue": _cpu_s(self._venue), "generator": 0.0}
        for process in self._venue.children(recursive=True):
            with suppress(psutil.Error):
                name = "PostgreSQL" if process.name() == "postgres" else process.cmdline()[-1].split(".")[-1]
                found[name] = found.get(name, 0.0) + _cpu_s(process)
        for process in psutil.Process(os.getpid()).children():
            if process.pid != self._venue.pid:
                found["generator"] += _cpu_s(process)
        machine = psutil.cpu_times()
        found[MACHINE] = float(sum(machine) - machine.idle - getattr(machine, "iowait", 0.0))
        return found

    def between(self, begun_s: float, ended_s: float) -> str:
        """Cores each had in this time, in words; what nobody here used went to others on this machine."""
        return told([(at_s, spent) for at_s, spent in self._samples if begun_s <= at_s <= ended_s])


def told(samples: list[tuple[float, dict[str, float]]]) -> str:
    """Instants and CPU seconds so far. Too few of them tell nothing."""
    if len(samples) < 2:
        return "unknown, the run was too short"
    (first_s, first), (last_s, last) = samples[0], samples[-1]
    used = {name: (last[name] - first.get(name, 0.0)) / (last_s - first_s) for name in last}
    others = max(0.0, used.pop(MACHINE) - sum(used.values()))
    text = ", ".join(f"{name} {cores:.2f}" for name, cores in used.items())
    text += f", others {others:.2f} of {psutil.cpu_count()}"
    return text + ("; not alone here, so no figures to quote" if others > MOST_OTHERS else "")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def watched(venue: int) -> Iterator[Cores]:
    """The cores, watched while the block runs. `venue`: the number of its process."""
    cores = Cores(venue)
    cores.start()
    try:
        yield cores
    finally:
        cores.ending.set()
        cores.join()
