"""Real listings through a whole venue: `python -m loadtests.real_listings [--seed S] [--data FOLDER]`.

Twenty paid APIs (a price per call in USDC) and twenty open data sets (no price) of the shared data are registered,
listed, ordered, delivered and accepted over HTTP against a venue that this program starts. In the middle of the
trading the venue is killed with kill -9 and started again; whatever was under way is sent again with the same id.
Then orders that the law forbids are sent, each to be refused by its rules and articles; in the end the money of
everybody is what this program has counted by itself, and `shuji verify` is clean.

Prints what happened; exit status 1 on the first difference. A later importer does the mapping properly: here the
origin of an open data set is read off its manager and tags, and a licence's text is only kept as the source statement.
"""

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.client import (
    SHARED,
    Person,
    Venue,
    command_id,
    done,
    refused,
    rules_named,
    settled,
    sha256_of,
    shuji,
)

EACH: Final = 20
"""Rows taken of each file."""
CNY_PER_USDC: Final = Decimal("7.10")
CALLS: Final = 1_000
"""The unit that a price per call is told in, so that it is whole fen."""
BASE_URL: Final = "https://api.merchant.example"
SHARE_BP: Final = 1_500
"""Of what the venue leaves of an API's price, to the contributor of its data."""
CASH_FEN: Final = 1_000_000
BASIS_POINTS: Final = 10_000
NO_ACCOUNT: Final = {"balance": 0, "reserved": 0}
"""Of whoever never had money: a merchant whose every price was 0."""
MOST_TAGS: Final = 20
ORIGINS: Final = {"public": 8, "personal": 4, "enterprise": 8}
"""How many open data sets of each origin."""
PUBLIC_BODY = re.compile(r"NASA|NOAA|USGS|Census|Department|Ministry|Agency|Bureau|National", re.IGNORECASE)
ABOUT_PERSONS = re.compile(r"\bhuman\b|homo sapiens|patient|clinical", re.IGNORECASE)

ARTICLES: Final = {
    "A03": "数据安全法8",
    "B01": "江西省数据应用条例30(2)",
    "B04": "江西省数据应用条例30(2)",
    "B05": "江西省数据应用条例30(2)",
    "B11": "北京市企业数据知识产权工作指引25",
    "C01": "个人信息保护法10,13",
    "C05": "个人信息保护法15,47",
    "C07": "个人信息保护法6,14,23",
    "D01": "江西省数据应用条例18",
    "E01": "海南数据要素三年行动计划12,22",
    "E05": "江西省数据应用条例27(2)",
}
"""Rule: the article that a refusal by it must name."""


@dataclass
class Offer:
    """A row of the shared data on its way to market."""

    origin: str
    board: str
    declared: dict[str, Any]
    terms: dict[str, Any]
    """Both `price_fen` and `price_per_units` are there."""
    quantity: int
    url: str = ""
    content: bytes = b""
    product: str = ""
    listing: str = ""

    @property
    def title(self) -> str:
        return str(self.declared["description"]["title"])

    @property
    def amount_fen(self) -> int:
        """Rounded up to the fen, once for the order."""
        return -(-int(self.terms["price_fen"]) * self.quantity // int(self.terms["price_per_units"]))


# ---- the shared data


def read_offers(shared: Path) -> tuple[list[Offer], list[Offer]]:
    """(paid APIs, open data sets), the first rows that serve."""
    apis = [
        api_offer(row, number)
        for number, row in enumerate(_rows(shared / "priced_api_listings.jsonl")[:EACH])
    ]
    chosen = [
        row
        for origin, wanted in ORIGINS.items()
        for row in [row for row in _rows(shared / "open_data_registry.jsonl") if origin_of(row) == origin][
            :wanted
        ]
    ]
    return apis, [open_offer(row) for row in chosen]


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def price_fen(price_usdc: str) -> int:
    """Fen per thousand calls. Raises ValueError where that is no whole number."""
    fen = Decimal(price_usdc) * CNY_PER_USDC * 100 * CALLS
    if fen != int(fen):
        raise ValueError(f"{price_usdc} USDC a call is {fen} fen per {CALLS} calls")
    return int(fen)


def api_offer(row: dict[str, Any], number: int) -> Offer:
    url = str(row["url"]).replace("${BASE_URL}", BASE_URL)
    return Offer(
        origin="enterprise",
        board="general",
        declared={
            "description": {
                "title": row["name"],
                "summary": row["description"],
                "update_frequency": "live",
                "tags": row["tags"][:MOST_TAGS],
            },
            "authorisation": {"purposes": ["market_analysis", "model_training"], "territories": ["CN"]},
        },
        terms={
            "purposes": ["market_analysis", "advertising"],
            "territories": ["CN", "HK"],
            "price_fen": price_fen(row["price_usdc"]),
            "price_per_units": CALLS,
        },
        quantity=1_000 + 777 * number,
        url=url,
    )


def origin_of(row: dict[str, Any]) -> str:
    if ABOUT_PERSONS.search(" ".join(row["Tags"])):
        return "personal"
    return "public" if PUBLIC_BODY.search(row["ManagedBy"]) else "enterprise"


def open_offer(row: dict[str, Any]) -> Offer:
    """Free of charge. Its bytes are the row itself."""
    origin = origin_of(row)
    content = json.dumps(row, ensure_ascii=False, sort_keys=True).encode()
    declared: dict[str, Any] = {
        "description": {
            "title": row["Name"],
            "summary": row["Description"],
            "update_frequency": row["UpdateFrequency"],
            "tags": row["Tags"][:MOST_TAGS],
        },
        "source": {"statement": f"{row['ManagedBy']}. {row['License']}"},
    }
    terms: dict[str, Any] = {"price_fen": 0, "price_per_units": 1}
    if origin == "public":
        declared["classification"] = {"origin": "public", "open_class": "unconditional"}
    if origin == "personal":
        declared["classification"] = {"origin": "personal", "pi_state": "deidentified"}
        declared["consent"] = {"basis": "separate_consent", "purposes": ["market_analysis"]}
        terms["purposes"] = ["market_analysis", "risk_control"]
    board = "public_data" if origin == "public" else "general"
    return Offer(origin, board, declared, terms, 1, content=content)


# ---- asking in spite of kill -9


class Steady:
    """Asks until answered: where the venue dies under a request, it is verified, started again, and asked again."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.interrupted = 0
        self._now = venue.now()
        self._killer: threading.Timer | None = None

    def new_id(self) -> str:
        return command_id(self._now)

    def kill_in(self, seconds: float) -> None:
        self._killer = threading.Timer(seconds, self.venue.kill)
        self._killer.start()

    def ask(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        """The answer. The request must be one that may be sent twice: it has an id, or it only reads."""
        try:
            return request()
        except httpx.TransportError:
            self.recover()
            return request()

    def post(self, person: Person, path: str, body: dict[str, Any]) -> httpx.Response:
        key = self.new_id()
        return self.ask(lambda: person.post(path, body, key))

    def recover(self) -> None:
        """Raises AssertionError where the dead venue's database is not what its journal says."""
        assert self._killer is not None, "the venue died by itself"
        self._killer.join()
        self._killer = None
        self.interrupted += 1
        verify(self.venue)
        self.venue.restart()


def verify(venue: Venue) -> None:
    checked = shuji("verify", "--data", str(venue.data), seconds=300)
    assert checked.returncode == 0, f"verify: {checked.stdout}{checked.stderr}"


# ---- the market


@dataclass
class Market:
    """Who trades, and what everybody's balance must be by our own count."""

    venue: Venue
    steady: Steady
    apis: list[Offer]
    open_data: list[Offer]
    api_merchant: Person
    data_merchant: Person
    contributor: Person
    buyer: Person
    expected_fen: dict[str, int] = field(default_factory=dict)
    fees_fen: int = 0
    settled: int = 0
    refused: list[str] = field(default_factory=list)

    @property
    def offers(self) -> list[Offer]:
        return [*self.apis, *self.open_data]

    def merchant_of(self, offer: Offer) -> Person:
        return self.api_merchant if offer.url else self.data_merchant

    def count(self, offer: Offer, buyer: Person, fee_bp: int) -> None:
        """A completed sale, by our own arithmetic: fee and share rounded down, the merchant has the rest."""
        fee = offer.amount_fen * fee_bp // BASIS_POINTS
        share = (offer.amount_fen - fee) * SHARE_BP // BASIS_POINTS if offer.url else 0
        self._move(buyer, -offer.amount_fen)
        self._move(self.contributor, share)
        self._move(self.merchant_of(offer), offer.amount_fen - fee - share)
        self.fees_fen += fee
        self.settled += 1

    def _move(self, person: Person, amount_fen: int) -> None:
        self.expected_fen[person.participant] = self.expected_fen.get(person.participant, 0) + amount_fen


def open_market(venue: Venue, shared: Path) -> Market:
    apis, open_data = read_offers(shared)
    api_merchant, data_merchant = venue.merchant("buyer"), venue.merchant()
    contributor, buyer = venue.participant("buyer"), venue.buyer(cash_fen=CASH_FEN)
    market = Market(venue, Steady(venue), apis, open_data, api_merchant, data_merchant, contributor, buyer)
    market.expected_fen[buyer.participant] = CASH_FEN
    return market


def list_everything(market: Market) -> None:
    """Registered by a reviewer, submitted, approved; public data waits out its public notice."""
    venue = market.venue
    for offer in market.offers:
        merchant = market.merchant_of(offer)
        shares = [[market.contributor.participant, SHARE_BP]] if offer.url else []
        offer.product = venue.product(merchant, shares=shares, **offer.declared)
        offer.listing = venue.draft(merchant, offer.product, offer.board, **offer.terms)
        done(venue.move(offer.listing, "submit", merchant))
        done(venue.move(offer.listing, "approve", venue.desk))
    venue.advance(days=5, seconds=60)
    for offer in market.offers:
        assert venue.state_of(offer.listing) == "published", offer.title
        find_in_catalogue(venue, offer)


def find_in_catalogue(venue: Venue, offer: Offer) -> None:
    """By its title, with the price and origin it came with."""
    found = done(venue.http.get("/v1/catalogue", params={"q": offer.title[:60], "limit": 100}), 200)["items"]
    [item] = [item for item in found if item["listing"] == offer.listing]
    shown = (item["title"], item["price_fen"], item["price_per_units"], item["origin"])
    kept = (offer.title, offer.terms["price_fen"], offer.terms["price_per_units"], offer.origin)
    assert shown == kept, f"the catalogue shows {shown}, listed was {kept}"


# ---- lawful trades


def trade_everything(market: Market, moments: random.Random) -> None:
    """Each offer once; about the middle the venue is killed, wherever it then is."""
    fees = fees_bp(market.venue)
    for number, offer in enumerate(market.offers):
        if number == EACH - 1:
            market.steady.kill_in(moments.uniform(0, 0.15))
        trade(market, offer)
        market.count(offer, market.buyer, fees[offer.board])
    assert market.steady.interrupted == 1, "the trading was over before the kill"


def fees_bp(venue: Venue) -> dict[str, int]:
    """Board: the venue's fee there."""
    return {row["board"]: row["fee_bp"] for row in done(venue.http.get("/v1/boards"), 200)["items"]}


def trade(market: Market, offer: Offer) -> None:
    """Order, delivery, and for bytes the download by key; acceptance."""
    steady, merchant = market.steady, market.merchant_of(offer)
    placed = steady.ask(order_of(market, market.buyer, offer))
    identifier = settled(placed)
    assert placed.json()["trades"][0]["amount_fen"] == offer.amount_fen, placed.text
    done(steady.post(merchant, f"/v1/trades/{identifier}/delivery", delivery_of(market, offer)))
    entitlement = placed.json()["trades"][0]["entitlement"]
    if offer.content:
        assert download(steady, market.buyer, entitlement) == offer.content, f"other bytes of {offer.title}"
    done(steady.post(market.buyer, f"/v1/trades/{identifier}/acceptance", {}))
    shown = done(steady.ask(lambda: market.buyer.get(f"/v1/trades/{identifier}")), 200)
    assert shown["state"] == "completed", shown


def order_of(market: Market, buyer: Person, offer: Offer, **changes: Any) -> Callable[[], httpx.Response]:
    """The same order however often it is sent."""
    key = market.steady.new_id()
    terms = {"territory": "CN", **changes}
    return lambda: market.venue.order(buyer, offer.listing, offer.quantity, client_order_id=key, **terms)


def delivery_of(market: Market, offer: Offer) -> dict[str, Any]:
    if offer.url:
        return {"kind": "address", "url": offer.url}
    digest, merchant = sha256_of(offer.content), market.merchant_of(offer)
    done(market.steady.ask(lambda: market.venue.upload(merchant, offer.content, digest)), 201)
    return {"kind": "file", "sha256": digest, "name": "row.json", "media_type": "application/json"}


def download(steady: Steady, buyer: Person, entitlement: str) -> bytes:
    key = done(steady.post(buyer, f"/v1/entitlements/{entitlement}/key", {}))["key"]
    path = f"/v1/entitlements/{entitlement}/content"
    answer = steady.ask(lambda: steady.venue.http.get(path, headers={"X-Entitlement-Key": key}))
    assert answer.status_code == 200, answer.text
    return answer.content


# ---- what the law forbids


def expect(market: Market, answer: httpx.Response, *rules: str) -> None:
    """Refused (or held) by exactly these rules, each with its article."""
    violated = violated_by(answer)
    assert rules_named(violated) == set(rules), answer.text
    for entry in violated:
        articles = [citation["zh"] for citation in entry["citations"]]
        assert ARTICLES[entry["rule"]] in articles, f"{entry['rule']} names {articles}"
    market.refused.append("+".join(rules))


def violated_by(answer: httpx.Response) -> list[dict[str, Any]]:
    if answer.status_code == 201:
        found: list[dict[str, Any]] = answer.json()["trades"][0]["violated"]
    else:
        found = refused(answer, 422, "unlawful")["violated"]
    return found


def forbidden_before_the_kill(market: Market) -> Callable[[], httpx.Response]:
    """An order outside its authorisation; its refusal is kept, and is the same after the venue died."""
    order = order_of(market, market.buyer, market.apis[0], purpose="advertising")
    expect(market, order(), "B04")
    return order


def forbidden_orders(market: Market) -> None:
    """Each broken rule beside the lawful trade that its offer has already had."""
    for case in (
        outside_the_authorisation,
        by_whom,
        authorisation_withdrawn,
        at_risk,
        under_objection,
        of_persons,
    ):
        case(market)
    for late in (at_registration, credential_suspended):
        late(market)


def outside_the_authorisation(market: Market) -> None:
    expect(market, order_of(market, market.buyer, market.apis[1], territory="HK")(), "B05")
    both = order_of(market, market.buyer, market.apis[2], territory="HK", purpose="advertising")
    expect(market, both(), "B04", "B05")


def by_whom(market: Market) -> None:
    """One's own product, a sister's, and somebody whom no reviewer has verified."""
    venue, offer = market.venue, market.apis[3]
    expect(market, order_of(market, market.api_merchant, offer)(), "E05")
    sister = venue.buyer(owner_id=f"owner-{market.api_merchant.uscc}")
    expect(market, order_of(market, sister, offer)(), "E05")
    unverified = venue.participant("buyer")
    venue.cash_in(unverified, CASH_FEN)
    refused(order_of(market, unverified, offer)(), 403, "not_verified")
    poor = venue.buyer(cash_fen=1)
    refused(order_of(market, poor, offer)(), 409, "funds_insufficient")
    market.refused += ["not_verified", "funds_insufficient"]


def authorisation_withdrawn(market: Market) -> None:
    venue, offer = market.venue, market.apis[4]
    done(venue.record(offer.product, "authorisation_withdrawn", by=market.api_merchant))
    expect(market, order_of(market, market.buyer, offer)(), "B01")
    done(venue.record(offer.product, "authorisation_restored"))


def at_risk(market: Market) -> None:
    offer = market.open_data[0]
    done(market.venue.record(offer.product, "risk_confirmed"))
    expect(market, order_of(market, market.buyer, offer)(), "A03")


def under_objection(market: Market) -> None:
    """Held, not refused; the reviewer's evidence cures it and the trade goes its way."""
    venue, offer = market.venue, market.apis[5]
    done(venue.record(offer.product, "objection_raised"))
    held = order_of(market, market.buyer, offer)()
    expect(market, held, "B11")
    trade_id = held.json()["trades"][0]["trade"]
    body = {
        "rule": "B11",
        "evidence_sha256": sha256_of("objection settled"),
        "revision": venue.revision_of(offer.product),
    }
    done(venue.desk.post(f"/v1/holds/{trade_id}/cure", body))
    done(market.api_merchant.post(f"/v1/trades/{trade_id}/delivery", delivery_of(market, offer)))
    venue.accept(market.buyer, trade_id)
    market.count(offer, market.buyer, fees_bp(venue)[offer.board])


def of_persons(market: Market) -> None:
    """A purpose nobody consented to (nor was authorised for: it is), then the consent itself withdrawn."""
    offer = next(offer for offer in market.open_data if offer.origin == "personal")
    expect(market, order_of(market, market.buyer, offer, purpose="risk_control")(), "C07")
    done(market.venue.record(offer.product, "consent_withdrawn", by=market.data_merchant))
    expect(market, order_of(market, market.buyer, offer)(), "C05")


def at_registration(market: Market) -> None:
    """Persons' data without a basis, and public data that is not open: no reviewer can register these rows."""
    personal = next(offer for offer in market.open_data if offer.origin == "personal")
    public = next(offer for offer in market.open_data if offer.origin == "public")
    without = {**personal.declared, "consent": {"basis": "none", "purposes": []}}
    closed = {**public.declared, "classification": {"origin": "public", "open_class": "not_open"}}
    for declared, rule in ((without, "C01"), (closed, "D01")):
        product = done(market.venue.submit_product(market.data_merchant, **declared), 201)["product"]
        expect(market, market.venue.decide_product(product), rule)


def credential_suspended(market: Market) -> None:
    done(market.venue.discipline(market.api_merchant, "suspend"))
    expect(market, order_of(market, market.buyer, market.apis[6])(), "E01")
    done(market.venue.accreditation(market.api_merchant, "restore"))


# ---- the end


def compare_money(market: Market) -> None:
    """Everybody's balance against our own count; nothing is reserved or in escrow any more."""
    owners = {
        row["owner"]: row
        for row in market.venue.operator.every("/v1/accounts", limit=200)
        if row["asset"] == "CNY"
    }
    for participant, amount_fen in market.expected_fen.items():
        held = owners.get(participant, NO_ACCOUNT)
        assert (held["balance"], held["reserved"]) == (amount_fen, 0), (
            f"{held}, counted were {amount_fen} fen"
        )
    assert owners["venue:fees"]["balance"] == market.fees_fen, (
        f"{owners['venue:fees']}, counted {market.fees_fen}"
    )
    assert owners["venue:escrow"]["balance"] == 0, owners["venue:escrow"]


def run(venue: Venue, shared: Path, moments: random.Random) -> Market:
    """All of it. Raises AssertionError with the first difference."""
    market = open_market(venue.start(), shared)
    list_everything(market)
    kept = forbidden_before_the_kill(market)
    first = kept().json()
    trade_everything(market, moments)
    assert kept().json() == first, "a kept refusal is another one after the restart"
    forbidden_orders(market)
    compare_money(market)
    verify(venue)
    assert venue.stop() == 0, venue.said()[-2000:]
    verify(venue)
    return market


def summary(market: Market, seconds: float) -> str:
    origins = ", ".join(f"{count} {origin}" for origin, count in ORIGINS.items())
    turnover = CASH_FEN - market.expected_fen[market.buyer.participant]
    return (
        f"{len(market.apis)} paid APIs and {len(market.open_data)} open data sets ({origins}): "
        f"{market.settled} trades completed, {turnover} fen paid, {market.fees_fen} fen of it fees\n"
        f"{len(market.refused)} refused or held, each by its rules and articles: {', '.join(market.refused)}\n"
        f"kill -9 under way: {market.steady.interrupted}; verify clean of the dead, the living and the stopped venue; "
        f"{seconds:.0f} s"
    )


def main(argv: list[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.real_listings")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the two files")
    arguments = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="shuji-real-"))
    folder.chmod(0o711)  # PostgreSQL's own user must get through when this runs as root
    venue = Venue(folder / "data")
    begun = time.monotonic()
    try:
        market = run(venue, arguments.data, random.Random(arguments.seed))
    except Exception as error:
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        sys.stdout.write(
            f"DIFFERENCE: {error!r}\nthe data is kept in {folder}; repeat with --seed {arguments.seed}\n"
        )
        return 1
    finally:
        venue.close()
    sys.stdout.write(summary(market, time.monotonic() - begun) + "\n")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
