"""Issue 4, "Revenue distribution" (M13): who is paid what of a sale, and the yearly ceiling of public data.

What the checks expect; more members are welcome:

    POST /v1/products         shares: [[participant, basis points, role], ...]; role: resource_holder, processor, operator,
                              contributor, broker; without a role it is a contributor's
    GET  /v1/revenue/distributions    one's own; reviewer, operator and auditor all
         items: trade, amount_fen, parts: role, account, amount_fen (add up to the price)
    GET  /v1/boards/{board}   public_data_share_bp, the board's setting
    POST /v1/revenue/ceilings {operator, year, ceiling_fen, decision_sha256} -> 201    reviewer
    GET  /v1/revenue/ceilings?operator=
         items: operator, year, ceiling_fen, carried_fen, allowed_fen, earned_fen, over_fen
"""

from typing import Any

import pytest

from tests.story import Person, Venue, done, refused, sha256_of

ROLES = ("resource_holder", "processor", "operator", "contributor", "broker")
PUBLIC: dict[str, Any] = {
    "classification": {"origin": "public", "open_class": "unconditional"},
    "source": {"channel": "authorised_operation"},
}


def distribution(asked_by: Person, trade: str) -> dict[str, Any]:
    [row] = [row for row in asked_by.every("/v1/revenue/distributions") if row["trade"] == trade]
    return dict(row)


def sold(venue: Venue, merchant: Person, listing: str) -> str:
    """A completed sale to a new buyer; gives the trade's id."""
    buyer = venue.buyer()
    trade = venue.trade(buyer, listing)
    venue.complete(merchant, buyer, trade)
    return trade


def ceiling(venue: Venue, operator: Person, year: int) -> dict[str, Any]:
    rows = list(venue.desk.every("/v1/revenue/ceilings", operator=operator.participant))
    [row] = [row for row in rows if row["year"] == year]
    assert row["operator"] == operator.participant
    return dict(row)


def set_ceiling(venue: Venue, operator: Person, year: int, ceiling_fen: int) -> dict[str, Any]:
    body = {"operator": operator.participant, "year": year, "ceiling_fen": ceiling_fen}
    body["decision_sha256"] = sha256_of(f"price decision {year}")
    made: dict[str, Any] = done(venue.desk.post("/v1/revenue/ceilings", body), 201)
    return made


def test_each_role_is_paid_its_declared_share_on_acceptance(venue: Venue) -> None:
    """Line: "shares declared at registration for resource holder, processor, operator, contributors, broker;
    split on acceptance"."""
    merchant, people = venue.merchant(), [venue.buyer(cash_fen=0) for _ in ROLES]
    shares = [
        [person.participant, 500 + 100 * place, role]
        for place, (person, role) in enumerate(zip(people, ROLES, strict=True))
    ]
    listing = venue.listing(merchant, venue.product(merchant, shares=shares), price_fen=1_000_000)
    buyer = venue.buyer()
    trade = venue.trade(buyer, listing)
    venue.hand_over(merchant, trade)
    assert [person.balance for person in people] == [0] * len(people), "nobody is paid before acceptance"
    venue.accept(buyer, trade)
    row = distribution(venue.operator, trade)
    parts = {part["account"]: part for part in row["parts"]}
    rest = 1_000_000 - venue.read_trade(trade, merchant)["fee_fen"]
    for person, (_, share_bp, role) in zip(people, shares, strict=True):
        part = parts[person.participant]
        assert (part["role"], part["amount_fen"]) == (role, rest * int(str(share_bp)) // 10_000)
        assert person.balance == part["amount_fen"]
    assert sum(part["amount_fen"] for part in row["parts"]) == row["amount_fen"] == 1_000_000


@pytest.mark.parametrize("price_fen", [1, 3, 101, 33_331])
def test_remainders_go_by_a_stated_rule(venue: Venue, price_fen: int) -> None:
    """Line: "remainders by a stated rule": not one fen is lost, and the same sale is split the same again."""
    merchant, people = venue.merchant(), [venue.buyer(cash_fen=0) for _ in range(3)]
    shares = [[person.participant, 3_333, "processor"] for person in people]
    listing = venue.listing(merchant, venue.product(merchant, shares=shares), price_fen=price_fen)
    first, second = (distribution(venue.operator, sold(venue, merchant, listing))["parts"] for _ in range(2))
    assert first == second
    assert sum(part["amount_fen"] for part in first) == price_fen
    assert all(part["amount_fen"] >= 0 for part in first)


def test_a_share_of_no_known_role_is_refused(venue: Venue) -> None:
    """Line: "shares declared at registration for ...": another word is an error and not a role."""
    merchant, other = venue.merchant(), venue.buyer(cash_fen=0)
    refused(venue.submit_product(merchant, shares=[[other.participant, 500, "friend"]]), 400, "malformed")
    done(venue.submit_product(merchant, shares=[[other.participant, 500, "broker"]]), 201)


def test_those_who_are_paid_see_the_distribution(venue: Venue) -> None:
    """Line: "Every register, report and duty is reachable over the API with its role"."""
    merchant, broker = venue.merchant(), venue.buyer(cash_fen=0)
    product = venue.product(merchant, shares=[[broker.participant, 700, "broker"]])
    trade = sold(venue, merchant, venue.listing(merchant, product))
    for person in (merchant, broker, venue.desk, venue.auditor()):
        assert distribution(person, trade)["amount_fen"] == 50_000
    rows = list(venue.buyer(cash_fen=0).every("/v1/revenue/distributions"))
    assert rows == []


def test_the_boards_share_of_public_data_is_set_apart(venue: Venue) -> None:
    """Line: "a public-data share adjustable by the board": what the board's page says is what a sale pays."""
    share_bp = done(venue.http.get("/v1/boards/public_data"), 200)["public_data_share_bp"]
    assert isinstance(share_bp, int)
    merchant = venue.merchant()
    listing = venue.listing(merchant, venue.product(merchant, **PUBLIC), "public_data", price_fen=100_000)
    trade = sold(venue, merchant, listing)
    row = distribution(venue.operator, trade)
    rest = 100_000 - venue.read_trade(trade, merchant)["fee_fen"]
    public = sum(part["amount_fen"] for part in row["parts"] if part["role"] == "public_data")
    assert public == rest * share_bp // 10_000
    assert done(venue.http.get("/v1/boards/general"), 200)["public_data_share_bp"] == 0


def test_a_ceiling_is_a_reviewers_entry_with_its_decision(venue: Venue) -> None:
    """Line: "a ceiling per public-data operator and year": entered by a reviewer, out of the authority's decision."""
    merchant, year = venue.merchant(), venue.now().year
    body = {"operator": merchant.participant, "year": year, "ceiling_fen": 90_000}
    whole = {**body, "decision_sha256": sha256_of("decision")}
    refused(merchant.post("/v1/revenue/ceilings", whole), 403, "forbidden")
    assert venue.desk.post("/v1/revenue/ceilings", body).status_code in (400, 422), "no decision"
    set_ceiling(venue, merchant, year, 90_000)
    [own] = list(merchant.every("/v1/revenue/ceilings"))
    assert (own["ceiling_fen"], own["earned_fen"], own["over_fen"]) == (90_000, 0, 0)
    assert list(venue.merchant().every("/v1/revenue/ceilings")) == []


def test_the_excess_of_a_year_is_deducted_from_the_next(venue: Venue) -> None:
    """Line: "a ceiling per public-data operator and year with the excess deducted from the next (发改价格〔2025〕65号)"."""
    merchant, year = venue.merchant(), venue.now().year
    set_ceiling(venue, merchant, year, 100_000)
    set_ceiling(venue, merchant, year + 1, 80_000)
    listing = venue.listing(merchant, venue.product(merchant, **PUBLIC), "public_data")
    year_of_sale = venue.now().year
    assert year_of_sale == year, "the public notice did not cross the new year"
    for earned in (50_000, 100_000):
        sold(venue, merchant, listing)
        row = ceiling(venue, merchant, year)
        assert (row["earned_fen"], row["over_fen"], row["allowed_fen"]) == (earned, 0, 100_000)
    sold(venue, merchant, listing)
    row = ceiling(venue, merchant, year)
    assert (row["earned_fen"], row["over_fen"]) == (150_000, 50_000)
    following = ceiling(venue, merchant, year + 1)
    assert (following["carried_fen"], following["allowed_fen"]) == (50_000, 30_000)
    ordinary = venue.listing(merchant)
    sold(venue, merchant, ordinary)
    assert ceiling(venue, merchant, year)["earned_fen"] == 150_000, "only public data counts"
