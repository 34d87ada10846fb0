"""The settings of every process that works with an API server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from connectors.process.parsers import optional, parse_host_port
from connectors.process.settings import Setting

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


ADMIN = Setting(
    "--admin", "0.0.0.0:8081", parse_host_port, "where /livez, /readyz and /metrics are served", "0.0.0.0:8081",
    metavar="HOST:PORT",
)  # fmt: skip
KUBECONFIG = Setting(
    "--kubeconfig", "", optional(Path), "kubeconfig file of the API server", "/etc/connectors/kubeconfig",
    metavar="PATH", default_text="the pod's ServiceAccount, else $KUBECONFIG",
)  # fmt: skip
NAMESPACE = Setting(
    "--namespace", "connectors-system", parse_name, "where this program and ConfigMap connectors-config are",
    "connectors-system", metavar="NAMESPACE",
)  # fmt: skip
CLUSTER_DOMAIN = Setting(
    "--cluster-domain", "cluster.local", parse_domain, "DOMAIN of the host form c-NAME.NS.svc.DOMAIN", "cluster.local",
    metavar="DOMAIN",
)  # fmt: skip
PROXY_SERVICE = Setting(
    "--proxy-service", "connectors-proxy-service", parse_name,
    "the Service of the proxy, for classes whose spec.proxy names none", "connectors-proxy-service", metavar="NAME",
)  # fmt: skip

KUBE_SETTINGS: tuple[Setting[Any], ...] = (ADMIN, KUBECONFIG, NAMESPACE, CLUSTER_DOMAIN, PROXY_SERVICE)
