"""Roles and bindings on a real API server, as an operator grants them."""

from __future__ import annotations

from typing import Any

from tests.peers.api_server import ApiServer

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "connectors.alauda.io"


def rule(resource: str, *verbs: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """A rule about our kinds."""
    made: dict[str, Any] = {"apiGroups": [GROUP], "resources": [resource], "verbs": list(verbs)}
    return made | ({"resourceNames": list(names)} if names else {})


GET = rule("connectors", "get")
PROXY = rule("connectors/proxy", "*")


def account(namespace: str, name: str) -> dict[str, str]:
    """A ServiceAccount as the subject of a binding."""
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def group(name: str) -> dict[str, str]:
    """A group as the subject of a binding."""
    return {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def grant(server: ApiServer, namespace: str, name: str, subject: dict[str, str], *rules: dict[str, Any]) -> None:
    """A Role of these rules in the namespace, bound to the subject; both are called `name`."""
    path = f"{RBAC}/namespaces/{namespace}"
    server.must("POST", f"{path}/roles", {"metadata": {"name": name}, "rules": list(rules)})
    server.must("POST", f"{path}/rolebindings", _binding("Role", name, name, subject))


def bind_cluster_role(server: ApiServer, name: str, role: str, subject: dict[str, str], namespace: str = "") -> None:
    """Bind a ClusterRole everywhere, or in one namespace."""
    path = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    server.must("POST", path, _binding("ClusterRole", role, name, subject))


def revoke(server: ApiServer, namespace: str, name: str) -> None:
    """Take the binding away that `grant` made."""
    server.must("DELETE", f"{RBAC}/namespaces/{namespace}/rolebindings/{name}")


def _binding(kind: str, role: str, name: str, subject: dict[str, str]) -> dict[str, Any]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
    return {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
