"""The request-target (RFC 9112 section 3.2), taken apart without changing a byte of it."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from connectors.http.message import MessageError, RequestHead

_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"http://([^/?#]*)([/?].*)?", re.IGNORECASE | re.DOTALL)
_DOT = rb"(?:\.|\xc0\xae|\xe0\x80\xae|\xef\xbc\x8e)"
# Also in overlong UTF-8, which old decoders accept, and in full width, which some fold to ASCII.
_SLASH = rb"(?:[/\\]|\xc0\xaf|\xc1\x9c|\xe0\x80\xaf|\xef\xbc\x8f|\xef\xbc\xbc)"
# Control characters (C1 ones as UTF-8 and Latin-1 write them), no-break and wide spaces, what has no width: readers
# drop them at the ends (Python's and JavaScript's `strip`), everywhere (WHATWG URL: tabs and line ends), or where they
# write the path again in a character set that lacks them.
_UNSEEN = (
    rb"(?:[\0-\x1f\x7f]|\xc2[\x80-\xa0\xad]|[\x80-\xa0]"
    rb"|\xe1\x9a\x80|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xaf]|\xe3\x80\x80|\xef\xbb\xbf)"
)
_DOT_DOT = re.compile(
    rb"(?:^|%(slash)s)(?: |%(unseen)s)*%(dot)s%(unseen)s*%(dot)s(?: |%(unseen)s)*(?:%(slash)s|[;?#\0]|\Z)"
    % {b"slash": _SLASH, b"dot": _DOT, b"unseen": _UNSEEN}
)
# A tab between two dots is one of those that readers drop (WHATWG URL): in fields it can come as it is.
_VISIBLE = re.compile(rb"[ -~]*")
# Of no standard (JavaScript's `escape` writes it); IIS and what grew on it read it.
_WIDE_ESCAPE = re.compile(rb"%u([0-9a-f]{4})", re.IGNORECASE)
# How often percent-encoding may be nested. Two are seen in the wild; more only serve to hide something.
_MAX_ENCODINGS = 3


class RequestTarget(NamedTuple):
    """`authority` is what Host says; `query` starts with its `?` or is empty. Its repr shows neither (threat 27)."""

    authority: bytes
    path: bytes
    query: bytes

    def __repr__(self) -> str:
        return f"RequestTarget(path={self.path!r})"


def request_target(head: RequestHead) -> RequestTarget:
    """The target of a request to this server.

    Absolute-form must name the same authority as Host: two answers to "which host" are how requests reach the wrong
    tenant (threat 2). Dot segments are refused in every encoding: clients resolve them before they send (RFC 3986
    section 5.2.4), so one that arrives is there to climb out of an address's path prefix (threat 4).

    Raises:
        MessageError: the target or Host is not acceptable.
    """
    authority = next(iter(head.values(b"host")), b"")
    if authority and not _AUTHORITY.fullmatch(authority):
        raise MessageError("Host is not a host name with an optional port")
    target = head.target
    if not target.startswith(b"/"):
        target = _origin_form(target, authority)
    if b"#" in target:
        raise MessageError("a request-target has no fragment")
    path, mark, query = target.partition(b"?")
    if climbs(path):
        raise MessageError("the path has a .. segment; send the path it resolves to")
    return RequestTarget(authority, path, mark + query)


def climbs(path: bytes) -> bool:
    """Whether some reader could see a `..` segment in this path: percent-decoded, with `\\` for `/`, with `;x`.

    A decoded `?`, `#` or NUL ends the path for a reader that takes it apart behind its decoding. White space around the
    dots is dropped by readers that strip names, and behind them by file systems such as Windows'. Characters that are
    not seen do not make two dots another name.
    """
    if b".." not in path and b"%" not in path and _VISIBLE.fullmatch(path):
        return False
    for _ in range(_MAX_ENCODINGS):
        if _DOT_DOT.search(path):
            return True
        decoded = _decoded(path)
        if decoded == path:
            return False
        path = decoded
    return _DOT_DOT.search(path) is not None or _decoded(path) != path


def _decoded(path: bytes) -> bytes:
    return unquote_to_bytes(_WIDE_ESCAPE.sub(_narrow, path) if b"%" in path else path)


def _narrow(escape: re.Match[bytes]) -> bytes:
    """The character that `%uXXXX` means, in UTF-8; a half of a surrogate pair is neither a dot nor a slash."""
    return chr(int(escape[1], 16)).encode("utf-8", "surrogatepass")


def _origin_form(target: bytes, authority: bytes) -> bytes:
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise MessageError("the request-target must be a path, or an http URL of the same host as Host")
    if absolute[1].lower() != authority.lower() or not authority:
        raise MessageError("the request-target names another host than Host does")
    rest: bytes = absolute[2] or b""
    return rest if rest.startswith(b"/") else b"/" + rest
