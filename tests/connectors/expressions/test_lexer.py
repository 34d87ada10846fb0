from __future__ import annotations

import pytest

from connectors.expressions.lexer import Action, Text, scan
from connectors.expressions.limits import TemplateError


def parts(source: str) -> list[str | list[str]]:
    """Texts, and actions as lists of their tokens."""
    return [item.value if isinstance(item, Text) else [token.text for token in item.tokens] for item in scan(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        ("a } b", ["a } b"]),
        ("a{{ .b }}c", ["a", [".b"], "c"]),
        ("{{}}", [[]]),
        ('{{ "}}" `{{` }}', [['"}}"', "`{{`"]]),
        (" a \n{{- .b -}}\t c ", [" a", [".b"], "c "]),
        ("a\x0b{{- .b }}", ["a\x0b", [".b"]]),
        ("{{-3}}", [["-3"]]),
        ("a {{/* x */}} b", ["a ", " b"]),
        ("a {{- /* }} */ -}} b", ["a", "b"]),
        ("{{$x:=.a.b|f(1)}}", [["$x", ":=", ".a", ".b", "|", "f", "(", "1", ")"]]),
        ("{{ $ . .x $i,$e = 1.5e+3 }}", [["$", ".", ".x", "$i", ",", "$e", "=", "1.5e+3"]]),
        ("{{ .é }}", [[".é"]]),
    ],
)
def test_tokens(source: str, expected: list[str | list[str]]) -> None:
    assert parts(source) == expected


def test_where_tokens_stand() -> None:
    text, action = scan("ab{{ .c.d }}")
    assert (text, isinstance(action, Action)) == (Text("ab", 0), True)
    assert isinstance(action, Action)
    assert action.position == 2
    assert [(token.position, token.spaced) for token in action.tokens] == [(5, True), (7, False)]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a\n {{ .b", "line 2, column 2: this action is not closed"),
        ("{{", "line 1, column 1: this action is not closed"),
        ('{{ "a }}', "line 1, column 4: this string is not closed"),
        ("{{ `a }}", "this string is not closed"),
        ("{{ 'a' }}", "character constants are not supported"),
        ("{{/* a }}", "this comment is not closed"),
        ("{{/* a */ }}", "this comment is not closed"),
        ("{{ # }}", "line 1, column 4: this character has no meaning here"),
        ("{{ .a -}", "has no meaning here"),
    ],
)
def test_refuses(source: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parts(source)
    assert said in str(caught.value)
