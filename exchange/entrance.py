"""How a participant may be entered beside by its own key: named keys with scopes, networks, sessions that were ended.

A participant's own key is its owner's (所有人). A named key belongs to a person or a program of it, a trader (交易员) say,
and opens no more than its scopes. What signs for the participant (contracts, withdrawals, other keys) is the own key
alone. A password and a second factor are for people at a console. All of it is state: it outlives a restart, and
`exchange.web.access` looks at it with every token.
"""

from ipaddress import ip_network
from typing import Final

from credit.merchant import check_public_key
from exchange.events import (
    AddKey,
    AddressesSet,
    EndKey,
    EndSessions,
    Event,
    KeyAdded,
    NamedKeyEnded,
    Refusal,
    Refused,
    SecretSet,
    SessionEnded,
    SessionsEnded,
    SetAddresses,
    SetSecret,
)
from exchange.participant import account_refusal, is_taken, role_refusal, same_house, signer_refusal
from exchange.state import NamedKey, State

KEY_SCOPES: Final = ("read", "trade", "list", "money", "office")
"""What a named key may be for. The account itself (keys, networks, sessions) is for the participant's own key."""

SECRETS: Final = ("password", "totp")
"""What people enter at a console. What they are lies in erasable rows; here is that they count."""

MOST_KEYS: Final = 50
MOST_NETWORKS: Final = 50
MOST_ENDED: Final = 1_000
"""Sessions ended one by one whose tokens would go on otherwise: each is looked at with every further one."""
LONGEST_NAME: Final = 40


def add_key(state: State, command: AddKey, at_ns: int) -> Refusal | list[Event]:
    if (refusal := _key_refusal(state, command)) is not None:
        return refusal
    scopes = tuple(scope for scope in KEY_SCOPES if scope in command.scopes)
    name = command.name.strip()
    return [KeyAdded(command.actor, state.next_id("Y"), name, command.public_key, scopes)]


def _key_refusal(state: State, command: AddKey) -> Refusal | None:
    refusal = account_refusal(state, command.actor) or signer_refusal(state, command.actor, command.signer)
    if refusal is not None:
        return refusal
    name = command.name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        return Refusal(Refused.malformed, f"name: who has this key, in 1 to {LONGEST_NAME} characters")
    if not command.scopes or any(scope not in KEY_SCOPES for scope in command.scopes):
        return Refusal(Refused.malformed, f"scopes: some of {', '.join(KEY_SCOPES)}")
    if (wrong := check_public_key(command.public_key)) is not None:
        return Refusal(Refused.identity_invalid, f"public_key: {wrong}")
    if is_taken(state, command.public_key):
        return Refusal(Refused.already_exists, "this key is somebody's already: make a new one")
    entrance = state.entrances.get(command.actor)
    return None if entrance is None else _room_refusal(list(entrance.keys.values()), name)


def _room_refusal(keys: list[NamedKey], name: str) -> Refusal | None:
    if any(key.name == name for key in keys):
        return Refusal(
            Refused.already_exists, f"there is a key called {name}: end it, or choose another name"
        )
    if len(keys) >= MOST_KEYS:
        return Refusal(Refused.out_of_bounds, f"there are {MOST_KEYS} named keys: end one that nobody needs")
    return None


def end_key(state: State, command: EndKey, at_ns: int) -> Refusal | list[Event]:
    entrance = state.entrances.get(command.actor)
    if entrance is None or command.named_key not in entrance.keys:
        return Refusal(
            Refused.not_found, f"you have no key {command.named_key}: GET /v1/participants/me/keys"
        )
    return [NamedKeyEnded(command.actor, command.named_key)]


def set_addresses(state: State, command: SetAddresses, at_ns: int) -> Refusal | list[Event]:
    """Its own business, but for whoever is locked out: an operator lifts the list, with a reason, and sets none."""
    row = state.bureau.participants.get(command.participant)
    if row is None:
        return Refusal(Refused.not_found, f"there is no participant {command.participant}")
    if command.actor != command.participant:
        refusal = _lifting_refusal(state, command, at_ns)
    else:
        refusal = _networks_refusal(command.allow)
    if refusal is not None:
        return refusal
    allow = tuple(dict.fromkeys(str(ip_network(text)) for text in command.allow))
    return [AddressesSet(command.participant, allow, command.reason, command.actor)]


def _lifting_refusal(state: State, command: SetAddresses, at_ns: int) -> Refusal | None:
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    if same_house(state, command.actor, command.participant):
        return Refusal(Refused.own_case, "another operator lifts the list of one's own house")
    if command.allow or not command.reason.strip():
        return Refusal(Refused.malformed, "an operator lifts a list, with a reason; it sets none")
    return None


def _networks_refusal(allow: tuple[str, ...]) -> Refusal | None:
    if len(allow) > MOST_NETWORKS:
        return Refusal(Refused.out_of_bounds, f"at most {MOST_NETWORKS} networks: join neighbours into one")
    for text in allow:
        try:
            ip_network(text)
        except ValueError:
            detail = f"{text[:60]!r} is no network: write 203.0.113.0/24 or 2001:db8::/32, without host bits"
            return Refusal(Refused.malformed, detail)
    return None


def end_sessions(state: State, command: EndSessions, at_ns: int) -> Refusal | list[Event]:
    entrance = state.entrances.get(command.actor)
    if command.session:
        ended = () if entrance is None else entrance.ended.values()
        if sum(until_ns > at_ns for until_ns in ended) >= MOST_ENDED:
            detail = (
                f"{MOST_ENDED} sessions were ended one by one: end all that there are (DELETE /v1/sessions)"
            )
            return Refusal(Refused.out_of_bounds, detail)
        return [SessionEnded(command.actor, command.session, command.until_ns)]
    return [SessionsEnded(command.actor, (entrance.generation if entrance else 0) + 1)]


def set_secret(state: State, command: SetSecret, at_ns: int) -> Refusal | list[Event]:
    """By the participant itself. Without a password there is no second factor either."""
    refusal = account_refusal(state, command.actor) or signer_refusal(state, command.actor, command.signer)
    if refusal is not None:
        return refusal
    if command.kind not in SECRETS:
        return Refusal(Refused.malformed, f"kind is one of {', '.join(SECRETS)}")
    entrance = state.entrances.get(command.actor)
    kept = [kind for kind in SECRETS if entrance is not None and entrance.secret(kind)]
    if not command.sha256 and command.kind not in kept:
        return Refusal(Refused.not_found, f"there is no {command.kind} to take away")
    gone = ("totp",) if command.kind == "password" and not command.sha256 and "totp" in kept else ()
    return [
        SecretSet(command.actor, command.kind, command.sha256),
        *(SecretSet(command.actor, kind, "") for kind in gone),
    ]


# ---- events


def apply_key(state: State, event: KeyAdded, at_ns: int) -> None:
    state.took_id(event.named_key)
    row = NamedKey(
        id=event.named_key,
        name=event.name,
        public_key=event.public_key,
        scopes=event.scopes,
        added_at_ns=at_ns,
    )
    state.entrance_of(event.participant).keys[row.id] = row
    state.named_keys[row.public_key] = (event.participant, row.id)


def apply_key_ended(state: State, event: NamedKeyEnded, at_ns: int) -> None:
    row = state.entrances[event.participant].keys.pop(event.named_key)
    del state.named_keys[row.public_key]


def apply_addresses(state: State, event: AddressesSet, at_ns: int) -> None:
    state.entrance_of(event.participant).addresses = event.allow


def apply_session(state: State, event: SessionEnded, at_ns: int) -> None:
    """Those whose tokens have ended by themselves meanwhile are forgotten."""
    entrance = state.entrance_of(event.participant)
    entrance.ended = {name: until_ns for name, until_ns in entrance.ended.items() if until_ns > at_ns}
    entrance.ended[event.session] = event.until_ns


def apply_secret(state: State, event: SecretSet, at_ns: int) -> None:
    state.entrance_of(event.participant).set_secret(event.kind, event.sha256)


def apply_sessions(state: State, event: SessionsEnded, at_ns: int) -> None:
    entrance = state.entrance_of(event.participant)
    entrance.generation = event.generation
    entrance.ended = {}
