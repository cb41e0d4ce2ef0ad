"""The `shuji` command: one small function a command.

Answers go to standard output (`--json`: for machines), everything said on the way to standard error. Exit
status: 0 done, 1 refused, unreachable or different from what it should be, 2 used wrongly.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from exchange import keys, upkeep
from exchange.settings import SettingError, Settings, venue_url
from exchange.terminal import (
    Arguments,
    UsageError,
    command,
    key_path,
    print_json,
    purpose_of,
    run_async,
    say,
    settings_of,
    takes_venue_folder,
    takes_venue_url,
)

METHODS = ("GET", "POST", "PUT", "DELETE")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    arguments = _parse(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has enough; nothing may be written at the interpreter's end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (UsageError, SettingError) as error:
        say(f"shuji: {error}")
        return 2
    except Exception as error:
        if not _is_expected(error):
            raise
        say(f"shuji: {_words_of(error)}")
        return 1
    return status


def _is_expected(error: Exception) -> bool:
    """Whether the error's text tells the person at the terminal all they need.

    Modules are loaded late here and below, because most commands need only a few of them.
    """
    if isinstance(error, keys.KeyFileError | OSError):
        return True
    from clearing.notrade import RulebookError
    from exchange.archive import BackupRefused
    from exchange.board import BoardError
    from exchange.client import Refusal, VenueUnreachable
    from exchange.day.door import DayBroken
    from exchange.engine import Simulated
    from exchange.journal import Fenced
    from exchange.migration import MigrationRefused
    from exchange.postgres import DatabaseUnavailable
    from exchange.recovery import RecoveryRefused

    if isinstance(error, Refusal | VenueUnreachable | DayBroken):
        return True
    if isinstance(error, BackupRefused | RecoveryRefused | BoardError | RulebookError):
        return True
    return isinstance(error, Simulated | Fenced | MigrationRefused | DatabaseUnavailable)


def _words_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


# ---- the parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shuji", description="数集 Shuji: a venue for data elements (数据要素交易场所)"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_serve, _add_migrate, _add_verify, _add_judge, _add_key, _add_sign):
        add(commands)
    for add in (_add_login, _add_register, _add_call):
        add(commands)
    _add_rooms(commands)
    upkeep.add(commands)
    return parser


def _add_rooms(commands: Any) -> None:
    """Commands that live in rooms of their own."""
    from exchange import contracting, desk, export, password, presenting, prove, ruling
    from exchange.day import command as day
    from exchange.importing import command as importing

    for room in (contracting, importing, export, day, desk, password, prove, ruling, presenting):
        room.add(commands)


def _parse(argv: Sequence[str] | None) -> Arguments:
    """The arguments; a body that follows the options of `call` is a body too: argparse misses it."""
    parser = _parser()
    arguments, left = parser.parse_known_args(argv)
    is_body = left[:1] == ["-"] or not "".join(left[:1]).startswith("-")
    if left and (len(left) > 1 or not is_body or getattr(arguments, "body", "") is not None):
        parser.error(f"unrecognised: {' '.join(left)}")
    if left:
        arguments.body = left[0]
    return arguments


# ---- serve


def _add_serve(commands: Any) -> None:
    parser = command(commands, "serve", run_serve, "start the venue; prints what to do next")
    takes_venue_folder(parser)
    parser.add_argument("--host", help="where to listen (SHUJI_HOST; default 127.0.0.1)")
    parser.add_argument("--port", help="(SHUJI_PORT; default 8000)")
    parser.add_argument(
        "--public-url",
        help="where others reach it, as https://venue.example: credentials are issued in this name (did:web)",
    )
    parser.add_argument("--jurisdiction", help="the venue's place, ISO 3166-2 (default CN-46, Hainan)")
    parser.add_argument(
        "--simulated-clock",
        action="store_true",
        default=None,
        help="a clock that an operator can move on, for trying out deadlines",
    )
    parser.add_argument(
        "--no-sample", dest="sample", action="store_false", default=None, help="leave an empty venue empty"
    )
    parser.add_argument(
        "--log",
        choices=("text", "json"),
        help="json: a line a request too, with its id (SHUJI_LOG; default text)",
    )
    parser.add_argument(
        "--rates",
        choices=("on", "off"),
        help="off: orders are not limited by grade, for measuring only (SHUJI_RATES; default on)",
    )
    parser.add_argument(
        "--standby",
        action="store_true",
        default=None,
        help="where another process writes this venue, wait until it ends and take over",
    )


def run_serve(arguments: Arguments) -> int:
    from exchange import logs
    from exchange.serving import serve

    names = (
        "host",
        "port",
        "jurisdiction",
        "simulated_clock",
        "sample",
        "standby",
        "log",
        "rates",
        "public_url",
    )
    settings = settings_of(arguments, *names)
    logs.begin("json" if settings.log == "json" else "text")
    told = logs.say if settings.log == "json" else say
    return run_async(serve(settings, told, print_json if arguments.json else None))


# ---- migrate, verify, judge


def _add_migrate(commands: Any) -> None:
    parser = command(commands, "migrate", run_migrate, "bring the database up to this version")
    takes_venue_folder(parser)


def run_migrate(arguments: Arguments) -> int:
    applied = asyncio.run(_migrate(settings_of(arguments)))
    if arguments.json:
        print_json({"applied": applied})
    else:
        print("\n".join(applied) or "the database is up to date")
    return 0


async def _migrate(settings: Settings) -> list[str]:
    from exchange.migration import migrate
    from exchange.postgres import open_database

    async with open_database(settings.data, settings.dsn or None, attach=True) as database:
        return await migrate(database.dsn)


def _add_verify(commands: Any) -> None:
    said = (
        "rebuild everything from the journal and compare; status 1 and the first difference if not the same"
    )
    takes_venue_folder(command(commands, "verify", run_verify, said))


def run_verify(arguments: Arguments) -> int:
    settings = settings_of(arguments)
    if not settings.dsn and not _holds_a_venue(settings.data):
        raise UsageError(f"there is no venue in {settings.data}; name its data folder with --data")
    findings = asyncio.run(_verify(settings))
    if arguments.json:
        print_json({"clean": not findings, "findings": msgspec.to_builtins(findings)})
    elif findings:
        print(findings[0])
        say(f"{len(findings)} differences in all; --json names each" if len(findings) > 1 else "1 difference")
    else:
        print("clean: the tables are what the journal says, every asset sums to zero")
    return 1 if findings else 0


def _holds_a_venue(data: Path) -> bool:
    """Whether a database was ever made for this folder; looking must not make one."""
    return any((data / name).exists() for name in ("postgres", "postgres.location"))


async def _verify(settings: Settings) -> list[Any]:
    import asyncpg

    from clearing import notrade
    from exchange import board
    from exchange.postgres import open_database
    from exchange.state import State
    from exchange.verification import verify

    boards = board.load()
    rulebook = notrade.load(boards=boards)

    def empty() -> State:
        return State(boards, rulebook, settings.jurisdiction)

    data = settings.data if settings.data.is_dir() else None
    async with open_database(settings.data, settings.dsn or None, attach=True) as database:
        try:
            return list(await verify(database.dsn, data, empty, say))
        except asyncpg.UndefinedTableError as error:
            raise UsageError(
                f"this database holds no venue ({error}); `shuji migrate` prepares it"
            ) from error


def _add_judge(commands: Any) -> None:
    said = "judge contexts (JSON lines, phase inside) by the no-trade rules; a JSON line each"
    parser = command(commands, "judge", run_judge, said)
    parser.add_argument("file", metavar="FILE", help="'-' reads standard input")


def run_judge(arguments: Arguments) -> int:
    if arguments.file == "-":
        return _judge(sys.stdin.buffer)
    with Path(arguments.file).open("rb") as file:
        return _judge(file)


def _judge(lines: BinaryIO) -> int:
    """A line that is no context is answered with its error, and the rest go on: status 1 in the end."""
    from clearing import notrade
    from exchange import board

    rulebook = notrade.load(boards=board.load())
    status = 0
    for answer in notrade.judge_lines(rulebook, lines):
        sys.stdout.buffer.write(answer + b"\n")
        status = max(status, int("error" in msgspec.json.decode(answer)))
    return status


# ---- key, sign


def _add_key(commands: Any) -> None:
    parser = command(commands, "key", run_key, "make an Ed25519 key file; prints the public key")
    parser.add_argument("name", metavar="NAME", nargs="?", help="makes NAME.key in this folder")
    parser.add_argument("--out", metavar="FILE", help="makes this file")


def run_key(arguments: Arguments) -> int:
    if (arguments.name is None) == (arguments.out is None):
        raise UsageError("give the key a NAME, or name its file with --out FILE")
    path = Path(arguments.out or f"{arguments.name}.key")
    key = keys.create(path)
    if arguments.json:
        print_json({"file": str(path), "public_key": key.public_key})
    else:
        print(key.public_key)
        say(f"{path} is made. Whoever reads it is you: keep it, show it to nobody.")
    return 0


def _add_sign(commands: Any) -> None:
    parser = command(commands, "sign", run_sign, "sign a text with a key; prints the signature in base64")
    parser.add_argument("text", metavar="TEXT")
    parser.add_argument("--key", metavar="FILE", required=not os.environ.get("SHUJI_KEY"))


def run_sign(arguments: Arguments) -> int:
    key = keys.read(key_path(arguments) or Path())
    signature = key.sign(arguments.text)
    if arguments.json:
        print_json({"public_key": key.public_key, "signature": signature})
    else:
        print(signature)
    return 0


# ---- login, register, call


def _add_login(commands: Any) -> None:
    parser = command(commands, "login", run_login, "sign in; the token is kept beside the key for `call`")
    takes_venue_url(parser, key_required=True)
    parser.add_argument("--participant", metavar="ID", default="", help="default: whom the key file names")


def run_login(arguments: Arguments) -> int:
    from exchange.client import Client

    with Client(venue_url(os.environ, arguments.url), key_path(arguments), purpose_of(arguments)) as client:
        session = client.sign_in(arguments.participant)
        kept = keys.session_path(client.key or Path())
    if arguments.json:
        print_json(msgspec.to_builtins(session))
    else:
        print(f"{session.participant} is signed in until {session.expires_at}; the token is in {kept}")
    return 0


def _add_register(commands: Any) -> None:
    parser = command(commands, "register", run_register, "enter the venue's register under your key")
    takes_venue_url(parser, key_required=True)
    parser.add_argument("--name", required=True, help="legal name")
    parser.add_argument("--uscc", default="", help="unified social credit code (统一社会信用代码)")
    parser.add_argument(
        "--role", action="append", default=[], choices=("merchant", "buyer"), help="may be repeated"
    )
    parser.add_argument("--owner", default="", help="ultimate owner, for the related-party rules")
    parser.add_argument("--group", default="", help="group of companies")
    parser.add_argument("--region", default="CN-46", help="ISO 3166-2")
    parser.add_argument("--agent-name", help="who acts for it; kept apart from the journal, can be erased")
    parser.add_argument("--agent-contact", default="")
    parser.add_argument("--agent-id-number")


def run_register(arguments: Arguments) -> int:
    from exchange.client import Client

    with Client(venue_url(os.environ, arguments.url), key_path(arguments), purpose_of(arguments)) as client:
        answer = client.register(_registration(arguments))
    if arguments.json:
        print_json(answer)
    else:
        print(answer["participant"])
    return 0


def _registration(arguments: Arguments) -> dict[str, Any]:
    facts = {
        "legal_name": arguments.name,
        "roles": arguments.role,
        "uscc": arguments.uscc,
        "owner_id": arguments.owner,
        "group_id": arguments.group,
        "region": arguments.region,
    }
    if arguments.agent_name:
        agent = {"name": arguments.agent_name, "contact": arguments.agent_contact}
        number = {"id_number": arguments.agent_id_number} if arguments.agent_id_number else {}
        facts["agent"] = agent | number
    return facts


def _add_call(commands: Any) -> None:
    parser = command(commands, "call", run_call, "call the API; status 1 when the venue refuses")
    parser.add_argument("method", metavar="METHOD", type=str.upper, choices=METHODS, help=", ".join(METHODS))
    parser.add_argument("path", metavar="PATH", help="for example /v1/catalogue")
    parser.add_argument(
        "body",
        metavar="BODY",
        nargs="?",
        help="JSON; @FILE a file (JSON if it is named .json, else its bytes); '-' JSON on standard input",
    )
    takes_venue_url(parser, key_required=False)
    parser.add_argument(
        "--header", metavar="'NAME: VALUE'", action="append", default=[], help="may be repeated"
    )
    parser.add_argument(
        "--idempotency-key", metavar="UUID", help="to ask again; a POST gets a new one by itself"
    )
    parser.add_argument(
        "--pick", metavar="NAME", help="print this member of the answer only, as in trades.0.trade"
    )
    parser.add_argument("--out", metavar="FILE", help="write the answer's bytes to this file")


def run_call(arguments: Arguments) -> int:
    from exchange.client import Client, Refusal

    if not arguments.path.startswith("/"):
        raise UsageError(f"a path starts with /, for example /v1/catalogue, not {arguments.path!r}")
    body, headers = _body(arguments.body), _headers(arguments)
    with Client(venue_url(os.environ, arguments.url), key_path(arguments), purpose_of(arguments)) as client:
        try:
            answer = client.call(arguments.method, arguments.path, body, headers)
        except Refusal as refusal:
            if arguments.json:
                _write(refusal.text + b"\n")
            raise
    _show(arguments, answer.content, answer.headers.get("content-type", ""))
    return 0


def _headers(arguments: Arguments) -> dict[str, str]:
    headers = {}
    for header in arguments.header:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"a header is 'NAME: VALUE', not {header!r}")
        headers[name.strip()] = value.strip()
    if arguments.idempotency_key:
        headers["Idempotency-Key"] = arguments.idempotency_key
    return headers


def _body(given: str | None) -> bytes | Path | None:
    """What to send: JSON is looked at first, so that a slip of the pen never leaves this machine."""
    if given is None:
        return None
    if given.startswith("@") and not given.endswith(".json"):
        path = Path(given[1:])
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        return path
    text = sys.stdin.buffer.read() if given == "-" else given.encode()
    if given.startswith("@"):
        text = Path(given[1:]).read_bytes()
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"the body is not JSON: {error}") from error
    return text


def _show(arguments: Arguments, content: bytes, kind: str) -> None:
    is_json = kind.partition(";")[0].endswith("json")
    if arguments.out:
        Path(arguments.out).write_bytes(content)
        say(f"{len(content)} bytes are in {arguments.out}")
    elif arguments.pick:
        print(_picked(content, arguments.pick))
    elif is_json and content:
        _write((content if arguments.json else msgspec.json.format(content, indent=2)) + b"\n")
    else:
        _write(content)


def _picked(content: bytes, name: str) -> str:
    """The member at a dotted path; texts as they are, everything else as JSON."""
    value: Any = msgspec.json.decode(content)
    for part in name.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise UsageError(f"the answer has no {name}: {content.decode(errors='replace')}") from None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
