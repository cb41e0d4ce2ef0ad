"""`make chaos`: a few rounds of it, and that its checks see what they are there to see."""

import random
import re
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace
from typing import Any

from loadtests.client import ROOT
from loadtests.trader import (
    ORDERS,
    Attempt,
    Memory,
    check_by_id,
    check_listed_once,
    counted_wrong,
    settle_doubt,
)


def test_two_rounds() -> None:
    """The venue killed, then its PostgreSQL."""
    run = subprocess.run(
        [sys.executable, "-m", "loadtests.chaos", "--rounds", "2", "--seed", "11", "--clients", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    rounds = re.findall(r"^round +\d+ +killed (\w+) +(\d+) acknowledged", run.stdout, re.MULTILINE)
    assert [fault for fault, _ in rounds] == ["venue", "postgresql"]
    assert all(int(acknowledged) > 0 for _, acknowledged in rounds)
    assert "2 rounds" in run.stdout
    assert "no violation" in run.stdout


# ---- the checks, against answers that must not be


def attempt(key: str, status: int = 201, **answer: Any) -> Attempt:
    return Attempt(ORDERS, {"client_order_id": key, "quantity": 2}, key, status, answer)


class Desk:
    """A participant whose venue gives these answers, one after the other."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)

    def _next(self, *_: Any) -> Any:
        status, body = self.answers.pop(0)
        return SimpleNamespace(status_code=status, json=lambda: body, text=str(body))

    get = post = _next

    def every(self, *_: Any, **__: Any) -> Any:
        return [body for _, body in self.answers]


def memory(desk: Any, *attempts: Attempt) -> Memory:
    return Memory(desk, {one.key: one for one in attempts})


def test_a_lost_a_doubled_and_a_foreign_order_are_violations() -> None:
    sent = {key: attempt(key) for key in ("kept", "lost", "doubled")}
    listed = Counter({"kept": 1, "doubled": 2, "foreign": 1})
    assert sorted(counted_wrong(listed, sent)) == [
        "acknowledged order doubled is listed 2 times",
        "acknowledged order lost is listed 0 times",
        "an order foreign is listed that nobody sent",
        "order doubled is listed 2 times",
    ]


def test_an_order_in_doubt_may_be_there_or_not() -> None:
    assert list(counted_wrong(Counter(), {"unknown": attempt("unknown", 0)})) == []
    assert list(counted_wrong(Counter(["unknown"]), {"unknown": attempt("unknown", 503)})) == []


def test_the_list_of_orders_is_read() -> None:
    desk = Desk((200, {"client_order_id": "other"}))
    assert len(list(check_listed_once(memory(desk, attempt("mine"))))) == 2


def test_two_answers_to_one_id_are_a_violation() -> None:
    desk = Desk((201, {"order": "O1"}), (201, {"order": "O2"}))
    [wrong] = settle_doubt(memory(desk, attempt("key", 0)))
    assert "in two ways" in wrong


def test_an_order_that_changed_or_went_is_a_violation() -> None:

    changed = Desk((200, {"order": "O1", "client_order_id": "key", "quantity": 3}))
    [wrong] = check_by_id(memory(changed, attempt("key", order="O1")), random.Random(0))
    assert "quantity is 3" in wrong
    [wrong] = check_by_id(memory(Desk((404, {})), attempt("key", order="O1")), random.Random(0))
    assert "is gone" in wrong
