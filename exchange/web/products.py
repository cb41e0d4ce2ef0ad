"""Data products: declaration, registration, and the registers a reviewer keeps of them."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

from litestar import Response
from msgspec import UNSET, Meta, Struct, UnsetType

from clearing.revenue import UNSAID, Role
from exchange.events import (
    AmendFacts,
    Authorisation,
    CertificateRenewed,
    Classification,
    ConfirmFacts,
    Consent,
    DecideProduct,
    Description,
    FactRecorded,
    FactsAmended,
    FactsConfirmed,
    Further,
    ProductDecided,
    ProductSubmitted,
    RecordFact,
    Refusal,
    Refused,
    RenewCertificate,
    Source,
    SubmitProduct,
)
from exchange.listing import VISIBLE
from exchange.product import (
    DECLARED_WORDS,
    LIFE,
    MOST_FIELDS,
    MOST_TAG,
    MOST_TAGS,
    MOST_TITLE,
    PERSONAL,
    UNKNOWN,
)
from exchange.state import Product, State
from exchange.web.instant import Instant, ns_of, optional_ns, optional_text, text_of
from exchange.web.operation import Call, Id, Operation, Paging, RevisionSeen, Sha256
from exchange.web.participants import OFFICES, Reasons, page_of
from exchange.web.problem import Refusing

CERTIFICATE_MEANS_ZH: Final = "登记凭证仅证明已在本所登记，不证明权属。"
CERTIFICATE_MEANS_EN: Final = "The certificate proves registration here, not ownership."

MOST_SAMPLE_ROWS: Final = 20
MOST_SAMPLE_BYTES: Final = 1 << 16
"""Of all rows together in UTF-8: a sample shows, it does not deliver."""

Words = Annotated[tuple[Annotated[str, Meta(max_length=100)], ...], Meta(max_length=50)]


class Share(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`["P5", 3000]` or `["P5", 3000, "processor"]`: who, basis points of what remains after the fee (and the board's
    public-data share), and what was given for it.
    """

    participant: Id
    part_bp: Annotated[int, Meta(ge=0, le=10_000)]
    role: Role = "contributor"


Shares = Annotated[tuple[Share, ...], Meta(max_length=50)]


# ---- bodies


class ClassificationBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the data is. From `sensitive_pi` on, what is left out is unknown to the rules that ask for it."""

    origin: str
    data_class: str
    secret_kind: str
    public_risk: str = "none"
    pi_state: str
    open_class: str = "not_applicable"
    declassified: bool = False
    derived: bool = False
    right_holders_agree: bool = False
    sensitive_pi: bool | UnsetType = UNSET
    under14: bool | UnsetType = UNSET
    directly_identifying: bool | UnsetType = UNSET
    human_genetic: bool | UnsetType = UNSET
    export_controlled: bool | UnsetType = UNSET
    emergency_collected: bool | UnsetType = UNSET
    raw_leaves_domain: bool | UnsetType = UNSET
    redeveloped: bool | UnsetType = UNSET
    licence_required: bool | UnsetType = UNSET
    required_security_level: Annotated[int, Meta(ge=0, le=5)] | UnsetType = UNSET
    storage_region: str | UnsetType = UNSET
    sm_crypto: bool | UnsetType = UNSET
    medical_records: bool | UnsetType = UNSET
    face_plate_video: bool | UnsetType = UNSET
    persons: Annotated[int, Meta(ge=0, le=10**10)] | UnsetType = UNSET
    sensitive_persons: Annotated[int, Meta(ge=0, le=10**10)] | UnsetType = UNSET

    @classmethod
    def of(cls, facts: Classification) -> "ClassificationBody":
        said = {name: getattr(facts, name) for name in _CLASSIFIED}
        if facts.further is not UNSET:
            said |= {name: getattr(facts.further, name) for name in Further.__struct_fields__}
        return cls(**said)

    def facts(self) -> Classification:
        said = {name: getattr(self, name) for name in Further.__struct_fields__}
        known = any(value is not UNSET for value in said.values())
        return Classification(
            **{name: getattr(self, name) for name in _CLASSIFIED}, further=Further(**said) if known else UNSET
        )


_CLASSIFIED: Final = tuple(name for name in Classification.__struct_fields__ if name != "further")


class SourceBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where the data comes from; `operation_until` for public data under authorised operation."""

    channel: str
    statement: str
    bypassed_controls: bool | UnsetType = UNSET
    sharing_provider_consent: bool | UnsetType = UNSET
    operation_until: Instant | UnsetType = UNSET

    def facts(self) -> Source:
        return Source(
            channel=self.channel,
            statement=self.statement,
            bypassed_controls=self.bypassed_controls,
            sharing_provider_consent=self.sharing_provider_consent,
            operation_until_ns=_ns_or_unset(self.operation_until, "source.operation_until"),
        )


class ConsentBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """On what basis personal information is processed, and how far that reaches."""

    basis: str
    purposes: Words = ()
    obtained_by: str | UnsetType = UNSET
    coverage_pct: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    guardian: bool | UnsetType = UNSET
    valid_until: Instant | UnsetType = UNSET
    cross_border_separate: bool | UnsetType = UNSET

    def facts(self) -> Consent:
        return Consent(
            basis=self.basis,
            purposes=self.purposes,
            obtained_by=self.obtained_by,
            coverage_pct=self.coverage_pct,
            guardian=self.guardian,
            valid_until_ns=_ns_or_unset(self.valid_until, "consent.valid_until"),
            cross_border_separate=self.cross_border_separate,
        )


def _ns_or_unset(instant: datetime | UnsetType, name: str) -> int | UnsetType:
    return UNSET if instant is UNSET else ns_of(instant, name)


def _text_or_unset(instant_ns: int | UnsetType) -> str | UnsetType:
    return UNSET if instant_ns is UNSET else text_of(instant_ns)


class AuthorisationBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the lawful right-holder allows."""

    purposes: Words
    territories: Words
    field_groups: Words
    deals: Words
    valid_from: Instant
    valid_until: Instant
    sublicensable: bool | UnsetType = UNSET
    blanket: bool | UnsetType = UNSET

    def facts(self) -> Authorisation:
        return Authorisation(
            purposes=self.purposes,
            territories=self.territories,
            field_groups=self.field_groups,
            deals=self.deals,
            valid_from_ns=ns_of(self.valid_from, "authorisation.valid_from"),
            valid_until_ns=ns_of(self.valid_until, "authorisation.valid_until"),
            sublicensable=self.sublicensable,
            blanket=self.blanket,
        )


class Declaration(Struct, kw_only=True, forbid_unknown_fields=True):
    """A product as its merchant declares it; `evidence` maps each fact group to the hash of its proof."""

    description: Description
    classification: ClassificationBody
    source: SourceBody
    authorisation: AuthorisationBody
    consent: ConsentBody
    shares: Shares = ()
    evidence: dict[str, Sha256]


class ProductDecision(Struct, kw_only=True, forbid_unknown_fields=True):
    """`revision` is needed to register; returning and refusing confirm nothing."""

    decision: Annotated[str, Meta(max_length=20, description="register, return or refuse")]
    revision: RevisionSeen | None = None
    confirmed: Words = ()
    rights: Words = ()
    valid_until: Instant | None = None
    reasons: Reasons = ()


class CertificateRenewal(Struct, kw_only=True, forbid_unknown_fields=True):
    """`valid_until` lies after the certificate's present end and at most ten years from now."""

    valid_until: Instant
    evidence_sha256: Sha256
    reason: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Amendment(Struct, kw_only=True, forbid_unknown_fields=True):
    """One group of facts, declared anew."""

    evidence_sha256: Sha256
    classification: ClassificationBody | None = None
    source: SourceBody | None = None
    authorisation: AuthorisationBody | None = None
    consent: ConsentBody | None = None


class Confirmation(Struct, kw_only=True, forbid_unknown_fields=True):
    revision: RevisionSeen
    groups: Words
    evidence: dict[str, Sha256]


class RegisterEntry(Struct, kw_only=True, forbid_unknown_fields=True):
    entry: Annotated[
        str, Meta(max_length=40, description="for example authorisation_withdrawn or risk_confirmed")
    ]
    evidence_sha256: Sha256
    reason: Annotated[str, Meta(max_length=1_000)]
    participant: Id = ""


class ProductQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Annotated[str, Meta(max_length=20)] = ""


# ---- answers


class AuthorisationView(Struct):
    purposes: tuple[str, ...]
    territories: tuple[str, ...]
    field_groups: tuple[str, ...]
    deals: tuple[str, ...]
    valid_from: str
    valid_until: str
    sublicensable: bool | UnsetType = UNSET
    blanket: bool | UnsetType = UNSET


class SourceView(Struct):
    channel: str
    statement: str
    bypassed_controls: bool | UnsetType = UNSET
    sharing_provider_consent: bool | UnsetType = UNSET
    operation_until: str | UnsetType = UNSET


class ConsentView(Struct):
    basis: str
    purposes: tuple[str, ...]
    obtained_by: str | UnsetType = UNSET
    coverage_pct: int | UnsetType = UNSET
    guardian: bool | UnsetType = UNSET
    valid_until: str | UnsetType = UNSET
    cross_border_separate: bool | UnsetType = UNSET


class Submitted(Struct):
    product: str
    state: str
    merchant: str
    title: str
    submitted_at: str


class Decided(Struct, kw_only=True):
    product: str
    state: str
    certificate: str | None
    valid_until: str | None
    confirmed: tuple[str, ...]
    rights: tuple[str, ...]
    reasons: tuple[str, ...]
    decided_by: str
    certificate_means_zh: str = CERTIFICATE_MEANS_ZH
    certificate_means_en: str = CERTIFICATE_MEANS_EN


class Renewed(Struct):
    product: str
    certificate: str
    valid_until: str
    evidence_sha256: str
    by: str
    at: str


class Amended(Struct):
    product: str
    amended: tuple[str, ...]
    revision: int
    unconfirmed: bool = True


class Confirmed(Struct):
    product: str
    confirmed: tuple[str, ...]
    by: str


class Recorded(Struct):
    product: str
    entry: str
    participant: str
    by: str
    at: str


class ProductView(Struct, kw_only=True, omit_defaults=True):
    """A product. From `shares` on only for its holder, reviewers, operators and auditors.

    `merchant` submitted it; `holder` has the registered right, and is another one after a transfer.
    """

    product: str
    state: str
    revision: int
    merchant: str
    merchant_name: str
    holder: str
    description: "DescriptionView"
    classification: ClassificationBody
    source: SourceView
    authorisation: AuthorisationView
    consent: ConsentView
    confirmed: tuple[str, ...]
    rights: tuple[str, ...]
    certificate: str | None
    valid_until: str | None
    certificate_means_zh: str
    certificate_means_en: str
    submitted_at: str
    authorisation_status: str
    objection: bool
    risk: str
    shares: tuple[tuple[str, int], ...] = ()
    evidence: dict[str, str] = {}
    reasons: tuple[str, ...] = ()
    decided_by: str = ""
    consent_withdrawn: bool = False
    licensees: tuple[str, ...] = ()
    listings: tuple[str, ...] = ()
    share_roles: tuple[str, ...] = ()
    certificate_reminded_at: str | None = None
    """When its holder was reminded of the certificate's end; left out before."""


class FieldView(Struct):
    name: str
    type: str
    group: str
    description: str


class DescriptionView(Struct):
    title: str
    summary: str
    fields: tuple[FieldView, ...]
    update_frequency: str
    quality_statement: str
    tags: tuple[str, ...]
    sample: tuple[str, ...] | None = None


class ProductList(Struct):
    items: tuple[ProductView, ...]
    next: str | None


class Sample(Struct):
    """A few rows, for whoever signed in; `rows` are JSON texts as the merchant declared them."""

    product: str
    title: str
    fields: tuple[FieldView, ...]
    rows: tuple[str, ...]


def _fields(description: Description) -> tuple[FieldView, ...]:
    return tuple(FieldView(one.name, one.type, one.group, one.description) for one in description.fields)


def description_view(description: Description, whole: bool) -> DescriptionView:
    """Without the sample for those who have not signed in."""
    return DescriptionView(
        description.title,
        description.summary,
        _fields(description),
        description.update_frequency,
        description.quality_statement,
        description.tags,
        description.sample if whole else None,
    )


def authorisation_view(authorisation: Authorisation) -> AuthorisationView:
    return AuthorisationView(
        authorisation.purposes,
        authorisation.territories,
        authorisation.field_groups,
        authorisation.deals,
        text_of(authorisation.valid_from_ns),
        text_of(authorisation.valid_until_ns),
        authorisation.sublicensable,
        authorisation.blanket,
    )


def source_view(source: Source) -> SourceView:
    return SourceView(
        source.channel,
        source.statement,
        source.bypassed_controls,
        source.sharing_provider_consent,
        _text_or_unset(source.operation_until_ns),
    )


def consent_view(consent: Consent) -> ConsentView:
    return ConsentView(
        consent.basis,
        consent.purposes,
        consent.obtained_by,
        consent.coverage_pct,
        consent.guardian,
        _text_or_unset(consent.valid_until_ns),
        consent.cross_border_separate,
    )


def product_view(state: State, product: Product, whole: bool) -> ProductView:
    view = ProductView(
        product=product.id,
        state=product.state,
        revision=product.revision,
        merchant=product.merchant,
        merchant_name=state.bureau.participants[product.merchant].legal_name,
        holder=product.holder,
        description=description_view(product.description, whole),
        classification=ClassificationBody.of(product.classification),
        source=source_view(product.source),
        authorisation=authorisation_view(product.authorisation),
        consent=consent_view(product.consent),
        confirmed=tuple(product.confirmed),
        rights=product.rights,
        certificate=product.certificate or None,
        valid_until=optional_text(product.valid_until_ns),
        certificate_means_zh=CERTIFICATE_MEANS_ZH,
        certificate_means_en=CERTIFICATE_MEANS_EN,
        submitted_at=text_of(product.submitted_at_ns),
        authorisation_status=product.authorisation_status,
        objection=product.objection,
        risk=product.risk,
    )
    if whole:
        view.shares, view.evidence, view.reasons = product.shares, dict(product.evidence), product.reasons
        view.decided_by, view.consent_withdrawn = product.decided_by, product.consent_withdrawn
        view.licensees, view.listings = product.licensees, product.listings
        view.certificate_reminded_at = optional_text(state.reminded.get(product.id, 0))
        view.share_roles = state.revenue.roles.get(product.id, (UNSAID,) * len(product.shares))
    return view


async def _shown(call: Call) -> Callable[[Product], bool]:
    """Which products the visitor sees whole: its own, by an office all, as a trustee those about persons."""
    roles, visitor = await call.visitor_roles(), call.visitor
    everything, persons = bool(roles.intersection(OFFICES)), "trustee" in roles
    return lambda row: (
        everything or visitor == row.holder or (persons and row.classification.pi_state in PERSONAL)
    )


def is_public(state: State, product: Product) -> bool:
    """A product is everybody's to see once one of its listings is (公示)."""
    return any(state.listings[listing].state in VISIBLE for listing in product.listings)


# ---- handlers


def _check_words(body: "Declaration | Amendment") -> None:
    for group, fields in DECLARED_WORDS.items():
        declared = getattr(body, group)
        for field, allowed in fields.items():
            if declared is not None and getattr(declared, field) not in (*allowed, UNKNOWN, UNSET):
                words = ", ".join((*allowed, UNKNOWN))
                raise Refusing(Refused.out_of_bounds, f"{group}.{field} is one of {words}")


def _check_description(description: Description) -> None:
    """Lengths that the catalogue can show."""
    if not 1 <= len(description.title) <= MOST_TITLE:
        raise Refusing(Refused.out_of_bounds, f"description.title has 1 to {MOST_TITLE} characters")
    if not 1 <= len(description.fields) <= MOST_FIELDS or len(description.sample) > MOST_SAMPLE_ROWS:
        raise Refusing(
            Refused.out_of_bounds, f"1 to {MOST_FIELDS} fields, at most {MOST_SAMPLE_ROWS} sample rows"
        )
    if sum(len(row.encode()) for row in description.sample) > MOST_SAMPLE_BYTES:
        raise Refusing(
            Refused.out_of_bounds, f"description.sample has at most {MOST_SAMPLE_BYTES} bytes in all its rows"
        )
    if len(description.tags) > MOST_TAGS or any(len(tag) > MOST_TAG for tag in description.tags):
        raise Refusing(Refused.out_of_bounds, f"at most {MOST_TAGS} tags of {MOST_TAG} characters")


def _roles_of(shares: tuple[Share, ...]) -> tuple[str, ...]:
    """Empty where nobody said a role, as before there were any."""
    roles = tuple(share.role for share in shares)
    return () if all(role == UNSAID for role in roles) else roles


async def submit(call: Call, body: Declaration) -> Submitted:
    _check_description(body.description)
    _check_words(body)
    command = SubmitProduct(
        actor=call.participant,
        key=call.key,
        description=body.description,
        classification=body.classification.facts(),
        source=body.source.facts(),
        authorisation=body.authorisation.facts(),
        consent=body.consent.facts(),
        shares=tuple((share.participant, share.part_bp) for share in body.shares),
        share_roles=_roles_of(body.shares),
        evidence=dict(body.evidence),
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, ProductSubmitted)
    return Submitted(
        event.product, "pending", event.merchant, event.description.title, text_of(outcome.at_ns)
    )


async def decide(call: Call, body: ProductDecision) -> Decided:
    command = DecideProduct(
        actor=call.participant,
        key=call.key,
        product=call.path["product"],
        decision=body.decision,
        revision=body.revision or 0,
        confirmed=body.confirmed,
        rights=body.rights,
        valid_until_ns=optional_ns(body.valid_until, "valid_until"),
        reasons=body.reasons,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, ProductDecided)
    return Decided(
        product=event.product,
        state=LIFE["pending", event.decision],
        certificate=event.certificate or None,
        valid_until=optional_text(event.valid_until_ns),
        confirmed=event.confirmed,
        rights=event.rights,
        reasons=event.reasons,
        decided_by=event.by,
    )


async def renew(call: Call, body: CertificateRenewal) -> Renewed:
    command = RenewCertificate(
        actor=call.participant,
        key=call.key,
        product=call.path["product"],
        valid_until_ns=ns_of(body.valid_until, "valid_until"),
        evidence_sha256=body.evidence_sha256,
        reason=body.reason,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, CertificateRenewed)
    until, at = text_of(event.valid_until_ns), text_of(outcome.at_ns)
    return Renewed(event.product, event.certificate, until, event.evidence_sha256, event.by, at)


async def amend(call: Call, body: Amendment) -> Amended:
    _check_words(body)
    command = AmendFacts(
        actor=call.participant,
        key=call.key,
        product=call.path["product"],
        evidence_sha256=body.evidence_sha256,
        classification=None if body.classification is None else body.classification.facts(),
        source=None if body.source is None else body.source.facts(),
        authorisation=None if body.authorisation is None else body.authorisation.facts(),
        consent=None if body.consent is None else body.consent.facts(),
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, FactsAmended)
    groups = ("classification", "source", "authorisation", "consent")
    amended = tuple(group for group in groups if getattr(event, group) is not None)
    return Amended(event.product, amended, event.revision)


async def confirm(call: Call, body: Confirmation) -> Confirmed:
    command = ConfirmFacts(
        actor=call.participant,
        key=call.key,
        product=call.path["product"],
        revision=body.revision,
        groups=body.groups,
        evidence=dict(body.evidence),
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, FactsConfirmed)
    return Confirmed(event.product, event.groups, event.by)


async def record(call: Call, body: RegisterEntry) -> Recorded:
    command = RecordFact(
        actor=call.participant,
        key=call.key,
        product=call.path["product"],
        entry=body.entry,
        evidence_sha256=body.evidence_sha256,
        reason=body.reason,
        participant=body.participant,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, FactRecorded)
    return Recorded(event.product, event.entry, event.participant, event.by, text_of(outcome.at_ns))


async def list_own(call: Call, asked: ProductQuery) -> Response[bytes]:
    """A reviewer's list holds everybody's products, a trustee's those about persons; anybody else's their own."""
    shown = await _shown(call)

    def look(state: State) -> tuple[list[ProductView], str]:
        rows, following = page_of(
            state.products,
            "D",
            state.counters.get("D", 0),
            asked,
            lambda row: shown(row) and asked.state in ("", row.state),
        )
        return [product_view(state, row, True) for row in rows], following

    return call.page(*await call.read(look))


async def show(call: Call, asked: None) -> ProductView:
    identifier, shown = call.path["product"], await _shown(call)

    def look(state: State) -> ProductView | Refusal:
        product = state.products.get(identifier)
        whole = product is not None and shown(product)
        if product is None or not (whole or is_public(state, product)):
            return Refusal(Refused.not_found, f"there is no product {identifier}")
        return product_view(state, product, whole)

    view = await call.read(look)
    assert isinstance(view, ProductView)
    return view


async def sample(call: Call, asked: None) -> Sample:
    identifier, shown = call.path["product"], await _shown(call)

    def look(state: State) -> Sample | Refusal:
        product = state.products.get(identifier)
        whole = product is not None and shown(product)
        if product is None or not (whole or is_public(state, product)):
            return Refusal(Refused.not_found, f"there is no product {identifier}")
        description = product.description
        return Sample(identifier, description.title, _fields(description), description.sample)

    view = await call.read(look)
    assert isinstance(view, Sample)
    return view


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_GROUPS: Final = ("classification", "source", "authorisation", "consent")
_WHEN: Final = "2026-11-23T10:00:00Z"
_LATER: Final = "2028-11-23T10:00:00Z"
_DECLARED: Final = {
    "description": {
        "title": "港口集装箱吞吐量月度统计 Monthly container throughput",
        "summary": "分港区、分航线的集装箱吞吐量。Throughput by terminal and route.",
        "fields": [{"name": "teu", "type": "integer", "group": "core", "description": "标准箱"}],
        "update_frequency": "monthly",
        "quality_statement": "完整率不低于 99%",
        "sample": ['{"teu":1200}'],
        "tags": ["港口"],
    },
    "classification": {"origin": "enterprise", "data_class": "general", "secret_kind": "none", "pi_state": "none",
                       "human_genetic": False, "emergency_collected": False, "licence_required": False,
                       "required_security_level": 0},
    "source": {"channel": "self_generated", "statement": "自有业务系统产生", "bypassed_controls": False},
    "authorisation": {
        "purposes": ["market_analysis"], "territories": ["CN"], "field_groups": ["core"], "deals": ["licence"],
        "valid_from": _WHEN, "valid_until": _LATER,
    },
    "consent": {"basis": "none", "purposes": []},
    "shares": [],
    "evidence": dict.fromkeys(_GROUPS, _SHA),
}  # fmt: skip
_VIEW: Final = {
    "product": "D1", "state": "registered", "revision": 1, "merchant": "P2", "merchant_name": "海南示例数据有限公司",
    "holder": "P2",
    **{group: _DECLARED[group] for group in ("description", "classification", "source", "authorisation", "consent")},
    "confirmed": list(_GROUPS), "rights": ["product_operation"], "certificate": "SJ-1795428000-D1",
    "valid_until": _LATER, "certificate_means_zh": CERTIFICATE_MEANS_ZH, "certificate_means_en": CERTIFICATE_MEANS_EN,
    "submitted_at": _WHEN, "authorisation_status": "granted", "objection": False, "risk": "",
}  # fmt: skip
_REVIEWED: Final = (Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state)

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/products", submit, "Declare a product for registration (accredited merchant)", "products",
        status=201, asks=Declaration, answers=Submitted, example=_DECLARED,
        refused=(Refused.not_verified, Refused.not_accredited, Refused.standing_denied, Refused.not_found,
                 Refused.evidence_missing, Refused.out_of_bounds),
        example_answer={"product": "D1", "state": "pending", "merchant": "P2", "title": "港口集装箱吞吐量月度统计",
                        "submitted_at": _WHEN},
    ),
    Operation(
        "GET", "/v1/products", list_own, "Own products; reviewers, operators and auditors see all", "products",
        asks=ProductQuery, answers=ProductList, example_answer={"items": [_VIEW], "next": None},
    ),
    Operation(
        "GET", "/v1/products/{product}", show, "A product and what is registered of it", "products",
        answers=ProductView, signed_in=False, refused=(Refused.not_signed_in, Refused.not_found), example_answer=_VIEW,
    ),
    Operation(
        "GET", "/v1/products/{product}/sample", sample, "The sample rows, for whoever signed in", "products",
        answers=Sample, refused=(Refused.not_found,),
        example_answer={"product": "D1", "title": "港口集装箱吞吐量月度统计", "rows": ['{"teu":1200}'],
                        "fields": _DECLARED["description"]["fields"]},  # type: ignore[index]
    ),
    Operation(
        "POST", "/v1/products/{product}/decision", decide, "Register, return or refuse (reviewer, not the submitter)",
        "products", asks=ProductDecision, answers=Decided, refused=(*_REVIEWED, Refused.unlawful, Refused.out_of_bounds),
        example={"decision": "register", "revision": 1, "confirmed": list(_GROUPS), "rights": ["product_operation"],
                 "valid_until": _LATER, "reasons": []},
        example_answer={"product": "D1", "state": "registered", "certificate": "SJ-1795428000-D1",
                        "valid_until": _LATER, "confirmed": list(_GROUPS), "rights": ["product_operation"],
                        "reasons": [], "decided_by": "P3", "certificate_means_zh": CERTIFICATE_MEANS_ZH,
                        "certificate_means_en": CERTIFICATE_MEANS_EN},
    ),
    Operation(
        "POST", "/v1/products/{product}/renewals", renew, "Renew the certificate before it expires (reviewer)",
        "products", status=201, asks=CertificateRenewal, answers=Renewed,
        refused=(*_REVIEWED, Refused.unlawful, Refused.out_of_bounds, Refused.evidence_missing),
        example={"valid_until": _LATER, "evidence_sha256": _SHA, "reason": "到期前延续登记"},
        example_answer={"product": "D1", "certificate": "SJ-1795428000-D1", "valid_until": _LATER,
                        "evidence_sha256": _SHA, "by": "P3", "at": _WHEN},
    ),
    Operation(
        "POST", "/v1/products/{product}/facts", amend, "Declare one group of facts anew (its holder)", "products",
        asks=Amendment, answers=Amended, refused=(Refused.not_found, Refused.evidence_missing),
        example={"evidence_sha256": _SHA, "source": {"channel": "self_generated", "statement": "自有业务系统产生"}},
        example_answer={"product": "D1", "amended": ["source"], "revision": 2, "unconfirmed": True},
    ),
    Operation(
        "POST", "/v1/products/{product}/confirmations", confirm, "Confirm amended facts against evidence (reviewer)",
        "products", asks=Confirmation, answers=Confirmed, refused=(*_REVIEWED, Refused.evidence_missing),
        example={"revision": 2, "groups": ["source"], "evidence": {"source": _SHA}},
        example_answer={"product": "D1", "confirmed": ["source"], "by": "P3"},
    ),
    Operation(
        "POST", "/v1/products/{product}/records", record, "Enter a fact in the registers of a product", "products",
        status=201, asks=RegisterEntry, answers=Recorded, refused=(*_REVIEWED, Refused.evidence_missing),
        example={"entry": "authorisation_withdrawn", "evidence_sha256": _SHA, "reason": "权利人撤回授权"},
        example_answer={"product": "D1", "entry": "authorisation_withdrawn", "participant": "", "by": "P2",
                        "at": _WHEN},
    ),
)  # fmt: skip
