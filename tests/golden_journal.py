"""A venue's day with one of everything, kept as a journal: `python -m tests.golden_journal NAME` writes `schema-1-NAME`.

The files in `tests/golden/` are never written again: a journal of an earlier version must replay to its state's hash
for as long as anybody may have one like it. A new event or field makes a new file, under a new name.
"""

import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from clearing.bank import BankEntry
from clearing.ledger import CNY, ESCROW, FEES
from clearing.registers import Freeze, HarmOpinion, Pledge
from exchange import auction, journal, venue
from exchange import events as e
from exchange.matching.metering import Package, Plan, UsageTier, first_of_month, rise_binds_ns
from exchange.matching.negotiation import Criterion
from exchange.matching.orders import Conditions
from exchange.state import DAY_NS, encode_state, state_hash
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    World,
    authorisation,
    classification,
    consent_of,
    credit_code,
    only,
    personal,
    public_key,
    rulebook,
)

FOLDER: Final = Path(__file__).parent / "golden"
ENTRIES_A_ROW: Final = 7


class Row(msgspec.Struct):
    """A journal row, as the table keeps it."""

    sequence: int
    schema: int
    entries: int
    body: bytes
    checksum: bytes

    def __getitem__(self, column: str) -> Any:
        return getattr(self, column)


class Golden(msgspec.Struct):
    """A journal and the SHA-256 of the state it leads to; `kinds` are the events in it."""

    jurisdiction: str
    rows: list[Row]
    state_sha256: bytes
    kinds: list[str]


def read(file: Path) -> Golden:
    return msgspec.msgpack.decode(file.read_bytes(), type=Golden)


def rows_of(entries: list[bytes]) -> list[Row]:
    """The entries in journal rows, chained as the engine chains them."""
    rows: list[Row] = []
    checksum = b""
    for at in range(0, len(entries), ENTRIES_A_ROW):
        some = entries[at : at + ENTRIES_A_ROW]
        body = journal.encode_batch(some)
        checksum = journal.checksum_of(checksum, body)
        rows.append(Row(len(rows) + 1, e.SCHEMA_VERSION, len(some), body, checksum))
    return rows


def kinds_of(entries: list[bytes]) -> list[str]:
    decode = msgspec.msgpack.Decoder(e.Entry).decode
    found = {type(event).__name__ for entry in entries for event in decode(entry).events}
    return sorted(found)


# ---- the day


def day() -> World:
    """Everything that the venue can do, at least once."""
    world = World(simulated=True)
    people(world)
    shop, friend, buyer = world.merchant(), world.buyer(cash_fen=0), world.buyer()
    product = world.product(shop, shares=((friend, 1_000),))
    sales(world, world.listing(shop, product, price_fen=10_001), buyer)
    facts(world, shop, buyer)
    book(world, shop, product, buyer)
    sessions(world, shop)
    reports(world, shop, product, buyer)
    needs(world, shop, buyer)
    lives_of_listings(world, shop)
    licences(world, shop, product, buyer)
    public_data(world, friend, buyer)
    bank(world)
    ledger(world)
    undone(world)
    world.must(e.AdvanceClock(actor=OPERATOR, seconds=86_400))
    registers(world)
    pledges(world)
    rules(world)
    postponed(world)
    auctions(world, shop, product, buyer)
    metered(world)
    departures(world)
    graded(world)
    mandates(world)
    directives(world)
    objected(world)
    rings(world)
    heirs(world)
    halts(world)
    world.must(e.AdoptVenueKey(actor=e.VENUE, public_key=public_key("the venue")))
    world.must(e.AdoptVenueKey(actor=OPERATOR, public_key=public_key("its next"), reason="a key a year"))
    set_aside(world)
    for days in (25, 35):  # what runs for 30 days is reminded of its end between them
        world.wait(days=days)
        while world.state.timers and world.state.timers[0][0] < world.at_ns:
            world.tick()
    world.check()
    return world


def departures(world: World) -> None:
    """One merges into another, with a licence, a trade under way, cash, a deposit and units; one just leaves."""
    leaving, heir, alone, buyer = world.merchant(10_000), world.merchant(), world.merchant(), world.buyer()
    world.must(e.PayDeposit(actor=leaving, amount_fen=2_000))
    book, listing = world.book(leaving), world.listing(leaving, price_fen=400)
    world.ask(leaving, book, 5, 100)
    done = world.buy(buyer, listing)
    world.deliver(done)
    world.accept(done)
    world.buy(buyer, listing)
    world.must(e.Depart(actor=leaving, kind="merger", reason="absorbed", successor=heir))
    world.must(e.AcceptDeparture(actor=heir, participant=leaving))
    world.listing(alone)
    world.must(e.Depart(actor=alone, kind="exit", reason="enough"))
    world.wait(days=0.01)
    world.tick()


def heirs(world: World) -> None:
    """Who takes over what another owes has its faults too."""
    leaving, heir, buyer = world.merchant(), world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(leaving, price_fen=400))
    world.deliver(trade)
    world.must(e.RejectDelivery(actor=buyer, trade=trade, reason="half of it is missing"))
    world.deliver(trade)
    world.accept(trade)
    world.must(e.Depart(actor=leaving, kind="merger", reason="absorbed", successor=heir))
    only(world.must(e.AcceptDeparture(actor=heir, participant=leaving)), e.ConductInherited)


def mandates(world: World) -> None:
    """A broker buys for somebody, at a posted price and in a book; one mandate is taken back, one runs out."""
    principal, broker = world.buyer(), world.person("buyer")
    world.verify(broker)
    world.must(e.ApplyForAccreditation(actor=broker, evidence_sha256=EVIDENCE, classes=("broker",)))
    accredit = e.DecideAccreditation(
        actor=world.reviewer, participant=broker, step="accredit", valid_until_ns=world.at_ns + 90 * DAY_NS
    )
    world.must(accredit)
    shop = world.merchant()
    listing, book = world.listing(shop, price_fen=300), world.book(shop)
    for days in (50, 1):
        give = e.GiveMandate(
            actor=principal, broker=broker, side="buy", listings=(), boards=(), most_fen=5_000,
            valid_until_ns=world.at_ns + days * DAY_NS, public_key=world.key_of(principal),
            text="what was signed", signature="principal's",
        )  # fmt: skip
        mandate = only(world.must(give), e.MandateGiven).mandate
        for where, limit_fen in ((listing, 0), (book, 70)):
            world.agree(principal, where)
            order = e.PlaceOrder(
                actor=principal,
                broker=broker,
                mandate=mandate,
                listing=where,
                quantity=2,
                limit_fen=limit_fen,
            )
            world.must(order)
        if days == 50:
            world.must(e.EndMandate(actor=principal, mandate=mandate))


def rings(world: World) -> None:
    members = tuple(sorted(world.merchant() for _ in range(3)))
    found = e.QueueRing(
        actor=e.VENUE, members=members, amount_fen=2_000_000, within_bp=9_000, back_bp=8_000, since_ns=1
    )
    queued = only(world.must(found), e.RingQueued)
    world.must(
        e.DecideRing(
            actor=world.reviewer, ring=queued.ring, decision="forged", reason="one file, three times"
        )
    )
    world.must(e.ObjectToRing(actor=members[0], ring=queued.ring, text="each was made from the one before"))


def metered(world: World) -> None:
    """Two subscribers: one pays and disputes, the other lacks the money, is suspended and pays; the plan changes twice."""
    shop, rich, poor = world.merchant(), world.buyer(), world.buyer(cash_fen=1_150)
    plan = Plan(
        base_fee_fen=1_000, tiers=(UsageTier(up_to_units=10, price_fen=4), UsageTier(price_fen=35, per_units=10)),
        package=Package(units=5, price_fen=150, valid_days=400),
    )  # fmt: skip
    listing = world.metered(shop, plan)
    paying, owing = (world.subscribed(buyer, listing, 2) for buyer in (rich, poor))
    world.must(e.BuyPackage(actor=rich, subscription=paying))
    dear = msgspec.structs.replace(plan, base_fee_fen=1_500)
    for waits_ns in (0, 90 * DAY_NS):
        world.must(
            e.SetPlan(
                actor=shop, listing=listing, plan=dear if waits_ns else plan,
                effective_from_ns=waits_ns and rise_binds_ns(world.at_ns),
            )
        )  # fmt: skip
    for subscription in (paying, owing):
        world.use(subscription, 20)
    for bill in every(world.until(first_of_month(world.at_ns)), e.BillMade):
        if bill.buyer == rich:
            world.must(e.DisputeBill(actor=rich, bill=bill.bill, amount_fen=7, reason="seven too much"))
            world.must(e.AnswerDispute(actor=shop, bill=bill.bill, agree=True, reason=""))
    world.until(world.at_ns + 11 * DAY_NS)
    world.pay_in(poor, 20)
    world.pay_in(poor, 17)
    for bill in every(world.until(first_of_month(world.at_ns)), e.BillMade):
        if bill.buyer == poor:
            world.must(e.DisputeBill(actor=poor, bill=bill.bill, amount_fen=9, reason="nine too much"))
            world.must(e.AnswerDispute(actor=shop, bill=bill.bill, agree=True, reason="so it is"))
    world.until(world.at_ns + 90 * DAY_NS)


def every(events: list[Any], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def people(world: World) -> None:
    """Refused and once more, accredited, banned and free again, suspended; a key and a role that change."""
    late = world.person("buyer")
    decide = e.DecideIdentity(
        actor=world.reviewer, participant=late, accept=False, reasons=("the mandate is missing",)
    )
    world.must(decide)
    again = e.ResubmitIdentity(
        actor=late, legal_name="Late Co", uscc=credit_code(900), evidence_sha256=EVIDENCE
    )
    world.must(again)
    world.verify(late)
    merchant = world.merchant(owner="U1", group="G1")
    world.ban(merchant)
    world.ban(merchant, days=0)
    for step in ("suspend", "resume"):
        world.must(e.SetStatus(actor=OPERATOR, participant=late, step=step, reason="looked into"))
    stolen = e.ReplaceKey(actor=OPERATOR, participant=late, public_key=public_key("second"), reason="stolen")
    world.must(stolen)
    accreditations(world)
    doors(world, late)
    aide = world.person()
    world.must(e.GrantRole(actor=OPERATOR, participant=aide, role="auditor"))
    world.must(e.RevokeRole(actor=OPERATOR, participant=aide, role="auditor", reason="has left"))


def accreditations(world: World) -> None:
    """Documents asked for and answered, restricted and whole again, suspended, restored and revoked; two proposals end."""
    notary = world.person("merchant")
    world.verify(notary)
    first, second = world.official("reviewer"), world.official("reviewer")
    classes = ("merchant", "notary")
    world.must(e.ApplyForAccreditation(actor=notary, evidence_sha256=EVIDENCE, classes=classes))
    reason: dict[str, Any] = {
        "participant": notary,
        "reasons": ("as the papers say",),
        "evidence_sha256": EVIDENCE,
    }
    asked = e.DecideAccreditation(actor=first, step="request_documents", documents=("report",), **reason)
    world.must(asked)
    world.must(e.AnswerDocuments(actor=notary, documents=(("report", EVIDENCE),)))
    until_ns = world.at_ns + 100 * DAY_NS
    for actor, step, more in (
        (first, "accredit", {"valid_until_ns": until_ns, "boards": ("general", "computing")}),
        (first, "restrict", {"boards": ("general",)}),
        (first, "suspend", {}),
        (second, "withdraw", {}),
        (first, "suspend", {}),
        (second, "confirm", {}),
        (first, "restore", {}),
        (first, "unrestrict", {}),
        (first, "renew", {"valid_until_ns": until_ns}),
        (second, "revoke", {}),
    ):
        world.must(e.DecideAccreditation(actor=actor, step=step, **reason, **more))
    world.must(e.DecideAccreditation(actor=first, step="confirm", **reason))


def doors(world: World, participant: str) -> None:
    """Named keys, one of which ends; networks, lifted again; one session ended, then all."""
    for name, scopes in (("trader", ("read", "trade")), ("robot", ("money",))):
        add = e.AddKey(actor=participant, name=name, public_key=public_key(name), scopes=scopes)
        added = only(world.must(add), e.KeyAdded)
    world.must(e.EndKey(actor=participant, named_key=added.named_key))
    own = e.SetAddresses(
        actor=participant, participant=participant, allow=("203.0.113.0/24", "2001:db8::/32")
    )
    world.must(own)
    world.must(e.SetAddresses(actor=OPERATOR, participant=participant, reason="has moved"))
    for kind, sha256 in (("password", EVIDENCE), ("totp", EVIDENCE), ("password", "")):
        world.must(e.SetSecret(actor=participant, kind=kind, sha256=sha256))
    for session in ("one", ""):
        world.must(e.EndSessions(actor=participant, session=session, until_ns=world.at_ns + DAY_NS))


def sales(world: World, listing: str, buyer: str) -> None:
    """Under a contract. Accepted, rejected and mended, rejected twice, never delivered; a key; one order refused."""
    world.offer_contract(listing)
    world.sign_contract(buyer, listing)
    done = world.buy(buyer, listing, 3, key=world.new_id())
    world.deliver(done)
    entitlement = world.state.trades[done].entitlement
    world.must(e.IssueKey(actor=buyer, entitlement=entitlement, key_sha256="12" * 32))
    world.accept(done)
    for second in (world.accept, world.reject):
        trade = world.buy(buyer, listing)
        world.deliver(trade)
        world.reject(trade)
        world.deliver(trade)
        second(trade)
    world.buy(buyer, listing)
    world.order(world.buyer(cash_fen=1), listing, key=world.new_id())


def facts(world: World, shop: str, buyer: str) -> None:
    """A product's registers change; an exclusive licence is held, cured and settled, another hold expires."""
    product = world.product(shop, classification=personal(), consent=consent_of(
        basis="separate_consent", purposes=("market_analysis",)
    ))  # fmt: skip
    listing = world.listing(shop, product)
    for entry in ("objection_raised", "objection_settled", "risk_suspected", "risk_cleared"):
        world.record(product, entry)
    amended = e.AmendFacts(
        actor=shop, product=product, evidence_sha256="cd" * 32,
        consent=consent_of(basis="general_consent", purposes=("market_analysis",)),
    )  # fmt: skip
    world.must(amended)
    confirm = e.ConfirmFacts(
        actor=world.reviewer, product=product, groups=("consent",), evidence={"consent": "cd" * 32},
        revision=world.state.products[product].revision,
    )  # fmt: skip
    world.must(confirm)
    held = only(world.order(buyer, listing), e.Held).trade
    cure = e.CureHold(
        actor=world.reviewer, trade=held, rule="C02", evidence_sha256=EVIDENCE,
        revision=world.state.products[product].revision,
    )  # fmt: skip
    world.must(cure)
    attested(world, product, listing, buyer)
    world.record(product, "objection_raised")
    only(world.order(buyer, listing), e.Held)


def attested(world: World, product: str, listing: str, buyer: str) -> None:
    """A notary confirms consent; its attestation is revoked, and then it is no notary any more."""
    notary = world.provider("notary")
    given = only(world.must(world.attestation(notary, product, "C02")), e.Attested).attestation
    world.must(e.RevokeAttestation(actor=notary, attestation=given, reason="the sample was wrong"))
    world.must(e.RevokeProvider(actor=OPERATOR, participant=notary, reason="false papers"))
    world.buy(buyer, listing)


def book(world: World, shop: str, product: str, buyer: str) -> None:
    """Rest, fill in part, cancel, self-trade, and a pair that clearing refuses."""
    listing = world.book(shop, product)
    dealer, other = world.merchant(cash_fen=10**7), world.buyer()
    world.ask(shop, listing, 1_000, 100)
    world.bid(dealer, listing, 600, 101, key=world.new_id())
    world.bid(dealer, listing, 500, 100, time_in_force="ioc")
    world.bid(other, listing, 10, 90)
    placed = only(world.ask(dealer, listing, 5, 200), e.OrderPlaced).order
    world.must(e.CancelOrder(actor=dealer, order=placed))
    exclusive = world.listing(shop, product, deal="exclusive_licence", supply="exclusive")
    held = only(world.order(buyer, exclusive), e.Held).trade
    world.must(e.CureHold(actor=buyer, trade=held, rule="B17", evidence_sha256="", revision=0))
    only(world.ask(dealer, listing, 10, 90), e.TradeRefused)


def sessions(world: World, shop: str) -> None:
    """A call auction; a stop that comes in, an iceberg that shows its next part, a replacement, a part taken from both."""
    listing = world.book(shop, world.product(shop))
    dealer, sister = world.merchant(cash_fen=10**7), world.buyer(owner=shop)
    for phase in ("closed", "pre_open", "call_auction"):
        world.must(e.MoveSession(actor=OPERATOR, board="computing", phase=phase, reason="the day"))
        if phase == "pre_open":
            world.ask(shop, listing, 500, 100, conditions=Conditions(display=50))
            world.bid(dealer, listing, 420, 105)
    world.must(e.MoveSession(actor=OPERATOR, board="computing", phase="continuous", reason="the day"))
    world.ask(dealer, listing, 5, 90, conditions=Conditions(stop_fen=98))
    rests = only(world.bid(dealer, listing, 5, 80), e.OrderPlaced).order
    world.must(e.ReplaceOrder(actor=dealer, order=rests, quantity=5, limit_fen=98))
    world.bid(dealer, listing, 60, 100)
    world.bid(sister, listing, 3, 100, conditions=Conditions(self_trade="decrement"))
    world.ask(shop, listing, 1, 98)


def reports(world: World, shop: str, product: str, buyer: str) -> None:
    """Told by both sides, and by one only."""
    listing = world.listing(shop, world.product(shop), mechanism="off_venue")
    for quantity, sides in ((2, ("buy", "sell")), (3, ("buy",))):
        for side in sides:
            actor, counterparty = (buyer, shop) if side == "buy" else (shop, buyer)
            world.must(
                e.ReportTrade(
                    actor=actor, listing=listing, side=side, counterparty=counterparty, quantity=quantity,
                    price_fen=450, purpose="market_analysis", territory="CN", contract_sha256=EVIDENCE,
                )
            )  # fmt: skip


def needs(world: World, shop: str, buyer: str) -> None:
    """A quote that is countered and accepted; a tender that is changed, taken back and marked; a challenge's stage."""
    whole = Criterion("price_fen", 10_000, "lower")
    quote = ask(world, buyer, "quote")
    answer(world, shop, quote, "quote", buyer)
    world.must(e.CounterProposal(actor=buyer, proposal="Q1", quantity=2, price_fen=400))
    world.must(e.AcceptProposal(actor=shop, proposal="Q1"))
    marked = (Criterion("price_fen", 6_000, "lower"), Criterion("coverage", 4_000, "higher"))
    tender = ask(world, buyer, "tender", criteria=marked)
    proposed = answer(world, shop, tender, "tender", buyer)
    world.must(msgspec.structs.replace(proposed, price_fen=420))
    world.must(e.WithdrawProposal(actor=shop, proposal="Q2"))
    world.must(proposed)
    world.wait(days=2)
    world.tick()
    world.must(e.MarkProposal(actor=buyer, need=tender, proposal="Q3", marks={"coverage": 90}))
    world.must(e.AwardNeed(actor=buyer, need=tender, proposal="Q3"))
    stages = (e.Stage(name="prototype", shortlist=1, until_ns=world.at_ns + 2 * DAY_NS),)
    challenge = ask(world, buyer, "challenge", criteria=(whole,), stages=stages)
    answer(world, shop, challenge, "quote", buyer)
    world.wait(days=1)
    world.tick()
    world.must(e.ShortlistProposals(actor=buyer, need=challenge))
    world.must(e.WithdrawNeed(actor=buyer, need=challenge, reason="the budget is gone"))


def ask(world: World, buyer: str, kind: str, **fields: Any) -> str:
    command = e.PublishNeed(
        actor=buyer, kind=kind, board="general", title="Berth times", text="of ten ports", purpose="market_analysis",
        territory="CN", quantity=2, respond_until_ns=world.at_ns + DAY_NS, decide_until_ns=world.at_ns + 4 * DAY_NS,
        **fields,
    )  # fmt: skip
    return only(world.must(command), e.NeedPublished).need


def answer(world: World, shop: str, need: str, mechanism: str, buyer: str) -> e.Propose:
    listing = world.listing(shop, world.product(shop), mechanism=mechanism)
    world.agree(buyer, listing)
    command = e.Propose(actor=shop, need=need, listing=listing, quantity=2, price_fen=450, delivery_days=2)
    world.must(command)
    return command


def lives_of_listings(world: World, shop: str) -> None:
    """Returned and revised; suspended, resumed, withdrawn; expired."""
    listing = world.draft(shop)
    world.move(shop, listing, "submit")
    world.move(world.reviewer, listing, "return", "the title says too little")
    revised = msgspec.structs.replace(world.state.listings[listing].terms, price_fen=501, listed_days=1)
    world.must(e.ReviseListing(actor=shop, listing=listing, terms=revised))
    world.move(shop, listing, "submit")
    world.move(world.reviewer, listing, "approve")
    world.move(OPERATOR, listing, "suspend", "looked into")
    world.move(OPERATOR, listing, "resume")
    world.move(shop, world.listing(shop), "withdraw")


def registers(world: World) -> None:
    """A freeze that is entered, lifted, and was wrong from the beginning."""
    product = world.product(world.merchant())
    frozen = Freeze(number="17", authority="court", state="frozen")
    entry: dict[str, Any] = {"actor": world.reviewer, "product": product, "evidence_sha256": EVIDENCE}
    made = only(world.must(e.EnterRecord(facts=frozen, reason="an order", **entry)), e.RecordEntered)
    lifted = Freeze(number="17", authority="court", state="lifted")
    world.must(e.EnterRecord(facts=lifted, reason="another order", **entry))
    world.must(
        e.EnterRecord(facts=frozen, reason="the wrong product", corrects=made.entry, void=True, **entry)
    )


def pledges(world: World) -> None:
    """A right is pledged in a trade, its pledgee agrees to a sale, the certificate is renewed; another ends soon."""
    shop, pledgee, buyer = world.merchant(), world.buyer(), world.buyer()
    allowed = authorisation(world.at_ns, deals=("licence", "pledge"))
    product = world.product(shop, authorisation=allowed)
    trade = world.buy(pledgee, world.listing(shop, product, deal="pledge", supply="exclusive"))
    world.deliver(trade)
    world.accept(trade)
    only(world.order(buyer, world.listing(shop, product)), e.Held)
    harm: dict[str, Any] = {"product": product, "evidence_sha256": EVIDENCE, "reason": "a complaint"}
    for level in ("suspected", "none"):  # the hold names another rule beside it, and then not
        world.must(e.EnterRecord(actor=world.reviewer, facts=HarmOpinion(level=level), **harm))
    notary = world.provider("notary")  # what it confirms is overtaken by the pledgee's own entry
    world.must(world.attestation(notary, product, "B15"))
    agrees = Pledge(number=trade, state="pledged", consented=True, pledgee=pledgee)
    entry: dict[str, Any] = {"product": product, "evidence_sha256": EVIDENCE}
    world.must(e.EnterRecord(actor=pledgee, facts=agrees, reason="a letter", **entry))
    until_ns = world.state.products[product].valid_until_ns + 1
    world.must(
        e.RenewCertificate(actor=world.reviewer, valid_until_ns=until_ns, reason="applied in time", **entry)
    )
    brief = world.decision(world.submitted(shop), valid_until_ns=world.at_ns + 4_000)  # reminded of at half
    world.must(brief)
    world.wait(ns=1_000)
    world.tick()


def licences(world: World, shop: str, product: str, buyer: str) -> None:
    """Suspended, resumed and renewed; another one is resumed by a reviewer and revoked. The last two run to their ends,
    but for one that stands still."""
    listing = world.listing(shop, product)
    mine = []
    for _ in range(4):
        trade = world.buy(buyer, listing)
        mine.append(world.state.trades[trade].entitlement)
        world.deliver(trade)
        world.accept(trade)
    proof: dict[str, Any] = {"reason": "the address moves", "evidence_sha256": EVIDENCE}
    for licence in (mine[0], mine[1], mine[3]):
        world.must(e.SuspendEntitlement(actor=shop, entitlement=licence, **proof))
    for actor, licence in ((shop, mine[0]), (world.reviewer, mine[1])):
        world.must(e.ResumeEntitlement(actor=actor, entitlement=licence, **proof))
    world.must(e.RenewEntitlement(actor=buyer, entitlement=mine[0]))
    world.must(
        e.RevokeEntitlement(
            actor=world.reviewer, entitlement=mine[1], reason="a court said so", evidence_sha256=EVIDENCE
        )
    )
    # The revoked one's data is to be deleted; a notice that comes late takes a day out of that term.
    notice = e.PublishYear(
        actor=world.reviewer, year=2025, off=("2025-11-28",), worked=(), evidence_sha256=EVIDENCE
    )
    world.must(notice)


def public_data(world: World, processor: str, buyer: str) -> None:
    """Authorised public data under a ceiling, with a role for each share; one sale is accepted, one by silence."""
    shop = world.merchant()
    product = world.product(
        shop, shares=((processor, 2_000),), share_roles=("processor",),
        classification=classification(origin="public", open_class="unconditional"),
    )  # fmt: skip
    listing = world.listing(
        shop, product, "public_data", price_regime="gov_guided", price_fen=9_999, price_cap_fen=20_000
    )
    world.must(
        e.RecordCeiling(
            actor=world.reviewer, operator=shop, year=2025, ceiling_fen=5_000, decision_sha256=EVIDENCE
        )
    )
    world.wait(days=5, ns=1)
    world.tick()
    done, waiting = world.buy(buyer, listing), world.buy(buyer, listing)
    world.deliver(done)
    world.accept(done)
    world.deliver(waiting)


def bank(world: World) -> None:
    """Paid out, rejected, returned, cancelled; cash ahead of its statement; a stranger's money; days that end."""
    client, other = world.buyer(cash_fen=0), world.buyer(cash_fen=0)
    for participant in (client, other):
        world.must(e.SetPayoutAccount(actor=participant, account_sha256="ab" * 32))
    statement(
        world, 1, BankEntry(900, "in 1", "2025-12-01", participant=client), BankEntry(77, "stranger", "")
    )
    world.must(e.BookCashIn(actor=OPERATOR, participant=other, amount_fen=500, bank_reference="in 2"))
    own = BankEntry(1_000_000, "own money", "2025-12-02")
    statement(world, 2, BankEntry(500, "in 2", "2025-12-02"), own)
    for row in world.state.bank.open_breaks():
        account, remedy = ("own", "book") if row.subject == own.reference else ("", "none")
        world.must(
            e.CloseBreak(
                actor=OPERATOR, bank_break=row.id, reason="the bank explained it", remedy=remedy, account=account
            )
        )  # fmt: skip
    for participant, fen in ((client, 400), (client, 100), (other, 50), (other, 1)):
        world.must(e.RequestWithdrawal(actor=participant, amount_fen=fen))
    world.must(e.CancelWithdrawal(actor=other, withdrawal="W4"))
    world.must(e.MakePayoutBatch(actor=OPERATOR))
    world.must(e.RejectPayout(actor=OPERATOR, batch="B1", participant=other, reason="no such account"))
    statement(world, 3, BankEntry(-500, "out 1", "", f"B1-{client}"))
    statement(world, 4, BankEntry(500, "back 1", "", f"B1-{client}"))
    world.must(e.RequestWithdrawal(actor=client, amount_fen=3))


def statement(world: World, number: int, *entries: BankEntry) -> None:
    """Begins where the one before ended."""
    kept = world.state.bank
    opening = kept.opening_fen if kept.taken is None else kept.taken.closing_fen
    assert kept.custody is not None
    world.must(
        e.BookStatement(
            actor=OPERATOR, account=kept.custody.account, statement=f"S{number}", sequence=number, opening_fen=opening,
            closing_fen=opening + sum(entry.amount_fen for entry in entries), until_ns=world.at_ns, entries=entries,
            file_sha256=EVIDENCE,
        )
    )  # fmt: skip


def postponed(world: World) -> None:
    """Held by a pledge, cured and settled over it; delivered and frozen, so that silence does not complete it."""
    shop, buyer = world.merchant(), world.buyer()
    product = world.product(shop)
    entry: dict[str, Any] = {"actor": world.reviewer, "product": product, "evidence_sha256": EVIDENCE}
    world.must(e.EnterRecord(facts=Pledge(number="ZY-1", state="pledged"), reason="a letter", **entry))
    held = only(world.order(buyer, world.listing(shop, product)), e.Held).trade
    revision = world.state.products[product].revision
    cure = e.CureHold(
        actor=world.reviewer, trade=held, rule="B15", evidence_sha256=EVIDENCE, revision=revision
    )
    world.must(cure)
    world.deliver(held)
    frozen = Freeze(number="18", authority="court", state="frozen")
    world.must(e.EnterRecord(facts=frozen, reason="an order", **entry))


def rules(world: World) -> None:
    """A draft that two others approve comes into force at its date; then a rule is narrowed, and the next draft lapses."""
    author, *others = [world.official("reviewer") for _ in range(3)]
    text = rulebook().texts["venue.toml"]
    drafted = e.DraftRulebook(
        actor=author, files={"venue.toml": f"# a new edition\n{text}"}, effective_from_ns=world.at_ns + 10**10,
        reason="as the law asks",
    )  # fmt: skip
    draft = only(world.must(drafted), e.RulebookDrafted).draft
    for other in others:
        world.must(e.ApproveDraft(actor=other, draft=draft))
    world.wait(ns=10**10)
    world.tick()
    world.must(
        msgspec.structs.replace(drafted, files={"venue.toml": text}, effective_from_ns=world.at_ns + 10**10)
    )
    also = "price.unit_fen == 123456789"
    world.must(e.NarrowRule(actor=OPERATOR, rule="B07", also_violated_when=also, reason="an emergency"))


def ledger(world: World) -> None:
    """A deposit, refunds by agreement before and after payout, a debt set off, a reversal made and one that ends."""
    shop, buyer, second = world.merchant(cash_fen=1_000), world.buyer(), world.official("operator")
    world.verify(OPERATOR)
    listing = world.listing(shop, price_fen=10_000)
    world.must(e.PayDeposit(actor=shop, amount_fen=1_000))
    world.must(e.TakeDeposit(actor=shop, amount_fen=400))
    world.do(e.PayDeposit(actor=shop, amount_fen=10**9, key=world.new_id()))
    trade = world.buy(buyer, listing)
    entitlement = world.state.trades[trade].entitlement
    offer = e.OfferRefund(
        actor=buyer, trade=trade, amount_fen=3_000, reason="agreed", price_fen=10_000, entitlement=entitlement
    )
    for actor in (buyer, shop):
        world.must(msgspec.structs.replace(offer, actor=actor))
    world.deliver(trade)
    world.accept(trade)
    spare = world.listing(world.merchant(), price_fen=world.money(shop)[0])
    world.buy(shop, spare)
    for actor in (buyer, shop):
        world.must(msgspec.structs.replace(offer, actor=actor))
    world.must(e.BookCashIn(actor=OPERATOR, participant=shop, amount_fen=5_000, bank_reference="sets off"))
    world.must(msgspec.structs.replace(offer, amount_fen=1))
    legs = (("bank:cash", shop, "CNY", 500),)
    reversal = e.ReverseTransaction(actor=OPERATOR, transaction="bank:sets off", reason="wrong", legs=legs)
    for actor in (OPERATOR, second):
        world.must(msgspec.structs.replace(reversal, actor=actor))
    world.must(e.BookCashIn(actor=OPERATOR, participant=shop, amount_fen=600, bank_reference="nobody agrees"))
    world.must(msgspec.structs.replace(reversal, transaction="bank:nobody agrees"))


def undone(world: World) -> str:
    """A sale that two operators reverse, and whose product is registered no more; the trade."""
    shop, buyer = world.merchant(), world.buyer()
    operators = [world.official("operator") for _ in range(2)]
    product = world.product(shop)
    trade = world.buy(buyer, world.listing(shop, product, price_fen=10_000))
    entitlement = world.state.trades[trade].entitlement
    world.deliver(trade)
    world.accept(trade)
    legs = ((buyer, ESCROW, CNY, 10_000), (ESCROW, FEES, CNY, 200), (ESCROW, shop, CNY, 9_800))
    for actor in operators:
        world.must(
            e.ReverseTransaction(
                actor=actor, transaction=trade, reason="a test order", legs=legs, entitlement=entitlement
            )
        )
    world.record(product, "registration_revoked")
    return trade


def graded(world: World) -> None:
    """A case that is repaired, one that an objection ends before it counts, grades set by hand, and a large order."""
    world.must(e.FollowGrades(actor=e.VENUE))
    first, second, third = (world.official("reviewer") for _ in range(3))
    shop = world.merchant()
    trade = world.buy(world.buyer(), world.listing(shop, price_fen=400_000_000))
    world.deliver(trade)
    world.accept(trade)
    for uphold in (True, False):
        case = determined(world, first, shop, "data_misuse")
        world.must(e.ObjectToCase(actor=shop, case=case, text="it was not I"))
        world.must(e.DecideObjection(actor=second, case=case, uphold=uphold, text="looked into"))
    case = determined(world, first, shop, "dispute_lost")
    pass_days(world, 8)
    world.must(e.CorrectCase(actor=shop, case=case, evidence_sha256=EVIDENCE))
    pass_days(world, 90)
    world.must(e.AskRepair(actor=shop, case=case, commitment_sha256=EVIDENCE))
    world.must(e.DecideRepair(actor=third, case=case, grant=True, text="it is public"))
    until_ns = world.at_ns + DAY_NS
    for operator in (world.official("operator"), world.official("operator")):
        command = e.OverrideGrade(
            actor=operator, participant=shop, grade="A", until_ns=until_ns, reason="our fault"
        )
        world.must(command)
    pass_days(world, 2)


def determined(world: World, reviewer: str, shop: str, kind: Any) -> str:
    command = e.OpenCase(
        actor=reviewer,
        participant=shop,
        kind=kind,
        reference="L1",
        text="as the papers say",
        evidence_sha256=EVIDENCE,
    )
    return only(world.must(command), e.CaseOpened).case


def pass_days(world: World, days: int) -> None:
    """A day at a time, each with what falls due in it."""
    for _ in range(days):
        world.wait(days=1)
        while world.state.timers and world.state.timers[0][0] < world.at_ns:
            world.tick()


def halts(world: World) -> None:
    """A board halted and resumed; a market that stands still to the end."""
    for kind in (e.HaltTrading, e.ResumeTrading):
        world.must(kind(actor=OPERATOR, scope="board", subject="general", reason="looked into"))
    world.must(e.HaltTrading(actor=OPERATOR, scope="market", reason="a holiday"))


def directives(world: World) -> None:
    """A freeze that an operator executes, one that is lifted by another, a delisting that nobody executes in time."""
    regulator, buyer, shop = world.person(), world.buyer(), world.merchant()
    world.must(e.GrantRole(actor=OPERATOR, participant=regulator, role="regulator"))
    listing = world.listing(shop, world.product(shop))
    for number, kind, subject in (("1", "freeze", buyer), ("2", "lift", "1"), ("3", "delist", listing)):
        issued = e.IssueDirective(
            actor=regulator, number=number, kind=kind, subject=subject, deadline_ns=world.at_ns + DAY_NS,
            text="依法", document_sha256=EVIDENCE,
        )  # fmt: skip
        directive = only(world.must(issued), e.DirectiveIssued).directive
        if kind != "delist":
            world.must(e.ExecuteDirective(actor=OPERATOR, directive=directive))
    world.wait(days=1)
    world.tick()


def objected(world: World) -> None:
    """A board's host, and a trustee whose objection is rejected and the next upheld."""
    host, trustee, shop = world.person(), world.person(), world.merchant()
    world.must(e.GrantRole(actor=OPERATOR, participant=host, role="board_host", board="general"))
    world.must(e.GrantRole(actor=OPERATOR, participant=trustee, role="trustee"))
    listing = world.listing(shop, world.product(shop, classification=personal(), consent=consent_of()))
    for decision in ("reject", "uphold"):
        filed = world.must(e.ObjectToListing(actor=trustee, listing=listing, reason="未列明接收方"))
        objection = only(filed, e.ListingObjected).objection
        said = {"listing": listing, "objection": objection, "decision": decision, "text": "已核对"}
        world.must(e.DecideTrusteeObjection(actor=world.reviewer, **said))
    world.must(e.RevokeRole(actor=OPERATOR, participant=host, role="board_host", reason="another one"))


def set_aside(world: World) -> None:
    """A command in quarantine."""
    command = e.RegisterParticipant(actor="", legal_name="poison", public_key=public_key("poison"))
    world.at_ns += 1_000
    outcome = venue.quarantine(world.state, command, "RuntimeError: a bug", world.at_ns)
    world.entries.append(outcome.entry)
    venue.replay(world.twin, outcome.entry)


def auctions(world: World, shop: str, product: str, buyer: str) -> None:
    """A sealed one with a secret reserve, a bid that wins and one that is not opened; an ascending one in which somebody
    is outbid, and which a withdrawal ends."""
    other, nonce = world.buyer(), "n0nce"
    shape: dict[str, Any] = {"supply": "exclusive", "deal": "licence"}
    sealed = e.AuctionTerms(
        kind="sealed_second", commit_days=1, reveal_days=1, deposit_fen=100,
        reserve_sha256=auction.reserve_sha256(900, nonce),
    )  # fmt: skip
    lot = world.listing(shop, product, mechanism="sealed_bid", auction=sealed, **shape)
    rising = e.AuctionTerms(kind="ascending", days=1, start_fen=10, increment_fen=1)
    ladder = world.listing(shop, product, mechanism="lawful_auction", auction=rising, **shape)
    for bidder, price in ((buyer, 1_000), (other, 950)):
        world.agree(bidder, lot)
        world.agree(bidder, ladder)
        commitment = auction.commitment_of(lot, bidder, 1, price, nonce)
        world.must(e.PlaceBid(actor=bidder, listing=lot, commitment=commitment))
        world.must(e.PlaceBid(actor=bidder, listing=ladder, price_fen=2_000 - price))
    bid = next(iter(world.state.auctions[lot].bids))
    world.move(shop, ladder, "withdraw")
    world.wait(days=1)
    world.must(e.RevealBid(actor=buyer, bid=bid, price_fen=1_000, quantity=1, nonce=nonce))
    world.must(e.OpenReserve(actor=shop, listing=lot, reserve_fen=900, nonce=nonce))
    world.wait(days=1)
    world.tick()


def main() -> int:
    if len(sys.argv) != 2:
        print("name what is new in it, as in `python -m tests.golden_journal halts`", file=sys.stderr)
        return 2
    file = FOLDER / f"schema-{e.SCHEMA_VERSION}-{sys.argv[1]}.msgpack"
    if file.exists():
        print(f"{file} is kept as it is: take another name", file=sys.stderr)
        return 1
    world = day()
    kinds = kinds_of(world.entries)
    golden = Golden("CN-46", rows_of(world.entries), state_hash(encode_state(world.state)), kinds)
    FOLDER.mkdir(exist_ok=True)
    file.write_bytes(msgspec.msgpack.encode(golden))
    print(f"{file}: {len(world.entries)} entries, {len(kinds)} kinds of events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
