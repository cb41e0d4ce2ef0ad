-- Auctions and the bids in them, over or not (exchange/auction.py). A price of -1 is sealed, or has not been offered yet.
CREATE TABLE auction (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    kind text NOT NULL,
    merchant text NOT NULL,
    opened_at_ns bigint NOT NULL,
    bids_until_ns bigint NOT NULL,
    reveal_until_ns bigint NOT NULL,
    bids bigint NOT NULL,
    opened bigint NOT NULL,
    leading_fen bigint NOT NULL,
    reserve_fen bigint NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    winner text NOT NULL,
    price_fen bigint NOT NULL,
    trade text NOT NULL,
    closed_at_ns bigint NOT NULL
);

CREATE TABLE bid (
    number bigint PRIMARY KEY,
    id text NOT NULL,
    listing text NOT NULL,
    participant text NOT NULL,
    commitment text NOT NULL,
    price_fen bigint NOT NULL,
    quantity bigint NOT NULL,
    purpose text NOT NULL,
    territory text NOT NULL,
    accepts_prior boolean NOT NULL,
    deposit_fen bigint NOT NULL,
    reserved_fen bigint NOT NULL,
    state text NOT NULL,
    placed_at_ns bigint NOT NULL,
    opened_at_ns bigint NOT NULL,
    ended_at_ns bigint NOT NULL
);
CREATE INDEX bid_by_listing ON bid (listing, number);
CREATE INDEX bid_by_participant ON bid (participant, number);
