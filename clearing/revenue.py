"""Who is paid what of a price: the venue's fee, the contributors' shares, the merchant's remainder.

「坚持“谁投入、谁贡献、谁受益”原则……根据各类生产要素在数据产品和服务价值形成过程中的
实际作用确定收益分配比例」 (关于更好发挥数据要素作用推动广州高质量发展的实施意见，第（十三）项；
its part four is items 十二 to 十四). It is a policy paper and asks for shares by contribution; the arithmetic
below is the venue's own.

    price 1,000.01 ── fee 250 bp, down ──> 25.00
         └─ remains 975.01 ── 3,000 bp, down ──> first contributor 292.50
                           ── 1,250 bp, down ──> second contributor 121.87
                           └─ remainder ───────> merchant 560.64

Every rounding is down and the merchant keeps what rounding leaves, so the parts add up to the price. The
split is made once per trade, on its whole price, and fixed when the trade settles; it is paid when the trade
completes.
"""

from typing import Literal

from clearing.money import BASIS_POINTS

Shares = tuple[tuple[str, int], ...]
"""(participant id, basis points of what remains after the fee), in the order the merchant declared them."""

Payments = tuple[tuple[str, int], ...]
"""(participant id, fen), in the order of the shares; a share that rounds to nothing stays, with zero."""

ShareRefusal = Literal[
    "share_not_positive",
    "contributor_unnamed",
    "contributor_twice",
    "contributor_is_merchant",
    "shares_exceed_whole",
]
"""Why declared shares cannot stand, in the order in which `refuse_shares` looks."""


def refuse_shares(shares: Shares, merchant: str) -> ShareRefusal | None:
    """The first reason why these shares cannot stand beside the merchant's remainder; None when they can.

    A merchant that gives everything away (10,000 bp in all) is allowed: it keeps what rounding leaves.
    """
    names = [participant for participant, _ in shares]
    if any(basis_points <= 0 for _, basis_points in shares):
        return "share_not_positive"
    if not all(names):
        return "contributor_unnamed"
    if len(dict.fromkeys(names)) < len(names):
        return "contributor_twice"
    if merchant in names:
        return "contributor_is_merchant"
    if sum(basis_points for _, basis_points in shares) > BASIS_POINTS:
        return "shares_exceed_whole"
    return None


def split(amount_fen: int, fee_bp: int, shares: Shares) -> tuple[int, Payments, int]:
    """(fee, what each contributor gets, what the merchant gets) in fen; they add up to the amount exactly.

    The shares have passed `refuse_shares`. O(shares), and no allocation but the fee's where there are none.
    """
    assert amount_fen >= 0, "a price is not negative"
    assert 0 <= fee_bp <= BASIS_POINTS, "a fee is between nothing and all"
    fee_fen = amount_fen * fee_bp // BASIS_POINTS
    remains_fen = amount_fen - fee_fen
    if not shares:
        return fee_fen, (), remains_fen
    payments = tuple([(name, remains_fen * part_bp // BASIS_POINTS) for name, part_bp in shares])
    merchant_fen = remains_fen - sum([fen for _, fen in payments])
    assert merchant_fen >= 0, "shares exceed the whole"
    return fee_fen, payments, merchant_fen
