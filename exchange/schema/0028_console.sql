-- Secrets of the console, erasable, never in the journal: a password's argon2id hash, a second factor's secret. The journal
-- has `sha256`, over salt and body, so that a row that was altered opens nothing.
CREATE TABLE console_secret (
    sha256 text PRIMARY KEY,
    participant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('password', 'totp')),
    salt bytea NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX console_secret_by_participant ON console_secret (participant, kind);

-- Tries at the console: how many were wrong in turn, until when none is taken, and the last one-time code that served.
CREATE TABLE console_try (
    participant text PRIMARY KEY,
    failures integer NOT NULL DEFAULT 0,
    locked_until_ns bigint NOT NULL DEFAULT 0,
    last_step bigint NOT NULL DEFAULT 0
);
