"""Rows, prices and profiles by themselves."""

from decimal import Decimal
from pathlib import Path

import pytest

from exchange.importing import forms, profile, work
from exchange.importing.forms import BadFile, BadRow, Rejected, Row
from exchange.importing.price import BadPrice, Price, price_of, read_amount, read_rates
from exchange.importing.profile import BadProfile
from tests.document import ROOT

USDC = {"USDC": Decimal("7.10")}


@pytest.mark.parametrize(
    ("amount", "currency", "units", "price"),
    [
        ("0", "CNY", 1, Price(0, 1)),
        ("5.20", "CNY", 1, Price(520, 1)),
        ("0.01", "CNY", 1, Price(1, 1)),
        ("0.035", "CNY", 1, Price(3_500, 1_000)),
        ("0.004", "CNY", 1, Price(400, 1_000)),
        ("0.035", "CNY", 1_000, Price(3_500, 1_000_000)),
        ("0.001", "USDC", 1, Price(710, 1_000)),
        ("0.0000015", "USDC", 1, Price(1, 1_000, True)),
        ("0.000025", "CNY", 1, Price(2, 1_000, True)),
        ("0.000035", "CNY", 1, Price(4, 1_000, True)),
    ],
)
def test_a_price_is_whole_fen(amount: str, currency: str, units: int, price: Price) -> None:
    """The last two lie in the middle: half to even."""
    assert price_of(read_amount(amount), currency, units, USDC) == price


@pytest.mark.parametrize(
    ("amount", "currency", "word"),
    [
        ("0.000001", "CNY", "below"),
        ("1", "EUR", "--rate EUR"),
        ("1e20", "CNY", "above"),
        ("9999999999.999", "CNY", "above"),
    ],
)
def test_a_price_that_cannot_be_told_is_refused(amount: str, currency: str, word: str) -> None:
    """The last is above only when it is told for a thousand."""
    with pytest.raises(BadPrice, match=word):
        price_of(read_amount(amount), currency, 1, USDC)


def test_a_price_is_told_for_no_more_units_than_the_venue_knows() -> None:
    assert price_of(read_amount("1"), "CNY", 10**9, {}) == Price(100, 10**9)
    with pytest.raises(BadPrice, match="units"):
        price_of(read_amount("0.001"), "CNY", 10**7, {})


def test_an_amount_is_exact_to_its_last_digit() -> None:
    """28 digits are what decimals are reckoned with; one more is not lost in silence."""
    assert price_of(read_amount("1." + "0" * 28 + "1"), "CNY", 1, {}) == Price(100_000, 1_000, True)


def test_numbers_of_json_are_what_is_written(tmp_path: Path) -> None:
    [row] = read(tmp_path, b'{"price": 0.1, "many": 123456789012345678901234567890}')
    assert isinstance(row, Row)
    assert read_amount(row.content["price"]) == Decimal("0.1")
    assert read_amount(5) == 5


@pytest.mark.parametrize(
    "text",
    ["", "abc", "-1", "NaN", "Infinity", -5, True, None, "1,5", [], "1e31", "1e-999999999", "1." + "0" * 30],
)
def test_what_is_no_amount_is_refused(text: object) -> None:
    with pytest.raises(BadPrice, match="amount"):
        read_amount(text)


@pytest.mark.parametrize("text", ["USDC", "=7", "USDC=x", "USDC=0", "USDC=-1", "USDC=NaN"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(BadPrice, match="--rate"):
        read_rates([text])


def read(tmp_path: Path, content: bytes) -> list[Row | Rejected]:
    path = tmp_path / "file"
    path.write_bytes(content)
    return list(forms.read(path))


def test_a_row_is_known_by_its_content_and_not_by_its_writing(tmp_path: Path) -> None:
    one, other, third = read(tmp_path, b'{"a": 1, "b": 2}\n\n{"b":2,"a":1}\n{"a":1,"b":3}')
    assert isinstance(one, Row)
    assert isinstance(other, Row)
    assert isinstance(third, Row)
    assert one.sha256 == other.sha256 != third.sha256
    assert (one.line, other.line, third.line) == (1, 3, 4)


def test_json_that_is_none_names_its_line(tmp_path: Path) -> None:
    found = read(tmp_path, b'{"a": 1}\n[1]\n\xff\n{"a"\n')
    assert [(type(one), one.line) for one in found] == [(Row, 1), (Rejected, 2), (Rejected, 3), (Rejected, 4)]


HEADER = b"title,summary,price\n"


def test_lines_of_a_csv_are_those_of_the_file(tmp_path: Path) -> None:
    found = read(tmp_path, b"# said\n" + HEADER + b'a,"b\n# no comment",1\nc,d\n\ne,f,2,3\n')
    assert [(type(one), one.line) for one in found] == [(Row, 3), (Rejected, 5), (Rejected, 7)]
    assert isinstance(found[0], Row)
    assert found[0].content == {"title": "a", "summary": "b\n# no comment", "price": "1"}


def test_an_empty_cell_that_is_needed_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + b",b,1\na,,1\n") == [
        Rejected(2, "title is empty"),
        Rejected(3, "summary is empty"),
    ]


def test_what_all_rows_lack_is_said_once() -> None:
    alike = [Rejected(line, "say it with --base-url") for line in range(1, 99)]
    [told] = work._told_rejected(alike)
    assert "--base-url" in told
    assert "98" in told
    assert len(list(work._told_rejected([*alike[:2], Rejected(3, "the price is none")]))) == 3


def test_a_title_may_start_like_a_comment(tmp_path: Path) -> None:
    [row] = read(tmp_path, b"# said,,\n" + HEADER + b"#1 of harbours,b,1\n")
    assert isinstance(row, Row)
    assert row.content["title"] == "#1 of harbours"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"title,summary\n", "lacks the column 'price'"),
        (b"title,summary,price,colour\n", "no column 'colour'"),
        (b"title,summary,price,price\n", "twice"),
        (b"title,summary,price\n\xff,b,1\n", "UTF-8"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_whole(tmp_path: Path, content: bytes, word: str) -> None:
    with pytest.raises(BadFile, match=word):
        read(tmp_path, content)


def test_the_documented_columns_are_the_template() -> None:
    page = (ROOT / "docs" / "IMPORT.md").read_text()
    documented = page[page.index("| column |") :].split("\n\n")[0].splitlines()[2:]
    assert documented == [
        f"| `{one.name}` | {'必填 required ' if one.required else ''}| {one.zh} {one.en} |"
        for one in forms.COLUMNS
    ]


OPEN = {"Name": "N", "Description": "D", "ManagedBy": "M", "License": "L", "Tags": ["t"], "Resources": []}


def test_an_open_row_keeps_what_it_says() -> None:
    tags = [f"tag {number}" for number in range(30)]
    resources = [
        {"Type": "S3 Bucket", "ARN": "arn:x", "Region": "r", "RequesterPays": False, "Explore": ["a", "b"]}
    ]
    more = {"Deprecated": True, "slug": "one-of-them", "ADXCategories": ["Health", "Seas"]}
    offer = forms.offer_of({**OPEN, **more, "Tags": tags, "Resources": resources}, "")
    assert not offer.amount
    assert offer.description.tags == tuple(tags[:20])
    assert "Further tags: tag 20" in offer.statement
    assert "Licence: L" in offer.statement
    [field] = offer.description.fields
    assert (field.type, field.description) == (
        "S3 Bucket",
        "ARN: arn:x; Region: r; RequesterPays: False; Explore: a, b",
    )
    assert "Categories: Health, Seas\nRegistry name: one-of-them" in offer.statement
    assert offer.description.quality_statement


@pytest.mark.parametrize(
    "changes",
    [
        {"Name": "  "},
        {"Name": 5},
        {"Tags": "text"},
        {"Tags": ["x" * 51]},
        {"Resources": ["x"]},
        {"Description": "x" * 10_001},
        {"License": "\0"},
        {"License": ""},
    ],
)
def test_a_row_that_the_venue_would_refuse_is_refused_before(changes: dict[str, object]) -> None:
    with pytest.raises(BadRow):
        forms.offer_of({**OPEN, **changes}, "")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "profile.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["open_data", "priced_api"])
def test_the_examples_are_profiles(tmp_path: Path, name: str) -> None:
    read_one = profile.read(written(tmp_path, profile.example(name)))
    assert read_one.facts({}).classification.origin == "enterprise"


def test_facts_hold_for_rows_that_match(tmp_path: Path) -> None:
    chosen = profile.read(written(tmp_path, profile.example("open_data")))
    person, other = chosen.facts({"Tags": ["Homo sapiens"]}), chosen.facts({"Tags": ["ships"]})
    assert (person.classification.origin, person.consent.basis) == ("personal", "separate_consent")
    assert (other.classification.origin, other.consent.basis) == ("enterprise", "none")
    assert person.classification.data_class == "general", "what a `when` does not say stays"


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("attested_by", "attested", "attested"),
        ('origin = "enterprise"', 'origins = "enterprise"', "origins"),
        ("valid_days = 730", "valid_days = 0", "valid_days"),
        ("[terms]", "[term]", "term"),
        ("matches = '", "matches = '(", "unterminated|missing"),
        ('origin = "personal", pi', "origin = 5, pi", "origin"),
        ("attested_by =", "attested_by", "Expected"),
        ('data_class = "general"', 'data_class = "ordinary"', "data_class is one of"),
        ('channel = "authorised_operation"', 'channel = "found"', "channel is one of"),
        ('basis = "separate_consent"', 'basis = "asked"', "basis is one of"),
        ('deals = ["licence"]', 'deals = ["transfer"]', "beyond the authorisation"),
        ('territories = ["CN"]\nterm', 'territories = ["US"]\nterm', "'US' is beyond the authorisation"),
        (', "product_operation"]', "]", "terms.right"),
        ('"resource_holding"', '"ownership"', "ownership"),
    ],
)
def test_a_profile_is_refused_where_it_is_wrong(tmp_path: Path, old: str, new: str, word: str) -> None:
    text = profile.example("open_data")
    assert old in text
    with pytest.raises(BadProfile, match=word):
        profile.read(written(tmp_path, text.replace(old, new, 1)))
