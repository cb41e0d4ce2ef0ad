-- Query tables: what lists and searches read. The projector fills them behind the journal (exchange/projector.py) and
-- `shuji verify` recomputes them from it; nothing here is a source of truth. `number` is the counter in an id ("T12" is
-- 12): it rises with the journal, so newest first is `number` descending. Instants are UTC nanoseconds, money is fen.

CREATE TABLE projection (
    shard smallint PRIMARY KEY,
    sequence bigint NOT NULL DEFAULT 0,
    rulebook_sha256 text NOT NULL DEFAULT ''
);
COMMENT ON TABLE projection IS 'How far the journal is projected; moves in the transaction that writes the rows.';

CREATE TABLE participant_name (
    number bigint NOT NULL,
    id text PRIMARY KEY,
    legal_name text NOT NULL
);

CREATE TABLE product_record (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    merchant text NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    tags text[] NOT NULL,
    updates text NOT NULL,
    origin text NOT NULL,
    grade text NOT NULL
);

CREATE TABLE listing_search (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    product text NOT NULL,
    board text NOT NULL,
    merchant text NOT NULL,
    merchant_name text NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    tags text[] NOT NULL,
    updates text NOT NULL,
    origin text NOT NULL,
    grade text NOT NULL,
    mechanism text NOT NULL,
    "right" text NOT NULL,
    deal text NOT NULL,
    purposes text[] NOT NULL,
    territories text[] NOT NULL,
    price_fen bigint NOT NULL,
    price_per_units bigint NOT NULL,
    supply text NOT NULL,
    supply_units bigint NOT NULL,
    issued_units bigint NOT NULL,
    state text NOT NULL,
    created_at_ns bigint NOT NULL,
    published_at_ns bigint NOT NULL,
    search_text text NOT NULL,
    grams text[] NOT NULL
);
COMMENT ON COLUMN listing_search.grams IS 'Characters, pairs of characters and facets; see exchange/grams.py.';
CREATE INDEX listing_by_grams ON listing_search USING gin (grams);
CREATE INDEX listing_by_publication ON listing_search (published_at_ns DESC, number DESC) WHERE state = 'published';
CREATE INDEX listing_by_price ON listing_search (price_fen) WHERE state = 'published';
CREATE INDEX listing_by_product ON listing_search (product);

CREATE TABLE order_record (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    participant text NOT NULL,
    listing text NOT NULL,
    side text NOT NULL,
    quantity bigint NOT NULL,
    filled bigint NOT NULL,
    held bigint NOT NULL,
    remaining bigint NOT NULL,
    limit_fen bigint NOT NULL,
    time_in_force text NOT NULL,
    purpose text NOT NULL,
    territory text NOT NULL,
    accepts_prior boolean NOT NULL,
    state text NOT NULL,
    closed_reason text NOT NULL,
    client_order_id text NOT NULL,
    placed_at_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL,
    CHECK (filled >= 0 AND held >= 0 AND remaining >= 0 AND filled + held + remaining <= quantity)
) WITH (fillfactor = 85);
CREATE INDEX order_by_participant ON order_record (participant, number);
CREATE INDEX order_open_by_participant ON order_record (participant, number)
    WHERE state IN ('open', 'partly_filled');

CREATE TABLE trade (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    listing text NOT NULL,
    product text NOT NULL,
    buyer text NOT NULL,
    seller text NOT NULL,
    buy_order text NOT NULL,
    sell_order text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    price_fen bigint NOT NULL,
    amount_fen bigint NOT NULL,
    fee_fen bigint NOT NULL,
    merchant_fen bigint NOT NULL,
    shares jsonb NOT NULL,
    state text NOT NULL,
    outcome text NOT NULL,
    violated text[] NOT NULL,
    unknown jsonb NOT NULL,
    capacities text[] NOT NULL,
    cured text[] NOT NULL,
    facts_sha256 bytea NOT NULL,
    rulebook_sha256 text NOT NULL,
    verdict_at_ns bigint NOT NULL,
    entitlement text NOT NULL,
    delivery jsonb,
    rejection_reason text NOT NULL,
    closed_reason text NOT NULL,
    mechanism text NOT NULL,
    purpose text NOT NULL,
    territory text NOT NULL,
    made_at_ns bigint NOT NULL,
    held_until_ns bigint NOT NULL,
    settled_at_ns bigint NOT NULL,
    delivery_due_ns bigint NOT NULL,
    delivered_at_ns bigint NOT NULL,
    acceptance_due_ns bigint NOT NULL,
    rejected_at_ns bigint NOT NULL,
    redelivery_due_ns bigint NOT NULL,
    closed_at_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL,
    CHECK (fee_fen >= 0 AND merchant_fen >= 0 AND fee_fen + merchant_fen <= amount_fen)
) WITH (fillfactor = 85);
CREATE INDEX trade_by_buyer ON trade (buyer, number);
CREATE INDEX trade_by_seller ON trade (seller, number);
CREATE INDEX trade_by_file ON trade (seller, (delivery ->> 'sha256')) WHERE delivery ->> 'kind' = 'file';
-- A completed trade of units is completed when it is written: the many never enter the next three.
CREATE INDEX trade_by_state ON trade (state, number) WHERE state <> 'completed';
CREATE INDEX trade_by_buyer_state ON trade (buyer, state, number) WHERE state <> 'completed';
CREATE INDEX trade_by_seller_state ON trade (seller, state, number) WHERE state <> 'completed';

CREATE TABLE posting (
    sequence bigint,
    position int,
    at_ns bigint NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    trade text NOT NULL,
    reference text NOT NULL,
    PRIMARY KEY (sequence, position)
);
COMMENT ON COLUMN posting.sequence IS 'Of the journal row; `position` counts the postings in it.';
CREATE INDEX posting_by_source ON posting (source, sequence, position);
CREATE INDEX posting_by_target ON posting (target, sequence, position);

CREATE TABLE refusal (
    sequence bigint,
    position int,
    at_ns bigint NOT NULL,
    kind text NOT NULL,
    participant text NOT NULL,
    counterparty text NOT NULL,
    listing text NOT NULL,
    trade text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    violated text[] NOT NULL,
    unknown jsonb NOT NULL,
    capacities text[] NOT NULL,
    PRIMARY KEY (sequence, position)
);
CREATE INDEX refusal_by_participant ON refusal (participant, sequence, position);
CREATE INDEX refusal_by_counterparty ON refusal (counterparty, sequence, position) WHERE counterparty <> '';

CREATE TABLE entitlement (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    trade text NOT NULL,
    listing text NOT NULL,
    buyer text NOT NULL,
    seller text NOT NULL,
    state text NOT NULL,
    granted_at_ns bigint NOT NULL,
    until_ns bigint NOT NULL,
    key_sha256 text NOT NULL,
    updated_at_ns bigint NOT NULL
);
CREATE INDEX entitlement_by_buyer ON entitlement (buyer, number);
CREATE INDEX entitlement_by_seller ON entitlement (seller, number);
