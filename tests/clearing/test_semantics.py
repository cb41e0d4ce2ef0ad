"""The three-valued semantics at the head of the rulebook draft, held for every fact and every rule."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing import notrade
from clearing.notrade import PHASES, Facts, Verdict

RULEBOOK = notrade.load()
ALONE = [notrade.Rulebook([rule]) for rule in RULEBOOK.rules.values()]
READ = sorted({fact for rule in RULEBOOK.rules.values() for fact in rule.facts})
OPEN: dict[str, list[Any]] = {
    "text": ["elsewhere", "market_analysis"],
    "number": [0, 1, 10**6],
    "set": [[], ["elsewhere"]],
}
INSTANTS = ["2020-01-01T00:00:00Z", "2026-06-15T09:30:00+08:00", "2040-01-01T00:00:00Z"]
MISSING = "__missing__"


def judge(base: str, changes: dict[str, Any]) -> Verdict:
    return RULEBOOK.judge(facts(base, changes))


def facts(base: str, changes: dict[str, Any]) -> Facts:
    return notrade.read_context(RULEBOOK.context(base, changes))


def values_of(path: str) -> list[Any]:
    """Values that the fact may have; for a closed list, all of them."""
    kind = notrade.VOCABULARY[path]
    if kind.name == "truth":
        return [True, False]
    if kind.name == "time":
        return INSTANTS
    if kind.name == "set" and kind.values:
        return [[], [kind.values[0]], list(kind.values)]
    return list(kind.values) or OPEN[kind.name]


def test_the_facts_are_those_of_the_draft(shared_folder: Path) -> None:
    draft = json.loads((shared_folder / "rulebook-draft.json").read_text(encoding="utf-8"))["fields"]
    ours = {path: kind for path, kind in notrade.VOCABULARY.items() if path != "trade.term_ns"}
    assert sorted(ours) == sorted(path for path in draft if path != "phase")
    names = {"bool": "truth", "int": "number", "time": "time", "set": "set", "id": "text", "code": "text"}
    for path, kind in ours.items():
        listed = draft[path].get("values")
        if isinstance(listed, list):
            assert sorted(kind.values) == sorted(listed), path
            assert kind.name == ("set" if draft[path]["type"] == "set" else "choice")
        elif path == "product.board":
            assert kind.name == "text"  # an enum in the draft; the boards are configured, so open here
        else:
            assert kind.name == names[draft[path]["type"]], path


def test_phases_and_the_order_of_verdicts_are_those_of_the_draft(shared_folder: Path) -> None:
    draft = json.loads((shared_folder / "rulebook-draft.json").read_text(encoding="utf-8"))
    assert list(PHASES) == draft["phases"]
    order = [word.split()[0] for word in draft["verdict_precedence"]]
    assert order == ["reject", "indeterminate", "hold", "breach", "allow"]


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize("base", list(RULEBOOK.bases))
def test_an_unknown_fact_allows_only_what_each_of_its_values_would_allow(base: str, path: str) -> None:
    for unknown in (MISSING, None, {"not": "a fact"}):
        verdict = judge(base, {path: unknown})
        assert verdict.outcome in ("allow", "indeterminate")
        if verdict.outcome == "allow":
            outcomes = {judge(base, {path: value}).outcome for value in values_of(path)}
            assert outcomes == {"allow"}, f"{base}: {path} unknown allows, but {outcomes}"
        else:
            assert any(path in missing for _, missing in verdict.unknown)


@pytest.mark.parametrize(
    "path", [path for path in READ if notrade.VOCABULARY[path].name in ("choice", "truth")]
)
def test_a_value_outside_its_list_is_the_same_as_a_missing_one(path: str) -> None:
    for base in RULEBOOK.bases:
        assert judge(base, {path: "unheard_of"}) == judge(base, {path: MISSING})


CHANGES = st.dictionaries(st.sampled_from(READ), st.integers(0, 99), max_size=6)


@given(
    base=st.sampled_from(list(RULEBOOK.bases)),
    phase=st.sampled_from(PHASES),
    picks=CHANGES,
    hidden=st.lists(st.sampled_from(READ), max_size=4),
)
def test_hiding_facts_never_adds_a_violation_and_never_turns_a_refusal_into_leave(
    base: str, phase: str, picks: dict[str, int], hidden: list[str]
) -> None:
    changes = {path: values_of(path)[pick % len(values_of(path))] for path, pick in picks.items()}
    changes["phase"] = phase
    whole = judge(base, changes)
    partly = judge(base, changes | dict.fromkeys(hidden, None))
    assert set(partly.violated) <= set(whole.violated)
    lost = set(whole.violated) - set(partly.violated)
    assert lost <= {rule for rule, _ in partly.unknown}
    if phase in ("match", "clearing") and whole.outcome in ("reject", "hold"):
        assert partly.outcome != "allow"


@given(base=st.sampled_from(list(RULEBOOK.bases)), picks=CHANGES)
def test_every_violated_rule_is_named(base: str, picks: dict[str, int]) -> None:
    changes = {path: values_of(path)[pick % len(values_of(path))] for path, pick in picks.items()}
    verdict = judge(base, changes)
    alone = [one.judge(facts(base, changes)) for one in ALONE]
    assert verdict.violated == tuple(rule for one in alone for rule in one.violated)
    assert verdict.unknown == tuple(pair for one in alone for pair in one.unknown)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-06-15T01:30:00Z", True),
        ("2026-06-15T09:30:00.000000000+08:00", True),
        ("2026-06-14T18:30:00-07:00", True),
        ("2026-06-15T09:30:00.000000001+08:00", False),
        ("2026-06-15T09:30:00+07:00", False),
    ],
)
def test_times_compare_as_instants(text: str, same: bool) -> None:
    assert (facts("enterprise", {"now": text}).now == facts("enterprise", {}).now) is same


@pytest.mark.parametrize(
    "text", ["2026-06-15", "2026-06-15T09:30:00", "2026-02-30T00:00:00Z", "now", "", "2026-06-15T24:30:00Z"]
)
def test_a_time_without_its_zone_or_its_day_is_unknown(text: str) -> None:
    assert judge("enterprise", {"now": text}).outcome == "indeterminate"
    assert judge("enterprise", {"auth.valid_until": text}).outcome == "indeterminate"


# ---- evidence -------------------------------------------------------------------------------------------

EVIDENCE = [
    "auth.sublicensable",
    "consent.cross_border_separate",
    "consent.guardian",
    "consent.recipient_named",
    "consent.withdrawn_removed",
    "post.deletion_proven",
    "post.filing_done",
    "post.stop_and_delete_done",
    "product.declassified",
    "product.pia_done",
    "product.reid_test_passed",
    "product.right_holders_agree",
    "product.risk_assessment_done",
    "product.secret_owner_consent",
    "product.sm_crypto",
    "registration.pledgee_consent",
    "seller.recorded_licensee",
    "seller.special_licence",
    "source.sharing_provider_consent",
    "source.statement_filed",
    "trade.buyer_accepts_prior",
    "trade.contract_security_terms",
    "trade.entrust_agreement",
    "trade.export_licence",
    "trade.foreign_judicial_approved",
    "trade.related_disclosed",
    "trade.security_evaluated",
    "venue.central_trading_approved",
    "xb.scope_matches",
]
"""Facts that somebody brings so that a rule lets the trade through: they only cure."""
WORSE = ["allow", "breach", "hold", "indeterminate", "reject"]


def test_the_evidence_is_read_by_rules() -> None:
    assert set(EVIDENCE) <= set(READ)


@given(
    base=st.sampled_from(list(RULEBOOK.bases)),
    phase=st.sampled_from(PHASES),
    picks=CHANGES,
    fact=st.sampled_from(EVIDENCE),
)
def test_evidence_only_cures(base: str, phase: str, picks: dict[str, int], fact: str) -> None:
    """Bringing it never turns allow into reject; taking it away never turns reject into allow."""
    changes = {path: values_of(path)[pick % len(values_of(path))] for path, pick in picks.items()}
    changes["phase"] = phase
    brought, missing, refuted = (judge(base, {**changes, fact: value}) for value in (True, MISSING, False))
    assert set(brought.violated) <= set(missing.violated) <= set(refuted.violated)
    ranks = [WORSE.index(verdict.outcome) for verdict in (brought, missing, refuted)]
    if phase in ("match", "clearing", "post_trade"):
        assert ranks[0] <= min(ranks[1:])
        assert refuted.outcome != "reject" or missing.outcome in ("reject", "indeterminate")
