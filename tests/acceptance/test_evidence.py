"""Issue 4, "Evidence" (M14): an RFC 6962 Merkle log, proved to an outsider who has neither the venue nor its database.

The checks compute the tree themselves (RFC 9162, 2.1.3 and 2.1.4). What they expect; more members are welcome:

    GET  /v1/evidence/checkpoint            open: size, root_sha256, root_sm3 (hex), at, text, signature, public_key
         `signature` (base64 Ed25519) is the venue's over `text`, which names size and root
    GET  /v1/evidence/leaves/{id}           by the id of a trade, contract or certificate; its parties and officials
         items: leaf (its number from 0), kind (trade, verdict, contract, certificate, ...), id, body
         `body` is what is hashed: canonical JSON (RFC 8785) with `salt`, integers as decimal strings
    GET  /v1/evidence/inclusion?leaf=&size= leaf, size, sha256: [hex], sm3: [hex]     from the leaf up
    GET  /v1/evidence/consistency?from=&to= from, to, sha256: [hex], sm3: [hex]
    `shuji prove ID --out FILE --key KEY --url URL`, then `python verify_evidence.py FILE`: status 0 or not
"""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.story import ROOT, Person, Venue, done, refused, shuji

Hash = Callable[[bytes], bytes]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def sm3(data: bytes) -> bytes:
    work = hashes.Hash(hashes.SM3())
    work.update(data)
    return work.finalize()


DIGESTS: dict[str, Hash] = {"sha256": sha256, "sm3": sm3}


# -- RFC 9162, 2.1.3.2 and 2.1.4.2, by an outsider


def root_by_inclusion(digest: Hash, body: bytes, leaf: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that the proof leads to; AssertionError where it has the wrong length."""
    number, last, root = leaf, size - 1, digest(b"\x00" + body)
    for node in proof:
        assert last > 0, "the proof is too long"
        if number & 1 or number == last:
            root = digest(b"\x01" + node + root)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            root = digest(b"\x01" + root + node)
        number, last = number >> 1, last >> 1
    assert last == 0, "the proof is too short"
    return root


def roots_by_consistency(
    digest: Hash, first: int, second: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """(old root, new root) that the proof leads to, for 0 < first < second."""
    path = [old_root, *proof] if first & (first - 1) == 0 else list(proof)
    number, last = first - 1, second - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old = new = path[0]
    for node in path[1:]:
        assert last > 0, "the proof is too long"
        if number & 1 or number == last:
            old, new = digest(b"\x01" + node + old), digest(b"\x01" + node + new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new = digest(b"\x01" + new + node)
        number, last = number >> 1, last >> 1
    assert last == 0, "the proof is too short"
    return old, new


# -- the venue


def checkpoint(venue: Venue) -> dict[str, Any]:
    """The newest checkpoint; its signature must be the venue's and its text must name size and root."""
    seen: dict[str, Any] = done(venue.http.get("/v1/evidence/checkpoint"), 200)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(seen["public_key"]))
    key.verify(base64.b64decode(seen["signature"]), seen["text"].encode())
    root = bytes.fromhex(seen["root_sha256"])
    assert str(seen["size"]) in seen["text"]
    assert root.hex() in seen["text"] or base64.b64encode(root).decode() in seen["text"]
    return seen


def leaves(asked_by: Person, identifier: str) -> list[dict[str, Any]]:
    return list(asked_by.every(f"/v1/evidence/leaves/{identifier}"))


def leaf_of(asked_by: Person, identifier: str, kind: str) -> dict[str, Any]:
    [leaf] = [leaf for leaf in leaves(asked_by, identifier) if leaf["kind"] == kind]
    assert leaf["id"] == identifier
    return leaf


def proof(venue: Venue, path: str, **asked: int) -> dict[str, list[bytes]]:
    found = done(venue.http.get(path, params=asked), 200)
    return {name: [bytes.fromhex(node) for node in found[name]] for name in DIGESTS}


def assert_included(venue: Venue, leaf: dict[str, Any], under: dict[str, Any]) -> None:
    nodes = proof(venue, "/v1/evidence/inclusion", leaf=leaf["leaf"], size=under["size"])
    for name, digest in DIGESTS.items():
        root = root_by_inclusion(digest, leaf["body"].encode(), leaf["leaf"], under["size"], nodes[name])
        assert root.hex() == under[f"root_{name}"], name


def assert_grown(venue: Venue, old: dict[str, Any], new: dict[str, Any]) -> None:
    nodes = proof(venue, "/v1/evidence/consistency", **{"from": old["size"], "to": new["size"]})
    for name, digest in DIGESTS.items():
        root = bytes.fromhex(old[f"root_{name}"])
        before, after = roots_by_consistency(digest, old["size"], new["size"], root, nodes[name])
        assert (before.hex(), after.hex()) == (old[f"root_{name}"], new[f"root_{name}"]), name


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant)


@pytest.fixture(scope="module")
def trades(venue: Venue, merchant: Person, buyer: Person, listing: str) -> list[str]:
    """Eleven trades, so that the tree is of no even shape."""
    return [venue.trade(buyer, listing) for _ in range(11)]


def test_the_outsiders_arithmetic_is_that_of_the_rfc() -> None:
    """The known roots of RFC 6962's own test vectors: eight leaves, every inclusion, and 6 consistent with 8."""
    known = [b"", b"\0", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
    rows = [[sha256(b"\0" + leaf) for leaf in known]]
    while len(rows[-1]) > 1:
        rows.append([sha256(b"\1" + a + b) for a, b in zip(rows[-1][::2], rows[-1][1::2], strict=True)])
    root = rows[-1][0]
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    for leaf, body in enumerate(known):
        nodes = [rows[level][leaf >> level ^ 1] for level in range(3)]
        assert root_by_inclusion(sha256, body, leaf, 8, nodes) == root
    six = sha256(b"\1" + rows[2][0] + rows[1][2])
    assert six.hex() == "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"
    assert roots_by_consistency(sha256, 6, 8, six, [rows[1][2], rows[1][3], rows[2][0]]) == (six, root)
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


# -- leaves


def test_every_trade_is_in_the_tree(venue: Venue, buyer: Person, trades: list[str]) -> None:
    """Line: "one ... leaf ... per trade ...; inclusion ... proofs over the API. SHA-256, and SM3 beside it"."""
    under = checkpoint(venue)
    numbers = []
    for trade in trades:
        leaf = leaf_of(buyer, trade, "trade")
        numbers.append(leaf["leaf"])
        assert_included(venue, leaf, under)
    assert numbers == sorted(set(numbers))
    assert max(numbers) < under["size"]


def test_a_leaf_is_salted_canonical_json_without_numbers(
    venue: Venue, buyer: Person, trades: list[str]
) -> None:
    """Line: "one salted leaf of canonical JSON (RFC 8785; 64-bit integers as decimal strings)"."""
    bodies = [leaf_of(buyer, trade, "trade")["body"] for trade in trades]
    for body in bodies:
        said = json.loads(body)
        assert json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == body
        json.loads(body, parse_int=pytest.fail, parse_float=pytest.fail)
    salts = [json.loads(body)["salt"] for body in bodies]
    assert len(set(salts)) == len(salts)
    assert all(len(salt) >= 22 for salt in salts), "16 bytes"
    assert '"50000"' in bodies[0], "the price is in it"


def test_verdicts_contracts_and_certificates_have_leaves(venue: Venue, merchant: Person) -> None:
    """Line: "one ... leaf ... per trade, verdict, contract, certificate"."""
    product = venue.product(merchant)
    certificate = done(merchant.get(f"/v1/products/{product}"), 200)["certificate"]
    earlier = venue.listing(merchant, product)
    venue.trade(venue.buyer(), earlier)
    exclusive = venue.listing(merchant, product, deal="exclusive_licence", supply="exclusive", supply_units=1)
    buyer = venue.buyer()
    held = venue.held(buyer, exclusive, "B17")
    under = checkpoint(venue)
    assert_included(venue, leaf_of(merchant, certificate, "certificate"), under)
    verdict = leaf_of(buyer, held, "verdict")
    assert "B17" in verdict["body"]
    assert_included(venue, verdict, under)
    done(buyer.post(f"/v1/holds/{held}/cure", {"rule": "B17"}))
    contract = venue.read_trade(held, buyer)["contract"]["contract"]
    under = checkpoint(venue)
    assert_included(venue, leaf_of(buyer, contract, "contract"), under)
    assert_included(venue, leaf_of(buyer, held, "trade"), under)


def test_a_leaf_is_shown_to_its_parties_and_officials(
    venue: Venue, merchant: Person, buyer: Person, trades: list[str]
) -> None:
    """Line: "Every register, report and duty is reachable over the API with its role": a proof gives no trade away."""
    for reader in (merchant, buyer, venue.operator, venue.auditor()):
        assert leaf_of(reader, trades[0], "trade")
    stranger = venue.buyer(cash_fen=0)
    assert stranger.get(f"/v1/evidence/leaves/{trades[0]}").status_code in (403, 404)
    assert venue.http.get(f"/v1/evidence/leaves/{trades[0]}").status_code == 401


# -- the tree grows


def test_the_log_only_grows(venue: Venue, buyer: Person, listing: str, trades: list[str]) -> None:
    """Line: "checkpoints signed by the venue; ... consistency proofs over the API"."""
    seen = [checkpoint(venue)]
    for _ in range(4):
        venue.trade(buyer, listing)
        seen.append(checkpoint(venue))
        assert seen[-1]["size"] > seen[-2]["size"]
    for place, old in enumerate(seen):
        for new in seen[place + 1 :]:
            assert_grown(venue, old, new)


def test_what_is_not_in_the_tree_has_no_proof(venue: Venue, buyer: Person, trades: list[str]) -> None:
    """Line: "inclusion and consistency proofs over the API": beyond the tree, backwards and of nothing are errors."""
    size = checkpoint(venue)["size"]
    for path, asked in (
        ("inclusion", {"leaf": size, "size": size}),
        ("inclusion", {"leaf": 0, "size": size + 1_000_000}),
        ("inclusion", {"leaf": -1, "size": size}),
        ("consistency", {"from": size, "to": 1}),
        ("consistency", {"from": 1, "to": size + 1_000_000}),
    ):
        answer = venue.http.get(f"/v1/evidence/{path}", params=asked)
        assert answer.status_code in (400, 404, 422), (path, asked, answer.text)
    refused(buyer.get("/v1/evidence/leaves/T999999"), 404, "not_found")


def test_what_was_answered_is_in_the_tree_after_kill_9(venue: Venue, buyer: Person, listing: str) -> None:
    """Line: "leaf and root commit with the batch": killed right after an answer, the trade's proof is there."""
    before = checkpoint(venue)
    trade = venue.trade(buyer, listing)
    venue.kill()
    venue.restart()
    after = checkpoint(venue)
    assert after["public_key"] == before["public_key"]
    assert_grown(venue, before, after)
    assert_included(venue, leaf_of(buyer, trade, "trade"), after)


# -- an outsider


def verifier() -> Path:
    """The stand-alone verifier of this checkout."""
    found = [
        path
        for path in ROOT.rglob("verify_evidence.py")
        if not path.relative_to(ROOT).parts[0].startswith(".")
    ]
    assert len(found) == 1, found
    return found[0]


def verified(file: Path) -> int:
    run = subprocess.run(
        [sys.executable, "-I", str(verifier()), str(file)],
        cwd=file.parent,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in run.stderr, run.stderr
    return run.returncode


def proved(venue: Venue, person: Person, identifier: str, file: Path) -> subprocess.CompletedProcess[str]:
    key = str(venue.key_file(person))
    login = shuji("login", "--key", key, "--participant", person.participant, "--url", venue.url)
    assert login.returncode == 0, login.stderr
    return shuji("prove", identifier, "--out", str(file), "--key", key, "--url", venue.url)


def test_a_proof_convinces_who_has_neither_venue_nor_database(
    venue: Venue, buyer: Person, trades: list[str], tmp_path: Path
) -> None:
    """Line: "`shuji prove ID` and a stand-alone verifier that needs neither the venue nor its database"."""
    file = tmp_path / "proof.json"
    run = proved(venue, buyer, trades[3], file)
    assert run.returncode == 0, run.stderr
    assert trades[3] in file.read_text()
    assert verified(file) == 0
    text = verifier().read_text()
    for package in ("exchange", "clearing", "credit"):
        assert f"import {package}" not in text
        assert f"from {package}" not in text


def test_a_changed_proof_convinces_nobody(
    venue: Venue, buyer: Person, trades: list[str], tmp_path: Path
) -> None:
    """Line: "a stand-alone verifier": whatever is changed of leaf, path, root or signature is found."""
    file = tmp_path / "proof.json"
    assert proved(venue, buyer, trades[5], file).returncode == 0
    text = file.read_text()
    body = leaf_of(buyer, trades[5], "trade")["body"]
    quantity = json.dumps(body)[1:-1]
    assert quantity in text, "the leaf is in the proof as it is hashed"
    changes = [text.replace(quantity, quantity.replace("50000", "40000"))]
    hexes = [word for word in text.replace('"', " ").split() if len(word) == 64 and _is_hex(word)]
    assert hexes, "paths and roots are in it"
    for word in set(hexes):
        other = ("1" if word[0] == "0" else "0") + word[1:]
        changes.append(text.replace(word, other))
    for number, changed in enumerate(changes):
        assert changed != text
        wrong = tmp_path / f"changed-{number}.json"
        wrong.write_text(changed)
        assert verified(wrong) != 0, f"change {number} of {len(changes)}"
    for nonsense in ("", "{}", "[]", "null"):
        wrong = tmp_path / "nonsense.json"
        wrong.write_text(nonsense)
        assert verified(wrong) != 0


def _is_hex(word: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in word)


def test_who_may_not_see_a_trade_gets_no_proof_of_it(venue: Venue, trades: list[str], tmp_path: Path) -> None:
    """Line: "`shuji prove ID`": for a stranger and for an unknown id, one clear line and no file."""
    stranger, file = venue.buyer(cash_fen=0), tmp_path / "proof.json"
    for identifier in (trades[0], "T999999"):
        run = proved(venue, stranger, identifier, file)
        assert run.returncode == 1, (run.returncode, run.stderr)
        assert "Traceback" not in run.stderr
        assert not file.exists()


# -- nothing can be changed afterwards, and nobody's data is in it


def test_an_erasure_leaves_every_proof_valid(venue: Venue, merchant: Person, listing: str) -> None:
    """Line: "No personal data in leaf or journal: an erasure leaves every proof valid"."""
    person = venue.buyer()
    trade = venue.trade(person, listing)
    leaf, under = leaf_of(person, trade, "trade"), checkpoint(venue)
    done(person.delete(f"/v1/participants/{person.participant}/personal"))
    assert_included(venue, leaf, under)
    assert leaf_of(person, trade, "trade") == leaf
    assert_grown(venue, under, _after_another_trade(venue, person, listing))
    for personal in ("张三", "zhangsan@shuji.example"):
        assert personal not in leaf["body"]
        entries = list(venue.auditor().every("/v1/journal", limit=200))
        assert personal not in json.dumps(entries, ensure_ascii=False)
    run = shuji("verify", "--data", str(venue.data))
    assert run.returncode == 0, run.stdout


def _after_another_trade(venue: Venue, person: Person, listing: str) -> dict[str, Any]:
    venue.trade(person, listing)
    return checkpoint(venue)


@pytest.fixture
async def connection(venue: Venue, trades: list[str]) -> AsyncIterator[asyncpg.Connection]:
    """To the database of a venue that stands still meanwhile."""
    os.kill(venue.pid, signal.SIGSTOP)
    opened = await asyncpg.connect(venue.database)
    try:
        yield opened
    finally:
        await opened.close()
        os.kill(venue.pid, signal.SIGCONT)


COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    " AND table_name LIKE 'evidence%' AND data_type = 'bytea' ORDER BY 1, 2"
)


async def test_a_byte_changed_anywhere_in_the_log_is_found_and_named(
    venue: Venue, connection: asyncpg.Connection
) -> None:
    """Line: "A byte changed anywhere in the history is found and named by `verify`": every stored hash and root."""
    places = [(row["table_name"], row["column_name"]) for row in await connection.fetch(COLUMNS)]
    assert places, "the log lies in tables named evidence..."
    for table, column in places:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        row = await connection.fetchrow(
            f"SELECT ctid::text AS place, {column} AS old FROM {table} WHERE length({column}) > 0 LIMIT 1"
        )
        assert row is not None, table
        changed = bytes([row["old"][0] ^ 1]) + row["old"][1:]
        update = f"UPDATE {table} SET {column} = $1 WHERE ctid = '{{}}'::tid RETURNING ctid::text"
        place = await connection.fetchval(update.format(row["place"]), changed)
        try:
            run = shuji("verify", "--data", str(venue.data), "--json")
        finally:
            await connection.execute(update.format(place), row["old"])
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        assert run.returncode == 1, f"{table}.{column} was changed"
        findings = json.loads(run.stdout)["findings"]
        assert findings[0]["table"].startswith("evidence"), findings
    run = shuji("verify", "--data", str(venue.data))
    assert run.returncode == 0, run.stdout
