"""Cases: notice before effect, one objection, other deciders, correction, repair; grades set by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from credit.conduct import Conduct
from credit.remedy import CASE_LIFE, OBJECTION_DAYS
from exchange import consequence
from exchange import events as e
from exchange.debt import owe
from exchange.state import DAY_NS, Debt
from exchange.web.instant import text_of
from exchange.web.monitoring import rated
from exchange.web.outlook import outlooks
from tests.exchange.world import EVIDENCE, OPERATOR, World, only, public_key


class Court(World):
    """A world with reviewers of houses of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.must(e.FollowGrades(actor=e.VENUE))
        self.first, self.second, self.third = (self.official("reviewer") for _ in range(3))

    def opens(self, participant: str, kind: Any = "data_misuse", **fields: Any) -> e.OpenCase:
        said: dict[str, Any] = {
            "actor": self.first,
            "participant": participant,
            "kind": kind,
            "reference": "T1",
            "text": "used beyond the licence",
            "evidence_sha256": EVIDENCE,
            **fields,
        }
        return e.OpenCase(**said)

    def open(self, participant: str, kind: Any = "data_misuse") -> str:
        return only(self.must(self.opens(participant, kind)), e.CaseOpened).case

    def objects(self, case: str, **fields: Any) -> e.ObjectToCase:
        about = self.state.cases[case].participant
        return e.ObjectToCase(**{"actor": about, "case": case, "text": "it was not I", **fields})

    def decides(self, case: str, uphold: bool, actor: str = "", text: str = "read") -> e.DecideObjection:
        return e.DecideObjection(actor=actor or self.second, case=case, uphold=uphold, text=text)

    def grade(self, participant: str) -> str:
        return consequence.grade_of(self.state, participant)

    def score(self, participant: str) -> int:
        return self.state.bureau.rating(participant, self.at_ns).score

    def days(self, days: float) -> list[Any]:
        return self.until(self.at_ns + int(days * DAY_NS))


@pytest.fixture
def court() -> Iterator[Court]:
    found = Court()
    yield found
    found.check()


def test_a_case_counts_when_its_notice_is_over(court: Court) -> None:
    shop = court.merchant()
    before = court.score(shop)
    opened = court.must(court.opens(shop))
    noticed = only(opened, e.GradeNoticed)
    assert (noticed.grade, noticed.from_ns) == ("D", court.at_ns + 3 * DAY_NS)
    court.days(2.9)
    assert (court.grade(shop), court.score(shop)) == ("M", before), "nothing counts before its date"
    court.days(0.2)
    assert court.grade(shop) == "D"
    assert court.score(shop) < before
    assert court.state.cases[noticed.cause].state == "in_force"
    named = [
        reason
        for reason in court.state.bureau.rating(shop, court.at_ns).reasons
        if noticed.cause in reason.references
    ]
    assert named


def test_a_daily_look_does_not_take_a_case_back(court: Court) -> None:
    shop = court.merchant()
    court.buy(court.buyer(), court.listing(shop))
    court.open(shop, "false_statement")
    court.open(shop, "dispute_lost")
    court.open(shop, "duty_missed")
    events = court.days(6.9)
    assert not [event for event in events if isinstance(event, e.GradeNoticeLapsed)]
    court.days(0.2)
    assert court.grade(shop) in ("C", "D")


@pytest.mark.parametrize("days", [1, 10], ids=["before its effect", "after it"])
def test_an_upheld_objection_is_as_if_the_case_had_never_been(court: Court, days: float) -> None:
    shop, other = court.merchant(), court.merchant()
    case = court.open(shop)
    court.days(days)
    court.must(court.objects(case))
    court.must(court.decides(case, True))
    assert court.grade(shop) == "M", "at once, without two weeks"
    assert court.score(shop) == court.score(other)
    assert case not in court.state.cases
    court.days(30)
    assert court.grade(shop) == "M"
    assert court.state.bureau.rating(shop, court.at_ns - 25 * DAY_NS).score == court.score(other)


def test_while_it_waits_what_restricts_leaves_it_out_and_what_rewards_keeps_it(court: Court) -> None:
    shop, other = court.merchant(), court.merchant()
    case = court.open(shop, "false_statement")
    court.must(court.objects(case))
    court.days(8)
    bureau = court.state.bureau
    assert court.score(shop) == court.score(other)
    rewarding = bureau.rating(shop, court.at_ns, rewarding=True)
    assert rewarding.score < court.score(shop)
    court.must(court.decides(case, False))
    assert court.score(shop) == rewarding.score


def test_a_severe_one_that_is_contested_stays_capped_at_c(court: Court) -> None:
    shop = court.merchant()
    case = court.open(shop)
    court.must(court.objects(case))
    court.days(4)
    rating = court.state.bureau.rating(shop, court.at_ns)
    assert (rating.grade, rating.score) == ("C", 631)
    assert sum(reason.points for reason in rating.reasons) == rating.score
    assert court.grade(shop) == "C"


def test_nobody_decides_twice_in_a_case_nor_their_house(court: Court) -> None:
    shop = court.merchant(owner="X")
    case = court.open(shop, "false_statement")
    named = only(court.must(court.objects(case)), e.CaseMoved)
    assert named.decider in (court.second, court.third)
    assert court.code(court.decides(case, True, actor=court.first)) == "own_case"
    house = court.official("reviewer", owner=court.first)
    assert court.code(court.decides(case, True, actor=house)) == "own_case"
    insider = court.official("reviewer", owner="X")
    assert court.code(court.decides(case, True, actor=insider)) == "own_case"
    assert court.code(court.decides(case, True, actor=shop)) == "forbidden"
    assert court.code(court.decides(case, True, text=" ")) == "malformed"
    court.must(court.decides(case, False))
    assert court.code(court.decides(case, True, actor=court.third)) == "wrong_state"
    assert court.code(court.objects(case)) == "already_exists", "one objection a case"
    court.days(8)
    court.must(e.CorrectCase(actor=shop, case=case, evidence_sha256=EVIDENCE))
    court.days(91)
    court.must(e.AskRepair(actor=shop, case=case, commitment_sha256=EVIDENCE))
    for decided in (court.first, court.second):
        grant = e.DecideRepair(actor=decided, case=case, grant=True, text="seen")
        assert court.code(grant) == "own_case"
    court.must(e.DecideRepair(actor=court.third, case=case, grant=True, text="seen"))


def test_what_is_not_decided_by_its_date_is_upheld(court: Court) -> None:
    shop = court.merchant()
    case = court.open(shop)
    court.must(court.objects(case))
    court.days(OBJECTION_DAYS - 0.1)
    assert case in court.state.cases
    moved = [event for event in court.days(0.2) if isinstance(event, e.CaseMoved)]
    assert [(row.step, row.by) for row in moved] == [("uphold", e.VENUE)]
    assert court.grade(shop) == "M"


def test_repair_after_correction_and_the_minimum_period(court: Court) -> None:
    shop = court.merchant()
    case = court.open(shop, "data_misuse")
    ask = e.AskRepair(actor=shop, case=case, commitment_sha256=EVIDENCE)
    correct = e.CorrectCase(actor=shop, case=case, evidence_sha256=EVIDENCE)
    assert court.code(correct) == "wrong_state"
    court.days(4)
    assert court.code(ask) == "wrong_state"
    court.must(correct)
    assert court.code(correct) == "wrong_state"
    assert "minimum period" in court.refused(ask).detail
    court.days(365)
    assert court.grade(shop) == "D"
    score = court.score(shop)
    court.must(ask)
    assert court.code(ask) == "wrong_state"
    court.must(e.DecideRepair(actor=court.second, case=case, grant=False, text="not public"))
    assert court.grade(shop) == "D"
    court.must(ask)
    assert court.code(e.DecideRepair(actor=court.second, case=case, grant=True, text="seen")) == "own_case"
    court.must(e.DecideRepair(actor=court.third, case=case, grant=True, text="seen"))
    assert court.score(shop) > score
    following = consequence.coming(court.state, shop, court.at_ns)
    assert following is not None
    assert following[0] == "M"
    assert court.grade(shop) == "D", "a better grade has to last"
    court.until(following[1] - 10**9)
    assert court.grade(shop) == "D"
    court.until(following[1] + 10_000)
    assert court.grade(shop) == "M"
    assert case not in court.state.cases
    on_record = [(fault.kind, fault.reference) for fault in court.state.bureau.faults_of(shop)]
    assert on_record == [("data_misuse", case), ("corrected", case), ("repaired", case)]


def test_a_corrected_case_fades_and_leaves_memory(court: Court) -> None:
    shop = court.merchant()
    case, kept = court.open(shop, "false_statement"), court.open(shop, "duty_missed")
    court.days(8)
    court.must(e.CorrectCase(actor=shop, case=case, evidence_sha256=EVIDENCE))
    court.days(366)
    assert list(court.state.cases) == [kept], "what must be corrected does not fade before"
    court.must(e.CorrectCase(actor=shop, case=kept, evidence_sha256=EVIDENCE))
    assert not court.state.cases


def test_any_fault_of_ones_own_can_be_objected_to(court: Court) -> None:
    shop = court.merchant()
    listing = court.listing(shop, delivery_days=1, price_fen=1_000_000)
    trade = court.buy(court.buyer(), listing)
    court.days(1.1)
    bad = court.score(shop)
    against = e.ObjectToConduct(actor=shop, kind="not_delivered", reference=trade, text="it was sent")
    assert (
        court.code(e.ObjectToConduct(actor=shop, kind="dispute_lost", reference=trade, text="no"))
        == "not_found"
    )
    assert (
        court.code(e.ObjectToConduct(actor=court.buyer(), kind="not_delivered", reference=trade, text="no"))
        == "not_found"
    )
    opened = only(court.must(against), e.CaseOpened)
    assert (opened.by, opened.state, opened.fault) == (e.VENUE, "in_force", trade)
    assert court.score(shop) > bad
    assert court.code(against) == "already_exists", "once"
    court.must(court.decides(opened.case, False, actor=court.first))
    assert court.score(shop) == bad


def test_what_the_venue_saw_for_itself_can_be_repaired(court: Court) -> None:
    shop = court.merchant()
    trade = court.buy(court.buyer(), court.listing(shop, delivery_days=1, price_fen=1_000_000))
    court.days(1.1)
    bad = court.score(shop)
    correct = e.CorrectConduct(actor=shop, kind="not_delivered", reference=trade, evidence_sha256=EVIDENCE)
    assert court.code(replace(correct, kind="delivered_late")) == "not_found"
    assert court.code(replace(correct, kind="completed_sale")) == "out_of_bounds"
    case = only(court.must(correct), e.CaseOpened).case
    assert court.code(correct) == "already_exists"
    court.days(90)
    court.must(e.AskRepair(actor=shop, case=case, commitment_sha256=EVIDENCE))
    court.must(e.DecideRepair(actor=court.first, case=case, grant=True, text="seen"))
    assert court.score(shop) > bad
    assert court.score(shop) == court.score(court.merchant()), "nothing else was ever said"
    assert case not in court.state.cases


def test_who_found_a_breach_does_not_decide_the_objection(court: Court) -> None:
    shop = court.merchant()
    trade = court.buy(court.buyer(), court.listing(shop, delivery_days=1))
    court.days(1.1)
    command = e.ObjectToConduct(
        actor=shop, kind="not_delivered", reference=trade, text="it was sent", first=court.first
    )
    case = only(court.must(command), e.CaseOpened).case
    assert court.code(court.decides(case, True, actor=court.first)) == "own_case"
    court.must(court.decides(case, True))


def test_who_opens_a_case_says_why_and_is_another_house(court: Court) -> None:
    shop = court.merchant(owner="X")
    insider = court.official("reviewer", owner="X")
    unseen = court.person()
    court.must(e.GrantRole(actor=OPERATOR, participant=unseen, role="reviewer"))
    assert court.code(court.opens(shop, actor=shop)) == "forbidden"
    assert court.code(court.opens(shop, actor=insider)) == "own_case"
    assert court.code(court.opens(shop, actor=unseen)) == "not_verified"
    assert court.code(court.opens(shop, kind="delivered_late")) == "out_of_bounds"
    assert court.code(court.opens(shop, text=" ")) == "malformed"
    assert court.code(court.opens(shop, evidence_sha256="no")) == "evidence_missing"
    assert court.code(court.opens("P999")) == "not_found"


def test_a_grade_set_by_hand_needs_two_operators_and_ends(court: Court) -> None:
    shop = court.merchant()
    one, other = court.official("operator"), court.official("operator")
    until = court.at_ns + 30 * DAY_NS

    def by(operator: str, grade: Any = "B", **fields: Any) -> e.OverrideGrade:
        said = {"participant": shop, "grade": grade, "until_ns": until, "reason": "our fault", **fields}
        return e.OverrideGrade(actor=operator, **said)

    assert court.code(by(court.first)) == "forbidden"
    assert court.code(by(one, reason=" ")) == "malformed"
    assert court.code(by(one, until_ns=court.at_ns)) == "out_of_bounds"
    court.must(by(one))
    assert court.grade(shop) == "M"
    assert court.code(by(one)) == "own_case"
    court.must(by(other))
    assert court.grade(shop) == "B"
    assert court.code(by(one)) == "already_exists"
    court.days(29)
    assert court.grade(shop) == "B"
    court.days(9)
    assert court.grade(shop) == "M", "noticed a week before, like any other"
    assert not court.state.overrides


def test_an_override_that_restricts_is_noticed_and_ends_at_once(court: Court) -> None:
    shop = court.merchant()
    until = court.at_ns + 30 * DAY_NS
    for operator in (court.official("operator"), court.official("operator")):
        court.must(
            e.OverrideGrade(actor=operator, participant=shop, grade="C", until_ns=until, reason="a warning")
        )
    court.days(6.9)
    assert court.grade(shop) == "M"
    court.days(0.2)
    assert court.grade(shop) == "C"
    court.until(until)
    assert court.grade(shop) == "M"


def test_a_proposal_that_nobody_seconds_lapses(court: Court) -> None:
    shop, one = court.merchant(), court.official("operator")
    command = e.OverrideGrade(
        actor=one, participant=shop, grade="B", until_ns=court.at_ns + 30 * DAY_NS, reason="our fault"
    )
    court.must(command)
    court.days(8)
    assert not court.state.overrides


def test_the_life_of_a_case_ends() -> None:
    ends = {after for after in CASE_LIFE.values() if not any(before == after for before, _ in CASE_LIFE)}
    assert ends == {"repaired", "faded", "upheld"}


def test_a_case_whose_repair_is_refused_fades_at_its_end(court: Court) -> None:
    shop = court.merchant()
    case = court.open(shop, "false_statement")
    court.days(8)
    court.must(e.CorrectCase(actor=shop, case=case, evidence_sha256=EVIDENCE))
    court.until(court.state.cases[case].ends_ns - DAY_NS)
    court.must(e.AskRepair(actor=shop, case=case, commitment_sha256=EVIDENCE))
    court.days(2)
    assert case in court.state.cases, "a decision waits"
    decided = court.must(e.DecideRepair(actor=court.second, case=case, grant=False, text="not public"))
    assert [row.step for row in decided.events if isinstance(row, e.CaseMoved)] == ["refuse_repair", "fade"]
    assert not court.state.cases


def test_an_objection_waits_for_the_decision_about_the_repair(court: Court) -> None:
    """Repaired, the case is over, and an objection in it would hold the grade at C for ever."""
    shop = court.merchant()
    case = court.open(shop)
    court.days(4)
    court.must(e.CorrectCase(actor=shop, case=case, evidence_sha256=EVIDENCE))
    court.days(366)
    court.must(e.AskRepair(actor=shop, case=case, commitment_sha256=EVIDENCE))
    assert court.code(court.objects(case)) == "wrong_state"
    anew = e.ObjectToConduct(actor=shop, kind="data_misuse", reference=case, text="it was not I")
    assert court.code(anew) == "wrong_state"
    court.must(e.DecideRepair(actor=court.second, case=case, grant=False, text="not public"))
    court.must(court.objects(case))
    court.must(court.decides(case, True, actor=court.third))
    assert court.grade(shop) == "M"


def test_nobody_rises_by_objecting_to_something_else(court: Court) -> None:
    shop = court.merchant()
    case = court.open(shop)
    listing = court.listing(shop, price_fen=100)
    trade = court.buy(court.buyer(), listing)
    court.deliver(trade)
    court.reject(trade)
    court.days(4)
    assert court.grade(shop) == "D"
    court.must(e.CorrectCase(actor=shop, case=case, evidence_sha256=EVIDENCE))
    court.days(366)
    court.must(e.AskRepair(actor=shop, case=case, commitment_sha256=EVIDENCE))
    court.must(e.DecideRepair(actor=court.second, case=case, grant=True, text="seen"))
    assert (court.grade(shop), court.state.bureau.grade(shop, court.at_ns)) == ("D", "M"), "it has to last"
    trifle = e.ObjectToConduct(actor=shop, kind="rejected_delivery", reference=trade, text="it was complete")
    court.must(trifle)
    assert court.grade(shop) == "D"
    court.days(15)
    assert court.grade(shop) == "M"


def test_what_is_still_owed_is_not_put_right_by_a_paper(court: Court) -> None:
    shop, buyer = court.merchant(), court.buyer()
    trade = court.buy(buyer, court.listing(shop))
    court.deliver(trade)
    entitlement = court.state.trades[trade].entitlement
    court.accept(trade)
    revoke = e.RevokeEntitlement(
        actor=court.reviewer, entitlement=entitlement, reason="by a court", evidence_sha256=EVIDENCE
    )
    duty = next(row for row in court.must(revoke).events if isinstance(row, e.DutyOpened)).duty
    court.until(court.state.duties[duty].due_ns)
    assert court.state.duties[duty].state == "broken"
    correct = e.CorrectConduct(actor=buyer, kind="duty_missed", reference=duty, evidence_sha256=EVIDENCE)
    assert "prove it" in court.refused(correct).detail
    court.must(e.ProveDuty(actor=buyer, duty=duty, evidence_sha256=EVIDENCE))
    if duty in court.state.duties:
        court.must(e.DecideDuty(actor=court.reviewer, duty=duty, step="accept"))
    case = only(court.must(correct), e.CaseOpened).case
    assert court.state.cases[case].state == "corrected"


def test_a_default_is_put_right_when_it_is_paid(court: Court) -> None:
    buyer = court.buyer(cash_fen=0)
    for state in (court.state, court.twin):
        state.bureau.record(Conduct("payment_default", buyer, court.first, 1_000_000, court.at_ns, "B1"))
        debt = {"debtor": buyer, "creditor": court.first, "amount_fen": 1_000, "left_fen": 1_000}
        owe(state, Debt(id="Q1", trade="B1", since_ns=court.at_ns, **debt))  # type: ignore[arg-type]
    correct = e.CorrectConduct(actor=buyer, kind="payment_default", reference="B1", evidence_sha256=EVIDENCE)
    assert "not paid" in court.refused(correct).detail
    court.pay_in(buyer, 1_000)
    court.must(correct)


def fails(court: Court, shop: str) -> None:
    """A sale that is not delivered: graded C, noticed at midnight for a week later."""
    court.buy(court.buyer(), court.listing(shop, delivery_days=1, price_fen=1_000_000))
    court.until(court.at_ns + DAY_NS + 1)
    court.until((court.at_ns // DAY_NS + 1) * DAY_NS)


def test_what_was_upheld_brings_nothing_else_forward(court: Court) -> None:
    shop = court.merchant()
    fails(court, shop)
    graded, from_ns = court.state.graded[shop].notices[0]
    assert graded == "C"
    court.days(1)
    case = court.open(shop)
    assert [grade for grade, _ in court.state.graded[shop].notices] == ["C", "D"]
    court.must(court.objects(case))
    court.must(court.decides(case, True))
    assert court.state.graded[shop].notices == (("C", from_ns),)
    court.until(from_ns - 10_000)
    assert court.grade(shop) == "M", "not at the date of what was upheld"
    court.until(from_ns)
    assert court.grade(shop) == "C"


def test_an_override_that_is_only_noticed_keeps_nobody_down(court: Court) -> None:
    shop = court.merchant()
    case, until = court.open(shop), court.at_ns + 60 * DAY_NS
    court.days(4)
    court.must(court.objects(case))
    assert court.grade(shop) == "C"
    for operator in (court.official("operator"), court.official("operator")):
        court.must(
            e.OverrideGrade(actor=operator, participant=shop, grade="D", until_ns=until, reason="a warning")
        )
    noticed = court.state.graded[shop].notices
    court.must(court.decides(case, True))
    assert court.grade(shop) == "M", "at once: what operators have set is not in force yet"
    assert court.state.graded[shop].notices == noticed
    court.days(6.9)
    assert court.grade(shop) == "M"
    court.days(0.2)
    assert court.grade(shop) == "D"
    court.until(until)
    assert court.grade(shop) == "M"


def test_the_outlook_says_what_comes_back_and_when(court: Court) -> None:
    """Of faults that share kind and reference each by itself: an objection is to one of them."""
    buyer, first_ns = court.buyer(), court.at_ns - 20 * DAY_NS
    for day in range(3):
        at_ns = first_ns + day * DAY_NS
        for state in (court.state, court.twin):
            state.bureau.record(Conduct("refused_unlawful_order", buyer, "", 0, at_ns, "L1"))
    before = court.score(buyer)
    newest = next(
        row for row in outlooks(court.state, buyer, court.at_ns) if row.effective_at == text_of(at_ns)
    )
    objection = e.ObjectToConduct(actor=buyer, kind="refused_unlawful_order", reference="L1", text="no")
    case = only(court.must(objection), e.CaseOpened).case
    court.must(court.decides(case, True))
    assert court.score(buyer) - before == newest.points
    fades = {row.fades_at for row in outlooks(court.state, buyer, court.at_ns)}
    assert fades == {text_of((first_ns // DAY_NS + day + 90) * DAY_NS) for day in range(2)}


def test_what_was_upheld_is_no_bad_outcome(court: Court) -> None:
    shop, other = court.merchant(), court.merchant()
    case = court.open(shop)
    court.open(other)
    court.days(4)
    court.must(court.objects(case))
    court.must(court.decides(case, True))
    court.days(1)
    assert [rated(court.state, name, court.at_ns).bad for name in (shop, other)] == [False, True]


# ---- whoever follows has the faults of the one before


def test_a_merger_takes_the_faults_with_it_and_the_heir_may_object(court: Court) -> None:
    shop, heir, other = court.merchant(), court.merchant(), court.merchant()
    court.open(shop)
    court.days(4)
    assert court.grade(shop) == "D"
    court.must(e.Depart(actor=shop, kind="merger", reason="absorbed", successor=heir))
    passed = court.must(e.AcceptDeparture(actor=heir, participant=shop))
    assert only(passed, e.ConductInherited).predecessor == shop
    assert court.score(heir) == court.score(shop) < court.score(other)
    court.days(9)
    assert court.grade(heir) == "D", "after a notice of its own"
    fault = court.state.bureau.faults_of(heir)[0]
    said = e.ObjectToConduct(actor=heir, kind=fault.kind, reference=fault.reference, text="it never was")
    case = only(court.must(said), e.CaseOpened).case
    court.must(court.decides(case, True))
    assert court.score(heir) == court.score(other)


def test_nobody_takes_over_while_a_case_is_decided(court: Court) -> None:
    shop, heir = court.merchant(), court.merchant()
    case = court.open(shop)
    court.must(court.objects(case))
    court.must(e.Depart(actor=shop, kind="merger", reason="absorbed", successor=heir))
    refusal = court.refused(e.AcceptDeparture(actor=heir, participant=shop))
    assert f"case {case}" in refusal.detail
    court.must(court.decides(case, True))
    court.must(e.AcceptDeparture(actor=heir, participant=shop))
    assert court.score(heir) == court.score(shop) == court.score(court.merchant())


def test_an_objection_that_was_upheld_stays_so_for_the_heir(court: Court) -> None:
    shop, heir = court.merchant(), court.merchant()
    for uphold in (True, False):
        case = court.open(shop, "false_statement")
        court.must(court.objects(case))
        court.must(court.decides(case, uphold))
    court.days(10)
    court.must(e.Depart(actor=shop, kind="merger", reason="absorbed", successor=heir))
    court.must(e.AcceptDeparture(actor=heir, participant=shop))
    assert court.score(heir) == court.score(shop)
    assert len(court.state.bureau.standing_faults(heir)) == 1


def test_who_comes_back_in_a_new_account_has_the_faults_of_the_old_one(court: Court) -> None:
    shop = court.merchant()
    court.open(shop)
    court.days(4)
    court.must(e.SetStatus(actor=OPERATOR, participant=shop, step="close", reason="it went away"))
    uscc = court.state.bureau.participants[shop].uscc
    register = e.RegisterParticipant(
        actor="", legal_name="back again", public_key=public_key("back"), roles=("merchant",), uscc=uscc
    )
    again = only(court.must(register), e.ParticipantRegistered).participant
    assert court.state.bureau.faults_of(again) == [], "anybody may claim a code"
    court.verify(again)
    assert [fault.kind for fault in court.state.bureau.faults_of(again)] == ["data_misuse"]
    assert court.state.bureau.grade(again, court.at_ns) == "D"
