"""A venue over HTTP in this process. A file that needs one of its own for each test makes its own `web`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import _fresh
from tests.exchange.web_venue import Doors, doors


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(
    tmp_path_factory: pytest.TempPathFactory, server_dsn: str, template: str
) -> AsyncIterator[Doors]:
    """One venue for the file: no check in it depends on what another has left."""
    async with _fresh(server_dsn, template) as dsn, doors(tmp_path_factory.mktemp("web"), dsn) as opened:
        yield opened
