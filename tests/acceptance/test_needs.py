"""Needs and reports over HTTP, beyond what `test_m_needs.py` asks: seals, refused and held awards, a challenge through
kill -9, reports that are found and denied."""

import json
from typing import Any

import pytest

from tests.acceptance.floor import killed, not_taken, paid, struck, verified
from tests.acceptance.test_m_needs import award, need, offer, offered, seen
from tests.acceptance.test_orders import report
from tests.story import Person, Venue, done, refused, rules_named, unlawful

MONEY = 10_000_000
BY_WORK = [
    {"name": "work", "weight_bp": 7_000, "better": "higher"},
    {"name": "price_fen", "weight_bp": 3_000, "better": "lower"},
]


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def rival(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def auditor(venue: Venue) -> Person:
    return venue.auditor()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer(cash_fen=MONEY)


def journal(auditor: Person) -> str:
    return json.dumps(list(auditor.every("/v1/journal", limit=200)), ensure_ascii=False)


# ---- seals


def test_what_is_sealed_is_in_no_answer_before_the_opening(
    venue: Venue, merchant: Person, rival: Person, buyer: Person, auditor: Person
) -> None:
    wanted, words = need(venue, buyer, "tender"), "只有投标人知道 only the tenderer knows"
    first = offered(merchant, wanted, venue.listing(merchant, mechanism="tender"), 47_113, text="旧 old")
    listing = venue.listing(merchant, mechanism="tender")
    changed = done(offer(merchant, wanted, listing, 48_765, text=words), 201)
    assert (changed["proposal"], changed["state"]) == (first, "sealed")
    for person in (buyer, rival, venue.operator, auditor):
        refused(person.get(f"/v1/proposals/{first}"), 404, "not_found")
        shown = person.get(f"/v1/needs/{wanted}").text + person.get("/v1/needs").text
        assert not [secret for secret in ("48765", "47113", words, first) if secret in shown]
    told = journal(auditor)
    assert '"ProposalRevised", "' in told
    assert not [secret for secret in ("48765", "47113", words) if secret in told]
    own = done(merchant.get(f"/v1/proposals/{first}"), 200)
    assert (own["price_fen"], own["text"], len(own["offers"])) == (48_765, words, 2)
    venue.advance(days=3, seconds=60)
    assert "48765" in journal(auditor)
    shown = done(buyer.get(f"/v1/proposals/{first}"), 200)
    assert (shown["price_fen"], shown["text"], shown["state"]) == (48_765, words, "offered")
    assert seen(rival, wanted)["proposals"] == [], "who did not propose waits for the award"
    assert done(venue.http.get(f"/v1/needs/{wanted}"), 200)["count"] == 1
    done(award(venue, buyer, wanted, first, listing))
    [public] = done(venue.http.get(f"/v1/needs/{wanted}"), 200)["proposals"]
    assert (public["price_fen"], public["score_bp"], public["text"]) == (48_765, 10_000, None)


def test_a_tender_that_is_withdrawn_is_never_opened(
    venue: Venue, merchant: Person, buyer: Person, auditor: Person
) -> None:
    wanted = need(venue, buyer, "tender")
    sealed = offered(merchant, wanted, venue.listing(merchant, mechanism="tender"), 46_337)
    done(buyer.post(f"/v1/needs/{wanted}/withdraw", {"reason": "项目取消 cancelled"}))
    venue.advance(days=20)
    assert seen(buyer, wanted)["proposals"] == []
    assert "46337" not in journal(auditor)
    assert done(merchant.get(f"/v1/proposals/{sealed}"), 200)["state"] == "closed"
    assert sealed in {row["proposal"] for row in merchant.every("/v1/proposals")}


def test_those_who_proposed_see_the_opening(
    venue: Venue, merchant: Person, rival: Person, buyer: Person
) -> None:
    wanted = need(venue, buyer, "tender")
    offered(merchant, wanted, venue.listing(merchant, mechanism="tender"), 50_000, text="我方方案")
    offered(rival, wanted, venue.listing(rival, mechanism="tender"), 40_000)
    venue.advance(days=3, seconds=60)
    best, second = seen(rival, wanted)["proposals"]
    assert (best["merchant"], second["merchant"]) == (rival.participant, merchant.participant)
    assert (second["score_bp"], second["points_bp"]) == (8_000, {"price_fen": 8_000})
    assert (second["text"], second["offers"], best["text"]) == (None, None, "方案 offer")


# ---- what clearing says


def test_a_refused_award_names_the_articles_and_the_next_is_awarded(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """A sister company of the buyer asks least; killed before and after the refusal; the id repeats its answer."""
    sister = venue.merchant(owner_id=f"owner-{buyer.uscc}")
    wanted = need(venue, buyer, "tender")
    related, lawful = (venue.listing(person, mechanism="tender") for person in (sister, merchant))
    own, other = offered(sister, wanted, related, 10_000), offered(merchant, wanted, lawful, 50_000)
    venue.advance(days=3, seconds=60)
    not_taken(award(venue, buyer, wanted, other, lawful), "outside_terms")
    venue.agree(buyer, related)
    killed(venue)
    key = venue.new_id()
    first = buyer.post(f"/v1/needs/{wanted}/award", {"proposal": own}, key=key)
    unlawful(first, "E05")
    killed(venue)
    again = buyer.post(f"/v1/needs/{wanted}/award", {"proposal": own}, key=key)
    assert again.json() == first.json()
    shown = seen(buyer, wanted)
    assert (shown["state"], buyer.balance) == ("deciding", MONEY)
    over = next(row for row in shown["proposals"] if row["proposal"] == own)
    assert (over["state"], rules_named(over["violated"])) == ("refused", {"E05"})
    done(award(venue, buyer, wanted, other, lawful))
    [trade] = struck(lawful, buyer)
    paid(venue, merchant, buyer, trade, kill=True)
    verified(venue)


def test_an_award_on_hold_is_settled_when_it_is_cured(venue: Venue, merchant: Person, buyer: Person) -> None:
    wanted = need(venue, buyer, "tender")
    product = venue.product(merchant)
    listing = venue.listing(merchant, product, mechanism="tender")
    best = offered(merchant, wanted, listing, 50_000)
    venue.advance(days=3, seconds=60)
    done(venue.record(product, "objection_raised"))
    told = done(award(venue, buyer, wanted, best, listing))
    assert (told["state"], told["fill"]["state"], told["need_state"]) == ("held", "held", None)
    killed(venue)
    assert seen(buyer, wanted)["state"] == "deciding"
    done(venue.record(product, "objection_settled"))
    assert seen(buyer, wanted)["state"] == "awarded"
    paid(venue, merchant, buyer, told["trade"])
    verified(venue)


# ---- a challenge, killed between any two phases


def test_a_challenge_to_its_payments_through_kill_9(
    venue: Venue, merchant: Person, rival: Person, buyer: Person
) -> None:
    stages = [{"name": "原型 prototype", "shortlist": 2, "until": venue.in_days(6)}]
    wanted = need(venue, buyer, "challenge", criteria=BY_WORK, stages=stages, awards=2)
    people = (merchant, rival, venue.merchant())
    listings = [venue.listing(person, mechanism="quote") for person in people]
    names = [offered(person, wanted, one, 30_000) for person, one in zip(people, listings, strict=True)]
    killed(venue)
    for name, work in zip(names, (90, 80, 70), strict=True):
        _mark(buyer, wanted, name, work)
    venue.advance(days=3, seconds=60)
    killed(venue)
    listed = done(buyer.post(f"/v1/needs/{wanted}/shortlist", {}))
    assert (listed["kept"], listed["eliminated"]) == (names[:2], names[2:])
    killed(venue)
    not_taken(offer(people[2], wanted, listings[2], 1), "wrong_state")
    improved = done(offer(rival, wanted, listings[1], 20_000), 201)
    assert (improved["proposal"], improved["state"]) == (names[1], "offered")
    assert seen(people[2], wanted)["proposals"][0]["score_bp"] == 8_444
    venue.advance(days=3)
    refusal = not_taken(award(venue, buyer, wanted, names[1], listings[1]), "evidence_missing")
    assert names[1] in refusal["detail"]
    _mark(buyer, wanted, names[1], 90)
    assert [row["proposal"] for row in seen(buyer, wanted)["proposals"]][:2] == [names[1], names[0]]
    for at in (1, 0):
        killed(venue)
        done(award(venue, buyer, wanted, names[at], listings[at]))
    assert seen(buyer, wanted)["state"] == "awarded"
    for at in (0, 1):
        [trade] = struck(listings[at], buyer)
        paid(venue, people[at], buyer, trade)
    verified(venue)


def _mark(buyer: Person, wanted: str, proposal: str, work: int) -> None:
    done(buyer.post(f"/v1/needs/{wanted}/scores", {"proposal": proposal, "scores": {"work": work}}))


# ---- lists


def test_needs_are_listed_by_kind_and_state(venue: Venue, buyer: Person) -> None:
    quote, tender = need(venue, buyer, "quote"), need(venue, buyer, "tender")

    def listed(**asked: Any) -> list[str]:
        return [row["need"] for row in buyer.every("/v1/needs", buyer=buyer.participant, limit=1, **asked)]

    assert listed() == [tender, quote]
    assert listed(kind="quote") == [quote]
    assert listed(state="lapsed") == []
    venue.advance(days=3, seconds=60)
    assert listed(state="lapsed", board="general") == [tender, quote]


# ---- reports from outside


def test_a_report_is_found_by_the_other_side_and_denied(
    venue: Venue, merchant: Person, rival: Person, buyer: Person, auditor: Person
) -> None:
    listing = venue.listing(merchant, mechanism="off_venue")
    made = report(venue, merchant, buyer, listing, "sell")["report"]
    killed(venue)
    [waiting] = buyer.every("/v1/trade-reports", state="waiting")
    assert (waiting["report"], waiting["awaits"]) == (made, buyer.participant)
    refused(rival.get(f"/v1/trade-reports/{made}"), 404, "not_found")
    refused(rival.post(f"/v1/trade-reports/{made}/decline", {"reason": "x"}), 404, "not_found")
    done(buyer.post(f"/v1/trade-reports/{made}/decline", {"reason": "价格不是约定的价格"}))
    told = done(auditor.get(f"/v1/trade-reports/{made}"), 200)
    assert (told["state"], told["reason"], told["awaits"]) == ("declined", "价格不是约定的价格", None)
    assert report(venue, buyer, merchant, listing, "buy")["state"] == "awaiting_counterparty"
    assert buyer.balance == MONEY


def test_two_reports_name_each_other_and_their_trade(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, mechanism="off_venue")
    first = report(venue, merchant, buyer, listing, "sell")["report"]
    second = report(venue, buyer, merchant, listing, "buy")
    told = {row["report"]: row for row in buyer.every("/v1/trade-reports", state="matched")}
    assert told[first]["matches"] == second["report"]
    assert told[second["report"]]["matches"] == first
    assert {row["trade"] for row in told.values()} == {second["trade"]}
    verified(venue)
