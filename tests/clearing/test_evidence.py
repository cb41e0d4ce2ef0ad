"""The log of evidence against RFC 6962 read aloud (`tests/clearing/naive_log.py`), at every size, in both digests."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from clearing import evidence
from clearing.evidence import (
    LEAF_MARK,
    Checkpoint,
    DigestMissing,
    Hash,
    Salt,
    Tree,
    body_of,
    canonical,
    consistency,
    count_of,
    find_sm3,
    fold,
    inclusion,
    last_leaf,
    nodes_of,
    place_of,
    sha256,
    text_of,
)
from tests.clearing import naive_log

SIZE = 200
ENTRIES = [f"entry {number}".encode() for number in range(SIZE)]
SM3 = find_sm3()[1]
DIGESTS = {"sha256": sha256, "sm3": SM3}


def leaf_hash(digest: Hash, body: bytes) -> bytes:
    return digest(LEAF_MARK + body)


class Stored:
    """A log whose rows lie as the database keeps them; nothing but complete nodes to read from."""

    def __init__(self, name: str, batches: list[int]) -> None:
        self.digest = DIGESTS[name]
        self.tree = Tree(self.digest)
        self.rows: list[tuple[int, int, bytes]] = []
        self.roots: dict[int, bytes] = {}
        for size in batches:
            self.add(ENTRIES[self.tree.size : self.tree.size + size])

    def add(self, entries: list[bytes]) -> None:
        first = self.tree.size
        completed = self.tree.append([leaf_hash(self.digest, entry) for entry in entries])
        self.rows.append((first, len(entries), b"".join([node for level in completed for node in level])))
        self.roots[self.tree.size] = self.tree.root()

    def node(self, node: evidence.Node) -> bytes:
        [(first, size, nodes)] = [row for row in self.rows if row[0] <= last_leaf(node) < row[0] + row[1]]
        assert len(nodes) == 32 * count_of(first, size)
        place = 32 * place_of(node, first, size)
        return nodes[place : place + 32]

    def hashes(self, spans: list[evidence.Span]) -> list[bytes]:
        return [fold(self.digest, [self.node(node) for node in nodes_of(span)]) for span in spans]


@pytest.fixture(scope="module")
def naive() -> dict[str, list[bytes]]:
    """The root of every size, by the definition."""
    return {name: [naive_log.root(ENTRIES[:size], name) for size in range(SIZE + 1)] for name in DIGESTS}


# ---- roots


@pytest.mark.parametrize("name", DIGESTS)
def test_the_root_of_every_size(name: str, naive: dict[str, list[bytes]]) -> None:
    tree = Tree(DIGESTS[name])
    for size in range(SIZE + 1):
        assert tree.root() == naive[name][size]
        tree.append([leaf_hash(DIGESTS[name], ENTRIES[size])] if size < SIZE else [])


def test_the_root_of_nothing_is_the_digest_of_nothing() -> None:
    assert Tree(sha256).root() == hashlib.sha256(b"").digest()


@given(st.lists(st.integers(0, 40), max_size=12))
def test_leaves_that_come_at_once_are_leaves_that_come_one_by_one(batches: list[int]) -> None:
    stored = Stored("sha256", batches)
    size = stored.tree.size
    assert stored.tree.root() == naive_log.root(ENTRIES[:size])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 30))
def test_a_log_goes_on_from_its_stored_nodes(batches: list[int], more: int) -> None:
    stored = Stored("sm3", [min(size, 34) for size in batches])
    size = stored.tree.size
    resumed = Tree(SM3)
    resumed.resume(size, [stored.node(node) for node in nodes_of((0, size))])
    assert resumed.root() == stored.tree.root()
    added = [leaf_hash(SM3, b"more")] * more
    assert resumed.append(added) == stored.tree.append(added)
    assert resumed.root() == stored.tree.root()


def test_a_copy_goes_its_own_way() -> None:
    tree = Tree(sha256)
    tree.append([leaf_hash(sha256, ENTRIES[0])])
    root = tree.root()
    tree.copy().append([leaf_hash(sha256, ENTRIES[1])])
    assert (tree.size, tree.root()) == (1, root)


# ---- proofs, at all sizes, out of rows of several shapes


@pytest.mark.parametrize(
    "batches", [[1] * SIZE, [SIZE], [7] * 28 + [4], [64, 1, 63, 72]], ids=lambda sizes: str(len(sizes))
)
def test_inclusion_of_every_leaf_at_every_size(batches: list[int]) -> None:
    stored = Stored("sha256", batches)
    for size in range(1, SIZE + 1, 1 if len(batches) == 4 else 9):
        for leaf in range(size):
            assert stored.hashes(inclusion(leaf, size)) == path(leaf, size), (leaf, size)


@pytest.mark.parametrize("name", DIGESTS)
def test_consistency_of_every_two_sizes(name: str) -> None:
    stored = Stored(name, [7] * 28 + [4])
    for new in range(1, SIZE + 1, 1 if name == "sha256" else 13):
        for old in range(1, new + 1):
            assert stored.hashes(consistency(old, new)) == proof(old, new, name), (old, new)


ROOTS: dict[tuple[int, int, str], bytes] = {}


def span_root(at: int, end: int, name: str = "sha256") -> bytes:
    """By the definition, remembered: every proof of the definition is a list of such roots."""
    found = ROOTS.get((at, end, name))
    if found is None:
        found = ROOTS[at, end, name] = naive_log.root(ENTRIES[at:end], name)
    return found


def path(leaf: int, size: int) -> list[bytes]:
    """PATH, on spans instead of lists so that all sizes are done in seconds; compared with the lists below."""
    found: list[bytes] = []
    at, end = 0, size
    while end - at > 1:
        k = at + naive_log.split(end - at)
        if leaf < k:
            found.insert(0, span_root(k, end))
            end = k
        else:
            found.insert(0, span_root(at, k))
            at = k
    return found


def proof(old: int, new: int, name: str) -> list[bytes]:
    def sub(m: int, at: int, end: int, whole: bool) -> list[bytes]:
        if m == end - at:
            return [] if whole else [span_root(at, end, name)]
        k = naive_log.split(end - at)
        if m <= k:
            return [*sub(m, at, at + k, whole), span_root(at + k, end, name)]
        return [*sub(m - k, at + k, end, False), span_root(at, at + k, name)]

    return sub(old, 0, new, True)


@given(st.integers(1, SIZE), st.data())
def test_proofs_are_those_of_the_definition_over_lists(size: int, data: st.DataObject) -> None:
    leaf, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    stored = Stored("sha256", [50, 50, 50, 50])
    assert stored.hashes(inclusion(leaf, size)) == naive_log.path(leaf, ENTRIES[:size])
    assert stored.hashes(consistency(old, size)) == naive_log.proof(old, ENTRIES[:size])


def test_the_seven_leaves_of_the_rfc() -> None:
    """RFC 6962, 2.1.3: the same shapes, named by the spans of leaves d0 to d6."""
    d, g, h, i, j, k, l = (3, 4), (0, 2), (2, 4), (4, 6), (6, 7), (0, 4), (4, 7)  # noqa: E741
    assert inclusion(0, 7) == [(1, 2), h, l]
    assert inclusion(3, 7) == [(2, 3), g, l]
    assert inclusion(4, 7) == [(5, 6), j, k]
    assert inclusion(6, 7) == [i, k]
    assert consistency(3, 7) == [(2, 3), d, g, l]
    assert consistency(4, 7) == [l]
    assert consistency(6, 7) == [i, j, k]


# ---- digests, salts, canonical JSON


def test_sm3_is_that_of_its_standard() -> None:
    """GB/T 32905-2016, annex A, both examples; by either library."""
    expected = {
        b"abc": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
        b"abcd" * 16: "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
    }
    for digest in (SM3, evidence._sm3_of_cryptography()[1]):
        assert {data: digest(data).hex() for data in expected} == expected


def test_sm3_of_cryptography_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str, **_: Any) -> None:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", lacks)
    name, digest = find_sm3()
    assert name == "cryptography"
    assert digest(b"abc").hex().startswith("66c7f0f4")


def test_a_machine_without_sm3_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*_: Any, **__: Any) -> None:
        raise UnsupportedAlgorithm("no SM3")

    monkeypatch.setattr(hashlib, "new", lambda *_, **__: (_ for _ in ()).throw(ValueError()))
    monkeypatch.setattr(hashes, "Hash", lacks)
    with pytest.raises(DigestMissing, match="install cryptography"):
        find_sm3()


@given(st.binary(min_size=1, max_size=64), st.integers(0, 2**63 - 1))
def test_a_salt_is_an_hmac_over_the_leafs_number(secret: bytes, leaf: int) -> None:
    assert Salt(secret).of(leaf) == hmac.digest(secret, leaf.to_bytes(8, "big"), "sha256")[:16]


def test_fields_as_a_leaf_has_them() -> None:
    assert text_of((1, -(2**63), True, None, b"\xab", "数", (("P1", 3),), {"a": 1})) == [
        "1", "-9223372036854775808", True, None, "ab", "数", [["P1", "3"]], {"a": "1"},
    ]  # fmt: skip


@pytest.mark.parametrize("value", [1.5, {"数": 1}, {1: 2}, object()])
def test_what_no_leaf_can_say_is_a_fault_of_ours(value: Any) -> None:
    with pytest.raises(TypeError, match="a leaf cannot say"):
        text_of(value)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    TEXTS | st.booleans() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
LEAVES = st.dictionaries(st.text(st.characters(max_codepoint=127), min_size=1), VALUES, max_size=6)


@given(LEAVES)
def test_canonical_json_against_pythons_own(leaf: dict[str, Any]) -> None:
    """Sorted names, no blanks, and of characters only those escaped that JSON demands: RFC 8785, 3.2."""
    expected = json.dumps(leaf, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert canonical(leaf) == expected.encode()


def test_canonical_json_by_example() -> None:
    """RFC 8785, 3.2.2.2: short escapes where there are some, else \\u and lower-case digits; nothing else is escaped."""
    said = {"z": '\x00\x08\t\n\x0b\x0c\r\x1f"\\/\x7f', "a": ["€", "😀", "\u2028"], "Z": {"b": "2", "a": "1"}}
    assert canonical(said).decode() == (
        '{"Z":{"a":"1","b":"2"},"a":["€","😀","\u2028"],'
        '"z":"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\"\\\\/\x7f"}'
    )


def test_what_is_signed_has_the_three_lines_of_a_checkpoint_first() -> None:
    checkpoint = Checkpoint(
        origin="shuji/1", size=3, root_sha256=b"a", root_sm3=b"b", sequence=7, at_ns=9, key=b"k"
    )
    lines = body_of(checkpoint, lambda raw: raw.decode()).split("\n")
    assert lines == ["shuji/1", "3", "a", "sm3 b", "sequence 7", "at 9", "key k", ""]
