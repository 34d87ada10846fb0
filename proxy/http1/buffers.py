"""Bytes on their way to being heads: what has arrived, looked at once, cut off where a head ends."""

from __future__ import annotations

import re

from connectors.model.message import ResponseHead
from connectors.model.reasons import Reason
from proxy.http1.errors import MessageError
from proxy.http1.head import (
    BARE_LF_OR_NUL,
    HEAD_END,
    ParsedRequest,
    check_unfinished,
    parse_request,
    parse_response,
)
from proxy.settings import Limits

MAX_INTERIM = 100
"""1xx responses before a final one. A 102 every few seconds lasts for minutes with that; a flood of them ends."""

_EMPTY_LINES = re.compile(rb"(?:\r\n)+")


class HeadBuffer:
    """Keeps what has arrived and where the part begins that was not taken yet: taking copies only what is taken."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._data = b""
        self._start = 0
        self._scanned = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def add(self, data: bytes) -> None:
        """More has arrived."""
        self._data = self._data[self._start :] + data if self._start < len(self._data) else data
        self._scanned -= self._start
        self._start = 0

    def take_all(self) -> bytes:
        """Everything that was not taken yet."""
        rest = self._data[self._start :]
        self._data, self._start, self._scanned = b"", 0, 0
        return rest

    def _take_head(self) -> bytes:
        """The bytes up to and with the next empty line; nothing where it has not come or the head is too long."""
        end = self._data.find(HEAD_END, max(self._start, self._scanned - len(HEAD_END)))
        if end < 0 or end - self._start > self._limits.head_bytes:
            return b""
        start, self._start = self._start, end + len(HEAD_END)
        self._scanned = self._start
        return self._data[start : self._start]

    def _unfinished(self) -> bytes:
        return self._data[self._start :] if self._start else self._data


class RequestBuffer(HeadBuffer):
    """What a client has sent and nobody has taken: heads, and bodies that wait for their upstream."""

    def next_request(self) -> ParsedRequest | None:
        """The next request head, if it is complete.

        Raises:
            MessageError: it is not acceptable, or can no longer become so.
        """
        if self._data.startswith(b"\r", self._start) and (empty := _EMPTY_LINES.match(self._data, self._start)):
            # RFC 9112 section 2.2: at least one empty line before a request line is to be ignored.
            self._start = empty.end()
            self._scanned = max(self._scanned, self._start)
        raw = self._take_head()
        if not raw:
            unfinished, limits = self._unfinished(), self._limits
            scanned = max(0, self._scanned - self._start)
            check_unfinished(
                unfinished, target_bytes=limits.target_bytes, head_bytes=limits.head_bytes, scanned=scanned
            )
            self._scanned = len(self._data)
            return None
        request = parse_request(raw, header_count=self._limits.header_count)
        if len(request.head.target) > self._limits.target_bytes:
            message = f"the request-target is longer than {self._limits.target_bytes} bytes"
            raise MessageError(message, Reason.URI_TOO_LONG)
        return request


class ResponseBuffer(HeadBuffer):
    """What a tool has sent before its final head was read."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._interim = 0
        self.status_line = b""
        """The last head's first line, as it came, without its CRLF."""

    def next_head(self) -> ResponseHead | None:
        """The next response head, interim or final, if it is complete.

        Raises:
            MessageError: with reason UpstreamProtocol.
        """
        raw = self._take_head()
        if not raw:
            self._check_unfinished()
            self._scanned = len(self._data)
            return None
        head = parse_response(raw, header_count=self._limits.header_count)
        self.status_line = raw[: raw.find(b"\r\n")]
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise MessageError(f"the tool sent more than {MAX_INTERIM} interim responses", Reason.UPSTREAM_PROTOCOL)
        return head

    def _check_unfinished(self) -> None:
        unfinished = self._unfinished()
        if not b"HTTP/".startswith(unfinished[:5]) or len(unfinished) > self._limits.head_bytes:
            raise MessageError("the tool's answer does not begin with an HTTP/1.1 head", Reason.UPSTREAM_PROTOCOL)
        if BARE_LF_OR_NUL.search(unfinished, max(0, self._scanned - self._start)):
            raise MessageError("the tool's response head has a NUL or lines without CRLF", Reason.UPSTREAM_PROTOCOL)
