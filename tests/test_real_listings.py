"""`make real`: forty real listings through a whole venue, killed in the middle; and that its own count sees."""

import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from loadtests.client import ROOT, SHARED
from loadtests.real_listings import ARTICLES, CALLS, EACH, ORIGINS, price_fen, read_offers

DATA = SHARED / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir() and os.environ.get("CI") != "true",
    reason="the shared data are not beside the checkout, nor where SHUJI_SHARED says",
)


def test_forty_real_listings_are_traded_and_the_unlawful_orders_refused() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "loadtests.real_listings", "--seed", "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(rf"^{EACH} paid APIs and {EACH} open data sets", run.stdout), run.stdout
    assert "41 trades completed" in run.stdout, "each offer once, and the one that was held"
    assert "kill -9 under way: 1;" in run.stdout
    refused = re.search(r"refused or held.*: (.*)$", run.stdout, re.MULTILINE)
    assert refused is not None
    assert set(ARTICLES) <= set(re.split(r", |\+", refused[1])), "each rule of the table was broken once"


def test_the_rows_are_taken_as_they_are() -> None:
    apis, open_data = read_offers(DATA)
    assert [len(apis), len(open_data)] == [EACH, EACH]
    assert Counter(offer.origin for offer in open_data) == ORIGINS
    assert len({offer.title for offer in apis + open_data}) == 2 * EACH
    assert all(offer.terms["price_fen"] > 0 for offer in apis)
    assert all(offer.terms["price_fen"] == 0 and offer.content for offer in open_data)


def test_a_price_a_call_is_whole_fen_for_a_thousand() -> None:
    assert (CALLS, price_fen("0.001"), price_fen("0.05")) == (1_000, 710, 35_500)
    with pytest.raises(ValueError, match="per 1000 calls"):
        price_fen("0.0000001")
