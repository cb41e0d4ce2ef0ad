"""A person at a terminal speaks to a venue over HTTP: who they are, what they ask, what they are told.

A key file opens a session by itself: the challenge is signed, the token kept beside the key, and renewed once
when the venue no longer takes it. Every POST carries an id, so an answer that got lost can be asked for
again.
"""

import hashlib
import secrets
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from clearing.contract import Declarations, Security, Side, signing_text
from exchange import keys
from exchange.keys import Session

TIMEOUT_S: Final = 60.0
CHUNK_BYTES: Final = 1 << 20
REGISTRATION: Final = "shuji-register:"
"""How the text starts that proves a registration; no challenge may start like that."""

Body = bytes | Path | None
"""A body as it is sent, or a file to be streamed."""


class VenueUnreachable(Exception):
    """No answer came. The text says what to do."""


class Refusal(Exception):
    """The venue answered with a status of 400 or above; `text` is its whole answer."""

    def __init__(self, status: int, text: bytes) -> None:
        self.status = status
        self.text = text
        super().__init__("\n".join(explain(status, text)))


def uuid7() -> str:
    """An id whose first 48 bits are the time in ms, so the venue knows its age (RFC 9562, 5.7)."""
    bits = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))


class Client:
    """One venue, as one key's holder sees it; without a key as anybody does. To be used in a `with` block.

    Raises VenueUnreachable, Refusal, keys.KeyFileError.
    """

    def __init__(self, url: str, key: Path | None = None, purpose: str = "") -> None:
        """`purpose`: why an auditor or regulator looks; it goes with every read."""
        self.purpose = purpose
        self.url = url
        self.key = key
        # The machine's own venue is never asked through a proxy.
        near = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=not near)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._http.close()

    def call(
        self, method: str, path: str, body: Body = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The venue's answer; signs in first where there is a key, and again where its token has ended."""
        sent = dict(headers or {})
        if self.purpose and method in ("GET", "HEAD"):
            sent = {"Shuji-Purpose": quote(self.purpose)} | sent
        if method == "POST" and "idempotency-key" not in {name.lower() for name in sent}:
            sent["Idempotency-Key"] = uuid7()
        if self.key is None:
            return self._checked(self._send(method, path, body, sent))
        kept = keys.read_session(self.key, self.url)
        answer = self._send(method, path, body, sent | _bearer(kept or self.sign_in()))
        if answer.status_code == 401 and kept is not None:
            answer = self._send(method, path, body, sent | _bearer(self.sign_in()))
        return self._checked(answer)

    def sign_in(self, participant: str = "") -> Session:
        """Open a session with the key and keep it beside the key file; notes whose key it is."""
        assert self.key is not None, "signing in needs a key"
        key = keys.read(self.key)
        who = {"participant": participant} if participant else {"public_key": key.public_key}
        challenge = str(self._post("/v1/login/challenge", who)["challenge"])
        if challenge.startswith(REGISTRATION):
            raise VenueUnreachable(f"{self.url} asks for the signature of a registration; nothing was signed")
        answer = self._post("/v1/login", who | {"challenge": challenge, "signature": key.sign(challenge)})
        session = Session(
            token=str(answer["token"]),
            participant=str(answer["participant"]),
            url=self.url,
            expires_at=str(answer.get("expires_at", "")),
        )
        keys.keep_session(self.key, session)
        keys.name_participant(self.key, session.participant)
        return session

    def register(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Enter the register under this key. `facts` is the body of POST /v1/participants but for key and
        proof.
        """
        assert self.key is not None, "registering needs a key"
        key = keys.read(self.key)
        signature = key.sign_registration(str(facts.get("uscc", "")))
        body = dict(facts) | {"public_key": key.public_key, "signature": signature}
        answer = self._post("/v1/participants", body)
        keys.name_participant(self.key, str(answer["participant"]))
        return answer

    def contract(self, listing: str, security: Security | None = None) -> dict[str, Any]:
        """A listing's contract as the venue shows it, its hash checked: text and canonical form are what it is over.

        `security` shows a merchant the one it would sign.
        """
        asked = {} if security is None else {"method": security.method, "duties": ",".join(security.duties)}
        shown = self.call("GET", f"/v1/listings/{listing}/contract?{urlencode(asked)}")
        content = msgspec.json.decode(shown.content, type=dict[str, Any])
        form = msgspec.json.decode(content["form"], type=dict[str, Any])
        hashed = hashlib.sha256(content["form"].encode()).hexdigest()
        if hashed != content["sha256"] or (form["zh"], form["en"]) != (
            content["text_zh"],
            content["text_en"],
        ):
            raise VenueUnreachable(
                f"{self.url} shows a contract that is not the one it hashes; nothing was signed"
            )
        return content

    def sign_contract(self, listing: str, declared: Declarations | Security) -> dict[str, Any]:
        """Sign a listing's contract: its merchant with the security clauses, a buyer with its declarations."""
        assert self.key is not None, "signing needs a key"
        shown = self.contract(listing, declared if isinstance(declared, Security) else None)
        key = keys.read(self.key)
        side: Side = "merchant" if isinstance(declared, Security) else "buyer"
        text = signing_text(side, key.participant, shown["sha256"], declared)
        body = {
            "sha256": shown["sha256"],
            "signature": key.sign(text),
            "security" if side == "merchant" else "declarations": msgspec.to_builtins(declared),
        }
        path = f"/v1/listings/{listing}/contract/signatures"
        answer = self.call("POST", path, msgspec.json.encode(body))
        return msgspec.json.decode(answer.content, type=dict[str, Any])

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        sent = {"Idempotency-Key": uuid7()} if path == "/v1/participants" else {}
        answer = self._checked(self._send("POST", path, msgspec.json.encode(body), sent))
        return msgspec.json.decode(answer.content, type=dict[str, Any])

    def _send(self, method: str, path: str, body: Body, headers: dict[str, str]) -> httpx.Response:
        streamed = isinstance(body, Path)
        kind = "application/octet-stream" if streamed else "application/json"
        content = _chunks(body) if isinstance(body, Path) else body
        if body is not None:
            headers = {"Content-Type": kind} | headers
        if isinstance(body, Path):
            headers = {"Content-Length": str(body.stat().st_size)} | headers
        try:
            return self._http.request(method, path, content=content, headers=headers)
        except httpx.ConnectError as error:
            raise VenueUnreachable(
                f"no venue answers at {self.url}; start one with `shuji serve`, or name another with --url"
            ) from error
        except httpx.TransportError as error:
            raise VenueUnreachable(
                f"{self.url} did not answer ({type(error).__name__}); it may have happened all the same: look"
            ) from error
        except httpx.InvalidURL as error:
            raise VenueUnreachable(f"{self.url}{path} is no address: {error}") from error

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        if answer.status_code >= 400:
            raise Refusal(answer.status_code, answer.content)
        return answer


def _bearer(session: Session) -> dict[str, str]:
    return {"Authorization": f"Bearer {session.token}"}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


class _Violated(msgspec.Struct):
    """A broken rule as a problem names it."""

    rule: str
    message_zh: str = ""
    message_en: str = ""
    citations: list[dict[str, Any]] = []


class _Unknown(msgspec.Struct):
    """What a rule would need to know."""

    rule: str
    fields: list[str] = []


class _Problem(msgspec.Struct):
    """What of a problem document (RFC 9457) people read."""

    title: str = ""
    title_zh: str = ""
    detail: str = ""
    code: str = ""
    index: int | None = None
    violated: list[_Violated] = []
    unknown: list[_Unknown] = []


def explain(status: int, text: bytes) -> Iterator[str]:
    """A refusal in lines for people: what, where in a batch, and every rule with its articles.

    An article that does not bind here is printed as what the venue's own rule is modelled on.
    """
    try:
        problem = msgspec.json.decode(text, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        yield f"the answer is {status}: {text[:500].decode(errors='replace')}"
        return
    place = f" (element {problem.index})" if problem.index is not None else ""
    more = problem.detail.removeprefix(problem.title).lstrip(" :.")
    yield f"{status} {problem.code}{place} {problem.title_zh} {problem.title}" + (f": {more}" if more else "")
    for broken in problem.violated:
        yield f"  {broken.rule} {broken.message_zh} {broken.message_en}".rstrip()
        yield from (f"      {_citation(citation)}" for citation in broken.citations)
    for unknown in problem.unknown:
        yield f"  {unknown.rule} needs to know: {', '.join(unknown.fields)}"


def _citation(citation: Mapping[str, Any]) -> str:
    said = " / ".join(str(citation[part]) for part in ("zh", "en") if citation.get(part))
    ground = "依据 under" if citation.get("binding") else "本所规则，参照 the venue's own rule, modelled on"
    return f"{ground} {said}"
