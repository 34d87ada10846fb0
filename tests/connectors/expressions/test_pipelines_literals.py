from __future__ import annotations

import pytest

from connectors.expressions import pipelines as literals


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('""', b""),
        ('"a b"', b"a b"),
        (r'"\a\b\f\n\r\t\v\\\""', b'\a\b\f\n\r\t\v\\"'),
        (r'"\x41\xff\101\000"', b"A\xffA\0"),
        (r'"é\u00e9\U0001F600"', "éé\U0001f600".encode()),
        (r"`raw\n`", rb"raw\n"),
        ("`a\r\nb`", b"a\nb"),
    ],
)
def test_strings(literal: str, value: bytes) -> None:
    assert literals.string(literal) == value


@pytest.mark.parametrize("literal", [r'"\q"', r'"\'"', r'"\x4"', r'"\400"', r'"\ud800"', r'"\U00110000"', r'"\1"'])
def test_escapes_that_go_does_not_know(literal: str) -> None:
    with pytest.raises(ValueError, match="escape"):
        literals.string(literal)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("0", 0),
        ("-3", -3),
        ("+3", 3),
        ("0x1F", 31),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-2.5e-3", -0.0025),
    ],
)
def test_numbers(literal: str, value: float) -> None:
    assert literals.number(literal) == value
    assert type(literals.number(literal)) is type(value)


@pytest.mark.parametrize("literal", ["9223372036854775808", "09", "1_000", "0b1", "1e999", "1.x", "1" * 41, "0x", "1e"])
def test_what_is_no_number(literal: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        literals.number(literal)
