"""What the tree is like to enter, as numbers: `make house`, and with `BASE=path` another tree beside it.

Memory is measured where the tree has a `.venv` of its own.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import tokenize
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.imports import imported_names

PACKAGES = ("connectors", "controller", "proxy", "standalone")
# Lines; such a file is rarely worth its being opened.
SHORT = 40
# Words of an English of its own: CONTRIBUTING, habit 8.
_ODD = re.compile(
    r"\b(?:whoever|nobody|anew|whichever|wherever)\b|(?<!\bthere )\b(?:is|are|was|were) no (?!longer|more)[a-z]",
    re.IGNORECASE,
)
_WEIGHT = "import re, {module}; print(re.search(r'VmRSS:\\s*(\\d+)', open('/proc/self/status').read())[1])"
_HERE = Path(__file__).resolve().parent.parent


class House:
    """One tree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
        self._texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
        self._trees = {path: ast.parse(text) for path, text in self._texts.items()}
        self._code = [path for path in self._texts if not path.endswith("__init__.py")]

    def numbers(self) -> Iterator[tuple[str, str]]:
        """Each with its name."""
        lines = {path: len(self._texts[path].splitlines()) for path in self._code}
        yield "files with code", str(len(lines))
        yield "lines", str(sum(lines.values()))
        yield "lines of a file, median", f"{median(lines.values()):g}"
        yield f"files of at most {SHORT} lines", str(sum(count <= SHORT for count in lines.values()))
        yield "files that one other imports", str(sum(count == 1 for count in self._importers().values()))
        yield "public class names with two meanings", str(sum(count > 1 for count in self._classes().values()))
        comments = sum(self._comments(text) for text in self._texts.values())
        yield "lines with a comment", f"{100 * comments / sum(lines.values()):.1f} %"
        yield "odd words", str(sum(len(_ODD.findall(text)) for text in self._texts.values()))
        for name in ("proxy", "controller"):
            yield f"memory of {name} when its modules are loaded", self._weight(f"{name}.command")
        tests = [path.read_text(encoding="utf-8") for path in (self.root / "tests").rglob("*.py")]
        yield "files of tests", str(len(tests))
        yield "lines of tests", str(sum(len(text.splitlines()) for text in tests))

    def _importers(self) -> Counter[str]:
        """How many files import each."""
        names = {path.removesuffix(".py").replace("/", "."): path for path in self._code}
        found: dict[str, set[str]] = defaultdict(set)
        for path, tree in self._trees.items():
            for name in imported_names(ast.walk(tree)):
                if name in names:
                    found[names[name]].add(path)
        return Counter({path: len(importers) for path, importers in found.items()})

    def _classes(self) -> Counter[str]:
        classes = (node.name for tree in self._trees.values() for node in tree.body if isinstance(node, ast.ClassDef))
        return Counter(name for name in classes if not name.startswith("_"))

    def _comments(self, text: str) -> int:
        """Lines that are a comment or end in one; what tells a tool something is none."""
        read: Callable[[], str] = iter(text.splitlines(keepends=True)).__next__
        comments = (token.string for token in tokenize.generate_tokens(read) if token.type == tokenize.COMMENT)
        return sum(not re.match(r"# (?:noqa|type:|fmt:)", comment) for comment in comments)

    def _weight(self, module: str) -> str:
        python = self.root / ".venv/bin/python"
        if not python.exists():
            return "no .venv"
        code = _WEIGHT.format(module=module)
        ran = subprocess.run([python, "-c", code], cwd=self.root, capture_output=True, text=True, check=True)
        return f"{int(ran.stdout) / 1024:.0f} MiB"


def main() -> None:
    """Print a row for each number."""
    parser = argparse.ArgumentParser("python -m bench.house", description=__doc__, allow_abbrev=False)
    parser.add_argument("--base", type=Path, help="another tree, shown first")
    base = parser.parse_args().base
    houses = [House(root) for root in ([base] if base else []) + [_HERE]]
    for rows in zip(*(house.numbers() for house in houses), strict=True):
        print(f"| {rows[0][0]} | {' | '.join(value for _, value in rows)} |")


if __name__ == "__main__":
    main()
