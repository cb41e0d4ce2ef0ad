-- Prints of a listing in the order in which they settled: what bars, daily statistics and the public list of trades read
-- (exchange/prints.py). What is held or refused has no such instant and is not in it.
CREATE INDEX trade_by_listing ON trade (listing, settled_at_ns, number) WHERE settled_at_ns > 0;
