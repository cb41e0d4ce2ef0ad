"""Who may trade here, and how well they have behaved (谁可交易，信用如何).

merchant.py   the register of participants: identity, credential, standing of the account, each life a table
conduct.py    what the venue tells the bureau, one kind a line, each with its dimension, severity and clause
score.py      the credit model: a log of conduct folded by day, and the rating it gives at any instant
ring.py       groups among whom money goes round, found for a reviewer
bureau.py     the pure whole: record conduct, rate, say who may browse, buy and list, and why not

Nothing in this package does I/O or reads a clock: every instant comes in as UTC nanoseconds.
"""
