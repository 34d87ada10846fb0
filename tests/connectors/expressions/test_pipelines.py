from __future__ import annotations

import pytest

from connectors.expressions.lexer import Action, scan
from connectors.expressions.limits import MAX_NESTING, TemplateError
from connectors.expressions.nodes import CallNode, Chain, Literal, Operand, Pipe, Start, Variable
from connectors.expressions.pipelines import Scope, parse_pipeline, static_value, unprintable
from connectors.expressions.values import GoStruct, Map, Missing

ROOT = GoStruct("data", {"A": GoStruct("the A", {"B": b"", "C": Map({})}), "S": Map({}, secret=True), "N": None})


def pipeline(body: str, scope: Scope | None = None, *, ranges: bool = False) -> Pipe:
    source = "{{" + body + "}}"
    (action,) = scan(source)
    assert isinstance(action, Action)
    return parse_pipeline(scope or Scope(source), action.position, action.tokens, ranges=ranges)


def test_operands() -> None:
    scope = Scope("")
    scope.declare("$x")
    expected: list[tuple[str, Operand]] = [
        (".", Chain(Start.DOT, (), 2)),
        (".a.b", Chain(Start.DOT, ("a", "b"), 2)),
        ("$", Chain(Start.ROOT, (), 2)),
        ("$.a", Chain(Start.ROOT, ("a",), 2)),
        ("$x.a", Chain(Variable(0), ("a",), 2)),
        ('"a"', Literal(b"a")),
        ("3", Literal(3)),
        ("true", Literal(True)),
        ("(.a).b", Chain(Pipe(Chain(Start.DOT, ("a",), 3), (), (), 2), ("b",), 2)),
    ]
    for body, operand in expected:
        assert pipeline(body, scope) == Pipe(operand, (), (), 2), body


def test_calls_and_pipes() -> None:
    pipe = pipeline('printf "%s" .a | b64enc | trimPrefix "x"')
    assert isinstance(pipe.first, CallNode)
    assert (pipe.first.name, pipe.first.arguments) == ("printf", (Literal(b"%s"), Chain(Start.DOT, ("a",), 14)))
    assert [(call.name, len(call.arguments)) for call in pipe.rest] == [("b64enc", 0), ("trimPrefix", 1)]


def test_declarations() -> None:
    scope = Scope("")
    assert pipeline("$a := 1", scope).slots == (0,)
    assert pipeline("$a = 2", scope).slots == (0,)
    assert pipeline("$a := 3", scope).slots == (1,)
    assert pipeline("$i, $e := .x", scope, ranges=True).slots == (2, 3)
    assert scope.slots == 4


def test_what_is_declared_inside_ends_there() -> None:
    scope = Scope("")
    scope.declare("$x")
    with scope.nested(0):
        assert scope.declare("$x") == 1
        scope.dot_is_root = False
    assert (scope.variables, scope.dot_is_root, scope.depth) == ({"$x": 0}, True, 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (" ", "line 1, column 1: a value is expected here"),
        (" nope .a ", "line 1, column 4: function nope is not known; known are and, append"),
        (" b64enc ", "b64enc: takes 1 argument, not 0"),
        (" and ", "and: takes 1 to 64 arguments, not 0"),
        (" .a | b64enc .b ", "b64enc: takes 1 argument, not 2"),
        (' printf "%d" ', "printf: the format asks for 1 values, and gets 0"),
        (' .a | printf "%5s" ', "line 1, column 9: printf: the format has a verb"),
        (" $x ", "the variable $x is not declared"),
        (" $x = 1 ", "the variable $x is not declared"),
        (" $x := $x ", "the variable $x is not declared"),
        (" $x, $y := .a ", "not declared"),
        (" $ := 1 ", "a variable is expected"),
        (" .a .b ", "line 1, column 4: .a is not a function"),
        (" .a | .b ", "line 1, column 7: a function is expected after |"),
        (" 1 | 2 ", "a function is expected after |"),
        (" nil ", "nil is not a command"),
        (" (nil) ", "nil is not a command"),
        (" (.a ", "line 1, column 4: this parenthesis is not closed"),
        (" .a) ", "line 1, column 6: ) is not expected here"),
        (" print list ", "put the call of list in parentheses"),
        (" print nope ", "function nope is not known"),
        (" print if ", "if is not expected here"),
        (" define ", "define is not supported"),
        (' print "a""b" ', "is not expected here"),
        (' print("a") ', "( is not expected here"),
        (" .a. ", ". is not expected here"),
        (" .. ", ". is not expected here"),
        (' "\\q" ', "line 1, column 4: an escape"),
        (" 09 ", "not a number"),
        (" ,", ", is not expected here"),
    ],
)
def test_refuses(body: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        pipeline(body)
    assert said in str(caught.value)


def test_parentheses_are_nested_so_deep_and_no_deeper() -> None:
    assert pipeline("(" * MAX_NESTING + "1" + ")" * MAX_NESTING)
    with pytest.raises(TemplateError, match=f"nested deeper than {MAX_NESTING}"):
        pipeline("(" * (MAX_NESTING + 1) + "1" + ")" * (MAX_NESTING + 1))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (".X", "data has no field X; it has: A, S, N"),
        ("$.A.X", "the A has no field X"),
        (".A.B.X", "a string has no field X"),
        ("printf `%s` .A.X", "the A has no field X"),
        ("(.A.X)", "the A has no field X"),
    ],
)
def test_a_field_that_never_is_there_is_refused_at_once(body: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        pipeline(body, Scope("", ROOT))
    assert said in str(caught.value)


@pytest.mark.parametrize("body", [".A.B", ".A.C.anything.deeper", ".S.x", "$.A.C", "$"])
def test_a_field_that_may_be_there_is_not(body: str) -> None:
    assert pipeline(body, Scope("", ROOT))


def test_elsewhere_the_dot_may_be_anything() -> None:
    scope = Scope("", ROOT, dot_is_root=False)
    assert pipeline(".X", scope)
    assert static_value(scope, Chain(Start.DOT, ("A",), 0)) == Missing("")
    with pytest.raises(TemplateError, match="no field X"):
        pipeline("$.X", scope)


@pytest.mark.parametrize(
    ("body", "refused"),
    [(".", True), (".A", True), (".S", True), (".A.B", False), (".A.C", False), ("$x := .A", False)],
)
def test_what_can_never_be_written(body: str, *, refused: bool) -> None:
    scope = Scope("", ROOT)
    assert (unprintable(scope, pipeline(body, scope)) is not None) is refused
