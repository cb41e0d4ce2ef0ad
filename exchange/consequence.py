"""The grade in force, and what follows from it.

A grade that is computed lower is noticed first and in force from its date. A better one is in force after it has been
computed on every day of two weeks, or at once where a fault is contested, an objection upheld or an override over.
Everybody with conduct is looked at once a day, at midnight (UTC), when the day's orders begin to count; a few in each tick.
Paths that trade only look the grade in force up: `State.graded` has whoever is not M, or is about to be.

What follows is in `credit.remedy.CONSEQUENCES` and nothing else (海南22: 「完善数据交易失信行为认定、守信激励、失信惩戒、
信用修复、异议处理等机制」).
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from clearing.ledger import CNY, deposit_owner
from credit.conduct import WHOLE_ORDER_FEN
from credit.remedy import (
    CEILING_TIMES,
    CONSEQUENCES,
    GRADE_NOTICE_DAYS,
    UPGRADE_DAYS,
    Consequences,
    better_of,
    ceiling_fen,
    is_worse,
    worse_of,
)
from credit.score import Grade, Log
from exchange.events import (
    VENUE,
    Event,
    FollowGrades,
    GradeNoticed,
    GradeNoticeLapsed,
    GradeSet,
    GradesLooked,
    LargestOrderSet,
    Refusal,
    Refused,
)
from exchange.state import DAY_NS, Graded, State

NEWCOMER: Final = CONSEQUENCES["M"]
UNGRADED: Final = Graded()
OPEN_LISTINGS: Final = ("submitted", "returned", "public_notice", "published", "suspended", "draft")
MOST_LOOKED_AT: Final = 200
"""Participants whose grades one tick looks at."""
MOST_BUCKETS: Final = 20_000
"""Days of conduct that one tick adds up for that, about ten milliseconds."""
UNDO: Final = (
    "What it rests on and what undoes it (objection, correction, repair): GET /v1/credit/me/outlook. "
    "依据与解除办法见该页：可异议、纠正、修复。"
)


# ---- what follows, looked up


def grade_of(state: State, participant: str) -> Grade:
    """The grade in force."""
    row = state.graded.get(participant)
    return "M" if row is None else row.grade


def limits_of(state: State, participant: str) -> Consequences:
    """What follows from the grade in force: two look-ups."""
    row = state.graded.get(participant)
    return NEWCOMER if row is None else CONSEQUENCES[row.grade]


def fee_bp(state: State, board_fee_bp: int, seller: str) -> int:
    """The fee of a sale. A board that asks for none asks nobody."""
    return max(0, board_fee_bp + limits_of(state, seller).fee_bp) if board_fee_bp else 0


def ceiling_of(state: State, participant: str) -> int:
    """The ceiling of one order; 0: there is none."""
    row = state.graded.get(participant)
    return NEWCOMER.largest_order_fen if row is None else ceiling_fen(row.grade, row.largest_fen)


def coming(state: State, participant: str, at_ns: int) -> tuple[Grade, int] | None:
    """The grade that is to follow, and from when: the nearest lower one that is noticed, else a better one that is computed
    and has to last."""
    row = state.graded.get(participant, UNGRADED)
    lower = [notice for notice in row.notices if is_worse(notice[0], row.grade)]
    return (
        min(lower, key=lambda notice: notice[1]) if lower else _upgrade(state, participant, row.grade, at_ns)
    )


def _upgrade(state: State, participant: str, in_force: Grade, at_ns: int) -> tuple[Grade, int] | None:
    """What is computed now, from two weeks after the first midnight since which it has lasted."""
    override = state.overrides.get(participant)
    computed = state.bureau.grade(participant, at_ns, rewarding=True)
    if not is_worse(in_force, computed) or (override is not None and override.confirmed_by):
        return None
    since_ns = _midnight_after(at_ns)
    for midnight_ns in range(since_ns - DAY_NS, since_ns - UPGRADE_DAYS * DAY_NS, -DAY_NS):
        then = worse_of(computed, state.bureau.grade(participant, midnight_ns, rewarding=True))
        if not is_worse(in_force, then):
            break
        computed, since_ns = then, midnight_ns
    return computed, since_ns + UPGRADE_DAYS * DAY_NS


def _refused(consequence: str, zh: str, en: str) -> Refusal:
    """Named by the list's own word, in both languages, with the way back."""
    return Refusal(Refused.standing_denied, f"{consequence}: {en}. {zh}。{UNDO}")


def suspended_refusal(state: State, participant: str) -> Refusal | None:
    """Why somebody may begin nothing new."""
    if not limits_of(state, participant).suspended:
        return None
    grade = grade_of(state, participant)
    return _refused(
        "suspended", f"{grade}级：暂停新增交易与挂牌", f"grade {grade} begins no new trade and no listing"
    )


def order_refusal(state: State, buyer: str, seller: str, amount_fen: int, at_ns: int = 0) -> Refusal | None:
    """Why these two may not trade so much in one order; whoever is not known yet is empty. A seller's day is that of
    `at_ns`."""
    graded = state.graded
    if buyer not in graded and seller not in graded and amount_fen < WHOLE_ORDER_FEN:
        return None
    own = _ceiling_refusal(state, buyer, amount_fen) if buyer else None
    return own if own is not None or not seller else _seller_refusal(state, seller, amount_fen, at_ns)


def _seller_refusal(state: State, seller: str, amount_fen: int, at_ns: int) -> Refusal | None:
    """The other side is told what the grade does, and not what its merchant has settled."""
    see = "GET /v1/credit/consequences"
    if limits_of(state, seller).suspended:
        said = f"suspended: the merchant's grade begins no new sale. 卖方信用等级暂停新增销售。{see}"
        return Refusal(Refused.standing_denied, said)
    if amount_fen >= WHOLE_ORDER_FEN and _is_too_fast(state, seller, at_ns):
        en = "the merchant's grade sells no more orders of 10,000 CNY today (UTC): order less, or tomorrow"
        said = f"velocity: {en}. 卖方今日大额订单数已达信用等级上限。{see}"
        return Refusal(Refused.standing_denied, said)
    most_fen = ceiling_of(state, seller)
    if not most_fen or amount_fen <= most_fen:
        return None
    said = f"largest_order_fen: more than the merchant's grade allows, order less. 超出卖方信用等级的单笔上限。{see}"
    return Refusal(Refused.standing_denied, said)


def _sold_today(state: State, seller: str, at_ns: int) -> int:
    """Large orders that a seller has sold on this day (UTC)."""
    day, count = state.pace.get(seller, (0, 0))
    return count if day == at_ns // DAY_NS else 0


def _is_too_fast(state: State, seller: str, at_ns: int) -> bool:
    most = limits_of(state, seller).velocity
    return most > 0 and _sold_today(state, seller, at_ns) >= most


def count_sale(state: State, seller: str, amount_fen: int, at_ns: int) -> None:
    """A sale whose delivery is to come. Counted since grades are followed, so that older journals keep their states."""
    if amount_fen >= WHOLE_ORDER_FEN and state.looking.next_ns and limits_of(state, seller).velocity:
        state.pace[seller] = (at_ns // DAY_NS, _sold_today(state, seller, at_ns) + 1)


def _ceiling_refusal(state: State, participant: str, amount_fen: int) -> Refusal | None:
    most_fen = ceiling_of(state, participant)
    if not most_fen or amount_fen <= most_fen:
        return None
    grade = grade_of(state, participant)
    en = f"grade {grade} allows {most_fen} fen an order, {CEILING_TIMES} times the largest that you have settled"
    return _refused("largest_order_fen", f"{grade}级单笔上限{most_fen}分", en)


def listing_refusal(state: State, merchant: str, own: int = 1) -> Refusal | None:
    """Why a merchant may not open `own` more listings: too many are open, or its deposit is too small. O(listings) for
    grades with a limit."""
    limits, grade = limits_of(state, merchant), grade_of(state, merchant)
    if limits.deposit_fen and _deposited(state, merchant) < limits.deposit_fen:
        en = f"grade {grade} lists with {limits.deposit_fen} fen deposited (POST /v1/deposits)"
        return _refused("deposit_fen", f"{grade}级挂牌须存有保证金{limits.deposit_fen}分", en)
    if limits.most_listings and own + _open_listings(state, merchant) > limits.most_listings:
        en = f"grade {grade} has at most {limits.most_listings} listings open: withdraw one"
        return _refused("most_listings", f"{grade}级最多开放{limits.most_listings}项挂牌", en)
    return None


def kept_deposit_fen(state: State, participant: str) -> int:
    """What of the deposit stays in while listings are open."""
    needed_fen = limits_of(state, participant).deposit_fen
    return needed_fen if needed_fen and _open_listings(state, participant) else 0


def notice_ns(state: State, merchant: str, board_days: int) -> int:
    """How long a listing is in public notice before it is published."""
    return max(board_days, limits_of(state, merchant).pre_review) * DAY_NS


def _deposited(state: State, participant: str) -> int:
    return state.ledger.available(deposit_owner(participant), CNY)


def _open_listings(state: State, merchant: str) -> int:
    return sum(row.merchant == merchant and row.state in OPEN_LISTINGS for row in state.listings.values())


# ---- the grade in force


def is_behind(state: State) -> bool:
    """Whether nobody has begun to look at grades once a day."""
    return not state.looking.next_ns


def follow(state: State, command: FollowGrades, at_ns: int) -> Refusal | list[Event]:
    """The venue's own command, at its first start that knows grades in force."""
    if command.actor != VENUE:
        return Refusal(Refused.forbidden, "the venue's own command")
    return [GradesLooked(0, _midnight_after(at_ns))] if is_behind(state) else []


def on_look_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """Look at the next few of those who have conduct; after the last, at midnight from the first on."""
    if state.looking.next_ns != due_ns:
        return
    after = state.looking.after
    names = _next_few(state, after)
    for name in names:
        yield from look(state, name, at_ns)
    done = after + len(names)
    if done < len(state.bureau.conduct):
        yield GradesLooked(done, at_ns + 1)
    else:
        yield GradesLooked(0, _midnight_after(at_ns))


def _next_few(state: State, after: int) -> list[str]:
    names: list[str] = []
    buckets = 0
    for name, log in islice(state.bureau.conduct.items(), after, after + MOST_LOOKED_AT):
        names.append(name)
        buckets += len(log.good) + len(log.faults)
        if buckets > MOST_BUCKETS:
            break
    return names


def _midnight_after(at_ns: int) -> int:
    return (at_ns // DAY_NS + 1) * DAY_NS


def on_notice_due(state: State, participant: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """The date of a notice has come."""
    yield from look(state, participant, at_ns)


def look(state: State, participant: str, at_ns: int, *, at_once: str = "") -> Iterator[Event]:
    """What follows from the grades computed now. `at_once` is why a better grade needs no two weeks: `contested`, `upheld`,
    `override_ended`."""
    override = state.overrides.get(participant)
    if override is not None and override.confirmed_by and override.from_ns <= at_ns:
        return
    if at_once == "upheld":
        yield from _without_grounds(state, participant, at_ns)
    row = state.graded.get(participant, UNGRADED)
    computed = state.bureau.grade(participant, at_ns)
    if is_worse(computed, row.grade):
        yield from _worse(row, participant, computed, at_ns)
    else:
        if row.notices and not _still_comes(state, row, participant, at_ns):
            yield GradeNoticeLapsed(participant)
        yield from _better(state, row, participant, at_ns, at_once)
    yield from _largest(state, participant)


def _worse(row: Graded, participant: str, computed: Grade, at_ns: int) -> Iterator[Event]:
    """In force is at most what was noticed for today, and never less than what is computed."""
    grade = row.grade
    for noticed, from_ns in row.notices:
        if from_ns <= at_ns:
            grade = worse_of(grade, better_of(noticed, computed))
    if grade != row.grade:
        yield GradeSet(participant, grade, row.grade, "notice")
    if is_worse(computed, grade) and not any(
        from_ns > at_ns and not is_worse(computed, noticed) for noticed, from_ns in row.notices
    ):
        yield GradeNoticed(participant, computed, grade, at_ns + GRADE_NOTICE_DAYS * DAY_NS, "computed")


def _still_comes(state: State, row: Graded, participant: str, at_ns: int) -> bool:
    """Whether the grade is lower at a date that was noticed."""
    return any(
        from_ns > at_ns and is_worse(_grade_then(state, participant, from_ns), row.grade)
        for _, from_ns in row.notices
    )


def _grade_then(state: State, participant: str, from_ns: int) -> Grade:
    """What is to be in force at a date: a case counts from its date on, and so does what operators set by hand."""
    computed = state.bureau.rating(participant, from_ns).grade
    override = state.overrides.get(participant)
    if override is None or not override.confirmed_by or not override.from_ns <= from_ns < override.until_ns:
        return computed
    return override.grade


def _without_grounds(state: State, participant: str, at_ns: int) -> Iterator[Event]:
    """Notices of what was upheld are gone: what else is noticed keeps its own date, and does not come at theirs."""
    row = state.graded.get(participant, UNGRADED)
    ahead = [notice for notice in row.notices if notice[1] > at_ns]
    stand = [one for one in ahead if not is_worse(one[0], _grade_then(state, participant, one[1]))]
    if len(stand) == len(ahead):
        return
    yield GradeNoticeLapsed(participant)
    for grade, from_ns in stand:
        yield GradeNoticed(participant, grade, row.grade, from_ns, "computed")


def _better(state: State, row: Graded, participant: str, at_ns: int, at_once: str) -> Iterator[Event]:
    if at_once:
        grade = worse_of(state.bureau.grade(participant, at_ns), row.held or row.grade)
        if is_worse(row.grade, grade):
            yield GradeSet(participant, grade, row.grade, at_once)
        return
    computed = state.bureau.grade(participant, at_ns, rewarding=True)
    if not is_worse(row.grade, computed):
        return
    grade = _lasting(state, participant, row.grade, computed, at_ns)
    if grade != row.grade:
        yield GradeSet(participant, grade, row.grade, "upgrade")


def _lasting(state: State, participant: str, before: Grade, computed: Grade, at_ns: int) -> Grade:
    """The best grade that was computed on each day of two weeks; the one before where there is none."""
    for days in range(UPGRADE_DAYS, 0, -1):
        then = state.bureau.grade(participant, at_ns - days * DAY_NS, rewarding=True)
        computed = worse_of(computed, then)
        if not is_worse(before, computed):
            return before
    return computed


def _largest(state: State, participant: str) -> Iterator[Event]:
    """What the ceiling of whoever has one follows. Kept where it raises the ceiling above its floor."""
    row = state.graded.get(participant, UNGRADED)
    limits = CONSEQUENCES[row.grade]
    if not limits.largest_order_fen:
        return
    largest_fen = largest_settled(state.bureau.conduct.get(participant))
    if largest_fen != row.largest_fen and ceiling_fen(row.grade, largest_fen) != ceiling_fen(
        row.grade, row.largest_fen
    ):
        yield LargestOrderSet(participant, largest_fen)


def largest_settled(log: Log | None) -> int:
    """The largest clean order, in fen: of orders with one counterparty on one day, which are kept as sums, their mean."""
    if log is None:
        return 0
    return max((amount_fen // orders for orders, _, amount_fen, _ in log.good.values()), default=0)


# ---- events


def apply_looked(state: State, event: GradesLooked, at_ns: int) -> None:
    state.looking.after, state.looking.next_ns = event.after, event.next_ns
    state.start_timer(event.next_ns, "grades", "")


def apply_noticed(state: State, event: GradeNoticed, at_ns: int) -> None:
    row = state.graded.setdefault(event.participant, Graded())
    row.notices = (*row.notices, (event.grade, event.from_ns))
    state.start_timer(event.from_ns, "grade", event.participant)


def apply_lapsed(state: State, event: GradeNoticeLapsed, at_ns: int) -> None:
    state.graded[event.participant].notices = ()
    _forget_plain(state, event.participant)


def apply_set(state: State, event: GradeSet, at_ns: int) -> None:
    row = state.graded.setdefault(event.participant, Graded())
    if is_worse(event.grade, event.before):
        row.held = better_of(row.held or event.before, event.before)
        row.notices = tuple(one for one in row.notices if is_worse(one[0], event.grade) and one[1] > at_ns)
    elif row.held and not is_worse(event.grade, row.held):
        row.held = ""
    row.grade, row.since_ns = event.grade, at_ns
    _forget_plain(state, event.participant)


def apply_largest(state: State, event: LargestOrderSet, at_ns: int) -> None:
    row = state.graded.setdefault(event.participant, Graded())
    row.largest_fen = event.largest_fen
    _forget_plain(state, event.participant)


def _forget_plain(state: State, participant: str) -> None:
    """Whoever is what everybody is at first needs no row."""
    row = state.graded[participant]
    if row.grade == "M" and not row.notices and not row.held and not row.largest_fen:
        del state.graded[participant]
