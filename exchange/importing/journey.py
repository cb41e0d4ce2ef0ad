"""The steps of each row at the venue, from wherever it stands: what is done already is not done again.

    (nothing) -> product declared -> registered -> listing drafted -> submitted -> published
                  merchant            reviewer      merchant          merchant     reviewer

A row is found again by its hash, which is the evidence of its product's source. So importing twice changes nothing, an
import that was cut off goes on, and one without a profile is completed by one that has it. A row that was changed is
another row: another product.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from exchange.client import Client, Refusal
from exchange.importing.forms import Offer, Rejected, Row
from exchange.importing.price import Price
from exchange.importing.profile import Facts, Profile, unstated

AT_ONCE: Final = 8
"""Rows under way at the same time."""
GROUPS: Final = ("classification", "source", "authorisation", "consent")
UNKNOWN: Final = "unknown"
UNSTATED: Final = "unstated"
"""Purpose of a draft whose terms nobody has stated."""
DRAFT_DAYS: Final = 365


class Item(Struct):
    """A row that can be imported: what it says, its price, the facts that the profile adds (None: a draft)."""

    row: Row
    offer: Offer
    price: Price
    facts: Facts | None


class Found(Struct):
    """What the venue has of a row."""

    product: dict[str, Any]
    listing: dict[str, Any] | None


class Result(Struct):
    """`did` counts the steps taken; 0: everything was there. `state` is that of the listing, or of the product."""

    line: int
    listing: str
    state: str
    did: int


class Journey:
    """Rows of one merchant on one board; `reviewer` is None where somebody decides later."""

    def __init__(
        self, board: str, merchant: Client, reviewer: Client | None, profile: Profile | None, now: datetime
    ) -> None:
        self._board, self._merchant, self._reviewer = board, merchant, reviewer
        self._profile, self._now = profile, now
        self._known: dict[str, Found] = {}

    def look_around(self) -> None:
        """Learn what the venue has of this merchant already."""
        listings: dict[str, dict[str, Any]] = {}
        for listing in every(self._merchant, "/v1/listings"):
            if listing["board"] == self._board and listing["state"] not in ("withdrawn", "expired"):
                listings[listing["product"]] = listing
        for product in every(self._merchant, "/v1/products"):
            if product["state"] in ("pending", "registered"):
                found = Found(product, listings.get(product["product"]))
                self._known[product["evidence"]["source"]] = found

    def take(self, items: Iterable[Item], tell: Callable[[], None]) -> Iterator[Result | Rejected]:
        """Every row's steps, several rows at once; `tell` is called after each. Raises VenueUnreachable."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            under_way = [pool.submit(self._step, item) for item in items]
            try:
                for future in under_way:
                    yield future.result()
                    tell()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _step(self, item: Item) -> Result | Rejected:
        try:
            return self._go(item)
        except Refusal as refusal:
            return Rejected(item.row.line, " ".join(str(refusal).split()))

    def _go(self, item: Item) -> Result:
        found, did = self._known.get(item.row.sha256), 0
        if found is None:
            found = Found(self._declare(item), None)
            did += 1
        if item.facts is not None and _is_draft(found.product):
            self._complete(item, item.facts, found)
            did += 1
        if self._reviewer is not None and item.facts is not None and found.product["state"] == "pending":
            register(self._reviewer, found.product, item.facts.registration.rights, self._in(item.facts))
            found.product["state"] = "registered"
            did += 1
        if found.listing is None:
            found.listing = self._draft(item, found.product["product"])
            did += 1
        did += self._publish(item, found.listing, found.product)
        return Result(item.row.line, found.listing["listing"], found.listing["state"], did)

    # --- the merchant's steps

    def _declare(self, item: Item) -> dict[str, Any]:
        body = {"description": item.offer.description, "evidence": self._evidence(item), **self._facts(item)}
        answer = self._post("/v1/products", body)
        return {**answer, "classification": body["classification"], "revision": 1}

    def _facts(self, item: Item) -> dict[str, Any]:
        """The four groups of facts; without a profile what nobody has said is unknown, and never allows a trade."""
        facts = item.facts
        if facts is None:
            until = self._text(self._now + timedelta(days=DRAFT_DAYS))
            nothing: dict[str, Any] = dict.fromkeys(("purposes", "territories", "field_groups", "deals"), ())
            return {
                "classification": dict.fromkeys(unstated(), UNKNOWN),
                "source": {"channel": UNKNOWN, "statement": item.offer.statement},
                "authorisation": {**nothing, "valid_from": self._text(self._now), "valid_until": until},
                "consent": {"basis": UNKNOWN},
            }
        allowed = msgspec.to_builtins(facts.authorisation)
        days = allowed.pop("valid_days")
        allowed["valid_from"] = self._text(self._now)
        allowed["valid_until"] = self._text(self._now + timedelta(days=days))
        return {
            "classification": msgspec.to_builtins(facts.classification),
            "source": {"channel": facts.source.channel, "statement": item.offer.statement},
            "authorisation": allowed,
            "consent": msgspec.to_builtins(facts.consent),
        }

    def _evidence(self, item: Item) -> dict[str, str]:
        """The row is the evidence of its source, the profile that of the rest."""
        said = self._profile.sha256 if self._profile is not None else item.row.sha256
        return {**dict.fromkeys(GROUPS, said), "source": item.row.sha256}

    def _complete(self, item: Item, facts: Facts, found: Found) -> None:
        """A draft gets the profile's facts: the classification last, for by it a draft is known."""
        evidence, said = self._evidence(item), self._facts(item)
        for group in ("source", "authorisation", "consent", "classification"):
            body = {group: said[group], "evidence_sha256": evidence[group]}
            answer = self._post(f"/v1/products/{found.product['product']}/facts", body)
            found.product["revision"] = answer["revision"]
        found.product["classification"] = said["classification"]

    def _draft(self, item: Item, product: str) -> dict[str, Any]:
        terms = self._terms(item)
        body = {"product": product, "board": self._board, "terms": terms}
        return {**self._post("/v1/listings", body), "purposes": terms["purposes"]}

    def _terms(self, item: Item) -> dict[str, Any]:
        price = {"price_fen": item.price.fen, "price_per_units": item.price.per_units}
        kind = {"mechanism": "posted_price", "supply": "unlimited"}
        if item.facts is not None:
            return {**msgspec.to_builtins(item.facts.terms), **price, **kind}
        blank = {"right": "product_operation", "deal": "licence", "field_group": "core", "term_days": 365}
        return {**blank, "purposes": [UNSTATED], "territories": [UNSTATED], **price, **kind}

    def _publish(self, item: Item, listing: dict[str, Any], product: dict[str, Any]) -> int:
        """How many steps it took towards publication."""
        if item.facts is None:
            return 0
        did, place = 0, f"/v1/listings/{listing['listing']}"
        if listing["state"] == "draft" and list(listing["purposes"]) == [UNSTATED]:
            self._ask(self._merchant, "PUT", place, {"terms": self._terms(item)})
            did += 1
        if listing["state"] == "draft" and product["state"] == "registered":
            listing["state"] = self._post(f"{place}/submit", {})["state"]
            did += 1
        if listing["state"] == "submitted" and self._reviewer is not None and self._profile is not None:
            tariff = self._profile.sha256 if item.facts.classification.origin == "public" else ""
            listing["state"] = approve(self._reviewer, listing["listing"], tariff)
            did += 1
        return did

    # --- asking

    def _post(self, path: str, body: Any) -> dict[str, Any]:
        return self._ask(self._merchant, "POST", path, body)

    @staticmethod
    def _ask(client: Client, method: str, path: str, body: Any) -> dict[str, Any]:
        return ask(client, method, path, body)

    @staticmethod
    def _text(at: datetime) -> str:
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _in(self, facts: Facts) -> str:
        return self._text(self._now + timedelta(days=facts.registration.valid_days))


def _is_draft(product: Mapping[str, Any]) -> bool:
    return bool(product["classification"]["origin"] == UNKNOWN)


# ---- what both commands ask


def ask(client: Client, method: str, path: str, body: Any = None) -> dict[str, Any]:
    content = None if body is None else msgspec.json.encode(body)
    return msgspec.json.decode(client.call(method, path, content).content, type=dict[str, Any])


def every(client: Client, path: str) -> Iterator[dict[str, Any]]:
    """All items of a list, page by page."""
    joint = "&" if "?" in path else "?"
    following = f"{path}{joint}limit=200"
    while following:
        page = ask(client, "GET", following)
        yield from page["items"]
        following = f"{path}{joint}limit=200&cursor={page['next']}" if page["next"] else ""


def register(reviewer: Client, product: Mapping[str, Any], rights: Iterable[str], until: str) -> None:
    """The named reviewer confirms all four groups at the revision that was seen."""
    body = {
        "decision": "register",
        "revision": product["revision"],
        "confirmed": GROUPS,
        "rights": list(rights),
        "valid_until": until,
    }
    ask(reviewer, "POST", f"/v1/products/{product['product']}/decision", body)


def approve(reviewer: Client, listing: str, tariff_sha256: str) -> str:
    """The state it leads to: published, or public_notice."""
    body = {"tariff_sha256": tariff_sha256} if tariff_sha256 else {}
    return str(ask(reviewer, "POST", f"/v1/listings/{listing}/approve", body)["state"])


def venue_now(client: Client) -> datetime:
    return datetime.fromisoformat(ask(client, "GET", "/v1/venue")["clock"]["now"])
