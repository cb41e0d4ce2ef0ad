"""The steps of each row at the venue, from wherever it stands: what is done already is not done again.

    (nothing) -> product declared -> registered -> listing drafted -> submitted -> published
                  merchant            reviewer      merchant          merchant     reviewer

A row is found again by its hash, which is the evidence of its product's source. So importing twice changes nothing, an
import that was cut off goes on, and one without a profile is completed by one that has it. A row that was changed is
another row: another product.

What somebody has stated is never written over: where it is not what the import would state, that is told
(`Result.differs`). A product that was refused is not declared again as it was.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from exchange.client import Client, Refusal, VenueUnreachable, uuid7
from exchange.importing.forms import Offer, Rejected, Row
from exchange.importing.price import Price
from exchange.importing.profile import Facts, Profile, unstated
from exchange.listing import LISTABLE
from exchange.product import GROUPS, UNKNOWN

AT_ONCE: Final = 8
"""Rows under way at the same time."""
AMENDED: Final = ("source", "authorisation", "consent", "classification")
"""The classification last: a product without one is a draft, also when an import was cut off in between."""
UNSTATED: Final = "unstated"
"""Purpose of a draft whose terms nobody has stated."""
DRAFT_DAYS: Final = 365
BUSY: Final = 503
PATIENCE: Final = 30
PAUSE_S: Final = 1.0
"""How often a busy venue (503) is asked again, and how long between; its Retry-After is a second."""


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


Words: TypeAlias = tuple[str, ...]
"""Title, summary, frequency and quality: no amendment changes them."""


def _words_of(description: Mapping[str, Any]) -> Words:
    names = ("title", "summary", "update_frequency", "quality_statement")
    return tuple(str(description[name]) for name in names)


class Result(Struct):
    """`did` counts the steps taken; 0: everything was there. `state` is that of the listing, or of the product.

    `differs` where what stands is not what the import would state.
    """

    line: int
    listing: str
    state: str
    did: int
    differs: bool = False


class Journey:
    """Rows of one merchant on one board; `reviewer` is None where somebody decides later."""

    def __init__(
        self, board: str, merchant: Client, reviewer: Client | None, profile: Profile | None, now: datetime
    ) -> None:
        self._board, self._merchant, self._reviewer = board, merchant, reviewer
        self._profile, self._now = profile, now
        self._known: dict[str, Found] = {}
        self._amended: dict[Words, Found] = {}
        """Products whose source was declared anew: their first evidence is gone, their words are not."""
        self._dead: dict[str, dict[str, Any]] = {}

    def look_around(self) -> None:
        """Learn what the venue has of this merchant already. An office's lists hold everybody's: only own ones count."""
        me = ask(self._merchant, "GET", "/v1/participants/me")["participant"]
        listings: dict[str, dict[str, Any]] = {}
        for listing in every(self._merchant, "/v1/listings"):
            stands = listing["board"] == self._board and listing["state"] not in ("withdrawn", "expired")
            if stands and listing["merchant"] == me:
                listings[listing["product"]] = listing
        for product in every(self._merchant, "/v1/products"):
            row = product["evidence"]["source"]
            if product["holder"] != me:
                continue
            if product["state"] in LISTABLE:
                found = self._known[row] = Found(product, listings.get(product["product"]))
                if product["revision"] > 1:
                    self._amended[_words_of(product["description"])] = found
            else:
                self._dead[row] = product

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
        row = item.row.sha256
        dead = self._dead.get(row)
        if row not in self._known and dead is not None and self._has_facts(item, dead):
            why = " ".join(("", *dead.get("reasons", ())))
            said = f"{dead['product']} was declared of this row and is {dead['state']}{why}"
            return Rejected(item.row.line, f"{said}: change the row or the profile to declare it anew")
        try:
            return self._go(item)
        except Refusal as refusal:
            return Rejected(item.row.line, " ".join(str(refusal).split()) + self._left(row))

    def _left(self, row: str) -> str:
        """What of a row stands, where the venue took its first steps and refused a later one."""
        if (found := self._known.get(row)) is None:
            return ""
        return f" ({found.product['product']} stays {found.product['state']})"

    def _go(self, item: Item) -> Result:
        found, did = self._known.get(item.row.sha256), 0
        if found is None:
            found = self._amended.get(_words_of(msgspec.to_builtins(item.offer.description)))
        if found is None:
            found = self._known[item.row.sha256] = Found(self._declare(item), None)
            did += 1
        product = found.product
        if item.facts is not None and product["classification"]["origin"] == UNKNOWN:
            self._complete(item, found)
            did += 1
        if self._reviewer is not None and item.facts is not None and product["state"] == "pending":
            register(self._reviewer, product, item.facts.registration.rights, self._in(item.facts))
            product["state"] = "registered"
            did += 1
        if product["state"] == "suspended":
            shown = found.listing or {"listing": "", "state": "suspended"}
            return Result(item.row.line, shown["listing"], shown["state"], did)
        if found.listing is None:
            found.listing = self._draft(item, product["product"])
            did += 1
        did += self._publish(item, found.listing, product)
        differs = not (self._has_facts(item, product) and self._has_terms(item, found.listing))
        return Result(item.row.line, found.listing["listing"], found.listing["state"], did, differs)

    def _has_facts(self, item: Item, product: Mapping[str, Any]) -> bool:
        """Whether the facts are those of this row and profile; without a profile nothing is asked for."""
        return item.facts is None or bool(product["evidence"] == self._evidence(item))

    def _has_terms(self, item: Item, listing: Mapping[str, Any]) -> bool:
        """Whether the listing has these terms; without a profile only its price is asked for."""
        wanted = self._terms(item)
        names = ("price_fen", "price_per_units") if item.facts is None else tuple(wanted)
        same = item.facts is None or listing["attributes"] == item.facts.attributes
        return same and all(listing[name] == wanted[name] for name in names)

    # --- the merchant's steps

    def _declare(self, item: Item) -> dict[str, Any]:
        body = {"description": item.offer.description, "evidence": self._evidence(item), **self._facts(item)}
        answer = self._post("/v1/products", body)
        return {**answer, **body, "revision": 1}

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
        allowed = self._dated(facts.authorisation, "valid_days", "valid_until")
        allowed["valid_from"] = self._text(self._now)
        source = self._dated(facts.source, "operation_days", "operation_until")
        return {
            "classification": msgspec.to_builtins(facts.classification),
            "source": {**source, "statement": item.offer.statement},
            "authorisation": allowed,
            "consent": self._dated(facts.consent, "valid_days", "valid_until"),
        }

    def _dated(self, facts: msgspec.Struct, days: str, until: str) -> dict[str, Any]:
        """The facts as the API takes them: a number of days becomes the date that it ends on."""
        said: dict[str, Any] = msgspec.to_builtins(facts)
        if days in said:
            said[until] = self._text(self._now + timedelta(days=said.pop(days)))
        return said

    def _evidence(self, item: Item) -> dict[str, str]:
        """The row is the evidence of its source, the profile that of the rest."""
        said = self._profile.sha256 if self._profile is not None else item.row.sha256
        return {**dict.fromkeys(GROUPS, said), "source": item.row.sha256}

    def _complete(self, item: Item, found: Found) -> None:
        """A draft gets the profile's facts."""
        evidence, said = self._evidence(item), self._facts(item)
        for group in AMENDED:
            body = {group: said[group], "evidence_sha256": evidence[group]}
            answer = self._post(f"/v1/products/{found.product['product']}/facts", body)
            found.product["revision"] = answer["revision"]
        found.product["classification"], found.product["evidence"] = said["classification"], evidence

    def _draft(self, item: Item, product: str) -> dict[str, Any]:
        terms = self._terms(item)
        said = {} if item.facts is None else item.facts.attributes
        body = {"product": product, "board": self._board, "terms": terms, "attributes": said}
        return {**self._post("/v1/listings", body), **terms, "attributes": said}

    def _terms(self, item: Item) -> dict[str, Any]:
        price = {"price_fen": item.price.fen, "price_per_units": item.price.per_units}
        kind = {"mechanism": "posted_price", "supply": "unlimited"}
        if item.facts is not None:
            terms = msgspec.to_builtins(item.facts.terms)
            lists = {name: list(terms[name]) for name in ("purposes", "territories")}
            return {**terms, **lists, **price, **kind}
        blank = {"right": "product_operation", "deal": "licence", "field_group": "core", "term_days": 365}
        return {**blank, "purposes": [UNSTATED], "territories": [UNSTATED], **price, **kind}

    def _publish(self, item: Item, listing: dict[str, Any], product: dict[str, Any]) -> int:
        """How many steps it took towards publication."""
        did, place, terms = 0, f"/v1/listings/{listing['listing']}", self._terms(item)
        unstated_yet = listing["state"] == "draft" and listing["purposes"] == [UNSTATED]
        if unstated_yet and not self._has_terms(item, listing):
            said = {} if item.facts is None else {"attributes": item.facts.attributes}
            self._ask(self._merchant, "PUT", place, {"terms": terms, **said})
            listing.update(terms | said)
            did += 1
        if item.facts is None:
            return did
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


# ---- what both commands ask


def ask(client: Client, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """The answer. A busy venue (503) is asked again as it wishes, under the same id."""
    content = None if body is None else msgspec.json.encode(body)
    headers = {"Idempotency-Key": uuid7()} if method == "POST" else {}
    for _ in range(PATIENCE):
        try:
            return msgspec.json.decode(
                client.call(method, path, content, headers).content, type=dict[str, Any]
            )
        except Refusal as refusal:
            if refusal.status != BUSY:
                raise
        time.sleep(PAUSE_S)
    raise VenueUnreachable(f"{client.url} is busy: it took nothing when asked {PATIENCE} times")


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
