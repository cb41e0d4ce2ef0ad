"""A Merkle log (RFC 6962): a list that only grows, each length of it named by one hash.

    leaf    H(0x00 || canonical JSON)         what happened, salted, so that its hash does not give it away
    node    H(0x01 || left || right)
    root    of n leaves: the node over the first k and the other n-k, k the largest power of two below n

Whoever holds a root can be shown that a leaf is under it (inclusion), and that a later root has all that was under it
unchanged (consistency), each with about log2(n) hashes. Two trees grow side by side over the same leaves: SHA-256, which
everybody can check, and SM3 (GB/T 32905-2016), which is asked of commercial cryptography in China.

A node is *complete* once its last leaf is there, and never changes then. What is stored of the leaves that come at once
is the run of nodes that they complete, level by level (`place_of`); any proof is made of such nodes.

海南省培育数据要素市场三年行动计划 14: 「推进数据交易全过程上链存证。探索构建联盟链」. This keeps the evidence, without a
chain of several keepers; its signed roots are what could be anchored on one.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

HASH_BYTES: Final = 32
"""Of SHA-256 and of SM3."""
SALT_BYTES: Final = 16

Hash = Callable[[bytes], bytes]
Node = tuple[int, int]
"""(level, number): the complete subtree over the leaves from number << level to (number + 1) << level."""
Span = tuple[int, int]
"""Leaves from the first to before the second."""


class DigestMissing(Exception):
    """This machine cannot compute SM3. The text says what to install."""


# ---- digests


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def find_sm3() -> tuple[str, Hash]:
    """Who computes SM3 here, and how: Python's OpenSSL, else that of the `cryptography` package. Raises DigestMissing."""
    try:
        begun = hashlib.new("sm3", usedforsecurity=False)
    except ValueError:
        return _sm3_of_cryptography()

    def digest(data: bytes) -> bytes:
        work = begun.copy()
        work.update(data)
        return work.digest()

    return "hashlib", digest


def _sm3_of_cryptography() -> tuple[str, Hash]:
    algorithm = hashes.SM3()

    def digest(data: bytes) -> bytes:
        work = hashes.Hash(algorithm)
        work.update(data)
        return work.finalize()

    try:
        digest(b"")
    except UnsupportedAlgorithm as error:
        raise DigestMissing(
            "neither Python's OpenSSL nor that of the package cryptography has SM3, which the evidence log needs: "
            "install cryptography from its wheel, or an OpenSSL that is built with SM3"
        ) from error
    return "cryptography", digest


LEAF_MARK: Final = b"\x00"
"""What stands before a leaf where it is hashed."""


# ---- what a leaf says


_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def canonical(leaf: dict[str, Any]) -> bytes:
    """JSON by RFC 8785, of what leaves are made of: texts, truth values, null, lists, objects with ASCII names.

    There are no numbers in it: an integer of 64 bits is more than a JSON number holds everywhere, so it is a decimal text
    (`text_of`). Where names are ASCII, order by UTF-16 unit, which the RFC asks for, is order by byte.
    """
    return _ENCODER.encode(leaf)


def text_of(value: Any) -> Any:
    """A field as a leaf has it: integers as decimal texts, bytes as hex, tuples as lists. Raises TypeError for others."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return str(value)
    if kind is bytes:
        return value.hex()
    if kind is tuple or kind is list:
        return [text_of(item) for item in value]
    if kind is dict and all(type(name) is str and name.isascii() for name in value):
        return {name: text_of(item) for name, item in value.items()}
    raise TypeError(f"a leaf cannot say {value!r}: texts, integers, bytes, lists and dictionaries only")


class Salt:
    """The salts of a log: HMAC-SHA-256 (RFC 2104) over its secret and the leaf's number, so that a replay gives them
    again. Written out because a begun hash is copied twice as fast as `hmac.digest` begins one.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes) -> None:
        padded = secret.ljust(64, b"\x00")
        assert len(padded) == 64, "a secret has at most 64 bytes"
        self._inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in padded]))
        self._outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in padded]))

    def of(self, leaf: int) -> bytes:
        """16 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(leaf.to_bytes(8, "big"))
        outer.update(inner.digest())
        return outer.digest()[:SALT_BYTES]


# ---- the tree


class Tree:
    """How a log goes on: its size, and per level the complete node that still waits for its right neighbour.

    Appending n leaves costs less than 2n + log2(size) hashes.
    """

    __slots__ = ("digest", "size", "waiting")

    def __init__(self, digest: Hash) -> None:
        self.digest = digest
        self.size = 0
        self.waiting: list[bytes] = []

    def append(self, leaves: Sequence[bytes]) -> list[list[bytes]]:
        """Take leaf hashes; the nodes that they complete, level by level from the leaves up."""
        completed: list[list[bytes]] = []
        digest, waiting, first = self.digest, self.waiting, self.size
        nodes = list(leaves)
        while nodes:
            level = len(completed)
            completed.append(nodes)
            if level == len(waiting):
                waiting.append(b"")
            row = [waiting[level], *nodes] if first >> level & 1 else nodes
            waiting[level] = row[-1] if len(row) & 1 else b""
            nodes = [digest(b"\x01" + row[at] + row[at + 1]) for at in range(0, len(row) - 1, 2)]
        self.size += len(leaves)
        return completed

    def root(self) -> bytes:
        """Of all leaves so far; of none it is the digest of nothing."""
        return fold(self.digest, [node for node in reversed(self.waiting) if node])

    def resume(self, size: int, peaks: Sequence[bytes]) -> None:
        """Go on behind `size` leaves, whose `peaks` are the nodes of `nodes_of((0, size))`."""
        self.size = size
        self.waiting = [b""] * size.bit_length()
        for (level, _), peak in zip(nodes_of((0, size)), peaks, strict=True):
            self.waiting[level] = peak

    def copy(self) -> "Tree":
        twin = Tree(self.digest)
        twin.size, twin.waiting = self.size, list(self.waiting)
        return twin


def fold(digest: Hash, peaks: Sequence[bytes]) -> bytes:
    """The root over complete subtrees that stand side by side, the largest first."""
    if not peaks:
        return digest(b"")
    root = peaks[-1]
    for left in reversed(peaks[:-1]):
        root = digest(b"\x01" + left + root)
    return root


def nodes_of(span: Span) -> list[Node]:
    """The complete nodes that a subtree of the proofs below is folded from, the largest first."""
    at, end = span
    nodes = []
    while at < end:
        level = (end - at).bit_length() - 1
        nodes.append((level, at >> level))
        at += 1 << level
    return nodes


def last_leaf(node: Node) -> int:
    """The leaf that completes the node."""
    level, number = node
    return (number + 1 << level) - 1


def place_of(node: Node, first: int, leaves: int) -> int:
    """Where a node stands among those that leaves `first` to `first + leaves` completed, counted in nodes."""
    level, number = node
    below = sum([(first + leaves >> row) - (first >> row) for row in range(level)])
    return below + number - (first >> level)


def count_of(first: int, leaves: int) -> int:
    """How many nodes these leaves complete, themselves included."""
    levels = (first + leaves).bit_length()
    return sum([(first + leaves >> level) - (first >> level) for level in range(levels)])


# ---- proofs


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion(leaf: int, size: int) -> list[Span]:
    """PATH of RFC 6962, 2.1.1: the subtrees whose roots lead from a leaf to the root of `size` leaves, lowest first."""
    assert 0 <= leaf < size, f"leaf {leaf} of {size}"
    at, end, path = 0, size, []
    while end - at > 1:
        middle = at + _split(end - at)
        if leaf < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((at, middle))
            at = middle
    return path[::-1]


def consistency(old: int, new: int) -> list[Span]:
    """PROOF of RFC 6962, 2.1.2: the subtrees that show the first `old` leaves of `new` to be unchanged, lowest first."""
    assert 0 < old <= new, f"size {old} before {new}"
    at, end, path = 0, new, []
    while old < end:
        middle = at + _split(end - at)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((at, middle))
            at = middle
    if at:
        path.append((at, end))
    return path[::-1]


# ---- checkpoints


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue signs: this log has so many leaves and these roots, as of a journal row and its instant."""

    origin: str
    """Names the log, for as long as it goes on."""
    size: int
    root_sha256: bytes
    root_sm3: bytes
    sequence: int
    at_ns: int
    key: bytes
    """The 32 raw bytes of the Ed25519 key that signs."""


def body_of(checkpoint: Checkpoint, base64: Callable[[bytes], str]) -> str:
    """The text that is signed: the three lines of a transparency log's checkpoint, then lines of our own."""
    return (
        f"{checkpoint.origin}\n{checkpoint.size}\n{base64(checkpoint.root_sha256)}\n"
        f"sm3 {base64(checkpoint.root_sm3)}\nsequence {checkpoint.sequence}\nat {checkpoint.at_ns}\n"
        f"key {base64(checkpoint.key)}\n"
    )
