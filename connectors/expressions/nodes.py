"""The syntax of a compiled template. Positions are offsets in its source, for messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from connectors.expressions.functions import Function
from connectors.expressions.values import Value


class Start(Enum):
    """What a chain of fields starts from, besides variables and parentheses."""

    DOT = "."
    ROOT = "$"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant of the source."""

    value: Value


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, by the place that its declaration has: scopes are resolved while compiling."""

    slot: int


@dataclass(frozen=True, slots=True)
class Chain:
    """`base.name.name`; without names the base itself."""

    base: Start | Variable | Pipe
    names: tuple[str, ...]
    position: int


Operand: TypeAlias = "Literal | Chain"


@dataclass(frozen=True, slots=True)
class CallNode:
    """`function argument...`; a piped value comes after the arguments."""

    name: str
    function: Function
    arguments: tuple[Operand, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Pipe:
    """`first | call | call`, and the variables that it declares or assigns."""

    first: Operand | CallNode
    rest: tuple[CallNode, ...]
    slots: tuple[int, ...]
    position: int


@dataclass(frozen=True, slots=True)
class TextNode:
    """What is written as it is."""

    value: bytes
    position: int


@dataclass(frozen=True, slots=True)
class OutputNode:
    """A pipeline whose value is written, unless it goes to a variable."""

    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Branch:
    """One condition and what it guards."""

    pipe: Pipe
    body: Body


@dataclass(frozen=True, slots=True)
class Choice:
    """`if` and `with`: the first branch that is true, else `otherwise`. `with` makes its value the dot."""

    branches: tuple[Branch, ...]
    otherwise: Body
    moves_dot: bool


@dataclass(frozen=True, slots=True)
class Range:
    """`range`: the body once for each item, `otherwise` if there is none."""

    pipe: Pipe
    body: Body
    otherwise: Body


Body: TypeAlias = "tuple[TextNode | OutputNode | Choice | Range, ...]"
