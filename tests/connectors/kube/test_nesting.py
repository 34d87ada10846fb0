from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.json_depth import MOST_LEVELS
from connectors.kube.nesting import DEEPEST, TooDeepError, decode, members, shallow

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


@given(JSON, st.integers(0, 3 * DEEPEST), st.sampled_from([('{"x":[', "]}"), ("[", "]"), ('[{"]":"{"},[[[1]]],', "]")]))
def test_what_is_kept_and_what_is_cut(core: Any, levels: int, around: tuple[str, str]) -> None:
    """Against a slow way to do the same."""
    raw = nested(levels, *around, json.dumps(core))
    assert ANY.decode(shallow(msgspec.Raw(raw))) == kept(json.loads(raw), DEEPEST)


def kept(value: Any, levels: int) -> Any:
    if isinstance(value, list | dict) and levels == 0:
        return None
    if isinstance(value, list):
        return [kept(item, levels - 1) for item in value]
    return {key: kept(item, levels - 1) for key, item in value.items()} if isinstance(value, dict) else value


@given(st.dictionaries(st.sampled_from("abcd"), JSON), st.sampled_from([None, 1]), st.booleans())
def test_members(value: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    found = members(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode())
    assert {name: ANY.decode(raw) for name, raw in found.items()} == value


@pytest.mark.parametrize("raw", [b"{", b'{"a"', b'{"a":', b'{"a":[', b'{"a":"', b'{"a":]}', b'{"a" 1}'])
def test_members_of_what_is_no_json(raw: bytes) -> None:
    assert set(members(raw)) <= {"a"}


@pytest.mark.parametrize("raw", [b"", b"[]", b'[{"a":1}]', b'"{"'])
def test_only_objects_have_members(raw: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        members(raw)


TREES = [b"[" * 1_500_000, b"[" * 1_500 + b"[]," * 1_000_000, b"[[[]]]," * 430_000, b"[" * 1_500 + b'"",' * 1_000_000]


@pytest.mark.parametrize("tree", TREES, ids=["depth", "breadth", "trees", "texts"])
def test_megabytes_cost_little(tree: bytes) -> None:
    """A step of Python for each bracket would take longer than this by far; several tries, for a busy machine."""
    raw = msgspec.Raw(b'{"spec":[' + tree + b"1" + b"]" * (tree.count(b"[") - tree.count(b"]")) + b"]}")
    for work in (shallow, members):
        assert min(seconds(lambda work=work: work(raw)) for _ in range(3)) < 0.2


def seconds(work: Any) -> float:
    """Of the CPU, which nobody else on the machine can take."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def test_what_is_too_long_to_be_cut() -> None:
    raw = nested(2_000)
    with pytest.raises(TooDeepError):
        decode(raw, ANY, len(raw) - 1)
    assert depth(decode(raw, ANY, len(raw))) <= DEEPEST


def test_what_is_cut_is_decided_by_its_depth() -> None:
    """Not by what a decoder follows, which is some 1,000 levels on Python 3.11 and 10,000 on 3.13."""
    assert depth(decode(nested(MOST_LEVELS), ANY, 0)) == MOST_LEVELS
    assert depth(decode(nested(MOST_LEVELS + 1), ANY)) == DEEPEST
    with pytest.raises(TooDeepError):
        decode(nested(MOST_LEVELS + 1), ANY, 0)
