"""Rules of this house that no linter knows. Each test says the rule; what it prints is where it is broken."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("exchange", "clearing", "credit")
PURE = (
    "exchange/blotter.py",
    "exchange/board.py",
    "exchange/cash.py",
    "exchange/debt.py",
    "exchange/deposit.py",
    "exchange/events.py",
    "exchange/evidence.py",
    "exchange/grams.py",
    "exchange/listing.py",
    "exchange/matching",
    "exchange/order.py",
    "exchange/participant.py",
    "exchange/product.py",
    "exchange/refund.py",
    "exchange/reversal.py",
    "exchange/state.py",
    "exchange/surveillance.py",
    "exchange/tape.py",
    "exchange/trade.py",
    "exchange/venue.py",
    "clearing",
    "credit",
)
IMPURE_FILES = ("clearing/store.py", "clearing/rulebook_page.py", "credit/store.py")
IMPURE_IMPORTS = {
    "asyncio",
    "asyncpg",
    "litestar",
    "os",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
}
CLOCK_CALLS = {
    "now",
    "utcnow",
    "today",
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "uuid4",
}
INTEGERS_ONLY = ("clearing/money.py", "clearing/ledger.py", "clearing/revenue.py", "exchange/matching")
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc"}
FUNCTION_LINES = 70
# One letter of each stands in brackets, so that this file does not hold what it forbids.
LATER = re.compile(r"\b([T]ODO|[F]IXME|[X]XX|[H]ACK)\b")
PLACES = re.compile(
    r"[p]ypi\.org|[p]ythonhosted\.org|[n]pmjs\.(org|com)|[d]eb\.debian\.org|[f]ile:///"
    r"|/[w]ork/|/[f]arm/|/[t]mp/(bash|shuji/)|/[o]pt/pypi|\.[l]ibrary/"
)


@cache
def everything(folder: Path) -> tuple[Path, ...]:
    """Files of the checkout, without what tools and `make` lay there (names with a dot, but for `.ci`; `node_modules`)."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        laid = path.name in ("__pycache__", "node_modules") or path.name[0] == "."
        if path.is_dir() and (path.name == ".ci" or not laid):
            found += everything(path)
        elif path.is_file() and path.name != ".git":  # a file in a second working tree
            found.append(path)
    return tuple(found)


def project_files(suffix: str = "") -> Iterator[Path]:
    return (path for path in everything(ROOT) if path.name.endswith(suffix))


@cache
def syntax_tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def under(path: Path, places: tuple[str, ...]) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return any(name == place or name.startswith(f"{place}/") for place in places)


def sources(*places: str) -> Iterator[tuple[str, ast.Module]]:
    """(path from the root, syntax tree) of the Python files under `places`, or of all."""
    for path in project_files(".py"):
        if not places or under(path, places):
            yield path.relative_to(ROOT).as_posix(), syntax_tree(path)


def texts() -> Iterator[tuple[str, str]]:
    for path in project_files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, top package) of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, (node.module or "").partition(".")[0]


def test_nothing_is_left_for_later() -> None:
    assert lines_matching(LATER) == []


def test_no_index_and_no_path_of_one_machine_is_named() -> None:
    assert lines_matching(PLACES) == []


def test_every_name_says_something() -> None:
    empty = [
        path.relative_to(ROOT).as_posix()
        for path in project_files()
        if SAYS_NOTHING & {*path.relative_to(ROOT).parts[:-1], path.stem}
    ]
    assert empty == []


def test_every_function_fits_a_screen() -> None:
    long = [
        f"{name}:{function.lineno}: {function.name} has {length} lines"
        for name, tree in sources()
        for function in functions(tree)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    ]
    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        name
        for name, tree in sources(*PACKAGES, "loadtests", "tests")
        if tree.body and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_nothing_is_a_stub() -> None:
    stubs = [
        f"{name}:{node.lineno}"
        for name, tree in sources(*PACKAGES, "loadtests")
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]
    assert stubs == []


def test_pure_modules_import_nothing_that_acts() -> None:
    """What is below the engine does no I/O: time and randomness come in with the command."""
    broken = [
        f"{name}:{line}: imports {package}"
        for name, tree in sources(*PURE)
        if name not in IMPURE_FILES
        for line, package in imported(tree)
        if package in IMPURE_IMPORTS
    ]
    assert broken == []


def test_pure_modules_ask_no_clock() -> None:
    broken = [
        f"{name}:{node.lineno}: calls {node.func.attr}()"
        for name, tree in sources(*PURE)
        if name not in IMPURE_FILES
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_CALLS
    ]
    assert broken == []


def test_no_float_comes_near_the_ledger() -> None:
    broken = [
        f"{name}:{node.lineno}"
        for name, tree in sources(*INTEGERS_ONLY)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
        or (isinstance(node, ast.Name) and node.id == "float")
    ]
    assert broken == []


def test_annotations_of_structs_and_handlers_are_real() -> None:
    """msgspec and Litestar read annotations; those postponed are strings they cannot always resolve."""
    broken = [
        name
        for name, tree in sources(*PACKAGES)
        if {"msgspec", "litestar"} & {package for _, package in imported(tree)}
        and any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    ]
    assert broken == []


def test_no_pattern_ends_before_a_line_break() -> None:
    """In Python `$` also matches before the last line break: patterns of the doors are made by `pattern.whole`."""
    bare = [
        f"{name}:{node.lineno}: {node.value}"
        for name, tree in sources("exchange/web", "exchange/boards", "exchange/events.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("^")
        and node.value.endswith("$")
    ]
    assert bare == []


def test_no_test_folder_hides_a_package() -> None:
    """Without `__init__.py` the folder tests/exchange would be imported as `exchange`."""
    folders = {path.parent for path in project_files(".py") if under(path, ("tests",))}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def locked(name: str) -> dict[str, str]:
    """Package -> version (with its marker) of a lock file."""
    entries = re.findall(r"^([a-z0-9._-]+)==(.+?) \\$", (ROOT / name).read_text(), re.MULTILINE)
    return dict(entries)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_lock_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked(name)) > 20
    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert {"hatchling", "editables"} <= locked(name).keys()


def test_the_two_locks_agree() -> None:
    runtime, development = locked("requirements.txt"), locked("requirements-dev.txt")
    assert {
        package: (version, development.get(package))
        for package, version in runtime.items()
        if development.get(package, "").partition(" ")[0] != version.partition(" ")[0]
    } == {}


def test_each_migration_has_a_number_of_its_own() -> None:
    """Two branches may each take the next free number: the venue would not start."""
    numbers = [path.name[:4] for path in sorted((ROOT / "exchange" / "schema").glob("*.sql"))]
    assert numbers == sorted(set(numbers))
