"""The access log: one line a request, written in batches. Never a header value, never a query value."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO

import msgspec

from proxy.settings import AccessLogFormat

# Seconds between two writes while requests come one after the other.
INTERVAL = 0.02
# Lines that are formatted in one go, a millisecond's work; more only if they come in the same turn.
AT_ONCE = 512

# Visible ASCII without quote and backslash.
_PLAIN = re.compile(r"[!#-\[\]-~]*")


class AccessLine(msgspec.Struct, frozen=True):
    """What a line says. Durations in seconds; `upstream` until the tool's first byte; bytes are of bodies."""

    time: str
    caller: str
    connector: str
    method: str
    path: str
    status: int
    bytes_in: int
    bytes_out: int
    duration: float
    upstream: float
    reason: str
    request: str


class AccessLog:
    """Writes lines to a stream, those of INTERVAL at once: a write for each would cost more than the request."""

    def __init__(self, stream: TextIO, log_format: AccessLogFormat) -> None:
        self._stream = stream
        self._in_words = _json if log_format is AccessLogFormat.JSON else _text
        self._lines: list[AccessLine] = []
        self._due = 0.0
        self._interval = INTERVAL
        self.enabled = log_format is not AccessLogFormat.OFF

    def write(self, line: AccessLine) -> None:
        """Queue one line for the end of this turn of the event loop; if lines were written just now, a little later.

        So the line of a request that comes alone is there at once.
        """
        if not self._lines:
            loop = asyncio.get_running_loop()
            wait = self._due - loop.time()
            if wait > 0:
                loop.call_later(wait, self.flush)
            else:
                loop.call_soon(self.flush)
        self._lines.append(line)
        if len(self._lines) == AT_ONCE:
            # Not here: if the stream fails, the request that this line is about must not fail with it.
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what is queued."""
        if self._lines:
            # Taken off first: after a stream that failed once, lines would only pile up.
            lines, self._lines = self._lines, []
            self._stream.write("".join(map(self._in_words, lines)))
            self._stream.flush()
            self._due = asyncio.get_running_loop().time() + self._interval

    def close(self) -> None:
        """Write what is queued: the process ends. Later lines, of requests that are cut off, are written at once."""
        self._interval = 0.0
        with suppress(OSError, ValueError):  # the stream fails or is closed: there is no place left to say so
            self.flush()
        self._due = 0.0


def timestamp(now: float) -> str:
    """`now`, in seconds since the epoch, as RFC 3339 with milliseconds."""
    return _millisecond(int(now * 1000))


@lru_cache(maxsize=2)
def _millisecond(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _json(line: AccessLine) -> str:
    times = {"duration": round(line.duration, 6), "upstream": round(line.upstream, 6)}
    return msgspec.json.encode(msgspec.structs.replace(line, **times)).decode() + "\n"


def _text(line: AccessLine) -> str:
    path = line.path
    return (
        f"{line.time} access {_names(line.caller, line.connector, line.method)}"
        f"path={path if path and _PLAIN.fullmatch(path) else _word(path)} status={line.status} "
        f"in={line.bytes_in} out={line.bytes_out} duration={line.duration:.4f} upstream={line.upstream:.4f} "
        f"reason={_name(line.reason) if line.reason else '-'} request={line.request}\n"
    )


@lru_cache(maxsize=1024)
def _known_names(caller: str, connector: str, method: str) -> str:
    return f"caller={_word(caller)} connector={_word(connector)} method={_word(method)} "


def _names(caller: str, connector: str, method: str) -> str:
    """What comes again with the next request, in one look; a method of a caller's making is too long to be kept."""
    known = len(method) <= _REMEMBERED and len(caller) <= _REMEMBERED
    return (_known_names if known else _known_names.__wrapped__)(caller, connector, method)


def _word(text: str) -> str:
    """One value that can neither pass for another field nor drive a terminal; in quotes where it has spaces."""
    if _PLAIN.fullmatch(text):
        return text or "-"
    ascii_only = text.encode("unicode_escape").decode("ascii")
    quoted = ascii_only.replace('"', '\\"')
    return f'"{quoted}"' if " " in quoted else quoted


def _name(text: str) -> str:
    """The same for what comes again with the next request; a method of a caller's making is too long to be kept."""
    return _short_name(text) if len(text) <= _REMEMBERED else _word(text)


# Characters of a name that is remembered: a Connector's, a caller's, a reason.
_REMEMBERED = 128
_short_name = lru_cache(maxsize=1024)(_word)
