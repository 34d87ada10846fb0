"""`connectors get`: asks the admin port of a running `connectors serve`; prints a table, JSON, YAML or a snippet."""

from __future__ import annotations

import argparse
import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import yaml

from connectors.process.clock import now
from connectors.process.logs import escaped
from connectors.process.parsers import choice, parse_switch
from connectors.process.settings import Setting, Values, parse_command_line
from standalone.objects import BASE, ConnectorClassList, ConnectorClassObject, ConnectorList, ConnectorObject, Failure
from standalone.snippet import SnippetError, snippet, target_of
from standalone.table import classes_table, connectors_table

TIMEOUT = 10.0
"""Seconds until an admin port that does not answer counts as unreachable."""

MAX_BODY = 64 * 1024 * 1024
"""Bytes of an answer: ten thousand Connectors with statuses have 30 MiB."""

T = TypeVar("T")


class Output(StrEnum):
    """What is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    SNIPPET = "snippet"


def parse_server(text: str) -> str:
    """`http://HOST:PORT` without path, query or userinfo -> the same without a closing slash.

    Raises:
        ValueError: anything else.
    """
    parts = urlsplit(text)
    bare = parts.path in {"", "/"} and not parts.query and not parts.fragment and parts.username is None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not bare or (parts.port or 1) < 1:
        raise ValueError("it takes the http:// address of an admin port, without a path")
    return text.rstrip("/")


NAMESPACE = Setting("--namespace", "default", str, "namespace to look in", "team-a", metavar="NAMESPACE", short="-n")
ALL = Setting("--all-namespaces", "false", parse_switch, "look in every namespace", "true", short="-A", switch=True)
OUTPUT = Setting(
    "--output", "table", choice(Output),
    "table, json, yaml, or, for one Connector, snippet: how git, curl, pip, npm, docker and a Pod use it", "yaml",
    metavar="FORMAT", short="-o",
)  # fmt: skip
TOKEN_FILE = Setting(
    "--token-file", "", str, "where clients find the caller's token, for the snippet", "$HOME/token", metavar="PATH",
    default_text="where its Pod part puts it, /var/run/secrets/connectors/NAME/token",
)  # fmt: skip
SERVER = Setting(
    "--server", "http://127.0.0.1:8081", parse_server, "admin address of `connectors serve`", "http://127.0.0.1:8081",
    metavar="URL",
)  # fmt: skip
SETTINGS: tuple[Setting[Any], ...] = (NAMESPACE, ALL, OUTPUT, TOKEN_FILE, SERVER)

CONNECTORS = "connectors"
CLASSES = "connectorclasses"
RESOURCES = {CONNECTORS: CONNECTORS, "connector": CONNECTORS, CLASSES: CLASSES, "connectorclass": CLASSES}


class GetError(Exception):
    """Nothing can be printed; the message says why and what to do. `not_found`: the server has no such object."""

    def __init__(self, message: str, *, not_found: bool = False) -> None:
        super().__init__(message)
        self.not_found = not_found


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Print what is asked for. Returns the exit code: 1 where there is no such name or no server."""
    parser = argparse.ArgumentParser("connectors get", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "resource", nargs="?", default=CONNECTORS, metavar="connectors|connectorclasses",
        help="what to list (default: connectors); any other word is the NAME of a Connector",
    )  # fmt: skip
    parser.add_argument("name", nargs="?", metavar="NAME", help="print only the one of this name")
    arguments, values = parse_command_line(parser, SETTINGS, words, environment)
    bare_word = arguments.resource not in RESOURCES and arguments.name is None
    if bare_word:
        arguments.resource, arguments.name = CONNECTORS, arguments.resource
    if arguments.resource not in RESOURCES:
        parser.error(f"there is no resource {arguments.resource!r}; choose {CONNECTORS} or {CLASSES}")
    resource = RESOURCES[arguments.resource]
    try:
        if arguments.name and values[ALL] and resource == CONNECTORS:
            raise GetError("error: a resource cannot be retrieved by name across all namespaces; name one with -n")
        if values[OUTPUT] is Output.SNIPPET and (resource == CLASSES or not arguments.name):
            raise GetError("error: a snippet is of one Connector; name it: connectors get NAME -o snippet")
        body = _fetch(values[SERVER] + _path(resource, arguments.name, values))
        text = _rendered(body, resource, values, single=bool(arguments.name))
    except GetError as error:
        resources = f" (no resource has that name either: {CONNECTORS}, {CLASSES})"
        # The server's words may hold what drives a terminal.
        print(escaped(f"{error}{resources if bare_word and error.not_found else ''}"), file=sys.stderr)
        return 1
    if text:
        sys.stdout.write(text)
    else:
        everywhere = values[ALL] or resource == CLASSES
        print("No resources found" + ("" if everywhere else f" in {values[NAMESPACE]} namespace."), file=sys.stderr)
    return 0


def _path(resource: str, name: str | None, values: Values) -> str:
    scope = "" if resource == CLASSES or values[ALL] else f"/namespaces/{quote(values[NAMESPACE], safe='')}"
    return f"{BASE}{scope}/{resource}" + (f"/{quote(name, safe='')}" if name else "")


def _fetch(url: str) -> bytes:
    # The admin port is local: a proxy that the environment names for the outside world has no part in it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT) as answer:
            body: bytes = answer.read(MAX_BODY + 1)
    except urllib.error.HTTPError as error:
        raise _refusal(error.code, error.read(MAX_BODY)) from None
    except (OSError, http.client.HTTPException) as error:
        server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        raise GetError(
            f"error: cannot reach {server}: {_cause(error)}; "
            "start `connectors serve PATH`, or give its admin address with --server"
        ) from None
    if len(body) > MAX_BODY:
        raise GetError(f"error: the answer is larger than {MAX_BODY >> 20} MiB; name one object")
    return body


def _cause(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return (inner.strerror if isinstance(inner, OSError) else None) or str(inner) or type(inner).__name__


def _refusal(code: int, body: bytes) -> GetError:
    try:
        failure = msgspec.json.decode(body, type=Failure)
    except msgspec.DecodeError:
        return GetError(
            f"error: the server answered {code}, not as an admin port does; give the address of --admin with --server"
        )
    message = f"Error from server ({failure.reason}): {failure.message}"
    return GetError(message, not_found=failure.reason == "NotFound")


def _rendered(body: bytes, resource: str, values: Values, *, single: bool) -> str:
    """The text to print, empty where a list has no items and a table is asked for."""
    if values[OUTPUT] is Output.JSON:
        return msgspec.json.format(msgspec.json.encode(_decoded(body, dict[str, Any])), indent=4).decode() + "\n"
    if values[OUTPUT] is Output.YAML:
        return yaml.safe_dump(_decoded(body, dict[str, Any]), sort_keys=False, allow_unicode=True)
    if values[OUTPUT] is Output.SNIPPET:
        return _snippet(_decoded(body, ConnectorObject), values)
    if resource == CLASSES:
        classes = (_decoded(body, ConnectorClassObject),) if single else _decoded(body, ConnectorClassList).items
        return classes_table(classes, now()) if classes else ""
    connectors = (_decoded(body, ConnectorObject),) if single else _decoded(body, ConnectorList).items
    return connectors_table(connectors, now(), namespaces=values[ALL]) if connectors else ""


def _snippet(connector: ConnectorObject, values: Values) -> str:
    try:
        return snippet(target_of(connector, values[TOKEN_FILE]))
    except SnippetError as error:
        raise GetError(f"error: {error}") from None


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = "error: the answer is not understood; give the address of --admin with --server, of the same version"
        raise GetError(message) from None
