"""The contract of a listing: what it says, what to sign, who has signed."""

from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Any, Final, cast

from litestar import Response
from msgspec import Meta, Struct

from clearing import contract as standard
from clearing.contract import Contract, Declarations, Duty, Method, Particulars, Security, signing_text
from exchange.contract import (
    draft,
    drawn_up,
    may_buy,
    merchants_signature,
    next_version,
    own_signatures,
    standard_terms,
)
from exchange.events import (
    ContractOffered,
    ContractSigned,
    OfferContract,
    Refusal,
    Refused,
    SignContract,
)
from exchange.listing import may_see
from exchange.state import Agreement, Listing, Signature, State
from exchange.web.access import signed_by
from exchange.web.instant import text_of
from exchange.web.operation import Call, Operation, Paging, Sha256
from exchange.web.problem import Refusing
from exchange.web.trades import seen_trade

SignedBytes = Annotated[str, Meta(max_length=128, description="base64 Ed25519 signature of `to_sign`")]


class ContractQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the merchant would agree: it sees the contract as it would sign it. `duties` are separated by commas."""

    method: Method = ""
    duties: Annotated[str, Meta(max_length=200)] = ""


class SignatureBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A buyer sends `declarations`, the listing's merchant `security`.

    `signature` is over the ASCII text `shuji-contract:<merchant|buyer>:<participant>:<sha256>:<declared>`, where `sha256`
    is the contract's and `declared` the SHA-256 of what is declared: JSON with every field, keys sorted, no spaces,
    integers as decimal strings.
    """

    sha256: Sha256
    signature: SignedBytes
    declarations: Declarations | None = None
    security: Security | None = None


class SignatureView(Struct, omit_defaults=True, kw_only=True):
    """A signature with what was declared under it. `text` is what was signed."""

    signature_id: str
    contract: str
    participant: str
    text: str
    public_key: str
    signature: str
    signed: str
    declarations: Declarations | None = None
    security: Security | None = None


class ContractView(Struct, kw_only=True):
    """`text_zh` prevails over `text_en`; `form` is the canonical JSON whose SHA-256 is `sha256`, both texts in it.

    `state`: draft (its merchant has not signed), live, retired. `to_sign` is the text to sign; for a buyer it ends where
    the hash of its declarations follows. `own` is the caller's newest signature.
    """

    contract: str
    listing: str
    version: int
    state: str
    standard_terms: str
    sha256: str
    text_zh: str
    text_en: str
    form: str
    to_sign: str | None
    merchant: SignatureView | None
    own: SignatureView | None


class TradeContractView(Struct, kw_only=True):
    """The contract as one trade made it: the listing's text, and the particulars out of the order and its fill."""

    trade: str
    contract: str
    contract_sha256: str
    merchant_signature: str
    buyer_signature: str
    text_zh: str
    text_en: str
    particulars_zh: str
    particulars_en: str
    form: str
    sha256: str


class SignatureList(Struct):
    items: tuple[SignatureView, ...]
    next: str | None


# ---- reading


async def of_listing(call: Call, asked: ContractQuery) -> ContractView:
    visitor, now_ns = call.visitor, call.now_ns
    security = _security(asked)
    await call.opens_listing(call.path["listing"])

    def look(state: State) -> Any:
        listing = state.listings.get(call.path["listing"])
        if listing is None or not may_see(state, listing, visitor, now_ns):
            return Refusal(Refused.not_found, f"there is no listing {call.path['listing']}")
        live = state.contract_of.get(listing.id)
        if live is None or (asked != ContractQuery() and visitor == listing.merchant):
            return _draft_view(state, listing, security, visitor)
        return _view(state, live, visitor)

    return cast(ContractView, await call.read(look))


def _security(asked: ContractQuery) -> Security:
    duties = [duty for duty in asked.duties.split(",") if duty]
    unknown = [duty for duty in duties if duty not in standard.DUTIES]
    if unknown:
        raise Refusing(
            Refused.malformed, f"duties are {', '.join(standard.DUTIES)}: {', '.join(unknown)} is none"
        )
    return Security(method=asked.method, duties=cast(tuple[Duty, ...], tuple(duties)))


async def show(call: Call, asked: None) -> ContractView:
    participant, now_ns = call.participant, call.now_ns
    identifier = call.path["contract"]
    await call.opens_listing(identifier.partition("-")[0])

    def look(state: State) -> Any:
        agreement = state.contracts.get(identifier)
        if agreement is None or not may_see(state, state.listings[agreement.listing], participant, now_ns):
            return Refusal(Refused.not_found, f"there is no contract {identifier}")
        return _view(state, agreement, participant)

    return cast(ContractView, await call.read(look))


async def signatures(call: Call, asked: Paging) -> Response[bytes]:
    """Its merchant, operators and auditors see all; anybody else their own."""
    everybody = (await call.roles()).intersection(("operator", "auditor", "regulator"))
    identifier, participant = call.path["contract"], call.participant
    after = int(asked.cursor) if asked.cursor.isdecimal() and len(asked.cursor) < 10 else 0
    if asked.cursor and not after:
        raise Refusing(Refused.malformed, "cursor is the `next` of the page before")

    def look(state: State) -> Any:
        agreement = state.contracts.get(identifier)
        if agreement is None:
            return Refusal(Refused.not_found, f"there is no contract {identifier}")
        all_seen = everybody or participant == agreement.offer.merchant
        kept: Iterable[Signature] = state.signatures[identifier].values()
        rows = kept if all_seen else own_signatures(state, identifier, participant)
        return tuple(_buyers(row, agreement) for row in islice(rows, after, after + asked.limit + 1))

    rows = await call.read(look)
    more = len(rows) > asked.limit
    return call.page(rows[: asked.limit], str(after + asked.limit) if more else "")


async def of_trade(call: Call, asked: None) -> TradeContractView:
    row = await seen_trade(call, call.path["trade"], "operator", "auditor", "regulator", "reviewer")
    if not row.contract:
        raise Refusing(
            Refused.not_found, f"{row.id} cites no contract: it did not settle, or is older than contracts"
        )
    agreement = await call.read(lambda state: state.contracts[row.contract])
    drawn = drawn_up(agreement)
    merchant = merchants_signature(row.contract)
    made = standard.particulars(
        standard_terms()[agreement.standard_terms],
        Particulars(
            trade=row.id,
            contract=row.contract,
            contract_sha256=agreement.sha256,
            buyer=row.buyer,
            seller=row.seller,
            quantity=row.quantity,
            price_fen=row.price_fen,
            price_per_units=agreement.offer.price_per_units,
            amount_fen=row.amount_fen,
            purpose=row.purpose,
            territory=row.territory,
            buyer_signature=row.buyer_signature,
            merchant_signature=merchant,
        ),
    )
    return TradeContractView(
        trade=row.id,
        contract=row.contract,
        contract_sha256=agreement.sha256,
        merchant_signature=merchant,
        buyer_signature=row.buyer_signature,
        text_zh=drawn.zh,
        text_en=drawn.en,
        particulars_zh=made.zh,
        particulars_en=made.en,
        form=made.form.decode(),
        sha256=made.sha256,
    )


def _draft_view(state: State, listing: Listing, security: Security, visitor: str) -> ContractView:
    drawn = draft(state, listing, security)
    to_sign = None
    if visitor == listing.merchant:
        to_sign = signing_text("merchant", visitor, drawn.sha256, security)
    return _contract_view(drawn, listing.id, next_version(state, listing), "draft", to_sign)


def _view(state: State, agreement: Agreement, visitor: str) -> ContractView:
    to_sign = None
    if agreement.live and visitor and may_buy(state.listings[agreement.listing], visitor):
        to_sign = f"shuji-contract:buyer:{visitor}:{agreement.sha256}:"
    own = state.newest.get((agreement.id, visitor))
    return _contract_view(
        drawn_up(agreement),
        agreement.listing,
        agreement.offer.version,
        "live" if agreement.live else "retired",
        to_sign,
        _merchants(agreement),
        None if own is None else _buyers(own, agreement),
    )


def _contract_view(
    drawn: Contract,
    listing: str,
    version: int,
    state: str,
    to_sign: str | None,
    merchant: SignatureView | None = None,
    own: SignatureView | None = None,
) -> ContractView:
    return ContractView(
        contract=drawn.id,
        listing=listing,
        version=version,
        state=state,
        standard_terms=drawn.terms_version,
        sha256=drawn.sha256,
        text_zh=drawn.zh,
        text_en=drawn.en,
        form=drawn.form.decode(),
        to_sign=to_sign,
        merchant=merchant,
        own=own,
    )


def _merchants(agreement: Agreement) -> SignatureView:
    merchant = agreement.offer.merchant
    return SignatureView(
        signature_id=merchants_signature(agreement.id),
        contract=agreement.id,
        participant=merchant,
        text=signing_text("merchant", merchant, agreement.sha256, agreement.security),
        public_key=agreement.public_key,
        signature=agreement.signature,
        signed=text_of(agreement.signed_at_ns),
        security=agreement.security,
    )


def _buyers(row: Signature, agreement: Agreement) -> SignatureView:
    return SignatureView(
        signature_id=row.id,
        contract=row.contract,
        participant=row.participant,
        text=signing_text("buyer", row.participant, agreement.sha256, row.declarations),
        public_key=row.public_key,
        signature=row.signature,
        signed=text_of(row.signed_at_ns),
        declarations=row.declarations,
    )


# ---- signing


async def sign(call: Call, body: SignatureBody) -> SignatureView:
    """The signature is checked here, once a contract: an Ed25519 verification costs over 100 us, a trade a few."""
    if (body.declarations is None) == (body.security is None):
        raise Refusing(Refused.malformed, "a buyer sends declarations, the listing's merchant security")
    participant = call.participant
    public_key = await call.read(lambda state: state.bureau.participants[participant].public_key)
    if body.security is not None:
        text = signing_text("merchant", participant, body.sha256, body.security)
    else:
        assert body.declarations is not None, "one of the two"
        text = signing_text("buyer", participant, body.sha256, body.declarations)
    if not signed_by(public_key, text, body.signature):
        raise Refusing(Refused.signature_wrong, f"sign the text {text} with your registered key")
    return await _submit(call, body, public_key, text)


async def _submit(call: Call, body: SignatureBody, public_key: str, text: str) -> SignatureView:
    said = {
        "actor": call.participant,
        "key": call.key,
        "listing": call.path["listing"],
        "sha256": body.sha256,
        "public_key": public_key,
        "signature": body.signature,
    }
    command: OfferContract | SignContract
    if body.security is not None:
        command = OfferContract(**said, security=body.security)
    else:
        assert body.declarations is not None, "one of the two"
        command = SignContract(**said, declarations=body.declarations)
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, ContractOffered | ContractSigned)
    own = event.signature_id if isinstance(event, ContractSigned) else merchants_signature(event.contract)
    return SignatureView(
        signature_id=own,
        contract=event.contract,
        participant=call.participant,
        text=text,
        public_key=event.public_key,
        signature=event.signature,
        signed=text_of(outcome.at_ns),
        security=body.security,
        declarations=body.declarations,
    )


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-11-23T10:00:00Z"
_KEY: Final = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="
_SIGNATURE: Final = "8m0Fz1k4m6yZ2xC0l0g6m5qU9mYv4i8w0d1Y7u3V5b2K9a6s4D3f1G0h8J7k6L5z4X3c2V1b0N9m8Q7w6E5rBA=="
_DECLARED: Final = {
    "for_foreign_judicial": False, "reidentification_intent": False, "human_research": False, "related_disclosed": False,
    "security_terms_accepted": True, "log_retention_months": 6,
}  # fmt: skip
_SIGNED: Final = {
    "signature_id": "L1-1-P4-1", "contract": "L1-1", "participant": "P4",
    "text": f"shuji-contract:buyer:P4:{_SHA}:{_SHA}", "public_key": _KEY, "signature": _SIGNATURE, "signed": _WHEN,
    "declarations": _DECLARED,
}  # fmt: skip
_OFFERED: Final = {
    "signature_id": "L1-1-merchant", "contract": "L1-1", "participant": "P2",
    "text": f"shuji-contract:merchant:P2:{_SHA}:{_SHA}", "public_key": _KEY, "signature": _SIGNATURE, "signed": _WHEN,
    "security": {"method": "dataset", "duties": ["encryption", "deletion"]},
}  # fmt: skip
_CONTRACT: Final = {
    "contract": "L1-1", "listing": "L1", "version": 1, "state": "live", "standard_terms": "2026-1", "sha256": _SHA,
    "text_zh": "数据交易标准合同\n", "text_en": "Standard data trading contract\n", "form": "{}",
    "to_sign": f"shuji-contract:buyer:P4:{_SHA}:", "merchant": _OFFERED, "own": _SIGNED,
}  # fmt: skip
_OF_TRADE: Final = {
    "trade": "T1", "contract": "L1-1", "contract_sha256": _SHA, "merchant_signature": "L1-1-merchant",
    "buyer_signature": "L1-1-P4-1", "text_zh": "数据交易标准合同\n", "text_en": "Standard data trading contract\n",
    "particulars_zh": "成交 T1\n", "particulars_en": "Trade T1\n", "form": "{}", "sha256": _SHA,
}  # fmt: skip

OPERATIONS: Final = (
    Operation("GET", "/v1/listings/{listing}/contract", of_listing,
              "The contract of a listing in Chinese and English, and what to sign", "listings", asks=ContractQuery,
              answers=ContractView, signed_in=False, refused=(Refused.not_signed_in, Refused.not_found),
              example_answer=_CONTRACT),
    Operation("POST", "/v1/listings/{listing}/contract/signatures", sign,
              "Sign the contract of a listing, as its merchant or as a buyer with declarations", "listings", status=201,
              asks=SignatureBody, answers=SignatureView,
              refused=(Refused.signature_wrong, Refused.not_found, Refused.own_case, Refused.wrong_state,
                       Refused.already_exists, Refused.out_of_bounds, Refused.not_verified, Refused.not_accredited,
                       Refused.standing_denied, Refused.listing_closed),
              example={"sha256": _SHA, "signature": _SIGNATURE, "declarations": _DECLARED}, example_answer=_SIGNED),
    Operation("GET", "/v1/contracts/{contract}", show, "A contract, also one that newer terms have replaced", "listings",
              answers=ContractView, refused=(Refused.not_found,), example_answer=_CONTRACT),
    Operation("GET", "/v1/contracts/{contract}/signatures", signatures,
              "Signatures of buyers: own ones; all for the merchant, operators and auditors", "listings", asks=Paging,
              answers=SignatureList, refused=(Refused.not_found,),
              example_answer={"items": [_SIGNED], "next": None}),
    Operation("GET", "/v1/trades/{trade}/contract", of_trade,
              "The contract as this trade made it: text, particulars of the order, hash", "trades",
              answers=TradeContractView, refused=(Refused.not_found,), example_answer=_OF_TRADE),
)  # fmt: skip
