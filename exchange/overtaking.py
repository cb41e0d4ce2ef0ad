"""What was confirmed of a product counts until it changes: then it is confirmed anew, or cures nothing.

    evidence of a rule is confirmed ──> cures its holds
            │
            └─ what the rule reads of the product changes ──> overtaken: cures nothing from then on (`CureOvertaken`)

An attestation, and a reviewer's cure of one hold, say that the evidence is good as it was on that day. Whoever confirmed
it has not seen what came afterwards: another pledge, a coverage that was amended, another contract. A rule says itself
what it reads (`clearing.notrade.Rule.facts`), a register what it feeds. That time passes is no change: an attestation has
its own date for that; nor are a listing's price and terms, of which it says nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from clearing.contract import DECLARED_FACTS
from clearing.notrade import Rule
from clearing.registers import REGISTERS, name_of
from exchange.attestation import stands
from exchange.events import (
    CertificateRenewed,
    ContractOffered,
    ContractSigned,
    CureOvertaken,
    FactRecorded,
    FactsAmended,
    FactsConfirmed,
    ProductDecided,
    RecordEntered,
)
from exchange.state import State

GROUP_FACTS: Final[dict[str, tuple[str, ...]]] = {
    "classification": ("product.", "xb."),
    "source": ("source.",),
    "authorisation": ("auth.",),
    "consent": ("consent.",),
}
"""Group of declared facts: the facts, or their sections, that rules read of it."""

ENTRY_FACTS: Final[dict[str, tuple[str, ...]]] = {
    "authorisation": ("auth.",),
    "consent": ("consent.",),
    "registration": ("registration.status",),
    "objection": ("registration.objection_pending",),
    "risk": ("product.public_risk",),
    "licensee": ("seller.recorded_licensee",),
}
"""First word of an entry of `RecordFact`: what it changes."""


# ---- what happens: asked before the event is applied


def after_amended(state: State, event: FactsAmended, at_ns: int) -> list[CureOvertaken]:
    groups = [group for group in GROUP_FACTS if getattr(event, group) is not None]
    return _of_product(state, event.product, _facts_of(groups), at_ns)


def after_confirmed(state: State, event: FactsConfirmed, at_ns: int) -> list[CureOvertaken]:
    """What had been confirmed before says nothing new."""
    known = state.products[event.product].confirmed
    return _of_product(
        state, event.product, _facts_of(one for one in event.groups if one not in known), at_ns
    )


def after_decided(state: State, event: ProductDecided, at_ns: int) -> list[CureOvertaken]:
    return _of_product(state, event.product, ("registration.", *_facts_of(event.confirmed)), at_ns)


def after_recorded(state: State, event: FactRecorded, at_ns: int) -> list[CureOvertaken]:
    return _of_product(state, event.product, ENTRY_FACTS[event.entry.split("_")[0]], at_ns)


def after_renewed(state: State, event: CertificateRenewed, at_ns: int) -> list[CureOvertaken]:
    return _of_product(state, event.product, ("registration.valid_until",), at_ns)


def after_entered(state: State, event: RecordEntered, at_ns: int) -> list[CureOvertaken]:
    """An entry about a product and a buyer changes nothing for other buyers; one about a holder, all that it holds."""
    feeds = REGISTERS[name_of(event.facts)].feeds
    if event.product:
        return _of_product(state, event.product, feeds, at_ns, event.participant)
    found: list[CureOvertaken] = []
    for product in _cured_products(state):
        mine = event.participant == state.products[product].holder
        found += _of_product(state, product, feeds, at_ns, "" if mine else event.participant)
    return found


def after_offered(state: State, event: ContractOffered, at_ns: int) -> list[CureOvertaken]:
    """Another contract: its security clauses, and what buyers declare under it, are others."""
    return _of_product(state, state.listings[event.listing].product, DECLARED_FACTS, at_ns)


def after_signed(state: State, event: ContractSigned, at_ns: int) -> list[CureOvertaken]:
    """A buyer that signs for the first time, or as before, changes nothing that anybody can have confirmed."""
    listing = state.listings[state.contracts[event.contract].listing]
    before = state.last_signed.get((listing.id, event.participant))
    if before is None or before.declared_sha256 == event.declared_sha256:
        return []
    return _of_product(state, listing.product, DECLARED_FACTS, at_ns, event.participant)


def _facts_of(groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(fact for group in groups for fact in GROUP_FACTS[group])


def _cured_products(state: State) -> list[str]:
    held = [state.listings[state.holds[trade].listing].product for trade in state.cured]
    return list(dict.fromkeys((*state.attested, *held)))


def _of_product(
    state: State, product: str, changed: tuple[str, ...], at_ns: int, buyer: str = ""
) -> list[CureOvertaken]:
    """Of this product, the cures of rules that read what changed; of one buyer's alone where `buyer` is given."""
    if product not in state.attested and not state.cured:
        return []
    rules = [rule.id for rule in state.rulebook.rules.values() if rule.cured_by and _reads(rule, changed)]
    attested = list(_attestations(state, product, rules, buyer, at_ns))
    return [*attested, *_cures_of_holds(state, product, rules, buyer, attested)]


def _reads(rule: Rule, changed: tuple[str, ...]) -> bool:
    return any(
        fact.startswith(one) if one.endswith(".") else fact == one for fact in rule.facts for one in changed
    )


def _attestations(
    state: State, product: str, rules: list[str], buyer: str, at_ns: int
) -> Iterator[CureOvertaken]:
    for identifier in state.attested.get(product, ()):
        found = state.attestations[identifier]
        if not stands(state, found, at_ns) or (buyer and found.buyer not in ("", buyer)):
            continue
        gone = [rule for rule, whose in state.overtaken.get(identifier, ()) if whose in ("", buyer)]
        stale = tuple(rule for rule in found.rules if rule in rules and rule not in gone)
        if stale:
            yield CureOvertaken(stale, identifier, buyer)


def _cures_of_holds(
    state: State, product: str, rules: list[str], buyer: str, attested: list[CureOvertaken]
) -> Iterator[CureOvertaken]:
    """Those that stand on an attestation which is overtaken are told with it: a hold shows what of it is cured."""
    for trade in state.holds.values():
        if state.listings[trade.listing].product != product or buyer not in ("", trade.buyer):
            continue
        own = [rule for rule in state.cured.get(trade.id, ()) if rule in rules]
        theirs = [rule for row in attested for rule in row.rules if _is_for(state, row, trade.buyer)]
        stale = tuple(rule for rule in trade.violated if rule in own or rule in theirs)
        if stale:
            yield CureOvertaken(stale, trade=trade.id)


def _is_for(state: State, row: CureOvertaken, buyer: str) -> bool:
    return state.attestations[row.attestation].buyer in ("", buyer)


# ---- events


def apply_overtaken(state: State, event: CureOvertaken, at_ns: int) -> None:
    if event.attestation:
        gone = state.overtaken.get(event.attestation, ())
        state.overtaken[event.attestation] = (*gone, *((rule, event.buyer) for rule in event.rules))
        return
    left = tuple(rule for rule in state.cured.pop(event.trade, ()) if rule not in event.rules)
    if left:
        state.cured[event.trade] = left
