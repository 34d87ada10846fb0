from __future__ import annotations

import pytest

from connectors.objects.connector_class import RESOLVER_ANNOTATION, ParameterSpec, Resolver
from tests.builders import basic_class, connector_class


@pytest.mark.parametrize(
    ("annotations", "resolver"),
    [({}, Resolver.HOST), ({RESOLVER_ANNOTATION: "path"}, Resolver.PATH), ({RESOLVER_ANNOTATION: "x"}, Resolver.HOST)],
)
def test_resolver(annotations: dict[str, str], resolver: Resolver) -> None:
    assert connector_class(annotations=annotations).resolver is resolver


def test_auth_types_and_probes_are_found_by_name() -> None:
    demo = basic_class(authProbes=[{"authName": "basicAuth", "params": [{"name": "repository"}]}])
    found = demo.auth_type("basicAuth")
    assert found is not None
    assert found.secret_type == "kubernetes.io/basic-auth"
    probe = demo.auth_probe("basicAuth")
    assert probe is not None
    assert [param.name for param in probe.params] == ["repository"]
    assert demo.auth_type("x") is None
    assert demo.auth_probe("x") is None
    assert connector_class().auth_types == ()


@pytest.mark.parametrize(
    ("spec", "required"),
    [
        (ParameterSpec(name="a"), True),
        (ParameterSpec(name="a", default=None), True),
        (ParameterSpec(name="a", default=""), False),
        (ParameterSpec(name="a", default="x"), False),
    ],
)
def test_a_parameter_without_a_default_is_required(spec: ParameterSpec, *, required: bool) -> None:
    assert spec.required is required


@pytest.mark.parametrize(
    ("proxy", "header"),
    [
        (None, b""),
        ({}, b""),
        ({"authExtractor": {}}, b""),
        ({"authExtractor": {"header": "PRIVATE-TOKEN"}}, b"private-token"),
    ],
)
def test_the_header_for_callers_tokens(proxy: dict[str, object] | None, header: bytes) -> None:
    assert connector_class(proxy=proxy).caller_header == header
