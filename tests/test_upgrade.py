"""The venue's own PostgreSQL, from 16 to the newest, with everything in it."""

import json
from pathlib import Path

import pytest

from exchange.postgres import DatabaseUnavailable, Supervisor, embedded_server, newest_binaries, owned_cluster
from tests.story import Person, Venue, shuji

OLD = 16


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Of a venue that began under PostgreSQL 16."""
    data = tmp_path / "venue"
    data.mkdir()
    with owned_cluster(data) as cluster:
        Supervisor(data, cluster, major=OLD).make()
    return data


def cluster_of(data: Path) -> Path:
    with owned_cluster(data) as cluster:
        return cluster


def major_of(cluster: Path) -> int:
    return int((cluster / "PG_VERSION").read_text())


def trades_of(buyer: Person) -> list[str]:
    return sorted(trade["trade"] for trade in buyer.every("/v1/trades"))


def test_everything_comes_along(data: Path) -> None:
    venue = Venue(data).start()
    try:
        merchant, buyer = venue.merchant(), venue.buyer()
        listing = venue.listing(merchant, price_fen=10)
        before = [venue.trade(buyer, listing) for _ in range(3)]
        running = shuji("upgrade-postgresql", "--data", str(data))
        assert running.returncode == 1
        assert "stop it first" in running.stderr
        venue.kill()
        run = shuji("upgrade-postgresql", "--data", str(data), "--json")
        assert run.returncode == 0, run.stderr
        cluster = cluster_of(data)
        assert json.loads(run.stdout) == {
            "major": newest_binaries().major,
            "kept": str(cluster.with_name("postgres.16")),
        }
        assert major_of(cluster) == newest_binaries().major > OLD
        assert major_of(cluster.with_name("postgres.16")) == OLD
        again = shuji("upgrade-postgresql", "--data", str(data), "--json")
        assert json.loads(again.stdout)["kept"] == ""
        venue.restart()
        before.append(venue.trade(buyer, listing))
        assert trades_of(buyer) == sorted(before)
        assert json.loads(shuji("verify", "--data", str(data), "--json").stdout)["clean"]
    finally:
        venue.close()


def test_cut_off_between_the_two_names_it_is_finished(data: Path) -> None:
    """As it is then: the old cluster has its other name, the new one is not yet in its place."""
    assert shuji("migrate", "--data", str(data)).returncode == 0
    assert shuji("upgrade-postgresql", "--data", str(data)).returncode == 0
    cluster = cluster_of(data)
    cluster.rename(cluster.with_name("postgres.upgrading"))
    with pytest.raises(DatabaseUnavailable, match="upgrade-postgresql"), embedded_server(data):
        pass
    run = shuji("upgrade-postgresql", "--data", str(data), "--json")
    assert json.loads(run.stdout)["kept"] == str(cluster.with_name("postgres.16")), run.stderr
    assert shuji("migrate", "--data", str(data)).returncode == 0


def test_cut_off_before_it_begins_anew(data: Path) -> None:
    assert shuji("migrate", "--data", str(data)).returncode == 0
    left = cluster_of(data).with_name("postgres.upgrading")
    left.mkdir()
    (left / "PG_VERSION").write_text("18\n")
    assert shuji("upgrade-postgresql", "--data", str(data)).returncode == 0
    assert not left.exists()
    assert major_of(cluster_of(data)) == newest_binaries().major
