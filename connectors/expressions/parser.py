"""A template's source -> a Program: text, outputs and blocks, nested as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.expressions.evaluate import Program
from connectors.expressions.lexer import Action, Kind, Text, Token, scan
from connectors.expressions.limits import MAX_SOURCE, TemplateError
from connectors.expressions.nodes import Body, Branch, Choice, OutputNode, Range, TextNode
from connectors.expressions.pipelines import Scope, parse_pipeline, unprintable
from connectors.expressions.values import Value


def parse(source: str, specimen: Value = None) -> Program:
    """Compile; `specimen` is a root with the fields that templates will see; chains of fields are compared with it.

    Raises:
        TemplateError: with line and column, where the source leaves the subset.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"the template is longer than {MAX_SOURCE} characters")
    parser = _Parser(source, specimen)
    body, closing = parser.body()
    if closing is not None:
        raise parser.scope.error(closing.position, f"{closing.word} closes no block")
    return Program(source, body, parser.scope.slots)


@dataclass(frozen=True, slots=True)
class _Closing:
    """`else`, with what follows it, or `end`."""

    word: str
    position: int
    tokens: tuple[Token, ...]


class _Parser:
    def __init__(self, source: str, specimen: Value) -> None:
        self.scope = Scope(source, specimen)
        self._items: Iterator[Text | Action] = scan(source)

    def body(self) -> tuple[Body, _Closing | None]:
        """Nodes up to the `else` or `end` that closes them; None is the end of the source."""
        nodes: list[TextNode | OutputNode | Choice | Range] = []
        for item in self._items:
            if isinstance(item, Text):
                nodes.append(TextNode(item.value.encode("utf-8", "replace"), item.position))
                continue
            word = item.tokens[0].text if item.tokens and item.tokens[0].kind is Kind.WORD else ""
            match word:
                case "else" | "end":
                    return tuple(nodes), _Closing(word, item.position, item.tokens[1:])
                case "if" | "with":
                    nodes.append(self._choice(item, word))
                case "range":
                    nodes.append(self._range(item))
                case _:
                    nodes.append(self._output(item))
        return tuple(nodes), None

    def _output(self, action: Action) -> OutputNode:
        pipe = parse_pipeline(self.scope, action.position, action.tokens)
        if problem := unprintable(self.scope, pipe):
            raise self.scope.error(pipe.position, problem)
        return OutputNode(pipe)

    def _choice(self, action: Action, word: str) -> Choice:
        """`if` or `with`. A chain of `else if` is one list, so that its length does not count as depth."""
        branches: list[Branch] = []
        otherwise: Body = ()
        tokens = action.tokens[1:]
        with self.scope.nested(action.position):
            while True:
                pipe = parse_pipeline(self.scope, action.position, tokens)
                body, closing = self._inside(action, moves_dot=word == "with")
                branches.append(Branch(pipe, body))
                if closing.word == "end":
                    self._alone(closing)
                    break
                if not closing.tokens:
                    otherwise = self._otherwise(action)
                    break
                if closing.tokens[0].text != word:
                    raise self.scope.error(closing.tokens[0].position, f"{word} is expected here, or nothing")
                tokens = closing.tokens[1:]
        return Choice(tuple(branches), otherwise, moves_dot=word == "with")

    def _range(self, action: Action) -> Range:
        otherwise: Body = ()
        with self.scope.nested(action.position):
            pipe = parse_pipeline(self.scope, action.position, action.tokens[1:], ranges=True)
            body, closing = self._inside(action, moves_dot=True)
            if closing.word == "else":
                self._alone(closing)
                otherwise = self._otherwise(action)
            else:
                self._alone(closing)
        return Range(pipe, body, otherwise)

    def _inside(self, action: Action, *, moves_dot: bool) -> tuple[Body, _Closing]:
        variables, dot_is_root = dict(self.scope.variables), self.scope.dot_is_root
        self.scope.dot_is_root = dot_is_root and not moves_dot
        body, closing = self.body()
        self.scope.variables, self.scope.dot_is_root = variables, dot_is_root
        if closing is None:
            raise self.scope.error(action.position, "this block is not closed with {{ end }}")
        return body, closing

    def _otherwise(self, action: Action) -> Body:
        body, closing = self._inside(action, moves_dot=False)
        if closing.word == "else":
            raise self.scope.error(closing.position, "this block has an else already")
        self._alone(closing)
        return body

    def _alone(self, closing: _Closing) -> None:
        if closing.tokens:
            raise self.scope.error(closing.tokens[0].position, f"nothing is expected after {closing.word}")
