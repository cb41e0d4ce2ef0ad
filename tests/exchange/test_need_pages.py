"""The numbers of the pages of quote, tender, challenge and off-venue report are the venue's: their tables are played."""

import re
from pathlib import Path

from exchange import events as e
from exchange.matching.negotiation import Criterion
from exchange.state import DAY_NS
from tests.exchange.test_needs import Asked
from tests.exchange.test_venue_trades import Bilateral
from tests.exchange.world import START_NS, only

FOLDER = Path(__file__).parents[2] / "docs" / "mechanisms"


def rows(page: str, *columns: str) -> list[tuple[str, ...]]:
    """The rows of the page's tables whose cells match these patterns, one each."""
    pattern = re.compile(r"^\| " + r" \| ".join(f"({column})" for column in columns) + r" \|$", re.MULTILINE)
    found: list[tuple[str, ...]] = pattern.findall((FOLDER / page).read_text(encoding="utf-8"))
    return found


def numbers(page: str, sentence: str) -> tuple[int, ...]:
    """The numbers of a sentence, in which each is written as `#`."""
    words = re.escape(sentence).replace(r"\#", r"(\d+)").replace(r"\ ", r"\s+")
    found = re.search(words, (FOLDER / page).read_text(encoding="utf-8"))
    assert found is not None, sentence
    return tuple(map(int, found.groups()))


def test_the_quote() -> None:
    offers = rows("quote.md", "merchant|buyer", r"\d+", r"\d+")
    assert [by for by, _, _ in offers] == ["merchant", "buyer", "merchant"]
    asked = Asked()
    quote = asked.propose(0, int(offers[0][1]))
    for by, price, amount in offers[1:]:
        actor = asked.buyer if by == "buyer" else asked.merchants[0]
        asked.world.must(asked.counter(actor, quote, int(price)))
        assert int(amount) == asked.proposal(quote).price_fen * 10
    settled = only(asked.world.must(e.AcceptProposal(actor=asked.buyer, proposal=quote)), e.Settled)
    units, amount_fen = numbers("quote.md", "The trade is # units for # fen")
    assert (settled.quantity, settled.amount_fen) == (units, amount_fen) == (10, int(offers[-1][2]))
    (days,) = numbers("quote.md", "due in the # days that A promised")
    assert settled.due_ns - asked.world.at_ns == days * DAY_NS
    asked.finish(settled.trade)
    paid, percent, fee = numbers("quote.md", "A has # fen and the venue its # %, # fen")
    assert (asked.world.money(asked.merchants[0])[0], settled.fee_fen, percent) == (paid, fee, 2)


def test_the_tender() -> None:
    weights = numbers("tender.md", "`price_fen` #, `coverage` # (higher), `delivery_days` # basis points")
    criteria = (
        Criterion("price_fen", weights[0], "lower"),
        Criterion("coverage", weights[1], "higher"),
        Criterion("delivery_days", weights[2], "lower"),
    )
    asked = Asked("tender", criteria=criteria)
    told = rows("tender.md", r"Q\d", *[r"\d+"] * 7)
    for name, price, coverage, days, *_ in sorted(told):
        figures = {"coverage": int(coverage)}
        at = int(name[1:]) - 1
        assert asked.propose(at, int(price), delivery_days=int(days), figures=figures) == name
    asked.close()
    best = told[0][0]
    assert asked.world.code(asked.award(told[1][0])) == "outside_terms"
    outcome = asked.world.must(asked.award(best))
    ranking = only(outcome, e.ProposalAwarded).ranking
    assert [(row.id, *row.points_bp, row.score_bp) for row in ranking] == [
        (name, *map(int, figures)) for name, _, _, _, *figures in told
    ]
    (amount,) = numbers("tender.md", "Q2 is awarded: # fen for ten")
    assert only(outcome, e.Settled).amount_fen == amount
    (less,) = numbers("tender.md", "An award to Q1, # fen cheaper")
    assert less == amount - int(told[1][1]) * 10


def test_the_challenge() -> None:
    sentence = "`solution` # (higher, marked by the buyer), `price_fen` # basis points; one further stage for #, # awards"
    solution, price, going, awards = numbers("challenge.md", sentence)
    told = rows("challenge.md", r"Q\d", *[r"\d+"] * 3)
    first, second = sorted(told[:3]), told[3:]
    asked = Asked(
        "challenge",
        criteria=(Criterion("solution", solution, "higher"), Criterion("price_fen", price, "lower")),
        stages=(e.Stage(name="prototype", shortlist=going, until_ns=START_NS + 15 * DAY_NS),),
        awards=awards,
    )
    for name, price_fen, mark, _ in first:
        assert asked.propose(int(name[1:]) - 1, int(price_fen)) == name
        _mark(asked, name, int(mark))
    asked.close()
    go_on = e.ShortlistProposals(actor=asked.buyer, need=asked.need)
    listed = only(asked.world.must(go_on), e.NeedShortlisted)
    assert [(row.id, row.score_bp) for row in listed.ranking] == [(row[0], int(row[3])) for row in told[:3]]
    name, price_fen, mark, _ = second[0]
    asked.world.must(asked.proposing(int(name[1:]) - 1, int(price_fen)))
    _mark(asked, name, int(mark))
    asked.close()
    amounts = numbers("challenge.md", "Q3 is awarded first, for # fen, then Q2, for #.")
    for at, (name, *_) in enumerate(second):
        outcome = asked.world.must(asked.award(name))
        assert only(outcome, e.Settled).amount_fen == amounts[at]
        if at == 0:
            ranking = only(outcome, e.ProposalAwarded).ranking
            assert [(row.id, row.score_bp) for row in ranking] == [(row[0], int(row[3])) for row in second]
    assert asked.gone()


def _mark(asked: Asked, name: str, mark: int) -> None:
    marks = {"solution": mark}
    asked.world.must(e.MarkProposal(actor=asked.buyer, need=asked.need, proposal=name, marks=marks))


def test_the_off_venue_report() -> None:
    units, price, listed = numbers("off_venue.md", "agreed on # units at # fen; the listing says #.")
    pair = Bilateral(price_fen=listed)
    fields = {"quantity": units, "price_fen": price}
    pair.world.must(pair.report("sell", **fields))
    (free,) = numbers("off_venue.md", "after the first report | # available")
    assert pair.world.money(pair.buyer) == (free, 0)
    settled = only(pair.world.must(pair.report("buy", **fields)), e.Settled)
    (escrow,) = numbers("off_venue.md", "in escrow | #")
    percent, fee = numbers("off_venue.md", "the venue's # % | #")
    assert (settled.amount_fen, settled.fee_fen, percent) == (escrow, fee, 2)
    pair.world.deliver(settled.trade)
    pair.world.accept(settled.trade)
    (paid,) = numbers("off_venue.md", "the merchant | #")
    (left,) = numbers("off_venue.md", "the buyer has left | #")
    assert (pair.world.money(pair.merchant)[0], pair.world.money(pair.buyer)[0]) == (paid, left)
