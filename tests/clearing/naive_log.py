"""RFC 6962, section 2.1, read aloud: the recursive definitions over whole lists, and nothing shared with the log."""

import hashlib


def root(entries: list[bytes], name: str = "sha256") -> bytes:
    """MTH(D[n])."""
    if not entries:
        return _hash(name, b"")
    if len(entries) == 1:
        return _hash(name, b"\x00" + entries[0])
    k = split(len(entries))
    return _hash(name, b"\x01" + root(entries[:k], name) + root(entries[k:], name))


def path(m: int, entries: list[bytes], name: str = "sha256") -> list[bytes]:
    """PATH(m, D[n])."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k], name), root(entries[k:], name)]
    return [*path(m - k, entries[k:], name), root(entries[:k], name)]


def proof(m: int, entries: list[bytes], name: str = "sha256") -> list[bytes]:
    """PROOF(m, D[n])."""
    return _subproof(m, entries, True, name)


def _subproof(m: int, entries: list[bytes], whole: bool, name: str) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(entries):
        return [] if whole else [root(entries, name)]
    k = split(len(entries))
    if m <= k:
        return [*_subproof(m, entries[:k], whole, name), root(entries[k:], name)]
    return [*_subproof(m - k, entries[k:], False, name), root(entries[:k], name)]


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def _hash(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data).digest()
