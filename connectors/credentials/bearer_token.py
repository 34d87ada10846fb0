"""Secret type connectors.cpaas.io/bearer-token: `Authorization: Bearer` (RFC 6750 section 2.1)."""

from __future__ import annotations

from connectors.credentials.credential import Credential, Owned
from connectors.credentials.scheme import field_value, require
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.secret import Secret, SecretValue


class BearerToken:
    """`token` of the Secret; a newline at its end, as `kubectl create secret --from-file` leaves one, is dropped."""

    def owned(self, auth_type: AuthType) -> Owned:
        return Owned(headers=frozenset({b"authorization"}))

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        token = field_value(require(secret, "token").reveal(), f"key token of Secret {secret.metadata.name}")
        return Credential(headers=((b"Authorization", SecretValue(b"Bearer " + token)),))
