"""The tokens of an action -> a pipeline. Whatever is known to fail is refused here, at admission."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from connectors.expressions.functions import FUNCTIONS
from connectors.expressions.lexer import Kind, Token
from connectors.expressions.limits import MAX_NESTING, TemplateError, error_at
from connectors.expressions.nodes import CallNode, Chain, Literal, Operand, Pipe, Start, Variable
from connectors.expressions.printing import not_printable
from connectors.expressions.values import GoStruct, Map, Missing, Value, field_of

# Escapes in strings, as Go writes them (Go specification, "Rune literals"): numbers, and single letters.
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
# Characters of a number; int64 has 19 digits.
_MAX_DIGITS = 40
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


KEYWORDS = {"if", "else", "end", "range", "with"}
NOT_SUPPORTED = {"block", "break", "continue", "define", "template"}
_CONSTANTS: Mapping[str, Value] = {"true": True, "false": False, "nil": None}
_END = Token(Kind.CLOSE, "", -1, spaced=True)


@dataclass(slots=True)
class Scope:
    """What names mean at one place of the source, and how deep that place is.

    `variables` are places of declarations. `dot_is_root` holds outside of `with` and `range`. `specimen` is a root of
    the shape that templates will see, None if that is not known.
    """

    source: str
    specimen: Value = None
    variables: dict[str, int] = field(default_factory=dict)
    slots: int = 0
    depth: int = 0
    dot_is_root: bool = True

    @contextmanager
    def nested(self, position: int) -> Iterator[None]:
        """One level deeper; what is declared there ends with it.

        Raises:
            TemplateError: that is too deep.
        """
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(position, f"blocks and parentheses are nested deeper than {MAX_NESTING}")
        variables, dot_is_root = dict(self.variables), self.dot_is_root
        yield
        self.depth, self.variables, self.dot_is_root = self.depth - 1, variables, dot_is_root

    def declare(self, name: str) -> int:
        """A new variable."""
        self.variables[name] = self.slots
        self.slots += 1
        return self.variables[name]

    def error(self, position: int, message: str) -> TemplateError:
        """An error at `position` of the source."""
        return error_at(self.source, position, message)


def parse_pipeline(scope: Scope, position: int, tokens: tuple[Token, ...], *, ranges: bool = False) -> Pipe:
    """The pipeline of an action at `position`; `ranges`: two variables may be declared.

    Raises:
        TemplateError: it leaves the subset, or what it names does not exist.
    """
    return _Pipelines(scope, position, tokens).parse(ranges=ranges)


class _Pipelines:
    """A cursor over the tokens of one action."""

    def __init__(self, scope: Scope, position: int, tokens: tuple[Token, ...]) -> None:
        self._scope = scope
        self._position = position
        self._tokens = tokens
        self._next = 0

    def parse(self, *, ranges: bool) -> Pipe:
        names, declares, position = self._targets(ranges=ranges)
        pipe = self._pipeline(position)
        if self._peek() is not _END:
            raise self._unexpected(self._peek())
        if not names:
            return pipe
        # After the pipeline: it does not see what it declares.
        slots = tuple(self._slot(name, declares=declares) for name in names)
        return Pipe(pipe.first, pipe.rest, slots, position)

    def _peek(self, ahead: int = 0) -> Token:
        place = self._next + ahead
        return self._tokens[place] if place < len(self._tokens) else _END

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _error(self, token: Token, message: str) -> TemplateError:
        return self._scope.error(self._position if token is _END else token.position, message)

    def _unexpected(self, token: Token) -> TemplateError:
        if token is _END:
            return self._error(token, "a value is expected here, or a function with its arguments")
        return self._error(token, f"{token.text} is not expected here")

    def _targets(self, *, ranges: bool) -> tuple[list[Token], bool, int]:
        """`$a :=`, `$a =` and, for range, `$a, $b :=`: the variables, and whether they are declared."""
        position = self._peek().position if self._tokens else self._position
        names: list[Token] = []
        ahead = 0
        if ranges and self._peek(1).kind is Kind.COMMA and self._peek(2).kind is Kind.VARIABLE:
            names, ahead = [self._peek(), self._peek(2)], 2
        if self._peek(ahead).kind is Kind.VARIABLE and self._peek(ahead + 1).kind in (Kind.DECLARE, Kind.ASSIGN):
            names = names or [self._peek()]
            declares = self._peek(ahead + 1).kind is Kind.DECLARE
            self._next += ahead + 2
            for name in names:
                if name.kind is not Kind.VARIABLE or name.text == "$":
                    raise self._error(name, "a variable is expected here, such as $name")
            return names, declares, position
        return [], False, position

    def _slot(self, token: Token, *, declares: bool) -> int:
        return self._scope.declare(token.text) if declares else self._known(token)

    def _known(self, token: Token) -> int:
        slot = self._scope.variables.get(token.text)
        if slot is None:
            raise self._error(token, f"the variable {token.text} is not declared; declare it with :=")
        return slot

    def _pipeline(self, position: int) -> Pipe:
        first = self._command(piped=False)
        rest: list[CallNode] = []
        while self._peek().kind is Kind.PIPE:
            bar = self._take()
            call = self._command(piped=True)
            if not isinstance(call, CallNode):
                raise self._error(bar, "a function is expected after |")
            rest.append(call)
        return Pipe(first, tuple(rest), (), position)

    def _command(self, *, piped: bool) -> Operand | CallNode:
        token = self._peek()
        if token.kind is Kind.WORD and token.text not in _CONSTANTS:
            return self._call(self._take(), piped=piped)
        operand = self._operand()
        if self._starts_operand(self._peek()):
            raise self._error(token, f"{token.text} is not a function, and cannot have arguments")
        if isinstance(operand, Literal) and operand.value is None:
            raise self._error(token, "nil is not a command")
        return operand

    def _call(self, token: Token, *, piped: bool) -> CallNode:
        name = token.text
        if name in NOT_SUPPORTED:
            raise self._error(token, f"{name} is not supported")
        if name in KEYWORDS:
            raise self._error(token, f"{name} is not expected here")
        function = FUNCTIONS.get(name)
        if function is None:
            raise self._error(token, f"function {name} is not known; known are {', '.join(sorted(FUNCTIONS))}")
        arguments: list[Operand] = []
        while self._starts_operand(self._peek()):
            if not self._peek().spaced:
                raise self._unexpected(self._peek())
            arguments.append(self._operand())
        count = len(arguments) + piped
        problem = function.problem(count)
        match arguments[:1]:
            case [Literal(value=bytes() as first)] if function.literal_problem and not problem:
                problem = function.literal_problem(first, count - 1)
        if problem:
            raise self._error(token, f"{name}: {problem}")
        return CallNode(name, function, tuple(arguments), token.position)

    def _starts_operand(self, token: Token) -> bool:
        return token is not _END and token.kind not in _BETWEEN

    def _operand(self) -> Operand:
        token = self._take()
        base: Start | Variable | Pipe
        names: list[str] = []
        match token.kind:
            case Kind.STRING:
                return self._literal(token, string)
            case Kind.NUMBER:
                return self._literal(token, number)
            case Kind.WORD:
                return self._constant(token)
            case Kind.DOT:
                return self._chain(token, Start.DOT, [])
            case Kind.FIELD:
                base, names = Start.DOT, [token.text[1:]]
            case Kind.VARIABLE:
                base = Start.ROOT if token.text == "$" else Variable(self._known(token))
            case Kind.OPEN if token is not _END:
                base = self._parenthesised(token)
            case _:
                raise self._unexpected(token)
        while self._peek().kind is Kind.FIELD and not self._peek().spaced:
            names.append(self._take().text[1:])
        return self._chain(token, base, names)

    def _literal(self, token: Token, read: Callable[[str], Value]) -> Literal:
        try:
            return Literal(read(token.text))
        except ValueError as error:
            raise self._error(token, str(error)) from None

    def _constant(self, token: Token) -> Literal:
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text])
        if token.text in FUNCTIONS:
            raise self._error(token, f"put the call of {token.text} in parentheses")
        return self._refuse_word(token)

    def _refuse_word(self, token: Token) -> Literal:
        self._call(token, piped=False)
        raise self._unexpected(token)

    def _parenthesised(self, token: Token) -> Pipe:
        with self._scope.nested(token.position):
            pipe = self._pipeline(token.position)
            closing = self._take()
            if closing is _END or closing.kind is not Kind.CLOSE:
                raise self._error(token, "this parenthesis is not closed")
        return pipe

    def _chain(self, token: Token, base: Start | Variable | Pipe, names: list[str]) -> Chain:
        if not self._peek().spaced and self._peek().kind in (Kind.DOT, Kind.FIELD):
            raise self._unexpected(self._peek())
        chain = Chain(base, tuple(names), token.position)
        try:
            static_value(self._scope, chain)
        except ValueError as error:
            raise self._error(token, str(error)) from None
        return chain


_BETWEEN = {Kind.PIPE, Kind.CLOSE, Kind.DECLARE, Kind.ASSIGN, Kind.COMMA}


def static_value(scope: Scope, chain: Chain) -> Value:
    """What stands for the chain's value in the specimen; Missing where that cannot be known before rendering.

    Raises:
        ValueError: no such field will ever be there.
    """
    known = chain.base is Start.ROOT or (chain.base is Start.DOT and scope.dot_is_root)
    value: Value = scope.specimen if known and scope.specimen is not None else Missing("")
    for name in chain.names:
        value = Missing("") if isinstance(value, Map) else field_of(value, name)
    return value


def unprintable(scope: Scope, pipe: Pipe) -> str | None:
    """Why the pipeline's value can never be written; None if that is not known."""
    if pipe.rest or pipe.slots or not isinstance(pipe.first, Chain):
        return None
    value = static_value(scope, pipe.first)
    return not_printable(value) if isinstance(value, GoStruct | Map) else None
