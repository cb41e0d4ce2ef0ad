"""What each operation needs of a token: the whole table is walked, so that nothing is open by having been forgotten."""

import re

import pytest

from exchange.participant import GRANTED_ROLES
from exchange.web.operation import Operation
from exchange.web.routes import OPERATIONS
from exchange.web.scopes import (
    BITS,
    EVERYTHING,
    EXPLICIT,
    OF_TAG,
    SCOPES,
    SHARED,
    bits_of,
    names_of,
    scope_of,
)

OFFICES = {*GRANTED_ROLES, "operators"}
NAMED = {f"{operation.method} {operation.path}": operation for operation in OPERATIONS}


def offices_alone(operation: Operation) -> bool:
    """Whether the summary says that only offices may: "(reviewer, operator)"."""
    who = re.search(r"\(([a-z, ]+)\)[^()]*$", operation.summary)
    return who is not None and set(who[1].split(", ")) <= OFFICES


def test_every_operation_has_a_scope() -> None:
    assert {operation.scope for operation in OPERATIONS} <= set(SCOPES)
    assert [operation.tag for operation in OPERATIONS if operation.tag not in OF_TAG] == []


def test_what_only_offices_may_needs_the_scope_of_offices() -> None:
    changing = [one for one in OPERATIONS if one.method != "GET" and one.signed_in]
    found = [one for one in changing if offices_alone(one)]
    assert len(found) > 40
    assert [f"{one.method} {one.path}" for one in found if one.scope != "office"] == []


def test_what_changes_something_is_not_for_readers() -> None:
    """But for what only computes, and for ending a session."""
    harmless = {name for name, scope in EXPLICIT.items() if scope == "read"}
    assert harmless == {
        "POST /v1/rulebook/verdicts",
        "POST /v1/entitlements/check",
        "POST /v1/bills/quote",
        "DELETE /v1/sessions/{session}",
    }
    lax = [
        f"{one.method} {one.path}"
        for one in OPERATIONS
        if one.signed_in and one.method != "GET" and one.scope == "read"
    ]
    assert set(lax) == harmless


def test_the_table_names_operations_that_there_are() -> None:
    assert sorted({*EXPLICIT, *SHARED} - NAMED.keys()) == []
    assert {NAMED[name].is_shared for name in SHARED} == {True}


def test_a_tag_that_was_forgotten_needs_the_widest_scope() -> None:
    assert scope_of("POST", "/v1/moonshine", "moonshine") == "account"
    assert scope_of("GET", "/v1/moonshine", "moonshine") == "read"


@pytest.mark.parametrize("bits", range(EVERYTHING + 1))
def test_bits_and_names_say_the_same(bits: int) -> None:
    assert bits_of(names_of(bits)) == bits
    assert bits_of([*names_of(bits), *names_of(bits)]) == bits


def test_the_table_of_bits_is_as_wide_as_there_are_scopes() -> None:
    assert sum(BITS.values()) == EVERYTHING == 63
