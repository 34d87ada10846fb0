"""What a process imports, found without importing: modules of this project, and distributions of other people's."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.deploy.crds import ROOT
from tests.imports import imported_names

DISTRIBUTIONS = {
    "cel_expr_python": "cel-expr-python",
    "kubernetes_asyncio": "kubernetes-asyncio",
    "prometheus_client": "prometheus-client",
    "yaml": "PyYAML",
}
"""Import name -> distribution, where they differ."""
PACKAGES = ("connectors", "proxy", "controller", "standalone")


class Closure(NamedTuple):
    """Everything that is imported, directly or not; also what only a function or a type checker imports."""

    modules: frozenset[str]
    distributions: frozenset[str]


def entry_points(package: str) -> list[str]:
    """PACKAGE.__main__, or every module while there is none."""
    own = sorted(name for name in modules() if name.partition(".")[0] == package)
    return [name for name in own if name == f"{package}.__main__"] or own


def closure(entries: list[str]) -> Closure:
    """What these modules import."""
    seen, ahead, outside = set[str](), list(entries), set[str]()
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        for imported in _imports(name):
            if imported in modules():
                ahead.append(imported)
            elif imported.partition(".")[0] not in {*PACKAGES, *sys.stdlib_module_names}:
                outside.add(imported.partition(".")[0])
    return Closure(frozenset(seen), frozenset(DISTRIBUTIONS.get(name, name) for name in outside))


@cache
def modules() -> dict[str, Path]:
    """Every module of this project by its dotted name."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {_dotted(path): path for path in files}


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(name: str) -> Iterator[str]:
    """Names after `import`; a module's packages too, since importing it imports them."""
    for full in imported_names(ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8")))):
        first = full.partition(".")[0]
        if first not in PACKAGES:
            yield first
            continue
        parts = full.split(".")
        yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
