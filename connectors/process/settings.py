"""Declared settings -> a command line, and what it and the environment say. The only reader of the environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import partial

from connectors.process.declaration import D, Setting, SettingError, filled, settings_of


def parse_command_line(
    parser: argparse.ArgumentParser, settings: D, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[argparse.Namespace, D]:
    """A whole command line: the parser's own arguments, and `settings` as they are given.

    `settings` is a dataclass whose fields declare them. Exits 2 with a message on bad input.
    """
    for setting in settings_of(settings):
        _add(parser, setting)
    # Intermixed, since argparse loses positional arguments behind an option otherwise.
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
    """A variable that other programs give its meaning, such as KUBECONFIG; empty if it is not set."""
    environment = os.environ if environment is None else environment
    return environment.get(name, "")


def _add(parser: argparse.ArgumentParser, setting: Setting[object]) -> None:
    names = [setting.short, setting.flag] if setting.short else [setting.flag]
    text = f"{setting.meaning} [{setting.variable}; default: {setting.default or setting.parser.empty}]"
    # Left under the flag, dashes and all, where no positional argument is. Without a default: what was not given on the
    # command line must stay visible as such, since then the variable counts.
    add = partial(parser.add_argument, dest=setting.flag)
    if not setting.parser.switch:
        # Of a flag that is given twice argparse keeps the last; here neither may be lost.
        action = "append" if setting.parser.repeats else "store"
        add(*names, action=action, metavar=setting.parser.metavar, help=text.replace("%", "%%"))
        return
    add(*names, action="store_const", const="true", help=text.replace("%", "%%"))
    if setting.negated:
        add(setting.negated, action="store_const", const="false", help=f"the opposite of {setting.flag}")


def _value(setting: Setting[object], arguments: argparse.Namespace, environment: Mapping[str, str]) -> object:
    given = getattr(arguments, setting.flag)
    if given is not None:
        text = ",".join(given) if isinstance(given, list) else given
        return _parsed(setting, setting.flag, text, f"{setting.flag} {setting.example}")
    if text := environment.get(setting.variable):
        return _parsed(setting, setting.variable, text, f"{setting.variable}={setting.example}")
    return setting.parser.parse(setting.default)


def _parsed(setting: Setting[object], source: str, text: str, example: str) -> object:
    try:
        return setting.parser.parse(text)
    except ValueError as error:
        # From None: the ValueError of a parser that is not ours could quote the text.
        raise SettingError(f"{source}: {error}; for example: {example}") from None
