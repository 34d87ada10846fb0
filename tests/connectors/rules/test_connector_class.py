from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.violation import Severity, errors
from connectors.rules.connector_class import validate_connector_class
from tests.builders import connector_class

TOKEN = "{{ .Secret.StringData.token }}"


def of_type(**fields: Any) -> list[str]:
    """Paths of errors of a class with one authentication type."""
    demo = connector_class(auth={"types": [{"name": "a", "secretType": "Opaque", **fields}]})
    prefix = "spec.auth.types[0]."
    return [violation.path.removeprefix(prefix) for violation in errors(validate_connector_class(demo))]


@pytest.mark.parametrize(
    ("headers", "paths"),
    [
        ([{"name": "PRIVATE-TOKEN", "value": TOKEN}], []),
        ([{"name": "Cookie", "value": "sid={{ .Secret.StringData.sid }}"}], []),
        ([{"name": "", "value": TOKEN}], ["name"]),
        ([{"name": "X Y", "value": TOKEN}], ["name"]),
        ([{"name": "X:", "value": TOKEN}], ["name"]),
        ([{"name": "Ä", "value": TOKEN}], ["name"]),
        ([{"name": "X\r\nY", "value": TOKEN}], ["name"]),
        ([{"name": "Content-Length", "value": TOKEN}], ["name"]),
        ([{"name": "TRANSFER-ENCODING", "value": TOKEN}], ["name"]),
        ([{"name": "Host", "value": TOKEN}], ["name"]),
        ([{"name": "Connection", "value": TOKEN}], ["name"]),
        ([{"name": "Upgrade", "value": TOKEN}], ["name"]),
        ([{"name": "Proxy-Authorization", "value": TOKEN}], ["name"]),
        ([{"name": "X-A", "value": ""}], ["value"]),
        ([{"name": "X-A", "value": "{{ env }}"}], ["value"]),
        ([{"name": "X-A", "value": "{{ .Secret"}], ["value"]),
    ],
)
def test_generated_headers(headers: list[dict[str, str]], paths: list[str]) -> None:
    assert of_type(generator={"headers": headers}) == [f"generator.headers[0].{path}" for path in paths]


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ([{"name": "api_key", "value": TOKEN}], []),
        ([{"name": "", "value": TOKEN}], ["name"]),
        ([{"name": "a b", "value": TOKEN}], ["name"]),
        ([{"name": "ä", "value": TOKEN}], ["name"]),
        ([{"name": "key", "value": "{{ nope }}"}], ["value"]),
    ],
)
def test_generated_query(query: list[dict[str, str]], paths: list[str]) -> None:
    assert of_type(generator={"query": query}) == [f"generator.query[0].{path}" for path in paths]


def test_rego_is_refused_with_what_to_use_instead() -> None:
    demo = connector_class(
        auth={"types": [{"name": "a", "secretType": "x/y", "generator": {"rego": "package proxy"}}]},
        proxy={"authExtractor": {"rego": "package proxy"}},
    )
    found = validate_connector_class(demo)
    assert [violation.path for violation in found] == [
        "spec.auth.types[0].generator.rego",
        "spec.proxy.authExtractor.rego",
    ]
    assert [violation.severity for violation in found] == [Severity.WARNING, Severity.ERROR]
    assert "generator.headers" in found[0].message
    assert "authExtractor.header" in found[1].message


def test_a_type_that_nothing_injects_is_a_warning_since_the_others_serve() -> None:
    demo = connector_class(
        auth={
            "types": [
                {"name": "ssh", "secretType": "kubernetes.io/ssh-auth"},
                {"name": "basic", "secretType": "kubernetes.io/basic-auth"},
            ]
        }
    )
    (found,) = validate_connector_class(demo)
    assert (found.path, found.severity) == ("spec.auth.types[0].secretType", Severity.WARNING)
    assert "kubernetes.io/basic-auth" in found.message


def test_the_extractors_header_must_be_a_header() -> None:
    demo = connector_class(proxy={"authExtractor": {"header": "a b"}})
    assert [violation.path for violation in validate_connector_class(demo)] == ["spec.proxy.authExtractor.header"]


@pytest.mark.parametrize("header", ["Authorization", "authorization", "Cookie", "User-Agent", "Accept"])
def test_an_extractor_that_is_legal_but_hardly_meant(header: str) -> None:
    (found,) = validate_connector_class(connector_class(proxy={"authExtractor": {"header": header}}))
    assert (found.path, found.severity) == ("spec.proxy.authExtractor.header", Severity.WARNING)


HTTP: dict[str, Any] = {"path": "/"}
TYPES: dict[str, Any] = {"types": [{"name": "a"}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("probe", "paths"),
    [
        ({"http": HTTP}, []),
        ({"http": {"path": "/{{ (urlParse .Connector.Spec.Address).path }}/x?y=z"}}, []),
        ({"http": {}}, ["http.path"]),
        ({"http": {"path": "{{ .Connector.Spec.Adress }}"}}, ["http.path"]),
        ({"http": {"path": "/{{ env `HOME` }}"}}, ["http.path"]),
        ({"api": {}}, []),
        ({"api": {"path": "/check/{{ .Connector.Name }}"}}, []),
        ({"api": {"path": "{{ .Sercet }}"}}, ["api.path"]),
        ({"http": {**HTTP, "httpHeaders": [{"name": "Authorization", "value": TOKEN}]}}, []),
        ({"http": {**HTTP, "httpHeaders": [{"name": "A B", "value": TOKEN}]}}, ["http.httpHeaders[0].name"]),
        ({"http": {**HTTP, "httpHeaders": [{"name": "Host", "value": "x"}]}}, ["http.httpHeaders[0].name"]),
        (
            {"http": {**HTTP, "httpHeaders": [{"name": "X", "value": "x"}, {}]}},
            [f"http.httpHeaders[1].{key}" for key in ("name", "value")],
        ),
        ({"http": {**HTTP, "httpHeaders": [{"name": "X", "value": "{{ end }}"}]}}, ["http.httpHeaders[0].value"]),
        ({"http": {**HTTP, "response": {}}}, []),
        ({"http": {**HTTP, "response": {"cel": "response.body.status == 'UP'"}}}, []),
        ({"http": {**HTTP, "response": {"cel": "status == 200"}}}, ["http.response.cel"]),
        ({"http": {**HTTP, "response": {"cel": "statusCode"}}}, ["http.response.cel"]),
        ({"http": {**HTTP, "response": {"cel": "response.body.map(x, x) == []"}}}, ["http.response.cel"]),
        ({"http": {**HTTP, "method": "PUT"}}, ["http.method"]),
    ],
)
def test_probes(probe: dict[str, Any], paths: list[str]) -> None:
    live = validate_connector_class(connector_class(livenessProbe=probe))
    assert [violation.path for violation in live] == [f"spec.livenessProbe.{path}" for path in paths]
    assert errors(live) == live
    probes = [{"authName": "b"}, {"authName": "a", "probe": probe}]
    found = errors(validate_connector_class(connector_class(auth=TYPES, authProbes=probes)))
    assert [violation.path for violation in found] == [f"spec.authProbes[1].probe.{path}" for path in paths]


@pytest.mark.parametrize(
    ("http", "said"),
    [
        ({"path": "/\n{{ .Sercet }}"}, "line 2, column 4: the template's data has no field Sercet"),
        (
            {"path": "/", "response": {"cel": "true &&\n status == 200"}},
            "line 2, column 2: undeclared reference to 'status'",
        ),
    ],
)
def test_what_does_not_compile_says_where(http: dict[str, Any], said: str) -> None:
    (found,) = validate_connector_class(connector_class(livenessProbe={"http": http}))
    assert said in found.message


def test_rules_of_fields_are_asked_too() -> None:
    assert [violation.path for violation in validate_connector_class(connector_class(params=[{}]))] == [
        "spec.params[0].name"
    ]
