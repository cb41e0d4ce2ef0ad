"""`shuji contract LISTING`: read a listing's contract, and sign it with `--accept`. Nothing is signed without that word.

A buyer declares by options; what is not said is declared as no, and the accepted security duties as yes. The listing's
merchant signs with `--method` and `--duty`.
"""

import os
from typing import Any

import msgspec

from clearing.contract import DUTIES, METHODS, Declarations, Security
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

LOG_MONTHS = 6
"""深圳市卫生健康数据管理办法 24: access logs are kept for six months at least; what a buyer declares who says nothing."""


def add(commands: Any) -> None:
    parser = command(
        commands, "contract", run, "read the contract of a listing; --accept signs it with your key"
    )
    parser.add_argument("listing", metavar="LISTING", help="for example L12")
    takes_venue_url(parser, key_required=False)
    parser.add_argument("--accept", action="store_true", help="sign what was printed")
    buyer = parser.add_argument_group("what a buyer declares (each is no unless it is given)")
    buyer.add_argument(
        "--foreign-judicial", action="store_true", help="for a foreign judicial or enforcement body"
    )
    buyer.add_argument("--reidentify", action="store_true", help="in order to re-identify persons")
    buyer.add_argument("--human-research", action="store_true", help="for research on humans")
    buyer.add_argument(
        "--related-disclosed", action="store_true", help="the relation between the parties is disclosed"
    )
    buyer.add_argument(
        "--refuse-security-duties", action="store_true", help="the security duties are not accepted"
    )
    buyer.add_argument(
        "--log-months", type=int, default=LOG_MONTHS, help="months that access logs are kept (default 6)"
    )
    buyer.add_argument(
        "--entrustment", metavar="SHA256", default="", help="hash of the entrustment agreement"
    )
    merchant = parser.add_argument_group("what the listing's merchant agrees")
    merchant.add_argument("--method", choices=METHODS[1:], default="", help="how the data is processed")
    merchant.add_argument("--duty", choices=DUTIES, action="append", default=[], help="may be repeated")


def run(arguments: Arguments) -> int:
    from exchange.client import Client

    as_merchant = bool(arguments.method or arguments.duty)
    if arguments.accept and key_path(arguments) is None:
        raise UsageError("signing needs your key: --key FILE")
    with Client(venue_url(os.environ, arguments.url), key_path(arguments), purpose_of(arguments)) as client:
        declared = _security(arguments) if as_merchant else _declarations(arguments)
        shown = client.contract(arguments.listing, declared if isinstance(declared, Security) else None)
        if not arguments.accept:
            return _read(arguments, shown)
        signed = client.sign_contract(arguments.listing, declared)
    if arguments.json:
        print_json(signed)
    else:
        print(signed["signature_id"])
        say(f"{signed['contract']} is signed; SHA-256 {shown['sha256']}")
    return 0


def _read(arguments: Arguments, shown: dict[str, Any]) -> int:
    if arguments.json:
        print_json(shown)
        return 0
    print(shown["text_zh"])
    print(shown["text_en"])
    say(f"{shown['contract']} ({shown['state']}), SHA-256 {shown['sha256']}")
    say("以中文文本为准；加 --accept 签署。The Chinese text prevails; --accept signs it.")
    return 0


def _security(arguments: Arguments) -> Security:
    return msgspec.convert({"method": arguments.method, "duties": arguments.duty}, Security)


def _declarations(arguments: Arguments) -> Declarations:
    return Declarations(
        for_foreign_judicial=arguments.foreign_judicial,
        reidentification_intent=arguments.reidentify,
        human_research=arguments.human_research,
        related_disclosed=arguments.related_disclosed,
        security_terms_accepted=not arguments.refuse_security_duties,
        log_retention_months=arguments.log_months,
        entrustment_sha256=arguments.entrustment,
    )
