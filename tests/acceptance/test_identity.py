"""Issue, "The path of a trade", steps 1 and 2: who may do what, and how the venue knows."""

import stat
from typing import Any

import pytest

from tests.story import Person, Venue, done, invented_uscc, parsed, refused, sha256_of


@pytest.fixture(scope="module")
def listing(venue: Venue) -> str:
    return venue.listing(venue.merchant())


def challenge_of(venue: Venue, person: Person) -> str:
    body = {"participant": person.participant}
    return str(done(venue.http.post("/v1/login/challenge", json=body))["challenge"])


def answered(venue: Venue, person: Person, challenge: str, signature: str) -> Any:
    body = {"participant": person.participant, "challenge": challenge, "signature": signature}
    return venue.http.post("/v1/login", json=body)


def with_token(venue: Venue, token: str) -> Any:
    return venue.http.get("/v1/participants/me", headers={"Authorization": f"Bearer {token}"})


# -- step 1: register, sign in


def test_register_with_a_key_and_sign_in_by_a_challenge(venue: Venue) -> None:
    person = venue.participant("buyer")
    me = done(person.get("/v1/participants/me"), 200)
    assert me["participant"] == person.participant
    assert me["roles"] == ["buyer"]
    assert me["identity"] == "unverified"


def test_one_may_sign_in_by_public_key(venue: Venue) -> None:
    person = venue.participant("buyer")
    asked = venue.http.post("/v1/login/challenge", json={"public_key": person.public_key})
    challenge = done(asked)["challenge"]
    body = {"public_key": person.public_key, "challenge": challenge, "signature": person.sign(challenge)}
    assert done(venue.http.post("/v1/login", json=body))["participant"] == person.participant


def test_registration_proves_possession_of_the_key(venue: Venue) -> None:
    thief, owner = venue.stranger(), venue.stranger()
    answer = venue.register(thief, "buyer", public_key=owner.public_key)
    refused(answer, 401, "signature_wrong")


def test_a_key_is_registered_once_and_a_code_verified_once(venue: Venue) -> None:
    person, twin, late = venue.participant("buyer"), venue.stranger(), venue.stranger()
    refused(venue.register(person, "buyer"), 409, "already_exists")
    twin.uscc = late.uscc = person.uscc
    done(venue.register(twin, "buyer"), 201)
    done(venue.verify_identity(person))
    refused(venue.register(late, "buyer"), 409, "already_exists")


def test_a_wrong_signature_gives_no_token(venue: Venue) -> None:
    person, other = venue.participant("buyer"), venue.participant("buyer")
    challenge = challenge_of(venue, person)
    refused(answered(venue, person, challenge, other.sign(challenge)), 401)


def test_an_unknown_participant_is_answered_like_a_wrong_signature(venue: Venue) -> None:
    known, nobody = venue.participant("buyer"), venue.stranger()
    nobody.participant = "P999999"
    challenge = challenge_of(venue, known)
    wrong = answered(venue, known, challenge, nobody.sign(challenge))
    challenge = challenge_of(venue, nobody)
    unknown = answered(venue, nobody, challenge, nobody.sign(challenge))
    assert refused(wrong, 401)["code"] == refused(unknown, 401)["code"]


def test_a_challenge_serves_once(venue: Venue) -> None:
    person = venue.participant("buyer")
    challenge = challenge_of(venue, person)
    done(answered(venue, person, challenge, person.sign(challenge)))
    refused(answered(venue, person, challenge, person.sign(challenge)), 401)


def test_a_challenge_ends_after_60_seconds(venue: Venue) -> None:
    person = venue.participant("buyer")
    challenge = challenge_of(venue, person)
    venue.advance(seconds=61)
    refused(answered(venue, person, challenge, person.sign(challenge)), 401)


def test_a_token_is_short_lived(venue: Venue) -> None:
    person = venue.participant("buyer")
    challenge = challenge_of(venue, person)
    given = done(answered(venue, person, challenge, person.sign(challenge)))
    assert 29 * 60 <= (parsed(given["expires_at"]) - venue.now()).total_seconds() <= 30 * 60 + 5
    assert with_token(venue, given["token"]).status_code == 200
    venue.advance(seconds=31 * 60)
    ended = with_token(venue, given["token"])
    refused(ended, 401, "not_signed_in")
    assert ended.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "change", [lambda t: t[:-4] + "AAAA", lambda t: t[4:], lambda t: "x", lambda t: t * 3]
)
def test_a_forged_token_is_refused(venue: Venue, change: Any) -> None:
    refused(with_token(venue, change(venue.desk.token)), 401, "not_signed_in")


def test_the_first_start_makes_an_operator_key_for_its_owner_alone(venue: Venue) -> None:
    assert stat.S_IMODE((venue.data / "operator.key").stat().st_mode) == 0o600
    assert "operator" in done(venue.operator.get("/v1/participants/me"), 200)["roles"]


@pytest.mark.parametrize("role", ["operator", "reviewer", "auditor", "regulator"])
def test_nobody_takes_an_office_by_registering(venue: Venue, role: str) -> None:
    answer = venue.register(venue.stranger(), role)
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize("role", ["reviewer", "operator", "auditor", "regulator"])
def test_the_operator_grants_offices(venue: Venue, role: str) -> None:
    person = venue.participant()
    path = f"/v1/participants/{person.participant}/roles"
    refused(venue.desk.post(path, {"role": role}), 403, "forbidden")
    done(venue.operator.post(path, {"role": role}))
    assert role in done(person.get("/v1/participants/me"), 200)["roles"]


# -- step 2: identity and accreditation


def test_the_check_digit_of_the_credit_code_is_checked(venue: Venue) -> None:
    person = venue.stranger()
    right = person.uscc
    person.uscc = right[:-1] + ("1" if right[-1] != "1" else "2")
    refused(venue.register(person, "buyer"), 422, "identity_invalid")


@pytest.mark.parametrize("code", ["", "123", "91460000TE000001X", "x" * 18])
def test_a_trading_participant_needs_a_credit_code(venue: Venue, code: str) -> None:
    person = venue.stranger()
    person.uscc = code
    refused(venue.register(person, "merchant"), 422, "identity_invalid")


def test_the_unverified_may_browse_only(venue: Venue, listing: str) -> None:
    person = venue.participant("buyer", "merchant")
    assert done(person.get("/v1/catalogue"), 200)["items"]
    product = done(person.get(f"/v1/listings/{listing}"), 200)["product"]
    done(person.get(f"/v1/products/{product}/sample"), 200)
    refused(venue.order(person, listing), 403, "not_verified")


def test_a_reviewer_verifies_and_the_buyer_trades(venue: Venue, listing: str) -> None:
    person = venue.participant("buyer")
    waiting = {item["participant"] for item in venue.desk.every("/v1/participants", identity="unverified")}
    assert person.participant in waiting
    done(venue.verify_identity(person))
    venue.cash_in(person, 1_000_000)
    venue.trade(person, listing)


def test_a_refused_identity_has_its_reasons_and_may_not_trade(venue: Venue, listing: str) -> None:
    person = venue.participant("buyer")
    done(venue.verify_identity(person, accept=False, reasons=["授权书缺少签章"]))
    me = done(person.get("/v1/participants/me"), 200)
    assert me["identity"] == "refused"
    assert "授权书缺少签章" in str(me)
    refused(venue.order(person, listing), 403, "not_verified")


def test_an_agents_mandate_ends(venue: Venue, listing: str) -> None:
    person = venue.buyer(mandate_until=venue.in_days(1))
    venue.trade(person, listing)
    venue.advance(days=2)
    refused(venue.order(person, listing), 403, "not_verified", "standing_denied")


@pytest.mark.parametrize("role", ["buyer", "merchant"])
def test_only_a_reviewer_decides_on_identity(venue: Venue, role: str) -> None:
    person, neighbour = venue.participant(role), venue.buyer(cash_fen=0)
    refused(venue.verify_identity(person, by=neighbour), 403, "forbidden")
    refused(venue.verify_identity(person, by=venue.operator), 403, "forbidden")


def test_nobody_decides_their_own_case(venue: Venue) -> None:
    person = venue.participant("merchant")
    done(venue.operator.post(f"/v1/participants/{person.participant}/roles", {"role": "reviewer"}))
    refused(venue.verify_identity(person, by=person), 403, "own_case")
    done(venue.verify_identity(person))
    done(person.post("/v1/participants/me/accreditation", {"evidence_sha256": sha256_of("application")}))
    answer = venue.accreditation(person, "accredit", by=person, valid_until=venue.in_days(300))
    refused(answer, 403, "own_case")


def test_owner_and_group_are_recorded_by_the_reviewer(venue: Venue) -> None:
    person = venue.buyer(cash_fen=0, owner_id="owner-X", group_id="group-X")
    seen = done(venue.desk.get(f"/v1/participants/{person.participant}"), 200)
    assert (seen["owner_id"], seen["group_id"]) == ("owner-X", "group-X")


def test_the_unaccredited_cannot_register_or_list(venue: Venue) -> None:
    person = venue.participant("merchant")
    done(venue.verify_identity(person))
    refused(venue.submit_product(person), 403, "not_accredited")
    done(person.post("/v1/participants/me/accreditation", {"evidence_sha256": sha256_of("application")}))
    refused(venue.submit_product(person), 403, "not_accredited")


def test_an_accreditation_has_a_number_and_a_life(venue: Venue) -> None:
    merchant = venue.merchant()
    assert done(merchant.get("/v1/participants/me"), 200)["credential"] == "accredited"
    refused(venue.accreditation(merchant, "restore"), 409, "wrong_state")
    done(venue.discipline(merchant, "suspend"))
    refused(venue.submit_product(merchant), 403, "not_accredited")
    done(venue.accreditation(merchant, "restore"))
    done(venue.submit_product(merchant), 201)
    done(venue.discipline(merchant, "revoke"))
    refused(venue.accreditation(merchant, "restore"), 409, "wrong_state")
    refused(venue.submit_product(merchant), 403, "not_accredited")


def test_an_accreditation_is_applied_for_and_may_be_refused(venue: Venue) -> None:
    person = venue.participant("merchant")
    done(venue.verify_identity(person))
    refused(venue.accreditation(person, "accredit", valid_until=venue.in_days(300)), 409, "wrong_state")
    done(person.post("/v1/participants/me/accreditation", {"evidence_sha256": sha256_of("application")}))
    applied = {item["participant"] for item in venue.desk.every("/v1/participants", credential="applied")}
    assert person.participant in applied
    done(venue.accreditation(person, "refuse", reasons=["材料不全"]))
    refused(venue.submit_product(person), 403, "not_accredited")


def test_an_accreditation_ends_by_its_date(venue: Venue) -> None:
    merchant = venue.merchant(credential_days=1)
    done(venue.submit_product(merchant), 201)
    venue.advance(days=2)
    refused(venue.submit_product(merchant), 403, "not_accredited")


# -- personal data


def test_public_facts_hold_nothing_personal(venue: Venue) -> None:
    person, neighbour = venue.participant("buyer"), venue.buyer(cash_fen=0)
    seen = done(neighbour.get(f"/v1/participants/{person.participant}"), 200)
    assert seen["legal_name"] == person.name
    assert "张三" not in str(seen)
    assert "zhangsan" not in str(seen)


def test_the_journal_holds_nothing_personal(venue: Venue) -> None:
    agent = {"name": "欧阳测试", "contact": "ouyang@shuji.example", "id_number": "460000199001010000"}
    done(venue.register(venue.stranger(), "buyer", agent=agent), 201)
    journal = str(list(venue.auditor().every("/v1/journal", limit=100)))
    assert not any(value in journal for value in agent.values())


def test_the_personal_row_can_be_erased_by_its_subject_or_the_operator(venue: Venue) -> None:
    person, other = venue.participant("buyer"), venue.participant("buyer")
    path = f"/v1/participants/{person.participant}/personal"
    assert other.delete(path).status_code in (403, 404)
    assert person.delete(path).status_code == 204
    assert venue.operator.delete(f"/v1/participants/{other.participant}/personal").status_code == 204
    assert "张三" not in str(done(venue.desk.get(f"/v1/participants/{person.participant}"), 200))


def test_invented_codes_differ() -> None:
    assert len({invented_uscc() for _ in range(50)}) == 50


# -- stolen keys and bad officials


def key_body(person: Person, fresh: Person, **changes: Any) -> dict[str, Any]:
    text = f"shuji-key:{person.participant}:{fresh.public_key}"
    return {
        "public_key": fresh.public_key,
        "signature": fresh.sign(text),
        "old_signature": person.sign(text),
        **changes,
    }


def test_a_replaced_key_and_its_tokens_open_nothing(venue: Venue) -> None:
    person, fresh = venue.buyer(), venue.stranger()
    fresh.participant = person.participant
    unsigned = key_body(person, fresh, old_signature=fresh.sign("something else"))
    refused(person.post("/v1/participants/me/key", unsigned), 401, "signature_wrong")
    done(person.post("/v1/participants/me/key", key_body(person, fresh)), 200)
    refused(person.get("/v1/participants/me"), 401, "not_signed_in")
    refused(person.post("/v1/orders", {"listing": "L1", "quantity": 1}), 401, "not_signed_in")
    refused(answered(venue, person, (asked := challenge_of(venue, person)), person.sign(asked)), 401)
    assert done(fresh.get("/v1/participants/me"), 200)["participant"] == person.participant


def test_an_operator_replaces_a_stolen_key(venue: Venue) -> None:
    person, fresh = venue.buyer(), venue.stranger()
    fresh.participant = person.participant
    done(person.get("/v1/participants/me"), 200)
    path = f"/v1/participants/{person.participant}/key"
    body = key_body(person, fresh, reason="stolen")
    del body["old_signature"]
    refused(venue.buyer().post(path, body), 403, "forbidden")
    refused(venue.operator.post(path, {**body, "signature": person.sign("x")}), 401, "signature_wrong")
    done(venue.operator.post(path, body), 200)
    refused(person.get("/v1/participants/me"), 401, "not_signed_in")
    assert done(fresh.get("/v1/participants/me"), 200)["participant"] == person.participant


def test_a_suspended_account_is_shut_until_it_is_resumed(venue: Venue) -> None:
    person = venue.buyer()
    path = f"/v1/participants/{person.participant}/status"
    done(person.get("/v1/participants/me"), 200)
    refused(person.post(path, {"step": "suspend", "reason": "x"}), 403, "forbidden")
    answer = done(venue.operator.post(path, {"step": "suspend", "reason": "key stolen"}), 200)
    assert answer == {"participant": person.participant, "status": "suspended", "reason": "key stolen"}
    refused(person.get("/v1/participants/me"), 401, "not_signed_in")
    refused(answered(venue, person, (asked := challenge_of(venue, person)), person.sign(asked)), 403)
    done(venue.operator.post(path, {"step": "resume", "reason": "found"}), 200)
    done(person.get("/v1/participants/me"), 200)


def test_an_office_is_taken_away(venue: Venue) -> None:
    reviewer = venue.official("reviewer")
    path = f"/v1/participants/{reviewer.participant}/role-revocations"
    done(venue.operator.post(path, {"role": "reviewer", "reason": "left"}), 201)
    refused(reviewer.get("/v1/participants"), 403, "forbidden")
    assert done(reviewer.get("/v1/participants/me"), 200)["roles"] == []


def test_a_refused_identity_is_mended(venue: Venue) -> None:
    person = venue.participant("buyer")
    body = {"legal_name": "改名公司", "uscc": person.uscc, "evidence_sha256": sha256_of("the right licence")}
    refused(person.post("/v1/participants/me/identity", body), 409, "wrong_state")
    done(venue.verify_identity(person, accept=False, reasons=["the name is another's"]))
    done(person.post("/v1/participants/me/identity", body), 201)
    me = done(person.get("/v1/participants/me"), 200)
    assert (me["identity"], me["legal_name"]) == ("unverified", "改名公司")
    assert me["identity_evidence_sha256"] == sha256_of("the right licence")
    done(venue.verify_identity(person))
