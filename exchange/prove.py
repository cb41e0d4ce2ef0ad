"""`shuji prove`: what the venue proves, in one file that `verify_evidence.py` checks without the venue."""

import json
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from exchange.settings import venue_url
from exchange.terminal import (
    Arguments,
    UsageError,
    command,
    key_path,
    print_json,
    purpose_of,
    say,
    takes_venue_url,
)

FORMAT: Final = "shuji-evidence-1"
SIGNED: Final = ("text", "signature", "public_key", "root_sha256", "root_sm3", "note")
"""What of a checkpoint is in the file."""
VERDICTS: Final = ("trade", "verdict")
"""Kinds of leaves that come with the leaf of the rulebook by which they were decided."""
PATHS: Final = ("sha256", "sm3")


def add(commands: Any) -> None:
    said = "write a proof that outsiders can check 导出可供第三方核验的存证证明"
    parser = command(commands, "prove", run_prove, said)
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?",
        default="",
        help="of a trade, contract, certificate or verdict; none: the checkpoint alone",
    )
    parser.add_argument("--out", metavar="FILE", required=True, help="the proof is written here")
    parser.add_argument(
        "--since", metavar="FILE", help="a proof kept from earlier: show that the log has only grown since"
    )
    takes_venue_url(parser, key_required=False)


def run_prove(arguments: Arguments) -> int:
    from exchange.client import Client

    if arguments.id and key_path(arguments) is None:
        raise UsageError("a leaf is shown to those it is about: give the key file with --key")
    kept = None if arguments.since is None else _kept(Path(arguments.since))
    with Client(venue_url(os.environ, arguments.url), key_path(arguments), purpose_of(arguments)) as client:
        found = _leaves(client, arguments.id) if arguments.id else []
        proof = _proof(client, found, kept)
    Path(arguments.out).write_text(json.dumps(proof, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if arguments.json:
        print_json({"file": arguments.out, "leaves": len(found), "undone": _undone(found)})
    else:
        print(arguments.out)
        for words in _undone(found):
            say(f"其后 later: {words}")
        say(f"{len(found)} leaves; anybody checks it with: python verify_evidence.py {arguments.out}")
    return 0


def _undone(found: list[dict[str, Any]]) -> list[str]:
    """What has become of what is proved: the proof shows that as well."""
    return [f"{leaf['id']} {leaf['undoes']} {leaf['at']}" for leaf in found if leaf["undoes"]]


def _kept(path: Path) -> dict[str, Any]:
    """The checkpoint in an earlier proof."""
    try:
        proof = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        checkpoint: dict[str, Any] = proof["checkpoint"]
        int(checkpoint["text"].split("\n")[1])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(f"{path} is no proof of `shuji prove`") from error
    return checkpoint


def _proof(client: Any, found: list[dict[str, Any]], kept: dict[str, Any] | None) -> dict[str, Any]:
    """Leaves were asked for before: the checkpoint that is asked for now has them."""
    rulebooks = _rulebooks(client, [leaf["leaf"] for leaf in found if leaf["kind"] in VERDICTS])
    checkpoint = _get(client, "/v1/evidence/checkpoint")
    under = [[_under(client, leaf, checkpoint["size"]) for leaf in some] for some in (found, rulebooks)]
    signed = {name: checkpoint[name] for name in SIGNED}
    proof = {"format": FORMAT, "checkpoint": signed, "leaves": under[0], "rulebooks": under[1]}
    if kept is not None:
        proof["growth"] = _growth(client, kept, checkpoint["size"])
    return proof


def _rulebooks(client: Any, decided: list[int]) -> list[dict[str, Any]]:
    """The leaves of the rulebooks in force: of each decision the newest rulebook before it."""
    shown = _leaves(client, "rulebook") if decided else []
    behind = [max([one["leaf"] for one in shown if one["leaf"] < leaf], default=-1) for leaf in decided]
    return [one for one in shown if one["leaf"] in behind]


def _leaves(client: Any, identifier: str) -> list[dict[str, Any]]:
    path = f"/v1/evidence/leaves/{quote(identifier, safe='')}"
    page = _get(client, path)
    found = list(page["items"])
    while page["next"]:
        page = _get(client, f"{path}?cursor={quote(page['next'])}")
        found += page["items"]
    return found


def _under(client: Any, leaf: dict[str, Any], size: int) -> dict[str, Any]:
    shown = _get(client, f"/v1/evidence/inclusion?leaf={leaf['leaf']}&size={size}")
    return {"leaf": leaf["leaf"], "body": leaf["body"], **{name: shown[name] for name in PATHS}}


def _growth(client: Any, kept: dict[str, Any], size: int) -> dict[str, Any]:
    old = int(kept["text"].split("\n")[1])
    shown = _get(client, f"/v1/evidence/consistency?from={old}&to={size}")
    return {"from": kept, **{name: shown[name] for name in PATHS}}


def _get(client: Any, path: str) -> dict[str, Any]:
    return msgspec.json.decode(client.call("GET", path).content, type=dict[str, Any])
