"""Any Secret type whose class says how: `auth.types[].generator.headers[]` and `.query[]`."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import replace

from connectors.credentials.credential import Credential, CredentialError, Owned, fold
from connectors.credentials.reading import check_values, invalid, printable
from connectors.credentials.scheme import field_value
from connectors.expressions.template import Rendering, Subject, TemplateError, compile_template
from connectors.objects.connector_class import AuthType, GeneratedField, Generator
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import Secret, SecretValue


class Generated:
    """Renders the class's templates over Connector, class and Secret. A header that renders empty is left out."""

    def owned(self, auth_type: AuthType) -> Owned:
        generator = auth_type.generator or Generator()
        headers = frozenset(fold(field.name.encode()) for field in generator.headers)
        return Owned(headers=headers, query=frozenset(field.name.lower().encode() for field in generator.query))

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        generator = auth_type.generator or Generator()
        about = replace(subject or Subject(), secret=secret)
        headers = ((field.name.encode(), self._header(field, about, secret)) for field in generator.headers)
        query = ((field.name.encode(), _render(field, about, secret).value) for field in generator.query)
        return Credential(headers=tuple(item for item in headers if item[1].reveal()), query=tuple(query))

    def _header(self, field: GeneratedField, about: Subject, secret: Secret) -> SecretValue:
        rendering = _render(field, about, secret)
        rendered = rendering.value.reveal()
        # The key is named where its value alone is to blame; a class may well have put a line end there itself.
        if not printable(rendered):
            check_values(secret, rendering.keys)
        value = field_value(rendered, f"header {field.name} rendered from Secret {secret.metadata.name}")
        _check_login(value, secret, rendering.keys)
        return SecretValue(value)


def _check_login(value: bytes, secret: Secret, keys: frozenset[str]) -> None:
    """In Basic authentication nobody sees what a line end does to a password: it is in base64 (RFC 7617 section 2)."""
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic":
        return
    try:
        login = b64decode(encoded, validate=True)
    except binascii.Error:
        return  # the class's own affair: the tool will say what it thinks of it
    if not printable(login):
        check_values(secret, keys)
    for key in sorted(keys):
        held = secret.data[key].reveal()
        if b":" in held and login.startswith(held + b":"):
            raise invalid(secret, key, "holds a colon, which ends the user name in Basic authentication")


def _render(field: GeneratedField, about: Subject, secret: Secret) -> Rendering:
    try:
        return compile_template(field.value).render(about)
    except TemplateError as error:
        message = f"{field.name} cannot be made of Secret {secret.metadata.name}: {error}"
        lacks = error.missing_key is not None
        reason = ConditionReason.SECRET_KEY_MISSING if lacks else ConditionReason.SECRET_KEY_INVALID
        raise CredentialError(reason, message) from None
