"""The pure whole: `execute` decides, `apply` changes.

    execute(state, command, at_ns)   a refusal, or events; each event is applied before the next is decided
    replay(state, entry, raw)        the same events applied again, deciding nothing

No I/O, no clock, no randomness: time comes with the command, and so does every secret's hash. The same commands at
the same instants give the same state, byte for byte (`state.encode_state`).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop
from itertools import chain
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from exchange import (
    accreditation,
    attestation,
    auction,
    bank,
    book_orders,
    case,
    consequence,
    contract,
    debt,
    departure,
    deposit,
    directive,
    duty,
    entitlement,
    entrance,
    halt,
    issuing,
    listing,
    mandate,
    need,
    objection,
    order,
    overtaking,
    participant,
    passing,
    product,
    refund,
    registers,
    revenue,
    reversal,
    ring,
    rulebook,
    session,
    subscription,
    trade,
)
from exchange import events as happened
from exchange.events import (
    VENUE,
    Entry,
    Event,
    MovementRefused,
    OrderRefused,
    PlaceOrder,
    Refusal,
    Refused,
    Tick,
    Ticked,
)
from exchange.participant import role_refusal
from exchange.state import REMEMBERED, Remembered, State

TIMERS_A_TICK: Final = 500
"""How many timers one tick lets act, so that no tick holds up the orders behind it for long."""

CLOCK_ENDS_NS: Final = 7_258_118_400_000_000_000
"""1 January 2200: dates behind it must still fit into 64 bits of nanoseconds, which end in 2262."""

AHEAD_MS: Final = 60_000
"""How far ahead of a real clock a command id may have been made: a caller whose clock is that wrong is told so."""

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
_ENCODER = msgspec.msgpack.Encoder()
_ENTRY = msgspec.msgpack.Decoder(Entry)

Decision = Refusal | Iterable[Event]
Handler = Callable[[State, Any, int], Decision]


class Outcome(msgspec.Struct, gc=False):
    """What a command led to. `entry` is its journal entry, empty where nothing is stored.

    `repeated`: the command id was known with the same body, and this is the answer of then.
    """

    events: tuple[Event, ...]
    refusal: Refusal | None
    at_ns: int
    entry: bytes = b""
    repeated: bool = False


# ---- deciding


def execute(state: State, command: Any, at_ns: int) -> Outcome:
    """Decide a command at an instant and apply what follows. A refusal that is not kept changes nothing."""
    digest = b""
    if command.key:
        digest = _digest(command)
        known = _known(state, command, digest, at_ns)
        if known is not None:
            return known
    decision = HANDLERS[type(command)](state, command, at_ns)
    if isinstance(decision, Refusal):
        kept = _kept(state, command, decision) if decision.code.kept else None
        if kept is None:
            return Outcome((), decision, at_ns)
        APPLY[type(kept)](state, kept, at_ns)
        return _finish(state, command, digest, (kept,), decision, at_ns)
    decided, law_version = [], state.law_version
    for event in decision:
        follow = FOLLOWING.get(type(event))
        following = () if follow is None else follow(state, event, at_ns)
        APPLY[type(event)](state, event, at_ns)
        decided.append(event)
        for further in following:
            APPLY[type(further)](state, further, at_ns)
            decided.append(further)
    if state.repriced or (state.crossed and (state.law_version != law_version or type(command) is Tick)):
        for event in book_orders.follow(state, at_ns):
            APPLY[type(event)](state, event, at_ns)
            decided.append(event)
    if state.ledger.stirred:
        for event in _set_off(state, at_ns):
            APPLY[type(event)](state, event, at_ns)
            decided.append(event)
    if state.certified:
        for event in issuing.follow(state, at_ns):
            APPLY[type(event)](state, event, at_ns)
            decided.append(event)
    return _finish(state, command, digest, tuple(decided), None, at_ns)


def _set_off(state: State, at_ns: int) -> Iterator[Event]:
    """What came in at debtors goes to their creditors, and what a bill was owed is distributed once it is all there."""
    for event in debt.set_off(state):
        yield event
        yield from subscription.after_set_off(state, event, at_ns)


def _finish(
    state: State, command: Any, digest: bytes, decided: tuple[Event, ...], refusal: Refusal | None, at_ns: int
) -> Outcome:
    raw = _ENCODER.encode(Entry(at_ns, command.actor, command.key, digest, decided))  # type: ignore[arg-type]
    _close_entry(state, at_ns, command.actor, command.key, digest, raw, decided)
    return Outcome(decided, refusal, at_ns, raw)


def _close_entry(
    state: State, at_ns: int, actor: str, key: str, digest: bytes, raw: bytes, events: tuple[Event, ...]
) -> None:
    if state.departures:
        departure.look_later(state, events, at_ns)
    if state.incoming is not None:
        order.rest(state)
    if state.ledger.stirred:
        state.ledger.stirred.clear()
    if state.repriced:
        state.repriced.clear()
    if state.certified:
        state.certified.clear()
    state.now_ns = at_ns
    state.sequence += 1
    if key:
        _remember(state, f"{actor}:{key}", digest, raw)


def _kept(state: State, command: Any, refusal: Refusal) -> OrderRefused | MovementRefused | None:
    """What of a refusal is stored: an order's or a bid's, and that of a movement of money which came under an id."""
    if type(command) is PlaceOrder:
        return _kept_order(command, refusal)
    if type(command) is happened.PlaceBid:
        return _kept_order(auction.as_order(state, command), refusal)
    if type(command) is happened.Subscribe:
        return _kept_order(subscription.as_order(command), refusal)
    movement = MOVEMENTS.get(type(command))
    if movement is None or not command.key:
        return None
    return MovementRefused(command.actor, movement, refusal.code.name, refusal.detail)


def _kept_order(command: PlaceOrder, refusal: Refusal) -> OrderRefused:
    return OrderRefused(
        command.actor,
        command.listing,
        refusal.code.name,
        refusal.detail,
        refusal.violated,
        refusal.unknown,
        refusal.capacities,
        refusal.own,
        command.side,
        command.quantity,
        command.limit_fen,
        command.purpose,
        command.territory,
        command.accepts_prior,
    )


def quarantine(state: State, command: Any, reason: str, at_ns: int) -> Outcome:
    """Set aside a command that raised, or that SQL refused: it is journaled by hash and changes nothing."""
    encoded = _ENCODER.encode(command)
    digest = _digest(command) if command.key else b""
    event = happened.Quarantined(type(command).__name__, hashlib.sha256(encoded).hexdigest(), reason)
    refusal = Refusal(Refused.quarantined, "this command is set aside: tell the operator its id")
    return _finish(state, command, digest, (event,), refusal, at_ns)


# ---- command ids


def _digest(command: Any) -> bytes:
    """Of what a command asks. The connection that an order came by is none of that: it is sent again over another one."""
    asks = command.conditions if type(command) is PlaceOrder else None
    if asks is not None and asks.session:
        command = replace(command, conditions=replace(asks, session="-"))
    return hashlib.blake2b(_ENCODER.encode(command), digest_size=8).digest()


def _known(state: State, command: Any, digest: bytes, at_ns: int) -> Outcome | None:
    """The answer that a command id already had, or why the id cannot be taken."""
    known = state.remembered.get(f"{command.actor}:{command.key}")
    if known is not None:
        if known.digest != digest:
            return Outcome((), Refusal(Refused.id_conflict, "this id came with another body before"), at_ns)
        return answer_of(known.entry)
    if _UUID7.match(command.key) is None:
        detail = "a command id is a UUID of version 7 in lower case (RFC 9562), so that its age is known"
        return Outcome((), Refusal(Refused.malformed, detail), at_ns)
    made_ms = _made_ms(command.key)
    if made_ms <= state.forgotten_ms.get(command.actor, state.ids_from_ms):
        detail = "this id is older than the remembered ones: look whether the first attempt happened, then use a new id"
        return Outcome((), Refusal(Refused.id_expired, detail), at_ns)
    if not state.simulated and made_ms > at_ns // 1_000_000 + AHEAD_MS:
        return Outcome(
            (), Refusal(Refused.malformed, "this id was made in the future: set your clock"), at_ns
        )
    return None


def answer_of(raw: bytes) -> Outcome:
    """The outcome that a journal entry records."""
    entry = _ENTRY.decode(raw)
    refusal = None
    if len(entry.events) == 1 and isinstance(entry.events[0], happened.Quarantined):
        refusal = Refusal(Refused.quarantined, "this command is set aside: tell the operator its id")
    if len(entry.events) == 1 and isinstance(entry.events[0], MovementRefused):
        refusal = Refusal(Refused[entry.events[0].code], entry.events[0].detail)
    if len(entry.events) == 1 and isinstance(entry.events[0], OrderRefused):
        kept = entry.events[0]
        refusal = Refusal(
            Refused[kept.code], kept.detail, kept.violated, kept.unknown, kept.capacities, kept.own
        )
    return Outcome(entry.events, refusal, entry.at_ns, raw, True)


def _made_ms(key: str) -> int:
    return int(key[:8] + key[9:13], 16)


def _remember(state: State, key: str, digest: bytes, raw: bytes) -> None:
    state.remembered[key] = Remembered(digest, raw)
    state.aging.append(key)
    if len(state.aging) > REMEMBERED:
        oldest = state.aging.popleft()
        del state.remembered[oldest]
        _forget(state, *oldest.split(":"))


def _forget(state: State, actor: str, key: str) -> None:
    """From now on ids of this participant that are not newer are refused: whatever its clock says, it is its own.

    What comes without a participant is a registration, and a public key registers once whatever id it comes with.
    """
    if actor:
        known = state.forgotten_ms.get(actor, state.ids_from_ms)
        state.forgotten_ms[actor] = max(known, _made_ms(key))


# ---- replaying


def replay(state: State, raw: bytes, look: Callable[[Event, int], None] | None = None) -> Entry:
    """Apply one journal entry. Decides nothing: rules and code may have changed since.

    `look` sees each event and its instant before it is applied.
    """
    entry = _ENTRY.decode(raw)
    at_ns = entry.at_ns
    for event in entry.events:
        if look is not None:
            look(event, at_ns)
        APPLY[type(event)](state, event, at_ns)
    _close_entry(state, at_ns, entry.actor, entry.key, entry.digest, raw, entry.events)
    return entry


# ---- the venue's own commands


def _advance(state: State, command: happened.AdvanceClock, at_ns: int) -> Decision:
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    if not state.simulated:
        return Refusal(Refused.clock_is_real, "this venue lives by the real clock")
    if not 0 < command.seconds <= 10 * 366 * 86_400:
        return Refusal(Refused.out_of_bounds, "seconds lies between 1 and ten years")
    if at_ns + command.seconds * 1_000_000_000 > CLOCK_ENDS_NS:
        return Refusal(Refused.out_of_bounds, "a simulated clock ends with the year 2199")
    return [happened.ClockAdvanced(at_ns + command.seconds * 1_000_000_000)]


def _tick(state: State, command: happened.Tick, at_ns: int) -> Decision:
    return (
        _due(state, at_ns)
        if command.actor == VENUE
        else Refusal(Refused.forbidden, "the venue's own command")
    )


def _due(state: State, at_ns: int) -> Iterator[Event]:
    """Timers whose instant has passed act. They leave the heap here; a replay drops the same ones in `_apply_ticked`."""
    due: list[tuple[int, str, str]] = []
    timers = state.timers
    while timers and timers[0][0] < at_ns and (len(due) < TIMERS_A_TICK or timers[0][0] == due[-1][0]):
        due.append(heappop(timers))
    if due:
        yield Ticked(due[-1][0])
    for due_ns, kind, identifier in due:
        yield from ON_DUE[kind](state, identifier, due_ns, at_ns)


def _apply_ticked(state: State, event: Ticked, at_ns: int) -> None:
    while state.timers and state.timers[0][0] <= event.until_ns:
        heappop(state.timers)


def _apply_advanced(state: State, event: happened.ClockAdvanced, at_ns: int) -> None:
    state.clock_floor_ns = event.to_ns


def _apply_nothing(state: State, event: Event, at_ns: int) -> None:
    """The entry itself is the record."""


def _then_holds(handler: Handler) -> Handler:
    """A register of a product changes: its holds are judged again in the same entry."""

    def changed(state: State, command: Any, at_ns: int) -> Decision:
        decision = handler(state, command, at_ns)
        if type(decision) is Refusal:
            return decision
        return _followed(state, decision, command.product, at_ns)  # type: ignore[arg-type]

    return changed


def _followed(state: State, first: Iterable[Event], changed: str, at_ns: int) -> Iterator[Event]:
    yield from first
    yield from trade.judge_holds(state, changed, at_ns)


def _then_all_holds(handler: Handler) -> Handler:
    """Other rules come into force: every hold is judged again in the same entry."""

    def changed(state: State, command: Any, at_ns: int) -> Decision:
        decision = handler(state, command, at_ns)
        return decision if type(decision) is Refusal else _with_all_holds(state, decision, at_ns)  # type: ignore[arg-type]

    return changed


def _with_all_holds(state: State, first: Iterable[Event], at_ns: int) -> Iterator[Event]:
    before = state.rulebook_sha256
    yield from first
    if state.rulebook_sha256 != before:
        yield from trade.judge_all_holds(state, at_ns)


def _rulebook_due(state: State, draft: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    yield from _with_all_holds(state, rulebook.on_due(state, draft, due_ns, at_ns), at_ns)


def _then_holds_of_listing(handler: Handler) -> Handler:
    """What is declared in a listing's contract changes: the holds of its product are judged again in the same entry."""

    def changed(state: State, command: Any, at_ns: int) -> Decision:
        decision = handler(state, command, at_ns)
        if type(decision) is Refusal:
            return decision
        return _followed(state, decision, state.listings[command.listing].product, at_ns)  # type: ignore[arg-type]

    return changed


def _unless_halted(handler: Handler) -> Handler:
    """A bilateral trade is a trade: none is reported while its listing, board or the market stands still."""

    def asked(state: State, command: happened.ReportTrade, at_ns: int) -> Decision:
        found = state.listings.get(command.listing)
        refusal = None if found is None else halt.halted_refusal(state, found)
        return refusal or handler(state, command, at_ns)

    return asked


def _then_books(handler: Handler) -> Handler:
    """A halt ends: books that crossed while they stood still trade in the same entry."""

    def resumed(state: State, command: Any, at_ns: int) -> Decision:
        decision = handler(state, command, at_ns)
        if type(decision) is Refusal or (type(command) is happened.MoveListing and command.step != "resume"):
            return decision
        return _with_books(state, decision, book_orders.stand_still(state), at_ns)  # type: ignore[arg-type]

    return resumed


def _with_books(state: State, first: Iterable[Event], stood: list[str], at_ns: int) -> Iterator[Event]:
    yield from first
    yield from book_orders.go_on(state, stood, at_ns)


def _then_standing(handler: Handler) -> Handler:
    """What a participant may do changes: its orders that it may not place any more are closed in the same entry, and
    its holds judged again."""

    def changed(state: State, command: Any, at_ns: int) -> Decision:
        decision = handler(state, command, at_ns)
        if type(decision) is Refusal:
            return decision
        return _with_standing(state, decision, command.participant, at_ns)  # type: ignore[arg-type]

    return changed


def _with_standing(state: State, first: Iterable[Event], changed: str, at_ns: int) -> Iterator[Event]:
    yield from first
    yield from order.close_without_standing(state, changed, at_ns)
    yield from trade.judge_holds_of(state, changed, at_ns)


def _execute_directive(state: State, command: happened.ExecuteDirective, at_ns: int) -> Decision:
    decision = directive.execute(state, command, at_ns)
    if type(decision) is Refusal:
        return decision
    return _with_freeze(state, decision, command.directive, at_ns)  # type: ignore[arg-type]


def _directive_due(state: State, name: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    yield from _with_freeze(state, directive.on_due(state, name, due_ns, at_ns), name, at_ns)


def _with_freeze(state: State, first: Iterable[Event], name: str, at_ns: int) -> Iterator[Event]:
    """Whoever is frozen, or no more, has other orders and holds in the same entry."""
    frozen = directive.participant_of(state, state.directives[name])
    yield from _with_standing(state, first, frozen, at_ns) if frozen else first


def _standing_due(state: State, name: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """A mandate or a credential has run out, unless it was renewed since."""
    yield from accreditation.expire(state, name, at_ns)
    yield from order.close_without_standing(state, name, at_ns)


def _then_parties(handler: Handler) -> Handler:
    """A register of a product or a participant changes: the holds that it is about are judged again."""

    def changed(state: State, command: happened.EnterRecord, at_ns: int) -> Decision:
        decision = handler(state, command, at_ns)
        return decision if type(decision) is Refusal else _with_parties(state, decision, command, at_ns)  # type: ignore[arg-type]

    return changed


def _with_parties(
    state: State, first: Iterable[Event], command: happened.EnterRecord, at_ns: int
) -> Iterator[Event]:
    yield from first
    if command.product:
        yield from trade.judge_holds(state, command.product, at_ns)
    if command.participant:
        yield from trade.judge_holds_of(state, command.participant, at_ns)


def _both(
    one: Callable[[State, Any, int], Iterable[Event]], other: Callable[[State, Any, int], Iterable[Event]]
) -> Callable[[State, Any, int], Iterable[Event]]:
    """What follows for the one noun, then for the other."""
    return lambda state, event, at_ns: chain(one(state, event, at_ns), other(state, event, at_ns))


def _after_completed(state: State, event: happened.Completed, at_ns: int) -> Iterable[Event]:
    entered = list(registers.after_completed(state, event, at_ns))
    stale = [row for entry in entered for row in overtaking.after_entered(state, entry, at_ns)]
    billed = subscription.after_completed(state, event, at_ns)
    return chain(entered, stale, duty.after_completed(state, event, at_ns), billed)


def _after_settled(state: State, event: happened.Settled, at_ns: int) -> Iterable[Event]:
    following = duty.after_settled(state, event, at_ns)
    return chain(following, need.after_settled(state, event, at_ns)) if state.awarding else following


def _after_released(state: State, event: happened.HoldReleased, at_ns: int) -> Iterable[Event]:
    return chain(duty.after_released(state, event, at_ns), need.after_released(state, event, at_ns))


def _after_recorded(state: State, event: happened.FactRecorded, at_ns: int) -> Iterable[Event]:
    return chain(overtaking.after_recorded(state, event, at_ns), duty.after_recorded(state, event, at_ns))


def _then_pledge(handler: Handler) -> Handler:
    """A trade that is taken back lets its pledge go, and holds that waited for the pledgee are looked at again."""

    def decide(state: State, command: Any, at_ns: int) -> Decision:
        decision = handler(state, command, at_ns)
        return decision if isinstance(decision, Refusal) else _let_go(state, decision, at_ns)

    return decide


def _let_go(state: State, decision: Iterable[Event], at_ns: int) -> Iterator[Event]:
    for event in decision:
        taken_back = registers.taken_back(state, event)
        yield event
        for released in registers.release_pledge(state, taken_back, at_ns):
            yield released
            yield from trade.judge_holds(state, released.product, at_ns)


HANDLERS: Final[dict[type, Handler]] = {
    PlaceOrder: book_orders.place,
    happened.CancelOrder: book_orders.cancel,
    happened.CancelMany: book_orders.cancel_many,
    happened.ReplaceOrder: book_orders.change,
    happened.EndConnection: book_orders.end_connection,
    happened.MoveSession: session.move,
    happened.FollowTimetables: session.follow,
    happened.QueueRing: ring.queue,
    happened.DecideRing: ring.decide,
    happened.ObjectToRing: ring.object_to,
    happened.OpenVenue: bank.open_venue,
    happened.AdoptVenueKey: issuing.adopt_key,
    happened.FollowCredentials: issuing.follow_all,
    happened.AdoptRulebook: _then_all_holds(rulebook.adopt),
    happened.DraftRulebook: rulebook.draft,
    happened.ApproveDraft: _then_all_holds(rulebook.approve),
    happened.NarrowRule: _then_all_holds(rulebook.narrow),
    happened.Tick: _tick,
    happened.AdvanceClock: _advance,
    happened.RegisterParticipant: participant.register,
    happened.GrantRole: participant.grant_role,
    happened.RevokeRole: participant.revoke_role,
    happened.SetStatus: _then_standing(participant.set_status),
    happened.ReplaceKey: participant.replace_key,
    happened.ResubmitIdentity: participant.resubmit_identity,
    happened.DecideIdentity: _then_standing(participant.decide_identity),
    happened.ApplyForAccreditation: accreditation.apply,
    happened.DecideAccreditation: _then_standing(accreditation.decide),
    happened.SetBan: _then_standing(participant.set_ban),
    happened.SubmitProduct: product.submit,
    happened.DecideProduct: product.decide,
    happened.RenewCertificate: _then_holds(product.renew),
    happened.AmendFacts: _then_holds(product.amend),
    happened.ConfirmFacts: _then_holds(product.confirm),
    happened.RecordFact: _then_holds(product.record),
    happened.EnterRecord: _then_parties(registers.enter),
    happened.CreateListing: listing.create,
    happened.ReviseListing: listing.revise,
    happened.MoveListing: _then_books(listing.move),
    happened.BookCashIn: bank.book_in,
    happened.ReportTrade: _unless_halted(trade.report),
    happened.WithdrawReport: trade.withdraw_report,
    happened.DeclineReport: trade.decline_report,
    happened.Deliver: trade.deliver,
    happened.AcceptDelivery: trade.accept,
    happened.RejectDelivery: trade.reject,
    happened.IssueKey: entitlement.issue_key,
    happened.CureHold: trade.cure,
    happened.SetCustody: bank.set_custody,
    happened.SetPayoutAccount: bank.set_payout_account,
    happened.RequestWithdrawal: bank.request,
    happened.CancelWithdrawal: bank.cancel,
    happened.MakePayoutBatch: bank.make_batch,
    happened.RejectPayout: bank.reject,
    happened.BookStatement: bank.book_statement,
    happened.CloseBreak: bank.close_break,
    happened.RecordCeiling: revenue.record_ceiling,
    happened.IssueDirective: directive.issue,
    happened.ObjectToListing: objection.file,
    happened.DecideTrusteeObjection: _then_books(objection.decide),
    happened.ExecuteDirective: _execute_directive,
    happened.HaltTrading: halt.halt,
    happened.ResumeTrading: _then_books(halt.resume),
    happened.SuspendEntitlement: entitlement.suspend,
    happened.ResumeEntitlement: entitlement.resume,
    happened.RenewEntitlement: entitlement.renew,
    happened.RevokeEntitlement: _then_pledge(entitlement.revoke),
    happened.OfferContract: _then_holds_of_listing(contract.offer),
    happened.SignContract: _then_holds_of_listing(contract.sign),
    happened.AccreditProvider: attestation.accredit,
    happened.RevokeProvider: attestation.revoke_provider,
    happened.Attest: trade.attest,
    happened.RevokeAttestation: attestation.revoke,
    happened.ProveDuty: duty.prove,
    happened.DecideDuty: duty.decide,
    happened.FindBreach: duty.find,
    happened.PublishYear: duty.publish_year,
    happened.RecountDuties: duty.recount,
    happened.PayDeposit: deposit.pay,
    happened.TakeDeposit: deposit.take,
    happened.OfferRefund: _then_pledge(refund.offer),
    happened.ReverseTransaction: _then_pledge(reversal.reverse),
    happened.PublishNeed: need.publish,
    happened.WithdrawNeed: need.withdraw,
    happened.Propose: need.propose,
    happened.CounterProposal: need.counter,
    happened.AcceptProposal: need.accept,
    happened.WithdrawProposal: need.withdraw_proposal,
    happened.MarkProposal: need.mark,
    happened.ShortlistProposals: need.shortlist,
    happened.AwardNeed: need.award,
    happened.PlaceBid: auction.place,
    happened.RevealBid: auction.reveal,
    happened.OpenReserve: auction.open_reserve,
    happened.Subscribe: subscription.subscribe,
    happened.RenewSubscription: subscription.renew,
    happened.RecordUsage: subscription.record,
    happened.BuyPackage: subscription.buy_package,
    happened.SetPlan: subscription.set_plan,
    happened.PayBill: subscription.pay,
    happened.DisputeBill: subscription.dispute,
    happened.AnswerDispute: subscription.answer,
    happened.AnswerDocuments: accreditation.answer,
    happened.AddKey: entrance.add_key,
    happened.EndKey: entrance.end_key,
    happened.SetAddresses: entrance.set_addresses,
    happened.EndSessions: entrance.end_sessions,
    happened.Depart: departure.depart,
    happened.AcceptDeparture: departure.accept,
    happened.FollowGrades: consequence.follow,
    happened.OpenCase: case.open_case,
    happened.ObjectToCase: case.object_to_case,
    happened.ObjectToConduct: case.object_to_conduct,
    happened.CorrectConduct: case.correct_conduct,
    happened.DecideObjection: case.decide_objection,
    happened.CorrectCase: case.correct,
    happened.AskRepair: case.ask_repair,
    happened.DecideRepair: case.decide_repair,
    happened.OverrideGrade: case.override,
    happened.SetSecret: entrance.set_secret,
    happened.GiveMandate: mandate.give,
    happened.EndMandate: mandate.end,
}
"""Command: who decides it."""

MOVEMENTS: Final[dict[type, str]] = {
    happened.PayDeposit: "deposit",
    happened.TakeDeposit: "deposit_return",
    happened.RequestWithdrawal: "withdrawal",
    happened.ReverseTransaction: "reversal",
}
"""Commands that move money: what they are called where one is refused for lack of it. Its id stays refused."""

_APPLY: Final[dict[type, Callable[[State, Any, int], None]]] = {
    happened.OrderPlaced: order.apply_placed,
    happened.Settled: order.apply_settled,
    happened.OrderClosed: order.apply_closed,
    OrderRefused: order.apply_refused,
    happened.Held: order.apply_held,
    happened.TradeRefused: order.apply_trade_refused,
    happened.VenueOpened: participant.apply_opened,
    happened.RulebookAdopted: rulebook.apply_adopted,
    happened.RulebookDrafted: rulebook.apply_drafted,
    happened.DraftApproved: rulebook.apply_approved,
    happened.RuleNarrowed: rulebook.apply_narrowed,
    happened.DraftLapsed: rulebook.apply_lapsed,
    Ticked: _apply_ticked,
    happened.ClockAdvanced: _apply_advanced,
    happened.ParticipantRegistered: participant.apply_registered,
    happened.RoleGranted: participant.apply_role,
    happened.RoleRevoked: participant.apply_role_revoked,
    happened.StatusSet: participant.apply_status,
    happened.KeyReplaced: participant.apply_key,
    happened.IdentityResubmitted: participant.apply_resubmitted,
    happened.IdentityDecided: participant.apply_identity,
    happened.AccreditationApplied: accreditation.apply_applied,
    happened.AccreditationDecided: accreditation.apply_decided,
    happened.BanSet: participant.apply_ban,
    happened.ProductSubmitted: product.apply_submitted,
    happened.ProductDecided: product.apply_decided,
    happened.FactsAmended: product.apply_amended,
    happened.FactsConfirmed: product.apply_confirmed,
    happened.FactRecorded: product.apply_recorded,
    happened.RecordEntered: registers.apply_entered,
    happened.ListingCreated: listing.apply_created,
    happened.ListingRevised: listing.apply_revised,
    happened.ListingMoved: listing.apply_moved,
    happened.CashBooked: bank.apply_cash,
    happened.HoldCured: trade.apply_cured,
    happened.HoldReleased: trade.apply_released,
    happened.TradeReported: trade.apply_reported,
    happened.ReportEnded: trade.apply_report_ended,
    happened.Delivered: trade.apply_delivered,
    happened.DeliveryRejected: trade.apply_rejected,
    happened.Completed: trade.apply_completed,
    happened.Refunded: trade.apply_refunded,
    happened.KeyIssued: entitlement.apply_key,
    happened.EntitlementEnded: entitlement.apply_ended,
    happened.Quarantined: _apply_nothing,
    happened.DirectiveIssued: directive.apply_issued,
    happened.ListingObjected: objection.apply_filed,
    happened.TrusteeObjectionDecided: objection.apply_decided,
    happened.DirectiveExecuted: directive.apply_executed,
    happened.TradingHalted: halt.apply_halted,
    happened.TradingResumed: halt.apply_resumed,
    happened.EntitlementMoved: entitlement.apply_moved,
    happened.EntitlementReminded: _apply_nothing,
    happened.EntitlementRenewed: entitlement.apply_renewed,
    happened.ContractOffered: contract.apply_offered,
    happened.ContractSigned: contract.apply_signed,
    happened.ProviderAccredited: attestation.apply_accredited,
    happened.ProviderRevoked: attestation.apply_provider_revoked,
    happened.Attested: attestation.apply_attested,
    happened.AttestationRevoked: attestation.apply_revoked,
    happened.DutyOpened: duty.apply_opened,
    happened.DutyMoved: duty.apply_moved,
    happened.DutyBroken: duty.apply_broken,
    happened.DutyRescheduled: duty.apply_rescheduled,
    happened.YearPublished: duty.apply_year,
    happened.CeilingRecorded: revenue.apply_ceiling,
    happened.CustodySet: bank.apply_custody,
    happened.PayoutAccountSet: bank.apply_payout_account,
    happened.WithdrawalRequested: bank.apply_requested,
    happened.WithdrawalCancelled: bank.apply_cancelled,
    happened.PayoutBatchMade: bank.apply_batch,
    happened.StatementTaken: bank.apply_statement,
    happened.PayoutConfirmed: bank.apply_confirmed,
    happened.PayoutEnded: bank.apply_ended,
    happened.CashConfirmed: bank.apply_cash_confirmed,
    happened.BreakOpened: bank.apply_opened,
    happened.BreakClosed: bank.apply_closed,
    happened.BankDayEnded: bank.apply_day,
    happened.VenueKeyAdopted: issuing.apply_key,
    happened.CredentialIssued: issuing.apply_issued,
    happened.CredentialMoved: issuing.apply_moved,
    happened.DepositPaid: deposit.apply_paid,
    happened.DepositTaken: deposit.apply_taken,
    happened.RefundOffered: refund.apply_offered,
    happened.RefundOfferEnded: refund.apply_offer_ended,
    happened.PriceLowered: refund.apply_lowered,
    happened.RefundPaid: refund.apply_paid,
    happened.DebtSetOff: debt.apply_set_off,
    happened.ReversalProposed: reversal.apply_proposed,
    happened.ReversalEnded: reversal.apply_proposal_ended,
    happened.Reversed: reversal.apply_reversed,
    MovementRefused: _apply_nothing,
    happened.CertificateRenewed: product.apply_renewed,
    happened.CertificateReminded: product.apply_reminded,
    happened.CureOvertaken: overtaking.apply_overtaken,
    happened.HoldChanged: trade.apply_changed,
    happened.CompletionPostponed: passing.apply_postponed,
    happened.NeedPublished: need.apply_published,
    happened.NeedMoved: need.apply_moved,
    happened.NeedShortlisted: need.apply_shortlisted,
    happened.ProposalMade: need.apply_made,
    happened.ProposalRevised: need.apply_revised,
    happened.ProposalCountered: need.apply_countered,
    happened.ProposalWithdrawn: need.apply_withdrawn,
    happened.ProposalMarked: need.apply_marked,
    happened.ProposalAwarded: need.apply_awarded,
    happened.AuctionOpened: auction.apply_opened,
    happened.BidPlaced: auction.apply_placed,
    happened.BidRevealed: auction.apply_revealed,
    happened.ReserveOpened: auction.apply_reserve,
    happened.BidEnded: auction.apply_ended,
    happened.AuctionClosed: auction.apply_closed,
    happened.OrderCameIn: book_orders.apply_came_in,
    happened.OrderReplaced: book_orders.apply_replaced,
    happened.OrderRefilled: book_orders.apply_refilled,
    happened.OrderReduced: book_orders.apply_reduced,
    happened.SessionMoved: session.apply_moved,
    happened.RingQueued: ring.apply_queued,
    happened.RingDecided: ring.apply_decided,
    happened.RingObjected: ring.apply_objected,
    happened.ConductInherited: participant.apply_inherited,
    happened.CallAuctionHeld: book_orders.apply_auction,
    happened.Subscribed: subscription.apply_subscribed,
    happened.SubscriptionMoved: subscription.apply_moved,
    happened.UsageTaken: subscription.apply_usage,
    happened.PackageBought: subscription.apply_package,
    happened.PlanSet: subscription.apply_plan,
    happened.PlanBegun: subscription.apply_plan_begun,
    happened.BillMade: subscription.apply_made,
    happened.BillPaid: subscription.apply_paid,
    happened.BillReminded: subscription.apply_reminded,
    happened.BillDefaulted: subscription.apply_defaulted,
    happened.BillDisputed: subscription.apply_disputed,
    happened.DisputeAnswered: subscription.apply_answered,
    happened.BillLowered: subscription.apply_lowered,
    happened.BillRefunded: subscription.apply_refunded,
    happened.BillFiled: subscription.apply_filed,
    happened.DocumentsRequested: accreditation.apply_requested,
    happened.DocumentsAnswered: accreditation.apply_answered,
    happened.AccreditationProposed: accreditation.apply_proposed,
    happened.AccreditationProposalEnded: accreditation.apply_proposal_ended,
    happened.KeyAdded: entrance.apply_key,
    happened.NamedKeyEnded: entrance.apply_key_ended,
    happened.AddressesSet: entrance.apply_addresses,
    happened.SessionEnded: entrance.apply_session,
    happened.SessionsEnded: entrance.apply_sessions,
    happened.DepartureBegun: departure.apply_begun,
    happened.DepartureAccepted: departure.apply_accepted,
    happened.PassedOn: departure.apply_passed,
    happened.MoneyPassedOn: departure.apply_money,
    happened.DepartureDone: departure.apply_done,
    happened.GradesLooked: consequence.apply_looked,
    happened.GradeNoticed: consequence.apply_noticed,
    happened.GradeNoticeLapsed: consequence.apply_lapsed,
    happened.GradeSet: consequence.apply_set,
    happened.LargestOrderSet: consequence.apply_largest,
    happened.CaseOpened: case.apply_opened,
    happened.CaseMoved: case.apply_moved,
    happened.OverrideProposed: case.apply_proposed,
    happened.OverrideConfirmed: case.apply_confirmed,
    happened.OverrideEnded: case.apply_override_ended,
    happened.SecretSet: entrance.apply_secret,
    happened.MandateGiven: mandate.apply_given,
    happened.MandateEnded: mandate.apply_ended,
    happened.MandateUsed: mandate.apply_used,
}
"""Event: what it changes."""

APPLY: Final = issuing.noting(_APPLY)
"""The same; what its events are about is noted for the credentials that follow (`exchange.issuing`)."""

FOLLOWING: Final[dict[type, Callable[[State, Any, int], Iterable[Event]]]] = {
    happened.Settled: _both(_after_settled, subscription.after_settled),
    happened.Completed: _after_completed,
    happened.Refunded: _both(duty.after_refunded, subscription.after_undone),
    happened.HoldReleased: _both(_after_released, subscription.after_undone),
    happened.EntitlementEnded: _both(duty.after_ended, subscription.after_ended),
    happened.Delivered: subscription.after_delivered,
    happened.DeliveryRejected: subscription.after_rejected,
    happened.Reversed: duty.after_reversed,
    happened.FactRecorded: _after_recorded,
    happened.FactsAmended: overtaking.after_amended,
    happened.FactsConfirmed: overtaking.after_confirmed,
    happened.ProductDecided: overtaking.after_decided,
    happened.CertificateRenewed: overtaking.after_renewed,
    happened.RecordEntered: overtaking.after_entered,
    happened.ContractOffered: overtaking.after_offered,
    happened.ContractSigned: overtaking.after_signed,
    happened.ListingMoved: auction.after_moved,
    happened.GradeSet: order.after_graded,
}
"""Event: what follows from it in the same entry, whichever command it came of. Asked before the event is applied, it may
look at what the event ends; what it yields is applied after it."""

ON_DUE: Final[dict[str, Callable[[State, str, int, int], Iterable[Event]]]] = {
    "listing": listing.on_due,
    "trade": trade.on_due,
    "entitlement": entitlement.on_due,
    "entitlement_reminder": entitlement.on_reminder_due,
    "certificate_reminder": product.on_reminder_due,
    "duty": duty.on_due,
    "duty_reminder": duty.on_reminder_due,
    "report": trade.on_report_due,
    "standing": _standing_due,
    "directive": _directive_due,
    "accreditation_proposal": accreditation.on_proposal_due,
    "departure": departure.on_due,
    "mandate": mandate.on_due,
    "order": book_orders.on_due,
    "session": session.on_due,
    "bank": bank.on_due,
    "rulebook": _rulebook_due,
    "hold": trade.on_look_due,
    "refund_offer": refund.on_offer_due,
    "reversal": reversal.on_proposal_due,
    "need": need.on_due,
    "auction": auction.on_due,
    "subscription": subscription.on_month_due,
    "plan": subscription.on_plan_due,
    "bill": subscription.on_bill_due,
    "bill_reminder": subscription.on_bill_reminder_due,
    "bill_file": subscription.on_file_due,
    "bill_dispute": subscription.on_dispute_due,
    "credential": issuing.on_due,
    "grades": consequence.on_look_due,
    "grade": consequence.on_notice_due,
    "case": case.on_due,
    "case_decision": case.on_decision_due,
    "ring_objection": ring.on_due,
    "override": case.on_override_due,
}
"""Kind of timer: what happens when its instant has passed."""
