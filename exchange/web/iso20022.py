"""ISO 20022 as the custody bank speaks it: payout files out (pain.001.001.09), statements in (camt.053).

What comes in is XML of strangers: no document type, no entities, nothing fetched, no huge trees. Reading keeps what the
venue needs (amount, dates, references) and leaves names and account numbers in the file.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from lxml import etree
from msgspec import Struct

from clearing.bank import CHINA_NS, DAY_NS, BankEntry, Custody, participant_of

PAIN: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
MOST_ENTRIES: Final = 5_000
"""Of one statement: more would hold up the writer."""

_CAMT = re.compile(r"\{(urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.\d\d)\}Document\Z", re.ASCII)
_AMOUNT = re.compile(r"(\d{1,15})(?:\.(\d{1,5}))?\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CLEARING_SYSTEM: Final = "CNAPS"
"""The code of China's payment system in ISO 20022's list of clearing systems (中国现代化支付系统)."""


class StatementError(ValueError):
    """The file is no statement that can be booked; the text names the element."""


# ---- reading


class Statement(Struct, frozen=True):
    """What a camt.053 says, signed amounts in fen.

    `sequence` is 0 where the bank numbers nothing; `until_ns` the end of the closing balance's day in Beijing.
    """

    account: str
    id: str
    sequence: int
    opening_fen: int
    closing_fen: int
    until_ns: int
    entries: tuple[BankEntry, ...]


class _Node:
    """An element and its namespace, asked by local names."""

    __slots__ = ("element", "space")

    def __init__(self, element: Any, space: str) -> None:
        self.element = element
        self.space = space

    def all(self, path: str) -> list["_Node"]:
        whole = "/".join(f"{{{self.space}}}{name}" for name in path.split("/"))
        return [_Node(found, self.space) for found in self.element.findall(whole)]

    def one(self, path: str) -> "_Node":
        found = self.all(path)
        if len(found) != 1:
            raise StatementError(f"there must be one {path}, there are {len(found)}")
        return found[0]

    def text(self, *paths: str) -> str:
        """The first of these that says something; empty where none does."""
        texts = ((found.element.text or "").strip() for path in paths for found in self.all(path))
        return next((text for text in texts if text), "")

    def texts(self, *paths: str) -> Iterator[str]:
        return ((found.element.text or "") for path in paths for found in self.all(path))


def read_statement(content: bytes) -> Statement:
    """A camt.053 with one whole statement in CNY. Raises StatementError."""
    statement = _statement_of(content)
    if statement.text("StmtPgntn/LastPgInd") not in ("", "true", "1"):
        raise StatementError("the statement goes on on another page: send it whole")
    number = statement.text("ElctrncSeqNb", "LglSeqNb")
    closing = _balance(statement, ("CLBD",))
    return Statement(
        account=_needed(statement, "Acct/Id/Othr/Id", "Acct/Id/IBAN"),
        id=_needed(statement, "Id")[:64],
        sequence=_number(number) if number else 0,
        opening_fen=_signed(_balance(statement, ("OPBD", "PRCD"))),
        closing_fen=_signed(closing),
        until_ns=_day_end_ns(_needed(closing, "Dt/Dt", "Dt/DtTm")),
        entries=tuple(_entries(statement)),
    )


def _statement_of(content: bytes) -> _Node:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise StatementError(f"this is no XML: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise StatementError("a statement has no document type: entities are not resolved here")
    space = _CAMT.match(str(root.tag))
    if space is None:
        raise StatementError("the root is no camt.053 Document (ISO 20022 bank-to-customer statement)")
    return _Node(root, space[1]).one("BkToCstmrStmt").one("Stmt")


def _needed(node: _Node, *paths: str) -> str:
    text = node.text(*paths)
    if not text:
        raise StatementError(f"{paths[0]} is missing")
    return text


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise StatementError(f"{text[:40]!r} is no statement number")
    return int(text)


def _balance(statement: _Node, codes: tuple[str, ...]) -> _Node:
    found = [row for row in statement.all("Bal") if row.text("Tp/CdOrPrtry/Cd") in codes]
    if len(found) != 1:
        raise StatementError(f"there must be one balance {codes[0]}, there are {len(found)}")
    return found[0]


def _signed(node: _Node) -> int:
    amount = node.one("Amt")
    if amount.element.get("Ccy") != "CNY":
        raise StatementError("amounts are in CNY")
    direction = _needed(node, "CdtDbtInd")
    if direction not in ("CRDT", "DBIT"):
        raise StatementError(f"CdtDbtInd is CRDT or DBIT, not {direction[:10]!r}")
    fen = fen_of((amount.element.text or "").strip())
    return fen if direction == "CRDT" else -fen


def fen_of(text: str) -> int:
    """Yuan with up to five decimals, of which the third to fifth are zero, in fen. Raises StatementError."""
    match = _AMOUNT.match(text)
    decimals = (match[2] or "").ljust(2, "0") if match else ""
    if match is None or decimals[2:].strip("0"):
        raise StatementError(f"{text[:40]!r} is no amount in yuan and fen")
    return int(match[1]) * 100 + int(decimals[:2])


def _day_end_ns(text: str) -> int:
    """Midnight in Beijing at the end of a date; of a date with a time, the date is what is read."""
    if _DATE.match(text) is None:
        raise StatementError(f"{text[:40]!r} is no date")
    try:
        days = date.fromisoformat(text[:10]) - date(1970, 1, 1)
    except ValueError as error:
        raise StatementError(f"{text[:40]!r} is no date") from error
    return (days // timedelta(days=1) + 1) * DAY_NS - CHINA_NS


def _entries(statement: _Node) -> Iterator[BankEntry]:
    """What is booked, not what is pending. One booked as a whole is taken apart where its parts add up."""
    count = 0
    for row in statement.all("Ntry"):
        if row.text("Sts/Cd", "Sts") != "BOOK":
            continue
        for entry in _parts(row, statement.text("Id")):
            count += 1
            if count > MOST_ENTRIES:
                raise StatementError(
                    f"a statement has at most {MOST_ENTRIES} entries: ask the bank for shorter ones"
                )
            yield entry


def _reference(row: _Node, statement: str) -> str:
    """The bank's own; where it has none, the entry's number, which is of its statement alone."""
    own = row.text("AcctSvcrRef", "NtryDtls/TxDtls/Refs/AcctSvcrRef")
    return (own or f"{statement}/{_needed(row, 'AcctSvcrRef', 'NtryRef')}")[:100]


def _parts(row: _Node, statement: str) -> list[BankEntry]:
    amount_fen = _signed(row)
    reference = _reference(row, statement)
    day = row.text("BookgDt/Dt", "BookgDt/DtTm")[:10]
    details = row.all("NtryDtls/TxDtls")
    if row.text("RvslInd") in ("true", "1"):
        return [BankEntry(amount_fen, reference, day)]
    if len(details) > 1:
        return _several(amount_fen, reference, day, details)
    return [_part(amount_fen, reference, day, details[0] if details else row, row)]


def _several(amount_fen: int, reference: str, day: str, details: list[_Node]) -> list[BankEntry]:
    """Parts without amounts, or that do not make the whole, stay one entry that nobody is named by."""
    sign = 1 if amount_fen > 0 else -1
    told = [detail.text("Amt", "AmtDtls/TxAmt/Amt") for detail in details]
    parts = [sign * fen_of(text) for text in told if text]
    if len(parts) < len(details) or sum(parts) != amount_fen:
        return [BankEntry(amount_fen, reference, day)]
    return [
        _part(part, f"{reference}/{place}", day, detail, detail)
        for place, (part, detail) in enumerate(zip(parts, details, strict=True), 1)
    ]


def _part(amount_fen: int, reference: str, day: str, detail: _Node, row: _Node) -> BankEntry:
    end_to_end = detail.text("Refs/EndToEndId")
    texts = (
        *detail.texts("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Ustrd", "AddtlTxInf"),
        *row.texts("AddtlNtryInf"),
    )
    named = participant_of(texts)
    return BankEntry(
        amount_fen, reference, day, "" if end_to_end == "NOTPROVIDED" else end_to_end[:35], named
    )


# ---- writing


class Transfer(Struct, frozen=True):
    """One payment of a file: to whom, where, how much."""

    end_to_end: str
    name: str
    account: str
    bank_code: str
    amount_fen: int


def payout_file(message: str, custody: Custody, transfers: Iterable[Transfer], at_ns: int) -> bytes:
    """A pain.001.001.09 that pays these transfers out of the custody account: the same again for the same arguments."""
    paid = list(transfers)
    sums = {"NbOfTxs": str(len(paid)), "CtrlSum": yuan(sum(row.amount_fen for row in paid))}
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    root = etree.Element(f"{{{PAIN}}}Document", nsmap={None: PAIN})
    body = _add(root, "CstmrCdtTrfInitn")
    header = _add(body, "GrpHdr")
    _fill(header, MsgId=message, CreDtTm=at.strftime("%Y-%m-%dT%H:%M:%SZ"), **sums)
    _fill(_add(header, "InitgPty"), Nm=custody.name)
    payment = _add(body, "PmtInf")
    _fill(payment, PmtInfId=message, PmtMtd="TRF", BtchBookg="false", **sums)
    _fill(_add(payment, "ReqdExctnDt"), Dt=(at + timedelta(hours=8)).date().isoformat())
    _fill(_add(payment, "Dbtr"), Nm=custody.name)
    _account(_add(payment, "DbtrAcct"), custody.account)
    _bank(_add(payment, "DbtrAgt"), custody.bank_code)
    _fill(payment, ChrgBr="DEBT")
    for row in paid:
        _transfer(_add(payment, "CdtTrfTxInf"), row)
    content: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return content


def yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def _transfer(node: Any, row: Transfer) -> None:
    _fill(_add(node, "PmtId"), EndToEndId=row.end_to_end)
    amount = _add(_add(node, "Amt"), "InstdAmt")
    amount.set("Ccy", "CNY")
    amount.text = yuan(row.amount_fen)
    _bank(_add(node, "CdtrAgt"), row.bank_code)
    _fill(_add(node, "Cdtr"), Nm=row.name[:140])
    _account(_add(node, "CdtrAcct"), row.account)
    _fill(_add(node, "RmtInf"), Ustrd=f"提现 withdrawal {row.end_to_end}")


def _account(node: Any, account: str) -> None:
    _fill(_add(_add(node, "Id"), "Othr"), Id=account)
    if node.tag == f"{{{PAIN}}}DbtrAcct":
        _fill(node, Ccy="CNY")


def _bank(node: Any, code: str) -> None:
    member = _add(_add(node, "FinInstnId"), "ClrSysMmbId")
    _fill(_add(member, "ClrSysId"), Cd=_CLEARING_SYSTEM)
    _fill(member, MmbId=code)


def _add(node: Any, name: str) -> Any:
    return etree.SubElement(node, f"{{{PAIN}}}{name}")


def _fill(node: Any, **texts: str) -> None:
    for name, text in texts.items():
        _add(node, name).text = text
