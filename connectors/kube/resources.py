"""The resources that are read and written, and their paths on the API server (Kubernetes API concepts)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from connectors.model.metadata import GROUP


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource type. `group` is empty for the core group; `plural` is the path segment."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As manifests write it: `v1`, `GROUP/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Of all objects, of those of a namespace, of one object, or of its subresource."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural, *(quote(part, safe="") for part in (name, subresource) if part)]
        return "/".join(parts)


CONNECTORS = Resource(GROUP, "v1alpha1", "connectors", "Connector")
CONNECTOR_CLASSES = Resource(GROUP, "v1alpha1", "connectorclasses", "ConnectorClass", namespaced=False)
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
