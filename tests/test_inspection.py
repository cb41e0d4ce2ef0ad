"""An inspection package: right as it comes, wrong wherever it was changed; of trades that settled and others."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import verify_evidence
from exchange.keys import Key
from tests.document import ROOT
from tests.story import Person, Venue, done, shuji
from verify_evidence import Wrong, canonical, check_inspection, sha256

FOREIGN = Key.make()


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    running = Venue(tmp_path_factory.mktemp("inspection") / "data")
    try:
        yield running.start()
    finally:
        running.close()


@pytest.fixture(scope="module")
def regulator(venue: Venue) -> Person:
    person = venue.official("regulator")
    person.purpose = "检查 inspection 12"
    return person


@pytest.fixture(scope="module")
def package(venue: Venue, regulator: Person) -> dict[str, Any]:
    merchant, buyer = venue.merchant(), venue.buyer()
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.complete(merchant, buyer, trade)
    return inspected(regulator, trade)


def inspected(regulator: Person, trade: str) -> dict[str, Any]:
    person = copy.copy(regulator)
    found: dict[str, Any] = done(
        person.ask("GET", f"/v1/trades/{trade}/inspection", headers={"Shuji-Purpose": "inspection"}), 200
    )
    return found


def test_an_outsider_checks_it_from_the_command_line(
    venue: Venue, regulator: Person, package: dict[str, Any], tmp_path: Path
) -> None:
    key, file = str(venue.key_file(regulator)), tmp_path / "package.json"
    done_login = shuji("login", "--key", key, "--participant", regulator.participant, "--url", venue.url)
    assert done_login.returncode == 0, done_login.stderr
    path = f"/v1/trades/{package['package']['trade']['trade']}/inspection"
    told = shuji("call", "GET", path, "--key", key, "--url", venue.url, "--out", str(file))
    assert told.returncode != 0
    assert "Shuji-Purpose" in told.stderr
    told = shuji(
        "call", "GET", path, "--key", key, "--url", venue.url, "--out", str(file), "--purpose", "检查"
    )
    assert told.returncode == 0, told.stderr
    for trusted, status in ((package["public_key"], 0), (FOREIGN.public_key, 1)):
        run = subprocess.run(
            [sys.executable, "-I", str(ROOT / "verify_evidence.py"), str(file), "--key", trusted],
            cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert run.returncode == status, run.stderr
        assert "Traceback" not in run.stderr
    assert json.loads(file.read_text())["package"]["made"]["purpose"] == "检查"


def resigned(package: dict[str, Any], key: Key = FOREIGN) -> dict[str, Any]:
    """As a forger would give it away: hashed and signed again, by another key."""
    forged = sha256(canonical(package["package"]).encode()).hex()
    signature = key.sign(f"shuji-inspection:{forged}")
    return package | {"sha256": forged, "signature": signature, "public_key": key.public_key}


def changes(package: dict[str, Any]) -> Iterator[dict[str, Any]]:
    def changed(*path: Any, value: Any) -> dict[str, Any]:
        one = copy.deepcopy(package)
        inner = one["package"]
        for name in path[:-1]:
            inner = inner[name]
        assert inner[path[-1]] != value
        inner[path[-1]] = value
        return one

    registers = package["package"]["facts"]["registers"]
    yield changed("trade", "price_fen", value=1)
    yield changed("trade", "buyer", value="P999")
    yield changed("postings", 0, "amount", value=1)
    yield changed("facts", "registers", 0, value=registers[0].replace("CN-46", "CN-31"))
    yield changed("facts", "declared", value="[]")
    yield changed("facts", "facts_sha256", value="0" * 64)
    yield changed("facts", "at_ns", value="1")
    yield changed("facts", "cures", value=[["B17", "hold"]])
    yield changed("contract", "form", value="{}")
    yield changed("contract", "contract_sha256", value="0" * 64)
    yield changed("proofs", "leaves", value=[])


def test_whatever_is_changed_is_found(package: dict[str, Any]) -> None:
    """By the package's own hash; and what the log knows better, also where the venue itself had signed the change."""
    lines = check_inspection(package, [package["public_key"]])
    assert any(line.startswith("facts: those of the verdict") for line in lines)
    for changed in changes(package):
        with pytest.raises(Wrong, match="changed"):
            check_inspection(changed, [])
        with pytest.raises(Wrong):
            check_inspection(resigned(changed), [])
        inner = changed["package"]
        leaves = [json.loads(leaf["body"]) for leaf in inner["proofs"]["leaves"]]
        with pytest.raises(Wrong):
            verify_evidence.check_trade(inner, leaves)


def test_a_cured_hold_and_a_refused_trade_are_inspected_too(venue: Venue, regulator: Person) -> None:
    """What was read of a hold has its cures; a trade that did not settle has no contract and no postings."""
    merchant, buyer = venue.merchant(), venue.buyer()
    product = venue.product(merchant)
    venue.trade(venue.buyer(), venue.listing(merchant, product))
    exclusive = venue.listing(merchant, product, deal="exclusive_licence", supply="exclusive", supply_units=1)
    held = venue.held(buyer, exclusive, "B17")
    waiting = inspected(regulator, held)
    assert waiting["package"]["contract"] is None
    assert waiting["package"]["postings"] == []
    assert waiting["package"]["verdict"]["outcome"] == "hold"
    check_inspection(waiting, [])
    done(buyer.post(f"/v1/holds/{held}/cure", {"rule": "B17"}))
    cured = inspected(regulator, held)
    assert cured["package"]["verdict"]["outcome"] == "allow"
    check_inspection(cured, [])


def test_a_venue_that_was_killed_gives_the_same_facts(
    venue: Venue, regulator: Person, package: dict[str, Any]
) -> None:
    venue.kill()
    venue.restart()
    again = inspected(regulator, package["package"]["trade"]["trade"])
    for part in ("trade", "contract", "verdict", "facts", "postings"):
        assert again["package"][part] == package["package"][part]
    run = shuji("verify", "--data", str(venue.data))
    assert run.returncode == 0, run.stdout
