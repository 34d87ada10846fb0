"""Asking the admin port of a running `connectors serve`: what every command that talks to one has in common."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from connectors.process.declaration import Parser, Setting
from standalone.objects import ApiFailure

# Seconds until an admin port that does not answer counts as unreachable.
TIMEOUT = 10.0

# Bytes of an answer: ten thousand Connectors with statuses have 30 MiB.
MAX_BODY = 64 * 1024 * 1024

T = TypeVar("T")


class AdminPortError(Exception):
    """There is nothing to print; the message says why and what to do. `not_found`: the server has no such object."""

    def __init__(self, message: str, *, not_found: bool = False) -> None:
        super().__init__(message)
        self.not_found = not_found


def parse_server(text: str) -> str:
    """`http://HOST:PORT` without path, query or userinfo -> the same without a closing slash.

    Raises:
        ValueError: anything else.
    """
    wanted = "it takes the http:// address of an admin port, without a path"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        # Its own words are about a conversion, and quote the text.
        raise ValueError(wanted) from None
    bare = parts.path in {"", "/"} and not parts.query and not parts.fragment and parts.username is None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not bare or port == 0:
        raise ValueError(wanted)
    return text.rstrip("/")


SERVER = Setting(
    "--server", "http://127.0.0.1:8081", Parser(parse_server, "URL"), "admin address of `connectors serve`",
    "http://127.0.0.1:8081",
)  # fmt: skip


def fetch(url: str, post: bytes | None = None, timeout: float = TIMEOUT) -> bytes:
    """The body of the answer to a GET, or to a POST of JSON; `timeout` in seconds.

    Raises:
        AdminPortError: there is no answer, or it is a refusal.
    """
    # The admin port is local: a proxy that the environment names for the outside world has no part in it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {} if post is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=post, headers=headers)  # noqa: S310 - parse_server takes http and https
    try:
        with opener.open(request, timeout=timeout) as answer:
            body: bytes = answer.read(MAX_BODY + 1)
    except urllib.error.HTTPError as error:
        raise _refusal(error.code, error.read(MAX_BODY)) from None
    except (OSError, http.client.HTTPException) as error:
        server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        raise AdminPortError(
            f"error: cannot reach {server}: {_cause(error)}; "
            "start `connectors serve PATH`, or give its admin address with --server"
        ) from None
    if len(body) > MAX_BODY:
        raise AdminPortError(f"error: the answer is larger than {MAX_BODY >> 20} MiB; name one object")
    return body


def decoded(body: bytes, kind: type[T]) -> T:
    """An answer as a value.

    Raises:
        AdminPortError: it is not such a value.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = "error: the answer is not understood; give the address of --admin with --server, of the same version"
        raise AdminPortError(message) from None


def _cause(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return (inner.strerror if isinstance(inner, OSError) else None) or str(inner) or type(inner).__name__


def _refusal(code: int, body: bytes) -> AdminPortError:
    try:
        failure = msgspec.json.decode(body, type=ApiFailure)
    except msgspec.DecodeError:
        return AdminPortError(
            f"error: the server answered {code}, not as an admin port does; give the address of --admin with --server"
        )
    message = f"Error from server ({failure.reason}): {failure.message}"
    return AdminPortError(message, not_found=failure.reason == "NotFound")
