"""How a venue takes its leave: what it still waits for, said each second; and the same to systemd, where that started us.

`notify` speaks the protocol of sd_notify(3): a datagram of `NAME=value` to the socket that NOTIFY_SOCKET names.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

SECOND: Final = 1.0

Wait = tuple[str, Callable[[], int]]
"""What is waited for in both languages, and how much of it there is."""


def notify(state: str) -> None:
    """Tell systemd, if it listens: READY=1, STOPPING=1, STATUS=..."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.send(state.encode())


class Parting:
    """From the first signal to the end. `waits` are in the order in which they are waited for."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._waits: list[Wait] = []
        self._begun = 0.0
        self._task: asyncio.Task[None] | None = None

    def begin(self, waits: list[Wait]) -> None:
        if self._task is not None:
            return
        self._waits, self._begun = waits, time.monotonic()
        notify("STOPPING=1\nSTATUS=stopping")
        self._say(
            "正在停止：答完手头的请求，提交排队的命令；再按一次则不再等请求。"
            " Stopping: requests under way are answered, what is queued is committed; a second signal hurries."
        )
        self._task = asyncio.create_task(self._each_second())

    async def _each_second(self) -> None:
        while True:
            await asyncio.sleep(SECOND)
            said = "; ".join(self._left()) or "nothing any more"
            self._say(f"  {time.monotonic() - self._begun:.0f} s 等待 waiting for: {said}")
            notify(f"STATUS=stopping, waiting for: {said}")

    def _left(self) -> Iterator[str]:
        for words, count in self._waits:
            if left := count():
                yield f"{words} {left}"

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._say(f"已停止。 Stopped after {time.monotonic() - self._begun:.1f} s.")


@asynccontextmanager
async def parting(say: Callable[[str], None]) -> AsyncIterator[Parting]:
    """Around everything that has to stop: it ends last."""
    leave = Parting(say)
    try:
        yield leave
    finally:
        leave.end()
