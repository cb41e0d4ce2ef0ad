"""Issue 6, "Credentials": the life of an accreditation, four eyes, leaving in order, brokers under a signed mandate.

What the checks expect; more members are welcome:

    POST /v1/participants/me/accreditation            {evidence_sha256, classes: [merchant, broker, notary], boards: []}
    POST /v1/participants/me/accreditation/documents  {documents: [{name, sha256}]}
    POST /v1/participants/{participant}/accreditation {step, documents, classes, boards, valid_until, reasons}
         steps request_documents, accredit, refuse, renew, restrict, unrestrict, restore; suspend and revoke wait for
         `confirm` by a second reviewer of another house, or `withdraw`
    GET  /v1/participants/{participant}/accreditation itself and the offices: state (none, applied, under_review,
         accredited, restricted, suspended, revoked, expired), classes, boards, asked: [text], answered: [{name, sha256}],
         proposed: null or {step, by}, history: [{step, by, at}], the oldest first
    POST /v1/participants/me/departure                {kind: exit | merger | dissolution, successor, reason}
    GET  /v1/participants/{participant}/departure     state (leaving, done), left: [{kind, id}]: still to be wound up
    POST /v1/participants/{participant}/departure/accept  by the successor
    POST /v1/mandates {broker, scope: {side, listings, boards, most_fen}, valid_until, signature} -> mandate (M1)
         signed over `shuji-mandate:<participant>:<json>`: the body but for its signature, keys sorted, no spaces
    DELETE /v1/mandates/{mandate};  GET /v1/mandates   of either side
    POST /v1/orders {..., for: P3, mandate: M1}        by the broker; the order and all that follows is the principal's
"""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.casebook import of_house
from tests.story import TWO_YEARS_DAYS, Person, Venue, done, refused, sha256_of, shuji, unlawful

REFUSALS = (400, 403, 409, 422)


def applicant(venue: Venue, *classes: str, boards: tuple[str, ...] = ()) -> Person:
    """Verified, and applied for these classes and boards."""
    person = venue.participant("merchant")
    done(venue.verify_identity(person))
    body = {"evidence_sha256": sha256_of("application"), "classes": list(classes), "boards": list(boards)}
    done(person.post("/v1/participants/me/accreditation", body))
    return person


def accredited(venue: Venue, *classes: str, boards: tuple[str, ...] = ()) -> Person:
    person = applicant(venue, *classes, boards=boards)
    done(venue.accreditation(person, "accredit", valid_until=venue.in_days(TWO_YEARS_DAYS)))
    return person


def life(asked_by: Person, person: Person) -> dict[str, Any]:
    path = f"/v1/participants/{person.participant}/accreditation"
    found: dict[str, Any] = done(asked_by.get(path), 200)
    return found


def offered(venue: Venue, merchant: Person, board: str) -> httpx.Response:
    """Drafted and submitted on a board: the first refusal, else the answer to the submission."""
    body = {
        "product": venue.product(merchant),
        "board": board,
        "attributes": venue.filled_in(board),
        "terms": venue.terms(),
    }
    drafted = merchant.post("/v1/listings", body)
    if drafted.is_error:
        return drafted
    return venue.move(drafted.json()["listing"], "submit", merchant)


def named(answer: httpx.Response, *words: str) -> None:
    """A refusal that says these words."""
    problem = refused(answer, answer.status_code if answer.status_code in REFUSALS else 409)
    assert all(word in json.dumps(problem, ensure_ascii=False) for word in words), problem


# -- the life in a table


def test_documents_are_asked_for_and_answered(venue: Venue) -> None:
    """Line: "applied, under review (documents asked for and answered), accredited for named classes ... and boards"."""
    person = applicant(venue, "merchant", "broker", boards=("general",))
    assert life(person, person)["state"] == "applied"
    asked = ["营业执照副本", "数据来源说明"]
    done(venue.accreditation(person, "request_documents", documents=asked))
    seen = life(person, person)
    assert (seen["state"], seen["asked"], seen["answered"]) == ("under_review", asked, [])
    answer = [{"name": name, "sha256": sha256_of(name)} for name in asked]
    done(person.post("/v1/participants/me/accreditation/documents", {"documents": answer}))
    assert life(venue.desk, person)["answered"] == answer
    done(venue.accreditation(person, "accredit", valid_until=venue.in_days(300)))
    seen = life(person, person)
    assert (seen["state"], seen["boards"]) == ("accredited", ["general"])
    assert sorted(seen["classes"]) == ["broker", "merchant"]
    steps = [one["step"] for one in seen["history"]]
    assert [step for step in steps if step in ("request_documents", "accredit")] == [
        "request_documents",
        "accredit",
    ]
    path = f"/v1/participants/{person.participant}/accreditation"
    assert venue.buyer(cash_fen=0).get(path).status_code in (403, 404)


def test_a_listing_is_taken_on_the_boards_and_as_the_class_that_are_named(venue: Venue) -> None:
    """Line: "accredited for named classes (merchant, broker, ...) and boards, restricted"; and unrestricted again."""
    merchant = accredited(venue, "merchant", boards=("general", "transport"))
    done(offered(venue, merchant, "transport"))
    named(offered(venue, merchant, "data_ip"), "data_ip")
    done(venue.accreditation(merchant, "restrict", boards=["general"]))
    assert life(merchant, merchant)["state"] == "restricted"
    named(offered(venue, merchant, "transport"), "transport")
    done(offered(venue, merchant, "general"))
    done(venue.accreditation(merchant, "unrestrict"))
    assert life(merchant, merchant)["state"] == "accredited"
    done(offered(venue, merchant, "transport"))
    broker = accredited(venue, "broker")
    refused(venue.submit_product(broker), 403)


def test_the_provider_kinds_are_classes(venue: Venue) -> None:
    """Line: "(merchant, broker, and the provider kinds of M10)": applied for like any other, and no others."""
    kinds = [
        "notary",
        "security_audit",
        "compliance_certification",
        "insurance",
        "custody",
        "valuation",
        "arbitration",
    ]
    person = accredited(venue, *kinds)
    assert sorted(life(person, person)["classes"]) == sorted(kinds)
    refused(venue.submit_product(person), 403)
    body = {"evidence_sha256": sha256_of("application"), "classes": ["astrologer"], "boards": []}
    other = venue.participant("merchant")
    done(venue.verify_identity(other))
    assert other.post("/v1/participants/me/accreditation", body).status_code in (400, 422)


def test_expired_and_renewed(venue: Venue) -> None:
    """Line: "expired, renewed": an accreditation that ended by its date is renewed, not applied for again."""
    merchant = venue.merchant(credential_days=1)
    venue.advance(days=2)
    assert life(merchant, merchant)["state"] == "expired"
    refused(venue.submit_product(merchant), 403, "not_accredited")
    done(venue.accreditation(merchant, "renew", valid_until=venue.in_days(300)))
    seen = life(merchant, merchant)
    assert seen["state"] == "accredited"
    assert seen["history"][-1]["step"] == "renew"
    assert seen["history"][-1]["by"] == venue.desk.participant
    done(venue.submit_product(merchant), 201)


@pytest.mark.parametrize("step", ["suspend", "revoke"])
def test_four_eyes_on_suspension_and_revocation(venue: Venue, step: str) -> None:
    """Line: "four eyes on suspension and revocation": a second, of another house; neither in their own case."""
    merchant = venue.merchant()
    first, colleague = of_house(venue, f"house-{step}"), of_house(venue, f"house-{step}")
    done(venue.accreditation(merchant, step, by=first))
    seen = life(merchant, merchant)
    assert (seen["state"], seen["proposed"]["step"], seen["proposed"]["by"]) == (
        "accredited",
        step,
        first.participant,
    )
    done(venue.submit_product(merchant), 201)
    for alone in (first, colleague):
        refused(venue.accreditation(merchant, "confirm", by=alone), 403)
    assert life(merchant, merchant)["state"] == "accredited"
    refused(venue.accreditation(merchant, "confirm", by=venue.reviewer()), 403, "not_verified")
    done(venue.accreditation(merchant, "confirm", by=venue.verified_official("reviewer")))
    assert life(merchant, merchant)["state"] == {"suspend": "suspended", "revoke": "revoked"}[step]
    refused(venue.submit_product(merchant), 403, "not_accredited")


def test_what_was_proposed_may_be_withdrawn_and_nobody_confirms_it_of_themselves(venue: Venue) -> None:
    """Line: "a reviewer never decides their own case": not as the second pair of eyes either."""
    merchant = venue.merchant()
    done(venue.operator.post(f"/v1/participants/{merchant.participant}/roles", {"role": "reviewer"}))
    done(venue.accreditation(merchant, "suspend", by=venue.verified_official("reviewer")))
    for step in ("confirm", "withdraw"):
        refused(venue.accreditation(merchant, step, by=merchant), 403, "own_case")
    done(venue.accreditation(merchant, "withdraw", by=venue.desk))
    seen = life(merchant, merchant)
    assert (seen["state"], seen["proposed"]) == ("accredited", None)
    refused(venue.accreditation(merchant, "confirm", by=venue.reviewer()), 409, "wrong_state")


# -- leaving


def leave(person: Person, kind: str, **changes: Any) -> dict[str, Any]:
    body = {"kind": kind, "reason": "业务调整", **changes}
    done(person.post("/v1/participants/me/departure", body))
    return departure(person, person)


def departure(asked_by: Person, person: Person) -> dict[str, Any]:
    found: dict[str, Any] = done(asked_by.get(f"/v1/participants/{person.participant}/departure"), 200)
    return found


def is_left(seen: dict[str, Any], kind: str, identifier: str) -> bool:
    return any((one["kind"], one["id"]) == (kind, identifier) for one in seen["left"])


@pytest.mark.parametrize("kind", ["exit", "dissolution"])
def test_who_leaves_is_gone_when_nothing_is_left(venue: Venue, kind: str) -> None:
    """Line: "A merchant leaves in order: exit ... and dissolution pass duties on or wind them up" (江西 10)."""
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    trade = venue.trade(buyer, listing)
    seen = leave(merchant, kind)
    assert seen["state"] == "leaving"
    assert is_left(seen, "trade", trade)
    assert venue.order(venue.buyer(), listing).status_code in REFUSALS
    refused(venue.submit_product(merchant), 403, "standing_denied")
    venue.advance(days=4)
    assert venue.read_trade(trade, buyer)["state"] == "refunded"
    venue.advance(days=1)
    seen = departure(venue.desk, merchant)
    assert (seen["state"], seen["left"]) == ("done", [])
    assert venue.state_of(listing) == "withdrawn"
    assert life(venue.desk, merchant)["state"] not in ("accredited", "restricted")
    body = {"participant": merchant.participant}
    challenge = venue.http.post("/v1/login/challenge", json=body).json().get("challenge", "")
    signed = {**body, "challenge": challenge, "signature": merchant.sign(challenge)}
    assert venue.http.post("/v1/login", json=signed).is_error


def test_a_merger_passes_what_is_owed_to_the_successor(venue: Venue) -> None:
    """Line: "merger and dissolution pass duties on or wind them up": the successor accepts, and owes what was owed."""
    merchant, successor, buyer = venue.merchant(), venue.merchant(), venue.buyer()
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.complete(merchant, buyer, trade)
    entitlement = venue.read_trade(trade, buyer)["entitlement"]
    open_trade = venue.trade(buyer, venue.listing(merchant))
    seen = leave(merchant, "merger", successor=successor.participant)
    assert is_left(seen, "entitlement", entitlement)
    assert seen["state"] == "leaving"
    path = f"/v1/participants/{merchant.participant}/departure/accept"
    refused(venue.merchant().post(path), 403)
    done(successor.post(path))
    sold = {row["entitlement"] for row in successor.every("/v1/entitlements")}
    assert entitlement in sold
    venue.complete(successor, buyer, open_trade)
    venue.advance(seconds=60)
    seen = departure(venue.desk, merchant)
    assert (seen["state"], seen["left"]) == ("done", [])


# -- brokers


def mandate(
    venue: Venue, principal: Person, broker: Person, days: float = 30, **scope: Any
) -> httpx.Response:
    body: dict[str, Any] = {
        "broker": broker.participant,
        "scope": {"side": "buy", "listings": [], "boards": [], "most_fen": 100_000, **scope},
        "valid_until": venue.in_days(days),
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    signature = principal.sign(f"shuji-mandate:{principal.participant}:{text}")
    return principal.post("/v1/mandates", {**body, "signature": signature})


def order_for(
    venue: Venue, broker: Person, principal: Person, number: str, listing: str, quantity: int = 1
) -> httpx.Response:
    """The principal has signed the listing's contract itself."""
    venue.agree(principal, listing)
    for_whom = {"for": principal.participant, "mandate": number}
    return venue.order(broker, listing, quantity, signed=False, **for_whom)


def test_what_a_broker_orders_is_its_principals(venue: Venue) -> None:
    """Line: "a broker acts under a signed mandate": money, licence, conduct and E05 are the principal's."""
    merchant, principal, broker = venue.merchant(), venue.buyer(), accredited(venue, "broker")
    listing = venue.listing(merchant)
    forged = mandate(venue, principal, broker).request
    refused(broker.ask("POST", "/v1/mandates", json=json.loads(forged.content)), 401, "signature_wrong")
    number = done(mandate(venue, principal, broker), 201)["mandate"]
    assert {row["mandate"] for row in broker.every("/v1/mandates")} >= {number}
    before = principal.balance
    placed = done(order_for(venue, broker, principal, number, listing), 201)
    trade = placed["trades"][0]["trade"]
    assert principal.balance == before - 50_000
    seen = venue.read_trade(trade, principal)
    assert seen["buyer"] == principal.participant
    assert broker.participant in json.dumps(done(principal.get(f"/v1/orders/{placed['order']}"), 200))
    related = venue.buyer(owner_id=f"owner-{merchant.uscc}")
    second = done(mandate(venue, related, broker), 201)["mandate"]
    unlawful(order_for(venue, broker, related, second, listing), "E05")


def test_outside_its_scope_and_dates_a_mandate_is_none(venue: Venue) -> None:
    """Line: "a signed mandate with scope and dates": each that is left is named; what was taken back is over."""
    merchant, principal, broker = venue.merchant(), venue.buyer(), accredited(venue, "broker")
    inside, outside = venue.listing(merchant), venue.listing(merchant)
    number = done(mandate(venue, principal, broker, days=1, listings=[inside]), 201)["mandate"]

    def order(listing: str, quantity: int = 1) -> httpx.Response:
        return order_for(venue, broker, principal, number, listing, quantity)

    before = principal.account()
    named(order(outside), outside)
    named(order(inside, 3), "most")
    stranger = venue.buyer()
    assert order_for(venue, broker, stranger, number, inside).status_code in REFUSALS
    assert principal.account() == before
    done(order(inside), 201)
    venue.advance(days=2)
    named(order(inside), number)
    again = done(mandate(venue, principal, broker, listings=[inside]), 201)["mandate"]
    done(order_for(venue, broker, principal, again, inside), 201)
    done(principal.delete(f"/v1/mandates/{again}"))
    named(order_for(venue, broker, principal, again, inside), again)


# -- and a second start


def test_lives_departures_and_mandates_survive_a_kill(tmp_path: Path) -> None:
    """Restricted, merged and brokered, then killed: the second start knows it all, and `shuji verify` finds nothing."""
    venue = Venue(tmp_path / "data").start()
    try:
        heir, broker, principal = venue.merchant(), accredited(venue, "broker"), venue.buyer()
        leaving = venue.merchant()
        trade = venue.trade(principal, venue.listing(leaving))
        venue.complete(leaving, principal, trade)
        leave(leaving, "merger", successor=heir.participant)
        done(heir.post(f"/v1/participants/{leaving.participant}/departure/accept"))
        shop = venue.merchant()
        number = done(mandate(venue, principal, broker), 201)["mandate"]
        done(order_for(venue, broker, principal, number, venue.listing(shop)), 201)
        done(venue.accreditation(shop, "restrict", boards=["general"]))
        venue.kill()
        venue.restart()
        assert life(venue.desk, shop)["state"] == "restricted"
        found = {row["mandate"]: row["used_fen"] for row in principal.every("/v1/mandates")}
        assert found[number] == 50_000
        venue.advance(seconds=60)
        seen = departure(venue.desk, leaving)
        assert (seen["state"], seen["left"]) == ("done", [])
        entitlement = venue.read_trade(trade, principal)["entitlement"]
        assert entitlement in {row["entitlement"] for row in heir.every("/v1/entitlements")}
        verified = shuji("verify", "--data", str(venue.data))
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        venue.close()
