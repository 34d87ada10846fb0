from __future__ import annotations

import pytest

from connectors.credentials.bearer_token import BearerToken
from connectors.credentials.credential import CredentialError, Owned
from connectors.objects.reasons import ConditionReason
from tests.builders import auth_type, secret


@pytest.mark.parametrize("token", [b"abc", b"abc ", b" abc "])
def test_the_token_is_injected_without_white_space_around_it(token: bytes) -> None:
    ((name, value),) = BearerToken().credential(auth_type(), secret(token=token)).headers
    assert (name, value.reveal()) == (b"Authorization", b"Bearer abc")


def test_a_token_cannot_add_a_header() -> None:
    with pytest.raises(CredentialError) as caught:
        BearerToken().credential(auth_type(), secret(token=b"canary\r\nX-Admin: 1"))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("token", [b"", b" ", b"can\tary", b"canary\n\n", b"can\x00ary", b"canary\r"])
def test_t40_a_token_that_is_none(token: bytes) -> None:
    with pytest.raises(CredentialError, match="key token of Secret login") as caught:
        BearerToken().credential(auth_type(), secret(token=token))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert "canary" not in caught.value.message


def test_a_missing_key_is_named() -> None:
    with pytest.raises(CredentialError, match="token"):
        BearerToken().credential(auth_type(), secret())


def test_a_token_that_no_tool_would_take() -> None:
    with pytest.raises(CredentialError, match="key token") as caught:
        BearerToken().credential(auth_type(), secret(token=b"x" * 20_000))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID


def test_it_owns_authorization() -> None:
    assert BearerToken().owned(auth_type()) == Owned(headers=frozenset({b"authorization"}))
