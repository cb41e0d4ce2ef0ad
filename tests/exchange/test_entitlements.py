"""What becomes of an entitlement: suspended, renewed, revoked, reminded of its end."""

from typing import Any

import pytest

from exchange import events as e
from exchange.state import DAY_NS
from tests.exchange.world import EVIDENCE, OPERATOR, World, changed, consent_of, kinds, only, personal


class Licence:
    """A licence of 30 days that was delivered and paid."""

    def __init__(self, **fields: Any) -> None:
        world = self.world = World()
        self.merchant, self.buyer = world.merchant(), world.buyer()
        self.listing = world.listing(self.merchant, price_fen=500, **fields)
        self.trade = world.buy(self.buyer, self.listing)
        self.id = world.state.trades[self.trade].entitlement
        world.deliver(self.trade)
        world.accept(self.trade)

    @property
    def state(self) -> str | None:
        row = self.world.state.entitlements.get(self.id)
        return None if row is None else row.state

    @property
    def until_ns(self) -> int:
        return self.world.state.entitlements[self.id].until_ns

    def suspend(
        self, actor: str = "", reason: str = "the address is down", evidence: str = EVIDENCE
    ) -> e.SuspendEntitlement:
        return e.SuspendEntitlement(
            actor=actor or self.merchant, entitlement=self.id, reason=reason, evidence_sha256=evidence
        )

    def resume(
        self, actor: str = "", evidence: str = "", reason: str = "it is up again"
    ) -> e.ResumeEntitlement:
        return e.ResumeEntitlement(
            actor=actor or self.merchant, entitlement=self.id, reason=reason, evidence_sha256=evidence
        )

    def faults(self) -> list[str]:
        """What counts against the merchant."""
        return [row.kind for row in self.world.state.bureau.conduct[self.merchant].faults.values()]

    def renew(self, actor: str = "", quantity: int = 1) -> e.RenewEntitlement:
        return e.RenewEntitlement(actor=actor or self.buyer, entitlement=self.id, quantity=quantity)

    def revoke(
        self, actor: str, evidence: str = EVIDENCE, reason: str = "a court said so"
    ) -> e.RevokeEntitlement:
        return e.RevokeEntitlement(actor=actor, entitlement=self.id, reason=reason, evidence_sha256=evidence)


@pytest.fixture
def licence() -> Licence:
    return Licence()


# ---- suspended


def test_its_merchant_suspends_and_resumes_with_a_reason(licence: Licence) -> None:
    world = licence.world
    moved = only(world.must(licence.suspend()), e.EntitlementMoved)
    assert (moved.state, moved.reason, moved.by) == ("suspended", "the address is down", licence.merchant)
    assert licence.state == "suspended"
    assert world.code(licence.suspend()) == "wrong_state"
    world.must(licence.resume())
    assert licence.state == "active"
    assert world.code(licence.resume()) == "wrong_state"
    world.check()


def test_nobody_else_suspends_and_nobody_without_a_reason(licence: Licence) -> None:
    world = licence.world
    assert world.code(licence.suspend(actor=licence.buyer)) == "not_found"
    assert world.code(licence.suspend(actor=OPERATOR)) == "not_found"
    assert world.code(licence.suspend(reason=" ")) == "malformed"


def test_an_open_trade_takes_its_own_steps_only(licence: Licence) -> None:
    world = licence.world
    trade = world.buy(licence.buyer, licence.listing)
    licence.id = world.state.trades[trade].entitlement
    world.deliver(trade)
    for command in (licence.suspend(), licence.revoke(world.reviewer), licence.renew()):
        assert world.code(command) == "wrong_state"


def test_a_suspension_needs_evidence(licence: Licence) -> None:
    world = licence.world
    assert world.code(licence.suspend(evidence="")) == "evidence_missing"
    moved = only(world.must(licence.suspend()), e.EntitlementMoved)
    assert moved.evidence_sha256 == EVIDENCE


def test_the_term_stands_still_while_it_is_suspended(licence: Licence) -> None:
    """The review's finding 18: it was shut one second after acceptance, and expired so, paid for."""
    world, until_ns = licence.world, licence.until_ns
    world.must(licence.suspend())
    since_ns = world.at_ns
    assert licence.until_ns == 0
    assert "EntitlementReminded" not in kinds(world.tick_at(until_ns - 5 * DAY_NS))
    assert "EntitlementEnded" not in kinds(world.tick_at(until_ns + 100 * DAY_NS))
    assert world.code(licence.renew()) == "wrong_state"
    world.check()
    world.must(licence.resume())
    assert licence.until_ns == until_ns + world.at_ns - since_ns
    assert not world.state.suspended
    only(world.tick_at(licence.until_ns - 7 * DAY_NS + 1), e.EntitlementReminded)
    assert "EntitlementEnded" not in kinds(world.tick_at(licence.until_ns))
    assert only(world.tick_at(licence.until_ns + 1), e.EntitlementEnded).step == "expire"
    assert licence.faults() == []
    world.check()


def test_a_reviewer_resumes_what_was_suspended_without_ground(licence: Licence) -> None:
    world, until_ns = licence.world, licence.until_ns
    world.must(licence.suspend(reason="just so"))
    world.wait(days=3)
    assert world.code(licence.resume(licence.buyer, EVIDENCE)) == "not_found"
    assert world.code(licence.resume(world.reviewer)) == "evidence_missing"
    assert world.code(licence.resume(world.reviewer, EVIDENCE, reason=" ")) == "malformed"
    moved = only(world.must(licence.resume(world.reviewer, EVIDENCE)), e.EntitlementMoved)
    assert (moved.state, moved.unfounded, moved.by) == ("active", True, world.reviewer)
    assert licence.until_ns > until_ns + 3 * DAY_NS
    assert licence.faults() == ["dispute_lost"]
    assert world.code(licence.resume(OPERATOR, EVIDENCE)) == "wrong_state"
    world.must(licence.suspend())
    world.must(licence.resume(OPERATOR, EVIDENCE))
    assert licence.faults() == ["dispute_lost", "dispute_lost"]
    world.check()


def test_nobody_resumes_against_the_merchant_in_their_own_case(licence: Licence) -> None:
    world = licence.world
    world.must(licence.suspend())
    world.must(e.GrantRole(actor=OPERATOR, participant=licence.buyer, role="reviewer"))
    assert world.code(licence.resume(licence.buyer, EVIDENCE)) == "own_case"


def test_what_is_suspended_may_be_revoked(licence: Licence) -> None:
    world = licence.world
    world.must(licence.suspend())
    world.must(licence.revoke(world.reviewer))
    assert not world.state.suspended
    world.check()


def test_what_has_run_out_is_not_suspended(licence: Licence) -> None:
    """Between the end of a term and the tick that ends it."""
    licence.world.at_ns = licence.until_ns
    assert licence.world.code(licence.suspend()) == "wrong_state"


def test_an_exclusive_right_is_kept_while_it_stands_still() -> None:
    licence = Licence(deal="exclusive_licence", supply="exclusive")
    world, until_ns = licence.world, licence.until_ns
    product = world.state.listings[licence.listing].product
    other = world.listing(licence.merchant, product, deal="exclusive_licence", supply="exclusive")
    world.must(licence.suspend())
    world.tick_at(until_ns + DAY_NS)
    assert world.refused(e.PlaceOrder(actor=world.buyer(), listing=other, quantity=1)).violated == ("B16",)
    world.must(licence.resume())
    assert [row.until_ns for row in world.state.products[product].exclusives] == [licence.until_ns]
    world.tick_at(licence.until_ns + 1)
    assert not world.state.products[product].exclusives
    world.check()


# ---- reminded


def test_the_buyer_is_reminded_a_week_before_the_end(licence: Licence) -> None:
    world, until_ns = licence.world, licence.until_ns
    assert "EntitlementReminded" not in kinds(world.tick_at(until_ns - 7 * DAY_NS))
    reminded = only(world.tick_at(until_ns - 7 * DAY_NS + 1), e.EntitlementReminded)
    assert reminded == e.EntitlementReminded(licence.id, licence.buyer, licence.merchant, until_ns)
    assert kinds(world.tick_at(until_ns - DAY_NS)) == []
    world.check()


def test_of_a_short_term_when_half_of_it_is_over() -> None:
    licence = Licence(term_days=4)
    world, until_ns = licence.world, licence.until_ns
    only(world.tick_at(until_ns - 2 * DAY_NS + 1), e.EntitlementReminded)


def test_a_redelivery_starts_the_term_and_its_reminder_anew() -> None:
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    trade = world.buy(buyer, world.listing(shop, redelivery_days=20))
    world.deliver(trade)
    world.reject(trade)
    world.wait(days=15)
    world.deliver(trade)
    world.accept(trade)
    (row,) = world.state.entitlements.values()
    world.at_ns = row.until_ns - 14 * DAY_NS
    assert "EntitlementReminded" not in kinds(world.tick())
    only(world.tick_at(row.until_ns - 6 * DAY_NS), e.EntitlementReminded)


# ---- renewed


def test_a_renewal_is_a_new_trade_at_the_price_of_its_day(licence: Licence) -> None:
    world = licence.world
    cash = world.money(licence.buyer)[0]
    outcome = world.must(licence.renew(quantity=2))
    settled = only(outcome, e.Settled)
    assert (settled.amount_fen, settled.territory) == (1_000, "CN")
    assert world.money(licence.buyer)[0] == cash - 1_000
    renewed = only(outcome, e.EntitlementRenewed)
    assert renewed == e.EntitlementRenewed(licence.id, settled.trade, settled.entitlement)
    assert world.code(licence.renew()) == "already_exists"
    world.check()


def test_what_is_renewed_ends_renewed_and_the_next_goes_on(licence: Licence) -> None:
    world = licence.world
    settled = only(world.must(licence.renew()), e.Settled)
    world.deliver(settled.trade)
    world.accept(settled.trade)
    world.at_ns = licence.until_ns
    ended = only(world.tick(), e.EntitlementEnded)
    assert (ended.entitlement, ended.step) == (licence.id, "renew")
    assert list(world.state.entitlements) == [settled.entitlement]
    assert not world.state.renewals
    assert not world.state.renewing
    world.check()


def test_a_renewal_that_is_not_delivered_lapses(licence: Licence) -> None:
    """The term ends while the renewal waits for its delivery; refunded, the old one is expired after all."""
    world = licence.world
    world.at_ns = licence.until_ns - DAY_NS
    trade = only(world.must(licence.renew()), e.Settled).trade
    assert only(world.tick_at(licence.until_ns + 1), e.EntitlementEnded).step == "renew"
    world.check()
    outcome = world.tick_at(world.state.trades[trade].due_ns + 1)
    assert kinds(outcome) == ["Ticked", "Refunded", "EntitlementMoved", "DutyOpened"]
    assert only(outcome, e.EntitlementMoved).state == "expired"
    assert not world.state.renewals
    world.check()


def test_a_renewal_refunded_before_the_end_leaves_room_for_another(licence: Licence) -> None:
    world = licence.world
    trade = only(world.must(licence.renew()), e.Settled).trade
    world.tick_at(world.state.trades[trade].due_ns + 1)
    assert licence.state == "active"
    only(world.must(licence.renew()), e.EntitlementRenewed)
    world.check()


def test_a_renewal_is_refused_like_any_order(licence: Licence) -> None:
    """Withdrawn consent, no money, a listing that is gone: the rules and the shop of that day."""
    world = licence.world
    world.record(world.state.listings[licence.listing].product, "authorisation_withdrawn")
    refusal = world.refused(licence.renew())
    assert refusal.code is e.Refused.unlawful
    assert refusal.violated
    assert world.code(licence.renew(actor=licence.merchant)) == "not_found"
    world.at_ns = licence.until_ns
    assert world.code(licence.renew()) == "wrong_state"


def test_a_held_renewal_follows_when_it_is_cured() -> None:
    """C02 holds what needs separate consent; cured, the new entitlement takes its place."""
    world = World()
    shop, buyer = world.merchant(), world.buyer()
    consent = consent_of(basis="separate_consent", purposes=("market_analysis",))
    product = world.product(shop, classification=personal(), consent=consent)
    trade = world.buy(buyer, world.listing(shop, product))
    entitlement = world.state.trades[trade].entitlement
    world.deliver(trade)
    world.accept(trade)
    general = consent_of(basis="general_consent", purposes=("market_analysis",))
    world.must(e.AmendFacts(actor=shop, product=product, evidence_sha256=EVIDENCE, consent=general))
    world.must(
        e.ConfirmFacts(
            actor=world.reviewer,
            product=product,
            revision=world.state.products[product].revision,
            groups=("consent",),
            evidence={"consent": EVIDENCE},
        )
    )
    outcome = world.must(e.RenewEntitlement(actor=buyer, entitlement=entitlement))
    held = only(outcome, e.Held)
    assert only(outcome, e.EntitlementRenewed).successor == ""
    world.check()
    cured = world.must(
        e.CureHold(
            actor=world.reviewer,
            trade=held.trade,
            rule="C02",
            evidence_sha256=EVIDENCE,
            revision=world.state.products[product].revision,
        )
    )
    settled = only(cured, e.Settled)
    assert only(cured, e.EntitlementRenewed).successor == settled.entitlement
    world.check()


# ---- revoked


def test_a_reviewer_or_an_operator_revokes_with_evidence(licence: Licence) -> None:
    world = licence.world
    key = e.IssueKey(actor=licence.buyer, entitlement=licence.id, key_sha256="k")
    world.must(key)
    assert world.code(licence.revoke(licence.merchant)) == "forbidden"
    assert world.code(licence.revoke(world.reviewer, evidence="")) == "evidence_missing"
    assert world.code(licence.revoke(world.reviewer, reason="")) == "malformed"
    ended = only(world.must(licence.revoke(OPERATOR)), e.EntitlementEnded)
    assert (ended.step, ended.by, ended.evidence_sha256) == ("revoke", OPERATOR, EVIDENCE)
    assert "k" not in world.state.keys
    assert world.code(key) == "not_found"
    assert world.code(licence.revoke(OPERATOR)) == "not_found"
    world.check()


def test_nobody_revokes_in_their_own_case(licence: Licence) -> None:
    world = licence.world
    world.must(e.GrantRole(actor=OPERATOR, participant=licence.buyer, role="reviewer"))
    assert world.code(licence.revoke(licence.buyer)) == "own_case"


# ---- supply


@pytest.mark.parametrize("delivered", [False, True])
def test_a_refund_before_acceptance_gives_the_supply_back(delivered: bool) -> None:
    world = World()
    shop, buyer, other = world.merchant(), world.buyer(), world.buyer()
    listing = world.listing(shop, supply="limited", supply_units=1)
    trade = world.buy(buyer, listing)
    if delivered:
        world.deliver(trade)
    assert world.order(other, listing).refusal.code.name == "supply_exhausted"  # type: ignore[union-attr]
    for actor in (buyer, shop):
        world.must(
            e.OfferRefund(actor=actor, trade=trade, amount_fen=500, reason="not needed", price_fen=500)
        )
    assert trade not in world.state.trades
    world.buy(other, listing)
    world.check()


@pytest.mark.parametrize("how", ["revoked", "refunded"])
def test_what_was_had_is_not_supplied_again(how: str) -> None:
    """Accepted, its data has been out: revoked or refunded whole, the one licence of this listing is gone."""
    world = World()
    shop, buyer, other = world.merchant(), world.buyer(), world.buyer()
    listing = world.listing(shop, supply="limited", supply_units=1)
    trade = world.buy(buyer, listing)
    world.deliver(trade)
    world.accept(trade)
    [row] = world.state.entitlements.values()
    if how == "revoked":
        world.must(
            e.RevokeEntitlement(
                actor=world.reviewer, entitlement=row.id, reason="a court", evidence_sha256="ab" * 32
            )
        )
    for actor in (buyer, shop) if how == "refunded" else ():
        offer = e.OfferRefund(actor=actor, trade=trade, amount_fen=500, reason="of no use", price_fen=500)
        world.must(changed(offer, entitlement=row.id))
    assert not world.state.entitlements
    assert world.order(other, listing).refusal.code.name == "supply_exhausted"  # type: ignore[union-attr]
    world.check()
