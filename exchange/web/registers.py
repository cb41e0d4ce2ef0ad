"""The venue's registers over HTTP: what each holds, entries in them, and what stood at any instant.

Each register has its own path and its own typed body, made from its row in `clearing.registers`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from litestar import Response
from msgspec import UNSET, Meta, Struct

from clearing.registers import REGISTERS, Entry, Pledge, Register, facts_json
from exchange.events import EnterRecord, RecordEntered, Refused
from exchange.state import State
from exchange.web.instant import Instant, ns_of, optional_ns, optional_text, text_of
from exchange.web.operation import Call, Id, Operation, Paging, Sha256
from exchange.web.problem import Refusing

_OFFICES: Final = ("reviewer", "operator", "auditor", "regulator")


class RegisterView(Struct):
    """`feeds` are the facts that rules read out of it; `against_oneself` says that its subject may enter against itself."""

    register: str
    name_zh: str
    name_en: str
    subjects: tuple[str, ...]
    feeds: tuple[str, ...]
    clause: str
    deciders: tuple[str, ...]
    against_oneself: bool
    entries: int


class RegisterList(Struct):
    items: tuple[RegisterView, ...]


class EntryView(Struct):
    """`stands`: good at the instant asked for, by what was known then. `valid_until` is exclusive, null without end."""

    entry: str
    register: str
    product: str
    participant: str
    facts: dict[str, Any]
    evidence_sha256: str
    valid_from: str
    valid_until: str | None
    reason: str
    by: str
    entered_at: str
    corrects: str
    void: bool
    stands: bool


class EntryPage(Struct):
    items: tuple[EntryView, ...]
    next: str | None


class EntryQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    """`at`: what was good then; `known_at`: by what the venue knew then. Both are now where they are left out."""

    product: Id = ""
    participant: Id = ""
    at: Instant | None = None
    known_at: Instant | None = None


def _body_of(row: Register) -> type[Struct]:
    """The body of an entry: its subjects, its facts, and what every entry has."""
    subjects: list[tuple[str, Any]] = [(subject, Id) for subject in row.subjects]
    rest: list[Any] = [
        ("facts", row.facts),
        ("evidence_sha256", Sha256),
        ("reason", Annotated[str, Meta(min_length=1, max_length=1_000)]),
        ("valid_from", Instant | None, None),
        ("valid_until", Instant | None, None),
        ("corrects", Id, ""),
        ("void", bool, False),
    ]
    name = "".join(part.capitalize() for part in row.name.split("_")) + "Entry"
    return msgspec.defstruct(name, [*subjects, *rest], kw_only=True, forbid_unknown_fields=True)


def entry_view(entry: Entry, stands: bool) -> EntryView:
    return EntryView(
        entry.id,
        entry.register,
        entry.product,
        entry.participant,
        facts_json(entry.facts),
        entry.evidence_sha256,
        text_of(entry.valid_from_ns),
        optional_text(entry.valid_until_ns),
        entry.reason,
        entry.by,
        text_of(entry.at_ns),
        entry.corrects,
        entry.void,
        stands,
    )


async def enter(call: Call, body: Any) -> EntryView:
    command = EnterRecord(
        actor=call.participant,
        key=call.key,
        facts=body.facts,
        product=getattr(body, "product", ""),
        participant=getattr(body, "participant", ""),
        evidence_sha256=body.evidence_sha256,
        valid_from_ns=optional_ns(body.valid_from, "valid_from"),
        valid_until_ns=optional_ns(body.valid_until, "valid_until"),
        reason=body.reason,
        corrects=body.corrects,
        void=body.void,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, RecordEntered)
    made = await call.read(lambda state: state.registers.entries[event.entry])
    return entry_view(made, made.good(outcome.at_ns) and not made.void)


def _list_of(row: Register) -> Callable[[Call, EntryQuery], Awaitable[Response[bytes]]]:
    async def entries(call: Call, asked: EntryQuery) -> Response[bytes]:
        """Its subject's own entries, a pledgee's of its pledges; reviewers, operators and auditors see all."""
        visitor, now_ns = call.participant, call.now_ns
        whole = bool((await call.roles()).intersection(_OFFICES))
        at_ns = ns_of(asked.at, "at") if asked.at else now_ns
        known_ns = ns_of(asked.known_at, "known_at") if asked.known_at else None

        def look(state: State) -> tuple[list[EntryView], str]:
            found = [
                one
                for one in state.registers.of.get(row.name, ())
                if asked.product in ("", one.product)
                and asked.participant in ("", one.participant)
                and (known_ns is None or one.at_ns <= known_ns)
                and (whole or visitor in _subjects(state, one))
            ]
            start = _place(asked.cursor, len(found))
            page = found[start : start + asked.limit]
            views = [entry_view(one, _stands(state, one, at_ns, known_ns)) for one in page]
            following = start + asked.limit
            return views, str(following) if following < len(found) else ""

        return call.page(*await call.read(look))

    return entries


def _place(cursor: str, total: int) -> int:
    if cursor and not (cursor.isascii() and cursor.isdigit() and int(cursor) <= total):
        raise Refusing(Refused.malformed, "cursor is the `next` of the page before")
    return int(cursor or 0)


def _subjects(state: State, entry: Entry) -> tuple[str, ...]:
    holder = state.products[entry.product].holder if entry.product else ""
    pledgee = entry.facts.pledgee if isinstance(entry.facts, Pledge) else UNSET
    return (entry.participant, holder, pledgee or "")


def _stands(state: State, entry: Entry, at_ns: int, known_ns: int | None) -> bool:
    standing = state.registers.standing(entry.register, entry.product, entry.participant, at_ns, known_ns)
    return entry in standing


async def registers(call: Call, asked: None) -> RegisterList:
    """What the venue keeps; anybody may know that."""

    def count(state: State) -> dict[str, int]:
        return {name: len(entries) for name, entries in state.registers.of.items()}

    counted = await call.read(count)
    return RegisterList(tuple(_register_view(row, counted.get(row.name, 0)) for row in REGISTERS.values()))


def _register_view(row: Register, entries: int) -> RegisterView:
    return RegisterView(
        row.name, row.zh, row.en, row.subjects, row.feeds, row.clause, row.deciders, row.by_subject, entries
    )


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-11-23T10:00:00Z"
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "pledges": {"number": "ZY-2026-17", "state": "pledged", "consented": False, "pledgee": "P5"},
    "freezes": {"number": "(2026)琼01执17号", "authority": "海口市中级人民法院", "state": "frozen"},
    "assessments": {"kind": "risk_assessment", "result": "passed"},
    "harm_opinions": {"level": "suspected"},
    "secret_consents": {"number": "SM-17", "state": "granted"},
    "source_reviews": {"lawfulness": "lawful", "bypassed_controls": False},
    "ip_registrations": {"number": "SJ-IP-17", "authority": "北京市知识产权保护中心"},
    "export_routes": {"route": "standard_contract", "purposes": ["market_analysis"], "territories": ["HK"],
                      "ftz": False, "in_negative_list": False, "exempt_basis": "none"},
    "export_licences": {"number": "CK-17", "territories": ["HK"]},
    "ethics_reviews": {"number": "LL-17", "decision": "approved"},
    "security_evaluations": {"result": "passed"},
    "foreign_judicial_approvals": {"number": "SF-17", "authority": "司法部"},
    "recipient_notices": {"named": True},
    "competition_screens": {"flagged": True},
    "restricted_lists": {"list": "pipl_42", "version": "2026-11", "state": "listed"},
    "special_licences": {"number": "ZX-17", "authority": "中国人民银行", "state": "granted"},
    "security_capabilities": {"scheme": "DSMM", "level": 3},
    "critical_infrastructures": {"designated": True},
    "compliance_vetoes": {"state": "vetoed"},
    "public_operators": {"appointed": True},
    "venue_operators": {"runs_venue": True},
    "central_approvals": {"board": "computing", "authority": "国务院有关部门", "state": "withdrawn"},
}  # fmt: skip
_SUBJECTS: Final = {"product": "D1", "participant": "P2"}
_REFUSED: Final = (Refused.forbidden, Refused.own_case, Refused.not_found, Refused.evidence_missing)


def _example(row: Register) -> tuple[dict[str, Any], dict[str, Any]]:
    """A body, and the entry that it makes."""
    subject: dict[str, Any] = {name: _SUBJECTS[name] for name in row.subjects}
    body: dict[str, Any] = {
        **subject,
        "facts": _EXAMPLES[row.name],
        "evidence_sha256": _SHA,
        "reason": "依据所附证明",
    }
    entry: dict[str, Any] = {
        "entry": "G1", "register": row.name, "product": "", "participant": "", **body, "valid_from": _WHEN,
        "valid_until": None, "by": "P3", "entered_at": _WHEN, "corrects": "", "void": False, "stands": True,
    }  # fmt: skip
    return body, entry


def _operations(row: Register) -> tuple[Operation, Operation]:
    path = f"/v1/registers/{row.name}/entries"
    who = "、".join(row.deciders)
    body, entry = _example(row)
    return (
        Operation("POST", path, enter, f"{row.en}: make an entry ({', '.join(row.deciders)})", "registers", status=201,
                  asks=_body_of(row), answers=EntryView, refused=_REFUSED, example=body, example_answer=entry,
                  about=f"{row.zh}（{row.clause}；{who}）"),
        Operation("GET", path, _list_of(row), f"{row.en}: what is entered and what stands", "registers",
                  asks=EntryQuery, answers=EntryPage, example_answer={"items": [entry], "next": None}),
    )  # fmt: skip


OPERATIONS: Final = (
    Operation("GET", "/v1/registers", registers, "The registers: what each holds and who decides", "registers",
              answers=RegisterList, signed_in=False,
              example_answer={"items": [{
                  "register": "freezes", "name_zh": "查封冻结登记簿", "name_en": "Judicial freezes",
                  "subjects": ["product"], "feeds": ["product.judicial_freeze"], "clause": "民事诉讼法（查封、冻结）",
                  "deciders": ["reviewer", "operator"], "against_oneself": True, "entries": 0}]}),
    *(operation for row in REGISTERS.values() for operation in _operations(row)),
)  # fmt: skip
