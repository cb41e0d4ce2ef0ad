"""Commands that keep a venue for years: `backup`, `restore`, `recover-operator`, `upgrade-postgresql`.

docs/OPERATIONS.md says when.
What does the work is loaded late: every other command would wait for it.
"""

import argparse
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from exchange.settings import Settings
from exchange.terminal import (
    Arguments,
    UsageError,
    command,
    print_json,
    run_async,
    say,
    settings_of,
    takes_venue_folder,
)


def add(commands: Any) -> None:
    _add_backup(commands)
    _add_restore(commands)
    _add_recover_operator(commands)
    _add_upgrade(commands)


def _embedded_folder(settings: Settings, otherwise: str) -> Path:
    """The data folder of a venue with a PostgreSQL of its own."""
    if settings.dsn:
        raise UsageError(f"an outside PostgreSQL is its keeper's business: {otherwise}")
    data = settings.data.resolve()
    if not any((data / name).exists() for name in ("postgres", "postgres.location", "postgres.upgrading")):
        raise UsageError(f"there is no venue in {data}; name its data folder with --data")
    return data


# ---- backup


def _add_backup(commands: Any) -> None:
    said = "back up the venue, running or not, and from now on all that it commits"
    parser = command(commands, "backup", run_backup, said)
    takes_venue_folder(parser)
    parser.add_argument("--to", metavar="FOLDER", required=True, help="best on another disk")
    parser.add_argument(
        "--keep",
        metavar="N",
        type=_number,
        default=0,
        help="base backups that stay, with the log behind the oldest; default all",
    )


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"a number from 1, not {text!r}")


def run_backup(arguments: Arguments) -> int:
    from exchange.backup import take

    data = _embedded_folder(settings_of(arguments), "back it up with its own tools, and files/ of --data too")
    base = run_async(take(data, Path(arguments.to).resolve(), arguments.keep, say))
    if arguments.json:
        print_json(msgspec.to_builtins(base))
        return 0
    print(f"{arguments.to}/base/{base.name} is whole, at journal {base.sequence}")
    say("Keys are not in it: keep operator.key in another safe place. 密钥不在备份里，请另行保管。")
    return 0


# ---- restore


def _add_restore(commands: Any) -> None:
    said = "a venue as it was at an instant, out of a backup folder, into a new data folder"
    parser = command(commands, "restore", run_restore, said)
    parser.add_argument("--from", dest="folder", metavar="FOLDER", required=True, help="of `shuji backup`")
    parser.add_argument(
        "--to", metavar="TIME", help="by the machine's clock, as 2026-11-25T13:05:00+08:00; default: the end"
    )
    parser.add_argument("--data", metavar="NEWDIR", required=True, help="a new data folder")


def read_instant(text: str) -> datetime:
    """ISO 8601 with its zone: a restore one zone off would lose hours."""
    with suppress(ValueError):
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at
    said = "--to is an instant with its zone, as 2026-11-25T13:05:00Z or 2026-11-25T21:05:00+08:00"
    raise UsageError(f"{said}, not {text!r}")


def run_restore(arguments: Arguments) -> int:
    from exchange.restore import restore, text_of

    to = read_instant(arguments.to) if arguments.to else None
    data = Path(arguments.data).resolve()
    restored = run_async(restore(Path(arguments.folder).resolve(), to, data, say))
    if arguments.json:
        print_json(msgspec.to_builtins(restored))
        return 0
    last = text_of(restored.last_at) or "never"
    print(f"{data} stands at journal {restored.sequence}, last committed {last}")
    say(f"next: shuji verify --data {data}")
    say(f"      shuji recover-operator --data {data}   (or bring operator.key: no key is in a backup)")
    return 0


# ---- recover-operator


def _add_recover_operator(commands: Any) -> None:
    said = (
        "a new key for an operator whose key is lost, by whoever owns the data folder; the venue is stopped"
    )
    parser = command(commands, "recover-operator", run_recover_operator, said)
    takes_venue_folder(parser)
    parser.add_argument(
        "--participant",
        metavar="ID",
        default="",
        help="which operator; default: whom operator.key names, else the first",
    )
    parser.add_argument("--reason", default="recovered by the owner of the data folder", help="journaled")


def run_recover_operator(arguments: Arguments) -> int:
    from exchange.recovery import recover_operator

    settings = settings_of(arguments)
    if not settings.dsn:
        _embedded_folder(settings, "")
    recovered = run_async(recover_operator(settings, arguments.participant, arguments.reason))
    if arguments.json:
        print_json(msgspec.to_builtins(recovered))
        return 0
    print(f"{recovered.key_file} is the key of operator {recovered.participant} now")
    say("The old key signs nothing any more, and its tokens open nothing. 旧密钥及其令牌即刻失效。")
    return 0


# ---- upgrade-postgresql


def _add_upgrade(commands: Any) -> None:
    said = "bring the venue's own PostgreSQL to the newest major version there is; the venue is stopped"
    takes_venue_folder(command(commands, "upgrade-postgresql", run_upgrade, said))


def run_upgrade(arguments: Arguments) -> int:
    from exchange.upgrade import upgrade

    settings = settings_of(arguments)
    data = _embedded_folder(settings, "upgrade it with its own tools, the venue stopped")
    upgraded = run_async(upgrade(data, settings.jurisdiction, say))
    if arguments.json:
        print_json(msgspec.to_builtins(upgraded))
    elif upgraded.kept:
        print(
            f"PostgreSQL {upgraded.major}, verified; the old cluster is {upgraded.kept}, and may be removed"
        )
        say("Backups of before fit the old version only: take one now with `shuji backup`.")
    else:
        print(f"PostgreSQL {upgraded.major} is the newest there is")
    return 0
