-- What an order set aside and what of it went into trades, what of a price has gone back by agreement, and accounts of
-- debtors, which mirror what others hold as claims and so may be negative.
--
-- Rows of earlier versions lack these figures. The query tables hold nothing that the journal does not say, so they are
-- emptied and the projector fills them again; nothing else is touched.

ALTER TABLE order_record
    ADD COLUMN reserved bigint NOT NULL DEFAULT 0,
    ADD COLUMN posted bigint NOT NULL DEFAULT 0,
    ADD COLUMN moved bigint NOT NULL DEFAULT 0,
    ADD CHECK (posted >= 0 AND moved >= 0 AND posted + moved <= reserved);
ALTER TABLE trade
    ADD COLUMN refunded_fen bigint NOT NULL DEFAULT 0,
    ADD CHECK (refunded_fen >= 0 AND refunded_fen <= amount_fen);

-- Few trades were ever on hold; reservations of holds are found by this.
CREATE INDEX trade_by_hold ON trade (number) WHERE held_until_ns > 0;

ALTER TABLE account DROP CONSTRAINT available_not_negative;
ALTER TABLE account ADD CONSTRAINT available_not_negative
    CHECK (balance >= reserved OR owner = 'bank:cash' OR owner LIKE 'issue:%' OR owner LIKE 'debtor:%');

TRUNCATE participant_name, product_record, listing_search, order_record, trade, posting, refusal, entitlement, duty, projection;
