"""How one's own account may be entered: named keys, networks, sessions (`exchange.entrance` has the rules).

A stolen token adds no key and lifts no list: a new key is signed for by the participant's own key, and the scope
`account` is given to logins with that key only.
"""

from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct

from exchange.events import (
    AddKey,
    AddressesSet,
    EndKey,
    EndSessions,
    KeyAdded,
    Refused,
    SetAddresses,
)
from exchange.state import NamedKey, State
from exchange.web.access import CONSOLE, named_key_text, signed_by
from exchange.web.instant import text_of
from exchange.web.logins import Opened, session_of, sessions_of, still_open
from exchange.web.operation import CURSOR_INVALID, MOST_INTEGER, Call, Operation, Paging
from exchange.web.participants import PublicKey, Reason, Signature
from exchange.web.problem import Refusing
from exchange.web.scopes import SCOPES, names_of

Network = Annotated[str, Meta(max_length=60, description="CIDR: 203.0.113.0/24, 2001:db8::/32, 198.51.100.7")]


class NewKey(Struct, kw_only=True, forbid_unknown_fields=True):
    """Both signatures are over the text `shuji-add-key:<participant>:<public_key>:<scopes>:<name>`, scopes with commas
    between them as they are sent: `signature` by the participant's own key, `proof` by the new one."""

    name: Annotated[
        str, Meta(min_length=1, max_length=40, description="who has it: trader Li, ordering robot")
    ]
    public_key: PublicKey
    scopes: Annotated[
        tuple[Annotated[str, Meta(max_length=20)], ...],
        Meta(max_length=len(SCOPES), description="read, trade, list, money, office"),
    ]
    signature: Signature
    proof: Signature


class Networks(Struct, kw_only=True, forbid_unknown_fields=True):
    """From where you may be entered; an empty list: from everywhere."""

    allow: Annotated[tuple[Network, ...], Meta(max_length=50)]


class Lifting(Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class NamedKeyView(Struct):
    key: str
    name: str
    public_key: str
    scopes: tuple[str, ...]
    added_at: str


class NamedKeyList(Struct):
    items: tuple[NamedKeyView, ...]
    next: str | None = None


class NetworksView(Struct):
    participant: str
    allow: tuple[str, ...]


class SessionView(Struct):
    """`named_key` is null for the participant's own key, "console" for a password; `current` is the session that asks."""

    session: str
    named_key: str | None
    scopes: tuple[str, ...]
    address: str
    agent: str
    opened_at: str
    expires_at: str
    current: bool


class SessionList(Struct):
    items: tuple[SessionView, ...]
    next: str | None


# ---- named keys


async def add_key(call: Call, body: NewKey) -> NamedKeyView:
    participant = call.participant
    own = await call.read(lambda state: state.bureau.participants[participant].public_key)
    text = named_key_text(participant, body.name, body.public_key, body.scopes)
    if not signed_by(own, text, body.signature) or not signed_by(body.public_key, text, body.proof):
        detail = f"sign the text {text} with your own key (signature) and with the new one (proof)"
        raise Refusing(Refused.signature_wrong, detail)
    command = AddKey(
        actor=participant,
        key=call.key,
        name=body.name,
        public_key=body.public_key,
        scopes=body.scopes,
        signer=own,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, KeyAdded)
    return NamedKeyView(event.named_key, event.name, event.public_key, event.scopes, text_of(outcome.at_ns))


async def list_keys(call: Call, asked: None) -> NamedKeyList:
    participant = call.participant

    def look(state: State) -> tuple[NamedKey, ...]:
        entrance = state.entrances.get(participant)
        return () if entrance is None else tuple(entrance.keys.values())

    return NamedKeyList(
        tuple(
            NamedKeyView(row.id, row.name, row.public_key, row.scopes, text_of(row.added_at_ns))
            for row in await call.read(look)
        )
    )


async def end_key(call: Call, asked: None) -> Response[None]:
    await call.submit(EndKey(actor=call.participant, key=call.key, named_key=call.path["named_key"]))
    return Response(None, status_code=204)


# ---- networks


async def set_networks(call: Call, body: Networks) -> NetworksView:
    participant = call.participant
    command = SetAddresses(actor=participant, key=call.key, participant=participant, allow=body.allow)
    return await _set(call, command)


async def lift_networks(call: Call, body: Lifting) -> NetworksView:
    """For whoever has locked itself out: an operator who knows who asks."""
    participant = call.path["participant"]
    command = SetAddresses(actor=call.participant, key=call.key, participant=participant, reason=body.reason)
    return await _set(call, command)


async def _set(call: Call, command: SetAddresses) -> NetworksView:
    event = (await call.submit(command)).events[0]
    assert isinstance(event, AddressesSet)
    return NetworksView(event.participant, event.allow)


async def show_networks(call: Call, asked: None) -> NetworksView:
    participant = call.participant

    def look(state: State) -> tuple[str, ...]:
        entrance = state.entrances.get(participant)
        return () if entrance is None else entrance.addresses

    return NetworksView(participant, await call.read(look))


# ---- sessions


async def list_sessions(call: Call, asked: Paging) -> SessionList:
    """Open ones, the newest first; a named key sees its own. A page may be short: what was ended is left out."""
    here = call.enter()
    before = int(asked.cursor) if asked.cursor.isascii() and asked.cursor.isdigit() else 0
    if asked.cursor and not 0 < before <= MOST_INTEGER:
        raise Refusing(Refused.malformed, CURSOR_INVALID)
    rows = await sessions_of(call, here, before or MOST_INTEGER, asked.limit + 1)
    found, more = rows[: asked.limit], len(rows) > asked.limit
    items = tuple(_view(row, here.session) for row in found if still_open(call, row.seat))
    return SessionList(items, str(found[-1].number) if more else None)


def _view(row: Opened, here: str) -> SessionView:
    seat = row.seat
    return SessionView(
        seat.session,
        CONSOLE if seat.named_key.startswith(CONSOLE) else seat.named_key or None,
        names_of(seat.scopes),
        row.address,
        row.agent,
        text_of(row.opened_at_ns),
        text_of(seat.until_ns),
        seat.session == here,
    )


async def end_session(call: Call, asked: None) -> Response[None]:
    seat = await session_of(call, call.enter(), call.path["session"])
    if seat is None:
        raise Refusing(Refused.not_found, "you have no open session of this name: GET /v1/sessions")
    await call.submit(
        EndSessions(actor=seat.participant, key=call.key, session=seat.session, until_ns=seat.until_ns)
    )
    return Response(None, status_code=204)


async def end_sessions(call: Call, asked: None) -> Response[None]:
    """All of the participant, this one and the desk's too."""
    await call.submit(EndSessions(actor=call.participant, key=call.key))
    return Response(None, status_code=204)


_KEY: Final = "v0wcYQ0Jb9Vb0l9yZr1gk1s2bqP0b1xw3T0pQm5o0yI="
_SIGNATURE: Final = (
    "c2lnbmF0dXJlIG9mIHRoZSB0ZXh0LCA2NCByYXcgYnl0ZXMgaW4gYmFzZTY0LCBhcyBFZDI1NTE5IGdpdmVzIGl0Lg=="
)
_WHEN: Final = "2026-11-23T10:00:00Z"
_LATER: Final = "2026-11-23T10:30:00Z"
_NAMED: Final = {
    "key": "Y1",
    "name": "交易员李",
    "public_key": _KEY,
    "scopes": ["read", "trade"],
    "added_at": _WHEN,
}

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/participants/me/keys", add_key, "Add a named key for some scopes, signed by your own key",
        "identity", status=201, asks=NewKey, answers=NamedKeyView,
        refused=(Refused.signature_wrong, Refused.already_exists, Refused.identity_invalid, Refused.standing_denied),
        example={"name": "交易员李", "public_key": _KEY, "scopes": ["read", "trade"], "signature": _SIGNATURE,
                 "proof": _SIGNATURE},
        example_answer=_NAMED,
    ),
    Operation(
        "GET", "/v1/participants/me/keys", list_keys, "Own named keys, and what each is for", "identity",
        answers=NamedKeyList, example_answer={"items": [_NAMED], "next": None},
    ),
    Operation(
        "DELETE", "/v1/participants/me/keys/{named_key}", end_key, "End a named key, and what it has opened", "identity",
        status=204, refused=(Refused.id_conflict,),
    ),
    Operation(
        "POST", "/v1/participants/me/addresses", set_networks, "Say from which networks you may be entered", "identity",
        asks=Networks, answers=NetworksView, example={"allow": ["203.0.113.0/24", "2001:db8::/32"]},
        example_answer={"participant": "P2", "allow": ["203.0.113.0/24", "2001:db8::/32"]},
    ),
    Operation(
        "GET", "/v1/participants/me/addresses", show_networks, "The networks from which you may be entered", "identity",
        answers=NetworksView, example_answer={"participant": "P2", "allow": []},
    ),
    Operation(
        "POST", "/v1/participants/{participant}/addresses", lift_networks,
        "Lift the list of networks of somebody who is locked out (operator)", "identity", asks=Lifting,
        answers=NetworksView, refused=(Refused.forbidden, Refused.own_case, Refused.not_found),
        example={"reason": "办公地址变更，已电话核实"}, example_answer={"participant": "P2", "allow": []},
    ),
    Operation(
        "GET", "/v1/sessions", list_sessions, "Own open sessions, the newest first", "identity", asks=Paging,
        answers=SessionList,
        example_answer={"items": [{"session": "b7XvQ2_k9LmN0aZc", "named_key": "Y1", "scopes": ["read", "trade"],
                                   "address": "203.0.113.7", "agent": "robot/1.0", "opened_at": _WHEN,
                                   "expires_at": _LATER, "current": True}], "next": None},
    ),
    Operation(
        "DELETE", "/v1/sessions/{session}", end_session, "End one own session: its token opens nothing any more",
        "identity", status=204, refused=(Refused.id_conflict, Refused.out_of_bounds),
    ),
    Operation(
        "DELETE", "/v1/sessions", end_sessions, "End all own sessions, this one too", "identity", status=204,
        refused=(Refused.id_conflict,),
    ),
)  # fmt: skip
