"""Kept findings against none: whatever has happened, every verdict is that of the whole rulebook on facts read anew.

`House.judge` puts a verdict together from findings that cells, parties and contracts keep until their register changes
or their date passes. Beside it stands a venue that has just been read from a snapshot, so that nothing is kept in it,
and whose house judges each set of facts whole. Hypothesis makes the history; after each step both are asked about
everybody's trade in everything, in the phases `order` and `clearing`, and for the hash of what clearing read.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clearing import house
from clearing.house import NEVER_NS, Cell, House, Party, Signed
from clearing.notrade import ConsentFacts, CrossBorderFacts, Facts, Phase, PriceFacts, TradeFacts, Verdict
from clearing.registers import (
    REGISTERS,
    AnyFacts,
    Assessment,
    CentralApproval,
    CompetitionScreen,
    ComplianceVeto,
    CriticalInfrastructure,
    EthicsReview,
    ExportLicence,
    ExportRoute,
    ForeignJudicialApproval,
    Freeze,
    HarmOpinion,
    IntellectualProperty,
    Pledge,
    PublicOperator,
    RecipientNotice,
    Restricted,
    SecretConsent,
    SecurityCapability,
    SecurityEvaluation,
    SourceReview,
    SpecialLicence,
    VenueOperator,
    name_of,
)
from exchange import events as e
from exchange import order, venue
from exchange.listing import cell_of
from exchange.product import GROUPS, REGISTER_ENTRIES
from exchange.state import DAY_NS, Listing, State, decode_state, encode_state
from tests.exchange.world import (
    EVIDENCE,
    OPERATOR,
    World,
    authorisation,
    boards,
    classification,
    consent_of,
    only,
    personal,
    public_key,
    rulebook,
)

COURT: Final[dict[str, Any]] = {"number": "1", "authority": "court"}
FACTS: Final[tuple[AnyFacts, ...]] = (
    Pledge(number="1", state="pledged", consented=False),
    Pledge(number="1", state="pledged", consented=True),
    Pledge(number="1", state="released"),
    Freeze(**COURT, state="frozen"),
    Freeze(**COURT, state="lifted"),
    CentralApproval(board="computing", authority="State Council", state="withdrawn"),
    CentralApproval(board="computing", authority="State Council", state="restored"),
    *(
        Assessment(kind=kind, result=result)
        for kind in ("risk_assessment", "reidentification_test", "anonymisation", "impact_assessment")
        for result in ("passed", "failed")
    ),
    *(HarmOpinion(level=level) for level in ("none", "suspected", "confirmed")),
    SecretConsent(number="1", state="granted"),
    SecretConsent(number="1", state="withdrawn"),
    *(SourceReview(lawfulness=found) for found in ("lawful", "unknown", "unlawful")),
    IntellectualProperty(**COURT),
    ExportRoute(route="standard_contract", purposes=("market_analysis",), territories=("HK",)),
    ExportRoute(route="none", ftz=True, exempt_basis="contract"),
    ExportLicence(number="1", territories=("HK",)),
    *(EthicsReview(number="1", decision=decision) for decision in ("approved", "pending", "rejected")),
    SecurityEvaluation(result="passed"),
    SecurityEvaluation(result="failed"),
    ForeignJudicialApproval(**COURT),
    RecipientNotice(),
    RecipientNotice(named=False),
    CompetitionScreen(flagged=True),
    CompetitionScreen(flagged=False),
    Restricted(list="pipl_42", version="1"),
    Restricted(list="pipl_42", version="2", state="removed"),
    SpecialLicence(**COURT),
    SpecialLicence(**COURT, state="revoked"),
    SecurityCapability(scheme="DSMM", level=0),
    SecurityCapability(scheme="DSMM", level=4),
    CriticalInfrastructure(designated=True),
    CriticalInfrastructure(designated=False),
    ComplianceVeto(state="vetoed"),
    ComplianceVeto(state="lifted"),
    PublicOperator(appointed=True),
    CentralApproval(board="computing", authority="ministry", state="withdrawn"),
    CentralApproval(board="computing", authority="ministry", state="restored"),
    VenueOperator(runs_venue=True),
    VenueOperator(runs_venue=False),
)
DECLARED: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"reidentification_intent": True},
    {"for_foreign_judicial": True},
    {"human_research": True},
    {"security_terms_accepted": False},
    {"log_retention_months": 1},
)
STEPS: Final = ("suspend", "restore", "renew", "revoke")
FEW_DAYS: Final = st.sampled_from((0, 1, 3, 40))


class WholeHouse(House):
    """Keeps nothing: each verdict is the rulebook's own on all the facts in one."""

    __slots__ = ()

    def judge(
        self,
        phase: Phase,
        cell: Cell,
        seller: Party | None,
        buyer: Party | None,
        trade: TradeFacts,
        price: PriceFacts,
        at_ns: int,
        consent: ConsentFacts | None = None,
        signed: Signed | None = None,
        xb: CrossBorderFacts | None = None,
    ) -> Verdict:
        assert isinstance(cell.trade.term_ns, int)
        return self.rulebook.judge(
            Facts(
                phase=phase,
                now=at_ns,
                venue=cell.venue,
                product=cell.product,
                source=cell.source,
                registration=cell.registration,
                auth=cell.auth,
                consent=consent or cell.consent,
                seller=None if seller is None else seller.seller,
                buyer=None if buyer is None else buyer.buyer,
                trade=msgspec.structs.replace(trade, term_until=at_ns + cell.trade.term_ns),
                price=price,
                xb=xb or cell.xb,
            )
        )


def read_anew(state: State) -> State:
    """The same venue with nothing kept in it."""
    fresh = decode_state(encode_state(state), boards(), rulebook(), "CN-46")
    assert not fresh.cells
    assert not fresh.parties
    fresh.house = WholeHouse(fresh.rulebook, fresh.ledger)
    return fresh


class KeptVerdicts(RuleBasedStateMachine):
    """A merchant's goods of each kind: a posted licence, an order book, an exclusive licence, the right itself, and
    personal information; a buyer here and one abroad, and a second merchant of the same owner who holds units."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        world = self.world
        self.merchant = world.merchant(10**9)
        self.other = world.merchant(10**9, owner=self.merchant)
        self.people = [self.merchant, self.other, world.buyer(), self.from_abroad()]
        self.officials = [world.official("reviewer"), world.official("reviewer")]
        abroad = authorisation(world.at_ns, territories=("CN", "CN-46", "HK"))
        self.goods = world.product(self.merchant, authorisation=abroad)
        people = {"classification": personal(), "consent": consent_of()}
        self.persons = world.product(self.merchant, authorisation=abroad, **people)
        wide: dict[str, Any] = {"territories": ("CN", "HK"), "term_days": 30}
        self.listings = [
            world.listing(self.merchant, self.goods, **wide, purposes=("market_analysis", "risk_control")),
            world.book(self.merchant, self.goods),
            world.listing(self.merchant, self.goods, deal="exclusive_licence", supply="exclusive"),
            world.listing(
                self.merchant, self.goods, deal="transfer", supply="exclusive", right="resource_holding"
            ),
            world.listing(self.merchant, self.persons, **wide),
        ]
        for listing in self.listings:
            for person in self.people[1:3]:
                world.agree(person, listing)
        world.ask(self.merchant, self.listings[1], 50, 100)
        world.bid(self.other, self.listings[1], 20, 100)

    def from_abroad(self) -> str:
        register = e.RegisterParticipant(
            actor="", legal_name="abroad", public_key=public_key("abroad"), region="HK"
        )
        participant = only(self.world.must(register), e.ParticipantRegistered).participant
        self.world.verify(participant)
        self.world.pay_in(participant, 10**9)
        return participant

    # --- what may happen

    @rule(
        facts=st.sampled_from(FACTS),
        persons=st.booleans(),
        who=st.integers(0, 3),
        begins=FEW_DAYS,
        lasts=FEW_DAYS,
        passes=st.booleans(),
    )
    def enter(self, facts: AnyFacts, persons: bool, who: int, begins: int, lasts: int, passes: bool) -> None:
        """Some entries begin later, some end."""
        starts = self.world.at_ns + begins * DAY_NS
        self.enter_record(
            facts,
            **self.subject(facts, persons, who),
            valid_from_ns=starts,
            valid_until_ns=starts + lasts * DAY_NS if lasts else 0,
        )
        if passes:
            self.pass_through(starts, starts + lasts * DAY_NS)

    def pass_through(self, *dates: int) -> None:
        """Nothing is entered meanwhile: the dates alone change what the registers say."""
        for date_ns in dates:
            if date_ns - 1 > self.world.at_ns:
                self.alike()
                self.world.at_ns = date_ns - 1
                self.alike()
                self.world.at_ns = date_ns

    @precondition(lambda self: bool(self.world.state.registers.entries))
    @rule(data=st.data(), void=st.booleans())
    def correct(self, data: st.DataObject, void: bool) -> None:
        """An entry is taken back, or said anew, as if it had always been so."""
        entries = self.world.state.registers.entries
        old = entries[data.draw(st.sampled_from(list(entries)))]
        alike = [facts for facts in FACTS if name_of(facts) == old.register]
        self.enter_record(
            data.draw(st.sampled_from(alike)),
            product=old.product,
            participant=old.participant,
            valid_from_ns=old.valid_from_ns,
            corrects=old.id,
            void=void,
        )

    def enter_record(self, facts: AnyFacts, **fields: Any) -> None:
        self.world.do(
            e.EnterRecord(
                actor=self.world.reviewer, facts=facts, evidence_sha256=EVIDENCE, reason="so it is", **fields
            )
        )

    def subject(self, facts: AnyFacts, persons: bool, who: int) -> dict[str, str]:
        subjects = REGISTERS[name_of(facts)].subjects
        product = self.persons if persons else self.goods
        found = {"product": product, "participant": self.people[who]}
        return {subject: found[subject] for subject in subjects}

    @rule(entry=st.sampled_from(sorted(REGISTER_ENTRIES)), persons=st.booleans(), who=st.integers(1, 3))
    def record(self, entry: str, persons: bool, who: int) -> None:
        licensee = self.people[who] if entry.startswith("licensee") else ""
        self.world.do(
            e.RecordFact(
                actor=self.world.reviewer,
                product=self.persons if persons else self.goods,
                entry=entry,
                evidence_sha256=EVIDENCE,
                reason="it is so",
                participant=licensee,
            )
        )

    @rule(group=st.sampled_from(GROUPS), variant=st.integers(0, 2), persons=st.booleans())
    def amend(self, group: str, variant: int, persons: bool) -> None:
        """Declared anew, by the holder of now: unknown until confirmed."""
        product = self.world.state.products[self.persons if persons else self.goods]
        amended = {group: self.declared(group, variant)}
        self.world.do(
            e.AmendFacts(actor=product.holder, product=product.id, evidence_sha256=EVIDENCE, **amended)
        )

    def declared(self, group: str, variant: int) -> Any:
        soon = self.world.at_ns + 35 * DAY_NS
        far = self.world.at_ns + 700 * DAY_NS
        if group == "classification":
            return (classification(), personal(), classification(data_class="core"))[variant]
        if group == "source":
            return e.Source(
                channel=("self_generated", "sharing", "collected")[variant],
                statement="ours",
                bypassed_controls=variant == 2,
                operation_until_ns=soon,
            )
        if group == "authorisation":
            return authorisation(
                self.world.at_ns, valid_until_ns=(far, soon, soon)[variant], sublicensable=variant < 2
            )
        return consent_of(valid_until_ns=(far, soon, soon)[variant], coverage_pct=(100, 100, 50)[variant])

    @rule(persons=st.booleans())
    def confirm(self, persons: bool) -> None:
        product = self.world.state.products[self.persons if persons else self.goods]
        self.world.do(
            e.ConfirmFacts(
                actor=self.world.reviewer,
                product=product.id,
                revision=product.revision,
                groups=GROUPS,
                evidence=dict(product.evidence),
            )
        )

    @rule(who=st.integers(0, 3), days=FEW_DAYS, passes=st.booleans())
    def ban(self, who: int, days: int, passes: bool) -> None:
        """None lifts it."""
        until_ns = self.world.at_ns + days * DAY_NS if days else 0
        self.world.do(
            e.SetBan(actor=OPERATOR, participant=self.people[who], until_ns=until_ns, reason="it cheated")
        )
        if passes:
            self.pass_through(until_ns)

    @rule(who=st.integers(0, 1), step=st.sampled_from(STEPS), days=st.sampled_from((1, 3, 40)))
    def accreditation(self, who: int, step: str, days: int) -> None:
        """Suspension and revocation are confirmed by the second of two; of any other step nothing is to be confirmed."""
        for actor, taken in zip(self.officials, (step, "confirm"), strict=True):
            self.world.do(
                e.DecideAccreditation(
                    actor=actor,
                    participant=self.people[who],
                    step=taken,
                    valid_until_ns=self.world.at_ns + days * DAY_NS,
                    evidence_sha256=EVIDENCE,
                    reasons=("because",),
                )
            )

    @rule(who=st.integers(0, 3), days=st.sampled_from((1, 3, 40)), passes=st.booleans())
    def mandate(self, who: int, days: int, passes: bool) -> None:
        """A new one for the agent."""
        self.decide_identity(self.people[who], days)
        if passes:
            self.pass_through(self.world.at_ns + days * DAY_NS)

    @rule(owner=st.integers(0, 3))
    def bought(self, owner: int) -> None:
        """The merchant, and with it what it owns, belongs to another house."""
        self.decide_identity(self.merchant, 900, owner_id=self.people[owner])

    def decide_identity(self, who: str, days: int, **fields: Any) -> None:
        self.world.do(
            e.DecideIdentity(
                actor=self.world.reviewer,
                participant=who,
                accept=True,
                mandate_until_ns=self.world.at_ns + days * DAY_NS,
                evidence_sha256=EVIDENCE,
                **fields,
            )
        )

    @rule(who=st.integers(0, 3), step=st.sampled_from(("suspend", "resume")))
    def status(self, who: int, step: str) -> None:
        self.world.do(e.SetStatus(actor=OPERATOR, participant=self.people[who], step=step, reason="it is so"))

    @rule(who=st.integers(0, 3), takes=st.booleans())
    def office(self, who: int, takes: bool) -> None:
        """Whoever holds the operator's office runs a venue."""
        person = self.people[who]
        given = e.GrantRole(actor=OPERATOR, participant=person, role="operator")
        taken = e.RevokeRole(actor=OPERATOR, participant=person, role="operator", reason="over")
        self.world.do(given if takes else taken)

    @rule(number=st.integers(0, 4), agreed=st.booleans())
    def offer_contract(self, number: int, agreed: bool) -> None:
        """A new contract: whoever signed the one before has signed nothing."""
        listing = self.listings[number]
        if self.world.state.listings[listing].state == "published":
            self.world.offer_contract(listing, duties=("encryption",) if agreed else ())

    @rule(number=st.integers(0, 4), who=st.integers(1, 3), said=st.sampled_from(DECLARED))
    def sign_contract(self, number: int, who: int, said: dict[str, Any]) -> None:
        self.world.sign_contract(self.people[who], self.listings[number], **said)

    @rule(number=st.integers(0, 4), step=st.sampled_from(("suspend", "resume")))
    def move(self, number: int, step: str) -> None:
        self.world.do(
            e.MoveListing(
                actor=self.world.reviewer, listing=self.listings[number], step=step, reasons=("because",)
            )
        )

    # --- trading

    @rule(number=st.integers(0, 4), who=st.integers(1, 3), abroad=st.booleans(), prior=st.booleans())
    def buy(self, number: int, who: int, abroad: bool, prior: bool) -> None:
        listing = self.world.state.listings[self.listings[number]]
        territory = "HK" if abroad and "HK" in listing.terms.territories else ""
        self.placed(self.people[who], listing.id, territory=territory, accepts_prior=prior)

    @rule(
        who=st.integers(0, 3),
        side=st.sampled_from(("buy", "sell")),
        limit_fen=st.integers(99, 102),
        quantity=st.integers(1, 30),
    )
    def trade_in_book(self, who: int, side: Any, limit_fen: int, quantity: int) -> None:
        self.placed(self.people[who], self.listings[1], quantity, side=side, limit_fen=limit_fen)

    def placed(self, who: str, listing: str, quantity: int = 1, **fields: Any) -> None:
        """The order's entry, its fills' verdicts and hashes within, is the one of the venue that keeps nothing."""
        command = e.PlaceOrder(actor=who, listing=listing, quantity=quantity, **fields)
        fresh = read_anew(self.world.state)
        outcome = self.world.do(command)
        expected = venue.execute(fresh, command, self.world.at_ns)
        assert (outcome.refusal, outcome.events) == (expected.refusal, expected.events)

    @precondition(lambda self: any(row.state == "settled" for row in self.world.state.trades.values()))
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """Delivered and accepted: the right itself has another holder then."""
        trades = [row for row in self.world.state.trades.values() if row.state == "settled"]
        trade = data.draw(st.sampled_from(trades))
        delivery = e.Delivery(kind="file", sha256="cd" * 32, size=7, name="rows.csv")
        self.world.do(e.Deliver(actor=trade.seller, trade=trade.id, delivery=delivery))
        self.world.do(e.AcceptDelivery(actor=trade.buyer, trade=trade.id))

    # --- time

    @rule(days=st.sampled_from((0.01, 1, 5, 31, 100)))
    def wait(self, days: float) -> None:
        self.world.wait(days)

    @rule(days=st.sampled_from((1, 31)))
    def wait_and_tick(self, days: int) -> None:
        self.world.wait(days)
        self.world.tick()

    @precondition(lambda self: any(self.ends()))
    @rule(data=st.data())
    def reach_an_end(self, data: st.DataObject) -> None:
        """The last instant before something kept ends, and the instant at which it does."""
        end_ns = data.draw(st.sampled_from(sorted(set(self.ends()))))
        self.pass_through(end_ns)

    def ends(self) -> Iterator[int]:
        """Dates of the registers, and what was made of them: where a cell or a finding is said to end."""
        state = self.world.state
        for entry in state.registers.entries.values():
            yield from self.ahead(entry.valid_from_ns)
            yield from self.ahead(entry.valid_until_ns)
        for person in self.people:
            row = state.bureau.participants[person]
            for date_ns in (row.ban_until_ns, row.mandate_until_ns, row.credential_until_ns):
                yield from self.ahead(date_ns)
        for cell in state.cells.values():
            yield from self.ahead(cell.until_ns, cell.kept, cell.of_trade, cell.of_open_trade)
            for signed in cell.signed.values():
                yield from self.ahead(NEVER_NS, signed.kept)
        for party in state.parties.values():
            yield from self.ahead(party.until_ns, party.kept)
        yield from self.ahead(NEVER_NS, state.house._allowed)

    def ahead(self, until_ns: int, *kept: dict[Any, Any]) -> Iterator[int]:
        for end_ns in (until_ns, *(one.until_ns for found in kept for one in found.values())):
            if self.world.at_ns < end_ns < NEVER_NS:
                yield end_ns

    # --- what must hold

    @invariant()
    def alike(self) -> None:
        state, at_ns = self.world.state, self.world.at_ns
        fresh = read_anew(state)
        for command in self.questions(state):
            assert ordered(state, command, at_ns) == ordered(fresh, command, at_ns), command
            for seller in (self.merchant, self.other):
                if command.side == "buy" and seller != command.actor:
                    asked = (command, seller, at_ns)
                    assert cleared(state, *asked) == cleared(fresh, *asked), asked

    def questions(self, state: State) -> Iterator[e.PlaceOrder]:
        """Everybody's order for everything, within its terms."""
        for name in self.listings:
            for who in self.people:
                yield from self.orders_of(state.listings[name], who)

    def orders_of(self, listing: Listing, who: str) -> Iterator[e.PlaceOrder]:
        terms = listing.terms
        in_book = terms.mechanism == "continuous_auction"
        asked: dict[str, Any] = {"actor": who, "listing": listing.id, "quantity": 1}
        for purpose in terms.purposes:
            for territory in terms.territories:
                yield e.PlaceOrder(**asked, purpose=purpose, territory=territory)
        if in_book:
            yield e.PlaceOrder(**asked, limit_fen=99)
            yield e.PlaceOrder(**asked, side="sell", limit_fen=101)


def _place(listing: Listing, command: e.PlaceOrder) -> tuple[str, str]:
    terms = listing.terms
    return command.purpose or terms.purposes[0], command.territory or terms.territories[0]


def ordered(state: State, command: e.PlaceOrder, at_ns: int) -> e.Refusal | None:
    """The law's answer in the phase `order`."""
    listing = state.listings[command.listing]
    cell = cell_of(state, listing, *_place(listing, command), at_ns)
    in_book = listing.terms.mechanism == "continuous_auction"
    read = order.read_of(state, listing, cell, command, at_ns, in_book)
    return order.law_refusal(state, listing, read, command, at_ns)


def cleared(state: State, command: e.PlaceOrder, seller: str, at_ns: int) -> tuple[Verdict, bytes]:
    """The verdict of clearing, and the hash of what it read."""
    listing = state.listings[command.listing]
    purpose, territory = _place(listing, command)
    deal = order.Deal(
        listing=listing,
        cell=cell_of(state, listing, purpose, territory, at_ns),
        buyer=command.actor,
        seller=seller,
        buy_order="",
        sell_order="",
        quantity=1,
        price_fen=command.limit_fen or listing.terms.price_fen,
        rest_fen=0,
        purpose=purpose,
        territory=territory,
        accepts_prior=command.accepts_prior,
    )
    return order.judge_clearing(state, deal, at_ns)


KeptVerdicts.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestKeptVerdicts = KeptVerdicts.TestCase


def test_every_register_has_a_say() -> None:
    assert {name_of(facts) for facts in FACTS} == REGISTERS.keys()


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of licence classes with many buyers and amounts; forgotten or not, the entries are the same."""

    def entries() -> tuple[list[bytes], World]:
        world = World()
        shop = world.merchant(10**9)
        listing = world.listing(shop, territories=("CN", "CN-46"))
        buyers = [world.buyer(10**9) for _ in range(3)]
        for territory in ("CN", "CN-46", "CN"):
            for quantity, buyer in enumerate(buyers * 2, 1):
                world.buy(buyer, listing, quantity, territory=territory)
        return world.entries, world

    roomy, world = entries()
    assert len(world.state.house._allowed) == 2 * 2 * 3
    for place, name in ((house, "MOST_ALLOWED"), (order, "MOST_KEPT"), (order, "MOST_SPLIT")):
        monkeypatch.setattr(place, name, 2)
    narrow, world = entries()
    assert narrow == roomy
    assert 0 < len(world.state.house._allowed) <= 2
    for cell in world.state.cells.values():
        assert 0 < len(cell.of_buyers) <= 2
        assert 0 < len(cell.of_amounts) <= 2
