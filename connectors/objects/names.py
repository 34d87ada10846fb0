"""Names of Connectors, namespaces, classes and Secrets, and the Service and host names made of them (RFC 1123)."""

from __future__ import annotations

import re

from connectors.objects.connector import ConnectorKey

SERVICE_PREFIX = "c-"
# Of Services, in a cluster whose administrator has not chosen another (Kubernetes' own default).
USUAL_DOMAIN = "cluster.local"
# Octets of one DNS label (RFC 1035 section 2.3.4).
MAX_LABEL = 63
# Octets of a DNS name, and so of a Kubernetes object's name.
MAX_SUBDOMAIN = 253
# Admission leaves this namespace out (deploy/webhook.yaml), so that no outage of the controller can stand in the way of
# what keeps the cluster alive. Nothing there asks who connects a Secret, so no Connector may be in it.
EXEMPT_NAMESPACE = "kube-system"

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", re.ASCII)
_LABEL_RULE = "lower-case letters, digits and '-', beginning and ending with a letter or digit"


def connector_name_problem(name: str) -> str | None:
    """Why `name` cannot name a Connector, None if it can: `c-NAME` must be the name of a Service, one DNS label."""
    if "." in name:
        return "must not contain a dot, since c-NAME is the name of a Service; put '-' there"
    most = MAX_LABEL - len(SERVICE_PREFIX)
    if len(name) > most:
        return f"has {len(name)} characters, but c-NAME must fit in {MAX_LABEL}; use at most {most}"
    return _label_problem(name)


def namespace_problem(namespace: str) -> str | None:
    """Why `namespace` cannot name a namespace, None if it can."""
    if len(namespace) > MAX_LABEL:
        return f"has {len(namespace)} characters; use at most {MAX_LABEL}"
    return _label_problem(namespace)


def object_name_problem(name: str) -> str | None:
    """Why `name` cannot name a ConnectorClass or a Secret (a DNS subdomain), None if it can."""
    if len(name) > MAX_SUBDOMAIN:
        return f"has {len(name)} characters; use at most {MAX_SUBDOMAIN}"
    if name and all(_LABEL.fullmatch(label) for label in name.split(".")):
        return None
    return _refusal(name, f"{_LABEL_RULE}; dots may separate such parts")


def service_name(name: str) -> str:
    """The Service that is a Connector's proxy address inside its namespace."""
    return SERVICE_PREFIX + name


def proxy_host(key: ConnectorKey, domain: str) -> str:
    """The host form of a Connector's proxy address; `domain` is `svc.cluster.local` in a cluster, else `localhost`."""
    return f"{service_name(key.name)}.{key.namespace}.{domain}"


def _label_problem(name: str) -> str | None:
    return None if _LABEL.fullmatch(name) else _refusal(name, _LABEL_RULE)


def _refusal(name: str, rule: str) -> str:
    return f"must consist of {rule}" if name else "is missing; give the object a name"


_LABEL_PATTERN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"


class HostForm:
    """Host names that name a Connector: c-NAME.NS[.svc[.DOMAIN]], standalone also c-NAME.NS.localhost.

    Compiled once for a cluster domain.
    """

    def __init__(self, cluster_domain: str = USUAL_DOMAIN, *, localhost: bool = False) -> None:
        """`localhost`: whether `c-NAME.NS.localhost` counts (RFC 6761 section 6.3), as it does standalone."""
        suffixes = [r"\.svc", rf"\.svc\.{re.escape(cluster_domain.lower().strip('.'))}"]
        if localhost:
            suffixes.append(r"\.localhost")
        pattern = rf"c-({_LABEL_PATTERN})\.({_LABEL_PATTERN})(?:{'|'.join(suffixes)})?\.?(?::\d*)?"
        self._pattern = re.compile(pattern)

    def key(self, authority: bytes) -> ConnectorKey | None:
        """The Connector that `authority` (host and optional port) names; None if it is not in host form."""
        match = self._pattern.fullmatch(authority.decode("latin-1").lower())
        return ConnectorKey(match[2], match[1]) if match else None

    def private(self, host: str) -> bool:
        """Whether `host` is in a form that no name server of a stranger's answers for: one below `svc` or `localhost`.

        `c-NAME.NS` alone may be a public name, as c-git.dev is.
        """
        return self.key(host.encode("latin-1")) is not None and host.rstrip(".").count(".") > 1
