from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.json_depth import MOST_LEVELS, too_deep

STRIDE = 65_536
"""What is looked at together."""


def levels_of(value: Any) -> int:
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else None
    return 0 if inner is None else 1 + max((levels_of(item) for item in inner), default=0)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"]}":"[{","x":', "}]")])
def test_the_limit_is_exact_whatever_the_brackets(opening: str, closing: str) -> None:
    each = opening.count("[") if opening in "[" else 2 if closing == "}]" else 1
    most = MOST_LEVELS // each
    assert not too_deep((opening * most + "1" + closing * most).encode())
    assert too_deep((opening * (most + 1) + "1" + closing * (most + 1)).encode())


def test_what_is_not_too_deep_is_followed_by_the_decoder_on_any_python() -> None:
    """The point of it: the limit lies far below the least of theirs, with the calls of a test around it."""
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        msgspec.json.decode(opening * MOST_LEVELS + b"1" + closing * MOST_LEVELS)


STRINGS = st.text(alphabet='[]{}"\\a\n\u00e9', max_size=12)
VALUES = st.recursive(
    st.none() | st.integers(-5, 5) | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=40,
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_it_is_counted_as_a_decoder_would(value: Any, indent: int | None, ascii_only: bool) -> None:
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    levels = levels_of(value)
    assert not too_deep(raw, levels)
    assert levels == 0 or too_deep(raw, levels - 1)


# Whatever stands where one stride ends and the next begins: an escape, the end of a string, a bracket within one.
def test_strides_do_not_tear_anything_apart() -> None:
    wrong = []
    for text in ['\\"', '\\\\"', '"[[[', "\\" * 9 + '"]', '"]]]]"']:
        for before in range(STRIDE - 24, STRIDE + 2):
            raw = json.dumps(["x" * before + text * 3, [["}"]], text, "]" * 5, {"[": [1]}]).encode()
            if too_deep(raw, 3) or not too_deep(raw, 2):
                wrong.append((text, before))
    assert not wrong


@pytest.mark.parametrize("core", [b"\\" * 3 * STRIDE, b"\\\\" * STRIDE + b"\\"])
def test_backslashes_alone_come_to_an_end(core: bytes) -> None:
    assert not too_deep(b"[]" * 9 + b'"' + core, 4)


@pytest.mark.parametrize("raw", [b"", b"]" * 9, b'"', b'"[', b"[" * 4 + b'"' + b"[" * 9, b"\xff[\x00[", b'\\"[['])
def test_what_is_no_json_is_looked_at_too(raw: bytes) -> None:
    assert not too_deep(raw, 4)


FLAT = b"[" * 150
COSTLY = [
    FLAT + b"[]," * 500_000,
    FLAT + b'"[",' * 370_000,
    FLAT + b'"' + b'\\"' * 750_000 + b'","' + b"\\\\" * 300_000 + b'"' + b"[]" * 60,
    FLAT + b"[" * 1_350_000,
]


@pytest.mark.parametrize("raw", COSTLY, ids=["brackets", "texts", "escapes", "depth"])
def test_megabytes_cost_little(raw: bytes) -> None:
    """A step of Python for each byte would take longer than this; several tries, for a busy machine."""
    assert min(seconds(raw) for _ in range(3)) < 0.1


def seconds(raw: bytes) -> float:
    """Of the CPU, which nothing else on the machine can take."""
    begun = time.thread_time()
    too_deep(raw)
    return time.thread_time() - begun
