"""The functions a template may call, as one literal table.

None of them reaches outside of its arguments: no environment, no DNS, no files, no clock, no chance (threat 19).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.expressions import text_functions as text
from connectors.expressions.printing import format_problem, sprint, sprintf
from connectors.expressions.values import GoStruct, Map, Missing, Value, is_true, kind_of

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
        if isinstance(first, tuple | Map | GoStruct):
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
    """Whether the first argument comes before the second.

    Raises:
        ValueError: they are of kinds that have no order.
    """
    return _less(arguments[0], arguments[1])


def less_or_equal(arguments: Sequence[Value]) -> bool:
    """Whether the first argument is not behind the second; raises as `less` does."""
    return _less(arguments[0], arguments[1]) or _same(arguments[0], arguments[1])


def greater(arguments: Sequence[Value]) -> bool:
    """Whether the first argument comes behind the second; raises as `less` does."""
    return not less_or_equal(arguments)


def greater_or_equal(arguments: Sequence[Value]) -> bool:
    """Whether the first argument does not come before the second; raises as `less` does."""
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


Apply = Callable[[Sequence[Value]], Value]
# Arguments of a function that takes any number of them.
MANY = 64
# Weight of what goes through characters or items one by one.
SLOW = 32


@dataclass(frozen=True, slots=True)
class Function:
    """`apply` takes the arguments, `least` to `most`, and raises ValueError for ones it cannot take.

    `takes_missing`: a key that a map lacks may be an argument. `stops_at`: evaluate arguments up to the first one of
    that truth, and yield that one, else the last (`and`, `or`). `literal_problem` says what is wrong with a first
    argument that is a literal, given how many more there are. `weight` is how much more a byte costs than
    with a plain copy.
    """

    apply: Apply
    least: int
    most: int
    takes_missing: bool = False
    stops_at: bool | None = None
    literal_problem: Callable[[bytes, int], str | None] | None = None
    weight: int = 1

    def problem(self, count: int) -> str | None:
        """What is wrong with calling it with `count` arguments; None if nothing is."""
        if self.least <= count <= self.most:
            return None
        wanted = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return f"takes {wanted} argument{'' if wanted == '1' else 's'}, not {count}"


def _last(arguments: Sequence[Value]) -> Value:
    return arguments[-1]


FUNCTIONS: dict[str, Function] = {
    # Go's own.
    "and": Function(_last, 1, MANY, takes_missing=True, stops_at=False),
    "eq": Function(equal, 2, MANY),
    "ge": Function(greater_or_equal, 2, 2),
    "gt": Function(greater, 2, 2),
    "index": Function(index, 1, MANY),
    "le": Function(less_or_equal, 2, 2),
    "len": Function(length, 1, 1),
    "lt": Function(less, 2, 2),
    "ne": Function(not_equal, 2, 2),
    "not": Function(negation, 1, 1, takes_missing=True),
    "or": Function(_last, 1, MANY, takes_missing=True, stops_at=True),
    "print": Function(sprint, 0, MANY, weight=SLOW),
    "printf": Function(sprintf, 1, MANY, literal_problem=format_problem, weight=SLOW),
    "urlquery": Function(text.urlquery, 0, MANY, weight=SLOW),
    # sprig's.
    "append": Function(text.append, 2, 2),
    "b64dec": Function(text.b64dec, 1, 1),
    "b64enc": Function(text.b64enc, 1, 1),
    "contains": Function(text.contains, 2, 2),
    "default": Function(default, 1, 2, takes_missing=True),
    "first": Function(text.first, 1, 1),
    "hasPrefix": Function(text.has_prefix, 2, 2),
    "hasSuffix": Function(text.has_suffix, 2, 2),
    "join": Function(text.join, 2, 2, weight=SLOW),
    "last": Function(text.last, 1, 1),
    "list": Function(tuple, 0, MANY),
    "lower": Function(text.lower, 1, 1, weight=SLOW),
    "quote": Function(text.quote, 0, MANY, weight=SLOW),
    "replace": Function(text.replace, 3, 3),
    "splitList": Function(text.split_list, 2, 2),
    "trim": Function(text.trim, 1, 1),
    "trimPrefix": Function(text.trim_prefix, 2, 2),
    "trimSuffix": Function(text.trim_suffix, 2, 2),
    "upper": Function(text.upper, 1, 1, weight=SLOW),
    "urlParse": Function(text.url_parse, 1, 1, weight=SLOW),
}
