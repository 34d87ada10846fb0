"""What code imports, found without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator


def imported_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The dotted names; of `from a import b` both `a` and `a.b`, since either may be a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
