"""The life of a credential: applied for, looked at, given for classes and boards, restricted, suspended, revoked, over."""

from typing import Any, get_args

import pytest
from msgspec import UnsetType

from credit.merchant import CLASSES, CREDENTIAL, Credential, Paper, left
from exchange import events as e
from exchange.accreditation import ATTESTS, PROPOSAL_NS, STEPS
from exchange.attestation import KINDS
from exchange.state import DAY_NS
from tests.exchange.world import EVIDENCE, OPERATOR, World, changed, kinds, only

WAY_TO: dict[str, tuple[str, ...]] = {
    "none": (),
    "applied": ("apply",),
    "under_review": ("apply", "request_documents"),
    "accredited": ("apply", "accredit"),
    "restricted": ("apply", "accredit", "restrict"),
    "suspended": ("apply", "accredit", "suspend"),
    "revoked": ("apply", "accredit", "revoke"),
    "expired": ("apply", "accredit", "expire"),
}
PROPOSED = ("suspend", "revoke")


@pytest.fixture
def world() -> World:
    return World()


def accreditation(world: World, participant: str, step: str, **fields: Any) -> e.DecideAccreditation:
    whole: dict[str, Any] = {
        "actor": world.reviewer,
        "valid_until_ns": world.at_ns + DAY_NS,
        "evidence_sha256": EVIDENCE,
        "reasons": ("because",),
        **fields,
    }
    if step == "request_documents":
        whole.setdefault("documents", ("the audit report",))
    if step == "restrict":
        whole.setdefault("boards", ("general",))
    return e.DecideAccreditation(participant=participant, step=step, **whole)


def application(merchant: str, **fields: Any) -> e.ApplyForAccreditation:
    return e.ApplyForAccreditation(actor=merchant, evidence_sha256=EVIDENCE, **fields)


def documents(merchant: str, *names: str) -> e.AnswerDocuments:
    return e.AnswerDocuments(actor=merchant, documents=tuple((name, EVIDENCE) for name in names))


def take(world: World, merchant: str, step: str) -> None:
    if step == "apply":
        world.must(application(merchant))
    elif step == "expire":
        world.tick_at(world.state.bureau.participants[merchant].credential_until_ns + 1)
    elif step in PROPOSED:
        world.discipline(merchant, step)
    else:
        world.must(accreditation(world, merchant, step))


def state_of(world: World, merchant: str) -> str:
    return world.state.bureau.participants[merchant].credential


def merchant_in(world: World, credential: str) -> str:
    merchant = world.person("merchant")
    world.verify(merchant)
    for step in WAY_TO[credential]:
        take(world, merchant, step)
    assert state_of(world, merchant) == credential
    return merchant


# ---- the table


@pytest.mark.parametrize("credential", get_args(Credential))
@pytest.mark.parametrize("step", ["apply", "answer_documents", *STEPS])
def test_every_entry_and_no_other_of_the_credential_life(world: World, credential: str, step: str) -> None:
    """Accrediting waits for documents that were asked for; suspension and revocation wait for a second decider."""
    merchant = merchant_in(world, credential)
    official, other = world.official("reviewer"), world.official("reviewer")
    commands: dict[str, Any] = {
        "apply": application(merchant),
        "answer_documents": documents(merchant, "the audit report"),
    }
    command = commands.get(step) or accreditation(world, merchant, step, actor=official)
    after = CREDENTIAL.get((credential, STEPS.get(step, step)))  # type: ignore[arg-type]
    if after is None or (credential, step) == ("under_review", "accredit"):
        assert world.code(command) == "wrong_state"
        return
    world.must(command)
    if step in PROPOSED:
        assert state_of(world, merchant) == credential, "a proposal changes nothing"
        world.must(accreditation(world, merchant, "confirm", actor=other))
    assert state_of(world, merchant) == after
    world.check()


def test_a_credential_has_a_number_that_stays(world: World) -> None:
    merchant = merchant_in(world, "accredited")
    number = world.state.bureau.participants[merchant].credential_number
    assert number == f"DM-{int(merchant[1:]):06d}"
    world.must(accreditation(world, merchant, "renew"))
    assert world.state.bureau.participants[merchant].credential_number == number
    other = merchant_in(world, "applied")
    world.must(accreditation(world, other, "accredit", number="HN-2026-7"))
    assert world.state.bureau.participants[other].credential_number == "HN-2026-7"


@pytest.mark.parametrize(
    ("step", "fields", "code"),
    [
        ("crown", {}, "malformed"),
        ("accredit", {"actor": OPERATOR}, "forbidden"),
        ("accredit", {"valid_until_ns": 0}, "out_of_bounds"),
        ("accredit", {"classes": ("broker",)}, "out_of_bounds"),
        ("accredit", {"classes": ("king",)}, "malformed"),
        ("accredit", {"boards": ("moon",)}, "not_found"),
        ("refuse", {"reasons": ()}, "malformed"),
        ("request_documents", {"documents": ()}, "malformed"),
        ("request_documents", {"documents": ("one",) * 21}, "malformed"),
        ("confirm", {}, "wrong_state"),
        ("withdraw", {}, "wrong_state"),
    ],
)
def test_an_accreditation_is_refused(world: World, step: str, fields: dict[str, Any], code: str) -> None:
    merchant = merchant_in(world, "applied")
    assert world.code(accreditation(world, merchant, step, **fields)) == code


@pytest.mark.parametrize("step", [*STEPS, "confirm"])
def test_nobody_decides_on_somebody_unknown(world: World, step: str) -> None:
    assert world.code(accreditation(world, "P99", step)) == "not_found"


def test_only_a_verified_merchant_applies(world: World) -> None:
    buyer, stranger = world.buyer(), world.person("merchant")
    assert world.code(application(buyer)) == "standing_denied"
    assert world.code(application(stranger)) == "not_verified"
    assert world.code(application("P99")) == "not_found"
    assert world.code(application(buyer, classes=())) == "malformed"
    assert world.code(application(buyer, classes=("king",))) == "malformed"
    assert world.code(application(buyer, classes=("notary",), boards=("moon",))) == "not_found"


def test_a_class_of_services_is_for_legal_persons(world: World) -> None:
    """统一社会信用代码: without one there is nobody to accredit."""
    notary = world.person()
    world.verify(notary)
    assert world.code(application(notary, classes=("notary",))) == "identity_invalid"


def test_the_unaccredited_cannot_list(world: World) -> None:
    for credential in WAY_TO:
        merchant = merchant_in(world, credential)
        if credential in ("accredited", "restricted"):
            world.must(world.submission(merchant))
        else:
            assert world.code(world.submission(merchant)) == "not_accredited", credential
    assert world.code(world.submission(world.person("merchant"))) == "not_verified"


def test_nobody_decides_for_their_own_house(world: World) -> None:
    """The chain of owners counts, not only the next one."""
    holding = world.person("buyer", owner=world.reviewer)
    daughter = world.person("merchant", owner=holding)
    world.must(
        e.DecideIdentity(
            actor=world.official("reviewer"),
            participant=daughter,
            accept=True,
            mandate_until_ns=world.at_ns + DAY_NS,
            evidence_sha256=EVIDENCE,
        )
    )
    world.must(application(daughter))
    assert world.code(accreditation(world, daughter, "accredit")) == "own_case"


# ---- documents


def test_documents_are_asked_for_and_answered(world: World) -> None:
    merchant = merchant_in(world, "applied")
    assert world.code(documents(merchant, "unasked")) == "wrong_state"
    world.must(accreditation(world, merchant, "request_documents", documents=("report", "licence")))
    refusal = world.refused(accreditation(world, merchant, "accredit"))
    assert (refusal.code.name, "Documents were asked for" in refusal.detail) == ("wrong_state", True)
    assert world.code(documents(merchant)) == "malformed"
    world.must(documents(merchant, "report", "licence"))
    file = world.state.bureau.participants[merchant].accreditation
    assert not isinstance(file, UnsetType)
    assert file.asked == ("report", "licence")
    assert file.answered == (Paper("report", EVIDENCE), Paper("licence", EVIDENCE))
    world.must(accreditation(world, merchant, "request_documents", documents=("a better one",)))
    assert world.code(accreditation(world, merchant, "accredit")) == "wrong_state", "the new one is missing"
    world.must(documents(merchant, "a better one"))
    world.must(accreditation(world, merchant, "accredit"))
    world.check()


# ---- classes and boards


def test_a_listing_is_taken_only_on_boards_that_the_credential_names(world: World) -> None:
    merchant = world.person("merchant")
    world.verify(merchant)
    world.must(application(merchant, boards=("health", "general")))
    assert world.code(accreditation(world, merchant, "accredit", boards=("computing",))) == "out_of_bounds"
    world.must(accreditation(world, merchant, "accredit", valid_until_ns=world.at_ns + 900 * DAY_NS))
    goods = world.product(merchant)
    world.listing(merchant, goods)
    draft = e.CreateListing(
        actor=merchant,
        product=goods,
        board="transport",
        terms=world.state.listings["L1"].terms,
        attributes={},
    )
    refusal = world.refused(draft)
    assert (refusal.code.name, "health, general, not for transport" in refusal.detail) == (
        "not_accredited",
        True,
    )
    until = {"valid_until_ns": world.at_ns + 900 * DAY_NS}
    world.must(accreditation(world, merchant, "renew", boards=("general", "transport"), **until))
    assert world.refused(draft).code is not e.Refused.not_accredited, (
        "the board's own fields are asked for now"
    )
    world.check()


def test_a_listing_is_taken_only_from_a_merchant(world: World) -> None:
    """A broker sells what others list; the law reads its credential as none of a merchant."""
    broker = world.person("merchant", "buyer")
    world.verify(broker)
    world.must(application(broker, classes=("broker",)))
    world.must(accreditation(world, broker, "accredit"))
    refusal = world.refused(world.submission(broker))
    assert (refusal.code.name, "not for data merchants" in refusal.detail) == ("not_accredited", True)
    world.must(accreditation(world, broker, "renew"))
    assert left(world.state.bureau.participants[broker]).classes == ("broker",)
    world.check()


def test_a_restriction_takes_boards_away_and_what_is_on_them(world: World) -> None:
    merchant, other = world.merchant(), world.merchant()
    goods = world.product(merchant)
    general, book = world.listing(merchant, goods), world.book(merchant, goods)
    shape: dict[str, Any] = {"mechanism": "continuous_auction", "supply": "limited", "supply_units": 100}
    waits = world.draft(merchant, goods, "computing", price_fen=100, **shape)
    world.move(merchant, waits, "submit")
    world.ask(merchant, book, 5, 100)
    theirs = world.book(other)
    world.ask(other, theirs, 5, 100)
    outcome = world.must(accreditation(world, merchant, "restrict", boards=("general",)))
    assert kinds(outcome)[:4] == ["AccreditationDecided", "OrderClosed", "ListingMoved", "ListingMoved"]
    states = [world.state.listings[name].state for name in (general, book, waits, theirs)]
    assert states == ["published", "suspended", "returned", "published"]
    assert [order.participant for order in world.state.orders.values()] == [other]
    resume = e.MoveListing(actor=OPERATOR, listing=book, step="resume")
    assert world.code(resume) == "not_accredited"
    assert world.code(e.MoveListing(actor=merchant, listing=waits, step="submit")) == "not_accredited"
    renew = accreditation(world, merchant, "renew", boards=("computing",))
    assert "unrestrict it first" in world.refused(renew).detail
    assert world.code(accreditation(world, merchant, "restrict", boards=())) == "malformed"
    world.must(accreditation(world, merchant, "unrestrict", reasons=()))
    world.must(resume)
    world.check()


def test_whoever_may_not_list_on_a_board_sells_nothing_there(world: World) -> None:
    merchant, dealer = world.merchant(), world.merchant(cash_fen=10**6)
    book = world.book(merchant)
    world.ask(merchant, book, 10, 100)
    world.bid(dealer, book, 10, 100)
    world.must(accreditation(world, dealer, "restrict", boards=("general",)))
    refused = world.ask(dealer, book, 5, 110).refusal
    assert refused is not None
    assert refused.code is e.Refused.not_accredited
    world.check()


# ---- dates


def test_a_credential_ends_on_its_date_and_is_renewed(world: World) -> None:
    merchant = merchant_in(world, "accredited")
    until = world.state.bureau.participants[merchant].credential_until_ns
    assert world.state.bureau.standing(merchant, until - 1).may_list
    assert not world.state.bureau.standing(merchant, until).may_list
    decided = only(world.tick_at(until + 1), e.AccreditationDecided)
    assert (decided.step, decided.state, decided.by) == ("expire", "expired", e.VENUE)
    world.must(accreditation(world, merchant, "renew"))
    assert state_of(world, merchant) == "accredited"
    world.check()


def test_a_restored_credential_whose_date_has_passed_is_over(world: World) -> None:
    merchant = merchant_in(world, "suspended")
    world.tick_at(world.state.bureau.participants[merchant].credential_until_ns + 1)
    assert state_of(world, merchant) == "suspended", "no date ends a suspension"
    outcome = world.must(accreditation(world, merchant, "restore", reasons=()))
    assert [row.state for row in outcome.events if isinstance(row, e.AccreditationDecided)] == [
        "accredited",
        "expired",
    ]
    assert state_of(world, merchant) == "expired"
    world.check()


# ---- four eyes


@pytest.mark.parametrize("step", PROPOSED)
def test_one_proposes_and_another_of_another_house_confirms(world: World, step: str) -> None:
    merchant = merchant_in(world, "accredited")
    first, second = world.official("reviewer"), world.official("operator")
    sister = world.official("reviewer", owner=first)
    propose = accreditation(world, merchant, step, actor=first)
    assert world.code(changed(propose, actor=world.reviewer)) == "not_verified", (
        "nobody has looked who that is"
    )
    assert world.code(changed(propose, reasons=())) == "malformed"
    proposed = only(world.must(propose), e.AccreditationProposed)
    assert (proposed.step, proposed.by, proposed.state) == (step, first, "accredited")
    confirm = accreditation(world, merchant, "confirm", actor=second)
    assert world.code(changed(confirm, actor=first)) == "own_case"
    assert world.code(changed(confirm, actor=sister)) == "own_case"
    assert world.code(changed(confirm, actor=world.reviewer)) == "not_verified"
    assert world.code(changed(confirm, actor=merchant)) == "forbidden"
    assert world.code(changed(propose, actor=second)) == "wrong_state", "one proposal at a time"
    decided = only(world.must(confirm), e.AccreditationDecided)
    assert (decided.step, decided.proposed_by, decided.by, decided.reasons) == (
        step,
        first,
        second,
        ("because",),
    )
    assert world.code(confirm) == "wrong_state"
    world.check()


def test_a_proposal_is_withdrawn_or_ends_by_itself(world: World) -> None:
    merchant = merchant_in(world, "accredited")
    world.must(accreditation(world, merchant, "renew", valid_until_ns=world.at_ns + 100 * DAY_NS))
    first = world.official("reviewer")
    propose = accreditation(world, merchant, "suspend", actor=first)
    world.must(propose)
    ended = only(
        world.must(accreditation(world, merchant, "withdraw", actor=first)), e.AccreditationProposalEnded
    )
    assert (ended.how, ended.by) == ("withdrawn", first)
    assert (
        world.tick_at(world.at_ns + PROPOSAL_NS + DAY_NS).events == ()
        or state_of(world, merchant) == "accredited"
    )
    until = only(world.must(propose), e.AccreditationProposed).until_ns
    expired = only(world.tick_at(until + 1), e.AccreditationProposalEnded)
    assert (expired.how, expired.by, state_of(world, merchant)) == ("expired", e.VENUE, "accredited")
    confirm = accreditation(world, merchant, "confirm", actor=world.official("reviewer"))
    assert world.code(confirm) == "wrong_state"
    world.check()


def test_what_cannot_happen_any_more_is_not_confirmed(world: World) -> None:
    """Suspended meanwhile by date: a credential that is over is not suspended, but may still be revoked."""
    for step, after in (("suspend", ""), ("revoke", "revoked")):
        merchant = merchant_in(world, "accredited")
        until = world.state.bureau.participants[merchant].credential_until_ns
        first, second = world.official("reviewer"), world.official("reviewer")
        world.must(accreditation(world, merchant, step, actor=first))
        world.tick_at(until + 1)
        confirm = accreditation(world, merchant, "confirm", actor=second)
        if after:
            world.must(confirm)
            assert state_of(world, merchant) == after
        else:
            assert world.code(confirm) == "wrong_state"
    world.check()


# ---- providers


def notary_of(world: World) -> str:
    notary = world.person("buyer")
    world.verify(notary)
    world.must(application(notary, classes=("notary", "insurance")))
    until = {"valid_until_ns": world.at_ns + 60 * DAY_NS}
    world.must(accreditation(world, notary, "accredit", **until))
    return notary


def test_who_is_accredited_for_a_service_attests_as_long_as_that_is_in_force(world: World) -> None:
    notary = notary_of(world)
    provider = world.state.providers[notary]
    assert (provider.kinds, provider.classes) == (("notary",), ("notary", "insurance"))
    goods = world.product(world.merchant())
    attest = world.attestation(notary, goods, "C02")
    given = only(world.must(attest), e.Attested).attestation
    world.must(accreditation(world, notary, "restrict", classes=("insurance",)))
    assert "nothing that attests" in world.refused(attest).detail
    world.must(accreditation(world, notary, "unrestrict"))
    world.discipline(notary, "suspend")
    assert "suspended" in world.refused(world.attestation(notary, goods, "C02")).detail
    assert not world.state.attestations[given].revoked_at_ns, "what it attested before stands"
    outcome = world.discipline(notary, "revoke")
    assert only(outcome, e.AttestationRevoked).attestation == given
    assert world.code(world.attestation(notary, goods, "C02")) == "forbidden"
    world.must(application(notary, classes=("notary",)))
    world.must(accreditation(world, notary, "accredit"))
    assert world.state.attestations[given].revoked_at_ns, "and what was revoked stays so"
    world.must(world.attestation(notary, goods, "C02"))
    world.check()


def test_every_class_that_attests_has_a_kind_that_rules_know(world: World) -> None:
    assert sorted(ATTESTS.values()) == sorted(KINDS)
    assert set(ATTESTS) < set(CLASSES)
