"""`shuji rules replay OLD NEW`: which stored trades another rulebook would have judged otherwise."""

import asyncio
from pathlib import Path
from typing import Any

from exchange.settings import Settings
from exchange.terminal import Arguments, UsageError, command, print_json, settings_of, takes_venue_folder


def add(commands: Any) -> None:
    said = "look at rulebooks; `rules replay OLD NEW` judges stored trades under both 以新旧规则重判已存交易"
    rules = commands.add_parser("rules", help=said, description=said)
    inner = rules.add_subparsers(title="commands", metavar="COMMAND", required=True)
    told = (
        "judge stored trades under two rulebooks, each a folder of TOML files, and list what turns, by rule"
    )
    parser = command(inner, "replay", run_replay, told)
    parser.add_argument("old", metavar="OLD", help="folder of the old rulebook")
    parser.add_argument("new", metavar="NEW", help="folder of the new rulebook")
    takes_venue_folder(parser)


def run_replay(arguments: Arguments) -> int:
    from clearing.notrade import RulebookError, load, prove
    from exchange import board
    from exchange.rejudging import comparison_json

    boards = board.load()
    books = []
    for folder in (arguments.old, arguments.new):
        if not Path(folder).is_dir():
            raise UsageError(f"{folder} is no folder: name the folder of a rulebook's TOML files")
        try:
            books.append(load(Path(folder), boards=boards))
            prove(books[-1])
        except RulebookError as error:
            raise UsageError(f"{folder}: {error}") from error
    found = asyncio.run(_rejudged(settings_of(arguments), books[0], books[1]))
    if arguments.json:
        print_json(comparison_json(found))
    else:
        _tell(found)
    return 0


async def _rejudged(settings: Settings, old: Any, new: Any) -> Any:
    from clearing import notrade
    from exchange import board
    from exchange.postgres import open_database
    from exchange.rejudging import rejudge
    from exchange.state import State

    boards = board.load()
    packaged = notrade.load(boards=boards)
    async with open_database(settings.data, settings.dsn or None, attach=True) as database:
        return await rejudge(database.dsn, lambda: State(boards, packaged, settings.jurisdiction), old, new)


def _tell(found: Any) -> None:
    print(f"{found.trades} trades judged under both 两套规则下重判的交易")
    for title, by_rule in (
        ("allow -> reject 由准转拒", found.allow_to_reject),
        ("reject -> allow 由拒转准", found.reject_to_allow),
    ):
        print(f"{title}: {sum(map(len, by_rule.values()))}")
        for rule, trades in by_rule.items():
            print(f"  {rule}: {len(trades)}  {', '.join(trades[:10])}{' ...' if len(trades) > 10 else ''}")
    for one in found.otherwise[:20]:
        print(f"  {one.trade}: {one.old} -> {one.new}")
