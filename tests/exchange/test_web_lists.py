"""Lists that are read from memory: in order, each row once, and a page never looks at more than so many ids."""

from collections.abc import Callable

import pytest

from exchange.web import participants
from exchange.web.operation import Paging
from exchange.web.participants import page_of
from exchange.web.problem import Refusing


def pages(rows: dict[str, int], last: int, limit: int, wanted: Callable[[int], bool]) -> list[list[int]]:
    found, cursor = [], ""
    while True:
        page, cursor = page_of(rows, "L", last, Paging(limit=limit, cursor=cursor), wanted)
        found.append(page)
        if not cursor:
            return found


def numbered(*numbers: int) -> dict[str, int]:
    return {f"L{number}": number for number in numbers}


def test_pages_hold_each_row_once_and_in_order() -> None:
    rows = numbered(*range(1, 8))
    assert pages(rows, 7, 3, lambda row: True) == [[1, 2, 3], [4, 5, 6], [7]]
    assert pages(rows, 7, 7, lambda row: True) == [[1, 2, 3, 4, 5, 6, 7]]
    assert pages({}, 0, 3, lambda row: True) == [[]]


def test_what_is_not_wanted_or_not_there_is_passed_over() -> None:
    rows = numbered(1, 2, 4, 5, 8, 9)
    assert pages(rows, 9, 2, lambda row: row % 2 == 0) == [[2, 4], [8]]
    assert pages(rows, 9, 3, lambda row: row % 2 == 0) == [[2, 4, 8]], "nothing is promised behind the last"


def test_a_page_begins_at_its_cursor_and_looks_at_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participants, "MOST_LOOKED", 10)
    rows, looked = numbered(*range(1, 36)), list[int]()

    def wanted(row: int) -> bool:
        looked.append(row)
        return row in (3, 25)

    assert page_of(rows, "L", 35, Paging(limit=5), wanted) == ([3], "L10")
    assert page_of(rows, "L", 35, Paging(limit=5, cursor="L10"), wanted) == ([], "L20")
    assert looked == list(range(1, 21))
    assert pages(rows, 35, 5, wanted) == [[3], [], [25], []]


@pytest.mark.parametrize("cursor", ["L", "Lx", "L-1", "L" + "9" * 30, "L１"])
def test_a_cursor_that_is_none_is_malformed(cursor: str) -> None:
    with pytest.raises(Refusing):
        page_of({}, "L", 0, Paging(cursor=cursor), lambda row: True)
