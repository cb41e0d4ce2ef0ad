"""What the registers say now, as the facts that rules read (`clearing.registers` keeps them).

Each function answers for one instant. `until_ns` is when the answer of a place may change by itself, because an entry
begins or ends to be good; whoever keeps facts looks again then, and drops them when an entry is made.
"""

from typing import Any, Final

from msgspec import UNSET

from clearing.house import NEVER_NS
from clearing.notrade import CrossBorderFacts, place_of
from clearing.registers import REGISTERS, Entry
from exchange.board import Board
from exchange.state import Product, State

PAIR_UNSAID: Final[dict[str, Any]] = {
    "ethics_review": "none",
    "security_evaluated": False,
    "foreign_judicial_approved": False,
    "dominance_flag": False,
}
"""What of a trade the registers say of a product and a buyer together, where they say nothing."""


def _standing(state: State, register: str, product: str, participant: str, at_ns: int) -> list[Entry]:
    return state.registers.standing(register, product, participant, at_ns)


def _facts(state: State, register: str, product: str, participant: str, at_ns: int) -> list[Any]:
    return [row.facts for row in _standing(state, register, product, participant, at_ns)]


def until_ns(state: State, at_ns: int, product: str, participant: str = "") -> int:
    """The first later instant at which an entry about these, or about the venue, begins or ends to be good."""
    places = [(register, product, participant) for register in REGISTERS]
    places += [(row.name, "", "") for row in REGISTERS.values() if not row.subjects]
    return min(state.registers.changes_after(at_ns, *places), default=NEVER_NS)


def pair_until_ns(state: State, at_ns: int, product: str, buyer: str) -> int:
    """The same of what is entered about both; mostly nothing is."""
    return until_ns(state, at_ns, product, buyer) if state.registers.says_of(product, buyer) else NEVER_NS


# ---- the venue


def central_approved(state: State, board: Board, at_ns: int) -> bool:
    """Whether the approval that the board's file names stands: 「未经批准不得采用集中交易方式」 (国办发〔2012〕37号)."""
    entries = _facts(state, "central_approvals", "", "", at_ns)
    withdrawn = any(row.board == board.id and row.state == "withdrawn" for row in entries)
    return board.central_trading_approved and not withdrawn


# ---- a product


def of_product(state: State, product: str, at_ns: int) -> dict[str, Any]:
    """Fields of `ProductFacts`."""
    consents = _facts(state, "secret_consents", product, "", at_ns)
    harm = _facts(state, "harm_opinions", product, "", at_ns)
    return {
        "judicial_freeze": any(row.state == "frozen" for row in _facts(state, "freezes", product, "", at_ns)),
        "third_party_harm": harm[-1].level if harm else "none",
        "secret_owner_consent": bool(consents) and all(row.state == "granted" for row in consents),
        "ip_registered": bool(_standing(state, "ip_registrations", product, "", at_ns)),
        **_of_assessments(_standing(state, "assessments", product, "", at_ns)),
    }


def _of_assessments(rows: list[Entry]) -> dict[str, Any]:
    """A report without an end is good for ever; where there is none it ended at the beginning of time."""
    passed = {row.facts.kind: row for row in rows if row.facts.result == "passed"}  # type: ignore[union-attr]
    report = passed.get("anonymisation")
    return {
        "risk_assessment_done": "risk_assessment" in passed,
        "reid_test_passed": "reidentification_test" in passed,
        "pia_done": "impact_assessment" in passed,
        "anon_report_until": 0 if report is None else report.valid_until_ns or NEVER_NS,
    }


def of_source(state: State, product: Product, at_ns: int) -> dict[str, Any]:
    """Fields of `SourceFacts`: a review counts more than what was declared and confirmed."""
    reviews = _facts(state, "source_reviews", product.id, "", at_ns)
    if not reviews:
        return {"lawfulness": "lawful" if "source" in product.confirmed else UNSET}
    return {"lawfulness": reviews[-1].lawfulness, "bypassed_controls": reviews[-1].bypassed_controls}


def of_registration(state: State, product: str, at_ns: int) -> dict[str, Any]:
    """Fields of `RegistrationFacts`: every pledgee has to agree."""
    pledges = [row for row in _facts(state, "pledges", product, "", at_ns) if row.state == "pledged"]
    return {"pledged": bool(pledges), "pledgee_consent": all(row.consented for row in pledges)}


def export_of(state: State, product: str, purpose: str, territory: str, at_ns: int) -> CrossBorderFacts:
    """By which route this product's data may go to a territory for a purpose; counts of persons are not here."""
    rows = _standing(state, "export_routes", product, "", at_ns)
    if not rows:
        return CrossBorderFacts(
            route="none",
            assessment_until=0,
            scope_matches=False,
            ftz=False,
            in_negative_list=False,
            exempt_basis="none",
        )
    said: Any = rows[-1].facts
    return CrossBorderFacts(
        route=said.route,
        assessment_until=rows[-1].valid_until_ns or NEVER_NS,
        scope_matches=purpose in said.purposes and _covers(said.territories, territory),
        ftz=said.ftz,
        in_negative_list=said.in_negative_list,
        exempt_basis=said.exempt_basis,
    )


def licensed_to(state: State, product: str, territory: str, at_ns: int) -> bool:
    """Whether an export licence for controlled data covers the territory."""
    licences = _facts(state, "export_licences", product, "", at_ns)
    return any(_covers(row.territories, territory) for row in licences)


def _covers(territories: tuple[str, ...], territory: str) -> bool:
    """Codes nest by prefix: CN holds CN-44 (`Citation.where`)."""
    return any(place_of(territory).startswith(place_of(one)) for one in territories)


# ---- a participant


def of_seller(state: State, participant: str, at_ns: int) -> dict[str, Any]:
    """Fields of `SellerFacts`. Whoever holds the venue's own office of operator runs a venue: this one."""

    def said(register: str) -> list[Any]:
        return _facts(state, register, "", participant, at_ns)

    return {
        "special_licence": any(row.state == "granted" for row in said("special_licences")),
        "ciio": any(row.designated for row in said("critical_infrastructures")),
        "compliance_veto": any(row.state == "vetoed" for row in said("compliance_vetoes")),
        "public_operator": any(row.appointed for row in said("public_operators")),
        "is_venue_operator": "operator" in state.bureau.participants[participant].roles
        or any(row.runs_venue for row in said("venue_operators")),
    }


def of_buyer(state: State, participant: str, at_ns: int) -> dict[str, Any]:
    """Fields of `BuyerFacts`: the first list that has it, its highest certified level."""
    listed = [
        row.list for row in _facts(state, "restricted_lists", "", participant, at_ns) if row.state == "listed"
    ]
    levels = [row.level for row in _facts(state, "security_capabilities", "", participant, at_ns)]
    return {"restricted_list": listed[0] if listed else "none", "security_level": max(levels, default=0)}


# ---- a product and its buyer


def of_pair(state: State, product: str, buyer: str, at_ns: int) -> dict[str, Any]:
    """Fields of `TradeFacts` that a register has of both; `PAIR_UNSAID` where none has."""
    reviews = _facts(state, "ethics_reviews", product, buyer, at_ns)
    screens = _facts(state, "competition_screens", product, buyer, at_ns)
    unsaid = "expired" if state.registers.at("ethics_reviews", product, buyer) else "none"
    return {
        "ethics_review": reviews[-1].decision if reviews else unsaid,
        "security_evaluated": any(
            row.result == "passed" for row in _facts(state, "security_evaluations", product, buyer, at_ns)
        ),
        "foreign_judicial_approved": bool(
            _standing(state, "foreign_judicial_approvals", product, buyer, at_ns)
        ),
        "dominance_flag": any(row.flagged for row in screens),
    }


def recipient_named(state: State, product: str, buyer: str, at_ns: int) -> bool:
    """Whether the persons behind the data have been told of this recipient."""
    return any(row.named for row in _facts(state, "recipient_notices", product, buyer, at_ns))
