"""A Secret as every scheme, template and probe reads it: one meaning for each value (threat 40)."""

from __future__ import annotations

import re
from types import MappingProxyType

from connectors.credentials.credential import CredentialError
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import BASIC_AUTH, DOCKER_CONFIG, TLS, Secret, SecretValue

# Keys of kubernetes.io/basic-auth (core/v1, BasicAuthUsernameKey and BasicAuthPasswordKey).
USERNAME, PASSWORD = "username", "password"
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_EMPTY = SecretValue(b"")
_OF_LINES = frozenset({TLS, DOCKER_CONFIG})


def as_read(secret: Secret) -> tuple[Secret, tuple[str, ...]]:
    """The Secret with one line end less at the end of each value, and the keys of which a person should be told.

    `echo token | base64` is how most of them come into a Secret. What has several lines, as PEM has, ends with one by
    right: its key is not among those. A user name or a password that kubernetes.io/basic-auth lacks is empty: the API
    server takes either one alone.
    """
    data = {key: _without_line_end(value) for key, value in secret.data.items()}
    if secret.type == BASIC_AUTH and not data.keys().isdisjoint((USERNAME, PASSWORD)):
        data = {USERNAME: _EMPTY, PASSWORD: _EMPTY, **data}
    if all(data[key] is secret.data.get(key) for key in data):
        return secret, ()
    told = tuple(key for key in data if _is_told(secret.data.get(key), data[key]))
    # In PEM and in JSON a line end changes nothing.
    return Secret(secret.metadata, secret.type, MappingProxyType(data)), () if secret.type in _OF_LINES else told


def _without_line_end(value: SecretValue) -> SecretValue:
    raw = value.reveal()
    if not raw.endswith(b"\n"):
        return value
    return SecretValue(raw.removesuffix(b"\n").removesuffix(b"\r"))


def _is_told(before: SecretValue | None, after: SecretValue) -> bool:
    return before is not None and before is not after and b"\n" not in after.reveal()


def trimmed(secret: Secret, keys: tuple[str, ...]) -> str:
    """What to say of these keys of the Secret, "" of none."""
    if not keys:
        return ""
    which = f"key {keys[0]}" if len(keys) == 1 else f"keys {', '.join(keys)}"
    return (
        f"{which} of Secret {secret.metadata.name}: the line end behind the value is left out; "
        "write it without one (echo -n, printf)"
    )


def check_values(secret: Secret, keys: frozenset[str]) -> None:
    """That the values of these keys can go into a header: RFC 9110 section 5.5, RFC 7617 section 2.

    Raises:
        CredentialError: one holds a control character. The message has the key's name, and nothing of the value.
    """
    for key in sorted(keys):
        value = secret.data.get(key)
        if value is not None and (found := _CONTROL.search(value.reveal())):
            raise invalid(secret, key, f"holds {_named(found[0])}, which cannot stand in a header")


def printable(value: bytes) -> bool:
    """Whether it holds no control character."""
    return _CONTROL.search(value) is None


def _named(character: bytes) -> str:
    return {b"\n": "a line end", b"\r": "a line end", b"\t": "a tab"}.get(character, "a control character")


def is_empty(value: SecretValue) -> bool:
    """Whether nothing of it would be left in a header, of which white space at the ends is no part."""
    return not value.reveal().strip(b" \t\r\n")


def check_filled(secret: Secret, key: str) -> None:
    """That the key, which is there, has a value.

    Raises:
        CredentialError: it is empty.
    """
    if is_empty(secret.data.get(key, _EMPTY)):
        raise invalid(secret, key, "is empty")


def invalid(
    secret: Secret, key: str, problem: str, next_step: str = "put the bare value there, on one line"
) -> CredentialError:
    """The error that says what is wrong with a key of the Secret, and what to do."""
    message = f"key {key} of Secret {secret.metadata.name} {problem}; {next_step}"
    return CredentialError(ConditionReason.SECRET_KEY_INVALID, message)
