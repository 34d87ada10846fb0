from __future__ import annotations

import pytest

from connectors.kube.resources import CONNECTOR_CLASSES, CONNECTORS, SECRETS, Resource


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (SECRETS, (), "/api/v1/secrets"),
        (SECRETS, ("team",), "/api/v1/namespaces/team/secrets"),
        (SECRETS, ("team", "a"), "/api/v1/namespaces/team/secrets/a"),
        (CONNECTORS, ("team", "a", "status"), f"/apis/{CONNECTORS.api_version}/namespaces/team/connectors/a/status"),
        (CONNECTOR_CLASSES, ("", "git"), f"/apis/{CONNECTORS.api_version}/connectorclasses/git"),
        (SECRETS, ("a/b", "../c?d"), "/api/v1/namespaces/a%2Fb/secrets/..%2Fc%3Fd"),
    ],
)
def test_paths(resource: Resource, arguments: tuple[str, ...], path: str) -> None:
    assert resource.path(*arguments) == path
