"""What holds for any facts: evidence helps, silence never does, and a verdict put together from parts is the verdict.

The whole rulebook is asked, in every phase, about cases that start from a lawful one and have some facts changed.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearing import notrade
from clearing.notrade import PHASES, REGISTERS, Facts, Phase, Register, Rulebook, Verdict

RULEBOOK = notrade.load()
READ = sorted({fact for rule in RULEBOOK.rules.values() for fact in rule.facts} - {"now"})
BASES = list(RULEBOOK.bases)
DAY_NS = 86_400_000_000_000
OPEN: dict[str, list[Any]] = {
    "text": [
        "CN",
        "HK",
        "jiangxi",
        "shenzhen",
        "general",
        "health",
        "transport",
        "market_analysis",
        "port-group",
    ],
    "number": [0, 1, 4, 5, 6, 35, 36, 95, 200, 201, 9_999, 10_000, 99_999, 100_000, 1_000_000, 10**12],
    "set": [[], ["CN"], ["market_analysis", "risk_control"]],
    "time": ["2020-01-01T00:00:00Z", "2026-06-15T09:30:00+08:00", "2040-01-01T00:00:00Z"],
}


def values_of(path: str) -> list[Any]:
    kind = notrade.VOCABULARY[path]
    if kind.name == "truth":
        return [True, False]
    if kind.name == "choice":
        return list(kind.values)
    return [list(kind.values), []] if kind.values else OPEN[kind.name]


def facts(base: str, changes: dict[str, Any]) -> Facts:
    return notrade.read_context(RULEBOOK.context(base, changes))


def judge(base: str, changes: dict[str, Any]) -> Verdict:
    return RULEBOOK.judge(facts(base, changes))


STARTS: list[tuple[str, dict[str, Any]]] = [(base, {}) for base in BASES for _ in range(20)]
STARTS += [(one.base, one.set) for rule in RULEBOOK.rules.values() for one in rule.examples]


@st.composite
def contexts(draw: st.DrawFn, phases: tuple[Phase, ...] = PHASES) -> tuple[str, dict[str, Any]]:
    """A base, or an example of a rule, with up to four facts changed; one in five of those is unknown."""
    base, start = draw(st.sampled_from(STARTS))
    changes = dict(start)
    if draw(st.booleans()) or changes.get("phase", "clearing") not in phases:
        changes["phase"] = draw(st.sampled_from(phases))
    for path in draw(st.lists(st.sampled_from(READ), max_size=4, unique=True)):
        unknown = draw(st.integers(0, 4)) == 0
        changes[path] = None if unknown else draw(st.sampled_from(values_of(path)))
    return base, changes


# ---- evidence that only cures -----------------------------------------------------------------------------

CURES: dict[str, Any] = {
    "product.secret_owner_consent": True,
    "product.risk_assessment_done": True,
    "product.reid_test_passed": True,
    "product.anon_report_until": "2040-01-01T00:00:00Z",
    "product.pia_done": True,
    "product.declassified": True,
    "product.right_holders_agree": True,
    "product.sm_crypto": True,
    "product.public_risk": "none",
    "product.third_party_harm": "none",
    "source.lawfulness": "lawful",
    "source.statement_filed": True,
    "source.sharing_provider_consent": True,
    "source.operation_until": "2040-01-01T00:00:00Z",
    "registration.status": "registered",
    "registration.objection_pending": False,
    "registration.pledgee_consent": True,
    "auth.status": "granted",
    "auth.sublicensable": True,
    "consent.coverage_pct": 100,
    "consent.recipient_named": True,
    "consent.withdrawn_removed": True,
    "consent.guardian": True,
    "consent.cross_border_separate": True,
    "seller.credential": "accredited",
    "seller.credential_until": "2040-01-01T00:00:00Z",
    "seller.credit_ban": False,
    "seller.recorded_licensee": True,
    "seller.special_licence": True,
    "seller.compliance_veto": False,
    "buyer.identity_verified": True,
    "buyer.credit_ban": False,
    "buyer.restricted_list": "none",
    "buyer.security_level": 10**6,
    "trade.buyer_accepts_prior": True,
    "trade.export_licence": True,
    "trade.foreign_judicial_approved": True,
    "trade.contract_security_terms": True,
    "trade.related_disclosed": True,
    "trade.dominance_flag": False,
    "trade.ethics_review": "approved",
    "trade.entrust_agreement": True,
    "trade.security_evaluated": True,
    "trade.log_retention_months": 120,
    "venue.central_trading_approved": True,
    "xb.scope_matches": True,
    "xb.assessment_until": "2040-01-01T00:00:00Z",
    "post.filing_done": True,
    "post.retention_years": 30,
    "post.deletion_proven": True,
    "post.stop_and_delete_done": True,
}
"""Proofs, consents and reports: each with the value that the evidence shows. A route out of the country, a class or a
purpose is none of them: showing it may bring other rules in."""

IN_FORCE: dict[str, dict[str, Any]] = {
    "registration.status": {"registration.valid_until": "2040-01-01T00:00:00Z"},
}
"""What comes with a proof: a registration is shown by a certificate in force, whose period is read once it stands."""


def proofs(shown: list[str]) -> dict[str, Any]:
    """The facts that the evidence shows, with what comes with it."""
    cured = {path: CURES[path] for path in shown}
    for path in shown:
        cured |= IN_FORCE.get(path, {})
    return cured


def test_cures_are_facts_that_a_rule_reads() -> None:
    assert set(CURES) <= set(READ)
    for path, value in CURES.items():
        assert notrade.VOCABULARY[path].name not in ("choice", "truth") or value in values_of(path), path


BY_ANOTHER: dict[str, dict[str, Any]] = {
    "C02": {"consent.basis": "separate_consent"},
    "C03": {"consent.basis": "written_separate"},
    "G03": {"xb.route": "security_assessment"},
    "G04": {"xb.route": "standard_contract"},
    "T01": {"product.data_class": "important"},
}
"""Holds that end when another ground, route or grade is shown: not by evidence alone that only cures."""


def test_every_hold_is_cured_by_one_of_them_or_by_another_ground_route_or_grade() -> None:
    for rule in RULEBOOK.rules.values():
        if rule.kind == "hold":
            assert set(rule.facts) & (set(CURES) | set(BY_ANOTHER.get(rule.id, ()))), rule.id


@settings(max_examples=400)
@given(context=contexts(), shown=st.lists(st.sampled_from(sorted(CURES)), min_size=1, max_size=6))
def test_evidence_that_only_cures_breaks_no_rule(
    context: tuple[str, dict[str, Any]], shown: list[str]
) -> None:
    """It adds no violation, so it turns nothing into a refusal by itself; and what was allowed stays allowed.

    Nothing is shown of a party who is not known yet: a first fact about them would bring them in.
    """
    base, changes = context
    before = judge(base, changes)
    open_sides = {name for name, value in changes.items() if value == "__missing__"}
    after = judge(
        base, changes | proofs([path for path in shown if path.partition(".")[0] not in open_sides])
    )
    assert set(after.violated) <= set(before.violated)
    assert {rule for rule, _ in after.unknown} <= {rule for rule, _ in before.unknown} | set(before.violated)
    if before.outcome == "allow":
        assert after.outcome == "allow"
    if after.outcome == "reject":
        assert before.outcome == "reject"


@pytest.mark.parametrize("rule_id", [rule.id for rule in RULEBOOK.rules.values() if rule.kind == "hold"])
def test_all_the_cures_together_settle_what_a_rule_holds(rule_id: str) -> None:
    """Each held example of the rule: with every proof there, that rule holds it no more."""
    for example in RULEBOOK.rules[rule_id].examples:
        if example.kind == "violated":
            changes = {**example.set, **CURES, **BY_ANOTHER.get(rule_id, {})}
            verdict = judge(example.base, changes)
            assert rule_id not in verdict.violated
            assert rule_id not in dict(verdict.unknown)


# ---- silence ----------------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(context=contexts(), hidden=st.lists(st.sampled_from(READ), min_size=1, max_size=5))
def test_silence_never_lets_a_trade_through(context: tuple[str, dict[str, Any]], hidden: list[str]) -> None:
    """A fact that is made unknown: no refusal, hold, breach or doubt becomes leave, in any phase."""
    base, changes = context
    whole = judge(base, changes)
    partly = judge(base, changes | dict.fromkeys(hidden, None))
    assert set(partly.violated) <= set(whole.violated)
    if partly.outcome == "allow":
        assert whole.outcome == "allow"
    if whole.outcome in ("reject", "indeterminate"):
        assert partly.outcome in ("reject", "indeterminate")


@settings(max_examples=200)
@given(
    context=contexts(("match", "clearing", "post_trade")),
    hidden=st.lists(st.sampled_from(sorted(notrade.SECTIONS)), min_size=1, max_size=2, unique=True),
)
def test_a_register_that_is_not_there_lets_nothing_through(
    context: tuple[str, dict[str, Any]], hidden: list[str]
) -> None:
    """From the match on nothing waits, so a whole section that is missing is unknown."""
    base, changes = context
    whole = facts(base, changes)
    partly = RULEBOOK.judge(msgspec.structs.replace(whole, **dict.fromkeys(hidden, None)))
    if partly.outcome == "allow":
        assert RULEBOOK.judge(whole).outcome == "allow"


# ---- parts ------------------------------------------------------------------------------------------------

DATES = (
    "product.anon_report_until", "source.operation_until", "registration.valid_until", "auth.valid_from",
    "auth.valid_until", "consent.valid_until", "seller.credential_until", "trade.term_until", "xb.assessment_until",
)  # fmt: skip
ROUTES = {"xb.route": "security_assessment", "xb.scope_matches": True}


def test_these_are_all_the_dates_that_rules_compare() -> None:
    assert sorted(DATES) == [path for path in READ if notrade.VOCABULARY[path].name == "time"]


@settings(max_examples=300)
@given(context=contexts())
def test_the_whole_is_what_its_parts_conclude(context: tuple[str, dict[str, Any]]) -> None:
    base, changes = context
    case = facts(base, changes)
    phase = phase_of(case)
    found = [RULEBOOK.part(phase, register).find(case) for register in REGISTERS]
    assert RULEBOOK.conclude(phase, found) == RULEBOOK.judge(case)


@settings(max_examples=300)
@given(
    context=contexts(),
    dates=st.dictionaries(st.sampled_from(DATES), st.integers(-3, 12)),
    assessed=st.booleans(),
    steps=st.lists(st.integers(1, 5), min_size=1, max_size=6),
)
def test_parts_kept_until_they_change_give_the_verdict_of_every_instant(
    context: tuple[str, dict[str, Any]], dates: dict[str, int], assessed: bool, steps: list[int]
) -> None:
    """Days pass; a part is judged again only when its own date has come."""
    base, changes = context
    start = facts(base, changes | (ROUTES if assessed else {}))
    dated = with_dates(start, dates)
    phase = phase_of(start)
    assert isinstance(start.now, int)
    kept = {register: RULEBOOK.part(phase, register).find(dated) for register in REGISTERS}
    at_ns = start.now
    for step in steps:
        at_ns += step * DAY_NS
        for instant in (at_ns - 1, at_ns, at_ns + 1):
            present = msgspec.structs.replace(dated, now=instant)
            refresh(RULEBOOK, phase, kept, present, instant)
            assert RULEBOOK.conclude(phase, list(kept.values())) == RULEBOOK.judge(present)


def phase_of(case: Facts) -> Phase:
    return next(phase for phase in PHASES if phase == case.phase)


def refresh(
    rulebook: Rulebook, phase: Phase, kept: dict[Register, notrade.Finding], present: Facts, instant: int
) -> None:
    for register, finding in kept.items():
        if finding.changes_at is not None and finding.changes_at <= instant:
            kept[register] = rulebook.part(phase, register).find(present)


def with_dates(start: Facts, dates: dict[str, int]) -> Facts:
    """The facts with some dates set, in days from now."""
    assert isinstance(start.now, int)
    for path, days in dates.items():
        section, _, field = path.partition(".")
        if (struct := getattr(start, section)) is not None:
            moved = msgspec.structs.replace(struct, **{field: start.now + days * DAY_NS})
            start = msgspec.structs.replace(start, **{section: moved})
    return start
