"""Settings, declared once: flag, environment variable, default, meaning. The only reader of the environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")

PREFIX = "CONNECTORS_"


class SettingError(Exception):
    """A setting has a value that does not parse. The message names the flag or variable and shows an example.

    It does not quote the value: a URL may hold a password (threat 27).
    """


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting of a command.

    `flag` is the long option with its dashes; `default` is text that `parse` accepts, shown as it stands in `--help`
    (`default_text` speaks for an empty one). `parse` raises ValueError with a sentence. `example` is a value that is
    accepted. A `switch` takes no argument on the command line, and true or false in its variable; one that is true by
    default has a `--no-` flag too.
    """

    flag: str
    default: str
    parse: Callable[[str], T]
    help: str
    example: str
    metavar: str = "VALUE"
    short: str = ""
    switch: bool = False
    default_text: str = "none"

    @property
    def variable(self) -> str:
        """CONNECTORS_<FLAG>: upper case, underscores for dashes."""
        return PREFIX + self.flag.removeprefix("--").replace("-", "_").upper()

    @property
    def negated(self) -> str:
        """The flag that turns a switch off."""
        return "--no-" + self.flag.removeprefix("--")

    @property
    def destination(self) -> str:
        """Where argparse leaves the text."""
        return "setting_" + self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Values:
    """The settings of one run; `values[SETTING]` has the type that the setting parses to."""

    _by_flag: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, setting: Setting[T]) -> T:
        value: T = self._by_flag[setting.flag]
        return value


def add_settings(parser: argparse.ArgumentParser, settings: Sequence[Setting[Any]]) -> None:
    """Make a command-line option of each setting; `read_settings` parses flags and variables alike, later."""
    for setting in settings:
        names = [setting.short, setting.flag] if setting.short else [setting.flag]
        text = f"{setting.help} [{setting.variable}; default: {setting.default or setting.default_text}]"
        options: dict[str, Any] = {"dest": setting.destination, "default": None, "help": text.replace("%", "%%")}
        if setting.switch:
            parser.add_argument(*names, action="store_const", const="true", **options)
            if setting.default == "true":
                parser.add_argument(
                    setting.negated, action="store_const", const="false", dest=setting.destination, default=None,
                    help=f"the opposite of {setting.flag}",
                )  # fmt: skip
        else:
            parser.add_argument(*names, metavar=setting.metavar, **options)


def read_settings(
    arguments: argparse.Namespace, settings: Sequence[Setting[Any]], environment: Mapping[str, str] | None = None
) -> Values:
    """Flag, else environment variable, else default. An empty variable counts as not set.

    Raises:
        SettingError: a text does not parse.
    """
    environment = os.environ if environment is None else environment
    return Values({setting.flag: _value(setting, arguments, environment) for setting in settings})


def foreign_variable(name: str, environment: Mapping[str, str] | None = None) -> str:
    """A variable that other programs give its meaning, such as KUBECONFIG; empty where it is not set."""
    environment = os.environ if environment is None else environment
    return environment.get(name, "")


def parse_command_line(
    parser: argparse.ArgumentParser,
    settings: Sequence[Setting[Any]],
    words: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> tuple[argparse.Namespace, Values]:
    """A whole command line: the parser's own arguments, and the settings. Exits 2 with a message on bad input."""
    add_settings(parser, settings)
    # Intermixed: argparse else loses positional arguments that stand behind an option.
    arguments = parser.parse_intermixed_args(words)
    try:
        return arguments, read_settings(arguments, settings, environment)
    except SettingError as error:
        parser.error(str(error))


def _value(setting: Setting[T], arguments: argparse.Namespace, environment: Mapping[str, str]) -> T:
    given = getattr(arguments, setting.destination)
    if given is not None:
        return _parsed(setting, setting.flag, given, f"{setting.flag} {setting.example}")
    if text := environment.get(setting.variable):
        return _parsed(setting, setting.variable, text, f"{setting.variable}={setting.example}")
    return setting.parse(setting.default)


def _parsed(setting: Setting[T], source: str, text: str, example: str) -> T:
    try:
        return setting.parse(text)
    except ValueError as error:
        raise SettingError(f"{source}: {error}; for example: {example}") from None
