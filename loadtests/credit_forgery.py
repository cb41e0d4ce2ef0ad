"""What a grade costs that was not earned: a search for the cheapest plan of an attacker.

Committed together with the simulator, before the model was tuned, and not changed since, but that a board may ask a
lower fee (`Terms.fee_bp`) and an order tells the bureau what was kept of it. The attacker owns one merchant
without any honest trade and buys the rest. It knows the model, its owners are hidden behind straw men, nobody reviews
its orders, its working capital costs nothing and comes back to it outside the venue: all this makes forging cheaper
than it is. What costs it:

    identity     2,000 CNY each, for the documents that get it verified and accredited
    fee          of every order between its own identities: 2 % where `Terms` say nothing else
    genuine      the whole amount of what is bought from merchants that are not its own
    seasoned     an identity that somebody else sells with history: the identity and the fees which that history cost

The merchant that is forged is not counted. A plan is thirteen numbers and a way to come by history; `cheapest` starts
from a lavish one and keeps what is cheaper and still reaches the grade. `Terms` say what else an attacker may have: a
cheaper market for seasoned identities, or several merchants to forge with the same identities.
"""

from collections.abc import Iterator
from random import Random
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from credit.bureau import Bureau
from credit.conduct import history_bp
from credit.score import DAY_NS, RANK, Grade
from loadtests.credit_simulator import START_NS, identity, settle

KYB_FEN: Final = 200_000
SEASONED_DAYS: Final = 400
GENUINE: Final = 5
"""Merchants that are not the attacker's and from which it may really buy."""

History = Literal["cycle", "shops", "mesh", "genuine"]
"""How an identity comes by history of its own: orders round a ring of them, from shops bought for it, among all of
them, or real purchases."""


class Plan(Struct, frozen=True):
    """Everything that an attacker chooses. Days are counted from the purchase of the identities."""

    identities: int
    """Bought identities that trade with the merchant,"""
    suppliers: int
    """so many of which sell to it, the others buy from it;"""
    seasoned: int
    """so many are bought with history,"""
    prepared: int
    """and so many of the rest are given history."""
    orders: int
    """Orders of each with the merchant, of the same amount,"""
    amount_fen: int
    back_bp: int
    """and the part of it that flows back in one order the other way."""
    history: History
    history_fen: int
    history_orders: int
    shops: int
    wait_days: int
    """Days before the first order with the merchant,"""
    span_days: int
    """and days over which they are spread."""
    rest_days: int
    """Days after the last one until the grade is used."""


class Terms(Struct, frozen=True):
    """What does not depend on the attacker."""

    seasoned_bp: int = 10_000
    """The price of history in parts of the fees it cost."""
    merchants: int = 1
    """How many are forged at once with the same identities; a plan's cost is a part of the whole."""
    fee_bp: int = 200
    """What a board keeps of an order."""


PLAIN: Final = Terms()
LAVISH: Final = Plan(
    identities=60,
    suppliers=0,
    seasoned=0,
    prepared=60,
    orders=20,
    amount_fen=10_000_000,
    back_bp=0,
    history="shops",
    history_fen=400_000_000,
    history_orders=20,
    shops=6,
    wait_days=120,
    span_days=300,
    rest_days=1,
)
"""About 10 million CNY: what no model should call a thin file."""

LIMITS: Final[dict[str, tuple[int, int]]] = {
    "identities": (1, 80),
    "suppliers": (0, 80),
    "seasoned": (0, 80),
    "prepared": (0, 80),
    "orders": (1, 60),
    "amount_fen": (100, 500_000_000),
    "back_bp": (0, 10_000),
    "history_fen": (0, 1_000_000_000),
    "history_orders": (1, 40),
    "shops": (1, 20),
    "wait_days": (0, 500),
    "span_days": (1, 500),
    "rest_days": (1, 400),
}
HISTORIES: Final[tuple[History, ...]] = ("cycle", "shops", "mesh", "genuine")


class _Books(Struct):
    """A bureau that an attacker works on, and what it has spent."""

    bureau: Bureau
    fee_bp: int
    spent_fen: int = 0
    trades: int = 0

    def buy_identity(self, name: str, day: int = 0) -> str:
        self.bureau.admit(identity(name, day, "buyer", "merchant"))
        self.spent_fen += KYB_FEN
        return name

    def order(self, seller: str, buyer: str, amount_fen: int, day: int) -> None:
        """Between two of its own: the money comes back, the fee does not."""
        self.settle(seller, buyer, amount_fen, day)
        self.spent_fen += self.fee_fen(amount_fen)

    def settle(self, seller: str, buyer: str, amount_fen: int, day: int) -> None:
        if amount_fen > 0:
            self.trades += 1
            at_ns, part_bp = START_NS + day * DAY_NS + 1, history_bp(amount_fen, self.fee_fen(amount_fen))
            settle(self.bureau, seller, buyer, amount_fen, at_ns, f"order-{self.trades}", part_bp)

    def fee_fen(self, amount_fen: int) -> int:
        """Rounded up."""
        return -(-amount_fen * self.fee_bp // 10_000)


def outcome(plan: Plan, terms: Terms = PLAIN) -> tuple[Grade, int, int]:
    """(grade reached, score, cost in fen of one merchant) of a plan carried out on a bureau of its own."""
    books = _Books(Bureau(), terms.fee_bp)
    forged = [f"forged-{number}" for number in range(terms.merchants)]
    for name in forged:
        books.bureau.admit(identity(name, 0, "buyer", "merchant"))
    for number in range(GENUINE):
        books.bureau.admit(identity(f"genuine-{number}", -SEASONED_DAYS, "buyer", "merchant"))
    names = _identities(books, plan, terms)
    _prepare(books, plan, names[plan.seasoned : plan.seasoned + plan.prepared])
    for name in forged:
        _trade(books, plan, names, name)
    rating = books.bureau.rating(
        forged[0], START_NS + (plan.wait_days + plan.span_days + plan.rest_days) * DAY_NS
    )
    return rating.grade, rating.score, books.spent_fen // terms.merchants


def _identities(books: _Books, plan: Plan, terms: Terms) -> list[str]:
    """Seasoned ones first; theirs is history with genuine merchants, and its price the fees of it."""
    names = []
    for number in range(plan.identities):
        seasoned = number < plan.seasoned
        name = books.buy_identity(f"bought-{number}", -SEASONED_DAYS if seasoned else 0)
        names.append(name)
        if seasoned:
            for turn, part_fen in enumerate(_parts(plan.history_fen, plan.history_orders)):
                day = -1 - turn * (SEASONED_DAYS - 20) // plan.history_orders
                books.settle(f"genuine-{turn % GENUINE}", name, part_fen, day)
            books.spent_fen += books.fee_fen(plan.history_fen) * terms.seasoned_bp // 10_000
    return names


def _prepare(books: _Books, plan: Plan, names: list[str]) -> None:
    """History for fresh identities, before and while they trade with the merchant."""
    shops = []
    if plan.history == "shops" and names and plan.history_fen:
        shops = [books.buy_identity(f"shop-{number}") for number in range(plan.shops)]
    days = plan.wait_days + plan.span_days
    for number, name in enumerate(names):
        for turn, part_fen in enumerate(_parts(plan.history_fen, plan.history_orders)):
            day = turn * days // plan.history_orders
            if plan.history == "genuine":
                books.settle(f"genuine-{turn % GENUINE}", name, part_fen, day)
                books.spent_fen += part_fen
                continue
            sellers = shops or names
            step = 1 if plan.history == "cycle" else 1 + turn
            seller = sellers[(number + step) % len(sellers)]
            if seller != name:
                books.order(seller, name, part_fen, day)


def _trade(books: _Books, plan: Plan, names: list[str], forged: str) -> None:
    """The orders for whose sake all this is done."""
    for number, name in enumerate(names):
        seller, buyer = (name, forged) if number < plan.suppliers else (forged, name)
        for turn in range(plan.orders):
            day = plan.wait_days + (turn * len(names) + number) * plan.span_days // (plan.orders * len(names))
            books.order(seller, buyer, plan.amount_fen, day)
        back_fen = plan.amount_fen * plan.orders * plan.back_bp // 10_000
        books.order(buyer, seller, back_fen, plan.wait_days + plan.span_days // 2)


def _parts(whole_fen: int, parts: int) -> Iterator[int]:
    """A sum in equal parts, the rest in the first."""
    for number in range(parts):
        yield whole_fen // parts + (whole_fen % parts if number == 0 else 0)


# --- the search ---


class Found(Struct):
    """The cheapest plan a search has found, what it reached and cost, and how many plans were tried."""

    plan: Plan
    grade: Grade
    score: int
    cost_fen: int
    tried: int


def cheapest(wanted: Grade, seed: int, tries: int, terms: Terms = PLAIN) -> Found | None:
    """The cheapest plan that reaches the grade or a better one; None where even the lavish one does not.

    A quarter of the tries sample plans at large, the others change the best so far a little or much.
    """
    chance = Random(seed)
    best: Found | None = None
    for tried in range(1, tries + 1):
        if best is None and tried > 1 + tries // 4:
            return None
        explores = tried > 1 and (best is None or chance.random() < 0.25)
        plan = (
            LAVISH
            if tried == 1
            else _anything(chance)
            if explores or best is None
            else _changed(chance, best.plan)
        )
        grade, score, cost_fen = outcome(plan, terms)
        if RANK[grade] >= RANK[wanted] and (best is None or cost_fen <= best.cost_fen):
            best = Found(plan, grade, score, cost_fen, tried)
        if best is not None:
            best.tried = tried
    return best


def _anything(chance: Random) -> Plan:
    """A plan at large: sizes drawn evenly on a logarithmic scale."""
    numbers = {}
    for name, (low, high) in LIMITS.items():
        numbers[name] = max(low, min(high, int((high + 1) ** chance.random()) - 1 + low))
    return _within(Plan(**numbers, history=chance.choice(HISTORIES)))


def _changed(chance: Random, plan: Plan) -> Plan:
    """One to three of its numbers smaller (mostly) or larger, or at a limit; now and then another way to history."""
    changes: dict[str, int | str] = {}
    for name in chance.sample(list(LIMITS), chance.choice((1, 1, 2, 3))):
        low, high = LIMITS[name]
        now: int = getattr(plan, name)
        if chance.random() < 0.1:
            changes[name] = chance.choice((low, min(high, max(low, plan.identities))))
        else:
            factor = chance.choice((0.3, 0.6, 0.8, 0.9, 0.97, 0.99, 1.01, 1.05, 1.2, 1.6, 3.0))
            moved = round(now * factor)
            changes[name] = moved if moved != now else now + chance.choice((-1, 1))
    if chance.random() < 0.1:
        changes["history"] = chance.choice(HISTORIES)
    return _within(replace(plan, **changes))


def _within(plan: Plan) -> Plan:
    """The plan with every number within its limits, and no more of a kind of identity than there are identities."""
    numbers = {name: max(low, min(high, getattr(plan, name))) for name, (low, high) in LIMITS.items()}
    numbers["suppliers"] = min(numbers["suppliers"], numbers["identities"])
    numbers["seasoned"] = min(numbers["seasoned"], numbers["identities"])
    numbers["prepared"] = min(numbers["prepared"], numbers["identities"] - numbers["seasoned"])
    return replace(plan, **numbers)
