"""Uploads: who may, how much may wait for its delivery, and what a start removes. Names are on disk when answered."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.events import Refused
from exchange.web import files, uploads
from exchange.web.problem import Refusing
from loadtests.client import invented_uscc
from tests.exchange.web_venue import Doors, Person, doors
from tests.story import Person as Trader
from tests.story import Venue, done, refused, sha256_of, shuji

MIB = 1 << 20
EVIDENCE = sha256_of("evidence")


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), MIB):
        yield content[start : start + MIB]
        await asyncio.sleep(0)


async def test_a_new_folder_is_forced_into_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut takes the folder, and the file that was answered for with it."""
    forced: list[int] = []

    def fsync(descriptor: int) -> None:
        forced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    real = os.fsync
    monkeypatch.setattr(os, "fsync", fsync)
    await files.store(tmp_path, "P7", sha256_of("a"), chunks(b"a"))
    stored = tmp_path / "P7" / sha256_of("a")
    assert {tmp_path.stat().st_ino, stored.parent.stat().st_ino, stored.stat().st_ino} <= {*forced}


async def test_uploads_at_the_same_time_share_one_room(tmp_path: Path) -> None:
    contents = [bytes([number]) * (20 * MIB) for number in range(3)]
    answers = await asyncio.gather(
        *(files.store(tmp_path, "P7", sha256_of(content), chunks(content), 45 * MIB) for content in contents),
        return_exceptions=True,
    )
    kept = list((tmp_path / "P7").iterdir())
    assert sum(path.stat().st_size for path in kept) <= 45 * MIB
    assert len(kept) == len([answer for answer in answers if answer == 20 * MIB])
    refusals = [answer for answer in answers if isinstance(answer, Refusing)]
    assert refusals
    assert all(refusal.refusal.code is Refused.too_large for refusal in refusals)


async def accredited(web: Doors) -> Person:
    reviewer, merchant = await web.official("reviewer"), Person(web.http)
    code = invented_uscc()
    signature = merchant.sign(f"shuji-register:{merchant.public_key}:{code}")
    agent = {"name": "张三", "contact": "zhangsan@shuji.example"}
    await merchant.register(roles=["merchant"], uscc=code, signature=signature, agent=agent)
    until = {"evidence_sha256": EVIDENCE}
    path = f"/v1/participants/{merchant.participant}"
    for person, where, body in (
        (reviewer, f"{path}/identity", {"accept": True, "mandate_until": "2049-01-01T00:00:00Z", **until}),
        (merchant, "/v1/participants/me/accreditation", until),
        (
            reviewer,
            f"{path}/accreditation",
            {"step": "accredit", "valid_until": "2049-01-01T00:00:00Z", **until},
        ),
    ):
        answer = await person.ask("POST", where, json=body)
        assert answer.is_success, answer.text
    return merchant


async def put(person: Person, content: bytes) -> Any:
    return await person.ask("PUT", f"/v1/files?sha256={sha256_of(content)}", content=content)


async def test_what_waits_for_its_delivery_has_a_limit(
    tmp_path: Path, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_WAITING", 3 * MIB)
    async with doors(tmp_path / "data", database_dsn) as web:
        merchant, other = await accredited(web), await accredited(web)
        for number in range(3):
            assert (await put(merchant, bytes([number]) * MIB)).status_code == 201
        answer = await put(merchant, b"x")
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert "waits for its delivery" in answer.json()["detail"]
        assert len(list((web.venue.desk.files / merchant.participant).iterdir())) == 3
        assert (await put(other, b"x")).status_code == 201, "each has room of their own"


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    running = Venue(tmp_path / "data")
    try:
        yield running.start()
    finally:
        running.close()


def age(venue: Venue, merchant: Trader, digest: str, days: float) -> Path:
    path = venue.data / "files" / merchant.participant / digest
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def test_a_start_removes_what_nobody_delivered_in_a_week(venue: Venue) -> None:
    merchant, buyer = venue.merchant(), venue.buyer()
    digest = venue.hand_over(merchant, venue.trade(buyer, venue.listing(merchant)))
    for content in (b"forgotten", b"fresh"):
        done(venue.upload(merchant, content, sha256_of(content)), 201)
    delivered = age(venue, merchant, digest, 30)
    forgotten = age(venue, merchant, sha256_of("forgotten"), 7.01)
    fresh = age(venue, merchant, sha256_of("fresh"), 6.9)
    assert venue.stop() == 0
    venue.restart()
    assert [delivered.exists(), forgotten.exists(), fresh.exists()] == [True, False, True]
    assert shuji("verify", "--data", str(venue.data)).returncode == 0


def test_who_is_not_accredited_uploads_only_for_an_open_sale(venue: Venue) -> None:
    merchant, buyer = venue.merchant(), venue.buyer()
    trade = venue.trade(buyer, venue.listing(merchant))
    done(venue.discipline(merchant, "revoke"))
    digest = venue.hand_over(merchant, trade)
    venue.accept(buyer, trade)
    refused(venue.upload(merchant, b"more", sha256_of("more")), 403, "not_accredited")
    assert [path.name for path in (venue.data / "files" / merchant.participant).iterdir()] == [digest]
