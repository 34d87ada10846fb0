"""Evaluates a compiled template over a value, within limits. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.expressions.limits import (
    MAX_STEPS,
    STEP_ARGUMENTS,
    STEP_BYTES,
    STEP_ITEMS,
    Buffer,
    TemplateError,
    error_at,
)
from connectors.expressions.nodes import (
    Body,
    CallNode,
    Choice,
    Literal,
    Operand,
    OutputNode,
    Pipe,
    Range,
    Start,
    TextNode,
)
from connectors.expressions.nodes import Variable as Slot
from connectors.expressions.printing import printed
from connectors.expressions.values import Map, Missing, Value, field_of, is_true, kind_of


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled template, its source for messages, and how many variables it has."""

    source: str
    body: Body
    slots: int


def evaluate(program: Program, root: Value) -> bytes:
    """What the program writes over `root`, which is `.` at its top and `$` everywhere.

    Raises:
        TemplateError: with line and column; never with a value.
    """
    run = _Run(program, root)
    run.walk(program.body, root)
    return run.output.value()


class _Run:
    """One evaluation."""

    def __init__(self, program: Program, root: Value) -> None:
        self._source = program.source
        self._root = root
        self._slots: list[Value] = [None] * program.slots
        self._steps = 0
        self.output = Buffer()

    def walk(self, body: Body, dot: Value) -> None:
        """Evaluate nodes in order."""
        for node in body:
            match node:
                case TextNode():
                    self._put(node.value, node.position)
                case OutputNode(pipe=pipe):
                    value = self._pipe(pipe, dot)
                    if not pipe.slots:
                        self._write(value, pipe.position)
                case Choice():
                    self._choose(node, dot)
                case Range():
                    self._repeat(node, dot)

    def _write(self, value: Value, position: int) -> None:
        if isinstance(value, Missing):
            raise self._missing(value, position)
        self._charge(value, position)
        try:
            piece = printed(value)
        except ValueError as error:
            raise error_at(self._source, position, str(error)) from None
        self._put(piece, position)

    def _put(self, piece: bytes, position: int) -> None:
        try:
            self.output.add(piece)
        except ValueError as error:
            raise error_at(self._source, position, str(error)) from None

    def _choose(self, node: Choice, dot: Value) -> None:
        for branch in node.branches:
            value = self._pipe(branch.pipe, dot)
            if is_true(value):
                return self.walk(branch.body, value if node.moves_dot else dot)
        return self.walk(node.otherwise, dot)

    def _repeat(self, node: Range, dot: Value) -> None:
        over = self._pipe(node.pipe, dot)
        self._charge(over, node.pipe.position)
        empty = True
        for key, item in self._items(over, node.pipe.position):
            empty = False
            self._step(node.pipe.position)
            slots = node.pipe.slots
            if slots:
                self._slots[slots[-1]] = item
                self._slots[slots[0]] = key if len(slots) > 1 else item
            self.walk(node.body, item)
        if empty:
            self.walk(node.otherwise, dot)

    def _items(self, over: Value, position: int) -> Iterator[tuple[Value, Value]]:
        match over:
            case tuple():
                yield from enumerate(over)
            case Map(entries=entries):
                yield from ((key, entries[key]) for key in sorted(entries))
            case None | Missing():
                pass
            case _:
                raise error_at(self._source, position, f"range takes a list or a map, not {kind_of(over)}")

    def _pipe(self, pipe: Pipe, dot: Value) -> Value:
        self._step(pipe.position)
        first = pipe.first
        value = self._call(first, dot, ()) if isinstance(first, CallNode) else self._operand(first, dot)
        for call in pipe.rest:
            value = self._call(call, dot, (value,))
        for slot in pipe.slots:
            self._slots[slot] = value
        return value

    def _operand(self, operand: Operand, dot: Value) -> Value:
        if isinstance(operand, Literal):
            return operand.value
        # A chain of 2,000 names fits a template, and 4,000 turns of a loop: each name is a step.
        self._step(operand.position, len(operand.names))
        value = self._base(operand.base, dot)
        for name in operand.names:
            try:
                value = field_of(value, name)
            except ValueError as error:
                raise error_at(self._source, operand.position, str(error)) from None
        return value

    def _base(self, base: Start | Slot | Pipe, dot: Value) -> Value:
        if base is Start.DOT:
            return dot
        if base is Start.ROOT:
            return self._root
        return self._slots[base.slot] if isinstance(base, Slot) else self._pipe(base, dot)

    def _call(self, call: CallNode, dot: Value, piped: tuple[Value, ...]) -> Value:
        self._step(call.position)
        function = call.function
        arguments: list[Value] = []
        self._step(call.position, len(call.arguments) // STEP_ARGUMENTS)
        for operand in call.arguments:
            arguments.append(self._operand(operand, dot))
            if function.stops_at is not None and is_true(arguments[-1]) is function.stops_at:
                return arguments[-1]
        arguments.extend(piped)
        for argument in arguments:
            if isinstance(argument, Missing) and not function.takes_missing:
                raise self._missing(argument, call.position)
            self._charge(argument, call.position, function.weight)
        try:
            value = function.apply(arguments)
        except ValueError as error:
            raise error_at(self._source, call.position, f"{call.name}: {error}") from None
        self._charge(value, call.position, function.weight)
        # The name of a key that is not written in the source could be a value of the Secret.
        computed = not all(isinstance(operand, Literal) for operand in call.arguments[1:])
        if isinstance(value, Missing) and call.name == "index" and (computed or piped):
            return Missing("", value.secret)
        return value

    def _missing(self, value: Missing, position: int) -> TemplateError:
        return error_at(self._source, position, value.problem, missing_key=value.key if value.secret else None)

    def _step(self, position: int, count: int = 1) -> None:
        self._steps += count
        if self._steps > MAX_STEPS:
            raise error_at(self._source, position, f"the rendering takes more than {MAX_STEPS} steps")

    def _charge(self, value: Value, position: int, weight: int = 1) -> None:
        """Charge for what a function reads and for what it makes, by their length."""
        match value:
            case bytes():
                self._step(position, len(value) * weight // STEP_BYTES)
            case tuple():
                self._step(position, len(value) * weight // STEP_ITEMS)
            case Map(entries=entries):
                self._step(position, len(entries) * weight // STEP_ITEMS)
