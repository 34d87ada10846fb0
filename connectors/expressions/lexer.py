"""A template's source as text and actions, and each action as tokens (Go's text/template/parse/lex.go)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from connectors.expressions.limits import TemplateError, error_at

# What trim markers take away; Go takes these four only.
_SPACE = " \t\r\n"


class Kind(StrEnum):
    """What a token is; the value names it in messages."""

    STRING = "string"
    NUMBER = "number"
    FIELD = "field"
    DOT = "dot"
    VARIABLE = "variable"
    WORD = "word"
    DECLARE = "declare"
    ASSIGN = "assign"
    PIPE = "pipe"
    OPEN = "open"
    CLOSE = "close"
    COMMA = "comma"


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an action; `spaced` where white space stands before it."""

    kind: Kind
    text: str
    position: int
    spaced: bool


@dataclass(frozen=True, slots=True)
class Text:
    """The text outside actions, trimmed as the actions beside it say."""

    value: str
    position: int


@dataclass(frozen=True, slots=True)
class Action:
    """`{{ tokens }}`; `position` is that of the first brace."""

    position: int
    tokens: tuple[Token, ...]


_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)"""
    r"""|(?P<number>[+-]?(?:[0-9]|\.[0-9])(?:[eE][+-]|[\w.])*)"""
    r"""|(?P<field>\.[^\W\d]\w*)|(?P<dot>\.)|(?P<variable>\$\w*)|(?P<word>[^\W\d]\w*)"""
    r"""|(?P<declare>:=)|(?P<assign>=)|(?P<pipe>\|)|(?P<open>\()|(?P<close>\))|(?P<comma>,)"""
)
_BLANK = re.compile(rf"[{_SPACE}]*")
_END = re.compile(rf"(?P<trim>(?<=[{_SPACE}])-)?\}}\}}")
_COMMENT = re.compile(rf"/\*.*?\*/(?P<trim>[{_SPACE}]-)?\}}\}}", re.DOTALL)


def scan(source: str) -> Iterator[Text | Action]:
    """Text and actions, in order, without empty texts and without comments.

    Raises:
        TemplateError: an action is not closed, or holds what is not a token.
    """
    position, trim = 0, False
    while (start := source.find("{{", position)) >= 0:
        inside = start + 2
        trimmed = source.startswith("-", inside) and source[inside + 1 : inside + 2] in tuple(_SPACE)
        yield from _text(source[position:start], position, left=trim, right=trimmed)
        inside = _blank(source, inside + 1) if trimmed else inside
        if source.startswith("/*", inside):
            comment = _COMMENT.match(source, inside)
            if comment is None:
                raise error_at(source, start, "this comment is not closed with */}}")
            position, trim = comment.end(), bool(comment["trim"])
        else:
            action, end = _action(source, start, inside)
            yield action
            position, trim = end.end(), bool(end["trim"])
    yield from _text(source[position:], position, left=trim, right=False)


def _text(text: str, position: int, *, left: bool, right: bool) -> Iterator[Text]:
    text = text.lstrip(_SPACE) if left else text
    text = text.rstrip(_SPACE) if right else text
    if text:
        yield Text(text, position)


def _blank(source: str, position: int) -> int:
    found = _BLANK.match(source, position)
    return found.end() if found else position


def _action(source: str, start: int, position: int) -> tuple[Action, re.Match[str]]:
    tokens: list[Token] = []
    while True:
        begin, position = position, _blank(source, position)
        if end := _END.match(source, position):
            return Action(start, tuple(tokens)), end
        if position >= len(source):
            raise error_at(source, start, "this action is not closed with }}")
        found = _TOKEN.match(source, position)
        if found is None:
            raise _unknown(source, position)
        tokens.append(Token(Kind(str(found.lastgroup)), found[0], position, begin < position))
        position = found.end()


def _unknown(source: str, position: int) -> TemplateError:
    match source[position]:
        case '"' | "`":
            return error_at(source, position, "this string is not closed")
        case "'":
            return error_at(source, position, "character constants are not supported; write a string in double quotes")
        case _:
            return error_at(source, position, "this character has no meaning here")
