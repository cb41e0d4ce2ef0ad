"""Issue 6, "Score and consequences": consequences really bite in the engine, as `casebook` says them.

For each consequence of the published list one action over HTTP: as before while it is noticed, otherwise from the notice's
date on, as before again when the objections are upheld. A refusal names its consequence by the list's own word, the grade,
and what undoes it.
"""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.acceptance.casebook import (
    GENERAL,
    SEVERE,
    Case,
    consequences,
    determined,
    grade,
    in_force,
    rating,
    second_reviewer,
    until,
    upheld,
)
from tests.story import Person, Venue, done, parsed, refused, settled

Outcome = Callable[[], Any]
LADDER = "ABMCD"
COLUMNS = {
    "fee_bp",
    "deposit_fen",
    "most_listings",
    "orders_per_minute",
    "largest_order_fen",
    "pre_review",
    "suspended",
}


@pytest.fixture
def person(venue: Venue) -> Person:
    """Sells and buys, has money, and nothing is known of it."""
    return funded(venue, venue.merchant("buyer"))


def funded(venue: Venue, person: Person) -> Person:
    venue.cash_in(person, 500_000_000)
    return person


def down_to(venue: Venue, person: Person, wanted: str) -> list[Case]:
    """What takes a newcomer to that grade: one severe case, or one general one. Three would use up all the points of
    compliance, and with them the band of C."""
    return [determined(venue, person, SEVERE if wanted == "D" else GENERAL)]


def bites(venue: Venue, person: Person, wanted: str, outcome: Outcome) -> tuple[Any, Any]:
    """(outcome in good standing, outcome in that grade), the first thrice: before, noticed, and upheld."""
    before = outcome()
    cases = down_to(venue, person, wanted)
    assert outcome() == before, "noticed, not yet in force"
    in_force(venue, person, *cases)
    assert grade(person) == wanted
    restricted = outcome()
    assert restricted != before
    upheld(venue, person, *cases)
    in_force(venue, person)
    assert outcome() == before, "as if it had never been"
    return before, restricted


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status, and in a refusal its text."""
    return answer.status_code, json.dumps(answer.json(), ensure_ascii=False) if answer.is_error else ""


def named(outcome: tuple[int, str], consequence: str) -> None:
    status, text = outcome
    assert status >= 400, outcome
    assert consequence in text


def with_deposit(venue: Venue, person: Person, wanted: str) -> None:
    """Paid beforehand, where the deposit is not what is looked at."""
    amount = consequences(person)[wanted]["deposit_fen"]
    if amount:
        done(person.post("/v1/deposits", {"amount_fen": amount}), 201)


def test_the_list_is_published_and_gets_no_easier_downwards(person: Person) -> None:
    """Line: "fee, deposit, listing and order limits, order ceiling, pre-review, suspension"; "Only consequences on the
    published list exist"."""
    found = consequences(person)
    assert set(found) == set(LADDER)
    for row in found.values():
        assert set(row) >= COLUMNS
    assert found["A"]["fee_bp"] < found["M"]["fee_bp"], "an incentive"
    for column in ("fee_bp", "deposit_fen", "pre_review", "suspended"):
        values = [found[one][column] for one in LADDER]
        assert values == sorted(values), column
    for column in ("most_listings", "orders_per_minute", "largest_order_fen"):
        limits = [float("inf") if found[one][column] is None else found[one][column] for one in LADDER]
        assert limits == sorted(limits, reverse=True), column


def test_the_fee(venue: Venue, person: Person) -> None:
    """Line: "Consequences really bite in the engine: fee": basis points of the amount, as the list says."""
    buyer, listing = venue.buyer(), venue.listing(person, price_fen=1_000_000, delivery_days=90)
    with_deposit(venue, person, "C")
    rows = consequences(person)

    def outcome() -> int:
        return int(venue.read_trade(venue.trade(buyer, listing), buyer)["fee_fen"])

    before, restricted = bites(venue, person, "C", outcome)
    assert restricted - before == (rows["C"]["fee_bp"] - rows["M"]["fee_bp"]) * 100


def test_the_deposit(venue: Venue, person: Person) -> None:
    """Line: "deposit": a new listing waits for it; paid, it is taken."""
    product = venue.product(person)

    def outcome() -> tuple[int, str]:
        return submitted(venue, person, product)

    _, restricted = bites(venue, person, "C", outcome)
    named(restricted, "deposit_fen")
    other = funded(venue, venue.merchant("buyer"))
    product = venue.product(other)
    in_force(venue, other, *down_to(venue, other, "C"))
    named(submitted(venue, other, product), "deposit_fen")
    with_deposit(venue, other, "C")
    assert submitted(venue, other, product)[0] < 300


def submitted(venue: Venue, person: Person, product: str) -> tuple[int, str]:
    """A draft is submitted, and returned by the desk where it was taken."""
    body = {"product": product, "board": "general", "terms": venue.terms()}
    drafted = person.post("/v1/listings", {**body, "attributes": venue.filled_in("general")})
    if drafted.is_error:
        return said(drafted)
    listing = drafted.json()["listing"]
    answer = venue.move(listing, "submit", person)
    if not answer.is_error:
        done(venue.move(listing, "return", venue.desk, "测试"))
    return said(answer)


def test_the_number_of_listings(venue: Venue, person: Person) -> None:
    """Line: "listing ... limits": one more than the grade has is not taken; those that there are stay."""
    with_deposit(venue, person, "C")
    product = venue.product(person)
    most = consequences(person)["C"]["most_listings"]
    listings = [venue.listing(person, product, signed=False) for _ in range(most)]
    _, restricted = bites(venue, person, "C", lambda: submitted(venue, person, product))
    named(restricted, "most_listings")
    assert venue.state_of(listings[0]) == "published"


def test_the_rate_of_orders(venue: Venue, person: Person) -> None:
    """Line: "order limits"; "rate limits by grade in the engine's own process": 429, and when to come back."""
    listing = venue.listing(venue.merchant(), price_fen=100)
    most = int(consequences(person)["C"]["orders_per_minute"])

    def outcome() -> tuple[int, str]:
        venue.advance(seconds=61)
        for _ in range(most + 5):
            answer = venue.order(person, listing)
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) > 0
                break
        return said(answer)

    _, restricted = bites(venue, person, "C", outcome)
    assert restricted[0] == 429
    named(restricted, "orders_per_minute")


def test_the_largest_order(venue: Venue, person: Person) -> None:
    """Line: "order ceiling": on whichever side the restricted one stands."""
    other, buyer = venue.merchant(), venue.buyer()
    with_deposit(venue, person, "C")
    price = int(consequences(person)["C"]["largest_order_fen"]) // 2 + 1
    sold, bought = (venue.listing(one, price_fen=price, delivery_days=90) for one in (person, other))

    def outcome() -> list[tuple[int, str]]:
        return [said(venue.order(buyer, sold, 2)), said(venue.order(person, bought, 2))]

    _, restricted = bites(venue, person, "C", outcome)
    for one in restricted:
        if one[0] >= 400:
            named(one, "largest_order_fen")
    settled(venue.order(buyer, venue.listing(other)))


def test_the_review_beforehand(venue: Venue, person: Person) -> None:
    """Line: "pre-review": something that was free is looked at by a reviewer first; what it is, is the list's affair."""
    with_deposit(venue, person, "C")
    assert consequences(person)["C"]["pre_review"]
    buyer, product = venue.buyer(), venue.product(person)
    listing = venue.listing(person, product, delivery_days=90)

    def outcome() -> list[Any]:
        draft = venue.draft(person, product)
        seen = [done(venue.move(draft, "submit", person))["state"]]
        seen.append(venue.move(draft, "approve", venue.desk).json().get("state"))
        placed = venue.order(buyer, listing)
        seen.append([trade["state"] for trade in placed.json().get("trades", [])])
        if venue.state_of(draft) == "published":
            done(venue.move(draft, "withdraw", person))
        return seen

    bites(venue, person, "C", outcome)


def test_the_suspension(venue: Venue, person: Person) -> None:
    """Line: "suspension": nothing new is sold; what was sold before is still delivered and paid."""
    buyer, listing = venue.buyer(), venue.listing(person, delivery_days=90)
    assert consequences(person)["D"]["suspended"]
    earlier = venue.trade(buyer, listing)

    def outcome() -> tuple[int, str]:
        return said(venue.order(buyer, listing))

    _, restricted = bites(venue, person, "D", outcome)
    named(restricted, "suspended")
    venue.complete(person, buyer, earlier)


def test_a_refusal_says_what_undoes_it(venue: Venue, person: Person) -> None:
    """Line: "each with ... reasons": the problem has its code, the consequence, the grade, and the way back."""
    listing = venue.listing(venue.merchant())
    in_force(venue, person, *down_to(venue, person, "D"))
    answer = venue.order(person, listing)
    problem = refused(answer, answer.status_code, "standing_denied")
    assert answer.status_code in (403, 409)
    for word in ("suspended", "D", "objection"):
        assert word in json.dumps(problem), problem


def test_a_grade_comes_back_some_days_after_the_score(venue: Venue, person: Person) -> None:
    """Line: "upgrade with hysteresis": repaired, the score is back at once, the grade on the day that `next` names."""
    cases = down_to(venue, person, "C")
    in_force(venue, person, *cases)
    for case in cases:
        done(person.post(f"/v1/credit/cases/{case['case']}/correction", {"evidence_sha256": "0" * 64}))
    venue.advance(days=93)
    second = second_reviewer(venue)
    for case in cases:
        path = f"/v1/credit/cases/{case['case']}/repair"
        done(person.post(path, {"commitment_sha256": "0" * 64}))
        done(second.post(f"{path}/decision", {"decision": "uphold", "text": "已纠正"}))
    seen = rating(person)
    assert seen["grade"] == "C"
    assert seen["next"]["grade"] == "M"
    assert parsed(seen["next"]["from"]) > venue.now()
    until(venue, seen["next"]["from"])
    assert grade(person) == "M"
