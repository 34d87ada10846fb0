"""Declared settings -> a command line, and what it and the environment say. The only reader of the environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import TypedDict

from connectors.process.declaration import D, Setting, SettingError, filled, settings_of


class _Option(TypedDict):
    dest: str
    default: None
    help: str


def parse_command_line(
    parser: argparse.ArgumentParser, settings: D, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[argparse.Namespace, D]:
    """A whole command line: the parser's own arguments, and `settings` as they are given.

    `settings` is a dataclass whose fields declare them. Exits 2 with a message on bad input.
    """
    for setting in settings_of(settings):
        _add(parser, setting)
    # Intermixed: argparse else loses positional arguments that stand behind an option.
    arguments = parser.parse_intermixed_args(words)
    try:
        return arguments, read_settings(settings, arguments, environment)
    except SettingError as error:
        parser.error(str(error))


def read_settings(settings: D, arguments: argparse.Namespace, environment: Mapping[str, str] | None = None) -> D:
    """Flag, else environment variable, else default. An empty variable counts as not set.

    Raises:
        SettingError: a text does not parse.
    """
    variables = os.environ if environment is None else environment
    return filled(settings, lambda setting: _value(setting, arguments, variables))


def foreign_variable(name: str, environment: Mapping[str, str] | None = None) -> str:
    """A variable that other programs give its meaning, such as KUBECONFIG; empty where it is not set."""
    environment = os.environ if environment is None else environment
    return environment.get(name, "")


def destination(setting: Setting[object]) -> str:
    """Where argparse leaves the text. The prefix keeps it apart from positional arguments."""
    return "setting_" + setting.flag.removeprefix("--").replace("-", "_")


def _add(parser: argparse.ArgumentParser, setting: Setting[object]) -> None:
    names = [setting.short, setting.flag] if setting.short else [setting.flag]
    text = f"{setting.meaning} [{setting.variable}; default: {setting.default or setting.parser.empty}]"
    # No default here: that a flag was not given must stay visible, since then its variable counts.
    option = _Option(dest=destination(setting), default=None, help=text.replace("%", "%%"))
    if not setting.parser.switch:
        parser.add_argument(*names, metavar=setting.parser.metavar, **option)
        return
    parser.add_argument(*names, action="store_const", const="true", **option)
    if setting.negated:
        option["help"] = f"the opposite of {setting.flag}"
        parser.add_argument(setting.negated, action="store_const", const="false", **option)


def _value(setting: Setting[object], arguments: argparse.Namespace, environment: Mapping[str, str]) -> object:
    given = getattr(arguments, destination(setting))
    if given is not None:
        return _parsed(setting, setting.flag, given, f"{setting.flag} {setting.example}")
    if text := environment.get(setting.variable):
        return _parsed(setting, setting.variable, text, f"{setting.variable}={setting.example}")
    return setting.parser.parse(setting.default)


def _parsed(setting: Setting[object], source: str, text: str, example: str) -> object:
    try:
        return setting.parser.parse(text)
    except ValueError as error:
        # From None: the ValueError of a parser that is not ours could quote the text.
        raise SettingError(f"{source}: {error}; for example: {example}") from None
