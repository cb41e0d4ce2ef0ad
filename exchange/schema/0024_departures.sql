-- Who leaves or has left (exchange/departure.py).
CREATE TABLE departure (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    kind text NOT NULL,
    successor text NOT NULL,
    reason text NOT NULL,
    begun_at_ns bigint NOT NULL,
    accepted_at_ns bigint NOT NULL,
    done_at_ns bigint NOT NULL
);
