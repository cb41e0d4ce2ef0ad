"""What is on offer: lawful listings of three boards, imported ones, and traps: orders that must not simply settle.

A trap says what is wrong and which rules must refuse or hold an order there: the day's own reading of `docs/RULES.md`,
not asked of the rulebook. What the venue refuses before anybody could order is an `Offer` that stops at its door.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from msgspec.structs import replace

from exchange.day.door import Person
from exchange.day.expectation import Outcome
from exchange.day.people import HONEST, Town

Character = Literal["honest", "careless", "dishonest"]
NOTICE_DAYS: Final = 5
DEALERS: Final = ("dealer-1", "dealer-2", "dealer-3")
"""Accredited, so that they may sell again what they bought in a book."""
PRICE_FEN: Final = 50_000
BOOK_PRICE_FEN: Final = 1_000
UNITS: Final = 10_000_000

GUARDED: Final = {
    "E02": "an unverified buyer is refused at the door (not_verified) before any rule is asked",
    "F02": "a board without approval takes no central mechanism (mechanism_not_allowed), and none loads with one",
}
"""Rules that no order of a day is refused by, and which guard stands before each; the guard is met instead."""

_ABROAD = "nothing of a day leaves the country, and its counts of persons run on for a year"
_HEALTH = "a day has no health data: its buyers would all have to be evaluated and entrusted first"
UNPLANTED: Final = {
    "A05": _ABROAD,
    "B08": "a dealer that may not resell could not be told from one that may",
    "C03": "is broken alone by genetic data for research at cost only, and a day sells none",
    "C04": "forbids in Shenzhen what is lawful where a day is played",
    "C06": "the persons behind a day's data are told of everybody who comes",
    "C15": "a day's personal data is assessed as it is registered",
    "D08": "its operator of public data would be refused for nothing else all day",
    "E09": "whoever runs a venue is refused in everything it sells",
    "F01": "no book that 国发〔2011〕38号 binds is open in a day",
    "F03": "no book that 国发〔2011〕38号 binds is open in a day, nor are there 200 buyers",
    "F04": "screens a product and a buyer together, and any buyer may walk into a trap",
    **dict.fromkeys(("G01", "G02", "G03", "G04", "G05", "G06"), _ABROAD),
    **dict.fromkeys(("G07", "H01", "H02", "H03", "H04", "H05"), _HEALTH),
}
"""Rules that a day breaks nowhere on purpose, and why: each has a story of its own in `tests/acceptance`."""

PERSONAL: Final[dict[str, Any]] = {
    "classification": {"origin": "personal", "pi_state": "identifiable"},
    "consent": {"basis": "separate_consent", "purposes": ["market_analysis"]},
}
EXCLUSIVE: Final[dict[str, Any]] = {"deal": "exclusive_licence", "supply": "exclusive", "supply_units": 1}
BOOK: Final[dict[str, Any]] = {
    "mechanism": "continuous_auction",
    "supply": "limited",
    "supply_units": UNITS,
    "price_fen": BOOK_PRICE_FEN,
}
GUIDED: Final[dict[str, Any]] = {"price_regime": "gov_guided", "price_cap_fen": 10_000, "price_fen": 10_000}


def public(**classification: Any) -> dict[str, Any]:
    """Declared as public data under authorised operation."""
    return {
        "classification": {"origin": "public", "open_class": "unconditional", **classification},
        "source": {"channel": "authorised_operation"},
    }


@dataclass(frozen=True)
class Stall:
    """A published listing. `longest_days` is the longest of its dates."""

    label: str
    listing: str
    product: str
    seller: str
    character: Character
    board: str
    price_fen: int
    per_units: int = 1
    purpose: str = "market_analysis"
    territory: str = "CN"
    longest_days: int = 3
    shares: tuple[tuple[str, int], ...] = ()
    mechanism: str = "posted_price"


@dataclass(frozen=True)
class Trap:
    """An order that must not simply settle. `by` is the only one who may walk into it; empty: anybody.

    `code` is the refusal's name, `held`, or `refused` by clearing; `body` is what is special in the order. `once`: one
    order, no more. `hold` says how its holds end: the rule is cured, they run out, or the registration is revoked
    under them.
    """

    label: str
    stall: Stall
    rules: tuple[str, ...]
    code: str = "unlawful"
    by: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    once: bool = False
    hold: Literal["", "cured", "lapsed", "revoked"] = ""
    guard_of: str = ""


@dataclass(frozen=True)
class Defect:
    """What is wrong with an offer, and when it becomes so.

    `after` are steps once it is published: (amend, group, changes) with confirmation, (record, entry) by the reviewer,
    (own, entry) by the merchant, (enter, register, facts) of the product. `until_days` in changes is a date from then on.
    """

    label: str
    rules: tuple[str, ...]
    declared: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)
    board: str = "general"
    after: tuple[tuple[Any, ...], ...] = ()
    valid_from_days: int = -30
    registered_days: int = 730
    code: str = "unlawful"
    body: dict[str, Any] = field(default_factory=dict)
    hold: Literal["", "cured", "lapsed", "revoked"] = ""


def _narrowed(label: str, rule: str, **changes: Any) -> Defect:
    return Defect(label, (rule,), after=(("amend", "authorisation", changes),))


def _consented(label: str, rule: str, basis: str, *purposes: str, hold: Any = "") -> Defect:
    consent = {"basis": basis, "purposes": list(purposes)}
    return Defect(label, (rule,), PERSONAL, after=(("amend", "consent", consent),), hold=hold)


def _entered(label: str, rule: str, register: str, hold: Any = "", **facts: Any) -> Defect:
    return Defect(label, (rule,), after=(("enter", register, facts),), hold=hold)


def _classified(label: str, rule: str, hold: Any = "", **changes: Any) -> Defect:
    return Defect(label, (rule,), after=(("amend", "classification", changes),), hold=hold)


def _consent(label: str, rule: str, hold: Any = "", **changes: Any) -> Defect:
    content = {**PERSONAL["consent"], **changes}
    return Defect(label, (rule,), PERSONAL, after=(("amend", "consent", content),), hold=hold)


def _public(label: str, rule: str, group: str, **changes: Any) -> Defect:
    after = (("amend", group, changes),)
    return Defect(label, (rule,), public(), board="public_data", after=after)


def _objected(label: str, hold: Any, entry: str = "objection_raised") -> Defect:
    return Defect(label, ("B11",), after=(("record", entry),), hold=hold)


DEFECTS: Final = (
    Defect("state secret", ("A01",), after=(("amend", "classification", {"secret_kind": "state"}),)),
    Defect("core data", ("A02",), after=(("amend", "classification", {"data_class": "core"}),)),
    Defect("public risk", ("A03",), after=(("record", "risk_confirmed"),)),
    Defect("authorisation withdrawn", ("B01",), after=(("record", "authorisation_withdrawn"),)),
    Defect("authorisation to come", ("B02",), valid_from_days=400),
    _narrowed("term outruns authorisation", "B03", until_days=80),
    _narrowed("purpose not authorised", "B04", purposes=["risk_control"]),
    _narrowed("territory not authorised", "B05", territories=["HK"]),
    _narrowed("fields not authorised", "B06", field_groups=["extended"]),
    _narrowed("deal not authorised", "B07", deals=["exclusive_licence"]),
    Defect("registration revoked", ("B10",), after=(("record", "registration_revoked"),)),
    Defect("registration over", ("B12",), terms={"term_days": 1, "delivery_days": 1}, registered_days=2),
    _consented("no basis", "C01", "none"),
    Defect("consent withdrawn", ("C05",), PERSONAL, after=(("own", "consent_withdrawn"),)),
    _consented("purpose without consent", "C07", "separate_consent", "risk_control"),
    Defect(
        "closed public data",
        ("D01",),
        public(open_class="not_open", declassified=True),
        board="public_data",
        after=(("amend", "classification", {"declassified": False}),),
    ),
    Defect(
        "conditionally opened data",
        ("D02",),
        {
            **public(open_class="conditional", derived=True),
            "source": {"channel": "open_platform_conditional"},
        },
        board="public_data",
        after=(("amend", "classification", {"derived": False}),),
    ),
    Defect(
        "above the ceiling",
        ("D05",),
        terms={**BOOK, **GUIDED},
        board="computing",
        body={"limit_fen": 10_001, "time_in_force": "ioc"},
    ),
    Defect(
        "public good for money",
        ("D06",),
        {"authorisation": {"purposes": ["public_welfare"]}},
        {"purposes": ["public_welfare"]},
        after=(("amend", "classification", {"origin": "public", "open_class": "unconditional"}),),
        body={"purpose": "public_welfare"},
    ),
    Defect(
        "three at once",
        ("A03", "B01", "B11"),
        after=(
            ("record", "risk_confirmed"),
            ("record", "authorisation_withdrawn"),
            ("record", "objection_raised"),
        ),
    ),
    Defect("security suspected", ("A04",), after=(("record", "risk_suspected"),), hold="lapsed"),
    _classified("important, not assessed", "A06", "lapsed", data_class="important"),
    Defect("secrets of others", ("B20",), after=(("amend", "classification", {"secret_kind": "trade"}),)),
    _classified("human genes at a price", "A08", human_genetic=True),
    Defect(
        "called anonymised",
        ("C12", "C13"),
        after=(("amend", "classification", {"origin": "personal", "pi_state": "anonymised"}),),
    ),
    _classified("collected in an emergency", "C16", emergency_collected=True),
    _classified("more security than anybody has", "E07", "lapsed", required_security_level=3),
    _classified("a licence is missing", "E08", licence_required=True),
    _entered("pledged", "B15", "pledges", "lapsed", number="1", state="pledged"),
    _entered("stolen", "B18", "source_reviews", lawfulness="unlawful"),
    _entered("of unknown source", "B19", "source_reviews", "lapsed", lawfulness="unknown"),
    _entered("frozen", "B21", "freezes", number="1", authority="海口中院", state="frozen"),
    _entered("harms others", "B22", "harm_opinions", level="confirmed"),
    _entered("a complaint is pending", "B23", "harm_opinions", "lapsed", level="suspected"),
    Defect(
        "blanket authorisation", ("B09",), PERSONAL, after=(("amend", "authorisation", {"blanket": True}),)
    ),
    Defect("children unasked", ("C09",), PERSONAL, after=(("amend", "classification", {"under14": True}),)),
    _consent("nine in ten agreed", "C08", "lapsed", coverage_pct=90),
    _consent("bundled consent", "C10", obtained_by="bundled"),
    _consent("consent over", "C11", until_days=-1),
    _public("shared by an authority", "D03", "source", channel="gov_sharing", sharing_provider_consent=False),
    _public("raw data leaves", "D04", "classification", raw_leaves_domain=True),
    _public("operation over", "D07", "source", until_days=-1),
    Defect(
        "faces and plates",
        ("T01",),
        board="transport",
        after=(("amend", "classification", {"face_plate_video": True}),),
        hold="lapsed",
    ),
    _objected("objection, settled later", "cured"),
    _objected("objection, never settled", "lapsed"),
    _objected("registration suspended, resumed later", "cured", "registration_suspended"),
    _objected("objection, then revoked", "revoked"),
    _consented("general consent, mended later", "C02", "general_consent", "market_analysis", hold="cured"),
    _consented("general consent, left so", "C02", "general_consent", "market_analysis", hold="lapsed"),
)


@dataclass(frozen=True)
class Offer:
    """An offer that does not get as far as an order."""

    label: str
    outcome: Outcome
    declared: dict[str, Any] = field(default_factory=dict)
    decided: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)
    board: str = "general"
    guard_of: str = ""


def unlawful(*rules: str) -> Outcome:
    return Outcome("unlawful", rules)


OFFERS: Final = (
    Offer("right not held", unlawful("B14"), decided={"rights": ["resource_holding", "processing_use"]}),
    Offer("state secret declared", unlawful("A01"), {"classification": {"secret_kind": "state"}}),
    Offer("core data declared", unlawful("A02"), {"classification": {"data_class": "core"}}),
    Offer(
        "public data above the guided price",
        unlawful("D05"),
        public(),
        terms={**GUIDED, "price_fen": 10_001},
        board="public_data",
    ),
    Offer(
        "public data for welfare at a price",
        unlawful("D06"),
        {**public(), "authorisation": {"purposes": ["public_welfare"]}},
        terms={"purposes": ["public_welfare"], "price_fen": 1},
        board="public_data",
    ),
    Offer("book without approval", Outcome("mechanism_not_allowed"), terms=BOOK, guard_of="F02"),
)


@dataclass
class Market:
    """All that stands there. `first` are purchases that must come before the traps work: (buyer, stall)."""

    posted: list[Stall] = field(default_factory=list)
    books: list[Stall] = field(default_factory=list)
    imported: list[Stall] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    first: list[tuple[str, Stall]] = field(default_factory=list)

    @property
    def longest_days(self) -> int:
        return max(stall.longest_days for stall in (*self.posted, *self.imported))


class Builder:
    """Puts the market up: `build` before the public notice of public data, `spoil` after the first purchases."""

    def __init__(self, town: Town, priors: int) -> None:
        self.town, self.priors, self.market = town, priors, Market()
        self._spoilt: list[tuple[Defect, Stall]] = []
        self._characters: dict[str, Character] = {}

    # -- what is lawful

    def build(self) -> Market:
        self._merchants()
        self._ordinary()
        for defect in DEFECTS:
            self._defective(defect)
        self._exclusives()
        self._right_sold()
        self._parties()
        self._declared()
        self._plain_refusals()
        return self.market

    def _merchants(self) -> None:
        for character in ("honest", "careless", "dishonest"):
            for number in (1, 2):
                self.merchant(f"{character}-{number}", character)
        for label in DEALERS:
            self.town.cash_in(self.merchant(label, "honest", "buyer"))

    def merchant(self, label: str, character: Character, *roles: str) -> Person:
        self._characters[label] = character
        return self.town.merchant(label, *roles)

    def _ordinary(self) -> None:
        """Several boards, prices by the thousand, free of charge, at the ceiling, shared with a contributor."""
        contributor = self.town.buyer("contributor", 0)
        shares = [[contributor.participant, 3_333]]
        self._posted("port statistics", "honest-1")
        self._posted("risk indicators", "honest-1", terms={"purposes": ["risk_control"], "price_fen": 33_333})
        self._posted("calls by the thousand", "honest-2", terms={"price_fen": 333, "price_per_units": 1_000})
        self._posted(
            "shared revenue", "honest-2", declared={"shares": shares}, shares=(("contributor", 3_333),)
        )
        self._posted("consented records", "honest-2", declared=PERSONAL)
        self._posted("open data", "honest-1", board="public_data", declared=public())
        self._posted("guided price", "honest-1", board="public_data", declared=public(), terms=GUIDED)
        self._posted("public welfare", "careless-1", board="public_data", terms=_FREE, declared=_WELFARE)
        self._posted("compute hours", "honest-2", board="computing", terms={"price_fen": 8_800})
        for number in (1, 2):
            self._posted(f"weather {number}", f"careless-{number}")
            self._posted(f"addresses {number}", f"dishonest-{number}")
        for seller in ("honest-1", "careless-2"):
            stall = self.offer(f"book of {seller}", seller, board="computing", terms=BOOK)
            self.market.books.append(stall)

    def _posted(self, label: str, seller: str, **what: Any) -> None:
        self.market.posted.append(self.offer(label, seller, **what))

    def offer(
        self,
        label: str,
        seller: str,
        *,
        board: str = "general",
        declared: dict[str, Any] | None = None,
        decided: dict[str, Any] | None = None,
        terms: dict[str, Any] | None = None,
        product: str = "",
        shares: tuple[tuple[str, int], ...] = (),
    ) -> Stall:
        """Registered, listed, approved; public data is published after its notice only."""
        person, terms = self.town.people[seller], terms or {}
        registered = product or str(
            self.town.product(person, declared or {}, decided or {}).must()["product"]
        )
        listed = str(self.town.listing(person, registered, board, terms).must()["listing"])
        purpose = terms.get("purposes", ["market_analysis"])[0]
        price_fen, per_units = terms.get("price_fen", PRICE_FEN), terms.get("price_per_units", 1)
        return Stall(
            label,
            listed,
            registered,
            seller,
            self._characters[seller],
            board,
            price_fen,
            per_units,
            purpose,
            shares=shares,
            mechanism=terms.get("mechanism", "posted_price"),
        )

    # -- traps that lie in the goods

    def _defective(self, defect: Defect) -> None:
        dated = {"valid_from": self.town.in_days(defect.valid_from_days)}
        authorised = {**defect.declared.get("authorisation", {}), **dated}
        stall = self.offer(
            defect.label,
            "dishonest-1",
            board=defect.board,
            declared={**defect.declared, "authorisation": authorised},
            decided={"valid_until": self.town.in_days(defect.registered_days)},
            terms=defect.terms,
        )
        code = "held" if defect.hold else defect.code
        trap = Trap(defect.label, stall, defect.rules, code, body=defect.body, hold=defect.hold)
        self.market.traps.append(trap)
        self._spoilt.append((defect, stall))

    def spoil(self) -> None:
        """What was lawful when it was published is not any more."""
        for defect, stall in self._spoilt:
            for kind, *what in defect.after:
                if kind == "amend":
                    self._amend(defect, stall, *what)
                elif kind == "enter":
                    self.town.enter(what[0], what[1], product=stall.product)
                else:
                    by = self.town.people[stall.seller] if kind == "own" else None
                    self.town.record(stall.product, what[0], by)
        self.town.suspend_credential(self.town.people["suspended"])
        self.town.ban(self.town.people["banned-merchant"])
        self.town.ban(self.town.people["banned-buyer"])
        vetoed, listed = self.town.people["vetoed"].participant, self.town.people["listed"].participant
        self.town.enter("compliance_vetoes", {"state": "vetoed"}, participant=vetoed)
        self.town.enter("restricted_lists", {"list": "pipl_42", "version": "1"}, participant=listed)

    def _amend(self, defect: Defect, stall: Stall, group: str, changes: dict[str, Any]) -> None:
        content = {**defect.declared.get(group, {}), **changes}
        if "until_days" in content:
            date = "operation_until" if group == "source" else "valid_until"
            content[date] = self.town.in_days(content.pop("until_days"))
        self.town.amend(self.town.people[stall.seller], stall.product, group, content)

    def _exclusives(self) -> None:
        """B16: the exclusive licence is sold to another. B17: earlier licences, disclosed to nobody, or accepted."""
        self.town.buyer("collector")
        ordinary = self.offer("sold exclusively", "careless-1")
        exclusive = self.offer("exclusive right", "careless-1", product=ordinary.product, terms=EXCLUSIVE)
        self.market.first.append(("collector", exclusive))
        self.market.traps.append(Trap("exclusive licence in force", ordinary, ("B16",)))
        for number in range(self.priors):
            prior = self.offer(f"licensed before {number}", "careless-2")
            again = self.offer(
                f"exclusive over prior {number}", "careless-2", product=prior.product, terms=EXCLUSIVE
            )
            self.market.first.append(("collector", prior))
            hold: Any = "cured" if number % 2 == 0 else "lapsed"
            trap = Trap(f"prior licence {number}", again, ("B17",), "held", once=True, hold=hold)
            self.market.traps.append(trap)

    def _right_sold(self) -> None:
        """B13: the right itself is sold while another listing of it stands."""
        self.merchant("heir", "honest", "buyer")
        self.town.cash_in(self.town.people["heir"])
        ordinary = self.offer("right sold meanwhile", "careless-1")
        terms = {**EXCLUSIVE, "deal": "transfer"}
        whole = self.offer("the right itself", "careless-1", product=ordinary.product, terms=terms)
        self.market.first.append(("heir", whole))
        self.market.traps.append(Trap("seller holds no right", ordinary, ("B13",)))

    # -- traps that lie in the parties, and refusals without a rule

    def _parties(self) -> None:
        town, lawful = self.town, self.market.posted[0]
        self.merchant("suspended", "dishonest")
        self.merchant("banned-merchant", "dishonest")
        self.merchant("vetoed", "honest")
        town.buyer("banned-buyer")
        town.buyer("listed")
        town.buyer("sister", owned_as=lawful.seller)
        newcomer = town.newcomer("unverified", "buyer")
        town.cash_in(newcomer)
        self.market.traps += [
            Trap("credential suspended", self.offer("of the suspended", "suspended"), ("E01",)),
            Trap("banned seller", self.offer("of the banned", "banned-merchant"), ("E03",)),
            Trap("vetoed inside", self.offer("of the vetoed", "vetoed"), ("E10",)),
            Trap("on a list", lawful, ("E04",), by="listed"),
            Trap("banned buyer", lawful, ("E03",), by="banned-buyer"),
            Trap("same owner", lawful, ("E05",), by="sister"),
            Trap("unverified buyer", lawful, (), "not_verified", by="unverified", guard_of="E02"),
        ]

    def _declared(self) -> None:
        """What a buyer declares with its signature on the contract decides."""
        town, lawful = self.town, self.market.posted[0]
        personal = next(stall for stall in self.market.posted if stall.label == "consented records")
        for label, stall, declared in (
            ("snoop", lawful, {"reidentification_intent": True}),
            ("subpoenaed", lawful, {"for_foreign_judicial": True}),
            ("refuser", personal, {"security_terms_accepted": False}),
        ):
            town.agree(town.buyer(label), stall.listing, replace(HONEST, **declared))
        town.buyer("cousin", grouped_as=lawful.seller)
        self.market.traps += [
            Trap("re-identification", lawful, ("C14",), by="snoop"),
            Trap("for a foreign court", lawful, ("A09",), "refused", by="subpoenaed"),
            Trap("security duties refused", personal, ("A07",), "held", by="refuser", hold="cured"),
            Trap("relation not disclosed", lawful, ("E06",), "held", by="cousin", hold="cured"),
        ]

    def _plain_refusals(self) -> None:
        lawful, book = self.market.posted[0], self.market.books[0]
        self.town.buyer("poor", 1)
        nowhere = Stall("nowhere", "L999999999", "", lawful.seller, "honest", "general", PRICE_FEN)
        self.market.traps += [
            Trap("no money", lawful, (), "funds_insufficient", by="poor"),
            Trap("purpose not on offer", lawful, (), "outside_terms", body={"purpose": "advertising"}),
            Trap("limit below the price", lawful, (), "nothing_to_match", body={"limit_fen": 1}),
            Trap("units of others", book, (), "not_accredited", by="buyer-01", body=_SELL),
            Trap("no such listing", nowhere, (), "not_found"),
        ]

    def imported(self, merchants: tuple[Person, ...]) -> Iterator[Stall]:
        """Published listings of these merchants, at a posted price and without end; they come to the day as well.

        In the order of what they offer: two imports of one file number its rows differently.
        """
        for merchant in merchants:
            views = [view for view in merchant.every("/v1/listings") if _is_ordered(merchant, view)]
            for view in sorted(views, key=lambda view: (view["title"], view["price_fen"], view["purposes"])):
                self.town.people[merchant.label] = merchant
                self.town.offer_contract(merchant, view["listing"])
                product = merchant.get(f"/v1/products/{view['product']}")
                shares = tuple((str(who), int(part_bp)) for who, part_bp in product.get("shares", ()))
                yield _imported(merchant, view, shares)

    def attempt(self, offer: Offer) -> Outcome:
        """The first refusal on the way to publication; `placed` where there is none."""
        seller = self.town.people["dishonest-2"]
        answer = self.town.product(seller, offer.declared, offer.decided)
        if answer.done:
            answer = self.town.listing(seller, answer.body["product"], offer.board, offer.terms)
        return Outcome("placed") if answer.done else refusal_of(answer.body)


_SELL: Final[dict[str, Any]] = {"side": "sell", "limit_fen": BOOK_PRICE_FEN}
_FREE: Final[dict[str, Any]] = {"purposes": ["public_welfare"], "price_fen": 0}
_WELFARE: Final[dict[str, Any]] = {**public(), "authorisation": {"purposes": ["public_welfare"]}}


def refusal_of(problem: dict[str, Any]) -> Outcome:
    return Outcome(str(problem["code"]), rules_of(problem))


def rules_of(body: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(str(one["rule"]) for one in body.get("violated", ())))


def _is_ordered(merchant: Person, view: dict[str, Any]) -> bool:
    posted = view["mechanism"] == "posted_price" and view["supply"] == "unlimited"
    return bool(view["state"] == "published" and posted and view["merchant"] == merchant.participant)


def _imported(merchant: Person, view: dict[str, Any], shares: tuple[tuple[str, int], ...]) -> Stall:
    return Stall(
        f"{view['title']} of {merchant.label}",
        view["listing"],
        view["product"],
        merchant.label,
        "honest",
        view["board"],
        view["price_fen"],
        view["price_per_units"],
        view["purposes"][0],
        view["territories"][0],
        max(view["delivery_days"], view["acceptance_days"], view["redelivery_days"]),
        shares,
    )
