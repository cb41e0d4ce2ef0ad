"""Why something was refused, down to the facts and the clause.

A refusal keeps the rules it broke, not the facts: those are in the registers, and the journal has their hash (of a trade).
So what is shown here are the facts that each rule reads as the registers have them *now*, with what the order asked for,
and whether the rule would be broken by them now: what has been mended since is seen as mended.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from clearing.house import Cell, Party
from clearing.notrade import Citation, PriceFacts, TradeFacts, place_of
from exchange.listing import cell_of, price_at, seller_of
from exchange.participant import party_of
from exchange.state import Listing, State
from exchange.web.instant import text_of
from exchange.web.problem import Reasons

_OF_THE_CELL: Final = ("venue", "product", "source", "registration", "auth", "consent")


class Case(Struct, frozen=True, kw_only=True):
    """What was refused. `seller` is empty where it was not known: an order in a book. So may `purpose` be (journals of an
    earlier version do not have it): then the listing's first is taken.
    """

    listing: str
    buyer: str
    seller: str = ""
    price_fen: int = 0
    purpose: str = ""
    territory: str = ""


class Fact(Struct, frozen=True):
    """A fact that a rule reads. `value` is empty where it is unknown; unknown never allows."""

    name: str
    value: str


class Article(Struct, frozen=True):
    """What a rule stands on. `quote` is the clause itself, where the rulebook has it."""

    zh: str
    en: str
    title_zh: str
    clause: str
    quote: str
    authority: str
    binds: bool


class Explained(Struct, frozen=True):
    """One rule of a refusal. `lacking` are the facts that it lacked then; `now` is what it says by the facts of now:
    violated, unknown or kept, empty where nothing is left to look at.
    """

    rule: str
    message_zh: str
    message_en: str
    evidence_zh: str
    evidence_en: str
    applies_when: str
    violated_when: str
    lacking: tuple[str, ...]
    now: str
    facts: tuple[Fact, ...]
    articles: tuple[Article, ...]


class Looked(Struct, frozen=True):
    """Facts of now by rule, and what each rule says by them."""

    facts: dict[str, tuple[Fact, ...]]
    verdict: dict[str, str]


def facts_of_case(state: State, case: Case, rules: Iterable[str], at_ns: int) -> Looked | None:
    """What these rules read in a case, now. None where the listing or a party is not known."""
    listing = state.listings.get(case.listing)
    people = state.bureau.participants
    if (
        listing is None
        or (case.buyer and case.buyer not in people)
        or (case.seller and case.seller not in people)
    ):
        return None
    terms = listing.terms
    purpose = case.purpose if case.purpose in terms.purposes else terms.purposes[0]
    territory = case.territory if case.territory in terms.territories else terms.territories[0]
    cell = cell_of(state, listing, purpose, territory, at_ns)
    seller = _seller(state, listing, case.seller, at_ns)
    buyer = party_of(state, case.buyer, at_ns) if case.buyer else None
    price = price_at(cell.price, case.price_fen) if case.price_fen else cell.price
    verdict = state.house.judge("order", cell, seller, buyer, cell.trade, price, at_ns)
    unknown = dict(verdict.unknown)
    found = {}
    for rule in rules:
        known = state.rulebook.rules.get(rule)
        if known is not None:
            found[rule] = tuple(
                Fact(name, _value(name, cell, seller, buyer, cell.trade, price, at_ns))
                for name in known.facts
            )
    says = {
        rule: "violated" if rule in verdict.violated else "unknown" if rule in unknown else "kept"
        for rule in found
    }
    return Looked(found, says)


def _seller(state: State, listing: Listing, seller: str, at_ns: int) -> Party | None:
    return seller_of(state, listing, seller, at_ns) if seller else None


def _value(
    name: str,
    cell: Cell,
    seller: Party | None,
    buyer: Party | None,
    trade: TradeFacts,
    price: PriceFacts,
    at_ns: int,
) -> str:
    """A fact by its dotted name, as a person reads it; empty where it is unknown."""
    section, _, field = name.rpartition(".")
    if not section:
        return text_of(at_ns)
    sources: dict[str, Any] = {one: getattr(cell, one) for one in _OF_THE_CELL}
    sources |= {"trade": trade, "price": price}
    sources |= {"seller": seller and seller.seller, "buyer": buyer and buyer.buyer}
    value = getattr(sources.get(section), field, UNSET)
    if value is UNSET:
        return ""
    if field.endswith(("_until", "_from")) and isinstance(value, int):
        return text_of(value) if value else "0"
    if isinstance(value, tuple | frozenset):
        return ", ".join(sorted(map(str, value))) or "()"
    return msgspec.json.encode(value).decode().strip('"')


def explain(
    reasons: Reasons,
    rule: str,
    lacking: tuple[str, ...],
    looked: Looked | None,
    at_ns: int,
    capacities: tuple[str, ...],
) -> Explained:
    """A rule of a refusal in words. One that is not in the rulebook any more keeps its id and no words."""
    known = reasons.rulebook.rules.get(rule)
    if known is None:
        gone = ("该规则已不在现行规则集中", "no longer in the rulebook in force")
        return Explained(rule, *gone, "", "", "", "", lacking, "", (), ())
    facts = looked.facts.get(rule, ()) if looked is not None else ()
    now = looked.verdict.get(rule, "") if looked is not None else ""
    place = place_of(reasons.jurisdiction)
    articles = tuple(_article(one, one.binds(place, at_ns, capacities)) for one in known.citations)
    words = (known.message.zh, known.message.en, known.evidence.zh, known.evidence.en)
    return Explained(
        rule,
        *words,
        known.applies_when,
        known.violated_when,
        lacking,
        now,
        facts,
        tuple(sorted(articles, key=lambda one: not one.binds)),
    )


def _article(cited: Citation, binds: bool) -> Article:
    return Article(cited.zh, cited.en, cited.title_zh, cited.clause, cited.quote, cited.authority, binds)
