from __future__ import annotations

import pytest

from connectors.expressions.limits import MAX_OUTPUT
from connectors.expressions.printing import format_problem, not_printable, printed, quoted, sprint, sprintf
from connectors.expressions.values import GoStruct, Map, Missing, Value

SECRET = Map({b"token": b"canary"}, secret=True)
RECORD = GoStruct("the Secret", {"StringData": SECRET})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\xff\0", b"\xff\0"),
        (True, b"true"),
        (-3, b"-3"),
        (3.0, b"3"),
        (0.1, b"0.1"),
        (999999.0, b"999999"),
        (1e6, b"1e+06"),
        (123456789.5, b"1.234567895e+08"),
        (0.0001, b"0.0001"),
        (0.00001, b"1e-05"),
        (-0.0, b"-0"),
        (1.5e300, b"1.5e+300"),
        ((b"a", 1, (True,)), b"[a 1 [true]]"),
        (Map({b"b": b"2", b"a": 1}), b"map[a:1 b:2]"),
        ((), b"[]"),
    ],
)
def test_values_become_text_as_in_go(value: Value, text: bytes) -> None:
    assert printed(value) == text


@pytest.mark.parametrize("value", [SECRET, RECORD, (RECORD,), Map({b"a": (SECRET,)}), None, (None,), Missing("token")])
def test_what_is_never_printed(value: Value) -> None:
    with pytest.raises(ValueError, match=r"print|lacks") as caught:
        printed(value)
    assert "canary" not in str(caught.value)
    with pytest.raises(ValueError, match=r"print|lacks"):
        sprint([value])
    with pytest.raises(ValueError, match=r"print|lacks"):
        sprintf([b"%v", value])


def test_what_cannot_be_printed_as_a_whole_names_what_can() -> None:
    assert "StringData" in str(not_printable(RECORD))
    assert not_printable(Map({})) is None


def test_lists_are_not_printed_without_end() -> None:
    nested: Value = ()
    for _ in range(500):
        nested = (nested,)
    with pytest.raises(ValueError, match="too deep"):
        printed(nested)
    with pytest.raises(ValueError, match="longer"):
        printed((b"x" * 1000,) * 20)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], b""),
        ([1, 2], b"1 2"),
        ([b"a", b"b"], b"ab"),
        ([b"a", 1, 2, b"b", True, False], b"a1 2btrue false"),
    ],
)
def test_print_puts_blanks_where_go_does(values: list[Value], text: bytes) -> None:
    assert sprint(values) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([b"x"], b"x"),
        ([b"a%sb", b"1"], b"a1b"),
        ([b"%s:%s", b"u", b"%s"], b"u:%s"),
        ([b"100%%"], b"100%"),
        ([b"%%s%s", b"x"], b"%sx"),
        ([b"%s", b"\xff\0"], b"\xff\0"),
        ([b"%d %t %v %q", 3, True, 1.5, b'a"'], b'3 true 1.5 "a\\""'),
        ([b"%s %v", (b"a", b"b"), (1, 2)], b"[a b] [1 2]"),
    ],
)
def test_printf(values: list[Value], text: bytes) -> None:
    assert sprintf(values) == text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([b"%s"], "asks for 1 values, and gets 0"),
        ([b"x", b"y"], "asks for 0 values, and gets 1"),
        ([b"%d", b"canary"], "%d is for integers"),
        ([b"%d", True], "%d is for integers"),
        ([b"%t", 1], "%t is for booleans"),
        ([b"%s", 1], "%s is for strings"),
        ([b"%s", (1,)], "%s is for strings"),
        ([b"%q", 1], "%q is for strings"),
        ([b"%"], "not known"),
        ([b"%5s", b"x"], "not known"),
        ([b"%x", b"x"], "not known"),
        ([b"%-s", b"x"], "not known"),
        ([3], "must be a string"),
        ([b"%s%s", b"x" * MAX_OUTPUT, b"y"], "longer"),
    ],
)
def test_printf_refuses_what_go_would_write_an_error_for(values: list[Value], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        sprintf(values)
    assert "canary" not in str(caught.value)


def test_a_format_is_judged_before_there_are_values() -> None:
    assert format_problem(b"%s%%%d", 2) is None
    assert "asks for 2" in str(format_problem(b"%s%%%d", 1))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", b'""'),
        (b'a"\\\n\x01\x7f', b'"a\\"\\\\\\n\\x01\\x7f"'),
        ("é☃\u200b\U000e0001".encode(), '"é☃\\u200b\\U000e0001"'.encode()),
        (b"\xff\xc3", b'"\\xff\\xc3"'),
    ],
)
def test_quoted(value: bytes, text: bytes) -> None:
    assert quoted(value) == text


def test_a_long_string_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="longer"):
        quoted(b"x" * 1_000_000)
