-- What is owed after a trade, done or not (exchange/duty.py).
CREATE TABLE duty (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    kind text NOT NULL,
    rule text NOT NULL,
    participant text NOT NULL,
    trade text NOT NULL,
    listing text NOT NULL,
    entitlement text NOT NULL,
    buyer text NOT NULL,
    seller text NOT NULL,
    cause text NOT NULL,
    state text NOT NULL,
    opened_at_ns bigint NOT NULL,
    due_ns bigint NOT NULL,
    provisional boolean NOT NULL,
    reviewed boolean NOT NULL,
    reminded_at_ns bigint NOT NULL,
    evidence_sha256 text NOT NULL,
    decided_by text NOT NULL,
    reason text NOT NULL,
    violated text[] NOT NULL,
    capacities text[] NOT NULL,
    broken_at_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL
);
CREATE INDEX duty_by_buyer ON duty (buyer, number);
CREATE INDEX duty_by_seller ON duty (seller, number);
CREATE INDEX duty_by_trade ON duty (trade, number);
CREATE INDEX duty_by_entitlement ON duty (entitlement, number) WHERE entitlement <> '';
