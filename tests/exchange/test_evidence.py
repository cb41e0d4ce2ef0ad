"""The table of leaves, the log beside the journal, and what it does with a journal that is older than it."""

import asyncio
import hashlib
import json
import typing
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.evidence import Salt, canonical, sha256, text_of
from exchange import events, journal, venue
from exchange.evidence import LEAVES, OLDER, SM3, Log, id_of, kind_of, leaves_in, leaves_of, readers_of
from exchange.projector import Projector
from exchange.proofs import Beyond, Prover
from exchange.sealing import KeyRing
from exchange.verification import verify
from tests import golden_journal
from tests.clearing import naive_log
from tests.exchange.small_venue import engine_on, execute, found, is_sound, lay, session, value
from tests.exchange.world import OPERATOR, empty

FREE_TEXT = {
    "detail",
    "reasons",
    "legal_name",
    "description",
    "source",
    "statement",
    "title",
    "summary",
    "uscc",
}
"""What people write, or what names them; `reason` of a released hold is one of three words."""


# ---- the table


@pytest.mark.parametrize("event", LEAVES, ids=lambda event: event.__name__)
def test_a_leaf_says_fields_of_its_event_and_no_free_text(event: type) -> None:
    kind, names = LEAVES[event], set(event.__struct_fields__)  # type: ignore[attr-defined]
    said = kind.fields.split()
    assert set(said) <= names
    assert not FREE_TEXT & set(said)
    assert len(set(said)) == len(said)
    assert kind.identifier in {"", "kind", *names}
    assert set(kind.readers) <= set(said), "who may read it is said in it"
    assert event in venue.APPLY


def test_a_day_gives_a_leaf_of_every_kind_and_each_can_be_told_from_the_journal() -> None:
    """Each leaf is canonical JSON without numbers, whatever happened; ids of one journal do not meet across kinds."""
    world = golden_journal.day()
    leaves = leaves_in(world.entries)
    assert {leaf.event for leaf in leaves} == {event.__name__ for event in LEAVES}
    for leaf in leaves:
        body = leaf.body(b"salt" * 4)
        said = json.loads(body, parse_int=pytest.fail, parse_float=pytest.fail)
        assert json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == body
        assert said["at_ns"] == str(leaf.at_ns)
    owners: dict[str, str] = {}
    for leaf in leaves:
        kind = "trade" if leaf.kind == "verdict" and leaf.id.startswith("T") else leaf.kind
        assert owners.setdefault(leaf.id, kind) == kind


ROOTS = {
    "schema-1": "ee4bec63207768777a757ac31876cc36cc84eab54ffd4553b36679a62214a29e",
    "schema-1-attestations": "089f36854cb4eeb729baab57f80738b0f11b4c199b2fd702f45f5089cd91679c",
    "schema-1-bank": "cf8b29f70f8a0cb0771d60d952a959ca4fbc8d80720eb08fcbdecda8935add75",
    "schema-1-duties": "abe2000634321741c79c35a6260b8ac53bee223c6cd8e1880e609bb0ea951ab0",
    "schema-1-entitlements": "037b9545f20c308edbdcc49d0e9e6e07a9b9eae552f15c9867c2daf76d368bee",
    "schema-1-evidence": "ce9f37a605624b2888bc2cddb815a7948601aa510e3b3594d9708689849151ca",
    "schema-1-ledger": "c6da49c7790d6e48faeaf6d4ff2fd683d5cb247d9e842806fdc0ffa079beb191",
    "schema-1-reminders": "365c09bb839a6245e6502b8aa1f6c8d6537038d95633946050b2fa27b7cb57d8",
    "schema-1-rules": "b339aaec38fcd7209cf97054e0f958e196751c576df3f27456702c921dc44fe2",
}
"""Roots of kept journals by the first edition, as they were before there was a second."""


@pytest.mark.parametrize("name", ROOTS)
def test_a_kept_journal_gives_the_root_that_it_gave(name: str) -> None:
    log, root = Log(b"golden"), b""
    for row in golden_journal.read(golden_journal.FOLDER / f"{name}.msgpack").rows:
        taken = log.take(leaves_in(journal.entries_of(row), 1))
        root = root if taken is None else taken.root_sha256
    assert root.hex() == ROOTS[name]


def test_what_undoes_something_has_its_leaf_under_the_same_id() -> None:
    """Reversed, refunded, a lower price, an entitlement revoked, a certificate and an attestation taken back."""
    world = golden_journal.day()
    undoing = [leaf for leaf in leaves_in(world.entries) if leaf.undoes]
    assert {leaf.event for leaf in undoing} == {
        event.__name__ for event, kind in LEAVES.items() if kind.undoes
    }
    started = {leaf.id for leaf in leaves_in(world.entries, 1)}
    started |= {leaf.id for leaf in leaves_in(world.entries) if leaf.event == "Attested"}
    assert {leaf.id for leaf in undoing} <= started
    assert {leaf.event for leaf in leaves_in(world.entries, 1)}.isdisjoint(leaf.event for leaf in undoing)


def test_every_rulebook_that_comes_into_force_is_a_leaf() -> None:
    """The newest one before a verdict is the one that it was given by: nothing else changes the rulebook."""
    world = golden_journal.day()
    said, state = [], empty()
    for raw in world.entries:
        for leaf in leaves_in([raw]):
            if leaf.kind == "rulebook":
                said.append(json.loads(leaf.body(b"salt" * 4))["content"]["sha256"])
        venue.replay(state, raw)
        assert said[-1:] == ([state.rulebook_sha256] if state.rulebook_sha256 else [])
    assert len(set(said)) >= 2


def test_the_first_leaf_of_an_id_names_its_readers() -> None:
    """What comes later under the id, as a hold that is released, is shown to the same people."""
    world = golden_journal.day()
    first: dict[str, Any] = {}
    for leaf in leaves_in(world.entries):
        first.setdefault(leaf.id, leaf)
    for leaf in first.values():
        readers = readers_of(leaf)
        assert readers is None or (all(reader.startswith("P") for reader in readers) and readers), leaf


def test_a_product_that_is_returned_has_no_certificate() -> None:
    decided = events.ProductDecided("D1", "return", (), (), "", 0, ("unclear",), "P2", "returned")
    assert kind_of(decided) is None
    assert list(leaves_of(1, [decided])) == []
    registered = msgspec.structs.replace(decided, decision="register", certificate="SJ-1-D1")
    [leaf] = leaves_of(1, [registered])
    assert (leaf.kind, leaf.id) == ("certificate", "SJ-1-D1")
    assert "unclear" not in leaf.body(b"").decode()


def test_what_has_no_id_is_known_by_its_instant() -> None:
    refused = events.OrderRefused("P4", "L1", "unlawful", "a text", ("A01",))
    assert id_of(LEAVES[events.OrderRefused], refused, 17) == "R17"
    [leaf] = leaves_of(17, [refused])
    assert readers_of(leaf) == ("P4",)
    assert "a text" not in leaf.body(b"").decode()


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Every value that a field of this type can have, texts with quotes, controls and all planes among them."""
    if kind is int:
        return st.integers(-(1 << 63), (1 << 64) - 1)
    if kind is str:
        return st.text(st.characters(codec="utf-8"), max_size=12)
    if typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        if items[-1] is ...:
            return st.lists(anything(items[0]), max_size=3).map(tuple)
        return st.tuples(*map(anything, items))
    return st.from_type(kind)


@pytest.mark.parametrize("event", LEAVES, ids=lambda event: event.__name__)
@given(st.data(), st.integers(0, 1 << 62), st.binary(min_size=16, max_size=16))
def test_a_leaf_is_the_plain_encoding_byte_for_byte(
    event: type, data: st.DataObject, at_ns: int, salt: bytes
) -> None:
    """A trade's leaf is written by an expression of its own: it says what `canonical` says of its fields."""
    kind = LEAVES[event]
    types = {field.name: field.type for field in msgspec.structs.fields(event)}
    happened = event(**{name: data.draw(anything(of), label=name) for name, of in types.items()})
    for leaf in leaves_of(at_ns, [happened]):
        plain = {
            "at_ns": str(at_ns),
            "content": {name: text_of(getattr(happened, name)) for name in kind.fields.split()},
            "event": event.__name__,
            "id": id_of(kind, happened, at_ns),
            "kind": kind.kind,
            "salt": salt.hex(),
        }
        assert leaf.body(salt) == canonical(plain)
        assert leaf.id == plain["id"]


# ---- the log


def test_a_log_is_the_tree_over_its_salted_bodies() -> None:
    """Both digests, rows of any size; the salts differ though everything else is the same."""
    [leaf] = leaves_of(5, [events.RulebookAdopted("ab" * 32)])
    log, bodies = Log(b"secret"), []
    for size in (1, 4, 2, 9):
        first = log.size
        row = log.take([leaf] * size)
        assert row is not None
        bodies += [leaf.body(Salt(b"secret").of(first + at)) for at in range(size)]
        assert (row.first_leaf, row.leaves) == (first, size)
        assert row.root_sha256 == naive_log.root(bodies)
        assert row.root_sm3 == naive_log.root(bodies, "sm3")
    assert len(set(bodies)) == 16
    assert log.take([]) is None


# ---- beside the journal


async def rows_of(dsn: str) -> list[Any]:
    async with session(dsn) as connection:
        return list(await connection.fetch("select * from evidence order by sequence"))


async def test_a_journal_that_is_older_has_one_leaf_over_its_chain(database_dsn: str) -> None:
    """The journal's first row was laid without a log; the log begins behind it and says so, and what it says."""
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine:
        await engine.submit(small.order())
        assert await value(database_dsn, "select begins from evidence_log") == 2
        prover = await prover_of(database_dsn)
        [older] = await prover.leaves(OLDER, (0, -1), 10)
        await prover.pool.close()
        assert await is_sound(database_dsn, engine)
    checksum = await value(database_dsn, "select checksum from journal where sequence = 1")
    assert (older.number, older.sequence) == (0, 1)
    said = json.loads(older.body)
    assert said["content"] == {"checksum": checksum.hex(), "sequence": "1"}
    first = (await rows_of(database_dsn))[0]
    assert (first["sequence"], first["first_leaf"]) == (2, 0)
    assert first["sha256"][:32] == hashlib.sha256(b"\0" + older.body.encode()).digest()


async def prover_of(dsn: str) -> Prover:
    import asyncpg

    return Prover(
        await asyncpg.create_pool(dsn, min_size=1, max_size=1),
        KeyRing(Path(mkdtemp()) / "venue.key"),
        "shuji/test",
    )


async def test_a_second_start_goes_on_with_the_same_tree(database_dsn: str) -> None:
    """Starts with nothing done between them change nothing; what comes then is behind what was there."""
    small = await lay(database_dsn)
    roots = []
    for _ in range(3):
        async with engine_on(database_dsn) as engine:
            before = await rows_of(database_dsn)
            await engine.submit(small.order())
            after = await rows_of(database_dsn)
            assert after[: len(before)] == before
            roots.append(after[-1]["root_sha256"])
    async with engine_on(database_dsn) as engine:
        assert await is_sound(database_dsn, engine)
    assert len(set(roots)) == 3
    sizes = [(row["first_leaf"], row["leaves"]) for row in await rows_of(database_dsn)]
    assert [first for first, _ in sizes] == [sum(size for _, size in sizes[:at]) for at in range(len(sizes))]


LAST_BYTE = (
    "update evidence set sm3 = set_byte(sm3, length(sm3) - 1, get_byte(sm3, length(sm3) - 1) # 1)"
    " where sequence = (select max(sequence) from evidence)"
)
"""Of the highest node that the last leaves complete: the log goes on from it."""


async def test_stored_nodes_that_do_not_give_the_root_stop_the_start(database_dsn: str) -> None:
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine:
        await engine.submit(small.order())
    await execute(database_dsn, LAST_BYTE)
    async with session(database_dsn) as connection:
        with pytest.raises(journal.JournalBroken, match="do not give the root: run verify"):
            await journal.recover_log(connection, engine.sequence)


async def test_an_old_row_replaced_by_the_whole_chain_is_told_by_the_older_leaf(database_dsn: str) -> None:
    """What lies before the log is under its first leaf, by the checksum of the last row."""
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine:
        await engine.submit(small.order())
    body = await value(database_dsn, "select body from journal where sequence = 1")
    await execute(database_dsn, "update journal set body = $1 where sequence = 1", body.replace(b"P2", b"P3"))
    rows = await stored_bodies(database_dsn)
    checksum = b""
    for sequence, raw in rows:
        checksum = journal.checksum_of(checksum, raw)
        await execute(
            database_dsn, "update journal set checksum = $2 where sequence = $1", sequence, checksum
        )
    await execute(database_dsn, "update cursor set checksum = $1", checksum)
    found = await verify(database_dsn, None, empty, lambda _: None)
    assert "leaf 0 (SHA-256) is not what the journal says" in [
        one.detail for one in found if one.table == "evidence"
    ]


async def stored_bodies(dsn: str) -> list[tuple[int, bytes]]:
    async with session(dsn) as connection:
        rows = await connection.fetch("select sequence, body from journal order by sequence")
    return [(row["sequence"], row["body"]) for row in rows]


# ---- editions


async def test_a_log_keeps_its_leaves_and_goes_on_by_the_newest_edition(database_dsn: str) -> None:
    """A trade was reversed before there was a second edition: its proof stays what it was. Then a rule is narrowed."""
    small = found()
    trade = golden_journal.undone(small.world)
    log = Log(b"secret")
    await execute(
        database_dsn, "insert into evidence_log (shard, begins, secret) values (0, 1, $1)", b"secret"
    )
    await lay(database_dsn, small, log.take(leaves_in(small.world.entries, 1)))
    narrow = events.NarrowRule(
        actor=OPERATOR, rule="B07", also_violated_when="price.unit_fen == 7", reason="an emergency"
    )
    async with engine_on(database_dsn) as engine:
        assert (await engine.submit(narrow)).refusal is None
        assert await is_sound(database_dsn, engine)
    async with engine_on(database_dsn) as engine:
        """A second start says nothing more."""
    prover = await prover_of(database_dsn)
    follower = Projector(prover.pool)
    following = asyncio.create_task(follower.run())
    await follower.caught_up(engine.sequence)
    following.cancel()
    await asyncio.wait([following])
    assert [shown.leaf.event for shown in await prover.leaves(trade, (0, -1), 10)] == ["Settled"]
    said = await prover.leaves("rulebook", (0, -1), 10)
    await prover.pool.close()
    assert [shown.leaf.event for shown in said] == ["RulebookAdopted", "RulebookAdopted", "RuleNarrowed"]
    assert [shown.sequence for shown in said[:2]] == [1, 2], "it begins with the rulebook in force"
    for begins, row in ((1, "1"), (99, str(said[2].sequence))):
        await execute(database_dsn, "update evidence_edition set begins = $1", begins)
        differences = await verify(database_dsn, None, empty, lambda _: None)
        assert row in [one.key for one in differences if one.table == "evidence"]


# ---- proofs out of the rows


async def test_every_proof_of_a_log_that_grew_row_by_row(database_dsn: str) -> None:
    """All inclusions and consistencies of some sixty leaves, from PostgreSQL, against the definition."""
    small = await lay(database_dsn)
    async with engine_on(database_dsn) as engine:
        for size in (1, 2, 7, 1, 20, 30):
            await engine.submit_many([small.order() for _ in range(size)])
        assert engine.sequence >= 2
    prover = await prover_of(database_dsn)
    bodies = await all_bodies(prover, database_dsn)
    size = await prover.size()
    assert size == len(bodies) > 30
    for name in ("sha256", "sm3"):
        checkpoint = await prover.checkpoint()
        assert checkpoint is not None
        assert getattr(checkpoint.checkpoint, f"root_{name}") == naive_log.root(bodies, name)
    for leaf in range(size):
        path = await prover.inclusion(leaf, size)
        assert path.sha256 == naive_log.path(leaf, bodies)
        assert path.sm3 == naive_log.path(leaf, bodies, "sm3")
    for old in range(1, size + 1):
        grown = await prover.consistency(old, size)
        assert grown.sha256 == naive_log.proof(old, bodies)
        assert grown.sm3 == naive_log.proof(old, bodies, "sm3")
    for wrong in ((size, size), (0, size + 1), (-1, size)):
        with pytest.raises(Beyond):
            await prover.inclusion(*wrong)
    await prover.pool.close()


async def all_bodies(prover: Prover, dsn: str) -> list[bytes]:
    """What is hashed, in order, told from the journal."""
    secret = await value(dsn, "select secret from evidence_log")
    [older] = await prover.leaves(OLDER, (0, -1), 1)
    bodies = [older.body.encode()]
    for sequence, raw in await stored_bodies(dsn):
        if sequence > 1:
            row = {"schema": events.SCHEMA_VERSION, "body": raw, "sequence": sequence}
            for leaf in leaves_in(journal.entries_of(row)):
                bodies.append(leaf.body(Salt(secret).of(len(bodies))))
    return bodies


def test_both_digests_are_what_they_are_called() -> None:
    assert sha256(b"abc").hex().startswith("ba7816bf")
    assert SM3(b"abc").hex().startswith("66c7f0f4")
