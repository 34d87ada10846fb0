from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.connector_class import ConnectorClass
from connectors.objects.violation import Severity, errors
from connectors.rules.connector import validate_auth, validate_parameters
from tests.builders import basic_class, connector, connector_class

REQUIRED = basic_class(optional=False)
OPTIONAL = basic_class(optional=True)
MIXED = connector_class(
    auth={
        "types": [
            {"name": "strict", "secretType": "Opaque"},
            {"name": "loose", "secretType": "Opaque", "optional": True},
        ]
    }
)
NO_AUTH = connector_class()
SECRET = {"name": "login"}


@pytest.mark.parametrize(
    ("demo", "auth", "paths"),
    [
        pytest.param(REQUIRED, {"name": "basicAuth", "secretRef": SECRET}, [], id="a Secret where one is required"),
        pytest.param(REQUIRED, {"name": "basicAuth"}, ["spec.auth.secretRef"], id="none where one is required"),
        pytest.param(REQUIRED, None, ["spec.auth.secretRef"], id="no auth at all where a Secret is required"),
        pytest.param(OPTIONAL, {"name": "basicAuth"}, [], id="none where it is optional"),
        pytest.param(OPTIONAL, None, [], id="no auth where it is optional"),
        pytest.param(MIXED, None, [], id="no type chosen, one of them optional"),
        pytest.param(MIXED, {"name": "strict"}, ["spec.auth.secretRef"], id="the strict type chosen"),
        pytest.param(NO_AUTH, None, [], id="a class without authentication"),
        pytest.param(NO_AUTH, {"name": "x", "secretRef": SECRET}, ["spec.auth.name"], id="a type where there is none"),
        pytest.param(OPTIONAL, {"name": "basic"}, ["spec.auth.name"], id="an unknown type"),
        pytest.param(OPTIONAL, {"secretRef": SECRET}, ["spec.auth.name"], id="a Secret without a type"),
        pytest.param(
            OPTIONAL,
            {"name": "basicAuth", "secretRef": {"name": ""}},
            ["spec.auth.secretRef.name"],
            id="no Secret's name",
        ),
        pytest.param(
            OPTIONAL, {"name": "basicAuth", "secretRef": {"name": "A/b"}}, ["spec.auth.secretRef.name"], id="a bad name"
        ),
        pytest.param(
            OPTIONAL,
            {"name": "basicAuth", "secretRef": {**SECRET, "kind": "ConfigMap"}},
            ["spec.auth.secretRef.kind"],
            id="not a Secret",
        ),
        pytest.param(
            OPTIONAL,
            {"name": "basicAuth", "secretRef": {**SECRET, "kind": "Secret", "namespace": "default"}},
            [],
            id="own",
        ),
    ],
)
def test_auth(demo: ConnectorClass, auth: Any, paths: list[str]) -> None:
    assert [violation.path for violation in validate_auth(connector(auth=auth), demo)] == paths


def test_t07_a_secret_of_another_namespace_is_refused() -> None:
    auth = {"name": "basicAuth", "secretRef": {"name": "login", "namespace": "kube-system"}}
    for demo in (OPTIONAL, None):
        (found,) = errors(tuple(validate_auth(connector(auth=auth), demo)))
        assert found.path == "spec.auth.secretRef.namespace"


def test_an_unknown_type_is_told_which_there_are() -> None:
    (found,) = validate_auth(connector(auth={"name": "x"}), MIXED)
    assert "strict, loose" in found.message


PROBED = basic_class(
    params=[{"name": "sslVerify", "default": "true"}],
    authProbes=[{"authName": "basicAuth", "params": [{"name": "repository"}, {"name": "branch", "default": ""}]}],
)
REPOSITORY = {"name": "repository", "value": "org/repo.git"}


@pytest.mark.parametrize(
    ("params", "auth", "fatal", "warned"),
    [
        pytest.param([], {"name": "basicAuth", "params": [REPOSITORY]}, [], [], id="given where it belongs"),
        pytest.param([], {"name": "basicAuth"}, ["spec.auth.params"], [], id="required also without a Secret"),
        pytest.param([], None, [], [], id="no type chosen, so no check"),
        pytest.param([REPOSITORY], {"name": "basicAuth"}, [], ["spec.params[0].name"], id="under spec.params"),
        pytest.param(
            [REPOSITORY],
            {"name": "basicAuth", "params": [REPOSITORY]},
            [],
            ["spec.params[0].name"],
            id="in both places",
        ),
        pytest.param([REPOSITORY], None, ["spec.params[0].name"], [], id="under spec.params of no type"),
        pytest.param(
            [],
            {"name": "basicAuth", "params": [REPOSITORY, {"name": "x", "value": "y"}]},
            ["spec.auth.params[1].name"],
            [],
        ),
        pytest.param([{"name": "sslVerify", "value": False}], None, ["spec.params[0].value"], [], id="not a string"),
        pytest.param([{"name": "sslVerify", "value": "false"}], None, [], [], id="a parameter of the class"),
        pytest.param([{"name": "x", "value": "y"}], None, ["spec.params[0].name"], [], id="unknown"),
    ],
)
def test_parameters(params: Any, auth: Any, fatal: list[str], warned: list[str]) -> None:
    found = tuple(validate_parameters(connector(params=params, auth=auth), PROBED))
    assert [violation.path for violation in errors(found)] == fatal
    assert [violation.path for violation in found if violation.severity is Severity.WARNING] == warned


def test_without_the_class_only_what_needs_none() -> None:
    one = connector(params=[{"name": "a", "value": 1}], auth={"name": "x", "params": [{"name": "b", "value": "y"}]})
    assert [violation.path for violation in validate_parameters(one, None)] == ["spec.params[0].value"]
    assert list(validate_auth(one, None)) == []
