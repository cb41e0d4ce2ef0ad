"""docs/ONE_ORDER.md, done step by step against a real server on an empty venue.

The page says how its blocks are to be read. What an answer, the journal or a table says differently fails here with
the line of the page.
"""

import asyncio
import base64
import datetime
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange import journal
from exchange.events import Entry
from loadtests.client import HONEST, declared_sha256
from tests.document import ROOT, Block, blocks, headings
from tests.story import Person, Venue, command_id, instant, invented_uscc, parsed, sha256_of, shuji

PAGE = ROOT / "docs" / "ONE_ORDER.md"
ENTRY = msgspec.msgpack.Decoder(Entry)
WORD = re.compile(r"<([^<>]+)>")
PROJECTED_SECONDS = 20


class Walk:
    """Everything that the page has named so far, and the venue it happens in."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.words: dict[str, str] = {"data": str(venue.data)}
        self.files: dict[str, str] = {}
        self.people: dict[str, Person] = {}
        self.seen = 0

    # -- words in angle brackets

    def filled(self, text: str) -> str:
        return WORD.sub(lambda found: self.value(found[1]), text)

    def value(self, word: str) -> str:
        if word not in self.words:
            made = self._made(word)
            assert made is not None, f"<{word}> stands for nothing yet"
            self.words[word] = made
        return self.words[word]

    def _made(self, word: str) -> str | None:
        """A value that the page may use before any answer gave it."""
        name, _, rest = word.partition(" ")
        if name == "sha256":
            return sha256_of(self.files.get(rest, rest))
        if name == "in" and rest.endswith(" days"):
            return instant(self.now() + datetime.timedelta(days=int(rest.split()[0])))
        if word == "new id":
            return command_id(self.now())
        if rest == "code":
            return invented_uscc()
        if rest == "key":
            return self.person(name).public_key
        if rest == "proof":
            return self.person(name).sign(
                f"shuji-register:{self.value(f'{name} key')}:{self.words.get(f'{name} code', '')}"
            )
        if rest.startswith("signs "):
            return self.person(name).sign(self.value(rest.removeprefix("signs ")))
        if rest.startswith("declares "):
            text = self.value(rest.removeprefix("declares "))
            return self.person(name).sign(text + declared_sha256(HONEST))
        return None

    def now(self) -> datetime.datetime:
        return parsed(self.venue.http.get("/v1/venue").json()["clock"]["now"])

    def person(self, name: str) -> Person:
        if name not in self.people:
            self.people[name] = (
                self._operator() if name == "operator" else Person(self.venue, Ed25519PrivateKey.generate())
            )
        person = self.people[name]
        person.participant = person.participant or self.words.get(name, "")
        return person

    def _operator(self) -> Person:
        kept = json.loads((self.venue.data / "operator.key").read_text())
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(kept["private_key"]))
        self.words["operator"] = kept["participant"]
        return Person(self.venue, key, kept["participant"])

    # -- http

    def http(self, block: Block) -> None:
        asked, arrow, told = block.text.partition("\n=> ")
        assert arrow, "an http block needs the answer after =>"
        line, headers, body = self._request(asked)
        method, path = line.split(" ", 1)
        answer = self._ask(block.title, method, path, headers, body)
        status_line, _, expected = told.partition("\n")
        self._answered(answer, status_line.split(), expected)

    def _request(self, text: str) -> tuple[str, dict[str, str], str]:
        first, *rest = text.splitlines()
        headers = {}
        while rest and re.match(r"[A-Za-z-]+: ", rest[0]):
            name, _, value = rest.pop(0).partition(": ")
            headers[name] = self.filled(value)
        body = "\n".join(rest)
        return (
            self.filled(first),
            headers,
            self.files[body[1:]] if body.startswith("@") else self.filled(body),
        )

    def _ask(self, who: str, method: str, path: str, headers: dict[str, str], body: str) -> httpx.Response:
        if body.startswith("{"):
            json.loads(body)
            headers = {**headers, "Content-Type": "application/json"}
        options: dict[str, Any] = {"headers": headers, "content": body.encode() if body else None}
        if who == "anybody":
            return self.venue.http.request(method, path, **options)
        return self.person(who).ask(method, path, **options)

    def _answered(self, answer: httpx.Response, status: list[str], expected: str) -> None:
        assert answer.status_code == int(status[0]), answer.text
        if status[1:]:
            assert answer.json()["code"] == status[1], answer.text
        if expected.startswith("@"):
            assert answer.content == self.files[expected[1:]].encode()
        else:
            self.meets(answer.json(), json.loads(expected), "answer")

    def meets(self, found: Any, expected: Any, where: str) -> None:
        """Whether a value is what the page says; objects may have more members than it shows."""
        if isinstance(expected, dict):
            assert isinstance(found, dict), where
            for name, value in expected.items():
                assert name in found, f"{where} has no {name}: {found}"
                self.meets(found[name], value, f"{where}.{name}")
        elif isinstance(expected, list):
            assert isinstance(found, list), where
            assert len(found) == len(expected), f"{where}: {found}"
            for index, (one, other) in enumerate(zip(found, expected, strict=True)):
                self.meets(one, other, f"{where}[{index}]")
        elif isinstance(expected, str) and (word := WORD.fullmatch(expected)) is not None:
            assert isinstance(found, str), where
            assert self.words.setdefault(word[1], found) == found, where
        else:
            assert found == expected, f"{where}: {found!r}"

    # -- what is stored

    async def journal(self, block: Block) -> None:
        expected = [self.filled(line) for line in block.text.splitlines()]
        connection = await self._connection()
        try:
            assert await self._entries(connection) == expected
        finally:
            await connection.close()

    async def _entries(self, connection: Any) -> list[str]:
        """Actor and events of each journal entry since the last look."""
        told = []
        async for row in journal.rows(connection, self.seen):
            for raw in journal.entries_of(row):
                entry = ENTRY.decode(raw)
                told.append(f"{entry.actor}: {', '.join(type(event).__name__ for event in entry.events)}")
            self.seen = row["sequence"]
        return told

    async def sql(self, block: Block) -> None:
        query, _, table = block.text.partition(";\n")
        connection = await self._connection()
        try:
            await _projected(connection)
            rows = await connection.fetch(self.filled(query))
        finally:
            await connection.close()
        header, *expected = [
            [self.filled(cell.strip()) for cell in line.split(" | ")] for line in table.splitlines()
        ]
        assert [[_cell(row[name]) for name in header] for row in rows] == expected

    async def _connection(self) -> Any:
        dsn = json.loads((self.venue.data / "postgres.json").read_text())["dsn"]
        return await asyncpg.connect(dsn)

    def sh(self, block: Block) -> None:
        for line in block.text.splitlines():
            command, *arguments = shlex.split(self.filled(line))
            assert command == "shuji"
            done = shuji(*arguments)
            assert done.returncode == 0, done.stdout + done.stderr

    async def step(self, block: Block) -> None:
        if block.language == "http":
            await asyncio.to_thread(self.http, block)
        elif block.language == "journal":
            await self.journal(block)
        elif block.language == "sql":
            await self.sql(block)
        elif block.language == "sh":
            await asyncio.to_thread(self.sh, block)
        else:
            assert block.language == "csv", f"no such kind of block: {block.language}"
            self.files[block.title] = block.text + "\n"


def _cell(value: object) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)


async def _projected(connection: Any) -> None:
    """Wait until the query tables have all that is in the journal."""
    async with asyncio.timeout(PROJECTED_SECONDS):
        while await connection.fetchval(
            "select c.sequence > coalesce(p.sequence, 0) from cursor c left join projection p using (shard)"
        ):
            await asyncio.sleep(0.02)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    running = Venue(tmp_path / "data")
    try:
        yield running.start()
    finally:
        running.close()


async def test_every_step_of_the_page_is_so(venue: Venue) -> None:
    walk = Walk(venue)
    walk.person("operator")
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        try:
            await walk.step(block)
        except AssertionError as error:
            raise AssertionError(f"{PAGE.name}:{block.line} ({block.heading}): {error}") from error


def test_the_steps_are_numbered() -> None:
    steps = headings(PAGE.read_text(encoding="utf-8"), 2)
    assert [int(step.split(".")[0]) for step in steps] == list(range(1, len(steps) + 1))
