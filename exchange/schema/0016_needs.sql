-- Reports are in journals of earlier versions too, so the query tables are emptied and the projector fills them again.
-- What buyers look for and what merchants propose for it, decided or not (exchange/need.py).
CREATE TABLE need (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    kind text NOT NULL,
    buyer text NOT NULL,
    board text NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    purpose text NOT NULL,
    territory text NOT NULL,
    "right" text NOT NULL,
    fields text[] NOT NULL,
    quantity bigint NOT NULL,
    budget_fen bigint NOT NULL,
    criteria jsonb NOT NULL,
    stages jsonb NOT NULL,
    awards integer NOT NULL,
    listing text NOT NULL,
    invited text NOT NULL,
    state text NOT NULL,
    stage integer NOT NULL,
    awarded integer NOT NULL,
    proposals integer NOT NULL,
    reason text NOT NULL,
    published_at_ns bigint NOT NULL,
    respond_until_ns bigint NOT NULL,
    decide_until_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL
);
CREATE INDEX need_by_buyer ON need (buyer, number);
CREATE INDEX need_by_state ON need (state, number);

CREATE TABLE proposal (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    need text NOT NULL,
    buyer text NOT NULL,
    merchant text NOT NULL,
    listing text NOT NULL,
    quantity bigint NOT NULL,
    price_fen bigint NOT NULL,
    price_per_units bigint NOT NULL,
    delivery_days integer NOT NULL,
    text text NOT NULL,
    figures jsonb NOT NULL,
    marks jsonb NOT NULL,
    offers jsonb NOT NULL,
    state text NOT NULL,
    score_bp integer NOT NULL,
    points_bp jsonb NOT NULL,
    trade text NOT NULL,
    violated text[] NOT NULL,
    made_at_ns bigint NOT NULL,
    opened_at_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL
);
CREATE INDEX proposal_by_need ON proposal (need, number);
CREATE INDEX proposal_by_merchant ON proposal (merchant, number);

-- Reports of bilateral trades, each side's (exchange/trade.py).
CREATE TABLE trade_report (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    listing text NOT NULL,
    side text NOT NULL,
    participant text NOT NULL,
    counterparty text NOT NULL,
    quantity bigint NOT NULL,
    price_fen bigint NOT NULL,
    purpose text NOT NULL,
    territory text NOT NULL,
    contract_sha256 text NOT NULL,
    state text NOT NULL,
    matches text NOT NULL,
    trade text NOT NULL,
    detail text NOT NULL,
    reported_at_ns bigint NOT NULL,
    until_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL
);
CREATE INDEX trade_report_by_participant ON trade_report (participant, number);
CREATE INDEX trade_report_by_counterparty ON trade_report (counterparty, number);

TRUNCATE participant_name, product_record, listing_search, order_record, trade, posting, refusal, entitlement, duty,
    evidence_leaf, projection;
