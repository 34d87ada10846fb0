"""Secret type kubernetes.io/basic-auth: `Authorization: Basic` (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode

from connectors.credentials.credential import Credential, Owned
from connectors.credentials.reading import PASSWORD, USERNAME, check_values, invalid
from connectors.credentials.scheme import require, within_limit
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.secret import Secret, SecretValue


class BasicAuth:
    """username and password of the Secret; one may be empty, as where a token stands in the place of either."""

    def owned(self, auth_type: AuthType) -> Owned:
        return Owned(headers=frozenset({b"authorization"}))

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        username, password = require(secret, USERNAME), require(secret, PASSWORD)
        if not username.reveal() and not password.reveal():
            raise invalid(secret, PASSWORD, f"is empty, and so is {USERNAME}")
        check_values(secret, frozenset((USERNAME, PASSWORD)))
        if b":" in username.reveal():
            # The tool would take what stands behind the colon for the password's beginning (RFC 7617 section 2).
            raise invalid(secret, USERNAME, "holds a colon, which ends the user name in Basic authentication")
        source = f"username and password of Secret {secret.metadata.name}"
        userpass = within_limit(username.reveal() + b":" + password.reveal(), source)
        return Credential(headers=((b"Authorization", SecretValue(b"Basic " + b64encode(userpass))),))
