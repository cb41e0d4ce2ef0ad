"""What the public and approvers read of the rulebook: its text, and a draft beside it. Over HTTP, in this process."""

import hashlib
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clearing.notrade import Rulebook, of_texts
from exchange.web.drafts import compared
from tests.exchange.web_venue import Doors, Person
from tests.exchange.world import boards, rulebook

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def author(web: Doors) -> Person:
    """A reviewer whose identity another has verified."""
    desk, person = await web.official("reviewer"), await web.official("reviewer")
    decision = {
        "accept": True, "owner_id": "owner", "group_id": "", "mandate_until": "2045-01-01T00:00:00Z",
        "evidence_sha256": "ab" * 32, "reasons": [],
    }  # fmt: skip
    told = await desk.ask("POST", f"/v1/participants/{person.participant}/identity", json=decision)
    assert told.is_success, told.text
    return person


async def in_force(web: Doors) -> dict[str, Any]:
    """As anybody reads it, without signing in."""
    answer = await web.http.get("/v1/rulebook/files")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def drafted(author: Person, texts: dict[str, str]) -> dict[str, Any]:
    body = {"files": texts, "effective_from": "2045-01-01T00:00:00Z", "reason": "按新规修订"}
    answer = await author.ask("POST", "/v1/rulebook/drafts", json=body)
    assert answer.status_code == 201, answer.text
    read = await author.ask("GET", f"/v1/rulebook/drafts/{answer.json()['draft']}")
    assert read.status_code == 200, read.text
    return dict(read.json())


def rule_of(text: str, rule: str) -> str:
    [found] = [block for block in text.split("[[rule]]\n") if block.startswith(f'id = "{rule}"')]
    return "[[rule]]\n" + found


async def test_anybody_reads_the_rulebook_in_force_and_computes_its_hashes(web: Doors) -> None:
    read = await in_force(web)
    assert read["texts"] == rulebook().texts
    assert of_texts(read["texts"], boards=boards()).sha256 == read["sha256"]
    said = {"files": sorted(read["texts"].items()), "narrowings": read["narrowings"]}
    whole = msgspec.json.encode(said, order="sorted")
    assert hashlib.sha256(whole).hexdigest() == read["text_sha256"]
    summary = (await web.http.get("/v1/rulebook")).json()
    assert (summary["sha256"], summary["text_sha256"]) == (read["sha256"], read["text_sha256"])


async def test_approvers_read_what_they_approve(web: Doors, author: Person) -> None:
    """F04 goes, F03 forbids more, and a rule with another number comes."""
    before = await in_force(web)
    old = before["texts"]["venue.toml"]
    gone, kept = rule_of(old, "F04"), rule_of(old, "F03")
    violated = rulebook().rules["F03"].violated_when
    stricter = kept.replace(
        f'violated_when = "{violated}"', f'violated_when = "({violated}) or price.unit_fen == 777"'
    )
    come = gone.replace("F04", "F94")
    new = old.replace(gone, come).replace(kept, stricter)
    read = await drafted(author, {"venue.toml": new})
    assert read["texts"] == {"venue.toml": new}
    assert read["rules"] == {"added": ["F94"], "removed": ["F04"], "changed": ["F03"]}
    assert (read["base_sha256"], read["against_sha256"]) == (before["text_sha256"], before["text_sha256"])
    made = of_texts({**before["texts"], **read["texts"]}, boards=boards())
    assert (read["sha256"], read["text_sha256"]) == (made.sha256, made.text_sha256)
    lines = read["diff"].split("\n")
    assert lines[:2] == ["--- in_force/venue.toml", "+++ draft/venue.toml"]
    assert '-id = "F04"' in lines
    assert '+id = "F94"' in lines
    assert patched(old, lines) == new
    assert (read["fault"], read["ends"]) == ("", [])


async def test_a_narrowing_that_a_draft_ends_is_told(web: Doors, author: Person) -> None:
    narrowing = {"rule": "B07", "also_violated_when": "price.unit_fen == 88888"}
    told = await web.operator.ask("POST", "/v1/rulebook/narrowings", json={**narrowing, "reason": "紧急"})
    assert told.status_code == 201, told.text
    assert (await in_force(web))["narrowings"] == [["B07", "price.unit_fen == 88888"]]
    texts = (await in_force(web))["texts"]
    read = await drafted(author, {"health.toml": f"# as it was\n{texts['health.toml']}"})
    assert read["ends"] == [narrowing]
    assert read["rules"] == {"added": [], "removed": [], "changed": ["B07"]}


async def test_a_draft_that_fits_no_more_is_still_read(web: Doors, author: Person) -> None:
    """A file that names a rule twice once another is in force: its text and the reason, no list of rules."""
    old = (await in_force(web))["texts"]["venue.toml"]
    more = f'title = {{ zh = "其他", en = "More" }}\n\n{rule_of(old, "F04")}'
    said = compared({"more.toml": more}, rulebook())
    assert said.rules is None
    assert "written twice" in said.fault
    assert "+++ draft/more.toml" in said.diff


async def test_a_draft_is_read_by_officials_only(web: Doors, author: Person) -> None:
    for path, person, code in (
        ("/v1/rulebook/drafts/K1", await web.official("auditor"), 200),
        ("/v1/rulebook/drafts/K999", author, 404),
        ("/v1/rulebook/drafts/K1", await somebody(web), 403),
    ):
        assert (await person.ask("GET", path)).status_code == code, path


async def somebody(web: Doors) -> Person:
    person = Person(web.http)
    await person.register()
    return person


async def test_files_that_are_too_long_to_compare_are_shown_whole() -> None:
    """Finding the shortest difference takes longer than the square of the lines: 6,000 each are not looked through."""
    old = {"more.toml": "\n".join(f"# {number % 150}" for number in range(6_000))}
    new = {"more.toml": "\n".join(f"# {number * 7 % 150}" for number in range(6_000))}
    book = Rulebook((), texts=old)
    said = compared(new, book)
    assert said.diff.count("\n-#") == said.diff.count("\n+#") == 6_000
    assert patched(old["more.toml"], said.diff.split("\n")) == new["more.toml"]


def patched(old: str, diff: list[str]) -> str:
    """The file that a unified diff of it makes."""
    lines, made, at = old.split("\n"), [], 0
    for line in diff[2:]:
        if line.startswith("@@"):
            start = int(line.split()[1].split(",")[0][1:])
            begin = max(0, start - 1)
            made += lines[at:begin]
            at = begin
        elif line.startswith("+"):
            made.append(line[1:])
        else:
            assert lines[at] == line[1:]
            made += [lines[at]] if line.startswith(" ") else []
            at += 1
    return "\n".join([*made, *lines[at:]])
