"""What the desk says of one refusal, trade, order, or of many: who, on which listing, by which rules and facts."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from exchange import journal, projector
from exchange.events import Entry, Event, HoldReleased, OrderPlaced, OrderRefused, TradeRefused
from exchange.projection import TradeRecord
from exchange.projector import CursorInvalid
from exchange.state import State
from exchange.web.desk import Desk
from exchange.web.explaining import Case, Explained, explain, facts_of_case
from exchange.web.overview import code_words, rules_of, when, yuan
from exchange.web.pattern import whole
from exchange.web.phrases import Tongue, speaker, state_words

WINDOW: Final = 20_000
"""A filter looks through the newest refusals, so many: a rule that is rarely broken must not read a whole table."""
PER_PAGE: Final = 50
PATIENCE_S: Final = 2.0
OPEN_STATES: Final = ("settled", "held", "delivered", "rejected", "redelivered", "refused", "refunded")

_DECODE: Final = msgspec.msgpack.Decoder(Entry).decode
_PLACE: Final = re.compile(whole("([0-9]{1,15})\\.([0-9]{1,19})"))
_ID: Final = re.compile(whole("[OTLPolpt][1-9][0-9]{0,17}"))
_COMMAND: Final = re.compile(whole("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"))
_FILTERS: Final = {
    "rule": re.compile(whole("[A-Z][0-9]{2}")),
    "code": re.compile(whole("[a-z_]{1,40}")),
    "participant": re.compile(whole("P[1-9][0-9]{0,17}")),
    "listing": re.compile(whole("L[1-9][0-9]{0,17}")),
}
_REFUSALS: Final = """
SELECT sequence, position, at_ns, participant, counterparty, listing, trade, code, violated,
    ARRAY(SELECT one ->> 0 FROM jsonb_array_elements(unknown) AS one) AS undecided
FROM (
    SELECT * FROM refusal WHERE (sequence, position) < ($5, $6) ORDER BY sequence DESC, position DESC LIMIT $7
) AS newest
WHERE ($1 = '' OR $1 = ANY (violated) OR unknown @> jsonb_build_array(jsonb_build_array($1::text)))
    AND ($2 = '' OR code = $2) AND ($3 = '' OR $3 IN (participant, counterparty)) AND ($4 = '' OR listing = $4)
ORDER BY sequence DESC, position DESC LIMIT $8
"""
_OF_ORDER: Final = (
    "SELECT id FROM trade WHERE (buyer = $1 AND buy_order = $2) OR (seller = $1 AND sell_order = $2)"
    " ORDER BY number LIMIT 20"
)
_ENTRY: Final = "SELECT schema, body FROM journal WHERE shard = $1 AND sequence = $2"


async def ready(desk: Desk) -> None:
    """Wait a moment for the query tables. Where they stand still, the desk shows what they have."""
    with suppress(TimeoutError, projector.ProjectorStopped):
        await desk.projector.caught_up(desk.engine.sequence, PATIENCE_S)


# ---- lists


async def refusals(desk: Desk, query: Mapping[str, str], tongue: Tongue) -> dict[str, Any]:
    """The newest refusals that fit the filters; a rule's own page says first what the rule is."""
    chosen = {name: query.get(name, "") for name in _FILTERS}
    chosen = {name: value if _FILTERS[name].match(value) else "" for name, value in chosen.items()}
    before = _before(query.get("cursor", ""))
    await ready(desk)
    found = await desk.pool.fetch(_REFUSALS, *chosen.values(), *before, WINDOW, PER_PAGE + 1)
    more = len(found) > PER_PAGE
    kept = {name: value for name, value in chosen.items() if value}
    last = found[PER_PAGE - 1] if more else None
    following = (
        "" if last is None else "?" + urlencode({**kept, "cursor": f"{last['sequence']}.{last['position']}"})
    )
    rule = None
    if chosen["rule"]:
        rule = explain(desk.reasons, chosen["rule"], (), None, desk.engine.now_ns(), ("everyone", "venue"))
    return {
        "here": "refusals",
        "rule": rule,
        "filter": " ".join(kept.values()),
        "rows": [_row(row, tongue) for row in found[:PER_PAGE]],
        "following": following,
    }


def _before(cursor: str) -> tuple[int, int]:
    if not cursor:
        return 1 << 62, 0
    found = _PLACE.match(cursor)
    if found is None or int(found[2]) >= 1 << 31:
        raise CursorInvalid(f"{cursor[:40]!r} is not a cursor of this list")
    return int(found[1]), int(found[2])


def _row(row: Any, tongue: Tongue) -> dict[str, Any]:
    parties = [one for one in (row["participant"], row["counterparty"]) if one]
    return {
        "place": f"{row['sequence']}.{row['at_ns']}",
        "at_ns": row["at_ns"],
        "who": " ↔ ".join(parties),
        "listing": row["listing"],
        "trade": row["trade"],
        "what": code_words(tongue, row["code"]),
        "rules": list(dict.fromkeys((*row["violated"], *row["undecided"]))),
    }


async def trades(desk: Desk, query: Mapping[str, str]) -> dict[str, Any]:
    chosen = query.get("state", "")
    chosen = chosen if chosen in OPEN_STATES else OPEN_STATES[0]
    await ready(desk)
    page = await projector.trades_of(desk.pool, None, chosen, PER_PAGE, query.get("cursor") or None)
    following = f"?{urlencode({'state': chosen, 'cursor': page.next})}" if page.next else ""
    return {"states": OPEN_STATES, "chosen": chosen, "rows": page.items, "following": following}


# ---- one


async def entry(desk: Desk, place: str, tongue: Tongue) -> dict[str, Any] | None:
    """What was refused at a place of the journal (sequence.instant)."""
    found = _PLACE.match(place)
    if found is None:
        return None
    row = await desk.pool.fetchrow(_ENTRY, journal.SHARD, int(found[1]))
    if row is None:
        return None
    for raw in journal.entries_of(row):
        one = _DECODE(raw)
        if one.at_ns == int(found[2]):
            return await _entry(desk, one, f"{found[1]}.{found[2]}", tongue)
    return None


async def _entry(desk: Desk, one: Entry, place: str, tongue: Tongue) -> dict[str, Any] | None:
    cases = []
    for event in one.events:
        case = await _case_of(desk, event, one.at_ns, tongue)
        if case is not None:
            case["pairs"] += [("command", one.key, "")] if one.key else []
            case["pairs"] += [("journal_place", place, "")] if place else []
            cases.append(case)
    return {"title": speaker(tongue)("why_refused"), "cases": cases, "here": "refusals"} if cases else None


async def _case_of(desk: Desk, event: Event, at_ns: int, tongue: Tongue) -> dict[str, Any] | None:
    if isinstance(event, OrderRefused):
        return await _order_case(desk, event, at_ns, tongue)
    if isinstance(event, TradeRefused | HoldReleased):
        found = await trade(desk, event.trade, tongue)
        case: dict[str, Any] | None = found["cases"][0] if found is not None else None
        return case
    return None


async def _order_case(desk: Desk, event: OrderRefused, at_ns: int, tongue: Tongue) -> dict[str, Any]:
    case = await desk.engine.read(lambda state: _case(state, event))
    rules = await _explained(desk, rules_of(event), dict(event.unknown), case, at_ns, event.capacities)
    return {
        "pairs": [
            ("when", when(at_ns), ""),
            _party(desk, "who_asked", event.participant),
            await _listing(desk, event.listing),
            *_asked(event, tongue),
        ],
        "label": "why",
        "what": code_words(tongue, event.code),
        "detail": event.detail,
        "rules": rules,
    }


def _party(desk: Desk, role: str, participant: str) -> tuple[str, str, str]:
    row = desk.people().get(participant)
    name = f"{participant} {row.legal_name}" if row is not None else participant
    return role, name, f"/desk/refusals?participant={participant}"


async def _listing(desk: Desk, identifier: str) -> tuple[str, str, str]:
    def look(state: State) -> str:
        listing = state.listings.get(identifier)
        return "" if listing is None else state.products[listing.product].description.title

    title = await desk.engine.read(look)
    return "listing", f"{identifier} {title}", f"/desk/refusals?listing={identifier}"


def _asked(event: OrderRefused, tongue: Tongue) -> list[tuple[str, str, str]]:
    """Empty for journals older than what they say of it."""
    t = speaker(tongue)
    if not event.quantity:
        return []
    limit = event.limit_fen or t("as_listed")
    parts = (
        f"{event.side} {event.quantity:,}",
        f"{t('unit_price')} {limit}",
        f"{t('purpose')} {event.purpose or t('as_listed')}",
        f"{t('territory')} {event.territory or t('as_listed')}",
    )
    return [("asked_for", " · ".join(parts), "")]


def _case(state: State, event: OrderRefused) -> Case:
    """In a book the other side was not known; at a posted price it was the merchant."""
    listing = state.listings.get(event.listing)
    in_book = listing is not None and listing.terms.mechanism == "continuous_auction"
    sells = event.side == "sell"
    other = "" if in_book or listing is None else listing.merchant
    return Case(
        listing=event.listing,
        buyer="" if sells else event.participant,
        seller=event.participant if sells else other,
        price_fen=event.limit_fen if in_book else 0,
        purpose=event.purpose,
        territory=event.territory,
    )


async def _explained(
    desk: Desk,
    rules: Sequence[str],
    lacking: Mapping[str, tuple[str, ...]],
    case: Case,
    at_ns: int,
    capacities: tuple[str, ...],
) -> list[Explained]:
    if not rules:
        return []
    now_ns = desk.engine.now_ns()
    looked = await desk.engine.read(lambda state: facts_of_case(state, case, rules, now_ns))
    return [
        explain(desk.reasons, rule, tuple(lacking.get(rule, ())), looked, at_ns, capacities) for rule in rules
    ]


async def trade(desk: Desk, identifier: str, tongue: Tongue) -> dict[str, Any] | None:
    """A trade, and why it was refused or is on hold."""
    await ready(desk)
    row = await projector.trade(desk.pool, identifier)
    if row is None:
        return None
    case = Case(
        listing=row.listing,
        buyer=row.buyer,
        seller=row.seller,
        price_fen=row.price_fen,
        purpose=row.purpose,
        territory=row.territory,
    )
    unknown = {rule: tuple(fields) for rule, fields in row.unknown}
    rules = tuple(dict.fromkeys((*row.violated, *unknown)))
    explained = await _explained(desk, rules, unknown, case, row.verdict_at_ns, tuple(row.capacities))
    t = speaker(tongue)
    why = t("why_held") if row.state == "held" else t("why_refused") if row.state == "refused" else ""
    shown = {
        "pairs": [
            await _listing(desk, row.listing),
            _party(desk, "buyer", row.buyer),
            _party(desk, "seller", row.seller),
            *_trade_pairs(row, tongue),
        ],
        "label": "outcome",
        "what": state_words(tongue, row.outcome),
        "detail": row.rejection_reason or state_words(tongue, row.closed_reason),
        "rules": explained,
    }
    return {
        "title": f"{t('trade')} {row.id}" + (f" · {why}" if why else ""),
        "cases": [shown],
        "here": "trades",
    }


def _trade_pairs(row: TradeRecord, tongue: Tongue) -> list[tuple[str, str, str]]:
    pairs = [
        ("state", state_words(tongue, row.state), ""),
        ("when", when(row.made_at_ns), ""),
        ("quantity", f"{row.quantity:,}", ""),
        ("unit_price", f"{row.price_fen:,}", ""),
        ("amount", yuan(row.amount_fen), ""),
        ("purpose", row.purpose, ""),
        ("territory", row.territory, ""),
        ("facts_hash", row.facts_sha256.hex(), ""),
        ("rulebook", row.rulebook_sha256, ""),
    ]
    for name, order in (("order", row.buy_order), ("order", row.sell_order)):
        if order:
            pairs.append((name, order, f"/desk/orders/{order}"))
    due_ns = {"held": row.held_until_ns, "settled": row.delivery_due_ns, "rejected": row.redelivery_due_ns}
    if due_ns.get(row.state):
        pairs.append(("due", when(due_ns[row.state]), ""))
    return pairs


async def order(desk: Desk, identifier: str, tongue: Tongue) -> dict[str, Any] | None:
    """An order and what came of it: where it ended because a trade was refused, that trade says why."""
    await ready(desk)
    row = await projector.order(desk.pool, identifier)
    if row is None:
        return None
    found = await desk.pool.fetch(_OF_ORDER, row.participant, row.id)
    t = speaker(tongue)
    pairs = [
        ("state", state_words(tongue, row.state), ""),
        ("when", when(row.placed_at_ns), ""),
        _party(desk, "who_asked", row.participant),
        await _listing(desk, row.listing),
        ("asked_for", f"{row.side} {row.quantity:,} · {row.purpose} · {row.territory}", ""),
        ("unit_price", f"{row.limit_fen:,}" if row.limit_fen else t("as_listed"), ""),
        *(("its_trades", one["id"], f"/desk/trades/{one['id']}") for one in found),
    ]
    if row.client_order_id:
        pairs.append(("command", row.client_order_id, ""))
    first = {
        "pairs": pairs,
        "label": "closed_reason" if row.closed_reason else "state",
        "what": state_words(tongue, row.closed_reason or row.state),
        "detail": "",
        "rules": [],
    }
    cases: list[dict[str, Any]] = [first]
    for one in found:
        shown = await trade(desk, one["id"], tongue)
        if shown is not None and shown["cases"][0]["rules"]:
            cases += shown["cases"]
    return {"title": f"{t('order')} {row.id}", "cases": cases, "here": "trades"}


# ---- finding


async def find(desk: Desk, text: str) -> str:
    """The page of what an id names; empty where it is the id of nothing."""
    if _ID.match(text):
        identifier = text.upper()
        paths = {
            "O": f"/desk/orders/{identifier}",
            "T": f"/desk/trades/{identifier}",
            "L": f"/desk/refusals?listing={identifier}",
            "P": f"/desk/refusals?participant={identifier}",
        }
        return paths[identifier[0]]
    if _FILTERS["rule"].match(text.upper()):
        return f"/desk/refusals?rule={text.upper()}"
    if _PLACE.match(text):
        return f"/desk/entries/{text}"
    return await _of_command(desk, text.lower()) if _COMMAND.match(text.lower()) else ""


async def _of_command(desk: Desk, command: str) -> str:
    """By the command id that an order came with, while the venue remembers it. 200,000 ids are looked through: 5 ms."""
    suffix = f":{command}"

    def look(state: State) -> bytes | None:
        keys = [key for key in state.remembered if key.endswith(suffix)]
        return state.remembered[keys[0]].entry if keys else None

    raw = await desk.engine.read(look)
    if raw is None:
        return ""
    one = _DECODE(raw)
    for event in one.events:
        if isinstance(event, OrderPlaced):
            return f"/desk/orders/{event.order}"
    sequence = await _row_of(desk, one.at_ns)
    return f"/desk/entries/{sequence}.{one.at_ns}" if sequence else ""


async def _row_of(desk: Desk, at_ns: int) -> int:
    """The journal row of an entry of that instant: rows are in the order of their last instants, so halve."""
    low, high = 1, desk.engine.sequence
    while low < high:
        middle = (low + high) // 2
        until_ns = await desk.pool.fetchval(
            "SELECT at_ns FROM journal WHERE shard = $1 AND sequence = $2", journal.SHARD, middle
        )
        low, high = (low, middle) if until_ns >= at_ns else (middle + 1, high)
    return low
