-- When the buyer of an entitlement was reminded of its end.
--
-- Earlier reminders are in the journal only: the query tables are emptied and the projector fills them again.
ALTER TABLE entitlement ADD COLUMN reminded_at_ns bigint NOT NULL DEFAULT 0;

TRUNCATE participant_name, product_record, listing_search, order_record, trade, posting, refusal, entitlement, duty,
    evidence_leaf, projection;
