"""Auctions beside their straight way: who is told what, what is set aside, what calls one off, kill -9 between phases."""

from typing import Any

import httpx
import pytest

from tests.acceptance.floor import killed, paid, struck, verified
from tests.story import Person, Venue, done, refused, sha256_of, unlawful

MONEY = 1_000_000
DEPOSIT = 5_000
FREE = (MONEY, 0)


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def anna(venue: Venue) -> Person:
    return venue.buyer(cash_fen=MONEY)


@pytest.fixture
def bert(venue: Venue) -> Person:
    return venue.buyer(cash_fen=MONEY)


def sealed(venue: Venue, merchant: Person, **auction: Any) -> str:
    terms = {"kind": "sealed_second", "deposit_fen": DEPOSIT, "commit_days": 3, "reveal_days": 2, **auction}
    return venue.listing(merchant, mechanism="sealed_bid", supply="exclusive", auction=terms)


def ascending(venue: Venue, merchant: Person) -> str:
    terms = {
        "kind": "ascending",
        "start_fen": 10_000,
        "increment_fen": 1_000,
        "days": 2,
        "extension_minutes": 10,
    }
    return venue.listing(merchant, mechanism="lawful_auction", supply="exclusive", auction=terms)


def commit(venue: Venue, person: Person, listing: str, price_fen: int, key: str = "") -> httpx.Response:
    venue.agree(person, listing)
    said = f"{listing}|{person.participant}|1|{price_fen}|a nonce that nobody guesses"
    return person.post(f"/v1/listings/{listing}/bids", {"commitment": sha256_of(said)}, key=key)


def committed(venue: Venue, person: Person, listing: str, price_fen: int) -> str:
    return str(done(commit(venue, person, listing, price_fen), 201)["bid"])


def opened(person: Person, bid: str, price_fen: int) -> dict[str, Any]:
    body = {"price_fen": price_fen, "quantity": 1, "nonce": "a nonce that nobody guesses"}
    found: dict[str, Any] = done(person.post(f"/v1/bids/{bid}/reveal", body))
    return found


def offered(venue: Venue, person: Person, listing: str, price_fen: int) -> httpx.Response:
    venue.agree(person, listing)
    return person.post(f"/v1/listings/{listing}/bids", {"price_fen": price_fen})


def auction(asked_by: Person, listing: str) -> dict[str, Any]:
    shown: dict[str, Any] = done(asked_by.get(f"/v1/listings/{listing}/auction"))
    return shown


def money(person: Person) -> tuple[int, int]:
    account = person.account()
    return account["balance"], account["reserved"]


# ---- who is told what


def test_names_are_for_the_parties_and_prices_for_everybody(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listing = sealed(venue, merchant)
    bids = [committed(venue, anna, listing, 60_000), committed(venue, bert, listing, 40_000)]
    venue.advance(days=3, seconds=60)
    opened(anna, bids[0], 60_000)
    for person in (venue.operator, bert, merchant):
        told = auction(person, listing)
        assert (told["state"], told["opened"], told["prices"], told["winner"]) == ("revealing", 1, [], None)
        assert "60000" not in str(told)
    opened(bert, bids[1], 40_000)
    venue.advance(days=2, seconds=60)
    for person in (anna, merchant, venue.auditor()):
        told = auction(person, listing)
        assert (told["winner"], told["trade"]) == (anna.participant, struck(listing, anna)[0])
    told = auction(bert, listing)
    assert (told["outcome"], told["price_fen"], told["prices"]) == ("awarded", 40_000, [60_000, 40_000])
    assert (told["winner"], told["trade"]) == (None, None)
    assert [row["bid"] for row in told["own"]] == [bids[1]]
    assert anna.participant not in str(told)
    assert venue.state_of(listing, merchant) == "expired"


def test_a_bid_is_its_bidders_alone(venue: Venue, merchant: Person, anna: Person, bert: Person) -> None:
    listing = sealed(venue, merchant)
    bid = committed(venue, anna, listing, 60_000)
    assert done(anna.get(f"/v1/bids/{bid}"))["state"] == "sealed"
    assert [row["bid"] for row in done(anna.get("/v1/bids"))["items"]] == [bid]
    assert done(anna.get("/v1/bids", listing="L999999"))["items"] == []
    for person in (bert, merchant, venue.operator):
        refused(person.get(f"/v1/bids/{bid}"), 404, "not_found")
        assert done(person.get("/v1/bids", listing=listing))["items"] == []


def test_the_same_id_is_the_same_bid(venue: Venue, merchant: Person, anna: Person) -> None:
    """After kill -9 as well: whoever does not know whether its bid arrived sends it again."""
    listing = sealed(venue, merchant)
    key = venue.new_id()
    first = done(commit(venue, anna, listing, 60_000, key), 201)
    killed(venue)
    assert done(commit(venue, anna, listing, 60_000, key), 201) == first
    assert auction(anna, listing)["bids"] == 1
    refused(commit(venue, anna, listing, 60_000), 409, "already_exists")


def test_an_unlawful_bid_is_on_record(venue: Venue, merchant: Person, anna: Person) -> None:
    listing = ascending(venue, merchant)
    listed = {"list": "export_control", "version": "2026-11", "state": "listed"}
    venue.enter("restricted_lists", listed, participant=anna.participant)
    unlawful(offered(venue, anna, listing, 10_000), "E04")
    [row] = [row for row in anna.every("/v1/refusals") if row["listing"] == listing]
    assert (row["kind"], row["code"]) == ("order", "unlawful")
    assert done(anna.get(f"/v1/evidence/leaves/{row['evidence']}"))["items"]
    refused(offered(venue, merchant, listing, 10_000), 403, "own_case")


# ---- what is set aside, and what is proven


def reservations(person: Person, state: str, limit: int = 50) -> dict[str, tuple[int, int]]:
    rows = person.every("/v1/ledger/reservations", state=state, limit=limit)
    return {row["reservation"]: (row["amount"], row["left"]) for row in rows}


def test_what_bids_set_aside_is_told_and_proven(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listing = sealed(venue, merchant)
    bids = [committed(venue, anna, listing, 60_000), committed(venue, bert, listing, 40_000)]
    assert reservations(anna, "open") == {bids[0]: (DEPOSIT, DEPOSIT)}
    venue.advance(days=3, seconds=60)
    opened(anna, bids[0], 60_000)
    held = reservations(anna, "open")
    assert held == {bids[0]: (DEPOSIT, DEPOSIT), f"{bids[0]}:price": (60_000, 60_000)}
    assert sum(left for _, left in held.values()) == anna.account()["reserved"]
    done(offered(venue, anna, ascending(venue, merchant), 10_000), 201)
    more = reservations(anna, "open")
    assert len(more) == 3
    for limit in (1, 2):
        assert reservations(anna, "open", limit) == more, "whatever the pages are, each is told once"
    venue.advance(days=2, seconds=60)
    assert reservations(anna, "open").keys().isdisjoint(held)
    assert set(held) <= reservations(anna, "voided").keys()
    assert reservations(bert, "posted") == {bids[1]: (DEPOSIT, 0)}
    [line] = [row for row in done(bert.get("/v1/statement", limit=50))["items"] if row["kind"] == "forfeit"]
    assert (line["amount"], line["counterparty"], line["reference"]) == (
        -DEPOSIT,
        merchant.participant,
        bids[1],
    )
    leaves = done(bert.get(f"/v1/evidence/leaves/{bids[1]}"))["items"]
    assert [row["kind"] for row in leaves] == ["bid", "bid"]
    assert "forfeited" in leaves[1]["undoes"]
    refused(anna.get(f"/v1/evidence/leaves/{bids[1]}"), 404, "not_found")
    assert [row["kind"] for row in done(anna.get(f"/v1/evidence/leaves/{listing}"))["items"]] == ["auction"]
    verified(venue)


# ---- killed between any two phases


def test_a_secret_reserve_and_a_forfeited_deposit_through_kill_9(
    venue: Venue, merchant: Person, anna: Person, bert: Person
) -> None:
    listing = sealed(venue, merchant, reserve_sha256=sha256_of("50000|a nonce that nobody guesses"))
    killed(venue)
    bid = committed(venue, anna, listing, 60_000)
    killed(venue)
    committed(venue, bert, listing, 55_000)
    killed(venue)
    venue.advance(days=3, seconds=60)
    killed(venue)
    opened(anna, bid, 60_000)
    killed(venue)
    body = {"reserve_fen": 50_000, "nonce": "a nonce that nobody guesses"}
    done(merchant.post(f"/v1/listings/{listing}/auction/reserve", body))
    killed(venue)
    assert (money(anna), money(bert)) == ((MONEY, DEPOSIT + 60_000), (MONEY, DEPOSIT))
    venue.advance(days=2, seconds=60)
    killed(venue)
    assert auction(anna, listing)["price_fen"] == 50_000
    assert (money(anna), money(bert)) == ((MONEY - 50_000, 0), (MONEY - DEPOSIT, 0))
    assert merchant.balance == DEPOSIT
    [trade] = struck(listing, anna)
    paid(venue, merchant, anna, trade, kill=True)
    verified(venue)


@pytest.fixture
def running(venue: Venue, merchant: Person, anna: Person, bert: Person) -> list[str]:
    """An ascending auction with a bid, and a sealed one with an opened and an unopened bid."""
    shut = sealed(venue, merchant)
    bid = committed(venue, anna, shut, 60_000)
    committed(venue, bert, shut, 40_000)
    venue.advance(days=3, seconds=60)
    opened(anna, bid, 60_000)
    rising = ascending(venue, merchant)
    done(offered(venue, bert, rising, 10_000), 201)
    assert (money(anna), money(bert)) == ((MONEY, DEPOSIT + 60_000), (MONEY, DEPOSIT + 10_000))
    return [shut, rising]


def gone(venue: Venue, listings: list[str], reason: str, merchant: Person, *people: Person) -> None:
    """Called off for this reason; everybody has all of their money, before and after a kill, and nothing was struck."""
    killed(venue)
    for listing in listings:
        told = auction(merchant, listing)
        assert (told["state"], told["outcome"], told["reason"]) == ("closed", "called_off", reason)
        assert struck(listing, *people) == []
    assert [money(person) for person in people] == [FREE] * len(people)
    assert merchant.balance == 0
    verified(venue)


def test_a_withdrawn_listing_gives_all_money_back_at_once(
    venue: Venue, running: list[str], merchant: Person, anna: Person, bert: Person
) -> None:
    for listing in running:
        done(venue.move(listing, "withdraw", merchant))
    gone(venue, running, "withdrawn", merchant, anna, bert)


def test_a_halt_at_the_end_gives_all_money_back(
    venue: Venue, running: list[str], merchant: Person, anna: Person, bert: Person
) -> None:
    body = {"scope": "board", "subject": "general", "reason": "价格来源异常 a price source has failed"}
    done(venue.operator.post("/v1/halts", body))
    try:
        refused(offered(venue, anna, running[1], 20_000), 409, "halted")
        killed(venue)
        venue.advance(days=2, seconds=60)
    finally:
        done(venue.operator.post("/v1/halts/resume", body))
    gone(venue, running, "halted", merchant, anna, bert)


def test_a_merchant_suspended_at_the_end_sells_nothing(
    venue: Venue, running: list[str], merchant: Person, anna: Person, bert: Person
) -> None:
    body = {"step": "suspend", "reason": "核查中 looked into"}
    done(venue.operator.post(f"/v1/participants/{merchant.participant}/status", body))
    venue.advance(days=2, seconds=60)
    done(venue.operator.post(f"/v1/participants/{merchant.participant}/status", body | {"step": "resume"}))
    gone(venue, running, "merchant", merchant, anna, bert)


def test_nobody_bids_and_a_reserve_is_not_met(venue: Venue, merchant: Person, anna: Person) -> None:
    empty, dear = sealed(venue, merchant), sealed(venue, merchant, reserve_fen=70_000)
    bid = committed(venue, anna, dear, 60_000)
    venue.advance(days=3, seconds=60)
    opened(anna, bid, 60_000)
    killed(venue)
    venue.advance(days=2, seconds=60)
    assert auction(anna, empty)["outcome"] == "no_bids"
    assert auction(anna, dear)["outcome"] == "reserve_not_met"
    assert money(anna) == FREE
    verified(venue)
