"""Issue, "API and command line", first half: what every client may rely on."""

import re
from typing import Any

import pytest

from tests.story import PROBLEM, Person, Venue, done, has_chinese, parsed, refused

ORDER_PATHS = [("/v1/orders", "post"), ("/v1/orders/batch", "post"), ("/v1/orders/{id}", "delete")]
PATHS = """
/healthz /readyz /v1/venue /v1/boards /v1/boards/{} /v1/rules /v1/rules/{} /v1/catalogue /v1/listings/{}
/v1/listings/{}/book /v1/products/{} /v1/products/{}/sample /v1/participants /v1/participants/me
/v1/participants/me/identity /v1/participants/me/key /v1/participants/{}/key /v1/participants/{}/status
/v1/participants/{}/role-revocations
/v1/participants/{} /v1/login /v1/login/challenge /v1/participants/{}/roles /v1/participants/{}/identity
/v1/participants/me/accreditation /v1/participants/{}/accreditation /v1/participants/{}/ban
/v1/participants/{}/personal /v1/products /v1/products/{}/decision /v1/products/{}/facts
/v1/products/{}/confirmations /v1/products/{}/records /v1/listings /v1/cash-in /v1/accounts/me /v1/accounts
/v1/statement /v1/orders /v1/orders/batch /v1/orders/{} /v1/trade-reports /v1/trade-reports/{} /v1/trades /v1/trades/{}
/v1/files
/v1/trades/{}/delivery /v1/trades/{}/acceptance /v1/trades/{}/rejection /v1/entitlements /v1/entitlements/{}
/v1/entitlements/{}/key /v1/entitlements/{}/content /v1/entitlements/check /v1/holds /v1/holds/{}/cure
/v1/orders/ws /v1/feed /v1/feed/events /v1/listings/{}/market /v1/listings/{}/bars /v1/listings/{}/trades
/v1/refusals /v1/credit/me /v1/credit/{} /v1/operations /v1/clock/advance /v1/clock/accept /v1/journal
"""
CODES = """
malformed not_signed_in signature_wrong forbidden own_case not_found id_conflict id_expired already_exists
wrong_state out_of_bounds evidence_missing identity_invalid outside_terms mechanism_not_allowed not_verified
not_accredited standing_denied listing_closed halted unlawful supply_exhausted funds_insufficient units_insufficient
nothing_to_match quarantined overloaded storage_unavailable too_large file_mismatch clock_is_real
"""


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant)


@pytest.fixture(scope="module")
def document(venue: Venue) -> dict[str, Any]:
    opened: dict[str, Any] = done(venue.http.get("/openapi.json"), 200)
    return opened


# -- open doors


def test_health_and_readiness(venue: Venue) -> None:
    assert done(venue.http.get("/healthz"), 200) == {"status": "ok"}
    ready = done(venue.http.get("/readyz"), 200)
    assert {"status", "engine", "database", "tables", "clock"} <= set(ready)


def test_the_venue_says_what_it_is(venue: Venue) -> None:
    seen = done(venue.http.get("/v1/venue"), 200)
    assert seen["name"]
    assert seen["jurisdiction"]
    assert re.fullmatch(r"[0-9a-f]{64}", seen["rulebook"]["sha256"])
    assert seen["rulebook"]["rules"] >= 30
    assert {"general", "public_data", "computing"} <= set(seen["boards"])
    assert seen["clock"]["simulated"] is True


def test_the_front_page_says_what_to_do_next(venue: Venue) -> None:
    page = venue.http.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "shuji" in page.text
    chinese = venue.http.get("/", headers={"Accept": "text/html", "Accept-Language": "zh-CN"})
    assert has_chinese(chinese.text)
    assert isinstance(done(venue.http.get("/", headers={"Accept": "application/json"}), 200), dict)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_work_offline(venue: Venue, path: str) -> None:
    page = venue.http.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=[\"'](https?:)?//", page.text)


# -- OpenAPI


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    verbs = ("get", "post", "put", "delete", "patch")
    return [
        (path, verb, found)
        for path, item in document["paths"].items()
        for verb, found in item.items()
        if verb in verbs
    ]


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")


def test_every_route_of_the_contract_is_documented(document: dict[str, Any]) -> None:
    documented = {re.sub(r"\{[^}]*\}", "{}", path) for path in document["paths"]}
    assert [path for path in PATHS.split() if path not in documented] == []


def test_orders_are_documented_all_the_same(document: dict[str, Any]) -> None:
    by_shape = {
        (re.sub(r"\{[^}]*\}", "{id}", path), verb): found for path, verb, found in operations(document)
    }
    for path, verb in ORDER_PATHS:
        operation = by_shape[path, verb]
        assert {"401", "404", "503"} <= set(operation["responses"]), (path, verb)
        if verb == "post":
            assert operation["requestBody"]["content"]["application/json"]["schema"]


def examples_of(document: dict[str, Any], content: dict[str, Any]) -> list[Any]:
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [
        *content.get("examples", {}).values(),
        *([content["example"]] if "example" in content else []),
        *schema.get("examples", []),
    ]


def test_bodies_have_real_examples(document: dict[str, Any]) -> None:
    lacking = []
    for path, verb, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is not None and not examples_of(document, content):
            lacking.append(f"{verb} {path}")
    assert lacking == []


def test_the_document_does_not_change_from_start_to_start(venue: Venue, document: dict[str, Any]) -> None:
    assert venue.stop() == 0
    venue.restart()
    assert venue.http.get("/openapi.json").json() == document


# -- problems


def test_errors_are_problems(venue: Venue, buyer: Person) -> None:
    refused(venue.http.get("/v1/accounts/me"), 401, "not_signed_in")
    refused(buyer.get("/v1/listings/L999999"), 404, "not_found")
    refused(buyer.get("/v1/nothing/here"), 404)
    refused(buyer.ask("PATCH", "/v1/orders"), 405)


@pytest.mark.parametrize("code", CODES.split())
def test_every_code_has_its_page(venue: Venue, code: str) -> None:
    page = venue.http.get(f"/problems/{code}")
    assert page.status_code == 200
    assert code in page.text


def test_a_problem_says_what_to_do(venue: Venue, listing: str) -> None:
    newcomer = venue.participant("buyer")
    problem = refused(venue.order(newcomer, listing), 403, "not_verified")
    assert len(problem["detail"]) > 20
    assert problem["type"].endswith("/problems/not_verified")


# -- pages of lists


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/trades", "/v1/statement", "/v1/entitlements"])
def test_lists_are_paged_by_cursor_and_link(venue: Venue, buyer: Person, listing: str, path: str) -> None:
    while len(list(buyer.every(path))) < 5:
        venue.trade(buyer, listing)
    whole = list(buyer.every(path, limit=100))
    paged = list(buyer.every(path, limit=2))
    assert paged == whole
    first = buyer.get(path, limit=2)
    assert len(first.json()["items"]) == 2
    assert 'rel="next"' in first.headers["link"]
    second = buyer.get(path, limit=2, cursor=first.json()["next"]).json()
    assert second["items"] == whole[2:4]


def test_the_last_page_has_no_next(buyer: Person) -> None:
    last = done(buyer.get("/v1/trades", limit=100), 200)
    assert last["next"] is None
    assert "next" not in buyer.get("/v1/trades", limit=100).links


@pytest.mark.parametrize("parameters", [{"limit": 0}, {"limit": -1}, {"limit": "x"}, {"cursor": "nonsense"}])
def test_bad_pages_are_clear_errors(buyer: Person, parameters: dict[str, Any]) -> None:
    refused(buyer.get("/v1/trades", **parameters), 400)


def test_a_page_is_bounded(buyer: Person) -> None:
    answer = buyer.get("/v1/trades", limit=10**9)
    assert answer.status_code == 400 or len(answer.json()["items"]) <= 1_000


# -- the catalogue


@pytest.fixture(scope="module")
def shelf(venue: Venue, merchant: Person) -> dict[str, str]:
    """Three listings that differ in everything the catalogue is searched by."""
    weather = venue.product(
        merchant,
        description={"title": "海口市逐小时气象观测 Hourly weather of Haikou", "tags": ["weather"]},
        classification={"data_class": "important"},
    )
    compute = venue.product(merchant, description={"title": "智能算力时 Intelligent computing hours"})
    lakes = venue.product(
        merchant,
        description={"title": "湖泊水质公报 Lake water quality bulletin"},
        classification={"origin": "public", "open_class": "unconditional"},
    )
    shelf = {
        "weather": venue.listing(merchant, weather, price_fen=11_100),
        "compute": venue.book_listing(merchant, product=compute, price_fen=22_200),
        "lakes": venue.listing(merchant, lakes, board="public_data", price_fen=33_300),
    }
    venue.listing(merchant, weather, price_fen=44_400)
    return shelf


def found(venue: Venue, **parameters: Any) -> set[str]:
    return {item["listing"] for item in venue.desk.every("/v1/catalogue", **parameters)}


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"q": "气象观测"}, "weather"),
        ({"q": "气"}, "weather"),
        ({"q": "weather haikou"}, "weather"),
        ({"q": "WEATHER"}, "weather"),
        ({"q": "智能算力"}, "compute"),
        ({"q": "水质 bulletin"}, "lakes"),
        ({"board": "computing"}, "compute"),
        ({"origin": "public"}, "lakes"),
        ({"grade": "important"}, "weather"),
        ({"mechanism": "continuous_auction"}, "compute"),
        ({"price_min": 33_300, "price_max": 33_300}, "lakes"),
        ({"price_max": 11_100}, "weather"),
        ({"q": "湖泊", "board": "public_data", "price_min": 1}, "lakes"),
    ],
)
def test_the_catalogue_is_searched(
    venue: Venue, shelf: dict[str, str], parameters: dict[str, Any], name: str
) -> None:
    listings = found(venue, **parameters)
    assert shelf[name] in listings
    assert not {listing for other, listing in shelf.items() if other != name} & listings


@pytest.mark.parametrize("q", ["气观", "rewhtae", "100%", "_", "' OR 1=1 --", "\\"])
def test_what_nobody_wrote_is_not_found(venue: Venue, shelf: dict[str, str], q: str) -> None:
    assert found(venue, q=q) & set(shelf.values()) == set()


def test_the_catalogue_is_open_to_all_and_shows_what_is_for_sale(
    venue: Venue, shelf: dict[str, str], merchant: Person
) -> None:
    items = done(venue.http.get("/v1/catalogue", params={"q": "逐小时气象", "limit": 100}), 200)["items"]
    [item] = [item for item in items if item["listing"] == shelf["weather"]]
    assert item["merchant"] == merchant.participant
    assert item["grade"] == "important"
    assert (item["price_fen"], item["price_per_units"], item["mechanism"]) == (11_100, 1, "posted_price")
    assert (item["right"], item["deal"], item["supply"]) == ("product_operation", "licence", "unlimited")


# -- batches of orders


def element(listing: str, **changes: Any) -> dict[str, Any]:
    return {"listing": listing, "quantity": 1, "purpose": "market_analysis", **changes}


def test_a_batch_answers_each_element_in_order(venue: Venue, buyer: Person, listing: str) -> None:
    batch = [element(listing), element("L999999"), element(listing, purpose="advertising"), element(listing)]
    results = done(buyer.post("/v1/orders/batch", batch), 200)["results"]
    assert [result["status"] for result in results] == [201, 404, 422, 201]
    assert [results[index]["problem"]["index"] for index in (1, 2)] == [1, 2]
    assert results[1]["problem"]["code"] == "not_found"
    assert results[0]["order"]["order"] != results[3]["order"]["order"]


def test_a_malformed_element_is_named_and_nothing_is_placed(
    venue: Venue, buyer: Person, listing: str
) -> None:
    before = [item["order"] for item in buyer.every("/v1/orders", limit=100)]
    batch: list[Any] = [
        element(listing),
        element(listing),
        element(listing, quantity="two"),
        element(listing),
    ]
    problem = refused(buyer.post("/v1/orders/batch", batch), 400, "malformed")
    assert problem["index"] == 2
    assert [item["order"] for item in buyer.every("/v1/orders", limit=100)] == before


def test_a_thousand_orders_at_once_and_no_more(venue: Venue, listing: str) -> None:
    rich = venue.buyer(cash_fen=100_000_000)
    results = done(rich.post("/v1/orders/batch", [element(listing)] * 1_000), 200)["results"]
    assert [result["status"] for result in results] == [201] * 1_000
    assert rich.balance == 100_000_000 - 1_000 * 50_000
    answer = rich.post("/v1/orders/batch", [element(listing)] * 1_001)
    assert answer.status_code in (400, 413, 422), answer.text
    refused(answer, answer.status_code)


def test_a_batch_repeats_by_id_too(venue: Venue, buyer: Person, listing: str) -> None:
    batch = [element(listing, client_order_id=venue.new_id()) for _ in range(3)]
    first = buyer.post("/v1/orders/batch", batch)
    again = buyer.post("/v1/orders/batch", batch)
    assert again.json() == first.json()


# -- plain values


def test_instants_have_a_zone(venue: Venue, buyer: Person, listing: str) -> None:
    trade = venue.read_trade(venue.trade(buyer, listing), buyer)
    assert parsed(trade["dates"]["delivery_due"]) > venue.now()
    assert parsed(trade["verdict"]["at"]) <= venue.now()


def test_answers_are_json(venue: Venue, buyer: Person, listing: str) -> None:
    assert venue.order(buyer, listing).headers["content-type"].startswith("application/json")
    assert buyer.get("/v1/orders/none").headers["content-type"].startswith(PROBLEM)
