"""Functions on strings and on lists: those of sprig, with its order of arguments, and Go's urlquery."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote_from_bytes

from connectors.expressions.limits import MAX_ITEMS, MAX_OUTPUT, TOO_LONG
from connectors.expressions.printing import printed, quoted, sprint
from connectors.expressions.values import Map, Value, kind_of

Result = TypeVar("Result")

# For urlParse: RFC 3986 appendix B.
_URL = re.compile(
    rb"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)"
    rb"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_HOST = re.compile(rb"(?:\[(?P<literal>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?")


def parse_url(text: bytes) -> Map:
    """The parts of a URL under sprig's names. `path` stays as it is written: percent-encoded.

    sprig decodes it. But templates write a path into another URL, where a decoded %2F or %20 would mean something
    else.

    Raises:
        ValueError: it is not a URL.
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


# Go's unicode.IsSpace.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def _string(value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ValueError(f"takes a string, not {kind_of(value)}")


def _list(value: Value) -> tuple[Value, ...]:
    if isinstance(value, tuple):
        return value
    raise ValueError(f"takes a list, not {kind_of(value)}")


def _within(size: int, most: int = MAX_OUTPUT) -> None:
    """Raise before a value is made that would be too long: it may be thousands of times as long as its arguments."""
    if size > most:
        raise ValueError(TOO_LONG if most == MAX_OUTPUT else f"a list has at most {most} items")


def b64enc(arguments: Sequence[Value]) -> bytes:
    """Base64 (RFC 4648 section 4)."""
    (value,) = map(_string, arguments)
    _within(len(value) * 4 // 3)
    return b64encode(value)


def b64dec(arguments: Sequence[Value]) -> bytes:
    """Decode Base64. sprig writes an error's text into the result; here it is an error."""
    (value,) = map(_string, arguments)
    try:
        return b64decode(value.replace(b"\n", b"").replace(b"\r", b""), validate=True)
    except binascii.Error:
        raise ValueError("this is not base64") from None


def _of_two(operation: Callable[[bytes, bytes], Result]) -> Callable[[Sequence[Value]], Result]:
    """`NAME PART STRING`: the string that `operation` is about comes last, so that a pipe can bring it."""

    def apply(arguments: Sequence[Value]) -> Result:
        part, value = map(_string, arguments)
        return operation(value, part)

    return apply


trim_prefix = _of_two(bytes.removeprefix)
trim_suffix = _of_two(bytes.removesuffix)
has_prefix = _of_two(bytes.startswith)
has_suffix = _of_two(bytes.endswith)
contains = _of_two(bytes.__contains__)


def trim(arguments: Sequence[Value]) -> bytes:
    """Without white space at both ends."""
    return _characters(arguments[0], lambda text: text.strip(_SPACE))


def lower(arguments: Sequence[Value]) -> bytes:
    """In lower case, character by character."""
    return _characters(arguments[0], lambda text: "".join(_one(letter, letter.lower()) for letter in text))


def upper(arguments: Sequence[Value]) -> bytes:
    """In upper case, character by character."""
    return _characters(arguments[0], lambda text: "".join(_one(letter, letter.upper()) for letter in text))


def _one(letter: str, other: str) -> str:
    """Go maps a character to one character."""
    return other if len(other) == 1 else letter


def _characters(value: Value, change: Callable[[str], str]) -> bytes:
    """Bytes that are not UTF-8 pass unharmed."""
    text = _string(value)
    _within(len(text))
    return change(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def replace(arguments: Sequence[Value]) -> bytes:
    """`replace OLD NEW STRING`."""
    old, new, value = map(_string, arguments)
    if not old:
        raise ValueError("the string to be replaced is empty")
    _within(len(value) + value.count(old) * (len(new) - len(old)))
    return value.replace(old, new)


def split_list(arguments: Sequence[Value]) -> tuple[Value, ...]:
    """`splitList SEPARATOR STRING`."""
    separator, value = map(_string, arguments)
    if not separator:
        raise ValueError("the separator is empty")
    _within(value.count(separator) + 1, MAX_ITEMS)
    return tuple(value.split(separator))


def join(arguments: Sequence[Value]) -> bytes:
    """`join SEPARATOR LIST`; items that are not strings are printed, nil is left out."""
    separator, items = _string(arguments[0]), _list(arguments[1])
    pieces, size = [], 0
    for item in items:
        if item is not None:
            pieces.append(printed(item))
            size += len(pieces[-1])
            _within(size)
    _within(size + len(separator) * max(len(pieces) - 1, 0))
    return separator.join(pieces)


def append(arguments: Sequence[Value]) -> tuple[Value, ...]:
    """`append LIST ITEM`: a new list."""
    items = _list(arguments[0])
    _within(len(items) + 1, MAX_ITEMS)
    return (*items, arguments[1])


def first(arguments: Sequence[Value]) -> Value:
    """The first item; nil of an empty list."""
    items = _list(arguments[0])
    return items[0] if items else None


def last(arguments: Sequence[Value]) -> Value:
    """The last item; nil of an empty list."""
    items = _list(arguments[0])
    return items[-1] if items else None


def quote(arguments: Sequence[Value]) -> bytes:
    """Each argument in double quotes, nil left out, blanks between."""
    pieces = [quoted(printed(value)) for value in arguments if value is not None]
    return join((b" ", tuple(pieces)))


def url_parse(arguments: Sequence[Value]) -> Map:
    """The parts of a URL, as `parse_url` names them; raises as that does."""
    (value,) = map(_string, arguments)
    _within(len(value))
    return parse_url(value)


def urlquery(arguments: Sequence[Value]) -> bytes:
    """The arguments as print writes them, escaped for a query."""
    escaped = query_escape(sprint(arguments))
    _within(len(escaped))
    return escaped
