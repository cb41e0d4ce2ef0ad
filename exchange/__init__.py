"""The venue: listings, orders, trades, and every door to the outside."""
