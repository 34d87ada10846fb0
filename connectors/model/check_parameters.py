"""Rules of `params[]`: names that the class declares, each once, none missing, and values that are strings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from connectors.model.connector import NamedValue
from connectors.model.connector_class import ParameterSpec
from connectors.model.violation import Violation

Given = tuple[str, NamedValue]
"""An item of a list and its field path, as `("spec.params[0]", item)`."""


def given(path: str, items: Sequence[NamedValue]) -> list[Given]:
    """The items of the list at `path`, each with its own path."""
    return [(f"{path}[{index}]", item) for index, item in enumerate(items)]


def check_given(items: Iterable[Given]) -> Iterator[Violation]:
    """What needs no class: every item has a name of its own and a string as value."""
    seen: dict[str, str] = {}
    for path, item in items:
        if not item.name:
            yield Violation(f"{path}.name", "is missing; name the item")
        elif item.name in seen:
            yield Violation(f"{path}.name", f'"{item.name}" stands at {seen[item.name]} already; remove one of them')
        seen.setdefault(item.name, path)
        if problem := string_problem(item.value):
            yield Violation(f"{path}.value", problem)


def check_declared(path: str, items: Sequence[Given], declared: Sequence[ParameterSpec]) -> Iterator[Violation]:
    """Items against what the class declares: no other names, none missing, values within `enum`.

    `path` is that of the list: there a missing item is reported.
    """
    specs = {spec.name: spec for spec in declared}
    for where, item in items:
        if not item.name:
            continue
        spec = specs.get(item.name)
        if spec is None:
            yield Violation(f"{where}.name", f'the class does not declare "{item.name}"; {known(specs)}')
        elif spec.enum and isinstance(item.value, str) and item.value not in spec.enum:
            yield Violation(f"{where}.value", f"is not allowed; use one of: {', '.join(spec.enum)}")
    names = {item.name for _, item in items}
    for spec in declared:
        if spec.required and spec.name not in names:
            yield Violation(path, f'lacks "{spec.name}", for which the class has no default; add it')


def string_problem(value: Any) -> str | None:
    """Why `value` cannot serve where a string is asked for; None where it can."""
    match value:
        case str():
            return None
        case None:
            return "is missing; give it a string"
        case bool() | int() | float():
            return "must be a string; put it in quotes"
        case _:
            return "must be a string, not a list or a mapping"


def known(names: Iterable[str]) -> str:
    """The end of a sentence that refuses a name."""
    listed = ", ".join(names)
    return f"it declares: {listed}" if listed else "it declares none, so remove it"
