"""Who is asking: login by a signed challenge, then a short-lived token.

    POST /v1/login/challenge {participant}           -> challenge, good for 60 s and for one login
    POST /v1/login {participant, challenge, signature} -> token, good for 30 min, for what `scopes` asks (all)

Verifying Ed25519 costs over 100 us and an HMAC 2 to 3 us, so a signature opens a session and a token carries it.
A token that was verified once is remembered, so that the hot path pays a dictionary look-up.

A challenge is itself an HMAC over who asked for it and until when, so asking for challenges stores nothing. What is
stored is each challenge that a right signature has used, until it would have ended: only holders of registered keys
can fill that store, and it is bounded. The key of challenges lives as long as the process: a restart ends them.

All instants are the venue's clock, which may be a simulated one.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from credit.merchant import Participant
from exchange.events import Refused
from exchange.state import Entrance
from exchange.web.problem import Refusing
from exchange.web.scopes import EVERYTHING, names_of

TOKEN_NS: Final = 30 * 60 * 1_000_000_000
CHALLENGE_NS: Final = 60 * 1_000_000_000
REMEMBERED_TOKENS: Final = 20_000
CONSOLE: Final = "console"
REMEMBERED_ADDRESSES: Final = 10_000
USED_CHALLENGES: Final = 100_000
KEY_BYTES: Final = 32
LONGEST_TOKEN: Final = 200
REGISTRATION_PREFIX: Final = "shuji-register"
KEY_PREFIX: Final = "shuji-key"

Register: TypeAlias = tuple[Mapping[str, Participant], Mapping[str, Entrance]]
"""Who there is, and how each may be entered."""

_NOBODY: Final = base64.b64encode(bytes([88]) + bytes([102]) * 31).decode()
"""A valid public key (the curve's base point) against which an unknown participant's signature is checked in vain."""


def load_key(folder: Path) -> bytes:
    """The token key of this data folder, made at first start with mode 0600."""
    path = folder / "token.key"
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return _make_key(path)
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"{path} is not a token key: delete it to have a new one made; everybody signs in anew"
        )
    return key


def _make_key(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return key


def signed_by(public_key: str, text: str, signature: str) -> bool:
    """Whether `signature` (base64) is the Ed25519 signature of the text by this key (base64). 110 to 145 us."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), text.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def registration_text(public_key: str, uscc: str) -> str:
    """What a new participant signs, to prove that it holds the key it registers."""
    return f"{REGISTRATION_PREFIX}:{public_key}:{uscc}"


def key_text(participant: str, public_key: str) -> str:
    """What is signed, by the new key and by the old, when a participant's key is replaced."""
    return f"{KEY_PREFIX}:{participant}:{public_key}"


def named_key_text(participant: str, name: str, public_key: str, scopes: Iterable[str]) -> str:
    """What is signed, by the participant's own key and by the new one, to add a key for these scopes."""
    return f"shuji-add-key:{participant}:{public_key}:{','.join(scopes)}:{name}"


def payout_account_text(participant: str, bank_code: str, account: str) -> str:
    """What is signed to say where one's money is paid out to."""
    return f"shuji-payout-account:{participant}:{bank_code}:{account}"


def withdrawal_text(participant: str, amount_fen: int, key: str) -> str:
    """What is signed for each withdrawal; the command id in it makes the signature good for one."""
    return f"shuji-withdraw:{participant}:{amount_fen}:{key}"


class Seat(Struct, frozen=True, gc=False):
    """What a token opens: whose it is, by which key (`named_key` is empty for the participant's own), for what (bits of
    `exchange.web.scopes`), and until when. `session` tells this login from others."""

    participant: str
    key_number: int
    named_key: str
    generation: int
    scopes: int
    until_ns: int
    session: str


class Tokens:
    """HMAC-SHA256 over a seat: `P7.0.-.0.63.<end ns>.<session>.<mac>`.

    A token opens nothing once its participant's own key is replaced, its named key or its session ended, or its account is
    not active.
    """

    __slots__ = ("_admitted", "_key", "_passing", "_verified")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._passing = secrets.token_bytes(KEY_BYTES)
        self._verified: dict[str, Seat] = {}
        self._admitted: dict[tuple[tuple[str, ...], str], bool] = {}

    def issue(
        self,
        participant: str,
        key_number: int,
        now_ns: int,
        scopes: int = EVERYTHING,
        named_key: str = "",
        generation: int = 0,
    ) -> tuple[str, Seat]:
        """A new session's token, and what it opens."""
        session = secrets.token_urlsafe(12)
        seat = Seat(participant, key_number, named_key, generation, scopes, now_ns + TOKEN_NS, session)
        text = (
            f"{participant}.{key_number}.{named_key or '-'}.{generation}.{scopes}.{seat.until_ns}.{session}"
        )
        return f"{text}.{_mac(self._key, text)}", seat

    def seat(
        self, token: str, now_ns: int, people: Mapping[str, Participant], entrances: Mapping[str, Entrance]
    ) -> Seat | None:
        """Of a good token; None for a forged, malformed, ended or withdrawn one."""
        seat = self._verified.get(token)
        if seat is None:
            seat = self._verify(token)
            if seat is None:
                return None
            if len(self._verified) >= REMEMBERED_TOKENS:
                self._verified.clear()
            self._verified[token] = seat
        return seat if is_open(seat, now_ns, people, entrances) else None

    def admits(self, participant: str, address: str, entrances: Mapping[str, Entrance]) -> bool:
        """Whether the participant may be entered from this address."""
        entrance = entrances.get(participant)
        if entrance is None or not entrance.addresses:
            return True
        asked = (entrance.addresses, address)
        known = self._admitted.get(asked)
        if known is None:
            if len(self._admitted) >= REMEMBERED_ADDRESSES:
                self._admitted.clear()
            known = self._admitted[asked] = is_within(address, entrance.addresses)
        return known

    def _verify(self, token: str) -> Seat | None:
        parts = token.split(".")
        if len(token) > LONGEST_TOKEN or len(parts) != 8 or not token.isascii():
            return None
        text, mac = token.rsplit(".", 1)
        if not hmac.compare_digest(mac, _mac(self._key, text)):
            return None
        participant, key_number, named, generation, scopes, until_ns, session, _ = parts
        named_key = "" if named == "-" else named
        return Seat(
            participant, int(key_number), named_key, int(generation), int(scopes), int(until_ns), session
        )

    @property
    def mark(self) -> str:
        """Tells sessions that these tokens opened from those of a key before."""
        return self.secret("sessions", "").hex()[:16]

    def secret(self, purpose: str, text: str) -> bytes:
        """A secret that only this venue can make, the same again for the same text: 32 bytes."""
        return hmac.digest(self._key, f"{purpose}\n{text}".encode(), "sha256")

    def passing_secret(self, content: bytes) -> bytes:
        """The same again for the same content while this process lives; after it nobody can make it: 32 bytes."""
        return hmac.digest(self._passing, content, "sha256")


def is_open(
    seat: Seat, now_ns: int, people: Mapping[str, Participant], entrances: Mapping[str, Entrance]
) -> bool:
    """Whether key, account and session still stand, and its time is not over."""
    row = people.get(seat.participant)
    if row is None or row.key_number != seat.key_number or row.status != "active":
        return False
    entrance = entrances.get(seat.participant)
    return now_ns < seat.until_ns and (
        entrance is None or stands(entrance, seat.generation, seat.session, seat.named_key)
    )


def stands(entrance: Entrance, generation: int, session: str, named_key: str) -> bool:
    """Whether neither all sessions of then were ended, nor this one, nor what opened it: a named key, a password."""
    return (
        generation == entrance.generation
        and session not in entrance.ended
        and (not named_key or named_key in entrance.keys or named_key == console_key(entrance))
    )


def console_key(entrance: Entrance | None) -> str | None:
    """What stands for a named key where a password opens a session: another password ends it. None without one."""
    password = "" if entrance is None else entrance.secret("password")
    return f"{CONSOLE}-{password[:16]}" if password else None


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of the networks (CIDR); one that is none lies nowhere."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in ip_network(network) for network in networks)


def address_of(scope: Any) -> str:
    """Where a request comes from: the peer, or whom a proxy on this machine names (uvicorn's `X-Forwarded-For`)."""
    client = scope.get("client")
    return client[0] if client else ""


def enter(
    tokens: Tokens,
    token: str,
    now_ns: int,
    register: Register,
    address: str,
    scope: int = 0,
) -> Seat:
    """The seat of a token that is good, from here, for this scope (a bit; 0: any). Raises Refusing."""
    seat = tokens.seat(token, now_ns, *register)
    if seat is None:
        raise Refusing(
            Refused.not_signed_in, "sign in (POST /v1/login) and send `Authorization: Bearer TOKEN`"
        )
    entrance = register[1].get(seat.participant)
    if (
        entrance is not None
        and entrance.addresses
        and not tokens.admits(seat.participant, address, register[1])
    ):
        raise away(address)
    if scope & ~seat.scopes:
        raise lacking(scope)
    return seat


def away(address: str) -> Refusing:
    here = address or "this address"
    detail = (
        f"{here} is not on your list of networks: come from one of them, or let an operator lift the list"
    )
    return Refusing(Refused.forbidden, detail)


def lacking(scope: int) -> Refusing:
    [name] = names_of(scope)
    if name == "account":
        detail = "this token lacks the scope account: sign in with the participant's own key, without narrower scopes"
    else:
        detail = f"this token lacks the scope {name}: sign in for it (scopes of POST /v1/login, or of the named key)"
    return Refusing(Refused.forbidden, detail)


class Challenges:
    """Single-use texts to sign."""

    __slots__ = ("_key", "_used")

    def __init__(self) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)
        self._used: OrderedDict[str, int] = OrderedDict()

    def issue(self, claim: str, now_ns: int) -> tuple[str, int]:
        """(challenge, when it ends) for whoever claims to be this participant or to hold this key."""
        until_ns = now_ns + CHALLENGE_NS
        text = f"shuji-login.{until_ns}.{secrets.token_urlsafe(18)}"
        return f"{text}.{_mac(self._key, f'{claim}.{text}')}", until_ns

    def accepts(
        self, claim: str, public_key: str | None, challenge: str, signature: str, now_ns: int
    ) -> bool:
        """Whether the signature answers the challenge; then the challenge is used up.

        An unknown participant costs as much time as a wrong signature, and is answered alike.
        """
        good = signed_by(public_key or _NOBODY, challenge, signature) and public_key is not None
        if not good or not self._is_open(claim, challenge, now_ns):
            return False
        self._forget_ended(now_ns)
        if len(self._used) >= USED_CHALLENGES:
            return False
        self._used[challenge] = now_ns + CHALLENGE_NS
        return True

    def give_back(self, challenge: str) -> None:
        """Nothing came of its use, and not by the signer's doing: it may be used again."""
        self._used.pop(challenge, None)

    def _is_open(self, claim: str, challenge: str, now_ns: int) -> bool:
        text, _, mac = challenge.rpartition(".")
        if not challenge.isascii() or not hmac.compare_digest(mac, _mac(self._key, f"{claim}.{text}")):
            return False
        return now_ns < int(text.split(".")[1]) and challenge not in self._used

    def _forget_ended(self, now_ns: int) -> None:
        """Used challenges end in the order of their use: drop from the front."""
        while self._used:
            challenge, ends_ns = self._used.popitem(last=False)
            if ends_ns > now_ns:
                self._used[challenge] = ends_ns
                self._used.move_to_end(challenge, last=False)
                return


def _mac(key: bytes, text: str) -> str:
    digest = hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def bearer(headers: "list[tuple[bytes, bytes]]") -> str:
    """The token of `Authorization: Bearer ...` among ASGI headers; empty where there is none."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
    return ""
