"""The stand-alone verifier: right about every proof that is right, and about none that is not."""

import base64
import copy
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import verify_evidence
from clearing.evidence import Checkpoint, canonical
from exchange.evidence import LEAVES
from exchange.keys import Key
from exchange.proofs import signed
from tests.clearing import naive_log
from tests.document import ROOT
from verify_evidence import Wrong, check, root_of, roots_of, sha256, sm3

SIZE = 70
ENTRIES = [f"entry {number}".encode() for number in range(200)]
VENUE, OTHER = Key.make(), Key.make()


# ---- the tree, against the definition


def test_every_inclusion_leads_to_the_root() -> None:
    for size in range(1, SIZE + 1):
        root = naive_log.root(ENTRIES[:size])
        for leaf in range(size):
            assert root_of(sha256, ENTRIES[leaf], leaf, size, naive_log.path(leaf, ENTRIES[:size])) == root


def test_every_growth_leads_to_both_roots() -> None:
    roots = [naive_log.root(ENTRIES[:size]) for size in range(SIZE + 1)]
    for new in range(1, SIZE + 1):
        for old in range(1, new + 1):
            path = naive_log.proof(old, ENTRIES[:new])
            assert roots_of(sha256, old, new, roots[old], path) == (roots[old], roots[new])


@given(st.integers(1, 200), st.data())
def test_no_other_leaf_number_size_or_path_leads_there(size: int, data: st.DataObject) -> None:
    """RFC 9162 says so of the arithmetic: it takes neither another place nor a path that is longer or shorter."""
    leaf = data.draw(st.integers(0, size - 1))
    path, root = naive_log.path(leaf, ENTRIES[:size]), naive_log.root(ENTRIES[:size])
    other_leaf, other_size = data.draw(st.integers(0, 200)), data.draw(st.integers(1, 200))
    at = data.draw(st.integers(0, max(0, len(path) - 1)))
    attempts: list[tuple[bytes, int, int, list[bytes]]] = [
        (ENTRIES[leaf] + b"x", leaf, size, path),
        (ENTRIES[leaf], leaf, size, [*path, root]),
        (ENTRIES[leaf], leaf, size, [root, *path]),
    ]
    if path:
        attempts.append((ENTRIES[leaf], leaf, size, path[:at] + path[at + 1 :]))
        attempts.append((ENTRIES[leaf], leaf, size, [*path[:at], sha256(path[at]), *path[at + 1 :]]))
    if other_leaf != leaf:
        attempts.append((ENTRIES[leaf], other_leaf, size, path))
    for body, number, many, nodes in attempts:
        assert not leads(root_of, root, sha256, body, number, many, nodes)
    assert leads(root_of, root, sha256, ENTRIES[leaf], leaf, size, path)
    assert other_size == size or naive_log.root(ENTRIES[:other_size]) != root


def leads(arithmetic: Callable[..., Any], where: Any, *given: Any) -> bool:
    try:
        return bool(arithmetic(*given) == where)
    except Wrong:
        return False


@given(st.integers(2, 200), st.data())
def test_no_rewritten_history_is_growth(new: int, data: st.DataObject) -> None:
    """One entry of the first tree is another: no path from its root leads to both."""
    old = data.draw(st.integers(1, new - 1))
    at = data.draw(st.integers(0, old - 1))
    rewritten = [*ENTRIES[:at], b"rewritten", *ENTRIES[at + 1 :]]
    path = naive_log.proof(old, rewritten[:new])
    old_root, new_root = naive_log.root(ENTRIES[:old]), naive_log.root(rewritten[:new])
    assert not leads(roots_of, (old_root, new_root), sha256, old, new, old_root, path)
    true_root = naive_log.root(ENTRIES[:new])
    true_path = naive_log.proof(old, ENTRIES[:new])
    assert leads(roots_of, (old_root, true_root), sha256, old, new, old_root, true_path)
    assert not leads(roots_of, (old_root, true_root), sha256, old, new, old_root, [*true_path, old_root])
    assert not leads(roots_of, (old_root, true_root), sha256, old, new, old_root, true_path[:-1])


@pytest.mark.parametrize(("old", "new"), [(0, 1), (2, 1), (-1, 4)])
def test_no_log_shrinks(old: int, new: int) -> None:
    with pytest.raises(Wrong, match="cannot have grown"):
        roots_of(sha256, old, new, b"", [])


# ---- canonical JSON


def test_names_are_in_the_order_of_utf_16() -> None:
    """RFC 8785, 3.2.3: a surrogate pair comes before U+FB33, though its code point is larger."""
    said = {"\ufb33": "4", "1": "1", "\U0001f600": "3", "\u00f6": "2", "": "0"}
    expected = '{"":"0","1":"1","\u00f6":"2","\U0001f600":"3","\ufb33":"4"}'
    assert verify_evidence.canonical(said) == expected
    assert sorted(said) != list(json.loads(expected)), "by code point it would be another order"


def test_escapes_are_the_shortest() -> None:
    assert verify_evidence.canonical('\x00\x07\b\t\n\x0b\f\r\x1f"\\/\x7f é€\u2028😀') == (
        '"\\u0000\\u0007\\b\\t\\n\\u000b\\f\\r\\u001f\\"\\\\/\x7f é€\u2028😀"'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-7, "-7"),
        (2**53 - 1, "9007199254740991"),
        (True, "true"),
        (None, "null"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_numbers_that_json_holds_and_words(value: Any, text: str) -> None:
    assert verify_evidence.canonical(value) == text


@pytest.mark.parametrize("value", [2**53, -(2**53), 1.5, 1e21, float("nan"), "\ud800", {"\udfff": "1"}])
def test_what_has_no_exact_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"canonical form|surrogates"):
        verify_evidence.canonical(value)


NAMES = st.text(st.characters(max_codepoint=127))
VALUES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_the_venue_writes_the_same_canonical_json(leaf: dict[str, Any]) -> None:
    """Two codes, one form: msgspec's encoder there, the RFC's rules here."""
    assert canonical(leaf).decode() == verify_evidence.canonical(leaf)


# ---- whole proofs


def body_of(number: int) -> bytes:
    return canonical(
        {"content": {"quantity": str(number)}, "id": f"T{number}", "kind": "trade", "salt": "ab" * 16}
    )


BODIES = [body_of(number) for number in range(13)]


def checkpoint_of(size: int, key: Key = VENUE, origin: str = "shuji/0011223344556677") -> dict[str, Any]:
    said = Checkpoint(
        origin=origin,
        size=size,
        root_sha256=naive_log.root(BODIES[:size]),
        root_sm3=naive_log.root(BODIES[:size], "sm3"),
        sequence=size,
        at_ns=size,
        key=base64.b64decode(key.public_key),
    )
    made = signed(said, key)
    return {"text": made.text, "signature": made.signature, "public_key": key.public_key}


def paths(found: Callable[[str], list[bytes]]) -> dict[str, list[str]]:
    return {name: [node.hex() for node in found(name)] for name in ("sha256", "sm3")}


def shown_leaf(size: int, leaf: int) -> dict[str, Any]:
    found = paths(lambda name: naive_log.path(leaf, BODIES[:size], name))
    return {"leaf": leaf, "body": BODIES[leaf].decode(), **found}


def proof_of(size: int, *leaves: int, since: int = 0, key: Key = VENUE) -> dict[str, Any]:
    shown = [shown_leaf(size, leaf) for leaf in leaves]
    proof: dict[str, Any] = {
        "format": "shuji-evidence-1",
        "checkpoint": checkpoint_of(size, key),
        "leaves": shown,
    }
    if since:
        grown = paths(lambda name: naive_log.proof(since, BODIES[:size], name))
        proof["growth"] = {"from": checkpoint_of(since)} | grown
    return proof


def test_a_right_proof_holds() -> None:
    lines = check(proof_of(13, 0, 7, 12, since=5), [VENUE.public_key], None)
    assert lines == [
        "leaf 0: trade T0",
        "leaf 7: trade T7",
        "leaf 12: trade T12",
        "5 leaves of the earlier checkpoint are unchanged",
        "checkpoint: 13 leaves of shuji/0011223344556677, journal 13",
    ]


def later(event: str, number: int, **content: str) -> bytes:
    said = {"content": content, "event": event, "id": "T3", "kind": "trade", "salt": "ab" * 16}
    return canonical(said | {"at_ns": str(number * 10**9)})


def test_what_became_of_it_later_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [*BODIES, later("Reversed", 1_795_428_000, reversal="V1"), later("Settled", 2)]
    monkeypatch.setattr(sys.modules[__name__], "BODIES", said)
    lines = check(proof_of(15, 3, 13, 14), [VENUE.public_key], None)
    what = "T3 已由 V1 冲正 reversed by V1 2026-11-23T10:00:00+00:00"
    assert lines[:4] == [
        "leaf 3: trade T3",
        "leaf 13: trade T3",
        f"  其后 later: {what}",
        "leaf 14: trade T3",
    ]
    assert lines[4] == "其后有变 not as it was any more, see above: T3"


def test_the_words_for_it_are_those_of_the_venue() -> None:
    assert {
        event.__name__: kind.undoes for event, kind in LEAVES.items() if kind.undoes
    } == verify_evidence.LATER
    for event, kind in LEAVES.items():
        content = dict.fromkeys(kind.fields.split(), "x")
        leaf = verify_evidence.Leaf(1, {"id": "T3", "event": event.__name__, "content": content})
        assert bool(leaf.later()) == bool(kind.undoes)
        assert "?" not in leaf.later()


def rulebook(sha256: str) -> bytes:
    said = {"event": "RulebookAdopted", "id": "rulebook", "kind": "rulebook", "salt": "ab" * 16}
    return canonical(said | {"content": {"sha256": sha256}})


def test_a_verdict_is_by_the_newest_rulebook_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [rulebook("r0"), *BODIES[1:5], rulebook("r5"), *BODIES[6:9], rulebook("r9"), *BODIES[10:]]
    monkeypatch.setattr(sys.modules[__name__], "BODIES", said)
    proof = proof_of(13, 3, 7)
    proof["rulebooks"] = [shown_leaf(13, number) for number in (9, 5, 0)]
    lines = check(proof, [VENUE.public_key], None)
    assert lines[:4] == [
        "leaf 3: trade T3", "  规则 by the rulebook r0 of leaf 0",
        "leaf 7: trade T7", "  规则 by the rulebook r5 of leaf 5",
    ]  # fmt: skip
    others: list[Any] = [None, {}, [shown_leaf(13, 4)], [shown_leaf(13, 5) | {"leaf": 6}]]
    for wrong in others:
        with pytest.raises(Wrong):
            check(proof | {"rulebooks": wrong}, [VENUE.public_key], None)


def test_a_key_nobody_named_is_told_to_be_compared() -> None:
    assert check(proof_of(13, 4), [], None)[-1].startswith(f"signed by {VENUE.public_key}")
    with pytest.raises(Wrong, match="not a key you named"):
        check(proof_of(13, 4), [OTHER.public_key], None)


def test_a_venue_that_changed_its_key_has_grown_all_the_same() -> None:
    proof = proof_of(13, 4, since=5, key=OTHER)
    check(proof, [VENUE.public_key, OTHER.public_key], None)
    with pytest.raises(Wrong, match="not a key you named"):
        check(proof, [OTHER.public_key], None)


def test_growth_is_from_the_checkpoint_that_was_kept() -> None:
    check(proof_of(13, since=5), [], proof_of(5))
    with pytest.raises(Wrong, match="another checkpoint than the one you kept"):
        check(proof_of(13, since=5), [], proof_of(6))
    with pytest.raises(Wrong, match="growth is missing"):
        check(proof_of(13), [], proof_of(5))


def test_another_log_is_no_growth() -> None:
    proof = proof_of(13, since=5)
    proof["growth"]["from"] = checkpoint_of(5, origin="shuji/another")
    with pytest.raises(Wrong, match="another log"):
        check(proof, [], None)


def test_sm3_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_evidence, "digests", lambda: {"sha256": sha256})
    assert any("SM3 was NOT checked" in line for line in check(proof_of(13, 4), [], None))


def every_place(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each text and number of a proof stands."""
    if isinstance(value, dict):
        return [place for name, part in value.items() for place in every_place(part, (*at, name))]
    if isinstance(value, list):
        return [place for number, part in enumerate(value) for place in every_place(part, (*at, number))]
    return [at]


PLACES = every_place(proof_of(13, 3, since=5))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_whatever_is_changed_is_found(place: tuple[Any, ...]) -> None:
    """Every character of every text, one by one, and numbers by one."""
    whole = proof_of(13, 3, since=5)
    check(whole, [], None)
    holder = whole
    for step in place[:-1]:
        holder = holder[step]
    old = holder[place[-1]]
    for new in changes(old):
        holder[place[-1]] = new
        with pytest.raises(Wrong):
            check(whole, [], None)
    holder[place[-1]] = old


def changes(value: Any) -> list[Any]:
    if isinstance(value, int):
        return [value + 1, value - 1, -value - 1, str(value), None, 10**30]
    step = max(1, len(value) // 25)
    altered = [
        value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :] for at in range(0, len(value), step)
    ]
    return [*altered, value + " ", value[:-1], "", None, 5, []]


BEGUN: Any = {"format": "shuji-evidence-1"}
NONSENSE: list[Any] = [None, [], {}, 5, "", BEGUN, {**BEGUN, "checkpoint": {}}]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
def test_nonsense_does_not_hold(nonsense: Any) -> None:
    with pytest.raises(Wrong):
        check(nonsense, [], None)


@pytest.mark.parametrize("name", ["checkpoint", "leaves", "growth", "format"])
def test_parts_that_are_missing_or_other_are_told(name: str) -> None:
    others: list[Any] = [None, [], {}, "text", 7, [[]], [{}], [None]]
    for other in others:
        proof = copy.deepcopy(proof_of(13, 3, since=5))
        proof[name] = other
        if (name, other) != ("leaves", []):
            with pytest.raises(Wrong):
                check(proof, [], None)


def test_a_leaf_without_salt_is_refused() -> None:
    """Whoever has the hashes only could try out what a leaf says."""
    bare = canonical({"id": "T1", "kind": "trade", "salt": ""})
    with pytest.raises(Wrong, match="no salt"):
        verify_evidence.check_leaf({"leaf": 0, "body": bare.decode(), "sha256": [], "sm3": []}, None, {})  # type: ignore[arg-type]


def test_sm3_from_either_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str, data: bytes = b"") -> None:
        raise ValueError(f"unsupported hash type {name}")

    known = sm3(b"abc")
    monkeypatch.setattr(hashlib, "new", lacks)
    assert (
        sm3(b"abc")
        == known
        == bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")
    )


# ---- the command


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """In an empty place, isolated: nothing of this checkout can be imported."""
    script = folder / "verify_evidence.py"
    script.write_bytes((ROOT / "verify_evidence.py").read_bytes())
    return subprocess.run(
        [sys.executable, "-I", str(script), *words],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_says_what_holds(tmp_path: Path) -> None:
    kept, new = tmp_path / "kept.json", tmp_path / "new.json"
    kept.write_text(json.dumps(proof_of(5, 3)))
    new.write_text(json.dumps(proof_of(13, 3, since=5)))
    ran = run(tmp_path, str(new), "--since", str(kept), "--key", VENUE.public_key)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith("成立 holds\n")
    assert "leaf 3: trade T3" in ran.stdout
    ran = run(tmp_path, str(new), "--key", OTHER.public_key)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "不成立 does not hold: signed by" in ran.stderr


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000], ids=["empty", "cut", "bytes", "deep"]
)
def test_a_file_that_is_none_is_no_traceback(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(content)
    ran = run(tmp_path, str(file))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Traceback" not in ran.stderr
    assert run(tmp_path, str(tmp_path / "none.json")).returncode == 1
    assert run(tmp_path).returncode == 2


def test_it_needs_the_standard_library_and_cryptography_only() -> None:
    import ast

    tree = ast.parse((ROOT / "verify_evidence.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in names}
    assert roots - set(sys.stdlib_module_names) == {"cryptography"}
