"""Duties after the trade: what opens them, what closes them, and the dates between.

`clearing.duties` has the kinds and the life. A duty is opened by an event of the same entry (`venue.FOLLOWING`): a trade
that is completed, an entitlement that ends, consent that is withdrawn. What is overdue is judged by the rulebook as it is
then, on facts as they are then; where no rule in force is broken any more, the duty is waived and nobody is blamed.

「个人撤回同意，不影响撤回前基于个人同意已进行的个人信息处理活动的效力。」(个人信息保护法第十五条第二款): the trade stands,
and whoever has the data stops and deletes (第四十七条).
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from msgspec.structs import replace

from clearing.calendar import day_of, year_of
from clearing.duties import CLOSED, DUTY_LIFE, KINDS, DutyKind, Term, term_of
from clearing.house import digest_of
from clearing.ledger import unit_asset
from clearing.notrade import Facts, PostFacts, Verdict, capacities
from credit.conduct import Conduct
from exchange.entitlement import after_settled as after_settled_renewal
from exchange.entitlement import after_undone as after_undone_renewal
from exchange.events import (
    VENUE,
    Completed,
    DecideDuty,
    DutyBroken,
    DutyMoved,
    DutyOpened,
    DutyRescheduled,
    EntitlementEnded,
    Event,
    FactRecorded,
    FindBreach,
    HoldReleased,
    ProveDuty,
    PublishYear,
    RecountDuties,
    Refunded,
    Refusal,
    Refused,
    Reversed,
    Settled,
    YearPublished,
)
from exchange.listing import cell_of, seller_of
from exchange.participant import party_of, role_refusal
from exchange.product import evidence_refusal, kinds_of, own_case_refusal
from exchange.state import Duty, Entitlement, Product, State, Trade

FINDINGS: Final[dict[str, DutyKind]] = {"P02": "records", "P04": "purpose"}
"""Rule that a reviewer finds broken, and the duty behind it; the others break by their date."""
RETENTION_YEARS: Final = KINDS["records"].years
OF_TRADES: Final = ("filing", "records")
"""What is owed for the trade itself; deletion and stop are owed for the data that somebody has."""
REVIEWED: Final = ("stop", "filing")
"""Whose proof a reviewer looks at, whatever the data: that others' data is gone, and the registry's receipt."""
DECISIONS: Final = ("accept", "refuse", "waive")
FIRST_YEAR: Final = 2004
LAST_YEAR: Final = 2199


# ---- opening


def _opened(
    state: State,
    kind: DutyKind,
    of: Trade | Entitlement,
    cause: str,
    at_ns: int,
    purpose: str = "",
) -> DutyOpened:
    """`of` is the trade or the entitlement it is owed for."""
    row = KINDS[kind]
    term = term_of(row, at_ns, state.calendar)
    trade, entitlement = (of.id, of.entitlement) if isinstance(of, Trade) else (of.trade, of.id)
    return DutyOpened(
        state.next_id("U"),
        kind,
        row.rule,
        of.seller if row.who == "seller" else of.buyer,
        trade,
        of.listing,
        entitlement,
        of.buyer,
        of.seller,
        purpose or (of.purpose if isinstance(of, Trade) else ""),
        of.territory,
        cause,
        term.due_ns,
        term.remind_ns,
        term.provisional,
        kind in REVIEWED or "personal" in _kinds(state, trade, of.listing),
    )


def _kinds(state: State, trade: str, listing: str) -> tuple[str, ...]:
    return kinds_of(state, trade, state.products[state.listings[listing].product])


def after_settled(state: State, event: Settled, at_ns: int) -> Iterable[Event]:
    """Units are traded as they settle; other trades when they are completed."""
    if event.sell_order:
        return _after_units(state, event, at_ns)
    return after_settled_renewal(state, event, at_ns)


def _after_units(state: State, event: Settled, at_ns: int) -> Iterable[Event]:
    listing = state.listings[event.listing]
    cell = cell_of(state, listing, event.purpose, event.territory, at_ns)
    if cell.product.ip_registered is not True:
        return ()
    return _owed_by_trade(state, _trade_of(event), at_ns)


def _trade_of(event: Settled) -> Trade:
    return Trade(
        id=event.trade,
        listing=event.listing,
        buyer=event.buyer,
        seller=event.seller,
        quantity=event.quantity,
        price_fen=event.price_fen,
        amount_fen=event.amount_fen,
        mechanism=event.mechanism,
        purpose=event.purpose,
        territory=event.territory,
        state="completed",
        due_ns=0,
    )


def after_completed(state: State, event: Completed, at_ns: int) -> Iterable[Event]:
    return _owed_by_trade(state, state.trades[event.trade], at_ns)


def _owed_by_trade(state: State, trade: Trade, at_ns: int) -> Iterator[Event]:
    listing = state.listings[trade.listing]
    cell = cell_of(state, listing, trade.purpose, trade.territory, at_ns)
    if cell.product.ip_registered is True:
        yield _opened(state, "filing", trade, "completed", at_ns)
    if trade.entitlement and _kinds(state, trade.id, listing.id):
        yield _opened(state, "records", trade, "completed", at_ns)


def after_ended(state: State, event: EntitlementEnded, at_ns: int) -> Iterable[Event]:
    """What was delivered goes when nothing entitles to it any more; renewed, something does."""
    row = state.entitlements[event.entitlement]
    if event.step == "renew" or row.delivery is None:
        return ()
    cause = "revoked" if event.step == "revoke" else "expired"
    return _deletion(state, row, cause, at_ns)


def _deletion(state: State, of: Trade | Entitlement, cause: str, at_ns: int) -> Iterator[Event]:
    yield _opened(state, "deletion", of, cause, at_ns)


def after_refunded(state: State, event: Refunded, at_ns: int) -> Iterable[Event]:
    """A refund takes back what was delivered; a renewal that came to nothing, what it would have kept."""
    trade = state.trades[event.trade]
    lapsed = _after_undone(state, event, at_ns)
    return lapsed if trade.delivery is None else chain(lapsed, _deletion(state, trade, "refunded", at_ns))


def after_released(state: State, event: HoldReleased, at_ns: int) -> Iterable[Event]:
    return _after_undone(state, event, at_ns)


def after_recorded(state: State, event: FactRecorded, at_ns: int) -> Iterable[Event]:
    """Consent is withdrawn after settlement: each buyer who has the data and may use it stops and deletes.

    Looks through all living entitlements and accounts, as many as one product has events in one entry: a withdrawal is
    rare.
    """
    if event.entry != "consent_withdrawn":
        return ()
    product = state.products[event.product]
    living = [
        row
        for row in state.entitlements.values()
        if row.listing in product.listings and "personal" in kinds_of(state, row.trade, product)
    ]
    rows = [row for row in living if _has_data(state, row)]
    return _stops(state, [*rows, *_holders(state, product)], at_ns)


def _holders(state: State, product: Product) -> Iterator[Entitlement]:
    """Each unit is a licence without an entitlement of its own: its holder has what its merchant lets out."""
    if "personal" not in kinds_of(state, "", product):
        return
    for listing in [state.listings[identifier] for identifier in product.listings]:
        for owner in state.ledger.holders(unit_asset(listing.id)) if listing.issued_units else ():
            if owner != listing.merchant and owner in state.bureau.participants:
                yield Entitlement(
                    id="", trade="", listing=listing.id, buyer=owner, seller=listing.merchant,
                    territory=listing.terms.territories[0],
                )  # fmt: skip


def _has_data(state: State, row: Entitlement) -> bool:
    """Delivered, also where it was rejected since."""
    trade = state.trades.get(row.trade)
    return row.delivery is not None or (trade is not None and trade.delivery is not None)


def _stops(state: State, rows: list[Entitlement], at_ns: int) -> Iterator[Event]:
    for row in rows:
        yield _opened(state, "stop", row, "consent_withdrawn", at_ns)


def after_reversed(state: State, event: Reversed, at_ns: int) -> Iterable[Event]:
    """A trade that was taken back is not filed and leaves no records to keep; the data goes all the same.

    Looks through all duties, for a command that is rare.
    """
    owed = [row for row in state.duties.values() if row.trade == event.transaction and row.kind in OF_TRADES]
    return [_undone(row, event.reversal) for row in owed if row.state not in CLOSED] if event.trade else ()


def _undone(duty: Duty, reversal: str) -> DutyMoved:
    said = f"the trade was reversed ({reversal})"
    return DutyMoved(
        duty.id, duty.kind, duty.trade, duty.entitlement, duty.participant, "waive", "waived", "", said, VENUE
    )


def _after_undone(state: State, event: Refunded | HoldReleased, at_ns: int) -> Iterable[Event]:
    renewal = state.renewals.get(state.renewing.get(event.trade, ""))
    lapsed = list(after_undone_renewal(state, event, at_ns))
    if renewal is None or not lapsed:
        return lapsed
    of = replace(state.trades[event.trade], id=renewal.origin, entitlement=renewal.entitlement, purpose="")
    return _lapsed(state, lapsed, of, at_ns)


def _lapsed(state: State, lapsed: list[Event], of: Trade, at_ns: int) -> Iterator[Event]:
    yield from lapsed
    yield _opened(state, "deletion", of, "expired", at_ns)


# ---- commands


def prove(state: State, command: ProveDuty, at_ns: int) -> Refusal | list[Event]:
    """The debtor brings evidence. Where nobody has to look at it, that is the end of the duty."""
    duty = state.duties.get(command.duty)
    if duty is None or duty.participant != command.actor:
        return Refusal(Refused.not_found, f"you owe no duty {command.duty}: GET /v1/duties lists yours")
    if duty.state == "scheduled" and not KINDS[duty.kind].working_days:
        return Refusal(
            Refused.wrong_state, "records are kept, and shown when a reviewer asks: nothing to prove"
        )
    refusal = _step_refusal(duty, "prove") or evidence_refusal(command.evidence_sha256)
    if refusal is not None:
        return refusal
    proven = _moved(duty, "prove", command.evidence_sha256, "", command.actor)
    if duty.reviewed or proven.state != "offered":
        return [proven]
    accepted = replace(proven, step="accept", state=DUTY_LIFE["offered", "accept"], by=VENUE)
    return [proven, accepted]


def decide(state: State, command: DecideDuty, at_ns: int) -> Refusal | list[Event]:
    """A reviewer accepts or refuses a proof, or waives the duty for a reason that evidence shows."""
    refusal = role_refusal(state, command.actor, at_ns, "reviewer")
    if refusal is not None:
        return refusal
    duty = state.duties.get(command.duty)
    if duty is None:
        return Refusal(Refused.not_found, f"no duty {command.duty} is owed")
    refusal = own_case_refusal(state, command.actor, duty.buyer, duty.seller) or _decision_refusal(
        duty, command
    )
    if refusal is not None:
        return refusal
    moved = _moved(duty, command.step, command.evidence_sha256, command.reason, command.actor)
    if command.step != "refuse" or moved.state == "broken" or at_ns <= duty.due_ns:
        return [moved]
    return [moved, _overdue(state, duty, at_ns)]


def _decision_refusal(duty: Duty, command: DecideDuty) -> Refusal | None:
    if command.step not in DECISIONS:
        return Refusal(Refused.malformed, f"step is one of {', '.join(DECISIONS)}")
    if command.step != "accept" and not command.reason.strip():
        return Refusal(Refused.malformed, f"to {command.step} needs its reason: the debtor reads it")
    evidence = evidence_refusal(command.evidence_sha256) if command.step == "waive" else None
    return _step_refusal(duty, command.step) or evidence


def _step_refusal(duty: Duty, step: str) -> Refusal | None:
    if (duty.state, step) in DUTY_LIFE:
        return None
    return Refusal(Refused.wrong_state, f"a duty that is {duty.state} cannot take the step {step}")


def _moved(duty: Duty, step: str, evidence_sha256: str, reason: str, by: str) -> DutyMoved:
    after = DUTY_LIFE[duty.state, step]  # type: ignore[index]
    return DutyMoved(
        duty.id,
        duty.kind,
        duty.trade,
        duty.entitlement,
        duty.participant,
        step,
        after,
        evidence_sha256,
        reason,
        by,
    )


# ---- breaches


def find(state: State, command: FindBreach, at_ns: int) -> Refusal | Iterable[Event]:
    """A reviewer has seen another use, or records gone too early; the rulebook says whether that is a breach."""
    refusal = role_refusal(state, command.actor, at_ns, "reviewer")
    if refusal is not None:
        return refusal
    if command.listing not in state.listings or command.rule not in FINDINGS:
        return Refusal(Refused.malformed, f"rule is one of {', '.join(FINDINGS)}, of a trade of this venue")
    refusal = own_case_refusal(state, command.actor, command.buyer, command.seller) or evidence_refusal(
        command.evidence_sha256
    )
    if refusal is not None:
        return refusal
    if not command.reason.strip():
        return Refusal(Refused.malformed, "a finding needs its reason: who is found at fault reads it")
    return _find(state, command, at_ns)


def _find(state: State, command: FindBreach, at_ns: int) -> Refusal | Iterable[Event]:
    kind = FINDINGS[command.rule]
    known = next(
        (row for row in state.duties.values() if row.trade == command.trade and row.kind == kind), None
    )
    if known is not None and (known.state, "find") not in DUTY_LIFE:
        return Refusal(Refused.already_exists, f"duty {known.id} is broken already, and not redressed yet")
    trade = _found_trade(command)
    opened = _opened(state, kind, trade, "found", at_ns, command.purpose)
    duty = known or _duty_of(opened, at_ns)
    verdict, judged = judge(state, duty, at_ns, command.observed, command.kept_years)
    if duty.rule not in verdict.violated:
        return Refusal(Refused.wrong_state, f"rule {duty.rule} is not broken by this: nothing is recorded")
    broken = _broken(state, duty, "find", judged, at_ns, command)
    return [broken] if known is not None else [opened, broken]


def _found_trade(command: FindBreach) -> Trade:
    """The trade as the query tables have it: it has left the state long ago."""
    return Trade(
        id=command.trade,
        listing=command.listing,
        buyer=command.buyer,
        seller=command.seller,
        quantity=0,
        price_fen=0,
        amount_fen=0,
        mechanism="",
        purpose=command.purpose,
        territory=command.territory,
        state="completed",
        due_ns=0,
        entitlement=command.entitlement,
    )


def _overdue(state: State, duty: Duty, at_ns: int) -> Event:
    """The date has passed: judged; a duty that no rule in force asks for any more is waived.

    A fact that has become unknown since frees nobody: the duty was opened when it was known.
    """
    verdict, judged = judge(state, duty, at_ns)
    if duty.rule in verdict.violated or duty.rule in dict(verdict.unknown):
        return _broken(state, duty, "miss", judged, at_ns)
    said = f"at its date no rule in force asked for it ({duty.rule})"
    return DutyMoved(
        duty.id, duty.kind, duty.trade, duty.entitlement, duty.participant, "waive", "waived", "", said, VENUE
    )


def _broken(
    state: State, duty: Duty, step: str, judged: Facts, at_ns: int, found: FindBreach | None = None
) -> DutyBroken:
    listing = state.listings[duty.listing]
    cell = cell_of(state, listing, duty.purpose or listing.terms.purposes[0], duty.territory, at_ns)
    return DutyBroken(
        duty.id,
        duty.kind,
        duty.trade,
        duty.participant,
        step,
        (duty.rule,),
        capacities(cell.product, cell.source),
        digest_of((judged,)),
        KINDS[duty.kind].conduct,
        "" if found is None else found.evidence_sha256,
        "" if found is None else found.reason,
        VENUE if found is None else found.actor,
    )


def judge(
    state: State, duty: Duty, at_ns: int, observed: str = "", kept_years: int = RETENTION_YEARS
) -> tuple[Verdict, Facts]:
    """The verdict of phase `post_trade` on this duty as it stands, and the facts it read.

    The other duties of the trade are taken for met: each has its own date and its own verdict.
    """
    listing = state.listings[duty.listing]
    purpose = duty.purpose or listing.terms.purposes[0]
    cell = cell_of(state, listing, purpose, duty.territory, at_ns)
    post = PostFacts(
        filing_done=duty.kind != "filing",
        working_days_since=state.calendar.begun_between(day_of(duty.from_ns), day_of(at_ns)),
        retention_years=kept_years,
        term_ended=duty.kind == "deletion" or duty.entitlement not in state.entitlements,
        deletion_proven=duty.kind != "deletion",
        observed_purpose=observed or purpose,
        consent_withdrawn_after=duty.kind == "stop",
        stop_and_delete_done=duty.kind != "stop",
    )
    facts = Facts(
        "post_trade",
        at_ns,
        cell.venue,
        cell.product,
        cell.source,
        cell.registration,
        cell.auth,
        cell.consent,
        seller_of(state, listing, duty.seller, at_ns).seller,
        party_of(state, duty.buyer, at_ns).buyer,
        cell.trade,
        cell.price,
        cell.xb,
        post,
    )
    return state.rulebook.judge(facts), facts


# ---- dates that pass


def on_due(state: State, identifier: str, due_ns: int, at_ns: int) -> list[Event]:
    """What was offered waits for a reviewer; what had only to be kept was kept."""
    duty = state.duties.get(identifier)
    if duty is None or duty.due_ns != due_ns or (duty.state, "miss") not in DUTY_LIFE:
        return []
    if not KINDS[duty.kind].working_days:
        return [_moved(duty, "fulfil", "", "", VENUE)]
    return [_overdue(state, duty, at_ns)]


def on_reminder_due(state: State, identifier: str, due_ns: int, at_ns: int) -> list[Event]:
    duty = state.duties.get(identifier)
    if duty is None or duty.remind_ns != due_ns or (duty.state, "remind") not in DUTY_LIFE:
        return []
    return [_moved(duty, "remind", "", "", VENUE)]


# ---- the calendar


def publish_year(state: State, command: PublishYear, at_ns: int) -> Refusal | Iterable[Event]:
    """An operator enters the State Council's notice for a year: what was counted without it is counted again.

    Where the notice of a year is known, a reviewer enters what changed it since (国办发明电〔2020〕1号 did).
    """
    role = "reviewer" if state.calendar.is_packaged(command.year) else "operator"
    refusal = role_refusal(state, command.actor, at_ns, role) or evidence_refusal(command.evidence_sha256)
    if refusal is not None:
        return refusal
    try:
        faults = year_of(command.year, command.off, command.worked).faults()
    except ValueError as error:
        faults = str(error)
    if faults or not FIRST_YEAR <= command.year <= LAST_YEAR:
        return Refusal(Refused.malformed, faults or f"a year from {FIRST_YEAR} to {LAST_YEAR}")
    return _published(state, command, at_ns)


def _published(state: State, command: PublishYear, at_ns: int) -> Iterator[Event]:
    yield YearPublished(command.year, command.off, command.worked, command.evidence_sha256, command.actor)
    yield from _recounted(state, at_ns)


def recount(state: State, command: RecountDuties, at_ns: int) -> Refusal | list[Event]:
    """The venue's own, at its start: the packages may know a year that they did not know when a duty was opened."""
    if command.actor != VENUE:
        return Refusal(Refused.forbidden, "the venue's own command")
    return list(_recounted(state, at_ns))


def is_stale(state: State, at_ns: int) -> bool:
    """Whether the calendar of now gives an open duty another date than it has."""
    return any(True for _ in _recounted(state, at_ns))


def _recounted(state: State, at_ns: int) -> Iterator[DutyRescheduled]:
    """Dates still ahead, that another calendar moves; what has passed has passed."""
    for duty in state.duties.values():
        if not KINDS[duty.kind].working_days or duty.due_ns < at_ns or duty.state in ("broken", "late"):
            continue
        term = term_of(KINDS[duty.kind], duty.from_ns, state.calendar)
        if term != Term(duty.due_ns, duty.remind_ns, duty.provisional):
            yield DutyRescheduled(duty.id, term.due_ns, term.remind_ns, term.provisional)


# ---- events


def _duty_of(event: DutyOpened, at_ns: int) -> Duty:
    return Duty(
        id=event.duty,
        kind=event.kind,  # type: ignore[arg-type]
        rule=event.rule,
        participant=event.participant,
        trade=event.trade,
        listing=event.listing,
        entitlement=event.entitlement,
        buyer=event.buyer,
        seller=event.seller,
        purpose=event.purpose,
        territory=event.territory,
        from_ns=at_ns,
        due_ns=event.due_ns,
        remind_ns=event.remind_ns,
        provisional=event.provisional,
        reviewed=event.reviewed,
    )


def apply_opened(state: State, event: DutyOpened, at_ns: int) -> None:
    state.took_id(event.duty)
    state.duties[event.duty] = _duty_of(event, at_ns)
    _start_timers(state, event.duty, event.due_ns, event.remind_ns)


def _start_timers(state: State, duty: str, due_ns: int, remind_ns: int) -> None:
    state.start_timer(due_ns, "duty", duty)
    if remind_ns:
        state.start_timer(remind_ns, "duty_reminder", duty)


def apply_moved(state: State, event: DutyMoved, at_ns: int) -> None:
    """Redressed, the fault is put right (信用修复)."""
    duty = state.duties[event.duty]
    duty.state = event.state  # type: ignore[assignment]
    if event.state in CLOSED:
        del state.duties[event.duty]
    if event.state == "redressed":
        other = duty.seller if duty.participant == duty.buyer else duty.buyer
        state.bureau.record(Conduct("corrected", duty.participant, other, 0, at_ns, duty.id))


def apply_broken(state: State, event: DutyBroken, at_ns: int) -> None:
    duty = state.duties[event.duty]
    duty.state = "broken"
    other = duty.seller if duty.participant == duty.buyer else duty.buyer
    state.bureau.record(Conduct(event.conduct, duty.participant, other, 0, at_ns, duty.id))  # type: ignore[arg-type]


def apply_rescheduled(state: State, event: DutyRescheduled, at_ns: int) -> None:
    duty = state.duties[event.duty]
    duty.due_ns, duty.remind_ns, duty.provisional = event.due_ns, event.remind_ns, event.provisional
    _start_timers(state, event.duty, event.due_ns, event.remind_ns)


def apply_year(state: State, event: YearPublished, at_ns: int) -> None:
    state.years[event.year] = (event.off, event.worked)
    state.calendar = state.calendar.with_year(year_of(event.year, event.off, event.worked))
