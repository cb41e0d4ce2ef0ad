"""A small world for tests of the pure venue: people, products and listings at chosen instants.

    world = World()
    shop, reader = world.merchant(), world.buyer()
    listing = world.listing(shop, price_fen=500)
    settled = only(world.order(reader, listing), Settled)
    world.check()

Every encoded entry is kept, and a twin that only replays lives beside the venue: `check` compares them byte for byte.
"""

import base64
import hashlib
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace
from stdnum.cn import uscc

from clearing.bank import OPEN_STATES
from clearing.contract import Declarations, Security
from clearing.ledger import BILLS, CNY, ESCROW
from clearing.money import amount_fen
from clearing.notrade import Rulebook
from clearing.notrade import load as load_rulebook
from clearing.registers import AnyFacts, Assessment, RecipientNotice
from exchange import board, issuing, venue
from exchange import events as e
from exchange.book_orders import Law, takes_orders
from exchange.contract import draft
from exchange.matching.metering import Plan
from exchange.state import DAY_NS, Bill, State, Trade, decode_state, encode_state
from exchange.venue import Outcome

T = TypeVar("T")

START_NS = 1_764_000_000_000_000_000
"""24 November 2025, 16:00 UTC."""
EVIDENCE = "ab" * 32
GROUPS = ("classification", "source", "authorisation", "consent")
ALL_RIGHTS = ("resource_holding", "processing_use", "product_operation")
ALL_DEALS = ("licence", "exclusive_licence", "transfer")
OPERATOR = "P1"
HONEST = Declarations(
    for_foreign_judicial=False,
    reidentification_intent=False,
    human_research=False,
    related_disclosed=False,
    security_terms_accepted=True,
    log_retention_months=36,
)
"""What a buyer with nothing to hide declares."""
HARMLESS = e.Further(
    sensitive_pi=False,
    under14=False,
    directly_identifying=False,
    human_genetic=False,
    export_controlled=False,
    emergency_collected=False,
    raw_leaves_domain=False,
    redeveloped=False,
    licence_required=False,
    required_security_level=0,
    storage_region="CN",
    sm_crypto=True,
    medical_records=False,
    face_plate_video=False,
    persons=0,
    sensitive_persons=0,
)


@cache
def rulebook() -> Rulebook:
    """Compiled once for all tests of a process."""
    return load_rulebook()


@cache
def boards() -> dict[str, board.Board]:
    return board.load()


def empty() -> State:
    """A venue in Hainan that has not opened yet."""
    return State(boards(), rulebook(), "CN-46")


def said(board: str) -> dict[str, Any]:
    """What the examples of a board's fields say."""
    return {field.name: field.example for field in boards()[board].fields}


def public_key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def credit_code(number: int) -> str:
    """A unified social credit code with its check digit."""
    body = f"91460000MA{number:07d}"
    return body + str(uscc.calc_check_digit(body))


def command_id(at_ns: int, number: int) -> str:
    """A UUID of version 7 made at that instant."""
    digits = f"{at_ns // 1_000_000:012x}7{number >> 62 & 0xFFF:03x}{number & (1 << 62) - 1 | 1 << 63:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def only(outcome: Outcome, kind: type[T]) -> T:
    """The one event of this kind in the outcome."""
    found = [event for event in outcome.events if isinstance(event, kind)]
    assert len(found) == 1, f"{len(found)} of {kind.__name__} in {outcome}"
    return found[0]


def kinds(outcome: Outcome) -> list[str]:
    return [type(event).__name__ for event in outcome.events]


def check_credentials(state: State, at_ns: int) -> None:
    """Each is what the thing is that it certifies; one whose date has come may wait for its tick."""
    assert issuing.lacking(state, at_ns) == []
    for row in state.credentials.values():
        now = issuing.wanted(state, row.about, at_ns)
        assert now is not None, row
        assert now.state == row.state or now.reason == "its date has come", (row, now)
        if now.claims is not None and now.state in ("issued", "suspended"):
            assert issuing.digest_of(now.claims) == row.digest, row
            assert row.until_ns == now.until_ns or now.until_ns == 0, (row, now)


class World:
    """The venue, its clock, its operator P1 and its reviewer P2. Commands happen a microsecond apart."""

    def __init__(self, simulated: bool = False) -> None:
        self.state = empty()
        self.twin = empty()
        self.entries: list[bytes] = []
        self.at_ns = START_NS
        self._people = 0
        self._bank = 0
        self._ids = 0
        self._pair: list[str] = []
        self.must(e.OpenVenue(actor=e.VENUE, public_key=public_key("operator"), simulated=simulated))
        self.must(e.AdoptRulebook(actor=e.VENUE, sha256=rulebook().sha256))
        self.reviewer = self.person()
        self.must(e.GrantRole(actor=OPERATOR, participant=self.reviewer, role="reviewer"))

    # --- commands

    def do(self, command: Any) -> Outcome:
        """Execute a microsecond later; the twin replays what is stored."""
        self.at_ns += 1_000
        outcome = venue.execute(self.state, command, self.at_ns)
        if outcome.entry and not outcome.repeated:
            self.entries.append(outcome.entry)
            venue.replay(self.twin, outcome.entry)
        return outcome

    def must(self, command: Any) -> Outcome:
        outcome = self.do(command)
        assert outcome.refusal is None, f"{command}\n{outcome.refusal}"
        return outcome

    def refused(self, command: Any) -> e.Refusal:
        """The refusal; one that is not kept has changed nothing."""
        before = encode_state(self.state)
        outcome = self.do(command)
        assert outcome.refusal is not None, f"{command}\n{outcome.events}"
        if not outcome.entry:
            assert encode_state(self.state) == before
        return outcome.refusal

    def code(self, command: Any) -> str:
        """The name of the refusal's code."""
        return self.refused(command).code.name

    def new_id(self) -> str:
        self._ids += 1
        return command_id(self.at_ns, self._ids)

    def wait(self, days: float = 0, ns: int = 0) -> None:
        """Let time pass; nothing is done about what falls due (see `tick`)."""
        self.at_ns += int(days * DAY_NS) + ns

    def tick(self) -> Outcome:
        return self.must(e.Tick(actor=e.VENUE))

    def tick_at(self, at_ns: int) -> Outcome:
        """A tick at exactly this instant."""
        self.at_ns = at_ns - 1_000
        return self.tick()

    # --- people

    def person(self, *roles: str, owner: str = "", group: str = "") -> str:
        """Somebody who has registered and whom nobody has checked yet."""
        self._people += 1
        register = e.RegisterParticipant(
            actor="",
            legal_name=f"name {self._people}",
            public_key=public_key(f"person {self._people}"),
            roles=roles,
            uscc=credit_code(self._people) if roles else "",
            owner_id=owner,
            group_id=group,
        )
        return only(self.must(register), e.ParticipantRegistered).participant

    def verify(self, participant: str, **fields: Any) -> None:
        decide: dict[str, Any] = {
            "accept": True,
            "mandate_until_ns": self.at_ns + 900 * DAY_NS,
            "evidence_sha256": EVIDENCE,
            **fields,
        }
        self.must(e.DecideIdentity(actor=self.reviewer, participant=participant, **decide))

    def official(self, role: str, owner: str = "", group: str = "") -> str:
        """Somebody verified who holds an office."""
        participant = self.person(owner=owner, group=group)
        self.verify(participant)
        self.must(e.GrantRole(actor=OPERATOR, participant=participant, role=role))
        return participant

    def accredit(self, participant: str, until_ns: int = 0) -> None:
        self.must(e.ApplyForAccreditation(actor=participant, evidence_sha256=EVIDENCE))
        self.must(
            e.DecideAccreditation(
                actor=self.reviewer,
                participant=participant,
                step="accredit",
                valid_until_ns=until_ns or self.at_ns + 900 * DAY_NS,
                evidence_sha256=EVIDENCE,
            )
        )

    def discipline(self, participant: str, step: str, reason: str = "because") -> Outcome:
        """Suspend or revoke a credential: one proposes, another of another house confirms."""
        while len(self._pair) < 2:
            self._pair.append(self.official("reviewer"))
        proposed, confirmed = (
            e.DecideAccreditation(
                actor=actor,
                participant=participant,
                step=taken,
                evidence_sha256=EVIDENCE,
                reasons=(reason,),
            )
            for actor, taken in zip(self._pair, (step, "confirm"), strict=True)
        )
        self.must(proposed)
        return self.must(confirmed)

    def merchant(self, cash_fen: int = 0, owner: str = "", group: str = "") -> str:
        """Verified and accredited; may buy too."""
        participant = self.person("merchant", "buyer", owner=owner, group=group)
        self.verify(participant)
        self.accredit(participant)
        self.pay_in(participant, cash_fen)
        return participant

    def buyer(self, cash_fen: int = 10**9, owner: str = "", group: str = "") -> str:
        """Verified, with money."""
        participant = self.person("buyer", owner=owner, group=group)
        self.verify(participant)
        self.pay_in(participant, cash_fen)
        return participant

    def pay_in(self, participant: str, cash_fen: int) -> None:
        if cash_fen:
            self._bank += 1
            self.must(
                e.BookCashIn(
                    actor=OPERATOR,
                    participant=participant,
                    amount_fen=cash_fen,
                    bank_reference=f"bank {self._bank}",
                )
            )

    def money(self, participant: str, asset: str = CNY) -> tuple[int, int]:
        """(balance, reserved); opens no account."""
        for owner, held, balance, reserved in self.state.ledger.dump()["accounts"]:
            if (owner, held) == (participant, asset):
                return balance, reserved
        return 0, 0

    # --- products and listings

    def submission(self, merchant: str, **parts: Any) -> e.SubmitProduct:
        """A lawful product of an enterprise; `parts` replace whole parts."""
        whole: dict[str, Any] = {
            "description": description(),
            "classification": classification(),
            "source": e.Source(
                channel="self_generated",
                statement="our own sensors",
                bypassed_controls=False,
                sharing_provider_consent=True,
                operation_until_ns=START_NS + 900 * DAY_NS,
            ),
            "authorisation": authorisation(self.at_ns),
            "consent": consent_of(basis="none"),
            "evidence": dict.fromkeys(GROUPS, EVIDENCE),
            **parts,
        }
        return e.SubmitProduct(actor=merchant, **whole)

    def submitted(self, merchant: str, **parts: Any) -> str:
        return only(self.must(self.submission(merchant, **parts)), e.ProductSubmitted).product

    def decision(self, product: str, decision: str = "register", **fields: Any) -> e.DecideProduct:
        filled: dict[str, Any] = {
            "revision": self.state.products[product].revision if product in self.state.products else 1,
            "confirmed": GROUPS,
            "rights": ALL_RIGHTS,
            "valid_until_ns": self.at_ns + 800 * DAY_NS,
            "reasons": () if decision == "register" else ("because",),
            **fields,
        }
        return e.DecideProduct(actor=self.reviewer, product=product, decision=decision, **filled)

    def product(self, merchant: str, **parts: Any) -> str:
        """A registered product."""
        product = self.submitted(merchant, **parts)
        self.must(self.decision(product))
        if self._personal(product):
            self.must(self._entry(Assessment(kind="impact_assessment", result="passed"), product=product))
        return product

    def _personal(self, product: str) -> bool:
        return self.state.products[product].classification.pi_state in ("identifiable", "deidentified")

    def _entry(self, facts: AnyFacts, **subject: Any) -> e.EnterRecord:
        paper: dict[str, Any] = {"evidence_sha256": EVIDENCE, "reason": "as the papers say"}
        return e.EnterRecord(actor=self.reviewer, facts=facts, **paper, **subject)

    def _tell_persons_of(self, buyer: str, listing: str) -> None:
        """The persons behind personal information are told of each recipient, once."""
        row = self.state.listings.get(listing)
        if row is None or buyer not in self.state.bureau.participants or not self._personal(row.product):
            return
        if not self.state.registers.says_of(row.product, buyer):
            self.must(self._entry(RecipientNotice(), product=row.product, participant=buyer))

    def draft(self, merchant: str, product: str = "", board: str = "general", **fields: Any) -> str:
        """It says in its board's fields what their examples say, but for the `attributes` given."""
        command = e.CreateListing(
            actor=merchant,
            product=product or self.product(merchant),
            board=board,
            attributes=said(board) | fields.pop("attributes", {}),
            terms=terms(**fields),
        )
        return only(self.must(command), e.ListingCreated).listing

    def listing(self, merchant: str, product: str = "", board: str = "general", **fields: Any) -> str:
        """Submitted and approved; published where the board has no public notice."""
        listing = self.draft(merchant, product, board, **fields)
        self.move(merchant, listing, "submit")
        self.move(self.reviewer, listing, "approve")
        return listing

    def book(self, merchant: str, product: str = "", **fields: Any) -> str:
        """A published listing of transferable units with an order book."""
        shape = {"mechanism": "continuous_auction", "supply": "limited", "supply_units": 1_000_000}
        return self.listing(merchant, product, "computing", **{**shape, "price_fen": 100, **fields})

    def move(self, actor: str, listing: str, step: str, *reasons: str) -> Outcome:
        """Public data is approved with its tariff."""
        product = self.state.products[self.state.listings[listing].product]
        tariff = EVIDENCE if step == "approve" and product.classification.origin == "public" else ""
        return self.must(
            e.MoveListing(actor=actor, listing=listing, step=step, reasons=reasons, tariff_sha256=tariff)
        )

    def offer_contract(self, listing: str, **security: Any) -> Outcome:
        """The merchant signs the listing's contract; keys of this world sign nothing, the web door's do."""
        row = self.state.listings[listing]
        clauses = Security(**{"method": "dataset", "duties": ("encryption", "deletion"), **security})
        return self.do(
            e.OfferContract(
                actor=row.merchant,
                listing=listing,
                security=clauses,
                sha256=draft(self.state, row, clauses).sha256,
                public_key=self.key_of(row.merchant),
                signature="merchant's",
            )
        )

    def sign_contract(self, buyer: str, listing: str, **declared: Any) -> Outcome:
        """A buyer signs what stands, with honest declarations but for those given."""
        live = self.state.contract_of.get(listing)
        return self.do(
            e.SignContract(
                actor=buyer,
                listing=listing,
                declarations=replace(HONEST, **declared),
                sha256="" if live is None else live.sha256,
                public_key=self.key_of(buyer),
                signature="buyer's",
            )
        )

    def agree(self, buyer: str, listing: str) -> None:
        """Both sides sign what they have not yet signed; where one of them may not, nobody does."""
        if (listing, buyer) in self.state.signed or listing not in self.state.listings:
            return
        if listing not in self.state.contract_of:
            self.offer_contract(listing)
        self.sign_contract(buyer, listing)

    def provider(self, *kinds: str, days: int = 100) -> str:
        """Somebody verified whom the operator has accredited to attest."""
        participant = self.person()
        self.verify(participant)
        self.must(
            e.AccreditProvider(
                actor=OPERATOR,
                participant=participant,
                kinds=kinds,
                valid_until_ns=self.at_ns + days * DAY_NS,
                evidence_sha256=EVIDENCE,
            )
        )
        return participant

    def attestation(self, provider: str, product: str, *rules: str, **fields: Any) -> e.Attest:
        """What a provider would send; nobody's key signs in this world."""
        filled: dict[str, Any] = {
            "kind": self.state.providers[provider].kinds[0] if provider in self.state.providers else "notary",
            "buyer": "",
            "valid_until_ns": self.at_ns + 50 * DAY_NS,
            "evidence_sha256": EVIDENCE,
            "public_key": self.key_of(provider),
            "text": "what was signed",
            "signature": "provider's",
            **fields,
        }
        return e.Attest(actor=provider, product=product, rules=rules, **filled)

    def key_of(self, participant: str) -> str:
        return self.state.bureau.participants[participant].public_key

    def record(self, product: str, entry: str, actor: str = "", participant: str = "") -> Outcome:
        return self.must(
            e.RecordFact(
                actor=actor or self.reviewer,
                product=product,
                entry=entry,
                evidence_sha256=EVIDENCE,
                reason="it is so",
                participant=participant,
            )
        )

    def ban(self, participant: str, days: int = 30) -> None:
        until_ns = self.at_ns + days * DAY_NS if days else 0
        self.must(e.SetBan(actor=OPERATOR, participant=participant, until_ns=until_ns, reason="cheated"))

    # --- trading

    def order(
        self, participant: str, listing: str, quantity: int = 1, *, signed: bool = True, **fields: Any
    ) -> Outcome:
        """A buyer signs the listing's contract first, where it has not yet."""
        if signed and fields.get("side", "buy") == "buy":
            self.agree(participant, listing)
        if fields.get("side", "buy") == "buy":
            self._tell_persons_of(participant, listing)
        return self.do(e.PlaceOrder(actor=participant, listing=listing, quantity=quantity, **fields))

    def buy(self, participant: str, listing: str, quantity: int = 1, **fields: Any) -> str:
        """A posted-price purchase that settles; its trade."""
        return only(self.order(participant, listing, quantity, **fields), e.Settled).trade

    def metered(self, merchant: str, plan: Plan, product: str = "", **fields: Any) -> str:
        """A published metered listing; a month counts thirty days of its term."""
        shape = {"mechanism": "metered", "plan": plan, "term_days": 400, **fields}
        return self.listing(merchant, product, **shape)

    def subscribe(self, participant: str, listing: str, months: int = 1, **fields: Any) -> Outcome:
        """A buyer signs the listing's contract first, where it has not yet."""
        self.agree(participant, listing)
        self._tell_persons_of(participant, listing)
        return self.do(e.Subscribe(actor=participant, listing=listing, months=months, **fields))

    def subscribed(self, participant: str, listing: str, months: int = 1) -> str:
        """Settled, delivered and accepted: the subscription that runs."""
        made = only(self.subscribe(participant, listing, months), e.Subscribed)
        self.deliver(made.trade)
        self.accept(made.trade)
        return made.subscription

    def use(self, subscription: str, units: int, identifier: str = "", at_ns: int = 0) -> Outcome:
        """Told by its merchant, now or at an instant."""
        self._ids += 1
        record = e.UsageRecord(id=identifier or f"use {self._ids}", units=units, at_ns=at_ns or self.at_ns)
        seller = self.state.subscriptions[subscription].seller
        return self.do(e.RecordUsage(actor=seller, subscription=subscription, records=(record,)))

    def tick_all(self) -> list[Any]:
        """Everything that is due now, and what it led to."""
        events: list[Any] = []
        while self.state.timers and self.state.timers[0][0] < self.at_ns:
            events += self.tick().events
        return events

    def until(self, at_ns: int) -> list[Any]:
        """Time passes up to just behind this instant; whatever falls due on the way acts at its own date."""
        events: list[Any] = []
        while self.state.timers and self.state.timers[0][0] <= at_ns:
            events += self.tick_at(max(self.at_ns, self.state.timers[0][0]) + 1_001).events
        self.at_ns = max(self.at_ns, at_ns + 1)
        return events

    def bid(self, participant: str, listing: str, quantity: int, limit_fen: int, **fields: Any) -> Outcome:
        return self.order(participant, listing, quantity, limit_fen=limit_fen, **fields)

    def ask(self, participant: str, listing: str, quantity: int, limit_fen: int, **fields: Any) -> Outcome:
        return self.order(participant, listing, quantity, side="sell", limit_fen=limit_fen, **fields)

    def deliver(self, trade: str) -> Outcome:
        seller = self.state.trades[trade].seller
        delivery = e.Delivery(kind="file", sha256="cd" * 32, size=7, name="rows.csv")
        return self.must(e.Deliver(actor=seller, trade=trade, delivery=delivery))

    def accept(self, trade: str) -> Outcome:
        return self.must(e.AcceptDelivery(actor=self.state.trades[trade].buyer, trade=trade))

    def reject(self, trade: str) -> Outcome:
        return self.must(
            e.RejectDelivery(actor=self.state.trades[trade].buyer, trade=trade, reason="rows are missing")
        )

    def depth(self, listing: str) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        """(buys, sells), each as (price, quantity, orders) from the best on."""
        book = self.state.books[listing]
        return book.depth("buy", 9), book.depth("sell", 9)

    # --- invariants

    def check(self) -> None:
        """Everything that must hold between two commands."""
        state = self.state
        state.ledger.check()
        check_credentials(state, self.at_ns)
        for listing, book in state.books.items():
            gathers = not takes_orders(state, state.listings[listing])
            law = None if gathers else Law(state, state.listings[listing], self.at_ns)
            book.check(law, gathers)
        assert reservations(state) == wanted_reservations(state)
        assert self.money(ESCROW)[0] == sum(row.amount_fen for row in open_trades(state))
        assert self.money(BILLS)[0] == sum(set_off_fen(state, row) for row in state.bills.values())
        for row in open_trades(state):
            assert row.fee_fen + row.merchant_fen + sum(fen for _, fen in row.shares) == row.amount_fen
        assert {row.id for row in state.trades.values() if row.state == "held"} == state.holds.keys()
        resting = {order.id for book in state.books.values() for order in book.orders()}
        assert resting == state.orders.keys()
        assert state.incoming is None
        body = encode_state(state)
        assert encode_state(self.twin) == body, "the replay differs"
        assert encode_state(decode_state(body, boards(), rulebook(), "CN-46")) == body

    def replayed(self) -> State:
        """A new state out of the stored entries alone."""
        state = empty()
        for entry in self.entries:
            venue.replay(state, entry)
        return state


def open_trades(state: State) -> list[Trade]:
    """Trades whose price lies in escrow."""
    return [row for row in state.trades.values() if row.state != "held"]


def set_off_fen(state: State, bill: Bill) -> int:
    """What of an overdue bill was set off already, and waits for the rest."""
    if bill.state != "overdue":
        return 0
    return bill.amount_fen - state.claims.debts[bill.buyer][bill.debt].left_fen


def reservations(state: State) -> dict[str, tuple[str, str, int]]:
    return {row[0]: (row[1], row[2], row[3]) for row in state.ledger.dump()["reservations"]}


def wanted_reservations(state: State) -> dict[str, tuple[str, str, int]]:
    """What open orders and holds must have set aside, and nothing else may: id, then owner, asset, amount."""
    wanted = {}
    for order in state.orders.values():
        per_units = state.listings[order.listing].terms.price_per_units
        if order.side == "buy":
            cost = amount_fen(order.price_fen, per_units, order.remaining)
            wanted[order.id] = (order.participant, CNY, cost)
        else:
            wanted[order.id] = (order.participant, f"unit:{order.listing}", order.remaining)
    for trade in state.holds.values():
        wanted[trade.id] = (trade.buyer, CNY, trade.amount_fen)
        if trade.mechanism in ("continuous_auction", "call_auction"):
            wanted[f"{trade.id}:units"] = (trade.seller, f"unit:{trade.listing}", trade.quantity)
    for row in state.bank.withdrawals.values():
        if row.state in OPEN_STATES:
            wanted[row.id] = (row.participant, CNY, row.amount_fen)
    for auction in state.auctions.values():
        for bid in auction.bids.values():
            wanted[bid.id] = (bid.participant, CNY, bid.deposit_fen)
            wanted[f"{bid.id}:price"] = (bid.participant, CNY, bid.reserved_fen)
    return {key: row for key, row in wanted.items() if row[2]}


# --- parts of commands


def description() -> e.Description:
    return e.Description(
        title="Berth times",
        summary="Arrivals and departures at the port",
        fields=(e.Field(name="arrived_at", type="time"),),
        update_frequency="daily",
        quality_statement="complete since 2020",
    )


def classification(**fields: Any) -> e.Classification:
    """Of data that is about nobody and harms nobody, with other fields of it or of what is further said."""
    whole: dict[str, Any] = {
        "origin": "enterprise",
        "data_class": "general",
        "secret_kind": "none",
        "pi_state": "none",
        **{name: value for name, value in fields.items() if name not in e.Further.__struct_fields__},
    }
    further = {name: value for name, value in fields.items() if name in e.Further.__struct_fields__}
    return e.Classification(**whole, further=msgspec.structs.replace(HARMLESS, **further))


def consent_of(**fields: Any) -> e.Consent:
    whole: dict[str, Any] = {
        "basis": "separate_consent",
        "purposes": ("market_analysis",),
        "obtained_by": "free",
        "coverage_pct": 100,
        "guardian": False,
        "valid_until_ns": START_NS + 900 * DAY_NS,
        "cross_border_separate": False,
        **fields,
    }
    return e.Consent(**whole)


def authorisation(at_ns: int, **fields: Any) -> e.Authorisation:
    whole: dict[str, Any] = {
        "purposes": ("market_analysis", "risk_control"),
        "territories": ("CN", "CN-46"),
        "field_groups": ("core",),
        "deals": ALL_DEALS,
        "valid_from_ns": at_ns,
        "valid_until_ns": at_ns + 900 * DAY_NS,
        "sublicensable": True,
        "blanket": False,
        **fields,
    }
    return e.Authorisation(**whole)


def terms(**fields: Any) -> e.Terms:
    whole: dict[str, Any] = {
        "right": "product_operation",
        "deal": "licence",
        "purposes": ("market_analysis",),
        "territories": ("CN",),
        "field_group": "core",
        "term_days": 30,
        "mechanism": "posted_price",
        "supply": "unlimited",
        "price_fen": 500,
        **fields,
    }
    return e.Terms(**whole)


def personal() -> e.Classification:
    """Personal information about identifiable persons."""
    return classification(origin="personal", pi_state="identifiable")


def changed(value: T, **fields: Any) -> T:
    """The same struct with other fields."""
    return msgspec.structs.replace(value, **fields)  # type: ignore[type-var]
