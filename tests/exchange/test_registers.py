"""Entries in the venue's registers: who may make one, what the rules then read, and what happens to holds."""

from typing import Any

import msgspec
import pytest

from clearing.house import NEVER_NS
from clearing.registers import (
    AnyFacts,
    Assessment,
    CentralApproval,
    ComplianceVeto,
    EthicsReview,
    ExportRoute,
    Freeze,
    Pledge,
    RecipientNotice,
    Restricted,
    SecurityCapability,
    SourceReview,
)
from exchange import events as e
from exchange.gathering import export_of, of_pair, recipient_named
from exchange.listing import cell_of
from exchange.participant import party_of
from exchange.product import cell_facts
from exchange.state import DAY_NS, decode_state, encode_state
from tests.exchange.world import EVIDENCE, World, boards, only, rulebook, said, terms


@pytest.fixture
def world() -> World:
    return World()


def record(world: World, facts: AnyFacts, **fields: Any) -> e.EnterRecord:
    whole: dict[str, Any] = {
        "actor": world.reviewer,
        "facts": facts,
        "evidence_sha256": EVIDENCE,
        "reason": "as the papers say",
        **fields,
    }
    return e.EnterRecord(**whole)


FROZEN = Freeze(number="17", authority="court", state="frozen")
LIFTED = Freeze(number="17", authority="court", state="lifted")


def product_facts(world: World, product: str) -> Any:
    return cell_facts(world.state, world.state.products[product], world.at_ns).product


def test_a_freeze_is_a_fact_until_it_is_lifted(world: World) -> None:
    product = world.product(world.merchant())
    assert product_facts(world, product).judicial_freeze is False
    world.must(record(world, FROZEN, product=product))
    assert product_facts(world, product).judicial_freeze is True
    world.must(record(world, LIFTED, product=product))
    assert product_facts(world, product).judicial_freeze is False
    world.check()


def test_an_assessment_is_good_for_as_long_as_it_says(world: World) -> None:
    """The cell that a listing keeps is made anew when an entry ends."""
    merchant = world.merchant()
    listing = world.state.listings[world.listing(merchant, world.product(merchant))]
    passed = Assessment(kind="risk_assessment", result="passed")
    until = world.at_ns + 10 * DAY_NS
    world.must(record(world, passed, product=listing.product, valid_until_ns=until))
    for at_ns, done in ((until - 1, True), (until, False)):
        cell = cell_of(world.state, listing, "market_analysis", "CN", at_ns)
        assert cell.product.risk_assessment_done is done
    world.check()


def test_the_holder_may_enter_only_against_itself(world: World) -> None:
    merchant, other = world.merchant(), world.merchant()
    product = world.product(merchant)
    world.must(record(world, FROZEN, actor=merchant, product=product))
    assert world.code(record(world, LIFTED, actor=merchant, product=product)) == "forbidden"
    assert world.code(record(world, FROZEN, actor=other, product=product)) == "forbidden"
    world.must(record(world, ComplianceVeto(state="vetoed"), actor=merchant, participant=merchant))
    assert party_of(world.state, merchant, world.at_ns).seller.compliance_veto is True
    world.check()


def test_who_gains_decides_nothing(world: World) -> None:
    merchant = world.merchant()
    product = world.product(merchant)
    world.must(e.GrantRole(actor="P1", participant=merchant, role="reviewer"))
    mine = record(world, SourceReview(lawfulness="lawful"), actor=merchant, product=product)
    assert world.code(mine) == "own_case"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"product": "D99"}, "not_found"),
        ({"product": "", "participant": "P1"}, "malformed"),
        ({"evidence_sha256": "none"}, "evidence_missing"),
        ({"reason": " "}, "malformed"),
        ({"corrects": "G77"}, "malformed"),
        ({"valid_from_ns": 5, "valid_until_ns": 4}, "malformed"),
    ],
)
def test_wrong_entries_change_nothing(world: World, changes: dict[str, Any], code: str) -> None:
    product = world.product(world.merchant())
    assert world.code(record(world, FROZEN, **{"product": product, **changes})) == code


def test_registers_of_participants_are_facts_of_buyers_and_sellers(world: World) -> None:
    buyer = world.buyer()
    before = party_of(world.state, buyer, world.at_ns)
    assert (before.buyer.restricted_list, before.buyer.security_level) == ("none", 0)
    world.must(record(world, SecurityCapability(scheme="DSMM", level=3), participant=buyer))
    world.must(record(world, Restricted(list="pipl_42", version="2026-11"), participant=buyer))
    after = party_of(world.state, buyer, world.at_ns)
    assert (after.buyer.restricted_list, after.buyer.security_level) == ("pipl_42", 3)
    removed = Restricted(list="pipl_42", version="2026-12", state="removed")
    world.must(record(world, removed, participant=buyer))
    assert party_of(world.state, buyer, world.at_ns).buyer.restricted_list == "none"
    assert party_of(world.state, "P1", world.at_ns).seller.is_venue_operator is True
    world.check()


def test_every_pledgee_has_to_agree(world: World) -> None:
    product = world.product(world.merchant())
    row = world.state.products[product]
    for facts, found in (
        (Pledge(number="1", state="pledged", consented=True), (True, True)),
        (Pledge(number="2", state="pledged"), (True, False)),
        (Pledge(number="2", state="released"), (True, True)),
        (Pledge(number="1", state="released"), (False, True)),
    ):
        world.must(record(world, facts, product=product))
        said = cell_facts(world.state, row, world.at_ns).registration
        assert said is not None
        assert (said.pledged, said.pledgee_consent) == found
    world.check()


def test_what_is_registered_of_a_product_and_a_buyer(world: World) -> None:
    product, buyer = world.product(world.merchant()), world.buyer()
    assert of_pair(world.state, product, buyer, world.at_ns)["ethics_review"] == "none"
    review = EthicsReview(number="1", decision="approved")
    both = {"product": product, "participant": buyer}
    until = world.at_ns + DAY_NS
    world.must(record(world, review, valid_until_ns=until, **both))
    world.must(record(world, RecipientNotice(), **both))
    assert of_pair(world.state, product, buyer, world.at_ns)["ethics_review"] == "approved"
    assert of_pair(world.state, product, buyer, until)["ethics_review"] == "expired"
    assert recipient_named(world.state, product, buyer, world.at_ns)
    assert not recipient_named(world.state, product, world.reviewer, world.at_ns)
    world.check()


def test_an_export_route_reaches_as_far_as_it_says(world: World) -> None:
    product = world.product(world.merchant())
    route = ExportRoute(route="standard_contract", purposes=("market_analysis",), territories=("HK",))
    world.must(record(world, route, product=product))
    for purpose, territory, matches in (
        ("market_analysis", "HK", True),
        ("risk_control", "HK", False),
        ("market_analysis", "SG", False),
    ):
        said = export_of(world.state, product, purpose, territory, world.at_ns)
        assert (said.route, said.scope_matches) == ("standard_contract", matches)
        assert said.assessment_until == NEVER_NS
    world.check()


def test_a_review_of_the_source_counts_more_than_the_declaration(world: World) -> None:
    product = world.product(world.merchant())
    row = world.state.products[product]
    assert cell_facts(world.state, row, world.at_ns).source.lawfulness == "lawful"
    world.must(record(world, SourceReview(lawfulness="unlawful", bypassed_controls=True), product=product))
    said = cell_facts(world.state, row, world.at_ns).source
    assert (said.lawfulness, said.bypassed_controls) == ("unlawful", True)


WITHDRAWN = CentralApproval(board="computing", authority="State Council", state="withdrawn")
RESTORED = CentralApproval(board="computing", authority="State Council", state="restored")
IN_A_BOOK: dict[str, Any] = {"mechanism": "continuous_auction", "supply": "limited", "supply_units": 100}


def test_an_approval_that_is_withdrawn_stops_a_boards_book_and_no_other(world: World) -> None:
    """F02. What was kept about every listing is made anew, also when the entry begins or ends to be good by itself."""
    merchant = world.merchant()
    books = [world.listing(merchant, board=board, **IN_A_BOOK) for board in ("computing", "data_ip")]
    starts, ends = world.at_ns + DAY_NS, world.at_ns + 2 * DAY_NS

    def approved(at_ns: int) -> list[Any]:
        rows = [world.state.listings[listing] for listing in books]
        cells = [cell_of(world.state, row, "market_analysis", "CN", at_ns) for row in rows]
        return [cell.venue.central_trading_approved for cell in cells]

    assert approved(world.at_ns) == [True, True]
    world.must(record(world, WITHDRAWN, valid_from_ns=starts, valid_until_ns=ends))
    assert [approved(at) for at in (world.at_ns, starts, ends)] == [[True] * 2, [False, True], [True] * 2]
    world.must(record(world, WITHDRAWN))
    assert approved(world.at_ns) == [False, True]
    world.must(record(world, RESTORED))
    assert approved(world.at_ns) == [True, True]
    world.check()


def test_nothing_is_offered_by_a_mechanism_whose_approval_is_withdrawn(world: World) -> None:
    merchant = world.merchant()
    product = world.product(merchant)
    offer = e.CreateListing(
        actor=merchant,
        product=product,
        board="computing",
        terms=terms(**IN_A_BOOK),
        attributes=said("computing"),
    )
    world.must(record(world, WITHDRAWN))
    refusal = world.refused(offer)
    assert refusal.code.name == "mechanism_not_allowed"
    offers, _, why = refusal.detail.partition(";")
    assert "continuous_auction" not in offers
    assert why.startswith(" centralised trading needs approval")
    world.must(msgspec.structs.replace(offer, board="data_ip", attributes=said("data_ip")))


@pytest.mark.parametrize(
    ("board", "actor", "code"),
    [("general", "", "not_found"), ("moon", "", "not_found"), ("computing", "P1", "forbidden")],
)
def test_only_a_board_with_an_approval_can_lose_it(world: World, board: str, actor: str, code: str) -> None:
    """And not by the word of the venue's operator, which lives on its fees."""
    facts = msgspec.structs.replace(RESTORED, board=board)
    assert world.code(record(world, facts, actor=actor or world.reviewer)) == code


def test_registers_outlive_a_snapshot(world: World) -> None:
    product = world.product(world.merchant())
    made = only(world.must(record(world, FROZEN, product=product)), e.RecordEntered)
    body = encode_state(world.state)
    loaded = decode_state(body, boards(), rulebook(), "CN-46")
    assert encode_state(loaded) == body
    assert loaded.registers.entries[made.entry].facts == FROZEN
    assert msgspec.structs.asdict(loaded.registers.entries[made.entry])["by"] == world.reviewer


def test_the_subject_takes_nobodys_place_that_spoke_against_it(world: World) -> None:
    """A court's freeze stays the reviewer's entry; what a reviewer lifted, the holder may freeze again."""
    merchant = world.merchant()
    product = world.product(merchant)
    later = record(world, FROZEN, product=product, valid_from_ns=world.at_ns + DAY_NS)
    entered = only(world.must(later), e.RecordEntered)
    mine = record(world, Freeze(number="17", authority="me", state="frozen"), actor=merchant, product=product)
    assert world.code(mine) == "forbidden"
    world.must(record(world, FROZEN, product=product, corrects=entered.entry, void=True))
    world.must(mine)
    for state, actor in (("lifted", world.reviewer), ("vetoed", merchant)):
        veto = ComplianceVeto(state=state)  # type: ignore[arg-type]
        world.must(record(world, veto, actor=actor, participant=merchant))
    assert party_of(world.state, merchant, world.at_ns).seller.compliance_veto is True
    world.check()
