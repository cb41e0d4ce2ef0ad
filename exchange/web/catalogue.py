"""The catalogue: published listings, searched by text, board, origin, grade, price and mechanism."""

import re
from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct

from exchange import catalogue
from exchange.events import Refused
from exchange.state import State
from exchange.web.listings import LISTING_EXAMPLE, ListingView, listing_view
from exchange.web.operation import Call, Operation, Paging
from exchange.web.problem import FieldError, Refusing

Facet = Annotated[str, Meta(max_length=40)]
PriceBound = Annotated[int, Meta(ge=0, le=10**12, description="fen per price_per_units units")]


class Search(Paging, kw_only=True, forbid_unknown_fields=True):
    """`q` is text in Chinese or English; every word of it must occur."""

    q: Annotated[str, Meta(max_length=200, description="words in Chinese or English; each must occur")] = ""
    board: Annotated[Facet, Meta(description="a board's id, as GET /v1/boards has them")] = ""
    origin: Annotated[Facet, Meta(description="enterprise, personal or public")] = ""
    grade: Annotated[Facet, Meta(description="the merchant's credit grade")] = ""
    price_min: PriceBound | None = None
    price_max: PriceBound | None = None
    mechanism: Annotated[Facet, Meta(description="as listings say it: posted_price, quote, ...")] = ""
    attributes: Annotated[
        str,
        Meta(
            max_length=400,
            description="fields of a board, separated by commas: kind=storage, record_seconds>=120, run_state=lights",
        ),
    ] = ""


class CatalogueList(Struct):
    items: tuple[ListingView, ...]
    next: str | None


_CONDITION: Final = re.compile(
    r"\s*(?P<name>[a-z][a-z0-9_]{0,39})\s*(?P<sign>>=|<=|=)\s*(?P<value>[^,]{1,200}?)\s*"
)
_NUMBER: Final = re.compile(r"-?[0-9]{1,16}")


def conditions_of(text: str) -> tuple[tuple[str, str, str], ...]:
    """What `attributes` asks for, each (name, sign, value). Refuses what is no condition."""
    found = []
    for part in text.split(",") if text else ():
        read = _CONDITION.fullmatch(part)
        if read is None or (read["sign"] != "=" and _NUMBER.fullmatch(read["value"]) is None):
            detail = (
                f"attributes: {part[:60]!r} is not like kind=storage, or record_seconds>=120 for an integer"
            )
            raise Refusing(Refused.malformed, detail, errors=(FieldError("$.attributes", detail),))
        found.append((read["name"], read["sign"], read["value"]))
    return tuple(found)


async def search(call: Call, asked: Search) -> Response[bytes]:
    """Found in the tables, shown as the listings are now; one that closed meanwhile is left out."""
    await call.tables_ready()
    page = await catalogue.search(
        call.desk.pool,
        asked.q,
        asked.board or None,
        asked.origin or None,
        asked.grade or None,
        asked.price_min,
        asked.price_max,
        asked.mechanism or None,
        asked.limit,
        asked.cursor or None,
        conditions_of(asked.attributes),
    )
    found = [row.id for row in page.items]

    def look(state: State) -> list[ListingView]:
        listings = [state.listings[identifier] for identifier in found]
        return [listing_view(state, listing) for listing in listings if listing.state == "published"]

    return call.page(await call.read(look), page.next or "")


OPERATIONS: Final = (
    Operation(
        "GET", "/v1/catalogue", search, "Search the published listings", "listings",
        asks=Search, answers=CatalogueList, signed_in=False,
        example_answer={"items": [LISTING_EXAMPLE], "next": None},
    ),
)  # fmt: skip
