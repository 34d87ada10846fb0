from __future__ import annotations

import pytest

from connectors.credentials.credential import CredentialError
from connectors.credentials.scheme import MAX_VALUE, field_value, require
from connectors.objects.reasons import ConditionReason
from tests.builders import secret


def test_a_key_that_is_there_and_one_that_is_not() -> None:
    assert require(secret(a=b""), "a").reveal() == b""
    with pytest.raises(CredentialError, match="lacks the key b") as caught:
        require(secret(a=b""), "b")
    assert caught.value.reason is ConditionReason.SECRET_KEY_MISSING


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b"a b", b"a b"), (b" a\t\r\n", b"a"), (b"", b""), ("ü".encode(), "ü".encode()), (b"a\tb", b"a\tb")],
)
def test_field_values(raw: bytes, value: bytes) -> None:
    assert field_value(raw, "x") == value


def test_a_value_that_no_tool_would_take() -> None:
    assert field_value(b"x" * MAX_VALUE + b"\n", "x") == b"x" * MAX_VALUE
    with pytest.raises(CredentialError, match=r"the source .* 16385 .* 16384") as caught:
        field_value(b"x" * (MAX_VALUE + 1), "the source")
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID


@pytest.mark.parametrize("byte", [b"\r", b"\n", b"\0", b"\x7f", b"\x1b"])
def test_t11_a_value_cannot_split_a_request(byte: bytes) -> None:
    with pytest.raises(CredentialError, match="the source") as caught:
        field_value(b"canary" + byte + b"b", "the source")
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert "canary" not in caught.value.message
