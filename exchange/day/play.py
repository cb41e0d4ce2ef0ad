"""The day itself: the town opens, orders and deliveries follow by the hour, dates pass, everything is compared.

people and goods ── five days' notice ── first purchases ── goods are spoilt ── 09:00 Beijing
    hours of orders, each with its deliveries and lots ── holds cured ── lots end ── dates pass ── grades
    a month of metered use ── its bill ── balances, trades
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from exchange.client import uuid7
from exchange.day.door import DayBroken, Door, Keeper, Person
from exchange.day.expectation import Deal, Expectation, Fill, Line, Outcome
from exchange.day.lots import BEHIND_S, Lots
from exchange.day.people import DAY_S, Town
from exchange.day.plan import Planned, Planner, Turn
from exchange.day.stalls import (
    DEALERS,
    GUARDED,
    NOTICE_DAYS,
    OFFERS,
    UNPLANTED,
    Builder,
    Market,
    refusal_of,
    rules_of,
)

HOURS: Final = 8
HOLD_DAYS: Final = 10
ALL_S: Final = 365 * DAY_S
"""Whatever still waits has its date within this."""
RECORDED: Final = ("B11", "C02")
"""Holds whose cure mends the product's register."""
PRIORS: Final = 4
"""Exclusive licences over earlier ones (B17), each good for one order; with many orders there are more."""
ORDERS_A_PRIOR: Final = 2_000
GRADES: Final = ("D", "C", "M", "B", "A")
"""From worst to best; M, little is known yet, stands above C."""
ADDRESS: Final = {"kind": "address", "url": "https://api.shuji.example/delivery"}
FILES_OF: Final = 10
"""One delivery of so many is a file, the others are addresses."""

HANDS: Final = 8
"""How many deliveries are under way at once."""

Progress = Callable[[int], None]


class Day:
    """One day of a seed at one venue. `people_of_data` are merchants whose published listings are ordered too."""

    def __init__(
        self, town: Town, keeper: Keeper, seed: str, orders: int, people_of_data: tuple[Person, ...] = ()
    ) -> None:
        self.town, self.keeper, self.seed, self.orders = town, keeper, seed, orders
        self.book = Expectation()
        self.market = Market()
        self._guests = people_of_data
        self._before: dict[str, int] = {}
        self._lots: Lots
        self._order_ids: dict[int, str] = {}
        self._undone: list[tuple[str, Deal]] = []
        """Settled, and nothing done about it yet."""
        self._held: list[tuple[Planned, str, Deal]] = []

    # -- before the orders

    def open(self) -> Planner:
        """Everybody is there, public data has had its notice, and the first purchases are being used."""
        buyers = [f"buyer-{number:02}" for number in range(1, 1 + min(24, 8 + self.orders // 200))]
        builder = Builder(self.town, PRIORS + self.orders // ORDERS_A_PRIOR)
        for label in buyers:
            self.town.buyer(label)
        self.market = builder.build()
        self.town.tell_persons_of(person for label, person in self.town.people.items() if label != "reviewer")
        self.town.advance(days=NOTICE_DAYS)
        self.town.until_opening()
        self.market.imported = list(builder.imported(self._guests))
        self._lots = Lots(self.town, builder, self.book, self.seed, self._follows)
        self._lots.come()
        self._before = {label: person.balance_fen() for label, person in self._watched()}
        self._lots.open()
        planner = Planner(self.seed, self.orders, self.market, buyers, DEALERS)
        for turn in planner.first():
            self._take(turn)
        self._deliver()
        builder.spoil()
        for offer in OFFERS:
            self.book.doors.append(Line("dishonest-2", offer.label, offer.outcome, builder.attempt(offer)))
        return planner

    def _follows(self, trade: str, deal: Deal) -> None:
        self._undone.append((trade, deal))

    def _watched(self) -> Iterator[tuple[str, Person]]:
        for label, person in self.town.people.items():
            if label != "reviewer":
                yield label, person

    # -- orders

    def trade(self, turns: list[Turn], progress: Progress) -> None:
        """By the hour: orders, then what they ask of merchants and buyers."""
        for hour in range(HOURS):
            for number in range(len(turns) * hour // HOURS, len(turns) * (hour + 1) // HOURS):
                self.keeper.turn(number)
                self._take(turns[number])
                progress(len(turns[number].orders))
            self._deliver()
            self.town.advance(seconds=3600)
            self._lots.go_on()
            self._deliver()

    def _take(self, turn: Turn) -> None:
        """One batch, then the cancels."""
        person = self.town.people[turn.actor]
        for planned in turn.orders:
            if planned.body.get("side", "buy") == "buy":
                self.town.agree(person, planned.body["listing"])
        batch = [{**planned.body, "client_order_id": uuid7()} for planned in turn.orders]
        results = person.ask("POST", "/v1/orders/batch", batch).must()["results"]
        for planned, result in zip(turn.orders, results, strict=True):
            self._note(planned, result)
        for number in turn.cancels:
            answer = person.ask("DELETE", f"/v1/orders/{self._order_ids.get(number, 'O0')}")
            state = answer.body["state"] if answer.done else answer.body["code"]
            self.book.step(f"cancel of order {number} by {turn.actor}", "closed", state)

    def _note(self, planned: Planned, result: dict[str, Any]) -> None:
        placed = result.get("order")
        seen = refusal_of(result["problem"]) if placed is None else _outcome_of(placed)
        line = Line(planned.actor, _place_of(planned), planned.outcome, seen)
        self.book.lines.append(line)
        if placed is None:
            return
        self._order_ids[planned.number] = placed["order"]
        for index, trade in enumerate(placed["trades"]):
            if trade["state"] in ("settled", "held"):
                self._open_deal(planned, trade, index)

    def _open_deal(self, planned: Planned, trade: dict[str, Any], index: int) -> None:
        """The amount is this side's own reckoning, rounded up over the whole quantity."""
        stall = planned.stall
        other = planned.others[index] if index < len(planned.others) else stall.seller
        sells = planned.body.get("side") == "sell"
        buyer, seller = (other, planned.actor) if sells else (planned.actor, other)
        amount_fen = -(-trade["price_fen"] * trade["quantity"] // stall.per_units)
        self.book.step(f"amount of trade {trade['trade']}", amount_fen, trade["amount_fen"])
        shares = stall.shares if seller == stall.seller else ()
        number = len(self.book.lines)
        deal = Deal(
            number, buyer, seller, stall.board, amount_fen, planned.fate, shares, mechanism=stall.mechanism
        )
        self.book.deals[trade["trade"]] = deal
        if trade["state"] == "held":
            self._held.append((planned, trade["trade"], deal))
        elif deal.fate != "units":
            self._undone.append((trade["trade"], deal))

    # -- what follows an order

    def _deliver(self) -> None:
        """Each deal gets what its fate says; dates do the rest. Several at once: one trade does not touch another."""
        with ThreadPoolExecutor(HANDS) as hands:
            list(hands.map(self._follow, self._undone))
        self._undone.clear()

    def _follow(self, work: tuple[str, Deal]) -> None:
        trade, deal = work
        seller, buyer = self.town.people[deal.seller], self.town.people[deal.buyer]
        if deal.fate in ("missed", "lapsed", "revoked"):
            return
        self._hand_over(trade, deal, seller, "delivered")
        if deal.fate == "accepted":
            self._step(trade, deal, buyer, "acceptance", {}, "completed")
        elif deal.fate != "silent":
            reason = {"reason": "缺少三月数据"}
            self._step(trade, deal, buyer, "rejection", reason, "rejected")
            if deal.fate != "not_redelivered":
                self._hand_over(trade, deal, seller, "redelivered")
            if deal.fate == "redelivered":
                self._step(trade, deal, buyer, "acceptance", {}, "completed")
            elif deal.fate == "rejected_twice":
                self._step(trade, deal, buyer, "rejection", reason, "refunded")

    def _hand_over(self, trade: str, deal: Deal, seller: Person, state: str) -> None:
        if deal.order % FILES_OF or deal.mechanism == "metered":
            self._step(trade, deal, seller, "delivery", ADDRESS, state)
            return
        content = f"month,teu\n2026-01,{deal.order}\n".encode()
        digest = hashlib.sha256(content).hexdigest()
        seller.ask("PUT", f"/v1/files?sha256={digest}&name=teu.csv", content).must()
        body = {"kind": "file", "sha256": digest, "name": "teu.csv", "media_type": "text/csv"}
        self._step(trade, deal, seller, "delivery", body, state)

    def _step(
        self, trade: str, deal: Deal, person: Person, step: str, body: dict[str, Any], state: str
    ) -> None:
        answer = person.ask("POST", f"/v1/trades/{trade}/{step}", body)
        seen = answer.body["state"] if answer.done else answer.body["code"]
        self.book.step(f"{step} for {deal.name} by {person.label}", state, seen)

    # -- after the orders

    def close(self) -> dict[str, str]:
        """Holds are cured or left, dates pass, months are billed, all is compared; gives the merchants' grades.

        Grades are looked at before the months: how far the next first of a month is differs from day to day.
        """
        self._cure()
        self._deliver()
        self._lots.evening(BEHIND_S, self._deliver)
        self.town.advance(days=1 + max(HOLD_DAYS, self.market.longest_days))
        grades = dict(self._grades())
        self._compare_characters(grades)
        self._lots.evening(ALL_S, self._deliver)
        self._look_at_trades()
        self._look_at_balances()
        return grades

    def _cure(self) -> None:
        """Some cures mend a product's register, and with it all its holds; any other is of its trade alone.

        What is on hold and was not planted so is a difference already, and is left to run out.
        """
        mended: dict[str, str] = {}
        for planned, trade, deal in self._held:
            if planned.trap is None or not planned.trap.hold:
                continue
            way, [rule], product = planned.trap.hold, planned.trap.rules, planned.stall.product
            if way == "revoked" and product not in mended:
                self.town.record(product, "registration_revoked")
            elif way == "cured" and (rule not in RECORDED or product not in mended):
                self._cure_one(trade, deal, rule)
            mended[product] = rule
            if way == "cured":
                self._undone.append((trade, deal))

    def _cure_one(self, trade: str, deal: Deal, rule: str) -> None:
        by = self.town.people[deal.buyer] if rule == "B17" else self.town.reviewer
        body: dict[str, Any] = {"rule": rule}
        if rule != "B17":
            revision = 2 if rule == "C02" else 1
            evidence = hashlib.sha256(rule.encode()).hexdigest()
            body |= {"evidence_sha256": evidence, "revision": revision}
        answer = by.ask("POST", f"/v1/holds/{trade}/cure", body)
        seen = answer.body["state"] if answer.done else answer.body["code"]
        self.book.step(f"cure of {rule} for {deal.name}", "settled", seen)

    def _look_at_trades(self) -> None:
        for buyer in dict.fromkeys(deal.buyer for deal in self.book.deals.values()):
            for trade in self.town.people[buyer].every("/v1/trades"):
                if trade["trade"] in self.book.deals:
                    self._look_at(self.book.deals[trade["trade"]], trade)

    def _look_at(self, deal: Deal, trade: dict[str, Any]) -> None:
        """An award of a challenge is one of the listing's own mechanism."""
        self.book.ends[trade["trade"]] = trade["state"]
        if deal.mechanism != "challenge":
            self.book.step(f"mechanism of {deal.name}", deal.mechanism, trade["mechanism"])

    def _look_at_balances(self) -> None:
        moved = self.book.moved_fen()
        for label, before in self._before.items():
            now = self.town.people[label].balance_fen()
            self.book.step(f"balance of {label}", before + moved[label], now)

    def _grades(self) -> Iterator[tuple[str, str]]:
        stalls = (*self.market.posted, *self.market.books, *self.market.imported)
        sellers = {stall.seller for stall in (*stalls, *(trap.stall for trap in self.market.traps))}
        for seller in sorted(sellers):
            participant = self.town.people[seller].participant
            answer = self.town.door.ask("GET", f"/v1/credit/{participant}").must()
            yield seller, str(answer["grade"])

    def _compare_characters(self, grades: dict[str, str]) -> None:
        """Nobody dishonest may stand above anybody honest, of those who sold."""
        ranks: dict[str, list[int]] = {"honest": [], "dishonest": []}
        for stall in self.market.posted:
            ranks.setdefault(stall.character, []).append(GRADES.index(grades[stall.seller]))
        above = max(ranks["dishonest"]) > min(ranks["honest"])
        self.book.step("a dishonest merchant graded above an honest one", False, above)

    # -- which rules were met

    def guards_met(self) -> dict[str, int]:
        """Rule that no answer names -> how often its guard was met as planted."""
        met = dict.fromkeys(GUARDED, 0)
        codes = {trap.label: trap for trap in self.market.traps if trap.guard_of}
        for line in self.book.lines:
            trap = codes.get(line.stall.partition(": ")[0])
            if trap is not None and line.seen.code == trap.code:
                met[trap.guard_of] += 1
        for offer, line in zip(OFFERS, self.book.doors, strict=True):
            if offer.guard_of and line.seen == offer.outcome:
                met[offer.guard_of] += 1
        return met

    def check_rules(self) -> None:
        """Every rule that is planted was named, or its guard met; a guarded rule that was named is a difference too.

        Duties after the trade break by dates that a day does not reach: no order meets them.
        """
        rules = self.town.door.ask("GET", "/v1/rules").must()["items"]
        loaded = {rule["rule"] for rule in rules if rule["phases"] != ["post_trade"]} - set(UNPLANTED)
        told = self.book.summary()
        named = {*told["refused_by_rule"], *told["held_by_rule"]}
        guards = {rule for rule, times in self.guards_met().items() if times}
        self.book.step("rules that were met", sorted(loaded), sorted(named | guards))
        self.book.step("rules that a guard stands before", sorted(GUARDED), sorted(loaded - named))


def _place_of(planned: Planned) -> str:
    return planned.stall.label if planned.trap is None else f"{planned.trap.label}: {planned.stall.label}"


def _outcome_of(placed: dict[str, Any]) -> Outcome:
    fills = tuple(
        Fill(trade["state"], trade["quantity"], trade["price_fen"], rules_of(trade))
        for trade in placed["trades"]
    )
    return Outcome("placed", fills=fills, rests=placed["remaining"])


def check_clock(door: Door) -> None:
    """Raises DayBroken at a venue whose time is real: a day's dates would not pass, and its orders would be real."""
    if not door.clock()[1]:
        raise DayBroken(
            f"{door.url} 用真实时钟运行：交易日只能在模拟时钟上演练。"
            f"{door.url} runs on the real clock: a day is played on a venue of `shuji serve --simulated-clock` only, "
            "never on live data"
        )
