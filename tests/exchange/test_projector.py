"""The query tables say what the journal says: once, in any chunks, through lost connections, and `compare` sees
every altered row."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from exchange import projector
from exchange.events import (
    AnyEvent,
    CancelOrder,
    Completed,
    CureHold,
    Delivered,
    Delivery,
    DeliveryRejected,
    EntitlementEnded,
    Entry,
    FactsAmended,
    Held,
    HoldCured,
    HoldReleased,
    IssueKey,
    KeyIssued,
    OrderClosed,
    OrderRefused,
    Refunded,
    RulebookAdopted,
    TradeRefused,
)
from exchange.projection import PostingRecord, View, fold
from exchange.projector import CursorInvalid, Projector, ProjectorStopped, compare, fold_events
from tests.exchange.journal_writing import (
    append,
    cash,
    classified,
    entry,
    held,
    listing,
    order,
    product,
    published,
    registered,
    settled,
    terms,
)
from tests.exchange.world import World, only

OPENING: tuple[AnyEvent, ...] = (
    RulebookAdopted("rules-1"),
    registered("M1", "海南气象数据有限公司"),
    registered("M2"),
    registered("M3"),
    product(),
    listing(),
    published(),
)
BOOK_OPENING = (*OPENING[:5], listing(offered=terms("continuous_auction", units=1_000)), published())
FILE = Delivery(kind="file", sha256="ab" * 32, size=7, name="weather.csv", media_type="text/csv")


def folded(*events: AnyEvent, opening: Iterable[AnyEvent] = OPENING) -> View:
    """The rows after these events; the n-th happens at instant n."""
    view = View()
    for at_ns, event in enumerate((*opening, *events)):
        view.begin(at_ns)
        fold(view, event, at_ns)
    return view


def moved(view: View) -> list[tuple[str, str, str, int]]:
    return [(row.kind, row.source, row.target, row.amount) for row in view.postings]


# ---------------------------------------------------------------------------------------------- the fold


def test_a_posted_trade_pays_escrow_then_everybody() -> None:
    ordered = (cash("M2", 1_000), order("O1", "M2", 3))
    bought = settled("T1", "O1", "", 3, due_ns=50, entitlement="E1", shares=(("M3", 40),))
    view = folded(*ordered, bought)
    trade, entitlement = view.trades.rows["T1"], view.entitlements.rows["E1"]
    assert (trade.state, trade.outcome, trade.rulebook_sha256) == ("settled", "allow", "rules-1")
    assert (trade.product, trade.made_at_ns, trade.delivery_due_ns) == ("D1", 9, 50)
    assert (entitlement.state, entitlement.until_ns) == ("granted", 0)
    assert moved(view) == [("cash_in", "bank:cash", "M2", 1_000), ("escrow", "M2", "venue:escrow", 300)]

    view = folded(*ordered, bought, Delivered("T1", "deliver", FILE, 70, 500), Completed("T1", "silence"))
    trade = view.trades.rows["T1"]
    assert (trade.state, trade.closed_reason, trade.closed_at_ns) == ("completed", "silence", 11)
    assert (trade.delivery, trade.acceptance_due_ns) == (FILE, 70)
    entitlement = view.entitlements.rows["E1"]
    assert (entitlement.state, entitlement.until_ns) == ("active", 500)
    assert moved(view)[2:] == [
        ("fee", "venue:escrow", "venue:fees", 5),
        ("merchant", "venue:escrow", "M1", 255),
        ("share", "venue:escrow", "M3", 40),
    ]


def test_a_trade_without_a_good_delivery_is_refunded() -> None:
    view = folded(
        order("O1", "M2", 3),
        settled("T1", "O1", "", 3, due_ns=50, entitlement="E1"),
        Delivered("T1", "deliver", FILE, 70, 500),
        DeliveryRejected("T1", "half of it is missing", 90),
        Delivered("T1", "redeliver", FILE, 110, 600),
        Refunded("T1", "reject_again"),
    )
    trade = view.trades.rows["T1"]
    assert (trade.state, trade.closed_reason) == ("refunded", "reject_again")
    assert (trade.rejection_reason, trade.redelivery_due_ns) == ("half of it is missing", 90)
    assert view.entitlements.rows["E1"].state == "revoked"
    assert moved(view)[1:] == [("refund", "venue:escrow", "M2", 300)]


def test_units_are_issued_once_and_change_hands_at_once() -> None:
    view = folded(
        published(),
        order("O1", "M1", 10, "sell"),
        order("O2", "M2", 4),
        settled("T1", "O2", "O1", 4),
        opening=BOOK_OPENING,
    )
    assert moved(view) == [
        ("issue", "issue:L1", "M1", 1_000),
        ("fee", "M2", "venue:fees", 5),
        ("merchant", "M2", "M1", 395),
        ("units", "M1", "M2", 4),
    ]
    assert [row.asset for row in view.postings] == ["unit:L1", "CNY", "CNY", "unit:L1"]
    trade, sell, buy = view.trades.rows["T1"], view.orders.rows["O1"], view.orders.rows["O2"]
    assert (trade.state, trade.closed_reason) == ("completed", "hand_over")
    assert (sell.state, sell.filled, sell.remaining) == ("partly_filled", 4, 6)
    assert (buy.state, buy.filled, buy.remaining) == ("filled", 4, 0)


def test_a_cancelled_order_keeps_what_was_filled() -> None:
    events = (order("O1", "M1", 10, "sell"), order("O2", "M2", 4), settled("T1", "O2", "O1", 4))
    view = folded(*events, OrderClosed("O1", "cancelled", 6), opening=BOOK_OPENING)
    sell = view.orders.rows["O1"]
    assert (sell.state, sell.closed_reason, sell.filled, sell.remaining) == ("closed", "cancelled", 4, 0)


def test_a_cured_hold_settles_as_the_same_trade() -> None:
    hold = (order("O1", "M2", 3), held("T1", "O1", "", 3))
    view = folded(*hold)
    assert (view.orders.rows["O1"].state, view.orders.rows["O1"].closed_reason) == ("closed", "held")
    assert (view.trades.rows["T1"].state, view.trades.rows["T1"].violated) == ("held", ("B11",))
    assert view.postings == []

    cure = HoldCured("T1", "B11", "", "M9")
    view = folded(*hold, cure, settled("T1", "T1", "", 3, due_ns=50, entitlement="E1"))
    trade, bought = view.trades.rows["T1"], view.orders.rows["O1"]
    assert (trade.state, trade.outcome, trade.violated, trade.cured) == ("settled", "allow", (), ("B11",))
    assert (trade.buy_order, trade.made_at_ns, trade.settled_at_ns) == ("O1", 8, 10)
    assert (bought.state, bought.filled, bought.held, bought.closed_reason) == ("filled", 3, 0, "")
    assert moved(view) == [("escrow", "M2", "venue:escrow", 300)]


@pytest.mark.parametrize(("reason", "outcome"), [("expired", "hold"), ("refused", "reject")])
def test_a_released_hold_is_a_refusal(reason: str, outcome: str) -> None:
    view = folded(order("O1", "M2", 3), held("T1", "O1", "", 3), HoldReleased("T1", reason, ("B11", "C02")))
    trade, bought = view.trades.rows["T1"], view.orders.rows["O1"]
    assert (trade.state, trade.outcome, trade.violated) == ("refused", outcome, ("B11", "C02"))
    assert (bought.state, bought.closed_reason, bought.held) == ("closed", f"hold_{reason}", 0)
    assert [(row.kind, row.code, row.trade) for row in view.refusals] == [("hold", f"hold_{reason}", "T1")]
    assert view.postings == []


def test_a_refused_trade_moves_nothing_and_names_its_rules() -> None:
    unknown = (("C02", ("consent.basis",)),)
    view = folded(
        order("O1", "M2", 3),
        TradeRefused("T1", "L1", "M2", "M1", "O1", "", 3, 100, "reject", ("B01",), unknown, b"f", "O1"),
        OrderClosed("O1", "refused", 3),
        OrderRefused("M2", "L1", "funds_insufficient", "pay in first"),
    )
    trade = view.trades.rows["T1"]
    assert (trade.state, trade.violated, trade.unknown, trade.purpose) == (
        "refused",
        ("B01",),
        unknown,
        "research",
    )
    assert [(row.kind, row.code, row.participant, row.counterparty) for row in view.refusals] == [
        ("trade", "reject", "M2", "M1"),
        ("order", "funds_insufficient", "M2", ""),
    ]
    assert view.postings == []


def test_a_new_classification_shows_on_every_listing_of_the_product() -> None:
    amended = FactsAmended("D1", "", classified("public", "important"), None, None, None)
    view = folded(listing("L2"), amended)
    for row in view.listings.rows.values():
        assert (row.origin, row.grade) == ("public", "important")
        assert "grade=important" in row.grams
        assert "grade=general" not in row.grams


def test_an_entitlement_gets_a_key_and_ends() -> None:
    bought = (order("O1", "M2", 3), settled("T1", "O1", "", 3, due_ns=50, entitlement="E1"))
    view = folded(*bought, KeyIssued("E1", "cd" * 32), EntitlementEnded("E1", "expire"))
    row = view.entitlements.rows["E1"]
    assert (row.state, row.key_sha256, row.updated_at_ns) == ("expired", "cd" * 32, 10)


# --------------------------------------------------------------------------------------- behind a journal


@pytest_asyncio.fixture
async def pool(database_dsn: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(database_dsn, min_size=1, max_size=3) as opened:
        yield opened


@asynccontextmanager
async def running(follower: Projector) -> AsyncIterator[Projector]:
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def chunks_of(patch: pytest.MonkeyPatch, entries: int) -> Iterator[None]:
    with patch.context() as patched:
        patched.setattr(projector, "CHUNK_ENTRIES", entries)
        yield


async def write(pool: Any, batches: Iterable[Iterable[AnyEvent]]) -> int:
    """One journal row a batch, one entry an event; the last sequence."""
    sequence = await pool.fetchval("SELECT coalesce(max(sequence), 0) FROM journal")
    async with pool.acquire() as connection:
        for batch in batches:
            sequence += 1
            entries = [entry(sequence * 1_000 + at, event) for at, event in enumerate(batch)]
            await append(connection, sequence, *entries)
    return int(sequence)


async def difference(pool: Any) -> str | None:
    async with pool.acquire() as connection:
        found = await compare(connection)
    return None if found is None else str(found)


def random_day(seed: int, length: int) -> list[AnyEvent]:
    """Lawful events of a day on one book listing and one posted one, in a seeded disorder."""
    dice = random.Random(seed)
    events: list[AnyEvent] = [*BOOK_OPENING, listing("L2"), published("L2")]
    resting: dict[str, int] = {}
    open_trades: list[tuple[str, str]] = []
    holds: list[tuple[str, int]] = []
    counts = {"O": 0, "T": 0, "E": 0}

    def fresh(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}{counts[kind]}"

    for _ in range(length):
        turn = dice.random()
        if turn < 0.3:
            maker = fresh("O")
            resting[maker] = dice.randint(1, 9)
            events.append(order(maker, "M1", resting[maker], "sell"))
        elif turn < 0.5 and resting:
            maker, taker = dice.choice(list(resting)), fresh("O")
            quantity = dice.randint(1, resting[maker])
            events += [order(taker, "M2", quantity), settled(fresh("T"), taker, maker, quantity)]
            resting[maker] -= quantity
            if not resting[maker]:
                del resting[maker]
        elif turn < 0.6 and resting:
            maker = dice.choice(list(resting))
            events.append(OrderClosed(maker, "cancelled", resting.pop(maker)))
        elif turn < 0.7:
            taker, trade, right = fresh("O"), fresh("T"), fresh("E")
            events.append(order(taker, "M3", 2, of="L2"))
            events.append(
                settled(trade, taker, "", 2, "M3", due_ns=9, entitlement=right, shares=(("M2", 3),))
            )
            open_trades.append((trade, right))
        elif turn < 0.8 and open_trades:
            trade, right = open_trades.pop(dice.randrange(len(open_trades)))
            if dice.random() < 0.3:
                events.append(Refunded(trade, "miss"))
            else:
                events += [Delivered(trade, "deliver", FILE, 9, 90), KeyIssued(right, "ef" * 32)]
                events += [Completed(trade, "accept"), EntitlementEnded(right, "expire")]
        elif turn < 0.87:
            taker, trade = fresh("O"), fresh("T")
            events += [order(taker, "M3", 2, of="L2"), held(trade, taker, "", 2, "M3")]
            holds.append((trade, 2))
        elif turn < 0.94 and holds:
            trade, quantity = holds.pop(dice.randrange(len(holds)))
            if dice.random() < 0.5:
                events.append(HoldReleased(trade, "expired", ("B11",)))
            else:
                events.append(HoldCured(trade, "B11", "", "M9"))
                right = fresh("E")
                events.append(settled(trade, trade, "", quantity, "M3", due_ns=9, entitlement=right))
                open_trades.append((trade, right))
        else:
            events.append(OrderRefused("M3", "L2", "unlawful", "", ("A01",), (("C02", ("consent.basis",)),)))
            events.append(cash("M3", 500, f"bank-{len(events)}"))
    return events


def cut(events: list[AnyEvent], seed: int) -> list[list[AnyEvent]]:
    """The events in journal rows of random length."""
    dice = random.Random(seed)
    batches, at = [], 0
    while at < len(events):
        length = dice.randint(1, 12)
        batches.append(events[at : at + length])
        at += length
    return batches


@pytest.mark.parametrize("entries", [1, 17, 4_000])
async def test_any_chunks_make_the_same_tables(
    pool: Any, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    events = random_day(seed=entries, length=300)
    with chunks_of(monkeypatch, entries):
        async with running(Projector(pool)) as follower:
            for batch in cut(events, seed=1):
                follower.wake(await write(pool, [batch]))
            await follower.caught_up(await write(pool, [[cash("M2", 1)]]), 30)
    assert await difference(pool) is None
    whole = folded(*events, opening=())
    assert await pool.fetchval("SELECT count(*) FROM trade") == len(whole.trades.rows)
    assert await pool.fetchval("SELECT count(*) FROM posting") == len(whole.postings) + 1
    sums = "SELECT sum(amount) FROM posting WHERE target = $1"
    paid = sum(row.amount for row in whole.postings if row.target == "M1")
    assert await pool.fetchval(sums, "M1") == paid


async def test_caught_up_sees_what_nobody_announced(pool: Any) -> None:
    async with running(Projector(pool)) as follower:
        await follower.caught_up(await write(pool, [OPENING]))
        assert await pool.fetchval("SELECT legal_name FROM participant_name WHERE id = 'M2'") == "测试公司M2"
        with pytest.raises(TimeoutError):
            await follower.caught_up(99, timeout=0.1)
    assert follower._waiters == []


async def test_idle_it_asks_the_database_nothing(pool: Any) -> None:
    async with running(Projector(pool)) as follower:
        await follower.caught_up(await write(pool, [OPENING]))
        seen: list[str] = []
        await asyncio.sleep(0.05)  # the pace after the last reader
        follower.pool = None  # whatever it did from here on but wait would fail
        chunk = follower._project_chunk

        async def counted(connection: Any) -> bool:
            seen.append("asked")
            return await chunk(connection)

        follower._project_chunk = counted  # type: ignore[method-assign]
        await asyncio.sleep(0.2)
        assert seen == []


async def test_a_lost_connection_loses_and_repeats_nothing(
    pool: Any, monkeypatch: pytest.MonkeyPatch, database_dsn: str
) -> None:
    """Cut before the rows are written, after them and, as far as the projector can tell, after COMMIT."""
    other = await asyncpg.connect(database_dsn)
    lawful_write, lawful_arrive = projector.write, Projector._arrive
    writes, arrivals = count(), count()
    cuts: list[str] = []

    async def cut_off(connection: Any, when: str) -> None:
        await other.fetchval("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())
        cuts.append(when)

    async def write_or_not(connection: Any, view: View) -> None:
        turn = next(writes) % 4
        if turn == 1:
            await cut_off(connection, "before the rows")
        await lawful_write(connection, view)
        if turn == 3:
            await cut_off(connection, "after the rows")

    def arrive_or_not(follower: Projector, sequence: int) -> None:
        if next(arrivals) % 3 == 2:
            cuts.append("after COMMIT")
            raise ConnectionResetError
        lawful_arrive(follower, sequence)

    monkeypatch.setattr(projector, "write", write_or_not)
    monkeypatch.setattr(Projector, "_arrive", arrive_or_not)
    monkeypatch.setattr(projector, "CHUNK_ENTRIES", 40)
    monkeypatch.setattr(projector, "FIRST_PAUSE_S", 0.001)
    async with running(Projector(pool)) as follower:
        await follower.caught_up(await write(pool, cut(random_day(seed=7, length=300), seed=2)), 60)
    await other.close()
    assert set(cuts) == {"before the rows", "after the rows", "after COMMIT"}
    assert await difference(pool) is None


async def test_two_projectors_project_once(pool: Any) -> None:
    events = random_day(seed=9, length=300)
    async with running(Projector(pool)) as one, running(Projector(pool)) as two:
        for batch in cut(events, seed=3):
            sequence = await write(pool, [batch])
            one.wake(sequence)
            two.wake(sequence)
        await one.caught_up(sequence, 30)
        await two.caught_up(sequence, 30)
    assert await difference(pool) is None


async def test_a_row_that_does_not_decode_stops_it_and_says_so(pool: Any) -> None:
    sequence = await write(pool, [OPENING, [cash("M2", 1)]])
    await pool.execute("UPDATE journal SET body = '\\xc1' WHERE sequence = 2")
    follower = Projector(pool)
    task = asyncio.create_task(follower.run())
    with pytest.raises(ProjectorStopped):
        await follower.caught_up(sequence)
    with pytest.raises(Exception, match="body cannot be read"):
        await task
    with pytest.raises(ProjectorStopped):
        await follower.caught_up(sequence)


ALTERATIONS = {
    "projection": "UPDATE projection SET rulebook_sha256 = 'other'",
    "participant_name": "UPDATE participant_name SET legal_name = 'Other' WHERE id = 'M2'",
    "product_record": "UPDATE product_record SET grade = 'core'",
    "listing_search": "UPDATE listing_search SET grams = grams[2:] WHERE id = 'L1'",
    "order_record": "UPDATE order_record SET limit_fen = 1 WHERE number = 3",
    "trade": "UPDATE trade SET shares = '[[\"M3\", 1]]' WHERE number = 2",
    "posting": "DELETE FROM posting WHERE (sequence, position) = (SELECT max(sequence), 1 FROM posting)",
    "refusal": "UPDATE refusal SET violated = '{A02}' WHERE sequence = (SELECT max(sequence) FROM refusal)",
    "entitlement": "INSERT INTO entitlement SELECT 900, 'E900', trade, listing, buyer, seller, state, 1, 2, '', 3"
    " FROM entitlement LIMIT 1",
}


@pytest.mark.parametrize("table", ALTERATIONS)
async def test_compare_names_an_altered_row(pool: Any, table: str) -> None:
    async with running(Projector(pool)) as follower:
        await follower.caught_up(await write(pool, cut(random_day(seed=4, length=120), seed=4)), 30)
    assert await difference(pool) is None
    await pool.execute(ALTERATIONS[table])
    found = await difference(pool)
    assert found is not None
    assert found.startswith(f"table {table}, ")


async def test_compare_of_an_empty_venue_and_of_one_ahead_of_its_journal(pool: Any) -> None:
    assert await difference(pool) is None
    await pool.execute("INSERT INTO projection (shard, sequence) VALUES (0, 5)")
    assert await difference(pool) == "table projection, shard 0: sequence is 5, the journal ends at 0"


# ------------------------------------------------------------------------------------------------ reading


@pytest_asyncio.fixture
async def day(pool: Any) -> View:
    """A projected day, and its rows as the fold has them."""
    events = random_day(seed=21, length=400)
    async with running(Projector(pool)) as follower:
        await follower.caught_up(await write(pool, cut(events, seed=21)), 30)
    async with pool.acquire() as connection:
        return await projector.rebuild(connection)


async def pages(read: Any, *arguments: Any, **conditions: Any) -> list[Any]:
    """All pages of seven rows, joined."""
    rows, cursor = [], None
    while True:
        page = await read(*arguments, **conditions, limit=7, cursor=cursor)
        assert len(page.items) == 7 or page.next is None
        rows += page.items
        if page.next is None:
            return rows
        cursor = page.next


def newest_first(rows: Iterable[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: -row.number)


async def test_orders_by_participant_and_state(pool: Any, day: View) -> None:
    for participant in ("M1", "M2", "M3", "M99"):
        own = newest_first(row for row in day.orders.rows.values() if row.participant == participant)
        assert await pages(projector.orders_of, pool, participant) == own
        still_open = [row for row in own if row.state in ("open", "partly_filled")]
        assert await pages(projector.orders_of, pool, participant, state="open") == still_open
        over = [row for row in own if row not in still_open]
        assert await pages(projector.orders_of, pool, participant, state="closed") == over


async def test_trades_by_participant_and_state(pool: Any, day: View) -> None:
    for participant in (None, "M1", "M2", "M3", "M99"):
        own = newest_first(
            row for row in day.trades.rows.values() if participant in (None, row.buyer, row.seller)
        )
        assert await pages(projector.trades_of, pool, participant) == own
        for state in ("held", "settled", "completed", "refunded", "refused"):
            expected = [row for row in own if row.state == state]
            assert await pages(projector.trades_of, pool, participant, state=state) == expected


async def test_statement_refusals_and_entitlements(pool: Any, day: View) -> None:
    for participant in ("M1", "M2", "M3", "venue:escrow"):
        lines = [row for row in reversed(day.postings) if participant in (row.source, row.target)]
        assert await pages(projector.statement, pool, participant) == lines
        refused = [
            row for row in reversed(day.refusals) if participant in (row.participant, row.counterparty)
        ]
        assert await pages(projector.refusals, pool, participant) == refused
        rights = [row for row in day.entitlements.rows.values() if participant in (row.buyer, row.seller)]
        assert await pages(projector.entitlements_of, pool, participant) == newest_first(rights)
    assert await pages(projector.refusals, pool, None) == day.refusals[::-1]


async def test_one_row_by_its_id(pool: Any, day: View) -> None:
    assert await projector.order(pool, "O3") == day.orders.rows["O3"]
    assert await projector.trade(pool, "T2") == day.trades.rows["T2"]
    assert await projector.entitlement(pool, "E1") == day.entitlements.rows["E1"]
    for wrong in ("", "T", "T0", "T02", "T2 ", "T²", "O2", "T-1", "T\0", "T99999999", "T" + "9" * 40):
        assert await projector.trade(pool, wrong) is None


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.2", "²", "9" * 30])
async def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await projector.orders_of(None, "M1", cursor=cursor)
    if cursor != "1.2":
        with pytest.raises(CursorInvalid):
            await projector.statement(None, "M1", cursor=cursor)


async def test_every_list_is_an_index_range(pool: Any, day: View) -> None:
    """Where rows are many the planner reads no whole table and sorts nothing: both sides are merged in order."""
    queries = {
        projector.ORDERS_OF[None]: (8, "M2", 2**62),
        projector.ORDERS_OF["open"]: (8, "M2", 2**62),
        projector.TRADES_OF: (8, "M2", 2**62),
        projector.TRADES_IN_STATE_OF: (8, "M2", 2**62, "held"),
        projector.ALL_IN_STATE: (8, 2**62, "held"),
        projector.STATEMENT: (8, "M2", 2**62, 0),
        projector.REFUSALS_OF: (8, "M2", 2**62, 0),
        projector.ENTITLEMENTS_OF: (8, "M2", 2**62),
    }
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        await connection.execute("SET LOCAL enable_sort = off")
        for query, arguments in queries.items():
            plan = "\n".join([row[0] for row in await connection.fetch(f"EXPLAIN {query}", *arguments)])
            assert "Seq Scan" not in plan, plan
            assert "Sort  (cost" not in plan, plan


async def test_rows_are_changed_without_reading_their_whole_table(pool: Any, day: View) -> None:
    """Else the tables fall behind as they grow."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(projector.BY_KEY_ONLY)
        for table in projector.STAGED:
            await connection.execute(table.stage())
            plan = [line for (line,) in await connection.fetch(f"EXPLAIN {table.update()}")]
            assert any(f"Index Scan using {table.name}" in line for line in plan), plan
            assert not any(f"Seq Scan on {table.name}" in line for line in plan), plan


# --------------------------------------------------------------------------------- beside the real venue


def seen_by_fold(world: World) -> View:
    """What the tables say of everything the venue has journaled."""
    view = View()
    for sequence, encoded in enumerate(world.entries, 1):
        happened = msgspec.msgpack.decode(encoded, type=Entry)
        fold_events(view, [(sequence, happened.at_ns, event) for event in happened.events])
    return view


def balances(postings: Iterable[PostingRecord]) -> dict[tuple[str, str], int]:
    """What the movements leave on each account, owner and asset; empty accounts left out."""
    total: Counter[tuple[str, str]] = Counter()
    for row in postings:
        total[row.source, row.asset] -= row.amount
        total[row.target, row.asset] += row.amount
    return {account: amount for account, amount in total.items() if amount}


def agree(world: World) -> View:
    """The tables say what the venue's own state says, as far as the state still knows."""
    view, state = seen_by_fold(world), world.state
    held_by = {(row[0], row[1]): row[2] for row in state.ledger.dump()["accounts"] if row[2]}
    assert balances(view.postings) == held_by
    living = {
        row.id: row.remaining for row in view.orders.rows.values() if row.state in ("open", "partly_filled")
    }
    assert living == {row.id: row.remaining for row in state.orders.values()}
    for number, row in state.trades.items():
        assert view.trades.rows[number].state == row.state
    gone = [row for number, row in view.trades.rows.items() if number not in state.trades]
    assert {row.state for row in gone} <= {"completed", "refunded", "refused"}
    for number, right in state.entitlements.items():
        assert (view.entitlements.rows[number].state, view.entitlements.rows[number].key_sha256) == (
            right.state,
            right.key_sha256,
        )
    for number, offered in state.listings.items():
        assert view.listings.rows[number].state == offered.state
        assert view.listings.rows[number].issued_units == offered.issued_units
    assert view.rulebook_sha256 == state.rulebook_sha256
    return view


def test_statements_add_up_to_the_ledger_through_a_trades_whole_life() -> None:
    world = World()
    partner, shop, reader = world.merchant(), world.merchant(), world.buyer()
    product_id = world.product(shop, shares=((partner, 1_250),))
    listing_id = world.listing(shop, product_id, price_fen=1_001)
    kept, returned, waiting = (world.buy(reader, listing_id) for _ in range(3))
    agree(world)
    world.deliver(kept)
    world.accept(kept)
    world.deliver(returned)
    world.reject(returned)
    agree(world)
    world.deliver(returned)
    world.reject(returned)
    view = agree(world)
    assert (view.trades.rows[kept].state, view.trades.rows[returned].state) == ("completed", "refunded")
    world.must(IssueKey(actor=reader, entitlement=view.trades.rows[kept].entitlement, key_sha256="ef" * 32))
    world.wait(days=5)
    world.tick()
    assert agree(world).trades.rows[waiting].closed_reason == "miss"
    world.wait(days=400)
    world.tick()
    view = agree(world)
    assert view.entitlements.rows[view.trades.rows[kept].entitlement].state == "expired"
    world.check()


def test_statements_add_up_to_the_ledger_through_days_of_a_book() -> None:
    world, dice = World(), random.Random(5)
    shop, dealers = world.merchant(), [world.merchant(cash_fen=10**6) for _ in range(3)]
    listing_id = world.book(shop, supply_units=5_000)
    for _ in range(250):
        trader = dice.choice([shop, shop, *dealers])
        step = world.ask if dice.random() < 0.5 else world.bid
        step(
            trader,
            listing_id,
            dice.randint(1, 9),
            dice.randint(95, 105),
            time_in_force=dice.choice(("gtc", "ioc")),
        )
        if dice.random() < 0.2 and world.state.orders:
            cancelled = dice.choice(list(world.state.orders.values()))
            world.must(CancelOrder(actor=cancelled.participant, order=cancelled.id))
    view = agree(world)
    assert sum(row.state == "completed" for row in view.trades.rows.values()) > 30
    world.move(shop, listing_id, "withdraw")
    view = agree(world)
    assert all(row.state not in ("open", "partly_filled") for row in view.orders.rows.values())


@pytest.mark.parametrize("end", ["cure", "expire"])
def test_holds_of_the_venue_are_told_as_they_end(end: str) -> None:
    world = World()
    shop, reader = world.merchant(), world.buyer()
    product_id = world.product(shop)
    listing_id = world.listing(shop, product_id, price_fen=700)
    world.record(product_id, "objection_raised")
    trade = only(world.order(reader, listing_id), Held).trade
    assert agree(world).trades.rows[trade].violated == ("B11",)
    if end == "cure":
        world.must(
            CureHold(actor=world.reviewer, trade=trade, rule="B11", evidence_sha256="ab" * 32, revision=1)
        )
    else:
        world.wait(days=11)
        world.tick()
    row = agree(world).trades.rows[trade]
    assert row.state == ("settled" if end == "cure" else "refused")
    assert row.cured == (("B11",) if end == "cure" else ())
