"""The way to a venue that may die: a request keeps its id until somebody answers it.

No answer and 503 mean that nobody knows whether it happened, 429 that it came too soon; the same id is sent again, for at
most `PATIENCE_S`.
Orders go one batch at a time, so that the venue sees them in one order; what touches no other trade may go at once.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import httpx
import msgspec

from exchange.client import uuid7
from exchange.keys import Key

PATIENCE_S: Final = 120.0
PAUSE_S: Final = 0.05
PAGE: Final = 200


class DayBroken(Exception):
    """The day cannot go on: the venue is gone for good, or refused what every day needs. The text says which."""


class DayRefused(DayBroken):
    """The venue refused what was asked; the text says what."""


class Keeper(Protocol):
    """Whoever sees that the venue runs."""

    def revive(self) -> None:
        """Start it again if it has died."""

    def turn(self, number: int) -> None:
        """The day comes to this turn: a moment at which the venue may be killed."""


@dataclass(frozen=True)
class Answer:
    """A status and the decoded body; `place` is the request, for messages."""

    status: int
    body: Any
    place: str

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300

    def must(self) -> Any:
        """The body. Raises DayRefused."""
        if not self.done:
            raise DayRefused(f"{self.place}: {self.status} {self.body}")
        return self.body


class Door:
    """The way to one venue, for several hands at once."""

    def __init__(self, url: str, keeper: Keeper) -> None:
        self.url, self._keeper = url, keeper
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def clock(self) -> tuple[datetime, bool]:
        """The venue's time, and whether it is simulated."""
        clock = self.ask("GET", "/v1/venue").must()["clock"]
        return datetime.fromisoformat(clock["now"]), bool(clock["simulated"])

    def ask(self, method: str, path: str, body: Any = None, token: str = "", key: str = "") -> Answer:
        """Sent until it is answered; bytes are sent as they are. Raises DayBroken after `PATIENCE_S`."""
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        headers = {"Content-Type": kind} if body is not None else {}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Idempotency-Key": key} if key else {}
        content = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        deadline = time.monotonic() + PATIENCE_S
        while (answer := self._once(method, path, content, headers)) is None:
            if time.monotonic() > deadline:
                raise DayBroken(f"{self.url} has not answered {method} {path} for {PATIENCE_S:.0f} s")
            time.sleep(PAUSE_S)
            self._keeper.revive()
        return answer

    def _once(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Answer | None:
        try:
            answer = self._http.request(method, path, content=content, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code in (429, 503):
            return None
        body = msgspec.json.decode(answer.content) if answer.content else None
        if answer.status_code == 200 and path == "/v1/orders/batch" and _unanswered(body):
            return None
        return Answer(answer.status_code, body, f"{method} {path}")


def _unanswered(body: Any) -> bool:
    """Whether some order of a batch is one of which nobody knows yet whether it happened."""
    return any(result["status"] == 503 for result in body["results"])


SIGN_INS: Final = 2
"""The clock ends a token, and once more where the answer to moving it was lost in a kill."""


class Person:
    """A key's holder at the door. Signs in when it first asks, and again when its token has ended."""

    def __init__(self, door: Door, key: Key, label: str, participant: str) -> None:
        self.door, self.key, self.label, self.participant = door, key, label, participant
        self._token = ""

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        key = uuid7() if method in ("POST", "DELETE") else ""
        self._token = self._token or self._sign_in()
        answer = self.door.ask(method, path, body, self._token, key)
        for _ in range(SIGN_INS):
            if answer.status != 401:
                break
            self._token = self._sign_in()
            answer = self.door.ask(method, path, body, self._token, key)
        return answer

    def get(self, path: str) -> Any:
        return self.ask("GET", path).must()

    def post(self, path: str, body: Any) -> Any:
        """What every day needs: a refusal ends the day."""
        return self.ask("POST", path, body).must()

    def every(self, path: str) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        items: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.get(f"{path}?limit={PAGE}{after}")
            items += page["items"]
            if not page["next"]:
                return items
            after = f"&cursor={page['next']}"

    def balance_fen(self) -> int:
        accounts = self.get("/v1/accounts/me")["items"]
        return next((int(one["balance"]) for one in accounts if one["asset"] == "CNY"), 0)

    def _sign_in(self) -> str:
        """Twice where the venue was started anew in between: it knows no challenge of before."""
        answer = self._signed()
        answer = answer if answer.done else self._signed()
        if not answer.done:
            raise DayBroken(f"{self.label} cannot sign in at {self.door.url}: {answer.body['detail']}")
        return str(answer.body["token"])

    def _signed(self) -> Answer:
        who = {"participant": self.participant}
        challenge = self.door.ask("POST", "/v1/login/challenge", who).must()["challenge"]
        signed = {**who, "challenge": challenge, "signature": self.key.sign(challenge)}
        return self.door.ask("POST", "/v1/login", signed)
