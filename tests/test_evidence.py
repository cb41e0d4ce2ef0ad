"""Proofs outlive the venue's folder: killed, restored from a backup, with another key, the tree goes on."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story import ROOT, Person, Venue, done, shuji


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    running = Venue(tmp_path / "venue")
    yield running.start()
    running.close()


def proved(venue: Venue, person: Person, identifier: str, *words: str) -> dict[str, Any]:
    """The proof that `shuji prove` writes, as the verifier takes it."""
    file = venue.data.parent / f"{identifier}-{len(words)}.json"
    key = venue.key_file(person)
    run = shuji("prove", identifier, "--out", str(file), "--key", str(key), "--url", venue.url, *words)
    assert run.returncode == 0, run.stderr
    proof: dict[str, Any] = json.loads(file.read_text())
    return proof


def verified(folder: Path, proof: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
    file = folder / "shown.json"
    file.write_text(json.dumps(proof))
    return subprocess.run(
        [sys.executable, "-I", str(ROOT / "verify_evidence.py"), str(file), *words],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def holds(folder: Path, proof: dict[str, Any], *words: str) -> bool:
    run = verified(folder, proof, *words)
    assert run.returncode == 0, run.stderr
    return True


def checkpoint(venue: Venue) -> dict[str, Any]:
    found: dict[str, Any] = done(venue.http.get("/v1/evidence/checkpoint"), 200)
    return found


def clean(data: Path) -> bool:
    run = shuji("verify", "--data", str(data), "--json", seconds=120)
    assert json.loads(run.stdout) == {"clean": True, "findings": []}, run.stdout + run.stderr
    return True


def test_killed_again_and_again_the_tree_goes_on(venue: Venue, tmp_path: Path) -> None:
    """kill -9 right after each answer; every checkpoint seen is an earlier state of the last one."""
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant, price_fen=10)
    trades, kept = [venue.trade(buyer, listing)], proved(venue, buyer, "T1")
    assert holds(tmp_path, kept)
    for _ in range(3):
        seen = checkpoint(venue)
        trades.append(venue.trade(buyer, listing))
        venue.kill()
        venue.restart()
        again = checkpoint(venue)
        assert again["public_key"] == seen["public_key"]
        assert again["size"] > seen["size"]
        earlier = tmp_path / "kept.json"
        earlier.write_text(json.dumps(kept))
        for trade in trades:
            proof = proved(venue, buyer, trade, "--since", str(earlier))
            assert holds(tmp_path, proof, "--since", str(earlier), "--key", seen["public_key"])
        kept = proof
    venue.kill()
    assert clean(venue.data)


def test_restored_from_a_backup_it_proves_the_same_and_says_its_new_key(venue: Venue, tmp_path: Path) -> None:
    """The salts are in the backup and the key is not: old leaves are the same to the byte, the new key is in the log."""
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant, price_fen=10)
    trade = venue.trade(buyer, listing)
    folder = tmp_path / "backup"
    taken = shuji("backup", "--data", str(venue.data), "--to", str(folder), seconds=120)
    assert taken.returncode == 0, taken.stderr
    before, old_key = proved(venue, buyer, trade), checkpoint(venue)["public_key"]
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(before))
    operator = (venue.data / "operator.key").read_bytes()
    assert venue.stop() == 0
    back = shuji("restore", "--from", str(folder), "--data", str(tmp_path / "new"), seconds=120)
    assert back.returncode == 0, back.stderr
    shutil.rmtree(venue.data)
    again = Venue(tmp_path / "new")
    (again.data / "operator.key").write_bytes(operator)
    (again.data / "operator.key").chmod(0o600)
    again.start()
    try:
        there = Person(again, buyer.key, buyer.participant)
        after = proved(again, there, trade, "--since", str(earlier))
        assert [leaf["body"] for leaf in after["leaves"]] == [leaf["body"] for leaf in before["leaves"]]
        new_key = checkpoint(again)["public_key"]
        assert new_key != old_key
        both = ("--key", old_key, "--key", new_key)
        assert holds(tmp_path, after, "--since", str(earlier), *both)
        assert "not a key you named" in verified(tmp_path, after, "--key", old_key).stderr
        keys = proved(again, there, "key")
        said = [json.loads(leaf["body"])["content"]["public_key"] for leaf in keys["leaves"]]
        assert said == [old_key, new_key]
        assert holds(tmp_path, keys, "--key", new_key)
        assert again.stop() == 0
        assert clean(again.data)
    finally:
        again.close()


def test_a_history_that_was_altered_is_not_growth(venue: Venue, tmp_path: Path) -> None:
    """Whoever writes the whole database, and makes every checksum, leaf and root anew, has no path from what was kept."""
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant, price_fen=10)
    kept = proved(venue, buyer, venue.trade(buyer, listing))
    forged = json.loads(json.dumps(kept))
    forged["growth"] = {"from": kept["checkpoint"], "sha256": [], "sm3": []}
    assert holds(tmp_path, forged)
    later = proved(venue, buyer, venue.trade(buyer, listing))
    later["growth"] = {"from": kept["checkpoint"], "sha256": [], "sm3": []}
    run = verified(tmp_path, later)
    assert run.returncode == 1
    assert "does not hold" in run.stderr


def test_what_was_undone_is_in_its_proof(venue: Venue, tmp_path: Path) -> None:
    """A trade that two operators reverse, and the certificate of its product, which a reviewer revokes."""
    merchant, buyer = venue.merchant(), venue.buyer()
    product = venue.product(merchant)
    trade = venue.trade(buyer, venue.listing(merchant, product, price_fen=10))
    certificate = done(merchant.get(f"/v1/products/{product}"), 200)["certificate"]
    said = verified(tmp_path, proved(venue, buyer, trade))
    assert said.returncode == 0, said.stderr
    assert "later" not in said.stdout
    assert f"by the rulebook {done(venue.http.get('/v1/rulebook'), 200)['sha256']}" in said.stdout
    venue.complete(merchant, buyer, trade)
    body = {"transaction": trade, "reason": "试单误作真单"}
    for operator in (venue.verified_official("operator"), venue.verified_official("operator")):
        made = done(operator.post("/v1/ledger/reversals", body), 201)
    done(venue.record(product, "registration_revoked"))
    for identifier, words in (
        (trade, f"已由 {made['transaction']} 冲正 reversed by {made['transaction']}"),
        (certificate, "登记状态变更 registration_revoked"),
    ):
        said = verified(tmp_path, proved(venue, buyer, identifier))
        assert said.returncode == 0, said.stderr
        assert f"其后 later: {identifier} {words}" in said.stdout
        assert f"not as it was any more, see above: {identifier}" in said.stdout
    assert venue.stop() == 0
    assert clean(venue.data)


def test_prove_says_what_it_needs(venue: Venue, tmp_path: Path) -> None:
    file = str(tmp_path / "proof.json")
    assert shuji("prove", "T1", "--out", file, "--url", venue.url).returncode == 2
    broken = tmp_path / "broken.json"
    broken.write_text('{"checkpoint": {"text": "one line"}}')
    assert shuji("prove", "--out", file, "--since", str(broken), "--url", venue.url).returncode == 2
    assert not Path(file).exists()
    run = shuji("prove", "--out", file, "--url", venue.url)
    assert run.returncode == 0, run.stderr
    assert holds(tmp_path, json.loads(Path(file).read_text()))


def test_a_refused_order_is_proved_by_the_id_that_its_refusal_names(venue: Venue, tmp_path: Path) -> None:
    listing = venue.listing(venue.merchant(), price_fen=10)
    buyer, other = venue.buyer(cash_fen=0), venue.buyer(cash_fen=0)
    refused = buyer.post("/v1/orders", {"listing": listing, "quantity": 1, "purpose": "market_analysis"})
    assert refused.status_code in (409, 422), refused.text
    [kept] = buyer.every("/v1/refusals")
    proof = proved(venue, buyer, kept["evidence"])
    [leaf] = proof["leaves"]
    said = json.loads(leaf["body"])
    assert (said["kind"], said["id"]) == ("verdict", kept["evidence"])
    assert said["content"]["code"] == kept["code"] == refused.json()["code"]
    assert said["content"]["quantity"] == "1"
    assert kept["detail"] not in leaf["body"], "no text of ours either"
    assert holds(tmp_path, proof)
    assert other.get(f"/v1/evidence/leaves/{kept['evidence']}").status_code == 404
