"""Boards: what a file may say, and what keeps it from being loaded."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from clearing import notrade
from clearing.notrade import Mechanism
from exchange import board
from exchange import events as e
from exchange.board import CENTRAL, BoardError
from tests.exchange.world import World, terms

ROOT = Path(__file__).resolve().parents[2]
LAWFUL = """
id = "salt"
name_zh = "盐业"
name_en = "Salt"
host = "Salt exchange"
mechanisms = ["posted_price"]
central_trading_approved = false
fee_bp = 100
public_notice_days = 0
"""
APPROVED = {
    "central_trading_approved = false": 'central_trading_approved = true\napproval = "国办函〔2026〕1号"'
}


def written(folder: Path, changes: dict[str, str]) -> Path:
    text = LAWFUL
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "salt.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_board_is_read_by_its_id(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no board")
    [found] = board.load(written(tmp_path, {})).items()
    assert found[0] == found[1].id == "salt"
    assert found[1].approval == ""


def test_the_package_brings_seven() -> None:
    names = ["computing", "data_ip", "general", "health", "open_research", "public_data", "transport"]
    assert list(board.load()) == names


def test_every_board_that_a_rule_names_is_configured() -> None:
    """Else the rulebook does not load: the rule would never be asked."""
    assert notrade.load(boards=board.load()).rules.keys() >= {"G07", "H01", "T01"}


def test_central_trading_is_what_F02_names() -> None:
    text = (ROOT / "clearing" / "rulebook" / "venue.toml").read_text(encoding="utf-8")
    [rule] = [rule for rule in tomllib.loads(text)["rule"] if rule["id"] == "F02"]
    named = re.search(r"mechanism in \[(.*?)\]", rule["violated_when"])
    assert named is not None
    assert sorted(CENTRAL) == sorted(re.findall(r"'(\w+)'", named[1]))
    assert set(CENTRAL) <= set(get_args(Mechanism))


@pytest.mark.parametrize("mechanism", CENTRAL)
def test_central_trading_needs_an_approval_and_its_document(tmp_path: Path, mechanism: str) -> None:
    """国发〔2011〕38号, 国办发〔2012〕37号."""
    named = {'["posted_price"]': f'["posted_price", "{mechanism}"]'}
    alone = {"central_trading_approved = false": "central_trading_approved = true"}
    for changes in (named, {**named, **alone}):
        with pytest.raises(BoardError, match=f"salt.toml:6: {mechanism} needs central_trading_approved"):
            board.load(written(tmp_path, changes))
    assert board.load(written(tmp_path, {**named, **APPROVED}))["salt"].approval == "国办函〔2026〕1号"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fee_bp = 100", "fee_bp = 10001"),
        ("fee_bp = 100", "fee_bp = -1"),
        ("fee_bp = 100", 'fee_bp = "one percent"'),
        ("fee_bp = 100", ""),
        ("public_notice_days = 0", "public_notice_days = -1"),
        ("public_notice_days = 0", "public_notice_days = 0\ncolour = 1"),
        ('id = "salt"', "id = salt"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(BoardError, match=r"^salt\.toml:\d+: "):
        board.load(written(tmp_path, {old: new}))


@pytest.mark.parametrize("mechanism", CENTRAL)
def test_a_listing_on_a_board_without_approval_hears_why(mechanism: str) -> None:
    world = World()
    merchant = world.merchant()
    product = world.product(merchant)
    shape = terms(mechanism=mechanism, supply="limited", supply_units=10)
    refusal = world.refused(e.CreateListing(actor=merchant, product=product, board="general", terms=shape))
    assert refusal.code is e.Refused.mechanism_not_allowed
    assert "国发〔2011〕38号" in refusal.detail
