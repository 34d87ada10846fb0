"""Secret type kubernetes.io/basic-auth: `Authorization: Basic` (RFC 7617)."""

from __future__ import annotations

from connectors.credentials.credential import Credential, Owned
from connectors.credentials.reading import PASSWORD, USERNAME
from connectors.credentials.scheme import basic, require
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.secret import Secret


class BasicAuth:
    """username and password of the Secret; one may be empty, as where a token stands in the place of either."""

    def owned(self, auth_type: AuthType) -> Owned:
        return Owned(headers=frozenset({b"authorization"}))

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        return basic(secret, require(secret, USERNAME), require(secret, PASSWORD))
