-- Mandates for brokers, and who has placed an order for its participant (exchange/mandate.py).
CREATE TABLE mandate (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    principal text NOT NULL,
    broker text NOT NULL,
    side text NOT NULL,
    listings text[] NOT NULL,
    boards text[] NOT NULL,
    most_fen bigint NOT NULL,
    used_fen bigint NOT NULL,
    valid_until_ns bigint NOT NULL,
    given_at_ns bigint NOT NULL,
    public_key text NOT NULL,
    text text NOT NULL,
    signature text NOT NULL,
    state text NOT NULL,
    ended_at_ns bigint NOT NULL,
    ended_by text NOT NULL
);
CREATE INDEX mandate_by_principal ON mandate (principal, number);
CREATE INDEX mandate_by_broker ON mandate (broker, number);

ALTER TABLE order_record
    ADD COLUMN broker text NOT NULL DEFAULT '',
    ADD COLUMN mandate text NOT NULL DEFAULT '';
