"""The independent verifier in `tests/javascript`: other people's libraries, run by Node, without a network.

`npm ci --prefix tests/javascript` installs it. Where it is not, a test that needs it is skipped on a developer's machine,
and fails in CI (`.ci/run` sets SHUJI_CI): there a skip would hide that nobody has looked.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

FOLDER: Final = Path(__file__).parent / "javascript"


def need() -> None:
    """Skip, or fail in CI, where the verifier cannot run."""
    if shutil.which("node") and (FOLDER / "node_modules").is_dir():
        return
    lacking = "Node, or `npm ci --prefix tests/javascript`, is missing"
    if os.environ.get("CI") or os.environ.get("SHUJI_CI"):
        pytest.fail(f"in CI the independent verifier has to run: {lacking}")
    pytest.skip(lacking)


def reasons(credential: Any, did: Any, lists: list[Any], now: str) -> list[str]:
    """What the independent verifier says against a credential (a document or a compact JWT); none: it is valid."""
    asked = {"credential": credential, "did": did, "lists": lists, "now": now}
    run = subprocess.run(
        ["node", str(FOLDER / "verify.js")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    found: list[str] = answer["reasons"]
    assert answer["valid"] == (found == [])
    return found
