"""Attestations: who may give them, what they cure, and when they no longer do."""

from typing import Any

import pytest
from msgspec.structs import replace

from clearing.registers import EthicsReview, Pledge
from exchange import events as e
from exchange.attestation import confirming
from exchange.state import DAY_NS, decode_state, encode_state
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    World,
    boards,
    changed,
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


# ---- what changes afterwards


def pledge_entry(world: World, product: str, number: str, **facts: Any) -> e.EnterRecord:
    said = Pledge(number=number, state="pledged", **facts)
    return e.EnterRecord(
        actor=world.reviewer,
        facts=said,
        product=product,
        evidence_sha256=EVIDENCE,
        reason="as the papers say",
    )


def test_a_pledge_that_came_later_is_not_what_the_notary_confirmed() -> None:
    """Its pledgee has consented to nothing; the attestation shows it, and a new one counts."""
    world = World()
    shop, buyer, notary = world.merchant(), world.buyer(), world.provider("notary")
    product = world.product(shop)
    listing = world.listing(shop, product)
    world.must(pledge_entry(world, product, "ZY-1"))
    given = only(world.must(world.attestation(notary, product, "B15")), e.Attested).attestation
    world.buy(buyer, listing)
    overtaken = only(world.must(pledge_entry(world, product, "ZY-2")), e.CureOvertaken)
    assert overtaken == e.CureOvertaken(("B15",), attestation=given)
    held = only(world.order(buyer, listing), e.Held)
    assert held.violated == ("B15",)
    settled = only(world.must(world.attestation(notary, product, "B15")), e.Settled)
    assert settled.trade == held.trade
    world.check()


@pytest.mark.parametrize("confirmed", [False, True])
def test_an_attested_coverage_is_that_of_its_day(confirmed: bool) -> None:
    """C08 was attested at 99 %; what a reviewer confirms later at 3 % nobody has attested."""
    world = World()
    shop, buyer, expert = world.merchant(), world.buyer(), world.provider("compliance")
    consent = consent_of(coverage_pct=99)
    product = world.product(shop, classification=personal(), consent=consent)
    listing = world.listing(shop, product)
    world.must(world.attestation(expert, product, "C08"))
    world.buy(buyer, listing)
    fewer = e.AmendFacts(
        actor=shop, product=product, evidence_sha256=EVIDENCE, consent=changed(consent, coverage_pct=3)
    )
    assert only(world.must(fewer), e.CureOvertaken).rules == ("C08",)
    if confirmed:
        confirm(world, product, "consent")
        assert only(world.order(buyer, listing), e.Held).violated == ("C08",)
    else:
        assert world.order(buyer, listing).refusal is not None
    world.check()


def confirm(world: World, product: str, group: str) -> None:
    world.must(
        e.ConfirmFacts(
            actor=world.reviewer,
            product=product,
            groups=(group,),
            revision=world.state.products[product].revision,
            evidence={group: EVIDENCE},
        )
    )


def test_what_a_rule_does_not_read_leaves_its_attestation() -> None:
    """Nor does confirming again what was confirmed, or an entry about a product of somebody else."""
    world, product, listing = on_general_consent()
    world.must(world.attestation(world.provider("notary"), product, "C02"))
    other = world.product(world.merchant())
    for command in (
        pledge_entry(world, product, "ZY-1", consented=True),
        pledge_entry(world, other, "ZY-1"),
    ):
        assert kinds(world.must(command)) == ["RecordEntered"]
    confirm(world, product, "consent")
    assert not world.state.overtaken
    only(world.order(world.buyer(), listing), e.Settled)
    world.check()


def test_an_entry_about_one_buyer_overtakes_for_that_buyer_alone() -> None:
    """H01 reads the ethics review of product and buyer."""
    world = World()
    shop, committee = world.merchant(), world.provider("ethics")
    product = world.product(shop)
    listing = world.listing(shop, product, "health")
    told, other = world.buyer(), world.buyer()
    world.offer_contract(listing)
    world.must(world.attestation(committee, product, "H01"))
    for buyer in (told, other):
        world.sign_contract(buyer, listing, human_research=True, entrustment_sha256=EVIDENCE)
    review = EthicsReview(number="1", decision="pending")
    entry = e.EnterRecord(
        actor=world.reviewer, facts=review, product=product, participant=told, evidence_sha256=EVIDENCE, reason="asked"
    )  # fmt: skip
    assert only(world.must(entry), e.CureOvertaken).buyer == told
    found = {
        buyer: [row.id for row in confirming(world.state, product, buyer, "H01", world.at_ns)]
        for buyer in (told, other)
    }
    assert found == {told: [], other: ["A1"]}
    world.check()


def test_a_reviewers_cure_of_a_hold_is_overtaken_as_well() -> None:
    """B15 was cured for one pledge while an objection went on; a second pledge came; then the objection is settled."""
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop)
    listing = world.listing(shop, product)
    world.must(pledge_entry(world, product, "ZY-1"))
    world.record(product, "objection_raised")
    trade = held(world, buyer, listing)
    cure = e.CureHold(
        actor=world.reviewer,
        trade=trade,
        rule="B15",
        evidence_sha256=EVIDENCE,
        revision=world.state.products[product].revision,
    )
    world.must(cure)
    assert only(world.must(pledge_entry(world, product, "ZY-2")), e.CureOvertaken).trade == trade
    world.record(product, "objection_settled")
    assert trade in world.state.holds
    assert only(world.must(cure), e.Settled).trade == trade
    world.check()


@pytest.mark.parametrize("again", [False, True])
def test_another_contract_overtakes_what_was_attested_of_it(again: bool) -> None:
    """A07 was attested of security clauses that are gone; a buyer that signs anew is told apart from the others."""
    world = World()
    shop, buyer, expert = world.merchant(), world.buyer(), world.provider("compliance")
    product = world.product(shop, classification=personal(), consent=consent_of())
    listing = world.listing(shop, product)
    world.offer_contract(listing, duties=())
    world.sign_contract(buyer, listing)
    world.must(world.attestation(expert, product, "A07"))
    world.buy(buyer, listing)
    if again:
        outcome = world.sign_contract(buyer, listing, log_retention_months=1)
        assert only(outcome, e.CureOvertaken).buyer == buyer
    else:
        assert only(world.offer_contract(listing, method="interface", duties=()), e.CureOvertaken).buyer == ""
        world.sign_contract(buyer, listing)
    assert only(world.order(buyer, listing), e.Held).violated == ("A07",)
    world.check()
