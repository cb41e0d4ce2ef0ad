"""A data product: what its merchant declares, what a reviewer confirms, and its registration certificate.

    submitted ──register──> registered ──suspend──> suspended ──resume──> registered   (renewed before it expires)
        │                        ├──revoke──> revoked
        ├──return──> returned    └──cancel──> cancelled
        └──refuse──> refused

A declared fact is unknown to the rules until somebody else has held it against hashed evidence (江西 27, 30;
数据安全法 33: 要求数据提供方说明数据来源, 审核交易双方的身份); only the worst that a merchant can say of itself is believed
at once. Only a reviewer who does not gain decides (`Refused.own_case`). After a transfer the buyer is the holder, and
amends, records and lists instead of the merchant that had submitted.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec
from msgspec import UNSET, UnsetType

from clearing.house import Cell
from clearing.notrade import (
    AuthFacts,
    ConsentFacts,
    Facts,
    PriceFacts,
    ProductFacts,
    RegistrationFacts,
    SourceFacts,
    TradeFacts,
    VenueFacts,
    Verdict,
    capacities,
    place_of,
)
from clearing.revenue import ROLES, refuse_roles, refuse_shares
from exchange.board import Board
from exchange.events import (
    AmendFacts,
    CertificateReminded,
    CertificateRenewed,
    Classification,
    ConfirmFacts,
    DecideProduct,
    Event,
    FactRecorded,
    FactsAmended,
    FactsConfirmed,
    ProductDecided,
    ProductSubmitted,
    RecordFact,
    Refusal,
    Refused,
    RenewCertificate,
    SubmitProduct,
)
from exchange.gathering import central_approved, of_product, of_registration, of_source, until_ns
from exchange.participant import has_role, party_of, same_house, standing_refusal
from exchange.state import DAY_NS, Product, State

LIFE: Final[Mapping[tuple[str, str], str]] = {
    ("pending", "register"): "registered",
    ("pending", "return"): "returned",
    ("pending", "refuse"): "refused",
    ("registered", "suspend"): "suspended",
    ("suspended", "resume"): "registered",
    ("registered", "revoke"): "revoked",
    ("suspended", "revoke"): "revoked",
    ("registered", "cancel"): "cancelled",
    ("suspended", "cancel"): "cancelled",
}
"""What is not in this table cannot happen."""

GROUPS: Final = ("classification", "source", "authorisation", "consent")
"""Groups of declared facts, each with one piece of hashed evidence."""

RIGHTS: Final = ("resource_holding", "processing_use", "product_operation")
"""What a certificate names and a listing conveys (海南 1: 数据资源持有权、数据加工使用权、数据产品经营权分置)."""

MOST_TITLE: Final = 200
MOST_FIELDS: Final = 500
MOST_TAGS: Final = 20
MOST_TAG: Final = 50
"""Of a description: what the catalogue can show. The doors hold declarations to it."""

DECLARED_LATER: Final = (
    "sensitive_pi", "under14", "directly_identifying", "human_genetic", "export_controlled", "emergency_collected",
    "raw_leaves_domain", "redeveloped", "licence_required", "required_security_level", "storage_region", "sm_crypto",
    "medical_records", "face_plate_video",
)  # fmt: skip
"""Facts of a classification that may be left out: then they are unknown."""

UNKNOWN: Final = "unknown"
"""What a draft says of a fact that nobody has stated yet; no reviewer can make it allow a trade."""


def _words_of(facts: Any, field: str) -> tuple[str, ...]:
    """The values that the rules know for a fact."""
    return tuple(word for part in get_args(facts.__annotations__[field]) for word in get_args(part))


DECLARED_WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "classification": {
        field: _words_of(ProductFacts, field)
        for field in ("origin", "data_class", "secret_kind", "public_risk", "pi_state", "open_class")
    },
    "source": {"channel": _words_of(SourceFacts, "channel")},
    "consent": {field: _words_of(ConsentFacts, field) for field in ("basis", "obtained_by")},
}
"""Group: field: values. To the rules any other value is unknown, which never allows; the doors tell it at once."""

REGISTRATION: Final = {"pending": "pending", "returned": "none", "refused": "none"}
"""Product state as `registration.status` where the names differ."""

AGAINST_ONESELF: Final[Mapping[str, Any]] = {
    "data_class": "core",
    "secret_kind": "state",
    "public_risk": "confirmed",
    "pi_state": "identifiable",
    "open_class": "not_open",
    "declassified": False,
    "derived": False,
    "right_holders_agree": False,
    "basis": "none",
    "statement_filed": False,
    "sensitive_pi": True,
    "under14": True,
    "directly_identifying": True,
    "human_genetic": True,
    "export_controlled": True,
    "emergency_collected": True,
    "raw_leaves_domain": True,
    "redeveloped": True,
    "licence_required": True,
    "sm_crypto": False,
    "medical_records": True,
    "face_plate_video": True,
    "bypassed_controls": True,
    "sharing_provider_consent": False,
    "sublicensable": False,
    "blanket": True,
    "obtained_by": "coerced",
    "coverage_pct": 0,
    "guardian": False,
    "cross_border_separate": False,
}
"""The worst value of each fact: believed without confirmation. A milder one may be a gain, and waits for a reviewer."""

REGISTER_ENTRIES: Final[Mapping[str, tuple[bool, str]]] = {
    "authorisation_withdrawn": (True, ""),
    "authorisation_disputed": (True, ""),
    "authorisation_restored": (False, ""),
    "consent_withdrawn": (True, ""),
    "consent_removed": (False, ""),
    "registration_suspended": (False, "suspend"),
    "registration_resumed": (False, "resume"),
    "registration_revoked": (False, "revoke"),
    "registration_cancelled": (True, "cancel"),
    "objection_raised": (True, ""),
    "objection_settled": (False, ""),
    "risk_suspected": (True, ""),
    "risk_confirmed": (False, ""),
    "risk_cleared": (False, ""),
    "licensee_recorded": (False, ""),
    "licensee_removed": (False, ""),
}
"""Entry: (whether the holder may enter it against itself, step of LIFE)."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
CERTIFICATE_MAX_YEARS: Final = 10
_YEAR_NS: Final = 366 * DAY_NS
CERTIFICATE_REMIND_DAYS: Final = 30
"""Days before its end on which the holder of a certificate is reminded; of a short one when half of it is over.

「在登记有效期到期前做好延续申请」(北京市企业数据知识产权工作指引第二十五条); how long before is the venue's own rule.
"""


PERSONAL: Final = ("identifiable", "deidentified")


def protected_kinds(product: Product) -> tuple[str, ...]:
    """What of it the law protects, as it is declared now: personal, important; mostly neither."""
    declared = product.classification
    if declared.pi_state not in PERSONAL and declared.data_class != "important":
        return ()
    personal = ("personal",) if declared.pi_state in PERSONAL else ()
    return (*personal, "important") if declared.data_class == "important" else personal


def kinds_of(state: State, trade: str, product: Product) -> tuple[str, ...]:
    """What the trade was made for, and what is declared since: a declaration may add to it and take nothing away."""
    return (*state.protected.get(trade, ()), *protected_kinds(product))


def evidence_refusal(sha256: str) -> Refusal | None:
    """Evidence is named by the SHA-256 of its file, 64 lower-case hex digits."""
    if _SHA256.match(sha256):
        return None
    return Refusal(
        Refused.evidence_missing, "evidence_sha256 is the SHA-256 of the evidence: 64 lower-case hex digits"
    )


# ---- commands


def submit(state: State, command: SubmitProduct, at_ns: int) -> Refusal | list[Event]:
    refusal = standing_refusal(state, command.actor, "list", at_ns) or _content_refusal(state, command)
    if refusal is not None:
        return refusal
    return [
        ProductSubmitted(
            state.next_id("D"),
            command.actor,
            command.description,
            command.classification,
            command.source,
            command.authorisation,
            command.consent,
            command.shares,
            command.evidence,
            command.share_roles,
        )
    ]


def _content_refusal(state: State, command: SubmitProduct) -> Refusal | None:
    missing = [group for group in GROUPS if group not in command.evidence]
    if missing:
        return Refusal(Refused.evidence_missing, f"evidence lacks the hash for: {', '.join(missing)}")
    if extra := [group for group in command.evidence if group not in GROUPS]:
        return Refusal(
            Refused.malformed, f"evidence names no fact group: {', '.join(extra)}; use {', '.join(GROUPS)}"
        )
    for sha256 in command.evidence.values():
        if (refusal := evidence_refusal(sha256)) is not None:
            return refusal
    if command.authorisation.valid_until_ns <= command.authorisation.valid_from_ns:
        return Refusal(Refused.out_of_bounds, "authorisation.valid_until must lie after valid_from")
    if (reason := refuse_shares(command.shares, command.actor)) is not None:
        return Refusal(Refused.out_of_bounds, f"shares: {reason}")
    if (unfit := refuse_roles(command.share_roles, command.shares)) is not None:
        return Refusal(Refused.out_of_bounds, f"shares: {unfit}; a role is one of {', '.join(ROLES)}")
    for participant, _ in command.shares:
        if participant not in state.bureau.participants:
            return Refusal(Refused.not_found, f"shares: there is no participant {participant}")
    return None


def decide(state: State, command: DecideProduct, at_ns: int) -> Refusal | list[Event]:
    product = state.products.get(command.product)
    if product is None:
        return Refusal(Refused.not_found, f"there is no product {command.product}")
    refusal = reviewer_refusal(state, command.actor, product, at_ns)
    if refusal is not None:
        return refusal
    if product.state != "pending" or (product.state, command.decision) not in LIFE:
        return Refusal(
            Refused.wrong_state, f"a product that is {product.state} cannot take the step {command.decision}"
        )
    if command.decision != "register":
        if not command.reasons:
            return Refusal(Refused.malformed, "give the reasons of the decision")
        return [_decided(product, command, "", 0, 0)]
    return _register(state, product, command, at_ns)


def revision_refusal(product: Product, revision: int) -> Refusal | None:
    """What is confirmed is what the reviewer saw: the facts as they stood in this revision."""
    if not revision:
        return Refusal(Refused.malformed, "revision: say which revision of the product you looked at")
    if revision != product.revision:
        detail = f"the facts were amended since revision {revision}: look again"
        if revision > product.revision:
            detail = f"there is no revision {revision} yet: the product is at {product.revision}"
        return Refusal(Refused.wrong_state, detail)
    return None


def _register(state: State, product: Product, command: DecideProduct, at_ns: int) -> Refusal | list[Event]:
    if unknown := [group for group in command.confirmed if group not in GROUPS]:
        return Refusal(
            Refused.malformed, f"no such fact group: {', '.join(unknown)}; use {', '.join(GROUPS)}"
        )
    if (refusal := revision_refusal(product, command.revision)) is not None:
        return refusal
    if not command.rights or any(right not in RIGHTS for right in command.rights):
        return Refusal(Refused.out_of_bounds, f"rights names at least one of {', '.join(RIGHTS)}")
    if (refusal := _term_refusal(command.valid_until_ns, at_ns)) is not None:
        return refusal
    confirmed = dict.fromkeys(command.confirmed, command.actor)
    looked = msgspec.structs.replace(product, confirmed=confirmed, rights=command.rights)
    if (refusal := _registration_refusal(state, looked, at_ns)) is not None:
        return refusal
    certificate = f"SJ-{at_ns // 1_000_000_000}-{command.product}"
    until_ns = command.valid_until_ns
    return [_decided(product, command, certificate, until_ns, _remind_ns(at_ns, until_ns))]


def _remind_ns(from_ns: int, until_ns: int) -> int:
    """When the holder of a certificate is reminded of its end."""
    return until_ns - min(CERTIFICATE_REMIND_DAYS * DAY_NS, (until_ns - from_ns) // 2)


def _term_refusal(until_ns: int, at_ns: int) -> Refusal | None:
    if at_ns < until_ns <= at_ns + CERTIFICATE_MAX_YEARS * _YEAR_NS:
        return None
    return Refusal(Refused.out_of_bounds, f"valid_until lies within {CERTIFICATE_MAX_YEARS} years from now")


def _registration_refusal(state: State, looked: Product, at_ns: int) -> Refusal | None:
    """No certificate, and no longer one, for what may not be registered."""
    verdict = judge_registration(state, looked, at_ns)
    if verdict.outcome not in ("reject", "indeterminate"):
        return None
    detail = "registration breaks a rule" if verdict.outcome == "reject" else "facts are not confirmed"
    cell = cell_facts(state, looked, at_ns)
    bound = capacities(cell.product, cell.source)
    return Refusal(Refused.unlawful, detail, verdict.violated, verdict.unknown, bound)


def _decided(
    product: Product, command: DecideProduct, certificate: str, valid_until_ns: int, remind_ns: int
) -> ProductDecided:
    return ProductDecided(
        command.product,
        command.decision,
        command.confirmed,
        command.rights,
        certificate,
        valid_until_ns,
        command.reasons,
        command.actor,
        LIFE[product.state, command.decision],
        remind_ns,
    )


def judge_registration(state: State, product: Product, at_ns: int) -> Verdict:
    """The verdict of the phase `registration`: certificate, trade and buyer cannot exist yet and wait."""
    cell = cell_facts(state, product, at_ns)
    party = party_of(state, product.merchant, at_ns)
    facts = Facts(
        "registration",
        at_ns,
        cell.venue,
        cell.product,
        cell.source,
        None,
        cell.auth,
        cell.consent,
        party.seller,
    )
    return state.rulebook.judge(facts)


def renew(state: State, command: RenewCertificate, at_ns: int) -> Refusal | list[Event]:
    """A certificate is renewed while it is good: 「在登记有效期到期前做好延续申请」(北京市企业数据知识产权工作指引 25)."""
    product = state.products.get(command.product)
    if product is None:
        return Refusal(Refused.not_found, f"there is no product {command.product}")
    refusal = (
        reviewer_refusal(state, command.actor, product, at_ns)
        or _renewal_refusal(product, command, at_ns)
        or evidence_refusal(command.evidence_sha256)
        or _registration_refusal(state, product, at_ns)
    )
    return refusal or [
        CertificateRenewed(
            product.id,
            product.certificate,
            command.valid_until_ns,
            command.evidence_sha256,
            command.reason,
            command.actor,
            _remind_ns(at_ns, command.valid_until_ns),
        )
    ]


def on_reminder_due(state: State, identifier: str, due_ns: int, at_ns: int) -> list[Event]:
    """Nothing is said where the certificate was renewed meanwhile, is over, or is none any more."""
    product = state.products[identifier]
    until_ns = product.valid_until_ns
    if until_ns < at_ns or until_ns - due_ns > CERTIFICATE_REMIND_DAYS * DAY_NS:
        return []
    if product.state not in ("registered", "suspended"):
        return []
    return [CertificateReminded(product.id, product.certificate, product.holder, until_ns)]


def _renewal_refusal(product: Product, command: RenewCertificate, at_ns: int) -> Refusal | None:
    if product.state not in ("registered", "suspended"):
        return Refusal(Refused.wrong_state, f"a product that is {product.state} has no certificate to renew")
    if product.valid_until_ns < at_ns:
        return Refusal(Refused.wrong_state, "the certificate has expired: declare and register it anew")
    if command.valid_until_ns <= product.valid_until_ns:
        return Refusal(Refused.out_of_bounds, "valid_until lies after the certificate's present end")
    if not command.reason.strip():
        return Refusal(Refused.malformed, "reason says on what application the certificate is renewed")
    return _term_refusal(command.valid_until_ns, at_ns)


def amend(state: State, command: AmendFacts, at_ns: int) -> Refusal | list[Event]:
    product = state.products.get(command.product)
    if product is None or product.holder != command.actor:
        return Refusal(Refused.not_found, f"you have no product {command.product}")
    if (refusal := evidence_refusal(command.evidence_sha256)) is not None:
        return refusal
    given = [group for group in GROUPS if getattr(command, group) is not None]
    if len(given) != 1:
        return Refusal(Refused.malformed, f"amend exactly one group at a time: {', '.join(GROUPS)}")
    return [
        FactsAmended(
            command.product,
            command.evidence_sha256,
            command.classification,
            command.source,
            command.authorisation,
            command.consent,
            product.revision + 1,
        )
    ]


def confirm(state: State, command: ConfirmFacts, at_ns: int) -> Refusal | list[Event]:
    product = state.products.get(command.product)
    if product is None:
        return Refusal(Refused.not_found, f"there is no product {command.product}")
    refusal = reviewer_refusal(state, command.actor, product, at_ns)
    if refusal is not None:
        return refusal
    if (refusal := revision_refusal(product, command.revision)) is not None:
        return refusal
    for group in command.groups:
        if group not in GROUPS:
            return Refusal(Refused.malformed, f"no such fact group: {group}; use {', '.join(GROUPS)}")
        if command.evidence.get(group) != product.evidence[group]:
            return Refusal(
                Refused.evidence_missing,
                f"the evidence for {group} is {product.evidence[group]}: confirm that file",
            )
    return [FactsConfirmed(command.product, command.groups, command.actor)]


def record(state: State, command: RecordFact, at_ns: int) -> Refusal | list[Event]:
    """An entry in the registers of authorisation, consent, registration, risk and licensees."""
    product = state.products.get(command.product)
    if product is None:
        return Refusal(Refused.not_found, f"there is no product {command.product}")
    if command.entry not in REGISTER_ENTRIES:
        return Refusal(Refused.malformed, f"entry is one of {', '.join(REGISTER_ENTRIES)}")
    by_holder, step = REGISTER_ENTRIES[command.entry]
    if not (by_holder and command.actor == product.holder):
        recorded = [command.participant] if command.participant in state.bureau.participants else []
        refusal = reviewer_refusal(state, command.actor, product, at_ns, *recorded)
        if refusal is not None:
            return refusal
    if (refusal := evidence_refusal(command.evidence_sha256)) is not None:
        return refusal
    if step and (product.state, step) not in LIFE:
        return Refusal(Refused.wrong_state, f"a product that is {product.state} cannot take the step {step}")
    if command.entry == "risk_suspected" and product.risk == "confirmed":
        return Refusal(
            Refused.wrong_state, "the risk is confirmed: a suspicion does not lift that, clear it first"
        )
    if command.entry == "licensee_recorded" and command.participant not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {command.participant!r}")
    if command.entry == "licensee_removed" and command.participant not in product.licensees:
        licensees = ", ".join(product.licensees) or "nobody"
        return Refusal(Refused.not_found, f"{command.participant!r} is no licensee; on record: {licensees}")
    return [
        FactRecorded(
            command.product,
            command.entry,
            command.evidence_sha256,
            command.reason,
            command.participant,
            command.actor,
            LIFE[product.state, step] if step else "",
            certificate_of(product, command.entry),
        )
    ]


def certificate_of(product: Product, entry: str) -> str:
    """The certificate that is worth something else by this entry; empty where there is none."""
    return product.certificate if entry.startswith("registration_") else ""


def gainers(state: State, product: Product) -> list[str]:
    """Who gains from a decision on this product: its parties, and those of the trades that wait for one (holds)."""
    parties = [product.merchant, product.holder, *product.licensees]
    parties += [participant for participant, _ in product.shares]
    for trade in state.holds.values():
        if trade.listing in product.listings:
            parties += (trade.buyer, trade.seller)
    return parties


def own_case_refusal(state: State, actor: str, *parties: str) -> Refusal | None:
    """Nobody decides where they, or somebody of their house, are one of the parties that gain."""
    if any(same_house(state, actor, party) for party in parties):
        detail = (
            "nobody decides where they or their controller are a party: merchant, holder, licensee, contributor,"
            " buyer or seller; ask another reviewer"
        )
        return Refusal(Refused.own_case, detail)
    return None


def reviewer_refusal(state: State, actor: str, product: Product, at_ns: int, *others: str) -> Refusal | None:
    """Decided by a reviewer who is none of those that gain, nor of their houses; `others` gain from this step only."""
    if not has_role(state, actor, "reviewer", at_ns):
        return Refusal(Refused.forbidden, "only a reviewer decides this")
    return own_case_refusal(state, actor, *gainers(state, product), *others)


# ---- events


def apply_submitted(state: State, event: ProductSubmitted, at_ns: int) -> None:
    state.took_id(event.product)
    state.products[event.product] = Product(
        id=event.product,
        merchant=event.merchant,
        description=event.description,
        classification=event.classification,
        source=event.source,
        authorisation=event.authorisation,
        consent=event.consent,
        shares=event.shares,
        evidence=dict(event.evidence),
        submitted_at_ns=at_ns,
        holder=event.merchant,
    )
    if event.share_roles:
        state.revenue.roles[event.product] = event.share_roles


def apply_decided(state: State, event: ProductDecided, at_ns: int) -> None:
    product = state.products[event.product]
    product.state = event.state
    product.confirmed = dict.fromkeys(event.confirmed, event.by)
    product.rights, product.certificate = event.rights, event.certificate
    product.valid_until_ns, product.reasons, product.decided_by = (
        event.valid_until_ns,
        event.reasons,
        event.by,
    )
    _start_reminder(state, event)
    state.forget_product(product)


def _start_reminder(state: State, event: ProductDecided | CertificateRenewed) -> None:
    if event.remind_ns:
        state.start_timer(event.remind_ns, "certificate_reminder", event.product)


def apply_renewed(state: State, event: CertificateRenewed, at_ns: int) -> None:
    product = state.products[event.product]
    product.valid_until_ns = event.valid_until_ns
    state.reminded.pop(product.id, None)
    _start_reminder(state, event)
    state.forget_product(product)


def apply_reminded(state: State, event: CertificateReminded, at_ns: int) -> None:
    state.reminded[event.product] = at_ns


def apply_amended(state: State, event: FactsAmended, at_ns: int) -> None:
    product = state.products[event.product]
    product.revision = event.revision
    for group in GROUPS:
        facts = getattr(event, group)
        if facts is not None:
            setattr(product, group, facts)
            product.evidence[group] = event.evidence_sha256
            product.confirmed.pop(group, None)
    state.forget_product(product)


def apply_confirmed(state: State, event: FactsConfirmed, at_ns: int) -> None:
    product = state.products[event.product]
    product.confirmed.update(dict.fromkeys(event.groups, event.by))
    state.forget_product(product)


def apply_recorded(state: State, event: FactRecorded, at_ns: int) -> None:
    product = state.products[event.product]
    if event.state:
        product.state = event.state
    elif event.entry.startswith("authorisation_"):
        product.authorisation_status = {"restored": "granted"}.get(event.entry[14:], event.entry[14:])
    elif event.entry.startswith("risk_"):
        product.risk = {"cleared": ""}.get(event.entry[5:], event.entry[5:])
    elif event.entry == "licensee_recorded":
        product.licensees = tuple(dict.fromkeys((*product.licensees, event.participant)))
    elif event.entry == "licensee_removed":
        product.licensees = tuple(one for one in product.licensees if one != event.participant)
    else:
        _record_flag(product, event.entry)
    state.forget_product(product)


def _record_flag(product: Product, entry: str) -> None:
    if entry == "consent_withdrawn":
        product.consent_withdrawn, product.consent_removed = True, False
    elif entry == "consent_removed":
        product.consent_removed = True
    elif entry == "objection_raised":
        product.objection = True
    elif entry == "objection_settled":
        product.objection = False


# ---- facts


def _believed(product: Product, group: str, field: str, value: Any) -> Any:
    if group in product.confirmed or value == AGAINST_ONESELF.get(field, UNSET):
        return value
    return UNSET


def cell_facts(state: State, product: Product, at_ns: int, board: Board | None = None) -> Cell:
    """What the registers say of a product at an instant; trade, price and export are filled in by the listing.

    Without a board (at registration there is none yet) what depends on it is unknown.
    """
    return Cell(
        venue=VenueFacts(
            place_of(state.jurisdiction), UNSET if board is None else central_approved(state, board, at_ns)
        ),
        product=_product_facts(state, product, UNSET if board is None else board.id, at_ns),
        source=_source_facts(state, product, at_ns),
        registration=_registration_facts(state, product, at_ns),
        auth=_authorisation_facts(product),
        consent=_consent_facts(product),
        trade=TradeFacts(),
        price=PriceFacts(),
        kept={},
        until_ns=until_ns(state, at_ns, product.id),
    )


def _source_facts(state: State, product: Product, at_ns: int) -> SourceFacts:
    filed = bool(product.source.statement)
    said = {
        "bypassed_controls": _believed(
            product, "source", "bypassed_controls", product.source.bypassed_controls
        ),
        **of_source(state, product, at_ns),
    }
    return SourceFacts(
        channel=_believed(product, "source", "channel", product.source.channel),
        statement_filed=_believed(product, "source", "statement_filed", filed),
        sharing_provider_consent=_believed(
            product, "source", "sharing_provider_consent", product.source.sharing_provider_consent
        ),
        operation_until=product.source.operation_until_ns if "source" in product.confirmed else UNSET,
        **said,
    )


def _product_facts(state: State, product: Product, board: str | UnsetType, at_ns: int) -> ProductFacts:
    declared: Classification = product.classification

    def believed(field: str) -> Any:
        return _believed(product, "classification", field, getattr(declared, field))

    def further(field: str) -> Any:
        said = UNSET if declared.further is UNSET else getattr(declared.further, field)
        return _believed(product, "classification", field, said)

    return ProductFacts(
        id=product.id,
        board=board,
        origin=believed("origin"),
        data_class=believed("data_class"),
        pi_state=believed("pi_state"),
        secret_kind=believed("secret_kind"),
        public_risk=_worse_risk(product.risk, believed("public_risk")),
        open_class=believed("open_class"),
        declassified=believed("declassified"),
        derived=believed("derived"),
        right_holders_agree=believed("right_holders_agree"),
        **{field: further(field) for field in DECLARED_LATER},
        **of_product(state, product.id, at_ns),
    )


def _worse_risk(recorded: str, declared: Any) -> Any:
    """The worse of what the risk register says and what is believed of the declaration; unknown may be confirmed."""
    if "confirmed" in (recorded, declared):
        return "confirmed"
    return declared if declared is UNSET else recorded or declared


def _registration_facts(state: State, product: Product, at_ns: int) -> RegistrationFacts:
    return RegistrationFacts(
        status=REGISTRATION.get(product.state, product.state),  # type: ignore[arg-type]
        valid_until=product.valid_until_ns,
        holder_id=product.holder,
        objection_pending=product.objection,
        rights=product.rights,  # type: ignore[arg-type]
        **of_registration(state, product.id, at_ns),
    )


def _authorisation_facts(product: Product) -> AuthFacts:
    given = product.authorisation
    if product.authorisation_status != "granted":
        status: Any = product.authorisation_status
    else:
        status = _believed(product, "authorisation", "status", "granted")
    if "authorisation" not in product.confirmed:
        worst = {
            field: _believed(product, "authorisation", field, getattr(given, field))
            for field in ("sublicensable", "blanket")
        }
        return AuthFacts(status=status, **worst)
    return AuthFacts(
        status=status,
        valid_from=given.valid_from_ns,
        valid_until=given.valid_until_ns,
        purposes=given.purposes,
        territories=given.territories,
        field_groups=given.field_groups,
        deals=given.deals,  # type: ignore[arg-type]
        sublicensable=given.sublicensable,
        blanket=given.blanket,
    )


def _consent_facts(product: Product) -> ConsentFacts:
    confirmed = "consent" in product.confirmed
    return ConsentFacts(
        basis=_believed(product, "consent", "basis", product.consent.basis),
        purposes=product.consent.purposes if confirmed else UNSET,
        withdrawn=product.consent_withdrawn,
        withdrawn_removed=product.consent_removed,
        recipient_named=False,
        valid_until=product.consent.valid_until_ns if confirmed else UNSET,
        **{
            field: _believed(product, "consent", field, getattr(product.consent, field))
            for field in ("obtained_by", "coverage_pct", "guardian", "cross_border_separate")
        },
    )
