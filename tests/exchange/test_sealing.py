"""What is signed for others while the venue's key is replaced by another."""

import json
from pathlib import Path
from typing import Any

from credit.credential import Issued, Merchant, kept_fault
from exchange import keys
from exchange.projection import CredentialRecord
from exchange.sealing import KeyRing, Sealer, issued_of, place_of
from exchange.state import DAY_NS
from tests.exchange.world import START_NS, credit_code, public_key


class Rotating:
    """A database in which the key is replaced while the first question waits for its answer."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self.kept: dict[tuple[Any, ...], str] = {}

    async def fetchval(self, statement: str, *named: Any) -> str | None:
        if not self.kept:
            self.ring.key = keys.Key.make()
        return self.kept.get(named)

    async def execute(self, statement: str, credential: str, method: str, until_ns: int, *rest: Any) -> None:
        self.kept[credential, method, until_ns] = rest[1]


def merchant() -> CredentialRecord:
    said: dict[str, Any] = {
        "legal_name": "海南数商有限公司",
        "uscc": credit_code(1),
        "number": "DM-000002",
        "region": "CN-46",
    }
    claims = Merchant(participant="P2", key=public_key("P2"), classes=("merchant",), **said)
    dates: dict[str, Any] = {
        "issued_at_ns": START_NS,
        "valid_until_ns": START_NS + DAY_NS,
        "updated_at_ns": START_NS,
    }
    return CredentialRecord(
        number=1, id="C1", kind="merchant", subject="P2", about="P2", state="issued", claims=claims, **dates
    )


async def test_a_credential_is_kept_under_the_key_that_signed_it(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "venue.key")
    before, pool, row = ring.key.public_key, Rotating(ring), merchant()
    sealer = Sealer(pool, ring, place_of("https://venue.example"))
    body = await sealer.credential(row, START_NS)
    [(_, method, _)] = pool.kept
    issued: Issued = issued_of(row)
    assert json.loads(body)["proof"]["verificationMethod"] == method
    assert kept_fault(body, issued, method, {before, ring.key.public_key}) == ""
