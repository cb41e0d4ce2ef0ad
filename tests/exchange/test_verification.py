"""`verify` names whatever was altered behind the venue's back: each authoritative table, the journal to the byte.

The venue of these tests has lived: the sample catalogue, a completed trade and one whose file is delivered, a hold,
an order that rests, a partly filled one, a personal row, a snapshot in the middle.
"""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from clearing import notrade
from exchange import board, journal, keys, sample, snapshot
from exchange.engine import Engine
from exchange.events import (
    AcceptDelivery,
    AdoptRulebook,
    Deliver,
    Delivery,
    IssueKey,
    OpenVenue,
    PlaceOrder,
    RegisterParticipant,
    Settled,
)
from exchange.migration import MigrationRefused
from exchange.projector import Difference, Projector
from exchange.state import State
from exchange.venue import Outcome
from exchange.verification import invariants, verify

BOARDS, RULEBOOK = board.load(), notrade.load()
CONTENT = b"node,hour,dwell_minutes\nN03,2026-01-05T08:00:00+08:00,47\n"
SALT, PERSON = b"salt" * 4, b'{"name":"\xe5\xbc\xa0\xe4\xb8\x89"}'


def empty() -> State:
    return State(BOARDS, RULEBOOK, "CN-46")


def silent(_: str) -> None:
    """Nobody listens to how far it is."""


@dataclass
class Lived:
    """A venue's database, its data folder, and the state that its engine ended with."""

    dsn: str
    data: Path
    state: State

    async def alter(self, statement: str, *values: Any) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            assert await connection.execute(statement, *values) not in ("UPDATE 0", "DELETE 0"), (
                "nothing altered"
            )
        finally:
            await connection.close()

    async def value(self, query: str) -> Any:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def verified(self) -> list[Difference]:
        return await verify(self.dsn, self.data, empty, silent)


async def live(dsn: str, data: Path) -> State:
    """The venue's day. Every command waits for its commit, so each is a journal row of its own."""
    engine = Engine(dsn, empty)
    await engine.start()
    operator = keys.ensure(data / "operator.key")
    await do(engine, OpenVenue(actor="venue", public_key=operator.public_key))
    await do(engine, AdoptRulebook(actor="venue", sha256=RULEBOOK.sha256))
    await sample.load(engine, data)
    await register_somebody(engine)
    await trade(engine, data)
    await write_snapshot(dsn)
    await rest(engine, data)
    await project(dsn, engine.sequence)
    await engine.stop()
    return engine.state


async def do(engine: Engine, command: Any, personal: tuple[bytes, bytes] | None = None) -> Outcome:
    outcome = await engine.submit(command, personal)
    assert outcome.refusal is None, f"{command}: {outcome.refusal}"
    return outcome


async def register_somebody(engine: Engine) -> None:
    public_key = keys.Key.make().public_key
    digest = hashlib.sha256(SALT + PERSON).hexdigest()
    command = RegisterParticipant(actor="", legal_name="张三", public_key=public_key, personal_sha256=digest)
    await do(engine, command, (SALT, PERSON))


def listing_of(state: State, title: str) -> str:
    return next(row.listings[0] for row in state.products.values() if title in row.description.title)


def holder(data: Path, role: str) -> str:
    return keys.read(data / f"sample-{role}.key").participant


async def trade(engine: Engine, data: Path) -> None:
    """Two sales of a file, the first accepted, the second not yet; both give a right to the bytes."""
    merchant, buyer = holder(data, "merchant"), holder(data, "buyer")
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    (data / "files" / merchant).mkdir(parents=True)
    (data / "files" / merchant / sha256).write_bytes(CONTENT)
    delivery = Delivery(
        kind="file", sha256=sha256, size=len(CONTENT), name="dwell.csv", media_type="text/csv"
    )
    order = PlaceOrder(actor=buyer, listing=listing_of(engine.state, "冷链"), quantity=1)
    for _ in range(2):
        await do(engine, order)
    sold = list(engine.state.trades)
    for one in sold:
        await do(engine, Deliver(actor=merchant, trade=one, delivery=delivery))
    await do(engine, AcceptDelivery(actor=buyer, trade=sold[0]))
    await do(
        engine, IssueKey(actor=buyer, entitlement=next(iter(engine.state.entitlements)), key_sha256="a" * 64)
    )


async def rest(engine: Engine, data: Path) -> None:
    """A hold, a buy order below the market, and a sell order of the sample that is partly filled."""
    buyer = holder(data, "buyer")
    units = listing_of(engine.state, "加速卡时")
    price = engine.state.listings[units].terms
    await do(engine, PlaceOrder(actor=buyer, listing=listing_of(engine.state, "问卷"), quantity=1))
    await do(engine, PlaceOrder(actor=buyer, listing=units, quantity=price.price_per_units * 3))
    cheap = PlaceOrder(actor=buyer, listing=units, quantity=price.price_per_units * 2, limit_fen=1)
    await do(engine, cheap)
    assert engine.state.holds
    assert {order.side for order in engine.state.orders.values()} == {"buy", "sell"}


async def write_snapshot(dsn: str) -> None:
    connection = await journal.connect(dsn)
    try:
        await snapshot.take(connection, empty)
    finally:
        await connection.close()


async def project(dsn: str, sequence: int) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        projector = Projector(pool)
        running = asyncio.create_task(projector.run())
        await projector.caught_up(sequence)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pattern(server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """The day is lived once; each test gets a copy."""
    await on_server(server_dsn, f"CREATE DATABASE verified TEMPLATE {template}")
    data = tmp_path_factory.mktemp("venue")
    dsn = server_dsn.replace("/postgres?", "/verified?")
    return Lived(dsn, data, await live(dsn, data))


@pytest_asyncio.fixture
async def venue(server_dsn: str, pattern: Lived, tmp_path: Path) -> AsyncIterator[Lived]:
    await on_server(server_dsn, "CREATE DATABASE altered TEMPLATE verified")
    data = shutil.copytree(pattern.data, tmp_path / "venue")
    yield Lived(server_dsn.replace("/postgres?", "/altered?"), data, pattern.state)
    await on_server(server_dsn, "DROP DATABASE altered WITH (FORCE)")


async def on_server(server_dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(server_dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


# ---- what is as it should be


async def test_a_venue_that_has_lived_is_clean(venue: Lived) -> None:
    told: list[str] = []
    assert await verify(venue.dsn, venue.data, empty, told.append) == []
    rows = await venue.value("SELECT count(*) FROM journal")
    assert f"{rows} rows" in "\n".join(told)
    judged = next(line for line in told if line.startswith("verdicts: "))
    assert int(judged.split()[1]) > 3
    assert "older version" not in judged
    assert await venue.value("SELECT count(*) FROM snapshot") == 1


async def test_an_empty_database_is_clean(database_dsn: str, tmp_path: Path) -> None:
    assert await verify(database_dsn, tmp_path, empty, silent) == []


async def test_an_erased_personal_row_is_lawful(venue: Lived) -> None:
    await venue.alter("DELETE FROM personal")
    assert await venue.verified() == []


async def test_a_projection_that_lags_is_lawful(venue: Lived) -> None:
    await venue.alter("DELETE FROM projection")
    tables = ("participant_name", "product_record", "listing_search", "order_record", "trade", "entitlement")
    later = (
        "posting",
        "refusal",
        "evidence_leaf",
        "listing_day",
        "credential",
        "accreditation_step",
        "credit_grade",
    )
    for table in (*tables, *later):
        await venue.alter(f"TRUNCATE {table}")
    assert await venue.verified() == []


async def test_without_a_data_folder_no_file_is_looked_for(venue: Lived) -> None:
    assert await verify(venue.dsn, None, empty, silent) == []


async def test_a_database_without_a_venue_is_refused(empty_database_dsn: str) -> None:
    with pytest.raises(MigrationRefused, match="no venue"):
        await verify(empty_database_dsn, None, empty, silent)


async def test_tables_of_an_older_version_are_refused(venue: Lived) -> None:
    await venue.alter("DELETE FROM migration WHERE name NOT LIKE '0001%'")
    with pytest.raises(MigrationRefused, match="shuji migrate"):
        await venue.verified()


# ---- an altered row


def flipped(column: str, place: int) -> str:
    return f"set_byte({column}, {place}, get_byte({column}, {place}) # 1)"


ALTERED = [
    ("cursor", "UPDATE cursor SET sequence = sequence + 1", "stands at"),
    ("cursor", "UPDATE cursor SET checksum = set_byte(checksum, 0, get_byte(checksum, 0) # 1)", "checksum"),
    ("cursor", "UPDATE cursor SET epoch = 0", "epoch 0 is older"),
    ("cursor", "DELETE FROM cursor", "no row"),
    (
        "account",
        "UPDATE account SET balance = balance + 1 WHERE owner = 'venue:escrow'",
        "venue:escrow CNY: has",
    ),
    ("account", "UPDATE account SET reserved = reserved - 1 WHERE reserved > 0", "reserved"),
    ("account", "DELETE FROM account WHERE owner = 'venue:fees'", "venue:fees CNY: the row is missing"),
    (
        "account",
        "INSERT INTO account VALUES (0, 'P99', 'CNY', 0, 0)",
        "P99 CNY: the journal has no such account",
    ),
    ("personal", "UPDATE personal SET body = body || 'x'", "does not hash"),
    ("personal", "UPDATE personal SET salt = 'pepper'", "does not hash"),
    ("personal", "UPDATE personal SET participant = 'P99'", "no such participant"),
    ("snapshot", "UPDATE snapshot SET body = set_byte(body, 99, get_byte(body, 99) # 1)", "does not hash"),
    ("snapshot", "UPDATE snapshot SET body = 'x', state_sha256 = sha256('x')", "another one"),
    ("snapshot", "UPDATE snapshot SET sequence = 100000", "no journal row 100000"),
    ("snapshot", "UPDATE snapshot SET sequence = sequence - 1", "another one"),
    ("snapshot", "UPDATE snapshot SET schema = 9", "schema 9 is newer"),
    ("journal", "UPDATE journal SET at_ns = at_ns + 1 WHERE sequence = 7", "7: at_ns is"),
    ("journal", "UPDATE journal SET entries = entries + 1 WHERE sequence = 7", "7: entries is 2"),
    ("journal", "UPDATE journal SET epoch = 5 WHERE sequence = 7", "8: epoch"),
    ("journal", "UPDATE journal SET schema = 9 WHERE sequence = 7", "7: schema 9 is newer"),
    (
        "journal",
        "UPDATE journal SET checksum = sha256(checksum) WHERE sequence = 7",
        "7: the checksum does not fit",
    ),
    ("journal", "UPDATE journal SET body = 'x' WHERE sequence = 7", "7: the checksum does not fit"),
    ("journal", "DELETE FROM journal WHERE sequence = 7", "7: journal 7 is missing"),
    ("journal", "DELETE FROM journal WHERE sequence BETWEEN 7 AND 9", "7: journal 7 to 9 is missing"),
    ("journal", "DELETE FROM journal WHERE sequence = 1", "1: journal 1 is missing"),
    ("evidence", f"UPDATE evidence SET sha256 = {flipped('sha256', 5)}", "leaf 0 (SHA-256) is not"),
    ("evidence", f"UPDATE evidence SET sm3 = {flipped('sm3', 5)}", "leaf 0 (SM3) is not"),
    (
        "evidence",
        f"UPDATE evidence SET sm3 = {flipped('sm3', 35)} WHERE leaves = 1 AND length(sm3) > 32",
        "node 0",
    ),
    ("evidence", f"UPDATE evidence SET root_sha256 = {flipped('root_sha256', 31)}", "the root (SHA-256)"),
    ("evidence", f"UPDATE evidence SET root_sm3 = {flipped('root_sm3', 0)}", "the root (SM3)"),
    ("evidence", "UPDATE evidence SET leaves = leaves + 1", "leaves is 2, the journal says 1"),
    (
        "evidence",
        "UPDATE evidence SET first_leaf = first_leaf + 500 WHERE first_leaf > 2",
        "first_leaf is 503",
    ),
    ("evidence", "DELETE FROM evidence WHERE first_leaf = 3", "the row of 1 leaves is missing"),
    ("evidence", "UPDATE evidence_log SET secret = sha256(secret)", "leaf 0"),
    ("evidence", "UPDATE evidence_log SET begins = 5", "1: the log had not begun"),
    ("evidence", "UPDATE evidence SET sequence = sequence + 1000 WHERE first_leaf = 3", "is missing"),
    (
        "evidence_leaf",
        "DELETE FROM evidence_leaf WHERE id = 'T1'",
        "T1: is in the journal and not in the table",
    ),
    ("trade", "UPDATE trade SET amount_fen = amount_fen + 1 WHERE id = 'T1'", "T1"),
    ("posting", "DELETE FROM posting WHERE kind = 'merchant'", "not in the table"),
]


@pytest.mark.parametrize(("table", "statement", "words"), ALTERED)
async def test_an_altered_row_is_named(venue: Lived, table: str, statement: str, words: str) -> None:
    await venue.alter(statement)
    found = await venue.verified()
    assert found[0].table == table, found
    assert words in str(found[0]), found


async def test_a_lost_last_row_is_named(venue: Lived) -> None:
    await venue.alter("DELETE FROM journal WHERE sequence = (SELECT max(sequence) FROM journal)")
    assert "the journal ends at" in str((await venue.verified())[0])


async def test_every_byte_of_a_journal_body_is_guarded(venue: Lived) -> None:
    """In the row of the first sale: it is named first, whatever the byte does to the replay."""
    sequence, size = await sale_row(venue)
    flip = f"UPDATE journal SET body = set_byte(body, $1, get_byte(body, $1) # 1) WHERE sequence = {sequence}"
    for place in range(0, size, 11):
        await venue.alter(flip, place)
        first = (await venue.verified())[0]
        assert (first.table, first.key) == ("journal", str(sequence)), first
        await venue.alter(flip, place)
    assert await venue.verified() == []


async def test_every_byte_of_the_evidence_is_guarded_and_named_once(venue: Lived) -> None:
    """One byte is one difference: the rows behind it continue what it should have been."""
    sequence = (await sale_row(venue))[0]
    for column in ("sha256", "sm3", "root_sha256", "root_sm3"):
        where = f"evidence WHERE sequence = {sequence}"
        size = await venue.value(f"SELECT length({column}) FROM {where}")
        flip = f"UPDATE evidence SET {column} = {flipped(column, 0)} WHERE sequence = {sequence}"
        for place in range(0, size, 13):
            await venue.alter(flip.replace(", 0", f", {place}"))
            assert [(one.table, one.key) for one in await venue.verified()] == [("evidence", str(sequence))]
            await venue.alter(flip.replace(", 0", f", {place}"))
    assert await venue.verified() == []


async def test_an_altered_sale_is_told_by_its_leaf_too(venue: Lived) -> None:
    """Also where journal and cursor were chained anew over it: the leaf still is the one that was committed."""
    sequence, _ = await sale_row(venue)
    body = await venue.value(f"SELECT body FROM journal WHERE sequence = {sequence}")
    altered = body.replace(b"market_analysis", b"market_analysiz")
    assert altered != body
    await venue.alter("UPDATE journal SET body = $2 WHERE sequence = $1", sequence, altered)
    await rechain(venue)
    found = [one for one in await venue.verified() if one.table in ("journal", "evidence")]
    assert [(one.table, one.key) for one in found] == [("evidence", str(sequence))]
    assert "is not what the journal says" in found[0].detail


async def test_a_verdict_that_the_rules_do_not_give_is_named(venue: Lived) -> None:
    """Chained anew, and with nothing but the hash of what was read altered: the trade is named."""
    sequence, _ = await sale_row(venue)
    plain = msgspec.msgpack.decode(await venue.value(f"SELECT body FROM journal WHERE sequence = {sequence}"))
    [settled] = [event for entry in plain[1] for event in entry[4] if event[0] == "Settled"]
    at = 1 + Settled.__struct_fields__.index("facts_sha256")
    settled[at] = bytes(32)
    await venue.alter(
        "UPDATE journal SET body = $2 WHERE sequence = $1", sequence, msgspec.msgpack.encode(plain)
    )
    await rechain(venue)
    found = [one for one in await venue.verified() if one.table == "verdict"]
    assert [one.key for one in found] == [settled[1]]
    assert "the facts that it read hash to" in found[0].detail


async def test_verdicts_of_an_unknown_rulebook_are_counted_and_not_judged(venue: Lived) -> None:
    where = "WHERE position('RulebookAdopted'::bytea in body) > 0"
    body = await venue.value(f"SELECT body FROM journal {where}")
    altered = body.replace(RULEBOOK.sha256.encode(), b"0" * 64)
    assert altered != body
    await venue.alter(f"UPDATE journal SET body = $1 {where}", altered)
    await rechain(venue)
    told: list[str] = []
    found = await verify(venue.dsn, venue.data, empty, told.append)
    assert "verdict" not in [one.table for one in found]
    assert any(line.startswith("verdicts: 0 judged again") and "older version" in line for line in told)


async def rechain(venue: Lived) -> None:
    """Every checksum made anew, as somebody would who can write the whole database."""
    connection = await asyncpg.connect(venue.dsn)
    checksum = b""
    for row in await connection.fetch("SELECT sequence, body FROM journal ORDER BY sequence"):
        checksum = journal.checksum_of(checksum, row["body"])
        await connection.execute(
            "UPDATE journal SET checksum = $2 WHERE sequence = $1", row["sequence"], checksum
        )
    await connection.execute("UPDATE cursor SET checksum = $1", checksum)
    await connection.close()


async def sale_row(venue: Lived) -> tuple[int, int]:
    """(sequence, length of the body) of the first row that settles a trade."""
    where = "WHERE position('Settled'::bytea in body) > 0 ORDER BY sequence LIMIT 1"
    sequence = await venue.value(f"SELECT sequence FROM journal {where}")
    return sequence, await venue.value(f"SELECT length(body) FROM journal {where}")


async def test_an_altered_body_names_its_row_alone_of_the_journal(venue: Lived) -> None:
    """The next row continues the checksum that the altered one still carries; the money is missed elsewhere."""
    sequence, body = await more_money(venue)
    await venue.alter("UPDATE journal SET body = $2 WHERE sequence = $1", sequence, body)
    found = await venue.verified()
    assert [difference.key for difference in found if difference.table == "journal"] == [str(sequence)]
    assert {"bank:cash CNY"} <= {difference.key for difference in found if difference.table == "account"}


async def more_money(venue: Lived) -> tuple[int, bytes]:
    """A journal row that books cash in, and its body with a hundred yuan more in it."""
    query = "SELECT sequence FROM journal WHERE position('CashBooked'::bytea in body) > 0 LIMIT 1"
    sequence = await venue.value(query)
    plain = msgspec.msgpack.decode(await venue.value(f"SELECT body FROM journal WHERE sequence = {sequence}"))
    [booked] = [event for entry in plain[1] for event in entry[4] if event[0] == "CashBooked"]
    booked[2] += 10_000
    return sequence, msgspec.msgpack.encode(plain)


async def test_balances_altered_in_step_are_found_by_the_sum(venue: Lived) -> None:
    """Each account differs from the journal, and the asset no longer adds up in SQL either."""
    await venue.alter("UPDATE account SET balance = balance + 5 WHERE asset = 'CNY' AND owner LIKE 'P%'")
    assert "all balances add up to" in str((await venue.verified())[-1])


# ---- delivered files


async def test_a_lost_or_altered_file_is_named(venue: Lived) -> None:
    [file] = (venue.data / "files").glob("*/*")
    file.write_bytes(CONTENT.replace(b"47", b"48"))
    [found] = await venue.verified()
    assert found.table == "file"
    assert file.name in found.key
    file.unlink()
    [found] = await venue.verified()
    assert "cannot be read" in found.detail


# ---- a state that contradicts itself


@pytest.fixture
async def state(venue: Lived) -> State:
    """The replayed state, to be bent."""
    connection = await journal.connect(venue.dsn)
    try:
        recovered = await journal.recover(connection, empty)
    finally:
        await connection.close()
    assert list(invariants(recovered.state)) == []
    state: State = recovered.state
    return state


async def test_an_orphaned_reservation_is_named(state: State) -> None:
    order = next(iter(state.orders))
    state.books[state.orders[order].listing].remove(order)
    del state.orders[order]
    assert [(table, key) for table, key, _ in invariants(state)] == [("reservation", order)]


async def test_an_order_and_a_hold_without_their_reservations_are_named(state: State) -> None:
    order, hold = next(iter(state.orders)), next(iter(state.holds))
    state.ledger.release(order)
    state.ledger.release(hold, 1)
    named = {key: wrong for table, key, wrong in invariants(state) if table == "reservation"}
    assert set(named) == {order, hold}
    assert "there is none" in named[order]
    assert "needs" in named[hold]


async def test_escrow_that_no_trade_posted_is_named(state: State) -> None:
    trade = next(row for row in state.trades.values() if row.state == "delivered")
    del state.trades[trade.id]
    assert [table for table, _, _ in invariants(state)] == ["escrow"]


async def test_an_open_order_that_rests_nowhere_is_named(state: State) -> None:
    order = next(iter(state.orders.values()))
    state.books[order.listing].remove(order.id)
    assert [(table, key) for table, key, _ in invariants(state)] == [("order", order.id)]


async def test_money_out_of_nothing_is_named(state: State) -> None:
    state.ledger.account("venue:fees", "CNY").balance += 1
    assert "adds up to 1" in next(iter(invariants(state)))[2]


async def test_a_book_whose_totals_are_wrong_is_named(state: State) -> None:
    order = next(iter(state.orders.values()))
    order.remaining += 1
    assert "book" in [table for table, _, _ in invariants(state)]
