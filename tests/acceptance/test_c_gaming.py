"""Issue 6, "Anti-gaming", the public register, contribution, and monitoring of the whole market.

What the checks expect; more members are welcome:

    GET  /v1/credit/rings           reviewers: items: ring, members: [P..], trades: [T..], state (queued, genuine, forged)
    POST /v1/credit/rings/{ring}/decision {decision: genuine | forged, reason}
    GET  /v1/credit/monitoring      operator, auditor: population_stability, bad_rate: {grade: ..., null where nobody},
         override_rate; whole numbers whose names carry their unit (psi_micro, bad_rate_bp, override_rate_bp)
    GET  /v1/merchants[/{participant}]  open: participant, legal_name, credential, classes, boards, grade,
         punishments: [{case, kind, clause, until}], contribution
    GET  /v1/credit/contribution?from=&until=  weights_bp: {part: bp}, items: {participant, contribution, parts}
    A newcomer's order beyond its day's number or its total is refused, naming `velocity` and what lifts it.
"""

import json
from typing import Any

from tests.acceptance.casebook import determined, in_force, read, score, upheld
from tests.story import Person, Venue, done, instant, refused

ORDINARY_FEN = 1_000_000
"""10,000 CNY: an order of this amount weighs one."""


def trader(venue: Venue) -> Person:
    """Sells and buys, and has money."""
    person = venue.merchant("buyer")
    venue.cash_in(person, 100_000_000)
    return person


def sold(venue: Venue, seller: Person, *buyers: Person, price_fen: int = ORDINARY_FEN) -> list[str]:
    """One clean sale to each of these, in one listing."""
    listing, trades = venue.listing(seller, price_fen=price_fen), []
    for buyer in buyers:
        trades.append(venue.trade(buyer, listing))
        venue.complete(seller, buyer, trades[-1])
    return trades


def test_flow_there_and_back_earns_less_than_flow_one_way(venue: Venue) -> None:
    """Line: "reciprocal flow discounted"."""
    honest, left, right = trader(venue), trader(venue), trader(venue)
    first, second = trader(venue), trader(venue)
    for _ in range(2):
        sold(venue, honest, first, second)
        sold(venue, left, right, right)
        sold(venue, right, left, left)
    venue.advance(days=1)
    assert score(honest) > max(score(left), score(right))


def test_the_same_controller_earns_nothing(venue: Venue) -> None:
    """Line: "same controller earns nothing": what one sells to oneself is refused, and no point comes of it."""
    merchant = venue.merchant()
    before, listing = score(merchant), venue.listing(merchant)
    sister = venue.buyer(owner_id=f"owner-{merchant.uscc}")
    assert venue.order(sister, listing).status_code in (409, 422)
    venue.advance(days=1)
    assert score(merchant) == before


def test_a_ring_is_queued_and_found_forged_it_earns_nothing(venue: Venue) -> None:
    """Line: "ring detection (strongly connected flows) queued for review": reviewers alone see it, and decide."""
    ring = [trader(venue) for _ in range(3)]
    outsider = trader(venue)
    fresh = score(outsider)
    trades: list[str] = []
    for _ in range(2):
        for seller, buyer in zip(ring, [*ring[1:], ring[0]], strict=True):
            trades += sold(venue, seller, buyer, buyer)
    sold(venue, ring[0], outsider)
    venue.advance(days=1)
    members = {person.participant for person in ring}
    found = [row for row in venue.desk.every("/v1/credit/rings") if members & set(row["members"])]
    [queued] = found
    assert set(queued["members"]) == members, "who only bought from a ring is not in it"
    assert queued["state"] == "queued"
    assert set(trades) & set(queued["trades"])
    refused(ring[0].get("/v1/credit/rings"), 403, "forbidden")
    path = f"/v1/credit/rings/{queued['ring']}/decision"
    decision = {"decision": "forged", "reason": "同日互购，无独立需求"}
    refused(ring[1].post(path, decision), 403, "forbidden")
    done(venue.desk.post(path, decision))
    venue.advance(days=1)
    assert all(score(person) <= fresh for person in ring[1:])
    objection = {"text": "每次都在上一份的基础上加工"}
    path = f"/v1/credit/rings/{queued['ring']}"
    refused(outsider.post(f"{path}/objection", objection), 404, "not_found")
    objected = done(ring[1].post(f"{path}/objection", objection), 200)["objection"]
    assert objected["decide_by"]
    [mine] = done(ring[0].get("/v1/credit/rings/me"), 200)["items"]
    assert (mine["state"], mine["objection"]["participant"]) == ("forged", ring[1].participant)
    genuine = {"decision": "genuine", "reason": "三个版本，各有增值"}
    refused(venue.desk.post(f"{path}/decision", genuine), 403, "own_case")
    done(venue.verified_official("reviewer").post(f"{path}/decision", genuine))
    assert all(score(person) > fresh for person in ring[1:])


def test_a_newcomer_does_not_sell_without_end_on_its_first_day(venue: Venue) -> None:
    """Line: "velocity limits for newcomers": refused with its reason before a day's total becomes a long con's prize."""
    merchant = venue.merchant()
    buyers = [venue.buyer(cash_fen=1_000_000_000) for _ in range(5)]
    listing = venue.listing(merchant, price_fen=4_000_000)
    for number in range(60):
        answer = venue.order(buyers[number % 5], listing)
        if answer.is_error:
            break
    assert answer.status_code in (403, 409, 429), "60 orders of 40,000 CNY on the first day"
    assert number >= 5, "an honest newcomer can begin"
    assert "velocity" in json.dumps(refused(answer, answer.status_code))


def test_the_whole_market_is_monitored(venue: Venue) -> None:
    """Line: "Market-wide monitoring: population stability, bad rate by grade, override rate"."""
    for person in (venue.desk, venue.merchant()):
        refused(person.get("/v1/credit/monitoring"), 403, "forbidden")
    seen: dict[str, Any] = done(venue.operator.get("/v1/credit/monitoring"), 200)
    assert isinstance(seen["psi_micro"], int)
    assert set(seen["bad_rate_bp"]) == set("ABCDM")
    assert all(rate is None or 0 <= rate <= 10_000 for rate in seen["bad_rate_bp"].values())
    assert 0 <= seen["override_rate_bp"] <= 10_000


def test_the_public_register_shows_punishments_while_they_are_public(venue: Venue) -> None:
    """Line: "a public register page per merchant as data": no score, nothing contested and won, nothing minor."""
    merchant = venue.merchant()
    path = f"/v1/merchants/{merchant.participant}"
    seen = done(venue.http.get(path), 200)
    assert (seen["legal_name"], seen["grade"], seen["punishments"]) == (merchant.name, "M", [])
    assert "merchant" in seen["classes"]
    assert set(seen) >= {"credential", "boards", "contribution"}
    assert "score" not in seen
    assert "张三" not in json.dumps(seen, ensure_ascii=False)
    case = determined(venue, merchant)
    in_force(venue, merchant, case)
    [public] = done(venue.http.get(path), 200)["punishments"]
    assert public["case"] == case["case"]
    assert public["clause"]
    assert public["until"]
    upheld(venue, merchant, case)
    assert read(merchant, case)["state"] == "upheld"
    assert done(venue.http.get(path), 200)["punishments"] == []
    listed = done(venue.http.get("/v1/merchants", params={"limit": 100}), 200)["items"]
    assert merchant.participant in {row["participant"] for row in listed}
    assert venue.http.get(f"/v1/merchants/{venue.desk.participant}").status_code == 404


def test_contribution_is_evaluated_with_stated_weights(venue: Venue) -> None:
    """Line: "Merchant contribution evaluation (Hainan 12)": parts and weights are told; who sold more is not below."""
    started = instant(venue.now())
    busy, idle = trader(venue), trader(venue)
    sold(venue, busy, *(venue.buyer() for _ in range(3)))
    venue.advance(days=1)
    asked = {"from": started, "until": instant(venue.now())}
    seen = done(venue.operator.get("/v1/credit/contribution", limit=200, **asked), 200)
    assert sum(seen["weights_bp"].values()) == 10_000
    rows = {row["participant"]: row for row in seen["items"]}
    assert set(rows[busy.participant]["parts"]) == set(seen["weights_bp"])
    nothing = {"contribution": 0}
    assert rows[busy.participant]["contribution"] > rows.get(idle.participant, nothing)["contribution"]
