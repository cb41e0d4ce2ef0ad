"""Issue 4: each rule by a story over HTTP from an empty venue that exactly this rule refuses or holds, and a lawful twin.

The first thirty have theirs in `test_rules.py`, rules that count in `test_counters.py`, duties after the trade in
`test_duties.py`; `test_every_rule.py` finds a rule without one. A story is a row: what is declared, listed, entered in the
registers, signed and ordered; `wrong` is what makes it unlawful and `right` what its twin has instead. Registers are
entered after publication, so that the story meets the rule at the order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.storybook import Row
from tests.story import Venue, done, rules_named, settled, sha256_of, unlawful

Facts = dict[str, Any]
PERSONAL: Facts = {
    "classification": {"origin": "personal", "pi_state": "identifiable", "persons": 1_000},
    "consent": {"basis": "separate_consent", "purposes": ["market_analysis"]},
}
PUBLIC: Facts = {
    "classification": {"origin": "public", "open_class": "unconditional"},
    "source": {"channel": "authorised_operation"},
}
EXCLUSIVE: Facts = {"deal": "exclusive_licence", "supply": "exclusive", "supply_units": 1}


@dataclass(frozen=True)
class Entry:
    """An entry in a register about the product (d), its merchant (m), the buyer (b), or product and buyer (db)."""

    register: str
    about: str
    facts: Facts


@dataclass(frozen=True)
class Side:
    """What one of the two versions of a story has beside what both have."""

    declared: Facts = field(default_factory=dict)
    terms: Facts = field(default_factory=dict)
    ordered: Facts = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    before: tuple[Entry, ...] = ()
    """Entries that are made before the product is registered."""
    recorded: tuple[str, ...] = ()
    """Entries in the product's own record, after publication."""
    signed: Facts = field(default_factory=dict)
    """What the buyer declares with its signature of the contract, where that is not the usual."""


@dataclass(frozen=True)
class Story(Row):
    """`related`: the buyer belongs to the merchant's group."""

    told: str
    wrong: Side
    right: Side = Side()
    both: Side = Side()
    held: bool = False
    board: str = "general"
    related: bool = False


def declared(**groups: Facts) -> Side:
    return Side(declared=groups)


ASSESSED = Entry("assessments", "d", {"kind": "impact_assessment", "result": "passed"})
NAMED = Entry("recipient_notices", "db", {"named": True})


def personal(**classification: Any) -> Side:
    """Personal information as a careful merchant offers it: assessed, and its persons told of the buyer."""
    whole = {**PERSONAL, "classification": {**PERSONAL["classification"], **classification}}
    return Side(declared=whole, entries=(ASSESSED, NAMED))


EVALUATED = Entry("security_evaluations", "db", {"result": "passed"})
ENTRUSTED: Facts = {"entrustment_sha256": sha256_of("entrustment agreement"), "log_retention_months": 36}


def health(signed: Facts | None = None, **classification: Any) -> Side:
    """Health data under an entrustment agreement, its buyer evaluated."""
    said = {"classification": classification, "authorisation": {"purposes": ["health_service"]}}
    terms = {"purposes": ["health_service"]}
    return Side(
        said, terms, {"purpose": "health_service"}, (EVALUATED,), signed={**ENTRUSTED, **(signed or {})}
    )


def entered(register: str, about: str, **facts: Any) -> Side:
    return Side(entries=(Entry(register, about, facts),))


GENETIC: Facts = {
    "classification": {
        "origin": "personal", "pi_state": "identifiable", "sensitive_pi": True, "human_genetic": True,
    },
    "authorisation": {"purposes": ["scientific_research"]},
    "consent": {"basis": "written_separate", "purposes": ["scientific_research"]},
}  # fmt: skip
"""Human genetic information for research at cost (A08), of people who have agreed in writing."""

STORIES = (
    Story("A04", "suspected of touching national security", Side(recorded=("risk_suspected",)),
          Side(recorded=("risk_suspected", "risk_cleared")), held=True),
    Story("A06", "important data without a risk assessment", Side(),
          entered("assessments", "d", kind="risk_assessment", result="passed"),
          declared(classification={"data_class": "important"}), held=True),
    Story("A07", "the buyer accepts no security duties", Side(signed={"security_terms_accepted": False}),
          Side(signed={"security_terms_accepted": True}), personal(), held=True),
    Story("A08", "human genetic resources at a price of the market", Side(terms={"price_regime": "market"}),
          Side(terms={"price_regime": "cost_recovery"}),
          Side(declared={"classification": {"human_genetic": True},
                         "authorisation": {"purposes": ["scientific_research"]}},
               terms={"purposes": ["scientific_research"]}, ordered={"purpose": "scientific_research"})),
    Story("A09", "for a foreign court", Side(signed={"for_foreign_judicial": True}),
          Side(entries=(Entry("foreign_judicial_approvals", "db", {"number": "1", "authority": "司法部"}),),
               signed={"for_foreign_judicial": True})),
    Story("B09", "personal information under a blanket authorisation", declared(authorisation={"blanket": True}),
          declared(authorisation={"blanket": False}), personal()),
    Story("B15", "pledged, and the pledgee has not agreed", entered("pledges", "d", number="1", state="pledged"),
          entered("pledges", "d", number="1", state="pledged", consented=True), held=True),
    Story("B18", "a review finds that the data was stolen", entered("source_reviews", "d", lawfulness="unlawful"),
          entered("source_reviews", "d", lawfulness="lawful")),
    Story("B18", "technical measures were circumvented", declared(source={"bypassed_controls": True})),
    Story("B19", "a review leaves open where the data comes from",
          entered("source_reviews", "d", lawfulness="unknown"),
          entered("source_reviews", "d", lawfulness="lawful"), held=True),
    Story("B20", "trade secrets whose owner has not agreed", Side(),
          Side(before=(Entry("secret_consents", "d", {"number": "1", "state": "granted"}),)),
          declared(classification={"secret_kind": "trade"})),
    Story("B21", "frozen by a court", entered("freezes", "d", number="1", authority="海口中院", state="frozen"),
          entered("freezes", "d", number="1", authority="海口中院", state="lifted")),
    Story("B22", "it infringes the rights of others", entered("harm_opinions", "d", level="confirmed"),
          entered("harm_opinions", "d", level="none")),
    Story("B23", "a complaint of others is pending", entered("harm_opinions", "d", level="suspected"),
          entered("harm_opinions", "d", level="none"), held=True),
    Story("C03", "genetic information on a consent that nobody has written down",
          declared(consent={"basis": "separate_consent"}), declared(consent={"basis": "written_separate"}),
          Side(GENETIC, {"purposes": ["scientific_research"], "price_regime": "cost_recovery"},
               {"purpose": "scientific_research"}, (ASSESSED, NAMED)), held=True),
    Story("C08", "consent covers nine in ten", declared(consent={"coverage_pct": 90}),
          both=personal(), held=True),
    Story("C09", "children, and no guardian was asked", declared(consent={"guardian": False}),
          declared(consent={"guardian": True}), personal(under14=True)),
    Story("C10", "consent bundled with something else", declared(consent={"obtained_by": "bundled"}),
          declared(consent={"obtained_by": "free"}), personal()),
    Story("C06", "the persons have not been told of the buyer", Side(), Side(entries=(NAMED,)),
          Side(declared=PERSONAL, entries=(ASSESSED,)), held=True),
    Story("C14", "in order to find out who they are", Side(signed={"reidentification_intent": True}),
          Side(signed={"reidentification_intent": False}), personal(pi_state="deidentified")),
    Story("C15", "no impact assessment", Side(), Side(entries=(ASSESSED,)),
          Side(declared=PERSONAL, entries=(NAMED,)), held=True),
    Story("C12", "anonymised, they say, but no test was passed", Side(),
          Side(before=(Entry("assessments", "d", {"kind": "reidentification_test", "result": "passed"}),)),
          Side(declared={"classification": {"origin": "personal", "pi_state": "anonymised"}},
               before=(Entry("assessments", "d", {"kind": "anonymisation", "result": "passed"}),))),
    Story("C13", "anonymised, and the report on it is missing", Side(),
          entered("assessments", "d", kind="anonymisation", result="passed"),
          Side(declared={"classification": {"origin": "personal", "pi_state": "anonymised"}},
               before=(Entry("assessments", "d", {"kind": "reidentification_test", "result": "passed"}),)),
          held=True),
    Story("C16", "collected in an emergency, used for something else",
          Side(terms={"purposes": ["market_analysis"]}),
          Side(declared={"authorisation": {"purposes": ["emergency_response"]}},
               terms={"purposes": ["emergency_response"]}, ordered={"purpose": "emergency_response"}),
          declared(classification={"emergency_collected": True})),
    Story("D03", "got by sharing between authorities, passed on without the provider's consent",
          declared(source={"channel": "gov_sharing", "sharing_provider_consent": False}),
          declared(source={"channel": "gov_sharing", "sharing_provider_consent": True}),
          Side(declared=PUBLIC), board="public_data"),
    Story("D04", "raw public data leaves the domain", declared(classification={"raw_leaves_domain": True}),
          declared(classification={"raw_leaves_domain": False}), Side(declared=PUBLIC), board="public_data"),
    Story("D08", "an operator of public data develops anew what it delivered",
          entered("public_operators", "m", appointed=True), Side(),
          declared(classification={"redeveloped": True})),
    Story("E04", "the buyer is on a list", entered("restricted_lists", "b", list="pipl_42", version="1"),
          entered("restricted_lists", "b", list="pipl_42", version="2", state="removed")),
    Story("E06", "buyer and seller of one group, and neither says so", Side(signed={"related_disclosed": False}),
          Side(signed={"related_disclosed": True}), related=True, held=True),
    Story("E07", "the buyer's security is too low", Side(),
          entered("security_capabilities", "b", scheme="DSMM", level=3),
          declared(classification={"required_security_level": 3}), held=True),
    Story("E08", "personal credit reporting without a licence", Side(),
          Side(before=(Entry("special_licences", "m", {"number": "1", "authority": "中国人民银行"}),)),
          declared(classification={"licence_required": True})),
    Story("E09", "the seller runs a venue", entered("venue_operators", "m", runs_venue=True)),
    Story("E10", "the seller's compliance department says no", entered("compliance_vetoes", "m", state="vetoed"),
          entered("compliance_vetoes", "m", state="lifted")),
    Story("F04", "an exclusive licence that may exclude competition",
          entered("competition_screens", "db", flagged=True),
          entered("competition_screens", "db", flagged=False), Side(terms=EXCLUSIVE), held=True),
    Story("G07", "health data kept abroad", declared(classification={"storage_region": "SG"}),
          both=health(), board="health"),
    Story("H05", "medical records for marketing",
          Side(declared={"authorisation": {"purposes": ["market_analysis"]}}, terms={"purposes": ["market_analysis"]},
               ordered={"purpose": "market_analysis"}),
          both=health(medical_records=True), board="health"),
    Story("A05", "controlled data sold abroad without an export licence", Side(),
          Side(before=(Entry("export_licences", "d", {"number": "1", "territories": ["HK"]}),)),
          Side(declared={"classification": {"export_controlled": True}}, terms={"territories": ["HK"]},
               ordered={"territory": "HK"})),
    Story("H01", "research on people without an ethics review", Side(),
          entered("ethics_reviews", "db", number="1", decision="approved"), health({"human_research": True}),
          board="health", held=True),
    Story("H02", "research on people that the ethics committee has rejected",
          entered("ethics_reviews", "db", number="1", decision="rejected"),
          entered("ethics_reviews", "db", number="1", decision="approved"), health({"human_research": True}),
          board="health"),
    Story("H03", "a buyer of health data whose security was not evaluated",
          entered("security_evaluations", "db", result="failed"), both=health(), board="health", held=True),
    Story("H04", "medical records, and their access logs are kept for a year",
          Side(signed={"log_retention_months": 12}), both=health(medical_records=True), board="health", held=True),
    Story("T01", "faces and plates graded as general data", declared(classification={"data_class": "general"}),
          Side(declared={"classification": {"data_class": "important"}},
               entries=(Entry("assessments", "d", {"kind": "risk_assessment", "result": "passed"}),)),
          declared(classification={"face_plate_video": True}), board="transport", held=True),
)  # fmt: skip


SHENZHEN = (
    Story("C04", "persons are named without other data, in Shenzhen",
          declared(classification={"directly_identifying": True}),
          declared(classification={"directly_identifying": False}), personal()),
)  # fmt: skip


def merged(*sides: Facts) -> Facts:
    """The groups of later ones over those of earlier ones, field by field."""
    found: Facts = {}
    for side in sides:
        for group, facts in side.items():
            found[group] = {**found.get(group, {}), **facts} if isinstance(facts, dict) else facts
    return found


class Play:
    """One version of a story, from a merchant nobody knows to the answer to an order."""

    def __init__(self, venue: Venue, story: Story, side: Side) -> None:
        self.venue = venue
        self.story = story
        self.both, self.side = story.both, side
        self.merchant = venue.merchant()
        group: Facts = {"group_id": f"group-{self.merchant.uscc}"} if story.related else {}
        self.buyer = venue.buyer(**group)
        self.product = ""

    def answer(self) -> httpx.Response:
        """The first refusal met, else the answer to the order."""
        answer = self.venue.submit_product(self.merchant, **merged(self.both.declared, self.side.declared))
        if answer.is_error:
            return answer
        self.product = str(answer.json()["product"])
        self.enter((*self.both.before, *self.side.before))
        answer = self.venue.decide_product(self.product)
        if answer.is_error:
            return answer
        terms = self.venue.terms(**{**self.both.terms, **self.side.terms})
        board = self.story.board
        body = {
            "product": self.product,
            "board": board,
            "terms": terms,
            "attributes": self.venue.filled_in(board),
        }
        answer = self.merchant.post("/v1/listings", body)
        return answer if answer.is_error else self.published(str(answer.json()["listing"]))

    def published(self, listing: str) -> httpx.Response:
        for step, person in (("submit", self.merchant), ("approve", self.venue.desk)):
            answer = self.venue.move(listing, step, person)
            if answer.is_error:
                return answer
        if answer.json()["state"] == "public_notice":
            self.venue.advance(days=5, seconds=60)
        self.enter((*self.both.entries, *self.side.entries))
        for entry in (*self.both.recorded, *self.side.recorded):
            done(self.venue.record(self.product, entry))
        self.sign(listing, {**self.both.signed, **self.side.signed})
        return self.venue.order(self.buyer, listing, **{**self.both.ordered, **self.side.ordered})

    def sign(self, listing: str, declared: Facts) -> None:
        if declared:
            done(self.venue.offer_contract(self.merchant, listing))
            done(self.venue.sign_contract(self.buyer, listing, **declared))

    def enter(self, entries: Iterable[Entry]) -> None:
        subjects = {
            "d": {"product": self.product},
            "m": {"participant": self.merchant.participant},
            "b": {"participant": self.buyer.participant},
            "db": {"product": self.product, "participant": self.buyer.participant},
        }
        for entry in entries:
            self.venue.enter(entry.register, entry.facts, **subjects[entry.about])


def tell(venue: Venue, story: Story) -> None:
    """Exactly this rule refuses or holds the one side, and the other settles."""
    play = Play(venue, story, story.wrong)
    answer = play.answer()
    if story.held:
        [trade] = done(answer, 201)["trades"]
        assert trade["state"] == "held", answer.text
        held = venue.read_trade(trade["trade"], play.buyer)["verdict"]
        assert (held["outcome"], rules_named(held["violated"])) == ("hold", {story.rule}), held
    else:
        unlawful(answer, story.rule)
    settled(Play(venue, story, story.right).answer())


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.rule} {story.told}")
def test_exactly_this_rule_and_its_lawful_twin(venue: Venue, story: Story) -> None:
    tell(venue, story)


@pytest.fixture(scope="module")
def shenzhen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """A venue that is licensed there."""
    parent: Path = tmp_path_factory.mktemp("shenzhen")
    parent.chmod(0o711)
    running = Venue(parent / "data", "--jurisdiction", "CN-4403")
    try:
        yield running.start()
    finally:
        running.close()


@pytest.mark.parametrize("story", SHENZHEN, ids=lambda story: f"{story.rule} {story.told}")
def test_exactly_this_rule_in_shenzhen(shenzhen: Venue, venue: Venue, story: Story) -> None:
    """And its twins: the data that nobody is named in, and the same data in Hainan."""
    tell(shenzhen, story)
    settled(Play(venue, story, story.wrong).answer())


def test_D07_an_operation_of_public_data_that_ends(venue: Venue) -> None:
    """Lawful until the operation agreement's last day."""
    merchant, buyer = venue.merchant(), venue.buyer()
    source = {"channel": "authorised_operation", "operation_until": venue.in_days(9)}
    product = venue.product(merchant, **{**PUBLIC, "source": source})
    listing = venue.listing(merchant, product, "public_data")
    venue.trade(buyer, listing)
    venue.advance(days=5)
    unlawful(venue.order(buyer, listing), "D07")


def test_C11_a_consent_that_ends(venue: Venue) -> None:
    """Lawful until the last day of the persons' consent."""
    merchant, buyer = venue.merchant(), venue.buyer()
    consent = {**PERSONAL["consent"], "valid_until": venue.in_days(2)}
    product = venue.product(merchant, **{**PERSONAL, "consent": consent})
    listing = venue.listing(merchant, product)
    venue.trade(buyer, listing)
    venue.advance(days=2, seconds=60)
    unlawful(venue.order(buyer, listing), "C11")


def test_B08_units_whose_licence_may_not_be_passed_on(venue: Venue) -> None:
    """A holder resells units where the right-holder's licence lets it, and not where it does not."""
    merchant, holder, buyer = venue.merchant(), venue.merchant("buyer"), venue.buyer()
    venue.cash_in(holder, 10_000_000)
    for sublicensable in (True, False):
        product = venue.product(merchant, authorisation={"sublicensable": sublicensable})
        listing = venue.book_listing(merchant, product=product)
        done(venue.order(merchant, listing, 5, side="sell", limit_fen=1_000), 201)
        venue.trade(holder, listing, 5, limit_fen=1_000)
        resold = venue.order(holder, listing, 1, side="sell", limit_fen=900)
        if sublicensable:
            done(resold, 201)
            venue.trade(buyer, listing, 1, limit_fen=900)
        else:
            unlawful(resold, "B08")
