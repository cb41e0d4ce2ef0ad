-- Logins whose tokens still live, for their list. Not part of the journal, and no proof: what was ended is in the state.
-- `issuer` tells the token key that signed, so that a restored venue lists no sessions of the venue before.
CREATE TABLE login_session (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session text NOT NULL UNIQUE,
    participant text NOT NULL,
    key_number integer NOT NULL,
    named_key text NOT NULL,
    generation integer NOT NULL,
    scopes integer NOT NULL,
    address text NOT NULL,
    agent text NOT NULL,
    opened_at_ns bigint NOT NULL,
    until_ns bigint NOT NULL,
    issuer text NOT NULL
);
COMMENT ON TABLE login_session IS 'Sessions that may be open; rows leave once their tokens have ended by themselves.';
CREATE INDEX login_session_by_participant ON login_session (participant, number);
CREATE INDEX login_session_by_end ON login_session (until_ns);
