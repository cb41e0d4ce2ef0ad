"""Issue 4, "The rulebook": all 88 rules, their words and sources, `shuji judge`, and "would this be allowed?".

What the checks expect; more members are welcome:

    `shuji judge FILE`        a line each: id, verdict, rules (ids), citations
    GET  /v1/rulebook         open: sha256, rules (how many), effective_from
    GET  /v1/rules            items, each as GET /v1/rules/{rule}: rule, kind (reject, hold, post_trade_obligation), phases,
         applies_when, violated_when, message_zh, message_en, evidence_zh, evidence_en,
         citations: source, article, zh, en, authority, where, whom, from, until, binding, confidence
    a violation (in refusals, trades, holds)    rule, message_zh, message_en, citations, ground_zh, ground_en: on what it
         stands here and now; with nothing binding: 本所规则, 参照... / venue rule, modelled on ...
    POST /v1/rulebook/verdicts    signed in: {listing, buyer, quantity, purpose, territory}
         {verdict: allow|hold|reject|indeterminate, rules, violated, citations, unknown: [{rule, fields}]}
    POST /v1/products/{product}/renewals    reviewer: {valid_until, evidence_sha256, reason} -> 201 {certificate}
"""

import json
from typing import Any

import httpx
import pytest

from tests.story import (
    SHARED,
    Person,
    Venue,
    done,
    has_chinese,
    parsed,
    refused,
    sha256_of,
    shuji,
    unlawful,
)

PLEDGE: dict[str, Any] = {"deal": "pledge", "supply": "exclusive", "supply_units": 1}


def shared(name: str) -> dict[str, Any]:
    """One of the shared rulebook files; the check is skipped where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no {name} in {SHARED}")
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def context_of(examples: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """The base with the case's fields set, or left out."""
    context: dict[str, Any] = json.loads(json.dumps(examples["bases"][case["base"]]))
    for path, value in case["set"].items():
        group, _, name = path.rpartition(".")
        target = context[group] if group else context
        target[name] = value
        if value == "__missing__":
            del target[name]
    return {"id": case["id"], **context}


def would(asked_by: Person, listing: str, buyer: Person, **changes: Any) -> httpx.Response:
    body = {"listing": listing, "buyer": buyer.participant, "quantity": 1}
    body |= {"purpose": "market_analysis", "territory": "CN", **changes}
    return asked_by.post("/v1/rulebook/verdicts", body)


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


# -- all of them


def test_judge_gives_every_shared_example_its_verdict_and_exact_rules() -> None:
    """Line: "`shuji judge` gives all 76 examples their verdict and exact set of rules"."""
    examples = shared("rulebook-examples.json")
    assert len(examples["cases"]) == 76
    lines = (json.dumps(context_of(examples, case), ensure_ascii=False) for case in examples["cases"])
    run = shuji("judge", "-", stdin="".join(f"{line}\n" for line in lines))
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [case["id"] for case in examples["cases"]]
    wrong = {
        case["id"]: (case["expect"], answer["verdict"], answer["rules"])
        for case, answer in zip(examples["cases"], answers, strict=True)
        if (answer["verdict"], set(answer["rules"]))
        != (case["expect"]["verdict"], set(case["expect"]["rules"]))
    }
    assert wrong == {}
    assert all(len(answer["citations"]) == len(answer["rules"]) for answer in answers)


def test_the_venue_trades_by_all_rules_of_the_draft(venue: Venue) -> None:
    """Line: "holds 88 rules ... Make all of them the project's own: ... keep the ids"."""
    draft = {rule["id"]: rule for rule in shared("rulebook-draft.json")["rules"]}
    rows = {row["rule"]: row for row in done(venue.http.get("/v1/rules"), 200)["items"]}
    assert sorted(rows) == sorted(draft)
    assert len(rows) == 88
    kinds = {name: rule.get("class") or rule.get("on_violation") for name, rule in draft.items()}
    assert {name: row["kind"] for name, row in rows.items()} == kinds
    told = done(venue.http.get("/v1/venue"), 200)["rulebook"]
    book = done(venue.http.get("/v1/rulebook"), 200)
    assert (book["sha256"], book["rules"]) == (told["sha256"], 88)
    opened = done(venue.operator.get(f"/v1/participants/{venue.operator.participant}"), 200)["registered_at"]
    assert abs((parsed(book["effective_from"]) - parsed(opened)).total_seconds()) < 0.001


def test_every_rule_says_on_what_it_stands(venue: Venue) -> None:
    """Line: "citations as records (source, article, authority, where and whom it binds, from, until), phases, applies_when,
    violated_when, class, evidence that cures it, Chinese and English text"."""
    for row in done(venue.http.get("/v1/rules"), 200)["items"]:
        assert row["phases"], row
        assert row["applies_when"], row
        assert row["violated_when"], row
        for name in ("message", "evidence"):
            assert has_chinese(row[f"{name}_zh"]), row
            assert row[f"{name}_en"], row
            assert not has_chinese(row[f"{name}_en"]), row
        assert row["citations"], row
        for cited in row["citations"]:
            assert {"source", "article", "authority", "where", "whom", "from", "until"} <= set(cited), row
            assert cited["confidence"], "how far it was checked"
            assert isinstance(cited["binding"], bool)


def test_a_rule_with_nothing_that_binds_is_the_venues_own(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "A refusal prints the citations that bind at this venue, these parties, this instant; with none left the rule
    stands as 本所规则, "modelled on ..."": Jiangxi's regulation binds in Jiangxi, the venue is in Hainan."""
    narrow = {"authorisation": {"purposes": ["risk_control"]}}
    [entry] = unlawful(venue.walk(merchant, buyer, declared=narrow), "B04")["violated"]
    assert not any(cited["binding"] for cited in entry["citations"])
    assert "本所规则" in entry["ground_zh"]
    assert "modelled on" in entry["ground_en"]
    bare = {
        "classification": {"origin": "personal", "pi_state": "identifiable"},
        "consent": {"basis": "none"},
    }
    [entry] = unlawful(venue.walk(merchant, buyer, declared=bare), "C01")["violated"]
    assert any(cited["binding"] for cited in entry["citations"])
    assert "本所规则" not in entry["ground_zh"]


# -- verdicts


def test_would_this_be_allowed(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "`POST /v1/rulebook/verdicts` answers "would this be allowed?" without trading": allow, reject, hold, and the
    order that follows is told the same."""
    product = venue.product(merchant)
    listing = venue.listing(merchant, product)
    venue.trade(buyer, listing)
    before, trades = buyer.account(), len(list(buyer.every("/v1/trades")))
    fine = done(would(buyer, listing, buyer))
    assert (fine["verdict"], fine["rules"], fine["unknown"]) == ("allow", [], [])
    done(venue.record(product, "objection_raised"))
    assert (done(would(buyer, listing, buyer))["verdict"], buyer.account()) == ("hold", before)
    done(venue.record(product, "risk_confirmed"))
    bad = done(would(buyer, listing, buyer))
    assert (bad["verdict"], set(bad["rules"])) == ("reject", {"A03", "B11"})
    assert all(has_chinese(cited) for cited in bad["citations"])
    assert len(bad["citations"]) == 2
    assert len(list(buyer.every("/v1/trades"))) == trades
    assert buyer.account() == before
    assert list(buyer.every("/v1/holds")) == []
    unlawful(venue.order(buyer, listing), "A03", "B11")


def test_what_is_unknown_is_named_and_never_allowed(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Verdicts and unknowns as the head of the draft says": indeterminate, with each rule and its facts."""
    product = venue.product(merchant)
    listing = venue.listing(merchant, product)
    venue.declare(merchant, product, "authorisation", purposes=["market_analysis", "other"])
    found = done(would(buyer, listing, buyer))
    assert found["verdict"] == "indeterminate"
    fields = {entry["rule"]: entry["fields"] for entry in found["unknown"]}
    assert "auth.purposes" in fields["B04"]
    assert found["rules"] == []


def test_a_verdict_is_on_the_venues_facts(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "The facts are gathered from state": nobody brings facts of his own, and a stranger asks for none."""
    listing = venue.listing(merchant, purposes=["market_analysis", "advertising"])
    refused(would(buyer, listing, buyer, product={"public_risk": "none"}), 400, "malformed")
    refused(would(buyer, "L999999", buyer), 404, "not_found")
    body = {"listing": listing, "buyer": buyer.participant, "quantity": 1}
    assert venue.http.post("/v1/rulebook/verdicts", json=body).status_code == 401
    other = done(would(buyer, listing, buyer, purpose="advertising"))
    assert (other["verdict"], other["rules"]) == ("reject", ["B04"])


def test_a_merchant_asks_of_nobody_who_has_not_signed_with_it(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """What the registers say of a stranger is no merchant's to know; who signed its contract deals with it."""
    listing = venue.listing(merchant)
    stranger = venue.buyer()
    refused(would(merchant, listing, stranger), 403, "forbidden")
    venue.agree(buyer, listing)
    assert done(would(merchant, listing, buyer))["verdict"] == "allow"


def test_each_verdict_stores_rulebook_facts_and_instant(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "Each verdict stores rulebook hash, facts hash and instant": the same facts have the same hash, others not."""
    sha256 = done(venue.http.get("/v1/rulebook"), 200)["sha256"]
    listing = venue.listing(merchant)
    verdicts = [venue.read_trade(venue.trade(buyer, listing), buyer)["verdict"] for _ in range(2)]
    other = venue.read_trade(venue.trade(venue.buyer(), venue.listing(merchant)), merchant)["verdict"]
    for verdict in (*verdicts, other):
        assert verdict["rulebook_sha256"] == sha256
        assert len(bytes.fromhex(verdict["facts_sha256"])) == 32
        assert abs((venue.now() - parsed(verdict["at"])).total_seconds()) < 600
    assert verdicts[0]["facts_sha256"] != other["facts_sha256"]


# -- kinds of trade in data IP (M8)


def test_a_pledge_is_a_trade_that_pledges_the_right(venue: Venue, merchant: Person) -> None:
    """Line: "Kinds of trade in data IP (M8): licence, exclusive licence, transfer, pledge": after it the right is pledged,
    and nothing is sold of it without the pledgee (B15)."""
    product = venue.product(merchant, authorisation={"deals": ["licence", "pledge"]})
    ordinary = venue.listing(merchant, product)
    pledgee, buyer = venue.buyer(), venue.buyer()
    venue.trade(buyer, ordinary)
    trade = venue.trade(pledgee, venue.listing(merchant, product, **PLEDGE))
    venue.complete(merchant, pledgee, trade)
    rows = list(merchant.every("/v1/registers/pledges/entries", product=product))
    assert [row["facts"]["state"] for row in rows if row["stands"]] == ["pledged"]
    venue.held(buyer, ordinary, "B15")
    assert venue.read_trade(trade, pledgee)["entitlement"]


def test_the_pledgee_consents_and_releases(venue: Venue, merchant: Person) -> None:
    """Line: "Kinds of trade in data IP (M8)": what is held waits for the pledgee's word; released, nobody is asked."""
    product = venue.product(merchant, authorisation={"deals": ["licence", "pledge"]})
    ordinary = venue.listing(merchant, product)
    pledgee, buyer = venue.buyer(), venue.buyer()
    trade = venue.trade(pledgee, venue.listing(merchant, product, **PLEDGE))
    venue.complete(merchant, pledgee, trade)
    held = venue.held(buyer, ordinary, "B15")
    path = "/v1/registers/pledges/entries"
    facts = {"number": trade, "state": "pledged", "consented": True, "pledgee": pledgee.participant}
    body = {"product": product, "facts": facts, "evidence_sha256": sha256_of("word"), "reason": "同意交易"}
    refused(merchant.post(path, body), 403, "forbidden")
    done(pledgee.post(path, body), 201)
    assert venue.read_trade(held, buyer)["state"] == "settled"
    done(pledgee.post(path, {**body, "facts": {**facts, "consented": False, "state": "released"}}), 201)
    venue.trade(buyer, ordinary)
    seen = list(pledgee.every(path, product=product))
    assert [row["facts"]["state"] for row in seen if row["stands"]] == ["released"]


def test_a_certificate_is_renewed_before_it_expires(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "certificates renew before they expire": renewed in time its listings go on, afterwards it is too late."""
    products = [venue.product(merchant, {"valid_until": venue.in_days(20)}) for _ in range(2)]
    renewed, forgotten = products
    assert "certificate_reminded_at" not in done(merchant.get(f"/v1/products/{forgotten}"), 200)
    listings = [venue.listing(merchant, product, term_days=1, delivery_days=1) for product in products]
    body = {"evidence_sha256": sha256_of("renewal"), "reason": "续期", "valid_until": venue.in_days(400)}
    refused(merchant.post(f"/v1/products/{renewed}/renewals", body), 403, "forbidden")
    made = done(venue.desk.post(f"/v1/products/{renewed}/renewals", body), 201)
    seen = done(merchant.get(f"/v1/products/{renewed}"), 200)
    assert (seen["certificate"], seen["state"]) == (made["certificate"], "registered")
    assert parsed(seen["valid_until"]) == parsed(body["valid_until"])
    venue.advance(days=15)
    venue.advance(days=5, seconds=60)
    told = done(merchant.get(f"/v1/products/{forgotten}"), 200)
    assert parsed(told["certificate_reminded_at"]) < parsed(told["valid_until"])
    assert "certificate_reminded_at" not in done(merchant.get(f"/v1/products/{renewed}"), 200)
    venue.trade(buyer, listings[0])
    assert "B12" in str(venue.order(buyer, listings[1]).json())
    refused(venue.desk.post(f"/v1/products/{forgotten}/renewals", body), 409, "wrong_state")


# -- no way around


def test_no_path_settles_without_a_verdict(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "no path of the API settles a trade without a clearing verdict": by order, book, cure, and report."""
    product = venue.product(merchant)
    done(venue.record(product, "objection_raised"))
    venue.held(buyer, venue.listing(merchant, product), "B11")
    done(venue.record(product, "objection_settled"))
    book = venue.book_listing(merchant)
    done(venue.order(merchant, book, 2, side="sell", limit_fen=1_000), 201)
    venue.trade(buyer, book, 2, limit_fen=1_000)
    _report_both_sides(venue, merchant, buyer)
    venue.complete(merchant, buyer, venue.trade(buyer, venue.listing(merchant)))
    told = done(venue.http.get("/v1/venue"), 200)["rulebook"]["sha256"]
    trades = [row for row in venue.operator.every("/v1/trades") if row["dates"]["settled"]]
    assert {row["mechanism"] for row in trades} >= {"posted_price", "continuous_auction", "off_venue"}
    for row in trades:
        verdict = row["verdict"]
        assert (verdict["outcome"], verdict["violated"], verdict["unknown"]) == ("allow", [], []), row
        assert (verdict["rulebook_sha256"], verdict["at"] is None) == (told, False)
        assert int(verdict["facts_sha256"], 16), row


def _report_both_sides(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, mechanism="off_venue")
    terms = {"listing": listing, "quantity": 1, "price_fen": 50_000, "purpose": "market_analysis"}
    terms |= {"territory": "CN", "contract_sha256": sha256_of("bilateral contract")}
    sold = {**terms, "side": "sell", "counterparty": buyer.participant}
    done(merchant.post("/v1/trade-reports", sold))
    bought = {**terms, "side": "buy", "counterparty": merchant.participant}
    assert done(buyer.post("/v1/trade-reports", bought))["state"] == "settled"
