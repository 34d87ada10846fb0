"""Constants of the template language, as Go writes them: strings and numbers."""

from __future__ import annotations

import math
import re

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([0-7]{3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SIMPLE = {
    "a": b"\a",
    "b": b"\b",
    "f": b"\f",
    "n": b"\n",
    "r": b"\r",
    "t": b"\t",
    "v": b"\v",
    "\\": b"\\",
    '"': b'"',
}
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*|0[xX][0-9A-Fa-f]+)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?", re.ASCII)
_MAX_DIGITS = 40
"""Characters of a number; int64 has 19 digits."""
_INT64 = range(-(2**63), 2**63)


def string(literal: str) -> bytes:
    """The bytes of a literal in double quotes or in backquotes (Go specification, "String literals").

    Raises:
        ValueError: an escape that Go does not know.
    """
    if literal[0] == "`":
        return literal[1:-1].replace("\r", "").encode("utf-8", "replace")
    output, position, inside = b"", 0, literal[1:-1]
    for escape in _ESCAPE.finditer(inside):
        output += inside[position : escape.start()].encode("utf-8", "replace") + _escaped(escape)
        position = escape.end()
    return output + inside[position:].encode("utf-8", "replace")


def _escaped(escape: re.Match[str]) -> bytes:
    octets, octal, short, long, simple = escape.groups()
    if simple in _SIMPLE:
        return _SIMPLE[simple]
    if octets or octal:
        code = int(octets, 16) if octets else int(octal, 8)
        if code < 256:
            return bytes((code,))
    elif short or long:
        code = int(short or long, 16)
        if code < 0xD800 or 0xDFFF < code < 0x110000:
            return chr(code).encode()
    raise ValueError(r"an escape that is not known; known are \n \t \r \a \b \f \v \\ \" \xHH \OOO \uHHHH \UHHHHHHHH")


def number(literal: str) -> int | float:
    """An int64 or a float64.

    Raises:
        ValueError: it is neither, or too large.
    """
    if len(literal) <= _MAX_DIGITS:
        if _INTEGER.fullmatch(literal):
            value = int(literal, 16 if "x" in literal.lower() else 10)
            if value in _INT64:
                return value
        elif _FLOAT.fullmatch(literal) and math.isfinite(float(literal)):
            return float(literal)
    raise ValueError("not a number that is known: decimal, hexadecimal (0x1f), or decimal with a point; 64 bits")
