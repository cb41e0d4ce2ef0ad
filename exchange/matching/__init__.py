"""Every way a listing can be priced; knows side, price, quantity and owner, nothing of merchants or law."""
