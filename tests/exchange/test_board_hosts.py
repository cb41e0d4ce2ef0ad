"""A board's host and a trustee of data subjects: what they may do, to what, and not more."""

import pytest

from exchange import events as e
from tests.exchange.world import OPERATOR, World, consent_of, only, personal

BOARD, OTHER = "general", "computing"


class Site:
    def __init__(self) -> None:
        self.world = World()
        self.host, self.trustee, self.shop = self.world.person(), self.world.person(), self.world.merchant()
        self.world.must(e.GrantRole(actor=OPERATOR, participant=self.host, role="board_host", board=BOARD))
        self.world.must(e.GrantRole(actor=OPERATOR, participant=self.trustee, role="trustee"))

    def on_persons(self) -> str:
        return self.world.listing(
            self.shop, self.world.product(self.shop, classification=personal(), consent=consent_of())
        )

    def object_to(self, listing: str) -> e.ObjectToListing:
        return e.ObjectToListing(actor=self.trustee, listing=listing, reason="同意书未列明接收方")

    def decide(self, listing: str, objection: str, decision: str) -> e.DecideTrusteeObjection:
        return e.DecideTrusteeObjection(
            actor=self.world.reviewer, listing=listing, objection=objection, decision=decision, text="已核对"
        )


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_host_is_that_of_named_boards(site: Site) -> None:
    world = site.world

    def grant(role: str, board: str) -> e.GrantRole:
        return e.GrantRole(actor=OPERATOR, participant=site.host, role=role, board=board)

    assert world.code(grant("board_host", BOARD)) == "already_exists"
    assert world.code(grant("board_host", "")) == "not_found"
    assert world.code(grant("board_host", "moonshine")) == "not_found"
    assert world.code(grant("reviewer", BOARD)) == "malformed"
    world.must(grant("board_host", OTHER))
    assert world.state.hosts == {site.host: (BOARD, OTHER)}
    assert world.state.bureau.participants[site.host].roles.count("board_host") == 1
    revoke = e.RevokeRole(actor=OPERATOR, participant=site.host, role="board_host", reason="another one")
    world.must(revoke)
    assert world.state.hosts == {}
    halt = e.HaltTrading(actor=site.host, scope="board", subject=BOARD, reason="数据源异常")
    assert world.code(halt) == "forbidden"
    world.check()


def test_a_host_reviews_and_halts_its_own_board_alone(site: Site) -> None:
    world = site.world
    own, other = world.draft(site.shop), world.draft(site.shop, board=OTHER)
    for listing in (own, other):
        world.move(site.shop, listing, "submit")
    assert world.code(e.MoveListing(actor=site.host, listing=other, step="approve")) == "not_found"
    world.move(site.host, own, "approve")
    assert world.state.listings[own].state == "published"
    for scope, subject in (("board", OTHER), ("listing", other), ("market", "")):
        halt = e.HaltTrading(actor=site.host, scope=scope, subject=subject, reason="数据源异常")
        assert world.code(halt) == "forbidden"
    for scope, subject in (("board", BOARD), ("listing", own)):
        world.must(e.HaltTrading(actor=site.host, scope=scope, subject=subject, reason="数据源异常"))
        world.must(e.ResumeTrading(actor=site.host, scope=scope, subject=subject, reason="已恢复"))
    world.check()


def test_nobody_hosts_their_own_listing_through(site: Site) -> None:
    """A host that sells on its board does not review what it sells (nobody decides their own case)."""
    world = site.world
    shop = world.merchant()
    world.must(e.GrantRole(actor=OPERATOR, participant=shop, role="board_host", board=BOARD))
    listing = world.draft(shop)
    world.move(shop, listing, "submit")
    assert world.code(e.MoveListing(actor=shop, listing=listing, step="approve")) == "own_case"


def test_an_objection_holds_a_listing_until_it_is_decided(site: Site) -> None:
    world, listing = site.world, site.on_persons()
    buyer = world.buyer()
    world.agree(buyer, listing)
    objection = only(world.must(site.object_to(listing)), e.ListingObjected).objection
    refusal = world.order(buyer, listing, signed=False).refusal
    assert refusal is not None
    assert refusal.code.name == "halted"
    assert objection in refusal.detail
    assert world.code(site.object_to(listing)) == "already_exists"
    assert world.code(site.decide(listing, "H99", "reject")) == "not_found"
    world.must(site.decide(listing, objection, "reject"))
    assert world.buy(buyer, listing)
    again = only(world.must(site.object_to(listing)), e.ListingObjected).objection
    world.must(site.decide(listing, again, "uphold"))
    assert world.state.listings[listing].state == "suspended"
    assert world.state.objected == {}
    world.check()


def test_a_trustee_speaks_for_persons_and_decides_nothing(site: Site) -> None:
    world = site.world
    harmless, listing = world.listing(site.shop), site.on_persons()
    assert world.code(site.object_to(harmless)) == "wrong_state"
    assert world.code(site.object_to("L99")) == "not_found"
    assert world.code(e.ObjectToListing(actor=site.shop, listing=listing, reason="x")) == "forbidden"
    objection = only(world.must(site.object_to(listing)), e.ListingObjected).objection
    own = e.DecideTrusteeObjection(
        actor=site.trustee, listing=listing, objection=objection, decision="uphold", text="x"
    )
    assert world.code(own) == "forbidden"
    world.must(e.GrantRole(actor=OPERATOR, participant=site.trustee, role="reviewer"))
    assert world.code(own) == "own_case"
