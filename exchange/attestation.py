"""Attestations of accredited providers: who may give them, what they say, which holds they cure.

    operator accredits a provider for kinds ──> provider signs attestations ──> holds they name are cured ──> settled
                                                     │
                                                     ├─ what a rule reads of the product changes: that rule it cures no more
                                                     └─ revoked by it or an operator: cures nothing from then on

A credential for a class of services (`exchange.accreditation.ATTESTS`) makes its holder a provider too, for as long as it
is in force. An attestation names the product, a buyer or all, and the rules whose evidence it confirms; a rule says itself
which kinds confirm it (`clearing.notrade.Cure`). 江西 31 names such services (合规认证、安全审计、数据公证、资产评估);
what they cure is the venue's rule. An attestation given while its provider was accredited stands until its own date; an
operator who takes the accreditation away for a reason ends them all.
"""

from collections.abc import Iterable, Iterator
from typing import Final, get_args

from msgspec import UNSET

from clearing.contract import canonical
from clearing.notrade import Confirmer, Rule
from credit.merchant import IN_FORCE
from exchange.events import (
    AccreditProvider,
    Attest,
    AttestationRevoked,
    Attested,
    Event,
    ProviderAccredited,
    ProviderRevoked,
    Refusal,
    Refused,
    RevokeAttestation,
    RevokeProvider,
)
from exchange.participant import frozen_refusal, role_refusal, same_house, standing_refusal
from exchange.product import evidence_refusal, gainers
from exchange.state import Attestation, Provider, State

REVIEWER: Final = "reviewer"
KINDS: Final = tuple(kind for kind in get_args(Confirmer) if kind != REVIEWER)


# ---- commands


def accredit(state: State, command: AccreditProvider, at_ns: int) -> Refusal | list[Event]:
    """An operator accredits a participant, again where it is one already."""
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    if command.participant not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {command.participant}")
    if command.participant == command.actor:
        return Refusal(Refused.own_case, "another operator accredits you")
    if not command.kinds or any(kind not in KINDS for kind in command.kinds):
        return Refusal(Refused.malformed, f"kinds are one or more of {', '.join(KINDS)}")
    if command.valid_until_ns <= at_ns:
        return Refusal(Refused.out_of_bounds, "valid_until lies in the future")
    refusal = standing_refusal(state, command.participant, "buy", at_ns)
    if refusal is not None and refusal.code is Refused.not_verified:
        return Refusal(Refused.not_verified, "a provider's identity is verified first (POST .../identity)")
    kinds = tuple(sorted(dict.fromkeys(command.kinds)))
    return evidence_refusal(command.evidence_sha256) or [
        ProviderAccredited(
            command.participant, kinds, command.valid_until_ns, command.evidence_sha256, command.actor
        )
    ]


def revoke_provider(state: State, command: RevokeProvider, at_ns: int) -> Refusal | list[Event]:
    """All that this provider has attested cures nothing from now on."""
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    provider = state.providers.get(command.participant)
    if provider is None or provider.revoked:
        return Refusal(Refused.not_found, f"there is no accredited provider {command.participant}")
    if not command.reason.strip():
        return Refusal(Refused.malformed, "a revocation needs its reason")
    return [ProviderRevoked(command.participant, command.reason, command.actor)]


def attest(state: State, command: Attest, at_ns: int) -> Refusal | list[Event]:
    """The web door has checked the signature."""
    product = state.products.get(command.product)
    if product is None or (command.buyer and command.buyer not in state.bureau.participants):
        return Refusal(Refused.not_found, "product, and buyer where there is one, are ids of this venue")
    refusal = _provider_refusal(state, command, at_ns) or _scope_refusal(state, command, at_ns)
    if refusal is not None:
        return refusal
    parties = (*gainers(state, product), *((command.buyer,) if command.buyer else ()))
    if any(same_house(state, command.actor, party) for party in parties):
        return Refusal(
            Refused.own_case, "a provider attests nothing of its own house or of those who gain by it"
        )
    return [
        Attested(
            state.next_id("A"),
            command.kind,
            command.actor,
            command.product,
            command.buyer,
            command.rules,
            command.valid_until_ns,
            command.evidence_sha256,
            command.public_key,
            command.text,
            command.signature,
        )
    ]


def _provider_refusal(state: State, command: Attest, at_ns: int) -> Refusal | None:
    provider = state.providers.get(command.actor)
    if provider is None or provider.revoked or provider.valid_until_ns <= at_ns:
        return Refusal(Refused.forbidden, "only an accredited provider attests: an operator accredits it")
    credential = state.bureau.participants[command.actor].credential
    if provider.classes is not UNSET and credential not in IN_FORCE:
        return Refusal(Refused.forbidden, f"your accreditation is {credential}: nothing is attested under it")
    if command.kind not in provider.kinds:
        kinds = ", ".join(provider.kinds) or "nothing that attests"
        return Refusal(Refused.forbidden, f"you are accredited for {kinds}, not for {command.kind}")
    if state.bureau.participants[command.actor].public_key != command.public_key:
        return Refusal(Refused.signature_wrong, "your key was replaced: sign with the one that stands now")
    return frozen_refusal(state, command.actor)


def _scope_refusal(state: State, command: Attest, at_ns: int) -> Refusal | None:
    confirmed = rules_of(state.rulebook.rules.values(), command.kind)
    if not command.rules or any(rule not in confirmed for rule in command.rules):
        what = ", ".join(confirmed) or "none of the rules in force"
        return Refusal(Refused.out_of_bounds, f"an attestation of kind {command.kind} confirms {what}")
    if command.valid_until_ns <= at_ns:
        return Refusal(Refused.out_of_bounds, "valid_until lies in the future")
    return evidence_refusal(command.evidence_sha256)


def rules_of(rules: Iterable[Rule], kind: str) -> tuple[str, ...]:
    """The holds whose evidence an attestation of this kind confirms."""
    return tuple(rule.id for rule in rules if rule.cured_by is not None and kind in rule.cured_by.confirms)


def revoke(state: State, command: RevokeAttestation, at_ns: int) -> Refusal | list[Event]:
    found = state.attestations.get(command.attestation)
    if found is None:
        return Refusal(Refused.not_found, f"there is no attestation {command.attestation}")
    if command.actor != found.provider:
        refusal = role_refusal(state, command.actor, at_ns, "operator")
        if refusal is not None:
            return Refusal(Refused.forbidden, "its provider or an operator revokes an attestation")
    if found.revoked_at_ns:
        return Refusal(Refused.wrong_state, "this attestation is revoked already")
    if not command.reason.strip():
        return Refusal(Refused.malformed, "a revocation needs its reason")
    return [AttestationRevoked(command.attestation, command.reason, command.actor)]


# ---- what is attested


def signing_text(provider: str, said: dict[str, object]) -> str:
    """The text that a provider signs: all that the attestation says, as canonical JSON (`clearing.contract.canonical`)."""
    return f"shuji-attestation:{provider}:{canonical(said).decode()}"


def stands(state: State, found: Attestation, at_ns: int) -> bool:
    """Within its dates, revoked by nobody, and its provider not in disgrace."""
    if found.revoked_at_ns or not found.given_at_ns <= at_ns < found.valid_until_ns:
        return False
    return not state.providers[found.provider].revoked


def confirming(state: State, product: str, buyer: str, rule: str, at_ns: int) -> Iterator[Attestation]:
    """The attestations that confirm this rule's evidence for this product and buyer now."""
    for identifier in state.attested.get(product, ()):
        found = state.attestations[identifier]
        if rule not in found.rules or found.buyer not in ("", buyer) or not stands(state, found, at_ns):
            continue
        gone = state.overtaken.get(identifier, ())
        if (rule, "") not in gone and (rule, buyer) not in gone:
            yield found


# ---- events


def apply_accredited(state: State, event: ProviderAccredited, at_ns: int) -> None:
    state.providers[event.participant] = Provider(
        participant=event.participant,
        kinds=event.kinds,
        valid_until_ns=event.valid_until_ns,
        evidence_sha256=event.evidence_sha256,
        by=event.by,
        since_ns=at_ns,
    )


def apply_provider_revoked(state: State, event: ProviderRevoked, at_ns: int) -> None:
    state.providers[event.participant].revoked = event.reason


def apply_attested(state: State, event: Attested, at_ns: int) -> None:
    state.took_id(event.attestation)
    state.take_attestation(
        Attestation(
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
            given_at_ns=at_ns,
        )
    )


def apply_revoked(state: State, event: AttestationRevoked, at_ns: int) -> None:
    found = state.attestations[event.attestation]
    found.revoked_at_ns, found.revoked_reason = at_ns, event.reason
