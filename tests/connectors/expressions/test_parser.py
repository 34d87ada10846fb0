from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.expressions.evaluate import evaluate
from connectors.expressions.limits import MAX_NESTING, MAX_SOURCE, TemplateError
from connectors.expressions.nodes import Choice, OutputNode, Range, TextNode
from connectors.expressions.parser import parse
from connectors.expressions.values import from_data


def test_the_shape_of_a_template() -> None:
    body = parse("a{{ .x }}{{ if .x }}b{{ else if .y }}c{{ else }}d{{ end }}{{ range .l }}e{{ end }}").body
    text, output, choice, loop = body
    assert text == TextNode(b"a", 0)
    assert isinstance(output, OutputNode)
    assert isinstance(choice, Choice)
    assert [branch.body for branch in choice.branches] == [(TextNode(b"b", 20),), (TextNode(b"c", 37),)]
    assert choice.otherwise == (TextNode(b"d", 48),)
    assert isinstance(loop, Range)
    assert (loop.body, loop.otherwise) == ((TextNode(b"e", 72),), ())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x" * (MAX_SOURCE + 1), "longer than 4096 characters"),
        ("a\n{{ if .x }}b", "line 2, column 1: this block is not closed with {{ end }}"),
        ("{{ range .x }}", "this block is not closed"),
        ("{{ with .x }}a{{ else }}", "this block is not closed"),
        ("a{{ end }}", "line 1, column 2: end closes no block"),
        ("{{ else }}", "else closes no block"),
        ("{{ if .x }}{{ else }}{{ else }}{{ end }}", "line 1, column 22: this block has an else already"),
        ("{{ range .x }}{{ else if .x }}{{ end }}", "nothing is expected after else"),
        ("{{ if .x }}{{ end 1 }}", "nothing is expected after end"),
        ("{{ if .x }}{{ else with .x }}{{ end }}", "if is expected here, or nothing"),
        ("{{ with .x }}{{ else if .x }}{{ end }}", "with is expected here, or nothing"),
        ("{{ if }}{{ end }}", "a value is expected"),
        ("{{ if .x }}{{ $v := 1 }}{{ end }}{{ $v }}", "$v is not declared"),
        ("{{ range $v := .x }}{{ end }}{{ $v }}", "$v is not declared"),
    ],
)
def test_refuses(source: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(source)
    assert said in str(caught.value)


def test_blocks_are_nested_so_deep_and_no_deeper() -> None:
    deep = "{{ if 1 }}" * MAX_NESTING + "x" + "{{ end }}" * MAX_NESTING
    assert evaluate(parse(deep), None) == b"x"
    with pytest.raises(TemplateError, match="nested deeper"):
        parse("{{ if 1 }}" + deep + "{{ end }}")


def test_blocks_with_parentheses_in_all_of_them() -> None:
    half = MAX_NESTING // 2
    inner = "{{ range list 1 }}" * half + "{{" + "(print " * half + "1" + ")" * half + "}}" + "{{ end }}" * half
    assert evaluate(parse(inner), None) == b"1"


def test_a_chain_of_else_if_is_no_depth() -> None:
    assert evaluate(parse("{{ if not 1 }}" + "{{ else if not 1 }}" * 200 + "{{ else }}x{{ end }}"), None) == b"x"


PIECES = [
    "{{ if .a }}",
    "{{ else if .b }}",
    "{{ else }}",
    "{{ end }}",
    "{{ range .l }}",
    "{{ range $i, $e := .m }}",
    "{{ with .d }}",
    "{{ $x := .a }}",
    "{{ $x = printf `%s%v` .a . }}",
    "{{ $x }}",
    "{{ . }}",
    "{{- .a -}}",
    " text\n",
    "{{ $ }}",
    "{{ index .l 1 }}",
    "{{ .l | join `,` | b64enc | quote }}",
    "{{ (urlParse .a).path }}",
    "{{ and .a .nope (or .b $.d) }}",
    "{{ eq .a `x` .b | not }}",
    "{{ append .l . | last }}",
    "{{ /",
    "}}",
    "{{/* c */}}",
]
DATA = from_data({"a": "x", "b": "", "l": ["1", "2", ["3"]], "m": {"k": "v", "j": None}, "d": {"a": "y", "l": []}})


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_templates_of_any_pieces_render_or_are_refused(source: str) -> None:
    began, output = thread_time(), b""
    try:
        output = evaluate(parse(source), DATA)
    except TemplateError as error:
        output = str(error).removeprefix("line ").encode()
        output = output if output[:1].isdigit() else b"<no value>"
    assert b"<no value>" not in output
    assert thread_time() - began < 2


@given(st.text(alphabet='{}-|.$:=,() \n"`\\%absecrtSDingpfxh0123/*', max_size=60))
def test_any_text_in_braces_compiles_or_is_refused(source: str) -> None:
    for wrapped in (source, "{{ " + source + " }}"):
        try:
            evaluate(parse(wrapped), DATA)
        except TemplateError:
            continue


@given(st.text(max_size=60).filter(lambda text: "{{" not in text))
def test_text_is_written_as_it_is(source: str) -> None:
    assert evaluate(parse(source), None) == source.encode("utf-8", "replace")
