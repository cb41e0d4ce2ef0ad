"""Issue 5, "Metered plans": base fee, graduated tiers, packages, monthly cap, bills from usage records, notice of a rise.

What the checks expect; more members are welcome:

    POST /v1/bills/quote                     {plan, units} -> {total_fen, lines: [{amount_fen}]}, without the setup fee
    POST /v1/listings/{listing}/subscriptions  -> {subscription, trade, entitlement}
    GET  /v1/subscriptions/{subscription}      -> {state, until, ...}
    GET  /v1/subscriptions/{subscription}/bills -> [{month: "2026-12", units, lines, total_fen, fee_fen, state: paid | due}]
                                                oldest first; months are Beijing's; a bill is paid from the buyer's balance
"""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.acceptance.floor import killed, not_taken, refunded, verified
from tests.story import Person, Venue, done, instant, refused

BEIJING = ZoneInfo("Asia/Shanghai")
MONEY = 10_000_000


def tier(up_to_units: int | None, price_fen: int, per_units: int = 1) -> dict[str, Any]:
    return {"up_to_units": up_to_units, "price_fen": price_fen, "per_units": per_units}


def plan(*tiers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"setup_fen": 0, "base_fee_fen": 0, "tiers": list(tiers), "pay_days": 10, **changes}


GRADUATED = plan(tier(100_000, 4), tier(5_000_000, 35, 10), tier(None, 3))
"""cloud.baidu.com/doc/PNVS/s/ak6efpodq: 0.040, 0.035 and 0.030 CNY a call, by calendar month, with its own worked bills."""
TWO_STEPS = plan(tier(100, 4), tier(None, 10), setup_fen=500, base_fee_fen=1_000)
"""Red Hat 3scale's pricing rules, cents read as fen: 0.04 up to 100, 0.10 beyond; setup 5, monthly 10."""
CAPPED = plan(tier(None, 5), base_fee_fen=1_000, monthly_cap_fen=3_000)
"""Snowflake's usage plan: a monthly access fee and a price per query, capped by a maximum monthly charge."""


@pytest.fixture
def merchant(venue: Venue) -> Person:
    """Anew in each story: together they last longer than an accreditation."""
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer(cash_fen=MONEY)


def on_sale(venue: Venue, merchant: Person, terms: dict[str, Any]) -> str:
    return venue.listing(merchant, mechanism="metered", term_days=400, plan=terms)


def to_the_first(venue: Venue, months: int = 1) -> None:
    """One minute after midnight, Beijing time, on the first day of a month to come."""
    for _ in range(months):
        now = venue.now().astimezone(BEIJING)
        first = (now.replace(day=1) + datetime.timedelta(days=32)).replace(day=1, hour=0, minute=1, second=0)
        venue.advance(seconds=int((first - now).total_seconds()) + 1)


def on_the_first(venue: Venue) -> None:
    """So that the first month is a whole one."""
    if venue.now().astimezone(BEIJING).day != 1:
        to_the_first(venue)


def month_of(venue: Venue) -> str:
    return venue.now().astimezone(BEIJING).strftime("%Y-%m")


def ask(venue: Venue, buyer: Person, listing: str, months: int = 12, **changes: Any) -> httpx.Response:
    venue.agree(buyer, listing)
    body = {"months": months, "purpose": "market_analysis", "territory": "CN", **changes}
    return buyer.post(f"/v1/listings/{listing}/subscriptions", body)


def subscribe(venue: Venue, merchant: Person, buyer: Person, listing: str, months: int = 12) -> str:
    """Subscribed, access given and accepted."""
    made = done(ask(venue, buyer, listing, months), 201)
    body = {"kind": "address", "url": "https://api.shuji.example/teu"}
    done(merchant.post(f"/v1/trades/{made['trade']}/delivery", body))
    venue.accept(buyer, made["trade"])
    return str(made["subscription"])


def use(venue: Venue, merchant: Person, subscription: str, **records: int) -> httpx.Response:
    """Usage as the merchant reports it: id=units, used now."""
    said = [{"id": name, "units": units, "at": instant(venue.now())} for name, units in records.items()]
    return merchant.post(f"/v1/subscriptions/{subscription}/usage", {"records": said})


def bills(person: Person, subscription: str) -> list[dict[str, Any]]:
    return list(person.every(f"/v1/subscriptions/{subscription}/bills"))


# -- what a month costs


@pytest.mark.parametrize(
    ("terms", "units", "total_fen"),
    [
        pytest.param(GRADUATED, 20_000, 80_000, id="20,000 calls are 800 CNY"),
        pytest.param(GRADUATED, 1_000_000, 3_550_000, id="1,000,000 calls are 35,500 CNY"),
        pytest.param(GRADUATED, 6_000_000, 400_000 + 17_150_000 + 3_000_000, id="all three tiers"),
        pytest.param({**TWO_STEPS, "base_fee_fen": 0}, 100, 400, id="100 calls are 4.00"),
        pytest.param({**TWO_STEPS, "base_fee_fen": 0}, 101, 410, id="101 calls are 4.10"),
        pytest.param(CAPPED, 100, 1_500, id="below the cap"),
        pytest.param(CAPPED, 400, 3_000, id="at the cap"),
        pytest.param(CAPPED, 1_000_000, 3_000, id="the cap"),
        pytest.param(GRADUATED, 0, 0, id="nothing used, nothing owed"),
    ],
)
def test_worked_bills(venue: Venue, buyer: Person, terms: dict[str, Any], units: int, total_fen: int) -> None:
    told = done(buyer.post("/v1/bills/quote", {"plan": terms, "units": units}))
    assert told["total_fen"] == total_fen


def test_a_package_is_used_first(venue: Venue, buyer: Person) -> None:
    packed = plan(tier(None, 10), package={"units": 1_000, "price_fen": 5_000, "valid_days": 365})
    for units, total_fen in ((1, 5_000), (1_000, 5_000), (1_200, 7_000)):
        told = done(buyer.post("/v1/bills/quote", {"plan": packed, "units": units}))
        assert told["total_fen"] == total_fen


@pytest.mark.parametrize(
    "wrong",
    [
        plan(tier(100, 4)),
        plan(tier(100, 4), tier(100, 5), tier(None, 6)),
        plan(tier(None, 4), tier(100, 5)),
        plan(tier(None, 4, 0)),
        plan(tier(None, -1)),
        plan(tier(None, 4), base_fee_fen=-1),
    ],
)
def test_absurd_plans_are_refused(venue: Venue, buyer: Person, wrong: dict[str, Any]) -> None:
    answer = buyer.post("/v1/bills/quote", {"plan": wrong, "units": 10})
    assert answer.status_code in (400, 422), answer.text


# -- bills from usage records


def test_the_setup_fee_is_billed_once(venue: Venue, merchant: Person, buyer: Person) -> None:
    on_the_first(venue)
    subscription = subscribe(venue, merchant, buyer, on_sale(venue, merchant, TWO_STEPS))
    to_the_first(venue, 2)
    assert [bill["total_fen"] for bill in bills(buyer, subscription)] == [1_500, 1_000]


def test_a_bill_is_what_was_used_in_its_month(venue: Venue, merchant: Person, buyer: Person) -> None:
    subscription = subscribe(venue, merchant, buyer, on_sale(venue, merchant, GRADUATED))
    month, before = month_of(venue), (buyer.balance, merchant.balance)
    done(use(venue, merchant, subscription, a=60_000, b=60_000))
    assert bills(buyer, subscription) == [] or bills(buyer, subscription)[0]["state"] != "paid"
    to_the_first(venue)
    done(use(venue, merchant, subscription, c=1))
    [bill] = [one for one in bills(buyer, subscription) if one["month"] == month]
    assert (bill["units"], bill["total_fen"], bill["state"]) == (120_000, 400_000 + 70_000, "paid")
    assert sum(line["amount_fen"] for line in bill["lines"]) == bill["total_fen"]
    assert [line["amount_fen"] for line in bill["lines"] if line["amount_fen"]] == [400_000, 70_000]
    assert before[0] - buyer.balance == 470_000
    assert merchant.balance - before[1] == 470_000 - bill["fee_fen"], "net is gross less fees"
    assert bills(merchant, subscription) == bills(buyer, subscription)


def test_a_record_that_is_sent_again_counts_once(venue: Venue, merchant: Person, buyer: Person) -> None:
    subscription = subscribe(venue, merchant, buyer, on_sale(venue, merchant, GRADUATED))
    for _ in range(2):
        done(use(venue, merchant, subscription, a=100, b=200))
    to_the_first(venue)
    assert bills(buyer, subscription)[0]["units"] == 300


def test_who_reports_usage_and_of_when(venue: Venue, merchant: Person, buyer: Person) -> None:
    subscription = subscribe(venue, merchant, buyer, on_sale(venue, merchant, GRADUATED))
    for person in (buyer, venue.merchant()):
        assert use(venue, person, subscription, a=1).status_code in (403, 404)
    path = f"/v1/subscriptions/{subscription}/usage"
    ahead = {"records": [{"id": "z", "units": 1, "at": venue.in_days(1)}]}
    for body in (ahead, {"records": [{"id": "z", "units": -1, "at": instant(venue.now())}]}):
        answer = merchant.post(path, body)
        assert answer.status_code in (400, 409, 422), answer.text
    done(use(venue, merchant, subscription, a=1))
    refused(venue.buyer(cash_fen=0).get(f"/v1/subscriptions/{subscription}"), 404, "not_found")


def test_a_package_ends(venue: Venue, merchant: Person, buyer: Person) -> None:
    packed = plan(tier(None, 10), package={"units": 1_000, "price_fen": 5_000, "valid_days": 40})
    on_the_first(venue)
    subscription = subscribe(venue, merchant, buyer, on_sale(venue, merchant, packed))
    done(use(venue, merchant, subscription, a=300))
    to_the_first(venue)
    done(use(venue, merchant, subscription, b=100))
    venue.advance(days=20)
    done(use(venue, merchant, subscription, c=100))
    to_the_first(venue)
    totals = [bill["total_fen"] for bill in bills(buyer, subscription)]
    assert totals == [5_000, 1_000], "200 of the second month, half of them after the package had ended"


def test_a_bill_that_cannot_be_paid(venue: Venue, merchant: Person) -> None:
    poor = venue.buyer(cash_fen=2_000)
    subscription = subscribe(venue, merchant, poor, on_sale(venue, merchant, plan(tier(None, 10))))
    done(use(venue, merchant, subscription, a=1_000))
    to_the_first(venue)
    [bill] = bills(poor, subscription)
    assert (bill["total_fen"], bill["state"]) == (10_000, "due")
    venue.advance(days=11)
    assert done(poor.get(f"/v1/subscriptions/{subscription}"), 200)["state"] == "suspended"
    not_taken(use(venue, merchant, subscription, b=1))
    venue.cash_in(poor, 10_000)
    venue.advance(days=1)
    assert bills(poor, subscription)[0]["state"] == "paid"


def test_a_subscription_lasts_its_months(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = on_sale(venue, merchant, TWO_STEPS)
    for months in (0, 37):
        answer = ask(venue, buyer, listing, months)
        assert answer.status_code in (400, 422), answer.text
    not_taken(ask(venue, buyer, listing, purpose="advertising"))
    on_the_first(venue)
    subscription = subscribe(venue, merchant, buyer, listing, 2)
    to_the_first(venue, 3)
    assert done(buyer.get(f"/v1/subscriptions/{subscription}"), 200)["state"] == "ended"
    not_taken(use(venue, merchant, subscription, late=1))
    assert sum(bill["total_fen"] for bill in bills(buyer, subscription)) == 500 + 2 * 1_000


# -- a change of price


def change(merchant: Person, listing: str, terms: dict[str, Any], **more: Any) -> httpx.Response:
    return merchant.post(f"/v1/listings/{listing}/plan", {"plan": terms, **more})


def test_a_rise_binds_from_the_first_of_a_month_90_days_later(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    listing = on_sale(venue, merchant, plan(tier(None, 1), base_fee_fen=1_000))
    on_the_first(venue)
    subscription = subscribe(venue, merchant, buyer, listing, 12)
    not_taken(
        change(merchant, listing, plan(tier(None, 1), base_fee_fen=2_000), effective_from=venue.in_days(30))
    )
    notice = venue.now()
    done(change(merchant, listing, plan(tier(None, 1), base_fee_fen=2_000)))
    to_the_first(venue, 5)
    binds = (notice + datetime.timedelta(days=90)).astimezone(BEIJING)
    binds = (binds.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
    told = {bill["month"]: bill["total_fen"] for bill in bills(buyer, subscription)}
    assert len(told) == 5
    assert told == {month: 2_000 if month >= binds.strftime("%Y-%m") else 1_000 for month in told}
    assert set(told.values()) == {1_000, 2_000}


def test_who_subscribes_again_pays_the_new_price(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = on_sale(venue, merchant, plan(tier(None, 1), base_fee_fen=1_000))
    on_the_first(venue)
    subscription = subscribe(venue, merchant, buyer, listing, 1)
    done(change(merchant, listing, plan(tier(None, 1), base_fee_fen=2_000)))
    to_the_first(venue)
    done(venue.offer_contract(merchant, listing), 201)  # at another price: both sides sign it
    done(venue.sign_contract(buyer, listing), 201)
    again = subscribe(venue, merchant, buyer, listing, 1)
    to_the_first(venue)
    assert [bills(buyer, one)[0]["total_fen"] for one in (subscription, again)] == [1_000, 2_000]


def test_a_decrease_is_there_at_once(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = on_sale(venue, merchant, plan(tier(None, 1), base_fee_fen=1_000))
    on_the_first(venue)
    done(change(merchant, listing, plan(tier(None, 1), base_fee_fen=500)))
    refused(change(venue.merchant(), listing, CAPPED), 404, "not_found")
    subscription = subscribe(venue, merchant, buyer, listing)
    to_the_first(venue)
    assert bills(buyer, subscription)[0]["total_fen"] == 500


# -- the whole way


def test_a_plan_to_its_payment_through_kill_9(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = on_sale(venue, merchant, TWO_STEPS)
    on_the_first(venue)
    made = done(ask(venue, buyer, listing), 201)
    killed(venue)
    body = {"kind": "address", "url": "https://api.shuji.example/teu"}
    done(merchant.post(f"/v1/trades/{made['trade']}/delivery", body))
    killed(venue)
    venue.accept(buyer, made["trade"])
    done(use(venue, merchant, made["subscription"], a=101))
    killed(venue)
    to_the_first(venue)
    killed(venue)
    [bill] = bills(buyer, made["subscription"])
    assert (bill["total_fen"], bill["state"]) == (500 + 1_000 + 410, "paid")
    verified(venue)


def test_a_plan_to_its_refund(venue: Venue, merchant: Person, buyer: Person) -> None:
    made = done(ask(venue, buyer, on_sale(venue, merchant, TWO_STEPS)), 201)
    refunded(venue, buyer, made["trade"], MONEY)
    not_taken(use(venue, merchant, made["subscription"], a=1))
    to_the_first(venue)
    assert buyer.balance == MONEY
