"""Mandates for brokers: given with a signature, taken back, listed."""

from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response
from msgspec import Meta, Struct

from exchange import projector
from exchange.events import EndMandate, GiveMandate, MandateGiven, Refused
from exchange.projection import MandateRecord
from exchange.web.access import signed_by
from exchange.web.instant import Instant, ns_of, optional_text, text_of
from exchange.web.operation import Call, Id, Operation, Paging
from exchange.web.problem import Refusing

OFFICES: Final = ("reviewer", "operator", "auditor", "regulator")


class MandateScope(Struct, kw_only=True, forbid_unknown_fields=True):
    """`most_fen`: how much may be ordered under it in all, filled or not. No listings, no boards: any."""

    side: Literal["buy", "sell", "both"]
    listings: Annotated[tuple[Id, ...], Meta(max_length=100)] = ()
    boards: Annotated[tuple[Id, ...], Meta(max_length=100)] = ()
    most_fen: Annotated[int, Meta(ge=1, le=10**15)]


class MandateBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`signature` is over `shuji-mandate:<principal>:<json>`.

    `<json>` is this body without `signature`: keys sorted, no spaces, every field given, `valid_until` in UTC with Z,
    without decimals where it has none.
    """

    broker: Id
    scope: MandateScope
    valid_until: Instant
    signature: Annotated[
        str, Meta(max_length=128, description="base64 Ed25519 signature by the principal's key")
    ]


class ScopeView(Struct):
    side: str
    listings: tuple[str, ...]
    boards: tuple[str, ...]
    most_fen: int


class MandateView(Struct, kw_only=True):
    """`state`: running, revoked, given_up, expired, or left where one of both leaves. `used_fen`: ordered under it."""

    mandate: str
    principal: str
    broker: str
    scope: ScopeView
    used_fen: int
    given: str
    valid_until: str
    state: str
    ended: str | None
    ended_by: str | None
    text: str
    public_key: str
    signature: str


class MandateList(Struct):
    items: tuple[MandateView, ...]
    next: str | None


def mandate_text(principal: str, body: MandateBody) -> str:
    """What the principal signs: all that the mandate says."""
    scope = msgspec.structs.asdict(body.scope)
    said = {
        "broker": body.broker,
        "scope": scope,
        "valid_until": text_of(ns_of(body.valid_until, "valid_until")),
    }
    return f"shuji-mandate:{principal}:{msgspec.json.encode(said, order='sorted').decode()}"


async def give(call: Call, body: MandateBody) -> MandateView:
    """The signature is checked here, once."""
    participant = call.participant
    public_key = await call.read(lambda state: state.bureau.participants[participant].public_key)
    text = mandate_text(participant, body)
    if not signed_by(public_key, text, body.signature):
        raise Refusing(Refused.signature_wrong, f"sign the text {text} with your registered key")
    command = GiveMandate(
        actor=participant,
        key=call.key,
        broker=body.broker,
        side=body.scope.side,
        listings=body.scope.listings,
        boards=body.scope.boards,
        most_fen=body.scope.most_fen,
        valid_until_ns=ns_of(body.valid_until, "valid_until"),
        public_key=public_key,
        text=text,
        signature=body.signature,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, MandateGiven)
    return await _of(call, event.mandate)


async def end(call: Call, asked: None) -> Response[None]:
    await call.submit(EndMandate(actor=call.participant, key=call.key, mandate=call.path["mandate"]))
    return Response(None, status_code=204)


async def _of(call: Call, mandate: str) -> MandateView:
    await call.tables_ready()
    row = await projector.mandate(call.desk.pool, mandate)
    assert row is not None, f"{mandate} is committed"
    return _view(row)


async def list_all(call: Call, asked: Paging) -> Response[bytes]:
    """Those that one has given or holds; all for those who look after them."""
    sees_all = bool((await call.roles()).intersection(OFFICES))
    await call.tables_ready()
    page = await projector.mandates_of(
        call.desk.pool, None if sees_all else call.participant, asked.limit, asked.cursor or None
    )
    return call.page([_view(row) for row in page.items], page.next or "")


def _view(row: MandateRecord) -> MandateView:
    return MandateView(
        mandate=row.id,
        principal=row.principal,
        broker=row.broker,
        scope=ScopeView(row.side, row.listings, row.boards, row.most_fen),
        used_fen=row.used_fen,
        given=text_of(row.given_at_ns),
        valid_until=text_of(row.valid_until_ns),
        state=row.state,
        ended=optional_text(row.ended_at_ns),
        ended_by=row.ended_by or None,
        text=row.text,
        public_key=row.public_key,
        signature=row.signature,
    )


_SIGNATURE: Final = "8m0Fz1k4m6yZ2xC0l0g6m5qU9mYv4i8w0d1Y7u3V5b2K9a6s4D3f1G0h8J7k6L5z4X3c2V1b0N9m8Q7w6E5rBA=="
_SAID: Final[dict[str, Any]] = {
    "broker": "P9", "scope": {"side": "buy", "listings": ["L1"], "boards": [], "most_fen": 100_000},
    "valid_until": "2027-11-23T10:00:00Z",
}  # fmt: skip
_VIEW: Final[dict[str, Any]] = _SAID | {
    "mandate": "M1", "principal": "P3", "used_fen": 0, "given": "2026-11-23T10:00:00Z", "state": "running", "ended": None,
    "ended_by": None, "text": "shuji-mandate:P3:{}", "public_key": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=",
    "signature": _SIGNATURE,
}  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/mandates", give, "Give a broker a mandate to order for you, signed", "identity", status=201,
        asks=MandateBody, answers=MandateView,
        refused=(Refused.signature_wrong, Refused.not_found, Refused.not_accredited, Refused.out_of_bounds,
                 Refused.not_verified, Refused.standing_denied),
        example=_SAID | {"signature": _SIGNATURE}, example_answer=_VIEW,
    ),
    Operation(
        "DELETE", "/v1/mandates/{mandate}", end, "Take a mandate back, or give it up", "identity", status=204,
        refused=(Refused.not_found,),
    ),
    Operation(
        "GET", "/v1/mandates", list_all, "Mandates that you have given or hold, ended ones too", "identity", asks=Paging,
        answers=MandateList, example_answer={"items": [_VIEW], "next": None},
    ),
)  # fmt: skip
