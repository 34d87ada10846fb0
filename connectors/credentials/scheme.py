"""What every credential scheme offers, and the rules that they share."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Protocol

from connectors.credentials.credential import Credential, CredentialError, Owned
from connectors.credentials.reading import PASSWORD, USERNAME, check_values, invalid
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import Secret, SecretValue

# Bytes of one value of a credential. Servers refuse heads of that size; a Secret may hold 1 MiB.
MAX_VALUE = 16_384
# field-content of RFC 9110 section 5.5: no CR, LF or NUL, so that a Secret cannot add a header or split a request.
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class Scheme(Protocol):
    """One way in which a Secret becomes a credential. Stateless and pure; one file each."""

    def owned(self, auth_type: AuthType) -> Owned:
        """The names that this scheme writes, and that a caller therefore may not."""
        ...

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        """The credential that `secret` yields; `subject` is what templates may read beside it.

        Raises:
            CredentialError: a key is missing or holds what cannot stand in a request.
        """
        ...


def require(secret: Secret, key: str) -> SecretValue:
    """The value of `key`.

    Raises:
        CredentialError: the Secret lacks the key.
    """
    value = secret.data.get(key)
    if value is None:
        message = f"Secret {secret.metadata.name} lacks the key {key}; add it to the Secret's data"
        raise CredentialError(ConditionReason.SECRET_KEY_MISSING, message)
    return value


def field_value(raw: bytes, source: str) -> bytes:
    """`raw` as a header field value: white space around it dropped (RFC 9110 section 5.5).

    Raises:
        CredentialError: it holds control bytes or is too long; `source` says in the message where it came from.
    """
    value = raw.strip(b" \t\r\n")
    if not _FIELD_VALUE.fullmatch(value):
        message = f"{source} holds control characters that cannot stand in a header; put the bare value there"
        raise CredentialError(ConditionReason.SECRET_KEY_INVALID, message)
    return within_limit(value, source)


def within_limit(value: bytes, source: str) -> bytes:
    """`value`, if it has at most MAX_VALUE bytes.

    Raises:
        CredentialError: it has more; `source` says in the message where it came from.
    """
    if len(value) > MAX_VALUE:
        message = f"{source} has {len(value)} bytes, and a credential at most {MAX_VALUE}; put the bare value there"
        raise CredentialError(ConditionReason.SECRET_KEY_INVALID, message)
    return value


def basic(secret: Secret, username: SecretValue, password: SecretValue) -> Credential:
    """The login as `Authorization: Basic` (RFC 7617 section 2).

    Raises:
        CredentialError: it is empty, or a tool would read another one.
    """
    if not username.reveal() and not password.reveal():
        raise invalid(secret, PASSWORD, f"is empty, and so is {USERNAME}")
    check_values(secret, frozenset((USERNAME, PASSWORD)))
    if b":" in username.reveal():
        # The tool would take what stands behind the colon for the password's beginning (RFC 7617 section 2).
        raise invalid(secret, USERNAME, "holds a colon, which ends the user name in Basic authentication")
    source = f"username and password of Secret {secret.metadata.name}"
    userpass = within_limit(username.reveal() + b":" + password.reveal(), source)
    return Credential(headers=((b"Authorization", SecretValue(b"Basic " + b64encode(userpass))),))
