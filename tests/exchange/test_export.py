"""Exports page by page, against a venue's answers that are given here: also those that end half-way."""

import csv
import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exchange.__main__ import main
from exchange.export import _csv, columns
from exchange.web.trades import TradeView

ROWS = [
    {"listing": f"L{number}", "title": title, "tags": ["a", "b"], "price_fen": 5, "until": None}
    for number, title in enumerate(
        ("plain", "=1+1", "＝1+1", "-1", "@sum", "two\nlines, one cell", "冷链"), 1
    )
]
PAGE = 3


class _Paged(BaseHTTPRequestHandler):
    """The rows in pages; where `broken` is set, the second page is an error."""

    broken = False

    def do_GET(self) -> None:
        start = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        after = start + PAGE if start + PAGE < len(ROWS) else None
        answer: dict[str, Any] = {"items": ROWS[start : start + PAGE], "next": after and str(after)}
        content = json.dumps(answer).encode()
        self.send_response(500 if self.broken and start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *said: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv("SHUJI_KEY", raising=False)
    server = HTTPServer(("127.0.0.1", 0), _Paged)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_every_page_goes_out_exactly(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "catalogue", "--url", url]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS


def test_no_cell_is_a_formula(url: str, tmp_path: Path) -> None:
    out = tmp_path / "catalogue.csv"
    assert main(["export", "catalogue", "--format", "csv", "--out", str(out), "--url", url]) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"), newline="")))
    titles = [row["title"] for row in rows]
    assert titles == ["plain", "'=1+1", "'＝1+1", "'-1", "'@sum", "two\nlines, one cell", "冷链"]
    assert {(row["tags"], row["price_fen"], row["until"]) for row in rows} == {("a;b", "5", "")}


def test_half_an_export_is_none(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the day before stays as it was, and nothing lies beside it."""
    monkeypatch.setattr(_Paged, "broken", True)
    out = tmp_path / "catalogue.jsonl"
    out.write_text("yesterday")
    assert main(["export", "catalogue", "--out", str(out), "--url", url]) == 1
    assert out.read_text() == "yesterday"
    assert list(tmp_path.iterdir()) == [out]


def test_why_a_trade_was_refused_is_in_its_line() -> None:
    """A list of parts is one column, as JSON; an object's parts have columns of their own."""
    names = columns(TradeView)
    violated = [{"rule": "B05", "message_zh": "地域", "citations": []}]
    lines = list(_csv(iter([{"trade": "T1", "verdict": {"outcome": "reject", "violated": violated}}]), names))
    [row] = csv.DictReader(io.StringIO("".join(lines)))
    assert row["verdict.outcome"] == "reject"
    assert json.loads(row["verdict.violated"]) == violated
    assert "dates.settled" in names
