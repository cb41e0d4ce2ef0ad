"""The projector as a process of its own, so that filling query tables takes nothing from the engine's core.

    engine ──commit──> ProjectorProcess.wake ──"812\n"──> python -m exchange.projecting ──> query tables
    readers <──caught_up── ProjectorProcess <──"812\n"──┘

The parent writes the sequence of a journal row to the child's standard input (with `!` behind it where a reader
waits), the child answers on its standard output how far the tables are. At most one announcement is under way, so a
busy engine pays for one line a chunk, not one a commit. A child that is killed is started again; one that meets what
it cannot project says so in a line that begins with `!`, and ends. When its parent goes, its input ends, and so does it.
"""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Any, Final

import asyncpg

from exchange.projector import FIRST_PAUSE_S, LAST_PAUSE_S, Progress, Projector

LOG = logging.getLogger("shuji.projector")

NICENESS: Final = 5
"""Below the engine and PostgreSQL: under load the tables lag, the orders do not."""


class ProjectorProcess(Progress):
    """The engine's side: starts the child, tells it what is there, hears how far it is."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._environment = {**os.environ, "SHUJI_DSN": dsn}
        self._child: Process | None = None
        self._known = 0
        self._announced = False

    def wake(self, sequence: int, hurry: bool = False) -> None:
        self._known = max(self._known, sequence)
        if hurry or not self._announced:
            self._announce(sequence, hurry)

    def _announce(self, sequence: int, hurry: bool) -> None:
        if self._child is None or self._child.returncode is not None:
            return
        assert self._child.stdin is not None
        self._announced = True
        self._child.stdin.write(b"%d%s\n" % (sequence, b"!" if hurry else b""))

    async def run(self) -> None:
        """Until cancelled, or until the child meets what it cannot project."""
        pause_s = FIRST_PAUSE_S
        while not self.failure:
            before = self.sequence
            child = self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "exchange.projecting",
                env=self._environment,
                stdin=PIPE,
                stdout=PIPE,
                start_new_session=True,  # Ctrl-C is the parent's: it ends us when it has answered
            )
            try:
                await self._listen(child)
            finally:
                self.connected = False
                await _ended(child)
            if not self.failure:
                pause_s = FIRST_PAUSE_S if self.sequence > before else min(2 * pause_s, LAST_PAUSE_S)
                LOG.warning("the projector ended (status %s); again in %.2f s", child.returncode, pause_s)
                await asyncio.sleep(pause_s)

    async def _listen(self, child: Process) -> None:
        """Hear the child out; whatever was committed while there was none is announced first."""
        assert child.stdout is not None
        self._announce(self._known, hurry=bool(self._waiters))
        async for line in child.stdout:
            if line.startswith(b"!"):
                self._fail(line[1:].decode().strip())
                LOG.critical("%s", self.failure)
                return
            self.connected = True
            self._arrive(int(line))
            self._announced = self.sequence < self._known
            if self._announced:
                self._announce(self._known, hurry=bool(self._waiters))


async def _ended(child: Process) -> None:
    """The child is told by the end of its input; one that does not listen is killed."""
    assert child.stdin is not None
    child.stdin.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(child.wait(), LAST_PAUSE_S)
    if child.returncode is None:
        child.kill()
        await child.wait()


# ---- the child


def _tell(sequence: int) -> None:
    print(sequence, flush=True)


async def _announcements(projector: Projector) -> None:
    """Until the parent is gone."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for line in lines:
        projector.wake(int(line.rstrip(b"!\n")), hurry=line.endswith(b"!\n"))


async def _main(dsn: str) -> int:
    """The status: 0 when the parent ended us, 1 for what the projector could not mend."""
    os.nice(NICENESS)
    pool: Any = asyncpg.create_pool(dsn, min_size=0, max_size=1)
    async with pool:
        projector = Projector(pool, on_arrival=_tell)
        work = asyncio.create_task(projector.run())
        told = asyncio.create_task(_announcements(projector))
        await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            print(f"!{projector.failure.splitlines()[0]}", flush=True)
            told.cancel()
            return 1
        await until_over(work)
    return 0


async def until_over(work: "asyncio.Task[None]") -> None:
    """A cancellation can get lost: a connection that breaks in the same instant raises in its place."""
    while not work.done():
        work.cancel()
        await asyncio.wait([work], timeout=FIRST_PAUSE_S)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        sys.exit(asyncio.run(_main(os.environ["SHUJI_DSN"])))
    else:
        sys.exit(uvloop.run(_main(os.environ["SHUJI_DSN"])))
