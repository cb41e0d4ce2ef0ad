"""The life of the rulebook in the pure venue: who may change it, when it counts, and that a replay has the same one."""

import pytest

from clearing.notrade import Rulebook, RulebookError, load, of_texts, prove
from exchange import events as e
from exchange import venue
from exchange.rejudging import facts_of
from exchange.state import decode_state, encode_state
from tests.exchange.world import OPERATOR, World, boards, kinds, only, rulebook

ALSO = "price.unit_fen == 777"


@pytest.fixture
def world() -> World:
    return World()


def reviewers(world: World, number: int) -> list[str]:
    found = [world.person() for _ in range(number)]
    for person in found:
        world.must(e.GrantRole(actor=OPERATOR, participant=person, role="reviewer"))
    return found


def stricter(world: World, by: str, ahead_ns: int) -> e.DraftRulebook:
    """B05 forbids a price as well."""
    text = rulebook().texts["rights.toml"]
    old = rulebook().rules["B05"].violated_when
    assert text.count(f'violated_when = "{old}"') == 1
    changed = text.replace(f'violated_when = "{old}"', f'violated_when = "({old}) or {ALSO}"')
    files = {"rights.toml": changed}
    return e.DraftRulebook(
        actor=by, files=files, effective_from_ns=world.at_ns + ahead_ns, reason="as the law asks"
    )


def test_a_draft_counts_from_its_date_once_two_others_approve(world: World) -> None:
    author, first, second = reviewers(world, 3)
    listing, buyer = world.listing(world.merchant(), price_fen=777), world.buyer()
    drafted = only(world.must(stricter(world, author, 10**12)), e.RulebookDrafted)
    approve = e.ApproveDraft(actor=author, draft=drafted.draft)
    assert world.code(approve) == "own_case"
    world.must(e.ApproveDraft(actor=first, draft=drafted.draft))
    assert world.code(e.ApproveDraft(actor=first, draft=drafted.draft)) == "own_case"
    world.must(e.ApproveDraft(actor=second, draft=drafted.draft))
    assert world.code(e.ApproveDraft(actor=OPERATOR, draft=drafted.draft)) == "forbidden"
    world.buy(buyer, listing)
    world.wait(ns=10**12)
    assert "RulebookAdopted" in kinds(world.tick())
    assert world.state.rulebook.sha256 == drafted.sha256 == world.state.rulebook_sha256
    refusal = world.order(buyer, listing).refusal
    assert refusal is not None
    assert refusal.violated == ("B05",)
    world.check()


def test_without_two_approvals_the_date_passes_without_effect(world: World) -> None:
    author, first = reviewers(world, 2)
    before = world.state.rulebook.sha256
    drafted = only(world.must(stricter(world, author, 10**9)), e.RulebookDrafted)
    world.must(e.ApproveDraft(actor=first, draft=drafted.draft))
    world.wait(ns=2 * 10**9)
    world.tick()
    assert world.state.rulebook.sha256 == before
    world.check()


def test_an_approval_that_comes_late_brings_it_into_force_at_once(world: World) -> None:
    author, first, second = reviewers(world, 3)
    drafted = only(world.must(stricter(world, author, 10**9)), e.RulebookDrafted)
    world.wait(ns=2 * 10**9)
    world.tick()
    world.must(e.ApproveDraft(actor=first, draft=drafted.draft))
    outcome = world.must(e.ApproveDraft(actor=second, draft=drafted.draft))
    assert kinds(outcome) == ["DraftApproved", "RulebookAdopted"]
    assert world.state.rulebook.sha256 == drafted.sha256
    world.check()


def test_an_emergency_narrows_at_once_and_outlives_snapshot_and_replay(world: World) -> None:
    listing, buyer = world.listing(world.merchant(), price_fen=777), world.buyer()
    world.buy(buyer, listing)
    narrow = e.NarrowRule(actor=OPERATOR, rule="B07", also_violated_when=ALSO, reason="an emergency")
    assert (
        world.code(e.NarrowRule(actor=buyer, rule="B07", also_violated_when=ALSO, reason="x")) == "forbidden"
    )
    world.must(narrow)
    refusal = world.order(buyer, listing).refusal
    assert refusal is not None
    assert refusal.violated == ("B07",)
    world.check()
    loaded = decode_state(encode_state(world.state), boards(), rulebook(), "CN-46")
    assert loaded.rulebook.sha256 == world.state.rulebook.sha256 == world.replayed().rulebook.sha256
    assert loaded.rulebook.rules["B07"].violated_when.endswith(f"or ({ALSO})")


@pytest.mark.parametrize(
    ("rule", "also", "code"),
    [
        ("Z99", ALSO, "not_found"),
        ("B07", "price.unit_fenn == 1", "out_of_bounds"),
        ("B07", "price.unit_fen == 'dear'", "out_of_bounds"),
        ("B07", "True) or (True", "out_of_bounds"),
        ("B07", "", "out_of_bounds"),
    ],
)
def test_what_is_no_condition_narrows_nothing(world: World, rule: str, also: str, code: str) -> None:
    wrong = e.NarrowRule(actor=OPERATOR, rule=rule, also_violated_when=also, reason="an emergency")
    assert world.code(wrong) == code
    assert world.state.edition.narrowings == ()


def test_a_draft_takes_the_place_of_narrowings_that_were_there_and_keeps_later_ones(world: World) -> None:
    author, first, second = reviewers(world, 3)
    for rule, also in (("B07", "price.unit_fen == 1"), ("B06", "price.unit_fen == 2")):
        if rule == "B06":
            drafted = only(world.must(stricter(world, author, 10**9)), e.RulebookDrafted)
        world.must(e.NarrowRule(actor=OPERATOR, rule=rule, also_violated_when=also, reason="an emergency"))
    for person in (first, second):
        world.must(e.ApproveDraft(actor=person, draft=drafted.draft))
    world.wait(ns=2 * 10**9)
    world.tick()
    assert world.state.edition.narrowings == (("B06", "price.unit_fen == 2"),)
    world.check()


def test_a_rule_that_its_examples_contradict_is_told(world: World) -> None:
    """The package's own rulebook is proven, and one with a rule turned round is not."""
    whole = load(boards=boards())
    prove(whole)
    text = whole.texts["rights.toml"].replace("trade.territory not in auth", "trade.territory in auth")
    with pytest.raises(RulebookError, match=r"toml:\d+: rule A01, its example 1 .*B05"):
        prove(load_with(text))


def load_with(text: str) -> Rulebook:
    whole = load(boards=boards())
    return of_texts({**whole.texts, "rights.toml": text}, boards=boards())


def test_the_whole_facts_of_a_stored_trade_give_its_verdict_again(world: World) -> None:
    """What `shuji rules replay` judges is what clearing read."""
    listing, buyer = world.listing(world.merchant()), world.buyer()
    world.buy(buyer, listing)
    product = world.state.listings[listing].product
    world.record(product, "objection_raised")
    assert "Held" in kinds(world.order(buyer, listing))
    seen: list[str] = []
    state = type(world.state)(boards(), rulebook(), "CN-46")

    def look(event: e.Event, at_ns: int) -> None:
        if isinstance(event, e.Settled | e.Held | e.TradeRefused):
            facts = facts_of(state, event, at_ns)
            seen.append(rulebook().judge(facts).outcome)

    for entry in world.entries:
        venue.replay(state, entry, look)
    assert seen == ["allow", "hold"]
