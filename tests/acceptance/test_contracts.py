"""M29, over HTTP: a contract is generated, read, signed by both sides with keys the venue never holds, and cited."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loadtests.client import HONEST, declared_sha256
from tests.story import Person, Venue, done, has_chinese, refused, sha256_of, shuji


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def listing(venue: Venue, merchant: Person) -> str:
    """Published, and its contract not signed by anybody yet."""
    return venue.listing(merchant, signed=False)


def verifies(signature: dict[str, str]) -> None:
    """Raises InvalidSignature where the text was not signed by this key: no word of the venue is needed for it."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signature["public_key"]))
    key.verify(base64.b64decode(signature["signature"]), signature["text"].encode())


def test_anybody_reads_the_contract_in_both_languages_and_checks_its_hash(
    venue: Venue, merchant: Person, listing: str
) -> None:
    draft = done(venue.http.get(f"/v1/listings/{listing}/contract"), 200)
    assert (draft["state"], draft["merchant"], draft["own"]) == ("draft", None, None)
    assert has_chinese(draft["text_zh"])
    assert "以中文文本为准" in draft["text_zh"]
    assert "the Chinese text prevails" in draft["text_en"]
    assert sha256_of(draft["form"]) == draft["sha256"]
    form = json.loads(draft["form"])
    assert (form["zh"], form["en"]) == (draft["text_zh"], draft["text_en"])
    assert form["offer"]["listing"] == listing


def test_both_sign_once_and_each_trade_cites_them(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    offered = done(venue.offer_contract(merchant, listing), 201)
    signed = done(venue.sign_contract(buyer, listing, log_retention_months=7), 201)
    verifies(offered)
    verifies(signed)
    live = done(buyer.get(f"/v1/listings/{listing}/contract"), 200)
    assert (live["state"], live["merchant"], live["own"]) == ("live", offered, signed)
    assert live["sha256"] in offered["text"]
    assert signed["text"] == live["to_sign"] + declared_sha256({**HONEST, "log_retention_months": 7})
    for _ in range(2):
        trade = venue.read_trade(venue.trade(buyer, listing), buyer)
        assert trade["contract"] == {
            "contract": live["contract"],
            "merchant_signature": offered["signature_id"],
            "buyer_signature": signed["signature_id"],
        }
    made = done(merchant.get(f"/v1/trades/{trade['trade']}/contract"), 200)
    assert made["text_zh"] == live["text_zh"]
    assert sha256_of(made["form"]) == made["sha256"]
    assert trade["trade"] in made["particulars_zh"]
    assert "500.00 元" in made["particulars_zh"]
    assert json.loads(made["form"])["trade"]["contract_sha256"] == live["sha256"]
    refused(venue.buyer(cash_fen=0).get(f"/v1/trades/{trade['trade']}/contract"), 404)


def test_nobody_signs_for_anybody_else(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    other = venue.buyer(cash_fen=0)
    done(venue.offer_contract(merchant, listing), 201)
    sha256 = done(buyer.get(f"/v1/listings/{listing}/contract"), 200)["sha256"]
    text = f"shuji-contract:buyer:{buyer.participant}:{sha256}:{declared_sha256(HONEST)}"
    body = {"sha256": sha256, "declarations": HONEST, "signature": other.sign(text)}
    path = f"/v1/listings/{listing}/contract/signatures"
    refused(buyer.post(path, body), 401, "signature_wrong")
    body["signature"] = buyer.sign(text)
    changed = {**body, "declarations": {**HONEST, "human_research": True}}
    refused(buyer.post(path, changed), 401, "signature_wrong")
    refused(buyer.post(path, {**body, "declarations": {"human_research": True}}), 400, "malformed")
    refused(buyer.post(path, {"sha256": sha256, "signature": body["signature"]}), 400, "malformed")
    refused(merchant.post(path, {**body, "signature": merchant.sign(text)}), 401, "signature_wrong")
    done(buyer.post(path, body), 201)
    refused(buyer.post(path, body), 409, "already_exists")


def test_a_signature_on_an_older_contract_is_told_to_read_again(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    done(venue.offer_contract(merchant, listing), 201)
    old = done(buyer.get(f"/v1/listings/{listing}/contract"), 200)
    done(venue.sign_contract(buyer, listing), 201)
    done(venue.offer_contract(merchant, listing, method="interface"), 201)
    late = venue.send_signature(buyer, listing, "buyer", old["sha256"], HONEST)
    assert "read it again" in refused(late, 409, "wrong_state")["detail"]
    retired = done(buyer.get(f"/v1/contracts/{old['contract']}"), 200)
    assert (retired["state"], retired["text_zh"]) == ("retired", old["text_zh"])
    assert retired["own"] is not None
    assert done(buyer.get(f"/v1/listings/{listing}/contract"), 200)["own"] is None
    done(venue.sign_contract(buyer, listing), 201)


def test_signatures_are_seen_by_whom_they_concern(venue: Venue, merchant: Person, listing: str) -> None:
    done(venue.offer_contract(merchant, listing), 201)
    people = [venue.buyer(cash_fen=0) for _ in range(3)]
    for person in people:
        done(venue.sign_contract(person, listing), 201)
    contract = done(merchant.get(f"/v1/listings/{listing}/contract"), 200)["contract"]
    path = f"/v1/contracts/{contract}/signatures"
    everybody = [person.participant for person in people]
    assert [row["participant"] for row in merchant.every(path, limit=2)] == everybody
    assert [row["participant"] for row in venue.operator.every(path)] == everybody
    assert [row["participant"] for row in people[1].every(path)] == everybody[1:2]
    refused(merchant.get(path, cursor="x"), 400, "malformed")
    refused(merchant.get("/v1/contracts/L999-1/signatures"), 404)


def test_the_command_line_reads_and_signs_where_it_is_told_to(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    def contract(person: Person, *options: str) -> str:
        key = ("--key", str(venue.key_file(person)))
        answer = shuji("contract", listing, "--url", venue.url, *key, *options)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    assert "数据交易标准合同" in contract(merchant)
    assert "未约定" in contract(merchant)
    assert "传输和存储加密" in contract(merchant, "--method", "dataset", "--duty", "encryption")
    assert done(merchant.get(f"/v1/listings/{listing}/contract"), 200)["state"] == "draft"
    said = contract(merchant, "--method", "dataset", "--duty", "encryption", "--accept")
    assert said.strip() == f"{listing}-1-merchant"
    signed = json.loads(contract(buyer, "--accept", "--log-months", "12", "--json"))
    assert signed["declarations"]["log_retention_months"] == 12
    verifies(signed)
    without = shuji("contract", listing, "--url", venue.url, "--accept")
    assert (without.returncode, without.stdout) == (2, "")
