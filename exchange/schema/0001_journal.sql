-- The system of record: what happened, how far, and what everybody owns.

-- One row a batch. `body` is MessagePack (exchange.events.Batch); `checksum` is SHA-256 over the previous row's
-- checksum and this body, so that the rows are a chain. EXTERNAL storage: the body is not compressed again.
create table journal (
    shard smallint not null,
    sequence bigint not null,
    epoch bigint not null,
    at_ns bigint not null,
    schema smallint not null,
    entries integer not null check (entries > 0),
    body bytea not null,
    checksum bytea not null,
    primary key (shard, sequence)
);
alter table journal alter column body set storage external;

-- How far the journal goes and who may write it. The engine's transaction moves it by exactly one, or nothing happens.
create table cursor (
    shard smallint primary key,
    epoch bigint not null,
    sequence bigint not null,
    checksum bytea not null
);
insert into cursor (shard, epoch, sequence, checksum) values (0, 0, 0, ''::bytea);

-- Balances and what of them is reserved. Only the contra accounts (the custody bank's mirror, issued units) may be
-- negative; the second witness beside clearing.ledger.
create table account (
    shard smallint not null,
    owner text not null,
    asset text not null,
    balance bigint not null,
    reserved bigint not null,
    primary key (shard, owner, asset),
    constraint reserved_not_negative check (reserved >= 0),
    constraint available_not_negative check (balance >= reserved or owner = 'bank:cash' or owner like 'issue:%')
);

-- Personal data: erasable, never in the journal. The journal has sha256(salt || body) of each row.
create table personal (
    participant text primary key,
    salt bytea not null,
    body bytea not null
);

-- States of the whole venue as of a journal sequence, written by a second process.
create table snapshot (
    shard smallint not null,
    sequence bigint not null,
    schema smallint not null,
    state_sha256 bytea not null,
    body bytea not null,
    taken_at timestamptz not null default now(),
    primary key (shard, sequence)
);
alter table snapshot alter column body set storage external;
