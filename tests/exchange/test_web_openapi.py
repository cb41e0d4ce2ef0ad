"""The OpenAPI document: complete, stable, and true to what the venue answers (schemathesis)."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from credit.merchant import check_uscc
from exchange.web import pages, reference
from exchange.web.openapi import encoded
from exchange.web.routes import OPERATIONS
from tests.story import Person, Venue

HERE = Path(__file__).parents[2]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"

ENDS_THE_LOGIN = (
    "/v1/participants/me/key", "/v1/participants/{participant}/key", "/v1/clock/advance",
    "/v1/participants/me/addresses", "/v1/sessions", "/v1/sessions/{session}",
)  # fmt: skip
"""A new key ends every token of the old one, and so does a day; networks and ended sessions shut the door: all that
follows would be 401 or 403."""


def test_the_document_is_the_same_at_every_start() -> None:
    code = "from exchange.web.openapi import encoded; from exchange.web.routes import OPERATIONS as o;"
    code += " import sys; sys.stdout.buffer.write(encoded(o))"
    again = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, check=True).stdout
    assert again == encoded(OPERATIONS)


def test_every_reference_leads_somewhere() -> None:
    document = json.loads(encoded(OPERATIONS))
    assert document["openapi"].startswith("3.1")

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return found + [one for part in value.values() for one in references(part)]
        return [one for part in value for one in references(part)] if isinstance(value, list) else []

    for named in references(document):
        place = document
        for step in named.removeprefix("#/").split("/"):
            place = place[step]


def test_each_operation_tells_its_refusals_and_its_examples() -> None:
    paths = json.loads(encoded(OPERATIONS))["paths"]
    for operation in OPERATIONS:
        told = paths[operation.path][operation.method.lower()]
        assert str(operation.status) in told["responses"]
        assert {"400", "405", "503"} <= set(told["responses"])
        assert ("security" in told) == ("401" in told["responses"] and operation.signed_in)
        assert "404" in told["responses"] or not operation.parameters


def test_operation_ids_are_unique() -> None:
    paths = json.loads(encoded(OPERATIONS))["paths"]
    names = [told["operationId"] for path in paths.values() for told in path.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)


def test_every_pattern_refuses_a_line_break_at_the_end() -> None:
    def patterns(value: object) -> list[str]:
        if isinstance(value, dict):
            found = [value["pattern"]] if isinstance(value.get("pattern"), str) else []
            return found + [one for part in value.values() for one in patterns(part)]
        return [one for part in value for one in patterns(part)] if isinstance(value, list) else []

    found = set(patterns(json.loads(encoded(OPERATIONS))))
    assert len(found) > 10
    assert [one for one in found if not (one.startswith("^") and one.endswith(r"$(?!\n)"))] == []


def person_of(venue: Venue, role: str) -> Person:
    if role == "merchant":
        return venue.merchant("buyer")
    return venue.operator if role == "operator" else venue.official(role)


READING = ("reviewer", "auditor", "regulator")
"""Offices that mostly read. What is malformed is refused alike whoever asks, so the cases made from each schema's limits
(`coverage`, three fifths of the time) are sent by the others."""


@pytest.mark.parametrize("role", ["operator", "merchant", "reviewer", "auditor", "regulator", "anonymous"])
def test_schemathesis_finds_no_5xx_and_no_undocumented_status(tmp_path: Path, role: str) -> None:
    """Generated requests of one who may do much, on every operation. The seed is fixed: a failure repeats."""
    venue = Venue(tmp_path / "data")
    try:
        venue.start()
        headers = (
            [] if role == "anonymous" else ["-H", f"Authorization: Bearer {person_of(venue, role).token}"]
        )
        headers += ["-H", "Shuji-Purpose: inspection"] if role in ("auditor", "regulator") else []
        command = [
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{venue.url}/openapi.json",
            "--no-color",
        ]
        command += [*headers, "--checks", CHECKS, "--seed", "7"]
        phases = "examples,fuzzing" if role in READING else "examples,coverage,fuzzing"
        command += ["--max-examples", "5", "--phases", phases, "--continue-on-failure"]
        if role != "anonymous":
            command += [f"--exclude-path={one}" for one in ENDS_THE_LOGIN]
        told = subprocess.run(
            list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
        )
        assert told.returncode == 0, told.stdout[told.stdout.find("FAILURES ===") :][:6_000]
        assert venue.is_ready(), venue.said()[-2_000:]
    finally:
        venue.close()


def values(content: Any, name: str) -> Iterator[str]:
    """Every text of that name in an example."""
    if isinstance(content, dict):
        yield from (value for key, value in content.items() if key == name and isinstance(value, str))
    if isinstance(content, dict | list):
        parts = content.values() if isinstance(content, dict) else content
        yield from (value for part in parts for value in values(part, name))


def test_an_example_can_be_sent_as_it_stands() -> None:
    """Its credit codes pass the venue's own check, and it names no id: one that is printed is of the past."""
    codes = {
        code
        for one in OPERATIONS
        for side in (one.example, one.example_answer)
        for code in values(side, "uscc")
    }
    assert codes
    assert {code: check_uscc(code) for code in codes if check_uscc(code) is not None} == {}
    for one in OPERATIONS:
        asked = json.dumps(one.example) + one.about
        assert 'client_order_id": "' not in asked, one.path
        assert re.search("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-", asked) is None, one.path


def test_the_commands_of_the_front_page_are_of_one_piece(tmp_path: Path) -> None:
    """The key that is made is the one that is used, and the command line takes the commands as they are printed."""
    steps = pages._commands("http://127.0.0.1:8000")
    make, register = steps["key"].splitlines()
    program = Path(sys.executable).parent / "shuji"
    subprocess.run([program, *shlex.split(make)[1:]], cwd=tmp_path, capture_output=True, check=True)
    lines = [register, *steps["login"].splitlines(), *steps["verify"].splitlines()]
    for line in lines:
        words = shlex.split(line)
        assert (tmp_path / words[words.index("--key") + 1]).is_file(), line
    named = shlex.split(register)
    assert check_uscc(named[named.index("--uscc") + 1]) is None


@pytest.mark.parametrize("tongue", ["zh", "en"])
def test_the_page_tells_each_field_that_can_be_sent(tongue: str) -> None:
    page = reference.docs_page(OPERATIONS, tongue)
    paths = json.loads(encoded(OPERATIONS))["paths"]
    for operation in OPERATIONS:
        start = page.index(f"<h3><code>{operation.method} {operation.path}</code>")
        told = page[start : page.find("<h3>", start + 1) % len(page)]
        shown = set(re.findall("<tr><td><code>([^< ]+)", told))
        sent = {one["name"] for one in paths[operation.path][operation.method.lower()]["parameters"]}
        takes_body = operation.asks is not None and not operation.asks_in_query
        if takes_body:
            example = operation.example[0] if isinstance(operation.example, list) else operation.example
            prefix = "[]." if isinstance(operation.example, list) else ""
            sent |= {f"{prefix}{name}" for name in example}
        assert sent <= shown, operation.path


def test_the_feed_says_what_it_is() -> None:
    told = json.loads(encoded(OPERATIONS))["paths"]["/v1/feed/events"]["get"]
    assert set(told["responses"]["200"]["content"]) == {"text/event-stream"}
    [listings] = [one for one in told["parameters"] if one["name"] == "listings"]
    assert "commas" in listings["schema"]["description"]


def test_the_page_s_own_way_to_sign_in_works(tmp_path: Path) -> None:
    venue = Venue(tmp_path / "data")
    try:
        venue.start()
        code = reference.SIGNING_IN.replace("http://127.0.0.1:8000", venue.url)
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "'legal_name': 'Example Ltd'" in ran.stdout
    finally:
        venue.close()


def test_every_example_is_of_its_own_shape() -> None:
    for operation in OPERATIONS:
        for example, shape in (
            (operation.example, operation.asks),
            (operation.example_answer, operation.answers),
        ):
            if example is not None:
                msgspec.convert(example, shape)
        takes_body = operation.asks is not None and not operation.asks_in_query
        assert not takes_body or operation.example is not None, operation.path
