"""How values become text: what `{{ value }}` writes, print, printf and quote (Go's package fmt)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from connectors.expressions.limits import MAX_NESTING, Buffer
from connectors.expressions.values import GoStruct, Map, Missing, Value, kind_of

_VERB = re.compile(rb"%(.?)", re.DOTALL)
_KNOWN = "known are %s %q %d %v %t and %%"
# From here on Go's %v writes a float with an exponent; below 1e-4 too.
_PLAIN_EXPONENT = 6
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def printed(value: Value) -> bytes:
    """What `{{ value }}` writes.

    Raises:
        ValueError: it cannot be written, or is too long.
    """
    buffer = Buffer()
    _write(value, buffer, MAX_NESTING)
    return buffer.value()


def _write(value: Value, buffer: Buffer, depth: int) -> None:
    match value:
        case bytes():
            buffer.add(value)
        case bool():
            buffer.add(b"true" if value else b"false")
        case int():
            buffer.add(str(value).encode())
        case float():
            buffer.add(_float(value).encode())
        case _ if depth == 0:
            raise ValueError("lists are nested too deep to be printed")
        case tuple():
            buffer.add(b"[")
            for index, item in enumerate(value):
                buffer.add(b" " if index else b"")
                _write(item, buffer, depth - 1)
            buffer.add(b"]")
        case Map(secret=False):
            buffer.add(b"map[")
            for index, key in enumerate(sorted(value.entries)):
                buffer.add((b" " if index else b"") + key + b":")
                _write(value.entries[key], buffer, depth - 1)
            buffer.add(b"]")
        case _:
            raise ValueError(not_printable(value) or "")


def not_printable(value: Value) -> str | None:
    """Why a value cannot be written as a whole; None if its kind can."""
    match value:
        case Missing():
            return value.problem
        case None:
            return "nil cannot be printed; test with if before"
        case GoStruct(name=name, fields=fields):
            return f"{name} cannot be printed as a whole; print one of its fields: {', '.join(fields)}"
        case Map(secret=True):
            return "the Secret cannot be printed as a whole; print one of its keys"
        case _:
            return None


def _float(value: float) -> str:
    exponent = Decimal(repr(value)).adjusted()
    if value and not -4 <= exponent < _PLAIN_EXPONENT:
        mantissa, _, _ = f"{value!r}".partition("e")
        digits = mantissa if "e" in repr(value) else format(Decimal(repr(value)).scaleb(-exponent).normalize(), "f")
        return f"{digits.removesuffix('.0')}e{exponent:+03d}"
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def sprint(values: Sequence[Value]) -> bytes:
    """Go's Sprint: a blank between two operands of which neither is a string.

    Raises:
        ValueError: one cannot be printed, or all are too long.
    """
    buffer, before = Buffer(), True
    for value in values:
        string = isinstance(value, bytes)
        buffer.add(b"" if before or string else b" ")
        buffer.add(printed(value))
        before = string
    return buffer.value()


def format_problem(pattern: bytes, count: int) -> str | None:
    """What is wrong with a format for `count` values; None if nothing is. Go would write `%!d(...)` instead."""
    verbs = [verb for verb in _VERB.findall(pattern) if verb != b"%"]
    if any(verb not in (b"s", b"q", b"d", b"v", b"t") for verb in verbs):
        return f"the format has a verb, a flag or a width that is not known; {_KNOWN}"
    if len(verbs) != count:
        return f"the format asks for {len(verbs)} values, and gets {count}"
    return None


def sprintf(values: Sequence[Value]) -> bytes:
    """Go's Sprintf with the verbs %s %q %d %v %t.

    Raises:
        ValueError: the format asks for something else than the values, or the output is too long.
    """
    pattern, *rest = values
    if not isinstance(pattern, bytes):
        raise ValueError(f"the format must be a string, not {kind_of(pattern)}")
    if problem := format_problem(pattern, len(rest)):
        raise ValueError(problem)
    buffer, position, operands = Buffer(), 0, iter(rest)
    for verb in _VERB.finditer(pattern):
        buffer.add(pattern[position : verb.start()])
        buffer.add(b"%" if verb[1] == b"%" else _verb(verb[1], next(operands)))
        position = verb.end()
    buffer.add(pattern[position:])
    return buffer.value()


def _verb(verb: bytes, value: Value) -> bytes:
    integer = isinstance(value, int) and not isinstance(value, bool)
    match verb:
        case b"s" if isinstance(value, bytes | tuple | Map):
            return printed(value) if _strings_only(value) else _mismatch(verb, "strings")
        case b"q" if isinstance(value, bytes):
            return quoted(value)
        case b"d" if integer:
            return printed(value)
        case b"t" if isinstance(value, bool):
            return printed(value)
        case b"v":
            return printed(value)
        case _:
            return _mismatch(verb, {b"d": "integers", b"t": "booleans"}.get(verb, "strings"))


def _strings_only(value: Value) -> bool:
    """A list of something else is for %v: %s would write `%!s(int=1)` for each."""
    match value:
        case tuple():
            return all(isinstance(item, bytes) for item in value)
        case Map(secret=False):
            return all(isinstance(item, bytes) for item in value.entries.values())
        case _:
            return True


def _mismatch(verb: bytes, kinds: str) -> bytes:
    raise ValueError(f"%{verb.decode()} is for {kinds}; use %v for other values")


def quoted(value: bytes) -> bytes:
    """The string in double quotes, with the escapes of Go's strconv.Quote."""
    buffer = Buffer()
    buffer.add(b'"')
    if len(value) < MAX_QUOTED:
        for character in value.decode("utf-8", "surrogateescape"):
            buffer.add(_quoted(character).encode())
    else:
        buffer.add(value)  # too long, whatever is escaped
    buffer.add(b'"')
    return buffer.value()


# Bytes from which quoting is too long in any case.
MAX_QUOTED = 16 * 1024


def _quoted(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if character == " " or character.isprintable():
        return character
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
