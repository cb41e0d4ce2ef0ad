"""A draft read beside the rulebook in force: its files, what they change line by line and rule by rule."""

import asyncio
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from clearing.notrade import Difference, Rulebook, RulebookError, difference
from exchange.events import Refusal, Refused
from exchange.state import Draft, State
from exchange.web.operation import Call, Operation
from exchange.web.rulebook import DRAFT_EXAMPLE, OFFICES, DraftView, NarrowingView, draft_view

MOST_PAIRS: Final = 25_000_000
"""Lines of the old file times lines of the new one. Beyond, a diff can take minutes, and the files are shown whole."""


class RuleChanges(Struct):
    """By their ids: rules whose words, citations or conditions are others. Examples are in the diff only."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


class Compared(Struct):
    """A draft's files in the place of those in force. `rules` is null where they make no rulebook, and `fault` says why."""

    text_sha256: str
    against_sha256: str
    diff: str
    rules: RuleChanges | None
    ends: tuple[NarrowingView, ...]
    fault: str = ""


class DraftText(DraftView):
    """A draft as its approvers read it, beside the rulebook that is in force now (`against_sha256`, a `text_sha256`).

    `texts` are its files; `text_sha256` is that of the rulebook they make; `ends` are the narrowings that are over with it.
    """

    texts: dict[str, str]
    text_sha256: str
    against_sha256: str
    diff: str
    rules: RuleChanges | None
    ends: tuple[NarrowingView, ...]
    fault: str


async def read_draft(call: Call, asked: None) -> DraftText:
    await call.need_role(*OFFICES)
    found = await call.read(lambda state: _found(state, call.path["draft"]))
    assert not isinstance(found, Refusal)
    view, row, in_force = found
    said = await asyncio.to_thread(compared, row.files, in_force)
    return DraftText(**asdict(view), texts=row.files, **asdict(said))


def _found(state: State, identifier: str) -> tuple[DraftView, Draft, Rulebook] | Refusal:
    row = state.drafts.get(identifier)
    if row is None:
        return Refusal(Refused.not_found, f"there is no draft {identifier}")
    return draft_view(state, row), row, state.rulebook


def compared(files: Mapping[str, str], in_force: Rulebook) -> Compared:
    """Takes half a second: for a thread."""
    said = Compared(
        "",
        in_force.text_sha256,
        "\n".join(line for name in sorted(files) for line in _diff(name, files[name], in_force)),
        None,
        tuple(NarrowingView(*one) for one in in_force.narrowings),
    )
    try:
        made = in_force.edited(files)
    except RulebookError as error:
        said.fault = str(error)
        return said
    said.text_sha256, said.rules = made.text_sha256, _changes(difference(in_force, made))
    return said


def _changes(found: Difference) -> RuleChanges:
    return RuleChanges(found.added, found.removed, found.changed)


def _diff(name: str, new: str, in_force: Rulebook) -> Iterator[str]:
    """Lines of a unified diff. A file of another name than those in force is all new."""
    before, after = in_force.texts.get(name, "").split("\n"), new.split("\n")
    heads = (f"in_force/{name}", f"draft/{name}")
    if len(before) * len(after) <= MOST_PAIRS:
        return unified_diff(before, after, *heads, lineterm="")
    return _whole(before, after, *heads)


def _whole(before: list[str], after: list[str], *heads: str) -> Iterator[str]:
    yield f"--- {heads[0]}"
    yield f"+++ {heads[1]}"
    yield f"@@ -1,{len(before)} +1,{len(after)} @@"
    yield from (f"-{line}" for line in before)
    yield from (f"+{line}" for line in after)


# ---- the operations

_TEXT: Final = DRAFT_EXAMPLE | {
    "texts": {"venue.toml": "# F: how the venue itself may trade.\n..."}, "text_sha256": DRAFT_EXAMPLE["sha256"],
    "against_sha256": DRAFT_EXAMPLE["base_sha256"],
    "diff": "--- in_force/venue.toml\n+++ draft/venue.toml\n@@ -7 +7 @@\n-violated_when = \"trade.holder_count > 200\"\n"
            "+violated_when = \"trade.holder_count > 100\"",
    "rules": {"added": [], "removed": [], "changed": ["F02"]},
    "ends": [{"rule": "B07", "also_violated_when": "price.unit_fen == 88888"}], "fault": "",
}  # fmt: skip

OPERATIONS: Final = (
    Operation("GET", "/v1/rulebook/drafts/{draft}", read_draft,
              "A draft's files and what they change of the rulebook in force (reviewer, operator, auditor)", "rules",
              answers=DraftText, refused=(Refused.forbidden, Refused.not_found), example_answer=_TEXT),
)  # fmt: skip
