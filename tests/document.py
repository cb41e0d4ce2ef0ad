"""Markdown as the tests read it: numbered headings, fenced blocks, links, and names of code in the prose."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```(\w*) ?(.*)$")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
QUOTED = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: what is in it, its language and the words after that, and the line of its first fence."""

    language: str
    title: str
    text: str
    line: int
    heading: str


def documents() -> list[Path]:
    """Every page that the project writes for people, but not the generated one."""
    return sorted(
        path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if path.name != "RULES.md"
    )


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """(number, line, whether it is inside a fenced block or a fence itself)."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.startswith("```")
        yield number, line, inside or fence
        inside ^= fence


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    opened: tuple[str, str, int] | None = None
    kept: list[str] = []
    heading = ""
    for number, line, _ in _lines(text):
        fence = FENCE.match(line)
        if fence is not None and opened is None:
            opened, kept = (fence[1], fence[2].strip(), number), []
        elif fence is not None:
            assert opened is not None
            language, title, start = opened
            found.append(Block(language, title, "\n".join(kept), start, heading))
            opened = None
        elif opened is not None:
            kept.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    assert opened is None, f"the block of line {opened[2]} has no end"
    return found


def headings(text: str, level: int) -> list[str]:
    mark = "#" * level + " "
    return [line[len(mark) :] for _, line, is_code in _lines(text) if not is_code and line.startswith(mark)]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return "\n".join(line for _, line, is_code in _lines(text) if not is_code)


def links(text: str) -> list[str]:
    """Targets of links, without the part after `#`."""
    return LINK.findall(prose(text))


def quoted(text: str) -> list[str]:
    """What stands in single back-quotes in the prose."""
    return QUOTED.findall(prose(text))
