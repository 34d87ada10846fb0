"""The documentation as data: pages, their tables, fenced blocks, links and headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_CELLS = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: str
    language: str
    text: str


def pages() -> list[str]:
    """Every page, by its path below the root."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@cache
def text(page: str) -> str:
    """The page's text."""
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return _BLOCK.sub("", text(page))


def blocks(page: str, language: str) -> list[Block]:
    """The page's fenced blocks of one language."""
    return [Block(page, found[1], found[2]) for found in _BLOCK.finditer(text(page)) if found[1] == language]


def rows(page: str, heading: str = "") -> list[list[str]]:
    """The cells of all table rows, header and rule left out: of the page, or of what stands below one heading."""
    part = prose(page)
    if heading:
        part = re.split(rf"^#+ {re.escape(heading)}$", part, maxsplit=1, flags=re.MULTILINE)[1]
        part = re.split(r"^#+ ", part, maxsplit=1, flags=re.MULTILINE)[0]
    found: list[list[str]] = []
    before = ""
    for line in part.splitlines():
        if line.startswith("|") and before.startswith("|") and not line.startswith("|-"):
            found.append([cell.strip() for cell in _CELLS.split(line.strip())[1:-1]])
        before = line
    return found


def codes(cell: str) -> list[str]:
    """What stands between backticks."""
    return _CODE.findall(cell)


def links(page: str) -> list[str]:
    """The targets of all links."""
    return _LINK.findall(_CODE.sub("", prose(page)))


def anchors(page: str) -> set[str]:
    """The anchors that a renderer makes of the headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(page))}


def named_tests(words: str) -> list[tuple[str, str]]:
    """(file, function) of every `tests/FILE.py::FUNCTION`."""
    return _TEST.findall(words)
