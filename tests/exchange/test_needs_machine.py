"""Random needs, against a reading of the rules that shares nothing with the venue but commands and events.

The model keeps what was said and answers two questions by itself: whose word may be awarded now, and what a need has come
to. After each step the venue is checked whole, its twin by replay among it.
"""

from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exchange import events as e
from exchange.matching.negotiation import Criterion
from exchange.state import DAY_NS
from exchange.venue import Outcome
from tests.exchange.test_needs import Asked
from tests.exchange.world import only

PRICES = st.integers(1, 9)
DAYS = st.integers(1, 3)
WEIGHTS = (7_000, 3_000)
CRITERIA = (Criterion("price_fen", WEIGHTS[0], "lower"), Criterion("delivery_days", WEIGHTS[1], "lower"))


class Word:
    """What a merchant has said, or the buyer in answer."""

    def __init__(self, name: str, merchant: int, price: int, days: int) -> None:
        self.name, self.merchant, self.price, self.days = name, merchant, price, days
        self.by_buyer = False


class Needs(RuleBasedStateMachine):
    """One need at a time, of either kind; three merchants, of whom the third is the buyer's own company."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Asked("quote", merchants=2)
        self.world = self.asked.world
        self._sister()
        self.listings: dict[str, list[str]] = {"quote": self.asked.listings, "tender": self._tenders()}
        self.world.must(e.WithdrawNeed(actor=self.asked.buyer, need=self.asked.need))
        self.words: list[Word] = []
        self.kind = self.state = ""
        self.spent = 0

    def _sister(self) -> None:
        sister = self.world.merchant(owner=self.asked.buyer)
        self.asked.merchants.append(sister)
        self.asked.listings.append(self._signed(sister, "quote"))

    def _signed(self, merchant: str, mechanism: str) -> str:
        listing = self.world.listing(merchant, mechanism=mechanism, price_fen=9)
        self.world.agree(self.asked.buyer, listing)
        return listing

    def _tenders(self) -> list[str]:
        return [self._signed(merchant, "tender") for merchant in self.asked.merchants]

    # ---- the reading

    def best(self, also: Word | None = None) -> str:
        """Of the words that merchants stand by the one with the most points; the earlier of two that are alike."""
        standing = [word for word in self.words if not word.by_buyer or word is also]
        least = min(word.price for word in standing), min(word.days for word in standing)

        def key(word: Word) -> tuple[int, int, int, int]:
            shares = Fraction(least[0], word.price), Fraction(least[1], word.days)
            score = sum(int(weight * share) for weight, share in zip(WEIGHTS, shares, strict=True))
            return -score, word.price, word.days, int(word.name[1:])

        return min(standing, key=key).name

    def may_be_decided(self) -> bool:
        return self.state == "deciding" or (self.state, self.kind) == ("open", "quote")

    def over(self, state: str) -> None:
        self.state, self.words = state, []

    # ---- steps

    @precondition(lambda self: self.state not in ("open", "deciding"))
    @rule(
        kind=st.sampled_from(["quote", "quote", "tender"]),
        said=st.lists(st.tuples(PRICES, DAYS), min_size=2, max_size=3),
    )
    def publish(self, kind: str, said: list[tuple[int, int]]) -> None:
        self.asked.kind = self.kind = kind
        self.asked.listings = self.listings[kind]
        self.asked.need = self.asked.publish(criteria=CRITERIA)
        self.over("open")
        for at, (price, days) in enumerate(said):
            self.propose(at, price, days)

    @precondition(lambda self: self.state == "open")
    @rule(at=st.integers(0, 2), price=PRICES, days=DAYS)
    def proposes(self, at: int, price: int, days: int) -> None:
        self.propose(at, price, days)

    def propose(self, at: int, price: int, days: int) -> None:
        outcome = self.world.do(self.asked.proposing(at, price, delivery_days=days))
        mine = next((word for word in self.words if word.merchant == at), None)
        if mine is None:
            self.words.append(Word(only(outcome, e.ProposalMade).proposal, at, price, days))
        elif self.kind == "tender":
            assert only(outcome, e.ProposalRevised).proposal == mine.name
            mine.price, mine.days = price, days
        else:
            assert outcome.refusal is not None
            assert outcome.refusal.code is e.Refused.already_exists

    @precondition(lambda self: self.words)
    @rule(data=st.data(), price=PRICES, in_turn=st.sampled_from([True, True, True, False]))
    def counter(self, data: Any, price: int, in_turn: bool) -> None:
        word = data.draw(st.sampled_from(self.words))
        by_buyer = word.by_buyer != in_turn
        actor = self.asked.buyer if by_buyer else self.asked.merchants[word.merchant]
        outcome = self.world.do(self.asked.counter(actor, word.name, price))
        if self.kind == "quote" and in_turn:
            assert outcome.refusal is None, outcome.refusal
            word.price, word.by_buyer = price, by_buyer
        else:
            assert outcome.refusal is not None

    @precondition(lambda self: self.words)
    @rule(data=st.data(), by_buyer=st.booleans())
    def say_yes(self, data: Any, by_buyer: bool) -> None:
        """By the buyer to an offer, by the merchant to a counter; only the best is awarded, and the law has its say."""
        word = data.draw(st.sampled_from(self.words))
        actor = self.asked.buyer if by_buyer else self.asked.merchants[word.merchant]
        outcome = self.world.do(e.AcceptProposal(actor=actor, proposal=word.name))
        allowed = self.may_be_decided() and by_buyer != word.by_buyer and self.best(word) == word.name
        assert (outcome.refusal is None) == allowed, outcome.refusal
        if allowed:
            self._cleared(word, outcome)

    @precondition(lambda self: self.may_be_decided() and not all(word.by_buyer for word in self.words))
    @rule()
    def award_the_best(self) -> None:
        """Whatever was countered and not taken up stands in nobody's way."""
        best = self.best()
        word = next(word for word in self.words if word.name == best)
        self._cleared(word, self.world.must(self.asked.award(best)))

    def _cleared(self, word: Word, outcome: Outcome) -> None:
        said = only(outcome, e.ProposalAwarded)
        if word.merchant == 2:
            assert (said.step, said.violated) == ("refuse", ("E05",))
            self.words.remove(word)
            if self.state == "deciding" and not self.words:
                self.over("lapsed")
            return
        settled = only(outcome, e.Settled)
        assert (settled.price_fen, settled.due_ns) == (word.price, self.world.at_ns + word.days * DAY_NS)
        self.spent += settled.amount_fen
        self.over("awarded")

    @precondition(lambda self: self.words)
    @rule(data=st.data())
    def take_back(self, data: Any) -> None:
        word = data.draw(st.sampled_from(self.words))
        actor = self.asked.merchants[word.merchant]
        outcome = self.world.do(e.WithdrawProposal(actor=actor, proposal=word.name))
        allowed = self.kind == "quote" or self.state == "open"
        assert (outcome.refusal is None) == allowed
        if allowed:
            self.words.remove(word)
        if allowed and self.state == "deciding" and not self.words:
            self.over("lapsed")

    @precondition(lambda self: self.state in ("open", "deciding"))
    @rule()
    def date_passes(self) -> None:
        need = self.asked.row
        if self.state == "open":
            self.world.tick_at(need.respond_until_ns + 1_000)
            self.over("lapsed") if not self.words else setattr(self, "state", "deciding")
            return
        self.world.tick_at(need.decide_until_ns + 1_000)
        self.over("lapsed")

    # ---- what holds

    @invariant()
    def memory_has_what_is_undecided_and_nothing_else(self) -> None:
        live = self.state in ("open", "deciding")
        assert list(self.world.state.needs) == ([self.asked.need] if live else [])
        assert sorted(self.world.state.proposals) == sorted(word.name for word in self.words)
        if live:
            assert self.asked.row.state == self.state

    @invariant()
    def nothing_is_reserved_and_the_books_are_whole(self) -> None:
        balance, reserved = self.world.money(self.asked.buyer)
        paid_back = 10**9 - self.spent
        assert reserved == 0
        assert balance >= paid_back
        self.world.check()


Needs.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestNeeds = Needs.TestCase
