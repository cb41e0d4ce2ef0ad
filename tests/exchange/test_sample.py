"""The sample catalogue: complete, lawful as far as it says, and the same wherever its loading was cut off."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from stdnum.cn import uscc

from clearing import notrade
from exchange import board, keys, sample
from exchange.events import OpenVenue, PlaceOrder, RegisterParticipant
from exchange.state import State
from exchange.venue import Outcome, execute

Seen = TypeVar("Seen")
START_NS = 1_800_000_000_000_000_000


class Cut(Exception):
    """Where the loading is killed."""


class Desk:
    """The pure venue behind the three calls that the sample makes; it may be cut after so many commands."""

    def __init__(self, data: Path) -> None:
        self.state = State(board.load(), notrade.load(), "CN-46")
        self.at_ns = START_NS
        self.left = 10_000
        key = keys.ensure(data / "operator.key")
        self.execute(OpenVenue(actor="venue", public_key=key.public_key))

    def now_ns(self) -> int:
        return self.at_ns

    def execute(self, command: Any) -> Outcome:
        self.at_ns += 1_000_000
        return execute(self.state, command, self.at_ns)

    async def submit(self, command: Any) -> Outcome:
        if not self.left:
            raise Cut
        self.left -= 1
        return self.execute(command)

    async def read(self, look: Callable[[State], Seen]) -> Seen:
        return look(self.state)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def seen(state: State) -> dict[str, Any]:
    """The venue without keys and instants."""
    return {
        "people": [
            (row.legal_name, row.roles, row.identity, row.credential)
            for row in state.bureau.participants.values()
        ],
        "products": [(row.description.title, row.state) for row in state.products.values()],
        "listings": [(row.product, row.board, row.state) for row in state.listings.values()],
        "orders": [(row.listing, row.remaining, row.price_fen) for row in state.orders.values()],
        "cash": list(state.cash_references),
    }


async def test_eight_products_on_three_boards(desk: Desk, tmp_path: Path) -> None:
    assert await sample.load(desk, tmp_path)
    listings = list(desk.state.listings.values())
    assert len(desk.state.products) == len(listings) == 8
    assert {row.board for row in listings} == {"general", "public_data", "computing"}
    assert {row.state for row in listings if row.board == "public_data"} == {"public_notice"}
    assert {row.state for row in listings if row.board != "public_data"} == {"published"}
    assert {row.state for row in desk.state.products.values()} == {"registered"}


async def test_its_people_have_keys_in_the_data_folder(desk: Desk, tmp_path: Path) -> None:
    await sample.load(desk, tmp_path)
    for role in sample.ROLES:
        key = keys.read(tmp_path / f"sample-{role}.key")
        row = desk.state.bureau.participants[key.participant]
        assert (row.public_key, row.roles) == (key.public_key, (role,))
        assert (tmp_path / f"sample-{role}.key").stat().st_mode & 0o777 == 0o600


async def test_a_second_start_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    await sample.load(desk, tmp_path)
    before = desk.state.sequence
    assert await sample.load(desk, tmp_path)
    assert desk.state.sequence == before


async def test_cut_off_after_every_command_it_goes_on(tmp_path: Path) -> None:
    whole, pieces = Desk(tmp_path / "whole"), Desk(tmp_path / "pieces")
    await sample.load(whole, tmp_path / "whole")
    starts = 0
    while True:
        pieces.left, starts = 1, starts + 1
        try:
            assert await sample.load(pieces, tmp_path / "pieces")
        except Cut:
            continue
        break
    assert starts > 40
    assert seen(pieces.state) == seen(whole.state)
    assert pieces.state.sequence == whole.state.sequence


async def test_a_venue_of_others_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    stranger = keys.Key.make()
    desk.execute(RegisterParticipant(actor="", legal_name="stranger", public_key=stranger.public_key))
    before = desk.state.sequence
    assert not await sample.load(desk, tmp_path)
    assert desk.state.sequence == before
    assert not (tmp_path / "sample-merchant.key").exists()


async def test_the_buyer_meets_every_kind_of_answer(desk: Desk, tmp_path: Path) -> None:
    await sample.load(desk, tmp_path)
    buyer = keys.read(tmp_path / "sample-buyer.key").participant

    def order(title: str, **changes: Any) -> Outcome:
        product = next(row for row in desk.state.products.values() if title in row.description.title)
        return desk.execute(
            PlaceOrder(actor=buyer, listing=product.listings[0], **({"quantity": 1} | changes))
        )

    assert "Settled" in [type(event).__name__ for event in order("冷链").events]
    refused = order("客流", quantity=1000, purpose="advertising").refusal
    assert refused is not None
    assert "B04" in refused.violated
    assert "Held" in [type(event).__name__ for event in order("问卷").events]
    assert "Settled" in [type(event).__name__ for event in order("加速卡时", quantity=250).events]


def test_its_credit_codes_are_valid_and_invented() -> None:
    codes = [sample.credit_code(number) for number in (1, 2)]
    assert all(uscc.is_valid(code) and code.startswith("9146000000000000") for code in codes)
