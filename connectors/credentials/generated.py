"""Any Secret type whose class says how: `auth.types[].generator.headers[]` and `.query[]`."""

from __future__ import annotations

from dataclasses import replace

from connectors.credentials.credential import Credential, CredentialError, Owned, fold
from connectors.credentials.scheme import field_value
from connectors.expressions.template import Subject, TemplateError, compile_template
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
        query = ((field.name.encode(), _render(field, about, secret)) for field in generator.query)
        return Credential(headers=tuple(item for item in headers if item[1].reveal()), query=tuple(query))

    def _header(self, field: GeneratedField, about: Subject, secret: Secret) -> SecretValue:
        rendered = _render(field, about, secret).reveal()
        return SecretValue(field_value(rendered, f"header {field.name} rendered from Secret {secret.metadata.name}"))


def _render(field: GeneratedField, about: Subject, secret: Secret) -> SecretValue:
    try:
        return compile_template(field.value).render(about).value
    except TemplateError as error:
        message = f"{field.name} cannot be made of Secret {secret.metadata.name}: {error}"
        lacks = error.missing_key is not None
        reason = ConditionReason.SECRET_KEY_MISSING if lacks else ConditionReason.SECRET_KEY_INVALID
        raise CredentialError(reason, message) from None
