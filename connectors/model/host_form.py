"""Host names that name a Connector: c-NAME.NS[.svc[.DOMAIN]], standalone also c-NAME.NS.localhost."""

from __future__ import annotations

import re

from connectors.model.connector import ConnectorKey

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"


class HostForm:
    """Compiled once for a cluster domain."""

    def __init__(self, cluster_domain: str = "cluster.local", *, localhost: bool = False) -> None:
        """`localhost`: whether `c-NAME.NS.localhost` counts (RFC 6761 section 6.3), as it does standalone."""
        suffixes = [r"\.svc", rf"\.svc\.{re.escape(cluster_domain.lower().strip('.'))}"]
        if localhost:
            suffixes.append(r"\.localhost")
        pattern = rf"c-({_LABEL})\.({_LABEL})(?:{'|'.join(suffixes)})?\.?(?::\d*)?"
        self._pattern = re.compile(pattern)

    def key(self, authority: bytes) -> ConnectorKey | None:
        """The Connector that `authority` (host and optional port) names; None where it is not in host form."""
        match = self._pattern.fullmatch(authority.decode("latin-1").lower())
        return ConnectorKey(match[2], match[1]) if match else None
