"""Issue, "The path of a trade", step 3: a product is declared by its merchant and registered by another."""

from typing import Any

import pytest

from tests.story import (
    GROUPS,
    Person,
    Venue,
    done,
    has_chinese,
    parsed,
    refused,
    settled,
    sha256_of,
    unknown,
    unlawful,
)


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def pending(venue: Venue, merchant: Person, **changes: Any) -> str:
    submitted = done(venue.submit_product(merchant, **changes), 201)
    assert submitted["state"] == "pending"
    return str(submitted["product"])


def test_everything_declared_can_be_read(venue: Venue, merchant: Person) -> None:
    product = pending(venue, merchant, consent={"basis": "separate_consent", "purposes": ["risk_control"]})
    seen = done(merchant.get(f"/v1/products/{product}"), 200)
    declared = venue.declaration()
    for group in ("description", "classification", "source"):
        for name, value in declared[group].items():
            assert seen[group][name] == value, (group, name)
    assert sorted(seen["authorisation"]["purposes"]) == ["market_analysis", "risk_control"]
    assert seen["consent"]["basis"] == "separate_consent"


def test_only_merchants_register(venue: Venue, buyer: Person) -> None:
    refused(venue.submit_product(buyer), 403, "forbidden", "not_accredited")


def test_a_reviewer_finds_what_waits(venue: Venue, merchant: Person) -> None:
    product = pending(venue, merchant)
    assert product in {item["product"] for item in venue.desk.every("/v1/products", state="pending")}
    assert product in {item["product"] for item in merchant.every("/v1/products")}


def test_what_waits_is_not_for_others(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = pending(venue, merchant)
    refused(buyer.get(f"/v1/products/{product}"), 404, "not_found")
    refused(venue.merchant().get(f"/v1/products/{product}"), 404, "not_found")


def test_a_reviewer_other_than_the_submitter_decides(venue: Venue, merchant: Person, buyer: Person) -> None:
    both = venue.merchant()
    done(venue.operator.post(f"/v1/participants/{both.participant}/roles", {"role": "reviewer"}))
    product = pending(venue, both)
    refused(venue.decide_product(product, by=both), 403, "own_case")
    refused(venue.decide_product(product, by=buyer), 403, "forbidden")
    refused(venue.decide_product(product, by=venue.operator), 403, "forbidden")
    assert done(venue.decide_product(product), 200)["state"] == "registered"


def test_the_certificate_has_a_number_and_a_validity(venue: Venue, merchant: Person) -> None:
    first, second = pending(venue, merchant), pending(venue, merchant)
    until = venue.in_days(400)
    given = done(venue.decide_product(first, valid_until=until), 200)
    assert parsed(given["valid_until"]) == parsed(until)
    assert given["certificate"]
    assert given["certificate"] != done(venue.decide_product(second), 200)["certificate"]


def test_the_certificate_proves_registration_here_not_ownership(venue: Venue, merchant: Person) -> None:
    seen = done(merchant.get(f"/v1/products/{venue.product(merchant)}"), 200)
    text = str(seen)
    assert "ownership" in text
    assert has_chinese(text)


def test_a_return_has_its_reasons(venue: Venue, merchant: Person) -> None:
    product = pending(venue, merchant)
    decided = done(
        venue.decide_product(product, decision="return", confirmed=[], reasons=["来源说明过简"]), 200
    )
    assert decided["state"] == "returned"
    assert "来源说明过简" in str(done(merchant.get(f"/v1/products/{product}"), 200))


def test_a_refused_product_cannot_be_listed(venue: Venue, merchant: Person) -> None:
    product = pending(venue, merchant)
    done(venue.decide_product(product, decision="refuse", confirmed=[], reasons=["不受理"]), 200)
    body = {"product": product, "board": "general", "terms": venue.terms()}
    answer = merchant.post("/v1/listings", body)
    assert answer.status_code in (409, 422), answer.text


def test_a_decision_is_made_once(venue: Venue, merchant: Person) -> None:
    product = venue.product(merchant)
    refused(venue.decide_product(product), 409, "wrong_state")


@pytest.mark.parametrize("group", ["classification", "authorisation"])
def test_a_fact_nobody_confirmed_is_unknown_and_never_allows(
    venue: Venue, merchant: Person, buyer: Person, group: str
) -> None:
    confirmed = [other for other in GROUPS if other != group]
    answer = venue.walk(merchant, buyer, decided={"confirmed": confirmed})
    assert unknown(answer)
    settled(venue.walk(merchant, buyer))


def test_an_amended_fact_is_unknown_until_confirmed(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant)
    listing = venue.listing(merchant, product)
    venue.trade(buyer, listing)
    venue.declare(merchant, product, "authorisation", purposes=["market_analysis"])
    fields = {field for entry in unknown(venue.order(buyer, listing)) for field in entry["fields"]}
    assert any(field.startswith("auth.") for field in fields)
    wrong = {
        "revision": 2,
        "groups": ["authorisation"],
        "evidence": {"authorisation": sha256_of("another paper")},
    }
    answer = venue.desk.post(f"/v1/products/{product}/confirmations", wrong)
    assert 400 <= answer.status_code < 500, "the reviewer saw another paper than the one declared"
    assert unknown(venue.order(buyer, listing))
    right = {
        "revision": 2,
        "groups": ["authorisation"],
        "evidence": {"authorisation": sha256_of("authorisation anew")},
    }
    refused(merchant.post(f"/v1/products/{product}/confirmations", right), 403, "forbidden")
    done(venue.desk.post(f"/v1/products/{product}/confirmations", right))
    venue.trade(buyer, listing)


def test_a_reviewer_decides_on_what_it_saw(venue: Venue, merchant: Person) -> None:
    """Amended while it waited, or after a confirmation was written: the number is another one, look again."""
    product = pending(venue, merchant)
    seen = venue.revision_of(product)
    amended = venue.declare(merchant, product, "classification", data_class="important")
    assert amended == seen + 1 == venue.revision_of(product)
    problem = refused(venue.decide_product(product, revision=seen), 409, "wrong_state")
    assert f"amended since revision {seen}: look again" in problem["detail"]
    refused(venue.decide_product(product, revision=None), 400, "malformed")
    done(venue.decide_product(product, revision=amended), 200)
    later = venue.declare(merchant, product, "source", statement="另有说明")
    body = {"revision": amended, "groups": ["source"], "evidence": {"source": sha256_of("source anew")}}
    refused(venue.desk.post(f"/v1/products/{product}/confirmations", body), 409, "wrong_state")
    done(venue.desk.post(f"/v1/products/{product}/confirmations", {**body, "revision": later}))


def test_after_a_transfer_the_product_is_its_holders(venue: Venue, merchant: Person) -> None:
    """The buyer of the right sees and mends the product; the seller has become anybody."""
    product, holder = venue.product(merchant, authorisation={"deals": ["transfer"]}), venue.merchant("buyer")
    venue.cash_in(holder, 1_000_000)
    listing = venue.listing(merchant, product, deal="transfer", supply="exclusive", supply_units=1)
    venue.complete(merchant, holder, venue.trade(holder, listing))
    seen = done(holder.get(f"/v1/products/{product}"), 200)
    assert (seen["holder"], seen["merchant"]) == (holder.participant, merchant.participant)
    assert seen["evidence"]
    assert product in {item["product"] for item in holder.every("/v1/products")}
    assert product not in {item["product"] for item in merchant.every("/v1/products")}
    assert "evidence" not in done(merchant.get(f"/v1/products/{product}"), 200)
    body = {"evidence_sha256": sha256_of("x"), "source": {"channel": "self_generated", "statement": "x"}}
    refused(merchant.post(f"/v1/products/{product}/facts", body), 404, "not_found")
    done(holder.post(f"/v1/products/{product}/facts", body))
    refused(venue.record(product, "authorisation_withdrawn", by=merchant), 403, "forbidden")
    done(venue.record(product, "authorisation_withdrawn", by=holder))


def test_a_declaration_needs_hashed_evidence(venue: Venue, merchant: Person) -> None:
    answer = merchant.post("/v1/products", {**venue.declaration(), "evidence": {}})
    assert answer.status_code in (400, 422), answer.text
    answer = merchant.post("/v1/products", venue.declaration(evidence={"source": "no hash"}))
    assert answer.status_code in (400, 422), answer.text


def test_a_merchant_records_only_against_itself(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant)
    listing = venue.listing(merchant, product)
    done(venue.record(product, "authorisation_withdrawn", by=merchant))
    unlawful(venue.order(buyer, listing), "B01")
    refused(venue.record(product, "authorisation_restored", by=merchant), 403, "forbidden")
    done(venue.record(product, "authorisation_restored"))
    venue.trade(buyer, listing)
    for entry in ("risk_cleared", "objection_settled", "registration_resumed", "consent_removed"):
        refused(venue.record(product, entry, by=merchant), 403, "forbidden")
    refused(venue.record(product, "authorisation_withdrawn", by=buyer), 403, "forbidden")


def test_an_unknown_entry_is_a_clear_error(venue: Venue, merchant: Person) -> None:
    answer = venue.record(venue.product(merchant), "wished_away")
    assert answer.status_code in (400, 422), answer.text


def test_the_sample_is_for_whoever_signed_in(venue: Venue, merchant: Person) -> None:
    product = venue.product(merchant)
    venue.listing(merchant, product)
    path = f"/v1/products/{product}/sample"
    assert venue.http.get(path).status_code == 401
    seen = done(venue.participant("buyer").get(path), 200)
    assert "1200" in str(seen)


def test_contributors_may_not_share_more_than_there_is(venue: Venue, merchant: Person, buyer: Person) -> None:
    answer = venue.submit_product(merchant, shares=[[buyer.participant, 10_001]])
    assert answer.status_code in (400, 422), answer.text
    answer = venue.submit_product(merchant, shares=[["P999999", 100]])
    assert answer.status_code in (404, 422), answer.text
