"""The naive twin and the fast book, told the same by hypothesis, which shrinks what they answer differently."""

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exchange.matching.orders import (
    BUY,
    SELL,
    Cancel,
    Command,
    Conditions,
    Disconnect,
    Enter,
    Expire,
    Filled,
    Instrument,
    MassCancel,
    Move,
    Replace,
)
from tests.exchange.two_books import TwoBooks

EXAMPLES = int(os.environ.get("SHUJI_TWIN_EXAMPLES", "150"))
PARTICIPANTS = {"p": "house", "q": "house", "r": "r", "s": "s", "t": "t"}
PHASES = ("continuous", "closed", "pre_open", "call_auction", "halted", "resume")
names = st.sampled_from([f"a{number}" for number in range(8)])
participants = st.sampled_from(sorted(PARTICIPANTS))
sides = st.sampled_from((BUY, SELL))
prices = st.integers(98, 102)
quantities = st.integers(1, 6)
sessions = st.sampled_from(("", "x"))
pairs = st.frozensets(st.tuples(participants, participants), max_size=4)
refusals = st.frozensets(st.tuples(names, names), max_size=6)
instruments = st.builds(
    Instrument, collar_bp=st.sampled_from((0, 100)), reference_fen=st.sampled_from((0, 100))
).filter(lambda instrument: instrument.reference_fen > 0 or instrument.collar_bp == 0)
lawful = st.sampled_from(
    (
        {},
        {"display": 1},
        {"display": 2},
        {"minimum": 2},
        {"minimum": 2, "display": 1},
        {"all_or_none": True},
        {"post_only": True},
        {"time_in_force": "ioc"},
        {"time_in_force": "ioc", "minimum": 2},
        {"time_in_force": "ioc", "all_or_none": True},
        {"time_in_force": "fok"},
        {"time_in_force": "gtd", "expires_ns": 5},
        {"time_in_force": "day", "expires_ns": 3},
    )
)
modes = st.sampled_from(("cancel_newest", "cancel_oldest", "cancel_both", "decrement"))


class Exchange(RuleBasedStateMachine):
    @initialize(instrument=instruments, apart=pairs, refused=refusals, start=st.sampled_from(PHASES[:3]))
    def open(
        self,
        instrument: Instrument,
        apart: frozenset[tuple[str, str]],
        refused: frozenset[tuple[str, str]],
        start: Any,
    ) -> None:
        def may_trade(buyer: str, seller: str) -> bool:
            return (buyer, seller) not in apart

        def stands(fill: Filled) -> bool:
            return (fill.buy, fill.sell) not in refused

        self.books = TwoBooks(instrument, may_trade, stands)
        if start != "closed":
            self.say(Move(start))

    def say(self, command: Command) -> None:
        self.books.execute(command)

    @rule(
        name=names, side=sides, price=prices, quantity=quantities, who=participants, asked=lawful, mode=modes
    )
    def limit(
        self, name: str, side: Any, price: int, quantity: int, who: str, asked: dict[str, Any], mode: Any
    ) -> None:
        conditions = Conditions(self_trade=mode, **asked)
        self.say(Enter(name, side, price, quantity, PARTICIPANTS[who], who, conditions))

    @rule(name=names, side=sides, quantity=quantities, who=participants, fok=st.booleans(), mode=modes)
    def market_order(self, name: str, side: Any, quantity: int, who: str, fok: bool, mode: Any) -> None:
        conditions = Conditions(self_trade=mode, time_in_force="fok" if fok else "ioc")
        self.say(Enter(name, side, 0, quantity, PARTICIPANTS[who], who, conditions))

    @rule(
        name=names,
        side=sides,
        price=st.one_of(st.just(0), prices),
        stop=prices,
        quantity=quantities,
        who=participants,
        asked=lawful,
        session=sessions,
    )
    def stop(
        self,
        name: str,
        side: Any,
        price: int,
        stop: int,
        quantity: int,
        who: str,
        asked: dict[str, Any],
        session: str,
    ) -> None:
        conditions = Conditions(stop_fen=stop, session=session, **asked)
        self.say(Enter(name, side, price, quantity, PARTICIPANTS[who], who, conditions))

    @rule(name=names)
    def cancel(self, name: str) -> None:
        self.say(Cancel(name))

    @rule(
        name=names,
        quantity=quantities,
        price=st.one_of(st.just(0), prices),
        stop=st.one_of(st.just(0), prices),
        display=st.integers(0, 2),
    )
    def replace(self, name: str, quantity: int, price: int, stop: int, display: int) -> None:
        self.say(Replace(name, quantity, price, stop, display))

    @rule(who=participants, side=st.sampled_from(("", BUY, SELL)))
    def mass_cancel(self, who: str, side: str) -> None:
        self.say(MassCancel(who, side))

    @rule(session=sessions)
    def disconnect(self, session: str) -> None:
        self.say(Disconnect(session))

    @rule(at_ns=st.integers(1, 6))
    def expire(self, at_ns: int) -> None:
        self.say(Expire(at_ns))

    @rule(phase=st.sampled_from(PHASES))
    def move(self, phase: Any) -> None:
        self.say(Move(phase))

    @invariant()
    def the_same_orders_stand(self) -> None:
        if hasattr(self, "books"):
            self.books.check()


Exchange.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
TestExchange = Exchange.TestCase
