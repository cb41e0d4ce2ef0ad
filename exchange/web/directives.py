"""Directives of a regulator over HTTP: given, looked at, executed."""

from typing import Annotated, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from exchange.directive import participant_of, target
from exchange.events import (
    DirectiveIssued,
    ExecuteDirective,
    IssueDirective,
    Refused,
)
from exchange.state import Directive, State
from exchange.web.instant import Instant, ns_of, optional_text, text_of
from exchange.web.operation import Call, Operation, Paging, Sha256
from exchange.web.participants import page_of
from exchange.web.problem import Refusing

SEE_ALL: Final = ("regulator", "operator", "auditor")


class Directing(Struct, kw_only=True, forbid_unknown_fields=True):
    """`subject`: the participant that is frozen, the listing that is delisted, or the number of the directive lifted."""

    number: Annotated[
        str, Meta(min_length=1, max_length=100, description="as on the document (文号); taken once")
    ]
    kind: Literal["freeze", "delist", "lift"]
    subject: Annotated[str, Meta(min_length=1, max_length=100)]
    deadline: Instant
    text: Annotated[str, Meta(min_length=1, max_length=2_000)]
    document_sha256: Sha256


class Nothing(Struct, kw_only=True, forbid_unknown_fields=True):
    """An empty object."""


class DirectiveView(Struct):
    """`state`: ordered, executed, lifted. `executed_by` is `venue` where nobody had done it by the deadline."""

    directive: str
    number: str
    kind: str
    subject: str
    state: str
    deadline: str
    text: str
    document_sha256: str
    by: str
    at: str
    executed_at: str | None
    executed_by: str | None
    lifted_by: str | None


class DirectiveList(Struct):
    items: tuple[DirectiveView, ...]
    next: str | None


class DirectiveQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Literal["", "ordered", "executed", "lifted"] = ""


def directive_view(row: Directive) -> DirectiveView:
    return DirectiveView(
        row.id,
        row.number,
        row.kind,
        row.subject,
        row.state,
        text_of(row.deadline_ns),
        row.text,
        row.document_sha256,
        row.by,
        text_of(row.at_ns),
        optional_text(row.executed_ns),
        row.executed_by or None,
        row.lifted_by or None,
    )


async def issue(call: Call, body: Directing) -> DirectiveView:
    command = IssueDirective(
        actor=call.participant,
        key=call.key,
        number=body.number,
        kind=body.kind,
        subject=body.subject,
        deadline_ns=ns_of(body.deadline, "deadline"),
        text=body.text,
        document_sha256=body.document_sha256,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, DirectiveIssued)
    return await call.read(lambda state: directive_view(state.directives[event.directive]))


async def execute(call: Call, body: Nothing) -> DirectiveView:
    name = call.path["directive"]
    await call.submit(ExecuteDirective(actor=call.participant, key=call.key, directive=name))
    return await call.read(lambda state: directive_view(state.directives[name]))


async def list_all(call: Call, asked: DirectiveQuery) -> Response[bytes]:
    await call.need_role(*SEE_ALL)

    def look(state: State) -> tuple[list[DirectiveView], str]:
        rows, following = page_of(
            state.directives,
            "Z",
            state.counters.get("Z", 0),
            asked,
            lambda row: asked.state in ("", row.state),
        )
        return [directive_view(row) for row in rows], following

    return call.page(*await call.read(look))


async def show(call: Call, asked: None) -> DirectiveView:
    """To those who oversee, and to whom it is about."""
    name, visitor = call.path["directive"], call.participant

    def look(state: State) -> tuple[DirectiveView | None, bool]:
        row = state.directives.get(name)
        return (None, False) if row is None else (directive_view(row), _concerns(state, row, visitor))

    view, concerned = await call.read(look)
    if view is None or not (concerned or (await call.roles()).intersection(SEE_ALL)):
        raise Refusing(Refused.not_found, f"there is no directive {name} that you may see")
    return view


def _concerns(state: State, row: Directive, visitor: str) -> bool:
    about = target(state, row)
    listing = state.listings.get(about.subject)
    return visitor in (participant_of(state, row), listing.merchant if listing is not None else "")


_WHEN: Final = "2026-11-23T10:00:00Z"
_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_ASKED: Final = {
    "number": "琼数监〔2026〕12号", "kind": "freeze", "subject": "P4", "deadline": "2026-11-24T10:00:00Z",
    "text": "涉嫌非法获取个人信息，依法冻结", "document_sha256": _SHA,
}  # fmt: skip
_DIRECTIVE: Final = _ASKED | {
    "directive": "Z1", "state": "ordered", "by": "P8", "at": _WHEN, "executed_at": None, "executed_by": None,
    "lifted_by": None,
}  # fmt: skip
_EXECUTED: Final = _DIRECTIVE | {"state": "executed", "executed_at": _WHEN, "executed_by": "P1"}

OPERATIONS: Final = (
    Operation("POST", "/v1/directives", issue, "Order a freeze or a delisting, or lift one (regulator)", "oversight",
              status=201, asks=Directing, answers=DirectiveView, example=_ASKED, example_answer=_DIRECTIVE,
              refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.already_exists,
                       Refused.wrong_state, Refused.out_of_bounds)),
    Operation("GET", "/v1/directives", list_all, "All directives (regulator, operator, auditor)", "oversight",
              asks=DirectiveQuery, answers=DirectiveList, refused=(Refused.forbidden,),
              example_answer={"items": [_DIRECTIVE], "next": None}),
    Operation("GET", "/v1/directives/{directive}", show,
              "One directive (regulator, operator, auditor, and whom it is about)", "oversight",
              answers=DirectiveView, refused=(Refused.not_found,), example_answer=_EXECUTED),
    Operation("POST", "/v1/directives/{directive}/execute", execute,
              "Do what a directive orders; at its deadline the venue does it (operator)", "oversight",
              asks=Nothing, answers=DirectiveView, example={}, example_answer=_EXECUTED,
              refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.wrong_state)),
)  # fmt: skip
