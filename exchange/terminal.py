"""What every command of the terminal is made of: its parser, its settings, its two ways to answer.

A command's module has an `add` that takes the parser's commands, and a small function that runs.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from exchange.settings import Settings

Arguments = argparse.Namespace
_Answer = TypeVar("_Answer")


class UsageError(Exception):
    """The command was used wrongly in a way that argparse cannot see."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def print_json(answer: Any) -> None:
    """At once: a command that goes on running (`shuji serve`) is read through a pipe."""
    print(json.dumps(answer, ensure_ascii=False), flush=True)


def command(
    commands: Any, name: str, run: Callable[[Arguments], int], said: str, **more: Any
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=said, description=said, **more)
    parser.add_argument("--json", action="store_true", help="answer in JSON, for machines")
    parser.set_defaults(run=run)
    return parser


def takes_venue_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="data folder (SHUJI_DATA; default .shuji)")
    parser.add_argument("--dsn", help="an outside PostgreSQL (SHUJI_DSN) instead of the venue's own")


def takes_venue_url(parser: argparse.ArgumentParser, *, key_required: bool) -> None:
    parser.add_argument("--url", help="the venue (SHUJI_URL; default http://127.0.0.1:8000)")
    required = key_required and not os.environ.get("SHUJI_KEY")
    parser.add_argument("--key", metavar="FILE", required=required, help="key file (SHUJI_KEY)")
    parser.add_argument(
        "--purpose", metavar="TEXT", help="why an auditor or regulator looks (SHUJI_PURPOSE) 查阅用途"
    )


def key_path(arguments: Arguments) -> Path | None:
    chosen = arguments.key or os.environ.get("SHUJI_KEY")
    return Path(chosen) if chosen else None


def purpose_of(arguments: Arguments) -> str:
    """Why an office looks; empty where it does not say."""
    return arguments.purpose or os.environ.get("SHUJI_PURPOSE", "")


def settings_of(arguments: Arguments, *names: str) -> Settings:
    return Settings.gather(os.environ, {name: getattr(arguments, name) for name in ("data", "dsn", *names)})


def run_async(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """On uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)
