from __future__ import annotations

from base64 import b64decode

import pytest

from connectors.credentials.basic_auth import BasicAuth
from connectors.credentials.credential import CredentialError, Owned
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import BASIC_AUTH, Secret
from tests.builders import auth_type, secret


@pytest.mark.parametrize(
    ("username", "password"),
    [(b"user", b"pass"), (b"", b"token"), (b"user", b""), ("jürgen".encode(), b"a:b"), (b"user", b" kept ")],
)
def test_username_and_password_are_joined_as_they_are(username: bytes, password: bytes) -> None:
    made = BasicAuth().credential(auth_type(), secret(kind=BASIC_AUTH, username=username, password=password))
    ((name, value),) = made.headers
    scheme, _, encoded = value.reveal().partition(b" ")
    assert (name, scheme, b64decode(encoded)) == (b"Authorization", b"Basic", username + b":" + password)
    assert made.query == ()


@pytest.mark.parametrize(
    ("lacking", "given"), [("username", secret(password=b"p")), ("password", secret(username=b"u"))]
)
def test_a_missing_key_is_named(lacking: str, given: Secret) -> None:
    with pytest.raises(CredentialError, match=lacking) as caught:
        BasicAuth().credential(auth_type(), given)
    assert caught.value.reason is ConditionReason.SECRET_KEY_MISSING


@pytest.mark.parametrize(
    ("username", "password", "key"),
    [
        (b"", b"", "password"),
        (b"user:", b"canary", "username"),
        (b"canary:x", b"", "username"),
        (b"canary\n", b"p", "username"),
        (b"u", b"canary\r", "password"),
        (b"u", b"canary\n\n", "password"),
        (b"u", b"can\tary", "password"),
        (b"u", b"can\x00ary", "password"),
        (b"u", b"\x7fcanary", "password"),
    ],
)
def test_t40_what_a_tool_would_read_as_another_login(username: bytes, password: bytes, key: str) -> None:
    with pytest.raises(CredentialError, match=f"key {key} of Secret login") as caught:
        BasicAuth().credential(auth_type(), secret(kind=BASIC_AUTH, username=username, password=password))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert "canary" not in caught.value.message


def test_a_value_that_no_tool_would_take() -> None:
    with pytest.raises(CredentialError, match="username and password") as caught:
        BasicAuth().credential(auth_type(), secret(username=b"u", password=b"x" * 20_000))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID


def test_it_owns_authorization() -> None:
    assert BasicAuth().owned(auth_type()) == Owned(headers=frozenset({b"authorization"}))
