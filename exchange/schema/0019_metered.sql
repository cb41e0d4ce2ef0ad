-- Subscriptions to metered listings, their bills, and the records of use that they were made from (exchange/subscription.py).
CREATE TABLE subscription (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    listing text NOT NULL,
    trade text NOT NULL,
    entitlement text NOT NULL,
    buyer text NOT NULL,
    seller text NOT NULL,
    purpose text NOT NULL,
    territory text NOT NULL,
    months bigint NOT NULL,
    plan jsonb NOT NULL,
    state text NOT NULL,
    follows text NOT NULL,
    from_ns bigint NOT NULL,
    until_ns bigint NOT NULL,
    month bigint NOT NULL,
    next_plan jsonb,
    next_plan_ns bigint NOT NULL,
    subscribed_at_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL
);
CREATE INDEX subscription_by_buyer ON subscription (buyer, number);
CREATE INDEX subscription_by_seller ON subscription (seller, number);

CREATE TABLE bill (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    subscription text NOT NULL,
    kind text NOT NULL,
    listing text NOT NULL,
    trade text NOT NULL,
    entitlement text NOT NULL,
    buyer text NOT NULL,
    seller text NOT NULL,
    month bigint NOT NULL,
    units bigint NOT NULL,
    packaged bigint NOT NULL,
    base text NOT NULL,
    lines jsonb NOT NULL,
    prepaid_fen bigint NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen >= 0),
    fee_fen bigint NOT NULL,
    merchant_fen bigint NOT NULL,
    shares jsonb NOT NULL,
    share_roles text[] NOT NULL,
    barred text[] NOT NULL,
    state text NOT NULL,
    made_at_ns bigint NOT NULL,
    due_ns bigint NOT NULL,
    reminded_at_ns bigint NOT NULL,
    paid_at_ns bigint NOT NULL,
    debt text NOT NULL,
    disputed_fen bigint NOT NULL,
    dispute_reason text NOT NULL,
    dispute_until_ns bigint NOT NULL,
    answer text NOT NULL,
    lowered_fen bigint NOT NULL,
    refunded_fen bigint NOT NULL CHECK (refunded_fen >= 0 AND refunded_fen <= amount_fen),
    updated_at_ns bigint NOT NULL
);
CREATE INDEX bill_by_subscription ON bill (subscription, number);

CREATE TABLE usage_record (
    sequence bigint NOT NULL,
    position integer NOT NULL,
    at_ns bigint NOT NULL,
    subscription text NOT NULL,
    id text NOT NULL,
    units bigint NOT NULL,
    used_at_ns bigint NOT NULL,
    month bigint NOT NULL,
    PRIMARY KEY (sequence, position)
);
CREATE INDEX usage_record_by_subscription ON usage_record (subscription, sequence, position);
