"""`connectors get`: asks the admin port of a running `connectors serve`; prints a table, JSON, YAML or a snippet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import msgspec
import yaml
from msgspec import Struct

from connectors.objects.metadata import ObjectMeta
from connectors.process.clock import now
from connectors.process.declaration import Parser, Setting, declared, setting
from connectors.process.logs import escaped
from connectors.process.parsers import SWITCH, choice
from connectors.process.settings import parse_command_line
from standalone.admin_port import SERVER, AdminPortError, decoded, fetch
from standalone.objects import BASE, ConnectorClassList, ConnectorClassObject, ConnectorList, ConnectorObject
from standalone.snippet import SnippetError, snippet, target_of
from standalone.table import classes_table, connectors_table


class OutputFormat(StrEnum):
    """What is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    SNIPPET = "snippet"


NAMESPACE = Setting("--namespace", "default", Parser(str, "NAMESPACE"), "namespace to look in", "team-a", "-n")


@dataclass(frozen=True, slots=True)
class GetOptions:
    """The command line of `connectors get`, without its positional arguments."""

    namespace: str = declared(NAMESPACE)
    everywhere: bool = setting("--all-namespaces", "false", SWITCH, "look in every namespace", "true", "-A")
    output: OutputFormat = setting(
        "--output", "table", Parser(choice(OutputFormat), "FORMAT"),
        "table, json, yaml, or, for one Connector, snippet: how git, curl, pip, npm, docker and a Pod use it", "yaml",
        "-o",
    )  # fmt: skip
    token_file: str = setting(
        "--token-file", "", Parser(str, "PATH", "where its Pod part puts it, /var/run/secrets/connectors/NAME/token"),
        "where clients find the caller's token, for the snippet", "$HOME/token",
    )  # fmt: skip
    server: str = declared(SERVER)


CONNECTORS = "connectors"
CLASSES = "connectorclasses"
RESOURCES = {CONNECTORS: CONNECTORS, "connector": CONNECTORS, CLASSES: CLASSES, "connectorclass": CLASSES}


# Names that are shown where there is none of the name that was asked for.
SHOWN = 10


class _Named(Struct):
    metadata: ObjectMeta


class _Names(Struct):
    items: tuple[_Named, ...]


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Print what is asked for. Returns the exit code: 1 if there is no such name or no server."""
    parser = argparse.ArgumentParser("connectors get", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "resource", nargs="?", default=CONNECTORS, metavar="connectors|connectorclasses",
        help="what to list (default: connectors); any other word is the NAME of a Connector",
    )  # fmt: skip
    parser.add_argument("name", nargs="?", metavar="NAME", help="print only the one of this name")
    arguments, options = parse_command_line(parser, GetOptions(), words, environment)
    bare_word = arguments.resource not in RESOURCES and arguments.name is None
    if bare_word:
        arguments.resource, arguments.name = CONNECTORS, arguments.resource
    if arguments.resource not in RESOURCES:
        parser.error(f"there is no resource {arguments.resource!r}; choose {CONNECTORS} or {CLASSES}")
    resource = RESOURCES[arguments.resource]
    try:
        if arguments.name and options.everywhere and resource == CONNECTORS:
            raise AdminPortError(
                "error: a resource cannot be retrieved by name across all namespaces; name one with -n"
            )
        if options.output is OutputFormat.SNIPPET and (resource == CLASSES or not arguments.name):
            raise AdminPortError("error: a snippet is of one Connector; name it: connectors get NAME -o snippet")
        body = fetch(options.server + _path(resource, arguments.name, options))
        text = _rendered(body, resource, options, single=bool(arguments.name))
    except AdminPortError as error:
        resources = f" (no resource has that name either: {CONNECTORS}, {CLASSES})"
        # The server's words may hold what drives a terminal.
        print(escaped(f"{error}{resources if bare_word and error.not_found else ''}"), file=sys.stderr)
        if arguments.name and error.not_found:
            print(escaped(_instead(resource, options)), file=sys.stderr)
        return 1
    if text:
        sys.stdout.write(text)
    else:
        everywhere = options.everywhere or resource == CLASSES
        print("No resources found" + ("" if everywhere else f" in {options.namespace} namespace."), file=sys.stderr)
    return 0


def _instead(resource: str, options: GetOptions) -> str:
    """What to type instead of a name that the server does not know."""
    listing = f"connectors get {CLASSES}" if resource == CLASSES else "connectors get -A"
    try:
        items = decoded(fetch(options.server + _path(resource, None, options)), _Names).items
    except AdminPortError:
        items = ()
    names = ", ".join(item.metadata.name for item in items[:SHOWN]) + (", ..." if len(items) > SHOWN else "")
    where = "" if resource == CLASSES else f"in namespace {options.namespace} "
    return f"{where}there are: {names}; `{listing}` lists all" if names else f"`{listing}` lists all that there are"


def _path(resource: str, name: str | None, options: GetOptions) -> str:
    scope = "" if resource == CLASSES or options.everywhere else f"/namespaces/{quote(options.namespace, safe='')}"
    return f"{BASE}{scope}/{resource}" + (f"/{quote(name, safe='')}" if name else "")


def _rendered(body: bytes, resource: str, options: GetOptions, *, single: bool) -> str:
    """The text to print, empty if a list has no items and a table is asked for."""
    if options.output is OutputFormat.JSON:
        return msgspec.json.format(msgspec.json.encode(decoded(body, dict[str, Any])), indent=4).decode() + "\n"
    if options.output is OutputFormat.YAML:
        return yaml.safe_dump(decoded(body, dict[str, Any]), sort_keys=False, allow_unicode=True)
    if options.output is OutputFormat.SNIPPET:
        return _snippet(decoded(body, ConnectorObject), options)
    if resource == CLASSES:
        classes = (decoded(body, ConnectorClassObject),) if single else decoded(body, ConnectorClassList).items
        return classes_table(classes, now()) if classes else ""
    connectors = (decoded(body, ConnectorObject),) if single else decoded(body, ConnectorList).items
    return connectors_table(connectors, now(), namespaces=options.everywhere) if connectors else ""


def _snippet(connector: ConnectorObject, options: GetOptions) -> str:
    try:
        return snippet(target_of(connector, options.token_file))
    except SnippetError as error:
        raise AdminPortError(f"error: {error}") from None
