-- Who saw and did what: one row for each read that an office opened and each step of an office, written before its answer
-- goes out. Not part of the journal, which says what was done to what. `checksum` is SHA-256 over the row before's checksum and this row (exchange.audit), so that the rows
-- are a chain. Nothing is changed; what the rules no longer ask to be kept is pruned from the front.
CREATE TABLE audit_log (
    number bigint PRIMARY KEY,
    at_ns bigint NOT NULL,
    reader text NOT NULL,
    roles text[] NOT NULL,
    purpose text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    query text NOT NULL,
    subjects text[] NOT NULL,
    kept_until_ns bigint NOT NULL,
    checksum bytea NOT NULL
);
CREATE INDEX audit_log_by_reader ON audit_log (reader, number);
CREATE INDEX audit_log_by_subject ON audit_log USING gin (subjects);

CREATE FUNCTION audit_log_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.kept_until_ns <= coalesce(nullif(current_setting('shuji.prune_until_ns', true), ''), '0')::bigint
    THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is only added to';
END
$$;
CREATE TRIGGER audit_log_stands BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_stands();
CREATE TRIGGER audit_log_whole BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stands();
