"""Refusals: their numbers for ever, and which one is named when several would be right.

Each test of order begins with a command that is wrong in every way. What is refused first is mended, then the next is
named, down to a command that happens.
"""

from typing import Any

import pytest

from exchange import events as e
from exchange.state import DAY_NS
from exchange.venue import HANDLERS
from tests.exchange.world import (
    EVIDENCE,
    GROUPS,
    OPERATOR,
    World,
    authorisation,
    changed,
    command_id,
    credit_code,
    public_key,
    terms,
)

NUMBERS = {
    "malformed": 1,
    "not_signed_in": 2,
    "signature_wrong": 3,
    "forbidden": 4,
    "own_case": 5,
    "not_found": 6,
    "id_conflict": 7,
    "id_expired": 8,
    "already_exists": 9,
    "wrong_state": 10,
    "out_of_bounds": 11,
    "evidence_missing": 12,
    "identity_invalid": 13,
    "outside_terms": 14,
    "mechanism_not_allowed": 15,
    "not_verified": 16,
    "not_accredited": 17,
    "standing_denied": 18,
    "listing_closed": 19,
    "unlawful": 20,
    "supply_exhausted": 21,
    "funds_insufficient": 22,
    "units_insufficient": 23,
    "nothing_to_match": 24,
    "quarantined": 25,
    "overloaded": 26,
    "storage_unavailable": 27,
    "too_large": 28,
    "file_mismatch": 29,
    "clock_is_real": 30,
    "halted": 31,
}
"""What clients and journals know. A number is never given again: a new refusal takes the next one from 32 on."""


def test_numbers_never_change() -> None:
    assert {refused.name: refused.number for refused in e.Refused if refused.name in NUMBERS} == NUMBERS


def test_numbers_are_unique_and_new_ones_follow() -> None:
    numbers = [refused.number for refused in e.Refused]
    assert len(dict.fromkeys(numbers)) == len(numbers)
    assert all(refused.number > 31 for refused in e.Refused if refused.name not in NUMBERS)


def test_each_has_a_status_of_its_kind() -> None:
    """The caller's mistakes are 4xx; 5xx only where the venue is at fault or busy."""
    at_fault = {refused.name for refused in e.Refused if refused.status >= 500}
    assert at_fault == {"quarantined", "overloaded", "storage_unavailable"}
    assert all(400 <= refused.status < 600 for refused in e.Refused)


def test_what_is_kept_answered_a_well_formed_request() -> None:
    kept = {refused.name for refused in e.Refused if refused.kept}
    assert kept == {
        "unlawful",
        "supply_exhausted",
        "funds_insufficient",
        "units_insufficient",
        "nothing_to_match",
        "quarantined",
    }


def mended_in_order(world: World, wrong: Any, steps: list[tuple[str, dict[str, Any]]]) -> None:
    """Each step: the code that the command gets now, and the mending that follows. At the end it happens."""
    command = wrong
    for code, mend in steps:
        refusal = world.refused(command)
        assert refusal.code.name == code, f"{command}\n{refusal}"
        command = changed(command, **mend)
    world.must(command)
    world.check()


@pytest.fixture
def world() -> World:
    return World()


def test_a_purchase(world: World) -> None:
    """Listing, terms, who is not checked, law, other standing, price, supply, money (docs/decisions/0007)."""
    shop = world.merchant(cash_fen=10)
    product = world.product(shop)
    offered: dict[str, Any] = {
        "purposes": ("market_analysis", "advertising"),
        "supply": "limited",
        "supply_units": 1,
    }
    closed, listing = (world.listing(shop, product, **offered) for _ in range(2))
    world.move(OPERATOR, closed, "suspend", "because")
    off_venue = world.listing(shop, product, mechanism="off_venue")
    seller_only = world.person("merchant")
    world.verify(seller_only)
    rich, poor = world.buyer(), world.buyer(cash_fen=1)
    for buyer in (seller_only, rich, poor):
        world.agree(buyer, listing)
    wrong = e.PlaceOrder(
        actor=world.person("buyer"),
        key="no id",
        listing="L99",
        quantity=0,
        side="sell",
        limit_fen=1,
        time_in_force="fok",
        purpose="espionage",
        territory="CN",
    )
    mended_in_order(
        world,
        wrong,
        [
            ("malformed", {"key": command_id(world.at_ns, 1)}),
            ("not_found", {"listing": closed}),
            ("listing_closed", {"listing": off_venue}),
            ("mechanism_not_allowed", {"listing": listing}),
            ("mechanism_not_allowed", {"side": "buy"}),
            ("malformed", {"time_in_force": "gtc"}),
            ("outside_terms", {"purpose": "advertising"}),
            ("out_of_bounds", {"quantity": 2}),
            ("not_verified", {"actor": seller_only}),
            ("unlawful", {"purpose": "market_analysis", "key": command_id(world.at_ns, 2)}),
            ("standing_denied", {"actor": poor}),
            ("nothing_to_match", {"limit_fen": 500, "key": command_id(world.at_ns, 3)}),
            ("supply_exhausted", {"quantity": 1, "key": command_id(world.at_ns, 4)}),
            ("funds_insufficient", {"actor": rich, "key": command_id(world.at_ns, 5)}),
        ],
    )


def test_a_sale_in_the_book(world: World) -> None:
    shop = world.merchant()
    book = world.book(shop, price_per_units=10)
    wrong = e.PlaceOrder(actor=world.buyer(), listing=book, quantity=15, side="lend", limit_fen=100)
    mended_in_order(
        world,
        wrong,
        [
            ("malformed", {"side": "sell"}),
            ("lot", {"quantity": 10}),
            ("not_accredited", {"actor": world.merchant()}),
            ("units_insufficient", {"actor": shop}),
        ],
    )


def test_a_registration(world: World) -> None:
    wrong = e.RegisterParticipant(
        actor="", legal_name="name", public_key="?", roles=("operator",), uscc="?", region="hainan"
    )
    mended_in_order(
        world,
        wrong,
        [
            ("malformed", {"roles": ("buyer",)}),
            ("identity_invalid", {"public_key": public_key("operator")}),
            ("identity_invalid", {"uscc": credit_code(99)}),
            ("identity_invalid", {"region": "CN-46"}),
            ("already_exists", {"public_key": public_key("new")}),
        ],
    )


def test_an_identity(world: World) -> None:
    refused, buyer = world.person("buyer"), world.person("buyer")
    world.verify(refused, accept=False, reasons=("forged",))
    wrong = e.DecideIdentity(actor=OPERATOR, participant="P99", accept=True)
    mended_in_order(
        world,
        wrong,
        [
            ("not_found", {"participant": refused}),
            ("wrong_state", {"participant": world.reviewer}),
            ("forbidden", {"actor": world.reviewer}),
            ("own_case", {"participant": buyer}),
            ("out_of_bounds", {"mandate_until_ns": world.at_ns + DAY_NS}),
            ("evidence_missing", {"evidence_sha256": EVIDENCE}),
        ],
    )


def test_a_submission(world: World) -> None:
    candidate = world.person("merchant")
    verified = world.person("merchant")
    world.verify(verified)
    wrong = world.submission(
        candidate,
        evidence={"weather": EVIDENCE},
        authorisation=authorisation(5, valid_until_ns=5),
        shares=(("P99", 0),),
    )
    whole = dict.fromkeys(GROUPS, EVIDENCE)
    mended_in_order(
        world,
        wrong,
        [
            ("not_verified", {"actor": verified}),
            ("not_accredited", {"actor": world.merchant()}),
            ("evidence_missing", {"evidence": {**whole, "weather": "?"}}),
            ("malformed", {"evidence": {**whole, "source": "?"}}),
            ("evidence_missing", {"evidence": whole}),
            ("out_of_bounds", {"authorisation": authorisation(world.at_ns)}),
            ("out_of_bounds", {"shares": (("P99", 1),)}),
            ("not_found", {"shares": ((OPERATOR, 1),)}),
        ],
    )


def test_a_decision_on_a_product(world: World) -> None:
    merchant = world.merchant()
    decided, product = world.product(merchant), world.submitted(merchant)
    world.must(e.GrantRole(actor=OPERATOR, participant=merchant, role="reviewer"))
    wrong = e.DecideProduct(actor=OPERATOR, product="D99", decision="register", confirmed=("weather",))
    mended_in_order(
        world,
        wrong,
        [
            ("not_found", {"product": decided}),
            ("forbidden", {"actor": merchant}),
            ("own_case", {"actor": world.reviewer}),
            ("wrong_state", {"product": product}),
            ("malformed", {"confirmed": ("source",)}),
            ("malformed", {"revision": 2}),
            ("wrong_state", {"revision": 1}),
            ("out_of_bounds", {"rights": ("product_operation",)}),
            ("out_of_bounds", {"valid_until_ns": world.at_ns + DAY_NS}),
            ("unlawful", {"confirmed": GROUPS}),
        ],
    )


def test_a_listing_and_its_steps(world: World) -> None:
    merchant = world.merchant()
    product = world.product(merchant)
    bad = terms(mechanism="continuous_auction", right="ownership", price_fen=-1, supply_units=5)
    wrong = e.CreateListing(actor=world.buyer(), product="D99", board="weather", terms=bad)
    mended_in_order(
        world,
        wrong,
        [
            ("not_accredited", {"actor": merchant}),
            ("not_found", {"product": product}),
            ("not_found", {"board": "general"}),
            ("mechanism_not_allowed", {"terms": changed(bad, mechanism="posted_price")}),
            ("out_of_bounds", {"terms": terms()}),
        ],
    )
    world.must(e.GrantRole(actor=OPERATOR, participant=merchant, role="reviewer"))
    draft, submitted = world.draft(merchant, product), world.draft(merchant, product)
    world.move(merchant, submitted, "submit")
    approve = e.MoveListing(actor=world.buyer(), listing="L99", step="approve")
    mended_before_law = [
        ("not_found", {"listing": draft}),
        ("not_found", {"actor": OPERATOR}),
        ("forbidden", {"actor": merchant}),
        ("own_case", {"actor": world.reviewer}),
        ("wrong_state", {"listing": submitted}),
    ]
    command: Any = approve
    for code, mend in mended_before_law:
        assert world.code(command) == code
        command = changed(command, **mend)
    world.record(product, "risk_confirmed")
    world.ban(merchant)
    assert world.code(command) == "standing_denied"
    world.ban(merchant, days=0)
    assert world.code(command) == "unlawful"


def test_a_delivery_and_its_rejection(world: World) -> None:
    merchant, buyer = world.merchant(), world.buyer()
    listing = world.listing(merchant)
    done, trade = world.buy(buyer, listing), world.buy(buyer, listing)
    world.deliver(done)
    wrong = e.Deliver(actor=buyer, trade="T99", delivery=e.Delivery(kind="pigeon"))
    mended_in_order(
        world,
        wrong,
        [
            ("not_found", {"trade": done}),
            ("not_found", {"actor": merchant}),
            ("wrong_state", {"trade": trade}),
            ("malformed", {"delivery": e.Delivery(kind="address", url="https://data.example")}),
        ],
    )
    fresh = world.buy(buyer, listing)
    mended_in_order(
        world,
        e.RejectDelivery(actor=merchant, trade=fresh, reason=" "),
        [
            ("not_found", {"actor": buyer}),
            ("wrong_state", {"trade": trade}),
            ("malformed", {"reason": "rows are missing"}),
        ],
    )


def test_the_clock(world: World) -> None:
    advance = e.AdvanceClock(actor=world.reviewer, seconds=0)
    assert world.code(advance) == "forbidden"
    assert world.code(changed(advance, actor=OPERATOR)) == "clock_is_real"
    simulated = World(simulated=True)
    mended_in_order(
        simulated,
        advance,
        [("forbidden", {"actor": OPERATOR}), ("out_of_bounds", {"seconds": 60})],
    )
    assert world.code(e.Tick(actor=OPERATOR)) == "forbidden"


def test_every_command_is_decided_by_somebody() -> None:
    declared = {
        kind
        for kind in vars(e).values()
        if isinstance(kind, type)
        and kind is not e.Command
        and (issubclass(kind, e.Command) or kind in (e.PlaceOrder, e.CancelOrder))
    }
    assert HANDLERS.keys() >= declared
