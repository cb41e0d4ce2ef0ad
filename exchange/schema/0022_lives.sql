-- The life of every credential (exchange/accreditation.py). Journals of earlier versions hold such steps too, so the query
-- tables are emptied and the projector fills them again.
CREATE TABLE accreditation_step (
    sequence bigint NOT NULL,
    position integer NOT NULL,
    at_ns bigint NOT NULL,
    participant text NOT NULL,
    step text NOT NULL,
    state text NOT NULL,
    by text NOT NULL,
    proposed_by text NOT NULL,
    classes text[] NOT NULL,
    boards text[] NOT NULL,
    documents text[] NOT NULL,
    hashes text[] NOT NULL,
    reasons text[] NOT NULL,
    evidence_sha256 text NOT NULL,
    credential_number text NOT NULL,
    valid_until_ns bigint NOT NULL,
    PRIMARY KEY (sequence, position)
);
CREATE INDEX accreditation_step_by_participant ON accreditation_step (participant, sequence, position);

TRUNCATE participant_name, product_record, listing_search, order_record, trade, posting, refusal, entitlement, duty,
    evidence_leaf, trade_report, need, proposal, auction, bid, call_auction, subscription, bill, usage_record, listing_day,
    projection;
