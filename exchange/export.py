"""`shuji export`: the catalogue, own trades, own statement, as JSON lines or CSV, whole or not at all.

CSV has one column a field of the API's answer, with the parts of an object as `object.part` and lists joined by `;`. A
text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV injection); JSON lines are exact.
"""

import csv
import io
import json
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from exchange.settings import venue_url
from exchange.terminal import (
    Arguments,
    UsageError,
    command,
    key_path,
    print_json,
    purpose_of,
    takes_venue_url,
)


class _Table(Struct, frozen=True):
    """`view` names the struct of a row: `module:class`, loaded when it is wanted."""

    path: str
    view: str
    needs_key: bool


TABLES: Final = {
    "catalogue": _Table("/v1/catalogue", "exchange.web.listings:ListingView", False),
    "trades": _Table("/v1/trades", "exchange.web.trades:TradeView", True),
    "statements": _Table("/v1/statement", "exchange.web.money:PostingView", True),
}
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Spreadsheets in Chinese take the wide signs too."""


def add(commands: Any) -> None:
    parser = command(commands, "export", run_export, "write catalogue, own trades or own statement to a file")
    parser.add_argument("table", choices=tuple(TABLES))
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl")
    parser.add_argument("--out", metavar="FILE", help="default: standard output")
    takes_venue_url(parser, key_required=False)


def run_export(arguments: Arguments) -> int:
    from exchange.client import Client
    from exchange.importing.journey import every

    table, key = TABLES[arguments.table], key_path(arguments)
    if table.needs_key and key is None:
        raise UsageError(f"{arguments.table} are somebody's: give their key file with --key")
    with Client(venue_url(os.environ, arguments.url), key, purpose_of(arguments)) as client:
        rows = every(client, table.path)
        lines = (
            _csv(rows, columns(pkgutil.resolve_name(table.view)))
            if arguments.format == "csv"
            else _jsonl(rows)
        )
        count = _write(lines, arguments.out)
    if arguments.out and arguments.json:
        print_json({"file": arguments.out, "rows": count})
    return 0


def _jsonl(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def columns(row: type, before: str = "") -> list[str]:
    """Names of a view's fields; a view inside it gives its own, a list of views is one column."""
    names: list[str] = []
    for name, hint in get_type_hints(row).items():
        parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        inner = next((part for part in parts if isinstance(part, type) and issubclass(part, Struct)), None)
        names += columns(inner, f"{before}{name}.") if inner is not None else [before + name]
    return names


def _csv(rows: Iterator[dict[str, Any]], names: list[str]) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    yield out.getvalue()
    for row in rows:
        out.seek(0)
        out.truncate()
        writer.writerow([_cell(_value(row, name)) for name in names])
        yield out.getvalue()


def _value(row: Any, name: str) -> Any:
    for part in name.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(FORMULA) else value
    if isinstance(value, list) and not any(isinstance(part, dict | list) for part in value):
        return _cell(";".join(str(part) for part in value))
    return json.dumps(value, ensure_ascii=False)


def _write(lines: Iterator[str], out: str | None) -> int:
    """How many lines. A file is there whole, under its name, or not at all."""
    count = 0
    if not out:
        for line in lines:
            sys.stdout.write(line)
            count += 1
        return count
    path = Path(out)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with scratch.open("w", encoding="utf-8", newline="") as file:
            for line in lines:
                file.write(line)
                count += 1
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return count
