"""How much of a listing one owner may still buy, where the listing has a limit for each buyer (`Terms.per_buyer_units`).

Counted are the units of every trade that settled or is on hold, of all participants under one ultimate owner together:
a house does not get more by coming under two names. Given back is what a refund of the whole price, a delivery that never
came or a hold that ended gives back. Who stands above whom may change: what is kept is by participant, and is added up
anew when it does. With the listing the count ends.
"""

from exchange.events import Refusal, Refused, Terms
from exchange.matching import posted
from exchange.participant import ultimate_owner
from exchange.state import Listing, State


def limit_of(terms: Terms) -> int:
    """Units that one owner may buy of a listing; 0 is without limit."""
    return terms.per_buyer_units or 0


def bought_by_owner(state: State, listing: str, participant: str) -> int:
    """Units that everybody under this participant's ultimate owner has had of a listing and not given back."""
    owned = state.owned.get(listing)
    people = state.bureau.participants
    if owned is None:
        owned = state.owned[listing] = {}
        for buyer, units in state.bought.get(listing, {}).items():
            owner = ultimate_owner(people, buyer)
            owned[owner] = owned.get(owner, 0) + units
    return owned.get(ultimate_owner(people, participant), 0)


def refusal(state: State, listing: Listing, participant: str, quantity: int) -> Refusal | None:
    """Why a buyer may not have so many units more."""
    most = limit_of(listing.terms)
    left = posted.left_for(most, bought_by_owner(state, listing.id, participant)) if most else None
    if left is None or quantity <= left:
        return None
    detail = f"a buyer may have {most} units of this listing, all under one owner together: {left} are left for you"
    return Refusal(Refused.supply_exhausted, detail)


def take(state: State, listing: Listing, participant: str, units: int) -> None:
    """A trade has settled, or is on hold."""
    if limit_of(listing.terms):
        _add(state, listing.id, participant, units)


def give_back(state: State, listing: str, participant: str, units: int) -> None:
    """A trade came to nothing. Nothing is counted any more of a listing that is over."""
    if units and participant in state.bought.get(listing, {}):
        _add(state, listing, participant, -units)


def _add(state: State, listing: str, participant: str, units: int) -> None:
    rows = state.bought.setdefault(listing, {})
    rows[participant] = rows.get(participant, 0) + units
    if not rows[participant]:
        del rows[participant]
    if not rows:
        del state.bought[listing]
    if (owned := state.owned.get(listing)) is not None:
        owner = ultimate_owner(state.bureau.participants, participant)
        owned[owner] = owned.get(owner, 0) + units


def forget(state: State, listing: str) -> None:
    """The listing is over."""
    state.bought.pop(listing, None)
    state.owned.pop(listing, None)
