"""Who may come in, who decides about whom, and what standing each step gives."""

from itertools import product
from typing import Any, get_args

import pytest

from credit.merchant import IDENTITY, STATUS, Identity, Status
from exchange import events as e
from exchange.participant import STATUS_STEPS, ultimate_owner
from exchange.state import DAY_NS
from tests.exchange.world import EVIDENCE, OPERATOR, World, changed, credit_code, kinds, only, public_key


@pytest.fixture
def world() -> World:
    return World()


def registration(number: int = 70, **fields: Any) -> e.RegisterParticipant:
    whole: dict[str, Any] = {
        "legal_name": "Harbour Data Ltd",
        "public_key": public_key(f"key {number}"),
        "roles": ("buyer",),
        "uscc": credit_code(number),
        **fields,
    }
    return e.RegisterParticipant(actor="", **whole)


def identity(world: World, participant: str, **fields: Any) -> e.DecideIdentity:
    whole: dict[str, Any] = {
        "actor": world.reviewer,
        "accept": True,
        "mandate_until_ns": world.at_ns + DAY_NS,
        "evidence_sha256": EVIDENCE,
        **fields,
    }
    return e.DecideIdentity(participant=participant, **whole)


# ---- registration


def test_the_venue_opens_once(world: World) -> None:
    assert world.state.bureau.participants[OPERATOR].roles == ("operator",)
    assert world.code(e.OpenVenue(actor=e.VENUE, public_key=public_key("second"))) == "wrong_state"


def test_a_registered_participant_is_unverified_and_may_browse_only(world: World) -> None:
    participant = only(world.must(registration()), e.ParticipantRegistered).participant
    standing = world.state.bureau.standing(participant, world.at_ns)
    assert (standing.may_browse, standing.may_buy, standing.may_list) == (True, False, False)
    world.check()


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"roles": ("operator",)}, "malformed", "granted by an operator"),
        ({"roles": ("buyer", "reviewer")}, "malformed", "granted by an operator"),
        ({"public_key": "!"}, "identity_invalid", "base64"),
        ({"public_key": "AAAA"}, "identity_invalid", "32 raw"),
        ({"uscc": ""}, "identity_invalid", "18 characters"),
        ({"uscc": credit_code(70)[:-1]}, "identity_invalid", "18 characters"),
        ({"uscc": credit_code(70).lower()}, "identity_invalid", "capital"),
        ({"uscc": credit_code(71)[:-1] + credit_code(70)[-1]}, "identity_invalid", "check digit"),
        ({"uscc": "I" * 18}, "identity_invalid", ""),
        ({"roles": (), "uscc": "nonsense"}, "identity_invalid", ""),
        ({"region": "hainan"}, "identity_invalid", "CN-46"),
        ({"public_key": public_key("operator")}, "already_exists", "public key"),
    ],
)
def test_a_registration_is_refused_with_what_is_wrong(
    world: World, fields: dict[str, Any], code: str, word: str
) -> None:
    refusal = world.refused(registration(**fields))
    assert refusal.code.name == code
    assert word in refusal.detail


def test_nobody_keeps_a_credit_code_from_the_company_it_belongs_to(world: World) -> None:
    """Registration is open to everybody: only a verified holder keeps the code, and a refusal frees it."""
    squatter = only(world.must(registration()), e.ParticipantRegistered).participant
    company = only(
        world.must(registration(public_key=public_key("other"))), e.ParticipantRegistered
    ).participant
    world.verify(company)
    refusal = world.refused(identity(world, squatter))
    assert refusal.code.name == "already_exists"
    assert "verified participant has this unified social credit code" in refusal.detail
    assert world.code(registration(public_key=public_key("third"))) == "already_exists"
    world.must(identity(world, company, accept=False, reasons=("the licence is forged",)))
    world.verify(squatter)
    world.check()


def test_a_closed_account_frees_its_credit_code(world: World) -> None:
    first = only(world.must(registration()), e.ParticipantRegistered).participant
    world.verify(first)
    world.must(status(first, "close"))
    again = only(
        world.must(registration(public_key=public_key("other"))), e.ParticipantRegistered
    ).participant
    world.verify(again)
    world.check()


# ---- mending a refused identity


def mended(participant: str, number: int = 70, **fields: Any) -> e.ResubmitIdentity:
    whole: dict[str, Any] = {
        "legal_name": "Harbour Data Co., Ltd",
        "uscc": credit_code(number),
        "region": "CN-46",
        "evidence_sha256": EVIDENCE,
        **fields,
    }
    return e.ResubmitIdentity(actor=participant, **whole)


def test_a_refused_identity_is_mended_and_verified(world: World) -> None:
    buyer = only(world.must(registration()), e.ParticipantRegistered).participant
    assert world.code(mended(buyer)) == "wrong_state", "nothing changes while a reviewer looks at it"
    world.must(identity(world, buyer, accept=False, reasons=("the name is another's",)))
    assert world.code(mended(buyer, uscc="?")) == "identity_invalid"
    assert world.code(mended(buyer, region="hainan")) == "identity_invalid"
    assert world.code(mended(buyer, evidence_sha256="")) == "evidence_missing"
    world.must(mended(buyer, 71))
    row = world.state.bureau.participants[buyer]
    assert (row.identity, row.legal_name, row.uscc) == (
        "unverified",
        "Harbour Data Co., Ltd",
        credit_code(71),
    )
    assert row.identity_evidence == EVIDENCE
    assert row.identity_reasons == ()
    world.verify(buyer)
    assert world.code(mended(buyer)) == "wrong_state"
    world.check()


def test_an_identity_is_not_mended_into_somebody_verified(world: World) -> None:
    world.verify(only(world.must(registration()), e.ParticipantRegistered).participant)
    other = only(world.must(registration(71)), e.ParticipantRegistered).participant
    world.must(identity(world, other, accept=False, reasons=("forged",)))
    assert world.code(mended(other, 70)) == "already_exists"


def test_people_of_the_venue_need_no_credit_code(world: World) -> None:
    auditor = world.person()
    granted = world.must(e.GrantRole(actor=OPERATOR, participant=auditor, role="auditor"))
    assert only(granted, e.RoleGranted).by == OPERATOR
    assert world.state.bureau.participants[auditor].roles == ("auditor",)
    world.check()


def test_roles_are_granted_by_an_operator_once_each(world: World) -> None:
    somebody = world.person()
    grant = e.GrantRole(actor=OPERATOR, participant=somebody, role="reviewer")
    assert world.code(changed(grant, actor=somebody)) == "forbidden"
    assert world.code(changed(grant, actor="P99")) == "forbidden"
    assert world.code(changed(grant, participant="P99")) == "not_found"
    assert world.code(changed(grant, role="merchant")) == "malformed"
    world.must(grant)
    assert world.code(grant) == "already_exists"


# ---- identity


def test_a_verified_buyer_may_buy_until_the_mandate_ends(world: World) -> None:
    buyer = world.person("buyer")
    world.must(identity(world, buyer))
    row = world.state.bureau.participants[buyer]
    assert row.identity == "verified"
    assert row.owner_id == buyer
    until = row.mandate_until_ns
    assert world.state.bureau.standing(buyer, until - 1).may_buy
    assert not world.state.bureau.standing(buyer, until).may_buy


def test_owner_and_group_are_recorded_with_the_identity(world: World) -> None:
    buyer = world.person("buyer", owner="said by itself", group="said")
    world.must(identity(world, buyer, owner_id="found", group_id=""))
    row = world.state.bureau.participants[buyer]
    assert (row.owner_id, row.group_id) == ("found", "said")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actor": OPERATOR}, "forbidden"),
        ({"actor": ""}, "forbidden"),
        ({"actor": "P99"}, "forbidden"),
        ({"mandate_until_ns": 0}, "out_of_bounds"),
        ({"evidence_sha256": ""}, "evidence_missing"),
        ({"accept": False}, "malformed"),
    ],
)
def test_an_identity_decision_is_refused(world: World, fields: dict[str, Any], code: str) -> None:
    assert world.code(identity(world, world.person("buyer"), **fields)) == code


def test_nobody_decides_on_somebody_unknown(world: World) -> None:
    assert world.code(identity(world, "P99")) == "not_found"


def test_nobody_decides_their_own_case(world: World) -> None:
    both = world.person("buyer")
    world.must(e.GrantRole(actor=OPERATOR, participant=both, role="reviewer"))
    assert world.code(identity(world, both, actor=both)) == "own_case"
    assert world.code(identity(world, world.reviewer)) == "own_case"


def test_nobody_decides_for_their_own_house(world: World) -> None:
    """The reviewer's daughter company is the reviewer's own case."""
    daughter = world.person("buyer", owner=world.reviewer)
    assert world.code(identity(world, daughter)) == "own_case"


def test_every_entry_of_the_identity_life_that_a_reviewer_takes(world: World) -> None:
    for state, accept in product(get_args(Identity), (True, False)):
        buyer = world.person("buyer")
        if state == "verified":
            world.must(identity(world, buyer))
        if state == "refused":
            world.must(identity(world, buyer, accept=False, reasons=("forged",)))
        assert world.state.bureau.participants[buyer].identity == state
        decide = identity(world, buyer, accept=accept, reasons=("because",))
        after = IDENTITY.get((state, "verify" if accept else "refuse_identity"))
        if after is None:
            assert world.code(decide) == "wrong_state", state
        else:
            world.must(decide)
            assert world.state.bureau.participants[buyer].identity == after
    world.check()


# ---- bans


def test_a_ban_is_set_and_lifted_by_an_operator(world: World) -> None:
    buyer = world.buyer()
    ban = e.SetBan(actor=OPERATOR, participant=buyer, until_ns=world.at_ns + DAY_NS, reason="cheated")
    assert world.code(changed(ban, actor=world.reviewer)) == "forbidden"
    assert world.code(changed(ban, participant="P99")) == "not_found"
    assert world.code(changed(ban, until_ns=1)) == "out_of_bounds"
    world.must(ban)
    assert not world.state.bureau.standing(buyer, world.at_ns).may_buy
    world.ban(buyer, days=0)
    assert world.state.bureau.standing(buyer, world.at_ns).may_buy
    world.check()


def test_a_ban_ends_by_itself_and_the_rules_see_it(world: World) -> None:
    """E03 reads the ban: at its last nanosecond the order is unlawful, at its end it is not."""
    listing, buyer = world.listing(world.merchant()), world.buyer()
    world.agree(buyer, listing)
    world.ban(buyer, days=1)
    until = world.state.bureau.participants[buyer].ban_until_ns
    world.at_ns = until - 2_000
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.violated == ("E03",)
    world.at_ns = until - 1_000
    assert kinds(world.order(buyer, listing)) == ["OrderPlaced", "Settled"]
    world.check()


def test_a_banned_official_decides_nothing(world: World) -> None:
    """A ban ends by itself, also where nothing else has happened since."""
    merchant = world.merchant()
    product = world.submitted(merchant)
    world.ban(world.reviewer, days=1)
    assert world.code(world.decision(product)) == "forbidden"
    world.wait(days=1)
    world.must(world.decision(product))
    world.check()


# ---- the account


def status(participant: str, step: str, **fields: Any) -> e.SetStatus:
    return e.SetStatus(
        **{"actor": OPERATOR, "participant": participant, "step": step, "reason": "stolen", **fields}
    )


WAY_TO_STATUS: dict[str, tuple[str, ...]] = {"active": (), "suspended": ("suspend",), "closed": ("close",)}


@pytest.mark.parametrize("before", get_args(Status))
@pytest.mark.parametrize("step", STATUS_STEPS)
def test_every_entry_and_no_other_of_the_status_life(world: World, before: str, step: str) -> None:
    buyer = world.buyer()
    for way in WAY_TO_STATUS[before]:
        world.must(status(buyer, way))
    after = STATUS.get((before, step))  # type: ignore[arg-type]
    if after is None:
        assert world.code(status(buyer, step)) == ("standing_denied" if before == "closed" else "wrong_state")
    else:
        world.must(status(buyer, step))
        assert world.state.bureau.participants[buyer].status == after
    world.check()


def test_an_account_is_suspended_by_an_operator_and_never_ones_own(world: World) -> None:
    buyer = world.buyer()
    assert world.code(status(buyer, "crown")) == "malformed"
    assert world.code(status(buyer, "suspend", reason=" ")) == "malformed"
    assert world.code(status(buyer, "suspend", actor=world.reviewer)) == "forbidden"
    assert world.code(status("P99", "suspend")) == "not_found"
    assert world.code(status(OPERATOR, "suspend")) == "own_case"
    assert world.code(status(OPERATOR, "close")) == "own_case"
    world.must(status(buyer, "suspend"))
    assert world.state.bureau.participants[buyer].status_reason == "stolen"
    listing = world.listing(world.merchant())
    refused = world.order(buyer, listing).refusal
    assert refused is not None
    assert refused.code.name in ("unlawful", "standing_denied")
    world.must(status(buyer, "resume"))
    world.buy(buyer, listing)


def test_a_suspended_reviewer_decides_nothing(world: World) -> None:
    world.must(status(world.reviewer, "suspend"))
    assert world.code(identity(world, world.person("buyer"))) == "forbidden"


def test_an_account_with_open_trades_is_suspended_and_not_closed(world: World) -> None:
    merchant, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(merchant))
    for party in (merchant, buyer):
        refusal = world.refused(status(party, "close"))
        assert refusal.code.name == "wrong_state"
        assert "suspend" in refusal.detail
    world.deliver(trade)
    world.accept(trade)
    world.must(status(buyer, "close"))
    world.check()


def test_an_account_that_owes_a_duty_is_not_closed(world: World) -> None:
    """The data of a licence that is over is deleted and that is proven first; a closed account could not."""
    merchant, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(merchant, term_days=10))
    world.deliver(trade)
    world.accept(trade)
    world.wait(days=11)
    world.tick()
    [duty] = world.state.duties
    refusal = world.refused(status(buyer, "close"))
    assert (refusal.code.name, duty in refusal.detail, "suspend" in refusal.detail) == (
        "wrong_state",
        True,
        True,
    )
    world.must(e.ProveDuty(actor=buyer, duty=duty, evidence_sha256=EVIDENCE))
    world.must(status(buyer, "close"))
    world.check()


# ---- offices and keys


def test_an_office_is_taken_away(world: World) -> None:
    revoke = e.RevokeRole(actor=OPERATOR, participant=world.reviewer, role="reviewer", reason="left")
    assert world.code(changed(revoke, actor=world.reviewer)) == "forbidden"
    assert world.code(changed(revoke, participant="P99")) == "not_found"
    assert world.code(changed(revoke, role="buyer")) == "malformed"
    assert world.code(changed(revoke, reason="")) == "malformed"
    assert world.code(changed(revoke, role="auditor")) == "wrong_state"
    world.must(revoke)
    assert world.code(identity(world, world.person("buyer"))) == "forbidden"
    assert world.code(revoke) == "wrong_state"
    world.check()


def test_the_last_operator_stays(world: World) -> None:
    revoke = e.RevokeRole(actor=OPERATOR, participant=OPERATOR, role="operator", reason="left")
    assert world.code(revoke) == "wrong_state"
    second = world.person()
    world.must(e.GrantRole(actor=OPERATOR, participant=second, role="operator"))
    world.ban(second)
    assert world.code(revoke) == "wrong_state", "a banned operator cannot act"
    world.ban(second, days=0)
    world.must(revoke)
    assert world.code(e.GrantRole(actor=OPERATOR, participant=second, role="auditor")) == "forbidden"
    assert world.code(changed(revoke, actor=second, participant=second)) == "wrong_state"


def test_a_key_is_replaced_by_its_holder_or_an_operator(world: World) -> None:
    buyer = world.buyer()
    row = world.state.bureau.participants[buyer]
    first = row.public_key
    own = e.ReplaceKey(actor=buyer, participant=buyer, public_key=public_key("second"), replaced=first)
    assert world.code(changed(own, replaced=public_key("other"))) == "signature_wrong"
    assert world.code(changed(own, public_key="?")) == "identity_invalid"
    assert world.code(changed(own, public_key=first)) == "already_exists"
    world.must(own)
    assert (row.public_key, row.key_number) == (public_key("second"), 1)
    assert world.code(changed(own, public_key=public_key("third"))) == "signature_wrong", (
        "the old key signs no more"
    )
    by_operator = e.ReplaceKey(
        actor=OPERATOR, participant=buyer, public_key=public_key("third"), reason="stolen"
    )
    assert world.code(changed(by_operator, actor=world.reviewer)) == "forbidden"
    assert world.code(changed(by_operator, participant="P99")) == "not_found"
    assert world.code(changed(by_operator, participant=OPERATOR)) == "signature_wrong"
    assert world.code(changed(by_operator, reason="")) == "malformed"
    world.must(by_operator)
    assert row.key_number == 2
    assert world.state.bureau.by_key[public_key("third")] == buyer
    assert first not in world.state.bureau.by_key
    world.must(status(buyer, "close"))
    assert world.code(changed(by_operator, public_key=public_key("fourth"))) == "standing_denied"
    world.check()


def test_the_owner_of_the_data_folder_replaces_an_operator_key_only(world: World) -> None:
    recovery = e.ReplaceKey(
        actor=e.VENUE, participant=OPERATOR, public_key=public_key("found"), reason="lost"
    )
    assert world.code(changed(recovery, participant=world.buyer())) == "forbidden"
    assert world.code(changed(recovery, participant=world.reviewer)) == "forbidden"
    assert world.code(changed(recovery, reason=" ")) == "forbidden"
    replaced = only(world.must(recovery), e.KeyReplaced)
    assert (replaced.by, replaced.reason) == (e.VENUE, "lost")
    row = world.state.bureau.participants[OPERATOR]
    assert (row.public_key, row.key_number) == (public_key("found"), 1)
    world.check()


# ---- money


def test_cash_in_is_booked_once_for_each_entry_of_the_bank(world: World) -> None:
    buyer = world.buyer(cash_fen=0)
    book = e.BookCashIn(actor=OPERATOR, participant=buyer, amount_fen=5, bank_reference="B-1")
    assert world.code(changed(book, actor=buyer)) == "forbidden"
    assert world.code(changed(book, participant="P99")) == "not_found"
    assert world.code(changed(book, amount_fen=0)) == "out_of_bounds"
    assert world.code(changed(book, amount_fen=-5)) == "out_of_bounds"
    assert world.code(changed(book, amount_fen=10**13 + 1)) == "out_of_bounds"
    assert world.code(changed(book, bank_reference="  ")) == "malformed"
    world.must(book)
    assert world.code(book) == "already_exists"
    assert world.money(buyer) == (5, 0)
    assert world.money("bank:cash") == (-5, 0)
    world.check()


# ---- owners


def test_an_owner_who_is_a_participant_is_followed_up(world: World) -> None:
    """E05: subsidiary, parent and whatever else the parent's owner holds are one controller."""
    parent = world.merchant(10**6, owner="U1")
    subsidiary = world.merchant(10**6, owner=parent)
    grandchild = world.merchant(10**6, owner=subsidiary)
    cousin, stranger = world.merchant(10**6, owner="U1"), world.buyer(owner="U2")
    for seller in (parent, cousin, grandchild):
        listing = world.listing(seller)
        for buyer in (parent, subsidiary, grandchild, cousin):
            refusal = world.order(buyer, listing).refusal
            assert refusal is not None, (buyer, seller)
            assert refusal.violated == ("E05",)
        world.buy(stranger, listing)
    world.check()


def test_a_change_of_owner_changes_those_below(world: World) -> None:
    """What the venue kept of the subsidiary is dropped when its parent gets another owner."""
    parent, shop = world.buyer(), world.merchant(owner="U1")
    subsidiary, listing = world.buyer(owner=parent), world.listing(shop)
    world.buy(subsidiary, listing)
    world.verify(parent, owner_id="U1")
    refusal = world.order(subsidiary, listing).refusal
    assert refusal is not None
    assert refusal.violated == ("E05",)
    world.verify(parent, owner_id="U2")
    world.buy(subsidiary, listing)
    world.check()


def test_an_owner_that_registers_later_is_followed_from_then_on(world: World) -> None:
    shop = world.merchant(owner="U1")
    listing = world.listing(shop)
    coming = world.state.next_id("P")
    child = world.buyer(owner=f"P{int(coming[1:]) + 1}")
    world.buy(child, listing)
    assert world.person("buyer", owner="U1") == f"P{int(coming[1:]) + 1}"
    refusal = world.order(child, listing).refusal
    assert refusal is not None
    assert refusal.violated == ("E05",)


def test_a_ring_of_owners_is_one_controller(world: World) -> None:
    first, second, third = (world.merchant(10**6) for _ in range(3))
    for owned, owner in ((first, second), (second, third), (third, second)):
        world.verify(owned, owner_id=owner)
    people = world.state.bureau.participants
    assert {ultimate_owner(people, one) for one in (first, second, third)} == {min(second, third)}
    refusal = world.order(first, world.listing(third)).refusal
    assert refusal is not None
    assert refusal.violated == ("E05",)
    world.check()


def test_without_an_owner_a_participant_is_its_own(world: World) -> None:
    alone = world.person("buyer")
    people = world.state.bureau.participants
    assert ultimate_owner(people, alone) == alone
    world.verify(alone)
    assert people[alone].owner_id == ultimate_owner(people, alone) == alone


def test_self_trade_prevention_follows_the_owner_up(world: World) -> None:
    parent = world.merchant(owner="U1")
    book = world.book(parent)
    subsidiary = world.buyer(owner=parent)
    world.ask(parent, book, 5, 100)
    outcome = world.bid(subsidiary, book, 5, 100)
    assert [event.reason for event in outcome.events if isinstance(event, e.OrderClosed)] == ["self_trade"]
    assert {order.owner for order in world.state.orders.values()} == {"U1"}
    world.check()


def test_a_reviewer_under_the_same_top_decides_nothing(world: World) -> None:
    parent = world.person(owner="U1")
    world.must(e.GrantRole(actor=OPERATOR, participant=parent, role="reviewer"))
    middle = world.person("buyer", owner="U1")
    product = world.submitted(world.merchant(owner=middle))
    assert world.code(changed(world.decision(product), actor=parent)) == "own_case"
