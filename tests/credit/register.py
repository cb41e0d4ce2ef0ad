"""Rows and facts the credit tests are told in."""

import base64

from credit.bureau import Bureau
from credit.conduct import Conduct, ConductKind
from credit.merchant import Participant, Role
from credit.score import DAY_NS

START_NS = 20_000 * DAY_NS
FOREVER_NS = START_NS + 100_000 * DAY_NS
SOUND_USCC = "91110000600037341L"


def key_of(number: int) -> str:
    """A public key nobody else has; the bureau looks at its shape only."""
    return base64.b64encode(number.to_bytes(32, "big")).decode()


def verified(
    name: str, *roles: Role, owner_id: str = "", group_id: str = "", since_ns: int = START_NS
) -> Participant:
    return Participant(
        id=name,
        legal_name=name.title(),
        roles=roles or ("buyer", "merchant"),
        owner_id=owner_id,
        group_id=group_id,
        identity="verified",
        identity_log=((since_ns, "verified"),),
        mandate_until_ns=FOREVER_NS,
        registered_at_ns=since_ns,
    )


def bureau_of(*participants: Participant) -> Bureau:
    bureau = Bureau()
    for participant in participants:
        bureau.admit(participant)
    return bureau


def fact(
    kind: ConductKind,
    counterparty: str = "buyer",
    day: float = 0,
    amount_fen: int = 1_000_000,
    reference: str = "trade-1",
    participant: str = "merchant",
) -> Conduct:
    """One fact about the merchant, `day` days after the start."""
    return Conduct(kind, participant, counterparty, amount_fen, START_NS + int(day * DAY_NS), reference)
