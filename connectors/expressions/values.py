"""The values of a template: Go's, as far as the data of Connectors has them. Strings are bytes, as in Go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, final


@dataclass(frozen=True, slots=True)
class Missing:
    """What a map yields for a key that it lacks: false in a condition, and an error in any other place.

    `key` is empty if the template computes it: it could be a value of the Secret, and messages name it.
    """

    key: str
    secret: bool = False

    @property
    def problem(self) -> str:
        """What to say where it is used."""
        owner = "the Secret" if self.secret else "the map"
        return f"{owner} lacks the key {self.key}" if self.key else f"{owner} lacks a key that the template computes"


@final
class Deferred:
    """A field that is made when it is first read."""

    __slots__ = ("_made", "_make", "_value")

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._made = False
        self._value: Value = None

    def value(self) -> Value:
        """The field's value."""
        if not self._made:
            self._value, self._made = self._make(), True
        return self._value


@dataclass(frozen=True, slots=True, eq=False)
class GoStruct:
    """A Go struct: its fields are known, another one is an error, and it is never printed as a whole."""

    name: str
    fields: Mapping[str, Value | Deferred] = field(repr=False)

    def field(self, name: str) -> Value:
        """The value of a field.

        Raises:
            ValueError: there is no such field; the message names those that there are.
        """
        found = self.fields.get(name, _ABSENT)
        if found is _ABSENT:
            raise ValueError(f"{self.name} has no field {name}; it has: {', '.join(self.fields)}")
        return found.value() if isinstance(found, Deferred) else found


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A Go map with strings as keys. That of a Secret is never printed as a whole."""

    entries: Mapping[bytes, Value] = field(repr=False)
    secret: bool = False

    def entry(self, key: bytes) -> Value:
        """The value of a key, or Missing."""
        found = self.entries.get(key, _ABSENT)
        return Missing(key.decode(errors="replace"), self.secret) if found is _ABSENT else found


Value: TypeAlias = "bool | int | float | bytes | tuple[Value, ...] | Map | GoStruct | Missing | None"
_ABSENT = Missing("")


def kind_of(value: Value) -> str:
    """The kind of a value, for messages."""
    match value:
        case None | Missing():
            return "nil"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case bytes():
            return "a string"
        case tuple():
            return "a list"
        case Map():
            return "a map"
        case GoStruct(name=name):
            return name


def is_true(value: Value) -> bool:
    """Go's truth: nil, false, 0 and what is empty are false; a struct is always true."""
    match value:
        case Map(entries=entries):
            return bool(entries)
        case GoStruct():
            return True
        case Missing():
            return False
        case _:
            return bool(value)


def field_of(value: Value, name: str) -> Value:
    """`value.name`. A key that a map lacks stays missing, and so do the fields below it.

    Raises:
        ValueError: there is no such field, or the value has none at all.
    """
    match value:
        case GoStruct():
            return value.field(name)
        case Map():
            return value.entry(name.encode())
        case Missing():
            return value
        case None:
            raise ValueError(f"nil has no field {name}; test with if before")
        case _:
            raise ValueError(f"{kind_of(value)} has no field {name}")


def from_data(data: object) -> Value:
    """Plain data as JSON has it (str, int, float, bool, None, list, dict with str keys) as a value."""
    match data:
        case str():
            return data.encode("utf-8", "replace")
        case dict():
            return Map({str(key).encode(): from_data(value) for key, value in data.items()})
        case list() | tuple():
            return tuple(from_data(item) for item in data)
        case None | bool() | int() | float() | bytes():
            return data
        case _:
            raise TypeError(f"{type(data).__name__} is not plain data")
