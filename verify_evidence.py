#!/usr/bin/env python3
"""Checks what a Shuji venue proves, with nothing of the venue's: this one file, Python 3.11 and `cryptography`.

    python verify_evidence.py PROOF.json [--key PUBLIC_KEY] [--since EARLIER.json]

PROOF.json is what `shuji prove ID --out PROOF.json` wrote; docs/EVIDENCE.md says what is in it. Checked are

    leaf        its text is canonical JSON (RFC 8785), salted
    inclusion   leaf -> root by the hashes beside it (RFC 6962, RFC 9162 2.1.3.2), in SHA-256 and in SM3
    checkpoint  the roots stand in the text that the venue's key signed (Ed25519, RFC 8032)
    later       what has become of it, where the proof shows that: reversed, refunded, revoked; and by which rulebook a
                verdict was given, the newest before it
    inspection  (GET /v1/trades/T1/inspection) it hashes to what the venue's key signed; facts, contract, parties, price
                and what was paid are those that the log has of the trade
    growth      with --since or `shuji prove --since`: the tree has all that was in an earlier checkpoint, unchanged
                (RFC 9162 2.1.4.2)

The key must come from elsewhere than the proof: from the venue's page, a paper, a proof you kept. Name it with --key (once
for each where the venue has changed its key); without it, the key that signed is printed for you to compare.

A proof says what was in the log at its checkpoint, and shows what whoever made it has put in: ask the venue itself, today,
for all that is under an id.

Status 0: all of it holds. 1: something does not, and it is said what. 2: used wrongly.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "shuji-evidence-1"
INSPECTION = "shuji-inspection-1"
JUDGED = ("Settled", "Held", "TradeRefused")
"""Events of leaves that say on which facts a trade was judged."""
HASH_BYTES = 32
LATER = {
    "AttestationRevoked": "已撤销 revoked by {by}",
    "Reversed": "已由 {reversal} 冲正 reversed by {reversal}",
    "Refunded": "已全额退款 refunded in full ({step})",
    "PriceLowered": "已减价 {amount_fen} 分 price lowered by {amount_fen} fen",
    "RefundPaid": "付款后退款 refunded after payout, fen: deposit {deposit_fen}, cash {cash_fen}, debt {debt_fen}",
    "EntitlementEnded": "许可 {entitlement} 已撤销 entitlement {entitlement} revoked",
    "FactRecorded": "登记状态变更 {entry}",
    "BidEnded": "保证金已归 {paid_to} deposit of {deposit_fen} fen forfeited to {paid_to}",
    "BillLowered": "已减收 {amount_fen} 分 lowered by {amount_fen} fen",
    "BillRefunded": "付款后退款 refunded after payment, fen: deposit {deposit_fen}, cash {cash_fen}, debt {debt_fen}",
}
"""Event of a leaf: what has become of what has its id, with what the leaf says."""
VERDICTS = ("trade", "verdict")
"""Kinds of leaves behind which there is a rulebook."""
Hash = Callable[[bytes], bytes]


class Wrong(Exception):
    """Something does not hold; the text says what."""


# ---- digests


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def sm3(data: bytes) -> bytes:
    """GB/T 32905-2016, from OpenSSL: that of Python, or that of `cryptography`."""
    try:
        return hashlib.new("sm3", data).digest()
    except ValueError:
        work = hashes.Hash(hashes.SM3())
        work.update(data)
        return work.finalize()


def digests() -> dict[str, Hash]:
    """Those that this machine can compute; SHA-256 always."""
    try:
        sm3(b"")
    except UnsupportedAlgorithm:
        return {"sha256": sha256}
    return {"sha256": sha256, "sm3": sm3}


# ---- canonical JSON


def canonical(value: Any) -> str:
    """RFC 8785. Texts, truth values, null, lists and objects; numbers only where they are integers within 2**53."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join([f"{canonical(name)}:{canonical(value[name])}" for name in names]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([canonical(item) for item in value]) + "]"
    if isinstance(value, str):
        value.encode()  # a half of a surrogate pair alone is no text
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and abs(value) < 1 << 53:
        return str(value)
    raise ValueError(
        f"{value!r} has no canonical form here: larger integers and fractions are written as texts"
    )


# ---- trees


def root_of(digest: Hash, body: bytes, leaf: int, size: int, path: list[bytes]) -> bytes:
    """The root that a leaf and its path lead to (RFC 9162, 2.1.3.2)."""
    if not 0 <= leaf < size:
        raise Wrong(f"leaf {leaf} cannot be among {size}")
    number, last, root = leaf, size - 1, digest(b"\x00" + body)
    for node in path:
        if last == 0:
            raise Wrong("the path is longer than the tree is high")
        if number & 1 or number == last:
            root = digest(b"\x01" + node + root)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            root = digest(b"\x01" + root + node)
        number, last = number >> 1, last >> 1
    if last:
        raise Wrong("the path is shorter than the tree is high")
    return root


def roots_of(digest: Hash, old: int, new: int, old_root: bytes, path: list[bytes]) -> tuple[bytes, bytes]:
    """The two roots that a consistency path leads to (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        raise Wrong(f"a log of {new} leaves cannot have grown from {old}")
    if old == new:
        if path:
            raise Wrong("there is a path between one and the same size")
        return old_root, old_root
    nodes = [old_root, *path] if old & (old - 1) == 0 else path
    if not nodes:
        raise Wrong("the path is empty")
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    before = after = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise Wrong("the path is longer than the tree is high")
        if number & 1 or number == last:
            before, after = digest(b"\x01" + node + before), digest(b"\x01" + node + after)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            after = digest(b"\x01" + after + node)
        number, last = number >> 1, last >> 1
    if last:
        raise Wrong("the path is shorter than the tree is high")
    return before, after


# ---- checkpoints


class Checkpoint:
    """A signed text, taken apart. Raises Wrong where the signature is not that of the key the text names."""

    def __init__(self, said: Any) -> None:
        self.text = str(member(said, "text", str))
        lines = self.text.split("\n")
        if len(lines) < 4 or lines[-1] or not lines[1].isascii() or not lines[1].isdigit():
            raise Wrong("the checkpoint's text is not the lines of a checkpoint")
        self.origin, self.size = lines[0], int(lines[1])
        extra = dict([line.partition(" ")[::2] for line in lines[3:-1]])
        self.key, self.sequence, self.at_ns = (
            extra.get("key", ""),
            extra.get("sequence", ""),
            extra.get("at", ""),
        )
        self.roots = {"sha256": raw(lines[2]), "sm3": raw(extra.get("sm3", ""))}
        for name, root in self.roots.items():
            if said.get(f"root_{name}", root.hex()) != root.hex():
                raise Wrong(f"root_{name} is not the root of the signed text")
        if said.get("public_key", self.key) != self.key:
            raise Wrong("public_key is not the key of the signed text")
        self._verify(raw(member(said, "signature", str), 64))

    def _verify(self, signature: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(raw(self.key)).verify(signature, self.text.encode())
        except (InvalidSignature, ValueError):
            raise Wrong(f"the signature is not that of {self.key} over the checkpoint's text") from None


def raw(text: Any, size: int = HASH_BYTES) -> bytes:
    """Base64 of so many bytes."""
    try:
        found = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        found = b""
    if len(found) != size or base64.b64encode(found).decode() != text:
        raise Wrong(f"{str(text)[:60]!r} is not base64 of {size} bytes")
    return found


def hex_path(said: Any, name: str) -> list[bytes]:
    path = member(said, name, list)
    if any(not isinstance(node, str) or len(node) != 2 * HASH_BYTES or not is_hex(node) for node in path):
        raise Wrong(f"{name} is not a list of hashes in lower-case hex")
    return [bytes.fromhex(node) for node in path]


def is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in text)


def member(said: Any, name: str, kind: type) -> Any:
    if not isinstance(said, dict) or type(said.get(name)) is not kind:
        raise Wrong(f"{name} is missing, or is not what it should be")
    return said[name]


# ---- a proof


class Leaf:
    """A leaf that is under the root, taken apart. Whatever it says, it says in texts."""

    def __init__(self, number: int, whole: Any) -> None:
        self.number = number
        self.kind, self.id, self.event = [str(whole.get(name)) for name in ("kind", "id", "event")]
        content = whole.get("content")
        self.content: dict[str, Any] = content if isinstance(content, dict) else {}
        at_ns = str(whole.get("at_ns"))
        known = at_ns.isascii() and at_ns.isdigit() and len(at_ns) < 20
        self.at = datetime.fromtimestamp(int(at_ns) // 10**9, UTC).isoformat() if known else ""

    def later(self) -> str:
        """What has become of what has this id; empty where the leaf takes nothing back."""
        words = LATER.get(self.event, "")
        return f"{self.id} {words.format_map(Fields(self.content))} {self.at}" if words else ""


class Fields(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "?"


def lines_of(leaves: list[Leaf], rulebooks: list[Leaf]) -> list[str]:
    lines = []
    for leaf in leaves:
        lines.append(f"leaf {leaf.number}: {leaf.kind} {leaf.id}")
        if leaf.later():
            lines.append(f"  其后 later: {leaf.later()}")
        before = [rulebook for rulebook in rulebooks if rulebook.number < leaf.number]
        if leaf.kind in VERDICTS and before:
            newest = max(before, key=lambda rulebook: rulebook.number)
            lines.append(f"  规则 by the rulebook {newest.content.get('sha256')} of leaf {newest.number}")
    return lines


def check_leaf(said: Any, under: Checkpoint, known: dict[str, Hash]) -> Leaf:
    """Raises Wrong."""
    body, number = member(said, "body", str), member(said, "leaf", int)
    try:
        content = json.loads(body)
        same = canonical(content) == body
    except ValueError as error:
        raise Wrong(f"leaf {number} cannot be read: {error}") from None
    if not same:
        raise Wrong(f"leaf {number} is not canonical JSON")
    if len(str(member(content, "salt", str))) < 32:
        raise Wrong(f"leaf {number} has no salt")
    for name, digest in known.items():
        if root_of(digest, body.encode(), number, under.size, hex_path(said, name)) != under.roots[name]:
            raise Wrong(f"leaf {number} is not under the {name} root of the checkpoint")
    return Leaf(number, content)


def check_rulebooks(said: Any, under: Checkpoint, known: dict[str, Hash]) -> list[Leaf]:
    """Leaves of the rulebooks that were in force. Raises Wrong."""
    shown = member(said, "rulebooks", list) if "rulebooks" in said else []
    found = [check_leaf(leaf, under, known) for leaf in shown]
    if any(leaf.kind != "rulebook" for leaf in found):
        raise Wrong("a leaf among the rulebooks is none")
    return found


def check_growth(said: Any, new: Checkpoint, known: dict[str, Hash]) -> Checkpoint:
    """The earlier checkpoint, all of which the new one has. Raises Wrong."""
    old = Checkpoint(member(said, "from", dict))
    if old.origin != new.origin:
        raise Wrong(f"the earlier checkpoint is of another log, {old.origin}")
    for name, digest in known.items():
        path = hex_path(said, name)
        if roots_of(digest, old.size, new.size, old.roots[name], path) != (old.roots[name], new.roots[name]):
            raise Wrong(
                f"the {name} tree of the checkpoint is not the earlier one, grown: history was changed"
            )
    return old


def check_keys(found: list[Checkpoint], trusted: list[str]) -> list[str]:
    """What to say of the keys that signed. Raises Wrong where one is not among the trusted."""
    keys = list(dict.fromkeys([one.key for one in found]))
    for key in keys:
        if trusted and key not in trusted:
            raise Wrong(f"signed by {key}, which is not a key you named")
    return [] if trusted else [f"signed by {key}: compare it with the venue's key (--key)" for key in keys]


def check(proof: Any, trusted: list[str], since: Any) -> list[str]:
    """Lines that say what holds. Raises Wrong at the first thing that does not."""
    if not isinstance(proof, dict) or proof.get("format") != FORMAT:
        raise Wrong(f"this is no proof of the format {FORMAT}")
    known = digests()
    newest = Checkpoint(member(proof, "checkpoint", dict))
    checkpoints = [newest]
    leaves = [check_leaf(leaf, newest, known) for leaf in member(proof, "leaves", list)]
    lines = lines_of(leaves, check_rulebooks(proof, newest, known))
    if since is not None or "growth" in proof:
        old = check_growth(member(proof, "growth", dict), newest, known)
        kept = None if since is None else Checkpoint(member(since, "checkpoint", dict))
        if kept is not None and kept.text != old.text:
            raise Wrong(
                "the proof has grown from another checkpoint than the one you kept: ask with --since for it"
            )
        checkpoints.append(old)
        lines.append(f"{old.size} leaves of the earlier checkpoint are unchanged")
    changed = list(dict.fromkeys([leaf.id for leaf in leaves if leaf.later()]))
    if changed:
        lines.append(f"其后有变 not as it was any more, see above: {', '.join(changed)}")
    lines.append(f"checkpoint: {newest.size} leaves of {newest.origin}, journal {newest.sequence}")
    if "sm3" not in known:
        lines.append("SM3 was NOT checked: neither Python's OpenSSL nor that of cryptography has it here")
    return lines + check_keys(checkpoints, trusted)


# ---- an inspection package


def check_inspection(said: Any, trusted: list[str]) -> list[str]:
    """Lines that say what holds of a trade's package. Raises Wrong."""
    package, key = member(said, "package", dict), member(said, "public_key", str)
    sha256_hex = sha256(canonical(package).encode()).hex()
    if member(said, "sha256", str) != sha256_hex:
        raise Wrong("the package is not the one that its sha256 is of: it was changed")
    check_signature(key, member(said, "signature", str), f"shuji-inspection:{sha256_hex}")
    proofs = member(package, "proofs", dict)
    lines = check(proofs, trusted, None)
    if Checkpoint(member(proofs, "checkpoint", dict)).key != key:
        raise Wrong("the package and the checkpoint in it are signed by different keys")
    return [*lines, *check_trade(package, [json.loads(leaf["body"]) for leaf in proofs["leaves"]])]


def check_signature(key: str, signature: str, text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(raw(key)).verify(raw(signature, 64), text.encode())
    except (InvalidSignature, ValueError):
        raise Wrong(f"the signature is not that of {key} over the package") from None


def check_trade(package: Any, leaves: list[Any]) -> list[str]:
    """What the package says of the trade against what the log has of it. Raises Wrong."""
    trade, facts = member(package, "trade", dict), member(package, "facts", dict)
    judged = [leaf for leaf in leaves if leaf["id"] == trade.get("trade") and leaf["event"] in JUDGED]
    if not judged:
        raise Wrong("the proofs have no verdict on the trade")
    log, read = judged[-1]["content"], facts_hash(facts)
    for name in ("buyer", "seller", "quantity", "price_fen"):
        same(name, str(trade.get(name)), str(log.get(name)))
    same("the facts' hash", member(facts, "facts_sha256", str), read)
    same("the facts behind the verdict", read, str(log.get("facts_sha256")))
    lines = [f"facts: those of the verdict, {read}"]
    if judged[-1]["event"] == "Settled":
        same("what the buyer paid", str(paid(package, trade["buyer"])), str(log.get("amount_fen")))
        lines.append(f"postings: the buyer paid {log.get('amount_fen')} fen")
        lines.append(check_contract(member(package, "contract", dict), log, leaves))
    return lines


def facts_hash(facts: Any) -> str:
    """How the hash in the log is made of what was read."""
    registers = [sha256(text.encode()) for text in member(facts, "registers", list)]
    declared, brought = member(facts, "declared", str), member(facts, "brought", str)
    if declared and not brought.startswith(";" + sha256(declared.encode()).hex()):
        raise Wrong("what the buyer declared is not what was read of it")
    fill = f"{member(facts, 'price_fen', int)};{member(facts, 'at_ns', str)}{brought}"
    found = sha256(b"".join(registers) + fill.encode())
    cures = [(str(rule), str(cure)) for rule, cure in member(facts, "cures", list)]
    return (sha256(found + repr(cures).encode()) if cures else found).hex()


def paid(package: Any, buyer: str) -> int:
    """Fen that left the buyer's account when the trade settled: in the first journal row that moved any."""
    rows = [
        row for row in member(package, "postings", list) if row["source"] == buyer and row["asset"] == "CNY"
    ]
    first = min([int(row["place"].split(".")[0]) for row in rows], default=0)
    return sum([int(row["amount"]) for row in rows if int(row["place"].split(".")[0]) == first])


def check_contract(contract: Any, log: Any, leaves: list[Any]) -> str:
    form, identifier = member(contract, "form", str), member(contract, "contract", str)
    same("the contract", identifier, str(log.get("contract")))
    same(
        "the hash of the contract's particulars", member(contract, "sha256", str), sha256(form.encode()).hex()
    )
    offered = [leaf["content"] for leaf in leaves if leaf["id"] == identifier]
    same(
        "the contract's hash",
        member(contract, "contract_sha256", str),
        str(offered and offered[0].get("sha256")),
    )
    return f"contract: {identifier}, {contract['contract_sha256']}"


def same(what: str, said: str, known: str) -> None:
    if said != known:
        raise Wrong(f"{what}: the package says {said}, the log {known}")


def read(path: str) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise Wrong(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Wrong(f"{path} is not JSON") from None


def main() -> NoReturn:
    parser = argparse.ArgumentParser(description="check a proof of a Shuji venue 核验数集的存证")
    parser.add_argument("proof", metavar="PROOF.json")
    parser.add_argument(
        "--key", metavar="PUBLIC_KEY", action="append", default=[], help="base64; may be repeated"
    )
    parser.add_argument(
        "--since", metavar="EARLIER.json", help="a proof you kept: the log must have grown from it"
    )
    asked = parser.parse_args()
    try:
        since = None if asked.since is None else read(asked.since)
        said = read(asked.proof)
        if isinstance(said, dict) and said.get("format") == INSPECTION:
            lines = check_inspection(said, asked.key)
        else:
            lines = check(said, asked.key, since)
        print(*lines, sep="\n")
    except (Wrong, RecursionError) as error:
        print(f"不成立 does not hold: {error}", file=sys.stderr)
        sys.exit(1)
    print("成立 holds")
    sys.exit(0)


if __name__ == "__main__":
    main()
