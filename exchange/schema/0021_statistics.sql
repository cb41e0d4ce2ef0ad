-- What settled of each listing on each day in Beijing (exchange/statistics.py, docs/STATISTICS.md). Journals of earlier
-- versions hold trades too, so the query tables are emptied and the projector fills them again.
CREATE TABLE listing_day (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    day int NOT NULL,
    listing text NOT NULL,
    board text NOT NULL,
    trades bigint NOT NULL,
    quantity bigint NOT NULL,
    amount_fen bigint NOT NULL,
    before_quantity bigint NOT NULL,
    before_fen bigint NOT NULL
) WITH (fillfactor = 85);
COMMENT ON COLUMN listing_day.day IS 'Ordinal of the day: 1 is the first of January of the year 1.';
COMMENT ON COLUMN listing_day.before_fen IS 'Of the last day before on which something settled of this listing; 0 on the first.';
CREATE INDEX listing_day_by_listing ON listing_day (listing, number);
CREATE INDEX listing_day_by_day ON listing_day (day, board);

TRUNCATE participant_name, product_record, listing_search, order_record, trade, posting, refusal, entitlement, duty,
    evidence_leaf, trade_report, need, proposal, auction, bid, call_auction, subscription, bill, usage_record, projection;
