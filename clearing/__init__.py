"""May this trade stand, and who owes what: pure rules, ledger, shares and deliveries."""
