"""The price of a call auction against a brute force over all prices, rule after rule as `docs/MATCHING.md` has them."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.matching.orders import BUY, SELL, Enter, Filled, Instrument, Move, Side, Uncrossed
from tests.exchange.two_books import TwoBooks

HIGHEST = 30
orders = st.lists(st.tuples(st.integers(1, HIGHEST), st.integers(1, 9)), max_size=8)
"""(price in ticks, quantity)"""
Orders = list[tuple[int, int]]


def traded(buys: Orders, sells: Orders, price_fen: int) -> tuple[int, int]:
    """(what would trade, what is left of the longer side) at a price."""
    bought = sum(quantity for limit_fen, quantity in buys if limit_fen >= price_fen)
    sold = sum(quantity for limit_fen, quantity in sells if limit_fen <= price_fen)
    return min(bought, sold), abs(bought - sold)


def brute_force(buys: Orders, sells: Orders, tick_fen: int, reference_fen: int) -> Uncrossed:
    """Each rule leaves out the prices that it does not like best."""
    lowest, highest = (
        min((price for price, _ in sells), default=1),
        max((price for price, _ in buys), default=0),
    )
    left = list(range(lowest, highest + 1, tick_fen)) if buys and sells else []
    if not left:
        return Uncrossed(0, 0, 0)
    most = max(traded(buys, sells, price)[0] for price in left)
    left = [price for price in left if traded(buys, sells, price)[0] == most]
    least = min(traded(buys, sells, price)[1] for price in left)
    left = [price for price in left if traded(buys, sells, price)[1] == least]
    nearest = min(abs(price - reference_fen) for price in left)
    left = [price for price in left if abs(price - reference_fen) == nearest]
    return Uncrossed(min(left), most, least)


def entered(side: Side, said: Orders) -> list[Enter]:
    return [
        Enter(f"{side}{number}", side, price_fen, quantity, f"{side}{number}", f"{side}{number}")
        for number, (price_fen, quantity) in enumerate(said)
    ]


@given(
    buys=orders, sells=orders, tick_fen=st.sampled_from((1, 3, 4)), reference_fen=st.integers(0, 2 * HIGHEST)
)
def test_brute_force_over_all_prices_gives_the_price_of_the_auction(
    buys: Orders, sells: Orders, tick_fen: int, reference_fen: int
) -> None:
    """The reference need not be a multiple of the tick."""
    buys, sells = ([(price * tick_fen, quantity) for price, quantity in said] for said in (buys, sells))
    books = TwoBooks(
        Instrument(tick_fen=tick_fen, reference_fen=reference_fen), lambda *_: True, lambda _: True
    )
    books.execute(Move("pre_open"))
    for command in entered(BUY, buys) + entered(SELL, sells):
        books.execute(command)
    books.execute(Move("call_auction"))
    _, auction, *fills = books.execute(Move("closed"))
    expected = brute_force(buys, sells, tick_fen, reference_fen)
    assert auction == expected
    books.check()
    assert all(isinstance(fill, Filled) and fill.price_fen == expected.price_fen for fill in fills)
    assert sum(fill.quantity for fill in fills if isinstance(fill, Filled)) == expected.quantity
