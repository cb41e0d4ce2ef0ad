"""Rings at the venue: queued, decided, and what that does to credit."""

import pytest

from exchange import events as e
from exchange.ring import AGAIN_NS, is_known
from exchange.state import DAY_NS, Graded
from tests.exchange.world import OPERATOR, World, changed, only


def found(members: tuple[str, ...]) -> e.QueueRing:
    return e.QueueRing(
        actor=e.VENUE,
        members=tuple(sorted(members)),
        amount_fen=3_000_000,
        within_bp=9_000,
        back_bp=9_500,
        since_ns=1,
    )


def queued(world: World, *members: str) -> str:
    return only(world.must(found(members)), e.RingQueued).ring


def decision(world: World, ring: str, word: str) -> e.DecideRing:
    return e.DecideRing(actor=world.reviewer, ring=ring, decision=word, reason="looked into")


def traded(world: World) -> tuple[str, str]:
    """A merchant with a completed sale, and its buyer; a day later, so that it counts."""
    shop, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(shop, price_fen=2_000_000))
    world.deliver(trade)
    world.accept(trade)
    world.wait(days=1)
    return shop, buyer


def test_of_a_forged_ring_nothing_among_its_members_earns() -> None:
    world = World()
    shop, buyer = traded(world)
    bureau, blank = world.state.bureau, world.merchant()
    earned = bureau.rating(shop, world.at_ns).score
    assert earned > bureau.rating(blank, world.at_ns).score
    ring = queued(world, shop, buyer)
    assert bureau.rating(shop, world.at_ns).score == earned, "whoever is only suspected loses nothing"
    world.must(decision(world, ring, "forged"))
    for who in (shop, buyer):
        assert bureau.rating(who, world.at_ns).score == bureau.rating(blank, world.at_ns).score
    world.check()


def test_a_genuine_one_loses_nothing_and_is_left_alone_for_half_a_year() -> None:
    world = World()
    shop, buyer = traded(world)
    before = world.state.bureau.rating(shop, world.at_ns).score
    ring = queued(world, shop, buyer)
    assert world.code(found((shop, buyer))) == "already_exists"
    world.must(decision(world, ring, "genuine"))
    assert world.state.bureau.rating(shop, world.at_ns).score == before
    assert world.code(found((shop, buyer))) == "already_exists"
    members = world.state.rings[ring].members
    assert is_known(world.state, members, world.at_ns + AGAIN_NS - DAY_NS)
    assert not is_known(world.state, members, world.at_ns + AGAIN_NS)
    world.check()


def test_who_may_say_what_about_it() -> None:
    world = World()
    shop, buyer = traded(world)
    other = world.buyer()
    assert world.code(changed(found((shop, buyer)), actor=shop)) == "forbidden"
    assert world.code(changed(found((shop, buyer)), members=(shop,))) == "malformed"
    assert world.code(changed(found((shop, buyer)), members=(shop, shop))) == "malformed"
    assert world.code(found((shop, "P999"))) == "not_found"
    assert world.code(changed(found((shop, buyer)), amount_fen=999_999)) == "out_of_bounds"
    ring = queued(world, shop, buyer)
    word = decision(world, ring, "forged")
    assert world.code(changed(word, actor=OPERATOR)) == "forbidden"
    assert world.code(changed(word, decision="perhaps")) == "malformed"
    assert world.code(changed(word, reason=" ")) == "malformed"
    assert world.code(changed(word, ring="G9")) == "not_found"
    own = queued(world, other, world.reviewer)
    assert world.code(changed(word, ring=own)) == "own_case"
    world.must(word)
    assert world.code(word) == "wrong_state"
    assert world.code(found((shop, buyer))) == "already_exists", "it is forged for good"
    world.check()


# ---- objections


def forged(world: World) -> tuple[str, str, str]:
    """A ring found forged, and its two members."""
    shop, buyer = traded(world)
    ring = queued(world, shop, buyer)
    world.must(decision(world, ring, "forged"))
    return ring, shop, buyer


def objecting(ring: str, member: str) -> e.ObjectToRing:
    return e.ObjectToRing(actor=member, ring=ring, text="three versions of one map")


def score(world: World, who: str) -> int:
    return world.state.bureau.rating(who, world.at_ns).score


@pytest.mark.parametrize("word", ["genuine", "forged"])
def test_another_reviewer_decides_about_an_objection(word: str) -> None:
    world = World()
    second = world.official("reviewer")
    ring, shop, buyer = forged(world)
    blank = score(world, world.merchant())
    objected = only(world.must(objecting(ring, shop)), e.RingObjected)
    assert (objected.decider, objected.decide_ns) == (second, world.at_ns + 7 * DAY_NS)
    assert score(world, shop) == blank, "the finding stands meanwhile"
    assert world.code(objecting(ring, buyer)) == "already_exists"
    again = decision(world, ring, word)
    assert world.code(again) == "own_case", "who found it does not decide again"
    world.must(changed(again, actor=second))
    assert world.state.rings[ring].state == word
    assert (score(world, shop) > blank) == (word == "genuine")
    assert world.code(changed(again, actor=second)) == "wrong_state"
    world.until(world.at_ns + 8 * DAY_NS)
    assert world.state.rings[ring].state == word, "its date does nothing more"
    world.check()


def test_not_decided_by_its_date_it_is_taken_back() -> None:
    world = World()
    ring, shop, buyer = forged(world)
    blank = score(world, world.merchant())
    objected = only(world.must(objecting(ring, buyer)), e.RingObjected)
    assert objected.decider == "", "there is one reviewer, who found it"
    world.until(objected.decide_ns + 1)
    assert world.state.rings[ring].state == "genuine"
    assert score(world, shop) > blank
    assert world.code(objecting(ring, buyer)) == "already_exists"
    world.check()


def test_who_may_object_to_what() -> None:
    world = World()
    shop, buyer = traded(world)
    other = world.buyer()
    ring = queued(world, shop, buyer)
    assert world.code(objecting(ring, shop)) == "not_found", "who is only suspected is not told"
    world.must(decision(world, ring, "forged"))
    assert world.code(objecting(ring, other)) == "not_found"
    assert world.code(changed(objecting(ring, shop), text=" ")) == "malformed"
    world.must(objecting(ring, shop))
    member = world.official("reviewer", owner=shop)
    again = changed(decision(world, ring, "genuine"), actor=member)
    assert world.code(again) == "own_case"
    world.check()


def test_a_grade_that_fell_by_a_ring_is_there_again_at_once() -> None:
    """Up to the grade from which it fell, without the two weeks that a better one has to last."""
    world = World()
    world.must(e.FollowGrades(actor=e.VENUE))
    second = world.official("reviewer")
    ring, shop, _ = forged(world)
    world.must(objecting(ring, shop))
    world.state.graded[shop] = Graded(grade="C", held="M")
    taken_back = world.must(changed(decision(world, ring, "genuine"), actor=second))
    assert only(taken_back, e.GradeSet).grade == "M"
