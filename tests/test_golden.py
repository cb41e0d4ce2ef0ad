"""Journals of this and of earlier versions still lead to the states that they led to."""

from pathlib import Path

import pytest

from exchange import journal, venue
from exchange.events import SCHEMA_VERSION
from exchange.state import decode_state, encode_state, state_hash
from tests import golden_journal
from tests.exchange.world import boards, empty, rulebook
from tests.golden_journal import FOLDER, kinds_of, read

FILES = sorted(FOLDER.glob("*.msgpack"))


def test_every_schema_version_has_its_journal() -> None:
    kept = {file.stem for file in FILES}
    assert kept >= {f"schema-{version}" for version in range(1, SCHEMA_VERSION + 1)}
    assert SCHEMA_VERSION in journal.DECODERS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_kept_journal_replays_to_its_hash(file: Path) -> None:
    golden = read(file)
    state, sequence, checksum = empty(), 0, b""
    for row in golden.rows:
        journal.replay_row(state, row, sequence, checksum)
        sequence, checksum = row.sequence, row.checksum
    state.ledger.check()
    body = encode_state(state)
    assert state_hash(body).hex() == golden.state_sha256.hex()
    assert encode_state(decode_state(body, boards(), rulebook(), golden.jurisdiction)) == body


def test_the_journals_of_this_schema_hold_every_kind_of_event() -> None:
    """A kind that came later is in a journal of its own: `schema-1-halts` beside `schema-1`."""
    held: set[str] = set()
    for file in FOLDER.glob(f"schema-{SCHEMA_VERSION}*.msgpack"):
        golden = read(file)
        entries = [entry for row in golden.rows for entry in journal.entries_of(row)]
        assert kinds_of(entries) == golden.kinds
        held.update(golden.kinds)
    assert held == {kind.__name__ for kind in venue.APPLY}


def test_the_day_that_it_is_made_of_can_be_played_again() -> None:
    """By today's code, to which it need not be equal: rules and mechanisms may decide otherwise."""
    world = golden_journal.day()
    assert set(kinds_of(world.entries)) == {kind.__name__ for kind in venue.APPLY}
