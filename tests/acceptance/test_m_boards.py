"""Issue 5, "Boards": each a TOML file with its product fields, mechanisms, extra rules, fees, host.

What the checks expect; more members are welcome:

    GET /v1/boards/{board} -> {mechanisms, fee_bp, host, rules: [{id, source, zh, en}], fields: [{name,
        type: text | integer | boolean | choice | date | list, unit, required, choices, least, most, zh, en}]}
    POST /v1/listings {product, board, terms, attributes: {field: value}}, held against the fields when it is drafted
"""

import tomllib
from typing import Any

import pytest

from tests.story import ROOT, Person, Venue, done, has_chinese, refused

BOARDS = ("general", "public_data", "health", "transport", "computing", "data_ip", "open_research")
SPECIAL = BOARDS[1:]
"""Those of one industry, which ask for fields of their own."""
LAWFUL_ANYWHERE = {"posted_price", "off_venue", "sealed_bid", "lawful_auction", "quote", "tender", "metered"}
"""Without approval of central trading: posted price, negotiation and lawful auction (国发〔2011〕38号)."""
RUN_STATE = ["标识", "控制模式", "位置", "运动状态", "感知", "灯光", "360", "车内", "远程控制", "故障"]
"""运行状态信息 of automated vehicles, 10 items (自动驾驶汽车运输安全服务指南): a word of each."""


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


def shown(venue: Venue, board: str) -> dict[str, Any]:
    seen: dict[str, Any] = done(venue.http.get(f"/v1/boards/{board}"), 200)
    return seen


def fields(venue: Venue, board: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown(venue, board)["fields"]
    return found


def some(venue: Venue, field: dict[str, Any]) -> Any:
    """A value that the field takes."""
    if field.get("choices"):
        return list(field["choices"]) if field["type"] == "list" else field["choices"][0]
    return {
        "integer": field.get("least") or field.get("most") or 0,
        "boolean": True,
        "date": venue.in_days(-30)[:10],
        "list": ["示例"],
    }.get(field["type"], "示例 example")


def filled(venue: Venue, board: str) -> dict[str, Any]:
    return {field["name"]: some(venue, field) for field in fields(venue, board)}


def drafted(venue: Venue, merchant: Person, board: str, attributes: dict[str, Any]) -> Any:
    body = {"product": venue.product(merchant), "board": board, "terms": venue.terms()}
    return merchant.post("/v1/listings", {**body, "attributes": attributes})


def test_seven_boards_out_of_the_box(venue: Venue) -> None:
    assert {row["board"] for row in done(venue.http.get("/v1/boards"), 200)["items"]} >= set(BOARDS)


@pytest.mark.parametrize("board", BOARDS)
def test_each_is_a_file_that_says_all_of_it(venue: Venue, board: str) -> None:
    written = tomllib.loads((ROOT / "exchange" / "boards" / f"{board}.toml").read_text(encoding="utf-8"))
    seen = shown(venue, board)
    for member in ("mechanisms", "fee_bp", "host"):
        assert seen[member] == written[member]
    assert [field["name"] for field in seen["fields"]] == [
        field["name"] for field in written.get("fields", [])
    ]
    assert [rule["id"] for rule in seen["rules"]] == [rule["id"] for rule in written.get("rules", [])]


@pytest.mark.parametrize("board", SPECIAL)
def test_each_industry_asks_for_fields_of_its_own(venue: Venue, board: str) -> None:
    found = fields(venue, board)
    assert any(field["required"] for field in found)
    for field in found:
        assert has_chinese(field["zh"]), field
        assert field["en"], field
        assert not has_chinese(field["en"]), field


def test_extra_rules_say_where_they_come_from(venue: Venue) -> None:
    rules = [rule for board in BOARDS for rule in shown(venue, board)["rules"]]
    assert len(rules) >= 3
    for rule in rules:
        assert has_chinese(rule["zh"]), rule
        assert rule["source"], rule
        assert rule["en"], rule


def test_the_general_board_has_what_needs_no_approval(venue: Venue) -> None:
    assert set(shown(venue, "general")["mechanisms"]) == LAWFUL_ANYWHERE


def test_an_order_book_only_where_central_trading_was_approved(venue: Venue) -> None:
    for row in done(venue.http.get("/v1/boards"), 200)["items"]:
        seen = shown(venue, row["board"])
        assert set(seen["mechanisms"]) - LAWFUL_ANYWHERE <= {"continuous_auction", "call_auction"}
        assert seen["central_trading_approved"] or "continuous_auction" not in seen["mechanisms"]


def test_each_takes_its_own_fee(venue: Venue, merchant: Person) -> None:
    for board in ("general", "computing"):
        buyer = venue.buyer()
        body = {"product": venue.product(merchant), "board": board, "terms": venue.terms(price_fen=100_000)}
        asked = {field["name"]: some(venue, field) for field in shown(venue, board).get("fields", [])}
        if asked:
            body["attributes"] = asked
        listing = done(merchant.post("/v1/listings", body), 201)["listing"]
        done(venue.move(listing, "submit", merchant))
        done(venue.move(listing, "approve", venue.desk))
        trade = venue.read_trade(venue.trade(buyer, listing), buyer)
        assert trade["fee_fen"] == 10 * shown(venue, board)["fee_bp"]


# -- fields


@pytest.mark.parametrize("board", SPECIAL)
def test_what_a_board_asks_for_is_needed(venue: Venue, merchant: Person, board: str) -> None:
    whole = filled(venue, board)
    needed = next(field["name"] for field in fields(venue, board) if field["required"])
    for wrong in ({}, {name: value for name, value in whole.items() if name != needed}):
        answer = drafted(venue, merchant, board, wrong)
        assert answer.status_code in (400, 422), answer.text
        assert needed in answer.text, "it says which is missing"
    listing = done(drafted(venue, merchant, board, whole), 201)["listing"]
    assert done(merchant.get(f"/v1/listings/{listing}"), 200)["attributes"] == whole


@pytest.mark.parametrize("board", SPECIAL)
def test_what_is_no_value_of_a_field_is_refused(venue: Venue, merchant: Person, board: str) -> None:
    whole = filled(venue, board)
    for field in fields(venue, board):
        wrong: list[Any] = [{"an": "object"}]
        if field.get("choices"):
            wrong.append("moonshine")
        if field["type"] == "integer":
            wrong += ["many"] + ([field["least"] - 1] if field.get("least") is not None else [])
        for value in wrong:
            answer = drafted(venue, merchant, board, {**whole, field["name"]: value})
            assert answer.status_code in (400, 422), (field, value)
            assert field["name"] in answer.text
    answer = drafted(venue, merchant, board, {**whole, "nobody_asked": 1})
    assert answer.status_code in (400, 422), answer.text


def test_transport_asks_for_ten_run_state_items_and_90_seconds(venue: Venue, merchant: Person) -> None:
    """A record of automated driving holds at least the 90 s before an accident; shorter ones are not listed."""
    text = str(shown(venue, "transport"))
    assert [word for word in RUN_STATE if word not in text] == []
    [record] = [field for field in fields(venue, "transport") if field.get("least") == 90]
    short = {**filled(venue, "transport"), record["name"]: 89}
    answer = drafted(venue, merchant, "transport", short)
    assert answer.status_code in (400, 422), answer.text


def test_computing_tells_its_kinds_and_its_storage(venue: Venue) -> None:
    choices = [set(field["choices"]) for field in fields(venue, "computing") if field.get("choices")]
    assert any(kinds >= {"general", "intelligent", "super"} for kinds in choices), (
        "and edge, as the plan has it"
    )
    assert {"hot", "warm", "cold"} in choices


def test_open_research_tells_licence_embargo_and_consent(venue: Venue) -> None:
    names = " ".join(field["name"] for field in fields(venue, "open_research"))
    for word in ("licence", "embargo", "consent"):
        assert word in names


def test_an_embargo_is_held(venue: Venue, merchant: Person) -> None:
    """Refused when it is drafted, submitted, approved or ordered: whichever comes first, with the board's rule."""
    [embargo] = [field for field in fields(venue, "open_research") if "embargo" in field["name"]]
    assert embargo["type"] == "date"
    later = {**filled(venue, "open_research"), embargo["name"]: venue.in_days(30)[:10]}
    answer = drafted(venue, merchant, "open_research", later)
    if answer.status_code == 201:
        listing = answer.json()["listing"]
        for step, person in (("submit", merchant), ("approve", venue.desk)):
            answer = venue.move(listing, step, person) if answer.is_success else answer
        answer = venue.order(venue.buyer(), listing) if answer.is_success else answer
    refused(answer, 422)
    assert any(rule["id"] in answer.text for rule in shown(venue, "open_research")["rules"]), answer.text


@pytest.mark.parametrize("board", ["general", "public_data", "open_research"])
def test_no_book_and_no_call_auction_without_approval(venue: Venue, merchant: Person, board: str) -> None:
    terms = venue.terms(mechanism="continuous_auction", supply="limited", supply_units=100)
    body = {"product": venue.product(merchant), "board": board, "terms": terms}
    asked = filled(venue, board)
    if asked:
        body["attributes"] = asked
    refused(merchant.post("/v1/listings", body), 422, "mechanism_not_allowed")
    answer = venue.operator.post(f"/v1/boards/{board}/session", {"phase": "call_auction", "reason": "测试"})
    refused(answer, 422, "mechanism_not_allowed")
