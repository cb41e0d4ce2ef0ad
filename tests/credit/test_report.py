"""The report measures fresh markets and writes its tables between the two marks of the page."""

from pathlib import Path

import pytest

from credit.population import Share
from loadtests import credit_report

PAGE = f"# Credit\n\nBefore.\n\n{credit_report.BEGIN}\nold tables\n{credit_report.END}\n\nAfter.\n"


def test_the_report_writes_its_tables_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "CREDIT.md"
    page.write_text(PAGE, encoding="utf-8")
    credit_report.main(
        ["--seeds", "2", "--starts", "1", "--tries", "3", "--newcomers", "1", "--page", str(page)]
    )
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Credit\n\nBefore.\n\n")
    assert text.endswith("\n\nAfter.\n")
    assert "old tables" not in text
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    for name in (
        "oracle",
        "cm-1.0",
        "posterior mean",
        "raw mean",
        "cm-0.2",
        "A",
        "D",
        *credit_report.CUSTOMERS,
    ):
        assert name in rows
    assert text.count("| B | ") == 1 + len(credit_report.TERMS)
    assert "status: 0.6660" in text


def test_a_page_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "CREDIT.md"
    page.write_text("# Credit\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="needs one line"):
        credit_report._write(page, "tables")
    assert page.read_text(encoding="utf-8") == "# Credit\n"


def test_the_page_of_this_house_has_the_marks() -> None:
    text = credit_report.PAGE.read_text(encoding="utf-8")
    assert (text.count(credit_report.BEGIN), text.count(credit_report.END)) == (1, 1)


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert credit_report._share(Share(1, 10)) == ("10", "10.0 % (1.8 to 40.4)")
    assert credit_report._share(None) == ("0", "")
