"""Contracts at the venue: a merchant signs its listing's, which opens it to buyers; each buyer signs once.

    merchant signs ──> live ──> buyer signs ──> that buyer's trades cite contract and signature
                        │
                        └─ terms revised, or the merchant signs another ──> not live: new orders need new signatures;
                           what rests in a book or is on hold stays under the one that its buyer signed last

The signature is over `clearing.contract.signing_text` and was checked at the web door with the key that stands in the
register; here that key must still be the signer's. What is declared is signed with the contract and becomes facts of
the trade (`order.py`): it takes effect from the next verdict on, and holds of the product are judged again at once.
"""

from functools import cache
from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from clearing import contract
from clearing.calendar import day_of
from clearing.contract import Contract, Offer, Security, StandardTerms, declared_sha256
from clearing.notrade import Text
from exchange.events import (
    ContractOffered,
    ContractSigned,
    Event,
    OfferContract,
    Refusal,
    Refused,
    SignContract,
)
from exchange.listing import may_see
from exchange.matching.metering import plan_words
from exchange.participant import standing_refusal
from exchange.state import Agreement, Listing, Signature, Signing, State

MOST_A_DAY: Final = 20
"""Signatures of a buyer on one contract, and contracts of one listing, a day: each makes the holds be judged again."""

TOMORROW: Final = "sign again tomorrow (Beijing time)"

ENDED: Final = ("withdrawn", "expired")
"""States of a listing in which nobody signs any more: nothing of it is sold."""


@cache
def standard_terms() -> dict[str, StandardTerms]:
    """The package's standard terms by version, read once; the last is the newest."""
    return contract.load()


def newest_terms() -> StandardTerms:
    return list(standard_terms().values())[-1]


# ---- commands


def offer(state: State, command: OfferContract, at_ns: int) -> Refusal | list[Event]:
    listing = state.listings.get(command.listing)
    if listing is None or listing.merchant != command.actor:
        return Refusal(Refused.not_found, f"you have no listing {command.listing}")
    drawn = draft(state, listing, command.security)
    refusal = standing_refusal(state, command.actor, "list", at_ns) or _signing_refusal(
        state, listing, command, drawn.sha256
    )
    if refusal is not None:
        return refusal
    if _offered_enough(state, listing, at_ns):
        detail = f"you have signed {MOST_A_DAY} contracts of {listing.id} today: {TOMORROW}"
        return Refusal(Refused.wrong_state, detail)
    live = state.contract_of.get(listing.id)
    if live is not None and _says_the_same(state, listing, live, command.security):
        return Refusal(Refused.already_exists, f"you have signed {live.id}, which says the same")
    event = ContractOffered(
        drawn.id,
        listing.id,
        next_version(state, listing),
        command.actor,
        drawn.terms_version,
        drawn.sha256,
        offer_of(state, listing),
        command.security,
        command.public_key,
        command.signature,
    )
    return [event]


def _offered_enough(state: State, listing: Listing, at_ns: int) -> bool:
    version = state.versions.get(listing.id, 0) + 1 - MOST_A_DAY
    earlier = state.contracts.get(contract.contract_id(listing.id, version))
    return earlier is not None and day_of(earlier.signed_at_ns) == day_of(at_ns)


def sign(state: State, command: SignContract, at_ns: int) -> Refusal | list[Event]:
    listing = state.listings.get(command.listing)
    if listing is None or not may_see(state, listing, command.actor, at_ns):
        return Refusal(Refused.not_found, f"there is no listing {command.listing}")
    if not may_buy(listing, command.actor):
        return Refusal(
            Refused.own_case, "its merchant signs as merchant: send `security` instead of declarations"
        )
    live = state.contract_of.get(listing.id)
    if live is None:
        return Refusal(Refused.wrong_state, unsigned(listing.id))
    refusal = _buyer_refusal(state, command, at_ns) or _signing_refusal(state, listing, command, live.sha256)
    if refusal is not None:
        return refusal
    declared = declared_sha256(command.declarations)
    before = state.signed.get((listing.id, command.actor))
    if before is not None and before.declared_sha256 == declared:
        return Refusal(
            Refused.already_exists, f"you have signed {live.id} with these declarations: {before.id}"
        )
    today = _signed_today(state, live.id, command.actor, at_ns) + 1
    if today > MOST_A_DAY:
        return Refusal(Refused.wrong_state, f"you have signed {live.id} {MOST_A_DAY} times today: {TOMORROW}")
    return [
        ContractSigned(
            f"{live.id}-{command.actor}-{last_number(state, live.id, command.actor) + 1}",
            live.id,
            command.actor,
            command.declarations,
            declared,
            command.public_key,
            command.signature,
            today,
            _uncited(state, live.id, command.actor),
        )
    ]


def _signed_today(state: State, agreement: str, participant: str, at_ns: int) -> int:
    row = state.signing.get((agreement, participant))
    return 0 if row is None or row.day != day_of(at_ns).toordinal() else row.today


def _uncited(state: State, agreement: str, participant: str) -> str:
    """The signature that the next one leaves nobody a use for: what a trade cites can be read for ever."""
    row = state.signing.get((agreement, participant))
    return "" if row is None or row.cited else state.newest[agreement, participant].id


def may_buy(listing: Listing, participant: str) -> bool:
    """Nobody contracts with itself; in a book a merchant buys units back from those who hold them."""
    return participant != listing.merchant or listing.terms.mechanism == "continuous_auction"


def _buyer_refusal(state: State, command: SignContract, at_ns: int) -> Refusal | None:
    """Whoever signs is known (数据安全法 33: 审核交易双方的身份); a ban does not keep anybody from signing."""
    if not 0 <= command.declarations.log_retention_months <= contract.MOST_MONTHS:
        return Refusal(
            Refused.out_of_bounds, f"log_retention_months lies between 0 and {contract.MOST_MONTHS}"
        )
    refusal = standing_refusal(state, command.actor, "buy", at_ns)
    return refusal if refusal is not None and refusal.code is Refused.not_verified else None


def _signing_refusal(
    state: State, listing: Listing, command: OfferContract | SignContract, sha256: str
) -> Refusal | None:
    if listing.state in ENDED:
        return Refusal(
            Refused.listing_closed, f"the listing is {listing.state}: nobody signs its contract any more"
        )
    if state.bureau.participants[command.actor].public_key != command.public_key:
        return Refusal(Refused.signature_wrong, "your key was replaced: sign with the one that stands now")
    if command.sha256 != sha256:
        detail = f"the contract is another one now: read it again (GET /v1/listings/{listing.id}/contract) and sign that"
        return Refusal(Refused.wrong_state, detail)
    return None


# ---- contracts


def next_version(state: State, listing: Listing) -> int:
    """Of the contract that is signed next: one more than the newest that this listing has had."""
    return state.versions.get(listing.id, 0) + 1


def offer_of(state: State, listing: Listing) -> Offer:
    """What the listing offers now, as its next contract says it."""
    terms = listing.terms
    return Offer(
        listing=listing.id,
        version=next_version(state, listing),
        merchant=listing.merchant,
        product=listing.product,
        product_title=state.products[listing.product].description.title,
        right=terms.right,
        deal=terms.deal,
        purposes=terms.purposes,
        territories=terms.territories,
        field_group=terms.field_group,
        term_days=terms.term_days,
        mechanism=terms.mechanism,
        supply=terms.supply,
        price_fen=terms.price_fen,
        price_per_units=terms.price_per_units,
        delivery_days=terms.delivery_days,
        acceptance_days=terms.acceptance_days,
        redelivery_days=terms.redelivery_days,
        tiers=terms.tiers or UNSET,
        per_buyer_units=terms.per_buyer_units or UNSET,
        plan=UNSET if isinstance(terms.plan, UnsetType) else Text(*plan_words(terms.plan)),
    )


def draft(state: State, listing: Listing, security: Security) -> Contract:
    """The contract that the merchant would sign now, by the newest standard terms."""
    return contract.generate(newest_terms(), offer_of(state, listing), security)


def drawn_up(agreement: Agreement) -> Contract:
    """A signed contract's text again, by the standard terms of then. A version that has gone raises KeyError."""
    drawn = contract.generate(standard_terms()[agreement.standard_terms], agreement.offer, agreement.security)
    assert drawn.sha256 == agreement.sha256, f"the text of {agreement.id} is not what was signed"
    return drawn


def _says_the_same(state: State, listing: Listing, live: Agreement, security: Security) -> bool:
    offered = replace(offer_of(state, listing), version=live.offer.version)
    return (live.standard_terms, live.security, live.offer) == (newest_terms().version, security, offered)


def last_number(state: State, agreement: str, participant: str) -> int:
    """2 in L12-1-P4-2, where that is the newest signature of P4 on the contract L12-1; 0 where it has not signed."""
    newest = state.newest.get((agreement, participant))
    return 0 if newest is None else int(newest.id.rsplit("-", 1)[1])


def own_signatures(state: State, agreement: str, participant: str) -> list[Signature]:
    """A buyer's signatures on a contract that are kept: the newest, and those that trades cite."""
    rows = state.signatures[agreement]
    numbers = range(1, last_number(state, agreement, participant) + 1)
    return [rows[name] for number in numbers if (name := f"{agreement}-{participant}-{number}") in rows]


def merchants_signature(agreement: str) -> str:
    """How a trade cites the merchant's signature, of which each contract has one: L12-1-merchant."""
    return f"{agreement}-merchant"


def unsigned(listing: str) -> str:
    return f"the merchant has not signed the contract of {listing} yet: nobody can trade until it does"


def to_sign(state: State, listing: str) -> str:
    """What a party does about declared facts that a rule needs and nobody has stated."""
    if listing not in state.contract_of:
        return unsigned(listing)
    return f"read GET /v1/listings/{listing}/contract and sign it with your declarations (shuji contract {listing})"


# ---- events


def apply_offered(state: State, event: ContractOffered, at_ns: int) -> None:
    state.retire_contract(event.listing)
    state.take_contract(
        Agreement(
            id=event.contract,
            listing=event.listing,
            standard_terms=event.standard_terms,
            sha256=event.sha256,
            offer=event.offer,
            security=event.security,
            public_key=event.public_key,
            signature=event.signature,
            signed_at_ns=at_ns,
        )
    )
    state.forget_product(state.products[state.listings[event.listing].product])


def apply_signed(state: State, event: ContractSigned, at_ns: int) -> None:
    if event.dropped:
        del state.signatures[event.contract][event.dropped]
    if event.today:
        state.signing[event.contract, event.participant] = Signing(
            contract=event.contract,
            participant=event.participant,
            day=day_of(at_ns).toordinal(),
            today=event.today,
        )
    state.take_signature(
        Signature(
            id=event.signature_id,
            contract=event.contract,
            participant=event.participant,
            declarations=event.declarations,
            declared_sha256=event.declared_sha256,
            public_key=event.public_key,
            signature=event.signature,
            signed_at_ns=at_ns,
        )
    )
