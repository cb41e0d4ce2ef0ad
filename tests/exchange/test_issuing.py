"""Credentials follow what they certify, whichever command changes it; a key is followed by another."""

from typing import Any

import pytest

from credit.credential import LIFE, Entitlement, Merchant, Registration
from exchange import events as e
from exchange import issuing
from exchange.state import DAY_NS, Certified, decode_state, encode_state
from tests.exchange.world import EVIDENCE, OPERATOR, World, only, public_key


def of(world: World, about: str) -> Certified:
    return world.state.credentials[world.state.credential_of[about]]


def moves(outcome: Any) -> list[tuple[str, str]]:
    return [(one.step, one.state) for one in outcome.events if isinstance(one, e.CredentialMoved)]


def issued(outcome: Any) -> list[e.CredentialIssued]:
    return [one for one in outcome.events if isinstance(one, e.CredentialIssued)]


def decide(world: World, participant: str, step: str, **fields: Any) -> list[Any]:
    """A step of an accreditation; what takes two people is taken by both."""
    if step in ("suspend", "revoke"):
        return list(world.discipline(participant, step).events)
    asked = {"participant": participant, "reasons": ("looked into",), "evidence_sha256": EVIDENCE, **fields}
    return list(world.must(e.DecideAccreditation(actor=world.reviewer, step=step, **asked)).events)


def steps(events: list[Any]) -> list[str]:
    return [one.step for one in events if isinstance(one, e.CredentialMoved)]


# ---- merchants


def test_an_accreditation_is_a_credential_that_follows_it() -> None:
    world = World()
    merchant = world.merchant()
    row = of(world, merchant)
    assert (row.id, row.state, row.subject) == ("C1", "issued", merchant)
    assert row.until_ns == world.state.bureau.participants[merchant].credential_until_ns
    assert steps(decide(world, merchant, "suspend")) == ["suspend"]
    assert of(world, merchant).state == "suspended"
    assert steps(decide(world, merchant, "restore")) == ["restore"]
    until_ns = world.at_ns + 1_000 * DAY_NS
    assert steps(decide(world, merchant, "renew", valid_until_ns=until_ns)) == ["renew"]
    assert of(world, merchant).until_ns == until_ns
    assert steps(decide(world, merchant, "revoke")) == ["revoke"]
    assert world.state.credentials == {}
    world.accredit(merchant)
    assert of(world, merchant).id == "C2"
    world.check()


def test_a_shorter_accreditation_is_another_credential() -> None:
    """What is signed stays signed: only a revocation takes its longer date back."""
    world = World()
    merchant = world.merchant()
    outcome = decide(world, merchant, "renew", valid_until_ns=world.at_ns + 10 * DAY_NS)
    assert steps(outcome) == ["revoke"]
    assert [one.replaces for one in outcome if isinstance(one, e.CredentialIssued)] == ["C1"]
    world.check()


def test_a_credential_says_who_it_is_and_changes_with_it() -> None:
    world = World()
    merchant = world.merchant()
    row = world.state.bureau.participants[merchant]
    stolen = e.ReplaceKey(actor=OPERATOR, participant=merchant, public_key=public_key("next"), reason="lost")
    outcome = world.must(stolen)
    assert moves(outcome) == [("revoke", "revoked")]
    [fresh] = issued(outcome)
    assert isinstance(fresh.claims, Merchant)
    assert (fresh.claims.key, fresh.claims.uscc) == (public_key("next"), row.uscc)
    assert fresh.replaces == "C1"
    world.check()


def test_an_identity_that_is_found_wrong_suspends() -> None:
    world = World()
    merchant = world.merchant()
    wrong = e.DecideIdentity(
        actor=world.reviewer, participant=merchant, accept=False, reasons=("another name",)
    )
    assert moves(world.must(wrong)) == [("suspend", "suspended")]
    world.check()
    renamed = e.ResubmitIdentity(
        actor=merchant,
        legal_name="its true name",
        uscc=world.state.bureau.participants[merchant].uscc,
        region="CN-46",
        evidence_sha256=EVIDENCE,
    )
    outcome = world.must(renamed)
    assert moves(outcome) == [("revoke", "revoked"), ("suspend", "suspended")]
    world.verify(merchant)
    assert of(world, merchant).state == "issued"
    world.check()


def test_an_account_that_is_suspended_or_closed_takes_its_credential_along() -> None:
    world = World()
    merchant = world.merchant()
    act: dict[str, Any] = {"actor": OPERATOR, "participant": merchant, "reason": "it asked"}
    assert moves(world.must(e.SetStatus(step="suspend", **act))) == [("suspend", "suspended")]
    assert moves(world.must(e.SetStatus(step="resume", **act))) == [("restore", "issued")]
    assert moves(world.must(e.SetStatus(step="close", **act))) == [("revoke", "revoked")]
    world.check()


def test_a_date_that_comes_ends_it() -> None:
    world = World()
    merchant = world.merchant()
    until_ns = of(world, merchant).until_ns
    assert moves(world.tick_at(until_ns + 2_000))[:1] == [("expire", "expired")]
    assert merchant not in world.state.credential_of
    world.check()


def test_a_restriction_is_another_credential_with_what_is_left() -> None:
    world = World()
    merchant = world.merchant()
    restricted = decide(world, merchant, "restrict", boards=("general",))
    [fresh] = [one for one in restricted if isinstance(one, e.CredentialIssued)]
    assert isinstance(fresh.claims, Merchant)
    assert (fresh.replaces, fresh.claims.boards) == ("C1", ("general",))
    world.check()


# ---- certificates


def test_a_registration_is_a_credential_of_its_holder() -> None:
    world = World()
    merchant = world.merchant()
    product = world.product(merchant)
    row = of(world, product)
    assert (row.subject, row.state) == (merchant, "issued")

    def record(entry: str) -> list[tuple[str, str]]:
        fact = e.RecordFact(
            actor=world.reviewer, product=product, entry=entry, evidence_sha256=EVIDENCE, reason="as decided"
        )
        return moves(world.must(fact))

    assert record("registration_suspended") == [("suspend", "suspended")]
    assert record("registration_resumed") == [("restore", "issued")]
    renewed = e.RenewCertificate(
        actor=world.reviewer,
        product=product,
        valid_until_ns=row.until_ns + DAY_NS,
        evidence_sha256=EVIDENCE,
        reason="on its application",
    )
    assert moves(world.must(renewed)) == [("renew", "issued")]
    world.check()
    assert record("registration_revoked") == [("revoke", "revoked")]
    world.check()


def test_a_transfer_gives_the_new_holder_a_credential_of_its_own() -> None:
    world = World()
    merchant, buyer = world.merchant(), world.merchant(cash_fen=10**9)
    product = world.product(merchant)
    listing = world.listing(merchant, product, deal="transfer", supply="exclusive")
    trade = world.buy(buyer, listing)
    world.deliver(trade)
    outcome = world.accept(trade)
    registrations = [one for one in issued(outcome) if isinstance(one.claims, Registration)]
    assert [one.claims.participant for one in registrations] == [buyer]
    assert of(world, product).subject == buyer
    world.check()


# ---- entitlements


@pytest.fixture
def sold() -> tuple[World, str, str]:
    """A world, a trade that is delivered, and its entitlement."""
    world = World()
    trade = world.buy(world.buyer(), world.listing(world.merchant(), term_days=30), purpose="market_analysis")
    assert [row.about for row in world.state.credentials.values() if row.about[0] == "E"] == []
    world.deliver(trade)
    return world, trade, world.state.trades[trade].entitlement


def test_an_entitlement_has_a_credential_from_its_delivery(sold: tuple[World, str, str]) -> None:
    world, trade, entitlement = sold
    row = of(world, entitlement)
    assert row.until_ns == world.state.entitlements[entitlement].until_ns
    assert moves(world.reject(trade)) == [("suspend", "suspended")]
    world.check()
    again = world.deliver(trade)
    assert moves(again) in ([("renew", "suspended"), ("restore", "issued")], [("restore", "issued")])
    assert moves(world.accept(trade)) == []
    world.check()
    assert moves(world.tick_at(of(world, entitlement).until_ns + 2_000)) == [("expire", "expired")]
    world.check()


def test_a_refund_revokes_it(sold: tuple[World, str, str]) -> None:
    world, trade, _ = sold
    world.reject(trade)
    world.deliver(trade)
    assert moves(world.reject(trade)) == [("revoke", "revoked")]
    world.check()


def test_a_term_that_stands_still_keeps_its_credential_waiting(sold: tuple[World, str, str]) -> None:
    """Its date may pass meanwhile: resumed, it is renewed to what is left of the term, and says what it said."""
    world, trade, entitlement = sold
    world.accept(trade)
    seller = world.state.entitlements[entitlement].seller
    act: dict[str, Any] = {"entitlement": entitlement, "reason": "misuse", "evidence_sha256": EVIDENCE}
    assert moves(world.must(e.SuspendEntitlement(actor=seller, **act))) == [("suspend", "suspended")]
    first = of(world, entitlement)
    world.tick_at(first.until_ns + 2_000)
    assert of(world, entitlement).state == "suspended"
    world.check()
    resumed = world.must(e.ResumeEntitlement(actor=seller, **act))
    assert moves(resumed) == [("renew", "suspended"), ("restore", "issued")]
    assert of(world, entitlement).until_ns > first.until_ns - 1
    world.check()
    revoked = world.must(e.RevokeEntitlement(actor=world.reviewer, **act))
    assert moves(revoked) == [("revoke", "revoked")]
    world.check()


def test_what_an_entitlement_says(sold: tuple[World, str, str]) -> None:
    world, trade, entitlement = sold
    row = world.state.entitlements[entitlement]
    found = issuing.wanted(world.state, entitlement, world.at_ns)
    assert found is not None
    assert isinstance(found.claims, Entitlement)
    assert (found.claims.trade, found.claims.seller, found.claims.purpose) == (
        trade,
        row.seller,
        "market_analysis",
    )


# ---- what is older, and what is kept


def test_what_is_older_than_credentials_gets_its_own() -> None:
    """A journal of before: its state has none. The venue asks for them at its start, and then no more."""
    world = World()
    merchant = world.merchant()
    trade = world.buy(world.buyer(), world.listing(merchant))
    world.deliver(trade)
    for row in list(world.state.credentials):
        world.state.drop_credential(row)
    assert len(issuing.lacking(world.state, world.at_ns)) == 3
    assert len(issuing.lacking(world.state, world.at_ns, 1)) == 1
    outcome = world.do(e.FollowCredentials(actor=e.VENUE))
    assert sorted(one.about[0] for one in issued(outcome)) == ["D", "E", "P"]
    assert issuing.lacking(world.state, world.at_ns) == []
    assert world.code(e.FollowCredentials(actor=merchant)) == "forbidden"


def test_a_snapshot_keeps_credentials_and_keys() -> None:
    world = World()
    world.merchant()
    world.must(e.AdoptVenueKey(actor=e.VENUE, public_key=public_key("one")))
    body = encode_state(world.state)
    again = decode_state(body, world.state.boards, world.state.packaged, world.state.jurisdiction)
    assert encode_state(again) == body
    assert again.credential_of == world.state.credential_of
    assert again.credentials_held == world.state.credentials_held


def test_a_life_is_its_table() -> None:
    assert {state for state, _ in LIFE} == {"issued", "suspended"}
    assert all(LIFE[state, "revoke"] == "revoked" for state in ("issued", "suspended"))


# ---- keys


def test_a_key_verifies_until_its_overlap_ends() -> None:
    world = World()
    one, other = public_key("one"), public_key("other")
    world.must(e.AdoptVenueKey(actor=e.VENUE, public_key=one))
    world.must(e.AdoptVenueKey(actor=OPERATOR, public_key=other, reason="a key a year", overlap_days=30))
    changed_ns = world.state.now_ns
    assert world.state.venue_key == other
    found = issuing.keys_at(world.state, changed_ns)
    assert [(row.public_key, row.until_ns) for row in found] == [(other, 0), (one, changed_ns + 30 * DAY_NS)]
    assert [row.public_key for row in issuing.keys_at(world.state, changed_ns + 30 * DAY_NS)] == [other]
    world.wait(days=31)
    world.must(e.AdoptVenueKey(actor=OPERATOR, public_key=public_key("third"), reason="again"))
    assert list(world.state.venue_keys) == [other, public_key("third")]
    world.check()


def test_no_key_outlasts_the_one_behind_it() -> None:
    """A year's change, and a week later it is known that the key of before was stolen."""
    world = World()
    world.must(e.AdoptVenueKey(actor=e.VENUE, public_key=public_key("one")))
    for name, days in (("two", 90), ("three", 0)):
        key = public_key(name)
        world.must(e.AdoptVenueKey(actor=OPERATOR, public_key=key, reason="new", overlap_days=days))
    left = issuing.keys_at(world.state, world.at_ns)
    assert [row.public_key for row in left] == [public_key("three")]
    world.check()


def test_a_stolen_key_ends_at_once() -> None:
    world = World()
    world.must(e.AdoptVenueKey(actor=e.VENUE, public_key=public_key("one")))
    stolen = e.AdoptVenueKey(actor=OPERATOR, public_key=public_key("two"), reason="stolen", overlap_days=0)
    world.must(stolen)
    assert [row.public_key for row in issuing.keys_at(world.state, world.at_ns)] == [public_key("two")]


def test_who_changes_the_key_and_to_what() -> None:
    world = World()
    merchant = world.merchant()
    world.must(e.AdoptVenueKey(actor=e.VENUE, public_key=public_key("one")))

    def code(actor: str = OPERATOR, **fields: Any) -> str:
        asked = {"public_key": public_key("two"), "reason": "a key a year", **fields}
        return world.code(e.AdoptVenueKey(actor=actor, **asked))

    assert code(merchant) == "forbidden"
    assert code(reason=" ") == "malformed"
    assert code(overlap_days=401) == "out_of_bounds"
    assert code(overlap_days=-1) == "out_of_bounds"
    assert code(public_key="AAAA") == "identity_invalid"
    assert code(public_key=public_key("one")) == "already_exists"


def test_a_key_of_a_year_is_too_old() -> None:
    world = World()
    world.must(e.AdoptVenueKey(actor=e.VENUE, public_key=public_key("one")))
    since_ns = world.state.now_ns
    assert issuing.aged_key(world.state, since_ns + issuing.KEY_DAYS * DAY_NS - 1) is None
    aged = issuing.aged_key(world.state, since_ns + issuing.KEY_DAYS * DAY_NS)
    assert aged is not None
    assert aged.public_key == public_key("one")
    assert (
        only(
            world.must(e.AdoptVenueKey(actor=OPERATOR, public_key=public_key("two"), reason="old")),
            e.VenueKeyAdopted,
        ).by
        == OPERATOR
    )
    assert issuing.aged_key(world.state, since_ns + issuing.KEY_DAYS * DAY_NS) is None
