"""Issue, "The path of a trade", step 6, second half: escrow, delivery, acceptance, payment, refund.

Each check has its own listing where it moves the clock, so that nobody else's dates pass.
"""

import secrets

import httpx
import pytest

from tests.story import Person, Venue, done, parsed, refused, sha256_of

DAY_AND_A_BIT = 60


@pytest.fixture
def merchant(venue: Venue) -> Person:
    """One a test: what another test does to it would lower its grade."""
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant)


def key_of(buyer: Person, venue: Venue, trade: str) -> tuple[str, str]:
    """The entitlement of a trade and a key for it."""
    entitlement = venue.read_trade(trade, buyer)["entitlement"]
    return entitlement, done(buyer.post(f"/v1/entitlements/{entitlement}/key", {}))["key"]


def download(venue: Venue, entitlement: str, key: str) -> httpx.Response:
    path = f"/v1/entitlements/{entitlement}/content"
    return venue.http.get(path, headers={"X-Entitlement-Key": key})


def state(venue: Venue, trade: str, asked_by: Person) -> str:
    return str(venue.read_trade(trade, asked_by)["state"])


def reject(buyer: Person, trade: str, reason: str = "缺少三月数据") -> httpx.Response:
    return buyer.post(f"/v1/trades/{trade}/rejection", {"reason": reason})


# -- a file, end to end


def test_real_bytes_from_the_merchant_to_the_key_of_the_entitlement(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    content = secrets.token_bytes(3_000_000)
    trade = venue.trade(buyer, listing)
    digest = venue.hand_over(merchant, trade, content)
    seen = venue.read_trade(trade, buyer)
    assert seen["state"] == "delivered"
    assert seen["delivery"]["sha256"] == digest
    entitlement, key = key_of(buyer, venue, trade)
    answer = download(venue, entitlement, key)
    assert answer.status_code == 200
    assert answer.content == content
    assert "etag" in answer.headers or "digest" in answer.headers
    venue.accept(buyer, trade)
    assert state(venue, trade, buyer) == "completed"
    assert download(venue, entitlement, key).content == content


def test_the_venue_recomputes_the_hash(venue: Venue, merchant: Person) -> None:
    refused(venue.upload(merchant, b"these bytes", sha256_of("other bytes")), 422, "file_mismatch")


def test_only_merchants_upload(venue: Venue, buyer: Person) -> None:
    refused(venue.upload(buyer, b"bytes", sha256_of("bytes")), 403, "forbidden")


def test_what_was_never_uploaded_cannot_be_delivered(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    trade = venue.trade(buyer, listing)
    body = {"kind": "file", "sha256": sha256_of(trade), "name": "x.csv", "media_type": "text/csv"}
    answer = merchant.post(f"/v1/trades/{trade}/delivery", body)
    assert answer.status_code in (404, 409, 422), answer.text
    assert state(venue, trade, buyer) == "settled"


def test_only_the_right_key_downloads(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    trade, other = venue.trade(buyer, listing), venue.trade(venue.buyer(), listing)
    venue.hand_over(merchant, trade)
    entitlement, key = key_of(buyer, venue, trade)
    refused(download(venue, entitlement, "wrong"), 401)
    refused(venue.http.get(f"/v1/entitlements/{entitlement}/content"), 401)
    foreign = venue.read_trade(other, merchant)["entitlement"]
    assert download(venue, foreign, key).status_code in (401, 403, 404)
    assert download(venue, entitlement, key).status_code == 200


def test_a_key_is_shown_once_and_to_its_buyer_alone(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    trade = venue.trade(buyer, listing)
    entitlement, key = key_of(buyer, venue, trade)
    assert key not in done_text(buyer.get(f"/v1/entitlements/{entitlement}"))
    assert key not in done_text(buyer.get("/v1/entitlements"))
    for stranger in (venue.buyer(cash_fen=0), merchant):
        answer = stranger.post(f"/v1/entitlements/{entitlement}/key", {})
        assert answer.status_code in (403, 404), answer.text


def done_text(answer: httpx.Response) -> str:
    done(answer, 200)
    return answer.text


def test_a_new_key_ends_the_old_one(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    trade = venue.trade(buyer, listing)
    venue.hand_over(merchant, trade)
    entitlement, old = key_of(buyer, venue, trade)
    _, new = key_of(buyer, venue, trade)
    assert download(venue, entitlement, new).status_code == 200
    refused(download(venue, entitlement, old), 401)


def test_the_download_ends_with_the_term(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, term_days=10)
    trade = venue.trade(buyer, listing)
    venue.hand_over(merchant, trade)
    entitlement, key = key_of(buyer, venue, trade)
    venue.accept(buyer, trade)
    venue.advance(days=9)
    assert download(venue, entitlement, key).status_code == 200
    venue.advance(days=1, seconds=DAY_AND_A_BIT)
    refused(download(venue, entitlement, key), 403)


# -- an address with a key


def test_an_address_with_a_key_per_entitlement(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    trade, other = venue.trade(buyer, listing), venue.trade(buyer, listing)
    body = {"kind": "address", "url": "https://api.shuji.example/teu"}
    done(merchant.post(f"/v1/trades/{trade}/delivery", body))
    assert venue.read_trade(trade, buyer)["delivery"]["url"] == body["url"]
    entitlement, key = key_of(buyer, venue, trade)
    _, other_key = key_of(buyer, venue, other)
    assert key != other_key
    checked = done(merchant.post("/v1/entitlements/check", {"key": key}))
    assert (checked["entitlement"], checked["active"], checked["trade"]) == (entitlement, True, trade)
    assert parsed(checked["until"]) > venue.now()


def test_a_key_that_is_not_good_is_not_active(venue: Venue, merchant: Person) -> None:
    answer = merchant.post("/v1/entitlements/check", {"key": "nonsense"})
    assert answer.status_code == 404 or done(answer)["active"] is False


def test_an_address_check_ends_with_the_term(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, term_days=5)
    trade = venue.trade(buyer, listing)
    body = {"kind": "address", "url": "https://api.shuji.example/teu"}
    done(merchant.post(f"/v1/trades/{trade}/delivery", body))
    _, key = key_of(buyer, venue, trade)
    venue.accept(buyer, trade)
    venue.advance(days=5, seconds=DAY_AND_A_BIT)
    answer = merchant.post("/v1/entitlements/check", {"key": key})
    assert answer.status_code == 404 or done(answer)["active"] is False


# -- who may do what


def test_each_step_has_its_own_side(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    trade, stranger = venue.trade(buyer, listing), venue.buyer(cash_fen=0)
    path, body = f"/v1/trades/{trade}", {"kind": "address", "url": "https://api.shuji.example/teu"}
    refused(stranger.get(path), 404, "not_found")
    refused(stranger.post(f"{path}/delivery", body), 404, "not_found")
    refused(stranger.post(f"{path}/acceptance", {}), 404, "not_found")
    refused(buyer.post(f"{path}/delivery", body), 403, "forbidden")
    refused(merchant.post(f"{path}/acceptance", {}), 403, "forbidden")
    refused(merchant.post(f"{path}/rejection", {"reason": "x"}), 403, "forbidden")
    for reader in (venue.operator, venue.auditor()):
        done(reader.get(path), 200)


def test_what_is_not_in_the_table_cannot_happen(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    trade = venue.trade(buyer, listing)
    refused(buyer.post(f"/v1/trades/{trade}/acceptance", {}), 409, "wrong_state")
    refused(reject(buyer, trade), 409, "wrong_state")
    venue.complete(merchant, buyer, trade)
    refused(buyer.post(f"/v1/trades/{trade}/acceptance", {}), 409, "wrong_state")
    refused(reject(buyer, trade), 409, "wrong_state")


def test_a_rejection_needs_a_reason(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    trade = venue.trade(buyer, listing)
    venue.hand_over(merchant, trade)
    for body in ({}, {"reason": ""}):
        answer = buyer.post(f"/v1/trades/{trade}/rejection", body)
        assert answer.status_code in (400, 422), answer.text
    assert state(venue, trade, buyer) == "delivered"


# -- who is paid, and when


def test_the_price_waits_in_escrow_until_acceptance(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    paid, earned = buyer.account(), merchant.balance
    trade = venue.trade(buyer, listing)
    assert paid["balance"] - buyer.balance == 50_000, "the price left the buyer for escrow"
    venue.hand_over(merchant, trade)
    assert merchant.balance == earned, "delivered is not accepted"
    venue.accept(buyer, trade)
    seen = venue.read_trade(trade, buyer)
    assert merchant.balance - earned == seen["merchant_fen"]
    assert seen["fee_fen"] + seen["merchant_fen"] == seen["amount_fen"] == 50_000


@pytest.mark.parametrize("price_fen", [1, 7, 99, 33_333, 1_000_001])
def test_contributors_are_paid_and_no_fen_is_lost(
    venue: Venue, merchant: Person, buyer: Person, price_fen: int
) -> None:
    first, second = venue.buyer(cash_fen=0), venue.buyer(cash_fen=0)
    shares = [[first.participant, 3_333], [second.participant, 1_667]]
    listing = venue.listing(merchant, venue.product(merchant, shares=shares), price_fen=price_fen)
    earned, paid = merchant.balance, buyer.balance
    trade = venue.trade(buyer, listing)
    assert (first.balance, second.balance) == (0, 0)
    venue.complete(merchant, buyer, trade)
    seen = venue.read_trade(trade, buyer)
    rest = price_fen - seen["fee_fen"]
    assert paid - buyer.balance == price_fen
    assert merchant.balance - earned + first.balance + second.balance == rest
    assert abs(first.balance * 10_000 - rest * 3_333) < 10_000, "within a fen of the declared share"
    assert abs(second.balance * 10_000 - rest * 1_667) < 10_000, "within a fen of the declared share"
    assert seen["merchant_fen"] == merchant.balance - earned


def test_silence_until_the_date_accepts(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, acceptance_days=2)
    trade = venue.trade(buyer, listing)
    venue.hand_over(merchant, trade)
    earned = merchant.balance
    due = parsed(venue.read_trade(trade, buyer)["dates"]["acceptance_due"])
    assert abs((due - venue.now()).total_seconds() - 2 * 86_400) < 120
    venue.advance(days=1)
    assert state(venue, trade, buyer) == "delivered"
    venue.advance(days=1, seconds=DAY_AND_A_BIT)
    seen = venue.read_trade(trade, buyer)
    assert seen["state"] == "completed"
    assert merchant.balance - earned == seen["merchant_fen"]


def test_one_redelivery_by_a_date_then_acceptance(venue: Venue, merchant: Person, buyer: Person) -> None:
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.hand_over(merchant, trade, b"incomplete")
    done(reject(buyer, trade))
    seen = venue.read_trade(trade, buyer)
    assert seen["state"] == "rejected"
    assert parsed(seen["dates"]["redelivery_due"]) > venue.now()
    digest = venue.hand_over(merchant, trade, b"complete now")
    seen = venue.read_trade(trade, buyer)
    assert (seen["state"], seen["delivery"]["sha256"]) == ("redelivered", digest)
    entitlement, key = key_of(buyer, venue, trade)
    assert download(venue, entitlement, key).content == b"complete now"
    venue.accept(buyer, trade)
    assert state(venue, trade, buyer) == "completed"


def test_a_second_rejection_refunds(venue: Venue, merchant: Person, buyer: Person) -> None:
    before, earned = buyer.account(), merchant.balance
    trade = venue.trade(buyer, venue.listing(merchant))
    for content in (b"bad", b"still bad"):
        venue.hand_over(merchant, trade, content)
        done(reject(buyer, trade))
    assert state(venue, trade, buyer) == "refunded"
    assert buyer.account() == before
    assert merchant.balance == earned
    entitlement = venue.read_trade(trade, buyer)["entitlement"]
    answer = buyer.post(f"/v1/entitlements/{entitlement}/key", {})
    assert 400 <= answer.status_code < 500, "a refunded licence is over"


def test_no_redelivery_by_its_date_refunds(venue: Venue, merchant: Person) -> None:
    listing, buyer = venue.listing(merchant, redelivery_days=2), venue.buyer()
    before = buyer.account()
    trade = venue.trade(buyer, listing)
    venue.hand_over(merchant, trade)
    done(reject(buyer, trade))
    venue.advance(days=2, seconds=DAY_AND_A_BIT)
    assert state(venue, trade, buyer) == "refunded"
    assert buyer.account() == before


def test_nothing_delivered_by_its_date_refunds(venue: Venue, merchant: Person) -> None:
    listing, buyer = venue.listing(merchant, delivery_days=2), venue.buyer()
    before = buyer.account()
    trade = venue.trade(buyer, listing)
    venue.advance(days=1)
    assert state(venue, trade, buyer) == "settled"
    venue.advance(days=1, seconds=DAY_AND_A_BIT)
    assert state(venue, trade, buyer) == "refunded"
    assert buyer.account() == before
    body = {"kind": "address", "url": "https://api.shuji.example/teu"}
    refused(merchant.post(f"/v1/trades/{trade}/delivery", body), 409, "wrong_state")


def test_an_entitlement_is_the_buyers(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    trade = venue.trade(buyer, listing)
    entitlement = venue.read_trade(trade, buyer)["entitlement"]
    assert entitlement in {item["entitlement"] for item in buyer.every("/v1/entitlements")}
    refused(venue.buyer(cash_fen=0).get(f"/v1/entitlements/{entitlement}"), 404, "not_found")
