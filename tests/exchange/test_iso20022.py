"""ISO 20022 files: a payout file as the standard orders its elements, statements of banks that differ, hostile XML."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from clearing.bank import CHINA_NS, DAY_NS, BankEntry, Custody, next_day_end, participant_of, reference_of
from exchange.web.iso20022 import PAIN, StatementError, Transfer, fen_of, payout_file, read_statement, yuan

CUSTODY = Custody("6222000000000001", "数集客户资金 & 存管", "102641000000", "示例银行")
AT_NS = 1_764_000_000_000_000_000
"""24 November 2025, 16:00 UTC: already the 25th in Beijing."""

# ---- payout files

ORDER = """
Document
  CstmrCdtTrfInitn
    GrpHdr
      MsgId
      CreDtTm
      NbOfTxs
      CtrlSum
      InitgPty
        Nm
    PmtInf
      PmtInfId
      PmtMtd
      BtchBookg
      NbOfTxs
      CtrlSum
      ReqdExctnDt
        Dt
      Dbtr
        Nm
      DbtrAcct
        Id
          Othr
            Id
        Ccy
      DbtrAgt
        FinInstnId
          ClrSysMmbId
            ClrSysId
              Cd
            MmbId
      ChrgBr
      CdtTrfTxInf
        PmtId
          EndToEndId
        Amt
          InstdAmt
        CdtrAgt
          FinInstnId
            ClrSysMmbId
              ClrSysId
                Cd
              MmbId
        Cdtr
          Nm
        CdtrAcct
          Id
            Othr
              Id
        RmtInf
          Ustrd
"""
"""CustomerCreditTransferInitiationV09: the elements that the venue uses, in the order of its schema."""


SEQUENCES: dict[str, str] = {
    "Document": "CstmrCdtTrfInitn",
    "CstmrCdtTrfInitn": "GrpHdr PmtInf+ SplmtryData*",
    "GrpHdr": "MsgId CreDtTm Authstn* NbOfTxs CtrlSum? InitgPty FwdgAgt? InitnSrc?",
    "PmtInf": "PmtInfId PmtMtd BtchBookg? NbOfTxs? CtrlSum? PmtTpInf? ReqdExctnDt PoolgAdjstmntDt? Dbtr DbtrAcct DbtrAgt"
    " DbtrAgtAcct? InstrForDbtrAgt? UltmtDbtr? ChrgBr? ChrgsAcct? ChrgsAcctAgt? CdtTrfTxInf+",
    "CdtTrfTxInf": "PmtId PmtTpInf? Amt XchgRateInf? ChrgBr? ChqInstr? UltmtDbtr? IntrmyAgt1? IntrmyAgt1Acct? IntrmyAgt2?"
    " IntrmyAgt2Acct? IntrmyAgt3? IntrmyAgt3Acct? CdtrAgt? CdtrAgtAcct? Cdtr? CdtrAcct? UltmtCdtr? InstrForCdtrAgt*"
    " InstrForDbtrAgt? Purp? RgltryRptg* Tax? RltdRmtInf* RmtInf? SplmtryData*",
    "PmtId": "InstrId? EndToEndId UETR?",
    "Amt": "InstdAmt",
    "ReqdExctnDt": "Dt",
    **dict.fromkeys(("InitgPty", "Dbtr", "Cdtr"), "Nm? PstlAdr? Id? CtryOfRes? CtctDtls?"),
    **dict.fromkeys(("DbtrAcct", "CdtrAcct"), "Id Tp? Ccy? Nm? Prxy?"),
    **dict.fromkeys(("DbtrAgt", "CdtrAgt"), "FinInstnId BrnchId?"),
    "FinInstnId": "BICFI? ClrSysMmbId? LEI? Nm? PstlAdr? Othr?",
    "ClrSysMmbId": "ClrSysId? MmbId",
    "ClrSysId": "Cd",
    "DbtrAcct/Id": "Othr",
    "CdtrAcct/Id": "Othr",
    "Othr": "Id SchmeNm? Issr?",
    "RmtInf": "Ustrd* Strd*",
}
"""CustomerCreditTransferInitiationV09, written from the standard: the children of each element in their order.

Bare is once, `?` at most once, `*` any number, `+` at least once. Of a choice the branch that the venue takes.
"""

CONTENT: dict[str, str] = {
    "MsgId": r".{1,35}", "PmtInfId": r".{1,35}", "EndToEndId": r".{1,35}", "MmbId": r".{1,35}", "Nm": r".{1,140}",
    "Ustrd": r".{1,140}", "Othr/Id": r".{1,34}", "ClrSysId/Cd": r".{1,5}", "NbOfTxs": r"[0-9]{1,15}",
    "CtrlSum": r"[0-9]{1,17}(\.[0-9]{1,17})?", "InstdAmt": r"[0-9]{1,13}(\.[0-9]{1,5})?", "PmtMtd": r"CHK|TRF|TRA",
    "BtchBookg": r"true|false", "ChrgBr": r"DEBT|CRED|SHAR|SLEV", "Ccy": r"[A-Z]{3}", "Dt": r"\d{4}-\d\d-\d\d",
    "CreDtTm": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)",
}  # fmt: skip
"""What the standard's simple types take, as a whole."""


def faults_of(element: Any, above: str = "") -> list[str]:
    """Where an element and what is in it are not as the standard orders them; empty is good."""
    name = etree.QName(element).localname
    path, children = f"{above}/{name}", [etree.QName(child).localname for child in element]
    order = SEQUENCES.get(path, SEQUENCES.get(name))
    if order is None:
        content = CONTENT.get(path, CONTENT.get(name))
        good = not children and content is not None and re.fullmatch(content, element.text or "")
        return [] if good else [f"{path}: {element.text!r}"]
    pattern = "".join(re.sub(r"(\w+)([?*+]?)", r"(?:\1 )\2", part) for part in order.split())
    told = "".join(f"{child} " for child in children)
    wrong = [] if re.fullmatch(pattern, told) else [f"{path}: {told}"]
    return [*wrong, *(fault for child in element for fault in faults_of(child, name))]


def outline(element: Any, depth: int = 0) -> list[str]:
    name = etree.QName(element).localname
    return ["  " * depth + name, *(line for child in element for line in outline(child, depth + 1))]


def payouts(*amounts: int) -> bytes:
    transfers = [
        Transfer(f"B1-P{number}", f"示例 <{number}>", f"62220000{number}", "102641000017", fen)
        for number, fen in enumerate(amounts, 4)
    ]
    return payout_file("SHUJI-B1", CUSTODY, transfers, AT_NS)


def test_a_payout_file_has_its_elements_in_the_standards_order() -> None:
    root = etree.fromstring(payouts(30_001))
    assert etree.QName(root).namespace == PAIN
    assert outline(root) == ORDER.split("\n")[1:-1]


def test_a_payout_file_is_what_the_standard_asks_for() -> None:
    """Order, mandatory elements and simple types, with one payment, with several, with the longest names and numbers."""
    longest = [Transfer("E" * 35, "名" * 200, "8" * 34, "9" * 12, 10**13)]
    custody = Custody("7" * 34, "存" * 140, "1" * 12, "银" * 140)
    for content in (payouts(1), payouts(30_001, 7, 10**12), payout_file("M" * 35, custody, longest, AT_NS)):
        assert faults_of(etree.fromstring(content)) == []


@pytest.mark.parametrize(
    "needed",
    ["GrpHdr", "PmtInf", "MsgId", "CreDtTm", "GrpHdr/NbOfTxs", "InitgPty", "PmtInfId", "PmtMtd", "ReqdExctnDt", "Dbtr",
     "DbtrAcct", "DbtrAcct/Id", "DbtrAgt", "PmtId", "EndToEndId", "Amt", "MmbId"],
)  # fmt: skip
def test_a_file_without_what_it_needs_would_be_found(needed: str) -> None:
    root = etree.fromstring(payouts(30_001))
    element = root.find(".//" + "/".join(f"{{{PAIN}}}{name}" for name in needed.split("/")))
    above = element.getparent()
    above.remove(element)
    assert faults_of(root)


def test_a_file_in_another_order_would_be_found() -> None:
    """Each element with its first child put last, where that changes the order."""
    names = [
        etree.QName(element).localname
        for element in etree.fromstring(payouts(30_001)).iter()
        if len(element) > 1
    ]
    assert len(names) == 7
    for name in names:
        root = etree.fromstring(payouts(30_001))
        element = root.find(f".//{{{PAIN}}}{name}")
        element.append(element[0])
        assert faults_of(root), name


def test_a_payout_file_says_whom_it_pays_out_of_which_account() -> None:
    root = etree.fromstring(payouts(30_001, 7))
    names = {"p": PAIN}
    assert root.findtext(".//p:DbtrAcct/p:Id/p:Othr/p:Id", namespaces=names) == CUSTODY.account
    assert root.findtext(".//p:Dbtr/p:Nm", namespaces=names) == CUSTODY.name
    assert root.findtext(".//p:ReqdExctnDt/p:Dt", namespaces=names) == "2025-11-25"
    assert {node.text for node in root.iterfind(".//p:NbOfTxs", names)} == {"2"}
    assert {node.text for node in root.iterfind(".//p:CtrlSum", names)} == {"300.08"}
    amounts = root.findall(".//p:InstdAmt", names)
    assert [(node.text, node.get("Ccy")) for node in amounts] == [("300.01", "CNY"), ("0.07", "CNY")]
    assert [node.text for node in root.iterfind(".//p:EndToEndId", names)] == ["B1-P4", "B1-P5"]
    assert [node.text for node in root.iterfind(".//p:Cdtr/p:Nm", names)] == ["示例 <4>", "示例 <5>"]


def test_the_same_batch_gives_the_same_bytes() -> None:
    assert payouts(1, 2) == payouts(1, 2)


@given(st.integers(0, 10**15))
def test_yuan_and_fen_are_the_same_money(fen: int) -> None:
    assert fen_of(yuan(fen)) == fen
    assert fen_of(yuan(fen) + "000") == fen


@pytest.mark.parametrize("text", ["", "1.001", "-1", "1,00", "1e3", "٣", ".5", "1.", "9" * 16, "NaN"])
def test_what_is_no_amount_is_said(text: str) -> None:
    with pytest.raises(StatementError, match="no amount"):
        fen_of(text)


# ---- references


@given(st.integers(1, 10**18 - 1))
def test_a_reference_names_its_participant(number: int) -> None:
    reference = reference_of(f"P{number}")
    assert len(reference) <= 25
    assert participant_of([f"入金 {reference} 谢谢"]) == f"P{number}"


def test_a_slip_of_the_pen_names_nobody() -> None:
    good = reference_of("P17")
    assert participant_of([good.replace("P17", "P71")]) == ""
    assert participant_of([good + "3"]) == ""
    assert participant_of([good, reference_of("P4")]) == "", "two are none"
    assert participant_of([good.lower(), good]) == "P17"
    assert participant_of(["", "no reference at all"]) == ""


@given(st.integers(0, 4 * 10**18))
def test_the_bank_day_ends_at_midnight_in_beijing(at_ns: int) -> None:
    end_ns = next_day_end(at_ns)
    assert (end_ns + CHINA_NS) % DAY_NS == 0
    assert 0 < end_ns - at_ns <= DAY_NS


# ---- statements


def camt(entries: str = "", version: str = "08", closing: str = "1000.00", **parts: str) -> bytes:
    told = {
        "number": "<ElctrncSeqNb>7</ElctrncSeqNb>",
        "account": "<Othr><Id>6222000000000001</Id></Othr>",
        "date": "<Dt>2025-11-25</Dt>",
        "before": "",
        "currency": "CNY",
        **parts,
    }
    return f"""<?xml version="1.0" encoding="UTF-8"?>{told["before"]}
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>
 <GrpHdr><MsgId>M</MsgId><CreDtTm>2025-11-26T08:00:00+08:00</CreDtTm></GrpHdr>
 <Stmt><Id>2025-330</Id>{told["number"]}<CreDtTm>2025-11-26T08:00:00+08:00</CreDtTm>
  <Acct><Id>{told["account"]}</Id></Acct>
  <Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="{told["currency"]}">1000.00</Amt>
   <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2025-11-24</Dt></Dt></Bal>
  <Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">{closing}</Amt>
   <CdtDbtInd>CRDT</CdtDbtInd><Dt>{told["date"]}</Dt></Bal>
  {entries}</Stmt></BkToCstmrStmt></Document>""".encode()


def entry(amount: str, kind: str = "CRDT", status: str = "<Cd>BOOK</Cd>", more: str = "") -> str:
    return (
        f'<Ntry><Amt Ccy="CNY">{amount}</Amt><CdtDbtInd>{kind}</CdtDbtInd><Sts>{status}</Sts>'
        f"<BookgDt><Dt>2025-11-25</Dt></BookgDt><AcctSvcrRef>REF1</AcctSvcrRef>{more}</Ntry>"
    )


def details(*parts: str) -> str:
    return "<NtryDtls>" + "".join(f"<TxDtls>{part}</TxDtls>" for part in parts) + "</NtryDtls>"


def test_an_entry_without_the_banks_reference_is_its_statements_own() -> None:
    """Most banks number NtryRef in each statement anew."""
    numbered = entry("12.34").replace("<AcctSvcrRef>REF1</AcctSvcrRef>", "<NtryRef>1</NtryRef>")
    [told] = read_statement(camt(numbered, closing="1012.34")).entries
    assert told.reference == "2025-330/1"


def test_a_statement_is_read() -> None:
    told = read_statement(camt(entry("12.34"), closing="1012.34"))
    assert (told.account, told.id, told.sequence) == ("6222000000000001", "2025-330", 7)
    assert (told.opening_fen, told.closing_fen) == (100_000, 101_234)
    assert told.entries == (BankEntry(1_234, "REF1", "2025-11-25"),)
    assert told.until_ns == next_day_end(AT_NS), "the 25th ends in Beijing"


@pytest.mark.parametrize("version", ["02", "06", "08", "10", "13"])
def test_banks_send_different_versions(version: str) -> None:
    status = "BOOK" if version == "02" else "<Cd>BOOK</Cd>"
    told = read_statement(camt(entry("1.00", "DBIT", status), version, number=""))
    assert told.sequence == 0
    assert [row.amount_fen for row in told.entries] == [-100]


def test_only_what_is_booked_counts() -> None:
    told = read_statement(camt(entry("1", status="<Cd>PDNG</Cd>") + entry("2", status="<Cd>INFO</Cd>")))
    assert told.entries == ()


REFERENCE = reference_of("P4")
NAMED = [
    f"<RmtInf><Ustrd>货款 {REFERENCE}</Ustrd></RmtInf>",
    f"<RmtInf><Strd><CdtrRefInf><Ref>{REFERENCE}</Ref></CdtrRefInf></Strd></RmtInf>",
    f"<RmtInf><Ustrd>one line</Ustrd><Ustrd>{REFERENCE.lower()}</Ustrd></RmtInf>",
]


@pytest.mark.parametrize("named", NAMED)
def test_remittance_texts_name_a_participant_and_stay_in_the_file(named: str) -> None:
    secret = "<RltdPties><Dbtr><Pty><Nm>张三</Nm></Pty></Dbtr></RltdPties>"
    [row] = read_statement(camt(entry("1", more=details(secret + named)))).entries
    assert row.participant == "P4"
    assert "张三" not in str(row)
    assert "货款" not in str(row)


def test_payments_are_known_by_their_end_to_end_id() -> None:
    refs = "<Refs><EndToEndId>{}</EndToEndId></Refs>"
    known = entry("1", "DBIT", more=details(refs.format("B1-P4")))
    none = entry("2", "DBIT", more=details(refs.format("NOTPROVIDED")))
    assert [row.end_to_end for row in read_statement(camt(known + none)).entries] == ["B1-P4", ""]


def test_a_booking_of_several_payments_is_taken_apart() -> None:
    part = '<Refs><EndToEndId>B1-P{0}</EndToEndId></Refs><Amt Ccy="CNY">{1}</Amt>'
    whole = entry("3.00", "DBIT", more=details(part.format(4, "1.00"), part.format(5, "2.00")))
    assert read_statement(camt(whole)).entries == (
        BankEntry(-100, "REF1/1", "2025-11-25", "B1-P4"),
        BankEntry(-200, "REF1/2", "2025-11-25", "B1-P5"),
    )
    odd = entry("3.00", "DBIT", more=details(part.format(4, "1.00"), part.format(5, "1.99")))
    assert read_statement(camt(odd)).entries == (BankEntry(-300, "REF1", "2025-11-25"),)


def test_a_reversal_names_nobody() -> None:
    more = "<RvslInd>true</RvslInd>" + details("<Refs><EndToEndId>B1-P4</EndToEndId></Refs>")
    assert read_statement(camt(entry("1", more=more))).entries == (BankEntry(100, "REF1", "2025-11-25"),)


DTD = '<!DOCTYPE Document [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE Document [<!ENTITY f SYSTEM "secret.txt">]>'
WRONG: list[tuple[bytes, str]] = [
    (b"", "no XML"),
    (b"{}", "no XML"),
    (b"<Document>", "no XML"),
    (b"<Document/>", "camt.053"),
    (payouts(1), "camt.053"),
    (camt(before=DTD), "document type"),
    (camt(before=OUTSIDE, number="<ElctrncSeqNb>&f;</ElctrncSeqNb>"), "document type"),
    (camt(before='<!DOCTYPE Document SYSTEM "http://127.0.0.1:9/a.dtd">'), "document type"),
    (camt().replace(b"<Stmt>", b"<Stmt><Id>x</Id></Stmt><Stmt>"), "one Stmt"),
    (camt(number="<ElctrncSeqNb>seven</ElctrncSeqNb>"), "statement number"),
    (camt(account=""), "Acct/Id/Othr/Id is missing"),
    (camt(currency="USD"), "CNY"),
    (camt(closing="lots"), "no amount"),
    (camt(date="<Dt>2025-02-30</Dt>"), "no date"),
    (camt(date="<Dt>tomorrow</Dt>"), "no date"),
    (camt().replace(b"CLBD", b"ITBD"), "balance CLBD"),
    (camt(entry("1", kind="BOTH")), "CRDT or DBIT"),
    (camt(entry("1").replace("<AcctSvcrRef>REF1</AcctSvcrRef>", "")), "AcctSvcrRef is missing"),
    (camt("<StmtPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></StmtPgntn>"), "another page"),
    (camt(entry("1") * 5_001), "at most 5000"),
    (b"<a>" * 300 + b"</a>" * 300, "no XML"),
]


@pytest.mark.parametrize(("content", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_no_statement_is_refused_with_its_element(content: bytes, said: str) -> None:
    with pytest.raises(StatementError, match=said):
        read_statement(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_statement_or_an_error(content: bytes) -> None:
    with pytest.raises(StatementError):
        read_statement(content)


@given(st.integers(0, len(camt(entry("1.00"))) - 1), st.binary(min_size=1, max_size=3))
def test_a_damaged_statement_is_read_or_refused(at: int, damage: bytes) -> None:
    whole = camt(entry("1.00"))
    try:
        told = read_statement(whole[:at] + damage + whole[at + len(damage) :])
    except StatementError:
        return
    assert told.until_ns > 0
