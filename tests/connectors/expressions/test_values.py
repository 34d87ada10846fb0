from __future__ import annotations

import pytest

from connectors.expressions.values import Deferred, GoStruct, Map, Missing, Value, field_of, from_data, is_true, kind_of

RECORD = GoStruct("the thing", {"Name": b"n", "Late": Deferred(lambda: b"made")})
SECRET = Map({b"token": b"t"}, secret=True)


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        (None, False),
        (False, False),
        (True, True),
        (0, False),
        (-1, True),
        (0.0, False),
        (b"", False),
        (b"0", True),
        ((), False),
        ((None,), True),
        (Map({}), False),
        (SECRET, True),
        (GoStruct("empty", {}), True),
        (Missing("x"), False),
    ],
)
def test_truth_is_gos(value: Value, *, truth: bool) -> None:
    assert is_true(value) is truth


@pytest.mark.parametrize(
    ("value", "name", "field"),
    [
        (RECORD, "Name", b"n"),
        (RECORD, "Late", b"made"),
        (SECRET, "token", b"t"),
        (SECRET, "nope", Missing("nope", secret=True)),
        (Map({}), "nope", Missing("nope")),
        (Missing("before"), "x", Missing("before")),
    ],
)
def test_fields(value: Value, name: str, field: Value) -> None:
    assert field_of(value, name) == field


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (RECORD, "the thing has no field x; it has: Name, Late"),
        (None, "nil has no field x"),
        (b"secret", "a string has no field x"),
        ((), "a list has no field x"),
        (3, "a number has no field x"),
    ],
)
def test_fields_that_are_not_there(value: Value, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        field_of(value, "x")
    assert "secret" not in str(caught.value)


def test_a_deferred_field_is_made_once_and_only_if_it_is_read() -> None:
    made: list[int] = []

    def make() -> Value:
        made.append(1)
        return b"v"

    record = GoStruct("r", {"A": Deferred(make)})
    assert made == []
    assert (record.field("A"), record.field("A"), made) == (b"v", b"v", [1])


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (Missing("k", secret=True), "the Secret lacks the key k"),
        (Missing("k"), "the map lacks the key k"),
        (Missing("", secret=True), "the Secret lacks a key that the template computes"),
    ],
)
def test_what_is_missing_says_what(missing: Missing, said: str) -> None:
    assert missing.problem == said


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "nil"), (True, "a boolean"), (1.5, "a number"), (b"", "a string"), ((), "a list"), (SECRET, "a map")],
)
def test_kinds(value: Value, kind: str) -> None:
    assert kind_of(value) == kind


def test_kinds_of_records_are_their_names() -> None:
    assert kind_of(RECORD) == "the thing"


def test_neither_a_record_nor_a_map_shows_what_it_holds() -> None:
    shown = repr(SECRET) + repr(GoStruct("the Secret", {"StringData": SECRET, "Type": b"canary"}))
    assert "b't'" not in shown
    assert "canary" not in shown


def test_plain_data() -> None:
    value = from_data({"a": ["x", 1, 1.5, True, None, {"b": b"\xff"}]})
    assert isinstance(value, Map)
    items = value.entry(b"a")
    assert isinstance(items, tuple)
    assert items[:5] == (b"x", 1, 1.5, True, None)
    assert field_of(items[5], "b") == b"\xff"
    with pytest.raises(TypeError, match="set"):
        from_data({1})
