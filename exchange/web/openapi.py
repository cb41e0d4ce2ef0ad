"""The OpenAPI 3.1 document, made from the same operations as the routes: what is documented is what happens.

msgspec gives the JSON Schema (2020-12, which OpenAPI 3.1 uses) of every body and answer. Nothing is generated at
random: the same code gives the same bytes.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, get_args, get_type_hints

import msgspec

from exchange.events import Refused
from exchange.web.operation import COMMAND_ID_PATTERN, PATH_PATTERNS, Operation
from exchange.web.problem import MEDIA_TYPE, TITLES, Problem, problem

TITLE: Final = "数集 Shuji: an open venue for data elements"
DESCRIPTION: Final = (
    "Merchants list data products, buyers order, an engine matches, a clearing house settles or refuses with the "
    "article that forbids. Errors are application/problem+json (RFC 9457) with a stable `code`. Every POST takes an "
    "`Idempotency-Key` (UUID version 7): the same id with the same body gives the same answer. Times are RFC 3339 with "
    "an offset, money is integer fen, quantities are whole units. Lists come in pages: `next` (and `Link`) leads on until "
    "it is null, and a page before that may be short."
)
TAGS: Final = {
    "venue": "The venue, its boards and its rules",
    "identity": "Participants, login, verification, accreditation",
    "products": "Registration of data products",
    "listings": "Listings and the catalogue",
    "market": "Market data and feeds: prices, prints, bars",
    "orders": "Orders and off-venue reports",
    "oversight": "Who looks at whom: the audit log, inspections, directives",
    "needs": "Needs of buyers, proposals of merchants: quotes, tenders, challenges",
    "auctions": "Auctions: sealed bids and ascending ones",
    "trades": "Trades, delivery, entitlements, holds",
    "metered": "Metered plans: subscriptions, usage, packages, bills, disputes",
    "duties": "What is owed after a trade, and the working calendar",
    "rules": "The rulebook: in force, foretold, drafted, narrowed, covered",
    "attestations": "Accredited providers and what they attest",
    "bank": "The custody bank: withdrawals, payout files, statements, breaks",
    "money": "Cash, deposits, debts, accounts, statements",
    "ledger": "The books: balances, statements, reservations, escrow, fees, shares, refusals, reversals",
    "registers": "What the venue has on record of a product or a participant, and since when",
    "credit": "Credit score and grade",
    "credentials": "Verifiable credentials: issued, their status lists, the venue's keys",
    "evidence": "Evidence: signed checkpoints and proofs",
    "operations": "For operators and auditors",
}
_ALWAYS: Final = (Refused.overloaded, Refused.storage_unavailable)
_REFERENCE: Final = "#/components/schemas/{name}"
_BYTES: Final = {"type": "string", "format": "binary"}
_DOCUMENT: Final = {"type": "object"}
"""Of a media type that is JSON: its bytes are signed, so they are answered as they are kept."""


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document as plain values."""
    schemas, components = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": "1",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "from POST /v1/login"}
            },
        },
    }


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """(schema of each type that an operation asks or answers, the components they refer to)."""
    types = list(
        dict.fromkeys(
            kind
            for one in operations
            for kind in (one.asks, one.answers, one.says, one.told)
            if kind is not None
        )
    )
    found, components = msgspec.json.schema_components([*types, Problem], ref_template=_REFERENCE)
    return dict(zip([*types, Problem], found, strict=True)), components


def _operation(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": _identifier(operation),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
    }
    if operation.signed_in:
        told["security"] = [{"token": []}]
    if operation.bytes_in:
        told["requestBody"] = {"required": True, "content": {_bytes_of(operation): {"schema": _BYTES}}}
    elif operation.asks is not None and not operation.asks_in_query:
        content = {"schema": schemas[operation.asks], "examples": {"usual": {"value": operation.example}}}
        told["requestBody"] = {"required": True, "content": {"application/json": content}}
    if operation.about:
        told["description"] = operation.about.strip()
    if operation.says is not None:
        told["x-websocket"] = {"says": schemas[operation.says], "told": schemas[operation.told]}
    told["responses"] = _responses(operation, schemas)
    return told


def _bytes_of(operation: Operation) -> str:
    return "application/octet-stream" if operation.media == "*/*" else operation.media


def _identifier(operation: Operation) -> str:
    words = operation.path.replace("{", "").replace("}", "").replace(".", "_").split("/")
    return "_".join([operation.method.lower(), *filter(None, words)])


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": PATH_PATTERNS[name]},
            "example": _PATH_EXAMPLES[name],
        }
        for name in operation.parameters
    ]
    if operation.asks is not None and operation.asks_in_query:
        found += _query_parameters(operation.asks)
    if operation.method == "POST":
        schema = {"type": "string", "pattern": COMMAND_ID_PATTERN}
        text = "makes the request safe to send again"
        found.append({"name": "Idempotency-Key", "in": "header", "schema": schema, "description": text})
    if operation.method == "GET" and operation.signed_in:
        text = "why one looks (用途), UTF-8 or percent-encoded: an auditor or regulator must say it; in the audit log"
        found.append(
            {"name": "Shuji-Purpose", "in": "header", "schema": {"type": "string"}, "description": text}
        )
    found += [
        {"name": name, "in": "header", "schema": {"type": "string"}, "description": text}
        for name, text in operation.headers
    ]
    return found


_PATH_EXAMPLES: Final = {
    "evidence": "T1",
    "draft": "K1",
    "directive": "Z1",
    "objection": "H1",
    "ring": "G1",
    "participant": "P2",
    "product": "D1",
    "listing": "L1",
    "contract": "L1-1",
    "attestation": "A1",
    "credential": "C1",
    "purpose": "revocation",
    "order": "O1",
    "trade": "T1",
    "entitlement": "E1",
    "subscription": "S1",
    "bill": "I1",
    "report": "R1",
    "duty": "U1",
    "need": "N1",
    "proposal": "Q1",
    "bid": "J1",
    "case": "F1",
    "mandate": "M1",
    "withdrawal": "W1",
    "batch": "B1",
    "bank_break": "K1",
    "board": "general",
    "rule": "A01",
    "code": "unlawful",
    "step": "submit",
    "named_key": "Y1",
    "session": "b7XvQ2_k9LmN0aZc",
}


def _schema_of(media: str) -> dict[str, str]:
    """Of an answer that is bytes of this type."""
    if media.startswith("text/"):
        return {"type": "string"}
    return _DOCUMENT if "json" in media or media == "application/vc" else _BYTES


def _query_parameters(asks: Any) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(asks)
    properties = schema["$defs"][asks.__name__]["properties"]
    required = schema["$defs"][asks.__name__].get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": one}
        for name, one in properties.items()
    ]


def _responses(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    told = {str(operation.status): _success(operation, schemas)}
    for status in operation.also:
        told[str(status)] = _success(operation, schemas)
    for status, codes in sorted(_refusals(operation).items()):
        told.setdefault(str(status), _problem(codes))
    return told


def _success(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    if operation.bytes_out:
        schema = _schema_of(operation.media)
        return {"description": "the bytes", "content": {operation.media: {"schema": schema}}}
    if operation.answers is str:
        return {"description": "a page", "content": {"text/html": {"schema": {"type": "string"}}}}
    if operation.answers is None:
        return {"description": "done, nothing to say"}
    content: dict[str, Any] = {"schema": schemas[operation.answers]}
    if operation.example_answer is not None:
        content["examples"] = {"usual": {"value": operation.example_answer}}
    told: dict[str, Any] = {"description": "done", "content": {"application/json": content}}
    if operation.page_too:
        told["content"]["text/html"] = {"schema": {"type": "string"}}
    if "next" in getattr(operation.answers, "__struct_fields__", ()):
        told["headers"] = {
            "Link": {"schema": {"type": "string"}, "description": 'rel="next" where there is more'}
        }
    return told


def refused_codes(operation: Operation) -> tuple[Refused, ...]:
    """Every code that the operation may answer with, by its number."""
    found = {*operation.refused, *_ALWAYS}
    found.add(Refused.malformed)
    found.add(Refused.forbidden)  # whoever brings a token where none is asked for comes from its networks too
    if operation.signed_in:
        found.add(Refused.not_signed_in)
    if operation.parameters:
        found.add(Refused.not_found)
    if operation.method in ("POST", "PUT"):
        found |= {Refused.too_large, Refused.id_conflict, Refused.id_expired, Refused.out_of_bounds}
    if _asks_for_an_instant(operation):
        found.add(Refused.out_of_bounds)
    return tuple(sorted(found, key=lambda code: code.number))


def _asks_for_an_instant(operation: Operation) -> bool:
    """Whether the query names an instant: `exchange.web.instant` takes those of 1970 to 2050."""
    if operation.asks is None or not operation.asks_in_query:
        return False
    return any(datetime in (kind, *get_args(kind)) for kind in get_type_hints(operation.asks).values())


def _refusals(operation: Operation) -> dict[int, list[str]]:
    by_status: dict[int, list[str]] = {405: ["method_not_allowed"]}
    for code in refused_codes(operation):
        by_status.setdefault(code.status, []).append(code.name)
    return by_status


def _problem(codes: list[str]) -> dict[str, Any]:
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    return {
        "description": ", ".join(codes),
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(name="Problem")}, "examples": examples}
        },
    }


@cache
def problem_examples() -> dict[str, Any]:
    """An example of each problem."""
    statuses = {code.name: code.status for code in Refused} | {
        "method_not_allowed": 405,
        "internal_error": 500,
    }
    return {
        code: {"value": msgspec.to_builtins(problem(code, statuses[code], TITLES[code][1]))}
        for code in sorted(TITLES)
    }


def encoded(operations: Sequence[Operation]) -> bytes:
    told = document(operations)
    told["components"]["examples"] = problem_examples()
    return msgspec.json.format(msgspec.json.encode(told), indent=1)
