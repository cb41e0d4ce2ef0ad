"""Issue 4, "Rulebook life": drafts, approvals, the emergency path, replay, coverage; and what the compiler refuses.

A rulebook is a folder of TOML files, as `clearing/rulebook` is one. What the checks expect; more members are welcome:

    POST /v1/rulebook/drafts    reviewer: {files: {name: text}, effective_from, reason} -> 201 {draft, state: draft, sha256}
         files that are named replace those of that name in the rulebook in force; 422 names file and line
    GET  /v1/rulebook/files     open: texts {name: text} and narrowings of the rulebook in force
    GET  /v1/rulebook/drafts/{draft}    officials: texts, diff, rules {added, removed, changed}, ends (narrowings)
    GET  /v1/rulebook/drafts    items: draft, state (draft, approved, in_force, lapsed), by, approvals, effective_from,
         base_sha256 (the rulebook's text_sha256 that it is over), lapsed_because
    POST /v1/rulebook/drafts/{draft}/approvals     {} -> 201 {state}; two different reviewers, neither its author
    POST /v1/rulebook/narrowings    operator: {rule, also_violated_when, reason} -> 201; in force at once
    GET  /v1/rulebook/coverage      items: rule, live and tests: {fired, passed, not_applicable}
    `shuji rules replay OLD NEW --data DIR --json`    OLD and NEW are folders; JSON:
         trades, allow_to_reject and reject_to_allow: {rule: [trade, ...]}
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.story import ROOT, Person, Venue, done, parsed, refused, shuji, unlawful

RULEBOOK = ROOT / "clearing" / "rulebook"
STRANGE_FEN = 77_777
"""A price that no example has: the changed B05 forbids it."""
ALSO = f" or price.unit_fen == {STRANGE_FEN}"


def file_of(rule: str) -> Path:
    [found] = [path for path in RULEBOOK.glob("*.toml") if f'\nid = "{rule}"\n' in path.read_text()]
    return found


def changed(rule: str, change: Callable[[str], str]) -> tuple[str, str, int]:
    """(file name, its text with the rule's violated_when changed, the line that it stands on)."""
    path = file_of(rule)
    lines = path.read_text().splitlines()
    start = lines.index(f'id = "{rule}"')
    place = next(at for at in range(start, len(lines)) if lines[at].startswith("violated_when = "))
    old = lines[place].removeprefix('violated_when = "').removesuffix('"')
    lines[place] = f'violated_when = "{change(old)}"'
    return path.name, "\n".join(lines) + "\n", place + 1


def stricter() -> dict[str, str]:
    name, text, _ = changed("B05", lambda old: f"({old}){ALSO}")
    return {name: text}


def folder_with(files: dict[str, str], place: Path) -> Path:
    """The project's rulebook with these files in it."""
    copy = place / "rulebook"
    shutil.copytree(RULEBOOK, copy)
    for name, text in files.items():
        (copy / name).write_text(text)
    return copy


def draft(venue: Venue, by: Person, files: dict[str, str], days: float = 2, **more: str) -> httpx.Response:
    body = {"files": files, "effective_from": venue.in_days(days), "reason": "价格异常", **more}
    return by.post("/v1/rulebook/drafts", body)


def approve(person: Person, identifier: str) -> httpx.Response:
    return person.post(f"/v1/rulebook/drafts/{identifier}/approvals", {})


def book(venue: Venue) -> dict[str, Any]:
    found: dict[str, Any] = done(venue.http.get("/v1/rulebook"), 200)
    return found


def replay(venue: Venue, old: Path, new: Path) -> dict[str, Any]:
    run = shuji("rules", "replay", str(old), str(new), "--data", str(venue.data), "--json", seconds=120)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def strange(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant, price_fen=STRANGE_FEN)


# -- replay


def test_replay_under_the_same_rules_changes_nothing(
    venue: Venue, merchant: Person, buyer: Person, strange: str
) -> None:
    """Line: "Each verdict ... replays exactly" and "`shuji rules replay OLD NEW` judges stored trades under both"."""
    venue.trade(buyer, strange)
    narrow = venue.product(merchant)
    listing = venue.listing(merchant, narrow)
    venue.trade(buyer, listing)
    venue.amend(merchant, narrow, "authorisation", territories=["HK"])
    unlawful(venue.order(buyer, listing), "B05")
    found = replay(venue, RULEBOOK, RULEBOOK)
    assert found["trades"] >= 2
    assert (found["allow_to_reject"], found["reject_to_allow"]) == ({}, {})


def test_replay_lists_what_turns_by_rule(venue: Venue, buyer: Person, strange: str, tmp_path: Path) -> None:
    """Line: "lists allow-to-reject and reject-to-allow by rule"."""
    trade = venue.trade(buyer, strange)
    new = folder_with(stricter(), tmp_path)
    forwards, backwards = replay(venue, RULEBOOK, new), replay(venue, new, RULEBOOK)
    assert set(forwards["allow_to_reject"]) == {"B05"}
    assert trade in forwards["allow_to_reject"]["B05"]
    assert forwards["reject_to_allow"] == {}
    assert backwards["reject_to_allow"] == forwards["allow_to_reject"]
    assert backwards["allow_to_reject"] == {}


# -- the compiler


WRONG = {
    "a misspelt field": "trade.territry not in auth.territories",
    "a group that is none": "deal.territory not in auth.territories",
    "a value outside its enum": "trade.territory not in auth.territories or auth.status == 'grantd'",
    "a wrong type": "trade.territory not in auth.territories or price.unit_fen == 'dear'",
    "a time compared with a number": "trade.territory not in auth.territories or auth.valid_from > 5",
    "no condition": "trade.territory",
    "no expression": "trade.territory not not in",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_expression_fails_the_load_with_file_and_line(
    venue: Venue, tmp_path: Path, wrong: str
) -> None:
    """Line: "a misspelt field, a wrong enum value, a wrong type, a time compared with a number each fails the load with
    file and line"."""
    name, text, line = changed("B05", lambda old: WRONG[wrong])
    new = folder_with({name: text}, tmp_path)
    run = shuji("rules", "replay", str(RULEBOOK), str(new), "--data", str(venue.data))
    assert run.returncode not in (0, None)
    assert "Traceback" not in run.stderr
    told = re.search(rf"{re.escape(name)}:(\d+)", run.stderr)
    assert told is not None, run.stderr
    assert int(told[1]) == line, run.stderr
    answer = draft(venue, venue.desk, {name: text})
    assert answer.status_code == 422, answer.text
    assert f"{name}:{line}" in answer.text


def test_a_rule_without_examples_does_not_load(venue: Venue, tmp_path: Path) -> None:
    """Line: "a rule without one does not load": the rule's own examples, of each kind it needs."""
    path = file_of("B05")
    lines = path.read_text().splitlines()
    start = lines.index('id = "B05"')
    end = next(at for at in range(start, len(lines)) if lines[at].startswith("[[rule]]"))
    first = next(at for at in range(start, end) if lines[at].startswith("[[rule.example]]"))
    new = folder_with({path.name: "\n".join(lines[:first] + lines[end:]) + "\n"}, tmp_path)
    run = shuji("rules", "replay", str(RULEBOOK), str(new), "--data", str(venue.data))
    assert run.returncode not in (0, None)
    assert "B05" in run.stderr
    assert "example" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_rule_that_its_examples_contradict_does_not_load(venue: Venue, tmp_path: Path) -> None:
    """Line: "examples that kill it": the same rule the other way round is found by its own examples."""
    name, text, _ = changed("B05", lambda old: old.replace("not in", "in"))
    new = folder_with({name: text}, tmp_path)
    run = shuji("rules", "replay", str(RULEBOOK), str(new), "--data", str(venue.data))
    assert run.returncode not in (0, None)
    assert "B05" in run.stderr
    assert "Traceback" not in run.stderr


# -- coverage


def test_coverage_counts_each_rule_live_and_in_tests(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "coverage counts fired, passed, not applicable per rule, live and in tests": every rule has an example that
    fires it and one that passes it."""

    def coverage() -> dict[str, dict[str, dict[str, int]]]:
        return {row["rule"]: row for row in venue.operator.every("/v1/rulebook/coverage")}

    before = coverage()
    assert len(before) == 88
    counts = {"fired", "passed", "not_applicable"}
    for rule, row in before.items():
        assert counts <= set(row["live"]), row
        assert counts <= set(row["tests"]), row
        assert row["tests"]["fired"] > 0, f"no example fires {rule}"
        assert row["tests"]["passed"] > 0, f"no example passes {rule}"
    product = venue.product(merchant)
    listing = venue.listing(merchant, product)
    venue.trade(buyer, listing)
    venue.amend(merchant, product, "authorisation", territories=["HK"])
    unlawful(venue.order(buyer, listing), "B05")
    after = coverage()
    assert after["B05"]["live"]["fired"] > before["B05"]["live"]["fired"]
    assert after["B04"]["live"]["passed"] > before["B04"]["live"]["passed"]
    assert after["G01"]["live"]["not_applicable"] > before["G01"]["live"]["not_applicable"]


# -- drafts, approvals, the emergency path; these change the rulebook in force, one after the other


def test_a_draft_needs_two_other_people_and_its_date(venue: Venue, buyer: Person, strange: str) -> None:
    """Line: "draft, two different people approve, effective from a date"."""
    author, first, second = (venue.verified_official("reviewer") for _ in range(3))
    old = book(venue)["sha256"]
    refused(draft(venue, buyer, stricter()), 403, "forbidden")
    made = done(draft(venue, author, stricter()), 201)
    assert made["state"] == "draft"
    refused(approve(author, made["draft"]), 403, "own_case")
    refused(approve(buyer, made["draft"]), 403, "forbidden")
    assert done(approve(first, made["draft"]), 201)["state"] == "draft"
    again = approve(first, made["draft"])
    assert again.status_code in (403, 409), again.text
    assert done(approve(second, made["draft"]), 201)["state"] == "approved"
    [row] = [row for row in author.every("/v1/rulebook/drafts") if row["draft"] == made["draft"]]
    assert set(row["approvals"]) == {first.participant, second.participant}
    assert row["by"] == author.participant
    earlier = venue.trade(buyer, strange)
    assert book(venue)["sha256"] == old, "its date has not come"
    venue.advance(days=2, seconds=60)
    now = book(venue)
    assert now["sha256"] == made["sha256"] != old
    assert abs((parsed(now["effective_from"]) - parsed(row["effective_from"])).total_seconds()) < 120
    unlawful(venue.order(buyer, strange), "B05")
    seen = venue.read_trade(earlier, buyer)
    assert (seen["verdict"]["rulebook_sha256"], seen["verdict"]["outcome"]) == (old, "allow")


def test_four_eyes_are_of_verified_people_of_three_houses(venue: Venue) -> None:
    """Line: "two different people approve": keys that one operator makes reviewers of are not people yet."""
    name, text, _ = changed("B06", lambda old: f"({old}) or price.unit_fen == 44444")
    puppet, author = venue.reviewer(), venue.verified_official("reviewer")
    refused(draft(venue, puppet, {name: text}), 403, "not_verified")
    made = done(draft(venue, author, {name: text}), 201)
    refused(approve(puppet, made["draft"]), 403, "not_verified")
    done(venue.verify_identity(puppet, owner_id=f"owner-{author.participant}"))
    refused(approve(puppet, made["draft"]), 403, "own_case")


def test_without_the_second_approval_nothing_changes(venue: Venue) -> None:
    """Line: "two different people approve": the date of a draft with one approval passes without effect."""
    before = book(venue)["sha256"]
    name, text, _ = changed("B06", lambda old: f"({old}) or price.unit_fen == 66666")
    made = done(draft(venue, venue.verified_official("reviewer"), {name: text}, days=1), 201)
    done(approve(venue.verified_official("reviewer"), made["draft"]), 201)
    venue.advance(days=1, seconds=60)
    assert book(venue)["sha256"] == before


def test_a_draft_over_another_rulebook_lapses_and_the_clock_goes_on(venue: Venue) -> None:
    """Line: "Rulebook life": what comes into force is what was approved over what is in force, or nothing: a draft without
    F04, approved twice; F04 is narrowed; at its date nothing happens, and the venue's dates go on."""
    path = file_of("F04")
    blocks = path.read_text().split("[[rule]]\n")
    without = "[[rule]]\n".join(block for block in blocks if not block.startswith('id = "F04"'))
    made = done(draft(venue, venue.verified_official("reviewer"), {path.name: without}, days=1), 201)
    assert made["base_sha256"] == book(venue)["text_sha256"]
    for _ in range(2):
        told = done(approve(venue.verified_official("reviewer"), made["draft"]), 201)
    assert (told["state"], told["lapsed_because"]) == ("approved", "")
    body = {"rule": "F04", "also_violated_when": "price.unit_fen == 55555", "reason": "紧急"}
    narrowed = done(venue.operator.post("/v1/rulebook/narrowings", body), 201)
    venue.advance(days=1, seconds=60)
    assert book(venue)["sha256"] == narrowed["sha256"]
    [row] = [row for row in venue.desk.every("/v1/rulebook/drafts") if row["draft"] == made["draft"]]
    assert row["state"] == "lapsed"
    assert "draft it anew" in row["lapsed_because"]
    late = draft(
        venue, venue.verified_official("reviewer"), {path.name: without}, base_sha256=made["base_sha256"]
    )
    refused(late, 409, "wrong_state")


def test_an_emergency_only_narrows_and_at_once(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "an emergency path that can only narrow": at once, by one operator, and there is no way to say wider."""
    listing = venue.listing(merchant, price_fen=88_888)
    venue.trade(buyer, listing)
    before = book(venue)["sha256"]
    body = {"rule": "B07", "also_violated_when": "price.unit_fen == 88888", "reason": "紧急"}
    refused(buyer.post("/v1/rulebook/narrowings", body), 403, "forbidden")
    wider = {"rule": "B07", "violated_when": "False", "reason": "紧急"}
    refused(venue.operator.post("/v1/rulebook/narrowings", wider), 400, "malformed")
    wrong = {**body, "also_violated_when": "price.unit_fenn == 1"}
    assert venue.operator.post("/v1/rulebook/narrowings", wrong).status_code == 422
    assert book(venue)["sha256"] == before
    done(venue.operator.post("/v1/rulebook/narrowings", body), 201)
    assert book(venue)["sha256"] != before
    unlawful(venue.order(buyer, listing), "B07")
    venue.trade(buyer, venue.listing(merchant))


def test_the_rulebook_in_force_survives_a_restart(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "Rulebook life": killed and started again, the venue trades by the same rules, and `verify` is clean."""
    listing = venue.listing(merchant, price_fen=99_999)
    body = {"rule": "B07", "also_violated_when": "price.unit_fen == 99999", "reason": "紧急"}
    done(venue.operator.post("/v1/rulebook/narrowings", body), 201)
    before = book(venue)
    venue.kill()
    venue.restart()
    assert book(venue) == before
    unlawful(venue.order(buyer, listing), "B07")
    run = shuji("verify", "--data", str(venue.data))
    assert run.returncode == 0, run.stdout
