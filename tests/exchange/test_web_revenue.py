"""Distributions and ceilings over the web, on a board that takes a public-data share of a tenth."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from clearing.contract import Security
from exchange import board, events
from exchange.contract import draft
from exchange.state import DAY_NS
from tests.exchange.web_venue import Doors, Person, doors
from tests.exchange.world import (
    GROUPS,
    HARMLESS,
    HONEST,
    authorisation,
    credit_code,
    description,
    said,
    terms,
)

SHA = "ab" * 32
YEAR_NS = 365 * DAY_NS


@pytest.fixture
async def opened(
    tmp_path: Path, empty_database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Doors]:
    boards = board.load()
    boards["public_data"] = replace(
        boards["public_data"],
        public_data_share_bp=1_000,
        public_data_account="public:treasury",
        public_notice_days=0,
    )
    monkeypatch.setattr(board, "load", lambda: boards)
    async with doors(tmp_path / "data", empty_database_dsn) as found:
        yield found


class Market:
    """People and a listing of public data; commands go to the engine where the web is not what is tested."""

    def __init__(self, found: Doors) -> None:
        self.doors = found
        self.engine = found.venue.engine
        self.people = 0

    async def must(self, command: events.Command | events.PlaceOrder) -> tuple[events.Event, ...]:
        outcome = await self.engine.submit(command)
        assert outcome.refusal is None, outcome.refusal
        return outcome.events

    async def person(self, reviewer: Person, *roles: str) -> Person:
        self.people += 1
        person = Person(self.doors.http)
        uscc = credit_code(self.people)
        signature = person.sign(f"shuji-register:{person.public_key}:{uscc}")
        answer = await person.register(roles=list(roles), uscc=uscc, signature=signature)
        assert answer.status_code == 201, answer.text
        until_ns = self.engine.now_ns() + YEAR_NS
        await self.must(
            events.DecideIdentity(
                actor=reviewer.participant,
                participant=person.participant,
                accept=True,
                mandate_until_ns=until_ns,
                evidence_sha256=SHA,
            )
        )
        if "merchant" in roles:
            await self.must(events.ApplyForAccreditation(actor=person.participant, evidence_sha256=SHA))
            await self.must(
                events.DecideAccreditation(
                    actor=reviewer.participant,
                    participant=person.participant,
                    step="accredit",
                    valid_until_ns=until_ns,
                    evidence_sha256=SHA,
                )
            )
        return person


async def test_a_public_sale_is_distributed_and_counted(opened: Doors) -> None:
    """100.00: fee 1.00, the public 9.90, the processor a third of 89.10 down 29.69, the merchant the rest."""
    market = Market(opened)
    reviewer = await opened.official("reviewer")
    shop, processor = await market.person(reviewer, "merchant"), await market.person(reviewer, "buyer")
    buyer, other = await market.person(reviewer, "buyer"), await market.person(reviewer, "buyer")
    product = await declared(market, reviewer, shop, processor)
    listing = await listed(market, reviewer, shop, product)
    trade = await sold(market, shop, buyer, listing)
    expected: dict[str, object] = {
        "trade": trade,
        "product": product,
        "listing": listing,
        "amount_fen": 10_000,
        "parts": [
            {"role": "fee", "account": "venue:fees", "amount_fen": 100},
            {"role": "merchant", "account": shop.participant, "amount_fen": 10_000 - 100 - 990 - 2_969},
            {"role": "processor", "account": processor.participant, "amount_fen": 2_969},
            {"role": "public_data", "account": "public:treasury", "amount_fen": 990},
        ],
    }
    for person, seen in ((shop, 1), (processor, 1), (reviewer, 1), (buyer, 0), (other, 0)):
        page = (await person.ask("GET", "/v1/revenue/distributions")).json()
        assert len(page["items"]) == seen, person.participant
        if seen:
            assert page["items"][0].pop("completed_at")
            assert page["items"] == [expected]
    none = await shop.ask("GET", "/v1/revenue/distributions?product=D999")
    assert none.json() == {"items": [], "next": None}
    await check_ceilings(reviewer, shop, buyer)


async def check_ceilings(reviewer: Person, shop: Person, buyer: Person) -> None:
    """10,000 earned of 4,000: 6,000 are over, and the next year's 4,000 are gone with 2,000 still to come."""
    year = int((await shop.ask("GET", "/v1/revenue/ceilings")).json()["items"][0]["year"])
    body = {"operator": shop.participant, "year": year, "ceiling_fen": 4_000, "decision_sha256": SHA}
    assert (await shop.ask("POST", "/v1/revenue/ceilings", json=body)).status_code == 403
    for told_year in (year, year + 1):
        recorded = await reviewer.ask("POST", "/v1/revenue/ceilings", json={**body, "year": told_year})
        assert recorded.status_code == 201, recorded.text
    mine = (await shop.ask("GET", "/v1/revenue/ceilings")).json()["items"]
    assert [(row["year"], row["earned_fen"], row["over_fen"], row["allowed_fen"]) for row in mine] == [
        (year, 10_000, 6_000, 4_000),
        (year + 1, 0, 2_000, 0),
    ]
    assert mine[1]["carried_fen"] == 6_000
    assert (await buyer.ask("GET", "/v1/revenue/ceilings")).json() == {"items": []}
    assert (await reviewer.ask("GET", "/v1/revenue/ceilings?operator=P999")).json() == {"items": []}


async def declared(market: Market, reviewer: Person, shop: Person, processor: Person) -> str:
    """A registered product of public data with one share and its role."""
    told = authorisation(market.engine.now_ns())
    body = {
        "description": {**as_json(description()), "sample": [], "tags": []},
        "classification": {
            "origin": "public",
            "data_class": "general",
            "secret_kind": "none",
            "pi_state": "none",
            "open_class": "unconditional",
            **as_json(HARMLESS),
        },
        "source": {
            "channel": "self_generated",
            "statement": "our own sensors",
            "bypassed_controls": False,
            "sharing_provider_consent": True,
            "operation_until": "2049-01-01T00:00:00Z",
        },
        "authorisation": {
            "purposes": told.purposes,
            "territories": told.territories,
            "field_groups": told.field_groups,
            "deals": told.deals,
            "valid_from": "2020-01-01T00:00:00Z",
            "valid_until": "2049-01-01T00:00:00Z",
        },
        "consent": {"basis": "none"},
        "shares": [[processor.participant, 3_333, "processor"]],
        "evidence": dict.fromkeys(GROUPS, SHA),
    }
    wrong = await shop.ask("POST", "/v1/products", json={**body, "shares": [["P1", 1, "landlord"]]})
    assert wrong.status_code == 400, wrong.text
    answer = await shop.ask("POST", "/v1/products", json=body)
    assert answer.status_code == 201, answer.text
    product = str(answer.json()["product"])
    await register(market, reviewer, product)
    whole = (await shop.ask("GET", f"/v1/products/{product}")).json()
    assert whole["shares"] == [[processor.participant, 3_333]]
    assert whole["share_roles"] == ["processor"]
    return product


def as_json(part: object) -> dict[str, object]:
    built: dict[str, object] = msgspec.to_builtins(part)
    return built


async def register(market: Market, reviewer: Person, product: str) -> None:
    await market.must(
        events.DecideProduct(
            actor=reviewer.participant,
            product=product,
            decision="register",
            revision=1,
            confirmed=GROUPS,
            rights=("resource_holding", "processing_use", "product_operation"),
            valid_until_ns=market.engine.now_ns() + YEAR_NS,
        )
    )


async def listed(market: Market, reviewer: Person, shop: Person, product: str) -> str:
    offered = terms(price_fen=10_000, price_regime="gov_guided", price_cap_fen=20_000)
    created = await market.must(
        events.CreateListing(
            actor=shop.participant,
            product=product,
            board="public_data",
            terms=offered,
            attributes=said("public_data"),
        )
    )
    assert isinstance(created[0], events.ListingCreated)
    listing = created[0].listing
    await market.must(events.MoveListing(actor=shop.participant, listing=listing, step="submit"))
    await market.must(
        events.MoveListing(actor=reviewer.participant, listing=listing, step="approve", tariff_sha256=SHA)
    )
    return listing


async def sold(market: Market, shop: Person, buyer: Person, listing: str) -> str:
    await market.must(
        events.BookCashIn(
            actor="P1", participant=buyer.participant, amount_fen=100_000, bank_reference="bank 1"
        )
    )
    await agree(market, shop, buyer, listing)
    found = await market.must(events.PlaceOrder(actor=buyer.participant, listing=listing, quantity=1))
    trade = next(event.trade for event in found if isinstance(event, events.Settled))
    delivery = events.Delivery(kind="address", url="https://data.example/rows")
    await market.must(events.Deliver(actor=shop.participant, trade=trade, delivery=delivery))
    await market.must(events.AcceptDelivery(actor=buyer.participant, trade=trade))
    return trade


async def agree(market: Market, shop: Person, buyer: Person, listing: str) -> None:
    """Both sides sign the listing's contract; the door that checks signatures is not what is tested here."""
    security = Security(method="dataset", duties=("encryption", "deletion"))
    sha256 = await market.engine.read(lambda state: draft(state, state.listings[listing], security).sha256)
    signed: dict[str, str] = {"listing": listing, "sha256": sha256, "signature": "signed"}
    await market.must(
        events.OfferContract(actor=shop.participant, security=security, public_key=shop.public_key, **signed)
    )
    await market.must(
        events.SignContract(
            actor=buyer.participant, declarations=HONEST, public_key=buyer.public_key, **signed
        )
    )
