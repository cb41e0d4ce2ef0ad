"""Who is paid what of a price, and how much an operator of public data may earn in a year.

「坚持“谁投入、谁贡献、谁受益”原则……根据各类生产要素在数据产品和服务价值形成过程中的
实际作用确定收益分配比例」 (关于更好发挥数据要素作用推动广州高质量发展的实施意见，第（十三）项；
its part four is items 十二 to 十四). It is a policy paper and asks for shares by contribution; the arithmetic
below is the venue's own.

    price 1,000.01 ── fee 250 bp, down ──> 25.00
         └─ remains 975.01 ── 3,000 bp, down ──> first contributor 292.50
                           ── 1,250 bp, down ──> second contributor 121.87
                           └─ remainder ───────> merchant 560.64

Of public data a board may set a public-data share (公共数据收益分成) apart first, in basis points of what remains
after the fee, rounded down too; the declared shares are then of what remains after both.

Every rounding is down and the merchant keeps what rounding leaves, so the parts add up to the price, and no share
depends on the order in which they were declared. The split is made once per trade, on its whole price, and fixed when
the trade settles; it is paid when the trade completes.

Ceilings. 发改价格〔2025〕65号 gives an operator of authorised public data a highest revenue of a period (最高准许收入),
and what was earned above it is taken off the next one. The venue counts the calendar year in Beijing time, and the
whole price of what completed in it.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from clearing.money import BASIS_POINTS

Role = Literal["resource_holder", "processor", "operator", "contributor", "broker"]
"""What somebody gave to a product (数据资源持有方、加工方、运营方、贡献方、数据经纪): 「谁投入、谁贡献、谁受益」."""

ROLES: Final[tuple[str, ...]] = get_args(Role)
UNSAID: Final = "contributor"
"""The role of a share that names none: journals and clients older than roles."""
PUBLIC_DATA: Final = "public_data"
"""The role of the public-data share."""
PUBLIC_PREFIX: Final = "public:"
"""How the accounts begin that public-data shares go to; no participant is called so."""

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


RoleRefusal = Literal["role_unknown", "roles_not_as_many"]
"""Why declared roles cannot stand beside the shares, in the order in which `refuse_roles` looks."""


def refuse_roles(roles: tuple[str, ...], shares: Shares) -> RoleRefusal | None:
    """Roles are none at all, or one for each share."""
    if any(role not in ROLES for role in roles):
        return "role_unknown"
    return "roles_not_as_many" if roles and len(roles) != len(shares) else None


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


def split_public(
    amount_fen: int, fee_bp: int, public_bp: int, shares: Shares
) -> tuple[int, int, Payments, int]:
    """(fee, public-data share, what each contributor gets, what the merchant gets) in fen: the amount exactly.

    The shares are of what remains after fee and public-data share. O(shares).
    """
    assert 0 <= public_bp <= BASIS_POINTS, "a public-data share is between nothing and all"
    fee_fen, _, remains_fen = split(amount_fen, fee_bp, ())
    public_fen = remains_fen * public_bp // BASIS_POINTS
    _, payments, merchant_fen = split(remains_fen - public_fen, 0, shares)
    return fee_fen, public_fen, payments, merchant_fen


class Part(NamedTuple):
    """What one account gets of a price, and as what: a role, `fee`, `public_data` or `merchant`."""

    role: str
    account: str
    amount_fen: int


def parts_of(
    fees: str, fee_fen: int, seller: str, merchant_fen: int, payments: Payments, roles: tuple[str, ...]
) -> tuple[Part, ...]:
    """A price in all its parts: fee, merchant, then the payments in their order, each in its role.

    `roles` go with the payments; empty (a trade older than roles): all are contributors.
    """
    assert not roles or len(roles) == len(payments), "a role for each payment"
    named = roles or (UNSAID,) * len(payments)
    paid = (Part(role, account, fen) for role, (account, fen) in zip(named, payments, strict=True))
    return Part("fee", fees, fee_fen), Part("merchant", seller, merchant_fen), *paid


# ---- ceilings

_CHINA_NS: Final = 8 * 3_600_000_000_000
_DAY_NS: Final = 86_400_000_000_000
_ERA_DAYS: Final = 146_097
"""Days of 400 Gregorian years, after which the calendar repeats."""


def beijing_year(at_ns: int) -> int:
    """The calendar year in Beijing (UTC+8, no summer time since 1991) of an instant in UTC ns since 1970."""
    days = (at_ns + _CHINA_NS) // _DAY_NS + 719_468  # since 1 March of the year 0
    era, of_era = divmod(days, _ERA_DAYS)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return era * 400 + year + (of_year >= 306)  # January and February count to the year before


class Ceiling(msgspec.Struct, frozen=True):
    """The highest revenue of an operator in a year, by an authority's decision whose SHA-256 is kept."""

    operator: str
    year: int
    ceiling_fen: int
    decision_sha256: str
    by: str
    at_ns: int


class YearOfRevenue(msgspec.Struct, frozen=True):
    """A year of an operator. `carried_fen` is earlier excess, taken off this year's ceiling; `allowed_fen` what that
    leaves; `over_fen` goes to the next year that has a ceiling. Without a ceiling nothing is over and the carried waits.
    """

    year: int
    ceiling: Ceiling | None
    carried_fen: int
    allowed_fen: int
    earned_fen: int
    over_fen: int


def years_of(ceilings: Mapping[int, Ceiling], earned_fen: Mapping[int, int]) -> tuple[YearOfRevenue, ...]:
    """Every year with a ceiling or revenue, the earliest first (「超出部分在下一周期扣减」). O(years)."""
    found, carried = [], 0
    for year in sorted({**ceilings, **earned_fen}):
        earned, ceiling = earned_fen.get(year, 0), ceilings.get(year)
        if ceiling is None:
            found.append(YearOfRevenue(year, None, carried, 0, earned, 0))
            continue
        allowed = max(0, ceiling.ceiling_fen - carried)
        over = max(0, carried + earned - ceiling.ceiling_fen)
        found.append(YearOfRevenue(year, ceiling, carried, allowed, earned, over))
        carried = over
    return tuple(found)


class Revenue(msgspec.Struct):
    """What the venue keeps for the distribution: roles by product, ceilings and revenue by operator and year.

    Years are text: a snapshot sorts its keys. `open_fen`: trades in public data that have settled and not ended, and
    what each will count.
    """

    roles: dict[str, tuple[str, ...]] = {}
    ceilings: dict[str, dict[str, Ceiling]] = {}
    earned_fen: dict[str, dict[str, int]] = {}
    open_fen: dict[str, int] = {}

    def says_something(self) -> bool:
        return bool(self.roles or self.ceilings or self.earned_fen or self.open_fen)

    def earn(self, operator: str, amount_fen: int, at_ns: int) -> None:
        """A trade in public data completed at this instant."""
        years = self.earned_fen.setdefault(operator, {})
        year = str(beijing_year(at_ns))
        years[year] = years.get(year, 0) + amount_fen

    def years(self, operator: str) -> tuple[YearOfRevenue, ...]:
        """See `years_of`."""
        ceilings = {int(year): row for year, row in self.ceilings.get(operator, {}).items()}
        earned = {int(year): fen for year, fen in self.earned_fen.get(operator, {}).items()}
        return years_of(ceilings, earned)
