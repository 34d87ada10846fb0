"""Secret type connectors.cpaas.io/bearer-token: `Authorization: Bearer` (RFC 6750 section 2.1)."""

from __future__ import annotations

from connectors.credentials.credential import Credential, Owned
from connectors.credentials.reading import check_filled, check_values
from connectors.credentials.scheme import field_value, require
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.secret import Secret, SecretValue


class BearerToken:
    """`token` of the Secret."""

    def owned(self, auth_type: AuthType) -> Owned:
        return Owned(headers=frozenset({b"authorization"}))

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        value = require(secret, "token")
        check_filled(secret, "token")
        check_values(secret, frozenset(("token",)))
        token = field_value(value.reveal(), f"key token of Secret {secret.metadata.name}")
        return Credential(headers=((b"Authorization", SecretValue(b"Bearer " + token)),))
