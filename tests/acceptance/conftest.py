"""One venue process for each file of checks, so that a file's clock is nobody else's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("loadtests.client")

from tests.story import Venue  # noqa: E402 - the line above must come first


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose path has a space, under a parent that only its owner may enter."""
    parent = tmp_path_factory.mktemp("one venue")
    parent.chmod(0o700)
    return parent / "data folder"


@pytest.fixture(scope="module")
def venue(folder: Path) -> Iterator[Venue]:
    running = Venue(folder)
    try:
        yield running.start()
    finally:
        running.close()
