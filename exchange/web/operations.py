"""The venue itself: is it well, what is its clock, what do its rules say, what has happened."""

import logging
from typing import Annotated, Any, Final

import msgspec
from litestar import Response
from msgspec import Meta, Struct

from exchange import journal, projector
from exchange.attributes import Field, Value, expected, reads
from exchange.board import Board
from exchange.events import (
    SCHEMA_VERSION,
    AdvanceClock,
    ClockAdvanced,
    Entry,
    Event,
    ProposalMade,
    ProposalRevised,
    Refused,
)
from exchange.gathering import central_approved
from exchange.web.instant import text_of
from exchange.web.operation import Call, Operation, Paging, answer
from exchange.web.problem import Refusing, Source

log = logging.getLogger("shuji.web")
_ENTRY: Final = msgspec.msgpack.Decoder(Entry)
_SEALABLE: Final = (ProposalMade, ProposalRevised)
_SEALED_WORDS: Final = (
    "listing",
    "quantity",
    "price_fen",
    "price_per_units",
    "delivery_days",
    "text",
    "figures",
)


class Health(Struct):
    status: str


class Readiness(Struct):
    """`status` ready or not_ready; the other members say which part is not."""

    status: str
    engine: str
    database: str
    tables: str
    clock: str
    rulebook: str


class RulebookView(Struct):
    sha256: str
    rules: int


class ClockView(Struct):
    now: str
    simulated: bool


class VenueView(Struct):
    name: str
    jurisdiction: str
    schema_version: int
    rulebook: RulebookView
    boards: tuple[str, ...]
    clock: ClockView


class ChoiceView(Struct):
    value: str
    zh: str
    en: str


class FieldView(Struct):
    """What a board asks of a listing. `choices` are what it may say, `words` what they mean; `least` and `most` bound an
    integer, or how many entries a list has; `expects` says all of it in a sentence.
    """

    name: str
    type: str
    unit: str
    required: bool
    choices: tuple[str, ...]
    words: tuple[ChoiceView, ...]
    least: int | None
    most: int | None
    zh: str
    en: str
    example: Value
    expects: str


class BoardRuleView(Struct):
    """A listing for which `when` holds, or for which it cannot be decided, is refused. `reads` are the fields and facts."""

    id: str
    when: str
    reads: tuple[str, ...]
    source: str
    zh: str
    en: str
    breaks: dict[str, Value]
    passes: dict[str, Value]


class BoardView(Struct):
    board: str
    name_zh: str
    name_en: str
    host: str
    mechanisms: tuple[str, ...]
    central_trading_approved: bool
    approval: str
    fee_bp: int
    public_notice_days: int
    public_data_share_bp: int
    public_data_account: str
    fields: tuple[FieldView, ...]
    rules: tuple[BoardRuleView, ...]


class BoardList(Struct):
    items: tuple[BoardView, ...]


class RuleView(Struct):
    """A no-trade rule. `citations` are all its sources and whom each binds; `kind` says what breaking it means."""

    rule: str
    kind: str
    phases: tuple[str, ...]
    message_zh: str
    message_en: str
    evidence_zh: str
    evidence_en: str
    applies_when: str
    violated_when: str
    citations: tuple[Source, ...]


class RuleList(Struct):
    items: tuple[RuleView, ...]


class Advance(Struct, kw_only=True, forbid_unknown_fields=True):
    seconds: Annotated[int, Meta(ge=1, le=10 * 366 * 86_400)]


class ClockMoved(Struct):
    now: str
    seconds: int


class JournalQuery(Paging, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    since: Annotated[int, Meta(ge=0, le=2**53 - 1, description="journal sequence to begin with")] = 0


class JournalEntry(Struct):
    """One command's outcome. Events are arrays that begin with the event's name."""

    sequence: int
    index: int
    at: str
    actor: str
    key: str
    events: list[Any]


class JournalPage(Struct):
    items: tuple[JournalEntry, ...]
    next: str | None


async def health(call: Call, asked: None) -> Health:
    """The process answers; nothing more is promised."""
    return Health("ok")


async def readiness(call: Call, asked: None) -> Response[bytes]:
    status, failure = call.desk.engine.status(), call.desk.projector.failure
    ready = bool(status["ready"]) and not failure
    view = Readiness(
        "ready" if ready else "not_ready",
        "stopped" if status["failure"] else "writing",
        "not answering" if status["database_stuck"] else "answering",
        "standing still" if failure else "following",
        "alarm: the wall clock has jumped" if status["clock_alarm_seconds"] else "well",
        _rulebook_words(status),
    )
    return answer(view, 200 if ready else 503)


def _rulebook_words(status: dict[str, Any]) -> str:
    """`in force`, or why this release does not have what was decided about it."""
    if not status["rulebook_misfits"]:
        return "in force"
    why = "; ".join(status["rulebook_misfits"])
    return f"no orders: it lacks {why}" if status["rulebook_lacking"] else f"as journaled: {why}"


async def venue(call: Call, asked: None) -> VenueView:
    desk = call.desk
    rulebook = desk.reasons.rulebook
    return VenueView(
        desk.name,
        desk.reasons.jurisdiction,
        SCHEMA_VERSION,
        RulebookView(rulebook.sha256, len(rulebook.rules)),
        tuple(desk.boards),
        ClockView(text_of(call.now_ns), desk.engine.simulated),
    )


def board_view(board: Board, approved: bool) -> BoardView:
    """`approved`: centralised trading is, now."""
    return BoardView(
        board.id,
        board.name_zh,
        board.name_en,
        board.host,
        board.mechanisms,
        approved,
        board.approval,
        board.fee_bp,
        board.public_notice_days,
        board.public_data_share_bp,
        board.public_data_account,
        tuple(field_view(field) for field in board.fields),
        tuple(
            BoardRuleView(
                rule.id,
                rule.when,
                reads(board.fields, rule),
                rule.source,
                rule.zh,
                rule.en,
                rule.breaks,
                rule.passes,
            )
            for rule in board.rules
        ),
    )


def field_view(field: Field) -> FieldView:
    words = tuple(ChoiceView(choice.value, choice.zh, choice.en) for choice in field.choices)
    return FieldView(
        field.name,
        field.type,
        field.unit,
        field.required,
        field.values,
        words,
        field.least,
        field.most,
        field.zh,
        field.en,
        field.example,
        expected(field),
    )


async def boards(call: Call, asked: None) -> BoardList:
    now_ns = call.now_ns
    return await call.read(
        lambda state: BoardList(
            tuple(board_view(one, central_approved(state, one, now_ns)) for one in state.boards.values())
        )
    )


async def board(call: Call, asked: None) -> BoardView:
    found = call.desk.boards.get(call.path["board"])
    if found is None:
        raise Refusing(Refused.not_found, f"boards are {', '.join(call.desk.boards)}")
    now_ns = call.now_ns
    return board_view(found, await call.read(lambda state: central_approved(state, found, now_ns)))


def rule_view(call: Call, rule_id: str) -> RuleView:
    reasons = call.desk.reasons
    rule = reasons.rulebook.rules[rule_id]
    return RuleView(
        rule.id,
        rule.kind,
        rule.phases,
        rule.message.zh,
        rule.message.en,
        rule.evidence.zh,
        rule.evidence.en,
        rule.applies_when,
        rule.violated_when,
        reasons.sources(rule_id, call.now_ns),
    )


async def rules(call: Call, asked: None) -> RuleList:
    return RuleList(tuple(rule_view(call, rule) for rule in call.desk.reasons.rulebook.rules))


async def rule(call: Call, asked: None) -> RuleView:
    identifier = call.path["rule"]
    if identifier not in call.desk.reasons.rulebook.rules:
        raise Refusing(Refused.not_found, f"there is no rule {identifier} in the rulebook in force")
    return rule_view(call, identifier)


async def operations(call: Call, asked: None) -> dict[str, Any]:
    """`projection_lag`: journal rows that the query tables do not show yet. `backup_age_seconds`: null without a backup."""
    await call.need_role("operator", "auditor", "regulator")
    status, projector = call.desk.engine.status(), call.desk.projector
    return {
        **status,
        "last_sequence": status["sequence"],
        "clock_alarm": status["clock_alarm_seconds"] > 0,
        "projection_lag": max(0, status["sequence"] - projector.sequence),
        "projection_connected": projector.connected,
        "projection_failure": projector.failure,
        "backup_age_seconds": call.desk.backup_age_s(),
    }


async def advance_clock(call: Call, body: Advance) -> ClockMoved:
    if not call.desk.engine.simulated:
        await call.need_role("operator")
        raise Refusing(Refused.clock_is_real, "start the venue with --simulated-clock to move its clock")
    outcome = await call.submit(AdvanceClock(actor=call.participant, key=call.key, seconds=body.seconds))
    event = outcome.events[0]
    assert isinstance(event, ClockAdvanced)
    return ClockMoved(text_of(event.to_ns), body.seconds)


async def accept_clock(call: Call, asked: None) -> ClockView:
    """The wall clock has jumped ahead and an operator says it is right: dates expire again.

    Not journaled: it moves the clock of this process only, and what then expires is in the journal as ticks.
    """
    await call.need_role("operator")
    clock = call.desk.engine.clock
    log.warning("%s accepts the wall clock, %.3f s ahead", call.participant, clock.alarm_ns / 1e9)
    clock.accept()
    return ClockView(text_of(call.now_ns), call.desk.engine.simulated)


Found = tuple[int, int, Entry]
"""An entry with its place: journal row and index in it."""


async def journal_entries(call: Call, asked: JournalQuery) -> Response[bytes]:
    """The journal as it is stored, for auditors; what proposals say that are still sealed is left out (null). It holds no
    personal data."""
    await call.need_role("auditor", "regulator")
    found = await _entries_from(call, *_journal_cursor(asked), asked.limit + 1)
    page, after = found[: asked.limit], found[asked.limit :]
    opened = await _opened(call, page)
    items = [
        JournalEntry(
            sequence,
            index,
            text_of(entry.at_ns),
            entry.actor,
            entry.key,
            [_told(event, opened) for event in entry.events],
        )
        for sequence, index, entry in page
    ]
    return call.page(items, f"{after[0][0]}.{after[0][1]}" if after else "")


async def _entries_from(call: Call, sequence: int, index: int, most: int) -> list[Found]:
    found: list[Found] = []
    async with call.desk.pool.acquire() as connection:
        while len(found) < most:
            row = await connection.fetchrow(
                "SELECT * FROM journal WHERE shard = $1 AND sequence >= $2 ORDER BY sequence LIMIT 1",
                journal.SHARD,
                sequence,
            )
            if row is None:
                break
            raws = list(enumerate(journal.entries_of(row)))[index : index + most]
            found += [(row["sequence"], place, _ENTRY.decode(raw)) for place, raw in raws]
            sequence, index = row["sequence"] + 1, 0
    return found[:most]


async def _opened(call: Call, page: list[Found]) -> frozenset[str]:
    """The proposals in these entries whose words may be shown."""
    named = [event.proposal for _, _, entry in page for event in entry.events if isinstance(event, _SEALABLE)]
    if not named:
        return frozenset()
    await call.tables_ready()
    return await projector.unsealed(call.desk.pool, named)


def _told(event: Event, opened: frozenset[str]) -> Any:
    told = msgspec.to_builtins(event)
    if isinstance(event, _SEALABLE) and event.proposal not in opened:
        for at, field in enumerate(event.__struct_fields__, 1):
            told[at] = None if field in _SEALED_WORDS else told[at]
    return told


def _journal_cursor(asked: JournalQuery) -> tuple[int, int]:
    if not asked.cursor:
        return asked.since, 0
    sequence, _, index = asked.cursor.partition(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 16 for part in (sequence, index)):
        raise Refusing(Refused.malformed, "cursor is the `next` of the page before")
    return int(sequence), int(index)


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
_BOARD: Final = {
    "board": "general", "name_zh": "综合板块", "name_en": "General board", "host": "本所",
    "mechanisms": ["posted_price", "off_venue"], "central_trading_approved": False, "approval": "", "fee_bp": 200,
    "public_notice_days": 0, "public_data_share_bp": 0, "public_data_account": "",
    "fields": [
        {"name": "update_hours", "type": "integer", "unit": "h", "required": False, "choices": [], "words": [], "least": 0,
         "most": 8784, "zh": "数据更新间隔", "en": "Hours between updates", "example": 24,
         "expects": "an integer of at least 0 and of at most 8784 h"},
    ],
    "rules": [
        {"id": "OR-1", "when": "embargo_until > now", "reads": ["embargo_until", "now"], "source": "本所规则",
         "zh": "禁运期未满的研究数据不得挂牌。", "en": "Research data whose embargo has not ended is not listed.",
         "breaks": {"embargo_until": "2026-12-01"}, "passes": {"embargo_until": "2026-11-30"}},
    ],
}  # fmt: skip
_RULE: Final = {
    "rule": "A01", "kind": "reject", "phases": ["clearing"], "message_zh": "国家秘密不得交易。",
    "message_en": "State secrets may not be traded.", "evidence_zh": "定密审查结论", "evidence_en": "secrecy review",
    "applies_when": "True", "violated_when": "product.secret_kind == 'state'",
    "citations": [{"zh": "保守国家秘密法", "en": "State Secrets Law", "authority": "law", "binding": True,
                   "whom": "everyone"}],
}  # fmt: skip
_CLOCK: Final = {"now": _WHEN, "simulated": True}

OPERATIONS: Final = (
    Operation("GET", "/healthz", health, "The process answers", "venue", answers=Health, signed_in=False,
              example_answer={"status": "ok"}),
    Operation("GET", "/readyz", readiness, "The venue takes commands, or which part does not", "venue",
              answers=Readiness, signed_in=False, also=(503,),
              example_answer={"status": "ready", "engine": "writing", "database": "answering", "tables": "following",
                              "clock": "well", "rulebook": "in force"}),
    Operation("GET", "/v1/venue", venue, "Name, jurisdiction, rulebook, boards and clock", "venue",
              answers=VenueView, signed_in=False,
              example_answer={"name": "数集 Shuji", "jurisdiction": "CN-46", "schema_version": 1, "clock": _CLOCK,
                              "rulebook": {"sha256": "9f86d081", "rules": 30}, "boards": ["computing", "general"]}),
    Operation("GET", "/v1/boards", boards, "The boards and what they may do", "venue", answers=BoardList,
              signed_in=False, example_answer={"items": [_BOARD]}),
    Operation("GET", "/v1/boards/{board}", board, "One board", "venue", answers=BoardView, signed_in=False,
              refused=(Refused.not_found,), example_answer=_BOARD),
    Operation("GET", "/v1/rules", rules, "The no-trade rules in force", "venue", answers=RuleList, signed_in=False,
              example_answer={"items": [_RULE]}),
    Operation("GET", "/v1/rules/{rule}", rule, "One rule with its sources", "venue", answers=RuleView,
              signed_in=False, refused=(Refused.not_found,), example_answer=_RULE),
    Operation("GET", "/v1/operations", operations, "What operators watch (operator, auditor)", "operations",
              answers=dict[str, Any], refused=(Refused.forbidden,),
              example_answer={"ready": True, "queue_depth": 0, "commits": 120, "commit_ms_p50": 0.8,
                              "commit_ms_p99": 2.1, "last_sequence": 120, "epoch": 1, "quarantined": 0,
                              "projection_lag": 0, "projection_connected": True, "projection_failure": "",
                              "backup_age_seconds": 1.2}),
    Operation("POST", "/v1/clock/advance", advance_clock, "Move a simulated clock forward (operator)", "operations",
              asks=Advance, answers=ClockMoved, refused=(Refused.forbidden, Refused.clock_is_real, Refused.out_of_bounds),
              example={"seconds": 86_400}, example_answer={"now": _WHEN, "seconds": 86_400}),
    Operation("POST", "/v1/clock/accept", accept_clock,
              "Let dates expire again after a clock jump; of this process, not journaled (operator)", "operations",
              answers=ClockView, refused=(Refused.forbidden,), example_answer=_CLOCK),
    Operation("GET", "/v1/journal", journal_entries, "The journal, entry by entry (auditor)", "operations",
              asks=JournalQuery, answers=JournalPage, refused=(Refused.forbidden,),
              example_answer={"items": [{"sequence": 1, "index": 0, "at": _WHEN, "actor": "venue", "key": "",
                                         "events": [["RulebookAdopted", "9f86d081"]]}], "next": None}),
)  # fmt: skip
