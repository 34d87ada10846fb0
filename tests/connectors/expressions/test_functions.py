from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.expressions.functions import FUNCTIONS


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ([b"x"], b"x"),
        ([b"a%sb", b"1"], b"a1b"),
        ([b"%s:%s", b"u", b"%s"], b"u:%s"),
        ([b"100%%"], b"100%"),
        ([b"%%s%s", b"x"], b"%sx"),
        ([b"%s", b"\xff\0"], b"\xff\0"),
    ],
)
def test_printf(arguments: list[bytes], output: bytes) -> None:
    assert FUNCTIONS["printf"].apply(arguments) == output


@pytest.mark.parametrize("arguments", [[b"%s"], [b"x", b"y"], [b"%d", b"1"], [b"%"], [b"%s%", b"x"], [b"%5s", b"x"]])
def test_printf_refuses(arguments: list[bytes]) -> None:
    with pytest.raises(ValueError, match="only %s"):
        FUNCTIONS["printf"].apply(arguments)


@given(st.binary(max_size=30))
def test_b64enc(data: bytes) -> None:
    assert b64decode(FUNCTIONS["b64enc"].apply([data])) == data


@pytest.mark.parametrize(("name", "count", "well"), [("b64enc", 1, True), ("b64enc", 0, False), ("printf", 9, False)])
def test_arguments_are_counted(name: str, count: int, *, well: bool) -> None:
    assert (FUNCTIONS[name].problem(count) is None) is well


def test_t19_no_function_reaches_outside() -> None:
    assert set(FUNCTIONS) == {"b64enc", "printf"}
