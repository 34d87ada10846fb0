"""The settings of every process that works with an API server. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from connectors.objects.names import USUAL_DOMAIN
from connectors.process.declaration import Parser, Setting, declared, setting
from connectors.process.parsers import HOST_PORT, HostPort, Named, parse_named

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"


def parse_name(text: str) -> str:
    """The name of a namespace or a Service: one DNS label (RFC 1123).

    Raises:
        ValueError: anything else.
    """
    if not re.fullmatch(_LABEL, text, re.ASCII):
        raise ValueError("it takes lower-case letters, digits and '-', at most 63, no '-' at either end")
    return text


def parse_domain(text: str) -> str:
    """A DNS domain, a closing dot taken off.

    Raises:
        ValueError: anything else.
    """
    domain = text.lower().removesuffix(".")
    if len(domain) > 253 or not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", domain, re.ASCII):
        raise ValueError("it takes a DNS domain")
    return domain


CLUSTER_DOMAIN = Setting(
    "--cluster-domain", USUAL_DOMAIN, Parser(parse_domain, "DOMAIN"), "DOMAIN of the host form c-NAME.NS.svc.DOMAIN",
    USUAL_DOMAIN,
)  # fmt: skip


# Of the controller, and of the metrics of both (deploy/webhook.yaml, deploy/components/monitoring/services.yaml).
OTHER_SERVICES = ("connectors-webhook-service", "connectors-proxy-metrics", "connectors-controller-metrics")
# Where pods of deploy/ listen: proxy, admin port, webhook. Neither process knows what the other one was told.
USUAL_PORTS = frozenset({8080, 8081, 9443})


def parse_named_secrets(text: str) -> Named:
    """`[NAME=]SECRET,...`.

    Raises:
        ValueError: see parse_named; or one is not the name of a Secret, which would be another path of the API server.
    """
    found = parse_named(text)
    if not all(re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", name, re.ASCII) for _, name in found):
        raise ValueError("it takes names of Secrets, separated by commas")
    return found


@dataclass(frozen=True, slots=True)
class ClusterNames:
    """What names mean in a cluster: where the system runs, its DNS domain, and its proxy's Service."""

    namespace: str = setting(
        "--namespace", "connectors-system", Parser(parse_name, "NAMESPACE"),
        "where this program and ConfigMap connectors-config are",
    )  # fmt: skip
    cluster_domain: str = declared(CLUSTER_DOMAIN)
    proxy_service: str = setting(
        "--proxy-service", "connectors-proxy-service", Parser(parse_name, "NAME"),
        "the Service of the proxy, for classes whose spec.proxy names none",
    )  # fmt: skip

    @property
    def own_service_names(self) -> frozenset[str]:
        """What the installation's own Services are called, in its namespace."""
        return frozenset((self.proxy_service, *OTHER_SERVICES))

    @property
    def own_services(self) -> frozenset[str]:
        """Every host name of these Services, also the short ones, which a pod of the installation could look up."""
        space = self.namespace
        suffixes = ("", f".{space}", f".{space}.svc", f".{space}.svc.{self.cluster_domain}")
        return frozenset(service + suffix for service in self.own_service_names for suffix in suffixes)


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """`kubeconfig` is a path, empty for the pod's ServiceAccount, else what $KUBECONFIG names."""

    admin: HostPort = setting("--admin", "[::]:8081", HOST_PORT, "where /livez, /readyz and /metrics are served")
    kubeconfig: str = setting(
        "--kubeconfig", "", Parser(str, "PATH", empty="the pod's ServiceAccount, else $KUBECONFIG"),
        "kubeconfig file of the API server", "/etc/connectors/kubeconfig",
    )  # fmt: skip
    names: ClusterNames = field(default_factory=ClusterNames)
    upstream_proxy_secrets: Named = setting(
        "--upstream-proxy-secret", "", Parser(parse_named_secrets, "[NAME=]SECRET", repeats=True),
        "the Secret of type kubernetes.io/basic-auth in this program's namespace that has the credentials for the "
        "upstream proxy of that NAME", "proxy-login,lab=lab-login",
    )  # fmt: skip
