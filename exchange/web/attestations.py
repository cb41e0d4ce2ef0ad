"""Accredited providers and what they attest."""

from typing import Annotated, Any, Final, Literal

from litestar import Response
from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.attestation import rules_of, signing_text, stands
from exchange.events import (
    AccreditProvider,
    Attest,
    AttestationRevoked,
    Attested,
    ProviderAccredited,
    ProviderRevoked,
    Refused,
    RevokeAttestation,
    RevokeProvider,
)
from exchange.state import Attestation, Provider, State
from exchange.web.access import signed_by
from exchange.web.instant import Instant, ns_of, text_of
from exchange.web.operation import Call, Id, Operation, Paging, Sha256
from exchange.web.problem import Refusing

Kind = Literal["compliance", "security", "valuation", "notary", "ethics"]
RuleId = Annotated[str, Meta(max_length=10)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]


class Accreditation(Struct, kw_only=True, forbid_unknown_fields=True):
    """`evidence_sha256`: of the decision, with the provider's licence and insurance in it."""

    participant: Id
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=5)]
    valid_until: Instant
    evidence_sha256: Sha256


class Revocation(Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class AttestationBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a provider says, and its signature over `shuji-attestation:<participant>:<json>`.

    `<json>` is this body without `signature`: keys sorted, no spaces, every field given (`buyer` empty for any buyer),
    `valid_until` in UTC with Z, without decimals where it has none.
    """

    kind: Kind
    product: Id
    buyer: Id = ""
    rules: Annotated[
        tuple[RuleId, ...], Meta(min_length=1, max_length=30, description="whose evidence it confirms")
    ]
    valid_until: Instant
    evidence_sha256: Sha256
    signature: Annotated[str, Meta(max_length=128, description="base64 Ed25519 signature")]


class ProviderView(Struct, kw_only=True):
    """`confirms`: by kind, the rules in force that its attestations may confirm. `revoked` is the reason, or null."""

    participant: str
    kinds: tuple[str, ...]
    confirms: dict[str, tuple[str, ...]]
    valid_until: str
    accredited: str
    evidence_sha256: str
    revoked: str | None
    classes: tuple[str, ...] = ()
    """Of the credential that it attests by, and only while that is in force; empty: an operator has appointed it."""


class ProviderList(Struct):
    items: tuple[ProviderView, ...]
    next: str | None


class Overtaken(Struct):
    """`buyer` is empty where it is so for everybody."""

    rule: str
    buyer: str


class AttestationView(Struct, kw_only=True):
    """`stands` now: within its dates, not revoked, its provider not either."""

    attestation: str
    kind: str
    provider: str
    product: str
    buyer: str
    rules: tuple[str, ...]
    given: str
    valid_until: str
    evidence_sha256: str
    text: str
    public_key: str
    signature: str
    stands: bool
    revoked: str | None
    revoked_reason: str | None
    overtaken: tuple[Overtaken, ...]
    """Rules that it confirms no longer, because what they read of the product has changed: have them attested anew."""
    cured: tuple[str, ...] | UnsetType = UNSET
    """Trades on hold that this attestation, when it was given, cured a rule of."""


class AttestationQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    product: Id = ""
    provider: Id = ""


class AttestationList(Struct):
    items: tuple[AttestationView, ...]
    next: str | None


# ---- providers


async def accredit(call: Call, body: Accreditation) -> ProviderView:
    command = AccreditProvider(
        actor=call.participant,
        key=call.key,
        participant=body.participant,
        kinds=body.kinds,
        valid_until_ns=ns_of(body.valid_until, "valid_until"),
        evidence_sha256=body.evidence_sha256,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, ProviderAccredited)
    row = Provider(
        participant=event.participant,
        kinds=event.kinds,
        valid_until_ns=event.valid_until_ns,
        evidence_sha256=event.evidence_sha256,
        by=event.by,
        since_ns=outcome.at_ns,
    )
    return _provider(call, row)


def _provider(call: Call, row: Provider) -> ProviderView:
    rules = call.desk.reasons.rulebook.rules.values()
    return ProviderView(
        participant=row.participant,
        kinds=row.kinds,
        confirms={kind: rules_of(rules, kind) for kind in row.kinds},
        valid_until=text_of(row.valid_until_ns),
        accredited=text_of(row.since_ns),
        evidence_sha256=row.evidence_sha256,
        revoked=row.revoked or None,
        classes=row.classes or (),
    )


async def revoke_provider(call: Call, body: Revocation) -> ProviderView:
    participant = call.path["participant"]
    command = RevokeProvider(
        actor=call.participant, key=call.key, participant=participant, reason=body.reason
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, ProviderRevoked)
    return _provider(call, await call.read(lambda state: state.providers[participant]))


async def providers(call: Call, asked: Paging) -> Response[bytes]:
    """The directory is everybody's (广州 11: 第三方服务机构)."""
    rows = await call.read(lambda state: tuple(state.providers.values()))
    return _page(call, [_provider(call, row) for row in rows], asked)


def _page(call: Call, rows: list[Any], asked: Paging) -> Response[bytes]:
    """A page of a list that only grows: its cursor is how many came before."""
    start = int(asked.cursor) if asked.cursor.isascii() and asked.cursor.isdecimal() else 0
    if asked.cursor and not 0 < start <= len(rows):
        raise Refusing(Refused.malformed, "cursor is the `next` of the page before")
    end = start + asked.limit
    return call.page(rows[start:end], str(end) if end < len(rows) else "")


# ---- attestations


async def attest(call: Call, body: AttestationBody) -> AttestationView:
    """The signature is checked here, once."""
    participant = call.participant
    public_key = await call.read(lambda state: state.bureau.participants[participant].public_key)
    text = signing_text(participant, _said(body))
    if not signed_by(public_key, text, body.signature):
        raise Refusing(Refused.signature_wrong, f"sign the text {text} with your registered key")
    command = Attest(
        actor=participant,
        key=call.key,
        kind=body.kind,
        product=body.product,
        buyer=body.buyer,
        rules=body.rules,
        valid_until_ns=ns_of(body.valid_until, "valid_until"),
        evidence_sha256=body.evidence_sha256,
        public_key=public_key,
        text=text,
        signature=body.signature,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, Attested)
    cured = tuple(
        dict.fromkeys(
            one.trade for one in outcome.events if getattr(one, "attestation", "") and hasattr(one, "trade")
        )
    )
    row = Attestation(
        id=event.attestation,
        kind=event.kind,
        provider=event.provider,
        product=event.product,
        buyer=event.buyer,
        rules=event.rules,
        valid_until_ns=event.valid_until_ns,
        evidence_sha256=event.evidence_sha256,
        public_key=event.public_key,
        text=event.text,
        signature=event.signature,
        given_at_ns=outcome.at_ns,
    )
    return _view(row, True, (), cured)


def _said(body: AttestationBody) -> dict[str, object]:
    return {
        "kind": body.kind,
        "product": body.product,
        "buyer": body.buyer,
        "rules": list(body.rules),
        "valid_until": text_of(ns_of(body.valid_until, "valid_until")),
        "evidence_sha256": body.evidence_sha256,
    }


def _seen(state: State, row: Attestation, now_ns: int) -> AttestationView:
    return _view(row, stands(state, row, now_ns), state.overtaken.get(row.id, ()))


def _view(
    row: Attestation,
    good: bool,
    overtaken: tuple[tuple[str, str], ...],
    cured: tuple[str, ...] | UnsetType = UNSET,
) -> AttestationView:
    return AttestationView(
        attestation=row.id,
        kind=row.kind,
        provider=row.provider,
        product=row.product,
        buyer=row.buyer,
        rules=row.rules,
        given=text_of(row.given_at_ns),
        valid_until=text_of(row.valid_until_ns),
        evidence_sha256=row.evidence_sha256,
        text=row.text,
        public_key=row.public_key,
        signature=row.signature,
        stands=good,
        revoked=text_of(row.revoked_at_ns) if row.revoked_at_ns else None,
        revoked_reason=row.revoked_reason or None,
        overtaken=tuple(Overtaken(rule, buyer) for rule, buyer in overtaken),
        cured=cured,
    )


async def revoke(call: Call, body: Revocation) -> AttestationView:
    identifier = call.path["attestation"]
    command = RevokeAttestation(
        actor=call.participant, key=call.key, attestation=identifier, reason=body.reason
    )
    outcome = await call.submit(command)
    assert isinstance(outcome.events[0], AttestationRevoked)
    return await call.read(lambda state: _seen(state, state.attestations[identifier], outcome.at_ns))


async def attestations(call: Call, asked: AttestationQuery) -> Response[bytes]:
    """Those that name a buyer are its business, its provider's, the product's merchant's and the offices'."""
    participant, now_ns = call.participant, call.now_ns
    office = bool((await call.roles()).intersection(("operator", "auditor", "regulator", "reviewer")))

    def look(state: State) -> list[AttestationView]:
        return [
            _seen(state, row, now_ns)
            for row in state.attestations.values()
            if asked.product in ("", row.product)
            and asked.provider in ("", row.provider)
            and (office or participant in _concerned(state, row))
        ]

    return _page(call, await call.read(look), asked)


def _concerned(state: State, row: Attestation) -> tuple[str, ...]:
    product = state.products[row.product]
    return (row.provider, row.buyer or "", product.merchant, product.holder)


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-11-23T10:00:00Z"
_UNTIL: Final = "2027-11-23T10:00:00Z"
_KEY: Final = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="
_SIGNATURE: Final = "8m0Fz1k4m6yZ2xC0l0g6m5qU9mYv4i8w0d1Y7u3V5b2K9a6s4D3f1G0h8J7k6L5z4X3c2V1b0N9m8Q7w6E5rBA=="
_ASKED: Final = {"participant": "P6", "kinds": ["notary"], "valid_until": _UNTIL, "evidence_sha256": _SHA}
_PROVIDER: Final[dict[str, Any]] = _ASKED | {
    "confirms": {"notary": ["C02"]},
    "accredited": _WHEN,
    "revoked": None,
    "classes": [],
}
_SAID: Final = {
    "kind": "notary", "product": "D1", "buyer": "", "rules": ["C02"], "valid_until": _UNTIL, "evidence_sha256": _SHA,
}  # fmt: skip
_ATTESTATION: Final[dict[str, Any]] = _SAID | {
    "attestation": "A1", "provider": "P6", "given": _WHEN, "text": "shuji-attestation:P6:{}", "public_key": _KEY,
    "signature": _SIGNATURE, "stands": True, "revoked": None, "revoked_reason": None,
    "overtaken": [],
}  # fmt: skip
_ENDED: Final = _ATTESTATION | {"stands": False, "revoked": _WHEN, "revoked_reason": "样本有误"}

OPERATIONS: Final = (
    Operation("POST", "/v1/providers", accredit, "Accredit a participant to attest (operator)", "attestations", status=201,
              asks=Accreditation, answers=ProviderView,
              refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.out_of_bounds,
                       Refused.not_verified),
              example=_ASKED, example_answer=_PROVIDER),
    Operation("GET", "/v1/providers", providers, "Accredited providers, and the rules that they may confirm",
              "attestations", asks=Paging, answers=ProviderList, signed_in=False,
              example_answer={"items": [_PROVIDER], "next": None}),
    Operation("POST", "/v1/providers/{participant}/revocation", revoke_provider,
              "End an accreditation for a reason: what it attested cures nothing any more (operator)", "attestations",
              asks=Revocation, answers=ProviderView, refused=(Refused.forbidden, Refused.not_found),
              example={"reason": "出具虚假证明"}, example_answer=_PROVIDER | {"revoked": "出具虚假证明"}),
    Operation("POST", "/v1/attestations", attest, "Attest the evidence of rules, signed; holds that wait for it are cured",
              "attestations", status=201, asks=AttestationBody, answers=AttestationView,
              refused=(Refused.signature_wrong, Refused.forbidden, Refused.own_case, Refused.not_found,
                       Refused.out_of_bounds, Refused.standing_denied),
              example=_SAID | {"signature": _SIGNATURE}, example_answer=_ATTESTATION | {"cured": ["T2"]}),
    Operation("GET", "/v1/attestations", attestations, "Attestations that concern you; reviewers and operators see all",
              "attestations", asks=AttestationQuery, answers=AttestationList,
              example_answer={"items": [_ATTESTATION], "next": None}),
    Operation("POST", "/v1/attestations/{attestation}/revocation", revoke,
              "Revoke an attestation (its provider, or an operator)", "attestations", asks=Revocation,
              answers=AttestationView, refused=(Refused.forbidden, Refused.not_found, Refused.wrong_state),
              example={"reason": "样本有误"}, example_answer=_ENDED),
)  # fmt: skip
