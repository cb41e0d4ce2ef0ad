"""Contracts at the venue: who signs what, what a trade cites, what declarations do to its verdict."""

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from clearing.contract import Security
from clearing.house import Signed
from clearing.notrade import TradeFacts
from exchange import events as e
from exchange.contract import MOST_A_DAY, drawn_up, own_signatures
from exchange.listing import cell_of
from exchange.order import MOST_DECLARED, signed_by, would
from exchange.state import decode_state, encode_state
from tests.exchange.world import EVIDENCE, HONEST, World, boards, only, rulebook


def offered() -> tuple[World, str, str, str]:
    """A world, its merchant, a buyer, and a published listing whose contract the merchant has signed."""
    world = World()
    shop, reader = world.merchant(), world.buyer()
    listing = world.listing(shop, price_fen=500)
    assert world.offer_contract(listing).refusal is None
    return world, shop, reader, listing


def facts(world: World, listing: str, buyer: str) -> TradeFacts:
    row = world.state.listings[listing]
    cell = cell_of(world.state, row, row.terms.purposes[0], row.terms.territories[0], world.at_ns)
    signed = signed_by(world.state, row, cell, buyer)
    return cell.trade if signed is None else signed.trade


def signing(world: World, actor: str, listing: str, **changes: Any) -> e.SignContract:
    said = {
        "actor": actor,
        "listing": listing,
        "declarations": HONEST,
        "sha256": world.state.contract_of[listing].sha256,
        "public_key": world.key_of(actor),
        "signature": "s",
    }
    return e.SignContract(**{**said, **changes})


def test_a_trade_cites_the_contract_and_the_buyers_signature() -> None:
    world, _, reader, listing = offered()
    signed = only(world.sign_contract(reader, listing), e.ContractSigned)
    settled = only(world.order(reader, listing), e.Settled)
    assert (
        (settled.contract, settled.buyer_signature) == ("L1-1", signed.signature_id) == ("L1-1", "L1-1-P4-1")
    )
    again = only(world.order(reader, listing), e.Settled)
    assert again.buyer_signature == signed.signature_id, "once a contract, not once a trade"
    world.check()


def test_trades_of_a_book_cite_it_and_so_do_those_of_whoever_resells() -> None:
    world = World()
    shop, dealer, other = world.merchant(), world.merchant(cash_fen=10**6), world.buyer()
    book = world.book(shop)
    world.offer_contract(book)
    world.sign_contract(dealer, book)
    world.sign_contract(other, book)
    world.ask(shop, book, 10, 100)
    assert only(world.bid(dealer, book, 10, 100), e.Settled).buyer_signature == f"{book}-1-{dealer}-1"
    world.ask(dealer, book, 5, 110)
    resold = only(world.bid(other, book, 5, 110), e.Settled)
    assert (resold.contract, resold.buyer_signature) == (f"{book}-1", f"{book}-1-{other}-1")
    world.check()


def test_a_trade_that_was_reported_cites_it() -> None:
    world = World()
    shop, reader = world.merchant(), world.buyer()
    listing = world.listing(shop, mechanism="off_venue", price_fen=500)
    world.offer_contract(listing)
    world.sign_contract(reader, listing)
    terms = world.state.listings[listing].terms
    said: dict[str, Any] = {
        "listing": listing,
        "quantity": 1,
        "price_fen": 500,
        "purpose": terms.purposes[0],
        "territory": terms.territories[0],
        "contract_sha256": EVIDENCE,
    }
    world.must(e.ReportTrade(actor=shop, side="sell", counterparty=reader, **said))
    settled = only(world.must(e.ReportTrade(actor=reader, side="buy", counterparty=shop, **said)), e.Settled)
    assert (settled.contract, settled.buyer_signature) == (f"{listing}-1", f"{listing}-1-{reader}-1")
    world.check()


def test_facts_are_unknown_until_both_have_signed() -> None:
    world = World()
    shop, reader = world.merchant(), world.buyer()
    listing = world.listing(shop)
    assert "merchant has not signed" in world.refused(signing_draft(world, reader, listing)).detail
    world.offer_contract(listing)
    assert facts(world, listing, reader).reidentification_intent is UNSET
    world.sign_contract(reader, listing)
    known = facts(world, listing, reader)
    assert (known.reidentification_intent, known.contract_security_terms) == (False, True)
    assert (known.log_retention_months, known.entrust_agreement) == (36, False)
    assert facts(world, listing, world.buyer()).reidentification_intent is UNSET, "each for itself"


def signing_draft(world: World, actor: str, listing: str) -> e.SignContract:
    return e.SignContract(
        actor=actor, listing=listing, declarations=HONEST, sha256=EVIDENCE,
        public_key=world.key_of(actor), signature="s",
    )  # fmt: skip


def test_revised_terms_need_new_signatures_and_old_trades_keep_theirs() -> None:
    world = World()
    shop, reader = world.merchant(), world.buyer()
    listing = world.draft(shop, price_fen=500)
    world.offer_contract(listing)
    world.move(shop, listing, "submit")
    world.move(world.reviewer, listing, "return", "the price")
    terms = replace(world.state.listings[listing].terms, price_fen=700)
    world.must(e.ReviseListing(actor=shop, listing=listing, terms=terms))
    assert listing not in world.state.contract_of
    world.offer_contract(listing)
    assert world.state.contract_of[listing].id == f"{listing}-2"
    assert "7.00 元" in drawn_up(world.state.contract_of[listing]).zh
    world.move(shop, listing, "submit")
    world.move(world.reviewer, listing, "approve")
    world.sign_contract(reader, listing)
    first = only(world.order(reader, listing), e.Settled)
    world.offer_contract(listing, method="interface")
    assert (listing, reader) not in world.state.signed
    assert facts(world, listing, reader).human_research is UNSET
    world.sign_contract(reader, listing)
    second = only(world.order(reader, listing), e.Settled)
    assert (first.contract, second.contract) == (f"{listing}-2", f"{listing}-3")
    assert "5.00 元" in drawn_up(world.state.contracts[f"{listing}-1"]).zh, (
        "what was signed can be read for ever"
    )
    world.check()


def test_a_buyer_whose_facts_change_signs_again() -> None:
    world, _, reader, listing = offered()
    world.sign_contract(reader, listing)
    assert world.sign_contract(reader, listing).refusal is not None, "nothing new"
    again = only(world.sign_contract(reader, listing, human_research=True), e.ContractSigned)
    assert again.signature_id == f"{listing}-1-{reader}-2"
    assert facts(world, listing, reader).human_research is True
    back = only(world.sign_contract(reader, listing), e.ContractSigned)
    assert back.signature_id == f"{listing}-1-{reader}-3"
    assert facts(world, listing, reader).human_research is False
    assert only(world.order(reader, listing), e.Settled).buyer_signature == back.signature_id
    world.check()


def test_what_a_verdict_read_covers_what_was_declared() -> None:
    """Same trade, same instant, other declarations: another hash."""
    hashes = []
    for declared in ({}, {"log_retention_months": 37}, {"human_research": True}):
        world, _, reader, listing = offered()
        world.sign_contract(reader, listing, **declared)
        hashes.append(only(world.order(reader, listing), e.Settled).facts_sha256)
    assert len(set(hashes)) == 3
    world, _, reader, listing = offered()
    world.sign_contract(reader, listing)
    assert only(world.order(reader, listing), e.Settled).facts_sha256 == hashes[0]


def test_buyers_who_declare_alike_share_what_is_judged() -> None:
    world, _, reader, listing = offered()
    other = world.buyer()
    world.sign_contract(reader, listing)
    world.sign_contract(other, listing)
    assert facts(world, listing, reader) is facts(world, listing, other)


def test_who_may_sign_what() -> None:
    world, shop, reader, listing = offered()

    def code(actor: str, **changes: Any) -> str:
        return world.code(replace(signing(world, actor, listing), **changes))

    assert code(world.person("buyer")) == "not_verified"
    assert code(shop) == "own_case"
    assert code(reader, sha256=EVIDENCE) == "wrong_state"
    assert code(reader, public_key="another") == "signature_wrong"
    assert code(reader, listing="L99") == "not_found"
    assert code(reader, declarations=replace(HONEST, log_retention_months=-1)) == "out_of_bounds"
    offer = e.OfferContract(
        actor=reader, listing=listing, security=Security(), sha256=EVIDENCE, public_key="k", signature="s"
    )
    assert world.code(offer) == "not_found"
    assert world.offer_contract(listing).refusal.code.name == "already_exists"  # type: ignore[union-attr]
    last = signing(world, reader, listing)
    world.move(shop, listing, "withdraw")
    assert world.code(last) == "listing_closed"
    world.check()


def test_a_draft_is_nobodys_to_sign_but_its_merchants() -> None:
    world = World()
    shop, reader = world.merchant(), world.buyer()
    listing = world.draft(shop)
    world.offer_contract(listing)
    assert world.code(signing(world, reader, listing)) == "not_found"


@pytest.mark.parametrize("restart", [False, True])
def test_contracts_are_part_of_the_state(restart: bool) -> None:
    """A snapshot and a replay know the signatures that count."""
    world, _, reader, listing = offered()
    world.sign_contract(reader, listing)
    world.offer_contract(listing, method="interface")
    world.sign_contract(reader, listing, log_retention_months=6)
    state = world.replayed()
    if restart:
        state = decode_state(encode_state(world.state), boards(), rulebook(), "CN-46")
    assert encode_state(state) == encode_state(world.state)
    assert state.signed[listing, reader].declarations.log_retention_months == 6
    assert [row.live for row in state.contracts.values()] == [False, True]
    assert list(state.signed) == [(listing, reader)]


# ---- a merchant that signs anew


def test_an_order_that_rests_stays_good_under_the_contract_it_was_given_for() -> None:
    """The merchant signs another contract; the bid is met all the same, and the book does not stand crossed."""
    world = World()
    shop, bidder = world.merchant(), world.buyer()
    book = world.book(shop)
    world.ask(shop, book, 100, 100)
    world.bid(bidder, book, 10, 90)
    assert world.offer_contract(book, method="interface").refusal is None
    settled = only(world.ask(shop, book, 10, 90), e.Settled)
    assert (settled.contract, settled.buyer_signature) == (f"{book}-1", f"{book}-1-{bidder}-1")
    assert world.depth(book) == ([], [(100, 100, 1)])
    refusal = world.order(bidder, book, 10, signed=False, limit_fen=100).refusal
    assert refusal is not None, "a new order is under the new contract"
    assert "sign it" in refusal.detail
    world.check()


def test_a_bid_goes_with_its_buyer_to_the_contract_that_it_signs_then() -> None:
    world = World()
    shop, bidder = world.merchant(), world.buyer()
    book = world.book(shop)
    world.bid(bidder, book, 10, 90)
    world.offer_contract(book, method="interface")
    assert world.sign_contract(bidder, book).refusal is None
    assert only(world.ask(shop, book, 10, 90), e.Settled).contract == f"{book}-2"
    world.check()


def test_a_hold_stays_good_under_the_contract_it_was_given_for() -> None:
    """Also over a restart: a snapshot knows what was signed last."""
    world, _, reader, listing = offered()
    product = world.state.listings[listing].product
    world.record(product, "objection_raised")
    held = only(world.order(reader, listing), e.Held)
    assert [type(event) for event in world.offer_contract(listing, method="interface").events] == [
        e.ContractOffered
    ]
    world.state = decode_state(encode_state(world.state), boards(), rulebook(), "CN-46")
    settled = only(world.record(product, "objection_settled"), e.Settled)
    assert (settled.trade, settled.contract) == (held.trade, f"{listing}-1")
    world.check()


# ---- how often


def test_only_the_newest_signature_is_kept_and_those_that_trades_cite() -> None:
    world, _, reader, listing = offered()
    months = iter(range(100))

    def sign() -> str:
        declared = {"log_retention_months": next(months)}
        return only(world.sign_contract(reader, listing, **declared), e.ContractSigned).signature_id

    first = sign()
    world.buy(reader, listing)
    names = [sign() for _ in range(5)]
    assert [name.rsplit("-", 1)[1] for name in (first, *names)] == ["1", "2", "3", "4", "5", "6"]
    assert list(world.state.signatures[f"{listing}-1"]) == [first, names[-1]]
    assert [row.id for row in own_signatures(world.state, f"{listing}-1", reader)] == [first, names[-1]]
    state = decode_state(encode_state(world.state), boards(), rulebook(), "CN-46")
    assert own_signatures(state, f"{listing}-1", reader) == own_signatures(
        world.state, f"{listing}-1", reader
    )
    assert state.signing == world.state.signing
    assert sign() == f"{listing}-1-{reader}-7", "numbers are never used again"
    world.check()


def test_nobody_signs_without_end() -> None:
    """Twenty a day of Beijing time, a buyer and contract; another buyer, or tomorrow, is another matter."""
    world, _, reader, listing = offered()
    other = world.buyer()
    for months in range(MOST_A_DAY):
        assert world.sign_contract(reader, listing, log_retention_months=months).refusal is None
    refusal = world.sign_contract(reader, listing, log_retention_months=99).refusal
    assert refusal is not None
    assert (refusal.code.name, "tomorrow" in refusal.detail) == ("wrong_state", True)
    assert world.sign_contract(other, listing).refusal is None
    world.wait(days=1)
    assert world.sign_contract(reader, listing, log_retention_months=99).refusal is None
    assert len(world.state.signatures[f"{listing}-1"]) == 2
    world.check()


def test_no_merchant_makes_contracts_without_end() -> None:
    world, _, _, listing = offered()
    for number in range(MOST_A_DAY - 1):
        assert (
            world.offer_contract(listing, method="interface" if number % 2 == 0 else "dataset").refusal
            is None
        )
    refusal = world.offer_contract(listing, method="computation").refusal
    assert refusal is not None
    assert (refusal.code.name, "tomorrow" in refusal.detail) == ("wrong_state", True)
    world.wait(days=1)
    assert world.offer_contract(listing, method="computation").refusal is None
    assert not world.state.signing
    world.check()


def test_a_foretold_verdict_leaves_nothing() -> None:
    """However many purposes and places are asked about, and whatever the buyer has declared."""
    world, _, reader, listing = offered()
    world.sign_contract(reader, listing)
    row = world.state.listings[listing]
    world.state.cells.clear()
    for number in range(50):
        would(world.state, row, reader, 1, f"purpose {number}", "CN", world.at_ns)
    assert would(world.state, row, reader, 1, "market_analysis", "CN", world.at_ns)[0].outcome == "allow"
    assert not world.state.cells


def test_a_licence_class_keeps_a_bounded_number_of_declarations() -> None:
    world, _, reader, listing = offered()
    row = world.state.listings[listing]
    cell = cell_of(world.state, row, "market_analysis", "CN", world.at_ns)
    cell.signed.update(dict.fromkeys(map(str, range(MOST_DECLARED)), Signed(cell.trade, b"")))
    world.sign_contract(reader, listing)
    signed_by(world.state, row, cell, reader)
    assert len(cell.signed) == 1
