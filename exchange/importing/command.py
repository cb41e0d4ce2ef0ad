"""`shuji import` and `shuji review`: their arguments. What they do is in `work`, which is loaded when it is wanted."""

from typing import Any, Final

from exchange.terminal import Arguments, command

DECISIONS: Final = ("approve", "return", "refuse")
EXAMPLES: Final = ("open_data", "priced_api")
"""Profiles that come with the venue."""


def add(commands: Any) -> None:
    _add_import(commands)
    _add_review(commands)


def _add_import(commands: Any) -> None:
    parser = command(commands, "import", run_import, "list a file's rows as products of a merchant")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="JSON lines or CSV (--template prints its columns)"
    )
    parser.add_argument("--board", help="the board to list on")
    parser.add_argument("--merchant", metavar="FILE", help="key file of the merchant (SHUJI_KEY)")
    parser.add_argument(
        "--profile", metavar="FILE", help="facts that the rows lack; without it rows become drafts"
    )
    parser.add_argument("--reviewer", metavar="FILE", help="key file of the reviewer who confirms all of it")
    parser.add_argument("--rate", action="append", default=[], help="CNY for one of a currency: USDC=7.10")
    parser.add_argument("--base-url", default="", help="what ${BASE_URL} in addresses stands for")
    parser.add_argument("--url", help="the venue (SHUJI_URL; default http://127.0.0.1:8000)")
    parser.add_argument("--template", action="store_true", help="print the CSV template and end")
    parser.add_argument("--example-profile", choices=EXAMPLES, help="print a profile and end")


def run_import(arguments: Arguments) -> int:
    from exchange.importing import work

    return work.run_import(arguments)


def _add_review(commands: Any) -> None:
    said = "a reviewer's decision on everything that waits: products, then listings"
    parser = command(commands, "review", run_review, said)
    parser.add_argument("--reviewer", metavar="FILE", help="key file of the reviewer (SHUJI_KEY)")
    parser.add_argument("--decision", required=True, choices=DECISIONS)
    parser.add_argument("--merchant", metavar="ID", default="", help="only what this participant declared")
    parser.add_argument("--profile", metavar="FILE", help="only what was imported with this profile")
    parser.add_argument("--reason", action="append", default=[], help="needed to return or refuse")
    parser.add_argument(
        "--right", action="append", default=[], help="what is certified (default: product_operation)"
    )
    parser.add_argument("--valid-days", type=int, default=730, help="of the certificates (default 730)")
    parser.add_argument(
        "--tariff", metavar="FILE", help="public data: the price list, or the decision that it is free"
    )
    parser.add_argument("--url", help="the venue (SHUJI_URL; default http://127.0.0.1:8000)")


def run_review(arguments: Arguments) -> int:
    from exchange.importing import work

    return work.run_review(arguments)
