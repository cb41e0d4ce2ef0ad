"""Counters as facts: the opposite trade (F01), holders of split rights (F03), persons whose data went abroad (G03, G04)."""

from typing import Any, Final

import pytest

from clearing.notrade import CrossBorderFacts
from clearing.registers import ExportRoute
from exchange import counters
from exchange import events as e
from exchange.listing import cell_of
from exchange.state import DAY_NS, Dealing
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    World,
    authorisation,
    changed,
    classification,
    consent_of,
    only,
)

CONSENT: Final = consent_of(cross_border_separate=True)


class Units:
    """A book on a board that 国发〔2011〕38号 binds, with a merchant's units in it, on a Monday morning in Beijing."""

    def __init__(self, board: str = "data_ip") -> None:
        world = self.world = World()
        world.at_ns += 6 * DAY_NS + 10 * 3_600 * 10**9  # Monday 1 December 2025
        self.shop, self.buyer = world.merchant(cash_fen=10**9), world.merchant(cash_fen=10**9)
        self.listing = world.listing(
            self.shop,
            "",
            board,
            mechanism="continuous_auction",
            supply="limited",
            supply_units=10_000,
            price_fen=100,
        )
        world.ask(self.shop, self.listing, 1_000, 100)
        only(world.bid(self.buyer, self.listing, 10, 100), e.Settled)

    def sells(self) -> e.Refusal | None:
        """What the buyer of just now is told when it offers a unit again."""
        return self.world.ask(self.buyer, self.listing, 1, 200).refusal


def test_what_was_bought_is_not_offered_for_five_trading_days() -> None:
    units = Units()
    refusal = units.sells()
    assert refusal is not None
    assert refusal.violated == refusal.own == ("F01",)
    units.world.wait(days=4)
    assert units.sells() is not None, "Friday is the fourth trading day"
    units.world.wait(days=2)
    assert units.sells() is not None, "Sunday is none"
    units.world.wait(days=1)
    assert units.sells() is None, "the next Monday is the fifth"
    units.world.check()


def test_nor_is_what_was_sold_bought_back() -> None:
    units = Units()
    other = units.world.merchant(cash_fen=10**9)
    refusal = units.world.bid(units.shop, units.listing, 1, 90).refusal
    assert refusal is not None
    assert refusal.violated == ("F01",)
    assert units.world.bid(other, units.listing, 1, 90).refusal is None, "who has not sold may buy"
    units.world.wait(days=7)
    assert units.world.bid(units.shop, units.listing, 1, 80).refusal is None
    units.world.check()


def test_buying_twice_is_no_opposite_trade() -> None:
    units = Units()
    only(units.world.bid(units.buyer, units.listing, 10, 100), e.Settled)


def test_an_order_that_rests_is_judged_again_when_it_is_met() -> None:
    """The ask rests before its owner buys; the fill that would follow is refused."""
    units = Units()
    world = units.world
    world.wait(days=7)
    assert units.sells() is None
    only(world.bid(units.buyer, units.listing, 5, 100), e.Settled)
    world.must(e.HaltTrading(actor=OPERATOR, scope="market", reason="to look"))
    world.must(e.ResumeTrading(actor=OPERATOR, scope="market", reason="looked"))
    cancelled = [
        order.id for order in world.state.books[units.listing].orders() if order.participant == units.shop
    ]
    for order in cancelled:
        world.must(e.CancelOrder(actor=units.shop, order=order))
    refused = only(world.bid(world.buyer(), units.listing, 1, 200), e.TradeRefused)
    assert refused.violated == ("F01",)
    world.check()


def test_a_board_that_the_paper_excepts_counts_nothing() -> None:
    units = Units(board="computing")
    assert units.sells() is None
    assert not units.world.state.dealings
    assert not units.world.state.holders
    units.world.check()


def test_more_than_two_hundred_holders_are_refused_also_those_who_held_before() -> None:
    """累计: who has sold everything was a holder all the same."""
    units = Units()
    state = units.world.state
    for number in range(1, 199):
        state.dealings[units.listing, f"held {number}"] = Dealing(
            listing=units.listing, participant=f"held {number}", bought_ns=1
        )
    state.holders[units.listing] += 198
    one, another = units.world.buyer(), units.world.buyer()
    assert state.holders[units.listing] == 199
    only(units.world.bid(one, units.listing, 1, 100), e.Settled)
    assert state.holders[units.listing] == 200
    refusal = units.world.bid(another, units.listing, 1, 100).refusal
    assert refusal is not None
    assert refusal.violated == ("F03",)
    only(units.world.bid(one, units.listing, 1, 100), e.Settled)
    assert state.holders[units.listing] == 200


def test_the_merchant_itself_is_no_holder_of_what_it_splits() -> None:
    units = Units()
    assert units.world.state.holders == {units.listing: 1}
    state = units.world.state
    facts = counters.of_fill(state, state.listings[units.listing], units.shop, "", units.world.at_ns)
    assert facts["holder_count_after"] == 1


# ---- abroad


@pytest.mark.parametrize(
    ("place", "abroad"),
    [
        ("CN", False),
        ("CN-46", False),
        ("shenzhen", False),
        ("CN-HK", True),
        ("CN-TW", True),
        ("CN-91", True),
        ("HK", True),
        ("MO", True),
        ("TW", True),
        ("SG", True),
    ],
)
def test_hong_kong_macao_and_taiwan_are_abroad_for_data(place: str, abroad: bool) -> None:
    assert counters.is_abroad(place) == abroad


class Exporter:
    """A seller whose products hold so many persons, on offer at home and in Singapore."""

    def __init__(self) -> None:
        self.world = World()
        self.shop, self.buyer = self.world.merchant(), self.world.buyer()

    def offered(self, persons: int, sensitive: int = 0, route: str = "none") -> str:
        world = self.world
        held = classification(
            origin="personal", pi_state="identifiable", persons=persons, sensitive_persons=sensitive
        )
        product = world.product(
            self.shop,
            classification=held,
            consent=CONSENT,
            authorisation=authorisation(world.at_ns, territories=("CN", "SG")),
        )
        if route != "none":
            world.must(
                e.EnterRecord(
                    actor=world.reviewer, product=product, evidence_sha256=EVIDENCE, reason="the notice",
                    facts=ExportRoute(route=route, purposes=("market_analysis",), territories=("SG",)),  # type: ignore[arg-type]
                    valid_until_ns=world.at_ns + 300 * DAY_NS,
                )
            )  # fmt: skip
        return world.listing(self.shop, product, territories=("CN", "SG"))

    def counted(self, listing: str, territory: str = "SG") -> CrossBorderFacts:
        """What the rules would read of a purchase now."""
        state = self.world.state
        row = state.listings[listing]
        cell = counters_cell(self.world, listing, territory)
        return counters.exports_of(state, state.products[row.product], cell.xb, self.shop, self.world.at_ns)

    def buy(self, listing: str, territory: str = "SG") -> e.Settled:
        return only(self.world.order(self.buyer, listing, territory=territory), e.Settled)


def counters_cell(world: World, listing: str, territory: str) -> Any:
    return cell_of(world.state, world.state.listings[listing], "market_analysis", territory, world.at_ns)


def test_persons_count_once_a_product_and_year_and_products_add_up() -> None:
    exporter = Exporter()
    one, two = (
        exporter.offered(60_000, 3, "standard_contract"),
        exporter.offered(30_000, 4, "certification"),
    )
    assert (exporter.counted(one).ytd_pi, exporter.counted(one).ytd_sensitive) == (60_000, 3)
    first = exporter.buy(one)
    assert (first.exported_persons, first.exported_sensitive, first.exported_year) == (60_000, 3, 2025)
    exporter.buy(one)
    assert exporter.counted(one).ytd_pi == 60_000
    assert (exporter.counted(two).ytd_pi, exporter.counted(two).ytd_sensitive) == (90_000, 7)
    exporter.world.check()


@pytest.mark.parametrize(
    ("persons", "sensitive", "route", "held_by"),
    [
        (99_999, 0, "none", ()),
        (100_000, 0, "none", ("G04",)),
        (1, 1, "none", ("G04",)),
        (100_000, 9_999, "standard_contract", ()),
        (999_999, 0, "certification", ()),
        (1_000_000, 0, "certification", ("G03",)),
        (1, 10_000, "standard_contract", ("G03",)),
        (1_000_000, 0, "none", ("G03", "G04")),
        (2_000_000, 20_000, "security_assessment", ()),
    ],
)
def test_the_thresholds_of_export(persons: int, sensitive: int, route: str, held_by: tuple[str, ...]) -> None:
    """促进和规范数据跨境流动规定 7(2), 8: a million, a hundred thousand; ten thousand with sensitive information, one."""
    exporter = Exporter()
    outcome = exporter.world.order(
        exporter.buyer, exporter.offered(persons, sensitive, route), territory="SG"
    )
    if held_by:
        assert only(outcome, e.Held).violated == held_by
    else:
        only(outcome, e.Settled)
    exporter.world.check()


def test_many_small_products_reach_the_threshold_together() -> None:
    exporter = Exporter()
    for _ in range(2):
        exporter.buy(exporter.offered(40_000))
    assert only(
        exporter.world.order(exporter.buyer, exporter.offered(40_000), territory="SG"), e.Held
    ).violated == ("G04",)


def test_what_stays_at_home_counts_nothing() -> None:
    exporter = Exporter()
    listing = exporter.offered(60_000)
    assert exporter.buy(listing, "CN").exported_year == 0
    assert not exporter.world.state.exports


def test_a_new_year_begins_at_nothing() -> None:
    exporter = Exporter()
    one, two = exporter.offered(60_000), exporter.offered(30_000)
    exporter.buy(one)
    exporter.world.wait(days=60)
    assert exporter.counted(two).ytd_pi == 30_000
    assert exporter.buy(two).exported_year == 2026
    assert list(exporter.world.state.exports) == [(exporter.shop, 2026)]
    exporter.world.check()


def test_a_buyer_from_abroad_takes_the_data_abroad() -> None:
    exporter = Exporter()
    world = exporter.world
    listing = exporter.offered(60_000)
    state = world.state
    state.bureau.participants[exporter.buyer].region = "HK"
    state.forget_participant(exporter.buyer)
    assert exporter.buy(listing, "CN").exported_persons == 60_000


def test_no_number_of_persons_is_unknown_and_never_zero() -> None:
    exporter = Exporter()
    listing = exporter.offered(1)
    product = exporter.world.state.products[exporter.world.state.listings[listing].product]
    product.confirmed = {group: by for group, by in product.confirmed.items() if group != "classification"}
    assert not isinstance(exporter.counted(listing).ytd_pi, int)


def test_persons_who_were_sent_abroad_stay_counted() -> None:
    """A next edition with fewer persons does not bring those of the first back: 自当年1月1日起累计."""
    exporter = Exporter()
    world = exporter.world
    first, second = (
        exporter.offered(900_000, 5_000, "certification"),
        exporter.offered(200_000, 0, "certification"),
    )
    exporter.buy(first)
    product = world.state.products[world.state.listings[first].product]
    further = product.classification.further
    assert isinstance(further, e.Further)
    fewer = changed(product.classification, further=changed(further, persons=10, sensitive_persons=1))
    world.must(
        e.AmendFacts(
            actor=exporter.shop, product=product.id, evidence_sha256=EVIDENCE, classification=fewer,
        )
    )  # fmt: skip
    world.must(
        e.ConfirmFacts(
            actor=world.reviewer,
            product=product.id,
            groups=("classification",),
            revision=product.revision,
            evidence={"classification": EVIDENCE},
        )
    )
    assert (exporter.counted(first).ytd_pi, exporter.counted(first).ytd_sensitive) == (900_000, 5_000)
    assert exporter.buy(first).exported_persons == 10
    assert (exporter.counted(second).ytd_pi, exporter.counted(second).ytd_sensitive) == (1_100_000, 5_000)
    assert only(world.order(exporter.buyer, second, territory="SG"), e.Held).violated == ("G03",)
    world.check()
