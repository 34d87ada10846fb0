from __future__ import annotations

import ast
from pathlib import Path

import pytest

from connectors.expressions import functions
from connectors.expressions.functions import FUNCTIONS


@pytest.mark.parametrize(
    ("name", "count", "problem"),
    [
        ("b64enc", 1, None),
        ("b64enc", 0, "takes 1 argument, not 0"),
        ("replace", 2, "takes 3 arguments, not 2"),
        ("eq", 1, "takes 2 to 64 arguments, not 1"),
        ("eq", 64, None),
        ("list", 0, None),
    ],
)
def test_arguments_are_counted(name: str, count: int, problem: str | None) -> None:
    assert FUNCTIONS[name].problem(count) == problem


def test_they_are_those_of_the_published_classes_and_a_few_more() -> None:
    published = {"if", "range", "eq", "printf", "trimPrefix", "trimSuffix", "urlParse", "b64enc", "urlquery", "index"}
    published |= {"list", "append", "join", "splitList", "first", "not"}
    assert published - FUNCTIONS.keys() == {"if", "range"}
    assert FUNCTIONS.keys() - published == {
        "and",
        "b64dec",
        "contains",
        "default",
        "ge",
        "gt",
        "hasPrefix",
        "hasSuffix",
        "last",
        "le",
        "len",
        "lower",
        "lt",
        "ne",
        "or",
        "print",
        "quote",
        "replace",
        "trim",
        "upper",
    }


def test_t19_no_function_reaches_outside() -> None:
    # Whatever a function does, it does with these modules.
    folder = Path(functions.__file__).parent
    found = set()
    for name in ("functions", "text_functions", "printing", "values", "limits"):
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                found.add(str(node.module).removeprefix("connectors.expressions."))
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Name):
                assert node.id not in {"open", "eval", "exec", "__import__", "getattr", "globals", "input"}
    own = {"connectors.expressions", "values", "printing", "limits"}
    assert found - own == {
        "__future__",
        "base64",
        "binascii",
        "collections.abc",
        "dataclasses",
        "decimal",
        "re",
        "typing",
        "urllib.parse",
    }
