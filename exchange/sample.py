"""The sample catalogue, so that a first look at the venue finds something: eight products on three boards.

It comes in through the ordinary commands and meets every rule: a sample merchant submits, a sample reviewer
decides, a sample buyer gets play money. Their keys are made here and lie in the data folder, so whoever runs
the venue can be any of them. The content is `sample.toml`, invented throughout.

`next_command` looks at the state and names the one thing that is missing next; `load` asks until nothing is.
Killed anywhere and started again it goes on where it was. A venue where anybody else has registered is left
alone.
"""

import hashlib
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
from stdnum.cn import uscc

from clearing.contract import Declarations, Security, signing_text
from exchange import keys
from exchange.contract import draft, next_version
from exchange.events import (
    ApplyForAccreditation,
    Authorisation,
    BookCashIn,
    Classification,
    Command,
    Consent,
    CreateListing,
    DecideAccreditation,
    DecideIdentity,
    DecideProduct,
    Description,
    Field,
    Further,
    GrantRole,
    MoveListing,
    OfferContract,
    PlaceOrder,
    RegisterParticipant,
    SignContract,
    Source,
    SubmitProduct,
    Terms,
)
from exchange.keys import Key
from exchange.state import DAY_NS, Product, State
from exchange.venue import Outcome

CASH_FEN: Final = 10_000_000
"""Play money of the sample buyer: 100,000 yuan."""

BANK_REFERENCE: Final = "sample-cash"
YEAR_NS: Final = 365 * DAY_NS
ROLES: Final = ("reviewer", "merchant", "buyer")
SECURITY: Final = Security(method="dataset", duties=("encryption", "access_control", "deletion"))
DECLARED: Final = Declarations(
    for_foreign_judicial=False,
    reidentification_intent=False,
    human_research=False,
    related_disclosed=False,
    security_terms_accepted=True,
    log_retention_months=6,
)
"""What the sample's merchant agrees and its buyer declares."""
_Seen = TypeVar("_Seen")


class SampleError(Exception):
    """The venue refused a part of the sample: the sample and the rules no longer fit together."""


class Writer(Protocol):
    """What of the engine the sample needs."""

    def submit(self, command: Any) -> Awaitable[Outcome]: ...
    def read(self, look: Callable[[State], _Seen]) -> Awaitable[_Seen]: ...
    def now_ns(self) -> int: ...


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One product of `sample.toml`. `authorised` are the purposes the right-holder allows, `purposes` those
    offered; `asks` are (quantity, price_fen) that its merchant puts into the order book.
    """

    title: str
    summary: str
    tags: tuple[str, ...]
    fields: tuple[tuple[str, str, str], ...]
    sample: tuple[str, ...]
    board: str
    update_frequency: str
    quality_statement: str
    origin: str
    pi_state: str
    open_class: str
    derived: bool
    channel: str
    basis: str
    consented: tuple[str, ...]
    right: str
    deal: str
    purposes: tuple[str, ...]
    authorised: tuple[str, ...]
    territories: tuple[str, ...]
    mechanism: str
    supply: str
    supply_units: int
    price_regime: str
    price_fen: int
    price_cap_fen: int
    price_per_units: int
    term_days: int
    asks: tuple[tuple[int, int], ...]


def read_items() -> tuple[Item, ...]:
    """The catalogue as the package brings it."""
    text = (resources.files("exchange") / "sample.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    return tuple(msgspec.convert(content["defaults"] | one, Item) for one in content["product"])


# ---- loading


def key_path(data: Path, role: str) -> Path:
    return data / f"sample-{role}.key"


async def load(engine: Writer, data: Path) -> bool:
    """Bring in what is missing of the sample. False: the venue belongs to others already, nothing was done.

    Raises SampleError. Costs two turns of the engine for each of some ninety commands, once.
    """
    known = [keys.read(path).public_key for role in ROLES if (path := key_path(data, role)).exists()]
    if not await engine.read(lambda state: is_empty(state, known)):
        return False
    cast = {role: keys.ensure(key_path(data, role)) for role in ROLES}
    items = read_items()
    done: Command | PlaceOrder | None = None
    while (command := await _ask(engine, cast, items)) is not None:
        if command == done:
            raise SampleError(f"{type(command).__name__} changes nothing: {command}")
        outcome = await engine.submit(command)
        if outcome.refusal is not None:
            refusal = outcome.refusal
            raise SampleError(
                f"{type(command).__name__}: {refusal.code.name}: {refusal.detail} {refusal.violated}"
            )
        done = command
    for role, participant in (await engine.read(lambda state: _ids(state, cast))).items():
        keys.name_participant(key_path(data, role), participant)
    return True


async def _ask(engine: Writer, cast: dict[str, Key], items: tuple[Item, ...]) -> Command | PlaceOrder | None:
    at_ns = engine.now_ns()
    return await engine.read(lambda state: next_command(state, cast, items, at_ns))


def is_empty(state: State, sample_keys: list[str]) -> bool:
    """Whether nobody has registered but operators and the sample's own people."""
    return all(
        row.public_key in sample_keys or row.roles == ("operator",)
        for row in state.bureau.participants.values()
    )


def next_command(
    state: State, cast: dict[str, Key], items: tuple[Item, ...], at_ns: int
) -> Command | PlaceOrder | None:
    """The first command of the sample whose outcome is not in the state yet; None when all is there."""
    return next(_missing(state, cast, items, at_ns), None)


def _missing(
    state: State, cast: dict[str, Key], items: tuple[Item, ...], at_ns: int
) -> Iterator[Command | PlaceOrder]:
    """Lazy: every line below may rely on all lines above being done."""
    for role in ROLES:
        if cast[role].public_key not in state.bureau.by_key:
            yield _registration(role, cast[role])
    ids = _ids(state, cast)
    yield from _missing_standing(state, ids, at_ns)
    for item in items:
        yield from _missing_product(state, ids, item, at_ns)
    for item in items:
        yield from _missing_contract(state, cast, ids, item)
    yield from _missing_asks(state, ids, items)
    if BANK_REFERENCE not in state.cash_references:
        yield BookCashIn(
            actor=_operator(state),
            participant=ids["buyer"],
            amount_fen=CASH_FEN,
            bank_reference=BANK_REFERENCE,
        )


def _ids(state: State, cast: dict[str, Key]) -> dict[str, str]:
    return {role: state.bureau.by_key[key.public_key] for role, key in cast.items()}


def _operator(state: State) -> str:
    return next(row.id for row in state.bureau.participants.values() if "operator" in row.roles)


# ---- people

NAMES: Final = {
    "reviewer": "样例审核员 Sample reviewer",
    "merchant": "样例数据商（虚构）有限公司 Sample Data Merchant (invented)",
    "buyer": "样例买方（虚构）有限公司 Sample Buyer (invented)",
}


def credit_code(number: int) -> str:
    """An invented unified social credit code of region 460000 with the right check digit (GB 32100-2015)."""
    body = f"91460000{number:09d}"
    return f"{body}{uscc.calc_check_digit(body)}"


def _registration(role: str, key: Key) -> RegisterParticipant:
    code = {"merchant": credit_code(1), "buyer": credit_code(2)}.get(role, "")
    return RegisterParticipant(
        actor="",
        legal_name=NAMES[role],
        public_key=key.public_key,
        roles=(role,) if code else (),
        uscc=code,
        owner_id=f"sample-{role}-owner",
        group_id=f"sample-{role}-group",
        region="CN-46",
    )


def _missing_standing(state: State, ids: dict[str, str], at_ns: int) -> Iterator[Command]:
    people = state.bureau.participants
    reviewer, merchant = people[ids["reviewer"]], people[ids["merchant"]]
    if "reviewer" not in reviewer.roles:
        yield GrantRole(actor=_operator(state), participant=reviewer.id, role="reviewer")
    for role in ("merchant", "buyer"):
        if people[ids[role]].identity == "unverified":
            yield DecideIdentity(
                actor=reviewer.id,
                participant=ids[role],
                accept=True,
                mandate_until_ns=at_ns + 3 * YEAR_NS,
                evidence_sha256=evidence_of(f"identity of the {role}"),
            )
    if merchant.credential == "none":
        yield ApplyForAccreditation(actor=merchant.id, evidence_sha256=evidence_of("application"))
    if merchant.credential == "applied":
        yield DecideAccreditation(
            actor=reviewer.id,
            participant=merchant.id,
            step="accredit",
            valid_until_ns=at_ns + 3 * YEAR_NS,
            evidence_sha256=evidence_of("accreditation"),
        )


def evidence_of(what: str) -> str:
    """SHA-256 of a sentence that says so: the sample has no evidence, and does not pretend to."""
    return hashlib.sha256(f"Shuji sample, no real evidence: {what}".encode()).hexdigest()


# ---- products and listings


def _missing_product(state: State, ids: dict[str, str], item: Item, at_ns: int) -> Iterator[Command]:
    product = _product_of(state, ids["merchant"], item)
    if product is None:
        yield _submission(ids["merchant"], item, at_ns)
        return
    if product.state == "pending":
        yield DecideProduct(
            actor=ids["reviewer"],
            product=product.id,
            decision="register",
            revision=product.revision,
            confirmed=("classification", "source", "authorisation", "consent"),
            rights=("processing_use", "product_operation"),
            valid_until_ns=at_ns + 3 * YEAR_NS,
        )
    elif product.state == "registered" and not product.listings:
        yield CreateListing(
            actor=ids["merchant"],
            product=product.id,
            board=item.board,
            terms=_terms(item),
            attributes=_said(state, item.board),
        )
    for listing in product.listings:
        if state.listings[listing].state == "draft":
            yield MoveListing(actor=ids["merchant"], listing=listing, step="submit")
        elif state.listings[listing].state == "submitted":
            tariff = evidence_of(f"tariff of {item.title}") if item.origin == "public" else ""
            yield MoveListing(actor=ids["reviewer"], listing=listing, step="approve", tariff_sha256=tariff)


def _product_of(state: State, merchant: str, item: Item) -> Product | None:
    for product in state.products.values():
        if product.merchant == merchant and product.description.title == item.title:
            return product
    return None


def _submission(merchant: str, item: Item, at_ns: int) -> SubmitProduct:
    return SubmitProduct(
        actor=merchant,
        description=Description(
            title=item.title,
            summary=item.summary,
            fields=tuple(Field(name=name, type=kind, description=said) for name, kind, said in item.fields),
            update_frequency=item.update_frequency,
            quality_statement=item.quality_statement,
            sample=item.sample,
            tags=item.tags,
        ),
        classification=Classification(
            origin=item.origin,
            data_class="general",
            secret_kind="none",  # noqa: S106  # a class of secrets, not one
            pi_state=item.pi_state,
            open_class=item.open_class,
            derived=item.derived,
            further=Further(
                sensitive_pi=False,
                under14=False,
                directly_identifying=False,
                human_genetic=False,
                export_controlled=False,
                emergency_collected=False,
                raw_leaves_domain=False,
                redeveloped=False,
                licence_required=False,
                required_security_level=0,
                storage_region="CN",
                sm_crypto=True,
                medical_records=False,
                face_plate_video=False,
            ),
        ),
        source=Source(
            channel=item.channel,
            statement="虚构的样例。 Invented sample.",
            bypassed_controls=False,
            operation_until_ns=at_ns + 5 * YEAR_NS,
        ),
        authorisation=Authorisation(
            purposes=item.authorised,
            territories=item.territories,
            field_groups=("core",),
            deals=(item.deal,),
            valid_from_ns=at_ns - DAY_NS,
            valid_until_ns=at_ns + 5 * YEAR_NS,
            sublicensable=True,
            blanket=False,
        ),
        consent=Consent(
            basis=item.basis,
            purposes=item.consented,
            obtained_by="free",
            coverage_pct=100,
            guardian=False,
            valid_until_ns=at_ns + 5 * YEAR_NS,
            cross_border_separate=False,
        ),
        evidence={
            group: evidence_of(f"{group} of {item.title}")
            for group in ("classification", "source", "authorisation", "consent")
        },
    )


def _said(state: State, board: str) -> dict[str, Any]:
    """The sample is invented: it says what the examples of the board's fields say."""
    return {field.name: field.example for field in state.boards[board].fields}


def _terms(item: Item) -> Terms:
    return Terms(
        right=item.right,
        deal=item.deal,
        purposes=item.purposes,
        territories=item.territories,
        field_group="core",
        term_days=item.term_days,
        mechanism=item.mechanism,
        supply=item.supply,
        supply_units=item.supply_units,
        price_regime=item.price_regime,
        price_fen=item.price_fen,
        price_per_units=item.price_per_units,
        price_cap_fen=item.price_cap_fen,
    )


def _missing_contract(
    state: State, cast: dict[str, Key], ids: dict[str, str], item: Item
) -> Iterator[Command]:
    """The first contract of each listing is signed by merchant and buyer; later ones are for whoever plays them."""
    found = _open_listing(state, ids["merchant"], item)
    if not found:
        return
    live = state.contract_of.get(found)
    if live is None and next_version(state, state.listings[found]) == 1:
        sha256 = draft(state, state.listings[found], SECURITY).sha256
        text = signing_text("merchant", ids["merchant"], sha256, SECURITY)
        yield OfferContract(
            actor=ids["merchant"],
            listing=found,
            security=SECURITY,
            sha256=sha256,
            public_key=cast["merchant"].public_key,
            signature=cast["merchant"].sign(text),
        )
    if live is not None and live.offer.version == 1 and (found, ids["buyer"]) not in state.signed:
        text = signing_text("buyer", ids["buyer"], live.sha256, DECLARED)
        yield SignContract(
            actor=ids["buyer"],
            listing=found,
            declarations=DECLARED,
            sha256=live.sha256,
            public_key=cast["buyer"].public_key,
            signature=cast["buyer"].sign(text),
        )


def _missing_asks(state: State, ids: dict[str, str], items: tuple[Item, ...]) -> Iterator[PlaceOrder]:
    """The merchant's first offers in an order book, counted by the orders the venue ever took: filled ones
    are gone from memory and must not come again.
    """
    asks = [(item, ask) for item in items for ask in item.asks]
    for item, (quantity, price_fen) in asks[state.counters.get("O", 0) :]:
        listing = _open_listing(state, ids["merchant"], item)
        if listing:
            yield PlaceOrder(
                actor=ids["merchant"], listing=listing, side="sell", quantity=quantity, limit_fen=price_fen
            )


def _open_listing(state: State, merchant: str, item: Item) -> str:
    """The item's first listing while it takes orders, else empty."""
    product = _product_of(state, merchant, item)
    listings = product.listings if product is not None else ()
    return next((listing for listing in listings if state.listings[listing].state == "published"), "")
