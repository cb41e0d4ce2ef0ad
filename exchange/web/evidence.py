"""Evidence for outsiders: signed checkpoints and paths are open, a leaf is for those it is about."""

from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct

from exchange.events import Refused
from exchange.proofs import Beyond, Path, Shown
from exchange.web.instant import text_of
from exchange.web.operation import MOST_INTEGER, Call, Operation, Paging
from exchange.web.problem import Refusing

Size = Annotated[int, Meta(ge=0, le=MOST_INTEGER, description="leaves, counted from the log's beginning")]
OFFICES: Final = ("operator", "auditor", "regulator")


class CheckpointView(Struct, kw_only=True):
    """`signature` (base64, Ed25519 by `public_key`) is over the bytes of `text`; `note` is both as a signed note."""

    origin: str
    size: int
    root_sha256: str
    root_sm3: str
    sequence: int
    at: str
    text: str
    signature: str
    public_key: str
    note: str


class LeafView(Struct):
    """`leaf` is its number. `body` is what is hashed, canonical JSON (RFC 8785) with its salt; `sequence` the journal's.

    `undoes` says in words what has become of what has this id; empty where this leaf takes nothing back.
    """

    leaf: int
    kind: str
    id: str
    at: str
    sequence: int
    body: str
    undoes: str


class LeafList(Struct):
    items: tuple[LeafView, ...]
    next: str | None


class Included(Struct, kw_only=True, forbid_unknown_fields=True):
    leaf: Size
    size: Size


class Grown(Struct, kw_only=True, forbid_unknown_fields=True, rename={"old": "from", "new": "to"}):
    old: Size
    new: Size


class InclusionView(Struct):
    """Hex hashes from the leaf up (RFC 6962, 2.1.1)."""

    leaf: int
    size: int
    sha256: list[str]
    sm3: list[str]


class ConsistencyView(Struct, rename={"old": "from", "new": "to"}):
    """Hex hashes (RFC 6962, 2.1.2)."""

    old: int
    new: int
    sha256: list[str]
    sm3: list[str]


async def checkpoint(call: Call, asked: None) -> CheckpointView:
    found = await call.desk.prover.checkpoint()
    if found is None:
        raise Refusing(Refused.not_found, "nothing is in the log yet")
    said = found.checkpoint
    return CheckpointView(
        origin=said.origin,
        size=said.size,
        root_sha256=said.root_sha256.hex(),
        root_sm3=said.root_sm3.hex(),
        sequence=said.sequence,
        at=text_of(said.at_ns),
        text=found.text,
        signature=found.signature,
        public_key=call.desk.prover.key.public_key,
        note=found.note,
    )


async def leaves(call: Call, asked: Paging) -> Response[bytes]:
    """All that has happened under an id; whoever may be shown the first of it may be shown all."""
    identifier = call.path["evidence"]
    await call.tables_ready()
    first = await call.desk.prover.leaves(identifier, (0, -1), 1)
    if not first or not await _may_see(call, first[0]):
        raise Refusing(
            Refused.not_found,
            f"there is no evidence {identifier} that you may see: ask by the id of a trade, contract or certificate",
        )
    found = await call.desk.prover.leaves(identifier, _place(asked.cursor), asked.limit + 1)
    more = len(found) > asked.limit
    page = found[: asked.limit]
    return call.page(
        [_leaf(shown) for shown in page], f"{page[-1].sequence}.{page[-1].position}" if more else ""
    )


async def _may_see(call: Call, shown: Shown) -> bool:
    readers = shown.readers
    if readers is None or call.participant in readers:
        return True
    return bool((await call.roles()).intersection(OFFICES))


def _place(cursor: str) -> tuple[int, int]:
    sequence, dot, position = (cursor or "0.-1").partition(".")
    try:
        place = int(sequence), int(position)
    except ValueError:
        place = -1, -1
    if not dot or not 0 <= place[0] <= MOST_INTEGER or not -1 <= place[1] < 2**31:
        raise Refusing(Refused.malformed, "cursor is the `next` of the page before")
    return place


def _leaf(shown: Shown) -> LeafView:
    leaf = shown.leaf
    return LeafView(
        shown.number, leaf.kind, leaf.id, text_of(leaf.at_ns), shown.sequence, shown.body, leaf.undoes
    )


async def inclusion(call: Call, asked: Included) -> InclusionView:
    try:
        found = await call.desk.prover.inclusion(asked.leaf, asked.size)
    except Beyond as error:
        raise Refusing(Refused.out_of_bounds, str(error)) from error
    return InclusionView(asked.leaf, asked.size, *_hex(found))


async def consistency(call: Call, asked: Grown) -> ConsistencyView:
    try:
        found = await call.desk.prover.consistency(asked.old, asked.new)
    except Beyond as error:
        raise Refusing(Refused.out_of_bounds, str(error)) from error
    return ConsistencyView(asked.old, asked.new, *_hex(found))


def _hex(path: Path) -> tuple[list[str], list[str]]:
    return [node.hex() for node in path.sha256], [node.hex() for node in path.sm3]


_WHEN: Final = "2026-11-23T10:00:00Z"
_SHA256: Final = "6ec0a78b9c3b93b8c22cbbcaba9cf04b6a3bb4e5d0f5f0c1f5f4a3a1f9a1a7d2"
_SM3: Final = "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b"
_KEY: Final = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_TEXT: Final = (
    "shuji/8f14e45fceea167a\n42\nbsCni5w7k7jCLLvKupzwS2o7tOXQ9fDB9fSjofmhp9I=\n"
    "sm3 GrIdg1XPoX+OYRlIMegajyK+yMco/vt0ftA161CCqis=\nsequence 57\nat 1795428000000000000\n"
    f"key {_KEY}\n"
)
_SIGNATURE: Final = "jUcDcQ3kyyT3h0FNdnEpUXOTtGGcc1C1h0vKQjJkFq6xw2cC1q1oJgP7ZyUn0v3l5fQ0YV0bE3d0fS4v4kZ7Bg=="
_BODY: Final = (
    '{"at_ns":"1795428000000000000","content":{"amount_fen":"50000","buyer":"P4"},"event":"Settled","id":"T1",'
    '"kind":"trade","salt":"5f8a1b0c9d7e6f5a4b3c2d1e0f9a8b7c"}'
)

OPERATIONS: Final = (
    Operation("GET", "/v1/evidence/checkpoint", checkpoint, "The newest signed root of the evidence log", "evidence",
              answers=CheckpointView, signed_in=False, refused=(Refused.not_found,),
              example_answer={"origin": "shuji/8f14e45fceea167a", "size": 42, "root_sha256": _SHA256, "root_sm3": _SM3,
                              "sequence": 57, "at": _WHEN, "text": _TEXT, "signature": _SIGNATURE, "public_key": _KEY,
                              "note": f"{_TEXT}\n— shuji/8f14e45fceea167a q83vEg{_SIGNATURE}\n"}),
    Operation("GET", "/v1/evidence/leaves/{evidence}", leaves,
              "All leaves of a trade, contract, certificate or attestation, oldest first (its parties, operator, auditor)",
              "evidence",
              asks=Paging, answers=LeafList, refused=(Refused.not_found,),
              example_answer={"items": [{"leaf": 41, "kind": "trade", "id": "T1", "at": _WHEN, "sequence": 57,
                                         "body": _BODY, "undoes": ""}], "next": None}),
    Operation("GET", "/v1/evidence/inclusion", inclusion, "That a leaf is under a root", "evidence", asks=Included,
              answers=InclusionView, signed_in=False, refused=(Refused.out_of_bounds,),
              example_answer={"leaf": 41, "size": 42, "sha256": [_SHA256], "sm3": [_SM3]}),
    Operation("GET", "/v1/evidence/consistency", consistency, "That a later root has all of an earlier one",
              "evidence", asks=Grown, answers=ConsistencyView, signed_in=False, refused=(Refused.out_of_bounds,),
              example_answer={"from": 40, "to": 42, "sha256": [_SHA256], "sm3": [_SM3]}),
)  # fmt: skip
