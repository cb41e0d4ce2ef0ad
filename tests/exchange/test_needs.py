"""Needs at the venue: proposals and counters, sealed tenders, a challenge in stages, and the award that becomes a trade."""

from typing import Any

import pytest

from exchange import events as e
from exchange.matching.negotiation import MOST_COUNTERS, Criterion
from exchange.need import LIFE, MOST_NEEDS, MOST_PROPOSALS, OVER, standings
from exchange.state import DAY_NS, Need, Proposal, decode_state, encode_state
from exchange.venue import Outcome
from tests.exchange.world import OPERATOR, START_NS, World, boards, changed, kinds, only, rulebook

BY_PRICE = (Criterion("price_fen", 10_000, "lower"),)
MIXED = (
    Criterion("price_fen", 6_000, "lower"),
    Criterion("coverage", 3_000, "higher"),
    Criterion("delivery_days", 1_000, "lower"),
)


class Asked:
    """A buyer, a need of one kind, and merchants with listings that may answer it. All contracts are signed."""

    def __init__(self, kind: str = "quote", merchants: int = 3, **fields: Any) -> None:
        self.world = World()
        self.kind = kind
        self.buyer = self.world.buyer()
        self.mechanism = "tender" if kind == "tender" else "quote"
        self.merchants: list[str] = []
        self.listings: list[str] = []
        for _ in range(merchants):
            self.join()
        self.need = self.publish(**fields)

    def join(self, **terms: Any) -> str:
        """One more merchant with a listing; its contract is signed by both."""
        merchant = self.world.merchant()
        listing = self.world.listing(merchant, mechanism=self.mechanism, price_fen=1_000, **terms)
        self.world.agree(self.buyer, listing)
        self.merchants.append(merchant)
        self.listings.append(listing)
        return listing

    def asking(self, **fields: Any) -> e.PublishNeed:
        whole: dict[str, Any] = {
            "actor": self.buyer,
            "kind": self.kind,
            "board": "general",
            "title": "Berth times of ten ports",
            "text": "Hourly, since 2020",
            "purpose": "market_analysis",
            "territory": "CN",
            "quantity": 10,
            "criteria": () if self.kind == "quote" else BY_PRICE,
            "respond_until_ns": self.world.at_ns + 5 * DAY_NS,
            "decide_until_ns": self.world.at_ns + 20 * DAY_NS,
            **fields,
        }
        return e.PublishNeed(**whole)

    def publish(self, **fields: Any) -> str:
        return only(self.world.must(self.asking(**fields)), e.NeedPublished).need

    def proposing(self, at: int = 0, price_fen: int = 900, **fields: Any) -> e.Propose:
        whole: dict[str, Any] = {
            "actor": self.merchants[at],
            "need": self.need,
            "listing": self.listings[at],
            "quantity": 10,
            "price_fen": price_fen,
            "delivery_days": 2,
            "text": "as asked",
            **fields,
        }
        return e.Propose(**whole)

    def propose(self, at: int = 0, price_fen: int = 900, **fields: Any) -> str:
        return only(self.world.must(self.proposing(at, price_fen, **fields)), e.ProposalMade).proposal

    def counter(self, actor: str, proposal: str, price_fen: int, quantity: int = 10) -> e.CounterProposal:
        return e.CounterProposal(actor=actor, proposal=proposal, price_fen=price_fen, quantity=quantity)

    def award(self, proposal: str, **fields: Any) -> e.AwardNeed:
        return e.AwardNeed(actor=self.buyer, need=self.need, proposal=proposal, **fields)

    def close(self) -> Outcome:
        """The date until which proposals are taken passes."""
        return self.world.tick_at(self.row.respond_until_ns + 1_000)

    @property
    def row(self) -> Need:
        return self.world.state.needs[self.need]

    def proposal(self, name: str) -> Proposal:
        return self.world.state.proposals[name]

    def gone(self) -> bool:
        """Nothing of it is left in memory."""
        state = self.world.state
        return self.need not in state.needs and not state.proposals and not state.awarding

    def finish(self, trade: str) -> None:
        self.world.deliver(trade)
        self.world.accept(trade)
        self.world.check()


# ---- a request for quotes


def test_a_quote_goes_from_need_to_payment() -> None:
    """The example of docs/mechanisms/quote.md: 900, countered 800, countered 850, accepted: 10 units for 8,500 fen."""
    asked = Asked()
    world, buyer, merchant = asked.world, asked.buyer, asked.merchants[0]
    quote, other = asked.propose(0, 900), asked.propose(1, 950)
    assert kinds(world.must(asked.counter(buyer, quote, 800))) == ["ProposalCountered"]
    assert (asked.proposal(quote).state, asked.proposal(quote).price_fen) == ("countered", 800)
    world.must(asked.counter(merchant, quote, 850))
    world.check()
    outcome = world.must(e.AcceptProposal(actor=buyer, proposal=quote))
    assert kinds(outcome) == ["OrderPlaced", "Settled", "ProposalAwarded", "NeedMoved"]
    settled, moved = only(outcome, e.Settled), only(outcome, e.NeedMoved)
    assert (settled.buyer, settled.seller, settled.amount_fen) == (buyer, merchant, 8_500)
    assert (settled.mechanism, settled.quantity, settled.price_fen) == ("quote", 10, 850)
    assert settled.due_ns == world.at_ns + 2 * DAY_NS, (
        "delivered as promised, not as late as the listing lets"
    )
    assert (moved.step, moved.state, moved.closed) == ("award", "awarded", (other,))
    assert asked.gone()
    world.check()
    asked.finish(settled.trade)
    assert world.money(merchant) == (8_330, 0), "less 2 %"
    assert world.money(buyer) == (10**9 - 8_500, 0)


def test_a_merchant_accepts_the_buyers_counter() -> None:
    asked = Asked()
    quote = asked.propose(0, 900)
    asked.world.must(asked.counter(asked.buyer, quote, 700, quantity=4))
    outcome = asked.world.must(e.AcceptProposal(actor=asked.merchants[0], proposal=quote))
    settled = only(outcome, e.Settled)
    assert (settled.quantity, settled.price_fen, settled.amount_fen) == (4, 700, 2_800)
    asked.world.check()


def test_a_trade_that_was_awarded_is_refunded_when_nothing_is_delivered_as_promised() -> None:
    asked = Asked()
    settled = only(asked.world.must(asked.award(asked.propose(0, 900, delivery_days=1))), e.Settled)
    refunded = only(asked.world.tick_at(settled.due_ns + 1_000), e.Refunded)
    assert (refunded.trade, refunded.step) == (settled.trade, "miss")
    assert asked.world.money(asked.buyer) == (10**9, 0)
    asked.world.check()


def test_turns_are_kept() -> None:
    asked = Asked()
    world, merchant = asked.world, asked.merchants[0]
    quote = asked.propose(0, 900)
    assert world.code(asked.counter(merchant, quote, 890)) == "wrong_state"
    assert world.code(e.AcceptProposal(actor=merchant, proposal=quote)) == "wrong_state"
    world.must(asked.counter(asked.buyer, quote, 800))
    assert world.code(asked.counter(asked.buyer, quote, 700)) == "wrong_state"
    assert world.code(asked.award(quote)) == "wrong_state", "its merchant has not said yes to 800"
    stranger = asked.merchants[1]
    assert world.code(asked.counter(stranger, quote, 800)) == "not_found"
    assert world.code(e.AcceptProposal(actor=stranger, proposal=quote)) == "not_found"


def test_a_negotiation_ends_after_so_many_counters() -> None:
    asked = Asked()
    world, quote = asked.world, asked.propose(0, 900)
    for number in range(MOST_COUNTERS):
        world.must(asked.counter(asked.merchants[0] if number % 2 else asked.buyer, quote, 800 + number))
    refusal = world.refused(asked.counter(asked.buyer, quote, 800))
    assert refusal.code is e.Refused.out_of_bounds
    assert "Settled" in kinds(world.must(asked.award(quote)))


def test_a_quote_is_withdrawn_until_it_is_accepted() -> None:
    asked = Asked()
    quote = asked.propose(0, 900)
    withdraw = e.WithdrawProposal(actor=asked.merchants[0], proposal=quote)
    assert asked.world.code(changed(withdraw, actor=asked.merchants[1])) == "not_found"
    assert kinds(asked.world.must(withdraw)) == ["ProposalWithdrawn"]
    assert asked.world.code(asked.award(quote)) == "wrong_state"
    again = asked.propose(0, 880)
    asked.close()
    outcome = asked.world.must(changed(withdraw, proposal=again))
    assert only(outcome, e.NeedMoved).state == "lapsed", "nobody is left to choose"
    assert asked.gone()
    asked.world.check()


def test_one_proposal_of_a_merchant_at_a_time() -> None:
    asked = Asked()
    asked.propose(0, 900)
    assert asked.world.code(asked.proposing(0, 880)) == "already_exists"


def test_a_quote_with_criteria_is_awarded_by_them() -> None:
    asked = Asked(criteria=BY_PRICE)
    dear, cheap = asked.propose(0, 900), asked.propose(1, 850)
    refusal = asked.world.refused(asked.award(dear))
    assert refusal.code is e.Refused.outside_terms
    assert cheap in refusal.detail
    asked.world.must(asked.counter(asked.buyer, dear, 860))
    told = asked.world.refused(e.AcceptProposal(actor=asked.merchants[0], proposal=dear))
    assert told.code is e.Refused.outside_terms
    assert cheap not in told.detail, "a merchant does not learn of others"
    asked.world.must(asked.counter(asked.buyer, cheap, 840))
    settled = only(asked.world.must(e.AcceptProposal(actor=asked.merchants[0], proposal=dear)), e.Settled)
    assert settled.price_fen == 860, "what the other has not said yes to does not stand beside it"


def test_prices_of_other_units_compare() -> None:
    """17 fen for 2 units is 8.5 a unit: cheaper than 9, and 10 units cost 85."""
    asked = Asked(criteria=BY_PRICE)
    asked.join(price_per_units=2)
    asked.propose(0, 9)
    cheap = asked.propose(3, 17)
    ranking = standings(asked.world.state, asked.row)
    assert not isinstance(ranking, e.Refusal)
    assert [row.id for row in ranking] == [cheap, "Q1"]
    assert only(asked.world.must(asked.award(cheap)), e.Settled).amount_fen == 85


def test_one_listing_alone_is_asked() -> None:
    asked = Asked()
    own, other = asked.listings[:2]
    asked.need = asked.publish(listing=own)
    assert asked.world.code(asked.proposing(1)) == "not_found", "it is nobody else's"
    asked.listings[0] = asked.world.listing(asked.merchants[0], mechanism="quote")
    assert asked.world.code(asked.proposing(0)) == "outside_terms"
    asked.listings[0] = own
    assert "Settled" in kinds(asked.world.must(asked.award(asked.propose(0, 900))))
    assert asked.world.code(asked.asking(listing="L99")) == "not_found"
    assert asked.world.code(asked.asking(listing=other, kind="tender")) == "mechanism_not_allowed"
    posted = asked.world.listing(asked.merchants[0])
    assert asked.world.code(asked.asking(listing=posted)) == "mechanism_not_allowed"
    asked.world.move(OPERATOR, own, "suspend", "because")
    assert asked.world.code(asked.asking(listing=own)) == "listing_closed"


# ---- a tender


def test_a_tender_is_sealed_and_awarded_to_the_best() -> None:
    """The example of docs/mechanisms/tender.md, at a hundredth of its prices a unit."""
    asked = Asked("tender", criteria=MIXED)
    world = asked.world
    one = asked.propose(0, 400, delivery_days=3, figures={"coverage": 80})
    two = asked.propose(1, 500, delivery_days=1, figures={"coverage": 100})
    asked.propose(2, 640, delivery_days=2, figures={"coverage": 90})
    assert {row.state for row in world.state.proposals.values()} == {"sealed"}
    assert world.code(asked.award(two)) == "wrong_state"
    assert world.code(asked.counter(asked.buyer, two, 450)) == "not_found"
    marks = e.MarkProposal(actor=asked.buyer, need=asked.need, proposal=two, marks={"coverage": 1})
    assert world.code(marks) == "wrong_state", "what is sealed is not marked"
    moved = only(asked.close(), e.NeedMoved)
    assert (moved.step, moved.state, moved.opened) == ("close", "deciding", ("Q1", "Q2", "Q3"))
    world.check()
    assert world.code(asked.counter(asked.buyer, two, 450)) == "wrong_state", "no haggling"
    refusal = world.refused(asked.award(one))
    assert (refusal.code, "(8800 to 8733 of 10000)" in refusal.detail) == (e.Refused.outside_terms, True)
    outcome = world.must(asked.award(two))
    awarded = only(outcome, e.ProposalAwarded)
    assert [(row.id, row.score_bp) for row in awarded.ranking] == [
        ("Q2", 8_800),
        ("Q1", 8_733),
        ("Q3", 6_950),
    ]
    assert (awarded.step, awarded.state) == ("award", "awarded")
    assert only(outcome, e.Settled).mechanism == "tender"
    asked.finish(awarded.trade)


def test_a_tender_is_changed_and_taken_back_while_it_is_sealed() -> None:
    asked = Asked("tender")
    world = asked.world
    first, second = asked.propose(0, 900), asked.propose(1, 850)
    revised = only(world.must(asked.proposing(0, 840, delivery_days=1)), e.ProposalRevised)
    assert (revised.proposal, asked.proposal(first).price_fen) == (first, 840)
    withdraw = e.WithdrawProposal(actor=asked.merchants[1], proposal=second)
    world.must(withdraw)
    third = asked.propose(1, 845)
    world.check()
    asked.close()
    assert world.code(changed(withdraw, proposal=third)) == "wrong_state"
    assert world.code(asked.proposing(0, 800)) == "wrong_state"
    assert world.code(asked.proposing(2, 800)) == "wrong_state", "too late"
    assert only(world.must(asked.award(first)), e.Settled).price_fen == 840


def test_a_proposal_is_late_one_nanosecond_after_the_date() -> None:
    """Also where no tick has come yet: who proposes late is not let in, and nobody is awarded before the opening."""
    asked = Asked("tender")
    until_ns = asked.row.respond_until_ns
    asked.world.at_ns = until_ns - 1_000
    first = asked.propose(0, 900)
    assert asked.world.at_ns == until_ns
    asked.world.at_ns = until_ns - 999
    assert asked.world.code(asked.proposing(1, 800)) == "wrong_state"
    assert asked.world.code(asked.award(first)) == "wrong_state"


def test_a_tender_that_nobody_answers_lapses() -> None:
    asked = Asked("tender")
    moved = only(asked.close(), e.NeedMoved)
    assert (moved.step, moved.state, moved.reason) == ("lapse", "lapsed", "nobody has proposed")
    assert asked.gone()
    asked.world.check()


def test_an_undecided_tender_lapses() -> None:
    asked = Asked("tender")
    asked.propose()
    asked.close()
    until_ns = asked.row.decide_until_ns
    assert kinds(asked.world.tick_at(until_ns)) == []
    asked.world.at_ns = until_ns - 999
    assert asked.world.code(asked.award("Q1")) == "wrong_state", "the date is the last instant in time"
    moved = only(asked.world.tick_at(until_ns + 1_000), e.NeedMoved)
    assert (moved.state, moved.closed) == ("lapsed", ("Q1",))
    assert asked.gone()
    asked.world.check()


def test_marks_take_the_place_of_figures_for_all() -> None:
    asked = Asked("tender", criteria=MIXED)
    world = asked.world
    one = asked.propose(0, 500, figures={"coverage": 100})
    two = asked.propose(1, 500)
    asked.close()
    refusal = world.refused(asked.award(one))
    assert (refusal.code, refusal.detail[:26]) == (e.Refused.evidence_missing, "Q2 has no figure for cover")
    mark = e.MarkProposal(actor=asked.buyer, need=asked.need, proposal=two, marks={"coverage": 60})
    world.must(mark)
    assert world.refused(asked.award(one)).detail.startswith("Q1 has no figure"), (
        "its own word counts no more"
    )
    world.must(changed(mark, proposal=one, marks={"coverage": 50}))
    assert world.code(asked.award(one)) == "outside_terms"
    world.must(changed(mark, proposal=one, marks={"coverage": 61}))
    world.check()
    assert only(world.must(asked.award(one)), e.ProposalAwarded).ranking[0].points_bp[1] == 3_000


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actor": "P3", "proposal": "Q1"}, "not_found"),
        ({"need": "N9"}, "not_found"),
        ({"proposal": "Q9"}, "not_found"),
        ({"proposal": ""}, "not_found"),
        ({"proposal": "Q"}, "not_found"),
        ({"proposal": "N1"}, "not_found"),
        ({"proposal": "Q１"}, "not_found"),
        ({"marks": {"price_fen": 5}}, "outside_terms"),
        ({"marks": {}}, "outside_terms"),
        ({"marks": {"coverage": -1}}, "out_of_bounds"),
        ({"marks": {"coverage": 10**12 + 1}}, "out_of_bounds"),
    ],
)
def test_a_mark_is_refused(fields: dict[str, Any], code: str) -> None:
    asked = Asked("tender", criteria=MIXED)
    asked.propose()
    asked.close()
    whole: dict[str, Any] = {
        "actor": asked.buyer,
        "need": asked.need,
        "proposal": "Q1",
        "marks": {"coverage": 5},
    }
    if "actor" in fields:
        fields = {**fields, "actor": asked.merchants[1]}
    assert asked.world.code(e.MarkProposal(**{**whole, **fields})) == code


# ---- what clearing says of an award


def test_a_refused_award_says_the_articles_and_goes_on_to_the_next() -> None:
    """The buyer's own company proposes cheapest: rule E05 speaks at clearing, and the need is still there."""
    asked = Asked("tender", merchants=2)
    world = asked.world
    sister = world.merchant(owner=asked.buyer)
    listing = world.listing(sister, mechanism="tender", price_fen=1_000)
    world.agree(asked.buyer, listing)
    asked.merchants.append(sister)
    asked.listings.append(listing)
    own, second = asked.propose(2, 500), asked.propose(0, 900)
    asked.close()
    assert world.code(asked.award(second)) == "outside_terms"
    outcome = world.must(asked.award(own))
    assert kinds(outcome) == ["OrderPlaced", "TradeRefused", "OrderClosed", "ProposalAwarded"]
    said = only(outcome, e.ProposalAwarded)
    assert (said.step, said.state, said.violated) == ("refuse", "refused", ("E05",))
    assert asked.row.state == "deciding"
    assert world.money(asked.buyer) == (10**9, 0)
    world.check()
    assert "Settled" in kinds(world.must(asked.award(second)))
    world.check()


def test_the_last_one_refused_ends_the_need() -> None:
    asked = Asked("tender", merchants=1)
    asked.propose()
    asked.close()
    asked.world.record(asked.world.state.listings[asked.listings[0]].product, "authorisation_withdrawn")
    outcome = asked.world.must(asked.award("Q1"))
    assert only(outcome, e.ProposalAwarded).violated == ("B01",)
    assert only(outcome, e.NeedMoved).state == "lapsed"
    assert asked.gone()
    asked.world.check()


def test_what_the_buyer_has_not_signed_is_no_verdict() -> None:
    asked = Asked("tender", merchants=1)
    asked.listings[0] = asked.world.listing(asked.merchants[0], mechanism="tender")
    asked.world.offer_contract(asked.listings[0])
    asked.propose()
    asked.close()
    refusal = asked.world.refused(asked.award("Q1"))
    assert refusal.code is e.Refused.unlawful
    assert f"/v1/listings/{asked.listings[0]}/contract" in refusal.detail
    asked.world.sign_contract(asked.buyer, asked.listings[0])
    assert "Settled" in kinds(asked.world.must(asked.award("Q1")))


def held() -> tuple[Asked, str, str]:
    """A tender whose best is on hold (B11), its trade, and the product that an objection is about."""
    asked = Asked("tender", merchants=2)
    asked.propose(0, 800)
    asked.propose(1, 900)
    asked.close()
    product = asked.world.state.listings[asked.listings[0]].product
    asked.world.record(product, "objection_raised")
    outcome = asked.world.must(asked.award("Q1"))
    assert kinds(outcome) == ["OrderPlaced", "Held", "ProposalAwarded"]
    asked.world.check()
    return asked, only(outcome, e.Held).trade, product


def test_an_award_on_hold_keeps_its_place_until_it_is_cured() -> None:
    asked, trade, product = held()
    world = asked.world
    assert world.code(asked.award("Q2")) == "wrong_state"
    assert world.code(e.WithdrawNeed(actor=asked.buyer, need=asked.need, reason="x")) == "wrong_state"
    withdraw = e.WithdrawProposal(actor=asked.merchants[0], proposal="Q1")
    assert world.code(withdraw) == "wrong_state"
    outcome = world.record(product, "objection_settled")
    assert kinds(outcome) == ["FactRecorded", "Settled", "ProposalAwarded", "NeedMoved"]
    assert only(outcome, e.Settled).due_ns == world.at_ns + 2 * DAY_NS, "the promise outlives the hold"
    assert only(outcome, e.ProposalAwarded).step == "settle"
    assert asked.gone()
    asked.finish(trade)


def test_an_award_whose_hold_ends_in_nothing_goes_on_to_the_next() -> None:
    asked, trade, product = held()
    outcome = asked.world.record(product, "authorisation_withdrawn")
    assert only(outcome, e.HoldReleased).trade == trade
    said = only(outcome, e.ProposalAwarded)
    assert (said.step, said.state) == ("release", "refused")
    asked.world.check()
    assert "Settled" in kinds(asked.world.must(asked.award("Q2")))


def test_a_need_whose_date_passes_waits_for_its_hold() -> None:
    asked = Asked("tender", merchants=2, decide_until_ns=START_NS + 8 * DAY_NS)
    asked.propose(0, 800)
    other = asked.propose(1, 900)
    asked.close()
    asked.world.record(asked.world.state.listings[asked.listings[0]].product, "objection_raised")
    due_ns = only(asked.world.must(asked.award("Q1")), e.Held).until_ns
    assert kinds(asked.world.tick_at(asked.row.decide_until_ns + 1_000)) == ["Ticked"]
    outcome = asked.world.tick_at(due_ns + 1_000)
    assert kinds(outcome) == ["Ticked", "HoldReleased", "ProposalAwarded", "NeedMoved"]
    moved = only(outcome, e.NeedMoved)
    assert (moved.state, moved.closed) == ("lapsed", (other,))
    assert asked.gone()
    asked.world.check()


def test_a_listing_that_is_gone_is_not_compared() -> None:
    asked = Asked("tender", merchants=2)
    asked.propose(0, 800)
    asked.propose(1, 900)
    asked.close()
    asked.world.move(asked.merchants[0], asked.listings[0], "withdraw")
    assert asked.world.code(asked.award("Q1")) == "listing_closed"
    assert "Settled" in kinds(asked.world.must(asked.award("Q2")))


def test_what_is_sold_out_is_not_compared() -> None:
    asked = Asked("tender", merchants=1)
    asked.join(supply="limited", supply_units=9)
    asked.propose(1, 100)
    asked.propose(0, 900)
    asked.close()
    assert asked.world.code(asked.award("Q1")) == "supply_exhausted"
    assert "Settled" in kinds(asked.world.must(asked.award("Q2")))


def test_an_award_needs_money_standing_and_no_halt() -> None:
    asked = Asked("tender", merchants=1)
    world, buyer = asked.world, asked.world.buyer(cash_fen=8_999)
    world.agree(buyer, asked.listings[0])
    asked.buyer = buyer
    asked.need = asked.publish()
    asked.propose(0, 900)
    world.tick_at(asked.row.respond_until_ns + 1_000)
    refusal = world.refused(asked.award("Q1"))
    assert (refusal.code, refusal.detail[:14]) == (e.Refused.funds_insufficient, "9000 fen are n")
    world.pay_in(buyer, 1)
    world.must(e.HaltTrading(actor=OPERATOR, scope="market", reason="drill"))
    assert world.code(asked.award("Q1")) == "halted"
    world.must(e.ResumeTrading(actor=OPERATOR, scope="market", reason="over"))
    world.ban(buyer)
    assert world.code(asked.award("Q1")) == "standing_denied"
    world.ban(buyer, days=0)
    assert "Settled" in kinds(world.must(asked.award("Q1")))


# ---- a challenge


STAGES = (e.Stage(name="prototype", shortlist=2, until_ns=START_NS + 15 * DAY_NS),)


def challenge() -> Asked:
    """The example of docs/mechanisms/challenge.md: three teams, two go on, two are awarded."""
    asked = Asked(
        "challenge",
        criteria=(Criterion("solution", 7_000, "higher"), Criterion("price_fen", 3_000, "lower")),
        stages=STAGES,
        awards=2,
    )
    for at, (price, marks) in enumerate([(500, 60), (400, 90), (450, 75)]):
        name = asked.propose(at, price)
        asked.world.must(
            e.MarkProposal(actor=asked.buyer, need=asked.need, proposal=name, marks={"solution": marks})
        )
    return asked


def test_a_challenge_goes_by_stages_to_several_awards() -> None:
    asked = challenge()
    world = asked.world
    go_on = e.ShortlistProposals(actor=asked.buyer, need=asked.need)
    assert world.code(go_on) == "wrong_state"
    asked.close()
    assert world.code(asked.award("Q2")) == "wrong_state", "a stage is still to come"
    assert world.code(changed(go_on, proposals=("Q1", "Q2"))) == "outside_terms"
    listed = only(world.must(changed(go_on, proposals=("Q3", "Q2"))), e.NeedShortlisted)
    assert (listed.stage, listed.kept, listed.eliminated) == (1, ("Q2", "Q3"), ("Q1",))
    assert [row.score_bp for row in listed.ranking] == [10_000, 8_499, 7_066]
    assert listed.respond_until_ns == START_NS + 15 * DAY_NS
    world.check()
    assert world.code(asked.proposing(0, 1)) == "wrong_state", "not on the shortlist"
    assert only(world.must(asked.proposing(2, 300)), e.ProposalRevised).proposal == "Q3"
    asked.close()
    assert world.refused(asked.award("Q2")).detail.startswith("Q3 has no figure"), (
        "marks were of what it said"
    )
    world.must(e.MarkProposal(actor=asked.buyer, need=asked.need, proposal="Q3", marks={"solution": 88}))
    assert world.code(go_on) == "wrong_state"
    assert world.code(asked.award("Q2")) == "outside_terms"
    first = world.must(asked.award("Q3"))
    assert [(row.id, row.score_bp) for row in only(first, e.ProposalAwarded).ranking] == [
        ("Q3", 9_844),
        ("Q2", 9_250),
    ]
    assert "NeedMoved" not in kinds(first)
    world.check()
    second = world.must(asked.award("Q2"))
    assert only(second, e.NeedMoved).state == "awarded"
    assert asked.gone()
    for outcome in (first, second):
        asked.finish(only(outcome, e.Settled).trade)


def test_a_challenge_ends_with_the_awards_that_were_made() -> None:
    asked = challenge()
    asked.close()
    asked.world.must(e.ShortlistProposals(actor=asked.buyer, need=asked.need))
    asked.close()
    asked.world.must(asked.award("Q2"))
    moved = only(asked.world.tick_at(asked.row.decide_until_ns + 1_000), e.NeedMoved)
    assert (moved.step, moved.state, moved.closed) == ("finish", "awarded", ("Q3",))
    asked.world.check()


def test_a_stage_that_would_end_too_late_is_not_begun() -> None:
    asked = challenge()
    asked.close()
    asked.world.at_ns = STAGES[0].until_ns - 1_000
    assert asked.world.code(e.ShortlistProposals(actor=asked.buyer, need=asked.need)) == "wrong_state"


# ---- what cannot be asked, what cannot be proposed


def stage(shortlist: int, days: float) -> e.Stage:
    return e.Stage(name="s", shortlist=shortlist, until_ns=START_NS + int(days * DAY_NS))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "auction"}, "malformed"),
        ({"board": "moon"}, "not_found"),
        ({"quantity": 0}, "out_of_bounds"),
        ({"quantity": 10**9 + 1}, "out_of_bounds"),
        ({"budget_fen": -1}, "out_of_bounds"),
        ({"awards": 2}, "out_of_bounds"),
        ({"awards": 0}, "out_of_bounds"),
        ({"stages": STAGES}, "out_of_bounds"),
        ({"right": "ownership"}, "out_of_bounds"),
        ({"title": " "}, "malformed"),
        ({"purpose": ""}, "malformed"),
        ({"criteria": ()}, "out_of_bounds"),
        ({"criteria": (Criterion("price_fen", 5_000, "lower"),)}, "out_of_bounds"),
        ({"criteria": tuple(Criterion(f"c{at}", 1_000, "lower") for at in range(11))}, "out_of_bounds"),
        ({"respond_until_ns": START_NS}, "out_of_bounds"),
        ({"respond_until_ns": START_NS + 400 * DAY_NS}, "out_of_bounds"),
        ({"decide_until_ns": START_NS + 5 * DAY_NS}, "out_of_bounds"),
        ({"decide_until_ns": START_NS + 500 * DAY_NS}, "out_of_bounds"),
        ({"kind": "challenge", "stages": (stage(1, 5),)}, "out_of_bounds"),
        ({"kind": "challenge", "stages": (stage(1, 20.1),)}, "out_of_bounds"),
        ({"kind": "challenge", "stages": (stage(1, 16), stage(1, 15))}, "out_of_bounds"),
        ({"kind": "challenge", "stages": (stage(201, 15),)}, "out_of_bounds"),
        ({"kind": "challenge", "stages": STAGES, "awards": 3}, "out_of_bounds"),
        ({"kind": "challenge", "stages": (stage(2, 7), stage(3, 8))}, "out_of_bounds"),
    ],
)
def test_a_need_is_refused(fields: dict[str, Any], code: str) -> None:
    asked = Asked("tender", merchants=0)
    assert asked.world.code(asked.asking(**fields)) == code


def test_who_has_no_standing_publishes_no_need() -> None:
    asked = Asked(merchants=0)
    assert asked.world.code(changed(asked.asking(), actor=asked.world.person("buyer"))) == "not_verified"


def test_a_buyer_has_so_many_needs_at_most() -> None:
    asked = Asked(merchants=0)
    for _ in range(MOST_NEEDS - 1):
        asked.publish()
    assert asked.world.code(asked.asking()) == "out_of_bounds"
    asked.world.must(e.WithdrawNeed(actor=asked.buyer, need=asked.need, reason="bought elsewhere"))
    asked.publish()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"need": "N9"}, "not_found"),
        ({"listing": "L99"}, "not_found"),
        ({"listing": "L2"}, "not_found"),
        ({"quantity": 9}, "outside_terms"),
        ({"price_fen": -1}, "out_of_bounds"),
        ({"price_fen": 1_001}, "outside_terms"),
        ({"price_fen": 2**53}, "out_of_bounds"),
        ({"delivery_days": 0}, "out_of_bounds"),
        ({"delivery_days": 4}, "out_of_bounds"),
        ({"figures": {"price_fen": 1}}, "outside_terms"),
        ({"figures": {"beauty": 1}}, "outside_terms"),
        ({"figures": {"coverage": -1}}, "out_of_bounds"),
    ],
)
def test_a_proposal_is_refused(fields: dict[str, Any], code: str) -> None:
    asked = Asked("tender", criteria=MIXED, budget_fen=10_000)
    assert asked.world.code(changed(asked.proposing(), **fields)) == code


@pytest.mark.parametrize(
    ("asked_for", "code"),
    [
        ({"territory": "CN-46"}, "outside_terms"),
        ({"purpose": "advertising"}, "outside_terms"),
        ({"right": "resource_holding"}, "outside_terms"),
        ({"fields": ("arrived_at", "left_at")}, "outside_terms"),
        ({"board": "transport"}, "outside_terms"),
        ({"kind": "tender", "criteria": BY_PRICE}, "mechanism_not_allowed"),
    ],
)
def test_a_listing_that_is_not_asked_for(asked_for: dict[str, Any], code: str) -> None:
    asked = Asked(**asked_for) if "kind" not in asked_for else Asked()
    if "kind" in asked_for:
        asked.need = asked.publish(**asked_for)
    assert asked.world.code(asked.proposing()) == code


def test_right_and_fields_that_it_has_are_no_bar() -> None:
    asked = Asked(right="product_operation", fields=("arrived_at",))
    assert asked.propose() == "Q1"


def test_nobody_proposes_to_themselves_or_without_standing() -> None:
    asked = Asked()
    asked.buyer, asked.need = asked.merchants[0], asked.publish(actor=asked.merchants[0])
    assert asked.world.code(asked.proposing(0)) == "forbidden"
    asked.world.discipline(asked.merchants[1], "suspend")
    assert asked.world.code(asked.proposing(1)) == "not_accredited"
    asked.world.move(OPERATOR, asked.listings[2], "suspend", "because")
    assert asked.world.code(asked.proposing(2)) == "listing_closed"


def test_a_need_is_full_at_so_many_proposals() -> None:
    """Rows are put there by hand: what is looked at is their number."""
    asked = Asked()
    asked.propose(0)
    row = asked.proposal("Q1")
    for number in range(2, MOST_PROPOSALS + 1):
        asked.world.state.proposals[f"Q{number}"] = changed(row, id=f"Q{number}", merchant=f"P9{number}")
        asked.row.proposals = (*asked.row.proposals, f"Q{number}")
    outcome = asked.world.do(asked.proposing(1))
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.detail[:12]) == (e.Refused.out_of_bounds, "the need has")


def test_listings_that_answer_needs_take_no_orders() -> None:
    for kind in ("quote", "tender"):
        asked = Asked(kind)
        refusal = asked.world.order(asked.buyer, asked.listings[0]).refusal
        assert refusal is not None
        assert (refusal.code, f"kind {kind}" in refusal.detail) == (e.Refused.mechanism_not_allowed, True)


def test_a_need_is_withdrawn_with_its_reason() -> None:
    asked = Asked("tender")
    asked.propose()
    withdraw = e.WithdrawNeed(actor=asked.buyer, need=asked.need, reason="bought elsewhere")
    assert asked.world.code(changed(withdraw, actor=asked.merchants[0])) == "not_found"
    moved = only(asked.world.must(withdraw), e.NeedMoved)
    assert (moved.state, moved.reason, moved.closed) == ("withdrawn", "bought elsewhere", ("Q1",))
    assert asked.gone()
    assert asked.world.code(withdraw) == "wrong_state"
    assert asked.world.code(asked.award("Q1")) == "wrong_state"
    assert asked.world.code(asked.proposing()) == "wrong_state"
    assert asked.world.code(asked.counter(asked.buyer, "Q1", 1)) == "wrong_state"
    assert asked.world.code(asked.counter(asked.buyer, "Q2", 1)) == "not_found"
    assert kinds(asked.world.tick_at(START_NS + 30 * DAY_NS)) == ["Ticked"], "its dates have lost their point"
    asked.world.check()


def test_a_snapshot_keeps_undecided_needs_and_drops_decided_ones() -> None:
    asked, trade, _ = held()
    state = decode_state(encode_state(asked.world.state), boards(), rulebook(), "CN-46")
    assert (state.awarding, list(state.needs), list(state.proposals)) == ({trade: "Q1"}, ["N1"], ["Q1", "Q2"])
    assert encode_state(asked.world.replayed()) == encode_state(asked.world.state)


def test_the_life_of_a_need_ends() -> None:
    assert {state for state, _ in LIFE} == {"open", "deciding"}
    assert set(LIFE.values()) - {"open", "deciding"} == set(OVER)
