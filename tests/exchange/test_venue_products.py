"""Registering a data product: what is declared, what a reviewer confirms, and what the registers say later."""

from typing import Any

import msgspec
import pytest

from clearing import delivery
from clearing.notrade import ProductFacts
from exchange import events as e
from exchange.product import AGAINST_ONESELF, GROUPS, LIFE, REGISTER_ENTRIES, cell_facts
from exchange.state import DAY_NS, Product, encode_state
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    World,
    authorisation,
    changed,
    classification,
    consent_of,
    kinds,
    only,
    personal,
    terms,
)

OTHER = "cd" * 32


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def merchant(world: World) -> str:
    return world.merchant()


def entry(product: str, entered: str, actor: str, **fields: Any) -> e.RecordFact:
    whole: dict[str, Any] = {"evidence_sha256": EVIDENCE, "reason": "it is so", **fields}
    return e.RecordFact(actor=actor, product=product, entry=entered, **whole)


def product_facts(world: World, product: Product) -> ProductFacts:
    """What the rules read of it now."""
    return cell_facts(world.state, product, world.at_ns).product


# ---- submission


def test_a_submission_waits_for_its_decision(world: World, merchant: str) -> None:
    product = world.state.products[world.submitted(merchant)]
    assert (product.state, product.confirmed, product.certificate) == ("pending", {}, "")
    world.check()


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"evidence": {}}, "evidence_missing"),
        ({"evidence": {**dict.fromkeys(GROUPS, EVIDENCE), "source": "AB" * 32}}, "evidence_missing"),
        ({"evidence": {**dict.fromkeys(GROUPS, EVIDENCE), "weather": EVIDENCE}}, "malformed"),
        ({"authorisation": authorisation(0, valid_from_ns=5, valid_until_ns=5)}, "out_of_bounds"),
        ({"shares": (("P99", 100),)}, "not_found"),
        ({"shares": (("P1", 0),)}, "out_of_bounds"),
        ({"shares": (("P1", 6_000), ("P2", 4_001))}, "out_of_bounds"),
        ({"shares": (("P1", 10), ("P1", 10))}, "out_of_bounds"),
    ],
)
def test_a_submission_is_refused(world: World, merchant: str, parts: dict[str, Any], code: str) -> None:
    assert world.code(world.submission(merchant, **parts)) == code


def test_the_merchant_is_no_contributor_of_its_own(world: World, merchant: str) -> None:
    assert world.code(world.submission(merchant, shares=((merchant, 10),))) == "out_of_bounds"


# ---- the decision

REACHED: dict[str, tuple[str, ...]] = {
    "pending": (),
    "registered": ("register",),
    "returned": ("return",),
    "refused": ("refuse",),
    "suspended": ("register", "registration_suspended"),
    "revoked": ("register", "registration_revoked"),
    "cancelled": ("register", "registration_cancelled"),
}


def product_in(world: World, merchant: str, state: str) -> str:
    product = world.submitted(merchant)
    for step in REACHED[state]:
        if step in REGISTER_ENTRIES:
            world.record(product, step)
        else:
            world.must(world.decision(product, step))
    assert world.state.products[product].state == state
    return product


@pytest.mark.parametrize("state", REACHED)
@pytest.mark.parametrize("decision", ["register", "return", "refuse", "suspend", "resume", "revoke", "x"])
def test_decisions_are_taken_on_what_is_pending_only(
    world: World, merchant: str, state: str, decision: str
) -> None:
    """The later steps of the life are entries in the register, with their evidence (see below)."""
    product = product_in(world, merchant, state)
    if state == "pending" and decision in ("register", "return", "refuse"):
        world.must(world.decision(product, decision))
        assert world.state.products[product].state == LIFE["pending", decision]
    else:
        certificate = world.state.products[product].certificate
        assert world.code(world.decision(product, decision)) == "wrong_state"
        assert world.state.products[product].certificate == certificate
    world.check()


@pytest.mark.parametrize("state", REACHED)
@pytest.mark.parametrize("entered", [name for name, (_, step) in REGISTER_ENTRIES.items() if step])
def test_every_entry_and_no_other_of_the_registration_life(
    world: World, merchant: str, state: str, entered: str
) -> None:
    product = product_in(world, merchant, state)
    after = LIFE.get((state, REGISTER_ENTRIES[entered][1]))
    if after is None:
        assert world.code(entry(product, entered, world.reviewer)) == "wrong_state"
    else:
        world.record(product, entered)
        assert world.state.products[product].state == after
    world.check()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actor": OPERATOR}, "forbidden"),
        ({"product": "D99"}, "not_found"),
        ({"confirmed": ("weather",)}, "malformed"),
        ({"rights": ()}, "out_of_bounds"),
        ({"rights": ("product_operation", "ownership")}, "out_of_bounds"),
        ({"valid_until_ns": 5}, "out_of_bounds"),
        ({"valid_until_ns": 1 << 62}, "out_of_bounds"),
        ({"decision": "return", "reasons": ()}, "malformed"),
        ({"confirmed": ()}, "unlawful"),
    ],
)
def test_a_decision_is_refused(world: World, merchant: str, fields: dict[str, Any], code: str) -> None:
    command = world.decision(world.submitted(merchant))
    assert world.code(changed(command, **fields)) == code


def test_the_submitter_and_its_house_decide_nothing(world: World, merchant: str) -> None:
    product = world.submitted(merchant)
    world.must(e.GrantRole(actor=OPERATOR, participant=merchant, role="reviewer"))
    sister = world.person(owner=merchant)
    world.must(e.GrantRole(actor=OPERATOR, participant=sister, role="reviewer"))
    for reviewer in (merchant, sister):
        assert world.code(changed(world.decision(product), actor=reviewer)) == "own_case"
        assert world.code(entry(product, "objection_settled", reviewer)) == "own_case"


def officer(world: World, participant: str) -> str:
    """The same participant, with the office of a reviewer beside its trade."""
    world.must(e.GrantRole(actor=OPERATOR, participant=participant, role="reviewer"))
    return participant


def sold(world: World, product: str, buyer: str) -> None:
    """The registered right itself goes to this buyer."""
    merchant = world.state.products[product].holder
    listing = world.listing(merchant, product, deal="transfer", supply="exclusive")
    trade = world.buy(buyer, listing)
    world.deliver(trade)
    world.accept(trade)
    assert world.state.products[product].holder == buyer


def test_nobody_who_gains_decides_on_a_product(world: World, merchant: str) -> None:
    """Its holder after a transfer, a licensee, a contributor, whoever is to be recorded as a licensee."""
    holder, licensee = officer(world, world.merchant(10**9)), officer(world, world.merchant())
    contributor, newcomer = officer(world, world.buyer()), officer(world, world.merchant())
    product = world.product(merchant, shares=((contributor, 10),))
    sold(world, product, holder)
    world.record(product, "licensee_recorded", participant=licensee)
    world.record(product, "risk_confirmed")
    sister = officer(world, world.person(owner=holder))
    for reviewer in (merchant, holder, licensee, contributor, sister):
        if reviewer == merchant:
            officer(world, merchant)
        assert world.code(entry(product, "risk_cleared", reviewer)) == "own_case", reviewer
    own = entry(product, "licensee_recorded", newcomer, participant=newcomer)
    assert world.code(own) == "own_case"
    world.must(entry(product, "risk_cleared", newcomer))
    world.check()


def test_the_buyer_of_a_held_trade_brings_no_evidence_for_it(world: World, merchant: str) -> None:
    product, buyer = world.product(merchant), officer(world, world.buyer())
    listing = world.listing(merchant, product)
    world.record(product, "objection_raised")
    held = only(world.order(buyer, listing), e.Held)
    cure = e.CureHold(actor=buyer, trade=held.trade, rule="B11", evidence_sha256=EVIDENCE, revision=1)
    assert world.code(cure) == "own_case"
    assert world.code(entry(product, "objection_settled", buyer)) == "own_case"
    world.must(changed(cure, actor=world.reviewer))
    world.must(entry(product, "objection_raised", buyer))
    world.check()


def test_a_certificate_has_a_number_and_a_validity(world: World, merchant: str) -> None:
    product = world.state.products[world.product(merchant)]
    assert product.certificate == f"SJ-{world.at_ns // 10**9}-{product.id}"
    assert product.valid_until_ns > world.at_ns
    assert product.decided_by == world.reviewer
    assert product.confirmed == dict.fromkeys(GROUPS, world.reviewer)


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        ({"classification": classification(secret_kind="state")}, "A01"),
        ({"classification": classification(data_class="core")}, "A02"),
        ({"classification": classification(public_risk="confirmed")}, "A03"),
        ({"classification": personal()}, "C01"),
        ({"classification": classification(origin="public", open_class="not_open")}, "D01"),
        (
            {
                "classification": classification(origin="public", open_class="conditional"),
                "source": e.Source(channel="open_platform_conditional", statement="downloaded"),
            },
            "D02",
        ),
    ],
)
def test_a_product_that_breaks_a_rule_is_not_registered(
    world: World, merchant: str, parts: dict[str, Any], rule: str
) -> None:
    refusal = world.refused(world.decision(world.submitted(merchant, **parts)))
    assert refusal.code is e.Refused.unlawful
    assert refusal.violated == (rule,)


def test_facts_that_nobody_confirmed_are_unknown(world: World, merchant: str) -> None:
    """A fact its declarer gains from waits for a reviewer; one against itself is believed at once."""
    refusal = world.refused(world.decision(world.submitted(merchant), confirmed=("source",)))
    unknown = {rule for rule, _ in refusal.unknown}
    assert {"A01", "A02", "A03", "B01"} <= unknown
    assert refusal.violated == ()
    burdened = world.submitted(merchant, classification=classification(secret_kind="state"))
    assert world.refused(world.decision(burdened, confirmed=())).violated == ("A01",)


# ---- later facts

MILDER: dict[str, list[tuple[str, Any, Any]]] = {
    "classification": [
        ("secret_kind", "state", "trade"),
        ("secret_kind", "state", "work"),
        ("data_class", "core", "important"),
        ("public_risk", "confirmed", "suspected"),
        ("open_class", "not_open", "conditional"),
        ("pi_state", "identifiable", "deidentified"),
    ],
    "consent": [("basis", "none", "general_consent")],
}
"""By group: field, the worst value, and a milder one that nobody may take from its declarer."""


def test_a_milder_value_is_not_believed_of_its_declarer(world: World, merchant: str) -> None:
    """From the worst value to a milder one: unknown, until a reviewer has confirmed it."""
    for field, worst, milder in MILDER["classification"]:
        product = world.state.products[world.product(merchant)]
        listing = world.listing(merchant, product.id)
        for value, found in ((worst, worst), (milder, msgspec.UNSET)):
            amended = classification(**{"origin": "public", field: value})
            world.must(
                e.AmendFacts(
                    actor=merchant, product=product.id, evidence_sha256=OTHER, classification=amended
                )
            )
            assert getattr(product_facts(world, product), field) == found, (field, value)
            refusal = world.order(world.buyer(), listing).refusal
            assert refusal is not None, (field, value)
    world.check()


def test_a_general_consent_is_not_believed_of_its_declarer(world: World, merchant: str) -> None:
    """It would turn a refusal (C01) into a hold (C02)."""
    product = world.product(
        merchant,
        classification=personal(),
        consent=consent_of(basis="separate_consent", purposes=("market_analysis",)),
    )
    listing, buyer = world.listing(merchant, product), world.buyer()
    for basis, violated in (("none", ("C01",)), ("general_consent", ())):
        consent = consent_of(basis=basis, purposes=("market_analysis",))
        world.must(e.AmendFacts(actor=merchant, product=product, evidence_sha256=OTHER, consent=consent))
        refusal = world.order(buyer, listing).refusal
        assert refusal is not None
        assert refusal.violated == violated
        assert violated or {"C01", "C02"} <= dict(refusal.unknown).keys()
    world.check()


def test_only_the_worst_value_of_each_list_is_against_oneself() -> None:
    for fields in MILDER.values():
        for field, worst, _ in fields:
            assert AGAINST_ONESELF[field] == worst
    booleans = {"declassified": False, "derived": False, "right_holders_agree": False}
    assert booleans.items() <= AGAINST_ONESELF.items()


def test_a_source_statement_is_unknown_until_confirmed(world: World, merchant: str) -> None:
    """Except for one that is missing."""
    product = world.state.products[world.submitted(merchant)]
    assert cell_facts(world.state, product, world.at_ns).source.statement_filed is msgspec.UNSET
    world.must(world.decision(product.id))
    assert cell_facts(world.state, product, world.at_ns).source.statement_filed is True
    bare = e.Source(channel="self_generated", statement="")
    world.must(e.AmendFacts(actor=merchant, product=product.id, evidence_sha256=OTHER, source=bare))
    assert cell_facts(world.state, product, world.at_ns).source.statement_filed is False


def test_an_amended_group_is_unknown_until_confirmed(world: World, merchant: str) -> None:
    product, buyer = world.product(merchant), world.buyer()
    listing = world.listing(merchant, product)
    amend = e.AmendFacts(
        actor=merchant, product=product, evidence_sha256=OTHER, classification=classification(derived=True)
    )
    world.must(amend)
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.code is e.Refused.unlawful
    assert refused.violated == ()
    assert "A01" in dict(refused.unknown)
    confirm = e.ConfirmFacts(
        actor=world.reviewer,
        product=product,
        revision=2,
        groups=("classification",),
        evidence={"classification": OTHER},
    )
    assert world.code(changed(confirm, evidence={"classification": EVIDENCE})) == "evidence_missing"
    assert world.code(changed(confirm, evidence={})) == "evidence_missing"
    assert world.code(changed(confirm, groups=("weather",))) == "malformed"
    assert world.code(changed(confirm, actor=merchant)) == "forbidden"
    assert world.code(changed(confirm, product="D99")) == "not_found"
    world.must(confirm)
    assert kinds(world.order(buyer, listing)) == ["OrderPlaced", "Settled"]
    world.check()


def test_a_reviewer_registers_what_it_looked_at(world: World, merchant: str) -> None:
    """The merchant may amend while the product waits: the decision on the facts before is refused."""
    product = world.submitted(merchant)
    decision = world.decision(product)
    milder = classification(origin="public", open_class="unconditional")
    world.must(e.AmendFacts(actor=merchant, product=product, evidence_sha256=EVIDENCE, classification=milder))
    assert world.state.products[product].revision == 2
    refusal = world.refused(decision)
    assert refusal.code is e.Refused.wrong_state
    assert refusal.detail == "the facts were amended since revision 1: look again"
    assert world.code(changed(decision, revision=0)) == "malformed"
    assert world.code(changed(decision, revision=3)) == "wrong_state"
    world.must(changed(decision, revision=2))
    world.check()


def test_a_reviewer_confirms_what_it_looked_at(world: World, merchant: str) -> None:
    """The evidence may stay the same file while what is declared after it changes."""
    product = world.product(merchant)
    first = e.AmendFacts(
        actor=merchant,
        product=product,
        evidence_sha256=OTHER,
        authorisation=authorisation(world.at_ns, purposes=("market_analysis",)),
    )
    world.must(first)
    confirm = e.ConfirmFacts(
        actor=world.reviewer,
        product=product,
        revision=2,
        groups=("authorisation",),
        evidence={"authorisation": OTHER},
    )
    world.must(changed(first, authorisation=authorisation(world.at_ns, territories=("CN", "US"))))
    assert world.code(confirm) == "wrong_state"
    world.must(changed(confirm, revision=3))
    assert world.code(changed(confirm, revision=0)) == "malformed"
    world.check()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actor": OPERATOR}, "not_found"),
        ({"product": "D99"}, "not_found"),
        ({"evidence_sha256": "short"}, "evidence_missing"),
        ({"source": None}, "malformed"),
        ({"consent": consent_of(basis="none")}, "malformed"),
    ],
)
def test_an_amendment_is_refused(world: World, merchant: str, fields: dict[str, Any], code: str) -> None:
    amend = e.AmendFacts(
        actor=merchant,
        product=world.product(merchant),
        evidence_sha256=OTHER,
        source=e.Source(channel="self_generated", statement="better told"),
    )
    assert world.code(changed(amend, **fields)) == code


def test_a_licensee_whose_licence_ended_sells_nothing(world: World, merchant: str) -> None:
    """B13, until a licence is on record again."""
    product, licensee, buyer = world.product(merchant), world.merchant(), world.buyer()
    world.record(product, "licensee_recorded", participant=licensee)
    listing = world.listing(licensee, product)
    world.buy(buyer, listing)
    world.record(product, "licensee_removed", participant=licensee)
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.violated == ("B13",)
    again = e.CreateListing(actor=licensee, product=product, board="general", terms=terms())
    assert world.code(again) == "not_found"
    world.record(product, "licensee_recorded", participant=licensee)
    world.buy(buyer, listing)
    world.check()


@pytest.mark.parametrize("entered", REGISTER_ENTRIES)
def test_the_merchant_enters_only_what_is_against_itself(world: World, merchant: str, entered: str) -> None:
    product = world.product(merchant)
    outcome = world.do(entry(product, entered, merchant))
    if REGISTER_ENTRIES[entered][0]:
        assert only(outcome, e.FactRecorded).by == merchant
    else:
        assert outcome.refusal is not None
        assert outcome.refusal.code is e.Refused.forbidden
    assert world.code(entry(product, entered, OPERATOR)) == "forbidden"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"product": "D99"}, "not_found"),
        ({"entry": "weather_changed"}, "malformed"),
        ({"evidence_sha256": ""}, "evidence_missing"),
        ({"entry": "licensee_recorded", "participant": "P99"}, "not_found"),
        ({"entry": "licensee_removed", "participant": "P99"}, "not_found"),
        ({"entry": "licensee_removed", "participant": OPERATOR}, "not_found"),
    ],
)
def test_an_entry_is_refused(world: World, merchant: str, fields: dict[str, Any], code: str) -> None:
    command = entry(world.product(merchant), "objection_raised", world.reviewer)
    assert world.code(changed(command, **fields)) == code


@pytest.mark.parametrize(
    ("entered", "cured_by", "rule"),
    [
        ("authorisation_withdrawn", "authorisation_restored", "B01"),
        ("authorisation_disputed", "authorisation_restored", "B01"),
        ("risk_confirmed", "risk_cleared", "A03"),
        ("registration_revoked", "", "B10"),
        ("registration_cancelled", "", "B10"),
    ],
)
def test_an_entry_stops_trading_and_its_cure_lets_it_go_on(
    world: World, merchant: str, entered: str, cured_by: str, rule: str
) -> None:
    product, buyer = world.product(merchant), world.buyer()
    listing = world.listing(merchant, product)
    world.record(product, entered)
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.violated == (rule,)
    if cured_by:
        world.record(product, cured_by)
        assert kinds(world.order(buyer, listing)) == ["OrderPlaced", "Settled"]
    world.check()


@pytest.mark.parametrize("earlier", [(), ("risk_suspected",), ("risk_confirmed", "risk_cleared")])
def test_the_worse_of_register_and_declaration_counts(
    world: World, merchant: str, earlier: tuple[str, ...]
) -> None:
    """What was recorded before does not hide what is declared later (A03)."""
    product, buyer = world.product(merchant), world.buyer()
    listing = world.listing(merchant, product)
    for entered in earlier:
        world.record(product, entered)
    traded = kinds(world.order(buyer, listing))
    assert traded == ["OrderPlaced", "Held" if earlier == ("risk_suspected",) else "Settled"], "A04"
    amend = e.AmendFacts(
        actor=merchant,
        product=product,
        evidence_sha256=OTHER,
        classification=classification(public_risk="confirmed"),
    )
    world.must(amend)
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.violated == ("A03",)
    world.must(changed(amend, classification=classification()))
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert "A03" in dict(refused.unknown)
    world.check()


def test_a_suspicion_does_not_lift_a_confirmed_risk(world: World, merchant: str) -> None:
    product = world.product(merchant)
    world.record(product, "risk_suspected", actor=merchant)
    world.record(product, "risk_confirmed")
    for actor in (merchant, world.reviewer):
        assert world.code(entry(product, "risk_suspected", actor)) == "wrong_state"
    world.record(product, "risk_cleared")
    world.record(product, "risk_suspected", actor=merchant)
    world.check()


def test_a_withdrawn_consent_stops_trading_until_the_rows_are_removed(world: World, merchant: str) -> None:
    """个人信息保护法 15, 47: rule C05."""
    product = world.product(
        merchant,
        classification=personal(),
        consent=consent_of(basis="separate_consent", purposes=("market_analysis",)),
    )
    listing, buyer = world.listing(merchant, product), world.buyer()
    world.buy(buyer, listing)
    world.record(product, "consent_withdrawn", actor=merchant)
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.violated == ("C05",)
    world.record(product, "consent_removed")
    world.buy(buyer, listing)
    world.record(product, "consent_withdrawn")
    assert world.order(buyer, listing).refusal is not None, "the next withdrawal needs its own removal"
    world.check()


def test_a_certificate_ends_on_its_date(world: World, merchant: str) -> None:
    """B12: the last nanosecond of the validity is inside."""
    product, buyer = world.product(merchant), world.buyer()
    listing = world.listing(merchant, product, listed_days=3_000)
    world.agree(buyer, listing)
    world.at_ns = world.state.products[product].valid_until_ns - 1_000
    assert kinds(world.order(buyer, listing)) == ["OrderPlaced", "Settled"]
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.violated == ("B12",)
    world.check()


def renewal(world: World, product: str, **fields: Any) -> e.RenewCertificate:
    whole: dict[str, Any] = {
        "actor": world.reviewer,
        "valid_until_ns": world.at_ns + 1_000 * DAY_NS,
        "evidence_sha256": EVIDENCE,
        "reason": "applied in time",
        **fields,
    }
    return e.RenewCertificate(product=product, **whole)


def test_a_certificate_is_renewed_while_it_is_good(world: World, merchant: str) -> None:
    """Its listings go on past the old end; another one's do not, and it is too late to renew that."""
    ends_ns = world.at_ns + 20 * DAY_NS
    products = [world.submitted(merchant) for _ in range(2)]
    for product in products:
        world.must(world.decision(product, valid_until_ns=ends_ns))
    listings = [world.listing(merchant, product) for product in products]
    before = world.state.products[products[0]].certificate
    world.at_ns = ends_ns - 1_000
    command = renewal(world, products[0])
    event = only(world.must(command), e.CertificateRenewed)
    assert (event.certificate, event.by) == (before, world.reviewer)
    row = world.state.products[products[0]]
    assert (row.valid_until_ns, row.state) == (command.valid_until_ns, "registered")
    assert world.code(renewal(world, products[1])) == "wrong_state"
    buyer = world.buyer()
    world.buy(buyer, listings[0])
    refusal = world.order(buyer, listings[1]).refusal
    assert refusal is not None
    assert refusal.violated == ("B12",)
    world.check()


def test_the_holder_is_reminded_before_its_certificate_ends(world: World, merchant: str) -> None:
    """A month before, once; renewed in time, a month before the new end, and not of the old one."""
    (product, late) = (world.submitted(merchant) for _ in range(2))
    ends_ns = world.at_ns + 100 * DAY_NS
    world.must(world.decision(product, valid_until_ns=ends_ns))
    assert "CertificateReminded" not in kinds(world.tick_at(ends_ns - 30 * DAY_NS))
    told = only(world.tick_at(ends_ns - 30 * DAY_NS + 1), e.CertificateReminded)
    certificate = world.state.products[product].certificate
    assert told == e.CertificateReminded(product, certificate, merchant, ends_ns)
    assert world.state.reminded == {product: world.at_ns}
    assert "CertificateReminded" not in kinds(world.tick_at(ends_ns - 1_000))
    renewed = only(world.must(renewal(world, product)), e.CertificateRenewed)
    assert world.state.reminded == {}
    world.must(world.decision(late, valid_until_ns=world.at_ns + 10 * DAY_NS))
    world.record(late, "registration_revoked")
    assert "CertificateReminded" not in kinds(world.tick_at(renewed.valid_until_ns - 30 * DAY_NS))
    world.check()
    told = only(world.tick_at(renewed.valid_until_ns - 29 * DAY_NS), e.CertificateReminded)
    assert told.valid_until_ns == renewed.valid_until_ns
    world.check()


def test_who_has_renewed_early_is_not_reminded_of_the_old_end(world: World, merchant: str) -> None:
    product = world.submitted(merchant)
    ends_ns = world.at_ns + 100 * DAY_NS
    world.must(world.decision(product, valid_until_ns=ends_ns))
    world.must(renewal(world, product))
    assert "CertificateReminded" not in kinds(world.tick_at(ends_ns))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actor": OPERATOR}, "forbidden"),
        ({"product": "D99"}, "not_found"),
        ({"valid_until_ns": 1}, "out_of_bounds"),
        ({"valid_until_ns": 2_200_000_000_000_000_000}, "out_of_bounds"),
        ({"evidence_sha256": "none"}, "evidence_missing"),
        ({"reason": " "}, "malformed"),
    ],
)
def test_a_renewal_is_refused(world: World, merchant: str, fields: dict[str, Any], code: str) -> None:
    product = world.product(merchant)
    assert world.code(renewal(world, **{"product": product, **fields})) == code


def test_what_may_not_be_registered_is_not_renewed(world: World, merchant: str) -> None:
    """Facts that nobody has confirmed since they were amended, and a certificate that was revoked."""
    product = world.product(merchant)
    world.must(
        e.AmendFacts(actor=merchant, product=product, evidence_sha256=OTHER, classification=classification())
    )
    assert world.code(renewal(world, product)) == "unlawful"
    world.record(product, "registration_revoked")
    assert world.code(renewal(world, product)) == "wrong_state"
    world.must(e.GrantRole(actor=OPERATOR, participant=merchant, role="reviewer"))
    assert world.code(renewal(world, product, actor=merchant)) == "own_case"


def test_an_authorisation_bounds_the_term_of_every_licence(world: World, merchant: str) -> None:
    """B03 (the last end of 30 and three times 3 days) comes before B02 (authorisation over), at exact instants."""
    until = world.at_ns + 60 * DAY_NS
    product = world.product(merchant, authorisation=authorisation(world.at_ns, valid_until_ns=until))
    listing, buyer = world.listing(merchant, product, term_days=30), world.buyer()
    world.agree(buyer, listing)
    world.at_ns = until - 39 * DAY_NS - 1_000
    assert kinds(world.order(buyer, listing)) == ["OrderPlaced", "Settled"]
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.violated == ("B03",)
    world.at_ns = until
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.violated == ("B02", "B03")
    world.check()


def test_after_a_transfer_the_holder_keeps_the_facts(world: World, merchant: str) -> None:
    product, holder = world.product(merchant), world.merchant(10**9)
    sold(world, product, holder)
    amend = e.AmendFacts(
        actor=merchant,
        product=product,
        evidence_sha256=OTHER,
        source=e.Source(channel="self_generated", statement="told by the new holder"),
    )
    assert world.code(amend) == "not_found"
    for entered, (allowed, _) in REGISTER_ENTRIES.items():
        if allowed:
            assert world.code(entry(product, entered, merchant)) == "forbidden"
    world.must(changed(amend, actor=holder))
    world.must(entry(product, "objection_raised", holder))
    world.must(entry(product, "registration_cancelled", holder))
    world.check()


def test_a_recorded_licensee_may_list(world: World, merchant: str) -> None:
    product, licensee = world.product(merchant), world.merchant()
    command = e.CreateListing(actor=licensee, product=product, board="general", terms=terms())
    assert world.code(command) == "not_found"
    world.record(product, "licensee_recorded", participant=licensee)
    world.must(command)
    world.check()


def test_a_changed_table_does_not_change_the_past(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events say what a product and a trade became; a replay asks no table."""
    merchant, buyer = world.merchant(), world.buyer()
    product = world.product(merchant)
    trade = world.buy(buyer, world.listing(merchant, product))
    world.deliver(trade)
    world.reject(trade)
    world.record(product, "registration_suspended")
    for life in (LIFE, delivery.TRADE_LIFE, delivery.ENTITLEMENT_LIFE):
        table: Any = life
        for step in life:
            monkeypatch.setitem(table, step, "another")
    assert encode_state(world.replayed()) == encode_state(world.state)


def test_the_venues_place_counts_by_its_number(world: World, merchant: str) -> None:
    """Rules of one place (C04, D03) name its number; an operator may set the venue up under its name."""
    product = world.state.products[world.submitted(merchant)]
    world.state.jurisdiction = "shenzhen"
    assert cell_facts(world.state, product, world.at_ns).venue.jurisdiction == "CN-4403"
