"""A listing from draft to its end: every entry of its life, and nothing that is not in the table."""

from typing import Any

import pytest

from exchange import events as e
from exchange.listing import LIFE, WHO
from exchange.state import DAY_NS
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    World,
    authorisation,
    changed,
    classification,
    kinds,
    only,
    terms,
)

NOTICE_DAYS = 5
"""Days of the public notice on the board public_data."""

WAY_TO: dict[str, tuple[str, ...]] = {
    "draft": (),
    "submitted": ("submit",),
    "returned": ("submit", "return"),
    "public_notice": ("submit", "approve"),
    "published": ("submit", "approve", "notice_over"),
    "suspended": ("submit", "approve", "notice_over", "suspend"),
    "withdrawn": ("withdraw",),
    "expired": ("submit", "approve", "notice_over", "expire"),
}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def merchant(world: World) -> str:
    return world.merchant()


def actor_of(world: World, listing: str, step: str) -> str:
    """Somebody who may take the step."""
    if step in ("submit", "withdraw"):
        return world.state.listings[listing].merchant
    return OPERATOR if step in ("suspend", "resume") else world.reviewer


def listing_in(world: World, merchant: str, state: str) -> str:
    listing = world.draft(merchant, board="public_data", listed_days=30)
    for step in WAY_TO[state]:
        if step in WHO:
            world.move(actor_of(world, listing, step), listing, step, "because")
        else:
            world.tick_at(world.state.listings[listing].until_ns + 1)
    assert world.state.listings[listing].state == state
    return listing


@pytest.mark.parametrize("state", WAY_TO)
@pytest.mark.parametrize("step", WHO)
def test_every_entry_and_no_other(world: World, merchant: str, state: str, step: str) -> None:
    listing = listing_in(world, merchant, state)
    command = e.MoveListing(
        actor=actor_of(world, listing, step), listing=listing, step=step, reasons=("because",)
    )
    after = LIFE.get((state, step))
    if after is None:
        assert world.code(command) == "wrong_state"
    else:
        moved = only(world.must(command), e.ListingMoved)
        assert (moved.state, moved.by) == (after, command.actor)
        assert world.state.listings[listing].state == after
    world.check()


@pytest.mark.parametrize("state", WAY_TO)
@pytest.mark.parametrize("step", WHO)
def test_only_who_is_named_takes_a_step(world: World, merchant: str, state: str, step: str) -> None:
    listing = listing_in(world, merchant, state)
    visible = state in ("public_notice", "published", "suspended", "withdrawn", "expired")
    command = e.MoveListing(actor=world.buyer(), listing=listing, step=step, reasons=("because",))
    assert world.code(command) == ("forbidden" if visible else "not_found")
    strangers = {"merchant": merchant, "reviewer": world.reviewer, "operator": OPERATOR}
    for role, actor in strangers.items():
        if role not in WHO[step]:
            assert world.code(changed(command, actor=actor)) == "forbidden", role


@pytest.mark.parametrize("step", ["notice_over", "expire", "applaud", ""])
def test_the_clocks_steps_are_nobodys(world: World, merchant: str, step: str) -> None:
    listing = listing_in(world, merchant, "published")
    for actor in (merchant, world.reviewer, OPERATOR):
        assert world.code(e.MoveListing(actor=actor, listing=listing, step=step)) == "forbidden"


def test_returning_and_suspending_need_reasons(world: World, merchant: str) -> None:
    for state, step in (("submitted", "return"), ("public_notice", "return"), ("published", "suspend")):
        listing = listing_in(world, merchant, state)
        command = e.MoveListing(actor=actor_of(world, listing, step), listing=listing, step=step)
        assert world.code(command) == "malformed"


def test_a_reviewer_of_the_same_house_approves_nothing(world: World, merchant: str) -> None:
    listing = listing_in(world, merchant, "submitted")
    sister = world.person(owner=merchant)
    world.must(e.GrantRole(actor=OPERATOR, participant=sister, role="reviewer"))
    assert world.code(e.MoveListing(actor=sister, listing=listing, step="approve")) == "own_case"


TRANSFER: dict[str, Any] = {"deal": "transfer", "supply": "exclusive"}


def test_a_licensee_does_not_sell_the_right_itself(world: World, merchant: str) -> None:
    product, licensee = world.product(merchant), world.merchant()
    world.record(product, "licensee_recorded", participant=licensee)
    create = e.CreateListing(actor=licensee, product=product, board="general", terms=terms(**TRANSFER))
    assert world.code(create) == "forbidden"
    listing = world.draft(licensee, product)
    assert world.code(e.ReviseListing(actor=licensee, listing=listing, terms=create.terms)) == "forbidden"
    world.check()


def test_an_offer_from_before_a_transfer_does_not_sell_the_right_again(world: World, merchant: str) -> None:
    """The seller keeps a licence; its other offers of the right are refused from then on, whatever their state."""
    product, buyer = world.product(merchant), world.buyer()
    offers = [world.listing(merchant, product, **TRANSFER) for _ in range(2)]
    draft, waiting = (world.draft(merchant, product, **TRANSFER) for _ in range(2))
    world.move(merchant, waiting, "submit")
    trade = world.buy(buyer, offers[0])
    world.deliver(trade)
    world.accept(trade)
    world.record(product, "licensee_recorded", participant=merchant)
    assert world.code(e.MoveListing(actor=merchant, listing=draft, step="submit")) == "forbidden"
    assert world.code(e.MoveListing(actor=world.reviewer, listing=waiting, step="approve")) == "forbidden"
    refusal = world.order(world.buyer(), offers[1]).refusal
    assert refusal is not None
    assert refusal.violated == ("B13",)
    world.buy(buyer, world.listing(merchant, product))
    world.check()


def reviewing(world: World, participant: str) -> str:
    """The same participant, with an office beside its trade."""
    world.must(e.GrantRole(actor=OPERATOR, participant=participant, role="reviewer"))
    return participant


def test_a_licensee_decides_nothing_about_its_own_listing(world: World, merchant: str) -> None:
    product, licensee = world.product(merchant), reviewing(world, world.merchant())
    world.record(product, "licensee_recorded", participant=licensee)
    listing = world.draft(licensee, product)
    world.move(licensee, listing, "submit")
    for step in ("approve", "return"):
        command = e.MoveListing(actor=licensee, listing=listing, step=step, reasons=("because",))
        assert world.code(command) == "own_case"
    world.move(world.reviewer, listing, "approve")
    world.move(world.reviewer, listing, "suspend", "to look")
    resume = e.MoveListing(actor=licensee, listing=listing, step="resume")
    assert world.code(resume) == "own_case"
    world.check()


def test_an_operator_who_sells_does_not_resume_itself(world: World) -> None:
    shop = world.merchant()
    listing = world.listing(shop)
    world.must(e.GrantRole(actor=OPERATOR, participant=shop, role="operator"))
    world.move(OPERATOR, listing, "suspend", "to look")
    assert world.code(e.MoveListing(actor=shop, listing=listing, step="resume")) == "own_case"
    world.move(OPERATOR, listing, "resume")


# ---- dates


def test_a_public_notice_lasts_to_its_last_nanosecond(world: World, merchant: str) -> None:
    listing = listing_in(world, merchant, "public_notice")
    until = world.state.listings[listing].until_ns
    assert until == world.at_ns + NOTICE_DAYS * DAY_NS
    world.tick_at(until)
    assert world.state.listings[listing].state == "public_notice"
    assert world.order(world.buyer(), listing).refusal is not None
    moved = only(world.tick_at(until + 1_000_000), e.ListingMoved)
    assert (moved.step, moved.by) == ("notice_over", "venue")
    assert world.state.listings[listing].until_ns == world.at_ns + 30 * DAY_NS
    world.check()


def test_a_listing_ends_after_its_days_also_when_suspended(world: World, merchant: str) -> None:
    for state in ("published", "suspended"):
        listing = listing_in(world, merchant, state)
        until = world.state.listings[listing].until_ns
        world.tick_at(until)
        assert world.state.listings[listing].state == state
        world.tick_at(until + 1)
        assert world.state.listings[listing].state == "expired"
        world.check()


def test_an_old_notice_does_not_publish_a_listing_that_was_returned(world: World, merchant: str) -> None:
    """The first notice's timer goes off while the second notice runs: only the second publishes."""
    listing = listing_in(world, merchant, "public_notice")
    first = world.state.listings[listing].until_ns
    world.wait(days=2)
    world.move(world.reviewer, listing, "return", "unclear")
    world.move(merchant, listing, "submit")
    world.move(world.reviewer, listing, "approve")
    second = world.state.listings[listing].until_ns
    assert kinds(world.tick_at(first + 1)) == ["Ticked"]
    assert world.state.listings[listing].state == "public_notice"
    world.tick_at(second + 1)
    assert world.state.listings[listing].state == "published"
    world.check()


def test_a_resumed_listing_keeps_its_end(world: World, merchant: str) -> None:
    listing = listing_in(world, merchant, "suspended")
    until = world.state.listings[listing].until_ns
    world.wait(days=3)
    world.move(OPERATOR, listing, "resume")
    assert world.state.listings[listing].until_ns == until
    assert kinds(world.tick_at(until + 1)) == ["Ticked", "ListingMoved"]
    world.check()


def test_without_a_notice_approval_publishes_at_once(world: World, merchant: str) -> None:
    listing = world.draft(merchant)
    world.move(merchant, listing, "submit")
    outcome = world.move(world.reviewer, listing, "approve")
    steps = [(event.step, event.state) for event in outcome.events if isinstance(event, e.ListingMoved)]
    assert steps == [("approve", "public_notice"), ("notice_over", "published")]


# ---- what happens to others


def test_withdrawing_cancels_the_orders_and_leaves_the_entitlements(world: World, merchant: str) -> None:
    book, buyer = world.book(merchant), world.buyer(cash_fen=1_000)
    posted = world.listing(merchant)
    world.ask(merchant, book, 10, 120)
    world.bid(buyer, book, 5, 100)
    trade = world.buy(buyer, posted)
    outcome = world.move(merchant, book, "withdraw")
    closed = [event for event in outcome.events if isinstance(event, e.OrderClosed)]
    assert [(event.reason, event.remaining) for event in closed] == [("withdrawn", 10), ("withdrawn", 5)]
    world.move(merchant, posted, "withdraw")
    assert world.state.orders == {}
    assert world.money(buyer) == (500, 0)
    assert world.money(merchant, f"unit:{book}") == (1_000_000, 0)
    assert world.state.entitlements[world.state.trades[trade].entitlement].state == "granted"
    world.deliver(trade)
    world.accept(trade)
    world.check()


@pytest.mark.parametrize("step", ["withdraw", "expire"])
def test_what_is_held_ends_with_a_withdrawal_and_not_with_the_listings_days(
    world: World, merchant: str, step: str
) -> None:
    """Who withdraws sells no more; who let the days pass has sold before."""
    product = world.product(merchant)
    listing, buyer = world.listing(merchant, product, listed_days=5), world.buyer(cash_fen=500)
    world.record(product, "objection_raised")
    held = only(world.order(buyer, listing), e.Held)
    if step == "withdraw":
        released = only(world.move(merchant, listing, "withdraw"), e.HoldReleased)
        assert (released.trade, released.reason) == (held.trade, "withdrawn")
        assert world.money(buyer) == (500, 0)
        assert world.state.bureau.conduct == {}, "nobody's fault"
        assert world.record(product, "objection_settled").events[1:] == ()
    else:
        world.wait(days=6)
        assert "HoldReleased" not in kinds(world.tick())
        assert "Settled" in kinds(world.record(product, "objection_settled"))
    world.check()


def test_an_expired_book_cancels_its_orders(world: World, merchant: str) -> None:
    book, buyer = world.book(merchant, listed_days=10), world.buyer()
    world.bid(buyer, book, 5, 100)
    outcome = world.tick_at(world.state.listings[book].until_ns + 1)
    assert only(outcome, e.OrderClosed).reason == "expired"
    assert world.money(buyer) == (10**9, 0)
    world.check()


def test_a_suspended_book_keeps_its_orders_and_takes_none(world: World, merchant: str) -> None:
    book, buyer = world.book(merchant), world.buyer()
    world.ask(merchant, book, 10, 100)
    world.move(OPERATOR, book, "suspend", "an objection")
    refusal = world.bid(buyer, book, 5, 100).refusal
    assert refusal is not None
    assert refusal.code is e.Refused.listing_closed
    world.must(e.CancelOrder(actor=merchant, order="O1"))
    world.ask(merchant, book, 10, 100)
    world.move(OPERATOR, book, "resume")
    world.ask(merchant, book, 10, 100)
    assert kinds(world.bid(buyer, book, 5, 100)) == ["OrderPlaced", "Settled"]
    world.check()


def test_units_come_into_being_once(world: World, merchant: str) -> None:
    book = world.book(merchant, supply_units=700)
    assert world.money(merchant, f"unit:{book}") == (700, 0)
    assert world.money(f"issue:{book}", f"unit:{book}") == (-700, 0)
    world.move(OPERATOR, book, "suspend", "an objection")
    world.move(OPERATOR, book, "resume")
    assert world.state.listings[book].issued_units == 700
    world.check()


# ---- terms


@pytest.mark.parametrize(
    ("board", "fields", "code"),
    [
        ("general", {"mechanism": "continuous_auction"}, "mechanism_not_allowed"),
        ("general", {"mechanism": "call_auction"}, "mechanism_not_allowed"),
        ("general", {"mechanism": ""}, "mechanism_not_allowed"),
        ("general", {"right": "ownership"}, "out_of_bounds"),
        ("general", {"deal": "gift"}, "out_of_bounds"),
        ("general", {"supply": "some"}, "out_of_bounds"),
        ("general", {"price_regime": "free"}, "out_of_bounds"),
        ("general", {"purposes": ()}, "out_of_bounds"),
        ("general", {"territories": ()}, "out_of_bounds"),
        ("general", {"price_fen": -1}, "out_of_bounds"),
        ("general", {"price_fen": 10**12 + 1}, "out_of_bounds"),
        ("general", {"price_cap_fen": -1}, "out_of_bounds"),
        ("general", {"price_per_units": 0}, "out_of_bounds"),
        ("general", {"supply_units": 5}, "out_of_bounds"),
        ("general", {"supply": "limited"}, "out_of_bounds"),
        ("general", {"supply": "limited", "supply_units": 10**9 + 1}, "out_of_bounds"),
        ("general", {"deal": "exclusive_licence"}, "out_of_bounds"),
        ("general", {"deal": "transfer"}, "out_of_bounds"),
        ("general", {"term_days": 3_661}, "out_of_bounds"),
        ("general", {"delivery_days": 0}, "out_of_bounds"),
        ("general", {"acceptance_days": 0}, "out_of_bounds"),
        ("general", {"redelivery_days": 0}, "out_of_bounds"),
        ("general", {"listed_days": 0}, "out_of_bounds"),
        ("computing", {"mechanism": "continuous_auction"}, "out_of_bounds"),
        (
            "computing",
            {
                "mechanism": "continuous_auction",
                "supply": "limited",
                "supply_units": 15,
                "price_per_units": 10,
            },
            "out_of_bounds",
        ),
        (
            "computing",
            {
                "mechanism": "continuous_auction",
                "supply": "limited",
                "supply_units": 10,
                "purposes": ("market_analysis", "risk_control"),
            },
            "out_of_bounds",
        ),
        ("weather", {}, "not_found"),
    ],
)
def test_terms_that_cannot_stand(
    world: World, merchant: str, board: str, fields: dict[str, Any], code: str
) -> None:
    product = world.product(merchant)
    command = e.CreateListing(actor=merchant, product=product, board=board, terms=terms(**fields))
    assert world.code(command) == code
    if board != "weather":
        draft = world.draft(merchant, product, board)
        revise = e.ReviseListing(actor=merchant, listing=draft, terms=command.terms)
        assert world.code(revise) == code
    world.check()


def test_a_board_without_approval_says_which_papers_it_needs(world: World, merchant: str) -> None:
    product = world.product(merchant)
    shape = terms(mechanism="continuous_auction", supply="limited", supply_units=10)
    refusal = world.refused(e.CreateListing(actor=merchant, product=product, board="general", terms=shape))
    assert "国发〔2011〕38号" in refusal.detail


@pytest.mark.parametrize("state", WAY_TO)
def test_only_drafts_and_returned_listings_are_revised(world: World, merchant: str, state: str) -> None:
    listing = listing_in(world, merchant, state)
    revise = e.ReviseListing(actor=merchant, listing=listing, terms=terms(price_fen=7))
    assert world.code(changed(revise, actor=world.buyer())) == "not_found"
    if state in ("draft", "returned"):
        world.must(revise)
        assert world.state.listings[listing].terms.price_fen == 7
    else:
        assert world.code(revise) == "wrong_state"
    world.check()


def test_a_stranger_lists_nothing_of_others(world: World, merchant: str) -> None:
    product = world.product(merchant)
    command = e.CreateListing(actor=world.merchant(), product=product, board="general", terms=terms())
    assert world.code(command) == "not_found"
    assert world.code(changed(command, actor=world.buyer())) == "not_accredited"
    assert world.code(changed(command, actor=merchant, product="D99")) == "not_found"
    assert world.code(e.MoveListing(actor=merchant, listing="L99", step="submit")) == "not_found"


# ---- law


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"right": "resource_holding"}, "B14"),
        ({"price_regime": "gov_guided", "price_cap_fen": 499}, "D05"),
    ],
)
def test_an_unlawful_listing_is_not_submitted(
    world: World, merchant: str, fields: dict[str, Any], rule: str
) -> None:
    product = world.submitted(merchant)
    world.must(changed(world.decision(product), rights=("product_operation",)))
    listing = world.draft(merchant, product, **fields)
    refusal = world.refused(e.MoveListing(actor=merchant, listing=listing, step="submit"))
    assert (refusal.code, refusal.violated) == (e.Refused.unlawful, (rule,))


def test_each_purpose_offered_is_judged(world: World, merchant: str) -> None:
    """D06: public data for public welfare is free; the second of two purposes is found too."""
    at_ns = world.at_ns
    product = world.product(
        merchant,
        classification=classification(origin="public", open_class="not_open", declassified=True),
        authorisation=authorisation(at_ns, purposes=("market_analysis", "public_welfare")),
    )
    listing = world.draft(
        merchant, product, "public_data", purposes=("market_analysis", "public_welfare"), price_fen=5
    )
    submit = e.MoveListing(actor=merchant, listing=listing, step="submit")
    refusal = world.refused(submit)
    assert refusal.violated == ("D06",)
    assert "public_welfare" in refusal.detail
    world.must(e.ReviseListing(actor=merchant, listing=listing, terms=terms(price_fen=5)))
    world.must(submit)


def public_product(world: World, merchant: str) -> str:
    return world.product(merchant, classification=classification(origin="public", open_class="unconditional"))


GUIDED: dict[str, Any] = {"price_regime": "gov_guided", "price_cap_fen": 500, "price_fen": 500}


def test_the_price_of_public_data_is_unknown_until_its_tariff_was_seen(world: World, merchant: str) -> None:
    """D05: regime and ceiling are not the seller's to say. A listing may be handed in with them, not approved."""
    listing = world.draft(merchant, public_product(world, merchant), **GUIDED)
    world.move(merchant, listing, "submit")
    approve = e.MoveListing(actor=world.reviewer, listing=listing, step="approve")
    for tariff in ("", "the price list"):
        assert world.code(changed(approve, tariff_sha256=tariff)) == "evidence_missing"
    world.must(changed(approve, tariff_sha256=EVIDENCE))
    assert world.state.listings[listing].tariff_sha256 == EVIDENCE
    world.buy(world.buyer(), listing)
    world.check()


def test_a_price_above_the_tariff_is_not_approved(world: World, merchant: str) -> None:
    terms_above = {**GUIDED, "price_fen": 501}
    listing = world.draft(merchant, public_product(world, merchant), **terms_above)
    world.move(merchant, listing, "submit")
    approve = e.MoveListing(actor=world.reviewer, listing=listing, step="approve", tariff_sha256=EVIDENCE)
    assert world.refused(approve).violated == ("D05",)
    world.move(world.reviewer, listing, "return", "above the tariff")
    world.must(e.ReviseListing(actor=merchant, listing=listing, terms=terms(**GUIDED)))
    world.move(merchant, listing, "submit")
    world.must(approve)
    world.check()


def test_a_returned_listing_needs_its_tariff_again(world: World, merchant: str) -> None:
    listing = world.draft(merchant, public_product(world, merchant), "public_data", **GUIDED)
    world.move(merchant, listing, "submit")
    world.move(world.reviewer, listing, "approve")
    world.move(world.reviewer, listing, "return", "the tariff has changed")
    assert world.state.listings[listing].tariff_sha256 == ""
    world.move(merchant, listing, "submit")
    assert (
        world.code(e.MoveListing(actor=world.reviewer, listing=listing, step="approve")) == "evidence_missing"
    )
    world.check()


def test_data_that_turns_out_to_be_public_waits_for_a_tariff(world: World, merchant: str) -> None:
    """Confirmed as public after it was listed: nobody has held its price against anything."""
    product, buyer = world.product(merchant), world.buyer()
    listing = world.listing(merchant, product)
    world.buy(buyer, listing)
    public = classification(origin="public", open_class="unconditional")
    world.must(e.AmendFacts(actor=merchant, product=product, evidence_sha256=EVIDENCE, classification=public))
    world.must(
        e.ConfirmFacts(
            actor=world.reviewer,
            product=product,
            revision=2,
            groups=("classification",),
            evidence={"classification": EVIDENCE},
        )
    )
    refusal = world.order(buyer, listing).refusal
    assert refusal is not None
    assert "D05" in dict(refusal.unknown)
    world.check()


def test_a_tariff_belongs_to_the_approval_of_public_data(world: World, merchant: str) -> None:
    listing = world.draft(merchant)
    move = e.MoveListing(actor=merchant, listing=listing, step="submit", tariff_sha256=EVIDENCE)
    assert world.code(move) == "malformed"
    world.move(merchant, listing, "submit")
    assert world.code(changed(move, actor=world.reviewer, step="approve")) == "malformed"


def test_what_turned_unlawful_since_is_not_approved(world: World, merchant: str) -> None:
    product = world.product(merchant)
    listing = world.draft(merchant, product)
    world.move(merchant, listing, "submit")
    world.record(product, "risk_confirmed")
    approve = e.MoveListing(actor=world.reviewer, listing=listing, step="approve")
    assert world.refused(approve).violated == ("A03",)
    world.record(product, "risk_cleared")
    world.ban(merchant)
    assert world.code(approve) == "standing_denied"
    world.ban(merchant, days=0)
    world.must(approve)
    world.check()
