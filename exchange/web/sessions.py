"""A browser at the operator's desk: a ticket that opens it once, the cookie it keeps, the token its forms carry.

    POST /v1/desk/tickets (token)  -> ticket: 5 min, once      GET /desk/enter?ticket=...  -> cookie: 1 h, renewed by use

A cookie is an HMAC over who it is for, which of its keys signed, when it was opened and until when it is good, by a secret
of the data folder: it outlives a restart of the venue. It opens nothing once its operator's key is replaced, all its
sessions or this one were ended (which the venue's state knows), its account is not active or its office is taken away.
Tickets live in memory, and a restart ends them.

Instants are the machine's clock, not the venue's: a simulated day must not sign anybody out.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple, replace

from credit.merchant import holds
from exchange.web.access import Register, Seat, Tokens, stands

TICKET_S: Final = 300
SESSION_S: Final = 3_600
LONGEST_S: Final = 12 * 3_600
"""A session that is renewed by use ends then all the same."""
TICKETS: Final = 1_000
ENDED: Final = 10_000
COOKIE: Final = "shuji_desk"
LANGUAGE_COOKIE: Final = "shuji_desk_lang"
LONGEST_COOKIE: Final = 200


class Session(Struct, frozen=True):
    """Who sits at the desk. `mark` tells this sitting from all others; it survives a renewal."""

    participant: str
    key_number: int
    generation: int
    named_key: str
    opened_s: int
    until_s: int
    mark: str


class _Ticket(Struct, frozen=True):
    participant: str
    key_number: int
    generation: int
    named_key: str
    until_s: float


class Sessions:
    """Tickets, cookies, form tokens. `now_s` is the machine's clock."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._tickets: OrderedDict[bytes, _Ticket] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    # --- tickets

    def ticket(self, holder: Seat, now_s: float) -> str:
        """A new ticket for this operator. Only its hash is kept."""
        text = secrets.token_urlsafe(24)
        self._tickets[_hash(text)] = _Ticket(
            holder.participant, holder.key_number, holder.generation, holder.named_key, now_s + TICKET_S
        )
        if len(self._tickets) > TICKETS:
            self._tickets.popitem(last=False)
        return text

    def enter(self, ticket: str, register: Register, now_s: float, now_ns: int) -> Session | None:
        """A session for the ticket, which is used up. None: unknown, used, late, or its operator is none any more."""
        found = self._tickets.pop(_hash(ticket), None)
        if found is None or now_s >= found.until_s:
            return None
        who = (found.participant, found.key_number, found.generation, found.named_key)
        return self.opened(*who, register, now_s, now_ns)

    def opened(
        self,
        participant: str,
        key_number: int,
        generation: int,
        named_key: str,
        register: Register,
        now_s: float,
        now_ns: int,
    ) -> Session | None:
        """A new sitting of who has proven to be this account. None: it is no operator's."""
        opened, mark = int(now_s), secrets.token_urlsafe(12)
        session = Session(participant, key_number, generation, named_key, opened, opened + SESSION_S, mark)
        return session if _may_sit(session, register, now_ns) else None

    # --- cookies

    def cookie(self, session: Session) -> str:
        text = _text(session)
        return f"{text}.{self._mac('desk session', text)}"

    def session(self, cookie: str, register: Register, now_s: float, now_ns: int) -> Session | None:
        """Whose cookie this is; None for a forged, ended or withdrawn one. `now_ns` is the venue's: bans end by it."""
        text, _, mac = cookie.rpartition(".")
        if len(cookie) > LONGEST_COOKIE or not cookie.isascii():
            return None
        if not hmac.compare_digest(mac, self._mac("desk session", text)):
            return None
        parts = text.split(".")
        if len(parts) != len(Session.__struct_fields__):
            return None
        participant, key_number, generation, named_key, opened, until, mark = parts
        session = Session(
            participant, int(key_number), int(generation), named_key, int(opened), int(until), mark
        )
        if now_s >= session.until_s or mark in self._ended:
            return None
        return session if _may_sit(session, register, now_ns) else None

    def renewed(self, session: Session, now_s: float) -> Session:
        """The same sitting, good for an hour more, but not beyond its longest."""
        until = min(int(now_s) + SESSION_S, session.opened_s + LONGEST_S)
        return replace(session, until_s=until)

    def end(self, session: Session) -> None:
        """Signed out: no cookie of this sitting opens anything any more, also where the state cannot be told."""
        self._ended[session.mark] = None
        if len(self._ended) > ENDED:
            self._ended.popitem(last=False)

    # --- forms

    def form_token(self, session: Session) -> str:
        """What a form of this sitting carries, so that no other site's form is taken for it."""
        return self._mac("desk form", session.mark)

    def is_form_token(self, session: Session, token: str) -> bool:
        return token.isascii() and hmac.compare_digest(token, self.form_token(session))

    def _mac(self, purpose: str, text: str) -> str:
        return self._tokens.secret(purpose, text).hex()


def _text(session: Session) -> str:
    return ".".join(map(str, astuple(session)))


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).digest()


def _may_sit(session: Session, register: Register, now_ns: int) -> bool:
    people, entrances = register
    row, entrance = people.get(session.participant), entrances.get(session.participant)
    if row is None or row.key_number != session.key_number or not holds(row, "operator", now_ns):
        return False
    return entrance is None or stands(entrance, session.generation, session.mark, session.named_key)
