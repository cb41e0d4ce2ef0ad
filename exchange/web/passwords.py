"""The rows of passwords and second factors, and the pace at which they are tried.

What a password or a second factor is stands in rows that can be erased; the venue's state knows each row by its salted
hash alone. Wrong tries are counted before they are looked at; from the fifth in turn on the account waits, up to an hour.
Counts and the last code that served are rows too: a restart forgives and repeats nothing.
"""

import hashlib
import secrets
from typing import Final

from exchange.events import Refused
from exchange.state import State
from exchange.web.desk import Desk
from exchange.web.problem import Refusing

SALT_BYTES: Final = 16
FREE_TRIES: Final = 5
"""So many wrong ones in turn cost little; each further one doubles the wait."""
SHORTEST_WAIT_S: Final = 30
LONGEST_WAIT_S: Final = 3_600


# ---- rows


def kept_in(state: State, participant: str, kind: str) -> str:
    """The salted hash by which the venue knows the row that counts; empty where there is none."""
    entrance = state.entrances.get(participant)
    return "" if entrance is None else entrance.secret(kind)


async def keep(desk: Desk, participant: str, kind: str, body: bytes) -> str:
    """Write a row, that counts for nothing yet; gives its salted hash."""
    salt = secrets.token_bytes(SALT_BYTES)
    sha256 = hashlib.sha256(salt + body).hexdigest()
    await desk.pool.execute(
        "INSERT INTO console_secret (sha256, participant, kind, salt, body) VALUES ($1, $2, $3, $4, $5)",
        sha256,
        participant,
        kind,
        salt,
        body,
    )
    return sha256


async def read(desk: Desk, sha256: str) -> bytes | None:
    """The row of this salted hash. None: there is none, or it was erased or altered."""
    if not sha256:
        return None
    row = await desk.pool.fetchrow("SELECT salt, body FROM console_secret WHERE sha256 = $1", sha256)
    if row is None or hashlib.sha256(row["salt"] + row["body"]).hexdigest() != sha256:
        return None
    return bytes(row["body"])


async def waiting_totp(desk: Desk, participant: str, counts: str) -> tuple[str, str] | None:
    """(salted hash, secret) of the second factor that was asked for and not confirmed yet."""
    row = await desk.pool.fetchrow(
        "SELECT sha256, body FROM console_secret WHERE participant = $1 AND kind = 'totp' AND sha256 <> $2",
        participant,
        counts,
    )
    return None if row is None else (row["sha256"], row["body"].decode())


async def drop_others(desk: Desk, participant: str, kind: str, counts: str) -> None:
    """Rows of this kind that count for nothing."""
    await desk.pool.execute(
        "DELETE FROM console_secret WHERE participant = $1 AND kind = $2 AND sha256 <> $3",
        participant,
        kind,
        counts,
    )


# ---- tries


def wait_s(failures: int) -> int:
    """How long an account waits after so many wrong tries in turn."""
    if failures < FREE_TRIES:
        return 0
    return min(LONGEST_WAIT_S, SHORTEST_WAIT_S << min(failures - FREE_TRIES, 16))


async def count_try(desk: Desk, participant: str, now_ns: int) -> None:
    """A try counts as a wrong one until it was right. Refuses while the account waits."""
    await desk.pool.execute(
        "INSERT INTO console_try (participant) VALUES ($1) ON CONFLICT DO NOTHING", participant
    )
    failures = await desk.pool.fetchval(
        "UPDATE console_try SET failures = failures + 1 WHERE participant = $1 AND locked_until_ns <= $2"
        " RETURNING failures",
        participant,
        now_ns,
    )
    if failures is None:
        until_ns = await desk.pool.fetchval(
            "SELECT locked_until_ns FROM console_try WHERE participant = $1", participant
        )
        raise _waits(until_ns - now_ns)
    if wait := wait_s(failures):
        await desk.pool.execute(
            "UPDATE console_try SET locked_until_ns = $2 WHERE participant = $1 AND locked_until_ns < $2",
            participant,
            now_ns + wait * 1_000_000_000,
        )


def _waits(left_ns: int) -> Refusing:
    left_s = max(1, -(-left_ns // 1_000_000_000))
    detail = (
        f"too many wrong tries: wait {left_s} s, or sign in with your key (POST /v1/login), which never waits"
    )
    return Refusing(Refused.rate_limited, detail, retry_after_s=left_s)


async def serve_once(desk: Desk, participant: str, step: int) -> bool:
    """Whether a code of this half-minute serves: none of it or of a later one has yet. It does so once."""
    await desk.pool.execute(
        "INSERT INTO console_try (participant) VALUES ($1) ON CONFLICT DO NOTHING", participant
    )
    served = await desk.pool.fetchval(
        "UPDATE console_try SET last_step = $2 WHERE participant = $1 AND last_step < $2 RETURNING true",
        participant,
        step,
    )
    return bool(served)


async def forgive(desk: Desk, participant: str) -> None:
    """The try was right: nothing is held against the account."""
    await desk.pool.execute(
        "UPDATE console_try SET failures = 0, locked_until_ns = 0 WHERE participant = $1", participant
    )
