"""What tests of the rules read beside the package: the shared folder of the project."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """`../shared` beside the checkout, or SHUJI_SHARED; without it the test is skipped, in CI it fails."""
    folder = Path(os.environ.get("SHUJI_SHARED", CHECKOUT.parent / "shared"))
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs the shared folder at {folder}")
        pytest.skip(f"no shared folder at {folder}")
    return folder
