from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.expressions import text_functions as text
from connectors.expressions.limits import MAX_OUTPUT
from connectors.expressions.values import Map, Value

Apply = Callable[[Sequence[Value]], Value]


@pytest.mark.parametrize(
    ("function", "arguments", "value"),
    [
        (text.b64enc, [b"a:b"], b"YTpi"),
        (text.b64dec, [b"YT\r\npi"], b"a:b"),
        (text.trim_prefix, [b"/", b"//a"], b"/a"),
        (text.trim_prefix, [b"x", b"/a"], b"/a"),
        (text.trim_suffix, [b"/", b"a/"], b"a"),
        (text.trim, [b" \t\r\n\xc2\xa0a b\xe2\x80\xa8 "], b"a b"),
        (text.trim, [b"\xff "], b"\xff"),
        (text.lower, ["ÀB\u0130".encode()], "àb\u0130".encode()),
        (text.upper, ["aßé".encode() + b"\xff"], "AßÉ".encode() + b"\xff"),
        (text.contains, [b"b", b"abc"], True),
        (text.contains, [b"abc", b"b"], False),
        (text.has_prefix, [b"a", b"abc"], True),
        (text.has_suffix, [b"c", b"abc"], True),
        (text.has_suffix, [b"a", b"abc"], False),
        (text.replace, [b"a", b"bb", b"aca"], b"bbcbb"),
        (text.split_list, [b",", b"a,,b"], (b"a", b"", b"b")),
        (text.split_list, [b",", b""], (b"",)),
        (text.join, [b"-", (b"a", 1, None, True)], b"a-1-true"),
        (text.join, [b"-", ()], b""),
        (text.append, [(b"a",), b"b"], (b"a", b"b")),
        (text.first, [(b"a", b"b")], b"a"),
        (text.last, [(b"a", b"b")], b"b"),
        (text.first, [()], None),
        (text.last, [()], None),
        (text.quote, [b'a"', 1, None], b'"a\\"" "1"'),
        (text.urlquery, [b"a b", 1], b"a+b1"),
    ],
)
def test_results(function: Apply, arguments: list[Value], value: Value) -> None:
    assert function(arguments) == value


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (text.b64enc, [1], "takes a string, not a number"),
        (text.b64dec, [b"canary"], "not base64"),
        (text.b64dec, [b"Y=TI"], "not base64"),
        (text.trim, [()], "takes a string, not a list"),
        (text.trim_prefix, [b"a", None], "takes a string, not nil"),
        (text.replace, [b"", b"x", b"canary"], "empty"),
        (text.split_list, [b"", b"canary"], "empty"),
        (text.join, [b",", b"canary"], "takes a list, not a string"),
        (text.append, [b"canary", b"x"], "takes a list"),
        (text.first, [b"canary"], "takes a list"),
        (text.url_parse, [b"http://[canary"], "not a URL"),
    ],
)
def test_refuses_without_saying_the_value(function: Apply, arguments: list[Value], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        function(arguments)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (text.b64enc, [b"x" * MAX_OUTPUT]),
        (text.trim, [b"x" * (MAX_OUTPUT + 1)]),
        (text.upper, [b"x" * (MAX_OUTPUT + 1)]),
        (text.replace, [b"a", b"a" * MAX_OUTPUT, b"a" * MAX_OUTPUT]),
        (text.split_list, [b",", b"," * 4096]),
        (text.join, [b"," * MAX_OUTPUT, (b"",) * 4096]),
        (text.join, [b"", (b"x" * 1000,) * 4096]),
        (text.append, [(None,) * 4096, None]),
        (text.quote, [b"\xff" * 5000]),
        (text.urlquery, [b"&" * 6000]),
        (text.url_parse, [b"x" * (MAX_OUTPUT + 1)]),
    ],
)
def test_nothing_large_is_made(function: Apply, arguments: list[Value]) -> None:
    with pytest.raises(ValueError, match=r"longer than|at most"):
        function(arguments)


def test_the_parts_of_a_url() -> None:
    parts = text.url_parse([b"https://h/p"])
    assert isinstance(parts, Map)
    assert parts.entries[b"path"] == b"/p"


@given(st.binary(max_size=200))
def test_base64_there_and_back(data: bytes) -> None:
    encoded = text.b64enc([data])
    assert b64decode(encoded) == data
    assert text.b64dec([encoded]) == data
