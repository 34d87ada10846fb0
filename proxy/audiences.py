"""The audiences of tokens that are minted for one Connector: its proxy URLs, as its status gives them. Pure."""

from __future__ import annotations

from connectors.objects.connector import ConnectorKey
from connectors.objects.names import proxy_host
from connectors.rules.values import is_absolute


def audiences_of(key: ConnectorKey, proxy_uris: frozenset[str], cluster_domain: str) -> frozenset[str]:
    """Every text that `status.proxy.httpAddress.url` of a Connector of that name can be.

    `proxy_uris` are those of all classes, not of its own alone: that would tell a caller, who may not know, whether
    there is such a Connector and of which class. An address that several Connectors share is none of them.
    """
    own = f"http://{proxy_host(key, f'svc.{cluster_domain}')}"
    suffix = f"/namespaces/{key.namespace}/connectors/{key.name}"
    within = {own, *(own + uri.rstrip("/") for uri in proxy_uris if not is_absolute(uri))}
    shared = {uri.rstrip("/") for uri in proxy_uris if is_absolute(uri)}
    return frozenset(within | {base + suffix for base in within | shared})
