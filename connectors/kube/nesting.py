"""JSON that is nested deeper than a parser follows is cut there: one object must not stop those who read all of them.

The API server takes about 10,000 levels, of anybody who may write a Connector; Python's recursion ends far before.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

DEEPEST = 64
"""Levels that are kept: no object of a known kind comes near, schemas of OpenAPI documents included."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def decode(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode; what is nested too deeply is null.

    Raises:
        msgspec.DecodeError: it is no JSON.
        msgspec.ValidationError: it is of another shape.
    """
    try:
        return decoder.decode(raw)
    except RecursionError:
        return decoder.decode(_cut(bytes(raw)))


def shallow(raw: msgspec.Raw) -> bytes:
    """The same JSON with null for what lies deeper than DEEPEST; values of any depth could not even be compared."""
    whole = bytes(raw)
    return _cut(whole) if whole.count(b"[") + whole.count(b"{") > DEEPEST else whole


def _cut(raw: bytes) -> bytes:
    parts: list[bytes] = []
    depth = begin = 0
    for token in _TOKEN.finditer(raw):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth == DEEPEST + 1:
                parts += (raw[begin : token.start()], b"null")
        elif mark in (b"]", b"}"):
            if depth == DEEPEST + 1:
                begin = token.end()
            depth -= 1
    if depth <= DEEPEST:
        parts.append(raw[begin:])
    return b"".join(parts)
