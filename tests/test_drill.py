"""The drill, with few orders: both files of the shared data, two equal days, kill -9, a restore to a minute within."""

import subprocess
import sys

import pytest

from tests.story import ROOT, SHARED


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="a clone without ../shared")
def test_the_drill() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "loadtests.drill", "--orders", "200"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for word in ("98 rows", "531 rows", "both days are the same day", "restored to"):
        assert word in ran.stdout
