-- Of the custody bank, erasable, never in the journal: bank accounts of participants (kind account) and the bank's own
-- statements (kind statement, of the custody account). The journal has `sha256`, over salt and body.
CREATE TABLE bank_row (
    sha256 text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('account', 'statement')),
    owner text NOT NULL,
    salt bytea NOT NULL,
    body bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX bank_row_by_owner ON bank_row (owner, kind);
