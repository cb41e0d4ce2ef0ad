"""Objections of trustees of data subjects (数据主体受托者): a listing of personal information waits for a reviewer.

While one is open the listing takes no order and no report, as when it is halted; what was agreed before goes its way.
Upheld, the listing is suspended and its merchant mends what was found; rejected, it goes on at once. The reviewer is of
another house than merchant and trustee: nobody decides on their own objection.

个人信息保护法第四十七条、第五十条：「个人信息处理者应当建立便捷的个人行使权利的申请受理和处理机制」。程序为本所规则。
"""

from collections.abc import Iterator
from typing import Final

from exchange.events import (
    DecideTrusteeObjection,
    Event,
    ListingMoved,
    ListingObjected,
    ObjectToListing,
    Refusal,
    Refused,
    TrusteeObjectionDecided,
)
from exchange.listing import LIFE
from exchange.participant import role_refusal, same_house
from exchange.product import PERSONAL
from exchange.state import Listing, State, TrusteeObjection

DECISIONS: Final = ("uphold", "reject")
OPEN_TO: Final = ("published", "public_notice", "suspended")
"""States in which a listing is objected to."""


def is_personal(state: State, product: str) -> bool:
    """Whether a product holds information on natural persons, by what its merchant declares."""
    return state.products[product].classification.pi_state in PERSONAL


def file(state: State, command: ObjectToListing, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "trustee")) is not None:
        return refusal
    if not command.reason.strip():
        return Refusal(Refused.malformed, "give the reason")
    listing = state.listings.get(command.listing)
    if listing is None or listing.state not in OPEN_TO:
        return Refusal(Refused.not_found, f"there is no listing {command.listing} on offer")
    if not is_personal(state, listing.product):
        detail = f"{listing.id} holds no personal information: a trustee speaks for the persons in it"
        return Refusal(Refused.wrong_state, detail)
    if listing.id in state.objected:
        return Refusal(
            Refused.already_exists, f"{state.objected[listing.id].id} is open: wait for its decision"
        )
    return [ListingObjected(state.next_id("H"), listing.id, command.reason, command.actor)]


def decide(state: State, command: DecideTrusteeObjection, at_ns: int) -> Refusal | Iterator[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "reviewer")) is not None:
        return refusal
    if command.decision not in DECISIONS or not command.text.strip():
        return Refusal(
            Refused.malformed, f"decision is one of {', '.join(DECISIONS)}, and text gives the reason"
        )
    row = state.objected.get(command.listing)
    if row is None or row.id != command.objection:
        return Refusal(
            Refused.not_found, f"there is no open objection {command.objection} to {command.listing}"
        )
    listing = state.listings[row.listing]
    if any(same_house(state, command.actor, party) for party in (listing.merchant, row.by)):
        return Refusal(
            Refused.own_case,
            "任何人不得决定自己的事项。Nobody decides their own case: let another house do it",
        )
    return _decided(listing, command)


def _decided(listing: Listing, command: DecideTrusteeObjection) -> Iterator[Event]:
    """An upheld one suspends what is published; what is not published yet, or suspended already, stays so."""
    said = command.objection, listing.id, command.decision, command.text, command.actor
    yield TrusteeObjectionDecided(*said)
    if command.decision == "uphold" and (listing.state, "suspend") in LIFE:
        after = LIFE[listing.state, "suspend"]
        yield ListingMoved(listing.id, "suspend", after, (command.text,), command.actor, listing.until_ns)


# ---- events


def apply_filed(state: State, event: ListingObjected, at_ns: int) -> None:
    state.took_id(event.objection)
    state.objected[event.listing] = TrusteeObjection(
        event.objection, event.listing, event.reason, event.by, at_ns
    )


def apply_decided(state: State, event: TrusteeObjectionDecided, at_ns: int) -> None:
    del state.objected[event.listing]
