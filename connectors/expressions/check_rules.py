"""What a check may cost, judged by its compiled form before it ever runs.

The library's own limits are 10,000 turns of loops and a nesting of 32. Within them a list that grows in a loop took
1.6 GiB, strings doubled in a chain of loops took 15 GiB and 43 s, and a regular expression in a loop took 16 s, with
answers of under 1 MiB, which the tool chooses. So: one loop at a time, over items alone, without map, filter,
`+` and regular expressions in it; and what is searched for stands in the expression.

The compiled form is a cel.expr.CheckedExpr (github.com/google/cel-spec, checked.proto and syntax.proto) in protobuf's
wire format; the few fields that matter are read here, since protobuf itself is 4 MiB for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

# Uses of the answer or of an item of it: each may go through all of a body of 1 MiB, 0.1 to 4 ms.
#
# What is used 16 times in a loop over a list of 16 such bodies takes a second, and no author needs that.
MAX_MENTIONS = 32
# `+` in an expression: each may copy a body of 1 MiB.
MAX_JOINS = 8
# Regular expressions: RE2 is linear, and its slowest takes 0.5 s for a body of 1 MiB.
MAX_PATTERNS = 2
# Characters of a regular expression.
MAX_PATTERN = 256
# Repeated parts of all regular expressions together, with counted ones written out: `(ab){0,50}` has 100. RE2 may try
# each of them at each byte, 4 ns: 30 ms for a body. `(a.{0,900})z` took 0.2 s.
MAX_REPEATED = 128
_WITHOUT_BODY = {"statusCode", "headers"}
_VARIABLES = {b"response", b"bodyJSON", b"headers", b"statusCode"}
_ONE_AT_A_TIME = "{} cannot stand inside of exists, exists_one and all"


class CheckError(ValueError):
    """An expression is refused, or yields no boolean. The message holds nothing of an answer."""


@dataclass(frozen=True, slots=True)
class CheckUse:
    """What an expression uses."""

    reads_body: bool


def check_rules(compiled: bytes, source: str) -> CheckUse:
    """What the expression uses; `compiled` is what Expression.serialize() gives.

    Raises:
        CheckError: with line and column, where it breaks a rule above.
    """
    return _Walk(compiled, source).walk()


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message: varints and bytes (protobuf.dev/programming-guides/encoding)."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
        elif wire == 1:
            position += 8
        elif wire == 5:
            position += 4
        else:
            size, position = _varint(data, position)
            yield number, data[position : position + size]
            position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _messages(data: bytes, number: int) -> list[bytes]:
    return [value for found, value in _fields(data) if found == number and isinstance(value, bytes)]


def _message(data: bytes, number: int) -> bytes:
    """The last field of that number, empty if there is none."""
    return (_messages(data, number) or [b""])[-1]


def _integer(data: bytes, number: int) -> int:
    return next((value for found, value in _fields(data) if found == number and isinstance(value, int)), 0)


class _Kind(IntEnum):
    """Fields of Expr, one of which says what it is; 2 is its id.

    The other numbers below: Any.value=2; CheckedExpr.expr=4, .source_info=5; SourceInfo.positions=4;
    Constant.string_value=6.
    """

    CONST = 3
    IDENT = 4
    SELECT = 5
    CALL = 6
    LIST = 7
    STRUCT = 8
    LOOP = 9


_KINDS = set(_Kind)


class _Walk:
    """One walk through an expression, with a list of what is still to visit: its author chooses how deep it is."""

    def __init__(self, compiled: bytes, source: str) -> None:
        checked = _message(compiled, 2)
        self._source = source
        self._positions = {_integer(item, 1): _integer(item, 2) for item in _messages(_message(checked, 5), 4)}
        self._todo = [(_message(checked, 4), False)]
        self._reads_body = False
        self._mentions = self._joins = self._patterns = self._repeated = 0

    def walk(self) -> CheckUse:
        while self._todo:
            expression, in_loop = self._todo.pop()
            for kind, content in _fields(expression):
                if kind in _KINDS and isinstance(content, bytes):
                    self._visit(kind, content, _integer(expression, 2), in_loop=in_loop)
        return CheckUse(self._reads_body)

    def _visit(self, kind: int, content: bytes, number: int, *, in_loop: bool) -> None:
        match kind:
            case _Kind.IDENT:
                self._ident(_message(content, 1), number, in_loop=in_loop)
            case _Kind.SELECT:
                self._select(content, number, in_loop=in_loop)
            case _Kind.CALL:
                self._call(content, number, in_loop=in_loop)
            case _Kind.LIST:
                self._todo += [(item, in_loop) for item in _messages(content, 1)]
            case _Kind.STRUCT:
                for entry in _messages(content, 2):
                    self._todo += [(item, in_loop) for part in (3, 4) for item in _messages(entry, part)]
            case _Kind.LOOP:
                self._loop(content, number, in_loop=in_loop)

    def _ident(self, name: bytes, number: int, *, in_loop: bool, reads_body: bool = True) -> None:
        if in_loop and name in _VARIABLES:
            raise self._error(number, _ONE_AT_A_TIME.format(name.decode()))
        self._mentions += not name.startswith(b"@")  # those are what a loop is expanded with
        if self._mentions > MAX_MENTIONS:
            raise self._error(number, f"the expression uses the answer more than {MAX_MENTIONS} times")
        self._reads_body |= reads_body and name in (b"response", b"bodyJSON")

    def _select(self, content: bytes, number: int, *, in_loop: bool) -> None:
        operand, name = _message(content, 1), _message(content, 2).decode()
        ident = _message(_message(operand, _Kind.IDENT), 1)
        if ident == b"response":
            self._ident(ident, number, in_loop=in_loop, reads_body=name not in _WITHOUT_BODY)
        else:
            self._todo.append((operand, in_loop))

    def _call(self, content: bytes, number: int, *, in_loop: bool) -> None:
        target, name, arguments = _messages(content, 1), _message(content, 2), _messages(content, 3)
        if name == b"_+_" and not _counts(arguments):
            if in_loop:
                raise self._error(number, _ONE_AT_A_TIME.format("+"))
            self._joins += 1
            if self._joins > MAX_JOINS:
                raise self._error(number, f"the expression has more than {MAX_JOINS} times +")
        if name == b"contains" and not _string(arguments[-1]):
            # What the tool chooses could be as long as the body itself, and the search takes their product.
            raise self._error(number, "contains takes what it looks for as a string in quotes")
        if name == b"matches":
            self._pattern(_string(arguments[-1]), number, in_loop=in_loop)
        self._todo += [(item, in_loop) for item in (*target, *arguments)]

    def _pattern(self, pattern: list[bytes], number: int, *, in_loop: bool) -> None:
        if in_loop:
            raise self._error(number, _ONE_AT_A_TIME.format("matches"))
        if not pattern:
            raise self._error(number, "matches takes its regular expression as a string in quotes")
        if len(pattern[0]) > MAX_PATTERN:
            raise self._error(number, f"the regular expression is longer than {MAX_PATTERN} characters")
        self._patterns += 1
        if self._patterns > MAX_PATTERNS:
            raise self._error(number, f"the expression has more than {MAX_PATTERNS} regular expressions")
        self._repeated += repeated_parts(pattern[0].decode(errors="replace"))
        if self._repeated > MAX_REPEATED:
            raise self._error(number, f"regular expressions repeat more than {MAX_REPEATED} parts; lower their counts")

    def _loop(self, content: bytes, number: int, *, in_loop: bool) -> None:
        if in_loop:
            raise self._error(number, _ONE_AT_A_TIME.format("another loop"))
        if _messages(_message(content, 4), _Kind.LIST):
            raise self._error(number, "map and filter are not supported; use exists, exists_one or all")
        self._todo.append((_message(content, 2), in_loop))
        self._todo += [(part, True) for place in (4, 5, 6, 7) for part in _messages(content, place)]

    def _error(self, number: int, message: str) -> CheckError:
        before = self._source[: self._positions.get(number, 0)]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return CheckError(f"line {line}, column {column}: {message}")


# A part of a regular expression (github.com/google/re2/wiki/Syntax): a class, a beginning or an end of a group, a
# repetition, or anything else. A class that it does not know is read as several parts: too many, and not too few.
_PART = re.compile(
    r"(?P<one>\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]|[^()*+?{|])|(?P<open>\((?:\?[^:)]*:?)?)|(?P<close>\))"
    r"|(?P<times>\{(?P<least>[0-9]+)(?:,(?P<most>[0-9]*))?\}|[*+?])|.",
    re.DOTALL,
)


def repeated_parts(pattern: str) -> int:
    """How many parts its repetitions hold, those within each other multiplied.

    Of each group that is open, and of its last part: how many there are, and how many of them are repeated.
    """
    groups = [[0, 0]]
    size = repeated = 0
    for part in _PART.finditer(pattern):
        if part["times"]:
            size = repeated = size * max(int(part["most"] or part["least"] or 1), 1)
            continue
        groups[-1][0] += size
        groups[-1][1] += repeated
        size, repeated = int(part[0] != "|"), 0
        if part["open"]:
            size = 0
            groups.append([0, 0])
        elif part["close"] and len(groups) > 1:
            size, repeated = groups.pop()
    return sum(group[1] for group in groups) + repeated


def _string(expression: bytes) -> list[bytes]:
    """The value of a string constant, none of another expression."""
    return _messages(_message(expression, _Kind.CONST), 6)


def _counts(arguments: list[bytes]) -> bool:
    """The `+ 1` into which exists_one is expanded."""
    return bool(arguments) and _message(_message(arguments[0], _Kind.IDENT), 1).startswith(b"@")
