"""JSON that is nested deeper than a decoder is given is cut: one object must not stop those who read all of them.

The API server takes about 10,000 levels, of anybody who may write a Connector (connectors/json_depth.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from connectors.json_depth import too_deep

T = TypeVar("T")

# Levels that are kept: no object of a known kind comes near, schemas of OpenAPI documents included.
DEEPEST = 64

# Levels that one step takes: the trees of an author who wants many steps cost more bytes then.
_SMALL = 3
_FLAT = rb'(?:[^"\[\]{}]++|"(?:[^"\\]|\\.)*+")*+'
_LOW = _FLAT
for _ in range(_SMALL):
    _LOW = _FLAT + rb"(?:[\[{]" + _LOW + rb"[\]}]" + _FLAT + rb")*+"
_RUN = rb"([\[{]++|[\]}]++)"
# To the next brackets of one direction. A run of them is one match: one author may send millions.
_STEP = re.compile(_FLAT + _RUN, re.DOTALL)
# The same, over whatever is closed within _SMALL levels: for where none of these is to be cut.
_STRIDE = re.compile(_LOW + _RUN, re.DOTALL)
_KEY = re.compile(rb'[\s,]*"((?:[^"\\]|\\.)*+)"\s*:\s*', re.DOTALL)
_SCALAR = re.compile(rb'\s*("(?:[^"\\]|\\.)*+"|[^"\[\]{},\s]++)', re.DOTALL)


class TooDeepError(Exception):
    """JSON is nested too deeply, and has too many bytes to be cut."""


def decode(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], longest: int | None = None) -> T:
    """Decode; of what is too deep as a whole, all that lies deeper than DEEPEST is null.

    Raises:
        msgspec.DecodeError: it is not JSON.
        msgspec.ValidationError: it is of another shape.
        TooDeepError: it is nested too deeply, and has more than `longest` bytes: cutting takes time for each.
    """
    whole = bytes(raw)
    if not too_deep(whole):
        return decoder.decode(raw)
    if longest is not None and len(whole) > longest:
        raise TooDeepError(f"nested too deeply for more than {longest} bytes")
    return decoder.decode(_cut(whole))


def members(raw: bytes | msgspec.Raw) -> Mapping[str, msgspec.Raw]:
    """The members of an object, whatever their depth, each as it stands there.

    For objects that are too deep for a decoder: it costs less than cutting them, and each member can be measured before
    that. It stops silently at what is not JSON; decoding the members will tell.

    Raises:
        msgspec.ValidationError: it is not an object.
    """
    whole = bytes(raw)
    found: dict[str, msgspec.Raw] = {}
    if not whole.lstrip().startswith(b"{"):
        raise msgspec.ValidationError("it is not an object")
    at = whole.find(b"{") + 1
    while (key := _KEY.match(whole, at)) is not None:
        at = _end(whole, key.end())
        found[key[1].decode(errors="replace")] = msgspec.Raw(whole[key.end() : at])
    return found


def shallow(raw: msgspec.Raw) -> bytes:
    """The same JSON with null for what lies deeper than DEEPEST; values of any depth could not even be compared."""
    whole = bytes(raw)
    return _cut(whole) if whole.count(b"[") + whole.count(b"{") > DEEPEST else whole


def _cut(raw: bytes) -> bytes:
    parts: list[bytes] = []
    depth = begin = at = 0
    while (run := (_STEP if depth + _SMALL > DEEPEST else _STRIDE).match(raw, at)) is not None:
        start, at = run.span(1)
        if raw[start] in b"]}":
            depth -= at - start
            continue
        depth += at - start
        if depth > DEEPEST:
            first = at - (depth - DEEPEST)
            parts += (raw[begin:first], b"null")
            begin = at = _end(raw, first)
            depth = DEEPEST
    parts.append(raw[begin:])
    return b"".join(parts)


def _end(raw: bytes, at: int) -> int:
    """Where the value that begins there ends; at the end of everything where it does not."""
    if raw[at : at + 1] not in (b"[", b"{"):
        scalar = _SCALAR.match(raw, at)
        return scalar.end() if scalar else len(raw)
    depth = 0
    while (run := (_STRIDE if depth else _STEP).match(raw, at)) is not None:
        start, at = run.span(1)
        if raw[start] in b"[{":
            depth += at - start
        elif depth <= at - start:
            return start + depth
        else:
            depth -= at - start
    return len(raw)
