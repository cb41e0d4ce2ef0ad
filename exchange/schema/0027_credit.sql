-- What happened to grades in force (exchange/consequence.py). Journals of earlier versions hold nothing of it.
CREATE TABLE credit_grade (
    sequence bigint NOT NULL,
    position int NOT NULL,
    at_ns bigint NOT NULL,
    participant text NOT NULL,
    step text NOT NULL,
    grade text NOT NULL,
    before text NOT NULL,
    from_ns bigint NOT NULL,
    cause text NOT NULL,
    PRIMARY KEY (sequence, position)
);
COMMENT ON COLUMN credit_grade.step IS 'noticed: to be in force from from_ns on; lapsed: that will not be; set: in force from at_ns on.';
CREATE INDEX credit_grade_by_participant ON credit_grade (participant, sequence, position);

-- What reviewers have determined, and what was said against it (exchange/case.py).
CREATE TABLE credit_case (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    participant text NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    fault text NOT NULL,
    fault_at_ns bigint NOT NULL,
    text text NOT NULL,
    evidence_sha256 text NOT NULL,
    opened_by text NOT NULL,
    state text NOT NULL,
    opened_at_ns bigint NOT NULL,
    effective_ns bigint NOT NULL,
    ends_ns bigint NOT NULL,
    published_until_ns bigint NOT NULL,
    corrected_at_ns bigint NOT NULL,
    correction_sha256 text NOT NULL,
    objection text NOT NULL,
    objection_text text NOT NULL,
    objection_sha256 text NOT NULL,
    objected_at_ns bigint NOT NULL,
    objection_decided_by text NOT NULL,
    objection_decision text NOT NULL,
    objection_decided_at_ns bigint NOT NULL,
    repair text NOT NULL,
    commitment_sha256 text NOT NULL,
    repair_asked_at_ns bigint NOT NULL,
    repair_decided_by text NOT NULL,
    repair_decision text NOT NULL,
    repair_decided_at_ns bigint NOT NULL,
    decider text NOT NULL,
    decide_by_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX credit_case_by_participant ON credit_case (participant, number);
