"""Issue 4, "Contract" (M29): generated from listing and order, signed once by each side, cited by each trade.

What the checks expect; more members are welcome:

    GET  /v1/listings/{listing}/contract?method=&duties=    open; a merchant asks for the one it would sign
         contract, listing, version, state (draft, live, retired), standard_terms, sha256, text_zh, text_en,
         form (canonical JSON whose SHA-256 is `sha256`, both texts in it), merchant and own: a signature or null
    POST /v1/listings/{listing}/contract/signatures    -> 201 {signature_id, contract, participant, text, signature}
         {sha256, signature, security: {method, duties}}   its merchant
         {sha256, signature, declarations}                 a buyer; what only a party can state
         `signature` over shuji-contract:<merchant|buyer>:<participant>:<sha256>:<declared>, where `declared` is the SHA-256
         of the declarations (security) as JSON with every field, keys sorted, no spaces, integers as decimal strings
    GET  /v1/contracts/{contract}      as above, also a retired one
    GET  /v1/trades/{trade}            contract: contract, merchant_signature, buyer_signature
    GET  /v1/trades/{trade}/contract   contract, contract_sha256, particulars_zh, particulars_en, form, sha256
"""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.story import Person, Venue, done, has_chinese, refused, sha256_of, unknown, unlawful

SECURITY: dict[str, Any] = {"method": "dataset", "duties": ["encryption", "deletion"]}
DECLARATIONS: dict[str, Any] = {
    "for_foreign_judicial": False,
    "reidentification_intent": False,
    "human_research": False,
    "related_disclosed": False,
    "security_terms_accepted": True,
    "log_retention_months": 36,
    "entrustment_sha256": "",
}


def declared_sha256(declared: dict[str, Any]) -> str:
    said = {name: str(value) if type(value) is int else value for name, value in declared.items()}
    return sha256_of(json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def shown(asked_by: Person, listing: str, **security: Any) -> dict[str, Any]:
    asked = {"method": security["method"], "duties": ",".join(security["duties"])} if security else {}
    found: dict[str, Any] = done(asked_by.get(f"/v1/listings/{listing}/contract", **asked), 200)
    return found


def signed_text(person: Person, side: str, sha256: str, declared: dict[str, Any]) -> str:
    return f"shuji-contract:{side}:{person.participant}:{sha256}:{declared_sha256(declared)}"


def send(person: Person, listing: str, body: dict[str, Any]) -> httpx.Response:
    return person.post(f"/v1/listings/{listing}/contract/signatures", body)


def offer(merchant: Person, listing: str, security: dict[str, Any] = SECURITY) -> dict[str, Any]:
    """The merchant's signature is on the contract, now or since before; gives the contract as it stands."""
    sha256 = shown(merchant, listing, **security)["sha256"]
    signature = merchant.sign(signed_text(merchant, "merchant", sha256, security))
    answer = send(merchant, listing, {"sha256": sha256, "signature": signature, "security": security})
    if answer.status_code != 201:
        refused(answer, 409, "already_exists")
    live = shown(merchant, listing)
    assert (live["state"], live["merchant"]["participant"]) == ("live", merchant.participant)
    return live


def sign(buyer: Person, listing: str, **changes: Any) -> httpx.Response:
    """`signer` among the changes is whose key it is instead of the buyer's; the rest is declared."""
    signer = changes.pop("signer", buyer)
    declared, sha256 = {**DECLARATIONS, **changes}, shown(buyer, listing)["sha256"]
    signature = signer.sign(signed_text(buyer, "buyer", sha256, declared))
    return send(buyer, listing, {"sha256": sha256, "signature": signature, "declarations": declared})


def order(buyer: Person, listing: str) -> httpx.Response:
    """Nothing but the order: whoever has not signed has not signed."""
    body = {"listing": listing, "quantity": 1, "purpose": "market_analysis"}
    return buyer.post("/v1/orders", body, signed=False)


def settled_trade(buyer: Person, listing: str) -> dict[str, Any]:
    [trade] = done(order(buyer, listing), 201)["trades"]
    assert trade["state"] == "settled", trade
    seen: dict[str, Any] = done(buyer.get(f"/v1/trades/{trade['trade']}"), 200)
    return seen


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant)


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def test_the_contract_is_generated_from_the_listing_and_readable(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "generated from listing and order by versioned standard terms (Chinese prevails), ... readable"."""
    listing = venue.listing(merchant, price_fen=43_210, term_days=77)
    live = offer(merchant, listing)
    assert live["standard_terms"]
    assert has_chinese(live["text_zh"])
    assert not has_chinese(live["text_en"].splitlines()[0])
    assert "中文" in live["text_zh"], "which text prevails"
    for said in ("432.10", "77", merchant.participant, "港口集装箱吞吐量"):
        assert said in live["text_zh"], said
    assert "market_analysis" in live["form"]
    form = json.loads(live["form"])
    assert sha256_of(live["form"]) == live["sha256"]
    assert (form["zh"], form["en"]) == (live["text_zh"], live["text_en"])
    assert shown(buyer, listing)["sha256"] == live["sha256"], "all read the same"
    assert done(venue.http.get(f"/v1/listings/{listing}/contract"), 200)["sha256"] == live["sha256"]


def test_each_trade_cites_both_signatures(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    """Line: "signed once per listing version by the merchant and once by each buyer ...; both signatures cited by each
    trade": two trades, one signature."""
    live = offer(merchant, listing)
    signature = done(sign(buyer, listing), 201)
    assert (signature["contract"], signature["participant"]) == (live["contract"], buyer.participant)
    for _ in range(2):
        cited = settled_trade(buyer, listing)["contract"]
        assert cited["contract"] == live["contract"]
        assert cited["buyer_signature"] == signature["signature_id"]
        assert cited["merchant_signature"] == live["merchant"]["signature_id"]
    refused(sign(buyer, listing), 409, "already_exists")


def test_a_trades_contract_has_its_particulars(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    """Line: "generated from listing and order": what the order adds, over the hash of what was signed."""
    live = offer(merchant, listing)
    done(sign(buyer, listing), 201)
    trade = settled_trade(buyer, listing)
    made = done(buyer.get(f"/v1/trades/{trade['trade']}/contract"), 200)
    assert (made["contract"], made["contract_sha256"]) == (live["contract"], live["sha256"])
    assert sha256_of(made["form"]) == made["sha256"]
    assert trade["trade"] in made["particulars_zh"]
    assert "500.00" in made["particulars_zh"]
    assert has_chinese(made["particulars_zh"])
    assert made["particulars_en"]
    for stranger in (venue.buyer(cash_fen=0), venue.merchant()):
        refused(stranger.get(f"/v1/trades/{trade['trade']}/contract"), 404, "not_found")


def test_nothing_settles_unsigned(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    """Line: "both signatures cited by each trade" and "the rules' contract facts come from it": unsigned, what only the
    buyer can state is unknown, and unknown never allows."""
    offer(merchant, listing)
    found = unknown(order(buyer, listing))
    assert any(field.startswith("trade.") for entry in found for field in entry["fields"]), found
    assert buyer.account()["available"] == buyer.balance == 100_000_000
    done(sign(buyer, listing), 201)
    settled_trade(buyer, listing)


def test_only_a_partys_own_key_signs(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    """Line: "with keys the venue never holds": the signature verifies against the party's public key, and no other
    party's, nor one over other declarations, is taken."""
    offer(merchant, listing)
    refused(sign(buyer, listing, signer=venue.stranger()), 401, "signature_wrong")
    sha256 = shown(buyer, listing)["sha256"]
    signature = buyer.sign(signed_text(buyer, "buyer", sha256, DECLARATIONS))
    other = {**DECLARATIONS, "human_research": True}
    body = {"sha256": sha256, "signature": signature, "declarations": other}
    refused(send(buyer, listing, body), 401, "signature_wrong")
    done(send(buyer, listing, {**body, "declarations": DECLARATIONS}), 201)
    own = shown(buyer, listing)["own"]
    text = signed_text(buyer, "buyer", sha256, DECLARATIONS)
    assert own["text"] == text
    buyer.key.public_key().verify(base64.b64decode(own["signature"]), text.encode())


def test_a_new_version_needs_new_signatures(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    """Line: "signed once per listing version": the merchant changes the duties, the buyer's signature is on the old one."""
    first = offer(merchant, listing)
    done(sign(buyer, listing), 201)
    old = settled_trade(buyer, listing)["contract"]
    second = offer(merchant, listing, {"method": "interface", "duties": ["encryption", "audit"]})
    assert second["version"] == first["version"] + 1
    assert second["sha256"] != first["sha256"]
    unknown(order(buyer, listing))
    retired = done(buyer.get(f"/v1/contracts/{first['contract']}"), 200)
    assert (retired["state"], retired["sha256"], retired["form"]) == (
        "retired",
        first["sha256"],
        first["form"],
    )
    done(sign(buyer, listing), 201)
    new = settled_trade(buyer, listing)["contract"]
    assert (old["contract"], new["contract"]) == (first["contract"], second["contract"])


@pytest.mark.parametrize(
    ("declared", "rule"), [("for_foreign_judicial", "A09"), ("reidentification_intent", "C14")]
)
def test_what_a_party_declares_is_a_fact_of_the_rules(
    venue: Venue, merchant: Person, buyer: Person, listing: str, declared: str, rule: str
) -> None:
    """Line: "What only a party can state (purpose, foreign judicial use) is a signed declaration"."""
    offer(merchant, listing)
    done(sign(buyer, listing, **{declared: True}), 201)
    unlawful(order(buyer, listing), rule)
    done(sign(buyer, listing), 201)
    settled_trade(buyer, listing)


def test_security_clauses_are_the_contracts(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "the rules' contract facts come from it": personal information without agreed security terms is held (A07)."""
    declared: dict[str, Any] = {
        "classification": {"origin": "personal", "pi_state": "identifiable"},
        "consent": {"basis": "separate_consent", "purposes": ["market_analysis"]},
    }
    listing = venue.listing(merchant, venue.product(merchant, **declared))
    offer(merchant, listing)
    done(sign(buyer, listing, security_terms_accepted=False), 201)
    [trade] = done(order(buyer, listing), 201)["trades"]
    assert trade["state"] == "held", trade
    seen = done(buyer.get(f"/v1/trades/{trade['trade']}"), 200)
    assert "A07" in [entry["rule"] for entry in seen["verdict"]["violated"]]


def test_each_side_signs_as_what_it_is(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    """Line: "signed ... by the merchant and once by each buyer": no one signs for the other side, nor an old text."""
    offer(merchant, listing)
    sha256 = shown(buyer, listing)["sha256"]
    as_merchant = buyer.sign(signed_text(buyer, "merchant", sha256, SECURITY))
    answer = send(buyer, listing, {"sha256": sha256, "signature": as_merchant, "security": SECURITY})
    assert answer.status_code in (403, 404), answer.text
    as_buyer = merchant.sign(signed_text(merchant, "buyer", sha256, DECLARATIONS))
    answer = send(merchant, listing, {"sha256": sha256, "signature": as_buyer, "declarations": DECLARATIONS})
    assert answer.status_code in (403, 404, 409), answer.text
    wrong = sha256_of("another text")
    signature = buyer.sign(signed_text(buyer, "buyer", wrong, DECLARATIONS))
    body = {"sha256": wrong, "signature": signature, "declarations": DECLARATIONS}
    refused(send(buyer, listing, body), 409, "wrong_state")
    lacking = {name: value for name, value in DECLARATIONS.items() if name != "for_foreign_judicial"}
    assert send(buyer, listing, {**body, "declarations": lacking}).status_code in (400, 422)
