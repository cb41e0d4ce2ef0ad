"""The rulebook over HTTP: which one is in force, what it would say, what it has said, and how it changes."""

import asyncio
from typing import Annotated, Any, Final

from litestar import Response
from msgspec import Meta, Struct

from clearing.house import COVERED
from clearing.notrade import Rulebook, RulebookError, Verdict, of_texts, prove, read_context
from exchange.events import (
    ApproveDraft,
    DraftRulebook,
    NarrowRule,
    Refusal,
    Refused,
    RulebookDrafted,
    RuleNarrowed,
)
from exchange.listing import VISIBLE
from exchange.order import would
from exchange.participant import DAY_MS
from exchange.state import Draft, State
from exchange.web.instant import Instant, ns_of, text_of
from exchange.web.operation import Call, Id, Operation, Paging, Sha256, roles_of
from exchange.web.problem import Refusing, Unknown, Violation

OFFICES: Final = ("reviewer", "operator", "auditor", "regulator")
_File = Annotated[str, Meta(max_length=400_000)]


class NarrowingView(Struct):
    rule: str
    also_violated_when: str


class EditionView(Struct):
    """The rulebook in force; `narrowings` are what was added to rules in an emergency.

    `effective_from` is when the last draft or narrowing came into force; of the packaged rulebook, when the venue opened.
    `sha256` is over what the rules say, `text_sha256` over files and narrowings to the byte: a draft is over this one.
    """

    sha256: str
    text_sha256: str
    rules: int
    effective_from: str
    files: tuple[str, ...]
    narrowings: tuple[NarrowingView, ...]


class EditionText(Struct):
    """The rulebook in force as it is written. The packaged one is the folder `clearing/rulebook`.

    `text_sha256` is SHA-256 of the canonical JSON (RFC 8785) `{"files":[[name,text],...],"narrowings":[[rule,also],...]}`,
    files by name.
    """

    sha256: str
    text_sha256: str
    texts: dict[str, str]
    narrowings: tuple[tuple[str, ...], ...]


class Question(Struct, kw_only=True, forbid_unknown_fields=True):
    """A purchase that nobody places. Without `buyer` it is one's own; purpose and territory as for an order."""

    listing: Id
    buyer: Id = ""
    quantity: Annotated[int, Meta(ge=1, le=10**9)] = 1
    purpose: Annotated[str, Meta(max_length=100)] = ""
    territory: Annotated[str, Meta(max_length=100)] = ""


class Foretold(Struct):
    """What clearing would say now. `citations` are all articles of each broken rule, as one text a rule."""

    verdict: str
    rules: tuple[str, ...]
    violated: tuple[Violation, ...]
    citations: tuple[str, ...]
    unknown: tuple[Unknown, ...]
    rulebook_sha256: str
    facts_sha256: str
    at: str


class Drafting(Struct, kw_only=True, forbid_unknown_fields=True):
    """`files` replace those of the same name; the whole is compiled and held against its examples first.

    `base_sha256` is the `text_sha256` of the rulebook that they were written over: where that is not in force any more, the
    draft is refused. Without it they are over the one in force.
    """

    files: Annotated[dict[str, _File], Meta(min_length=1, max_length=40)]
    effective_from: Instant
    reason: Annotated[str, Meta(min_length=1, max_length=1_000)]
    base_sha256: Sha256 | None = None


class DraftView(Struct):
    """`state` is draft, approved, in_force, replaced or lapsed; `lapsed_because` says why it never comes into force."""

    draft: str
    state: str
    sha256: str
    files: tuple[str, ...]
    effective_from: str
    reason: str
    by: str
    approvals: tuple[str, ...]
    base_sha256: str
    lapsed_because: str


class DraftList(Struct):
    items: tuple[DraftView, ...]


class Nothing(Struct, kw_only=True, forbid_unknown_fields=True):
    """An empty body."""


class Narrowing(Struct, kw_only=True, forbid_unknown_fields=True):
    """`also_violated_when` is added to what the rule is violated by: it can forbid more, never less."""

    rule: Annotated[str, Meta(max_length=3)]
    also_violated_when: Annotated[str, Meta(min_length=1, max_length=2_000)]
    reason: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Narrowed(Struct):
    rule: str
    also_violated_when: str
    sha256: str
    by: str
    at: str


class Counts(Struct):
    fired: int
    passed: int
    not_applicable: int
    unknown: int


class CoverageView(Struct):
    """How often a rule fired, passed, did not apply or was unknown: since the venue started, and in its own examples."""

    rule: str
    live: Counts
    tests: Counts


class CoverageList(Struct):
    items: tuple[CoverageView, ...]


# ---- which one is in force


async def edition(call: Call, asked: None) -> EditionView:
    return await call.read(_edition_view)


def _edition_view(state: State) -> EditionView:
    rulebook, in_force = state.rulebook, state.edition
    return EditionView(
        rulebook.sha256,
        rulebook.text_sha256,
        len(rulebook.rules),
        text_of(in_force.since_ns or (state.ids_from_ms + DAY_MS) * 1_000_000),
        tuple(in_force.files),
        tuple(NarrowingView(*one) for one in in_force.narrowings),
    )


async def edition_text(call: Call, asked: None) -> EditionText:
    return await call.read(
        lambda state: EditionText(
            state.rulebook.sha256, state.rulebook.text_sha256, state.rulebook.texts, state.rulebook.narrowings
        )
    )


# ---- would this be allowed?


async def verdict(call: Call, body: Question) -> Foretold:
    """The verdict of clearing on the registers as they are; nothing is placed, reserved or kept."""
    visitor, now_ns = call.participant, call.now_ns
    question = body if body.buyer else _own(body, visitor)
    found = await call.read(lambda state: _judged(state, question, visitor, now_ns))
    assert not isinstance(found, Refusal)
    said, facts_sha256, bound, rulebook = found
    return Foretold(
        said.outcome,
        said.violated,
        call.desk.reasons.violations(said.violated, now_ns, bound),
        tuple(rulebook.rules[rule].citation_zh for rule in said.violated),
        tuple(Unknown(rule, fields) for rule, fields in said.unknown),
        rulebook.sha256,
        facts_sha256.hex(),
        text_of(now_ns),
    )


def _own(body: Question, visitor: str) -> Question:
    return Question(
        listing=body.listing,
        buyer=visitor,
        quantity=body.quantity,
        purpose=body.purpose,
        territory=body.territory,
    )


_Said = tuple[Verdict, bytes, Any, Rulebook]


def _judged(state: State, asked: Question, visitor: str, at_ns: int) -> _Said | Refusal:
    listing = state.listings.get(asked.listing)
    if listing is None or listing.state not in VISIBLE:
        return Refusal(Refused.not_found, f"there is no listing {asked.listing}")
    if asked.buyer not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {asked.buyer}")
    if visitor != asked.buyer and not (
        (visitor == listing.merchant and (listing.id, asked.buyer) in state.signed)
        or roles_of(state, visitor, at_ns).intersection(OFFICES)
    ):
        detail = "ask for yourself as the buyer, or for a buyer who signed the contract of your own listing"
        return Refusal(Refused.forbidden, detail)
    purpose = asked.purpose or listing.terms.purposes[0]
    territory = asked.territory or listing.terms.territories[0]
    found = would(state, listing, asked.buyer, asked.quantity, purpose, territory, at_ns)
    return *found, state.rulebook


# ---- how it changes


async def draft(call: Call, body: Drafting) -> DraftView:
    await call.need_role("reviewer")
    base = await call.read(lambda state: {**state.rulebook.texts, **body.files})
    boards = tuple(call.desk.boards)
    try:
        await asyncio.to_thread(lambda: prove(of_texts(base, boards=boards)))
    except RulebookError as error:
        raise Refusing(Refused.out_of_bounds, str(error)) from error
    command = DraftRulebook(
        actor=call.participant,
        key=call.key,
        files=body.files,
        effective_from_ns=ns_of(body.effective_from, "effective_from"),
        reason=body.reason,
        base_sha256=body.base_sha256 or "",
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, RulebookDrafted)
    return await call.read(lambda state: draft_view(state, state.drafts[event.draft]))


def draft_view(state: State, row: Draft) -> DraftView:
    return DraftView(
        row.id,
        row.state,
        row.sha256,
        tuple(row.files),
        text_of(row.effective_from_ns),
        row.reason,
        row.by,
        row.approvals,
        state.draft_bases.get(row.id, ""),
        state.lapses.get(row.id, ""),
    )


async def drafts(call: Call, asked: None) -> DraftList:
    await call.need_role(*OFFICES)
    return DraftList(
        await call.read(lambda state: tuple(draft_view(state, row) for row in state.drafts.values()))
    )


async def approve(call: Call, body: Nothing) -> DraftView:
    identifier = call.path["draft"]
    await call.submit(ApproveDraft(actor=call.participant, key=call.key, draft=identifier))
    return await call.read(lambda state: draft_view(state, state.drafts[identifier]))


async def narrow(call: Call, body: Narrowing) -> Narrowed:
    command = NarrowRule(
        actor=call.participant,
        key=call.key,
        rule=body.rule,
        also_violated_when=body.also_violated_when,
        reason=body.reason,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, RuleNarrowed)
    return Narrowed(event.rule, event.also_violated_when, event.sha256, event.by, text_of(outcome.at_ns))


# ---- what it has said


async def coverage(call: Call, asked: Paging) -> Response[bytes]:
    await call.need_role(*OFFICES)
    rulebook, live = await call.read(lambda state: (state.rulebook, state.house.coverage()))
    shown = await asyncio.to_thread(_in_examples, rulebook)
    rows = [CoverageView(rule, _counts(live.get(rule)), _counts(shown.get(rule))) for rule in rulebook.rules]
    start = int(asked.cursor) if asked.cursor.isascii() and asked.cursor.isdigit() else 0
    following = start + asked.limit
    return call.page(rows[start:following], str(following) if following < len(rows) else "")


def _counts(found: dict[str, int] | None) -> Counts:
    return Counts(**(found or dict.fromkeys(COVERED, 0)))


def _in_examples(rulebook: Rulebook) -> dict[str, dict[str, int]]:
    """By rule, over the examples of all rules."""
    found: dict[str, dict[str, int]] = {}
    for rule in rulebook.rules.values():
        for example in rule.examples:
            facts = read_context(rulebook.context(example.base, example.set))
            for covered, what in rulebook.coverage(facts).items():
                found.setdefault(covered, dict.fromkeys(COVERED, 0))[what] += 1
    return found


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_NARROWING: Final = {"rule": "B07", "also_violated_when": "price.unit_fen == 88888"}
DRAFT_EXAMPLE: Final[dict[str, Any]] = {
    "draft": "K1", "state": "draft", "sha256": _SHA, "files": ["rights.toml"], "effective_from": _WHEN,
    "reason": "按新规修订", "by": "P3", "approvals": [], "base_sha256": _SHA, "lapsed_because": "",
}  # fmt: skip
_COUNTS: Final = {"fired": 1, "passed": 20, "not_applicable": 0, "unknown": 0}

OPERATIONS: Final = (
    Operation("GET", "/v1/rulebook", edition, "The rulebook in force", "rules", answers=EditionView, signed_in=False,
              example_answer={"sha256": _SHA, "text_sha256": _SHA, "rules": 88, "effective_from": _WHEN,
                              "files": ["rights.toml"], "narrowings": [_NARROWING]}),
    Operation("GET", "/v1/rulebook/files", edition_text, "The text of the rulebook in force", "rules",
              answers=EditionText, signed_in=False,
              example_answer={"sha256": _SHA, "text_sha256": _SHA, "texts": {"rights.toml": "..."},
                              "narrowings": [["B07", "price.unit_fen == 88888"]]}),
    Operation("POST", "/v1/rulebook/verdicts", verdict, "Would this be allowed? Nothing is traded", "rules",
              asks=Question, answers=Foretold, refused=(Refused.forbidden, Refused.not_found),
              example={"listing": "L1", "buyer": "P4", "quantity": 1, "purpose": "market_analysis", "territory": "CN"},
              example_answer={"verdict": "allow", "rules": [], "violated": [], "citations": [], "unknown": [],
                              "rulebook_sha256": _SHA, "facts_sha256": _SHA, "at": _WHEN}),
    Operation("POST", "/v1/rulebook/drafts", draft, "Draft a change of the rulebook (reviewer)", "rules", status=201,
              asks=Drafting, answers=DraftView, limit=4 << 20, longest_text=400_000,
              refused=(Refused.forbidden, Refused.not_verified, Refused.wrong_state, Refused.out_of_bounds),
              example={"files": {"rights.toml": "..."}, "effective_from": _WHEN, "reason": "按新规修订"},
              example_answer=DRAFT_EXAMPLE),
    Operation("GET", "/v1/rulebook/drafts", drafts, "Drafts and who approved them (reviewer, operator, auditor)",
              "rules", answers=DraftList, refused=(Refused.forbidden,), example_answer={"items": [DRAFT_EXAMPLE]}),
    Operation("POST", "/v1/rulebook/drafts/{draft}/approvals", approve, "Approve a draft (two other reviewers)",
              "rules", status=201, asks=Nothing, answers=DraftView, example={},
              refused=(Refused.forbidden, Refused.own_case, Refused.not_verified, Refused.not_found, Refused.wrong_state),
              example_answer=DRAFT_EXAMPLE | {"approvals": ["P4"]}),
    Operation("POST", "/v1/rulebook/narrowings", narrow, "Forbid more, at once (operator, in an emergency)", "rules",
              status=201, asks=Narrowing, answers=Narrowed,
              refused=(Refused.forbidden, Refused.not_found, Refused.out_of_bounds),
              example=_NARROWING | {"reason": "紧急"},
              example_answer=_NARROWING | {"sha256": _SHA, "by": "P1", "at": _WHEN}),
    Operation("GET", "/v1/rulebook/coverage", coverage,
              "How often each rule fired, passed or did not apply (reviewer, operator, auditor)", "rules", asks=Paging,
              answers=CoverageList, refused=(Refused.forbidden,),
              example_answer={"items": [{"rule": "A01", "live": _COUNTS, "tests": _COUNTS}], "next": None}),
)  # fmt: skip
