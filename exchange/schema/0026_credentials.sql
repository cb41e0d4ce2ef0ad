-- Credentials, as the journal tells of them (exchange/issuing.py), and the documents that were signed of them.
CREATE TABLE credential (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    about text NOT NULL,
    state text NOT NULL,
    issued_at_ns bigint NOT NULL,
    valid_until_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL,
    reason text NOT NULL,
    replaces text NOT NULL,
    claims jsonb NOT NULL
) WITH (fillfactor = 85);
COMMENT ON COLUMN credential.about IS 'What it certifies: a participant, a product or an entitlement.';
COMMENT ON COLUMN credential.replaces IS 'The credential that said something else of the same, or empty.';
CREATE INDEX credential_by_subject ON credential (subject, number);
CREATE INDEX credential_set ON credential (state, number) WHERE state IN ('revoked', 'suspended');

-- What was signed, to the byte: the journal does not have it, and another key would sign it otherwise.
CREATE TABLE credential_document (
    credential text NOT NULL,
    method text NOT NULL,
    valid_until_ns bigint NOT NULL,
    signed_at_ns bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (credential, method, valid_until_ns)
);
COMMENT ON TABLE credential_document IS 'eddsa-jcs-2022 documents by credential, key and end; a renewed one is signed anew.';
COMMENT ON COLUMN credential_document.method IS 'The key that signed it, as the DID document of the venue names it.';
