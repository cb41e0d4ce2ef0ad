"""Issue, "First rules": each of the thirty, by a story that exactly this rule refuses or holds.

Each has its lawful twin. A story goes the whole way (registration, listing, order) and meets the rule
wherever the venue first asks it. Where the facts change after publication the same listing is its own twin:
lawful before, unlawful after. Three rules stand behind an earlier guard, which is checked too: B13, E02 and F02 are met
where something happens between guard and trade (a transfer, a mandate that ends, an approval that is withdrawn).
"""

from typing import Any

import pytest

from tests.story import RULES, Person, Venue, done, refused, rules_named, settled, sha256_of, unlawful

PERSONAL: dict[str, Any] = {
    "classification": {"origin": "personal", "pi_state": "identifiable"},
    "consent": {"basis": "separate_consent", "purposes": ["market_analysis"]},
}
EXCLUSIVE: dict[str, Any] = {"deal": "exclusive_licence", "supply": "exclusive", "supply_units": 1}


def public(**classification: Any) -> dict[str, Any]:
    return {
        "classification": {"origin": "public", "open_class": "unconditional", **classification},
        "source": {"channel": "authorised_operation"},
    }


@pytest.fixture
def merchant(venue: Venue) -> Person:
    """One a test: what another test does to it would lower its grade."""
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def on_offer(venue: Venue, merchant: Person) -> tuple[str, str]:
    """A product with a wide authorisation, and its listing."""
    product = venue.product(merchant)
    return product, venue.listing(merchant, product)


def test_the_rulebook_can_be_read(venue: Venue) -> None:
    shown = done(venue.http.get("/v1/rules"), 200)["items"]
    assert {rule["rule"] for rule in shown} >= set(RULES)
    for rule in RULES:
        one = done(venue.http.get(f"/v1/rules/{rule}"), 200)
        assert one["citations"], rule
        assert one["message_zh"], rule
        assert one["message_en"], rule
    refused(venue.http.get("/v1/rules/Z99"), 404, "not_found")


def fell(venue: Venue, merchant: Person, trade: str, *rules: str) -> None:
    """What was held has been refused, by exactly these rules."""
    seen = venue.read_trade(trade, merchant)
    assert (seen["state"], seen["verdict"]["outcome"]) == ("refused", "reject"), seen
    assert rules_named(seen["verdict"]["violated"]) == set(rules), seen


def binding(answer: Any) -> dict[str, list[str]]:
    """Broken rule: the articles that the refusal says bind."""
    broken = answer.json()["violated"]
    return {one["rule"]: [cited["zh"] for cited in one["citations"] if cited["binding"]] for one in broken}


def test_a_refusal_cites_what_binds_these_parties(venue: Venue, merchant: Person, buyer: Person) -> None:
    """个人信息保护法23 binds who handles personal information, 发改价格〔2025〕65号 operators of authorised public data.

    `GET /v1/rules/{rule}` says whom each article addresses, so that it and a refusal agree.
    """
    narrow = {"authorisation": {"purposes": ["risk_control"]}}
    plain = venue.walk(merchant, buyer, declared=narrow)
    handled = venue.walk(merchant, buyer, declared={**PERSONAL, **narrow})
    assert binding(plain)["B04"] == []
    assert binding(handled)["B04"] == ["个人信息保护法23"]
    dear = {"price_regime": "gov_guided", "price_cap_fen": 10_000, "price_fen": 10_001}
    operated = venue.walk(merchant, buyer, board="public_data", declared=public(), terms=dear)
    assert binding(operated) == {"D05": ["发改价格〔2025〕65号"]}
    for rule, article, whom in (
        ("B04", "个人信息保护法23", "personal_information_handler"),
        ("D05", "发改价格〔2025〕65号", "public_data_operator"),
    ):
        shown = done(venue.http.get(f"/v1/rules/{rule}"), 200)["citations"]
        [cited] = [one for one in shown if one["zh"] == article]
        assert (cited["whom"], cited["binding"]) == (whom, True)


# -- A: what may never be traded


@pytest.mark.parametrize(
    ("rule", "unlawful_fact", "lawful_fact"),
    [
        ("A01", {"secret_kind": "state"}, {"secret_kind": "none"}),
        ("A02", {"data_class": "core"}, {"data_class": "general"}),
        ("A03", {"public_risk": "confirmed"}, {"public_risk": "none"}),
    ],
)
def test_A01_A02_A03_at_registration(
    venue: Venue,
    merchant: Person,
    buyer: Person,
    rule: str,
    unlawful_fact: dict[str, Any],
    lawful_fact: dict[str, Any],
) -> None:
    unlawful(venue.walk(merchant, buyer, declared={"classification": unlawful_fact}), rule)
    settled(venue.walk(merchant, buyer, declared={"classification": lawful_fact}))


def test_A01_state_secret_found_after_listing(
    venue: Venue, merchant: Person, buyer: Person, on_offer: tuple[str, str]
) -> None:
    product, listing = on_offer
    venue.trade(buyer, listing)
    venue.amend(merchant, product, "classification", secret_kind="state")
    unlawful(venue.order(buyer, listing), "A01")


def test_A02_graded_core_after_listing(
    venue: Venue, merchant: Person, buyer: Person, on_offer: tuple[str, str]
) -> None:
    product, listing = on_offer
    venue.trade(buyer, listing)
    venue.amend(merchant, product, "classification", data_class="core")
    unlawful(venue.order(buyer, listing), "A02")


def test_A03_public_risk_confirmed_and_cleared(
    venue: Venue, buyer: Person, on_offer: tuple[str, str]
) -> None:
    product, listing = on_offer
    done(venue.record(product, "risk_confirmed"))
    unlawful(venue.order(buyer, listing), "A03")
    done(venue.record(product, "risk_cleared"))
    venue.trade(buyer, listing)


# -- B: authorisation, registration, exclusivity


@pytest.mark.parametrize("entry", ["authorisation_withdrawn", "authorisation_disputed"])
def test_B01_no_valid_authorisation(
    venue: Venue, buyer: Person, on_offer: tuple[str, str], entry: str
) -> None:
    product, listing = on_offer
    done(venue.record(product, entry))
    unlawful(venue.order(buyer, listing), "B01")
    done(venue.record(product, "authorisation_restored"))
    venue.trade(buyer, listing)


def test_B02_authorisation_not_yet_in_force(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant, authorisation={"valid_from": venue.in_days(2)})
    listing = venue.listing(merchant, product)
    unlawful(venue.order(buyer, listing), "B02")
    venue.advance(days=2, seconds=60)
    venue.trade(buyer, listing)


def test_B02_with_B03_authorisation_over(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant, authorisation={"valid_until": venue.in_days(9)})
    listing = venue.listing(merchant, product, term_days=1, delivery_days=1)
    venue.trade(buyer, listing)
    venue.advance(days=9, seconds=60)
    unlawful(venue.order(buyer, listing), "B02", "B03")


def test_B03_the_licence_outruns_the_authorisation(venue: Venue, merchant: Person, buyer: Person) -> None:
    """The term runs from delivery or, after a rejection, from the redelivery: up to nine days after settlement."""
    declared = {"authorisation": {"valid_until": venue.in_days(30)}}
    unlawful(venue.walk(merchant, buyer, declared=declared, terms={"term_days": 22}), "B03")
    settled(venue.walk(merchant, buyer, declared=declared, terms={"term_days": 20}))


@pytest.mark.parametrize(
    ("rule", "narrowed"),
    [
        ("B04", {"purposes": ["risk_control"]}),
        ("B05", {"territories": ["HK"]}),
        ("B06", {"field_groups": ["extended"]}),
        ("B07", {"deals": ["exclusive_licence"]}),
    ],
)
def test_B04_B05_B06_B07_outside_an_authorisation_that_was_narrowed(
    venue: Venue,
    merchant: Person,
    buyer: Person,
    on_offer: tuple[str, str],
    rule: str,
    narrowed: dict[str, Any],
) -> None:
    product, listing = on_offer
    venue.trade(buyer, listing)
    venue.amend(merchant, product, "authorisation", **narrowed)
    unlawful(venue.order(buyer, listing), rule)


@pytest.mark.parametrize(
    ("rule", "narrow", "wide"),
    [
        ("B04", {"purposes": ["risk_control"]}, {"purposes": ["risk_control", "market_analysis"]}),
        ("B05", {"territories": ["HK"]}, {"territories": ["HK", "CN"]}),
        ("B06", {"field_groups": ["extended"]}, {"field_groups": ["extended", "core"]}),
        ("B07", {"deals": ["exclusive_licence"]}, {"deals": ["exclusive_licence", "licence"]}),
    ],
)
def test_B04_B05_B06_B07_outside_the_authorisation_from_the_start(
    venue: Venue,
    merchant: Person,
    buyer: Person,
    rule: str,
    narrow: dict[str, Any],
    wide: dict[str, Any],
) -> None:
    unlawful(venue.walk(merchant, buyer, declared={"authorisation": narrow}), rule)
    settled(venue.walk(merchant, buyer, declared={"authorisation": wide}))


@pytest.mark.parametrize("entry", ["registration_revoked", "registration_cancelled"])
def test_B10_registration_gone(venue: Venue, buyer: Person, on_offer: tuple[str, str], entry: str) -> None:
    product, listing = on_offer
    venue.trade(buyer, listing)
    done(venue.record(product, entry))
    unlawful(venue.order(buyer, listing), "B10")


@pytest.mark.parametrize(
    ("adverse", "mended"),
    [
        ("objection_raised", "objection_settled"),
        ("registration_suspended", "registration_resumed"),
    ],
)
def test_B11_registration_under_a_cloud(
    venue: Venue, buyer: Person, on_offer: tuple[str, str], adverse: str, mended: str
) -> None:
    product, listing = on_offer
    done(venue.record(product, adverse))
    venue.held(buyer, listing, "B11")
    done(venue.record(product, mended))
    venue.trade(buyer, listing)


def test_B12_registration_over(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant, {"valid_until": venue.in_days(2)})
    listing = venue.listing(merchant, product, term_days=1, delivery_days=1)
    venue.trade(buyer, listing)
    venue.advance(days=2, seconds=60)
    unlawful(venue.order(buyer, listing), "B12")


def test_B13_neither_holder_nor_recorded_licensee(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Guard: nobody lists another's product. Twin: the recorded licensee does, and sells."""
    product, licensee = venue.product(merchant), venue.merchant()
    body = {"product": product, "board": "general", "terms": venue.terms()}
    stopped = licensee.post("/v1/listings", body)
    assert stopped.status_code in (403, 404, 422), stopped.text
    done(venue.record(product, "licensee_recorded", participant=licensee.participant))
    venue.trade(buyer, venue.listing(licensee, product))


def test_B13_the_right_was_sold_in_between(venue: Venue, merchant: Person, buyer: Person) -> None:
    """The seller of the right has another listing of it, which takes an order after the transfer."""
    product = venue.product(merchant, authorisation={"deals": ["licence", "transfer"]})
    ordinary = venue.listing(merchant, product)
    whole = venue.listing(merchant, product, deal="transfer", supply="exclusive", supply_units=1)
    venue.trade(buyer, ordinary)
    holder = venue.merchant("buyer")
    venue.cash_in(holder, 1_000_000)
    venue.complete(merchant, holder, venue.trade(holder, whole))
    unlawful(venue.order(buyer, ordinary), "B13")
    venue.trade(buyer, venue.listing(holder, product))
    done(venue.record(product, "licensee_recorded", participant=merchant.participant))
    venue.trade(buyer, ordinary)
    done(venue.record(product, "licensee_removed", participant=merchant.participant))
    unlawful(venue.order(buyer, ordinary), "B13")


def test_B14_a_right_the_seller_does_not_hold(venue: Venue, merchant: Person, buyer: Person) -> None:
    held = {"rights": ["resource_holding", "processing_use"]}
    unlawful(venue.walk(merchant, buyer, decided=held, terms={"right": "product_operation"}), "B14")
    settled(venue.walk(merchant, buyer, decided=held, terms={"right": "processing_use"}))


def test_B16_an_exclusive_licence_is_in_force(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant)
    ordinary = venue.listing(merchant, product)
    exclusive = venue.listing(merchant, product, **EXCLUSIVE)
    venue.trade(buyer, exclusive)
    unlawful(venue.order(venue.buyer(), ordinary), "B16")
    other = venue.product(merchant)
    venue.trade(buyer, venue.listing(merchant, other))


def test_B17_prior_licences_undisclosed(venue: Venue, merchant: Person, buyer: Person) -> None:
    for accepts in (False, True):
        product = venue.product(merchant)
        venue.trade(venue.buyer(), venue.listing(merchant, product))
        exclusive = venue.listing(merchant, product, **EXCLUSIVE)
        if accepts:
            venue.trade(buyer, exclusive, accepts_prior=True)
        else:
            venue.held(buyer, exclusive, "B17")


# -- C: personal information


@pytest.mark.parametrize("pi_state", ["identifiable", "deidentified"])
def test_C01_personal_information_without_basis(
    venue: Venue, merchant: Person, buyer: Person, pi_state: str
) -> None:
    classified = {"origin": "personal", "pi_state": pi_state}
    without = {"classification": classified, "consent": {"basis": "none", "purposes": []}}
    unlawful(venue.walk(merchant, buyer, declared=without), "C01")
    settled(venue.walk(merchant, buyer, declared={**PERSONAL, "classification": classified}))


def test_C02_general_consent_only(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant, **PERSONAL)
    listing = venue.listing(merchant, product)
    venue.trade(buyer, listing)
    venue.amend(merchant, product, "consent", basis="general_consent", purposes=["market_analysis"])
    venue.held(buyer, listing, "C02")


def test_C05_consent_withdrawn(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant, **PERSONAL)
    listing = venue.listing(merchant, product)
    done(venue.record(product, "consent_withdrawn", by=merchant))
    unlawful(venue.order(buyer, listing), "C05")
    done(venue.record(product, "consent_removed"))
    venue.trade(buyer, listing)


def test_C07_a_purpose_nobody_consented_to(venue: Venue, merchant: Person, buyer: Person) -> None:
    declared = {**PERSONAL, "consent": {"basis": "separate_consent", "purposes": ["risk_control"]}}
    terms = {"purposes": ["market_analysis", "risk_control"]}
    for purpose, allowed in (("market_analysis", False), ("risk_control", True)):
        ordered = {"purpose": purpose}
        answer = venue.walk(merchant, buyer, declared=declared, terms=terms, ordered=ordered)
        if allowed:
            settled(answer)
        else:
            unlawful(answer, "C07")


# -- D: public data and its price


def test_D01_not_open_and_not_desensitised(venue: Venue, merchant: Person, buyer: Person) -> None:
    for declassified in (False, True):
        declared = public(open_class="not_open", declassified=declassified)
        answer = venue.walk(merchant, buyer, board="public_data", declared=declared)
        if declassified:
            settled(answer)
        else:
            unlawful(answer, "D01")


def test_D02_conditionally_open_passed_on(venue: Venue, merchant: Person, buyer: Person) -> None:
    for derived in (False, True):
        declared = public(open_class="conditional", derived=derived)
        declared["source"] = {"channel": "open_platform_conditional"}
        answer = venue.walk(merchant, buyer, board="public_data", declared=declared)
        if derived:
            settled(answer)
        else:
            unlawful(answer, "D02")


def test_D05_above_the_guided_price(venue: Venue, merchant: Person, buyer: Person) -> None:
    for price_fen in (10_001, 10_000):
        terms = {"price_regime": "gov_guided", "price_cap_fen": 10_000, "price_fen": price_fen}
        answer = venue.walk(merchant, buyer, board="public_data", declared=public(), terms=terms)
        if price_fen > 10_000:
            unlawful(answer, "D05")
        else:
            settled(answer)


def test_D05_the_ceiling_is_not_the_sellers_word(venue: Venue, merchant: Person, buyer: Person) -> None:
    """A reviewer holds regime and ceiling against the published tariff; nothing is approved without it."""
    product = venue.product(merchant, **public())
    terms = {"price_regime": "gov_guided", "price_cap_fen": 10_000, "price_fen": 10_000}
    listing = venue.draft(merchant, product, "public_data", **terms)
    done(venue.move(listing, "submit", merchant))
    refused(venue.desk.post(f"/v1/listings/{listing}/approve", {}), 422, "evidence_missing")
    assert done(merchant.get(f"/v1/listings/{listing}"), 200)["tariff_sha256"] is None
    tariff = sha256_of("收费标准 tariff 2026-1")
    done(venue.desk.post(f"/v1/listings/{listing}/approve", {"tariff_sha256": tariff}))
    venue.advance(days=5, seconds=60)
    assert done(buyer.get(f"/v1/listings/{listing}"), 200)["tariff_sha256"] == tariff
    venue.trade(buyer, listing)


@pytest.mark.parametrize("purpose", ["public_governance", "public_welfare"])
def test_D06_public_good_is_free(venue: Venue, merchant: Person, buyer: Person, purpose: str) -> None:
    for price_fen in (1, 0):
        answer = venue.walk(
            merchant,
            buyer,
            board="public_data",
            declared={**public(), "authorisation": {"purposes": [purpose]}},
            terms={"purposes": [purpose], "price_fen": price_fen},
            ordered={"purpose": purpose},
        )
        if price_fen:
            unlawful(answer, "D06")
        else:
            settled(answer)


# -- E and F: the parties and the venue


def test_E01_the_sellers_credential(venue: Venue, buyer: Person) -> None:
    merchant = venue.merchant()
    listing = venue.listing(merchant)
    done(venue.discipline(merchant, "suspend"))
    unlawful(venue.order(buyer, listing), "E01")
    done(venue.accreditation(merchant, "restore"))
    venue.trade(buyer, listing)


def test_E01_the_sellers_credential_is_over(venue: Venue, buyer: Person) -> None:
    merchant = venue.merchant(credential_days=2)
    listing = venue.listing(merchant)
    venue.trade(buyer, listing)
    venue.advance(days=2, seconds=60)
    unlawful(venue.order(buyer, listing), "E01")


def test_E02_an_unverified_buyer(venue: Venue, on_offer: tuple[str, str]) -> None:
    """Guard: the unverified may browse only."""
    newcomer = venue.participant("buyer")
    venue.cash_in(newcomer, 1_000_000)
    refused(venue.order(newcomer, on_offer[1]), 403, "not_verified")
    done(venue.verify_identity(newcomer))
    venue.trade(newcomer, on_offer[1])


def test_E02_a_mandate_that_ended_while_the_bid_rested(venue: Venue, merchant: Person) -> None:
    """The bidder was verified at the door; then nobody may act for it any more, and nobody meets its bid. Its twin's
    mandate runs on. A fill that comes before the bid is closed is refused by E02 (`test_venue_orders`)."""
    for days, lawful in ((1, False), (30, True)):
        listing = venue.book_listing(merchant)
        bidder = venue.buyer(mandate_until=venue.in_days(days))
        bid: dict[str, Any] = {"side": "buy", "limit_fen": 1_000}
        placed = done(venue.order(bidder, listing, 2, **bid), 201)
        assert placed["trades"] == []
        venue.advance(days=1, seconds=60)
        filled = venue.order(merchant, listing, 1, side="sell", limit_fen=1_000, time_in_force="ioc")
        if lawful:
            settled(filled)
        else:
            assert done(filled, 201)["trades"] == []
            order = done(bidder.get(f"/v1/orders/{placed['order']}"), 200)
            assert (order["state"], order["closed_reason"]) == ("closed", "standing")
            refused(venue.order(bidder, listing, 1, **bid), 403, "not_verified")


def test_E02_a_mandate_that_ended_while_the_trade_was_held(venue: Venue, merchant: Person) -> None:
    """The buyer was verified when it ordered, and held for a pledge; that ends by its date, and it is refused for this.

    What is held is looked at again when a date passes, so the other reason has to be gone with the mandate.
    """
    for days, lawful in ((1, False), (30, True)):
        product = venue.product(merchant)
        listing = venue.listing(merchant, product)
        ends = venue.in_days(1)
        buyer = venue.buyer(mandate_until=ends if days == 1 else venue.in_days(days))
        pledge = {"number": "ZY-1", "state": "pledged", "consented": False}
        venue.enter("pledges", pledge, product=product, valid_until=ends)
        trade = venue.held(buyer, listing, "B15")
        venue.advance(days=1, seconds=60)
        if lawful:
            assert done(merchant.get(f"/v1/trades/{trade}"))["state"] == "settled"
        else:
            fell(venue, merchant, trade, "E02")


def test_E03_a_banned_seller(venue: Venue, buyer: Person) -> None:
    merchant = venue.merchant()
    listing = venue.listing(merchant)
    venue.ban(merchant, venue.in_days(200))
    unlawful(venue.order(buyer, listing), "E03")
    venue.ban(merchant, None)
    venue.trade(buyer, listing)


def test_E03_a_banned_buyer(venue: Venue, on_offer: tuple[str, str]) -> None:
    """The rule, or the standing check before it."""
    banned = venue.buyer()
    venue.ban(banned, venue.in_days(200))
    answer = venue.order(banned, on_offer[1])
    if answer.status_code == 403:
        refused(answer, 403, "standing_denied")
    else:
        unlawful(answer, "E03")
    venue.ban(banned, None)
    venue.trade(banned, on_offer[1])


def test_E05_the_same_owner_on_both_sides(venue: Venue, merchant: Person, on_offer: tuple[str, str]) -> None:
    sister = venue.buyer(owner_id=f"owner-{merchant.uscc}")
    unlawful(venue.order(sister, on_offer[1]), "E05")
    venue.trade(venue.buyer(), on_offer[1])


def test_F02_the_approval_is_withdrawn(venue: Venue, merchant: Person, buyer: Person) -> None:
    """The authority takes a board's approval back: nothing more is traded in its books, and everything else is."""
    book, posted = venue.book_listing(merchant), venue.listing(merchant, board="computing")
    done(venue.order(merchant, book, 10, side="sell", limit_fen=1_000), 201)
    settled(venue.order(buyer, book, limit_fen=1_000))
    facts = {"board": "computing", "authority": "国务院有关部门", "state": "withdrawn"}
    venue.enter("central_approvals", facts)
    unlawful(venue.order(buyer, book, limit_fen=1_000), "F02")
    unlawful(venue.order(merchant, book, side="sell", limit_fen=1_000), "F02")
    settled(venue.order(buyer, posted))
    shown = {
        row["board"]: row["central_trading_approved"] for row in venue.http.get("/v1/boards").json()["items"]
    }
    assert (shown["computing"], shown["data_ip"]) == (False, True)
    venue.enter("central_approvals", {**facts, "state": "restored"})
    settled(venue.order(buyer, book, limit_fen=1_000))


def test_F02_central_trading_without_approval(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Guard: the board does not offer the mechanism. Twin: the board with approval does."""
    terms = venue.terms(mechanism="continuous_auction", supply="limited", supply_units=10)
    body = {"product": venue.product(merchant), "board": "general", "terms": terms}
    refused(merchant.post("/v1/listings", body), 422, "mechanism_not_allowed")
    book = venue.book_listing(merchant)
    done(venue.order(merchant, book, side="sell", limit_fen=1_000), 201)
    settled(venue.order(buyer, book, limit_fen=1_000))


# -- all reasons, and unknown never allows


def test_every_rule_that_is_broken_is_named(
    venue: Venue, merchant: Person, buyer: Person, on_offer: tuple[str, str]
) -> None:
    product, listing = on_offer
    done(venue.record(product, "risk_confirmed"))
    done(venue.record(product, "authorisation_withdrawn"))
    done(venue.record(product, "objection_raised"))
    problem = unlawful(venue.order(buyer, listing), "A03", "B01", "B11")
    assert len(problem["violated"]) == 3


def test_what_the_caller_says_about_the_facts_is_not_believed(
    venue: Venue, buyer: Person, on_offer: tuple[str, str]
) -> None:
    product, listing = on_offer
    done(venue.record(product, "risk_confirmed"))
    body = {
        "listing": listing,
        "quantity": 1,
        "purpose": "market_analysis",
        "product": {"public_risk": "none"},
    }
    refused(buyer.post("/v1/orders", body), 400, "malformed")
    unlawful(venue.order(buyer, listing), "A03")
