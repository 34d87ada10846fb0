from __future__ import annotations

import pytest

from connectors.objects.connector_class import ServiceReference
from connectors.rules.values import is_absolute, validate_destination

PROXY = ServiceReference(kind="Service", name="proxy", namespace="tools", api_version="v1")


@pytest.mark.parametrize(
    ("ref", "uri", "paths"),
    [
        pytest.param(None, "", [], id="nothing"),
        pytest.param(None, "/prefix", [], id="a path"),
        pytest.param(None, "https://proxy.example/prefix", [], id="an absolute uri"),
        pytest.param(None, "prefix", ["p.uri"], id="neither path nor absolute"),
        pytest.param(None, "ftp://proxy.example", ["p.uri"], id="another scheme"),
        pytest.param(None, "https://user:word@proxy.example", ["p.uri"], id="a password"),
        pytest.param(None, "/a/../b", ["p.uri"], id="dots in a path"),
        pytest.param(None, "/a?b=c", ["p.uri"], id="a query"),
        pytest.param(PROXY, "", [], id="a Service"),
        pytest.param(PROXY, "/prefix", [], id="a Service and a path"),
        pytest.param(PROXY, "https://proxy.example", ["p.uri"], id="a Service and an absolute uri"),
        pytest.param(ServiceReference(name="proxy"), "", [], id="a Service by its name alone"),
        pytest.param(ServiceReference(kind="Service"), "", ["p.ref.name"], id="no name"),
        pytest.param(ServiceReference(kind="Ingress", name="a"), "", ["p.ref.kind"], id="another kind"),
        pytest.param(
            ServiceReference(kind="Service", name="a", api_version="serving.knative.dev/v1"),
            "",
            ["p.ref.kind"],
            id="another group's Service",
        ),
        pytest.param(
            ServiceReference(kind="Service", name="A_b", namespace="x.y"),
            "",
            ["p.ref.name", "p.ref.namespace"],
            id="no names at all",
        ),
    ],
)
def test_destinations(ref: ServiceReference | None, uri: str, paths: list[str]) -> None:
    assert [violation.path for violation in validate_destination("p", ref, uri)] == paths


def test_a_password_is_not_quoted() -> None:
    (violation,) = validate_destination("p", None, "https://user:word@proxy.example")
    assert "word@" not in violation.message


@pytest.mark.parametrize(("uri", "absolute"), [("", False), ("/a", False), ("http://a", True), ("a", True)])
def test_what_is_meant_to_be_absolute(uri: str, *, absolute: bool) -> None:
    assert is_absolute(uri) is absolute
