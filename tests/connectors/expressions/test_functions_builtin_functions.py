from __future__ import annotations

import pytest

from connectors.expressions import functions as builtin
from connectors.expressions.values import GoStruct, Map, Missing, Value

RECORD = GoStruct("the Secret", {})


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (b"a", b"a", True),
        (b"a", b"b", False),
        (1, 1, True),
        (1.5, 1.5, True),
        (True, False, False),
        (None, None, True),
        (b"a", None, False),
        (None, RECORD, False),
    ],
)
def test_equality(first: Value, second: Value, *, same: bool) -> None:
    assert builtin.equal([first, second]) is same
    assert builtin.not_equal([first, second]) is not same


def test_equal_to_one_of_several() -> None:
    assert builtin.equal([b"b", b"a", b"b"])
    assert not builtin.equal([b"c", b"a", b"b"])


@pytest.mark.parametrize(
    ("first", "second"), [(1, True), (1, 1.0), (b"1", 1), ((), ()), (Map({}), Map({})), (RECORD, RECORD)]
)
def test_what_cannot_be_compared(first: Value, second: Value) -> None:
    with pytest.raises(ValueError, match="compared"):
        builtin.equal([first, second])
    with pytest.raises(ValueError, match="compared"):
        builtin.less([first, second])


@pytest.mark.parametrize(
    ("first", "second", "order"), [(1, 2, -1), (2, 2, 0), (b"b", b"a", 1), (1.5, 2.5, -1), (b"\xff", b"a", 1)]
)
def test_order(first: Value, second: Value, order: int) -> None:
    assert builtin.less([first, second]) is (order < 0)
    assert builtin.less_or_equal([first, second]) is (order <= 0)
    assert builtin.greater([first, second]) is (order > 0)
    assert builtin.greater_or_equal([first, second]) is (order >= 0)


@pytest.mark.parametrize(("first", "second"), [(True, False), (None, None), (None, 1)])
def test_what_has_no_order(first: Value, second: Value) -> None:
    with pytest.raises(ValueError, match="by order"):
        builtin.less([first, second])


def test_negation_and_default() -> None:
    assert builtin.negation([Missing("x")])
    assert not builtin.negation([b"x"])
    assert builtin.default([b"d", b"v"]) == b"v"
    assert builtin.default([b"d", b""]) == b"d"
    assert builtin.default([b"d", Missing("x")]) == b"d"
    assert builtin.default([b"d"]) == b"d"


@pytest.mark.parametrize(("value", "length"), [(b"\xff\xfe", 2), ((1, 2, 3), 3), (Map({b"a": 1}), 1), ((), 0)])
def test_length(value: Value, length: int) -> None:
    assert builtin.length([value]) == length


@pytest.mark.parametrize("value", [3, None, True, RECORD])
def test_what_has_no_length(value: Value) -> None:
    with pytest.raises(ValueError, match="no length"):
        builtin.length([value])


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([b"x"], b"x"),
        ([(b"a", b"b"), 1], b"b"),
        ([Map({b"a-b": (b"c",)}), b"a-b", 0], b"c"),
        ([Map({}), b"k"], Missing("k")),
        ([Map({}, secret=True), b"k", b"l"], Missing("k", secret=True)),
    ],
)
def test_index(arguments: list[Value], value: Value) -> None:
    assert builtin.index(arguments) == value


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([(b"a",), 41], "beyond the end"),
        ([(b"a",), -1], "beyond the end"),
        ([(b"a",), b"41"], "a list cannot be indexed by a string"),
        ([(b"a",), True], "cannot be indexed"),
        ([Map({}), 41], "cannot be indexed"),
        ([b"abc", 0], "cannot be indexed"),
        ([None, b"x"], "cannot be indexed"),
        ([RECORD, b"StringData"], "cannot be indexed"),
    ],
)
def test_index_refuses_without_saying_the_index(arguments: list[Value], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        builtin.index(arguments)
    assert "41" not in str(caught.value)
