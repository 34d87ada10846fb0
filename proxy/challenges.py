"""WWW-Authenticate: one field can hold several challenges, each with parameters (RFC 9110 section 11.6.1)."""

from __future__ import annotations

import re

_ITEM = re.compile(rb"""(?:[^",]|"(?:[^"\\]|\\.)*")+""")
"""One member of a comma-separated list whose members can hold quoted commas."""
_QUOTED = re.compile(rb'"[^"]*"')
_STARTS_CHALLENGE = re.compile(rb"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s+(?!=)|\s*$)")
"""A scheme name stands alone or before a space; a parameter has `=` behind its name."""


_MAX_FIELD = 4096
"""Bytes of a field worth taking apart; unbalanced quotes make that quadratic."""


def without_bearer(value: bytes) -> bytes | None:
    """The field without its Bearer challenges, byte for byte otherwise; None where nothing is left."""
    if b"bearer" not in value.lower():
        return value
    if len(value) > _MAX_FIELD:
        return None
    outside = _QUOTED.sub(b"", value)
    if b'"' in outside or b"\\" in value:
        # Clients disagree on where such a quoted string ends, and so on whether a challenge begins inside of it.
        return None
    kept, dropping = [], False
    for item in _ITEM.findall(value):
        start = _STARTS_CHALLENGE.match(item)
        if start:
            dropping = start[1].lower() == b"bearer"
        if not dropping:
            kept.append(item)
    left = b",".join(kept).strip()
    # What is not a list of challenges can hold one where a client's looser reading finds it: `Basic a="b" Bearer ...`.
    return None if b"bearer" in _QUOTED.sub(b"", left).lower() else left or None
