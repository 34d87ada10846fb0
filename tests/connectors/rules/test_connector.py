from __future__ import annotations

from typing import Any

import pytest
import yaml

from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.violation import Violation, errors
from connectors.rules.connector import validate_connector
from connectors.sources.directory import builtin_classes
from connectors.sources.manifests import read_manifests
from tests.builders import basic_class, connector, connector_class

LIMIT = "connectors.cpaas.io/max-requests"


@pytest.mark.parametrize(
    ("one", "paths"),
    [
        pytest.param(connector(), [], id="well"),
        pytest.param(connector("a.b"), ["metadata.name"], id="name"),
        pytest.param(connector(namespace="A"), ["metadata.namespace"], id="namespace"),
        pytest.param(connector(namespace="kube-system"), ["metadata.namespace"], id="namespace without admission"),
        pytest.param(connector(namespace="kube-systems"), [], id="namespace of a similar name"),
        pytest.param(connector(connectorClassName=""), ["spec.connectorClassName"], id="class name"),
        pytest.param(connector(connectorClassName="a/b"), ["spec.connectorClassName"], id="class name of no object"),
        pytest.param(connector(connectorClassName="x" * 300_000), ["spec.connectorClassName"], id="long class name"),
        pytest.param(connector(address=""), ["spec.address"], id="address"),
        pytest.param(
            connector(addressExtensions=[{"name": "x", "value": "https://x"}]), ["spec.addressExtensions[0].name"]
        ),
        pytest.param(connector(params=[{"name": "x", "value": "y"}]), ["spec.params[0].name"], id="parameter"),
        pytest.param(connector(auth={"name": "x"}), ["spec.auth.name"], id="auth"),
        pytest.param(connector(caCertSecretRef={}), ["spec.caCertSecretRef.name"], id="CA without a name"),
        pytest.param(connector(caCertSecretRef={"name": "A b"}), ["spec.caCertSecretRef.name"], id="CA's bad name"),
        pytest.param(connector(caCertSecretRef={"name": "my-ca"}), [], id="CA"),
        pytest.param(
            connector(metadata={"annotations": {LIMIT: "0"}}), [f"metadata.annotations[{LIMIT}]"], id="limit of 0"
        ),
        pytest.param(connector(metadata={"annotations": {LIMIT: "1", "a": "b"}}), [], id="limit"),
    ],
)
def test_every_rule_is_asked(one: Connector, paths: list[str]) -> None:
    assert [violation.path for violation in validate_connector(one, basic_class())] == paths


def test_all_violations_are_told_at_once_in_the_order_of_the_fields() -> None:
    one = connector("a.b", address="", params=[{"name": "x", "value": 1}], auth={"name": "x"}, caCertSecretRef={})
    assert [violation.path for violation in validate_connector(one, None)] == [
        "metadata.name",
        "spec.address",
        "spec.params[0].value",
        "spec.caCertSecretRef.name",
    ]


OWN_CLASSES = {
    "git-example": connector_class("git-example", params=[{"name": "sslVerify", "type": "string", "default": "true"}]),
    "my-tool": connector_class(
        "my-tool", auth={"types": [{"name": "bearerToken", "secretType": "connectors.cpaas.io/bearer-token"}]}
    ),
}
"""Classes that the requirement's examples name and do not show in full."""

EXAMPLES = {
    "overview": """
        connectorClassName: git
        address: "https://github.com"
        auth: {name: basicAuth, secretRef: {name: github-secret}}
    """,
    "root URL": """
        connectorClassName: git
        address: "https://github.com"
    """,
    "path prefix": """
        connectorClassName: git
        address: "https://internal-tool.com/gitlab"
    """,
    "address extension": """
        connectorClassName: github
        address: "https://github.com"
        addressExtensions:
          - name: api
            value: "https://api.github.com"
    """,
    "parameters": """
        connectorClassName: git-example
        address: "https://private-gitlab.example.com"
        params:
          - name: sslVerify
            value: "false"
    """,
    "basic authentication": """
        connectorClassName: git
        address: "https://github.com"
        auth: {name: basic-auth, secretRef: {name: github-secret, namespace: default}}
    """,
    "optional authentication": """
        connectorClassName: git
        address: "https://github.com"
        auth: {name: basic-auth}
    """,
    "authentication check": """
        connectorClassName: git
        address: "https://github.com"
        auth:
          name: basic-auth
          secretRef: {name: github-secret, namespace: default}
          params:
          - name: repository
            value: "org/repo.git"
    """,
    "per-Connector CA": """
        connectorClassName: my-tool
        address: https://internal-tool.example.com
        auth: {name: bearerToken, secretRef: {name: my-tool-credentials}}
        caCertSecretRef: {name: my-tool-ca}
    """,
    "without authentication": """
        connectorClassName: git
        address: "https://github.com"
        auth: {name: basic-auth}
        params:
          - name: repository
            value: "org/repo.git"
    """,
}
"""spec of each Connector that the requirement shows."""


def checked(spec: dict[str, Any]) -> tuple[Violation, ...]:
    builtin = {identity.name: entry.value for identity, entry in builtin_classes().items()}
    found = {**builtin, **OWN_CLASSES}[spec["connectorClassName"]]
    assert isinstance(found, ConnectorClass)
    return validate_connector(connector("example", **spec), found)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "without authentication"])
def test_the_requirements_examples_pass(name: str) -> None:
    assert checked(yaml.safe_load(EXAMPLES[name])) == ()


def test_the_requirements_last_example_passes_with_a_warning() -> None:
    (warning,) = checked(yaml.safe_load(EXAMPLES["without authentication"]))
    assert errors((warning,)) == ()
    assert (warning.path, "spec.auth.params" in warning.message) == ("spec.params[0].name", True)


def test_the_requirements_status_example_lacks_only_its_class() -> None:
    (entry,) = read_manifests(
        b"""
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata:
  name: harbor
  namespace: default
spec:
  address: https://example.com
status:
 proxy:
    httpAddress:
      url: http://c-harbor.default.svc.cluster.local
"""
    ).entries
    assert entry.violations == ()
    assert isinstance(entry.value, Connector)
    assert [violation.path for violation in validate_connector(entry.value, None)] == ["spec.connectorClassName"]
