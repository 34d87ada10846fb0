"""Header fields that concern one connection or one message, by their folded names (RFC 9110 section 7.6.1)."""

from __future__ import annotations

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"upgrade",
    }
)
FRAMING = frozenset({b"content-length", b"transfer-encoding", b"host"})
"""Fields that a Connection field cannot take away: they are what makes the message readable."""
NEVER_TRAILERS = (
    HOP_BY_HOP
    | FRAMING
    | frozenset({b"authorization", b"location", b"set-cookie", b"trailer", b"www-authenticate", b"x-openapi-address"})
)
"""Fields that mean nothing, or something dangerous, behind a body (RFC 9110 section 6.5.1)."""
