"""Issue 4, "The facts are gathered from state": registers with typed commands, evidence, deciders, validity, correction
and reads as of an instant.

What the checks expect; more members are welcome:

    GET  /v1/registers    open; items: register, name_zh, name_en, subjects (product, participant), feeds, clause, deciders
    POST /v1/registers/{register}/entries    -> 201 with the members below
         {product and/or participant, facts: {...}, evidence_sha256, reason, valid_from, valid_until, corrects, void}
    GET  /v1/registers/{register}/entries?product=&participant=&at=&known_at=
         items: entry, product, participant, facts, evidence_sha256, valid_from, valid_until, reason, by, entered_at,
         corrects, stands (good at `at`, by what was known at `known_at`)
"""

from typing import Any

import httpx
import pytest

from tests.story import Person, Venue, done, has_chinese, instant, parsed, refused, sha256_of, unlawful

PLEDGED: dict[str, Any] = {"number": "ZY-1", "state": "pledged", "consented": False}
FROZEN: dict[str, Any] = {"number": "执-17", "authority": "海口市中级人民法院", "state": "frozen"}


def enter(by: Person, register: str, facts: dict[str, Any], **said: Any) -> httpx.Response:
    """An entry; `said` names its subject and may change the rest."""
    body = {"facts": facts, "evidence_sha256": sha256_of(register), "reason": "测试登记", **said}
    return by.post(f"/v1/registers/{register}/entries", body)


def entries(asked_by: Person, register: str, **asked: str) -> list[dict[str, Any]]:
    return list(asked_by.every(f"/v1/registers/{register}/entries", **asked))


def standing(asked_by: Person, register: str, **asked: str) -> list[dict[str, Any]]:
    """What the entries say that stand."""
    return [row["facts"] for row in entries(asked_by, register, **asked) if row["stands"]]


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def product(venue: Venue, merchant: Person) -> str:
    return venue.product(merchant)


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


FEEDS = (
    "product.judicial_freeze",
    "registration.pledged",
    "buyer.restricted_list",
    "product.third_party_harm",
    "product.risk_assessment_done",
    "product.pia_done",
    "seller.special_licence",
    "seller.ciio",
    "trade.ethics_review",
    "xb.route",
    "trade.foreign_judicial_approved",
)


def test_registers_are_listed_with_what_they_feed(venue: Venue) -> None:
    """Line: "consent, ..., pledges, ..., court freezes, restricted lists, risk opinions, assessments, ... are registers
    of the venue"."""
    rows = {row["register"]: row for row in done(venue.http.get("/v1/registers"), 200)["items"]}
    fed = {fact: name for name, row in rows.items() for fact in row["feeds"]}
    assert [fact for fact in FEEDS if fact not in fed] == []
    for row in rows.values():
        assert has_chinese(row["name_zh"]), row
        assert row["name_en"], row
        assert has_chinese(row["clause"]), row
        assert row["deciders"], row
        assert row["subjects"] or row["feeds"] == ["venue.central_trading_approved"], row


def test_an_entry_names_its_evidence_decider_and_validity(
    venue: Venue, merchant: Person, product: str
) -> None:
    """Line: "each with typed commands, evidence by hash, a named decider, validity"."""
    until = venue.in_days(30)
    made = done(enter(venue.desk, "pledges", PLEDGED, product=product, valid_until=until), 201)
    assert (made["by"], made["product"], made["facts"]) == (venue.desk.participant, product, PLEDGED)
    assert made["evidence_sha256"] == sha256_of("pledges")
    assert parsed(made["valid_until"]) == parsed(until)
    assert parsed(made["valid_from"]) <= venue.now()
    [row] = entries(venue.desk, "pledges", product=product)
    assert row["entry"] == made["entry"]
    assert entries(merchant, "pledges", product=product) == [row], "its holder sees it"
    assert entries(venue.merchant(), "pledges", product=product) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"facts": {"number": "ZY-1", "state": "mortgaged"}},
        {"facts": {"number": "ZY-1", "state": "pledged", "note": "free"}},
        {"facts": {"number": 1, "state": "pledged"}},
        {"facts": {"state": "pledged"}},
        {"evidence_sha256": ""},
        {"evidence_sha256": None},
        {"reason": ""},
        {"valid_from": "2026-06-01T00:00:00Z", "valid_until": "2026-05-01T00:00:00Z"},
        {"valid_until": "next year"},
        {"surplus": 1},
    ],
    ids=str,
)
def test_free_json_is_no_entry(venue: Venue, product: str, wrong: dict[str, Any]) -> None:
    """Line: "typed commands, ... (free JSON is no register)"."""
    answer = enter(venue.desk, "pledges", **{"product": product, "facts": PLEDGED, **wrong})
    assert answer.status_code in (400, 422), answer.text
    assert entries(venue.desk, "pledges", product=product) == []


def test_who_gains_decides_nothing(venue: Venue, merchant: Person, product: str) -> None:
    """Line: "a named decider": the holder may say what is against it and nothing that is for it."""
    refused(enter(merchant, "assessments", _assessment("passed"), product=product), 403, "forbidden")
    refused(
        enter(venue.buyer(cash_fen=0), "assessments", _assessment("failed"), product=product),
        403,
        "forbidden",
    )
    done(enter(merchant, "assessments", _assessment("failed"), product=product), 201)
    done(enter(venue.desk, "assessments", _assessment("passed"), product=product), 201)
    assert standing(venue.desk, "assessments", product=product) == [_assessment("passed")]
    refused(enter(venue.desk, "pledges", PLEDGED, product="D999999"), 404, "not_found")
    nowhere = enter(venue.desk, "no_such_register", PLEDGED, product=product)
    assert nowhere.status_code == 404


def _assessment(result: str) -> dict[str, Any]:
    return {"kind": "risk_assessment", "result": result}


def test_a_correction_takes_the_place_of_what_it_corrects(venue: Venue, product: str) -> None:
    """Line: "correction and reads as of an instant": what was known before the correction is read as it was known."""
    wrong = done(
        enter(venue.desk, "pledges", {**PLEDGED, "consented": True}, product=product),
        201,
    )
    venue.advance(seconds=5)
    before = instant(venue.now())
    venue.advance(seconds=60)
    made = done(enter(venue.desk, "pledges", PLEDGED, product=product, corrects=wrong["entry"]), 201)
    assert made["corrects"] == wrong["entry"]
    assert len(entries(venue.desk, "pledges", product=product)) == 2, "nothing is removed"
    assert standing(venue.desk, "pledges", product=product) == [PLEDGED]
    known = standing(venue.desk, "pledges", product=product, known_at=before, at=before)
    assert known == [{**PLEDGED, "consented": True}]
    again = enter(venue.desk, "pledges", PLEDGED, product=product, corrects=wrong["entry"])
    assert again.status_code in (400, 409, 422), again.text
    stray = enter(venue.desk, "pledges", PLEDGED, product=product, corrects="G999999")
    assert stray.status_code in (400, 404, 409, 422), stray.text


def test_what_stood_at_an_instant(venue: Venue, product: str) -> None:
    """Line: "validity, ... reads as of an instant": not good yet, good, no longer good."""
    start, end = venue.in_days(1), venue.in_days(3)
    done(enter(venue.desk, "freezes", FROZEN, product=product, valid_from=start, valid_until=end), 201)
    for days, found in ((0.5, []), (2, [FROZEN]), (4, [])):
        at = venue.in_days(days)
        assert standing(venue.desk, "freezes", product=product, at=at) == found, days
    refused(venue.desk.get("/v1/registers/freezes/entries", product=product, at="soon"), 400)


# -- the rules read them


def test_a_court_freeze_blocks_while_it_is_good(
    venue: Venue, merchant: Person, buyer: Person, product: str
) -> None:
    """Line: "The facts are gathered from state: ... court freezes" (B21), by the validity of the entry."""
    listing = venue.listing(merchant, product)
    venue.trade(buyer, listing)
    done(enter(venue.desk, "freezes", FROZEN, product=product, valid_until=venue.in_days(2)), 201)
    unlawful(venue.order(buyer, listing), "B21")
    venue.advance(days=2, seconds=60)
    venue.trade(buyer, listing)
    done(enter(venue.desk, "freezes", FROZEN, product=product), 201)
    unlawful(venue.order(buyer, listing), "B21")
    done(enter(venue.desk, "freezes", {**FROZEN, "state": "lifted"}, product=product), 201)
    venue.trade(buyer, listing)


def test_a_restricted_list_blocks_whom_it_names(venue: Venue, merchant: Person, product: str) -> None:
    """Line: "The facts are gathered from state: ... restricted lists" (E04)."""
    listing, listed, free = venue.listing(merchant, product), venue.buyer(), venue.buyer()
    facts = {"list": "export_control", "version": "2026-11", "state": "listed"}
    refused(enter(listed, "restricted_lists", facts, participant=listed.participant), 403, "forbidden")
    done(enter(venue.desk, "restricted_lists", facts, participant=listed.participant), 201)
    unlawful(venue.order(listed, listing), "E04")
    venue.trade(free, listing)


def test_an_assessment_that_ends_no_longer_counts(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "The facts are gathered from state: ... assessments" (A06: important data)."""
    product = venue.product(merchant, classification={"data_class": "important"})
    until = venue.in_days(5)
    done(
        enter(venue.desk, "assessments", _assessment("passed"), product=product, valid_until=until),
        201,
    )
    listing = venue.listing(merchant, product)
    venue.trade(buyer, listing)
    venue.advance(days=5, seconds=60)
    venue.held(buyer, listing, "A06")


def test_an_entry_settles_what_it_held(venue: Venue, merchant: Person, buyer: Person, product: str) -> None:
    """Line: "A hold names what cures it, ...; cured, it settles": the pledgee agrees (B15)."""
    listing = venue.listing(merchant, product)
    done(enter(merchant, "pledges", PLEDGED, product=product), 201)
    trade = venue.held(buyer, listing, "B15")
    done(enter(venue.desk, "pledges", {**PLEDGED, "consented": True}, product=product), 201)
    assert venue.read_trade(trade, buyer)["state"] == "settled"


def test_the_volume_sent_abroad_is_counted_by_the_venue(venue: Venue, merchant: Person) -> None:
    """Line: "counters (personal-information volumes sent abroad per year ...)": from 100,000 persons on a
    route is needed (G04). Three sales of 60,000: the first may pass, the third must not."""
    declared: dict[str, Any] = {
        "classification": {"origin": "personal", "pi_state": "deidentified", "persons": 60_000},
        "consent": {
            "basis": "separate_consent",
            "purposes": ["market_analysis"],
            "cross_border_separate": True,
        },
    }
    abroad = venue.buyer()
    outcomes = []
    for product in [venue.product(merchant, **declared) for _ in range(3)]:
        assessment = {"kind": "impact_assessment", "result": "passed"}
        done(enter(venue.desk, "assessments", assessment, product=product), 201)
        named = {"product": product, "participant": abroad.participant}
        done(enter(venue.desk, "recipient_notices", {"named": True}, **named), 201)
        listing = venue.listing(merchant, product, territories=["HK"])
        [trade] = done(venue.order(abroad, listing, territory="HK"), 201)["trades"]
        outcomes.append((trade["state"], venue.read_trade(trade["trade"], abroad)["verdict"]["violated"]))
    assert outcomes[0][0] == "settled", outcomes[0]
    assert outcomes[2][0] == "held", outcomes[2]
    assert [entry["rule"] for entry in outcomes[2][1]] == ["G04"]
