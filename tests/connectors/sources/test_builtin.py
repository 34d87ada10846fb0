from __future__ import annotations

from base64 import b64decode

import pytest

from connectors.class_checks import check_connector_class
from connectors.credentials.registry import credential_of
from connectors.model.connector_class import ConnectorClass
from connectors.model.secret import Secret
from connectors.sources.builtin import builtin_classes
from tests.connectors.builders import secret

CLASSES = {identity.name: entry for identity, entry in builtin_classes().items()}


def builtin(name: str) -> ConnectorClass:
    value = CLASSES[name].value
    assert isinstance(value, ConnectorClass)
    return value


def test_they_are_these() -> None:
    assert list(CLASSES) == ["generic", "git", "github", "gitlab"]


@pytest.mark.parametrize("name", CLASSES)
def test_each_is_valid_and_has_the_projects_proxy(name: str) -> None:
    assert CLASSES[name].violations == ()
    assert check_connector_class(builtin(name)) == ()
    proxy = builtin(name).spec.proxy
    assert proxy is not None
    assert proxy.ref is not None
    assert (proxy.ref.kind, proxy.ref.namespace, proxy.ref.name) == (
        "Service",
        "connectors-system",
        "connectors-proxy-service",
    )
    assert all(auth_type.optional for auth_type in builtin(name).auth_types)
    assert {"cpaas.io/display-name", "cpaas.io/description"} <= set(builtin(name).metadata.annotations)


BASIC = secret(kind="kubernetes.io/basic-auth", username=b"u", password=b"p")
PAT = secret(kind="connectors.cpaas.io/gitlab-pat-auth", token=b"t0k")


@pytest.mark.parametrize(
    ("name", "auth", "given", "headers"),
    [
        ("git", "basicAuth", BASIC, {b"Authorization": b"Basic u:p"}),
        ("git", "basic-auth", BASIC, {b"Authorization": b"Basic u:p"}),
        ("github", "patAuth", secret(token=b"t0k"), {b"Authorization": b"Basic x-access-token:t0k"}),
        ("gitlab", "patAuth", PAT, {b"PRIVATE-TOKEN": b"t0k", b"Authorization": b"Basic oauth2:t0k"}),
        ("generic", "basicAuth", BASIC, {b"Authorization": b"Basic u:p"}),
        (
            "generic",
            "bearerAuth",
            secret(kind="connectors.cpaas.io/bearer-token", token=b"t0k"),
            {b"Authorization": b"Bearer t0k"},
        ),
        ("generic", "opaqueAuth", secret(authorization=b"ApiKey abc\n"), {b"Authorization": b"ApiKey abc"}),
    ],
)
def test_what_each_type_injects(name: str, auth: str, given: Secret, headers: dict[bytes, bytes]) -> None:
    auth_type = builtin(name).auth_type(auth)
    assert auth_type is not None
    made = {field: value.reveal() for field, value in credential_of(auth_type, given).headers}
    assert {field: _readable(value) for field, value in made.items()} == headers


def _readable(value: bytes) -> bytes:
    scheme, _, rest = value.partition(b" ")
    return b"Basic " + b64decode(rest) if scheme == b"Basic" else value


def test_github_has_an_extension_for_its_api_that_may_be_left_out() -> None:
    (extension,) = builtin("github").spec.address_extensions
    assert (extension.name, extension.default) == ("api", "")
