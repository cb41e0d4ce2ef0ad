"""What `shuji import` and `shuji review` do: rows into listings, and a reviewer's decision on many of them at once."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from tqdm import tqdm

from exchange.client import Client, Refusal, VenueUnreachable
from exchange.importing import forms, profile
from exchange.importing.forms import BadFile, BadRow, Rejected, Row
from exchange.importing.journey import Item, Journey, Result, approve, ask, every, register, venue_now
from exchange.importing.price import BadPrice, price_of, read_rates
from exchange.importing.profile import BadProfile, Profile
from exchange.settings import venue_url
from exchange.terminal import Arguments, UsageError, print_json

_TODO: Final = {
    "none": "apply first: POST /v1/participants/me/accreditation",
    "applied": "a reviewer has yet to decide on its application",
    "under_review": "a reviewer waits for documents, or has yet to look at them (GET /v1/participants/me/accreditation)",
    "expired": "its accreditation has expired: ask a reviewer to renew it",
}
SHOWN: Final = 20
"""Rejected lines that are printed; --json has all."""


class Summary(Struct):
    """What became of the rows. `rounded` prices are not exactly those of the rows; listings that are counted as
    `differing` stand with other facts or terms than file, profile and rate give.
    """

    rows: int
    imported: int
    unchanged: int
    rounded: int
    differing: int
    states: dict[str, int]
    rejected: list[Rejected]


def run_import(arguments: Arguments) -> int:
    if arguments.template:
        print(forms.template(), end="")
        return 0
    if arguments.example_profile:
        print(profile.example(arguments.example_profile), end="")
        return 0
    try:
        summary = _import(arguments)
    except (BadFile, BadProfile, BadPrice) as error:
        raise UsageError(str(error)) from error
    if arguments.json:
        print_json(msgspec.to_builtins(summary))
    else:
        print("\n".join(_told(summary)))
    return 1 if summary.rejected else 0


def _import(arguments: Arguments) -> Summary:
    key = arguments.merchant or os.environ.get("SHUJI_KEY")
    if not arguments.file or not arguments.board or not key:
        raise UsageError("give a FILE, its --board and the key file of its --merchant")
    chosen = profile.read(Path(arguments.profile)) if arguments.profile else None
    if arguments.reviewer and chosen is None:
        raise UsageError("--reviewer confirms facts, and there are none without --profile")
    rates = read_rates(arguments.rate)
    lines = list(forms.read(Path(arguments.file)))
    items, rejected = _items(lines, chosen, rates, arguments.base_url)
    url = venue_url(os.environ, arguments.url)
    with ExitStack() as stack:
        merchant = stack.enter_context(Client(url, Path(key)))
        reviewer = stack.enter_context(Client(url, Path(arguments.reviewer))) if arguments.reviewer else None
        _check_people(merchant, reviewer, arguments.board)
        journey = Journey(arguments.board, merchant, reviewer, chosen, venue_now(merchant))
        journey.look_around()
        results = list(_travel(journey, items))
    return _summary(lines, items, rejected, results)


def _items(
    lines: Iterable[Row | Rejected], chosen: Profile | None, rates: Any, base_url: str
) -> tuple[list[Item], list[Rejected]]:
    """Rows that can be sent; a row that stands in the file twice is sent once."""
    items: list[Item] = []
    rejected: list[Rejected] = []
    seen: dict[str, int] = {}
    for line in lines:
        if isinstance(line, Rejected):
            rejected.append(line)
            continue
        try:
            offer = forms.offer_of(line.content, base_url)
            price = price_of(offer.amount, offer.currency, offer.units, rates)
        except (BadRow, BadPrice) as error:
            rejected.append(Rejected(line.line, str(error)))
            continue
        if seen.setdefault(line.sha256, line.line) == line.line:
            facts = chosen.facts(line.content) if chosen is not None else None
            items.append(Item(line, offer, price, facts))
    return items, rejected


def _check_people(merchant: Client, reviewer: Client | None, board: str) -> None:
    """Said once, before the first row. Raises UsageError."""
    me = ask(merchant, "GET", "/v1/participants/me")
    if me["credential"] not in ("accredited", "restricted"):
        todo = _TODO.get(me["credential"], f"its accreditation is {me['credential']}: ask a reviewer")
        raise UsageError(f"{me['participant']} {me['legal_name']} is no accredited merchant: {todo}")
    boards = {row["board"]: row["mechanisms"] for row in ask(merchant, "GET", "/v1/boards")["items"]}
    if board not in boards:
        raise UsageError(f"there is no board {board}; boards are {', '.join(boards)}")
    if "posted_price" not in boards[board]:
        raise UsageError(f"the board {board} has no posted prices, and an import lists at them")
    if reviewer is not None:
        named = ask(reviewer, "GET", "/v1/participants/me")
        if "reviewer" not in named["roles"]:
            raise UsageError(f"{named['participant']} has not the role reviewer")


def _travel(journey: Journey, items: list[Item]) -> Iterator[Result | Rejected]:
    with tqdm(total=len(items), unit=" rows", disable=None, leave=False) as bar:
        try:
            yield from journey.take(items, bar.update)
        except VenueUnreachable as error:
            raise VenueUnreachable(
                f"{error}\nrun the same import again: it goes on where it stopped"
            ) from error


def _summary(
    lines: list[Row | Rejected],
    items: list[Item],
    rejected: list[Rejected],
    results: list[Result | Rejected],
) -> Summary:
    gone = [one for one in results if isinstance(one, Result)]
    refused = [one for one in results if isinstance(one, Rejected)]
    imported = sum(one.did > 0 for one in gone)
    return Summary(
        rows=len(lines),
        imported=imported,
        unchanged=len(lines) - len(rejected) - len(refused) - imported,
        rounded=sum(item.price.rounded for item in items),
        differing=sum(one.differs for one in gone),
        states=dict(sorted(Counter(one.state for one in gone).items())),
        rejected=sorted([*rejected, *refused], key=lambda one: one.line),
    )


def _told(summary: Summary) -> Iterator[str]:
    yield (
        f"共 {summary.rows} 行：导入 {summary.imported}，未变 {summary.unchanged}，拒绝 {len(summary.rejected)} · "
        f"{summary.rows} rows: {summary.imported} imported, {summary.unchanged} unchanged, {len(summary.rejected)} rejected"
    )
    if summary.states:
        yield "挂牌状态 listings: " + ", ".join(f"{count} {state}" for state, count in summary.states.items())
    if "draft" in summary.states:
        yield "草稿等待事实或登记 drafts wait for facts (--profile) or registration (--reviewer, or `shuji review`)"
    if summary.rounded:
        yield f"{summary.rounded} 个价格按千单位取整到分 prices were rounded to the fen for a thousand times the units"
    if summary.differing:
        yield (
            f"{summary.differing} 个挂牌的事实或条款与本次不同，未改动；条款：撤回后再导入；事实：修改产品 "
            "listings stand with other facts or terms and were left alone; "
            "terms: withdraw the listing and import again; facts: amend the product"
        )
    yield from _told_rejected(summary.rejected)


def _told_rejected(rejected: list[Rejected]) -> Iterator[str]:
    """What all of them lack is said once."""
    if len(rejected) > 1 and len({one.reason for one in rejected}) == 1:
        first, last = rejected[0].line, rejected[-1].line
        yield f"第 {first} 至 {last} 行均 all {len(rejected)}, lines {first} to {last}: {rejected[0].reason}"
        return
    for one in rejected[:SHOWN]:
        yield f"第 {one.line} 行 line {one.line}: {one.reason}"
    if len(rejected) > SHOWN:
        yield f"... {len(rejected) - SHOWN} more; --json names all"


# ---- review


class Reviewed(Struct):
    """`refusals` are the venue's: what the law forbids is not registered by wanting it."""

    products: int = 0
    listings: int = 0
    drafts: int = 0
    refusals: list[str] = []


def run_review(arguments: Arguments) -> int:
    key = arguments.reviewer or os.environ.get("SHUJI_KEY")
    if not key:
        raise UsageError("give the key file of the --reviewer")
    if arguments.decision != "approve" and not arguments.reason:
        raise UsageError(f"--decision {arguments.decision} needs a --reason")
    with Client(venue_url(os.environ, arguments.url), Path(key)) as reviewer:
        reviewed = _review(reviewer, arguments)
    if arguments.json:
        print_json(msgspec.to_builtins(reviewed))
    else:
        print(f"{reviewed.products} 个产品、{reviewed.listings} 个挂牌已决定 products and listings decided")
        if reviewed.drafts:
            print(f"{reviewed.drafts} 个草稿缺事实，未决定 drafts lack facts and were left alone")
        for refusal in reviewed.refusals[:SHOWN]:
            print(refusal)
    return 1 if reviewed.refusals else 0


def _review(reviewer: Client, arguments: Arguments) -> Reviewed:
    reviewed = Reviewed()
    evidence = _sha256(arguments.profile)
    products = [
        one
        for one in every(reviewer, "/v1/products?state=pending")
        if arguments.merchant in ("", one["merchant"]) and evidence in ("", one["evidence"]["authorisation"])
    ]
    now = venue_now(reviewer)
    until = (now + timedelta(days=arguments.valid_days)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for product in tqdm(products, unit=" products", disable=None, leave=False):
        if product["classification"]["origin"] == "unknown":
            reviewed.drafts += 1
            continue
        try:
            _decide(reviewer, product, arguments, until)
            reviewed.products += 1
        except Refusal as refusal:
            reviewed.refusals.append(f"{product['product']}: {' '.join(str(refusal).split())}")
    within = _of_profile(reviewer, evidence)
    for listing in list(every(reviewer, "/v1/listings?state=submitted")):
        if arguments.merchant in ("", listing["merchant"]) and within(listing["product"]):
            _decide_listing(reviewer, listing, arguments, reviewed)
    return reviewed


def _of_profile(reviewer: Client, evidence: str) -> Callable[[str], bool]:
    """Whether a product has its facts from the profile; without one every product."""
    if not evidence:
        return lambda product: True
    products = every(reviewer, "/v1/products?state=registered")
    named = {one["product"] for one in products if one["evidence"]["authorisation"] == evidence}
    return named.__contains__


def _decide(reviewer: Client, product: dict[str, Any], arguments: Arguments, until: str) -> None:
    if arguments.decision == "approve":
        register(reviewer, product, arguments.right or ["product_operation"], until)
        return
    body = {"decision": arguments.decision, "reasons": arguments.reason}
    ask(reviewer, "POST", f"/v1/products/{product['product']}/decision", body)


def _decide_listing(
    reviewer: Client, listing: dict[str, Any], arguments: Arguments, reviewed: Reviewed
) -> None:
    """What is not approved is returned to its merchant: a listing is not refused for good."""
    try:
        if arguments.decision == "approve":
            tariff = _sha256(arguments.tariff) if listing["origin"] == "public" else ""
            approve(reviewer, listing["listing"], tariff)
        else:
            ask(reviewer, "POST", f"/v1/listings/{listing['listing']}/return", {"reasons": arguments.reason})
        reviewed.listings += 1
    except Refusal as refusal:
        reviewed.refusals.append(f"{listing['listing']}: {' '.join(str(refusal).split())}")


def _sha256(path: str | None) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
