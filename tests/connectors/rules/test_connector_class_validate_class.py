from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.ceilings import CEILING_ANNOTATIONS
from connectors.objects.connector_class import RESOLVER_ANNOTATION
from connectors.rules.connector_class import validate_class_fields
from tests.builders import connector_class

TYPES = {"types": [{"name": "a", "secretType": "Opaque"}]}


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"address": {"type": "string"}}, [], id="address without a name, as the documentation writes it"),
        pytest.param({"address": {"type": "array"}}, ["spec.address.type"], id="address type"),
        pytest.param({"params": [{"name": "a"}, {"name": "a"}]}, ["spec.params[1].name"], id="a parameter twice"),
        pytest.param({"params": [{"type": "string"}]}, ["spec.params[0].name"], id="a parameter without a name"),
        pytest.param({"params": [{"name": "a", "type": "object"}]}, ["spec.params[0].type"], id="parameter type"),
        pytest.param(
            {"params": [{"name": "a", "default": True}]}, ["spec.params[0].default"], id="default not a string"
        ),
        pytest.param(
            {"params": [{"name": "a", "default": "x", "enum": ["y"]}]},
            ["spec.params[0].default"],
            id="default not in enum",
        ),
        pytest.param({"params": [{"name": "a", "default": "y", "enum": ["y"]}]}, [], id="default in enum"),
        pytest.param({"addressExtensions": [{"name": "api", "default": ""}]}, [], id="extension with an empty default"),
        pytest.param(
            {"addressExtensions": [{"name": "api", "default": "https://a"}]}, [], id="extension with a default"
        ),
        pytest.param(
            {"addressExtensions": [{"name": "api", "default": "a"}]},
            ["spec.addressExtensions[0].default"],
            id="extension default not a URL",
        ),
        pytest.param(
            {"addressExtensions": [{"name": "a/b"}]},
            ["spec.addressExtensions[0].name"],
            id="extension name not for a path",
        ),
        pytest.param(
            {"auth": {"types": [{"name": "a"}, {"name": "a"}]}}, ["spec.auth.types[1].name"], id="an auth type twice"
        ),
        pytest.param(
            {"auth": {"types": [{"name": "a", "params": [{"name": "k", "type": "int"}]}]}},
            ["spec.auth.types[0].params[0].type"],
            id="auth type parameter",
        ),
        pytest.param({"auth": TYPES, "authProbes": [{"authName": "a"}]}, [], id="a probe of a type"),
        pytest.param({"auth": TYPES, "authProbes": [{"authName": "b"}]}, ["spec.authProbes[0].authName"], id="of none"),
        pytest.param({"authProbes": [{}]}, ["spec.authProbes[0].authName"], id="a probe that names no type"),
        pytest.param(
            {"auth": TYPES, "authProbes": [{"authName": "a"}, {"authName": "a"}]},
            ["spec.authProbes[1].authName"],
            id="two probes of one type",
        ),
        pytest.param(
            {"auth": TYPES, "authProbes": [{"authName": "a", "params": [{"name": "r"}, {"name": "r"}]}]},
            ["spec.authProbes[0].params[1].name"],
            id="a probe's parameter twice",
        ),
        pytest.param(
            {"livenessProbe": {"http": {"path": "/"}, "api": {"path": "/"}}}, ["spec.livenessProbe"], id="both kinds"
        ),
        pytest.param(
            {"auth": TYPES, "authProbes": [{"authName": "a", "probe": {"http": {}, "api": {}}}]},
            ["spec.authProbes[0].probe"],
            id="both kinds in an authentication probe",
        ),
        pytest.param(
            {"livenessProbe": {"http": {"method": "POST", "scheme": "https", "host": "h:8443"}}}, [], id="http"
        ),
        pytest.param({"livenessProbe": {"http": {"method": "", "scheme": "", "host": ""}}}, [], id="left empty"),
        pytest.param({"livenessProbe": {"http": {"method": "get"}}}, ["spec.livenessProbe.http.method"], id="method"),
        pytest.param({"livenessProbe": {"http": {"method": "PUT"}}}, ["spec.livenessProbe.http.method"], id="PUT"),
        pytest.param({"livenessProbe": {"http": {"scheme": "HTTP"}}}, ["spec.livenessProbe.http.scheme"], id="scheme"),
        pytest.param({"livenessProbe": {"http": {"scheme": "ftp"}}}, ["spec.livenessProbe.http.scheme"], id="ftp"),
        *(
            pytest.param(
                {"livenessProbe": {"http": {"host": host}}}, ["spec.livenessProbe.http.host"], id=f"host {host}"
            )
            for host in (
                "http://h",
                "h/",
                "h/path",
                "h:",
                "h:0",
                "u@h",
                "h?x",
                "h#x",
                "a b",
                "{{ .x }}",
                "127.1",
                "[::1",
                "::1",
            )
        ),
        *(
            pytest.param({"livenessProbe": {"http": {"host": host}}}, [], id=f"host {host}")
            for host in ("h", "h.example.com:8443", "127.0.0.1:80", "[::1]:8443", "müller.example")
        ),
        pytest.param({"proxy": {"uri": "/p"}, "api": {"uri": "https://api.example"}}, [], id="where proxy and API are"),
        pytest.param(
            {"proxy": {"ref": {"kind": "Ingress", "name": "a"}}, "api": {"uri": "nonsense"}},
            ["spec.proxy.ref.kind", "spec.api.uri"],
            id="where nothing can be",
        ),
    ],
)
def test_fields(spec: dict[str, Any], paths: list[str]) -> None:
    assert [violation.path for violation in validate_class_fields(connector_class(**spec))] == paths


@pytest.mark.parametrize(("resolver", "well"), [("host", True), ("path", True), ("PATH", False), ("", False)])
def test_the_resolver_annotation(resolver: str, *, well: bool) -> None:
    found = list(validate_class_fields(connector_class(annotations={RESOLVER_ANNOTATION: resolver})))
    assert [violation.path for violation in found] == [f"metadata.annotations[{RESOLVER_ANNOTATION}]"] * (not well)


@pytest.mark.parametrize("name", CEILING_ANNOTATIONS)
def test_the_annotations_that_lower_what_a_connector_may_use(name: str) -> None:
    for text, well in (("1", True), ("many", False)):
        found = list(validate_class_fields(connector_class(annotations={name: text})))
        assert [violation.path for violation in found] == [f"metadata.annotations[{name}]"] * (not well)


def test_the_name() -> None:
    assert [violation.path for violation in validate_class_fields(connector_class("A b"))] == ["metadata.name"]
