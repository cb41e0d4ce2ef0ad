"""The numbers in the pages of both auctions come out of the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.auction import commitment_of, reserve_sha256
from exchange.matching.auction import MINUTE_NS, Bid, Kind, award, end_after_ns, least_fen

PAGES = Path(__file__).parent.parent.parent / "docs" / "mechanisms"
SEALED = (PAGES / "sealed_bid.md").read_text(encoding="utf-8")
ASCENDING = (PAGES / "lawful_auction.md").read_text(encoding="utf-8")
NONCE = "5f0c3a9be1d24776a4f2c8a1b3d9e655"
ORDINALS = ("the 1st", "the 2nd", "the 3rd")


def rows(page: str, head: str) -> Iterator[list[str]]:
    """The cells of the table that begins with this head."""
    table = page[page.index(head) :].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def numbers(text: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(r"-?\d[\d,]*", text)]


def said(kind: Kind, prices: list[int], reserve: int) -> str:
    bids = [Bid(f"J{at}", price, at) for at, price in enumerate(prices)]
    found = award(kind, bids, reserve, lambda bid: True)
    return "nobody" if found is None else f"{ORDINALS[found.bid.at_ns]} pays {found.price_fen:,}"


def test_the_example_of_commitments() -> None:
    assert commitment_of("L7", "P4", 1, 45_000, NONCE) in SEALED
    assert f"L7|P4|1|45000|{NONCE}\n" in SEALED
    assert reserve_sha256(42_000, NONCE) in SEALED


def test_the_examples_of_sealed_bids() -> None:
    table = list(rows(SEALED, "| opened, in the order"))
    assert len(table) == 5
    for prices, reserve, first, second in table:
        [floor] = numbers(reserve)
        assert said("sealed_first", numbers(prices), floor) == first
        assert said("sealed_second", numbers(prices), floor) == second


def test_the_example_of_an_ascending_auction() -> None:
    """Start 10,000, increment 500, ten minutes; what is taken moves the end as the page says."""
    table = list(rows(ASCENDING, "| minute | offers"))
    assert [row[3] for row in table] == ["no", "yes", "no", "yes", "yes", "yes", "no"]
    leading, end = None, 0
    for minute, offer, least, taken, ends in table:
        at, price = numbers(minute)[0], numbers(offer)[0]
        needed = least_fen(10_000, 500, leading)
        assert numbers(least) == [needed]
        assert (taken == "yes") == (price >= needed and at < end)
        if taken == "yes":
            leading = price
            moved = end_after_ns(at * MINUTE_NS, end * MINUTE_NS, 10 * MINUTE_NS, 10**18)
            end = moved // MINUTE_NS
        assert numbers(ends) == [end]
    assert leading == 20_000


@pytest.mark.parametrize(("page", "price"), [(SEALED, 40_000), (ASCENDING, 20_000)])
def test_who_is_paid_what(page: str, price: int) -> None:
    """2 % for the venue, the rest for the merchant."""
    fee = price * 200 // 10_000
    sentence = f"acceptance pays {price - fee:,} to the merchant and {fee:,} to the venue"
    assert sentence in " ".join(page.split())
