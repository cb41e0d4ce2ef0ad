"""An order book as slow as it is plain: lists, searched and sorted anew for each question. Written from
`docs/MATCHING.md` alone; what `exchange.matching` answers is compared with it, command by command."""

from copy import copy
from dataclasses import dataclass
from itertools import count

from exchange.matching.orders import (
    BUY,
    Barred,
    CameIn,
    Cancel,
    Closed,
    Command,
    Conditions,
    Disconnect,
    Enter,
    Entered,
    Event,
    Expire,
    Filled,
    Instrument,
    MassCancel,
    MayTrade,
    Move,
    Moved,
    Phase,
    Reduced,
    Refilled,
    Refused,
    Replace,
    Replaced,
    Side,
    Stands,
    Uncrossed,
)

MOVES: dict[str, tuple[str, ...]] = {
    "closed": ("pre_open", "continuous", "halted"),
    "pre_open": ("call_auction", "closed", "halted"),
    "call_auction": ("continuous", "closed", "halted"),
    "continuous": ("call_auction", "closed", "halted"),
    "halted": ("resume",),
}


@dataclass(eq=False)
class Order:
    """`place` orders those of one price, or of one stop; 0: it has none. `filled` leaves out what self-trade prevention
    took. `stop_fen` is 0 once it has come in, `minimum` once it was asked."""

    order: str
    side: Side
    price_fen: int
    remaining: int
    owner: str
    participant: str
    conditions: Conditions
    entered: int
    stop_fen: int
    display: int
    minimum: int
    time_in_force: str
    filled: int = 0
    shown: int = 0
    place: int = 0
    alive: bool = True

    @property
    def all_or_none(self) -> bool:
        return self.conditions.all_or_none

    def shows_anew(self) -> None:
        self.shown = min(self.display, self.remaining) if self.display else self.remaining


def by_priority(order: Order) -> tuple[int, int]:
    return (-order.price_fen if order.side == BUY else order.price_fen, order.place)


def by_election(order: Order) -> tuple[bool, int, int]:
    """Buys first, the lowest stop first, then sells, the highest first; equal ones by time."""
    return (order.side != BUY, order.stop_fen if order.side == BUY else -order.stop_fen, order.place)


def by_place(order: Order) -> int:
    return order.place


def by_entry(order: Order) -> int:
    return order.entered


def contradict(price_fen: int, quantity: int, stop_fen: int, display: int, asked: Conditions) -> bool:
    """3. `conditions` contradict each other."""
    market = price_fen == 0
    at_once = asked.time_in_force in ("ioc", "fok")
    until = asked.time_in_force in ("gtd", "day")
    return bool(
        (market and not at_once and not stop_fen)
        or (market and (asked.post_only or display or asked.all_or_none))
        or (at_once and (asked.post_only or display))
        or (asked.all_or_none and (display or asked.minimum or asked.self_trade == "decrement"))
        or (asked.time_in_force == "fok" and (asked.minimum or asked.all_or_none))
        or (asked.post_only and (asked.minimum or asked.all_or_none or stop_fen))
        or display > quantity
        or asked.minimum > quantity
        or until != (asked.expires_ns != 0)
    )


class NaiveMarket:
    def __init__(self, instrument: Instrument, may_trade: MayTrade, stands: Stands) -> None:
        self.instrument = instrument
        self.may_trade = may_trade
        self.stands = stands
        self.phase: Phase = "closed"
        self.halted_in: Phase = "closed"
        self.last_fen = 0
        self.rests: list[Order] = []
        self.waits: list[Order] = []
        self.queue: list[Order] = []
        self.barred: list[tuple[str, str]] = []
        self.moments = count(1)
        self.events: list[Event] = []

    def execute(self, command: Command) -> list[Event]:
        self.events = []
        match command:
            case Enter():
                self.enter(command)
            case Cancel():
                self.cancel(command)
            case Replace():
                self.replace(command)
            case MassCancel():
                self.mass_cancel(command)
            case Disconnect():
                self.disconnect(command)
            case Expire():
                self.expire(command)
            case Move():
                self.move(command)
        return self.events

    # ---- what there is to see

    def resting(self) -> list[tuple[str, str, int, int, int]]:
        """(order, side, price, remaining, shown): buys in priority, then sells in priority."""
        ordered = sorted(self.rests, key=lambda order: (order.side != BUY, by_priority(order)))
        return [(each.order, each.side, each.price_fen, each.remaining, each.shown) for each in ordered]

    def waiting(self) -> list[tuple[str, str, int, int, int]]:
        """(order, side, price, stop, remaining), in the order in which one price would elect them."""
        ordered = sorted(self.waits, key=by_election)
        return [(each.order, each.side, each.price_fen, each.stop_fen, each.remaining) for each in ordered]

    def check(self) -> None:
        """Between two commands: no quantity is zero, and in continuous no pair crosses that may trade. An all-or-none may
        be crossed by what does not fill it."""
        assert not self.queue
        assert all(
            0 < each.shown <= each.remaining and each.alive and not each.stop_fen for each in self.rests
        )
        assert all(each.remaining > 0 and each.alive and each.stop_fen for each in self.waits)
        if self.phase != "continuous":
            return
        assert not any(self.reached(each, self.last_fen) for each in self.waits)
        takers = [each for each in self.rests if each.side == BUY and not each.all_or_none]
        for buy in takers:
            makers = [sell for sell in self.makers(buy, buy.price_fen) if not sell.all_or_none]
            assert all(self.is_barred(buy, sell) for sell in makers)

    # ---- an order comes in

    def enter(self, command: Enter) -> None:
        if code := self.refusal(command):
            self.events.append(Refused(command.order, code))
            return
        asked = command.conditions
        order = Order(
            command.order,
            command.side,
            command.price_fen,
            command.quantity,
            command.owner,
            command.participant,
            asked,
            next(self.moments),
            asked.stop_fen,
            asked.display,
            asked.minimum,
            asked.time_in_force,
        )
        self.events.append(Entered(order.order))
        if order.stop_fen:
            self.wait_for_stop(order)
        elif self.phase == "continuous":
            self.come_in(order)
        else:
            self.rest(order)
        self.let_stops_in()

    def refusal(self, command: Enter) -> str:
        asked = command.conditions
        if self.living(command.order):
            return "duplicate"
        if command.quantity <= 0 or min(asked.display, asked.minimum, asked.stop_fen, command.price_fen) < 0:
            return "quantity"
        if contradict(command.price_fen, command.quantity, asked.stop_fen, asked.display, asked):
            return "conditions"
        if not self.phase_takes(command):
            return "phase"
        return self.measures(
            (command.quantity, asked.display, asked.minimum), (command.price_fen, asked.stop_fen)
        )

    def phase_takes(self, command: Enter) -> bool:
        asked = command.conditions
        if self.phase in ("closed", "halted"):
            return False
        if self.phase == "continuous" or asked.stop_fen:
            return True
        lasts = asked.time_in_force in ("gtc", "gtd", "day") and command.price_fen > 0
        return lasts and not (asked.post_only or asked.minimum or asked.all_or_none)

    def measures(self, quantities: tuple[int, ...], prices: tuple[int, ...]) -> str:
        """5. lot, 6. tick, 7. collar. A price or stop of 0 is none."""
        if any(quantity % self.instrument.lot for quantity in quantities):
            return "lot"
        if any(price % self.instrument.tick_fen for price in prices):
            return "tick"
        if self.instrument.collar_bp:
            lowest, highest = self.collar()
            if any(price and not lowest <= price <= highest for price in prices):
                return "collar"
        return ""

    def reference(self) -> int:
        return self.last_fen or self.instrument.reference_fen

    def collar(self) -> tuple[int, int]:
        far = self.reference() * self.instrument.collar_bp // 10_000
        return self.reference() - far, self.reference() + far

    def living(self, name: str) -> Order | None:
        return next((order for order in self.rests + self.waits if order.order == name), None)

    # ---- where an order stands

    def rest(self, order: Order) -> None:
        """Where it was, or behind all others of its price."""
        order.place = order.place or next(self.moments)
        order.shows_anew()
        self.rests.append(order)

    def wait_for_stop(self, order: Order) -> None:
        """Or come in, where its stop is reached already."""
        if self.phase == "continuous" and self.reached(order, self.last_fen):
            self.come_in_by_stop(order)
        else:
            order.place = order.place or next(self.moments)
            self.waits.append(order)

    def leave(self, order: Order) -> None:
        order.alive = False
        self.rests = [other for other in self.rests if other is not order]
        self.waits = [other for other in self.waits if other is not order]
        self.barred = [pair for pair in self.barred if order.order not in pair]

    def close(self, order: Order, reason: str) -> None:
        self.leave(order)
        self.events.append(Closed(order.order, reason, order.remaining))

    # ---- the meeting

    def come_in(self, order: Order) -> None:
        self.meet(order)
        self.try_all_or_none_against(order)

    def come_in_again(self, order: Order, cause: str) -> None:
        self.rests.remove(order)
        self.events.append(CameIn(order.order, cause))
        self.come_in(order)

    def come_in_by_stop(self, order: Order) -> None:
        self.events.append(CameIn(order.order, "stop"))
        order.stop_fen = order.place = 0
        if not order.price_fen:
            order.time_in_force = "ioc"
        self.come_in(order)

    def meet(self, order: Order) -> None:
        limit = self.limit(order)
        minimum, order.minimum = order.minimum, 0
        if order.conditions.post_only and self.first_maker(order, limit):
            self.close(order, "post_only")
        elif order.time_in_force == "fok" and self.could_fill(order) < order.remaining:
            self.close(order, "fok")
        elif minimum and self.could_fill(order) < minimum:
            self.close(order, "minimum_quantity")
        elif order.all_or_none and self.could_fill(order) < order.remaining:
            if order.time_in_force == "ioc":
                self.close(order, "all_or_none")
            else:
                self.rest(order)
        else:
            before = order.filled
            self.walk(order, limit)
            if order.alive:
                self.end_meeting(order, order.filled > before)

    def end_meeting(self, order: Order, begun: bool) -> None:
        if order.remaining == 0:
            self.leave(order)
        elif order.time_in_force == "fok":
            self.close(order, "fok")
        elif order.time_in_force == "ioc":
            self.close(order, "ioc")
        elif order.all_or_none and begun:
            self.close(order, "all_or_none")
        else:
            self.rest(order)

    def limit(self, taker: Order) -> int | None:
        """The worst price that it takes; None: any."""
        if taker.price_fen:
            return taker.price_fen
        if self.instrument.collar_bp:
            lowest, highest = self.collar()
            return highest if taker.side == BUY else lowest
        return None

    def makers(self, taker: Order, limit: int | None) -> list[Order]:
        """In priority, those kept apart included."""

        def within(price_fen: int) -> bool:
            return limit is None or (price_fen <= limit if taker.side == BUY else price_fen >= limit)

        return sorted(
            (maker for maker in self.rests if maker.side != taker.side and within(maker.price_fen)),
            key=by_priority,
        )

    def first_maker(self, taker: Order, limit: int | None) -> Order | None:
        return next((maker for maker in self.makers(taker, limit) if not self.kept_apart(taker, maker)), None)

    def kept_apart(self, taker: Order, maker: Order) -> bool:
        too_large = maker.all_or_none and maker.remaining > taker.remaining
        return too_large or self.is_barred(taker, maker)

    def is_barred(self, one: Order, other: Order) -> bool:
        buy, sell = (one, other) if one.side == BUY else (other, one)
        if (buy.order, sell.order) in self.barred:
            return True
        return buy.owner != sell.owner and not self.may_trade(buy.participant, sell.participant)

    def walk(self, taker: Order, limit: int | None) -> None:
        while taker.alive and taker.remaining:
            maker = self.first_maker(taker, limit)
            if maker is None:
                return
            if maker.owner == taker.owner:
                self.prevent_self_trade(taker, maker)
            else:
                self.trade(taker, maker)

    def could_fill(self, taker: Order) -> int:
        """How much of it the same walk would fill, if clearing let every fill stand. Walked over copies."""
        trial = NaiveMarket(self.instrument, self.may_trade, lambda fill: True)
        trial.last_fen = self.last_fen
        trial.rests = [copy(maker) for maker in self.makers(taker, self.limit(taker))]
        trial.barred = list(self.barred)
        trial.moments = count(max((order.place for order in self.rests), default=0) + 1)
        walker = copy(taker)
        trial.walk(walker, trial.limit(walker))
        return walker.filled - taker.filled

    def prevent_self_trade(self, taker: Order, maker: Order) -> None:
        match taker.conditions.self_trade:
            case "cancel_newest":
                self.close(taker, "self_trade")
            case "cancel_oldest":
                self.close(maker, "self_trade")
            case "cancel_both":
                self.close(maker, "self_trade")
                self.close(taker, "self_trade")
            case "decrement" if maker.all_or_none:
                self.close(maker, "self_trade")
            case "decrement":
                self.decrement(taker, maker)

    def decrement(self, taker: Order, maker: Order) -> None:
        smaller = min(taker.remaining, maker.remaining)
        for order in (maker, taker):
            order.remaining -= smaller
            order.shown = min(order.shown, order.remaining)
            self.events.append(Reduced(order.order, smaller))
        for order in (maker, taker):
            if order.remaining == 0:
                self.close(order, "self_trade")

    def trade(self, taker: Order, maker: Order) -> None:
        buy, sell = (taker, maker) if taker.side == BUY else (maker, taker)
        quantity = min(taker.remaining, maker.shown)
        if not self.fill(buy, sell, maker.order, maker.price_fen, quantity):
            self.events.append(Barred(taker.order, maker.order))
            return
        maker.shown -= quantity
        if maker.remaining == 0:
            self.leave(maker)
        elif maker.shown == 0:
            maker.place = next(self.moments)
            maker.shows_anew()
            self.events.append(Refilled(maker.order, maker.shown))
        self.elect(maker.price_fen)

    def fill(self, buy: Order, sell: Order, maker: str, price_fen: int, quantity: int) -> bool:
        filled = Filled(buy.order, sell.order, maker, price_fen, quantity)
        if not self.stands(filled):
            self.barred.append((buy.order, sell.order))
            return False
        self.events.append(filled)
        for order in (buy, sell):
            order.filled += quantity
            order.remaining -= quantity
        self.last_fen = price_fen
        return True

    # ---- what follows

    def try_all_or_none_against(self, order: Order) -> None:
        """1. All-or-none again."""
        if order not in self.rests:
            return
        for other in self.makers(order, order.price_fen):
            if other.all_or_none:
                self.try_whole(other)

    def try_whole(self, order: Order) -> None:
        if order in self.rests and self.could_fill(order) == order.remaining:
            self.come_in_again(order, "all_or_none")

    def reached(self, order: Order, price_fen: int) -> bool:
        """No price, no stop."""
        if not price_fen:
            return False
        return price_fen >= order.stop_fen if order.side == BUY else price_fen <= order.stop_fen

    def elected_by(self, price_fen: int) -> list[Order]:
        return sorted((order for order in self.waits if self.reached(order, price_fen)), key=by_election)

    def elect(self, price_fen: int) -> None:
        elected = self.elected_by(price_fen)
        self.waits = [order for order in self.waits if order not in elected]
        self.queue += elected

    def let_stops_in(self) -> None:
        """2. Stops."""
        while self.queue:
            self.come_in_by_stop(self.queue.pop(0))

    # ---- cancel, replace, ends

    def cancel(self, command: Cancel) -> None:
        order = self.living(command.order)
        if self.phase == "call_auction":
            self.events.append(Refused(command.order, "phase"))
        elif order is None:
            self.events.append(Refused(command.order, "unknown"))
        else:
            self.close(order, "cancelled")

    def mass_cancel(self, command: MassCancel) -> None:
        if self.phase == "call_auction":
            self.events.append(Refused("", "phase"))
            return
        for order in sorted(self.rests + self.waits, key=by_entry):
            if order.participant == command.participant and command.side in ("", order.side):
                self.close(order, "cancelled")

    def disconnect(self, command: Disconnect) -> None:
        for order in sorted(self.rests + self.waits, key=by_entry):
            if command.session and order.conditions.session == command.session:
                self.close(order, "disconnected")

    def expire(self, command: Expire) -> None:
        for order in sorted(
            self.rests + self.waits, key=lambda each: (each.conditions.expires_ns, each.entered)
        ):
            if 0 < order.conditions.expires_ns <= command.at_ns:
                self.close(order, "expired")

    def replace(self, command: Replace) -> None:
        order = self.living(command.order)
        if order is None:
            self.events.append(Refused(command.order, "unknown"))
            return
        if order.stop_fen and not command.stop_fen:
            command = replace_stop(command, order.stop_fen)
        elif not order.stop_fen and command.stop_fen > 0:
            command = replace_stop(command, 0)
        if code := self.refusal_to_replace(order, command):
            self.events.append(Refused(command.order, code))
            return
        remaining = command.quantity - order.filled
        keeps = remaining <= order.remaining and (order.price_fen, order.stop_fen, order.display) == (
            command.price_fen,
            command.stop_fen,
            command.display,
        )
        smaller = remaining < order.remaining
        order.price_fen, order.stop_fen, order.display = command.price_fen, command.stop_fen, command.display
        order.remaining = remaining
        self.events.append(Replaced(order.order, order.price_fen, remaining, keeps))
        if not keeps:
            self.lose_place(order)
        elif order in self.rests:
            order.shown = min(order.shown, remaining)
            if order.all_or_none and smaller and self.phase == "continuous":
                self.try_whole(order)
        self.let_stops_in()

    def lose_place(self, order: Order) -> None:
        order.place = 0
        if order in self.waits:
            self.waits.remove(order)
            self.wait_for_stop(order)
            return
        self.rests.remove(order)
        if self.phase == "continuous":
            self.come_in(order)
        else:
            self.rest(order)

    def refusal_to_replace(self, order: Order, command: Replace) -> str:
        """`command.stop_fen` is the stop from now on: 0 where the order waits for none."""
        if self.phase in ("closed", "halted", "call_auction"):
            return "phase"
        if command.quantity <= 0 or min(command.display, command.stop_fen, command.price_fen) < 0:
            return "quantity"
        if (command.price_fen == 0) != (order.price_fen == 0):
            return "conditions"
        display = min(command.display, command.quantity)
        if contradict(command.price_fen, command.quantity, command.stop_fen, display, order.conditions):
            return "conditions"
        quantities = (command.quantity, command.display, order.conditions.minimum)
        code = self.measures(quantities, (command.price_fen, command.stop_fen))
        if not code and command.quantity <= order.filled:
            return "too_late"
        return code

    # ---- phases

    def move(self, command: Move) -> None:
        if command.phase not in MOVES[self.phase]:
            self.events.append(Refused("", "phase"))
            return
        before = self.phase
        if command.phase == "halted":
            self.halted_in = before
        self.phase = self.halted_in if command.phase == "resume" else command.phase
        self.events.append(Moved(self.phase))
        if before == "call_auction" and self.phase != "halted":
            self.uncross()
        if self.phase == "continuous":
            self.into_continuous()

    def into_continuous(self) -> None:
        elected = self.elected_by(self.last_fen)
        crossing = [order for order in self.rests if self.makers(order, order.price_fen)]
        for order in sorted(crossing, key=by_place):
            if order in self.rests and self.first_maker(order, order.price_fen):
                self.come_in_again(order, "crossed")
                self.let_stops_in()
        still = [order for order in elected if order in self.waits]
        self.waits = [order for order in self.waits if order not in still]
        self.queue += still
        self.let_stops_in()

    # ---- the call auction

    def uncross(self) -> None:
        buys = sorted((each for each in self.called() if each.side == BUY), key=by_priority)
        sells = sorted((each for each in self.called() if each.side != BUY), key=by_priority)
        result = self.auction_price(buys, sells)
        self.events.append(result)
        if not result.quantity:
            return
        filled = self.allocate(
            [buy for buy in buys if buy.price_fen >= result.price_fen],
            [sell for sell in sells if sell.price_fen <= result.price_fen],
            result.price_fen,
        )
        for order in sorted(filled, key=by_place):
            if order.remaining == 0:
                self.leave(order)
                continue
            order.shows_anew()
            if order.display:
                self.events.append(Refilled(order.order, order.shown))

    def called(self) -> list[Order]:
        return [order for order in self.rests if not order.all_or_none]

    def auction_price(self, buys: list[Order], sells: list[Order]) -> Uncrossed:
        if not buys or not sells or buys[0].price_fen < sells[0].price_fen:
            return Uncrossed(0, 0, 0)
        best: list[tuple[int, int, int, int]] = []
        for price in range(sells[0].price_fen, buys[0].price_fen + 1, self.instrument.tick_fen):
            bought = sum(buy.remaining for buy in buys if buy.price_fen >= price)
            sold = sum(sell.remaining for sell in sells if sell.price_fen <= price)
            best.append((-min(bought, sold), abs(bought - sold), abs(price - self.reference()), price))
        volume, surplus, _, price = min(best)
        return Uncrossed(price, -volume, surplus)

    def allocate(self, buys: list[Order], sells: list[Order], price_fen: int) -> list[Order]:
        """Every buy walks all sells. Gives the orders that were filled."""
        filled: list[Order] = []
        for buy in buys:
            for sell in sells:
                quantity = min(buy.remaining, sell.remaining)
                if quantity == 0 or buy.owner == sell.owner or self.is_barred(buy, sell):
                    continue
                if self.fill(buy, sell, "", price_fen, quantity):
                    filled += [order for order in (buy, sell) if order not in filled]
                else:
                    self.events.append(Barred(buy.order, sell.order))
        return filled


def replace_stop(command: Replace, stop_fen: int) -> Replace:
    return Replace(command.order, command.quantity, command.price_fen, stop_fen, command.display)
