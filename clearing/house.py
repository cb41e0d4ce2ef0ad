"""The clearing house: may this trade stand, and what moves when it does.

Judging. A listing's licence class (`Cell`), a seller and a buyer (`Party`) each keep the finding of the rules that
read only them, until `changes_at` passes; whoever changes a register drops the cell or party. So does the cell with
the rules about the trade that read no party, for trades at its own terms. A fill in which no rule of any of them, nor of
the pair, had anything to say is remembered as allowed for as long as all of them are good, and is not judged again till
then. A trade's facts hash covers the hashes of the three registers and what only this fill brings: `shuji verify`
judges every stored verdict again on registers rebuilt from the journal, and compares what it read by that hash.

Settling. Prefunded delivery against payment (BIS model 1): the buyer's reservation pays into escrow and only
acceptance pays out, or, for transferable units, money and units change hands in the same instant.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, cast

import msgspec

from clearing.ledger import CNY, ESCROW, FEES, Ledger, unit_asset
from clearing.notrade import (
    ALLOW,
    CLEAN,
    PHASES,
    AuthFacts,
    BuyerFacts,
    ConsentFacts,
    CrossBorderFacts,
    Facts,
    Finding,
    Phase,
    PriceFacts,
    ProductFacts,
    Register,
    RegistrationFacts,
    Rulebook,
    SellerFacts,
    SourceFacts,
    TradeFacts,
    VenueFacts,
    Verdict,
)

NEVER_NS = 1 << 62
"""Later than any date."""


MOST_SEEN: Final = 4_096
"""How many licence classes are remembered between two looks at the coverage: each costs about 0.1 ms to count."""

COVERED: Final = ("fired", "passed", "not_applicable", "unknown")


class _Seen(msgspec.Struct):
    """Facts that were judged, and how often. It keeps what its key is made of alive."""

    facts: Facts
    cell: Any
    times: int = 1


class Kept(msgspec.Struct, gc=False):
    """A finding, good from `since_ns` to before `until_ns`."""

    finding: Finding
    since_ns: int
    until_ns: int


MOST_ALLOWED: Final = 16_384
"""How many fills are remembered as allowed; then all are forgotten, and each is judged once more. About 300 bytes each."""

_Asked = tuple[str, int, int, int]
"""Phase, and which objects a licence class, a seller and a buyer are."""


class _Allowed(msgspec.Struct, gc=False):
    """A fill in which no rule had anything to say, good from `since_ns` to before `until_ns`.

    It keeps the three alive that its key names. The rest is compared: a fill that brings anything else is judged.
    """

    cell: Any
    seller: Any
    buyer: Any
    trade: TradeFacts
    price: PriceFacts
    since_ns: int
    until_ns: int
    seen: _Seen


class Signed(msgspec.Struct):
    """A licence class under its contract with one set of a buyer's declarations: most buyers declare alike.

    `trade` is the cell's with what both sides have signed; `digest` covers it. `kept` as `Cell.of_trade`.
    """

    trade: TradeFacts
    digest: bytes
    kept: dict[str, Kept] = {}


class Cell(msgspec.Struct):
    """The facts of one licence class: a listing, a purpose and a territory.

    `open_trade` are the trade's facts for a buyer who is not known yet. `until_ns`: from then on a register's entry
    begins or ends, and the facts are others. `signed` by the hash of what the buyer declared.
    """

    venue: VenueFacts
    product: ProductFacts
    source: SourceFacts
    registration: RegistrationFacts | None
    auth: AuthFacts
    consent: ConsentFacts
    trade: TradeFacts
    price: PriceFacts
    digest: bytes = b""
    kept: dict[str, Kept] = {}
    of_trade: dict[str, Kept] = {}
    xb: CrossBorderFacts = CrossBorderFacts()
    open_trade: TradeFacts | None = None
    of_open_trade: dict[str, Kept] = {}
    until_ns: int = NEVER_NS
    signed: dict[str, Signed] = {}
    of_buyers: dict[tuple[str, int], Any] = {}
    """What the venue has read of a buyer, by its id and the price of the tier that it buys at."""
    of_amounts: dict[tuple[int, int], Any] = {}
    """Who is paid what of a price, in fen."""


class Party(msgspec.Struct):
    """A participant as a seller and as a buyer; `reseller` is the same one as a holder who sells units on.

    `until_ns`: from then on a date has passed and the facts are others, though no register has changed.
    """

    seller: SellerFacts
    buyer: BuyerFacts
    digest: bytes = b""
    kept: dict[tuple[str, str], Kept] = {}
    reseller: "Party | None" = None
    until_ns: int = NEVER_NS


def digest_of(facts: Sequence[msgspec.Struct | None]) -> bytes:
    """SHA-256 over the canonical JSON of these facts."""
    return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).digest()


def _with_term_end(facts: Facts, instrument: TradeFacts) -> Facts:
    """The trade would settle now: the last possible end of the licence runs ahead of the clock by `term_ns`."""
    if not isinstance(instrument.term_ns, int) or not isinstance(facts.now, int):
        return facts
    trade = msgspec.structs.replace(instrument, term_until=facts.now + instrument.term_ns)
    return msgspec.structs.replace(facts, trade=trade)


Find = Callable[[Facts], Finding]


class _Finds(msgspec.Struct, frozen=True, gc=False):
    """The compiled parts of one phase, each under its register."""

    listing: Find
    seller: Find
    buyer: Find
    trade: Find
    pair: Find


def _finds_of(rulebook: Rulebook, phase: Phase) -> Iterator[Find]:
    for register in _Finds.__struct_fields__:
        yield rulebook.part(phase, cast(Register, register)).find


def _keep(find: Find, facts: Facts) -> Kept:
    """A finding and how long it is good; one that has nothing to say but its date is kept as CLEAN."""
    finding = find(facts)
    assert isinstance(facts.now, int)
    speaks = finding.violated or finding.unknown
    return Kept(finding if speaks else CLEAN, facts.now, finding.changes_at or NEVER_NS)


_ALWAYS_CLEAN: Final = Kept(CLEAN, 0, NEVER_NS)


def _of_party(party: Party, phase: Phase, register: str, find: Find, facts: Facts) -> Kept:
    kept = party.kept.get((phase, register))
    if kept is None or not kept.since_ns <= facts.now < kept.until_ns:  # type: ignore[operator]
        kept = party.kept[phase, register] = _keep(find, facts)
    return kept


def _of_trade(finds: _Finds, cell: Cell, facts: Facts, signed: Signed | None) -> Kept:
    """Kept for trades at the cell's own terms, signed or not; others bring a price or a register of their own."""
    if facts.price is not cell.price or facts.consent is not cell.consent or facts.xb is not cell.xb:
        return _keep(finds.trade, facts)
    if signed is not None and facts.trade is signed.trade:
        known = signed.kept
    elif facts.trade is cell.trade:
        known = cell.of_trade
    elif facts.trade is cell.open_trade:
        known = cell.of_open_trade
    else:
        return _keep(finds.trade, facts)
    kept = known.get(facts.phase)
    if kept is None or not kept.since_ns <= facts.now < kept.until_ns:  # type: ignore[operator]
        kept = known[facts.phase] = _keep(finds.trade, facts)
    return kept


def facts_of(
    phase: Phase,
    cell: Cell,
    seller: Party,
    buyer: Party,
    trade: TradeFacts,
    price: PriceFacts,
    at_ns: int,
    consent: ConsentFacts | None = None,
    xb: CrossBorderFacts | None = None,
) -> Facts:
    """The facts of a fill as one whole: `Rulebook.judge` on them says what `House.judge` says of the parts."""
    parties = (seller.seller, buyer.buyer)
    whole = Facts(phase, at_ns, *_of_listing(cell, consent), *parties, trade, price, xb or cell.xb)
    return _with_term_end(whole, trade)


def _of_listing(
    cell: Cell, consent: ConsentFacts | None
) -> tuple[VenueFacts, ProductFacts, SourceFacts, RegistrationFacts | None, AuthFacts, ConsentFacts]:
    """The facts of a licence class, in the order of `Facts`; its consent unless it says something of this buyer."""
    return cell.venue, cell.product, cell.source, cell.registration, cell.auth, consent or cell.consent


class Hashed(msgspec.Struct, frozen=True, gc=False):
    """What a clearing verdict reads, but for price and instant: the registers by their hashes, and what the fill brings."""

    registers: bytes
    brought: str

    def sha256(self, unit_fen: int, at_ns: int) -> bytes:
        """Hash of everything that the verdict read."""
        return hashlib.sha256(self.registers + f"{unit_fen};{at_ns}{self.brought}".encode()).digest()


def hashed(
    cell: Cell,
    seller: Party,
    buyer: Party,
    trade: TradeFacts,
    consent: ConsentFacts | None = None,
    signed: Signed | None = None,
    xb: CrossBorderFacts | None = None,
) -> Hashed:
    brought = ""
    if signed is not None and trade is signed.trade:
        brought = f";{signed.digest.hex()}"
    elif trade is not cell.trade:
        brought = f";{trade!r}"
    brought += "" if consent is None else f";{consent!r}"
    brought += "" if xb is None else f";{xb!r}"
    return Hashed(cell.digest + seller.digest + buyer.digest, brought)


class House:
    """Rulebook and ledger together."""

    __slots__ = ("_allowed", "_counted", "_finds", "_seen", "ledger", "rulebook")

    def __init__(self, rulebook: Rulebook, ledger: Ledger) -> None:
        self.rulebook = rulebook
        self.ledger = ledger
        self._finds = {phase: _Finds(*_finds_of(rulebook, phase)) for phase in PHASES}
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._allowed: dict[_Asked, _Allowed] = {}
        self._counted: dict[str, dict[str, int]] = {}

    # --- judging ---

    def judge(
        self,
        phase: Phase,
        cell: Cell,
        seller: Party | None,
        buyer: Party | None,
        trade: TradeFacts,
        price: PriceFacts,
        at_ns: int,
        consent: ConsentFacts | None = None,
        signed: Signed | None = None,
        xb: CrossBorderFacts | None = None,
    ) -> Verdict:
        """The verdict with every reason.

        A party that is not known yet is None: a resting order's counterparty. `consent` is the cell's, unless it says
        something of this buyer; `signed` is what the buyer has signed; `xb` has what this seller has sent abroad.
        """
        assert phase != "clearing" or (seller is not None and buyer is not None), (
            "clearing knows both parties"
        )
        asked = phase, id(cell), id(seller), id(buyer)
        known = self._allowed.get(asked)
        if (
            known is not None
            and known.trade is trade
            and known.price is price
            and known.since_ns <= at_ns < known.until_ns
            and (consent is None or consent is cell.consent)
            and (xb is None or xb is cell.xb)
        ):
            known.seen.times += 1
            return ALLOW
        parties = (None if seller is None else seller.seller, None if buyer is None else buyer.buyer)
        facts = Facts(phase, at_ns, *_of_listing(cell, consent), *parties, trade, price, xb or cell.xb)
        parts = self._parts(facts, phase, cell, seller, buyer, signed)
        if any(part.finding is not CLEAN for part in parts):
            self._count(facts, 1)
            return self.rulebook.conclude(phase, [part.finding for part in parts])
        seen = self._note(facts, cell)
        if facts.consent is cell.consent and facts.xb is cell.xb:
            self._allow(asked, (cell, seller, buyer, trade, price), parts, seen)
        return ALLOW

    def _parts(
        self,
        facts: Facts,
        phase: Phase,
        cell: Cell,
        seller: Party | None,
        buyer: Party | None,
        signed: Signed | None,
    ) -> tuple[Kept, ...]:
        """What each register's rules find; a party that is not known yet has nothing to find."""
        finds = self._finds[phase]
        kept = cell.kept.get(phase)
        if kept is None or not kept.since_ns <= facts.now < kept.until_ns:  # type: ignore[operator]
            kept = cell.kept[phase] = _keep(finds.listing, _with_term_end(facts, cell.trade))
        return (
            kept,
            _of_trade(finds, cell, facts, signed),
            _ALWAYS_CLEAN if seller is None else _of_party(seller, phase, "seller", finds.seller, facts),
            _ALWAYS_CLEAN if buyer is None else _of_party(buyer, phase, "buyer", finds.buyer, facts),
            _keep(finds.pair, facts),
        )

    def _allow(
        self,
        asked: _Asked,
        of: tuple[Cell, Party | None, Party | None, TradeFacts, PriceFacts],
        parts: Sequence[Kept],
        seen: _Seen,
    ) -> None:
        """Remember a fill for as long as every part of its verdict is good."""
        if len(self._allowed) >= MOST_ALLOWED:
            self._allowed.clear()
        since_ns, until_ns = max([part.since_ns for part in parts]), min([part.until_ns for part in parts])
        self._allowed[asked] = _Allowed(*of, since_ns, until_ns, seen)

    def _note(self, facts: Facts, cell: Cell) -> _Seen:
        """Remember what was allowed, for `coverage`: allowed trades of one licence class are counted together.

        What is not allowed is counted at once and by itself. Counting costs more than judging, so it waits until
        somebody asks, and classes beyond MOST_SEEN between two looks are not counted.
        """
        key = (facts.phase, id(cell))
        seen = self._seen.get(key)
        if seen is not None:
            seen.times += 1
            return seen
        seen = _Seen(facts, cell)
        if len(self._seen) < MOST_SEEN:
            self._seen[key] = seen
        return seen

    def _count_seen(self) -> None:
        for seen in self._seen.values():
            self._count(seen.facts, seen.times)
        self._seen.clear()
        self._allowed.clear()

    def _count(self, facts: Facts, times: int) -> None:
        for rule, what in self.rulebook.coverage(facts).items():
            counts = self._counted.setdefault(rule, dict.fromkeys(COVERED, 0))
            counts[what] += times

    def coverage(self) -> dict[str, dict[str, int]]:
        """Rule: how often it fired, passed, did not apply or was unknown, since this house judges."""
        self._count_seen()
        return {rule: dict(counts) for rule, counts in self._counted.items()}

    # --- money and units ---

    def escrow(self, reservation: str, amount_fen: int, rest_fen: int) -> None:
        """The buyer's reserved price goes to escrow; what the fill was cheaper goes back."""
        ledger = self.ledger
        ledger.spend(reservation, ledger.account(ESCROW, CNY), amount_fen)
        if rest_fen:
            ledger.release(reservation, rest_fen)

    def exchange_units(
        self,
        buy: str,
        sell: str,
        buyer: str,
        seller: str,
        listing: str,
        quantity: int,
        fee_fen: int,
        merchant_fen: int,
        shares: tuple[tuple[str, int], ...],
        rest_fen: int,
    ) -> None:
        """Units against money in one step, out of both sides' reservations."""
        ledger = self.ledger
        ledger.spend(sell, ledger.account(buyer, unit_asset(listing)), quantity)
        ledger.spend(buy, ledger.account(seller, CNY), merchant_fen)
        if fee_fen:
            ledger.spend(buy, ledger.account(FEES, CNY), fee_fen)
        for participant, share_fen in shares:
            ledger.spend(buy, ledger.account(participant, CNY), share_fen)
        if rest_fen:
            ledger.release(buy, rest_fen)

    def pay_out(
        self, seller: str, merchant_fen: int, fee_fen: int, shares: tuple[tuple[str, int], ...]
    ) -> None:
        """Acceptance: escrow pays merchant, contributors and fee (广州 12-14, 按贡献分配)."""
        ledger = self.ledger
        escrow = ledger.account(ESCROW, CNY)
        ledger.transfer(escrow, ledger.account(seller, CNY), merchant_fen)
        ledger.transfer(escrow, ledger.account(FEES, CNY), fee_fen)
        for participant, share_fen in shares:
            ledger.transfer(escrow, ledger.account(participant, CNY), share_fen)

    def refund(self, buyer: str, amount_fen: int) -> None:
        """Nothing was delivered in time, or the redelivery was rejected: escrow pays the buyer back."""
        self.ledger.transfer(self.ledger.account(ESCROW, CNY), self.ledger.account(buyer, CNY), amount_fen)

    def hold(self, order: str, trade: str, owner: str, asset: str, amount: int, rest: int) -> None:
        """What an order had reserved for this fill stays reserved, now under the trade's id."""
        self.ledger.release(order, amount + rest)
        self.ledger.reserve(trade, self.ledger.account(owner, asset), amount)
