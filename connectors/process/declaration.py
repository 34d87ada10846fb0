"""How a setting is declared: once, on the field of the frozen dataclass that holds its value. Pure.

connectors/process/settings.py makes the command line of such dataclasses, and reads flags and environment into them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class Dataclass(Protocol):
    """A dataclass, as type checkers recognise it."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
D = TypeVar("D", bound=Dataclass)

PREFIX = "CONNECTORS_"
# Of a field's metadata.
_KEY = "setting"


class SettingError(Exception):
    """A setting has a value that does not parse, or two do not fit together. The message says what to give instead.

    It does not quote the value: a URL may hold a password (threat 27).
    """


@dataclass(frozen=True, slots=True)
class Parser(Generic[T_co]):
    """How the text of a setting is read, and what `--help` calls it.

    `parse` raises ValueError with a sentence that does not quote the text. `empty` says what an empty text stands for.
    A `switch` takes no argument on the command line, and true or false in its variable. If it `repeats`, the flag may
    be given several times, and what it is given counts as one text with commas between.
    """

    parse: Callable[[str], T_co]
    metavar: str = "VALUE"
    empty: str = "none"
    switch: bool = False
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """One setting of a command.

    `flag` is the long option with its dashes; `default` is text that the parser accepts, shown as it stands in
    `--help`; `example` is a value that is accepted. `short` is the flag's short form, empty for none.
    """

    flag: str
    default: str
    parser: Parser[T_co]
    meaning: str
    example: str
    short: str = ""

    @property
    def variable(self) -> str:
        """CONNECTORS_<FLAG>: upper case, underscores for dashes."""
        return PREFIX + self.flag.removeprefix("--").replace("-", "_").upper()

    @property
    def negated(self) -> str | None:
        """The flag that turns a switch off; None if it is off unless it is given."""
        on = self.parser.switch and self.default == "true"
        return "--no-" + self.flag.removeprefix("--") if on else None


def setting(
    flag: str, default: str, parser: Parser[T], meaning: str, example: str | None = None, short: str = ""
) -> T:  # fmt: skip
    """The field that such a Setting fills. Without an `example` its default is one.

    Raises:
        ValueError: the parser does not accept the default.
    """
    return declared(Setting(flag, default, parser, meaning, default if example is None else example, short))


def declared(shared: Setting[T]) -> T:
    """The same for a Setting that several dataclasses have.

    Raises:
        ValueError: the parser does not accept the default.
    """
    # dataclasses.field() is typed as what it holds, though it is only a description until the class has been made.
    value: T = field(default=shared.parser.parse(shared.default), metadata={_KEY: shared})
    return value


def settings_of(values: Dataclass) -> Iterator[Setting[object]]:
    """What the fields of a dataclass declare, in their order, and the fields of dataclasses in it."""
    for item in fields(values):
        if _KEY in item.metadata:
            yield item.metadata[_KEY]
        elif (part := _part(values, item.name)) is not None:
            yield from settings_of(part)


def filled(values: D, read: Callable[[Setting[object]], object]) -> D:
    """The same dataclass with what was read of each Setting. What declares none stays as it is."""
    changes: dict[str, object] = {}
    for item in fields(values):
        if _KEY in item.metadata:
            changes[item.name] = read(item.metadata[_KEY])
        elif (part := _part(values, item.name)) is not None:
            changes[item.name] = filled(part, read)
    return replace(values, **changes)


def _part(values: Dataclass, name: str) -> Dataclass | None:
    """The dataclass in that field, if there is one and it declares settings too."""
    inner: object = getattr(values, name)
    if not is_dataclass(inner) or isinstance(inner, type):
        return None
    return inner if any(settings_of(inner)) else None
