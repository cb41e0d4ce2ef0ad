"""An operator's lost key: whoever owns the data folder makes another, while the venue stands still.

    draft key on disk ─> KeyReplaced in the journal ─> the draft becomes operator.key

Killed anywhere in between, the next call goes on with the same draft. The journal says that it was the venue and why.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from clearing import notrade
from exchange import board, keys
from exchange.engine import Engine, Simulated
from exchange.events import VENUE, ReplaceKey
from exchange.migration import migrate
from exchange.participant import has_role
from exchange.postgres import open_database
from exchange.settings import Settings
from exchange.state import State


class RecoveryRefused(Exception):
    """There is no such operator, or the venue refuses. The text says which."""


class Recovered(msgspec.Struct, frozen=True):
    participant: str
    public_key: str
    key_file: str


async def recover_operator(settings: Settings, participant: str, reason: str) -> Recovered:
    """Raises DatabaseBusy or Fenced where the venue runs, RecoveryRefused where nobody can be recovered."""
    async with open_database(settings.data, settings.dsn or None) as database:
        await migrate(database.dsn)
        engine = await _started(database.dsn, settings)
        try:
            chosen = participant or await engine.read(lambda state: _operator(state, settings.operator_key))
            draft = settings.operator_key.with_name("operator.key.new")
            key = keys.ensure(draft)
            await _replace(engine, chosen, key.public_key, reason)
        finally:
            await engine.stop()
    _change_files(settings.operator_key, draft, chosen)
    return Recovered(chosen, key.public_key, str(settings.operator_key))


async def _started(dsn: str, settings: Settings) -> Engine:
    """The writer, by the clock that this venue has lived by."""
    boards = board.load()
    rulebook = notrade.load(boards=boards)

    def empty() -> State:
        return State(boards, rulebook, settings.jurisdiction)

    engine = Engine(dsn, empty)
    try:
        await engine.start()
    except Simulated:
        engine = Engine(dsn, empty, simulated=True)
        await engine.start()
    return engine


def _operator(state: State, key_file: Path) -> str:
    """Whom the key file names where that is an operator, else the first who can act."""
    operators = [
        participant
        for participant in state.bureau.participants
        if has_role(state, participant, "operator", state.now_ns)
    ]
    if not operators:
        raise RecoveryRefused("no operator of this venue can act; name one with --participant")
    with suppress(keys.KeyFileError):
        named = keys.read(key_file).participant
        if named in operators:
            return named
    return operators[0]


async def _replace(engine: Engine, participant: str, public_key: str, reason: str) -> None:
    """Journaled once, also where an earlier call was killed after it."""
    if await engine.read(lambda state: state.bureau.by_key.get(public_key)) == participant:
        return
    outcome = await engine.submit(
        ReplaceKey(actor=VENUE, participant=participant, public_key=public_key, reason=reason)
    )
    if outcome.refusal is not None:
        raise RecoveryRefused(f"{participant}: {outcome.refusal.detail}")


def _change_files(key_file: Path, draft: Path, participant: str) -> None:
    """The old key is kept beside the new one: it opens nothing."""
    keys.name_participant(draft, participant)
    keys.session_path(key_file).unlink(missing_ok=True)
    if key_file.exists():
        key_file.replace(key_file.with_name("operator.key.old"))
    draft.replace(key_file)
