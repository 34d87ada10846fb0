"""The resources that are read and written, and their paths on the API server (Kubernetes API concepts)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from connectors.kube.nesting import decode
from connectors.objects.metadata import GROUP


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
        """Of all objects, of those of a namespace, of one object, or of its subresource; empty means not given.

        Raises:
            ValueError: a part that is not a path segment name (see `_segment`), or one that lacks the part before it.
        """
        if (subresource and not name) or (name and self.namespaced and not namespace):
            raise ValueError(f"the path of a {self.kind} lacks a part")
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace:
            parts += ["namespaces", _segment(namespace)]
        parts += [self.plural, *(_segment(part) for part in (name, subresource) if part)]
        return "/".join(parts)

    def object_path(self, namespace: str, name: str, subresource: str = "") -> str:
        """Of one object, or of its subresource: without a name it would be that of all of them.

        Raises:
            ValueError: as `path`, and for an empty name.
        """
        if not name:
            raise ValueError(f"a {self.kind} without a name")
        return self.path(namespace, name, subresource)


# Unicode's categories of control characters and of surrogates, which have no UTF-8.
_NEVER = frozenset({"Cc", "Cs"})


def _segment(text: str) -> str:
    """One segment, quoted.

    The rule is that of Kubernetes ("Object Names and IDs", path segment names), without its "%", which quoting makes
    harmless. The HTTP client would resolve "." and "..", and a server or proxy may decode "%2F" before it routes:
    either would lead to another object. Control characters have no place in a request line or in a log.

    Raises:
        ValueError: it breaks the rule. The message does not quote it.
    """
    if text in {".", ".."} or "/" in text or any(unicodedata.category(character) in _NEVER for character in text):
        raise ValueError("a name that is '.' or '..', or has a '/' or a control character")
    return quote(text, safe="")


CONNECTORS = Resource(GROUP, "v1alpha1", "connectors", "Connector")
CONNECTOR_CLASSES = Resource(GROUP, "v1alpha1", "connectorclasses", "ConnectorClass", namespaced=False)
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICES = Resource("", "v1", "services", "Service")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
VALIDATING_WEBHOOK_CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)


# Annotations may hold a Secret's data. They are not a field here, and so are never read.
class Metadata(Struct, frozen=True, rename="camel"):
    """The part of metav1.ObjectMeta that names an object and one version of it."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Object(Struct, frozen=True):
    metadata: Metadata = Metadata()


_DECODER = msgspec.json.Decoder(_Object)
NOTHING = Metadata()


def metadata_of(raw: Raw | bytes) -> Metadata:
    """The metadata of an object; NOTHING if it is not an object."""
    try:
        return decode(raw, _DECODER).metadata
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NOTHING
