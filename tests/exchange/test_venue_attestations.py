"""Attestations: who may give them, what they cure, and when they no longer do."""

from typing import Any

import pytest
from msgspec.structs import replace

from exchange import events as e
from exchange.state import DAY_NS, decode_state, encode_state
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    World,
    boards,
    consent_of,
    kinds,
    only,
    personal,
    rulebook,
)


def on_general_consent() -> tuple[World, str, str]:
    """A world in which C02 holds every order of a listing: product and listing."""
    world = World()
    shop = world.merchant()
    product = world.product(
        shop,
        classification=personal(),
        consent=consent_of(basis="general_consent"),
    )
    return world, product, world.listing(shop, product)


def held(world: World, buyer: str, listing: str) -> str:
    return only(world.order(buyer, listing), e.Held).trade


def test_an_attestation_cures_the_holds_that_wait_for_it() -> None:
    world, product, listing = on_general_consent()
    first, second = world.buyer(), world.buyer()
    trades = [held(world, first, listing), held(world, second, listing)]
    notary = world.provider("notary")
    outcome = world.must(world.attestation(notary, product, "C02"))
    assert kinds(outcome) == ["Attested", "HoldCured", "HoldCured", "Settled", "Settled"]
    given = only(outcome, e.Attested).attestation
    cured = [event for event in outcome.events if isinstance(event, e.HoldCured)]
    assert [(event.trade, event.by, event.attestation) for event in cured] == [
        (trade, notary, given) for trade in trades
    ]
    only(world.order(first, listing), e.Settled)
    world.check()


def test_one_for_a_buyer_cures_nobody_elses() -> None:
    world, product, listing = on_general_consent()
    named, other = world.buyer(), world.buyer()
    mine, theirs = held(world, named, listing), held(world, other, listing)
    outcome = world.must(world.attestation(world.provider("notary"), product, "C02", buyer=named))
    assert only(outcome, e.Settled).trade == mine
    assert list(world.state.holds) == [theirs]
    only(world.order(other, listing), e.Held)
    world.check()


def test_a_hold_by_two_rules_waits_for_both() -> None:
    """An objection (B11) is no notary's to settle."""
    world, product, listing = on_general_consent()
    world.record(product, "objection_raised")
    buyer = world.buyer()
    trade = held(world, buyer, listing)
    assert world.state.holds[trade].violated == ("B11", "C02")
    outcome = world.must(world.attestation(world.provider("notary"), product, "C02"))
    assert kinds(outcome) == ["Attested", "HoldCured"]
    assert only(world.order(buyer, listing), e.Held).violated == ("B11",)
    settled = world.record(product, "objection_settled")
    assert {event.trade for event in settled.events if isinstance(event, e.Settled)} >= {trade}
    world.check()


@pytest.mark.parametrize("end", ["date", "revoked", "provider", "lapsed"])
def test_what_no_longer_stands_cures_nothing(end: str) -> None:
    """But a provider whose accreditation has merely run out attested rightly while it had one."""
    world, product, listing = on_general_consent()
    buyer, notary = world.buyer(), world.provider("notary", days=60)
    given = only(world.must(world.attestation(notary, product, "C02")), e.Attested).attestation
    only(world.order(buyer, listing), e.Settled)
    if end == "date":
        world.wait(days=51)
    elif end == "revoked":
        world.must(e.RevokeAttestation(actor=notary, attestation=given, reason="the sample was wrong"))
    elif end == "provider":
        world.must(e.RevokeProvider(actor=OPERATOR, participant=notary, reason="false papers"))
    else:
        world.must(world.attestation(notary, product, "C02", valid_until_ns=world.at_ns + 90 * DAY_NS))
        world.wait(days=61)
    only(world.order(buyer, listing), e.Settled if end == "lapsed" else e.Held)
    world.check()


def test_what_a_verdict_read_covers_the_attestation() -> None:
    """Two worlds alike but for which attestation cures: other facts."""
    read = []
    for times in (1, 2):
        world, product, listing = on_general_consent()
        notary, buyer = world.provider("notary"), world.buyer()
        ids = [
            only(world.must(world.attestation(notary, product, "C02")), e.Attested).attestation
            for _ in (1, 2)
        ]
        world.must(e.RevokeAttestation(actor=notary, attestation=ids[times - 1], reason="not this one"))
        read.append(only(world.order(buyer, listing), e.Settled).facts_sha256)
    assert read[0] != read[1]


def test_who_may_attest_what() -> None:
    world, product, listing = on_general_consent()
    shop = world.state.products[product].merchant
    notary = world.provider("notary")

    def code(provider: str = notary, **changes: Any) -> str:
        return world.code(replace(world.attestation(provider, product, "C02"), **changes))

    assert code(world.buyer()) == "forbidden"
    assert code(kind="ethics") == "forbidden"
    assert code(public_key="another") == "signature_wrong"
    assert code(product="D99") == "not_found"
    assert code(buyer="P99") == "not_found"
    assert code(rules=()) == "out_of_bounds"
    assert code(rules=("B17",)) == "out_of_bounds"
    assert code(valid_until_ns=world.at_ns) == "out_of_bounds"
    assert code(evidence_sha256="none") == "evidence_missing"
    buyer = world.buyer(owner="U7")
    held(world, buyer, listing)
    for party in (shop, buyer):
        accredited = e.AccreditProvider(
            actor=OPERATOR, participant=party, kinds=("notary",), valid_until_ns=world.at_ns + DAY_NS,
            evidence_sha256=EVIDENCE,
        )  # fmt: skip
        world.must(accredited)
        assert code(party) == "own_case"
    world.wait(days=101)
    assert code() == "forbidden"


def test_who_may_accredit_and_revoke() -> None:
    world, product, _ = on_general_consent()
    someone = world.buyer()
    grant = e.AccreditProvider(
        actor=OPERATOR, participant=someone, kinds=("security", "ethics"), valid_until_ns=world.at_ns + DAY_NS,
        evidence_sha256=EVIDENCE,
    )  # fmt: skip
    assert world.code(replace(grant, actor=world.reviewer)) == "forbidden"
    assert world.code(replace(grant, participant="P99")) == "not_found"
    assert world.code(replace(grant, participant=OPERATOR)) == "own_case"
    assert world.code(replace(grant, kinds=("reviewer",))) == "malformed"
    assert world.code(replace(grant, kinds=())) == "malformed"
    assert world.code(replace(grant, valid_until_ns=world.at_ns)) == "out_of_bounds"
    assert world.code(replace(grant, evidence_sha256="")) == "evidence_missing"
    assert world.code(replace(grant, participant=world.person("buyer"))) == "not_verified"
    assert only(world.must(grant), e.ProviderAccredited).kinds == ("ethics", "security")
    revoke = e.RevokeProvider(actor=OPERATOR, participant=someone, reason="false papers")
    assert world.code(replace(revoke, actor=someone)) == "forbidden"
    assert world.code(replace(revoke, reason=" ")) == "malformed"
    world.must(revoke)
    assert world.code(revoke) == "not_found"
    given = only(world.must(world.attestation(world.provider("notary"), product, "C02")), e.Attested)
    take_back = e.RevokeAttestation(actor=given.provider, attestation=given.attestation, reason="wrong")
    assert world.code(replace(take_back, actor=someone)) == "forbidden"
    assert world.code(replace(take_back, attestation="A99")) == "not_found"
    assert world.code(replace(take_back, reason="")) == "malformed"
    world.must(replace(take_back, actor=OPERATOR))
    assert world.code(take_back) == "wrong_state"
    world.check()


def test_providers_and_attestations_are_part_of_the_state() -> None:
    world, product, _ = on_general_consent()
    notary = world.provider("notary")
    world.must(world.attestation(notary, product, "C02"))
    state = decode_state(encode_state(world.state), boards(), rulebook(), "CN-46")
    assert encode_state(state) == encode_state(world.state) == encode_state(world.replayed())
    assert state.attested == {product: ["A1"]}
    assert state.providers[notary].kinds == ("notary",)


def test_a_lapsed_hold_is_nobodys_word_but_theirs_who_had_to_bring_it() -> None:
    """C02 is the seller's to bring, whoever confirms it."""
    world, product, listing = on_general_consent()
    buyer = world.buyer()
    trade = held(world, buyer, listing)
    world.wait(days=11)
    released = only(world.tick(), e.HoldReleased)
    assert (released.trade, released.reason) == (trade, "expired")
    assert released.blamed == (world.state.products[product].merchant,)
    assert world.money(buyer)[1] == 0
    world.check()
