"""Parts, findings, verdicts, citations, loading, the page and `judge_lines`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing import notrade, rulebook_page
from clearing.notrade import ALLOW, CLEAN, PHASES, REGISTERS, Facts, Finding, Rulebook, RulebookError

RULEBOOK = notrade.load()
CHECKOUT = Path(__file__).parents[2]
PACKAGED = CHECKOUT / "clearing" / "rulebook"
DAY_NS = 86_400_000_000_000
HAINAN = "CN-46"
JIANGXI = "CN-36"


def facts(base: str = "enterprise", **changes: Any) -> Facts:
    return notrade.read_context(RULEBOOK.context(base, {k.replace("__", "."): v for k, v in changes.items()}))


def capacities(base: str) -> tuple[str, ...]:
    lawful = facts(base)
    return notrade.capacities(lawful.product, lawful.source)


def at(text: str) -> int:
    now = notrade.read_context({"now": text}).now
    assert isinstance(now, int)
    return now


NOW = at("2026-06-15T09:30:00+08:00")


# ---- parts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_every_rule_of_a_phase_is_in_exactly_one_part(phase: notrade.Phase) -> None:
    in_parts = [rule for register in REGISTERS for rule in RULEBOOK.part(phase, register).rules]
    assert sorted(in_parts) == [rule.id for rule in RULEBOOK.rules.values() if phase in rule.phases]


def test_a_part_reads_its_own_register_only() -> None:
    instrument = {"purpose", "territory", "field_group", "right", "deal", "mechanism", "term_until"}
    for register in ("listing", "seller", "buyer"):
        for phase in PHASES:
            for rule in RULEBOOK.part(phase, register).rules:
                for fact in RULEBOOK.rules[rule].facts:
                    section, _, field = fact.rpartition(".")
                    if register != "listing":
                        assert section in (register, "")
                    elif section == "trade":
                        assert field in instrument
                    else:
                        assert section not in ("seller", "buyer", "xb", "post")
                        assert fact != "price.unit_fen"


def test_pair_rules_and_the_price_of_the_fill_are_judged_for_each_fill() -> None:
    assert RULEBOOK.part("clearing", "seller").rules == ("E01", "E09", "E10")
    assert RULEBOOK.part("clearing", "buyer").rules == ("E02", "E04")
    for_each_fill = {"trade": "B16 B17 D05 D06 F01 F03 F04 G01", "pair": "B13 D08 E03 E05 E06 E07 E08 G02"}
    for register in ("trade", "pair"):
        assert set(for_each_fill[register].split()) <= set(RULEBOOK.part("clearing", register).rules)


@pytest.mark.parametrize("base", list(RULEBOOK.bases))
@pytest.mark.parametrize("phase", PHASES)
def test_a_lawful_trade_gives_the_shared_constants(base: str, phase: notrade.Phase) -> None:
    lawful = facts(base, phase=phase)
    assert RULEBOOK.judge(lawful) is ALLOW
    assert RULEBOOK.part(phase, "buyer").find(lawful) is CLEAN
    parts = [RULEBOOK.part(phase, register).find(lawful) for register in REGISTERS]
    assert RULEBOOK.conclude(phase, parts) is ALLOW
    assert RULEBOOK.conclude(phase, [CLEAN] * 4) is ALLOW


# ---- verdicts -------------------------------------------------------------------------------------------


def test_reject_goes_before_unknown_before_hold() -> None:
    held: dict[str, Any] = {"registration__objection_pending": True}
    unknown: dict[str, Any] = {"buyer__identity_verified": "__missing__"}
    refused: dict[str, Any] = {"auth__status": "none"}
    assert RULEBOOK.judge(facts(**held)).outcome == "hold"
    assert RULEBOOK.judge(facts(**held, **unknown)).outcome == "indeterminate"
    whole = RULEBOOK.judge(facts(**held, **unknown, **refused))
    assert whole.outcome == "reject"
    assert whole.violated == ("B01", "B11")
    assert whole.unknown == (("E02", ("buyer.identity_verified",)),)


def test_a_breach_is_a_verdict_after_the_trade_only() -> None:
    duty = msgspec.structs.replace(
        RULEBOOK.rules["B16"], id="P99", kind="post_trade_obligation", phases=("clearing", "post_trade")
    )
    duties = Rulebook([duty])
    broken = facts(trade__other_exclusive_active=True)
    assert duties.judge(broken).outcome == "allow"
    assert duties.judge(msgspec.structs.replace(broken, phase="post_trade")).outcome == "breach"
    assert duties.judge(msgspec.structs.replace(broken, phase="post_trade")).violated == ("P99",)


def test_a_phase_that_is_none_is_indeterminate() -> None:
    assert RULEBOOK.judge(facts(phase="settlement")).outcome == "indeterminate"


# ---- what cannot exist yet ------------------------------------------------------------------------------


def test_a_thing_that_is_not_there_waits_until_match() -> None:
    without = facts(phase="order", seller="__missing__")
    assert without.seller is None
    assert RULEBOOK.part("order", "pair").find(without) is CLEAN
    banned = facts(phase="order", seller="__missing__", buyer__credit_ban=True)
    assert RULEBOOK.judge(banned).violated == ("E03",), "whoever the seller will be"
    assert RULEBOOK.judge(without) is ALLOW
    at_match = msgspec.structs.replace(without, phase="match")
    assert RULEBOOK.judge(at_match).outcome == "indeterminate"
    assert "seller.credit_ban" in dict(RULEBOOK.judge(at_match).unknown)["E03"]


def test_the_registration_waits_while_it_is_made() -> None:
    made = facts(phase="registration", registration__holder_id="someone-else", registration__rights=[])
    assert RULEBOOK.judge(made) is ALLOW
    assert RULEBOOK.judge(msgspec.structs.replace(made, phase="listing")).violated == ("B13", "B14")


def test_open_licence_terms_wait_before_the_order_and_not_after() -> None:
    assert RULEBOOK.judge(facts(phase="listing", trade__right="__missing__")) is ALLOW
    assert RULEBOOK.judge(facts(phase="listing", trade__right="ownership")).outcome == "indeterminate"
    assert RULEBOOK.judge(facts(phase="listing", trade__right=5)).outcome == "indeterminate"
    assert RULEBOOK.judge(facts(phase="order", trade__right="__missing__")).outcome == "indeterminate"


def test_a_missing_product_never_waits_in_a_context() -> None:
    for phase in PHASES[:-1]:
        assert RULEBOOK.judge(facts(phase=phase, product="__missing__")).outcome == "indeterminate"


def test_earlier_licences_wait_for_the_buyer_whom_they_hinder() -> None:
    """The exclusive holder may be the buyer that a resting sell order meets."""
    changes: dict[str, Any] = {
        "trade__deal": "exclusive_licence",
        "trade__other_exclusive_active": "__missing__",
    }
    changes["trade__other_nonexclusive_active"] = "__missing__"
    selling = facts(phase="order", buyer="__missing__", **changes)
    assert RULEBOOK.judge(selling) is ALLOW
    assert dict(RULEBOOK.judge(facts(phase="order", **changes)).unknown).keys() == {"B16", "B17"}
    assert RULEBOOK.judge(msgspec.structs.replace(selling, phase="match")).outcome == "indeterminate"
    taken = facts(phase="order", buyer="__missing__", trade__other_exclusive_active=True)
    assert RULEBOOK.judge(taken).violated == ("B16",)


WITH_THE_BUYER = {
    "C06": "consent__recipient_named",
    "C14": "trade__reidentification_intent",
    "F04": "trade__dominance_flag",
    "H01": "trade__ethics_review",
    "A05": "trade__export_licence",
}
"""Rule: a fact that comes with the buyer, asked of an order."""


@pytest.mark.parametrize(("rule", "fact"), WITH_THE_BUYER.items())
def test_what_the_buyer_brings_is_awaited_while_the_buyer_is_unknown_and_not_longer(
    rule: str, fact: str
) -> None:
    example = next(one for one in RULEBOOK.rules[rule].examples if one.kind == "violated")
    changes = {**example.set, "phase": "order", fact.replace("__", "."): "__missing__"}
    known = notrade.read_context(RULEBOOK.context(example.base, changes))
    assert rule in dict(RULEBOOK.judge(known).unknown)
    resting = msgspec.structs.replace(known, buyer=None)
    assert rule not in dict(RULEBOOK.judge(resting).unknown)
    assert rule in dict(RULEBOOK.judge(msgspec.structs.replace(resting, phase="match")).unknown)


def test_whether_it_is_a_resale_is_awaited_while_the_seller_is_unknown() -> None:
    wanted = facts(phase="order", seller="__missing__", trade__is_resale="__missing__")
    assert RULEBOOK.judge(wanted) is ALLOW
    assert dict(RULEBOOK.judge(facts(phase="order", trade__is_resale="__missing__")).unknown).keys() == {
        "B08"
    }
    assert RULEBOOK.judge(msgspec.structs.replace(wanted, phase="match")).outcome == "indeterminate"


def test_how_long_ago_the_opposite_trade_was_is_awaited_while_either_side_is_unknown() -> None:
    changes: dict[str, Any] = {"phase": "order", "trade__trading_days_since_opposite": "__missing__"}
    assert dict(RULEBOOK.judge(facts(**changes)).unknown).keys() == {"F01"}
    for open_side in ("buyer", "seller"):
        assert RULEBOOK.judge(facts(**changes, **{open_side: "__missing__"})) is ALLOW


def test_only_one_side_of_an_order_may_be_open() -> None:
    nobody = facts(phase="order", seller="__missing__", buyer="__missing__")
    assert RULEBOOK.judge(nobody).outcome == "indeterminate"


# ---- time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "changes", "expected"),
    [
        (
            "listing",
            {"auth__valid_until": "2026-06-15T09:30:01+08:00", "trade__term_until": "__missing__"},
            10**9 + 1,
        ),
        ("listing", {"registration__valid_until": "2026-06-15T09:30:00+08:00"}, 1),
        ("seller", {"seller__credential_until": "2026-06-16T09:30:00+08:00"}, DAY_NS + 1),
        ("seller", {"seller__credential_until": "2026-06-15T09:29:59+08:00"}, None),
        ("buyer", {}, None),
        ("trade", {}, None),
    ],
)
def test_a_finding_says_when_it_changes(
    register: notrade.Register, changes: dict[str, Any], expected: int | None
) -> None:
    found = RULEBOOK.part("clearing", register).find(facts(**changes))
    assert found.changes_at == (None if expected is None else NOW + expected)


def test_a_licence_that_starts_when_sold_reaches_the_authorisation_by_itself() -> None:
    fixed = facts(registration__valid_until="__missing__", auth__valid_until="2026-06-25T09:30:00+08:00")
    assert fixed.trade is not None
    term = msgspec.structs.replace(fixed.trade, term_ns=7 * DAY_NS, term_until=NOW + 7 * DAY_NS)
    found = RULEBOOK.part("clearing", "listing").find(msgspec.structs.replace(fixed, trade=term))
    assert found.changes_at == NOW + 3 * DAY_NS + 1


INSTANTS = st.one_of(st.none(), st.integers(-6, 6))
SHORT = 3


@given(
    dates=st.fixed_dictionaries(
        dict.fromkeys(("from", "until", "registered", "credential", "term"), INSTANTS)
    ),
    status=st.sampled_from(["registered", "pending", "strange"]),
    runs=st.booleans(),
    steps=st.lists(st.integers(0, 14), min_size=1, max_size=4),
)
def test_findings_kept_until_they_change_equal_judging_everything(
    dates: dict[str, int | None], status: str, runs: bool, steps: list[int]
) -> None:
    at_ns = 0
    kept = {
        register: RULEBOOK.part("clearing", register).find(dated(dates, status, runs, 0))
        for register in REGISTERS
    }
    for step in steps:
        at_ns += step
        present = dated(dates, status, runs, at_ns)
        for register, finding in kept.items():
            if finding.changes_at is not None and finding.changes_at <= at_ns:
                kept[register] = RULEBOOK.part("clearing", register).find(present)
        assert RULEBOOK.conclude("clearing", list(kept.values())) == RULEBOOK.judge(present)


def dated(dates: Mapping[str, int | None], status: Any, runs: bool, at_ns: int) -> Facts:
    """The lawful trade with its dates set around instant 0; `runs` ends the licence a fixed term from now."""
    lawful = facts()
    replace = msgspec.structs.replace
    given = {name: msgspec.UNSET if value is None else value for name, value in dates.items()}
    end = at_ns + SHORT if runs else given["term"]
    assert lawful.registration is not None
    assert lawful.auth is not None
    assert lawful.seller is not None
    assert lawful.trade is not None
    return replace(
        lawful,
        now=at_ns,
        auth=replace(lawful.auth, valid_from=given["from"], valid_until=given["until"]),
        registration=replace(lawful.registration, status=status, valid_until=given["registered"]),
        seller=replace(lawful.seller, credential_until=given["credential"]),
        trade=replace(lawful.trade, term_until=end, term_ns=SHORT if runs else msgspec.UNSET),
    )


# ---- citations ------------------------------------------------------------------------------------------


def test_a_regulation_binds_in_its_own_province_only() -> None:
    here = RULEBOOK.citations("B05", JIANGXI, NOW)
    assert [cited.zh for cited in here.binding] == ["江西省数据应用条例30(2)"]
    assert here.zh == (
        "使用地域超出授权范围（B05；依据《江西省数据应用条例》第三十条第（二）项〔地方性法规〕）"
    )
    elsewhere = RULEBOOK.citations("B05", HAINAN, NOW)
    assert elsewhere.binding == ()
    assert "本所规则，参照《江西省数据应用条例》第三十条第（二）项〔地方性法规〕" in elsewhere.zh
    assert (
        "venue rule, modelled on Jiangxi Data Application Regulations 30(2) [local regulation]"
        in elsewhere.en
    )


def test_the_drafts_names_of_places_are_taken() -> None:
    assert RULEBOOK.citations("B05", "jiangxi", NOW) == RULEBOOK.citations("B05", "CN-JX", NOW)
    assert RULEBOOK.citations("B05", "jiangxi", NOW).binding


def test_a_policy_paper_and_a_guide_oblige_no_trader_even_at_home() -> None:
    assert RULEBOOK.citations("E01", HAINAN, NOW).binding == ()
    assert "〔政策文件〕" in RULEBOOK.citations("E01", HAINAN, NOW).zh
    assert RULEBOOK.citations("B12", "CN-11", NOW).binding == ()


def test_an_article_binds_only_those_whom_it_addresses() -> None:
    plain = RULEBOOK.citations("B04", JIANGXI, NOW, capacities("enterprise"))
    assert [cited.zh for cited in plain.binding] == ["江西省数据应用条例30(2)"]
    personal = RULEBOOK.citations("B04", JIANGXI, NOW, capacities("personal"))
    assert [cited.zh for cited in personal.binding] == ["江西省数据应用条例30(2)", "个人信息保护法23"]
    operator = RULEBOOK.citations("D06", HAINAN, NOW, capacities("public"))
    assert [cited.zh for cited in operator.binding] == ["发改价格〔2025〕65号"]


def test_an_article_binds_while_it_is_in_force() -> None:
    first, last = at("2025-03-01T00:00:00+08:00"), at("2030-02-28T23:59:59.999999999+08:00")
    for instant, binds in ((first - 1, False), (first, True), (last, True), (last + 1, False)):
        cited = RULEBOOK.citations("D05", HAINAN, instant, capacities("public")).binding
        assert [one.zh for one in cited] == (["发改价格〔2025〕65号"] if binds else [])


def test_an_article_that_only_supports_a_rule_is_not_claimed_to_forbid() -> None:
    core = RULEBOOK.citations("A02", HAINAN, NOW)
    assert core.binding == ()
    assert "本所规则" in core.zh
    assert [cited.zh for cited in RULEBOOK.citations("A01", HAINAN, NOW).binding] == ["保守国家秘密法"]


EVERYBODY = ("everyone", "venue", *rulebook_page.WHOM)


@pytest.mark.parametrize(
    ("rule", "place", "binding"),
    [
        ("A01", "CN-46", ["保守国家秘密法"]),
        ("B13", "CN-46", []),
        ("C05", "shenzhen", ["个人信息保护法15,47"]),
        ("D01", "shenzhen", ["深圳经济特区数据条例67(2)"]),
        ("D01", "jiangxi", []),
    ],
)
def test_what_defines_permits_or_refers_does_not_bind(rule: str, place: str, binding: list[str]) -> None:
    """Even in its own place and to whomever it addresses."""
    grounds = RULEBOOK.citations(rule, place, NOW, EVERYBODY)
    assert [cited.zh for cited in grounds.binding] == binding


# ---- loading --------------------------------------------------------------------------------------------


def test_the_first_thirty_rules_are_all_there() -> None:
    first = (
        "A01 A02 A03 B01 B02 B03 B04 B05 B06 B07 B10 B11 B12 B13 B14 B16 B17 C01 C02 C05 C07 D01 D02 D05 D06 "
        "E01 E02 E03 E05 F02"
    )
    assert set(first.split()) <= set(RULEBOOK.rules)


def test_the_digest_follows_what_the_rules_say_and_nothing_else() -> None:
    rules = list(RULEBOOK.rules.values())
    assert Rulebook(reversed(rules)).sha256 == RULEBOOK.sha256
    moved = [msgspec.structs.replace(rule, file="elsewhere.toml:1", examples=()) for rule in rules]
    assert Rulebook(moved).sha256 == RULEBOOK.sha256
    changed = [msgspec.structs.replace(rules[0], kind="hold"), *rules[1:]]
    assert Rulebook(changed).sha256 != RULEBOOK.sha256


@pytest.mark.parametrize(
    ("find", "put", "message"),
    [
        (
            "product.secret_kind == 'state'",
            "product.secret_kind == 'secret'",
            r"classification\.toml:8: 'secret' is not",
        ),
        (
            "product.secret_kind == 'state'",
            "product.secret == 'state'",
            r"classification\.toml:8: unknown fact",
        ),
        ("product.secret_kind == 'state'", "now > 5", r"classification\.toml:8: 5 cannot be compared"),
        ('id = "A01"', 'id = "A1"', r"classification\.toml: Expected `str` matching"),
        ('id = "A01"', 'id = "A02"', r"classification\.toml:\d+: rule A02 is written twice"),
        (
            'source = "state_secrets_law"',
            'source = "nowhere"',
            r"classification\.toml:5: no source 'nowhere'",
        ),
        (
            'rules = ["A01"]',
            'rules = ["A02"]',
            r"classification\.toml:5: rule A01 has no example that violates it",
        ),
        (
            'base = "enterprise"',
            'base = "nobody"',
            r"classification\.toml:5: an example of A01 names an unknown",
        ),
        (
            '"product.secret_kind" = "state"',
            '"product.secrets" = "state"',
            "an example of A01 names an unknown",
        ),
        ('class = "reject"', 'class = "forbid"', r"classification\.toml: Invalid enum value 'forbid'"),
        ("evidence =", "proof =", r"classification\.toml: Object"),
        ('kind = "near_miss"', 'kind = "violated"', r"toml:5: rule A01 has no example of kind near_miss"),
        ('kind = "unknown"', 'kind = "near_miss"', r"toml:5: rule A01 has no example of kind unknown"),
        ("== 'state'", "== 'state' or now > auth.valid_until", r"rule A01 has no example of kind boundary"),
        ('class = "reject"', 'class = "hold"', r"toml:5: rule A01: a hold says in cured_by who brings"),
        ("phases =", 'cured_by = { brings = ["seller"] }\nphases =', r"A01: a hold says in cured_by"),
        ("phases =", 'cured_by = { brings = ["anyone"] }\nphases =', r"Invalid enum value 'anyone'"),
        ("title =", "title", r"classification\.toml: "),
    ],
)
def test_a_rulebook_with_a_mistake_does_not_load(tmp_path: Path, find: str, put: str, message: str) -> None:
    for file in PACKAGED.glob("*.toml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = tmp_path / "classification.toml"
    text = file.read_text(encoding="utf-8")
    first, second = text.split('id = "A02"')[0], text.split('id = "A02"')[1]
    assert find in first
    file.write_text(first.replace(find, put) + 'id = "A02"' + second, encoding="utf-8")
    with pytest.raises(RulebookError, match=message):
        notrade.load(tmp_path)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("product.secret_knd == 'state'", "unknown fact 'product.secret_knd'"),
        ("products.secret_kind == 'state'", "unknown fact 'products.secret_kind'"),
        ("product.secret_kind == 'stat'", "'stat' is not one of none, state, trade, work"),
        ("product.data_class in ['core', 'vital']", "'vital' is not one of core, general, important"),
        ("product.secret_kind == 5", "5 cannot be compared with a choice"),
        ("consent.coverage_pct < '100'", "'100' cannot be compared with a number"),
        ("product.sensitive_pi == 'yes'", "'yes' cannot be compared with a truth"),
        ("product.sensitive_pi == True", "a yes or no stands for itself"),
        ("product.secret_kind", "product.secret_kind is a choice, not a yes or no"),
        ("auth.valid_until < 20280614", "20280614 cannot be compared with a time"),
        ("auth.valid_until < '2028-06-14'", "'2028-06-14' cannot be compared with a time"),
        ("auth.valid_until < price.unit_fen", "auth.valid_until .* cannot be compared with price.unit_fen"),
        ("post.working_days_since > trade.trading_days_since_opposite", "cannot be compared with"),
        ("trade.purpose in auth.territories", "trade.purpose can never be in auth.territories"),
        ("trade.purpose in product.sensitive_pi", "product.sensitive_pi is a truth, not a set"),
        ("buyer.id == seller.ubo_id", "cannot be compared with"),
        ("price.unit_fen + 1 > price.cap_fen", "is not a fact, a number or a string"),
        ("now() > auth.valid_until", "is not a fact, a number or a string"),
        ("product.secret_kind ==", "does not parse"),
    ],
)
@pytest.mark.parametrize("key", ["applies_when", "violated_when"])
def test_a_condition_of_the_wrong_type_fails_the_load_with_its_file_and_line(
    tmp_path: Path, key: str, condition: str, message: str
) -> None:
    for file in PACKAGED.glob("*.toml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = tmp_path / "classification.toml"
    first = """violated_when = "product.secret_kind == 'state'"\n"""
    wrong = f'{key} = "{condition}"'
    other = 'violated_when = "True"\n' if key == "applies_when" else ""
    written = file.read_text(encoding="utf-8").replace(first, f"{other}{wrong}\n")
    file.write_text(written, encoding="utf-8")
    number = 1 + written.splitlines().index(wrong)
    with pytest.raises(RulebookError, match=rf"^classification\.toml:{number}: .*{message}"):
        notrade.load(tmp_path)


def test_amounts_of_a_price_are_compared_as_they_stand() -> None:
    """All are per the same `per_units`: a fen more is more, whatever the number of units, and nothing is rounded."""
    for per_units in (1, 3, 1000, 10**9):
        for unit_fen, verdict in ((2**53, "allow"), (2**53 + 1, "reject")):
            changes = {"price__unit_fen": unit_fen, "price__cap_fen": 2**53, "price__per_units": per_units}
            assert RULEBOOK.judge(facts("public", **changes)).outcome == verdict


BOARDS = ("general", "health", "public_data", "transport")


def test_a_board_that_is_not_configured_is_no_board() -> None:
    rules = notrade.load(boards=BOARDS)
    changes: dict[str, Any] = {"trade__ethics_review": "rejected"}
    assert rules.judge(facts("health", **changes)).violated == ("H02",)
    assert rules.judge(facts("health", **changes, product__board="general")) is ALLOW
    nowhere = rules.judge(facts("health", **changes, product__board="hospital"))
    assert nowhere.outcome == "indeterminate"
    assert dict(nowhere.unknown)["H02"] == ("product.board",)
    assert rules.sha256 == RULEBOOK.sha256


def test_a_rule_that_names_a_board_that_is_not_configured_does_not_load() -> None:
    with pytest.raises(
        RulebookError, match=r"^transport\.toml:\d+: 'transport' is not one of general, health"
    ):
        notrade.load(boards=BOARDS[:3])


def test_a_folder_loads_like_the_package(tmp_path: Path) -> None:
    assert notrade.load(PACKAGED).sha256 == RULEBOOK.sha256
    with pytest.raises(RulebookError, match=r"sources\.toml: the rulebook needs this file"):
        notrade.load(tmp_path)


# ---- judge FILE -----------------------------------------------------------------------------------------


def judged(*lines: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in notrade.judge_lines(RULEBOOK, lines)]


def line(**changes: Any) -> bytes:
    context = RULEBOOK.context("enterprise", {k.replace("__", "."): v for k, v in changes.items()})
    return json.dumps({"id": "one", **context}).encode()


def said(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without what names the verdict."""
    return {name: answer[name] for name in ("id", "verdict", "rules", "citations", "unknown")}


def test_a_line_is_judged() -> None:
    lawful, unlawful = judged(line(), line(trade__purpose="advertising", auth__status="none"))
    assert said(lawful) == {"id": "one", "verdict": "allow", "rules": [], "citations": [], "unknown": []}
    assert said(unlawful) == {
        "id": "one",
        "verdict": "reject",
        "rules": ["B01", "B04"],
        "citations": [
            "江西省数据应用条例30(2);上海市数据条例55(2)",
            "江西省数据应用条例30(2);个人信息保护法23",
        ],
        "unknown": [],
    }
    (undecided,) = judged(line(product__judicial_freeze=None))
    assert undecided["unknown"] == [{"rule": "B21", "fields": ["product.judicial_freeze"]}]


def test_a_verdict_is_named_by_its_rulebook_its_facts_and_its_instant() -> None:
    first, again, later, other = judged(
        line(), line(), line(now="2026-06-15T01:30:00.000000001Z"), line(trade__right="resource_holding")
    )
    assert first == again
    assert first["rulebook_sha256"] == RULEBOOK.sha256
    assert first["at_ns"] == NOW
    assert later["at_ns"] == NOW + 1
    assert len({first["facts_sha256"], later["facts_sha256"], other["facts_sha256"]}) == 3
    moved = line(now="2026-06-15T01:30:00Z")
    assert judged(moved)[0]["facts_sha256"] == first["facts_sha256"], "the same instant in another zone"
    fewer = Rulebook([rule for rule in RULEBOOK.rules.values() if rule.id != "A01"])
    assert fewer.sha256 != RULEBOOK.sha256


def test_a_bad_line_is_an_error_of_its_own_and_the_next_is_judged() -> None:
    deep = b"[" * 100_000
    bad = judged(b"{", b"", b"  \n", b"[1]", b"\xff\xfe", b'{"id": 1}\n', deep, line())
    judged_well = [3, 5]
    assert [number for number, answer in enumerate(bad) if "verdict" in answer] == judged_well
    assert all(sorted(answer) == ["error", "id"] for answer in bad if "verdict" not in answer)
    assert bad[0]["error"].startswith("line 1 is not JSON")
    assert (bad[3]["id"], bad[3]["verdict"], bad[3]["rules"], bad[3]["at_ns"]) == (
        1,
        "indeterminate",
        [],
        None,
    )


WRONG = [None, 5, 1.5, "", "strange", True, [], ["strange", 7], {}, {"a": 1}, 10**30]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_value_of_any_type_anywhere_is_never_an_error(wrong: Any) -> None:
    for path in ["phase", "now", *notrade.SECTIONS, *notrade.VOCABULARY]:
        (answer,) = judged(line(**{path.replace(".", "__"): wrong}))
        assert answer["verdict"] in ("allow", "hold", "reject", "indeterminate")


# ---- the page -------------------------------------------------------------------------------------------


def test_the_committed_page_is_the_generated_one() -> None:
    committed = (CHECKOUT / "docs" / "RULES.md").read_text(encoding="utf-8")
    again = "python -m clearing.rulebook_page > docs/RULES.md"
    assert committed == rulebook_page.page(RULEBOOK), f"run: {again}"


def test_the_page_shows_every_rule_whole() -> None:
    text = rulebook_page.page(RULEBOOK)
    for rule in RULEBOOK.rules.values():
        for shown in (
            rule.message.zh,
            rule.message.en,
            rule.violated_when,
            rule.evidence.zh,
            rule.evidence.en,
        ):
            assert shown in text
        for cited in rule.citations:
            assert cited.title_zh in text


def test_a_finding_is_plain_data() -> None:
    found = RULEBOOK.part("clearing", "seller").find(facts())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Finding) == found
