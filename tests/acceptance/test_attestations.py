"""M10, over HTTP: accredited providers attest, signed, and what they attest cures the holds that it names."""

import base64
import json
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.story import Person, Venue, done, has_chinese, parsed, refused, sha256_of


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def notary(venue: Venue) -> Person:
    return provider(venue, "notary")


def provider(venue: Venue, *kinds: str) -> Person:
    """A participant whom the operator has accredited."""
    person = venue.participant("buyer")
    done(venue.verify_identity(person))
    body = {
        "participant": person.participant,
        "kinds": list(kinds),
        "valid_until": venue.in_days(300),
        "evidence_sha256": sha256_of("licence of the provider"),
    }
    done(venue.operator.post("/v1/providers", body), 201)
    return person


def on_general_consent(venue: Venue, merchant: Person) -> tuple[str, str]:
    """Personal information whose consent turned out to be general only (C02): product and listing."""
    product = venue.product(
        merchant,
        classification={"origin": "personal", "pi_state": "identifiable"},
        consent={"basis": "separate_consent", "purposes": ["market_analysis"]},
    )
    listing = venue.listing(merchant, product)
    venue.amend(merchant, product, "consent", basis="general_consent", purposes=["market_analysis"])
    return product, listing


def attest(venue: Venue, person: Person, product: str, **changes: Any) -> httpx.Response:
    """Signed as the API says: JSON, keys sorted, no spaces, every field."""
    said: dict[str, Any] = {
        "kind": "notary",
        "product": product,
        "buyer": "",
        "rules": ["C02"],
        "valid_until": venue.in_days(100),
        "evidence_sha256": sha256_of("sample of the consents"),
        **changes,
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    signature = person.sign(f"shuji-attestation:{person.participant}:{text}")
    return person.post("/v1/attestations", {**said, "signature": signature})


def test_a_held_trade_names_for_each_rule_what_cures_it_who_and_until_when(
    venue: Venue, merchant: Person, buyer: Person, notary: Person
) -> None:
    product, listing = on_general_consent(venue, merchant)
    trade = venue.held(buyer, listing, "C02")
    [cure] = venue.read_trade(trade, buyer)["cures"]
    assert (cure["rule"], cure["brings"], cure["confirms"]) == ("C02", ["seller"], ["reviewer", "notary"])
    assert has_chinese(cure["evidence_zh"])
    assert cure["evidence_en"]
    assert not cure["cured"]
    assert parsed(cure["until"]) > venue.now()
    [item] = [item for item in buyer.every("/v1/holds") if item["trade"] == trade]
    assert item["rules"] == [cure]
    given = done(attest(venue, notary, product), 201)
    assert given["cured"] == [trade]
    shown = venue.read_trade(trade, buyer)
    assert (shown["state"], shown["cures"], shown["verdict"]["outcome"]) == ("settled", [], "allow")


def test_an_attestation_can_be_verified_by_anybody_who_is_shown_it(
    venue: Venue, merchant: Person, notary: Person
) -> None:
    product, _ = on_general_consent(venue, merchant)
    given = done(attest(venue, notary, product), 201)
    [shown] = list(merchant.every("/v1/attestations", product=product))
    assert shown == {key: value for key, value in given.items() if key != "cured"}
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(shown["public_key"]))
    key.verify(base64.b64decode(shown["signature"]), shown["text"].encode())
    assert sha256_of("sample of the consents") in shown["text"]
    assert list(venue.buyer(cash_fen=0).every("/v1/attestations", product=product)) == []
    assert [row["attestation"] for row in venue.desk.every("/v1/attestations", product=product)] == [
        given["attestation"]
    ]


def test_one_for_a_buyer_is_good_for_that_buyer(venue: Venue, merchant: Person, notary: Person) -> None:
    product, listing = on_general_consent(venue, merchant)
    named, other = venue.buyer(), venue.buyer()
    done(attest(venue, notary, product, buyer=named.participant), 201)
    venue.trade(named, listing)
    venue.held(other, listing, "C02")


def test_revoked_it_cures_nothing_more(venue: Venue, merchant: Person, buyer: Person) -> None:
    product, listing = on_general_consent(venue, merchant)
    person = provider(venue, "notary", "security")
    given = done(attest(venue, person, product), 201)["attestation"]
    venue.trade(buyer, listing)
    path = f"/v1/attestations/{given}/revocation"
    refused(merchant.post(path, {"reason": "not ours"}), 403, "forbidden")
    ended = done(person.post(path, {"reason": "样本有误"}), 200)
    assert (ended["stands"], ended["revoked_reason"]) == (False, "样本有误")
    venue.held(buyer, listing, "C02")
    done(attest(venue, person, product), 201)
    venue.trade(buyer, listing)
    revocation = f"/v1/providers/{person.participant}/revocation"
    refused(venue.desk.post(revocation, {"reason": "false papers"}), 403, "forbidden")
    assert done(venue.operator.post(revocation, {"reason": "出具虚假证明"}), 200)["revoked"] == "出具虚假证明"
    venue.held(buyer, listing, "C02")
    refused(attest(venue, person, product), 403, "forbidden")


def test_nobody_attests_without_right_and_key(venue: Venue, merchant: Person, notary: Person) -> None:
    product, _ = on_general_consent(venue, merchant)
    refused(attest(venue, venue.buyer(cash_fen=0), product), 403, "forbidden")
    refused(attest(venue, notary, product, kind="ethics"), 403, "forbidden")
    refused(attest(venue, notary, product, rules=["B17"]), 422, "out_of_bounds")
    refused(attest(venue, notary, "D999999"), 404, "not_found")
    said = {
        "kind": "notary", "product": product, "rules": ["C02"], "valid_until": venue.in_days(9),
        "evidence_sha256": sha256_of("nothing"), "signature": notary.sign("something else"),
    }  # fmt: skip
    refused(notary.post("/v1/attestations", said), 401, "signature_wrong")
    body = {
        "participant": merchant.participant, "kinds": ["notary"], "valid_until": venue.in_days(9),
        "evidence_sha256": sha256_of("licence"),
    }  # fmt: skip
    refused(merchant.post("/v1/providers", body), 403, "forbidden")
    done(venue.operator.post("/v1/providers", body), 201)
    refused(attest(venue, merchant, product), 403, "own_case")


def test_the_directory_of_providers_is_everybodys(venue: Venue, notary: Person) -> None:
    rows = {row["participant"]: row for row in notary.every("/v1/providers", limit=1)}
    mine = rows[notary.participant]
    assert mine["kinds"] == ["notary"]
    assert "C02" in mine["confirms"]["notary"]
    assert done(venue.http.get("/v1/providers"), 200)["items"]
    refused(notary.get("/v1/providers", cursor="x"), 400, "malformed")


def test_it_cures_until_its_date(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "signed, with scope and dates, and can cure": when its date has passed the rule holds again."""
    product, listing = on_general_consent(venue, merchant)
    person = provider(venue, "notary")
    done(attest(venue, person, product, valid_until=venue.in_days(5)), 201)
    venue.trade(buyer, listing)
    venue.advance(days=5, seconds=60)
    venue.held(buyer, listing, "C02")


def test_what_comes_after_the_holds_end_settles_nothing(venue: Venue, merchant: Person) -> None:
    """Line: "expired, it is refused and everything released"; an attestation helps the next trade only."""
    product, listing = on_general_consent(venue, merchant)
    person, buyer = provider(venue, "notary"), venue.buyer()
    before = buyer.account()
    trade = venue.held(buyer, listing, "C02")
    assert buyer.account()["reserved"] == before["reserved"] + 50_000
    until = parsed(venue.read_trade(trade, buyer)["dates"]["held_until"])
    venue.advance(seconds=int((until - venue.now()).total_seconds()) + 60)
    assert buyer.account() == before
    assert done(attest(venue, person, product), 201)["cured"] == []
    assert venue.read_trade(trade, buyer)["state"] == "refused"
    assert buyer.account() == before
    venue.trade(buyer, listing)


def test_a_sellers_own_house_attests_nothing(venue: Venue) -> None:
    """Line: "come from accredited providers": one with the seller's owner is none for its products."""
    seller, sister = venue.merchant(), venue.participant("buyer")
    done(venue.verify_identity(sister, owner_id=f"owner-{seller.uscc}"))
    body = {"participant": sister.participant, "kinds": ["notary"], "valid_until": venue.in_days(300)}
    done(venue.operator.post("/v1/providers", {**body, "evidence_sha256": sha256_of("licence")}), 201)
    product, _ = on_general_consent(venue, seller)
    refused(attest(venue, sister, product), 403, "own_case")
