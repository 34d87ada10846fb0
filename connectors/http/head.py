"""Message heads: bytes -> value on llhttp, value -> bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import httptools

from connectors.http.framing import Framing, request_framing
from connectors.http.message import Headers, MessageError, RequestHead, ResponseHead, Version
from connectors.objects.reasons import Reason

HEAD_END = b"\r\n\r\n"

_VERSIONS = {"1.0": Version.HTTP_1_0, "1.1": Version.HTTP_1_1}
# Bytes of a request line besides its target: the longest method, two spaces, the version.
_REST_OF_LINE = 32
_NOTHING: frozenset[bytes] = frozenset()


class ParsedRequest(NamedTuple):
    """A request head with what its framing and connection fields mean."""

    head: RequestHead
    framing: Framing
    keep_alive: bool


class _Collector:
    """The target of llhttp's callbacks for one head."""

    __slots__ = ("complete", "headers", "status_text", "url")

    def __init__(self) -> None:
        self.url = b""
        self.status_text = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_status(self, status: bytes) -> None:
        self.status_text += status

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves optional white space behind the value (RFC 9112 section 5.1 excludes it).
        self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_request(raw: bytes, *, header_count: int) -> ParsedRequest:
    """One complete request head, ending in an empty line.

    Raises:
        MessageError: RequestMalformed, or HeadTooLarge for more than `header_count` fields.
    """
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    _feed(parser, raw, "the request head is not HTTP/1.1", Reason.REQUEST_MALFORMED)
    version = _VERSIONS.get(parser.get_http_version())
    if version is None or not collector.complete:
        raise MessageError("only HTTP/1.0 and HTTP/1.1 are spoken here")
    head = RequestHead(parser.get_method(), collector.url, tuple(collector.headers), version)
    # llhttp also reads `GET  /`, `RTSP/1.0` and HTTP/0.9: the line must be the one that its parts make.
    if not raw.startswith(b"%b %b %b\r\n" % (head.method, head.target, version.value)):
        raise MessageError("the request line is not method, target and version with one space between them")
    if len(head.headers) > header_count:
        raise MessageError(f"the request has more than {header_count} header fields", Reason.HEAD_TOO_LARGE)
    _require_one_host(head)
    return ParsedRequest(head, request_framing(head), _keeps_alive(head))


def parse_response(raw: bytes, *, header_count: int) -> ResponseHead:
    """One complete response head, ending in an empty line.

    Raises:
        MessageError: with reason UpstreamProtocol.
    """
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    _feed(parser, raw, "the tool's answer is not HTTP/1.1", Reason.UPSTREAM_PROTOCOL)
    version = _VERSIONS.get(parser.get_http_version())
    status = parser.get_status_code()
    if version is None or not collector.complete or not 100 <= status <= 999:
        raise MessageError("the tool's answer is not HTTP/1.1", Reason.UPSTREAM_PROTOCOL)
    if len(collector.headers) > header_count:
        raise MessageError(f"the tool's answer has more than {header_count} header fields", Reason.UPSTREAM_PROTOCOL)
    return ResponseHead(status, collector.status_text, tuple(collector.headers), version)


def require_completable(raw: bytes, *, target_bytes: int, head_bytes: int, scanned: int = 0) -> None:
    """Refuse early a request head that is not complete yet but can no longer become acceptable.

    `scanned` bytes were looked at before: without it a head that comes byte by byte would cost its length squared.

    Raises:
        MessageError: URITooLong, HeadTooLarge, or RequestMalformed for a line that ends in a bare LF: it would
            otherwise be waited for until the timeout.
    """
    if has_bare_lf_or_nul(raw, scanned):
        raise MessageError("lines must end in CRLF, and NUL has no place in a head")
    if len(raw) > target_bytes + _REST_OF_LINE and b"\r\n" not in raw:
        raise MessageError(f"the request-target is longer than {target_bytes} bytes", Reason.URI_TOO_LONG)
    if len(raw) >= head_bytes + len(HEAD_END):
        raise MessageError(f"the request head is longer than {head_bytes} bytes", Reason.HEAD_TOO_LARGE)


def has_bare_lf_or_nul(raw: bytes | bytearray, begin: int = 0, end: int | None = None) -> bool:
    """Whether a NUL, or a LF without a CR before it, stands in `raw` from `begin` to `end`: no head has one.

    `begin` is where the last look ended: a CR may stand before it. Looks for bytes, and not with an expression, which
    takes 14 times as long: 4,000 clients that never finish a head of 60 kB cost 5 s of it (threat 31).
    """
    if raw.find(b"\0", begin, end) >= 0:
        return True
    lines = raw.count(b"\n", begin, end)
    return lines > 0 and lines != raw.count(b"\r\n", max(0, begin - 1), end)


def parse_trailers(section: bytes) -> Headers:
    """A chunked body's trailer section (RFC 9112 section 7.1.2), up to and with its empty line.

    Raises:
        MessageError: it is not a field section.
    """
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    _feed(parser, _TRAILER_CARRIER + section, "the trailer section is malformed", Reason.REQUEST_MALFORMED)
    return tuple(collector.headers[_CARRIER_FIELDS:])


# Brings llhttp to where a trailer section is read: it has no entry point for one.
_TRAILER_CARRIER = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
_CARRIER_FIELDS = 1


def write_request(head: RequestHead) -> bytes:
    """The head as bytes, always HTTP/1.1 (RFC 9112 section 2.3: a proxy sends its own version)."""
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (head.method, head.target, write_fields(head.headers))


def write_response(head: ResponseHead) -> bytes:
    """The head as bytes, always HTTP/1.1."""
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.status, head.reason, write_fields(head.headers))


def write_fields(headers: Headers) -> bytes:
    """Field lines, each ended by CRLF."""
    return b"".join([b"%b: %b\r\n" % field for field in headers])


def tokens(value: bytes) -> frozenset[bytes]:
    """The members of a comma-separated list of tokens, in lower case (RFC 9110 section 5.6.1)."""
    # Short ones only: a cache of what peers make up must not become their storage.
    return _short_tokens(value) if len(value) <= _CACHED else _tokens(value)


def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(item.strip(b" \t").lower() for item in value.split(b",")) - {b""}


# Bytes of a value whose tokens are remembered: `keep-alive, Upgrade, HTTP2-Settings` has 35.
_CACHED = 64
_short_tokens = lru_cache(maxsize=1024)(_tokens)


def connection_tokens(head: RequestHead | ResponseHead) -> frozenset[bytes]:
    """All that Connection fields nominate, in lower case."""
    found = head.values(b"connection")
    if not found:
        return _NOTHING
    return tokens(found[0]) if len(found) == 1 else _NOTHING.union(*(tokens(value) for value in found))


def _keeps_alive(head: RequestHead) -> bool:
    nominated = connection_tokens(head)
    if b"close" in nominated:
        return False
    return head.version is Version.HTTP_1_1 or b"keep-alive" in nominated


def _feed(
    parser: httptools.HttpRequestParser | httptools.HttpResponseParser, raw: bytes, message: str, reason: Reason
) -> None:
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        # CONNECT, Upgrade and 101 stop llhttp behind the head: it has read all that is asked of it here.
        return
    except httptools.HttpParserError as error:
        # llhttp's sentences are constants of its source ("Invalid header token"): nothing of the peer's is quoted.
        raise MessageError(f"{message}: {error}", reason) from None


def _require_one_host(head: RequestHead) -> None:
    """Exactly one Host in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112 section 3.2; threat 2)."""
    hosts = len(head.values(b"host"))
    if hosts > 1 or (hosts == 0 and head.version is Version.HTTP_1_1):
        raise MessageError("a request needs exactly one Host field")
