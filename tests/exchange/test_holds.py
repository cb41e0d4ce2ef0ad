"""What a hold names is what holds it now: a second look changes it, dates and rulebooks are second looks too."""

from typing import Any

import pytest

from clearing.registers import HarmOpinion, Pledge
from exchange import events as e
from exchange.state import DAY_NS
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    World,
    changed,
    classification,
    kinds,
    only,
)


class Waiting:
    """A right that is pledged outside the venue, and one order on hold for it (B15)."""

    def __init__(self, **entry: Any) -> None:
        self.world = world = World()
        self.shop, self.buyer = world.merchant(), world.buyer()
        self.product = world.product(self.shop)
        self.listing = world.listing(self.shop, self.product)
        self.enter(Pledge(number="ZY-1", state="pledged"), **entry)
        held = only(world.order(self.buyer, self.listing), e.Held)
        self.trade, self.until_ns = held.trade, held.until_ns
        assert held.violated == ("B15",)

    def enter(self, facts: Any, **fields: Any) -> Any:
        whole = {
            "product": self.product,
            "evidence_sha256": EVIDENCE,
            "reason": "as the papers say",
            **fields,
        }
        return self.world.must(e.EnterRecord(actor=self.world.reviewer, facts=facts, **whole))

    def cure(self, rule: str) -> e.CureHold:
        revision = self.world.state.products[self.product].revision
        return e.CureHold(
            actor=self.world.reviewer,
            trade=self.trade,
            rule=rule,
            evidence_sha256=EVIDENCE,
            revision=revision,
        )

    def named(self) -> tuple[str, ...]:
        return self.world.state.holds[self.trade].violated


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def test_a_rule_that_came_later_is_named_and_can_be_cured(waiting: Waiting) -> None:
    """Held by B15; a harm opinion comes (B23); the pledge is released: the hold is by B23 alone, and B23 cures it."""
    world = waiting.world
    both = only(waiting.enter(HarmOpinion(level="suspected")), e.HoldChanged)
    assert (both.outcome, both.violated, both.unknown) == ("hold", ("B15", "B23"), ())
    assert waiting.named() == ("B15", "B23")
    after = only(waiting.enter(Pledge(number="ZY-1", state="released")), e.HoldChanged)
    assert after.violated == ("B23",)
    assert world.code(waiting.cure("B15")) == "malformed"
    assert only(world.must(waiting.cure("B23")), e.Settled).trade == waiting.trade
    world.check()


def test_what_is_cured_stays_named_and_nothing_is_told_twice(waiting: Waiting) -> None:
    world = waiting.world
    waiting.enter(HarmOpinion(level="suspected"))
    assert kinds(world.must(waiting.cure("B15"))) == ["HoldCured"]
    assert waiting.named() == ("B15", "B23")
    assert kinds(waiting.enter(HarmOpinion(level="suspected"))) == ["RecordEntered"]
    assert only(world.must(waiting.cure("B23")), e.Settled).trade == waiting.trade
    world.check()


def test_at_its_end_it_is_refused_for_what_still_holds_it(waiting: Waiting) -> None:
    world = waiting.world
    waiting.enter(HarmOpinion(level="suspected"))
    world.must(waiting.cure("B15"))
    world.wait(days=11)
    ended = only(world.tick(), e.HoldReleased)
    assert (ended.reason, ended.violated, ended.blamed) == ("expired", ("B23",), (waiting.shop,))
    assert not world.state.looks
    world.check()


def test_facts_that_are_unknown_now_are_told(waiting: Waiting) -> None:
    """The merchant amends, and nobody has confirmed it: neither allowed nor refused, and the hold says what lacks."""
    world = waiting.world
    amended = changed(world.state.products[waiting.product].classification, data_class="important")
    outcome = world.must(
        e.AmendFacts(
            actor=waiting.shop, product=waiting.product, evidence_sha256=EVIDENCE, classification=amended
        )
    )
    told = only(outcome, e.HoldChanged)
    assert told.outcome == "indeterminate"
    assert any("product.data_class" in facts for _, facts in told.unknown)
    same = classification()
    world.must(
        e.AmendFacts(
            actor=waiting.shop, product=waiting.product, evidence_sha256=EVIDENCE, classification=same
        )
    )
    confirmed = world.must(
        e.ConfirmFacts(
            actor=world.reviewer,
            product=waiting.product,
            groups=("classification",),
            revision=world.state.products[waiting.product].revision,
            evidence={"classification": EVIDENCE},
        )
    )
    assert only(confirmed, e.HoldChanged).outcome == "hold"
    assert waiting.named() == ("B15",)
    world.check()


def test_an_entry_that_ends_lets_the_hold_settle() -> None:
    """The pledge ends in a day: the order that waits for it settles then, as a new one would."""
    waiting = Waiting(valid_until_ns=World().at_ns + 2 * DAY_NS)
    world = waiting.world
    world.wait(days=1)
    assert "Settled" not in kinds(world.tick())
    world.wait(days=1.5)
    assert only(world.tick(), e.Settled).trade == waiting.trade
    assert not world.state.looks
    world.check()


def test_each_date_plans_the_next_look(waiting: Waiting) -> None:
    """A harm opinion that begins tomorrow and ends the day after: named in between."""
    world = waiting.world
    begins_ns = world.at_ns + DAY_NS
    dates = {"valid_from_ns": begins_ns, "valid_until_ns": begins_ns + DAY_NS}
    planned = only(waiting.enter(HarmOpinion(level="suspected"), **dates), e.HoldChanged)
    assert (planned.violated, planned.look_ns) == (("B15",), begins_ns)
    begun = only(world.tick_at(begins_ns + 1), e.HoldChanged)
    assert (begun.violated, begun.look_ns) == (("B15", "B23"), begins_ns + DAY_NS)
    over = only(world.tick_at(begins_ns + DAY_NS + 1), e.HoldChanged)
    assert (over.violated, over.look_ns) == (("B15",), 0)
    world.check()


@pytest.mark.parametrize("narrowed", [False, True])
def test_other_rules_in_force_are_a_second_look(waiting: Waiting, narrowed: bool) -> None:
    """Narrowed, B23 holds as well; adopted without B15, nothing does any more."""
    world = waiting.world
    if narrowed:
        also = "registration.pledged"
        command = e.NarrowRule(actor=OPERATOR, rule="B23", also_violated_when=also, reason="an emergency")
        assert only(world.must(command), e.HoldChanged).violated == ("B15", "B23")
    else:
        author, *others = [world.official("reviewer") for _ in range(3)]
        text = world.state.rulebook.texts["rights.toml"]
        rule = text.index('[[rule]]\nid = "B15"')
        gone = text[:rule] + text[text.index("[[rule]]", rule + 1) :]
        drafted = e.DraftRulebook(
            actor=author,
            files={"rights.toml": gone},
            effective_from_ns=world.at_ns + 10**9,
            reason="a new law",
        )
        draft = only(world.must(drafted), e.RulebookDrafted).draft
        for person in others:
            world.must(e.ApproveDraft(actor=person, draft=draft))
        world.wait(days=1)
        assert only(world.tick(), e.Settled).trade == waiting.trade
    world.check()
