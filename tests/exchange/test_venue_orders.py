"""Orders: what is asked before they are taken, how they meet, and what clearing makes of each fill.

In the order-book tests `shop` issues the units and two dealers, accredited merchants who hold some, sell beside it.
"""

from typing import Any

import pytest

from exchange import events as e
from exchange.state import DAY_NS
from tests.exchange.world import (
    OPERATOR,
    World,
    authorisation,
    changed,
    classification,
    consent_of,
    kinds,
    only,
    personal,
)


@pytest.fixture
def world() -> World:
    return World()


class Market:
    """A book whose units are with the shop and two dealers, a thousand each, and a buyer with money."""

    def __init__(self, world: World, **terms: Any) -> None:
        self.world = world
        self.shop = world.merchant(cash_fen=10**9)
        self.product = world.product(self.shop)
        self.book = world.book(self.shop, self.product, **terms)
        self.dealers = [world.merchant(cash_fen=10**9) for _ in range(2)]
        for dealer in self.dealers:
            world.ask(self.shop, self.book, 1_000, 100)
            assert kinds(world.bid(dealer, self.book, 1_000, 100)) == ["OrderPlaced", "Settled"]
        self.buyer = world.buyer()

    def units(self, participant: str) -> tuple[int, int]:
        return self.world.money(participant, f"unit:{self.book}")


@pytest.fixture
def market(world: World) -> Market:
    return Market(world)


def code_of(outcome: Any) -> str:
    assert outcome.refusal is not None, outcome.events
    return str(outcome.refusal.code.name)


def violated_of(outcome: Any) -> tuple[str, ...]:
    """What the order's refusal says; empty where it was taken."""
    return () if outcome.refusal is None else tuple(outcome.refusal.violated)


def fills(outcome: Any) -> list[tuple[str, int, int]]:
    """(seller, quantity, price) of each settled fill."""
    return [(row.seller, row.quantity, row.price_fen) for row in outcome.events if isinstance(row, e.Settled)]


# ---- posted price


def test_a_purchase_is_settled_into_escrow(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer(cash_fen=10_000)
    listing = world.listing(shop, price_fen=333, price_per_units=2)
    settled = only(world.order(buyer, listing, 3), e.Settled)
    assert settled.amount_fen == 500, "3 units at 333 for 2 are 499.5, rounded up once"
    assert (settled.fee_fen, settled.merchant_fen) == (10, 490)
    assert settled.due_ns == world.at_ns + 3 * DAY_NS
    assert world.money(buyer) == (9_500, 0)
    assert world.money("venue:escrow") == (500, 0)
    assert world.money(shop) == (0, 0)
    assert world.state.orders == {}
    world.check()


def test_free_data_costs_nothing_and_is_licensed_all_the_same(world: World) -> None:
    listing, buyer = world.listing(world.merchant(), price_fen=0), world.buyer(cash_fen=0)
    trade = world.buy(buyer, listing)
    world.deliver(trade)
    world.accept(trade)
    assert len(world.state.entitlements) == 1
    world.check()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"listing": "L99"}, "not_found"),
        ({"side": "sell"}, "mechanism_not_allowed"),
        ({"side": "steal"}, "mechanism_not_allowed"),
        ({"time_in_force": "fok"}, "malformed"),
        ({"purpose": "advertising"}, "outside_terms"),
        ({"territory": "US"}, "outside_terms"),
        ({"quantity": 0}, "out_of_bounds"),
        ({"quantity": -1}, "out_of_bounds"),
        ({"quantity": 2**53}, "out_of_bounds"),
        ({"quantity": 2**52}, "out_of_bounds"),
        ({"limit_fen": -1}, "out_of_bounds"),
        ({"limit_fen": 2**53}, "out_of_bounds"),
        ({"limit_fen": 499}, "nothing_to_match"),
        ({"quantity": 2_000_001}, "funds_insufficient"),
    ],
)
def test_a_purchase_is_refused(world: World, fields: dict[str, Any], code: str) -> None:
    listing = world.listing(world.merchant())
    order, buyer = {"listing": listing, "quantity": 1, **fields}, world.buyer()
    world.agree(buyer, listing)
    outcome = world.do(e.PlaceOrder(actor=buyer, **order))
    assert code_of(outcome) == code
    assert bool(outcome.entry) == e.Refused[code].kept
    world.check()


def test_a_limit_above_the_posted_price_pays_the_posted_price(world: World) -> None:
    listing, buyer = world.listing(world.merchant()), world.buyer(cash_fen=500)
    assert only(world.order(buyer, listing, limit_fen=10**6), e.Settled).amount_fen == 500
    world.check()


def test_the_last_fen_buys(world: World) -> None:
    listing = world.listing(world.merchant())
    assert code_of(world.order(world.buyer(cash_fen=499), listing)) == "funds_insufficient"
    assert kinds(world.order(world.buyer(cash_fen=500), listing)) == ["OrderPlaced", "Settled"]


def test_drafts_are_not_found_and_ended_listings_are_closed(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    listing = world.draft(shop)
    assert code_of(world.order(buyer, listing)) == "not_found"
    world.move(shop, listing, "submit")
    assert code_of(world.order(buyer, listing)) == "not_found"
    world.move(world.reviewer, listing, "approve")
    world.move(shop, listing, "withdraw")
    assert code_of(world.order(buyer, listing)) == "listing_closed"


@pytest.mark.parametrize("supply", ["limited", "exclusive"])
def test_supply_runs_out_and_comes_back_with_a_refund(world: World, supply: str) -> None:
    fields: dict[str, Any] = {"supply_units": 3} if supply == "limited" else {}
    listing, buyer = world.listing(world.merchant(), supply=supply, **fields), world.buyer()
    most = 3 if supply == "limited" else 1
    assert code_of(world.order(buyer, listing, most + 1)) == "supply_exhausted"
    trade = world.buy(buyer, listing, most)
    assert code_of(world.order(buyer, listing)) == "supply_exhausted"
    assert only(world.tick_at(world.state.trades[trade].due_ns + 1), e.Refunded).step == "miss"
    world.buy(buyer, listing, most)
    world.check()


# ---- law at the order


def test_every_broken_rule_is_named_at_once(world: World) -> None:
    """The shop buys from itself, for what the authorisation leaves out, after its withdrawal."""
    shop = world.merchant(cash_fen=1_000)
    product = world.product(shop)
    listing = world.listing(shop, product, purposes=("market_analysis", "advertising"))
    world.record(product, "authorisation_withdrawn")
    outcome = world.order(shop, listing, purpose="advertising")
    assert outcome.refusal is not None
    assert outcome.refusal.violated == ("B01", "B04", "E05")
    refused = only(outcome, e.OrderRefused)
    assert (refused.code, refused.violated) == ("unlawful", ("B01", "B04", "E05"))
    world.check()


def test_companies_of_one_owner_do_not_trade_with_each_other(world: World) -> None:
    shop = world.merchant(owner="one hand")
    listing = world.listing(shop)
    outcome = world.order(world.buyer(owner="one hand"), listing)
    assert outcome.refusal is not None
    assert outcome.refusal.violated == ("E05",)
    world.buy(world.buyer(owner="another hand"), listing)


def test_the_unverified_may_browse_only_and_it_is_no_fault(world: World) -> None:
    listing, stranger = world.listing(world.merchant()), world.person("buyer")
    assert code_of(world.order(stranger, listing)) == "not_verified"
    assert stranger not in world.state.bureau.conduct


def test_somebody_who_is_no_buyer_cannot_buy(world: World) -> None:
    listing, merchant = world.listing(world.merchant()), world.person("merchant")
    world.verify(merchant)
    assert code_of(world.order(merchant, listing)) == "standing_denied"


def test_an_expired_mandate_stops_a_buyer(world: World) -> None:
    listing, buyer = world.listing(world.merchant(), listed_days=3_000), world.buyer()
    world.verify(buyer, mandate_until_ns=world.at_ns + DAY_NS)
    world.agree(buyer, listing)
    until = world.state.bureau.participants[buyer].mandate_until_ns
    world.at_ns = until - 2_000
    world.buy(buyer, listing)
    assert code_of(world.order(buyer, listing)) == "not_verified"
    assert buyer not in world.state.bureau.conduct, "nothing wrong was done: a new mandate is all that lacks"


def test_an_unlawful_order_is_conduct_and_want_of_money_is_not(world: World) -> None:
    shop = world.merchant(cash_fen=1_000)
    poor = world.buyer(cash_fen=1)
    listing = world.listing(shop)
    world.order(shop, listing)
    world.order(poor, listing)
    faults = world.state.bureau.conduct[shop].faults
    assert [fault.kind for fault in faults.values()] == ["refused_unlawful_order"]
    assert poor not in world.state.bureau.conduct


def conduct_of(world: World, participant: str) -> list[str]:
    found = world.state.bureau.conduct.get(participant)
    return [] if found is None else [fault.kind for fault in found.faults.values()]


def test_a_buyer_does_not_answer_for_what_is_the_merchants(world: World) -> None:
    """E01, E03 by the seller's ban, B01: five orders a day on such listings made a buyer's grade fall."""
    lapsed, banned, shop, buyer = world.merchant(), world.merchant(), world.merchant(), world.buyer()
    product = world.product(shop)
    listings = [world.listing(lapsed), world.listing(banned), world.listing(shop, product)]
    world.ban(banned)
    world.record(product, "authorisation_withdrawn")
    world.discipline(lapsed, "suspend")
    assert [violated_of(world.order(buyer, one)) for one in listings] == [("E01",), ("E03",), ("B01",)]
    assert conduct_of(world, buyer) == []
    world.check()


def test_an_order_that_is_unlawful_by_its_own_doing_is_conduct(world: World) -> None:
    """Among rules of the merchant's, the buyer's ban is the buyer's (E03); the event says which."""
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop)
    listing = world.listing(shop, product)
    world.record(product, "authorisation_withdrawn")
    world.ban(buyer)
    refused = only(world.order(buyer, listing), e.OrderRefused)
    assert (refused.violated, refused.own) == (("B01", "E03"), ("E03",))
    assert conduct_of(world, buyer) == ["refused_unlawful_order"]
    world.check()


def test_a_bid_above_a_guided_ceiling_is_the_bidders_own(world: World) -> None:
    """D05: in a book the price is the order's, at a posted price the listing's."""
    market = Market(world, price_regime="gov_guided", price_cap_fen=100)
    refused = only(world.bid(market.buyer, market.book, 1, 101), e.OrderRefused)
    assert (refused.violated, refused.own) == (("D05",), ("D05",))
    dearer = only(world.ask(market.dealers[0], market.book, 1, 101), e.OrderRefused)
    assert (dearer.violated, dearer.own) == (("D05",), ("D05",))
    world.check()


def test_a_refusal_says_in_which_capacities_the_parties_acted(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    consent = consent_of(basis="separate_consent", purposes=("market_analysis",))
    product = world.product(shop, classification=personal(), consent=consent)
    listing = world.listing(shop, product)
    world.record(product, "objection_raised")
    held = only(world.order(buyer, listing), e.Held)
    handler = ("everyone", "venue", "personal_information_handler")
    assert (held.violated, held.capacities) == (("B11",), handler)
    world.record(product, "consent_withdrawn")
    outcome = world.order(buyer, listing, key=world.new_id())
    assert only(outcome, e.OrderRefused).capacities == handler
    assert outcome.refusal is not None
    assert outcome.refusal.capacities == handler
    world.check()


# ---- exclusive rights


def test_an_exclusive_licence_shuts_others_out_where_it_overlaps(world: World) -> None:
    """B16: field group and territory; CN holds CN-46."""
    shop, first, second = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop)
    exclusive = world.listing(
        shop, product, deal="exclusive_licence", supply="exclusive", territories=("CN-46",)
    )
    everywhere = world.listing(shop, product)
    world.buy(first, exclusive)
    outcome = world.order(second, everywhere)
    assert outcome.refusal is not None
    assert outcome.refusal.violated == ("B16",)
    world.buy(first, everywhere)
    world.check()


def test_an_exclusive_right_ends_with_its_licence(world: World) -> None:
    shop, first, second = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop)
    exclusive = world.listing(shop, product, deal="exclusive_licence", supply="exclusive")
    plain = world.listing(shop, product)
    trade = world.buy(first, exclusive)
    world.deliver(trade)
    world.accept(trade)
    world.agree(second, plain)
    until = world.state.products[product].exclusives[0].until_ns
    world.at_ns = until - 2_000
    assert code_of(world.order(second, plain)) == "unlawful"
    world.buy(second, plain)
    world.tick_at(until + 1)
    assert world.state.products[product].exclusives == ()
    world.check()


def test_an_exclusive_licence_waits_for_consent_to_prior_licences(world: World) -> None:
    """B17: a hold that the buyer's own confirmation cures."""
    shop, first, second = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop)
    exclusive = world.listing(shop, product, deal="exclusive_licence", supply="exclusive")
    world.buy(first, world.listing(shop, product))
    held = only(world.order(second, exclusive), e.Held)
    assert held.violated == ("B17",)
    world.check()
    cure = e.CureHold(actor=shop, trade=held.trade, rule="B17")
    assert world.code(cure) == "forbidden"
    outcome = world.must(e.CureHold(actor=second, trade=held.trade, rule="B17"))
    assert kinds(outcome) == ["HoldCured", "Settled"]
    world.check()


def test_who_accepts_prior_licences_beforehand_is_not_held(world: World) -> None:
    shop, first, second = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop)
    exclusive = world.listing(shop, product, deal="exclusive_licence", supply="exclusive")
    world.buy(first, world.listing(shop, product))
    world.buy(second, exclusive, accepts_prior=True)
    world.check()


def test_a_transfer_moves_the_registered_right(world: World) -> None:
    """Once paid the buyer is the holder: it sells, the former holder does not (B13)."""
    shop, heir, reader = world.merchant(), world.merchant(cash_fen=1_000), world.buyer()
    product = world.product(shop)
    old = world.listing(shop, product)
    trade = world.buy(heir, world.listing(shop, product, deal="transfer", supply="exclusive"))
    assert world.state.products[product].holder == shop
    world.deliver(trade)
    world.accept(trade)
    assert world.state.products[product].holder == heir
    outcome = world.order(reader, old)
    assert outcome.refusal is not None
    assert outcome.refusal.violated == ("B13",)
    world.buy(reader, world.listing(heir, product))
    world.check()


@pytest.mark.parametrize(
    "terms",
    [
        {"territories": ("CN-46",)},
        {"field_group": "extra"},
        {"deal": "exclusive_licence", "field_group": "extra"},
    ],
)
def test_a_right_is_transferred_once(world: World, terms: dict[str, Any]) -> None:
    """A transfer takes the right whole, so neither fields nor territory keep a second one apart from it (B16)."""
    shop, heir, other = world.merchant(), world.buyer(), world.buyer()
    allowed = authorisation(world.at_ns, territories=("CN-44", "CN-46"), field_groups=("core", "extra"))
    product = world.product(shop, authorisation=allowed)
    shape: dict[str, Any] = {"deal": "transfer", "supply": "exclusive", "territories": ("CN-44",)}
    whole = world.listing(shop, product, **shape)
    second = world.listing(shop, product, **{**shape, **terms})
    trade = world.buy(heir, whole)
    outcome = world.order(other, second)
    assert outcome.refusal is not None
    assert outcome.refusal.violated == ("B16",)
    world.wait(days=2)
    world.deliver(trade)
    assert violated_of(world.order(other, second)) == ("B16",)
    world.accept(trade)
    assert world.state.products[product].holder == heir
    assert world.state.products[product].exclusives == ()
    assert violated_of(world.order(other, second)) == ("B13",)
    world.check()


def test_a_right_under_an_exclusive_licence_is_not_transferred(world: World) -> None:
    shop, first, heir = world.merchant(), world.buyer(), world.buyer()
    allowed = authorisation(world.at_ns, field_groups=("core", "extra"))
    product = world.product(shop, authorisation=allowed)
    world.buy(first, world.listing(shop, product, deal="exclusive_licence", supply="exclusive"))
    transfer = world.listing(shop, product, deal="transfer", supply="exclusive", field_group="extra")
    assert violated_of(world.order(heir, transfer)) == ("B16",)
    world.buy(first, transfer)
    world.check()


@pytest.mark.parametrize("deal", ["exclusive_licence", "transfer"])
def test_an_exclusive_right_stays_taken_while_its_trade_is_open(world: World, deal: str) -> None:
    """The term has run out, but the buyer may still reject and have it start anew."""
    shop, first, second = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop)
    shape: dict[str, Any] = {"deal": deal, "supply": "exclusive", "term_days": 1, "acceptance_days": 30}
    trade = world.buy(first, world.listing(shop, product, **shape))
    other = world.listing(shop, product, **shape)
    world.deliver(trade)
    world.wait(days=2)
    world.tick()
    assert violated_of(world.order(second, other)) == ("B16",)
    world.accept(trade)
    if deal == "transfer":
        assert violated_of(world.order(second, other)) == ("B13",)
    else:
        world.buy(second, other)
    world.check()


def test_an_exclusive_right_is_free_again_after_a_refund(world: World) -> None:
    shop, first, second = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop)
    shape: dict[str, Any] = {"deal": "transfer", "supply": "exclusive"}
    listing = world.listing(shop, product, **shape)
    trade = world.buy(first, listing)
    world.tick_at(world.state.trades[trade].due_ns + 1)
    world.buy(second, listing)
    world.check()


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("CN", "CN-46", True),
        ("CN-44", "CN-4403", True),
        ("CN-4403", "CN-44", True),
        ("CN-GD", "CN-4403", True),
        ("CN-4401", "CN-4403", False),
        ("CN-46", "CN-44", False),
    ],
)
def test_territories_nest_by_their_codes(world: World, one: str, other: str, overlap: bool) -> None:
    """GB/T 2260: the province CN-44 holds the city CN-4403."""
    shop, first, second = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop, authorisation=authorisation(world.at_ns, territories=(one, other)))
    exclusive = world.listing(shop, product, deal="exclusive_licence", supply="exclusive", territories=(one,))
    world.buy(first, exclusive)
    outcome = world.order(second, world.listing(shop, product, territories=(other,)))
    assert violated_of(outcome) == (("B16",) if overlap else ())
    world.check()


def test_a_prior_licence_counts_where_it_was_bought(world: World) -> None:
    """Not wherever its listing is offered: B17 would hold for nothing."""
    shop, first, second = world.merchant(), world.buyer(), world.buyer()
    allowed = authorisation(world.at_ns, territories=("CN-44", "CN-46"))
    product = world.product(shop, authorisation=allowed)
    plain = world.listing(shop, product, territories=("CN-44", "CN-46"))
    world.buy(first, plain, territory="CN-44")
    there, here = (
        world.listing(shop, product, deal="exclusive_licence", supply="exclusive", territories=(place,))
        for place in ("CN-46", "CN-44")
    )
    world.buy(second, there)
    assert only(world.order(second, here), e.Held).violated == ("B17",)
    world.check()


def test_units_in_other_hands_are_prior_licences(world: World) -> None:
    """B17: a unit of an order book is a licence, though it has no entitlement."""
    shop, holder, second = world.merchant(), world.buyer(), world.buyer()
    product = world.product(shop)
    book = world.book(shop, product)
    shape: dict[str, Any] = {"deal": "exclusive_licence", "supply": "exclusive"}
    first_exclusive, second_exclusive = (world.listing(shop, product, **shape) for _ in range(2))
    world.ask(shop, book, 10, 100)
    trade = world.buy(second, first_exclusive)
    world.tick_at(world.state.trades[trade].due_ns + 1)
    world.bid(second, book, 4, 100)
    trade = world.buy(second, second_exclusive)
    world.tick_at(world.state.trades[trade].due_ns + 1)
    world.bid(holder, book, 6, 100)
    assert only(world.order(second, second_exclusive), e.Held).violated == ("B17",)
    world.check()


def test_an_exclusive_holder_is_sold_units_and_others_are_not(market: Market) -> None:
    """B16 asks who buys: with a sell order it waits for the fill, and nobody is blamed for the order."""
    world, (dealer, other) = market.world, market.dealers
    exclusive = world.listing(market.shop, market.product, deal="exclusive_licence", supply="exclusive")
    world.buy(market.buyer, exclusive, accepts_prior=True)
    assert violated_of(world.bid(other, market.book, 10, 100)) == ("B16",)
    assert kinds(world.ask(dealer, market.book, 10, 100)) == ["OrderPlaced"]
    assert fills(world.bid(market.buyer, market.book, 10, 100)) == [(dealer, 10, 100)]
    assert "refused_unlawful_order" not in [
        fault.kind for fault in world.state.bureau.conduct[dealer].faults.values()
    ]
    world.check()


# ---- the book


def test_price_then_time(market: Market) -> None:
    world, (one, two) = market.world, market.dealers
    world.ask(two, market.book, 10, 101)
    world.ask(one, market.book, 10, 101)
    world.ask(market.shop, market.book, 10, 100)
    outcome = world.bid(market.buyer, market.book, 25, 105)
    assert fills(outcome) == [(market.shop, 10, 100), (two, 10, 101), (one, 5, 101)]
    assert world.depth(market.book) == ([], [(101, 5, 1)])
    assert world.state.listings[market.book].last_fen == 101
    world.check()


def test_units_and_money_change_hands_at_once(market: Market) -> None:
    """The fee of 50 bp comes out of the seller's price; what the fill was cheaper than the limit goes back."""
    world, (dealer, _) = market.world, market.dealers
    money = world.money(dealer)[0]
    world.ask(dealer, market.book, 10, 100)
    assert market.units(dealer) == (1_000, 10)
    settled = only(world.bid(market.buyer, market.book, 10, 120), e.Settled)
    assert (settled.amount_fen, settled.fee_fen, settled.merchant_fen) == (1_000, 5, 995)
    assert settled.reserved_rest == 200
    assert market.units(dealer) == (990, 0)
    assert market.units(market.buyer) == (10, 0)
    assert world.money(market.buyer) == (10**9 - 1_000, 0)
    assert world.money(dealer) == (money + 995, 0)
    assert world.state.trades == {}
    world.check()


def test_what_is_left_rests_with_its_money(market: Market) -> None:
    world = market.world
    world.ask(market.shop, market.book, 4, 100)
    outcome = world.bid(market.buyer, market.book, 10, 110)
    assert kinds(outcome) == ["OrderPlaced", "Settled"]
    assert world.depth(market.book) == ([(110, 6, 1)], [])
    assert world.money(market.buyer) == (10**9 - 400, 660)
    world.check()


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_what_is_left_of_ioc_and_market_orders_is_gone(market: Market, side: str) -> None:
    world = market.world
    for fields in ({"limit_fen": 100, "time_in_force": "ioc"}, {"limit_fen": 0}):
        if side == "buy":
            world.ask(market.shop, market.book, 4, 100)
            taker = market.buyer
        else:
            world.bid(market.buyer, market.book, 4, 100)
            taker = market.shop
        outcome = world.order(taker, market.book, 10, side=side, **fields)
        assert kinds(outcome) == ["OrderPlaced", "Settled", "OrderClosed"]
        closed = only(outcome, e.OrderClosed)
        assert (closed.reason, closed.remaining) == ("ioc", 6)
        assert world.state.orders == {}
        world.check()


def test_an_order_that_does_not_cross_rests_and_ioc_goes(market: Market) -> None:
    world = market.world
    world.ask(market.shop, market.book, 4, 100)
    assert kinds(world.bid(market.buyer, market.book, 4, 99)) == ["OrderPlaced"]
    assert kinds(world.bid(market.buyer, market.book, 4, 99, time_in_force="ioc")) == [
        "OrderPlaced",
        "OrderClosed",
    ]
    assert world.depth(market.book) == ([(99, 4, 1)], [(100, 4, 1)])
    world.check()


def test_a_market_order_in_an_empty_book_is_gone(market: Market) -> None:
    outcome = market.world.order(market.buyer, market.book, 4)
    assert kinds(outcome) == ["OrderPlaced", "OrderClosed"]
    market.world.check()


def test_a_market_order_sweeps_what_there_is(market: Market) -> None:
    world, (one, two) = market.world, market.dealers
    world.ask(one, market.book, 5, 100)
    world.ask(two, market.book, 5, 130)
    outcome = world.order(market.buyer, market.book, 8)
    assert fills(outcome) == [(one, 5, 100), (two, 3, 130)]
    assert world.money(market.buyer) == (10**9 - 890, 0)
    world.check()


def test_a_market_order_needs_the_money_of_its_sweep(market: Market) -> None:
    world = market.world
    world.ask(market.shop, market.book, 5, 100)
    poor = world.buyer(cash_fen=499)
    assert code_of(world.order(poor, market.book, 5)) == "funds_insufficient"
    assert kinds(world.order(poor, market.book, 4)) == ["OrderPlaced", "Settled"]
    world.check()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"side": "hold"}, "malformed"),
        ({"quantity": 0}, "out_of_bounds"),
        ({"quantity": -10}, "out_of_bounds"),
        ({"quantity": 15}, "lot"),
        ({"limit_fen": -100}, "out_of_bounds"),
        ({"limit_fen": 2**53}, "out_of_bounds"),
        ({"limit_fen": 10**9 + 1}, "funds_insufficient"),
        ({"side": "sell"}, "not_accredited"),
        ({"territory": "US"}, "outside_terms"),
    ],
)
def test_an_order_in_the_book_is_refused(world: World, fields: dict[str, Any], code: str) -> None:
    """Ten units have one price here: quantities are multiples of ten."""
    book = world.book(world.merchant(), price_per_units=10)
    order, buyer = {"quantity": 10, "limit_fen": 100, **fields}, world.buyer()
    world.agree(buyer, book)
    assert code_of(world.do(e.PlaceOrder(actor=buyer, listing=book, **order))) == code
    world.check()


def test_nobody_sells_more_units_than_are_free(market: Market) -> None:
    world, (dealer, _) = market.world, market.dealers
    world.ask(dealer, market.book, 600, 200)
    assert code_of(world.ask(dealer, market.book, 401, 200)) == "units_insufficient"
    assert kinds(world.ask(dealer, market.book, 400, 200)) == ["OrderPlaced"]
    world.check()


def test_a_holder_resells_without_sharing_again(world: World) -> None:
    """Contributors share in the first sale; a resale is the holder's own."""
    shop, friend, dealer = world.merchant(), world.buyer(cash_fen=0), world.merchant(cash_fen=10**6)
    product = world.product(shop, shares=((friend, 1_000),))
    book = world.book(shop, product)
    world.ask(shop, book, 100, 100)
    first = only(world.bid(dealer, book, 100, 100), e.Settled)
    assert first.shares == ((friend, 995),)
    assert world.money(friend) == (995, 0)
    world.ask(dealer, book, 50, 100)
    second = only(world.bid(world.buyer(), book, 50, 100), e.Settled)
    assert second.shares == ()
    world.check()


def test_cancelling_gives_back_and_only_the_owner_may(market: Market) -> None:
    world = market.world
    order = only(world.bid(market.buyer, market.book, 10, 90), e.OrderPlaced).order
    assert world.code(e.CancelOrder(actor=market.shop, order=order)) == "not_found"
    assert world.code(e.CancelOrder(actor=market.buyer, order="O99")) == "not_found"
    closed = only(world.must(e.CancelOrder(actor=market.buyer, order=order)), e.OrderClosed)
    assert (closed.reason, closed.remaining) == ("cancelled", 10)
    assert world.money(market.buyer) == (10**9, 0)
    assert world.code(e.CancelOrder(actor=market.buyer, order=order)) == "not_found"
    world.check()


# ---- self-trade


def test_an_order_that_meets_its_own_house_is_closed(market: Market) -> None:
    """What it has met before stands; the resting order keeps its place."""
    world, (one, two) = market.world, market.dealers
    world.ask(one, market.book, 5, 100)
    world.ask(two, market.book, 5, 101)
    outcome = world.bid(two, market.book, 10, 105)
    assert fills(outcome) == [(one, 5, 100)]
    closed = only(outcome, e.OrderClosed)
    assert (closed.reason, closed.remaining) == ("self_trade", 5)
    assert world.depth(market.book) == ([], [(101, 5, 1)])
    world.check()


def test_owners_are_compared_and_not_names(world: World) -> None:
    shop = world.merchant(owner="one hand")
    sister = world.buyer(owner="one hand")
    book = world.book(shop)
    world.ask(shop, book, 5, 100)
    outcome = world.bid(sister, book, 5, 100)
    assert only(outcome, e.OrderClosed).reason == "self_trade"
    world.check()


# ---- refused at clearing
#
# An owner that is found out while an order rests keeps the pair apart by law (E05) and not by self-trade prevention.


def test_after_a_refusal_the_taker_goes_on_and_the_maker_keeps_its_place(market: Market) -> None:
    world, (one, two) = market.world, market.dealers
    world.ask(one, market.book, 5, 100)
    world.ask(two, market.book, 5, 101)
    world.verify(one, owner_id=market.buyer)
    outcome = world.bid(market.buyer, market.book, 10, 105)
    assert kinds(outcome) == ["OrderPlaced", "TradeRefused", "Settled"]
    refused = only(outcome, e.TradeRefused)
    assert (refused.outcome, refused.violated, refused.seller) == ("reject", ("E05",), one)
    assert fills(outcome) == [(two, 5, 101)]
    assert world.depth(market.book) == ([(105, 5, 1)], [(100, 5, 1)]), "barred from each other, they cross"
    world.check()


def test_a_barred_pair_never_meets_again_and_others_do(market: Market) -> None:
    world, (one, _) = market.world, market.dealers
    world.ask(one, market.book, 5, 100)
    world.verify(one, owner_id=market.buyer)
    waiting = only(world.bid(market.buyer, market.book, 5, 100), e.OrderPlaced).order
    world.verify(one, owner_id=one)
    assert waiting in world.state.orders
    outcome = world.bid(market.shop, market.book, 5, 100)
    assert fills(outcome) == [(one, 5, 100)], "the maker met somebody else"
    world.ask(market.shop, market.book, 5, 100)
    assert waiting not in world.state.orders, "the taker met somebody else"
    world.check()


def test_a_refused_maker_meets_the_next_order_of_the_same_buyer(market: Market) -> None:
    """The bar lasts for the taker's life, not for the participant's."""
    world, (one, _) = market.world, market.dealers
    world.ask(one, market.book, 5, 100)
    world.verify(one, owner_id=market.buyer)
    first = only(world.bid(market.buyer, market.book, 5, 100), e.OrderPlaced).order
    world.must(e.CancelOrder(actor=market.buyer, order=first))
    world.verify(one, owner_id=one)
    assert fills(world.bid(market.buyer, market.book, 5, 100)) == [(one, 5, 100)]
    world.check()


def test_a_seller_may_be_the_taker_of_a_refused_pair(market: Market) -> None:
    world, sister = market.world, market.buyer
    world.bid(sister, market.book, 5, 100)
    other = world.buyer()
    world.bid(other, market.book, 5, 99)
    world.verify(sister, owner_id=market.shop)
    outcome = world.ask(market.shop, market.book, 5, 99)
    assert kinds(outcome) == ["OrderPlaced", "TradeRefused", "Settled"]
    assert only(outcome, e.TradeRefused).buyer == sister
    assert only(outcome, e.Settled).buyer == other
    world.check()


def test_a_market_order_passed_on_by_a_refusal_never_spends_more_than_it_reserved(market: Market) -> None:
    """The cheapest offer is refused, the next is dearer: the order buys what its reservation still pays."""
    world, (one, two) = market.world, market.dealers
    world.ask(one, market.book, 5, 100)
    world.ask(two, market.book, 10, 130)
    world.verify(one, owner_id=market.buyer)
    outcome = world.order(market.buyer, market.book, 5)
    assert kinds(outcome) == ["OrderPlaced", "TradeRefused", "Settled", "OrderClosed"]
    assert only(outcome, e.OrderPlaced).reserved == 500
    assert fills(outcome) == [(two, 3, 130)]
    assert world.money(market.buyer) == (10**9 - 390, 0)
    world.check()


def test_one_judgement_a_counterparty_is_enough(market: Market) -> None:
    """Many orders of somebody whom the law keeps apart cost a taker one refusal and not one each."""
    world, (one, two) = market.world, market.dealers
    for _ in range(40):
        world.ask(one, market.book, 5, 100)
    world.ask(two, market.book, 5, 100)
    world.verify(one, owner_id=market.buyer)
    outcome = world.bid(market.buyer, market.book, 5, 100)
    assert kinds(outcome) == ["OrderPlaced", "TradeRefused", "Settled"]
    waiting = only(world.bid(market.buyer, market.book, 5, 100), e.OrderPlaced).order
    assert world.state.orders[waiting].barred == (one,)
    assert "TradeRefused" not in kinds(world.ask(one, market.book, 5, 100)), "nor from the other side"
    world.check()


# ---- who may not trade has no order left


def lose_standing(world: World, participant: str, how: str) -> Any:
    """The outcome of a decision after which a participant may neither buy nor sell, or only not sell."""
    act: dict[str, Any] = {"actor": world.reviewer, "participant": participant, "reasons": ("because",)}
    if how in ("credential", "revoked"):
        return world.discipline(participant, "suspend" if how == "credential" else "revoke")
    commands: dict[str, Any] = {
        "ban": e.SetBan(
            actor=OPERATOR, participant=participant, until_ns=world.at_ns + DAY_NS, reason="cheated"
        ),
        "suspend": e.SetStatus(actor=OPERATOR, participant=participant, step="suspend", reason="stolen"),
        "close": e.SetStatus(actor=OPERATOR, participant=participant, step="close", reason="left"),
        "identity": e.DecideIdentity(accept=False, **act),
    }
    return world.must(commands[how])


@pytest.mark.parametrize(
    ("how", "gone"),
    [
        ("ban", ["buy", "sell"]),
        ("suspend", ["buy", "sell"]),
        ("close", ["buy", "sell"]),
        ("identity", ["buy", "sell"]),
        ("credential", ["sell"]),
        ("revoked", ["sell"]),
    ],
)
def test_who_may_not_trade_any_more_has_no_order_left(market: Market, how: str, gone: list[str]) -> None:
    """In the entry of the decision itself, so that no taker meets them."""
    world, (dealer, other) = market.world, market.dealers
    orders = {
        "buy": only(world.bid(dealer, market.book, 5, 90), e.OrderPlaced).order,
        "sell": only(world.ask(dealer, market.book, 5, 110), e.OrderPlaced).order,
    }
    world.ask(other, market.book, 5, 111)
    closed = [row for row in lose_standing(world, dealer, how).events if isinstance(row, e.OrderClosed)]
    assert [(row.order, row.reason) for row in closed] == [(orders[side], "standing") for side in gone]
    assert fills(world.bid(market.buyer, market.book, 1, 111)) == (
        [(other, 1, 111)] if "sell" in gone else [(dealer, 1, 110)]
    )
    world.check()


@pytest.mark.parametrize("renewed", [False, True])
def test_an_order_does_not_outlive_mandate_and_credential(world: World, renewed: bool) -> None:
    market = Market(world, listed_days=2_000)
    dealer, _ = market.dealers
    row = world.state.bureau.participants[dealer]
    first_ns = row.mandate_until_ns
    order = only(world.ask(dealer, market.book, 5, 110), e.OrderPlaced).order
    if renewed:
        for participant in (dealer, market.shop):
            world.verify(participant, mandate_until_ns=first_ns + 900 * DAY_NS)
            world.must(
                e.DecideAccreditation(
                    actor=world.reviewer,
                    participant=participant,
                    step="renew",
                    valid_until_ns=first_ns + 900 * DAY_NS,
                )
            )
    closed = [row for row in world.tick_at(first_ns + DAY_NS).events if isinstance(row, e.OrderClosed)]
    assert [(row.order, row.reason) for row in closed] == ([] if renewed else [(order, "standing")])
    world.check()


def test_nothing_is_settled_while_a_fact_is_unknown(market: Market) -> None:
    world = market.world
    world.ask(market.shop, market.book, 5, 100)
    amend = e.AmendFacts(
        actor=market.shop,
        product=market.product,
        evidence_sha256="cd" * 32,
        classification=classification(derived=True),
    )
    world.must(amend)
    outcome = world.bid(market.buyer, market.book, 5, 100)
    assert outcome.refusal is not None
    assert outcome.refusal.unknown
    assert world.depth(market.book) == ([], [(100, 5, 1)])
    world.check()


# ---- holds


def test_a_hold_takes_the_quantity_off_the_market_with_both_sides_reserved(market: Market) -> None:
    """B11: an objection is pending; cured, the trade settles at the price of then."""
    world, (dealer, _) = market.world, market.dealers
    money = world.money(dealer)[0]
    world.ask(dealer, market.book, 8, 100)
    world.record(market.product, "objection_raised")
    outcome = world.bid(market.buyer, market.book, 5, 110)
    held = only(outcome, e.Held)
    assert (held.violated, held.reserved_rest, held.until_ns) == (("B11",), 50, world.at_ns + 10 * DAY_NS)
    assert world.depth(market.book) == ([], [(100, 3, 1)])
    assert world.money(market.buyer) == (10**9, 500)
    assert market.units(dealer) == (1_000, 8)
    world.check()
    cure = e.CureHold(
        actor=world.reviewer, trade=held.trade, rule="B11", evidence_sha256="ab" * 32, revision=1
    )
    assert kinds(world.must(cure)) == ["FactRecorded", "HoldCured", "Settled"]
    assert world.money(market.buyer) == (10**9 - 500, 0)
    assert world.money(dealer) == (money + 498, 0)
    assert market.units(market.buyer) == (5, 0)
    assert world.state.trades == {}
    world.check()


def test_a_hold_ends_after_its_days_and_both_are_released(market: Market) -> None:
    world, (dealer, _) = market.world, market.dealers
    world.ask(dealer, market.book, 5, 100)
    world.record(market.product, "objection_raised")
    held = only(world.bid(market.buyer, market.book, 5, 100), e.Held)
    assert "HoldReleased" not in kinds(world.tick_at(held.until_ns))
    released = only(world.tick_at(held.until_ns + 1), e.HoldReleased)
    assert (released.reason, released.violated) == ("expired", ("B11",))
    assert world.money(market.buyer) == (10**9, 0)
    assert market.units(dealer) == (1_000, 0)
    assert world.depth(market.book) == ([], []), "it never queues again"
    world.check()


def test_a_hold_is_refused_when_a_register_turns_against_it(market: Market) -> None:
    world = market.world
    world.ask(market.shop, market.book, 5, 100)
    world.record(market.product, "objection_raised")
    held = only(world.bid(market.buyer, market.book, 5, 100), e.Held)
    outcome = world.record(market.product, "registration_revoked")
    released = only(outcome, e.HoldReleased)
    assert (released.trade, released.reason) == (held.trade, "refused")
    assert "B10" in released.violated
    world.check()


def test_a_suspended_registration_resumed_settles_its_holds(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop)
    listing = world.listing(shop, product, supply="limited", supply_units=5)
    world.record(product, "registration_suspended")
    held = [only(world.order(buyer, listing, 2), e.Held) for _ in range(2)]
    assert code_of(world.order(buyer, listing, 2)) == "supply_exhausted"
    assert world.money(buyer) == (10**9, 2_000)
    world.check()
    outcome = world.record(product, "registration_resumed")
    settled = [event.trade for event in outcome.events if isinstance(event, e.Settled)]
    assert settled == [row.trade for row in held]
    assert world.state.listings[listing].taken_units == 4
    world.deliver(settled[0])
    world.accept(settled[0])
    world.check()


def test_a_mandate_that_ended_while_the_bid_rested_refuses_the_fill(market: Market) -> None:
    """E02: the bidder was verified when it ordered; at the fill nobody may act for it any more."""
    world = market.world
    late = world.person("buyer")
    world.verify(late, mandate_until_ns=world.at_ns + 5 * DAY_NS)
    world.pay_in(late, 10**6)
    world.bid(late, market.book, 5, 100)
    world.bid(market.buyer, market.book, 5, 90)
    world.at_ns = world.state.bureau.participants[late].mandate_until_ns - 1_001
    assert kinds(world.ask(market.shop, market.book, 1, 100)) == ["OrderPlaced", "Settled"]
    outcome = world.ask(market.shop, market.book, 5, 90)
    assert kinds(outcome) == ["OrderPlaced", "TradeRefused", "Settled"]
    assert only(outcome, e.TradeRefused).violated == ("E02",)
    assert only(outcome, e.Settled).buyer == market.buyer
    assert world.money(late) == (10**6 - 100, 400)
    world.check()


def test_separate_consent_cures_a_hold(world: World) -> None:
    """C02 (个人信息保护法 23): general consent is not enough, the evidence amends the register."""
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(
        shop,
        classification=personal(),
        consent=consent_of(basis="general_consent", purposes=("market_analysis",)),
    )
    held = only(world.order(buyer, world.listing(shop, product)), e.Held)
    cure = e.CureHold(
        actor=world.reviewer, trade=held.trade, rule="C02", evidence_sha256="ef" * 32, revision=1
    )
    wider = consent_of(basis="general_consent", purposes=("market_analysis", "advertising"))
    world.must(e.AmendFacts(actor=shop, product=product, evidence_sha256="ab" * 32, consent=wider))
    assert world.code(cure) == "wrong_state", "other purposes stand than those that were looked at"
    outcome = world.must(changed(cure, revision=2))
    assert kinds(outcome) == ["FactsAmended", "FactsConfirmed", "HoldCured", "Settled"]
    assert world.state.products[product].consent.basis == "separate_consent"
    assert world.state.products[product].evidence["consent"] == "ef" * 32
    world.check()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"trade": "T99"}, "not_found"),
        ({"actor": "stranger"}, "not_found"),
        ({"actor": OPERATOR}, "not_found"),
        ({"rule": "B17"}, "malformed"),
        ({"rule": "A01"}, "malformed"),
        ({"actor": "buyer"}, "forbidden"),
        ({"evidence_sha256": ""}, "evidence_missing"),
        ({"revision": 0}, "malformed"),
        ({"revision": 2}, "wrong_state"),
    ],
)
def test_a_cure_is_refused(market: Market, fields: dict[str, Any], code: str) -> None:
    world = market.world
    world.ask(market.shop, market.book, 5, 100)
    world.record(market.product, "objection_raised")
    held = only(world.bid(market.buyer, market.book, 5, 100), e.Held)
    cure = {
        "actor": world.reviewer,
        "trade": held.trade,
        "rule": "B11",
        "evidence_sha256": "ab" * 32,
        "revision": 1,
    }
    people = {"stranger": world.buyer(), "buyer": market.buyer}
    given = {**cure, **fields}
    given["actor"] = people.get(given["actor"], given["actor"])
    assert world.code(e.CureHold(**given)) == code
    world.check()


@pytest.mark.parametrize(("rules", "blamed"), [("B17", "buyer"), ("B11", "shop"), ("B11 B17", "buyer shop")])
def test_an_expired_hold_is_laid_to_whoever_had_to_cure_it(world: World, rules: str, blamed: str) -> None:
    """B17 waits for the buyer's word; what a reviewer decides on is for the seller to bring."""
    people = {"shop": world.merchant(), "buyer": world.buyer()}
    product = world.product(people["shop"])
    prior = world.buy(world.buyer(), world.listing(people["shop"], product))
    world.deliver(prior)
    world.accept(prior)
    exclusive = world.listing(people["shop"], product, deal="exclusive_licence", supply="exclusive")
    if "B11" in rules:
        world.record(product, "objection_raised")
    held = only(world.order(people["buyer"], exclusive, accepts_prior="B17" not in rules), e.Held)
    assert held.violated == tuple(rules.split())
    released = only(world.tick_at(held.until_ns + 1), e.HoldReleased)
    assert sorted(released.blamed) == sorted(people[name] for name in blamed.split())
    for name, participant in people.items():
        assert ("hold_expired" in conduct_of(world, participant)) is (name in blamed)
    world.check()


def test_who_has_given_their_word_is_not_blamed_for_the_rest(world: World) -> None:
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop)
    prior = world.buy(world.buyer(), world.listing(shop, product))
    world.deliver(prior)
    world.accept(prior)
    exclusive = world.listing(shop, product, deal="exclusive_licence", supply="exclusive")
    world.record(product, "objection_raised")
    held = only(world.order(buyer, exclusive), e.Held)
    world.must(e.CureHold(actor=buyer, trade=held.trade, rule="B17"))
    assert only(world.tick_at(held.until_ns + 1), e.HoldReleased).blamed == (shop,)
    world.check()
