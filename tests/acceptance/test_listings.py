"""Issue, "The path of a trade", step 4: a listing and its life."""

from typing import Any

import pytest

from tests.story import Person, Venue, done, refused


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def in_catalogue(venue: Venue, listing: str) -> bool:
    return any(item["listing"] == listing for item in venue.desk.every("/v1/catalogue", limit=100))


def test_three_boards_to_begin_with(venue: Venue) -> None:
    boards = done(venue.http.get("/v1/boards"), 200)["items"]
    assert {board["board"] for board in boards} >= {"general", "public_data", "computing"}
    for board in boards:
        done(venue.http.get(f"/v1/boards/{board['board']}"), 200)


def test_draft_submitted_published(venue: Venue, merchant: Person) -> None:
    listing = venue.draft(merchant)
    assert venue.state_of(listing, merchant) == "draft"
    assert done(venue.move(listing, "submit", merchant))["state"] == "submitted"
    assert listing in {item["listing"] for item in venue.desk.every("/v1/listings", state="submitted")}
    assert not in_catalogue(venue, listing)
    assert done(venue.move(listing, "approve", venue.desk))["state"] == "published"
    assert in_catalogue(venue, listing)


def test_what_is_offered_can_be_read_by_everybody(venue: Venue, merchant: Person) -> None:
    listing = venue.listing(merchant, deal="exclusive_licence", supply="exclusive", supply_units=1)
    seen = done(venue.http.get(f"/v1/listings/{listing}"), 200)
    assert (seen["right"], seen["deal"], seen["supply"]) == (
        "product_operation",
        "exclusive_licence",
        "exclusive",
    )
    assert (seen["price_fen"], seen["price_per_units"], seen["mechanism"]) == (50_000, 1, "posted_price")
    assert seen["purposes"] == ["market_analysis"]


@pytest.mark.parametrize("right", ["resource_holding", "processing_use", "product_operation"])
def test_each_right_may_be_conveyed(venue: Venue, merchant: Person, right: str) -> None:
    venue.listing(merchant, right=right)


@pytest.mark.parametrize("supply", [("unlimited", 0), ("limited", 5), ("exclusive", 1)])
def test_each_supply_may_be_offered(venue: Venue, merchant: Person, supply: tuple[str, int]) -> None:
    venue.listing(merchant, supply=supply[0], supply_units=supply[1])


def test_a_transfer_may_be_listed_and_ordered(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant, authorisation={"deals": ["transfer"]})
    listing = venue.listing(merchant, product, deal="transfer", supply="exclusive", supply_units=1)
    venue.trade(buyer, listing)


def test_returned_with_reasons_revised_and_published(venue: Venue, merchant: Person) -> None:
    listing = venue.draft(merchant)
    done(venue.move(listing, "submit", merchant))
    refused(merchant.put(f"/v1/listings/{listing}", {"terms": venue.terms()}), 409, "wrong_state")
    assert done(venue.move(listing, "return", venue.desk, "价格依据不足"))["state"] == "returned"
    assert "价格依据不足" in str(done(merchant.get(f"/v1/listings/{listing}"), 200))
    done(merchant.put(f"/v1/listings/{listing}", {"terms": venue.terms(price_fen=40_000)}), 200)
    done(venue.move(listing, "submit", merchant))
    done(venue.move(listing, "approve", venue.desk))
    assert done(venue.http.get(f"/v1/listings/{listing}"), 200)["price_fen"] == 40_000


def test_a_return_without_reasons_is_refused(venue: Venue, merchant: Person) -> None:
    listing = venue.draft(merchant)
    done(venue.move(listing, "submit", merchant))
    answer = venue.move(listing, "return", venue.desk)
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("step", ["approve", "return", "suspend", "resume"])
def test_what_is_not_in_the_table_cannot_happen(venue: Venue, merchant: Person, step: str) -> None:
    listing = venue.draft(merchant)
    refused(venue.move(listing, step, venue.desk, "测试"), 409, "wrong_state")
    assert venue.state_of(listing, merchant) == "draft"


def test_each_step_has_its_own_role(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.draft(merchant)
    refused(venue.move(listing, "submit", venue.desk), 403, "forbidden")
    done(venue.move(listing, "submit", merchant))
    refused(venue.move(listing, "approve", merchant), 403, "forbidden")
    refused(venue.move(listing, "approve", venue.operator), 403, "forbidden")
    done(venue.move(listing, "approve", venue.desk))
    refused(venue.move(listing, "suspend", merchant, "测试"), 403, "forbidden")
    refused(venue.move(listing, "withdraw", buyer), 403, "forbidden")
    refused(venue.move(listing, "withdraw", venue.merchant()), 403, "forbidden")


def test_nobody_approves_their_own_listing(venue: Venue) -> None:
    both = venue.merchant()
    listing = venue.draft(both)
    done(venue.operator.post(f"/v1/participants/{both.participant}/roles", {"role": "reviewer"}))
    done(venue.move(listing, "submit", both))
    refused(venue.move(listing, "approve", both), 403, "own_case")


def test_a_draft_is_its_merchants_secret(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.draft(merchant)
    path = f"/v1/listings/{listing}"
    rival = venue.merchant()
    for stranger in (buyer, rival):
        refused(stranger.get(path), 404, "not_found")
    refused(venue.http.get(path), 404, "not_found")
    refused(rival.put(path, {"terms": venue.terms()}), 404, "not_found")
    refused(venue.move(listing, "submit", rival), 404, "not_found")
    refused(venue.order(buyer, listing), 404, "not_found")
    for reader in (merchant, venue.desk, venue.operator):
        done(reader.get(path), 200)


def test_the_public_notice_of_public_data(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant, classification={"origin": "public", "open_class": "unconditional"})
    listing = venue.draft(merchant, product, board="public_data")
    done(venue.move(listing, "submit", merchant))
    assert done(venue.move(listing, "approve", venue.desk))["state"] == "public_notice"
    refused(venue.order(buyer, listing), 409, "listing_closed")
    venue.advance(days=4)
    assert venue.state_of(listing) == "public_notice"
    venue.advance(days=1, seconds=60)
    assert venue.state_of(listing) == "published"
    venue.trade(buyer, listing)


def test_suspended_and_resumed(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    assert done(venue.move(listing, "suspend", venue.operator, "核查"))["state"] == "suspended"
    refused(venue.order(buyer, listing), 409, "listing_closed")
    assert done(venue.move(listing, "resume", venue.operator))["state"] == "published"
    venue.trade(buyer, listing)


def test_withdrawn_cancels_orders_and_gives_the_money_back(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    listing, before = venue.book_listing(merchant), buyer.account()
    order = done(venue.order(buyer, listing, 10, limit_fen=900), 201)["order"]
    assert buyer.account()["reserved"] == before["reserved"] + 9_000
    assert done(venue.move(listing, "withdraw", merchant))["state"] == "withdrawn"
    closed = done(buyer.get(f"/v1/orders/{order}"), 200)
    assert (closed["state"], closed["closed_reason"]) == ("closed", "withdrawn")
    assert buyer.account() == before
    assert not in_catalogue(venue, listing)
    refused(venue.order(buyer, listing, limit_fen=900), 409, "listing_closed")


def test_entitlements_outlive_a_withdrawal(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    trade = venue.trade(buyer, listing)
    done(venue.move(listing, "withdraw", merchant))
    digest = venue.hand_over(merchant, trade)
    entitlement = venue.read_trade(trade, buyer)["entitlement"]
    key = done(buyer.post(f"/v1/entitlements/{entitlement}/key", {}))["key"]
    path = f"/v1/entitlements/{entitlement}/content"
    content = venue.http.get(path, headers={"X-Entitlement-Key": key})
    assert content.status_code == 200
    assert digest
    venue.accept(buyer, trade)


def test_a_listing_expires(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, listed_days=2)
    venue.trade(buyer, listing)
    venue.advance(days=2, seconds=60)
    assert venue.state_of(listing) == "expired"
    refused(venue.order(buyer, listing), 409, "listing_closed")
    assert not in_catalogue(venue, listing)


@pytest.mark.parametrize("board", ["general", "public_data"])
def test_an_order_book_needs_a_board_with_approval(venue: Venue, merchant: Person, board: str) -> None:
    terms = venue.terms(mechanism="continuous_auction", supply="limited", supply_units=100)
    body = {"product": venue.product(merchant), "board": board, "terms": terms}
    refused(merchant.post("/v1/listings", body), 422, "mechanism_not_allowed")
    venue.book_listing(merchant)


@pytest.mark.parametrize(
    "change",
    [
        {"price_fen": -1},
        {"price_per_units": 0},
        {"supply_units": -1, "supply": "limited"},
        {"supply": "limited", "supply_units": 0},
        {"term_days": 0},
        {"term_days": 10**9},
        {"price_fen": 2**60},
        {"acceptance_days": -1},
        {"mechanism": "raffle"},
        {"right": "ownership"},
        {"deal": "gift"},
        {"purposes": []},
        {"territories": []},
    ],
)
def test_absurd_terms_are_refused(venue: Venue, merchant: Person, change: dict[str, Any]) -> None:
    body = {"product": venue.product(merchant), "board": "general", "terms": venue.terms(**change)}
    answer = merchant.post("/v1/listings", body)
    assert answer.status_code in (400, 422), answer.text
    refused(answer, answer.status_code)


def test_an_unknown_board_or_product_is_not_found(venue: Venue, merchant: Person) -> None:
    body = {"product": venue.product(merchant), "board": "moonshine", "terms": venue.terms()}
    assert merchant.post("/v1/listings", body).status_code in (400, 404, 422)
    body = {"product": "D999999", "board": "general", "terms": venue.terms()}
    refused(merchant.post("/v1/listings", body), 404, "not_found")
