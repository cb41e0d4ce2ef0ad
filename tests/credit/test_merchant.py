"""The register: three lives as tables, who decides, and what a number must look like."""

import base64
from itertools import product
from typing import get_args

import pytest

from credit.merchant import (
    CLASSES,
    CLOCK_STEPS,
    CREDENTIAL,
    DECIDING_ROLES,
    IDENTITY,
    OWN_STEPS,
    STATUS,
    WORDS,
    Class,
    Code,
    Credential,
    Identity,
    Participant,
    Restriction,
    Status,
    Step,
    accredited_for,
    check_public_key,
    check_region,
    check_uscc,
    file_of,
    given,
    identity_as_of,
    left,
    may,
    same_controller,
    step,
    variant,
    verified_since_ns,
)
from tests.credit.register import FOREVER_NS, SOUND_USCC, START_NS, key_of, verified

REVIEWER = verified("reviewer", "reviewer")
OPERATOR = verified("operator", "operator")


def newcomer() -> Participant:
    return Participant(id="merchant", legal_name="Merchant", roles=("merchant",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SOUND_USCC, None),
        ("91350100M000100Y43", None),
        ("9111000060003734", "18 characters"),
        ("91110000600037341M", "check digit"),
        ("91110000600037314L", "check digit"),
        ("A1110000600037341L", "8 digits"),
        ("9111000060003734IL", "8 digits"),
        ("91110000600037341l", "capital letters"),
        ("9111 0000600037341L", "without blanks"),
        ("", "18 characters"),
    ],
)
def test_a_credit_code_is_refused_in_words_that_say_what_to_do(text: str, says: str | None) -> None:
    reason = check_uscc(text)
    assert (reason is None) if says is None else (reason is not None and says in reason)


def test_a_public_key_is_32_bytes_in_base64() -> None:
    assert check_public_key(key_of(7)) is None
    assert "31 bytes" in str(check_public_key("A" * 40 + "AA=="))
    assert "base64" in str(check_public_key("not a key"))
    assert "base64" in str(check_public_key("公钥"))


def test_one_key_has_one_spelling() -> None:
    """Else one key could be two people."""
    known = base64.b64encode(bytes(31) + b"\x08").decode()
    other = known[:42] + chr(ord(known[42]) + 1) + "="
    assert base64.b64decode(other, validate=True) == base64.b64decode(known)
    assert check_public_key(known) is None
    assert "canonical" in str(check_public_key(other))


@pytest.mark.parametrize(
    "raw", [b"\1" + bytes(31), b"\1" + bytes(30) + b"\x80", bytes(32), b"\xec" + b"\xff" * 31]
)
def test_a_key_whose_signature_fits_every_text_is_none(raw: bytes) -> None:
    assert "small order" in str(check_public_key(base64.b64encode(raw).decode()))


def test_a_region_is_iso_3166() -> None:
    assert check_region("CN-46") is None
    assert check_region("CN") is None
    assert check_region("") is not None
    assert check_region("hainan") is not None
    assert check_region("CN-46\n") is not None


def test_what_is_not_in_a_table_cannot_happen() -> None:
    states = product(get_args(Identity), get_args(Credential), get_args(Status), get_args(Step))
    for identity, credential, status, taken in states:
        row = newcomer()
        row.identity, row.credential, row.status = identity, credential, status
        known = (
            (identity, taken) in IDENTITY or (credential, taken) in CREDENTIAL or (status, taken) in STATUS
        )
        if status == "closed":
            assert may(row, taken, OPERATOR, START_NS) == "participant_closed"
        elif not known:
            assert may(row, taken, OPERATOR, START_NS) == "step_impossible"
            with pytest.raises(AssertionError):
                step(row, taken, START_NS)


def test_every_step_has_a_table_and_somebody_to_take_it() -> None:
    for taken in get_args(Step):
        tables = [table for table in (IDENTITY, CREDENTIAL, STATUS) if any(key[1] == taken for key in table)]
        assert len(tables) == 1, taken
        takers = [taken in OWN_STEPS, taken in DECIDING_ROLES, taken in CLOCK_STEPS]
        assert takers.count(True) == 1, taken
    assert set(WORDS) == set(get_args(Code))


def test_from_registration_to_accreditation() -> None:
    row = newcomer()
    assert may(row, "apply", row, START_NS) == "identity_not_verified"
    assert may(row, "verify", REVIEWER, START_NS) is None
    step(row, "verify", START_NS, "reviewer", until_ns=FOREVER_NS)
    assert may(row, "apply", row, START_NS) is None
    step(row, "apply", START_NS + 1)
    assert may(row, "accredit", REVIEWER, START_NS) is None
    step(row, "accredit", START_NS + 2, "reviewer", until_ns=FOREVER_NS, number="DM-1")
    assert (row.identity, row.credential, row.credential_number) == ("verified", "accredited", "DM-1")
    assert (row.verified_by, row.accredited_by) == ("reviewer", "reviewer")


@pytest.mark.parametrize("taken", ["verify", "suspend", "ban", "close"])
def test_nobody_decides_their_own_case(taken: Step) -> None:
    decider = verified("both", "operator", "reviewer")
    assert may(decider, taken, decider, START_NS) == "own_case"
    sister = verified("sister", "operator", "reviewer", owner_id="boss")
    subject = newcomer()
    subject.owner_id = "boss"
    assert may(subject, taken, sister, START_NS) == "own_case"


def test_who_may_decide() -> None:
    row = newcomer()
    assert may(row, "verify", None, START_NS) == "decider_required"
    assert may(row, "verify", OPERATOR, START_NS) == "decider_not_entitled"
    assert may(row, "suspend", REVIEWER, START_NS) == "decider_not_entitled"
    row.identity = "refused"
    assert may(row, "resubmit", REVIEWER, START_NS) == "decider_not_entitled"
    row.identity = "unverified"
    banned = verified("banned", "reviewer")
    banned.ban_until_ns = START_NS + 1
    assert may(row, "verify", banned, START_NS) == "decider_not_entitled"
    assert may(row, "verify", banned, START_NS + 1) is None


def test_what_the_credential_waits_for() -> None:
    row = verified("merchant", "merchant")
    row.ban_until_ns = START_NS + 5
    row.credential = "revoked"
    assert may(row, "apply", row, START_NS) == "participant_banned"
    assert may(row, "apply", row, START_NS + 5) is None
    row.status = "suspended"
    assert may(row, "apply", row, START_NS + 5) == "participant_suspended"
    row.status, row.mandate_until_ns = "active", START_NS
    assert may(row, "apply", row, START_NS + 5) == "mandate_expired"
    row.roles = ("buyer",)
    assert may(row, "apply", row, START_NS + 5) == "not_merchant"


def test_a_class_of_services_is_for_legal_persons() -> None:
    row = verified("merchant", "buyer")
    assert may(row, "apply", row, START_NS) == "not_merchant"
    assert may(row, "apply", row, START_NS, ("notary",)) == "not_legal_person"
    row.uscc = SOUND_USCC
    assert may(row, "apply", row, START_NS, ("notary",)) is None
    assert may(row, "apply", row, START_NS, ("merchant", "notary")) == "not_merchant"
    assert set(CLASSES) == set(get_args(Class))


def test_nothing_is_accredited_while_documents_are_missing() -> None:
    row = verified("merchant", "merchant")
    step(row, "apply", START_NS, scope=Restriction(("merchant",), ("general",)))
    step(row, "request_documents", START_NS, "reviewer", reasons=("the report is missing",))
    file_of(row).asked = ("the report",)
    assert may(row, "accredit", REVIEWER, START_NS) == "documents_missing"
    assert may(row, "refuse_credential", REVIEWER, START_NS) is None


def test_what_is_restricted_is_left_over_by_suspension_and_date() -> None:
    row = verified("merchant", "merchant")
    whole = Restriction(("broker", "merchant"), ("general", "health"))
    row.uscc = SOUND_USCC
    step(row, "apply", START_NS, scope=whole)
    step(row, "accredit", START_NS, "reviewer", until_ns=FOREVER_NS, scope=whole)
    step(row, "restrict", START_NS, "reviewer", scope=Restriction(("merchant",), ("health",)))
    assert (row.credential, given(row), left(row)) == (
        "restricted",
        whole,
        Restriction(("merchant",), ("health",)),
    )
    assert accredited_for(row, "merchant", START_NS)
    assert not accredited_for(row, "broker", START_NS)
    assert not accredited_for(row, "merchant", FOREVER_NS)
    step(row, "suspend_credential", START_NS, "reviewer")
    assert not accredited_for(row, "merchant", START_NS)
    step(row, variant(row, "restore_credential"), START_NS, "reviewer")
    assert row.credential == "restricted"
    step(row, "expire", START_NS)
    step(row, variant(row, "renew"), START_NS, "reviewer", until_ns=FOREVER_NS)
    assert (row.credential, left(row).boards) == ("restricted", ("health",))
    step(row, "unrestrict", START_NS, "reviewer", scope=whole)
    assert (row.credential, left(row)) == ("accredited", whole)


def test_a_refused_row_is_mended_and_its_past_is_kept() -> None:
    row = newcomer()
    step(row, "verify", START_NS, "reviewer", until_ns=FOREVER_NS)
    assert may(row, "resubmit", row, START_NS) == "step_impossible", "what was verified stands"
    step(row, "refuse_identity", START_NS + 10, "reviewer", reasons=("the licence is another's",))
    assert may(row, "resubmit", row, START_NS + 10) is None
    step(row, "resubmit", START_NS + 10, changes={"legal_name": "New Name"})
    assert (row.identity, row.legal_name) == ("unverified", "New Name")
    assert identity_as_of(row, START_NS - 1) == "unverified"
    assert identity_as_of(row, START_NS + 9) == "verified"
    assert verified_since_ns(row, START_NS + 9) == START_NS
    assert verified_since_ns(row, START_NS + 10) is None
    with pytest.raises(AssertionError):
        step(row, "resubmit", START_NS + 11, changes={"roles": "operator"})


def test_a_ban_ends_by_itself_and_can_be_lifted() -> None:
    row = verified("merchant", "merchant")
    step(row, "ban", START_NS, "operator", until_ns=FOREVER_NS, reasons=("misuse",))
    assert (row.status, row.ban_until_ns, row.ban_reason) == ("active", FOREVER_NS, "misuse")
    step(row, "lift_ban", START_NS, "operator")
    assert (row.ban_until_ns, row.ban_reason) == (0, "")


def test_one_controller() -> None:
    alone, other = verified("a"), verified("b")
    assert same_controller(alone, alone)
    assert not same_controller(alone, other)
    assert same_controller(verified("a", owner_id="x"), verified("b", owner_id="x"))
    assert same_controller(verified("a", group_id="g"), verified("b", group_id="g"))
    assert same_controller(verified("a"), verified("b", owner_id="a"))
    assert not same_controller(verified("a", owner_id="x"), verified("b", owner_id="y"))
