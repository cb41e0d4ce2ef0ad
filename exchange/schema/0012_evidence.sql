-- The evidence log: a Merkle tree (RFC 6962) over what the journal says, in SHA-256 and in SM3. A row is written by the
-- statement that writes the journal row with the same sequence, where that row gives leaves.

-- One row a shard. `begins` is the first journal sequence whose leaves are in the log: 1, or behind the last row of a
-- journal that is older than the log. The salt of a leaf is made from `secret` and the leaf's number. It lies here and not
-- in the data folder, so that a restored venue can still prove what happened before.
create table evidence_log (
    shard smallint primary key,
    begins bigint not null,
    secret bytea not null
);

-- `sha256` and `sm3` hold the nodes that these leaves complete, 32 bytes each, level by level; both roots are those of all
-- leaves up to here.
create table evidence (
    shard smallint not null,
    sequence bigint not null,
    first_leaf bigint not null,
    leaves integer not null check (leaves > 0),
    sha256 bytea not null,
    sm3 bytea not null,
    root_sha256 bytea not null,
    root_sm3 bytea not null,
    primary key (shard, sequence),
    unique (shard, first_leaf)
);
alter table evidence alter column sha256 set storage external, alter column sm3 set storage external;

-- Which journal row a leaf comes from, by the id it is asked for; `position` counts the leaves of that row from 0. A query
-- table: the projector fills it.
create table evidence_leaf (
    id text not null,
    sequence bigint not null,
    position integer not null,
    kind text not null,
    primary key (id, sequence, position)
);
