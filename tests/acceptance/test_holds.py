"""Issue, "The path of a trade", step 7: holds are listed, cured by the named evidence, and expire."""

import pytest

from tests.story import Person, Venue, done, parsed, refused, sha256_of, unlawful


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def over_prior_licences(venue: Venue, merchant: Person) -> str:
    """An exclusive licence of a product that has an earlier, still running, ordinary licence (B17)."""
    product, first = venue.product(merchant), venue.buyer()
    trade = venue.trade(first, venue.listing(merchant, product, term_days=365))
    venue.complete(merchant, first, trade)
    return venue.listing(merchant, product, deal="exclusive_licence", supply="exclusive", supply_units=1)


def under_objection(venue: Venue, merchant: Person) -> tuple[str, str]:
    """A product with an objection pending (B11), and its listing."""
    product = venue.product(merchant)
    listing = venue.listing(merchant, product)
    done(venue.record(product, "objection_raised"))
    return product, listing


def on_general_consent(venue: Venue, merchant: Person) -> str:
    """Personal information whose consent turned out to be general only (C02)."""
    product = venue.product(
        merchant,
        classification={"origin": "personal", "pi_state": "identifiable"},
        consent={"basis": "separate_consent", "purposes": ["market_analysis"]},
    )
    listing = venue.listing(merchant, product)
    venue.amend(merchant, product, "consent", basis="general_consent", purposes=["market_analysis"])
    return listing


def held_by(person: Person) -> set[str]:
    return {item["trade"] for item in person.every("/v1/holds")}


def cure(person: Person, trade: str, rule: str) -> int:
    """The stories of C02 amend the product once; the others leave it as it was submitted."""
    revision = 2 if rule == "C02" else 1
    body = {"rule": rule, "evidence_sha256": sha256_of(f"evidence for {rule}"), "revision": revision}
    return person.post(f"/v1/holds/{trade}/cure", body).status_code


def test_a_hold_is_listed_with_its_rule_its_cure_and_its_date(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    trade = venue.held(buyer, over_prior_licences(venue, merchant), "B17")
    [item] = buyer.every("/v1/holds")
    assert item["trade"] == trade
    assert "B17" in str(item["rules"])
    assert parsed(item["until"]) > venue.now()
    assert trade in held_by(venue.desk)
    assert trade in held_by(venue.operator)
    assert trade not in held_by(venue.buyer(cash_fen=0))


def test_money_stays_reserved_during_a_hold(venue: Venue, merchant: Person, buyer: Person) -> None:
    before = buyer.account()
    venue.held(buyer, over_prior_licences(venue, merchant), "B17")
    during = buyer.account()
    assert during["balance"] == before["balance"]
    assert during["reserved"] == before["reserved"] + 50_000


def test_prior_licences_are_confirmed_by_the_buyer(venue: Venue, merchant: Person, buyer: Person) -> None:
    before = buyer.balance
    trade = venue.held(buyer, over_prior_licences(venue, merchant), "B17")
    assert cure(venue.desk, trade, "B17") == 403
    assert cure(venue.buyer(cash_fen=0), trade, "B17") in (403, 404)
    done(buyer.post(f"/v1/holds/{trade}/cure", {"rule": "B17"}))
    assert venue.read_trade(trade, buyer)["state"] == "settled"
    assert before - buyer.balance == 50_000
    assert held_by(buyer) == set()
    venue.complete(merchant, buyer, trade)


def test_a_settled_objection_is_brought_by_the_reviewer(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    _, listing = under_objection(venue, merchant)
    trade = venue.held(buyer, listing, "B11")
    assert cure(buyer, trade, "B11") == 403
    assert cure(venue.desk, trade, "B11") in (200, 201)
    assert venue.read_trade(trade, buyer)["state"] == "settled"


def test_a_register_that_changes_settles_what_it_held(venue: Venue, merchant: Person, buyer: Person) -> None:
    product, listing = under_objection(venue, merchant)
    trade = venue.held(buyer, listing, "B11")
    done(venue.record(product, "objection_settled"))
    assert venue.read_trade(trade, buyer)["state"] == "settled"


def test_separate_consent_is_brought_by_the_reviewer(venue: Venue, merchant: Person, buyer: Person) -> None:
    trade = venue.held(buyer, on_general_consent(venue, merchant), "C02")
    assert cure(buyer, trade, "C02") == 403
    assert cure(venue.desk, trade, "C02") in (200, 201)
    assert venue.read_trade(trade, buyer)["state"] == "settled"


def test_the_reviewers_cures_need_evidence(venue: Venue, merchant: Person, buyer: Person) -> None:
    trade = venue.held(buyer, on_general_consent(venue, merchant), "C02")
    answer = venue.desk.post(f"/v1/holds/{trade}/cure", {"rule": "C02", "revision": 2})
    refused(answer, 422, "evidence_missing")
    assert venue.read_trade(trade, buyer)["state"] == "held"


def test_a_cure_names_the_revision_that_was_looked_at(venue: Venue, merchant: Person, buyer: Person) -> None:
    trade = venue.held(buyer, on_general_consent(venue, merchant), "C02")
    body = {"rule": "C02", "evidence_sha256": sha256_of("separate consents")}
    refused(venue.desk.post(f"/v1/holds/{trade}/cure", body), 400, "malformed")
    refused(venue.desk.post(f"/v1/holds/{trade}/cure", {**body, "revision": 1}), 409, "wrong_state")
    assert venue.read_trade(trade, buyer)["state"] == "held"


def test_only_the_rule_that_holds_can_be_cured(venue: Venue, merchant: Person, buyer: Person) -> None:
    trade = venue.held(buyer, over_prior_licences(venue, merchant), "B17")
    assert 400 <= cure(venue.desk, trade, "C02") < 500
    assert 400 <= cure(venue.desk, trade, "A01") < 500
    assert venue.read_trade(trade, buyer)["state"] == "held"


def test_an_uncured_hold_ends_and_never_queues_again(venue: Venue, merchant: Person, buyer: Person) -> None:
    before = buyer.account()
    trade = venue.held(buyer, over_prior_licences(venue, merchant), "B17")
    [item] = buyer.every("/v1/holds")
    left = parsed(item["until"]) - venue.now()
    venue.advance(seconds=int(left.total_seconds()) + 60)
    assert buyer.account() == before
    assert held_by(buyer) == set()
    assert venue.read_trade(trade, buyer)["state"] not in ("held", "settled")
    refused(buyer.post(f"/v1/holds/{trade}/cure", {"rule": "B17"}), 409, "wrong_state")
    assert list(buyer.every("/v1/orders", state="open")) == []


def test_an_exclusive_right_counts_as_taken_while_held(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant)
    ordinary = venue.listing(merchant, product)
    venue.trade(venue.buyer(), ordinary)
    exclusive = venue.listing(merchant, product, deal="exclusive_licence", supply="exclusive", supply_units=1)
    venue.held(buyer, exclusive, "B17")
    unlawful(venue.order(venue.buyer(), ordinary), "B16")


def test_the_law_of_the_day_of_the_cure_decides(venue: Venue, merchant: Person, buyer: Person) -> None:
    """The registration is revoked while the trade is held: refused at once, and the money comes back."""
    before = buyer.account()
    product, listing = under_objection(venue, merchant)
    trade = venue.held(buyer, listing, "B11")
    done(venue.record(product, "registration_revoked"))
    assert venue.read_trade(trade, buyer)["state"] == "refused"
    assert cure(venue.desk, trade, "B11") == 409
    assert buyer.account() == before
