"""The bureau: who may do what and why not, ratings from the register, and snapshots."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit import bureau as bureau_module
from credit.bureau import HINDRANCES, Bureau, Hindering, Remedy
from credit.conduct import KINDS, Conduct, history_bp
from credit.merchant import Accreditation
from credit.score import (
    DAY_NS,
    HISTORY_FEN,
    Contested,
    Evidence,
    Flow,
    Log,
    Rating,
    Subject,
    Weighed,
    flows_before,
    score_and_grade,
    weighed_grade,
)
from tests.credit.register import FOREVER_NS, SOUND_USCC, START_NS, bureau_of, fact, key_of, verified

PEOPLE = ("merchant", "buyer", "sister", "stranger", "")
FACTS = st.lists(
    st.builds(
        Conduct,
        kind=st.sampled_from(list(KINDS)),
        participant=st.sampled_from(["merchant", "buyer"]),
        counterparty=st.sampled_from(PEOPLE),
        amount_fen=st.integers(0, 10**9),
        at_ns=st.integers(0, 900 * DAY_NS).map(lambda after_ns: START_NS + after_ns),
        reference=st.sampled_from(["trade-1", "trade-2", "决定-3"]),
    ),
    max_size=40,
)


def market() -> Bureau:
    return bureau_of(
        verified("merchant", owner_id="boss"),
        verified("buyer"),
        verified("sister", owner_id="boss"),
        verified("reviewer", "reviewer"),
        verified("operator", "operator"),
    )


def codes(bureau: Bureau, name: str, at_ns: int = START_NS) -> list[Hindering]:
    return [reason.code for reason in bureau.standing(name, at_ns).reasons]


def accredited(bureau: Bureau, name: str) -> None:
    bureau.step(name, "apply", START_NS)
    bureau.step(name, "accredit", START_NS, "reviewer", until_ns=FOREVER_NS, number="DM-1")


# --- standing ---


def test_the_accredited_merchant_who_also_buys_may_do_everything() -> None:
    bureau = market()
    accredited(bureau, "merchant")
    standing = bureau.standing("merchant", START_NS)
    assert (standing.may_browse, standing.may_buy, standing.may_list) == (True, True, True)
    assert standing.reasons == ()


def test_the_unverified_may_browse_only() -> None:
    bureau = market()
    bureau.step("buyer", "refuse_identity", START_NS)
    bureau.step("buyer", "resubmit", START_NS, changes={"legal_name": "Other"})
    standing = bureau.standing("buyer", START_NS)
    assert (standing.may_browse, standing.may_buy, standing.may_list) == (True, False, False)
    assert codes(bureau, "buyer") == ["identity_unverified", "credential_none"]


@given(
    status=st.sampled_from(("active", "suspended", "closed")),
    identity=st.sampled_from(("unverified", "verified", "refused")),
    ban_until_ns=st.integers(START_NS - 1, START_NS + 1),
    mandate_until_ns=st.integers(START_NS - 1, START_NS + 1),
    roles=st.sampled_from((("buyer",), ("merchant",), ("buyer", "merchant"), ())),
)
def test_the_short_question_has_the_answer_of_the_long_one(**row: Any) -> None:
    bureau = market()
    for name, value in row.items():
        setattr(bureau.participants["buyer"], name, value)
    assert bureau.may_buy("buyer", START_NS) == bureau.standing("buyer", START_NS).may_buy
    assert not bureau.may_buy("nobody", START_NS)


def test_the_unaccredited_cannot_list() -> None:
    standing = market().standing("merchant", START_NS)
    assert (standing.may_browse, standing.may_buy, standing.may_list) == (True, True, False)


@pytest.mark.parametrize(
    ("change", "expected", "allowed"),
    [
        ({"status": "closed"}, ["closed"], (False, False, False)),
        ({"status": "suspended"}, ["suspended"], (True, False, False)),
        ({"ban_until_ns": START_NS + 1}, ["banned"], (True, False, False)),
        ({"ban_until_ns": START_NS}, [], (True, True, True)),
        ({"identity": "refused"}, ["identity_refused"], (True, False, False)),
        ({"mandate_until_ns": START_NS}, ["mandate_expired"], (True, False, False)),
        ({"roles": ("merchant",)}, ["not_buyer"], (True, False, True)),
        ({"roles": ("buyer",)}, ["not_merchant"], (True, True, False)),
        ({"credential": "applied"}, ["credential_applied"], (True, True, False)),
        ({"credential": "suspended"}, ["credential_suspended"], (True, True, False)),
        ({"credential": "under_review"}, ["credential_under_review"], (True, True, False)),
        ({"credential": "revoked"}, ["credential_revoked"], (True, True, False)),
        ({"credential": "expired"}, ["credential_expired"], (True, True, False)),
        ({"credential": "restricted"}, [], (True, True, True)),
        (
            {"accreditation": Accreditation(classes=("broker",))},
            ["credential_other_class"],
            (True, True, False),
        ),
        ({"credential_until_ns": START_NS}, ["credential_expired"], (True, True, False)),
    ],
)
def test_each_hindrance(
    change: dict[str, object], expected: list[str], allowed: tuple[bool, bool, bool]
) -> None:
    bureau = market()
    accredited(bureau, "merchant")
    for field, value in change.items():
        setattr(bureau.participants["merchant"], field, value)
    standing = bureau.standing("merchant", START_NS)
    assert (standing.may_browse, standing.may_buy, standing.may_list) == allowed
    assert codes(bureau, "merchant") == expected
    assert bureau.standing("merchant", START_NS) is standing


def test_a_stranger_may_do_nothing() -> None:
    assert codes(market(), "nobody") == ["unknown"]
    assert set(HINDRANCES) == {row.code for row in HINDRANCES.values()}


# --- the register ---


def test_a_key_and_a_credit_code_name_one_participant() -> None:
    bureau = market()
    first = verified("first")
    first.public_key, first.uscc = key_of(1), SOUND_USCC
    bureau.admit(first)
    second = verified("second")
    second.public_key = key_of(1)
    assert bureau.admission_refusal(second) == "duplicate_key"
    second.public_key, second.uscc = key_of(2), SOUND_USCC
    assert bureau.admission_refusal(second) == "duplicate_uscc"
    assert bureau.admission_refusal(verified("first")) == "duplicate_id"


def test_only_a_verified_holder_keeps_a_credit_code_from_others() -> None:
    bureau = market()
    for number, name in enumerate(("squatter", "company")):
        row = verified(name)
        row.public_key, row.uscc, row.identity = key_of(number), SOUND_USCC, "unverified"
        assert bureau.admission_refusal(row) is None
        bureau.admit(row)
    bureau.step("company", "verify", START_NS, "reviewer", until_ns=FOREVER_NS)
    assert bureau.refusal("squatter", "verify", "reviewer", START_NS) == "duplicate_uscc"
    bureau.step("squatter", "refuse_identity", START_NS, "reviewer")
    assert bureau.refusal("squatter", "resubmit", "squatter", START_NS) == "duplicate_uscc"
    assert bureau.by_uscc == {SOUND_USCC: "company"}
    bureau.step("company", "refuse_identity", START_NS, "reviewer")
    assert bureau.by_uscc == {}
    bureau.step("squatter", "resubmit", START_NS)
    assert bureau.refusal("squatter", "verify", "reviewer", START_NS) is None


def test_a_new_key_takes_the_place_of_the_old_one() -> None:
    bureau = market()
    for number, name in enumerate(("first", "second")):
        row = verified(name)
        row.public_key = key_of(number)
        bureau.admit(row)
    with pytest.raises(AssertionError):
        bureau.replace_key("first", key_of(1))
    bureau.replace_key("first", key_of(9))
    assert bureau.participants["first"].key_number == 1
    assert bureau.by_key == {key_of(9): "first", key_of(1): "second"}


def test_a_step_is_refused_with_its_code() -> None:
    bureau = market()
    assert bureau.refusal("nobody", "verify", "reviewer", START_NS) == "unknown_participant"
    assert bureau.refusal("merchant", "suspend", "operator", START_NS) is None
    assert bureau.refusal("operator", "suspend", "operator", START_NS) == "own_case"
    assert bureau.refusal("merchant", "verify", "nobody", START_NS) == "decider_required"


# --- ratings ---


def after(bureau: Bureau, *facts: Conduct, day: float = 100) -> Rating:
    for conduct in facts:
        bureau.record(conduct)
    return bureau.rating("merchant", START_NS + int(day * DAY_NS))


def test_a_newcomer_is_631_m() -> None:
    rating = market().rating("merchant", START_NS)
    assert (rating.score, rating.grade) == (631, "M")
    assert market().grade("merchant", START_NS) == "M"
    assert market().rating("merchant", START_NS - 1).score == 511


def sales(counterparty: str) -> list[Conduct]:
    return [one for day in range(60) for one in purchases(counterparty, "merchant", day, 1_000_000)]


def purchases(buyer: str, seller: str, day: float = 0, amount_fen: int = HISTORY_FEN) -> list[Conduct]:
    """One settled order, told of both sides."""
    return [
        fact("completed_sale", buyer, day, amount_fen, participant=seller),
        fact("completed_purchase", seller, day, amount_fen, participant=buyer),
    ]


def test_the_register_tells_what_a_counterparty_is_worth() -> None:
    """cm-0.2 halved what a counterparty proved for 90 days: a forger waits for nothing. Its history tells now."""
    with_history = after(market(), *sales("buyer"), *purchases("buyer", "operator")).score
    with_little = after(market(), *sales("buyer"), *purchases("buyer", "operator", amount_fen=10**7)).score
    without = after(market(), *sales("buyer")).score
    stranger, sister = after(market(), *sales("stranger")).score, after(market(), *sales("sister")).score
    assert sister == 631 < stranger < without < with_little < with_history


def test_history_with_the_one_who_is_rated_and_its_controller_is_none() -> None:
    without = after(market(), *sales("buyer")).score
    assert after(market(), *sales("buyer"), *purchases("buyer", "sister")).score == without
    assert after(market(), *sales("buyer"), *purchases("buyer", "operator", day=100)).score == without


def test_history_counts_by_the_fee_that_was_paid_on_it() -> None:
    """Half of it at 1 %, whole from 2 % on or where nobody said, none without a fee; a dump keeps it."""

    def scored(fee_bp: int, amount_fen: int = HISTORY_FEN // 2) -> int:
        bureau, part_bp = market(), history_bp(amount_fen, amount_fen * fee_bp // 10_000)
        paid = purchases("buyer", "operator", 0, amount_fen)
        told = [msgspec.structs.replace(one, history_bp=part_bp) for one in paid]
        score = after(bureau, *sales("buyer"), *told).score
        assert after(Bureau.load(msgspec.json.decode(msgspec.json.encode(bureau.dump())))).score == score
        return score

    whole = after(market(), *sales("buyer"), *purchases("buyer", "operator", 0, HISTORY_FEN // 2)).score
    assert scored(0) == after(market(), *sales("buyer")).score
    assert scored(0) < scored(100) < scored(200)
    assert scored(200) == scored(250) == whole
    assert scored(100, HISTORY_FEN) == whole


def test_what_is_history_whole_is_dumped_as_before_fees_were_told() -> None:
    bureau = market()
    after(bureau, *sales("buyer"), *purchases("buyer", "operator"))
    dumped = msgspec.json.decode(msgspec.json.encode(bureau.dump()))
    assert {len(row) for _, good, _ in dumped["conduct"] for row in good} == {6}
    assert Bureau.load(dumped) == bureau


def test_history_with_ones_own_controller_is_none() -> None:
    bureau = market()
    bureau.admit(verified("branch", owner_id="buyer"))
    assert after(bureau, *sales("buyer"), *purchases("buyer", "branch")).score == (
        after(market(), *sales("buyer")).score
    )


def test_a_ring_found_forged_earns_nothing_and_taken_back_earns_again() -> None:
    bureau = market()
    earned = after(bureau, *sales("buyer"), *purchases("buyer", "operator"))
    bureau.mark_ring("R1", ("merchant", "buyer", "operator"))
    assert after(bureau).score == 631
    assert Bureau.load(msgspec.json.decode(msgspec.json.encode(bureau.dump()))) == bureau
    bureau.mark_ring("R1", ())
    assert after(bureau) == earned
    assert "rings" not in bureau.dump()


def test_an_objection_upheld_is_as_if_the_fault_had_never_been() -> None:
    bureau = market()
    clean = after(bureau, *sales("buyer"))
    marked = after(bureau, fact("not_delivered", day=70, reference="trade-9"))
    contested = bureau.rating("merchant", marked.as_of_ns, [("not_delivered", "trade-9")])
    assert (marked.score < clean.score, contested) == (True, clean)
    assert bureau.grade("merchant", marked.as_of_ns) == "C"
    assert bureau.grade("merchant", marked.as_of_ns, [("not_delivered", "trade-9")]) == "M"
    [fault] = bureau.faults_of("merchant")
    bureau.set_remedy(
        "merchant", Remedy(kind=fault.kind, reference="trade-8", at_ns=fault.at_ns, upheld=True)
    )
    assert after(bureau) == marked, "another fault's"
    bureau.set_remedy(
        "merchant", Remedy(kind=fault.kind, reference="trade-9", at_ns=fault.at_ns, upheld=True)
    )
    assert after(bureau) == clean
    assert bureau.grade("merchant", marked.as_of_ns) == "M"


def own(bureau: Bureau, owner_id: str) -> None:
    """A reviewer finds out who owns the buyer."""
    bureau.step("buyer", "verify", START_NS, "reviewer", until_ns=FOREVER_NS, changes={"owner_id": owner_id})


def test_an_owner_found_out_later_takes_back_what_self_dealing_earned() -> None:
    bureau = market()
    assert after(bureau, *sales("buyer")).score > 631
    own(bureau, "boss")
    assert after(bureau).score == 631


def test_an_identity_refused_later_leaves_earlier_ratings_as_they_were() -> None:
    bureau = market()
    before = after(bureau, *sales("buyer"), day=95)
    bureau.step("buyer", "refuse_identity", START_NS + 96 * DAY_NS)
    assert after(bureau, day=95) == before
    assert after(bureau, day=97).score < before.score


def test_good_conduct_is_added_up_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask for a grade, as often as they like."""
    added: list[int] = []

    def counted(log: Log, today: int) -> dict[str, Flow]:
        added.append(today)
        return flows_before(log, today)

    monkeypatch.setattr(bureau_module, "flows_before", counted)
    bureau = market()
    for number in range(60):
        bureau.record(fact("completed_sale", day=number))
    first = after(bureau, day=100)
    assert after(bureau, fact("completed_sale", day=100.5), day=100.9).score == first.score
    assert after(bureau, fact("not_delivered", day=100.6), day=100.9).score < first.score
    assert len(added) == 1
    own(bureau, "merchant")
    assert after(bureau, day=100.9).score < first.score
    assert len(added) == 1
    after(bureau, day=101)
    assert len(added) == 2


def test_a_grade_is_kept_until_something_moves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bureau, calls = market(), list[int]()

    def weighed(found: Weighed, subject: Subject, good: Evidence) -> Any:
        calls.append(found.weighing.today)
        return weighed_grade(found, subject, good)

    def whole(log: Log, subject: Subject, found: Evidence, as_of_ns: int, contested: Contested) -> Any:
        calls.append(as_of_ns // DAY_NS)
        return score_and_grade(log, subject, found, as_of_ns, contested)

    monkeypatch.setattr(bureau_module, "weighed_grade", weighed)
    monkeypatch.setattr(bureau_module, "score_and_grade", whole)

    def asked(day: float) -> int:
        """How often the grade was worked out so far."""
        at_ns = START_NS + int(day * DAY_NS)
        assert bureau.grade("merchant", at_ns) == bureau.rating("merchant", at_ns).grade
        return len(calls)

    assert [asked(10.1), asked(10.2), asked(10.9)] == [1, 1, 1]
    assert asked(11) == 2, "midnight"
    bureau.record(fact("completed_sale", day=11.1))
    assert asked(11.2) == 2
    bureau.record(fact("data_misuse", day=11.3))
    assert asked(11.4) == 3, "a fault"
    bureau.step("buyer", "refuse_identity", START_NS + int(11.5 * DAY_NS))
    assert asked(11.6) == 4, "a counterparty's identity"
    assert asked(11.35) == 5, "an earlier instant"


def market_of(facts: list[Conduct]) -> Bureau:
    bureau = market()
    for conduct in facts:
        bureau.record(conduct)
    return bureau


def test_no_more_is_kept_than_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bureau_module, "MOST_KEPT", 2)
    bureau, at_ns = market_of(sales("buyer")), START_NS + 100 * DAY_NS
    first = [bureau.rating(name, at_ns) for name in ("merchant", "buyer", "sister", "merchant")]
    assert (len(bureau._kept), len(bureau._flows)) == (2, 2)
    assert first[0] == first[3] == market_of(sales("buyer")).rating("merchant", at_ns)


@given(FACTS, st.lists(st.integers(0, 400), max_size=12))
def test_what_is_kept_of_a_day_never_shows(facts: list[Conduct], days: list[int]) -> None:
    """Facts of any day may come in between ratings as of any day."""
    bureau = market()
    for number, conduct in enumerate(facts):
        bureau.record(conduct)
        as_of_ns = START_NS + days[number % len(days)] * DAY_NS if days else START_NS
        fresh = Bureau.load(msgspec.json.decode(msgspec.json.encode(bureau.dump())))
        for name in ("merchant", "buyer"):
            assert bureau.rating(name, as_of_ns) == fresh.rating(name, as_of_ns)
            assert bureau.grade(name, as_of_ns) == fresh.rating(name, as_of_ns).grade


# --- snapshots ---


@given(FACTS, st.lists(st.integers(-2, 40), max_size=40))
def test_one_more_fault_of_a_day_is_weighed_as_all_of_them_anew(
    facts: list[Conduct], later: list[int]
) -> None:
    """Facts of one day, some of the days around it, as they come: the score of what is kept is that of the log."""
    bureau, subject = market(), Subject("merchant", verified=True)
    bureau.record(fact("completed_sale", day=1, amount_fen=10**7))
    for hour, conduct in zip(later, facts, strict=False):
        at_ns = START_NS + 300 * DAY_NS + hour * DAY_NS // 24
        bureau.record(msgspec.structs.replace(conduct, participant="merchant", at_ns=at_ns))
        as_of_ns = START_NS + 301 * DAY_NS - 1
        rating = Bureau.load(bureau.dump()).rating("merchant", as_of_ns)
        assert bureau.grade("merchant", as_of_ns) == rating.grade
        kept = bureau._kept["merchant"]
        if kept.weighed is not None:
            assert weighed_grade(kept.weighed, subject, kept.evidence) == (rating.score, rating.grade)


@given(FACTS)
def test_load_of_dump_is_the_same_bureau(facts: list[Conduct]) -> None:
    bureau = market()
    for conduct in facts:
        bureau.record(conduct)
    encoded = msgspec.json.encode(bureau.dump())
    again = Bureau.load(msgspec.json.decode(encoded))
    assert again == bureau
    assert (again.by_key, again.by_uscc) == (bureau.by_key, bureau.by_uscc)
    assert msgspec.json.encode(again.dump()) == encoded
    assert msgspec.msgpack.encode(again.dump()) == msgspec.msgpack.encode(bureau.dump())
    for name in ("merchant", "buyer"):
        assert again.rating(name, START_NS + 300 * DAY_NS) == bureau.rating(name, START_NS + 300 * DAY_NS)


@given(FACTS, st.integers(0, 40))
def test_a_bureau_taken_up_from_a_snapshot_goes_on_the_same(facts: list[Conduct], cut: int) -> None:
    whole, first = market(), market()
    for conduct in facts:
        whole.record(conduct)
    for conduct in facts[:cut]:
        first.record(conduct)
    second = Bureau.load(msgspec.json.decode(msgspec.json.encode(first.dump())))
    for conduct in facts[cut:]:
        second.record(conduct)
    assert second == whole
    assert second.dump() == whole.dump()


def test_a_dump_of_another_format_is_refused() -> None:
    dump = market().dump()
    dump["format"] = 99
    with pytest.raises(msgspec.ValidationError, match="format 99"):
        Bureau.load(dump)


def test_the_file_grows_with_pairs_and_days_not_with_trades() -> None:
    bureau = market()
    for number in range(1_000):
        bureau.record(fact("completed_sale", day=1, reference=f"trade-{number}"))
    row = [1_000, 10**9, 10**9, 10**9]
    assert bureau.conduct["merchant"].good == {("buyer", "completed_sale", 20_001): row}


# --- what counterparties have settled, kept for two weeks of days


class Counted(dict[Any, Any]):
    """A log that counts how often all of it was walked over."""

    walks = 0

    def items(self) -> Any:
        self.walks += 1
        return super().items()


def test_two_weeks_of_grades_walk_over_a_counterparty_once() -> None:
    bureau = bureau_of(verified("merchant"), verified("other"), verified("buyer"), verified("shop"))
    for seller in ("merchant", "other", "shop"):
        bureau.record(fact("completed_sale", "buyer", participant=seller))
        bureau.record(fact("completed_purchase", seller, participant="buyer"))
    counted = bureau.conduct["buyer"].good = Counted(bureau.conduct["buyer"].good)
    now_ns = START_NS + 40 * DAY_NS
    for name in ("merchant", "other"):
        for days in range(15):
            bureau.grade(name, now_ns - days * DAY_NS, rewarding=True)
    assert counted.walks == 1


@given(FACTS, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 900)), max_size=12))
def test_whatever_day_was_asked_about_before_the_rating_is_the_same(
    facts: list[Conduct], asked: list[tuple[int, int]]
) -> None:
    bureau, told = market(), 0
    for upto, day in asked:
        for conduct in facts[told:upto]:
            bureau.record(conduct)
        told = max(told, min(upto, len(facts)))
        as_of_ns = START_NS + day * DAY_NS
        afresh = Bureau.load(bureau.dump())
        for name in ("merchant", "buyer"):
            assert bureau.rating(name, as_of_ns) == afresh.rating(name, as_of_ns)


# --- owners of owners


def house_of(owner_of_owner: str) -> Bureau:
    """A merchant, its sister under the same top, a customer of both."""
    return bureau_of(
        verified("merchant", owner_id="holding"),
        verified("holding", owner_id=owner_of_owner),
        verified("sister", owner_id="top"),
        verified("customer"),
    )


def sold(bureau: Bureau, seller: str, buyer: str, amount_fen: int) -> None:
    for kind, one, other in (("completed_sale", seller, buyer), ("completed_purchase", buyer, seller)):
        bureau.record(fact(kind, other, amount_fen=amount_fen, participant=one))  # type: ignore[arg-type]


def test_what_a_customer_bought_of_the_owners_owners_other_company_is_no_history() -> None:
    scores = {}
    for top in ("top", "else"):
        bureau = house_of(top)
        sold(bureau, "sister", "customer", HISTORY_FEN)
        sold(bureau, "merchant", "customer", 1_000_000)
        scores[top] = bureau.rating("merchant", START_NS + 2 * DAY_NS).score
    assert scores["top"] < scores["else"]


def test_dealing_with_the_owners_owner_or_its_other_company_earns_nothing() -> None:
    bureau = house_of("top")
    bureau.admit(verified("top"))
    before = bureau.rating("merchant", START_NS + 2 * DAY_NS).score
    for other in ("sister", "top", "holding"):
        sold(bureau, "merchant", other, 1_000_000)
    assert bureau.rating("merchant", START_NS + 2 * DAY_NS).score == before


def test_those_who_own_each_other_are_one_house() -> None:
    bureau = bureau_of(
        verified("one", owner_id="other"), verified("other", owner_id="one"), verified("third")
    )
    for seller in ("one", "other"):
        sold(bureau, seller, "other" if seller == "one" else "one", 1_000_000)
        assert bureau.rating(seller, START_NS + 2 * DAY_NS).score == 631
