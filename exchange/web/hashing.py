"""Passwords and one-time codes, as computations: nothing here is kept.

password     argon2id (RFC 9106: 64 MiB, three passes, one lane), two at once in this process, beside its loop
code         TOTP (RFC 6238: SHA-1, 30 s, six digits), of one step early or late too
"""

import asyncio
import secrets
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final, TypeVar

import pyotp
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from exchange.events import Refused
from exchange.web.problem import Refusing

T = TypeVar("T")

SHORTEST: Final = 12
LONGEST: Final = 200
AT_ONCE: Final = 2
STEP_S: Final = 30

_HASHER: Final = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1, type=Type.ID)


class Hashing:
    """Two passwords are hashed at a time; who comes meanwhile is told to come again, and costs nothing."""

    __slots__ = ("_busy",)

    def __init__(self) -> None:
        self._busy = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator["Place"]:
        """One of the two places. Raises Refusing where both are taken."""
        if self._busy >= AT_ONCE:
            raise Refusing(
                Refused.overloaded, "two passwords are being checked already: try again in a second"
            )
        self._busy += 1
        place = Place()
        try:
            yield place
        finally:
            place.leave(self._free)

    def _free(self, _: object = None) -> None:
        self._busy -= 1


class Place:
    """Of somebody whose password is hashed."""

    __slots__ = ("_work",)

    def __init__(self) -> None:
        self._work: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, computed in a thread of its own."""
        self._work = asyncio.get_running_loop().run_in_executor(None, work)
        found: T = await asyncio.shield(self._work)
        return found

    def leave(self, free: Callable[..., None]) -> None:
        """Where who asked has gone, the thread works on to its end, and holds the place."""
        if self._work is None or self._work.done():
            free()
        else:
            self._work.add_done_callback(free)


# ---- passwords


def plain(password: str) -> str:
    """As it is hashed: two keyboards may write one letter in two ways (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def password_fault(password: str) -> str | None:
    """What is wrong with a new password, or None. Length counts, not kinds of characters (NIST SP 800-63B 5.1.1)."""
    found = plain(password)
    if not SHORTEST <= len(found) <= LONGEST:
        return f"a password has {SHORTEST} to {LONGEST} characters: a sentence does well"
    if len(set(found)) < SHORTEST // 2:
        return "a password has more than a few different characters"
    return None


def hashed(password: str) -> bytes:
    """The argon2id hash, with its salt and parameters. Some 100 ms and 64 MiB."""
    return _HASHER.hash(plain(password)).encode()


def fits(password: str, hash_text: bytes | None) -> bool:
    """Whether this is the password; without one it takes as long, in vain."""
    try:
        _HASHER.verify((hash_text or _nobody()).decode(), plain(password))
    except (VerificationError, InvalidHashError, UnicodeDecodeError):
        return False
    return hash_text is not None


@cache
def _nobody() -> bytes:
    return hashed(secrets.token_urlsafe(32))


# ---- one-time codes


def new_totp() -> str:
    """A secret of 160 bits in base32, as authenticator apps take it."""
    return pyotp.random_base32(32)


def totp_uri(secret: str, participant: str, venue: str) -> str:
    return pyotp.TOTP(secret).provisioning_uri(name=participant, issuer_name=venue)


def step_of(secret: str, code: str, now_ns: int) -> int | None:
    """The half-minute that the code is of: this one, the one before or the one behind. None: of no such."""
    totp, now = pyotp.TOTP(secret), now_ns // 1_000_000_000 // STEP_S
    steps = range(max(0, now - 1), now + 2)
    found = [step for step in steps if totp.verify(code, for_time=step * STEP_S)]
    return max(found, default=None)
