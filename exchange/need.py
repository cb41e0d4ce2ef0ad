"""A need: what a buyer looks for, what merchants propose for it, and the award that becomes a trade.

              ┌──────shortlist──────┐
              v                     │
    open ──close──> deciding ───────┴──award, finish──> awarded
     │ └──award (quote)──────────────────────────────────^
     └──withdraw, lapse──────┴──withdraw, lapse──> withdrawn, lapsed

quote      proposals are answered as they come, by counter offers of both sides in turn
tender     proposals are sealed until `respond_until`: nobody but its merchant sees one (招标投标法第二十八条: 「招标人收到
           投标文件后，应当签收保存，不得开启」); until then each may be changed or taken back (第二十九条)
challenge  several stages, the best go on into the next, several awards (海南行动方案第九条: 「通过赛道机制遴选合作方」)

What was stated is what counts (招标投标法第四十条: 「应当按照招标文件确定的评标标准和方法」; 第四十一条): where there are
criteria, only the best of those who stand by their word is awarded. These are the venue's own rules, after those articles;
where they bind a buyer as law, it tenders by the whole of them. A need is an invitation to make offers, a proposal an
offer, an award its acceptance (民法典第四百七十三条, 第四百七十二条, 第四百七十九条).

An award is cleared like any trade. Where clearing refuses it, that proposal is over and the need goes on to the next; one
that is on hold keeps its place until the hold ends. Declarations that the buyer has not signed yet are no verdict: the
award is refused with where to sign, and nothing is over.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from clearing.contract import DECLARED_FACTS
from clearing.ledger import CNY
from clearing.money import amount_fen, refuse_amount
from exchange.consequence import order_refusal
from exchange.contract import to_sign
from exchange.events import (
    VENUE,
    AcceptProposal,
    AwardNeed,
    CounterProposal,
    Event,
    Held,
    HoldReleased,
    MarkProposal,
    NeedMoved,
    NeedPublished,
    NeedShortlisted,
    ProposalAwarded,
    ProposalCountered,
    ProposalMade,
    ProposalMarked,
    ProposalRevised,
    ProposalWithdrawn,
    Propose,
    PublishNeed,
    Refusal,
    Refused,
    Settled,
    ShortlistProposals,
    TradeRefused,
    WithdrawNeed,
    WithdrawProposal,
)
from exchange.halt import halted_refusal
from exchange.listing import VISIBLE, cell_of
from exchange.matching.negotiation import (
    DELIVERY,
    LIVE,
    MEASURED,
    MOST_COUNTERS,
    MOST_VALUE,
    PRICE,
    PROPOSAL_LIFE,
    STEPS,
    TURN,
    WEIGHTS,
    Candidate,
    ProposalStep,
    Ranked,
    after,
    ranked,
    refuse_criteria,
)
from exchange.order import MONEY_REFUSALS, Deal, judge_clearing, strike, supply_refusal
from exchange.participant import standing_refusal
from exchange.product import RIGHTS
from exchange.state import DAY_NS, Listing, Need, NeedState, Proposal, State

LIFE: Final[Mapping[tuple[NeedState, str], NeedState]] = {
    ("open", "close"): "deciding",
    ("open", "award"): "awarded",
    ("open", "withdraw"): "withdrawn",
    ("open", "lapse"): "lapsed",
    ("deciding", "shortlist"): "open",
    ("deciding", "award"): "awarded",
    ("deciding", "finish"): "awarded",
    ("deciding", "withdraw"): "withdrawn",
    ("deciding", "lapse"): "lapsed",
}
"""What is not in this table cannot happen."""

OVER: Final[tuple[NeedState, ...]] = ("awarded", "withdrawn", "lapsed")

MECHANISMS: Final[Mapping[str, tuple[str, ...]]] = {
    "quote": ("quote",),
    "tender": ("tender",),
    "challenge": ("quote", "tender"),
}
"""Kind of need: the mechanisms of the listings that answer it."""

MOST_NEEDS: Final = 50
"""Needs that one buyer has undecided."""
MOST_PROPOSALS: Final = 200
"""Proposals for one need of which something may still come: all are ranked in one event."""
MOST_OFFERED: Final = 500
"""Such proposals of one merchant, for all needs together."""
MOST_CRITERIA: Final = 10
MOST_STAGES: Final = 5
MOST_AWARDS: Final = 20
MOST_FIELDS: Final = 100
MOST_DAYS: Final = 366
"""From a date of a need to the next one."""
MOST_BUDGET_FEN: Final = 10**15


# ---- the need


def publish(state: State, command: PublishNeed, at_ns: int) -> Refusal | list[Event]:
    refusal = (
        standing_refusal(state, command.actor, "buy", at_ns)
        or _board_refusal(state, command)
        or _asked_refusal(state, command)
        or _number_refusal(command)
        or _date_refusal(command, at_ns)
        or _choice_refusal(command)
    )
    if refusal is not None:
        return refusal
    if sum(need.buyer == command.actor for need in state.needs.values()) >= MOST_NEEDS:
        detail = f"you have {MOST_NEEDS} needs undecided: award or withdraw one first"
        return Refusal(Refused.out_of_bounds, detail)
    invited = state.listings[command.listing].merchant if command.listing else ""
    return [
        NeedPublished(
            state.next_id("N"),
            command.actor,
            command.kind,
            command.board,
            command.title,
            command.text,
            command.purpose,
            command.territory,
            command.right,
            command.fields,
            command.quantity,
            command.budget_fen,
            command.criteria,
            command.respond_until_ns,
            command.decide_until_ns,
            command.stages,
            command.awards,
            command.listing,
            invited,
        )
    ]


def _board_refusal(state: State, command: PublishNeed) -> Refusal | None:
    if command.kind not in MECHANISMS:
        return Refusal(Refused.malformed, f"kind is one of {', '.join(MECHANISMS)}")
    if command.board not in state.boards:
        detail = f"there is no board {command.board}; boards are {', '.join(state.boards)}"
        return Refusal(Refused.not_found, detail)
    answering, offered = MECHANISMS[command.kind], state.boards[command.board].mechanisms
    if any(mechanism in offered for mechanism in answering):
        return None
    detail = f"the {command.board} board offers {', '.join(offered)}: no {' or '.join(answering)}"
    return Refusal(Refused.mechanism_not_allowed, detail)


def _asked_refusal(state: State, command: PublishNeed) -> Refusal | None:
    """Asked of one listing alone: a published one, of that mechanism and board."""
    if not command.listing:
        return None
    listing = state.listings.get(command.listing)
    if listing is None or listing.state not in VISIBLE:
        return Refusal(Refused.not_found, f"there is no listing {command.listing}")
    if listing.state != "published":
        return Refusal(Refused.listing_closed, f"the listing is {listing.state}: nobody answers for it")
    if command.kind != "quote" or listing.terms.mechanism != "quote" or listing.board != command.board:
        detail = "one listing alone is asked for a quote, and it is a quote listing of that board"
        return Refusal(Refused.mechanism_not_allowed, detail)
    return None


def _number_refusal(command: PublishNeed) -> Refusal | None:
    for name, value, least, most in (
        ("quantity", command.quantity, 1, 10**9),
        ("budget_fen", command.budget_fen, 0, MOST_BUDGET_FEN),
        ("the number of criteria", len(command.criteria), 0, MOST_CRITERIA),
        ("the number of fields", len(command.fields), 0, MOST_FIELDS),
        ("the number of stages", len(command.stages), 0, MOST_STAGES),
        ("awards", command.awards, 1, MOST_AWARDS),
    ):
        if not least <= value <= most:
            return Refusal(Refused.out_of_bounds, f"{name} lies between {least} and {most}")
    if command.right and command.right not in RIGHTS:
        return Refusal(Refused.out_of_bounds, f"right is empty or one of {', '.join(RIGHTS)}")
    if not (command.title.strip() and command.purpose and command.territory):
        return Refusal(Refused.malformed, "a need has a title, one purpose and one territory")
    return None


def _date_refusal(command: PublishNeed, at_ns: int) -> Refusal | None:
    far = MOST_DAYS * DAY_NS
    if not at_ns < command.respond_until_ns <= at_ns + far:
        detail = f"respond_until lies ahead, by {MOST_DAYS} days at most"
        return Refusal(Refused.out_of_bounds, detail)
    if not command.respond_until_ns < command.decide_until_ns <= command.respond_until_ns + far:
        detail = f"decide_until comes after respond_until, by {MOST_DAYS} days at most"
        return Refusal(Refused.out_of_bounds, detail)
    dates = [command.respond_until_ns, *(stage.until_ns for stage in command.stages), command.decide_until_ns]
    if any(late <= early for early, late in pairwise(dates)):
        detail = "the stages end one after the other, after respond_until and before decide_until"
        return Refusal(Refused.out_of_bounds, detail)
    return None


def _choice_refusal(command: PublishNeed) -> Refusal | None:
    """Criteria, stages and awards, as the kind has them."""
    if (wrong := refuse_criteria(command.criteria)) is not None:
        return Refusal(Refused.out_of_bounds, wrong)
    if command.kind != "quote" and not command.criteria:
        return Refusal(Refused.out_of_bounds, f"a {command.kind} states its criteria, price or others")
    if command.kind != "challenge" and (command.stages or command.awards != 1):
        return Refusal(Refused.out_of_bounds, "only a challenge has stages and several awards")
    fewest = [*(stage.shortlist for stage in command.stages), command.awards]
    if fewest != sorted(fewest, reverse=True) or fewest[0] > MOST_PROPOSALS:
        detail = "no more go on into a stage than into the one before, and at least as many as are awarded"
        return Refusal(Refused.out_of_bounds, detail)
    return None


def withdraw(state: State, command: WithdrawNeed, at_ns: int) -> Refusal | list[Event]:
    need = _own_need(state, command.need, command.actor)
    if isinstance(need, Refusal):
        return need
    if _held(state, need):
        return Refusal(Refused.wrong_state, "an award is on hold: the need waits for it")
    return [_moved(need, "withdraw", command.reason, command.actor)]


def _own_need(state: State, identifier: str, actor: str) -> Need | Refusal:
    need = state.needs.get(identifier)
    if need is None:
        return _over(state, "need", identifier)
    return need if need.buyer == actor else Refusal(Refused.not_found, f"you have no need {identifier}")


def _over(state: State, what: str, identifier: str) -> Refusal:
    """What is not in memory is decided, where its number was ever given."""
    kind, number = ("N" if what == "need" else "Q"), identifier[1:]
    given = identifier[:1] == kind and number.isascii() and number.isdigit()
    if given and 0 < int(number) <= state.counters.get(kind, 0):
        return Refusal(Refused.wrong_state, f"the {what} {identifier} is over: nothing more comes of it")
    return Refusal(Refused.not_found, f"there is no {what} {identifier}")


def _moved(need: Need, step: str, reason: str, by: str) -> NeedMoved:
    """A step; one that ends the need ends its proposals."""
    state = LIFE[need.state, step]
    return NeedMoved(need.id, step, state, reason, by, (), need.proposals if state in OVER else ())


def _held(state: State, need: Need) -> int:
    return sum(state.proposals[name].state == "held" for name in need.proposals)


# ---- proposals


def propose(state: State, command: Propose, at_ns: int) -> Refusal | list[Event]:
    need, listing = state.needs.get(command.need), state.listings.get(command.listing)
    if need is None:
        return _over(state, "need", command.need)
    if not may_answer(state, need, command.actor):
        return Refusal(Refused.not_found, f"there is no need {command.need} that you are asked to answer")
    if need.state != "open" or at_ns > need.respond_until_ns:
        return Refusal(Refused.wrong_state, "the date until which proposals are taken has passed")
    if need.buyer == command.actor:
        return Refusal(Refused.forbidden, "the need is your own: nobody sells to themselves")
    if listing is None or listing.merchant != command.actor:
        return Refusal(Refused.not_found, f"you have no listing {command.listing}")
    refusal = (
        standing_refusal(state, command.actor, "list", at_ns)
        or _fit_refusal(state, need, listing)
        or _word_refusal(need, listing, command)
    )
    if refusal is not None:
        return refusal
    mine = next((one for one in _live(state, need) if one.merchant == command.actor), None)
    return _first(state, need, listing, command) if mine is None else _again(need, listing, command, mine)


def may_answer(state: State, need: Need, participant: str) -> bool:
    """Asked of one listing alone, a need is nobody else's."""
    invited = state.listings[need.listing].merchant if need.listing else participant
    return participant in (need.buyer, invited)


def _fit_refusal(state: State, need: Need, listing: Listing) -> Refusal | None:
    """Whether this listing is what is looked for."""
    if listing.state != "published":
        return Refusal(Refused.listing_closed, f"the listing is {listing.state}: publish it first")
    terms, allowed = listing.terms, MECHANISMS[need.kind]
    if terms.mechanism not in allowed:
        detail = f"a {need.kind} is answered from a listing whose mechanism is {' or '.join(allowed)}"
        return Refusal(Refused.mechanism_not_allowed, detail)
    if need.listing not in ("", listing.id):
        return Refusal(Refused.outside_terms, f"asked for is listing {need.listing} alone")
    known = [field.name for field in state.products[listing.product].description.fields]
    lacking = [name for name in need.fields if name not in known]
    for wanted, offered in (
        (f"board {need.board}", need.board == listing.board),
        (f"purpose {need.purpose}", need.purpose in terms.purposes),
        (f"territory {need.territory}", need.territory in terms.territories),
        (f"right {need.right}", need.right in ("", terms.right)),
        (f"fields {', '.join(lacking)}", not lacking),
    ):
        if not offered:
            return Refusal(Refused.outside_terms, f"the need asks for {wanted}, which the listing has not")
    return None


def _word_refusal(need: Need, listing: Listing, command: Propose) -> Refusal | None:
    """Whether what is proposed can be compared with others, and can be kept."""
    longest = listing.terms.delivery_days
    if not 1 <= command.delivery_days <= longest:
        detail = f"delivery_days lies between 1 and the {longest} of the listing's terms"
        return Refusal(Refused.out_of_bounds, detail)
    if need.kind != "quote" and command.quantity != need.quantity:
        return Refusal(
            Refused.outside_terms, f"all {need.quantity} units are asked for, so that prices compare"
        )
    strange = [name for name in command.figures if name not in _marked(need)]
    if strange:
        return Refusal(Refused.outside_terms, f"the need asks for no figure of {', '.join(strange)}")
    if not all(0 <= figure <= MOST_VALUE for figure in command.figures.values()):
        return Refusal(Refused.out_of_bounds, f"a figure lies between 0 and {MOST_VALUE}")
    return _price_refusal(need, listing, command.quantity, command.price_fen)


def _marked(need: Need) -> list[str]:
    """Criteria whose value is not measured."""
    return [criterion.name for criterion in need.criteria if criterion.name not in MEASURED]


def _price_refusal(need: Need, listing: Listing, quantity: int, price_fen: int) -> Refusal | None:
    per_units = listing.terms.price_per_units
    if quantity > need.quantity:
        return Refusal(Refused.outside_terms, f"{need.quantity} units are asked for, no more")
    for asked in (quantity, need.quantity):
        if (reason := refuse_amount(price_fen, per_units, asked)) is not None:
            detail = MONEY_REFUSALS.get(reason, "quantity and price are positive")
            return Refusal(Refused.out_of_bounds, detail)
    cost = amount_fen(price_fen, per_units, quantity)
    if need.budget_fen and cost > need.budget_fen:
        detail = f"{cost} fen are above the need's budget of {need.budget_fen}"
        return Refusal(Refused.outside_terms, detail)
    return None


def _first(state: State, need: Need, listing: Listing, command: Propose) -> Refusal | list[Event]:
    if need.stage:
        return Refusal(Refused.wrong_state, "this stage is for those on the shortlist")
    if len(need.proposals) >= MOST_PROPOSALS:
        return Refusal(Refused.out_of_bounds, f"the need has {MOST_PROPOSALS} proposals already")
    if sum(one.merchant == command.actor for one in state.proposals.values()) >= MOST_OFFERED:
        return Refusal(
            Refused.out_of_bounds, f"you have {MOST_OFFERED} proposals undecided: withdraw one first"
        )
    sealed, per_units = need.kind == "tender", listing.terms.price_per_units
    parties = (need.buyer, command.actor, listing.id)
    word = (command.quantity, command.price_fen, per_units, command.delivery_days)
    name = state.next_id("Q")
    return [ProposalMade(name, need.id, *parties, *word, command.text, command.figures, sealed)]


def _again(need: Need, listing: Listing, command: Propose, mine: Proposal) -> Refusal | list[Event]:
    """What its merchant says instead, where the kind of need lets it."""
    state_after = after(mine.state, "revise")
    if "revise" not in STEPS[need.kind] or state_after is None:
        detail = f"your proposal {mine.id} stands: counter when it is your turn, or withdraw it"
        return Refusal(Refused.already_exists, detail)
    word = (command.quantity, command.price_fen, listing.terms.price_per_units, command.delivery_days)
    return [ProposalRevised(mine.id, need.id, listing.id, *word, command.text, command.figures, state_after)]


def counter(state: State, command: CounterProposal, at_ns: int) -> Refusal | list[Event]:
    found = _turn(state, command.proposal, command.actor, at_ns)
    if isinstance(found, Refusal):
        return found
    need, proposal = found
    state_after = after(proposal.state, "counter")
    if "counter" not in STEPS[need.kind] or state_after is None:
        return Refusal(
            Refused.wrong_state, f"a {need.kind} is not haggled over: its proposals stand as they are"
        )
    if proposal.counters >= MOST_COUNTERS:
        detail = f"{MOST_COUNTERS} counter offers are enough: accept the last one or withdraw"
        return Refusal(Refused.out_of_bounds, detail)
    listing = state.listings[proposal.listing]
    refusal = _price_refusal(need, listing, command.quantity, command.price_fen)
    offer = (command.quantity, command.price_fen)
    return refusal or [ProposalCountered(proposal.id, need.id, state_after, *offer)]


def _turn(state: State, identifier: str, actor: str, at_ns: int) -> tuple[Need, Proposal] | Refusal:
    """A proposal of which this party is one, and whose answer is awaited."""
    proposal = state.proposals.get(identifier)
    if proposal is None:
        return _over(state, "proposal", identifier)
    need = state.needs[proposal.need]
    hidden = actor == need.buyer and proposal.state == "sealed"
    if hidden or actor not in (proposal.merchant, need.buyer):
        return Refusal(Refused.not_found, f"there is no proposal {identifier} that you are a party of")
    if at_ns > need.decide_until_ns:
        return Refusal(Refused.wrong_state, "the date until which this is decided has passed")
    turn = TURN.get(proposal.state)
    if turn is None or actor != (need.buyer if turn == "buyer" else proposal.merchant):
        whose = f"the {turn}'s turn" if turn else f"{proposal.state}: nobody's turn"
        return Refusal(Refused.wrong_state, f"the proposal is {whose}")
    return need, proposal


def withdraw_proposal(state: State, command: WithdrawProposal, at_ns: int) -> Refusal | Iterator[Event]:
    """A quote may be taken back until it is accepted; elsewhere an offer stands once its date has passed
    (民法典第四百七十六条: 「要约人以确定承诺期限」; 招标投标法第二十九条)."""
    proposal = state.proposals.get(command.proposal)
    if proposal is None:
        return _over(state, "proposal", command.proposal)
    if proposal.merchant != command.actor:
        return Refusal(Refused.not_found, f"you have no proposal {command.proposal}")
    need = state.needs[proposal.need]
    if after(proposal.state, "withdraw") is None:
        return Refusal(Refused.wrong_state, f"a proposal that is {proposal.state} cannot be withdrawn")
    if need.kind != "quote" and (need.state != "open" or at_ns > need.respond_until_ns):
        return Refusal(
            Refused.wrong_state, "since the date for proposals has passed it stands until the decision"
        )
    return _withdrawn(state, need, proposal, at_ns)


def _withdrawn(state: State, need: Need, proposal: Proposal, at_ns: int) -> Iterator[Event]:
    yield ProposalWithdrawn(proposal.id, need.id)
    yield from _settle(state, need, at_ns)


# ---- choosing


def mark(state: State, command: MarkProposal, at_ns: int) -> Refusal | list[Event]:
    need = _own_need(state, command.need, command.actor)
    if isinstance(need, Refusal):
        return need
    if command.proposal not in need.proposals:
        return _not_of(state, need, command.proposal)
    proposal, criteria = state.proposals[command.proposal], _marked(need)
    if proposal.state not in TURN or at_ns > need.decide_until_ns:
        return Refusal(Refused.wrong_state, f"a proposal that is {proposal.state} is not marked now")
    if not command.marks or any(name not in criteria for name in command.marks):
        detail = f"marks are given by {', '.join(criteria)}" if criteria else "the need asks for no marks"
        return Refusal(Refused.outside_terms, detail)
    if not all(0 <= value <= MOST_VALUE for value in command.marks.values()):
        return Refusal(Refused.out_of_bounds, f"a mark lies between 0 and {MOST_VALUE}")
    return [ProposalMarked(proposal.id, need.id, command.marks, proposal.state)]


def _not_of(state: State, need: Need, proposal: str) -> Refusal:
    """Why this proposal is none that the need could be decided by."""
    if proposal in state.proposals:
        return Refusal(Refused.not_found, f"{proposal} is not of the need {need.id}")
    return _over(state, "proposal", proposal)


def standings(state: State, need: Need, also: Proposal | None = None) -> tuple[Ranked, ...] | Refusal:
    """The proposals that stand by their merchant's word and can be struck now, the best first; `also` one that its merchant
    is about to accept as countered. Refused where figures are missing by which they would compare.
    """
    standing = [
        one
        for one in _live(state, need)
        if (one.state == "offered" or one is also) and _closed_refusal(state, one) is None
    ]
    by_marks = [name for name in _marked(need) if any(name in one.marks for one in standing)]
    candidates = []
    for one in standing:
        values = _values(state, need, one, by_marks)
        lacking = [name for name in _marked(need) if name not in values]
        if lacking:
            detail = (
                f"{one.id} has no figure for {', '.join(lacking)}: mark it (POST /v1/needs/{need.id}/scores)"
            )
            return Refusal(Refused.evidence_missing, detail)
        number = int(one.id[1:])
        candidates.append(Candidate(one.id, number, values, values[PRICE], one.delivery_days))
    return ranked(need.criteria, candidates)


def _values(state: State, need: Need, one: Proposal, by_marks: Iterable[str]) -> dict[str, int]:
    """What a proposal has by each criterion. Once one proposal is marked by a criterion, marks alone count for all.

    The price is what all that is asked for would cost at it: proposals of other quantities and price units compare.
    """
    per_units = state.listings[one.listing].terms.price_per_units
    said = {name: figure for name, figure in one.figures.items() if name not in by_marks}
    cost = amount_fen(one.price_fen, per_units, need.quantity)
    return {**said, **one.marks, PRICE: cost, DELIVERY: one.delivery_days}


def _live(state: State, need: Need) -> list[Proposal]:
    return [state.proposals[name] for name in need.proposals]


def _closed_refusal(state: State, proposal: Proposal) -> Refusal | None:
    """Why nothing can be struck from the proposal's listing now."""
    listing = state.listings[proposal.listing]
    if listing.state != "published":
        return Refusal(Refused.listing_closed, f"its listing {listing.id} is {listing.state}")
    return supply_refusal(listing, proposal.quantity)


def shortlist(state: State, command: ShortlistProposals, at_ns: int) -> Refusal | list[Event]:
    need = _own_need(state, command.need, command.actor)
    if isinstance(need, Refusal):
        return need
    if (refusal := _undecidable(need, at_ns)) is not None:
        return refusal
    if need.stage >= len(need.stages):
        return Refusal(Refused.wrong_state, "no further stage was stated: award instead")
    stage, ranking = need.stages[need.stage], standings(state, need)
    if isinstance(ranking, Refusal):
        return ranking
    if not ranking or at_ns >= stage.until_ns:
        detail = "the stage is over before it has begun" if ranking else "nobody is there to go on"
        return Refusal(Refused.wrong_state, detail)
    kept = tuple(row.id for row in ranking[: stage.shortlist])
    if command.proposals and sorted(command.proposals) != sorted(kept):
        return Refusal(Refused.outside_terms, f"by the stated criteria {', '.join(kept)} go on")
    out = tuple(name for name in need.proposals if name not in kept)
    return [NeedShortlisted(need.id, need.stage + 1, kept, out, ranking, stage.until_ns)]


def _undecidable(need: Need, at_ns: int) -> Refusal | None:
    """Why nothing is chosen among the proposals now."""
    if at_ns > need.decide_until_ns:
        return Refusal(Refused.wrong_state, "the date until which this is decided has passed")
    if need.state == "deciding" or (need.state == "open" and need.kind == "quote"):
        return None
    return Refusal(Refused.wrong_state, "proposals are taken until respond_until: decide when it has passed")


# ---- awarding


def award(state: State, command: AwardNeed, at_ns: int) -> Refusal | Iterator[Event]:
    need = _own_need(state, command.need, command.actor)
    if isinstance(need, Refusal):
        return need
    if command.proposal not in need.proposals:
        return _not_of(state, need, command.proposal)
    proposal = state.proposals[command.proposal]
    if (refusal := _undecidable(need, at_ns)) is not None:
        return refusal
    if proposal.state != "offered":
        detail = f"the proposal is {proposal.state}: only what its merchant stands by is awarded"
        return Refusal(Refused.wrong_state, detail)
    return _award(state, need, proposal, command.actor, command.accepts_prior, at_ns)


def accept(state: State, command: AcceptProposal, at_ns: int) -> Refusal | Iterator[Event]:
    """The buyer's yes to an offer, or the merchant's to the buyer's counter (民法典第四百八十三条: 「承诺生效时合同
    成立」)."""
    found = _turn(state, command.proposal, command.actor, at_ns)
    if isinstance(found, Refusal):
        return found
    need, proposal = found
    if (refusal := _undecidable(need, at_ns)) is not None:
        return refusal
    accepts_prior = command.accepts_prior and command.actor == need.buyer
    return _award(state, need, proposal, command.actor, accepts_prior, at_ns)


def _award(
    state: State, need: Need, proposal: Proposal, actor: str, accepts_prior: bool, at_ns: int
) -> Refusal | Iterator[Event]:
    ranking = _best_refusal(state, need, proposal, actor)
    if isinstance(ranking, Refusal):
        return ranking
    refusal = (
        halted_refusal(state, state.listings[proposal.listing])
        or standing_refusal(state, need.buyer, "buy", at_ns)
        or _money_refusal(state, need, proposal)
        or _ceiling_refusal(state, need, proposal, at_ns)
        or _unsigned_refusal(state, need, proposal, accepts_prior, at_ns)
    )
    return refusal or _struck(state, need, proposal, ranking, accepts_prior, at_ns)


def _best_refusal(state: State, need: Need, proposal: Proposal, actor: str) -> tuple[Ranked, ...] | Refusal:
    """The ranking in which the proposal is the best; without criteria the buyer chooses as it likes.

    A merchant learns that another one is better, and not which.
    """
    if need.stage < len(need.stages):
        return Refusal(Refused.wrong_state, "a stage is still to come: shortlist first")
    if need.awarded + _held(state, need) >= need.awards:
        return Refusal(Refused.wrong_state, "an award is on hold: whatever was to be awarded waits for it")
    if (closed := _closed_refusal(state, proposal)) is not None:
        return closed
    ranking = standings(state, need, proposal)
    if isinstance(ranking, Refusal) or not need.criteria or ranking[0].id == proposal.id:
        return ranking
    first, own = ranking[0], next(row for row in ranking if row.id == proposal.id)
    scores = f"{first.score_bp} to {own.score_bp} of {WEIGHTS}"
    detail = f"by the stated criteria {first.id} is the best ({scores}): award that, or nothing"
    if actor != need.buyer:
        detail = "by the stated criteria another proposal is better: counter, or wait for the buyer"
    return Refusal(Refused.outside_terms, detail)


def _ceiling_refusal(state: State, need: Need, proposal: Proposal, at_ns: int) -> Refusal | None:
    """Whether the grades of both allow so large an award."""
    per_units = state.listings[proposal.listing].terms.price_per_units
    amount = amount_fen(proposal.price_fen, per_units, proposal.quantity)
    return order_refusal(state, need.buyer, proposal.merchant, amount, at_ns)


def _money_refusal(state: State, need: Need, proposal: Proposal) -> Refusal | None:
    per_units = state.listings[proposal.listing].terms.price_per_units
    amount = amount_fen(proposal.price_fen, per_units, proposal.quantity)
    if state.ledger.available(need.buyer, CNY) >= amount:
        return None
    return Refusal(Refused.funds_insufficient, f"{amount} fen are needed: the buyer pays in first")


def _unsigned_refusal(
    state: State, need: Need, proposal: Proposal, accepts_prior: bool, at_ns: int
) -> Refusal | None:
    """Where clearing would lack what only the buyer can declare, nothing is struck yet: it is told where to sign."""
    listing = state.listings[proposal.listing]
    where = (need.purpose, need.territory)
    cell, parties = cell_of(state, listing, *where, at_ns), (need.buyer, listing.merchant)
    offer = (proposal.quantity, proposal.price_fen, 0)
    verdict, _ = judge_clearing(
        state, Deal(listing, cell, *parties, "", "", *offer, *where, accepts_prior), at_ns
    )
    unsaid = any(fact in DECLARED_FACTS for _, facts in verdict.unknown for fact in facts)
    if verdict.outcome != "indeterminate" or not unsaid:
        return None
    detail = f"facts that a rule needs are unknown: {to_sign(state, listing.id)}"
    return Refusal(Refused.unlawful, detail, verdict.violated, verdict.unknown)


_CLEARED: Final[Mapping[type[Event], ProposalStep]] = {Settled: "award", Held: "hold", TradeRefused: "refuse"}


def _struck(
    state: State,
    need: Need,
    proposal: Proposal,
    ranking: tuple[Ranked, ...],
    accepts_prior: bool,
    at_ns: int,
) -> Iterator[Event]:
    listing, where = state.listings[proposal.listing], (need.purpose, need.territory)
    offer = (need.buyer, proposal.quantity, proposal.price_fen, *where)
    cleared: Settled | Held | TradeRefused | None = None
    for event in strike(state, listing, *offer, accepts_prior, at_ns, proposal.delivery_days):
        yield event
        if isinstance(event, Settled | Held | TradeRefused):
            cleared = event
    assert cleared is not None, "clearing has said something"
    violated = () if isinstance(cleared, Settled) else cleared.violated
    yield _came_of(proposal, _CLEARED[type(cleared)], cleared.trade, violated, ranking)
    yield from _settle(state, need, at_ns)


def _came_of(
    proposal: Proposal,
    step: ProposalStep,
    trade: str,
    violated: tuple[str, ...] = (),
    ranking: tuple[Ranked, ...] = (),
) -> ProposalAwarded:
    after_it = PROPOSAL_LIFE[proposal.state, step]
    return ProposalAwarded(proposal.id, proposal.need, step, after_it, trade, violated, ranking)


def after_settled(state: State, event: Settled, at_ns: int) -> Iterator[Event]:
    """A hold that was an award has been cured."""
    yield from _after_hold(state, event.trade, "settle", (), at_ns)


def after_released(state: State, event: HoldReleased, at_ns: int) -> Iterator[Event]:
    """A hold that was an award has ended in nothing: the need goes on to the next."""
    yield from _after_hold(state, event.trade, "release", event.violated, at_ns)


def _after_hold(
    state: State, trade: str, step: ProposalStep, violated: tuple[str, ...], at_ns: int
) -> Iterator[Event]:
    name = state.awarding.get(trade)
    if name is not None:
        proposal = state.proposals[name]
        yield _came_of(proposal, step, trade, violated)
        yield from _settle(state, state.needs[proposal.need], at_ns)


# ---- dates that pass


def on_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterable[Event]:
    """Proposals are opened, or the need ends undecided."""
    need = state.needs.get(identifier)
    if need is None:
        return []
    if due_ns == need.decide_until_ns:
        return _settle(state, need, at_ns)
    if need.state != "open" or due_ns != need.respond_until_ns:
        return []
    if not need.proposals:
        return [_moved(need, "lapse", "nobody has proposed", VENUE)]
    sealed = tuple(one.id for one in _live(state, need) if one.state == "sealed")
    return [NeedMoved(need.id, "close", LIFE["open", "close"], "", VENUE, sealed)]


def _settle(state: State, need: Need, at_ns: int) -> Iterator[Event]:
    """The need's end, where everything is awarded, or nothing can be any more."""
    if need.awarded >= need.awards:
        yield _moved(need, "award", "", VENUE)
    elif not _held(state, need) and need.state == "deciding":
        late = at_ns > need.decide_until_ns
        if late or not need.proposals:
            reason = "the date for the decision has passed" if late else "no proposal is left"
            yield _moved(need, "finish" if need.awarded else "lapse", reason, VENUE)


# ---- events


def apply_published(state: State, event: NeedPublished, at_ns: int) -> None:
    state.took_id(event.need)
    state.needs[event.need] = Need(
        id=event.need,
        kind=event.kind,  # type: ignore[arg-type]
        buyer=event.buyer,
        board=event.board,
        purpose=event.purpose,
        territory=event.territory,
        right=event.right,
        fields=event.fields,
        quantity=event.quantity,
        budget_fen=event.budget_fen,
        criteria=event.criteria,
        respond_until_ns=event.respond_until_ns,
        decide_until_ns=event.decide_until_ns,
        stages=event.stages,
        awards=event.awards,
        listing=event.listing,
    )
    state.start_timer(event.respond_until_ns, "need", event.need)
    state.start_timer(event.decide_until_ns, "need", event.need)


def apply_moved(state: State, event: NeedMoved, at_ns: int) -> None:
    """What is over leaves the memory: it is in the query tables."""
    need = state.needs[event.need]
    if event.state in OVER:
        for name in need.proposals:
            del state.proposals[name]
        del state.needs[event.need]
        return
    need.state = event.state  # type: ignore[assignment]
    for name in event.opened:
        state.proposals[name].state = "offered"


def apply_shortlisted(state: State, event: NeedShortlisted, at_ns: int) -> None:
    need = state.needs[event.need]
    need.state, need.stage, need.respond_until_ns = "open", event.stage, event.respond_until_ns
    for name in event.eliminated:
        _forget(state, need, name)
    state.start_timer(event.respond_until_ns, "need", need.id)


def _forget(state: State, need: Need, proposal: str) -> None:
    """Nothing comes of it any more."""
    del state.proposals[proposal]
    need.proposals = tuple(name for name in need.proposals if name != proposal)


def apply_made(state: State, event: ProposalMade, at_ns: int) -> None:
    state.took_id(event.proposal)
    need = state.needs[event.need]
    need.proposals = (*need.proposals, event.proposal)
    state.proposals[event.proposal] = Proposal(
        id=event.proposal,
        need=event.need,
        merchant=event.merchant,
        listing=event.listing,
        quantity=event.quantity,
        price_fen=event.price_fen,
        delivery_days=event.delivery_days,
        figures=event.figures,
        state="sealed" if event.sealed else "offered",
    )


def apply_revised(state: State, event: ProposalRevised, at_ns: int) -> None:
    """Marks were of what it said before."""
    proposal = state.proposals[event.proposal]
    proposal.listing, proposal.quantity, proposal.price_fen = event.listing, event.quantity, event.price_fen
    proposal.delivery_days, proposal.figures, proposal.marks = event.delivery_days, event.figures, {}


def apply_countered(state: State, event: ProposalCountered, at_ns: int) -> None:
    proposal = state.proposals[event.proposal]
    proposal.state, proposal.counters = event.state, proposal.counters + 1  # type: ignore[assignment]
    proposal.quantity, proposal.price_fen = event.quantity, event.price_fen


def apply_withdrawn(state: State, event: ProposalWithdrawn, at_ns: int) -> None:
    _forget(state, state.needs[event.need], event.proposal)


def apply_marked(state: State, event: ProposalMarked, at_ns: int) -> None:
    proposal = state.proposals[event.proposal]
    proposal.marks = {**proposal.marks, **event.marks}


def apply_awarded(state: State, event: ProposalAwarded, at_ns: int) -> None:
    need, proposal = state.needs[event.need], state.proposals[event.proposal]
    state.awarding.pop(event.trade, None)
    need.awarded += event.state == "awarded"
    if event.state in LIVE:
        proposal.state, proposal.trade = "held", event.trade
        state.awarding[event.trade] = proposal.id
    else:
        _forget(state, need, proposal.id)
