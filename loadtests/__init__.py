"""Load, faults and real input, from outside the venue: `bench`, `chaos`, `real_listings`."""
