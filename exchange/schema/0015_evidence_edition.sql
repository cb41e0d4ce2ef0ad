-- From which journal row on events give leaves by an edition of exchange/evidence.py:LEAVES. Rows that are older than all of
-- these give theirs by the first edition, so that a log keeps the leaves it has.
create table evidence_edition (
    shard smallint not null,
    edition smallint not null,
    begins bigint not null,
    primary key (shard, edition)
);
