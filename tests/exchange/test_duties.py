"""Duties after the trade: what opens them, who proves them, what a missed date costs, and what another calendar moves."""

import datetime
from typing import Any, Final, get_args

import pytest
from msgspec.structs import replace

from clearing.calendar import PACKAGE, day_of, end_of
from clearing.duties import CLOSED, DUTY_LIFE, KINDS, DutyState, DutyStep, term_of
from clearing.registers import IntellectualProperty
from exchange import events as e
from exchange.state import DAY_NS
from tests.exchange.world import EVIDENCE, OPERATOR, START_NS, World, consent_of, kinds, only, personal

CONSENT: Final = consent_of()


class Sold:
    """A licence of 30 days, delivered and paid; of personal data where asked."""

    def __init__(
        self, *, of_persons: bool = False, ip_registered: bool = False, accepted: bool = True
    ) -> None:
        world = self.world = World()
        self.merchant, self.buyer = world.merchant(), world.buyer()
        parts: dict[str, Any] = {"classification": personal(), "consent": CONSENT} if of_persons else {}
        self.product = world.product(self.merchant, **parts)
        if ip_registered:
            world.must(
                e.EnterRecord(
                    actor=world.reviewer, product=self.product, evidence_sha256=EVIDENCE, reason="the certificate",
                    facts=IntellectualProperty(number="BJ-1", authority="Beijing"),
                )
            )  # fmt: skip
        self.listing = world.listing(self.merchant, self.product)
        self.trade = world.buy(self.buyer, self.listing)
        self.entitlement = world.state.trades[self.trade].entitlement
        world.deliver(self.trade)
        if accepted:
            world.accept(self.trade)

    def owed(self, kind: str) -> Any:
        """The one open duty of this kind."""
        (found,) = (row for row in self.world.state.duties.values() if row.kind == kind)
        return found

    def end(self) -> e.DutyOpened:
        """The term runs out; what follows for the data."""
        row = self.world.state.entitlements[self.entitlement]
        outcome = self.world.tick_at(row.until_ns + 1)
        while "EntitlementEnded" not in kinds(outcome):
            outcome = self.world.tick()
        return only(outcome, e.DutyOpened)

    def prove(self, duty: str, actor: str = "", evidence: str = EVIDENCE) -> e.ProveDuty:
        return e.ProveDuty(actor=actor or self.buyer, duty=duty, evidence_sha256=evidence)

    def decide(self, duty: str, step: str, actor: str = "", reason: str = "looked at") -> e.DecideDuty:
        return e.DecideDuty(
            actor=actor or self.world.reviewer, duty=duty, step=step, reason=reason, evidence_sha256=EVIDENCE
        )

    def find(self, rule: str, **fields: Any) -> e.FindBreach:
        whole: dict[str, Any] = {
            "actor": self.world.reviewer,
            "rule": rule,
            "trade": self.trade,
            "listing": self.listing,
            "buyer": self.buyer,
            "seller": self.merchant,
            "purpose": "market_analysis",
            "territory": "CN",
            "entitlement": self.entitlement,
            "evidence_sha256": EVIDENCE,
            "reason": "the access log shows it",
            **fields,
        }
        return e.FindBreach(**whole)

    def conduct(self, participant: str) -> list[str]:
        return [row.kind for row in self.world.state.bureau.conduct[participant].faults.values()]


def overdue(sold: Sold, duty: str) -> Any:
    """The tick that comes just after the duty's date."""
    world, due_ns = sold.world, sold.world.state.duties[duty].due_ns
    world.at_ns = due_ns - DAY_NS
    world.tick()
    return world.tick_at(due_ns + 1)


# ---- deletion after the term (P03)


def test_what_was_delivered_is_deleted_when_its_term_ends() -> None:
    sold = Sold()
    opened = sold.end()
    assert (opened.kind, opened.rule, opened.participant) == ("deletion", "P03", sold.buyer)
    assert (opened.trade, opened.entitlement, opened.cause) == (sold.trade, sold.entitlement, "expired")
    day, _ = PACKAGE.add_working_days(day_of(sold.world.at_ns), 10)
    assert opened.due_ns == end_of(day)
    sold.world.check()


def test_of_ordinary_data_the_buyers_evidence_is_enough() -> None:
    sold = Sold()
    duty = sold.end().duty
    moved = sold.world.must(sold.prove(duty)).events
    assert [(event.step, event.state, event.by) for event in moved] == [  # type: ignore[attr-defined]
        ("prove", "offered", sold.buyer),
        ("accept", "done", e.VENUE),
    ]
    assert duty not in sold.world.state.duties
    sold.world.check()


def test_of_personal_data_a_reviewer_looks_at_it() -> None:
    """并验证数据删除操作的可信性 (深圳卫生健康办法 25)."""
    sold = Sold(of_persons=True)
    duty = sold.end().duty
    world = sold.world
    assert world.code(sold.prove(duty, actor=sold.merchant)) == "not_found"
    assert world.code(sold.prove(duty, evidence="")) == "evidence_missing"
    assert only(world.must(sold.prove(duty)), e.DutyMoved).state == "offered"
    assert world.code(sold.prove(duty)) == "wrong_state"
    assert world.code(sold.decide(duty, "accept", actor=sold.buyer)) == "forbidden"
    assert only(world.must(sold.decide(duty, "accept")), e.DutyMoved).state == "done"
    world.check()


def test_nobody_accepts_in_their_own_case() -> None:
    sold = Sold(of_persons=True)
    duty = sold.end().duty
    sold.world.must(sold.prove(duty))
    sold.world.must(e.GrantRole(actor=OPERATOR, participant=sold.buyer, role="reviewer"))
    assert sold.world.code(sold.decide(duty, "accept", actor=sold.buyer)) == "own_case"


def test_a_date_that_passes_is_a_breach_with_its_rule_and_goes_to_credit() -> None:
    sold = Sold()
    duty = sold.end().duty
    broken = only(overdue(sold, duty), e.DutyBroken)
    assert (broken.violated, broken.step, broken.conduct) == (("P03",), "miss", "duty_missed")
    assert broken.facts_sha256
    assert sold.conduct(sold.buyer) == ["duty_missed"]
    sold.world.check()


def test_the_last_instant_of_the_day_is_in_time() -> None:
    sold = Sold()
    duty = sold.end().duty
    due_ns = sold.world.state.duties[duty].due_ns
    sold.world.at_ns = due_ns - 1_000
    sold.world.must(sold.prove(duty))
    assert duty not in sold.world.state.duties
    assert "DutyBroken" not in kinds(sold.world.tick_at(due_ns + 1))


def test_the_debtor_is_reminded_three_working_days_before() -> None:
    sold = Sold()
    opened = sold.end()
    day, _ = PACKAGE.add_working_days(day_of(sold.world.at_ns), 7)
    assert opened.remind_ns == end_of(day)
    moved = only(sold.world.tick_at(opened.remind_ns + 1), e.DutyMoved)
    assert (moved.step, moved.state, moved.participant) == ("remind", "reminded", sold.buyer)
    sold.world.check()


def test_a_refused_proof_is_owed_again_and_after_its_date_broken() -> None:
    sold = Sold(of_persons=True)
    duty = sold.end().duty
    world = sold.world
    world.must(sold.prove(duty))
    assert world.code(sold.decide(duty, "refuse", reason="")) == "malformed"
    assert only(world.must(sold.decide(duty, "refuse")), e.DutyMoved).state == "reminded"
    world.must(sold.prove(duty))
    assert "DutyBroken" not in kinds(overdue(sold, duty))
    world.check()
    assert kinds(world.must(sold.decide(duty, "refuse"))) == ["DutyMoved", "DutyBroken"]
    world.check()


def test_what_was_missed_is_redressed_when_it_is_proven_and_accepted() -> None:
    sold = Sold()
    duty = sold.end().duty
    overdue(sold, duty)
    assert only(sold.world.must(sold.prove(duty)), e.DutyMoved).state == "late"
    assert only(sold.world.must(sold.decide(duty, "accept")), e.DutyMoved).state == "redressed"
    assert duty not in sold.world.state.duties
    sold.world.check()


def test_a_reviewer_waives_with_evidence() -> None:
    sold = Sold()
    duty = sold.end().duty
    waive = sold.decide(duty, "waive")
    missing = e.DecideDuty(actor=sold.world.reviewer, duty=duty, step="waive", reason="the law keeps it")
    assert sold.world.code(missing) == "evidence_missing"
    assert only(sold.world.must(waive), e.DutyMoved).state == "waived"
    assert "DutyBroken" not in kinds(sold.world.tick_at(sold.world.at_ns + 40 * DAY_NS))
    sold.world.check()


def test_what_is_renewed_need_not_be_deleted() -> None:
    sold = Sold()
    world = sold.world
    settled = only(world.must(e.RenewEntitlement(actor=sold.buyer, entitlement=sold.entitlement)), e.Settled)
    world.deliver(settled.trade)
    world.accept(settled.trade)
    world.at_ns = world.state.entitlements[sold.entitlement].until_ns
    outcome = world.tick()
    assert only(outcome, e.EntitlementEnded).step == "renew"
    assert "DutyOpened" not in kinds(outcome)
    world.check()


def test_when_a_renewal_lapses_the_old_delivery_is_deleted() -> None:
    sold = Sold()
    world = sold.world
    until_ns = world.state.entitlements[sold.entitlement].until_ns
    world.at_ns = until_ns - DAY_NS
    world.tick()
    trade = only(
        world.must(e.RenewEntitlement(actor=sold.buyer, entitlement=sold.entitlement)), e.Settled
    ).trade
    world.tick_at(until_ns + 1)
    opened = only(world.tick_at(world.state.trades[trade].due_ns + 1), e.DutyOpened)
    assert (opened.kind, opened.trade, opened.entitlement) == ("deletion", sold.trade, sold.entitlement)
    world.check()


def test_a_refund_after_a_delivery_takes_the_data_back() -> None:
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    listing = world.listing(shop)
    trade, empty_handed = world.buy(buyer, listing), world.buy(buyer, listing)
    world.deliver(trade)
    world.reject(trade)
    world.deliver(trade)
    opened = only(world.reject(trade), e.DutyOpened)
    assert (opened.kind, opened.cause, opened.participant) == ("deletion", "refunded", buyer)
    outcome = world.tick_at(world.state.trades[empty_handed].due_ns + 1)
    assert "Refunded" in kinds(outcome)
    assert "DutyOpened" not in kinds(outcome)
    world.check()


# ---- filing (P01)


def test_a_registered_right_is_filed_within_ten_working_days() -> None:
    sold = Sold(ip_registered=True)
    duty = sold.owed("filing")
    assert (duty.rule, duty.participant, duty.reviewed) == ("P01", sold.merchant, True)
    assert PACKAGE.working_days_between(day_of(duty.from_ns), day_of(duty.due_ns)) == 10
    broken = only(overdue(sold, duty.id), e.DutyBroken)
    assert broken.violated == ("P01",)
    assert sold.conduct(sold.merchant) == ["duty_missed"]
    sold.world.check()


def test_filed_in_time_it_is_done_and_without_a_certificate_nothing_is_owed() -> None:
    """The registry's receipt is looked at by a reviewer: 64 hex digits are none."""
    sold = Sold(ip_registered=True)
    duty = sold.owed("filing").id
    assert sold.world.must(sold.prove(duty, actor=sold.merchant)).events[-1].state == "offered"  # type: ignore[attr-defined]
    assert only(sold.world.must(sold.decide(duty, "accept")), e.DutyMoved).state == "done"
    assert not [row for row in Sold().world.state.duties.values() if row.kind == "filing"]


def test_the_instant_after_the_date_is_late_on_whatever_day_it_falls() -> None:
    """A term that ends on a Friday, or before a holiday, is over on the Saturday."""
    sold = Sold(ip_registered=True)
    world = sold.world
    for _ in range(6):
        world.at_ns += DAY_NS
        trade = world.buy(sold.buyer, sold.listing)
        world.deliver(trade)
        world.accept(trade)
    filings = {row.id: row.due_ns for row in world.state.duties.values() if row.kind == "filing"}
    assert any(not PACKAGE.is_working_day(day_of(due_ns + 1)) for due_ns in filings.values())
    broken = []
    for due_ns in sorted(set(filings.values())):
        broken += [event for event in world.tick_at(due_ns + 1).events if isinstance(event, e.DutyBroken)]
    assert {event.duty for event in broken} == set(filings)


def test_a_reversed_trade_is_not_filed() -> None:
    sold = Sold(ip_registered=True)
    world, second = sold.world, sold.world.official("operator")
    world.verify(OPERATOR)
    command = e.ReverseTransaction(
        actor=OPERATOR, transaction=sold.trade, reason="a test", legs=((sold.buyer, sold.merchant, "CNY", 1),)
    )
    world.must(command)
    moved = only(world.must(replace(command, actor=second)), e.DutyMoved)
    assert (moved.kind, moved.state) == ("filing", "waived")
    assert not [row for row in world.state.duties.values() if row.kind == "filing"]


def test_when_no_rule_asks_for_it_any_more_nobody_is_blamed() -> None:
    """The registration has ended before the date: P01 does not apply, and the duty is waived with that reason."""
    sold = Sold(ip_registered=True)
    world, duty = sold.world, sold.owed("filing").id
    (entry,) = world.state.registers.entries.values()
    world.must(
        e.EnterRecord(
            actor=world.reviewer, product=sold.product, evidence_sha256=EVIDENCE, reason="entered in error",
            facts=entry.facts, corrects=entry.id, void=True,
        )
    )  # fmt: skip
    moved = only(overdue(sold, duty), e.DutyMoved)
    assert (moved.state, moved.by) == ("waived", e.VENUE)
    assert "P01" in moved.reason
    assert sold.conduct(sold.merchant) == []
    world.check()


# ---- consent withdrawn (C05, P05)


def test_withdrawn_after_settlement_each_buyer_with_the_data_stops() -> None:
    sold = Sold(of_persons=True)
    world = sold.world
    other = world.buyer()
    waiting = world.buy(other, sold.listing)
    gone = world.buyer()
    world.deliver(world.buy(gone, sold.listing))
    outcome = world.record(sold.product, "consent_withdrawn")
    opened = [event for event in outcome.events if isinstance(event, e.DutyOpened)]
    assert [(row.kind, row.participant) for row in opened] == [("stop", sold.buyer), ("stop", gone)]
    assert sold.world.state.trades[waiting].state == "settled", "the trade stands"
    world.check()


def disclaim(sold: Sold) -> None:
    """The merchant calls its data nobody's, and no reviewer has looked at that."""
    world = sold.world
    nobodys = replace(world.state.products[sold.product].classification, pi_state="none")
    world.must(
        e.AmendFacts(
            actor=sold.merchant, product=sold.product, evidence_sha256=EVIDENCE, classification=nobodys
        )
    )


def test_what_was_sold_as_persons_data_stays_so_whatever_is_declared_later() -> None:
    sold = Sold(of_persons=True)
    world = sold.world
    waiting = world.buy(sold.buyer, sold.listing)
    disclaim(sold)
    world.record(sold.product, "consent_withdrawn")
    assert sold.owed("stop").participant == sold.buyer
    late = e.Deliver(
        actor=sold.merchant,
        trade=waiting,
        delivery=e.Delivery(kind="file", sha256="cd" * 32, size=7, name="r"),
    )
    assert world.code(late) == "unlawful"
    world.check()


def test_records_are_kept_of_a_sale_of_persons_data_whatever_is_declared_before_its_end() -> None:
    sold = Sold(of_persons=True)
    world = sold.world
    trade = world.buy(sold.buyer, sold.listing)
    world.deliver(trade)
    disclaim(sold)
    opened = only(world.must(e.AcceptDelivery(actor=sold.buyer, trade=trade)), e.DutyOpened)
    assert (opened.kind, opened.trade) == ("records", trade)
    world.check()
    for row in list(world.state.entitlements.values()):
        world.tick_at(row.until_ns + 1)
    assert world.state.protected == {}, "nothing is kept beyond the licence"


def test_an_unproven_stop_is_a_breach_of_its_article() -> None:
    sold = Sold(of_persons=True)
    sold.world.record(sold.product, "consent_withdrawn")
    duty = sold.owed("stop")
    assert duty.reviewed
    assert only(overdue(sold, duty.id), e.DutyBroken).violated == ("P05",)
    sold.world.check()


def test_withdrawn_before_settlement_nothing_settles() -> None:
    """A hold is refused, an order is refused, and what was settled is not delivered until the records are out."""
    sold = Sold(of_persons=True)
    world = sold.world
    settled = world.buy(sold.buyer, sold.listing)
    general = consent_of(basis="general_consent")
    world.must(
        e.AmendFacts(actor=sold.merchant, product=sold.product, evidence_sha256=EVIDENCE, consent=general)
    )
    world.must(
        e.ConfirmFacts(
            actor=world.reviewer,
            product=sold.product,
            revision=world.state.products[sold.product].revision,
            groups=("consent",),
            evidence={"consent": EVIDENCE},
        )
    )
    held = only(world.order(sold.buyer, sold.listing), e.Held).trade
    released = only(world.record(sold.product, "consent_withdrawn"), e.HoldReleased)
    assert (released.trade, released.reason) == (held, "refused")
    assert "C05" in released.violated
    refusal = world.order(sold.buyer, sold.listing).refusal
    assert refusal is not None
    assert "C05" in refusal.violated
    deliver = e.Deliver(
        actor=sold.merchant, trade=settled, delivery=e.Delivery(kind="address", url="https://data.example")
    )
    refused = world.refused(deliver)
    assert (refused.code.name, refused.violated) == ("unlawful", ("C05",))
    world.record(sold.product, "consent_removed")
    world.must(deliver)
    world.check()


def test_holders_of_units_stop_when_consent_is_withdrawn() -> None:
    """Each unit is a licence: whoever has some of them now stops, whoever has sold them all does not."""
    world = World()
    shop, holder, gone = world.merchant(), world.buyer(), world.merchant(10**9)
    product = world.product(shop, classification=personal(), consent=CONSENT)
    book = world.book(shop, product)
    world.ask(shop, book, 10, 100)
    for reader in (gone, holder):
        only(world.bid(reader, book, 5, 100), e.Settled)
    world.wait(days=14)
    world.ask(gone, book, 5, 100)
    only(world.bid(holder, book, 5, 100), e.Settled)
    opened = only(world.record(product, "consent_withdrawn"), e.DutyOpened)
    assert (opened.kind, opened.participant, opened.seller, opened.listing) == ("stop", holder, shop, book)
    world.check()
    prove = e.ProveDuty(actor=holder, duty=opened.duty, evidence_sha256=EVIDENCE)
    assert only(world.must(prove), e.DutyMoved).state == "offered"


def test_a_holder_who_does_not_stop_is_found_in_breach() -> None:
    world = World()
    shop, holder = world.merchant(), world.buyer()
    product = world.product(shop, classification=personal(), consent=CONSENT)
    book = world.book(shop, product)
    world.ask(shop, book, 10, 100)
    world.bid(holder, book, 5, 100)
    opened = only(world.record(product, "consent_withdrawn"), e.DutyOpened)
    broken = only(world.tick_at(opened.due_ns + 1), e.DutyBroken)
    assert (broken.violated, broken.participant) == (("P05",), holder)
    world.check()


def test_withdrawn_while_orders_rest_nothing_fills() -> None:
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop, classification=personal(), consent=CONSENT)
    book = world.book(shop, product)
    world.ask(shop, book, 10, 100)
    world.record(product, "consent_withdrawn")
    outcome = world.bid(buyer, book, 5, 100)
    assert outcome.refusal is not None
    assert "C05" in outcome.refusal.violated
    world.check()


# ---- use and records (P04, P02)


def test_a_reviewer_finds_another_use_than_agreed() -> None:
    sold = Sold()
    world = sold.world
    assert world.code(sold.find("P04", observed="market_analysis")) == "wrong_state"
    assert world.code(sold.find("P04", observed="advertising", actor=sold.merchant)) == "forbidden"
    assert world.code(sold.find("P01")) == "malformed"
    outcome = world.must(sold.find("P04", observed="advertising"))
    assert kinds(outcome) == ["DutyOpened", "DutyBroken"]
    broken = only(outcome, e.DutyBroken)
    assert (broken.violated, broken.by, broken.participant) == (("P04",), world.reviewer, sold.buyer)
    assert sold.conduct(sold.buyer) == ["data_misuse"]
    assert world.code(sold.find("P04", observed="advertising")) == "already_exists"
    world.check()


def test_records_of_personal_data_are_kept_for_three_years() -> None:
    sold = Sold(of_persons=True)
    duty = sold.owed("records")
    assert duty.participant == sold.merchant
    assert sold.world.code(sold.prove(duty.id, actor=sold.merchant)) == "wrong_state"
    start = day_of(duty.from_ns)
    assert day_of(duty.due_ns) == start.replace(year=start.year + 3)
    sold.world.at_ns = duty.due_ns
    while duty.id in sold.world.state.duties:
        outcome = sold.world.tick()
    assert ("fulfil", "done") in [
        (event.step, event.state) for event in outcome.events if isinstance(event, e.DutyMoved)
    ]


def test_records_gone_after_a_year_are_a_breach() -> None:
    sold = Sold(of_persons=True)
    assert sold.world.code(sold.find("P02", kept_years=3)) == "wrong_state"
    broken = only(sold.world.must(sold.find("P02", kept_years=1)), e.DutyBroken)
    assert (broken.duty, broken.violated) == (sold.owed("records").id, ("P02",))
    sold.world.check()


# ---- the calendar


UNPUBLISHED: Final = PACKAGE.published_until() + 1


def december() -> int:
    """Ten working days from here end in the first year without a notice."""
    day = datetime.datetime(UNPUBLISHED - 1, 12, 24, 2, tzinfo=datetime.UTC)
    return int(day.timestamp()) * 1_000_000_000


def test_a_date_in_a_year_without_its_notice_is_provisional_and_moves_when_it_is_out() -> None:
    sold = Sold.__new__(Sold)
    world = sold.world = World()
    world.at_ns = december() - 30 * DAY_NS
    sold.merchant, sold.buyer = world.merchant(), world.buyer()
    sold.listing = world.listing(sold.merchant)
    sold.trade = world.buy(sold.buyer, sold.listing)
    sold.entitlement = world.state.trades[sold.trade].entitlement
    world.deliver(sold.trade)
    world.accept(sold.trade)
    opened = sold.end()
    assert opened.provisional
    due = day_of(opened.due_ns)
    assert due.year == UNPUBLISHED
    notice = e.PublishYear(
        actor=OPERATOR, year=UNPUBLISHED, off=(due.isoformat(),), worked=(), evidence_sha256=EVIDENCE
    )
    assert world.code(e.PublishYear(**{**as_fields(notice), "actor": sold.merchant})) == "forbidden"
    assert world.code(e.PublishYear(**{**as_fields(notice), "off": ("1 May",)})) == "malformed"
    assert world.code(e.PublishYear(**{**as_fields(notice), "off": ()})) == "malformed"
    moved = only(world.must(notice), e.DutyRescheduled)
    assert moved.duty == opened.duty
    assert not moved.provisional
    assert (
        moved.due_ns
        == term_of(
            KINDS["deletion"], sold.world.state.duties[opened.duty].from_ns, world.state.calendar
        ).due_ns
    )
    assert moved.due_ns != opened.due_ns
    world.check()
    assert "DutyBroken" not in kinds(world.tick_at(min(opened.due_ns, moved.due_ns - DAY_NS) + 1))
    only(world.tick_at(moved.due_ns + 1), e.DutyBroken)
    world.check()


def as_fields(command: e.PublishYear) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__ if name != "key"}


def test_only_the_venue_counts_again() -> None:
    world = World()
    assert world.code(e.RecountDuties(actor=OPERATOR)) == "forbidden"
    assert kinds(world.must(e.RecountDuties(actor=e.VENUE))) == []


# ---- the table


def test_every_state_and_step_is_in_the_table_and_a_closed_one_is_left_by_none() -> None:
    steps = sorted({step for _, step in DUTY_LIFE})
    assert steps == sorted(get_args(DutyStep))
    assert sorted({"scheduled", *DUTY_LIFE.values()}) == sorted(get_args(DutyState))
    assert not [state for state, _ in DUTY_LIFE if state in CLOSED]


def test_the_twenty_ninth_of_february_ends_with_its_month() -> None:
    leap = datetime.datetime(2028, 2, 29, 4, tzinfo=datetime.UTC)
    due = term_of(KINDS["records"], int(leap.timestamp()) * 1_000_000_000, PACKAGE).due_ns
    assert day_of(due) == datetime.date(2031, 2, 28)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_words_and_clause(kind: str) -> None:
    row = KINDS[kind]  # type: ignore[index]
    assert row.zh
    assert row.en
    assert "第" in row.clause
    assert term_of(row, START_NS, PACKAGE).due_ns > START_NS or not (row.working_days or row.years)
