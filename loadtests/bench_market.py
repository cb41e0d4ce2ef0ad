"""The market of the bench: one venue with verified parties and listings, and streams of orders for it.

    20 buyers       money without end, verified
    20 sellers      the merchant of the product, and holders who bought units of it before
    posted listing  unlimited supply at a posted price; each order settles at once
    book listing    transferable units, bids and asks some 20 prices deep before the first order comes

The book's stream follows the usual shape of a market: half of the commands rest, a third is marketable, 15 % cancel.
A marketable order is sized so that the book neither runs dry nor fills up, and meets about two makers. Everything is
drawn from a seed. `Flow.note` tells a stream what became of its command, so that it can cancel what rests.
"""

import base64
import random
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from stdnum.cn import uscc

from clearing import notrade
from clearing.contract import Declarations, Security
from exchange import board, events, venue
from exchange.contract import draft
from exchange.events import CancelOrder, Command, PlaceOrder
from exchange.state import DAY_NS, State

BUYERS: Final = 20
SELLERS: Final = 20
POSTED_FEN: Final = 500
MIDDLE_FEN: Final = 1_000
DEPTH_FEN: Final = 20
FAR_FEN: Final = 500
UNITS_EACH: Final = 10**7
HAND_OUTS: Final = 10
LISTED_DAYS: Final = 890
RESTING_BEFORE: Final = 1_000
DRAWN: Final = 9_973
JURISDICTION: Final = "CN-46"
EVIDENCE: Final = "e" * 64
FACT_GROUPS: Final = ("classification", "source", "authorisation", "consent")

BOARDS: Final = board.load()
RULEBOOK: Final = notrade.load()


def empty() -> State:
    return State(BOARDS, RULEBOOK, JURISDICTION)


class Market(Struct):
    """A venue ready for orders, and the journal entries that made it."""

    state: State
    entries: list[bytes]
    posted: str
    book: str
    buyers: list[str]
    sellers: list[str]
    numbers: dict[str, int]
    """Participant: the number its key is made of (`private_key`)."""


def private_key(number: int) -> Ed25519PrivateKey:
    """The key of a party of the bench: no secret."""
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


class Flow(Protocol):
    """A stream of commands by one submitter."""

    def command(self) -> PlaceOrder | CancelOrder: ...

    def note(self, outcome: venue.Outcome) -> None: ...


# ---- setting up


class _Founding:
    """Gives commands to a pure venue and keeps what it journals."""

    def __init__(self, at_ns: int) -> None:
        self.state = empty()
        self.entries: list[bytes] = []
        self.at_ns = at_ns
        self.numbers: dict[str, int] = {}

    def do(self, command: Command | PlaceOrder) -> Any:
        """The first event. A refusal is a mistake of the bench."""
        self.at_ns += 1_000
        outcome = venue.execute(self.state, command, self.at_ns)
        assert outcome.refusal is None, f"{command}: {outcome.refusal}"
        self.entries.append(outcome.entry)
        return outcome.events[0]

    def party(self, number: int) -> str:
        """A legal person, verified and accredited, with money."""
        key = base64.b64encode(private_key(number).public_key().public_bytes_raw()).decode()
        code = f"91460000MA{number:07d}"
        registered = self.do(
            events.RegisterParticipant(
                actor="",
                legal_name=f"party {number}",
                public_key=key,
                roles=("buyer", "merchant"),
                uscc=code + uscc.calc_check_digit(code),
            )
        )
        name: str = registered.participant
        self.numbers[name] = number
        until_ns = self.at_ns + 900 * DAY_NS
        reviewer = "P2"
        self.do(
            events.DecideIdentity(
                actor=reviewer,
                participant=name,
                accept=True,
                mandate_until_ns=until_ns,
                evidence_sha256=EVIDENCE,
            )
        )
        self.do(events.ApplyForAccreditation(actor=name, evidence_sha256=EVIDENCE))
        self.do(
            events.DecideAccreditation(
                actor=reviewer,
                participant=name,
                step="accredit",
                valid_until_ns=until_ns,
                evidence_sha256=EVIDENCE,
            )
        )
        self.do(
            events.BookCashIn(actor="P1", participant=name, amount_fen=10**13, bank_reference=f"bank {name}")
        )
        return name

    def product(self, merchant: str, contributor: str) -> str:
        submitted = self.do(
            events.SubmitProduct(
                actor=merchant,
                description=events.Description(
                    title="Order flow",
                    summary="a product of the bench",
                    fields=(events.Field(name="amount", type="int"),),
                    update_frequency="daily",
                    quality_statement="made for the bench",
                ),
                classification=events.Classification(
                    origin="enterprise",
                    data_class="general",
                    secret_kind="none",
                    pi_state="none",
                    further=events.Further(
                        human_genetic=False,
                        emergency_collected=False,
                        licence_required=False,
                        required_security_level=0,
                    ),
                ),
                source=events.Source(
                    channel="self_generated", statement="own records", bypassed_controls=False
                ),
                authorisation=events.Authorisation(
                    purposes=("market_analysis",),
                    territories=("CN",),
                    field_groups=("core",),
                    deals=("licence",),
                    valid_from_ns=self.at_ns,
                    valid_until_ns=self.at_ns + 900 * DAY_NS,
                    sublicensable=True,
                ),
                consent=events.Consent(basis="none"),
                evidence=dict.fromkeys(FACT_GROUPS, EVIDENCE),
                shares=((contributor, 1_000),),
            )
        )
        name: str = submitted.product
        self.do(
            events.DecideProduct(
                actor="P2",
                product=name,
                decision="register",
                revision=1,
                confirmed=FACT_GROUPS,
                rights=("product_operation", "processing_use"),
                valid_until_ns=self.at_ns + 900 * DAY_NS,
            )
        )
        return name

    def listing(self, merchant: str, product: str, board_name: str, **changes: Any) -> str:
        shape: dict[str, Any] = {
            "right": "product_operation",
            "deal": "licence",
            "purposes": ("market_analysis",),
            "territories": ("CN",),
            "field_group": "core",
            "term_days": 30,
            "mechanism": "posted_price",
            "supply": "unlimited",
            "price_fen": POSTED_FEN,
            "listed_days": LISTED_DAYS,
        }
        terms = events.Terms(**shape | changes)
        created = self.do(
            events.CreateListing(
                actor=merchant,
                product=product,
                board=board_name,
                terms=terms,
                attributes={field.name: field.example for field in self.state.boards[board_name].fields},
            )
        )
        name: str = created.listing
        self.do(events.MoveListing(actor=merchant, listing=name, step="submit"))
        self.do(events.MoveListing(actor="P2", listing=name, step="approve"))
        return name

    def contract(self, merchant: str, listing: str, buyers: list[str]) -> None:
        """Signed by all: the keys are the founders', and the founding goes past the web door, which would verify."""
        row, security = self.state.listings[listing], Security(method="dataset", duties=("encryption",))
        drawn = draft(self.state, row, security)
        people = self.state.bureau.participants
        said = {"listing": listing, "sha256": drawn.sha256, "signature": "founding"}
        self.do(
            events.OfferContract(
                actor=merchant, security=security, public_key=people[merchant].public_key, **said
            )
        )
        for buyer in buyers:
            self.do(
                events.SignContract(
                    actor=buyer, declarations=HONEST, public_key=people[buyer].public_key, **said
                )
            )


HONEST: Final = Declarations(
    for_foreign_judicial=False,
    reidentification_intent=False,
    human_research=False,
    related_disclosed=False,
    security_terms_accepted=True,
    log_retention_months=36,
)


def found(at_ns: int, simulated: bool = False) -> Market:
    """A venue opened at this instant, with its parties, its listings and a filled book. About 0.3 s."""
    founding = _Founding(at_ns)
    keys = [base64.b64encode(bytes([number]) * 32).decode() for number in (251, 252)]
    founding.do(events.OpenVenue(actor=events.VENUE, public_key=keys[0], simulated=simulated))
    founding.do(events.AdoptRulebook(actor=events.VENUE, sha256=RULEBOOK.sha256))
    founding.do(events.RegisterParticipant(actor="", legal_name="the reviewer", public_key=keys[1]))
    founding.do(events.GrantRole(actor="P1", participant="P2", role="reviewer"))
    parties = [founding.party(number) for number in range(1, BUYERS + SELLERS + 2)]
    contributor, merchant, *others = parties
    product = founding.product(merchant, contributor)
    posted = founding.listing(merchant, product, "general")
    book = founding.listing(
        merchant,
        product,
        "computing",
        mechanism="continuous_auction",
        supply="limited",
        supply_units=UNITS_EACH * SELLERS,
        price_fen=MIDDLE_FEN,
    )
    buyers, holders = others[:BUYERS], others[BUYERS:]
    for listing, parties in ((posted, buyers), (book, [*buyers, *holders])):
        founding.contract(merchant, listing, parties)
    _hand_out(founding, book, merchant, holders)
    market = Market(
        founding.state, founding.entries, posted, book, buyers, [merchant, *holders], founding.numbers
    )
    for order in _resting(market, random.Random(7)):
        founding.do(order)
    founding.state.ledger.check()
    return market


def _hand_out(founding: _Founding, book: str, merchant: str, holders: list[str]) -> None:
    """The merchant sells units to those who will sell them on; in parts, for an order has a ceiling."""
    for holder in holders:
        for _ in range(HAND_OUTS):
            for actor, side in ((merchant, "sell"), (holder, "buy")):
                quantity = UNITS_EACH // HAND_OUTS
                founding.do(
                    PlaceOrder(actor=actor, listing=book, side=side, quantity=quantity, limit_fen=MIDDLE_FEN)
                )


def _resting(market: Market, chance: random.Random) -> Iterator[PlaceOrder]:
    for number in range(2 * RESTING_BEFORE):
        side = ("buy", "sell")[number % 2]
        yield PlaceOrder(
            actor=_party(market, side, number),
            listing=market.book,
            side=side,
            quantity=chance.randrange(10, 31),
            limit_fen=_resting_price(side, chance),
        )


def _party(market: Market, side: str, number: int) -> str:
    parties = market.buyers if side == "buy" else market.sellers
    return parties[number % len(parties)]


def _resting_price(side: str, chance: random.Random) -> int:
    distance = 1 + chance.randrange(DEPTH_FEN)
    return MIDDLE_FEN - distance if side == "buy" else MIDDLE_FEN + distance


# ---- streams


class CommandIds:
    """UUIDs of version 7 in order, of one submitter. They are unique while `submitter` is."""

    def __init__(self, at_ms: int, submitter: int) -> None:
        stamp = f"{at_ms:012x}"
        self._head = f"{stamp[:8]}-{stamp[8:]}-7000-8{submitter:03x}-"
        self._number = 0

    def next(self) -> str:
        self._number += 1
        return f"{self._head}{self._number:012x}"


class PostedFlow:
    """Orders at the posted price; every one settles."""

    def __init__(self, market: Market, submitter: int, ids: CommandIds | None = None) -> None:
        self._listing = market.posted
        self._buyers = market.buyers
        self._turn = submitter
        self._ids = ids

    def command(self) -> PlaceOrder:
        self._turn += 1
        return PlaceOrder(
            actor=self._buyers[self._turn % len(self._buyers)],
            key=self._ids.next() if self._ids is not None else "",
            listing=self._listing,
            quantity=1,
        )

    def note(self, outcome: venue.Outcome) -> None:
        assert outcome.refusal is None, outcome.refusal


_Drawn = tuple[str, str, int, int, str]
"""(resting, marketable or cancel; side; quantity; limit in fen; time in force)"""


def _draw(chance: random.Random) -> _Drawn:
    kind = chance.choices(("resting", "marketable", "cancel"), (52, 33, 15))[0]
    side = chance.choice(("buy", "sell"))
    if kind == "marketable":
        far = MIDDLE_FEN + FAR_FEN if side == "buy" else MIDDLE_FEN - FAR_FEN
        return kind, side, chance.randrange(13, 35), far, "ioc"
    return kind, side, chance.randrange(10, 31), _resting_price(side, chance), "gtc"


DRAWN_COMMANDS: Final = tuple(_draw(chance) for chance in [random.Random(11)] for _ in range(DRAWN))


class BookFlow:
    """Orders of the book: they rest, take, or are cancelled. Buyers buy and holders sell, so nobody meets itself."""

    def __init__(self, market: Market, submitter: int, ids: CommandIds | None = None) -> None:
        self._market = market
        self._turn = submitter * 37
        self._ids = ids
        self._resting: deque[tuple[str, str]] = deque(maxlen=1_000)

    def command(self) -> PlaceOrder | CancelOrder:
        self._turn += 1
        kind, side, quantity, limit_fen, force = DRAWN_COMMANDS[self._turn % DRAWN]
        key = self._ids.next() if self._ids is not None else ""
        if kind == "cancel" and self._resting:
            participant, order = self._resting.pop()
            return CancelOrder(actor=participant, key=key, order=order)
        return PlaceOrder(
            actor=_party(self._market, side, self._turn),
            key=key,
            listing=self._market.book,
            side=side,
            quantity=quantity,
            limit_fen=limit_fen,
            time_in_force=force,
        )

    def note(self, outcome: venue.Outcome) -> None:
        """An order that rests can be cancelled later; a cancel may come too late for an order that was filled."""
        happened = outcome.events
        if len(happened) == 1 and type(happened[0]) is events.OrderPlaced:
            self._resting.append((happened[0].participant, happened[0].order))


def settled(outcome: venue.Outcome) -> int:
    """How many trades the command settled."""
    return sum([type(event) is events.Settled for event in outcome.events])
