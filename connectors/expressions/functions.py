"""The functions a template may call, as one literal table.

None of them reaches outside of its arguments: no environment, no DNS, no files, no clock, no chance (threat 19).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.expressions import builtin_functions as builtin
from connectors.expressions import text_functions as text
from connectors.expressions.printing import format_problem, sprint, sprintf
from connectors.expressions.values import Value

Apply = Callable[[Sequence[Value]], Value]
MANY = 64
"""Arguments of a function that takes any number of them."""
SLOW = 32
"""Weight of what goes through characters or items one by one."""


@dataclass(frozen=True, slots=True)
class Function:
    """`apply` takes the arguments, `least` to `most`, and raises ValueError for ones it cannot take.

    `takes_missing`: a key that a map lacks may be an argument. `stops_at`: evaluate arguments up to the first one of
    that truth, and yield that one, else the last (`and`, `or`). `check` says what is wrong with a first argument that
    is a literal and this count of further ones. `weight` is how much more a byte costs than with a plain copy.
    """

    apply: Apply
    least: int
    most: int
    takes_missing: bool = False
    stops_at: bool | None = None
    check: Callable[[bytes, int], str | None] | None = None
    weight: int = 1

    def problem(self, count: int) -> str | None:
        """What is wrong with calling it with `count` arguments; None where nothing is."""
        if self.least <= count <= self.most:
            return None
        wanted = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return f"takes {wanted} argument{'' if wanted == '1' else 's'}, not {count}"


def _last(arguments: Sequence[Value]) -> Value:
    return arguments[-1]


FUNCTIONS: dict[str, Function] = {
    # Go's own.
    "and": Function(_last, 1, MANY, takes_missing=True, stops_at=False),
    "eq": Function(builtin.equal, 2, MANY),
    "ge": Function(builtin.greater_or_equal, 2, 2),
    "gt": Function(builtin.greater, 2, 2),
    "index": Function(builtin.index, 1, MANY),
    "le": Function(builtin.less_or_equal, 2, 2),
    "len": Function(builtin.length, 1, 1),
    "lt": Function(builtin.less, 2, 2),
    "ne": Function(builtin.not_equal, 2, 2),
    "not": Function(builtin.negation, 1, 1, takes_missing=True),
    "or": Function(_last, 1, MANY, takes_missing=True, stops_at=True),
    "print": Function(sprint, 0, MANY, weight=SLOW),
    "printf": Function(sprintf, 1, MANY, check=format_problem, weight=SLOW),
    "urlquery": Function(text.urlquery, 0, MANY, weight=SLOW),
    # sprig's.
    "append": Function(text.append, 2, 2),
    "b64dec": Function(text.b64dec, 1, 1),
    "b64enc": Function(text.b64enc, 1, 1),
    "contains": Function(text.contains, 2, 2),
    "default": Function(builtin.default, 1, 2, takes_missing=True),
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
    "urlParse": Function(text.url_parse, 1, 1),
}
