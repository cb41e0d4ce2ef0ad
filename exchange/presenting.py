"""`shuji credential`: verify what somebody shows, without any venue; and have the venue sign by another key."""

import os
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from exchange.settings import Settings, venue_url
from exchange.terminal import Arguments, UsageError, command, print_json

WORDS: Final = {
    "malformed": "不是有效的凭证格式",
    "wrong issuer": "签发者不符",
    "DID document stale": "DID 文档已过时",
    "key ended": "签名密钥已停用",
    "tampered": "内容与签名不符",
    "not yet valid": "尚未生效",
    "expired": "已过期",
    "revoked": "已撤销",
    "suspended": "已暂停",
    "status list missing": "缺少状态列表",
    "status list stale": "状态列表已过时",
    "status list not verified": "状态列表未通过验证",
}
"""Reason against a credential, in Chinese."""


def add(commands: Any) -> None:
    said = "verifiable credentials: `credential verify FILE` needs no venue 核验可验证凭证"
    credential = commands.add_parser("credential", help=said, description=said)
    inner = credential.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_verify(inner)
    _add_rotate(inner)


def _add_verify(inner: Any) -> None:
    told = "status 0 and `valid`, else 1 and each reason; what cannot be known counts against it"
    parser = command(inner, "verify", run_verify, told)
    parser.add_argument("file", metavar="FILE", help="a credential: JSON with its proof, or a compact vc+jwt")
    parser.add_argument(
        "--did",
        metavar="FILE",
        action="append",
        default=[],
        help="DID document of an issuer that you trust (its /.well-known/did.json); may be repeated",
    )
    parser.add_argument(
        "--status",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        help="status lists, as /v1/credential-status/... answered",
    )
    parser.add_argument("--at", metavar="ISO", help="the instant to verify for; default: now")


def run_verify(arguments: Arguments) -> int:
    from credit import vc

    content = Path(arguments.file).read_bytes()
    lists = [Path(name).read_bytes() for name in arguments.status]
    try:
        dids = [vc.read_json(Path(name).read_bytes()) for name in arguments.did]
        at_ns = time.time_ns() if arguments.at is None else vc.instant(arguments.at)
    except vc.Malformed as error:
        raise UsageError(f"--did or --at: {error}") from error
    faults = vc.verify(content, dids, lists, at_ns)
    if arguments.json:
        print_json({"valid": not faults, "faults": msgspec.to_builtins(faults)})
    elif faults:
        print("\n".join([f"{fault.reason} {WORDS[fault.reason]}: {fault.detail}" for fault in faults]))
    else:
        print("valid 有效")
    return 1 if faults else 0


def _add_rotate(inner: Any) -> None:
    told = "the running venue signs by a new key; what the old one signed verifies until the overlap ends"
    parser = command(inner, "rotate-key", run_rotate, told)
    parser.add_argument(
        "--data", metavar="DIR", help="data folder, whose operator.key asks (SHUJI_DATA; default .shuji)"
    )
    parser.add_argument("--url", help="the venue (SHUJI_URL; default http://127.0.0.1:8000)")
    parser.add_argument("--reason", default="scheduled rotation 定期更换", help="kept in the journal")
    parser.add_argument("--overlap-days", type=int, help="default 90; 0 where the old key was stolen")


def run_rotate(arguments: Arguments) -> int:
    from exchange.client import Client

    settings = Settings.gather(os.environ, {"data": arguments.data})
    asked = {"reason": arguments.reason}
    if arguments.overlap_days is not None:
        asked |= {"overlap_days": arguments.overlap_days}
    with Client(venue_url(os.environ, arguments.url), settings.operator_key) as client:
        answer = client.call("POST", "/v1/venue-key", msgspec.json.encode(asked)).content
    shown = msgspec.json.decode(answer, type=dict[str, Any])
    if arguments.json:
        print_json(shown)
    else:
        print(f"{shown['method']} signs now; the key before verifies until {shown['old_until']}")
    return 0
