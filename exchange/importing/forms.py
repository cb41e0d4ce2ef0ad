"""What rows say. Two kinds of JSON lines are known by their fields, and a CSV template of our own by its header.

An `Offer` is what a row says in the venue's words; facts that decide whether it may be traded are not in it, they come
from the profile. A row is known for ever by the SHA-256 of its content, whatever line it stands in.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from exchange.events import Description, Field
from exchange.importing.price import LOCAL, BadPrice, read_amount
from exchange.listing import MAX_UNITS
from exchange.product import MOST_FIELDS, MOST_TAG, MOST_TAGS, MOST_TITLE

PLACEHOLDER: Final = "${BASE_URL}"
MOST_TEXT: Final = 10_000


class BadRow(ValueError):
    """Nothing of this row can be imported. The text says why and what to do."""


class BadFile(Exception):
    """Nothing of this file can be imported. The text says why and what to do."""


class Row(Struct):
    """One line's content. `sha256` is that of its canonical JSON: keys sorted, no spaces, fractions as texts."""

    line: int
    content: dict[str, Any]
    sha256: str


class Rejected(Struct):
    """A line and why nothing of it was stored."""

    line: int
    reason: str


class Offer(Struct):
    """A row in the venue's words. `amount` of `currency` is asked for `units` units; `statement` says whence it comes."""

    description: Description
    statement: str
    amount: Decimal
    currency: str
    units: int


# ---- the CSV template


class Column(Struct):
    name: str
    required: bool
    zh: str
    en: str
    example: str


COLUMNS: Final = (
    Column("title", True, "名称", "what buyers search for", "冷链仓储温度日报 Cold-chain temperatures"),
    Column("summary", True, "内容说明", "what is in it", "分仓库的日均温度。Daily mean by warehouse."),
    Column("price", True, "价格，十进制", "a decimal amount; 0 is free of charge", "0.035"),
    Column("currency", False, "币种，缺省 CNY", "CNY where empty; others need --rate", "CNY"),
    Column("units", False, "价格对应的单位数，缺省 1", "how many units the price is for; 1 where empty", "1"),
    Column(
        "fields",
        False,
        "数据项：名称:类型，分号分隔",
        "name:type, separated by semicolons",
        "day:date; celsius:number",
    ),
    Column("update_frequency", False, "更新频率", "how often it is renewed", "daily"),
    Column("quality_statement", False, "质量说明", "what is promised of its quality", "完整率不低于 99%"),
    Column("tags", False, "标签，分号分隔", "separated by semicolons", "冷链; logistics"),
    Column("source_statement", False, "来源声明", "where the data comes from", "自有传感器产生"),
)
"""The template's header, and the line of explanation that stands under it as a comment."""


def template() -> str:
    """CSV: the header and an example row. Lines above the header that start with # explain, and are passed over."""
    out = io.StringIO()
    out.write(
        "# 数集导入模板 Shuji import template: UTF-8, CSV (RFC 4180)；表头以上 # 开头的行不读取 "
        "lines with # in front are passed over above the header\n"
    )
    for column in COLUMNS:
        needed = "必填 required" if column.required else "可空 may be empty"
        out.write(f"# {column.name}: {column.zh} {column.en} ({needed})\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in COLUMNS])
    writer.writerow([column.example for column in COLUMNS])
    return out.getvalue()


# ---- reading


def read(path: Path) -> Iterator[Row | Rejected]:
    """Every row of the file, or why its line is none. Raises BadFile, OSError."""
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    first = next((line for line in content.splitlines() if line.strip()), b"")
    if not first:
        raise BadFile(f"{path} is empty")
    yield from _read_json(content) if first.lstrip().startswith((b"{", b"[")) else _read_csv(path, content)


def _row(line: int, content: dict[str, Any]) -> Row:
    canonical = msgspec.json.encode(content, order="sorted")
    return Row(line, content, hashlib.sha256(canonical).hexdigest())


_OBJECT: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
"""Fractions stay what is written: 0.1 is a tenth."""


def _read_json(content: bytes) -> Iterator[Row | Rejected]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield _row(number, _OBJECT.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            yield Rejected(number, f"the line is no JSON object: {error}")


def _read_csv(path: Path, content: bytes) -> Iterator[Row | Rejected]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8: {error}; save it as CSV in UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            # A title may start with #: comments stand above the header only.
            if any(cell.strip() for cell in cells) and (header or not cells[0].startswith("#")):
                if header:
                    yield _csv_row(line, header, cells)
                else:
                    header = _header(path, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        yield Rejected(line, f"the line cannot be read as CSV: {error}; nothing after it was read")


def _csv_row(line: int, header: list[str], cells: list[str]) -> Row | Rejected:
    """`line` is the one it begins in. Empty cells say nothing."""
    if len(cells) != len(header):
        return Rejected(line, f"the line has {len(cells)} cells, the header {len(header)}")
    filled = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    if lacking := [column.name for column in COLUMNS if column.required and not filled[column.name]]:
        return Rejected(line, f"{lacking[0]} is empty")
    return _row(line, {name: cell for name, cell in filled.items() if cell})


def _header(path: Path, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    known = [column.name for column in COLUMNS]
    if strange := [name for name in header if name not in known]:
        raise BadFile(
            f"{path}: the template has no column {strange[0]!r}; its columns are {', '.join(known)}"
        )
    if missing := [column.name for column in COLUMNS if column.required and column.name not in header]:
        raise BadFile(
            f"{path} lacks the column {missing[0]!r}; `shuji import --template` prints the template"
        )
    if len(set(header)) != len(header):
        raise BadFile(f"{path} has a column twice")
    return header


# ---- forms


def offer_of(content: Mapping[str, Any], base_url: str) -> Offer:
    """Raises BadRow."""
    for known, form in FORMS:
        if known <= content.keys():
            try:
                return _checked(form(content, base_url))
            except BadPrice as error:
                raise BadRow(str(error)) from error
    wanted = "; ".join(", ".join(sorted(known)) for known, _ in FORMS)
    raise BadRow(f"the row is of no known form; the forms have the fields {wanted}")


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name, "")
    if not isinstance(value, str):
        raise BadRow(f"{name} is a text, not {type(value).__name__}")
    return value.strip()


def _needed(content: Mapping[str, Any], name: str) -> str:
    if not (value := _text(content, name)):
        raise BadRow(f"{name} is empty")
    return value


def _texts(content: Mapping[str, Any], name: str) -> list[str]:
    values = content.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadRow(f"{name} is a list of texts")
    return values


def told(content: Mapping[str, Any], name: str) -> str:
    """A value of any kind as people read it; parts of a list one after the other."""
    value = content.get(name)
    if value is None:
        return ""
    return ", ".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _priced_api(content: Mapping[str, Any], base_url: str) -> Offer:
    url = _needed(content, "url")
    if PLACEHOLDER in url:
        if not base_url:
            raise BadRow(f"the address holds {PLACEHOLDER}: say what it stands for with --base-url")
        url = url.replace(PLACEHOLDER, base_url.rstrip("/"))
    if not url.startswith(("https://", "http://")):
        raise BadRow(f"the address {url[:80]!r} is no http address")
    description = Description(
        title=_needed(content, "name"),
        summary=_needed(content, "description"),
        fields=(Field(name="response", type="json", description=f"GET {url}"),),
        update_frequency="on request",
        quality_statement="",
        tags=tuple(_texts(content, "tags")),
    )
    amount = read_amount(content.get("price_usdc"))
    return Offer(description, f"HTTP API at {url}", amount, "USDC", 1)


def _open_data(content: Mapping[str, Any], base_url: str) -> Offer:
    tags = _texts(content, "Tags")
    description = Description(
        title=_needed(content, "Name"),
        summary=_needed(content, "Description"),
        fields=tuple(_resources(content)) or (Field(name="documentation", type="text"),),
        update_frequency=_text(content, "UpdateFrequency"),
        quality_statement="no longer kept by its manager" if content.get("Deprecated") is True else "",
        tags=tuple(tags),
    )
    said = [
        f"Managed by: {_needed(content, 'ManagedBy')}",
        f"Licence: {_needed(content, 'License')}",
        f"Documentation: {_text(content, 'Documentation')}",
    ]
    if len(tags) > MOST_TAGS:
        said.append(f"Further tags: {', '.join(tags[MOST_TAGS:])}")
    for name, also in (
        ("Categories", told(content, "ADXCategories")),
        ("Registry name", told(content, "slug")),
    ):
        said += [f"{name}: {also}"] if also else []
    return Offer(description, "\n".join(said), Decimal(0), LOCAL, 1)


def _resources(content: Mapping[str, Any]) -> Iterator[Field]:
    resources = content.get("Resources") or []
    if not isinstance(resources, list) or not all(isinstance(one, dict) for one in resources):
        raise BadRow("Resources is a list of objects")
    for number, resource in enumerate(resources, start=1):
        said = "; ".join(
            f"{name}: {told(resource, name)}" for name in resource if name != "Type" and told(resource, name)
        )
        yield Field(name=f"resource {number}", type=str(resource.get("Type", "resource")), description=said)


def _template_row(content: Mapping[str, Any], base_url: str) -> Offer:
    units = _text(content, "units") or "1"
    if not (units.isascii() and units.isdigit() and len(units) < 20 and 0 < int(units) <= MAX_UNITS):
        raise BadRow(f"units is a whole number from 1 to {MAX_UNITS}, not {units[:40]!r}")
    description = Description(
        title=_needed(content, "title"),
        summary=_needed(content, "summary"),
        fields=tuple(_fields(_text(content, "fields"))) or (Field(name="content", type="text"),),
        update_frequency=_text(content, "update_frequency"),
        quality_statement=_text(content, "quality_statement"),
        tags=tuple(_split(_text(content, "tags"))),
    )
    currency = (_text(content, "currency") or LOCAL).upper()
    statement = _text(content, "source_statement")
    return Offer(description, statement, read_amount(content.get("price")), currency, int(units))


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _fields(text: str) -> Iterator[Field]:
    for part in _split(text):
        name, colon, kind = part.partition(":")
        if not name.strip() or not colon or not kind.strip():
            raise BadRow(f"fields: {part[:80]!r} is not name:type")
        yield Field(name=name.strip(), type=kind.strip())


Form = Callable[[Mapping[str, Any], str], Offer]
FORMS: Final[tuple[tuple[frozenset[str], Form], ...]] = (
    (frozenset({"name", "url", "price_usdc"}), _priced_api),
    (frozenset({"Name", "ManagedBy", "License"}), _open_data),
    (frozenset({"title", "summary", "price"}), _template_row),
)
"""Fields that a row of this form has, and how it is read."""


def _checked(offer: Offer) -> Offer:
    """What the venue would refuse is refused here, before anything is stored. Raises BadRow."""
    description = offer.description
    if len(description.title) > MOST_TITLE:
        raise BadRow(f"the title has {len(description.title)} characters; at most {MOST_TITLE}")
    if len(description.fields) > MOST_FIELDS:
        raise BadRow(f"there are {len(description.fields)} fields; at most {MOST_FIELDS}")
    if any(len(tag) > MOST_TAG for tag in description.tags):
        raise BadRow(f"a tag has more than {MOST_TAG} characters")
    texts = [offer.statement, *(text for text in _strings(msgspec.to_builtins(description)))]
    if any(len(text) > MOST_TEXT for text in texts):
        raise BadRow(f"a text has more than {MOST_TEXT} characters")
    if any("\0" in text for text in texts):
        raise BadRow("a text holds a NUL character")
    kept = msgspec.structs.replace(description, tags=description.tags[:MOST_TAGS])
    return msgspec.structs.replace(offer, description=kept)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)
