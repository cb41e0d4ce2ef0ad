"""Leaving in order (退出、合并、解散): what a participant has here is wound up or passed on before its account closes.

    Depart ──> nothing new begins ──> wound up by its own dates and steps ──────────────┐
                     │                                                                  ├──> nothing is left: done
                     └─ a successor is named ──> it accepts ──> what can pass is its ───┘

Without a successor its listings are withdrawn, what it has on hold is released, and what it has bought ends, so that the
data is deleted and that proven; licences that it has sold run until they end. With a successor its listings stand still
until that accepts; then products, listings, open trades, licences on both sides, subscriptions, bills, duties, cash,
deposit and units are the successor's, and its shares of what others sell from then on. A listing that has passed needs a
contract that its new merchant signs, and a reviewer or operator resumes it. What cannot pass (debts, bids, needs,
proposals, reports, withdrawals) is settled first.

江西省数据应用条例第十条: 「数据处理者因合并、分立、收购等变更的，由变更后的数据处理者承担数据安全保护责任。」 What is
wound up where nobody takes over, and that nobody's account closes before, is the venue's own rule.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from clearing.ledger import CNY, Leg, deposit_owner, unit_asset
from credit.merchant import CREDENTIAL, holds
from exchange.consequence import look
from exchange.events import (
    VENUE,
    AcceptDeparture,
    AccreditationDecided,
    ConductInherited,
    Depart,
    DepartureAccepted,
    DepartureBegun,
    DepartureDone,
    EntitlementEnded,
    Event,
    HoldReleased,
    ListingMoved,
    MandateEnded,
    MoneyPassedOn,
    MoveListing,
    PassedOn,
    Refusal,
    Refused,
    StatusSet,
    Ticked,
)
from exchange.listing import LIFE, moves
from exchange.participant import board_refusal, frozen_refusal, owed, standing_refusal
from exchange.state import Departure, Listing, Product, State, closing

KINDS: Final = ("exit", "merger", "dissolution")
OVER: Final = ("withdrawn", "expired")
"""States of a listing in which nothing is left of it."""

SECOND_NS: Final = 1_000_000_000
LOOK_NS: Final = 10 * SECOND_NS
"""So long after something has happened it is looked at whether anything is left."""

CHUNK: Final = 500
"""How many of a kind one event passes on."""

STOPPING: Final = {"published": "suspend", "submitted": "return", "public_notice": "return"}
"""What happens to a listing, by its state, while a successor is waited for."""

Left = tuple[str, str]
"""Kind and id of something that is left."""

STUCK: Final = ("order", "bid", "need", "proposal", "hold", "report", "debt", "claim", "withdrawal", "case")
"""What does not pass on: it is settled, withdrawn or over first."""


# ---- commands


def depart(state: State, command: Depart, at_ns: int) -> Refusal | Iterator[Event]:
    refusal = _departing_refusal(state, command, at_ns) or _successor_refusal(state, command, at_ns)
    return refusal or _begin(state, command, at_ns)


def _departing_refusal(state: State, command: Depart, at_ns: int) -> Refusal | None:
    row = state.bureau.participants[command.actor]
    if command.kind not in KINDS or not command.reason.strip():
        return Refusal(Refused.malformed, f"kind is one of {', '.join(KINDS)}, and needs its reason")
    if row.status != "active":
        return Refusal(Refused.wrong_state, f"the account is {row.status}: ask an operator")
    if (frozen := frozen_refusal(state, command.actor)) is not None:
        return frozen
    if any(holds(row, office, at_ns) for office in ("operator", "reviewer")):
        return Refusal(Refused.wrong_state, "you hold an office here: have it taken from you first")
    known = state.departures.get(command.actor)
    if known is not None and known.accepted:
        return Refusal(Refused.wrong_state, f"{known.successor} has accepted: what is left is wound up")
    return None


def _successor_refusal(state: State, command: Depart, at_ns: int) -> Refusal | None:
    if not command.successor:
        if command.kind == "merger":
            return Refusal(Refused.malformed, "a merger names its successor, who takes over what is owed")
        return None
    if command.successor not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {command.successor}")
    if command.successor == command.actor:
        return Refusal(Refused.malformed, "the successor is somebody else")
    return _fit_refusal(state, command.actor, command.successor, at_ns)


def _fit_refusal(state: State, participant: str, successor: str, at_ns: int) -> Refusal | None:
    """Whoever takes over is verified and stays; of a merchant's goods, it is accredited for their boards."""
    standing = state.bureau.standing(successor, at_ns)
    bars = [reason for reason in standing.reasons if "buy" in reason.bars and reason.code != "not_buyer"]
    if bars:
        return Refusal(Refused.standing_denied, f"of {successor}: {bars[0].en} {bars[0].zh}")
    goods = [one for one in state.listings.values() if one.merchant == participant and one.state not in OVER]
    if not goods:
        return None
    refusal = standing_refusal(state, successor, "list", at_ns)
    for listing in goods if refusal is None else ():
        refusal = refusal or board_refusal(state, successor, listing.board)
    return None if refusal is None else Refusal(refusal.code, f"of {successor}: {refusal.detail}")


def _begin(state: State, command: Depart, at_ns: int) -> Iterator[Event]:
    row, said = command.actor, command.reason
    yield DepartureBegun(row, command.kind, command.successor, said)
    for mandate in [one for one in state.mandates.values() if row in (one.principal, one.broker)]:
        yield MandateEnded(mandate.id, "left", row)
    for order in [one for one in state.orders.values() if one.participant == row]:
        yield closing(order, "standing")
    for trade in [one for one in state.holds.values() if row in (one.buyer, one.seller)]:
        if trade.id in state.holds:
            yield HoldReleased(trade.id, "withdrawn", trade.violated)
    for listing in _listed(state, row):
        yield from _stopped(state, listing, bool(command.successor), said, at_ns)
    if not command.successor:
        yield from _ends(state, row, said)


def _listed(state: State, participant: str) -> list[Listing]:
    return [one for one in state.listings.values() if one.merchant == participant and one.state not in OVER]


def _stopped(state: State, listing: Listing, passes: bool, reason: str, at_ns: int) -> Iterator[Event]:
    """It is withdrawn, or stands still for whoever takes it over."""
    if not passes:
        withdraw = MoveListing(actor=VENUE, listing=listing.id, step="withdraw", reasons=(reason,))
        yield from moves(state, listing, withdraw, at_ns)
    elif step := STOPPING.get(listing.state):
        yield ListingMoved(listing.id, step, LIFE[listing.state, step], (reason,), VENUE, listing.until_ns)


def _ends(state: State, participant: str, reason: str) -> Iterator[Event]:
    """What it has bought and is paid for ends; a deletion is owed and proven before it is gone."""
    for row in [one for one in state.entitlements.values() if one.buyer == participant]:
        if row.trade not in state.trades:
            yield EntitlementEnded(row.id, "revoke", reason, "", participant, row.trade)


def accept(state: State, command: AcceptDeparture, at_ns: int) -> Refusal | Iterator[Event]:
    row = state.departures.get(command.participant)
    if row is None:
        return Refusal(Refused.not_found, f"{command.participant} is not leaving")
    if row.successor != command.actor:
        return Refusal(Refused.forbidden, "only the successor that was named accepts")
    if row.accepted:
        return Refusal(Refused.wrong_state, "you have accepted already: what could pass is yours")
    if (frozen := frozen_refusal(state, row.participant)) is not None:
        return frozen
    if (refusal := _fit_refusal(state, row.participant, row.successor, at_ns)) is not None:
        return refusal
    stuck = [one for one in left(state, row.participant) if one[0] in STUCK]
    if stuck:
        named = ", ".join(f"{kind} {name}" for kind, name in stuck[:9])
        return Refusal(
            Refused.wrong_state, f"{named}: these do not pass on; let them be settled or withdrawn first"
        )
    return _passed(state, row, at_ns)


def _passed(state: State, row: Departure, at_ns: int) -> Iterator[Event]:
    participant, successor = row.participant, row.successor
    yield DepartureAccepted(participant, successor)
    if state.bureau.inherits(successor, participant):
        yield ConductInherited(successor, participant)
        yield from look(state, successor, at_ns)
    for kind, find in PASSING.items():
        ids = find(state, participant)
        for at in range(0, len(ids), CHUNK):
            yield PassedOn(participant, successor, kind, tuple(ids[at : at + CHUNK]))
    legs = _legs(state, participant, successor)
    if legs:
        yield MoneyPassedOn(participant, successor, legs)


def _legs(state: State, participant: str, successor: str) -> tuple[tuple[str, str, str, int], ...]:
    pairs = [(participant, successor, CNY), (deposit_owner(participant), deposit_owner(successor), CNY)]
    pairs += [
        (participant, successor, unit_asset(name)) for name, one in state.listings.items() if one.issued_units
    ]
    held = [(source, target, asset, state.ledger.available(source, asset)) for source, target, asset in pairs]
    return tuple(leg for leg in held if leg[3])


# ---- what is left


def _sides(rows: Any, participant: str) -> list[str]:
    return [row.id for row in rows if participant in (row.buyer, row.seller)]


PASSING: Final[dict[str, Callable[[State, str], list[str]]]] = {
    "product": lambda state, who: [
        row.id
        for row in state.products.values()
        if who in (row.merchant, row.holder, *row.licensees, *dict(row.shares))
    ],
    "listing": lambda state, who: [row.id for row in state.listings.values() if row.merchant == who],
    "trade": lambda state, who: _sides(state.trades.values(), who),
    "entitlement": lambda state, who: _sides(state.entitlements.values(), who),
    "subscription": lambda state, who: _sides(state.subscriptions.values(), who),
    "bill": lambda state, who: _sides(state.bills.values(), who),
    "duty": lambda state, who: _sides(state.duties.values(), who),
}
"""Kind: what of it a participant has, and its successor will."""


def left(state: State, participant: str) -> list[Left]:
    """What stands between a participant and the end of its account. O(everything), for somebody who leaves."""
    found: list[Left] = [("order", one.id) for one in state.orders.values() if one.participant == participant]
    for row in state.auctions.values():
        found += [("bid", bid.id) for bid in row.bids.values() if bid.participant == participant]
    found += [("need", one.id) for one in state.needs.values() if one.buyer == participant]
    found += [("proposal", one.id) for one in state.proposals.values() if one.merchant == participant]
    found += [
        ("report", one.id)
        for one in state.reports.values()
        if participant in (one.participant, one.counterparty)
    ]
    found += [("listing", one.id) for one in _listed(state, participant)]
    found += [("hold" if one.state == "held" else "trade", one.id) for one in state.trades.values()
              if participant in (one.buyer, one.seller)]  # fmt: skip
    found += [
        ("entitlement", one.id)
        for one in state.entitlements.values()
        if participant in (one.buyer, one.seller)
    ]
    found += [("subscription", one) for one in PASSING["subscription"](state, participant)]
    found += [("bill", one.id) for one in state.bills.values()
              if one.state not in ("paid", "refunded") and participant in (one.buyer, one.seller)]  # fmt: skip
    found += [("duty", one) for one in owed(state, participant)]
    found += [("case", one.id) for one in state.cases.values()
              if one.participant == participant and (one.decide_ns or one.repair_ns)]  # fmt: skip
    return found + _left_of_shares(state, participant) + _left_of_money(state, participant)


def _left_of_shares(state: State, participant: str) -> list[Left]:
    """Of what others have sold and nobody has been paid for yet."""
    found = [("share", one.id) for one in state.trades.values() if participant in dict(one.shares)]
    unpaid = [one for one in state.bills.values() if one.state not in ("paid", "refunded")]
    return found + [("share", one.id) for one in unpaid if participant in dict(one.shares)]


def _left_of_money(state: State, participant: str) -> list[Left]:
    debts = state.claims.debts
    found = [("debt", name) for name in debts.get(participant, {})]
    found += [
        ("claim", one.id) for rows in debts.values() for one in rows.values() if one.creditor == participant
    ]
    found += [("withdrawal", row.id) for row in state.bank.open_withdrawals(participant)]
    for kind, owner in (("deposit", deposit_owner(participant)), ("cash", participant)):
        if state.ledger.balance(owner, CNY):
            found.append((kind, str(state.ledger.balance(owner, CNY))))
    return found


# ---- dates


def look_later(state: State, events: tuple[Any, ...], at_ns: int) -> None:
    """Something has happened while somebody is leaving: in a moment it is looked at what is left of it."""
    if all(type(event) is Ticked for event in events):
        return
    for row in state.departures.values():
        if row.look_ns <= at_ns:
            row.look_ns = at_ns + LOOK_NS
            state.start_timer(row.look_ns, "departure", row.participant)


def on_due(state: State, participant: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    row = state.departures.get(participant)
    if row is None or (row.successor and not row.accepted) or _stands_still(state, participant):
        return
    yield from _ends(state, participant, row.reason)
    if left(state, participant):
        return
    yield from _closed(state, row)


def _stands_still(state: State, participant: str) -> bool:
    """A freeze or a suspension keeps what it has where it is; its end is looked at like anything that happens."""
    return participant in state.frozen or state.bureau.participants[participant].status == "suspended"


def _closed(state: State, row: Departure) -> Iterator[Event]:
    """Credential, then account; an operator may have closed it meanwhile."""
    person = state.bureau.participants[row.participant]
    if person.status == "closed":
        yield DepartureDone(row.participant)
        return
    after = CREDENTIAL.get((person.credential, "leave"))
    reason = f"{row.kind}: {row.reason}"
    if after is not None:
        number, until_ns = person.credential_number, person.credential_until_ns
        yield AccreditationDecided(
            row.participant, "leave", number, until_ns, "", (reason,), VENUE, state=after
        )
    yield StatusSet(row.participant, "close", "closed", reason, VENUE)
    yield DepartureDone(row.participant)


# ---- events


def apply_begun(state: State, event: DepartureBegun, at_ns: int) -> None:
    state.bureau.participants[event.participant].leaving = True
    known = state.departures.get(event.participant)
    state.departures[event.participant] = Departure(
        participant=event.participant,
        kind=event.kind,
        successor=event.successor,
        reason=event.reason,
        since_ns=at_ns if known is None else known.since_ns,
        look_ns=0 if known is None else known.look_ns,
    )
    state.forget_participant(event.participant)


def apply_accepted(state: State, event: DepartureAccepted, at_ns: int) -> None:
    state.departures[event.participant].accepted = True
    mine, theirs = (state.predecessors.get(one, ()) for one in (event.successor, event.participant))
    state.predecessors[event.successor] = (*mine, event.participant, *theirs)
    for counts in state.bought.values():
        if event.participant in counts:
            counts[event.successor] = counts.get(event.successor, 0) + counts.pop(event.participant)
    state.owned.clear()
    _pass_exports(state, event)


def _pass_exports(state: State, event: DepartureAccepted) -> None:
    """Persons whose data it has sent abroad count for its successor: 数据出境 is counted by who processes."""
    for seller, year in [key for key in state.exports if key[0] == event.participant]:
        rows = state.exports.pop((seller, year))
        into = state.exports.setdefault((event.successor, year), {})
        for product, row in rows.items():
            known = into.get(product)
            most, most_sensitive = row.persons, row.sensitive_persons
            if known is not None:
                most, most_sensitive = max(most, known.persons), max(most_sensitive, known.sensitive_persons)
            into[product] = replace(
                row, seller=event.successor, persons=most, sensitive_persons=most_sensitive
            )


def apply_passed(state: State, event: PassedOn, at_ns: int) -> None:
    rows: dict[str, Any] = {
        "product": state.products,
        "listing": state.listings,
        "trade": state.trades,
        "entitlement": state.entitlements,
        "subscription": state.subscriptions,
        "bill": state.bills,
        "duty": state.duties,
    }
    for name in event.ids:
        row = rows[event.kind][name]
        _rename(row, event.participant, event.successor)
        if event.kind == "product":
            _pass_shares(state, row, event)
        if event.kind == "listing":
            state.retire_contract(name)
        if event.kind in ("trade", "entitlement"):
            _rename_exclusives(state.products[state.listings[row.listing].product], event)
        if event.kind == "trade":
            state.claims.forget_offers(name, event.participant)
    state.law_version += 1
    state.cells.clear()
    state.parties.clear()


def _rename(row: Any, participant: str, successor: str) -> None:
    """Wherever a row of memory names the one, it names the other."""
    for field in ("merchant", "holder", "buyer", "seller", "participant"):
        if getattr(row, field, "") == participant:
            setattr(row, field, successor)
    if isinstance(row, Product):
        row.licensees = tuple(
            dict.fromkeys(successor if one == participant else one for one in row.licensees)
        )


def _pass_shares(state: State, product: Product, event: PassedOn) -> None:
    """Of what is sold from now on. Who has two shares now has their sum; who sells it itself shares it with nobody."""
    roles, rows = state.revenue.roles.pop(product.id, ()), dict[str, tuple[int, str]]()
    for (name, part_bp), role in zip(product.shares, roles or ("",) * len(product.shares), strict=True):
        owner = event.successor if name == event.participant else name
        if owner != product.merchant:
            known_bp, known_role = rows.get(owner, (0, role))
            rows[owner] = (known_bp + part_bp, known_role)
    product.shares = tuple((name, part_bp) for name, (part_bp, _) in rows.items())
    if roles and rows:
        state.revenue.roles[product.id] = tuple(role for _, role in rows.values())


def _rename_exclusives(product: Product, event: PassedOn) -> None:
    product.exclusives = tuple(
        replace(one, buyer=event.successor) if one.buyer == event.participant else one
        for one in product.exclusives
    )


def apply_money(state: State, event: MoneyPassedOn, at_ns: int) -> None:
    state.ledger.move([Leg(*leg) for leg in event.legs])


def apply_done(state: State, event: DepartureDone, at_ns: int) -> None:
    del state.departures[event.participant]
    state.bureau.participants[event.participant].leaving = UNSET


def kept_under(state: State, seller: str) -> tuple[str, ...]:
    """Under whose names what a seller delivers may lie: its own, and those of whom it has taken over from."""
    return (seller, *state.predecessors.get(seller, ()))
