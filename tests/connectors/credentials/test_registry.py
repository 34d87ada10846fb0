from __future__ import annotations

import pytest
import trustme

from connectors.credentials.basic_auth import BasicAuth
from connectors.credentials.bearer_token import BearerToken
from connectors.credentials.client_certificate import ClientCertificate
from connectors.credentials.credential import CALLERS_OWN, CredentialError, InjectionError
from connectors.credentials.generated import Generated
from connectors.credentials.registry import credential_of, owned_by, scheme_for
from connectors.objects.connector_class import AuthType
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import BASIC_AUTH, BEARER_TOKEN, TLS, Secret
from tests.builders import auth_type, secret, secret_of

BASIC = auth_type(secretType=BASIC_AUTH)
BEARER = auth_type(secretType=BEARER_TOKEN)
OPAQUE_KEY = auth_type(
    secretType="Opaque",
    params=[{"name": "key"}, {"name": "extra", "default": ""}],
    generator={"query": [{"name": "api_key", "value": "{{ .Secret.StringData.key }}"}]},
)
LAX = auth_type(
    secretType="Opaque",
    generator={
        "headers": [{"name": "X-Key", "value": "{{ with .Secret.StringData.key }}{{ . }}{{ end }}"}],
        "query": [{"name": "key", "value": '{{ .Secret.StringData.key | default "" | trim }}'}],
    },
)
UNKNOWN = auth_type(secretType="kubernetes.io/ssh-auth")
POLICY = auth_type(secretType="x/y", generator={"rego": "package proxy"})


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        (BASIC, BasicAuth),
        (BEARER, BearerToken),
        (OPAQUE_KEY, Generated),
        (auth_type(secretType=BASIC_AUTH, generator={"headers": [{"name": "X", "value": "y"}]}), Generated),
        (auth_type(secretType=BASIC_AUTH, generator={}), BasicAuth),
        (auth_type(secretType=TLS), ClientCertificate),
        (UNKNOWN, type(None)),
    ],
    ids=["basic", "bearer", "generated", "generator before type", "empty generator", "tls", "unknown"],
)
def test_the_scheme_of_a_type(kind: AuthType, scheme: type) -> None:
    assert type(scheme_for(kind)) is scheme


def test_t21_owned_are_the_callers_own_and_what_any_type_injects() -> None:
    assert owned_by(()) == CALLERS_OWN
    owned = owned_by((BASIC, OPAQUE_KEY, UNKNOWN))
    assert owned.headers >= CALLERS_OWN.headers
    assert owned.query == {b"api_key"}


def test_the_credential_of_a_secret() -> None:
    assert credential_of(BEARER, secret(kind=BEARER_TOKEN, token=b"t")).headers[0][1].reveal() == b"Bearer t"
    assert credential_of(OPAQUE_KEY, secret(key=b"k")).query[0][1].reveal() == b"k"


@pytest.mark.parametrize(
    ("kind", "data", "reason", "said"),
    [
        (BASIC, secret(token=b"t"), ConditionReason.SECRET_TYPE_MISMATCH, "kubernetes.io/basic-auth"),
        (OPAQUE_KEY, secret(other=b"k"), ConditionReason.SECRET_KEY_MISSING, "key key"),
        (OPAQUE_KEY, secret(key=b""), ConditionReason.SECRET_KEY_INVALID, "key key of Secret login is empty"),
        (LAX, secret(key=b""), ConditionReason.SECRET_KEY_INVALID, "makes no credential"),
        (LAX, secret(key=b" "), ConditionReason.SECRET_KEY_INVALID, "makes no credential"),
        (LAX, secret(), ConditionReason.SECRET_KEY_INVALID, "makes no credential"),
    ],
    ids=[
        "another type",
        "a declared key is missing",
        "a declared key is empty",
        "empty",
        "white space",
        "nothing",
    ],
)
def test_why_a_secret_cannot_serve(kind: AuthType, data: Secret, reason: ConditionReason, said: str) -> None:
    with pytest.raises(CredentialError) as caught:
        credential_of(kind, data)
    assert caught.value.reason is reason
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("kind", "said"),
    [(UNKNOWN, "kubernetes.io/ssh-auth: nothing injects this type"), (POLICY, "Rego is not supported")],
)
def test_what_nothing_injects_is_not_the_secrets_fault(kind: AuthType, said: str) -> None:
    with pytest.raises(InjectionError, match=said):
        credential_of(kind, secret(kind=kind.secret_type, token=b"t"))
    with pytest.raises(CredentialError):
        credential_of(kind, secret(token=b"t"))


LEAF = trustme.CA().issue_cert("client.example")
PAIR = {"tls.crt": LEAF.cert_chain_pems[0].bytes(), "tls.key": LEAF.private_key_pem.bytes()}


def test_a_client_certificate_is_shown_whatever_the_class_sends_besides() -> None:
    alone = credential_of(auth_type(secretType=TLS), secret_of(PAIR, TLS))
    assert alone.certificate is not None
    assert alone.headers == ()
    generator = {"headers": [{"name": "X-Tenant", "value": "a"}]}
    with_field = credential_of(auth_type(secretType=TLS, generator=generator), secret_of(PAIR, TLS))
    assert with_field.certificate is not None
    assert [name for name, _ in with_field.headers] == [b"X-Tenant"]
    with pytest.raises(CredentialError, match=r"tls\.crt"):
        credential_of(auth_type(secretType=TLS, generator=generator), secret_of({**PAIR, "tls.crt": b""}, TLS))
