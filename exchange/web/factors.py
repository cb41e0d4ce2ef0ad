"""A person at a console: a password and a one-time code, set with the participant's own key, and the login by both.

    POST /v1/participants/me/password {password, signature}   the own key signs for it
    POST /v1/participants/me/totp      -> secret              shown once; counts once a code of it was right
    POST /v1/participants/me/totp/confirm {code}
    POST /v1/console/login {participant, password, code} -> token, for all but the scope `account`

Wrong passwords and wrong codes are answered alike, and so is an account that has neither. What signs for the participant is
its own key all the same: contracts, withdrawals, keys.
"""

from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct

from exchange.events import Refused, SecretSet, SetSecret
from exchange.keys import password_text
from exchange.state import State
from exchange.web import hashing, passwords
from exchange.web.access import CONSOLE, Seat, console_key, signed_by
from exchange.web.instant import text_of
from exchange.web.logins import Account, open_session
from exchange.web.operation import Call, Id, Operation
from exchange.web.participants import Session, Signature
from exchange.web.problem import Refusing
from exchange.web.scopes import BITS, EVERYTHING, names_of

CONSOLE_SCOPES: Final = EVERYTHING & ~BITS["account"]

Password = Annotated[
    str, Meta(max_length=hashing.LONGEST, description="12 to 200 characters; a sentence does well")
]
Code = Annotated[str, Meta(max_length=10, description="six digits of an authenticator app")]


class NewPassword(Struct, kw_only=True, forbid_unknown_fields=True):
    """`signature`, by the participant's own key, is over `shuji-password:<participant>:<SHA-256 of the password, hex>`."""

    password: Password
    signature: Signature


class Confirmation(Struct, kw_only=True, forbid_unknown_fields=True):
    code: Code


class ConsoleLogin(Struct, kw_only=True, forbid_unknown_fields=True):
    participant: Id
    password: Password
    code: Code


class FactorView(Struct):
    """What of a password and a second factor counts now."""

    participant: str
    password: bool
    totp: bool


class TotpView(Struct):
    """Shown this once: type `secret` into an authenticator app, or show it `uri` as a QR code; then confirm a code."""

    secret: str
    uri: str


# ---- setting


async def set_password(call: Call, body: NewPassword) -> FactorView:
    """Another password ends the sessions that the one before has opened."""
    participant = call.participant
    own = await call.read(lambda state: state.bureau.participants[participant].public_key)
    if not signed_by(own, password_text(participant, body.password), body.signature):
        detail = (
            f"sign the text shuji-password:{participant}:<SHA-256 of the password, hex> with your own key"
        )
        raise Refusing(Refused.signature_wrong, detail)
    if (fault := hashing.password_fault(body.password)) is not None:
        raise Refusing(Refused.out_of_bounds, fault)
    async with call.desk.hashing.place() as place:
        kept = await place.run(lambda: hashing.hashed(body.password))
    sha256 = await passwords.keep(call.desk, participant, "password", kept)
    return await _count(call, "password", sha256)


async def take_away(call: Call, asked: None) -> Response[None]:
    """Password and second factor: nobody enters at a console any more."""
    participant = call.participant
    await call.submit(SetSecret(actor=participant, key=call.key, kind="password", signer=_own_key(call)))
    for kind in ("password", "totp"):
        await passwords.drop_others(call.desk, participant, kind, "")
    return Response(None, status_code=204)


async def make_totp(call: Call, asked: None) -> TotpView:
    """A new secret, that counts once it is confirmed; until then the one before does."""
    desk, participant = call.desk, call.participant
    counts = await call.read(lambda state: passwords.kept_in(state, participant, "totp"))
    await passwords.drop_others(desk, participant, "totp", counts)
    secret = hashing.new_totp()
    await passwords.keep(desk, participant, "totp", secret.encode())
    return TotpView(secret, hashing.totp_uri(secret, participant, desk.name))


async def confirm_totp(call: Call, body: Confirmation) -> FactorView:
    desk, participant, now_ns = call.desk, call.participant, call.now_ns
    counts = await call.read(lambda state: passwords.kept_in(state, participant, "totp"))
    waiting = await passwords.waiting_totp(desk, participant, counts)
    if waiting is None:
        raise Refusing(
            Refused.wrong_state, "no secret waits for its code: POST /v1/participants/me/totp first"
        )
    sha256, secret = waiting
    await passwords.count_try(desk, participant, now_ns)
    step = hashing.step_of(secret, body.code, now_ns)
    if step is None or not await passwords.serve_once(desk, participant, step):
        detail = (
            "the code is not of this secret and this half-minute: look at the app's clock and the venue's"
        )
        raise Refusing(Refused.signature_wrong, detail)
    await passwords.forgive(desk, participant)
    return await _count(call, "totp", sha256)


def _own_key(call: Call) -> str:
    """Of whoever asks, as it stands while its token is good: only logins with it have the scope `account`."""
    return call.desk.people()[call.participant].public_key


async def _count(call: Call, kind: str, sha256: str) -> FactorView:
    """From now on this row counts. Where that is refused it goes again.

    Its salt is new each time, so the command has no id: what is sent again is set again, to the same.
    """
    participant = call.participant
    try:
        command = SetSecret(actor=participant, kind=kind, sha256=sha256, signer=_own_key(call))
        outcome = await call.submit(command)
    except Refusing:
        counts = await call.read(lambda state: passwords.kept_in(state, participant, kind))
        await passwords.drop_others(call.desk, participant, kind, counts)
        raise
    event = outcome.events[0]
    assert isinstance(event, SecretSet)
    await passwords.drop_others(call.desk, participant, kind, event.sha256)
    return await show(call, None)


async def show(call: Call, asked: None) -> FactorView:
    participant = call.participant

    def look(state: State) -> FactorView:
        kinds = [kind for kind in ("password", "totp") if passwords.kept_in(state, participant, kind)]
        return FactorView(participant, "password" in kinds, "totp" in kinds)

    return await call.read(look)


# ---- the login


def _account(state: State, participant: str) -> Account | None:
    row, entrance = state.bureau.participants.get(participant), state.entrances.get(participant)
    if row is None:
        return None
    generation = 0 if entrance is None else entrance.generation
    named = console_key(entrance) or CONSOLE
    return Account(
        row.id, row.public_key, row.key_number, row.roles, row.status, generation, CONSOLE_SCOPES, named
    )


async def prove(call: Call, participant: str, password: str, code: str) -> Account:
    """Whoever knows the password and has the code of now. Raises Refusing, and says not which of them was wrong."""
    async with call.desk.hashing.place() as place:
        account = await call.read(lambda state: _account(state, participant))
        if account is not None:
            await passwords.count_try(call.desk, participant, call.now_ns)
        hash_text, secret = await _secrets(call, participant)
        knows = await place.run(lambda: hashing.fits(password, hash_text))
    step = None if secret is None else hashing.step_of(secret.decode(), code, call.now_ns)
    served = knows and step is not None and await passwords.serve_once(call.desk, participant, step)
    if account is None or not served:
        raise Refusing(
            Refused.signature_wrong, "participant, password or code is wrong; a code serves once, for 30 s"
        )
    await passwords.forgive(call.desk, participant)
    return account


async def _secrets(call: Call, participant: str) -> list[bytes | None]:
    """The password's hash and the second factor's secret, where they count."""
    kept = await call.read(
        lambda state: [passwords.kept_in(state, participant, kind) for kind in ("password", "totp")]
    )
    return [await passwords.read(call.desk, sha256) for sha256 in kept]


async def login(call: Call, body: ConsoleLogin) -> Session:
    account = await prove(call, body.participant, body.password, body.code)
    token, seat = await open_session(call, account, ())
    return session_view(token, seat, account)


def session_view(token: str, seat: Seat, account: Account) -> Session:
    until = text_of(seat.until_ns)
    return Session(
        token, seat.participant, account.roles, until, names_of(seat.scopes), seat.session, "console"
    )


_SIGNATURE: Final = (
    "c2lnbmF0dXJlIG9mIHRoZSB0ZXh0LCA2NCByYXcgYnl0ZXMgaW4gYmFzZTY0LCBhcyBFZDI1NTE5IGdpdmVzIGl0Lg=="
)
_SHOWN: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
_BOTH: Final = {"participant": "P2", "password": True, "totp": True}

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/participants/me/password", set_password, "Set a password for the console, signed by your own key",
        "identity", asks=NewPassword, answers=FactorView, refused=(Refused.signature_wrong, Refused.standing_denied),
        example={"password": "八个字不够长的话就多写几个字", "signature": _SIGNATURE},
        example_answer=_BOTH | {"totp": False},
    ),
    Operation(
        "GET", "/v1/participants/me/password", show, "Whether a password and a second factor count", "identity",
        answers=FactorView, example_answer=_BOTH,
    ),
    Operation(
        "DELETE", "/v1/participants/me/password", take_away, "Take password and second factor away", "identity",
        status=204, refused=(Refused.not_found, Refused.id_conflict, Refused.standing_denied),
    ),
    Operation(
        "POST", "/v1/participants/me/totp", make_totp, "A new secret for one-time codes, shown once", "identity",
        status=201, answers=TotpView,
        example_answer={"secret": _SHOWN, "uri": f"otpauth://totp/Shuji:P2?secret={_SHOWN}&issuer=Shuji"},
    ),
    Operation(
        "POST", "/v1/participants/me/totp/confirm", confirm_totp, "Confirm the secret by a code of it: it counts now",
        "identity", asks=Confirmation, answers=FactorView, example={"code": "287082"}, example_answer=_BOTH,
        refused=(Refused.signature_wrong, Refused.wrong_state, Refused.rate_limited, Refused.standing_denied),
    ),
    Operation(
        "POST", "/v1/console/login", login, "Sign in with password and one-time code, for all but the scope account",
        "identity", asks=ConsoleLogin, answers=Session, signed_in=False,
        refused=(Refused.signature_wrong, Refused.forbidden, Refused.rate_limited, Refused.standing_denied),
        example={"participant": "P2", "password": "八个字不够长的话就多写几个字", "code": "287082"},
        example_answer={"token": "P2.0.console-9f86.0.31.1795429800000000000.r4nd.mac", "participant": "P2",
                        "roles": ["merchant"], "expires_at": "2026-11-23T10:30:00Z", "session": "b7XvQ2_k9LmN0aZc",
                        "named_key": "console", "scopes": ["read", "trade", "list", "money", "office"]},
    ),
)  # fmt: skip
