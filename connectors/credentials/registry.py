"""The literal registry of credential schemes. A new scheme is one file and one line here (CONTRIBUTING.md)."""

from __future__ import annotations

from dataclasses import replace

from connectors.credentials.basic_auth import BasicAuth
from connectors.credentials.bearer_token import BearerToken
from connectors.credentials.client_certificate import ClientCertificate
from connectors.credentials.credential import (
    CALLERS_OWN,
    Credential,
    CredentialError,
    InjectionError,
    Owned,
    proves_nothing,
)
from connectors.credentials.docker_config import DockerConfig
from connectors.credentials.generated import Generated
from connectors.credentials.reading import check_filled
from connectors.credentials.scheme import Scheme, require
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import BASIC_AUTH, BEARER_TOKEN, DOCKER_CONFIG, TLS, Secret

SCHEMES: dict[str, Scheme] = {
    BASIC_AUTH: BasicAuth(),
    BEARER_TOKEN: BearerToken(),
    TLS: ClientCertificate(),
    DOCKER_CONFIG: DockerConfig(),
}
GENERATED = Generated()


def scheme_for(auth_type: AuthType) -> Scheme | None:
    """The scheme of an authentication type: its own generator, else the one of its Secret type, else none."""
    generator = auth_type.generator
    if generator is not None and (generator.headers or generator.query):
        return GENERATED
    return SCHEMES.get(auth_type.secret_type)


def not_injected(auth_type: AuthType) -> str:
    """Why nothing injects Secrets of a type that has a Rego policy or is not known, and what would."""
    what = "Rego is not supported" if auth_type.generator and auth_type.generator.rego else "nothing injects this type"
    return (
        f"authentication type {auth_type.name} of Secret type {auth_type.secret_type or 'any'}: {what}; give the type "
        f"generator.headers or generator.query in the class, or one of the Secret types {', '.join(sorted(SCHEMES))}"
    )


def owned_by(auth_types: tuple[AuthType, ...]) -> Owned:
    """The caller's own fields and every name that any of these types may inject, whether or not it injects now."""
    owned = CALLERS_OWN
    for auth_type in auth_types:
        scheme = scheme_for(auth_type)
        owned |= scheme.owned(auth_type) if scheme else Owned()
    return owned


def credential_of(auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
    """The credential that `secret` yields under `auth_type`; templates see the Connector and class of `subject` too.

    Raises:
        CredentialError: the Secret has another type than the class asks for, lacks a key or a key's value, holds what
            cannot stand in a request, or makes nothing at all.
        InjectionError: the Secret is as the class declares it, and nothing injects it.
    """
    if auth_type.secret_type and secret.type != auth_type.secret_type:
        message = (
            f"Secret {secret.metadata.name} has type {secret.type}, but authentication type {auth_type.name} "
            f"needs {auth_type.secret_type}; a Secret's type is immutable, so delete the Secret and create it again"
        )
        raise CredentialError(ConditionReason.SECRET_TYPE_MISMATCH, message)
    for param in auth_type.params:
        if param.required:
            require(secret, param.name)
            # Of a user name and a password one is enough: the scheme looks at both.
            if secret.type != BASIC_AUTH:
                check_filled(secret, param.name)
    scheme = scheme_for(auth_type)
    if scheme is None or (auth_type.generator is not None and auth_type.generator.rego):
        raise InjectionError(not_injected(auth_type))
    credential = scheme.credential(auth_type, secret, subject)
    if auth_type.secret_type == TLS and credential.certificate is None:
        # A class's own generator makes fields alone; the certificate of the Secret is shown all the same.
        credential = replace(credential, certificate=SCHEMES[TLS].credential(auth_type, secret).certificate)
    if proves_nothing(credential):
        # The tool would take the request for an anonymous one, and so would the caller (threat 40).
        message = (
            f"Secret {secret.metadata.name} makes no credential: all that authentication type {auth_type.name} injects "
            "is empty; fill the Secret's keys"
        )
        raise CredentialError(ConditionReason.SECRET_KEY_INVALID, message)
    return credential
