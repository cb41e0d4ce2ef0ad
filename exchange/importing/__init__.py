"""Bulk import over HTTP: a file's rows become products and listings by the ordinary commands.

forms    what rows of each kind of file say        price     what a price is in fen
profile  the facts that rows lack                  journey   the steps of a row at the venue
command  `shuji import` and `shuji review`
"""
