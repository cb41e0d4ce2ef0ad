"""X: an industry board, a TOML file that says which mechanisms it may use and what it charges.

Centralised trading needs approval, the order book among it. 国发〔2011〕38号 forbids it to venues that the State Council
has not approved; 国办发〔2012〕37号 says what it is: 集合竞价, 连续竞价, 电子撮合, 匿名交易, 做市商. A board without
approval that names such a mechanism does not load.
"""

import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from clearing.revenue import PUBLIC_PREFIX
from exchange.attributes import Field, Rule, faults

CENTRAL: Final = (
    "call_auction",
    "continuous_auction",
    "electronic_matching",
    "anonymous",
    "market_maker",
)
"""Mechanisms that need central-trading approval: those of rule F02."""

GATHERING: Final = ("pre_open", "call_auction")
"""Phases in which a book gathers orders for a call auction."""

TIMETABLE_MOVES: Final = (
    ("closed", "pre_open"),
    ("closed", "continuous"),
    ("pre_open", "call_auction"),
    ("pre_open", "closed"),
    ("call_auction", "continuous"),
    ("call_auction", "closed"),
    ("continuous", "call_auction"),
    ("continuous", "closed"),
)
"""From phase to phase (`docs/MATCHING.md`, Phases); a halt is none of these."""

_AT: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")
_PUBLIC_ACCOUNT: Final = re.compile(rf"{PUBLIC_PREFIX}[a-z][a-z0-9_]{{0,39}}\Z")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of a board's timetable: on trading days its books are in this phase from `at` (HH:MM, Beijing) on."""

    at: str
    phase: str

    @property
    def minute(self) -> int:
        """Of the day."""
        return int(self.at[:2]) * 60 + int(self.at[3:])


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`fee_bp` is the venue's fee in basis points of the price, paid by the seller.

    `public_data_share_bp`, of what remains after the fee, is set apart of every first sale of public data and paid to
    `public_data_account` (广州 12-14: 公共数据收益分配); the board adjusts it here, for trades that settle from then on.

    `excepted_from_38`: its approval is of the kind that 国发〔2011〕38号 excepts
    (依法设立的证券交易所或国务院批准的从事金融产品交易的交易场所), so that neither five trading days nor 200 holders bind
    its books (rules F01, F03).

    `sessions` is the timetable of its books, from closed to closed; without one they trade at any hour.
    """

    id: str
    name_zh: str
    name_en: str
    host: str
    mechanisms: tuple[str, ...]
    central_trading_approved: bool
    fee_bp: int
    public_notice_days: int
    approval: str = ""
    public_data_share_bp: int = 0
    public_data_account: str = ""
    excepted_from_38: bool = False
    sessions: tuple[Step, ...] = ()
    fields: tuple[Field, ...] = ()
    rules: tuple[Rule, ...] = ()


class BoardError(ValueError):
    """A board's file is wrong; the message names file and line and what to change."""


def load(directory: Path | None = None) -> dict[str, Board]:
    """The boards by id, sorted. Without a directory, the seven that the package brings."""
    root = directory if directory is not None else resources.files("exchange") / "boards"
    found = {}
    for file in sorted(root.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            board = _read(file.name, file.read_text(encoding="utf-8"))
            found[board.id] = board
    return found


def _read(name: str, text: str) -> Board:
    try:
        board = msgspec.convert(tomllib.loads(text), Board)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        raise BoardError(f"{name}:{at[1] if at else 1}: {error}") from error
    except msgspec.ValidationError as error:
        raise BoardError(f"{name}:{_line_of_path(text, str(error))}: {error}") from error
    for what, wrong in _faults(board):
        raise BoardError(f"{name}:{_line_of(text, what)}: {wrong}")
    return board


def _faults(board: Board) -> Iterator[tuple[str, str]]:
    """(key, field or rule, what is wrong with it)."""
    approved = board.central_trading_approved and board.approval
    for mechanism in board.mechanisms:
        if mechanism in CENTRAL and not approved:
            yield "mechanisms", f"{mechanism} needs central_trading_approved and the approval's document"
    if board.excepted_from_38 and not approved:
        yield (
            "excepted_from_38",
            "excepted_from_38 needs central_trading_approved and the approval's document",
        )
    if not 0 <= board.fee_bp <= 10_000 or board.public_notice_days < 0:
        yield "fee_bp", "fee_bp is 0 to 10000, public_notice_days is not negative"
    if (wrong := _timetable_fault(board)) is not None:
        yield "sessions", wrong
    if not 0 <= board.public_data_share_bp <= 10_000:
        yield "public_data_share_bp", "public_data_share_bp is 0 to 10000"
    if board.public_data_share_bp and _PUBLIC_ACCOUNT.match(board.public_data_account) is None:
        yield (
            "public_data_share_bp",
            f"public_data_share_bp needs public_data_account, such as {PUBLIC_PREFIX}treasury",
        )
    for of, wrong in faults(board.fields, board.rules):
        yield of, f"{of}: {wrong}"


def _timetable_fault(board: Board) -> str | None:
    """What is wrong with a board's sessions; None where nothing is."""
    steps = board.sessions
    if any(_AT.match(step.at) is None for step in steps):
        return "sessions: at is HH:MM in Beijing time"
    if any(one.minute >= other.minute for one, other in pairwise(steps)):
        return "sessions: each row comes later in the day than the one before"
    phases = ["closed", *(step.phase for step in steps)]
    for move in pairwise(phases):
        if move not in TIMETABLE_MOVES:
            return f"sessions: no board goes from {move[0]} to {move[1]}"
    if steps and steps[-1].phase != "closed":
        return "sessions: the last row of a day is closed"
    if "call_auction" not in board.mechanisms and any(step.phase in GATHERING for step in steps):
        return "sessions: pre_open and call_auction need the mechanism call_auction"
    return None


def _line_of(text: str, what: str) -> int:
    """The line on which a key stands, or the name of a field or the id of a rule is said; 1 where none does."""
    said = re.compile(
        rf'\s*({re.escape(what)}\s*=|\[\[{re.escape(what)}\]\]|(name|id)\s*=\s*"{re.escape(what)}")'
    )
    return next((number for number, line in enumerate(text.splitlines(), 1) if said.match(line)), 1)


_PLACE: Final = re.compile(r"\$(?:\.(?P<key>\w+))?(?:\[(?P<index>\d+)\])?(?:\.(?P<member>\w+))?")


def _line_of_path(text: str, error: str) -> int:
    """The line of what msgspec names, as in `$.fields[2].type`: of that member, or of the head of its table."""
    place = _PLACE.search(error)
    if place is None or place["key"] is None:
        unknown = re.search(r"unknown field `(\w+)`", error)
        return _line_of(text, unknown[1]) if unknown else 1
    if place["index"] is None:
        return _line_of(text, place["key"])
    return _line_in_table(text, f"[[{place['key']}]]", int(place["index"]), place["member"])


def _line_in_table(text: str, head: str, index: int, member: str | None) -> int:
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines, 1) if line.strip() == head]
    if index >= len(heads):
        return 1
    begins = heads[index]
    for number in range(begins, len(lines)):
        line = lines[number].strip()
        if line.startswith("[["):
            break
        if member is not None and re.match(rf"{re.escape(member)}\s*=", line):
            return number + 1
    return begins
