"""What happens after the verdict: delivery, acceptance, payment, refund, holds, and trades reported from outside.

The life itself is the table in `clearing.delivery`; the dates come from the listing's terms. Only acceptance, or
silence until the acceptance date, pays.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from clearing.delivery import TRADE_LIFE, WHEN_LATE
from clearing.ledger import CNY
from clearing.money import amount_fen, refuse_amount
from clearing.notrade import Cure, Verdict, capacities
from credit.conduct import Conduct, ConductKind, history_bp
from exchange import allowance, attestation, passing, revenue
from exchange.attestation import REVIEWER
from exchange.consequence import order_refusal, suspended_refusal
from exchange.entitlement import drop_renewal, ending, forget_key, remind_ns, settle_renewal, until_of
from exchange.events import (
    AcceptDelivery,
    Attest,
    Completed,
    CureHold,
    DeclineReport,
    Deliver,
    Delivered,
    Delivery,
    DeliveryRejected,
    EntitlementEnded,
    Event,
    FactRecorded,
    FactsAmended,
    FactsConfirmed,
    HoldChanged,
    HoldCured,
    HoldReleased,
    Refunded,
    Refusal,
    Refused,
    RejectDelivery,
    ReportEnded,
    ReportTrade,
    TradeReported,
    WithdrawReport,
)
from exchange.listing import WHOLE_DEALS
from exchange.order import (
    Deal,
    cure_of,
    deal_of,
    end_exclusive,
    judge_clearing,
    next_look_ns,
    plan_look,
    prolong_exclusive,
    record_completion,
    settlement,
    strike,
    supply_refusal,
)
from exchange.participant import frozen_refusal, has_role, standing_refusal
from exchange.product import LIFE as PRODUCT_LIFE
from exchange.product import certificate_of, evidence_refusal, kinds_of, reviewer_refusal, revision_refusal
from exchange.state import DAY_NS, Look, Report, State, Trade

REPORT_NS: Final = 10 * DAY_NS
"""How long a report waits for the other side's."""

MOST_REPORTS: Final = 200
"""Reports of one participant that wait for their other sides."""

RECORDED: Final = ("B11", "C02")
"""Holds whose cure changes a register of the product; every other cure is of its trade alone."""

REFUND_FAULTS: Final[dict[str, ConductKind]] = {
    "miss": "not_delivered",
    "reject_again": "redelivery_rejected",
}
"""Step that refunds: the seller's fault in it. What both agree to is nobody's, nor is what the law stops."""


# ---- delivery


def deliver(state: State, command: Deliver, at_ns: int) -> Refusal | list[Event]:
    trade = state.trades.get(command.trade)
    if trade is None or trade.seller != command.actor:
        return Refusal(Refused.not_found, f"you have no open sale {command.trade}")
    step = "redeliver" if trade.state == "rejected" else "deliver"
    refusal = _step_refusal(trade, step, at_ns)
    if refusal is not None:
        return refusal
    delivery = command.delivery
    if (forbidden := _consent_refusal(state, trade) or passing.refusal(state, trade, at_ns)) is not None:
        return forbidden
    told = (delivery.kind, bool(delivery.sha256), bool(delivery.url))
    if told not in (("file", True, False), ("address", False, True)):
        return Refusal(Refused.malformed, "a delivery is a file with its sha256, or an address with its url")
    terms = state.listings[trade.listing].terms
    due_ns = at_ns + terms.acceptance_days * DAY_NS
    until_ns = until_of(state, trade, at_ns)
    return [Delivered(trade.id, step, delivery, due_ns, until_ns, remind_ns(at_ns, until_ns))]


def _consent_refusal(state: State, trade: Trade) -> Refusal | None:
    """What is delivered after consent was withdrawn leaves those persons out (个人信息保护法第十五条、第四十七条)."""
    product = state.products[state.listings[trade.listing].product]
    if not product.consent_withdrawn or product.consent_removed:
        return None
    if "personal" not in kinds_of(state, trade.id, product):
        return None
    detail = "consent was withdrawn: take those records out and have consent_removed recorded, then deliver"
    return Refusal(Refused.unlawful, detail, ("C05",))


def accept(state: State, command: AcceptDelivery, at_ns: int) -> Refusal | list[Event]:
    trade = state.trades.get(command.trade)
    if trade is None or trade.buyer != command.actor:
        return Refusal(Refused.not_found, f"you have no open purchase {command.trade}")
    refusal = _step_refusal(trade, "accept", at_ns) or passing.refusal(state, trade, at_ns)
    return refusal or completed(state, trade, "accept", at_ns)


def completed(state: State, trade: Trade, step: str, at_ns: int) -> list[Event]:
    """A term that ran out while the buyer could still reject ends now."""
    events: list[Event] = [Completed(trade.id, step, history_bp(trade.amount_fen, trade.fee_fen))]
    entitlement = state.entitlements[trade.entitlement]
    if entitlement.until_ns <= at_ns:
        events.append(EntitlementEnded(entitlement.id, ending(state, entitlement.id)))
    return events


def reject(state: State, command: RejectDelivery, at_ns: int) -> Refusal | list[Event]:
    trade = state.trades.get(command.trade)
    if trade is None or trade.buyer != command.actor:
        return Refusal(Refused.not_found, f"you have no open purchase {command.trade}")
    again = trade.state == "redelivered"
    refusal = _step_refusal(trade, "reject_again" if again else "reject", at_ns)
    if refusal is not None:
        return refusal
    if not command.reason.strip():
        return Refusal(Refused.malformed, "a rejection needs its reason")
    if again:
        return [Refunded(trade.id, "reject_again")]
    due_ns = at_ns + state.listings[trade.listing].terms.redelivery_days * DAY_NS
    return [DeliveryRejected(trade.id, command.reason, due_ns)]


def _step_refusal(trade: Trade, step: str, at_ns: int) -> Refusal | None:
    if (trade.state, step) not in TRADE_LIFE:
        return Refusal(Refused.wrong_state, f"a trade that is {trade.state} cannot take the step {step}")
    if at_ns > trade.due_ns:
        return Refusal(Refused.wrong_state, "the date for this has passed")
    return None


# ---- holds


def cure(state: State, command: CureHold, at_ns: int) -> Refusal | Iterator[Event]:
    trade = state.holds.get(command.trade)
    involved = trade is not None and command.actor in (trade.buyer, trade.seller)
    if trade is None or not (involved or has_role(state, command.actor, "reviewer", at_ns)):
        return Refusal(Refused.not_found, f"there is no hold {command.trade}")
    known = cures(state, trade.violated).get(command.rule)
    if known is None:
        return Refusal(Refused.malformed, f"the hold names {', '.join(trade.violated)}: cure one of these")
    if (refusal := _cure_refusal(state, trade, command, known, at_ns)) is not None:
        return refusal
    records = _cure_records(state, trade, command) if known.confirms else []
    return _cured(state, trade, command, records, at_ns)


def cures(state: State, rules: Iterable[str]) -> dict[str, Cure]:
    """Of these rules the holds, each with who brings and who confirms what cures it."""
    found = ((rule, state.rulebook.rules.get(rule)) for rule in rules)
    return {rule: row.cured_by for rule, row in found if row is not None and row.cured_by is not None}


def _cure_refusal(state: State, trade: Trade, command: CureHold, known: Cure, at_ns: int) -> Refusal | None:
    """Those who bring it give their word where nobody has to confirm it; else a reviewer holds it against the file."""
    if not known.confirms:
        bringers = [getattr(trade, party) for party in known.brings]
        if command.actor in bringers:
            return None
        return Refusal(Refused.forbidden, f"only the {' or the '.join(known.brings)} confirms this")
    if REVIEWER not in known.confirms:
        kinds = ", ".join(known.confirms)
        detail = f"an accredited provider confirms this (POST /v1/attestations, kind {kinds})"
        return Refusal(Refused.forbidden, detail)
    product = state.products[state.listings[trade.listing].product]
    return (
        reviewer_refusal(state, command.actor, product, at_ns)
        or revision_refusal(product, command.revision)
        or evidence_refusal(command.evidence_sha256)
    )


def attest(state: State, command: Attest, at_ns: int) -> Refusal | Iterator[Event]:
    """An attestation, and what it does to the holds that wait for it."""
    decision = attestation.attest(state, command, at_ns)
    return decision if isinstance(decision, Refusal) else _attested(state, decision, command, at_ns)


def _attested(state: State, first: list[Event], command: Attest, at_ns: int) -> Iterator[Event]:
    yield from first
    given = state.attested[command.product][-1]
    for trade in list(state.holds.values()):
        if state.listings[trade.listing].product == command.product and command.buyer in ("", trade.buyer):
            for rule in cures(state, trade.violated):
                if rule in command.rules:
                    yield HoldCured(trade.id, rule, command.evidence_sha256, command.actor, given)
    yield from judge_holds(state, command.product, at_ns)


def _cure_records(state: State, trade: Trade, command: CureHold) -> list[Event]:
    """What the evidence changes in the registers."""
    product = state.products[state.listings[trade.listing].product]
    if command.rule == "C02":
        consent = replace(product.consent, basis="separate_consent")
        return [
            FactsAmended(
                product.id, command.evidence_sha256, None, None, None, consent, product.revision + 1
            ),
            FactsConfirmed(product.id, ("consent",), command.actor),
        ]
    if command.rule != "B11":
        return []
    entries = []
    if product.state == "suspended":
        entries.append(("registration_resumed", PRODUCT_LIFE["suspended", "resume"]))
    if product.objection:
        entries.append(("objection_settled", ""))
    return [
        FactRecorded(
            product.id,
            entry,
            command.evidence_sha256,
            "",
            "",
            command.actor,
            after,
            certificate_of(product, entry),
        )
        for entry, after in entries
    ]


def _cured(
    state: State, trade: Trade, command: CureHold, records: list[Event], at_ns: int
) -> Iterator[Event]:
    yield from records
    yield HoldCured(trade.id, command.rule, command.evidence_sha256, command.actor)
    yield from judge_holds(state, state.listings[trade.listing].product, at_ns)


def judge_holds(state: State, product: str, at_ns: int) -> Iterator[Event]:
    """A register of the product has changed: look at its holds again; what may stand settles, what may not ends."""
    waiting = [trade for trade in state.holds.values() if state.listings[trade.listing].product == product]
    yield from _judge_again(state, waiting, at_ns)


def judge_holds_of(state: State, participant: str, at_ns: int) -> Iterator[Event]:
    """What the register says of a participant has changed: look at the holds it is party to again."""
    waiting = [trade for trade in state.holds.values() if participant in (trade.buyer, trade.seller)]
    yield from _judge_again(state, waiting, at_ns)


def judge_all_holds(state: State, at_ns: int) -> Iterator[Event]:
    """Other rules are in force."""
    yield from _judge_again(state, list(state.holds.values()), at_ns)


def on_look_due(state: State, trade_id: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """An entry about the hold's product or parties has begun or ended to be good."""
    yield from _judge_again(state, [state.holds[trade_id]] if trade_id in state.holds else [], at_ns)


def _judge_again(state: State, waiting: list[Trade], at_ns: int) -> Iterator[Event]:
    for trade in waiting:
        deal = deal_of(state, trade, at_ns)
        verdict, facts_sha256 = judge_clearing(state, deal, at_ns)
        decided = _decided(state, deal, verdict, facts_sha256, at_ns) or _changed(
            state, trade, deal, verdict, facts_sha256, at_ns
        )
        if decided is not None:
            yield decided


def _decided(state: State, deal: Deal, verdict: Verdict, facts_sha256: bytes, at_ns: int) -> Event | None:
    """What is allowed settles, what is broken is refused for that; None where the hold goes on, as of a frozen party."""
    if verdict.outcome == "allow" and any(party in state.frozen for party in (deal.buyer, deal.seller)):
        return None
    if verdict.outcome == "allow":
        return settlement(state, deal, facts_sha256, at_ns)
    if verdict.outcome == "reject":
        bound = capacities(deal.cell.product, deal.cell.source)
        return HoldReleased(deal.trade, "refused", verdict.violated, bound)
    return None


def _changed(
    state: State, trade: Trade, deal: Deal, verdict: Verdict, facts_sha256: bytes, at_ns: int
) -> HoldChanged | None:
    """What a hold names from now on: what is broken, what was told and is unknown now, and what was cured since.

    None where that is what the parties have been told.
    """
    open_still = [*verdict.violated, *(rule for rule, _ in verdict.unknown)]
    kept = [rule for rule in trade.violated if rule in open_still or cure_of(state, deal, rule, at_ns)]
    named, told = tuple(sorted(dict.fromkeys((*verdict.violated, *kept)))), state.looks.get(trade.id, Look())
    next_ns = next_look_ns(state, deal, trade.due_ns, at_ns)
    if (
        named == tuple(sorted(trade.violated))
        and verdict.unknown == told.unknown
        and next_ns in (0, told.next_ns)
    ):
        return None
    bound = capacities(deal.cell.product, deal.cell.source)
    return HoldChanged(trade.id, verdict.outcome, named, verdict.unknown, facts_sha256, bound, next_ns)


# ---- trades from outside


def report(state: State, command: ReportTrade, at_ns: int) -> Refusal | Iterable[Event]:
    """A bilateral trade, told by each side; the second report with the same terms has it judged and settled."""
    listing = state.listings.get(command.listing)
    if listing is None or listing.state != "published":
        return Refusal(Refused.not_found, f"there is no published listing {command.listing}")
    seller, buyer = (
        (command.actor, command.counterparty)
        if command.side == "sell"
        else (command.counterparty, command.actor)
    )
    refusal = _report_refusal(state, command, seller, at_ns)
    if refusal is not None:
        return refusal
    reported = _reported(state, command, at_ns)
    first = state.reports.get(state.reported.get(_report_of(reported).terms, ""))
    if first is None:
        return _waiting_refusal(state, command.actor) or [reported]
    if first.until_ns < at_ns:
        return [ReportEnded(first.id, "expired"), reported]
    if first.side == command.side:
        detail = f"your report {first.id} of these terms waits for the other side: withdraw it to change it"
        return Refusal(Refused.already_exists, detail)
    refusal = supply_refusal(listing, command.quantity) or _waits_refusal(state, command.counterparty)
    if refusal is not None:
        return refusal
    amount = amount_fen(command.price_fen, listing.terms.price_per_units, command.quantity)
    if state.ledger.available(buyer, CNY) < amount:
        return Refusal(Refused.funds_insufficient, f"the buyer needs {amount} fen available to settle")
    answer = replace(reported, matches=first.id, until_ns=0, trade=state.next_id("T"))
    return _settle_report(state, command, answer, first, buyer, at_ns)


def _waits_refusal(state: State, reporter: str) -> Refusal | None:
    """Why nothing comes now of what the other side reported when nothing was against it; what there is, is its own."""
    if frozen_refusal(state, reporter) is None and suspended_refusal(state, reporter) is None:
        return None
    return Refusal(
        Refused.standing_denied,
        "对方现不能开展新的交易。The other side begins no trade now: its report waits",
    )


def withdraw_report(state: State, command: WithdrawReport, at_ns: int) -> Refusal | list[Event]:
    report = state.reports.get(command.report)
    if report is None or report.participant != command.actor:
        return Refusal(Refused.not_found, f"you have no waiting report {command.report}")
    return [ReportEnded(report.id, "withdrawn")]


def decline_report(state: State, command: DeclineReport, at_ns: int) -> Refusal | list[Event]:
    report = state.reports.get(command.report)
    if report is None or report.counterparty != command.actor:
        return Refusal(Refused.not_found, f"nobody waits for your answer to a report {command.report}")
    if not command.reason.strip():
        return Refusal(Refused.malformed, "say what is wrong with it")
    return [ReportEnded(report.id, "declined", command.reason)]


def _report_refusal(state: State, command: ReportTrade, seller: str, at_ns: int) -> Refusal | None:
    terms = state.listings[command.listing].terms
    if command.side not in ("buy", "sell"):
        return Refusal(Refused.malformed, "side is buy or sell")
    if terms.mechanism != "off_venue" or seller != state.listings[command.listing].merchant:
        return Refusal(
            Refused.mechanism_not_allowed, "report trades of an off_venue listing with its merchant"
        )
    if command.counterparty not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {command.counterparty}")
    if command.purpose not in terms.purposes or command.territory not in terms.territories:
        offered = f"purposes {', '.join(terms.purposes)} and territories {', '.join(terms.territories)}"
        return Refusal(Refused.outside_terms, f"offered are {offered}")
    if (reason := refuse_amount(command.price_fen, terms.price_per_units, command.quantity)) is not None:
        return Refusal(Refused.out_of_bounds, reason)
    deed = "list" if command.side == "sell" else "buy"
    amount = amount_fen(command.price_fen, terms.price_per_units, command.quantity)
    buyer = command.counterparty if command.side == "sell" else command.actor
    return (
        standing_refusal(state, command.actor, deed, at_ns)
        or order_refusal(state, buyer, seller, amount, at_ns)
        or evidence_refusal(command.contract_sha256)
    )


def _waiting_refusal(state: State, participant: str) -> Refusal | None:
    waiting = sum(report.participant == participant for report in state.reports.values())
    if waiting < MOST_REPORTS:
        return None
    detail = f"{waiting} of your reports wait for their other sides: withdraw one first"
    return Refusal(Refused.out_of_bounds, detail)


def _reported(state: State, command: ReportTrade, at_ns: int) -> TradeReported:
    return TradeReported(
        state.next_id("R"),
        command.listing,
        command.side,
        command.actor,
        command.counterparty,
        command.quantity,
        command.price_fen,
        command.purpose,
        command.territory,
        command.contract_sha256,
        command.accepts_prior,
        "",
        at_ns + REPORT_NS,
    )


def _report_of(event: TradeReported) -> Report:
    return Report(
        id=event.report,
        listing=event.listing,
        side=event.side,
        participant=event.participant,
        counterparty=event.counterparty,
        quantity=event.quantity,
        price_fen=event.price_fen,
        purpose=event.purpose,
        territory=event.territory,
        contract_sha256=event.contract_sha256,
        accepts_prior=event.accepts_prior,
        until_ns=event.until_ns,
    )


def _settle_report(
    state: State,
    command: ReportTrade,
    answer: TradeReported,
    first: Report,
    buyer: str,
    at_ns: int,
) -> Iterator[Event]:
    yield answer
    accepts_prior = command.accepts_prior if command.side == "buy" else first.accepts_prior
    where = (command.purpose, command.territory)
    listing = state.listings[command.listing]
    yield from strike(
        state, listing, buyer, command.quantity, command.price_fen, *where, accepts_prior, at_ns
    )


# ---- dates that pass


def on_due(state: State, trade_id: str, due_ns: int, at_ns: int) -> Iterable[Event]:
    """A trade's date has passed without the step it waited for."""
    trade = state.trades.get(trade_id)
    if trade is None or trade.due_ns != due_ns:
        return []
    step = WHEN_LATE[trade.state]  # type: ignore[index]
    if step == "expire":
        return [_expired(state, trade, at_ns)]
    if rules := passing.stopping(state, trade, at_ns):
        return [passing.late(state, trade, step, rules, at_ns)]
    return completed(state, trade, "silence", at_ns) if step == "silence" else [Refunded(trade_id, "miss")]


def _expired(state: State, trade: Trade, at_ns: int) -> Event:
    """A last look, and where that decides nothing the date has passed in vain."""
    deal = deal_of(state, trade, at_ns)
    verdict, facts_sha256 = judge_clearing(state, deal, at_ns)
    return _decided(state, deal, verdict, facts_sha256, at_ns) or HoldReleased(
        trade.id, "expired", verdict.violated, blamed=_blamed(state, trade, verdict)
    )


def _blamed(state: State, trade: Trade, verdict: Verdict) -> tuple[str, ...]:
    """Who had to bring what is still missing: the buyer its word, the seller what a reviewer asks for."""
    bringers = [party for known in cures(state, verdict.violated).values() for party in known.brings]
    parties = (("buyer", trade.buyer), ("seller", trade.seller))
    return tuple(party for side, party in parties if side in bringers)


def on_report_due(state: State, report: str, due_ns: int, at_ns: int) -> list[Event]:
    """The other side has not answered: what was agreed long ago is not settled by surprise."""
    return [ReportEnded(report, "expired")] if report in state.reports else []


# ---- events


def apply_delivered(state: State, event: Delivered, at_ns: int) -> None:
    trade = state.trades[event.trade]
    trade.state = "redelivered" if event.step == "redeliver" else "delivered"
    trade.delivery, trade.due_ns = event.delivery, event.due_ns
    state.claims.forget_offers(trade.id, trade.buyer, trade.seller)
    _follow(state, trade, "active", event.delivery, event.entitlement_until_ns)
    state.start_timer(event.due_ns, "trade", trade.id)
    state.start_timer(event.entitlement_until_ns, "entitlement", trade.entitlement)
    if event.remind_ns:
        state.start_timer(event.remind_ns, "entitlement_reminder", trade.entitlement)
    if event.step == "redeliver":
        _conduct(state, "redelivered", trade, at_ns)


def _follow(state: State, trade: Trade, after: str, delivery: Delivery | None, until_ns: int) -> None:
    """The entitlement, and the exclusive right in it, take the trade's step with it."""
    entitlement = state.entitlements[trade.entitlement]
    entitlement.state, entitlement.delivery, entitlement.until_ns = after, delivery, until_ns
    prolong_exclusive(state.products[state.listings[trade.listing].product], trade.id, until_ns)


def apply_rejected(state: State, event: DeliveryRejected, at_ns: int) -> None:
    trade = state.trades[event.trade]
    trade.state, trade.due_ns = "rejected", event.due_ns
    state.claims.forget_offers(trade.id, trade.buyer, trade.seller)
    _follow(state, trade, "granted", None, 0)
    state.postponed.pop(trade.id, None)
    state.start_timer(event.due_ns, "trade", trade.id)
    _conduct(state, "rejected_delivery", trade, at_ns)


def apply_completed(state: State, event: Completed, at_ns: int) -> None:
    trade = state.trades.pop(event.trade)
    state.claims.forget_offers(trade.id, trade.buyer, trade.seller)
    passing.forget(state, trade.id)
    settle_renewal(state, trade.id)
    state.house.pay_out(trade.seller, trade.merchant_fen, trade.fee_fen, trade.shares)
    record_completion(state, trade, trade.id, event.history_bp, at_ns)
    revenue.complete(state, trade.id, trade.seller, at_ns)
    listing = state.listings[trade.listing]
    if listing.terms.deal in WHOLE_DEALS:
        product = state.products[listing.product]
        if listing.terms.deal == "transfer":
            product.holder = trade.buyer
        end_exclusive(product, trade.id)
        state.forget_product(product)


def apply_refunded(state: State, event: Refunded, at_ns: int) -> None:
    trade = state.trades.pop(event.trade)
    passing.forget(state, trade.id)
    state.house.refund(trade.buyer, trade.amount_fen)
    revenue.forget(state, trade.id)
    if event.step in REFUND_FAULTS:
        _conduct(state, REFUND_FAULTS[event.step], trade, at_ns)
    state.claims.forget_offers(trade.id, trade.buyer, trade.seller)
    state.claims.refunded_fen.pop(trade.id, None)
    _give_back(state, trade)
    drop_renewal(state, trade.id)
    forget_key(state, trade.entitlement)
    state.drop_entitlement(trade.entitlement)
    state.protected.pop(trade.id, None)


def _give_back(state: State, trade: Trade) -> None:
    """Supply and an exclusive right that a trade had taken are free again."""
    listing = state.listings[trade.listing]
    if listing.terms.mechanism != "continuous_auction":
        listing.taken_units -= trade.quantity
        allowance.give_back(state, listing.id, trade.buyer, trade.quantity)
    end_exclusive(state.products[listing.product], trade.id)


def _conduct(state: State, kind: ConductKind, trade: Trade, at_ns: int) -> None:
    """The seller's fault in this trade."""
    state.bureau.record(Conduct(kind, trade.seller, trade.buyer, trade.amount_fen, at_ns, trade.id))


def apply_cured(state: State, event: HoldCured, at_ns: int) -> None:
    """The registers have what a reviewer recorded; any other rule is cured for this trade alone."""
    if event.rule == "B17":
        state.holds[event.trade].accepts_prior = True
    elif event.rule not in RECORDED and not event.attestation:
        state.cured[event.trade] = (*state.cured.get(event.trade, ()), event.rule)


def apply_changed(state: State, event: HoldChanged, at_ns: int) -> None:
    state.holds[event.trade].violated = event.violated
    plan_look(state, event.trade, Look(event.unknown, event.look_ns))


def apply_released(state: State, event: HoldReleased, at_ns: int) -> None:
    """Both sides get back what was reserved; the quantity never queues again."""
    trade = state.trades.pop(event.trade)
    drop_renewal(state, trade.id)
    del state.holds[event.trade]
    state.cured.pop(event.trade, None)
    state.looks.pop(event.trade, None)
    state.ledger.release(trade.id)
    state.ledger.release(f"{trade.id}:units")
    for party in event.blamed:
        other = trade.buyer if party == trade.seller else trade.seller
        state.bureau.record(Conduct("hold_expired", party, other, trade.amount_fen, at_ns, trade.id))
    _give_back(state, trade)


def apply_reported(state: State, event: TradeReported, at_ns: int) -> None:
    state.took_id(event.report)
    if event.matches:
        _forget_report(state, event.matches)
        return
    report = state.reports[event.report] = _report_of(event)
    state.reported[report.terms] = report.id
    state.start_timer(event.until_ns, "report", report.id)


def apply_report_ended(state: State, event: ReportEnded, at_ns: int) -> None:
    _forget_report(state, event.report)


def _forget_report(state: State, identifier: str) -> None:
    report = state.reports.pop(identifier)
    del state.reported[report.terms]
