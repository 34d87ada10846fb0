"""Secret type kubernetes.io/basic-auth: `Authorization: Basic` (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode

from connectors.credentials.credential import Credential, Owned
from connectors.credentials.scheme import require, within_limit
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.secret import Secret, SecretValue


class BasicAuth:
    """username and password of the Secret; either may be empty, as with tokens used as a password."""

    def owned(self, auth_type: AuthType) -> Owned:
        return Owned(headers=frozenset({b"authorization"}))

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        username, password = require(secret, "username"), require(secret, "password")
        source = f"username and password of Secret {secret.metadata.name}"
        userpass = within_limit(username.reveal() + b":" + password.reveal(), source)
        return Credential(headers=((b"Authorization", SecretValue(b"Basic " + b64encode(userpass))),))
