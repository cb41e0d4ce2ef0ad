"""Sessions: a login that was proven becomes a token, and a row that lists it until the token ends by itself.

What was ended is in the venue's state (`exchange.entrance`), so it stays ended over a restart; rows only say which
sessions there are, from where and by which key. A login whose row cannot be stored is refused: no session is unlisted.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from exchange.events import Refused
from exchange.state import State
from exchange.web.access import Seat, address_of, away, is_open
from exchange.web.operation import Call
from exchange.web.problem import Refusing
from exchange.web.scopes import EVERYTHING, bits_of, names_of

LONGEST_AGENT: Final = 120


class Account(NamedTuple):
    """What of a participant signing in needs. `scopes` are the most that this key may open."""

    participant: str
    public_key: str
    key_number: int
    roles: tuple[str, ...]
    status: str
    generation: int
    scopes: int
    named_key: str = ""


def account_of(state: State, participant: str, public_key: str) -> Account | None:
    """By its id, for its own key; or by a key, its own or a named one. None where there is none."""
    named = state.named_keys.get(public_key)
    if named is None:
        name, named_key = participant or state.bureau.by_key.get(public_key, ""), ""
    else:
        name, named_key = named
    row, entrance = state.bureau.participants.get(name), state.entrances.get(name)
    if row is None:
        return None
    generation = entrance.generation if entrance is not None else 0
    if named is None or entrance is None:
        return Account(
            name, row.public_key, row.key_number, row.roles, row.status, generation, EVERYTHING, named_key
        )
    scopes = bits_of(entrance.keys[named_key].scopes)
    return Account(name, public_key, row.key_number, row.roles, row.status, generation, scopes, named_key)


async def open_session(call: Call, account: Account, asked: Sequence[str]) -> tuple[str, Seat]:
    """A token for whoever has proven to be this account, and what it opens. Refuses from elsewhere, and for more."""
    if account.status != "active":
        raise Refusing(Refused.standing_denied, f"the account is {account.status}: ask an operator")
    desk, address = call.desk, address_of(call.scope)
    if not desk.tokens.admits(account.participant, address, desk.register()[1]):
        raise away(address)
    scopes = bits_of(asked) if asked else account.scopes
    if scopes & ~account.scopes:
        raise Refusing(Refused.forbidden, f"this key is for {', '.join(names_of(account.scopes))} only")
    token, seat = desk.tokens.issue(
        account.participant, account.key_number, call.now_ns, scopes, account.named_key, account.generation
    )
    await _list(call, seat, address)
    return token, seat


async def _list(call: Call, seat: Seat, address: str) -> None:
    """Write the session down, and drop those whose tokens have ended."""
    now_ns = call.now_ns
    await call.desk.pool.execute(
        "WITH ended AS (DELETE FROM login_session WHERE until_ns <= $9)"
        " INSERT INTO login_session (session, participant, key_number, named_key, generation, scopes, address, agent,"
        " opened_at_ns, until_ns, issuer) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        seat.session,
        seat.participant,
        seat.key_number,
        seat.named_key,
        seat.generation,
        seat.scopes,
        address,
        call.header("user-agent").replace("\0", "")[:LONGEST_AGENT],
        now_ns,
        seat.until_ns,
        call.desk.tokens.mark,
    )


class Opened(NamedTuple):
    """A session of the list."""

    number: int
    seat: Seat
    address: str
    agent: str
    opened_at_ns: int


async def sessions_of(call: Call, visitor: Seat, before: int, limit: int) -> list[Opened]:
    """Rows behind a cursor, the newest first; a named key sees its own. Some may have been ended: see `still_open`."""
    rows = await call.desk.pool.fetch(
        "SELECT * FROM login_session WHERE participant = $1 AND issuer = $2 AND number < $3"
        " AND ($4 = '' OR named_key = $4) ORDER BY number DESC LIMIT $5",
        visitor.participant,
        call.desk.tokens.mark,
        before,
        visitor.named_key,
        limit,
    )
    return [_opened(row) for row in rows]


async def session_of(call: Call, visitor: Seat, session: str) -> Seat | None:
    """One's own open session of this name."""
    row = await call.desk.pool.fetchrow(
        "SELECT * FROM login_session WHERE session = $1 AND participant = $2 AND issuer = $3"
        " AND ($4 = '' OR named_key = $4)",
        session,
        visitor.participant,
        call.desk.tokens.mark,
        visitor.named_key,
    )
    return None if row is None or not still_open(call, _opened(row).seat) else _opened(row).seat


def still_open(call: Call, seat: Seat) -> bool:
    return is_open(seat, call.now_ns, *call.desk.register())


def _opened(row: Any) -> Opened:
    seat = Seat(
        row["participant"],
        row["key_number"],
        row["named_key"],
        row["generation"],
        row["scopes"],
        row["until_ns"],
        row["session"],
    )
    return Opened(row["number"], seat, row["address"], row["agent"], row["opened_at_ns"])
