"""The life of the rulebook in the pure venue: who may change it, when it counts, and that a replay has the same one."""

import msgspec
import pytest
from msgspec.structs import replace

from clearing.notrade import Rulebook, RulebookError, load, of_texts, prove
from exchange import events as e
from exchange import venue
from exchange.engine import Engine
from exchange.rejudging import facts_of
from exchange.state import State, decode_state, encode_state
from exchange.venue import Outcome
from exchange.verification import verify
from tests.exchange.small_venue import engine_on, lay, soon
from tests.exchange.world import OPERATOR, World, boards, kinds, only, rulebook

ALSO = "price.unit_fen == 777"


@pytest.fixture
def world() -> World:
    return World()


def reviewers(world: World, number: int) -> list[str]:
    return [world.official("reviewer") for _ in range(number)]


def violated_also(text: str, rule: str, also: str) -> str:
    """A file of the rulebook in which the rule is violated by something else as well."""
    old = rulebook().rules[rule].violated_when
    assert text.count(f'violated_when = "{old}"') == 1
    return text.replace(f'violated_when = "{old}"', f'violated_when = "({old}) or ({also})"')


def drafting(world: World, by: str, ahead_ns: int, **files: str) -> e.DraftRulebook:
    """`files` by the name without its ending."""
    named = {f"{name}.toml": text for name, text in files.items()}
    effective_from_ns = world.at_ns + ahead_ns
    return e.DraftRulebook(
        actor=by, files=named, effective_from_ns=effective_from_ns, reason="as the law asks"
    )


def stricter(world: World, by: str, ahead_ns: int, rule: str = "B05") -> e.DraftRulebook:
    """A rule of rights.toml forbids a price as well."""
    return drafting(world, by, ahead_ns, rights=violated_also(rulebook().texts["rights.toml"], rule, ALSO))


def approved(world: World, command: e.DraftRulebook, *approvers: str) -> e.RulebookDrafted:
    """Drafted, and approved by all of them."""
    drafted = only(world.must(command), e.RulebookDrafted)
    for person in approvers:
        world.must(e.ApproveDraft(actor=person, draft=drafted.draft))
    return drafted


def cut(text: str, rule: str) -> tuple[str, str]:
    """(the file without the rule, the rule's own lines)."""
    blocks = text.split("[[rule]]\n")
    [found] = [block for block in blocks if block.startswith(f'id = "{rule}"')]
    return "[[rule]]\n".join(block for block in blocks if block is not found), "[[rule]]\n" + found


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


def test_four_eyes_are_of_two_people_whose_identity_is_verified(world: World) -> None:
    """One operator registers three keys and makes reviewers of them: they draft and approve nothing."""
    puppets = [world.person() for _ in range(3)]
    for puppet in puppets:
        world.must(e.GrantRole(actor=OPERATOR, participant=puppet, role="reviewer"))
    assert world.code(stricter(world, puppets[0], 10**12)) == "not_verified"
    drafted = only(world.must(stricter(world, reviewers(world, 1)[0], 10**12)), e.RulebookDrafted)
    approve = e.ApproveDraft(actor=puppets[1], draft=drafted.draft)
    assert world.code(approve) == "not_verified"
    world.verify(puppets[1], mandate_until_ns=world.at_ns + 10**9)
    world.wait(ns=2 * 10**9)
    assert world.code(approve) == "not_verified", "the mandate has run out"
    world.verify(puppets[2])
    world.must(replace(approve, actor=puppets[2]))
    world.check()


def test_author_and_approvers_are_of_three_houses(world: World) -> None:
    author, other = (world.official("reviewer", owner=owner) for owner in ("Sun", "Moon"))
    sister, brother = (world.official("reviewer", owner=owner) for owner in ("Sun", "Moon"))
    drafted = approved(world, stricter(world, author, 10**12), other)
    for related in (sister, brother):
        assert world.code(e.ApproveDraft(actor=related, draft=drafted.draft)) == "own_case"
    world.must(e.ApproveDraft(actor=reviewers(world, 1)[0], draft=drafted.draft))
    assert world.state.drafts[drafted.draft].state == "approved"
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


def test_a_draft_takes_the_place_of_the_narrowings_that_it_was_written_over(world: World) -> None:
    author, first, second = reviewers(world, 3)
    world.must(
        e.NarrowRule(actor=OPERATOR, rule="B07", also_violated_when="price.unit_fen == 1", reason="now")
    )
    drafted = approved(world, stricter(world, author, 10**9), first, second)
    world.wait(ns=2 * 10**9)
    world.tick()
    assert world.state.edition.narrowings == ()
    assert world.state.rulebook.sha256 == drafted.sha256
    world.check()


# ---- what comes into force is what was approved, or nothing


def lapsed(outcome: Outcome) -> list[str]:
    return [event.draft for event in outcome.events if isinstance(event, e.DraftLapsed)]


def test_a_draft_that_does_not_fit_any_more_stops_no_dates(world: World) -> None:
    """It takes F04 away; before its date an operator narrows F04. The venue's other dates go on."""
    author, first, second = reviewers(world, 3)
    listing, buyer = world.listing(world.merchant()), world.buyer()
    text, _ = cut(rulebook().texts["venue.toml"], "F04")
    drafted = approved(world, drafting(world, author, 10**9, venue=text), first, second)
    trade = world.buy(buyer, listing)
    narrow = e.NarrowRule(actor=OPERATOR, rule="F04", also_violated_when=ALSO, reason="an emergency")
    outcome = world.must(narrow)
    assert lapsed(outcome) == [drafted.draft]
    sha256 = world.state.rulebook.sha256
    world.wait(days=60)
    assert "Refunded" in kinds(world.tick())
    assert trade not in world.state.trades
    assert world.state.rulebook.sha256 == sha256
    assert world.state.drafts[drafted.draft].state == "lapsed"
    world.check()


def test_a_draft_over_files_that_have_changed_lapses(world: World) -> None:
    """One moves F04 to another file, which the hash of the rules does not show; one written before edits the old file."""
    author, first, second = reviewers(world, 3)
    venue_text = rulebook().texts["venue.toml"]
    text, rule = cut(venue_text, "F04")
    more = f'title = {{ zh = "其他", en = "More" }}\n\n{rule}'
    moves = approved(world, drafting(world, author, 10**9, venue=text, more=more), first, second)
    assert moves.sha256 == rulebook().sha256
    edits = approved(
        world, drafting(world, author, 10**10, venue=f"# as before\n{venue_text}"), first, second
    )
    world.wait(ns=2 * 10**9)
    outcome = world.tick()
    assert "RulebookAdopted" in kinds(outcome)
    assert lapsed(outcome) == [edits.draft]
    world.wait(ns=10**10)
    assert kinds(world.tick()) == ["Ticked"]
    assert world.state.rulebook.texts["venue.toml"] == text
    world.check()


def test_a_later_draft_undoes_no_earlier_one(world: World) -> None:
    """Both change rights.toml, B05 and B07, over the same rulebook: the second has to be drafted anew."""
    author, first, second, third = reviewers(world, 4)
    one = approved(world, stricter(world, author, 10**9), first, second)
    other = approved(world, stricter(world, author, 2 * 10**9, rule="B07"), first, second)
    world.wait(ns=10**10)
    outcome = world.tick()
    assert [event.draft for event in outcome.events if isinstance(event, e.RulebookAdopted)] == [one.draft]
    assert lapsed(outcome) == [other.draft]
    assert world.state.rulebook.sha256 == one.sha256
    assert ALSO in world.state.rulebook.rules["B05"].violated_when
    assert world.code(e.ApproveDraft(actor=third, draft=other.draft)) == "wrong_state"
    text = violated_also(world.state.rulebook.texts["rights.toml"], "B07", ALSO)
    anew = approved(world, drafting(world, author, 10**9, rights=text), first, second)
    world.wait(ns=2 * 10**9)
    world.tick()
    assert world.state.rulebook.sha256 == anew.sha256
    assert all(ALSO in world.state.rulebook.rules[rule].violated_when for rule in ("B05", "B07"))
    world.check()


def test_an_emergency_ends_drafts_that_nobody_has_seen_it_with(world: World) -> None:
    """Approved once, its date past: the second approval would have brought in what the first had not seen."""
    author, first, second = reviewers(world, 3)
    drafted = approved(world, stricter(world, author, 10**9), first)
    world.wait(ns=2 * 10**9)
    world.tick()
    world.must(e.NarrowRule(actor=OPERATOR, rule="B06", also_violated_when=ALSO, reason="an emergency"))
    approve = e.ApproveDraft(actor=second, draft=drafted.draft)
    refusal = world.refused(approve)
    assert refusal.code is e.Refused.wrong_state
    assert "draft" in refusal.detail
    assert world.state.edition.narrowings == (("B06", ALSO),)
    world.check()


def test_what_its_examples_contradict_lapses_and_raises_nothing(world: World) -> None:
    """The web proves a draft before it is one; whoever comes past that door is stopped at approval."""
    author, other = reviewers(world, 2)
    text = rulebook().texts["rights.toml"].replace("trade.territory not in auth", "trade.territory in auth")
    drafted = only(world.must(drafting(world, author, 10**9, rights=text)), e.RulebookDrafted)
    outcome = world.must(e.ApproveDraft(actor=other, draft=drafted.draft))
    assert kinds(outcome) == ["DraftLapsed"]
    assert "example" in only(outcome, e.DraftLapsed).reason
    assert world.state.drafts[drafted.draft].approvals == ()
    world.check()


def test_a_venue_that_starts_with_another_package_keeps_its_dates(world: World) -> None:
    """A release changes the packaged rules under an approved draft: at its date it lapses."""
    author, first, second = reviewers(world, 3)
    drafted = approved(world, stricter(world, author, 10**9), first, second)
    texts = {**rulebook().texts, "venue.toml": f"# a new release\n{rulebook().texts['venue.toml']}"}
    released = of_texts(texts, boards=boards())
    state = decode_state(encode_state(world.state), boards(), released, "CN-46")
    outcome = venue.execute(state, e.Tick(actor=e.VENUE), world.at_ns + 2 * 10**9)
    assert lapsed(outcome) == [drafted.draft]
    assert state.rulebook.texts == texts


def test_a_draft_says_what_it_is_written_over(world: World) -> None:
    """An author who has read an older edition is told before anything is drafted."""
    author, first, second = reviewers(world, 3)
    read = world.state.rulebook.text_sha256
    command = replace(stricter(world, author, 10**9), base_sha256=read)
    approved(world, command, first, second)
    world.wait(ns=2 * 10**9)
    world.tick()
    again = replace(command, effective_from_ns=world.at_ns + 10**9)
    assert world.code(again) == "wrong_state"
    now = world.state.rulebook.text_sha256
    assert world.code(replace(again, base_sha256=now)) == "out_of_bounds", "it changes nothing"


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


# ---- a release whose packaged rules are others


def next_release() -> Rulebook:
    """F04 has another id in it."""
    texts = {name: text.replace('"F04"', '"F94"') for name, text in rulebook().texts.items()}
    return of_texts(texts, boards=rulebook().boards)


NARROW = e.NarrowRule(actor=OPERATOR, rule="F04", also_violated_when=ALSO, reason="an emergency")


def replayed_by(package: Rulebook, entries: list[bytes]) -> State:
    state = State(boards(), package, "CN-46")
    for raw in entries:
        venue.replay(state, raw)
    return state


def test_a_narrowing_that_does_not_fit_a_release_goes_on_as_it_was_journaled(world: World) -> None:
    world.must(NARROW)
    body, package = encode_state(world.state), next_release()
    assert "F04" not in package.rules
    for state in (replayed_by(package, world.entries), decode_state(body, boards(), package, "CN-46")):
        assert encode_state(state) == body
        assert state.misfits == ("narrowing: there is no rule F04",)
        assert not state.lacking
        assert state.rulebook.sha256 == state.rulebook_sha256 == world.state.rulebook.sha256
        assert ALSO in state.rulebook.rules["F04"].violated_when
    assert world.state.misfits == ()


def test_rules_go_on_being_narrowed_and_drafted_over_what_is_in_force(world: World) -> None:
    """Out of that state leads a draft, which fits the release or brings its whole text."""
    author, first, second = reviewers(world, 3)
    world.must(NARROW)
    package = next_release()
    world.state, world.twin = (replayed_by(package, world.entries) for _ in range(2))
    world.must(replace(NARROW, also_violated_when="price.unit_fen == 778"))
    assert "778" in world.state.rulebook.rules["F04"].violated_when
    assert ALSO in world.state.rulebook.rules["F04"].violated_when
    approved(world, stricter(world, author, 10**9), first, second)
    world.wait(ns=10**9)
    assert "RulebookAdopted" in kinds(world.tick())
    assert (world.state.misfits, world.state.edition.narrowings) == ((), ())
    assert "F94" in world.state.rulebook.rules
    assert world.state.rulebook.sha256 == world.state.rulebook_sha256
    assert encode_state(replayed_by(package, world.entries)) == encode_state(world.state)


def without_texts(raw: bytes) -> bytes:
    """An entry as it was journaled before the texts were in it."""
    entry = msgspec.msgpack.decode(raw, type=e.Entry)
    events = [replace(one, texts={}) if isinstance(one, e.RuleNarrowed) else one for one in entry.events]
    return msgspec.msgpack.encode(replace(entry, events=tuple(events)))


def test_without_its_text_a_narrowing_that_does_not_fit_lets_nothing_pass(world: World) -> None:
    """The venue starts and says what it lacks; it takes orders again once a draft says it anew."""
    author, first, second = reviewers(world, 3)
    listing, buyer = world.listing(world.merchant()), world.buyer()
    world.must(NARROW)
    entries = [without_texts(raw) for raw in world.entries]
    package = next_release()
    world.state, world.twin = (replayed_by(package, entries) for _ in range(2))
    said = (world.state.lacking, world.state.misfits)
    assert said == (True, ("F04: narrowing: there is no rule F04",))
    world.must(e.AdoptRulebook(actor=e.VENUE, sha256=world.state.rulebook.sha256))
    refusal = world.order(buyer, listing).refusal
    assert refusal is not None
    assert (refusal.code, "F04" in refusal.detail) == (e.Refused.halted, True)
    approved(world, stricter(world, author, 10**9), first, second)
    world.wait(ns=10**9)
    world.tick()
    assert (world.state.lacking, world.state.misfits) == (False, ())
    world.buy(buyer, listing)


def test_drafted_files_that_do_not_fit_a_release_are_in_force_as_journaled(world: World) -> None:
    """F04 was moved to a file of its own, and the release has it in another one: twice the same rule."""
    author, first, second = reviewers(world, 3)
    kept, moved = cut(rulebook().texts["venue.toml"], "F04")
    moved = f'title = {{ zh = "新规", en = "More" }}\n\n{moved}'
    approved(world, drafting(world, author, 10**9, venue=kept, more=moved), first, second)
    world.wait(ns=10**9)
    world.tick()
    texts = {**rulebook().texts, "other.toml": moved, "venue.toml": kept}
    state = replayed_by(of_texts(texts, boards=rulebook().boards), world.entries)
    assert "written twice" in state.misfits[0]
    assert not state.lacking
    assert state.rulebook.sha256 == state.rulebook_sha256 == world.state.rulebook.sha256


async def test_a_release_that_does_not_fit_starts_says_so_and_verifies(database_dsn: str) -> None:
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine:
        assert engine.status()["rulebook_misfits"] == []
        assert (await engine.submit(NARROW)).refusal is None
        in_force = engine.state.rulebook.sha256

    def empty_of_next() -> State:
        return State(boards(), next_release(), "CN-46")

    later = Engine(database_dsn, empty_of_next, False)
    await later.start()
    try:
        assert later.status()["rulebook_misfits"] == ["narrowing: there is no rule F04"]
        assert later.state.rulebook.sha256 == later.state.rulebook_sha256 == in_force
        assert (await later.submit(small.order())).refusal is None
    finally:
        await soon(later.stop(), "the engine stops")
    assert await verify(database_dsn, None, empty_of_next, lambda _: None) == []
