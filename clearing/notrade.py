"""The no-trade rules: facts in, a verdict with every reason out.

A rule is data (`clearing/rulebook/*.toml`): when it applies, when it is violated, what that means (reject,
hold, a duty after the trade), on which article it stands and whom that article binds. This module holds the
facts that rules may read, loads and compiles the rules, judges, and prints refusals.

Unknown never allows. A fact that is missing, of the wrong type, or outside its list is unknown, and a rule
that needs it is unknown too, unless the rest already decides it (Kleene's three-valued logic). The verdict is
the first that fits of: reject, indeterminate, hold, breach (after the trade only), allow. Every rule of the
phase is judged and every reason is returned.

A rule about a thing that cannot exist yet waits for a later phase: the licence terms and the buyer before the
order, the registration at registration, the counterparty of a resting order, and what that counterparty brings
with it (its declarations, the licences that others hold, its country). From match on nothing waits.

The rules of a phase are split by the register they read (`Part`), so that the venue can keep a listing's, a
seller's and a buyer's finding until that register changes or `Finding.changes_at` passes, and judge only the
pair for each fill. Cost of all 88 rules: about 1 us for the pair and the conclusion, about 10 us for everything
(`loadtests/bench_rules.py`).
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, cast, get_args

import msgspec
from msgspec import UNSET, UnsetType

from clearing import expression
from clearing.evidence import canonical
from clearing.expression import Fact, Kind, Node, Vocabulary

# ---- facts ----------------------------------------------------------------------------------------------

Instant = Annotated[int, Kind("time")]  # UTC nanoseconds
Fen = Annotated[int, Kind("number", "fen")]
Units = Annotated[int, Kind("number", "units")]
Percent = Annotated[int, Kind("number", "percent")]
Level = Annotated[int, Kind("number", "security level")]
Months = Annotated[int, Kind("number", "months")]
Years = Annotated[int, Kind("number", "years")]
WorkingDays = Annotated[int, Kind("number", "working days")]
TradingDays = Annotated[int, Kind("number", "trading days")]
People = Annotated[int, Kind("number", "people")]
Nanoseconds = Annotated[int, Kind("number", "nanoseconds")]

ParticipantId = Annotated[str, Kind("text", "participant")]
OwnerId = Annotated[str, Kind("text", "ultimate owner")]
GroupId = Annotated[str, Kind("text", "group")]
ProductId = Annotated[str, Kind("text", "product")]
TradeId = Annotated[str, Kind("text", "trade")]
BoardId = Annotated[str, Kind("text", "board")]
Purpose = Annotated[str, Kind("text", "purpose")]
Region = Annotated[str, Kind("text", "region")]
FieldGroup = Annotated[str, Kind("text", "field group")]

Phase = Literal["registration", "listing", "order", "match", "clearing", "post_trade"]
Right = Literal["resource_holding", "processing_use", "product_operation"]
Deal = Literal["licence", "exclusive_licence", "transfer", "pledge"]
Suspicion = Literal["confirmed", "none", "suspected"]
Standing = Literal["active", "suspended", "closed"]
Mechanism = Literal[
    "anonymous", "call_auction", "continuous_auction", "electronic_matching", "lawful_auction",
    "market_maker", "metered", "negotiated", "off_venue", "posted_price", "quote", "sealed_bid", "tender",
]  # fmt: skip
PHASES: tuple[Phase, ...] = get_args(Phase)


class VenueFacts(msgspec.Struct, frozen=True, gc=False):
    """The venue itself. `jurisdiction` is where it is licensed, for example CN-46."""

    jurisdiction: Region | UnsetType = UNSET
    central_trading_approved: bool | UnsetType = UNSET


class ProductFacts(msgspec.Struct, frozen=True, gc=False):
    """The data product: its class and grade, its origin, what personal information is in it."""

    id: ProductId | UnsetType = UNSET
    board: BoardId | UnsetType = UNSET
    origin: Literal["enterprise", "personal", "public"] | UnsetType = UNSET
    data_class: Literal["core", "general", "important"] | UnsetType = UNSET
    pi_state: Literal["anonymised", "deidentified", "identifiable", "none"] | UnsetType = UNSET
    sensitive_pi: bool | UnsetType = UNSET
    under14: bool | UnsetType = UNSET
    directly_identifying: bool | UnsetType = UNSET
    secret_kind: Literal["none", "state", "trade", "work"] | UnsetType = UNSET
    secret_owner_consent: bool | UnsetType = UNSET
    human_genetic: bool | UnsetType = UNSET
    public_risk: Suspicion | UnsetType = UNSET
    third_party_harm: Suspicion | UnsetType = UNSET
    export_controlled: bool | UnsetType = UNSET
    risk_assessment_done: bool | UnsetType = UNSET
    reid_test_passed: bool | UnsetType = UNSET
    anon_report_until: Instant | UnsetType = UNSET
    pia_done: bool | UnsetType = UNSET
    emergency_collected: bool | UnsetType = UNSET
    open_class: Literal["not_applicable", "unconditional", "conditional", "not_open"] | UnsetType = UNSET
    declassified: bool | UnsetType = UNSET
    raw_leaves_domain: bool | UnsetType = UNSET
    redeveloped: bool | UnsetType = UNSET
    required_security_level: Level | UnsetType = UNSET
    licence_required: bool | UnsetType = UNSET
    judicial_freeze: bool | UnsetType = UNSET
    storage_region: Region | UnsetType = UNSET
    sm_crypto: bool | UnsetType = UNSET
    medical_records: bool | UnsetType = UNSET
    face_plate_video: bool | UnsetType = UNSET
    ip_registered: bool | UnsetType = UNSET
    derived: bool | UnsetType = UNSET
    right_holders_agree: bool | UnsetType = UNSET


Channel = Literal[
    "authorised_operation", "crawled", "gov_sharing", "open_platform_conditional", "self_generated"
]


class SourceFacts(msgspec.Struct, frozen=True, gc=False):
    """Where the data comes from."""

    channel: Channel | UnsetType = UNSET
    lawfulness: Literal["lawful", "unknown", "unlawful"] | UnsetType = UNSET
    bypassed_controls: bool | UnsetType = UNSET
    statement_filed: bool | UnsetType = UNSET
    sharing_provider_consent: bool | UnsetType = UNSET
    operation_until: Instant | UnsetType = UNSET


CertificateStatus = Literal["cancelled", "expired", "none", "pending", "registered", "revoked", "suspended"]


class RegistrationFacts(msgspec.Struct, frozen=True, gc=False):
    """The registration certificate; it proves registration here, not ownership."""

    status: CertificateStatus | UnsetType = UNSET
    valid_until: Instant | UnsetType = UNSET
    holder_id: ParticipantId | UnsetType = UNSET
    objection_pending: bool | UnsetType = UNSET
    pledged: bool | UnsetType = UNSET
    pledgee_consent: bool | UnsetType = UNSET
    rights: tuple[Right, ...] | frozenset[Right] | UnsetType = UNSET


class AuthFacts(msgspec.Struct, frozen=True, gc=False):
    """What the lawful right-holder has authorised."""

    status: Literal["disputed", "granted", "none", "withdrawn"] | UnsetType = UNSET
    valid_from: Instant | UnsetType = UNSET
    valid_until: Instant | UnsetType = UNSET
    purposes: tuple[Purpose, ...] | frozenset[Purpose] | UnsetType = UNSET
    territories: tuple[Region, ...] | frozenset[Region] | UnsetType = UNSET
    field_groups: tuple[FieldGroup, ...] | frozenset[FieldGroup] | UnsetType = UNSET
    sublicensable: bool | UnsetType = UNSET
    blanket: bool | UnsetType = UNSET
    deals: tuple[Deal, ...] | frozenset[Deal] | UnsetType = UNSET


Basis = Literal["general_consent", "none", "separate_consent", "statutory", "written_separate"]


class ConsentFacts(msgspec.Struct, frozen=True, gc=False):
    """What the persons behind personal information have agreed to."""

    basis: Basis | UnsetType = UNSET
    obtained_by: Literal["bundled", "coerced", "free", "misleading"] | UnsetType = UNSET
    purposes: tuple[Purpose, ...] | frozenset[Purpose] | UnsetType = UNSET
    coverage_pct: Percent | UnsetType = UNSET
    recipient_named: bool | UnsetType = UNSET
    withdrawn: bool | UnsetType = UNSET
    withdrawn_removed: bool | UnsetType = UNSET
    guardian: bool | UnsetType = UNSET
    valid_until: Instant | UnsetType = UNSET
    cross_border_separate: bool | UnsetType = UNSET


class SellerFacts(msgspec.Struct, frozen=True, gc=False):
    """The selling participant and its credential."""

    id: ParticipantId | UnsetType = UNSET
    ubo_id: OwnerId | UnsetType = UNSET
    group_id: GroupId | UnsetType = UNSET
    status: Standing | UnsetType = UNSET
    credential: Literal["none", "registered", "accredited", "suspended", "revoked"] | UnsetType = UNSET
    credential_until: Instant | UnsetType = UNSET
    credit_ban: bool | UnsetType = UNSET
    recorded_licensee: bool | UnsetType = UNSET
    special_licence: bool | UnsetType = UNSET
    is_venue_operator: bool | UnsetType = UNSET
    compliance_veto: bool | UnsetType = UNSET
    public_operator: bool | UnsetType = UNSET
    ciio: bool | UnsetType = UNSET


class BuyerFacts(msgspec.Struct, frozen=True, gc=False):
    """The buying participant."""

    id: ParticipantId | UnsetType = UNSET
    ubo_id: OwnerId | UnsetType = UNSET
    group_id: GroupId | UnsetType = UNSET
    status: Standing | UnsetType = UNSET
    identity_verified: bool | UnsetType = UNSET
    credit_ban: bool | UnsetType = UNSET
    restricted_list: Literal["export_control", "none", "pipl_42"] | UnsetType = UNSET
    security_level: Level | UnsetType = UNSET
    region: Region | UnsetType = UNSET


class TradeFacts(msgspec.Struct, frozen=True, gc=False):
    """The trade: the instrument's terms, then what only this pair and this moment bring.

    `term_ns`, where set, says that `term_until` is `now + term_ns`: the last possible end of a licence sold
    now runs ahead of the clock, and a kept finding is dated accordingly.
    """

    id: TradeId | UnsetType = UNSET
    purpose: Purpose | UnsetType = UNSET
    territory: Region | UnsetType = UNSET
    field_group: FieldGroup | UnsetType = UNSET
    right: Right | UnsetType = UNSET
    deal: Deal | UnsetType = UNSET
    mechanism: Mechanism | UnsetType = UNSET
    term_until: Instant | UnsetType = UNSET
    term_ns: Nanoseconds | UnsetType = UNSET
    is_resale: bool | UnsetType = UNSET
    other_exclusive_active: bool | UnsetType = UNSET
    other_nonexclusive_active: bool | UnsetType = UNSET
    buyer_accepts_prior: bool | UnsetType = UNSET
    cross_border: bool | UnsetType = UNSET
    export_licence: bool | UnsetType = UNSET
    for_foreign_judicial: bool | UnsetType = UNSET
    foreign_judicial_approved: bool | UnsetType = UNSET
    contract_security_terms: bool | UnsetType = UNSET
    reidentification_intent: bool | UnsetType = UNSET
    related_disclosed: bool | UnsetType = UNSET
    trading_days_since_opposite: TradingDays | UnsetType = UNSET
    split_rights: bool | UnsetType = UNSET
    holder_count_after: People | UnsetType = UNSET
    dominance_flag: bool | UnsetType = UNSET
    human_research: bool | UnsetType = UNSET
    ethics_review: Literal["approved", "expired", "none", "pending", "rejected"] | UnsetType = UNSET
    entrust_agreement: bool | UnsetType = UNSET
    security_evaluated: bool | UnsetType = UNSET
    log_retention_months: Months | UnsetType = UNSET


class PriceFacts(msgspec.Struct, frozen=True, gc=False):
    """The price of this fill. All amounts are per the same `per_units`, so comparing them is exact."""

    regime: Literal["cost_recovery", "gov_guided", "market"] | UnsetType = UNSET
    unit_fen: Fen | UnsetType = UNSET
    floor_fen: Fen | UnsetType = UNSET
    cap_fen: Fen | UnsetType = UNSET
    per_units: Units | UnsetType = UNSET


ExportRoute = Literal["certification", "none", "security_assessment", "standard_contract"]


class CrossBorderFacts(msgspec.Struct, frozen=True, gc=False):
    """How data may leave the country; `xb` in a rule."""

    route: ExportRoute | UnsetType = UNSET
    assessment_until: Instant | UnsetType = UNSET
    scope_matches: bool | UnsetType = UNSET
    ytd_pi: People | UnsetType = UNSET
    ytd_sensitive: People | UnsetType = UNSET
    ftz: bool | UnsetType = UNSET
    in_negative_list: bool | UnsetType = UNSET
    exempt_basis: Literal["contract", "emergency", "hr", "none", "offshore_origin"] | UnsetType = UNSET


class PostFacts(msgspec.Struct, frozen=True, gc=False):
    """What has happened since the trade settled."""

    filing_done: bool | UnsetType = UNSET
    working_days_since: WorkingDays | UnsetType = UNSET
    retention_years: Years | UnsetType = UNSET
    term_ended: bool | UnsetType = UNSET
    deletion_proven: bool | UnsetType = UNSET
    observed_purpose: Purpose | UnsetType = UNSET
    consent_withdrawn_after: bool | UnsetType = UNSET
    stop_and_delete_done: bool | UnsetType = UNSET


class Facts(msgspec.Struct, frozen=True, gc=False):
    """Everything a rule may read at one instant of one phase.

    None is a thing that cannot exist yet: a rule that needs it waits, and from match on is unknown. UNSET in
    a field is unknown at once, but for the trade and the buyer before the order, whose open fields wait, and
    for what of the trade depends on a buyer who is not known yet.
    """

    phase: str
    now: int | UnsetType
    venue: VenueFacts | None = None
    product: ProductFacts | None = None
    source: SourceFacts | None = None
    registration: RegistrationFacts | None = None
    auth: AuthFacts | None = None
    consent: ConsentFacts | None = None
    seller: SellerFacts | None = None
    buyer: BuyerFacts | None = None
    trade: TradeFacts | None = None
    price: PriceFacts | None = None
    xb: CrossBorderFacts | None = None
    post: PostFacts | None = None


VOCABULARY = expression.vocabulary(Facts)
SECTIONS = expression.sections(Facts)


def vocabulary_of(boards: Collection[str] = ()) -> Vocabulary:
    """The facts' kinds; with the ids of the boards that are configured, `product.board` is one of these."""
    configured = tuple(sorted(boards))
    if not configured:
        return VOCABULARY
    return {**VOCABULARY, "product.board": Kind("choice", "board", configured)}


TERMS = {"trade.term_until": "trade.term_ns"}  # dates that run ahead of the clock, with their term


# ---- findings and verdicts ------------------------------------------------------------------------------

Unknown = tuple[str, tuple[str, ...]]
Outcome = Literal["allow", "hold", "reject", "indeterminate", "breach"]


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What one part of the rulebook says of the facts that it reads.

    `violated` are rule ids, `unknown` pairs a rule with the facts that it misses. `changes_at` is the first
    instant (UTC ns) after `now` at which time alone may change this finding; None is never.
    """

    violated: tuple[str, ...]
    unknown: tuple[Unknown, ...]
    changes_at: int | None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The outcome and every reason, sorted by rule; `Rulebook.rules` tells reject from hold."""

    outcome: Outcome
    violated: tuple[str, ...]
    unknown: tuple[Unknown, ...]


CLEAN = Finding((), (), None)  # nothing violated, unknown or changing: compare by identity
ALLOW = Verdict("allow", (), ())  # the only verdict that allows: compare by identity


# ---- rules as data --------------------------------------------------------------------------------------

RuleClass = Literal["reject", "hold", "post_trade_obligation"]
Authority = Literal[
    "law", "regulation", "department_rule", "local_regulation", "normative_document", "standard", "policy", "guide",
    "venue_rule",
]  # fmt: skip
# Whom a source addresses. `everyone` and `venue` are met by any trade here, the others by `capacities`.
Whom = Literal[
    "everyone", "venue", "personal_information_handler", "important_data_handler", "public_data_holder",
    "public_data_operator", "conditional_data_recipient", "shared_data_recipient", "health_institution",
    "enterprise", "government",
]  # fmt: skip
# A recommended standard, a policy paper and a guide oblige no trader; a rule with only these is the venue's own,
# modelled on them.
NOT_BINDING: tuple[Authority, ...] = ("standard", "policy", "guide")
AUTHORITY_ZH: dict[Authority, str] = {
    "law": "法律",
    "regulation": "行政法规",
    "department_rule": "部门规章",
    "local_regulation": "地方性法规",
    "normative_document": "规范性文件",
    "standard": "推荐性国家标准",
    "policy": "政策文件",
    "guide": "工作指引",
    "venue_rule": "本所规则",
}


class RulebookError(ValueError):
    """The rulebook's files are wrong; the message starts with the file, and the line where there is one."""


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence in both languages."""

    zh: str
    en: str


class Citation(msgspec.Struct, frozen=True):
    """One article that a rule stands on.

    `article` is short, as in `30(2)`; `clause` spells it out. `quote` is the clause itself where the digest
    prints it, else empty. `direct` says that the article itself forbids what the rule forbids; one that only
    lends support never binds. `where` is CN or a place in it (CN-46, CN-4403); it reaches everything inside.
    Dates are the first and the last day in force, Beijing time. `confidence` says how it was checked.
    """

    source_zh: str
    source_en: str
    title_zh: str
    article: str
    clause: str
    quote: str
    authority: Authority
    where: str
    whom: Whom
    direct: bool
    effective_from: date
    effective_until: date | None
    confidence: str

    @property
    def zh(self) -> str:
        """As in the draft's citations: 江西省数据应用条例30(2)."""
        return self.source_zh + self.article

    @property
    def en(self) -> str:
        return f"{self.source_en} {self.article}".rstrip()

    def binds(self, jurisdiction: str, at_ns: int, capacities: Sequence[str]) -> bool:
        """Whether it forbids this to those present, in this place, at this instant."""
        return (
            self.direct
            and self.authority not in NOT_BINDING
            and jurisdiction.startswith(self.where)
            and self.whom in capacities
            and self._in_force(at_ns)
        )

    def _in_force(self, at_ns: int) -> bool:
        until = self.effective_until
        return _midnight(self.effective_from) <= at_ns and (
            until is None or at_ns < _midnight(until + timedelta(days=1))
        )


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A case that must come out so: a base context, some facts set (`__missing__` removes one), the verdict.

    `kind` says what it shows; `rules` are the ids of all violated rules.
    """

    kind: Literal["violated", "near_miss", "boundary", "unknown", "waits"]
    base: str
    verdict: Outcome
    rules: tuple[str, ...] = ()
    set: dict[str, Any] = {}


Bringer = Literal["seller", "buyer"]
Confirmer = Literal["reviewer", "compliance", "security", "valuation", "notary", "ethics"]
"""The venue's reviewer, or an accredited provider of that kind."""


class Cure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who must do what so that a hold can settle.

    Each of `brings` brings the rule's evidence, and has broken its word if it does not. One of `confirms` holds
    it against the file; with none, the word of those who bring it is enough.
    """

    brings: tuple[Bringer, ...]
    confirms: tuple[Confirmer, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """A rule as the venue holds it. `file` and `theme` say where it is written.

    `evidence` is what cures it: of a hold, what settles the held trade; of a refusal, what a new trade needs.
    Every hold has `cured_by`; a refusal has none, for it is not undone.
    """

    id: str
    kind: RuleClass
    phases: tuple[Phase, ...]
    applies_when: str
    violated_when: str
    evidence: Text
    message: Text
    citations: tuple[Citation, ...]
    examples: tuple[Example, ...]
    facts: tuple[str, ...]
    file: str
    theme: Text
    cured_by: Cure | None = None

    @property
    def citation_zh(self) -> str:
        """All its articles, binding here or not, in one string."""
        return ";".join(citation.zh for citation in self.citations)


class Grounds(msgspec.Struct, frozen=True):
    """Why a trade is refused: the articles that bind here and now, and the reason ready to print.

    With none binding, `modelled_on` holds the articles that the venue's own rule follows.
    """

    rule: str
    binding: tuple[Citation, ...]
    modelled_on: tuple[Citation, ...]
    zh: str
    en: str


# ---- the rulebook ---------------------------------------------------------------------------------------

Register = Literal["listing", "seller", "buyer", "trade", "pair"]
"""What a rule reads: one register alone; or the trade and its listing; or a party beside other things."""
REGISTERS: tuple[Register, ...] = get_args(Register)
_LISTING_SECTIONS = ("product", "source", "registration", "auth", "consent", "venue", "price")
_INSTRUMENT = (
    "trade.purpose", "trade.territory", "trade.field_group", "trade.right", "trade.deal", "trade.mechanism",
    "trade.term_until", "trade.term_ns",
)  # fmt: skip
_WAITING_PHASES = ("registration", "listing", "order")
_BEFORE_THE_ORDER = ("registration", "listing")
_OF_THE_BUYER = (
    "consent.recipient_named", "trade.buyer_accepts_prior", "trade.contract_security_terms", "trade.cross_border",
    "trade.dominance_flag", "trade.entrust_agreement", "trade.ethics_review", "trade.export_licence",
    "trade.for_foreign_judicial", "trade.foreign_judicial_approved", "trade.holder_count_after",
    "trade.human_research", "trade.log_retention_months", "trade.other_exclusive_active",
    "trade.other_nonexclusive_active", "trade.reidentification_intent", "trade.related_disclosed",
    "trade.security_evaluated", "trade.trading_days_since_opposite",
)  # fmt: skip
"""What a fill's buyer brings, declares or changes: not there yet while a sell order rests."""
_OF_THE_SELLER = ("trade.is_resale", "trade.related_disclosed", "trade.trading_days_since_opposite")
"""What depends on who sells: not there yet while a buy order rests."""


class Part(msgspec.Struct, frozen=True):
    """The rules of one phase that read one register; `find` is compiled for just these."""

    phase: Phase
    register: Register
    rules: tuple[str, ...]
    find: Callable[[Facts], Finding]


class _Compiled(msgspec.Struct, frozen=True):
    """A rule ready to run: where it stands, and what to look at when it is neither kept nor violated."""

    rule: Rule
    applies: Node
    violated: Node
    is_violated: Callable[[Facts], bool]
    reads: tuple[tuple[Fact, str, str], ...]  # (fact, section, field)
    sections: tuple[str, ...]
    register: Register
    does_not_apply: Callable[[Facts], bool]
    is_kept: Callable[[Facts], bool]


class Rulebook:
    """The rules, compiled. `sha256` is over what the rules say, so it names the rulebook in every verdict.

    `boards` are the ids of those configured, as in `load`; `texts` its files by name and `narrowings` what was added
    to rules since. `text_sha256` is over these two to the byte: what a change of the rulebook is written over.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        bases: Mapping[str, dict[str, Any]] | None = None,
        boards: Collection[str] = (),
        texts: Mapping[str, str] | None = None,
        narrowings: "Sequence[Narrowing]" = (),
    ) -> None:
        ordered = sorted(rules, key=lambda rule: rule.id)
        self.rules = {rule.id: rule for rule in ordered}
        self.bases = dict(bases or {})
        self.boards = tuple(boards)
        self.texts = dict(texts or {})
        self.narrowings = tuple(narrowings)
        self.sha256 = _digest(ordered)
        self.text_sha256 = _digest_of_texts(self.texts, self.narrowings)
        known = vocabulary_of(boards)
        compiled = self._compiled = [_compile_rule(rule, known) for rule in ordered]
        self._parts = {
            (phase, register): _compile_part(phase, register, compiled, known)
            for phase in PHASES
            for register in REGISTERS
        }
        self._phases = {
            phase: tuple(self._parts[phase, register].find for register in REGISTERS) for phase in PHASES
        }

    def edited(self, files: Mapping[str, str], narrowings: "Sequence[Narrowing]" = ()) -> "Rulebook":
        """This rulebook with these files in it, and these narrowings alone. Raises RulebookError."""
        return of_texts({**self.texts, **files}, narrowings, boards=self.boards)

    def coverage(self, facts: Facts) -> dict[str, str]:
        """Rule of the phase: `fired`, `passed`, `not_applicable` or `unknown` on these facts; about 30 us."""
        found: dict[str, str] = {}
        for one in self._compiled:
            if facts.phase in one.rule.phases:
                found[one.rule.id] = _covered(one, facts)
        return found

    def part(self, phase: Phase, register: Register) -> Part:
        """Every rule of the phase is in exactly one of its parts."""
        return self._parts[phase, register]

    def judge(self, facts: Facts) -> Verdict:
        """All rules of `facts.phase`; a phase outside the list is indeterminate. About 3 us."""
        finds = self._phases.get(cast(Phase, facts.phase))
        if finds is None:
            return Verdict("indeterminate", (), (("", ("phase",)),))
        return self.conclude(cast(Phase, facts.phase), [find(facts) for find in finds])

    def conclude(self, phase: Phase, findings: Sequence[Finding]) -> Verdict:
        """The verdict of a phase out of its parts' findings; ALLOW itself when nothing speaks against it."""
        for finding in findings:
            if finding is not CLEAN and (finding.violated or finding.unknown):
                return self._weigh(phase, findings)
        return ALLOW

    def _weigh(self, phase: Phase, findings: Sequence[Finding]) -> Verdict:
        violated = tuple(sorted(rule for finding in findings for rule in finding.violated))
        unknown = tuple(sorted(pair for finding in findings for pair in finding.unknown))
        kinds = {self.rules[rule].kind for rule in violated}
        outcome: Outcome = "allow"
        if "reject" in kinds:
            outcome = "reject"
        elif unknown:
            outcome = "indeterminate"
        elif "hold" in kinds:
            outcome = "hold"
        elif "post_trade_obligation" in kinds and phase == "post_trade":
            outcome = "breach"
        return Verdict(outcome, violated, unknown)

    def citations(
        self, rule_id: str, jurisdiction: str, at_ns: int, capacities: Sequence[str] = ("everyone", "venue")
    ) -> Grounds:
        """The articles behind a refusal that bind these parties here and now, with the text to print.

        `capacities` comes from the function of that name. A rule with no binding article is printed as 本所规则,
        modelled on its sources, each with its authority: a refusal claims no more than its source.
        """
        rule = self.rules[rule_id]
        place = place_of(jurisdiction)
        binding = tuple(cited for cited in rule.citations if cited.binds(place, at_ns, capacities))
        modelled_on = () if binding else rule.citations
        grounds_zh, grounds_en = _grounds(binding, modelled_on)
        return Grounds(
            rule_id,
            binding,
            modelled_on,
            f"{rule.message.zh}（{rule_id}；{grounds_zh}）",
            f"{rule.message.en} ({rule_id}; {grounds_en})",
        )

    def context(self, base: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """A base context with dotted facts set; `__missing__` removes one. The base itself is not touched."""
        made: dict[str, Any] = {
            key: dict(value) if isinstance(value, dict) else value for key, value in self.bases[base].items()
        }
        for path, value in changes.items():
            section, _, field = path.rpartition(".")
            place = made.setdefault(section, {}) if section else made
            if value == "__missing__":
                place.pop(field, None)
            else:
                place[field] = value
        return made


def _grounds(binding: Sequence[Citation], modelled_on: Sequence[Citation]) -> tuple[str, str]:
    cited = binding or modelled_on
    zh = "；".join(f"{one.title_zh}{one.clause}〔{AUTHORITY_ZH[one.authority]}〕" for one in cited)
    en = "; ".join(f"{one.en} [{one.authority.replace('_', ' ')}]" for one in cited)
    if binding:
        return f"依据{zh}", f"under {en}"
    return f"本所规则，参照{zh}", f"venue rule, modelled on {en}"


def capacities(product: ProductFacts | None, source: SourceFacts | None) -> tuple[Whom, ...]:
    """In which capacities the parties of this trade act: whom a source must address to bind them.

    Nobody is taken for a health institution or a public body on a guess.
    """
    found: list[Whom] = ["everyone", "venue"]
    if product is not None and product.pi_state in ("identifiable", "deidentified"):
        found.append("personal_information_handler")
    if product is not None and product.data_class == "important":
        found.append("important_data_handler")
    if product is not None and product.origin == "public" and source is not None:
        if source.channel == "authorised_operation":
            found.append("public_data_operator")
        if source.channel == "open_platform_conditional":
            found.append("conditional_data_recipient")
        if source.channel == "gov_sharing":
            found.append("shared_data_recipient")
    return tuple(found)


_PLACES = {
    "beijing": "CN-11", "shanghai": "CN-31", "jiangxi": "CN-36", "guangdong": "CN-44",
    "guangzhou": "CN-4401", "shenzhen": "CN-4403", "hainan": "CN-46", "guizhou": "CN-52",
    "CN-BJ": "CN-11", "CN-SH": "CN-31", "CN-JX": "CN-36", "CN-GD": "CN-44", "CN-HI": "CN-46",
    "CN-GZ": "CN-52",
}  # fmt: skip


def place_of(jurisdiction: str) -> str:
    """A jurisdiction by its number (ISO 3166-2 as it was until 2017; GB/T 2260 below the province).

    The draft's names and today's letter codes are taken too; a code that is not known stays as it is.
    """
    return _PLACES.get(jurisdiction, jurisdiction)


def _digest(rules: Sequence[Rule]) -> str:
    said = [_said(rule) for rule in rules]
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


def _said(rule: Rule) -> dict[str, Any]:
    # Dates and texts included, examples and file names not: they do not change what a rule says.
    said: dict[str, Any] = msgspec.to_builtins(rule)
    for key in ("examples", "file", "theme"):
        del said[key]
    return said


class Difference(msgspec.Struct, frozen=True):
    """Ids of rules that one rulebook has and another not, and of those that say something else in it."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def difference(old: Rulebook, new: Rulebook) -> Difference:
    both = [rule for rule in new.rules if rule in old.rules]
    return Difference(
        tuple(rule for rule in new.rules if rule not in old.rules),
        tuple(rule for rule in old.rules if rule not in new.rules),
        tuple(rule for rule in both if _said(old.rules[rule]) != _said(new.rules[rule])),
    )


def _digest_of_texts(texts: Mapping[str, str], narrowings: "Sequence[Narrowing]") -> str:
    """Of the canonical JSON (RFC 8785) of both, with files as [name, text] by name: anybody can compute it."""
    said = {"files": sorted(texts.items()), "narrowings": narrowings}
    return hashlib.sha256(canonical(said)).hexdigest()


# ---- compiling ------------------------------------------------------------------------------------------


def _compile_rule(rule: Rule, known: Vocabulary) -> _Compiled:
    applies = expression.parse(rule.applies_when, known, rule.file)
    violated = expression.parse(rule.violated_when, known, rule.file)
    facts = expression.facts_of(expression.Both((applies, violated)))
    conditions: dict[str, Node] = {
        "is_violated": expression.Both((applies, violated)),
        "does_not_apply": expression.Not(applies),
        "is_kept": expression.Both((applies, expression.Not(violated))),
    }
    lines: list[str] = []
    for name, node in conditions.items():
        lines += [f"def {name}(facts):", *_indent(_loading(facts, ""))]
        lines.append(f"    return {expression.emit(node, True)}")
    names = {**_nothings(), **expression.constants(facts)}
    reads = tuple((fact, *_split(fact.path)) for fact in facts)
    is_violated = _define(lines, names, "is_violated", rule.file)
    sections = tuple(dict.fromkeys(section for _, section, _ in reads if section))
    register = _register_of(rule.facts)
    others = (names["does_not_apply"], names["is_kept"])
    return _Compiled(rule, applies, violated, is_violated, reads, sections, register, *others)


def _covered(one: _Compiled, facts: Facts) -> str:
    if one.is_violated(facts):
        return "fired"
    if one.does_not_apply(facts):
        return "not_applicable"
    return "passed" if one.is_kept(facts) else "unknown"


def _register_of(facts: Sequence[str]) -> Register:
    """The register whose change alone can change the rule's answer; `now` belongs to none."""
    owners = {_owner_of(fact) for fact in facts if fact != "now"}
    if owners <= {"listing"}:
        return "listing"
    if len(owners) == 1:
        return owners.pop()
    return "pair" if owners.intersection(("seller", "buyer")) else "trade"


def _owner_of(fact: str) -> Register:
    section = _split(fact)[0]
    if section in ("seller", "buyer"):
        return cast(Register, section)
    of_listing = section in _LISTING_SECTIONS and fact not in ("price.unit_fen", "consent.recipient_named")
    return "listing" if of_listing or fact in _INSTRUMENT else "trade"


def _split(path: str) -> tuple[str, str]:
    section, _, field = path.rpartition(".")
    return section, field


def _compile_part(phase: Phase, register: Register, rules: Sequence[_Compiled], known: Vocabulary) -> Part:
    mine = [one for one in rules if phase in one.rule.phases and one.register == register]
    find = _compile_find(phase, register, mine, known) if mine else _find_nothing
    return Part(phase, register, tuple(one.rule.id for one in mine), find)


def _find_nothing(facts: Facts) -> Finding:
    return CLEAN


def _compile_find(
    phase: Phase, register: Register, rules: Sequence[_Compiled], known: Vocabulary
) -> Callable[[Facts], Finding]:
    """One function for the whole part: each fact is loaded once, each kept rule costs one condition."""
    tree = expression.Both(tuple(node for one in rules for node in (one.applies, one.violated)))
    moments = expression.moments(tree, TERMS)
    facts = _with_terms(expression.facts_of(tree), bool(moments), known)
    body = [*_loading(facts, phase), "open_rules = []"]
    for one in rules:
        body += [f"if {_is_open(one, phase)}:", f"    open_rules.append(rule_{one.rule.id})"]
    if moments:
        body += expression.emit_nearest(moments, TERMS)
        body += [f"changes_at = None if nearest == {expression.FAR} else nearest"]
    else:
        body += ["changes_at = None"]
    body += [
        "if open_rules:",
        f"    return examine(open_rules, facts, {phase!r}, changes_at)",
        "return CLEAN if changes_at is None else Finding((), (), changes_at)",
    ]
    names = {**_nothings(), **expression.constants(facts), **{f"rule_{one.rule.id}": one for one in rules}}
    names |= {"examine": _examine, "CLEAN": CLEAN, "Finding": Finding}
    lines = ["def find(facts):", *_indent(body)]
    return cast(Callable[[Facts], Finding], _define(lines, names, "find", f"{phase} {register}"))


def _is_open(one: _Compiled, phase: Phase) -> str:
    """Source: not plainly kept, and not waiting for a thing that is not there yet."""
    broken = expression.Both((one.applies, one.violated))
    is_open = f"not ({expression.emit(expression.Not(broken), True)})"
    if phase not in _WAITING_PHASES or not one.sections:
        return is_open
    present = " and ".join(f"{section} is not nothing_{section}" for section in one.sections)
    return f"{is_open} and ({expression.emit(broken, True)} or {present})"


def _with_terms(facts: list[Fact], timed: bool, known: Vocabulary) -> list[Fact]:
    """The facts, and what the code of moments reads beside them: the clock and the terms of running dates."""
    if not timed:
        return facts
    wanted = {fact.path for fact in facts} | {"now"}
    wanted |= {term for date_path, term in TERMS.items() if date_path in wanted}
    return [Fact(path, known[path]) for path in sorted(wanted)]


def _loading(facts: Sequence[Fact], phase: str) -> list[str]:
    """Lines that load each fact into its local; a thing that is not there yet reads as all unknown."""
    lines: list[str] = []
    for section in dict.fromkeys(_split(fact.path)[0] for fact in facts):
        if not section:
            lines.append("now = facts.now")
        elif section == phase == "registration":
            lines.append("registration = nothing_registration")
        else:
            lines += [
                f"{section} = facts.{section}",
                f"if {section} is None:",
                f"    {section} = nothing_{section}",
            ]
    return lines + [f"{fact.local} = {fact.path}" for fact in facts if fact.path != "now"]


def _nothings() -> dict[str, Any]:
    return {f"nothing_{section}": struct() for section, struct in SECTIONS.items()}


def _indent(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]


def _define(lines: Sequence[str], names: dict[str, Any], function: str, where: str) -> Callable[[Facts], Any]:
    # The source is written by this module from checked trees; names come from VOCABULARY and rule ids.
    exec(compile("\n".join(lines), f"<rules: {where}>", "exec"), names)  # noqa: S102
    return cast(Callable[[Facts], Any], names[function])


# ---- the rules that were not plainly kept ---------------------------------------------------------------


def _examine(rules: Sequence[_Compiled], facts: Facts, phase: Phase, changes_at: int | None) -> Finding:
    violated: list[str] = []
    unknown: list[Unknown] = []
    if phase == "registration":
        facts = msgspec.structs.replace(facts, registration=None)  # it is only being made
    for one in rules:
        if one.is_violated(facts):
            violated.append(one.rule.id)
        elif phase not in _WAITING_PHASES or not _waits(one, facts, phase):
            missing = tuple(read[0].path for read in one.reads if not _is_known(facts, read))
            unknown.append((one.rule.id, missing))
    return Finding(tuple(violated), tuple(unknown), changes_at)


def _is_known(facts: Facts, read: tuple[Fact, str, str]) -> bool:
    fact, section, field = read
    if not section:
        return facts.now.__class__ is int
    struct = getattr(facts, section)
    return struct is not None and _has_kind(getattr(struct, field), fact.kind)


def _has_kind(value: Any, kind: Kind) -> bool:
    match kind.name:
        case "truth":
            return value is True or value is False
        case "number" | "time":
            return value.__class__ is int
        case "text":
            return value.__class__ is str and value != ""
        case "choice":
            return value in kind.values
    is_set = value.__class__ is tuple or value.__class__ is frozenset
    return is_set and (not kind.values or all(element in kind.values for element in value))


def _waits(one: _Compiled, facts: Facts, phase: Phase) -> bool:
    """Whether a fact that leaves the rule open comes later: the listing brings its board, the order its terms, a fill
    the other side."""
    early = phase in _BEFORE_THE_ORDER
    of_others: tuple[str, ...] = ()
    if phase == "order":
        of_others += _OF_THE_BUYER if facts.buyer is None else ()
        of_others += _OF_THE_SELLER if facts.seller is None else ()
    return any(
        (
            (early and section in ("trade", "buyer"))
            or fact.path in of_others
            or (phase == "registration" and fact.path == "product.board")
        )
        and getattr(getattr(facts, section), field) is UNSET
        for fact, section, field in one.reads
    )


# ---- reading the rulebook's files -----------------------------------------------------------------------


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legal source as `sources.toml` declares it, once for all rules that cite it."""

    zh: str
    en: str
    title_zh: str
    authority: Authority
    where: str
    whom: Whom
    effective_from: date
    confidence: str
    effective_until: date | None = None


class _Cited(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    article: str = ""
    clause: str = ""
    quote: str = ""
    whom: Whom | None = None
    direct: bool = True


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"kind": "class"}):
    id: Annotated[str, msgspec.Meta(pattern="^[A-Z][0-9]{2}$")]
    kind: RuleClass
    phases: tuple[Phase, ...]
    violated_when: str
    evidence: Text
    message: Text
    citation: tuple[_Cited, ...] = ()
    example: tuple[Example, ...] = ()
    applies_when: str = "True"
    cured_by: Cure | None = None


class _Theme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Text
    rule: tuple[_Written, ...]


_Shape = TypeVar("_Shape")
_NOT_RULES = ("sources.toml", "bases.toml")

Narrowing = tuple[str, str]
"""(rule, what it is violated by as well): the emergency path, which can only narrow."""


def load(directory: Path | None = None, *, boards: Collection[str] = ()) -> Rulebook:
    """The rulebook of the package, or of a folder of the same shape; called once, at start-up (about 0.3 s).

    `boards` are the ids of those configured: a rule that names another does not load, a fact that does is unknown.
    Raises RulebookError, with file and line, for a rule that does not type-check, that lacks an example, or that
    cites a source that is not declared; `prove` holds the examples against it.
    """
    folder = resources.files("clearing").joinpath("rulebook") if directory is None else directory
    try:
        texts = {
            entry.name: entry.read_text(encoding="utf-8")
            for entry in folder.iterdir()
            if entry.name.endswith(".toml")
        }
    except (OSError, UnicodeDecodeError) as error:
        raise RulebookError(f"{folder}: {error}") from error
    return of_texts(texts, boards=boards)


def of_texts(
    texts: Mapping[str, str],
    narrowings: Sequence[Narrowing] = (),
    *,
    boards: Collection[str] = (),
) -> Rulebook:
    """The rulebook that these files are, by name, each rule narrowed as said. Raises RulebookError as `load`."""
    sources = _read(texts, "sources.toml", dict[str, _Source])
    bases = _read(texts, "bases.toml", dict[str, dict[str, Any]])
    names = [name for name in sorted(texts) if name not in _NOT_RULES]
    known = vocabulary_of(boards)
    rules = [rule for name in names for rule in _read_theme(texts, name, sources, known)]
    _check(rules, bases)
    kept = {rule.id: rule for rule in rules}
    for rule, also in narrowings:
        kept[rule] = _narrowed(kept, rule, also, known)
    return Rulebook(kept.values(), bases, boards, texts, narrowings)


def _narrowed(rules: Mapping[str, Rule], rule_id: str, also: str, known: Vocabulary) -> Rule:
    """The rule, violated by something else as well: it never forbids less than before."""
    if rule_id not in rules:
        raise RulebookError(f"narrowing: there is no rule {rule_id}")
    rule = rules[rule_id]
    try:
        expression.parse(also, known, f"narrowing of {rule_id}")
        whole = f"({rule.violated_when}) or ({also})"
        both = (
            expression.parse(rule.applies_when, known, rule.file),
            expression.parse(whole, known, rule.file),
        )
    except expression.ExpressionError as error:
        raise RulebookError(str(error)) from error
    facts = tuple(fact.path for fact in expression.facts_of(expression.Both(both)))
    return msgspec.structs.replace(rule, violated_when=whole, facts=facts)


class Fitted(NamedTuple):
    """A rulebook that stands, whatever it was to be. `misfits` says what did not fit the packaged one, and why.

    `lacking`: part of what was to be in force is not in it, so that it may forbid less.
    """

    rulebook: Rulebook
    misfits: tuple[str, ...] = ()
    lacking: bool = False


def fitted(
    packaged: Rulebook,
    files: Mapping[str, str],
    narrowings: Sequence[Narrowing],
    texts: Mapping[str, str],
) -> Fitted:
    """The packaged rulebook with these files and narrowings; where they do not fit it, the whole `texts` that they were
    in when they came into force (empty: not kept); where these cannot be read any more either, what fits. Raises nothing.
    """
    try:
        return Fitted(packaged.edited(files, narrowings))
    except RulebookError as error:
        misfit = str(error)
    if texts:
        try:
            return Fitted(of_texts(texts, narrowings, boards=packaged.boards), (misfit,))
        except RulebookError as error:
            misfit = str(error)
    return _what_fits(packaged, files, narrowings, misfit)


def _what_fits(
    packaged: Rulebook, files: Mapping[str, str], narrowings: Sequence[Narrowing], misfit: str
) -> Fitted:
    misfits = []
    rulebook = packaged
    try:
        rulebook = packaged.edited(files)
    except RulebookError as error:
        misfits.append(f"{', '.join(files)}: {error}")
    for narrowing in narrowings:
        try:
            rulebook = rulebook.edited({}, (*rulebook.narrowings, narrowing))
        except RulebookError as error:
            misfits.append(f"{narrowing[0]}: {error}")
    return Fitted(rulebook, tuple(misfits) or (misfit,), lacking=True)


def prove(rulebook: Rulebook) -> None:
    """Hold every example against the whole rulebook (about a second). Raises RulebookError for the first that differs."""
    for rule in rulebook.rules.values():
        for number, example in enumerate(rule.examples, 1):
            verdict = rulebook.judge(read_context(rulebook.context(example.base, example.set)))
            if (verdict.outcome, verdict.violated) != (example.verdict, tuple(sorted(example.rules))):
                found = f"{verdict.outcome} ({', '.join(verdict.violated) or 'no rule'})"
                said = f"{example.verdict} ({', '.join(example.rules) or 'no rule'})"
                raise RulebookError(
                    f"{rule.file}: rule {rule.id}, its example {number} ({example.kind}): {found}, should be {said}"
                )


def _read(files: Mapping[str, str], name: str, shape: type[_Shape]) -> _Shape:
    if name not in files:
        raise RulebookError(f"{name}: the rulebook needs this file")
    try:
        return msgspec.toml.decode(files[name], type=shape)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RulebookError(f"{name}: {error}") from error


def _read_theme(
    files: Mapping[str, str], name: str, sources: Mapping[str, _Source], known: Vocabulary
) -> Iterator[Rule]:
    theme = _read(files, name, _Theme)
    lines = _lines_of(files[name])
    for written in theme.rule:
        first = lines[written.id, "id"]
        where = {
            key: f"{name}:{lines.get((written.id, key), first)}"
            for key in ("id", "applies_when", "violated_when")
        }
        facts = _checked_facts(written, where, known)
        citations = tuple(_cite(cited, sources, where["id"]) for cited in written.citation)
        yield Rule(
            id=written.id,
            kind=written.kind,
            phases=written.phases,
            applies_when=written.applies_when,
            violated_when=written.violated_when,
            evidence=written.evidence,
            message=written.message,
            citations=citations,
            examples=written.example,
            facts=facts,
            file=where["id"],
            theme=theme.title,
            cured_by=written.cured_by,
        )


def _checked_facts(written: _Written, where: Mapping[str, str], known: Vocabulary) -> tuple[str, ...]:
    try:
        applies = expression.parse(written.applies_when, known, where["applies_when"])
        violated = expression.parse(written.violated_when, known, where["violated_when"])
    except expression.ExpressionError as error:
        raise RulebookError(str(error)) from error
    return tuple(fact.path for fact in expression.facts_of(expression.Both((applies, violated))))


_KEY = re.compile(r'(id|applies_when|violated_when)\s*=\s*"(\w*)')


def _lines_of(text: str) -> dict[tuple[str, str], int]:
    """(rule, key): the line where the rule says it. A key comes after its rule's id."""
    found: dict[tuple[str, str], int] = {}
    rule = ""
    for number, line in enumerate(text.splitlines(), 1):
        if (key := _KEY.match(line)) is not None:
            rule = key[2] if key[1] == "id" else rule
            found.setdefault((rule, key[1]), number)
    return found


def _cite(cited: _Cited, sources: Mapping[str, _Source], where: str) -> Citation:
    if cited.source not in sources:
        raise RulebookError(f"{where}: no source {cited.source!r} in sources.toml")
    source = sources[cited.source]
    return Citation(
        source_zh=source.zh,
        source_en=source.en,
        title_zh=source.title_zh,
        article=cited.article,
        clause=cited.clause,
        quote=cited.quote,
        authority=source.authority,
        where=source.where,
        whom=cited.whom or source.whom,
        direct=cited.direct,
        effective_from=source.effective_from,
        effective_until=source.effective_until,
        confidence=source.confidence,
    )


def _check(rules: Sequence[Rule], bases: Mapping[str, dict[str, Any]]) -> None:
    known = [rule.id for rule in rules]
    for rule in rules:
        if known.count(rule.id) > 1:
            raise RulebookError(f"{rule.file}: rule {rule.id} is written twice")
        _check_rule(rule)
        for example in rule.examples:
            _check_example(rule, example, known, bases)


def _check_rule(rule: Rule) -> None:
    shown = {example.kind for example in rule.examples}
    for kind in _kinds_needed(rule):
        if kind not in shown:
            raise RulebookError(f"{rule.file}: rule {rule.id} has no example of kind {kind}: write one")
    if not any(example.kind == "violated" and rule.id in example.rules for example in rule.examples):
        raise RulebookError(f"{rule.file}: rule {rule.id} has no example that violates it")
    if not rule.citations:
        raise RulebookError(f"{rule.file}: rule {rule.id} cites nothing, not even the venue's own rules")
    if (rule.kind == "hold") is not (rule.cured_by is not None and bool(rule.cured_by.brings)):
        need = "a hold says in cured_by who brings the cure; no other class has it"
        raise RulebookError(f"{rule.file}: rule {rule.id}: {need}")


def _kinds_needed(rule: Rule) -> tuple[str, ...]:
    """The kinds of example without which a wrong version of the rule could go unseen."""
    texts = (rule.applies_when, rule.violated_when)
    ordered = any(expression.orders(expression.parse(text, VOCABULARY, rule.file)) for text in texts)
    return ("violated", "near_miss", "unknown", *(("boundary",) if ordered else ()))


def _check_example(rule: Rule, example: Example, known: Sequence[str], bases: Mapping[str, Any]) -> None:
    strange = [path for path in example.set if path not in ("phase", *SECTIONS, *VOCABULARY)]
    if example.base not in bases or strange or not set(example.rules) <= set(known):
        raise RulebookError(f"{rule.file}: an example of {rule.id} names an unknown base, fact or rule")


# ---- contexts in the draft's vocabulary -----------------------------------------------------------------


def read_context(context: Mapping[str, Any]) -> Facts:
    """Facts out of plain nested data in the vocabulary of the rulebook draft.

    Never an error: what is missing, of the wrong type or outside its list is unknown. A missing section waits
    where the semantics let it: trade and buyer before the order, one of the parties at the order.
    """
    phase = context.get("phase")
    absent = _may_be_absent(phase, context)
    now = _read_time(context.get("now"))
    found = {
        section: None if section in absent else _read_section(struct, section, context.get(section))
        for section, struct in SECTIONS.items()
    }
    return Facts(phase if isinstance(phase, str) else "", UNSET if now is None else now, **found)


def _may_be_absent(phase: Any, context: Mapping[str, Any]) -> list[str]:
    if phase in _BEFORE_THE_ORDER:
        return [section for section in ("trade", "buyer") if section not in context]
    parties = [section for section in ("seller", "buyer") if section not in context]
    return parties if phase == "order" and len(parties) == 1 else []


def _read_section(struct: type[msgspec.Struct], section: str, given: Any) -> Any:
    if not isinstance(given, Mapping):
        return struct()
    fields = [field for field in struct.__struct_fields__ if field in given]
    return struct(**{field: _read_value(given[field], VOCABULARY[f"{section}.{field}"]) for field in fields})


def _read_value(value: Any, kind: Kind) -> Any:
    """The value as the structs hold it; None for one of the wrong type, which no rule takes for known."""
    if kind.name == "time":
        return _read_time(value)
    if kind.name == "set":
        if not (isinstance(value, list) and all(isinstance(element, str) for element in value)):
            return None
        return tuple(_by_its_number(element, kind) for element in value)
    expected = {"truth": bool, "number": int, "text": str, "choice": str}[kind.name]
    if type(value) is not expected:
        return None
    return _by_its_number(value, kind) if isinstance(value, str) else value


def _by_its_number(word: str, kind: Kind) -> str:
    """A region under whatever name, as the facts hold it; any other word as it is."""
    return place_of(word) if kind.domain == "region" else word


_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
_BEIJING = timezone(timedelta(hours=8))
_SECOND_NS = 1_000_000_000


def _read_time(value: Any) -> int | None:
    """UTC nanoseconds of an ISO 8601 time with its zone; None for anything else."""
    parts = _TIME.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        return None
    whole, fraction, zone = parts.groups()
    try:
        moment = datetime.fromisoformat(whole + zone)
    except ValueError:
        return None
    return _seconds(moment) * _SECOND_NS + int((fraction or "0").ljust(9, "0"))


def _midnight(day: date) -> int:
    return _seconds(datetime(day.year, day.month, day.day, tzinfo=_BEIJING)) * _SECOND_NS


def _seconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * 86_400 + since.seconds


def judge_lines(rulebook: Rulebook, lines: Iterable[bytes]) -> Iterator[bytes]:
    """`shuji judge FILE`: a JSON context a line in, a JSON line out, without its line end.

    Out come `id`, `verdict`, `rules` (the violated ones) with `citations` (for each all its articles in one
    string), `unknown` (for each undecided rule the facts that it misses), and what names this verdict:
    `rulebook_sha256`, `facts_sha256` (over the facts as they were read) and `at_ns` (null where `now` is no
    instant). A line that is no JSON object gives `{"id", "error"}` and the caller exits with 1. Empty lines are
    passed over.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield msgspec.json.encode(_judge_line(rulebook, line, number))


def _judge_line(rulebook: Rulebook, line: bytes, number: int) -> dict[str, Any]:
    try:
        context = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return {"id": None, "error": f"line {number} is not JSON: {error}"}
    if not isinstance(context, dict):
        return {"id": None, "error": f"line {number} is not a JSON object"}
    facts = read_context(context)
    verdict = rulebook.judge(facts)
    return {
        "id": context.get("id"),
        "verdict": verdict.outcome,
        "rules": verdict.violated,
        "citations": [rulebook.rules[rule].citation_zh for rule in verdict.violated],
        "unknown": [{"rule": rule, "fields": fields} for rule, fields in verdict.unknown],
        "rulebook_sha256": rulebook.sha256,
        "facts_sha256": hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest(),
        "at_ns": None if facts.now is UNSET else facts.now,
    }
