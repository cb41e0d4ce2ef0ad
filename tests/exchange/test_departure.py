"""A participant leaves: by exit, by merger into a successor; what is wound up, what passes on, what is settled first."""

from typing import Any

import pytest

from clearing.ledger import CNY, deposit_owner, unit_asset
from exchange import events as e
from exchange.departure import left
from exchange.matching.negotiation import Criterion
from exchange.state import DAY_NS
from tests.exchange.world import OPERATOR, World, changed, kinds, only


@pytest.fixture
def world() -> World:
    return World()


def going(participant: str, kind: str = "exit", **fields: Any) -> e.Depart:
    return e.Depart(actor=participant, kind=kind, reason="the business is sold", **fields)


def merging(world: World) -> tuple[str, str, str]:
    """Who merges, its successor, a buyer."""
    return world.merchant(cash_fen=10_000), world.merchant(), world.buyer()


def look(world: World) -> Any:
    """The tick that looks at what is left."""
    world.wait(days=0.001)
    return world.tick()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "flight"}, "malformed"),
        ({"reason": " "}, "malformed"),
        ({"kind": "merger"}, "malformed"),
        ({"successor": "P99"}, "not_found"),
        ({"successor": "P3"}, "malformed"),
        ({"successor": "P2"}, "standing_denied"),
    ],
)
def test_a_departure_is_refused(world: World, fields: dict[str, Any], code: str) -> None:
    merchant = world.merchant()
    assert merchant == "P3"
    assert world.code(changed(going(merchant), **fields)) == code


def test_whoever_holds_an_office_gives_it_up_first(world: World) -> None:
    assert world.code(going(world.reviewer)) == "wrong_state"
    assert world.code(going(OPERATOR)) == "wrong_state"


def test_an_exit_waits_for_what_is_left(world: World) -> None:
    merchant, buyer = world.merchant(), world.buyer()
    listing, book = world.listing(merchant), world.book(merchant)
    world.ask(merchant, book, 5, 100)
    trade = world.buy(buyer, listing)
    outcome = world.must(going(merchant))
    assert kinds(outcome)[0] == "DepartureBegun"
    assert [world.state.listings[name].state for name in (listing, book)] == ["withdrawn", "withdrawn"]
    assert not world.state.orders
    entitlement = world.state.trades[trade].entitlement
    assert left(world.state, merchant) == [("trade", trade), ("entitlement", entitlement)]
    assert world.code(world.submission(merchant)) == "standing_denied"
    assert world.bid(merchant, book, 1, 100).refusal is not None
    world.deliver(trade)
    world.accept(trade)
    assert [kind for kind, _ in left(world.state, merchant)] == ["entitlement", "cash"]
    look(world)
    assert world.state.bureau.participants[merchant].status == "active", (
        "its licence runs, its money lies here"
    )
    world.tick_at(world.state.entitlements[entitlement].until_ns + 1)
    assert [kind for kind, _ in left(world.state, merchant)] == ["cash"]
    world.check()


def test_who_has_nothing_left_is_gone(world: World) -> None:
    """Accreditation, then account, in one entry; what was signed of it is revoked, for its date lies ahead."""
    merchant = world.merchant()
    world.must(going(merchant, "dissolution"))
    outcome = look(world)
    assert kinds(outcome) == [
        "Ticked",
        "AccreditationDecided",
        "StatusSet",
        "DepartureDone",
        "CredentialMoved",
    ]
    assert outcome.events[-1].state == "revoked"
    row = world.state.bureau.participants[merchant]
    assert (row.credential, row.status, world.state.departures) == ("expired", "closed", {})
    assert only(outcome, e.AccreditationDecided).step == "leave"
    assert world.tick().events == ()
    world.check()


def test_nobody_is_looked_at_for_ever(world: World) -> None:
    """While nothing happens nothing is looked at: no tick follows on a tick."""
    merchant = world.merchant(cash_fen=5)
    world.must(going(merchant))
    assert [row[2] for row in world.state.timers if row[1] == "departure"] == [merchant]
    look(world)
    assert [row for row in world.state.timers if row[1] == "departure"] == []
    assert merchant in world.state.departures
    world.check()


def test_what_was_bought_ends_and_its_deletion_is_proven_first(world: World) -> None:
    merchant, buyer = world.merchant(), world.buyer(cash_fen=500)
    trade = world.buy(buyer, world.listing(merchant, price_fen=500))
    world.deliver(trade)
    world.must(going(buyer))
    look(world)
    assert ("trade", trade) in left(world.state, buyer)
    world.accept(trade)
    outcome = look(world)
    assert only(outcome, e.EntitlementEnded).step == "revoke"
    duty = only(outcome, e.DutyOpened)
    assert (duty.kind, left(world.state, buyer)) == ("deletion", [("duty", duty.duty)])
    world.must(e.ProveDuty(actor=buyer, duty=duty.duty, evidence_sha256="ab" * 32))
    look(world)
    assert world.state.bureau.participants[buyer].status == "closed"
    world.check()


def test_holds_are_released(world: World) -> None:
    merchant, buyer = world.merchant(), world.buyer(cash_fen=500)
    goods = world.product(merchant)
    listing = world.listing(merchant, goods)
    world.record(goods, "objection_raised")
    held = only(world.order(buyer, listing), e.Held).trade
    assert only(world.must(going(buyer)), e.HoldReleased).trade == held
    assert world.money(buyer) == (500, 0)
    world.check()


def test_whose_account_is_closed_meanwhile_is_gone(world: World) -> None:
    merchant = world.merchant()
    world.must(going(merchant))
    world.must(e.SetStatus(actor=OPERATOR, participant=merchant, step="close", reason="it asked for it"))
    assert "DepartureDone" in kinds(look(world))
    assert (world.state.bureau.participants[merchant].status, world.state.departures) == ("closed", {})
    world.check()


def test_whoever_is_suspended_leaves_when_that_is_over(world: World) -> None:
    merchant = world.merchant()
    world.must(going(merchant))
    world.must(e.SetStatus(actor=OPERATOR, participant=merchant, step="suspend", reason="it is looked into"))
    assert kinds(look(world)) == ["Ticked"]
    assert merchant in world.state.departures
    world.must(e.SetStatus(actor=OPERATOR, participant=merchant, step="resume", reason="nothing was found"))
    look(world)
    assert world.state.bureau.participants[merchant].status == "closed"
    world.check()


def frozen(world: World, participant: str) -> tuple[str, str]:
    """The regulator who had this participant frozen, and the directive's number."""
    regulator, number = world.person(), "琼数监〔2026〕12号"
    world.must(e.GrantRole(actor=OPERATOR, participant=regulator, role="regulator"))
    directive(world, regulator, number, "freeze", participant)
    return regulator, number


def directive(world: World, regulator: str, number: str, kind: str, subject: str) -> None:
    """Issued and executed."""
    issue = e.IssueDirective(
        actor=regulator, number=number, kind=kind, subject=subject, deadline_ns=world.at_ns + DAY_NS,
        text="by law", document_sha256="ab" * 32,
    )  # fmt: skip
    issued = only(world.must(issue), e.DirectiveIssued).directive
    world.must(e.ExecuteDirective(actor=OPERATOR, directive=issued))


def test_what_is_frozen_does_not_leave_with_its_owner(world: World) -> None:
    merchant, heir, _ = merging(world)
    world.must(going(merchant, "merger", successor=heir))
    regulator, number = frozen(world, merchant)
    accept = e.AcceptDeparture(actor=heir, participant=merchant)
    assert number in world.refused(accept).detail
    assert number in world.refused(going(merchant)).detail
    assert world.money(merchant)[0] == 10_000
    directive(world, regulator, "琼数监〔2026〕13号", "lift", number)
    world.must(accept)
    assert world.money(heir)[0] == 10_000
    world.check()


def test_nobody_who_is_frozen_is_gone(world: World) -> None:
    merchant = world.merchant()
    world.must(going(merchant))
    regulator, number = frozen(world, merchant)
    look(world)
    assert world.state.bureau.participants[merchant].status == "active"
    directive(world, regulator, "琼数监〔2026〕13号", "lift", number)
    look(world)
    assert world.state.bureau.participants[merchant].status == "closed"
    world.check()


# ---- mergers


def test_a_merger_passes_all_that_can_pass(world: World) -> None:
    merchant, heir, buyer = merging(world)
    world.must(e.PayDeposit(actor=merchant, amount_fen=4_000))
    goods = world.product(merchant)
    listing, book = world.listing(merchant, goods, price_fen=900), world.book(merchant, goods)
    world.bid(buyer, book, 7, 100)
    world.ask(merchant, book, 3, 100)
    done = world.buy(buyer, listing)
    world.deliver(done)
    entitlement = world.state.trades[done].entitlement
    world.accept(done)
    under_way = world.buy(buyer, listing)
    before = world.money(merchant)[0]
    world.must(going(merchant, "merger", successor=heir))
    assert [world.state.listings[name].state for name in (listing, book)] == ["suspended", "suspended"]
    assert world.order(buyer, listing).refusal is not None
    look(world)
    accept = e.AcceptDeparture(actor=heir, participant=merchant)
    assert world.code(changed(accept, actor=buyer)) == "forbidden"
    assert world.code(changed(accept, participant=buyer)) == "not_found"
    outcome = world.must(accept)
    passed = {event.kind: event.ids for event in outcome.events if isinstance(event, e.PassedOn)}
    assert passed == {
        "product": (goods,),
        "listing": (listing, book),
        "trade": (under_way,),
        "entitlement": (entitlement, world.state.trades[under_way].entitlement),
    }
    assert world.money(heir)[0] == before
    assert world.money(heir, unit_asset(book))[0] == 1_000_000 - 3
    assert world.money(deposit_owner(heir), CNY)[0] == 4_000
    assert world.money(merchant) == (0, 0)
    assert world.code(accept) == "wrong_state"
    assert world.code(going(merchant)) == "wrong_state"
    assert world.state.products[goods].holder == heir
    look(world)
    assert world.state.bureau.participants[merchant].status == "closed"
    assert world.state.predecessors == {heir: (merchant,)}
    world.deliver(under_way)
    world.accept(under_way)
    assert world.money(heir)[0] > before
    world.must(e.MoveListing(actor=OPERATOR, listing=listing, step="resume"))
    again = world.buy(buyer, listing)
    assert world.state.trades[again].seller == heir
    world.check()


def test_what_does_not_pass_is_settled_first(world: World) -> None:
    buyer, heir = world.buyer(), world.buyer()
    need = e.PublishNeed(
        actor=buyer,
        kind="quote",
        board="general",
        title="arrivals",
        text="by day",
        purpose="market_analysis",
        territory="CN",
        right="",
        fields=(),
        quantity=1,
        budget_fen=0,
        criteria=(Criterion("price_fen", 10_000, "lower"),),
        respond_until_ns=world.at_ns + DAY_NS,
        decide_until_ns=world.at_ns + 2 * DAY_NS,
        stages=(),
        awards=1,
        listing="",
    )
    published = only(world.must(need), e.NeedPublished).need
    world.must(going(buyer, "merger", successor=heir))
    accept = e.AcceptDeparture(actor=heir, participant=buyer)
    refusal = world.refused(accept)
    assert (refusal.code.name, f"need {published}" in refusal.detail) == ("wrong_state", True)
    world.must(e.WithdrawNeed(actor=buyer, need=published))
    world.must(accept)
    assert world.money(heir)[0] == 2 * 10**9
    world.check()


def test_a_successor_of_a_merchants_goods_is_accredited_for_their_boards(world: World) -> None:
    merchant, heir, _ = merging(world)
    world.book(merchant)
    assert world.code(going(merchant, "merger", successor=world.buyer())) == "not_accredited"
    restrict = e.DecideAccreditation(
        actor=world.reviewer, participant=heir, step="restrict", boards=("general",), reasons=("because",)
    )
    world.must(restrict)
    refusal = world.refused(going(merchant, "merger", successor=heir))
    assert (refusal.code.name, "computing" in refusal.detail) == ("not_accredited", True)


def test_a_merger_that_comes_to_nothing_becomes_an_exit(world: World) -> None:
    merchant, heir, _ = merging(world)
    listing = world.listing(merchant)
    world.must(going(merchant, "merger", successor=heir))
    since = world.state.departures[merchant].since_ns
    world.must(going(merchant))
    assert world.state.listings[listing].state == "withdrawn"
    assert world.state.departures[merchant].since_ns == since
    assert world.code(e.AcceptDeparture(actor=heir, participant=merchant)) == "forbidden"
    world.check()


# ---- shares of what others sell


def sharing(world: World, *names: str, **fields: Any) -> tuple[str, str]:
    """A merchant and its listing at 10,000 fen, of which each of these has 30 % after the fee."""
    merchant = world.merchant()
    product = world.product(merchant, shares=tuple((name, 3_000) for name in names), **fields)
    return merchant, world.listing(merchant, product, price_fen=10_000)


def test_who_has_a_share_of_an_open_trade_waits_for_it(world: World) -> None:
    contributor, buyer = world.merchant(), world.buyer()
    _, listing = sharing(world, contributor)
    trade = world.buy(buyer, listing)
    world.must(going(contributor))
    look(world)
    assert left(world.state, contributor) == [("share", trade)]
    world.deliver(trade)
    world.accept(trade)
    assert left(world.state, contributor) == [("cash", "2940")]
    world.check()


def test_nothing_goes_to_whoever_is_gone(world: World) -> None:
    gone, stays, buyer = world.merchant(), world.merchant(), world.buyer()
    roles = ("processor", "broker")
    _, listing = sharing(world, gone, stays, share_roles=roles)
    before = only(world.order(buyer, listing), e.Settled)
    assert (before.shares, before.share_roles) == (((gone, 2_940), (stays, 2_940)), roles)
    world.deliver(before.trade)
    world.accept(before.trade)
    world.must(e.SetStatus(actor=OPERATOR, participant=gone, step="close", reason="it is dissolved"))
    after = only(world.order(buyer, listing), e.Settled)
    assert (after.shares, after.share_roles, after.merchant_fen) == (((stays, 2_940),), ("broker",), 6_860)
    world.check()


def test_a_share_passes_to_the_successor(world: World) -> None:
    contributor, heir, buyer = merging(world)
    _, listing = sharing(world, contributor, share_roles=("processor",))
    _, together = sharing(world, contributor, heir, share_roles=("processor", "broker"))
    own = world.product(heir, shares=((contributor, 3_000),), share_roles=("processor",))
    sold = world.listing(heir, own, price_fen=10_000)
    world.must(going(contributor, "merger", successor=heir))
    world.must(e.AcceptDeparture(actor=heir, participant=contributor))
    found = [only(world.order(buyer, name), e.Settled) for name in (listing, together, sold)]
    assert [row.shares for row in found] == [((heir, 2_940),), ((heir, 5_880),), ()]
    assert [row.share_roles for row in found] == [("processor",), ("processor",), ()]
    look(world)
    assert world.state.bureau.participants[contributor].status == "closed"
    world.check()
