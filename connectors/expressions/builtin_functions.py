"""Go's own functions of text/template that are not about text: comparisons, index, len, not; and sprig's default."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.expressions.values import Map, Missing, Record, Value, is_true, kind_of

_INCOMPARABLE = "{} and {} cannot be compared"


def equal(arguments: Sequence[Value]) -> bool:
    """The first argument equals one of the others.

    Raises:
        ValueError: they are of different kinds, or of one that Go does not compare.
    """
    first, *others = arguments
    return any(_same(first, other) for other in others)


def not_equal(arguments: Sequence[Value]) -> bool:
    """Not `equal`."""
    first, second = arguments
    return not _same(first, second)


def _same(first: Value, second: Value) -> bool:
    # bool is an int for Python; Go compares values of one type only.
    if type(first) is type(second):
        if isinstance(first, tuple | Map | Record):
            raise ValueError(f"{kind_of(first)} cannot be compared")
        return first == second
    if first is None or second is None:
        return False
    raise ValueError(_INCOMPARABLE.format(kind_of(first), kind_of(second)))


def _less(first: Value, second: Value) -> bool:
    if isinstance(first, bytes) and isinstance(second, bytes):
        return first < second
    if isinstance(first, float) and isinstance(second, float):
        return first < second
    # bool is an int for Python, and has no order in Go.
    if isinstance(first, int) and isinstance(second, int) and type(first) is type(second) is int:
        return first < second
    raise ValueError(_INCOMPARABLE.format(kind_of(first), kind_of(second)) + " by order")


def less(arguments: Sequence[Value]) -> bool:
    """Raises ValueError for kinds without an order, as the next three."""
    return _less(arguments[0], arguments[1])


def less_or_equal(arguments: Sequence[Value]) -> bool:
    """See `less`."""
    return _less(arguments[0], arguments[1]) or _same(arguments[0], arguments[1])


def greater(arguments: Sequence[Value]) -> bool:
    """See `less`."""
    return not less_or_equal(arguments)


def greater_or_equal(arguments: Sequence[Value]) -> bool:
    """See `less`."""
    return not less(arguments)


def negation(arguments: Sequence[Value]) -> bool:
    """Whether the argument is false as a condition."""
    return not is_true(arguments[0])


def default(arguments: Sequence[Value]) -> Value:
    """The second argument if it is true as a condition, else the first."""
    return arguments[-1] if is_true(arguments[-1]) else arguments[0]


def length(arguments: Sequence[Value]) -> int:
    """Bytes of a string, items of a list, keys of a map."""
    match arguments[0]:
        case bytes() | tuple() as value:
            return len(value)
        case Map(entries=entries):
            return len(entries)
        case value:
            raise ValueError(f"{kind_of(value)} has no length")


def index(arguments: Sequence[Value]) -> Value:
    """`index x 1 "key"` is x[1]["key"]."""
    value, *keys = arguments
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: Value, key: Value) -> Value:
    match value, key:
        case Map(), bytes():
            return value.entry(key)
        case Missing(), _:
            return value
        case tuple(), int() if not isinstance(key, bool):
            # Neither number is said: they could be made of a Secret.
            if 0 <= key < len(value):
                return value[key]
            raise ValueError("the index is beyond the end of the list")
        case _:
            raise ValueError(f"{kind_of(value)} cannot be indexed by {kind_of(key)}")
