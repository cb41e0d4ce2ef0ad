-- What an order of a book asks beside a side, a price and how long; earlier orders asked nothing of it.
ALTER TABLE order_record
    ADD COLUMN stop_fen bigint NOT NULL DEFAULT 0,
    ADD COLUMN waits boolean NOT NULL DEFAULT false,
    ADD COLUMN display bigint NOT NULL DEFAULT 0,
    ADD COLUMN conditions text[] NOT NULL DEFAULT '{}',
    ADD COLUMN reduced bigint NOT NULL DEFAULT 0;

-- Call auctions that were held over books.
CREATE TABLE call_auction (
    sequence bigint,
    position int,
    at_ns bigint NOT NULL,
    listing text NOT NULL,
    price_fen bigint NOT NULL,
    quantity bigint NOT NULL,
    traded bigint NOT NULL,
    surplus bigint NOT NULL,
    reference_fen bigint NOT NULL,
    PRIMARY KEY (sequence, position)
);
CREATE INDEX call_auction_by_listing ON call_auction (listing, sequence, position);
