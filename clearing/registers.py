"""The registers of facts that the venue keeps beside what merchants declare: who enters what, and what stood when.

A rule reads facts; a fact comes from a register. Each register is one row of `REGISTERS`: what it is about (a product, a
participant, both, or a board that its facts name), the typed facts of an entry, who may enter one, and the clause that
asks for it. An entry names its evidence by SHA-256 and who decided, is good from one instant to another, and is never
changed: a later entry of the same subject and number takes its place, and a correction says which entry it corrects.

Two clocks. An entry is *good* from `valid_from_ns` to before `valid_until_ns` (0: without end), and is *known* from the
instant it was entered. `standing` answers what was good at one instant by what was known at another, so that a past
verdict can be held against what the venue knew then.

A register that says nothing of a subject says no: not pledged, not frozen, on no list, no licence, no assessment.
Whoever needs a yes brings it; whoever can say no enters it (数据安全法 33: 「要求数据提供方说明数据来源，审核交易双方的
身份，并留存审核、交易记录」).
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Facts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="register"):
    """What an entry says; the tag is the register's name."""


class Pledge(_Facts, frozen=True, kw_only=True, tag="pledges"):
    """A pledge of the registered right. `number` is that of the pledge; `consented`: the pledgee agrees to trades.

    `pledgee` is a participant, who may consent to trades and release the pledge without a reviewer; of a pledge that was
    traded here `number` is the trade.
    """

    number: Word
    state: Literal["pledged", "released"]
    consented: bool = False
    pledgee: Word | UnsetType = UNSET


class Freeze(_Facts, frozen=True, kw_only=True, tag="freezes"):
    """A court's or an authority's seizure, by its order's number."""

    number: Word
    authority: Word
    state: Literal["frozen", "lifted"]


class Assessment(_Facts, frozen=True, kw_only=True, tag="assessments"):
    """A test or an assessment that a law asks for, good until the entry's end."""

    kind: Literal["risk_assessment", "reidentification_test", "anonymisation", "impact_assessment"]
    result: Literal["passed", "failed"]


class HarmOpinion(_Facts, frozen=True, kw_only=True, tag="harm_opinions"):
    """What a complaint about the rights of others has led to."""

    level: Literal["none", "suspected", "confirmed"]


class SecretConsent(_Facts, frozen=True, kw_only=True, tag="secret_consents"):
    """Whether the owner of the trade or work secrets in it agrees."""

    number: Word
    state: Literal["granted", "withdrawn"]


class SourceReview(_Facts, frozen=True, kw_only=True, tag="source_reviews"):
    """What a review of where the data comes from has found; it counts more than the declaration."""

    lawfulness: Literal["lawful", "unknown", "unlawful"]
    bypassed_controls: bool = False


class IntellectualProperty(_Facts, frozen=True, kw_only=True, tag="ip_registrations"):
    """A registration of the data's intellectual property outside: each trade in it is filed there (北京 16)."""

    number: Word
    authority: Word


class ExportRoute(_Facts, frozen=True, kw_only=True, tag="export_routes"):
    """How the product's data may leave the country: the route passed, its scope, and the free-trade zone's list."""

    route: Literal["certification", "none", "security_assessment", "standard_contract"]
    purposes: tuple[Word, ...] = ()
    territories: tuple[Word, ...] = ()
    ftz: bool = False
    in_negative_list: bool = False
    exempt_basis: Literal["contract", "emergency", "hr", "none", "offshore_origin"] = "none"


class ExportLicence(_Facts, frozen=True, kw_only=True, tag="export_licences"):
    """A licence to export controlled data (出口管制法), by its number."""

    number: Word
    territories: tuple[Word, ...]


class EthicsReview(_Facts, frozen=True, kw_only=True, tag="ethics_reviews"):
    """An ethics committee's decision on a buyer's research with a product; past its end it has expired."""

    number: Word
    decision: Literal["approved", "pending", "rejected"]


class SecurityEvaluation(_Facts, frozen=True, kw_only=True, tag="security_evaluations"):
    """The evaluation of a buyer before a product's data is entrusted to it (深圳卫健 13)."""

    result: Literal["passed", "failed"]


class ForeignJudicialApproval(_Facts, frozen=True, kw_only=True, tag="foreign_judicial_approvals"):
    """The competent authority's approval of giving the data to a foreign court or police (数据安全法 36)."""

    number: Word
    authority: Word


class RecipientNotice(_Facts, frozen=True, kw_only=True, tag="recipient_notices"):
    """The persons behind the data have been told of this recipient (个人信息保护法 23)."""

    named: bool = True


class CompetitionScreen(_Facts, frozen=True, kw_only=True, tag="competition_screens"):
    """Whether an exclusive licence of a product to a buyer may exclude competition (反垄断法)."""

    flagged: bool


class Restricted(_Facts, frozen=True, kw_only=True, tag="restricted_lists"):
    """A participant on a list that forbids dealing with it; `version` names the list's edition."""

    list: Literal["export_control", "pipl_42"]
    version: Word
    state: Literal["listed", "removed"] = "listed"


class SpecialLicence(_Facts, frozen=True, kw_only=True, tag="special_licences"):
    """An administrative licence for data services that need one (数据安全法 34), by its number."""

    number: Word
    authority: Word
    state: Literal["granted", "revoked"] = "granted"


class SecurityCapability(_Facts, frozen=True, kw_only=True, tag="security_capabilities"):
    """A certified level of data security, 0 to 5, by scheme (DSMM, GB/T 37988)."""

    scheme: Word
    level: Literal[0, 1, 2, 3, 4, 5]


class CriticalInfrastructure(_Facts, frozen=True, kw_only=True, tag="critical_infrastructures"):
    """Whether a participant runs critical information infrastructure (关键信息基础设施安全保护条例 10)."""

    designated: bool


class ComplianceVeto(_Facts, frozen=True, kw_only=True, tag="compliance_vetoes"):
    """A seller's own compliance department says no, or takes it back (北京 26(2))."""

    state: Literal["vetoed", "lifted"]


class PublicOperator(_Facts, frozen=True, kw_only=True, tag="public_operators"):
    """Whether a participant runs public data under authorised operation (公共数据资源授权运营实施规范)."""

    appointed: bool


class VenueOperator(_Facts, frozen=True, kw_only=True, tag="venue_operators"):
    """Whether a participant runs a trading venue: it may not be a data merchant as well (数据二十条(九))."""

    runs_venue: bool


class CentralApproval(_Facts, frozen=True, kw_only=True, tag="central_approvals"):
    """What became of a board's approval of centralised trading, by the authority's document (国办发〔2012〕37号).

    The approval itself is in the board's file. The register takes it away and gives it back; a board without one gets none.
    """

    board: Word
    authority: Word
    state: Literal["restored", "withdrawn"]


AnyFacts = (
    Pledge
    | Freeze
    | Assessment
    | HarmOpinion
    | SecretConsent
    | SourceReview
    | IntellectualProperty
    | ExportRoute
    | ExportLicence
    | EthicsReview
    | SecurityEvaluation
    | ForeignJudicialApproval
    | RecipientNotice
    | CompetitionScreen
    | Restricted
    | SpecialLicence
    | SecurityCapability
    | CriticalInfrastructure
    | ComplianceVeto
    | PublicOperator
    | VenueOperator
    | CentralApproval
)

Subject = Literal["product", "participant"]


class Register(Struct, frozen=True):
    """One register. `number` is the field that tells entries of one subject apart; empty: there is one of each subject.
    Without `subjects` it is about the venue.

    `deciders` are roles; `by_subject`: also the holder of the product or the participant itself, against itself, and
    `against` are the facts that are against it.
    """

    name: str
    zh: str
    en: str
    subjects: tuple[Subject, ...]
    facts: type[Struct]
    feeds: tuple[str, ...]
    clause: str
    deciders: tuple[str, ...] = ("reviewer",)
    number: str = ""
    by_subject: bool = False
    against: tuple[tuple[str, Any], ...] = ()


_PRODUCT: Final = ("product",)
_PERSON: Final = ("participant",)
_BOTH: Final = ("product", "participant")

_ROWS: Final = (
    Register(
        "pledges", "质押登记簿", "Pledges", _PRODUCT, Pledge,
        ("registration.pledged", "registration.pledgee_consent"), "北京市企业数据知识产权工作指引 16；民法典 444",
        number="number", by_subject=True, against=(("state", "pledged"), ("consented", False)),
    ),
    Register(
        "freezes", "查封冻结登记簿", "Judicial freezes", _PRODUCT, Freeze, ("product.judicial_freeze",),
        "民事诉讼法（查封、冻结）", ("reviewer", "operator"), "number", True, (("state", "frozen"),),
    ),
    Register(
        "assessments", "评估与测试登记簿", "Assessments and tests", _PRODUCT, Assessment,
        ("product.risk_assessment_done", "product.reid_test_passed", "product.anon_report_until", "product.pia_done"),
        "网络数据安全管理条例 31；个人信息保护法 55、73(4)", number="kind", by_subject=True,
        against=(("result", "failed"),),
    ),
    Register(
        "harm_opinions", "第三方权益意见", "Opinions on harm to others", _PRODUCT, HarmOpinion,
        ("product.third_party_harm",), "江西省数据应用条例 27(2)、30(1)", ("reviewer", "operator"),
    ),
    Register(
        "secret_consents", "商业秘密权利人同意", "Consent of owners of secrets", _PRODUCT, SecretConsent,
        ("product.secret_owner_consent",), "江西省数据应用条例 9", number="number", by_subject=True,
        against=(("state", "withdrawn"),),
    ),
    Register(
        "source_reviews", "来源审查", "Reviews of sources", _PRODUCT, SourceReview,
        ("source.lawfulness", "source.bypassed_controls"), "数据安全法 32、33",
    ),
    Register(
        "ip_registrations", "数据知识产权登记", "Registered data IP", _PRODUCT, IntellectualProperty,
        ("product.ip_registered",), "北京市企业数据知识产权工作指引 16", number="number",
    ),
    Register(
        "export_routes", "数据出境路径", "Export routes", _PRODUCT, ExportRoute,
        ("xb.route", "xb.assessment_until", "xb.scope_matches", "xb.ftz", "xb.in_negative_list", "xb.exempt_basis"),
        "促进和规范数据跨境流动规定 5–9",
    ),
    Register(
        "export_licences", "出口许可", "Export licences", _PRODUCT, ExportLicence, ("trade.export_licence",),
        "数据安全法 25；出口管制法", number="number",
    ),
    Register(
        "ethics_reviews", "伦理审查", "Ethics reviews", _BOTH, EthicsReview, ("trade.ethics_review",),
        "深圳市卫生健康数据管理办法 12",
    ),
    Register(
        "security_evaluations", "安全评估", "Security evaluations", _BOTH, SecurityEvaluation,
        ("trade.security_evaluated",), "深圳市卫生健康数据管理办法 13",
    ),
    Register(
        "foreign_judicial_approvals", "境外司法提供批准", "Approvals for foreign courts", _BOTH,
        ForeignJudicialApproval, ("trade.foreign_judicial_approved",), "数据安全法 36；个人信息保护法 41",
        number="number",
    ),
    Register(
        "recipient_notices", "接收方告知记录", "Notices of recipients", _BOTH, RecipientNotice,
        ("consent.recipient_named",), "个人信息保护法 23",
    ),
    Register(
        "competition_screens", "竞争筛查", "Competition screens", _BOTH, CompetitionScreen,
        ("trade.dominance_flag",), "反垄断法；海南数据要素三年行动计划 21", ("reviewer", "operator"),
    ),
    Register(
        "restricted_lists", "限制与制裁名单", "Restricted lists", _PERSON, Restricted, ("buyer.restricted_list",),
        "个人信息保护法 42；反外国制裁法", ("reviewer", "operator"), "list",
    ),
    Register(
        "special_licences", "行政许可", "Administrative licences", _PERSON, SpecialLicence,
        ("seller.special_licence",), "数据安全法 34；征信业管理条例 7", number="number", by_subject=True,
        against=(("state", "revoked"),),
    ),
    Register(
        "security_capabilities", "数据安全能力", "Data security levels", _PERSON, SecurityCapability,
        ("buyer.security_level",), "数据安全法 27；江西省数据应用条例 18(3)", number="scheme",
    ),
    Register(
        "critical_infrastructures", "关键信息基础设施", "Critical infrastructure", _PERSON, CriticalInfrastructure,
        ("seller.ciio",), "关键信息基础设施安全保护条例 10", ("reviewer", "operator"), by_subject=True,
        against=(("designated", True),),
    ),
    Register(
        "compliance_vetoes", "合规否决", "Compliance vetoes", _PERSON, ComplianceVeto, ("seller.compliance_veto",),
        "北京市企业数据知识产权工作指引 26(2)", by_subject=True, against=(("state", "vetoed"),),
    ),
    Register(
        "public_operators", "公共数据运营机构", "Operators of public data", _PERSON, PublicOperator,
        ("seller.public_operator",), "公共数据资源授权运营实施规范", by_subject=True, against=(("appointed", True),),
    ),
    Register(
        "venue_operators", "交易场所运营者", "Operators of venues", _PERSON, VenueOperator,
        ("seller.is_venue_operator",), "数据二十条（九）", ("reviewer", "operator"), by_subject=True,
        against=(("runs_venue", True),),
    ),
    Register(
        "central_approvals", "集中交易批准", "Approvals of centralised trading", (), CentralApproval,
        ("venue.central_trading_approved",), "国发〔2011〕38号；国办发〔2012〕37号", number="board",
    ),
)  # fmt: skip

REGISTERS: Final[dict[str, Register]] = {row.name: row for row in _ROWS}
assert set(REGISTERS) == {facts.__struct_config__.tag for facts in get_args(AnyFacts)}, (
    "a register for each facts"
)


def name_of(facts: Struct) -> str:
    """The register that these facts belong to."""
    return str(facts.__struct_config__.tag)


class Entry(Struct, frozen=True, kw_only=True):
    """One entry, as it was made. `product` and `participant` are the subject, empty where the register has none.

    `corrects` is the entry that this one takes the place of for all time, and `void` says that nothing comes in its place.
    """

    id: str
    facts: AnyFacts
    product: str
    participant: str
    evidence_sha256: str
    valid_from_ns: int
    valid_until_ns: int
    reason: str
    by: str
    at_ns: int
    corrects: str = ""
    void: bool = False

    @property
    def register(self) -> str:
        return name_of(self.facts)

    def good(self, at_ns: int) -> bool:
        """Whether it is good at this instant; the end is exclusive."""
        return self.valid_from_ns <= at_ns and (not self.valid_until_ns or at_ns < self.valid_until_ns)


def number_of(facts: Struct) -> str:
    """What tells entries of one subject apart: an order's number, a kind; empty where there is one of each subject."""
    field = REGISTERS[name_of(facts)].number
    return str(getattr(facts, field)) if field else ""


Place = tuple[str, str, str]
"""(register, product, participant)"""


class Registers:
    """All entries in the order they were made, those of each register (`of`), and by place.

    Reading one place costs as many steps as it has entries.
    """

    __slots__ = ("_pairs", "_places", "entries", "of")

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._places: dict[Place, list[Entry]] = {}
        self.of: dict[str, list[Entry]] = {}
        self._pairs: dict[tuple[str, str], None] = {}

    def enter(self, entry: Entry) -> None:
        """Add an entry; the caller has asked `refuse`."""
        assert entry.id not in self.entries, f"{entry.id} is taken"
        self.entries[entry.id] = entry
        self.of.setdefault(entry.register, []).append(entry)
        self._places.setdefault((entry.register, entry.product, entry.participant), []).append(entry)
        if entry.product and entry.participant:
            self._pairs[entry.product, entry.participant] = None

    def at(self, register: str, product: str = "", participant: str = "") -> list[Entry]:
        """Every entry of a place, corrected or not, oldest first."""
        return self._places.get((register, product, participant), [])

    def says_of(self, product: str, participant: str) -> bool:
        """Whether anything was ever entered about these two together: one look, for the way of an order."""
        return (product, participant) in self._pairs

    def standing(
        self, register: str, product: str, participant: str, at_ns: int, known_ns: int | None = None
    ) -> list[Entry]:
        """What is good at `at_ns`, by what was known at `known_ns` (None: everything): the last entry of each number."""
        known = [
            row
            for row in self.at(register, product, participant)
            if known_ns is None or row.at_ns <= known_ns
        ]
        corrected = [row.corrects for row in known if row.corrects]
        found: dict[Any, Entry] = {}
        for row in known:
            if row.id not in corrected and not row.void and row.good(at_ns):
                number = number_of(row.facts)
                found.pop(number, None)
                found[number] = row
        return list(found.values())

    def changes_after(self, at_ns: int, *places: Place) -> Iterator[int]:
        """Every later instant at which an entry of these places begins or ends to be good."""
        for place in places:
            for row in self._places.get(place, ()):
                yield from (bound for bound in (row.valid_from_ns, row.valid_until_ns) if bound > at_ns)


def refuse(registers: Registers, entry: Entry) -> str | None:
    """Why an entry cannot be made as it is; None when it can. Who may make it is asked elsewhere."""
    row = REGISTERS[entry.register]
    for subject in get_args(Subject):
        if bool(getattr(entry, subject)) != (subject in row.subjects):
            wanted = "needs" if subject in row.subjects else "takes no"
            return f"an entry of {row.name} {wanted} {subject}"
    if entry.valid_until_ns and entry.valid_until_ns <= entry.valid_from_ns:
        return "valid_until lies after valid_from"
    if entry.void and not entry.corrects:
        return "void needs `corrects`: the entry that nothing takes the place of"
    return _refuse_correction(registers, entry) if entry.corrects else None


def _refuse_correction(registers: Registers, entry: Entry) -> str | None:
    corrected = registers.entries.get(entry.corrects)
    place = (entry.register, entry.product, entry.participant)
    if corrected is None or (corrected.register, corrected.product, corrected.participant) != place:
        return f"corrects: there is no entry {entry.corrects} of this register and subject"
    if any(row.corrects == entry.corrects for row in registers.at(*place)):
        return f"{entry.corrects} is corrected already: correct the entry that took its place"
    return None


def is_against(entry: Entry) -> bool:
    """Whether everything it says is against its subject, who may then enter it where nobody else has before it."""
    row = REGISTERS[entry.register]
    return (
        row.by_subject
        and not entry.corrects
        and all(getattr(entry.facts, field) == value for field, value in row.against)
    )


def is_partly_against(entry: Entry) -> bool:
    """Whether anything it says is against its subject: what the subject itself never takes the place of."""
    return any(getattr(entry.facts, field) == value for field, value in REGISTERS[entry.register].against)


def on_record(registers: Registers, entry: Entry, at_ns: int) -> list[Entry]:
    """What this entry would stand beside or in the place of: its number's, uncorrected, good now or later."""
    rows = registers.at(entry.register, entry.product, entry.participant)
    corrected = [row.corrects for row in rows if row.corrects]
    return [
        row
        for row in rows
        if row.id not in corrected
        and not row.void
        and number_of(row.facts) == number_of(entry.facts)
        and not 0 < row.valid_until_ns <= at_ns
    ]


def dumped(registers: Registers) -> list[Entry]:
    return list(registers.entries.values())


def loaded(entries: list[Entry]) -> Registers:
    registers = Registers()
    for entry in entries:
        registers.enter(entry)
    return registers


def facts_json(facts: AnyFacts) -> dict[str, Any]:
    """What an entry says as plain data, without the register's name."""
    said: dict[str, Any] = msgspec.to_builtins(facts)
    del said["register"]
    return said
