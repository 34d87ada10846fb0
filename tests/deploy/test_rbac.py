"""What each ServiceAccount may do and what not, asked of a real API server (SubjectAccessReview)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.deploy.rendered import DEPLOY
from tests.peers.api_server import ApiServer
from tests.peers.kubectl import Kubectl

pytestmark = pytest.mark.apiserver

SYSTEM = "connectors-system"
PROXY, CONTROLLER = "connectors-proxy", "connectors-controller-manager"
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
OURS = "connectors.alauda.io"
CONFIG = "configmaps/connectors-config"
CERTIFICATE = "secrets/connectors-webhook-cert"
WEBHOOKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"
LEASE = "leases.coordination.k8s.io/connectors-controller-manager"

ALLOWED: list[tuple[str, str, tuple[str, ...], str]] = [
    (PROXY, f"connectors.{OURS}", READ, "team-a"),
    (PROXY, f"connectorclasses.{OURS}", READ, ""),
    (PROXY, "secrets", READ, "team-a"),
    (PROXY, "tokenreviews.authentication.k8s.io", ("create",), ""),
    (PROXY, "subjectaccessreviews.authorization.k8s.io", ("create",), ""),
    (PROXY, CONFIG, READ, SYSTEM),
    (PROXY, f"namespaces/{SYSTEM}", ("get",), SYSTEM),
    (PROXY, "services", ("list", "watch"), SYSTEM),
    (PROXY, "endpoints", ("list", "watch"), SYSTEM),
    (PROXY, "endpointslices.discovery.k8s.io", ("list", "watch"), SYSTEM),
    (CONTROLLER, f"namespaces/{SYSTEM}", ("get",), SYSTEM),
    (CONTROLLER, "endpoints", ("list", "watch"), SYSTEM),
    (CONTROLLER, "endpointslices.discovery.k8s.io", ("list", "watch"), SYSTEM),
    (CONTROLLER, f"connectors.{OURS}", READ, "team-a"),
    (CONTROLLER, f"connectorclasses.{OURS}", READ, ""),
    (CONTROLLER, "secrets", READ, "team-a"),
    (CONTROLLER, "services", (*READ, "create", "patch", "delete"), "team-a"),
    (CONTROLLER, f"connectors.{OURS}:status", ("update",), "team-a"),
    (CONTROLLER, f"connectorclasses.{OURS}:status", ("update",), ""),
    (CONTROLLER, "events", ("get", "create", "patch"), "team-a"),
    (CONTROLLER, CONFIG, READ, SYSTEM),
    (CONTROLLER, LEASE, ("get", "update"), SYSTEM),
    (CONTROLLER, "leases.coordination.k8s.io", ("create",), SYSTEM),
    (CONTROLLER, "subjectaccessreviews.authorization.k8s.io", ("create",), ""),
    (CONTROLLER, CERTIFICATE, (*READ, "update"), SYSTEM),
    (CONTROLLER, f"{WEBHOOKS}/connectors-validation", (*READ, "update"), ""),
]
"""Account, resource[.group][:subresource][/name], verbs, namespace."""
DENIED: list[tuple[str, str, tuple[str, ...], str]] = [
    (PROXY, "secrets", WRITE, "team-a"),
    (PROXY, "secrets", WRITE, SYSTEM),
    (PROXY, f"connectors.{OURS}", WRITE, "team-a"),
    (PROXY, f"connectors.{OURS}:status", ("update", "patch"), "team-a"),
    (PROXY, f"connectorclasses.{OURS}", WRITE, ""),
    (PROXY, "services", (*READ, *WRITE), "team-a"),
    (PROXY, "services", ("get", *WRITE), SYSTEM),
    (PROXY, "endpoints", ("get", *WRITE), SYSTEM),
    (PROXY, "endpoints", (*READ, *WRITE), "team-a"),
    (PROXY, "endpointslices.discovery.k8s.io", ("get", *WRITE), SYSTEM),
    (PROXY, "endpointslices.discovery.k8s.io", (*READ, *WRITE), "team-a"),
    (PROXY, "events", WRITE, "team-a"),
    (PROXY, "pods", (*READ, *WRITE), SYSTEM),
    (PROXY, "configmaps", READ, SYSTEM),
    (PROXY, "configmaps", READ, "team-a"),
    (PROXY, CONFIG, WRITE, SYSTEM),
    (PROXY, "namespaces", ("list", "watch", *WRITE), SYSTEM),
    (PROXY, "namespaces", READ, "team-a"),
    (PROXY, "namespaces", READ, ""),
    (PROXY, "serviceaccounts:token", ("create",), "team-a"),
    (PROXY, LEASE, (*READ, *WRITE), SYSTEM),
    (PROXY, CERTIFICATE, WRITE, SYSTEM),
    (PROXY, f"{WEBHOOKS}/connectors-validation", (*READ, *WRITE), ""),
    (CONTROLLER, "secrets", WRITE, "team-a"),
    (CONTROLLER, "secrets", WRITE, SYSTEM),
    (CONTROLLER, CERTIFICATE, ("create", "patch", "delete"), SYSTEM),
    (CONTROLLER, CERTIFICATE, WRITE, "team-a"),
    (CONTROLLER, WEBHOOKS, (*READ, *WRITE), ""),
    (CONTROLLER, f"{WEBHOOKS}/another", (*READ, *WRITE), ""),
    (CONTROLLER, f"{WEBHOOKS}/connectors-validation", ("create", "patch", "delete"), ""),
    (CONTROLLER, "mutatingwebhookconfigurations.admissionregistration.k8s.io", (*READ, *WRITE), ""),
    (CONTROLLER, "subjectaccessreviews.authorization.k8s.io", READ, ""),
    (CONTROLLER, f"connectors.{OURS}", WRITE, "team-a"),
    (CONTROLLER, f"connectorclasses.{OURS}", WRITE, ""),
    (CONTROLLER, f"connectors.{OURS}:status", ("patch",), "team-a"),
    (CONTROLLER, f"connectorclasses.{OURS}:status", ("patch",), ""),
    (CONTROLLER, "services", ("update", "deletecollection"), "team-a"),
    (CONTROLLER, "pods", (*READ, *WRITE), "team-a"),
    (CONTROLLER, "endpoints", WRITE, SYSTEM),
    (CONTROLLER, "endpoints", (*READ, *WRITE), "team-a"),
    (CONTROLLER, "endpointslices.discovery.k8s.io", WRITE, SYSTEM),
    (CONTROLLER, "endpointslices.discovery.k8s.io", (*READ, *WRITE), "team-a"),
    (CONTROLLER, "events", ("list", "watch", "update", "delete"), "team-a"),
    (CONTROLLER, "configmaps", READ, SYSTEM),
    (CONTROLLER, CONFIG, WRITE, SYSTEM),
    (CONTROLLER, "leases.coordination.k8s.io", ("get", "update", "delete"), SYSTEM),
    (CONTROLLER, "leases.coordination.k8s.io", ("create",), "team-a"),
    (CONTROLLER, "tokenreviews.authentication.k8s.io", ("create",), ""),
    (CONTROLLER, "serviceaccounts:token", ("create",), "team-a"),
    (CONTROLLER, "clusterroles.rbac.authorization.k8s.io", WRITE, ""),
    (CONTROLLER, "namespaces", WRITE, ""),
    (CONTROLLER, "namespaces", READ, ""),
    (CONTROLLER, "namespaces", READ, "team-a"),
]
CASES = [(*case, True) for case in ALLOWED] + [(*case, False) for case in DENIED]


@pytest.fixture
def roles(api_server: ApiServer, cluster_kubectl: Kubectl) -> ApiServer:
    files = (DEPLOY / name for name in ("namespace.yaml", "rbac.yaml"))
    cluster_kubectl.run("apply", *(word for file in files for word in ("-f", str(file))))
    return api_server


def review(server: ApiServer, account: str, what: dict[str, str]) -> bool:
    spec = {"user": f"system:serviceaccount:{SYSTEM}:{account}", "resourceAttributes": what}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = server.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return bool(answer["status"]["allowed"])


def attributes(what: str, verb: str, namespace: str) -> dict[str, str]:
    what, _, name = what.partition("/")
    what, _, subresource = what.partition(":")
    resource, _, group = what.partition(".")
    found = {"resource": resource, "group": group, "subresource": subresource, "name": name}
    return {"verb": verb, "namespace": namespace, **found}


def test_rights(roles: ApiServer) -> None:
    asked = [
        (account, what, verb, namespace, expected)
        for account, what, verbs, namespace, expected in CASES
        for verb in verbs
    ]
    assert len(asked) > 100
    wrong = [case for case in asked if review(roles, case[0], attributes(case[1], case[2], case[3])) is not case[4]]
    assert not wrong


DISCOVERY = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:service-account-issuer-discovery"
PUBLISHED = ("/openid/v1/jwks", "/.well-known/openid-configuration")


@pytest.fixture
def without_discovery(roles: ApiServer) -> Iterator[ApiServer]:
    """A cluster that does not let every ServiceAccount see the keys, as Kubernetes does by default."""
    binding = roles.must("GET", DISCOVERY)
    roles.must("DELETE", DISCOVERY)
    yield roles
    binding["metadata"] = {key: binding["metadata"][key] for key in ("name", "labels", "annotations")}
    roles.must("POST", DISCOVERY.rpartition("/")[0], binding)


def test_the_proxy_may_read_the_keys_of_the_issuer_and_no_other_path(without_discovery: ApiServer) -> None:
    server = without_discovery
    token, other = (server.service_account_token(SYSTEM, account) for account in (PROXY, CONTROLLER))
    for path in PUBLISHED:
        assert _soon(server, path, token, 200) == 200
        assert _soon(server, path, other, 403) == 403
    for path in ("/metrics", "/logs", "/debug/pprof/"):
        assert server.ask("GET", path, token=token).status == 403


def _soon(server: ApiServer, path: str, token: str, wanted: int) -> int:
    """What the server says once it has read the roles of now."""
    for _ in range(100):
        if server.ask("GET", path, token=token).status == wanted:
            break
        time.sleep(0.02)
    return server.ask("GET", path, token=token).status


@pytest.mark.parametrize("account", [PROXY, CONTROLLER])
def test_a_list_of_one_config_map_is_allowed_by_its_name(account: str, roles: ApiServer) -> None:
    token = roles.service_account_token(SYSTEM, account)
    path = f"/api/v1/namespaces/{SYSTEM}/configmaps"
    assert roles.ask("GET", f"{path}?fieldSelector=metadata.name%3Dconnectors-config", token=token).status == 200
    assert roles.ask("GET", path, token=token).status == 403


LISTS = {
    f"/api/v1/namespaces/{SYSTEM}/secrets": "connectors-webhook-cert",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": "connectors-validation",
}


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_what_the_webhook_needs_is_allowed_by_its_name(path: str, roles: ApiServer) -> None:
    token = roles.service_account_token(SYSTEM, CONTROLLER)
    assert roles.ask("GET", f"{path}?fieldSelector=metadata.name%3D{LISTS[path]}", token=token).status == 200
