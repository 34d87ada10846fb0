"""The Go-template subset of `generator.headers[].value` and `.query[].value`: compile once, render over a Secret.

What stands today: text, `{{ pipeline }}` with trim markers, `.Secret.StringData.KEY`, `index .Secret.StringData "KEY"`,
string literals, and the functions of `functions.py`. No environment, no DNS, no files (threat 19): a template sees the
Secret of its own Connector and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from connectors.expressions.functions import FUNCTIONS
from connectors.model.secret_value import SecretValue

MAX_SOURCE = 4096
"""Characters of a template. The longest of the published classes has under 300."""
MAX_OUTPUT = 16 * 1024
"""Bytes of a rendering: what a request head of 64 KiB can hold several times."""
MAX_PIPES = 16
"""Pipes in one action. Each one nests the calls deeper; published classes use one."""

_ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<key>\.Secret\.StringData\.(?P<name>[A-Za-z_]\w*))"""
    r"""|(?P<data>\.Secret\.StringData)(?![\w.])|(?P<pipe>\|)|(?P<function>[A-Za-z_]\w*))"""
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


class TemplateError(ValueError):
    """A template is not in the subset, or cannot be rendered. The message never holds a rendered value."""


@dataclass(frozen=True, slots=True)
class _Literal:
    value: bytes


@dataclass(frozen=True, slots=True)
class _Key:
    name: str


@dataclass(frozen=True, slots=True)
class _Call:
    function: str
    arguments: tuple[_Node, ...]


_Node = _Literal | _Key | _Call


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template: literal text and expressions, in order."""

    parts: tuple[_Node, ...]

    def render(self, data: Mapping[str, SecretValue]) -> SecretValue:
        """Render over a Secret's data.

        Raises:
            TemplateError: the Secret lacks a key, a function refuses its arguments, or the output passes MAX_OUTPUT.
        """
        return SecretValue(_limited(b"".join(_evaluate(part, data) for part in self.parts)))

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the Secret that it reads."""
        return frozenset(name for part in self.parts for name in _keys(part))


@lru_cache(maxsize=1024)
def compile_template(source: str) -> Template:
    """Compile; equal sources share one Template.

    Raises:
        TemplateError: with line and column, where the source leaves the subset.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"the template is longer than {MAX_SOURCE} characters")
    parts: list[_Node] = []
    position, trim = 0, False
    for action in _ACTION.finditer(source):
        parts.append(_text(source[position : action.start()], left=trim, right=bool(action[1])))
        parts.append(_pipeline(source, action.start(2), action[2]))
        position, trim = action.end(), bool(action[3])
    rest = source[position:]
    if "{{" in rest:
        raise _error(source, position + rest.index("{{"), "this action is not closed with }}")
    parts.append(_text(rest, left=trim, right=False))
    return Template(tuple(part for part in parts if part != _Literal(b"")))


def _text(text: str, *, left: bool, right: bool) -> _Literal:
    text = text.lstrip() if left else text
    return _Literal((text.rstrip() if right else text).encode())


def _pipeline(source: str, start: int, body: str) -> _Node:
    """`command | command`: each command's value is the last argument of the next one."""
    piped: _Node | None = None
    words: list[_Node | str | None] = []
    end = len(body.rstrip())
    position = piped_through = 0
    while position < end:
        token = _TOKEN.match(body, position)
        if token is None:
            raise _error(source, start + position, "not understood; " + _SUBSET)
        if token["pipe"]:
            piped_through += 1
            if piped_through > MAX_PIPES:
                raise _error(source, start + position, f"a pipeline has at most {MAX_PIPES} pipes")
            piped, words = _command(source, start + position, words, piped), []
        else:
            words.append(_word(token))
        position = token.end()
    return _command(source, start + position, words, piped)


_SUBSET = (
    'known are .Secret.StringData.KEY, index .Secret.StringData "KEY", string literals, | and the functions '
    + ", ".join(sorted(FUNCTIONS))
)


def _word(token: re.Match[str]) -> _Node | str | None:
    """An operand, the name of a function, or None for the Secret's data as a whole."""
    if token["string"]:
        return _Literal(_unquote(token["string"]).encode())
    if token["key"]:
        return _Key(token["name"])
    return token["function"]


def _unquote(literal: str) -> str:
    if literal[0] == "`":
        return literal[1:-1]
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), literal[1:-1])


def _command(source: str, position: int, words: list[_Node | str | None], piped: _Node | None) -> _Node:
    match words:
        case ["index", None, _Literal(value=key)] if piped is None:
            return _Key(key.decode())
        case [str(function), *rest] if function in FUNCTIONS:
            arguments = [*rest, *([piped] if piped else [])]
            nodes = [word for word in arguments if isinstance(word, _Literal | _Key | _Call)]
            problem = FUNCTIONS[function].problem(len(nodes)) if len(nodes) == len(arguments) else _SUBSET
            if problem:
                raise _error(source, position, f"{function}: {problem}")
            return _Call(function, tuple(nodes))
        case [str(function), *_]:
            raise _error(source, position, f"function {function} is not known; " + _SUBSET)
        case [_Literal() | _Key() as operand] if piped is None:
            return operand
        case _:
            raise _error(source, position, "an operand or a function call is expected here; " + _SUBSET)


def _evaluate(node: _Node, data: Mapping[str, SecretValue]) -> bytes:
    match node:
        case _Literal(value=value):
            return value
        case _Key(name=name):
            if name not in data:
                raise TemplateError(f"the Secret lacks the key {name}")
            return data[name].reveal()
        case _Call(function=function, arguments=arguments):
            try:
                output = FUNCTIONS[function].apply([_evaluate(argument, data) for argument in arguments])
            except ValueError as error:
                raise TemplateError(f"{function}: {error}") from None
            # Each b64enc makes it a third longer: a pipeline of them must not get as far as filling memory.
            return _limited(output)


def _limited(output: bytes) -> bytes:
    if len(output) > MAX_OUTPUT:
        raise TemplateError(f"the rendering is longer than {MAX_OUTPUT} bytes")
    return output


def _keys(node: _Node) -> frozenset[str]:
    match node:
        case _Key(name=name):
            return frozenset({name})
        case _Call(arguments=arguments):
            return frozenset(name for argument in arguments for name in _keys(argument))
        case _:
            return frozenset()


def _error(source: str, position: int, message: str) -> TemplateError:
    line = source.count("\n", 0, position) + 1
    column = position - source.rfind("\n", 0, position)
    return TemplateError(f"line {line}, column {column}: {message}")
