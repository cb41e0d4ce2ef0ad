"""All routes of the API, and the documents about them."""

import logging
from typing import Any, Final

from litestar import Request, Response, route
from litestar.exceptions import HTTPException

from exchange.web import (
    accreditation,
    alerts,
    attestations,
    auctions,
    bank,
    cases,
    catalogue,
    console,
    contracts,
    credentials,
    credit,
    departures,
    directives,
    drafts,
    duties,
    entitlements,
    entrances,
    entry,
    evidence,
    factors,
    halts,
    inspections,
    ledger,
    listings,
    mandates,
    market,
    metrics,
    money,
    monitoring,
    needs,
    objections,
    operations,
    orders,
    outlook,
    oversight,
    pages,
    participants,
    phases,
    problem,
    products,
    reference,
    register,
    registers,
    revenue,
    rings,
    rulebook,
    statistics,
    stream,
    subscriptions,
    trades,
)
from exchange.web.desk import Desk
from exchange.web.openapi import encoded
from exchange.web.operation import Operation, handlers, methods

log = logging.getLogger("shuji.web")

OPERATIONS: Final[tuple[Operation, ...]] = (
    *pages.OPERATIONS,
    *operations.OPERATIONS,
    *rings.OPERATIONS,
    *register.OPERATIONS,
    *monitoring.OPERATIONS,
    *halts.OPERATIONS,
    *alerts.OPERATIONS,
    *metrics.OPERATIONS,
    *console.OPERATIONS,
    *entrances.OPERATIONS,
    *factors.OPERATIONS,
    *participants.OPERATIONS,
    *accreditation.OPERATIONS,
    *departures.OPERATIONS,
    *mandates.OPERATIONS,
    *products.OPERATIONS,
    *registers.OPERATIONS,
    *rulebook.OPERATIONS,
    *drafts.OPERATIONS,
    *catalogue.OPERATIONS,
    *listings.OPERATIONS,
    *auctions.OPERATIONS,
    *contracts.OPERATIONS,
    *attestations.OPERATIONS,
    *market.OPERATIONS,
    *phases.OPERATIONS,
    *stream.OPERATIONS,
    *orders.OPERATIONS,
    *entry.OPERATIONS,
    *trades.OPERATIONS,
    *needs.OPERATIONS,
    *statistics.OPERATIONS,
    *entitlements.OPERATIONS,
    *subscriptions.OPERATIONS,
    *duties.OPERATIONS,
    *money.OPERATIONS,
    *revenue.OPERATIONS,
    *bank.OPERATIONS,
    *ledger.OPERATIONS,
    *cases.OPERATIONS,
    *outlook.OPERATIONS,
    *credit.OPERATIONS,
    *evidence.OPERATIONS,
    *oversight.OPERATIONS,
    *directives.OPERATIONS,
    *objections.OPERATIONS,
    *credentials.OPERATIONS,
    *inspections.OPERATIONS,
)


def routes(desk: Desk) -> list[Any]:
    return [
        *handlers(OPERATIONS, desk),
        *orders.entry_routes(desk),
        *entry.entry_socket_routes(desk),
        *stream.stream_routes(desk),
        *console.console_routes(desk),
        *_documents(),
    ]


def _documents() -> list[Any]:
    document = encoded(OPERATIONS)
    bodies = {tongue: reference.docs_page(OPERATIONS, tongue) for tongue in ("zh", "en")}

    @route("/openapi.json", http_method=methods("GET", True), include_in_schema=False)
    async def openapi_document() -> Response[bytes]:
        return Response(document, media_type="application/vnd.oai.openapi+json;version=3.1")

    @route("/docs", http_method=methods("GET", True), include_in_schema=False)
    async def docs(request: Request[Any, Any, Any]) -> Response[str]:
        tongue = pages.language(request.headers.get("accept-language", ""))
        return pages.html(tongue, "API", bodies[tongue])

    return [openapi_document, docs]


def refuse_framework_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """No such path, no such method, or a bug: the same problem documents as everywhere else."""
    status, detail, headers = 500, "", {}
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, error.detail, dict(error.headers or {})
    if status >= 500:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    said = problem.framework_problem(status, detail)
    return Response(
        problem.encode(said),
        status_code=said.status,
        headers={**headers, **problem.headers_of(said)},
        media_type=problem.MEDIA_TYPE,
    )
