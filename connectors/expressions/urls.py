"""urlParse and urlquery."""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes

from connectors.expressions.values import Map

_URL = re.compile(
    rb"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)"
    rb"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
"""RFC 3986 appendix B."""
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_HOST = re.compile(rb"(?:\[(?P<literal>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?")


def parse_url(text: bytes) -> Map:
    """The parts of a URL under sprig's names. `path` stays as it is written: percent-encoded.

    sprig decodes it. What templates do with a path is to write it into another URL, where a decoded %2F or %20 would
    be something else.

    Raises:
        ValueError: it is no URL.
    """
    found = _URL.fullmatch(text)
    if found is None or _CONTROL.search(text):
        raise ValueError("this is not a URL")
    userinfo, _, host = (found["authority"] or b"").rpartition(b"@")
    name = _HOST.fullmatch(host)
    if name is None:
        raise ValueError("this is not a URL")
    opaque = bool(found["scheme"]) and found["authority"] is None and not found["path"].startswith(b"/")
    return Map(
        {
            b"scheme": (found["scheme"] or b"").lower(),
            b"host": host,
            b"hostname": name["literal"] or name["name"] or b"",
            b"path": b"" if opaque else found["path"],
            b"query": found["query"] or b"",
            b"opaque": found["path"] if opaque else b"",
            b"fragment": found["fragment"] or b"",
            b"userinfo": userinfo,
        }
    )


def query_escape(text: bytes) -> bytes:
    """Go's url.QueryEscape: everything but letters, digits, `-`, `_`, `.` and `~`; a blank becomes `+`."""
    return quote_from_bytes(text, safe=" ").replace(" ", "+").encode()
