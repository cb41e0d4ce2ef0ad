"""The contract: the same offer gives the same bytes, every word of it counts, and it can be read."""

import hashlib
import json
import re
from importlib import resources

import msgspec
import pytest
from msgspec.structs import replace

from clearing import contract
from clearing.contract import Declarations, Offer, Security
from clearing.money import Tier
from clearing.notrade import Text, TradeFacts

TERMS = contract.load()
NEWEST = list(TERMS.values())[-1]
SECURITY = Security(method="controlled_environment", duties=("encryption", "deletion"))
OFFER = Offer(
    listing="L7",
    version=2,
    merchant="P3",
    product="D5",
    product_title="港口{闸口}流量",
    right="processing_use",
    deal="licence",
    purposes=("research", "risk_control"),
    territories=("CN-46",),
    field_group="core",
    term_days=365,
    mechanism="posted_price",
    supply="unlimited",
    price_fen=3_505,
    price_per_units=1_000,
    delivery_days=4,
    acceptance_days=5,
    redelivery_days=6,
)
HONEST = Declarations(
    for_foreign_judicial=False,
    reidentification_intent=False,
    human_research=False,
    related_disclosed=True,
    security_terms_accepted=True,
    log_retention_months=36,
)


def made(offer: Offer = OFFER, security: Security = SECURITY) -> contract.Contract:
    return contract.generate(NEWEST, offer, security)


def test_the_hash_is_over_the_canonical_form_with_both_texts() -> None:
    one = made()
    assert one.id == "L7-2"
    assert hashlib.sha256(one.form).hexdigest() == one.sha256
    form = json.loads(one.form)
    assert (form["zh"], form["en"]) == (one.zh, one.en)
    assert form["standard_terms"] == NEWEST.version
    assert form["offer"]["price_fen"] == "3505", "integers are decimal strings: no reader rounds them"
    again = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert again == one.form, "sorted keys, no spaces, UTF-8"


@pytest.mark.parametrize("name", Offer.__struct_fields__)
def test_every_field_of_the_offer_changes_the_hash(name: str) -> None:
    value = getattr(OFFER, name)
    other = {
        "right": "product_operation",
        "deal": "transfer",
        "version": 3,
        "term_days": 366,
        "tiers": (Tier(from_units=10, price_fen=3_000),),
        "per_buyer_units": 5,
        "plan": Text("计费方案", "a plan"),
    }.get(name) or (
        value + 1 if isinstance(value, int) else (*value, "x") if isinstance(value, tuple) else f"{value}x"
    )
    assert made(replace(OFFER, **{name: other})).sha256 != made().sha256


def test_each_clause_is_there_in_chinese_and_english_and_says_which_text_prevails() -> None:
    one = made()
    for language, text in (("zh", one.zh), ("en", one.en)):
        clauses = [clause for clause in NEWEST.clauses if clause.stands_in(OFFER)]
        assert 10 < len(clauses) < len(NEWEST.clauses)
        for number, clause in enumerate(clauses, 1):
            assert f"{number}. {getattr(clause.title, language)}" in text
        assert not re.search(r"\{[a-z_]+\}", text), "a place that nothing was put into"
    assert "以中文文本为准" in one.zh
    assert "the Chinese text prevails" in one.en
    assert "港口{闸口}流量" in one.zh, "a title is printed as it is"
    assert "35.05 元" in one.zh
    assert "35.05 CNY per 1000 unit(s)" in one.en


@pytest.mark.parametrize(
    ("deal", "words", "english"),
    [
        ("transfer", "所登记的权利转移给买方", "the registered right passes to the buyer"),
        ("pledge", "卖方为出质人，买方为质权人", "pledges the right above"),
    ],
)
def test_a_transfer_and_a_pledge_say_what_they_are(deal: str, words: str, english: str) -> None:
    """And nothing of a licence's term, which neither has; nor does a licence say anything of them."""
    one, licence = made(replace(OFFER, deal=deal)), made()
    assert (one.zh.count(words), one.en.count(english)) == (1, 1)
    assert words not in licence.zh
    for text in (one.zh, one.en):
        assert str(OFFER.term_days) not in text
        assert not re.search(r"\{[a-z_]+\}", text)
    numbers = [int(line.split(".")[0]) for line in one.zh.splitlines() if re.match(r"\d+\. ", line)]
    assert numbers == list(range(1, len(numbers) + 1)), "clauses are counted as they stand"
    assert str(OFFER.term_days) in licence.zh


SIGNED: dict[str, tuple[str, str]] = {
    "2026-1": (
        "7db74ca24431b64a10df676e0b5dcc9dff602c6d41dcc275ca9ddbc7a3581bd3",
        "7c72d4c3bba8b5c0bcb69038a47c73a31bb33a4ddf3d247b5f1a6aeb9054bcf1",
    ),
}
"""Version of the standard terms: SHA-256 of its file, and of the contract that it makes of `OFFER` as a transfer."""


@pytest.mark.parametrize("version", SIGNED)
def test_what_was_signed_under_earlier_terms_keeps_its_bytes(version: str) -> None:
    file = resources.files("clearing").joinpath(f"contract_terms/{version}.toml").read_bytes()
    again = contract.generate(TERMS[version], replace(OFFER, deal="transfer"), SECURITY)
    assert (hashlib.sha256(file).hexdigest(), again.sha256) == SIGNED[version]


def test_ndsr_12_method_and_duties_are_the_merchants_and_missing_ones_are_said_to_be_missing() -> None:
    """网络数据安全管理条例第十二条: 约定处理目的、方式、范围以及安全保护义务等."""
    assert "在卖方或本所的受控环境内处理" in made().zh
    assert "传输和存储加密、许可届满后删除并提供证明" in made().zh
    bare = made(security=Security())
    assert bare.zh.count("未约定") == 2
    assert bare.en.count("not agreed") == 2
    assert not Security(method="dataset").agreed
    assert not Security(duties=("audit",)).agreed
    assert SECURITY.agreed


@pytest.mark.parametrize(
    ("security", "accepted", "agreed"),
    [(SECURITY, True, True), (SECURITY, False, False), (Security(), True, False)],
)
def test_security_terms_need_the_merchants_clauses_and_the_buyers_word(
    security: Security, accepted: bool, agreed: bool
) -> None:
    declared = replace(HONEST, security_terms_accepted=accepted)
    assert contract.with_declared(TradeFacts(), security, declared).contract_security_terms is agreed


def test_declarations_become_the_facts_of_the_rules() -> None:
    facts = contract.with_declared(
        TradeFacts(purpose="research"),
        SECURITY,
        replace(HONEST, human_research=True, entrustment_sha256="ab" * 32),
    )
    assert facts.purpose == "research"
    assert (facts.human_research, facts.for_foreign_judicial, facts.reidentification_intent) == (
        True,
        False,
        False,
    )
    assert (facts.related_disclosed, facts.entrust_agreement, facts.log_retention_months) == (True, True, 36)
    told = {
        f"trade.{name}" for name in TradeFacts.__struct_fields__ if getattr(facts, name) is not msgspec.UNSET
    }
    assert told == {"trade.purpose", *contract.DECLARED_FACTS}


def test_what_is_signed_changes_with_every_declaration() -> None:
    def text(**changes: bool | int | str) -> str:
        return contract.signing_text("buyer", "P9", made().sha256, replace(HONEST, **changes))

    values = {name: getattr(HONEST, name) for name in Declarations.__struct_fields__}
    others = {
        name: not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else "ab" * 32
        for name, value in values.items()
    }
    texts = [text(), *(text(**{name: other}) for name, other in others.items())]
    assert len(set(texts)) == len(values) + 1
    assert text().isascii()
    as_merchant = contract.signing_text("merchant", "P3", made().sha256, SECURITY)
    assert as_merchant != contract.signing_text("merchant", "P3", made().sha256, Security())


def test_nothing_is_declared_by_saying_nothing() -> None:
    """Only the hash of an agreement may be left out, and then there is none."""
    with pytest.raises(msgspec.ValidationError, match="for_foreign_judicial"):
        msgspec.convert({}, Declarations)


def test_a_file_that_does_not_fit_is_named() -> None:
    text = resources.files("clearing").joinpath(f"contract_terms/{NEWEST.version}.toml").read_text("utf-8")
    with pytest.raises(ValueError, match=r"2026-9\.toml.*calls itself"):
        contract._read("2026-9.toml", text)
    with pytest.raises(ValueError, match=r"contract_terms.*listng"):
        contract._read(f"{NEWEST.version}.toml", text.replace("{listing}", "{listng}"))
    with pytest.raises(ValueError, match="no words for audit"):
        contract._read(f"{NEWEST.version}.toml", re.sub(r"\naudit = .*", "", text))
    with pytest.raises(ValueError, match="no such deal as lease"):
        contract._read(f"{NEWEST.version}.toml", text.replace('deals = ["pledge"]', 'deals = ["lease"]'))
