from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kube.nesting import DEEPEST, decode, shallow

ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)


def nested(levels: int, opening: str = "[", closing: str = "]", core: str = "1") -> bytes:
    return (opening * levels + core + closing * levels).encode()


def depth(value: Any) -> int:
    levels = 0
    while isinstance(value, list | dict) and value:
        value = value[0] if isinstance(value, list) else next(iter(value.values()))
        levels += 1
    return levels


@pytest.mark.parametrize("levels", [1, DEEPEST, 500, 2_000, 9_999])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_any_depth_is_taken(levels: int, opening: str, closing: str) -> None:
    raw = b'{"before":1,"deep":' + nested(levels, opening, closing) + b',"after":"]}"}'
    for value in (decode(raw, ANY), ANY.decode(shallow(msgspec.Raw(raw)))):
        assert (value["before"], value["after"]) == (1, "]}")
    assert depth(ANY.decode(shallow(msgspec.Raw(raw)))["deep"]) <= DEEPEST


def test_what_is_shallow_stays_as_it_is() -> None:
    raw = nested(DEEPEST, core='"[[[\\"{{"')
    assert shallow(msgspec.Raw(raw)) == raw


def test_many_brackets_are_no_depth() -> None:
    raw = json.dumps([{"a": [1]} for _ in range(200)]).encode()
    assert ANY.decode(shallow(msgspec.Raw(raw))) == json.loads(raw)


def test_what_is_no_json_is_said() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(b"[" * 5_000, ANY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@given(JSON, st.integers(0, 3 * DEEPEST))
def test_what_is_cut_is_json_and_only_the_depths_differ(core: Any, levels: int) -> None:
    raw = nested(levels, '{"x":[', "]}", json.dumps(core))
    value = ANY.decode(shallow(msgspec.Raw(raw)))
    if 2 * levels + 20 < DEEPEST:
        assert value == json.loads(raw)
