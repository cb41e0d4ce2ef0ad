"""After the load: is everything that was acknowledged there, once, as it was sent?

The questions are those of `loadtests/trader.py`; here they are put to what a generator has kept. What nobody answered, or
only with 503, is sent again twice and must have one answer.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loadtests import trader
from loadtests.client import Person, Site
from loadtests.tally import Sent, Tally
from loadtests.trader import ORDERS, Attempt, Memory

CHECKED_CANCELS: Final = 200
CHECKED_STEPS: Final = 200


def examine(site: Site, keys: Path, tally: Tally) -> list[str]:
    """What must not be, in words; empty where all is well."""
    names = sorted({*tally.sent, *tally.cancels})
    return [
        f"{name}: {violation}" for name in names for violation in _of(site.person(keys / name), name, tally)
    ]


def _of(person: Person, name: str, tally: Tally) -> Iterator[str]:
    chosen = random.Random(name)
    did = memory(person, tally.sent.get(name, []), tally.cancels.get(name, []), chosen)
    yield from trader.settle_doubt(did)
    yield from trader.check_repeated(_kept_whole(did), chosen)
    yield from trader.check_by_id(did, chosen)
    yield from _listed_once(did)
    yield from trader.check_cancels(did)
    yield from trader.check_steps(did)


def memory(person: Person, sent: list[Sent], cancels: list[str], chosen: random.Random) -> Memory:
    """All orders, and as many of the rest as are worth asking about one by one."""
    steps = [one for one in sent if one.subject and one.status in (200, 201)]
    return Memory(
        person,
        {one.key: attempt(one) for one in sent if not one.subject},
        {one.subject: attempt(one) for one in chosen.sample(steps, min(CHECKED_STEPS, len(steps)))},
        dict.fromkeys(chosen.sample(cancels, min(CHECKED_CANCELS, len(cancels))), True),
    )


def attempt(sent: Sent) -> Attempt:
    """As a trader would have kept it; of most answers only the order's id was kept."""
    answer = json.loads(sent.answer) if sent.answer else {"order": sent.order}
    return Attempt(sent.path, json.loads(sent.body), sent.key, sent.status, answer)


def _kept_whole(did: Memory) -> Memory:
    orders = {key: one for key, one in did.orders.items() if len(one.answer) > 1}
    return Memory(did.person, orders)


def _listed_once(did: Memory) -> Iterator[str]:
    """The newest orders come first: those of earlier runs need not be read."""
    wanted = {key for key, one in did.orders.items() if one.done}
    listed: Counter[str] = Counter()
    items = did.person.every(ORDERS, limit=200)
    while wanted and (item := next(items, None)) is not None:
        wanted.discard(item["client_order_id"])
        listed[item["client_order_id"]] += 1
    mine = Counter({key: times for key, times in listed.items() if key in did.orders})
    yield from trader.counted_wrong(mine, did.orders)
