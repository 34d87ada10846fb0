"""Plain dicts -> the model's values: wrong types and unknown fields in plain words, with field paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.inspect import DictType, Field, ListType, StructType, Type, UnionType, VarTupleType, type_info

from connectors.objects.violation import Violation
from connectors.sources.place import field_path

S = TypeVar("S", bound=Struct)

_WHERE = re.compile(r" - at `(?:key in )?\$\.?(?P<path>.*)`$")
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`")
_WORDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
}
_QUOTABLE = frozenset({"int", "float", "bool"})


def decode(data: Any, kind: type[S]) -> S | Violation:
    """Convert into a Struct, or say what is wrong with the first field that does not fit."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        return _violation(str(error))


def unknown_fields(data: Any, kind: type[Struct], path: str, tolerated: Iterable[str] = ()) -> Iterator[Violation]:
    """Fields that `kind` does not have, at any depth; those in `tolerated` may stand at the top."""
    allowed = frozenset(tolerated)
    if isinstance(data, dict) and _known(data, _shape(kind), allowed):
        return  # nearly always; no path has to be written out
    known = {name: value for name, value in data.items() if name not in allowed} if isinstance(data, dict) else data
    yield from _unknown(known, _info(kind), path)


def without_nulls(data: Any) -> Any:
    """`field: null` means the same as no such field to an API server."""
    if isinstance(data, dict):
        return {name: without_nulls(value) for name, value in data.items() if value is not None}
    if isinstance(data, list):
        return [without_nulls(item) for item in data]
    return data


def _violation(message: str) -> Violation:
    where = _WHERE.search(message)
    path = where["path"].replace("[...]", "") if where else ""
    expected = _EXPECTED.search(message)
    if expected is None:
        return Violation(path, "has a value that does not fit; correct it")
    wanted, got = expected["wanted"].split(" | ")[0], expected["got"]
    is_item = message.endswith("[...]`")
    subject = "holds a value that must be" if is_item else "must be"
    hint = "; put it in quotes" if wanted == "str" and got in _QUOTABLE else ""
    return Violation(path, f"{subject} {_WORDS.get(wanted, wanted)}, not {_WORDS.get(got, got)}{hint}")


# The fields of a Struct, each with what tells whether all fields below are known; None if there are none.
_Shape = dict[str, "Callable[[Any], bool] | None"]


def _known(data: dict[str, Any], shape: _Shape, tolerated: frozenset[str] = frozenset()) -> bool:
    """Whether every field is known, at any depth."""
    for name, value in data.items():
        if name in shape:
            below = shape[name]
            if below is not None and not below(value):
                return False
        elif name not in tolerated:
            return False
    return True


@cache
def _shape(cls: type[Struct]) -> _Shape:
    return {name: _below(field.type) for name, field in _fields(cls).items()}


def _below(kind: Type) -> Callable[[Any], bool] | None:
    """What tells of values of this type; None for those that have no fields."""
    match kind:
        case StructType(cls=cls):
            shape = _shape(cls)
            return lambda value: not isinstance(value, dict) or _known(value, shape)
        case UnionType(types=types):
            every = [below for member in types if (below := _below(member)) is not None]
            return (lambda value: all(below(value) for below in every)) if every else None
        case VarTupleType(item_type=item) | ListType(item_type=item):
            of_item = _below(item)
            return of_item and (lambda value: not isinstance(value, list) or all(map(of_item, value)))
        case DictType(value_type=of_value):
            below = _below(of_value)
            return below and (lambda value: not isinstance(value, dict) or all(map(below, value.values())))
        case _:
            return None


def _unknown(data: Any, kind: Type, path: str) -> Iterator[Violation]:
    match kind:
        case StructType(cls=cls) if isinstance(data, dict):
            fields = _fields(cls)
            for name, value in data.items():
                where = field_path(path, name)
                if name in fields:
                    yield from _unknown(value, fields[name].type, where)
                else:
                    yield Violation(where, _unknown_message(name, fields))
        case UnionType(types=types):
            for member in types:
                yield from _unknown(data, member, path)
        case VarTupleType(item_type=item) | ListType(item_type=item) if isinstance(data, list):
            for index, value in enumerate(data):
                yield from _unknown(value, item, field_path(path, index))
        case DictType(value_type=value_type) if isinstance(data, dict):
            for name, value in data.items():
                yield from _unknown(value, value_type, field_path(path, name))
        case _:
            return


@cache
def _info(cls: type[Struct]) -> Type:
    return type_info(cls)


@cache
def _fields(cls: type[Struct]) -> dict[str, Field]:
    info = _info(cls)
    return {field.encode_name: field for field in info.fields} if isinstance(info, StructType) else {}


# Characters of a name that could be meant for a field. To compare a longer one costs its length squared.
_LONGEST_MEANT = 64


def _unknown_message(name: str, fields: Iterable[str]) -> str:
    close = get_close_matches(name, list(fields), n=1, cutoff=0.6) if len(name) <= _LONGEST_MEANT else ()
    return f'unknown field; did you mean "{close[0]}"?' if close else "unknown field; remove it"
