"""Issue, "The path of a trade", steps 5 and 6: money, orders, the book, off-venue reports."""

from typing import Any

import pytest

from tests.story import Person, Venue, done, parsed, refused, settled, sha256_of, unlawful


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant("buyer")


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def posted(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant)


@pytest.fixture
def book(venue: Venue, merchant: Person) -> str:
    return venue.book_listing(merchant)


def sell(venue: Venue, seller: Person, book: str, quantity: int, limit_fen: int) -> str:
    placed = done(venue.order(seller, book, quantity, side="sell", limit_fen=limit_fen), 201)
    return str(placed["order"])


def depth(venue: Venue, book: str) -> Any:
    return done(venue.http.get(f"/v1/listings/{book}/book"), 200)


# -- step 5: money


def test_cash_in_is_booked_by_the_operator_alone(venue: Venue, buyer: Person) -> None:
    body = {"participant": buyer.participant, "amount_fen": 100, "bank_reference": "BANK-self"}
    refused(buyer.post("/v1/cash-in", body), 403, "forbidden")
    refused(venue.desk.post("/v1/cash-in", body), 403, "forbidden")


def test_a_bank_reference_is_booked_once(venue: Venue) -> None:
    buyer = venue.buyer(cash_fen=0)
    body = {"participant": buyer.participant, "amount_fen": 100, "bank_reference": "BANK-once"}
    done(venue.operator.post("/v1/cash-in", body), 201)
    refused(venue.operator.post("/v1/cash-in", body), 409, "already_exists")
    assert buyer.account() == {"asset": "CNY", "balance": 100, "reserved": 0, "available": 100}


def test_the_buyer_previews_the_sample_and_orders(venue: Venue, buyer: Person, posted: str) -> None:
    product = done(buyer.get(f"/v1/listings/{posted}"), 200)["product"]
    assert "1200" in str(done(buyer.get(f"/v1/products/{product}/sample"), 200))
    placed = done(venue.order(buyer, posted), 201)
    assert (placed["state"], placed["filled"], placed["remaining"]) == ("filled", 1, 0)
    assert placed["trades"][0]["amount_fen"] == 50_000
    assert placed["trades"][0]["entitlement"]


def test_money_is_reserved_while_an_order_rests(venue: Venue, buyer: Person, book: str) -> None:
    before = buyer.account()
    order = done(venue.order(buyer, book, 10, limit_fen=700), 201)
    assert order["state"] == "open"
    during = buyer.account()
    assert during["balance"] == before["balance"]
    assert during["reserved"] == before["reserved"] + 7_000
    assert during["available"] == during["balance"] - during["reserved"]
    closed = done(buyer.delete(f"/v1/orders/{order['order']}"), 200)
    assert (closed["state"], closed["closed_reason"]) == ("closed", "cancelled")
    assert buyer.account() == before
    refused(buyer.delete(f"/v1/orders/{order['order']}"), 409, "wrong_state")


def test_no_order_without_its_money(venue: Venue, posted: str) -> None:
    poor = venue.buyer(cash_fen=49_999)
    refused(venue.order(poor, posted), 409, "funds_insufficient")
    venue.cash_in(poor, 1)
    venue.trade(poor, posted)
    assert poor.account()["available"] == 0


def test_an_order_outside_the_listings_terms(venue: Venue, buyer: Person, posted: str) -> None:
    refused(venue.order(buyer, posted, purpose="advertising"), 422, "outside_terms")
    refused(venue.order(buyer, posted, territory="US"), 422, "outside_terms")


def test_limited_supply_ends(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, supply="limited", supply_units=2)
    venue.trade(buyer, listing, 2)
    refused(venue.order(buyer, listing), 409, "supply_exhausted")


def test_an_exclusive_licence_is_sold_once(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, deal="exclusive_licence", supply="exclusive", supply_units=1)
    venue.trade(buyer, listing)
    other = venue.order(venue.buyer(), listing)
    assert other.status_code in (409, 422), other.text


def test_a_limit_below_the_posted_price_buys_nothing(venue: Venue, buyer: Person, posted: str) -> None:
    before = buyer.account()
    answer = venue.order(buyer, posted, limit_fen=49_999, time_in_force="ioc")
    if answer.status_code == 201:
        assert answer.json()["filled"] == 0
    else:
        refused(answer, 409, "nothing_to_match")
    assert buyer.account() == before


# -- step 6: the book


def test_the_merchant_starts_with_the_units(venue: Venue, merchant: Person, book: str) -> None:
    assert merchant.account(f"unit:{book}")["balance"] == 1_000


def test_a_limit_order_matches_at_the_makers_price(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    sell(venue, merchant, book, 10, 800)
    before = buyer.account()
    placed = done(venue.order(buyer, book, 4, limit_fen=1_000), 201)
    assert placed["state"] == "filled"
    [trade] = placed["trades"]
    assert (trade["price_fen"], trade["quantity"], trade["amount_fen"]) == (800, 4, 3_200)
    after = buyer.account()
    assert before["balance"] - after["balance"] == 3_200
    assert after["reserved"] == before["reserved"]
    assert buyer.account(f"unit:{book}")["balance"] == 4
    assert merchant.account(f"unit:{book}") == {
        "asset": f"unit:{book}",
        "balance": 996,
        "reserved": 6,
        "available": 990,
    }


def test_units_change_hands_against_payment_at_once(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    sell(venue, merchant, book, 1, 1_000)
    before = merchant.balance
    trade = venue.read_trade(settled(venue.order(buyer, book, limit_fen=1_000)), buyer)
    assert merchant.balance - before == trade["merchant_fen"] == trade["amount_fen"] - trade["fee_fen"]


def test_price_then_time(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    dear = sell(venue, merchant, book, 1, 900)
    early = sell(venue, merchant, book, 1, 800)
    late = sell(venue, merchant, book, 1, 800)
    placed = done(venue.order(buyer, book, 2, limit_fen=900), 201)
    assert [trade["price_fen"] for trade in placed["trades"]] == [800, 800]
    states = [done(merchant.get(f"/v1/orders/{order}"), 200)["state"] for order in (dear, early, late)]
    assert states == ["open", "filled", "filled"]


def test_the_rest_of_a_limit_order_rests(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    sell(venue, merchant, book, 3, 800)
    placed = done(venue.order(buyer, book, 5, limit_fen=800), 201)
    assert (placed["filled"], placed["remaining"]) == (3, 2)
    shown = depth(venue, book)
    assert shown["bids"] == [{"price_fen": 800, "quantity": 2, "orders": 1}]
    assert shown["asks"] == []
    assert shown["last_fen"] == 800


def test_the_rest_of_an_ioc_order_is_gone(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    sell(venue, merchant, book, 3, 800)
    before = buyer.account()
    placed = done(venue.order(buyer, book, 5, limit_fen=800, time_in_force="ioc"), 201)
    assert (placed["state"], placed["filled"]) == ("closed", 3)
    assert placed["closed_reason"] == "ioc"
    assert buyer.account()["reserved"] == before["reserved"]
    assert depth(venue, book)["bids"] == []


def test_a_market_order_walks_the_book(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    sell(venue, merchant, book, 1, 800)
    sell(venue, merchant, book, 1, 850)
    placed = done(venue.order(buyer, book, 2), 201)
    assert [trade["price_fen"] for trade in placed["trades"]] == [800, 850]
    assert placed["state"] == "filled"


def test_a_market_order_finds_nobody(venue: Venue, buyer: Person, book: str) -> None:
    before = buyer.account()
    answer = venue.order(buyer, book)
    if answer.status_code == 201:
        assert answer.json()["state"] == "closed"
        assert answer.json()["filled"] == 0
    else:
        refused(answer, 409, "nothing_to_match")
    assert buyer.account() == before


def test_nobody_trades_with_themselves_or_their_owner(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    holder = venue.merchant("buyer")
    sister = venue.buyer(owner_id=f"owner-{holder.uscc}")
    venue.cash_in(holder, 1_000_000)
    sell(venue, merchant, book, 5, 500)
    done(venue.order(holder, book, 5, limit_fen=500), 201)
    sell(venue, holder, book, 5, 600)
    for related in (holder, sister):
        units = related.account(f"unit:{book}")["balance"]
        placed = done(venue.order(related, book, 1, limit_fen=600), 201)
        assert [trade for trade in placed["trades"] if trade["state"] == "settled"] == []
        assert related.account(f"unit:{book}")["balance"] == units
        if placed["state"] == "open":
            done(related.delete(f"/v1/orders/{placed['order']}"), 200)
    other = done(venue.order(venue.buyer(), book, 1, limit_fen=600), 201)
    assert other["filled"] == 1, "the maker keeps its place for everybody else"


def test_holders_resell_when_accredited(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    """Rule E01 asks a credential of every seller, so a holder who is no accredited merchant cannot resell."""
    holder = venue.merchant("buyer")
    venue.cash_in(holder, 1_000_000)
    sell(venue, merchant, book, 4, 800)
    done(venue.order(holder, book, 2, limit_fen=800), 201)
    done(venue.order(buyer, book, 2, limit_fen=800), 201)
    refused(venue.order(buyer, book, 1, side="sell", limit_fen=900), 403, "not_accredited")
    sell(venue, holder, book, 2, 900)
    third = venue.buyer()
    trade = venue.read_trade(settled(venue.order(third, book, 2, limit_fen=900)), third)
    assert (trade["seller"], trade["buyer"]) == (holder.participant, third.participant)
    assert third.account(f"unit:{book}")["balance"] == 2


def test_nobody_sells_what_they_have_not(venue: Venue, book: str) -> None:
    answer = venue.order(venue.merchant(), book, 1, side="sell", limit_fen=900)
    refused(answer, 409, "units_insufficient")


def test_quantities_are_multiples_of_the_unit_of_price(venue: Venue, merchant: Person, buyer: Person) -> None:
    book = venue.book_listing(merchant, price_per_units=10)
    answer = venue.order(buyer, book, 15, limit_fen=1_000)
    assert answer.status_code in (400, 422), answer.text
    done(venue.order(buyer, book, 20, limit_fen=1_000), 201)


def test_an_order_that_was_cancelled_leaves_no_price_behind(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    best = sell(venue, merchant, book, 1, 700)
    sell(venue, merchant, book, 1, 800)
    done(merchant.delete(f"/v1/orders/{best}"), 200)
    assert depth(venue, book)["asks"] == [{"price_fen": 800, "quantity": 1, "orders": 1}]
    placed = done(venue.order(buyer, book, 1, limit_fen=800), 201)
    assert placed["trades"][0]["price_fen"] == 800


def test_orders_are_their_owners(venue: Venue, buyer: Person, book: str) -> None:
    order = done(venue.order(buyer, book, limit_fen=500), 201)["order"]
    stranger = venue.buyer(cash_fen=0)
    refused(stranger.get(f"/v1/orders/{order}"), 404, "not_found")
    refused(stranger.delete(f"/v1/orders/{order}"), 404, "not_found")
    assert order in {item["order"] for item in buyer.every("/v1/orders", state="open")}
    done(buyer.delete(f"/v1/orders/{order}"), 200)
    assert order in {item["order"] for item in buyer.every("/v1/orders", state="closed")}
    assert order not in {item["order"] for item in buyer.every("/v1/orders", state="open")}


def test_a_refused_order_is_recorded(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant)
    listing = venue.listing(merchant, product)
    done(venue.record(product, "risk_confirmed"))
    unlawful(venue.order(buyer, listing), "A03")
    mine = [item for item in buyer.every("/v1/refusals") if item.get("listing") == listing]
    assert len(mine) == 1
    assert "A03" in str(mine[0])
    everybodys = venue.operator.every("/v1/refusals")
    assert any(item.get("listing") == listing for item in everybodys)
    assert not list(venue.buyer(cash_fen=0).every("/v1/refusals"))


def test_a_verdict_stores_what_it_was_made_from(venue: Venue, buyer: Person, posted: str) -> None:
    trade = venue.read_trade(venue.trade(buyer, posted), buyer)
    verdict = trade["verdict"]
    assert verdict["outcome"] == "allow"
    rulebook = done(venue.http.get("/v1/venue"), 200)["rulebook"]
    assert verdict["rulebook_sha256"] == rulebook["sha256"]
    assert len(bytes.fromhex(verdict["facts_sha256"])) == 32
    assert verdict["at"]


# -- off the venue


def report(
    venue: Venue, who: Person, other: Person, listing: str, side: str, **changes: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "listing": listing,
        "side": side,
        "counterparty": other.participant,
        "quantity": 1,
        "price_fen": 30_000,
        "purpose": "market_analysis",
        "territory": "CN",
        "contract_sha256": sha256_of("contract"),
        **changes,
    }
    answer: dict[str, Any] = done(who.post("/v1/trade-reports", body), 201)
    return answer


def test_an_off_venue_trade_is_reported_by_both_and_settled(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    listing = venue.listing(merchant, mechanism="off_venue")
    before = buyer.balance
    assert report(venue, merchant, buyer, listing, "sell")["state"] == "awaiting_counterparty"
    assert buyer.balance == before
    trade = report(venue, buyer, merchant, listing, "buy")
    assert trade["state"] == "settled"
    assert before - buyer.balance == 30_000
    venue.complete(merchant, buyer, trade["trade"])
    assert venue.read_trade(trade["trade"], buyer)["state"] == "completed"


def test_reports_that_differ_settle_nothing(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing, before = venue.listing(merchant, mechanism="off_venue"), buyer.account()
    report(venue, merchant, buyer, listing, "sell")
    second = report(venue, buyer, merchant, listing, "buy", price_fen=29_999)
    assert second["state"] == "awaiting_counterparty"
    assert buyer.account() == before


def test_a_report_is_withdrawn_before_it_is_answered(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, mechanism="off_venue")
    made = report(venue, buyer, merchant, listing, "buy")
    assert parsed(made["until"]) > venue.now()
    path = f"/v1/trade-reports/{made['report']}"
    refused(merchant.delete(path), 404, "not_found")
    assert done(buyer.delete(path), 200)["state"] == "withdrawn"
    assert report(venue, merchant, buyer, listing, "sell")["state"] == "awaiting_counterparty"


def test_an_off_venue_trade_is_judged_like_any_other(venue: Venue, merchant: Person) -> None:
    related = venue.buyer(owner_id=f"owner-{merchant.uscc}")
    listing = venue.listing(merchant, mechanism="off_venue")
    report(venue, merchant, related, listing, "sell")
    body = {
        "listing": listing,
        "side": "buy",
        "counterparty": merchant.participant,
        "quantity": 1,
        "price_fen": 30_000,
        "purpose": "market_analysis",
        "territory": "CN",
        "contract_sha256": sha256_of("contract"),
    }
    answer = related.post("/v1/trade-reports", body)
    if answer.status_code == 201:
        trade = venue.read_trade(answer.json()["trade"], related)
        assert trade["state"] == "refused"
        assert [entry["rule"] for entry in trade["verdict"]["violated"]] == ["E05"]
    else:
        unlawful(answer, "E05")


# -- the books balance


def test_every_asset_sums_to_zero(venue: Venue) -> None:
    sums: dict[str, int] = {}
    for account in venue.auditor().every("/v1/accounts", limit=100):
        sums[account["asset"]] = sums.get(account["asset"], 0) + account["balance"]
    assert "CNY" in sums
    assert {asset: total for asset, total in sums.items() if total} == {}


def test_the_statement_explains_the_balance(venue: Venue, merchant: Person, posted: str) -> None:
    buyer = venue.buyer(cash_fen=200_000)
    trade = venue.trade(buyer, posted)
    venue.complete(merchant, buyer, trade)
    postings = list(buyer.every("/v1/statement"))
    assert postings
    assert any("50000" in str(posting) for posting in postings)
    assert any("200000" in str(posting) for posting in postings)


# -- sent again


def test_the_same_request_id_places_one_order(venue: Venue, merchant: Person, posted: str) -> None:
    """`Idempotency-Key` of the request, as every POST takes it, also where the order has no id of its own."""
    buyer = venue.buyer(cash_fen=10_000_000)
    key, body = venue.new_id(), {"listing": posted, "quantity": 1}
    first = buyer.post("/v1/orders", body, key)
    again = buyer.post("/v1/orders", body, key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    [placed] = buyer.every("/v1/orders")
    assert placed["client_order_id"] == key
    refused(buyer.post("/v1/orders", {**body, "quantity": 2}, key), 409, "id_conflict")


def test_the_same_batch_id_places_its_orders_once(venue: Venue, posted: str) -> None:
    buyer = venue.buyer(cash_fen=10_000_000)
    key, own = venue.new_id(), venue.new_id()
    bodies: list[dict[str, Any]] = [{"listing": posted, "quantity": 1} for _ in range(3)]
    bodies[1]["client_order_id"] = own
    first = buyer.post("/v1/orders/batch", bodies, key)
    again = buyer.post("/v1/orders/batch", bodies, key)
    assert first.status_code == 200
    assert again.content == first.content
    ids = {row["client_order_id"] for row in buyer.every("/v1/orders")}
    assert {key, own} < ids
    assert len(ids) == 3


def test_a_request_id_that_is_none_or_another_than_the_orders_is_refused(
    venue: Venue, buyer: Person, posted: str
) -> None:
    body = {"listing": posted, "quantity": 1}
    before = len(list(buyer.every("/v1/orders")))
    refused(buyer.post("/v1/orders", body, "1"), 400, "malformed")
    refused(buyer.post("/v1/orders/batch", [body], "1"), 400, "malformed")
    refused(
        buyer.post("/v1/orders", {**body, "client_order_id": venue.new_id()}, venue.new_id()),
        400,
        "malformed",
    )
    assert len(list(buyer.every("/v1/orders"))) == before
