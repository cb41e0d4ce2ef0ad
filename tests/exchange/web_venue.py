"""A venue in this process over a real PostgreSQL, and people who speak to its web through ASGI.

`httpx.ASGITransport` keeps the application on the test's own event loop, where the database pool lives. The
application has no lifespan of its own: what runs is started and stopped by `open_venue`.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange import keys
from exchange.app import Venue, open_venue
from exchange.settings import Settings


class Person:
    """Somebody with a key, who signs in at the first request."""

    def __init__(self, http: httpx.AsyncClient, seed: str = "", participant: str = "") -> None:
        self.http = http
        self.participant = participant
        self.token = ""
        self.purpose = ""
        self.key = (
            Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed))
            if seed
            else Ed25519PrivateKey.generate()
        )

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def sign(self, text: str) -> str:
        return base64.b64encode(self.key.sign(text.encode())).decode()

    async def register(self, **changes: Any) -> httpx.Response:
        body = {
            "legal_name": "示例 Example",
            "public_key": self.public_key,
            "signature": self.sign(f"shuji-register:{self.public_key}:"),
            **changes,
        }
        headers = {"Idempotency-Key": changes.pop("key")} if "key" in changes else {}
        body.pop("key", None)
        answer = await self.http.post("/v1/participants", json=body, headers=headers)
        if answer.status_code == 201:
            self.participant = answer.json()["participant"]
        return answer

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        if not self.token:
            self.token = await self.sign_in()
        why = {"Shuji-Purpose": self.purpose} if self.purpose else {}
        headers = {"Authorization": f"Bearer {self.token}", **why, **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)

    async def sign_in(self) -> str:
        asked = await self.http.post("/v1/login/challenge", json={"participant": self.participant})
        challenge = asked.json()["challenge"]
        body = {"participant": self.participant, "challenge": challenge, "signature": self.sign(challenge)}
        return str((await self.http.post("/v1/login", json=body)).json()["token"])


class Doors:
    """The venue's web, its operator, and the venue itself."""

    def __init__(self, venue: Venue, http: httpx.AsyncClient, operator: Person) -> None:
        self.venue = venue
        self.http = http
        self.operator = operator

    async def official(self, role: str) -> Person:
        person = Person(self.http)
        person.purpose = "a test's" if role in ("auditor", "regulator") else ""
        await person.register()
        granted = await self.operator.ask(
            "POST", f"/v1/participants/{person.participant}/roles", json={"role": role}
        )
        assert granted.status_code == 201, granted.text
        return person


@asynccontextmanager
async def doors(folder: Path, dsn: str) -> AsyncIterator[Doors]:
    settings = Settings(data=folder, dsn=dsn, simulated_clock=True, sample=False)
    async with open_venue(settings) as venue:
        application: Any = venue.app
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            key = keys.read(settings.operator_key)
            yield Doors(venue, http, Person(http, key.private_key, key.participant))
