"""The contract of a trade: generated from a listing by versioned standard terms, readable, and hashed.

A contract belongs to one version of a listing. Its canonical form holds what the listing offers, the merchant's security
clauses and the whole text in Chinese and English; the Chinese text prevails. Its SHA-256 is what both sides sign, each
together with its own declarations, so that neither text nor declaration can be exchanged afterwards. The venue holds no
key of theirs: a signature is checked at the door (`exchange/web/contracts.py`), once a contract and never once a trade.

    网络数据安全管理条例第十二条: whoever provides personal information or important data to another processor agrees by
    contract on 处理目的、方式、范围以及安全保护义务 and watches that they are met.

Purpose and scope are always there, from the listing; method and duties are the merchant's to say. Where they are missing
the contract prints 未约定, and the fact `trade.contract_security_terms` is false.
"""

import hashlib
from importlib import resources
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from clearing.money import Tier
from clearing.notrade import Text, TradeFacts

Side = Literal["merchant", "buyer"]
Method = Literal["", "dataset", "interface", "controlled_environment", "computation"]
Duty = Literal[
    "encryption",
    "access_control",
    "deidentification",
    "incident_notice",
    "no_onward_provision",
    "deletion",
    "audit",
]
METHODS: Final[tuple[str, ...]] = get_args(Method)
DUTIES: Final[tuple[str, ...]] = get_args(Duty)
MOST_MONTHS: Final = 1_200


class Security(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the merchant's signature declares: the clauses of 处理方式 and 安全保护义务. Empty is 未约定."""

    method: Method = ""
    duties: tuple[Duty, ...] = ()

    @property
    def agreed(self) -> bool:
        return bool(self.method and self.duties)


class Declarations(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only the buyer can state; signed with the contract. Each is said: nothing has a default in the buyer's favour.

    `log_retention_months`: how long access logs are kept. `entrustment_sha256`: SHA-256 of the entrustment agreement
    (委托协议) where there is one, else empty.
    """

    for_foreign_judicial: bool
    reidentification_intent: bool
    human_research: bool
    related_disclosed: bool
    security_terms_accepted: bool
    log_retention_months: int
    entrustment_sha256: str = ""


class Offer(Struct, frozen=True, kw_only=True):
    """What a listing offers, as it enters the contract. Money in fen; `version` counts the listing's contracts.

    What is not set is not in the form: contracts from before there was such a thing keep their hashes.
    """

    listing: str
    version: int
    merchant: str
    product: str
    product_title: str
    right: str
    deal: str
    purposes: tuple[str, ...]
    territories: tuple[str, ...]
    field_group: str
    term_days: int
    mechanism: str
    supply: str
    price_fen: int
    price_per_units: int
    delivery_days: int
    acceptance_days: int
    redelivery_days: int
    tiers: tuple[Tier, ...] | UnsetType = UNSET
    per_buyer_units: int | UnsetType = UNSET
    plan: Text | UnsetType = UNSET
    """Of a metered listing, in words."""


class Clause(Struct, frozen=True, forbid_unknown_fields=True):
    """`text` has places for the words of the offer; `source` is the clause of law that it answers, in Chinese.

    `deals`: the kinds of deal in whose contracts it stands; none: in all. `where`: the field of the offer that has to say
    something for it to stand; empty: it always does.
    """

    id: str
    title: Text
    text: Text
    source: str = ""
    deals: tuple[str, ...] = ()
    where: str = ""

    def stands_in(self, offer: Offer) -> bool:
        said = not self.where or bool(getattr(offer, self.where))
        return said and (not self.deals or offer.deal in self.deals)


class StandardTerms(Struct, frozen=True, forbid_unknown_fields=True, rename={"clauses": "clause"}):
    """One version of the venue's standard terms, as its file in `clearing/contract_terms` says it.

    `tier` is how one tier of a posted price is printed; the versions that know none have no such clause.
    """

    version: str
    title: Text
    no_merchant_clause: Text
    particulars: Text
    words: dict[str, dict[str, Text]]
    clauses: tuple[Clause, ...]
    tier: Text | None = None


class Particulars(Struct, frozen=True, kw_only=True):
    """What an order and its fill add to the contract. Money in fen."""

    trade: str
    contract: str
    contract_sha256: str
    buyer: str
    seller: str
    quantity: int
    price_fen: int
    price_per_units: int
    amount_fen: int
    purpose: str
    territory: str
    buyer_signature: str
    merchant_signature: str


class Contract(Struct, frozen=True):
    """A generated contract: `form` is the canonical JSON that `sha256` (hex) is over, `zh` and `en` its text."""

    id: str
    sha256: str
    terms_version: str
    form: bytes
    zh: str
    en: str


def load() -> dict[str, StandardTerms]:
    """All versions of the standard terms, oldest first. Package data, read once at start-up.

    Raises ValueError with the file where one does not fit its shape, names itself otherwise, or lacks a word or place.
    """
    folder = resources.files("clearing").joinpath("contract_terms")
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda one: one.name
    )
    return {
        name.removesuffix(".toml"): _read(name, text)
        for name, text in ((one.name, one.read_text("utf-8")) for one in files)
    }


def _read(name: str, text: str) -> StandardTerms:
    try:
        terms = msgspec.toml.decode(text, type=StandardTerms)
        for deal in _deals_of(terms):
            for offer in (_SPECIMEN, _TIERED_SPECIMEN, _METERED_SPECIMEN):
                specimen = msgspec.structs.replace(offer, deal=deal)
                generate(terms, specimen, Security(method="dataset", duties=("encryption",)))
        particulars(terms, _SPECIMEN_TRADE)
    except (msgspec.MsgspecError, KeyError, IndexError, ValueError) as error:
        raise ValueError(f"clearing/contract_terms/{name}: {error!r}") from error
    if name != f"{terms.version}.toml":
        raise ValueError(f"clearing/contract_terms/{name}: it calls itself {terms.version}")
    lacking = [
        word
        for word in (*METHODS[1:], *DUTIES)
        if word not in {**terms.words["method"], **terms.words["duty"]}
    ]
    if lacking:
        raise ValueError(f"clearing/contract_terms/{name}: no words for {', '.join(lacking)}")
    return terms


def _deals_of(terms: StandardTerms) -> list[str]:
    """Every kind of deal that it has a word for. Raises ValueError for a clause of another kind."""
    known = list(terms.words["deal"])
    for clause in terms.clauses:
        if strange := [deal for deal in clause.deals if deal not in known]:
            raise ValueError(
                f"clause {clause.id}: no such deal as {', '.join(strange)}; use {', '.join(known)}"
            )
    return known


def contract_id(listing: str, version: int) -> str:
    """As in L12-1: the first contract of listing L12."""
    return f"{listing}-{version}"


def generate(terms: StandardTerms, offer: Offer, security: Security) -> Contract:
    """The contract of one version of a listing. The same inputs give the same bytes. About 0.1 ms."""
    zh, en = (_printed(terms, offer, security, language) for language in ("zh", "en"))
    form = canonical(
        {
            "standard_terms": terms.version,
            "offer": msgspec.to_builtins(offer),
            "security": msgspec.to_builtins(security),
            "zh": zh,
            "en": en,
        }
    )
    identifier = contract_id(offer.listing, offer.version)
    return Contract(identifier, hashlib.sha256(form).hexdigest(), terms.version, form, zh, en)


def particulars(terms: StandardTerms, trade: Particulars) -> Contract:
    """A trade's own part of its contract, in the same form: its hash covers the contract's."""
    words = {name: str(getattr(trade, name)) for name in trade.__struct_fields__}
    words |= {"price": yuan(trade.price_fen), "amount": yuan(trade.amount_fen)}
    zh, en = (text.strip().format_map(words) + "\n" for text in (terms.particulars.zh, terms.particulars.en))
    form = canonical(
        {"standard_terms": terms.version, "trade": msgspec.to_builtins(trade), "zh": zh, "en": en}
    )
    return Contract(trade.contract, hashlib.sha256(form).hexdigest(), terms.version, form, zh, en)


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def canonical(content: Any) -> bytes:
    """JSON with sorted keys and no spaces, integers as decimal strings (RFC 8785 for keys of ASCII, as all are here)."""
    return msgspec.json.encode(_without_numbers(content), order="sorted")


def _without_numbers(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_numbers(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_numbers(value) for value in content]
    return str(content) if isinstance(content, int) and not isinstance(content, bool) else content


# ---- signing


def declared_sha256(declared: Security | Declarations) -> str:
    """SHA-256 (hex) of the canonical form of what one side declares."""
    return hashlib.sha256(canonical(msgspec.to_builtins(declared))).hexdigest()


def signing_text(
    side: Side, participant: str, contract_sha256: str, declared: Security | Declarations
) -> str:
    """The ASCII text that a party signs: who, as what, which contract, with which declarations."""
    return f"shuji-contract:{side}:{participant}:{contract_sha256}:{declared_sha256(declared)}"


# ---- facts


def with_declared(trade: TradeFacts, security: Security, declared: Declarations) -> TradeFacts:
    """The facts of a trade under a contract that both sides have signed. Terms a buyer did not accept bind nobody."""
    return msgspec.structs.replace(
        trade,
        contract_security_terms=security.agreed and declared.security_terms_accepted,
        for_foreign_judicial=declared.for_foreign_judicial,
        reidentification_intent=declared.reidentification_intent,
        human_research=declared.human_research,
        related_disclosed=declared.related_disclosed,
        entrust_agreement=bool(declared.entrustment_sha256),
        log_retention_months=declared.log_retention_months,
    )


DECLARED_FACTS: Final = (
    "trade.contract_security_terms",
    "trade.for_foreign_judicial",
    "trade.reidentification_intent",
    "trade.human_research",
    "trade.related_disclosed",
    "trade.entrust_agreement",
    "trade.log_retention_months",
)
"""Unknown until merchant and buyer have signed the listing's contract."""


# ---- text


def _printed(terms: StandardTerms, offer: Offer, security: Security, language: str) -> str:
    words = _words_of(terms, offer, security, language)
    lines = [getattr(terms.title, language), ""]
    clauses = [clause for clause in terms.clauses if clause.stands_in(offer)]
    for number, clause in enumerate(clauses, 1):
        text = getattr(clause.text, language).format_map(words)
        source = f"（{clause.source}）" if clause.source else ""
        title = getattr(clause.title, language)
        lines.append(f"{number}. {title}{source if language == 'zh' else ''}")
        lines.append(text + (f" ({clause.source})" if language == "en" and clause.source else ""))
    return "\n".join(lines) + "\n"


def _words_of(terms: StandardTerms, offer: Offer, security: Security, language: str) -> dict[str, str]:
    words = {name: str(getattr(offer, name)) for name in offer.__struct_fields__}
    comma = "、" if language == "zh" else ", "
    nothing = getattr(terms.no_merchant_clause, language)

    def said(kind: str, value: str) -> str:
        return str(getattr(terms.words[kind][value], language)) if value else nothing

    return words | {
        "right": said("right", offer.right),
        "deal": said("deal", offer.deal),
        "method": said("method", security.method),
        "duties": comma.join(said("duty", duty) for duty in security.duties) or nothing,
        "purposes": comma.join(offer.purposes),
        "territories": comma.join(offer.territories),
        "price": yuan(offer.price_fen),
        "tiers": comma.join(_tier_words(terms, offer, language)),
        "plan": "" if isinstance(offer.plan, UnsetType) else getattr(offer.plan, language),
    }


def _tier_words(terms: StandardTerms, offer: Offer, language: str) -> list[str]:
    if offer.tiers is UNSET or terms.tier is None:
        return []
    words: str = getattr(terms.tier, language)
    return [words.format(from_units=tier.from_units, price=yuan(tier.price_fen)) for tier in offer.tiers]


_SPECIMEN: Final = Offer(
    listing="L1",
    version=1,
    merchant="P1",
    product="D1",
    product_title="",
    right="processing_use",
    deal="licence",
    purposes=("research",),
    territories=("CN",),
    field_group="core",
    term_days=1,
    mechanism="posted_price",
    supply="unlimited",
    price_fen=0,
    price_per_units=1,
    delivery_days=1,
    acceptance_days=1,
    redelivery_days=1,
)
_TIERED_SPECIMEN: Final = msgspec.structs.replace(
    _SPECIMEN, tiers=(Tier(from_units=2, price_fen=0),), per_buyer_units=1
)
_METERED_SPECIMEN: Final = msgspec.structs.replace(_SPECIMEN, plan=Text("plan", "plan"))
_SPECIMEN_TRADE: Final = Particulars(
    trade="T1",
    contract="L1-1",
    contract_sha256="",
    buyer="P2",
    seller="P1",
    quantity=1,
    price_fen=0,
    price_per_units=1,
    amount_fen=0,
    purpose="research",
    territory="CN",
    buyer_signature="L1-1-P2-1",
    merchant_signature="L1-1-P1",
)
