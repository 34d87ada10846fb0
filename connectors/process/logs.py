"""Logging set-up: one line a record, text or JSON, on standard error."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from connectors.process.declaration import Parser, setting
from connectors.process.parsers import choice

# The lowest level of libraries, whatever is asked for: kubernetes_asyncio logs whole Secrets at DEBUG, and what a
# kubeconfig's login program said at ERROR (threat 14).
PINNED = {
    "aiohttp": logging.INFO,
    "asyncio": logging.INFO,
    "kubernetes_asyncio": logging.INFO,
    "kubernetes_asyncio.config": logging.CRITICAL,
    "watchfiles": logging.WARNING,
}

# Where aiohttp's server logs what went wrong with a request, of the admin port and of the webhook.
HTTP_SERVER = "aiohttp.server"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class LogFormat(StrEnum):
    """How a record is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Logging:
    """How a process logs: settings of each of them."""

    format: LogFormat = setting(
        "--log-format", "text", Parser(choice(LogFormat), "text|json"), "how log lines look", "json"
    )
    level: LogLevel = setting(
        "--log-level", "info", Parser(choice(LogLevel), "LEVEL"), "debug, info, warning or error", "debug"
    )


class NoHttpQuoted(logging.Filter):
    """Drops what aiohttp says of a request that is not HTTP: it quotes the line, which may hold a token (threat 14).

    It is not missed: the client gets a 400, and could fill the log with it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record stays."""
        kinds = type(record.exc_info[1]).__mro__ if record.exc_info else ()
        return not any(kind.__name__ in _NO_HTTP for kind in kinds)


# aiohttp's, by name: to import it takes 0.13 s, which every command would wait for.
_NO_HTTP = frozenset({"HttpProcessingError", "RequestPayloadError"})
_NO_HTTP_QUOTED = NoHttpQuoted()


class TextFormatter(logging.Formatter):
    """`TIME LEVEL LOGGER: MESSAGE key=value ...` on one line: control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it the traceback if there is one."""
        message = escaped(record.getMessage())
        pairs = "".join(f" {name}={escaped(str(value))}" for name, value in fields_of(record).items())
        line = f"{time_of(record)} {record.levelname} {record.name}: {message}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time, level, logger, message, then what `extra={"fields": {...}}` gave."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; the given fields never replace its own four."""
        entry: dict[str, object] = {
            "time": time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps({**entry, **fields_of(record), **entry}, default=str)


FORMATTERS: dict[LogFormat, type[logging.Formatter]] = {LogFormat.TEXT: TextFormatter, LogFormat.JSON: JsonFormatter}


def set_up_logging(log_format: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Send all records of `level` and above to `stream` (standard error if None), replacing what was set up before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(FORMATTERS[log_format]())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(threshold)
    for name, lowest in PINNED.items():
        logging.getLogger(name).setLevel(max(lowest, threshold))
    # Libraries warn, of odd certificates for example. Without this, Python writes that between the records.
    logging.captureWarnings(capture=True)
    # Adding the same filter again changes nothing.
    logging.getLogger(HTTP_SERVER).addFilter(_NO_HTTP_QUOTED)


def time_of(record: logging.LogRecord) -> str:
    """When it happened: RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """What the caller gave as `extra={"fields": {...}}`."""
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def escaped(text: str) -> str:
    """Text without control characters, which could forge a second record or drive a terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
