"""The inspection package of a trade (检查材料): all that the venue has of it, checked without the venue."""

import asyncio
import hashlib
import os
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from clearing.evidence import canonical
from exchange import inspection
from exchange.events import Refused
from exchange.projection import PostingRecord, TradeRecord
from exchange.projector import POSTINGS
from exchange.proofs import Shown
from exchange.web import contracts, trades
from exchange.web.instant import text_of
from exchange.web.operation import INSPECTING, Call, Operation
from exchange.web.problem import Refusing

FORMAT: Final = "shuji-inspection-1"
PROOFS: Final = "shuji-evidence-1"
VERDICTS: Final = ("trade", "verdict")
MOST_LEAVES: Final = 1_000
_OF_TRADE: Final = POSTINGS.select("WHERE trade = $1 ORDER BY sequence, position")


class InspectionView(Struct):
    """`sha256` is over the package as canonical JSON (RFC 8785); `signature` (base64, Ed25519 by `public_key`) is over
    the text `shuji-inspection:<sha256>`.
    """

    format: str
    sha256: str
    signature: str
    public_key: str
    package: dict[str, Any]


async def show(call: Call, asked: None) -> InspectionView:
    """A verdict's facts are had again by replaying the journal, in a process beside the venue: one at a time."""
    row = await trades.seen_trade(call, call.path["trade"])
    await call.need_role(*INSPECTING)
    view = trades.trade_view(row, call.desk.reasons)
    found = await call.desk.pool.fetch(_OF_TRADE, row.id)
    package = {
        "made": {"at": text_of(call.now_ns), "by": call.participant, "purpose": call.purpose},
        "trade": _plain(view),
        "contract": await _contract(call, row),
        "verdict": _plain(view.verdict),
        "facts": _plain(await _facts(call, row.id)),
        "postings": [_posting(POSTINGS.row_of(one)) for one in found],
        "proofs": await _proofs(call, [name for name in (row.id, row.contract, row.buyer_signature) if name]),
    }
    sha256 = hashlib.sha256(canonical(package)).hexdigest()
    key = call.desk.prover.key
    return InspectionView(FORMAT, sha256, key.sign(f"shuji-inspection:{sha256}"), key.public_key, package)


def _plain(view: Any) -> Any:
    return inspection.plain(msgspec.json.decode(msgspec.json.encode(view)))


async def _contract(call: Call, row: TradeRecord) -> Any:
    """The text that both signed, with the trade's particulars; null where it cites none."""
    return _plain(await contracts.of_trade(call, None)) if row.contract else None


async def _facts(call: Call, trade: str) -> inspection.Read:
    desk = call.desk
    async with desk.inspecting:
        try:
            return await asyncio.to_thread(
                inspection.read_beside, os.environ, desk.engine.dsn, desk.reasons.jurisdiction, trade
            )
        except inspection.Lacking as error:
            raise Refusing(
                Refused.not_found, f"the facts behind {trade} are not to be had again: {error}"
            ) from error


def _posting(row: PostingRecord) -> dict[str, Any]:
    return {
        "place": f"{row.sequence}.{row.position}",
        "at": text_of(row.at_ns),
        "kind": row.kind,
        "source": row.source,
        "target": row.target,
        "asset": row.asset,
        "amount": inspection.plain(row.amount),
        "reference": row.reference,
    }


# ---- proofs


async def _proofs(call: Call, identifiers: Iterable[str]) -> dict[str, Any]:
    """As `shuji prove` writes them: all leaves under these ids, the rulebooks behind the verdicts, the signed root."""
    prover = call.desk.prover
    leaves = [leaf for name in identifiers for leaf in await prover.leaves(name, (0, -1), MOST_LEAVES)]
    rulebooks = await _rulebooks(call, [leaf.number for leaf in leaves if leaf.leaf.kind in VERDICTS])
    signed = await prover.checkpoint()
    assert signed is not None, "a trade has leaves"
    said = signed.checkpoint
    return {
        "format": PROOFS,
        "checkpoint": {
            "text": signed.text,
            "signature": signed.signature,
            "public_key": prover.key.public_key,
            "root_sha256": said.root_sha256.hex(),
            "root_sm3": said.root_sm3.hex(),
            "note": signed.note,
        },
        "leaves": [await _under(call, leaf, said.size) for leaf in leaves],
        "rulebooks": [await _under(call, leaf, said.size) for leaf in rulebooks],
    }


async def _rulebooks(call: Call, decided: list[int]) -> list[Shown]:
    """Of each decision the newest rulebook before it."""
    shown = await call.desk.prover.leaves("rulebook", (0, -1), MOST_LEAVES) if decided else []
    behind = {max((one.number for one in shown if one.number < leaf), default=-1) for leaf in decided}
    return [one for one in shown if one.number in behind]


async def _under(call: Call, shown: Shown, size: int) -> dict[str, Any]:
    path = await call.desk.prover.inclusion(shown.number, size)
    hexed = {"sha256": [node.hex() for node in path.sha256], "sm3": [node.hex() for node in path.sm3]}
    return {"leaf": shown.number, "body": shown.body, **hexed}


_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

OPERATIONS: Final = (
    Operation("GET", "/v1/trades/{trade}/inspection", show,
              "Everything about a trade in one file, checked without the venue (regulator, auditor)", "oversight",
              answers=InspectionView, refused=(Refused.forbidden, Refused.not_found),
              about="Contract, facts as clearing read them, verdict, postings, proofs. `verify_evidence.py FILE` checks it."
                    " The facts are had again by replaying the journal, which may take minutes.",
              example_answer={"format": FORMAT, "sha256": _SHA, "signature": "pO7Ka0c=", "public_key": "11qYAYKx",
                              "package": {"trade": {"trade": "T1"}, "contract": {}, "verdict": {}, "facts": {},
                                          "postings": [], "proofs": {}, "made": {}}}),
)  # fmt: skip
