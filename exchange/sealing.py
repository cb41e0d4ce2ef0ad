"""What the venue signs for others: credentials and status lists, by the key in its data folder.

The journal says which key signs and what a credential claims; the private half is in `DATA/venue.key` alone. Another key
is drafted into a file beside it, adopted by the journal, and then moved into its place: whatever is killed when, the key
that the journal names is in one of the two files.

A credential is signed when it is first asked for, and kept to the byte (`credential_document`); under another key, or
renewed, it is signed anew. A status list is made of the query tables whenever it is asked for: what was revoked a moment
ago has its bit set.
"""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from credit import vc
from credit.credential import (
    LIST_LIVES_NS,
    PURPOSES,
    Issued,
    Place,
    document_of,
    index_of,
    list_of,
    method_of,
    status_document,
)
from exchange import keys, projector
from exchange.keys import Key
from exchange.projection import CredentialRecord

LIST_KEPT_NS: Final = 3_600_000_000_000
"""A list in which nothing has changed is signed again after an hour: whoever fetches one has 23 hours of it at least."""

_KEPT: Final = """
select body from credential_document where credential = $1 and method = $2 and valid_until_ns = $3
"""
_KEEP: Final = """
insert into credential_document (credential, method, valid_until_ns, signed_at_ns, body)
values ($1, $2, $3, $4, $5) on conflict do nothing
"""


class KeyRing:
    """The venue's key. `path` is its file; the draft of another lies beside it until the journal has adopted it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = keys.ensure(path)
        self.changing = asyncio.Lock()

    @property
    def next_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.next")

    def draft(self) -> Key:
        """A new key in its file. One that lay there was never adopted, or `settle` would have taken it."""
        self.next_path.unlink(missing_ok=True)
        return keys.create(self.next_path)

    def settle(self, adopted: str) -> Key:
        """The key that signs now: the draft, where the journal says that it was adopted."""
        if self.key.public_key != adopted and self.next_path.exists():
            drafted = keys.read(self.next_path)
            if drafted.public_key == adopted:
                os.replace(self.next_path, self.path)  # noqa: PTH105  # the old name is free for the next draft
                self.key = drafted
        return self.key


def place_of(url: str) -> Place:
    """The venue's name on the web: did:web of the address by which others reach it (did:web method, 2.1)."""
    address = urlsplit(url)
    port = "" if address.port is None else f"%3A{address.port}"
    return Place(f"did:web:{address.hostname}{port}", url)


class _List(Struct, frozen=True):
    numbers: list[int]
    method: str
    signed_at_ns: int
    body: str


class Sealer:
    """Signs in the name of `place`. Everything is read from committed rows: nothing here waits for the engine."""

    def __init__(self, pool: Any, ring: KeyRing, place: Place) -> None:
        self.pool = pool
        self.ring = ring
        self.place = place
        self._lists: dict[tuple[str, int], _List] = {}

    @property
    def method(self) -> str:
        return self._method_of(self.ring.key)

    def _method_of(self, key: Key) -> str:
        return method_of(self.place.did, key.public_key)

    async def credential(self, row: CredentialRecord, at_ns: int) -> str:
        """The signed document, the same each time until the key changes or it is renewed."""
        key = self.ring.key  # which may be another one after each wait
        named = row.id, self._method_of(key), row.valid_until_ns
        kept: str | None = await self.pool.fetchval(_KEPT, *named)
        if kept is not None:
            return kept
        document = document_of(issued_of(row), self.place)
        await self.pool.execute(_KEEP, *named, at_ns, self._signed(document, at_ns, key))
        body: str = await self.pool.fetchval(_KEPT, *named)
        return body

    async def status_list(self, purpose: str, which: int, at_ns: int) -> str | None:
        """A signed status list as of now; None where there are not so many."""
        if which > list_of(max(await projector.newest_credential(self.pool), 1)):
            return None
        above = (which - 1) * vc.LIST_BITS
        numbers = await projector.credentials_in(self.pool, PURPOSES[purpose], above, above + vc.LIST_BITS)
        kept = self._lists.get((purpose, which))
        if kept is None or not self._is_good(kept, numbers, at_ns):
            until_ns = at_ns + LIST_LIVES_NS
            document = status_document(purpose, which, numbers, self.place, at_ns, until_ns)
            kept = _List(numbers, self.method, at_ns, self._signed(document, at_ns, self.ring.key))
            self._lists[purpose, which] = kept
        return kept.body

    def _is_good(self, kept: _List, numbers: list[int], at_ns: int) -> bool:
        fresh = kept.signed_at_ns <= at_ns < kept.signed_at_ns + LIST_KEPT_NS
        return fresh and kept.numbers == numbers and kept.method == self.method

    def _signed(self, document: vc.Document, at_ns: int, key: Key) -> str:
        signed = vc.proved(document, vc.options_of(self._method_of(key), at_ns), key.sign_bytes)
        return json.dumps(signed, ensure_ascii=False, separators=(",", ":"))

    def jwt(self, body: str) -> str:
        """The same document as `vc+jwt`."""
        seed = base64.b64decode(self.ring.key.private_key)
        return vc.as_jwt(json.loads(body), self.method, seed)


def issued_of(row: CredentialRecord) -> Issued:
    return Issued(number=row.number, claims=row.claims, from_ns=row.issued_at_ns, until_ns=row.valid_until_ns)


def bit_of(row: CredentialRecord) -> tuple[int, int]:
    """In which list, counted from 1, and where in it."""
    return list_of(row.number), index_of(row.number)
